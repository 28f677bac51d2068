//! The durable queue of jobs: one SQLite file. Owns SQL; knows no process, no device and no clock (the time is told).
//!
//! ```text
//! queued ──start──> started ──finish──> none | sent | confirmed | unknown ──resolve──> printed | reprinted
//!    │  <──retry / wait──┘                                          ^
//!    ├──cancel──> cancelled        program ended while started ─────┤
//!    ├──expire──> expired                                           │
//!    └──offer───> handed ──hand_in──> as the station says; expiry ──┘
//! ```
//! A job whose document was forgotten (`forget`) has an empty one, in any state but `queued`: nothing is printed of it again.
//!
//! `started` is on the disk before the first byte may leave: what is found `started` at opening may have printed, and
//! no program decides that it did not. One program has the file (`locking_mode = EXCLUSIVE`): two would print twice.
//!
//! The disk is the gates' too, so what a power cut may take back without harm is not synced at once ([`Lasts`]): a rule's
//! job comes from the journal again, and a job whose end was lost is `unknown`. A program that is killed loses nothing.

mod decisions;
mod forgetting;
mod rows;
mod schema;
mod stations;
mod tidy;

use crate::error::{Error, QueueError};
use crate::job::{Document, Job, JobState, Outcome, Submitted};
pub use decisions::{Decision, Resolving};
use driver_abi::Done;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The queue.
pub struct Queue {
    inner: Mutex<Inner>,
    /// Told without waiting for the disk.
    depths: Mutex<HashMap<String, Depth>>,
    cursor: Mutex<Option<u64>>,
    incarnation: String,
    /// Peripherals that were printing when the program last ended.
    interrupted: Vec<String>,
    path: PathBuf,
}

struct Inner {
    connection: Connection,
    cursor_stored: Option<u64>,
    /// Changes of jobs that a power cut would take back.
    owes: bool,
}

/// What a change survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    /// A power cut, from now on: it is synced.
    Now,
    /// The program's end; a power cut after the next change that is synced, [`Queue::settle_disk`] at the latest.
    Soon,
}

/// How many jobs of a peripheral are not done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// They wait, here or at a station.
    pub queued: u64,
    /// They may have printed.
    pub unknown: u64,
}

/// A job on its way into the queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The job, its end told.
    pub job: Job,
    /// The station it is for.
    pub station: Option<String>,
    /// Jobs that may wait there.
    pub queue_max: u64,
    /// Which reprint it is; 0: none.
    pub reprint: u32,
    /// The job it repeats.
    pub reprint_of: Option<String>,
}

/// A job that may be printed now: `started` is on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// What to print.
    pub document: Document,
    /// Tries, with this one.
    pub attempts: u32,
    /// Which reprint it is; 0: none.
    pub reprint: u32,
}

/// Why a transaction is taken back.
enum Trouble {
    Sql(rusqlite::Error),
    Refused(Error),
}

type Within<T> = Result<T, Trouble>;

// === impl Queue ===

