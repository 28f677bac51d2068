//! The feed over a WebSocket: each message is one text of JSON, with its cursor in it. What the client says is not read
//! but for its farewell. Knows no topic.

use super::listener::{Ended, Heard, Listener};
use super::message::Message;
use axum::extract::ws::{self, CloseFrame, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;

/// A client that takes nothing for so long is gone.
const TAKES_MAX: Duration = Duration::from_secs(10);
/// So long a farewell is waited for.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

type Out = SplitSink<WebSocket, ws::Message>;

/// Tells a client everything until one of both ends it.
pub async fn converse(socket: WebSocket, listener: Listener) {
    let (out, mut from) = socket.split();
    tokio::select! {
        () = tell(out, listener) => {}
        () = farewell(&mut from) => {}
    }
}

/// Waits until the client ends it. Pings are answered beneath.
async fn farewell(from: &mut SplitStream<WebSocket>) {
    while let Some(Ok(said)) = from.next().await {
        if matches!(said, ws::Message::Close(_)) {
            return;
        }
    }
}

async fn tell(mut out: Out, mut listener: Listener) {
    loop {
        let heard = listener.next().await;
        let sent = tokio::time::timeout(TAKES_MAX, send(&mut out, &heard, listener.personal())).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        if matches!(heard, Heard::Ended(_)) {
            // The client's own farewell ends the other branch first.
            tokio::time::sleep(FAREWELL_MAX).await;
            return;
        }
    }
}

async fn send(out: &mut Out, heard: &Heard, personal: bool) -> Result<(), axum::Error> {
    match heard {
        Heard::Messages(messages) => {
            for message in messages {
                out.feed(text(message, personal)).await?;
            }
        }
        Heard::Quiet => out.feed(ws::Message::Ping(Default::default())).await?,
        Heard::Ended(ended) => {
            if let Ended::TooSlow(missing) = ended {
                out.feed(text(&Message::gap("too_slow", Some(*missing)), personal)).await?;
            }
            let frame = CloseFrame { code: ended.close_code(), reason: ended.word().into() };
            out.feed(ws::Message::Close(Some(frame))).await?;
        }
    }
    out.flush().await
}

fn text(message: &Message, personal: bool) -> ws::Message {
    ws::Message::Text(message.seen(personal).into())
}

// === impl Ended ===

impl Ended {
    /// As a message says it.
    pub fn word(self) -> &'static str {
        match self {
            Ended::TooSlow(_) => "too_slow",
            Ended::Stopping => "stopping",
            Ended::NotAllowed => "not_allowed",
            Ended::Failed => "failed",
        }
    }

    /// RFC 6455 and the IANA registry: going away, policy, error, try again later.
    fn close_code(self) -> u16 {
        match self {
            Ended::Stopping => ws::close_code::AWAY,
            Ended::NotAllowed => ws::close_code::POLICY,
            Ended::Failed => ws::close_code::ERROR,
            Ended::TooSlow(_) => ws::close_code::AGAIN,
        }
    }
}
