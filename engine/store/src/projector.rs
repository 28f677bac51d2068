//! The projector: carries durable records from the journal into the store, in batches, on a thread of its own. Owns
//! when a batch is made and the retries; how large it is, is `pace`'s, what is told about it `progress`'. Knows no
//! database. Nothing waits for it: when the store is away the journal grows, and is carried over when the store is back,
//! nothing lost and nothing twice.

use crate::error::StoreError;
use crate::pace::{Pace, Size};
use crate::progress::ProjectorStats;
use crate::store::Store;
use engine::clock::Time;
use engine::journal::{JournalError, Reader};
use engine::record::{Record, RecordError};
use engine::{Engine, Lsn};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Bytes of records in one transaction at the most; 4 MiB.
    pub batch_bytes_max: usize,
    /// Below this, a batch that is too slow is not made smaller; 250 records, and as small a part of the bytes.
    pub batch_records_min: usize,
    /// A batch that takes so long was too large: the next ones are smaller; 4 s.
    pub batch_slow: Duration,
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
    /// More was durable than the last read gave.
    more: bool,
    pace: Pace,
    /// There was more than the last batch could take.
    full: bool,
    /// When the journal was last read, or looked at whether there is anything to read.
    looked_at: Time,
    /// Since when something waits for a sync; what the store had at the start waits too.
    unsettled: Option<Instant>,
}

// === impl ProjectorOptions ===

impl Default for ProjectorOptions {
    fn default() -> ProjectorOptions {
        ProjectorOptions {
            batch_records_max: 8_000,
            batch_bytes_max: 4 << 20,
            batch_records_min: 250,
            batch_slow: Duration::from_secs(4),
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

// === impl Projector ===

impl Projector {
    /// A projector that has not begun.
    pub fn new(engine: Arc<Engine>, store: Box<dyn Store>, options: ProjectorOptions) -> Projector {
        let most = Size { records: options.batch_records_max, bytes: options.batch_bytes_max };
        let pace = Pace::new(most, options.batch_records_min, options.batch_slow);
        let stats = ProjectorStats::default();
        stats.begins_at(engine.projected());
        stats.limited(pace.limit().records);
        let looked_at = engine.now();
        // Drawn once, with the journal's first record: later the state's lock is the gates' alone.
        let salt = engine.with_state(|state| state.salt);
        Projector {
            engine,
            store,
            options,
            salt,
            stats: Arc::new(stats),
            reader: None,
            gathered: Vec::new(),
            more: false,
            pace,
            full: false,
            looked_at,
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
        self.look_at_oldest();
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
                Ok(_) => {
                    failures = 0;
                    self.tell_recovery();
                    self.gather(stop);
                }
                Err(error) => {
                    failures += 1;
                    self.look_at_oldest();
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
        let size = self.next_size();
        self.full = self.more || size.records < self.gathered.len();
        let Some((last, _)) = self.gathered[..size.records].last() else { return Ok(0) };
        let last = *last;
        let mut batch = Vec::with_capacity(size.records);
        for own in &self.gathered[..size.records] {
            batch.push((own.0, decode(own)?));
        }
        // Until the next read tells: what follows is not older than this.
        let after = batch.last().filter(|_| self.more).map(|(_, record)| record.recorded_at());
        let began = Instant::now();
        let applied = self.store.apply(&batch);
        let took = began.elapsed();
        drop(batch);
        if let Err(error) = applied {
            self.pace.failed(size, error.by_deadline(), error.broke_off(), took);
            self.stats.limited(self.pace.limit().records);
            return Err(error.into());
        }
        self.pace.went_in(size, self.full, took);
        self.stats.limited(self.pace.limit().records);
        self.stats.applied(last, size.records, took);
        self.engine.set_projected(last);
        self.unsettled.get_or_insert_with(Instant::now);
        self.gathered.drain(..size.records);
        match (self.gathered.first(), after) {
            (Some(next), _) => self.stats.waits_since(decode(next)?.recorded_at()),
            (None, Some(after)) => self.stats.waits_since(after),
            (None, None) => self.stats.nothing_waits(self.looked_at),
        }
        Ok(size.records)
    }

    /// How much of what was read the next batch takes.
    fn next_size(&self) -> Size {
        let limit = self.pace.limit();
        let mut size = Size { records: 0, bytes: 0 };
        for (_, payload) in self.gathered.iter().take(limit.records) {
            if size.records > 0 && size.bytes + payload.len() > limit.bytes {
                break;
            }
            size = Size { records: size.records + 1, bytes: size.bytes + payload.len() };
        }
        size
    }

    /// Looks since when the oldest record waits, where no batch has told it, as when the store was away from the start.
    fn look_at_oldest(&self) {
        let (now, projected, journal) = (self.engine.now(), self.engine.projected(), self.engine.journal());
        if projected >= journal.positions().durable {
            return self.stats.nothing_waits(now);
        }
        if self.stats.knows_oldest() {
            return;
        }
        let mut found = Vec::new();
        // What is wrong with the journal is told by whoever needs the record.
        if journal.reader(projected).read(1, &mut found).is_ok()
            && let Some(Ok(record)) = found.first().map(decode)
        {
            self.stats.waits_since(record.recorded_at());
        }
    }

    /// Makes durable what the store has, now: after it the journal need not keep those records for the store.
    ///
    /// # Errors
    /// The store.
    pub fn settle(&mut self) -> Result<Lsn, ProjectError> {
        let settled = self.store.sync()?;
        self.stats.synced();
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
            if let Some(asking) = self.stats.scrub_due() {
                self.settle()?;
                self.store.scrub()?;
                self.stats.scrubbed(asking);
            }
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
            self.stats.begins_at(cursor);
            self.reader = Some(self.engine.journal().reader(cursor));
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        if !self.gathered.is_empty() {
            return Ok(());
        }
        let cursor = Lsn(reader.next_lsn().0 - 1);
        self.looked_at = self.engine.now();
        let durable = self.engine.journal().positions().durable;
        reader.read(self.pace.limit().bytes, &mut self.gathered).map_err(|error| match error {
            JournalError::Gone { oldest } => ProjectError::Missing { cursor, oldest },
            other => ProjectError::Journal(other),
        })?;
        self.more = reader.next_lsn() <= durable;
        match self.gathered.first() {
            Some(first) => self.stats.waits_since(decode(first)?.recorded_at()),
            None => self.stats.nothing_waits(self.looked_at),
        }
        Ok(())
    }

    /// Waits until another batch is worth a transaction. It looks now and then in place of waiting for the journal's
    /// signal: behind that is a lock of the journal's writer, and this thread may be stopped at any moment by a gate.
    fn gather(&self, stop: &AtomicBool) {
        if !self.full && !stop.load(Ordering::SeqCst) {
            pause(self.options.gather_wait, stop);
        }
    }

    fn tell_recovery(&self) {
        if self.stats.recovered() {
            info!(projected = %self.engine.projected(), "the store is back, the projection goes on");
        }
    }
}

fn decode((lsn, payload): &(Lsn, Vec<u8>)) -> Result<Record<'_>, ProjectError> {
    Record::decode(payload).map_err(|error| ProjectError::Record { lsn: *lsn, error })
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
