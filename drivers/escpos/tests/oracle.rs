//! The driver beside encoders and a reader of codes that others wrote: python-escpos, the crate `escpos`, zxing-cpp. Two
//! encoders may send different bytes for the same paper; so what the bytes *do* is compared, and where that differs on
//! purpose the test says why.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::parse::{Item, items, picture};
use common::{Bench, bytes};
use device_emulators::judges;
use driver_sdk::{Align, Barcode, Cut, Op, Style, Symbology};
use std::collections::BTreeMap;
use std::path::Path;

const PROFILE: &str = r#"{"profile":"tm-t20"}"#;
const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");

fn python(script: &str, arguments: &[&str]) -> String {
    let text = std::fs::read_to_string(format!("{ORACLE}/{script}")).unwrap();
    String::from_utf8(judges::python(&text, arguments, &[])).unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What comes to paper, whatever bytes said so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Effect {
    Text { look: Look, characters: Vec<u8> },
    Line,
    Feed(u8),
    Qr { model: u8, module: u8, correction: u8, data: Vec<u8> },
    Barcode { system: u8, height: u8, module: u8, text_below: bool, data: Vec<u8> },
    Cut { full: bool },
    Drawer(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    bold: u8,
    underline: u8,
    invert: u8,
    font: u8,
    size: u8,
    align: u8,
    page: u8,
}

fn effects(bytes: &[u8]) -> Vec<Effect> {
    let mut look = Look::default();
    let (mut height, mut module, mut below) = (162, 3, 0);
    let mut qr = (0, 0, 0, Vec::new());
    let mut found = Vec::new();
    for item in items(bytes).unwrap() {
        let command = match item {
            Item::Characters(characters) => {
                found.push(Effect::Text { look, characters });
                continue;
            }
            Item::Lf => {
                found.push(Effect::Line);
                continue;
            }
            Item::Command(command) => command,
            Item::Picture { .. } => panic!("no picture is meant here"),
        };
        match &command[..] {
            [0x1b, b'E', n] => look.bold = *n,
            [0x1b, b'-', n] => look.underline = *n,
            [0x1d, b'B', n] => look.invert = *n,
            [0x1b, b'M', n] => look.font = *n,
            [0x1d, b'!', n] => look.size = *n,
            [0x1b, b'a', n] => look.align = *n,
            [0x1b, b't', n] => look.page = *n,
            // Printing what is in the line and feeding one is a line feed (Epson, "ESC d").
            [0x1b, b'd', 1] if matches!(found.last(), Some(Effect::Text { .. })) => found.push(Effect::Line),
            [0x1b, b'd', n] => found.push(Effect::Feed(*n)),
            [0x1d, b'(', b'k', _, _, b'1', b'A', n, _] => qr.0 = *n,
            [0x1d, b'(', b'k', _, _, b'1', b'C', n] => qr.1 = *n,
            [0x1d, b'(', b'k', _, _, b'1', b'E', n] => qr.2 = *n,
            [0x1d, b'(', b'k', _, _, b'1', b'P', _, data @ ..] => qr.3 = data.to_vec(),
            [0x1d, b'(', b'k', _, _, b'1', b'Q', _] => {
                let (model, module, correction, data) = qr.clone();
                found.push(Effect::Qr { model, module, correction, data });
            }
            [0x1d, b'h', n] => height = *n,
            [0x1d, b'w', n] => module = *n,
            [0x1d, b'H', n] => below = *n,
            // Font of the text below: A, as after initialisation.
            [0x1d, b'f', n] => assert_eq!(*n, 0),
            // Function A ends with NUL, B counts; their systems differ by 65.
            [0x1d, b'k', system @ 0..=6, data @ .., 0] => {
                let (system, text_below) = (system + 65, below == 2);
                found.push(Effect::Barcode { system, height, module, text_below, data: data.to_vec() });
            }
            [0x1d, b'k', system, _, data @ ..] => {
                let text_below = below == 2;
                found.push(Effect::Barcode {
                    system: *system,
                    height,
                    module,
                    text_below,
                    data: data.to_vec(),
                });
            }
            [0x1d, b'V', 0] | [0x1d, b'V', b'A', _] => found.push(Effect::Cut { full: true }),
            [0x1d, b'V', 1] | [0x1d, b'V', b'B', _] => found.push(Effect::Cut { full: false }),
            [0x1b, b'p', pulse @ ..] => found.push(Effect::Drawer(pulse.to_vec())),
            other => panic!("{other:02x?}"),
        }
    }
    found
}

fn line(text: &str) -> [Op<'_>; 2] {
    [Op::Text(text.into()), Op::Newline]
}

fn barcode(symbology: Symbology, data: &str) -> Op<'_> {
    Op::Barcode(Barcode { data: data.into(), symbology, height: 80, module: 3, text_below: true })
}

fn qr(data: Vec<u8>, correction: u8, module: u8) -> Op<'static> {
    Op::Qr { data: data.into(), module, correction }
}

