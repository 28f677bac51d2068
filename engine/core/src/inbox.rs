//! The box office's inbox: what a row of it wishes, and what comes of that. The judgement is pure, as a decision is.
//! Knows tickets and the catalog; knows neither the rows' columns nor the database they are in.

use crate::catalog::{Catalog, EventId};
use crate::clock::Time;
use crate::journal::Lsn;
use crate::limits::INBOX_REASON_BYTES_MAX;
use crate::state::State;
use crate::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus};
use serde::{Deserialize, Serialize};

/// A row of an inbox. Number and moment together name it: two databases count alike, they do not write alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InboxRow {
    /// Its number.
    pub id: u64,
    /// When it was written, in microseconds since 1970, by the database's clock.
    pub written_us: i64,
}

/// What a row wishes.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A new ticket.
    Add(Ticket),
    /// A ticket that is there is to be otherwise.
    Change(Change),
}

/// How a ticket is to be; `None` leaves it as it is. Its codes and its reference stay: who gets a new code gets a new
/// ticket.
#[derive(Clone, Debug)]
pub struct Change {
    /// What its code came from.
    pub kind: CodeKind,
    /// One of its codes.
    pub code: Vec<u8>,
    /// The event it should be of, where the box office says so.
    pub event: Option<EventId>,
    /// Name of a type of the same event.
    pub type_name: Option<String>,
    /// Where it stands in its life.
    pub status: Option<TicketStatus>,
    /// A test?
    pub specimen: Option<bool>,
    /// No entry before it.
    pub valid_from: Option<Time>,
    /// No entry after it.
    pub valid_until: Option<Time>,
    /// The holder's name.
    pub holder: Option<String>,
    /// The order.
    pub order: Option<String>,
    /// The seat.
    pub seat: Option<String>,
}

/// What came of a row. It is in the journal, and whoever wrote the row is told from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboxOutcome {
    /// A ticket is new.
    Added {
        /// Its number.
        id: TicketId,
        /// The ticket.
        ticket: Ticket,
    },
    /// A ticket is otherwise.
    Changed {
        /// Its number.
        id: TicketId,
        /// As it is afterwards. What it has done is as it was: a scan may come between.
        ticket: Ticket,
    },
    /// It was so already: the row came twice.
    Unchanged,
    /// There is no such ticket yet: the row waits for one.
    Early,
    /// A newer version of what it says was there before.
    Outdated,
    /// Not done, and why, in words for the box office.
    Refused(String),
}

/// Was the store asked for the ticket of a wish?
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// Not yet.
    NotAsked,
    /// It was, for a ticket that has one of the codes and is not in memory; at this record or later, and whoever takes
    /// rows in knows of every row since.
    Asked(Option<&'a (TicketId, Ticket)>, Lsn),
}

// === impl Wish ===

impl Wish {
    /// The codes it is about.
    pub fn codes(&self) -> Vec<(CodeKind, &[u8])> {
        match self {
            Wish::Add(ticket) => ticket.details.codes().collect(),
            Wish::Change(change) => vec![(change.kind, change.code.as_slice())],
        }
    }
}

// === impl InboxOutcome ===

impl InboxOutcome {
    /// A refusal in these words, as many of them as are kept.
    pub fn refused(why: &str) -> InboxOutcome {
        let end = (0..=INBOX_REASON_BYTES_MAX.min(why.len())).rev().find(|end| why.is_char_boundary(*end));
        InboxOutcome::Refused(why[..end.unwrap_or(0)].to_owned())
    }
}

/// What comes of a wish. `stored` is the ticket that has one of its codes and is not in memory.
pub(crate) fn judge(
    state: &State,
    wish: &Wish,
    stored: Option<&(TicketId, Ticket)>,
    now: Time,
) -> InboxOutcome {
    let mut codes = wish.codes().into_iter();
    let hot = codes.find_map(|(kind, code)| state.tickets.find(kind, code));
    let found = hot.or(stored.map(|(id, ticket)| (*id, ticket)));
    match (wish, found) {
        (Wish::Add(ticket), None) => add(state, ticket),
        (Wish::Add(ticket), Some((_, found))) => add_again(ticket, found),
        (Wish::Change(_), None) => InboxOutcome::Early,
        (Wish::Change(change), Some((id, found))) => match changed(&state.catalog, change, found, now) {
            Ok(ticket) if ticket == *found => InboxOutcome::Unchanged,
            Ok(ticket) => InboxOutcome::Changed { id, ticket },
            Err(why) => InboxOutcome::refused(&why),
        },
    }
}

