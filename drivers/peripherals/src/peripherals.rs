//! The peripherals of one machine: who runs, what callers ask for, what the rules want. Owns the threads; knows neither
//! SQL nor frames.

mod offers;
mod staff;

use crate::display::Show;
use crate::error::Error;
use crate::job::{Document, Job, Origin, Submitted};
use crate::mailbox::Setup;
use crate::pace::Pace;
use crate::queue::{Entry, Queue};
use crate::rules::{Action, Interest, ScanFacts, actions};
use crate::settings::{PeripheralSettings, Settings};
use crate::view::PeripheralState;
use crate::worker::{Shared, Slot, Worker};
use crate::{JOB_ID_BYTES_MAX, Place, Taken, now_ms};
use driver_abi::{Kind, Op};
use offers::Stations;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is over is looked for so often.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// Old jobs are forgotten every so many times of that.
const PRUNE_EVERY: u32 = 60;

/// The peripherals of one machine.
pub struct Peripherals {
    shared: Arc<Shared>,
    /// Read for a few moves only, also by whoever must not wait; written when settings change.
    running: Arc<RwLock<BTreeMap<String, Running>>>,
    /// One change of settings at a time.
    reloading: Mutex<()>,
    stations: Stations,
    housekeeping: Option<(SyncSender<()>, JoinHandle<()>)>,
}

/// Callers' threads share it.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Peripherals>();
};

/// A peripheral, here or at a station.
struct Running {
    slot: Arc<Slot>,
    /// `None`: it hangs at a station.
    thread: Option<JoinHandle<()>>,
}

// === impl Peripherals ===

impl Peripherals {
    /// Opens the queue and starts a thread and a driver host for each peripheral that hangs here. Jobs that were started
    /// when the program last ended are `Unknown` from here on. A device that is not there is no error.
    ///
    /// # Errors
    /// The queue's file; threads.
    pub fn open(settings: Settings, place: Place) -> Result<Peripherals, Error> {
        Peripherals::open_with(settings, place, Pace::default())
    }

    /// The same, quicker or slower: for tests.
    ///
    /// # Errors
    /// The same.
    #[doc(hidden)]
    pub fn open_with(settings: Settings, place: Place, pace: Pace) -> Result<Peripherals, Error> {
        let queue = Queue::open(&place.queue, now_ms())?;
        let empty = RwLock::new(Arc::new(Settings::default()));
        let shared = Arc::new(Shared { queue, place, pace, settings: empty });
        let running = Arc::default();
        let housekeeping = Some(keep_house(&shared, &running)?);
        let peripherals = Peripherals {
            shared,
            running,
            reloading: Mutex::default(),
            stations: Stations::default(),
            housekeeping,
        };
        peripherals.reload(settings)?;
        Ok(peripherals)
    }

    /// Other settings. Peripherals that changed, or whose driver's file did, get a new driver host, which takes over
    /// when it is up and the old one has nothing under way; all others notice nothing.
    ///
    /// # Errors
    /// Threads: all others run. The queue's file: nothing changed.
    pub fn reload(&self, settings: Settings) -> Result<(), Error> {
        let _one = self.reloading.lock();
        for own in &settings.peripherals {
            self.shared.queue.settle(&own.name, self.elsewhere(own))?;
        }
        let setups: Vec<Setup> = settings.peripherals.iter().map(|own| self.setup(own, &settings)).collect();
        *self.shared.settings.write() = Arc::new(settings);
        let (mut gone, mut failed) = (Vec::new(), None);
        let mut running = self.running.write();
        let mut old = std::mem::take(&mut *running);
        for setup in setups {
            let name = setup.settings.name.clone();
            let here = self.elsewhere(&setup.settings).is_none();
            let next = match old.remove(&name) {
                Some(own) if own.thread.is_some() && here => {
                    own.slot.mailbox.put(|mail| {
                        (mail.setup, mail.templates, mail.jobs) = (Some(setup), true, true);
                    });
                    own
                }
                Some(own) if own.thread.is_none() && !here => own,
                other => {
                    gone.extend(other);
                    match self.start(setup, here) {
                        Ok(own) => own,
                        Err(error) => {
                            failed = Some(error);
                            continue;
                        }
                    }
                }
            };
            running.insert(name, next);
        }
        gone.extend(old.into_values());
        drop(running);
        end(gone);
        failed.map_or(Ok(()), Err)
    }

