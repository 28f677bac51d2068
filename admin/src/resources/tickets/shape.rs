//! A ticket as the API shows it: names instead of numbers, personal data only for who may see it, and only the fields that
//! were asked for.

use crate::moment::Moment;
use crate::problem::Problem;
use crate::resources::names;
use crate::resources::texts::Code;

use engine::Time;
use engine::catalog::{Catalog, GateId};
use engine::decide::remaining;
use engine::ticket::{Ticket, TicketId, TicketStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Every field there is, in the order they are shown.
const FIELDS: &[&str] = &[
    "id",
    "reference",
    "event",
    "type",
    "status",
    "status_at",
    "specimen",
    "codes",
    "valid_from",
    "valid_until",
    "uses",
    "presence",
    "first",
    "last",
    "holder",
    "order",
    "seat",
    "redacted",
];
/// Those that say who has it.
pub(super) const PERSONAL: [&str; 3] = ["holder", "order", "seat"];

/// Where a ticket stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TicketStatus)]
pub(super) enum Status {
    /// Good.
    Active,
    /// Sold, but not paid or not yet activated.
    NotActivated,
    /// Stopped for now.
    Blocked,
    /// Given back; never good again.
    Cancelled,
    /// Reissued or transferred: another ticket took its place.
    Superseded,
}

/// What a ticket has done, counted in people that entered.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TicketUses)]
struct Uses {
    /// Entries used.
    #[schema(example = 1)]
    used: u16,
    /// Entries left; `null` is unlimited.
    #[schema(example = 1)]
    left: Option<u16>,
}

/// Where the holder is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TicketPresence)]
struct Presence {
    /// The zone.
    #[schema(example = "BOWL")]
    zone: String,
    /// People inside with this ticket.
    #[schema(example = 1)]
    people: u16,
}

/// A gate and a time.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TicketPassage)]
struct Passage {
    /// The gate.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// When.
    at: Moment,
}

/// A ticket. With `fields` only those that were asked for are there.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(super) struct Shown {
    /// Its number here; never given twice.
    #[schema(required = false, example = 50_001)]
    id: u32,
    /// As the seller and people name it.
    #[schema(required = false, example = "DEMO-VIP-0001")]
    reference: String,
    /// Its event.
    #[schema(required = false, example = "demo-match")]
    event: String,
    /// Its ticket type.
    #[serde(rename = "type")]
    #[schema(required = false, example = "VIP")]
    kind: String,
    /// Where it stands in its life.
    #[schema(required = false)]
    status: Status,
    /// When the status last changed.
    #[schema(required = false)]
    status_at: Option<Moment>,
    /// For tests and drills: real answers, never counted.
    #[schema(required = false)]
    specimen: bool,
    /// The codes that lead to it.
    #[schema(required = false)]
    codes: Vec<Code>,
    /// No entry before it; `null` leaves it to the type and the event.
    #[schema(required = false)]
    valid_from: Option<Moment>,
    /// No entry after it; `null` leaves it to the type and the event.
    #[schema(required = false)]
    valid_until: Option<Moment>,
    /// What it has done.
    #[schema(required = false)]
    uses: Uses,
    /// Where its holder is.
    #[schema(required = false)]
    presence: Presence,
    /// Its first entry; `null`: it never entered.
    #[schema(required = false)]
    first: Option<Passage>,
    /// Its last passage.
    #[schema(required = false)]
    last: Option<Passage>,
    /// Who has it. Takes `tickets.personal`.
    #[schema(required = false, example = "John Doe")]
    holder: Option<String>,
    /// The order it was sold with. Takes `tickets.personal`.
    #[schema(required = false)]
    order: Option<String>,
    /// The seat. Takes `tickets.personal`.
    #[schema(required = false)]
    seat: Option<String>,
    /// Were holder, order and seat left out, because `tickets.personal` is missing?
    #[schema(required = false)]
    redacted: bool,
}

/// Which fields are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Option<Vec<&'static str>>);

// === impl Status ===

impl Status {
    /// As the engine has it.
    pub fn own(self) -> TicketStatus {
        match self {
            Status::Active => TicketStatus::Active,
            Status::NotActivated => TicketStatus::NotActivated,
            Status::Blocked => TicketStatus::Blocked,
            Status::Cancelled => TicketStatus::Cancelled,
            Status::Superseded => TicketStatus::Superseded,
        }
    }

