//! Tickets of an event far away, which the store alone has, through the API: what is done with them holds when the event comes
//! near, and over every kill. Knows the document, not the code.

use crate::api::{Api, is_problem};
use crate::operations::{came_to, ended};
use crate::support::{LOOK_EVERY, Server, Site};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const OLD: &str = "FAR-OLD";
const NEW: &str = "FAR-NEW";
const OTHER: &str = "FAR-OTHER";
/// Twice the time between two looks, and some.
const LOOKS_WITHIN: Duration = Duration::from_secs(150);
const HOLDER: &str = "Ann Example";
const EVENT: &str = "/api/v1/events/spring";

/// What a gate says of a code: why not, or `admitted`.
fn told(server: &Server, code: &str, scan_id: &str) -> String {
    let told = server.scan(900, code, scan_id);
    if told["access_granted"] == true {
        "admitted".to_owned()
    } else {
        told["reason"].as_str().unwrap().to_owned()
    }
}

/// Waits until a node has looked which events are near: it does so at its start, where the store follows, and then every minute.
#[track_caller]
fn looked(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LOOKS_WITHIN, "waited too long for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A server with an event in many years, whose two tickets have left the memory; gives the number of the first too.
fn spring(site: &Site) -> (Server, u64) {
    let server = site.start();
    let api = Api::demo(&server);
    let event = json!({
        "name": "spring", "title": "Spring Gala", "time_zone": "UTC", "doors_open_at": "2089-01-01T00:00:00Z",
        "starts_at": "2089-01-01T01:00:00Z", "ends_at": "2090-01-01T00:00:00Z",
    });
    api.create("/api/v1/events", &event);
    api.create(&format!("{EVENT}/ticket-types"), &json!({"name": "SEAT", "entries": 1}));
    let ids = [OLD, OTHER].map(|code| {
        let new = json!({"type": "SEAT", "holder": HOLDER, "codes": [{"kind": "optical", "code": code}]});
        api.create(&format!("{EVENT}/tickets"), &new)["id"].as_u64().unwrap()
    });
    server.projected();
    server.stop();
    let server = site.start();
    looked("tickets to leave the memory", || server.metric("gatehouse_cold_codes") >= 2.0);
    (server, ids[0])
}

/// The doors open, and a gate is the event's.
fn opens(server: &Server) {
    let api = Api::demo(server);
    api.change(EVENT, |event| {
        event["doors_open_at"] = json!("2020-01-01T00:00:00Z");
        event["starts_at"] = json!("2020-01-01T01:00:00Z");
    });
    api.change("/api/v1/gates/ENTRANCE_01", |gate| gate["event"] = json!("spring"));
}

/// The event comes near; gives a server that has its three tickets in memory.
fn comes_near(site: &Site, server: Server) -> Server {
    let before = server.metric("gatehouse_tickets");
    opens(&server);
    server.kill();
    let server = site.start();
    looked("tickets to come back", || server.metric("gatehouse_tickets") >= before + 3.0);
    server
}

/// Both tickets are as the reissue left them, and this is what the gate says of the old code and of the new one.
#[track_caller]
fn is_reissued(server: &Server, ids: [u64; 2], when: &str, gate: [&str; 2]) {
    let api = Api::demo(server);
    let shown = ids.map(|id| {
        let ticket = api.get(&format!("/api/v1/tickets/{id}"));
        [&ticket["status"], &ticket["codes"][0]["code"], &ticket["holder"]].map(Value::clone)
    });
    let expected = [("superseded", OLD), ("active", NEW)];
    assert_eq!(shown, expected.map(|(status, code)| [json!(status), json!(code), json!(HOLDER)]), "{when}");
    assert_eq!([OLD, NEW].map(|code| told(server, code, &format!("{when}: {code}"))), gate, "{when}");
}

#[test]
fn a_ticket_of_an_event_far_away_that_was_reissued_admits_once_when_it_comes_near_over_every_kill() {
    let site = Site::demo();
    let (server, old) = spring(&site);
    assert_eq!(told(&server, OLD, "before"), "wrong_event");
    let codes = json!([{"kind": "optical", "code": NEW}]);
    let lost = json!({"reason": "it was lost", "codes": codes});
    let reissue = format!("/api/v1/tickets/{old}/reissue");
    let done = Api::demo(&server).post(&reissue, &lost);
    assert_eq!(done["replaced"]["id"], old);
    let ids = [old, done["ticket"]["id"].as_u64().unwrap()];
    // The answer is all it takes: the store may not have it yet.
    server.kill();
    let server = site.start();
    is_reissued(&server, ids, "far", ["superseded", "wrong_event"]);
    let again = Api::demo(&server).ask("POST", &reissue, &[], lost.to_string().as_bytes());
    is_problem(&again, 409, "conflict");
    let server = comes_near(&site, server);
    is_reissued(&server, ids, "near", ["superseded", "admitted"]);
    assert_eq!(told(&server, NEW, "once more"), "already_used");
    assert_eq!(told(&server, OTHER, "other"), "admitted");
    server.kill();
    let server = site.start();
    is_reissued(&server, ids, "near, after a kill", ["superseded", "already_used"]);
    server.projected();
    server.stop();
    std::fs::remove_dir_all(site.journal()).unwrap();
    let server = site.start();
    is_reissued(&server, ids, "near, from the store", ["superseded", "already_used"]);
}

/// Found by reading: an event was near from its first tickets on, and nobody looked for the others after a kill.
#[test]
fn a_kill_while_tickets_come_back_leaves_none_of_them_behind() {
    const MANY: usize = 60_000;
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0");
    let (server, _) = spring(&site);
    let api = Api::demo(&server);
    let rows: String = (0..MANY).map(|n| format!("MANY-{n},SEAT\n")).collect();
    let csv = [("Content-Type", "text/csv")];
    let list = format!("code,type\n{rows}");
    let answer = api.ask("POST", &format!("{EVENT}/imports"), &csv, list.as_bytes());
    assert_eq!(came_to(&ended(&api, answer.header("Location").unwrap())), "succeeded +60000 ~0 =0 !0");
    let before = server.metric("gatehouse_tickets");
    opens(&server);
    server.projected();
    server.kill();
    let server = site.start();
    looked("some tickets to come back", || server.metric("gatehouse_tickets") > before);
    server.kill();
    let server = site.start();
    let all = before + MANY as f64 + 2.0;
    looked("all tickets to come back", || server.metric("gatehouse_tickets") >= all);
    for n in [0, MANY / 2, MANY - 1] {
        assert_eq!(told(&server, &format!("MANY-{n}"), &format!("many-{n}")), "admitted");
    }
}
