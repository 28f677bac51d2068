//! Rows of the figures: added to batch by batch, read by statistics. Knows SQL; knows no rule.

use super::connect::Link;
use super::queries::{Value, rows};
use super::values::{get, number};
use crate::error::{StoreResult, WhileDoing};
use crate::figures::{Figures, Flow, FlowScope, MINUTE_MS, minute};
use crate::rows::{ArrivalRow, DenialRow, Period, PresentedOrder, PresentedRow};
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::catalog::{DeviceId, EventId, GateId, TypeId};
use engine::clock::Time;
use engine::ticket::TicketId;
use tokio_postgres::types::ToSql;

const ARRIVALS: &str = "INSERT INTO arrivals AS own SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], \
     $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) ON CONFLICT (event, scope, minute, id) DO UPDATE SET \
     (admitted, exits, denied) = \
     (own.admitted + excluded.admitted, own.exits + excluded.exits, own.denied + excluded.denied)";

const DENIALS: &str = "INSERT INTO denials AS own SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], \
     $4::bigint[], $5::bigint[]) ON CONFLICT (event, reason, gate, device) DO UPDATE SET \
     denied = own.denied + excluded.denied";

const AGAIN: &str = "INSERT INTO presented_again AS own SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], \
     $4::bigint[], $5::bigint[], $6::bigint[]) ON CONFLICT (event, kind, code) DO UPDATE SET \
     (ticket, denied, admitted) = \
     (coalesce(excluded.ticket, own.ticket), own.denied + excluded.denied, own.admitted + excluded.admitted)";

/// Adds what a batch adds: three statements at the most.
pub(super) async fn add(session: &ClientWrapper, figures: &Figures) -> StoreResult<()> {
    if !figures.arrivals.is_empty() {
        let column = |of: fn((&crate::figures::FlowKey, &Flow)) -> i64| {
            figures.arrivals.iter().map(of).collect::<Vec<i64>>()
        };
        let scopes: Vec<&str> = figures.arrivals.keys().map(|key| key.1.word()).collect();
        let events = column(|(key, _)| i64::from(key.0.0));
        let (minutes, ids) = (column(|(key, _)| key.2), column(|(key, _)| i64::from(key.3)));
        let admitted = column(|(_, flow)| flow.admitted);
        let (exits, denied) = (column(|(_, flow)| flow.exits), column(|(_, flow)| flow.denied));
        run(session, ARRIVALS, &[&events, &scopes, &minutes, &ids, &admitted, &exits, &denied]).await?;
    }
    if !figures.denials.is_empty() {
        let events: Vec<i64> = figures.denials.keys().map(|key| i64::from(key.0.0)).collect();
        let reasons: Vec<&str> = figures.denials.keys().map(|key| key.1.word()).collect();
        let gates: Vec<i64> = figures.denials.keys().map(|key| i64::from(key.2.0)).collect();
        let devices: Vec<i64> = figures.denials.keys().map(|key| i64::from(key.3.0)).collect();
        let denied: Vec<i64> = figures.denials.values().copied().collect();
        run(session, DENIALS, &[&events, &reasons, &gates, &devices, &denied]).await?;
    }
    if !figures.again.is_empty() {
        let events: Vec<i64> = figures.again.keys().map(|key| i64::from(key.0.0)).collect();
        let kinds: Vec<&str> = figures.again.keys().map(|key| key.1.word()).collect();
        let codes: Vec<&[u8]> = figures.again.keys().map(|key| &*key.2).collect();
        let ticket = |ticket: Option<TicketId>| ticket.map(|ticket| i64::from(ticket.0));
        let tickets: Vec<Option<i64>> = figures.again.values().map(|own| ticket(own.ticket)).collect();
        let denied: Vec<i64> = figures.again.values().map(|own| own.denied).collect();
        let admitted: Vec<i64> = figures.again.values().map(|own| own.admitted).collect();
        run(session, AGAIN, &[&events, &kinds, &codes, &tickets, &denied, &admitted]).await?;
    }
    Ok(())
}

