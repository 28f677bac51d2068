//! What comes of a row of the inbox: what is said, what is changed and what is left as it is, in memory and far away.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::catalog::{Entity, EventId, Reentry, TypeId};
use engine::clock::ManualClock;
use engine::inbox::{Change, InboxOutcome, InboxRow, Stored, Wish};
use engine::sim_disk::SimDisk;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus};
use engine::{Amendment, Engine, EngineError, Lsn, Time};
use std::sync::Arc;
use support::build;

const ROW: InboxRow = InboxRow { id: 1, written_us: 2 };
const START: Time = Time(1_780_000_000_000);
const CUP: EventId = EventId(0);

/// Two events, and ticket T0 of the first.
fn venue() -> Engine {
    let engine = build::open(&SimDisk::new(), &Arc::new(ManualClock::at(START)), 1 << 20);
    for name in ["cup", "gala"] {
        let end = START.plus_ms(build::DAY_MS);
        engine.put(None, Entity::Event(build::event(name, START, end))).unwrap();
    }
    for (name, event) in [("STANDARD", CUP), ("VIP", CUP), ("SEAT", EventId(1))] {
        engine.put(None, Entity::Type(build::ticket_type(name, event, Some(1), Reentry::None))).unwrap();
    }
    assert!(matches!(take(&engine, &Wish::Add(ticket("T0"))), InboxOutcome::Added { id: TicketId(0), .. }));
    engine
}

fn ticket(code: &str) -> Ticket {
    build::ticket(TypeId(0), code, &[(CodeKind::Optical, code.as_bytes())])
}

fn change(code: &str) -> Change {
    Change {
        kind: CodeKind::Optical,
        code: code.as_bytes().to_vec(),
        event: None,
        type_name: None,
        status: None,
        specimen: None,
        valid_from: None,
        valid_until: None,
        holder: None,
        order: None,
        seat: None,
    }
}

fn take(engine: &Engine, wish: &Wish) -> InboxOutcome {
    engine.take_in(ROW, wish, Stored::NotAsked).unwrap().1
}

fn takes(engine: &Engine, change: Change) -> InboxOutcome {
    take(engine, &Wish::Change(change))
}

