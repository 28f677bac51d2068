//! The device port seen from outside: raw bytes in, statuses and closes out, honest and hostile. Whatever the attack,
//! only whole valid requests run, memory stays bounded, and a real scan of a good device on its own connection is
//! answered within 50 ms at p99. Knows nothing of what is inside.
//!
//! | file | owns |
//! |---|---|
//! | `attack.rs`, `venue.rs`, `memory.rs` | an attack with good devices beside it, the real port it is made on, what it costs |
//! | `table.rs`, `client.rs`, `service.rs` | rows of bytes, raw clients, the toy behind the HTTP layer |
//! | `heads.rs`, `framing.rs`, `bodies.rs`, `smuggling.rs` | attacks by what is sent |
//! | `slow.rs`, `flood.rs` | attacks by time and by number |
//! | `promises.rs`, `waiting.rs` | what HTTP promises, with the toy alone |

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

mod attack;
mod bodies;
mod client;
mod flood;
mod framing;
mod heads;
mod memory;
mod promises;
mod service;
mod slow;
mod smuggling;
mod table;
mod venue;
mod waiting;
