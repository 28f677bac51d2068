//! One request head: request line and headers, and what they say about the body. Knows no socket and no deadline.
//!
//! Stricter than the grammar requires, because two readers of the same bytes must never disagree: lines end in
//! CRLF only, no folded headers, no blank before a colon (httparse refuses those itself), no control characters,
//! exactly one `Host` on 1.1, at most one `Content-Length` (even a repeated equal one is refused), at most one
//! `Transfer-Encoding` which must be `chunked`, never both. Targets may hold UTF-8 beyond ASCII: some readers put
//! the scanned text there as it is.

use super::framing::Refusal;
use super::limits::{HEADERS_MAX, Limits};
use super::message::{HeaderSpan, Headers, Method};
use std::mem::MaybeUninit;
use std::ops::Range;

/// How the body's end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    Fixed(u64),
    Chunked,
}

/// A parsed head; positions count from the first byte of the request. Reused from request to request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    path: Range<usize>,
    query: Option<Range<usize>>,
    spans: Vec<HeaderSpan>,
    /// Bytes up to and including the empty line.
    pub(super) len: usize,
    pub(super) http_10: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) body: BodyLength,
    /// Method and path are known, though the head may have been refused for something else.
    pub(super) located: bool,
}

impl Head {
    pub(super) fn new() -> Self {
        Self {
            method: Method::Other,
            path: 0..0,
            query: None,
            spans: Vec::with_capacity(16),
            len: 0,
            http_10: false,
            keep_alive: false,
            expects_continue: false,
            body: BodyLength::Fixed(0),
            located: false,
        }
    }

