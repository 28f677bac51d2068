//! Questions: found by code, by word, by page.

use crate::place::{Database, Place, on_every_database, on_older_postgres};
use crate::venue::*;
use engine::Lsn;
use engine::catalog::{DeviceId, EventId, GateId, OperatorId};
use engine::clock::Time;
use engine::decision::{Override, Reason, Verdict};
use engine::record::{Command, PassageOutcome, Record};
use engine::sim_disk::SplitMix64;
use engine::ticket::{CodeKind, Details, Ticket, TicketId};
use std::collections::BTreeSet;
use store::{AuditFilter, Order, Queries, ScanFilter, ScanRow};

on_every_database! {
    the_access_log_has_every_scan_once_in_both_orders
    every_filter_gives_what_a_look_at_each_row_gives
    a_line_of_the_access_log_says_all_of_its_scan
    counts_are_the_engines
    tickets_are_found_cold_and_hot_as_the_engine_had_them
    cold_codes_are_those_of_tickets_that_are_not_in_memory
    a_code_that_was_given_again_leads_to_the_cold_ticket_first
    search_finds_the_beginnings_of_words
    the_audit_says_who_changed_what
    questions_see_whole_batches_while_the_next_is_written
}

on_older_postgres! {
    the_access_log_has_every_scan_once_in_both_orders
    every_filter_gives_what_a_look_at_each_row_gives
    search_finds_the_beginnings_of_words
}

pub fn project(node: &Node, place: &Place) -> Box<dyn Queries> {
    node.commit();
    let mut store = place.open();
    let after = store.cursor().unwrap().0;
    store.apply(&decode(&node.records(after))).unwrap();
    store.queries().unwrap()
}

fn busy_day(on: Database, seed: u64) -> (Node, Place, Box<dyn Queries>) {
    let (node, mut day, place) = (venue(), Day::new(seed), on.place());
    (0..700).for_each(|_| day.step(&node));
    let queries = project(&node, &place);
    (node, place, queries)
}

