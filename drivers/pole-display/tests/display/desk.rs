//! A driver on a desk: a host whose clock is turned by hand, and a wire that keeps what was sent and breaks when told.

use driver_pole_display::PoleDisplay;
use driver_sdk::{
    Broken, ControlIn, Driver, Fault, Level, Link, Op, Raster, Report, Services, Status, Style,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(500);

/// The host's services, without a host.
#[derive(Default)]
pub struct Room {
    now: Cell<Duration>,
    log: RefCell<Vec<(Level, String)>>,
}

/// The wire: what was sent, and what goes wrong with the next write.
#[derive(Default)]
pub struct Wire {
    /// Everything, in order.
    pub all: Vec<u8>,
    /// Of it, since it was last taken, what may print.
    prints: Vec<u8>,
    asks: Vec<u8>,
    fails: Option<(Fault, usize)>,
}

/// A driver, its host and its wire.
pub struct Desk {
    driver: PoleDisplay,
    room: Rc<Room>,
    pub wire: Wire,
}

/// What `create` answers to settings it does not take, and what it logged.
pub fn refusal(config: &str) -> (Fault, Vec<(Level, String)>) {
    let room = Rc::new(Room::default());
    let fault = PoleDisplay::create(room.clone(), config).err().unwrap();
    let log = room.log.borrow().clone();
    (fault, log)
}

// === impl Desk ===

impl Desk {
    /// A driver whose line was not opened yet.
    pub fn new(config: &str) -> Desk {
        let room = Rc::new(Room::default());
        let driver = PoleDisplay::create(room.clone(), config)
            .unwrap_or_else(|fault| panic!("{config}: {fault}: {:?}", room.log.borrow()));
        Desk { driver, room, wire: Wire::default() }
    }

    /// The settings of a generic display with this command set, and what else is to be set.
    pub fn generic(set: &str, more: &str) -> Desk {
        Desk::new(&format!(r#"{{"model":"generic","command_set":"{set}"{more}}}"#))
    }

    /// The line is new. What was sent for it.
    pub fn open(&mut self) -> Vec<u8> {
        self.driver.reset(&mut self.wire, TIMEOUT).unwrap();
        assert!(self.wire.prints.is_empty(), "bringing it into a known state is no document");
        std::mem::take(&mut self.wire.asks)
    }

    /// A document. What was sent for it.
    pub fn show(&mut self, ops: &[Op<'_>]) -> Vec<u8> {
        let report = self.run(ops);
        assert_eq!((report.fault, report.done), (None, driver_sdk::Done::Sent), "{}", report.text);
        self.sent()
    }

    /// A document. What became of it.
    pub fn run(&mut self, ops: &[Op<'_>]) -> Report {
        self.driver.run(&mut self.wire, ops, TIMEOUT)
    }

    /// The clock goes on and the host calls. What was sent, and when it has to call again.
    pub fn tick_after(&mut self, ms: u64) -> (Vec<u8>, Result<Option<Duration>, Fault>) {
        self.room.now.set(self.room.now.get() + Duration::from_millis(ms));
        let next = self.driver.tick(&mut self.wire);
        (self.sent(), next)
    }

    /// The clock goes on, nobody calls.
    pub fn wait(&mut self, ms: u64) {
        self.room.now.set(self.room.now.get() + Duration::from_millis(ms));
    }

    /// The next write takes so many bytes and fails.
    pub fn break_wire(&mut self, fault: Fault, after: usize) {
        self.wire.fails = Some((fault, after));
    }

    /// The wire is whole again, also where nothing was written to break it.
    pub fn mend_wire(&mut self) {
        self.wire.fails = None;
    }

    pub fn sent(&mut self) -> Vec<u8> {
        assert!(self.wire.asks.is_empty(), "a document is no question");
        std::mem::take(&mut self.wire.prints)
    }

    pub fn status(&mut self) -> Status {
        self.driver.status(&mut self.wire, TIMEOUT).unwrap()
    }

    pub fn probe(&mut self) -> Fault {
        self.driver.probe(&mut self.wire, TIMEOUT).unwrap_err()
    }

    pub fn capabilities(&self) -> driver_sdk::Capabilities {
        self.driver.capabilities()
    }
}

// === impl Room ===

impl Services for Room {
    fn log(&self, level: Level, text: &str) {
        self.log.borrow_mut().push((level, text.to_owned()));
    }

    fn now(&self) -> Duration {
        self.now.get()
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn status_changed(&self, _status: Status) {
        panic!("a display tells nothing by itself");
    }

    fn encode(&self, code_page: u32, text: &str) -> Option<(Vec<u8>, usize)> {
        driver_host::code_page::encode(code_page, text)
    }

    fn rasterise(&self, _op: &Op<'_>, _style: Style, _dots_max: u16) -> Result<Raster, Fault> {
        panic!("a pole display has no dots");
    }
}

// === impl Wire ===

impl Wire {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let (fault, taken) = match self.fails.take() {
            Some((fault, after)) => (Some(fault), after.min(bytes.len())),
            None => (None, bytes.len()),
        };
        self.all.extend(&bytes[..taken]);
        fault.map_or(Ok(taken), |fault| Err(Broken { fault, written: taken }))
    }
}

impl Link for Wire {
    fn write(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), Broken> {
        self.take(bytes)?;
        self.prints.extend(bytes);
        Ok(())
    }

    fn ask(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), Fault> {
        self.take(bytes).map_err(|broken| broken.fault)?;
        self.asks.extend(bytes);
        Ok(())
    }

    fn read(&mut self, _buffer: &mut [u8], _timeout: Duration) -> Result<usize, Fault> {
        panic!("a display is asked nothing");
    }

    fn control_in(&mut self, _: ControlIn, _: &mut [u8], _: Duration) -> Result<usize, Fault> {
        panic!("a display is asked nothing");
    }
}

// === Ops, shorter ===

pub fn line(line: u8, text: &str) -> Op<'_> {
    Op::Line { line, text: text.into() }
}

pub fn scroll(line: u8, text: &str, step_ms: u16) -> Op<'_> {
    Op::Scroll { line, text: text.into(), step_ms }
}
