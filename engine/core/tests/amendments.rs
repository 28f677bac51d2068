//! Tickets that a person amends: whole, all or none, only as they were read, and never so that one admits twice unseen.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::catalog::{DeviceId, Entity, EventId, GateId, OperatorId, Reentry, TypeId, ZoneId};
use engine::clock::ManualClock;
use engine::decision::{Reason, Scan, ScanKind};
use engine::limits::TICKETS_PER_RECORD_MAX;
use engine::sim_disk::SimDisk;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use engine::{Amendment, Engine, EngineError, Lsn, TicketError, Time};
use std::sync::Arc;
use support::build;

const START: Time = Time(1_780_000_000_000);
const ADMIN: Option<OperatorId> = Some(OperatorId(0));
const BOWL: usize = 1;

/// Two events, a gate into BOWL and tickets T0 to T3 of one entry each, the last one for the second event.
struct Venue {
    engine: Engine,
    disk: SimDisk,
    clock: Arc<ManualClock>,
}

impl Venue {
    fn new() -> Venue {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START)));
        let engine = build::open(&disk, &clock, 8 << 20);
        let put = |entity| engine.put(None, entity).unwrap();
        for name in ["cup", "gala"] {
            put(Entity::Event(build::event(name, START, START.plus_ms(build::DAY_MS))));
        }
        put(Entity::Zone(build::zone("BOWL")));
        put(Entity::Gate(build::gate("North", Some(EventId(0)), ZoneId(0), ZoneId(1))));
        put(Entity::Device(build::device("D0")));
        for (name, event) in [("STD", 0), ("VIP", 0), ("SEAT", 1)] {
            put(Entity::Type(build::ticket_type(name, EventId(event), Some(1), Reentry::None)));
        }
        let tickets = [0, 0, 0, 2].into_iter().enumerate();
        let tickets = tickets.map(|(n, kind)| ticket(kind, &format!("T{n}"), &[&format!("T{n}")])).collect();
        engine.add_tickets(tickets, false).unwrap();
        Venue { engine, disk, clock }
    }

    fn ticket(&self, id: u32) -> Ticket {
        self.engine.with_state(|state| state.tickets.get(TicketId(id)).cloned()).unwrap()
    }

    fn amend(&self, changed: Vec<(u32, Ticket)>, added: Vec<Ticket>) -> Result<Vec<TicketId>, EngineError> {
        let changed = changed.into_iter().map(|(id, after)| (TicketId(id), self.ticket(id), after)).collect();
        self.engine.amend(ADMIN, amendment(changed, added)).map(|(_, ids)| ids)
    }

    /// Why a scan is refused; `None`: it admits.
    fn refusal(&self, code: &str) -> Option<Reason> {
        let scan = scan(code);
        match self.engine.scan(&scan) {
            Err(EngineError::MaybeCold) => self.engine.scan_cold(&scan, None),
            other => other,
        }
        .unwrap()
        .answer
        .verdict
        .denial()
    }

    /// Replay gives what is there.
    fn replays(&self) {
        self.engine.journal().commit().unwrap();
        let beside = build::open(&self.disk.process_crash(), &self.clock, 8 << 20);
        assert!(beside.image() == self.engine.image(), "replay gives another state");
    }
}

fn ticket(kind: u16, reference: &str, codes: &[&str]) -> Ticket {
    let codes: Vec<(CodeKind, &[u8])> =
        codes.iter().map(|code| (CodeKind::Optical, code.as_bytes())).collect();
    build::ticket(TypeId(kind), reference, &codes)
}

fn amendment(changed: Vec<(TicketId, Ticket, Ticket)>, added: Vec<Ticket>) -> Amendment {
    Amendment { action: "amend".to_owned(), details: "{}".to_owned(), changed, added, as_of: None }
}

fn scan(code: &str) -> Scan<'_> {
    Scan {
        device: DeviceId(0),
        gate: GateId(0),
        code_kind: CodeKind::Optical,
        code: code.as_bytes(),
        scan_id: None,
        scanned_at: None,
        direction: None,
        people: None,
        kind: ScanKind::Validate,
        overriding: None,
        shown: None,
    }
}

