//! A host's threads: one reads frames, one calls the driver, one says each second that the process lives. Knows neither
//! what a document says nor who supervises.

use crate::line::{Line, Lost};
use crate::plugin::{Device, Plugin, RunResult, Services};
use driver_abi::{Done, Fault, Op, Status};
use driver_frames::{
    BEAT_MS, FRAMES_VERSION, FromHost, Kind, PluginInfo, Refusal, Report, Start, ToHost, read_frame,
    write_frame,
};
use parking_lot::Mutex;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Requests that wait for the driver; a supervisor sends one document at a time.
const REQUESTS_MAX: usize = 8;
/// A device that was just opened gets so long to be brought into a known state.
const RESET_MAX: Duration = Duration::from_secs(5);
/// A driver whose supervisor is gone gets so long to come back.
const ORPHAN_MAX: Duration = Duration::from_secs(2);

/// The pipe to the supervisor, shared by the threads.
#[derive(Clone)]
struct Voice(Arc<Mutex<File>>);

/// What the threads know of each other.
struct Shared {
    cancelled: Arc<AtomicBool>,
    /// Since when the driver is in a call: ms since `began`, 0: it is in none.
    busy_since: AtomicU64,
    began: Instant,
}

/// Everything for one device.
struct Host {
    device: Device,
    line: Line,
    voice: Voice,
    shared: Arc<Shared>,
    kind: Kind,
    /// What was last told of the line.
    up: Option<bool>,
    next_tick: Option<Instant>,
}

/// Serves one supervisor on a pair of pipes until it says stop or is gone.
///
/// # Errors
/// The pipes.
pub fn serve(mut input: File, output: File) -> anyhow::Result<()> {
    let voice = Voice(Arc::new(Mutex::new(output)));
    voice.say(&FromHost::Hello { version: FRAMES_VERSION });
    let ToHost::Start(start) = read_frame(&mut input)? else {
        anyhow::bail!("the first frame has to be the start");
    };
    let shared =
        Arc::new(Shared { cancelled: Arc::default(), busy_since: AtomicU64::new(0), began: Instant::now() });
    beat(&voice, &shared)?;
    let host = match Host::start(&start, &voice, &shared) {
        Ok(host) => host,
        Err((refusal, text)) => {
            voice.say(&FromHost::Refused { refusal, text });
            return Ok(());
        }
    };
    let (requests, waiting) = sync_channel(REQUESTS_MAX);
    let for_reader = Arc::clone(&shared);
    std::thread::Builder::new()
        .name("frames".to_owned())
        .spawn(move || listen(input, &requests, &for_reader))?;
    host.work(&waiting);
    Ok(())
}

fn beat(voice: &Voice, shared: &Arc<Shared>) -> std::io::Result<()> {
    let (voice, shared) = (voice.clone(), Arc::clone(shared));
    std::thread::Builder::new().name("beat".to_owned()).spawn(move || {
        loop {
            let since = shared.busy_since.load(Ordering::Relaxed);
            let now = shared.began.elapsed().as_millis() as u64;
            let busy_ms = (since > 0).then(|| u32::try_from(now.saturating_sub(since)).unwrap_or(u32::MAX));
            voice.say(&FromHost::Beat { busy_ms });
            std::thread::sleep(Duration::from_millis(BEAT_MS));
        }
    })?;
    Ok(())
}

/// A cancel is heard while the driver is in a call; everything else waits its turn.
fn listen(mut input: File, requests: &SyncSender<ToHost>, shared: &Shared) {
    loop {
        match read_frame(&mut input) {
            Ok(ToHost::Cancel) => shared.cancelled.store(true, Ordering::SeqCst),
            Ok(request) => {
                if requests.send(request).is_err() {
                    return;
                }
            }
            Err(_) => break,
        }
    }
    // Nobody listens any more: what is under way is given up, and a driver that does not come back ends with us.
    shared.cancelled.store(true, Ordering::SeqCst);
    let _ = requests.try_send(ToHost::Stop);
    std::thread::sleep(ORPHAN_MAX);
    std::process::exit(1);
}