fn refusal(outcome: InboxOutcome) -> String {
    match outcome {
        InboxOutcome::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn now(engine: &Engine) -> Ticket {
    engine.ticket(CodeKind::Optical, b"T0").unwrap().1
}

#[test]
fn what_is_said_changes_and_what_is_not_said_stays() {
    let engine = venue();
    let before = now(&engine);
    let outcome = takes(
        &engine,
        Change {
            type_name: Some("VIP".to_owned()),
            seat: Some("A 1".to_owned()),
            holder: Some(String::new()),
            ..change("T0")
        },
    );
    let InboxOutcome::Changed { id: TicketId(0), ticket } = outcome else { panic!("{outcome:?}") };
    assert_eq!(ticket, now(&engine));
    let details = Details::new("T0", "", "", "A 1", &[(CodeKind::Optical, b"T0")]);
    assert_eq!(ticket, Ticket { type_id: TypeId(1), details, ..before });
    let blocked = Change { status: Some(TicketStatus::Blocked), ..change("T0") };
    assert!(matches!(takes(&engine, blocked.clone()), InboxOutcome::Changed { .. }));
    assert_eq!((now(&engine).status, now(&engine).status_at), (TicketStatus::Blocked, START));
    assert_eq!(takes(&engine, blocked), InboxOutcome::Unchanged);
    assert_eq!(takes(&engine, change("T0")), InboxOutcome::Unchanged);
}

#[test]
fn what_cannot_be_is_refused_in_words_that_help_and_changes_nothing() {
    let engine = venue();
    let before = now(&engine);
    let other_event = Change { event: Some(EventId(1)), ..change("T0") };
    assert_eq!(refusal(takes(&engine, other_event)), "the ticket with this code is for event 'cup'");
    let of_other_event = Change { type_name: Some("SEAT".to_owned()), ..change("T0") };
    assert_eq!(
        refusal(takes(&engine, of_other_event)),
        "unknown ticket type 'SEAT'; this event has STANDARD, VIP"
    );
    let backwards = Change { valid_from: Some(Time(2)), valid_until: Some(Time(1)), ..change("T0") };
    assert_eq!(refusal(takes(&engine, backwards)), "valid_until is before valid_from");
    let long = Change { holder: Some("x".repeat(256)), ..change("T0") };
    assert_eq!(refusal(takes(&engine, long)), "holder has 256 bytes, 255 is the most");
    let strange = Ticket { type_id: TypeId(9), ..ticket("T1") };
    assert_eq!(refusal(take(&engine, &Wish::Add(strange))), "its ticket type is not known");
    let codeless = build::ticket(TypeId(0), "none", &[]);
    assert_eq!(refusal(take(&engine, &Wish::Add(codeless))), "a ticket needs a code or a card");
    assert_eq!(now(&engine), before);
    assert_eq!(takes(&engine, change("T1")), InboxOutcome::Early);
}

#[test]
fn the_same_ticket_again_is_harmless_and_another_of_its_codes_is_not() {
    let engine = venue();
    assert!(matches!(
        takes(&engine, Change { status: Some(TicketStatus::Blocked), ..change("T0") }),
        InboxOutcome::Changed { .. }
    ));
    assert_eq!(take(&engine, &Wish::Add(ticket("T0"))), InboxOutcome::Unchanged);
    let otherwise = Ticket { type_id: TypeId(1), ..ticket("T0") };
    let why = refusal(take(&engine, &Wish::Add(otherwise)));
    assert!(why.starts_with("ticket 'T0' is there already and is otherwise"), "{why}");
    let codes: [(CodeKind, &[u8]); 2] = [(CodeKind::Optical, b"T1"), (CodeKind::Optical, b"T0")];
    let thief = build::ticket(TypeId(0), "thief", &codes);
    assert_eq!(refusal(take(&engine, &Wish::Add(thief))), "a code of it belongs to ticket 'T0' already");
}

#[test]
fn a_ticket_that_was_given_back_stays_so() {
    let engine = venue();
    let status = |status| Change { status: Some(status), ..change("T0") };
    assert!(matches!(takes(&engine, status(TicketStatus::Cancelled)), InboxOutcome::Changed { .. }));
    assert_eq!(
        refusal(takes(&engine, status(TicketStatus::Active))),
        "the ticket is cancelled, and that is final"
    );
    let renamed = Change { holder: Some("Eve".to_owned()), ..change("T0") };
    assert_eq!(refusal(takes(&engine, renamed)), "the ticket is cancelled, and that is final");
    assert_eq!(takes(&engine, status(TicketStatus::Cancelled)), InboxOutcome::Unchanged);
    assert_eq!(take(&engine, &Wish::Add(ticket("T0"))), InboxOutcome::Unchanged);
}

#[test]
fn a_ticket_in_the_store_only_is_asked_for_and_comes_back_as_it_was_left() {
    let engine = venue();
    let stored = (TicketId(0), now(&engine));
    engine.cool(CUP).unwrap();
    let wish = Wish::Change(Change { status: Some(TicketStatus::Cancelled), ..change("T0") });
    assert!(matches!(engine.take_in(ROW, &wish, Stored::NotAsked), Err(EngineError::MaybeCold)));
    assert_eq!(
        engine.take_in(ROW, &wish, Stored::Asked(None, engine.cold_changed())).unwrap().1,
        InboxOutcome::Early
    );
    let before = engine.journal().positions().next;
    let (lsn, outcome) =
        engine.take_in(ROW, &wish, Stored::Asked(Some(&stored), engine.cold_changed())).unwrap();
    let InboxOutcome::Changed { ticket, .. } = outcome else { panic!("{outcome:?}") };
    assert!(engine.ticket(CodeKind::Optical, b"T0").is_none(), "it is still far away");
    assert_eq!(engine.cold_changed(), lsn);
    // What was read before the change must not come back.
    assert!(matches!(engine.warm(before, vec![stored]), Err(EngineError::StoreBehind)));
    engine.warm(lsn, vec![(TicketId(0), ticket)]).unwrap();
    assert_eq!(now(&engine).status, TicketStatus::Cancelled);
}

// The box office's row was judged by the ticket as it was before, and wrote it back: the new code was lost.
#[test]
fn a_row_does_not_take_back_what_a_person_amended_meanwhile() {
    let engine = venue();
    let stored = (TicketId(0), now(&engine));
    engine.cool(CUP).unwrap();
    let read_at = engine.cold_changed();
    let after = Ticket { details: ticket("T0-2").details, ..stored.1.clone() };
    let amendment = Amendment {
        action: "amend".to_owned(),
        details: "{}".to_owned(),
        changed: vec![(TicketId(0), stored.1.clone(), after)],
        added: Vec::new(),
        as_of: Some(read_at),
    };
    engine.amend(None, amendment).unwrap();
    let wish = Wish::Change(Change { status: Some(TicketStatus::Blocked), ..change("T0") });
    let stale = engine.take_in(ROW, &wish, Stored::Asked(Some(&stored), read_at));
    assert!(matches!(stale, Err(EngineError::StoreBehind)), "{stale:?}");
    let (_, outcome) = engine.take_in(ROW, &wish, Stored::Asked(None, engine.cold_changed())).unwrap();
    assert_eq!(outcome, InboxOutcome::Early, "the code is no longer its own");
}

#[test]
fn a_ticket_that_is_sold_while_its_event_is_far_goes_to_the_store_and_is_maybe_known() {
    let engine = venue();
    engine.cool(CUP).unwrap();
    let (lsn, outcome) = engine.take_in(ROW, &Wish::Add(ticket("T1")), Stored::NotAsked).unwrap();
    assert!(matches!(outcome, InboxOutcome::Added { id: TicketId(1), .. }));
    assert!(engine.ticket(CodeKind::Optical, b"T1").is_none());
    assert!(engine.cold_filter().maybe(CodeKind::Optical, b"T1"));
    assert_eq!(engine.cold_changed(), lsn);
    assert!(lsn > Lsn(0));
}