    fn of(status: TicketStatus) -> Status {
        match status {
            TicketStatus::Active => Status::Active,
            TicketStatus::NotActivated => Status::NotActivated,
            TicketStatus::Blocked => Status::Blocked,
            TicketStatus::Cancelled => Status::Cancelled,
            TicketStatus::Superseded => Status::Superseded,
        }
    }
}

// === impl Shown ===

impl Shown {
    /// A ticket, with who has it or without.
    pub fn of(catalog: &Catalog, id: TicketId, ticket: &Ticket, personal: bool) -> Shown {
        let kind = catalog.ticket_type(ticket.type_id);
        let event = kind.and_then(|kind| catalog.event(kind.event));
        let (own, usage) = (&ticket.details, &ticket.usage);
        let entered = usage.used > 0;
        let text = |text: &str| personal.then(|| text.to_owned());
        Shown {
            id: id.0,
            reference: own.reference().to_owned(),
            event: event.map(|event| event.name.clone()).unwrap_or_default(),
            kind: kind.map(|kind| kind.name.clone()).unwrap_or_default(),
            status: Status::of(ticket.status),
            status_at: set(ticket.status_at),
            specimen: ticket.specimen,
            codes: own.codes().map(|(kind, code)| Code::shown(kind, code)).collect(),
            valid_from: set(ticket.valid_from),
            valid_until: set(ticket.valid_until),
            uses: Uses { used: usage.used, left: kind.and_then(|kind| remaining(kind, usage)) },
            presence: Presence {
                zone: catalog.zone(usage.presence).map(|zone| zone.name.clone()).unwrap_or_default(),
                people: usage.inside,
            },
            first: entered.then(|| passage(catalog, usage.first_gate, usage.first_at)),
            last: set(usage.last_at).map(|_| passage(catalog, usage.last_gate, usage.last_at)),
            holder: text(own.holder()),
            order: text(own.order()),
            seat: text(own.seat()),
            redacted: !personal,
        }
    }

    /// The fields that are wanted.
    pub fn only(&self, fields: &Fields) -> Value {
        let mut value = serde_json::to_value(self).expect("a ticket is JSON");
        if let (Some(wanted), Value::Object(own)) = (&fields.0, &mut value) {
            own.retain(|name, _| wanted.contains(&name.as_str()));
        }
        value
    }

    /// As the audit keeps it: everything but the codes, which open gates.
    pub fn for_audit(&self) -> Map<String, Value> {
        let Value::Object(mut own) = self.only(&Fields::default()) else {
            unreachable!("a ticket is an object")
        };
        own.remove("codes");
        own.remove("redacted");
        own
    }
}

/// A moment that is set: one that is left to others is before or after all, or the beginning of time.
fn set(at: Time) -> Option<Moment> {
    (![Time::MIN, Time::MAX, Time::default()].contains(&at)).then_some(Moment(at))
}

fn passage(catalog: &Catalog, gate: GateId, at: Time) -> Passage {
    Passage { gate: names::gate(catalog, gate), at: Moment(at) }
}

// === impl Fields ===

impl Fields {
    /// Reads `id,status,…`.
    ///
    /// # Errors
    /// There is no such field.
    pub fn read(text: Option<&str>) -> Result<Fields, Problem> {
        let Some(text) = text else { return Ok(Fields(None)) };
        let known = |name: &str| FIELDS.iter().copied().find(|field| *field == name);
        let wanted: Option<Vec<&str>> = text.split(',').map(known).collect();
        let wrong = || Problem::invalid("fields", format!("some of these are meant: {}", FIELDS.join(",")));
        wanted.map(|wanted| Fields(Some(wanted))).ok_or_else(wrong)
    }

    /// Do they say who has a ticket?
    pub fn are_personal(&self) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted.iter().any(|field| PERSONAL.contains(field)))
    }
}

/// What is otherwise: the fields of `before` and `after` that are not the same in both.
pub(super) fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> (Value, Value) {
    let only = |these: &Map<String, Value>, those: &Map<String, Value>| {
        let moved = these.iter().filter(|(name, value)| those.get(*name) != Some(*value));
        Value::Object(moved.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    (only(before, after), only(after, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_ticket_and_no_others() {
        assert!(Fields::read(None).unwrap().are_personal());
        assert!(!Fields::read(Some("id,status")).unwrap().are_personal());
        assert!(Fields::read(Some("id,seat")).unwrap().are_personal());
        for wrong in ["", "id,", "colour", "id, status"] {
            assert!(Fields::read(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