/// With other codes.
fn coded(ticket: &Ticket, codes: &[&str]) -> Ticket {
    Ticket { details: self::ticket(0, ticket.details.reference(), codes).details, ..ticket.clone() }
}

#[test]
fn a_ticket_is_whole_as_it_was_amended_and_found_by_its_new_codes_only() {
    let venue = Venue::new();
    let codes: [(CodeKind, &[u8]); 2] = [(CodeKind::Optical, b"NEW"), (CodeKind::Card, b"CARD")];
    let after = Ticket {
        type_id: TypeId(1),
        valid_until: START.plus_ms(build::HOUR_MS),
        details: Details::new("T0b", "Ann", "order", "A 1", &codes),
        ..venue.ticket(0)
    };
    assert_eq!(venue.amend(vec![(0, after.clone())], Vec::new()).unwrap(), []);
    assert_eq!(venue.ticket(0), after);
    assert_eq!(venue.refusal("T0"), Some(Reason::UnknownTicket));
    assert_eq!(venue.refusal("NEW"), None);
    assert!(venue.engine.ticket(CodeKind::Card, b"CARD").is_some());
    venue.replays();
}

#[test]
fn what_happened_since_a_ticket_was_read_is_not_overwritten() {
    let venue = Venue::new();
    let seen = venue.ticket(0);
    assert_eq!(venue.refusal("T0"), None);
    let image = venue.engine.image();
    let after = Ticket { status: TicketStatus::Blocked, ..seen.clone() };
    let other = (TicketId(1), venue.ticket(1), Ticket { status: TicketStatus::Blocked, ..venue.ticket(1) });
    let stale = amendment(vec![other.clone(), (TicketId(0), seen, after)], Vec::new());
    assert!(matches!(venue.engine.amend(ADMIN, stale), Err(EngineError::Changed)));
    let twice = amendment(vec![other.clone(), other], Vec::new());
    assert!(matches!(venue.engine.amend(ADMIN, twice), Err(EngineError::Changed)), "one ticket, twice");
    assert!(venue.engine.image() == image, "all or none");
}

#[test]
fn a_reissued_ticket_takes_over_what_was_used_and_who_is_inside() {
    let venue = Venue::new();
    assert_eq!(venue.refusal("T0"), None);
    let before = venue.ticket(0);
    let old = Ticket {
        status: TicketStatus::Superseded,
        status_at: START,
        usage: TicketUse { inside: 0, presence: ZoneId::OUTSIDE, ..before.usage },
        ..before.clone()
    };
    let new = coded(&before, &["T0-2"]);
    let counts = venue.engine.counts();
    assert_eq!(venue.amend(vec![(0, old)], vec![new.clone()]).unwrap(), [TicketId(4)]);
    assert_eq!(venue.ticket(4), new);
    assert_eq!(venue.engine.counts(), counts, "the guest is where he was");
    venue.clock.set(START.plus_ms(build::MINUTE_MS));
    assert_eq!(venue.refusal("T0"), Some(Reason::Superseded));
    assert_eq!(venue.refusal("T0-2"), Some(Reason::AlreadyUsed));
    assert_eq!(venue.amend(Vec::new(), vec![ticket(0, "T5", &["T5"])]).unwrap(), [TicketId(5)]);
    venue.replays();
}

#[test]
fn an_entry_that_is_given_back_opens_once_more_and_what_was_counted_stays() {
    let venue = Venue::new();
    assert_eq!(venue.refusal("T0"), None);
    assert_eq!(venue.refusal("T1"), None);
    assert_eq!(venue.engine.counts().zones[BOWL], 2);
    let fresh = Ticket { usage: TicketUse::default(), ..venue.ticket(0) };
    venue.amend(vec![(0, fresh)], Vec::new()).unwrap();
    let counts = venue.engine.counts();
    assert_eq!((counts.zones[BOWL], counts.gates[0].entries, counts.types[0].attendance), (1, 2, 2));
    venue.clock.set(START.plus_ms(build::MINUTE_MS));
    assert_eq!(venue.refusal("T0"), None);
    venue.clock.set(START.plus_ms(2 * build::MINUTE_MS));
    assert_eq!(venue.refusal("T0"), Some(Reason::AlreadyUsed));
    assert_eq!(venue.engine.counts().zones[BOWL], 2);
    venue.replays();
}

