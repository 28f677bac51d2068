//! The feed: streams, polls and latest, live and resumed, without gap or duplicate.

use crate::peripherals::api;
use crate::support::{Client, DEMO_TOKEN, Server, Site, scan_body};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One event of a stream.
#[derive(Clone, Debug)]
struct Event {
    id: u64,
    data: Value,
}

/// An open stream.
struct Stream {
    client: Client,
    text: String,
    chunked: bool,
}

impl Stream {
    fn open(server: &Server, key: &str, last: Option<u64>) -> Stream {
        let mut client = server.client();
        let (bearer, last) = (format!("Bearer {key}"), last.map(|id| id.to_string()));
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(last.as_deref().map(|id| ("Last-Event-ID", id)));
        client.send(&crate::support::request_bytes("GET", "/api/access/stream", &headers, b"")).unwrap();
        let (status, headers) = client.head().unwrap();
        assert_eq!(status, 200, "{headers:?}");
        let has = |name: &str, value: &str| {
            headers.iter().any(|(own, found)| own.eq_ignore_ascii_case(name) && found.contains(value))
        };
        assert!(has("Content-Type", "text/event-stream"), "{headers:?}");
        Stream { client, text: String::new(), chunked: has("Transfer-Encoding", "chunked") }
    }

    /// The next event; comments are skipped.
    fn next(&mut self) -> Event {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, data) = (field("id: "), field("data: "));
                self.text = rest.to_owned();
                if let (Some(id), Some(data)) = (id, data) {
                    return Event { id: id.parse().unwrap(), data: serde_json::from_str(&data).unwrap() };
                }
                continue;
            }
            let bytes = self.piece();
            self.text.push_str(&String::from_utf8(bytes).unwrap());
        }
    }

    fn piece(&mut self) -> Vec<u8> {
        if !self.chunked {
            return self.client.take(1).unwrap();
        }
        let line = self.client.until(b"\r\n").unwrap();
        let length = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
        assert!(length > 0, "the stream ended");
        let bytes = self.client.take(length).unwrap();
        self.client.take(2).unwrap();
        bytes
    }

    fn scans(&mut self, count: usize) -> Vec<Event> {
        let mut found = Vec::new();
        while found.len() < count {
            let event = self.next();
            if event.data["type"] == "scan" {
                found.push(event);
            }
        }
        found
    }
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.data["scan_id"].as_str().unwrap().to_owned()).collect()
}

fn code(n: usize) -> String {
    format!("DEMO-STD-{n:06}")
}

