//! The device port's HTTP layer seen from outside: raw bytes in, statuses and closes out, honest and hostile.
//! Knows nothing of what is inside; whatever the attack, only whole valid requests run, and a good client on its
//! own connection is answered within 50 ms at p99.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

mod http_support;

use api::http::Limits;
use http_support::{
    Bench, GoodClients, MemoryWatch, PATIENCE, alone, assert_silent, connect, quick_limits, read_all,
    read_responses, responses, statuses,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bound for a good client while others attack.
const GOOD_P99_MAX: Duration = Duration::from_millis(50);
/// How much the process (attackers included) may grow during one attack.
const GROWTH_BYTES_MAX: usize = 64 * 1024 * 1024;

// === the table ===

/// Whether the server itself closes after the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
}

use End::{Closed, Open};

/// One row: what is sent, the statuses that come back, the paths that ran, and whether the server then closes.
type Row = (&'static str, &'static [u8], &'static [u16], &'static [&'static str], End);

/// Runs the rows one after the other against one server.
fn check_table(rows: &[Row]) {
    let _alone = alone();
    let bench = Bench::quick();
    for (name, bytes, expected, ran, end) in rows {
        bench.service.take();
        let mut stream = bench.connect();
        stream.write_all(bytes).unwrap();
        if *end == Open {
            let found =
                if expected.is_empty() { Vec::new() } else { read_responses(&mut stream, expected.len()) };
            assert_eq!(found.iter().map(|r| r.status).collect::<Vec<_>>(), *expected, "{name}");
            assert_still_served(&mut stream, name);
        } else {
            assert_eq!(statuses(&read_all(&mut stream)), *expected, "{name}");
        }
        let mut seen: Vec<String> = bench.service.take();
        seen.retain(|request| request != "Get /still-there");
        let paths: Vec<&str> = seen.iter().map(|request| request.split(' ').nth(1).unwrap()).collect();
        assert_eq!(paths, *ran, "{name}: what ran");
    }
    assert_eq!(bench.server.stats().panics, 0);
}

fn assert_still_served(stream: &mut TcpStream, name: &str) {
    stream.write_all(b"GET /still-there HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read_responses(stream, 1)[0].status, 200, "{name}: the connection is still good");
}

#[test]
fn valid_requests_are_answered_and_the_connection_stays_as_asked() {
    check_table(&[
        ("get", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &["/a"], Open),
        ("get with query", b"GET /a?b=c&d HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &["/a"], Open),
        ("post", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &[200], &["/echo"], Open),
        ("empty post", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &[200], &["/echo"], Open),
        ("get with a body", b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &[200], &["/a"], Open),
        ("close", b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200], &["/a"], Closed),
        ("close in a list", b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: te, Close\r\n\r\n", &[200], &["/a"], Closed),
        ("1.0", b"GET /a HTTP/1.0\r\n\r\n", &[200], &["/a"], Closed),
        ("1.0 keep-alive", b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &[200], &["/a"], Open),
        ("1.0 post", b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nab", &[200], &["/echo"], Closed),
        ("absolute form", b"GET http://h:80/a?x HTTP/1.1\r\nHost: h\r\n\r\n", &[200], &["/a"], Open),
        ("absolute form, no path", b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", &[200], &["/"], Open),
        ("blank line first", b"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", &[200], &["/a"], Open),
        ("options", b"OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", &[204], &["/a"], Open),
        ("options of the server", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[204], &["*"], Open),
        ("delete", b"DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", &[405], &["/a"], Open),
        ("put with a body", b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", &[405], &["/a"], Open),
        (
            "three in one packet",
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200, 200],
            &["/1", "/2", "/3"],
            Open,
        ),
        (
            "what follows a close does not run",
            b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200],
            &["/1"],
            Closed,
        ),
        (
            "chunked, then another",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n\
              0\r\nTrailer: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200],
            &["/echo", "/2"],
            Open,
        ),
        (
            "expectation with the body at once",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            &[200],
            &["/echo"],
            Open,
        ),
    ]);
}

#[test]
fn broken_heads_are_refused_and_the_connection_closes() {
    check_table(&[
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
        ("vertical tab in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n", &[400], &[], Closed),
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
    ]);
}

#[test]
fn ambiguous_or_bad_body_lengths_are_refused() {
    check_table(&[
        ("post without length", b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n", &[411], &[], Closed),
        ("1.0 post without length", b"POST /a HTTP/1.0\r\n\r\nabc", &[411], &[], Closed),
        ("no digits", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\nabc", &[400], &[], Closed),
        ("empty", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc", &[400], &[], Closed),
        ("negative", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", &[400], &[], Closed),
        ("plus sign", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", &[400], &[], Closed),
        (
            "hexadecimal",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
            &[400],
            &[],
            Closed,
        ),
        (
            "blank inside",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\nabc",
            &[400],
            &[],
            Closed,
        ),
        ("a list", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", &[400], &[], Closed),
        (
            "beyond 64 bits",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551619\r\n\r\nabc",
            &[400],
            &[],
            Closed,
        ),
        ("one over", b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\nabc", &[413], &[], Closed),
        (
            "over the ceiling where more is allowed",
            b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194305\r\n\r\nabc",
            &[413],
            &[],
            Closed,
        ),
        (
            "huge, with an expectation: no 100 comes",
            b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n",
            &[413],
            &[],
            Closed,
        ),
        (
            "twice the same",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            &[400],
            &[],
            Closed,
        ),
        (
            "twice different",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 0\r\n\r\nabc",
            &[400],
            &[],
            Closed,
        ),
        (
            "chunked on 1.0",
            b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
    ]);
}

/// A chunked request to `/echo` with this body, as a row.
macro_rules! chunked {
    ($name:literal, $body:literal, $status:literal) => {
        (
            $name,
            concat!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes(),
            &[$status],
            &[],
            Closed,
        )
    };
}

#[test]
fn broken_chunks_are_refused() {
    check_table(&[
        chunked!("no size", "\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("not hexadecimal", "g\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("negative size", "-3\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("plus sign", "+3\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("0x", "0x3\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("blank before the size", " 3\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("blank after the size", "3 \r\nabc\r\n0\r\n\r\n", 400),
        chunked!("size that overflows 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("size that wraps to a small one", "100000003\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("size over the limit", "ffffffff\r\nabc\r\n0\r\n\r\n", 413),
        chunked!("one over the limit", "4001\r\nabc", 413),
        chunked!("bare lf after the size", "3\nabc\r\n0\r\n\r\n", 400),
        chunked!("bare lf after the data", "3\r\nabc\n0\r\n\r\n", 400),
        chunked!("no crlf after the data", "3\r\nabc0\r\n\r\n", 400),
        chunked!("data longer than its size", "3\r\nabcd\r\n0\r\n\r\n", 400),
        chunked!("bare lf in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("bare cr in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("nul in an extension", "3;a\0b\r\nabc\r\n0\r\n\r\n", 400),
        chunked!("trailer without colon", "0\r\nX\r\n\r\n", 400),
        chunked!("folded trailer", "0\r\nX: y\r\n z\r\n\r\n", 400),
        chunked!("bare lf at the end", "0\r\n\n", 400),
    ]);
}

/// The known ways to hide a request behind another.
const SMUGGLED: &[Row] = &[
        (
            "CL.TE",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "TE.CL",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
              28\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "blank before the colon",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "chunked, identity",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[501],
            &[],
            Closed,
        ),
        (
            "xchunked",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[501],
            &[],
            Closed,
        ),
        (
            "quoted chunked",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[501],
            &[],
            Closed,
        ),
        (
            "unknown coding beside a length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "two codings",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n\
              0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "coding hidden by a vertical tab",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "coding hidden in a fold",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n\
              0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "coding behind a bare lf",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "a request inside a body is a body",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ab\r\n\r\n",
            &[200],
            &["/echo"],
            Open,
        ),
        (
            "a request inside a chunk is a body",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
              29\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ab\r\n\r\n\r\n0\r\n\r\n",
            &[200],
            &["/echo"],
            Open,
        ),
        (
            "a request behind a body that is too large",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[413],
            &[],
            Closed,
        ),
        (
            "a request behind a broken chunk",
            b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n\
              GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
            &[],
            Closed,
        ),
        (
            "valid before invalid: the valid one is answered",
            b"GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 400],
            &["/first"],
            Closed,
        ),
        (
            "valid before one without length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxPOST /second HTTP/1.1\r\nHost: a\r\n\r\nGET /third",
            &[200, 411],
            &["/echo"],
            Closed,
        ),
];

#[test]
fn smuggled_requests_never_run() {
    check_table(SMUGGLED);
}

#[test]
fn oversized_heads_are_refused_without_being_kept() {
    let _alone = alone();
    let bench = Bench::quick();
    let check = |name: &str, bytes: Vec<u8>, expected: u16| {
        let mut stream = bench.connect();
        // The server may close while we still send: that is the point.
        let sent = stream.write_all(&bytes);
        assert_eq!(statuses(&read_all(&mut stream)), [expected], "{name} (sent: {sent:?})");
    };
    let head = |rest: &str| format!("GET /a HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n").into_bytes();
    check("10,000 headers", head(&vec!["X: y"; 10_000].join("\r\n")), 431);
    check("65 headers", head(&vec!["X: y"; 64].join("\r\n")), 431);
    check("a header line of 900 KiB", head(&format!("X: {}", "y".repeat(900 * 1024))), 431);
    check("a head just over 8 KiB", head(&format!("X: {}", "y".repeat(8_192 - 32))), 431);
    check(
        "a target over 2 KiB",
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2_048)).into_bytes(),
        414,
    );
    check("a target of 900 KiB", format!("GET /{}", "a".repeat(900 * 1024)).into_bytes(), 414);
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check("a chunk extension of 300 bytes", format!("{chunked}1;{}\r\n", "e".repeat(300)).into_bytes(), 400);
    check("endless trailers", format!("{chunked}0\r\n{}", "X: y\r\n".repeat(1_000)).into_bytes(), 431);
    check("endless one-byte chunks", format!("{chunked}{}", "1\r\na\r\n".repeat(20_000)).into_bytes(), 413);
    assert!(bench.service.take().is_empty());
    let fits = head(&vec!["X: y"; 63].join("\r\n"));
    assert_eq!(statuses(&bench.exchange(&fits)), [200], "64 headers are allowed");
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2_047));
    assert_eq!(statuses(&bench.exchange(target.as_bytes())), [200], "2 KiB of target are allowed");
    assert_eq!(bench.server.stats().faults_of(431), 5);
}

// === what HTTP promises ===

#[test]
fn head_gets_the_head_of_get() {
    let _alone = alone();
    let bench = Bench::quick();
    let bytes =
        bench.exchange(b"HEAD /big/1000 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{text}");
    assert!(text.contains("\r\nContent-Length: 1000\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n") && !text.contains("xxx") && text.contains("HTTP/1.1 503 "), "{text}");
}

#[test]
fn options_says_what_is_allowed() {
    let _alone = alone();
    let answer = Bench::quick().exchange(b"OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(answer).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 204 No Content\r\n")
            && text.contains("\r\nAllow: GET, HEAD, POST, OPTIONS\r\n")
    );
    assert!(!text.contains("Content-Length"), "{text}");
}

#[test]
fn continue_is_said_only_when_the_body_is_awaited_and_after_earlier_answers() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut stream = bench.connect();
    stream
        .write_all(
            b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n\
              POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n",
        )
        .unwrap();
    let found = read_responses(&mut stream, 2);
    assert_eq!((found[0].status, found[1].status), (200, 100));
    stream.write_all(b"body").unwrap();
    assert_eq!(read_responses(&mut stream, 1)[0].body, b"body");
}

#[test]
fn connection_memory_lasts_as_long_as_the_connection() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut stream = bench.connect();
    for expected in [b"1", b"2", b"3"] {
        stream.write_all(b"GET /memo HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_responses(&mut stream, 1)[0].body, expected);
    }
    assert_eq!(responses(&bench.exchange(b"GET /memo HTTP/1.1\r\nHost: a\r\n\r\n"))[0].body, b"1");
}

#[test]
fn large_bodies_pass_where_they_are_allowed_and_their_buffers_are_freed() {
    let _alone = alone();
    // Room for one such body, so a buffer that is not given back is missed by the next.
    let bench = Bench::new(1, Limits { buffer_bytes_grown_max: 9 * 1024 * 1024, ..quick_limits() });
    let mut stream = bench.connect();
    for _ in 0..3 {
        stream.write_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; 4 * 1024 * 1024]).unwrap();
        assert_eq!(read_responses(&mut stream, 1)[0].status, 200);
    }
    let mut chunked = b"POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..100_000 {
        chunked.extend_from_slice(b"a\r\n0123456789\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&chunked).unwrap();
    assert_eq!(read_responses(&mut stream, 1)[0].status, 200);
}

#[test]
fn large_bodies_together_are_bounded() {
    let _alone = alone();
    let bench = Bench::new(1, Limits { buffer_bytes_grown_max: 9 * 1024 * 1024, ..quick_limits() });
    let begin = || {
        let mut stream = bench.connect();
        stream.write_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n").unwrap();
        let sent = stream.write_all(&vec![b'x'; 4_194_303]);
        (stream, sent)
    };
    let (mut first, sent) = begin();
    assert!(sent.is_ok());
    let (mut second, _) = begin();
    assert_eq!(statuses(&read_all(&mut second)), [503]);
    first.write_all(b"x").unwrap();
    assert_eq!(read_responses(&mut first, 1)[0].status, 200);
}

#[test]
fn a_panicking_handler_costs_its_own_connection_only() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut other = bench.connect();
    let answer = bench.exchange(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&answer), [200, 503]);
    assert_still_served(&mut other, "another connection");
    assert_eq!(bench.server.stats().panics, 1);
}

// === late answers, the journal, streams, drain ===

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

// === deadlines ===

#[test]
fn slow_requests_time_out_with_an_answer_and_idle_connections_in_silence() {
    let _alone = alone();
    let bench = Bench::new(1, Limits { idle_ms_max: 500, ..quick_limits() });
    let check = |name: &str, bytes: &[u8], trickle: &[&[u8]], expected: &[u16]| {
        let began = Instant::now();
        let mut stream = bench.connect();
        stream.write_all(bytes).unwrap();
        for piece in trickle.iter().cycle().take(trickle.len() * 8) {
            std::thread::sleep(Duration::from_millis(100));
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        assert_eq!(statuses(&read_all(&mut stream)), expected, "{name}");
        assert!(began.elapsed() > Duration::from_millis(290), "{name}: not before its time");
    };
    check("slow head", b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[b"x"], &[408]);
    check("stopped head", b"GET / HT", &[], &[408]);
    check("slow body", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", &[b"y"], &[408]);
    check(
        "stopped chunk",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
        &[],
        &[408],
    );
    check("after an answer", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow", &[], &[200, 408]);
    check("idle from the start", b"", &[], &[]);
    check("idle after an answer", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[], &[200]);
    check("blank lines are idle", b"\r\n", &[b"\r\n"], &[]);
    let stats = bench.server.stats();
    assert_eq!((stats.timeouts_head, stats.timeouts_body, stats.timeouts_idle), (3, 2, 3));
}

#[test]
fn a_request_cut_short_by_its_sender_is_malformed() {
    let _alone = alone();
    let bench = Bench::quick();
    assert_eq!(statuses(&bench.exchange(b"GET / HTTP/1.1\r\nHo")), [400]);
    assert_eq!(
        statuses(&bench.exchange(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")),
        [400]
    );
    assert!(bench.service.take().is_empty());
}

#[test]
fn the_answer_to_an_oversized_body_survives_the_body() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut stream = bench.connect();
    stream.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n").unwrap();
    // A client that sends all before it reads must still find the answer, not a reset.
    stream.write_all(&vec![b'x'; 600_000]).unwrap();
    assert_eq!(statuses(&read_all(&mut stream)), [413]);
}

#[test]
fn connection_caps_hold() {
    let _alone = alone();
    let bench = Bench::new(2, Limits { connections_per_peer_max: 10, ..quick_limits() });
    let mut kept: Vec<TcpStream> = (0..10).map(|_| bench.connect()).collect();
    wait_until("ten are open", || bench.server.stats().connections_open() == 10);
    assert!(read_all(&mut bench.connect()).is_empty(), "the eleventh is closed");
    assert_eq!(bench.server.stats().connections_refused, 1);
    kept.pop();
    wait_until("one has left", || bench.server.stats().connections_open() == 9);
    assert_still_served(&mut bench.connect(), "room again");
}

#[test]
fn running_out_of_descriptors_pauses_accepting_without_spinning() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::os::fd::AsRawFd;
    let _alone = alone();
    let bench = Bench::quick();
    let mut early = bench.connect();
    assert_still_served(&mut early, "before");
    let sockets: Vec<socket2::Socket> = (0..4)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
        .collect();
    let before = getrlimit(Resource::Nofile);
    // The lowest free descriptor becomes the limit: the process can open nothing more.
    let lowest = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let none_left = Rlimit { current: Some(u64::try_from(lowest).unwrap()), maximum: before.maximum };
    setrlimit(Resource::Nofile, none_left).unwrap();
    let connected = sockets.iter().all(|socket| socket.connect(&bench.server.local_addr().into()).is_ok());
    std::thread::sleep(Duration::from_millis(350));
    let errors = bench.server.stats().accept_errors;
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(connected);
    assert!((1..=8).contains(&errors), "{errors} failed attempts in 350 ms with a pause of 100 ms");
    assert_still_served(&mut early, "a connection from before");
    for socket in sockets {
        assert_still_served(&mut socket.into(), "a connection that had to wait");
    }
}

// === attacks, with good clients beside them ===

/// Runs `attack` while good clients go on, then checks their latency and the peak memory of the process.
fn under_attack(name: &str, limits: Limits, attack: impl FnOnce(&Bench)) {
    let _alone = alone();
    let bench = Bench::new(2, limits);
    let memory = MemoryWatch::start();
    // Four, so that both workers have one: the kernel chooses the listener.
    let good = GoodClients::start(bench.server.local_addr(), 4);
    let began = Instant::now();
    attack(&bench);
    std::thread::sleep(Duration::from_millis(500).saturating_sub(began.elapsed()));
    let growth = memory.finish();
    let latencies = good.finish();
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("{name}: {} good requests, p99 {p99:?}, growth {} KiB", latencies.len(), growth / 1024);
    assert!(latencies.len() > 100, "{name}: only {} good requests", latencies.len());
    assert!(p99 <= GOOD_P99_MAX, "{name}: p99 of good clients is {p99:?}");
    assert!(growth <= GROWTH_BYTES_MAX, "{name}: memory grew by {growth} bytes");
}

/// Writes `bytes` again and again until the server stops reading or closes, or `for_long` is over.
fn pour(addr: SocketAddr, bytes: &[u8], for_long: Duration) -> usize {
    let mut stream = connect(addr);
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < for_long {
        match stream.write(bytes) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn pipeliners_that_never_read_are_stopped() {
    under_attack("never-reading pipeliners", quick_limits(), |bench| {
        let addr = bench.server.local_addr();
        let request = b"GET /big/2000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| pour(addr, &request, Duration::from_secs(2)));
            }
        });
        wait_until("all are closed", || bench.server.stats().timeouts_write == 8);
    });
}

#[test]
fn a_pipeliner_that_reads_is_served_but_not_alone() {
    under_attack("reading pipeliners", quick_limits(), |bench| {
        let addr = bench.server.local_addr();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let mut stream = connect(addr);
                    let burst =
                        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nscan".repeat(200);
                    for _ in 0..40 {
                        stream.write_all(&burst).unwrap();
                        assert_eq!(read_responses(&mut stream, 200).len(), 200);
                    }
                });
            }
        });
    });
}

#[test]
fn endless_heads_are_cut_off() {
    under_attack("endless heads", quick_limits(), |bench| {
        let addr = bench.server.local_addr();
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
        assert!(bench.service.take().is_empty());
    });
}

#[test]
fn many_slow_heads_and_bodies_at_once_are_timed_out() {
    under_attack("300 slow heads, 300 slow bodies", quick_limits(), |bench| {
        let head = b"GET / HTTP/1.1\r\nX: ".as_slice();
        let body = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\n\r\n".as_slice();
        let mut streams: Vec<TcpStream> = (0..600).map(|_| bench.connect()).collect();
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
fn announced_but_unsent_large_bodies_cost_nothing() {
    under_attack("500 announced bodies of 4 MiB", quick_limits(), |bench| {
        let mut streams: Vec<TcpStream> = (0..500).map(|_| bench.connect()).collect();
        for stream in &mut streams {
            stream
                .write_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\nxxxx")
                .unwrap();
        }
        streams.iter_mut().for_each(|stream| assert_eq!(statuses(&read_all(stream)), [408]));
    });
}

#[test]
fn slow_readers_of_large_answers_are_dropped() {
    under_attack("slow readers", quick_limits(), |bench| {
        let mut streams: Vec<TcpStream> = (0..4).map(|_| bench.connect()).collect();
        for stream in &mut streams {
            stream.write_all(&b"GET /big/200000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(60)).unwrap();
        }
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            streams.iter_mut().for_each(|stream| drop(stream.read(&mut [0; 16])));
        }
        wait_until("all are dropped", || bench.server.stats().timeouts_write == 4);
    });
}

#[test]
fn thousands_of_idle_connections_harm_nobody() {
    let wanted = idle_connections();
    under_attack(&format!("{wanted} idle connections"), quick_limits(), |bench| {
        let idle: Vec<TcpStream> = (0..wanted).map(|_| bench.connect()).collect();
        std::thread::sleep(Duration::from_millis(300));
        let open = bench.server.stats().connections_open();
        println!("{open} open");
        drop(idle);
    });
}

/// 5,000, or as many as the descriptor limit allows: both ends are in this process.
fn idle_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).ok();
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |now| usize::try_from(now).unwrap());
    let wanted = 5_000.min(allowed.saturating_sub(400) / 2);
    if wanted < 5_000 {
        println!("only {wanted} idle connections: {allowed} descriptors are allowed");
    }
    wanted
}

#[test]
fn a_connection_per_scan_is_served() {
    under_attack("a connection per scan", quick_limits(), |bench| {
        for _ in 0..1_000 {
            let mut stream = bench.connect();
            stream
                .write_all(
                    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\nTICKET",
                )
                .unwrap();
            assert_eq!(responses(&read_all(&mut stream))[0].body, b"TICKET");
        }
        assert_eq!(bench.service.take().len(), 1_000);
    });
}

#[test]
fn a_flood_of_rubbish_is_refused_each_time() {
    under_attack("rubbish", quick_limits(), |bench| {
        let mut refused = 0;
        for at in 0_u32..600 {
            let noise: Vec<u8> =
                (0..200_u32).map(|i| (at.wrapping_mul(31).wrapping_add(i * i) >> 3) as u8).collect();
            let mut bytes = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            bytes.extend_from_slice(&noise);
            refused += usize::from(statuses(&bench.exchange(&bytes)) == [400]);
        }
        assert!(refused > 590, "{refused} of 600");
        assert!(bench.service.take().is_empty());
    });
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
