//! A small venue and its answers, for the tests of replies.

use api::profile::{Profile, Rendering, render};
use engine::Time;
use engine::catalog::{
    AntiPassback, CapacityRule, Catalog, Direction, Entity, Event, FailPolicy, Gate, GateId, GateMode,
    Reentry, TicketType, TypeId, Zone, ZoneId,
};
use engine::decision::{Answer, Fact, Reason, ScanKind, TicketFacts, Verdict};
use engine::ticket::{Details, TicketId};

/// 2026-07-01T17:30:00Z, 19:30 at the venue.
pub const NOW: Time = Time(1_782_927_000_000);

const HOUR_MS: i64 = 3_600_000;

/// One event in Zurich, one gate, one type; every name as given.
pub fn venue(name: &str) -> Catalog {
    let mut catalog = Catalog::new();
    let event = Event {
        name: "demo-match".to_owned(),
        title: "Demo Match".to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        doors_open_at: NOW.plus_ms(-2 * HOUR_MS),
        starts_at: NOW,
        ends_at: NOW.plus_ms(4 * HOUR_MS),
        cold: false,
    };
    catalog.put(&Entity::Event(event));
    catalog.put(&Entity::Zone(Zone { name: "BOWL".to_owned(), capacity: None, rule: CapacityRule::Hard }));
    let gate = Gate {
        name: name.to_owned(),
        event: catalog.event_named("demo-match"),
        from: ZoneId::OUTSIDE,
        to: ZoneId(1),
        mode: GateMode::Open,
        fail_policy: FailPolicy::Closed,
    };
    catalog.put(&Entity::Gate(gate));
    let kind = TicketType {
        name: "VIP".to_owned(),
        event: catalog.event_named("demo-match").expect("it was just put"),
        entries: Some(2),
        entries_per_day: None,
        reentry: Reentry::AfterExit,
        anti_passback: AntiPassback::Hard,
        people: 1,
        gates: Vec::new(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
    };
    catalog.put(&Entity::Type(kind));
    catalog
}

/// What the engine says of a ticket.
pub fn facts(holder: &str) -> TicketFacts {
    TicketFacts {
        ticket: TicketId(7),
        type_id: TypeId(0),
        valid_until: NOW.plus_ms(4 * HOUR_MS),
        remaining: Some(1),
        specimen: false,
        label: Details::label("TICKET_123", holder),
    }
}

/// An answer with this verdict.
pub fn answered(verdict: Verdict, fact: Fact, holder: &str) -> Answer {
    Answer {
        at: NOW,
        kind: ScanKind::Validate,
        verdict,
        overridden: None,
        direction: Direction::Entry,
        gate: GateId(0),
        people: u16::from(verdict.admits()),
        ticket: (verdict != Verdict::Deny(Reason::UnknownTicket)).then(|| facts(holder)),
        fact,
        // Zurich in summer, as the event's time zone says.
        fact_offset_s: 7_200,
        shows_name: true,
    }
}

/// The fact the engine gives with this reason, with these words in it.
pub fn fact_of(reason: Reason, words: &str) -> Fact {
    match reason {
        Reason::WrongEvent | Reason::WrongGate => Fact::Words(words.to_owned()),
        Reason::Superseded | Reason::TooLate => Fact::At(NOW.plus_ms(-26 * HOUR_MS)),
        Reason::TooEarly => Fact::At(NOW.plus_ms(HOUR_MS / 2)),
        Reason::AlreadyInside | Reason::AlreadyUsed | Reason::NoEntriesLeft | Reason::NoEntriesLeftToday => {
            Fact::Entered { gate: GateId(0), at: NOW.plus_ms(-HOUR_MS / 2) }
        }
        _ => Fact::None,
    }
}

/// The reply as text; every reply is UTF-8.
pub fn reply(
    profile: &Profile,
    answer: &Answer,
    catalog: &Catalog,
    scan_id: &str,
    shows_name: bool,
) -> String {
    let mut out = Vec::new();
    render::answer(profile, &Rendering { answer, scan_id, catalog, shows_name }, &mut out);
    String::from_utf8(out).expect("every reply is UTF-8")
}
