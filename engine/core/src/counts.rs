//! Head counts and tallies, kept by `apply` and read in O(1). A count of people inside follows from what
//! tickets have done before and after, so that it can never drift from them.

use crate::catalog::{Direction, EventId};
use crate::catalog::{GateId, TypeId, ZoneId};
use crate::decision::{Answer, REASONS, Reason, ScanKind};
use crate::ticket::TicketUse;
use serde::{Deserialize, Serialize};

/// Tallies of one event, gate or type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// People that entered, annulled ones taken back.
    pub entries: i64,
    /// People that left.
    pub exits: i64,
    /// People that came at least once: deduplicated by person.
    pub attendance: i64,
    /// Scans that admitted.
    pub admits: u64,
    /// Scans that were refused.
    pub denials: u64,
    /// People that passed without a ticket, inwards less outwards.
    pub turns: i64,
}

/// All counts of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// People inside each zone; the zone outside stays 0.
    pub zones: Vec<i64>,
    /// By event.
    pub events: Vec<Tally>,
    /// By gate.
    pub gates: Vec<Tally>,
    /// By ticket type.
    pub types: Vec<Tally>,
    /// Refusals by reason, in the order of `REASONS`.
    pub reasons: [u64; REASONS.len()],
    /// Scans that changed nothing because they repeated one.
    pub repeats: u64,
    /// Installers' scans.
    pub tests: u64,
}

/// Who and where a change belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The event of the ticket or the gate.
    pub event: Option<EventId>,
    /// The ticket's type.
    pub type_id: Option<TypeId>,
    /// People one ticket of the type admits.
    pub people: u16,
}

impl Counts {
    /// Counts a decided scan. `moved` is what the ticket had done before and has done after.
    pub fn scan(&mut self, answer: &Answer, owner: Owner, moved: Option<(TicketUse, TicketUse)>) {
        if answer.kind == ScanKind::Test {
            self.tests += 1;
            return;
        }
        // A specimen gets real answers and never counts; a stranger that an override admits counts as a turn.
        if answer.ticket.as_ref().is_some_and(|facts| facts.specimen) {
            return;
        }
        if answer.verdict.admits() && moved.is_none() {
            self.stranger(answer, owner, 1);
            return;
        }
        if let Some(reason) = answer.verdict.denial() {
            self.reasons[reason as usize] += 1;
        }
        self.each(answer.gate, owner, |tally| match answer.verdict.admits() {
            true => tally.admits += 1,
            false => tally.denials += 1,
        });
        if let Some((before, after)) = moved {
            self.people(answer, owner, before, after, 1);
        }
    }

    /// Takes an annulled scan's people back: `before` is the ticket now, `after` once it is given back.
    pub fn annul(&mut self, answer: &Answer, owner: Owner, before: TicketUse, after: TicketUse) {
        self.people(answer, owner, before, after, -1);
    }

    fn people(&mut self, answer: &Answer, owner: Owner, before: TicketUse, after: TicketUse, sign: i64) {
        self.zone(before.presence, -i64::from(before.inside));
        self.zone(after.presence, i64::from(after.inside));
        let people = i64::from(answer.people) * sign;
        let persons = |usage: TicketUse| i64::from(usage.used.min(owner.people));
        let attendance = persons(after) - persons(before);
        self.each(answer.gate, owner, |tally| {
            match answer.direction {
                Direction::Entry => tally.entries += people,
                Direction::Exit => tally.exits += people,
            }
            tally.attendance += attendance;
        });
    }

    /// Takes the turns of an annulled stranger back: somebody without a ticket that was admitted all the same.
    pub fn annul_stranger(&mut self, answer: &Answer, owner: Owner) {
        self.stranger(answer, owner, -1);
    }

    fn stranger(&mut self, answer: &Answer, owner: Owner, times: i64) {
        if answer.kind != ScanKind::Test && answer.ticket.is_none() && answer.verdict.admits() {
            let people = i64::from(answer.people) * sign(answer.direction) * times;
            self.turns(answer.gate, owner.event, people);
        }
    }

    /// Counts people that passed without a ticket.
    pub fn turns(&mut self, gate: GateId, event: Option<EventId>, people: i64) {
        self.each(gate, Owner { event, type_id: None, people: 1 }, |tally| tally.turns += people);
    }

    fn zone(&mut self, zone: ZoneId, people: i64) {
        if zone != ZoneId::OUTSIDE {
            *slot(&mut self.zones, zone.index()) += people;
        }
    }

    fn each(&mut self, gate: GateId, owner: Owner, mut change: impl FnMut(&mut Tally)) {
        change(slot(&mut self.gates, gate.index()));
        owner.event.into_iter().for_each(|event| change(slot(&mut self.events, event.index())));
        owner.type_id.into_iter().for_each(|kind| change(slot(&mut self.types, kind.index())));
    }

    /// Tickets that come back from the store bring the people that are inside with them.
    pub fn presence(&mut self, usage: TicketUse, sign: i64) {
        self.zone(usage.presence, i64::from(usage.inside) * sign);
    }

    /// Refusals for a reason.
    pub fn denied(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }
}

fn sign(direction: Direction) -> i64 {
    match direction {
        Direction::Entry => 1,
        Direction::Exit => -1,
    }
}

fn slot<T: Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
    &mut list[index]
}
