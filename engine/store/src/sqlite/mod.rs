//! The embedded store: SQLite in one file. Owns connections, settings and the file; what the rows say is told in
//! the modules below. Knows nothing of other databases.
//!
//! Settings and why:
//! - write-ahead log: questions never wait for a batch, and a batch never for a question.
//! - `synchronous = NORMAL`: a commit syncs nothing. A power cut takes the newest batches back, the cursor with them,
//!   and the journal repeats them: the engine deletes a journal segment only once a sync is past it.
//! - `wal_autocheckpoint = 0`: [`Store::sync`] syncs the log, one run of bytes. Its pages are moved to their places in the
//!   database, all over the disk, in calm moments ([`Store::tidy`]), or when the log has become long: while scans
//!   come thick every moved portion kept the journal's syncs waiting for some 10 ms. Both files are synced by us then, and
//!   not by SQLite, which has the disk do all of it at once: the log before its pages are moved, the database before the
//!   next commit, which may begin the log anew. There is one writer, so nothing is committed in between.
//! - A reader keeps the log from being moved and so from beginning anew. From a gibibyte on batches are refused until
//!   it has gone: the journal, which grows by a fraction of the log, holds them.

mod bootstrap;
mod catalog_rows;
mod count_rows;
mod database_file;
mod figure_rows;
mod kept_rows;
mod lists;
mod log;
mod migrate;
mod queries;
mod registry_rows;
mod scan_rows;
mod tables;
mod ticket_rows;

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::shadow::Shadow;
use crate::store::{Queries, Store, StoreWatch};
use crate::{apply, seed};
use database_file::DatabaseFile;
use engine::Lsn;
use engine::record::Record;
use engine::state::State;
use log::Log;
use queries::SqliteQueries;
use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tables::SqliteTables;

/// How long a call waits for another process that holds the file's lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection.
const STATEMENTS_KEPT: usize = 64;
/// The write-ahead log does not grow beyond it, but for one batch.
const LOG_BYTES_MAX: u64 = 1 << 30;
/// A log of so many bytes is moved also while batches come thick.
const LOG_BYTES_MOVED: u64 = 256 << 20;
/// In a calm moment a log is moved from so many bytes on: less is not worth two syncs.
const LOG_BYTES_MOVED_IF_CALM: u64 = 4 << 20;
/// Memory for pages of the writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 128 * 1_024;
/// Memory for pages of a reading connection, in KiB.
const READER_CACHE_KIB: i64 = 8 * 1_024;
/// What SQLite syncs by itself: see above.
const SYNCS: &str = "NORMAL";
/// Form of the columns that are not plain SQL.
const FORMAT: i64 = 1;

