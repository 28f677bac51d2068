//! A driver on the bench: its device made, a scripted device at the other end, and every answer about a document looked
//! at as it comes. Knows no single case.

use crate::fake::{Fake, Says, Takes, Wire};
use crate::watch;
use driver_abi::{Capabilities, Done, Fault, Kind, Op, Status, raw};
use driver_frames::Way;
use driver_host::line::Line;
use driver_host::plugin::{Device, Plugin, Services};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Calls without I/O have to be over in so long.
const AT_ONCE: Duration = Duration::from_millis(100);
/// More time than a document needs on a device that is well.
pub const PLENTY: Duration = Duration::from_secs(3);
/// What the header gives a meaning.
const STATUS_BITS: u32 = 0x1ff | 1 << 30;
/// Marks around what a case looks for on the wire: no sequence of them is part of anybody's command.
pub const MARKS: (&str, &str) = ("QXJ7", "ZK3W");

/// What is checked.
pub struct Subject {
    /// The driver's file.
    pub plugin: PathBuf,
    /// Settings it has to take.
    pub config: String,
    /// Where chance begins.
    pub seed: u64,
    /// Loaded once: what is loaded stays, and a case makes hundreds of devices.
    loaded: OnceLock<Plugin>,
}

/// What a driver asked of its host besides the line.
#[derive(Debug, Default)]
pub struct Heard {
    /// Lines of the log: level, text.
    pub log: Vec<(i32, String)>,
    /// Lines of the log in all; not all are kept.
    pub lines: usize,
    /// How often a change of status was told.
    pub changes: usize,
    /// Calls from another thread than the device's.
    pub foreign: usize,
}

/// A device made, and a scripted one at the other end of its line.
pub struct Bench {
    /// The driver's device.
    pub device: Device,
    /// The way to the scripted one.
    pub line: Line,
    /// What came over it.
    pub wire: Arc<Mutex<Wire>>,
    /// What was asked of the host.
    pub heard: Arc<Mutex<Heard>>,
    /// Set: the driver is to give up.
    pub cancelled: Arc<AtomicBool>,
    /// Printer or display.
    pub kind: Kind,
    cuts: bool,
}

/// What became of a document, as the driver answered and as the line saw it.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The driver's.
    pub done: Done,
    /// The driver's.
    pub fault: Option<Fault>,
    /// The driver's: ops whose bytes all left.
    pub ops_done: usize,
    /// The driver's.
    pub status: Status,
    /// The line's: bytes that left and may have printed.
    pub printed: u64,
    /// How long it took.
    pub took: Duration,
}

// === impl Subject ===

impl Subject {
    /// A driver's file, settings and seed.
    pub fn new(plugin: PathBuf, config: String, seed: u64) -> Subject {
        Subject { plugin, config, seed, loaded: OnceLock::new() }
    }

    /// The file loaded, once.
    ///
    /// # Errors
    /// What is wrong with its table.
    pub fn load(&self) -> Result<Plugin, String> {
        if let Some(plugin) = self.loaded.get() {
            return Ok(plugin.clone());
        }
        let plugin = self.load_anew()?;
        Ok(self.loaded.get_or_init(|| plugin).clone())
    }

    /// The file loaded once more.
    ///
    /// # Errors
    /// What is wrong with its table.
    pub fn load_anew(&self) -> Result<Plugin, String> {
        watch::call(raw::ENTRY, AT_ONCE, || Plugin::load(&self.plugin, None))
            .map_err(|error| error.to_string())
    }

    /// On the bench with the settings that were given, its device brought into a known state as a host does it. Over
    /// USB there is a control end-point.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn bench(&self, usb: bool, takes: Takes, says: Says) -> Result<Bench, String> {
        let plugin = self.load()?;
        let cancelled: Arc<AtomicBool> = Arc::default();
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let device = make(&plugin, &heard, &cancelled, &self.config).map_err(|fault| {
            let log = heard.lock().log.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>().join("; ");
            format!("`create` refused the settings {}: {fault} ({log})", self.config)
        })?;
        let (fake, wire) = Fake::new(usb, Arc::clone(&cancelled));
        // The line itself is never cancelled: the scripted device answers in its place, and counts.
        let line = Line::over(Box::new(fake), Way::File("a script".to_owned()), Arc::default());
        let mut bench = Bench { device, line, wire, heard, cancelled, kind: plugin.info.kind, cuts: false };
        // Capabilities that are none are another case's to tell.
        bench.cuts = bench.capabilities().is_ok_and(|able| able.cuts);
        if let Err(fault) = bench.reset(PLENTY)? {
            return Err(format!("`reset` failed on a device that is well: {fault}"));
        }
        bench.wire.lock().set(takes, says);
        Ok(bench)
    }

    /// On the bench with a device that is well.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn well(&self) -> Result<Bench, String> {
        self.bench(false, Takes::All, Says::Answers { paper: true })
    }
}

