//! The projection from outside: an engine on a simulated disk, its journal, a real SQLite file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod projector;
mod queries;
mod rows;
mod venue;
