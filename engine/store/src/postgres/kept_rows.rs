//! Rows of the answers kept for retries. Knows how they are written, found and removed; what is in one is told in `kept`.

use super::connect::Link;
use super::copy::Copy;
use super::values::{Json, get};
use crate::error::{StoreResult, WhileDoing};
use crate::kept::KeptRow;
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::clock::Time;
use engine::record::PassageOutcome;
use engine::scans::KeptScan;
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// The row an LSN is in begins here: the one before it may hold it too.
const FIRST_ROW: &str = "(SELECT coalesce(max(first), 0) FROM kept_answers WHERE first <= $1)";

/// Rows read at once to be a node again: some 4 MiB.
const ROWS_PER_PAGE: i64 = 128;
/// Outcomes read at once.
const OUTCOMES_PER_PAGE: i64 = 50_000;

/// Answers on their way.
pub(super) struct Keeping {
    copy: Copy,
    /// The rows in `copy`, for those who ask before they are written.
    full: Vec<KeptRow>,
    row: KeptRow,
}

// === impl Keeping ===

impl Keeping {
    pub(super) fn new() -> Keeping {
        let types = &[Type::INT8, Type::INT8, Type::JSON, Type::BYTEA];
        let copy = Copy::new("kept_answers (first, last, entries, answers)", types, "keep answers");
        Keeping { copy, full: Vec::new(), row: KeptRow::default() }
    }

    pub(super) fn keep(&mut self, kept: &KeptScan) -> StoreResult<()> {
        if self.row.add(kept) { self.end_row() } else { Ok(()) }
    }

    fn end_row(&mut self) -> StoreResult<()> {
        let row = std::mem::take(&mut self.row);
        let Some((first, last)) = row.ends() else { return Ok(()) };
        let entries = Json(row.entries().into());
        self.copy.row(&[&(first as i64), &(last as i64), &entries, &row.answers])?;
        self.full.push(row);
        Ok(())
    }

    pub(super) async fn flush(&mut self, session: &ClientWrapper) -> StoreResult<()> {
        self.end_row()?;
        self.full.clear();
        self.copy.flush(session).await
    }

    /// LSN and time of arrival of those not yet written.
    pub(super) fn times(&self, from: u64) -> impl Iterator<Item = (u64, Time)> + '_ {
        self.full.iter().chain([&self.row]).flat_map(move |row| row.times(from))
    }

    /// The one at an LSN, if it is not yet written.
    pub(super) fn find(&self, lsn: u64) -> Option<StoreResult<KeptScan>> {
        let mut rows = self.full.iter().chain([&self.row]);
        rows.find(|row| row.ends().is_some_and(|(first, last)| (first..=last).contains(&lsn)))
            .and_then(|row| only(row, lsn))
    }
}

/// The answer at an LSN, if this row has it.
fn only(row: &KeptRow, lsn: u64) -> Option<StoreResult<KeptScan>> {
    let found = row.scans(lsn).next()?;
    if found.as_ref().is_ok_and(|kept| kept.lsn != lsn) { None } else { Some(found) }
}

/// The oldest kept scans from an LSN on: LSN and time of arrival of each, at most `limit`.
pub(super) async fn oldest(
    session: &ClientWrapper,
    from: u64,
    limit: usize,
) -> StoreResult<Vec<(u64, Time)>> {
    let sql = format!(
        "SELECT (entry ->> 0)::bigint, (entry ->> 1)::bigint \
         FROM kept_answers, json_array_elements(entries) WITH ORDINALITY AS own (entry, place) \
         WHERE first >= {FIRST_ROW} AND (entry ->> 0)::bigint >= $1 ORDER BY first, place LIMIT $2"
    );
    let statement = session.prepare_cached(&sql).await.while_doing("prepare to look up kept answers")?;
    let rows = session.query(&statement, &[&(from as i64), &(limit as i64)]).await;
    let rows = rows.while_doing("look up the oldest kept answers")?;
    rows.iter().map(|row| Ok((get::<i64>(row, 0)? as u64, Time(get(row, 1)?)))).collect()
}

/// The kept scan at an LSN. Reads one row and decodes one answer.
pub(super) async fn kept(session: &ClientWrapper, lsn: u64) -> StoreResult<Option<KeptScan>> {
    let sql = format!("SELECT entries, answers FROM kept_answers WHERE first = {FIRST_ROW}");
    let statement = session.prepare_cached(&sql).await.while_doing("prepare to read kept answers")?;
    let row = session.query_opt(&statement, &[&(lsn as i64)]).await.while_doing("read a kept answer")?;
    let Some(row) = row else { return Ok(None) };
    only(&KeptRow::of_columns(&get::<Json<'_>>(&row, 0)?.0, get(&row, 1)?)?, lsn).transpose()
}

/// Removes the rows all of whose answers are before an LSN.
pub(super) async fn forget(session: &ClientWrapper, from: u64) -> StoreResult<()> {
    let sql = "DELETE FROM kept_answers WHERE first < $1 AND last < $1";
    let statement = session.prepare_cached(sql).await.while_doing("prepare to forget answers")?;
    session.execute(&statement, &[&(from as i64)]).await.map(drop).while_doing("forget old answers")
}

/// Gives every kept scan from an LSN on to `each`, oldest first.
pub(super) async fn each_kept(
    link: &Link,
    session: &ClientWrapper,
    from: u64,
    each: &mut dyn FnMut(KeptScan),
) -> StoreResult<()> {
    // An answer never changes, what became of the admission does: that is in the passages.
    let outcomes = outcomes(link, session, from).await?;
    let sql = "SELECT entries, answers, first FROM kept_answers WHERE last >= $1 AND first > $2 ORDER BY first LIMIT $3";
    let statement = session.prepare_cached(sql).await.while_doing("prepare to read kept answers")?;
    let mut after = -1_i64;
    loop {
        let page = link.page("read kept answers", async {
            let rows = session.query(&statement, &[&(from as i64), &after, &ROWS_PER_PAGE]).await;
            rows.while_doing("read kept answers")
        });
        let rows = page.await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = get(last, 2)?;
        for row in &rows {
            for kept in KeptRow::of_columns(&get::<Json<'_>>(row, 0)?.0, get(row, 1)?)?.scans(from) {
                let kept = kept?;
                each(KeptScan { outcome: outcomes.get(&kept.lsn).copied().unwrap_or(kept.outcome), ..kept });
            }
        }
    }
}

/// The last that was reported of each scan from an LSN on.
async fn outcomes(
    link: &Link,
    session: &ClientWrapper,
    from: u64,
) -> StoreResult<HashMap<u64, PassageOutcome>> {
    let mut outcomes = HashMap::new();
    let sql = "SELECT lsn, scan, outcome FROM passages WHERE lsn > $1 AND scan >= $2 ORDER BY lsn LIMIT $3";
    let statement = session.prepare_cached(sql).await.while_doing("prepare to read outcomes")?;
    // A passage comes after its scan.
    let mut after = from as i64;
    loop {
        let page = link.page("read outcomes", async {
            let rows = session.query(&statement, &[&after, &(from as i64), &OUTCOMES_PER_PAGE]).await;
            rows.while_doing("read outcomes")
        });
        let rows = page.await?;
        let Some(last) = rows.last() else { return Ok(outcomes) };
        after = get(last, 0)?;
        for row in &rows {
            outcomes.insert(get::<i64>(row, 1)? as u64, PassageOutcome::read(get(row, 2)?)?);
        }
    }
}