fn add(state: &State, ticket: &Ticket) -> InboxOutcome {
    if state.catalog.ticket_type(ticket.type_id).is_none() {
        return InboxOutcome::refused("its ticket type is not known");
    }
    if ticket.details.codes().next().is_none() {
        return InboxOutcome::refused("a ticket needs a code or a card");
    }
    InboxOutcome::Added { id: state.tickets.next_id(), ticket: ticket.clone() }
}

/// The same once more is harmless, whatever became of the ticket since; something else under the same code is not.
fn add_again(ticket: &Ticket, found: &Ticket) -> InboxOutcome {
    let is_same = ticket.details.reference() == found.details.reference()
        && ticket.details.codes().eq(found.details.codes());
    let facts = |ticket: &Ticket| (ticket.type_id, ticket.specimen, ticket.valid_from, ticket.valid_until);
    if is_same && facts(ticket) == facts(found) && ticket.details == found.details {
        return InboxOutcome::Unchanged;
    }
    let reference = found.details.reference();
    InboxOutcome::refused(&if is_same {
        format!("ticket '{reference}' is there already and is otherwise; to change it, write a 'change'")
    } else {
        format!("a code of it belongs to ticket '{reference}' already")
    })
}

/// The ticket as it is to be.
fn changed(catalog: &Catalog, change: &Change, found: &Ticket, now: Time) -> Result<Ticket, String> {
    let event = catalog.ticket_type(found.type_id).map(|kind| kind.event);
    if change.event.is_some() && change.event != event {
        let name = event.and_then(|event| catalog.event(event)).map_or("another", |event| &event.name);
        return Err(format!("the ticket with this code is for event '{name}'"));
    }
    let type_id = match (&change.type_name, event) {
        (Some(name), Some(event)) => catalog.type_named(event, name).ok_or_else(|| {
            format!("unknown ticket type '{name}'; this event has {}", catalog.type_names(event))
        })?,
        _ => found.type_id,
    };
    let own = &found.details;
    let texts = [
        own.reference(),
        change.holder.as_deref().unwrap_or(own.holder()),
        change.order.as_deref().unwrap_or(own.order()),
        change.seat.as_deref().unwrap_or(own.seat()),
    ];
    let codes: Vec<(CodeKind, &[u8])> = own.codes().collect();
    Details::check(&texts, &codes)?;
    let status = change.status.unwrap_or(found.status);
    let ticket = Ticket {
        type_id,
        status,
        specimen: change.specimen.unwrap_or(found.specimen),
        usage: found.usage,
        valid_from: change.valid_from.unwrap_or(found.valid_from),
        valid_until: change.valid_until.unwrap_or(found.valid_until),
        status_at: if status == found.status { found.status_at } else { now },
        details: Details::new(texts[0], texts[1], texts[2], texts[3], &codes),
    };
    if ticket.valid_from > ticket.valid_until {
        return Err("valid_until is before valid_from".to_owned());
    }
    let ended = match found.status {
        TicketStatus::Cancelled => "cancelled",
        TicketStatus::Superseded => "superseded",
        _ => return Ok(ticket),
    };
    // What comes late to a ticket that was given back must not open a gate to it.
    if ticket == *found { Ok(ticket) } else { Err(format!("the ticket is {ended}, and that is final")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_letters() {
        let InboxOutcome::Refused(kept) = InboxOutcome::refused(&"é".repeat(INBOX_REASON_BYTES_MAX)) else {
            panic!("it is a refusal");
        };
        assert!(kept.len() <= INBOX_REASON_BYTES_MAX && kept.len() >= INBOX_REASON_BYTES_MAX - 1);
        assert_eq!(InboxOutcome::refused(""), InboxOutcome::Refused(String::new()));
    }
}
