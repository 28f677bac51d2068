//! The host as a supervisor sees it: real processes, a real plugin, frames on pipes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_abi::{Cut, Style};
use driver_frames::{Done, FromHost, Op, Start, ToHost, Way, read_frame, write_frame};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A host process; killed when the test is done with it.
struct Host {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Host {
    fn start(plugin: &str, config: &str, way: Way) -> Host {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse-driver-host"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut host = Host { child, input, output };
        host.tell(&ToHost::Start(Box::new(Start {
            peripheral: "P1".to_owned(),
            plugin: plugin_file(plugin).display().to_string(),
            sha256: None,
            config: config.to_owned(),
            way,
            record: None,
        })));
        host
    }

    fn tell(&mut self, message: &ToHost) {
        write_frame(&mut self.input, message).unwrap();
    }

    /// The next message that is no sign of life and no log line.
    fn hear(&mut self) -> FromHost {
        loop {
            match read_frame(&mut self.output).unwrap() {
                FromHost::Beat { .. } | FromHost::Log { .. } | FromHost::Hello { .. } => {}
                message => return message,
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The plugin as it was built for this test.
fn plugin_file(name: &str) -> PathBuf {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    dir.join(format!("libdriver_{name}.so"))
}

#[test]
fn a_document_goes_through_a_real_plugin_into_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("paper");
    let mut host = Host::start("virtual", "{}", Way::File(paper.display().to_string()));
    let FromHost::Started { info, .. } = host.hear() else { panic!("not started") };
    assert_eq!(info.id, "virtual");
    let ops = vec![Op::Text("Gate 7".into()), Op::Newline];
    host.tell(&ToHost::Run { id: 1, ops, timeout_ms: 1_000 });
    assert!(matches!(host.hear(), FromHost::Link { up: true, .. }));
    let FromHost::Ran { id: 1, report } = host.hear() else { panic!("not run") };
    assert_eq!((report.done, report.bytes_sent, report.ops_done), (Done::Confirmed, 7, 2));
    assert_eq!(std::fs::read_to_string(&paper).unwrap(), "Gate 7\n");
    host.tell(&ToHost::Stop);
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn a_preview_of_every_kind_of_op_is_a_picture_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("page.png");
    let config = r#"{"form": "png", "dots": 384}"#;
    let mut host = Host::start("virtual", config, Way::File(paper.display().to_string()));
    let FromHost::Started { capabilities, .. } = host.hear() else { panic!("not started") };
    assert_eq!((capabilities.columns, capabilities.dots), (32, 384));
    let ops = vec![
        Op::Style(Style { bold: true, width: 2, height: 2, ..Style::default() }),
        Op::Text("مرحبا 東京".into()),
        Op::Newline,
        Op::Rule { double: false },
        Op::Qr { data: b"TKT-1".to_vec().into(), module: 0, correction: 1 },
        Op::Image { width: 8, height: 1, dots: vec![0xaa].into() },
        Op::Cut(Cut::Partial),
    ];
    host.tell(&ToHost::Run { id: 1, ops, timeout_ms: 10_000 });
    assert!(matches!(host.hear(), FromHost::Link { up: true, .. }));
    let FromHost::Ran { report, .. } = host.hear() else { panic!("not run") };
    assert_eq!((report.done, report.ops_done), (Done::Confirmed, 7), "{}", report.text);
    let file = std::fs::read(&paper).unwrap();
    assert!(file.starts_with(b"\x89PNG") && file.ends_with(b"IEND\xaeB`\x82"), "one whole picture");
    host.tell(&ToHost::Stop);
    assert!(host.child.wait().unwrap().success());
}
