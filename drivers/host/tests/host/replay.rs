//! Records of a device's traffic, and what playing them shows.

use crate::harness::{Host, example, odd, start};
use driver_frames::{Done, Fault, FromHost, Start, Status, ToHost, Way};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

fn replay(record: &Path) -> Way {
    Way::Replay(record.display().to_string())
}

fn recording(start: Start, record: &Path) -> Host {
    let mut host = Host::with(Start { record: Some(record.display().to_string()), ..start });
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    host
}

/// Ends the host; the warnings it still had.
fn stop(mut host: Host) -> Vec<String> {
    host.tell(&ToHost::Stop);
    let mut warnings = Vec::new();
    while let Ok(message) = driver_frames::read_frame(&mut host.output) {
        if let FromHost::Log { level: 2, text } = message {
            warnings.push(text);
        }
    }
    warnings
}

#[test]
fn a_recorded_session_plays_again() {
    let dir = tempfile::tempdir().unwrap();
    let (paper, record) = (dir.path().join("paper"), dir.path().join("traffic"));
    let mut host = recording(start(&example(), "{}", Way::File(paper.display().to_string())), &record);
    assert_eq!((host.print("one").done, host.print("two").done), (Done::Sent, Done::Sent));
    drop(host);

    let mut host = Host::example(replay(&record));
    assert_eq!((host.print("one").done, host.print("two").done), (Done::Sent, Done::Sent));
    assert_eq!(stop(host), [""; 0]);
}

#[test]
fn a_driver_that_writes_something_else_is_told_where() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("traffic");
    std::fs::write(&record, "= 0\n> 1 1b40\n> 2 6f6e65\n> 3 0a\n").unwrap();
    let mut host = Host::example(replay(&record));
    let report = host.print("ond");
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Io)));
    let way = replay(&record);
    assert_eq!(report.text, format!("{way}: line 3 of the record, byte 3: written 64, recorded 65"));

    let mut host = Host::example(replay(&record));
    let report = host.print("one more");
    assert_eq!((report.done, report.bytes_sent), (Done::Unknown, 3));
    assert_eq!(report.text, format!("{way}: line 4 of the record, byte 1: written 20, recorded 0a"));

    // More than was recorded, and less.
    let mut host = Host::example(replay(&record));
    assert_eq!(host.print("one").done, Done::Sent);
    assert_eq!(host.print("x").text, format!("{way}: written 78 where the record ends"));
    let mut host = Host::example(replay(&record));
    host.tell(&ToHost::Run { id: 1, ops: Vec::new(), timeout_ms: 1_000 });
    assert_eq!(host.ran(1).0.bytes_sent, 0);
    assert_eq!(stop(host), ["line 3 of the record was not written, nor what follows it"]);
}

#[test]
fn answers_play_again_over_every_opening() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("traffic");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let device = std::thread::spawn(move || {
        for answer in [Status::PAPER_LOW, Status::COVER_OPEN] {
            let (mut device, _) = listener.accept().unwrap();
            device.read_exact(&mut [0; 3]).unwrap();
            device.write_all(&[answer.0 as u8]).unwrap();
        }
    });
    let mut host = recording(start(&odd("READS"), "{}", way), &record);
    let told = [host.status(), host.status()];
    assert_eq!(told, [Ok(Status::PAPER_LOW), Ok(Status::COVER_OPEN)]);
    device.join().unwrap();
    drop(host);

    let mut host = Host::with(start(&odd("READS"), "{}", replay(&record)));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    assert_eq!([host.status(), host.status()], told);
    assert_eq!(stop(host), [""; 0]);
}

#[test]
fn a_line_that_was_lost_is_lost_again() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("traffic");
    std::fs::write(&record, "= 0\n> 1 1b40\n> 2 6f\n! 3 gone\n= 9\n> 9 1b40\n> 9 6f6b\n> 9 0a\n").unwrap();
    let mut host = Host::example(replay(&record));
    let report = host.print("one");
    assert_eq!((report.done, report.fault, report.bytes_sent), (Done::Unknown, Some(Fault::Gone), 1));
    assert_eq!(host.print("ok").done, Done::Sent);
    assert_eq!(host.print("x").done, Done::None);
}

#[test]
fn what_is_no_record_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("traffic");
    std::fs::write(&record, "= 0\nhello\n").unwrap();
    let report = Host::example(replay(&record)).print("x");
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Config)));
    assert_eq!(report.text, format!("{}: line 2 of the record is none: \"hello\"", replay(&record)));
}
