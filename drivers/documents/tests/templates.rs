//! Templates as a venue writes them: what is printed, what is refused, and what no value may do.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use documents::{BUILT_IN, DOCUMENT_OPS_MAX, Template, VALUE_CHARS_MAX, Values, built_in};
use driver_abi::{Align, Capabilities, Kind, Op, Style};
use driver_raster::{Page, Paper, Raster};
use proptest::prelude::*;
use std::time::Duration;

fn wide() -> Capabilities {
    let sizes =
        Capabilities { columns: 48, columns_small: 72, dots: 576, dpi: 203, ..Capabilities::default() };
    Capabilities { cuts: true, ..sizes }
}

fn narrow() -> Capabilities {
    Capabilities { columns: 32, columns_small: 48, dots: 384, dpi: 203, ..Capabilities::default() }
}

fn ticket_printer() -> Capabilities {
    Capabilities { columns: 93, dots: 1120, dpi: 203, cuts: true, places: true, ..Capabilities::default() }
}

fn display() -> Capabilities {
    Capabilities { columns: 20, lines: 2, ..Capabilities::default() }
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn guest() -> Values {
    values(&[
        ("venue", "Arena Nord"),
        ("event", "Winter concert"),
        ("ticket_type", "Day ticket"),
        ("holder", "María-José Müller-Østergård"),
        ("seat", "C 12 7"),
        ("gate", "North 3"),
        ("time", "2026-11-25T19:05:07+01:00"),
        ("remaining", "1"),
        ("code", "TKT-0001"),
    ])
}

/// A document as text, a line each: what is not text stands in brackets.
fn dump(ops: &[Op<'_>]) -> String {
    let (mut out, mut align) = (String::new(), Align::Left);
    for op in ops {
        match op {
            Op::Text(text) if align == Align::Left => out.push_str(text),
            Op::Text(text) => out.push_str(&format!("{:<6}> {text}", format!("{align:?}").to_lowercase())),
            Op::Newline => out.push('\n'),
            Op::Feed(lines) => out.push_str(&format!("[feed {lines}]\n")),
            Op::Style(style) if *style == Style::default() => {}
            Op::Style(style) => {
                let words = [(style.bold, "bold "), (style.invert, "invert "), (style.font == 1, "small ")];
                let words: String = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
                out.push_str(&format!("[{words}{}x{}]", style.width, style.height));
            }
            Op::Align(to) => align = *to,
            Op::Rule { double } => out.push_str(if *double { "[double rule]\n" } else { "[rule]\n" }),
            Op::Qr { data, .. } => out.push_str(&format!("[qr {}]\n", String::from_utf8_lossy(data))),
            Op::Barcode(code) => {
                out.push_str(&format!("[{:?} {} {}]\n", code.symbology, code.data, code.height))
            }
            Op::Image { width, height, .. } => out.push_str(&format!("[picture {width}x{height}]\n")),
            Op::Cut(cut) => out.push_str(&format!("[{cut:?} cut]\n")),
            Op::Place { x, y } => out.push_str(&format!("\n@{x},{y} ")),
            other => out.push_str(&format!("[{other:?}]\n")),
        }
    }
    out
}

fn rendered(elements: &str, with: &[(&str, &str)], capabilities: &Capabilities) -> String {
    let text = format!("elements = [\n{elements}\n]");
    dump(&Template::parse("test", &text).unwrap().render(&values(with), capabilities))
}

fn mistakes(text: &str) -> String {
    Template::parse("test", text).unwrap_err().join("\n")
}

#[test]
fn a_receipt_on_wide_paper() {
    let receipt = built_in("receipt").unwrap();
    let wanted = "\
[bold 2x2]middle> Arena Nord
[bold 1x1]middle> Winter concert
[rule]
Ticket                                Day ticket
Holder               María-José Müller-Østergård
Seat                                      C 12 7
Gate                                     North 3
Date                                  2026-11-25
Time                                    19:05:07
[bold 1x1]Entries left                                   1
[rule]
[qr TKT-0001]
[small 1x1]middle> TKT-0001
[feed 1]
[small 1x1]middle> Please keep this receipt until you leave.
[feed 1]
[Partial cut]
";
    assert_eq!(dump(&receipt.render(&guest(), &wide())), wanted);
}

#[test]
fn a_receipt_on_narrow_paper_wraps_leaves_out_and_is_torn_off() {
    let receipt = built_in("receipt").unwrap();
    let mut some = guest();
    ["seat", "remaining", "event"].iter().for_each(|name| drop(some.remove(*name)));
    let found = dump(&receipt.render(&some, &narrow()));
    assert!(
        found.contains("Holder                María-José\n                Müller-Østergård\n"),
        "{found}"
    );
    assert!(!found.contains("Seat") && !found.contains("Entries") && !found.contains('?'), "{found}");
    assert!(found.ends_with("[feed 1]\n[feed 4]\n"), "{found}");
}

#[test]
fn a_ticket_is_placed_where_that_can_be_and_is_a_list_elsewhere() {
    let ticket = built_in("ticket").unwrap();
    let found = dump(&ticket.render(&guest(), &ticket_printer()));
    // 203 dpi are 7.99 dots a mm: x 4 mm is 32 dots, y 3 mm is 24.
    assert!(found.starts_with("[bold 2x2]\n@32,24 Winter concert"), "{found}");
    assert!(found.contains("@543,152 [qr TKT-0001]"), "{found}");
    let found = dump(&ticket.render(&guest(), &narrow()));
    assert!(!found.contains('@'), "{found}");
    assert!(found.contains("25.11.2026 19:05\n"), "{found}");
}

#[test]
fn a_display_greets_step_by_step_and_lets_a_long_name_run() {
    let welcome = built_in("welcome").unwrap();
    assert_eq!(welcome.kind(), Kind::Display);
    let steps = welcome.steps(&guest(), &display());
    let long = Op::Scroll { line: 2, text: "María-José Müller-Østergård".into(), step_ms: 300 };
    let first = Op::Line { line: 1, text: "      Welcome!".into() };
    assert_eq!(steps[0].0, [Op::Clear, Op::Bright(4), first, long]);
    // Seven columns more than there are, then a second to read the end.
    assert_eq!(steps[0].1, Duration::from_millis(7 * 300 + 1_000));
    assert_eq!(steps[1].1, Duration::from_secs(2));
    assert_eq!(steps[1].0[2], Op::Line { line: 2, text: "  Entries left: 1".into() });
    assert_eq!(welcome.render(&guest(), &display()), steps[0].0);
    assert!(welcome.idle(&Values::new(), &display()).is_some());
    let one_line = welcome.steps(&guest(), &Capabilities { lines: 1, ..display() });
    assert_eq!(one_line[1].0.len(), 2);
}

#[test]
fn every_built_in_template_is_well_and_fits_its_paper() {
    for (name, _) in BUILT_IN {
        let template = built_in(name).unwrap();
        assert!(!template.about().is_empty() && !template.fields().is_empty(), "{name}");
        assert!(template.missing(&guest()).iter().all(|field| !guest().contains_key(*field)), "{name}");
        if template.kind() == Kind::Display {
            assert!(!template.steps(&guest(), &display()).is_empty(), "{name}");
            continue;
        }
        for capabilities in [wide(), narrow(), ticket_printer()] {
            let rows = capabilities.places.then_some(400);
            let paper = Paper { dots: capabilities.dots, rows, dpi: 203 };
            let placed = name == "ticket" || rows.is_none();
            let page = Page::draw(&template.render(&guest(), &capabilities), paper);
            assert!(!placed || page.notes.is_empty(), "{name}: {:?}", page.notes);
        }
    }
}

#[test]
fn the_code_on_every_paper_is_read_by_another_decoder() {
    for (name, count) in [("receipt", 1), ("denied", 1), ("badge", 1), ("wristband", 2)] {
        let band = Capabilities { columns: 17, dots: 208, ..narrow() };
        for capabilities in [wide(), narrow(), band] {
            let ops = built_in(name).unwrap().render(&guest(), &capabilities);
            let page = Page::draw(&ops, Paper { dots: capabilities.dots, rows: None, dpi: 203 });
            assert_eq!(decoded(&page.raster), vec!["TKT-0001"; count], "{name} on {}", capabilities.dots);
        }
    }
}

fn decoded(raster: &Raster) -> Vec<String> {
    let shade = |x, y| if raster.get(x, y) { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(raster.width, raster.rows(), shade);
    image.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect()
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_is_meant() {
    let text = r#"
about = 7
elemnts = []
elements = [
  { text = "{Holder}", bolt = true, size = 9 },
  { qr = "{code}", text = "both" },
  { align = "centre" },
  { columns = ["a", "b"], widths = [1] },
  { rule = "thick" },
  { text = "x", if = "{holder}", x = 3 },
  "text",
]
"#;
    let wanted = r#"line 2: about: a text in quotes is needed, found 7
line 3: there is no "elemnts": is "elements" meant?
line 5: element 1: there is no "bolt": is "bold" meant?
line 5: element 1: size: a whole number from 1 to 8 is needed, found 9
line 5: element 1: text: {Holder}: a field's name has a-z, 0-9 and _, such as {holder}
line 6: element 2: it has to be one of text, columns, rule, qr, barcode, logo, feed, cut; found text and qr
line 7: element 3: it has to be one of text, columns, rule, qr, barcode, logo, feed, cut; found nothing of it
line 8: element 4: widths: one for each of the 2 columns is needed, found 1
line 9: element 5: rule: one of "single", "double" is needed, found "thick"
line 10: element 6: if: a field's name is needed, without braces, such as "holder"
line 10: element 6: x and y belong together, in mm from the top left corner
line 11: elements: each has to be a table: { … }, found "text""#;
    let mut found: Vec<String> = mistakes(text).lines().map(str::to_owned).collect();
    let mut wanted: Vec<String> = wanted.lines().map(str::to_owned).collect();
    // `elements` is named where its list begins.
    wanted[11] = wanted[11].replace("line 11", "line 4");
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn a_file_that_is_no_toml_or_no_template_is_told_so() {
    assert!(mistakes("elements = [").starts_with("line 1: "));
    assert!(mistakes("").contains("either elements (for paper) or steps (for a display)"));
    assert!(mistakes("steps = []").contains("line 1: steps: at least one is needed"));
    assert!(mistakes("steps = [{ lines = [] }]").contains("step 1: lines: 1 to 8 texts are needed, found 0"));
    assert!(mistakes("elements = [{feed = 1}]\nidle = {lines = [\"x\"]}").contains("only a display"));
    assert!(
        mistakes(&format!("elements = [{}]", "{feed = 1},".repeat(65)))
            .contains("at most 64 of them, found 65")
    );
    let placed = "elements = [\n{ text = 'a', x = 1, y = 1 },\n{ text = 'b' },\n]";
    assert_eq!(
        mistakes(placed),
        "line 3: element 2: x and y are missing: on a ticket every element has its place"
    );
    assert!(
        mistakes(&format!("elements = {}", "[".repeat(60_000))).starts_with("line 1: "),
        "no stack is lost"
    );
    assert!(mistakes(&"#".repeat(70_000)).contains("at most 65536 bytes"));
}

#[test]
fn what_has_no_value_is_left_out_named_or_replaced() {
    let elements = r#"{ text = "{a} {b|none} {c}" }, { text = "only with {d}", if = "d" }"#;
    assert_eq!(rendered(elements, &[("c", "3")], &wide()), "(a?) none 3\n");
    let template = Template::parse("test", &format!("elements = [{elements}]")).unwrap();
    assert_eq!(template.fields().into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(template.missing(&values(&[("c", "3")])).into_iter().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn large_text_becomes_smaller_on_narrow_paper_and_white_text_has_black_around_it() {
    let text = r#"{ text = "{t}", size = 8, invert = true }"#;
    assert_eq!(rendered(text, &[("t", "NO")], &narrow()), "[invert 3x3] NO \n");
}

#[test]
fn a_code_that_cannot_be_bars_is_text() {
    let code = r#"{ barcode = "{code}", kind = "ean13" }, { qr = "{qr}" }"#;
    let good = rendered(code, &[("code", "629104150021"), ("qr", "a\u{202e}b")], &wide());
    assert_eq!(good, "[Ean13 629104150021 80]\n[qr a\u{202e}b]\n", "a code is exact");
    let long = "x".repeat(1_001);
    assert_eq!(
        rendered(code, &[("code", "TKT-1"), ("qr", &long)], &wide()),
        "TKT-1\n(1001 bytes are no QR code)\n"
    );
}

#[test]
fn a_logo_is_printed_once_it_was_given() {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 1_000, 500);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![0; 500_000]).unwrap();
    let mut template =
        Template::parse("test", r#"elements = [{ logo = "l.png", percent = 50, align = "middle" }]"#)
            .unwrap();
    assert_eq!(template.logos().into_iter().collect::<Vec<_>>(), ["l.png"]);
    assert_eq!(dump(&template.render(&Values::new(), &wide())), "");
    assert!(template.set_logo("l.png", b"no picture".to_vec()).unwrap_err().starts_with("l.png: no PNG"));
    template.set_logo("l.png", png).unwrap();
    assert_eq!(dump(&template.render(&Values::new(), &wide())), "[picture 288x144]\n");
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "\\PC{0,400}", "[\\x00-\\x20{}\u{202a}-\u{202e}\u{300}\u{5d0}a]{0,400}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_value_and_no_device_breaks_a_document(
        given in prop::collection::vec(any_value(), 16), columns in 0..200_u16, small in 0..200_u16,
        dots in 0..1_500_u16, lines in any::<u8>(), places in any::<bool>(), dpi in 0..700_u16,
    ) {
        let device = Capabilities {
            columns, columns_small: small, dots, lines, places, dpi, cuts: places, ..Capabilities::default()
        };
        for (name, _) in BUILT_IN {
            let template = built_in(name).unwrap();
            let values: Values =
                template.fields().into_iter().map(str::to_owned).zip(given.iter().cloned()).collect();
            let mut documents: Vec<_> = template.steps(&values, &device).into_iter().map(|(ops, _)| ops).collect();
            documents.push(template.render(&values, &device));
            for ops in documents {
                prop_assert!(ops.len() <= DOCUMENT_OPS_MAX);
                for op in &ops {
                    if let Op::Text(text) | Op::Line { text, .. } | Op::Scroll { text, .. } = op {
                        let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
                        prop_assert!(!text.chars().any(steers));
                        prop_assert!(text.chars().count() <= VALUE_CHARS_MAX * 2 + 200);
                    }
                }
            }
        }
    }

    #[test]
    fn no_file_breaks_the_parser(text in prop_oneof![any::<String>(), "(elements|steps) = \\[(\\{ (text|qr|lines|rule|x|if|columns) = (1|\"[{}a|:]{0,5}\"|\\[\"a\"\\]|true) \\},?){0,3}\\]"]) {
        let _ = Template::parse("any", &text);
    }
}
