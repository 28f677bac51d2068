//! What people do with webhooks: set them up, try them, look at what was delivered, send it again. Every call may wait for
//! the disk; `try_out` also for the receiver.

use crate::addresses::Reach;
use crate::courier::Courier;
use crate::entries::{KIND, found};
use crate::error::{Error, TESTS_MAX, WEBHOOKS_MAX};
use crate::follow::Follower;
use crate::kinds::PING;
use crate::line::Line;
use crate::pace::Pace;
use crate::queue::{Attempt, DeadLetter, Due, Figures, Queue, Went};
use crate::sending::{Letter, Sender};
use crate::settings::{Settings, Webhook};
use crate::{Shared, signing};
use engine::catalog::OperatorId;
use engine::clock::{Clock, SystemClock, Time};
use engine::registry::RegistryChange;
use engine::{Engine, EngineError, Lsn};
use parking_lot::Mutex;
use secrets::Vault;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// At a stop, what is being sent has so long; then it is sent again after the next start.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Letters of a webhook's id behind `wh_`.
const ID_LETTERS: usize = 16;

/// What the node gives.
pub struct Options {
    /// The queue's file.
    pub file: PathBuf,
    /// Seals secrets.
    pub vault: Vault,
    /// Which hosts may be spoken to.
    pub reach: Reach,
    /// How patient we are.
    pub pace: Pace,
}

/// Webhooks at work.
pub struct Webhooks {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Whose addresses are being tried.
    testing: Mutex<BTreeSet<String>>,
}

/// What is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Records that are looked at again.
    pub records: u64,
    /// When the first of them was made; `None`: there is none.
    pub from: Option<Time>,
    /// Does the journal still have everything since the moment that was asked for?
    pub complete: bool,
}

// === impl Webhooks ===

impl Webhooks {
    /// Opens the queue, goes on where each webhook stood, starts the threads.
    ///
    /// # Errors
    /// The file, or no threads.
    pub fn open(engine: Arc<Engine>, options: Options) -> Result<Webhooks, Error> {
        let queue = Queue::open(&options.file)?;
        let lines = found(&engine, &queue)?;
        let shared = Arc::new(Shared {
            engine,
            queue,
            vault: options.vault,
            sender: Sender::new(options.reach),
            pace: options.pace,
            bell: Default::default(),
            stop: AtomicBool::new(false),
            lines: Mutex::new(lines),
            changing: Mutex::default(),
            turn: Mutex::default(),
        });
        let webhooks =
            Webhooks { shared: Arc::clone(&shared), threads: Mutex::default(), testing: Mutex::default() };
        let follower = Follower::new(Arc::clone(&shared));
        webhooks.spawn("webhooks", move || follower.run())?;
        shared.lines().into_iter().try_for_each(|line| webhooks.send_for(line))?;
        Ok(webhooks)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::Thread)?;
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    fn send_for(&self, line: Arc<Line>) -> Result<(), Error> {
        let courier = Courier::new(Arc::clone(&self.shared), line);
        self.spawn("webhook", move || courier.run())
    }

