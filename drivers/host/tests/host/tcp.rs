//! Port 9100 as printers and the networks in front of them behave.

use crate::harness::{Host, LINE_BYTES, odd, start};
use driver_frames::{Done, Fault, FromHost, Status, ToHost, Way};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A test that waits longer for bytes has found that they do not come.
const WAIT_MAX: Duration = Duration::from_secs(20);

fn printer() -> (TcpListener, Way) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    (listener, way)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream
}

fn reading(way: Way) -> Host {
    let mut host = Host::with(start(&odd("READS"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    host
}

#[test]
fn nobody_listens() {
    let (listener, way) = printer();
    drop(listener);
    let report = Host::example(way.clone()).print("x");
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Gone)));
    assert_eq!(report.text, format!("{way}: Connection refused (os error 111)"));
}

#[test]
fn one_connection_for_each_document_and_none_between_them() {
    let (listener, way) = printer();
    let mut host = Host::example(way);
    for text in ["first", "second"] {
        let id = host.ask(text, 10_000);
        let mut device = accept(&listener);
        let report = host.ran(id).0;
        assert_eq!((report.done, report.bytes_sent), (Done::Sent, text.len() as u64 + 1));
        let mut came = Vec::new();
        device.read_to_end(&mut came).unwrap();
        assert_eq!(came, format!("\x1b@{text}\n").as_bytes());
    }
}

#[test]
fn a_name_is_found() {
    let (listener, way) = printer();
    let port = listener.local_addr().unwrap().port();
    drop(way);
    assert_eq!(Host::example(Way::Tcp(format!("localhost:{port}"))).print("x").done, Done::Sent);
}

#[test]
fn a_printer_that_closes_at_once_has_not_taken_the_document() {
    let (listener, way) = printer();
    let mut host = Host::example(way);
    let id = host.ask_lines(200, 10_000);
    drop(accept(&listener));
    let report = host.ran(id).0;
    assert_eq!(report.fault, Some(Fault::Gone), "{report:?}");
    assert_eq!(report.done, if report.bytes_sent == 0 { Done::None } else { Done::Unknown });
}

/// A printer with so small a window that its kernel confirms next to nothing of what it does not read; ours takes it
/// all, and the driver says "sent".
fn narrow_printer() -> (TcpListener, Way) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1_024).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(1).unwrap();
    let listener = TcpListener::from(socket);
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    (listener, way)
}

#[test]
fn a_printer_that_never_reads_has_not_taken_the_document() {
    let (listener, way) = narrow_printer();
    let mut host = Host::example(way);
    let id = host.ask_lines(40, 500);
    let _device = accept(&listener);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    assert_eq!(report.bytes_sent, 40 * LINE_BYTES as u64);
    assert_eq!(report.text, "not everything has left this machine: the device did not answer in time");
}

#[test]
fn a_status_that_nobody_reads_does_not_cost_the_end_of_the_document() {
    let (listener, way) = narrow_printer();
    let mut host = Host::example(way);
    let id = host.ask_lines(100, 60_000);
    let mut device = accept(&listener);
    // It is there before the document is out, for that takes our reading. Closing a socket with unread bytes resets it.
    device.write_all(&[0x14; 4]).unwrap();
    let mut came = Vec::new();
    device.read_to_end(&mut came).unwrap();
    assert_eq!(came.len(), 2 + 100 * LINE_BYTES);
    assert_eq!(host.ran(id).0.done, Done::Sent);
}

#[test]
fn the_rest_of_a_cancelled_document_does_not_follow() {
    let (listener, way) = narrow_printer();
    let mut host = Host::example(way);
    let id = host.ask_lines(1_000, 600_000);
    let mut device = accept(&listener);
    device.read_exact(&mut [0; 100]).unwrap();
    host.tell(&ToHost::Cancel);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Cancelled)));
    let next = host.ask("next", 10_000);
    // The connection was reset, and what waited in our system's buffer is gone.
    let mut rest = Vec::new();
    assert_eq!(device.read_to_end(&mut rest).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!((rest.len() as u64) < report.bytes_sent);
    let mut device = accept(&listener);
    assert_eq!(host.ran(next).0.done, Done::Sent);
    let mut came = Vec::new();
    device.read_to_end(&mut came).unwrap();
    assert_eq!(came, b"\x1b@next\n");
}

#[test]
fn a_device_that_answers_is_asked() {
    let (listener, way) = printer();
    let mut host = reading(way);
    let device = std::thread::spawn(move || {
        let mut device = accept(&listener);
        let mut question = [0; 3];
        device.read_exact(&mut question).unwrap();
        device.write_all(&[0x02]).unwrap();
        question
    });
    assert_eq!(host.status(), Ok(Status::PAPER_LOW));
    assert_eq!(device.join().unwrap(), [0x10, 0x04, 0x01]);
}

#[test]
fn half_a_connection_is_none() {
    let (listener, way) = printer();
    let mut host = reading(way);
    let device = std::thread::spawn(move || {
        let device = accept(&listener);
        // It still reads, and says that it will never answer.
        device.shutdown(Shutdown::Write).unwrap();
        (device, listener)
    });
    assert_eq!(host.status(), Err(Fault::Gone));
    drop(device.join().unwrap());
}
