//! Reads one HTTP reply of `validate` from whatever bytes have arrived. Knows the status, the length, the verdict and
//! the reason; refuses to know the rest, because every byte looked at here is paid for by the core that makes the load.

use memchr::memmem::Finder;

use crate::limits;

/// Finds the parts of a reply; built once, because its searchers are.
#[derive(Debug)]
pub struct ReplyParser {
    head_end: Finder<'static>,
    granted: Finder<'static>,
    reason: Finder<'static>,
    bytes_max: usize,
}

/// One whole reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'bytes> {
    /// HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: &'bytes [u8],
    /// Head and body together.
    pub bytes_len: usize,
}

/// Why bytes can never become a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// The first line is not a status line of HTTP/1.
    NotHttp,
    /// The head has no usable `Content-Length`.
    NoLength,
    /// Longer than the parser takes.
    TooLong,
}

/// What a body says about the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'body> {
    /// `"access_granted":true`
    Granted,
    /// `"access_granted":false` and its reason (empty when there is none).
    Denied(&'body [u8]),
    /// Denied in the readers' own format, which tells people why and machines nothing.
    DeniedUntold,
    /// Neither.
    Unreadable,
}

// === impl ReplyParser ===

impl ReplyParser {
    /// A parser with its searchers ready, for replies up to [`limits::REPLY_BYTES_MAX`].
    pub fn new() -> ReplyParser {
        ReplyParser::up_to(limits::REPLY_BYTES_MAX)
    }

    /// The same for replies up to `bytes_max`.
    pub fn up_to(bytes_max: usize) -> ReplyParser {
        ReplyParser {
            bytes_max,
            head_end: Finder::new(b"\r\n\r\n"),
            granted: Finder::new(b"\"access_granted\":"),
            reason: Finder::new(b"\"reason\":"),
        }
    }

    /// The first whole reply in `bytes`, or `None` while some of it is missing.
    pub fn parse<'bytes>(&self, bytes: &'bytes [u8]) -> Result<Option<Reply<'bytes>>, ReplyError> {
        let Some(head_len) = self.head_end.find(bytes) else {
            return if bytes.len() >= self.bytes_max { Err(ReplyError::TooLong) } else { Ok(None) };
        };
        let status = status_of(bytes).ok_or(ReplyError::NotHttp)?;
        let body_at = head_len + 4;
        let body_len = content_length(&bytes[..head_len]).ok_or(ReplyError::NoLength)?;
        if body_len > self.bytes_max - body_at.min(self.bytes_max) {
            return Err(ReplyError::TooLong);
        }
        let bytes_len = body_at + body_len;
        Ok(bytes.get(body_at..bytes_len).map(|body| Reply { status, body, bytes_len }))
    }

    /// The verdict in a body.
    pub fn verdict<'body>(&self, body: &'body [u8]) -> Verdict<'body> {
        match self.value_after(&self.granted, body) {
            Some(value) if value.starts_with(b"true") => Verdict::Granted,
            Some(value) if value.starts_with(b"false") => Verdict::Denied(self.reason(body)),
            _ => Verdict::Unreadable,
        }
    }

    /// The verdict in a body of the readers' own format. Anything but these two beginnings is no verdict: `0001` to
    /// `0008` open some readers' gates.
    pub fn reader_verdict<'body>(&self, body: &'body [u8]) -> Verdict<'body> {
        if body.starts_with(b"code=0000") {
            Verdict::Granted
        } else if body.starts_with(b"code=02ff") {
            Verdict::DeniedUntold
        } else {
            Verdict::Unreadable
        }
    }

    fn reason<'body>(&self, body: &'body [u8]) -> &'body [u8] {
        let value = self.value_after(&self.reason, body).and_then(|value| value.strip_prefix(b"\""));
        value.and_then(|value| Some(&value[..memchr::memchr(b'"', value)?])).unwrap_or_default()
    }

    fn value_after<'body>(&self, name: &Finder<'_>, body: &'body [u8]) -> Option<&'body [u8]> {
        let at = name.find(body)? + name.needle().len();
        Some(body[at..].trim_ascii_start())
    }
}

impl Default for ReplyParser {
    fn default() -> ReplyParser {
        ReplyParser::new()
    }
}

/// The status in the first bytes of a reply: `HTTP/1.x NNN`.
pub fn status_of(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5)?;
    digits.iter().try_fold(0, |status, digit| Some(status * 10 + u16::from(decimal(*digit)?)))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    let value = line[NAME.len()..].trim_ascii();
    // Seven digits are beyond every limit and far from an overflow.
    if value.is_empty() || value.len() > 7 {
        return None;
    }
    value.iter().try_fold(0, |length, digit| Some(length * 10 + usize::from(decimal(*digit)?)))
}

fn decimal(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 56\r\n\r\n{\"status\":\"success\",\"access_granted\":true,\"reason\":null}";

    #[test]
    fn a_reply_is_whole_only_with_its_last_byte() {
        let parser = ReplyParser::new();
        for cut in 0..ADMIT.len() {
            assert_eq!(parser.parse(&ADMIT[..cut]), Ok(None), "cut at {cut}");
        }
        let reply = parser.parse(ADMIT).unwrap().unwrap();
        assert_eq!((reply.status, reply.bytes_len), (200, ADMIT.len()));
        assert_eq!(parser.verdict(reply.body), Verdict::Granted);
    }

    #[test]
    fn the_bytes_of_a_second_reply_are_left_alone() {
        let two = [ADMIT, ADMIT].concat();
        let reply = ReplyParser::new().parse(&two).unwrap().unwrap();
        assert_eq!(reply.bytes_len, ADMIT.len());
    }

    #[test]
    fn verdicts_and_reasons_are_read() {
        let check = |body: &str, expected| assert_eq!(ReplyParser::new().verdict(body.as_bytes()), expected);
        check(r#"{"access_granted":true,"reason":null}"#, Verdict::Granted);
        check(r#"{"access_granted": false, "reason": "already_used"}"#, Verdict::Denied(b"already_used"));
        check(r#"{"access_granted":false,"reason":null}"#, Verdict::Denied(b""));
        check(r#"{"access_granted":"true"}"#, Verdict::Unreadable);
        check(r#"{"status":"error","error":"malformed_request"}"#, Verdict::Unreadable);
    }

    #[test]
    fn the_readers_own_format_is_read_and_an_opening_refusal_is_no_verdict() {
        let check = |body: &str, expected| {
            assert_eq!(ReplyParser::new().reader_verdict(body.as_bytes()), expected, "{body}");
        };
        check(r#"code=0000&&desc=json&&{"resultCode":"0000"}"#, Verdict::Granted);
        check(r#"code=02ff&&msg="Used"&&play="2"&&msgTimeout="3000""#, Verdict::DeniedUntold);
        check("code=0001", Verdict::Unreadable);
        check("ok", Verdict::Unreadable);
    }

    #[test]
    fn what_can_never_become_a_reply_is_refused() {
        let check = |bytes: &[u8], expected| assert_eq!(ReplyParser::new().parse(bytes), Err(expected));
        check(b"SMTP ready\r\n\r\n", ReplyError::NotHttp);
        check(b"HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", ReplyError::NotHttp);
        check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ReplyError::NoLength);
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", ReplyError::NoLength);
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", ReplyError::TooLong);
        check(&vec![b'x'; limits::REPLY_BYTES_MAX], ReplyError::TooLong);
    }
}
