//! A serial line: a real one to the host, a pseudo terminal to the test. "Unplugged" is: its other side was closed.

use crate::harness::{Host, LINE_BYTES, odd, start};
use driver_frames::{Done, Fault, FromHost, ToHost, Way};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, LocalModes, tcgetattr};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The device's side, and the node of the host's side.
fn pty() -> (File, PathBuf) {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    let node = PathBuf::from(ptsname(&device, Vec::new()).unwrap().into_string().unwrap());
    (File::from(device), node)
}

fn way(node: &Path, settings: &str) -> Way {
    format!("serial:{}?{settings}", node.display()).parse().unwrap()
}

fn take<const N: usize>(device: &mut File) -> [u8; N] {
    let mut bytes = [0; N];
    device.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_arrive_as_they_are_with_the_lines_settings() {
    let (mut device, node) = pty();
    let way = way(&node, "baud=19200&parity=e&flow=hardware");
    let mut host = Host::with(start(&odd("RAW"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    // What a terminal would change on its way: XON and XOFF, an end of file, a tabulator, a line's end.
    let report = host.print("a\u{11}\u{13}\u{4}\tb\n");
    assert_eq!((report.done, report.bytes_sent), (Done::Sent, 7));
    assert_eq!(&take::<7>(&mut device), b"a\x11\x13\x04\tb\n");
    let settings = tcgetattr(&device).unwrap();
    assert_eq!(settings.output_speed(), 19_200);
    assert!(settings.control_modes.contains(ControlModes::CRTSCTS | ControlModes::CS8));
    assert!(!settings.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON));
}

#[test]
fn a_line_that_somebody_has_is_busy() {
    let (_device, node) = pty();
    let mut first = Host::example(way(&node, "baud=9600"));
    assert_eq!(first.print("x").done, Done::Sent);
    let mut second = Host::example(way(&node, "baud=9600"));
    let report = second.print("x");
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Busy)));
    assert!(report.text.contains("another program has this line"), "{}", report.text);
    // Stopped, not killed: the lock of a pseudo terminal outlives a killed process, as one of a device does not, for its
    // other side is still open.
    first.tell(&ToHost::Stop);
    first.child.wait().unwrap();
    assert_eq!(second.print("x").done, Done::Sent);
}

#[test]
fn unplugged_in_the_middle_and_plugged_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("till-1");
    let (mut device, node) = pty();
    std::os::unix::fs::symlink(&node, &name).unwrap();
    let mut host = Host::example(way(&name, "baud=9600"));
    let id = host.ask_lines(500, 60_000);
    assert_eq!(&take::<2>(&mut device), b"\x1b@");
    take::<10_000>(&mut device);
    drop(device);
    let (report, links) = host.ran(id);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Gone)));
    assert!((10_000..500 * LINE_BYTES as u64).contains(&report.bytes_sent), "{report:?}");
    assert_eq!(report.text, format!("{}: the device is not there", way(&name, "baud=9600")));
    assert_eq!(links.iter().map(|(up, _)| *up).collect::<Vec<_>>(), [true, false]);

    // Nothing is there: nothing can print.
    let report = host.print("nowhere");
    assert_eq!((report.done, report.bytes_sent), (Done::None, 0));

    let (mut device, node) = pty();
    std::fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(&node, &name).unwrap();
    let id = host.ask("again", 10_000);
    let (report, links) = host.ran(id);
    assert_eq!((report.done, report.bytes_sent), (Done::Sent, 6));
    assert_eq!(links, [(true, way(&name, "baud=9600").to_string())]);
    assert_eq!(&take::<8>(&mut device), b"\x1b@again\n");
    // And it is not reset before each document.
    assert_eq!(host.print("and on").done, Done::Sent);
    assert_eq!(&take::<7>(&mut device), b"and on\n");
}

#[test]
fn a_device_that_takes_nothing_costs_the_time_that_was_given() {
    let (mut device, node) = pty();
    // Between the two documents the host closes its side, and a terminal without any other side cannot be read.
    let _other_side = rustix::fs::open(&node, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut host = Host::example(way(&node, "baud=9600&flow=hardware"));
    let id = host.ask_lines(500, 300);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    assert!(report.bytes_sent > 0);
    // What was in the system's buffer is thrown away but for the part the other side has taken already, and the next
    // document begins with a reset.
    let id = host.ask("next", 10_000);
    let mut came = Vec::new();
    while !came.ends_with(b"\x1b@next\n") {
        came.extend(take::<1>(&mut device));
    }
    assert!(came.len() as u64 - 7 < report.bytes_sent, "{} of {}", came.len(), report.bytes_sent);
    assert_eq!(host.ran(id).0.done, Done::Sent);
}

#[test]
fn a_cancel_is_heard_in_the_middle_of_a_write() {
    let (mut device, node) = pty();
    let mut host = Host::example(way(&node, "baud=9600"));
    let id = host.ask_lines(500, 600_000);
    take::<100>(&mut device);
    host.tell(&ToHost::Cancel);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Cancelled)));
    assert!(report.took_ms < 60_000);
}
