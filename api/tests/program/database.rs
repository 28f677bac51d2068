//! A node in front of a real PostgreSQL server that is stopped, killed and started again: no gate notices, and every
//! scan is in the access log once.

use crate::postgres::Database;
use crate::support::{Server, Site, scan_body, until, venue, venue_scan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const VALIDATE: &str = "/api/access/validate";
/// After so long a turnstile's controller drops a grant.
const GRANT_DROPPED_AFTER: Duration = Duration::from_secs(5);

/// How often each scan is in the access log.
fn logged(site: &Site) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for row in site.exported() {
        *ids.entry(row["scan_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    ids
}

/// Scans without a pause until told to stop; every one must be answered with a decision. Gives the ids.
pub fn scan_until(server: &Server, stop: &AtomicBool, done: &AtomicU32, lane: u32) -> Vec<String> {
    let mut client = server.client();
    client.patience(GRANT_DROPPED_AFTER);
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (number, id) = (ids.len() as u32, format!("lane{lane}-{}", ids.len()));
        let code = format!("DEMO-STD-{:06}", 1 + lane * 10_000 + number % 10_000);
        let answer = client.post(VALIDATE, &scan_body(900, &code, &id));
        assert_eq!(answer.status, 200, "{answer:?}");
        let admitted = answer.json()["access_granted"] == json!(true);
        assert_eq!(admitted, number < 10_000, "{answer:?}");
        ids.push(id);
        done.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

fn after_more(done: &AtomicU32, count: u32) {
    let target = done.load(Ordering::Relaxed) + count;
    until("more scans", || (done.load(Ordering::Relaxed) >= target).then_some(()));
}

#[test]
fn scans_and_changes_reach_the_database_and_are_exported_from_there() {
    let database = Database::start();
    let site = database.site();
    let server = site.start();
    assert_eq!(server.scan(900, "DEMO-STD-000001", "one")["access_granted"], true);
    assert_eq!(server.scan(900, "DEMO-BLOCKED", "two")["reason"], "blocked");
    server.projected();
    let rows = site.exported();
    let of = |id: &str| rows.iter().find(|row| row["scan_id"] == id).unwrap();
    assert_eq!((&of("one")["access_granted"], &of("two")["reason"]), (&json!(true), &json!("blocked")));
    assert!(!site.data().join("store.sqlite").exists(), "there is no embedded store beside it");
    let shown = site.command(&["print-config"]).well().said();
    assert!(!shown.contains("only-for-tests"), "the password is not shown: {shown}");
    server.stop();
}

#[test]
fn a_database_that_is_stopped_and_killed_is_not_noticed_at_the_gates_and_nothing_is_lost_or_doubled() {
    let mut database = Database::start();
    let site = database.site();
    let server = site.start();
    let (stop, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let ids: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..3)
            .map(|lane| {
                let (server, stop, done) = (&server, &stop, &done);
                scope.spawn(move || scan_until(server, stop, done, lane))
            })
            .collect();
        after_more(&done, 500);
        database.server.stop();
        after_more(&done, 1_500);
        assert!(server.metric("gatehouse_projection_lag_records") >= 1_000.0, "the lag tells the truth");
        database.server.resume();
        after_more(&done, 500);
        database.server.kill();
        after_more(&done, 1_000);
        database.server.resume();
        after_more(&done, 500);
        stop.store(true, Ordering::Relaxed);
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    server.projected();
    let logged = logged(&site);
    assert!(ids.iter().all(|id| logged.get(id) == Some(&1)), "each scan once");
    assert_eq!(logged.len(), ids.len(), "and no other");
    server.stop();
}

#[test]
fn with_its_own_files_a_node_starts_while_the_database_is_away_and_catches_up() {
    let mut database = Database::start();
    let site = database.site();
    let server = site.start();
    assert_eq!(server.scan(900, "DEMO-STD-000001", "before")["access_granted"], true);
    server.projected();
    server.kill();
    database.server.stop();
    let server = site.start();
    assert_eq!(server.scan(900, "DEMO-STD-000001", "again")["reason"], "already_used");
    assert_eq!(server.scan(900, "DEMO-STD-000002", "meanwhile")["access_granted"], true);
    assert!(site.log().contains("gates open without the store"), "{}", site.log());
    database.server.resume();
    server.projected();
    let logged = logged(&site);
    assert!(["before", "again", "meanwhile"].iter().all(|id| logged.get(*id) == Some(&1)), "{logged:?}");
    server.stop();
}

#[test]
fn a_node_that_lost_its_files_goes_on_from_the_database_and_does_not_start_without_it() {
    let mut database = Database::start();
    let site = database.site();
    let server = site.start();
    let first = server.post(VALIDATE, &scan_body(900, "DEMO-VIP-0001", "first"));
    server.projected();
    server.stop();
    site.lose_data();
    database.server.stop();
    let done = site.fails_to_start();
    assert_eq!(done.code, 70, "{done:?}");
    assert!(done.err.contains("only the store can tell whether this node is new"), "{done:?}");
    database.server.resume();
    let server = site.start();
    assert_eq!(server.post(VALIDATE, &scan_body(900, "DEMO-VIP-0001", "first")).body, first.body);
    assert_eq!(server.scan(900, "DEMO-VIP-0001", "second")["reason"], "already_inside");
    server.projected();
    assert!(logged(&site).values().all(|count| *count == 1));
    server.stop();
}

#[test]
fn a_code_that_may_be_in_the_database_alone_is_unavailable_without_it_and_never_called_unknown() {
    let mut database = Database::start();
    let site = database.on(Site::venue("CUP-1,SEAT,\n"));
    // What was imported before lies in an embedded store: this node begins anew, with the database.
    site.lose_data();
    site.command(&["import", "venue", &site.file("venue.toml", venue().as_bytes())]).well();
    let spring = "[[event]]\nname = 'spring'\ntitle = 'Spring Gala'\ntime_zone = 'UTC'\n\
                  doors_open = '2089-01-01T00:00:00Z'\nstarts = '2089-01-01T01:00:00Z'\nends = '2090-01-01T00:00:00Z'\n\
                  [[type]]\nname = 'SEAT'\nevent = 'spring'\nentries = 1\n";
    site.command(&["import", "venue", &site.file("spring.toml", spring.as_bytes())]).well();
    let list = site.file("spring.csv", b"code,type\nSPRING-1,SEAT\n");
    site.command(&["import", "tickets", "--event", "spring", &list]).well();
    let server = site.start();
    until("the ticket to leave the memory", || (server.metric("gatehouse_cold_codes") >= 1.0).then_some(()));
    let ask = |server: &Server, code: &str, id: &str| server.post(VALIDATE, &venue_scan(code, id));
    assert_eq!(ask(&server, "SPRING-1", "a").json()["reason"], "wrong_event");
    assert_eq!(ask(&server, "NOBODY", "b").json()["reason"], "unknown_ticket");
    server.kill();
    database.server.stop();
    // Nobody knows now which codes the database has.
    let server = site.start();
    ask(&server, "SPRING-1", "c").is_fault(503, "unavailable");
    ask(&server, "NOBODY", "d").is_fault(503, "unavailable");
    database.server.resume();
    let found = until("the codes to be known again", || {
        let value: Value = ask(&server, "NOBODY", "d").json();
        (value["reason"] == "unknown_ticket").then_some(value)
    });
    assert_eq!(found["access_granted"], false);
    assert_eq!(ask(&server, "SPRING-1", "c").json()["reason"], "wrong_event");
    server.stop();
}

#[test]
fn every_mistake_about_the_database_is_told_before_the_start() {
    let done = |environment: &[(&str, &str)]| crate::support::run_with(&["check-config"], environment);
    let bad = done(&[("GATEHOUSE_STORE", "postgres"), ("GATEHOUSE_DATABASE_TLS", "maybe"), ("DB_PORT", "x")]);
    assert_eq!(bad.code, 64, "{bad:?}");
    for part in ["which one? set database_url", "disable, prefer or require", "database_port = 'x'"] {
        assert!(bad.said().contains(part), "{part}: {bad:?}");
    }
    done(&[
        ("DB_HOST", "db"),
        ("DB_DATABASE", "ticketing_system"),
        ("DB_USERNAME", "u"),
        ("DB_PASSWORD", "p"),
    ])
    .well();
    done(&[("GATEHOUSE_STORE", "sqlite"), ("DATABASE_URL", "postgres://elsewhere/x")]).well();
}
