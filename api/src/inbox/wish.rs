//! What a row of the inbox wishes: columns and words become a ticket or a change, or a reason for the box office. Knows the
//! catalog; knows no ticket that is there.

use crate::ops;
use engine::catalog::{Catalog, EventId};
use engine::clock::Time;
use engine::inbox::{Change, Wish};
use engine::limits::CODE_BYTES_MAX;
use engine::ticket::{CodeKind, Ticket, TicketStatus};
use lists::TicketRow;
use store::InboxEntry;

/// What a row wishes, or what is wrong with it in words for the box office.
pub(super) fn wish(catalog: &Catalog, entry: &InboxEntry, now: Time) -> Result<Wish, String> {
    let event = match said(entry.event.as_ref()) {
        Some(name) => Some(catalog.event_named(&name).ok_or_else(|| ops::unknown_event(catalog, &name))?),
        None => None,
    };
    match entry.operation.trim() {
        "add" => {
            let event = event.ok_or("event: a new ticket needs the name of its event")?;
            new_ticket(catalog, entry, event, now).map(Wish::Add)
        }
        "change" => change(entry, event).map(Wish::Change),
        "cancel" => cancellation(entry, event).map(Wish::Change),
        other => Err(format!("operation '{other}' is not one of add, change, cancel")),
    }
}

/// A column that says something.
fn said(column: Option<&String>) -> Option<String> {
    column.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn new_ticket(catalog: &Catalog, entry: &InboxEntry, event: EventId, now: Time) -> Result<Ticket, String> {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let row = TicketRow {
        code: text(&entry.code),
        more_codes: text(&entry.more_codes),
        card: text(&entry.card),
        ticket_id: text(&entry.ticket_id),
        kind: text(&entry.kind),
        holder: text(&entry.holder),
        order: text(&entry.order),
        seat: text(&entry.seat),
        status: text(&entry.status),
        ..TicketRow::default()
    };
    let ticket = Ticket {
        specimen: entry.specimen.unwrap_or(false),
        valid_from: entry.valid_from.unwrap_or(Time::MIN),
        valid_until: entry.valid_until.unwrap_or(Time::MAX),
        ..row.ticket(catalog, event, now)?
    };
    if ticket.valid_from > ticket.valid_until {
        return Err("valid_until is before valid_from".to_owned());
    }
    Ok(ticket)
}

fn cancellation(entry: &InboxEntry, event: Option<EventId>) -> Result<Change, String> {
    let (kind, code) = named_ticket(entry)?;
    Ok(Change {
        kind,
        code,
        event,
        type_name: None,
        status: Some(TicketStatus::Cancelled),
        specimen: None,
        valid_from: None,
        valid_until: None,
        holder: None,
        order: None,
        seat: None,
    })
}

fn change(entry: &InboxEntry, event: Option<EventId>) -> Result<Change, String> {
    let status = said(entry.status.as_ref()).map(|word| lists::status(&word)).transpose()?;
    // An empty text takes away what stood there; none leaves it.
    let text = |column: &Option<String>| column.as_ref().map(|text| text.trim().to_owned());
    Ok(Change {
        type_name: said(entry.kind.as_ref()),
        status,
        specimen: entry.specimen,
        valid_from: entry.valid_from,
        valid_until: entry.valid_until,
        holder: text(&entry.holder),
        order: text(&entry.order),
        seat: text(&entry.seat),
        ..cancellation(entry, event)?
    })
}

/// The code a row names its ticket by.
fn named_ticket(entry: &InboxEntry) -> Result<(CodeKind, Vec<u8>), String> {
    if let Some(code) = said(entry.code.as_ref()) {
        if code.len() > CODE_BYTES_MAX {
            return Err(format!("code: it has more than {CODE_BYTES_MAX} bytes"));
        }
        return Ok((CodeKind::Optical, code.into_bytes()));
    }
    let card = said(entry.card.as_ref()).ok_or("code: which ticket? a code or a card is needed")?;
    Ok((CodeKind::Card, lists::card_bytes(&card)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::inbox::InboxRow;
    use proptest::prelude::*;
    use std::time::Duration;

    fn text() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            Just(None),
            Just(Some(String::new())),
            Just(Some("demo".to_owned())),
            Just(Some("cancelled".to_owned())),
            Just(Some("04A1B2C3".to_owned())),
            any::<String>().prop_map(Some),
            "[|x]{0,600}".prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn no_row_ends_anything_and_every_refusal_has_words(
            operation in prop_oneof![Just("add"), Just("change"), Just(" cancel "), Just("sell")],
            texts in proptest::collection::vec(text(), 10),
            times in proptest::collection::vec(proptest::option::of(any::<i64>()), 2),
            specimen in proptest::option::of(any::<bool>()),
        ) {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().flatten();
            let entry = InboxEntry {
                row: InboxRow { id: 1, written_us: 1 },
                operation: operation.to_owned(),
                code: next(),
                more_codes: next(),
                card: next(),
                event: next(),
                kind: next(),
                ticket_id: next(),
                holder: next(),
                order: next(),
                seat: next(),
                valid_from: times[0].map(Time),
                valid_until: times[1].map(Time),
                status: next(),
                specimen,
                version: None,
                newest: None,
                key: None,
                waited: Duration::ZERO,
            };
            match wish(&Catalog::new(), &entry, Time(0)) {
                Ok(wish) => prop_assert!(!wish.codes().is_empty()),
                Err(why) => prop_assert!(!why.is_empty()),
            }
        }
    }
}