async fn run(session: &ClientWrapper, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> StoreResult<()> {
    let action = "add to the figures";
    let statement = session.prepare_cached(sql).await.while_doing(action)?;
    session.execute(&statement, values).await.map(drop).while_doing(action)
}

pub(super) fn arrivals(
    link: &Link,
    event: EventId,
    scope: FlowScope,
    period: Period,
) -> StoreResult<Vec<ArrivalRow>> {
    let sql = "SELECT minute, id, admitted, exits, denied FROM arrivals \
               WHERE event = $1 AND scope = $2 AND minute >= $3 AND minute < $4 ORDER BY minute, id";
    let (since, until) = (minute(period.since), minute(period.until));
    let values: [Value; 4] =
        [Box::new(i64::from(event.0)), Box::new(scope.word()), Box::new(since), Box::new(until)];
    let read = |row: &tokio_postgres::Row| {
        Ok(ArrivalRow {
            minute: Time(get::<i64>(row, 0)? * MINUTE_MS),
            id: number(get::<i64>(row, 1)?)?,
            flow: Flow { admitted: get(row, 2)?, exits: get(row, 3)?, denied: get(row, 4)? },
        })
    };
    let action = "read arrivals";
    link.ask(action, async |session| rows(session, action, sql, &values).await)?.iter().map(read).collect()
}

pub(super) fn active_tickets(link: &Link, kind: TypeId) -> StoreResult<u64> {
    // Two indexes have all of it: a condition on specimens beside the first would read every ticket's row.
    let sql = "SELECT (SELECT count(*) FROM tickets WHERE type_id = $1 AND status = 'active') - \
               (SELECT count(*) FROM tickets WHERE specimen AND type_id = $1 AND status = 'active')";
    let values: [Value; 1] = [Box::new(i32::from(kind.0))];
    let action = "count tickets";
    let found = link.ask(action, async |session| rows(session, action, sql, &values).await)?;
    found.first().map_or(Ok(0), |row| Ok(get::<i64>(row, 0)?.unsigned_abs()))
}

pub(super) fn denials(link: &Link, event: EventId) -> StoreResult<Vec<DenialRow>> {
    let sql =
        "SELECT reason, gate, device, denied FROM denials WHERE event = $1 ORDER BY reason, gate, device";
    let values: [Value; 1] = [Box::new(i64::from(event.0))];
    let read = |row: &tokio_postgres::Row| {
        Ok(DenialRow {
            reason: Word::read(get(row, 0)?)?,
            gate: GateId(number(get::<i64>(row, 1)?)?),
            device: DeviceId(number(get::<i64>(row, 2)?)?),
            denied: get(row, 3)?,
        })
    };
    let action = "read denials";
    link.ask(action, async |session| rows(session, action, sql, &values).await)?.iter().map(read).collect()
}

pub(super) fn presented_again(
    link: &Link,
    event: EventId,
    order: PresentedOrder,
    limit: usize,
) -> StoreResult<Vec<PresentedRow>> {
    let by = order.column();
    let sql = format!(
        "SELECT kind, code, ticket, denied, admitted FROM presented_again \
         WHERE event = $1 AND ({by}) > 0 ORDER BY ({by}) DESC LIMIT $2"
    );
    let values: [Value; 2] = [Box::new(i64::from(event.0)), Box::new(limit as i64)];
    let read = |row: &tokio_postgres::Row| {
        Ok(PresentedRow {
            kind: Word::read(get(row, 0)?)?,
            code: get(row, 1)?,
            ticket: get::<Option<i64>>(row, 2)?.map(number).transpose()?.map(TicketId),
            denied: get(row, 3)?,
            admitted: get(row, 4)?,
        })
    };
    let action = "read repeated codes";
    link.ask(action, async |session| rows(session, action, &sql, &values).await)?.iter().map(read).collect()
}
