//! Tickets through the API: what may be done with them in every status, that no reissue lets two in, who sees who has them,
//! and that all of it stays. Knows the document, not the code.

use crate::api::{Api, is_problem, operator};
use crate::support::{Server, Site};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Makes a ticket of the demo's event.
fn made(api: &Api<'_>, kind: &str, status: &str) -> u64 {
    let new =
        json!({"type": kind, "status": status, "holder": "Ann Example", "order": "O-1", "seat": "R1-S1"});
    api.create("/api/v1/events/demo-match/tickets", &new)["id"].as_u64().unwrap()
}

fn code_of(api: &Api<'_>, id: u64) -> String {
    api.get(&format!("/api/v1/tickets/{id}?fields=codes"))["codes"][0]["code"].as_str().unwrap().to_owned()
}

fn act(api: &Api<'_>, id: u64, action: &str, body: &Value) -> Value {
    api.post(&format!("/api/v1/tickets/{id}/{action}"), body)
}

fn because() -> Value {
    json!({"reason": "a test says so"})
}

/// Actions in the audit of a ticket, oldest first, but for looks at who has it.
fn actions(server: &Server, api: &Api<'_>, id: u64) -> Vec<String> {
    server.projected();
    let story = api.all(&format!("/api/v1/tickets/{id}/story?limit=3"));
    let actions = story.iter().rev().filter_map(|happening| happening["change"]["action"].as_str());
    actions.filter(|action| *action != "personal_read").map(str::to_owned).collect()
}

/// A ticket of a status, however it is come by.
fn in_status(api: &Api<'_>, status: &str) -> u64 {
    match status {
        "cancelled" | "superseded" => {
            let id = made(api, "STANDARD", "active");
            act(api, id, if status == "cancelled" { "cancel" } else { "reissue" }, &because());
            id
        }
        status => made(api, "STANDARD", status),
    }
}

#[test]
fn every_action_in_every_status_does_what_fits_and_says_why_it_does_no_more() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    const STATUSES: [&str; 5] = ["active", "not_activated", "blocked", "cancelled", "superseded"];
    // What becomes of each status; "=" changes nothing, "!" is refused.
    let table = [
        ("block", json!({}), ["blocked", "!", "=", "!", "!"]),
        ("unblock", json!({}), ["=", "!", "active", "!", "!"]),
        ("activate", json!({}), ["=", "active", "!", "!", "!"]),
        ("cancel", json!({}), ["cancelled", "cancelled", "cancelled", "=", "!"]),
        ("reissue", json!({}), ["superseded", "superseded", "superseded", "!", "!"]),
        ("change-holder", json!({"holder": "Bob"}), ["active", "not_activated", "blocked", "!", "!"]),
        ("change-holder", json!({"holder": "Ann Example"}), ["=", "=", "=", "!", "!"]),
        ("give-back", json!({"uses": 0, "presence": true}), ["=", "=", "=", "!", "!"]),
        ("give-back", json!({"uses": 1}), ["!", "!", "!", "!", "!"]),
    ];
    for (action, more, row) in table {
        let mut body = because();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for (status, expected) in STATUSES.into_iter().zip(row) {
            let case = format!("{action} of {status}");
            let id = in_status(&api, status);
            let path = format!("/api/v1/tickets/{id}");
            let (before, told) = (api.get(&path), actions(&server, &api, id).len());
            let answer = api.ask("POST", &format!("{path}/{action}"), &[], body.to_string().as_bytes());
            if expected == "!" {
                is_problem(&answer, 409, "conflict");
            } else {
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                assert_eq!(answer.json()["changed"], expected != "=", "{case}");
            }
            let after = api.get(&path);
            if ["=", "!"].contains(&expected) {
                assert_eq!(after, before, "{case}");
                assert_eq!(actions(&server, &api, id).len(), told, "{case}");
            } else {
                assert_eq!(after["status"], expected, "{case}");
                // A reissue is told of both tickets together, and to each which the other is.
                let more = if action == "reissue" { 2 } else { 1 };
                assert_eq!(
                    actions(&server, &api, id).len(),
                    told + more,
                    "{case}: {:?}",
                    actions(&server, &api, id)
                );
            }
        }
    }
    let by_code = |action: &str, code: &str| {
        let body = json!({"code": {"kind": "optical", "code": code}, "action": action, "reason": "by code"});
        api.post("/api/v1/tickets/actions", &body)
    };
    assert_eq!(by_code("block", "DEMO-STD-000009")["ticket"]["status"], "blocked");
    assert_eq!(server.scan(1, "DEMO-STD-000009", "blocked")["reason"], "blocked");
    assert_eq!(by_code("block", "DEMO-STD-000009")["changed"], false);
    assert_eq!(by_code("unblock", "DEMO-STD-000009")["ticket"]["status"], "active");
    assert_eq!(server.scan(1, "DEMO-STD-000009", "good")["access_granted"], true);
}

