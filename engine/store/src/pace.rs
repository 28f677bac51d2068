//! How much goes into one batch. Owns the limit and when it shrinks and grows; knows no store, no journal and no clock.
//!
//! ```text
//! slow, or ended by a deadline   → half of what was tried, the least at the least
//! fast and full, often enough    → twice as much, the most at the most
//! ```
//!
//! How often is often enough: once, at first. After a deadline ended a batch it is four times as often as before it, so that
//! a size that never works is tried seldom, and not by turns with one that does; the most, kept up as often, forgives.

use std::time::Duration;

/// A limit grows when a batch took less than this part of what is slow: twice as much is then still not slow.
const FAST_PART: u32 = 4;
/// How much more often a batch has to be fast after a deadline ended one.
const CAUTION: u32 = 4;
/// Fast batches that are enough in any case.
const FAST_WANTED_MAX: u32 = 64;

/// How large a batch is, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub records: usize,
    pub bytes: usize,
}

/// The limit of the next batch. Records and bytes shrink and grow together: a record may hold one scan or 256 tickets.
#[derive(Debug)]
pub(crate) struct Pace {
    most: Size,
    records_min: usize,
    slow: Duration,
    /// The limit now, in records.
    records: usize,
    /// Full batches in a row that were fast.
    fast: u32,
    /// So many of them let the limit grow.
    fast_wanted: u32,
}

// === impl Pace ===

impl Pace {
    /// Begins with the most. A batch that takes `slow` or longer is too large.
    pub(crate) fn new(most: Size, records_min: usize, slow: Duration) -> Pace {
        assert!(most.records > 0 && most.bytes > 0);
        assert!(records_min > 0);
        let records_min = records_min.min(most.records);
        Pace { most, records_min, slow, records: most.records, fast: 0, fast_wanted: 1 }
    }

    /// What the next batch may have; one record is always allowed.
    pub(crate) fn limit(&self) -> Size {
        let bytes = self.most.bytes as u128 * self.records as u128 / self.most.records as u128;
        Size { records: self.records, bytes: (bytes as usize).max(1) }
    }

    /// A batch went in. `full`: there was more than the limit let into it; only that says that more would be good.
    pub(crate) fn went_in(&mut self, size: Size, full: bool, took: Duration) {
        if took >= self.slow {
            self.shrink(size);
        } else if full && took < self.slow / FAST_PART {
            self.fast += 1;
            if self.fast >= self.fast_wanted {
                self.grow();
            }
        } else if full {
            self.fast = 0;
        }
    }

    /// A batch failed after so long. `by_deadline`: the store says that time was too short; where a connection broke
    /// after what counts as slow it is taken for that as well.
    pub(crate) fn failed(&mut self, size: Size, by_deadline: bool, broke_off: bool, took: Duration) {
        if by_deadline || (broke_off && took >= self.slow) {
            self.fast_wanted = (self.fast_wanted * CAUTION).min(FAST_WANTED_MAX);
            self.shrink(size);
        }
    }

    fn shrink(&mut self, size: Size) {
        // A batch may have been smaller than the limit: half of the limit could be the same batch once more.
        let of_bytes = size.bytes as u128 * self.most.records as u128 / self.most.bytes as u128;
        let tried = size.records.max(of_bytes as usize).min(self.records);
        self.records = (tried / 2).max(self.records_min);
        self.fast = 0;
    }

