//! Imports: a list that arrived is read row by row, each row judged, and what follows from it done in batches. A row that
//! was done before changes nothing, so that a list may be read again from any row. Knows no HTTP.

mod judge;
mod preview;
mod receive;

pub use judge::{Change, Judge, Step, one_code};
pub use preview::{PREVIEW_BYTES_MAX, Preview, preview};
pub use receive::{receive, unpacked};

use crate::operations::{Ended, Job};
use engine::clock::Time;
use engine::journal::Lsn;
use engine::limits::TICKETS_PER_RECORD_MAX;
use engine::ticket::Ticket;
use engine::{Amendment, EngineError, TicketError};
use lists::{Format, Options, TicketRow, columns::Mapping};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use utoipa::ToSchema;

/// Rows that are judged and done together at the most.
const BATCH_ROWS: usize = 4 * TICKETS_PER_RECORD_MAX;
/// A row whose ticket was changed meanwhile is judged again so often.
const JUDGED_MAX: u32 = 5;
/// Codes a dry run remembers to find those that stand twice: some 40 MiB. Lists with more are checked as far as that.
const CODES_REMEMBERED_MAX: usize = 1 << 20;
/// A journal that takes nothing now is asked again after so long.
const JOURNAL_FULL_WAIT: Duration = Duration::from_millis(20);

/// How a list is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportFormat {
    /// Fields separated by comma, semicolon or tab; the first line names the columns.
    Csv,
    /// A JSON object each line.
    Ndjson,
    /// A code each line.
    Codes,
    /// SecuTix: `barcode;season_code;product_code;…`.
    SecutixWhitelist,
    /// SecuTix: `barcode;reason;…`.
    SecutixBlacklist,
    /// SecuTix: a first line of its own, then `barcode;date`.
    SecutixChecked,
}

/// What rows mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportAction {
    /// Tickets that are new.
    Add,
    /// Tickets that are to be good: new ones are added, others activated.
    Activate,
    /// Tickets that are to be blocked.
    Block,
    /// Tickets that were used elsewhere.
    Checked,
}

/// An import that is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportSpec {
    /// Its layout.
    pub format: ImportFormat,
    /// What its rows mean.
    pub action: ImportAction,
    /// Its encoding.
    pub encoding: Option<String>,
    /// What its columns are, as JSON.
    pub mapping: Option<String>,
    /// The type of rows that name none.
    pub kind: Option<String>,
    /// Where tickets count as checked.
    pub gate: Option<String>,
    /// Tickets that are there are changed.
    pub update: bool,
    /// One bad row, and nothing is taken.
    pub all_or_nothing: bool,
    /// Nothing is changed.
    pub dry_run: bool,
}

impl ImportFormat {
    /// What its rows mean where nobody says.
    pub fn action(self) -> ImportAction {
        match self {
            ImportFormat::Csv | ImportFormat::Ndjson | ImportFormat::Codes => ImportAction::Add,
            ImportFormat::SecutixWhitelist => ImportAction::Activate,
            ImportFormat::SecutixBlacklist => ImportAction::Block,
            ImportFormat::SecutixChecked => ImportAction::Checked,
        }
    }
}

impl ImportSpec {
    /// How its list is read.
    ///
    /// # Errors
    /// The mapping is none, in words.
    pub fn options(&self) -> Result<Options, String> {
        Ok(Options {
            format: match self.format {
                ImportFormat::Csv => Format::Csv,
                ImportFormat::Ndjson => Format::Ndjson,
                ImportFormat::Codes => Format::Codes,
                ImportFormat::SecutixWhitelist => Format::SecutixWhitelist,
                ImportFormat::SecutixBlacklist => Format::SecutixBlacklist,
                ImportFormat::SecutixChecked => Format::SecutixChecked,
            },
            encoding: self.encoding.clone(),
            mapping: self.mapping.as_deref().map(Mapping::parse).transpose()?,
            kind: self.kind.clone(),
            names_only: matches!(self.action, ImportAction::Block | ImportAction::Checked),
            lenient: false,
        })
    }
}

/// Does an import, from where it was.
///
/// # Errors
/// Why it ends before its list does.
pub fn run(job: &mut Job<'_>, spec: &ImportSpec) -> Result<(), Ended> {
    let saved = job.entry.saved();
    if spec.dry_run || (spec.all_or_nothing && !saved.checked) {
        // What a check remembers is not kept: it begins at the first row.
        job.restart()?;
        pass(job, spec, true)?;
        if spec.dry_run {
            return Ok(());
        }
        if job.counts.failed > 0 {
            let failed = job.counts.failed;
            job.counts = crate::operations::Counts { failed, ..Default::default() };
            return Err(Ended::Failed(format!("{failed} rows are bad, so nothing was taken in")));
        }
        job.checked()?;
    }
    pass(job, spec, false)
}

