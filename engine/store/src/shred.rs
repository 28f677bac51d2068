//! Forgetting who held an event's tickets, in rows: what of a ticket, a kept answer and a line of the audit stays. Knows which
//! rows a shredding touches; the databases behind [`Tables`] know how each is read and written.

use crate::error::StoreResult;
use crate::kept::KeptRow;
use crate::tables::Tables;
use engine::Lsn;
use engine::catalog::{EventId, TypeId};
use engine::ticket::{Ticket, TicketId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields of the audit's details that say who somebody is, or may in words.
const PERSONAL: [&str; 6] = ["holder", "order", "seat", "reason", "note", "q"];
/// What a search by name is about, for the audit.
const SEARCHES: &str = "search";
/// What people do about a scan names its ticket in the details alone.
const ABOUT_SCANS: [&str; 2] = ["annul", "admit_by_hand"];

/// Which lines of the audit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines<'a> {
    /// About one of these.
    About(&'a [String]),
    /// Of one action.
    Of(&'a str),
}

/// Forgets who held the event's tickets in a run of numbers: in tickets and their words, in the audit, and in notes.
pub(crate) fn tickets(
    tables: &mut impl Tables,
    lsn: Lsn,
    event: EventId,
    first: TicketId,
    count: u32,
) -> StoreResult<()> {
    let of_event = tables.tickets_of(event, first, count)?;
    for (id, ticket) in of_event.iter().filter(|(_, ticket)| ticket.details.has_person()) {
        let details = ticket.details.without_person();
        tables.change_ticket(lsn, *id, &Ticket { details, ..ticket.clone() })?;
    }
    let mut subjects: Vec<String> = of_event.iter().map(|(id, _)| id.0.to_string()).collect();
    let ids: BTreeSet<u64> = of_event.iter().map(|(id, _)| u64::from(id.0)).collect();
    if first == TicketId(0) {
        tables.forget_notes(event)?;
        subjects.push(SEARCHES.to_owned());
    }
    // A line about many of them comes with each.
    let lines: BTreeMap<Lsn, String> = tables.audit_lines(Lines::About(&subjects))?.into_iter().collect();
    for (line, details) in lines {
        redact(tables, line, &details, |_| true)?;
    }
    let concerns = |own: &Value| own["ticket"].as_u64().is_some_and(|id| ids.contains(&id));
    for action in ABOUT_SCANS {
        for (line, details) in tables.audit_lines(Lines::Of(action))? {
            redact(tables, line, &details, concerns)?;
        }
    }
    Ok(())
}

fn redact(
    tables: &mut impl Tables,
    line: Lsn,
    details: &str,
    concerns: impl Fn(&Value) -> bool,
) -> StoreResult<()> {
    let Ok(mut value) = serde_json::from_str::<Value>(details) else { return Ok(()) };
    if concerns(&value) && forget(&mut value) {
        tables.set_audit_details(line, &value.to_string())?;
    }
    Ok(())
}

/// Empties the personal fields, however deep; was there any?
fn forget(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => {
            let mut found = false;
            for (name, field) in fields.iter_mut() {
                if PERSONAL.contains(&name.as_str()) && field.as_str().is_some_and(|text| !text.is_empty()) {
                    *field = Value::Null;
                    found = true;
                } else {
                    found |= forget(field);
                }
            }
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| forget(item) | found),
        _ => false,
    }
}

/// Forgets the holder in answers kept from an LSN on and before another, where the ticket is of a type that `concerns`.
pub(crate) fn answers(
    tables: &mut impl Tables,
    from: u64,
    until: u64,
    concerns: &dyn Fn(TypeId) -> bool,
) -> StoreResult<()> {
    for (first, row) in tables.kept_rows(from, until)? {
        let mut clean = KeptRow::default();
        let mut changed = false;
        for kept in row.scans(0) {
            let mut kept = kept?;
            if (from..until).contains(&kept.lsn) && kept.names_holder_of(concerns) {
                kept.shred();
                changed = true;
            }
            clean.add(&kept);
        }
        if changed {
            tables.put_kept_row(first, &clean)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn personal_fields_are_emptied_however_deep_and_the_rest_stays() {
        let mut value = json!({
            "reason": "John asked", "before": {"holder": "John Doe", "status": "active", "order": ""},
            "after": [{"seat": "A1", "uses": 1}], "reference": "T1",
        });
        assert!(forget(&mut value));
        let rest = json!({
            "reason": null, "before": {"holder": null, "status": "active", "order": ""},
            "after": [{"seat": null, "uses": 1}], "reference": "T1",
        });
        assert_eq!(value, rest);
        assert!(!forget(&mut value), "a second time there is nothing");
    }
}
