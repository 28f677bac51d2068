//! One reader: its connection, its queue of guests, and the one thing it is asking. Knows how a reader speaks and keeps its
//! connection; knows nothing of what is true about a ticket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::file::{Format, Keeping};
use super::plan::{ReaderPlan, Wish, reader_key, reader_name};
use super::truth::Claim;
use crate::connection::Connection;
use crate::limits;
use crate::request::{Device, RequestWriter, heartbeat_request, reader_request};

/// A reader at a gate.
#[derive(Debug)]
pub struct Reader {
    device: Device,
    host: String,
    number: String,
    speech: Speech,
    /// How it keeps its connection.
    pub keeping: Keeping,
    /// There is one while it is asking, and between scans where it is kept.
    pub connection: Option<Connection>,
    /// Guests who wait before it, the first one first.
    pub queue: VecDeque<Visit>,
    /// What it is asking now.
    pub asking: Option<Asking>,
    /// Since when it has nothing to ask.
    pub free_since: Instant,
    /// Grows whenever a wait of this reader is over: a timer with another number is none of now.
    pub turn: u32,
    /// Its connection was cut, and nothing has answered it since.
    pub is_cut_off: bool,
}

#[derive(Debug)]
enum Speech {
    Json(Box<RequestWriter>),
    Own,
}

/// A guest who has come to a reader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// Place of the stream.
    pub stream: usize,
    /// Which gate on the guest's way.
    pub step: usize,
    /// What is presented.
    pub wish: Wish,
    /// When it was due: the moment its latency counts from.
    pub intended: Instant,
}

/// What a reader waits to be told.
#[derive(Debug)]
pub struct Asking {
    /// About what.
    pub what: Question,
    /// Its bytes, for when it has to be asked again.
    pub request: Vec<u8>,
    /// How often it was sent.
    pub tries: u8,
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Question {
    /// May this guest pass?
    Scan(Visit, Claim),
    /// Are you there?
    Hello,
    /// The rows of the upload at this place.
    Upload {
        /// Place of the upload.
        upload: usize,
        /// When it was due.
        intended: Instant,
    },
}

// === impl Question ===

impl Question {
    /// How long an answer is waited for.
    pub fn wait(&self) -> Duration {
        match self {
            Question::Scan(..) | Question::Hello => limits::ANSWER_WAIT,
            Question::Upload { .. } => limits::UPLOAD_ANSWER_WAIT,
        }
    }
}

// === impl Reader ===

impl Reader {
    /// The reader at this place.
    pub fn new(place: usize, plan: &ReaderPlan, host: &str) -> Reader {
        let device =
            Device { device_id: reader_name(place), api_key: reader_key(place), location: plan.gate.clone() };
        let writer = RequestWriter::new(host, &device);
        let speech = match (plan.format, plan.keeping) {
            (Format::Json, Keeping::KeepAlive) => Speech::Json(Box::new(writer)),
            (Format::Json, Keeping::PerScan) => Speech::Json(Box::new(writer.closing())),
            (Format::Reader, _) => Speech::Own,
        };
        Reader {
            device,
            host: host.to_owned(),
            number: place.to_string(),
            speech,
            keeping: plan.keeping,
            connection: None,
            queue: VecDeque::new(),
            asking: None,
            free_since: Instant::now(),
            turn: 0,
            is_cut_off: false,
        }
    }

    /// The request that presents a code, with a scan id of its own where the reader has such.
    pub fn scan_request(&mut self, code: &str, now: Instant) -> Vec<u8> {
        match &mut self.speech {
            Speech::Json(writer) => {
                let mut request = Vec::new();
                writer.write(&mut request, code, now);
                request
            }
            Speech::Own => {
                let closes = self.keeping == Keeping::PerScan;
                reader_request(&self.host, &self.device, &self.number, code, closes)
            }
        }
    }

    /// The request that only asks whether somebody is there.
    pub fn hello_request(&self) -> Vec<u8> {
        heartbeat_request(&self.host, &self.device)
    }

    /// Whether it speaks the readers' own format.
    pub fn speaks_own(&self) -> bool {
        matches!(self.speech, Speech::Own)
    }
}