/// What a driver says about itself, for people and programs.
pub fn describe(info: &PluginInfo) -> serde_json::Value {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    serde_json::json!({
        "id": info.id, "name": info.name, "kind": info.kind, "vendor": info.vendor, "version": info.version,
        "licence": info.licence, "abi": format!("{}.{}", info.abi.0, info.abi.1), "sha256": info.sha256,
        "match": json(&info.match_json), "config_schema": json(&info.config_schema),
    })
}

// === impl Voice ===

impl Voice {
    fn say(&self, message: &FromHost) {
        // A supervisor that is gone is noticed by the thread that reads.
        let _ = write_frame(&mut *self.0.lock(), message);
    }
}

// === impl Host ===

impl Host {
    fn start(start: &Start, voice: &Voice, shared: &Arc<Shared>) -> Result<Host, (Refusal, String)> {
        let plugin = Plugin::load(Path::new(&start.plugin), start.sha256.as_deref())
            .map_err(|error| (Refusal::Plugin, error.to_string()))?;
        let complaint: Arc<Mutex<String>> = Arc::default();
        let services = services(voice, shared, &complaint);
        let mut device = Device::create(&plugin, services, &start.config).map_err(|fault| {
            let text = std::mem::take(&mut *complaint.lock());
            let text = if text.is_empty() { fault.to_string() } else { text };
            (if fault == Fault::Config { Refusal::Settings } else { Refusal::Plugin }, text)
        })?;
        let capabilities =
            device.capabilities().map_err(|fault| (Refusal::Plugin, format!("its capabilities: {fault}")))?;
        let record = start.record.as_deref().map(Path::new);
        let line = Line::new(start.way.clone(), Arc::clone(&shared.cancelled), record)
            .map_err(|error| (Refusal::System, format!("the record of the device's traffic: {error}")))?;
        let (kind, voice, shared) = (plugin.info.kind, voice.clone(), Arc::clone(shared));
        voice.say(&FromHost::Started { info: Box::new(plugin.info), capabilities: Box::new(capabilities) });
        Ok(Host { device, line, voice, shared, kind, up: None, next_tick: None })
    }

