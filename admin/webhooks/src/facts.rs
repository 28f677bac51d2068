//! Records of the journal as messages: which types a record stands for, and what is said. Texts of people (holder, order,
//! seat) are kept apart from the rest; codes are never told, they open gates, and a reference that is one is left out. Knows no webhook and no queue.

use crate::kinds::Kind;
use engine::catalog::{Catalog, Direction, Entity, EventId, GateId, TypeId, ZoneId};
use engine::clock::Time;
use engine::decision::{Answer, ScanKind, TicketFacts, Verdict};
use engine::inbox::InboxOutcome;
use engine::record::{PassageOutcome, PassageRecord, Record, ScanRecord};
use engine::state::State;
use engine::ticket::{Ticket, TicketId};
use engine::{Engine, Lsn};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What of a message's `data` is about people.
pub const PERSONAL: [&str; 3] = ["holder", "order", "seat"];

/// Something to tell.
#[derive(Clone, Debug)]
pub struct Message {
    /// Which of its record's.
    pub n: u32,
    /// Its type.
    pub kind: Kind,
    /// The event it concerns, by name.
    pub event: Option<String>,
    /// The gate it concerns, by name.
    pub gate: Option<String>,
    at: Time,
    data: Value,
    /// About people; may go along where the webhook says so.
    personal: Map<String, Value>,
}

/// What names things, and what records leave to the state.
pub struct Teller<'a> {
    /// For what records only point at.
    pub engine: &'a Engine,
    /// For names.
    pub catalog: &'a Catalog,
}

impl Message {
    /// Its id: the same whenever and to whomever it is sent.
    pub fn id(&self, lsn: Lsn) -> String {
        format!("msg_{}_{}", lsn.0, self.n)
    }

    /// What is sent.
    pub fn body(&self, personal: bool) -> String {
        let mut data = self.data.clone();
        assert!(self.personal.keys().all(|key| PERSONAL.contains(&key.as_str())), "a person is told apart");
        if personal && let Value::Object(data) = &mut data {
            data.extend(self.personal.clone());
        }
        json!({"type": self.kind.word(), "timestamp": moment(self.at), "data": data}).to_string()
    }
}

/// A moment as messages write it.
pub fn moment(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| "unknown".to_owned(), |at| format!("{at:.3}"))
}

