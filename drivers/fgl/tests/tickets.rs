//! Tickets as a printer that knows FGL puts them on paper: the driver runs as a plugin in a real host.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use device_emulators::judges::read_codes;
use driver_frames::{Cut, Done, Fault, Op, Way};
use driver_testkit::hosted::Hosted;
use std::io::{Read, Write};
use std::net::TcpListener;

const WIDTH: usize = 1_050;
const HEIGHT: usize = 384;

fn ticket(code: &str) -> Vec<Op<'static>> {
    vec![
        Op::Text("Anna <p> مرحبا".into()),
        Op::Newline,
        Op::Place { x: 700, y: 40 },
        Op::Qr { data: code.as_bytes().to_vec().into(), module: 0, correction: 1 },
        Op::Cut(Cut::Full),
    ]
}

/// Reads FGL as far as it is used here, by Boca's programming guide; panics on anything else.
fn read_fgl(mut bytes: &[u8]) -> Vec<Vec<bool>> {
    let (mut tickets, mut dots, mut place) = (Vec::new(), vec![false; WIDTH * HEIGHT], (0, 0));
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'>').unwrap();
        let command = std::str::from_utf8(&bytes[..end]).unwrap().strip_prefix('<').unwrap();
        bytes = &bytes[end + 1..];
        if let Some(numbers) = command.strip_prefix("RC") {
            let (row, column) = numbers.split_once(',').unwrap();
            place = (row.parse::<usize>().unwrap(), column.parse::<usize>().unwrap());
        } else if let Some(count) = command.strip_prefix('G') {
            let (columns, rest) = bytes.split_at(count.parse().unwrap());
            for (x, byte) in columns.iter().enumerate() {
                for y in (0..8).filter(|y| byte & (0x80 >> y) != 0) {
                    dots[(place.0 + y) * WIDTH + place.1 + x] = true;
                }
            }
            bytes = rest;
        } else if command == "p" || command == "q" {
            tickets.push(std::mem::replace(&mut dots, vec![false; WIDTH * HEIGHT]));
        } else {
            assert_eq!(command, "CB");
            dots.fill(false);
        }
    }
    tickets
}

fn png(dots: &[bool]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let grey: Vec<u8> = dots.iter().map(|black| if *black { 0 } else { 255 }).collect();
    encoder.write_header().unwrap().write_image_data(&grey).unwrap();
    out
}

/// A printer that says these bytes after each ticket, one set after the other; gives what it was sent.
fn printer(answers: &'static [&'static [u8]]) -> (Way, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let work = std::thread::spawn(move || {
        let (mut wire, _) = listener.accept().unwrap();
        let (mut all, mut told, mut bytes) = (Vec::new(), 0, [0; 4_096]);
        while let Ok(n @ 1..) = wire.read(&mut bytes) {
            all.extend_from_slice(&bytes[..n]);
            let tickets = all.windows(3).filter(|window| window == b"<p>").count();
            while told < tickets {
                wire.write_all(answers[told]).unwrap();
                told += 1;
            }
        }
        all
    });
    (way, work)
}

#[test]
fn an_acknowledged_ticket_is_confirmed_and_its_code_can_be_read() {
    let (way, printer) = printer(&[&[17, 6], &[6]]);
    let mut host = Hosted::start("fgl", "{}", way);
    let mut ops = ticket("DEMO-VIP-0001");
    ops.extend(ticket("DEMO-VIP-0002"));
    let report = host.run(ops, 5_000);
    assert_eq!((report.done, report.fault), (Done::Confirmed, None), "{}", report.text);
    drop(host);
    let tickets = read_fgl(&printer.join().unwrap());
    let codes: Vec<_> = tickets.iter().map(|dots| read_codes(&png(dots))).collect();
    assert_eq!(codes, [[b"DEMO-VIP-0001"], [b"DEMO-VIP-0002"]]);
}

#[test]
fn a_jam_asks_a_person_and_says_so() {
    let (way, printer) = printer(&[&[24]]);
    let mut host = Hosted::start("fgl", "{}", way);
    let report = host.run(ticket("A"), 5_000);
    assert_eq!((report.done, report.fault, report.native_code), (Done::Unknown, Some(Fault::Jam), 24));
    assert!(report.text.contains("look whether"), "{}", report.text);
    drop(host);
    printer.join().unwrap();
}

#[test]
fn the_second_of_two_tickets_without_paper_tells_that_one_is_out() {
    let (way, printer) = printer(&[&[6], &[16]]);
    let mut host = Hosted::start("fgl", "{}", way);
    let mut ops = ticket("A");
    ops.extend(ticket("B"));
    let report = host.run(ops, 5_000);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::PaperOut)));
    assert!(report.text.starts_with("1 of 2 tickets"), "{}", report.text);
    drop(host);
    printer.join().unwrap();
}

#[test]
fn a_printer_that_says_nothing_is_not_believed_to_have_printed() {
    let (way, printer) = printer(&[&[]]);
    let mut host = Hosted::start("fgl", "{}", way);
    let report = host.run(ticket("A"), 300);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    drop(host);
    printer.join().unwrap();
}

#[test]
fn a_printer_that_is_set_to_say_nothing_is_sent_to() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("paper");
    let way = Way::File(paper.display().to_string());
    let mut host = Hosted::start("fgl", r#"{"acknowledges": false}"#, way);
    let report = host.run(ticket("A"), 5_000);
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{}", report.text);
    assert_eq!(read_fgl(&std::fs::read(&paper).unwrap()).len(), 1);
}
