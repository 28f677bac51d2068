//! The durable queue of messages: one SQLite file. Owns SQL; knows no network, no journal and no clock (the time is told).
//!
//! ```text
//! journal ──take──> fresh ──fail──> fresh (kept in its place) ──fail──> aside (later ones pass) ──fail──> dead ──replay──> fresh
//!                     └──delivered: the row goes, an attempt stays       └──delivered
//! ```
//! A webhook's messages and its cursor go in by one transaction, and a message goes by one that tells the attempt: a program
//! that is killed repeats a message, it loses none. What a power cut may take back is synced every second: the journal
//! still has it, and a message has the same id whenever it is made.

mod forgetting;
mod lists;
mod schema;

use crate::error::Error;
use crate::pace::ASIDE_AFTER;
pub use lists::{Attempt, DeadLetter, Figures};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Messages of a webhook that wait at the most; more wait in the journal.
pub const PENDING_MAX: usize = 1_000;
/// Dead letters that are kept for each webhook; the oldest go.
pub const DEAD_MAX: u32 = 10_000;
/// Attempts that are told of each webhook.
const ATTEMPTS_MAX: u32 = 1_000;
/// Longest error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 300;

const _: () = assert!(ASIDE_AFTER == 3, "the indexes of the schema say so too");

/// Counts what waits for a line.
const PENDING: &str = "
    (SELECT COUNT(*) FROM message INDEXED BY message_fresh
     WHERE message.webhook = line.webhook AND dead_ms IS NULL AND attempts < 3)
  + (SELECT COUNT(*) FROM message INDEXED BY message_aside
     WHERE message.webhook = line.webhook AND dead_ms IS NULL AND attempts >= 3)";

/// The queue.
pub struct Queue {
    inner: Mutex<Inner>,
    path: PathBuf,
}

struct Inner {
    connection: Connection,
    /// Changes that a power cut would take back.
    owes: bool,
}

/// Where a webhook stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// Its id.
    pub webhook: String,
    /// Records up to here are messages, or not wanted.
    pub cursor: u64,
    /// Messages that wait.
    pub pending: usize,
}

/// A message on its way in.
#[derive(Clone, Debug)]
pub struct New {
    /// Its record.
    pub lsn: u64,
    /// Which of the record's.
    pub n: u32,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// What is sent.
    pub body: String,
}

/// A message to be sent now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Its record.
    pub lsn: u64,
    /// Which of the record's.
    pub n: u32,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// What is sent.
    pub body: String,
    /// Attempts so far; all failed.
    pub attempts: u32,
}

/// What is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This, now.
    Due(Box<Due>),
    /// Something, then, in ms since 1970.
    At(i64),
    /// Nothing.
    Nothing,
}

/// How an attempt went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Went {
    /// When it began, in ms since 1970.
    pub at_ms: i64,
    /// How long it took, in ms.
    pub ms: u64,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// Why it is a failure; `None`: it is none.
    pub error: Option<String>,
}

/// What becomes of a message that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Again, at this moment, in ms since 1970.
    Again(i64),
    /// Never by itself.
    Dead,
}

// === impl Queue ===