fn pass(job: &mut Job<'_>, spec: &ImportSpec, dry_run: bool) -> Result<(), Ended> {
    let saved = job.entry.saved();
    let list = job.app.operations.files.open_list(&saved.operation.id);
    let file = list.map_err(|error| Ended::Failed(format!("the list cannot be read: {error}")))?;
    job.entry.bytes_done.store(0, Ordering::Relaxed);
    let input = Counted { file, bytes: Arc::clone(&job.entry.bytes_done) };
    let options = spec.options().map_err(Ended::Failed)?;
    let mut rows = lists::read(input, &options).map_err(Ended::Failed)?;
    for _ in 0..job.rows_done {
        rows.next();
        job.check()?;
    }
    let judge = Judge::new(job.app, job.runtime, &saved.operation.event, spec).map_err(Ended::Failed)?;
    let mut taking = Taking {
        judge,
        operation: saved.operation.id,
        operator: saved.operator,
        seen: Seen::default(),
        dry_run,
    };
    loop {
        let batch: Vec<lists::Line> = rows.by_ref().take(job.at_once(BATCH_ROWS)).collect();
        if batch.is_empty() {
            return Ok(());
        }
        taking.take(job, batch)?;
        job.pause()?;
    }
}

/// Bytes on their way from a file, counted.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Rows being taken in, or only judged.
struct Taking<'a> {
    judge: Judge<'a>,
    operation: String,
    operator: Option<engine::catalog::OperatorId>,
    seen: Seen,
    dry_run: bool,
}

impl Taking<'_> {
    fn take(&mut self, job: &mut Job<'_>, batch: Vec<lists::Line>) -> Result<(), Ended> {
        let now = job.app.engine.now();
        let (mut adds, mut changes) = (Vec::new(), Vec::new());
        let rows = batch.len() as u64;
        for (line, row) in batch {
            let judged = row.map_err(|problem| (None, problem)).and_then(|row| {
                let step = self.judge.judge(&row, now);
                let step = step.and_then(|step| {
                    if self.dry_run { self.seen.look(&row, step, &self.judge) } else { Ok(step) }
                });
                step.map(|step| (row.clone(), step)).map_err(|problem| (Some(row.code), problem))
            });
            match judged {
                Err((code, problem)) => job.bad(line, code.as_deref(), problem)?,
                Ok((_, Step::Unchanged)) => job.counts.unchanged += 1,
                Ok((_, Step::Add(_))) if self.dry_run => job.counts.added += 1,
                Ok((_, Step::Change(_))) if self.dry_run => job.counts.changed += 1,
                Ok((row, Step::Add(ticket))) => adds.push((line, row, ticket)),
                Ok((row, Step::Change(change))) => changes.push((line, row, change)),
            }
        }
        job.give_way();
        let mut again = self.add(job, adds)?;
        again.extend(self.change(job, changes)?);
        for (line, row) in again {
            self.one(job, line, &row)?;
        }
        job.rows_done += rows;
        Ok(())
    }

    /// Adds tickets; gives the rows that have to be looked at again: another ticket has their code now.
    fn add(
        &self,
        job: &mut Job<'_>,
        adds: Vec<(u64, TicketRow, Ticket)>,
    ) -> Result<Vec<(u64, TicketRow)>, Ended> {
        let (rows, tickets): (Vec<(u64, TicketRow)>, Vec<Ticket>) =
            adds.into_iter().map(|(line, row, ticket)| ((line, row), ticket)).unzip();
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
        let (mut rows, mut again, mut tickets) = (rows.into_iter(), Vec::new(), tickets.into_iter());
        loop {
            let batch: Vec<Ticket> = tickets.by_ref().take(TICKETS_PER_RECORD_MAX).collect();
            if batch.is_empty() {
                return Ok(again);
            }
            let (lsn, outcomes) = patiently(job, |engine| engine.add_tickets(batch.clone(), false))?;
            job.wrote(lsn);
            for (outcome, (line, row)) in outcomes.into_iter().zip(rows.by_ref()) {
                match outcome {
                    Ok(()) => job.counts.added += 1,
                    Err(TicketError::CodeTaken(_)) => again.push((line, row)),
                    Err(problem) => job.bad(line, Some(&row.code), problem.to_string())?,
                }
            }
        }
    }

    /// Changes tickets; gives the rows that have to be looked at again where one of them was changed meanwhile.
    fn change(
        &self,
        job: &mut Job<'_>,
        changes: Vec<(u64, TicketRow, Box<Change>)>,
    ) -> Result<Vec<(u64, TicketRow)>, Ended> {
        let mut again = Vec::new();
        let mut changes = changes.into_iter();
        loop {
            let batch: Vec<_> = changes.by_ref().take(TICKETS_PER_RECORD_MAX).collect();
            if batch.is_empty() {
                return Ok(again);
            }
            let steps: Vec<&Change> = batch.iter().map(|(_, _, change)| &**change).collect();
            match amend(
                job,
                self.operator,
                "import",
                &json!({"operation": self.operation}).to_string(),
                &steps,
            ) {
                Ok(()) => job.counts.changed += batch.len() as u64,
                Err(Refused::Ended(ended)) => return Err(ended),
                Err(Refused::Again(_)) => again.extend(batch.into_iter().map(|(line, row, _)| (line, row))),
            }
        }
    }

    /// A row by itself, judged anew until what it is judged by stays.
    fn one(&self, job: &mut Job<'_>, line: u64, row: &TicketRow) -> Result<(), Ended> {
        let mut last = String::new();
        for _ in 0..JUDGED_MAX {
            let step = match self.judge.judge(row, job.app.engine.now()) {
                Ok(step) => step,
                Err(problem) => return job.bad(line, Some(&row.code), problem),
            };
            match step {
                Step::Unchanged => {
                    job.counts.unchanged += 1;
                    return Ok(());
                }
                Step::Add(ticket) => {
                    let (lsn, mut outcomes) =
                        patiently(job, |engine| engine.add_tickets(vec![ticket.clone()], false))?;
                    job.wrote(lsn);
                    match outcomes.pop() {
                        Some(Err(problem)) => last = problem.to_string(),
                        _ => {
                            job.counts.added += 1;
                            return Ok(());
                        }
                    }
                }
                Step::Change(change) => {
                    match amend(
                        job,
                        self.operator,
                        "import",
                        &json!({"operation": self.operation}).to_string(),
                        &[&change],
                    ) {
                        Ok(()) => {
                            job.counts.changed += 1;
                            return Ok(());
                        }
                        Err(Refused::Ended(ended)) => return Err(ended),
                        Err(Refused::Again(problem)) => last = problem,
                    }
                }
            }
        }
        job.bad(line, Some(&row.code), last)
    }
}