    fn start(&self, setup: Setup, here: bool) -> Result<Running, Error> {
        let slot = Arc::new(Slot::default());
        slot.metrics.lock().name.clone_from(&setup.settings.name);
        if !here {
            return Ok(Running { slot, thread: None });
        }
        let hold = self.shared.queue.was_interrupted(&setup.settings.name);
        let worker = Worker::new(Arc::clone(&self.shared), Arc::clone(&slot), setup, hold);
        let watched = Arc::clone(&slot);
        let work = move || {
            if std::panic::catch_unwind(AssertUnwindSafe(|| worker.work())).is_err() {
                let mut board = watched.board.lock();
                board.state = Some(PeripheralState::Quarantined);
                board.alarm =
                    Some("its thread panicked: start the program again, and tell its makers".to_owned());
            }
        };
        let thread = std::thread::Builder::new().name("peripheral".to_owned()).spawn(work);
        Ok(Running { slot, thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// The driver's file looked at: is it the one that may be loaded?
    fn setup(&self, own: &PeripheralSettings, settings: &Settings) -> Setup {
        let path = self.shared.place.driver_file(&own.driver);
        let driver = match std::fs::read(&path) {
            Err(error) => Err(format!("{}: {error}", path.display())),
            Ok(bytes) => {
                let sha256 = hex(&Sha256::digest(&bytes));
                let named = own.sha256.as_ref().is_none_or(|wanted| *wanted == sha256);
                let allowed = settings.allow.is_empty()
                    || settings.allow.iter().any(|wanted| wanted.eq_ignore_ascii_case(&sha256));
                match (named, allowed) {
                    (true, true) => Ok(sha256),
                    (false, _) => {
                        Err(format!("{}: its SHA-256 is {sha256}, the settings name another", path.display()))
                    }
                    (_, false) => Err(format!("{}: its SHA-256 {sha256} is not in `allow`", path.display())),
                }
            }
        };
        Setup { settings: own.clone(), driver }
    }

    /// Takes a job; it is durable when this returns.
    ///
    /// # Errors
    /// A job that cannot be, a queue that is full, the queue's file.
    pub fn submit(&self, job: Job) -> Result<Submitted, Error> {
        let plain = job.id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let ours = job.id.starts_with("rule:") || job.id.starts_with("reprint:");
        if job.id.is_empty() || job.id.len() > JOB_ID_BYTES_MAX || !plain || ours {
            return Err(Error::BadId(job.id));
        }
        self.put_in(job, 0)
    }

    fn put_in(&self, mut job: Job, reprint: u32) -> Result<Submitted, Error> {
        let settings = self.settings();
        let own = self.own(&settings, &job.peripheral)?;
        match &job.document {
            Document::Template { name, .. } if !settings.templates.contains_key(name) => {
                return Err(Error::UnknownTemplate(name.clone()));
            }
            Document::Ops(ops) if ops.iter().any(|op| matches!(op, Op::Drawer { .. })) => {
                return Err(Error::BadDocument("a cash drawer is opened by its own command".to_owned()));
            }
            _ => {}
        }
        let slot = self.slot(&job.peripheral)?;
        if slot.board.lock().kind == Some(Kind::Display) {
            return Err(Error::WrongKind { peripheral: job.peripheral, wanted: "printer" });
        }
        let now_ms = now_ms();
        job.expires_ms.get_or_insert(now_ms.saturating_add(crate::EXPIRES_AFTER_MS));
        let submitted = self.shared.queue.submit(&self.entry(own, job, reprint), now_ms);
        match &submitted {
            Ok(Submitted::New) => slot.mailbox.put(|mail| mail.jobs = true),
            Err(Error::Full { .. }) => slot.metrics.lock().refused_full += 1,
            _ => {}
        }
        submitted
    }

    fn entry(&self, own: &PeripheralSettings, job: Job, reprint: u32) -> Entry {
        let station = self.elsewhere(own).map(str::to_owned);
        Entry { job, station, queue_max: own.queue_max, reprint, reprint_of: None }
    }

    /// Shows something. The latest wins; nothing is kept. Touches memory only.
    ///
    /// # Errors
    /// No such display or template.
    pub fn show(&self, display: &str, show: Show) -> Result<(), Error> {
        let settings = self.settings();
        let own = self.own(&settings, display)?;
        if let Show::Template { name, .. } = &show
            && !settings.templates.contains_key(name)
        {
            return Err(Error::UnknownTemplate(name.clone()));
        }
        let slot = self.slot(display)?;
        if self.elsewhere(own).is_some() {
            self.stations.show(display, show);
            return Ok(());
        }
        if slot.board.lock().kind == Some(Kind::Printer) {
            return Err(Error::WrongKind { peripheral: display.to_owned(), wanted: "display" });
        }
        let replaced = slot.mailbox.put(|mail| mail.show.replace((show, Instant::now())));
        slot.metrics.lock().replaced += u64::from(replaced.is_some());
        Ok(())
    }

    /// What the rules want done about records of the journal: jobs and cursor in one transaction. A power cut may take
    /// both back for a second, and the records come again; those that come twice change nothing. Displays show what is
    /// fresh. To be called from a thread behind the journal, never from a gate's.
    ///
    /// # Errors
    /// The queue's file: nothing was taken, the same records may be given again.
    pub fn take(&self, facts: &[ScanFacts], cursor_lsn: u64) -> Result<Taken, Error> {
        let settings = self.settings();
        let now_ms = now_ms();
        let fresh_ms = i64::try_from(self.shared.pace.fresh.as_millis()).unwrap_or(i64::MAX);
        let (mut taken, mut entries, mut shows) = (Taken::default(), Vec::new(), Vec::new());
        for facts in facts {
            for action in actions(&settings.rules, facts) {
                match action {
                    Action::Print { expires_ms, .. } if expires_ms <= now_ms => taken.late += 1,
                    Action::Print { .. } => entries.extend(self.print(&settings, action, facts.lsn)),
                    Action::Show { .. } if now_ms.saturating_sub(facts.at_ms) > fresh_ms => {}
                    Action::Show { display, template, values } => {
                        shows.push((display, Show::Template { name: template, values }));
                    }
                }
            }
        }
        let outcomes = self.shared.queue.take(&entries, cursor_lsn, now_ms)?;
        for (entry, outcome) in entries.iter().zip(outcomes) {
            self.count_taken(&entry.job, &outcome, &mut taken);
        }
        for (display, show) in shows {
            taken.shows += usize::from(self.show(&display, show).is_ok());
        }
        Ok(taken)
    }

    /// Somebody pressed a button: does what the rules want done about it, and gives its jobs. `id` is the press's own
    /// key: the same again prints nothing again.
    ///
    /// # Errors
    /// As `submit`; what came before it in the rules is done.
    pub fn press(&self, id: &str, facts: &ScanFacts, who: &str) -> Result<Vec<String>, Error> {
        let settings = self.settings();
        let mut jobs = Vec::new();
        for (number, action) in actions(&settings.rules, facts).into_iter().enumerate() {
            match action {
                Action::Print { peripheral, template, values, priority, expires_ms, .. } => {
                    let job = Job {
                        id: format!("{id}:{}", number + 1),
                        peripheral,
                        document: Document::Template { name: template, values },
                        priority,
                        expires_ms: Some(expires_ms),
                        origin: Origin::Operator { who: who.to_owned() },
                    };
                    jobs.push(job.id.clone());
                    // Pressed again: the time on it would make another document of it.
                    if matches!(self.job(&job.id), Err(Error::UnknownJob(_))) {
                        self.submit(job)?;
                    }
                }
                Action::Show { display, template, values } => {
                    self.show(&display, Show::Template { name: template, values })?;
                }
            }
        }
        Ok(jobs)
    }

    /// Which scans `take` is to be given: all others change nothing there. For one batch.
    pub fn interest(&self) -> Interest {
        Interest::new(self.settings())
    }

    fn print(&self, settings: &Settings, action: Action, lsn: u64) -> Option<Entry> {
        let Action::Print { id, rule, peripheral, template, values, priority, expires_ms } = action else {
            return None;
        };
        let own = settings.peripheral(&peripheral)?;
        let document = Document::Template { name: template, values };
        let origin = Origin::Rule { name: rule, lsn };
        let job = Job { id, peripheral, document, priority, expires_ms: Some(expires_ms), origin };
        Some(self.entry(own, job, 0))
    }

    fn count_taken(&self, job: &Job, outcome: &Result<Submitted, Error>, taken: &mut Taken) {
        match outcome {
            Ok(Submitted::New) => {
                taken.jobs += 1;
                if let Ok(slot) = self.slot(&job.peripheral) {
                    slot.mailbox.put(|mail| mail.jobs = true);
                }
            }
            // The same record with other words is the same record: the rule's template was changed meanwhile.
            Ok(Submitted::Known(_)) | Err(Error::IdConflict(_)) => taken.known += 1,
            Err(error) => {
                tracing::warn!(peripheral = %job.peripheral, job = %job.id, %error, "a rule's print is refused");
                if let Ok(slot) = self.slot(&job.peripheral) {
                    slot.metrics.lock().refused_full += 1;
                }
                taken.refused.push(job.peripheral.clone());
            }
        }
    }

    /// Forgets what was printed about an event and what does not say its event, in the queue's file too; gives how many
    /// jobs it were. What is being printed comes to its end. A station's own queue is not reached.
    ///
    /// # Errors
    /// The queue's file: to be done again.
    pub fn forget(&self, event: &str) -> Result<u64, Error> {
        self.shared.queue.forget(event, now_ms())
    }

    /// The same in a queue's file that nobody works with: its printers are no longer in the settings.
    ///
    /// # Errors
    /// The queue's file.
    pub fn forget_in(queue: &Path, event: &str) -> Result<u64, Error> {
        Queue::open(queue, now_ms())?.forget(event, now_ms())
    }

    /// The last record taken; `None`: none ever, in this file. Touches memory only.
    pub fn cursor(&self) -> Option<u64> {
        self.shared.queue.cursor()
    }

    /// Ends it: what is under way is finished, within its time; driver hosts are stopped. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }

    // --- who is who ---

    fn settings(&self) -> Arc<Settings> {
        self.shared.settings()
    }

    fn own<'a>(&self, settings: &'a Settings, name: &str) -> Result<&'a PeripheralSettings, Error> {
        settings.peripheral(name).ok_or_else(|| Error::UnknownPeripheral(name.to_owned()))
    }

    fn slot(&self, name: &str) -> Result<Arc<Slot>, Error> {
        let running = self.running.read();
        let found = running.get(name).map(|own| Arc::clone(&own.slot));
        found.ok_or_else(|| Error::UnknownPeripheral(name.to_owned()))
    }

    /// The station a peripheral hangs at, if that is not here.
    fn elsewhere<'a>(&self, own: &'a PeripheralSettings) -> Option<&'a str> {
        if own.station == self.shared.place.station {
            None
        } else {
            Some(own.station.as_deref().unwrap_or(""))
        }
    }
}