/// The projection in one SQLite file.
pub struct SqliteStore {
    connection: Connection,
    /// Dropped after the connection.
    database: DatabaseFile,
    path: PathBuf,
    log: Log,
    /// Pages were moved and the database is not synced: a commit could begin the log anew, which alone has them for sure.
    moved_unsynced: bool,
    log_bytes_max: u64,
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
        create_private(path).while_doing("create the database file")?;
        let database = DatabaseFile::open(path)?;
        let mut connection = connect(path)?;
        migrate::to(&mut connection, migrate::LATEST)?;
        let format: i64 = connection
            .query_row("SELECT format FROM meta", [], |row| row.get(0))
            .while_doing("read the format")?;
        if format != FORMAT {
            return Err(StoreError::Format { found: format, known: FORMAT });
        }
        let log = Log::beside(path);
        let (path, log_bytes_max) = (path.to_owned(), LOG_BYTES_MAX);
        Ok(SqliteStore {
            connection,
            database,
            path,
            log,
            moved_unsynced: false,
            log_bytes_max,
            shadow: None,
        })
    }

    /// Brings the schema of a file to `version` (`None`: the newest this program knows), up or down; 0 takes all rows
    /// away. Gives the version before and after.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; no such version.
    pub fn migrate(path: &Path, version: Option<u32>) -> StoreResult<(u32, u32)> {
        create_private(path).while_doing("create the database file")?;
        // Dropped after the connection.
        let _database = DatabaseFile::open(path)?;
        let mut connection = connect(path)?;
        let before = migrate::version(&connection)?;
        let after = version.unwrap_or(migrate::LATEST);
        migrate::to(&mut connection, after)?;
        Ok((before, after))
    }

    /// Refuses to go on while a reader keeps a log from beginning anew that is too long already.
    fn bound_log(&mut self) -> StoreResult<()> {
        let bytes = self.log.used()?.bytes;
        // Waits for readers, for `BUSY_WAIT` at the most.
        if bytes >= self.log_bytes_max && !self.checkpoint("RESTART")? {
            return Err(StoreError::HeldUp { bytes });
        }
        Ok(())
    }

    /// Syncs the log and moves its pages into the database, as many as readers allow, and syncs that: with pauses for the
    /// journal, a second for 256 MiB.
    fn move_log(&mut self) -> StoreResult<()> {
        let pages = self.log.pages()?;
        self.log.sync()?;
        self.set_syncs("OFF")?;
        self.moved_unsynced = true;
        let moved = self.checkpoint("PASSIVE");
        let synced = self.database.sync(&pages).map_err(|error| self.log.fail(error.to_string()));
        self.moved_unsynced = synced.is_err();
        self.set_syncs(SYNCS)?;
        synced.and(moved).map(drop)
    }

    fn set_syncs(&self, how: &str) -> StoreResult<()> {
        self.connection.pragma_update(None, "synchronous", how).while_doing("set what is synced")
    }

    /// Has SQLite move the log. Gives whether it could do what it was asked: `PASSIVE` always can, `RESTART` not while a
    /// reader does not end.
    fn checkpoint(&mut self, how: &str) -> StoreResult<bool> {
        self.connection
            .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| row.get(0))
            .map(|busy: bool| !busy)
            .while_doing("move the log into the database")
            .map_err(|error| self.note(error))
    }

    /// After a failed sync none counts any more, whoever made it.
    fn note(&mut self, error: StoreError) -> StoreError {
        let StoreError::Database { source, .. } = &error else { return error };
        let own = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
        let unsynced =
            own.is_some_and(|own| [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&own.extended_code));
        if unsynced { self.log.fail(error.to_string()) } else { error }
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
        if self.moved_unsynced {
            self.log.check()?;
        }
        self.bound_log()?;
        // Taken, and put back after the commit only: any way out of here in between forgets it.
        let mut shadow = match self.shadow.take() {
            Some(shadow) => shadow,
            None => bootstrap::shadow(&self.connection)?,
        };
        write(&mut self.connection, &mut shadow, batch).map_err(|error| self.note(error))?;
        self.shadow = Some(shadow);
        Ok(())
    }

    fn sync(&mut self) -> StoreResult<Lsn> {
        self.log.check()?;
        let (cursor, used) = (cursor(&self.connection)?, self.log.used()?);
        if used.bytes >= LOG_BYTES_MOVED {
            self.move_log()?
        } else {
            self.log.sync()?
        }
        self.log.synced(used);
        Ok(cursor)
    }

    fn tidy(&mut self) -> StoreResult<()> {
        if self.log.used()?.bytes >= LOG_BYTES_MOVED_IF_CALM {
            self.move_log()?;
        }
        Ok(())
    }

    fn scrub(&mut self) -> StoreResult<()> {
        self.sync()?;
        // Writes every page that is left anew; the pages it had are cut off or written over.
        self.connection
            .execute_batch("VACUUM")
            .while_doing("rewrite the database")
            .map_err(|error| self.note(error))?;
        if self.checkpoint("TRUNCATE")? {
            return Ok(());
        }
        Err(StoreError::HeldUp { bytes: self.log.used()?.bytes })
    }

    fn unsynced_bytes(&self) -> StoreResult<u64> {
        self.log.bytes_unsynced()
    }

    fn bootstrap(&self) -> StoreResult<State> {
        bootstrap::state(&self.connection)
    }

    fn seed(&mut self, state: &State) -> StoreResult<()> {
        self.shadow = None;
        fill(&mut self.connection, state).map_err(|error| self.note(error))
    }

    fn watch(&self) -> StoreWatch {
        StoreWatch { name: "sqlite", pool: None }
    }

    fn queries(&self) -> StoreResult<Box<dyn Queries>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.path, flags).while_doing("open the database for reading")?;
        settle(&connection, READER_CACHE_KIB)?;
        Ok(Box::new(SqliteQueries::new(connection, self.database.clone())))
    }
}

