//! Which scans' answers are still kept, as `engine::scans::ScanTable` keeps them, without the answers: only how many
//! there are, where they begin and when the oldest arrived. Knows no database: pages are given to it.

use engine::clock::Time;
use engine::limits::{SCAN_RETENTION_MS, SCANS_FORGOTTEN_PER_SCAN, SCANS_KEPT_MAX};
use std::collections::VecDeque;

/// Entries of a page: how many of the oldest are looked up at once.
pub(crate) const PAGE: usize = 512;

/// What is kept, by LSN.
#[derive(Debug)]
pub(crate) struct Retention {
    /// Scans before this LSN are forgotten.
    pub from: u64,
    /// Scans kept.
    pub kept: u64,
    /// Scans forgotten before their time.
    pub forgotten_early: u64,
    kept_max: u64,
    /// The oldest that are kept, or nothing when they have to be looked up.
    oldest: VecDeque<(u64, Time)>,
}

// === impl Retention ===

impl Retention {
    pub(crate) fn new(from: u64, kept: u64, forgotten_early: u64) -> Retention {
        Retention { from, kept, forgotten_early, kept_max: SCANS_KEPT_MAX, oldest: VecDeque::new() }
    }

    /// A scan that arrived at `now` was kept: forgets what has expired, by the very rule of `ScanTable::push`. `page` gives
    /// LSN and time of the oldest scans from an LSN on, the new one included.
    pub(crate) fn kept<E>(
        &mut self,
        now: Time,
        page: &mut dyn FnMut(u64) -> Result<Vec<(u64, Time)>, E>,
    ) -> Result<(), E> {
        self.kept += 1;
        for _ in 0..SCANS_FORGOTTEN_PER_SCAN {
            if self.oldest.is_empty() {
                self.oldest = page(self.from)?.into();
            }
            let Some(&(lsn, at)) = self.oldest.front() else { break };
            let expired = now.since_ms(at) > SCAN_RETENTION_MS;
            let full = self.kept > self.kept_max;
            if !expired && !full {
                break;
            }
            self.forgotten_early += u64::from(!expired);
            self.kept -= 1;
            self.from = lsn + 1;
            self.oldest.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_full_table_forgets_the_oldest_early_and_counts_it() {
        let mut retention = Retention::new(0, 0, 0);
        retention.kept_max = 10;
        let mut all: Vec<(u64, Time)> = Vec::new();
        for lsn in 1..=25 {
            all.push((lsn, Time(lsn as i64)));
            let page = |from| {
                Ok::<_, Infallible>(all.iter().filter(|(lsn, _)| *lsn >= from).take(3).copied().collect())
            };
            retention.kept(Time(lsn as i64), &mut { page }).unwrap();
        }
        assert_eq!((retention.from, retention.kept, retention.forgotten_early), (16, 10, 15));
    }

    #[test]
    fn a_clock_that_jumps_forgets_two_at_a_time_and_none_early() {
        let mut retention = Retention::new(0, 0, 0);
        let times = [0, 0, 0, 0, 0, SCAN_RETENTION_MS + 1, SCAN_RETENTION_MS + 2];
        let mut all: Vec<(u64, Time)> = Vec::new();
        for (lsn, at) in (1..).zip(times) {
            all.push((lsn, Time(at)));
            let page = |from| {
                Ok::<_, Infallible>(all.iter().filter(|(lsn, _)| *lsn >= from).take(2).copied().collect())
            };
            retention.kept(Time(at), &mut { page }).unwrap();
        }
        assert_eq!((retention.from, retention.kept, retention.forgotten_early), (5, 3, 0));
    }
}
