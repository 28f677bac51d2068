//! Attacks on the body: what is no UTF-8, no JSON, JSON of the wrong kind or size, or in a coding. Every one gets its
//! refusal in the device's own words, and none is decided as a scan.

use crate::attack::{under_attack, under_attack_within};
use crate::client::{Response, connect, read_responses};
use crate::service::quick_limits;
use crate::venue::{READER_KEY, SIDE_GATE, SIDE_KEY, VALIDATE, Venue, post};
use std::io::{Read, Write};
use std::net::TcpStream;

const MIB: usize = 1024 * 1024;
/// How much the process may grow under uploads. One costs some 32 MiB while it is answered: read buffer, outcomes of
/// 50,000 rows, and 7 MB of answer twice. Each of the two workers may have one, and the allocator keeps what it had.
const UPLOAD_GROWTH_BYTES_MAX: usize = 128 * MIB;

/// Sends one request on a connection of its own; gives the answer.
fn answer(venue: &Venue, request: &[u8]) -> Response {
    let mut stream = connect(venue.addr());
    // The server may refuse while we still send.
    let _ = stream.write_all(request);
    read_responses(&mut stream, 1).remove(0)
}

/// A JSON device is refused with this status, in JSON that opens nothing.
fn refused(venue: &Venue, name: &str, request: &[u8], status: u16) {
    let answer = answer(venue, request);
    assert_eq!(answer.status, status, "{name}: {}", String::from_utf8_lossy(&answer.body));
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&value["status"], &value["device_action"]["unlock_door"]),
        (&"error".into(), &false.into()),
        "{name}"
    );
    assert!(value["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}: {value}");
}

/// A reader that speaks text is refused with the one code that no reader opens on.
fn refused_in_text(venue: &Venue, name: &str, headers: &str, body: &[u8], status: u16) {
    let path = format!("/d/{READER_KEY}{VALIDATE}");
    let answer = answer(venue, &post(&path, headers, body));
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, status, "{name}: {text}");
    assert!(text.starts_with("code=02ff&&msg="), "{name}: {text}");
}

fn side(headers: &str, body: &[u8]) -> Vec<u8> {
    post(VALIDATE, &format!("X-Api-Key: {SIDE_KEY}\r\n{headers}"), body)
}

/// Runs `attack` and sees that the side gate decided nothing.
fn nothing_is_decided(name: &str, attack: impl Fn(&Venue)) {
    under_attack(name, quick_limits(), |venue| {
        attack(venue);
        assert_eq!(venue.decided(SIDE_GATE), (0, 0), "{name}");
    });
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let bodies: [(&str, &[u8]); 9] = [
        ("a byte that begins nothing", b"{\"qr_data\":\"STAFF\xff\"}"),
        ("a cut-off sequence", b"{\"qr_data\":\"STAFF\xe2\x82\"}"),
        ("an overlong slash", b"{\"qr_data\":\"STAFF\xc0\xaf\"}"),
        ("a surrogate in UTF-8", b"{\"qr_data\":\"STAFF\xed\xa0\x80\"}"),
        ("in an unknown field", b"{\"qr_data\":\"STAFF\",\"x\":\"\xff\"}"),
        ("in a key", b"{\"qr_data\":\"STAFF\",\"\xff\":1}"),
        ("UTF-16", b"\xff\xfe{\0\"\0q\0\"\0"),
        ("a byte order mark", b"\xef\xbb\xbf{\"qr_data\":\"STAFF\"}"),
        ("a bare code", b"STAFF\xff"),
    ];
    nothing_is_decided("invalid UTF-8", |venue| {
        for (name, body) in bodies {
            refused(venue, name, &side("", body), 400);
        }
        refused_in_text(venue, "text", "", b"vgdecoderesult=STAFF\xff\xfe&&devicenumber=1", 400);
        refused_in_text(venue, "text, JSON", "", bodies[0].1, 400);
    });
}

