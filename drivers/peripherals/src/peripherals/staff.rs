//! What people do and see: decisions, drawers, pages, numbers. A decision is written down with who and why.

use super::{PeripheralState, Peripherals};
use crate::error::Error;
use crate::job::{Outcome, Resolution};
use crate::mailbox::Kick;
use crate::queue::{Decision, Resolving};
use crate::settings::PeripheralSettings;
use crate::view::{AuditView, JobFilter, JobView, PeripheralMetrics, PeripheralView};
use crate::worker::Slot;
use crate::{EXPIRES_AFTER_MS, now_ms};
use driver_abi::Kind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// A drawer that could not be opened for so long is not opened any more.
const KICK_MAX: Duration = Duration::from_secs(10);
/// One that was begun with in that time is answered within this time more, whatever happens.
const KICK_ANSWER_MAX: Duration = Duration::from_secs(12);
/// Characters of who and of why.
const WORDS_MAX: usize = 200;

impl Peripherals {
    /// Takes back a job that waits.
    ///
    /// # Errors
    /// It does not wait any more; who or why is missing; the queue's file.
    pub fn cancel(&self, job: &str, who: &str, reason: &str) -> Result<(), Error> {
        told(&[who, reason])?;
        self.shared.queue.cancel(job, who, reason, now_ms())
    }

    /// A person decides about a job that may have printed. Gives the new job's id where it is printed again.
    ///
    /// # Errors
    /// It is not unknown; who or why is missing; the queue is full; its file.
    pub fn resolve(
        &self,
        job: &str,
        resolution: Resolution,
        who: &str,
        reason: &str,
    ) -> Result<Option<String>, Error> {
        told(&[who, reason])?;
        let peripheral = self.shared.queue.job(job)?.peripheral;
        let settings = self.settings();
        let (queue_max, station) = match (settings.peripheral(&peripheral), resolution) {
            (Some(own), _) => (own.queue_max, self.elsewhere(own)),
            // Where it hung there is nothing any more: it can only be said that it was printed.
            (None, Resolution::Printed) => (0, None),
            (None, Resolution::Reprint) => return Err(Error::UnknownPeripheral(peripheral)),
        };
        let now_ms = now_ms();
        let expires_ms = now_ms.saturating_add(EXPIRES_AFTER_MS);
        let resolving = Resolving { resolution, who, why: reason, queue_max, station, expires_ms };
        let new = self.shared.queue.resolve(job, &resolving, now_ms)?;
        if new.is_some() {
            self.slot(&peripheral)?.mailbox.put(|mail| mail.jobs = true);
        }
        Ok(new)
    }

    /// Opens a cash drawer, now or not at all. Written down before and after. Waits up to 10 s for the printer.
    ///
    /// # Errors
    /// No printer that is ready here; who or why is missing; no time for it; the queue's file: not opened.
    pub fn kick(&self, printer: &str, who: &str, reason: &str) -> Result<Outcome, Error> {
        told(&[who, reason])?;
        let settings = self.settings();
        if let Some(station) = self.elsewhere(self.own(&settings, printer)?) {
            let (peripheral, station) = (printer.to_owned(), station.to_owned());
            return Err(Error::Elsewhere { peripheral, station });
        }
        let slot = self.slot(printer)?;
        let (kind, state) = {
            let board = slot.board.lock();
            (board.kind, board.state.unwrap_or(PeripheralState::Starting))
        };
        if !matches!(state, PeripheralState::Ready | PeripheralState::Degraded) {
            return Err(Error::NotReady { peripheral: printer.to_owned(), state });
        }
        if kind == Some(Kind::Display) {
            return Err(Error::WrongKind { peripheral: printer.to_owned(), wanted: "printer" });
        }
        let note = |what, why: &str| {
            let decision = Decision { who, what, peripheral: printer, job: None, why };
            self.shared.queue.note(&decision, now_ms())
        };
        note("drawer", reason)?;
        let outcome = kick(&slot, printer);
        let words = match &outcome {
            Ok(outcome) => format!("{:?}: {}", outcome.done, outcome.text).to_lowercase(),
            Err(error) => error.to_string(),
        };
        // The drawer is open or not, whether or not this can be written.
        if let Err(error) = note("drawer outcome", words.trim_end_matches([':', ' '])) {
            tracing::error!(%error, printer, who, "a drawer's outcome is not in the audit");
        }
        outcome
    }