/// Applies the records after the cursor; none of them when this fails.
fn write(connection: &mut Connection, shadow: &mut Shadow, batch: &[(Lsn, Record<'_>)]) -> StoreResult<()> {
    let records = apply::fresh(shadow, batch);
    if records.is_empty() {
        return Ok(());
    }
    // Immediate: waits for the lock now, in place of failing at the first row.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).while_doing("begin a batch")?;
    apply::write(&mut SqliteTables::new(&transaction)?, shadow, records)?;
    transaction.commit().while_doing("commit a batch")
}

/// Writes a state into an empty database; nothing of it remains when this fails.
fn fill(connection: &mut Connection, state: &State) -> StoreResult<()> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).while_doing("begin to seed")?;
    let found = cursor(&transaction)?;
    if found > Lsn(0) {
        return Err(StoreError::NotEmpty { cursor: found });
    }
    seed::write(&mut SqliteTables::new(&transaction)?, state)?;
    transaction.commit().while_doing("commit what was seeded")
}

fn connect(path: &Path) -> StoreResult<Connection> {
    let connection = Connection::open(path).while_doing("open the database")?;
    settle(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "WAL").while_doing("switch to the write-ahead log")?;
    connection.pragma_update(None, "synchronous", SYNCS).while_doing("set how commits are synced")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).while_doing("set when the log is moved")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::{DeviceId, GateId};
    use engine::clock::Time;

    fn store() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.sqlite")).unwrap();
        (folder, store)
    }

    /// Moves as much of the log as readers allow; was that all?
    fn moves_all(store: &SqliteStore) -> bool {
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let (frames, moved) =
            store.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], counts).unwrap();
        frames == moved
    }

    /// Applies so many records after those that are there.
    fn turns(store: &mut SqliteStore, count: u64) -> StoreResult<()> {
        let after = store.cursor().unwrap().0;
        let record = Record::Turns { at: Time(0), gate: GateId(0), device: DeviceId(0), people: 1 };
        let batch: Vec<_> = (1..=count).map(|n| (Lsn(after + n), record.clone())).collect();
        store.apply(&batch)
    }

    #[test]
    fn a_sync_gives_the_cursor_and_leaves_nothing_unsynced() {
        let (_folder, mut store) = store();
        for _ in 0..3 {
            turns(&mut store, 500).unwrap();
            assert!(store.unsynced_bytes().unwrap() > 0);
            assert_eq!(store.sync().unwrap(), store.cursor().unwrap());
            assert_eq!(store.unsynced_bytes().unwrap(), 0);
        }
        assert_eq!(store.sync().unwrap(), Lsn(1_500));
    }

    #[test]
    fn a_log_that_was_moved_begins_anew() {
        let (_folder, mut store) = store();
        turns(&mut store, 5_000).unwrap();
        let before = store.log.used().unwrap().bytes;
        assert!(moves_all(&store));
        turns(&mut store, 1).unwrap();
        assert!(store.log.used().unwrap().bytes < before / 4);
    }

    #[test]
    fn a_log_is_synced_in_its_place_and_moved_in_a_calm_moment_once_it_is_worth_it() {
        let (_folder, mut store) = store();
        turns(&mut store, 1_000).unwrap();
        store.sync().unwrap();
        let short = store.log.used().unwrap().bytes;
        store.tidy().unwrap();
        turns(&mut store, 1).unwrap();
        assert!(
            store.log.used().unwrap().bytes > short,
            "neither a sync nor a calm moment moves a short log"
        );
        while store.log.used().unwrap().bytes < LOG_BYTES_MOVED_IF_CALM {
            turns(&mut store, 20_000).unwrap();
            store.sync().unwrap();
        }
        store.tidy().unwrap();
        turns(&mut store, 1).unwrap();
        assert!(store.log.used().unwrap().bytes < short, "a long one was moved and begins anew");
    }

    /// Does a process hold a lock on the database file?
    #[cfg(target_os = "linux")]
    fn is_locked(path: &Path) -> bool {
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
        std::fs::read_to_string("/proc/locks").unwrap().contains(&format!(":{inode} "))
    }

    // Without its lock another program would take the log for one that nobody needs, and delete it.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_database_stays_locked_while_a_connection_lives_whatever_is_moved_and_whoever_goes_first() {
        let (_folder, mut store) = store();
        let path = store.path.clone();
        let (first, last) = (store.queries().unwrap(), store.queries().unwrap());
        while store.log.used().unwrap().bytes < LOG_BYTES_MOVED_IF_CALM {
            turns(&mut store, 20_000).unwrap();
        }
        last.cursor().unwrap();
        store.tidy().unwrap();
        assert!(is_locked(&path), "after the log was moved");
        drop(first);
        assert!(is_locked(&path), "after a question's connection ended");
        drop(store);
        assert!(is_locked(&path), "after the writer ended");
        drop(last);
        assert!(!is_locked(&path));
    }

    // A commit could begin the log anew, which alone has for sure what was moved.
    #[test]
    fn after_a_failed_sync_of_what_was_moved_nothing_is_committed_and_questions_go_on() {
        let (_folder, mut store) = store();
        while store.log.used().unwrap().bytes < LOG_BYTES_MOVED_IF_CALM {
            turns(&mut store, 20_000).unwrap();
        }
        let (cursor, well) = (store.cursor().unwrap(), store.database.clone());
        store.database = DatabaseFile::that_cannot_be_synced();
        assert!(matches!(store.tidy(), Err(StoreError::Unsynced { .. })));
        // A disk that says yes again proves nothing.
        store.database = well;
        let log = store.log.used().unwrap();
        assert!(matches!(turns(&mut store, 1), Err(StoreError::Unsynced { .. })));
        assert!(store.sync().is_err());
        assert_eq!(store.log.used().unwrap(), log);
        assert_eq!(store.queries().unwrap().cursor().unwrap(), cursor);
    }

    // A passive checkpoint behind an old snapshot moves nothing and syncs nothing: the log has to be synced by itself.
    #[test]
    fn a_reader_that_holds_an_old_snapshot_keeps_no_sync_from_succeeding() {
        let (_folder, mut store) = store();
        turns(&mut store, 100).unwrap();
        let reader = Connection::open(&store.path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM turns").unwrap();
        store.sync().unwrap();
        turns(&mut store, 100).unwrap();
        assert!(!moves_all(&store), "the reader holds the log");
        assert_eq!(store.sync().unwrap(), Lsn(200));
        assert_eq!(store.unsynced_bytes().unwrap(), 0);
        reader.execute_batch("COMMIT").unwrap();
        assert!(moves_all(&store));
    }

    #[test]
    fn a_reader_that_never_ends_cannot_make_the_log_grow_without_an_end() {
        let (_folder, mut store) = store();
        store.connection.busy_timeout(Duration::ZERO).unwrap();
        // What the schema's making left in the log is none of the reader's.
        assert!(moves_all(&store));
        turns(&mut store, 100).unwrap();
        let reader = Connection::open(&store.path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM turns").unwrap();
        store.log_bytes_max = 200_000;
        let refused =
            (0..1_000).find_map(|_| turns(&mut store, 100).err()).expect("it is refused at the limit");
        assert!(matches!(refused, StoreError::HeldUp { .. }), "{refused}");
        let (cursor, used) = (store.cursor().unwrap(), store.log.used().unwrap());
        assert!(used.bytes < 2 * store.log_bytes_max);
        assert_eq!(store.sync().unwrap(), cursor, "what was taken is made durable all the same");
        assert!(turns(&mut store, 100).is_err());
        assert_eq!(store.log.used().unwrap(), used);

        reader.execute_batch("COMMIT").unwrap();
        turns(&mut store, 100).unwrap();
        assert!(store.log.used().unwrap().bytes < store.log_bytes_max);
        assert_eq!(store.cursor().unwrap().0, cursor.0 + 100);
    }
}
