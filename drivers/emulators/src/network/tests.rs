//! A printer behind a real socket, one planned fault at a time.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;
use crate::fgl::{FglPrinter, says};
use crate::receipt::{Model, ReceiptPrinter};
use crate::zpl::ZplPrinter;

fn printer(plan: Plan) -> NetworkPrinter<ReceiptPrinter> {
    NetworkPrinter::start(ReceiptPrinter::new(Model::default()), plan).unwrap()
}

fn with(end: End, answers: Answers) -> Plan {
    Plan { connections: vec![Behaviour { end, answers, ..Behaviour::WELL }], holds_ms: 20, ..Plan::default() }
}

fn connect(printer: &NetworkPrinter<ReceiptPrinter>) -> TcpStream {
    let stream = TcpStream::connect(printer.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

#[test]
fn what_is_sent_is_printed_and_answered() {
    let printer = printer(Plan::default());
    let mut host = connect(&printer);
    host.write_all(b"Gate 7\n\x1d(H\x06\x00\x30\x30AB12").unwrap();
    let mut proof = [0; 7];
    host.read_exact(&mut proof).unwrap();
    assert_eq!(&proof, b"\x37\x22AB12\x00");
    drop(host);
    let (printer, connections) = printer.finish();
    assert_eq!(printer.paper().text(), "Gate 7\n");
    assert_eq!(connections, [Connection { bytes_read: 18, over: Some(Over::ByHost) }]);
}

#[test]
fn a_connection_that_is_closed_half_way_prints_what_was_read() {
    let printer = printer(with(End::ClosesAfter(9), Answers::All));
    let mut host = connect(&printer);
    host.write_all(b"Row 1\nRow 2\nRow 3\n").unwrap();
    // Closed with unread bytes: the host sees an end or a reset, as on a real network.
    let _ = host.read(&mut [0]);
    let mut second = connect(&printer);
    second.write_all(b"!\n").unwrap();
    drop(second);
    let (printer, connections) = printer.finish();
    assert_eq!(printer.paper().text(), "Row 1\nRow!\n");
    assert_eq!(connections[0], Connection { bytes_read: 9, over: Some(Over::Closed) });
    assert_eq!(connections[1].over, Some(Over::ByHost));
}

#[test]
fn a_connection_that_is_never_read_takes_everything_and_prints_nothing() {
    let printer = printer(with(End::FreezesAfter(0), Answers::All));
    let mut host = connect(&printer);
    host.write_all(b"Gate 7\n").unwrap();
    drop(host);
    assert_eq!(printer.connected(), 1);
    let (printer, connections) = printer.finish();
    assert_eq!(printer.paper().text(), "");
    assert_eq!(connections, [Connection { bytes_read: 0, over: Some(Over::Frozen) }]);
}

#[test]
fn a_silent_connection_prints_and_proves_nothing() {
    let printer = printer(with(End::ByHost, Answers::SilentAfter(3)));
    let mut host = connect(&printer);
    host.write_all(b"Gate 7\n\x1d(H\x06\x00\x30\x30AB12").unwrap();
    host.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    host.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\x37\x22A");
    assert_eq!(printer.finish().0.paper().text(), "Gate 7\n");
}

#[test]
fn a_second_connection_is_refused_while_there_is_one() {
    let printer = printer(Plan { one_at_a_time: true, ..Plan::default() });
    let first = connect(&printer);
    let mut second = connect(&printer);
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
    drop(first);
    let (_, connections) = printer.finish();
    assert_eq!(connections[1].over, Some(Over::Refused));
}

#[test]
fn nobody_is_let_in_before_it_is_ready() {
    let printer = printer(Plan { refuses_ms: 3_600_000, ..Plan::default() });
    let error = TcpStream::connect(printer.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(printer.finish().1, []);
}

#[test]
fn paper_ends_at_its_byte_and_printing_goes_on_with_new_paper() {
    let plan = Plan { paper_out_at: Some(6), refill_after_ms: 3_600_000, ..Plan::default() };
    let printer = printer(plan);
    let mut host = connect(&printer);
    host.write_all(b"\x1da\x08Row\nRow 2\n").unwrap();
    let mut asb = [0; 8];
    host.read_exact(&mut asb).unwrap();
    assert_eq!(asb, [0x10, 0, 0, 0, 0x18, 0, 0x0f, 0]);
    assert_eq!(printer.look(|printer| printer.paper().text()), "");
    drop(host);
    assert_eq!(printer.finish().0.paper().text(), "[end of roll]\nRow\nRow 2\n");
}

#[test]
fn garbage_comes_between_answers_and_leaves_them_whole() {
    let printer = printer(with(End::ByHost, Answers::Garbage(5)));
    let mut host = connect(&printer);
    host.write_all(b"\x1d(H\x06\x00\x30\x30AB12").unwrap();
    host.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    host.read_to_end(&mut heard).unwrap();
    assert!(heard.windows(7).any(|bytes| bytes == b"\x37\x22AB12\x00"), "{heard:02x?}");
}

#[test]
fn a_roll_that_ends_by_its_length_is_changed_too() {
    let model = Model { roll_dots: Some(70), near_end_dots: 10, ..Model::default() };
    let printer = NetworkPrinter::start(ReceiptPrinter::new(model), Plan::default()).unwrap();
    let mut host = connect(&printer);
    host.write_all(b"Row 1\nRow 2\nRow 3\nRow 4\nRow 5\n\x1d(H\x06\x00\x30\x30AB12").unwrap();
    let mut proof = [0; 7];
    host.read_exact(&mut proof).unwrap();
    drop(host);
    let text = printer.finish().0.paper().text();
    assert_eq!(text, "Row 1\nRow 2\n[end of roll]\nRow 3\nRow 4\n[end of roll]\nRow 5\n");
}

#[test]
fn ticket_and_label_printers_stand_behind_a_port_as_well() {
    let tickets = NetworkPrinter::start(FglPrinter::new(), Plan::default()).unwrap();
    let mut host = TcpStream::connect(tickets.address()).unwrap();
    host.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    host.write_all(b"<RC1,1>Row 3<p>").unwrap();
    let mut status = [0];
    host.read_exact(&mut status).unwrap();
    assert_eq!(status, [says::TICKET]);
    drop(host);
    assert_eq!(tickets.finish().0.tickets().len(), 1);

    let labels = NetworkPrinter::start(ZplPrinter::new(), Plan::default()).unwrap();
    let mut host = TcpStream::connect(labels.address()).unwrap();
    host.write_all(b"^XA^FO1,1^FDRow 3^FS^XZ").unwrap();
    drop(host);
    assert_eq!(labels.finish().0.labels().len(), 1);
}
