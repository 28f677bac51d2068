//! One message sent once: the request with its headers, the deadlines, and what the answer means. Redirects are not
//! followed, and of an answer a bounded part is read. Knows no queue.

use crate::addresses::{Guarded, Reach};
use crate::queue::Went;
use crate::signing;
use engine::clock::{Clock, SystemClock};
use std::io::Read;
use std::time::{Duration, Instant};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

/// A name is found, and a connection made, within this time each.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// All of it takes at most this.
const WHOLE_MAX: Duration = Duration::from_secs(15);
/// So much of an answer is read; nobody needs it, but a connection whose answer was read can be used again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// A connection that was idle for longer is not used again: many servers are about to close it by then.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Who asks.
const USER_AGENT: &str = concat!("Gatehouse/", env!("CARGO_PKG_VERSION"), " (webhooks)");

/// What is sent.
pub struct Letter<'a> {
    /// Where to.
    pub url: &'a str,
    /// The message's id.
    pub id: &'a str,
    /// What it says.
    pub body: &'a str,
    /// Who signs.
    pub secrets: &'a [String],
}

/// How it went, and what the receiver asks for.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// Told in the deliveries.
    pub went: Went,
    /// The receiver wants nothing more, ever (410).
    pub gone: bool,
    /// The receiver asks for so much time (429 and 503).
    pub retry_after: Option<Duration>,
}

/// Sends. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Sender {
    agent: ureq::Agent,
    reach: Reach,
}

impl Sender {
    /// One that speaks to these hosts.
    pub fn new(reach: Reach) -> Sender {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy of the environment would look names up itself.
            .proxy(None)
            .timeout_resolve(Some(CONNECT_MAX))
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(WHOLE_MAX))
            .max_idle_age(IDLE_MAX)
            .max_idle_connections_per_host(1)
            .user_agent(USER_AGENT)
            .build();
        let guarded = Guarded { reach, inner: DefaultResolver::default() };
        Sender { agent: ureq::Agent::with_parts(config, DefaultConnector::new(), guarded), reach }
    }

    /// Which hosts it speaks to.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Sends a letter. Takes up to 15 s.
    pub fn send(&self, letter: &Letter<'_>) -> Answered {
        let (began, at_ms) = (Instant::now(), SystemClock.now().0);
        // The setting may have changed since the address was written down.
        let answered = match self.reach.check(letter.url) {
            Ok(_) => self.ask(letter, at_ms.div_euclid(1_000)),
            Err(problem) => failure(problem),
        };
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Answered { went: Went { at_ms, ms, ..answered.went }, ..answered }
    }

    fn ask(&self, letter: &Letter<'_>, at_s: i64) -> Answered {
        let signatures = signing::signatures(letter.secrets, letter.id, at_s, letter.body.as_bytes());
        let asked = self
            .agent
            .post(letter.url)
            .header("content-type", "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", at_s.to_string())
            .header("webhook-signature", signatures)
            .send(letter.body);
        match asked {
            Ok(mut response) => {
                let answered = meaning(response.status().as_u16(), || {
                    retry_after(response.headers().get("retry-after")?.to_str().ok()?, at_s)
                });
                // The status says all; a body that is cut off changes nothing.
                let _ = std::io::copy(
                    &mut response.body_mut().as_reader().take(ANSWER_BYTES_MAX),
                    &mut std::io::sink(),
                );
                answered
            }
            Err(error) => failure(in_words(&error)),
        }
    }
}

fn failure(error: String) -> Answered {
    Answered { went: Went { error: Some(error), ..Went::default() }, ..Answered::default() }
}

fn meaning(status: u16, asks: impl FnOnce() -> Option<Duration>) -> Answered {
    let error = match status {
        200..=299 => None,
        300..=399 => Some(format!("status {status}: redirects are not followed; set the new address")),
        410 => Some("status 410: the receiver is gone for good".to_owned()),
        _ => Some(format!("status {status}")),
    };
    let retry_after = if matches!(status, 429 | 503) { asks() } else { None };
    let went = Went { status: Some(status), error, ..Went::default() };
    Answered { went, gone: status == 410, retry_after }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now_s: i64) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    u64::try_from(date.timestamp().as_second() - now_s).ok().map(Duration::from_secs)
}

/// An error for people; the address itself is in the webhook, and may hold what is not for every log.
fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            format!("no connection within {} s", CONNECT_MAX.as_secs())
        }
        ureq::Error::Timeout(_) => format!("no answer within {} s", WHOLE_MAX.as_secs()),
        ureq::Error::HostNotFound => "the host's name is not known".to_owned(),
        ureq::Error::Io(error) => format!("no connection: {error}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_for_what_its_status_says() {
        let asks = || Some(Duration::from_secs(7));
        assert_eq!(meaning(204, asks).went.error, None);
        assert!(meaning(302, asks).went.error.unwrap().contains("not followed"));
        assert!(meaning(410, asks).gone && !meaning(404, asks).gone);
        for (status, asked) in [(429, true), (503, true), (500, false), (200, false)] {
            assert_eq!(meaning(status, asks).retry_after.is_some(), asked, "{status}");
        }
    }

    #[test]
    fn the_time_a_receiver_asks_for_is_read_as_seconds_or_as_a_date() {
        assert_eq!(retry_after(" 120 ", 0), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 10), Some(Duration::from_secs(50)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 100), None, "it is over");
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("-5", 0), None);
    }

    #[test]
    fn a_name_that_leads_into_a_private_network_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        // Names are looked at when they are connected to; this one is looked up by the resolver itself.
        let sender = Sender::new(Reach::Public);
        let error = sender.agent.post(format!("http://localhost:{port}/")).send("{}").unwrap_err();
        assert!(error.to_string().contains("private network"), "{error}");
        for url in [
            format!("https://localhost:{port}/"),
            format!("https://127.0.0.1:{port}/"),
            format!("https://2130706433:{port}/"),
        ] {
            let letter = Letter { url: &url, id: "m", body: "{}", secrets: &[] };
            assert!(sender.send(&letter).went.error.is_some(), "{url}");
        }
        for number in ["2130706433", "0x7f000001", "017700000001", "127.1"] {
            let error = sender.agent.post(format!("http://{number}:{port}/")).send("{}").unwrap_err();
            assert!(!matches!(error, ureq::Error::Timeout(_)), "{number}: {error}");
        }
        assert!(listener.accept().is_err(), "nobody came");
    }
}
