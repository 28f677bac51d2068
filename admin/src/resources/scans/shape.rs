//! A scan as the API shows it: names instead of numbers, reasons in words, codes only for who may see them.

use crate::access::{Permission, Principal};
use crate::moment::Moment;
use crate::resources::names;
use crate::resources::texts::Code;
use engine::catalog::{Catalog, Direction};
use engine::decision::{Reason, ScanKind, Verdict};
use engine::record::PassageOutcome;
use serde::{Deserialize, Serialize};
use store::ScanRow;
use utoipa::ToSchema;

/// The way of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Direction)]
pub(in crate::resources) enum Way {
    /// Into the gate's inner zone.
    Entry,
    /// Out of it.
    Exit,
}

/// How a scan came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScanKind)]
pub(super) enum How {
    /// A guest at a gate.
    Validate,
    /// An installer's scan, which never counts.
    Test,
    /// Made while the device was cut off.
    Offline,
}

/// What became of an admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScanPassage)]
pub(super) enum Became {
    /// Nothing more is known.
    Open,
    /// The guest passed.
    Passed,
    /// The guest did not pass; the entry was given back.
    Annulled,
}

/// A rule that refused, as a word for programs and in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(in crate::resources) struct Why {
    /// For programs.
    #[schema(example = "already_used")]
    pub code: &'static str,
    /// For people.
    #[schema(example = "its one entry is used")]
    pub words: &'static str,
}

/// One decision at a gate.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::resources) struct Scan {
    /// Its number: where it stands in the journal.
    #[schema(example = 120_345)]
    pub lsn: u64,
    /// The id under which its device finds it again.
    #[schema(example = "gh-120345")]
    scan_id: String,
    /// When it was decided; for an offline scan, when it was made.
    pub at: Moment,
    /// When it reached the server.
    recorded_at: Moment,
    /// How it came to be.
    kind: How,
    /// May the guest pass?
    admitted: bool,
    /// Why not; `null` for an admission.
    reason: Option<Why>,
    /// What staff was to look at: a rule that was bent.
    attention: Option<Why>,
    /// The refusal that somebody overrode.
    overrode: Option<Why>,
    /// Who did.
    operator: Option<String>,
    /// Why they did.
    note: Option<String>,
    /// Shown green while cut off, where the rules say red.
    conflict: Option<Why>,
    /// The way of the passage.
    direction: Way,
    /// People admitted.
    people: u16,
    /// Where.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// Who asked.
    #[schema(example = "KQT300_001")]
    device: Option<String>,
    /// The ticket's event, or the gate's.
    #[schema(example = "demo-match")]
    event: Option<String>,
    /// The ticket's number; `null`: nobody has the code.
    ticket: Option<u32>,
    /// The ticket's type.
    #[serde(rename = "type")]
    #[schema(example = "VIP")]
    type_name: Option<String>,
    /// A ticket of tests and drills, which never counts.
    specimen: bool,
    /// What was presented. Takes `tickets.read`: with a code one can enter.
    code: Option<Code>,
    /// Entries left afterwards; `null` is unlimited, or no ticket.
    left: Option<u16>,
    /// What became of the admission.
    passage: Became,
    /// When that was told.
    passage_at: Option<Moment>,
    /// How often it was presented again at once.
    repeats: u32,
}

impl Why {
    /// A reason.
    pub fn of(reason: Reason) -> Why {
        Why { code: reason.code(), words: words(reason) }
    }
}

/// A reason in words, as a part of a sentence.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownTicket => "no ticket has this code",
        Reason::Cancelled => "the ticket was cancelled",
        Reason::Blocked => "the ticket is blocked",
        Reason::Superseded => "another ticket took its place",
        Reason::NotActivated => "the ticket is not paid or not activated yet",
        Reason::WrongEvent => "the ticket is for another event",
        Reason::TooEarly => "the doors are not open for it yet",
        Reason::TooLate => "its time is over",
        Reason::WrongGate => "it enters at another gate",
        Reason::GateClosed => "the gate is closed",
        Reason::AlreadyInside => "the guest is inside already",
        Reason::AlreadyUsed => "its one entry is used",
        Reason::NoEntriesLeft => "all its entries are used",
        Reason::NoEntriesLeftToday => "all its entries of this day are used",
        Reason::NotInside => "the guest is not inside",
        Reason::ZoneFull => "the zone is full",
    }
}

impl Way {
    /// As the engine has it.
    pub fn own(self) -> Direction {
        match self {
            Way::Entry => Direction::Entry,
            Way::Exit => Direction::Exit,
        }
    }

    /// As it is shown.
    pub fn of(direction: Direction) -> Way {
        match direction {
            Direction::Entry => Way::Entry,
            Direction::Exit => Way::Exit,
        }
    }
}

impl How {
    pub fn own(self) -> ScanKind {
        match self {
            How::Validate => ScanKind::Validate,
            How::Test => ScanKind::Test,
            How::Offline => ScanKind::Offline,
        }
    }

    fn of(kind: ScanKind) -> How {
        match kind {
            ScanKind::Validate => How::Validate,
            ScanKind::Test => How::Test,
            ScanKind::Offline => How::Offline,
        }
    }
}

impl Became {
    fn of(outcome: PassageOutcome) -> Became {
        match outcome {
            PassageOutcome::Open => Became::Open,
            PassageOutcome::Passed => Became::Passed,
            PassageOutcome::Annulled => Became::Annulled,
        }
    }
}

impl Scan {
    /// A line of the access log, with its code for who may see it.
    pub fn of(catalog: &Catalog, row: &ScanRow, by: &Principal) -> Scan {
        let why = |reason: Option<Reason>| reason.map(Why::of);
        let attention = match row.verdict {
            Verdict::Admit { attention } => attention,
            Verdict::Deny(_) => None,
        };
        let shows_code = by.may(Permission::TicketsRead);
        Scan {
            lsn: row.lsn.0,
            scan_id: row.scan_id(),
            at: Moment(row.decided_at),
            recorded_at: Moment(row.recorded_at),
            kind: How::of(row.kind),
            admitted: row.verdict.admits(),
            reason: why(row.verdict.denial()),
            attention: why(attention),
            overrode: why(row.overridden),
            operator: names::operator(catalog, row.operator),
            note: row.note.clone(),
            conflict: why(row.conflict),
            direction: Way::of(row.direction),
            people: row.people,
            gate: names::gate(catalog, row.gate),
            device: names::device(catalog, row.device),
            event: names::event(catalog, row.event),
            ticket: row.ticket.map(|id| id.0),
            type_name: names::ticket_type(catalog, row.type_id),
            specimen: row.specimen,
            code: shows_code.then(|| Code::shown(row.code_kind, &row.code)),
            left: row.remaining,
            passage: Became::of(row.outcome),
            passage_at: row.outcome_at.map(Moment),
            repeats: row.repeats,
        }
    }
}
