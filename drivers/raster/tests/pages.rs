//! Pages as a venue would hold them in hand: codes are read by a decoder that is not ours, scripts by their shapes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_abi::{Align, Barcode, Cut, Op, Style, Symbology};
use driver_raster::{Page, Paper, Raster, Screen, logo, png, qr, rasterise};
use proptest::prelude::*;

const PAPER: Paper = Paper { dots: 576, rows: None, dpi: 203 };

fn text(text: &str) -> Raster {
    rasterise(&Op::Text(text.into()), Style::default(), 576).unwrap()
}

/// What an independent decoder reads in the first QR code.
fn decoded(raster: &Raster) -> String {
    let shade = |x, y| if raster.get(x, y) { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(raster.width, raster.rows(), shade);
    let (_, text) = image.detect_grids().first().expect("there is a QR code").decode().unwrap();
    text
}

fn black(raster: &Raster) -> usize {
    raster.dots.iter().map(|byte| byte.count_ones() as usize).sum()
}

#[test]
fn a_mark_stands_over_its_letter_and_takes_no_place() {
    assert_eq!(text("e\u{301}"), text("é"), "what can be composed is");
    let (plain, marked) = (text("x"), text("x\u{301}"));
    assert_eq!(plain.width, marked.width);
    assert!(black(&marked) > black(&plain));
    assert_eq!(text("a\u{200d}\u{fe0f}b"), text("ab"), "what only joins or chooses a form is not seen");
}

#[test]
fn hebrew_is_turned_round_and_its_brackets_too() {
    // Letters do not change their shape, so the turned text is the same dots.
    let turned = text("\u{202d}םולש\u{202c}");
    assert_eq!(text("שלום"), turned);
    assert_eq!(text("(שלום)").width, turned.width + 24);
    let mixed = text("א(ב");
    assert_eq!(mixed, text("\u{202d}ב)א\u{202c}"));
}

#[test]
fn blanks_before_a_text_stay_on_the_left() {
    let padded = text("  שלום");
    assert_eq!(padded.width, 6 * 12);
    assert!((0..24).all(|x| (0..24).all(|y| !padded.get(x, y))));
}

#[test]
fn arabic_letters_are_joined() {
    // U+FE91 and U+FE90: beh at the beginning and at the end of a word.
    assert_eq!(text("بب"), text("\u{fe91}\u{fe90}"));
    assert_ne!(text("بب").dots, text("\u{fe8f}\u{fe8f}").dots);
    assert_eq!(text("لا"), text("\u{fefb}"), "lam and alef are one");
    assert_eq!(text("الله").width, 4 * 12, "a word stays as long as its letters");
}

#[test]
fn wide_characters_take_two_columns_and_unknown_ones_are_boxes() {
    assert_eq!(text("東").width, 24);
    assert_eq!(text("a").width, 12);
    assert_eq!(text("😀"), text("🎫"), "one box for all that the font does not have");
    assert!(black(&text("😀")) > 0);
}

#[test]
fn a_text_beyond_the_paper_is_cut_at_a_whole_character() {
    let cut = rasterise(&Op::Text("abcdef".into()), Style::default(), 40).unwrap();
    assert_eq!(cut.width, 36);
    let style = Style { width: 8, height: 8, bold: true, ..Style::default() };
    assert_eq!(rasterise(&Op::Text("W".into()), style, 40).unwrap().width, 0);
}

#[test]
fn qr_codes_are_read_by_another_decoder() {
    for (data, dots) in [("TKT-0001", 384), ("https://example.org/t/5f2c9a?x=ÄÖ", 576), ("1", 128)] {
        let code = qr(data.as_bytes(), 0, 1, dots).unwrap();
        assert_eq!(decoded(&code.raster), data);
        assert!(code.raster.width <= dots.into());
        assert_eq!(code.lowered, None, "{data}");
    }
}

#[test]
fn error_correction_gives_way_before_modules_become_too_small() {
    let data = "x".repeat(150);
    let code = qr(data.as_bytes(), 0, 3, 200).unwrap();
    // 150 bytes with Q are version 9: 53 modules and 8 of white, three dots each.
    let told = "QR code of 150 bytes: error correction Q instead of H, to fit into 200 dots";
    assert_eq!(code.lowered.as_deref(), Some(told));
    assert_eq!(decoded(&code.raster), data);
    let why = qr(data.as_bytes(), 8, 3, 200).unwrap_err();
    assert!(why.contains("does not fit into 200 dots"), "{why}");
    assert!(qr(&[0; 4_000], 0, 0, 576).unwrap_err().contains("larger than any"));
}

/// The widths of a row's bars and gaps, without the white around.
fn runs(raster: &Raster, row: usize) -> Vec<usize> {
    let dots: Vec<bool> = (0..raster.width).map(|x| raster.get(x, row)).collect();
    let runs: Vec<usize> = dots.chunk_by(|a, b| a == b).map(<[bool]>::len).collect();
    runs[1..runs.len() - 1].to_vec()
}

#[test]
fn bars_are_those_of_the_standards() {
    let draw = |data: &str, symbology| {
        let code =
            Barcode { data: data.to_owned().into(), symbology, height: 40, module: 1, text_below: false };
        rasterise(&Op::Barcode(code), Style::default(), 576)
    };
    // ISO/IEC 15417: start C, the pair 12, check symbol (105 + 12) mod 103 = 14, stop.
    let wanted = [2, 1, 1, 2, 3, 2, 1, 1, 2, 2, 3, 2, 1, 2, 2, 2, 3, 1, 2, 3, 3, 1, 1, 1, 2];
    let code128 = draw("12", Symbology::Code128).unwrap();
    let found = runs(&code128, 0);
    assert_eq!((found.len(), found.iter().sum::<usize>()), (25, 46));
    assert_eq!(found[..12], wanted[..12]);
    assert_eq!(found[18..], wanted[18..]);
    // ISO/IEC 15420: 3 + 42 + 5 + 42 + 3 modules in 59 bars and gaps, white of 11 and 7 around.
    let ean = draw("629104150021", Symbology::Ean13).unwrap();
    assert_eq!((runs(&ean, 0).len(), ean.width), (59, 95 + 18));
    assert_eq!(draw("03600029145", Symbology::UpcA).unwrap().width, 95 + 18);
    assert!(draw("1234567", Symbology::Itf).unwrap_err().contains("an even number of digits"));
    assert!(draw("abc", Symbology::Code39).unwrap_err().contains("capitals"));
    assert!(draw("6291041500214", Symbology::Ean13).unwrap_err().contains("check digit is 3, not 4"));
}

#[test]
fn a_logo_is_made_smaller_and_keeps_its_mean_shade() {
    // A quarter is transparent; the rest is a grey of one half.
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 400, 200);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    let pixels: Vec<u8> =
        (0..400 * 200).flat_map(|n| if n % 400 < 100 { [0, 0] } else { [127, 255] }).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    let Op::Image { width, height, dots } = logo(&file, 100, 400).unwrap() else { panic!("no picture") };
    assert_eq!((width, height), (100, 50));
    let raster = rasterise(&Op::Image { width, height, dots }, Style::default(), 576).unwrap();
    let transparent =
        (0..50).flat_map(|y| (0..25).map(move |x| (x, y))).filter(|(x, y)| raster.get(*x, *y)).count();
    assert_eq!(transparent, 0);
    let share = black(&raster) * 100 / (75 * 50);
    assert!((48..=52).contains(&share), "{share} % are black");
    assert!(logo(b"GIF89a", 100, 100).unwrap_err().contains("no PNG"));
}