    pub(super) fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match text(bytes, &self.path) {
            "" => "/",
            path => path,
        }
    }

    pub(super) fn query<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        self.query.as_ref().map(|query| text(bytes, query))
    }

    pub(super) fn headers<'a>(&'a self, bytes: &'a [u8]) -> Headers<'a> {
        Headers { head: &bytes[..self.len], spans: &self.spans }
    }

    /// Parses the head at the front of `window`; `false` when it is not complete. The verdict on an unfinished
    /// head depends on its whole lines only, so it does not matter how the bytes were cut on their way.
    pub(super) fn parse(&mut self, window: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        self.located = false;
        if matches!(self.attempt(window, limits), Ok(true)) {
            return Ok(true);
        }
        let whole_lines = window.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.attempt(&window[..whole_lines], limits)
    }

    fn attempt(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let mut table = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let outcome = request.parse_with_uninit_headers(bytes, &mut table);
        if request.path.is_some_and(|target| target.len() > limits.target_bytes_max) {
            return Err(Refusal::TARGET_TOO_LONG);
        }
        match outcome {
            Ok(httparse::Status::Complete(len)) => self.accept(bytes, &request, len).map(|()| true),
            Ok(httparse::Status::Partial) => Ok(false),
            Err(httparse::Error::TooManyHeaders) => Err(Refusal::TOO_MANY_HEADERS),
            Err(httparse::Error::Version) if names_other_version(bytes) => Err(Refusal::VERSION),
            Err(_) => Err(Refusal::HEAD_SYNTAX),
        }
    }

    fn accept(
        &mut self,
        bytes: &[u8],
        request: &httparse::Request<'_, '_>,
        len: usize,
    ) -> Result<(), Refusal> {
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(Refusal::HEAD_SYNTAX);
        };
        self.len = len;
        self.http_10 = minor == 0;
        self.method = Method::parse(method.as_bytes()).ok_or(Refusal::METHOD)?;
        self.locate_target(target, target.as_ptr().addr() - bytes.as_ptr().addr())?;
        self.located = true;
        self.locate_headers(bytes, request.headers)?;
        self.interpret(request.headers)
    }

    fn locate_target(&mut self, target: &str, at: usize) -> Result<(), Refusal> {
        let path_from = match target.as_bytes() {
            [b'/', ..] => 0,
            b"*" if self.method == Method::Options => 0,
            _ => authority_end(target).ok_or(Refusal::TARGET)?,
        };
        let path_to = target[path_from..].find('?').map_or(target.len(), |mark| path_from + mark);
        self.path = at + path_from..at + path_to;
        self.query = (path_to < target.len()).then(|| at + path_to + 1..at + target.len());
        Ok(())
    }

    /// Notes where each header lies, and checks that each line before it ended in CRLF: httparse takes a bare LF.
    fn locate_headers(&mut self, bytes: &[u8], headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        let base = bytes.as_ptr().addr();
        self.spans.clear();
        for header in headers {
            let name = header.name.as_ptr().addr() - base;
            let value = if header.value.is_empty() { name } else { header.value.as_ptr().addr() - base };
            if bytes[..name].last_chunk() != Some(b"\r\n") {
                return Err(Refusal::LINE_END);
            }
            self.spans.push(HeaderSpan {
                name: narrow(name),
                name_len: narrow(header.name.len()),
                value: narrow(value),
                value_len: narrow(header.value.len()),
            });
        }
        if bytes[..self.len].last_chunk() != Some(b"\r\n\r\n") {
            return Err(Refusal::LINE_END);
        }
        Ok(())
    }

    /// Reads the headers that concern the layer itself.
    fn interpret(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        let mut special = Special::default();
        for header in headers {
            special.note(header.name.as_bytes(), header.value)?;
        }
        if special.hosts > 1 || (special.hosts == 0 && !self.http_10) {
            return Err(Refusal::HOST);
        }
        self.keep_alive = !special.close && (!self.http_10 || special.keep_alive);
        self.expects_continue = special.expects_continue && !self.http_10;
        if special.expects_other && !self.http_10 {
            return Err(Refusal::EXPECTATION);
        }
        self.body = match (special.length, special.chunked) {
            (Some(_), true) => return Err(Refusal::TWO_LENGTHS),
            (None, true) if self.http_10 => return Err(Refusal::CODING_ON_10),
            (None, true) => BodyLength::Chunked,
            (Some(length), false) => BodyLength::Fixed(length),
            (None, false) if self.method == Method::Post => return Err(Refusal::LENGTH_REQUIRED),
            (None, false) => BodyLength::Fixed(0),
        };
        // The coding is judged last: with a length beside it, or on 1.0, any coding is a fault of framing.
        if special.coding_unknown { Err(Refusal::CODING) } else { Ok(()) }
    }
}

/// What the headers said that the layer acts on.
#[derive(Debug, Default)]
struct Special {
    hosts: u32,
    length: Option<u64>,
    /// A `Transfer-Encoding` was present, known or not.
    chunked: bool,
    coding_unknown: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
}

impl Special {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        // The length is compared first: most headers are ruled out by one integer.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expects_continue |= known;
                self.expects_other |= !known;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Refusal::REPEATED_LENGTH);
                }
                self.length = Some(content_length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked {
                    return Err(Refusal::REPEATED_CODING);
                }
                self.chunked = true;
                self.coding_unknown = !value.eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Digits only: no sign, no list, no blank; 18 digits at most, so that the value fits 64 bits.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::LENGTH_SYNTAX);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Where the path begins in an absolute-form target; `None` when it is none.
fn authority_end(target: &str) -> Option<usize> {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)))?;
    let rest = &target[scheme.len()..];
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    (authority > 0).then_some(scheme.len() + authority)
}

/// Whether the request line ends in a well-formed version that is not ours, rather than in rubbish.
fn names_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    version.strip_prefix(b"HTTP/").is_some_and(|number| number.first().is_some_and(u8::is_ascii_digit))
}

fn text<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    // The range was cut out of a `&str` at ASCII bytes, so this cannot fail; were it to, the path is unknown.
    std::str::from_utf8(&bytes[range.clone()]).unwrap_or("/")
}

fn narrow(position: usize) -> u16 {
    u16::try_from(position).expect("a head is at most 65535 bytes, see Limits::broken_relation")
}
