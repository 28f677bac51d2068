//! A host's threads: one reads frames, one calls the driver, one says each second that the process lives. Knows neither
//! what a document says nor who supervises.

use crate::confine::{self, Walls};
use crate::image::Image;
use crate::line::{Line, Lost};
use crate::plugin::{Device, Plugin, RunResult, Services};
use crate::shared::{REQUESTS_MAX, Shared};
use driver_abi::{Done, Fault, Op, Status, raw};
use driver_frames::{
    BEAT_MS, FRAMES_VERSION, FrameError, FromHost, Kind, PluginInfo, Refusal, Report, Start, ToHost,
    read_frame, write_frame,
};
use parking_lot::Mutex;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// A device that was just opened gets so long to be brought into a known state.
const RESET_MAX: Duration = Duration::from_secs(5);
/// A driver's own time is at most so long.
const TICK_MAX: Duration = Duration::from_secs(5);
/// A driver whose supervisor is gone gets so long to come back.
const ORPHAN_MAX: Duration = Duration::from_secs(2);

/// The pipe to the supervisor, shared by the threads.
#[derive(Clone)]
struct Voice(Arc<Mutex<File>>);

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
/// The pipes; a supervisor that speaks otherwise.
pub fn serve(mut input: File, output: File) -> anyhow::Result<()> {
    let voice = Voice(Arc::new(Mutex::new(output)));
    voice.say(&FromHost::Hello { version: FRAMES_VERSION });
    let ToHost::Start(start) = read_frame(&mut input)? else {
        anyhow::bail!("the first frame has to be the start");
    };
    let refused = |(refusal, text)| {
        voice.say(&FromHost::Refused { refusal, text });
        Ok(())
    };
    if let Err(error) = confine::give_way() {
        // Some sandboxes forbid it; then a gate may wait for a slice now and then.
        voice.log(raw::LOG_DEBUG, &format!("the scheduler does not let this process give way: {error:?}"));
    }
    // All files are open before the doors are shut, and those are shut before any thread and the driver begin.
    let shared = Arc::new(Shared::new());
    let (image, line) = match open_files(&start, &shared) {
        Ok(files) => files,
        Err(told) => return refused(told),
    };
    match confine::shut_in(Some(&start.way)) {
        Ok(Walls::None) => voice.log(raw::LOG_WARN, &Walls::None.to_string()),
        Ok(walls) => voice.log(raw::LOG_INFO, &walls.to_string()),
        Err(error) => return refused((Refusal::System, format!("failed to shut the driver in: {error}"))),
    }
    let (requests, waiting) = sync_channel(REQUESTS_MAX as usize + 1);
    // A thread that begins needs the loader's lock for a moment, which a driver's start-up code holds, maybe for ever:
    // nothing is loaded before both have begun.
    let begun = Arc::new(Barrier::new(3));
    beat(&voice, &shared, &begun)?;
    let (for_reader, its_voice, its_begun) = (Arc::clone(&shared), voice.clone(), Arc::clone(&begun));
    std::thread::Builder::new().name("frames".to_owned()).spawn(move || {
        its_begun.wait();
        listen(input, &requests, &for_reader, &its_voice);
    })?;
    begun.wait();
    match shared.busy(|| Host::start(&start, image, line, &voice, &shared)) {
        Ok(host) => host.work(&waiting),
        Err(told) => return refused(told),
    }
    Ok(())
}

type Refused = (Refusal, String);

fn open_files(start: &Start, shared: &Shared) -> Result<(Image, Line), Refused> {
    let image = Image::take(Path::new(&start.plugin), start.sha256.as_deref())
        .map_err(|error| (Refusal::Plugin, error.to_string()))?;
    let record = start.record.as_deref().map(Path::new);
    let line = Line::new(start.way.clone(), Arc::clone(&shared.cancelled), record)
        .map_err(|error| (Refusal::System, format!("the record of the device's traffic: {error}")))?;
    Ok((image, line))
}

fn beat(voice: &Voice, shared: &Arc<Shared>, begun: &Arc<Barrier>) -> std::io::Result<()> {
    let (voice, shared, begun) = (voice.clone(), Arc::clone(shared), Arc::clone(begun));
    std::thread::Builder::new().name("beat".to_owned()).spawn(move || {
        begun.wait();
        loop {
            voice.say(&FromHost::Beat { busy_ms: shared.busy_ms() });
            std::thread::sleep(Duration::from_millis(BEAT_MS));
        }
    })?;
    Ok(())
}

