//! Errors of the store: what was tried and what is wrong. Knows no driver: its error is carried as a source.

use engine::Lsn;

/// What the store's functions give.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store did not do what it was asked. Nothing of a failed batch remains.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database said no: away, locked, full, damaged. Trying again may help.
    #[error("failed to {action}: {source}")]
    Database {
        /// What was tried, in the present tense.
        action: &'static str,
        /// The database's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database server said no, or nothing.
    #[error("failed to {action}: {said}; {cause}")]
    Server {
        /// What was tried, in the present tense.
        action: &'static str,
        /// What kind of no.
        cause: Cause,
        /// The server's own words.
        said: String,
    },
    /// The server's address or certificates cannot be used.
    #[error("the database cannot be reached as it is set: {problem}")]
    Settings {
        /// What is wrong, without the address: that may hold a password.
        problem: String,
    },
    /// Another process has the right to write.
    #[error(
        "another process writes to this database; one node has a database of its own: stop the other one, or name another database"
    )]
    Occupied,
    /// A newer program wrote this database.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}; use the newer program, or go back with its own down migrations first"
    )]
    NewerSchema {
        /// Version in the database.
        found: u32,
        /// Newest version this program knows.
        known: u32,
    },
    /// No such schema version.
    #[error("there is no schema version {wanted}; this program knows 0 to {known}")]
    NoSuchSchema {
        /// The version asked for.
        wanted: u32,
        /// Newest version this program knows.
        known: u32,
    },
    /// The rows are of a form this program does not read.
    #[error("the rows have format {found}, this program reads format {known}")]
    Format {
        /// Format in the database.
        found: i64,
        /// The format this program reads.
        known: i64,
    },
    /// A record is missing between the cursor and the batch, or within the batch.
    #[error("record {found} cannot follow record {after}: the records between them are missing")]
    Gap {
        /// The last record before it.
        after: Lsn,
        /// The record that came.
        found: Lsn,
    },
    /// Another process changed the cursor.
    #[error("another process writes to this database: its cursor is no longer {expected}")]
    NotAlone {
        /// Where this process had left it.
        expected: Lsn,
    },
    /// Tickets do not continue the numbers the store knows.
    #[error("record {lsn} numbers its tickets from {first}, but {expected} is next: not the same journal")]
    TicketNumbers {
        /// The record.
        lsn: Lsn,
        /// Its first number.
        first: u32,
        /// The number that is next.
        expected: u32,
    },
    /// Only an empty store can be filled from a state.
    #[error("the store has records up to {cursor}: only an empty one can be filled from a node's state")]
    NotEmpty {
        /// The store's cursor.
        cursor: Lsn,
    },
    /// A sync failed, now or before. What the operating system did not write it may have forgotten, so that a later
    /// sync that succeeds proves nothing.
    #[error("the disk failed to sync the store ({problem}): check the disk, then restart")]
    Unsynced {
        /// What the disk said the first time.
        problem: String,
    },
    /// A reader has kept the database from tidying up for so long that it would grow without an end.
    #[error(
        "a question that does not end, or another program with the database open, has kept {bytes} bytes from being moved to their place; end it"
    )]
    HeldUp {
        /// How much waits.
        bytes: u64,
    },
    /// A row cannot be read back.
    #[error("{row} is damaged: {problem}")]
    Damaged {
        /// Which row.
        row: String,
        /// What is wrong.
        problem: String,
    },
}

/// Why a database server said no, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Not there, or not yet, or gone in the middle.
    Away,
    /// It has too much to do, or two sessions are in each other's way.
    Busy,
    /// It has no connection left.
    Crowded,
    /// Another session holds a lock.
    Locked,
    /// A statement took longer than it may.
    Slow,
    /// It takes no changes now: a standby, or set so.
    ReadOnly,
    /// No room on its disk.
    Full,
    /// Its disk or files failed.
    Disk,
    /// User, password, database or privileges.
    NotAllowed,
    /// Rows or tables are not as this program left them.
    Altered,
    /// The server itself says it is damaged.
    Damaged,
    /// Anything else.
    Other,
}

// === impl Cause ===

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cause::Away => "the server is away; it is tried again",
            Cause::Busy => "the server is busy; it is tried again",
            Cause::Crowded => {
                "the server has no connection left: end other clients or raise its max_connections; it is tried again"
            }
            Cause::Locked => {
                "another session holds a lock on it (pg_locks names that session): end it; it is tried again"
            }
            Cause::Slow => "the server is slow or somebody ended the statement; it is tried again",
            Cause::ReadOnly => "the server takes no changes: name the primary, or end its read-only mode",
            Cause::Full => "the server's disk is full: make room on it",
            Cause::Disk => "the server's disk failed: look into its log",
            Cause::NotAllowed => "the server refuses this user: check user, password, database and privileges",
            Cause::Altered => {
                "tables or rows were changed by hand: undo that, or go down to schema version 0 and let the journal fill it anew"
            }
            Cause::Damaged => "the server's files may be damaged: look into its log before anything else",
            Cause::Other => "look into the server's log",
        })
    }
}

impl Cause {
    /// May it pass without anybody doing anything?
    pub fn may_pass(self) -> bool {
        matches!(self, Cause::Away | Cause::Busy | Cause::Crowded | Cause::Locked | Cause::Slow)
    }
}

// === impl StoreError ===

impl StoreError {
    /// May it pass without anybody doing anything? What does not is told to people at once.
    pub fn may_pass(&self) -> bool {
        match self {
            StoreError::Server { cause, .. } => cause.may_pass(),
            StoreError::Database { .. } | StoreError::NotAlone { .. } | StoreError::HeldUp { .. } => true,
            _ => false,
        }
    }

    /// Was it that time was too short? The same with less to do may work.
    pub(crate) fn by_deadline(&self) -> bool {
        matches!(self, StoreError::Server { cause: Cause::Slow, .. })
    }

    /// Did the server go, or was nothing heard of it?
    pub(crate) fn broke_off(&self) -> bool {
        matches!(self, StoreError::Server { cause: Cause::Away, .. })
    }

    pub(crate) fn damaged(row: impl Into<String>, problem: impl ToString) -> StoreError {
        StoreError::Damaged { row: row.into(), problem: problem.to_string() }
    }
}

/// Says what was tried when a database call fails.
pub(crate) trait WhileDoing<T> {
    fn while_doing(self, action: &'static str) -> StoreResult<T>;
}

impl<T> WhileDoing<T> for std::io::Result<T> {
    fn while_doing(self, action: &'static str) -> StoreResult<T> {
        self.map_err(|source| StoreError::Database { action, source: Box::new(source) })
    }
}

impl<T> WhileDoing<T> for Result<T, rusqlite::Error> {
    fn while_doing(self, action: &'static str) -> StoreResult<T> {
        self.map_err(|source| StoreError::Database { action, source: Box::new(source) })
    }
}
