//! What HTTP promises to honest clients, each alone with the toy; and that the valid forms keep working beside real scans.

use crate::client::{assert_still_served, read_responses, responses, statuses};
use crate::service::{Bench, alone, quick_limits};
use crate::table::End::{Closed, Open};
use crate::table::check_table;
use api::http::Limits;
use std::io::Write;

#[test]
fn valid_requests_are_answered_and_the_connection_stays_as_asked() {
    check_table("valid requests", &[
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
fn a_panicking_handler_costs_its_own_connection_only() {
    let _alone = alone();
    let bench = Bench::quick();
    let mut other = bench.connect();
    let answer = bench.exchange(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&answer), [200, 503]);
    assert_still_served(&mut other, "another connection");
    assert_eq!(bench.server.stats().panics, 1);
}
