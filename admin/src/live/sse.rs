//! The feed as server-sent events: `id` is the cursor, `event` the message's type, `data` its JSON. Knows no topic.

use super::listener::{Ended, Heard, Listener};
use super::message::Message;
use super::told::{EndTold, LiveMessage};
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::fmt::Write;

/// A client that lost its connection waits so long before it comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// The stream as an answer.
pub fn answer(listener: Listener) -> Response {
    let begin = (Some(listener), Some(format!("retry: {RETRY_MS}\n: connected\n\n")));
    let pieces = stream::unfold(begin, |(listener, first)| async move {
        let mut listener = listener?;
        if let Some(first) = first {
            return Some((Ok::<Bytes, Infallible>(first.into()), (Some(listener), None)));
        }
        let heard = listener.next().await;
        let (piece, goes_on) = piece(&heard, listener.personal());
        Some((Ok(piece.into()), (goes_on.then_some(listener), None)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies of the plan's kind buffer unless they are told not to.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// What is written for what was heard, and whether more comes.
fn piece(heard: &Heard, personal: bool) -> (String, bool) {
    let mut text = String::new();
    match heard {
        Heard::Messages(messages) => {
            messages.iter().for_each(|message| write_message(&mut text, message, personal));
        }
        Heard::Quiet => text.push_str(": still here\n\n"),
        Heard::Ended(ended) => {
            if let Ended::TooSlow(missing) = ended {
                write_message(&mut text, &Message::gap("too_slow", Some(*missing)), personal);
            }
            let told = LiveMessage::End(EndTold { reason: ended.word() });
            let told = serde_json::to_string(&told).expect("it has nothing that JSON cannot say");
            let _ = write!(text, "event: end\ndata: {told}\n\n");
        }
    }
    (text, !matches!(heard, Heard::Ended(_)))
}

fn write_message(text: &mut String, message: &Message, personal: bool) {
    if let Some(lsn) = message.lsn {
        let _ = writeln!(text, "id: {lsn}");
    }
    let _ = write!(text, "event: {}\ndata: {}\n\n", message.kind, message.seen(personal));
}
