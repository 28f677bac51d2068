//! A record of a device's traffic: written while a line is used, read to be played. Knows neither lines nor ways.
//!
//! It is text, a line for each thing that happened:
//!
//! ```text
//! = MS                    the line was opened; opened again, it begins with another such line
//! > MS HEX                bytes that left
//! < MS HEX                bytes that came
//! ? MS TT RR VVVV IIII HEX  a control request (type, request, value, index) and its answer
//! ! MS io|gone            the line was lost
//! ```
//!
//! MS is counted from the start of the process, HEX has two digits a byte.

use crate::ways::ControlIn;
use driver_abi::Fault;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

/// What happened, and the record's line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    /// What happened.
    pub what: What,
}

/// What happened to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was opened.
    Opened,
    /// Bytes left.
    Left(Vec<u8>),
    /// Bytes came.
    Came(Vec<u8>),
    /// A control request and its answer.
    Asked(ControlIn, Vec<u8>),
    /// It was lost: `Io` or `Gone`.
    Lost(Fault),
}

/// A record that is being written.
pub struct Recorder {
    file: File,
    began: Instant,
}

// === impl Recorder ===

impl Recorder {
    /// Continues the record in this file, or begins it.
    ///
    /// # Errors
    /// The file's.
    pub fn open(path: &Path) -> io::Result<Recorder> {
        Ok(Recorder { file: File::options().create(true).append(true).open(path)?, began: Instant::now() })
    }

    /// Notes what happened. What cannot be recorded is printed all the same.
    pub fn note(&mut self, what: &What) {
        let ms = self.began.elapsed().as_millis();
        let line = match what {
            What::Opened => format!("= {ms}\n"),
            What::Left(bytes) => format!("> {ms} {}\n", to_hex(bytes)),
            What::Came(bytes) => format!("< {ms} {}\n", to_hex(bytes)),
            What::Asked(asked, answer) => {
                let ControlIn { request_type, request, value, index } = asked;
                let answer = to_hex(answer);
                format!("? {ms} {request_type:02x} {request:02x} {value:04x} {index:04x} {answer}\n")
            }
            What::Lost(Fault::Gone) => format!("! {ms} gone\n"),
            What::Lost(_) => format!("! {ms} io\n"),
        };
        let _ = self.file.write_all(line.as_bytes());
    }
}

/// Reads a record.
///
/// # Errors
/// The line that is none, in words.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (index, words) in text.lines().enumerate() {
        let line = index + 1;
        let mut parts = words.split_ascii_whitespace();
        let Some(kind) = parts.next() else { continue };
        let what = parse_line(kind, &parts.skip(1).collect::<Vec<_>>())
            .ok_or_else(|| format!("line {line} of the record is none: {words:?}"))?;
        entries.push(Entry { line, what });
    }
    Ok(entries)
}

/// A line after its kind and its time.
fn parse_line(kind: &str, parts: &[&str]) -> Option<What> {
    Some(match (kind, parts) {
        ("=", _) => What::Opened,
        (">", [hex]) => What::Left(from_hex(hex)?),
        ("<", [hex]) => What::Came(from_hex(hex)?),
        ("!", ["io"]) => What::Lost(Fault::Io),
        ("!", ["gone"]) => What::Lost(Fault::Gone),
        ("?", [request_type, request, value, index, answer @ ..]) => {
            let asked = ControlIn {
                request_type: u8::from_str_radix(request_type, 16).ok()?,
                request: u8::from_str_radix(request, 16).ok()?,
                value: u16::from_str_radix(value, 16).ok()?,
                index: u16::from_str_radix(index, 16).ok()?,
            };
            What::Asked(asked, from_hex(answer.first().unwrap_or(&""))?)
        }
        _ => return None,
    })
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("till-1.traffic");
        let asked = ControlIn { request_type: 0xa1, request: 1, value: 0, index: 0x0100 };
        let all = [
            What::Opened,
            What::Left(vec![0x1b, 0x40]),
            What::Came(vec![0x12]),
            What::Asked(asked, vec![0x18]),
            What::Asked(asked, Vec::new()),
            What::Lost(Fault::Gone),
            What::Opened,
            What::Lost(Fault::Io),
        ];
        let mut recorder = Recorder::open(&path).unwrap();
        all.iter().for_each(|what| recorder.note(what));
        let read = parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read.iter().map(|entry| entry.what.clone()).collect::<Vec<_>>(), all);
        assert_eq!(read.last().unwrap().line, all.len());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for wrong in ["> 0 1b4", "> 0 zz", "> 0", "* 0 1b", "! 0 away", "? 0 a1 00", "> 0 \u{e9}\u{e9}"] {
            let error = parse(&format!("= 0\n{wrong}\n")).unwrap_err();
            assert!(error.starts_with("line 2 of the record is none"), "{wrong}: {error}");
        }
    }
}