    fn work(mut self, requests: &Receiver<ToHost>) {
        loop {
            let request = match self.next_tick {
                Some(at) => requests.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok(ToHost::Run { id, ops, timeout_ms }) => {
                    let report = self.busy(|host| host.run(&ops, ms(timeout_ms)));
                    self.voice.say(&FromHost::Ran { id, report });
                    self.tick();
                    self.rest();
                }
                Ok(ToHost::Status { id, timeout_ms }) => {
                    let status = self.busy(|host| host.status(ms(timeout_ms)));
                    self.voice.say(&FromHost::StatusIs { id, status });
                    self.rest();
                }
                Ok(ToHost::Probe { id, timeout_ms }) => {
                    let found = self.busy(|host| {
                        host.open().map_err(|lost| lost.fault)?;
                        host.device.probe(&mut host.line, ms(timeout_ms))
                    });
                    self.voice.say(&FromHost::Probed { id, found });
                    self.rest();
                }
                Ok(ToHost::Start(_) | ToHost::Cancel) => {}
                Ok(ToHost::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.tick(),
            }
            // A cancel is meant for what was under way.
            self.shared.cancelled.store(false, Ordering::SeqCst);
        }
    }

    /// Between documents. A display keeps its line: its texts run on and its picture heals.
    fn rest(&mut self) {
        if self.kind == Kind::Printer {
            self.line.rest();
        }
    }

    /// Runs a call into the driver, with its length told in the beats.
    fn busy<T>(&mut self, call: impl FnOnce(&mut Host) -> T) -> T {
        let now = self.shared.began.elapsed().as_millis() as u64;
        self.shared.busy_since.store(now.max(1), Ordering::Relaxed);
        let result = call(self);
        self.shared.busy_since.store(0, Ordering::Relaxed);
        result
    }

    fn run(&mut self, ops: &[Op<'_>], timeout: Duration) -> Report {
        let began = Instant::now();
        self.line.begin();
        let result = match self.open() {
            Ok(()) => self.device.run(&mut self.line, ops, timeout),
            Err(lost) => RunResult {
                done: Done::None,
                fault: Some(lost.fault),
                ops_done: 0,
                status: Status::UNKNOWN,
                native_code: 0,
                text: lost.text,
            },
        };
        let sent = self.line.printing();
        Report {
            done: truth(result.done, result.fault, sent),
            fault: result.fault,
            ops_done: result.ops_done,
            bytes_sent: sent,
            status: result.status,
            native_code: result.native_code,
            text: result.text,
            took_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
        }
    }

    fn status(&mut self, timeout: Duration) -> Result<Status, Fault> {
        self.open().map_err(|lost| lost.fault)?;
        self.device.status(&mut self.line, timeout)
    }

    fn tick(&mut self) {
        if !self.line.is_open() {
            self.next_tick = None;
            return;
        }
        let next = self.busy(|host| host.device.tick(&mut host.line));
        // A tick that fails has its line closed; the next document opens it again.
        self.next_tick = next.ok().flatten().map(|wait| Instant::now() + wait);
    }

    /// The line open and the device in a known state.
    fn open(&mut self) -> Result<(), Lost> {
        let opened = match self.line.open() {
            Ok(false) => return Ok(()),
            Ok(true) => self.device.reset(&mut self.line, RESET_MAX).map_err(|fault| {
                self.line.close();
                Lost {
                    fault,
                    text: format!("{}: {fault}, while it was brought into a known state", self.line.way()),
                }
            }),
            Err(lost) => Err(lost),
        };
        let up = opened.is_ok();
        if up {
            // What a driver does by itself ended with the line that was lost; it begins anew, whoever opened this one.
            self.next_tick = Some(Instant::now());
        }
        if self.up != Some(up) {
            self.up = Some(up);
            let text = match &opened {
                Ok(()) => self.line.way().to_string(),
                Err(lost) => lost.text.clone(),
            };
            self.voice.say(&FromHost::Link { up, text });
        }
        opened
    }
}

/// What became of a document. A driver that calls a broken job unprinted though bytes left is not believed, nor one
/// that calls it sent though nothing did.
fn truth(done: Done, fault: Option<Fault>, sent: u64) -> Done {
    match (done, fault) {
        (Done::None, _) if sent > 0 => Done::Unknown,
        (Done::Sent, Some(_)) => Done::Unknown,
        (Done::Unknown, _) if sent == 0 => Done::None,
        _ => done,
    }
}

fn services(voice: &Voice, shared: &Shared, complaint: &Arc<Mutex<String>>) -> Services {
    let (for_log, for_status, complaint) = (voice.clone(), voice.clone(), Arc::clone(complaint));
    Services {
        log: Box::new(move |level, text| {
            if level == driver_abi::raw::LOG_ERROR {
                text.clone_into(&mut complaint.lock());
            }
            let level = u8::try_from(level).unwrap_or(1);
            for_log.say(&FromHost::Log { level, text: text.to_owned() });
        }),
        changed: Box::new(move |status| for_status.say(&FromHost::Changed { status })),
        cancelled: Arc::clone(&shared.cancelled),
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_believed_only_as_far_as_bytes_left() {
        let io = Some(Fault::Io);
        for (said, fault, sent, truth_is) in [
            (Done::None, io, 0, Done::None),
            (Done::None, io, 1, Done::Unknown),
            (Done::None, None, 9, Done::Unknown),
            (Done::Sent, None, 9, Done::Sent),
            (Done::Sent, io, 9, Done::Unknown),
            (Done::Confirmed, None, 9, Done::Confirmed),
            (Done::Unknown, Some(Fault::Panic), 0, Done::None),
            (Done::Unknown, io, 1, Done::Unknown),
        ] {
            assert_eq!(truth(said, fault, sent), truth_is, "{said:?} {fault:?} {sent}");
        }
    }
}
