//! Byte sequences from the manuals, and what a display makes of them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;

fn shown(dialect: Dialect, bytes: &[u8]) -> Pole {
    let mut pole = Pole::new(dialect);
    pole.feed(bytes);
    pole
}

/// Both lines after these bytes, which have to be understood whole.
fn check(dialect: Dialect, bytes: &[u8], upper: &str, lower: &str) {
    let pole = shown(dialect, bytes);
    assert_eq!(pole.errors(), &[] as &[String], "{dialect:?} {bytes:02x?}");
    assert!(!pole.is_in_command(), "{dialect:?} {bytes:02x?}");
    let lines = [pole.screen().line(0), pole.screen().line(1)];
    assert_eq!(lines.each_ref().map(|line| line.trim_end()), [upper, lower], "{dialect:?} {bytes:02x?}");
    assert!(lines.iter().all(|line| line.chars().count() == COLUMNS));
}

#[test]
fn every_dialect_shows_two_lines_and_clears_them() {
    use Dialect::*;
    let upper = b"Gate 7              ";
    let lower = b"Row 3               ";
    let text = |parts: &[&[u8]]| parts.concat();
    for (dialect, bytes, clear) in [
        (Epson, text(&[b"\x1f\x24\x01\x01", upper, b"\x1f\x24\x01\x02", lower]), &b"\x0c"[..]),
        (Pd300, text(&[b"\x1f\x24\x01\x01", upper, b"\x1f\x24\x01\x02", lower]), b"\x0c"),
        (Cd5220, b"\x1bQAGate 7\x0d\x1bQBRow 3\x0d".to_vec(), b"\x0c"),
        (Aedex, b"!#1Gate 7\x0d!#2Row 3\x0d".to_vec(), b"!#9\x0d"),
        (Adm, b"\x0eGate 7\x0d\x0fRow 3\x0d".to_vec(), b"\x0c"),
        (UtcStandard, text(&[b"\x10\x00", upper, b"\x10\x14", lower]), b"\x1f"),
        (UtcEnhanced, b"\x1buAGate 7\x0d\x1buBRow 3\x0d".to_vec(), b"\x1e"),
        (Dsp800, text(&[b"\x04\x01P1\x17", upper, b"\x04\x01PE\x17", lower]), b"\x04\x01C1X\x17"),
    ] {
        check(dialect, &bytes, "Gate 7", "Row 3");
        check(dialect, &[&bytes, clear].concat(), "", "");
    }
}

#[test]
fn both_lines_come_at_once_where_a_dialect_has_it() {
    let both = b"Gate 7              Row 3               ";
    check(Dialect::Epson, &[b"\x0b", &both[..]].concat(), "Gate 7", "Row 3");
    check(Dialect::Aedex, &[b"!#9", &both[..], b"\x0d"].concat(), "Gate 7", "Row 3");
    check(Dialect::UtcEnhanced, &[b"\x1buI", &both[..], b"\x0d"].concat(), "Gate 7", "Row 3");
}

#[test]
fn the_cursor_goes_where_it_is_sent() {
    check(Dialect::Epson, b"abc\x08\x08X", "aXc", "");
    check(Dialect::Epson, b"ab\x0acd\x0be", "eb", "  cd");
    check(Dialect::Epson, b"ab\x0dX\x1f\x0dZ", "Xb                 Z", "");
    check(Dialect::Epson, b"\x1f\x42Z", "", "                   Z");
    check(Dialect::Epson, b"abc\x18d", "d", "");
    check(Dialect::Cd5220, b"\x1bl\x05\x02Row", "", "    Row");
    check(Dialect::UtcStandard, b"ab\x08X\x0dY\x0aZ\x09W", "YX", " Z W");
    check(Dialect::Adm, b"\x0d\x0eGate 7\x0d\x0d", "Gate 7", "");
    let pole = shown(Dialect::UtcStandard, b"\x10\x14\x13");
    assert_eq!((pole.screen().cursor_at(), pole.screen().cursor), ((1, 0), true));
}

