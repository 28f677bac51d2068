//! Forgetting who held an event's tickets, for good: in memory, journal, checkpoints and store, with a proof of what went. Knows
//! the order of the steps; what each forgets is told where it is kept. Each may be done again: after a stop all of them are.
//!
//! ```text
//! sample names → engine forgets (records) → store shows it → store rewritten → journal segment closed, two checkpoints,
//! older segments deleted → errors of the event's lists removed → every file searched for the sample → proof
//! ```

mod sample;
mod search;

use crate::app::App;
use crate::operations::{Ended, Job, OperationKind, Saved, Spec};
use crate::venue_settings::VenueSettings;
use engine::catalog::{EventId, OperatorId};
use engine::clock::Time;
use engine::journal::Lsn;
use engine::registry::{Act, RegistryChange};
use engine::{EngineError, Forgotten};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Kind of the registry's entries that hold proofs.
pub const PROOFS: &str = "shred_proof";
/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The store has so long to show what was forgotten, and so long to be rewritten.
const STORE_MAX: Duration = Duration::from_secs(30 * 60);
/// How often it is looked for events whose time has come.
const RETENTION_EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What is to be forgotten, besides the event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShredSpec {
    /// Why, for the audit.
    pub reason: String,
}

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
    #[schema(example = "backups and archived logs of the database are the venue's")]
    pub out_of_reach: String,
    /// SHA-256 of all the above as JSON, in hexadecimal.
    #[schema(example = "9f2c…")]
    pub sha256: String,
}

/// Does it, from the first step or after a stop.
pub fn run(job: &mut Job<'_>, spec: &ShredSpec) -> Result<(), Ended> {
    let saved = job.entry.saved();
    let shown = &saved.operation;
    let app = Arc::clone(job.app);
    let event = app.engine.catalog().event_named(&shown.event);
    let event = event.ok_or_else(|| Ended::Failed("the event is not known".to_owned()))?;
    let names = sample::take(job, event)?;
    let forgotten = app.engine.shred(saved.operator, event)?;
    job.wrote(forgotten.last);
    (job.rows_done, job.counts.changed) = (forgotten.tickets, forgotten.tickets);
    job.save()?;
    rewrite_store(job, forgotten.last)?;
    let begins_at = drop_journal(job, &saved, &forgotten)?;
    drop_errors(&app, &shown.event);
    let found = search::all(app.operations.files.dir(), &names, &|| job.check())?;
    let proof = Proof {
        id: shown.id.clone(),
        event: shown.event.clone(),
        by: shown.by.clone(),
        reason: spec.reason.clone(),
        at: lists::moment(app.engine.now()),
        tickets: forgotten.tickets,
        answers: forgotten.answers,
        journal_begins_at: begins_at.0,
        forgotten_at: forgotten.last.0,
        searched_for: names.len() as u64,
        files: found.files,
        bytes: found.bytes,
        complete: found.with_names.is_empty(),
        found_in: found.with_names,
        out_of_reach: "backups, and what a database server archives of its log, are the venue's".to_owned(),
        sha256: String::new(),
    };
    let complete = proof.complete;
    keep_proof(job, saved.operator, proof.sealed())?;
    if complete {
        Ok(())
    } else {
        Err(Ended::Failed("names are left; the proof says in which files".to_owned()))
    }
}