    /// Ends the threads. What is being sent has two seconds; what is not done by then is sent again after the next start.
    pub fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        let until = Instant::now() + STOP_MAX;
        for thread in self.threads.lock().drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if thread.is_finished() && thread.join().is_err() {
                error!("a thread of the webhooks had panicked");
            }
        }
        if let Err(error) = self.shared.queue.settle() {
            warn!(%error, "the queue of the webhooks could not be synced at the end");
        }
    }

    /// Which hosts are spoken to.
    pub fn reach(&self) -> Reach {
        self.shared.sender.reach()
    }

    /// All, by id.
    pub fn all(&self) -> Vec<(String, Arc<Webhook>)> {
        self.shared.lines().iter().map(|line| (line.id.clone(), line.known().webhook)).collect()
    }

    /// One.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: &str) -> Result<Arc<Webhook>, Error> {
        Ok(self.shared.line(id)?.known().webhook)
    }

    /// Makes one, and its secret, which is shown now and never again. It is told what happens from now on.
    ///
    /// # Errors
    /// `Invalid`, `TooMany`, the file, the engine.
    pub fn create(
        &self,
        by: Option<OperatorId>,
        settings: Settings,
    ) -> Result<(Lsn, String, Arc<Webhook>, String), Error> {
        let shared = &self.shared;
        let _changing = shared.changing.lock();
        settings.check(self.reach(), &shared.engine.catalog())?;
        if shared.lines.lock().len() >= WEBHOOKS_MAX {
            return Err(Error::TooMany);
        }
        let id = format!("wh_{}", random()?.get(..ID_LETTERS).ok_or(Error::Random)?);
        let secret = signing::new_secret().ok_or(Error::Random)?;
        let webhook = Webhook::new(&shared.vault, &id, settings, &secret, SystemClock.now().0)?;
        // First its place in the journal, then the webhook: a crash in between leaves a place that is forgotten.
        let cursor = shared.engine.journal().positions().durable.0;
        shared.queue.begin(&id, cursor)?;
        let (lsn, known) = shared.store(by, "webhook_created", &id, None, webhook)?;
        let line = Arc::new(Line::new(&id, known.clone(), cursor, 0));
        shared.lines.lock().insert(id.clone(), Arc::clone(&line));
        self.send_for(line)?;
        shared.bell.ring();
        Ok((lsn, id, known.webhook, secret))
    }

    /// Sets one otherwise, if it is as `seen`. One that is enabled again is told what happens from now on.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, the engine's `Changed`, the file.
    pub fn replace(
        &self,
        by: Option<OperatorId>,
        id: &str,
        seen: &Webhook,
        settings: Settings,
    ) -> Result<(Lsn, Arc<Webhook>), Error> {
        let shared = &self.shared;
        let _changing = shared.changing.lock();
        let line = shared.line(id)?;
        let before = line.known();
        if *before.webhook != *seen {
            return Err(EngineError::Changed.into());
        }
        settings.check(self.reach(), &shared.engine.catalog())?;
        let enabled_again = settings.enabled && !before.webhook.settings.enabled;
        let webhook = before.webhook.with(settings);
        let (lsn, known) = shared.store(by, "webhook_changed", id, Some(&before), webhook)?;
        if enabled_again {
            let _turn = shared.turn.lock();
            let cursor = shared.engine.journal().positions().durable.0;
            shared.jump(
                &line,
                cursor,
                "enabled again: what happened meanwhile is not sent; a replay sends it",
            )?;
        }
        line.set_known(known.clone());
        shared.bell.ring();
        Ok((lsn, known.webhook))
    }

    /// Removes one with all its messages.
    ///
    /// # Errors
    /// `NotFound`, the engine, the file.
    pub fn remove(&self, by: Option<OperatorId>, id: &str) -> Result<Lsn, Error> {
        let shared = &self.shared;
        let _changing = shared.changing.lock();
        let line = shared.line(id)?;
        let before = line.known();
        let change = RegistryChange { kind: KIND.to_owned(), name: id.to_owned(), value: None };
        let details = json!({"before": before.webhook.settings, "after": null});
        let lsn = shared.act(by, "webhook_removed", &before, details, change)?;
        line.removed.store(true, Ordering::Release);
        shared.lines.lock().remove(id);
        shared.bell.ring();
        let _turn = shared.turn.lock();
        shared.queue.forget(id)?;
        Ok(lsn)
    }

    /// Gives one a new secret, shown now and never again; the old one signs too for a day.
    ///
    /// # Errors
    /// `NotFound`, the engine, the vault.
    pub fn rotate(&self, by: Option<OperatorId>, id: &str) -> Result<(Lsn, String, Time), Error> {
        let shared = &self.shared;
        let _changing = shared.changing.lock();
        let line = shared.line(id)?;
        let (before, now) = (line.known(), SystemClock.now());
        let secret = signing::new_secret().ok_or(Error::Random)?;
        let webhook = before.webhook.rotated(&shared.vault, id, &secret, now.0)?;
        let (lsn, known) = shared.store(by, "webhook_secret_rotated", id, Some(&before), webhook)?;
        line.set_known(known);
        Ok((lsn, secret, now.plus_ms(crate::settings::OLD_SECRET_MS)))
    }

    /// Sends a `test.ping` now, also where nothing else is sent. Takes up to 15 s.
    ///
    /// # Errors
    /// `NotFound`, `BeingTested`, the vault, the file.
    pub fn try_out(&self, id: &str) -> Result<Went, Error> {
        let line = self.shared.line(id)?;
        {
            let mut testing = self.testing.lock();
            if testing.len() >= TESTS_MAX || !testing.insert(id.to_owned()) {
                return Err(Error::BeingTested);
            }
        }
        let went = self.ping(&line);
        self.testing.lock().remove(id);
        went
    }

    fn ping(&self, line: &Line) -> Result<Went, Error> {
        let (shared, webhook, now) = (&self.shared, line.known().webhook, SystemClock.now());
        let secrets = webhook.secrets(&shared.vault, &line.id, now.0)?;
        let body =
            json!({"type": PING, "timestamp": crate::moment(now), "data": {"webhook": line.id}}).to_string();
        let message = format!("msg_test_{}", random()?.get(..ID_LETTERS).ok_or(Error::Random)?);
        let letter = Letter { url: &webhook.settings.url, id: &message, body: &body, secrets: &secrets };
        let went = shared.sender.send(&letter).went;
        let due = Due { id: message, kind: PING.to_owned(), ..Due::default() };
        shared.queue.tell(&line.id, &due, &went)?;
        Ok(went)
    }

    /// Attempts of a webhook, the newest first, older than a number.
    ///
    /// # Errors
    /// `NotFound`, the file.
    pub fn deliveries(&self, id: &str, before: Option<i64>, limit: usize) -> Result<Vec<Attempt>, Error> {
        self.shared.queue.attempts(&self.shared.line(id)?.id, before, limit)
    }

    /// Dead letters of a webhook behind a place.
    ///
    /// # Errors
    /// `NotFound`, the file.
    pub fn dead_letters(
        &self,
        id: &str,
        after: Option<(u64, u32)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.shared.queue.dead_letters(&self.shared.line(id)?.id, after, limit)
    }

    /// Sends a dead letter again, with all its retries.
    ///
    /// # Errors
    /// `NotFound`, `NoDeadLetter`, `NotEnabled`, the file.
    pub fn revive(&self, id: &str, message: &str) -> Result<(), Error> {
        let line = self.shared.line(id)?;
        if !line.is_enabled() {
            return Err(Error::NotEnabled);
        }
        // Counted before it can be sent.
        line.came(1);
        let revived = self.shared.queue.revive(id, message);
        if !matches!(revived, Ok(true)) {
            line.went();
        }
        self.shared.bell.ring();
        if revived? { Ok(()) } else { Err(Error::NoDeadLetter) }
    }

    /// Sends again what was recorded since a moment, with the ids it had. What is new waits behind it.
    ///
    /// # Errors
    /// `NotFound`, `NotEnabled`, the journal, the file.
    pub fn replay(&self, id: &str, since: Time) -> Result<Replayed, Error> {
        let shared = &self.shared;
        let line = shared.line(id)?;
        if !line.is_enabled() {
            return Err(Error::NotEnabled);
        }
        let _turn = shared.turn.lock();
        let oldest = shared.engine.journal().oldest();
        let complete = oldest == Lsn(1) || shared.recorded_ms(oldest)? <= since.0;
        let first = shared.first_since(since.0)?;
        let cursor = line.cursor();
        if first.0 > cursor {
            return Ok(Replayed { records: 0, from: None, complete });
        }
        let from = Time(shared.recorded_ms(first)?);
        let why = format!("asked to send again what was recorded since {}", crate::moment(since));
        shared.jump(&line, first.0 - 1, &why)?;
        shared.bell.ring();
        Ok(Replayed { records: cursor + 1 - first.0, from: Some(from), complete })
    }

    /// Forgets the people that messages about an event name; gives how many messages it were. They stay, as they are for
    /// who is told of nobody: those that wait are sent so, dead letters can be. What is made of records that the journal
    /// still has would name them again: it has to have let them go before.
    ///
    /// # Errors
    /// The file: to be done again.
    pub fn forget_people(&self, event: &str) -> Result<u64, Error> {
        // Nobody has read a record whose message is not in the queue yet.
        let _turn = self.shared.turn.lock();
        self.shared.queue.forget_people(event)
    }

    /// How each does, and how many records it is behind the journal.
    ///
    /// # Errors
    /// The file.
    pub fn figures(&self) -> Result<Vec<(Figures, u64)>, Error> {
        let durable = self.shared.engine.journal().positions().durable.0;
        let lines = self.shared.lines.lock().clone();
        let behind = |figures: &Figures| {
            let line = lines.get(&figures.webhook).filter(|line| line.is_enabled());
            line.map_or(0, |line| durable.saturating_sub(line.cursor()))
        };
        let all = self.shared.queue.figures()?;
        Ok(all.into_iter().map(|figures| (figures.clone(), behind(&figures))).collect())
    }
}

fn random() -> Result<String, Error> {
    secrets::new_key().map_err(|_| Error::Random)
}
