//! The venue's resources: what is set up, told by field where it cannot be, counted, and kept in the audit.

use crate::api::{Api, is_problem, operator};
use crate::support::{DEMO_TOKEN, Site};
use serde_json::{Value, json};

fn event(name: &str) -> Value {
    json!({
        "name": name, "title": "Cup Final", "time_zone": "Europe/Zurich",
        "doors_open_at": "2026-11-23T18:00:00+01:00", "starts_at": "2026-11-23T20:00:00+01:00",
        "ends_at": "2026-11-23T23:00:00+01:00",
    })
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn an_event_with_types_and_gates_is_set_up_changed_and_stays_after_a_kill() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let made = api.create("/api/v1/events", &event("cup final/1"));
    assert_eq!(made["doors_open_at"], "2026-11-23T17:00:00.000Z", "moments are answered in UTC");
    assert_eq!(api.header("Location"), "/api/v1/events/cup%20final%2F1");
    let at = api.header("Location");
    assert_eq!(api.get(&at), made);
    api.create("/api/v1/zones", &json!({"name": "STAND", "capacity": 100, "rule": "soft"}));
    let gate = json!({"name": "IN", "event": "cup final/1", "from": "outside", "to": "STAND"});
    let made = api.create("/api/v1/gates", &gate);
    assert_eq!((&made["mode"], &made["fail_policy"]), (&json!("open"), &json!("closed")));
    let types = format!("{at}/ticket-types");
    let vip = json!({
        "name": "VIP", "entries": null, "entries_per_day": 2, "reentry": "after_exit", "people": 3,
        "anti_passback": {"timed": 30}, "gates": ["IN"], "valid_from": "2026-11-23T17:30:00Z",
    });
    let made = api.create(&types, &vip);
    let at_vip = api.header("Location");
    assert_eq!(at_vip, format!("{types}/VIP"));
    assert_eq!((&made["anti_passback"], &made["valid_until"]), (&json!({"timed": 30}), &Value::Null));
    let standard = api.create(&types, &json!({"name": "STANDARD"}));
    assert_eq!((&standard["entries"], &standard["reentry"]), (&json!(1), &json!("none")));
    api.change(&at, |event| event["title"] = json!("Cup Final, postponed"));
    api.change(&at_vip, |kind| kind["people"] = json!(2));
    api.change("/api/v1/gates/IN", |gate| gate["fail_policy"] = json!("open"));
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(api.get(&at)["title"], "Cup Final, postponed");
    assert_eq!((&api.get(&at_vip)["people"], &api.get(&at_vip)["gates"]), (&json!(2), &json!(["IN"])));
    assert_eq!(names(&api.all(&types)), ["STANDARD", "VIP"]);
    assert_eq!(api.get("/api/v1/gates/IN")["fail_policy"], "open");
    // A name is its event's own: the demo has a VIP too.
    assert_eq!(api.get("/api/v1/events/demo-match/ticket-types/VIP")["people"], 1);
}

#[test]
fn lists_are_filtered_sorted_and_come_in_pages() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(names(&api.all("/api/v1/events")), ["demo-match", "demo-other"]);
    assert_eq!(names(&api.all("/api/v1/events?sort=-name&limit=1")), ["demo-other", "demo-match"]);
    api.create("/api/v1/events", &event("cup"));
    assert_eq!(names(&api.all("/api/v1/events?ends_after=2026-11-23T23:00:00%2B01:00"))[..1], ["cup"]);
    assert!(!names(&api.all("/api/v1/events?ends_after=2026-11-23T23:00:01%2B01:00")).contains(&"cup"));
    assert!(!names(&api.all("/api/v1/events?opens_before=2026-11-23T16:59:59Z")).contains(&"cup"));
    assert_eq!(api.all("/api/v1/gates?event=demo-match&limit=7").len(), 44);
    assert_eq!(api.all("/api/v1/gates?event=nothing").len(), 0);
    assert_eq!(api.all("/api/v1/gates?mode=closed").len(), 0);
    assert_eq!(names(&api.all("/api/v1/devices?gate=ENTRANCE_02")), ["KQT300_002", "KQT300_800"]);
    assert_eq!(names(&api.all("/api/v1/devices?profile=vguang&status=active")), ["KQT300_800"]);
    for wrong in ["sort=title", "ends_after=soon", "colour=red", "sort=name&sort=name"] {
        is_problem(&api.ask("GET", &format!("/api/v1/events?{wrong}"), &[], b""), 400, "malformed_request");
    }
}