    /// Ends a quarantine.
    ///
    /// # Errors
    /// No such peripheral here; who is missing; the queue's file.
    pub fn release(&self, peripheral: &str, who: &str) -> Result<(), Error> {
        told(&[who])?;
        let slot = self.slot(peripheral)?;
        let decision = Decision { who, what: "release", peripheral, job: None, why: "" };
        self.shared.queue.note(&decision, now_ms())?;
        slot.mailbox.put(|mail| mail.release = true);
        Ok(())
    }

    /// All peripherals, in the settings' order. Touches memory only.
    pub fn views(&self) -> Vec<PeripheralView> {
        let settings = self.settings();
        let running = self.running.read();
        let known = settings.peripherals.iter().filter_map(|own| Some((own, running.get(&own.name)?)));
        known.map(|(own, running)| self.view(own, &running.slot)).collect()
    }

    /// One of them. Touches memory only.
    pub fn one(&self, name: &str) -> Option<PeripheralView> {
        let (settings, running) = (self.settings(), self.running.read());
        Some(self.view(settings.peripheral(name)?, &running.get(name)?.slot))
    }

    fn view(&self, own: &PeripheralSettings, slot: &Slot) -> PeripheralView {
        let depth = self.shared.queue.depth(&own.name);
        let board = slot.board.lock().clone();
        let away = self.elsewhere(own);
        let state = match away {
            None => board.state.unwrap_or(PeripheralState::Starting),
            Some(station) if self.stations.is_heard(station) => PeripheralState::Ready,
            Some(_) => PeripheralState::Absent,
        };
        let alarm = match away {
            Some(station) if state == PeripheralState::Absent => {
                Some(format!("its station {station:?} was not heard of: look whether it runs"))
            }
            _ => board.alarm,
        };
        let unknown = || {
            let jobs = if depth.unknown == 1 { "1 job" } else { &format!("{} jobs", depth.unknown) };
            (depth.unknown > 0)
                .then(|| format!("{jobs} may have printed: look, then say printed or print again"))
        };
        PeripheralView {
            name: own.name.clone(),
            kind: board.kind,
            driver: own.driver.clone(),
            driver_version: board.driver_version,
            way: own.way.to_string(),
            station: own.station.clone(),
            gates: own.gates.clone(),
            state,
            status: board.status,
            queued: depth.queued,
            unknown: depth.unknown,
            last: board.last,
            alarm: alarm.or_else(unknown),
            host_pid: board.host_pid,
        }
    }

    /// Was a station heard of lately?
    pub fn hears(&self, station: &str) -> bool {
        self.stations.is_heard(station)
    }

    /// All peripherals in numbers. Touches memory only.
    pub fn metrics(&self) -> Vec<PeripheralMetrics> {
        let running = self.running.read();
        let numbers = running.iter().map(|(name, own)| {
            let depth = self.shared.queue.depth(name);
            let metrics = own.slot.metrics.lock().clone();
            PeripheralMetrics { queued: depth.queued, unresolved: depth.unknown, ..metrics }
        });
        numbers.collect()
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// The queue's file.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, Error> {
        self.shared.queue.jobs(filter)
    }

    /// One job.
    ///
    /// # Errors
    /// No such job; the queue's file.
    pub fn job(&self, id: &str) -> Result<JobView, Error> {
        self.shared.queue.job(id)
    }

    /// Decisions, newest first, at most `max` with a number below `before`.
    ///
    /// # Errors
    /// The queue's file.
    pub fn audit(&self, before: Option<i64>, max: usize) -> Result<Vec<AuditView>, Error> {
        self.shared.queue.audit(before, max)
    }
}

fn kick(slot: &Slot, printer: &str) -> Result<Outcome, Error> {
    let (reply, answer) = sync_channel(1);
    let until = Instant::now() + KICK_MAX;
    let room = slot.mailbox.put(|mail| {
        let room = mail.kick.is_none();
        if room {
            mail.kick = Some(Kick { until, reply });
        }
        room
    });
    let outcome =
        if room { answer.recv_timeout(KICK_MAX + KICK_ANSWER_MAX) } else { Err(RecvTimeoutError::Timeout) };
    outcome.map_err(|_| Error::NotInTime(printer.to_owned()))
}

fn told(words: &[&str]) -> Result<(), Error> {
    let well = |words: &&str| !words.trim().is_empty() && words.chars().count() <= WORDS_MAX;
    if words.iter().all(well) { Ok(()) } else { Err(Error::WhoAndWhy) }
}