/// All pages of a filter.
fn all(queries: &dyn Queries, filter: &ScanFilter, page: usize) -> Vec<ScanRow> {
    let mut found: Vec<ScanRow> = Vec::new();
    loop {
        let next = queries.scans(filter, found.last().map(|row| row.lsn), page).unwrap();
        assert!(next.len() <= page);
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

fn the_access_log_has_every_scan_once_in_both_orders(on: Database) {
    let (node, _place, queries) = busy_day(on, 31);
    let records = node.records(0);
    let scans: Vec<Lsn> = decode(&records)
        .into_iter()
        .filter(|(_, record)| matches!(record, Record::Scan(_)))
        .map(|(lsn, _)| lsn)
        .collect();
    let up = all(&*queries, &ScanFilter { order: Order::OldestFirst, ..ScanFilter::default() }, 13);
    let mut down = all(&*queries, &ScanFilter::default(), 50);
    down.reverse();
    assert_eq!(up.iter().map(|row| row.lsn).collect::<Vec<_>>(), scans);
    assert_eq!(up, down);
    assert!(up.iter().any(|row| matches!(row.verdict, Verdict::Deny(Reason::UnknownTicket))));
    assert!(up.iter().any(|row| row.outcome == PassageOutcome::Annulled && row.outcome_at.is_some()));
    assert!(up.iter().any(|row| row.repeats > 0));
    assert!(up.iter().any(|row| row.conflict.is_some()));
}

fn every_filter_gives_what_a_look_at_each_row_gives(on: Database) {
    let (_node, _place, queries) = busy_day(on, 32);
    let rows = all(&*queries, &ScanFilter::default(), 1_000);
    let mut random = SplitMix64(32);
    let mut found = 0;
    for _ in 0..300 {
        let sample = &rows[random.below(rows.len() as u64) as usize];
        let mut chosen = |of: u64| random.below(of) == 0;
        let filter = ScanFilter {
            event: if chosen(4) { sample.event } else { None },
            device: chosen(4).then_some(sample.device),
            gate: chosen(4).then_some(sample.gate),
            reason: if chosen(4) { sample.verdict.denial() } else { None },
            ticket: if chosen(4) { sample.ticket } else { None },
            code: chosen(4).then(|| sample.code.clone()),
            type_id: if chosen(4) { sample.type_id } else { None },
            kind: chosen(4).then_some(sample.kind),
            admitted: chosen(4).then(|| sample.verdict.admits()),
            since: chosen(4).then_some(sample.decided_at),
            until: chosen(4).then(|| sample.decided_at.plus_ms(1)),
            order: Order::NewestFirst,
        };
        let fits = |row: &&ScanRow| {
            filter.event.is_none_or(|event| row.event == Some(event))
                && filter.device.is_none_or(|device| row.device == device)
                && filter.gate.is_none_or(|gate| row.gate == gate)
                && filter.reason.is_none_or(|reason| row.verdict.denial() == Some(reason))
                && filter.ticket.is_none_or(|ticket| row.ticket == Some(ticket))
                && filter.type_id.is_none_or(|own| row.type_id == Some(own))
                && filter.kind.is_none_or(|kind| row.kind == kind)
                && filter.admitted.is_none_or(|admitted| row.verdict.admits() == admitted)
                && filter.code.as_ref().is_none_or(|code| row.code == *code)
                && filter.since.is_none_or(|since| row.decided_at >= since)
                && filter.until.is_none_or(|until| row.decided_at < until)
        };
        let expected: Vec<ScanRow> = rows.iter().filter(fits).cloned().collect();
        assert_eq!(all(&*queries, &filter, 40), expected, "{filter:?}");
        found += expected.len();
    }
    assert!(found > 300);
}

fn a_line_of_the_access_log_says_all_of_its_scan(on: Database) {
    let (node, place) = (venue(), on.place());
    node.engine.add_tickets(vec![ticket(1, 0)], false).unwrap();
    let mut refused = scan(0, b"T1");
    let first = node.engine.scan(&scan(1, b"T1")).unwrap();
    refused.scan_id = Some("mine");
    refused.scanned_at = Some(Time(5));
    refused.overriding = Some(Override { operator: OperatorId(0), note: "lost child" });
    let second = node.engine.scan(&refused).unwrap();
    node.engine.passed(DeviceId(0), "mine").unwrap();
    let queries = project(&node, &place);
    let rows = queries.scans(&ScanFilter::default(), None, 10).unwrap();
    let expected = ScanRow {
        lsn: second.lsn,
        decided_at: START,
        recorded_at: START,
        scanned_at: Some(Time(5)),
        device: DeviceId(0),
        gate: GateId(0),
        event: Some(MATCH),
        ticket: Some(TicketId(0)),
        type_id: Some(engine::catalog::TypeId(0)),
        specimen: false,
        given_id: "mine".to_owned(),
        code_kind: CodeKind::Optical,
        code: b"T1".to_vec(),
        kind: engine::decision::ScanKind::Validate,
        verdict: Verdict::Admit { attention: Some(Reason::AlreadyUsed) },
        overridden: Some(Reason::AlreadyUsed),
        operator: Some(OperatorId(0)),
        note: Some("lost child".to_owned()),
        direction: engine::catalog::Direction::Entry,
        people: 1,
        remaining: Some(0),
        conflict: None,
        outcome: PassageOutcome::Passed,
        outcome_at: Some(START),
        repeats: 0,
    };
    assert_eq!(rows[0], expected);
    assert_eq!(rows[0].scan_id(), "mine");
    assert_eq!(rows[1].scan_id(), format!("gh-{}", first.lsn));
}

fn counts_are_the_engines(on: Database) {
    let (node, _place, queries) = busy_day(on, 33);
    assert_eq!(queries.counts().unwrap(), node.engine.counts());
    assert_eq!(queries.cursor().unwrap().0, node.lsn());
}

fn tickets_are_found_cold_and_hot_as_the_engine_had_them(on: Database) {
    let (node, place) = (venue(), on.place());
    node.engine.add_tickets((0..60).map(|n| ticket(n, n % 4)).collect(), false).unwrap();
    node.engine.scan(&scan(0, b"T0")).unwrap();
    let live: Vec<(TicketId, Ticket)> =
        node.engine.with_state(|state| state.tickets.iter().map(|(id, own)| (id, own.clone())).collect());
    node.engine.cool(CONCERT).unwrap();
    let queries = project(&node, &place);

    for (id, own) in &live {
        for (kind, code) in own.details.codes() {
            assert_eq!(queries.find_code(kind, code).unwrap().as_ref(), Some(&(*id, own.clone())));
        }
        assert_eq!(queries.ticket(*id).unwrap().as_ref(), Some(&(*id, own.clone())));
    }
    assert_eq!(queries.find_code(CodeKind::Card, b"T1").unwrap(), None);
    assert_eq!(queries.ticket(TicketId(60)).unwrap(), None);

    let mut paged = Vec::new();
    while let page = queries.tickets_of(CONCERT, paged.last().map(|(id, _)| *id), 4).unwrap()
        && !page.is_empty()
    {
        paged.extend(page);
    }
    let concert = |(_, own): &&(TicketId, Ticket)| own.type_id.0 == 3;
    assert_eq!(paged, live.iter().filter(concert).cloned().collect::<Vec<_>>());
    assert_eq!(queries.tickets_of(EventId(9), None, 4).unwrap(), []);
}

fn cold_codes_are_those_of_tickets_that_are_not_in_memory(on: Database) {
    let (node, place) = (venue(), on.place());
    node.engine.add_tickets((0..40).map(|n| ticket(n, n % 4)).collect(), false).unwrap();
    node.engine.cool(CONCERT).unwrap();
    // A ticket that is added while its event is cold goes to the store only.
    node.engine.add_tickets(vec![ticket(99, 3), ticket(98, 0)], false).unwrap();
    let cold = |n: &u32| n % 4 == 3;
    let expected = |numbers: Vec<u32>| -> BTreeSet<(bool, Vec<u8>)> {
        let of = |n: u32| {
            ticket(n, 3)
                .details
                .codes()
                .map(|(kind, code)| (kind == CodeKind::Card, code.to_vec()))
                .collect::<Vec<_>>()
        };
        numbers.into_iter().flat_map(of).collect()
    };
    let told = |queries: Box<dyn Queries>| {
        let mut codes = BTreeSet::new();
        let count = queries
            .cold_codes(&mut |kind, code| {
                codes.insert((kind == CodeKind::Card, code.to_vec()));
            })
            .unwrap();
        assert_eq!(count, codes.len() as u64);
        codes
    };
    let queries = project(&node, &place);
    let back = queries.tickets_of(CONCERT, None, 4).unwrap();
    assert_eq!(told(queries), expected((0..40).filter(cold).chain([99]).collect()));
    node.engine.warm(node.engine.journal().positions().next, back).unwrap();
    let rest = (0..40).filter(cold).skip(4).chain([99]).collect();
    assert_eq!(told(project(&node, &place)), expected(rest));
}

fn a_code_that_was_given_again_leads_to_the_cold_ticket_first(on: Database) {
    let (node, place) = (venue(), on.place());
    node.engine.add_tickets(vec![ticket(1, 3)], false).unwrap();
    node.engine.cool(CONCERT).unwrap();
    node.engine.add_tickets(vec![ticket(1, 0)], false).unwrap();
    let queries = project(&node, &place);
    let found = queries.find_code(CodeKind::Optical, b"T1").unwrap();
    assert_eq!(found.map(|(id, _)| id), Some(TicketId(0)));
}

fn search_finds_the_beginnings_of_words(on: Database) {
    let (node, place) = (venue(), on.place());
    let person = |reference: &str, holder: &str, order: &str, code: &[u8], kind| Ticket {
        details: Details::new(reference, holder, order, "", &[(kind, code)]),
        ..ticket(1, 0)
    };
    let tickets = vec![
        person("R-1", "Zoë Ångström", "ORDER-7", b"QR-100", CodeKind::Optical),
        person("R-2", "Anna Maria Muster", "ORDER-7", b"qr%200", CodeKind::Optical),
        person("R-3", "Mustafa Anders", "ORDER-8", &[0x04, 0xA1, 0xFF], CodeKind::Card),
        person("R-33", "", "", &[0x04, 0xA1, 0xFF, 0xFF], CodeKind::Card),
    ];
    node.engine.add_tickets(tickets, false).unwrap();
    let queries = project(&node, &place);
    let check = |text: &str, expected: &[u32]| {
        let page = queries.search_tickets(text, None, None, 10).unwrap();
        assert_eq!(page.tickets.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(page.next, None, "{text}");
    };
    check("ångs", &[0]);
    check("ZOË", &[0]);
    check("must", &[1, 2]);
    check("  must   AN ", &[1, 2]);
    check("mus ander", &[2]);
    check("muster zoë", &[]);
    check("order-7", &[0, 1]);
    check("r-3", &[2, 3]);
    check("QR-1", &[0]);
    check("qr%2", &[1]);
    check("%", &[]);
    check("04a1ff", &[2, 3]);
    check("04A1FFFF", &[3]);
    check("04a1f", &[]);
    check("+4a1", &[]);
    check("", &[]);
    check("' OR 1=1 --", &[]);
    check(&"word ".repeat(10_000), &[]);
    assert_eq!(queries.search_tickets("r-", None, None, 3).unwrap().tickets.len(), 3);
}

fn the_audit_says_who_changed_what(on: Database) {
    let (node, place) = (venue(), on.place());
    node.engine.command(Some(OperatorId(0)), DeviceId(2), Command::Lock, 1_000).unwrap();
    let queries = project(&node, &place);
    let all = AuditFilter::default();
    let audit = queries.audit(&all, None, 2).unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].subject.as_str()), ("command", "OUT_1"));
    assert_eq!((audit[0].operator, audit[0].details.as_str()), (Some(OperatorId(0)), "\"lock\""));
    assert_eq!((audit[1].action.as_str(), audit[1].operator), ("put_operator", None));
    let rest = queries.audit(&all, Some(audit[1].lsn), 100).unwrap();
    assert_eq!(rest.len(), 16);
    assert!(rest.windows(2).all(|pair| pair[0].lsn > pair[1].lsn));
}

fn questions_see_whole_batches_while_the_next_is_written(on: Database) {
    let (node, place) = (venue(), on.place());
    let mut store = place.open();
    let queries = store.queries().unwrap();
    assert_eq!(queries.scans(&ScanFilter::default(), None, 10).unwrap(), []);
    let records = node.records(0);
    for batch in records.chunks(3) {
        store.apply(&decode(batch)).unwrap();
        assert_eq!(queries.cursor().unwrap(), batch.last().unwrap().0);
    }
}
