//! What is sent when: differences, failures, healing, texts that run, texts that are cut.

use crate::desk::{Desk, line, refusal, scroll};
use driver_sdk::{Done, Fault, Level, Op, Status};
use std::time::Duration;

fn ms(ms: u64) -> Result<Option<Duration>, Fault> {
    Ok(Some(Duration::from_millis(ms)))
}

/// The cells of the first line, from a whole picture of an Epson display.
fn shown(desk: &mut Desk) -> Vec<u8> {
    let open = desk.open();
    let at = open.windows(4).position(|four| four == [0x1f, 0x24, 1, 1]).unwrap() + 4;
    open[at..at + 20].to_vec()
}

#[test]
fn one_digit_costs_one_address_and_one_digit() {
    let mut desk = Desk::new("{}");
    desk.open();
    desk.show(&[line(1, "Visitors today"), line(2, "Inside:         1999")]);
    assert_eq!(desk.show(&[line(2, "Inside:         1998")]), b"\x1f\x24\x14\x028");
    assert_eq!(desk.show(&[line(2, "Inside:         1998")]), b"", "the same again is nothing");
    // Two places near each other are one piece, far from each other two.
    assert_eq!(desk.show(&[line(2, "Inside:         2997")]), b"\x1f\x24\x11\x022997");
    assert_eq!(desk.show(&[line(2, "inside:         2996")]), b"\x1f\x24\x01\x02i\x1f\x24\x14\x026");
}

#[test]
fn a_document_leaves_the_lines_it_does_not_name() {
    let mut desk = Desk::new("{}");
    desk.open();
    desk.show(&[line(1, "Gate 7"), line(2, "Welcome")]);
    assert_eq!(desk.show(&[Op::Clear, line(1, "Gate 8"), line(2, "Welcome")]), b"\x1f\x24\x06\x018");
    assert_eq!(desk.show(&[line(2, "")]), b"\x1f\x24\x01\x02       ");
    assert_eq!(desk.show(&[]), b"");
}

#[test]
fn what_did_not_leave_was_never_asked_for() {
    let mut desk = Desk::new("{}");
    desk.open();
    desk.show(&[line(1, "Gate 7")]);
    desk.break_wire(Fault::Timeout, 0);
    let report = desk.run(&[line(1, "Gate 8")]);
    assert_eq!((report.done, report.fault, report.ops_done), (Done::None, Some(Fault::Timeout), 0));
    assert!(shown(&mut desk).starts_with(b"Gate 7 "));
}

#[test]
fn after_a_broken_write_everything_is_drawn_again() {
    let mut desk = Desk::new("{}");
    desk.open();
    assert_eq!(desk.status(), Status::ONLINE);
    desk.break_wire(Fault::Io, 3);
    let report = desk.run(&[line(1, "Gate 7")]);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Io)));
    assert_eq!((report.status, desk.status()), (Status::UNKNOWN, Status::UNKNOWN));
    let again = desk.show(&[]);
    assert!(again.starts_with(b"\r\r\x1f\x01\x1bt\x13"), "{}", again.escape_ascii());
    assert!(again.windows(10).any(|ten| ten == b"\x1f\x24\x01\x01Gate 7"), "{}", again.escape_ascii());
    assert_eq!(desk.status(), Status::ONLINE);
}