#[test]
fn a_reissue_never_lets_two_in() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    // Before anybody entered: the new one enters, the old one does not.
    let old = made(&api, "STANDARD", "active");
    let old_code = code_of(&api, old);
    let done = act(&api, old, "reissue", &because());
    let (new, new_code) = (&done["ticket"], done["ticket"]["codes"][0]["code"].as_str().unwrap());
    assert_eq!(
        (&new["holder"], &new["seat"], &new["order"]),
        (&json!("Ann Example"), &json!("R1-S1"), &json!("O-1"))
    );
    assert_eq!(done["replaced"]["status"], "superseded");
    assert_eq!(server.scan(900, &old_code, "r1")["reason"], "superseded");
    assert_eq!(server.scan(900, new_code, "r2")["access_granted"], true);
    assert_eq!(server.scan(900, new_code, "r3")["reason"], "already_used");
    // Once somebody is inside with it: the new one is inside, and both together entered once.
    let old = made(&api, "STANDARD", "active");
    let old_code = code_of(&api, old);
    assert_eq!(server.scan(900, &old_code, "r4")["access_granted"], true);
    let inside = server.metric("gatehouse_zone_people{zone=\"BOWL\"}");
    let codes =
        json!([{"kind": "optical", "code": "WRISTBAND-1"}, {"kind": "card", "code": "04B1B2C3D4E5F6"}]);
    let done = act(&api, old, "reissue", &json!({"reason": "wristband", "codes": codes}));
    assert_eq!(done["ticket"]["uses"], json!({"used": 1, "left": 0}));
    assert_eq!(done["ticket"]["presence"], json!({"zone": "BOWL", "people": 1}));
    assert_eq!(done["replaced"]["presence"], json!({"zone": "outside", "people": 0}));
    assert_eq!(server.metric("gatehouse_zone_people{zone=\"BOWL\"}"), inside, "nobody moved");
    assert_eq!(server.scan(900, "WRISTBAND-1", "r5")["reason"], "already_used");
    assert_eq!(server.scan(900, &old_code, "r6")["reason"], "superseded");
    assert_eq!(server.scan(41, "WRISTBAND-1", "r7")["access_granted"], true, "out with the new one");
    // A code that is somebody's stays theirs, and nothing is done by half.
    let third = made(&api, "VIP", "active");
    let taken = json!({"reason": "x", "codes": [{"kind": "optical", "code": "WRISTBAND-1"}]});
    let answer =
        api.ask("POST", &format!("/api/v1/tickets/{third}/reissue"), &[], taken.to_string().as_bytes());
    is_problem(&answer, 409, "conflict");
    assert_eq!(api.get(&format!("/api/v1/tickets/{third}"))["status"], "active");
    // Each finds the other in its story.
    let new = done["ticket"]["id"].as_u64().unwrap();
    server.projected();
    let story = api.get(&format!("/api/v1/tickets/{new}/story"));
    let replaces =
        story["items"].as_array().unwrap().iter().find(|it| it["change"]["action"] == "ticket_replaces");
    assert_eq!(replaces.unwrap()["change"]["details"]["ticket"], old);
    server.kill();
    let server = site.start();
    assert_eq!(server.scan(900, &old_code, "r8")["reason"], "superseded");
    assert_eq!(Api::demo(&server).get(&format!("/api/v1/tickets/{new}"))["uses"]["used"], 1);
}

