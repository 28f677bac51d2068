//! The write-ahead log as a file: how much of it is in use, and its own sync. SQLite tells neither through SQL: how
//! long the log is only a hook in C learns, and a passive checkpoint syncs the log only when it can move a page, which
//! a reader with an old snapshot prevents. Knows the head of the file and of its frames, and no row.
//!
//! ```text
//! file   magic:u32 version:u32 page_bytes:u32 checkpoint:u32 salts:u64 checksum:u64   then frames, big-endian
//! frame  page:u32 pages:u32 salts:u64 checksum:u64   then the page
//! ```
//!
//! Frames in use have the head's salts; after them follow those of an earlier round, until they are written over.

use crate::error::{StoreError, StoreResult, WhileDoing};
use engine::disk::begin_writing;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the disk is given at once.
const PIECE_BYTES: u64 = 512 << 10;
/// The disk is the journal's after each piece, for so long at the least.
const PIECE_WAIT: Duration = Duration::from_millis(1);
const HEAD_BYTES: u64 = 32;
const FRAME_HEAD_BYTES: u64 = 24;
const PAGE_BYTES_AT: usize = 8;
const HEAD_SALTS_AT: usize = 16;
const FRAME_SALTS_AT: u64 = 8;
const SALTS_BYTES: usize = 8;

/// The log of one database.
pub(super) struct Log {
    path: PathBuf,
    /// How far the last sync came.
    synced: Used,
    /// What the disk said when it failed to sync.
    failed: Option<String>,
}

/// The part of a log that is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Drawn whenever the log begins anew.
    salts: [u8; SALTS_BYTES],
    pub bytes: u64,
    page_bytes: u64,
}

/// Pages of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// Their numbers from 1 on, in order, each once.
    pub numbers: Vec<u32>,
    /// How long each is.
    pub bytes: u64,
}

// === impl Log ===

impl Log {
    /// The log beside a database file, there or not.
    pub(super) fn beside(database: &Path) -> Log {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Log { path: path.into(), synced: Used::default(), failed: None }
    }

    /// What of the log is in use. Some twenty small reads.
    ///
    /// The file may be opened and closed beside SQLite: its locks are on the two other files.
    pub(super) fn used(&self) -> StoreResult<Used> {
        let found = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Used::default()),
            opened => opened.and_then(|mut file| used(&mut file)),
        };
        found.while_doing("measure the write-ahead log")
    }

    /// The pages in it. Reads the head of every frame: some 50 ms for 256 MiB.
    pub(super) fn pages(&self) -> StoreResult<Pages> {
        let used = self.used()?;
        if used.bytes == 0 {
            return Ok(Pages::default());
        }
        File::open(&self.path).and_then(|file| pages(&file, used)).while_doing("read the write-ahead log")
    }

    /// Bytes that were committed since the last sync. The log begins anew with a commit, not with a sync, and looks as
    /// long as it was until then.
    pub(super) fn bytes_unsynced(&self) -> StoreResult<u64> {
        let used = self.used()?;
        let synced = if used.salts == self.synced.salts { self.synced.bytes } else { 0 };
        Ok(used.bytes.saturating_sub(synced))
    }

    /// Notes that what was in use is durable.
    pub(super) fn synced(&mut self, used: Used) {
        self.synced = used;
    }

    /// Makes every committed frame durable.
    pub(super) fn sync(&mut self) -> StoreResult<()> {
        self.check()?;
        match File::open(&self.path).and_then(|file| self.write_out(&file).and_then(|()| file.sync_data())) {
            Ok(()) => Ok(()),
            // Without a log there is nothing that is not in the database.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.fail(error.to_string())),
        }
    }

    /// Has the disk begin with what a sync will wait for, piece by piece with pauses: a large transaction that was synced at
    /// once kept the journal's next sync waiting for 20 ms.
    fn write_out(&self, file: &File) -> io::Result<()> {
        let used = self.used().map_err(io::Error::other)?;
        let mut from = if used.salts == self.synced.salts { self.synced.bytes } else { 0 };
        while from + PIECE_BYTES < used.bytes {
            begin_writing(file, from, PIECE_BYTES)?;
            std::thread::sleep(PIECE_WAIT);
            from += PIECE_BYTES;
        }
        Ok(())
    }

    /// Has every sync so far succeeded?
    pub(super) fn check(&self) -> StoreResult<()> {
        match &self.failed {
            Some(problem) => Err(StoreError::Unsynced { problem: problem.clone() }),
            None => Ok(()),
        }
    }

    /// Notes that a sync failed: from now on [`Log::check`] says so.
    pub(super) fn fail(&mut self, problem: String) -> StoreError {
        StoreError::Unsynced { problem: self.failed.get_or_insert(problem).clone() }
    }
}