#[test]
fn a_code_has_one_owner_afterwards() {
    let venue = Venue::new();
    let taken = |result: Result<Vec<TicketId>, EngineError>, code: &str| {
        assert!(
            matches!(&result, Err(EngineError::Ticket(TicketError::CodeTaken(own))) if own == code),
            "{result:?}"
        );
    };
    let with = |id: u32, codes: &[&str]| (id, coded(&venue.ticket(id), codes));
    taken(venue.amend(vec![with(0, &["T0", "T1"])], Vec::new()), "T1");
    taken(venue.amend(Vec::new(), vec![ticket(0, "X", &["T1"])]), "T1");
    taken(venue.amend(vec![with(0, &["X"]), with(1, &["X"])], Vec::new()), "X");
    taken(venue.amend(vec![with(0, &["X"])], vec![ticket(0, "X", &["X"])]), "X");
    taken(venue.amend(vec![with(0, &["T0", "T1"]), with(1, &["T1"])], Vec::new()), "T1");
    // Codes may go round within one amendment.
    let id = venue
        .amend(vec![with(0, &["T1"]), with(1, &["T2"]), with(2, &["T1b"])], vec![ticket(0, "new", &["T0"])]);
    assert_eq!(id.unwrap(), [TicketId(4)]);
    let owner = |code: &str| venue.engine.ticket(CodeKind::Optical, code.as_bytes()).map(|(id, _)| id.0);
    assert_eq!(["T0", "T1", "T2", "T1b"].map(owner), [Some(4), Some(0), Some(1), Some(2)]);
    venue.replays();
}

#[test]
fn what_a_ticket_cannot_be_is_refused_in_words() {
    let venue = Venue::new();
    let image = venue.engine.image();
    let refused = |changed: Vec<(u32, Ticket)>, added| venue.amend(changed, added).unwrap_err().to_string();
    let of = |type_id| Ticket { type_id: TypeId(type_id), ..venue.ticket(0) };
    let other_event = "a ticket stays with its event; make a new one for another event";
    assert_eq!(refused(vec![(0, of(2))], Vec::new()), other_event);
    assert_eq!(refused(vec![(0, of(9))], Vec::new()), "its ticket type is not known");
    assert_eq!(refused(vec![(0, coded(&venue.ticket(0), &[]))], Vec::new()), "a ticket needs a code");
    assert_eq!(refused(Vec::new(), Vec::new()), "an amendment has 1 to 256 tickets, this one 0");
    let many = (0..=TICKETS_PER_RECORD_MAX).map(|n| ticket(0, "N", &[&format!("N{n}")])).collect();
    assert_eq!(refused(Vec::new(), many), "an amendment has 1 to 256 tickets, this one 257");
    let strange = (TicketId(99), venue.ticket(0), venue.ticket(0));
    let result = venue.engine.amend(ADMIN, amendment(vec![strange], Vec::new()));
    assert!(matches!(result, Err(EngineError::TicketNotFound)));
    let nameless = Amendment { action: String::new(), ..amendment(Vec::new(), vec![ticket(0, "N", &["N"])]) };
    assert!(matches!(venue.engine.amend(ADMIN, nameless), Err(EngineError::Registry(_))));
    assert!(venue.engine.image() == image);
}

#[test]
fn the_largest_amendment_there_may_be_fits_into_a_record() {
    let venue = Venue::new();
    let text = "x".repeat(255);
    let codes: Vec<Vec<u8>> = (0..TICKETS_PER_RECORD_MAX * 8)
        .map(|n| {
            let mut code = format!("L{n}-").into_bytes();
            code.resize(255, b'c');
            code
        })
        .collect();
    let large = |codes: &[Vec<u8>]| {
        let codes: Vec<(CodeKind, &[u8])> =
            codes.iter().map(|code| (CodeKind::Optical, code.as_slice())).collect();
        let mut ticket = build::ticket(TypeId(0), "", &codes);
        ticket.details = Details::new(&text, &text, &text, &text, &codes);
        (ticket.valid_from, ticket.usage.last_at) = (Time::MIN, Time::MAX);
        ticket
    };
    let added = codes.chunks(8).map(large).collect();
    let details = format!("\"{}\"", "d".repeat((32 << 10) - 2));
    let (_, ids) = venue.engine.amend(ADMIN, Amendment { details, ..amendment(Vec::new(), added) }).unwrap();
    assert_eq!(ids.len(), TICKETS_PER_RECORD_MAX);
}

