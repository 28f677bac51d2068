//! What is proved of a forgetting: what went, how it was looked for, where that is kept. Knows no step of it.

use crate::app::App;
use crate::operations::{Ended, Job};
use engine::catalog::OperatorId;
use engine::registry::{Act, RegistryChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kind of the registry's entries that hold proofs.
pub const PROOFS: &str = "shred_proof";

/// What went, and how it was looked for afterwards.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ShredProof)]
pub struct Proof {
    /// The operation that did it.
    #[schema(example = "019abc0f1e2dk7m2pq9x")]
    pub id: String,
    /// Whose tickets' holders were forgotten.
    #[schema(example = "demo-match")]
    pub event: String,
    /// Who asked for it.
    #[schema(example = "anna@example.org")]
    pub by: String,
    /// Why.
    #[schema(example = "90 days are over")]
    pub reason: String,
    /// When it was done.
    #[schema(example = "2026-11-23T18:00:00.000Z")]
    pub at: String,
    /// Tickets in memory that named somebody. Of a far event, or where it is done again, 0.
    #[schema(example = 52_000)]
    pub tickets: u64,
    /// Answers kept for retries that named somebody.
    #[schema(example = 61_000)]
    pub answers: u64,
    /// Printers' jobs that were emptied: those about the event, and those that do not say what they are about. Where they
    /// waited they were cancelled.
    #[serde(default)]
    #[schema(example = 340)]
    pub jobs: u64,
    /// Webhooks' messages, waiting or given up, that named somebody. They stay without the name.
    #[serde(default)]
    #[schema(example = 12)]
    pub deliveries: u64,
    /// The first record of the journal that is left; all before were deleted.
    #[schema(example = 812_345)]
    pub journal_begins_at: u64,
    /// The last record that forgets something.
    #[schema(example = 812_300)]
    pub forgotten_at: u64,
    /// Names, orders and seats that were noted before and searched for afterwards. 0 where it was done again: nothing was left.
    #[schema(example = 1_000)]
    pub searched_for: u64,
    /// Files of the data directory that were searched, and their bytes.
    #[schema(example = 9)]
    pub files: u64,
    #[schema(example = 48_000_000)]
    pub bytes: u64,
    /// Files that still hold one of them: none, or the work is not complete. A name that somebody has in another event too is
    /// not searched for.
    #[schema(example = json!([]))]
    pub found_in: Vec<String>,
    /// Nothing was found.
    pub complete: bool,
    /// What this node cannot reach.
    #[schema(example = "backups, and what a database server archives of its log, are the venue's")]
    pub out_of_reach: String,
    /// SHA-256 of all the above as JSON, in hexadecimal.
    #[schema(example = "9f2c…")]
    pub sha256: String,
}

// === impl Proof ===

impl Proof {
    /// With the sum of it.
    pub(super) fn sealed(mut self) -> Proof {
        let text = serde_json::to_vec(&self).expect("a proof is JSON");
        self.sha256 = secrets::hash(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        self
    }
}

/// Keeps a proof where no retention takes it.
pub(super) fn keep(job: &mut Job<'_>, operator: Option<OperatorId>, proof: Proof) -> Result<(), Ended> {
    let text = serde_json::to_string(&proof).expect("a proof is JSON");
    let (kind, name) = (PROOFS.to_owned(), proof.id.clone());
    let act = Act {
        action: "shred_proof".to_owned(),
        subject: proof.event,
        details: text.clone(),
        entries: vec![RegistryChange { kind, name, value: Some(text) }],
    };
    let lsn = job.app.engine.act(operator, act)?;
    job.wrote(lsn);
    Ok(())
}

/// Every proof there is, oldest first.
pub fn proofs(app: &App) -> Vec<Proof> {
    let entries = app.engine.registry(PROOFS).into_iter();
    entries.filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect()
}
