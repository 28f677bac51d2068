//! Lists for the administration: each gives what a look at every row gives, page by page.

use crate::administration::{CHIEF, amend, ticket_now, with_tickets};
use crate::place::{Database, on_every_database, on_older_postgres};
use crate::queries::project;
use crate::rows::day;
use crate::venue::*;
use engine::catalog::{DeviceId, Entity, OperatorId};
use engine::decision::{Reason, ScanKind, Shown};
use engine::record::Command;
use engine::sim_disk::SplitMix64;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use engine::{Amendment, Lsn, Time};
use store::{AuditFilter, AuditRow, CommandRow, ConflictRow, Queries, TicketFilter};

on_every_database! {
    every_list_of_tickets_gives_what_a_look_at_each_ticket_gives
    a_list_that_finds_nothing_among_thousands_stops_and_says_where_to_go_on
    a_search_keeps_to_an_event_and_goes_on_behind_a_number
    a_search_for_words_and_codes_that_very_many_have_gives_what_a_look_at_each_ticket_gives
    every_list_of_the_audit_gives_what_a_look_at_each_line_gives
    a_line_about_many_tickets_is_found_by_each_also_when_the_database_comes_from_an_older_program
    conflicts_are_listed_with_who_resolved_them
    a_device_has_a_history_of_what_it_was_told
}

on_older_postgres! {
    every_list_of_tickets_gives_what_a_look_at_each_ticket_gives
    a_list_that_finds_nothing_among_thousands_stops_and_says_where_to_go_on
    every_list_of_the_audit_gives_what_a_look_at_each_line_gives
    a_line_about_many_tickets_is_found_by_each_also_when_the_database_comes_from_an_older_program
}

/// All pages of a list, and how many there were.
fn all(queries: &dyn Queries, filter: &TicketFilter, limit: usize) -> (Vec<(TicketId, Ticket)>, usize) {
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = queries.tickets(filter, after, limit).unwrap();
        assert!(page.tickets.len() <= limit);
        assert!(page.next.is_none() || page.next > after, "it goes on");
        pages += 1;
        found.extend(page.tickets);
        after = page.next;
        if after.is_none() {
            return (found, pages);
        }
    }
}

fn every_list_of_tickets_gives_what_a_look_at_each_ticket_gives(on: Database) {
    let (node, _, _) = day(61, 900);
    let place = on.place();
    let queries = project(&node, &place);
    let (tickets, _) = all(&*queries, &TicketFilter::default(), 1_000);
    assert!(tickets.len() > 100 && tickets.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let catalog = node.engine.catalog();
    let event_of = |ticket: &Ticket| catalog.ticket_type(ticket.type_id).map(|kind| kind.event);
    let mut random = SplitMix64(61);
    let mut found = 0;
    for _ in 0..300 {
        let (_, sample) = &tickets[random.below(tickets.len() as u64) as usize];
        let mut chosen = |of: u64| random.below(of) == 0;
        let filter = TicketFilter {
            event: if chosen(3) { event_of(sample) } else { None },
            type_id: chosen(3).then_some(sample.type_id),
            status: chosen(3).then_some(sample.status),
            order: chosen(4).then(|| sample.details.order().to_owned()),
            used: chosen(3).then_some(sample.usage.used > 0),
            specimen: chosen(3).then_some(sample.specimen),
        };
        let fits = |(_, ticket): &&(TicketId, Ticket)| {
            filter.event.is_none_or(|event| event_of(ticket) == Some(event))
                && filter.type_id.is_none_or(|own| ticket.type_id == own)
                && filter.status.is_none_or(|status| ticket.status == status)
                && filter.order.as_ref().is_none_or(|order| ticket.details.order() == order)
                && filter.used.is_none_or(|used| (ticket.usage.used > 0) == used)
                && filter.specimen.is_none_or(|specimen| ticket.specimen == specimen)
        };
        let expected: Vec<_> = tickets.iter().filter(fits).cloned().collect();
        assert_eq!(all(&*queries, &filter, 7).0, expected, "{filter:?}");
        found += expected.len();
    }
    assert!(found > 300);
    let nothing = TicketFilter { event: Some(engine::catalog::EventId(9)), ..TicketFilter::default() };
    assert_eq!(all(&*queries, &nothing, 7), (Vec::new(), 1));
}

fn a_list_that_finds_nothing_among_thousands_stops_and_says_where_to_go_on(on: Database) {
    let (node, place) = with_tickets(on, 9_000);
    let last = ticket_now(&node, 8_999);
    let used = Ticket { usage: TicketUse { used: 1, ..last.usage }, ..last.clone() };
    amend(&node, vec![(8_999, last, used)], Vec::new());
    let queries = project(&node, &place);
    let of_used = TicketFilter { used: Some(true), ..TicketFilter::default() };
    let first = queries.tickets(&of_used, None, 50).unwrap();
    assert_eq!((first.tickets.len(), first.next), (0, Some(TicketId(2_047))));
    let (found, pages) = all(&*queries, &of_used, 50);
    assert_eq!((found.len(), found[0].0, pages), (1, TicketId(8_999), 5));
    // Where an index serves the whole filter, nothing else is looked at.
    let blocked = TicketFilter { status: Some(TicketStatus::Blocked), ..TicketFilter::default() };
    assert_eq!(all(&*queries, &blocked, 50), (Vec::new(), 1));
    let of_order = TicketFilter { order: Some("ORDER-4499".to_owned()), ..TicketFilter::default() };
    let (found, pages) = all(&*queries, &of_order, 50);
    assert_eq!((found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), pages), (vec![8_998, 8_999], 1));
}

