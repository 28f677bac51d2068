//! Answers kept for retries, many to a row: one insert for a hundred scans, and one is still found alone. Owns the form
//! of such a row; knows no rule and no database.
//!
//! ```text
//! entries   JSON, for each scan by LSN: [LSN, recorded_at, where its answer begins, its length]
//! answers   the answers in postcard, one after the other
//! ```

use crate::error::{StoreError, StoreResult};
use engine::clock::Time;
use engine::scans::KeptScan;

/// Answers in a row at the most. More would make looking up a single one dear, fewer would save less.
const ANSWERS_PER_ROW: usize = 128;

/// Where an answer is in its row: LSN, time of arrival, beginning, length.
type Entry = (u64, i64, usize, usize);

/// Answers of one row.
pub(crate) struct KeptRow {
    entries: Vec<Entry>,
    pub answers: Vec<u8>,
}

// === impl KeptRow ===

impl Default for KeptRow {
    fn default() -> KeptRow {
        KeptRow { entries: Vec::with_capacity(ANSWERS_PER_ROW), answers: Vec::new() }
    }
}

impl KeptRow {
    /// A row that was read back.
    pub(crate) fn of_columns(entries: &str, answers: Vec<u8>) -> StoreResult<KeptRow> {
        Ok(KeptRow { entries: serde_json::from_str(entries).map_err(damaged)?, answers })
    }

    /// Adds a scan's answer, as the engine keeps it; is the row full now?
    pub(crate) fn add(&mut self, kept: &KeptScan) -> bool {
        let start = self.answers.len();
        self.answers = postcard::to_extend(kept, std::mem::take(&mut self.answers))
            .expect("an answer has no type that cannot be written");
        self.entries.push((kept.lsn, kept.recorded_at.0, start, self.answers.len() - start));
        self.entries.len() >= ANSWERS_PER_ROW
    }

    /// First and last LSN; `None`: it is empty.
    pub(crate) fn ends(&self) -> Option<(u64, u64)> {
        Some((self.entries.first()?.0, self.entries.last()?.0))
    }

    /// The column of its entries.
    pub(crate) fn entries(&self) -> String {
        serde_json::to_string(&self.entries).expect("numbers can be written")
    }

    /// LSN and time of arrival of the scans from an LSN on.
    pub(crate) fn times(&self, from: u64) -> impl Iterator<Item = (u64, Time)> + '_ {
        self.entries.iter().filter(move |(lsn, ..)| *lsn >= from).map(|(lsn, at, ..)| (*lsn, Time(*at)))
    }

    /// The kept scans from an LSN on.
    pub(crate) fn scans(&self, from: u64) -> impl Iterator<Item = StoreResult<KeptScan>> + '_ {
        self.entries.iter().filter(move |(lsn, ..)| *lsn >= from).map(|(lsn, _, start, len)| {
            let answer = start.checked_add(*len).and_then(|end| self.answers.get(*start..end));
            decode(*lsn, answer.ok_or_else(|| damaged("its entries do not add up"))?)
        })
    }
}

/// An answer cut out of its row.
pub(crate) fn decode(lsn: u64, answer: &[u8]) -> StoreResult<KeptScan> {
    postcard::from_bytes(answer)
        .map_err(|error| StoreError::damaged(format!("the kept answer of scan {lsn}"), error))
}

fn damaged(problem: impl ToString) -> StoreError {
    StoreError::damaged("a row of kept answers", problem)
}
