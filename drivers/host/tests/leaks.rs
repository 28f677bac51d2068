//! A device that is made and given back leaves nothing behind. A process of its own: what other tests hold would count.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_frames::{Op, Way};
use driver_host::line::Line;
use driver_host::plugin::{Device, Plugin, Services};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const TIMES: usize = 1_000;
/// What an allocator keeps may differ by so much, in bytes; one leaked document a time would be far more.
const GROWTH_MAX: usize = 1024 * 1024;

/// Memory in use, in bytes, and open files.
fn held() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    (kib * 1024, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// A device's whole life.
fn live(plugin: &Plugin, paper: &Path) {
    let services =
        Services { log: Box::new(|_, _| {}), changed: Box::new(|_| {}), cancelled: Arc::default() };
    let mut device = Device::create(plugin, services, "{}").unwrap();
    let mut line = Line::new(Way::File(paper.display().to_string()), Arc::default(), None).unwrap();
    device.capabilities().unwrap();
    line.open().unwrap();
    device.reset(&mut line, Duration::from_secs(1)).unwrap();
    let ops = [Op::Text("x".repeat(1_000).into()), Op::Newline];
    assert_eq!(device.run(&mut line, &ops, Duration::from_secs(1)).fault, None);
    device.tick(&mut line).unwrap();
}

#[test]
fn a_thousand_devices_leave_no_memory_and_no_open_file() {
    let dir = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi");
    let example = dir.path().join("libexample.so");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-shared", "-fPIC", "-I"])
        .arg(sources.join("include"))
        .arg(sources.join("example/example_driver.c"))
        .arg("-o")
        .arg(&example)
        .status();
    assert!(compiled.unwrap().success());
    let rust = std::env::current_exe().unwrap().parent().unwrap().join("libdriver_virtual.so");
    for file in [example, rust] {
        let plugin = Plugin::load(&file, None).unwrap();
        let live = || live(&plugin, Path::new("/dev/null"));
        // What is made once and kept is made now.
        (0..TIMES / 10).for_each(|_| live());
        let (memory, files) = held();
        (0..TIMES).for_each(|_| live());
        let (memory_now, files_now) = held();
        assert_eq!(files_now, files, "{}", file.display());
        assert!(memory_now < memory + GROWTH_MAX, "{}: {memory} {memory_now}", file.display());
    }
}