fn a_search_keeps_to_an_event_and_goes_on_behind_a_number(on: Database) {
    let (node, place) = with_tickets(on, 40);
    let queries = project(&node, &place);
    let found = |event, after: Option<u32>| -> Vec<u32> {
        let found = queries.search_tickets("änni", event, after.map(TicketId), 5).unwrap();
        found.tickets.into_iter().map(|(id, _)| id.0).collect()
    };
    // Every fourth ticket has no holder; those of type 3 are the concert's.
    assert_eq!(found(None, None), [1, 2, 3, 5, 6]);
    assert_eq!(found(None, Some(6)), [7, 9, 10, 11, 13]);
    assert_eq!(found(Some(CONCERT), None), [3, 7, 11, 15, 19]);
    assert_eq!(found(Some(CONCERT), Some(19)), [23, 27, 31, 35, 39]);
    assert_eq!(found(Some(CONCERT), Some(39)), [0; 0]);
}

fn a_search_for_words_and_codes_that_very_many_have_gives_what_a_look_at_each_ticket_gives(on: Database) {
    const COUNT: u32 = 20_000;
    let (node, place) = (venue(), on.place());
    let own = |number: u32| {
        let holder = if number % 1_000 == 7 { "Rare Guest" } else { "Common Guest" };
        let code = format!("{:05}", number * 3 % COUNT);
        let order = format!("ORDER-{:02}", number % 100);
        let details = Details::new("", holder, &order, "", &[(CodeKind::Optical, code.as_bytes())]);
        Ticket { details, ..ticket(number, if number.is_multiple_of(4) { 3 } else { 1 }) }
    };
    node.engine.add_tickets((0..COUNT).map(own).collect(), false).unwrap();
    let queries = project(&node, &place);
    let check = |text: &str, event, fits: &dyn Fn(u32) -> bool| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = queries.search_tickets(text, event, after, 3_000).unwrap();
            assert!(page.tickets.len() <= 3_000 && (page.next.is_none() || page.next > after), "{text}");
            found.extend(page.tickets.into_iter().map(|(id, _)| id.0));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..COUNT).filter(|number| fits(*number)).collect::<Vec<_>>(), "{text}");
    };
    let is_rare = |number: u32| number % 1_000 == 7;
    // Words of one spelling and of a hundred.
    check("gue", None, &|_| true);
    check("common order", Some(CONCERT), &|number| number.is_multiple_of(4));
    check("order", None, &|_| true);
    check("order guest", Some(CONCERT), &|number| number.is_multiple_of(4));
    check("common order-07", None, &|number| number % 100 == 7 && !is_rare(number));
    check("guest rar", None, &is_rare);
    check("GUEST order-7 zoë", None, &|_| false);
    check("common", None, &|number| !is_rare(number));
    // Codes of all, and of some: "0" begins half of them, "00" a twentieth.
    check("0", None, &|number| number * 3 % COUNT < 10_000);
    check("00", Some(CONCERT), &|number| number.is_multiple_of(4) && number * 3 % COUNT < 1_000);
    let first = queries.search_tickets("common", None, None, 3).unwrap();
    assert_eq!((first.tickets.len(), first.next), (3, Some(TicketId(2))));
}

