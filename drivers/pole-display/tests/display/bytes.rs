//! Bytes of each command set, written down from the manuals' tables and not taken from the driver.

use crate::desk::{Desk, line};
use driver_sdk::Op;

const BLANK: &[u8; 20] = b"                    ";

fn check(what: &str, found: &[u8], wanted: &[&[u8]]) {
    let wanted = wanted.concat();
    assert_eq!(found.escape_ascii().to_string(), wanted.escape_ascii().to_string(), "{what}");
}

/// Twenty cells with a text at the left.
fn padded(text: &str) -> Vec<u8> {
    format!("{text:20}").into_bytes()
}

#[test]
fn a_pd300_is_brought_to_epson_mode_and_cleared() {
    let mut desk = Desk::new("{}");
    check(
        "open",
        &desk.open(),
        &[
            &[0x0d, 0x0d],             // ends what was left half sent
            &[0x14, 0x16],             // from PST mode to Epson mode
            &[0x1b, 0x40],             // initialize
            &[0x1f, 0x01],             // overwrite mode
            &[0x1b, 0x74, 0x13],       // page 19: with the euro
            &[0x1f, 0x45, 0x00],       // no blinking
            &[0x1f, 0x24, 0x01, 0x01], // column 1, line 1
            BLANK,
            &[0x1f, 0x24, 0x01, 0x02],
            BLANK,
            &[0x1f, 0x43, 0x00], // no cursor
        ],
    );
    check(
        "a document",
        &desk.show(&[line(1, "Tor 7 öffnet"), line(2, "12,50 €")]),
        &[
            &[0x1f, 0x24, 0x01, 0x01],
            b"Tor 7 \x94ffnet",
            &[0x1f, 0x24, 0x01, 0x02],
            b"12,50 \xd5", // the euro is at D5h
        ],
    );
}

