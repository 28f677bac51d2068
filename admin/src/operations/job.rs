//! An operation being done: its turn with the gates, its progress and when that is kept, its end. Knows no list.

use super::beside_gates::{BesideGates, Written};
use super::files::Errors;
use super::{Counts, Entry, RowError, Spec, State, bulk};
use crate::app::App;
use crate::{imports, privacy};
use engine::EngineError;
use engine::journal::Lsn;
use engine::registry::Act;
use serde_json::json;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Progress is kept so often: what is repeated after a kill is at most this long.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// Where others wrote into the journal since the last batch, gates are at work: so long they have the node for themselves.
/// With the few rows at once that it then takes a list has some 4,700 rows a second.
const GATES_FIRST: Duration = Duration::from_millis(5);
/// Records the store may be behind: some 500,000 tickets, 64,000 beside gates.
const PROJECTED_BEHIND_MAX: u64 = 2_000;
/// Between two looks at the journal or the store.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// At the end so long is waited until the store shows everything.
const SHOWN_MAX: Duration = Duration::from_secs(60);

/// Why an operation goes on no longer.
#[derive(Debug)]
pub enum Ended {
    /// Somebody cancelled it.
    Cancelled,
    /// The node stops, or its journal failed: it goes on at the next start.
    Left,
    /// It cannot be done.
    Failed(String),
}

/// An operation being done.
pub struct Job<'a> {
    /// The app.
    pub app: &'a Arc<App>,
    /// For questions to the store.
    pub runtime: &'a Handle,
    /// The operation.
    pub entry: &'a Arc<Entry>,
    /// What came of rows so far.
    pub counts: Counts,
    /// Rows that are done.
    pub rows_done: u64,
    errors: Errors,
    /// The last record that was written for it.
    last: Lsn,
    gates: BesideGates,
    saved_at: Instant,
}

/// Does an operation to its end, or until the node stops.
pub fn run(app: &Arc<App>, runtime: &Handle, entry: &Arc<Entry>) {
    let now = app.engine.now();
    let saved = entry.change(|saved| {
        saved.operation.state = State::Running;
        saved.operation.started_at.get_or_insert_with(|| lists::moment(now));
        saved.clone()
    });
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut job = Job::begin(app, runtime, entry)?;
        let done = match &saved.spec {
            Spec::Import(spec) => imports::run(&mut job, spec),
            Spec::Bulk(spec) => bulk::run(&mut job, spec),
            Spec::Shred(spec) => privacy::run(&mut job, spec),
        };
        let kept = job.save();
        done.and(kept)?;
        let rows = job.rows_done;
        entry.change(|saved| saved.operation.progress.rows_total = Some(rows));
        job.shown()
    }));
    let (state, problem) = match done {
        Ok(Ok(())) => (State::Succeeded, None),
        Ok(Err(Ended::Left)) => return,
        Ok(Err(Ended::Cancelled)) => (State::Cancelled, None),
        Ok(Err(Ended::Failed(problem))) => (State::Failed, Some(problem)),
        Err(_) => (State::Failed, Some("it was ended by a mistake of the program; see the log".to_owned())),
    };
    app.operations.end(entry, state, problem, app.engine.now());
    tell(app, entry);
}

/// The journal says what came of it.
fn tell(app: &App, entry: &Entry) {
    let saved = entry.saved();
    let shown = &saved.operation;
    let details = json!({"operation": shown.id, "state": shown.state, "dry_run": shown.dry_run, "counts": shown.counts});
    let act = Act {
        action: format!("{}_ended", word(&saved.spec)),
        subject: shown.event.clone(),
        details: details.to_string(),
        entries: Vec::new(),
    };
    if let Err(error) = app.engine.act(saved.operator, act) {
        tracing::warn!(%error, id = shown.id, "the end of an operation is not in the audit");
    }
    tracing::info!(id = shown.id, state = ?shown.state, "an operation has ended");
}

fn word(spec: &Spec) -> &'static str {
    match spec {
        Spec::Import(_) => "import",
        Spec::Bulk(_) => "bulk",
        Spec::Shred(_) => "shred",
    }
}

