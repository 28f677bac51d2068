//! A record of a device's traffic plays the device: what a driver writes has to be what was written then, and it is
//! answered what was answered then. For drivers' regression tests, and for looking at a fault that happened elsewhere.
//!
//! The record's format is drawn in `record.rs`. What is not in one: waits that nothing came of, and writes that were given
//! up. Writes may be cut otherwise than they were, and may run ahead of what was read; bytes are there to be read as soon
//! as everything was written that had been written before them; nothing waits for the times that were noted.

use super::{ControlIn, Refused, Transport, refused};
use crate::patience::Patience;
use crate::record::{Entry, What, parse};
use driver_abi::Fault;
use std::time::Duration;

/// A record is at most so long, in bytes.
const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One opening of a record, being played.
#[derive(Debug)]
pub(super) struct Replay {
    entries: Vec<Entry>,
    /// The next entry a write may be of, and how much of it was written.
    writing: (usize, usize),
    /// The next entry a read may be of, and how much of it was read.
    reading: (usize, usize),
    /// The next control request.
    asking: usize,
    /// Another opening follows.
    last: bool,
    trouble: Option<String>,
}

/// Begins to play this opening of the record.
pub(super) fn open(path: &str, opening: usize) -> Result<Replay, Refused> {
    let length = std::fs::metadata(path).map_err(|error| refused(&error))?.len();
    if length > RECORD_BYTES_MAX {
        return Err((Fault::Config, format!("{length} bytes are over the limit of {RECORD_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
    Replay::new(&text, opening)
}

impl Replay {
    fn new(text: &str, opening: usize) -> Result<Replay, Refused> {
        let entries = parse(text).map_err(|words| (Fault::Config, words))?;
        let mut openings: Vec<Vec<Entry>> = Vec::new();
        for entry in entries {
            match (&entry.what, openings.last_mut()) {
                (What::Opened, _) => openings.push(Vec::new()),
                // A record that somebody wrote by hand may leave its first opening out.
                (_, None) => openings.push(vec![entry]),
                (_, Some(current)) => current.push(entry),
            }
        }
        let last = opening + 1 >= openings.len();
        let entries = openings.into_iter().nth(opening).ok_or_else(|| {
            (Fault::Gone, format!("the line was opened {opening} times in this record, and not once more"))
        })?;
        Ok(Replay { entries, writing: (0, 0), reading: (0, 0), asking: 0, last, trouble: None })
    }

    fn differs(&mut self, words: String) -> Fault {
        self.trouble = Some(words);
        Fault::Io
    }

    /// Is everything played?
    fn is_over(&self) -> bool {
        let rest =
            |from: usize, of: fn(&What) -> bool| self.entries[from..].iter().any(|entry| of(&entry.what));
        !rest(self.writing.0, |what| matches!(what, What::Left(_)))
            && !rest(self.reading.0, |what| matches!(what, What::Came(_)))
            && !rest(self.asking, |what| matches!(what, What::Asked(..)))
    }
}

impl Transport for Replay {
    fn write_some(&mut self, bytes: &[u8], _step: Duration) -> Result<usize, Fault> {
        let Some(&now) = bytes.first() else { return Ok(0) };
        let (mut at, mut done) = self.writing;
        let (line, expected) = loop {
            match self.entries.get(at).map(|entry| (entry.line, &entry.what)) {
                None => return Err(self.differs(format!("written {now:02x} where the record ends"))),
                Some((_, What::Lost(fault))) => return Err(*fault),
                Some((line, What::Left(expected))) if done < expected.len() => {
                    break (line, &expected[done..]);
                }
                Some(_) => (at, done) = (at + 1, 0),
            }
        };
        let n = bytes.len().min(expected.len());
        if let Some(wrong) = (0..n).find(|&i| bytes[i] != expected[i]) {
            let (byte, found, wanted) = (done + wrong + 1, bytes[wrong], expected[wrong]);
            return Err(self.differs(format!(
                "line {line} of the record, byte {byte}: written {found:02x}, recorded {wanted:02x}"
            )));
        }
        // Past an entry that is done, so that what comes after it may be read.
        self.writing = if n == expected.len() { (at + 1, 0) } else { (at, done + n) };
        Ok(n)
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        let (mut at, mut done) = self.reading;
        loop {
            match self.entries.get(at).map(|entry| &entry.what) {
                Some(What::Came(bytes)) if done < bytes.len() => {
                    let n = buffer.len().min(bytes.len() - done);
                    buffer[..n].copy_from_slice(&bytes[done..done + n]);
                    self.reading = if done + n == bytes.len() { (at + 1, 0) } else { (at, done + n) };
                    return Ok(n);
                }
                // Not before what was written before it.
                Some(What::Left(bytes)) if !bytes.is_empty() && at >= self.writing.0 => break,
                Some(What::Lost(fault)) => return Err(*fault),
                Some(_) => (at, done) = (at + 1, 0),
                None => break,
            }
        }
        self.reading = (at, done);
        std::thread::sleep(step);
        Err(Fault::Timeout)
    }

    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        _patience: Patience<'_>,
    ) -> Result<usize, Fault> {
        let mut rest = self.entries.iter().enumerate().skip(self.asking);
        let found = rest.find_map(|(at, entry)| match &entry.what {
            What::Asked(recorded, answer) => Some((at, entry.line, *recorded, answer)),
            _ => None,
        });
        match found {
            Some((at, _, recorded, answer)) if recorded == request => {
                let n = buffer.len().min(answer.len());
                buffer[..n].copy_from_slice(&answer[..n]);
                self.asking = at + 1;
                Ok(n)
            }
            Some((_, line, recorded, _)) => Err(self
                .differs(format!("line {line} of the record: asked {request:x?}, recorded {recorded:x?}"))),
            None => Err(Fault::Unsupported),
        }
    }

    /// Where the line was opened anew, it has to be opened anew again.
    fn is_alive(&mut self) -> bool {
        self.trouble.is_none() && (self.last || !self.is_over())
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    fn leftover(&self) -> Option<String> {
        let rest = self.entries.get(self.writing.0..)?;
        let entry = rest.iter().find(|entry| matches!(entry.what, What::Left(_)))?;
        Some(format!("line {} of the record was not written, nor what follows it", entry.line))
    }
}
