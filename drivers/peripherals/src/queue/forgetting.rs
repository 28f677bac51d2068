//! Forgetting who an event's prints named: their documents, what was said of them, and every byte of both in the file. Jobs
//! stay by id and state: the same id again prints nothing. Knows no ticket.

use super::{Lasts, Queue, Within, queue_error, rows};
use crate::error::Error;
use crate::job::{Document, JobState, Outcome};
use driver_abi::Done;
use rusqlite::{Transaction, params};

/// The value of a template that says which event it is about.
const EVENT: &str = "event";

/// A job whose document goes.
struct About {
    n: i64,
    id: String,
    peripheral: String,
}

impl Queue {
    /// Empties what is kept of jobs about an event, and of those that do not say which event they are about: what people
    /// have printed may name anybody. Jobs that wait are cancelled, and their outcome says why. Gives how many jobs it were.
    ///
    /// Reads every job and writes the whole file anew, with the queue held: a second where it is full.
    ///
    /// # Errors
    /// The file: to be done again.
    pub fn forget(&self, event: &str, now_ms: i64) -> Result<u64, Error> {
        let mut inner = self.inner.lock();
        let gone = inner.transact(&self.path, Lasts::Now, |tx| {
            let gone = about(tx, event)?;
            gone.iter().try_for_each(|job| empty(tx, job, now_ms))?;
            Ok(gone)
        })?;
        for job in &gone {
            self.counted(&inner.connection, &job.peripheral);
        }
        // What was there before is in no page that is left, and the log with it is cut.
        let rewritten = inner.connection.execute_batch("VACUUM").and_then(|()| {
            inner.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        });
        match rewritten.map_err(|error| queue_error(&self.path, error))? {
            false => Ok(gone.len() as u64),
            true => Err(crate::QueueError::Locked { path: self.path.clone() }.into()),
        }
    }
}

fn about(tx: &Transaction<'_>, event: &str) -> Within<Vec<About>> {
    let mut query = tx.prepare("SELECT n, id, peripheral, document FROM job WHERE length(document) > 0")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let own = match rows::document(&row.get::<_, Vec<u8>>(3)?) {
            Ok(Document::Template { mut values, .. }) => values.remove(EVENT).unwrap_or_default(),
            // What cannot be read may name anybody too.
            Ok(Document::Ops(_)) | Err(_) => String::new(),
        };
        if own.is_empty() || own == event {
            found.push(About { n: row.get(0)?, id: row.get(1)?, peripheral: row.get(2)? });
        }
    }
    Ok(found)
}

fn empty(tx: &Transaction<'_>, job: &About, now_ms: i64) -> Within<()> {
    let text = "who held an event's tickets was forgotten, and with them what this was to print".to_owned();
    let told = rows::outcome_text(&Outcome { done: Done::None, fault: None, text: text.clone() });
    tx.prepare_cached(
        "UPDATE job SET document = X'', changed_ms = CASE state WHEN 'queued' THEN ?4 ELSE changed_ms END,
                outcome = CASE WHEN state IN ('queued', 'started') THEN ?2 ELSE json_set(outcome, '$.text', ?3) END,
                state = CASE state WHEN 'queued' THEN ?5 ELSE state END WHERE n = ?1",
    )?
    .execute(params![job.n, told, text, now_ms, JobState::Cancelled.word()])?;
    tx.prepare_cached("UPDATE audit SET why = '' WHERE job = ?1")?.execute([&job.id])?;
    Ok(())
}
