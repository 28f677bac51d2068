//! A supervisor's work at the gates through the API: lets in by hand what the rules refuse, asks what they would say, takes
//! back, and reads the access log. Knows the document, not the code.

use crate::api::{Api, is_problem, operator};
use crate::support::{Server, Site};
use serde_json::{Value, json};

fn optical(code: &str) -> Value {
    json!({"kind": "optical", "code": code})
}

fn admission(code: &str, gate: &str, scan_id: &str) -> Value {
    json!({"code": optical(code), "gate": gate, "reason": "the guest was sent here", "scan_id": scan_id})
}

fn check(api: &Api<'_>, code: &str, gate: &str) -> Value {
    api.post("/api/v1/checks", &json!({"code": optical(code), "gate": gate}))
}

/// A ticket type with a limit for each day, which the demo has not, and a ticket of it.
fn with_daily(site: &Site) {
    site.start().stop();
    let file = "[[type]]\nname = 'DAILY'\nevent = 'demo-match'\nentries_per_day = 1\nreentry = 'free'\n";
    site.command(&["import", "venue", &site.file("daily.toml", file.as_bytes())]).well();
    let list = site.file("daily.csv", b"code,type\nDAILY-1,DAILY\n");
    site.command(&["import", "tickets", "--event", "demo-match", &list]).well();
}

/// Brings about what the reason stands for; gives code and gate.
fn arranged(server: &Server, api: &Api<'_>, reason: &str) -> (&'static str, &'static str) {
    let entered = |code: &'static str, times: usize| {
        for n in 0..times {
            assert_eq!(server.scan(900, code, &format!("{code}-in-{n}"))["access_granted"], true, "{code}");
            if times > 1 {
                assert_eq!(
                    server.scan(41, code, &format!("{code}-out-{n}"))["access_granted"],
                    true,
                    "{code}"
                );
            }
        }
        code
    };
    match reason {
        "unknown_ticket" => ("NOBODY-HAS-THIS", "ENTRANCE_01"),
        "cancelled" => ("DEMO-CANCELLED", "ENTRANCE_01"),
        "blocked" => ("DEMO-BLOCKED", "ENTRANCE_01"),
        "superseded" => ("DEMO-SUPERSEDED", "ENTRANCE_01"),
        "not_activated" => ("DEMO-UNPAID", "ENTRANCE_01"),
        "wrong_event" => ("DEMO-OTHER", "ENTRANCE_01"),
        "too_early" => ("DEMO-EARLY", "ENTRANCE_01"),
        "too_late" => ("DEMO-LATE", "ENTRANCE_01"),
        "wrong_gate" => ("DEMO-GATE02", "ENTRANCE_01"),
        "already_inside" => (entered("DEMO-VIP-0010", 1), "ENTRANCE_01"),
        "already_used" => (entered("DEMO-STD-000010", 1), "ENTRANCE_01"),
        "no_entries_left" => (entered("DEMO-VIP-0011", 2), "ENTRANCE_01"),
        "no_entries_left_today" => (entered("DAILY-1", 1), "ENTRANCE_01"),
        "not_inside" => ("DEMO-STD-000011", "EXIT_01"),
        "gate_closed" => {
            let body = r#"{"device_id":"KQT300_005","action":"lock"}"#;
            assert_eq!(server.control(crate::support::DEMO_TOKEN, body).status, 200);
            ("DEMO-STD-000012", "ENTRANCE_05")
        }
        "zone_full" => {
            api.change("/api/v1/zones/BOWL", |zone| zone["capacity"] = json!(1));
            ("DEMO-STD-000013", "ENTRANCE_01")
        }
        reason => panic!("{reason}"),
    }
}

const REASONS: [&str; 16] = [
    "unknown_ticket",
    "cancelled",
    "blocked",
    "superseded",
    "not_activated",
    "wrong_event",
    "too_early",
    "too_late",
    "wrong_gate",
    "gate_closed",
    "already_inside",
    "already_used",
    "no_entries_left",
    "no_entries_left_today",
    "not_inside",
    "zone_full",
];

