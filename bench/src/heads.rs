//! Request heads, from bytes to what the device port acts on, and the same with the bare parser beneath it. Knows
//! what readers and browsers send; knows no socket and no body's meaning.

use api::http::{Feed, HEADERS_MAX, Lengths, Limits};
use load_tests::request::{Device, RequestWriter};
use std::mem::MaybeUninit;
use std::time::Instant;

/// A browser's request, as of somebody who looks at the device port: twenty headers and no body.
pub const BROWSER: &[u8] = b"GET /api/kqt300/config?device_id=KQT300_001 HTTP/1.1\r\n\
Host: gate-north.venue.example:8080\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
DNT: 1\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: none\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: http://gate-north.venue.example:8080/\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: session=4f0c1d2e3b4a59687776655443322110; theme=dark\r\n\
If-None-Match: \"5d8c72a5edda8d6a\"\r\n\
X-Forwarded-For: 192.0.2.17\r\n\
\r\n";

/// Headers of [`BROWSER`].
pub const BROWSER_HEADERS: usize = 20;

/// The load program's request: four lines of head and a scan.
pub fn scan_request() -> Vec<u8> {
    let mut request = Vec::new();
    let mut writer = RequestWriter::new("127.0.0.1:8080", &Device::default());
    writer.write(&mut request, "DEMO-STD-000001", Instant::now());
    request
}

/// The same bytes as a network may deliver them: three pieces, none of which ends with a line.
pub fn in_three(request: &[u8]) -> [&[u8]; 3] {
    let (first, rest) = request.split_at(request.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    [first, second, third]
}

/// The framing of a connection with the limits a server has by default.
pub fn connection() -> Feed {
    Feed::new(Limits::DEFAULT)
}

/// One request through the framing: copied in piece by piece, looked at after each, taken out.
pub fn frame(feed: &mut Feed, pieces: &[&[u8]]) -> Lengths {
    let (last, before) = pieces.split_last().expect("a request has bytes");
    for piece in before {
        feed.give(piece);
        assert_eq!(feed.take(), Ok(None));
    }
    feed.give(last);
    feed.take().expect("the request is well formed").expect("these are all its pieces")
}

/// The bare parser over the same bytes: nothing copied, no header read, none of the port's rules. Gives the head's
/// length and the number of headers.
pub fn parse_httparse(request: &[u8]) -> (usize, usize) {
    let mut table = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(request, &mut table) {
        Ok(httparse::Status::Complete(len)) => (len, parsed.headers.len()),
        other => panic!("a whole and well formed head came out as {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &[u8], headers: usize) {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let expected = Lengths { head, body: request.len() - head };
        let mut feed = connection();
        for _ in 0..3 {
            assert_eq!(frame(&mut feed, &[request]), expected);
            assert_eq!(frame(&mut feed, &in_three(request)), expected);
        }
        assert_eq!(parse_httparse(request), (head, headers));
    }

    #[test]
    fn a_scan_is_found_whole_and_in_pieces() {
        check(&scan_request(), 3);
    }

    #[test]
    fn a_head_of_twenty_headers_is_found_whole_and_in_pieces() {
        check(BROWSER, BROWSER_HEADERS);
    }

    #[test]
    fn no_piece_of_three_ends_with_a_line() {
        for request in [scan_request().as_slice(), BROWSER] {
            let [first, second, _] = in_three(request);
            assert!(![first, second].iter().any(|piece| piece.ends_with(b"\n")));
        }
    }
}
