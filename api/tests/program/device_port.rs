//! Every path of the device API answers as the contract says. Knows the demo data.

use crate::support::{Answer, Client, DEMO_TOKEN, Server, Site, request_bytes, scan_body};
use serde_json::{Value, json};

const VALIDATE: &str = "/api/access/validate";

#[test]
fn the_first_scan_of_a_vip_is_answered_field_by_field() {
    let site = Site::demo();
    let server = site.start();
    let body = json!({
        "device_id": "KQT300_001", "qr_data": "DEMO-VIP-0001", "timestamp": "2024-01-15T10:30:00Z",
        "location": "ENTRANCE_01", "api_key": "demo-key-001",
    });
    let answer = server.post(VALIDATE, &body.to_string());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let value = answer.json();
    let valid_until = value["ticket_info"]["valid_until"].as_str().unwrap().to_owned();
    assert!(valid_until.ends_with('Z') && valid_until.len() == 20, "{valid_until}");
    let scan_id = value["scan_id"].as_str().unwrap().to_owned();
    assert!(!scan_id.is_empty());
    let expected = json!({
        "status": "success", "access_granted": true, "message": "Access granted", "reason": null, "scan_id": scan_id,
        "direction": "entry", "gate": "ENTRANCE_01",
        "ticket_info": {"ticket_id": "DEMO-VIP-0001", "customer_name": "John Doe", "valid_until": valid_until, "ticket_type": "VIP", "remaining_uses": 1},
        "device_action": {"unlock_door": true, "display_message": "Welcome, John Doe!", "sound_alert": "success"},
        "attention": null, "people": 1,
    });
    assert_eq!(value, expected);
    let second = server.scan(1, "DEMO-VIP-0001", "second");
    assert_eq!(second["reason"], "already_inside");
    assert_eq!(second["device_action"]["sound_alert"], "warning");
}

/// One line: code, reason, sound, is there a ticket.
const REFUSALS: [(&str, &str, &str, bool); 9] = [
    ("NEVER-SOLD", "unknown_ticket", "error", false),
    ("DEMO-CANCELLED", "cancelled", "error", true),
    ("DEMO-BLOCKED", "blocked", "error", true),
    ("DEMO-SUPERSEDED", "superseded", "error", true),
    ("DEMO-UNPAID", "not_activated", "error", true),
    ("DEMO-OTHER", "wrong_event", "error", true),
    ("DEMO-EARLY", "too_early", "error", true),
    ("DEMO-LATE", "too_late", "error", true),
    ("DEMO-GATE02", "wrong_gate", "error", true),
];

#[test]
fn every_refusal_of_the_demo_is_an_answer_with_its_reason() {
    let site = Site::demo();
    let server = site.start();
    for (code, reason, sound, known) in REFUSALS {
        let value = server.scan(1, code, &format!("first-{code}"));
        assert_eq!(
            (&value["status"], &value["access_granted"]),
            (&json!("denied"), &json!(false)),
            "{value}"
        );
        assert_eq!(value["reason"], reason, "{value}");
        assert_eq!(value["device_action"]["unlock_door"], false);
        assert_eq!(value["device_action"]["sound_alert"], sound);
        assert_eq!(value["ticket_info"].is_object(), known, "{value}");
        assert!(!value["message"].as_str().unwrap().is_empty());
    }
    assert!(server.scan(1, "DEMO-OTHER", "o")["message"].as_str().unwrap().contains("Demo Other"));
    assert!(server.scan(1, "DEMO-GATE02", "g")["message"].as_str().unwrap().contains("ENTRANCE_02"));
    assert_eq!(server.scan(2, "DEMO-GATE02", "g2")["access_granted"], true);
}

#[test]
fn a_used_ticket_is_refused_with_gate_and_time_and_a_vip_comes_back_after_its_exit() {
    let site = Site::demo();
    let server = site.start();
    let gives = |device, code: &str, id: &str, expected: Value| {
        let value = server.scan(device, code, id);
        assert_eq!(
            json!([value["access_granted"], value["reason"], value["ticket_info"]["remaining_uses"]]),
            expected,
            "{id}: {value}"
        );
        value
    };
    gives(1, "DEMO-STD-000001", "s1", json!([true, null, 0]));
    let used = gives(2, "DEMO-STD-000001", "s2", json!([false, "already_used", 0]));
    assert!(used["message"].as_str().unwrap().contains("ENTRANCE_01"), "{used}");
    assert_eq!(used["device_action"]["sound_alert"], "warning");
    gives(41, "DEMO-STD-000001", "s3", json!([true, null, 0]));
    gives(1, "DEMO-STD-000001", "s4", json!([false, "already_used", 0]));
    gives(41, "DEMO-VIP-0003", "v0", json!([false, "not_inside", 2]));
    gives(1, "DEMO-VIP-0003", "v1", json!([true, null, 1]));
    gives(1, "DEMO-VIP-0003", "v2", json!([false, "already_inside", 1]));
    let out = gives(41, "DEMO-VIP-0003", "v3", json!([true, null, 1]));
    assert_eq!(out["direction"], "exit");
    gives(2, "DEMO-VIP-0003", "v4", json!([true, null, 0]));
    gives(42, "DEMO-VIP-0003", "v5", json!([true, null, 0]));
    gives(3, "DEMO-VIP-0003", "v6", json!([false, "no_entries_left", 0]));
    for n in 0..3 {
        gives(1, "DEMO-STAFF-001", &format!("staff{n}"), json!([true, null, null]));
    }
}