/// `create`, watched.
///
/// # Errors
/// The driver's fault.
pub fn make(
    plugin: &Plugin,
    heard: &Arc<Mutex<Heard>>,
    cancelled: &Arc<AtomicBool>,
    config: &str,
) -> Result<Device, Fault> {
    /// Lines that are kept to be read.
    const LINES_KEPT: usize = 100;
    let own = std::thread::current().id();
    let (for_log, for_status) = (Arc::clone(heard), Arc::clone(heard));
    let services = Services {
        log: Box::new(move |level, text| {
            let mut heard = for_log.lock();
            heard.lines += 1;
            heard.foreign += usize::from(std::thread::current().id() != own);
            if heard.log.len() < LINES_KEPT {
                heard.log.push((level, text.to_owned()));
            }
        }),
        changed: Box::new(move |_| {
            let mut heard = for_status.lock();
            heard.changes += 1;
            heard.foreign += usize::from(std::thread::current().id() != own);
        }),
        cancelled: Arc::clone(cancelled),
    };
    watch::call("create", AT_ONCE, || Device::create(plugin, services, config))
}

/// `destroy`, watched.
pub fn unmake(device: Device) {
    watch::call("destroy", AT_ONCE, || drop(device));
}

// === impl Bench ===

impl Bench {
    /// What it says it is able to do.
    ///
    /// # Errors
    /// In words.
    pub fn capabilities(&mut self) -> Result<Capabilities, String> {
        watch::call("capabilities", AT_ONCE, || self.device.capabilities())
            .map_err(|fault| format!("`capabilities`: {}", cause(fault)))
    }

    /// `status`, whose bits are looked at.
    ///
    /// # Errors
    /// In words: a rule that was broken. A fault is an answer.
    pub fn status(&mut self, timeout: Duration) -> Result<Result<Status, Fault>, String> {
        self.line.begin();
        let status = watch::call("status", timeout, || self.device.status(&mut self.line, timeout));
        self.no_print("status")?;
        match status {
            Err(fault @ (Fault::Panic | Fault::Internal)) => Err(format!("`status`: {}", cause(fault))),
            Ok(status) => known_bits("`status`", status).map(|()| Ok(status)),
            fault => Ok(fault),
        }
    }

