//! Lists for the administration: tickets, the audit, conflicts, what devices were told. Knows SQL; changes nothing.

use super::ticket_rows;
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::rows::{AuditFilter, AuditRow, CommandRow, ConflictRow, TicketFilter, TicketPage};
use crate::search::{AUDIT_ABOUT, all_of, joined, joined_after};
use crate::ticket_list::{self, List, Values};
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{DeviceId, OperatorId};
use engine::clock::Time;
use engine::decision::Reason;
use engine::ticket::TicketId;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

const VALUES: Values<Value> = Values {
    event: |event| Value::Integer(i64::from(event)),
    type_id: |own| Value::Integer(i64::from(own)),
    text: |text| Value::Text(text.to_owned()),
    flag: |flag| Value::Integer(i64::from(flag)),
    is_specimen: "specimen = 1 AND id > ?",
};

/// Columns of a ticket before those of the page.
const TICKET_COLUMNS: usize = 21;

pub(super) fn tickets(
    connection: &Connection,
    filter: &TicketFilter,
    after: Option<TicketId>,
    limit: usize,
) -> StoreResult<TicketPage> {
    let after = Value::Integer(after.map_or(-1, |after| i64::from(after.0)));
    let mut list = List::of(filter, limit, after, &VALUES);
    let mut values = Vec::new();
    let chosen = joined_after(std::mem::take(&mut list.chosen), '?', &mut values);
    values.push(Value::Integer(list.looked_at as i64));
    let looked_at = format!("?{}", values.len());
    let fits = all_of(std::mem::take(&mut list.rest), '?', &mut values);
    let fits = if fits.is_empty() { "true" } else { &fits };
    values.push(Value::Integer(limit as i64));
    let is_of_page = format!("id IN (SELECT id FROM chosen WHERE fits ORDER BY id LIMIT ?{})", values.len());
    let sql = ticket_list::question(ticket_rows::COLUMNS, &chosen, fits, &looked_at, &is_of_page);
    let action = "list tickets";
    let mut statement = connection.prepare_cached(&sql).while_doing(action)?;
    let mut rows = statement.query(params_from_iter(values)).while_doing(action)?;
    let (mut found, mut seen) = (Vec::new(), (0, None));
    while let Some(row) = rows.next().while_doing(action)? {
        let last: Option<u32> = row.get(TICKET_COLUMNS + 1).while_doing(action)?;
        seen = (row.get::<_, i64>(TICKET_COLUMNS).while_doing(action)? as usize, last.map(TicketId));
        if row.get::<_, Option<u32>>(0).while_doing(action)?.is_some() {
            found.push(ticket_rows::read(row)?);
        }
    }
    Ok(list.page(found, limit, seen))
}

pub(super) fn audit(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<Lsn>,
    limit: usize,
) -> StoreResult<Vec<AuditRow>> {
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let (conditions, values) = joined(
        [
            ("operator = ?", filter.operator.map(|own| Value::Integer(i64::from(own.0)))),
            ("action = ?", text(&filter.action)),
            (AUDIT_ABOUT, text(&filter.subject)),
            ("at >= ?", filter.since.map(|time| Value::Integer(time.0))),
            ("at < ?", filter.until.map(|time| Value::Integer(time.0))),
            ("lsn < ?", before.map(|before| Value::Integer(before.0 as i64))),
        ],
        '?',
    );
    let columns = "lsn, at, operator, action, subject, details FROM audit";
    let question = format!("{columns} {conditions} ORDER BY lsn DESC");
    page(connection, "read the audit", &question, values, limit, |row| {
        Ok(Ok(AuditRow {
            lsn: lsn(row, 0)?,
            at: Time(row.get(1)?),
            operator: row.get::<_, Option<u32>>(2)?.map(OperatorId),
            action: row.get(3)?,
            subject: row.get(4)?,
            details: row.get(5)?,
        }))
    })
}

pub(super) fn conflicts(
    connection: &Connection,
    after: Option<Lsn>,
    resolved: Option<bool>,
    limit: usize,
) -> StoreResult<Vec<ConflictRow>> {
    let behind = Some(Value::Integer(after.map_or(-1, |after| after.0 as i64)));
    let condition = match resolved {
        None => "lsn > ?",
        Some(false) => "resolved_at IS NULL AND lsn > ?",
        Some(true) => "resolved_at IS NOT NULL AND lsn > ?",
    };
    let (conditions, values) = joined([(condition, behind)], '?');
    let columns = "lsn, reason, ticket, resolved_at, resolved_by FROM conflicts";
    let question = format!("{columns} {conditions} ORDER BY lsn");
    page(connection, "read conflicts", &question, values, limit, |row| {
        let reason: String = row.get(1)?;
        let (lsn, ticket) = (lsn(row, 0)?, row.get::<_, Option<u32>>(2)?.map(TicketId));
        let resolved_at = row.get::<_, Option<i64>>(3)?.map(Time);
        let resolved_by = row.get::<_, Option<u32>>(4)?.map(OperatorId);
        let reason = Reason::read(&reason);
        Ok(reason.map(|reason| ConflictRow { lsn, reason, ticket, resolved_at, resolved_by }))
    })
}

pub(super) fn device_commands(
    connection: &Connection,
    device: DeviceId,
    before: Option<Lsn>,
    limit: usize,
) -> StoreResult<Vec<CommandRow>> {
    let own = Some(Value::Integer(i64::from(device.0)));
    let before = before.map(|before| Value::Integer(before.0 as i64));
    let (conditions, values) = joined([("device = ?", own), ("lsn < ?", before)], '?');
    let columns = "lsn, at, operator, command, expires_at, delivered_at FROM device_commands";
    let question = format!("{columns} {conditions} ORDER BY lsn DESC");
    page(connection, "read a device's commands", &question, values, limit, |row| {
        let (lsn, at, said) = (lsn(row, 0)?, Time(row.get(1)?), row.get::<_, String>(3)?);
        let operator = row.get::<_, Option<u32>>(2)?.map(OperatorId);
        let (expires_at, delivered_at) = (Time(row.get(4)?), row.get::<_, Option<i64>>(5)?.map(Time));
        let command =
            serde_json::from_str(&said).map_err(|error| StoreError::damaged(format!("command {lsn}"), error));
        Ok(command.map(|command| CommandRow { lsn, at, operator, device, command, expires_at, delivered_at }))
    })
}

fn lsn(row: &Row<'_>, column: usize) -> rusqlite::Result<Lsn> {
    Ok(Lsn(row.get::<_, i64>(column)? as u64))
}

/// The first rows of a question that says what, which and in which order.
fn page<T>(
    connection: &Connection,
    action: &'static str,
    question: &str,
    mut values: Vec<Value>,
    limit: usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<StoreResult<T>>,
) -> StoreResult<Vec<T>> {
    values.push(Value::Integer(limit as i64));
    let sql = format!("SELECT {question} LIMIT ?{}", values.len());
    let mut statement = connection.prepare_cached(&sql).while_doing(action)?;
    let rows = statement.query_map(params_from_iter(values), |row| read(row)).while_doing(action)?;
    rows.map(|row| row.while_doing(action)?).collect()
}
