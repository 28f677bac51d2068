//! What a node does besides answering: checkpoints, the journal's next segment, tickets of events that come near or go. Knows
//! when each is due; leaves how to engine, journal and store, and threads to the node.

use crate::config::Config;
use engine::catalog::EventId;
use engine::journal::Journal;
use engine::{Engine, EngineError, Lsn};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often housekeeping looks whether something is due.
const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(250);
/// After a checkpoint that failed: a full disk is not made busy as well by trying all the time.
const CHECKPOINT_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Between two slices of a journal segment that is made ahead: the gates' syncs go first.
const SPARE_PAUSE: Duration = Duration::from_millis(2);
/// And while the next slice is not due.
const SPARE_AHEAD_PAUSE: Duration = Duration::from_millis(100);
/// Tickets brought back from the store at a time.
const WARM_BATCH: usize = engine::limits::TICKETS_PER_RECORD_MAX;
/// How often the store is waited for until it knows the newest changes of such tickets.
const WARM_WAITS_MAX: u32 = 40;

/// Makes the journal's next segment whenever one is wanted, slice by slice as it is due: that may take minutes. Returns soon
/// after `stop`.
pub fn make_segments_ahead(journal: &Journal, stop: &AtomicBool) {
    let goes_on_after = |pause| {
        std::thread::park_timeout(pause);
        !stop.load(Ordering::SeqCst)
    };
    while goes_on_after(HOUSEKEEPING_EVERY) {
        journal.prepare_spare(&mut || {
            while journal.spare_is_ahead() {
                if !goes_on_after(SPARE_AHEAD_PAUSE) {
                    return false;
                }
            }
            goes_on_after(SPARE_PAUSE)
        });
    }
}

/// Checkpoints, and events that come near or go.
pub struct Housekeeper {
    /// The node's settings.
    pub config: Config,
    /// The engine.
    pub engine: Arc<Engine>,
    /// Questions to the store.
    pub store: Box<dyn store::Queries>,
    /// What the journal knew at the start.
    pub began_at: Lsn,
    /// Ends [`Housekeeper::run`].
    pub stop: Arc<AtomicBool>,
}

impl Housekeeper {
    /// Looks every so often whether something is due, until it is told to stop.
    pub fn run(&self) {
        let (mut tried_at, mut failed) = (Instant::now(), false);
        let mut tempered_at: Option<Instant> = None;
        let mut unfilled_told = false;
        // An event is near from its first tickets that came back: a node that was killed in between looks for the others.
        let mut unfinished: BTreeSet<EventId> = self.engine.catalog().events().map(|(id, _)| id).collect();
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(HOUSEKEEPING_EVERY);
            let records =
                self.engine.journal().positions().durable.0.saturating_sub(self.engine.checkpointed().0);
            if checkpoint_due(&self.config, records, tried_at.elapsed(), failed)
                && !self.engine.journal().poisoned()
            {
                tried_at = Instant::now();
                failed = !self.checkpoint();
            }
            self.complete_cold_filter(&mut unfilled_told);
            if tempered_at.is_none_or(|at| at.elapsed() >= Duration::from_secs(60)) {
                tempered_at = Some(Instant::now());
                self.temper(&mut unfinished);
            }
        }
    }

    /// Fills the filter that was left open at the start, because the store was away. A failure is told once.
    fn complete_cold_filter(&self, told: &mut bool) {
        if self.engine.cold_filter().is_complete() || self.engine.projected() < self.began_at {
            return;
        }
        if let Err(error) = fill_cold_filter(&self.engine, self.store.as_ref())
            && !std::mem::replace(told, true)
        {
            warn!(%error, "the codes of cold events cannot be read; codes that are not in memory stay unavailable");
        }
    }

    /// Whether it succeeded.
    fn checkpoint(&self) -> bool {
        let began = Instant::now();
        match self.engine.checkpoint() {
            Ok(lsn) => info!(lsn = lsn.0, ms = began.elapsed().as_millis() as u64, "checkpoint"),
            Err(error) => {
                warn!(%error, "checkpoint failed; it is tried again");
                return false;
            }
        }
        true
    }

    /// Tickets of events that are not near leave the memory; those of events that come near return, and those of `unfinished`
    /// ones that were left behind.
    fn temper(&self, unfinished: &mut BTreeSet<EventId>) {
        let (catalog, now) = (self.engine.catalog(), self.engine.now());
        for (id, event) in catalog.events() {
            let near = now >= event.doors_open_at.plus_ms(-self.config.hot_before_ms)
                && now <= event.ends_at.plus_ms(self.config.hot_after_ms);
            let served = catalog.gates().any(|(_, gate)| gate.event == Some(id));
            let left_behind = unfinished.contains(&id) && self.engine.projected() >= self.began_at;
            if (event.cold || left_behind) && (near || served) {
                match self.warm(id) {
                    Ok(()) => drop(unfinished.remove(&id)),
                    Err(error) => {
                        unfinished.insert(id);
                        warn!(event = %event.name, %error, "tickets cannot be brought back from the store; it is tried again");
                    }
                }
            } else if !event.cold
                && !near
                && !served
                && self.engine.projected() == self.engine.journal().positions().next
            {
                match self.engine.cool(id) {
                    Ok(_) => info!(event = %event.name, "tickets left the memory; they are in the store"),
                    Err(error) => warn!(event = %event.name, %error, "tickets cannot leave the memory"),
                }
            }
        }
    }

    fn warm(&self, event: EventId) -> anyhow::Result<()> {
        let (mut after, mut count, mut waits) = (None, 0, 0);
        loop {
            let as_of = self.store.cursor()?;
            let tickets = self.store.tickets_of(event, after, WARM_BATCH)?;
            let (last, read) = (tickets.last().map(|(id, _)| *id), tickets.len());
            let warmed = match last {
                Some(_) => self.engine.warm(as_of, tickets),
                None => self.engine.set_warm(as_of, event),
            };
            match warmed {
                // The box office changes or sells tickets meanwhile.
                Err(EngineError::StoreBehind) if waits < WARM_WAITS_MAX => {
                    waits += 1;
                    std::thread::park_timeout(HOUSEKEEPING_EVERY);
                    continue;
                }
                warmed => warmed?,
            };
            if last.is_none() {
                break;
            }
            (after, count) = (last, count + read);
        }
        info!(event = event.0, count, "all tickets that the store has are in memory");
        Ok(())
    }
}

