//! What people did in the administration, as rows: what was and what is, what tickets are found by, what is kept.

use crate::place::{Database, Place, on_every_database, on_older_postgres};
use crate::queries::project;
use crate::venue::*;
use engine::catalog::{Entity, OperatorId, ZoneId};
use engine::registry::{Act, RegistryChange};
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use engine::{Amendment, Lsn};
use store::{AuditFilter, Queries};

on_every_database! {
    the_audit_says_what_was_and_what_is
    details_that_are_no_json_hold_nothing_up
    an_amended_ticket_is_found_by_what_it_is_now_and_its_scans_by_what_it_was
    a_cold_ticket_is_amended_where_it_is
    a_registry_larger_than_a_page_comes_back
}

on_older_postgres! {
    an_amended_ticket_is_found_by_what_it_is_now_and_its_scans_by_what_it_was
    a_registry_larger_than_a_page_comes_back
}

pub const CHIEF: Option<OperatorId> = Some(OperatorId(0));

/// A node with tickets 0 to `tickets`, each of the type its number says, and a place to project into.
pub fn with_tickets(on: Database, tickets: u32) -> (Node, Place) {
    let node = venue();
    node.engine.add_tickets((0..tickets).map(|n| ticket(n, n % 4)).collect(), false).unwrap();
    (node, on.place())
}

pub fn ticket_now(node: &Node, id: u32) -> Ticket {
    node.engine.with_state(|state| state.tickets.get(TicketId(id)).cloned()).unwrap()
}

pub fn amend(node: &Node, changed: Vec<(u32, Ticket, Ticket)>, added: Vec<Ticket>) -> Vec<TicketId> {
    let amendment = Amendment {
        action: "ticket_reissue".to_owned(),
        details: r#"{"why":"lost"}"#.to_owned(),
        changed: changed.into_iter().map(|(id, before, after)| (TicketId(id), before, after)).collect(),
        added,
        as_of: Some(node.engine.journal().positions().next),
    };
    node.engine.amend(CHIEF, amendment).unwrap().1
}

/// The newest line of the audit: action, subject, details.
fn newest(queries: &dyn Queries) -> (String, String, String) {
    let line = queries.audit(&AuditFilter::default(), None, 1).unwrap().remove(0);
    assert_eq!(line.operator, CHIEF);
    (line.action, line.subject, line.details)
}