fn used(file: &mut File) -> io::Result<Used> {
    let len = file.metadata()?.len();
    let mut head = [0; HEAD_BYTES as usize];
    if len < HEAD_BYTES {
        return Ok(Used::default());
    }
    file.read_exact(&mut head)?;
    let own = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| head[HEAD_SALTS_AT + n]);
    let page_bytes = u64::from(u32::from_be_bytes([0, 1, 2, 3].map(|n| head[PAGE_BYTES_AT + n])));
    let frame = FRAME_HEAD_BYTES + page_bytes;
    let (mut used, mut end) = (0, (len - HEAD_BYTES) / frame);
    while used < end {
        let middle = used + (end - used) / 2;
        let mut salts = [0; SALTS_BYTES];
        file.seek(SeekFrom::Start(HEAD_BYTES + middle * frame + FRAME_SALTS_AT))?;
        file.read_exact(&mut salts)?;
        if salts == own { used = middle + 1 } else { end = middle }
    }
    Ok(Used { salts: own, bytes: used * frame, page_bytes })
}

fn pages(file: &File, used: Used) -> io::Result<Pages> {
    let frame = FRAME_HEAD_BYTES + used.page_bytes;
    let mut numbers = Vec::with_capacity(usize::try_from(used.bytes / frame).unwrap_or_default());
    for at in (0..used.bytes / frame).map(|n| HEAD_BYTES + n * frame) {
        let mut page = [0; 4];
        file.read_exact_at(&mut page, at)?;
        numbers.push(u32::from_be_bytes(page));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Pages { numbers, bytes: used.page_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn database() -> (tempfile::TempDir, Connection, Log) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        (folder, connection, Log::beside(&path))
    }

    fn checkpoint(connection: &Connection) -> (i64, i64) {
        connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
            .unwrap()
    }

    #[test]
    fn the_log_is_as_long_as_sqlite_says_also_after_it_began_anew() {
        let (_folder, connection, mut log) = database();
        for round in [60, 5, 20, 90, 1] {
            for _ in 0..round {
                connection.execute("INSERT INTO t VALUES (randomblob(9000))", []).unwrap();
            }
            let used = log.used().unwrap();
            assert_eq!(log.bytes_unsynced().unwrap(), used.bytes, "{round}");
            let pages = log.pages().unwrap();
            let count: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
            assert_eq!(pages.bytes, 4_096);
            assert!(
                pages.numbers.is_sorted_by(|one, next| one < next) && pages.numbers.last() <= Some(&count)
            );
            assert!(pages.numbers.len() as u64 * 4_120 <= used.bytes && !pages.numbers.is_empty());
            let (frames, moved) = checkpoint(&connection);
            assert_eq!(used.bytes, frames as u64 * 4_120, "{round}");
            assert_eq!(frames, moved);
            log.synced(used);
            assert_eq!(log.bytes_unsynced().unwrap(), 0);
        }
    }

    #[test]
    fn a_log_that_is_not_there_has_no_bytes_and_nothing_to_sync() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::beside(&folder.path().join("a.db"));
        assert_eq!(log.used().unwrap(), Used::default());
        log.sync().unwrap();
    }

    // After a failed sync the system takes the pages for written: the next sync says yes, and they are not there.
    #[cfg(unix)]
    #[test]
    fn after_one_failed_sync_none_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let mut log = Log::beside(&database);
        // A device that cannot be synced stands for a disk that fails.
        std::os::unix::fs::symlink("/dev/null", &log.path).unwrap();
        let error = log.sync().unwrap_err();
        assert!(matches!(error, StoreError::Unsynced { .. }), "{error}");
        std::fs::remove_file(&log.path).unwrap();
        std::fs::write(&log.path, b"good again").unwrap();
        assert!(log.sync().is_err());
        assert!(log.check().unwrap_err().to_string().contains("restart"));
    }
}
