//! What an operation is: as it is shown, and as it is kept. Plain data.

use super::bulk::BulkSpec;
use crate::imports::ImportSpec;
use crate::privacy::ShredSpec;
use engine::catalog::OperatorId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OperationState)]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// Is being done.
    Running,
    /// Done; single rows may have failed all the same.
    Succeeded,
    /// Could not be done, or not to its end: `problem` says why.
    Failed,
    /// Was ended by somebody; what was done until then stays.
    Cancelled,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OperationKind)]
pub enum Kind {
    /// Takes a list in.
    Import,
    /// Changes many tickets.
    Bulk,
    /// Forgets who held an event's tickets.
    Shred,
}

/// How far it came.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationProgress)]
pub struct Progress {
    /// Rows, or tickets, that are done.
    #[schema(example = 200_000)]
    pub rows_done: u64,
    /// How many there are; `null` until that is known.
    #[schema(example = 1_000_000)]
    pub rows_total: Option<u64>,
    /// Bytes of the list that were read.
    #[schema(example = 9_400_000)]
    pub bytes_done: u64,
    /// Bytes of the list; 0: there is none.
    #[schema(example = 47_000_000)]
    pub bytes_total: u64,
}

/// What came of the rows so far. In a dry run: what would.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationCounts)]
pub struct Counts {
    /// New tickets.
    #[schema(example = 199_990)]
    pub added: u64,
    /// Tickets that are otherwise now.
    #[schema(example = 0)]
    pub changed: u64,
    /// Tickets that were so already.
    #[schema(example = 0)]
    pub unchanged: u64,
    /// Rows that were not taken; see the operation's errors.
    #[schema(example = 10)]
    pub failed: u64,
}

/// A long operation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its name in paths.
    #[schema(example = "019abc0f1e2dk7m2pq9x")]
    pub id: String,
    /// What it does.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// The event it belongs to.
    #[schema(example = "demo-match")]
    pub event: String,
    /// Who asked for it.
    #[schema(example = "anna@example.org")]
    pub by: String,
    /// Nothing is changed.
    pub dry_run: bool,
    /// When it was asked for.
    #[schema(example = "2026-11-23T18:00:00.000Z")]
    pub created_at: String,
    /// When it was begun.
    #[schema(example = "2026-11-23T18:00:00.012Z")]
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How often it went on after a restart of the node.
    #[schema(example = 0)]
    pub resumed: u32,
    /// How far it came.
    pub progress: Progress,
    /// What came of the rows.
    pub counts: Counts,
    /// Why it failed.
    pub problem: Option<String>,
}

/// An operation as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// As it is shown.
    pub operation: Operation,
    /// What is to be done.
    pub spec: Spec,
    /// Who asked, for the journal.
    pub operator: Option<OperatorId>,
    /// Bytes of its errors that belong to the rows that are done.
    pub errors_bytes: u64,
    /// The list was checked as a whole: now it is taken in.
    pub checked: bool,
    /// When it ended, in milliseconds.
    pub ended_at_ms: Option<i64>,
}

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spec {
    /// Take a list in.
    Import(ImportSpec),
    /// Change many tickets.
    Bulk(BulkSpec),
    /// Forget who held an event's tickets.
    Shred(ShredSpec),
}

impl Saved {
    /// A new one that waits.
    pub fn new(
        id: String,
        event: &str,
        by: &crate::access::Principal,
        spec: Spec,
        now: engine::Time,
    ) -> Saved {
        let (kind, dry_run) = match &spec {
            Spec::Import(own) => (Kind::Import, own.dry_run),
            Spec::Bulk(own) => (Kind::Bulk, own.dry_run),
            Spec::Shred(_) => (Kind::Shred, false),
        };
        let operation = Operation {
            id,
            kind,
            state: State::Queued,
            event: event.to_owned(),
            by: by.name.to_string(),
            dry_run,
            created_at: lists::moment(now),
            started_at: None,
            ended_at: None,
            resumed: 0,
            progress: Progress::default(),
            counts: Counts::default(),
            problem: None,
        };
        Saved { operation, spec, operator: by.operator, errors_bytes: 0, checked: false, ended_at_ms: None }
    }
}
