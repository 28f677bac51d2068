//! A real host process with the real ESC/POS plugin, and a printer at the other end of a TCP connection.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_frames::{Done, Fault, Op, Refusal, Status, ToHost, Way};
use driver_testkit::hosted::{self, Hosted};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// A printer: reads its line byte by byte, answers questions, keeps the rest.
struct Printer {
    real_time: [u8; 4],
    /// It closes the connection after so many bytes.
    closes_at: usize,
}

impl Printer {
    /// Serves so many connections; its own address and everything it was sent.
    fn serve(self, connections: usize) -> (Way, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Way::Tcp(listener.local_addr().unwrap().to_string());
        let thread = std::thread::spawn(move || {
            (0..connections).flat_map(|_| self.connection(listener.accept().unwrap().0)).collect()
        });
        (way, thread)
    }

    fn connection(&self, mut stream: TcpStream) -> Vec<u8> {
        let mut got = Vec::new();
        let mut byte = [0];
        while got.len() < self.closes_at && stream.read(&mut byte).is_ok_and(|n| n == 1) {
            got.push(byte[0]);
            let answer = match got[..] {
                [.., 0x10, 0x04, n @ 1..=4] => vec![self.real_time[usize::from(n) - 1]],
                [.., 0x1d, b'(', b'H', 6, 0, b'0', b'0', a, b, c, d] => vec![0x37, 0x22, a, b, c, d, 0],
                // It tells how it is as soon as it may.
                [.., 0x1d, b'a', n] if n > 0 => vec![0x10, 0, 0, n],
                _ => continue,
            };
            // A connection that is closed meanwhile is the test's.
            let _ = stream.write_all(&answer);
        }
        got
    }
}

fn receipt() -> Vec<Op<'static>> {
    vec![Op::Text("Gate 7 · 山田".into()), Op::Newline, Op::Cut(driver_abi::Cut::Partial)]
}

const PROFILE: &str = r#"{"profile":"tm-t20"}"#;
const PRINT_MS: u32 = 20_000;

#[test]
fn a_receipt_is_printed_and_confirmed() {
    let (way, printer) = Printer { real_time: [0x12; 4], closes_at: usize::MAX }.serve(2);
    let mut host = Hosted::start("escpos", PROFILE, way);
    assert_eq!((host.capabilities.columns, host.capabilities.profile.as_str()), (48, "tm-t20"));
    let report = host.run(receipt(), PRINT_MS);
    assert_eq!((report.done, report.fault, report.ops_done), (Done::Confirmed, None, 3), "{}", report.text);
    assert!(report.status.has(Status::ONLINE));
    assert_eq!(host.status(5_000), Ok(Status::ONLINE));
    host.tell(&ToHost::Stop);
    assert!(host.child().wait().unwrap().success());
    let got = printer.join().unwrap();
    let cut = got.windows(4).position(|bytes| bytes == b"\x1dVB\x03").unwrap();
    let picture = got.windows(4).position(|bytes| bytes == b"\x1dv0\x00").unwrap();
    assert!(picture < cut);
}

#[test]
fn out_of_paper_before_is_unprinted_and_says_what_to_do() {
    let (way, printer) = Printer { real_time: [0x1a, 0x32, 0x12, 0x7e], closes_at: usize::MAX }.serve(1);
    let mut host = Hosted::start("escpos", PROFILE, way);
    let report = host.run(receipt(), PRINT_MS);
    assert_eq!((report.done, report.fault, report.bytes_sent), (Done::None, Some(Fault::PaperOut), 0));
    assert_eq!(report.text, "out of paper: put in a new roll; nothing was printed");
    drop(host);
    assert!(!printer.join().unwrap().windows(2).any(|bytes| bytes == b"\x1dV"));
}

#[test]
fn a_connection_closed_in_the_middle_is_unknown() {
    let (way, printer) = Printer { real_time: [0x12; 4], closes_at: 20_000 }.serve(1);
    let mut host = Hosted::start("escpos", PROFILE, way);
    // Whether the break shows while it is sent or while its proof is awaited is the buffers' doing: 3 MB may fit.
    let page = || Op::Image { width: 576, height: 7_000, dots: vec![0x55; 72 * 7_000].into() };
    let report = host.run((0..6).map(|_| page()).collect(), PRINT_MS);
    assert_eq!(report.done, Done::Unknown, "{}", report.text);
    assert!(report.bytes_sent > 0);
    assert!(matches!(report.fault, Some(Fault::Gone | Fault::Io)), "{:?}", report.fault);
    assert_eq!(
        report.text,
        "the connection to the printer broke while printing: look whether the receipt came out"
    );
    assert_eq!(printer.join().unwrap().len(), 20_000);
}

#[test]
fn wrong_settings_are_refused_with_the_mistake() {
    let config = r#"{"profile":"tm-t20","colums":42}"#;
    let start = hosted::start("escpos", config, Way::Tcp("127.0.0.1:9".to_owned()));
    let (refusal, text) = Hosted::try_start(start).err().expect("refused");
    assert_eq!(refusal, Refusal::Settings);
    assert!(
        text.starts_with("the printer's settings: unknown field `colums`, expected one of `dots`"),
        "{text}"
    );
}
