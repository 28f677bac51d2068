//! One peripheral's thread: keeps its driver host alive, gives it one thing at a time, and writes down what became of
//! it. Owns the order of things; knows no SQL and no bytes on pipes.
//!
//! ```text
//! Down ──start──> Starting ──Started──> Up ──(crash, hung)──> Down, with a growing wait
//!                     └──Refused──> Quarantined <──five crashes in ten minutes──┘
//! ```
//! Everything that goes wrong with a host ends in `lost`: a job that was under way is unknown from then on.

mod board;
mod calls;

use crate::display::{Face, Show};
use crate::host::Host;
use crate::mailbox::{Heard, Kick, Mail, Mailbox, Setup};
use crate::pace::{Pace, doubled};
use crate::queue::{Begun, Queue};
use crate::settings::{PeripheralSettings, Settings};
use crate::view::PeripheralMetrics;
use crate::{Place, now_ms};
pub use board::Board;
use driver_abi::{Capabilities, Fault, Kind, Status};
use driver_frames::{FromHost, PluginInfo, Refusal, Start, ToHost};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Without anything due a thread looks around after so long.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The queue's file is tried again after so long.
const QUEUE_AGAIN: Duration = Duration::from_secs(2);

/// What all peripherals share.
pub struct Shared {
    /// The jobs.
    pub queue: Queue,
    /// Where everything lies.
    pub place: Place,
    /// How long is waited.
    pub pace: Pace,
    /// As they are now.
    pub settings: RwLock<Arc<Settings>>,
}

/// What a peripheral's thread and everybody else share.
#[derive(Default)]
pub struct Slot {
    /// To the thread.
    pub mailbox: Arc<Mailbox>,
    /// From it, for people. Held for a few moves only.
    pub board: Mutex<Board>,
    /// Its numbers. Held for a few moves only.
    pub metrics: Mutex<PeripheralMetrics>,
}

/// The thread's own.
pub struct Worker {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    setup: Setup,
    stage: Stage,
    /// Takes over when it is up and nothing is under way.
    replacement: Option<(Stage, Setup)>,
    /// Was replaced, and gives the device back by this time or is killed.
    retiring: Option<(Host, Instant)>,
    call: Option<Call>,
    kick: Option<Kick>,
    face: Face,
    /// To be shown when the display is there, since when.
    pending: Option<(Show, Instant)>,
    /// An outcome that is not in the queue's file yet: nothing else is started before it is.
    unsaved: Option<calls::Unsaved>,
    generation: u64,
    calls: u64,
    crashes: VecDeque<Instant>,
    failed_starts: u32,
    /// What keeps the device from working, and when it is tried again.
    waiting: Option<(Fault, Instant)>,
    jobs_at: Option<Instant>,
    status_at: Instant,
    began: Instant,
    stop_at: Option<Instant>,
    words: board::Words,
}

/// The driver host's life.
enum Stage {
    /// There is none; the next is started then.
    Down(Instant),
    /// It loads its driver, since then.
    Starting(Host, Instant),
    /// It works.
    Up(Box<Up>),
    /// None is started.
    Quarantined,
}

/// A host that works.
struct Up {
    host: Host,
    info: PluginInfo,
    capabilities: Capabilities,
    /// It was asked to give up what it does.
    cancelled: Option<Instant>,
}

/// What a host was asked and did not answer yet.
struct Call {
    id: u64,
    what: What,
    since: Instant,
    timeout: Duration,
}

/// What a call is for.
enum What {
    Job(Begun),
    Drawer(Kick),
    Show,
    Status,
}

// === impl Worker ===

impl Worker {
    /// A thread's start. `hold`: a host of a program that died may still be printing.
    pub fn new(shared: Arc<Shared>, slot: Arc<Slot>, setup: Setup, hold: bool) -> Worker {
        let now = Instant::now();
        let first = if hold { now + shared.pace.orphan } else { now };
        Worker {
            shared,
            slot,
            setup,
            stage: Stage::Down(first),
            replacement: None,
            retiring: None,
            call: None,
            kick: None,
            face: Face::default(),
            pending: None,
            unsaved: None,
            generation: 0,
            calls: 0,
            crashes: VecDeque::new(),
            failed_starts: 0,
            waiting: None,
            jobs_at: Some(now),
            status_at: now,
            began: now,
            stop_at: None,
            words: board::Words::default(),
        }
    }

