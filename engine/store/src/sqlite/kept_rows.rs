//! Rows of the answers kept for retries, many to a row: one insert for a hundred scans, and one is still found alone.
//! Knows how an answer is written and read back exactly; knows no rule.

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::words::Word;
use engine::clock::Time;
use engine::record::PassageOutcome;
use engine::scans::KeptScan;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Answers in a row at the most. More would make looking up a single one dear, fewer would save less.
const ANSWERS_PER_ROW: usize = 128;

const INSERT: &str = "INSERT INTO kept_answers (first, last, entries, answers) VALUES (?1, ?2, ?3, ?4)";

/// The row an LSN is in begins here: the one before it may hold it too.
const FIRST_ROW: &str = "(SELECT coalesce(max(first), 0) FROM kept_answers WHERE first <= ?1)";

/// Where an answer is in its row: LSN, time of arrival, beginning, length.
type Entry = (u64, i64, usize, usize);

/// Answers on their way into a row.
pub(super) struct KeptWriter<'c> {
    insert: CachedStatement<'c>,
    entries: Vec<Entry>,
    answers: Vec<u8>,
}

// === impl KeptWriter ===

impl<'c> KeptWriter<'c> {
    pub(super) fn new(connection: &'c Connection) -> StoreResult<KeptWriter<'c>> {
        let insert = connection.prepare_cached(INSERT).while_doing("prepare to keep answers")?;
        Ok(KeptWriter { insert, entries: Vec::with_capacity(ANSWERS_PER_ROW), answers: Vec::new() })
    }

    /// Keeps a scan's answer, as the engine keeps it. Written when the row is full, or by [`KeptWriter::flush`].
    pub(super) fn keep(&mut self, kept: &KeptScan) -> StoreResult<()> {
        let start = self.answers.len();
        self.answers = postcard::to_extend(kept, std::mem::take(&mut self.answers))
            .expect("an answer has no type that cannot be written");
        self.entries.push((kept.lsn, kept.recorded_at.0, start, self.answers.len() - start));
        if self.entries.len() == ANSWERS_PER_ROW { self.flush() } else { Ok(()) }
    }

    /// Writes the row that is not full.
    pub(super) fn flush(&mut self) -> StoreResult<()> {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return Ok(()) };
        let entries = serde_json::to_string(&self.entries).expect("numbers can be written");
        self.insert
            .execute(params![first.0 as i64, last.0 as i64, entries, self.answers])
            .while_doing("keep answers")?;
        self.entries.clear();
        self.answers.clear();
        Ok(())
    }

    /// The oldest kept scans from an LSN on, those not yet written included: LSN and time of arrival of each, at most
    /// `limit`.
    pub(super) fn page(
        &self,
        connection: &Connection,
        from: u64,
        limit: usize,
    ) -> StoreResult<Vec<(u64, Time)>> {
        let mut found = written_page(connection, from, limit)?;
        let unwritten = self.entries.iter().filter(|(lsn, ..)| *lsn >= from);
        found.extend(unwritten.map(|(lsn, at, ..)| (*lsn, Time(*at))));
        found.truncate(limit);
        Ok(found)
    }
}

fn written_page(connection: &Connection, from: u64, limit: usize) -> StoreResult<Vec<(u64, Time)>> {
    let sql = format!(
        "SELECT entry.value ->> 0, entry.value ->> 1 FROM kept_answers, json_each(entries) AS entry \
         WHERE first >= {FIRST_ROW} AND entry.value ->> 0 >= ?1 ORDER BY first, entry.key LIMIT ?2"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let rows = statement.query_map(params![from as i64, limit as i64], |row| {
                Ok((row.get::<_, i64>(0)? as u64, Time(row.get(1)?)))
            })?;
            rows.collect()
        })
        .while_doing("look up the oldest kept answers")
}

/// Removes the rows all of whose answers are before an LSN.
pub(super) fn forget(connection: &Connection, from: u64) -> StoreResult<()> {
    connection
        .prepare_cached("DELETE FROM kept_answers WHERE first < ?1 AND last < ?1")
        .and_then(|mut statement| statement.execute([from as i64]))
        .map(drop)
        .while_doing("forget old answers")
}

/// The kept scan at an LSN, as it was when it was kept. Reads one row and decodes one answer.
pub(super) fn kept(connection: &Connection, lsn: u64) -> StoreResult<Option<KeptScan>> {
    let sql = format!(
        "SELECT substr(answers, 1 + (entry.value ->> 2), entry.value ->> 3) \
         FROM kept_answers, json_each(entries) AS entry WHERE first = {FIRST_ROW} AND entry.value ->> 0 = ?1"
    );
    let answer: Option<Vec<u8>> = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row([lsn as i64], |row| row.get(0)).optional())
        .while_doing("read a kept answer")?;
    answer.map(|answer| decode(lsn, &answer)).transpose()
}

/// Gives every kept scan from an LSN on to `each`, oldest first.
pub(super) fn each_kept(
    connection: &Connection,
    from: u64,
    each: &mut dyn FnMut(KeptScan),
) -> StoreResult<()> {
    // An answer never changes, what became of the admission does: that is in the passages.
    let outcomes = outcomes(connection, from)?;
    let mut statement = connection
        .prepare("SELECT entries, answers FROM kept_answers WHERE last >= ?1 ORDER BY first")
        .while_doing("read kept answers")?;
    let mut rows = statement.query([from as i64]).while_doing("read kept answers")?;
    while let Some(row) = rows.next().while_doing("read kept answers")? {
        let entries: String = row.get(0).while_doing("read kept answers")?;
        let answers = row.get_ref(1).while_doing("read kept answers")?;
        let damaged =
            |problem: &dyn ToString| StoreError::damaged("a row of kept answers", problem.to_string());
        let answers = answers.as_blob().map_err(|error| damaged(&error))?;
        let entries: Vec<Entry> = serde_json::from_str(&entries).map_err(|error| damaged(&error))?;
        for (lsn, _, start, len) in entries.into_iter().filter(|(lsn, ..)| *lsn >= from) {
            let answer = start.checked_add(len).and_then(|end| answers.get(start..end));
            let answer = answer.ok_or_else(|| damaged(&"its entries do not add up"))?;
            let kept = decode(lsn, answer)?;
            each(KeptScan { outcome: outcomes.get(&lsn).copied().unwrap_or(kept.outcome), ..kept });
        }
    }
    Ok(())
}

/// The last that was reported of each scan from an LSN on.
fn outcomes(connection: &Connection, from: u64) -> StoreResult<HashMap<u64, PassageOutcome>> {
    let mut outcomes = HashMap::new();
    // A passage comes after its scan.
    let mut statement = connection
        .prepare("SELECT scan, outcome FROM passages WHERE lsn > ?1 AND scan >= ?1 ORDER BY lsn")
        .while_doing("read outcomes")?;
    let mut rows = statement.query([from as i64]).while_doing("read outcomes")?;
    while let Some(row) = rows.next().while_doing("read outcomes")? {
        let read = || Ok((row.get::<_, i64>(0)? as u64, row.get::<_, String>(1)?));
        let (scan, outcome) = read().while_doing("read an outcome")?;
        outcomes.insert(scan, PassageOutcome::read(&outcome)?);
    }
    Ok(outcomes)
}

fn decode(lsn: u64, answer: &[u8]) -> StoreResult<KeptScan> {
    postcard::from_bytes(answer)
        .map_err(|error| StoreError::damaged(format!("the kept answer of scan {lsn}"), error))
}