    /// `probe`.
    ///
    /// # Errors
    /// In words: a rule that was broken. A fault is an answer.
    pub fn probe(&mut self, timeout: Duration) -> Result<Result<String, Fault>, String> {
        self.line.begin();
        let found = watch::call("probe", timeout, || self.device.probe(&mut self.line, timeout));
        self.no_print("probe")?;
        match found {
            Err(fault @ (Fault::Panic | Fault::Internal)) => Err(format!("`probe`: {}", cause(fault))),
            Ok(text) => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(_) => Ok(Ok(text)),
                Err(error) => Err(format!("`probe` answered what is no JSON: {error}: {text:?}")),
            },
            fault => Ok(fault),
        }
    }

    /// `reset`.
    ///
    /// # Errors
    /// In words: a rule that was broken. A fault is an answer.
    pub fn reset(&mut self, timeout: Duration) -> Result<Result<(), Fault>, String> {
        self.line.begin();
        let done = watch::call("reset", timeout, || self.device.reset(&mut self.line, timeout));
        self.no_print("reset")?;
        match done {
            Err(fault @ (Fault::Panic | Fault::Internal)) => Err(format!("`reset`: {}", cause(fault))),
            answer => Ok(answer),
        }
    }

    /// `tick`. It is given no time of its own: a second is what it may take.
    ///
    /// # Errors
    /// In words: a rule that was broken. A fault is an answer.
    pub fn tick(&mut self) -> Result<Result<Option<Duration>, Fault>, String> {
        let next = watch::call("tick", Duration::from_secs(1), || self.device.tick(&mut self.line));
        match next {
            Err(fault @ (Fault::Panic | Fault::Internal)) => Err(format!("`tick`: {}", cause(fault))),
            answer => Ok(answer),
        }
    }

    /// Prints or shows a document. Whatever the case, the answer has to be one that the header has.
    ///
    /// # Errors
    /// In words: what of the answer cannot be.
    pub fn run(&mut self, ops: &[Op<'_>], timeout: Duration) -> Result<Ran, String> {
        let raw_ops: Vec<(raw::Op, &[u8])> = ops.iter().map(|op| (op.to_raw(), data(op))).collect();
        self.run_raw(&raw_ops, timeout)
    }

    /// The same of ops that may be none.
    ///
    /// # Errors
    /// In words: what of the answer cannot be.
    pub fn run_raw(&mut self, ops: &[(raw::Op, &[u8])], timeout: Duration) -> Result<Ran, String> {
        self.line.begin();
        let began = Instant::now();
        let (code, result) =
            watch::call("run", timeout, || self.device.run_raw(&mut self.line, ops, timeout));
        let took = began.elapsed();
        let printed = self.line.printing();
        let fault = known_code(code)?;
        let text = result.text.get(..result.text_len as usize).ok_or_else(|| {
            let most = raw::RESULT_TEXT_MAX;
            format!("`run` answered a text of {} bytes, there is room for {most}", result.text_len)
        })?;
        if let Err(error) = std::str::from_utf8(text) {
            return Err(format!("`run` answered a text that is not UTF-8: {error}"));
        }
        if result.done > 3 {
            return Err(format!("`run` answered done = {}, which no GHD_DONE_ is", result.done));
        }
        if result.ops_done as usize > ops.len() {
            return Err(format!("`run` answered that {} of {} ops are done", result.ops_done, ops.len()));
        }
        let status = Status(result.device_bits);
        known_bits("`run`", status)?;
        let done = Done::from_number(result.done);
        if done == Done::None && printed > 0 {
            return Err(format!(
                "`run` answered GHD_DONE_NONE ({}) after {printed} bytes that may have printed had left: the host would \
                 print it again",
                fault_words(fault)
            ));
        }
        Ok(Ran { done, fault, ops_done: result.ops_done as usize, status, printed, took })
    }

    /// Gives up after so long, from another thread.
    pub fn cancel_after(&self, wait: Duration) -> std::thread::JoinHandle<()> {
        let cancelled = Arc::clone(&self.cancelled);
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            cancelled.store(true, Ordering::SeqCst);
        })
    }

    /// A document with these words that prints on every printer and shows on every display.
    pub fn words(&self, words: &str) -> Vec<Op<'static>> {
        let words = words.to_owned();
        match self.kind {
            Kind::Printer if self.cuts => {
                vec![Op::Text(words.into()), Op::Newline, Op::Cut(driver_abi::Cut::Partial)]
            }
            Kind::Printer => vec![Op::Text(words.into()), Op::Newline],
            Kind::Display => vec![Op::Clear, Op::Line { line: 1, text: words.into() }],
        }
    }

    fn no_print(&self, call: &str) -> Result<(), String> {
        match self.line.printing() {
            0 => Ok(()),
            n => Err(format!("`{call}` wrote {n} bytes without GHD_W_ASK: it must not print")),
        }
    }
}

/// The bytes an op points to.
pub fn data<'a>(op: &'a Op<'_>) -> &'a [u8] {
    match op {
        Op::Text(text) | Op::Line { text, .. } | Op::Scroll { text, .. } => text.as_bytes(),
        Op::Qr { data, .. } => data,
        Op::Barcode(code) => code.data.as_bytes(),
        Op::Image { dots, .. } => dots,
        _ => &[],
    }
}

fn known_code(code: i32) -> Result<Option<Fault>, String> {
    match Fault::ALL.iter().copied().find(|fault| fault.number() == code) {
        _ if code == 0 => Ok(None),
        Some(Fault::Panic) => Err(format!("`run`: {}", cause(Fault::Panic))),
        Some(fault) => Ok(Some(fault)),
        None => Err(format!("`run` answered the code {code}, which no GHD_E_ is")),
    }
}

fn known_bits(call: &str, status: Status) -> Result<(), String> {
    if status.0 & !STATUS_BITS != 0 {
        return Err(format!("{call} answered the status {:#x}, with bits that no GHD_S_ is", status.0));
    }
    Ok(())
}

fn cause(fault: Fault) -> String {
    match fault {
        Fault::Panic => "the driver panicked (GHD_E_PANIC): a host ends its process now".to_owned(),
        Fault::Internal => "GHD_E_INTERNAL, or a code that the header does not have".to_owned(),
        fault => fault.to_string(),
    }
}

/// A fault or that there was none.
pub fn fault_words(fault: Option<Fault>) -> String {
    fault.map_or("GHD_OK".to_owned(), |fault| format!("code {}, {fault}", fault.number()))
}
