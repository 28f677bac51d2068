//! Framing: where one request ends and the next begins. Fed a growing buffer, says "more", "whole" or "refuse".
//! Knows no socket and no clock; the result never depends on how the bytes were cut into reads.
//!
//! ```text
//! buffer, fixed length:  [ head | body ]                        [ next request …
//! buffer, chunked:       [ head | joined body | undecoded … ]   the gap left by chunk lines is closed as we go
//! ```

use super::buffer::Buffer;
use super::head::{BodyLength, Head};
use super::limits::Limits;
use super::message::Method;

/// Why the bytes are no request this port serves. The connection closes after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

impl Refusal {
    const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message }
    }

    const fn malformed(message: &'static str) -> Self {
        Self::new(400, "malformed_request", message)
    }

    pub(super) const HEAD_SYNTAX: Self = Self::malformed("The request line or a header is not valid HTTP.");
    pub(super) const LINE_END: Self = Self::malformed("A line of the request head does not end in CRLF.");
    pub(super) const TARGET: Self = Self::malformed("The request target is not a path.");
    pub(super) const HOST: Self = Self::malformed("Exactly one Host header is required.");
    pub(super) const LENGTH_SYNTAX: Self = Self::malformed("Content-Length is not a number.");
    pub(super) const REPEATED_LENGTH: Self = Self::malformed("Content-Length is given twice.");
    pub(super) const REPEATED_CODING: Self = Self::malformed("Transfer-Encoding is given twice.");
    pub(super) const TWO_LENGTHS: Self =
        Self::malformed("Both Content-Length and Transfer-Encoding are given.");
    pub(super) const CODING_ON_10: Self = Self::malformed("Transfer-Encoding does not exist in HTTP/1.0.");
    pub(super) const CHUNK: Self = Self::malformed("The chunked body is broken.");
    pub(super) const CUT_SHORT: Self = Self::malformed("The request ended early.");
    pub(super) const SLOW: Self = Self::new(408, "request_timeout", "The request took too long to arrive.");
    pub(super) const LENGTH_REQUIRED: Self =
        Self::new(411, "length_required", "A POST needs Content-Length or a chunked body.");
    pub(super) const BODY_TOO_LARGE: Self = Self::new(413, "body_too_large", "The body is too large.");
    pub(super) const TARGET_TOO_LONG: Self =
        Self::new(414, "target_too_long", "The request target is too long.");
    pub(super) const EXPECTATION: Self =
        Self::new(417, "expectation_failed", "The only expectation known here is 100-continue.");
    pub(super) const HEAD_TOO_LARGE: Self =
        Self::new(431, "head_too_large", "The request head is too large.");
    pub(super) const TOO_MANY_HEADERS: Self = Self::new(431, "head_too_large", "There are too many headers.");
    pub(super) const TRAILERS: Self = Self::new(431, "head_too_large", "The trailers are too large.");
    pub(super) const METHOD: Self = Self::new(501, "not_implemented", "The method is not known here.");
    pub(super) const CODING: Self =
        Self::new(501, "not_implemented", "The transfer coding is not known here.");
    pub(super) const BUSY: Self =
        Self::new(503, "unavailable", "The server is out of room for large requests.");
    pub(super) const LATE: Self = Self::new(503, "unavailable", "The answer took too long.");
    pub(super) const PANIC: Self = Self::new(503, "unavailable", "The request could not be handled.");
    pub(super) const VERSION: Self =
        Self::new(505, "version_not_supported", "Only HTTP/1.0 and 1.1 are spoken here.");
}

/// What one look at the buffer came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The request is not complete.
    More,
    /// The request is complete: [`Framer::body`] may be taken, then [`Framer::finish`] is due.
    Whole,
    Refuse(Refusal),
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// `seen` bytes hold no end of line that was not looked at.
    Head {
        seen: usize,
    },
    /// Head and body are `total` bytes together.
    Fixed {
        total: usize,
    },
    Chunked(Chunks),
    /// `consumed` bytes of the buffer belong to the request, its body ends at `body_end`.
    Whole {
        body_end: usize,
        consumed: usize,
    },
}

