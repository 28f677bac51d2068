//! The night of a match day: the event ends, what the board showed and every list are compared with the books row by row, the
//! audit says who did what, and who held the tickets is forgotten.

use super::board::Board;
use super::book::{self, EVENT, Numbers, assert_same};
use super::{ADMINISTRATOR, Day, MANAGER, SUPERVISOR, VIEWER};
use crate::api::{Api, is_problem};
use crate::operations::ended;
use crate::stream::Event;
use crate::support::until;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is in every holder, order and seat.
const PERSONAL: [&str; 3] = ["Haldenwang", "ORDER-", "Block-"];

/// The manager ends the event: nobody is let in any more.
pub fn the_end(day: &mut Day) {
    let now = day.now();
    day.manager().change(&format!("/api/v1/events/{EVENT}"), |event| {
        event["starts_at"] = event["doors_open_at"].clone();
        event["ends_at"] = json!(now);
    });
    until("the end", || (day.now() > now).then_some(()));
    day.scan(|own| &own.north_1, "N-118", Some("too_late"));
    day.scan(|own| &own.south, "S-071", Some("too_late"));
    day.agrees();
    day.server.projected();
}

/// The board shows the last counts and has heard of each scan once, over the power cut. Then the server is stopped, and
/// started again for those who work in the office.
pub fn closing_time(mut day: Day, board: Board) -> Day {
    let mut counts = day.book.counts();
    counts.retain(|name, _| !name.starts_with("reason"));
    until("the board to show the last counts", || (shown(&board.heard()) == counts).then_some(()));
    until("the board to hear the last scan", || {
        (scans(&board.heard()).count() >= day.book.lines.len()).then_some(())
    });
    day.server.stop();
    let heard = board.ended();
    assert_eq!(heard.last().map(|event| event.kind.as_str()), Some("end"));
    let told = scans(&heard).map(|event| book::told(&event.data, &day.devices.south.name)).collect();
    assert_same("the board", day.book.as_told(), told);
    let annulled = heard.iter().filter(|event| event.data["outcome"] == "annulled").count();
    assert_eq!(annulled, day.book.lines.iter().filter(|line| line.is_annulled).count());
    assert!(!format!("{heard:?}").contains("Haldenwang"), "a viewer hears no names");
    day.server = day.site.start();
    day.agrees();
    day
}

fn scans(heard: &[Event]) -> impl Iterator<Item = &Event> {
    heard.iter().filter(|event| event.kind == "scan")
}

/// The counts that a board shows: the last of each thing.
fn shown(heard: &[Event]) -> Numbers {
    let mut numbers = Numbers::new();
    for event in heard.iter().filter(|event| event.kind == "counts") {
        let fields: &[&str] = match event.data["of"].as_str().unwrap() {
            "zone" => &["inside"],
            _ => &["entries", "exits", "attendance", "admitted", "denied", "turns"],
        };
        let name = ["of", "name"].map(|field| event.data[field].as_str().unwrap()).join(" ");
        numbers.insert(name, fields.iter().map(|field| event.data[field].as_i64().unwrap()).collect());
    }
    numbers.retain(|_, own| own.iter().any(|number| *number != 0));
    numbers
}

/// An export's rows; its last line says that it is whole.
fn rows(api: &Api<'_>, what: &str) -> Vec<Value> {
    let sheet = api.file(&format!("/api/v1/exports/{what}format=ndjson"));
    let mut rows: Vec<Value> = sheet.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.pop().unwrap(), json!({"end": true, "rows": rows.len()}));
    rows
}

/// The access log is the book's, line by line.
fn the_log(day: &Day) {
    let log = rows(&day.manager(), &format!("scans?event={EVENT}&"));
    let logged = log.iter().map(|row| book::logged(row, &day.devices.south.name)).collect();
    assert_same("the access log", day.book.as_logged(), logged);
}

/// Access log, tickets, attendance and figures are those of the book.
pub fn the_lists(day: &Day) {
    let manager = day.manager();
    the_log(day);
    let tickets = rows(&manager, &format!("tickets?event={EVENT}&personal=true&"));
    assert_same("the tickets", day.book.as_listed(), tickets.iter().map(book::listed).collect());
    let attendance = rows(&manager, &format!("attendance?event={EVENT}&interval=10&"));
    let sum = |name: &str| attendance.iter().map(|row| row[name].as_i64().unwrap()).sum::<i64>();
    let own = |tally: &str| day.book.of_event(tally);
    let tallies = ["entries", "exits", "admits", "denials"];
    assert_eq!(tallies.map(sum), tallies.map(own));
    let summary = manager.get(&format!("/api/v1/statistics/summary?event={EVENT}"));
    let figures = ["admitted", "exits", "attendance", "denied", "turns"];
    assert_eq!(
        figures.map(|name| summary[name].as_i64().unwrap()),
        ["entries", "exits", "attendance", "denials", "turns"].map(own)
    );
}

