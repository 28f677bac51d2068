//! A display behind a real host: a real process, the real plugin, TCP.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_frames::{Op, Refusal, ToHost, Way};
use driver_testkit::hosted::{self, Hosted};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

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
    let mut host = Hosted::start("pole-display", r#"{"model":"generic","command_set":"aedex"}"#, way);
    assert_eq!((host.capabilities.columns, host.capabilities.lines), (20, 2));
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
    assert!(host.child().wait().unwrap().success());
}

#[test]
fn settings_a_driver_does_not_take_are_told_in_its_words() {
    let start = hosted::start("pole-display", r#"{"colums":20}"#, Way::File("/dev/null".to_owned()));
    let (refusal, text) = Hosted::try_start(start).err().expect("refused");
    assert_eq!(refusal, Refusal::Settings);
    assert!(text.starts_with("settings: unknown field `colums`, expected one of"), "{text}");
}

#[test]
fn a_display_that_was_only_asked_how_it_is_heals() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = Way::Tcp(listener.local_addr().unwrap().to_string());
    let config = r#"{"model":"generic","command_set":"aedex","heal_s":5}"#;
    let mut host = Hosted::start("pole-display", config, way);
    host.tell(&ToHost::Status { id: 1, timeout_ms: 5_000 });
    let mut socket = accept(&listener);
    let last = b"!#2                    \r";
    read_until(&mut socket, last);
    read_until(&mut socket, last);
}