fn the_audit_says_what_was_and_what_is(on: Database) {
    let (node, place) = with_tickets(on, 8);
    let says = |action: &str, subject: &str, details: &str| {
        let words = [action, subject, details].map(str::to_owned);
        assert_eq!(newest(&*project(&node, &place)), words.into());
    };
    let outside =
        |name: &str, capacity: &str| format!(r#"{{"name":"{name}","capacity":{capacity},"rule":"hard"}}"#);
    let zone = |name: &str, capacity| {
        let rule = engine::catalog::CapacityRule::Hard;
        Entity::Zone(engine::catalog::Zone { name: name.to_owned(), capacity, rule })
    };
    node.engine.put(CHIEF, zone("NEW", None)).unwrap();
    says("put_zone", "NEW", &format!(r#"{{"before":null,"after":{}}}"#, outside("NEW", "null")));
    node.engine.put(CHIEF, zone("BOWL", Some(7))).unwrap();
    let both = format!(r#"{{"before":{},"after":{}}}"#, outside("BOWL", "60"), outside("BOWL", "7"));
    says("put_zone", "BOWL", &both);
    node.engine.set_status(CHIEF, TicketId(2), TicketStatus::Blocked).unwrap();
    node.engine.set_status(CHIEF, TicketId(2), TicketStatus::Cancelled).unwrap();
    says("ticket_status", "2", r#"{"before":"blocked","after":"cancelled"}"#);
    node.engine.set_status(CHIEF, TicketId(3), TicketStatus::Blocked).unwrap();
    says("ticket_status", "3", r#"{"before":"active","after":"blocked"}"#);
    let before = ticket_now(&node, 4);
    let added =
        Ticket { details: Details::new("N", "", "", "", &[(CodeKind::Optical, b"N")]), ..before.clone() };
    amend(&node, vec![(4, before.clone(), before)], vec![added]);
    says("ticket_reissue", "4,8", r#"{"why":"lost"}"#);
    let mut operator = operator();
    operator.password_hash = "$argon2id$other".to_owned();
    node.engine.put(CHIEF, Entity::Operator(operator)).unwrap();
    let (_, _, details) = newest(&*project(&node, &place));
    assert!(!details.contains("argon2id") && details.contains(r#""before":{"name":"chief@"#), "{details}");
}

fn details_that_are_no_json_hold_nothing_up(on: Database) {
    let (node, place) = (venue(), on.place());
    let deep = "[".repeat(16_000) + &"]".repeat(16_000);
    for details in ["", "say \"hi\"", "{", &deep, "{}"] {
        let (action, subject) = ("export".to_owned(), "tickets".to_owned());
        let act = Act { action, subject, details: details.to_owned(), entries: Vec::new() };
        node.engine.act(CHIEF, act).unwrap();
    }
    let audit = project(&node, &place).audit(&AuditFilter::default(), None, 5).unwrap();
    let details: Vec<&str> = audit.iter().map(|line| line.details.as_str()).collect();
    assert_eq!(details, ["{}", &format!("\"{deep}\""), "\"{\"", r#""say \"hi\"""#, "\"\""]);
}

fn an_amended_ticket_is_found_by_what_it_is_now_and_its_scans_by_what_it_was(on: Database) {
    let (node, place) = with_tickets(on, 8);
    let scanned = node.engine.scan(&scan(0, b"T1")).unwrap().lsn;
    let before = ticket_now(&node, 1);
    let codes: [(CodeKind, &[u8]); 2] = [(CodeKind::Optical, b"NEW-1"), (CodeKind::Card, &[0xAB, 0xCD])];
    let details = Details::new("R-1b", "Zoé Neu", "ORDER-0", "", &codes);
    let after = Ticket { details, usage: TicketUse::default(), ..before.clone() };
    drop(project(&node, &place));
    amend(&node, vec![(1, before, after.clone())], Vec::new());
    let queries = project(&node, &place);
    assert_eq!(queries.ticket(TicketId(1)).unwrap(), Some((TicketId(1), after.clone())));
    for (kind, code) in codes {
        assert_eq!(queries.find_code(kind, code).unwrap(), Some((TicketId(1), after.clone())));
    }
    assert_eq!(queries.find_code(CodeKind::Optical, b"T1").unwrap(), None);
    let found = |text: &str| queries.search_tickets(text, None, None, 9).unwrap().tickets.len();
    assert_eq!(["r-1b", "zoé", "NEW-1", "abcd", "muster1", "T1"].map(found), [1, 1, 1, 1, 0, 0]);
    let of_code = store::ScanFilter { code: Some(b"T1".to_vec()), ..store::ScanFilter::default() };
    let log: Vec<Lsn> = queries.scans(&of_code, None, 9).unwrap().iter().map(|row| row.lsn).collect();
    assert_eq!(log, [scanned]);
    // The code may go to another ticket; a batch may hold all of it at once.
    let other = ticket_now(&node, 5);
    let with_code = |code: &[u8]| Details::new("R-5", "", "", "", &[(CodeKind::Optical, code)]);
    let first = Ticket { details: with_code(b"MID"), ..other.clone() };
    let second = Ticket { details: with_code(b"T1"), ..other.clone() };
    amend(&node, vec![(5, other, first.clone())], Vec::new());
    amend(&node, vec![(5, first, second.clone())], Vec::new());
    let queries = project(&node, &place);
    assert_eq!(queries.find_code(CodeKind::Optical, b"T1").unwrap(), Some((TicketId(5), second)));
    assert_eq!(queries.find_code(CodeKind::Optical, b"MID").unwrap(), None);
    let log: Vec<Lsn> = queries.scans(&of_code, None, 9).unwrap().iter().map(|row| row.lsn).collect();
    assert_eq!(log, [scanned]);
}

fn a_cold_ticket_is_amended_where_it_is(on: Database) {
    let (node, place) = with_tickets(on, 8);
    let before = ticket_now(&node, 3);
    node.engine.cool(CONCERT).unwrap();
    drop(project(&node, &place));
    let usage = TicketUse { used: 2, inside: 1, presence: ZoneId(1), ..before.usage };
    let after = Ticket { usage, status: TicketStatus::Blocked, ..before.clone() };
    let added =
        Ticket { details: Details::new("F", "", "", "", &[(CodeKind::Optical, b"FAR")]), ..before.clone() };
    let ids = amend(&node, vec![(3, before, after.clone())], vec![added.clone()]);
    let queries = project(&node, &place);
    assert_eq!(queries.ticket(TicketId(3)).unwrap(), Some((TicketId(3), after.clone())));
    assert_eq!(queries.find_code(CodeKind::Optical, b"FAR").unwrap(), Some((ids[0], added)));
    let mut cold = Vec::new();
    queries.cold_codes(&mut |_, code| cold.push(code.to_vec())).unwrap();
    assert!(cold.contains(&b"FAR".to_vec()) && cold.contains(&b"T3".to_vec()));
    assert_eq!(queries.counts().unwrap(), node.engine.counts(), "nobody far away is inside");
    node.engine
        .warm(node.engine.journal().positions().next, queries.tickets_of(CONCERT, None, 9).unwrap())
        .unwrap();
    assert_eq!(node.engine.counts().zones[1], 1);
    assert_eq!(project(&node, &place).counts().unwrap(), node.engine.counts());
}

fn a_registry_larger_than_a_page_comes_back(on: Database) {
    let (node, place) = (venue(), on.place());
    for first in (0..1_200).step_by(50) {
        let entry = |n: usize| RegistryChange {
            kind: "session".to_owned(),
            name: format!("Ä{n:05}\u{FFFE}"),
            value: Some("{}".to_owned()),
        };
        let entries = (first..first + 50).map(entry).collect();
        let (action, subject) = ("sign_in".to_owned(), "somebody".to_owned());
        node.engine.act(None, Act { action, subject, details: "{}".to_owned(), entries }).unwrap();
    }
    drop(project(&node, &place));
    let state = place.open().bootstrap().unwrap();
    assert!(engine::checkpoint::image(&state) == node.engine.image());
    let seeded = on.place();
    seeded.open().seed(&state).unwrap();
    assert!(engine::checkpoint::image(&seeded.open().bootstrap().unwrap()) == node.engine.image());
}