impl Queue {
    /// Opens the file or makes it. Jobs found `started` become `unknown`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path, now_ms: i64) -> Result<Queue, QueueError> {
        let wrong = |error| queue_error(path, error);
        let connection = schema::open(path)?;
        let (cursor, incarnation) = schema::meta(&connection).map_err(wrong)?;
        let inner = Inner { connection, cursor_stored: cursor, owes: false };
        let mut queue = Queue {
            inner: Mutex::new(inner),
            depths: Mutex::default(),
            cursor: Mutex::new(cursor),
            incarnation,
            interrupted: Vec::new(),
            path: path.to_owned(),
        };
        queue.interrupted = queue.recover(now_ms).map_err(wrong)?;
        Ok(queue)
    }

    fn recover(&self, now_ms: i64) -> rusqlite::Result<Vec<String>> {
        let inner = self.inner.lock();
        let names = |sql: &str| -> rusqlite::Result<Vec<String>> {
            inner.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        let interrupted = names("SELECT DISTINCT peripheral FROM job WHERE state = 'started'")?;
        let outcome = Outcome {
            done: Done::Unknown,
            fault: None,
            text: "the program ended while it was being printed".to_owned(),
        };
        inner.connection.execute(
            "UPDATE job SET state = 'unknown', changed_ms = ?1, outcome = ?2 WHERE state = 'started'",
            params![now_ms, rows::outcome_text(&outcome)],
        )?;
        for name in names("SELECT DISTINCT peripheral FROM job")? {
            self.count(&inner.connection, &name)?;
        }
        Ok(interrupted)
    }

    /// Was this peripheral printing when the program last ended?
    pub fn was_interrupted(&self, peripheral: &str) -> bool {
        self.interrupted.iter().any(|name| name == peripheral)
    }

    /// Waiting jobs of a peripheral go where it hangs now.
    ///
    /// # Errors
    /// The file.
    pub fn settle(&self, peripheral: &str, station: Option<&str>) -> Result<(), Error> {
        self.change(peripheral, Lasts::Now, |tx| {
            tx.execute(
                "UPDATE job SET station = ?2 WHERE peripheral = ?1 AND state = 'queued' AND station IS NOT ?2",
                params![peripheral, station],
            )?;
            Ok(())
        })
    }

    /// Which file this is: random, made with it.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// The last record taken. Touches memory only.
    pub fn cursor(&self) -> Option<u64> {
        *self.cursor.lock()
    }

    /// How many jobs of a peripheral are not done with. Touches memory only.
    pub fn depth(&self, peripheral: &str) -> Depth {
        self.depths.lock().get(peripheral).copied().unwrap_or_default()
    }

    /// Takes a job, once.
    ///
    /// # Errors
    /// The id is another job's; `Full`; the file.
    pub fn submit(&self, entry: &Entry, now_ms: i64) -> Result<Submitted, Error> {
        self.change(&entry.job.peripheral, Lasts::Now, |tx| insert(tx, entry, now_ms))
    }

    /// Takes jobs and moves the cursor, all or nothing. A job that finds its queue full is left out, the others are not.
    /// The cursor alone waits for [`Queue::settle_disk`]: records that are taken again change nothing.
    ///
    /// # Errors
    /// The file.
    pub fn take(
        &self,
        entries: &[Entry],
        cursor: u64,
        now_ms: i64,
    ) -> Result<Vec<Result<Submitted, Error>>, Error> {
        let mut inner = self.inner.lock();
        // The first is written: a queue that never was at work would begin later the next time.
        if entries.is_empty() && inner.cursor_stored.is_some() {
            *self.cursor.lock() = Some(cursor);
            return Ok(Vec::new());
        }
        let taken = inner.transact(&self.path, Lasts::Soon, |tx| {
            schema::set_cursor(tx, Some(cursor))?;
            let mut taken = Vec::with_capacity(entries.len());
            for entry in entries {
                taken.push(match insert(tx, entry, now_ms) {
                    Err(Trouble::Refused(error)) => Err(error),
                    Err(trouble) => return Err(trouble),
                    Ok(submitted) => Ok(submitted),
                });
            }
            Ok(taken)
        })?;
        inner.cursor_stored = Some(cursor);
        *self.cursor.lock() = Some(cursor);
        for entry in entries {
            self.counted(&inner.connection, &entry.job.peripheral);
        }
        Ok(taken)
    }

    /// Writes the cursor if it moved, and syncs what no later change has. To be called now and then.
    ///
    /// # Errors
    /// The file.
    pub fn settle_disk(&self) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let cursor = self.cursor();
        if cursor != inner.cursor_stored || inner.owes {
            let lasts = if inner.owes { Lasts::Now } else { Lasts::Soon };
            inner.transact(&self.path, lasts, |tx| Ok(schema::set_cursor(tx, cursor)?))?;
            (inner.cursor_stored, inner.owes) = (cursor, false);
        }
        Ok(())
    }

    /// The next job that may be printed here, `started` on the disk when this returns.
    ///
    /// # Errors
    /// The file: nothing is started.
    pub fn start(&self, peripheral: &str, now_ms: i64) -> Result<Option<Begun>, Error> {
        self.change(peripheral, Lasts::Now, |tx| {
            let next: Option<(i64, Begun)> = tx
                .prepare_cached(
                    "SELECT n, id, document, attempts + 1, reprint FROM job
                     WHERE peripheral = ?1 AND state = 'queued' AND station IS NULL
                       AND not_before_ms <= ?2 AND expires_ms > ?2 ORDER BY priority, n LIMIT 1",
                )?
                .query_row(params![peripheral, now_ms], |row| {
                    let document = rows::document(&row.get::<_, Vec<u8>>(2)?)?;
                    let (id, attempts, reprint) = (row.get(1)?, row.get(3)?, row.get(4)?);
                    Ok((row.get(0)?, Begun { id, document, attempts, reprint }))
                })
                .optional()?;
            if let Some((n, _)) = &next {
                tx.execute(
                    "UPDATE job SET state = 'started', attempts = attempts + 1, changed_ms = ?2 WHERE n = ?1",
                    params![n, now_ms],
                )?;
            }
            Ok(next.map(|(_, begun)| begun))
        })
    }

    /// What became of a started job.
    ///
    /// # Errors
    /// It was not started; the file.
    pub fn finish(
        &self,
        peripheral: &str,
        id: &str,
        state: JobState,
        outcome: &Outcome,
        now_ms: i64,
    ) -> Result<(), Error> {
        self.change(peripheral, Lasts::Soon, |tx| {
            let changed = tx.execute(
                "UPDATE job SET state = ?2, outcome = ?3, changed_ms = ?4 WHERE id = ?1 AND state = 'started'",
                params![id, state.word(), rows::outcome_text(outcome), now_ms],
            )?;
            must_be_one(tx, id, changed)
        })
    }

    /// A started job of which nothing was printed goes back: it waits until `not_before_ms`. `counts`: the try is one of
    /// its attempts. One that was forgotten meanwhile has nothing left to print and is cancelled, as its outcome says.
    ///
    /// # Errors
    /// It was not started; the file.
    pub fn put_back(&self, peripheral: &str, id: &str, back: &PutBack<'_>, now_ms: i64) -> Result<(), Error> {
        self.change(peripheral, Lasts::Soon, |tx| {
            let changed = tx.execute(
                "UPDATE job SET state = CASE length(document) WHEN 0 THEN 'cancelled' ELSE 'queued' END,
                        outcome = CASE length(document) WHEN 0 THEN outcome ELSE ?2 END, not_before_ms = ?3, changed_ms = ?4, attempts = attempts - ?5
                 WHERE id = ?1 AND state = 'started'",
                params![
                    id,
                    rows::outcome_text(back.outcome),
                    back.not_before_ms,
                    now_ms,
                    i64::from(!back.counts)
                ],
            )?;
            must_be_one(tx, id, changed)
        })
    }

    /// When `start` may have something: ms since 1970.
    ///
    /// # Errors
    /// The file.
    pub fn next_due_ms(&self, peripheral: &str, now_ms: i64) -> Result<Option<i64>, Error> {
        let inner = self.inner.lock();
        let due = inner.connection.query_row(
            "SELECT MIN(not_before_ms) FROM job
             WHERE peripheral = ?1 AND state = 'queued' AND station IS NULL AND expires_ms > ?2",
            params![peripheral, now_ms],
            |row| row.get(0),
        );
        due.map_err(|error| queue_error(&self.path, error).into())
    }

    /// From here on nothing can be written, or it can again.
    #[cfg(test)]
    pub fn only_read(&self, on: bool) {
        let inner = self.inner.lock();
        inner.connection.pragma_update(None, "query_only", on).expect("a pragma");
    }

    /// A transaction about a peripheral; its depth is told afterwards.
    fn change<T>(
        &self,
        peripheral: &str,
        lasts: Lasts,
        work: impl FnOnce(&Transaction<'_>) -> Within<T>,
    ) -> Result<T, Error> {
        let mut inner = self.inner.lock();
        let result = inner.transact(&self.path, lasts, work)?;
        self.counted(&inner.connection, peripheral);
        Ok(result)
    }

    /// The same about a job, whose peripheral is looked up.
    fn change_job<T>(
        &self,
        id: &str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Within<T>,
    ) -> Result<T, Error> {
        let mut inner = self.inner.lock();
        let (result, peripheral) = inner.transact(&self.path, Lasts::Now, |tx| {
            let peripheral: Option<String> = tx
                .query_row("SELECT peripheral FROM job WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            let peripheral = peripheral.ok_or_else(|| Trouble::Refused(Error::UnknownJob(id.to_owned())))?;
            Ok((work(tx, &peripheral)?, peripheral))
        })?;
        self.counted(&inner.connection, &peripheral);
        Ok(result)
    }

    /// A count that cannot be read is told as it was: what was changed stands all the same.
    fn counted(&self, connection: &Connection, peripheral: &str) {
        if let Err(error) = self.count(connection, peripheral) {
            tracing::warn!(peripheral, %error, "failed to count waiting jobs");
        }
    }

    fn count(&self, connection: &Connection, peripheral: &str) -> rusqlite::Result<()> {
        let depth = connection
            .prepare_cached(
                "SELECT COALESCE(SUM(state IN ('queued', 'handed')), 0), COALESCE(SUM(state = 'unknown'), 0) FROM job
                 WHERE peripheral = ?1 AND state IN ('queued', 'handed', 'started', 'unknown')",
            )?
            .query_row([peripheral], |row| Ok(Depth { queued: row.get(0)?, unknown: row.get(1)? }))?;
        self.depths.lock().insert(peripheral.to_owned(), depth);
        Ok(())
    }
}

/// How a job goes back into the queue.
#[derive(Clone, Copy, Debug)]
pub struct PutBack<'a> {
    /// It waits until then, ms since 1970.
    pub not_before_ms: i64,
    /// Is the try one of its attempts?
    pub counts: bool,
    /// Why.
    pub outcome: &'a Outcome,
}

