//! The same scan gets the same answer, whatever changed since; and of many scans at once one admits.

use crate::support::{Answer, Client, Server, Site, scan_body};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Barrier;

const VALIDATE: &str = "/api/access/validate";

fn send(server: &Server, body: &str) -> Answer {
    let answer = server.post(VALIDATE, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Scans of every kind of answer, each with an id of another kind.
fn bodies() -> Vec<String> {
    let mut bodies: Vec<String> = [
        "DEMO-STD-000001",
        "DEMO-STD-000001",
        "DEMO-VIP-0001",
        "DEMO-BLOCKED",
        "DEMO-LATE",
        "NEVER-SOLD",
        "DEMO-OTHER",
        "DEMO-GATE02",
        "DEMO-SPECIMEN",
    ]
    .iter()
    .enumerate()
    .map(|(n, code)| scan_body(1, code, &format!("retry-{n}")))
    .collect();
    bodies.push(r#"{"device_id":"KQT300_002","api_key":"demo-key-002","qr_data":"DEMO-STD-000002","timestamp":"2024-01-15T10:30:00Z"}"#.to_owned());
    bodies.push(r#"{"device_id":"KQT300_002","api_key":"demo-key-002","qr_data":"DEMO-STD-000003","nonce":"nonce-1"}"#.to_owned());
    bodies
}

#[test]
fn an_accepted_scan_gets_the_same_bytes_after_block_restart_and_kill() {
    let site = Site::demo();
    let server = site.start();
    let first: Vec<(String, Answer)> =
        bodies().into_iter().map(|body| (body.clone(), send(&server, &body))).collect();
    let same = |server: &Server, when: &str| {
        for (body, answer) in &first {
            let again = send(server, body);
            assert_eq!(again.text(), answer.text(), "{when}: {body}");
        }
    };
    assert_eq!(first[0].1.json()["access_granted"], true);
    assert_eq!(first[9].1.json()["access_granted"], true);
    same(&server, "at once");
    for code in ["DEMO-STD-000001", "DEMO-STD-000002", "DEMO-STD-000003", "DEMO-VIP-0001"] {
        let done = site.command(&["ticket", "block", code]).well();
        assert!(done.out.contains("blocked"), "{done:?}");
    }
    assert_eq!(server.scan(5, "DEMO-STD-000002", "fresh")["reason"], "blocked");
    same(&server, "blocked");
    server.kill();
    let server = site.start();
    same(&server, "killed");
    server.stop();
    let server = site.start();
    same(&server, "stopped");
    server.kill();
    let server = site.start();
    same(&server, "killed after a stop");
    assert_eq!(server.scan(5, "DEMO-STD-000001", "fresh-2")["reason"], "blocked");
}

#[test]
fn an_id_belongs_to_one_scan_and_the_header_goes_before_the_body() {
    let site = Site::demo();
    let server = site.start();
    assert_eq!(server.scan(1, "DEMO-STD-000001", "mine")["access_granted"], true);
    server.post(VALIDATE, &scan_body(1, "DEMO-STD-000002", "mine")).is_fault(409, "scan_id_conflict");
    server
        .post("/api/access/test-scan", &scan_body(1, "DEMO-STD-000001", "mine"))
        .is_fault(409, "scan_id_conflict");
    // Another device's ids are its own.
    assert_eq!(server.scan(2, "DEMO-STD-000002", "mine")["access_granted"], true);
    let keyed = |key: &str, body: &str| {
        server.client().request("POST", VALIDATE, &[("Idempotency-Key", key)], body.as_bytes()).unwrap()
    };
    let first = keyed("header", &scan_body(1, "DEMO-STD-000003", "body-a"));
    assert_eq!(first.json()["scan_id"], "header");
    assert_eq!(keyed("header", &scan_body(1, "DEMO-STD-000003", "body-b")).text(), first.text());
    keyed("header", &scan_body(1, "DEMO-STD-000004", "body-c")).is_fault(409, "scan_id_conflict");
    assert_eq!(server.scan(1, "DEMO-STD-000004", "body-c")["access_granted"], true);
    keyed(&"x".repeat(129), &scan_body(1, "DEMO-STD-000005", "y")).is_fault(400, "malformed_request");
    // The same second of the device's clock, another code: another scan.
    let stamped = |code: &str| {
        server
            .post(
                VALIDATE,
                &format!(
                    r#"{{"api_key":"demo-key-001","qr_data":"{code}","timestamp":"2024-01-15T10:30:00Z"}}"#
                ),
            )
            .json()
    };
    assert_eq!(stamped("DEMO-STD-000006")["access_granted"], true);
    assert_eq!(stamped("DEMO-STD-000007")["access_granted"], true);
    assert_eq!(stamped("DEMO-STD-000006")["access_granted"], true);
}

#[test]
fn the_same_code_without_an_id_is_one_scan_within_the_repeat_window() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    let body = r#"{"api_key":"demo-key-001","qr_data":"DEMO-STD-000001"}"#;
    let first = client.post(VALIDATE, body);
    let again = client.post(VALIDATE, body);
    assert_eq!(first.json()["access_granted"], true);
    assert_eq!(first.text(), again.text(), "within 3 s it is a repeat");
    assert_eq!(server.metric("gatehouse_repeated_scans_total"), 1.0);
    assert_eq!(server.metric(r#"gatehouse_gate_admits_total{gate="ENTRANCE_01"}"#), 1.0);
    let elsewhere = server.post(VALIDATE, r#"{"api_key":"demo-key-002","qr_data":"DEMO-STD-000001"}"#).json();
    assert_eq!(elsewhere["reason"], "already_used");
}

/// A venue file with devices without rate limit, one for each lane.
fn lanes(count: usize) -> String {
    (1..=count).map(|n| format!("[[device]]\nname = 'LANE_{n:02}'\ngate = 'ENTRANCE_{n:02}'\nkey = 'lane-key-{n:02}'\nrate_per_minute = 0\n")).collect()
}

#[test]
fn of_32_scans_at_once_exactly_one_admits() {
    const LANES: usize = 32;
    const TICKETS: usize = 200;
    let site = Site::demo();
    let server = site.start();
    site.command(&["import", "venue", &site.file("lanes.toml", lanes(LANES).as_bytes())]).well();
    let barrier = Barrier::new(LANES);
    let lane = |lane: usize| -> Vec<Value> {
        let mut client = server.client();
        (1..=TICKETS)
            .map(|ticket| {
                let body = format!(r#"{{"api_key":"lane-key-{lane:02}","qr_data":"DEMO-STD-{ticket:06}","scan_id":"{ticket}"}}"#);
                barrier.wait();
                client.post(VALIDATE, &body).json()
            })
            .collect()
    };
    let all: Vec<Vec<Value>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=LANES)
            .map(|number| {
                scope.spawn({
                    let lane = &lane;
                    move || lane(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for ticket in 0..TICKETS {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for answers in &all {
            *outcomes.entry(answers[ticket]["reason"].to_string()).or_default() += 1;
        }
        assert_eq!(
            outcomes,
            BTreeMap::from([("\"already_used\"".to_owned(), LANES - 1), ("null".to_owned(), 1)]),
            "ticket {ticket}"
        );
    }
    assert_eq!(server.metric(r#"gatehouse_zone_people{zone="BOWL"}"#), TICKETS as f64);
    server.projected();
    let admitted = site.exported().iter().filter(|row| row["access_granted"] == json!(true)).count();
    assert_eq!(admitted, TICKETS);
}

#[test]
fn one_scan_on_many_connections_at_once_is_one_scan() {
    let site = Site::demo();
    let server = site.start();
    for round in 0..40 {
        let code = format!("DEMO-STD-{:06}", 1_000 + round);
        let barrier = Barrier::new(8);
        let answers: Vec<String> = std::thread::scope(|scope| {
            let send = || {
                let mut client = Client::to(server.device);
                barrier.wait();
                client.post(VALIDATE, &scan_body(900, &code, &format!("same-{round}"))).text()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers[0].contains("\"access_granted\":true"), "{}", answers[0]);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
    assert_eq!(server.metric(r#"gatehouse_gate_admits_total{gate="ENTRANCE_01"}"#), 40.0);
}

/// Not even a change of what the answer is made of changes it: the venue's clock, the device's display.
#[test]
fn a_retry_is_the_same_after_the_venue_was_changed() {
    let site = Site::venue("A,SEAT,Ann\nB,SEAT,Bo\n");
    let server = site.start();
    let scans = [
        crate::support::venue_scan("A", "v1"),
        crate::support::venue_scan("A", "v2"),
        crate::support::venue_scan("B", "v3"),
    ];
    let first: Vec<String> = scans.iter().map(|body| send(&server, body).text()).collect();
    assert!(first[1].contains("already_used"), "{}", first[1]);
    let changed = crate::support::venue().replace("time_zone = 'UTC'", "time_zone = 'Asia/Tokyo'");
    site.command(&["import", "venue", &site.file("changed.toml", changed.as_bytes())]).well();
    let again: Vec<String> = scans.iter().map(|body| send(&server, body).text()).collect();
    assert_eq!(again, first);
}