#[test]
fn a_key_is_taken_from_body_header_bearer_and_path_and_a_wrong_one_is_refused() {
    let site = Site::demo();
    let server = site.start();
    let plain = br#"{"qr_data":"DEMO-STAFF-001"}"#;
    let ask = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        server.client().request("POST", path, headers, body).unwrap()
    };
    for (path, headers) in [
        (VALIDATE, vec![("X-Api-Key", "demo-key-001")]),
        (VALIDATE, vec![("Authorization", "Bearer demo-key-001")]),
        (VALIDATE, vec![("authorization", "bearer demo-key-001")]),
        ("/d/demo-key-001/api/access/validate", vec![]),
    ] {
        let value = ask(path, &headers, plain).json();
        assert_eq!(value["access_granted"], true, "{path} {headers:?} {value}");
        assert_eq!(value["gate"], "ENTRANCE_01");
    }
    assert_eq!(
        ask(VALIDATE, &[], br#"{"qr_data":"DEMO-STAFF-001","api_key":"demo-key-001"}"#).json()["access_granted"],
        true
    );
    ask(VALIDATE, &[], plain).is_fault(401, "invalid_api_key");
    for wrong in ["demo-key-0011", "demo-key-00", "Demo-key-001", "x"] {
        ask(VALIDATE, &[("X-Api-Key", wrong)], plain).is_fault(401, "invalid_api_key");
        ask(&format!("/d/{wrong}/api/access/validate"), &[], plain).is_fault(401, "invalid_api_key");
    }
    ask(
        VALIDATE,
        &[("X-Api-Key", "demo-key-001")],
        br#"{"qr_data":"DEMO-STAFF-001","device_id":"KQT300_002"}"#,
    )
    .is_fault(401, "invalid_api_key");
    ask(VALIDATE, &[("X-Api-Key", "demo-key-001")], br#"{"qr_data":"A","location":"NOWHERE"}"#)
        .is_fault(400, "malformed_request");
    let other_gate =
        ask(VALIDATE, &[("X-Api-Key", "demo-key-001")], br#"{"qr_data":"A","location":"ENTRANCE_02"}"#);
    other_gate.is_fault(400, "malformed_request");
    assert!(other_gate.json()["message"].as_str().unwrap().contains("location"));
    // A connection that was good once does not make another key good.
    let mut client = server.client();
    assert_eq!(
        client.request("POST", VALIDATE, &[("X-Api-Key", "demo-key-001")], plain).unwrap().status,
        200
    );
    client
        .request("POST", VALIDATE, &[("X-Api-Key", "demo-key-xxx")], plain)
        .unwrap()
        .is_fault(401, "invalid_api_key");
    client.request("POST", VALIDATE, &[], plain).unwrap().is_fault(401, "invalid_api_key");
}

#[test]
fn a_body_that_is_wrong_says_which_field_and_why() {
    let site = Site::demo();
    let server = site.start();
    for (body, field) in [
        (r#"{"qr_data":7}"#, "qr_data"),
        (r#"{"qr_data":""}"#, "qr_data"),
        (r#"{}"#, "qr_data"),
        (r#"{"qr_data":"A","timestamp":"yesterday"}"#, "timestamp"),
        (r#"{"qr_data":"A","direction":"up"}"#, "direction"),
        (r#"{"qr_data":"A","people":0}"#, "people"),
        (r#"{"qr_data":"A","scan_id":"gh-1"}"#, "scan_id"),
        (r#"{"qr_data":"A","card_uid":"04A1"}"#, "card_uid"),
        (r#"{"qr_data":"A","qr_data":"B"}"#, "qr_data"),
    ] {
        let answer = server
            .client()
            .request("POST", VALIDATE, &[("X-Api-Key", "demo-key-900")], body.as_bytes())
            .unwrap();
        answer.is_fault(400, "malformed_request");
        assert!(answer.json()["message"].as_str().unwrap().contains(field), "{body}: {answer:?}");
    }
    for body in ["{", "[]", r#"{"qr_data":"A"}x"#, "null"] {
        let answer = server
            .client()
            .request("POST", VALIDATE, &[("X-Api-Key", "demo-key-900")], body.as_bytes())
            .unwrap();
        assert_ne!(answer.json()["access_granted"], true, "{body}: {answer:?}");
    }
    let long = format!(r#"{{"qr_data":"{}"}}"#, "x".repeat(256));
    server
        .client()
        .request("POST", VALIDATE, &[("X-Api-Key", "demo-key-900")], long.as_bytes())
        .unwrap()
        .is_fault(400, "malformed_request");
}

#[test]
fn a_check_changes_and_counts_nothing_and_a_test_scan_never_counts() {
    let site = Site::demo();
    let server = site.start();
    let count = || {
        let page = server.metrics();
        page.lines()
            .filter(|line| {
                line.starts_with("gatehouse_denials")
                    || line.starts_with("gatehouse_gate_")
                    || line.starts_with("gatehouse_zone")
            })
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = (count(), server.metric("gatehouse_journal_next_lsn"));
    for code in ["DEMO-STD-000001", "DEMO-BLOCKED", "NOTHING"] {
        for _ in 0..3 {
            let value = server.post("/api/access/check", &scan_body(1, code, "c")).json();
            assert_eq!(value["access_granted"], code.starts_with("DEMO-STD"), "{value}");
        }
    }
    assert_eq!((count(), server.metric("gatehouse_journal_next_lsn")), before);
    let test = server.post("/api/access/test-scan", &scan_body(1, "DEMO-STD-000001", "t1")).json();
    assert_eq!((&test["access_granted"], &test["test"]), (&json!(true), &json!(true)), "{test}");
    let again = server.post("/api/access/test-scan", &scan_body(1, "DEMO-STD-000001", "t2")).json();
    assert_eq!(again["access_granted"], true, "{again}");
    server.post("/api/access/test-scan", &scan_body(1, "DEMO-BLOCKED", "t3"));
    assert_eq!(count(), before.0);
    for n in 0..3 {
        assert_eq!(server.scan(1, "DEMO-SPECIMEN", &format!("sp{n}"))["access_granted"], true);
    }
    assert_eq!(count(), before.0, "a specimen never counts");
    assert_eq!(server.scan(1, "DEMO-STD-000001", "real")["access_granted"], true);
    assert_ne!(count(), before.0);
}

#[test]
fn a_guest_that_did_not_pass_keeps_the_entry() {
    let site = Site::demo();
    let server = site.start();
    let passage = |path: &str, device: u32, id: &str| {
        server.post(path, &format!(r#"{{"scan_id":"{id}","api_key":"demo-key-{device:03}"}}"#))
    };
    assert_eq!(server.scan(1, "DEMO-STD-000001", "a1")["access_granted"], true);
    assert_eq!(server.metric(r#"gatehouse_zone_people{zone="BOWL"}"#), 1.0);
    passage("/api/access/annul", 2, "a1").is_fault(404, "not_found");
    passage("/api/access/annul", 1, "nothing").is_fault(404, "not_found");
    let annulled = passage("/api/access/annul", 1, "a1");
    assert_eq!((annulled.status, &annulled.json()["passage"]), (200, &json!("annulled")));
    assert_eq!(passage("/api/access/annul", 1, "a1").status, 200, "twice changes nothing");
    assert_eq!(server.metric(r#"gatehouse_zone_people{zone="BOWL"}"#), 0.0);
    passage("/api/access/passed", 1, "a1").is_fault(409, "passage_decided");
    // The entry is there again, and the retry of the annulled scan is still its own answer.
    assert_eq!(server.scan(2, "DEMO-STD-000001", "a2")["access_granted"], true);
    let passed = passage("/api/access/passed", 2, "a2");
    assert_eq!((passed.status, &passed.json()["passage"]), (200, &json!("passed")));
    passage("/api/access/annul", 2, "a2").is_fault(409, "passage_decided");
    assert_eq!(server.scan(3, "DEMO-STD-000001", "a3")["reason"], "already_used");
    passage("/api/access/annul", 3, "a3").is_fault(409, "not_admitted");
    // A scan without an id is annulled by the id of its answer.
    let own =
        server.post(VALIDATE, r#"{"qr_data":"DEMO-STD-000002","api_key":"demo-key-001"}"#).json()["scan_id"]
            .as_str()
            .unwrap()
            .to_owned();
    assert_eq!(passage("/api/access/annul", 1, &own).status, 200);
    server.post("/api/access/annul", r#"{"api_key":"demo-key-001"}"#).is_fault(400, "malformed_request");
}

#[test]
fn a_card_is_read_in_both_byte_orders() {
    let site = Site::demo();
    let server = site.start();
    let read =
        |fields: &str, path: &str| server.post(path, &format!(r#"{{"api_key":"demo-key-001",{fields}}}"#));
    for (n, fields) in [
        r#""card_uid":"04A1B2C3D4E5F6""#,
        r#""card_uid":"04a1b2c3d4e5f6""#,
        r#""card_uid":"04:A1:B2:C3:D4:E5:F6""#,
        r#""card_uid":"F6E5D4C3B2A104","byte_order":"little""#,
        r#""card_uid":"04A1B2C3D4E5F6","byte_order":"big""#,
        r#""card_uid":"F6E5D4C3B2A104","card_format":"hex_le""#,
    ]
    .into_iter()
    .enumerate()
    {
        let value = read(&format!(r#"{fields},"scan_id":"card{n}""#), "/api/kqt300/card-read").json();
        assert_eq!(value["ticket_info"]["ticket_id"], "DEMO-VIP-0002", "{fields} {value}");
        assert_eq!(value["access_granted"], n == 0, "{value}");
    }
    assert_eq!(
        read(r#""card_uid":"F6E5D4C3B2A104","scan_id":"u""#, "/api/kqt300/card-read").json()["reason"],
        "unknown_ticket"
    );
    read(r#""card_uid":"not a card""#, "/api/kqt300/card-read").is_fault(400, "malformed_request");
    read(r#""scan_id":"nothing""#, "/api/kqt300/card-read").is_fault(400, "malformed_request");
    assert_eq!(
        read(r#""qr_data":"DEMO-VIP-0002","scan_id":"qr""#, "/api/kqt300/scan").json()["reason"],
        "already_inside"
    );
    // The text of a card's number is no barcode.
    assert_eq!(
        read(r#""qr_data":"04A1B2C3D4E5F6","scan_id":"qr2""#, "/api/kqt300/scan").json()["reason"],
        "unknown_ticket"
    );
}

#[test]
fn a_supervisor_admits_what_would_be_refused_and_nobody_else_does() {
    let site = Site::demo();
    let server = site.start();
    let scan = |id: &str, extra: &str| {
        server.post(
            VALIDATE,
            &format!(r#"{{"api_key":"demo-key-001","qr_data":"DEMO-BLOCKED","scan_id":"{id}"{extra}}}"#),
        )
    };
    assert_eq!(scan("o1", "").json()["access_granted"], false);
    assert_eq!(scan("o2", r#","override_reason":"known guest""#).status, 401);
    assert_eq!(scan("o3", r#","override_reason":"known guest","operator_token":"demo-key-001""#).status, 401);
    let value = scan("o4", r#","override_reason":"known guest","operator_token":"demo-pass""#).json();
    assert_eq!(
        (&value["access_granted"], &value["overridden"]),
        (&json!(true), &json!("blocked")),
        "{value}"
    );
}

/// Every path, how it is asked, and what it answers.
const PATHS: [(&str, &str, &str, u16); 20] = [
    ("POST", "/api/access/validate", r#"{"qr_data":"DEMO-STAFF-001"}"#, 200),
    ("POST", "/api/access/check", r#"{"qr_data":"DEMO-STAFF-001"}"#, 200),
    ("POST", "/api/access/test-scan", r#"{"qr_data":"DEMO-STAFF-001"}"#, 200),
    ("POST", "/api/access/annul", r#"{"scan_id":"none"}"#, 404),
    ("POST", "/api/access/passed", r#"{"scan_id":"none"}"#, 404),
    ("POST", "/api/access/turns", r#"{"people":3}"#, 200),
    ("POST", "/api/access/offline", r#"[]"#, 200),
    ("GET", "/api/access/latest", "", 200),
    ("GET", "/api/access/poll", "", 200),
    ("GET", "/api/access/health", "", 200),
    ("GET", "/api/kqt300/status", "", 200),
    ("POST", "/api/kqt300/heartbeat", r#"{"device_id":"KQT300_900"}"#, 200),
    ("POST", "/api/kqt300/register", r#"{"device_id":"N","secret":"x"}"#, 403),
    ("POST", "/api/kqt300/scan", r#"{"qr_data":"DEMO-STAFF-001"}"#, 200),
    ("POST", "/api/kqt300/card-read", r#"{"card_uid":"04A1B2C3D4E5F6"}"#, 200),
    ("POST", "/api/kqt300/access-control", r#"{"device_id":"KQT300_001","action":"lock"}"#, 401),
    ("GET", "/api/kqt300/config", "", 200),
    ("POST", "/api/kqt300/config", r#"{"device_id":"KQT300_001","settings":{}}"#, 401),
    ("GET", "/api/access/poll?wait=31", "", 400),
    ("GET", "/api/access/poll?after=x", "", 400),
];

#[test]
fn every_path_answers_in_json_and_knows_its_methods() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    for (method, path, body, status) in PATHS {
        let answer = client.request(method, path, &[("X-Api-Key", "demo-key-900")], body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{path}");
        assert!(answer.json()["status"].is_string(), "{path}: {answer:?}");
        let plain = path.split('?').next().unwrap();
        let options = client.request("OPTIONS", plain, &[], b"").unwrap();
        assert!(
            options.status == 204 && options.header("Allow").unwrap().contains(method),
            "{path}: {options:?}"
        );
        let wrong = client.request("DELETE", plain, &[], b"").unwrap();
        assert!([405, 501].contains(&wrong.status), "{path}: {wrong:?}");
        if method == "POST" && plain != "/api/kqt300/config" {
            let get = client.request("GET", plain, &[], b"").unwrap();
            get.is_fault(405, "method_not_allowed");
            assert!(get.header("Allow").unwrap().contains("POST"));
        }
        if method == "GET" && status == 200 {
            let head = client.request("HEAD", path, &[("X-Api-Key", "demo-key-900")], b"").unwrap();
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            assert_eq!(client.request("POST", "/api/access/health", &[], b"{}").unwrap().status, 405);
        }
    }
    client.request("GET", "/api/access/nothing", &[], b"").unwrap().is_fault(404, "not_found");
    client.request("GET", "/", &[], b"").unwrap().is_fault(404, "not_found");
    let health = client.request("GET", "/api/access/health", &[], b"").unwrap().json();
    assert_eq!(
        (&health["status"], health["device_connections"].as_u64()),
        (&json!("healthy"), Some(1)),
        "{health}"
    );
    assert!(health["timestamp"].is_string() && health["last_scan"].is_string(), "{health}");
    let status = server.get("/api/kqt300/status", "demo-key-001").json();
    assert_eq!(
        (&status["device_id"], &status["gate"], &status["commands_waiting"]),
        (&json!("KQT300_001"), &json!("ENTRANCE_01"), &json!(0)),
        "{status}"
    );
}

#[test]
fn requests_beyond_a_limit_are_named_and_never_run() {
    let site = Site::demo();
    let server = site.start();
    let big = |bytes: usize| {
        format!(r#"{{"api_key":"demo-key-900","qr_data":"DEMO-STD-000001","pad":"{}"}}"#, "x".repeat(bytes))
            .into_bytes()
    };
    let raw = |bytes: &[u8]| {
        let mut client = server.client();
        client.send(bytes).unwrap();
        client.answer(false).unwrap()
    };
    raw(&request_bytes("POST", VALIDATE, &[], &big(16 * 1024))).is_fault(413, "body_too_large");
    assert_eq!(raw(&request_bytes("POST", VALIDATE, &[], &big(15_000))).json()["access_granted"], true);
    let long = format!("/api/access/{}", "x".repeat(3_000));
    assert_eq!(raw(&request_bytes("GET", &long, &[], b"")).status, 414);
    let huge = "x".repeat(9_000);
    assert_eq!(raw(&request_bytes("GET", "/api/access/health", &[("X-Pad", &huge)], b"")).status, 431);
    assert_eq!(raw(b"POST /api/access/validate HTTP/1.1\r\nHost: g\r\n\r\n").status, 411);
    assert_eq!(
        raw(b"POST /api/access/validate HTTP/1.1\r\nHost: g\r\nExpect: cake\r\nContent-Length: 2\r\n\r\n{}")
            .status,
        417
    );
    assert_eq!(raw(b"GET /api/access/health HTTP/3.0\r\nHost: g\r\n\r\n").status, 505);
    assert_eq!(raw(b"GET /api/access/health HTTP/1.1\r\nHost: g\r\nContent-Length: x\r\n\r\n").status, 400);
    for chunked in ["Chunked", "chunked"] {
        let body = r#"{"api_key":"demo-key-900","qr_data":"DEMO-STAFF-002"}"#;
        let request = format!(
            "POST {VALIDATE} HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: {chunked}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        assert_eq!(raw(request.as_bytes()).json()["access_granted"], true);
    }
    let expecting = request_bytes(
        "POST",
        VALIDATE,
        &[("Expect", "100-continue")],
        br#"{"api_key":"demo-key-900","qr_data":"DEMO-STAFF-003"}"#,
    );
    assert_eq!(raw(&expecting).json()["access_granted"], true);
    let mut old = server.client();
    old.send(b"GET /api/access/health HTTP/1.0\r\n\r\n").unwrap();
    assert!(String::from_utf8(old.rest()).unwrap().contains(" 200 "), "HTTP/1.0 closes after its answer");
    let mut client = server.client();
    let piped: Vec<u8> = (0..20)
        .flat_map(|n| {
            request_bytes(
                "POST",
                VALIDATE,
                &[],
                scan_body(900, &format!("DEMO-STD-{:06}", 100 + n), &format!("p{n}")).as_bytes(),
            )
        })
        .collect();
    client.send(&piped).unwrap();
    for n in 0..20 {
        let value = client.answer(false).unwrap().json();
        assert_eq!((&value["scan_id"], &value["access_granted"]), (&json!(format!("p{n}")), &json!(true)));
    }
}

#[test]
fn the_101st_request_of_a_minute_is_limited_and_the_bench_device_never() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    for n in 1..=100 {
        let answer = client.post(VALIDATE, &scan_body(1, "DEMO-STAFF-001", &format!("r{n}")));
        assert_eq!(answer.status, 200, "{n}: {answer:?}");
        assert_eq!(answer.header("X-RateLimit-Limit"), Some("100"));
        assert_eq!(answer.header("X-RateLimit-Remaining"), Some((100 - n).to_string().as_str()));
        assert!(answer.header("X-RateLimit-Reset").unwrap().parse::<u64>().unwrap() > 1_600_000_000);
    }
    let limited = server.post(VALIDATE, &scan_body(1, "DEMO-STD-000001", "r101"));
    limited.is_fault(429, "rate_limited");
    assert_eq!(limited.header("X-RateLimit-Remaining"), Some("0"));
    let wait: u64 = limited.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // The refused request was no scan, and others are not limited by it.
    assert_eq!(server.scan(2, "DEMO-STD-000001", "other")["access_granted"], true);
    for n in 0..300 {
        assert_eq!(client.post(VALIDATE, &scan_body(900, "DEMO-STAFF-001", &format!("b{n}"))).status, 200);
    }
}

#[test]
fn every_answer_to_a_limited_device_says_where_it_stands_and_none_to_a_device_without_limit_does() {
    let site = Site::demo();
    let server = site.start();
    let names = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
    // Answers, refusals, faults found before and after the body is read, late answers, a long poll that ends in nothing.
    let requests = [
        ("POST", VALIDATE, r#"{"qr_data":"DEMO-STAFF-001"}"#, 200),
        ("POST", VALIDATE, r#"{"qr_data":"NEVER-SOLD"}"#, 200),
        ("POST", VALIDATE, "{", 400),
        ("POST", VALIDATE, r#"{"qr_data":"A","people":0}"#, 400),
        ("POST", VALIDATE, r#"{"qr_data":"A","device_id":"KQT300_002"}"#, 401),
        ("POST", "/api/access/check", r#"{"qr_data":"DEMO-STD-000001"}"#, 200),
        ("POST", "/api/access/annul", "{", 400),
        ("POST", "/api/access/annul", r#"{"scan_id":"none"}"#, 404),
        ("POST", "/api/access/turns", "{", 400),
        ("POST", "/api/access/offline", "[]", 200),
        ("POST", "/api/access/offline", "", 400),
        ("POST", "/api/kqt300/heartbeat", "{", 400),
        ("POST", "/api/kqt300/heartbeat", "{}", 200),
        ("GET", "/api/kqt300/status", "", 200),
        ("GET", "/api/kqt300/config", "", 200),
        ("GET", "/api/access/latest", "", 200),
        ("GET", "/api/access/poll?wait=x", "", 400),
        ("GET", "/api/access/poll?wait=1", "", 200),
    ];
    for (key, limited) in [("demo-key-001", true), ("demo-key-900", false)] {
        let mut client = server.client();
        let mut told = Vec::new();
        for (method, path, body, status) in requests {
            let answer = client.request(method, path, &[("X-Api-Key", key)], body.as_bytes()).unwrap();
            assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
            for name in names {
                let count = answer.headers.iter().filter(|(own, _)| own == name).count();
                assert_eq!(count, usize::from(limited), "{method} {path} {body} {name}: {answer:?}");
            }
            told.extend(answer.header(names[1]).map(|left| left.parse::<usize>().unwrap()));
        }
        let expected: Vec<usize> =
            if limited { (0..requests.len()).map(|n| 99 - n).collect() } else { vec![] };
        assert_eq!(told, expected, "each request is counted once");
        client.send(&request_bytes("GET", "/api/access/stream", &[("X-Api-Key", key)], b"")).unwrap();
        let (status, headers) = client.head().unwrap();
        assert_eq!(
            (status, headers.iter().filter(|(own, _)| names.contains(&own.as_str())).count()),
            (200, if limited { 3 } else { 0 })
        );
    }
}

#[test]
fn a_body_in_a_coding_is_refused_on_every_path_and_says_what_to_send() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    let body = br#"{"qr_data":"DEMO-STD-000001"}"#;
    for (method, path, _, _) in PATHS {
        if method == "POST" {
            let headers = [("X-Api-Key", "demo-key-900"), ("Content-Encoding", "gzip")];
            let answer = client.request(method, path, &headers, body).unwrap();
            answer.is_fault(415, "unsupported_media_type");
            assert!(answer.json()["message"].as_str().unwrap().contains("without compression"), "{answer:?}");
            assert_eq!(answer.header("Accept-Encoding"), Some("identity"));
        }
    }
    // The key is looked at first, where it can be seen; a device's own limit counts this too.
    let wrong = [("X-Api-Key", "demo-key-900"), ("Content-Encoding", "br")];
    client.request("POST", VALIDATE, &wrong, body).unwrap().is_fault(415, "unsupported_media_type");
    client.request("POST", VALIDATE, &wrong[1..], body).unwrap().is_fault(415, "unsupported_media_type");
    let limited = [("X-Api-Key", "demo-key-001"), ("Content-Encoding", "gzip")];
    let answer = client.request("POST", VALIDATE, &limited, body).unwrap();
    assert_eq!((answer.status, answer.header("X-RateLimit-Remaining")), (415, Some("99")), "{answer:?}");
    let reader = client
        .request("POST", "/d/demo-key-800/api/access/validate", &[("Content-Encoding", "gzip")], b"\x1f\x8b")
        .unwrap();
    assert_eq!(reader.status, 415);
    assert!(reader.text().starts_with("code=02ff") && keeps_shut(&reader.text()), "{reader:?}");
    // Which form it is, is seen from the body: no Content-Type is refused, and what is not coded passes.
    for (name, value) in [
        ("Content-Encoding", "identity"),
        ("Content-Encoding", "Identity"),
        ("Content-Encoding", ""),
        ("Content-Type", "text/html;charset=UTF-8"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Type", "image/png"),
    ] {
        let headers = [("X-Api-Key", "demo-key-900"), (name, value)];
        let answer = client.request("POST", VALIDATE, &headers, br#"{"qr_data":"DEMO-STAFF-001"}"#).unwrap();
        assert_eq!(answer.json()["access_granted"], true, "{name}: {value}: {answer:?}");
    }
    assert_eq!(server.scan(1, "DEMO-STD-000001", "after")["access_granted"], true, "none of them was a scan");
}

#[test]
fn a_body_that_cannot_be_read_is_what_has_to_be_mended_not_the_key_in_it() {
    let site = Site::demo();
    let server = site.start();
    let broken = r#"{"api_key":"demo-key-001","scan_id":"a" "qr_data":"DEMO-STD-000001"}"#;
    for path in [VALIDATE, "/api/access/annul", "/api/access/turns", "/api/kqt300/heartbeat"] {
        let answer = server.post(path, broken);
        answer.is_fault(400, "malformed_request");
        assert!(answer.json()["message"].as_str().unwrap().contains("JSON"), "{path}: {answer:?}");
        let known = server.client().request("POST", path, &[("X-Api-Key", "nobody's")], broken.as_bytes());
        known.unwrap().is_fault(401, "invalid_api_key");
    }
}

/// What an integrator sends at a first visit: with which token, how, and a word the answer must say.
const FIRST_VISITS: [(&str, &str, &str, &str, u16, &str); 16] = [
    ("", "POST", "/api/access/validate", r#"{"qr_data":"A"}"#, 401, "api_key in the body"),
    ("", "POST", "/api/access/offline", "[]", 401, "no key: send X-Api-Key"),
    ("", "GET", "/api/access/latest", "", 401, "no key: send X-Api-Key"),
    ("", "GET", "/api/kqt300/status", "", 401, "no key: send X-Api-Key"),
    ("wrong", "GET", "/api/access/stream", "", 401, "no device and no operator"),
    ("wrong", "GET", "/api/kqt300/status", "", 401, "this key belongs to no device"),
    ("demo-key-001", "GET", "/api/access/poll?after=x", "", 400, "after: "),
    ("demo-key-001", "GET", "/api/access/stream?after=x", "", 400, "after: "),
    ("demo-key-001", "POST", "/api/access/validate/", "{}", 404, "without a slash at the end"),
    ("demo-key-001", "POST", "/api/access/Validate", "{}", 404, "lower case"),
    ("demo-pass", "POST", "/api/kqt300/config", r#"{"settings":{"a":"b"}}"#, 400, "device_id: say which"),
    (
        "demo-pass",
        "POST",
        "/api/kqt300/config",
        r#"{"device_id":"KQT300_001"}"#,
        400,
        "settings: send an object",
    ),
    ("demo-pass", "POST", "/api/kqt300/access-control", r#"{"action":"lock"}"#, 400, "device_id: say which"),
    (
        "demo-pass",
        "POST",
        "/api/kqt300/access-control",
        r#"{"device_id":"KQT300_001"}"#,
        400,
        "action: one of",
    ),
    (
        "demo-pass",
        "POST",
        "/api/kqt300/access-control",
        r#"{"device_id":"KQT300_001","location":"ENTRANCE_02","action":"emergency_open"}"#,
        400,
        "location: this device does not stand there",
    ),
    (
        "demo-pass",
        "POST",
        "/api/kqt300/access-control",
        r#"{"device_id":"KQT300_001","location":"ENTRANCE_01","action":"reload"}"#,
        200,
        "KQT300_001",
    ),
];

#[test]
fn a_mistake_of_a_first_visit_is_told_with_what_to_do() {
    let site = Site::demo();
    let server = site.start();
    for (token, method, path, body, status, word) in FIRST_VISITS {
        let bearer = format!("Bearer {token}");
        let headers: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("Authorization", &bearer)] };
        let answer = server.client().request(method, path, headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        assert!(answer.text().contains(word), "{method} {path} {body}: {answer:?}");
    }
    let resumed = [("X-Api-Key", "demo-key-001"), ("Last-Event-ID", "x")];
    let answer = server.client().request("GET", "/api/access/stream", &resumed, b"").unwrap();
    answer.is_fault(400, "malformed_request");
    assert!(answer.text().contains("Last-Event-ID: "), "{answer:?}");
}

fn wire(client: &mut Client, body: &[u8]) -> Answer {
    client
        .request(
            "POST",
            "/d/demo-key-800/api/access/validate",
            &[("Content-Type", "text/html;charset=UTF-8")],
            body,
        )
        .unwrap()
}

/// Does a reader of the family keep its relay shut on this? It opens on codes 0 to 8, read as hexadecimal.
fn keeps_shut(text: &str) -> bool {
    let code = text.strip_prefix("code=").map(|rest| rest.split("&&").next().unwrap_or(rest));
    match code {
        None => true,
        Some(code) => u64::from_str_radix(code, 16).is_ok_and(|code| code > 8),
    }
}

#[test]
fn the_readers_own_format_opens_for_admissions_only() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    let good = wire(&mut client, b"vgdecoderesult=DEMO-STD-000001&&devicenumber=800&&otherparams=");
    assert_eq!(good.status, 200);
    assert!(good.header("Content-Type").unwrap().starts_with("text/plain"));
    let text = good.text();
    let json = text.strip_prefix("code=0000&&desc=json&&").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(serde_json::from_str::<Value>(json).unwrap()["resultCode"], "0000");
    for body in [
        "vgdecoderesult=DEMO-STD-000002&devicenumber=800",
        "vgdecoderresult=DEMO-STD-000003&&devicenumber=800\r\n",
        "vgdecoderesultDEMO-STD-000004devicenumber800otherparams",
        "DEMO-STD-000005",
        r#"{"vgdecoderesult":"DEMO-STD-000006","devicenumber":"800"}"#,
        "vgdecoderesult=F6E5D4C3B2A104&&devicenumber=800",
    ] {
        assert!(wire(&mut client, body.as_bytes()).text().starts_with("code=0000"), "{body}");
    }
    for (code, ..) in REFUSALS.iter().filter(|row| row.0 != "DEMO-GATE02") {
        let refused = wire(&mut client, format!("vgdecoderesult={code}&&devicenumber=800").as_bytes());
        assert_eq!(refused.status, 200, "a refusal is an answer");
        assert!(refused.text().starts_with("code=02ff&&msg=\""), "{code}: {refused:?}");
        assert!(keeps_shut(&refused.text()));
    }
    let beat = wire(&mut client, b"vgdecoderesult=HB&&devicenumber=800");
    assert_eq!((beat.status, keeps_shut(&beat.text())), (200, true));
    assert!(!beat.text().starts_with("code="));
    let page = server.metrics();
    assert!(
        page.contains(r#"gatehouse_denials_total{reason="unknown_ticket"} 1"#),
        "a heartbeat is no ticket: {page}"
    );
    assert!(page.contains(r#"gatehouse_profile_scans_total{profile="vguang",decision="admit"} 7"#), "{page}");
}

#[test]
fn the_readers_own_format_stays_shut_on_every_fault() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    let bodies: [&[u8]; 9] = [
        b"",
        b"vgdecoderesult=&&devicenumber=800",
        b"&&devicenumber=800",
        b"vgdecoderesult=DEMO-STD-000001&&devicenumber=801",
        b"{\"vgdecoderesult\":",
        b"vgdecoderesult=\xff\xfe&&devicenumber=800",
        b"{}",
        b"[1]",
        b"vgdecoderesult=code=0000&&desc=json&&{\"resultCode\":\"0000\"}&&devicenumber=800",
    ];
    for body in bodies {
        let answer = wire(&mut client, body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.starts_with("code=02ff"), "{:?}: {answer:?}", String::from_utf8_lossy(body));
        assert!(keeps_shut(&text));
    }
    let long = format!("vgdecoderesult={}&&devicenumber=800", "9".repeat(300));
    assert!(wire(&mut client, long.as_bytes()).text().starts_with("code=02ff"));
    let wrong_key = client
        .request(
            "POST",
            "/d/demo-key-801/api/access/validate",
            &[],
            b"vgdecoderesult=DEMO-STD-000001&&devicenumber=800",
        )
        .unwrap();
    assert_eq!(wrong_key.status, 401);
    assert!(keeps_shut(&wrong_key.text()));
    let mut limited = None;
    for _ in 0..101 {
        let answer = wire(&mut client, b"vgdecoderesult=DEMO-STD-000009&&devicenumber=800");
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("the reader has a limit of 100");
    assert!(limited.text().starts_with("code=02ff"), "{limited:?}");
}

#[test]
fn the_api_port_serves_the_reading_paths_to_signed_in_people() {
    let site = Site::demo();
    let server: Server = site.start();
    server.scan(1, "DEMO-VIP-0001", "seen");
    let mut client = Client::to(server.api);
    let bearer = format!("Bearer {DEMO_TOKEN}");
    let latest = client.request("GET", "/api/access/latest", &[("Authorization", &bearer)], b"").unwrap();
    assert_eq!(
        (&latest.json()["scan"]["scan_id"], &latest.json()["scan"]["customer_name"]),
        (&json!("seen"), &json!("John Doe"))
    );
    assert_eq!(
        client.request("GET", "/api/access/poll?after=0", &[("Authorization", &bearer)], b"").unwrap().status,
        200
    );
    assert_eq!(client.request("GET", "/api/access/latest", &[], b"").unwrap().status, 401);
    assert_eq!(client.request("GET", "/api/access/health", &[], b"").unwrap().status, 200);
    assert_eq!(
        client
            .request("POST", VALIDATE, &[], scan_body(1, "DEMO-STD-000001", "x").as_bytes())
            .unwrap()
            .status,
        404,
        "nobody scans here"
    );
    for path in [
        "/api/v1/venue",
        "/api/v1/tickets/import?event=demo-match",
        "/api/v1/tickets/status",
        "/api/v1/operators",
        "/api/v1/local/operators",
    ] {
        assert_eq!(client.request("POST", path, &[], b"{}").unwrap().status, 401, "{path}");
        assert_eq!(
            client.request("POST", path, &[("Authorization", "Bearer demo-key-001")], b"{}").unwrap().status,
            401,
            "{path}"
        );
    }
}