/// A cancel is heard while the driver is in a call; everything else waits its turn. Never waits for the driver itself.
fn listen(mut input: File, requests: &SyncSender<(u64, ToHost)>, shared: &Shared, voice: &Voice) {
    loop {
        match read_frame(&mut input) {
            Ok(ToHost::Cancel) => shared.cancel(),
            // There is always room for it, and a second one is not needed.
            Ok(ToHost::Stop) => drop(requests.try_send((u64::MAX, ToHost::Stop))),
            Ok(request) => match shared.ask() {
                Some(turn) => drop(requests.try_send((turn, request))),
                None => voice.refuse(&request),
            },
            Err(FrameError::Ended) => break,
            Err(error) => {
                // Where a frame begins is not known any more: there is nothing left to be heard.
                voice.log(raw::LOG_ERROR, &format!("the supervisor sent what is no frame: {error}"));
                break;
            }
        }
    }
    // Nobody speaks any more: what is under way is given up, and a driver that does not come back ends with us.
    shared.cancel_for_good();
    let _ = requests.try_send((u64::MAX, ToHost::Stop));
    std::thread::sleep(ORPHAN_MAX);
    // Not `exit`: that runs the driver's own clean-up, which may hang as it does.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
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

    fn log(&self, level: i32, text: &str) {
        let level = u8::try_from(level).unwrap_or(raw::LOG_ERROR as u8);
        self.say(&FromHost::Log { level, text: text.to_owned() });
    }

    /// At the limit of what may wait: nothing was begun with it.
    fn refuse(&self, request: &ToHost) {
        match request {
            ToHost::Run { id, .. } => {
                let text = format!("{REQUESTS_MAX} requests wait for this device already");
                let report = unprinted(Fault::Busy, text, Duration::ZERO);
                self.say(&FromHost::Ran { id: *id, report });
            }
            ToHost::Status { id, .. } => {
                self.say(&FromHost::StatusIs { id: *id, status: Err(Fault::Busy) });
            }
            ToHost::Probe { id, .. } => self.say(&FromHost::Probed { id: *id, found: Err(Fault::Busy) }),
            ToHost::Start(_) | ToHost::Cancel | ToHost::Stop => {}
        }
    }
}

// === impl Host ===

impl Host {
    fn start(
        start: &Start,
        image: Image,
        line: Line,
        voice: &Voice,
        shared: &Arc<Shared>,
    ) -> Result<Host, Refused> {
        let plugin = Plugin::from_image(image).map_err(|error| (Refusal::Plugin, error.to_string()))?;
        let complaint: Arc<Mutex<String>> = Arc::default();
        let services = services(voice, shared, &complaint);
        let mut device = Device::create(&plugin, services, &start.config).map_err(|fault| {
            let text = std::mem::take(&mut *complaint.lock());
            let text = if text.is_empty() { fault.to_string() } else { text };
            (if fault == Fault::Config { Refusal::Settings } else { Refusal::Plugin }, text)
        })?;
        let capabilities =
            device.capabilities().map_err(|fault| (Refusal::Plugin, format!("its capabilities: {fault}")))?;
        let (kind, voice, shared) = (plugin.info.kind, voice.clone(), Arc::clone(shared));
        voice.say(&FromHost::Started { info: Box::new(plugin.info), capabilities: Box::new(capabilities) });
        Ok(Host { device, line, voice, shared, kind, up: None, next_tick: None })
    }