    /// Works until it is told to stop.
    pub fn work(mut self) {
        let mut due = Instant::now();
        loop {
            let mail = Arc::clone(&self.slot.mailbox).take(due);
            self.read(mail);
            let now = Instant::now();
            due = self.look(now).unwrap_or(now + LOOK_EVERY).min(now + LOOK_EVERY);
            self.tell_board();
            if self.stop_at.is_some() && self.is_done(now) {
                return;
            }
        }
    }

    fn read(&mut self, mail: Mail) {
        let now = Instant::now();
        if mail.stop && self.stop_at.is_none() {
            self.stop_at = Some(now + self.shared.pace.stop);
        }
        for (generation, heard) in mail.frames {
            self.hear(generation, heard, now);
        }
        if let Some(setup) = mail.setup {
            self.change(setup, now);
        }
        if mail.release && matches!(self.stage, Stage::Quarantined) {
            self.restart_afresh(now);
        }
        if mail.templates {
            self.set_idle();
        }
        if mail.jobs {
            self.jobs_at = Some(now);
        }
        if let Some((show, since)) = mail.show {
            self.put_show(show, since);
        }
        if mail.kick.is_some() {
            self.kick = mail.kick;
        }
    }

    /// Does what is due; gives when something will be.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let saved = self.save(now);
        // A drawer is opened now or not at all.
        self.kick = self.kick.take().filter(|kick| now < kick.until);
        let host = self.look_at_host(now);
        let change = self.look_at_change(now);
        let calls = if self.stop_at.is_none() { self.look_at_calls(now) } else { None };
        if self.stop_at.is_some() && self.call.is_none() {
            self.end_host(now);
        }
        // What calls left to be saved is saved at once, by the next look.
        let unsaved = self.unsaved.as_ref().map(|unsaved| unsaved.at);
        let kick = self.kick.as_ref().map(|kick| kick.until);
        let retiring = self.retiring.as_ref().map(|(_, until)| *until);
        [saved, host, change, calls, unsaved, kick, retiring].into_iter().flatten().min()
    }

    /// Is everything over after a stop?
    fn is_done(&self, now: Instant) -> bool {
        let host = matches!(self.stage, Stage::Down(_) | Stage::Quarantined);
        let saved = self.unsaved.is_none() || self.stop_at.is_some_and(|at| now >= at);
        host && self.call.is_none() && self.retiring.is_none() && saved
    }

    // --- hosts ---

    fn look_at_host(&mut self, now: Instant) -> Option<Instant> {
        let pace = self.shared.pace;
        match &mut self.stage {
            Stage::Quarantined => None,
            Stage::Down(_) if self.stop_at.is_some() => None,
            Stage::Down(at) if now < *at => Some(*at),
            Stage::Down(_) => {
                self.start_host(now);
                Some(now + pace.start_max)
            }
            Stage::Starting(_, since) => {
                let until = *since + pace.start_max;
                if now >= until {
                    self.lost("it did not load its driver in time", now);
                    return Some(now);
                }
                Some(until)
            }
            Stage::Up(up) => {
                let hung = hung(up, self.call.as_ref(), self.stop_at, &pace, now);
                match (hung, up.cancelled) {
                    (Hung::Until(at), _) => Some(at),
                    (Hung::Is(_), None) => {
                        up.host.tell(ToHost::Cancel);
                        up.cancelled = Some(now);
                        Some(now + pace.grace)
                    }
                    (Hung::Is(_), Some(at)) if now < at + pace.grace => Some(at + pace.grace),
                    (Hung::Is(why), Some(_)) => {
                        self.lost(why, now);
                        Some(now)
                    }
                }
            }
        }
    }

    fn start_host(&mut self, now: Instant) {
        match self.spawn(&self.setup.clone()) {
            Ok(host) => self.stage = Stage::Starting(host, now),
            Err((Refusal::System, text)) => self.failed_start(text, now),
            Err((_, text)) => self.quarantine(text),
        }
    }

    fn spawn(&mut self, setup: &Setup) -> Result<Host, (Refusal, String)> {
        let sha256 = setup.driver.clone().map_err(|text| (Refusal::Plugin, text))?;
        let PeripheralSettings { name, driver, config, way, record, .. } = &setup.settings;
        self.generation += 1;
        let start = Start {
            peripheral: name.clone(),
            plugin: self.shared.place.driver_file(driver).display().to_string(),
            // What was looked at is what is loaded.
            sha256: Some(sha256),
            config: config.clone(),
            way: way.clone(),
            record: record.as_ref().map(|path| path.display().to_string()),
        };
        self.slot.metrics.lock().starts += 1;
        let program = &self.shared.place.host;
        Host::start(program, start, self.generation, &self.slot.mailbox)
            .map_err(|error| (Refusal::System, format!("{}: {error}", program.display())))
    }

    fn hear(&mut self, generation: u64, heard: Heard, now: Instant) {
        let of = |host: &Host| host.generation == generation;
        let is = |stage: &Stage| match stage {
            Stage::Starting(host, _) => of(host),
            Stage::Up(up) => of(&up.host),
            Stage::Down(_) | Stage::Quarantined => false,
        };
        if self.retiring.as_ref().is_some_and(|(host, _)| of(host)) {
            if matches!(heard, Heard::Ended(_)) {
                self.retiring = None;
            }
            return;
        }
        if self.replacement.as_ref().is_some_and(|(stage, _)| is(stage)) {
            return self.hear_replacement(heard);
        }
        if !is(&self.stage) {
            return;
        }
        match heard {
            Heard::Ended(why) => self.lost(&why, now),
            Heard::Frame(FromHost::Started { info, capabilities }) => self.up(*info, *capabilities, now),
            Heard::Frame(FromHost::Refused { refusal: Refusal::System, text }) => {
                self.failed_start(text, now)
            }
            Heard::Frame(FromHost::Refused { text, .. }) => self.quarantine(text),
            Heard::Frame(frame) => self.answer(frame, now),
        }
    }

    /// The driver is loaded.
    fn up(&mut self, info: PluginInfo, capabilities: Capabilities, now: Instant) {
        let stage = std::mem::replace(&mut self.stage, Stage::Quarantined);
        let Stage::Starting(host, _) = stage else {
            // Said twice: it is not what we think it is.
            self.stage = stage;
            return self.lost("it says more than it was asked", now);
        };
        self.stage = Stage::Up(Box::new(Up { host, info, capabilities, cancelled: None }));
        self.settle(now);
    }

    /// A host that is new: nothing is believed of the device.
    fn settle(&mut self, now: Instant) {
        self.failed_starts = 0;
        self.waiting = None;
        self.words.fault = None;
        self.words.status = None;
        (self.status_at, self.jobs_at) = (now, Some(now));
        self.set_idle();
        self.face.heal();
    }

    /// The host is of no use any more: killed, and started again after a while.
    fn lost(&mut self, why: &str, now: Instant) {
        let name = &self.setup.settings.name;
        if self.stop_at.is_some() && self.call.is_none() {
            self.stage = Stage::Down(now);
            return;
        }
        tracing::warn!(peripheral = %name, why, "driver host lost");
        self.slot.metrics.lock().crashes += 1;
        self.stage = Stage::Down(now);
        self.give_up_call(why, now);
        let pace = self.shared.pace;
        self.crashes.push_back(now);
        while self.crashes.front().is_some_and(|at| now.duration_since(*at) > pace.crashes_within) {
            self.crashes.pop_front();
        }
        let crashes = self.crashes.len();
        if crashes >= pace.crashes_max {
            return self.quarantine(format!("its driver host was lost {crashes} times, lastly: {why}"));
        }
        self.words.fault = Some(format!("its driver host was lost: {why}"));
        let wait = doubled(pace.restart_first, pace.restart_most, crashes as u32);
        self.stage = Stage::Down(now + wait);
    }

    /// It could not be started, and another try may help.
    fn failed_start(&mut self, text: String, now: Instant) {
        tracing::warn!(peripheral = %self.setup.settings.name, %text, "driver host not started");
        let pace = self.shared.pace;
        self.failed_starts = self.failed_starts.saturating_add(1);
        self.words.fault = Some(text);
        let wait = doubled(pace.restart_first, pace.restart_most, self.failed_starts);
        self.stage = Stage::Down(now + wait);
    }

    /// Another try does not help.
    fn quarantine(&mut self, text: String) {
        tracing::error!(peripheral = %self.setup.settings.name, %text, "quarantined");
        self.words.fault = Some(text);
        self.stage = Stage::Quarantined;
    }

    fn restart_afresh(&mut self, now: Instant) {
        self.crashes.clear();
        self.failed_starts = 0;
        self.words = board::Words::default();
        self.stage = Stage::Down(now);
    }

    fn end_host(&mut self, now: Instant) {
        self.replacement = None;
        let stage = std::mem::replace(&mut self.stage, Stage::Down(now));
        if let Stage::Up(up) = stage {
            up.host.tell(ToHost::Stop);
            self.retiring = Some((up.host, now + self.shared.pace.grace));
        }
    }

    // --- other settings ---

    fn change(&mut self, setup: Setup, now: Instant) {
        self.words.change = None;
        self.replacement = None;
        if setup == self.setup {
            return;
        }
        if !matches!(self.stage, Stage::Up(_)) {
            self.setup = setup;
            return self.restart_afresh(now);
        }
        match self.spawn(&setup) {
            Ok(host) => self.replacement = Some((Stage::Starting(host, now), setup)),
            Err((_, text)) => self.refuse_change(&text),
        }
    }

    fn hear_replacement(&mut self, heard: Heard) {
        match (heard, self.replacement.take()) {
            (
                Heard::Frame(FromHost::Started { info, capabilities }),
                Some((Stage::Starting(host, _), setup)),
            ) => {
                let up = Up { host, info: *info, capabilities: *capabilities, cancelled: None };
                self.replacement = Some((Stage::Up(Box::new(up)), setup));
            }
            (Heard::Frame(FromHost::Refused { text, .. }) | Heard::Ended(text), _) => {
                self.refuse_change(&text)
            }
            (Heard::Frame(_), replacement) => self.replacement = replacement,
        }
    }

    fn refuse_change(&mut self, why: &str) {
        tracing::error!(peripheral = %self.setup.settings.name, why, "new settings do not work; the old ones go on");
        self.replacement = None;
        self.words.change = Some(format!("its new settings do not work, the old ones go on: {why}"));
    }

    fn look_at_change(&mut self, now: Instant) -> Option<Instant> {
        if self.retiring.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.retiring = None;
        }
        let start_max = self.shared.pace.start_max;
        let mut due = self.retiring.as_ref().map(|(_, until)| *until);
        match self.replacement.take() {
            Some((Stage::Up(up), setup)) if self.call.is_none() => {
                self.end_host(now);
                self.stage = Stage::Up(up);
                self.setup = setup;
                self.crashes.clear();
                self.settle(now);
                due = self.retiring.as_ref().map(|(_, until)| *until);
            }
            Some((Stage::Starting(_, since), _)) if now >= since + start_max => {
                self.refuse_change("it did not load its driver in time");
            }
            waits => {
                if let Some((Stage::Starting(_, since), _)) = &waits {
                    due = due.into_iter().chain([*since + start_max]).min();
                }
                self.replacement = waits;
            }
        }
        due
    }
}