impl Queue {
    /// Opens the file or makes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Queue, Error> {
        let inner = Inner { connection: schema::open(path)?, owes: false };
        Ok(Queue { inner: Mutex::new(inner), path: path.to_owned() })
    }

    /// Every webhook's place.
    ///
    /// # Errors
    /// The file.
    pub fn lines(&self) -> Result<Vec<LineRow>, Error> {
        self.read(|connection| {
            let mut query =
                connection.prepare_cached(&format!("SELECT webhook, cursor_lsn, {PENDING} FROM line"))?;
            let rows = query.query_map([], |row| {
                Ok(LineRow { webhook: row.get(0)?, cursor: row.get(1)?, pending: row.get(2)? })
            })?;
            rows.collect()
        })
    }

    /// A webhook begins behind this record. One that is there already stays as it is.
    ///
    /// # Errors
    /// The file.
    pub fn begin(&self, webhook: &str, cursor: u64) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "INSERT OR IGNORE INTO line (webhook, cursor_lsn) VALUES (?1, ?2)",
                params![webhook, cursor],
            )
        })?;
        self.settle()
    }

    /// Forgets a webhook and all its messages.
    ///
    /// # Errors
    /// The file.
    pub fn forget(&self, webhook: &str) -> Result<(), Error> {
        self.write(|tx| {
            for table in ["message", "attempt", "line"] {
                tx.execute(&format!("DELETE FROM {table} WHERE webhook = ?1"), [webhook])?;
            }
            Ok(())
        })
    }

    /// Takes messages of a webhook and moves its cursor, all or nothing. A message that is there already stays as it is.
    /// Gives how many are new.
    ///
    /// # Errors
    /// The file.
    pub fn take(&self, webhook: &str, messages: &[New], cursor: u64) -> Result<usize, Error> {
        self.write(|tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR IGNORE INTO message (webhook, lsn, n, id, type, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut came = 0;
            for new in messages {
                came += insert.execute(params![webhook, new.lsn, new.n, new.id, new.kind, new.body])?;
            }
            set_cursor(tx, webhook, cursor)?;
            Ok(came)
        })
    }

    /// Moves cursors of webhooks that wanted nothing of the records before them. Nobody syncs for it: records that are
    /// looked at again say the same.
    ///
    /// # Errors
    /// The file.
    pub fn pass(&self, cursors: &[(String, u64)]) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let pass = |tx: &Transaction<'_>| {
            cursors.iter().try_for_each(|(webhook, cursor)| set_cursor(tx, webhook, *cursor))
        };
        inner.transact(pass).map_err(|error| wrong(&self.path, &error))
    }

    /// Puts a webhook's cursor somewhere else, and says why in its deliveries.
    ///
    /// # Errors
    /// The file.
    pub fn jump(&self, webhook: &str, cursor: u64, why: &str, now_ms: i64) -> Result<(), Error> {
        self.write(|tx| {
            set_cursor(tx, webhook, cursor)?;
            let went = Went { at_ms: now_ms, error: Some(why.to_owned()), ..Went::default() };
            note(tx, webhook, None, &went)
        })?;
        self.settle()
    }

    /// What is to be sent next: what was set aside and is due, else the oldest.
    ///
    /// # Errors
    /// The file.
    pub fn next(&self, webhook: &str, now_ms: i64) -> Result<Next, Error> {
        // The indexes are named: by the primary key the search would walk over all dead letters.
        const COLUMNS: &str = "SELECT lsn, n, id, type, body, attempts, next_ms FROM message INDEXED BY";
        self.read(|connection| {
            let first = |rest: &str| {
                let mut query = connection.prepare_cached(&format!("{COLUMNS} {rest} LIMIT 1"))?;
                query.query_row([webhook], due).optional()
            };
            let aside = first(
                "message_aside WHERE webhook = ?1 AND dead_ms IS NULL AND attempts >= 3 ORDER BY next_ms",
            )?;
            let fresh = first(
                "message_fresh WHERE webhook = ?1 AND dead_ms IS NULL AND attempts < 3 ORDER BY lsn, n",
            )?;
            let moment = [&aside, &fresh].into_iter().flatten().map(|(_, next_ms)| *next_ms).min();
            let now = [aside, fresh].into_iter().flatten().find(|(_, next_ms)| *next_ms <= now_ms);
            Ok(match (now, moment) {
                (Some((due, _)), _) => Next::Due(Box::new(due)),
                (None, Some(at_ms)) => Next::At(at_ms),
                (None, None) => Next::Nothing,
            })
        })
    }

    /// A message was taken: it is gone, and the attempt is told. Gives since when nothing was taken before it.
    ///
    /// # Errors
    /// The file.
    pub fn delivered(&self, webhook: &str, due: &Due, went: &Went) -> Result<Option<i64>, Error> {
        self.write(|tx| {
            tx.prepare_cached("DELETE FROM message WHERE webhook = ?1 AND lsn = ?2 AND n = ?3")?
                .execute(params![webhook, due.lsn, due.n])?;
            note(tx, webhook, Some(due), went)?;
            let since = failing_since(tx, webhook)?;
            tx.prepare_cached(
                "UPDATE line SET delivered = delivered + 1, failing_since_ms = NULL WHERE webhook = ?1",
            )?
            .execute([webhook])?;
            Ok(since)
        })
    }

    /// A message was not taken. Gives since when nothing was.
    ///
    /// # Errors
    /// The file.
    pub fn failed(&self, webhook: &str, due: &Due, went: &Went, then: Then) -> Result<i64, Error> {
        let (next_ms, dead_ms) = match then {
            Then::Again(next_ms) => (next_ms, None),
            Then::Dead => (0, Some(went.at_ms)),
        };
        let error = went.error.as_deref().map(shortened);
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE message SET attempts = ?4, next_ms = ?5, dead_ms = ?6, error = ?7
                 WHERE webhook = ?1 AND lsn = ?2 AND n = ?3",
            )?
            .execute(params![
                webhook,
                due.lsn,
                due.n,
                due.attempts + 1,
                next_ms,
                dead_ms,
                error
            ])?;
            note(tx, webhook, Some(due), went)?;
            tx.prepare_cached(
                "UPDATE line SET failed = failed + 1, dead = dead + ?2, dead_letters = dead_letters + ?2,
                 failing_since_ms = COALESCE(failing_since_ms, ?3) WHERE webhook = ?1",
            )?
            .execute(params![webhook, dead_ms.is_some(), went.at_ms])?;
            if dead_ms.is_some() {
                drop_oldest_dead(tx, webhook)?;
            }
            Ok(failing_since(tx, webhook)?.unwrap_or(went.at_ms))
        })
    }

    /// Tells an attempt that was none of the queue's own.
    ///
    /// # Errors
    /// The file.
    pub fn tell(&self, webhook: &str, due: &Due, went: &Went) -> Result<(), Error> {
        self.write(|tx| note(tx, webhook, Some(due), went))
    }

    /// What was set aside is due now: its receiver is back.
    ///
    /// # Errors
    /// The file.
    pub fn hurry(&self, webhook: &str, now_ms: i64) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE message SET next_ms = MIN(next_ms, ?2) WHERE webhook = ?1 AND dead_ms IS NULL AND attempts >= 3",
                params![webhook, now_ms],
            )
        })?;
        Ok(())
    }

    /// A dead letter is to be sent again, from the beginning; `false`: there is none of this id.
    ///
    /// # Errors
    /// The file.
    pub fn revive(&self, webhook: &str, id: &str) -> Result<bool, Error> {
        let revived = self.write(|tx| {
            let revived = tx.execute(
                "UPDATE message SET attempts = 0, next_ms = 0, dead_ms = NULL
                 WHERE webhook = ?1 AND id = ?2 AND dead_ms IS NOT NULL",
                [webhook, id],
            )?;
            let fewer = "UPDATE line SET dead_letters = dead_letters - ?2 WHERE webhook = ?1";
            tx.execute(fewer, params![webhook, revived])?;
            Ok(revived)
        })?;
        self.settle()?;
        Ok(revived > 0)
    }

    /// Syncs what was changed since the last time. To be called about every second.
    ///
    /// # Errors
    /// The file.
    pub fn settle(&self) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if !std::mem::take(&mut inner.owes) {
            return Ok(());
        }
        // The log is one file: a commit that syncs it takes what came before along. One that changes nothing writes nothing.
        let sync = || -> rusqlite::Result<()> {
            inner.connection.pragma_update(None, "synchronous", "FULL")?;
            let synced = inner.connection.execute("UPDATE disk SET synced = synced + 1", []);
            inner.connection.pragma_update(None, "synchronous", "NORMAL")?;
            synced.map(drop)
        };
        sync().map_err(|error| wrong(&self.path, &error))
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        ask(&self.inner.lock().connection).map_err(|error| wrong(&self.path, &error))
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut inner = self.inner.lock();
        inner.owes = true;
        inner.transact(work).map_err(|error| wrong(&self.path, &error))
    }
}

