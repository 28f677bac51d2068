//! The engine of Gatehouse: it answers "may this guest pass?", keeps what it answered, and never forgets it.
//!
//! ```text
//! Scan → decide (pure) → Decision → Record → journal (LSN) → apply → wait durable → answer
//! ```
//!
//! It never does network I/O, knows no SQL, no HTTP and no async runtime; clock and disk are injected.
//! `decide` is pure, `apply` is the only mutation, replay calls the same `apply`.

pub mod calendar;
mod capture;
pub mod catalog;
pub mod checkpoint;
pub mod clock;
pub mod cold;
pub mod command;
pub mod counts;
pub mod decide;
pub mod decision;
pub mod disk;
mod engine;
mod hash_index;
pub mod inbox;
pub mod journal;
pub mod limits;
pub mod record;
pub mod registry;
pub mod scans;
pub mod sim_disk;
pub mod state;
pub mod ticket;

pub use clock::Time;
pub use engine::*;
pub use journal::Lsn;
