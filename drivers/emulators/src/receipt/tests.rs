//! Byte sequences from the manuals, and what a printer makes of them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;
use crate::Machine;

fn printer() -> ReceiptPrinter {
    ReceiptPrinter::new(Model::default())
}

/// What is on the paper after these bytes, which have to be understood whole.
fn check(bytes: &[u8], text: &str) {
    let mut printer = printer();
    assert!(printer.feed(bytes).is_empty());
    assert_eq!(printer.errors(), &[] as &[String], "{bytes:02x?}");
    assert_eq!(printer.paper().text(), text, "{bytes:02x?}");
}

/// Why these bytes are not well.
fn complaint(bytes: &[u8]) -> String {
    let mut printer = printer();
    printer.feed(bytes);
    assert_eq!(printer.errors().len(), 1, "{bytes:02x?}: {:?}", printer.errors());
    printer.errors()[0].clone()
}

fn answered(printer: &mut ReceiptPrinter, bytes: &[u8]) -> Vec<u8> {
    printer.feed(bytes);
    printer.answers()
}

/// A QR code as python-escpos 3.1 writes it.
const QR: &[u8] = b"\x1b@\x1d(k\x04\x00\x31\x41\x32\x00\x1d(k\x03\x00\x31\x43\x06\x1d(k\x03\x00\x31\x45\x31\
    \x1d(k\x15\x00\x31\x50\x30TICKET-0001-ABCDEF\x1d(k\x03\x00\x31\x51\x30";

#[test]
fn text_is_printed_where_a_line_ends() {
    check(b"Gate 7\nRow 3", "Gate 7\n");
    check(b"\x1ba\x01Gate 7\n", &format!("{}Gate 7\n", " ".repeat(21)));
    check(b"Adult\t2\n", "Adult   2\n");
    check(b"A\x1b$\x78\x00B\n", "A         B\n");
    check(b"\x1bd\x02", "\n\n");
    // 48 columns, and half of them in double width.
    check(&[b"x".repeat(50), b"\n".to_vec()].concat(), &format!("{}\nxx\n", "x".repeat(48)));
    check(
        &[b"\x1d!\x10".to_vec(), b"x".repeat(25), b"\n".to_vec()].concat(),
        &format!("{}\nx\n", "x".repeat(24)),
    );
}

#[test]
fn text_is_read_in_its_code_page() {
    check(b"Z\x81rich\n", "Zürich\n");
    check(b"\x1bt\x135 \xd5\n", "5 €\n");
    check(b"\x1bt\x10\x80\n", "€\n");
    check(b"\x1bt\x11\x84\xa0\n", "Да\n");
    check(b"\x1bt\x12\xa5\n", "ą\n");
}

#[test]
fn styles_are_seen() {
    let mut printer = printer();
    printer
        .feed(b"\x1bE\x01a\x1bE\x00\x1b-\x01b\x1b-\x00\x1dB\x01c\x1dB\x00\x1d!\x21d\x1b!\x00e\x1bM\x01f\n");
    let Mark::Line(spans) = &printer.paper().current().printed[0].mark else { panic!("no line") };
    let styles: Vec<Style> = spans.iter().map(|span| span.style).collect();
    let plain = Style::default();
    assert_eq!(
        styles,
        [
            Style { bold: true, ..plain },
            Style { underline: true, ..plain },
            Style { invert: true, ..plain },
            Style { width: 3, height: 2, ..plain },
            plain,
            Style { font: 1, ..plain },
        ]
    );
}

#[test]
fn a_qr_code_is_read_as_another_encoder_writes_it() {
    let mut printer = printer();
    printer.feed(QR);
    printer.feed(b"\x1dV\x42\x00");
    assert_eq!(printer.errors(), &[] as &[String]);
    let piece = &printer.paper().pieces()[0];
    assert_eq!(piece.qr_payloads(), [b"TICKET-0001-ABCDEF"]);
    // 18 characters of the alphanumeric set at M are version 1: 21 modules of 6 dots.
    assert_eq!(piece.printed[0].height_dots, 21 * 6);
    assert_eq!(piece.cut, Some(Cut::Partial));
}

