//! A listener of the live feed: server-sent events over a connection of its own. Knows the convention and no message.

use crate::support::{Client, PATIENCE, Server, request_bytes};
use serde_json::Value;
use std::time::Instant;

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: Option<u64>,
    pub kind: String,
    pub data: Value,
}

/// An open stream of server-sent events.
pub struct Stream {
    client: Client,
    text: String,
}

impl Stream {
    /// As the operator or program of this token.
    pub fn open(server: &Server, token: &str, query: &str) -> Stream {
        Stream::with(server, query, &[("Authorization", &format!("Bearer {token}"))])
    }

    /// With headers of its own.
    pub fn with(server: &Server, query: &str, headers: &[(&str, &str)]) -> Stream {
        let mut client = Client::to(server.api);
        client.send(&request_bytes("GET", &format!("/api/v1/live{query}"), headers, b"")).unwrap();
        let (status, headers) = client.head().unwrap();
        assert_eq!(status, 200, "{headers:?}");
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Type")).unwrap();
        assert_eq!(kind.1, "text/event-stream");
        Stream { client, text: String::new() }
    }

    /// The next event; `None`: the stream has ended, or was cut.
    pub fn next(&mut self) -> Option<Event> {
        let began = Instant::now();
        loop {
            // Comments come for ever.
            assert!(began.elapsed() < PATIENCE, "nothing is told any more");
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
                self.text = rest.to_owned();
                let Some(data) = data else { continue };
                let data: Value = serde_json::from_str(&data).unwrap();
                assert_eq!(kind.as_deref(), data["type"].as_str());
                return Some(Event { id: id.map(|id| id.parse().unwrap()), kind: kind.unwrap(), data });
            }
            let chunk = self.client.chunk().ok()?;
            if chunk.is_empty() {
                return None;
            }
            self.text.push_str(&String::from_utf8(chunk).unwrap());
        }
    }

    /// The next event of this type for which this holds.
    pub fn find(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next().expect("the stream ended");
            if event.kind == kind && fits(&event.data) {
                return event;
            }
        }
    }

    /// The next scans.
    pub fn scans(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.find("scan", |_| true)).collect()
    }
}
