//! What is told about the projector: counters and how far behind it is, shared with whoever watches. Knows no store and no
//! journal. Written by the projector without a lock that anybody could hold for long.

use engine::Lsn;
use engine::clock::Time;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of a failure's text that are kept.
pub const LAST_ERROR_BYTES_MAX: usize = 240;
/// Upper bounds of the buckets batches are counted in by their time, in milliseconds.
pub const BATCH_BUCKETS_MS: [u64; 13] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
/// No moment is known.
const UNKNOWN: i64 = i64::MIN;

/// What the projector has done, shared with whoever watches it. Counters only grow.
#[derive(Debug)]
pub struct ProjectorStats {
    projected: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
    batch_records_max: AtomicU64,
    /// By time; the last one is for longer ones.
    batches_by_time: [AtomicU64; BATCH_BUCKETS_MS.len() + 1],
    batches_us: AtomicU64,
    syncs: AtomicU64,
    errors: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
    /// How often somebody asked for the store to be scrubbed, and up to which asking it was.
    scrubs_asked: AtomicU64,
    scrubs_done: AtomicU64,
    /// When the oldest record that the store does not have was made, as far as it was read.
    oldest_at: AtomicI64,
    /// When it looked and found nothing that the store does not have.
    nothing_at: AtomicI64,
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
    /// What the next one may have of them.
    pub batch_records_max: u64,
    /// Transactions by the time they took, in the buckets of [`BATCH_BUCKETS_MS`] and one for longer ones.
    pub batches_by_time: [u64; BATCH_BUCKETS_MS.len() + 1],
    /// How long all transactions took together, in microseconds.
    pub batches_us: u64,
    /// Syncs of the store.
    pub syncs: u64,
    /// Failed tries.
    pub errors: u64,
    /// Did the last try fail?
    pub failing: bool,
    /// The last failure, for the operator, cut to [`LAST_ERROR_BYTES_MAX`]; stays after it is over.
    pub last_error: Option<String>,
}

// === impl ProjectorStats ===

impl Default for ProjectorStats {
    fn default() -> ProjectorStats {
        let zero = || AtomicU64::new(0);
        ProjectorStats {
            projected: zero(),
            batches: zero(),
            records: zero(),
            batch_records_max: zero(),
            batches_by_time: std::array::from_fn(|_| zero()),
            batches_us: zero(),
            syncs: zero(),
            errors: zero(),
            failing: AtomicBool::new(false),
            last_error: Mutex::new(None),
            scrubs_asked: zero(),
            scrubs_done: zero(),
            oldest_at: AtomicI64::new(UNKNOWN),
            nothing_at: AtomicI64::new(UNKNOWN),
        }
    }
}

