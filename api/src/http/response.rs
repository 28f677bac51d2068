//! Response bytes: status line, headers, body; and the `Date` text. Knows nothing of connections.

use super::message::Reply;
use std::ops::Range;

/// What the request said about the shape of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// `HEAD`: everything but the body.
    pub(super) head_only: bool,
    pub(super) http_10: bool,
    pub(super) keep_alive: bool,
}

/// Answer to `Expect: 100-continue`.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes of a chunk's size line as written here: eight digits and CRLF, so the place can be kept beforehand.
pub(super) const CHUNK_HEAD_LEN: usize = 10;
/// Ends a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) type DateText = [u8; 29];

/// Appends one answer with `Content-Length` (none on 204 and 304, as HTTP demands). Gives the place of the service's
/// own headers. About 60 ns.
pub(super) fn write_reply(out: &mut Vec<u8>, reply: &Reply, shape: Shape, date: &DateText) -> Range<usize> {
    let bodiless = matches!(reply.status, 204 | 304);
    let headers = write_head(out, reply, date);
    if !bodiless {
        out.extend_from_slice(b"Content-Length: ");
        write_number(out, reply.body.len());
        out.extend_from_slice(b"\r\n");
    }
    if !shape.keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if shape.http_10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !bodiless && !shape.head_only {
        out.extend_from_slice(&reply.body);
    }
    headers
}

/// Appends the head of a stream: chunked on 1.1, ended by the close on 1.0. Gives the place of the service's own headers.
pub(super) fn write_stream_head(
    out: &mut Vec<u8>,
    reply: &Reply,
    shape: Shape,
    date: &DateText,
) -> Range<usize> {
    let headers = write_head(out, reply, date);
    if !shape.http_10 {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    headers
}

/// Fills in the size line kept free in front of a chunk and ends the chunk; an empty one is taken back, for a
/// chunk of size zero would end the body.
pub(super) fn close_chunk(out: &mut Vec<u8>, from: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let size = out.len() - from - CHUNK_HEAD_LEN;
    if size == 0 {
        return out.truncate(from);
    }
    for place in 0..8 {
        out[from + place] = DIGITS[(size >> (28 - 4 * place)) & 15];
    }
    out[from + 8..from + CHUNK_HEAD_LEN].copy_from_slice(b"\r\n");
    out.extend_from_slice(b"\r\n");
}

fn write_head(out: &mut Vec<u8>, reply: &Reply, date: &DateText) -> Range<usize> {
    match reply.status {
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: "),
        status => {
            out.extend_from_slice(b"HTTP/1.1 ");
            write_number(out, usize::from(status));
            out.push(b' ');
            out.extend_from_slice(reason(status).as_bytes());
            out.extend_from_slice(b"\r\nDate: ");
        }
    }
    out.extend_from_slice(date);
    if !reply.content_type.is_empty() {
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(reply.content_type.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    let from = out.len();
    out.extend_from_slice(&reply.headers);
    from..out.len()
}

fn write_number(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

/// The moment `unix_seconds` after 1970 as an HTTP date. Called once a second.
pub(super) fn date_text(unix_seconds: u64) -> DateText {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Years counted from March, so that the leap day is the last of its year (Hinnant, "civil from days").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let text = format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[usize::try_from(days % 7).unwrap_or(0)],
        MONTHS[usize::try_from(month).unwrap_or(0)],
        second / 3_600,
        second / 60 % 60,
        second % 60
    );
    text.as_bytes().try_into().unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_HEAD_LEN, Shape, close_chunk, date_text, write_reply};
    use crate::http::Reply;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        let check = |seconds, expected: &str| assert_eq!(date_text(seconds), expected.as_bytes());
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT");
        check(1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT");
        check(4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn a_reply_is_written_byte_for_byte() {
        let mut reply = Reply::new();
        reply.content_type = "text/plain";
        reply.body.extend_from_slice(b"hello");
        reply.header("Allow", "GET").expect("a plain header");
        let mut out = Vec::new();
        let shape = Shape { head_only: false, http_10: true, keep_alive: true };
        write_reply(&mut out, &reply, shape, &date_text(0));
        let expected = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n\
                        Allow: GET\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn chunks_carry_their_size_and_an_empty_one_is_not_written() {
        let mut out = vec![0; CHUNK_HEAD_LEN];
        out.extend_from_slice(&[b'x'; 17]);
        close_chunk(&mut out, 0);
        assert_eq!(out, b"00000011\r\nxxxxxxxxxxxxxxxxx\r\n");
        let mut out = vec![0; CHUNK_HEAD_LEN];
        close_chunk(&mut out, 0);
        assert!(out.is_empty());
    }

    #[test]
    fn a_header_that_would_split_the_head_is_refused() {
        let mut reply = Reply::new();
        for (name, value) in [
            ("X", "a\r\nSet: b"),
            ("X", "a\0"),
            ("X", "a\nb"),
            ("X y", "a"),
            ("", "a"),
            ("Content-Length", "3"),
        ] {
            assert!(reply.header(name, value).is_err(), "{name:?}: {value:?}");
        }
        assert!(reply.headers.is_empty());
    }
}