#[test]
fn a_line_that_is_too_long_goes_on_as_the_mode_says() {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let with = |lead: &[u8], times: usize| [lead, &letters.repeat(times)].concat();
    check(Dialect::Epson, &with(b"", 1), "abcdefghijklmnopqrst", "uvwxyz");
    // Past the lower line's end it goes on at the upper one.
    check(Dialect::Epson, &with(b"", 2), "opqrstuvwxyzmnopqrst", "uvwxyzabcdefghijklmn");
    check(Dialect::Epson, &with(b"\x1f\x02", 2), "uvwxyzabcdefghijklmn", "opqrstuvwxyz");
    check(Dialect::Epson, &with(b"\x1f\x03", 1), "ghijklmnopqrstuvwxyz", "");
    check(Dialect::Epson, b"\x1f\x02Gate\x0aRow\x0a", "    Row", "");
    check(Dialect::Cd5220, &with(b"\x1b\x12", 2), "uvwxyzabcdefghijklmn", "opqrstuvwxyz");
    check(Dialect::Cd5220, &with(b"\x1b\x13", 1), "ghijklmnopqrstuvwxyz", "");
    check(Dialect::Cd5220, &with(b"\x1b\x12\x1b\x11", 1), "abcdefghijklmnopqrst", "uvwxyz");
    check(Dialect::UtcStandard, &with(b"\x12", 2), "uvwxyzabcdefghijklmn", "opqrstuvwxyz");
    check(Dialect::UtcStandard, &with(b"\x12\x11", 1), "abcdefghijklmnopqrst", "uvwxyz");
}

#[test]
fn text_is_read_in_its_code_page() {
    check(Dialect::Epson, b"\x1bt\x00Z\x81rich", "Zürich", "");
    check(Dialect::Epson, b"\x1bt\x02\xd5", "ı", "");
    check(Dialect::Pd300, b"\x1bt\x135 \xd5", "5 €", "");
    check(Dialect::Cd5220, b"\x1bc\x135 \xd5", "5 €", "");
}

#[test]
fn blink_brightness_cursor_and_clock_are_seen() {
    let pole = shown(Dialect::Epson, b"\x1fX\x02\x1fE\x0a\x1fC\x01\x1fT\x14\x05");
    let screen = pole.screen();
    assert_eq!((screen.brightness, screen.blink_ms, screen.cursor), (2, Some(500), true));
    assert_eq!(screen.special.as_deref(), Some("20:05"));
    assert_eq!(shown(Dialect::Epson, b"\x1fE\x0a\x1fE\xff").screen().blink_ms, None);
    assert_eq!(shown(Dialect::Cd5220, b"\x1b*\x03").screen().brightness, 3);
    for (n, level) in [(0x20, 1), (0x40, 2), (0x60, 3), (0xff, 4)] {
        assert_eq!(shown(Dialect::UtcStandard, &[0x04, n]).screen().brightness, level);
    }
    assert_eq!(shown(Dialect::Adm, b"\x112").screen().blinking, [false, true]);
    assert_eq!(shown(Dialect::Adm, b"\x111\x112\x121").screen().blinking, [false, true]);
    assert_eq!(shown(Dialect::Aedex, b"!#520:05\x0d").screen().special.as_deref(), Some("20:05"));
}

#[test]
fn a_text_runs_through_a_line() {
    let text = "Doors open at 19:00, welcome";
    for (dialect, lead) in
        [(Dialect::Cd5220, &b"\x1bQD"[..]), (Dialect::Aedex, b"!#4"), (Dialect::UtcEnhanced, b"\x1buD")]
    {
        let pole = shown(dialect, &[lead, text.as_bytes(), b"\x0d"].concat());
        assert_eq!(pole.screen().running, Some((0, text.to_owned())), "{dialect:?}");
        assert_eq!(pole.errors(), &[] as &[String]);
    }
}

#[test]
fn in_string_mode_only_strings_clr_and_can_work() {
    let pole = shown(Dialect::Cd5220, b"\x1bQAGate 7\x0d\x1b*\x01x");
    assert_eq!(pole.errors().len(), 2);
    assert!(pole.errors()[0].contains("in string mode only ESC Q, CLR and CAN work"));
    assert_eq!(pole.screen().line(0).trim_end(), "Gate 7");
    assert_eq!(pole.screen().brightness, 4);
    let left = shown(Dialect::Cd5220, b"\x1bQAGate 7\x0d\x18\x1b*\x01x");
    assert_eq!((left.errors().len(), left.screen().brightness), (0, 1));
}