#[test]
fn every_refusal_is_told_in_words_and_overridden_by_a_person_with_a_reason() {
    let site = Site::demo();
    with_daily(&site);
    let server = site.start();
    let api = Api::demo(&server);
    for reason in REASONS {
        let (code, gate) = arranged(&server, &api, reason);
        let checked = check(&api, code, gate);
        assert_eq!(
            (&checked["admits"], &checked["reason"]["code"]),
            (&json!(false), &json!(reason)),
            "{checked}"
        );
        assert!(checked["reason"]["words"].as_str().unwrap().contains(' '));
        let before = server.metric("gatehouse_journal_next_lsn");
        check(&api, code, gate);
        assert_eq!(server.metric("gatehouse_journal_next_lsn"), before, "a check leaves nothing");
        let admitted = api.create("/api/v1/admissions", &admission(code, gate, reason));
        assert_eq!(admitted["overrode"]["code"], reason, "{admitted}");
        assert_eq!((&admitted["people"], &admitted["gate"]), (&json!(1), &json!(gate)), "{admitted}");
        let at = api.header("Location");
        server.projected();
        let scan = api.get(&at);
        assert_eq!((&scan["admitted"], &scan["overrode"]["code"]), (&json!(true), &json!(reason)), "{scan}");
        assert_eq!(scan["operator"], "admin@demo.local");
        assert_eq!(scan["note"], "the guest was sent here");
        let again = api.create("/api/v1/admissions", &admission(code, gate, reason));
        assert_eq!(again, admitted, "the same id, the same answer");
    }
    // Never more entries are used than there are.
    for (code, most) in [("DEMO-STD-000010", 1), ("DEMO-VIP-0011", 2)] {
        let ticket = &api.get(&format!("/api/v1/tickets?code={code}"))["items"][0];
        assert_eq!(ticket["uses"], json!({"used": most, "left": 0}), "{code}");
    }
}

#[test]
fn a_good_ticket_is_simply_admitted_and_its_device_opens_once() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let mut body = admission("DEMO-STD-000020", "ENTRANCE_03", "once");
    body["unlock"] = json!(true);
    let admitted = api.create("/api/v1/admissions", &body);
    assert_eq!((&admitted["overrode"], &admitted["unlock"]), (&Value::Null, &json!(true)));
    assert_eq!(admitted["device"], "KQT300_003");
    assert_eq!(api.create("/api/v1/admissions", &body), admitted);
    let commands = server.heartbeat(3)["commands"].as_array().unwrap().clone();
    let unlocks = commands.iter().filter(|command| command.to_string().contains("unlock")).count();
    assert_eq!(unlocks, 1, "{commands:?}");
    assert_eq!(server.scan(900, "DEMO-STD-000020", "later")["reason"], "already_used");
    let id = &api.get("/api/v1/tickets?code=DEMO-STD-000021")["items"][0]["id"];
    let by_number = json!({"id": id, "gate": "ENTRANCE_01", "device": "KQT300_900", "reason": "no paper"});
    assert_eq!(api.create("/api/v1/admissions", &by_number)["ticket"], *id);
    let wrong = [
        (json!({"gate": "ENTRANCE_01", "reason": "x"}), "id"),
        (json!({"id": id, "code": optical("A"), "gate": "ENTRANCE_01", "reason": "x"}), "id"),
        (json!({"id": id, "gate": "NOWHERE", "reason": "x"}), "gate"),
        (json!({"id": id, "gate": "ENTRANCE_01", "device": "KQT300_002", "reason": "x"}), "device"),
        (json!({"id": id, "gate": "ENTRANCE_01", "reason": ""}), "reason"),
        (json!({"id": id, "gate": "ENTRANCE_01", "reason": "x", "people": 0}), "people"),
        (json!({"id": id, "gate": "ENTRANCE_01", "reason": "x", "scan_id": "a b"}), "scan_id"),
        (json!({"id": 4_000_000_000_u32, "gate": "ENTRANCE_01", "reason": "x"}), "id"),
    ];
    for (body, field) in wrong {
        let answer = api.ask("POST", "/api/v1/admissions", &[], body.to_string().as_bytes());
        assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], field);
    }
    let other = admission("DEMO-STD-000022", "ENTRANCE_03", "once").to_string();
    is_problem(&api.ask("POST", "/api/v1/admissions", &[], other.as_bytes()), 409, "conflict");
}