impl Drop for Peripherals {
    fn drop(&mut self) {
        let running = std::mem::take(&mut *self.running.write());
        end(running.into_values().collect());
        if let Some((stop, thread)) = self.housekeeping.take() {
            drop(stop);
            let _ = thread.join();
        }
        if let Err(error) = self.shared.queue.settle_disk() {
            tracing::warn!(%error, "failed to write how far the journal was taken; its records come again");
        }
    }
}

/// Tells all of them to stop, then waits for each.
fn end(running: Vec<Running>) {
    running.iter().for_each(|own| own.slot.mailbox.put(|mail| mail.stop = true));
    for thread in running.into_iter().filter_map(|own| own.thread) {
        if thread.join().is_err() {
            tracing::error!("a peripheral's thread panicked");
        }
    }
}

type AllRunning = Arc<RwLock<BTreeMap<String, Running>>>;

fn keep_house(shared: &Arc<Shared>, running: &AllRunning) -> Result<(SyncSender<()>, JoinHandle<()>), Error> {
    let (stop, stopped) = sync_channel(1);
    let (shared, running) = (Arc::clone(shared), Arc::clone(running));
    let thread = std::thread::Builder::new()
        .name("peripherals".to_owned())
        .spawn(move || housekeeping(&shared, &running, &stopped))
        .map_err(Error::Thread)?;
    Ok((stop, thread))
}

/// Ends what is over and forgets what is old, until there is nobody to do it for.
fn housekeeping(shared: &Shared, running: &AllRunning, stopped: &Receiver<()>) {
    let (mut rounds, mut trouble) = (0_u32, None);
    while stopped.recv_timeout(EXPIRE_EVERY) == Err(RecvTimeoutError::Timeout) {
        rounds = rounds.wrapping_add(1);
        let done =
            keep(shared, running, rounds.is_multiple_of(PRUNE_EVERY)).err().map(|error| error.to_string());
        if let Some(error) = done.as_ref().filter(|_| done != trouble) {
            tracing::error!(%error, "jobs cannot be looked after");
        }
        trouble = done;
    }
}

fn keep(shared: &Shared, running: &AllRunning, prunes: bool) -> Result<(), Error> {
    for (peripheral, expired) in shared.queue.expire(now_ms())? {
        if let Some(own) = running.read().get(&peripheral) {
            own.slot.metrics.lock().expired += expired;
        }
        tracing::warn!(%peripheral, expired, "jobs were not printed in their time");
    }
    shared.queue.settle_disk()?;
    if prunes { shared.queue.prune(now_ms()) } else { Ok(()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
