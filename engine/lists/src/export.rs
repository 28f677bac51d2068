//! What stands in exports: the columns of tickets, scans, counts and attendance, and their rows. Knows no file.

use crate::row::{code_text, moment};
use engine::catalog::{Catalog, Direction, EventId};
use engine::clock::Time;
use engine::counts::{Counts, Tally};
use engine::decision::{REASONS, Reason, ScanKind, Verdict};
use engine::record::PassageOutcome;
use engine::ticket::{CodeKind, Ticket, TicketId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::ScanRow;

/// Columns of the access log.
pub const SCAN_COLUMNS: [&str; 17] = [
    "cursor",
    "decided_at",
    "scanned_at",
    "device_id",
    "location",
    "event",
    "scan_id",
    "code",
    "kind",
    "access_granted",
    "reason",
    "attention",
    "direction",
    "people",
    "ticket",
    "passage",
    "repeats",
];

/// Columns of tickets: what an import reads, then what they have done.
const TICKET_COLUMNS: [&str; 20] = [
    "code",
    "more_codes",
    "card",
    "ticket_id",
    "type",
    "holder",
    "order",
    "seat",
    "valid_from",
    "valid_until",
    "status",
    "specimen",
    "ticket",
    "event",
    "used",
    "inside",
    "zone",
    "first_at",
    "first_gate",
    "last_at",
];
/// Which of them tell about a person.
const PERSONAL: [&str; 3] = ["holder", "order", "seat"];

/// Columns of counts.
pub const COUNT_COLUMNS: [&str; 9] =
    ["what", "name", "inside", "entries", "exits", "attendance", "admits", "denials", "turns"];

/// Columns of attendance by interval.
pub const ATTENDANCE_COLUMNS: [&str; 6] = ["from", "until", "entries", "exits", "admits", "denials"];

/// Intervals of attendance at the most: a year of hours, two months of ten minutes.
pub const INTERVALS_MAX: usize = 10_000;

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Interval {
    /// People that entered, annulled ones taken back.
    entries: u64,
    /// People that left, annulled ones taken back.
    exits: u64,
    /// Scans that admitted, annulled ones among them.
    admits: u64,
    /// Scans that were refused.
    denials: u64,
}

/// Who came and went when, gathered from the access log in any order.
#[derive(Clone, Debug)]
pub struct Attendance {
    interval_ms: i64,
    intervals: BTreeMap<i64, Interval>,
}

/// Columns of tickets, those about persons only where that is wanted.
pub fn ticket_columns(personal: bool) -> Vec<&'static str> {
    TICKET_COLUMNS.into_iter().filter(|name| personal || !PERSONAL.contains(name)).collect()
}

/// A ticket as a row of [`ticket_columns`].
pub fn ticket_row(catalog: &Catalog, id: TicketId, ticket: &Ticket, personal: bool) -> Vec<Value> {
    let kind = catalog.ticket_type(ticket.type_id);
    let (details, usage) = (&ticket.details, &ticket.usage);
    let of = |wanted: CodeKind| {
        let codes = details.codes().filter(move |(kind, _)| *kind == wanted);
        codes.map(|(kind, code)| code_text(kind, code)).collect::<Vec<String>>()
    };
    let (codes, cards) = (of(CodeKind::Optical), of(CodeKind::Card));
    let seen = usage.used > 0;
    let bound = |at: Time, none| (at != none).then(|| moment(at));
    let values = [
        json!(codes.first()),
        json!(codes.iter().skip(1).map(String::as_str).collect::<Vec<&str>>().join("|")),
        json!(cards.join("|")),
        json!(details.reference()),
        json!(kind.map(|kind| &kind.name)),
        json!(details.holder()),
        json!(details.order()),
        json!(details.seat()),
        json!(bound(ticket.valid_from, Time::MIN)),
        json!(bound(ticket.valid_until, Time::MAX)),
        json!(ticket.status),
        json!(ticket.specimen),
        json!(id.0),
        json!(kind.and_then(|kind| catalog.event(kind.event)).map(|event| &event.name)),
        json!(usage.used),
        json!(usage.inside),
        json!(catalog.zone(usage.presence).map(|zone| &zone.name)),
        json!(seen.then(|| moment(usage.first_at))),
        json!(seen.then(|| catalog.gate(usage.first_gate).map(|gate| &gate.name))),
        json!(seen.then(|| moment(usage.last_at))),
    ];
    let wanted = |(name, _): &(&str, Value)| personal || !PERSONAL.contains(name);
    TICKET_COLUMNS.into_iter().zip(values).filter(wanted).map(|(_, value)| value).collect()
}