#[test]
fn what_was_annulled_is_given_back_and_stays_in_the_history() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(server.scan(900, "DEMO-STD-000030", "a1")["access_granted"], true);
    assert_eq!(server.scan(900, "DEMO-STD-000030", "a2")["reason"], "already_used");
    server.projected();
    let log = api.all("/api/v1/scans?code=DEMO-STD-000030");
    assert_eq!(log.len(), 2);
    let (refused, good) = (log[0]["lsn"].as_u64().unwrap(), log[1]["lsn"].as_u64().unwrap());
    let annul = |lsn: u64| {
        let body = json!({"reason": "turned back"}).to_string();
        api.ask("POST", &format!("/api/v1/scans/{lsn}/annul"), &[], body.as_bytes())
    };
    is_problem(&annul(refused), 409, "conflict");
    is_problem(&annul(u64::MAX), 404, "not_found");
    let first = annul(good);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["passage"], "annulled");
    assert_eq!(annul(good).json(), first.json(), "twice changes nothing");
    server.projected();
    assert_eq!(api.get(&format!("/api/v1/scans/{good}"))["passage"], "annulled");
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(server.scan(900, "DEMO-STD-000030", "a3")["access_granted"], true, "it was given back");
    assert_eq!(server.scan(900, "DEMO-STD-000030", "a4")["reason"], "already_used", "and only once");
    server.projected();
    let id = api.get("/api/v1/tickets?code=DEMO-STD-000030")["items"][0]["id"].clone();
    let story = api.all(&format!("/api/v1/tickets/{id}/story?limit=1"));
    let told: Vec<&str> = story.iter().rev().filter_map(|it| it["scan"]["passage"].as_str()).collect();
    assert_eq!(told, ["annulled", "open", "open", "open"]);
}

#[test]
fn the_access_log_is_filtered_by_names_and_hides_codes_from_who_could_use_them() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    server.scan(1, "DEMO-STD-000040", "s1");
    server.scan(2, "DEMO-STD-000040", "s2");
    server.scan(2, "DEMO-VIP-0040", "s3");
    server.scan(3, "JUNK", "s4");
    server.projected();
    let count = |query: &str| api.all(&format!("/api/v1/scans?limit=2&{query}")).len();
    let table = [
        ("", 4),
        ("admitted=true", 2),
        ("admitted=false", 2),
        ("gate=ENTRANCE_02", 2),
        ("device=KQT300_001", 1),
        ("reason=already_used", 1),
        ("reason=unknown_ticket", 1),
        ("event=demo-match&type=VIP", 1),
        ("event=demo-other", 0),
        ("kind=validate", 4),
        ("kind=offline", 0),
        ("code=JUNK", 1),
        ("since=2020-01-01T00:00:00Z", 4),
        ("until=2020-01-01T00:00:00Z", 0),
        ("gate=ENTRANCE_02&admitted=true", 1),
    ];
    for (query, expected) in table {
        assert_eq!(count(query), expected, "{query}");
    }
    let oldest = api.all("/api/v1/scans?order=oldest_first&limit=1");
    let newest = api.all("/api/v1/scans?limit=3");
    assert!(oldest.iter().eq(newest.iter().rev()));
    assert_eq!(oldest[3]["code"]["code"], "JUNK");
    for wrong in ["gate=X", "device=X", "reason=x", "event=x", "type=VIP", "code=a&card=00"] {
        is_problem(&api.ask("GET", &format!("/api/v1/scans?{wrong}"), &[], b""), 422, "invalid");
    }
    for wrong in ["kind=x", "since=yesterday", "order=up", "ticket=x"] {
        is_problem(&api.ask("GET", &format!("/api/v1/scans?{wrong}"), &[], b""), 400, "malformed_request");
    }
    is_problem(&api.ask("GET", "/api/v1/scans/1", &[], b""), 404, "not_found");
    is_problem(&api.ask("GET", "/api/v1/scans/18446744073709551615", &[], b""), 404, "not_found");
    let viewer = operator(&site, "viewer@venue.example", "viewer");
    let viewer = Api::with(&server, &viewer);
    let seen = viewer.all("/api/v1/scans");
    assert!(seen.len() == 4 && seen.iter().all(|scan| scan["code"].is_null()), "{seen:?}");
}