fn loud() -> Style {
    Style { bold: true, underline: true, invert: true, width: 2, height: 3, font: 1 }
}

fn ours(ops: &[Op<'_>]) -> Vec<Effect> {
    effects(&bytes(PROFILE, ops))
}

#[test]
fn python_escpos_prints_the_same() {
    let told = python("encode.py", &[]);
    let theirs: BTreeMap<&str, Vec<Effect>> = told
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, effects(&unhex(hex))))
        .collect();
    let text = [line("Gate 7"), line("Zürich"), line("Москва")].concat();
    assert_eq!(ours(&text), theirs["text"]);
    let mut styles = vec![Op::Align(Align::Middle), Op::Style(loud())];
    styles.extend(line("Loud"));
    styles.extend([Op::Align(Align::Right), Op::Style(Style::default())]);
    styles.extend(line("quiet"));
    assert_eq!(ours(&styles), theirs["styles"]);
    let codes = [qr(b"TICKET-0001-ABCDEF".to_vec(), 1, 6), qr(vec![b'x'; 800], 3, 3)];
    assert_eq!(ours(&codes), theirs["qr"]);
    let barcodes = [
        barcode(Symbology::Ean13, "6291041500213"),
        barcode(Symbology::Code39, "GATE-7"),
        barcode(Symbology::Code128, "Gate 7"),
        barcode(Symbology::Itf, "123456"),
        barcode(Symbology::UpcA, "036000291452"),
        barcode(Symbology::Ean8, "96385074"),
    ];
    assert_eq!(ours(&barcodes), theirs["barcodes"]);
    // It feeds six lines whatever the printer; this driver has the printer feed to its own cutter.
    let cuts: Vec<Effect> =
        theirs["cut"].iter().filter(|effect| **effect != Effect::Feed(6)).cloned().collect();
    assert_eq!(ours(&[Op::Cut(Cut::Full), Op::Cut(Cut::Partial)]), cuts);
    assert_eq!(ours(&[Op::Drawer { pin: 0, pulse_ms: 100 }]), theirs["drawer"]);
}

// === The crate escpos ===

/// Collects what the crate sends.
#[derive(Clone, Default)]
struct Collector(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl escpos::driver::Driver for Collector {
    fn name(&self) -> String {
        "collector".to_owned()
    }

    fn write(&self, data: &[u8]) -> escpos::errors::Result<()> {
        self.0.borrow_mut().extend(data);
        Ok(())
    }

    fn read(&self, _buffer: &mut [u8]) -> escpos::errors::Result<usize> {
        Ok(0)
    }

    fn flush(&self) -> escpos::errors::Result<()> {
        Ok(())
    }
}

type Theirs = escpos::printer::Printer<Collector>;

fn crate_escpos(write: impl FnOnce(&mut Theirs) -> escpos::errors::Result<&mut Theirs>) -> Vec<u8> {
    use escpos::utils::Protocol;
    let collector = Collector::default();
    let mut printer = escpos::printer::Printer::new(collector.clone(), Protocol::default(), None);
    write(&mut printer).unwrap().print().unwrap();
    collector.0.take()
}

#[test]
fn the_crate_escpos_prints_the_same() {
    use escpos::utils::{
        BarcodeFont, BarcodeHeight, BarcodeOption, BarcodePosition, BarcodeWidth, Font, JustifyMode,
        PageCode, QRCodeCorrectionLevel, QRCodeModel, QRCodeOption, UnderlineMode,
    };
    let theirs = crate_escpos(|p| p.writeln("Gate 7")?.page_code(PageCode::PC858)?.writeln("5 €"));
    assert_eq!(ours(&[line("Gate 7"), line("5 €")].concat()), effects(&theirs));
    let theirs = crate_escpos(|p| {
        p.justify(JustifyMode::CENTER)?.bold(true)?.underline(UnderlineMode::Single)?;
        p.reverse(true)?.size(2, 3)?.font(Font::B)?.writeln("Loud")
    });
    let mut styles = vec![Op::Align(Align::Middle), Op::Style(loud())];
    styles.extend(line("Loud"));
    assert_eq!(ours(&styles), effects(&theirs));
    let code = |data: &str, module, level| {
        crate_escpos(|p| p.qrcode_option(data, QRCodeOption::new(QRCodeModel::Model2, module, level)))
    };
    let theirs = [
        code("TICKET-0001-ABCDEF", 6, QRCodeCorrectionLevel::M),
        code(&"x".repeat(800), 3, QRCodeCorrectionLevel::H),
    ];
    let codes = [qr(b"TICKET-0001-ABCDEF".to_vec(), 1, 6), qr(vec![b'x'; 800], 3, 3)];
    assert_eq!(ours(&codes), effects(&theirs.concat()));
    // It has function A of barcodes alone, and with that no CODE128.
    let option = || {
        let (width, height) = (BarcodeWidth::M, BarcodeHeight::M);
        BarcodeOption::new(width, height, BarcodeFont::A, BarcodePosition::Below)
    };
    let theirs =
        crate_escpos(|p| p.ean13_option("6291041500213", option())?.code39_option("GATE-7", option()));
    let Effect::Barcode { height, module, .. } = effects(&theirs)[0].clone() else { panic!() };
    let same = |symbology, data: &'static str| {
        Op::Barcode(Barcode { data: data.into(), symbology, height: height.into(), module, text_below: true })
    };
    let barcodes = [same(Symbology::Ean13, "6291041500213"), same(Symbology::Code39, "GATE-7")];
    assert_eq!(ours(&barcodes), effects(&theirs));
    assert_eq!(ours(&[Op::Cut(Cut::Full)]), effects(&crate_escpos(|p| p.cut())));
    // Its partial cut is GS V A 1, which is a full one after one unit more (Epson, "GS V"); ours is GS V B.
    assert_eq!(crate_escpos(|p| p.partial_cut()), b"\x1dVA\x01");
    // Its drawer has no times, and the printer would wait for two bytes more (Epson, "ESC p").
    assert_eq!(crate_escpos(|p| p.cash_drawer(escpos::utils::CashDrawer::Pin2)), b"\x1bp\x00");
}

