//! What a decision is made of: the scan that asks, the answer that is given and kept. Plain data.

use crate::catalog::{DeviceId, Direction, GateId, OperatorId, TypeId};
use crate::clock::Time;
use crate::ticket::{CodeKind, Details, TicketId, TicketUse};
use serde::{Deserialize, Serialize};

/// Why a scan is refused, in the order the rules are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No ticket has this code.
    UnknownTicket,
    /// Given back; never good again.
    Cancelled,
    /// Stopped for now.
    Blocked,
    /// Reissued or transferred.
    Superseded,
    /// Sold, but not paid or not yet activated.
    NotActivated,
    /// For another event.
    WrongEvent,
    /// Before the doors open for it.
    TooEarly,
    /// After it ended.
    TooLate,
    /// Its type enters elsewhere.
    WrongGate,
    /// The gate is closed.
    GateClosed,
    /// The guest is inside already.
    AlreadyInside,
    /// Its one entry is used.
    AlreadyUsed,
    /// All its entries are used.
    NoEntriesLeft,
    /// All its entries of this day are used.
    NoEntriesLeftToday,
    /// An exit of somebody who is not inside.
    NotInside,
    /// The zone is at its capacity.
    ZoneFull,
}

/// Every reason, in order.
pub const REASONS: [Reason; 16] = [
    Reason::UnknownTicket,
    Reason::Cancelled,
    Reason::Blocked,
    Reason::Superseded,
    Reason::NotActivated,
    Reason::WrongEvent,
    Reason::TooEarly,
    Reason::TooLate,
    Reason::WrongGate,
    Reason::GateClosed,
    Reason::AlreadyInside,
    Reason::AlreadyUsed,
    Reason::NoEntriesLeft,
    Reason::NoEntriesLeftToday,
    Reason::NotInside,
    Reason::ZoneFull,
];

impl Reason {
    /// The stable code of the device API.
    pub fn code(self) -> &'static str {
        match self {
            Reason::UnknownTicket => "unknown_ticket",
            Reason::Cancelled => "cancelled",
            Reason::Blocked => "blocked",
            Reason::Superseded => "superseded",
            Reason::NotActivated => "not_activated",
            Reason::WrongEvent => "wrong_event",
            Reason::TooEarly => "too_early",
            Reason::TooLate => "too_late",
            Reason::WrongGate => "wrong_gate",
            Reason::GateClosed => "gate_closed",
            Reason::AlreadyInside => "already_inside",
            Reason::AlreadyUsed => "already_used",
            Reason::NoEntriesLeft => "no_entries_left",
            Reason::NoEntriesLeftToday => "no_entries_left_today",
            Reason::NotInside => "not_inside",
            Reason::ZoneFull => "zone_full",
        }
    }

    /// The reason of a stable code.
    pub fn of_code(code: &str) -> Option<Reason> {
        REASONS.into_iter().find(|reason| reason.code() == code)
    }
}

/// Admit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The guest may pass. `attention` is a rule that was bent softly.
    Admit {
        /// What staff should look at.
        attention: Option<Reason>,
    },
    /// The guest may not pass.
    Deny(Reason),
}

impl Verdict {
    /// May the guest pass?
    pub fn admits(self) -> bool {
        matches!(self, Verdict::Admit { .. })
    }

    /// The reason of a refusal.
    pub fn denial(self) -> Option<Reason> {
        match self {
            Verdict::Deny(reason) => Some(reason),
            Verdict::Admit { .. } => None,
        }
    }
}

/// How a scan came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// A guest at a gate.
    Validate,
    /// An installer's scan: a full answer that never counts.
    Test,
    /// Made while the device was cut off; the device showed its own answer.
    Offline,
}

/// What an answer says of the ticket, as it was when it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFacts {
    /// Its number.
    pub ticket: TicketId,
    /// Its type.
    pub type_id: TypeId,
    /// The last moment it opens.
    pub valid_until: Time,
    /// Entries left after this scan; `None` is unlimited.
    pub remaining: Option<u16>,
    /// Is it for tests and drills? Then nothing of this is counted.
    pub specimen: bool,
    /// Reference and holder; the rest of the details is not kept.
    #[serde(with = "label")]
    pub label: Details,
}

/// The fact a refusal's message names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// None.
    #[default]
    None,
    /// Where and when the ticket entered.
    Entered {
        /// The gate.
        gate: GateId,
        /// The time.
        at: Time,
    },
    /// When: superseded at, opens at, ended at.
    At(Time),
    /// In words: the right event, the right gates.
    Words(String),
}

/// The answer to a scan: everything a reply is rendered from. It is kept, so that a retry gets the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When it was decided.
    pub at: Time,
    /// How the scan came to be.
    pub kind: ScanKind,
    /// Admit or deny.
    pub verdict: Verdict,
    /// The refusal an operator overrode.
    pub overridden: Option<Reason>,
    /// The way of the passage.
    pub direction: Direction,
    /// Where.
    pub gate: GateId,
    /// People admitted; 0 for a refusal.
    pub people: u16,
    /// What it says of the ticket; `None` for an unknown code.
    pub ticket: Option<TicketFacts>,
    /// The fact the message names.
    pub fact: Fact,
    /// Seconds the venue's clock is ahead of UTC at the moment the fact names; 0 where it names none.
    pub fact_offset_s: i32,
    /// Does the device show the holder's name?
    pub shows_name: bool,
}

/// A question: one presentation of one code at one gate.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// Who asks.
    pub device: DeviceId,
    /// Where.
    pub gate: GateId,
    /// What the code came from.
    pub code_kind: CodeKind,
    /// The code's bytes.
    pub code: &'a [u8],
    /// The id the device gave, or one derived from its time; `None`: the repeat window serves.
    pub scan_id: Option<&'a str>,
    /// The device's own time of the scan.
    pub scanned_at: Option<Time>,
    /// The way the request or the device says; `None` leaves it to the gate.
    pub direction: Option<Direction>,
    /// People that want to pass; `None`: as many as the ticket has left in its group.
    pub people: Option<u16>,
    /// How it came to be.
    pub kind: ScanKind,
    /// An operator admits what would be refused.
    pub overriding: Option<Override<'a>>,
    /// What the device showed while it was cut off.
    pub shown: Option<Shown>,
}

/// What a device showed a guest while it was cut off: history, not a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    /// Green: the guest is in.
    Admitted,
    /// Red, for this reason.
    Denied(Reason),
}

/// An operator's override: who and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override<'a> {
    /// Who.
    pub operator: OperatorId,
    /// Why, in words.
    pub note: &'a str,
}

/// What `decide` says: the answer, and what the ticket has done once it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// For the guest.
    pub answer: Answer,
    /// For the ticket; `None` changes nothing.
    pub after: Option<TicketUse>,
    /// What would have been refused had the device not already shown green.
    pub conflict: Option<Reason>,
}

/// Of a ticket's details an answer keeps reference and holder only.
mod label {
    use crate::ticket::Details;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(label: &Details, serializer: S) -> Result<S::Ok, S::Error> {
        (label.reference(), label.holder()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Details, D::Error> {
        let (reference, holder) = <(&'de str, &'de str)>::deserialize(deserializer)?;
        Details::check(&[reference, holder, "", ""], &[]).map_err(serde::de::Error::custom)?;
        Ok(Details::label(reference, holder))
    }
}
