//! The projection from outside: an engine on a simulated disk, its journal, a real SQLite file.

mod projector;
mod queries;
mod rows;
mod venue;
