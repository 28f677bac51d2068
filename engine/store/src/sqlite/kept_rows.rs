//! Rows of the answers kept for retries. Knows how they are written, found and removed; what is in one is told in `kept`.

use crate::error::{StoreResult, WhileDoing};
use crate::kept::{KeptRow, decode};
use crate::words::Word;
use engine::clock::Time;
use engine::record::PassageOutcome;
use engine::scans::KeptScan;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::HashMap;

const INSERT: &str = "INSERT INTO kept_answers (first, last, entries, answers) VALUES (?1, ?2, ?3, ?4)";

/// The row an LSN is in begins here: the one before it may hold it too.
const FIRST_ROW: &str = "(SELECT coalesce(max(first), 0) FROM kept_answers WHERE first <= ?1)";

/// Answers on their way into a row.
pub(super) struct KeptWriter<'c> {
    insert: CachedStatement<'c>,
    row: KeptRow,
}

// === impl KeptWriter ===

impl<'c> KeptWriter<'c> {
    pub(super) fn new(connection: &'c Connection) -> StoreResult<KeptWriter<'c>> {
        let insert = connection.prepare_cached(INSERT).while_doing("prepare to keep answers")?;
        Ok(KeptWriter { insert, row: KeptRow::default() })
    }

    /// Keeps a scan's answer, as the engine keeps it. Written when the row is full, or by [`KeptWriter::flush`].
    pub(super) fn keep(&mut self, kept: &KeptScan) -> StoreResult<()> {
        if self.row.add(kept) { self.flush() } else { Ok(()) }
    }

    /// Writes the row that is not full.
    pub(super) fn flush(&mut self) -> StoreResult<()> {
        let Some((first, last)) = self.row.ends() else { return Ok(()) };
        self.insert
            .execute(params![first as i64, last as i64, self.row.entries(), self.row.answers])
            .while_doing("keep answers")?;
        self.row = KeptRow::default();
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
        found.extend(self.row.times(from));
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

/// Rows that have an answer from an LSN on and before another, each with the LSN of its first.
pub(super) fn between(connection: &Connection, from: u64, until: u64) -> StoreResult<Vec<(u64, KeptRow)>> {
    let doing = "read kept answers";
    let sql =
        "SELECT first, entries, answers FROM kept_answers WHERE first < ?2 AND last >= ?1 ORDER BY first";
    let mut statement = connection.prepare_cached(sql).while_doing(doing)?;
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?));
    let rows = statement.query_map([from as i64, until as i64], columns).while_doing(doing)?;
    rows.map(|row| {
        let (first, entries, answers): (u64, String, Vec<u8>) = row.while_doing(doing)?;
        Ok((first, KeptRow::of_columns(&entries, answers)?))
    })
    .collect()
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
        let answers = row.get(1).while_doing("read kept answers")?;
        for kept in KeptRow::of_columns(&entries, answers)?.scans(from) {
            let kept = kept?;
            each(KeptScan { outcome: outcomes.get(&kept.lsn).copied().unwrap_or(kept.outcome), ..kept });
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
        let read = || -> rusqlite::Result<(u64, String)> { Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)) };
        let (scan, outcome) = read().while_doing("read an outcome")?;
        outcomes.insert(scan, PassageOutcome::read(&outcome)?);
    }
    Ok(outcomes)
}
