//! What one batch adds to the figures that statistics read instead of the access log: people and refusals by minute,
//! refusals by reason and place, codes that were presented again. Counts as the engine's tallies do: no tests, no
//! specimens, annulled people taken back. Pure; knows no database.

use engine::catalog::{DeviceId, Direction, EventId, GateId, TypeId};
use engine::clock::Time;
use engine::decision::{Answer, Reason, ScanKind};
use engine::record::ScanRecord;
use engine::ticket::{CodeKind, TicketId, TicketUse};
use std::collections::BTreeMap;

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// What a row of arrivals is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowScope {
    /// The event as a whole.
    Event,
    /// One gate.
    Gate,
    /// One ticket type. What has no ticket is of none.
    Type,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// People that entered, annulled ones taken back.
    pub admitted: i64,
    /// People that left.
    pub exits: i64,
    /// Scans that were refused.
    pub denied: i64,
}

/// Where a flow belongs: event, scope, minutes since 1970, number of the gate or type.
pub(crate) type FlowKey = (EventId, FlowScope, i64, u16);

/// How often a code came again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Again {
    pub ticket: Option<TicketId>,
    pub denied: i64,
    /// Admitted after it had been admitted before.
    pub admitted: i64,
}

/// What a batch adds.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub arrivals: BTreeMap<FlowKey, Flow>,
    pub denials: BTreeMap<(EventId, Reason, GateId, DeviceId), i64>,
    pub again: BTreeMap<(EventId, CodeKind, Vec<u8>), Again>,
}

// === impl FlowScope ===

impl FlowScope {
    /// As rows write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            FlowScope::Event => "event",
            FlowScope::Gate => "gate",
            FlowScope::Type => "type",
        }
    }
}

// === impl Figures ===

impl Figures {
    /// Counts a scan; `moved` is what the ticket had done before and has done after.
    pub(crate) fn scan(
        &mut self,
        event: Option<EventId>,
        scan: &ScanRecord<'_>,
        moved: Option<(TicketUse, TicketUse)>,
    ) {
        let answer = &scan.answer;
        let Some(event) = event.filter(|_| counts(answer)) else { return };
        let mut again =
            Again { ticket: answer.ticket.as_ref().map(|facts| facts.ticket), ..Again::default() };
        match (answer.verdict.denial(), moved) {
            (Some(reason), _) => {
                self.flow(event, answer, Flow { denied: 1, ..Flow::default() });
                *self.denials.entry((event, reason, answer.gate, scan.device)).or_default() += 1;
                again.denied = 1;
            }
            (None, Some((before, _))) => {
                self.flow(event, answer, people(answer, 1));
                again.admitted = i64::from(answer.direction == Direction::Entry && before.used > 0);
            }
            // Somebody without a ticket that was admitted all the same: a turn.
            (None, None) => {}
        }
        if again.denied + again.admitted > 0 {
            let own = self.again.entry((event, scan.code_kind, scan.code.to_vec())).or_default();
            own.ticket = again.ticket.or(own.ticket);
            own.denied += again.denied;
            own.admitted += again.admitted;
        }
    }

    /// Takes the people of an annulled scan back, in the minute in which they were counted.
    pub(crate) fn annulled(&mut self, event: Option<EventId>, answer: &Answer) {
        if let Some(event) = event.filter(|_| counts(answer)) {
            self.flow(event, answer, people(answer, -1));
        }
    }

    fn flow(&mut self, event: EventId, answer: &Answer, flow: Flow) {
        let minute = minute(answer.at);
        let kind = answer.ticket.as_ref().map(|facts| facts.type_id);
        let mut add = |scope, id| *self.arrivals.entry((event, scope, minute, id)).or_default() += flow;
        add(FlowScope::Event, 0);
        add(FlowScope::Gate, answer.gate.0);
        if let Some(TypeId(kind)) = kind {
            add(FlowScope::Type, kind);
        }
    }
}

/// Minutes since 1970.
pub(crate) fn minute(at: Time) -> i64 {
    at.0.div_euclid(MINUTE_MS)
}

fn counts(answer: &Answer) -> bool {
    answer.kind != ScanKind::Test && !answer.ticket.as_ref().is_some_and(|facts| facts.specimen)
}

fn people(answer: &Answer, sign: i64) -> Flow {
    let people = i64::from(answer.people) * sign;
    match answer.direction {
        Direction::Entry => Flow { admitted: people, ..Flow::default() },
        Direction::Exit => Flow { exits: people, ..Flow::default() },
    }
}

impl std::ops::AddAssign for Flow {
    fn add_assign(&mut self, other: Flow) {
        self.admitted += other.admitted;
        self.exits += other.exits;
        self.denied += other.denied;
    }
}
