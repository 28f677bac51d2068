//! What questions ask for and get: plain data. Knows no database.

use crate::figures::Flow;
use engine::catalog::{DeviceId, Direction, EventId, GateId, OperatorId, TypeId};
use engine::clock::Time;
use engine::decision::{Reason, ScanKind, Verdict};
use engine::record::{Command, PassageOutcome};
use engine::ticket::{CodeKind, Ticket, TicketId, TicketStatus};
use engine::{Lsn, OWN_SCAN_ID_PREFIX};

/// The order of a page, by LSN: the order decisions were made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// For people: what happened last.
    #[default]
    NewestFirst,
    /// For exports.
    OldestFirst,
}

/// Which scans of the access log. Every field that is set must fit; `default()` is all, newest first.
#[derive(Clone, Debug, Default)]
pub struct ScanFilter {
    /// Of the ticket's event, or the gate's where the code is unknown.
    pub event: Option<EventId>,
    /// By this device.
    pub device: Option<DeviceId>,
    /// At this gate.
    pub gate: Option<GateId>,
    /// Refused for this reason.
    pub reason: Option<Reason>,
    /// Of this ticket.
    pub ticket: Option<TicketId>,
    /// Of a ticket of this type.
    pub type_id: Option<TypeId>,
    /// Of this kind.
    pub kind: Option<ScanKind>,
    /// Admitted, or refused.
    pub admitted: Option<bool>,
    /// Of this code, whatever it came from.
    pub code: Option<Vec<u8>>,
    /// Decided at this moment or later; an offline scan counts as decided when it was made.
    pub since: Option<Time>,
    /// Decided before this moment.
    pub until: Option<Time>,
    /// The order of the page.
    pub order: Order,
}

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRow {
    /// Where it stands in the journal.
    pub lsn: Lsn,
    /// When it was decided; for an offline scan, when it was made.
    pub decided_at: Time,
    /// When it reached the engine.
    pub recorded_at: Time,
    /// The device's own time.
    pub scanned_at: Option<Time>,
    /// Who asked.
    pub device: DeviceId,
    /// Where.
    pub gate: GateId,
    /// The ticket's event, or the gate's.
    pub event: Option<EventId>,
    /// The ticket, where the code is known.
    pub ticket: Option<TicketId>,
    /// The ticket's type.
    pub type_id: Option<TypeId>,
    /// A ticket of tests and drills, which never counts.
    pub specimen: bool,
    /// The id the device gave; empty: see [`ScanRow::scan_id`].
    pub given_id: String,
    /// What the code came from.
    pub code_kind: CodeKind,
    /// The code.
    pub code: Vec<u8>,
    /// How the scan came to be.
    pub kind: ScanKind,
    /// Admit or deny.
    pub verdict: Verdict,
    /// The refusal that was overridden.
    pub overridden: Option<Reason>,
    /// Who overrode it.
    pub operator: Option<OperatorId>,
    /// Why, in words.
    pub note: Option<String>,
    /// The way of the passage.
    pub direction: Direction,
    /// People admitted.
    pub people: u16,
    /// Entries left afterwards; `None` is unlimited, or no ticket.
    pub remaining: Option<u16>,
    /// What would have been refused had the device not shown green.
    pub conflict: Option<Reason>,
    /// What became of the admission.
    pub outcome: PassageOutcome,
    /// When that was reported.
    pub outcome_at: Option<Time>,
    /// How often it was presented again without an id.
    pub repeats: u32,
}

/// Which tickets. Every field that is set must fit; `default()` is all.
#[derive(Clone, Debug, Default)]
pub struct TicketFilter {
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this type.
    pub type_id: Option<TypeId>,
    /// With this status.
    pub status: Option<TicketStatus>,
    /// Of exactly this order.
    pub order: Option<String>,
    /// Somebody entered with it, or nobody yet.
    pub used: Option<bool>,
    /// For tests and drills, or not.
    pub specimen: Option<bool>,
}

/// A page of tickets, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicketPage {
    /// Those that fit; fewer than were asked for, even none, where few fit: there may be more all the same.
    pub tickets: Vec<(TicketId, Ticket)>,
    /// After which number to ask for more; `None`: there are no more.
    pub next: Option<TicketId>,
}

/// Which lines of the audit. Every field that is set must fit exactly; `default()` is all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Done by this person.
    pub operator: Option<OperatorId>,
    /// This was done.
    pub action: Option<String>,
    /// To this, alone or among others: any ticket of an amendment, or all its tickets' numbers joined by commas.
    pub subject: Option<String>,
    /// At this moment or later.
    pub since: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
}

/// A guest was shown green offline where the rules say red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictRow {
    /// The scan.
    pub lsn: Lsn,
    /// What would have been refused.
    pub reason: Reason,
    /// The ticket, where the code is known.
    pub ticket: Option<TicketId>,
    /// When somebody looked into it; 1970 where that is no longer known.
    pub resolved_at: Option<Time>,
    /// Who did.
    pub resolved_by: Option<OperatorId>,
}

/// A command for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// Its number.
    pub lsn: Lsn,
    /// When it was given.
    pub at: Time,
    /// By whom; `None` is the program itself.
    pub operator: Option<OperatorId>,
    /// For which device.
    pub device: DeviceId,
    /// What it says.
    pub command: Command,
    /// Not delivered after this.
    pub expires_at: Time,
    /// When the device fetched its commands, this one among them unless it had expired or another took its place.
    pub delivered_at: Option<Time>,
}

/// One change by a person or the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Where it stands in the journal.
    pub lsn: Lsn,
    /// When.
    pub at: Time,
    /// Who; `None` is the program itself.
    pub operator: Option<OperatorId>,
    /// What was done, such as `put_gate` or `ticket_status`.
    pub action: String,
    /// To what, by name or number.
    pub subject: String,
    /// The rest, as JSON without secrets; of what replaces something `before` and `after`.
    pub details: String,
}

/// From a moment on, up to another; both are taken to the minute they are in.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// From here on.
    pub since: Time,
    /// Up to, and without, here.
    pub until: Time,
}

/// What went through in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalRow {
    /// The minute's beginning.
    pub minute: Time,
    /// Number of the gate or type; 0 for the event.
    pub id: u32,
    /// What went through.
    pub flow: Flow,
}

/// Refusals for one reason by one device at one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenialRow {
    /// Why.
    pub reason: Reason,
    /// Where.
    pub gate: GateId,
    /// By which device.
    pub device: DeviceId,
    /// How many.
    pub denied: i64,
}

/// A code that was refused, or admitted after it had been admitted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedRow {
    /// What the code came from.
    pub kind: CodeKind,
    /// The code.
    pub code: Vec<u8>,
    /// Its ticket, where it is known.
    pub ticket: Option<TicketId>,
    /// How often it was refused.
    pub denied: i64,
    /// How often it was admitted after the first time.
    pub admitted: i64,
}

/// Which of the codes that were presented again come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedOrder {
    /// Those that came most often.
    Times,
    /// Those that were refused most often.
    Denied,
}

// === impl PresentedOrder ===

impl PresentedOrder {
    /// Fixed text, for which there is an index.
    pub(crate) fn column(self) -> &'static str {
        match self {
            PresentedOrder::Times => "denied + admitted",
            PresentedOrder::Denied => "denied",
        }
    }
}

// === impl ScanRow ===

impl ScanRow {
    /// The id under which the device finds the scan again: its own, or the one the engine made.
    pub fn scan_id(&self) -> String {
        if self.given_id.is_empty() {
            format!("{OWN_SCAN_ID_PREFIX}{}", self.lsn)
        } else {
            self.given_id.clone()
        }
    }
}