#[test]
fn a_stream_gets_scans_live_and_resumes_without_gap_or_duplicate() {
    let site = Site::demo();
    let server = site.start();
    let mut stream = Stream::open(&server, DEMO_TOKEN, None);
    server.scan(1, "DEMO-VIP-0001", "live-0");
    let first = stream.next();
    assert_eq!(
        (&first.data["scan_id"], &first.data["customer_name"], &first.data["location"]),
        (&json!("live-0"), &json!("John Doe"), &json!("ENTRANCE_01"))
    );
    assert_eq!(first.data["cursor"], first.id.to_string());
    for n in 1..50 {
        server.scan(900, &code(n), &format!("live-{n}"));
    }
    let mut events = vec![first];
    events.extend(stream.scans(20));
    drop(stream);
    for n in 50..80 {
        server.scan(900, &code(n), &format!("live-{n}"));
    }
    let mut stream = Stream::open(&server, DEMO_TOKEN, Some(events.last().unwrap().id));
    events.extend(stream.scans(40));
    let last = events.last().unwrap().id;
    server.kill();
    let server = site.start();
    let mut stream = Stream::open(&server, DEMO_TOKEN, Some(last));
    server.scan(900, &code(80), "live-80");
    events.extend(stream.scans(20));
    assert_eq!(ids(&events), (0..=80).map(|n| format!("live-{n}")).collect::<Vec<_>>());
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[test]
fn a_device_sees_no_names_and_only_its_own_codes() {
    let site = Site::demo();
    let server = site.start();
    let (mut own, mut other) =
        (Stream::open(&server, "demo-key-001", None), Stream::open(&server, "demo-key-002", None));
    server.scan(1, "DEMO-VIP-0001", "private");
    server.control(DEMO_TOKEN, r#"{"device_id":"KQT300_001","action":"message","message":"for one"}"#);
    server.scan(1, "DEMO-VIP-0001", "private-2");
    let mine = own.next().data;
    assert_eq!((&mine["qr_data"], &mine["customer_name"]), (&json!("DEMO-VIP-0001"), &Value::Null), "{mine}");
    assert_eq!(own.next().data["message"], "for one");
    let seen = other.next().data;
    assert_eq!(
        (&seen["scan_id"], &seen["qr_data"], &seen["ticket_id"], &seen["customer_name"]),
        (&json!("private"), &Value::Null, &Value::Null, &Value::Null),
        "{seen}"
    );
    assert_eq!(other.next().data["scan_id"], "private-2", "another device's commands are not shown");
    assert_eq!(server.client().request("GET", "/api/access/stream", &[], b"").unwrap().status, 401);
}

/// Whatever happens while the stream is busy writing, the last event is not left lying.
#[test]
fn a_stream_is_never_late_after_bursts() {
    let site = Site::demo();
    let server = site.start();
    let mut streams: Vec<Stream> = (0..3).map(|_| Stream::open(&server, DEMO_TOKEN, None)).collect();
    for stream in &streams {
        stream.client.patience(Duration::from_secs(8));
    }
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for round in 0..150 {
        std::thread::scope(|scope| {
            for (number, client) in clients.iter_mut().enumerate() {
                scope.spawn(move || {
                    for n in 0..3 {
                        client.post(
                            "/api/access/validate",
                            &scan_body(900, "DEMO-STAFF-001", &format!("b{round}-{number}-{n}")),
                        );
                    }
                });
            }
        });
        for stream in &mut streams {
            let found: BTreeSet<String> = ids(&stream.scans(12)).into_iter().collect();
            assert_eq!(found.len(), 12);
            assert!(found.iter().all(|id| id.starts_with(&format!("b{round}-"))), "{found:?}");
        }
    }
}

#[test]
fn a_poll_waits_for_news_and_pages_through_the_past_without_gap() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    let bearer = format!("Bearer {DEMO_TOKEN}");
    let mut poll = |query: &str| {
        client
            .request("GET", &format!("/api/access/poll{query}"), &[("Authorization", &bearer)], b"")
            .unwrap()
            .json()
    };
    let start = poll("")["cursor"].as_str().unwrap().to_owned();
    let mut scanning = server.client();
    for n in 1..=1_200 {
        scanning.post("/api/access/validate", &scan_body(900, &code(n), &format!("p{n}")));
    }
    let (mut cursor, mut seen) = (start, Vec::new());
    loop {
        let page = poll(&format!("?after={cursor}"));
        let scans = page["scans"].as_array().unwrap();
        assert!(scans.len() <= 500);
        seen.extend(scans.iter().map(|scan| scan["scan_id"].as_str().unwrap().to_owned()));
        let next = page["cursor"].as_str().unwrap().to_owned();
        if next == cursor {
            break;
        }
        cursor = next;
    }
    assert_eq!(seen, (1..=1_200).map(|n| format!("p{n}")).collect::<Vec<_>>());
    let began = Instant::now();
    let empty = poll(&format!("?after={cursor}&wait=1"));
    assert!(began.elapsed() >= Duration::from_millis(900), "it waits: {:?}", began.elapsed());
    assert_eq!((&empty["scans"], &empty["cursor"]), (&json!([]), &json!(cursor)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let began = Instant::now();
            (poll(&format!("?after={cursor}&wait=30")), began.elapsed())
        });
        std::thread::sleep(Duration::from_millis(200));
        server.scan(900, "DEMO-STAFF-001", "news");
        let (page, waited) = waiting.join().unwrap();
        assert_eq!(page["scans"][0]["scan_id"], "news", "{page}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    });
}

// It was told at once that there was nothing, whenever something had been changed that no listener is told of, and what was
// looked through was looked through again by the next one.
#[test]
fn a_poll_waits_also_while_an_office_works_and_goes_on_behind_what_is_no_news() {
    let site = Site::demo();
    let server = site.start();
    let key = [("X-Api-Key", "demo-key-003")];
    let mut client = server.client();
    let mut poll = |query: &str| {
        let began = Instant::now();
        let page = client.request("GET", &format!("/api/access/poll{query}"), &key, b"").unwrap();
        (page.json(), began.elapsed())
    };
    let start = poll("").0["cursor"].as_str().unwrap().to_owned();
    let is_over = AtomicBool::new(false);
    let over = Over(&is_over);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..500 {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let zone = json!({"name": format!("ZONE {n}"), "capacity": 10});
                assert_eq!(api(&server, "POST", "/api/v1/zones", DEMO_TOKEN, &zone).status, 201);
            }
        });
        let mut cursor = start.clone();
        for _ in 0..2 {
            let (page, waited) = poll(&format!("?after={cursor}&wait=1"));
            assert_eq!(page["scans"], json!([]), "nobody scans");
            assert!(waited >= Duration::from_millis(900), "it waits: {waited:?}");
            cursor = page["cursor"].as_str().unwrap().to_owned();
        }
        drop(over);
        let (from, to): (u64, u64) = (start.parse().unwrap(), cursor.parse().unwrap());
        assert!(to > from, "what was looked through is not looked through again: {from} to {to}");
    });
}