/// Why an amendment was not made.
pub enum Refused {
    /// The operation has to end.
    Ended(Ended),
    /// The tickets have to be looked at again, and why.
    Again(String),
}

/// Amends tickets as one record.
///
/// # Errors
/// As said.
pub fn amend(
    job: &mut Job<'_>,
    operator: Option<engine::catalog::OperatorId>,
    action: &str,
    details: &str,
    changes: &[&Change],
) -> Result<(), Refused> {
    let amendment = Amendment {
        action: action.to_owned(),
        details: details.to_owned(),
        changed: changes.iter().map(|own| (own.id, own.before.clone(), own.after.clone())).collect(),
        added: Vec::new(),
        as_of: changes.iter().filter_map(|own| own.as_of).min(),
    };
    let again = |error: &EngineError| {
        matches!(
            error,
            EngineError::Changed
                | EngineError::MaybeCold
                | EngineError::StoreBehind
                | EngineError::TicketNotFound
        ) || matches!(error, EngineError::Ticket(_))
    };
    loop {
        match job.app.engine.amend(operator, amendment.clone()) {
            Ok((lsn, _)) => {
                job.wrote(lsn);
                return Ok(());
            }
            Err(error) if again(&error) => return Err(Refused::Again(error.to_string())),
            Err(EngineError::Unavailable(_)) if !job.app.engine.journal().poisoned() => {
                job.check().map_err(Refused::Ended)?;
                std::thread::park_timeout(JOURNAL_FULL_WAIT);
            }
            Err(error) => return Err(Refused::Ended(error.into())),
        }
    }
}

/// Asks the engine again while its journal takes nothing for a moment.
fn patiently<T>(
    job: &Job<'_>,
    change: impl Fn(&engine::Engine) -> Result<(Lsn, T), EngineError>,
) -> Result<(Lsn, T), Ended> {
    loop {
        match change(&job.app.engine) {
            Err(EngineError::Unavailable(_)) if !job.app.engine.journal().poisoned() => {
                job.check()?;
                std::thread::park_timeout(JOURNAL_FULL_WAIT);
            }
            done => return done.map_err(Ended::from),
        }
    }
}

/// What a dry run remembers of the rows before: a hash of each code, and one of what its row said.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    rows: HashMap<u64, u64>,
}

impl Seen {
    /// What a row comes to, given those before it.
    fn look(&mut self, row: &TicketRow, step: Step, judge: &Judge<'_>) -> Result<Step, String> {
        let Step::Add(ticket) = &step else { return Ok(step) };
        // The status' time is when it was judged.
        let same = self
            .hasher
            .hash_one(format!("{:?}", Ticket { status_at: Time(0), ..ticket.clone() }) + &format!("{row:?}"));
        let codes: Vec<u64> = ticket.details.codes().map(|code| self.hasher.hash_one(code)).collect();
        let before: Vec<u64> = codes.iter().filter_map(|code| self.rows.get(code).copied()).collect();
        if before.is_empty() {
            if self.rows.len() < CODES_REMEMBERED_MAX {
                self.rows.extend(codes.into_iter().map(|code| (code, same)));
            }
            return Ok(step);
        }
        if before.len() == codes.len() && before.iter().all(|own| *own == same) {
            return Ok(Step::Unchanged);
        }
        judge.known_already(row)
    }
}
