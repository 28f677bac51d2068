//! How a scan is asked and answered on a connection, so that one loop can load whatever decides: the device port here, other
//! systems elsewhere. Knows bytes of questions and answers; knows nothing of which code is right.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::connection::Connection;
use crate::reply::{ReplyParser, Verdict};
use crate::request::RequestWriter;

/// A protocol in which one scan at a time is asked on each connection.
pub trait Speech {
    /// Opens a connection that is ready for the first question.
    fn connect(&self, addr: SocketAddr) -> io::Result<Connection> {
        Connection::open(addr)
    }

    /// Replaces `request` by the question for a code.
    fn ask(&mut self, request: &mut Vec<u8>, code: &str, now: Instant);

    /// The first whole answer in `bytes`, or `None` while some of it is missing; an error says why they can never be one.
    fn answer<'bytes>(&self, bytes: &'bytes [u8]) -> Result<Option<Answer<'bytes>>, String>;
}

/// One whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'bytes> {
    /// As HTTP has it: 200 is an answer with a verdict.
    pub status: u16,
    /// What it says about the guest.
    pub verdict: Verdict<'bytes>,
    /// Its length.
    pub bytes_len: usize,
}

/// The device port's JSON over HTTP.
#[derive(Debug)]
pub struct Http {
    writer: RequestWriter,
    parser: ReplyParser,
}

// === impl Http ===

impl Http {
    /// Requests as this writer makes them.
    pub fn new(writer: RequestWriter) -> Http {
        Http { writer, parser: ReplyParser::new() }
    }
}

impl Speech for Http {
    fn ask(&mut self, request: &mut Vec<u8>, code: &str, now: Instant) {
        self.writer.write(request, code, now);
    }

    fn answer<'bytes>(&self, bytes: &'bytes [u8]) -> Result<Option<Answer<'bytes>>, String> {
        let reply = self.parser.parse(bytes).map_err(|error| format!("not a reply: {error:?}"))?;
        Ok(reply.map(|reply| Answer {
            status: reply.status,
            verdict: self.parser.verdict(reply.body),
            bytes_len: reply.bytes_len,
        }))
    }
}