/// Ends what goes on beside a test, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn latest_is_the_newest_scan_of_a_device_or_gate_also_under_load() {
    let site = Site::demo();
    let server = site.start();
    let latest = |query: &str| {
        server.get(&format!("/api/access/latest{query}"), DEMO_TOKEN).json()["scan"]["scan_id"].clone()
    };
    assert_eq!(latest(""), Value::Null);
    server.scan(1, "DEMO-STD-000001", "one");
    server.scan(2, "DEMO-STD-000002", "two");
    server.scan(900, "DEMO-STD-000003", "three");
    for (query, expected) in [
        ("", "three"),
        ("?device_id=KQT300_001", "one"),
        ("?device_id=KQT300_002", "two"),
        ("?location=ENTRANCE_02", "two"),
        ("?location=ENTRANCE_01", "three"),
        ("?device_id=KQT300_001&location=ENTRANCE_01", "one"),
    ] {
        assert_eq!(latest(query), expected, "{query}");
    }
    assert_eq!(latest("?device_id=KQT300_040"), Value::Null);
    assert_eq!(server.get("/api/access/latest?device_id=NOBODY", DEMO_TOKEN).status, 400);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let mut client = server.client();
                scope.spawn(move || {
                    (0..300).for_each(|n| {
                        drop(client.post(
                            "/api/access/validate",
                            &scan_body(900, "DEMO-STAFF-001", &format!("l{number}-{n}")),
                        ))
                    })
                })
            })
            .collect();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert_ne!(latest(""), Value::Null, "there are hundreds of scans");
        }
    });
    server.kill();
    let server = site.start();
    let after = server.get("/api/access/latest?location=ENTRANCE_02", DEMO_TOKEN).json();
    assert_eq!(after["scan"]["scan_id"], "two", "{after}");
}

#[test]
fn the_stream_test_counts_seconds() {
    let site = Site::demo();
    let server = site.start();
    let mut client = server.client();
    client.send(&crate::support::request_bytes("GET", "/api/access/stream-test", &[], b"")).unwrap();
    let (status, headers) = client.head().unwrap();
    assert_eq!(status, 200);
    let chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Transfer-Encoding"));
    let mut stream = Stream { client, text: String::new(), chunked };
    let (began, first) = (Instant::now(), stream.next());
    assert_eq!(first.data["number"], 1);
    assert_eq!(stream.next().data["number"], 2);
    assert_eq!(stream.next().data["number"], 3);
    assert!(
        (Duration::from_millis(1_500)..Duration::from_secs(20)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
}
