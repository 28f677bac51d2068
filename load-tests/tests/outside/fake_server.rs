//! A server of a few lines that answers `validate` by a rule, one blocking thread per connection. Knows just enough HTTP
//! for our own requests; what is right or wrong about an answer is the rule's business.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What a rule says to a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Admit,
    Deny(&'static str),
    /// An error with this status.
    Fail(u16),
    /// Close without a word.
    HangUp,
}

/// How replies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    Whole,
    /// In three writes, cut within the head and within the body.
    InPieces,
}

pub type Rule = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// Starts a server on a free port; it lives as long as the test process.
pub fn serve(rule: impl Fn(&str) -> Answer + Send + Sync + 'static) -> SocketAddr {
    serve_on("127.0.0.1:0".parse().unwrap(), Arc::new(rule), Writing::Whole)
}

pub fn serve_on(addr: SocketAddr, rule: Rule, writing: Writing) -> SocketAddr {
    serve_counted(addr, rule, writing).0
}

/// The same, and how many connections it was given.
pub fn serve_counted(addr: SocketAddr, rule: Rule, writing: Writing) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind(addr).unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::<AtomicU64>::default();
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
            let (stream, rule) = (stream.unwrap(), Arc::clone(&rule));
            std::thread::spawn(move || drop(talk(stream, &rule, writing)));
        }
    });
    (addr, connections)
}

/// The demo's rule: standard codes once, staff always, anything else never.
pub fn demo_rule() -> impl Fn(&str) -> Answer + Send + Sync {
    let used = Mutex::new(HashSet::new());
    move |code| match code {
        _ if code.starts_with("DEMO-STAFF-") => Answer::Admit,
        _ if !code.starts_with("DEMO-STD-") => Answer::Deny("unknown_ticket"),
        _ if used.lock().unwrap().insert(code.to_owned()) => Answer::Admit,
        _ => Answer::Deny("already_used"),
    }
}

fn talk(stream: TcpStream, rule: &Rule, writing: Writing) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some((path, body)) = read_request(&mut reader)? {
        let answer = if path.ends_with("/health") { Answer::Admit } else { rule(code_of(&body)) };
        if answer == Answer::HangUp {
            return Ok(());
        }
        let reply = reply(&answer);
        match writing {
            Writing::Whole => out.write_all(&reply)?,
            Writing::InPieces => {
                for piece in [&reply[..9], &reply[9..reply.len() - 5], &reply[reply.len() - 5..]] {
                    out.write_all(piece)?;
                    std::thread::yield_now();
                }
            }
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, String)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim_end().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap().to_owned();
    Ok(Some((path, String::from_utf8(body).unwrap())))
}

fn code_of(body: &str) -> &str {
    body.split_once("\"qr_data\":\"").unwrap().1.split('"').next().unwrap()
}

fn reply(answer: &Answer) -> Vec<u8> {
    let (status, body) = match answer {
        Answer::Admit => (200, r#"{"status":"success","access_granted":true,"reason":null}"#.to_owned()),
        Answer::Deny(reason) => {
            (200, format!(r#"{{"status":"denied","access_granted":false,"reason":"{reason}"}}"#))
        }
        Answer::Fail(status) => (*status, r#"{"status":"error","error":"unavailable"}"#.to_owned()),
        Answer::HangUp => unreachable!("hanging up has no reply"),
    };
    let length = body.len();
    format!("HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}
