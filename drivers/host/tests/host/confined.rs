//! What a driver is able to reach besides its device.

use crate::harness::{Host, odd, start};
use driver_frames::{FromHost, Status, Way};
use std::net::TcpListener;

/// Limits of a process, as the system tells them: soft and hard.
fn limit(host: &Host, name: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_driver_reaches_its_device_and_nothing_else() {
    let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = somebody.local_addr().unwrap().port();
    let mut host =
        Host::with(start(&odd(&format!("SNOOPS={port}")), "{}", Way::File("/dev/null".to_owned())));
    let words = loop {
        match host.hear_any() {
            FromHost::Log { text, .. } if text.contains("shut in") => break text,
            FromHost::Started { .. } => panic!("it was not told whether it is shut in"),
            _ => {}
        }
    };
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    if words.starts_with("not shut in") {
        // A kernel without landlock: said in the log, and all there is to see.
        return;
    }
    // No file of the system's, no environment, no folder, no program; and where the kernel knows ports, no other one.
    let reached = host.status().unwrap();
    let ports = Status(1 << 4);
    assert_eq!(reached.without(ports), Status(0), "{words}");
    if words.starts_with("shut in: ") {
        assert_eq!(reached, Status(0));
    }
}

#[test]
fn a_host_has_limits_and_can_gain_no_rights() {
    let mut host = Host::example(Way::File("/dev/null".to_owned()));
    assert_eq!(limit(&host, "Max core file size"), "0 0");
    assert_eq!(limit(&host, "Max open files"), "64 64");
    assert_eq!(limit(&host, "Max address space"), format!("{0} {0}", 1 << 30));
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"));
    assert!(host.print("x").fault.is_none());
}

#[test]
fn a_stopped_host_dies_with_its_supervisor() {
    // The supervisor is a shell that is killed; the host is stopped, so that it can notice nothing by itself.
    let program = env!("CARGO_BIN_EXE_gatehouse-driver-host");
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut shell = std::process::Command::new("sh")
        // The host keeps the pipe's end open as its error output as long as it lives.
        .args(["-c", &format!("{program} & echo $!; wait")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(theirs)
        .spawn()
        .unwrap();
    let mut first = Vec::new();
    while first.last() != Some(&b'\n') {
        let mut byte = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut byte).unwrap();
        first.extend(byte);
    }
    drop((ours, first));
    shell.kill().unwrap();
    shell.wait().unwrap();
}
