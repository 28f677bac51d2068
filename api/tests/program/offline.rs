//! Scans made while a device was cut off: recorded as they were shown, conflicts for people, nothing twice.

use crate::support::{Answer, Server, Site, scan_body};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn upload(server: &Server, body: &str) -> Answer {
    server
        .client()
        .request("POST", "/api/access/offline", &[("X-Api-Key", "demo-key-001")], body.as_bytes())
        .unwrap()
}

fn now() -> String {
    // The server's own clock: the rows must lie after the doors opened.
    "2099-01-01T00:00:00Z".to_owned()
}

fn row(code: &str, granted: bool, id: &str) -> String {
    json!({"qr_data": code, "timestamp": now(), "access_granted": granted, "scan_id": id}).to_string()
}

fn counts(server: &Server) -> Vec<String> {
    let page = server.metrics();
    let counted = |line: &&str| {
        ["gatehouse_denials", "gatehouse_gate_", "gatehouse_zone", "gatehouse_conflicts"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    page.lines().filter(counted).map(str::to_owned).collect()
}

fn outcomes(value: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    value["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["row"].as_u64().unwrap(), text(&row["outcome"]), text(&row["reason"])))
        .collect()
}

#[test]
fn an_upload_is_recorded_as_it_was_shown_and_again_it_is_known() {
    let site = Site::demo();
    let server = site.start();
    server.scan(2, "DEMO-STD-000009", "used-meanwhile");
    let rows = [
        row("DEMO-STD-000001", true, "o1"),
        row("DEMO-STD-000009", true, "o2"),
        row("DEMO-BLOCKED", true, "o3"),
        row("DEMO-STD-000002", false, "o4"),
        "nonsense".to_owned(),
        String::new(),
        row("DEMO-STD-000001", true, "o5"),
        r#"{"qr_data":"DEMO-STD-000003","access_granted":true}"#.to_owned(),
        row("DEMO-STD-000004", true, "o6").replace('{', r#"{"device_id":"KQT300_002","#),
    ];
    let first = upload(&server, &rows.join("\n"));
    assert_eq!(first.status, 200, "{first:?}");
    let value = first.json();
    let expected = [
        (1, "admitted", "-"),
        (2, "conflict", "already_used"),
        (3, "conflict", "blocked"),
        (4, "denied", "unknown_ticket"),
        (5, "rejected", "-"),
        (7, "conflict", "already_used"),
        (8, "rejected", "-"),
        (9, "rejected", "-"),
    ];
    assert_eq!(
        outcomes(&value),
        expected.map(|(row, outcome, reason)| (row, outcome.to_owned(), reason.to_owned())),
        "{value}"
    );
    assert_eq!(
        (&value["accepted"], &value["rejected"], &value["conflicts"], &value["status"]),
        (&json!(5), &json!(3), &json!(3), &json!("partial"))
    );
    assert_eq!(server.metric("gatehouse_conflicts"), 3.0);
    let before = counts(&server);
    let again = upload(&server, &rows.join("\n")).json();
    assert!(
        outcomes(&again).iter().all(|(_, outcome, _)| outcome == "known" || outcome == "rejected"),
        "{again}"
    );
    let array = format!("[{},{}]", rows[0], rows[1]);
    assert_eq!(outcomes(&upload(&server, &array).json()).iter().filter(|row| row.1 == "known").count(), 2);
    assert_eq!(counts(&server), before, "an upload that is sent again counts nothing");
    assert_eq!(server.scan(3, "DEMO-STD-000001", "later")["reason"], "already_used");
    let before = counts(&server);
    server.kill();
    let server = site.start();
    assert_eq!(counts(&server), before, "counts survive a crash");
    let known = upload(&server, &rows.join("\n")).json();
    assert!(
        outcomes(&known).iter().all(|(_, outcome, _)| outcome == "known" || outcome == "rejected"),
        "{known}"
    );
}

#[test]
fn an_answer_that_was_lost_is_not_counted_again_by_the_upload() {
    let site = Site::demo();
    let server = site.start();
    let body =
        json!({"api_key": "demo-key-001", "qr_data": "DEMO-STD-000001", "timestamp": "2024-05-01T10:00:00Z"})
            .to_string();
    assert_eq!(server.post("/api/access/validate", &body).json()["access_granted"], true);
    let before = counts(&server);
    let value = upload(
        &server,
        r#"{"qr_data":"DEMO-STD-000001","timestamp":"2024-05-01T10:00:00Z","access_granted":true}"#,
    )
    .json();
    assert_eq!(outcomes(&value)[0].1, "known", "{value}");
    assert_eq!(counts(&server), before);
}

#[test]
fn a_long_upload_lets_other_devices_be_answered() {
    const ROWS: usize = 20_000;
    let site = Site::demo();
    let server = site.start();
    let body: String =
        (1..=ROWS).map(|n| row(&format!("DEMO-STD-{n:06}"), true, &format!("long-{n}")) + "\n").collect();
    let (done, server) = (AtomicBool::new(false), &server);
    let worst = std::thread::scope(|scope| {
        let uploading = scope.spawn(|| {
            let value = upload(server, &body).json();
            done.store(true, Ordering::SeqCst);
            value
        });
        let (mut client, mut worst, mut number) = (server.client(), Duration::ZERO, 0);
        while !done.load(Ordering::SeqCst) {
            number += 1;
            let began = Instant::now();
            let answer = client.post(
                "/api/access/validate",
                &scan_body(900, "DEMO-STAFF-001", &format!("meanwhile-{number}")),
            );
            assert_eq!(answer.status, 200);
            worst = worst.max(began.elapsed());
        }
        let value = uploading.join().unwrap();
        assert_eq!(
            (&value["accepted"], &value["rejected"], &value["conflicts"]),
            (&json!(ROWS), &json!(0), &json!(0))
        );
        assert!(number > 3, "nobody was answered meanwhile");
        worst
    });
    // Readers give up after two seconds.
    assert!(worst < Duration::from_secs(2), "another device waited {worst:?}");
    let before = counts(server);
    let again = upload(server, &body).json();
    assert!(outcomes(&again).iter().all(|(_, outcome, _)| outcome == "known"));
    assert_eq!(counts(server), before);
    server.projected();
    assert_eq!(site.exported().iter().filter(|row| row["kind"] == "offline").count(), ROWS);
}

#[test]
fn two_uploads_at_once_are_taken_in_one_after_the_other() {
    const ROWS: usize = 3_000;
    let site = Site::demo().set("GATEHOUSE_WORKERS", "1");
    let server = site.start();
    let body = |who: &str, first: usize| -> String {
        let code = |n: usize| format!("DEMO-STD-{:06}", first + n);
        (0..ROWS).map(|n| row(&code(n), true, &format!("{who}-{n}")) + "\n").collect()
    };
    let (one, other, together) = (body("one", 1), body("other", 10_001), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        for body in [&one, &other] {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                together.wait();
                assert_eq!(upload(server, body).json()["accepted"], json!(ROWS));
            });
        }
    });
    server.projected();
    let order: Vec<bool> =
        site.exported().iter().map(|scan| scan["scan_id"].as_str().unwrap().starts_with("one-")).collect();
    let turns = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((order.len(), turns), (2 * ROWS, 1), "a guest would wait for a turn of each");
}

#[test]
fn an_upload_beyond_its_limit_is_refused_whole() {
    let site = Site::demo();
    let server = site.start();
    let body = row("DEMO-STD-000001", true, "big") + &"\n".repeat(4 * 1024 * 1024);
    let bytes = crate::support::request_bytes(
        "POST",
        "/api/access/offline",
        &[("X-Api-Key", "demo-key-001")],
        body.as_bytes(),
    );
    let mut client = server.client();
    client.send(&bytes[..100_000]).unwrap();
    client.answer(false).unwrap().is_fault(413, "body_too_large");
    assert_eq!(server.scan(1, "DEMO-STD-000001", "free")["access_granted"], true);
    let empty = upload(&server, " \n");
    empty.is_fault(400, "malformed_request");
    assert_eq!(server.post("/api/access/offline", "[]").status, 401);
}