/// Each step stands in the audit with whoever did it.
pub fn the_audit(day: &Day) {
    let lines = day.manager().all("/api/v1/audit");
    let said = |line: &Value| {
        ["operator", "action", "subject"].map(|name| line[name].as_str().unwrap_or("-").to_owned())
    };
    let said: BTreeSet<[String; 3]> = lines.iter().map(said).collect();
    let number = |code: &str| day.number(code).to_string();
    let seat = day.book.sold.values().filter(|own| own.seat == "Block-N-113");
    let mut reissued: Vec<u64> = seat.map(|own| day.number(&own.code)).collect();
    reissued.sort_unstable();
    let reissued = format!("{},{}", reissued[0], reissued[1]);
    let steps = [
        (ADMINISTRATOR, "put_operator", MANAGER),
        (ADMINISTRATOR, "put_operator", VIEWER),
        (SUPERVISOR, "password_changed", SUPERVISOR),
        (MANAGER, "token_made", MANAGER),
        (MANAGER, "put_zone", "NORTH"),
        (MANAGER, "put_event", EVENT),
        (MANAGER, "put_gate", "SOUTH_1"),
        (MANAGER, "put_ticket_type", "VIP"),
        (MANAGER, "import", EVENT),
        (MANAGER, "import_ended", EVENT),
        (MANAGER, "device_approve", "TURNSTILE 1"),
        (MANAGER, "device_provision", "READER-7"),
        (SUPERVISOR, "gate_open", "NORTH_1"),
        (SUPERVISOR, "block_ticket", &number("N-112")),
        (SUPERVISOR, "unblock_ticket", &number("N-112")),
        (SUPERVISOR, "reissue_ticket", &reissued),
        (SUPERVISOR, "personal_read", "search"),
        (SUPERVISOR, "gate_emergency_open", "NORTH_2"),
        (SUPERVISOR, "gate_release", "NORTH_2"),
        (SUPERVISOR, "gate_close", "NORTH_1"),
        (MANAGER, "export", "tickets"),
        (MANAGER, "export_ended", "scans"),
    ];
    for (who, action, subject) in steps {
        let step = [who, action, subject].map(str::to_owned);
        assert!(said.contains(&step), "{step:?} is not among {said:#?}");
    }
    // What is about a scan has the number of its record.
    for action in ["admit_by_hand", "annul", "resolve_conflict"] {
        assert!(said.iter().any(|[who, did, _]| who == SUPERVISOR && did == action), "{action}: {said:#?}");
    }
}

/// What an administrator is told of tickets by the API, and what a device hears that asks again.
fn everything(day: &Day) -> String {
    let api = day.administrator();
    let lists =
        ["tickets", "scans", "audit", "operations", "conflicts?state=resolved", "tickets?q=Haldenwang"];
    let mut all: Vec<Value> = lists.iter().flat_map(|list| api.all(&format!("/api/v1/{list}"))).collect();
    for code in ["N-001", "N-112", "N-113", "N-114", "S-070", "V-001"] {
        let at = format!("/api/v1/tickets/{}", day.number(code));
        all.push(api.get(&at));
        all.extend(api.all(&format!("{at}/story")));
    }
    for operation in api.all("/api/v1/operations") {
        all.extend(api.all(&format!("/api/v1/operations/{}/errors", operation["id"].as_str().unwrap())));
    }
    all.extend(rows(&api, &format!("tickets?event={EVENT}&personal=true&")));
    let first = day.book.lines.iter().find(|line| line.gate == "NORTH_2" && line.refused.is_none()).unwrap();
    all.push(day.devices.north_2.repeats(day.server.device, &first.code, &first.scan_id));
    Value::Array(all).to_string()
}

/// Who held the tickets is forgotten, on the word of an administrator alone; what happened stays.
pub fn forgotten(day: &Day) {
    let known = everything(day);
    assert!(PERSONAL.iter().all(|word| known.contains(word)));
    let at = format!("/api/v1/events/{EVENT}/shred");
    let body = json!({"confirm": EVENT, "reason": "the season is over"}).to_string();
    is_problem(&day.manager().ask("POST", &at, &[], body.as_bytes()), 403, "not_allowed");
    let administrator = day.administrator();
    let answer = administrator.ask("POST", &at, &[], body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let done = ended(&administrator, answer.header("Location").unwrap());
    let proof = administrator.get(&format!("/api/v1/privacy/proofs/{}", done["id"].as_str().unwrap()));
    assert_eq!(done["state"], "succeeded", "{done} {proof}");
    assert_eq!((&proof["complete"], &proof["found_in"]), (&json!(true), &json!([])), "{proof}");
    assert_eq!(proof["tickets"], day.book.sold.len());
    let known = everything(day);
    for word in PERSONAL {
        let told = known.split('{').find(|part| part.contains(word));
        assert_eq!(told, None, "{word} is still told");
    }
    the_log(day);
    day.agrees();
}
