//! Forgetting who held tickets: after it no file of the data directory has a name of the event, and everything else is as it
//! was. Knows the document and bytes.

use crate::api::{Api, is_problem};
use crate::operations::ended;
use crate::paper::{Paper, drivers};
use crate::receiver::{Received, Receiver, Reply};
use crate::support::{Server, Site, holds, until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What people wrote about the old event's tickets, all of which has to go.
const OLD: [&str; 10] = [
    "Adelheid Altmann",
    "ORDER-OLD-77",
    "Block-Q-Seat-17",
    "Berthold Bruckner",
    "Caroline Cold",
    "ORDER-OLD-78",
    "Block-Q-Seat-18",
    "Adelheid wept at the gate",
    "sold to her neighbour Berthold",
    "Caroline lost her ticket",
];
/// And about the other one, all of which has to stay.
const OTHER: [&str; 3] = ["Dorothea Dauer", "ORDER-NEW-11", "Block-Z-Seat-99"];

/// An event with a type and a ticket; gives the ticket.
fn event(api: &Api<'_>, name: &str, year: u32, ticket: &Value) -> u64 {
    let event = json!({
        "name": name, "title": name, "time_zone": "Europe/Zurich",
        "doors_open_at": format!("{year}-05-01T16:00:00Z"), "starts_at": format!("{year}-05-01T18:00:00Z"),
        "ends_at": format!("{year}-05-01T22:00:00Z"),
    });
    api.create("/api/v1/events", &event);
    let kind = json!({"name": "STANDARD", "entries": 1, "reentry": "none"});
    api.create(&format!("/api/v1/events/{name}/ticket-types"), &kind);
    let made = api.create(&format!("/api/v1/events/{name}/tickets"), ticket);
    made["id"].as_u64().unwrap()
}

fn shred(api: &Api<'_>, event: &str) -> Value {
    let body = json!({"confirm": event, "reason": "its time is over"}).to_string();
    let answer = api.ask("POST", &format!("/api/v1/events/{event}/shred"), &[], body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let at = answer.header("Location").unwrap().to_owned();
    let ended = ended(api, &at);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    api.get(&format!("/api/v1/privacy/proofs/{}", ended["id"].as_str().unwrap()))
}

/// Two events, one long over, with people in every place that may hold a name.
fn planted(server: &Server) -> u64 {
    let api = Api::demo(server);
    let ticket = json!({
        "type": "STANDARD", "codes": [{"kind": "optical", "code": "OLD-CODE-1"}], "reference": "OLD-1", "holder": OLD[0],
        "order": OLD[1], "seat": OLD[2],
    });
    let old = event(&api, "old-match", 2020, &ticket);
    let cold = json!({
        "type": "STANDARD", "codes": [{"kind": "optical", "code": "OLD-CODE-2"}], "reference": "OLD-2", "holder": OLD[4],
        "order": OLD[5], "seat": OLD[6],
    });
    let cold = api.create("/api/v1/events/old-match/tickets", &cold)["id"].clone();
    // One line of the audit about two tickets.
    let lost = json!({"reason": OLD[9]});
    api.post(&format!("/api/v1/tickets/{cold}/reissue"), &lost);
    let ticket = json!({
        "type": "STANDARD", "codes": [{"kind": "optical", "code": "NEW-CODE-1"}], "reference": "NEW-1", "holder": OTHER[0],
        "order": OTHER[1], "seat": OTHER[2],
    });
    event(&api, "new-match", 2040, &ticket);
    // In kept answers, notes, the audit, and as what was searched for.
    server.scan(1, "OLD-CODE-1", "names-the-holder");
    let by_hand = json!({"code": {"kind": "optical", "code": "OLD-CODE-1"}, "gate": "ENTRANCE_01", "reason": OLD[7], "scan_id": "by-hand"});
    api.create("/api/v1/admissions", &by_hand);
    let holder = json!({"holder": OLD[3], "reason": OLD[8]});
    api.post(&format!("/api/v1/tickets/{old}/change-holder"), &holder);
    api.get(&format!("/api/v1/tickets/{old}"));
    // A search is in the store, which a busy machine has behind for longer than an answer waits.
    server.projected();
    assert_eq!(api.all("/api/v1/tickets?q=Berthold%20Bruckner").len(), 1);
    server.projected();
    old
}

#[test]
fn no_file_has_a_name_of_a_shredded_event_and_everything_else_is_as_it_was() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "100000");
    let server = site.start();
    let old = planted(&server);
    let api = Api::demo(&server);
    for name in OLD.iter().chain(&OTHER) {
        assert!(holds(&site.data(), name.as_bytes()).is_some(), "{name} was never written");
    }
    let counted = |api: &Api<'_>| {
        let mut counts = api.get("/api/v1/counts");
        counts.as_object_mut().unwrap().remove("at");
        counts
    };
    let counts = counted(&api);
    let proof = shred(&api, "old-match");
    assert_eq!((&proof["complete"], &proof["found_in"]), (&json!(true), &json!([])), "{proof}");
    assert!(proof["searched_for"].as_u64().unwrap() >= 6, "{proof}");
    assert!(proof["journal_begins_at"].as_u64() > proof["forgotten_at"].as_u64(), "{proof}");
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} is still there");
    }
    for name in OTHER {
        assert!(holds(&site.data(), name.as_bytes()).is_some(), "{name} has gone with the others");
    }
    assert_eq!(counted(&api), counts, "nothing that was counted has changed");
    let ticket = api.get(&format!("/api/v1/tickets/{old}"));
    assert_eq!((&ticket["reference"], &ticket["holder"]), (&json!("OLD-1"), &json!("")), "{ticket}");
    assert_eq!(api.all("/api/v1/tickets?q=Berthold").len(), 0);
    // The same scan is still known; it only names nobody any more.
    assert_eq!(server.scan(1, "OLD-CODE-1", "names-the-holder")["scan_id"], "names-the-holder");
    // The last line comes a moment after the end.
    until("the audit to tell all of it", || {
        let lines = api.all("/api/v1/audit");
        let told = |action: &&str| lines.iter().any(|line| line["action"] == *action);
        ["shred_asked", "shred", "shred_proof", "shred_ended", "personal_read"].iter().all(told).then_some(())
    });
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(api.get(&format!("/api/v1/tickets/{old}"))["holder"], "");
    assert_eq!(shred(&api, "old-match")["tickets"], 0, "a second time there is nothing to forget");
    assert_eq!(server.scan(1, "DEMO-STD-000001", "goes-on")["access_granted"], true);
    server.stop();
    // A node that has lost its own files begins with what the store has: no names either.
    std::fs::remove_dir_all(site.journal()).unwrap();
    let server = site.start();
    assert_eq!(Api::demo(&server).get(&format!("/api/v1/tickets/{old}"))["holder"], "");
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} has come back");
    }
}

