//! The virtual display's frames, with a clock that the test sets.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_sdk::{
    Broken, ControlIn, Done, Driver, Fault, Host, Kind, Level, Link, Op, Raster, Services, Status, Style,
};
use driver_virtual_display::VirtualDisplay;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
struct Frames(Vec<u8>);

impl Link for Frames {
    fn write(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), Broken> {
        self.0.extend(bytes);
        Ok(())
    }

    fn ask(&mut self, _bytes: &[u8], _timeout: Duration) -> Result<(), Fault> {
        Err(Fault::Unsupported)
    }

    fn read(&mut self, _buffer: &mut [u8], _timeout: Duration) -> Result<usize, Fault> {
        Err(Fault::Timeout)
    }

    fn control_in(&mut self, _: ControlIn, _buffer: &mut [u8], _timeout: Duration) -> Result<usize, Fault> {
        Err(Fault::Unsupported)
    }
}

#[derive(Default)]
struct Clock(Cell<Duration>);

impl Services for Clock {
    fn log(&self, _level: Level, _text: &str) {}
    fn now(&self) -> Duration {
        self.0.get()
    }
    fn cancelled(&self) -> bool {
        false
    }
    fn status_changed(&self, _status: Status) {}
    fn encode(&self, _code_page: u32, _text: &str) -> Option<(Vec<u8>, usize)> {
        None
    }
    fn rasterise(&self, _op: &Op<'_>, _style: Style, _dots_max: u16) -> Result<Raster, Fault> {
        Err(Fault::Unsupported)
    }
}

fn line(line: u8, text: &'static str) -> Op<'static> {
    Op::Line { line, text: text.into() }
}

#[test]
fn a_document_is_one_frame() {
    let host = Rc::new(Clock::default()) as Host;
    let mut display = VirtualDisplay::create(host, r#"{"columns": 12}"#).unwrap();
    assert_eq!(VirtualDisplay::INFO.kind, Kind::Display);
    assert_eq!((display.capabilities().columns, display.capabilities().lines), (12, 2));
    let mut frames = Frames::default();
    let ops = [Op::Clear, line(1, "Welcome"), line(2, "José")];
    let report = display.run(&mut frames, &ops, Duration::from_secs(1));
    assert_eq!((report.done, report.ops_done), (Done::Confirmed, 3));
    let frame = "+------------+\n|Welcome     |\n|José        |\n+------------+\n";
    assert_eq!(String::from_utf8(frames.0).unwrap(), frame);
    let mut frames = Frames::default();
    assert_eq!(display.tick(&mut frames), Ok(None));
    let report = display.run(&mut frames, &[line(1, "x"), line(3, "y")], Duration::from_secs(1));
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Unsupported)));
    assert_eq!(report.text, "op 2: there is no line 3: the display has 2");
    assert!(frames.0.is_empty(), "nothing of such a document is shown");
}

#[test]
fn a_long_text_runs_through_once_in_its_time() {
    let clock = Rc::new(Clock::default());
    let config = r#"{"columns": 4, "lines": 1}"#;
    let mut display = VirtualDisplay::create(Rc::clone(&clock) as Host, config).unwrap();
    let mut frames = Frames::default();
    let ops = [Op::Scroll { line: 1, text: "abcdef".into(), step_ms: 200 }];
    display.run(&mut frames, &ops, Duration::from_secs(1));
    assert_eq!(display.tick(&mut frames), Ok(Some(Duration::from_millis(200))), "not at once");
    let mut ticks = 0;
    loop {
        clock.0.set(clock.0.get() + Duration::from_millis(200));
        ticks += 1;
        if display.tick(&mut frames).unwrap().is_none() {
            break;
        }
    }
    assert_eq!(ticks, 10, "six letters and four columns");
    let seen = String::from_utf8(frames.0).unwrap();
    let seen: Vec<&str> = seen.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!((seen[0], seen[1], seen[2], seen[10]), ("|abcd|", "|bcde|", "|cdef|", "|abcd|"));
}

#[test]
fn a_picture_of_the_display_is_a_png_and_wrong_settings_are_refused() {
    let host: Host = Rc::new(Clock::default());
    let mut display = VirtualDisplay::create(Rc::clone(&host), r#"{"form": "png"}"#).unwrap();
    let mut frames = Frames::default();
    display.run(&mut frames, &[line(1, "Welcome")], Duration::from_secs(1));
    assert!(frames.0.starts_with(b"\x89PNG"));
    for config in [r#"{"columns": 0}"#, r#"{"lines": 9}"#, r#"{"rows": 2}"#, "[]", "null"] {
        assert_eq!(VirtualDisplay::create(Rc::clone(&host), config).err(), Some(Fault::Config), "{config}");
    }
}
