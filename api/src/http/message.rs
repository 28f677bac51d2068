//! The words spoken between the HTTP layer and a service: method, request, reply, fault, and what comes next.
//! Knows no socket and no ticket; a service that sees only these types can be tested without a network.

use super::stages::Stages;
use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Request method, as far as this port tells methods apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`: answered like `GET`; the layer leaves the body out.
    Head,
    /// `POST`.
    Post,
    /// `OPTIONS`; the path is `*` when the server as a whole is asked.
    Options,
    /// A method HTTP knows and this port does not: `PUT`, `DELETE`, `PATCH`, `TRACE`. For the service to refuse (405).
    Other,
}

impl Method {
    /// `None` for a name that is no registered method (methods are case-sensitive) and for `CONNECT`.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"OPTIONS" => Self::Options,
            b"PUT" | b"DELETE" | b"PATCH" | b"TRACE" => Self::Other,
            _ => return None,
        })
    }
}

/// Place of one header inside the bytes of its head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeaderSpan {
    pub(super) name: u16,
    pub(super) name_len: u16,
    pub(super) value: u16,
    pub(super) value_len: u16,
}

/// Headers of one request, in the order they came. Borrowed from the read buffer; nothing is copied.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    pub(super) head: &'a [u8],
    pub(super) spans: &'a [HeaderSpan],
}

impl<'a> Headers<'a> {
    /// Value of the first header of this name (any case), without surrounding blanks. Linear in the headers.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Name and value of each header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let head = self.head;
        self.spans.iter().map(move |span| {
            let (name, value) = (usize::from(span.name), usize::from(span.value));
            (
                &head[name..name + usize::from(span.name_len)],
                &head[value..value + usize::from(span.value_len)],
            )
        })
    }

    /// Number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// Headers by value, one after the other: for a [`Service`] that another HTTP layer than this one calls.
#[derive(Debug, Default)]
pub struct HeaderList {
    head: Vec<u8>,
    spans: Vec<HeaderSpan>,
}

impl HeaderList {
    /// Forgets all; keeps the buffers.
    pub fn clear(&mut self) {
        self.head.clear();
        self.spans.clear();
    }

    /// Adds one header. `false`: beyond the 64 KiB that places are counted in; it is not added.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> bool {
        let place = |at: usize| u16::try_from(at).ok();
        let at = self.head.len();
        let span = || {
            Some(HeaderSpan {
                name: place(at)?,
                name_len: place(name.len())?,
                value: place(at + name.len())?,
                value_len: place(value.len())?,
            })
        };
        let Some(span) = span() else { return false };
        self.head.extend_from_slice(name);
        self.head.extend_from_slice(value);
        self.spans.push(span);
        true
    }

    /// As a request has them.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers { head: &self.head, spans: &self.spans }
    }
}

/// One whole request: its body has been read before the service sees it. `M` is [`Service::Memo`].
#[derive(Debug)]
pub struct Request<'a, M> {
    /// Method.
    pub method: Method,
    /// Path, not percent-decoded, without the query: begins with `/`, or is `*` (`OPTIONS` only).
    pub path: &'a str,
    /// What follows the first `?`, not decoded.
    pub query: Option<&'a str>,
    /// Headers.
    pub headers: Headers<'a>,
    /// Body, chunks already joined; empty when there is none.
    pub body: &'a [u8],
    /// Address of the other end, IPv4-mapped addresses as IPv4.
    pub peer: IpAddr,
    /// What the service wants to remember for the life of this connection, such as an authenticated key.
    pub memo: &'a M,
}

/// A header name or value that would break the head: refused, the reply is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header is not allowed: control character, bad name, or a name the http layer owns")]
pub struct HeaderRefused;

/// One answer. The layer hands it out cleared and uses it again: its buffers keep their capacity.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code, 200 when cleared. 204 and 304 are sent without body.
    pub status: u16,
    /// `Content-Type`; left out of the answer when empty.
    pub content_type: &'static str,
    /// Body. `Content-Length` is its length.
    pub body: Vec<u8>,
    pub(super) headers: Vec<u8>,
    /// LSN that must be durable before this reply leaves; 0 = none.
    pub wait: u64,
    /// Opaque to this layer; given back to [`Service::undurable`] and, once the request ran, to [`Service::fault`].
    pub tag: u32,
    /// Close the connection after this reply.
    pub close: bool,
}

impl Reply {
    /// An empty 200.
    #[must_use]
    pub fn new() -> Self {
        Self {
            status: 200,
            content_type: "",
            body: Vec::new(),
            headers: Vec::new(),
            wait: 0,
            tag: 0,
            close: false,
        }
    }

    /// Back to an empty 200; keeps the buffers.
    pub fn clear(&mut self) {
        self.status = 200;
        self.content_type = "";
        self.body.clear();
        self.headers.clear();
        self.wait = 0;
        self.tag = 0;
        self.close = false;
    }

    /// Name and value of each header line the service added, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.headers.split(|byte| *byte == b'\n');
        lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// Back to an empty 200 that still knows whom it is for: keeps the tag and the headers.
    pub(super) fn begin_again(&mut self) {
        self.status = 200;
        self.content_type = "";
        self.body.clear();
        self.wait = 0;
        self.close = false;
    }

    /// Adds one header line.
    ///
    /// # Errors
    /// [`HeaderRefused`] when the name is not a token or is one the layer writes itself (`Content-Length`,
    /// `Content-Type`, `Transfer-Encoding`, `Connection`, `Date`), or the value holds CR, LF, NUL or another
    /// control character.
    pub fn header(&mut self, name: &str, value: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), HeaderRefused> {
        const OWNED: [&str; 5] =
            ["content-length", "content-type", "transfer-encoding", "connection", "date"];
        let value = value.as_ref();
        let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let clean = value.iter().all(|byte| (*byte >= 0x20 && *byte != 0x7f) || *byte == b'\t');
        if !token || !clean || OWNED.iter().any(|owned| owned.eq_ignore_ascii_case(name)) {
            return Err(HeaderRefused);
        }
        self.headers.extend_from_slice(name.as_bytes());
        self.headers.extend_from_slice(b": ");
        self.headers.extend_from_slice(value);
        self.headers.extend_from_slice(b"\r\n");
        Ok(())
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

/// What the layer does after [`Service::call`] returned.
pub enum Next {
    /// The reply is complete.
    Reply,
    /// The reply comes later (a cold look-up). Earlier pipelined replies leave first; a client that closed only
    /// its sending half is still answered. After `later_ms_max`: fault 503.
    Later(Pin<Box<dyn Future<Output = Reply>>>),
    /// Like `Later`, for waiting on news: when the time is up or the server drains, the reply as `call` left it
    /// ("nothing new") is sent instead; a client that closes is forgotten.
    LongPoll(Pin<Box<dyn Future<Output = Reply>>>),
    /// The reply is a stream: its head is sent as `call` left it, then the source's bytes. The connection closes
    /// at the end.
    Stream(Box<dyn Source>),
}

/// Whether a [`Source`] has more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Ask again once these bytes are written.
    More,
    /// These bytes are the last.
    End,
}

/// The body of a streamed reply. Asked for more only when everything before has been taken by the peer's socket.
pub trait Source {
    /// Appends the next piece to `out` (keep pieces below 64 KiB); `Pending` promises a wake. Never called after
    /// `End`; dropped when the peer goes, does not read, or the server drains.
    fn poll_next(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Flow>;
}

/// A request the layer refuses by itself, or could not get answered.
#[derive(Debug, Clone)]
pub struct Fault<'a> {
    /// Status code of the answer.
    pub status: u16,
    /// Stable code for programs.
    pub code: &'static str,
    /// A sentence for people; says what was wrong, never what was sent.
    pub message: &'static str,
    /// Method, when the head was well-formed.
    pub method: Option<Method>,
    /// Path, when the head was well-formed.
    pub path: Option<Cow<'a, str>>,
}

/// What answers requests. One instance per worker thread; it may be full of `Cell`s.
///
/// A panic in any of these is caught, counted, answered as 503 and closes that connection only.
pub trait Service: 'static {
    /// Kept per connection; see [`Request::memo`].
    type Memo: Default + 'static;

    /// Body bytes allowed for this path; the layer's own ceiling applies on top. Called once per request head.
    fn body_bytes_max(&self, method: Method, path: &str) -> usize;

    /// Where the times of an answer's steps go; `None`: nobody wants to know.
    fn stages(&self) -> Option<&Stages> {
        None
    }

    /// Answers one request. Runs on the worker's only thread: it must not block.
    fn call(&self, request: &Request<'_, Self::Memo>, reply: &mut Reply) -> Next;

    /// The journal failed (or took longer than `durable_ms_max`) while a reply was waiting for it: write the
    /// "unavailable" answer instead. `reply` comes cleared, but for `tag`, `wait` and the headers it had.
    fn undurable(&self, reply: &mut Reply);

    /// Fills the body for a protocol fault; `reply.status` is already set (a device that knows only 200 may be given
    /// one), and the connection closes afterwards. Where the request ran before it failed (it panicked, its late
    /// answer never came), `reply` keeps the tag and the headers [`Service::call`] left.
    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_given_one_by_one_are_found_like_those_of_a_head() {
        let mut list = HeaderList::default();
        assert!(list.push(b"X-Api-Key", b"secret") && list.push(b"Idempotency-Key", b""));
        assert!(!list.push(b"X-Long", &[b'x'; 70_000]), "places are counted in two bytes");
        let headers = list.headers();
        assert_eq!((headers.len(), headers.get("x-api-key")), (2, Some(&b"secret"[..])));
        assert_eq!(headers.get("idempotency-key"), Some(&b""[..]));
        list.clear();
        assert!(list.headers().is_empty());
    }

    #[test]
    fn a_reply_tells_its_own_headers() {
        let mut reply = Reply::new();
        reply.header("Retry-After", "1").unwrap();
        reply.header("X-Note", "a: b").unwrap();
        let all: Vec<_> = reply.headers().collect();
        assert_eq!(all, [(&b"Retry-After"[..], &b"1"[..]), (&b"X-Note"[..], &b"a: b"[..])]);
    }
}