#[test]
fn uses_are_given_back_exactly() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let id = made(&api, "STANDARD", "active");
    let code = code_of(&api, id);
    assert_eq!(server.scan(900, &code, "g1")["access_granted"], true);
    let done = act(&api, id, "give-back", &json!({"reason": "sent home", "uses": 1, "presence": true}));
    assert_eq!(done["ticket"]["uses"], json!({"used": 0, "left": 1}));
    assert_eq!(done["ticket"]["presence"], json!({"zone": "outside", "people": 0}));
    assert_eq!(server.scan(900, &code, "g2")["access_granted"], true);
    assert_eq!(server.scan(900, &code, "g3")["reason"], "already_used");
    let body = json!({"reason": "two", "uses": 2}).to_string();
    is_problem(
        &api.ask("POST", &format!("/api/v1/tickets/{id}/give-back"), &[], body.as_bytes()),
        409,
        "conflict",
    );
    server.projected();
    let story = api.get(&format!("/api/v1/tickets/{id}/story"));
    let given =
        story["items"].as_array().unwrap().iter().find(|it| it["change"]["action"] == "give_back_uses");
    let details = &given.unwrap()["change"]["details"];
    assert_eq!(
        (&details["before"]["uses"]["used"], &details["after"]["uses"]["used"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        (&details["reason"], &given.unwrap()["change"]["operator"]),
        (&json!("sent home"), &json!("admin@demo.local"))
    );
}

#[test]
fn who_has_a_ticket_is_shown_to_who_may_see_it_and_the_look_is_noted() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let id = made(&api, "VIP", "active");
    let path = format!("/api/v1/tickets/{id}");
    let steward = operator(&site, "steward@venue.example", "steward");
    let steward = Api::with(&server, &steward);
    let supervisor = operator(&site, "supervisor@venue.example", "supervisor");
    let supervisor = Api::with(&server, &supervisor);
    let shown = steward.get(&path);
    assert_eq!(
        (&shown["holder"], &shown["order"], &shown["seat"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&shown["redacted"], &shown["status"]), (&json!(true), &json!("active")));
    let looks = |api: &Api<'_>| {
        let story = api.all(&format!("{path}/story"));
        let looks = story.iter().filter(|it| it["change"]["action"] == "personal_read");
        looks.map(|it| it["change"]["operator"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(looks(&api).is_empty());
    supervisor.get(&format!("{path}?fields=id,status,uses"));
    supervisor.get("/api/v1/tickets?event=demo-match&type=VIP&limit=5");
    server.projected();
    assert!(looks(&api).is_empty(), "neither what says nothing of people nor a list is noted");
    let shown = supervisor.get(&path);
    assert_eq!((&shown["holder"], &shown["redacted"]), (&json!("Ann Example"), &json!(false)));
    let version = supervisor.header("ETag");
    assert_eq!(supervisor.ask("GET", &path, &[("If-None-Match", &version)], b"").status, 304);
    server.projected();
    assert_eq!(looks(&api), ["supervisor@venue.example"]);
    // Looking for people is for those who may see them.
    for query in ["q=ann", "order=O-1"] {
        is_problem(&steward.ask("GET", &format!("/api/v1/tickets?{query}"), &[], b""), 403, "not_allowed");
    }
    server.projected();
    let found = supervisor.all("/api/v1/tickets?q=exam%20ann&event=demo-match");
    assert_eq!(found.iter().map(|it| it["id"].as_u64().unwrap()).collect::<Vec<_>>(), [id]);
    act(&api, id, "change-holder", &json!({"reason": "sold", "holder": "Bob Buyer"}));
    server.projected();
    let told = steward.get(&format!("{path}/story")).to_string();
    assert!(told.contains("change_holder") && !told.contains("Bob") && !told.contains("Ann"), "{told}");
    assert!(api.get(&format!("{path}/story")).to_string().contains("Bob Buyer"));
    assert_eq!(supervisor.all("/api/v1/tickets?q=buyer").len(), 1);
    assert!(supervisor.all("/api/v1/tickets?q=example").is_empty(), "nobody is found by who they were");
}

#[test]
fn a_list_has_each_ticket_that_fits_once() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    server.projected();
    let staff = api.all("/api/v1/tickets?event=demo-match&type=STAFF&limit=7&fields=id,reference");
    let references: BTreeSet<&str> = staff.iter().map(|it| it["reference"].as_str().unwrap()).collect();
    assert_eq!((staff.len(), references.len()), (100, 100));
    assert_eq!(staff[0].as_object().unwrap().len(), 2, "only what was asked for");
    let only = |query: &str| {
        let found = api.all(&format!("/api/v1/tickets?{query}&fields=reference"));
        found.iter().map(|it| it["reference"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(only("status=blocked"), ["DEMO-BLOCKED"]);
    assert_eq!(only("specimen=true"), ["DEMO-SPECIMEN"]);
    assert_eq!(only("event=demo-other"), ["DEMO-OTHER"]);
    assert_eq!(only("code=DEMO-VIP-0002"), ["DEMO-VIP-0002"]);
    assert_eq!(only("card=04a1b2c3d4e5f6"), ["DEMO-VIP-0002"]);
    assert_eq!(only("code=DEMO-VIP-0002&status=blocked"), [] as [&str; 0]);
    assert_eq!(only("used=true"), [] as [&str; 0]);
    server.scan(900, "DEMO-VIP-0003", "l1");
    server.projected();
    assert_eq!(only("used=true&type=VIP&event=demo-match"), ["DEMO-VIP-0003"]);
    assert_eq!(only("q=doe%20jo"), ["DEMO-VIP-0001"]);
    for wrong in ["event=nowhere", "type=VIP", "event=demo-match&type=X", "q=a&code=b", "card=0g", "fields=x"]
    {
        is_problem(&api.ask("GET", &format!("/api/v1/tickets?{wrong}"), &[], b""), 422, "invalid");
    }
    is_problem(&api.ask("GET", "/api/v1/tickets?status=lost", &[], b""), 400, "malformed_request");
    is_problem(&api.ask("GET", "/api/v1/tickets/4000000000", &[], b""), 404, "not_found");
    is_problem(
        &api.ask("POST", "/api/v1/tickets/4000000000/block", &[], because().to_string().as_bytes()),
        404,
        "not_found",
    );
}

#[test]
fn what_was_answered_stays_after_a_kill() {
    let site = Site::demo();
    let mut server = site.start();
    let id = made(&Api::demo(&server), "VIP", "not_activated");
    let steps = [
        ("activate", json!({}), json!({"status": "active"})),
        ("change-holder", json!({"holder": "Zoë 'Z' Ünal"}), json!({"holder": "Zoë 'Z' Ünal"})),
        ("block", json!({}), json!({"status": "blocked"})),
        ("unblock", json!({}), json!({"status": "active"})),
        ("give-back", json!({"uses": 1, "presence": true}), json!({"uses": {"used": 0, "left": 2}})),
        ("cancel", json!({}), json!({"status": "cancelled"})),
    ];
    for (action, more, expected) in steps {
        let api = Api::demo(&server);
        if action == "give-back" {
            assert_eq!(server.scan(900, &code_of(&api, id), "kill")["access_granted"], true);
        }
        let mut body = because();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(act(&api, id, action, &body)["changed"], true, "{action}");
        server.kill();
        server = site.start();
        let now = Api::demo(&server).get(&format!("/api/v1/tickets/{id}"));
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&now[field], value, "{action}");
        }
    }
    server.projected();
    let told = actions(&server, &Api::demo(&server), id);
    let expected = [
        "create_ticket",
        "activate_ticket",
        "change_holder",
        "block_ticket",
        "unblock_ticket",
        "give_back_uses",
        "cancel_ticket",
    ];
    assert_eq!(told, expected);
}

#[test]
fn fifty_at_once_end_with_each_answered_change_in_the_audit_and_no_entry_too_many() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let id = made(&api, "VIP", "active");
    let code = code_of(&api, id);
    let outcomes: Vec<(&str, bool)> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let (server, code) = (&server, &code);
                scope.spawn(move || one_of_fifty(server, id, code, n))
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    server.projected();
    let admitted = outcomes.iter().filter(|(what, done)| *what == "scan" && *done).count() as u64;
    let now = api.get(&format!("/api/v1/tickets/{id}"));
    assert_eq!(now["uses"]["used"], admitted);
    assert!(admitted <= 2, "{admitted} entries of a ticket for two");
    let told = actions(&server, &api, id);
    for (action, word) in
        [("block", "block_ticket"), ("unblock", "unblock_ticket"), ("change-holder", "change_holder")]
    {
        let answered = outcomes.iter().filter(|(what, changed)| *what == action && *changed).count();
        let noted = told.iter().filter(|own| *own == word).count();
        assert_eq!(noted, answered, "{action}");
    }
    let holders = told.iter().filter(|own| *own == "change_holder").count();
    assert_eq!(holders, 12, "each new holder is another");
}

/// One of four things, and whether it changed something or admitted.
fn one_of_fifty(server: &Server, id: u64, code: &str, n: usize) -> (&'static str, bool) {
    let api = Api::demo(server);
    let (action, body) = match n % 4 {
        0 => ("block", because()),
        1 => ("unblock", because()),
        2 => ("change-holder", json!({"reason": "x", "holder": format!("Holder {n}")})),
        _ => return ("scan", server.scan(900, code, &format!("fifty-{n}"))["access_granted"] == true),
    };
    (action, act(&api, id, action, &body)["changed"] == true)
}

#[test]
fn what_looks_like_commands_is_only_text() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let hostile = [
        "Robert'); DROP TABLE tickets;--",
        "%",
        "_",
        "\"",
        "\\",
        "' OR '1'='1",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "=1+1",
        "\u{202e}drawkcab",
        "\u{feff}bom",
        "a\u{301}",
        "𝒜𝒷𝒸",
        "NULL",
        "*",
    ];
    for text in hostile {
        let new = json!({
            "type": "STANDARD", "holder": text, "order": text, "seat": text, "reference": text,
            "codes": [{"kind": "optical", "code": text}],
        });
        let made = api.create("/api/v1/events/demo-match/tickets", &new);
        for field in ["holder", "order", "seat", "reference"] {
            assert_eq!(made[field], text);
        }
        let id = made["id"].as_u64().unwrap();
        let encoded: String = form_urlencoded(text);
        let by_code = api.all(&format!("/api/v1/tickets?code={encoded}"));
        assert_eq!(by_code.iter().map(|it| it["id"].as_u64().unwrap()).collect::<Vec<_>>(), [id], "{text}");
        server.projected();
        let by_order = api.all(&format!("/api/v1/tickets?order={encoded}"));
        assert_eq!(by_order.len(), 1, "{text}");
        let found = api.all(&format!("/api/v1/tickets?q={encoded}"));
        assert!(found.iter().any(|it| it["id"] == id) && found.len() < 40, "{text}: {}", found.len());
        act(&api, id, "block", &json!({"reason": text}));
        server.projected();
        let story = api.get(&format!("/api/v1/tickets/{id}/story"));
        assert_eq!(story["items"][0]["change"]["details"]["reason"], text);
    }
    // What no line of a log or audit should have is refused, with its field.
    for text in ["two\nlines", "nul\u{0}", "\u{1b}[31mred", "del\u{7f}", "\u{85}"] {
        let new = json!({"type": "STANDARD", "holder": text}).to_string();
        let answer = api.ask("POST", "/api/v1/events/demo-match/tickets", &[], new.as_bytes());
        assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], "holder");
        let query = format!("/api/v1/tickets?q={}", form_urlencoded(text));
        is_problem(&api.ask("GET", &query, &[], b""), 422, "invalid");
    }
    let long = "x".repeat(1 << 20);
    let body = json!({"type": "STANDARD", "holder": long}).to_string();
    let answer = api.ask("POST", "/api/v1/events/demo-match/tickets", &[], body.as_bytes());
    is_problem(&answer, 413, "too_large");
    let body = json!({"type": "STANDARD", "holder": &long[..10_000]}).to_string();
    let answer = api.ask("POST", "/api/v1/events/demo-match/tickets", &[], body.as_bytes());
    is_problem(&answer, 422, "invalid");
    let answer = api.ask("GET", &format!("/api/v1/tickets?q={}", &long[..10_000]), &[], b"");
    is_problem(&answer, 422, "invalid");
    assert_eq!(
        api.all("/api/v1/tickets?event=demo-match&type=STAFF").len(),
        100,
        "the tickets are all there"
    );
    assert_eq!(server.scan(1, "DEMO-STD-000001", "still")["access_granted"], true);
}

/// A text as a part of a query.
fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