    fn grow(&mut self) {
        if self.records == self.most.records {
            self.fast_wanted = 1;
        }
        self.records = self.records.saturating_mul(2).min(self.most.records);
        self.fast = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(4);
    const FAST: Duration = Duration::from_millis(100);

    fn pace() -> Pace {
        Pace::new(Size { records: 8_000, bytes: 4_000_000 }, 250, SLOW)
    }

    fn full(pace: &Pace) -> Size {
        pace.limit()
    }

    /// Full batches go in, each as fast as it is.
    fn run(pace: &mut Pace, count: usize, took: impl Fn(usize) -> Duration) {
        for _ in 0..count {
            let size = full(pace);
            pace.went_in(size, true, took(size.records));
        }
    }

    #[test]
    fn slow_batches_halve_the_limit_down_to_the_least_and_fast_ones_let_it_grow_back() {
        let mut pace = pace();
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(pace.limit().records);
            run(&mut pace, 1, |_| SLOW);
        }
        assert_eq!(seen, [8_000, 4_000, 2_000, 1_000, 500, 250, 250]);
        assert_eq!(pace.limit(), Size { records: 250, bytes: 125_000 });
        run(&mut pace, 5, |_| FAST);
        assert_eq!(pace.limit(), Size { records: 8_000, bytes: 4_000_000 });
        run(&mut pace, 5, |_| FAST);
        assert_eq!(pace.limit().records, 8_000, "the most is the most");
    }

    #[test]
    fn it_settles_where_batches_are_neither_slow_nor_fast() {
        let mut pace = pace();
        // A store that takes 2 ms for each record.
        let takes = |records: usize| Duration::from_millis(2 * records as u64);
        run(&mut pace, 20, takes);
        let settled = pace.limit().records;
        assert!(takes(settled) < SLOW && takes(settled) >= SLOW / FAST_PART, "{settled}");
        run(&mut pace, 20, takes);
        assert_eq!(pace.limit().records, settled);
    }

    #[test]
    fn a_quick_batch_that_was_not_full_says_nothing() {
        let mut pace = pace();
        run(&mut pace, 3, |_| SLOW);
        for _ in 0..10 {
            pace.went_in(Size { records: 3, bytes: 900 }, false, FAST);
        }
        assert_eq!(pace.limit().records, 1_000);
    }

    #[test]
    fn a_size_that_a_deadline_always_ends_is_tried_seldom() {
        let (mut pace, mut ended, mut records) = (pace(), 0_u32, 0);
        for _ in 0..200 {
            let size = full(&pace);
            if size.records > 3_000 {
                ended += 1;
                pace.failed(size, true, false, Duration::from_secs(60));
            } else {
                records += size.records;
                pace.went_in(size, true, FAST);
            }
        }
        assert!(ended <= 6, "{ended} tries were for nothing");
        assert!(records > 200_000, "{records}");
    }

    #[test]
    fn what_a_deadline_ended_is_never_tried_again_at_once_also_when_it_was_small() {
        let mut pace = pace();
        let small = Size { records: 600, bytes: 100_000 };
        pace.failed(small, true, false, Duration::from_secs(1));
        assert_eq!(pace.limit().records, 300);
        let mut pace = self::pace();
        let of_tickets = Size { records: 40, bytes: 1_000_000 };
        pace.failed(of_tickets, true, false, Duration::from_secs(1));
        assert_eq!(pace.limit(), Size { records: 1_000, bytes: 500_000 });
    }

    #[test]
    fn a_store_that_is_away_says_nothing_about_the_size_unless_it_broke_off_late() {
        let mut pace = pace();
        let size = full(&pace);
        pace.failed(size, false, true, FAST);
        pace.failed(size, false, false, SLOW);
        assert_eq!(pace.limit().records, 8_000);
        pace.failed(size, false, true, SLOW);
        assert_eq!(pace.limit().records, 4_000);
    }

    #[test]
    fn a_deadline_is_forgiven_when_the_most_was_kept_up() {
        let mut pace = pace();
        let size = full(&pace);
        pace.failed(size, true, false, SLOW);
        run(&mut pace, 3, |_| FAST);
        assert_eq!(pace.limit().records, 4_000);
        run(&mut pace, 5, |_| FAST);
        assert_eq!(pace.limit().records, 8_000);
        run(&mut pace, 1, |_| SLOW);
        run(&mut pace, 1, |_| FAST);
        assert_eq!(pace.limit().records, 8_000, "once is enough again");
    }

    #[test]
    fn a_most_below_the_least_stays_as_it_is() {
        let mut pace = Pace::new(Size { records: 50, bytes: 1_000 }, 250, SLOW);
        run(&mut pace, 3, |_| SLOW);
        assert_eq!(pace.limit(), Size { records: 50, bytes: 1_000 });
    }
}