/// Progress in a chunked body. `head.len <= joined <= next`.
#[derive(Debug, Clone, Copy)]
struct Chunks {
    /// End of the body joined so far.
    joined: usize,
    /// First byte not decoded yet.
    next: usize,
    body_bytes_max: usize,
    trailer_bytes: usize,
    state: ChunkState,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    Size,
    Data { left: usize },
    DataEnd,
    Trailer,
}

/// The state of one connection's framing.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) head: Head,
    stage: Stage,
}

impl Framer {
    pub(super) fn new() -> Self {
        Self { head: Head::new(), stage: Stage::Head { seen: 0 } }
    }

    /// Whether the head is accepted and the body is awaited or here.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.stage, Stage::Head { .. })
    }

    /// The body of a whole request.
    pub(super) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.stage {
            Stage::Whole { body_end, .. } => &bytes[self.head.len..body_end],
            _ => &[],
        }
    }

    /// Removes the whole request from the buffer; the next one may begin.
    pub(super) fn finish(&mut self, buffer: &mut Buffer) {
        if let Stage::Whole { consumed, .. } = self.stage {
            buffer.consume(consumed);
        }
        self.reset();
    }

    pub(super) fn reset(&mut self) {
        self.head.located = false;
        self.stage = Stage::Head { seen: 0 };
    }

    /// Whether "100 Continue" is due: asked for, body accepted, and none of it here yet. True once.
    pub(super) fn take_continue(&mut self, buffer: &Buffer) -> bool {
        self.in_body()
            && buffer.filled().len() == self.head.len
            && std::mem::take(&mut self.head.expects_continue)
    }

    /// Looks at everything received so far. `body_bytes_max` is asked once per request, when its head is known.
    pub(super) fn step(
        &mut self,
        buffer: &mut Buffer,
        limits: &Limits,
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Step {
        match self.try_step(buffer, limits, body_bytes_max) {
            Ok(true) => Step::Whole,
            Ok(false) => Step::More,
            Err(refusal) => Step::Refuse(refusal),
        }
    }

    fn try_step(
        &mut self,
        buffer: &mut Buffer,
        limits: &Limits,
        body_bytes_max: impl FnOnce(Method, &str) -> usize,
    ) -> Result<bool, Refusal> {
        if let Stage::Head { seen } = self.stage {
            if !self.step_head(buffer, limits, seen)? {
                return Ok(false);
            }
            let allowed = body_bytes_max(self.head.method, self.head.path(buffer.filled()));
            self.enter_body(allowed.min(limits.body_bytes_max))?;
        }
        match self.stage {
            Stage::Head { .. } => Ok(false),
            Stage::Whole { .. } => Ok(true),
            Stage::Fixed { total } => {
                let whole = buffer.filled().len() >= total;
                if whole {
                    self.stage = Stage::Whole { body_end: total, consumed: total };
                }
                Ok(whole)
            }
            Stage::Chunked(mut chunks) => {
                let whole = chunks.decode(buffer.filled_mut(), self.head.len, limits)?;
                if whole {
                    self.stage = Stage::Whole { body_end: chunks.joined, consumed: chunks.next };
                } else {
                    buffer.cut(chunks.joined, chunks.next - chunks.joined);
                    chunks.next = chunks.joined;
                    self.stage = Stage::Chunked(chunks);
                }
                Ok(whole)
            }
        }
    }

    fn step_head(&mut self, buffer: &mut Buffer, limits: &Limits, seen: usize) -> Result<bool, Refusal> {
        if !skip_blank_lines(buffer)? {
            return Ok(false);
        }
        let bytes = buffer.filled();
        let window = &bytes[..bytes.len().min(limits.head_bytes_max)];
        let full = window.len() == limits.head_bytes_max;
        // Without a new end of line there is nothing new to decide: a trickled head is not parsed at every byte.
        let undecided = seen > 0 && !window[seen.min(window.len())..].contains(&b'\n');
        if (undecided && !full) || !self.head.parse(window, limits)? {
            self.stage = Stage::Head { seen: window.len() };
            return match full {
                false => Ok(false),
                true if window.contains(&b'\n') => Err(Refusal::HEAD_TOO_LARGE),
                true => Err(Refusal::TARGET_TOO_LONG),
            };
        }
        Ok(true)
    }

    fn enter_body(&mut self, body_bytes_max: usize) -> Result<(), Refusal> {
        let head_len = self.head.len;
        self.stage = match self.head.body {
            BodyLength::Fixed(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > body_bytes_max {
                    return Err(Refusal::BODY_TOO_LARGE);
                }
                Stage::Fixed { total: head_len + length }
            }
            BodyLength::Chunked => Stage::Chunked(Chunks {
                joined: head_len,
                next: head_len,
                body_bytes_max,
                trailer_bytes: 0,
                state: ChunkState::Size,
            }),
        };
        Ok(())
    }
}

