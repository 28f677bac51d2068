//! Stats: counters of the journal's work. Knows numbers only; refuses to know metrics formats.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of the sync duration histogram.
pub const SYNC_BUCKETS: usize = 24;

/// Counters since the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStats {
    /// Commits that had records.
    pub commits: u64,
    /// Records written.
    pub records: u64,
    /// Bytes written, frames and padding.
    pub bytes_written: u64,
    /// Segments created after opening.
    pub rolls: u64,
    /// Segments made ahead.
    pub spares_made: u64,
    /// Rolls that took one; the other rolls created their segment themselves.
    pub spares_taken: u64,
    /// Spares that could not be made, or could not be taken.
    pub spares_failed: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Their durations added up, in microseconds.
    pub sync_us_total: u64,
    /// The longest, in microseconds.
    pub sync_us_max: u64,
    /// `sync_us_buckets[i]` counts syncs shorter than 2^i µs and not shorter than half of that; the last
    /// bucket takes all longer ones.
    pub sync_us_buckets: [u64; SYNC_BUCKETS],
}

/// The counters themselves; written by the committing thread and, for spares, the preparing one; read by anybody.
#[derive(Default)]
pub(super) struct Stats {
    commits: AtomicU64,
    records: AtomicU64,
    bytes_written: AtomicU64,
    rolls: AtomicU64,
    spares_made: AtomicU64,
    spares_taken: AtomicU64,
    spares_failed: AtomicU64,
    syncs: AtomicU64,
    sync_us_total: AtomicU64,
    sync_us_max: AtomicU64,
    sync_us_buckets: [AtomicU64; SYNC_BUCKETS],
}

// === impl Stats ===

impl Stats {
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub fn wrote(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub fn rolled(&self) {
        self.rolls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn spare_made(&self) {
        self.spares_made.fetch_add(1, Ordering::Relaxed);
    }

    pub fn spare_taken(&self) {
        self.spares_taken.fetch_add(1, Ordering::Relaxed);
    }

    pub fn spare_failed(&self) {
        self.spares_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn synced(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_us_total.fetch_add(us, Ordering::Relaxed);
        self.sync_us_max.fetch_max(us, Ordering::Relaxed);
        self.sync_us_buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> SyncStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SyncStats {
            commits: load(&self.commits),
            records: load(&self.records),
            bytes_written: load(&self.bytes_written),
            rolls: load(&self.rolls),
            spares_made: load(&self.spares_made),
            spares_taken: load(&self.spares_taken),
            spares_failed: load(&self.spares_failed),
            syncs: load(&self.syncs),
            sync_us_total: load(&self.sync_us_total),
            sync_us_max: load(&self.sync_us_max),
            sync_us_buckets: std::array::from_fn(|index| load(&self.sync_us_buckets[index])),
        }
    }
}

fn bucket(us: u64) -> usize {
    let bits = (u64::BITS - us.leading_zeros()) as usize;
    bits.min(SYNC_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_below_its_buckets_power_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 255, 256].map(bucket), [0, 1, 2, 2, 3, 8, 9]);
        assert_eq!(bucket(u64::MAX), SYNC_BUCKETS - 1);
        let stats = Stats::default();
        stats.synced(Duration::from_micros(300));
        stats.synced(Duration::from_micros(100));
        let snapshot = stats.snapshot();
        assert_eq!((snapshot.syncs, snapshot.sync_us_total, snapshot.sync_us_max), (2, 400, 300));
        assert_eq!(snapshot.sync_us_buckets.iter().sum::<u64>(), 2);
    }
}
