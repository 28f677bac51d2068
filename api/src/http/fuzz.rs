//! What must hold for any bytes at all, checked on the framing alone: no socket, no service.
//! A random search (a test here, an external fuzzer elsewhere) calls [`fuzz_framing`].

use super::feed::Feed;
use super::framing::{Refusal, Step};
use super::limits::Limits;
use super::message::Method;

/// Small, so that short inputs reach every limit.
const LIMITS: Limits = Limits {
    head_bytes_max: 512,
    target_bytes_max: 64,
    body_bytes_max: 96,
    chunk_line_bytes_max: 24,
    trailer_bytes_max: 48,
    buffer_bytes_initial: 256,
    ..Limits::DEFAULT
};

/// So that a body's limit depends on the path, as a service's does.
const BODY_PER_PATH_BYTE: usize = 8;

/// One accepted request, as far as a service could see it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: Method,
    path: String,
    query: Option<String>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    keep_alive: bool,
}

/// Everything the framing made of an input.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    requests: Vec<Seen>,
    refusal: Option<Refusal>,
    /// Bytes left over, of a request that is not complete.
    rest: usize,
}

/// Runs `data` through the framing whole, byte by byte, and cut at places derived from the data.
///
/// # Panics
/// When the outcome depends on the cuts, when an accepted request breaks a rule (two lengths, a body of another
/// size than announced, a limit exceeded, a control character in a header), or when the framing itself panics.
pub fn fuzz_framing(data: &[u8]) {
    let whole = run(data, [data.len()]);
    whole.requests.iter().for_each(check);
    let bytewise = run(data, std::iter::repeat_n(1, data.len()));
    assert_eq!(whole, bytewise, "read byte by byte, the outcome differs");
    let mut seed = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let cuts = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 59).unwrap_or(1)
    });
    assert_eq!(whole, run(data, cuts), "cut at other places, the outcome differs");
}

/// Feeds `data` in pieces of the given sizes, as reads of a connection would.
fn run(data: &[u8], sizes: impl IntoIterator<Item = usize>) -> Outcome {
    let mut feed = Feed::new(LIMITS);
    let mut outcome = Outcome::default();
    let mut sizes = sizes.into_iter();
    let mut fed = 0;
    while fed < data.len() && outcome.refusal.is_none() {
        let piece = sizes.next().unwrap_or(1).min(data.len() - fed);
        feed.give(&data[fed..fed + piece]);
        fed += piece;
        take_requests(&mut feed, &mut outcome);
    }
    if outcome.refusal.is_none() {
        outcome.rest = feed.buffer.filled().len();
    }
    outcome
}

fn take_requests(feed: &mut Feed, outcome: &mut Outcome) {
    loop {
        match feed.step(BODY_PER_PATH_BYTE) {
            Step::More => return,
            Step::Refuse(refusal) => {
                outcome.refusal = Some(refusal);
                return;
            }
            Step::Whole => {
                let (bytes, head) = (feed.buffer.filled(), &feed.framer.head);
                outcome.requests.push(Seen {
                    method: head.method,
                    path: head.path(bytes).to_owned(),
                    query: head.query(bytes).map(str::to_owned),
                    headers: head.headers(bytes).iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect(),
                    body: feed.framer.body(bytes).to_vec(),
                    keep_alive: head.keep_alive,
                });
                feed.framer.finish(&mut feed.buffer);
            }
        }
    }
}

fn check(seen: &Seen) {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        named.map(|(_, value)| value.as_slice()).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "a request with two lengths was accepted");
    assert!(values("host").len() <= 1);
    match (lengths.first(), codings.first()) {
        (Some(length), _) => {
            let announced = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
            assert_eq!(announced, Some(seen.body.len()), "the body is not as long as announced");
            assert!(!length.contains(&b'+'));
        }
        (None, Some(coding)) => assert!(coding.eq_ignore_ascii_case(b"chunked")),
        (None, None) => assert!(seen.body.is_empty(), "a body came from nowhere"),
    }
    assert!(seen.body.len() <= LIMITS.body_bytes_max);
    assert!(seen.body.len() <= seen.path.len() * BODY_PER_PATH_BYTE);
    assert!(seen.path.starts_with('/') || (seen.path == "*" && seen.method == Method::Options));
    assert!(!seen.path.contains('?') && !seen.path.contains(' '));
    for (name, value) in &seen.headers {
        assert!(!name.is_empty() && name.iter().all(u8::is_ascii_graphic));
        assert!(!value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'));
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMITS, Outcome, fuzz_framing, run};

    const CASES: u32 = 20_000;

    /// Requests, whole and broken, to start from.
    const CORPUS: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a?b=c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        b"POST /v HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
        b"POST /v HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n\r\nHEAD http://h:1/x?y HTTP/1.1\r\nHost: a\r\nConnection: close, te\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: a\r\n folded\r\nX : y\r\n\r\n",
        b"\r\n\r\nDELETE /x HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ];

    /// Pieces that tend to matter.
    const WORDS: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"0\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"Host: b\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"ffffffff\r\n",
        b"+5",
        b"-1",
        b";ext",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"Expect: 100-continue\r\n",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"X: y\r\n",
        b"\xff",
    ];

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
        }
    }

    fn mutate(dice: &mut Dice, input: &mut Vec<u8>) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 if at < input.len() => input[at] = u8::try_from(dice.below(256)).unwrap(),
            1 if at < input.len() => input[at] ^= 1 << dice.below(8),
            2 => drop(input.drain(at..(at + dice.below(8)).min(input.len()))),
            3 | 4 => {
                let word = WORDS[dice.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            _ => {
                let other = CORPUS[dice.below(CORPUS.len())];
                input.truncate(at);
                input.extend_from_slice(&other[dice.below(other.len())..]);
            }
        }
    }

    #[test]
    fn limits_of_the_search_agree_with_each_other() {
        assert_eq!(LIMITS.broken_relation(), None);
    }

    #[test]
    fn framing_keeps_its_promises_for_mutated_requests() {
        let mut dice = Dice(0x5eed_0f9a_7e11);
        let mut accepted = 0;
        let mut refused = 0;
        for _ in 0..CASES {
            let mut input = CORPUS[dice.below(CORPUS.len())].to_vec();
            for _ in 0..dice.below(5) {
                mutate(&mut dice, &mut input);
            }
            fuzz_framing(&input);
            let Outcome { requests, refusal, .. } = run(&input, [input.len()]);
            accepted += requests.len();
            refused += usize::from(refusal.is_some());
        }
        // A search that reaches only one side proves nothing.
        assert!(accepted > 4_000, "{accepted} requests accepted");
        assert!(refused > 5_000, "{refused} inputs refused");
    }
}
