//! The virtual printer's papers, with a link that keeps what is written.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_sdk::{
    Align, Barcode, Broken, ControlIn, Cut, Done, Driver, Fault, Host, Level, Link, Op, Raster, Services,
    Status, Style, Symbology,
};
use driver_virtual::Virtual;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A link that takes so many bytes, all by default.
struct Paper {
    taken: Vec<u8>,
    room: usize,
}

impl Link for Paper {
    fn write(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), Broken> {
        let written = bytes.len().min(self.room - self.taken.len());
        self.taken.extend(&bytes[..written]);
        if written < bytes.len() { Err(Broken { fault: Fault::Io, written }) } else { Ok(()) }
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
struct Quiet(RefCell<Vec<String>>);

impl Services for Quiet {
    fn log(&self, _level: Level, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }
    fn now(&self) -> Duration {
        Duration::ZERO
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

fn printer(config: &str) -> Virtual {
    Virtual::create(Rc::new(Quiet::default()) as Host, config).unwrap()
}

fn printed(config: &str, ops: &[Op<'_>]) -> Vec<u8> {
    let mut paper = Paper { taken: Vec::new(), room: usize::MAX };
    let report = printer(config).run(&mut paper, ops, Duration::from_secs(1));
    assert_eq!(
        (report.done, report.fault, report.ops_done),
        (Done::Confirmed, None, ops.len()),
        "{}",
        report.text
    );
    paper.taken
}

/// One of every op of a printer.
fn every_op() -> Vec<Op<'static>> {
    let bars = Barcode {
        data: "TKT-1".into(),
        symbology: Symbology::Code128,
        height: 40,
        module: 2,
        text_below: true,
    };
    vec![
        Op::Align(Align::Middle),
        Op::Style(Style { bold: true, width: 2, height: 2, ..Style::default() }),
        Op::Text("Arena".into()),
        Op::Newline,
        Op::Style(Style::default()),
        Op::Rule { double: true },
        Op::Align(Align::Right),
        Op::Text("東京 ".into()),
        Op::Text("12".into()),
        Op::Newline,
        Op::Align(Align::Left),
        Op::Qr { data: b"TKT-1".to_vec().into(), module: 0, correction: 1 },
        Op::Barcode(bars),
        Op::Image { width: 8, height: 2, dots: vec![0xff, 0x81].into() },
        Op::Rule { double: false },
        Op::Feed(2),
        Op::Place { x: 4, y: 600 },
        Op::Text("end".into()),
        Op::Beep(2),
        Op::Drawer { pin: 0, pulse_ms: 120 },
        Op::Cut(Cut::Full),
    ]
}

#[test]
fn every_op_has_its_line() {
    let text = String::from_utf8(printed(r#"{"columns": 20}"#, &every_op())).unwrap();
    let wanted = "       Arena
====================
             東京 12
[QR TKT-1]
[CODE128 TKT-1]
[picture 8 x 2]
--------------------


[at 4, 600]
end
[beeps: 2]
[opens drawer 0: 120 ms]
- - - - - - - -
";
    assert_eq!(text, wanted);
}

#[test]
fn a_picture_of_the_page_has_its_width_and_its_code() {
    let png = printed(r#"{"form": "png", "dots": 384}"#, &every_op());
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut grey = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut grey).unwrap();
    // 24 dots of margin on each side.
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    assert_eq!(width, 384 + 48);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    assert_eq!(image.detect_grids()[0].decode().unwrap().1, "TKT-1");
}

#[test]
fn capabilities_are_those_of_the_paper_it_stands_for() {
    let narrow = printer(r#"{"form": "png", "dots": 384, "cuts": false}"#).capabilities();
    assert_eq!((narrow.columns, narrow.columns_small, narrow.dots, narrow.cuts), (32, 48, 384, false));
    let usual = printer("{}").capabilities();
    assert_eq!((usual.columns, usual.columns_small, usual.places, usual.cuts), (48, 0, false, true));
    let ticket = printer(r#"{"form": "png", "dots": 1120, "ticket_rows": 400, "dpi": 300}"#).capabilities();
    assert_eq!((ticket.places, ticket.dpi), (true, 300));
}

#[test]
fn wrong_settings_are_told() {
    for (config, said) in [
        (r#"{"form": "pdf"}"#, "unknown variant `pdf`"),
        (r#"{"colums": 40}"#, "unknown field `colums`"),
        (
            r#"{"dots": 9000, "dpi": 1}"#,
            "dots: 64 to 2400, found 9000; columns: 8 to 200, found 750; dpi: 100 to 600",
        ),
    ] {
        let quiet = Rc::new(Quiet::default());
        let refused = Virtual::create(Rc::clone(&quiet) as Host, config).err();
        assert_eq!(refused, Some(Fault::Config));
        assert!(quiet.0.borrow()[0].contains(said), "{:?}", quiet.0.borrow());
    }
}

#[test]
fn a_line_that_breaks_is_told_by_what_left() {
    let ops = [Op::Text("abcdef".into()), Op::Newline];
    for (room, done) in [(0, Done::None), (3, Done::Unknown)] {
        let mut paper = Paper { taken: Vec::new(), room };
        let report = printer("{}").run(&mut paper, &ops, Duration::from_secs(1));
        assert_eq!((report.done, report.fault), (done, Some(Fault::Io)));
    }
    let mut paper = Paper { taken: Vec::new(), room: usize::MAX };
    let report = printer("{}").run(&mut paper, &[Op::Newline, Op::Clear], Duration::from_secs(1));
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Unsupported)));
    assert_eq!(report.text, "op 2: a printer shows no display's lines");
    assert!(paper.taken.is_empty());
}