#[test]
fn a_page_says_what_it_cannot_show() {
    let wide = "w".repeat(60);
    let code = Op::Qr { data: vec![b'x'; 300].into(), module: 8, correction: 3 };
    let page = Page::draw(&[Op::Text(wide.into()), Op::Newline, code, Op::Clear], PAPER);
    assert_eq!(page.notes.len(), 3, "{:?}", page.notes);
    let ticket = Paper { rows: Some(100), ..PAPER };
    let page = Page::draw(&[Op::Place { x: 10, y: 90 }, Op::Text("deep".into())], ticket);
    assert_eq!(page.raster.rows(), 100);
    assert_eq!(page.notes, ["the ticket ends at 100 dots, the document does not"]);
}

#[test]
fn a_display_shows_its_lines_and_moves_what_is_too_long() {
    let mut screen = Screen::new(10, 2);
    screen.show(&Op::Line { line: 1, text: "e\u{301}tude".into() }).unwrap();
    screen.show(&Op::Scroll { line: 2, text: "Welcome to the show".into(), step_ms: 300 }).unwrap();
    assert_eq!(screen.text(), ["étude     ", "Welcome to"]);
    screen.step();
    assert_eq!(screen.text()[1], "elcome to ");
    assert_eq!(screen.run(), 29);
    (1..29).for_each(|_| screen.step());
    assert_eq!(screen.text()[1], "Welcome to", "it begins again");
    assert_eq!(
        screen.show(&Op::Line { line: 3, text: "".into() }).unwrap_err(),
        "there is no line 3: the display has 2"
    );
    assert!(screen.show(&Op::Newline).is_err());
    screen.png().unwrap();
}