impl ProjectorStats {
    /// What has been done so far. A few atomic loads.
    pub fn snapshot(&self) -> ProjectorSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProjectorSnapshot {
            projected: Lsn(read(&self.projected)),
            batches: read(&self.batches),
            records: read(&self.records),
            batch_records_max: read(&self.batch_records_max),
            batches_by_time: std::array::from_fn(|bucket| read(&self.batches_by_time[bucket])),
            batches_us: read(&self.batches_us),
            syncs: read(&self.syncs),
            errors: read(&self.errors),
            failing: self.is_failing(),
            last_error: self.last_error.lock().clone(),
        }
    }

    /// Asks for the store to be scrubbed once it has what is durable now; gives the number of the asking.
    pub fn ask_scrub(&self) -> u64 {
        self.scrubs_asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Was the store scrubbed since this asking?
    pub fn is_scrubbed(&self, asking: u64) -> bool {
        self.scrubs_done.load(Ordering::SeqCst) >= asking
    }

    /// The newest asking that was not done yet.
    pub(crate) fn scrub_due(&self) -> Option<u64> {
        let asked = self.scrubs_asked.load(Ordering::SeqCst);
        (asked > self.scrubs_done.load(Ordering::SeqCst)).then_some(asked)
    }

    pub(crate) fn scrubbed(&self, asking: u64) {
        self.scrubs_done.fetch_max(asking, Ordering::SeqCst);
    }

    /// Did the last try fail? One atomic load.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// When the oldest durable record was made that the store does not have; `None`: it has all of them. Where the
    /// projector has not read that record yet, because it came a moment ago, the moment it last looked.
    pub fn behind_since(&self, projected: Lsn, durable: Lsn) -> Option<Time> {
        if projected >= durable {
            return None;
        }
        let moments = [&self.oldest_at, &self.nothing_at].map(|own| own.load(Ordering::Relaxed));
        moments.into_iter().find(|own| *own != UNKNOWN).map(Time)
    }

    pub(crate) fn begins_at(&self, projected: Lsn) {
        self.projected.store(projected.0, Ordering::Relaxed);
    }

    pub(crate) fn applied(&self, through: Lsn, records: usize, took: Duration) {
        self.projected.store(through.0, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        let bucket = BATCH_BUCKETS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.batches_by_time[bucket].fetch_add(1, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.batches_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub(crate) fn limited(&self, records: usize) {
        self.batch_records_max.store(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives whether this is the first failure since the last success.
    pub(crate) fn failed(&self, error: &impl std::fmt::Display) -> bool {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock() = Some(cut(error.to_string()));
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Gives whether there had been a failure.
    pub(crate) fn recovered(&self) -> bool {
        self.failing.swap(false, Ordering::Relaxed)
    }

    /// Is it known since when the oldest record waits?
    pub(crate) fn knows_oldest(&self) -> bool {
        self.oldest_at.load(Ordering::Relaxed) != UNKNOWN
    }

    /// The oldest record that the store does not have was made then.
    pub(crate) fn waits_since(&self, made_at: Time) {
        self.oldest_at.store(made_at.0, Ordering::Relaxed);
    }

    /// At this moment there was no record that the store does not have.
    pub(crate) fn nothing_waits(&self, at: Time) {
        self.nothing_at.store(at.0, Ordering::Relaxed);
        self.oldest_at.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// A text that is not too long.
fn cut(mut text: String) -> String {
    if text.len() > LAST_ERROR_BYTES_MAX {
        let end = LAST_ERROR_BYTES_MAX - '…'.len_utf8();
        text.truncate(text.floor_char_boundary(end));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_failure_is_cut_between_two_characters() {
        let stats = ProjectorStats::default();
        stats.failed(&"é".repeat(LAST_ERROR_BYTES_MAX));
        let told = stats.snapshot().last_error.unwrap();
        assert!(told.len() <= LAST_ERROR_BYTES_MAX && told.ends_with("é…"), "{told}");
        stats.failed(&"short");
        assert_eq!(stats.snapshot().last_error.as_deref(), Some("short"));
    }

    #[test]
    fn batches_are_counted_by_their_time() {
        let stats = ProjectorStats::default();
        for ms in [0, 5, 6, 60_000, 60_001] {
            stats.applied(Lsn(1), 1, Duration::from_millis(ms));
        }
        let buckets = stats.snapshot().batches_by_time;
        assert_eq!((buckets[0], buckets[1], buckets[12], buckets[13]), (2, 1, 1, 1));
        assert_eq!(buckets.iter().sum::<u64>(), stats.snapshot().batches);
    }

    #[test]
    fn nothing_is_behind_when_the_store_has_all_and_else_the_best_known_moment_is_told() {
        let stats = ProjectorStats::default();
        assert_eq!(stats.behind_since(Lsn(3), Lsn(5)), None, "nothing was read yet");
        stats.nothing_waits(Time(7));
        assert_eq!(stats.behind_since(Lsn(5), Lsn(5)), None);
        assert_eq!(stats.behind_since(Lsn(5), Lsn(6)), Some(Time(7)));
        stats.waits_since(Time(9));
        assert_eq!(stats.behind_since(Lsn(5), Lsn(6)), Some(Time(9)));
        stats.nothing_waits(Time(11));
        assert_eq!(stats.behind_since(Lsn(6), Lsn(7)), Some(Time(11)));
    }
}