#[test]
fn a_ticket_in_the_store_only_is_amended_as_the_newest_store_knows_it() {
    let venue = Venue::new();
    let engine = &venue.engine;
    let stored = venue.ticket(3);
    engine.cool(EventId(1)).unwrap();
    let after = coded(&stored, &["SEAT-2"]);
    let amend = |as_of| {
        let changed = vec![(TicketId(3), stored.clone(), after.clone())];
        engine.amend(ADMIN, Amendment { as_of, ..amendment(changed, Vec::new()) })
    };
    let read_at = engine.cold_changed();
    assert!(matches!(amend(None), Err(EngineError::MaybeCold)));
    assert!(matches!(amend(Some(Lsn(read_at.0 - 1))), Err(EngineError::StoreBehind)));
    let (lsn, _) = amend(Some(read_at)).unwrap();
    assert_eq!(engine.cold_changed(), lsn);
    assert!(engine.cold_filter().maybe(CodeKind::Optical, b"SEAT-2"));
    assert_eq!(engine.sizes().0, 3, "it is still far away");
    // What was read before must neither be amended again nor come back.
    assert!(matches!(amend(Some(read_at)), Err(EngineError::StoreBehind)));
    assert!(matches!(engine.warm(read_at, vec![(TicketId(3), stored)]), Err(EngineError::StoreBehind)));
    engine.warm(lsn, vec![(TicketId(3), after)]).unwrap();
    assert!(engine.ticket(CodeKind::Optical, b"SEAT-2").is_some());
    venue.replays();
}

#[test]
fn a_code_that_the_store_may_have_is_looked_for_there_first() {
    let venue = Venue::new();
    let engine = &venue.engine;
    engine.cool(EventId(1)).unwrap();
    let add = |codes: &[&str], kind, as_of| {
        let added = vec![ticket(kind, "new", codes)];
        engine.amend(ADMIN, Amendment { as_of, ..amendment(Vec::new(), added) })
    };
    assert!(matches!(add(&["T3"], 0, None), Err(EngineError::MaybeCold)));
    add(&["free"], 0, None).unwrap();
    // A new ticket of a far event is in the store only, and makes every older look into it too old.
    let read_at = engine.cold_changed();
    let (lsn, ids) = add(&["far"], 2, None).unwrap();
    assert_eq!((ids, engine.cold_changed()), (vec![TicketId(5)], lsn));
    assert!(engine.ticket(CodeKind::Optical, b"far").is_none());
    assert!(matches!(add(&["far"], 0, Some(read_at)), Err(EngineError::StoreBehind)));
    venue.replays();
}

/// Found by reading: a first ticket was in the store alone then, of an event whose tickets were all in memory, and admitted
/// nobody.
#[test]
fn an_event_is_not_near_before_the_store_was_asked_for_its_newest_ticket() {
    let venue = Venue::new();
    let engine = &venue.engine;
    engine.put(None, Entity::Event(build::event("ball", START, START.plus_ms(build::DAY_MS)))).unwrap();
    engine.put(None, Entity::Type(build::ticket_type("BALL", EventId(2), Some(1), Reentry::None))).unwrap();
    engine.cool(EventId(2)).unwrap();
    // The store was asked, and had none: it does not know of this one yet.
    let read_at = engine.cold_changed();
    let sold = ticket(3, "B0", &["B0"]);
    let (lsn, ids) = engine.amend(ADMIN, amendment(Vec::new(), vec![sold.clone()])).unwrap();
    assert!(matches!(engine.set_warm(read_at, EventId(2)), Err(EngineError::StoreBehind)));
    engine.warm(lsn, vec![(ids[0], sold)]).unwrap();
    engine.set_warm(lsn, EventId(2)).unwrap();
    let gate = build::gate("North", Some(EventId(2)), ZoneId(0), ZoneId(1));
    engine.put(None, Entity::Gate(gate)).unwrap();
    assert_eq!(venue.refusal("B0"), None);
    venue.replays();
}