/// Found by reading: tickets that named nobody any more were passed over, and with them their lines of the audit.
#[test]
fn whom_a_ticket_named_before_is_forgotten_too_the_first_time_and_later() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0");
    let server = site.start();
    let api = Api::demo(&server);
    let ticket = json!({"type": "STANDARD", "reference": "OLD-1", "holder": OLD[0]});
    let id = event(&api, "old-match", 2020, &ticket);
    let hands = |holder: &str, reason: &str| {
        let change = json!({"holder": holder, "reason": reason});
        assert_eq!(api.post(&format!("/api/v1/tickets/{id}/change-holder"), &change)["changed"], true);
    };
    let is_forgotten = |names: &[&str]| {
        server.projected();
        for name in names {
            assert!(holds(&site.data(), name.as_bytes()).is_some(), "{name} was never written");
        }
        let proof = shred(&api, "old-match");
        assert_eq!((&proof["complete"], &proof["tickets"]), (&json!(true), &json!(0)), "{proof}");
        let told = api.get(&format!("/api/v1/tickets/{id}/story")).to_string();
        for name in names {
            assert!(!told.contains(name), "{name} is told: {told}");
            assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} is still there");
        }
    };
    hands("", OLD[7]);
    is_forgotten(&[OLD[0], OLD[7]]);
    hands(OLD[3], OLD[8]);
    hands("", OLD[9]);
    is_forgotten(&[OLD[3], OLD[8], OLD[9]]);
}

/// A site with a printer that works, one that is never there, and a slip for every refusal.
fn printing_site(paper: &Paper) -> Site {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "100000");
    site.file("slip.toml", b"elements = [{ text = '{verdict} {holder|nobody} {ticket|none}' }]\n");
    let printer = |name: &str, way: &str| {
        format!("[[peripheral]]\nname = '{name}'\ndriver = 'virtual'\nconnection = '{way}'\n")
    };
    let settings = format!(
        "{}{}[[template]]\nname = 'slip'\nfile = 'slip.toml'\n\
         [[rule]]\nname = 'out'\non = 'deny'\nprint = 'slip'\nprinters = ['till']\n",
        printer("till", &paper.way),
        printer("away", "tcp://127.0.0.1:9"),
    );
    let file = site.file("peripherals.toml", settings.as_bytes());
    let drivers = drivers(&site, &["virtual"]);
    site.set("GATEHOUSE_PERIPHERALS_FILE", &file)
        .set("GATEHOUSE_DRIVERS_DIR", &drivers)
        .set("GATEHOUSE_WEBHOOK_PRIVATE_NETWORKS", "allow")
}