fn every_list_of_the_audit_gives_what_a_look_at_each_line_gives(on: Database) {
    let (node, _, _) = day(62, 900);
    let place = on.place();
    let queries = project(&node, &place);
    let pages = |filter: &AuditFilter, limit: usize| {
        let mut found: Vec<AuditRow> = Vec::new();
        loop {
            let next = queries.audit(filter, found.last().map(|line| line.lsn), limit).unwrap();
            if next.is_empty() {
                return found;
            }
            found.extend(next);
        }
    };
    let lines = pages(&AuditFilter::default(), 1_000);
    assert!(lines.iter().any(|line| line.action == "ticket_amend" && line.subject.contains(',')));
    let mut random = SplitMix64(62);
    let mut found = 0;
    for _ in 0..200 {
        let sample = &lines[random.below(lines.len() as u64) as usize];
        let mut chosen = |of: u64| random.below(of) == 0;
        let filter = AuditFilter {
            operator: if chosen(3) { sample.operator } else { None },
            action: chosen(3).then(|| sample.action.clone()),
            subject: chosen(3).then(|| {
                let one = sample.subject.split(',').next_back().filter(|_| sample.action == "ticket_amend");
                one.filter(|_| chosen(2)).unwrap_or(&sample.subject).to_owned()
            }),
            since: chosen(3).then_some(sample.at),
            until: chosen(3).then(|| sample.at.plus_ms(1)),
        };
        let fits = |line: &&AuditRow| {
            filter.operator.is_none_or(|operator| line.operator == Some(operator))
                && filter.action.as_ref().is_none_or(|action| line.action == *action)
                && filter.subject.as_ref().is_none_or(|subject| {
                    let among_others = || line.subject.split(',').any(|one| one == subject);
                    line.subject == *subject || line.action == "ticket_amend" && among_others()
                })
                && filter.since.is_none_or(|since| line.at >= since)
                && filter.until.is_none_or(|until| line.at < until)
        };
        let expected: Vec<AuditRow> = lines.iter().filter(fits).cloned().collect();
        assert_eq!(pages(&filter, 9), expected, "{filter:?}");
        found += expected.len();
    }
    assert!(found > 200);
}

fn a_line_about_many_tickets_is_found_by_each_also_when_the_database_comes_from_an_older_program(
    on: Database,
) {
    let (node, place) = with_tickets(on, 40);
    let amend = |action: &str, numbers: &[u32]| {
        let ticket =
            |id: &u32| node.engine.with_state(|state| state.tickets.get(TicketId(*id)).cloned()).unwrap();
        let changed = numbers.iter().map(|id| (TicketId(*id), ticket(id), ticket(id))).collect();
        let (action, details) = (action.to_owned(), "{}".to_owned());
        let amendment = Amendment { action, details, changed, added: Vec::new(), as_of: None };
        node.engine.amend(CHIEF, amendment).unwrap();
    };
    amend("block_some", &[3, 17, 31]);
    amend("block_one", &[17]);
    // A gate that is named like a list is no list.
    node.engine.put(CHIEF, Entity::Gate(gate("17,31", 0, 1))).unwrap();
    let check = |queries: &dyn Queries| {
        let about = |subject: &str| -> Vec<String> {
            let filter = AuditFilter { subject: Some(subject.to_owned()), ..AuditFilter::default() };
            queries.audit(&filter, None, 10).unwrap().into_iter().map(|line| line.action).collect()
        };
        assert_eq!(about("17"), ["block_one", "block_some"]);
        assert_eq!((about("3"), about("31")), (vec!["block_some".to_owned()], vec!["block_some".to_owned()]));
        assert_eq!(
            (about("3,17,31"), about("17,31")),
            (vec!["block_some".to_owned()], vec!["put_gate".to_owned()])
        );
        assert_eq!(about("1"), [""; 0], "a part of a number is none");
    };
    check(&*project(&node, &place));
    place.migrate(Some(5)).unwrap();
    check(&*place.open().queries().unwrap());
}

