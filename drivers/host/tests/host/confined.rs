//! What a driver is able to reach besides its device.

use crate::harness::{Host, odd, start};
use driver_frames::{FrameError, FromHost, Status, Way, read_frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::process::{Command, Stdio};

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
fn a_host_and_all_its_threads_give_way_to_everything_else() {
    let host = Host::example(Way::File("/dev/null".to_owned()));
    let process = format!("/proc/{}", host.child.id());
    // proc(5): policy is field 41; the name, field 2, may hold spaces.
    let policy = |folder: &str| {
        let stat = std::fs::read_to_string(format!("{folder}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(41 - 3).unwrap().to_owned()
    };
    const SCHED_IDLE: &str = "5";
    assert_eq!(policy(&process), SCHED_IDLE);
    let threads: Vec<_> = std::fs::read_dir(format!("{process}/task")).unwrap().collect();
    // The driver's, the one that hears, the one that beats.
    assert!(threads.len() >= 3, "{threads:?}");
    for thread in threads {
        let folder = thread.unwrap().path().display().to_string();
        assert_eq!(policy(&folder), SCHED_IDLE, "{folder}");
    }
}

#[test]
fn a_stopped_host_dies_with_its_supervisor() {
    // The supervisor is a shell. Its host's standard input stays open in our hands, and the host is stopped: it can
    // notice nothing by itself, and would keep its device for ever.
    let script = r#"exec 3<&0; "$0" <&3 & wait"#;
    let mut shell = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_gatehouse-driver-host")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = shell.stdout.take().unwrap();
    // Its first words: from here on it is tied to the shell.
    assert!(matches!(read_frame(&mut output).unwrap(), FromHost::Hello { .. }));
    let children = format!("/proc/{0}/task/{0}/children", shell.id());
    let host: i32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(host).unwrap(), Signal::STOP).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    // The last one that could write has ended.
    let mut look = [PollFd::new(&output, PollFlags::IN)];
    assert_eq!(poll(&mut look, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })), Ok(1), "the host lives on");
    assert!(matches!(read_frame::<FromHost>(&mut output), Err(FrameError::Ended)));
}
