//! What the feed says: one message for each thing that happened, rendered once for all listeners, with and without what is
//! personal. Knows records and the catalog; knows no listener.

use super::told::{GapTold, LiveMessage, PassageTold, ScanTold, TurnsTold};
use crate::moment::Moment;
use engine::catalog::{Catalog, DeviceId, Direction, EventId, GateId};
use engine::decision::{Reason, ScanKind, Verdict};
use engine::record::{PassageOutcome, PassageRecord, Record, ScanRecord};
use engine::{Lsn, OWN_SCAN_ID_PREFIX};

/// What a message is about; listeners choose among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Scans, and what became of them.
    Scans,
    /// Head counts and tallies.
    Counts,
    /// Scans a minute and refusal rates.
    Rates,
    /// Alarms that are raised and cleared.
    Alarms,
    /// Devices that fall silent and come back.
    Devices,
    /// Printers and displays.
    Peripherals,
    /// How the node itself is.
    Health,
    /// What was missed: everybody hears it.
    Gaps,
}

/// A message on its way.
#[derive(Debug)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// Its `type`.
    pub kind: &'static str,
    /// Where in the journal it stands; `None`: it follows from no single record.
    pub lsn: Option<Lsn>,
    /// What it concerns; `None`: everything.
    pub place: Option<Place>,
    /// JSON, without what is personal.
    pub text: Box<str>,
    /// JSON with it, where there is any.
    pub personal: Option<Box<str>>,
}

/// Which event and gate a message concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The event, if one.
    pub event: Option<EventId>,
    /// The gate, if one.
    pub gate: Option<GateId>,
}

// === impl Message ===

impl Message {
    /// Of no record: `kind` is the message's own `type`.
    pub fn derived(topic: Topic, kind: &'static str, place: Option<Place>, told: &LiveMessage) -> Message {
        Message { topic, kind, lsn: None, place, text: json(told), personal: None }
    }

    /// A gap.
    pub fn gap(reason: &'static str, missing: Option<u64>) -> Message {
        let told = LiveMessage::Gap(GapTold { reason, missing });
        Message::derived(Topic::Gaps, "gap", None, &told)
    }

    /// Of a record, where it says something to listeners. Some microseconds.
    pub fn of_record(catalog: &Catalog, lsn: Lsn, record: &Record<'_>) -> Option<Message> {
        let (kind, place, told) = match record {
            Record::Scan(scan) => return Some(of_scan(catalog, lsn, scan)),
            Record::Passage(passage) => {
                ("passage", of_passage(catalog, passage), passage_told(catalog, lsn, passage))
            }
            Record::Turns { at, gate, device, people } => {
                let turns = TurnsTold {
                    cursor: lsn.to_string(),
                    at: Moment(*at).to_string(),
                    device: device_name(catalog, *device),
                    gate: catalog.gate(*gate).map(|gate| gate.name.clone()),
                    people: *people,
                };
                ("turns", at_gate(catalog, *gate), LiveMessage::Turns(turns))
            }
            _ => return None,
        };
        let (text, place) = (json(&told), Some(place));
        Some(Message { topic: Topic::Scans, kind, lsn: Some(lsn), place, text, personal: None })
    }

    /// As one may see it who may or may not see what is personal.
    pub fn seen(&self, personal: bool) -> &str {
        self.personal.as_deref().filter(|_| personal).unwrap_or(&self.text)
    }
}

/// A gate and the event it serves.
pub fn at_gate(catalog: &Catalog, gate: GateId) -> Place {
    Place { event: catalog.gate(gate).and_then(|gate| gate.event), gate: Some(gate) }
}

fn json(told: &LiveMessage) -> Box<str> {
    serde_json::to_string(told).expect("messages have nothing that JSON cannot say").into()
}

fn device_name(catalog: &Catalog, device: DeviceId) -> Option<String> {
    catalog.device(device).map(|device| device.name.clone())
}

fn of_scan(catalog: &Catalog, lsn: Lsn, scan: &ScanRecord<'_>) -> Message {
    let facts = scan.answer.ticket.as_ref();
    let mut at = at_gate(catalog, scan.answer.gate);
    // A ticket's own event, also where it knocks at the gate of another.
    at.event = facts.and_then(|facts| catalog.ticket_type(facts.type_id)).map(|kind| kind.event).or(at.event);
    let mut told = scan_told(catalog, lsn, scan, at);
    let text = json(&LiveMessage::Scan(told.clone()));
    let personal = facts.map(|facts| {
        told.reference = Some(facts.label.reference().to_owned());
        told.holder = Some(facts.label.holder().to_owned());
        json(&LiveMessage::Scan(told))
    });
    Message { topic: Topic::Scans, kind: "scan", lsn: Some(lsn), place: Some(at), text, personal }
}

fn scan_told(catalog: &Catalog, lsn: Lsn, scan: &ScanRecord<'_>, at: Place) -> ScanTold {
    let answer = &scan.answer;
    let facts = answer.ticket.as_ref();
    let attention = match answer.verdict {
        Verdict::Admit { attention } => attention,
        Verdict::Deny(_) => None,
    };
    let scan_id = match scan.scan_id {
        "" => format!("{OWN_SCAN_ID_PREFIX}{lsn}"),
        given => given.to_owned(),
    };
    ScanTold {
        cursor: lsn.to_string(),
        at: Moment(answer.at).to_string(),
        scan_id,
        device: device_name(catalog, scan.device),
        gate: catalog.gate(answer.gate).map(|gate| gate.name.clone()),
        event: at.event.and_then(|event| catalog.event(event)).map(|event| event.name.clone()),
        kind: match answer.kind {
            ScanKind::Validate => "validate",
            ScanKind::Test => "test",
            ScanKind::Offline => "offline",
        },
        direction: match answer.direction {
            Direction::Entry => "entry",
            Direction::Exit => "exit",
        },
        admitted: answer.verdict.admits(),
        reason: answer.verdict.denial().map(Reason::code),
        attention: attention.map(Reason::code),
        overridden: answer.overridden.map(Reason::code),
        conflict: scan.conflict.map(Reason::code),
        people: answer.people,
        ticket: facts.map(|facts| facts.ticket.0),
        ticket_type: facts.and_then(|facts| catalog.ticket_type(facts.type_id)).map(|kind| kind.name.clone()),
        specimen: facts.is_some_and(|facts| facts.specimen),
        reference: None,
        holder: None,
    }
}

fn of_passage(catalog: &Catalog, passage: &PassageRecord) -> Place {
    let gate = catalog.device(passage.device).and_then(|device| device.gate);
    gate.map(|gate| at_gate(catalog, gate)).unwrap_or_default()
}

fn passage_told(catalog: &Catalog, lsn: Lsn, passage: &PassageRecord) -> LiveMessage {
    let gate = of_passage(catalog, passage).gate;
    LiveMessage::Passage(PassageTold {
        cursor: lsn.to_string(),
        at: Moment(passage.at).to_string(),
        device: device_name(catalog, passage.device),
        gate: gate.and_then(|gate| catalog.gate(gate)).map(|gate| gate.name.clone()),
        scan: passage.scan.to_string(),
        outcome: match passage.outcome {
            PassageOutcome::Open => "open",
            PassageOutcome::Passed => "passed",
            PassageOutcome::Annulled => "annulled",
        },
    })
}