impl Proof {
    fn sealed(mut self) -> Proof {
        let text = serde_json::to_vec(&self).expect("a proof is JSON");
        self.sha256 = secrets::hash(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        self
    }
}

/// Waits until the store has forgotten it too, then has it rewrite what it was kept in.
fn rewrite_store(job: &Job<'_>, last: Lsn) -> Result<(), Ended> {
    let app = job.app;
    wait(job, "the store is too far behind; do it again when it follows", || app.engine.projected() >= last)?;
    let asking = app.projector.ask_scrub();
    let late = "the store could not be rewritten; see the log, then do it again";
    wait(job, late, || app.projector.is_scrubbed(asking) && app.engine.settled() >= last)
}

fn wait(job: &Job<'_>, late: &str, done: impl Fn() -> bool) -> Result<(), Ended> {
    let began = Instant::now();
    while !done() {
        job.check()?;
        if began.elapsed() > STORE_MAX {
            return Err(Ended::Failed(late.to_owned()));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(())
}

/// Closes the segment with the last record that could name somebody, takes the checkpoints that make all before needless, and
/// gives where the journal begins now.
fn drop_journal(job: &mut Job<'_>, saved: &Saved, forgotten: &Forgotten) -> Result<Lsn, Ended> {
    let engine = &job.app.engine;
    let failed =
        |error: &dyn std::fmt::Display| Ended::Failed(format!("the journal cannot be cleared: {error}"));
    engine.journal().roll().map_err(|error| failed(&error))?;
    engine.checkpoint().map_err(|error| failed(&error))?;
    // Two checkpoints are kept, and both have to be younger than what was forgotten.
    let details =
        json!({"tickets": forgotten.tickets, "answers": forgotten.answers, "operation": saved.operation.id});
    let act = Act {
        action: "shred".to_owned(),
        subject: saved.operation.event.clone(),
        details: details.to_string(),
        entries: Vec::new(),
    };
    let lsn = engine.act(saved.operator, act)?;
    job.wrote(lsn);
    job.save()?;
    wait(job, "the store is too far behind; do it again when it follows", || engine.projected() >= lsn)?;
    engine.checkpoint().map_err(|error| failed(&error))?;
    Ok(engine.journal().oldest())
}

/// Errors of the event's lists may quote a row.
fn drop_errors(app: &App, event: &str) {
    let mut before: Option<String> = None;
    loop {
        let page = app.operations.list(before.as_deref(), 100);
        let Some(last) = page.last() else { return };
        before = Some(last.id.clone());
        for own in page.iter().filter(|own| own.event == event && own.ended_at.is_some()) {
            app.operations.files.drop_errors(&own.id);
        }
    }
}

fn keep_proof(job: &mut Job<'_>, operator: Option<OperatorId>, proof: Proof) -> Result<(), Ended> {
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

/// Looks every hour for events whose time is over by the venue's settings, and has them forgotten.
pub async fn keep(app: Arc<App>) {
    let mut stopping = app.stopping.clone();
    loop {
        let own = Arc::clone(&app);
        let looked = tokio::task::spawn_blocking(move || shred_what_is_due(&own)).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!(%error, "what is due to be forgotten is looked at again in an hour");
        }
        tokio::select! {
            () = tokio::time::sleep(RETENTION_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

fn shred_what_is_due(app: &App) -> Result<(), EngineError> {
    let Some(days) = VenueSettings::of(&app.engine).retention_days else { return Ok(()) };
    let (now, catalog) = (app.engine.now(), app.engine.catalog());
    let done: Vec<Proof> = proofs(app);
    for (id, event) in catalog.events() {
        let over = event.ends_at.plus_ms(i64::from(days) * DAY_MS) < now;
        let forgotten = done.iter().any(|proof| proof.event == event.name && proof.complete);
        if over && !forgotten && !is_being_done(app, &event.name) && has_tickets(app, id) {
            submit(app, &event.name, now);
        }
    }
    Ok(())
}

fn has_tickets(app: &App, event: EventId) -> bool {
    let catalog = app.engine.catalog();
    catalog.types().any(|(_, kind)| kind.event == event)
}

fn is_being_done(app: &App, event: &str) -> bool {
    let newest = app.operations.list(None, 100);
    newest.iter().any(|own| own.kind == OperationKind::Shred && own.event == event && own.ended_at.is_none())
}

fn submit(app: &App, event: &str, now: Time) {
    let by = crate::access::Principal::local();
    let spec = Spec::Shred(ShredSpec { reason: "the venue's retention is over".to_owned() });
    let submitted = crate::operations::new_id(now)
        .and_then(|id| app.operations.submit(Saved::new(id, event, &by, spec, now), now));
    match submitted {
        Ok(_) => {
            tracing::info!(event, "who held the event's tickets is being forgotten, as the venue has set")
        }
        Err(problem) => {
            tracing::warn!(event, problem = problem.detail, "an event could not be forgotten yet")
        }
    }
}

/// Every proof there is, oldest first.
pub fn proofs(app: &App) -> Vec<Proof> {
    let entries = app.engine.registry(PROOFS).into_iter();
    entries.filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect()
}
