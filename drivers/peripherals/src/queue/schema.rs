//! The queue's file: how it is opened and what is in it. Knows no job.

use super::queue_error;
use crate::error::QueueError;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Form of the file.
const FORMAT: i64 = 1;
/// "GHPQ": an SQLite file of somebody else is not taken for a queue.
const APPLICATION_ID: i64 = 0x4748_5051;
/// How long a call waits for another program that is about to end.
const BUSY_WAIT: Duration = Duration::from_secs(2);

const TABLES: &str = "
CREATE TABLE meta (format INTEGER NOT NULL, cursor_lsn INTEGER, incarnation TEXT NOT NULL);
INSERT INTO meta VALUES (1, NULL, lower(hex(randomblob(16))));
CREATE TABLE job (
    n             INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    peripheral    TEXT NOT NULL,
    state         TEXT NOT NULL,
    priority      INTEGER NOT NULL, -- 0 urgent, 1 normal, 2 low
    document      BLOB NOT NULL,    -- postcard
    origin        TEXT NOT NULL,    -- JSON
    submitted_ms  INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    changed_ms    INTEGER NOT NULL,
    outcome       TEXT,             -- JSON, of the last try
    reprint_of    TEXT,             -- the first print's id
    reprint       INTEGER NOT NULL,
    station       TEXT,             -- it hangs there
    handed_to     TEXT              -- the incarnation of the station's queue that has it
);
CREATE INDEX job_open ON job (peripheral, priority, n)
    WHERE state IN ('queued', 'handed', 'started', 'unknown');
CREATE INDEX job_state ON job (state, changed_ms);
CREATE INDEX job_reprint ON job (reprint_of) WHERE reprint_of IS NOT NULL;
CREATE TABLE audit (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    who        TEXT NOT NULL,
    what       TEXT NOT NULL,
    peripheral TEXT NOT NULL,
    job        TEXT,
    why        TEXT NOT NULL
);
";

/// Opens the file, or makes it (readable by its owner only: guests' names are in it).
pub fn open(path: &Path) -> Result<Connection, QueueError> {
    let wrong = |error| queue_error(path, error);
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map_err(|error| QueueError::Sqlite { path: path.to_owned(), text: error.to_string() })?;
    let mut connection = Connection::open(path).map_err(wrong)?;
    connection.busy_timeout(BUSY_WAIT).map_err(wrong)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(wrong)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(wrong)?;
    let objects: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
    if application == 0 && objects == 0 {
        create(&mut connection).map_err(wrong)?;
    } else if application != APPLICATION_ID {
        let text = "another program's database".to_owned();
        return Err(QueueError::Damaged { path: path.to_owned(), text });
    }
    check(&connection, path)?;
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()
}

fn check(connection: &Connection, path: &Path) -> Result<(), QueueError> {
    let wrong = |error| queue_error(path, error);
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(wrong)?;
    if sound != "ok" {
        return Err(QueueError::Damaged { path: path.to_owned(), text: sound });
    }
    let found: Option<i64> =
        connection.query_row("SELECT format FROM meta", [], |row| row.get(0)).optional().map_err(wrong)?;
    match found {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(QueueError::Newer { path: path.to_owned(), found, known: FORMAT }),
        None => Err(QueueError::Damaged { path: path.to_owned(), text: "no format".to_owned() }),
    }
}

/// The cursor and the file's incarnation.
pub fn meta(connection: &Connection) -> rusqlite::Result<(Option<u64>, String)> {
    connection.query_row("SELECT cursor_lsn, incarnation FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Moves the cursor.
pub fn set_cursor(connection: &Connection, lsn: Option<u64>) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE meta SET cursor_lsn = ?1")?.execute(params![lsn])?;
    Ok(())
}
