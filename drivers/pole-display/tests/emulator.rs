//! The driver's plugin, on the host's own line, judged by displays that somebody else made from the same manuals: any
//! documents, and what is to be seen afterwards. What is expected here is put together from the documents alone.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "display/till.rs"]
mod till;

use device_emulators::pole::{Dialect, Pole};
use driver_frames::Op;
use driver_host::plugin::Plugin;
use driver_sdk::Done;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::path::Path;
use std::sync::LazyLock;
use till::Till;

/// A text that runs stands still for longer than this test takes.
const STEP_MS: u16 = u16::MAX;
const COLUMNS: usize = 20;

/// Settings, the display they are for, and what is not in its code page.
const DISPLAYS: [(&str, Dialect, &str); 9] = [
    ("{}", Dialect::Pd300, ""),
    (r#"{"force_epson":false}"#, Dialect::Pd300, ""),
    (r#"{"model":"generic"}"#, Dialect::Epson, ""),
    (r#"{"model":"generic","command_set":"cd5220"}"#, Dialect::Cd5220, "€"),
    (r#"{"model":"generic","command_set":"cd5220-string"}"#, Dialect::Cd5220, "€"),
    (r#"{"model":"generic","command_set":"aedex"}"#, Dialect::Aedex, "€"),
    (r#"{"model":"generic","command_set":"adm"}"#, Dialect::Adm, "€"),
    (r#"{"model":"generic","command_set":"utc"}"#, Dialect::UtcStandard, "€"),
    (r#"{"model":"generic","command_set":"utc-enhanced"}"#, Dialect::UtcEnhanced, "€"),
];
const DSP800: (&str, Dialect, &str) = (r#"{"model":"generic","command_set":"dsp800"}"#, Dialect::Dsp800, "€");

/// Loaded once: what is loaded stays.
static PLUGIN: LazyLock<parking_lot::Mutex<Plugin>> =
    LazyLock::new(|| parking_lot::Mutex::new(till::plugin()));

/// A driver on a line that is a file, and the display that reads the file.
struct Stand {
    till: Till,
    pole: Pole,
}

impl Stand {
    fn new(dir: &Path, config: &str, dialect: Dialect) -> Stand {
        let till = Till::new(&PLUGIN.lock(), dir, config).unwrap();
        let mut stand = Stand { till, pole: Pole::new(dialect) };
        stand.open();
        stand
    }

    fn open(&mut self) {
        self.pole.feed(&self.till.open());
    }

    fn show(&mut self, ops: &[Op<'_>]) {
        let (result, sent) = self.till.run(ops);
        assert_eq!((result.done, result.fault), (Done::Sent, None), "{}", result.text);
        self.pole.feed(&sent);
    }
}

/// What is to be seen.
#[derive(Clone, Debug, Default)]
struct Expected {
    lines: [String; 2],
    bright: Option<u8>,
    blink_ms: u16,
    cursor: bool,
}

impl Expected {
    fn take(&mut self, op: &Op<'_>, dialect: Dialect, missing: &str) {
        match op {
            Op::Clear => self.lines = Default::default(),
            Op::Line { line, text } => {
                self.lines[usize::from(*line) - 1] = cut(seen(text, dialect, missing), ".");
            }
            Op::Scroll { line, text, .. } => {
                self.lines[usize::from(*line) - 1] = cut(seen(text, dialect, missing), "");
            }
            Op::Bright(level) => self.bright = Some(*level),
            Op::Blink(ms) => self.blink_ms = *ms,
            Op::Cursor(shown) => self.cursor = *shown,
            other => panic!("{other:?}"),
        }
    }
}

/// A text as it is seen: controls are blanks, what the page lacks is '?', AEDEX's attention code is broken up.
fn seen(text: &str, dialect: Dialect, missing: &str) -> String {
    let text = text.replace(char::is_control, " ");
    let text = if dialect == Dialect::Aedex { text.replace("!#", "! ") } else { text };
    let lacks = |letter: char| missing.contains(letter) || "日本שלום".contains(letter);
    text.chars().map(|letter| if lacks(letter) { '?' } else { letter }).collect()
}

/// A text in its line: what is too long ends with `sign`.
fn cut(text: String, sign: &str) -> String {
    if text.chars().count() <= COLUMNS {
        return text;
    }
    text.chars().take(COLUMNS - sign.len()).collect::<String>() + sign
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z0-9 .,:/!#?-]{0,9}",
        1 => "[äöüßéñçå€]{1,4}",
        1 => "[日本שלום]{1,3}",
        1 => "[\\x00-\\x1f\\x7f\u{80}-\u{9f}]{1,3}",
        1 => proptest::sample::select(vec!["\u{1b}=\u{4}", "\u{1b}QA", "!#1", "!#A\r", "\u{c}", "\u{14}\u{16}", "\u{4}\u{1}%\u{17}"])
            .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn op() -> impl Strategy<Value = Op<'static>> {
    prop_oneof![
        6 => (1..=2u8, text()).prop_map(|(line, text)| Op::Line { line, text: text.into() }),
        2 => (1..=2u8, text())
            .prop_map(|(line, text)| Op::Scroll { line, text: text.into(), step_ms: STEP_MS }),
        1 => Just(Op::Clear),
        1 => (1..=4u8).prop_map(Op::Bright),
        1 => prop_oneof![Just(0u16), 1..12_700u16].prop_map(Op::Blink),
        1 => any::<bool>().prop_map(Op::Cursor),
    ]
}

fn judge(stand: &Stand, expected: &Expected, dialect: Dialect, string_mode: bool, more: &str) {
    let screen = stand.pole.screen();
    assert_eq!(stand.pole.errors(), &[] as &[String], "{dialect:?}: not understood");
    assert!(!stand.pole.is_in_command(), "{dialect:?}: a command without its end");
    for line in 0..2 {
        let wanted = format!("{:COLUMNS$}", expected.lines[line]);
        assert_eq!(screen.line(line), wanted, "{dialect:?}: line {} {more}", line + 1);
    }
    assert_eq!(screen.special, None, "{dialect:?}");
    if matches!(dialect, Dialect::Pd300 | Dialect::Epson | Dialect::Cd5220) && !string_mode {
        let half = u32::from(expected.blink_ms.div_ceil(50)) * 50;
        assert_eq!(screen.blink_ms, (half > 0).then_some(half), "{dialect:?}: blinking");
    }
    if matches!(dialect, Dialect::Adm | Dialect::UtcStandard) {
        assert_eq!(screen.blinking, [expected.blink_ms > 0; 2], "{dialect:?}: blinking");
    }
    if matches!(dialect, Dialect::Epson | Dialect::Cd5220) && !string_mode {
        assert_eq!(screen.brightness, expected.bright.unwrap_or(4), "{dialect:?}: brightness");
    }
    let has_cursor =
        matches!(dialect, Dialect::Pd300 | Dialect::Epson | Dialect::Cd5220 | Dialect::UtcStandard);
    if has_cursor && !string_mode {
        assert_eq!(screen.cursor, expected.cursor, "{dialect:?}: cursor");
    }
}

/// Any documents on one display. The seed of a failure is told; `PROPTEST_RNG_SEED` repeats it.
fn any_documents((config, dialect, missing): (&str, Dialect, &str)) {
    let seed: u64 = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}: {config}");
    let settings = ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(seed),
        ..ProptestConfig::with_cases(200)
    };
    let documents = proptest::collection::vec(proptest::collection::vec(op(), 0..5), 1..8);
    let judged = TestRunner::new(settings).run(&documents, |documents| {
        let dir = tempfile::tempdir().unwrap();
        let mut stand = Stand::new(dir.path(), config, dialect);
        let string_mode = config.contains("cd5220-string");
        let mut expected = Expected::default();
        judge(&stand, &expected, dialect, string_mode, "opened");
        for (at, ops) in documents.iter().enumerate() {
            stand.show(ops);
            ops.iter().for_each(|op| expected.take(op, dialect, missing));
            judge(&stand, &expected, dialect, string_mode, &format!("after document {}", at + 1));
        }
        Ok(())
    });
    judged.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
}

#[test]
fn any_documents_on_a_pd300() {
    any_documents(DISPLAYS[0]);
    any_documents(DISPLAYS[1]);
}

#[test]
fn a_pd300_that_was_left_in_its_own_mode_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut stand = Stand::new(dir.path(), "{}", Dialect::Pd300);
    stand.pole.feed(b"\x1b=\x04");
    stand.open();
    stand.show(&[Op::Line { line: 1, text: "Gate 7".into() }]);
    assert_eq!(stand.pole.screen().line(0), "Gate 7              ");
}

#[test]
fn a_cd5220_that_was_left_in_string_mode_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut stand = Stand::new(dir.path(), DISPLAYS[3].0, Dialect::Cd5220);
    stand.pole.feed(b"\x1bQAsomebody else\r");
    stand.open();
    stand.show(&[Op::Line { line: 2, text: "Gate 7".into() }, Op::Bright(2)]);
    assert_eq!(stand.pole.screen().text(), format!("{:20}\n{:20}", "", "Gate 7"));
    assert_eq!(stand.pole.screen().brightness, 2);
}

#[test]
fn any_documents_on_an_epson_display() {
    any_documents(DISPLAYS[2]);
}

#[test]
fn any_documents_on_a_cd5220() {
    any_documents(DISPLAYS[3]);
    any_documents(DISPLAYS[4]);
}

#[test]
fn any_documents_on_an_aedex_display() {
    any_documents(DISPLAYS[5]);
}

#[test]
fn any_documents_on_an_adm_display() {
    any_documents(DISPLAYS[6]);
}

#[test]
fn any_documents_on_a_utc_display() {
    any_documents(DISPLAYS[7]);
}

#[test]
fn any_documents_on_a_utc_enhanced_display() {
    any_documents(DISPLAYS[8]);
}

#[test]
fn any_documents_on_a_dsp800() {
    any_documents(DSP800);
}
