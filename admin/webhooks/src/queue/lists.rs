//! What people and metrics are shown of the queue: attempts, dead letters, figures.

use super::{PENDING, Queue};
use crate::error::Error;
use rusqlite::params;

/// An attempt, or a note about the webhook itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Rises with time.
    pub number: i64,
    /// The message's id; `None`: a note.
    pub message: Option<String>,
    /// The message's type.
    pub kind: Option<String>,
    /// Which attempt of the message it was, from 1.
    pub attempt: Option<u32>,
    /// When it began, in ms since 1970.
    pub at_ms: i64,
    /// How long it took, in ms.
    pub ms: Option<u64>,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// Why it failed, or what the note says.
    pub error: Option<String>,
}

/// A message that nobody took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place: record, and which of the record's.
    pub place: (u64, u32),
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Attempts.
    pub attempts: u32,
    /// When it was given up, in ms since 1970.
    pub dead_ms: i64,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// How a webhook does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its id.
    pub webhook: String,
    /// The last record that was looked at for it.
    pub cursor: u64,
    /// Messages taken, over all times.
    pub delivered: u64,
    /// Attempts that failed, over all times.
    pub failed: u64,
    /// Messages that became dead letters, over all times.
    pub dead: u64,
    /// Dead letters that were dropped because there were too many.
    pub dropped: u64,
    /// Messages that wait.
    pub pending: u64,
    /// Dead letters there are.
    pub dead_letters: u64,
    /// Nothing was taken since, in ms since 1970.
    pub failing_since_ms: Option<i64>,
}

impl Queue {
    /// Attempts of a webhook, the newest first, older than a number.
    ///
    /// # Errors
    /// The file.
    pub fn attempts(&self, webhook: &str, before: Option<i64>, limit: usize) -> Result<Vec<Attempt>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT number, message, type, attempt, at_ms, ms, status, error FROM attempt
                 WHERE webhook = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?;
            let rows = query.query_map(params![webhook, before.unwrap_or(i64::MAX), limit], |row| {
                Ok(Attempt {
                    number: row.get(0)?,
                    message: row.get(1)?,
                    kind: row.get(2)?,
                    attempt: row.get(3)?,
                    at_ms: row.get(4)?,
                    ms: row.get(5)?,
                    status: row.get(6)?,
                    error: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Dead letters of a webhook in the order of what they tell, behind a place.
    ///
    /// # Errors
    /// The file.
    pub fn dead_letters(
        &self,
        webhook: &str,
        after: Option<(u64, u32)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let (lsn, n) = after.unwrap_or_default();
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT lsn, n, id, type, attempts, dead_ms, error FROM message INDEXED BY message_dead
                 WHERE webhook = ?1 AND dead_ms IS NOT NULL AND (?5 OR (lsn, n) > (?2, ?3))
                 ORDER BY lsn, n LIMIT ?4",
            )?;
            let rows = query.query_map(params![webhook, lsn, n, limit, after.is_none()], |row| {
                Ok(DeadLetter {
                    place: (row.get(0)?, row.get(1)?),
                    id: row.get(2)?,
                    kind: row.get(3)?,
                    attempts: row.get(4)?,
                    dead_ms: row.get(5)?,
                    error: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    /// How every webhook does. Counts what waits: a millisecond where everything is full.
    ///
    /// # Errors
    /// The file.
    pub fn figures(&self) -> Result<Vec<Figures>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                &format!(
                    "SELECT webhook, cursor_lsn, delivered, failed, dead, dropped, failing_since_ms, {PENDING}, dead_letters
                     FROM line ORDER BY webhook"
                ),
            )?;
            let rows = query.query_map([], |row| {
                Ok(Figures {
                    webhook: row.get(0)?,
                    cursor: row.get(1)?,
                    delivered: row.get(2)?,
                    failed: row.get(3)?,
                    dead: row.get(4)?,
                    dropped: row.get(5)?,
                    failing_since_ms: row.get(6)?,
                    pending: row.get(7)?,
                    dead_letters: row.get(8)?,
                })
            })?;
            rows.collect()
        })
    }
}
