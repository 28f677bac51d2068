//! The projector: carries durable records from the journal into the store, in batches, on a thread of its own. Owns
//! the pace, the retries and what is told about them; knows no database. Nothing waits for it: when the store is
//! away the journal grows, and is carried over when the store is back, nothing lost and nothing twice.

use crate::error::StoreError;
use crate::store::Store;
use engine::journal::{JournalError, Reader};
use engine::record::{Record, RecordError};
use engine::{Engine, Lsn};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Failures in a row after which a stop leaves to the next start what is not carried over.
const DRAIN_FAILURES_MAX: u32 = 10;
/// A batch of so many records is a calm moment: with the usual wait between batches, a thousand a second.
const CALM_RECORDS: usize = 200;
/// How long a pause goes on without looking whether to stop.
const PAUSE_SLICE: Duration = Duration::from_millis(20);

/// How the projector works. `Default` is right for a store on the same machine or in the same house.
#[derive(Clone, Copy, Debug)]
pub struct ProjectorOptions {
    /// Records in one transaction at the most; 8,000. A page of the database is written once for each transaction,
    /// however many of its rows change, so a backlog drains faster in large ones.
    pub batch_records_max: usize,
    /// Bytes of records read at once at the most; 4 MiB.
    pub batch_bytes_max: usize,
    /// How long it lets a batch grow, and how often it looks whether there is one; 200 ms. A page of the database is
    /// written once for each transaction: at 5,000 scans/s batches of 20 ms wrote 9 MB/s of log, and the disk is the
    /// journal's too.
    pub gather_wait: Duration,
    /// What a sync may have to write before it is made; 1 MiB, which holds the journal's disk for a millisecond.
    pub sync_bytes: u64,
    /// How long a record may be in the store without a sync, whether others follow or not; 1 s. Until then the journal
    /// keeps it.
    pub sync_wait: Duration,
    /// The first wait after a failure; doubled by each further one, shortened by chance to a half at most; 100 ms.
    pub retry_wait_min: Duration,
    /// The longest wait after a failure; 5 s.
    pub retry_wait_max: Duration,
    /// How long it goes on at the end to carry over what is durable; 10 s.
    pub drain_max: Duration,
}

/// Why the projector did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The store failed; it is tried again.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The journal cannot be read now; it is tried again.
    #[error("failed to read the journal: {0}")]
    Journal(JournalError),
    /// The journal's end, or its whole directory, was lost or replaced. Going on would skip records silently.
    #[error(
        "the store has records up to {cursor}, but the journal ends at {last}: its end was lost or its directory replaced; put the data directory back, or start with a new store"
    )]
    Ahead {
        /// The store's cursor.
        cursor: Lsn,
        /// The last durable record.
        last: Lsn,
    },
    /// The store has the records of another journal.
    #[error(
        "the store (at record {cursor}) belongs to another journal: its key for scan ids is not this node's; put the right data directory or store back, or start with a new store"
    )]
    Foreign {
        /// The store's cursor.
        cursor: Lsn,
    },
    /// The journal has deleted records the store needs: an old copy of the store was put in place.
    #[error(
        "the store has records up to {cursor}, but the journal begins at {oldest}: an older store was put in place; put the newer one back"
    )]
    Missing {
        /// The store's cursor.
        cursor: Lsn,
        /// The first record that still exists.
        oldest: Lsn,
    },
    /// The store is empty, the journal cannot fill it any more, and some tickets were in the store alone.
    #[error(
        "the store is empty and the journal begins at {oldest}; tickets of {} were in the store only: put a copy of the store back that has records up to {} or later, the journal brings it up to date",
        events.join(", "),
        oldest.0 - 1
    )]
    ColdLost {
        /// The first record that still exists.
        oldest: Lsn,
        /// Names of the events whose tickets had left the memory.
        events: Vec<String>,
    },
    /// A durable record cannot be read.
    #[error("record {lsn}: {error}")]
    Record {
        /// Which record.
        lsn: Lsn,
        /// What is wrong with it.
        error: RecordError,
    },
}