#[test]
fn everything_is_drawn_again_each_minute_without_a_flicker() {
    let mut desk = Desk::new(r#"{"heal_s":60}"#);
    desk.open();
    desk.show(&[line(1, "Gate 7")]);
    assert_eq!(desk.tick_after(0), (vec![], ms(60_000)));
    assert_eq!(desk.tick_after(59_999), (vec![], ms(1)));
    let (healed, next) = desk.tick_after(1);
    assert!(healed.starts_with(b"\r\r\x1f\x01\x1bt\x13"), "{}", healed.escape_ascii());
    assert!(!healed.contains(&0x0c), "nothing is cleared");
    assert_eq!(next, ms(60_000));
    // A new line draws everything too; the minute counts from there.
    desk.wait(30_000);
    desk.open();
    assert_eq!(desk.tick_after(0).1, ms(60_000));
}

#[test]
fn a_tick_that_does_not_leave_is_tried_again_and_a_line_that_is_gone_is_told() {
    let mut desk = Desk::new("{}");
    desk.open();
    desk.break_wire(Fault::Timeout, 5);
    assert_eq!(desk.tick_after(60_000).1, ms(1_000));
    let (healed, next) = desk.tick_after(1_000);
    assert!(healed.starts_with(b"\r\r"), "{}", healed.escape_ascii());
    assert_eq!(next, ms(60_000));
    desk.break_wire(Fault::Gone, 0);
    assert_eq!(desk.tick_after(60_000).1, Err(Fault::Gone));
    assert_eq!(desk.status(), Status::UNKNOWN);
}

#[test]
fn a_text_that_fits_stands_and_one_that_does_not_runs() {
    let mut desk = Desk::generic("aedex", r#","columns":8"#);
    desk.open();
    assert_eq!(desk.show(&[scroll(1, "Welcome!", 200)]), b"!#1Welcome!\r");
    assert_eq!(desk.tick_after(0).1, ms(60_000), "nothing runs");
    assert_eq!(desk.show(&[scroll(1, "Welcome all!", 500)]), b"!#1Welcome \r");
    assert_eq!(desk.tick_after(0), (vec![], ms(500)));
    assert_eq!(desk.tick_after(500), (vec![], ms(500)), "it can be read first");
    assert_eq!(desk.tick_after(1_000), (b"!#1elcome a\r".to_vec(), ms(500)));
    assert_eq!(desk.tick_after(500), (b"!#1lcome al\r".to_vec(), ms(500)));
    // The same text again, beside another line, goes on where it is.
    assert_eq!(desk.show(&[scroll(1, "Welcome all!", 500), line(2, "Row C")]), b"!#2Row C   \r");
    assert_eq!(desk.tick_after(500).0, b"!#1come all\r");
    // A host that was busy for a while finds it where it would have been.
    assert_eq!(desk.tick_after(2_000).0, b"!#1 all!   \r");
    assert_eq!(desk.tick_after(1_250), (b"!#1ll!   We\r".to_vec(), ms(250)));
    assert_eq!(desk.show(&[line(1, "Row C")]), b"!#1Row C   \r");
    assert_eq!(desk.tick_after(500).0, b"");
}

#[test]
fn a_running_text_steps_at_most_ten_times_a_second() {
    let mut desk = Desk::new("{}");
    desk.open();
    desk.show(&[scroll(1, "a text that is too long for it", 1)]);
    assert_eq!(desk.tick_after(0).1, ms(100));
    desk.show(&[scroll(1, "a text that is too long for it", 0)]);
    assert_eq!(desk.tick_after(0).1, ms(300), "the settings' step where none is said");
}

#[test]
fn a_line_that_is_too_long_says_so() {
    for (config, last) in [("{}", b'.'), (r#"{"model":"generic","code_page":1252}"#, 0x85)] {
        let mut desk = Desk::new(config);
        desk.open();
        desk.show(&[line(1, &"x".repeat(300))]);
        let mut wanted = vec![b'x'; 19];
        wanted.push(last);
        assert_eq!(shown(&mut desk), wanted, "{config}");
        desk.show(&[line(1, &"x".repeat(20))]);
        assert_eq!(shown(&mut desk), vec![b'x'; 20], "it fits to the cell");
    }
}

#[test]
fn names_are_shown_as_well_as_the_page_can() {
    for (name, cells, lost) in [
        ("Zürich", &b"Z\x81rich"[..], 0),
        ("Zu\u{308}rich", b"Z\x81rich", 0),
        ("Dvořák", b"Dvor\xa0k", 0),
        ("Łukasz “Ł”", b"Lukasz \"L\"", 0),
        ("O’Brien – 5 €", b"O'Brien - 5 \xd5", 0),
        ("x\u{302}\u{30a}y", b"xy", 0),
        ("ＡＢ\u{a0}ﬁn", b"AB fin", 0),
        ("日本 太郎", b"?? ??", 4),
        ("שלום", b"????", 4),
        ("\u{202e}abc\u{200f}", b"abc", 0),
        ("한국", b"??", 2),
        ("🎟 7", b"? 7", 1),
        ("", b"", 0),
        (" \t ", b"", 0),
    ] {
        let mut desk = Desk::new("{}");
        desk.open();
        let report = desk.run(&[line(1, name)]);
        assert_eq!(report.done, Done::Sent, "{name}");
        let mut wanted = cells.to_vec();
        wanted.resize(20, b' ');
        desk.sent();
        assert_eq!(shown(&mut desk).escape_ascii().to_string(), wanted.escape_ascii().to_string(), "{name}");
        let words = match lost {
            0 => String::new(),
            1 => "1 character not in code page 858, shown as '?'".to_owned(),
            n => format!("{n} characters not in code page 858, shown as '?'"),
        };
        assert_eq!(report.text, words, "{name}");
    }
}

#[test]
fn a_name_is_never_a_command() {
    // PST mode, string mode, a clear, a new attention code of AEDEX, C1 controls.
    for name in ["A\u{1b}=\u{4}B", "\u{1b}QAB\r", "\u{c}\u{7f}", "!#8??!#", "\u{9b}1\u{90}"] {
        for set in ["epson", "cd5220", "cd5220-string", "aedex", "adm", "utc", "utc-enhanced", "dsp800"] {
            let (mut named, mut plain) = (Desk::generic(set, ""), Desk::generic(set, ""));
            named.open();
            plain.open();
            let shown = named.show(&[line(1, name)]);
            let harmless: String = name.replace(char::is_control, " ").replace("!#", "! ");
            let harmless = if set == "aedex" { harmless } else { name.replace(char::is_control, " ") };
            assert_eq!(shown, plain.show(&[line(1, &harmless)]), "{set}: {name:?}");
        }
    }
}

#[test]
fn a_document_that_cannot_be_is_refused_whole() {
    let mut desk = Desk::new("{}");
    desk.open();
    for (op, fault, words) in [
        (line(0, "x"), Fault::Invalid, "line 0: this display has lines 1 to 2"),
        (scroll(3, "x", 100), Fault::Invalid, "line 3: this display has lines 1 to 2"),
        (Op::Bright(0), Fault::Invalid, "brightness 0 is not 1 to 4"),
        (Op::Bright(5), Fault::Invalid, "brightness 5 is not 1 to 4"),
        (Op::Newline, Fault::Unsupported, "Newline is for printers; a display takes Clear, Line"),
        (Op::Text("x".into()), Fault::Unsupported, "Text is for printers"),
        (Op::Drawer { pin: 0, pulse_ms: 100 }, Fault::Unsupported, "Drawer is for printers"),
    ] {
        let report = desk.run(&[line(1, "never shown"), op]);
        assert_eq!((report.done, report.fault), (Done::None, Some(fault)), "{words}");
        assert!(report.text.starts_with(words), "{}", report.text);
        assert_eq!(desk.sent(), b"");
    }
    assert_eq!(desk.tick_after(0), (vec![], ms(60_000)));
}

#[test]
fn what_a_display_cannot_do_is_told_and_the_rest_is_shown() {
    let mut desk = Desk::new("{}");
    desk.open();
    let report = desk.run(&[Op::Bright(2), line(1, "Gate 7")]);
    assert_eq!(report.text, "brightness unchanged: not known to work on pd300");
    assert_eq!(desk.sent(), b"\x1f\x24\x01\x01Gate 7");
    // Who has seen it work says so.
    let mut desk = Desk::new(r#"{"brightness":true}"#);
    desk.open();
    assert_eq!(desk.show(&[Op::Bright(2)]), b"\x1fX\x02");
    let mut desk = Desk::generic("aedex", "");
    desk.open();
    let report = desk.run(&[Op::Blink(100), Op::Cursor(true)]);
    assert_eq!(report.text, "not blinking: aedex cannot; no cursor: aedex has none");
    assert_eq!(desk.sent(), b"");
}

#[test]
fn settings_that_cannot_be_are_told_in_the_log() {
    for (config, words) in [
        (r#"{"colums":20}"#, "unknown field `colums`"),
        (r#"{"model":"generic","code_page":4711,"code_page_number":1}"#, "code_page 4711 is not built in"),
    ] {
        let (fault, log) = refusal(config);
        assert_eq!(fault, Fault::Config);
        let [(Level::Error, text)] = &log[..] else { panic!("{log:?}") };
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_display_is_asked_nothing() {
    let mut desk = Desk::new(r#"{"columns":16,"lines":1}"#);
    assert_eq!(desk.probe(), Fault::Unsupported);
    assert_eq!(desk.status(), Status::UNKNOWN);
    let told = desk.capabilities();
    assert_eq!((told.profile.as_str(), told.columns, told.lines, told.status), ("pd300", 16, 1, false));
    assert!(desk.wire.all.is_empty());
}
