//! SIGTERM and SIGINT: what is in flight is answered, the rest is refused, the journal is durable, the exit is 0.

use crate::support::{Client, DEMO_TOKEN, Site, request_bytes, scan_body};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const VALIDATE: &str = "/api/access/validate";

#[test]
fn a_stop_under_load_loses_no_answer_and_restarts_from_its_checkpoint() {
    let site = Site::demo().set("GATEHOUSE_LOG_FORMAT", "json");
    let mut server = site.start();
    let (stop, fresh) = (AtomicBool::new(false), AtomicU64::new(1));
    let mut received: HashMap<String, (String, String)> = HashMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (stop, fresh, addr) = (&stop, &fresh, server.device);
                scope.spawn(move || {
                    let (mut client, mut answers) = (Client::to(addr), Vec::new());
                    while !stop.load(Ordering::Relaxed) {
                        let n = fresh.fetch_add(1, Ordering::Relaxed);
                        let (code, id) = (format!("DEMO-STD-{n:06}"), format!("s{number}-{n}"));
                        match client.request("POST", VALIDATE, &[], scan_body(900, &code, &id).as_bytes()) {
                            Ok(answer) if answer.status == 200 => answers.push((id, (code, answer.text()))),
                            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                            Err(_) => break,
                        }
                    }
                    answers
                })
            })
            .collect();
        crate::support::until("some load", || (fresh.load(Ordering::Relaxed) > 200).then_some(()));
        server.signal(rustix::process::Signal::TERM);
        let status = server.ended_within(Duration::from_secs(30)).expect("SIGTERM does not end it");
        assert_eq!(status.code(), Some(0));
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| received.extend(thread.join().unwrap()));
    });
    assert!(!site.data().join("control.json").exists());
    assert!(Client::try_to(server.device).is_err(), "nobody listens any more");
    let server = site.start();
    let log = site.log();
    let replayed = log.lines().rfind(|line| line.contains("journal replayed")).unwrap();
    let fields: serde_json::Value = serde_json::from_str(replayed).unwrap();
    assert!(fields["fields"]["checkpoint"].as_u64().unwrap() > 200, "{replayed}");
    assert_eq!(fields["fields"]["records"], 0, "a clean stop leaves nothing to replay: {replayed}");
    let mut client = server.client();
    for (id, (code, answer)) in received {
        assert_eq!(client.post(VALIDATE, &scan_body(900, &code, &id)).text(), answer);
    }
}

#[test]
fn a_stop_is_prompt_with_streams_and_idle_connections_open() {
    let site = Site::demo();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut server = site.start();
        let bearer = format!("Bearer {DEMO_TOKEN}");
        let mut open = Vec::new();
        for path in ["/api/access/stream", "/api/access/stream-test", "/api/access/poll?wait=30"] {
            let mut client = server.client();
            client.send(&request_bytes("GET", path, &[("Authorization", &bearer)], b"")).unwrap();
            open.push(client);
        }
        open[0].head().unwrap();
        let mut api_stream = Client::to(server.api);
        api_stream
            .send(&request_bytes("GET", "/api/access/stream", &[("Authorization", &bearer)], b""))
            .unwrap();
        api_stream.head().unwrap();
        open.push(server.client());
        let mut half = server.client();
        half.send(b"POST /api/access/validate HTTP/1.1\r\nHost: g\r\nContent-Le").unwrap();
        let began = Instant::now();
        server.signal(signal);
        let status = server.ended_within(Duration::from_secs(30)).expect("it does not end");
        assert_eq!(status.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    }
}

#[test]
fn a_request_that_is_half_sent_when_the_stop_comes_is_still_answered() {
    let site = Site::demo();
    let mut server = site.start();
    let mut client = server.client();
    let request = request_bytes("POST", VALIDATE, &[], scan_body(1, "DEMO-STD-000001", "half").as_bytes());
    client.send(&request[..request.len() - 10]).unwrap();
    // The server has read the first part when another request on another connection is answered after it.
    server.scan(2, "DEMO-STD-000002", "other");
    server.signal(rustix::process::Signal::TERM);
    crate::support::until("the end of accepting", || Client::try_to(server.device).is_err().then_some(()));
    let sent = client.send(&request[request.len() - 10..]);
    let answer = sent.and_then(|()| client.answer(false));
    assert_eq!(server.ended_within(Duration::from_secs(30)).unwrap().code(), Some(0));
    let server = site.start();
    let again = server.scan(1, "DEMO-STD-000001", "half");
    assert_eq!(again["access_granted"], true);
    let answer = answer.expect("a request in flight is answered");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), again);
}

#[test]
fn a_stop_during_the_start_is_clean() {
    let site = Site::demo();
    for wait_ms in [5, 40, 120, 400] {
        let (mut child, _) = site.spawn();
        std::thread::sleep(Duration::from_millis(wait_ms));
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = child.ended_within(Duration::from_secs(30)).expect("it does not end");
        // Before the program has begun, the signal's own way is all there is.
        assert!(status.code() == Some(0) || wait_ms < 40, "{status:?}: {}", site.log());
    }
    let server = site.start();
    assert_eq!(server.metric("gatehouse_tickets"), 52_109.0, "half a demo is made whole");
    assert_eq!(server.scan(1, "DEMO-STD-050000", "last")["access_granted"], true);
    assert_eq!(server.scan(1, "DEMO-OTHER", "other")["reason"], "wrong_event");
}