/// What the projector has done, shared with whoever watches it. Counters only grow.
#[derive(Debug, Default)]
pub struct ProjectorStats {
    projected: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
    errors: AtomicU64,
    last_batch_us: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
}

/// [`ProjectorStats`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectorSnapshot {
    /// The last record in the store.
    pub projected: Lsn,
    /// Transactions.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Syncs of the store.
    pub syncs: u64,
    /// Failed tries.
    pub errors: u64,
    /// How long the last transaction took, in microseconds.
    pub last_batch_us: u64,
    /// Did the last try fail?
    pub failing: bool,
    /// The last failure, for the operator; stays after it is over.
    pub last_error: Option<String>,
}

/// The projector of one engine into one store.
pub struct Projector {
    engine: Arc<Engine>,
    store: Box<dyn Store>,
    options: ProjectorOptions,
    /// Tells this node's journal from others.
    salt: [u8; 16],
    stats: Arc<ProjectorStats>,
    /// `None` at the start and after a failure: the store is asked for its cursor again.
    reader: Option<Reader>,
    /// Read and not yet applied; they follow the store's cursor.
    gathered: Vec<(Lsn, Vec<u8>)>,
    /// Since when something waits for a sync; what the store had at the start waits too.
    unsettled: Option<Instant>,
}

// === impl ProjectorOptions ===

impl Default for ProjectorOptions {
    fn default() -> ProjectorOptions {
        ProjectorOptions {
            batch_records_max: 8_000,
            batch_bytes_max: 4 << 20,
            gather_wait: Duration::from_millis(200),
            sync_bytes: 1 << 20,
            sync_wait: Duration::from_secs(1),
            retry_wait_min: Duration::from_millis(100),
            retry_wait_max: Duration::from_secs(5),
            drain_max: Duration::from_secs(10),
        }
    }
}

impl ProjectorOptions {
    /// The wait after so many failures in a row, drawn between a half and the whole: many nodes that lost one
    /// database do not come back in step.
    fn retry_wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
        let whole = self.retry_wait_min.saturating_mul(doubled).min(self.retry_wait_max);
        let chance = (RandomState::new().hash_one(failures) % 1_000) as u32;
        whole / 2 + whole / 2 * chance / 1_000
    }
}

// === impl ProjectError ===

impl ProjectError {
    /// Does trying again help? If not, the node's files or its store have to be put right by a person.
    pub fn may_pass(&self) -> bool {
        match self {
            ProjectError::Store(_) => true,
            ProjectError::Journal(error) => matches!(error, JournalError::Io { .. }),
            _ => false,
        }
    }
}

// === impl ProjectorStats ===

impl ProjectorStats {
    /// What has been done so far. A few atomic loads.
    pub fn snapshot(&self) -> ProjectorSnapshot {
        ProjectorSnapshot {
            projected: Lsn(self.projected.load(Ordering::Relaxed)),
            batches: self.batches.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            last_batch_us: self.last_batch_us.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
            last_error: self.last_error.lock().clone(),
        }
    }

