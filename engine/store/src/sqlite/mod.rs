//! The embedded store: SQLite in one file. Owns connections, settings and the file; what the rows say is told in
//! the modules below. Knows nothing of other databases.
//!
//! Settings and why:
//! - write-ahead log: questions never wait for a batch, and a batch never for a question.
//! - `synchronous = FULL`: one sync for each batch. The cursor is in the batch's transaction, so a lost tail would be
//!   applied again from the journal; but the engine deletes journal segments the projection is past, so a cursor
//!   must not go back once it was reported. The projector gathers small batches, so there are few syncs.

mod apply;
mod bootstrap;
mod catalog_rows;
mod count_rows;
mod migrate;
mod queries;
mod scan_rows;
mod ticket_rows;

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::shadow::Shadow;
use crate::store::{Queries, Store};
use engine::Lsn;
use engine::record::Record;
use engine::state::State;
use queries::SqliteQueries;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a call waits for another process that holds the file's lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection.
const STATEMENTS_KEPT: usize = 64;
/// Pages of the write-ahead log (4 KiB each) after which it is moved into the database: 64 MB. A page that changes in
/// every batch is moved once for many.
const LOG_PAGES: u32 = 16_000;
/// Memory for pages of the writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 128 * 1_024;
/// Memory for pages of a reading connection, in KiB.
const READER_CACHE_KIB: i64 = 8 * 1_024;
/// Form of the columns that are not plain SQL.
const FORMAT: i64 = 1;

/// The projection in one SQLite file.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    /// Gone after a failure: what it says may not be what the rows say. Read again by the next batch.
    shadow: Option<Shadow>,
}

// === impl SqliteStore ===

impl SqliteStore {
    /// Opens the file, or makes it (readable by its owner only), and brings its schema up to this program's version.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or a newer program wrote it.
    pub fn open(path: &Path) -> StoreResult<SqliteStore> {
        let mut connection = connect(path)?;
        migrate::to(&mut connection, migrate::LATEST)?;
        let format: i64 = connection
            .query_row("SELECT format FROM meta", [], |row| row.get(0))
            .while_doing("read the format")?;
        if format != FORMAT {
            return Err(StoreError::Format { found: format, known: FORMAT });
        }
        Ok(SqliteStore { connection, path: path.to_owned(), shadow: None })
    }

    /// Brings the schema of a file to `version` (`None`: the newest this program knows), up or down; 0 takes all rows
    /// away. Gives the version before and after.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; no such version.
    pub fn migrate(path: &Path, version: Option<u32>) -> StoreResult<(u32, u32)> {
        let mut connection = connect(path)?;
        let before = migrate::version(&connection)?;
        let after = version.unwrap_or(migrate::LATEST);
        migrate::to(&mut connection, after)?;
        Ok((before, after))
    }
}

impl Store for SqliteStore {
    fn cursor(&self) -> StoreResult<Lsn> {
        cursor(&self.connection)
    }

    fn salt(&self) -> StoreResult<Option<[u8; 16]>> {
        let (cursor, salt) = self
            .connection
            .query_row("SELECT cursor, salt FROM meta", [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
            .while_doing("read whose records these are")?;
        Ok((cursor > 0).then_some(salt))
    }

    fn apply(&mut self, batch: &[(Lsn, Record<'_>)]) -> StoreResult<()> {
        // Taken, and put back after the commit only: any way out of here in between forgets it.
        let mut shadow = match self.shadow.take() {
            Some(shadow) => shadow,
            None => bootstrap::shadow(&self.connection)?,
        };
        apply::apply(&mut self.connection, &mut shadow, batch)?;
        self.shadow = Some(shadow);
        Ok(())
    }

    fn bootstrap(&self) -> StoreResult<State> {
        bootstrap::state(&self.connection)
    }

    fn queries(&self) -> StoreResult<Box<dyn Queries>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.path, flags).while_doing("open the database for reading")?;
        settle(&connection, READER_CACHE_KIB)?;
        Ok(Box::new(SqliteQueries::new(connection)))
    }
}

fn connect(path: &Path) -> StoreResult<Connection> {
    create_private(path).map_err(|source| StoreError::Database {
        action: "create the database file",
        source: Box::new(source),
    })?;
    let connection = Connection::open(path).while_doing("open the database")?;
    settle(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "WAL").while_doing("switch to the write-ahead log")?;
    connection.pragma_update(None, "synchronous", "FULL").while_doing("set how commits are synced")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).while_doing("set the log's length")?;
    Ok(connection)
}

/// The file names guests; its log files take over its permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn settle(connection: &Connection, cache_kib: i64) -> StoreResult<()> {
    connection.busy_timeout(BUSY_WAIT).while_doing("set the lock's patience")?;
    connection.pragma_update(None, "cache_size", -cache_kib).while_doing("set the page cache")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

fn cursor(connection: &Connection) -> StoreResult<Lsn> {
    connection
        .prepare_cached("SELECT cursor FROM meta")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
        .map(|lsn| Lsn(lsn as u64))
        .while_doing("read the cursor")
}
