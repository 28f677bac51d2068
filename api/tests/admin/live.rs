//! The live feed: nothing lost or doubled over disconnects and restarts, who hears what, slow listeners, alarms, devices.

use crate::api::{Api, is_problem, operator};
use crate::stream::{Event, Stream};
use crate::support::{Client, DEMO_TOKEN, Server, Site, request_bytes, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Listeners at once, where many are meant.
const MANY: usize = 200;
/// Scans of one upload.
const UPLOADED: usize = 5_000;

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.data["scan_id"].as_str().unwrap().to_owned()).collect()
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("live-{n}")).collect()
}

fn scan(server: &Server, range: std::ops::Range<usize>) {
    for n in range {
        server.scan(900, &format!("DEMO-STD-{n:06}"), &format!("live-{n}"));
    }
}

/// Scans of a device that was cut off, many at once.
fn upload(server: &Server, ids: &[String]) {
    let row = |id: &String| {
        let at = "2099-01-01T00:00:00Z";
        json!({"qr_data": "DEMO-BLOCKED", "timestamp": at, "access_granted": false, "scan_id": id})
            .to_string()
    };
    let body = ids.iter().map(row).collect::<Vec<_>>().join("\n");
    let key = [("X-Api-Key", "demo-key-001")];
    let answer = server.client().request("POST", "/api/access/offline", &key, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// A WebSocket, as a browser has one: frames of texts, pings answered by nobody here.
struct Socket(Client);

impl Socket {
    fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Socket {
        let mut client = Client::to(server.api);
        let mut all = vec![
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend(headers);
        client.send(&request_bytes("GET", &format!("/api/v1/live/ws{query}"), &all, b"")).unwrap();
        let (status, headers) = client.head().unwrap();
        assert_eq!(status, 101, "{headers:?}");
        Socket(client)
    }

    /// The next frame: its opcode and payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.take(2).unwrap();
        let length = match head[1] {
            126 => u16::from_be_bytes(self.0.take(2).unwrap().try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.0.take(8).unwrap().try_into().unwrap()),
            short => u64::from(short),
        };
        (head[0] & 0x0F, self.0.take(length as usize).unwrap())
    }

    fn find(&mut self, kind: &str) -> Value {
        loop {
            let (opcode, payload) = self.frame();
            assert_eq!(opcode, 1, "{}", String::from_utf8_lossy(&payload));
            let value: Value = serde_json::from_slice(&payload).unwrap();
            if value["type"] == kind {
                return value;
            }
        }
    }

    /// The code it is closed with; texts before are skipped.
    fn close_code(&mut self) -> u16 {
        loop {
            let (opcode, payload) = self.frame();
            if opcode == 8 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

#[test]
fn a_stream_resumes_by_its_cursor_over_a_disconnect_and_a_restart_without_loss_or_double() {
    let site = Site::demo();
    let server = site.start();
    let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=scans");
    scan(&server, 1..30);
    let mut events = stream.scans(20);
    drop(stream);
    scan(&server, 30..60);
    let last = |events: &[Event]| events.last().unwrap().id.unwrap();
    let after = format!("?topics=scans&after={}", last(&events));
    let mut stream = Stream::open(&server, DEMO_TOKEN, &after);
    scan(&server, 60..70);
    events.extend(stream.scans(30));
    server.kill();
    let server = site.start();
    let bearer = format!("Bearer {DEMO_TOKEN}");
    let id = last(&events).to_string();
    let headers = [("Authorization", bearer.as_str()), ("Last-Event-ID", id.as_str())];
    let mut stream = Stream::with(&server, "?topics=scans&after=0", &headers);
    scan(&server, 70..80);
    events.extend(stream.scans(29));
    assert_eq!(ids(&events), names(1..80), "the header goes before the parameter: it is newer");
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(
        events.iter().all(|event| event.data["cursor"].as_str() == Some(&*event.id.unwrap().to_string()))
    );
}

#[test]
fn a_cursor_that_is_none_of_this_node_is_told_as_a_gap_and_goes_on_from_now() {
    let site = Site::demo();
    let server = site.start();
    let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=scans&after=999999999");
    let gap = stream.next().unwrap();
    assert_eq!((gap.kind.as_str(), &gap.data["reason"]), ("gap", &json!("unknown_cursor")));
    scan(&server, 1..3);
    assert_eq!(ids(&stream.scans(2)), names(1..3));
    let api = Api::demo(&server);
    for wrong in ["after=x", "colour=red"] {
        let answer = api.ask("GET", &format!("/api/v1/live?{wrong}"), &[], b"");
        is_problem(&answer, 400, "malformed_request");
    }
    for wrong in ["topics=all", "gates=nowhere", "events=never"] {
        is_problem(&api.ask("GET", &format!("/api/v1/live?{wrong}"), &[], b""), 422, "invalid");
    }
    is_problem(&api.ask("GET", "/api/v1/live/ws", &[], b""), 400, "malformed_request");
}

#[test]
fn filters_and_roles_decide_what_is_heard() {
    let site = Site::demo();
    let viewer = {
        let server = site.start();
        let token = operator(&site, "viewer@venue.example", "viewer");
        drop(server);
        token
    };
    let server = site.start();
    let mut all = Stream::open(&server, DEMO_TOKEN, "?topics=scans");
    let mut gate = Stream::open(&server, DEMO_TOKEN, "?topics=scans&gates=ENTRANCE_02,EXIT_01");
    let mut plain = Stream::open(&server, &viewer, "?events=demo-match");
    server.scan(1, "DEMO-VIP-0001", "one");
    server.scan(1, "DEMO-OTHER", "other");
    server.scan(2, "DEMO-STD-000002", "two");
    assert_eq!(ids(&all.scans(3)), ["one", "other", "two"]);
    assert_eq!(ids(&gate.scans(1)), ["two"]);
    let seen = plain.scans(2);
    assert_eq!(ids(&seen), ["one", "two"], "the ticket of another event is not this event's");
    assert_eq!(seen[0].data.get("holder"), None, "a viewer sees no holder");
    let mut named = Stream::open(&server, DEMO_TOKEN, "?topics=scans&after=0");
    assert_eq!(named.find("scan", |data| data["scan_id"] == "one").data["holder"], "John Doe");
    let refused = Api::with(&server, &viewer).ask("GET", "/api/v1/live?topics=devices", &[], b"");
    is_problem(&refused, 403, "not_allowed");
    is_problem(&Api::with(&server, "").ask("GET", "/api/v1/live", &[], b""), 401, "unauthenticated");
}

#[test]
fn a_one_time_ticket_stands_for_a_token_once() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let ask = || api.create("/api/v1/live/tickets", &json!({}))["ticket"].as_str().unwrap().to_owned();
    let (one, other) = (ask(), ask());
    let mut stream = Stream::with(&server, &format!("?ticket={one}&topics=scans"), &[]);
    let mut socket = Socket::open(&server, &format!("?ticket={other}&topics=scans"), &[]);
    scan(&server, 1..2);
    assert_eq!(ids(&stream.scans(1)), names(1..2));
    assert_eq!(socket.find("scan")["scan_id"], "live-1");
    let nobody = Api::with(&server, "");
    for path in [format!("/api/v1/live?ticket={one}"), format!("/api/v1/me?ticket={}", ask())] {
        is_problem(&nobody.ask("GET", &path, &[], b""), 401, "unauthenticated");
    }
}

#[test]
fn many_listeners_hear_the_same_while_scans_run() {
    let site = Site::demo();
    let server = site.start();
    let mut streams: Vec<Stream> =
        (0..MANY).map(|_| Stream::open(&server, DEMO_TOKEN, "?topics=scans")).collect();
    scan(&server, 1..201);
    let expected = streams[0].scans(200);
    assert_eq!(ids(&expected), names(1..201));
    for stream in &mut streams[1..] {
        assert_eq!(stream.scans(200), expected);
    }
}

#[test]
fn a_listener_that_takes_nothing_is_dropped_while_others_hear_everything() {
    let site = Site::demo();
    let server = site.start();
    let slow = Stream::open(&server, DEMO_TOKEN, "");
    let mut quick = Stream::open(&server, DEMO_TOKEN, "?topics=scans");
    let mut uploads = 0;
    // Until the socket's buffers and the queue are full; the quick one hears each scan meanwhile.
    until("the slow one to be let go and its connection to be cut", || {
        uploads += 1;
        let ids: Vec<String> = (0..UPLOADED).map(|n| format!("up-{uploads}-{n}")).collect();
        upload(&server, &ids);
        assert_eq!(self::ids(&quick.scans(UPLOADED)), ids);
        let count = |name| server.metric(&format!("gatehouse_live_{name}_total"));
        (count("dropped") == 1.0 && count("closed") == 1.0).then_some(())
    });
    drop(slow);
}

#[test]
fn an_alarm_is_raised_when_a_gate_refuses_many_and_cleared_when_it_admits_again() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    api.change("/api/v1/settings/venue", |settings| settings["refusal_alarm_percent"] = json!(40));
    let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=alarms,counts&gates=ENTRANCE_01");
    let mut paced = Stream::open(&server, DEMO_TOKEN, "?topics=rates&gates=ENTRANCE_01");
    for n in 0..40 {
        server.scan(900, "DEMO-BLOCKED", &format!("refused-{n}"));
    }
    let raised = stream.find("alarm", |_| true).data;
    assert_eq!((&raised["state"], &raised["gate"]), (&json!("raised"), &json!("ENTRANCE_01")));
    assert_eq!(
        (&raised["raised_from"], &raised["cleared_below"]),
        (&json!(0.4), &json!(0.24)),
        "as the venue has set"
    );
    let mut late = Stream::open(&server, DEMO_TOKEN, "?topics=alarms");
    assert_eq!(late.next().unwrap().data["state"], "raised", "who comes later is told too");
    scan(&server, 1..301);
    assert_eq!(stream.find("alarm", |_| true).data["state"], "cleared");
    let rates = paced.find("rates", |data| data["admitted_per_minute"] != 0).data;
    assert!(rates["refusal_rate"].as_f64().is_some_and(|rate| rate < 1.0), "{rates}");
    let mut late = Stream::open(&server, DEMO_TOKEN, "?topics=alarms,counts");
    let first = late.next().unwrap();
    assert_eq!(first.kind, "counts", "no alarm stands any more");
    let bowl = late.find("counts", |data| data["of"] == "zone").data;
    assert_eq!(bowl["name"], "BOWL");
    assert!(bowl["inside"].as_u64().is_some_and(|inside| inside > 200), "enough came in to clear it: {bowl}");
}

#[test]
fn a_device_that_falls_silent_and_comes_back_is_told() {
    let site = Site::demo().set("GATEHOUSE_DEVICE_SILENT_S", "3");
    let server = site.start();
    let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=devices");
    server.heartbeat(7);
    let silent = stream.next().unwrap().data;
    assert_eq!((&silent["state"], &silent["device"]), (&json!("silent"), &json!("KQT300_007")));
    assert_eq!(silent["gate"], "ENTRANCE_07");
    server.heartbeat(7);
    let back = stream.next().unwrap().data;
    assert_eq!((&back["state"], &back["device"]), (&json!("back"), &json!("KQT300_007")));
}

#[test]
fn a_stream_ends_with_its_token_and_with_the_server() {
    let site = Site::demo();
    let server = site.start();
    let token = operator(&site, "guest@venue.example", "viewer");
    let bearer = format!("Bearer {token}");
    let mut stream = Stream::open(&server, &token, "?topics=scans");
    let mut socket = Socket::open(&server, "?topics=scans", &[("Authorization", &bearer)]);
    // A new token ends the old one.
    operator(&site, "guest@venue.example", "viewer");
    assert_eq!(stream.find("end", |_| true).data["reason"], "not_allowed");
    assert_eq!(stream.next(), None);
    assert_eq!(socket.close_code(), 1008);
    let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=scans");
    let demo = format!("Bearer {DEMO_TOKEN}");
    let mut socket = Socket::open(&server, "?topics=scans", &[("Authorization", &demo)]);
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "a listener does not hold a stop up");
    assert_eq!(stream.find("end", |_| true).data["reason"], "stopping");
    assert_eq!(socket.close_code(), 1001);
}

#[test]
fn first_comes_how_things_stand() {
    let site = Site::demo();
    let server = site.start();
    scan(&server, 1..4);
    let told = until("the counts to stand", || {
        let mut stream = Stream::open(&server, DEMO_TOKEN, "?topics=counts,health");
        let mut kinds = BTreeSet::new();
        let mut entries = None;
        while kinds.len() < 5 {
            let data = stream.next()?.data;
            let kind = data["of"].as_str().or(data["journal"].as_str()).unwrap().to_owned();
            if kind == "event" {
                entries = Some((data["name"].clone(), data["entries"].clone()));
            }
            kinds.insert(kind);
        }
        entries.filter(|(_, entries)| *entries == 3).map(|entries| (kinds, entries))
    });
    assert_eq!(
        told.0.iter().map(String::as_str).collect::<Vec<_>>(),
        ["event", "gate", "type", "well", "zone"]
    );
    assert_eq!(told.1.0, "demo-match");
}