impl Chunks {
    /// Decodes what is there, joining the data behind the head; `true` when the last chunk and its trailers ended.
    fn decode(&mut self, bytes: &mut [u8], head_len: usize, limits: &Limits) -> Result<bool, Refusal> {
        loop {
            match self.state {
                ChunkState::Size => {
                    let Some(line) = line_at(bytes, self.next, limits.chunk_line_bytes_max, Refusal::CHUNK)?
                    else {
                        return Ok(false);
                    };
                    let size = chunk_size(line)?;
                    self.next += line.len() + 2;
                    if size > self.body_bytes_max - (self.joined - head_len) {
                        return Err(Refusal::BODY_TOO_LARGE);
                    }
                    self.state =
                        if size == 0 { ChunkState::Trailer } else { ChunkState::Data { left: size } };
                }
                ChunkState::Data { left } => {
                    let here = left.min(bytes.len() - self.next);
                    bytes.copy_within(self.next..self.next + here, self.joined);
                    self.joined += here;
                    self.next += here;
                    self.state = ChunkState::Data { left: left - here };
                    if here < left {
                        return Ok(false);
                    }
                    self.state = ChunkState::DataEnd;
                }
                ChunkState::DataEnd => match bytes[self.next..] {
                    [] | [b'\r'] => return Ok(false),
                    [b'\r', b'\n', ..] => {
                        self.next += 2;
                        self.state = ChunkState::Size;
                    }
                    _ => return Err(Refusal::CHUNK),
                },
                ChunkState::Trailer => {
                    let left = limits.trailer_bytes_max - self.trailer_bytes;
                    let Some(line) = line_at(bytes, self.next, left, Refusal::TRAILERS)? else {
                        return Ok(false);
                    };
                    self.next += line.len() + 2;
                    self.trailer_bytes += line.len() + 2;
                    match line {
                        [] => return Ok(true),
                        // Trailers are dropped, yet a folded or nameless one is as suspect here as in a head.
                        [b' ' | b'\t' | b':', ..] => return Err(Refusal::CHUNK),
                        _ if !line.contains(&b':') => return Err(Refusal::CHUNK),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Drops empty lines before a request: old clients send one after a body. `false`: no request has begun yet.
fn skip_blank_lines(buffer: &mut Buffer) -> Result<bool, Refusal> {
    loop {
        match buffer.filled() {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] => buffer.consume(2),
            [b'\r' | b'\n', ..] => return Err(Refusal::LINE_END),
            _ => return Ok(true),
        }
    }
}

/// The line at `at` without its CRLF, `None` when its end is not here yet; `too_long` when it and its CRLF exceed
/// `max` bytes. Control characters, a bare CR and a bare LF are refused.
fn line_at(bytes: &[u8], at: usize, max: usize, too_long: Refusal) -> Result<Option<&[u8]>, Refusal> {
    let window = &bytes[at..bytes.len().min(at + max)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return if window.len() == max { Err(too_long) } else { Ok(None) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(Refusal::CHUNK)?;
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Refusal::CHUNK);
    }
    Ok(Some(line))
}

/// Hexadecimal digits, then nothing or `;` and an extension (ignored). No sign, no `0x`, no blank; 8 digits at most.
fn chunk_size(line: &[u8]) -> Result<usize, Refusal> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Refusal::CHUNK);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Refusal::CHUNK)?;
    usize::from_str_radix(digits, 16).map_err(|_| Refusal::CHUNK)
}