#[test]
fn a_qr_code_with_a_short_length_spills_into_text() {
    // As a well-known mistake has it: 300 bytes, and the high byte of the length is 0.
    let mut printer = printer();
    printer.feed(b"\x1d(k\x2f\x00\x31\x50\x30");
    printer.feed(&b"T".repeat(300));
    printer.feed(b"\n");
    assert!(printer.paper().text().contains("TTTTTTTT"));
}

#[test]
fn a_qr_code_wider_than_the_paper_is_not_printed() {
    let data = b"x".repeat(400);
    let mut bytes = b"\x1d(k\x03\x00\x31\x43\x10\x1d(k\x93\x01\x31\x50\x30".to_vec();
    bytes.extend(&data);
    bytes.extend(b"\x1d(k\x03\x00\x31\x51\x30");
    assert!(complaint(&bytes).contains("wider than the line of 576: nothing printed"));
}

#[test]
fn barcodes_are_judged() {
    check(b"\x1dk\x43\x0d4006381333931", "[EAN13 4006381333931]\n");
    check(b"\x1dk\x024006381333931\x00", "[EAN13 4006381333931]\n");
    check(b"\x1dk\x49\x09{BGATE{{7", "[CODE128 GATE{7]\n");
    check(b"\x1dk\x49\x04{C\x0c\x22", "[CODE128 1234]\n");
    check(b"\x1dk\x04AB-12\x00", "[CODE39 AB-12]\n");
    assert!(complaint(b"\x1dk\x43\x0d4006381333930").contains("wrong check digit"));
    assert!(complaint(b"\x1dk\x49\x04GATE").contains("begins with {A, {B or {C"));
    assert!(complaint(b"\x1dk\x46\x03123").contains("cannot be in a ITF"));
    assert!(complaint(b"\x1dk\x49\x1e{B0123456789012345678901234567").contains("wider than the line"));
}

#[test]
fn pictures_come_out_dot_by_dot() {
    let mut printer = printer();
    printer.feed(b"\x1dv0\x00\x02\x00\x02\x00\x80\x01\x40\x02");
    // ESC *, 24 dots: one column, its top and its bottom dot.
    printer.feed(b"\x1b3\x18\x1b*\x21\x01\x00\x80\x00\x01\n");
    assert_eq!(printer.errors(), &[] as &[String]);
    let grey = printer.paper().grey(printer.paper().current());
    let black: Vec<(usize, usize)> = (0..grey.pixels.len())
        .filter(|at| grey.pixels[*at] == 0)
        .map(|at| (at % grey.width, at / grey.width))
        .collect();
    assert_eq!(black, [(0, 0), (15, 0), (1, 1), (14, 1), (0, 2), (0, 25)]);
    assert_eq!(&printer.paper().png(printer.paper().current()).unwrap()[1..4], b"PNG");
}

#[test]
fn what_it_does_not_know_is_told() {
    assert!(complaint(b"\x1b\x01").contains("no ESC command"));
    assert!(complaint(b"\x1dZ").contains("no GS command"));
    assert!(complaint(b"\x07").contains("no command"));
    assert!(complaint(b"\x1bt\x63").contains("no code page 99"));
    assert!(complaint(b"ab\x1ba\x01\n").contains("in the middle of a line"));
    assert!(complaint(b"\x1d(L\x02\x00\x30\x32").contains("not emulated"));
    // Cut at the head: the last lines are still below the cutter.
    assert!(complaint(b"Gate 7\n\x1dV\x00").contains("100 dots before the end"));
    check(b"Gate 7\n\x1bd\x04\x1dV\x00", "Gate 7\n\n\n\n\n---8<--- Full\n");
    check(b"Gate 7\n\x1dVA\x10", "Gate 7\n\n---8<--- Full\n");
}

