//! Forgetting who held an event's tickets, for good: in memory, journal, checkpoints and store, with a proof of what went. Knows
//! the order of the steps; what each forgets is told where it is kept. Each may be done again: after a stop all of them are.
//!
//! ```text
//! sample names → engine forgets (records) → store shows it → store rewritten → journal segment closed, two checkpoints,
//! older segments deleted → errors of the event's lists removed → printers' jobs emptied, people taken out of webhooks'
//! messages → every file searched for the sample → proof
//! ```

mod proof;
mod sample;
mod search;

use crate::app::App;
use crate::operations::{Ended, Job, OperationKind, Saved, Spec};
use crate::venue_settings::VenueSettings;
use engine::catalog::EventId;
use engine::clock::Time;
use engine::journal::Lsn;
use engine::registry::Act;
use engine::{EngineError, Forgotten};
pub use proof::{PROOFS, Proof, proofs};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The store has so long to show what was forgotten, and so long to be rewritten.
const STORE_MAX: Duration = Duration::from_secs(30 * 60);
/// The rules of printers have so long to see what was forgotten.
const PRINTS_MAX: Duration = Duration::from_secs(60);
/// How often it is looked for events whose time has come.
const RETENTION_EVERY: Duration = Duration::from_secs(60 * 60);
/// What no file of this node tells about.
const OUT_OF_REACH: &str = "backups, and what a database server archives of its log, are the venue's; the queue of a \
    station on another machine keeps what it printed for up to 7 days; receivers of webhooks have what they were sent";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What is to be forgotten, besides the event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShredSpec {
    /// Why, for the audit.
    pub reason: String,
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
    // Only now: what follows the journal would name again whom its older records name.
    let jobs = forget_prints(job, &shown.event, forgotten.last)?;
    let deliveries = app.webhooks.forget_people(&shown.event);
    let deliveries = deliveries.map_err(|error| {
        Ended::Failed(format!("webhooks' messages cannot be forgotten: {error}; do it again"))
    })?;
    let found = search::all(app.operations.files.dir(), &names, &|| job.check())?;
    let proof = Proof {
        id: shown.id.clone(),
        event: shown.event.clone(),
        by: shown.by.clone(),
        reason: spec.reason.clone(),
        at: lists::moment(app.engine.now()),
        tickets: forgotten.tickets,
        answers: forgotten.answers,
        jobs,
        deliveries,
        journal_begins_at: begins_at.0,
        forgotten_at: forgotten.last.0,
        searched_for: names.len() as u64,
        files: found.files,
        bytes: found.bytes,
        complete: found.with_names.is_empty(),
        found_in: found.with_names,
        out_of_reach: OUT_OF_REACH.to_owned(),
        sha256: String::new(),
    };
    let complete = proof.complete;
    proof::keep(job, saved.operator, proof.sealed())?;
    if complete {
        Ok(())
    } else {
        Err(Ended::Failed("names are left; the proof says in which files".to_owned()))
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
        go_on(job, began, STORE_MAX, late)?;
    }
    Ok(())
}

/// A moment's wait, if there is time left.
fn go_on(job: &Job<'_>, began: Instant, most: Duration, late: &str) -> Result<(), Ended> {
    job.check()?;
    if began.elapsed() > most {
        return Err(Ended::Failed(late.to_owned()));
    }
    std::thread::park_timeout(LOOK_EVERY);
    Ok(())
}

/// Waits until the rules of printers have seen all of it, then has what they keep forgotten.
fn forget_prints(job: &Job<'_>, event: &str, last: Lsn) -> Result<u64, Ended> {
    let began = Instant::now();
    loop {
        let failed =
            |error| Ended::Failed(format!("printers' jobs cannot be forgotten: {error}; do it again"));
        if let Some(jobs) = (job.app.forget_prints)(event, last).map_err(failed)? {
            return Ok(jobs);
        }
        go_on(job, began, PRINTS_MAX, "the rules of printers do not follow; see the log, then do it again")?;
    }
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
    let submitted = app.operations.place().and_then(|place| {
        let id = crate::operations::new_id(now)?;
        app.operations.submit(place, Saved::new(id, event, &by, spec, now), now)
    });
    match submitted {
        Ok(_) => {
            tracing::info!(event, "who held the event's tickets is being forgotten, as the venue has set")
        }
        Err(problem) => {
            tracing::warn!(event, problem = problem.detail, "an event could not be forgotten yet")
        }
    }
}
