//! SIGKILL under load, again and again on one data directory, and an auditor who believes only the bytes that
//! were received.

use crate::audit::audit as audit_rows;
use crate::postgres::Database;
use crate::support::{Client, Server, Site, scan_body};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store_testkit::Session;

const KILLS: u64 = 20;
const CLIENTS: u64 = 8;
const VALIDATE: &str = "/api/access/validate";

/// What the clients know.
#[derive(Default)]
struct Known {
    /// Every request that was sent: id to code.
    sent: BTreeMap<String, String>,
    /// Every answer that was received in full: id to bytes.
    received: HashMap<String, Vec<u8>>,
}

impl Known {
    fn merge(&mut self, other: Known) {
        self.sent.extend(other.sent);
        for (id, body) in other.received {
            let before = self.received.insert(id.clone(), body.clone());
            assert!(before.is_none_or(|before| before == body), "{id} got two answers");
        }
    }
}

/// Scans until the server is gone.
fn client(server: &Server, prefix: &str, fresh: &AtomicU64, stop: &AtomicBool) -> Known {
    let mut known = Known::default();
    let Ok(mut client) = Client::try_to(server.device) else { return known };
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        // Every third scan presents a code that may have been used.
        let code = match number % 3 {
            0 => fresh.load(Ordering::Relaxed).saturating_sub(number % 50),
            _ => fresh.fetch_add(1, Ordering::Relaxed),
        };
        let (id, code) = (format!("{prefix}-{number}"), format!("DEMO-STD-{:06}", code.max(1)));
        known.sent.insert(id.clone(), code.clone());
        match client.request("POST", VALIDATE, &[], scan_body(900, &code, &id).as_bytes()) {
            Ok(answer) if answer.status == 200 => drop(known.received.insert(id, answer.body)),
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => break,
        }
    }
    known
}

/// Loads the server for a while and kills it in the middle.
fn load_and_kill(server: Server, generation: u64, fresh: &AtomicU64) -> Known {
    let stop = AtomicBool::new(false);
    let mut all = Known::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (server, stop) = (&server, &stop);
                scope.spawn(move || client(server, &format!("g{generation}c{number}"), fresh, stop))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(60 + generation * 37 % 150));
        server.signal(rustix::process::Signal::KILL);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| all.merge(thread.join().unwrap()));
    });
    server.kill();
    all
}

/// Asks for these ids again; what was received before must come again byte for byte, the rest gets its answer.
fn audit(server: &Server, known: &mut Known, ids: &[String]) {
    let sent = &known.sent;
    let answers: Vec<(String, Vec<u8>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = ids
            .chunks(ids.len().div_ceil(CLIENTS as usize).max(1))
            .map(|part| {
                scope.spawn(move || {
                    let mut client = server.client();
                    let ask = |id: &String| {
                        (id.clone(), client.post(VALIDATE, &scan_body(900, &sent[id], id)).body)
                    };
                    part.iter().map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (id, body) in answers {
        if let Some(before) = known.received.get(&id) {
            assert_eq!(
                String::from_utf8_lossy(before),
                String::from_utf8_lossy(&body),
                "{id} is answered differently after the crash"
            );
        }
        known.received.insert(id, body);
    }
}

fn assert_one_admission_each(known: &Known) {
    let mut admitted: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut scanned = BTreeSet::new();
    for (id, body) in &known.received {
        let value: Value = serde_json::from_slice(body).unwrap();
        let code = known.sent[id].as_str();
        scanned.insert(code);
        if value["access_granted"] == json!(true) {
            admitted.entry(code).or_default().push(id);
        } else {
            assert_eq!(value["reason"], "already_used", "{id}: {value}");
        }
    }
    for code in scanned {
        assert_eq!(admitted.get(code).map_or(0, Vec::len), 1, "{code}: {:?}", admitted.get(code));
    }
}

/// A start that is killed before it is ready must not hurt either.
fn kill_while_starting(site: &Site, generation: u64) {
    let (mut child, _) = site.spawn();
    std::thread::sleep(Duration::from_millis(generation * 53 % 400));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
}

fn assert_exported(site: &Site, known: &Known) {
    let mut rows: HashMap<String, Vec<Value>> = HashMap::new();
    for row in site.exported() {
        rows.entry(row["scan_id"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    for (id, body) in &known.received {
        let found = rows.get(id).map_or(&[][..], Vec::as_slice);
        assert_eq!(found.len(), 1, "{id} is in the access log {} times", found.len());
        let value: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            (&found[0]["access_granted"], &found[0]["reason"]),
            (&value["access_granted"], &value["reason"]),
            "{id}"
        );
        assert_eq!(found[0]["code"], known.sent[id].as_str());
    }
    assert_eq!(rows.len(), known.received.len(), "the access log holds scans nobody made");
}

#[test]
fn what_was_answered_survives_twenty_kills_and_no_ticket_admits_twice() {
    survives_twenty_kills(&Site::demo());
}

#[test]
fn with_a_database_server_rows_and_cursor_agree_after_twenty_kills() {
    let database = Database::start();
    let site = database.site();
    survives_twenty_kills(&site);
    audit_rows(&site.journal(), &Session::open(&database.server.url("postgres")));
}

fn survives_twenty_kills(site: &Site) {
    let (fresh, mut known) = (AtomicU64::new(1), Known::default());
    let mut server = site.start();
    let began = Instant::now();
    for generation in 0..KILLS {
        let new = load_and_kill(server, generation, &fresh);
        let ids: Vec<String> = new.sent.keys().cloned().collect();
        known.merge(new);
        if generation % 4 == 1 {
            kill_while_starting(site, generation);
        }
        server = site.start();
        audit(&server, &mut known, &ids);
    }
    let ids: Vec<String> = known.sent.keys().cloned().collect();
    audit(&server, &mut known, &ids);
    assert_one_admission_each(&known);
    server.projected();
    assert_exported(site, &known);
    server.stop();
    let verified = site.command(&["journal", "verify", &site.journal().display().to_string()]).well();
    assert!(verified.out.contains("records"), "{verified:?}");
    assert_exported(site, &known);
    eprintln!("{} scans over {KILLS} kills in {:?}", ids.len(), began.elapsed());
    assert!(ids.len() > 500, "there was hardly any load: {}", ids.len());
}

/// The reader's first request after a crash may be the retry, on a server whose checkpoint is older.
#[test]
fn a_kill_between_checkpoints_loses_nothing() {
    let site = Site::demo()
        .set("GATEHOUSE_CHECKPOINT_EVERY_S", "1")
        .set("GATEHOUSE_CHECKPOINT_EVERY_RECORDS", "1000");
    let (fresh, mut known) = (AtomicU64::new(1), Known::default());
    for generation in 0..4 {
        let server = site.start();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|number| {
                    let (server, stop, fresh) = (&server, &stop, &fresh);
                    scope.spawn(move || client(server, &format!("k{generation}c{number}"), fresh, stop))
                })
                .collect();
            let before = server.metric("gatehouse_checkpoint_lsn");
            crate::support::until("a checkpoint under load", || {
                (server.metric("gatehouse_checkpoint_lsn") > before).then_some(())
            });
            server.signal(rustix::process::Signal::KILL);
            stop.store(true, Ordering::Relaxed);
            threads.into_iter().for_each(|thread| known.merge(thread.join().unwrap()));
        });
    }
    let server = site.start();
    let ids: Vec<String> = known.sent.keys().cloned().collect();
    audit(&server, &mut known, &ids);
    assert_one_admission_each(&known);
    server.projected();
    assert_exported(&site, &known);
}
