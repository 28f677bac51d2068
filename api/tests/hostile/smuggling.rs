//! The known ways to hide a request behind another, on the toy's paths and with real scans.

use crate::attack::under_attack;
use crate::client::{read_all, read_responses, statuses};
use crate::service::quick_limits;
use crate::table::End::{Closed, Open};
use crate::table::{Row, check_table};
use crate::venue::{SIDE_GATE, SIDE_KEY, VALIDATE, side_scan};
use std::io::Write;

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
    check_table("smuggling", SMUGGLED);
}

/// Heads that make two readers disagree about where the scan behind them begins.
const HIDING: [(&str, &str, u16); 12] = [
    ("CL.TE", "Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n", 400),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
    ("TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400),
    ("two codings in a list", "Transfer-Encoding: gzip, chunked\r\n", 501),
    ("CL.CL", "Content-Length: LEN\r\nContent-Length: 5\r\n", 400),
    ("a list of lengths", "Content-Length: LEN, 5\r\n", 400),
    ("a fold", "X: y\r\n Content-Length: 5\r\nContent-Length: LEN\r\n", 400),
    ("a bare CR", "X: y\rContent-Length: 5\r\nContent-Length: LEN\r\n", 400),
    ("a bare LF", "X: y\nContent-Length: 5\r\nContent-Length: LEN\r\n", 400),
    ("a NUL", "X: \0\r\nContent-Length: LEN\r\n", 400),
    ("a doubtful expectation", "Expect: x 100-continue\r\nContent-Length: LEN\r\n", 417),
    ("two hosts", "Host: b\r\nContent-Length: LEN\r\n", 400),
];

#[test]
fn a_scan_hidden_behind_another_request_is_never_made() {
    under_attack("hidden scans", quick_limits(), |venue| {
        let body = [b"0\r\n\r\n".as_slice(), &side_scan("hidden")].concat();
        for (name, headers, status) in HIDING {
            let headers = headers.replace("LEN", &body.len().to_string());
            let head =
                format!("POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {SIDE_KEY}\r\n{headers}\r\n");
            let mut stream = venue.connect();
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            assert_eq!(statuses(&read_all(&mut stream)), [status], "{name}");
        }
        for (name, bytes, answers) in hidden_in_a_body(&body) {
            let mut stream = venue.connect();
            stream.write_all(&bytes).unwrap();
            let found = read_responses(&mut stream, answers.len());
            assert_eq!(found.iter().map(|answer| answer.status).collect::<Vec<_>>(), answers, "{name}");
        }
        assert_eq!(venue.decided(SIDE_GATE), (0, 0), "a hidden scan was made");
    });
}

/// Scans that are the body of another request: the body is read and thrown away.
fn hidden_in_a_body(scan: &[u8]) -> Vec<(&'static str, Vec<u8>, Vec<u16>)> {
    let with = |head: &str| {
        let head = head.replace("LEN", &scan.len().to_string());
        [head.as_bytes(), scan, b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
    };
    let chunked = [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n"
            .as_slice(),
        b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    .concat();
    vec![
        (
            "CL.0 on a GET",
            with("GET /api/access/health HTTP/1.1\r\nHost: a\r\nContent-Length: LEN\r\n\r\n"),
            vec![200, 200],
        ),
        (
            "CL.0 on a path that is not there",
            with("POST /api/none HTTP/1.1\r\nHost: a\r\nContent-Length: LEN\r\n\r\n"),
            vec![404, 200],
        ),
        (
            "a method refused",
            with("PUT /api/access/health HTTP/1.1\r\nHost: a\r\nContent-Length: LEN\r\n\r\n"),
            vec![405, 200],
        ),
        (
            "an upgrade that is not made",
            with(
                "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: LEN\r\n\r\n",
            ),
            vec![200, 200],
        ),
        (
            "a length that is called a header of this hop",
            with(
                "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: LEN\r\n\r\n",
            ),
            vec![200, 200],
        ),
        ("a length in the trailers", chunked, vec![200, 200]),
    ]
}

#[test]
fn a_valid_scan_before_an_invalid_request_is_answered_and_what_follows_is_not_made() {
    under_attack("valid, invalid, valid", quick_limits(), |venue| {
        let before = venue.decided(SIDE_GATE).0;
        let bytes = [
            side_scan(&format!("valid-{before}")).as_slice(),
            b"POST /api/access/validate HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            &side_scan("behind the invalid one"),
        ]
        .concat();
        let mut stream = venue.connect();
        stream.write_all(&bytes).unwrap();
        assert_eq!(statuses(&read_all(&mut stream)), [200, 400]);
        assert_eq!(venue.decided(SIDE_GATE), (before + 1, 0));
    });
}