fn any_op() -> impl Strategy<Value = Op<'static>> {
    let style = (any::<[bool; 3]>(), any::<[u8; 3]>()).prop_map(
        |([bold, underline, invert], [width, height, font])| {
            Op::Style(Style { bold, underline, invert, width, height, font })
        },
    );
    let kinds = prop::sample::select(vec![
        Symbology::Code128,
        Symbology::Ean13,
        Symbology::Ean8,
        Symbology::UpcA,
        Symbology::Code39,
        Symbology::Itf,
    ]);
    let barcode = ("[0-9]{0,20}|[A-Z]{1,9}|\\PC{0,9}", kinds, any::<u16>(), any::<u8>(), any::<bool>())
        .prop_map(|(data, symbology, height, module, text_below)| {
            Op::Barcode(Barcode { data: data.into(), symbology, height, module, text_below })
        });
    prop_oneof![
        4 => any::<String>().prop_map(|text| Op::Text(text.into())),
        4 => Just(Op::Newline),
        1 => any::<u8>().prop_map(Op::Feed),
        2 => style,
        1 => prop::sample::select(vec![Align::Left, Align::Middle, Align::Right]).prop_map(Op::Align),
        1 => any::<bool>().prop_map(|double| Op::Rule { double }),
        1 => (prop::collection::vec(any::<u8>(), 0..80), any::<u8>(), 0..6_u8)
            .prop_map(|(data, module, correction)| Op::Qr { data: data.into(), module, correction }),
        1 => barcode,
        1 => (any::<u16>(), 0..64_u16, prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(width, height, dots)| Op::Image { width, height, dots: dots.into() }),
        1 => any::<(u16, u16)>().prop_map(|(x, y)| Op::Place { x, y }),
        1 => Just(Op::Cut(Cut::Partial)),
        1 => (any::<u8>(), any::<String>()).prop_map(|(line, text)| Op::Line { line, text: text.into() }),
        1 => (any::<u8>(), any::<String>(), any::<u16>())
            .prop_map(|(line, text, step_ms)| Op::Scroll { line, text: text.into(), step_ms }),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_document_breaks_a_page(ops in prop::collection::vec(any_op(), 0..24), dots in 0..700_u16, rows in prop::option::of(0..400_u16)) {
        let page = Page::draw(&ops, Paper { dots, rows, dpi: 203 });
        prop_assert!(page.raster.rows() <= driver_raster::PAGE_ROWS_MAX);
        prop_assert!(!png(&page.raster, 203).unwrap().is_empty());
    }

    #[test]
    fn no_file_breaks_the_reader_of_pictures(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let raster = rasterise(&Op::Text("logo".into()), Style::default(), 576).unwrap();
        let mut file = png(&raster, 203).unwrap();
        let at = at.index(file.len());
        file[at] = byte;
        if cut {
            file.truncate(at);
        }
        let _ = logo(&file, 20, 20);
    }

    #[test]
    fn no_document_breaks_a_display(ops in prop::collection::vec(any_op(), 0..24), columns in any::<u16>(), lines in 0..4_u8) {
        let mut screen = Screen::new(columns, lines);
        for op in &ops {
            let _ = screen.show(op);
            screen.step();
        }
        screen.png().unwrap();
    }
}
