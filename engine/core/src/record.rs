//! Journal records: every change there is, and its bytes. A record carries what was decided and what the
//! ticket is afterwards, so that replay repeats nothing and a projection needs no state.
//!
//! A payload is a version byte and the record in postcard. Fields are only appended, variants only added;
//! a payload of an unknown version is refused, never guessed.

use crate::catalog::{DeviceId, Entity, GateId, OperatorId};
use crate::clock::Time;
pub use crate::command::Command;
use crate::decision::{Answer, Override, Reason};
use crate::inbox::{InboxOutcome, InboxRow};
use crate::registry::Act;
use crate::ticket::{CodeKind, Ticket, TicketId, TicketStatus, TicketUse};
use serde::{Deserialize, Serialize};

/// Version of the payload's form.
pub const RECORD_VERSION: u8 = 1;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// A scan was decided.
    #[serde(borrow)]
    Scan(ScanRecord<'a>),
    /// A scan was presented again without an id: the same answer, no effect.
    Repeat {
        /// When.
        at: Time,
        /// By whom.
        device: DeviceId,
        /// The decision that was repeated, by its LSN.
        of: u64,
    },
    /// A guest did or did not pass.
    Passage(PassageRecord),
    /// People passed without a ticket: fire alarm, free exit.
    Turns {
        /// When.
        at: Time,
        /// Where.
        gate: GateId,
        /// Reported by.
        device: DeviceId,
        /// People into the gate's inner zone; negative out of it.
        people: i32,
    },
    /// Something of the catalog is new or changed.
    Put {
        /// When.
        at: Time,
        /// By whom; `None` is the program itself (demo data, first set-up).
        operator: Option<OperatorId>,
        /// What.
        entity: Box<Entity>,
    },
    /// Tickets are new, numbered from `first` on.
    Tickets {
        /// When.
        at: Time,
        /// Number of the first.
        first: TicketId,
        /// The tickets.
        tickets: Vec<Ticket>,
    },
    /// A ticket's status changed.
    Status {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// Which.
        ticket: TicketId,
        /// To what.
        status: TicketStatus,
    },
    /// A command waits for a device.
    Command {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// For which device.
        device: DeviceId,
        /// What it says.
        command: Command,
        /// Not delivered after this.
        expires_at: Time,
    },
    /// Commands up to this LSN were handed to the device.
    Delivered {
        /// When.
        at: Time,
        /// To which device.
        device: DeviceId,
        /// The last command's LSN.
        through: u64,
    },
    /// A run of an event's tickets left the memory; they are in the store. Short runs: a gate never waits for many.
    Cooled {
        /// When.
        at: Time,
        /// Which event.
        event: crate::catalog::EventId,
        /// First number of the run.
        first: TicketId,
        /// Numbers in the run; those of other events are left alone.
        count: u32,
    },
    /// Tickets of an event came back from the store, with their numbers and all they have done.
    Warmed {
        /// When.
        at: Time,
        /// The tickets.
        tickets: Vec<(TicketId, Ticket)>,
    },
    /// An operator looked into a conflict.
    ConflictResolved {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// Which, by the LSN of its scan.
        conflict: u64,
    },
    /// The first record of a journal: the key that scan ids are hashed with.
    Born {
        /// When.
        at: Time,
        /// The key.
        salt: [u8; 16],
    },
    /// A row of the box office's inbox was taken in.
    Inbox {
        /// When.
        at: Time,
        /// Which.
        row: InboxRow,
        /// What came of it.
        outcome: Box<InboxOutcome>,
    },
    /// A person did something that is told in the audit, and maybe changed the registry.
    Act {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// What.
        act: Act,
    },
    /// A person changed tickets, and maybe made new ones in their place.
    Amended {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// What was done, such as `reissue`.
        action: String,
        /// The rest, as JSON without secrets.
        details: String,
        /// The tickets as they are afterwards, whole. Numbers that were not given yet are new, one after the other.
        tickets: Vec<(TicketId, Ticket)>,
    },
    /// Who held an event's tickets is forgotten: in a run of tickets, and in the answers that a run of records kept.
    Shredded {
        /// When.
        at: Time,
        /// By whom.
        operator: Option<OperatorId>,
        /// Which event.
        event: crate::catalog::EventId,
        /// First number of the run of tickets; those of other events are left alone.
        first: TicketId,
        /// Numbers in the run.
        count: u32,
        /// Answers that were kept from this LSN on …
        answers_from: u64,
        /// … and before this one.
        answers_until: u64,
    },
}

