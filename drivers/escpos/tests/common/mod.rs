//! A host and a printer for tests: code pages and dots are the real host's, the clock moves when somebody waits, the
//! printer answers as it is told to.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use driver_escpos::Escpos;
use driver_sdk::{
    Broken, ControlIn, Driver, Fault, Host, Level, Link, Op, Raster, Report, Services, Status, Style,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

pub mod parse;

/// Time a document gets.
pub const LONG: Duration = Duration::from_secs(20);

/// The host's side.
#[derive(Default)]
pub struct FakeHost {
    pub clock: Rc<Cell<Duration>>,
    pub log: RefCell<Vec<(Level, String)>>,
    pub changes: RefCell<Vec<Status>>,
}

impl Services for FakeHost {
    fn log(&self, level: Level, text: &str) {
        self.log.borrow_mut().push((level, text.to_owned()));
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn status_changed(&self, status: Status) {
        self.changes.borrow_mut().push(status);
    }

    fn encode(&self, code_page: u32, text: &str) -> Option<(Vec<u8>, usize)> {
        driver_host::code_page::encode(code_page, text)
    }

    fn rasterise(&self, op: &Op<'_>, style: Style, dots_max: u16) -> Result<Raster, Fault> {
        let raster = driver_raster::rasterise(op, style, dots_max).map_err(|_| Fault::Invalid)?;
        Ok(Raster { row_bytes: raster.row_bytes, dots: raster.dots })
    }
}

/// The printer's side.
pub struct FakePrinter {
    clock: Rc<Cell<Duration>>,
    /// What it was sent that may print.
    pub printed: Vec<u8>,
    /// How much of it in each write.
    pub writes: Vec<usize>,
    /// Questions and initialisation.
    pub asked: Vec<Vec<u8>>,
    /// What it sends: when, and what.
    pub sends: VecDeque<(Duration, Vec<u8>)>,
    /// Its answers to `DLE EOT`; `None`: silent.
    pub real_time: Option<[u8; 4]>,
    /// Its answers to `DLE EOT` once it was sent something that prints.
    pub real_time_after: Option<[u8; 4]>,
    /// How long it takes to answer `DLE EOT`.
    pub real_time_takes: Duration,
    /// It is in a command and takes so many bytes more for it; what prints and what is asked.
    pub inside: usize,
    /// Bytes that print and went into that command.
    pub swallowed: usize,
    /// It cannot be read.
    pub deaf: bool,
    /// How long it takes to answer in turn while it has nothing to print; `None`: it does not.
    pub turn_takes: Option<Duration>,
    /// It was initialised, and nothing that prints came since.
    is_idle: bool,
    /// How long printing takes, where it answers `GS ( H`.
    pub job_takes: Option<Duration>,
    /// The tag it answers with, where that is another than it was asked.
    pub job_tag: Option<[u8; 4]>,
    /// How long printing takes, where it answers `GS r`.
    pub queued_takes: Option<Duration>,
    /// `GS I 67`.
    pub model: Option<&'static str>,
    /// It breaks when so many bytes that print were taken.
    pub breaks: Option<(usize, Fault)>,
    /// It sends this when it breaks.
    pub last_words: Vec<u8>,
    /// USB.
    pub port: Option<u8>,
    pub device_id: Option<&'static str>,
}

impl FakePrinter {
    pub fn new(host: &FakeHost) -> FakePrinter {
        FakePrinter {
            clock: Rc::clone(&host.clock),
            printed: Vec::new(),
            writes: Vec::new(),
            asked: Vec::new(),
            sends: VecDeque::new(),
            real_time: Some([0x12; 4]),
            real_time_after: None,
            real_time_takes: Duration::from_millis(5),
            inside: 0,
            swallowed: 0,
            deaf: false,
            turn_takes: Some(Duration::from_millis(5)),
            is_idle: false,
            job_takes: Some(Duration::from_millis(700)),
            job_tag: None,
            queued_takes: None,
            model: None,
            breaks: None,
            last_words: Vec::new(),
            port: None,
            device_id: None,
        }
    }

    fn send_after(&mut self, wait: Duration, bytes: Vec<u8>) {
        self.sends.push_back((self.clock.get() + wait, bytes));
        self.sends.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// What comes through when the command it is in has taken its part.
    fn beyond_command<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let taken = self.inside.min(bytes.len());
        self.inside -= taken;
        &bytes[taken..]
    }

    fn answer(&mut self, question: &[u8]) {
        // Also in the middle of a command.
        if let [0x10, 0x04, n] = question {
            let printed = !self.printed.is_empty();
            let now = self.real_time_after.filter(|_| printed).or(self.real_time);
            if let Some(bytes) = now {
                self.send_after(self.real_time_takes, vec![bytes[usize::from(*n) - 1]]);
            }
        }
        match self.beyond_command(question) {
            [.., 0x1b, b'@'] => self.is_idle = true,
            [0x1d, b'(', b'H', 6, 0, b'0', b'0', tag @ ..] => {
                if let Some(takes) = if self.is_idle { self.turn_takes } else { self.job_takes } {
                    let tag = self.job_tag.filter(|_| !self.is_idle).map_or(tag.to_vec(), |tag| tag.to_vec());
                    self.send_after(takes, [&[0x37, 0x22], &tag[..], &[0]].concat());
                }
            }
            questions @ [0x1d, b'r', 1, ..] => {
                if let Some(takes) = if self.is_idle { self.turn_takes } else { self.queued_takes } {
                    self.send_after(takes, vec![0; questions.len() / 3]);
                }
            }
            [0x1d, b'I', n] => {
                if let Some(model) = self.model {
                    let text = if *n == 67 { model } else { "X" };
                    self.send_after(Duration::from_millis(9), [b"\x5f", text.as_bytes(), b"\0"].concat());
                }
            }
            _ => {}
        }
    }
}

impl Link for FakePrinter {
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), Broken> {
        let room = self.breaks.map_or(usize::MAX, |(at, _)| at.saturating_sub(self.printed.len()));
        let taken = bytes.len().min(room);
        self.printed.extend(&bytes[..taken]);
        let beyond = self.beyond_command(&bytes[..taken]).len();
        self.swallowed += taken - beyond;
        self.is_idle &= beyond == 0;
        self.writes.push(taken);
        match self.breaks {
            Some((_, fault)) if taken < bytes.len() => {
                let words = std::mem::take(&mut self.last_words);
                if !words.is_empty() {
                    self.send_after(Duration::ZERO, words);
                }
                if fault == Fault::Timeout {
                    self.clock.set(self.clock.get() + timeout);
                }
                Err(Broken { fault, written: taken })
            }
            _ => Ok(()),
        }
    }

    fn ask(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), Fault> {
        self.asked.push(bytes.to_vec());
        self.answer(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, Fault> {
        if self.deaf {
            return Err(Fault::Unsupported);
        }
        let until = self.clock.get() + timeout;
        match self.sends.front() {
            Some((at, _)) if *at <= until => {
                self.clock.set(self.clock.get().max(*at));
                let (_, bytes) = self.sends.pop_front().unwrap();
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            _ => {
                self.clock.set(until);
                Err(Fault::Timeout)
            }
        }
    }

    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        _timeout: Duration,
    ) -> Result<usize, Fault> {
        let answer = match request {
            ControlIn { request_type: 0xa1, request: 1, .. } => self.port.map(|port| vec![port]),
            ControlIn { request_type: 0xa1, request: 0, .. } => self.device_id.map(|id| {
                let length = (id.len() as u16 + 2).to_be_bytes();
                [&length, id.as_bytes()].concat()
            }),
            _ => None,
        };
        let answer = answer.ok_or(Fault::Unsupported)?;
        buffer[..answer.len()].copy_from_slice(&answer);
        Ok(answer.len())
    }
}

/// A driver, its host and its printer.
pub struct Bench {
    pub host: Rc<FakeHost>,
    pub printer: FakePrinter,
    pub driver: Escpos,
}

impl Bench {
    pub fn new(config: &str) -> Bench {
        let host = Rc::new(FakeHost::default());
        let for_driver: Host = host.clone();
        let driver = Escpos::create(for_driver, config).unwrap();
        let printer = FakePrinter::new(&host);
        Bench { host, printer, driver }
    }

    pub fn run(&mut self, ops: &[Op<'_>]) -> Report {
        self.driver.run(&mut self.printer, ops, LONG)
    }

    pub fn status(&mut self) -> Result<Status, Fault> {
        self.driver.status(&mut self.printer, LONG)
    }
}

/// The bytes of a document.
pub fn bytes(config: &str, ops: &[Op<'_>]) -> Vec<u8> {
    let mut bench = Bench::new(config);
    let report = bench.run(ops);
    assert_eq!(report.fault, None, "{}", report.text);
    assert_eq!(report.ops_done, ops.len());
    bench.printer.printed
}

/// Why a document is refused; nothing of it left.
pub fn refusal(config: &str, ops: &[Op<'_>]) -> (Fault, String) {
    let mut bench = Bench::new(config);
    let report = bench.run(ops);
    assert_eq!(report.done, driver_sdk::Done::None);
    assert!(bench.printer.printed.is_empty());
    (report.fault.unwrap(), report.text)
}
