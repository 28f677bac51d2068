//! The device port's minimal HTTP/1.1 layer: bytes in, [`Request`]s to a [`Service`], [`Reply`]s out in order.
//! Knows sockets, HTTP and that a reply may have to wait for an LSN; knows no ticket, no JSON and no journal.
//!
//! | file | owns |
//! |---|---|
//! | `message.rs` | what a service sees: request, reply, fault, late answers, streams |
//! | `limits.rs` | every limit |
//! | `head.rs`, `framing.rs`, `buffer.rs` | bytes to requests; where one ends and the next begins |
//! | `response.rs` | replies to bytes |
//! | `connection.rs` | one connection's order of things |
//! | `worker.rs`, `durability.rs` | what connections of one thread share: clock, deadlines, buffers, the journal gate |
//! | `server.rs`, `stats.rs` | threads, listeners, drain, counters |
//! | `stages.rs` | how long the steps of an answer take |
//! | `feed.rs` | the framing fed by hand, without a socket |
//! | `fuzz.rs` | the framing's promises for any bytes |
//!
//! Invariants: no byte of one request is ever run as another (H1): after the first framing fault nothing more of
//! that connection is looked at. Replies leave in the order of their requests, and never before their LSN is
//! durable (A2). Memory per connection is bounded by `limits.rs`. No handler panic leaves its connection.
//!
//! The strict reading is documented in `head.rs`. Not here: TLS (a proxy's job), HTTP/2, compression, upgrades.

mod buffer;
mod connection;
mod durability;
mod feed;
mod framing;
mod fuzz;
mod head;
mod limits;
mod message;
mod response;
mod server;
mod stages;
mod stats;
mod worker;

pub use durability::Durable;
pub use feed::{Feed, Lengths};
pub use fuzz::fuzz_framing;
pub use limits::{HEADERS_MAX, Limits};
pub use message::{
    Fault, Flow, HeaderList, HeaderRefused, Headers, Method, Next, Reply, Request, Service, Source,
};
pub use server::{Drained, Server, ServerOptions, start};
pub use stages::{STAGES, Stage, Stages, Stopwatch};
pub use stats::Stats;