#[test]
fn status_is_answered_with_its_fixed_bits() {
    let mut printer = printer();
    assert_eq!(answered(&mut printer, b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04"), [0x12; 4]);
    assert_eq!(answered(&mut printer, b"\x1da\x0f"), [0x10, 0, 0, 0]);
    printer.set_cover(true);
    assert_eq!(printer.answers(), [0x38, 0, 0, 0]);
    assert_eq!(answered(&mut printer, b"\x10\x04\x01\x10\x04\x02"), [0x1a, 0x16]);
    printer.set_cover(false);
    assert_eq!(printer.answers(), [0x10, 0, 0, 0]);
    printer.set_drawer(true);
    assert_eq!(printer.answers(), [0x14, 0, 0, 0]);
    assert_eq!(answered(&mut printer, b"\x1dr\x01\x1dr\x02"), [0x00, 0x01]);
    assert_eq!(answered(&mut printer, b"\x1dI\x43"), b"_RECEIPT-80\0");
}

#[test]
fn the_end_of_the_paper_stops_everything_but_real_time() {
    let mut printer = printer();
    assert_eq!(answered(&mut printer, b"\x1da\x0a"), [0x10, 0, 0, 0]);
    printer.paper_out();
    assert_eq!(printer.answers(), [0x18, 0, 0x0f, 0]);
    // GS r and GS ( H wait behind the line that is not printed.
    assert_eq!(answered(&mut printer, b"Gate 7\n\x1dr\x01\x1d(H\x06\x00\x30\x30AB12"), []);
    assert_eq!(answered(&mut printer, b"\x10\x04\x04\x10\x04\x02"), [0x7e, 0x32]);
    assert_eq!(printer.paper().text(), "");
    printer.refill();
    printer.work();
    assert_eq!(printer.answers(), b"\x10\x00\x00\x00\x00\x37\x22AB12\x00");
    assert_eq!(printer.paper().text(), "[end of roll]\nGate 7\n");
}

#[test]
fn a_full_buffer_takes_nothing_but_real_time() {
    let mut printer = ReceiptPrinter::new(Model { buffer_bytes: 16, xon_xoff: true, ..Model::default() });
    printer.set_cover(true);
    let text = b"0123456789abcdefGHIJ\n";
    assert_eq!(printer.feed(text), b"GHIJ\n");
    assert_eq!(printer.answers(), [0x13]);
    assert!(printer.feed(b"\x10\x04\x02").is_empty());
    assert_eq!(printer.answers(), [0x16]);
    assert_eq!(printer.feed(b"GHIJ\n"), b"GHIJ\n");
    printer.set_cover(false);
    printer.work();
    assert_eq!(printer.answers(), [0x11]);
    assert!(printer.feed(b"GHIJ\n").is_empty());
    assert_eq!(printer.paper().text(), "0123456789abcdefGHIJ\n");
    assert_eq!(printer.errors(), &[] as &[String]);
}

#[test]
fn a_picture_goes_on_where_the_roll_ended() {
    let mut printer =
        ReceiptPrinter::new(Model { roll_dots: Some(10), near_end_dots: 4, ..Model::default() });
    printer.feed(b"\x1dv0\x00\x01\x00\x0f\x00");
    let rows: Vec<u8> = (1..=15).collect();
    printer.feed(&rows);
    assert_eq!(answered(&mut printer, b"\x10\x04\x04"), [0x7e]);
    printer.refill();
    printer.work();
    let pictures: Vec<&[u8]> = printer
        .paper()
        .current()
        .printed
        .iter()
        .filter_map(|printed| match &printed.mark {
            Mark::Picture(picture) => Some(picture.dots.as_slice()),
            _ => None,
        })
        .collect();
    assert_eq!(pictures.concat(), rows);
    assert_eq!(pictures.len(), 2);
}

#[test]
fn proof_waits_for_the_line_it_is_about() {
    let mut printer = printer();
    assert_eq!(answered(&mut printer, b"Gate 7\x1d(H\x06\x00\x30\x30AB12"), []);
    assert_eq!(answered(&mut printer, b"\n"), b"\x37\x22AB12\x00");
    let mut old = ReceiptPrinter::new(Model { process_ids: false, ..Model::default() });
    assert_eq!(answered(&mut old, b"Gate 7\n\x1d(H\x06\x00\x30\x30AB12"), []);
    assert_eq!(old.errors().len(), 1);
}

#[test]
fn a_stuck_cutter_stops_it_until_it_is_told_to_go_on() {
    let mut printer = printer();
    printer.block_cutter();
    answered(&mut printer, b"\x1da\x06Gate 7\n\x1dVA\x00Gate 8\n");
    assert_eq!(answered(&mut printer, b"\x10\x04\x03\x10\x04\x02"), [0x1a, 0x52]);
    assert_eq!(printer.paper().text(), "Gate 7\n\n");
    // Not while it is still stuck.
    printer.feed(b"\x10\x05\x01");
    assert_eq!(printer.paper().text(), "Gate 7\n\n");
    printer.free_cutter();
    printer.feed(b"\x10\x05\x01");
    assert_eq!(printer.paper().text(), "Gate 7\n\n---8<--- Full\nGate 8\n");
}

#[test]
fn the_drawer_opens_in_turn_and_in_real_time() {
    let mut printer = printer();
    printer.paper_out();
    printer.feed(b"\x1bp\x00\x32\xfa");
    assert_eq!(printer.kicks(), []);
    printer.feed(b"\x10\x14\x01\x01\x02");
    assert_eq!(printer.kicks(), [Kick { pin: 1, on_ms: 200 }]);
    printer.refill();
    printer.work();
    assert_eq!(printer.kicks()[1], Kick { pin: 0, on_ms: 100 });
}

#[test]
fn half_a_picture_swallows_what_comes_on_the_next_line_unless_it_is_forgotten() {
    for (forgets_command, text) in [(false, ""), (true, "Gate 8\n")] {
        let mut printer = ReceiptPrinter::new(Model { forgets_command, ..Model::default() });
        printer.feed(b"\x1dv0\x00\x48\x00\xff\x00\xff\xff");
        printer.line_lost();
        printer.feed(b"\x1b@Gate 8\n");
        assert_eq!(printer.paper().text(), text);
        // The same while all of it is still in the buffer.
        let mut printer = ReceiptPrinter::new(Model { forgets_command, ..Model::default() });
        printer.take(b"\x1dv0\x00\x48\x00\xff\x00\xff\xff");
        printer.line_lost();
        printer.feed(b"\x1b@Gate 8\n");
        assert_eq!(printer.paper().text(), text);
    }
}

/// A receipt as python-escpos 3.1 writes it: `Dummy(profile="TM-T88III")`, text in four code pages, a QR code, two
/// barcodes, a diagonal as a raster and as columns, the drawer, a cut.
#[test]
fn a_receipt_of_another_encoder_is_read_whole() {
    let mut printer = printer();
    printer.feed(include_bytes!("../../tests/data/python-escpos-3.1-receipt.bin"));
    assert_eq!(printer.errors(), &[] as &[String]);
    let text = printer.paper().text();
    let expected = "                  Gate 7
Zürich 5 € ?sz Да
[QR TICKET-0001-ABCDEF]
[EAN13 4006381333931]
[CODE128 GATE7]
[picture 64 x 40]
[picture 64 x 24]
[picture 64 x 24]








---8<--- Full
";
    assert_eq!(text, expected);
    let piece = &printer.paper().pieces()[0];
    let grey = printer.paper().grey(piece);
    let black =
        |left: usize, top: usize| (0..40).all(|at| grey.pixels[(top + at) * grey.width + left + at] == 0);
    // What is not text begins in the middle: the raster below the codes, the columns below the raster.
    let top = |marks: usize| -> usize {
        piece.printed[..marks].iter().map(|printed| printed.height_dots as usize).sum()
    };
    assert!(black((576 - 64) / 2, top(5)));
    assert!(black((576 - 64) / 2, top(6)));
    assert_eq!(printer.kicks(), [Kick { pin: 0, on_ms: 100 }]);
}

#[test]
fn a_question_in_turn_shows_whether_it_is_in_the_middle_of_a_picture_and_blanks_lead_out_of_it() {
    let mut printer = printer();
    printer.feed(b"\x1dv0\x00\x02\x00\x08\x00\xff\xff");
    printer.line_lost();
    // In real time it answers as if nothing were wrong; in turn it does not: the question became dots.
    assert_eq!(answered(&mut printer, b"\x10\x04\x01\x1dr\x01"), [0x12]);
    printer.feed(&[0; 16]);
    assert_eq!(answered(&mut printer, b"\x1dr\x01"), [0x00]);
}
