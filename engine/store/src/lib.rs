//! The projection of Gatehouse: rows derived from the journal, behind it in time, and the questions asked of them.
//!
//! ```text
//! journal tail → Projector → Store::apply (rows + cursor in one transaction) → Queries
//!                                      └ Store::bootstrap → a State, when a node has lost its own files
//! ```
//!
//! It decides nothing and no gate waits for it. The journal is the truth: a projection that is gone can be made
//! again from it, and a record applied twice changes nothing. Knows no HTTP; whoever calls it waits: the runtime the
//! PostgreSQL driver needs is hidden behind the trait.

mod apply;
mod counted;
mod entities;
mod error;
mod figures;
mod inbox;
mod kept;
mod migrations;
mod pace;
mod postgres;
mod progress;
mod projector;
mod retention;
mod rows;
mod search;
mod seed;
mod shadow;
mod shred;
mod sqlite;
mod store;
mod tables;
mod ticket_list;
mod ticket_search;
mod words;

pub use error::{Cause, StoreError, StoreResult};
pub use figures::{Flow, FlowScope};
pub use inbox::InboxEntry;
pub use postgres::{Inbox, PostgresOptions, PostgresStore, TlsMode};
pub use progress::{BATCH_BUCKETS_MS, LAST_ERROR_BYTES_MAX, ProjectorSnapshot, ProjectorStats};
pub use projector::{ProjectError, Projector, ProjectorOptions};
pub use rows::{
    ArrivalRow, AuditFilter, AuditRow, CommandRow, ConflictRow, DenialRow, Order, Period, PresentedOrder,
    PresentedRow, ScanFilter, ScanRow, TicketFilter, TicketPage,
};
pub use sqlite::SqliteStore;
pub use store::{PoolUse, Queries, Store, StoreWatch};
