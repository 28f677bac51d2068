//! Attacks on the request head: broken, oversized, endless, rubbish.

use crate::attack::under_attack;
use crate::client::{pour, read_all, statuses};
use crate::service::quick_limits;
use crate::table::End::Closed;
use crate::table::check_table;
use crate::venue::Venue;
use std::io::Write;
use std::time::Duration;

#[test]
fn broken_heads_are_refused_and_the_connection_closes() {
    check_table(
        "broken heads",
        &[
            ("rubbish", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400], &[], Closed),
            ("no version", b"GET /\r\n\r\n", &[400], &[], Closed),
            ("two blanks", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("rubbish version", b"GET / HTCPCP/1.0\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("version 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[505], &[], Closed),
            ("version 1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", &[505], &[], Closed),
            ("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], &[], Closed),
            ("no host", b"GET / HTTP/1.1\r\n\r\n", &[400], &[], Closed),
            ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", &[400], &[], Closed),
            ("folded first header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400], &[], Closed),
            ("blank before colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[400], &[], Closed),
            ("no colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", &[400], &[], Closed),
            ("no name", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", &[400], &[], Closed),
            ("nul in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", &[400], &[], Closed),
            ("nul in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", &[400], &[], Closed),
            ("bare cr in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", &[400], &[], Closed),
            (
                "vertical tab in a value",
                b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n",
                &[400],
                &[],
                Closed,
            ),
            ("bare lf everywhere", b"GET / HTTP/1.1\nHost: a\n\n", &[400], &[], Closed),
            ("bare lf after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("bare lf after a header", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", &[400], &[], Closed),
            ("bare lf after the last header", b"GET / HTTP/1.1\r\nHost: a\n\r\n", &[400], &[], Closed),
            ("bare lf as the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", &[400], &[], Closed),
            ("bare lf first", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("target is no path", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("star for get", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("absolute form without host", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            ("other scheme", b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], &[], Closed),
            (
                "connect",
                b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                &[501],
                &[],
                Closed,
            ),
            ("unknown method", b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", &[501], &[], Closed),
            ("lower-case method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &[501], &[], Closed),
            (
                "other expectation",
                b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\nContent-Length: 1\r\n\r\nx",
                &[417],
                &[],
                Closed,
            ),
        ],
    );
}

#[test]
fn oversized_heads_are_refused_without_being_kept() {
    under_attack("oversized heads", quick_limits(), oversized);
}

fn oversized(venue: &Venue) {
    let faults_before = venue.server.stats().faults_of(431);
    venue.service.take();
    let check = |name: &str, bytes: Vec<u8>, expected: u16| {
        let mut stream = venue.connect();
        // The server may close while we still send: that is the point.
        let sent = stream.write_all(&bytes);
        assert_eq!(statuses(&read_all(&mut stream)), [expected], "{name} (sent: {sent:?})");
    };
    let head = |rest: &str| format!("GET /a HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n").into_bytes();
    check("10,000 headers", head(&vec!["X: y"; 10_000].join("\r\n")), 431);
    check("65 headers", head(&vec!["X: y"; 64].join("\r\n")), 431);
    check("a header line of 1 MB", head(&format!("X: {}", "y".repeat(1_000_000))), 431);
    check("a head just over 8 KiB", head(&format!("X: {}", "y".repeat(8_192 - 32))), 431);
    check(
        "a target over 2 KiB",
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2_048)).into_bytes(),
        414,
    );
    check("a target of 1 MB", format!("GET /{}", "a".repeat(1_000_000)).into_bytes(), 414);
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check("a chunk extension of 300 bytes", format!("{chunked}1;{}\r\n", "e".repeat(300)).into_bytes(), 400);
    check("endless trailers", format!("{chunked}0\r\n{}", "X: y\r\n".repeat(1_000)).into_bytes(), 431);
    check("endless one-byte chunks", format!("{chunked}{}", "1\r\na\r\n".repeat(20_000)).into_bytes(), 413);
    assert!(venue.service.take().is_empty());
    let fits = head(&vec!["X: y"; 63].join("\r\n"));
    assert_eq!(statuses(&venue.exchange(&fits)), [200], "64 headers are allowed");
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2_047));
    assert_eq!(statuses(&venue.exchange(target.as_bytes())), [200], "2 KiB of target are allowed");
    assert_eq!(venue.server.stats().faults_of(431) - faults_before, 5);
}

#[test]
fn endless_heads_are_cut_off() {
    under_attack("endless heads", quick_limits(), |venue| {
        let addr = venue.addr();
        std::thread::scope(|scope| {
            for line in ["X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]
            {
                scope.spawn(move || {
                    for _ in 0..30 {
                        let sent = pour(addr, &line.as_bytes().repeat(1_000), Duration::from_millis(300));
                        assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken");
                    }
                });
            }
        });
        assert!(venue.service.take().is_empty());
    });
}

#[test]
fn a_flood_of_rubbish_is_refused_each_time() {
    under_attack("rubbish", quick_limits(), |venue| {
        let mut refused = 0;
        for at in 0_u32..600 {
            let noise: Vec<u8> =
                (0..200_u32).map(|i| (at.wrapping_mul(31).wrapping_add(i * i) >> 3) as u8).collect();
            let mut bytes = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            bytes.extend_from_slice(&noise);
            refused += usize::from(statuses(&venue.exchange(&bytes)) == [400]);
        }
        assert!(refused > 590, "{refused} of 600");
        assert!(venue.service.take().is_empty());
    });
}
