//! A job's columns as types, and the questions people ask. Changes nothing.

use super::{Queue, queue_error};
use crate::error::Error;
use crate::job::{DOCUMENT_BYTES_MAX, Document, Job, JobState, Origin, Outcome, Priority};
use crate::view::{AuditView, JobFilter, JobView};
use rusqlite::types::{FromSqlError, Value};
use rusqlite::{Row, params_from_iter};

/// Jobs or decisions in one answer.
const PAGE_MAX: usize = 1_000;

const VIEW: &str =
    "SELECT id, peripheral, priority, document, origin, state, submitted_ms, expires_ms, not_before_ms,
    attempts, changed_ms, outcome, reprint_of, reprint, n FROM job";

impl Queue {
    /// Jobs, newest first.
    ///
    /// # Errors
    /// The file.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, Error> {
        let mut wanted: Vec<Value> = Vec::new();
        let mut conditions = vec!["TRUE".to_owned()];
        if let Some(peripheral) = &filter.peripheral {
            wanted.push(peripheral.clone().into());
            conditions.push("peripheral = ?".to_owned());
        }
        if !filter.states.is_empty() {
            wanted.extend(filter.states.iter().map(|state| Value::from(state.word().to_owned())));
            conditions.push(format!("state IN ({})", vec!["?"; filter.states.len()].join(", ")));
        }
        if let Some(before) = filter.before {
            wanted.push(before.into());
            conditions.push("n < ?".to_owned());
        }
        let max = if filter.max == 0 { PAGE_MAX } else { filter.max.min(PAGE_MAX) };
        let sql = format!("{VIEW} WHERE {} ORDER BY n DESC LIMIT {max}", conditions.join(" AND "));
        self.ask(&sql, wanted, view)
    }

    /// One job.
    ///
    /// # Errors
    /// No such job; the file.
    pub fn job(&self, id: &str) -> Result<JobView, Error> {
        let found = self.ask(&format!("{VIEW} WHERE id = ?"), vec![id.to_owned().into()], view)?;
        found.into_iter().next().ok_or_else(|| Error::UnknownJob(id.to_owned()))
    }

    /// Decisions, newest first, with a number below `before`.
    ///
    /// # Errors
    /// The file.
    pub fn audit(&self, before: Option<i64>, max: usize) -> Result<Vec<AuditView>, Error> {
        let max = max.min(PAGE_MAX);
        let sql = format!(
            "SELECT number, at_ms, who, what, peripheral, job, why FROM audit WHERE number < ?1
             ORDER BY number DESC LIMIT {max}"
        );
        self.ask(&sql, vec![before.unwrap_or(i64::MAX).into()], |row| {
            Ok(AuditView {
                number: row.get(0)?,
                at_ms: row.get(1)?,
                who: row.get(2)?,
                what: row.get(3)?,
                peripheral: row.get(4)?,
                job: row.get(5)?,
                why: row.get(6)?,
            })
        })
    }

    fn ask<T>(
        &self,
        sql: &str,
        wanted: Vec<Value>,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let inner = self.inner.lock();
        let run = || -> rusqlite::Result<Vec<T>> {
            let mut query = inner.connection.prepare_cached(sql)?;
            query.query_map(params_from_iter(wanted), |row| read(row))?.collect()
        };
        run().map_err(|error| queue_error(&self.path, error).into())
    }
}

fn view(row: &Row<'_>) -> rusqlite::Result<JobView> {
    Ok(JobView {
        number: row.get(14)?,
        id: row.get(0)?,
        peripheral: row.get(1)?,
        state: state(row, 5)?,
        priority: Priority::from_rank(row.get(2)?),
        origin: json(&row.get::<_, String>(4)?)?,
        template: template(&row.get::<_, Vec<u8>>(3)?)?,
        submitted_ms: row.get(6)?,
        expires_ms: row.get(7)?,
        not_before_ms: row.get(8)?,
        attempts: row.get(9)?,
        changed_ms: row.get(10)?,
        outcome: row.get::<_, Option<String>>(11)?.as_deref().map(json).transpose()?,
        reprint_of: row.get(12)?,
        reprint: row.get(13)?,
    })
}

/// A document's template, if it is of one and was not forgotten.
fn template(bytes: &[u8]) -> rusqlite::Result<Option<String>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    match document(bytes)? {
        Document::Template { name, .. } => Ok(Some(name)),
        Document::Ops(_) => Ok(None),
    }
}

/// A job from five columns: id, peripheral, priority, document, origin. Its end is not among them.
pub fn job(row: &Row<'_>, from: usize) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(from)?,
        peripheral: row.get(from + 1)?,
        priority: Priority::from_rank(row.get(from + 2)?),
        document: document(&row.get::<_, Vec<u8>>(from + 3)?)?,
        origin: json::<Origin>(&row.get::<_, String>(from + 4)?)?,
        expires_ms: None,
    })
}

pub fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<JobState> {
    let word: String = row.get(column)?;
    let state = JobState::ALL.into_iter().find(|state| state.word() == word);
    state.ok_or_else(|| unreadable(format!("a job is {word:?}").into()))
}

pub fn document(bytes: &[u8]) -> rusqlite::Result<Document> {
    postcard::from_bytes(bytes).map_err(|error| unreadable(error.into()))
}

/// A document as it is kept.
///
/// # Errors
/// It is too long.
pub fn document_bytes(document: &Document) -> Result<Vec<u8>, Error> {
    let bytes = postcard::to_stdvec(document).map_err(|error| Error::BadDocument(error.to_string()))?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let text = format!("{} bytes are over the limit of {DOCUMENT_BYTES_MAX}", bytes.len());
        return Err(Error::BadDocument(text));
    }
    Ok(bytes)
}

pub fn outcome_text(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).expect("an outcome is plain words")
}

pub fn origin_text(origin: &Origin) -> String {
    serde_json::to_string(origin).expect("an origin is plain words")
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(error.into()))
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    FromSqlError::Other(error).into()
}
