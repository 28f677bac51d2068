//! How much an operation takes on at once: as much as it likes while it is alone, little where gates are at work, which it sees
//! by records in the journal that are not its own. Pure; knows no clock.

use engine::journal::Lsn;

/// Rows at once beside gates: some 130 µs. With a thousand a core was busy for 4 ms, and so long gates waited.
const ROWS_BESIDE_GATES: usize = 32;

/// Are gates at work beside an operation?
#[derive(Debug)]
pub(super) struct BesideGates {
    /// The journal's last record after the last batch, or the last of its own that follow it.
    own_end: Lsn,
    /// Others wrote during the last batch.
    seen: bool,
}

impl BesideGates {
    /// Nobody was seen yet.
    pub(super) fn unseen() -> BesideGates {
        BesideGates { own_end: Lsn(u64::MAX), seen: false }
    }

    /// A record of the operation's own was written.
    pub(super) fn wrote(&mut self, lsn: Lsn) {
        if lsn.0 == self.own_end.0.saturating_add(1) {
            self.own_end = lsn;
        }
    }

    /// A batch is done, and this is the journal's last record.
    pub(super) fn batch_ended(&mut self, end: Lsn) {
        self.seen = self.others_wrote(end);
        self.own_end = end;
    }

    /// How many rows are taken on at once, at most so many. A core that is busy with rows is not free for a gate's sync before
    /// they are done.
    pub(super) fn rows_at_once(&self, most: usize) -> usize {
        if self.seen { most.min(ROWS_BESIDE_GATES) } else { most }
    }

    /// Do gates go first, where this is the journal's last record before a batch is written?
    pub(super) fn go_first(&self, end: Lsn) -> bool {
        self.seen || self.others_wrote(end)
    }

    fn others_wrote(&self, end: Lsn) -> bool {
        end > self.own_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of the operation, each of two records, and how many records of others are among them; gives how many of a
    /// thousand rows the next batch takes, and whether gates go before it.
    fn after(others: &[u64]) -> Vec<(usize, bool)> {
        let (mut beside, mut end) = (BesideGates::unseen(), 100);
        let batch = |among: &u64| {
            let told = (beside.rows_at_once(1_000), beside.go_first(Lsn(end)));
            beside.wrote(Lsn(end + 1));
            beside.wrote(Lsn(end + 2 + among));
            end += 2 + among;
            beside.batch_ended(Lsn(end));
            told
        };
        others.iter().map(batch).collect()
    }

    /// Found by watching a list: its own records were taken for a gate's, and alone it had 6,000 rows a second.
    #[test]
    fn a_list_beside_gates_goes_on_with_few_rows_and_alone_with_all() {
        assert_eq!(after(&[0, 0, 0]), [(1_000, false); 3], "its own records are nobody else's");
        let told = after(&[0, 0, 1, 7, 0, 0]);
        let (alone, beside) = ((1_000, false), (ROWS_BESIDE_GATES, true));
        assert_eq!(told, [alone, alone, alone, beside, beside, alone]);
    }

    #[test]
    fn gates_that_come_before_a_batch_go_first_and_a_short_batch_stays_short() {
        let mut beside = BesideGates::unseen();
        beside.batch_ended(Lsn(100));
        assert!(!beside.go_first(Lsn(100)));
        assert!(beside.go_first(Lsn(101)));
        beside.batch_ended(Lsn(101));
        assert_eq!(beside.rows_at_once(10), 10);
    }
}
