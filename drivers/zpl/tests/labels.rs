//! Labels as an independent renderer sees them: the driver runs as a plugin in a real host.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use device_emulators::judges::{read_codes, render_zpl};
use driver_frames::{Cut, Done, Fault, Op, Style, Way};
use driver_testkit::hosted::{self, Hosted};
use std::io::{Read, Write};
use std::net::TcpListener;

fn text(text: &str) -> Op<'static> {
    Op::Text(text.to_owned().into())
}

fn ticket(code: &str) -> Vec<Op<'static>> {
    vec![
        Op::Style(Style { bold: true, ..Style::default() }),
        text("Demo Match"),
        Op::Newline,
        Op::Style(Style::default()),
        text("זלדה ^XZ ~JA 東京"),
        Op::Newline,
        Op::Place { x: 560, y: 120 },
        Op::Qr { data: code.as_bytes().to_vec().into(), module: 0, correction: 1 },
        Op::Cut(Cut::Full),
    ]
}

/// What the driver writes for a document, without a printer that answers.
fn written(ops: Vec<Op<'static>>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("paper");
    let way = Way::File(paper.display().to_string());
    let mut host = Hosted::start("zpl", r#"{"status": false}"#, way);
    let report = host.run(ops, 5_000);
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{}", report.text);
    std::fs::read_to_string(&paper).unwrap()
}

#[test]
fn a_rendered_ticket_has_the_code_that_was_printed() {
    let zpl = written(ticket("DEMO-STD-000001"));
    assert_eq!(read_codes(&render_zpl(&zpl, 812, 406)), [b"DEMO-STD-000001"]);
}

#[test]
fn every_cut_is_a_label_and_no_text_is_a_command() {
    let mut ops = ticket("A");
    ops.extend(ticket("B"));
    let zpl = written(ops);
    assert_eq!(zpl.matches("^XA").count(), 2);
    assert_eq!(zpl.matches("^XZ").count(), 2);
    assert!(!zpl.contains('~'));
}

#[test]
fn what_does_not_go_onto_the_label_prints_nothing_and_says_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("paper");
    let mut host = Hosted::start("zpl", r#"{"status": false}"#, Way::File(paper.display().to_string()));
    let report = host.run(vec![Op::Place { x: 0, y: 390 }, text("too low")], 5_000);
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Invalid)));
    assert!(report.text.contains("piece 2"), "{}", report.text);
    assert_eq!(std::fs::read(&paper).unwrap(), b"");
}

/// A printer that answers `~HS` with these three strings, one after the other; gives what it was sent.
fn printer(answers: &'static [[&'static str; 3]]) -> (Way, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let work = std::thread::spawn(move || {
        let (mut wire, _) = listener.accept().unwrap();
        let (mut all, mut asked, mut bytes) = (Vec::new(), 0, [0; 4_096]);
        while let Ok(n @ 1..) = wire.read(&mut bytes) {
            all.extend_from_slice(&bytes[..n]);
            let questions = all.windows(3).filter(|window| window == b"~HS").count();
            while asked < questions {
                for string in answers[asked.min(answers.len() - 1)] {
                    wire.write_all(format!("\x02{string}\x03\r\n").as_bytes()).unwrap();
                }
                asked += 1;
            }
        }
        all
    });
    (way, work)
}

const READY: [&str; 3] = ["030,0,0,1245,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000", "1234,0"];
const NO_PAPER: [&str; 3] =
    ["030,1,0,1245,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000", "1234,0"];
const ONE_WAITS: [&str; 3] =
    ["030,0,0,1245,001,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000", "1234,0"];

#[test]
fn without_paper_nothing_is_sent_and_it_may_be_tried_again() {
    let (way, printer) = printer(&[NO_PAPER]);
    let mut host = Hosted::start("zpl", "{}", way);
    let report = host.run(ticket("A"), 5_000);
    assert_eq!((report.done, report.fault, report.bytes_sent), (Done::None, Some(Fault::PaperOut), 0));
    drop(host);
    assert_eq!(printer.join().unwrap(), b"~HS");
}

#[test]
fn a_label_is_sent_once_the_printer_has_none_left() {
    let (way, printer) = printer(&[READY, ONE_WAITS, READY]);
    let mut host = Hosted::start("zpl", "{}", way);
    let report = host.run(ticket("A"), 5_000);
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{}", report.text);
    drop(host);
    let bytes = String::from_utf8(printer.join().unwrap()).unwrap();
    assert_eq!(bytes.matches("~HS").count(), 3);
    assert_eq!(bytes.matches("^XA").count(), 1);
}

#[test]
fn paper_that_ends_while_printing_asks_a_person() {
    let (way, printer) = printer(&[READY, ONE_WAITS, NO_PAPER]);
    let mut host = Hosted::start("zpl", "{}", way);
    let report = host.run(ticket("A"), 5_000);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::PaperOut)));
    assert!(report.text.contains("look"), "{}", report.text);
    drop(host);
    printer.join().unwrap();
}

#[test]
fn wrong_settings_are_refused_with_what_is_meant() {
    for (config, words) in [(r#"{"wide": 3}"#, "unknown field"), (r#"{"scale": 9}"#, "scale 1 to 4")] {
        let way = Way::File("/dev/null".to_owned());
        let (_, refused) = Hosted::try_start(hosted::start("zpl", config, way)).err().unwrap();
        assert!(refused.contains(words), "{refused}");
    }
}