    fn work(mut self, requests: &Receiver<(u64, ToHost)>) {
        loop {
            let request = match self.next_tick {
                Some(at) => requests.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok((_, ToHost::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok((turn, request)) => {
                    self.answer(turn, request);
                    self.shared.answered();
                }
                Err(RecvTimeoutError::Timeout) => self.tick(),
            }
        }
        if let Some(words) = self.line.leftover() {
            self.voice.log(raw::LOG_WARN, &words);
        }
    }

    fn answer(&mut self, turn: u64, request: ToHost) {
        self.shared.begin(turn);
        let shared = Arc::clone(&self.shared);
        match request {
            ToHost::Run { id, ops, timeout_ms } => {
                let report = shared.busy(|| self.run(&ops, ms(timeout_ms)));
                self.voice.say(&FromHost::Ran { id, report });
                self.tick();
            }
            ToHost::Status { id, timeout_ms } => {
                let status = shared.busy(|| self.status(ms(timeout_ms)));
                self.voice.say(&FromHost::StatusIs { id, status });
            }
            ToHost::Probe { id, timeout_ms } => {
                let found = shared.busy(|| self.probe(ms(timeout_ms)));
                self.voice.say(&FromHost::Probed { id, found });
            }
            ToHost::Start(_) | ToHost::Cancel | ToHost::Stop => {}
        }
        // A display keeps its line between documents: its texts run on and its picture heals.
        if self.kind == Kind::Printer {
            self.line.rest();
        }
    }

    fn run(&mut self, ops: &[Op<'_>], timeout: Duration) -> Report {
        let began = Instant::now();
        self.line.begin();
        self.line.within(timeout);
        if let Err(lost) = self.open() {
            return unprinted(lost.fault, lost.text, began.elapsed());
        }
        let left = self.line.left();
        let mut result = self.device.run(&mut self.line, ops, left);
        let sent = self.line.printing();
        // "All bytes left" is the host's to know: the system took them, and may still have them.
        if result.done == Done::Sent
            && result.fault.is_none()
            && sent > 0
            && let Err(fault) = self.line.settle(self.line.left())
        {
            result.fault = Some(fault);
            result.text = format!("not everything has left this machine: {fault}");
        }
        if let Some(lost) = self.told_lost()
            && result.text.is_empty()
        {
            result.text = lost.text;
        }
        report(result, sent, began.elapsed())
    }

    fn status(&mut self, timeout: Duration) -> Result<Status, Fault> {
        self.line.begin();
        self.line.within(timeout);
        self.open().map_err(|lost| lost.fault)?;
        let left = self.line.left();
        let status = self.device.status(&mut self.line, left);
        self.told_lost();
        status
    }

    fn probe(&mut self, timeout: Duration) -> Result<String, Fault> {
        self.line.begin();
        self.line.within(timeout);
        self.open().map_err(|lost| lost.fault)?;
        let left = self.line.left();
        let found = self.device.probe(&mut self.line, left);
        self.told_lost();
        found
    }

    fn tick(&mut self) {
        self.next_tick = None;
        if !self.line.is_open() {
            return;
        }
        self.shared.begin(u64::MAX);
        self.line.begin();
        self.line.within(TICK_MAX);
        let shared = Arc::clone(&self.shared);
        let next = shared.busy(|| self.device.tick(&mut self.line));
        self.told_lost();
        // After a tick that failed the next document comes first: it opens the line again.
        self.next_tick = next.ok().flatten().map(|wait| Instant::now() + wait);
    }

    /// The line open and the device in a known state.
    fn open(&mut self) -> Result<(), Lost> {
        let opened = match self.line.open() {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let most = self.line.left().min(RESET_MAX);
                self.device.reset(&mut self.line, most).map_err(|fault| {
                    self.line.close();
                    let lost = self.line.take_lost().map_or_else(|| fault.to_string(), |lost| lost.text);
                    let way = self.line.way();
                    let text = format!("{way}: the device could not be brought into a known state: {lost}");
                    Lost { fault, text }
                })
            }
            Err(lost) => Err(lost),
        };
        match &opened {
            Ok(()) => {
                // What a driver does by itself ended with the line that was lost, and begins anew with this one.
                self.next_tick = Some(Instant::now());
                self.tell(true, self.line.way().to_string());
            }
            // Given up, which says nothing of the line.
            Err(lost) if lost.fault == Fault::Cancelled => {}
            Err(lost) => self.tell(false, lost.text.clone()),
        }
        opened
    }

    /// A line that was lost in a call, told as soon as the call is over.
    fn told_lost(&mut self) -> Option<Lost> {
        let lost = self.line.take_lost()?;
        self.tell(false, lost.text.clone());
        Some(lost)
    }

    fn tell(&mut self, up: bool, text: String) {
        if self.up != Some(up) {
            self.up = Some(up);
            self.voice.say(&FromHost::Link { up, text });
        }
    }
}

fn report(result: RunResult, sent: u64, took: Duration) -> Report {
    Report {
        done: truth(result.done, result.fault, sent),
        fault: result.fault,
        ops_done: result.ops_done,
        bytes_sent: sent,
        status: result.status,
        native_code: result.native_code,
        text: result.text,
        took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
    }
}

/// A document the driver never saw.
fn unprinted(fault: Fault, text: String, took: Duration) -> Report {
    let (done, fault, status) = (Done::None, Some(fault), Status::UNKNOWN);
    report(RunResult { done, fault, ops_done: 0, status, native_code: 0, text }, 0, took)
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
            if level == raw::LOG_ERROR {
                text.clone_into(&mut complaint.lock());
            }
            for_log.log(level, text);
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
