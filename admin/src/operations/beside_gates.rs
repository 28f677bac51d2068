//! How much an operation takes on at once: as much as it likes while no gate works, little where gates are at work, which it
//! sees by records in the journal that no operation wrote. Pure; knows no clock.

use engine::journal::Lsn;

/// Rows at once beside gates: some 130 µs. With a thousand a core was busy for 4 ms, and so long gates waited.
const ROWS_BESIDE_GATES: usize = 32;

/// How far the journal is, and how much of it operations wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The journal's last record.
    pub end: Lsn,
    /// Records of all operations since the start.
    pub by_operations: u64,
}

/// Are gates at work beside an operation?
#[derive(Debug)]
pub(super) struct BesideGates {
    /// After the last batch; `None`: there was none yet.
    last: Option<Written>,
    /// Others wrote during the last batch.
    seen: bool,
}

impl BesideGates {
    /// Nobody was seen yet.
    pub(super) fn unseen() -> BesideGates {
        BesideGates { last: None, seen: false }
    }

    /// A batch is done, and so much is written by now.
    pub(super) fn batch_ended(&mut self, now: Written) {
        self.seen = self.others_wrote(now);
        self.last = Some(now);
    }

    /// How many rows are taken on at once, at most so many. A core that is busy with rows is not free for a gate's sync before
    /// they are done.
    pub(super) fn rows_at_once(&self, most: usize) -> usize {
        if self.seen { most.min(ROWS_BESIDE_GATES) } else { most }
    }

    /// Do gates go first, where so much is written before a batch is?
    pub(super) fn go_first(&self, now: Written) -> bool {
        self.seen || self.others_wrote(now)
    }

    /// A record of another operation counts once it is told: until then it is taken for a gate's, and one batch is short.
    fn others_wrote(&self, now: Written) -> bool {
        let own = |last: Written| now.by_operations.saturating_sub(last.by_operations);
        self.last.is_some_and(|last| now.end.0.saturating_sub(last.end.0) > own(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(end: u64, by_operations: u64) -> Written {
        Written { end: Lsn(end), by_operations }
    }

    /// Batches of the operation, each of two records, beside one of another operation and as many of gates as said; gives how
    /// many of a thousand rows the next batch takes, and whether gates go before it.
    fn after(gates: &[u64]) -> Vec<(usize, bool)> {
        let (mut beside, mut now) = (BesideGates::unseen(), written(100, 7));
        let batch = |among: &u64| {
            let told = (beside.rows_at_once(1_000), beside.go_first(now));
            now = written(now.end.0 + 3 + among, now.by_operations + 3);
            beside.batch_ended(now);
            told
        };
        gates.iter().map(batch).collect()
    }

    /// Found by watching a list: its own records were taken for a gate's, and alone it had 6,000 rows a second. Two lists took
    /// each other for gates.
    #[test]
    fn a_list_beside_gates_goes_on_with_few_rows_and_alone_with_all() {
        assert_eq!(after(&[0, 0, 0]), [(1_000, false); 3], "operations are no gates");
        let told = after(&[0, 0, 1, 7, 0, 0]);
        let (alone, beside) = ((1_000, false), (ROWS_BESIDE_GATES, true));
        assert_eq!(told, [alone, alone, alone, beside, beside, alone]);
    }

    #[test]
    fn gates_that_come_before_a_batch_go_first_and_a_short_batch_stays_short() {
        let mut beside = BesideGates::unseen();
        beside.batch_ended(written(100, 0));
        assert!(!beside.go_first(written(100, 0)));
        assert!(!beside.go_first(written(101, 1)));
        assert!(beside.go_first(written(101, 0)));
        beside.batch_ended(written(101, 0));
        assert_eq!(beside.rows_at_once(10), 10);
    }
}
