//! Files, and the kernel's printer node with a pipe in its place: it opens, fills and polls as the node does.

use crate::harness::{Host, LINE_BYTES};
use driver_frames::{Done, Fault, Way};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

fn pipe(dir: &Path) -> PathBuf {
    let path = dir.join("lp0");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

#[test]
fn documents_are_appended_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("paper");
    std::fs::write(&paper, "before\n").unwrap();
    let mut host = Host::example(Way::File(paper.display().to_string()));
    assert_eq!(host.print("one").done, Done::Sent);
    assert_eq!(host.print("two").done, Done::Sent);
    assert_eq!(std::fs::read(&paper).unwrap(), b"before\n\x1b@one\ntwo\n");
}

#[test]
fn a_file_in_no_folder_and_a_pipe_nobody_reads_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("none/paper"), pipe(dir.path())] {
        let report = Host::example(Way::File(path.display().to_string())).print("x");
        assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Gone)), "{report:?}");
    }
}

#[test]
fn a_printer_node_takes_bytes_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let node = pipe(dir.path());
    let mut host = Host::example(Way::Lp(node.display().to_string()));
    assert_eq!(host.print("one").done, Done::Sent);
    let mut bytes = [0; 6];
    File::open(&node).unwrap().read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"\x1b@one\n");
}

#[test]
fn a_printer_node_that_takes_nothing_costs_the_time_that_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = Host::example(Way::Lp(pipe(dir.path()).display().to_string()));
    let id = host.ask_lines(200, 300);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    assert!((1..200 * LINE_BYTES as u64).contains(&report.bytes_sent));
}

#[test]
fn a_printer_node_that_is_not_there_is_told() {
    let report = Host::example(Way::Lp("/dev/usb/lp7".to_owned())).print("x");
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Gone)));
    assert_eq!(report.text, "lp:/dev/usb/lp7: No such file or directory (os error 2)");
}