#[test]
fn in_pst_mode_nothing_of_epson_works_until_it_is_left() {
    // A guest's name that holds ESC = 4, and then what the next guest sees.
    let name = b"\x1b=\x04";
    let mut pole = shown(Dialect::Pd300, name);
    pole.feed(b"\x0c\x1f\x24\x01\x02Gate 7");
    assert!(!pole.errors().is_empty());
    // What is left of the command is shown as it is, in the upper line.
    assert_eq!(pole.screen().line(0).trim_end(), "$Gate 7");
    pole.feed(b"\x14\x0e\x14\x1a\x14Row 3");
    assert_eq!(pole.screen().line(1).trim_end(), "Row 3");
    let errors = pole.errors().len();
    pole.feed(b"\x14\x16\x0c\x1f\x24\x01\x02Gate 7");
    assert_eq!(pole.screen().text(), format!("{:20}\n{:20}", "", "Gate 7"));
    assert_eq!(pole.errors().len(), errors);
    // In Epson mode the way back does no harm.
    check(Dialect::Pd300, b"\x14\x16Gate 7", "Gate 7", "");
}

#[test]
fn a_display_that_is_not_chosen_shows_nothing() {
    check(Dialect::Epson, b"\x1b=\x01Gate 7\x1b=\x02Row 3", "Row 3", "");
}

#[test]
fn what_it_does_not_know_is_told() {
    for (dialect, bytes, words) in [
        (Dialect::Epson, &b"\x1b\x01"[..], "no command of Epson"),
        (Dialect::Epson, b"\x1f\x24\x15\x01", "column 21"),
        (Dialect::Epson, b"\x1f\x24\x01\x03", "line 3"),
        (Dialect::Epson, b"\x1fX\x05", "brightness 5"),
        (Dialect::Epson, b"\x1bt\x63", "no code page 99"),
        (Dialect::Epson, b"\x07", "no command of Epson"),
        // The manual of PD-300 has no brightness and two code pages.
        (Dialect::Pd300, b"\x1fX", "no command of Pd300"),
        (Dialect::Pd300, b"\x1bt\x02", "0 and 19, not 2"),
        (Dialect::Cd5220, b"\x1bQA123456789012345678901\x0d", "21 characters do not fit into 20"),
        (Dialect::Cd5220, b"\x1bQA\x1b@\x0d", "1B is no character"),
        (Dialect::Aedex, b"x", "no command of Aedex"),
        (Dialect::Aedex, b"!#525:00\x0d", "hh:mm"),
        (Dialect::Adm, b"x", "no command of Adm"),
        (Dialect::UtcStandard, b"\x10\x28", "position 40"),
        (Dialect::Adm, b"\x11\x01", "neither '1' nor '2'"),
        (Dialect::UtcStandard, b"\x04\x01", "brightness 01"),
        (Dialect::UtcStandard, b"\x1b", "no command of UtcStandard"),
        (Dialect::Dsp800, b"\x04\x01P\x20\x17", "no command"),
    ] {
        let pole = shown(dialect, bytes);
        assert_eq!(pole.errors().len(), 1, "{dialect:?} {bytes:02x?}: {:?}", pole.errors());
        assert!(pole.errors()[0].contains(words), "{:?}", pole.errors());
    }
}

#[test]
fn a_dsp800_does_nothing_at_an_end_without_its_beginning() {
    check(Dialect::Dsp800, b"\x17\x17\x04\x01P1\x17Gate 7", "Gate 7", "");
}

#[test]
fn windows_and_glyphs_are_read_whole() {
    check(Dialect::Epson, b"\x1bW\x01\x01\x01\x01\x05\x01\x1f\x03abcdefg", "cdefg", "");
    check(Dialect::Epson, b"\x1b&\x01AB\x02\xff\xff\x01\x0cGate 7", "Gate 7", "");
}
