//! Rows that are read and written anew when it is forgotten who held an event's tickets. Knows how; what stays is told in
//! `shred`.

use super::ticket_rows;
use super::values::{Json, get};
use crate::error::{StoreResult, WhileDoing};
use crate::kept::KeptRow;
use crate::shred::Lines;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::catalog::EventId;
use engine::ticket::{Ticket, TicketId};

/// The tickets of an event in a run of numbers.
pub(super) async fn tickets(
    session: &ClientWrapper,
    event: EventId,
    first: TicketId,
    count: u32,
) -> StoreResult<Vec<(TicketId, Ticket)>> {
    let doing = "read the tickets of an event";
    let (columns, tables) = (ticket_rows::COLUMNS, ticket_rows::TABLES);
    let sql = format!("SELECT {columns} FROM {tables} WHERE event = $1 AND id >= $2 AND id < $3 ORDER BY id");
    let statement = session.prepare_cached(&sql).await.while_doing(doing)?;
    let (first, event) = (i64::from(first.0), i64::from(event.0));
    let rows = session.query(&statement, &[&event, &first, &(first + i64::from(count))]).await;
    rows.while_doing(doing)?.iter().map(ticket_rows::read).collect()
}

/// Rows of kept answers that have one from an LSN on and before another, each with the LSN of its first.
pub(super) async fn kept_rows(
    session: &ClientWrapper,
    from: u64,
    until: u64,
) -> StoreResult<Vec<(u64, KeptRow)>> {
    let doing = "read kept answers";
    let sql =
        "SELECT first, entries, answers FROM kept_answers WHERE first < $2 AND last >= $1 ORDER BY first";
    let statement = session.prepare_cached(sql).await.while_doing(doing)?;
    let rows = session.query(&statement, &[&(from as i64), &(until as i64)]).await.while_doing(doing)?;
    let row_of = |row: &tokio_postgres::Row| {
        let entries = KeptRow::of_columns(&get::<Json<'_>>(row, 1)?.0, get(row, 2)?)?;
        Ok((get::<i64>(row, 0)? as u64, entries))
    };
    rows.iter().map(row_of).collect()
}

/// Writes a row of kept answers anew.
pub(super) async fn put_kept_row(session: &ClientWrapper, first: u64, row: &KeptRow) -> StoreResult<()> {
    let doing = "write kept answers anew";
    let sql = "UPDATE kept_answers SET entries = $2, answers = $3 WHERE first = $1";
    let statement = session.prepare_cached(sql).await.while_doing(doing)?;
    let entries = row.entries();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&(first as i64), &Json(entries.as_str().into()), &row.answers];
    session.execute(&statement, &values).await.map(drop).while_doing(doing)
}

/// Lines of the audit and their details.
pub(super) async fn audit_lines(
    session: &ClientWrapper,
    lines: Lines<'_>,
) -> StoreResult<Vec<(Lsn, String)>> {
    let doing = "look up the audit";
    let (sql, values) = match lines {
        Lines::About(subjects) => (
            "SELECT lsn, details FROM audit WHERE lsn IN (SELECT lsn FROM audit WHERE subject = ANY($1) \
             UNION ALL SELECT lsn FROM audit_subjects WHERE subject = ANY($1))",
            subjects,
        ),
        Lines::Of(action) => {
            ("SELECT lsn, details FROM audit WHERE action = ANY($1)", &[action.to_owned()][..])
        }
    };
    let statement = session.prepare_cached(sql).await.while_doing(doing)?;
    let rows = session.query(&statement, &[&values]).await.while_doing(doing)?;
    let line = |row: &tokio_postgres::Row| {
        Ok((Lsn(get::<i64>(row, 0)? as u64), get::<Json<'_>>(row, 1)?.0.into_owned()))
    };
    rows.iter().map(line).collect()
}

/// Writes the details of a line of the audit anew.
pub(super) async fn set_audit_details(session: &ClientWrapper, line: Lsn, details: &str) -> StoreResult<()> {
    let doing = "write a line of the audit anew";
    let sql = "UPDATE audit SET details = $2 WHERE lsn = $1";
    let statement = session.prepare_cached(sql).await.while_doing(doing)?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&(line.0 as i64), &Json(details.into())];
    session.execute(&statement, &values).await.map(drop).while_doing(doing)
}

/// Removes what supervisors wrote about scans of an event.
pub(super) async fn forget_notes(session: &ClientWrapper, event: EventId) -> StoreResult<()> {
    let doing = "forget notes";
    let sql = "UPDATE scans SET note = '' WHERE note IS NOT NULL AND note <> '' AND event = $1";
    let statement = session.prepare_cached(sql).await.while_doing(doing)?;
    session.execute(&statement, &[&i64::from(event.0)]).await.map(drop).while_doing(doing)
}
