//! One venue: an event that never ends, gates with a device each, and tickets made from their numbers. Knows catalog and
//! tickets; knows no scan.

use engine::Time;
use engine::catalog::{
    AntiPassback, CapacityRule, Catalog, Device, DeviceId, DeviceStatus, Entity, Event, FailPolicy, Gate,
    GateId, GateMode, Reentry, TicketType, TypeId, Zone,
};
use engine::limits::TICKETS_PER_RECORD_MAX;
use engine::record::Record;
use engine::sim_disk::SplitMix64;
use engine::state::State;
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use std::collections::BTreeMap;

/// When the workloads begin: 2026-07-01T12:00:00Z.
pub const BEGIN: Time = Time(1_782_907_200_000);
/// Bytes of every code.
pub const CODE_BYTES: usize = 16;

/// What a ticket of the workload may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// In as often as it likes: never runs out.
    Staff,
    /// Once.
    Standard,
}

const EVENT: &str = "demo-match";
const ZONE: &str = "BOWL";

/// A state with catalog and tickets `0..count`, all of one type; built through `apply` as a replay does.
pub fn state(count: u32, rule: Rule) -> State {
    let mut state = State::new();
    apply(&mut state, &Record::Born { at: BEGIN, salt: *b"a salt of 16 by." });
    for entity in entities(&state.catalog, rule, 1) {
        apply(&mut state, &Record::Put { at: BEGIN, operator: None, entity: Box::new(entity) });
    }
    let mut numbers = 0..count;
    while !numbers.is_empty() {
        let tickets: Vec<Ticket> = numbers.by_ref().take(TICKETS_PER_RECORD_MAX).map(ticket).collect();
        let first = state.tickets.next_id();
        apply(&mut state, &Record::Tickets { at: BEGIN, first, tickets });
    }
    assert_eq!(state.tickets.len(), count as usize);
    state
}

fn apply(state: &mut State, record: &Record<'_>) {
    state.apply(state.lsn + 1, record);
}

/// The ids every scan names. One of each is there.
pub const GATE_ID: GateId = GateId(0);
/// The device that scans.
pub const DEVICE_ID: DeviceId = DeviceId(0);
const TYPE_ID: TypeId = TypeId(0);

/// What a catalog needs for the workload, with so many gates and a device at each.
pub fn entities(catalog: &Catalog, rule: Rule, gates: u16) -> Vec<Entity> {
    // Names get numbers in order: the first of each kind is 0, and zone 0 is outside.
    let inside = engine::catalog::ZoneId(catalog.zones().count() as u16);
    let event = engine::catalog::EventId(0);
    let zone = Zone { name: ZONE.to_owned(), capacity: None, rule: CapacityRule::Hard };
    let mut all =
        vec![Entity::Event(match_event()), Entity::Zone(zone), Entity::Type(ticket_type(event, rule))];
    for number in 0..gates {
        all.push(Entity::Gate(Gate {
            name: format!("ENTRANCE_{:02}", number + 1),
            event: Some(event),
            from: engine::catalog::ZoneId::OUTSIDE,
            to: inside,
            mode: GateMode::Open,
            fail_policy: FailPolicy::Closed,
        }));
        all.push(Entity::Device(device(number)));
    }
    all
}

fn match_event() -> Event {
    Event {
        name: EVENT.to_owned(),
        title: "Demo Match".to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        doors_open_at: BEGIN.plus_ms(-3_600_000),
        starts_at: BEGIN,
        ends_at: Time(4_000_000_000_000),
        cold: false,
    }
}

fn ticket_type(event: engine::catalog::EventId, rule: Rule) -> TicketType {
    let (entries, reentry) = match rule {
        Rule::Staff => (None, Reentry::Free),
        Rule::Standard => (Some(1), Reentry::None),
    };
    TicketType {
        name: "STANDARD".to_owned(),
        event,
        entries,
        entries_per_day: None,
        reentry,
        anti_passback: AntiPassback::Hard,
        people: 1,
        gates: Vec::new(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
    }
}

fn device(number: u16) -> Device {
    Device {
        name: format!("KQT300_{:03}", number + 1),
        gate: Some(GateId(number)),
        profile: "json".to_owned(),
        key_hashes: Vec::new(),
        number: None,
        status: DeviceStatus::Active,
        rate_per_minute: None,
        card_format: None,
        heartbeat_code: None,
        direction: None,
        sources: Vec::new(),
        shows_name: true,
        repeat_window_ms: 3_000,
        config_version: 1,
        settings: BTreeMap::new(),
    }
}

/// The ticket of a number: ticket id 12 bytes, holder 16, one code of 16, as box offices have them.
pub fn ticket(number: u32) -> Ticket {
    let reference = format!("T{number:011}");
    let holder = format!("Holder {number:09}");
    Ticket {
        type_id: TYPE_ID,
        status: TicketStatus::Active,
        specimen: false,
        usage: TicketUse::default(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
        status_at: BEGIN,
        details: Details::new(&reference, &holder, "", "", &[(CodeKind::Optical, &code(number))]),
    }
}

/// The code of a number: random-looking digits, every number another code.
pub fn code(number: u32) -> [u8; CODE_BYTES] {
    hex(SplitMix64(u64::from(number)).next())
}

/// A code no ticket has: `code` never begins with a letter beyond `f`.
pub fn stranger(number: u32) -> [u8; CODE_BYTES] {
    let mut code = code(number);
    code[0] = b'x';
    code
}

/// 16 hex digits.
pub fn hex(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|n| DIGITS[(number >> (60 - 4 * n)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ticket_is_found_by_its_code_and_a_stranger_is_not() {
        let state = state(1_000, Rule::Standard);
        for number in 0..1_000 {
            let (id, ticket) = state.tickets.find(CodeKind::Optical, &code(number)).expect("it was added");
            assert_eq!((id.0, ticket), (number, &super::ticket(number)));
            assert!(state.tickets.find(CodeKind::Optical, &stranger(number)).is_none());
        }
    }

    #[test]
    fn texts_have_the_lengths_the_figures_are_about() {
        let details = ticket(7).details;
        assert_eq!((details.reference().len(), details.holder().len()), (12, 16));
    }
}
