//! The readers' own text form from the outside: every variant seen on real devices, and codes that try to be more
//! than a code.

use api::body::{Presented, Scratch, Wire, fuzz_scan, parse_scan};

fn check(body: &str, wire: Wire, code: &str, number: Option<&str>) {
    let mut scratch = Scratch::default();
    let scan = parse_scan(body.as_bytes(), &mut scratch).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!((scan.wire, scan.presented, scan.number), (wire, Presented::Code(code), number), "{body}");
    fuzz_scan(body.as_bytes());
}

#[test]
fn every_variant_of_the_field_is_read() {
    let text = Wire::Text;
    check("vgdecoderesult=TICKET-0001&&devicenumber=001&&otherparams=", text, "TICKET-0001", Some("001"));
    check("vgdecoderesult=TICKET-0001&&devicenumber=001", text, "TICKET-0001", Some("001"));
    check(
        "vgdecoderesult=TICKET-0001&&devicenumber=001&&otherparams=a&&b=c",
        text,
        "TICKET-0001",
        Some("001"),
    );
    check("vgdecoderesult=TICKET-0001&devicenumber=001", text, "TICKET-0001", Some("001"));
    check("vgdecoderesult=TICKET-0001&devicenumber=001&otherparams=", text, "TICKET-0001", Some("001"));
    check("vgdecoderresult=TICKET-0001&&devicenumber=001", text, "TICKET-0001", Some("001"));
    check("vgdecoderesultD9E07D0Edevicenumber22110001otherparams", text, "D9E07D0E", Some("22110001"));
    check("vgdecoderresultD9E07D0Edevicenumber22110001", text, "D9E07D0E", Some("22110001"));
    check("vgdecoderesult=TICKET-0001", text, "TICKET-0001", None);
    check("vgdecoderesult=TICKET-0001&&otherparams=x", text, "TICKET-0001", None);
    check("vgdecoderesult=TICKET-0001&&devicenumber=", text, "TICKET-0001", None);
    check("TICKET-0001", Wire::Bare, "TICKET-0001", None);
    check(r#"{"vgdecoderesult":"TICKET-0001","devicenumber":"001"}"#, Wire::Json, "TICKET-0001", Some("001"));
    check(r#"{"vgdecoderresult":"TICKET-0001","devicenumber":""}"#, Wire::Json, "TICKET-0001", None);
}

#[test]
fn what_a_reader_appends_is_cut_off() {
    check("vgdecoderesult=A \r\n&&devicenumber=001 \r\n", Wire::Text, "A", Some("001"));
    check("TICKET-0001\r\n", Wire::Bare, "TICKET-0001", None);
    check("\r\nvgdecoderesult=A&&devicenumber=1\n", Wire::Text, "A", Some("1"));
    check(r#"{"qr_data":"TICKET-0001\r\n"}"#, Wire::Json, "TICKET-0001", None);
}

#[test]
fn a_code_cannot_say_which_device_scanned_it() {
    for inner in
        ["X&&devicenumber=900", "X&devicenumber=900", "X&&devicenumber=900&&otherparams=", "Xdevicenumber900"]
    {
        check(
            &format!("vgdecoderesult={inner}&&devicenumber=001&&otherparams="),
            Wire::Text,
            inner,
            Some("001"),
        );
        check(&format!("vgdecoderesult={inner}&devicenumber=001"), Wire::Text, inner, Some("001"));
    }
    check(
        "vgdecoderesultXdevicenumber9devicenumber001otherparams",
        Wire::Text,
        "Xdevicenumber9",
        Some("001"),
    );
}

#[test]
fn a_code_may_hold_anything_printable() {
    check("vgdecoderesult=a=b&c&&d&&devicenumber=1", Wire::Text, "a=b&c&&d", Some("1"));
    check("vgdecoderesult=X&&&devicenumber=1", Wire::Text, "X&", Some("1"));
    check("vgdecoderesult={\"qr_data\":1}&&devicenumber=1", Wire::Text, "{\"qr_data\":1}", Some("1"));
    check("vgdecoderesult=%41+é😀&&devicenumber=1", Wire::Text, "%41+é😀", Some("1"));
    check("code=0000&&desc=json", Wire::Bare, "code=0000&&desc=json", None);
    check("xvgdecoderesult=A", Wire::Bare, "xvgdecoderesult=A", None);
    check("123456", Wire::Bare, "123456", None);
}

#[test]
fn what_is_no_code_is_refused_with_its_field() {
    for (body, message) in [
        (&b"vgdecoderesult=&&devicenumber=001"[..], "vgdecoderesult: is empty"),
        (b"vgdecoderesult=", "vgdecoderesult: is empty"),
        (b"vgdecoderesultdevicenumber1", "vgdecoderesult: is empty"),
        (b"vgdecoderesult=A\0B&&devicenumber=1", "vgdecoderesult: holds a control character"),
        (b"A\x1bB", "vgdecoderesult: holds a control character"),
        ("A\u{85}B".as_bytes(), "vgdecoderesult: holds a control character"),
        (b"vgdecoderesult=A&&devicenumber=0\x001", "devicenumber: holds a control character"),
        (b"\x04\xA1\xB2\xC3", "not UTF-8"),
        (b" \r\n", "the body is empty"),
        (b"", "the body is empty"),
    ] {
        let mut scratch = Scratch::default();
        let error = parse_scan(body, &mut scratch).unwrap_err().to_string();
        assert!(error.starts_with(message), "{body:?} gives {error}");
        fuzz_scan(body);
    }
}

#[test]
fn lengths_are_bounded() {
    let mut scratch = Scratch::default();
    let code = |len: usize| format!("vgdecoderesult={}&&devicenumber=1", "x".repeat(len));
    assert!(parse_scan(code(255).as_bytes(), &mut scratch).is_ok());
    assert!(parse_scan(code(256).as_bytes(), &mut scratch).is_err());
    let long = format!("vgdecoderesult=A&&devicenumber=1&&otherparams={}", "x".repeat(4_096));
    let error = parse_scan(long.as_bytes(), &mut scratch).unwrap_err().to_string();
    assert!(error.contains("4096 is the most"), "{error}");
}