/// What is wrong with it, and the field that is told.
const WRONG: &[(&str, &str, &str)] = &[
    ("events", r#"{"name": ""}"#, "name"),
    ("events", r#"{"name": "a\u0000b"}"#, "name"),
    ("events", r#"{"title": ""}"#, "title"),
    ("events", r#"{"time_zone": "Mars/Olympus"}"#, "time_zone"),
    ("events", r#"{"doors_open_at": "2026-11-23T20:00:01+01:00"}"#, "doors_open_at"),
    ("events", r#"{"ends_at": "2026-11-23T19:59:59+01:00"}"#, "ends_at"),
    ("events", r#"{"starts_at": "tomorrow"}"#, "starts_at"),
    ("zones", r#"{"capacity": -1}"#, "capacity"),
    ("zones", r#"{"rule": "loud"}"#, "rule"),
    ("gates", r#"{"from": "NOWHERE"}"#, "from"),
    ("gates", r#"{"to": "outside"}"#, "to"),
    ("gates", r#"{"event": "nothing"}"#, "event"),
    ("gates", r#"{"mode": "ajar"}"#, "mode"),
    ("gates", r#"{"name": "release"}"#, "name"),
    ("events/demo-match/ticket-types", r#"{"entries": 2}"#, "entries"),
    ("events/demo-match/ticket-types", r#"{"entries": 0, "reentry": "free"}"#, "entries"),
    ("events/demo-match/ticket-types", r#"{"entries_per_day": 0}"#, "entries_per_day"),
    ("events/demo-match/ticket-types", r#"{"people": 0}"#, "people"),
    ("events/demo-match/ticket-types", r#"{"people": 1001}"#, "people"),
    ("events/demo-match/ticket-types", r#"{"people": 100, "entries": 700, "reentry": "free"}"#, "people"),
    ("events/demo-match/ticket-types", r#"{"gates": ["ENTRANCE_01", "NOWHERE"]}"#, "gates[1]"),
    (
        "events/demo-match/ticket-types",
        r#"{"valid_from": "2026-01-02T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}"#,
        "valid_until",
    ),
    ("events/demo-match/ticket-types", r#"{"anti_passback": {"timed": -1}}"#, "anti_passback.timed"),
    ("devices", r#"{"gate": "NOWHERE"}"#, "gate"),
    ("devices", r#"{"profile": "morse"}"#, "profile"),
    ("devices", r#"{"number": "800"}"#, "number"),
    ("devices", r#"{"status": "revoked"}"#, "status"),
    ("devices", r#"{"rate_per_minute": 0}"#, "rate_per_minute"),
    ("devices", r#"{"sources": ["10.0.0.1", "somewhere"]}"#, "sources[1]"),
    ("devices", r#"{"repeat_window_ms": 600001}"#, "repeat_window_ms"),
    ("devices", r#"{"heartbeat_code": ""}"#, "heartbeat_code"),
    ("devices", r#"{"settings": {"": "x"}}"#, "settings"),
    ("devices", r#"{"key_hashes": []}"#, "key_hashes"),
];

/// Something good of each kind, which a mistake is put into.
fn good(path: &str) -> Value {
    match path {
        "events" => event("NEW"),
        "gates" => json!({"name": "NEW", "from": "outside", "to": "BOWL"}),
        _ => json!({"name": "NEW"}),
    }
}

#[test]
fn every_rule_is_told_by_its_field_and_nothing_of_what_is_wrong_is_kept() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for (path, mistake, field) in WRONG {
        let mut body = good(path);
        let mistake: Value = serde_json::from_str(mistake).unwrap();
        mistake.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
        let at = format!("/api/v1/{path}");
        let problem = is_problem(&api.ask("POST", &at, &[], body.to_string().as_bytes()), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], *field, "{path} {mistake}: {problem}");
        is_problem(&api.ask("GET", &format!("{at}/NEW"), &[], b""), 404, "not_found");
    }
    // Several mistakes are told at once.
    let body = json!({"name": "NEW", "gate": "NOWHERE", "profile": "morse", "repeat_window_ms": 999_999_999});
    let answer = api.ask("POST", "/api/v1/devices", &[], body.to_string().as_bytes());
    assert_eq!(is_problem(&answer, 422, "invalid")["errors"].as_array().unwrap().len(), 3);
}

#[test]
fn the_zone_outside_stays_as_it_is_and_a_name_never_changes() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let put =
        |path: &str, body: &Value| api.ask("PUT", path, &[("If-Match", "*")], body.to_string().as_bytes());
    let outside = api.get("/api/v1/zones/outside");
    for (field, value) in [("capacity", json!(10)), ("rule", json!("soft")), ("name", json!("inside"))] {
        let mut changed = outside.clone();
        changed[field] = value;
        let problem = is_problem(&put("/api/v1/zones/outside", &changed), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(put("/api/v1/zones/outside", &outside).status, 200, "nothing is changed by it");
    assert_eq!(api.all("/api/v1/audit?subject=outside").len(), 0, "and nothing is noted");
    let mut gate = api.get("/api/v1/gates/ENTRANCE_01");
    gate["name"] = json!("ENTRANCE_99");
    is_problem(&put("/api/v1/gates/ENTRANCE_01", &gate), 422, "invalid");
    is_problem(&put("/api/v1/gates/ENTRANCE_99", &gate), 404, "not_found");
}

#[test]
fn of_many_who_change_the_same_thing_at_once_each_sees_what_they_replaced() {
    const CHANGES: usize = 8;
    let site = Site::demo();
    let server = site.start();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let api = Api::demo(server);
                let mut done = 0;
                while done < CHANGES {
                    let mut zone = api.get("/api/v1/zones/BOWL");
                    let version = api.header("ETag");
                    zone["capacity"] = json!(zone["capacity"].as_u64().unwrap() + 1);
                    let headers = [("If-Match", version.as_str())];
                    let body = zone.to_string();
                    let status = api.ask("PUT", "/api/v1/zones/BOWL", &headers, body.as_bytes()).status;
                    assert!([200, 412].contains(&status), "writer {writer}: {status}");
                    done += usize::from(status == 200);
                }
            });
        }
    });
    let capacity = Api::demo(&server).get("/api/v1/zones/BOWL")["capacity"].as_u64().unwrap();
    assert_eq!(capacity, 60_000 + 4 * CHANGES as u64, "no change is lost");
}

#[test]
fn counts_are_those_of_the_gates_at_once() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for (device, code) in
        [(1, "DEMO-STD-000001"), (1, "DEMO-STD-000002"), (2, "DEMO-STD-000001"), (3, "junk")]
    {
        server.scan(device, code, &format!("{device}-{code}"));
    }
    let turns = r#"{"device_id":"KQT300_001","api_key":"demo-key-001","people":3}"#;
    assert_eq!(server.post("/api/access/turns", turns).status, 200);
    let all = api.get("/api/v1/counts");
    let of = |list: &str, key: &str, name: &str| -> Value {
        let list = all[list].as_array().unwrap();
        list.iter().find(|item| item[key] == name).unwrap_or_else(|| panic!("{name}: {all}")).clone()
    };
    assert_eq!(of("zones", "zone", "BOWL"), json!({"zone": "BOWL", "inside": 2, "capacity": 60_000}));
    let gate = of("gates", "gate", "ENTRANCE_01");
    assert_eq!((&gate["entries"], &gate["turns"], &gate["denials"]), (&json!(2), &json!(3), &json!(0)));
    let event = of("events", "event", "demo-match");
    assert_eq!((&event["attendance"], &event["denials"]), (&json!(2), &json!(2)), "{event}");
    assert_eq!(of("types", "ticket_type", "STANDARD")["admits"], 2);
    let mut reasons: Vec<&str> =
        all["reasons"].as_array().unwrap().iter().map(|own| own["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["already_used", "unknown_ticket"]);
    let other = api.get("/api/v1/counts?event=demo-other");
    assert_eq!((other["events"].as_array().unwrap().len(), &other["reasons"]), (1, &Value::Null));
    assert_eq!(other["gates"], json!([]));
    is_problem(&api.ask("GET", "/api/v1/counts?event=nothing", &[], b""), 404, "not_found");
}

#[test]
fn the_audit_tells_who_changed_what_and_when_before_and_after_also_after_a_kill() {
    let site = Site::demo();
    let server = site.start();
    let token = operator(&site, "mona@venue.example", "manager");
    let api = Api::with(&server, &token);
    let began = api.get("/api/v1/counts")["at"].as_str().unwrap().to_owned();
    api.change("/api/v1/zones/BOWL", |zone| zone["capacity"] = json!(50_000));
    server.kill();
    let server = site.start();
    let api = Api::with(&server, &token);
    let lines = api.all("/api/v1/audit?operator=mona%40venue.example");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((&line["action"], &line["subject"]), (&json!("put_zone"), &json!("BOWL")));
    assert_eq!((&line["before"]["capacity"], &line["after"]["capacity"]), (&json!(60_000), &json!(50_000)));
    assert!(line["at"].as_str().unwrap() >= began.as_str());
    let at = line["at"].as_str().unwrap();
    let count = |query: &str| api.all(&format!("/api/v1/audit?operator=mona%40venue.example&{query}")).len();
    assert_eq!((count(&format!("since={at}")), count(&format!("until={at}"))), (1, 0));
    assert_eq!((count("action=put_zone&subject=BOWL"), count("action=put_gate")), (1, 0));
    assert_eq!(api.all("/api/v1/audit?operator=nobody").len(), 0);
    assert!(api.all("/api/v1/audit?limit=20").len() > 90, "what the demo put up is there too");
}

#[test]
fn a_conflict_is_listed_with_its_scan_and_resolved_with_a_word() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let row = r#"{"qr_data":"DEMO-BLOCKED","timestamp":"2099-01-01T00:00:00Z","access_granted":true,"scan_id":"o1"}"#;
    let headers = [("X-Api-Key", "demo-key-001")];
    let upload = server.client().request("POST", "/api/access/offline", &headers, row.as_bytes()).unwrap();
    assert_eq!(upload.status, 200, "{upload:?}");
    server.projected();
    let open = api.all("/api/v1/conflicts");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((&open[0]["reason"], &open[0]["resolved_at"]), (&json!("blocked"), &Value::Null));
    let scan = &open[0]["scan"];
    assert_eq!(
        (&scan["device"], &scan["gate"], &scan["scan_id"], &scan["ticket_type"]),
        (&json!("KQT300_001"), &json!("ENTRANCE_01"), &json!("o1"), &json!("STANDARD")),
        "{scan}"
    );
    let at = format!("/api/v1/conflicts/{}/resolve", open[0]["lsn"]);
    let wordless = api.ask("POST", &at, &[], br#"{"note": ""}"#);
    assert_eq!(is_problem(&wordless, 422, "invalid")["errors"][0]["field"], "note");
    for _ in 0..2 {
        assert_eq!(api.post(&at, &json!({"note": "it was unblocked by phone"}))["resolved"], true);
    }
    server.projected();
    assert_eq!(api.all("/api/v1/conflicts").len(), 0);
    let resolved = api.all("/api/v1/conflicts?state=resolved");
    assert_eq!((resolved.len(), &resolved[0]["resolved_by"]), (1, &json!("admin@demo.local")));
    let found = api.all("/api/v1/audit?action=conflict_finding");
    assert_eq!((found.len(), &found[0]["details"]["note"]), (1, &json!("it was unblocked by phone")));
    let nothing = api.ask("POST", "/api/v1/conflicts/1/resolve", &[], br#"{"note": "x"}"#);
    is_problem(&nothing, 404, "not_found");
}

#[test]
fn settings_are_read_without_secrets_and_the_venues_own_are_changed_by_who_has_seen_them() {
    let site = Site::demo().set("KQT300_API_SECRET", "planted-secret-of-the-venue");
    let server = site.start();
    let api = Api::demo(&server);
    let all = api.get("/api/v1/settings/node");
    let text = all.to_string();
    assert!(!text.contains("planted-secret") && !text.contains(DEMO_TOKEN), "{text}");
    let of = |key: &str| {
        let items = all["items"].as_array().unwrap();
        items.iter().find(|item| item["key"] == key).unwrap().clone()
    };
    assert_eq!(of("registration_secret")["value"], "(set, hidden)");
    assert_eq!(
        (&of("durability")["value"], &of("durability")["source"]),
        (&json!("fsync"), &json!("default"))
    );
    let at = "/api/v1/settings/venue";
    let first = api.get(at);
    assert_eq!((&first["time_zone"], &first["retention_days"]), (&json!("UTC"), &Value::Null));
    let stale = api.header("ETag");
    api.change(at, |settings| {
        settings["time_zone"] = json!("Europe/Zurich");
        settings["retention_days"] = json!(90);
    });
    let put = |version: &str, body: &Value| {
        api.ask("PUT", at, &[("If-Match", version)], body.to_string().as_bytes())
    };
    is_problem(&put(&stale, &first), 412, "precondition_failed");
    is_problem(&api.ask("PUT", at, &[], first.to_string().as_bytes()), 428, "precondition_required");
    for (field, value) in [
        ("time_zone", json!("Nowhere")),
        ("retention_days", json!(0)),
        ("refusal_alarm_percent", json!(101)),
        ("refusal_alarm_scans", json!(0)),
        ("colour", json!("red")),
    ] {
        let mut wrong = first.clone();
        wrong[field] = value;
        let problem = is_problem(&put("*", &wrong), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(api.get(at)["retention_days"], 90);
    let line = &api.all("/api/v1/audit?action=settings_change")[0];
    assert_eq!(
        (&line["before"]["time_zone"], &line["after"]["time_zone"]),
        (&json!("UTC"), &json!("Europe/Zurich"))
    );
}