#[test]
fn what_is_no_json_or_not_of_the_kind_asked_for_is_refused() {
    let bodies = [
        ("a key twice", r#"{"qr_data":"STAFF","qr_data":"OTHER"}"#),
        ("a key twice the same", r#"{"qr_data":"STAFF","qr_data":"STAFF"}"#),
        ("a key twice, once escaped", r#"{"qr_data":"STAFF","qr\u005fdata":"OTHER"}"#),
        ("a number for the code", r#"{"qr_data":7}"#),
        ("a number for the key", r#"{"qr_data":"STAFF","api_key":7}"#),
        ("a number for the scan id", r#"{"qr_data":"STAFF","scan_id":1}"#),
        ("a list for the code", r#"{"qr_data":["STAFF"]}"#),
        ("an object for the code", r#"{"qr_data":{"a":"STAFF"}}"#),
        ("true for the code", r#"{"qr_data":true}"#),
        ("a text for the people", r#"{"qr_data":"STAFF","people":"2"}"#),
        ("a number for the people that is too large", r#"{"qr_data":"STAFF","people":1e999999}"#),
        ("a fraction for the people", r#"{"qr_data":"STAFF","people":1.5}"#),
        ("a list", r#"[{"qr_data":"STAFF"}]"#),
        ("a text", r#""STAFF""#),
        ("two objects", r#"{"qr_data":"STAFF"}{"qr_data":"STAFF"}"#),
        ("a comma too many", r#"{"qr_data":"STAFF",}"#),
        ("single quotes", "{'qr_data':'STAFF'}"),
        ("a comment", r#"{"qr_data":"STAFF"/* */}"#),
        ("NaN", r#"{"qr_data":"STAFF","x":NaN}"#),
        ("half a surrogate pair", r#"{"qr_data":"STAFF","x":"\ud800"}"#),
        ("a NUL in the code", "{\"qr_data\":\"STAFF\0\"}"),
        ("an escaped NUL in the code", r#"{"qr_data":"STAFF\u0000"}"#),
        ("a line feed in the code", "{\"qr_data\":\"STAFF\n\"}"),
        ("cut off", r#"{"qr_data":"STAFF""#),
        ("cut off in the text", r#"{"qr_data":"STAFF"#),
        ("nothing", ""),
    ];
    nothing_is_decided("wrong JSON", |venue| {
        for (name, body) in bodies {
            refused(venue, name, &side("", body.as_bytes()), 400);
        }
        refused_in_text(venue, "text", "", bodies[0].1.as_bytes(), 400);
    });
}

#[test]
fn deep_and_long_json_is_refused_without_being_built() {
    let nested = |open: &str, shut: &str, depth: usize| {
        format!(r#"{{"qr_data":"STAFF","x":{}{}}}"#, open.repeat(depth), shut.repeat(depth)).into_bytes()
    };
    let deep = [
        nested("[", "]", 33),
        nested("[", "]", 8_000),
        nested("[", "", 16_000),
        nested(r#"{"a":"#, "", 3_000),
    ];
    let long = |bytes: usize| format!(r#"{{"qr_data":"{}"}}"#, "9".repeat(bytes)).into_bytes();
    let many_keys: String = (0..1_300).map(|n| format!(r#""{n}":0,"#)).collect();
    let twice_at_last = format!(r#"{{"qr_data":"STAFF",{many_keys}"qr_data":"OTHER"}}"#).into_bytes();
    nothing_is_decided("deep and long JSON", |venue| {
        for body in &deep {
            refused(venue, "deep", &side("", body), 400);
        }
        refused(venue, "a code of 257 bytes", &side("", &long(257)), 400);
        refused(venue, "a code of 16,000 bytes", &side("", &long(16_000)), 400);
        refused(venue, "a text of 1 MB", &side("", &long(1_000_000)), 413);
        refused(venue, "a key twice among 1,300", &side("", &twice_at_last), 400);
        refused_in_text(venue, "text", "", &[b'9'; 16_000], 400);
    });
}

/// Reads everything until the server closes and keeps the first KiB: an answer as long as its upload is not what is
/// measured here.
fn read_front(stream: &mut TcpStream) -> String {
    let mut front = [0; 1024];
    let len = stream.read(&mut front).unwrap();
    std::io::copy(stream, &mut std::io::sink()).unwrap();
    String::from_utf8_lossy(&front[..len]).into_owned()
}

#[test]
fn a_bad_upload_of_four_mebibytes_costs_little_more_than_its_own_bytes() {
    let offline = "/api/access/offline";
    let headers = format!("X-Api-Key: {SIDE_KEY}\r\nConnection: close\r\n");
    let row = |code: &str| {
        format!(r#"{{"qr_data":"{code}","scanned_at":"2026-01-01T00:00:00Z","result":"denied"}}"#)
    };
    // Made before the memory is watched.
    let uploads = [
        ("a text of 1 MB", row(&"9".repeat(1_000_000)).into_bytes()),
        ("4 MiB of brackets", vec![b'['; 4 * MIB]),
        ("4 MiB of rubbish lines", b"rubbish\n".repeat(MIB / 2)),
        ("no UTF-8", b"{\"qr_data\":\"\xff\"}\n".to_vec()),
    ]
    .map(|(name, upload)| (name, post(offline, &headers, &upload)));
    let too_long = post(offline, &headers, &vec![b' '; 4 * MIB + 1]);
    under_attack_within(UPLOAD_GROWTH_BYTES_MAX, "bad uploads", quick_limits(), |venue| {
        for (name, request) in &uploads {
            let mut stream = venue.connect();
            stream.write_all(request).unwrap();
            let answer = read_front(&mut stream);
            let told = answer.contains(r#""status":"partial","accepted":0,"rejected":"#);
            assert!(told && !answer.contains(r#""rejected":0"#), "{name}: {answer}");
        }
        refused(venue, "over 4 MiB", &too_long, 413);
        assert_eq!(venue.decided(SIDE_GATE), (0, 0));
    });
}

#[test]
fn a_body_in_a_coding_is_refused_and_not_read_as_something_else() {
    let good = br#"{"qr_data":"STAFF"}"#;
    let gzip: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*,\x8aOI,IT\xb2R\n\x0eqtsS\xaa\x05\0";
    nothing_is_decided("codings", |venue| {
        for coding in ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x-unknown"] {
            let header = format!("Content-Encoding: {coding}\r\n");
            refused(venue, coding, &side(&header, gzip), 415);
            // Nor is it guessed that the header is wrong.
            refused(venue, coding, &side(&header, good), 415);
            refused_in_text(venue, coding, &header, b"vgdecoderesult=STAFF&&devicenumber=1", 415);
        }
        let twice = "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n";
        refused(venue, "identity, then gzip", &side(twice, gzip), 415);
    });
}
