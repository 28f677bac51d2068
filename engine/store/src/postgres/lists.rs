//! Lists for the administration: tickets, the audit, conflicts, what devices were told. Knows SQL; changes nothing.

use super::connect::Link;
use super::queries::{Value, rows};
use super::ticket_rows;
use super::values::{Json, Moment, Text, get, number};
use crate::error::{StoreError, StoreResult};
use crate::rows::{AuditFilter, AuditRow, CommandRow, ConflictRow, TicketFilter, TicketPage};
use crate::search::{AUDIT_ABOUT, all_of, joined, joined_after};
use crate::ticket_list::{self, List, Values};
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{DeviceId, OperatorId};
use engine::clock::Time;
use engine::ticket::TicketId;
use tokio_postgres::Row;

const VALUES: Values<Value> = Values {
    event: |event| Box::new(i64::from(event)),
    type_id: |own| Box::new(i32::from(own)),
    text: |text| Box::new(Text::of(text).into_owned()),
    flag: |flag| Box::new(flag),
    is_specimen: "specimen AND id > ?",
};

/// Columns of a ticket before those of the page.
const TICKET_COLUMNS: usize = 21;

pub(super) fn tickets(
    link: &Link,
    filter: &TicketFilter,
    after: Option<TicketId>,
    limit: usize,
) -> StoreResult<TicketPage> {
    let after: Value = Box::new(after.map_or(-1, |after| i64::from(after.0)));
    let mut list = List::of(filter, limit, after, &VALUES);
    let mut values = Vec::new();
    let chosen = joined_after(std::mem::take(&mut list.chosen), '$', &mut values);
    values.push(Box::new(list.looked_at as i64));
    let looked_at = format!("${}", values.len());
    let fits = all_of(std::mem::take(&mut list.rest), '$', &mut values);
    let fits = if fits.is_empty() { "true" } else { &fits };
    values.push(Box::new(limit as i64));
    let is_of_page =
        format!("id = ANY (ARRAY(SELECT id FROM chosen WHERE fits ORDER BY id LIMIT ${}))", values.len());
    let sql = ticket_list::question(ticket_rows::COLUMNS, &chosen, fits, &looked_at, &is_of_page);
    let action = "list tickets";
    let (mut found, mut seen) = (Vec::new(), (0, None));
    for row in link.ask(action, async |session| rows(session, action, &sql, &values).await)? {
        let last = get::<Option<i64>>(&row, TICKET_COLUMNS + 1)?.map(number).transpose()?;
        seen = (get::<i64>(&row, TICKET_COLUMNS)? as usize, last.map(TicketId));
        if get::<Option<i64>>(&row, 0)?.is_some() {
            found.push(ticket_rows::read(&row)?);
        }
    }
    Ok(list.page(found, limit, seen))
}

pub(super) fn audit(
    link: &Link,
    filter: &AuditFilter,
    before: Option<Lsn>,
    limit: usize,
) -> StoreResult<Vec<AuditRow>> {
    let text =
        |text: &Option<String>| text.as_deref().map(|own| Box::new(Text::of(own).into_owned()) as Value);
    let moment = |time: Option<Time>| time.map(|time| Box::new(Moment(time)) as Value);
    let wanted: [(&str, Option<Value>); 6] = [
        ("operator = ?", filter.operator.map(|own| Box::new(i64::from(own.0)) as Value)),
        ("action = ?", text(&filter.action)),
        (AUDIT_ABOUT, text(&filter.subject)),
        ("at >= ?", moment(filter.since)),
        ("at < ?", moment(filter.until)),
        ("lsn < ?", before.map(|before| Box::new(before.0 as i64) as Value)),
    ];
    let (conditions, values) = joined(wanted, '$');
    let columns = "lsn, at, operator, action, subject, details FROM audit";
    let question = format!("{columns} {conditions} ORDER BY lsn DESC");
    page(link, "read the audit", &question, values, limit, |row| {
        Ok(AuditRow {
            lsn: lsn(row, 0)?,
            at: get::<Moment>(row, 1)?.0,
            operator: operator(row, 2)?,
            action: get::<Text<'_>>(row, 3)?.plain().into_owned(),
            subject: get::<Text<'_>>(row, 4)?.plain().into_owned(),
            details: get::<Json<'_>>(row, 5)?.0.into_owned(),
        })
    })
}

pub(super) fn conflicts(
    link: &Link,
    after: Option<Lsn>,
    resolved: Option<bool>,
    limit: usize,
) -> StoreResult<Vec<ConflictRow>> {
    let behind = Some(Box::new(after.map_or(-1, |after| after.0 as i64)) as Value);
    let condition = match resolved {
        None => "lsn > ?",
        Some(false) => "resolved_at IS NULL AND lsn > ?",
        Some(true) => "resolved_at IS NOT NULL AND lsn > ?",
    };
    let (conditions, values) = joined([(condition, behind)], '$');
    let columns = "lsn, reason, ticket, resolved_at, resolved_by FROM conflicts";
    page(link, "read conflicts", &format!("{columns} {conditions} ORDER BY lsn"), values, limit, |row| {
        Ok(ConflictRow {
            lsn: lsn(row, 0)?,
            reason: Word::read(get(row, 1)?)?,
            ticket: get::<Option<i64>>(row, 2)?.map(number).transpose()?.map(TicketId),
            resolved_at: get::<Option<Moment>>(row, 3)?.map(|moment| moment.0),
            resolved_by: operator(row, 4)?,
        })
    })
}

pub(super) fn device_commands(
    link: &Link,
    device: DeviceId,
    before: Option<Lsn>,
    limit: usize,
) -> StoreResult<Vec<CommandRow>> {
    let wanted: [(&str, Option<Value>); 2] = [
        ("device = ?", Some(Box::new(i64::from(device.0)))),
        ("lsn < ?", before.map(|before| Box::new(before.0 as i64) as Value)),
    ];
    let (conditions, values) = joined(wanted, '$');
    let columns = "lsn, at, operator, command, expires_at, delivered_at FROM device_commands";
    let question = format!("{columns} {conditions} ORDER BY lsn DESC");
    page(link, "read a device's commands", &question, values, limit, |row| {
        let (lsn, said) = (lsn(row, 0)?, get::<Json<'_>>(row, 3)?.0);
        let command = serde_json::from_str(&said)
            .map_err(|error| StoreError::damaged(format!("command {lsn}"), error))?;
        Ok(CommandRow {
            lsn,
            at: get::<Moment>(row, 1)?.0,
            operator: operator(row, 2)?,
            device,
            command,
            expires_at: get::<Moment>(row, 4)?.0,
            delivered_at: get::<Option<Moment>>(row, 5)?.map(|moment| moment.0),
        })
    })
}

fn lsn(row: &Row, column: usize) -> StoreResult<Lsn> {
    Ok(Lsn(get::<i64>(row, column)? as u64))
}

fn operator(row: &Row, column: usize) -> StoreResult<Option<OperatorId>> {
    Ok(get::<Option<i64>>(row, column)?.map(number).transpose()?.map(OperatorId))
}

/// The first rows of a question that says what, which and in which order.
fn page<T>(
    link: &Link,
    action: &'static str,
    question: &str,
    mut values: Vec<Value>,
    limit: usize,
    read: impl Fn(&Row) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    values.push(Box::new(limit as i64));
    let sql = format!("SELECT {question} LIMIT ${}", values.len());
    let found = link.ask(action, async |session| rows(session, action, &sql, &values).await)?;
    found.iter().map(read).collect()
}
