//! What people decide about jobs, with the line that says who and why in the same transaction. Decides nothing itself.

use super::{Entry, Lasts, Queue, Trouble, Within, insert, must_be_one, rows};
use crate::error::Error;
use crate::job::{Job, JobState, Origin, Resolution};
use rusqlite::{OptionalExtension, Transaction, params};

/// A decision to be written down.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// Who.
    pub who: &'a str,
    /// What.
    pub what: &'a str,
    /// Where.
    pub peripheral: &'a str,
    /// Which job.
    pub job: Option<&'a str>,
    /// Why.
    pub why: &'a str,
}

/// A person's decision about an unknown job.
#[derive(Clone, Copy, Debug)]
pub struct Resolving<'a> {
    /// What.
    pub resolution: Resolution,
    /// Who.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
    /// Jobs that may wait where it is printed again.
    pub queue_max: u64,
    /// The station it is printed again at; `None`: here.
    pub station: Option<&'a str>,
    /// The new job is given up then, ms since 1970.
    pub expires_ms: i64,
}

impl Queue {
    /// Takes back a job that waits.
    ///
    /// # Errors
    /// It does not; the file.
    pub fn cancel(&self, id: &str, who: &str, why: &str, now_ms: i64) -> Result<(), Error> {
        self.change_job(id, |tx, peripheral| {
            let changed = tx.execute(
                "UPDATE job SET state = 'cancelled', changed_ms = ?2 WHERE id = ?1 AND state = 'queued'",
                params![id, now_ms],
            )?;
            must_be_one(tx, id, changed)?;
            note(tx, &Decision { who, what: "cancel", peripheral, job: Some(id), why }, now_ms)
        })
    }

    /// A person decides about an unknown job; `queue_max` is for what is printed again, and so is `expires_ms`.
    ///
    /// # Errors
    /// It is not unknown; what it printed was forgotten; the queue is full; the file.
    pub fn resolve(&self, id: &str, resolving: &Resolving<'_>, now_ms: i64) -> Result<Option<String>, Error> {
        let again = resolving.resolution == Resolution::Reprint;
        let state = if again { JobState::Reprinted } else { JobState::Printed };
        self.change_job(id, |tx, peripheral| {
            let changed = tx.execute(
                "UPDATE job SET state = ?2, changed_ms = ?3 WHERE id = ?1 AND state = 'unknown'",
                params![id, state.word(), now_ms],
            )?;
            must_be_one(tx, id, changed)?;
            let what = if again { "reprint" } else { "printed" };
            let decision =
                Decision { who: resolving.who, what, peripheral, job: Some(id), why: resolving.why };
            note(tx, &decision, now_ms)?;
            if again { Ok(Some(reprint(tx, id, resolving, now_ms)?)) } else { Ok(None) }
        })
    }

    /// Writes a decision down.
    ///
    /// # Errors
    /// The file.
    pub fn note(&self, decision: &Decision<'_>, now_ms: i64) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        inner.transact(&self.path, Lasts::Now, |tx| note(tx, decision, now_ms))
    }
}

/// The new job of a reprint. All reprints are linked to the first print, and counted.
fn reprint(tx: &Transaction<'_>, id: &str, resolving: &Resolving<'_>, now_ms: i64) -> Within<String> {
    let found: Option<(String, Job)> = tx
        .query_row(
            "SELECT COALESCE(reprint_of, id), id, peripheral, priority, document, origin FROM job
             WHERE id = ?1 AND length(document) > 0",
            [id],
            |row| Ok((row.get(0)?, rows::job(row, 1)?)),
        )
        .optional()?;
    let (root, mut job) = found.ok_or_else(|| Trouble::Refused(Error::Forgotten(id.to_owned())))?;
    let number: u32 = tx.query_row(
        "SELECT COALESCE(MAX(reprint), 0) + 1 FROM job WHERE reprint_of = ?1",
        [&root],
        |row| row.get(0),
    )?;
    job.id = format!("reprint:{number}:{root}");
    job.expires_ms = Some(resolving.expires_ms);
    job.origin = Origin::Operator { who: resolving.who.to_owned() };
    let new = job.id.clone();
    let (queue_max, station) = (resolving.queue_max, resolving.station.map(str::to_owned));
    insert(tx, &Entry { job, station, queue_max, reprint: number, reprint_of: Some(root) }, now_ms)?;
    Ok(new)
}

/// A line of the audit.
pub fn note(tx: &Transaction<'_>, decision: &Decision<'_>, now_ms: i64) -> Within<()> {
    let Decision { who, what, peripheral, job, why } = decision;
    tx.execute(
        "INSERT INTO audit (at_ms, who, what, peripheral, job, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![now_ms, who, what, peripheral, job, why],
    )?;
    Ok(())
}
