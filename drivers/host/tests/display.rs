//! A display behind a real host: a real process, the real plugin, TCP.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_frames::{FromHost, Op, Refusal, Start, ToHost, Way, read_frame, write_frame};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

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

/// The display's end of a connection, which has to come and to speak in good time.
fn accept(listener: &TcpListener) -> TcpStream {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Reads until these bytes came.
fn read_until(socket: &mut TcpStream, wanted: &[u8]) {
    let (mut came, mut buffer) = (Vec::new(), [0; 256]);
    while !came.windows(wanted.len()).any(|piece| piece == wanted) {
        let n = socket.read(&mut buffer).unwrap();
        assert!(n > 0, "closed after {}", came.escape_ascii());
        came.extend(&buffer[..n]);
    }
}

#[test]
fn a_display_keeps_its_line_and_its_texts_run_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let mut host = Host::start("pole_display", r#"{"model":"generic","command_set":"aedex"}"#, way);
    let FromHost::Started { capabilities, .. } = host.hear() else { panic!("not started") };
    assert_eq!((capabilities.columns, capabilities.lines), (20, 2));
    let text = "This way to the north stand";
    let ops = vec![Op::Scroll { line: 1, text: text.into(), step_ms: 100 }];
    host.tell(&ToHost::Run { id: 1, ops, timeout_ms: 5_000 });
    let mut socket = accept(&listener);
    read_until(&mut socket, b"!#1This way to the nort\r");
    read_until(&mut socket, b"!#1his way to the north\r");
    let ops = vec![Op::Line { line: 2, text: "Row C".into() }];
    host.tell(&ToHost::Run { id: 2, ops, timeout_ms: 5_000 });
    read_until(&mut socket, b"!#2Row C               \r");
    // The connection is lost. A question opens another one, and everything is shown and runs there.
    drop(socket);
    host.tell(&ToHost::Status { id: 3, timeout_ms: 5_000 });
    let mut socket = accept(&listener);
    read_until(&mut socket, b"!#2Row C               \r");
    read_until(&mut socket, b"!#1s way to the north s\r");
    host.tell(&ToHost::Stop);
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn settings_a_driver_does_not_take_are_told_in_its_words() {
    let mut host = Host::start("pole_display", r#"{"colums":20}"#, Way::File("/dev/null".to_owned()));
    let FromHost::Refused { refusal: Refusal::Settings, text } = host.hear() else { panic!("not refused") };
    assert!(text.starts_with("settings: unknown field `colums`, expected one of"), "{text}");
}

#[test]
fn a_display_that_was_only_asked_how_it_is_heals() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let config = r#"{"model":"generic","command_set":"aedex","heal_s":5}"#;
    let mut host = Host::start("pole_display", config, way);
    host.tell(&ToHost::Status { id: 1, timeout_ms: 5_000 });
    let mut socket = accept(&listener);
    let last = b"!#2                    \r";
    read_until(&mut socket, last);
    read_until(&mut socket, last);
}
