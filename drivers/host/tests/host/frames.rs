//! The host as a supervisor sees it: frames on pipes, in order and out of it.

use crate::harness::{Host, example, odd, rust_plugin, start};
use driver_frames::{
    Done, FRAME_BYTES_MAX, FRAMES_VERSION, Fault, FromHost, Op, Refusal, Report, Start, ToHost, Way,
    read_frame,
};
use std::io::{Read, Write};
use std::net::TcpListener;
use tempfile::TempDir;

fn paper() -> (TempDir, Way) {
    let dir = tempfile::tempdir().unwrap();
    let way = Way::File(dir.path().join("paper").display().to_string());
    (dir, way)
}

/// A printer that connects and never takes or answers anything.
fn deaf() -> (TcpListener, Way) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    (listener, way)
}

#[test]
fn a_document_goes_through_a_real_plugin_into_a_file() {
    let (dir, way) = paper();
    let mut host = Host::with(start(&rust_plugin("virtual"), "{}", way));
    assert_eq!(host.hear_any(), FromHost::Hello { version: FRAMES_VERSION });
    let FromHost::Started { info, .. } = host.hear() else { panic!("not started") };
    assert_eq!(info.id, "virtual");
    let ops = vec![Op::Text("Gate 7".into()), Op::Newline];
    host.tell(&ToHost::Run { id: 1, ops, timeout_ms: 1_000 });
    assert!(matches!(host.hear(), FromHost::Link { up: true, .. }));
    let FromHost::Ran { id: 1, report } = host.hear() else { panic!("not run") };
    assert_eq!((report.done, report.bytes_sent, report.ops_done), (Done::Confirmed, 7, 2));
    assert_eq!(std::fs::read_to_string(dir.path().join("paper")).unwrap(), "Gate 7\n");
    host.tell(&ToHost::Stop);
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn the_example_in_c_prints_and_says_which_settings_it_takes() {
    let (dir, way) = paper();
    let mut host = Host::with(start(&example(), r#"{ "form_feed": true }"#, way.clone()));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    let ops = vec![Op::Text("Zürich 日".into()), Op::Newline, Op::Cut(driver_abi::Cut::Full)];
    host.tell(&ToHost::Run { id: 1, ops, timeout_ms: 1_000 });
    let report = host.ran(1).0;
    // ü is one byte in code page 437; what the page does not have is a question mark.
    assert_eq!((report.done, report.bytes_sent, report.ops_done), (Done::Sent, 10, 3));
    assert_eq!(std::fs::read(dir.path().join("paper")).unwrap(), b"\x1b@Z\x81rich ?\n\x0c");

    let mut host = Host::with(start(&example(), r#"{"colour":"red"}"#, way));
    let FromHost::Refused { refusal, text } = host.hear() else { panic!("started") };
    assert_eq!(
        (refusal, text.as_str()),
        (Refusal::Settings, r#"the settings are {} or {"form_feed": true}"#)
    );
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn what_a_driver_prints_to_standard_output_is_no_frame() {
    let (_dir, way) = paper();
    let mut host = Host::with(start(&odd("PRINTS_TO_STDOUT"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    let report = host.print("x");
    // "e": its standard input was at its end at once, and not a frame of ours.
    assert_eq!((report.done, report.text.as_str()), (Done::Confirmed, "e"));
    assert_eq!(host.print("x").done, Done::Confirmed);
}

fn cancelled(report: &Report) {
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Cancelled)), "{report:?}");
}

#[test]
fn a_cancel_ends_what_was_asked_before_it_and_nothing_else() {
    let (_listener, way) = deaf();
    let mut host = Host::with(start(&odd("GREEDY"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    // Before anything was asked: meant for nobody.
    host.tell(&ToHost::Cancel);
    let late = host.ask("waits for an answer", 100);
    assert_eq!(host.ran(late).0.fault, Some(Fault::Timeout));
    // Two were asked: the one under way, and one that waits.
    let (first, second) = (host.ask("first", 600_000), host.ask("second", 600_000));
    host.tell(&ToHost::Cancel);
    cancelled(&host.ran(first).0);
    cancelled(&host.ran(second).0);
    let third = host.ask("third", 100);
    assert_eq!(host.ran(third).0.fault, Some(Fault::Timeout));
}

#[test]
fn a_driver_has_no_more_time_than_its_document() {
    let (_listener, way) = deaf();
    let mut host = Host::with(start(&odd("GREEDY"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    // It asks for an hour.
    let id = host.ask("x", 200);
    let report = host.ran(id).0;
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Timeout)));
}

#[test]
fn beats_tell_how_long_a_driver_has_been_in_a_call() {
    let (_dir, way) = paper();
    let mut host = Host::with(start(&odd("HANGS"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    host.ask("x", 100);
    let busy = std::iter::from_fn(|| match host.hear_any() {
        FromHost::Beat { busy_ms } => Some(busy_ms),
        FromHost::Link { .. } => Some(None),
        other => panic!("{other:?}"),
    });
    let told: Vec<u32> = busy.flatten().take(2).collect();
    assert!(told[1] > told[0], "{told:?}");
}

#[test]
fn beats_come_while_a_driver_hangs_at_its_loading() {
    let (_dir, way) = paper();
    let mut host = Host::with(start(&odd("HANGS_AT_LOAD"), "{}", way));
    while !matches!(host.hear_any(), FromHost::Beat { busy_ms: Some(_) }) {}
}

#[test]
fn too_many_requests_are_refused_and_a_cancel_is_still_heard() {
    let (_listener, way) = deaf();
    let mut host = Host::with(start(&odd("GREEDY"), "{}", way));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    let ids: Vec<u64> = (0..12).map(|_| host.ask("x", 600_000)).collect();
    for id in &ids[8..] {
        let report = host.ran(*id).0;
        assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Busy)));
        assert_eq!(report.text, "8 requests wait for this device already");
    }
    host.tell(&ToHost::Cancel);
    for id in &ids[..8] {
        cancelled(&host.ran(*id).0);
    }
}

/// The host ends by itself when its supervisor is gone; nobody kills it here.
fn ends(mut host: Host) {
    host.input = None;
    host.child.wait().unwrap();
    // It said nothing more that is no frame.
    while let Ok(message) = read_frame::<FromHost>(&mut host.output) {
        assert!(!matches!(message, FromHost::Refused { .. }), "{message:?}");
    }
}

#[test]
fn a_host_ends_with_its_supervisor_in_every_state() {
    let started = |plugin: &std::path::Path, way: Way| {
        let mut host = Host::with(start(plugin, "{}", way));
        assert!(matches!(host.hear(), FromHost::Started { .. }));
        host
    };
    let (_dir, way) = paper();
    let (_listener, nobody) = deaf();
    // Before it was told anything; before, in and after its first document; in a driver that never comes back.
    ends(Host::spawn(Host::command()));
    ends(Host::with(start(&odd("HANGS_AT_LOAD"), "{}", way.clone())));
    ends(started(&example(), way.clone()));
    let mut host = started(&example(), way.clone());
    host.print("x");
    ends(host);
    let mut host = started(&odd("GREEDY"), nobody);
    host.ask("x", 600_000);
    ends(host);
    let mut host = started(&odd("HANGS"), way);
    host.ask("x", 600_000);
    ends(host);
}

#[test]
fn what_is_no_frame_ends_the_host_with_a_reason() {
    let garbage = [vec![0xff; 64], [&5u32.to_le_bytes()[..], &[0xee; 5]].concat()];
    let over = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes().to_vec();
    for bytes in garbage.into_iter().chain([over]) {
        let (_dir, way) = paper();
        let mut host = Host::example(way);
        host.input.as_mut().unwrap().write_all(&bytes).unwrap();
        let reason = loop {
            if let FromHost::Log { level: 1, text } = host.hear_any() {
                break text;
            }
        };
        assert!(reason.starts_with("the supervisor sent what is no frame: "), "{reason}");
        host.child.wait().unwrap();
    }
    // As the first frame.
    let mut host = Host::spawn(Host::command());
    host.input.as_mut().unwrap().write_all(&[0xff; 64]).unwrap();
    assert!(!host.child.wait().unwrap().success());
    let mut host = Host::spawn(Host::command());
    host.tell(&ToHost::Stop);
    assert!(!host.child.wait().unwrap().success());
}

#[test]
fn a_frame_in_pieces_is_a_frame() {
    let (_dir, way) = paper();
    let mut host = Host::spawn(Host::command());
    let mut bytes = Vec::new();
    let start = Start { config: " ".repeat(20_000) + "{}", ..start(&example(), "", way) };
    driver_frames::write_frame(&mut bytes, &ToHost::Start(Box::new(start))).unwrap();
    let input = host.input.as_mut().unwrap();
    for piece in bytes.chunks(4_093) {
        input.write_all(piece).unwrap();
        input.flush().unwrap();
    }
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    // And nothing follows what it said before it was asked.
    host.tell(&ToHost::Stop);
    host.child.wait().unwrap();
    let mut rest = Vec::new();
    host.output.read_to_end(&mut rest).unwrap();
}
