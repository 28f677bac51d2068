//! For all command sets and any documents: the display shows what was asked for, whatever was on it, whatever is in the
//! texts, wherever the line broke. Proptest prints what failed; PROPTEST_RNG_SEED repeats a run.

use crate::desk::{Desk, line};
use crate::screen::Screen;
use driver_sdk::{Done, Fault, Op};
use proptest::prelude::*;

const SETS: [&str; 8] = ["epson", "cd5220", "cd5220-string", "aedex", "adm", "utc", "utc-enhanced", "dsp800"];

/// What lines and running texts say: control bytes and command prefixes among letters of several scripts.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 .,:]{0,12}",
        1 => proptest::sample::select(vec![
            "\u{1b}=\u{4}", "\u{1b}QA", "!#1", "!#8", "!", "#", "\u{14}\u{16}", "\u{c}", "\r", "\n", "\u{10}", "\u{4}\u{1}C1X\u{17}",
            "\u{1f}", "\u{9b}", "\u{7f}", "Zürich", "u\u{308}", "5 €", "日本", "שלום", "مرحبا", "🎟", "\u{202e}", "Łódź", "ÿ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn op() -> impl Strategy<Value = Op<'static>> {
    prop_oneof![
        8 => (1..=2u8, text()).prop_map(|(line, text)| Op::Line { line, text: text.into() }),
        3 => (1..=2u8, text(), 0..400u16).prop_map(|(line, text, step_ms)| Op::Scroll { line, text: text.into(), step_ms }),
        1 => Just(Op::Clear),
        1 => (1..=4u8).prop_map(Op::Bright),
        1 => prop_oneof![Just(0u16), any::<u16>()].prop_map(Op::Blink),
        1 => any::<bool>().prop_map(Op::Cursor),
    ]
}

/// Documents, and after each how long nobody comes.
fn documents() -> impl Strategy<Value = Vec<(Vec<Op<'static>>, u64)>> {
    proptest::collection::vec((proptest::collection::vec(op(), 0..5), 0..90_000u64), 1..12)
}

/// Force Epson mode, so that an Epson display that is in PST mode comes back.
fn desk(set: &str) -> Desk {
    match set {
        "epson" => Desk::new(r#"{"brightness":true}"#),
        set => Desk::generic(set, ""),
    }
}

/// A second driver, asked for the whole at once, on a fresh display: what has to be seen.
fn assert_same(screen: &Screen, whole: &[u8], set: &str) {
    let mut fresh = Screen::left_badly(set);
    fresh.feed(whole);
    for at in 0..2 {
        let (found, wanted) = (screen.line(at).escape_ascii(), fresh.line(at).escape_ascii());
        assert_eq!(found.to_string(), wanted.to_string(), "{set}: line {}", at + 1);
    }
    let state = |screen: &Screen| (screen.page, screen.bright, screen.blinks, screen.cursor);
    assert_eq!(state(screen), state(&fresh), "{set}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Differences, one after another, come to the same as everything at once.
    #[test]
    fn differences_come_to_the_whole(set in proptest::sample::select(&SETS[..]), documents in documents()) {
        let (mut desk, mut screen) = (desk(set), Screen::left_badly(set));
        screen.feed(&desk.open());
        for (ops, pause_ms) in documents {
            screen.feed(&desk.show(&ops));
            screen.feed(&desk.tick_after(pause_ms).0);
            prop_assert_eq!(&screen.errors, &Vec::<String>::new(), "{}", set);
            // The line opens anew: everything that is wanted, to another display.
            let whole = desk.open();
            assert_same(&screen, &whole, set);
        }
    }

    /// Wherever the line broke, the next document shows everything.
    #[test]
    fn a_broken_document_heals(
        set in proptest::sample::select(&SETS[..]),
        before in proptest::collection::vec(op(), 0..4),
        broken in proptest::collection::vec(op(), 1..4),
        after in 0..60usize,
    ) {
        let (mut desk, mut screen) = (desk(set), Screen::left_badly(set));
        screen.feed(&desk.open());
        screen.feed(&desk.show(&before));
        let so_far = desk.wire.all.len();
        desk.break_wire(Fault::Timeout, after);
        let report = desk.run(&broken);
        let left = desk.wire.all[so_far..].to_vec();
        screen.feed(&left);
        prop_assert_eq!(report.done == Done::Unknown, report.fault.is_some() && !left.is_empty());
        let _ = desk.sent();
        desk.mend_wire();
        let again = desk.show(&[line(1, "now this")]);
        screen.feed(&again);
        let whole = desk.open();
        assert_same(&screen, &whole, set);
    }

    /// A display that was off for a moment shows everything again within the minute.
    #[test]
    fn a_display_that_was_off_heals(set in proptest::sample::select(&SETS[..]), ops in proptest::collection::vec(op(), 0..6)) {
        let mut desk = desk(set);
        desk.open();
        desk.show(&ops);
        let mut screen = Screen::off_and_on(set);
        screen.feed(&desk.tick_after(60_000).0);
        prop_assert_eq!(&screen.errors, &Vec::<String>::new(), "{}", set);
        let whole = desk.open();
        assert_same(&screen, &whole, set);
    }

    /// A line is as wide as the display, whatever is in it, and none of its bytes is a command.
    #[test]
    fn a_line_is_twenty_cells_and_no_command(set in proptest::sample::select(&SETS[..]), name in text()) {
        let (mut desk, mut screen) = (desk(set), Screen::left_badly(set));
        screen.feed(&desk.open());
        screen.feed(&desk.show(&[line(1, &name), line(2, "Row C")]));
        prop_assert_eq!(&screen.errors, &Vec::<String>::new(), "{}", set);
        prop_assert_eq!(screen.line(1), b"Row C               ");
        prop_assert!(screen.line(0).iter().all(|cell| *cell >= 0x20 && *cell != 0x7f));
    }
}
