//! Whatever a document holds: no byte of it is taken for a command, nothing is wider than the paper.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::parse::{Item, items};
use common::{Bench, bytes};
use driver_sdk::{Align, Barcode, Cut, Done, Driver, Fault, Op, Style, Symbology};
use proptest::prelude::*;

const PROFILES: [(&str, usize, usize); 3] =
    [("tm-t20", 48, 576), ("tm-t88", 42, 512), ("generic-58", 32, 384)];

/// Any text, and more often than chance has it: control characters, scripts that no page has, long words.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x20\\x7f\u{80}-\u{9f}a-z]{0,40}",
        "[ -~äöü€Ж]{0,300}",
        "[א-ת山-田🎫ก-๛ ]{0,30}",
    ]
}

fn any_style() -> impl Strategy<Value = Style> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, 1..=8_u8, 1..=8_u8, 0..=1_u8).prop_map(|((bold, underline, invert), width, height, font)| Style {
        bold,
        underline,
        invert,
        width,
        height,
        font,
    })
}

fn any_op() -> impl Strategy<Value = Op<'static>> {
    let symbologies = [
        Symbology::Code128,
        Symbology::Ean13,
        Symbology::Ean8,
        Symbology::UpcA,
        Symbology::Code39,
        Symbology::Itf,
    ];
    let data = prop_oneof!["[0-9]{0,14}", "[ -~]{0,40}", "[A-Z0-9]{0,300}"];
    let barcode = (data, 0..6_usize, any::<u16>(), any::<u8>(), any::<bool>()).prop_map(
        move |(data, symbology, height, module, text_below)| {
            Op::Barcode(Barcode {
                data: data.into(),
                symbology: symbologies[symbology],
                height,
                module,
                text_below,
            })
        },
    );
    let image = (0..700_u16, 0..300_u16).prop_map(|(width, height)| {
        let bytes = usize::from(width).div_ceil(8) * usize::from(height);
        Op::Image { width, height, dots: vec![0x1b; bytes].into() }
    });
    let qr = (proptest::collection::vec(any::<u8>(), 0..1_200), any::<u8>(), 0..5_u8)
        .prop_map(|(data, module, correction)| Op::Qr { data: data.into(), module, correction });
    prop_oneof![
        4 => any_text().prop_map(|text| Op::Text(text.into())),
        2 => Just(Op::Newline),
        2 => any_style().prop_map(Op::Style),
        1 => any::<u8>().prop_map(Op::Feed),
        1 => prop_oneof![Just(Align::Left), Just(Align::Middle), Just(Align::Right)].prop_map(Op::Align),
        1 => any::<bool>().prop_map(|double| Op::Rule { double }),
        1 => any::<u8>().prop_map(Op::Beep),
        1 => Just(Op::Cut(Cut::Full)),
        1 => qr,
        2 => barcode,
        1 => image,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_document_is_refused_whole_or_is_commands_that_fit(
        ops in proptest::collection::vec(any_op(), 0..8),
        profile in 0..PROFILES.len(),
        breaks in any::<prop::sample::Index>(),
    ) {
        let (name, _, dots) = PROFILES[profile];
        let config = format!(r#"{{"profile":"{name}"}}"#);
        let mut bench = Bench::new(&config);
        let report = bench.run(&ops);
        let all = std::mem::take(&mut bench.printer.printed);
        if let Some(fault) = report.fault {
            prop_assert_eq!((fault, report.done, all.len()), (Fault::Invalid, Done::None, 0));
            return Ok(());
        }
        prop_assert_eq!(report.ops_done, ops.len());
        for item in items(&all).map_err(TestCaseError::fail)? {
            if let Item::Picture { row_bytes, .. } = item {
                prop_assert!(row_bytes * 8 <= dots);
            }
        }
        // The line breaks anywhere: what left is a beginning of it, and is called what it is.
        if all.is_empty() {
            return Ok(());
        }
        let at = breaks.index(all.len());
        let mut bench = Bench::new(&config);
        bench.printer.breaks = Some((at, Fault::Io));
        let report = bench.run(&ops);
        prop_assert_eq!(&bench.printer.printed[..], &all[..at]);
        prop_assert_eq!(report.done, if at == 0 { Done::None } else { Done::Unknown });
        prop_assert!(report.ops_done < ops.len() || at == 0);
    }

    #[test]
    fn no_text_becomes_a_command_and_no_line_is_wider_than_the_paper(
        texts in proptest::collection::vec((any_text(), any_style()), 1..4),
        newline in any::<bool>(),
        profile in 0..PROFILES.len(),
    ) {
        let (name, columns, dots) = PROFILES[profile];
        let mut ops = Vec::new();
        for (text, style) in &texts {
            ops.push(Op::Style(*style));
            ops.push(Op::Text(text.as_str().into()));
            if newline {
                ops.push(Op::Newline);
            }
        }
        // The parser knows every command the driver may send for text; a byte of a text that was one would be more.
        let found = items(&bytes(&format!(r#"{{"profile":"{name}"}}"#), &ops)).map_err(TestCaseError::fail)?;
        let small = if name == "generic-58" { 42 } else { columns * 4 / 3 };
        let (mut font, mut width, mut used) = (0, 1, 0);
        for item in found {
            match item {
                Item::Characters(bytes) => {
                    let cell = dots / if font == 1 { small } else { columns };
                    used += bytes.len() * cell * width;
                    prop_assert!(used <= dots, "{used} of {dots}");
                }
                Item::Lf => used = 0,
                Item::Picture { row_bytes, .. } => prop_assert!(row_bytes * 8 <= dots),
                Item::Command(command) => match command[..] {
                    [0x1b, b'M', n] => font = n,
                    [0x1d, b'!', n] => width = usize::from(n >> 4) + 1,
                    [0x1b, b't' | b'E' | b'-', _] | [0x1d, b'B', _] => {}
                    _ => prop_assert!(false, "no text needs {command:02x?}"),
                },
            }
        }
    }

    #[test]
    fn whatever_a_printer_babbles_no_call_panics_and_no_tag_is_made_up(
        babble in proptest::collection::vec(any::<u8>(), 0..250),
    ) {
        let mut bench = Bench::new(r#"{"profile":"tm-t20"}"#);
        bench.printer.job_takes = None;
        bench.printer.sends.push_back((std::time::Duration::from_millis(30), babble));
        let report = bench.run(&[Op::Text("x".into()), Op::Newline]);
        prop_assert_ne!(report.done, Done::Confirmed);
        let _ = bench.status();
        prop_assert!(bench.driver.tick(&mut bench.printer).is_ok());
    }
}

#[test]
fn a_whole_receipt_is_the_golden_one() {
    // `tests/golden/receipt.txt`: the bytes, a command a line, each control character as \xNN.
    let found = bytes(r#"{"profile":"tm-t20"}"#, &receipt());
    let told: String = items(&found).unwrap().iter().map(|item| line(item) + "\n").collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/receipt.txt");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    if golden != told {
        let beside = std::env::temp_dir().join("escpos-receipt.txt");
        std::fs::write(&beside, &told).unwrap();
        panic!("the receipt is another; compare {path} with {}", beside.display());
    }
}

/// A command a line, in words as far as there are some.
fn line(item: &Item) -> String {
    match item {
        Item::Characters(bytes) => format!("text    {}", bytes.escape_ascii()),
        Item::Lf => "lf".to_owned(),
        Item::Command(bytes) => format!("command {}", bytes.escape_ascii()),
        Item::Picture { row_bytes, dots } => {
            let hex: String = dots.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("picture {row_bytes} bytes a row: {hex}")
        }
    }
}

fn receipt() -> Vec<Op<'static>> {
    let text = |text: &'static str| [Op::Text(text.into()), Op::Newline];
    let title = Style { bold: true, width: 2, height: 2, ..Style::default() };
    let mut ops = vec![Op::Align(Align::Middle), Op::Style(title)];
    ops.extend(text("Schloßgarten"));
    ops.push(Op::Style(Style::default()));
    ops.extend(text("Einlass · Gate 7 · 25.11.2026 19:04"));
    ops.push(Op::Align(Align::Left));
    ops.push(Op::Rule { double: false });
    ops.extend(text("2 x Abendkarte                           36,00 €"));
    ops.extend(text("1 x Дети                                  9,00 €"));
    // Not what the host draws: that may become better looking without this driver's doing.
    ops.push(Op::Image { width: 12, height: 3, dots: vec![0xff, 0xf0, 0x80, 0x10, 0xff, 0xf0].into() });
    ops.push(Op::Rule { double: true });
    ops.push(Op::Style(Style { bold: true, ..Style::default() }));
    ops.extend(text("Summe                                    45,00 €"));
    ops.push(Op::Style(Style::default()));
    ops.push(Op::Feed(1));
    ops.push(Op::Align(Align::Middle));
    ops.push(Op::Qr { data: b"TICKET-0001-ABCDEF"[..].into(), module: 0, correction: 1 });
    ops.push(Op::Feed(1));
    ops.push(Op::Cut(Cut::Partial));
    ops
}
