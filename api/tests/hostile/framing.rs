//! Attacks on where a request ends: lengths and chunks.

use crate::table::End::Closed;
use crate::table::check_table;

#[test]
fn ambiguous_or_bad_body_lengths_are_refused() {
    check_table("body lengths", &[
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
    check_table(
        "broken chunks",
        &[
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
        ],
    );
}