impl Teller<'_> {
    /// What a record has to say of these types. A record of no such type costs one comparison.
    pub fn messages(&self, lsn: Lsn, record: &Record<'_>, wanted: &[Kind]) -> Vec<Message> {
        let mut all = match record {
            Record::Scan(scan) => self.scan(lsn, scan, wanted),
            Record::Passage(passage) => self.passage(passage, wanted).into_iter().collect(),
            Record::ConflictResolved { conflict, .. } => {
                vec![message(Kind::ConflictResolved, json!({"scan": conflict.to_string()}))]
            }
            Record::Put { entity, .. } => self.entity(entity).into_iter().collect(),
            Record::Tickets { first, tickets, .. } => self.added(*first, tickets),
            Record::Status { ticket, status, .. } if wanted.contains(&Kind::TicketChanged) => {
                let found = self.engine.with_state(|state| state.tickets.get(*ticket).cloned());
                let found = found.as_ref();
                let mut told = self.ticket(*ticket, found, "status");
                told.data["status"] = json!(status);
                vec![told]
            }
            Record::Amended { action, tickets, .. } => {
                tickets.iter().map(|(id, ticket)| self.ticket(*id, Some(ticket), action)).collect()
            }
            Record::Inbox { outcome, .. } => match outcome.as_ref() {
                InboxOutcome::Added { id, ticket } => self.added(*id, std::slice::from_ref(ticket)),
                InboxOutcome::Changed { id, ticket } => vec![self.ticket(*id, Some(ticket), "inbox")],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        for (n, message) in (0..).zip(&mut all) {
            (message.n, message.at) = (n, record.at());
        }
        all.retain(|message| wanted.contains(&message.kind));
        all
    }

    fn scan(&self, lsn: Lsn, scan: &ScanRecord<'_>, wanted: &[Kind]) -> Vec<Message> {
        let answer = &scan.answer;
        let kinds = [
            Some(if answer.verdict.admits() { Kind::ScanAdmitted } else { Kind::ScanDenied }),
            scan.conflict.map(|_| Kind::ConflictRaised),
        ];
        let is_wanted = kinds.iter().flatten().any(|kind| wanted.contains(kind));
        if answer.kind == ScanKind::Test || !is_wanted {
            return Vec::new();
        }
        let attention = match answer.verdict {
            Verdict::Admit { attention } => attention,
            Verdict::Deny(_) => None,
        };
        let mut told = self.answer(answer, |reference| reference.as_bytes() == scan.code);
        told.data = merged(
            told.data,
            json!({
                "scan": lsn.0.to_string(),
                "scan_id": (!scan.scan_id.is_empty()).then_some(scan.scan_id),
                "device": self.catalog.device(scan.device).map(|device| &device.name),
                "direction": direction(answer.direction),
                "people": answer.people,
                "reason": answer.verdict.denial().map(|reason| reason.code()),
                "attention": attention.map(|reason| reason.code()),
                "overridden": answer.overridden.map(|reason| reason.code()),
                "offline": answer.kind == ScanKind::Offline,
            }),
        );
        let of_kind = |kind: Kind| {
            let mut told = Message { kind, ..told.clone() };
            if kind == Kind::ConflictRaised {
                told.data["reason"] = json!(scan.conflict.map(|reason| reason.code()));
            }
            told
        };
        kinds.into_iter().flatten().map(of_kind).collect()
    }

    /// The guest of a kept scan went through or did not; what is not kept any more is told by its number alone.
    fn passage(&self, passage: &PassageRecord, wanted: &[Kind]) -> Option<Message> {
        let kind = match passage.outcome {
            PassageOutcome::Open => return None,
            PassageOutcome::Passed => Kind::ScanPassed,
            PassageOutcome::Annulled => Kind::ScanAnnulled,
        };
        if !wanted.contains(&kind) {
            return None;
        }
        let kept = |state: &State| {
            let answer = state.scans.at_lsn(passage.scan)?.answer.clone();
            let ticket = answer.ticket.as_ref().and_then(|facts| state.tickets.get(facts.ticket).cloned());
            Some((answer, ticket))
        };
        let mut told = match self.engine.with_state(kept) {
            Some((answer, ticket)) => {
                self.answer(&answer, |reference| ticket.as_ref().is_none_or(|own| is_code(own, reference)))
            }
            None => message(kind, json!({})),
        };
        let device = self.catalog.device(passage.device).map(|device| &device.name);
        told.data = merged(told.data, json!({"scan": passage.scan.to_string(), "device": device}));
        Some(Message { kind, ..told })
    }

    /// What an answer says of place and ticket.
    fn answer(&self, answer: &Answer, is_code: impl Fn(&str) -> bool) -> Message {
        let ticket = answer.ticket.as_ref();
        let kind = ticket.and_then(|ticket| self.catalog.ticket_type(ticket.type_id));
        let gate = self.catalog.gate(answer.gate);
        let event = kind.map(|kind| kind.event).or_else(|| gate.and_then(|gate| gate.event));
        let (event, gate) = (self.event_name(event), self.gate_name(answer.gate));
        let told = |ticket: &TicketFacts| {
            json!({
                "number": ticket.ticket.0, "reference": Some(ticket.label.reference()).filter(|reference| !is_code(reference)), "type": self.type_name(ticket.type_id),
                "specimen": ticket.specimen, "remaining": ticket.remaining,
            })
        };
        let data = json!({"event": event, "gate": gate, "ticket": ticket.map(told)});
        let personal = ticket.map(|ticket| json!({"holder": ticket.label.holder()}));
        Message { event, gate, personal: map(personal), ..message(Kind::ScanAdmitted, data) }
    }

    fn ticket(&self, id: TicketId, ticket: Option<&Ticket>, action: &str) -> Message {
        let told = json!({
            "number": id.0,
            "reference": ticket.map(|own| own.details.reference()).filter(|text| !ticket.is_some_and(|own| is_code(own, text))),
            "type": ticket.and_then(|ticket| self.type_name(ticket.type_id)),
        });
        let event = ticket.and_then(|ticket| self.event_of(ticket.type_id));
        let status = ticket.map(|ticket| ticket.status);
        let data = json!({"event": event, "ticket": told, "status": status, "action": action});
        let personal = ticket.map(|ticket| {
            let texts = &ticket.details;
            json!({"holder": texts.holder(), "order": texts.order(), "seat": texts.seat()})
        });
        Message { event, personal: map(personal), ..message(Kind::TicketChanged, data) }
    }

    /// New tickets, told event by event.
    fn added(&self, first: TicketId, tickets: &[Ticket]) -> Vec<Message> {
        let mut by_event: BTreeMap<Option<String>, (u32, u32)> = BTreeMap::new();
        for (number, ticket) in (first.0..).zip(tickets) {
            by_event.entry(self.event_of(ticket.type_id)).or_insert((number, 0)).1 += 1;
        }
        let told = |(event, (first, count)): (Option<String>, (u32, u32))| {
            let data = json!({"event": event, "first": first, "count": count});
            Message { event, ..message(Kind::TicketsAdded, data) }
        };
        by_event.into_iter().map(told).collect()
    }

    fn entity(&self, entity: &Entity) -> Option<Message> {
        let (kind, event, gate, data) = match entity {
            Entity::Event(event) => {
                let data = json!({
                    "event": event.name, "title": event.title, "doors_open_at": moment(event.doors_open_at),
                    "starts_at": moment(event.starts_at), "ends_at": moment(event.ends_at),
                });
                (Kind::EventChanged, Some(event.name.clone()), None, data)
            }
            Entity::Zone(zone) => {
                (Kind::ZoneChanged, None, None, json!({"zone": zone.name, "capacity": zone.capacity}))
            }
            Entity::Gate(gate) => {
                let event = self.event_name(gate.event);
                let data = json!({
                    "gate": gate.name, "event": event, "from": self.zone_name(gate.from), "to": self.zone_name(gate.to),
                    "mode": gate.mode,
                });
                (Kind::GateChanged, event, Some(gate.name.clone()), data)
            }
            Entity::Type(own) => {
                let event = self.event_name(Some(own.event));
                let data = json!({"event": event, "ticket_type": own.name});
                (Kind::TicketTypeChanged, event, None, data)
            }
            Entity::Device(device) => {
                let place = device.gate.and_then(|gate| self.catalog.gate(gate));
                let event = self.event_name(place.and_then(|gate| gate.event));
                let gate = place.map(|gate| gate.name.clone());
                let data = json!({"device": device.name, "gate": gate, "status": device.status});
                (Kind::DeviceChanged, event, gate, data)
            }
            Entity::Operator(_) => return None,
        };
        Some(Message { event, gate, ..message(kind, data) })
    }

    fn event_name(&self, event: Option<EventId>) -> Option<String> {
        Some(self.catalog.event(event?)?.name.clone())
    }

    fn event_of(&self, kind: TypeId) -> Option<String> {
        self.event_name(self.catalog.ticket_type(kind).map(|kind| kind.event))
    }

    fn type_name(&self, kind: TypeId) -> Option<&str> {
        self.catalog.ticket_type(kind).map(|kind| kind.name.as_str())
    }

    fn gate_name(&self, gate: GateId) -> Option<String> {
        self.catalog.gate(gate).map(|gate| gate.name.clone())
    }

    fn zone_name(&self, zone: ZoneId) -> Option<&str> {
        self.catalog.zone(zone).map(|zone| zone.name.as_str())
    }
}

/// Number and moment are its record's, and are filled in for all alike.
fn message(kind: Kind, data: Value) -> Message {
    Message { n: 0, kind, event: None, gate: None, at: Time(0), data, personal: Map::new() }
}

fn merged(one: Value, other: Value) -> Value {
    let mut all = map(Some(one));
    all.extend(map(Some(other)));
    Value::Object(all)
}

fn map(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn is_code(ticket: &Ticket, text: &str) -> bool {
    ticket.details.codes().any(|(_, code)| code == text.as_bytes())
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Entry => "entry",
        Direction::Exit => "exit",
    }
}