// === transactions ===

impl Inner {
    fn transact<T>(
        &mut self,
        path: &Path,
        lasts: Lasts,
        work: impl FnOnce(&Transaction<'_>) -> Within<T>,
    ) -> Result<T, Error> {
        // The log is one file: whatever is synced takes what came before it along.
        let synchronous = if lasts == Lasts::Now { "FULL" } else { "NORMAL" };
        let changes = self.connection.total_changes();
        let run = || -> Within<T> {
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&tx)?;
            tx.commit()?;
            Ok(result)
        };
        let result = run().map_err(|trouble| match trouble {
            Trouble::Sql(error) => queue_error(path, error).into(),
            Trouble::Refused(error) => error,
        })?;
        if self.connection.total_changes() != changes {
            self.owes = lasts == Lasts::Soon;
        }
        Ok(result)
    }
}

fn insert(tx: &Transaction<'_>, entry: &Entry, now_ms: i64) -> Within<Submitted> {
    let job = &entry.job;
    let document = rows::document_bytes(&job.document).map_err(Trouble::Refused)?;
    let known = tx
        .prepare_cached(
            "SELECT state, peripheral = ?2 AND (document = ?3 OR length(document) = 0) FROM job WHERE id = ?1",
        )?
        .query_row(params![job.id, job.peripheral, document], |row| {
            Ok((rows::state(row, 0)?, row.get::<_, bool>(1)?))
        })
        .optional()?;
    match known {
        Some((state, true)) => return Ok(Submitted::Known(state)),
        Some((_, false)) => return Err(Trouble::Refused(Error::IdConflict(job.id.clone()))),
        None => {}
    }
    let waiting: u64 = tx
        .prepare_cached("SELECT COUNT(*) FROM job WHERE peripheral = ?1 AND state IN ('queued', 'handed')")?
        .query_row([&job.peripheral], |row| row.get(0))?;
    if waiting >= entry.queue_max {
        let (peripheral, max) = (job.peripheral.clone(), entry.queue_max);
        return Err(Trouble::Refused(Error::Full { peripheral, max }));
    }
    tx.prepare_cached(
        "INSERT INTO job (id, peripheral, state, priority, document, origin, submitted_ms, expires_ms, not_before_ms,
                          attempts, changed_ms, reprint_of, reprint, station)
         VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, 0, 0, ?6, ?8, ?9, ?10)",
    )?
    .execute(params![
        job.id,
        job.peripheral,
        job.priority.rank(),
        document,
        rows::origin_text(&job.origin),
        now_ms,
        job.expires_ms.unwrap_or(now_ms.saturating_add(crate::job::EXPIRES_AFTER_MS)),
        entry.reprint_of,
        entry.reprint,
        entry.station
    ])?;
    Ok(Submitted::New)
}

/// An update that was to change one job: none means that it is elsewhere in its life.
fn must_be_one(tx: &Transaction<'_>, id: &str, changed: usize) -> Within<()> {
    if changed == 1 {
        return Ok(());
    }
    let state =
        tx.query_row("SELECT state FROM job WHERE id = ?1", [id], |row| rows::state(row, 0)).optional()?;
    Err(Trouble::Refused(match state {
        Some(state) => Error::WrongState { job: id.to_owned(), state },
        None => Error::UnknownJob(id.to_owned()),
    }))
}

/// SQLite's errors by what has to be done about them.
fn queue_error(path: &Path, error: rusqlite::Error) -> QueueError {
    let (path, text) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => QueueError::Locked { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => QueueError::Damaged { path, text },
        Some(ErrorCode::DiskFull) => QueueError::DiskFull { path },
        _ => QueueError::Sqlite { path, text },
    }
}

// === impl Trouble ===

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sql(error)
    }
}

#[cfg(test)]
mod tests;