fn conflicts_are_listed_with_who_resolved_them(on: Database) {
    let (node, place) = with_tickets(on, 8);
    let shown_green = |code: &[u8]| {
        let mut own = scan(0, code);
        (own.kind, own.shown, own.scanned_at) = (ScanKind::Offline, Some(Shown::Admitted), Some(START));
        node.engine.scan(&own).unwrap().lsn
    };
    let scans = [shown_green(b"T9"), shown_green(b"T3"), shown_green(b"nobody")];
    node.engine.resolve_conflict(CHIEF, scans[1].0).unwrap();
    let queries = project(&node, &place);
    let open = |lsn: Lsn| ConflictRow {
        lsn,
        reason: Reason::UnknownTicket,
        ticket: None,
        resolved_at: None,
        resolved_by: None,
    };
    let resolved = ConflictRow {
        lsn: scans[1],
        reason: Reason::WrongEvent,
        ticket: Some(TicketId(3)),
        resolved_at: Some(START),
        resolved_by: CHIEF,
    };
    let listed = |after, resolved| queries.conflicts(after, resolved, 9).unwrap();
    assert_eq!(listed(None, None), [open(scans[0]), resolved.clone(), open(scans[2])]);
    assert_eq!(listed(None, Some(true)), [resolved]);
    assert_eq!(listed(None, Some(false)), [open(scans[0]), open(scans[2])]);
    assert_eq!(listed(Some(scans[0]), Some(false)), [open(scans[2])]);
    assert_eq!(queries.conflicts(None, None, 1).unwrap(), [open(scans[0])]);
}

fn a_device_has_a_history_of_what_it_was_told(on: Database) {
    let (node, place) = (venue(), on.place());
    let tell = |device: u32, command: Command| {
        let operator = matches!(command, Command::Lock).then_some(OperatorId(0));
        node.engine.command(operator, DeviceId(device), command, 1_000).unwrap()
    };
    let first = tell(1, Command::Lock);
    tell(2, Command::Reload);
    node.clock.set(START.plus_ms(500));
    node.engine.take_commands(DeviceId(1)).unwrap();
    let second = tell(1, Command::Message("Grüezi".to_owned()));
    let queries = project(&node, &place);
    let told = |lsn, at: Time, operator, command, delivered_at| CommandRow {
        lsn,
        at,
        operator,
        device: DeviceId(1),
        command,
        expires_at: at.plus_ms(1_000),
        delivered_at,
    };
    let later = START.plus_ms(500);
    let newest = told(second, later, None, Command::Message("Grüezi".to_owned()), None);
    let oldest = told(first, START, CHIEF, Command::Lock, Some(later));
    assert_eq!(queries.device_commands(DeviceId(1), None, 9).unwrap(), [newest.clone(), oldest.clone()]);
    assert_eq!(queries.device_commands(DeviceId(1), None, 1).unwrap(), [newest]);
    assert_eq!(queries.device_commands(DeviceId(1), Some(second), 9).unwrap(), [oldest]);
    assert_eq!(queries.device_commands(DeviceId(3), None, 9).unwrap(), []);
}