// === zxing-cpp ===

/// What a document's pictures become, as a picture's file with a margin of paper.
fn paper(path: &Path, bytes: &[u8], dots: usize) {
    let (row_bytes, rows) = picture(&items(bytes).unwrap());
    assert!(row_bytes * 8 <= dots, "wider than the paper");
    let (width, height) = (row_bytes * 8 + 64, rows.len() / row_bytes + 64);
    let mut grey = vec![255; width * height];
    for (y, row) in rows.chunks(row_bytes).enumerate() {
        for x in (0..row_bytes * 8).filter(|x| row[x / 8] & (0x80 >> (x % 8)) != 0) {
            grey[(y + 32) * width + x + 32] = 0;
        }
    }
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&grey).unwrap();
}

#[test]
fn zxing_reads_every_qr_code_that_is_made_of_dots() {
    let dir = tempfile::tempdir().unwrap();
    let long: Vec<u8> = (0..800).map(|n| b'!' + (n % 90) as u8).collect();
    let cases = [
        ("default", 576, b"TICKET-0001-ABCDEF".to_vec()),
        ("default", 576, long.clone()),
        ("generic-58", 384, long),
        ("generic-58", 384, "Žluťoučký kůň 山田 🎫".as_bytes().to_vec()),
        ("default", 576, b"HTTPS://GATE.EXAMPLE/T/0123456789".to_vec()),
        ("default", 576, vec![0, 0x1b, 0x1d, 0x10, 0xff, 0x80]),
    ];
    let mut paths = Vec::new();
    for (n, (profile, dots, data)) in cases.iter().enumerate() {
        let path = dir.path().join(format!("{n}.png"));
        let qr = Op::Qr { data: data.clone().into(), module: 0, correction: 1 };
        paper(&path, &bytes(&format!(r#"{{"profile":"{profile}"}}"#), &[qr]), *dots);
        paths.push(path);
    }
    let told = python("read.py", &paths.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>());
    let read: Vec<&str> = told.lines().collect();
    assert_eq!(read.len(), cases.len());
    for ((profile, _, data), read) in cases.iter().zip(read) {
        let (format, hex) = read.split_once(':').unwrap_or_else(|| panic!("{profile}: {read}"));
        assert_eq!(
            (format.to_lowercase().replace([' ', '_'], ""), unhex(hex)),
            ("qrcode".to_owned(), data.clone())
        );
    }
}

#[test]
fn a_qr_code_of_dots_is_one_picture_without_gaps() {
    let mut bench = Bench::new(r#"{"profile":"default","band_rows":16}"#);
    bench.run(&[qr(vec![b'x'; 800], 1, 0)]);
    let found = items(&bench.printer.printed).unwrap();
    assert!(found.len() > 10 && found.iter().all(|item| matches!(item, Item::Picture { .. })));
}
