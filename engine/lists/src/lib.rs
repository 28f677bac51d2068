//! Lists of tickets and scans, for commands and for the admin API: how they are read, and how they are written.
//!
//! ```text
//! bytes → text (encoding) → lines (bounded) → records → rows (columns named) → tickets
//! tickets, scans → fields → sheet (CSV, NDJSON)
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `text` | encodings: guessed, named, never silently mangled |
//! | `lines` | lines and CSV records of a bounded length, whatever comes |
//! | `columns` | what columns are called, here and elsewhere |
//! | `read` | layouts: ours, codes alone, a seller's |
//! | `row` | a row and the ticket it describes |
//! | `card` | card numbers |
//! | `cold` | codes of tickets that are in the store only |
//! | `sheet`, `export` | rows on their way out, and what stands in them |
//!
//! Every list is read and written in bounded memory. Knows no server and changes no state.

pub mod card;
pub mod cold;
pub mod columns;
pub mod export;
mod lines;
mod read;
mod row;
pub mod sheet;
pub mod text;

pub use lines::LINE_BYTES_MAX;
pub use read::{Column, Format, Line, Options, Rows, compressed, fuzz_rows, read};
pub use row::{Key, TicketRow, card_bytes, code_text, moment, parse_time, status};
