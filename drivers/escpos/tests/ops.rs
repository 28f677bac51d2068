//! Each op's bytes beside the manual's (Epson, ESC/POS command reference), through the whole driver.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::parse::{Item, items, picture};
use common::{Bench, bytes, refusal};
use driver_sdk::{Align, Barcode, Cut, Driver, Fault, Op, Style, Symbology};

const PLAIN: &str = r#"{"profile":"tm-t20"}"#;

fn text(text: &str) -> Op<'_> {
    Op::Text(text.into())
}

fn check(ops: &[Op<'_>], expected: &[u8]) {
    let found = bytes(PLAIN, ops);
    assert_eq!(found, expected, "\nfound {}\nmeant {}", found.escape_ascii(), expected.escape_ascii());
}

fn barcode(symbology: Symbology, data: &str) -> Op<'_> {
    Op::Barcode(Barcode { data: data.into(), symbology, height: 80, module: 3, text_below: true })
}

#[test]
fn a_document_begins_initialised_and_out_of_kanji_mode() {
    let told = |config: &str| {
        let mut bench = Bench::new(config);
        bench.printer.queued_takes = bench.printer.job_takes;
        bench.run(&[text("x"), Op::Newline]);
        let initialises = |asked: &&Vec<u8>| asked.starts_with(b"\x1b@");
        // The last of what came before the document.
        bench.printer.asked.iter().rfind(initialises).unwrap().clone()
    };
    assert_eq!(told(PLAIN), b"\x1b@\x1c.\x1bt\x00\x1da\x0e");
    assert_eq!(told("{}"), b"\x1b@\x1c.\x1bt\x00");
    assert_eq!(told(r#"{"asb":true,"drawer_sense":"high"}"#), b"\x1b@\x1c.\x1bt\x00\x1da\x0f");
    assert_eq!(told(r#"{"proof":"queued"}"#), b"\x1b@\x1c.\x1bt\x00\x1da\x00");
}

#[test]
fn lines_are_characters_and_a_line_feed() {
    check(&[text("Gate"), text(" 7"), Op::Newline, Op::Newline], b"Gate 7\n\n");
    // A line that nobody ended would stay in the printer.
    check(&[text("Gate 7")], b"Gate 7\n");
    check(&[text(""), Op::Newline], b"\n");
    check(&[Op::Feed(3), Op::Feed(0)], b"\x1bd\x03");
}

#[test]
fn styles_are_told_when_they_change() {
    let style = Style { bold: true, underline: true, invert: true, width: 2, height: 3, font: 1 };
    let wide = Style { width: 8, height: 8, ..Style::default() };
    check(
        &[Op::Style(style), text("a"), Op::Style(style), text("b"), Op::Style(Style::default()), text("c")],
        b"\x1bE\x01\x1b-\x01\x1dB\x01\x1bM\x01\x1d!\x12ab\x1bE\x00\x1b-\x00\x1dB\x00\x1bM\x00\x1d!\x00c\n",
    );
    check(&[Op::Style(wide), text("a")], b"\x1d!\x77a\n");
}

#[test]
fn a_printer_without_a_small_font_keeps_its_usual_one() {
    let small = Op::Style(Style { font: 1, ..Style::default() });
    assert_eq!(bytes(r#"{"profile":"tm-t20","columns_small":0}"#, &[small, text("a")]), b"a\n");
}

#[test]
fn lines_stand_left_in_the_middle_and_right() {
    check(
        &[Op::Align(Align::Middle), text("a"), Op::Newline, Op::Align(Align::Right), text("b"), Op::Newline],
        b"\x1ba\x01a\n\x1ba\x02b\n",
    );
    // In the middle of a line it is the next line's.
    let ops = [text("a"), Op::Align(Align::Right), text("b"), Op::Newline, text("c")];
    check(&ops, b"ab\n\x1ba\x02c\n");
}

#[test]
fn a_rule_runs_across_the_paper() {
    check(&[Op::Rule { double: false }], &[&[0xc4; 48][..], b"\n"].concat());
    check(&[Op::Rule { double: true }], &[&[0xcd; 48][..], b"\n"].concat());
    let no_lines = r#"{"profile":"tm-t20","code_pages":[[1252,16]]}"#;
    assert_eq!(bytes(no_lines, &[Op::Rule { double: false }]), [&[b'-'; 48][..], b"\n"].concat());
    assert_eq!(bytes(no_lines, &[Op::Rule { double: true }]), [&[b'='; 48][..], b"\n"].concat());
}

#[test]
fn text_is_in_the_page_that_has_it() {
    check(&[text("Zürich")], b"Z\x81rich\n");
    check(&[text("5 €"), Op::Newline, text("ü")], b"\x1bt\x135 \xd5\n\x81\n");
    check(&[text("Москва")], b"\x1bt\x11\x8c\xae\xe1\xaa\xa2\xa0\n");
    // No page has all of it: word by word.
    check(&[text("Łódź Да")], b"\x1bt\x12\x9d\xa2d\xab \x1bt\x11\x84\xa0\n");
}

#[test]
fn a_line_is_as_wide_as_the_paper_and_breaks_at_words() {
    let words = "word ".repeat(60);
    let found = items(&bytes(PLAIN, &[text(&words)])).unwrap();
    let lines: Vec<&Vec<u8>> = found
        .iter()
        .filter_map(|item| if let Item::Characters(line) = item { Some(line) } else { None })
        .collect();
    assert!(
        lines.iter().all(|line| line.len() <= 48 && line.starts_with(b"word") && line.ends_with(b"word")
            || *line == lines[lines.len() - 1])
    );
    assert_eq!(
        lines
            .iter()
            .map(|line| line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count())
            .sum::<usize>(),
        60
    );
    // Twice as wide: half as many.
    let wide = Op::Style(Style { width: 2, ..Style::default() });
    let found = items(&bytes(PLAIN, &[wide, text(&"x".repeat(50))])).unwrap();
    let lengths: Vec<usize> = found
        .iter()
        .filter_map(|item| if let Item::Characters(line) = item { Some(line.len()) } else { None })
        .collect();
    assert_eq!(lengths, [24, 24, 2]);
}

#[test]
fn what_no_page_has_becomes_dots_that_fit() {
    for name in ["山田太郎", "שלום עולם", "🎫 VIP 🎉", "สวัสดี", "Zoë 山田"] {
        let found = items(&bytes(PLAIN, &[text("Name: "), text(name), Op::Newline])).unwrap();
        let (row_bytes, dots) = picture(&found);
        assert!(row_bytes * 8 <= 576 && row_bytes > 0, "{name}");
        assert!(dots.iter().any(|byte| *byte != 0), "{name}");
        assert!(!found.iter().any(|item| matches!(item, Item::Characters(_))), "{name}");
    }
    // A line that fits in the small size only is small.
    let found = items(&bytes(PLAIN, &[text(&"山".repeat(30))])).unwrap();
    assert!(
        matches!(&found[..], [Item::Picture { row_bytes: 60, dots }] if dots.len() == 60 * 16),
        "{}",
        found.len()
    );
    // 300 characters are several rows of dots, none cut off.
    let long = "山田 太郎 ".repeat(50);
    for (config, dots) in [(PLAIN, 576), (r#"{"profile":"generic-58"}"#, 384)] {
        let found = items(&bytes(config, &[text(&long)])).unwrap();
        let pictures: Vec<usize> = found
            .iter()
            .filter_map(
                |item| if let Item::Picture { row_bytes, .. } = item { Some(row_bytes * 8) } else { None },
            )
            .collect();
        let all: usize = pictures.iter().sum();
        assert!(pictures.iter().all(|width| *width <= dots));
        // 200 characters of 24 dots, and the spaces that are left.
        assert!(all >= 200 * 24, "{all}");
    }
}

#[test]
fn control_characters_are_made_harmless() {
    check(&[text("A\u{1b}@B\u{1d}V\0\u{10}\u{4}\u{1}C\tD")], b"A?@B?V????C D\n");
}

#[test]
fn a_native_qr_code_has_model_size_correction_data_and_print() {
    let qr = Op::Qr { data: b"TICKET-0001-ABCDEF"[..].into(), module: 6, correction: 1 };
    check(
        &[Op::Align(Align::Middle), qr],
        b"\x1ba\x01\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x06\x1d(k\x03\x001E1\x1d(k\x15\x001P0TICKET-0001-ABCDEF\x1d(k\x03\x001Q0",
    );
    // 800 bytes: pH counts. Version 20 (ISO 18004: 858 bytes at L): 97 modules and 8 empty ones.
    let qr = Op::Qr { data: vec![b'x'; 800].into(), module: 0, correction: 0 };
    let found = items(&bytes(PLAIN, &[qr])).unwrap();
    assert_eq!(found[1], Item::Command(b"\x1d(k\x03\x001C\x05".to_vec()));
    let Item::Command(store) = &found[3] else { panic!("{found:?}") };
    assert_eq!((&store[..8], store.len()), (&b"\x1d(k\x23\x031P0"[..], 808));
    // A code the printer cannot hold is made as dots.
    let short = r#"{"profile":"tm-t20","qr_bytes_max":100}"#;
    let qr = Op::Qr { data: vec![b'x'; 101].into(), module: 0, correction: 0 };
    assert!(matches!(items(&bytes(short, &[qr])).unwrap()[0], Item::Picture { .. }));
    // A module larger than the printer knows becomes its largest.
    let qr = Op::Qr { data: b"x"[..].into(), module: 12, correction: 0 };
    let small = r#"{"profile":"tm-t20","qr_module_max":8}"#;
    assert_eq!(items(&bytes(small, &[qr])).unwrap()[1], Item::Command(b"\x1d(k\x03\x001C\x08".to_vec()));
}

#[test]
fn codes_wider_than_the_paper_are_refused_with_nothing_printed() {
    let qr = |bytes| Op::Qr { data: vec![b'x'; bytes].into(), module: 8, correction: 1 };
    let (fault, told) = refusal(PLAIN, &[text("Hello"), Op::Newline, qr(2_900)]);
    assert_eq!((fault, told.as_str()), (Fault::Invalid, "op 3: a QR code cannot hold 2900 bytes"));
    // Version 38 (ISO 18004: 2099 bytes at M).
    let narrow = r#"{"profile":"tm-t20","dots":128,"columns":16,"columns_small":0}"#;
    let (fault, told) = refusal(narrow, &[qr(2_000)]);
    assert_eq!(
        (fault, told.as_str()),
        (Fault::Invalid, "op 1: a QR code of 177 modules is wider than the paper")
    );
    let (fault, told) = refusal(PLAIN, &[qr(0)]);
    assert_eq!((fault, told.as_str()), (Fault::Invalid, "op 1: a QR code of nothing"));
    // One whose modules are too large for the paper is made smaller, by the printer and of dots.
    assert_eq!(items(&bytes(PLAIN, &[qr(800)])).unwrap()[1], Item::Command(b"\x1d(k\x03\x001C\x04".to_vec()));
    let (row_bytes, _) = picture(&items(&bytes("{}", &[qr(800)])).unwrap());
    assert!(row_bytes * 8 <= 576);
    let (fault, told) = refusal(PLAIN, &[barcode(Symbology::Code39, &"A".repeat(30))]);
    assert_eq!(
        (fault, told.as_str()),
        (Fault::Invalid, "op 1: a barcode of 30 characters is wider than the paper")
    );
    let (fault, _) = refusal(PLAIN, &[Op::Image { width: 584, height: 1, dots: vec![0; 73].into() }]);
    assert_eq!(fault, Fault::Invalid);
}

#[test]
fn barcodes_are_function_b_with_height_width_and_text() {
    for (symbology, data, system, payload) in [
        (Symbology::UpcA, "03600029145", 65, &b"03600029145"[..]),
        (Symbology::Ean13, "6291041500213", 67, b"6291041500213"),
        (Symbology::Ean8, "9638507", 68, b"9638507"),
        (Symbology::Code39, "GATE-7", 69, b"GATE-7"),
        (Symbology::Itf, "123456", 70, b"123456"),
        (Symbology::Code128, "Gate {7}", 73, b"{BGate {{7}"),
        (Symbology::Code128, "0029", 73, b"{C\x00\x1d"),
    ] {
        let head = [&b"\x1dH\x02\x1dh\x50\x1dw\x03\x1dk"[..], &[system, payload.len() as u8]].concat();
        check(&[barcode(symbology, data)], &[&head, payload].concat());
    }
    // A module is as large as fits; without text below.
    let long = Op::Barcode(Barcode {
        data: "A long text of 24 signs.".into(),
        symbology: Symbology::Code128,
        height: 900,
        module: 9,
        text_below: false,
    });
    let found = items(&bytes(r#"{"dots":640,"columns":48}"#, &[long])).unwrap();
    let told: Vec<&Item> = found.iter().take(3).collect();
    let meant =
        [&b"\x1dH\x00"[..], b"\x1dh\xff", b"\x1dw\x02"].map(|command| Item::Command(command.to_vec()));
    assert_eq!(told, meant.iter().collect::<Vec<_>>());
}

#[test]
fn barcodes_that_cannot_be_are_refused_with_the_reason() {
    for (symbology, data, words) in [
        (Symbology::Ean13, "6291041500214", "the check digit of an EAN-13 6291041500214 is wrong"),
        (Symbology::Ean13, "629", "an EAN-13 is 12 or 13 digits"),
        (Symbology::Ean8, "96385O7", "an EAN-8 is 7 or 8 digits"),
        (Symbology::UpcA, "036000291453", "the check digit of a UPC-A"),
        (Symbology::Code39, "gate", "a CODE39 is digits, capitals"),
        (Symbology::Itf, "123", "an even number of digits"),
        (Symbology::Code128, "a\u{1b}b", "a CODE128 is printable ASCII"),
        (Symbology::Code128, "", "a CODE128 is printable ASCII"),
    ] {
        let (fault, told) = refusal(PLAIN, &[barcode(symbology, data)]);
        assert!(fault == Fault::Invalid && told.contains(words), "{data}: {told}");
    }
}

#[test]
fn pictures_come_in_bands_and_lose_no_row() {
    let dots: Vec<u8> = (0..72 * 300).map(|n| (n % 251) as u8).collect();
    let image = Op::Image { width: 576, height: 300, dots: dots.clone().into() };
    let found = bytes(PLAIN, &[image]);
    assert!(found.starts_with(b"\x1dv0\x00\x48\x00\x80\x00"));
    let found = items(&found).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(picture(&found), (72, dots));
    // The line is given as much at a time as the printer is known to take.
    let mut bench = Bench::new(r#"{"chunk_bytes":100}"#);
    bench.run(&[Op::Image { width: 8, height: 240, dots: vec![1; 240].into() }]);
    assert_eq!(bench.printer.writes, [100, 100, 56]);
}

#[test]
fn paper_is_fed_to_the_cutter_and_cut_as_the_cutter_is_able_to() {
    let with = |cut: &str| format!(r#"{{"profile":"tm-t20","cut":"{cut}","cut_feed":9,"tear_lines":4}}"#);
    for (cutter, cut, expected) in [
        ("full_or_partial", Cut::Full, &b"\x1dVA\x09"[..]),
        ("full_or_partial", Cut::Partial, b"\x1dVB\x09"),
        ("full", Cut::Partial, b"\x1dVA\x09"),
        ("partial", Cut::Full, b"\x1dVB\x09"),
        ("none", Cut::Full, b"\x1bd\x04"),
    ] {
        assert_eq!(bytes(&with(cutter), &[Op::Cut(cut)]), expected, "{cutter} {cut:?}");
    }
}

#[test]
fn the_drawer_is_opened_by_a_document_of_its_own_only() {
    check(&[Op::Drawer { pin: 0, pulse_ms: 100 }], b"\x1bp\x00\x32\x64");
    check(&[Op::Drawer { pin: 1, pulse_ms: 9_000 }], b"\x1bp\x01\xff\xff");
    check(&[Op::Drawer { pin: 1, pulse_ms: 0 }], b"\x1bp\x01\x01\x02");
    let kick = || Op::Drawer { pin: 0, pulse_ms: 100 };
    let (fault, told) = refusal(PLAIN, &[text("Receipt"), Op::Newline, kick()]);
    assert_eq!(
        (fault, told.as_str()),
        (Fault::Invalid, "the cash drawer is opened by a document of its own")
    );
    let (fault, told) = refusal(r#"{"drawer_pins":1}"#, &[Op::Drawer { pin: 1, pulse_ms: 100 }]);
    assert_eq!(
        (fault, told.as_str()),
        (Fault::Unsupported, "op 1: there is no drawer 2: the printer has 1 of them")
    );
}

#[test]
fn it_beeps_where_there_is_a_beeper() {
    assert_eq!(bytes(r#"{"profile":"xprinter"}"#, &[Op::Beep(3)]), b"\x1bB\x03\x02");
    assert_eq!(bytes(r#"{"profile":"xprinter"}"#, &[Op::Beep(200)]), b"\x1bB\x09\x02");
    check(&[Op::Beep(3)], b"");
}

#[test]
fn what_is_for_other_devices_is_refused() {
    for op in [Op::Place { x: 1, y: 1 }, Op::Clear, Op::Bright(1)] {
        assert_eq!(refusal(PLAIN, &[op]).0, Fault::Unsupported);
    }
}

#[test]
fn wrong_settings_are_refused_and_logged_for_people() {
    for (config, words) in [
        (r#"{"colums": 42}"#, "the printer's settings: unknown field `colums`"),
        (r#"{"code_pages": [[4711, 0]]}"#, "there is no code page 4711 here"),
        (r#"{"dots": 577, "columns": 3}"#, "columns: 3 is not 16 to 128; dots: 577 is no multiple of 8"),
    ] {
        let host = std::rc::Rc::new(common::FakeHost::default());
        let fault = driver_escpos::Escpos::create(host.clone(), config).err();
        assert_eq!(fault, Some(Fault::Config));
        let log = host.log.borrow();
        assert!(log[0].0 == driver_sdk::Level::Error && log[0].1.contains(words), "{config}: {log:?}");
    }
}
