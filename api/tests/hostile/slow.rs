//! Attacks by time: slow and stopped heads and bodies, half-closed connections, those who do not read.

use crate::attack::under_attack;
use crate::client::{pour, read_all, read_responses, statuses, wait_until};
use crate::service::quick_limits;
use crate::venue::{SIDE_GATE, SIDE_KEY, side_scan};
use api::http::Limits;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One row: what is sent at once, what trickles after it, and the statuses that come back before the close.
type Slow = (&'static str, &'static [u8], &'static [&'static [u8]], &'static [u16]);

const SLOW: [Slow; 8] = [
    ("slow head", b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[b"x"], &[408]),
    ("stopped head", b"GET / HT", &[], &[408]),
    ("slow body", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", &[b"y"], &[408]),
    (
        "stopped chunk",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
        &[],
        &[408],
    ),
    ("after an answer", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow", &[], &[200, 408]),
    ("idle from the start", b"", &[], &[]),
    ("idle after an answer", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[], &[200]),
    ("blank lines are idle", b"\r\n", &[b"\r\n"], &[]),
];

#[test]
fn slow_requests_time_out_with_an_answer_and_idle_connections_in_silence() {
    let limits = Limits { idle_ms_max: 500, ..quick_limits() };
    under_attack("slow and idle, one by one", limits, |venue| {
        let before = venue.server.stats();
        for (name, bytes, trickle, expected) in SLOW {
            let began = Instant::now();
            let mut stream = venue.connect();
            stream.write_all(bytes).unwrap();
            for piece in trickle.iter().cycle().take(trickle.len() * 8) {
                std::thread::sleep(Duration::from_millis(100));
                if stream.write_all(piece).is_err() {
                    break;
                }
            }
            assert_eq!(statuses(&read_all(&mut stream)), expected, "{name}");
            assert!(began.elapsed() > Duration::from_millis(290), "{name}: not before its time");
        }
        let stats = venue.server.stats();
        assert_eq!(stats.timeouts_head - before.timeouts_head, 3);
        assert_eq!(stats.timeouts_body - before.timeouts_body, 2);
        assert_eq!(stats.timeouts_idle - before.timeouts_idle, 3);
    });
}

#[test]
fn half_closed_clients_get_what_they_asked_for_and_nothing_they_did_not_finish() {
    under_attack("half-closed connections", quick_limits(), |venue| {
        venue.service.take();
        let before = venue.decided(SIDE_GATE);
        assert!(venue.exchange(b"").is_empty());
        assert_eq!(statuses(&venue.exchange(b"GET / HTTP/1.1\r\nHo")), [400]);
        let cut_short = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
        assert_eq!(statuses(&venue.exchange(cut_short)), [400]);
        let scan = side_scan("never");
        assert_eq!(statuses(&venue.exchange(&scan[..scan.len() - 1])), [400], "a scan without its last byte");
        assert!(venue.service.take().is_empty());
        assert_eq!(venue.decided(SIDE_GATE), before);
        assert_eq!(statuses(&venue.exchange(&side_scan(&format!("half-{}", before.0)))), [200]);
        assert_eq!(venue.decided(SIDE_GATE), (before.0 + 1, 0));
        assert_eq!(statuses(&venue.exchange(b"GET /later/20 HTTP/1.1\r\nHost: a\r\n\r\n")), [200]);
    });
}

#[test]
fn the_answer_to_an_oversized_body_survives_the_body() {
    under_attack("oversized bodies", quick_limits(), |venue| {
        let mut stream = venue.connect();
        stream.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n").unwrap();
        // A client that sends all before it reads must still find the answer, not a reset.
        stream.write_all(&vec![b'x'; 600_000]).unwrap();
        assert_eq!(statuses(&read_all(&mut stream)), [413]);
    });
}

#[test]
fn pipeliners_that_never_read_are_stopped() {
    under_attack("never-reading pipeliners", quick_limits(), |venue| {
        let (addr, before) = (venue.addr(), venue.server.stats().timeouts_write);
        let request = b"GET /big/2000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| pour(addr, &request, Duration::from_secs(2)));
            }
        });
        wait_until("all are closed", || venue.server.stats().timeouts_write == before + 8);
    });
}

#[test]
fn many_slow_heads_and_bodies_at_once_are_timed_out() {
    under_attack("300 slow heads, 300 slow bodies", quick_limits(), |venue| {
        let head = b"GET / HTTP/1.1\r\nX: ".as_slice();
        let body = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\n\r\n".as_slice();
        let mut streams: Vec<TcpStream> = (0..600).map(|_| venue.connect()).collect();
        for (at, stream) in streams.iter_mut().enumerate() {
            stream.write_all(if at % 2 == 0 { head } else { body }).unwrap();
        }
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(50));
            streams.iter_mut().for_each(|stream| drop(stream.write(b"x")));
        }
        for stream in &mut streams {
            assert_eq!(statuses(&read_all(stream)), [408]);
        }
    });
}

#[test]
fn slow_readers_of_large_answers_are_dropped() {
    under_attack("slow readers", quick_limits(), |venue| {
        let before = venue.server.stats().timeouts_write;
        let mut streams: Vec<TcpStream> = (0..4).map(|_| venue.connect()).collect();
        for stream in &mut streams {
            stream.write_all(&b"GET /big/200000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(60)).unwrap();
        }
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            streams.iter_mut().for_each(|stream| drop(stream.read(&mut [0; 16])));
        }
        wait_until("all are dropped", || venue.server.stats().timeouts_write == before + 4);
    });
}

#[test]
fn pipeliners_of_scans_that_never_read_are_stopped_and_their_scan_counts_once() {
    under_attack("never-reading pipeliners of scans", quick_limits(), |venue| {
        let (addr, before) = (venue.addr(), venue.server.stats().timeouts_write);
        let request = side_scan("again and again").repeat(100);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| pour(addr, &request, Duration::from_secs(5)));
            }
        });
        wait_until("all are closed", || venue.server.stats().timeouts_write == before + 2);
        assert_eq!(venue.decided(SIDE_GATE), (1, 0));
    });
}

/// Screens that watch the gates. Each is told of every scan by the worker that serves the gates, too.
const LISTENERS: u64 = 6;

#[test]
fn listeners_that_never_read_or_leave_without_a_word_hold_nobody_up() {
    under_attack("listeners", quick_limits(), |venue| {
        let listen = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {SIDE_KEY}\r\n\r\n");
            let mut stream = venue.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        let opened = venue.server.stats().streams_opened;
        let streams: Vec<TcpStream> = (0..LISTENERS).map(|_| listen("/api/access/stream")).collect();
        let mut polls: Vec<TcpStream> =
            (0..LISTENERS).map(|_| listen("/api/access/poll?after=999999999&wait=30")).collect();
        wait_until("all listen", || venue.server.stats().streams_opened == opened + LISTENERS);
        polls.truncate(LISTENERS as usize / 2);
        std::thread::sleep(Duration::from_millis(300));
        drop(streams);
        for stream in &mut polls {
            // There is news all the time: the good devices scan.
            assert_eq!(read_responses(stream, 1)[0].status, 200);
        }
    });
}
