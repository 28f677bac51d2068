//! Clients of the attacks: raw bytes out, whole answers in. Knows HTTP only as bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the server closes; a reset after some answer counts as a close.
pub fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "the server did not close; it said {bytes:?}"
        );
    }
    bytes
}

/// Reads until `count` whole responses are here.
pub fn read_responses(stream: &mut TcpStream, count: usize) -> Vec<Response> {
    let mut bytes = Vec::new();
    loop {
        let found = responses(&bytes);
        if found.len() >= count {
            return found;
        }
        let mut piece = [0; 4096];
        let len = stream.read(&mut piece).expect("a response");
        assert!(len > 0, "closed after {} of {count} responses", found.len());
        bytes.extend_from_slice(&piece[..len]);
    }
}

/// Nothing comes within `within`.
pub fn assert_silent(stream: &mut TcpStream, within: Duration) {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut byte = [0];
    let read = stream.read(&mut byte);
    assert!(read.is_err(), "expected silence, got {read:?}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

// === impl Response ===

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// The whole responses in `bytes`, by Content-Length; one without is taken to have no body.
pub fn responses(bytes: &[u8]) -> Vec<Response> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8(rest[..end].to_vec()).expect("ASCII head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        rest = &rest[end + 4..];
        if rest.len() < length {
            break;
        }
        found.push(Response { status, head, body: rest[..length].to_vec() });
        rest = &rest[length..];
    }
    found
}

pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    responses(bytes).iter().map(|response| response.status).collect()
}

/// Sends `bytes` on a connection of its own, says that nothing follows, and returns all that comes back.
pub fn exchange(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(addr);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_all(&mut stream)
}

pub fn assert_still_served(stream: &mut TcpStream, name: &str) {
    stream.write_all(b"GET /still-there HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read_responses(stream, 1)[0].status, 200, "{name}: the connection is still good");
}

/// Writes `bytes` again and again until the server stops reading or closes, or `for_long` is over.
pub fn pour(addr: SocketAddr, bytes: &[u8], for_long: Duration) -> usize {
    let mut stream = connect(addr);
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < for_long {
        match stream.write(bytes) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    sent
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
