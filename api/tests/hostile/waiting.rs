//! Answers that wait: late ones, long polls, the journal, streams, the drain. With the toy and a journal moved by hand.

use crate::client::{
    Response, assert_silent, connect, read_all, read_responses, responses, statuses, wait_until,
};
use crate::service::{Bench, alone, quick_limits};
use api::http::Limits;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn answers_keep_their_order_around_a_late_one() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut stream = bench.connect();
    let began = Instant::now();
    stream
        .write_all(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /later/150 HTTP/1.1\r\nHost: a\r\n\r\nGET /memo HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .unwrap();
    let first = read_responses(&mut stream, 1);
    assert!(first.len() == 1 && began.elapsed() < Duration::from_millis(140), "the first does not wait");
    let rest = read_responses(&mut stream, 2);
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!((rest[0].body.as_slice(), rest[1].body.as_slice()), (&b"later"[..], &b"1"[..]));
}

#[test]
fn a_late_answer_that_never_comes_is_unavailable() {
    let _alone = alone();
    let bench = Bench::quick();
    let found = responses(&bench.exchange(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(found[0].status, 503);
    assert!(found[0].head.contains("X-Path: /never"), "{}", found[0].head);
    assert_eq!(bench.server.stats().timeouts_later, 1);
}

#[test]
fn a_half_closed_client_gets_its_late_answer() {
    let _alone = alone();
    let answer = Bench::quick().exchange(b"GET /later/100 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(responses(&answer)[0].body, b"later");
}

#[test]
fn a_long_poll_ends_with_nothing_new_and_forgets_who_left() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut stream = bench.connect();
    stream.write_all(b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read_responses(&mut stream, 1)[0].body, b"nothing new");
    stream.write_all(b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(stream);
    wait_until("the connection is forgotten", || bench.server.stats().connections_open() == 0);
    assert_eq!(bench.server.stats().timeouts_later, 0);
}

#[test]
fn the_journal_is_asked_for_whoever_waits_and_not_again_for_the_same() {
    let _alone = alone();
    let bench = Bench::quick();
    let ask = |stream: &mut TcpStream, path: &str| {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    };
    let mut first = bench.connect();
    ask(&mut first, "/free");
    read_responses(&mut first, 1);
    assert_eq!(bench.journal.nudges(), 0, "nobody waits");
    ask(&mut first, "/wait/1");
    wait_until("the journal is asked", || bench.journal.nudges() == 1);
    assert_silent(&mut first, Duration::from_millis(250));
    assert_eq!(bench.journal.nudges(), 1, "asked once");
    let mut second = bench.connect();
    ask(&mut second, "/wait/2");
    wait_until("and for the next", || bench.journal.nudges() == 2);
    bench.journal.advance(2);
    assert_eq!(read_responses(&mut first, 1)[0].body, b"durable");
    assert_eq!(read_responses(&mut second, 1)[0].body, b"durable");
}

#[test]
fn the_journal_is_asked_once_for_all_who_are_ready_together() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut holding = bench.connect();
    let mut streams: Vec<TcpStream> = (1..=20).map(|_| bench.connect()).collect();
    holding.write_all(b"GET /hold/500 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the worker is held", || bench.service.take().iter().any(|ran| ran.ends_with("/hold/500")));
    for (at, stream) in (1..).zip(&mut streams) {
        stream.write_all(format!("GET /wait/{at} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    }
    assert_eq!(bench.journal.nudges(), 0, "they were sent while it was held");
    let ran = std::cell::Cell::new(0);
    wait_until("all have been decided", || {
        ran.set(ran.get() + bench.service.take().len());
        ran.get() == 20
    });
    wait_until("the journal is asked", || bench.journal.nudges() > 0);
    bench.journal.advance(20);
    for stream in &mut streams {
        assert_eq!(read_responses(stream, 1)[0].body, b"durable");
    }
    assert_eq!(bench.journal.nudges(), 1);
}

#[test]
fn no_byte_leaves_before_the_journal_is_durable_and_one_advance_releases_all() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut streams: Vec<TcpStream> = (1..=20).map(|_| bench.connect()).collect();
    for (at, stream) in (1..).zip(&mut streams) {
        let pair = format!("GET /free HTTP/1.1\r\nHost: a\r\n\r\nGET /wait/{at} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(pair.as_bytes()).unwrap();
    }
    assert_silent(&mut streams[0], Duration::from_millis(80));
    assert_silent(&mut streams[19], Duration::from_millis(20));
    bench.journal.advance(10);
    for stream in &mut streams[..10] {
        assert_eq!(read_responses(stream, 2)[1].body, b"durable");
    }
    assert_silent(&mut streams[10], Duration::from_millis(80));
    bench.journal.advance(20);
    for stream in &mut streams[10..] {
        assert_eq!(read_responses(stream, 2)[1].body, b"durable");
    }
}

#[test]
fn durability_is_never_missed_by_a_race() {
    let _alone = alone();
    let bench = Bench::new(2, quick_limits());
    let journal = bench.journal.clone();
    std::thread::scope(|scope| {
        let addr = bench.server.local_addr();
        let client = scope.spawn(move || {
            let mut stream = connect(addr);
            let mut slowest = Duration::ZERO;
            for lsn in 1..=2_000 {
                let sent = Instant::now();
                stream.write_all(format!("GET /wait/{lsn} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
                assert_eq!(read_responses(&mut stream, 1)[0].body, b"durable");
                slowest = slowest.max(sent.elapsed());
            }
            slowest
        });
        // The journal runs after the requests as closely as it can, as a group commit does.
        let mut lsn = 0;
        while !client.is_finished() {
            lsn = (lsn + 1).min(bench.server.stats().requests);
            journal.advance(lsn);
            std::hint::spin_loop();
        }
        // A lost wake would be found by the sweep only: 20 ms later each time.
        assert!(client.join().unwrap() < Duration::from_secs(1));
    });
    assert_eq!(bench.server.stats().timeouts_durable, 0);
}

#[test]
fn a_poisoned_journal_turns_waiting_answers_into_unavailable() {
    let _alone = alone();
    let bench = Bench::quick();
    bench.journal.advance(5);
    let mut stream = bench.connect();
    stream
        .write_all(
            b"GET /wait/5 HTTP/1.1\r\nHost: a\r\n\r\nGET /wait/6 HTTP/1.1\r\nHost: a\r\n\r\n\
              GET /free HTTP/1.1\r\nHost: a\r\n\r\nGET /wait/7 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .unwrap();
    assert_silent(&mut stream, Duration::from_millis(50));
    bench.journal.poison();
    let found = read_responses(&mut stream, 4);
    assert_eq!(found.iter().map(|r| r.status).collect::<Vec<_>>(), [200, 503, 200, 503]);
    assert_eq!(
        (found[1].body.as_slice(), found[3].body.as_slice()),
        (&b"undurable 6"[..], &b"undurable 7"[..])
    );
    assert_eq!(bench.server.stats().undurable, 2);
}

#[test]
fn a_journal_that_takes_too_long_is_not_waited_for() {
    let _alone = alone();
    let bench = Bench::new(1, Limits { durable_ms_max: 100, ..quick_limits() });
    assert_eq!(statuses(&bench.exchange(b"GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n")), [503]);
    assert_eq!(bench.server.stats().timeouts_durable, 1);
}

#[test]
fn what_takes_an_answers_place_keeps_its_headers_and_the_refusal_of_what_follows_has_none_of_them() {
    let _alone = alone();
    let bench = Bench::new(1, Limits { durable_ms_max: 100, ..quick_limits() });
    let told = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        let answers = responses(&bench.exchange(request.as_bytes()));
        let told = |answer: &Response| (answer.status, answer.head.matches("X-Caller: known").count());
        answers.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(told("/a"), [(200, 1), (400, 0)]);
    assert_eq!(told("/wait/1"), [(503, 1), (400, 0)], "the journal did not come");
    assert_eq!(told("/never"), [(503, 1)], "the late answer did not come");
    assert_eq!(told("/panic"), [(503, 1)], "the handler panicked");
}

#[test]
fn a_stream_is_chunked_on_11_and_plain_on_10() {
    let _alone = alone();
    let bench = Bench::quick();
    let text = String::from_utf8(bench.exchange(b"GET /stream/3 HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    assert!(
        text.contains("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n000003f0\r\ndata: 0"),
        "{text}"
    );
    assert!(text.ends_with("1\n\n\r\n0\r\n\r\n") && text.matches("data: ").count() == 3, "{text}");
    let text = String::from_utf8(bench.exchange(b"GET /stream/3 HTTP/1.0\r\n\r\n")).unwrap();
    assert!(
        !text.contains("chunked") && text.ends_with("1\n\n") && text.matches("data: ").count() == 3,
        "{text}"
    );
    let text = String::from_utf8(bench.exchange(b"HEAD /stream/3 HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    assert!(text.ends_with("\r\n\r\n") && !text.contains("data"), "{text}");
}

#[test]
fn a_slow_reader_of_a_stream_is_dropped_and_a_leaving_one_is_noticed() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut slow = bench.connect();
    slow.write_all(b"GET /stream/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the slow reader is dropped", || bench.server.stats().timeouts_write == 1);
    assert_eq!(bench.service.dropped_streams(), 1);
    let mut leaving = bench.connect();
    leaving.write_all(b"GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the quiet stream is open", || bench.server.stats().streams_opened == 2);
    drop(leaving);
    wait_until("the leaving one is noticed", || bench.service.dropped_streams() == 2);
}

#[test]
fn drain_answers_what_is_in_flight_and_ends_streams() {
    let _alone = alone();
    let bench = Bench::new(2, Limits { later_ms_max: 5_000, head_ms_max: 5_000, ..quick_limits() });
    let open = |bytes: &[u8]| {
        let mut stream = bench.connect();
        stream.write_all(bytes).unwrap();
        stream
    };
    let mut waiting = open(b"GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut late = open(b"GET /later/300 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut poll = open(b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = open(b"GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut half = open(b"GET /half HTTP/1.1\r\nHo");
    let mut idle = open(b"");
    wait_until("all are received", || bench.server.stats().requests == 4);
    let (addr, journal) = (bench.server.local_addr(), bench.journal.clone());
    let drain = std::thread::spawn(move || bench.server.drain(Duration::from_secs(5)));
    assert!(read_all(&mut idle).is_empty());
    assert_eq!(responses(&read_all(&mut poll))[0].body, b"nothing new");
    assert!(read_all(&mut stream).ends_with(b"\r\n0\r\n\r\n"));
    half.write_all(b"st: a\r\n\r\n").unwrap();
    assert!(responses(&read_all(&mut half))[0].head.contains("Connection: close"));
    assert!(TcpStream::connect(addr).is_err(), "nobody new is taken");
    assert_eq!(responses(&read_all(&mut late))[0].body, b"later");
    journal.advance(1);
    assert_eq!(responses(&read_all(&mut waiting))[0].body, b"durable");
    assert_eq!(drain.join().unwrap().forced, 0);
}

#[test]
fn a_drain_that_takes_too_long_cuts_off() {
    let _alone = alone();
    let bench = Bench::new(1, Limits { durable_ms_max: 30_000, later_ms_max: 35_000, ..quick_limits() });
    let mut stuck = bench.connect();
    stuck.write_all(b"GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("it is received", || bench.server.stats().requests == 1);
    let began = Instant::now();
    assert_eq!(bench.server.drain(Duration::from_millis(100)).forced, 1);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(read_all(&mut stuck).is_empty());
}

#[test]
fn a_second_server_on_the_same_port_is_refused() {
    let _alone = alone();
    let bench = Bench::quick();
    let options = api::http::ServerOptions {
        name: "test",
        addr: bench.server.local_addr(),
        workers: 1,
        limits: quick_limits(),
    };
    let service = bench.service.clone();
    let second = api::http::start(options, bench.journal.clone(), move |_| service.clone());
    assert_eq!(second.err().map(|error| error.kind()), Some(std::io::ErrorKind::AddrInUse));
}