impl Inner {
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&tx)?;
        tx.commit()?;
        Ok(result)
    }
}

fn due(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Due, i64)> {
    let due = Due {
        lsn: row.get(0)?,
        n: row.get(1)?,
        id: row.get(2)?,
        kind: row.get(3)?,
        body: row.get(4)?,
        attempts: row.get(5)?,
    };
    Ok((due, row.get(6)?))
}

fn set_cursor(tx: &Transaction<'_>, webhook: &str, cursor: u64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE line SET cursor_lsn = ?2 WHERE webhook = ?1")?
        .execute(params![webhook, cursor])?;
    Ok(())
}

fn failing_since(tx: &Transaction<'_>, webhook: &str) -> rusqlite::Result<Option<i64>> {
    let mut query = tx.prepare_cached("SELECT failing_since_ms FROM line WHERE webhook = ?1")?;
    Ok(query.query_row([webhook], |row| row.get(0)).optional()?.flatten())
}

/// Tells an attempt, or something about the line itself; the oldest ones go. Of a line that was forgotten nothing is told.
fn note(tx: &Transaction<'_>, webhook: &str, due: Option<&Due>, went: &Went) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO attempt (webhook, message, type, attempt, at_ms, ms, status, error)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM line WHERE webhook = ?1)",
    )?
    .execute(params![
        webhook,
        due.map(|due| &due.id),
        due.map(|due| &due.kind),
        due.map(|due| due.attempts + 1),
        went.at_ms,
        due.map(|_| went.ms),
        went.status,
        went.error.as_deref().map(shortened)
    ])?;
    tx.prepare_cached(
        "DELETE FROM attempt WHERE webhook = ?1 AND number <=
         (SELECT number FROM attempt WHERE webhook = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![webhook, ATTEMPTS_MAX])?;
    Ok(())
}

fn drop_oldest_dead(tx: &Transaction<'_>, webhook: &str) -> rusqlite::Result<()> {
    let mut query = tx.prepare_cached("SELECT MAX(dead_letters - ?2, 0) FROM line WHERE webhook = ?1")?;
    let more: u32 = query.query_row(params![webhook, DEAD_MAX], |row| row.get(0)).optional()?.unwrap_or(0);
    let dropped = tx
        .prepare_cached(
            "DELETE FROM message WHERE webhook = ?1 AND (lsn, n) IN (SELECT lsn, n FROM message INDEXED BY message_dead
             WHERE webhook = ?1 AND dead_ms IS NOT NULL ORDER BY lsn, n LIMIT ?2)",
        )?
        .execute(params![webhook, more])?;
    tx.prepare_cached(
        "UPDATE line SET dropped = dropped + ?2, dead_letters = dead_letters - ?2 WHERE webhook = ?1",
    )?
    .execute(params![webhook, dropped])?;
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}

fn wrong(path: &Path, error: &dyn Display) -> Error {
    Error::File { path: path.to_owned(), text: error.to_string() }
}

#[cfg(test)]
mod tests;
