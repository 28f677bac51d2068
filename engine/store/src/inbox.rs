//! A row of the box office's inbox as it was read: plain data, nothing of it checked. Knows no database and no rule.

use engine::clock::Time;
use engine::inbox::InboxRow;
use std::time::Duration;

/// A row that waits. A text that is too long is so here too, though not in full.
#[derive(Clone, Debug)]
pub struct InboxEntry {
    /// Which.
    pub row: InboxRow,
    /// What is to be done: add, change or cancel.
    pub operation: String,
    /// The ticket's code.
    pub code: Option<String>,
    /// Further codes of a new ticket, with `|` between them.
    pub more_codes: Option<String>,
    /// The card's number in hexadecimal.
    pub card: Option<String>,
    /// Name of the event.
    pub event: Option<String>,
    /// Name of the ticket type.
    pub kind: Option<String>,
    /// The seller's own name for the ticket.
    pub ticket_id: Option<String>,
    /// Whose it is.
    pub holder: Option<String>,
    /// The order it was bought with.
    pub order: Option<String>,
    /// The seat.
    pub seat: Option<String>,
    /// No entry before it.
    pub valid_from: Option<Time>,
    /// No entry after it.
    pub valid_until: Option<Time>,
    /// Where it stands in its life, by its word.
    pub status: Option<String>,
    /// A test?
    pub specimen: Option<bool>,
    /// The box office's own count of what it says about this ticket.
    pub version: Option<i64>,
    /// The greatest version about this ticket that was done.
    pub newest: Option<i64>,
    /// Which ticket it is about: equal for all rows about one.
    pub key: Option<String>,
    /// How long it had waited when it was read.
    pub waited: Duration,
}