    fn applied(&self, through: Lsn, records: usize, took: Duration) {
        self.projected.store(through.0, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_batch_us.store(took_us, Ordering::Relaxed);
    }

    /// Gives whether this is the first failure since the last success.
    fn failed(&self, error: &ProjectError) -> bool {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock() = Some(error.to_string());
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Gives whether there had been a failure.
    fn recovered(&self) -> bool {
        self.failing.swap(false, Ordering::Relaxed)
    }
}

// === impl Projector ===

impl Projector {
    /// A projector that has not begun.
    pub fn new(engine: Arc<Engine>, store: Box<dyn Store>, options: ProjectorOptions) -> Projector {
        assert!(options.batch_records_max > 0);
        assert!(options.batch_bytes_max > 0);
        // Drawn once, with the journal's first record: later the state's lock is the gates' alone.
        let salt = engine.with_state(|state| state.salt);
        Projector {
            engine,
            store,
            options,
            salt,
            stats: Arc::new(ProjectorStats::default()),
            reader: None,
            gathered: Vec::new(),
            unsettled: Some(Instant::now()),
        }
    }

    /// What it does, for metrics; may be read at any time by anybody.
    pub fn stats(&self) -> Arc<ProjectorStats> {
        Arc::clone(&self.stats)
    }

    /// Do this store and this journal belong together? Gives the store's cursor. To be asked before gates open, so
    /// that a wrong directory is found by whoever starts the node.
    ///
    /// # Errors
    /// `Ahead`, `Foreign` and `Missing` say how they do not; the store is away.
    pub fn check(&self) -> Result<Lsn, ProjectError> {
        let cursor = self.store.cursor()?;
        let journal = self.engine.journal();
        let (last, oldest) = (journal.positions().durable, journal.oldest());
        if cursor > last {
            return Err(ProjectError::Ahead { cursor, last });
        }
        if self.store.salt()?.is_some_and(|salt| salt != self.salt) {
            return Err(ProjectError::Foreign { cursor });
        }
        if cursor.0 + 1 < oldest.0 {
            return Err(ProjectError::Missing { cursor, oldest });
        }
        Ok(cursor)
    }

    /// Fills a store that is empty where the journal can no longer do it, from the engine's state; gives the state's
    /// LSN, `None` where there was nothing to do. To be asked before gates open: it holds the state for as long as it
    /// takes to write it.
    ///
    /// # Errors
    /// `ColdLost`: some tickets would be lost for good. Store or journal.
    pub fn seed(&mut self) -> Result<Option<Lsn>, ProjectError> {
        let oldest = self.engine.journal().oldest();
        if self.store.cursor()? > Lsn(0) || oldest <= Lsn(1) {
            return Ok(None);
        }
        let engine = Arc::clone(&self.engine);
        let seeded = engine.with_state(|state| {
            // Numbers were given that no ticket in memory has: those tickets had left it.
            if state.tickets.len() < state.tickets.next_id().0 as usize {
                let cold = state.catalog.events().filter(|(_, event)| event.cold);
                let events = cold.map(|(_, event)| event.name.clone()).collect();
                return Err(ProjectError::ColdLost { oldest, events });
            }
            // A store must not know of a record that the journal may still lose.
            engine.journal().sync().map_err(ProjectError::Journal)?;
            self.store.seed(state)?;
            Ok(Lsn(state.lsn))
        })?;
        self.settle()?;
        Ok(Some(seeded))
    }

    /// The thread's body: carries records over until `stop`, then what is durable at that moment, and syncs the store,
    /// for `drain_max` at the most. Failures that may pass are tried again for ever and logged once each way.
    ///
    /// # Errors
    /// One that does not pass (see [`ProjectError::may_pass`]): the node goes on, its journal grows, and a
    /// person has to come.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), ProjectError> {
        let mut failures = 0;
        let mut drain: Option<(Lsn, Instant)> = None;
        loop {
            if drain.is_none() && stop.load(Ordering::SeqCst) {
                let durable = self.engine.journal().positions().durable;
                drain = Some((durable, Instant::now() + self.options.drain_max));
            }
            if let Some((last, deadline)) = drain
                && (self.engine.settled() >= last || Instant::now() >= deadline)
            {
                return Ok(());
            }
            let drained = drain.is_some_and(|(last, _)| self.engine.projected() >= last);
            match self.step().and_then(|records| self.look_after(records, drained)) {
                Ok(records) => {
                    failures = 0;
                    self.tell_recovery();
                    self.gather(records, stop);
                }
                Err(error) => {
                    failures += 1;
                    let first = self.stats.failed(&error);
                    if !error.may_pass() {
                        error!(%error, "the projection stopped, gates go on and the journal grows");
                        return Err(error);
                    }
                    if first {
                        warn!(%error, "the projection waits for the store, gates go on and the journal grows");
                    }
                    if drain.is_some() && failures >= DRAIN_FAILURES_MAX {
                        // The journal has it all: nobody who stops a node waits for a database that is away.
                        return Ok(());
                    }
                    let wait = self.options.retry_wait(failures);
                    // At the end there is a deadline already: try often, leave early.
                    if drain.is_some() {
                        std::thread::sleep(wait.min(PAUSE_SLICE))
                    } else {
                        pause(wait, stop)
                    }
                }
            }
        }
    }

    /// Carries one batch over; how many records it had, 0 when nothing was durable that is not in the store.
    ///
    /// # Errors
    /// Store or journal; the next call begins at the store's cursor again.
    pub fn step(&mut self) -> Result<usize, ProjectError> {
        let result = self.try_step();
        if result.is_err() {
            self.reader = None;
            self.gathered.clear();
        }
        result
    }

    fn try_step(&mut self) -> Result<usize, ProjectError> {
        self.fill()?;
        let count = self.gathered.len().min(self.options.batch_records_max);
        let Some((last, _)) = self.gathered[..count].last() else { return Ok(0) };
        let last = *last;
        let mut batch = Vec::with_capacity(count);
        for (lsn, payload) in &self.gathered[..count] {
            let record =
                Record::decode(payload).map_err(|error| ProjectError::Record { lsn: *lsn, error })?;
            batch.push((*lsn, record));
        }
        let began = Instant::now();
        self.store.apply(&batch)?;
        drop(batch);
        self.stats.applied(last, count, began.elapsed());
        self.engine.set_projected(last);
        self.unsettled.get_or_insert_with(Instant::now);
        self.gathered.drain(..count);
        Ok(count)
    }

    /// Makes durable what the store has, now: after it the journal need not keep those records for the store.
    ///
    /// # Errors
    /// The store.
    pub fn settle(&mut self) -> Result<Lsn, ProjectError> {
        let settled = self.store.sync()?;
        self.stats.syncs.fetch_add(1, Ordering::Relaxed);
        self.unsettled = None;
        // A store that lost its newest rows while it was away has less than was seen in it before, never more.
        self.engine.set_projected(settled);
        self.engine.set_settled(settled);
        Ok(settled)
    }

    /// What the store needs besides batches.
    fn look_after(&mut self, records: usize, drained: bool) -> Result<usize, ProjectError> {
        self.settle_if_due(drained)?;
        if records <= CALM_RECORDS {
            self.store.tidy()?;
        }
        Ok(records)
    }

    /// Syncs when enough waits for it, or has waited for long enough; `now`: when anything waits.
    fn settle_if_due(&mut self, now: bool) -> Result<(), ProjectError> {
        let Some(since) = self.unsettled else { return Ok(()) };
        let due = now
            || since.elapsed() >= self.options.sync_wait
            || self.store.unsynced_bytes()? >= self.options.sync_bytes;
        if due { self.settle().map(drop) } else { Ok(()) }
    }

    /// Reads the next durable records, unless some are left of the last read.
    fn fill(&mut self) -> Result<(), ProjectError> {
        if self.reader.is_none() {
            let cursor = self.check()?;
            self.engine.set_projected(cursor);
            self.stats.projected.store(cursor.0, Ordering::Relaxed);
            self.reader = Some(self.engine.journal().reader(cursor));
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        if !self.gathered.is_empty() {
            return Ok(());
        }
        let cursor = Lsn(reader.next_lsn().0 - 1);
        reader.read(self.options.batch_bytes_max, &mut self.gathered).map_err(|error| match error {
            JournalError::Gone { oldest } => ProjectError::Missing { cursor, oldest },
            other => ProjectError::Journal(other),
        })
    }

    /// Waits until another batch is worth a transaction. It looks now and then in place of waiting for the journal's
    /// signal: behind that is a lock of the journal's writer, and this thread may be stopped at any moment by a gate.
    fn gather(&self, records: usize, stop: &AtomicBool) {
        if records < self.options.batch_records_max && !stop.load(Ordering::SeqCst) {
            pause(self.options.gather_wait, stop);
        }
    }

    fn tell_recovery(&self) {
        if self.stats.recovered() {
            info!(projected = %self.engine.projected(), "the store is back, the projection goes on");
        }
    }
}

/// Sleeps, and wakes early to stop.
fn pause(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(PAUSE_SLICE));
    }
}
