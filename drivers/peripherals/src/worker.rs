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
mod change;
mod life;

use crate::display::{Face, Show};
use crate::host::Host;
use crate::mailbox::{Kick, Mail, Mailbox, Setup};
use crate::pace::Pace;
use crate::queue::{Begun, Queue};
use crate::settings::Settings;
use crate::view::PeripheralMetrics;
use crate::{Place, now_ms};
pub use board::Board;
use driver_abi::{Capabilities, Fault, Kind, Status};
use driver_frames::PluginInfo;
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

impl Shared {
    /// The settings as they are now. The lock is given back at once: nobody waits for whoever uses them.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }
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
}

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
