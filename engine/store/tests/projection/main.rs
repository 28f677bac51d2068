//! The projection from outside: an engine on a simulated disk, its journal, a real SQLite file and a
//! real PostgreSQL server: one body for both wherever both have to do the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod administration;
mod figures;
mod lists;
mod place;
mod postgres;
mod projector;
mod queries;
mod rows;
mod shred;
mod sqlite;
mod tls;
mod venue;
