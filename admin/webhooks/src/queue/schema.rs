//! The queue's file: how it is opened and what is in it. Knows no webhook's settings.

use super::wrong;
use crate::error::Error;
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Form of the file.
const FORMAT: i64 = 1;
/// "GHWH": an SQLite file of somebody else is not taken for a queue.
const APPLICATION_ID: i64 = 0x4748_5748;
/// How long a call waits for another program that is about to end.
const BUSY_WAIT: Duration = Duration::from_secs(2);

const TABLES: &str = "
CREATE TABLE disk (synced INTEGER NOT NULL); -- counted up where the file is to be synced
INSERT INTO disk VALUES (0);
CREATE TABLE line (
    webhook          TEXT PRIMARY KEY,
    cursor_lsn       INTEGER NOT NULL, -- records up to here are messages, or not wanted
    delivered        INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0, -- attempts
    dead             INTEGER NOT NULL DEFAULT 0, -- letters that died, over all times
    dropped          INTEGER NOT NULL DEFAULT 0, -- of these, given up for good
    dead_letters     INTEGER NOT NULL DEFAULT 0, -- there are now
    failing_since_ms INTEGER                     -- nothing was taken since
) WITHOUT ROWID;
CREATE TABLE message (
    webhook  TEXT NOT NULL,
    lsn      INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,
    body     TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ms  INTEGER NOT NULL DEFAULT 0,
    dead_ms  INTEGER,                  -- when it became a dead letter
    error    TEXT,                     -- of the last attempt
    PRIMARY KEY (webhook, lsn, n)
) WITHOUT ROWID;
CREATE INDEX message_aside ON message (webhook, next_ms) WHERE dead_ms IS NULL AND attempts >= 3;
CREATE INDEX message_fresh ON message (webhook, lsn, n) WHERE dead_ms IS NULL AND attempts < 3;
CREATE INDEX message_dead ON message (webhook, lsn, n) WHERE dead_ms IS NOT NULL;
CREATE TABLE attempt (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL,
    message TEXT,                      -- NULL: a note about the line itself
    type    TEXT,
    attempt INTEGER,
    at_ms   INTEGER NOT NULL,
    ms      INTEGER,
    status  INTEGER,
    error   TEXT
);
CREATE INDEX attempt_webhook ON attempt (webhook, number);
";

/// Opens the file, or makes it (readable by its owner only: guests' names may be in it).
pub fn open(path: &Path) -> Result<Connection, Error> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map_err(|error| wrong(path, &error))?;
    let sql = |error: rusqlite::Error| wrong(path, &error);
    let mut connection = Connection::open(path).map_err(sql)?;
    connection.busy_timeout(BUSY_WAIT).map_err(sql)?;
    // One program has it: two would send everything twice.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sql)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(64);
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(sql)?;
    let objects: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    if application == 0 && objects == 0 {
        create(&mut connection).map_err(sql)?;
    } else if application != APPLICATION_ID {
        return Err(wrong(path, &"another program's database"));
    }
    check(&connection, path)?;
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let sql = |error: rusqlite::Error| wrong(path, &error);
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if sound != "ok" {
        return Err(wrong(path, &format!("damaged: {sound}; move it away to begin a new one")));
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql)?;
    if found != FORMAT {
        return Err(wrong(
            path,
            &format!("its form is {found}, this program knows {FORMAT}; use the newer program"),
        ));
    }
    Ok(())
}