/// Whether `records` since the last checkpoint are many or old enough for one. `since` is the time since the last
/// try, which may have `failed`.
fn checkpoint_due(config: &Config, records: u64, since: Duration, failed: bool) -> bool {
    if failed && since < CHECKPOINT_AGAIN_AFTER {
        return false;
    }
    let old = records > 0 && since >= Duration::from_secs(config.checkpoint_every_s);
    old || records >= config.checkpoint_every_records
}

/// The codes of tickets that are in the store only, once the store knows what the journal knew at the start: a code
/// that is in neither the memory nor the filter is called unknown.
///
/// # Errors
/// The store does not answer.
pub fn fill_cold_filter(engine: &Engine, questions: &dyn store::Queries) -> store::StoreResult<()> {
    if engine.cold_filter().is_complete() {
        return Ok(());
    }
    let mut codes = Vec::new();
    questions.cold_codes(&mut |kind, code| codes.push((kind, code.to_vec())))?;
    engine.cold_filter().rebuild(codes.len(), codes.iter().map(|(kind, code)| (*kind, code.as_slice())));
    info!(codes = codes.len(), "codes of cold events are in the filter");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};

    // A checkpoint that failed with many records waiting was tried again at every look: four images a second into a
    // full disk, and as many lines in the log.
    #[test]
    fn a_checkpoint_is_due_by_time_or_by_records_and_a_failed_one_rests() {
        let flags = Flags::from([
            ("checkpoint_every_s", "60".to_owned()),
            ("checkpoint_every_records", "1000".to_owned()),
        ]);
        let config = load(&flags, &Environment::new(), None).unwrap();
        for (records, since_s, failed, due) in [
            (0, 3_600, false, false),
            (1, 59, false, false),
            (1, 60, false, true),
            (999, 1, false, false),
            (1_000, 0, false, true),
            (1_000, 0, true, false),
            (1_000, 9, true, false),
            (1_000, 10, true, true),
            (1, 59, true, false),
            (1, 60, true, true),
        ] {
            let since = Duration::from_secs(since_s);
            assert_eq!(checkpoint_due(&config, records, since, failed), due, "{records} {since_s} {failed}");
        }
    }
}
