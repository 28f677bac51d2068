//! Rows of the figures: added to batch by batch, read by statistics. Knows SQL; knows no rule.

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::figures::{Figures, Flow, FlowScope, MINUTE_MS, minute};
use crate::rows::{ArrivalRow, DenialRow, Period, PresentedOrder, PresentedRow};
use crate::words::Word;
use engine::catalog::{DeviceId, EventId, GateId, TypeId};
use engine::clock::Time;
use engine::ticket::TicketId;
use rusqlite::{Connection, Row, params};

/// Adds what a batch adds. Some hundred rows for a busy minute, however many scans it had.
pub(super) fn add(connection: &Connection, figures: &Figures) -> StoreResult<()> {
    let action = "add to the figures";
    let mut arrivals = connection
        .prepare_cached(
            "INSERT INTO arrivals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET \
             admitted = admitted + excluded.admitted, exits = exits + excluded.exits, denied = denied + excluded.denied",
        )
        .while_doing(action)?;
    for ((event, scope, minute, id), Flow { admitted, exits, denied }) in &figures.arrivals {
        let row = params![event.0, scope.word(), minute, id, admitted, exits, denied];
        arrivals.execute(row).while_doing(action)?;
    }
    let mut denials = connection
        .prepare_cached(
            "INSERT INTO denials VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
             denied = denied + excluded.denied",
        )
        .while_doing(action)?;
    for ((event, reason, gate, device), denied) in &figures.denials {
        let row = params![event.0, reason.word(), gate.0, device.0, denied];
        denials.execute(row).while_doing(action)?;
    }
    let mut again = connection
        .prepare_cached(
            "INSERT INTO presented_again VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
             ticket = coalesce(excluded.ticket, ticket), denied = denied + excluded.denied, \
             admitted = admitted + excluded.admitted",
        )
        .while_doing(action)?;
    for ((event, kind, code), own) in &figures.again {
        let row =
            params![event.0, kind.word(), code, own.ticket.map(|ticket| ticket.0), own.denied, own.admitted];
        again.execute(row).while_doing(action)?;
    }
    Ok(())
}

pub(super) fn arrivals(
    connection: &Connection,
    event: EventId,
    scope: FlowScope,
    period: Period,
) -> StoreResult<Vec<ArrivalRow>> {
    let sql = "SELECT minute, id, admitted, exits, denied FROM arrivals \
               WHERE event = ?1 AND scope = ?2 AND minute >= ?3 AND minute < ?4 ORDER BY minute, id";
    let (since, until) = (minute(period.since), minute(period.until));
    let values = params![event.0, scope.word(), since, until];
    page(connection, "read arrivals", sql, values, |row| {
        Ok(Ok(ArrivalRow {
            minute: Time(row.get::<_, i64>(0)? * MINUTE_MS),
            id: row.get(1)?,
            flow: Flow { admitted: row.get(2)?, exits: row.get(3)?, denied: row.get(4)? },
        }))
    })
}

pub(super) fn active_tickets(connection: &Connection, kind: TypeId) -> StoreResult<u64> {
    // Two indexes have all of it: a condition on specimens beside the first would read every ticket's row.
    let sql = "SELECT (SELECT count(*) FROM tickets WHERE type_id = ?1 AND status = 'active') - \
               (SELECT count(*) FROM tickets WHERE specimen = 1 AND type_id = ?1 AND status = 'active')";
    let action = "count tickets";
    let mut statement = connection.prepare_cached(sql).while_doing(action)?;
    let count: i64 = statement.query_row([kind.0], |row| row.get(0)).while_doing(action)?;
    Ok(count.unsigned_abs())
}

pub(super) fn denials(connection: &Connection, event: EventId) -> StoreResult<Vec<DenialRow>> {
    let sql =
        "SELECT reason, gate, device, denied FROM denials WHERE event = ?1 ORDER BY reason, gate, device";
    page(connection, "read denials", sql, params![event.0], |row| {
        let (gate, device, denied) = (GateId(row.get(1)?), DeviceId(row.get(2)?), row.get(3)?);
        let reason = row.get_ref(0)?.as_str()?;
        Ok(Word::read(reason).map(|reason| DenialRow { reason, gate, device, denied }))
    })
}

pub(super) fn presented_again(
    connection: &Connection,
    event: EventId,
    order: PresentedOrder,
    limit: usize,
) -> StoreResult<Vec<PresentedRow>> {
    let by = order.column();
    let sql = format!(
        "SELECT kind, code, ticket, denied, admitted FROM presented_again \
         WHERE event = ?1 AND {by} > 0 ORDER BY {by} DESC LIMIT ?2"
    );
    page(connection, "read repeated codes", &sql, params![event.0, limit as i64], |row| {
        let (code, ticket) = (row.get(1)?, row.get::<_, Option<u32>>(2)?.map(TicketId));
        let (denied, admitted) = (row.get(3)?, row.get(4)?);
        let kind = row.get_ref(0)?.as_str()?;
        Ok(Word::read(kind).map(|kind| PresentedRow { kind, code, ticket, denied, admitted }))
    })
}

fn page<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, StoreError>>,
) -> StoreResult<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).while_doing(action)?;
    let mut rows = statement.query(values).while_doing(action)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().while_doing(action)? {
        found.push(read(row).while_doing(action)??);
    }
    Ok(found)
}