#[test]
fn a_pd300_in_epson_mode_for_sure_is_not_told_so() {
    let open = Desk::new(r#"{"force_epson":false,"code_page":437}"#).open();
    check("open", &open[..9], &[&[0x0d, 0x0d, 0x1b, 0x40, 0x1f, 0x01, 0x1b, 0x74, 0x00]]);
}

#[test]
fn an_epson_display() {
    let mut desk = Desk::generic("epson", "");
    assert!(desk.open().starts_with(&[0x0d, 0x0d, 0x1b, 0x40, 0x1f, 0x01, 0x1b, 0x74, 0x13]));
    check("brightness", &desk.show(&[Op::Bright(3)]), &[&[0x1f, 0x58, 0x03]]);
    check("cursor", &desk.show(&[Op::Cursor(true)]), &[&[0x1f, 0x43, 0x01]]);
    check("blinking", &desk.show(&[Op::Blink(500)]), &[&[0x1f, 0x45, 10]]);
    check("quick blinking", &desk.show(&[Op::Blink(1)]), &[&[0x1f, 0x45, 1]]);
    check("slow blinking", &desk.show(&[Op::Blink(60_000)]), &[&[0x1f, 0x45, 254]]);
    check("no blinking", &desk.show(&[Op::Blink(0)]), &[&[0x1f, 0x45, 0]]);
    desk.show(&[line(2, "Gate 7")]);
    check("clear", &desk.show(&[Op::Clear]), &[&[0x0c]]);
    // Everything again keeps what was set.
    let (healed, _) = desk.tick_after(60_000);
    check(
        "healing",
        &healed,
        &[
            &[0x0d, 0x0d, 0x1f, 0x01, 0x1b, 0x74, 0x13, 0x1f, 0x45, 0x00, 0x1f, 0x58, 0x03],
            &[0x1f, 0x24, 0x01, 0x01],
            BLANK,
            &[0x1f, 0x24, 0x01, 0x02],
            BLANK,
            &[0x1f, 0x43, 0x01],
        ],
    );
}

#[test]
fn a_cd5220_leaves_string_mode_first() {
    let mut desk = Desk::generic("cd5220", "");
    check(
        "open",
        &desk.open(),
        &[
            &[0x0d, 0x0d],
            &[0x0c],       // CLR leaves string mode
            &[0x1b, 0x40], // initialize
            &[0x1b, 0x11], // overwrite mode
            &[0x1f, 0x45, 0x00],
            &[0x1b, 0x6c, 0x01, 0x01],
            BLANK,
            &[0x1b, 0x6c, 0x01, 0x02],
            BLANK,
            &[0x1b, 0x5f, 0x00],
        ],
    );
    check("line 2", &desk.show(&[line(2, "  Row C")]), &[&[0x1b, 0x6c, 0x03, 0x02], b"Row C"]);
    check("brightness", &desk.show(&[Op::Bright(1)]), &[&[0x1b, 0x2a, 0x01]]);
    check("cursor", &desk.show(&[Op::Cursor(true)]), &[&[0x1b, 0x5f, 0x01]]);
}

#[test]
fn a_cd5220_that_knows_only_strings() {
    let mut desk = Desk::generic("cd5220-string", "");
    check(
        "open",
        &desk.open(),
        &[b"\x1bQA\r\x0c\x1b@", &[0x1b, 0x51, 0x41], BLANK, &[0x0d], &[0x1b, 0x51, 0x42], BLANK, &[0x0d]],
    );
    check("line 1", &desk.show(&[line(1, "Row C")]), &[&[0x1b, 0x51, 0x41], &padded("Row C"), &[0x0d]]);
    check("clear", &desk.show(&[Op::Clear]), &[&[0x0c]]);
}

#[test]
fn an_aedex_display_gets_whole_lines_and_nothing_outside_of_them() {
    let mut desk = Desk::generic("aedex", "");
    check("open", &desk.open(), &[b"!#1\r", b"!#1", BLANK, b"\r", b"!#2", BLANK, b"\r"]);
    check(
        "both lines",
        &desk.show(&[line(1, "Gate 7"), line(2, "Row C")]),
        &[&[0x21, 0x23, 0x31], &padded("Gate 7"), &[0x0d], &[0x21, 0x23, 0x32], &padded("Row C"), &[0x0d]],
    );
    check("blanks", &desk.show(&[Op::Clear, line(2, "Row C")]), &[b"!#1", BLANK, b"\r"]);
}

#[test]
fn an_adm_display() {
    let mut desk = Desk::generic("adm", "");
    check(
        "open",
        &desk.open(),
        &[b"\r", &[0x0c], &[0x12, 0x31, 0x12, 0x32], &[0x0e], BLANK, b"\r", &[0x0f], BLANK, b"\r"],
    );
    check("line 2", &desk.show(&[line(2, "Row C")]), &[&[0x0f], &padded("Row C"), &[0x0d]]);
    check("blinking", &desk.show(&[Op::Blink(500)]), &[&[0x11, 0x31, 0x11, 0x32]]);
    check("no blinking", &desk.show(&[Op::Blink(0)]), &[&[0x12, 0x31, 0x12, 0x32]]);
}

#[test]
fn a_utc_display() {
    let mut desk = Desk::generic("utc", "");
    check(
        "open",
        &desk.open(),
        &[&[0x0d, 0x1f, 0x11, 0x1d, 0x10, 0x00], BLANK, &[0x10, 0x14], BLANK, &[0x14]],
    );
    check("a place", &desk.show(&[line(2, "     C")]), &[&[0x10, 0x19], b"C"]);
    check("cursor", &desk.show(&[Op::Cursor(true)]), &[&[0x13]]);
    check("brightness", &desk.show(&[Op::Bright(4)]), &[&[0x04, 0xff]]);
    check(
        "what blinks is written again",
        &desk.show(&[Op::Blink(300)]),
        &[&[0x0d, 0x11, 0x1c, 0x04, 0xff, 0x10, 0x00], BLANK, &[0x10, 0x14], &padded("     C"), &[0x13]],
    );
}

#[test]
fn a_utc_enhanced_display() {
    let mut desk = Desk::generic("utc-enhanced", "");
    check("open", &desk.open(), &[b"\x1buA\r", b"\x1buA", BLANK, b"\r", b"\x1buB", BLANK, b"\r"]);
    check("line 2", &desk.show(&[line(2, "Row C")]), &[&[0x1b, 0x75, 0x42], &padded("Row C"), &[0x0d]]);
}

#[test]
fn a_dsp800_display() {
    let mut desk = Desk::generic("dsp800", "");
    check(
        "open",
        &desk.open(),
        &[
            &[0x17, 0x17],
            &[0x04, 0x01, 0x43, 0x31, 0x58, 0x17],
            &[0x04, 0x01, 0x50, 0x31, 0x17],
            BLANK,
            &[0x04, 0x01, 0x50, 0x45, 0x17],
            BLANK,
        ],
    );
    check("line 2", &desk.show(&[line(2, "Row C")]), &[&[0x04, 0x01, 0x50, 0x45, 0x17], b"Row C"]);
    check("clear", &desk.show(&[Op::Clear]), &[&[0x04, 0x01, 0x43, 0x31, 0x58, 0x17]]);
}

#[test]
fn a_pd26xx_speaks_what_its_switches_say() {
    let open = Desk::new(r#"{"model":"pd26xx","code_page":1253}"#).open();
    assert!(open.starts_with(b"\r\r\x14\x16\x1b@\x1f\x01\x1bt\xff"), "{}", open.escape_ascii());
    // Posiflex's own mode is left for Epson's only.
    let open = Desk::new(r#"{"model":"pd26xx","command_set":"utc"}"#).open();
    assert!(open.starts_with(b"\r\x1f\x11"), "{}", open.escape_ascii());
}