/// A scan as a row of [`SCAN_COLUMNS`].
pub fn scan_row(catalog: &Catalog, row: &ScanRow) -> Vec<Value> {
    let attention = match row.verdict {
        Verdict::Admit { attention } => attention.map(Reason::code),
        Verdict::Deny(_) => None,
    };
    vec![
        json!(row.lsn.0),
        json!(moment(row.decided_at)),
        json!(row.scanned_at.map(moment)),
        json!(catalog.device(row.device).map(|device| &device.name)),
        json!(catalog.gate(row.gate).map(|gate| &gate.name)),
        json!(row.event.and_then(|id| catalog.event(id)).map(|event| &event.name)),
        json!(row.scan_id()),
        json!(code_text(row.code_kind, &row.code)),
        json!(row.kind),
        json!(row.verdict.admits()),
        json!(row.verdict.denial().map(Reason::code)),
        json!(attention),
        json!(row.direction),
        json!(row.people),
        json!(row.ticket.map(|ticket| ticket.0)),
        json!(row.outcome),
        json!(row.repeats),
    ]
}

/// Counts as rows of [`COUNT_COLUMNS`]: zones, events, gates and types; reasons where no event is asked for.
pub fn count_rows(catalog: &Catalog, counts: &Counts, event: Option<EventId>) -> Vec<Vec<Value>> {
    let wanted = |own: Option<EventId>| event.is_none() || own == event;
    let tallied = |what: &str, name: &str, tally: Option<&Tally>| {
        let Tally { entries, exits, attendance, admits, denials, turns } = tally.copied().unwrap_or_default();
        vec![
            json!(what),
            json!(name),
            Value::Null,
            json!(entries),
            json!(exits),
            json!(attendance),
            json!(admits),
            json!(denials),
            json!(turns),
        ]
    };
    let alone = |what: &str, name: &str, at: usize, value: Value| {
        let mut row = vec![Value::Null; COUNT_COLUMNS.len()];
        (row[0], row[1], row[at]) = (json!(what), json!(name), value);
        row
    };
    let mut rows = Vec::new();
    let inside = |zone: usize| json!(counts.zones.get(zone).copied().unwrap_or(0));
    rows.extend(catalog.zones().map(|(id, zone)| alone("zone", &zone.name, 2, inside(id.index()))));
    let events = catalog.events().filter(|(id, _)| wanted(Some(*id)));
    rows.extend(events.map(|(id, own)| tallied("event", &own.name, counts.events.get(id.index()))));
    let gates = catalog.gates().filter(|(_, gate)| gate.event.is_none() || wanted(gate.event));
    rows.extend(gates.map(|(id, own)| tallied("gate", &own.name, counts.gates.get(id.index()))));
    let types = catalog.types().filter(|(_, kind)| wanted(Some(kind.event)));
    rows.extend(types.map(|(id, own)| tallied("type", &own.name, counts.types.get(id.index()))));
    if event.is_none() {
        let reasons = REASONS.iter().zip(counts.reasons);
        rows.extend(reasons.map(|(reason, count)| alone("reason", reason.code(), 7, json!(count))));
    }
    rows
}

impl Attendance {
    /// Gathers by intervals of this length.
    pub fn new(interval_ms: i64) -> Attendance {
        Attendance { interval_ms, intervals: BTreeMap::new() }
    }

    /// Takes a scan, as counts do: tests and specimens do not count, a stranger that was let in is a turn, and of an annulled
    /// passage the people are taken back, not the decision.
    ///
    /// # Errors
    /// There would be too many intervals, in words.
    pub fn take(&mut self, row: &ScanRow) -> Result<(), String> {
        let is_stranger = row.verdict.admits() && row.ticket.is_none();
        if row.kind == ScanKind::Test || row.specimen || is_stranger {
            return Ok(());
        }
        let people = if row.outcome == PassageOutcome::Annulled { 0 } else { u64::from(row.people) };
        let from = row.decided_at.0.div_euclid(self.interval_ms) * self.interval_ms;
        let interval = self.intervals.entry(from).or_default();
        match (row.verdict.admits(), row.direction) {
            (false, _) => interval.denials += 1,
            (true, Direction::Entry) => {
                interval.admits += 1;
                interval.entries += people;
            }
            (true, Direction::Exit) => {
                interval.admits += 1;
                interval.exits += people;
            }
        }
        if self.intervals.len() > INTERVALS_MAX {
            return Err(format!(
                "more than {INTERVALS_MAX} intervals; ask for longer ones, or for less time"
            ));
        }
        Ok(())
    }

    /// What was gathered, as rows of [`ATTENDANCE_COLUMNS`]; intervals in which nobody came are left out.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Value>> + '_ {
        self.intervals.iter().map(|(from, own)| {
            let times = [*from, from + self.interval_ms].map(|at| json!(moment(Time(at))));
            let counts = [own.entries, own.exits, own.admits, own.denials].map(|count| json!(count));
            times.into_iter().chain(counts).collect()
        })
    }
}