/// A decided scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanRecord<'a> {
    /// Who asked.
    pub device: DeviceId,
    /// The id the device gave; empty: it gave none, and the id is made from the LSN.
    pub scan_id: &'a str,
    /// Under which it is found again.
    pub key: ScanKey,
    /// What the code came from.
    pub code_kind: CodeKind,
    /// The code.
    #[serde(with = "bytes")]
    pub code: &'a [u8],
    /// The device's own time.
    pub scanned_at: Option<Time>,
    /// The answer.
    pub answer: Answer,
    /// What the ticket has done afterwards.
    pub after: Option<TicketUse>,
    /// Who overrode a refusal and why.
    #[serde(borrow)]
    pub overriding: Option<Override<'a>>,
    /// For the conflict list: what would have been refused.
    pub conflict: Option<Reason>,
    /// When it reached the engine. `answer.at` is earlier for a scan that was uploaded late.
    pub recorded_at: Time,
}

/// A guest did or did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassageRecord {
    /// When.
    pub at: Time,
    /// Reported by.
    pub device: DeviceId,
    /// Of which scan, by its LSN.
    pub scan: u64,
    /// Passed, or annulled.
    pub outcome: PassageOutcome,
    /// What the ticket has done afterwards.
    pub after: Option<TicketUse>,
}

/// What became of an admission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassageOutcome {
    /// Not reported.
    #[default]
    Open,
    /// The guest went through.
    Passed,
    /// The guest did not; the entry is given back.
    Annulled,
}

/// 128 bits under which a scan is found again: keyed hash of device and scan id, or of device and code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScanKey(pub u128);

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Written by another version of the program.
    #[error(
        "record version {0} is not known to this program, which writes version {RECORD_VERSION}; use the program that wrote it"
    )]
    Version(u8),
    /// The bytes do not add up.
    #[error("record cannot be read: {0}")]
    Malformed(postcard::Error),
    /// Nothing there.
    #[error("record is empty")]
    Empty,
}

// === impl Record ===

impl<'a> Record<'a> {
    /// Appends the record's bytes. No allocation but the buffer's own growth.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(RECORD_VERSION);
        postcard::serialize_with_flavor(self, Append(out)).expect("appending to a vector does not fail");
    }

    /// Reads a record from its bytes; texts and codes stay where they are.
    ///
    /// # Errors
    /// Another version, or bytes that do not add up.
    pub fn decode(payload: &'a [u8]) -> Result<Record<'a>, RecordError> {
        let (&version, body) = payload.split_first().ok_or(RecordError::Empty)?;
        if version != RECORD_VERSION {
            return Err(RecordError::Version(version));
        }
        postcard::from_bytes(body).map_err(RecordError::Malformed)
    }

    /// When it reached the engine: a scan that was made offline happened earlier.
    pub fn recorded_at(&self) -> Time {
        match self {
            Record::Scan(scan) => scan.recorded_at,
            other => other.at(),
        }
    }

    /// When it happened.
    pub fn at(&self) -> Time {
        match self {
            Record::Scan(scan) => scan.answer.at,
            Record::Passage(passage) => passage.at,
            Record::Repeat { at, .. }
            | Record::Turns { at, .. }
            | Record::Put { at, .. }
            | Record::Tickets { at, .. }
            | Record::Status { at, .. }
            | Record::Command { at, .. }
            | Record::Delivered { at, .. }
            | Record::Cooled { at, .. }
            | Record::Warmed { at, .. }
            | Record::ConflictResolved { at, .. }
            | Record::Born { at, .. }
            | Record::Inbox { at, .. }
            | Record::Act { at, .. }
            | Record::Amended { at, .. }
            | Record::Shredded { at, .. } => *at,
        }
    }
}

/// postcard's output, appended to a vector that already holds something.
struct Append<'v>(&'v mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Codes are bytes, not lists of numbers.
mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de [u8], D::Error> {
        <&'de [u8]>::deserialize(deserializer)
    }
}