impl<'a> Job<'a> {
    fn begin(app: &'a Arc<App>, runtime: &'a Handle, entry: &'a Arc<Entry>) -> Result<Job<'a>, Ended> {
        let saved = entry.saved();
        let errors = app.operations.files.errors_after(&saved.operation.id, saved.errors_bytes);
        let mut job = Job {
            app,
            runtime,
            entry,
            counts: saved.operation.counts,
            rows_done: saved.operation.progress.rows_done,
            errors: errors.map_err(|error| failed(&error))?,
            last: Lsn(0),
            gates: BesideGates::unseen(),
            saved_at: Instant::now(),
        };
        job.save()?;
        Ok(job)
    }

    /// A row that was not taken.
    ///
    /// # Errors
    /// The disk's.
    pub fn bad(&mut self, line: u64, code: Option<&str>, reason: String) -> Result<(), Ended> {
        self.counts.failed += 1;
        let code = code.filter(|code| !code.is_empty()).map(str::to_owned);
        self.errors.add(RowError { line, code, reason }).map_err(|error| failed(&error))
    }

    /// A record was written for it.
    pub fn wrote(&mut self, lsn: Lsn) {
        self.last = self.last.max(lsn);
        self.app.operations.records.fetch_add(1, Ordering::Relaxed);
    }

    /// How many rows are taken on at once, at most so many: few where gates are at work.
    pub fn at_once(&self, most: usize) -> usize {
        self.gates.rows_at_once(most)
    }

    /// Before a batch is written: gates that are at work go first.
    pub fn give_way(&self) {
        if self.gates.go_first(self.written()) {
            std::thread::park_timeout(GATES_FIRST);
        }
    }

    /// After a batch: keeps the progress when that is due, and waits for a store that is far behind.
    ///
    /// # Errors
    /// It has to end.
    pub fn pause(&mut self) -> Result<(), Ended> {
        let (counts, rows) = (self.counts, self.rows_done);
        self.entry.change(|saved| {
            saved.operation.counts = counts;
            saved.operation.progress.rows_done = rows;
        });
        if self.saved_at.elapsed() > SAVE_EVERY {
            self.save()?;
        }
        while self.end_of_journal().0 > self.app.engine.projected().0 + PROJECTED_BEHIND_MAX {
            self.check()?;
            std::thread::park_timeout(LOOK_EVERY);
        }
        self.gates.batch_ended(self.written());
        self.check()
    }

    /// The last record that was written, by anybody.
    fn end_of_journal(&self) -> Lsn {
        self.app.engine.journal().positions().next
    }

    /// The journal's end first: a record of another operation that comes in between makes no gate.
    fn written(&self) -> Written {
        let end = self.end_of_journal();
        Written { end, by_operations: self.app.operations.records.load(Ordering::Relaxed) }
    }

    /// Has it to end?
    ///
    /// # Errors
    /// Why.
    pub fn check(&self) -> Result<(), Ended> {
        match () {
            () if self.entry.is_cancelled() => Err(Ended::Cancelled),
            () if self.app.operations.is_stopping() => Err(Ended::Left),
            () => Ok(()),
        }
    }

    /// Keeps the progress, once everything it says is durable.
    ///
    /// # Errors
    /// The journal failed, the disk's.
    pub fn save(&mut self) -> Result<(), Ended> {
        if !self.runtime.block_on(self.app.durable(self.last)) {
            return Err(Ended::Left);
        }
        let errors_bytes = self.errors.flush().map_err(|error| failed(&error))?;
        let (counts, rows) = (self.counts, self.rows_done);
        let saved = self.entry.change(|saved| {
            saved.operation.counts = counts;
            saved.operation.progress.rows_done = rows;
            saved.operation.progress.bytes_done = self.entry.bytes_done.load(Ordering::Relaxed);
            saved.errors_bytes = errors_bytes;
            saved.clone()
        });
        self.saved_at = Instant::now();
        self.app.operations.files.save(&saved).map_err(|error| failed(&error))
    }

    /// Begins at the first row again.
    ///
    /// # Errors
    /// As `save`.
    pub fn restart(&mut self) -> Result<(), Ended> {
        let id = self.entry.saved().operation.id;
        self.errors = self.app.operations.files.errors_after(&id, 0).map_err(|error| failed(&error))?;
        (self.counts, self.rows_done) = (Counts::default(), 0);
        self.save()
    }

    /// The list was checked and nothing is wrong: what is counted from now on is done.
    ///
    /// # Errors
    /// As `save`.
    pub fn checked(&mut self) -> Result<(), Ended> {
        self.entry.change(|saved| saved.checked = true);
        (self.counts, self.rows_done) = (Counts::default(), 0);
        self.save()
    }

    /// Waits until the store shows what was done, so that whoever sees the end reads it back.
    fn shown(&self) -> Result<(), Ended> {
        let began = Instant::now();
        while self.app.engine.projected() < self.last && began.elapsed() < SHOWN_MAX {
            if self.app.operations.is_stopping() {
                return Err(Ended::Left);
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> Ended {
    Ended::Failed(format!("a file of the operation cannot be written: {error}"))
}

impl From<EngineError> for Ended {
    fn from(error: EngineError) -> Ended {
        match error {
            EngineError::Unavailable(_) => Ended::Left,
            other => Ended::Failed(other.to_string()),
        }
    }
}