#[test]
fn what_was_printed_and_told_to_others_is_forgotten_and_the_rest_is_still_told() {
    let (paper, well, is_back) = (Paper::new(), Receiver::well(), Arc::new(AtomicBool::new(false)));
    let site = printing_site(&paper);
    let server = site.start();
    let api = Api::demo(&server);
    let back = Arc::clone(&is_back);
    let away =
        Receiver::start(move |_, _| Reply::Status(if back.load(Ordering::SeqCst) { 204 } else { 500 }, ""));
    let old = planted(&server);
    for receiver in [&well, &away] {
        let types = ["scan.denied", "ticket.changed"];
        api.create("/api/v1/webhooks", &json!({"url": receiver.url(), "types": types, "personal": true}));
    }
    let holder = json!({"holder": OLD[0], "reason": OLD[8]});
    api.post(&format!("/api/v1/tickets/{old}/change-holder"), &holder);
    server.scan(1, "OLD-CODE-1", "told-to-others");
    let said = |received: &[Received]| {
        received.iter().map(|own| String::from_utf8_lossy(&own.body).into_owned()).collect::<Vec<_>>()
    };
    assert!(said(&well.wait_for(2)).iter().all(|body| body.contains(OLD[0])), "receivers are told names");
    away.wait_for(1);
    until("both slips", || (paper.count(&format!("deny {} OLD-1", OLD[0])) == 2).then_some(()));
    let print = |printer: &str, id: &str, line: &str| {
        let body = json!({"peripheral": printer, "id": id, "lines": [line], "expires_s": 86_400});
        api.create("/api/v1/jobs", &body);
    };
    let state = |id: &str| api.get(&format!("/api/v1/jobs/{id}"));
    print("till", "by-hand", &format!("Chair for {}", OLD[4]));
    print("away", "waits", &format!("Letter to {}", OLD[3]));
    paper.wait_for("Chair for");
    until("what was printed to be done with", || (state("by-hand")["state"] == "confirmed").then_some(()));
    let proof = shred(&api, "old-match");
    assert_eq!((&proof["complete"], &proof["found_in"]), (&json!(true), &json!([])), "{proof}");
    assert_eq!(proof["jobs"], 4, "the slips, and two of which nobody knows whom they name: {proof}");
    assert_eq!(proof["deliveries"], 2, "what waits for the receiver that is away: {proof}");
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} is still there");
    }
    let waits = state("waits");
    assert_eq!((&waits["state"], &state("by-hand")["state"]), (&json!("cancelled"), &json!("confirmed")));
    assert!(waits["outcome"]["text"].as_str().unwrap().contains("forgotten"), "{waits}");
    let before = away.received().len();
    is_back.store(true, Ordering::SeqCst);
    let told = said(&away.wait_for(before + 2)[before..]);
    assert!(told.iter().all(|body| body.contains("old-match")), "{told:?}");
    assert!(!told.iter().any(|body| OLD.iter().any(|name| body.contains(name))), "{told:?}");
    print("till", "goes-on", "Printed afterwards");
    paper.wait_for("Printed afterwards");
    server.stop();
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} has come back");
    }
}

#[test]
fn what_printers_left_that_are_gone_is_forgotten_too() {
    let site = printing_site(&Paper::new());
    let server = site.start();
    planted(&server);
    let body = json!({"peripheral": "away", "lines": [format!("Letter to {}", OLD[4])]});
    Api::demo(&server).create("/api/v1/jobs", &body);
    server.stop();
    let queue = std::fs::read(site.data().join("peripherals.db")).unwrap();
    assert!(queue.windows(OLD[4].len()).any(|bytes| bytes == OLD[4].as_bytes()));
    let site = site.set("GATEHOUSE_PERIPHERALS_FILE", "");
    let server = site.start();
    let proof = shred(&Api::demo(&server), "old-match");
    assert_eq!((&proof["complete"], &proof["jobs"]), (&json!(true), &json!(2)), "{proof}");
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} is still there");
    }
}

#[test]
fn a_kill_at_any_moment_of_a_shredding_only_has_it_done_again() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "100000");
    let server = site.start();
    let old = planted(&server);
    let body = json!({"confirm": "old-match", "reason": "its time is over"}).to_string();
    let answer = Api::demo(&server).ask("POST", "/api/v1/events/old-match/shred", &[], body.as_bytes());
    let at = answer.header("Location").unwrap().to_owned();
    let mut server = server;
    for wait_ms in [0, 20, 60, 150] {
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        server.kill();
        server = site.start();
    }
    let api = Api::demo(&server);
    let ended = ended(&api, &at);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(api.get(&format!("/api/v1/tickets/{old}"))["holder"], "");
    for name in OLD {
        assert_eq!(holds(&site.data(), name.as_bytes()), None, "{name} is still there");
    }
}

#[test]
fn only_what_is_over_is_shredded_and_only_by_who_says_its_name() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "100000");
    let server = site.start();
    let api = Api::demo(&server);
    let ask = |event: &str, confirm: &str| {
        let body = json!({"confirm": confirm, "reason": "a test"}).to_string();
        api.ask("POST", &format!("/api/v1/events/{event}/shred"), &[], body.as_bytes())
    };
    is_problem(&ask("demo-match", "demo-match"), 409, "conflict");
    is_problem(&ask("demo-match", "demo-other"), 422, "invalid");
    is_problem(&ask("nothing", "nothing"), 404, "not_found");
    assert!(api.all("/api/v1/privacy/proofs").is_empty());
}