/// Is a host hung?
enum Hung {
    /// Not before this, as far as is known now.
    Until(Instant),
    /// It is: how, for people.
    Is(&'static str),
}

fn hung(up: &Up, call: Option<&Call>, stop_at: Option<Instant>, pace: &Pace, now: Instant) -> Hung {
    let pulse = up.host.pulse();
    let mut until = pulse.at + pace.beat_max;
    if now >= until {
        return Hung::Is("it did not say that it lives");
    }
    if let Some(call) = call {
        let end = call.since + call.timeout + pace.grace;
        let end = stop_at.map_or(end, |stop| end.min(stop));
        if now >= end {
            return Hung::Is("its driver did not come back in time");
        }
        until = until.min(end);
    } else if pulse.busy > TICK_MAX + pace.grace {
        return Hung::Is("its driver did not come back in time");
    }
    Hung::Until(until)
}

/// A driver's work of its own accord may take so long.
const TICK_MAX: Duration = Duration::from_secs(10);

/// What is known of a device that tells nothing.
fn tells(status: Status) -> Option<Status> {
    (!status.has(Status::UNKNOWN)).then_some(status)
}

fn wall(now: Instant, due_ms: i64) -> Instant {
    now + Duration::from_millis(u64::try_from(due_ms - now_ms()).unwrap_or(0))
}

fn is_display(up: &Up) -> bool {
    up.info.kind == Kind::Display
}
