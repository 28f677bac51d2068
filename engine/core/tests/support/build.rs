//! Builders for catalog entities and tickets with defaults that do not matter to a test, and an engine on a
//! simulated disk whose journal is committed by hand.

use engine::catalog::*;
use engine::clock::ManualClock;
use engine::journal::JournalOptions;
use engine::sim_disk::SimDisk;
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use engine::{Engine, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

pub fn event(name: &str, doors_open_at: Time, ends_at: Time) -> Event {
    Event {
        name: name.to_owned(),
        title: format!("The {name}"),
        time_zone: "Europe/Zurich".to_owned(),
        doors_open_at,
        starts_at: doors_open_at,
        ends_at,
        cold: false,
    }
}

pub fn zone(name: &str) -> Zone {
    Zone { name: name.to_owned(), capacity: None, rule: CapacityRule::Hard }
}

pub fn gate(name: &str, event: Option<EventId>, from: ZoneId, to: ZoneId) -> Gate {
    let (mode, fail_policy) = (GateMode::Open, FailPolicy::Closed);
    Gate { name: name.to_owned(), event, from, to, mode, fail_policy }
}

pub fn ticket_type(name: &str, event: EventId, entries: Option<u16>, reentry: Reentry) -> TicketType {
    TicketType {
        name: name.to_owned(),
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

pub fn device(name: &str) -> Device {
    Device {
        name: name.to_owned(),
        gate: None,
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

pub fn ticket(type_id: TypeId, reference: &str, codes: &[(CodeKind, &[u8])]) -> Ticket {
    Ticket {
        type_id,
        status: TicketStatus::Active,
        specimen: false,
        usage: TicketUse::default(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
        status_at: Time(0),
        details: Details::new(reference, "John Doe", "", "", codes),
    }
}

/// An engine on this disk; nothing becomes durable unless somebody commits.
pub fn open(disk: &SimDisk, clock: &Arc<ManualClock>, segment_bytes: u64) -> Engine {
    let options = JournalOptions { segment_bytes, salt: 7, ..JournalOptions::default() };
    Engine::open(Arc::new(disk.clone()), clock.clone(), options).unwrap().0
}

/// The nth device.
pub fn device_id(n: u32) -> DeviceId {
    DeviceId(n)
}

/// The nth gate.
pub fn gate_id(n: u16) -> GateId {
    GateId(n)
}
