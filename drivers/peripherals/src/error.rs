//! Why a call is refused, with its facts. Words for programs and operators.

use crate::job::JobState;
use crate::view::PeripheralState;
use std::path::PathBuf;

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such peripheral in the settings.
    #[error("no peripheral {0:?}")]
    UnknownPeripheral(String),
    /// No such template in the settings.
    #[error("no template {0:?}")]
    UnknownTemplate(String),
    /// No such job, or it was long ago.
    #[error("no job {0:?}")]
    UnknownJob(String),
    /// A key that cannot be one.
    #[error(
        "job id {0:?}: 1 to 64 printable ASCII characters are needed, not beginning with rule: or reprint:"
    )]
    BadId(String),
    /// A document that cannot be one.
    #[error("document: {0}")]
    BadDocument(String),
    /// The same key with something else to print.
    #[error("job {0:?} is known with another document or peripheral")]
    IdConflict(String),
    /// Its queue is full.
    #[error("the queue of {peripheral:?} is full: {max} jobs wait")]
    Full {
        /// Whose.
        peripheral: String,
        /// Its limit.
        max: u64,
    },
    /// The job is not where this could be done to it.
    #[error("job {job:?} is {state}")]
    WrongState {
        /// Which.
        job: String,
        /// How far it is.
        state: JobState,
    },
    /// What it printed is not kept any more.
    #[error(
        "job {0:?} cannot be printed again: who held the event's tickets was forgotten, and with them what it printed"
    )]
    Forgotten(String),
    /// A printer shows nothing, a display prints nothing.
    #[error("{peripheral:?} is no {wanted}")]
    WrongKind {
        /// Which.
        peripheral: String,
        /// "printer" or "display".
        wanted: &'static str,
    },
    /// It hangs at a station.
    #[error("{peripheral:?} hangs at station {station:?}")]
    Elsewhere {
        /// Which.
        peripheral: String,
        /// Where.
        station: String,
    },
    /// It hangs here, or at another station.
    #[error("job {job:?} is not for station {station:?}")]
    NotYours {
        /// Which.
        job: String,
        /// Who asked.
        station: String,
    },
    /// It cannot do this now.
    #[error("{peripheral:?} is {state:?} now")]
    NotReady {
        /// Which.
        peripheral: String,
        /// How it is.
        state: PeripheralState,
    },
    /// Decisions need a name and a reason.
    #[error("a decision needs who and why: 1 to 200 characters each")]
    WhoAndWhy,
    /// It could not be done in the time given; it is not done later.
    #[error("{0:?} had no time for it")]
    NotInTime(String),
    /// The queue's file.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A thread could not be started.
    #[error("failed to start a thread: {0}")]
    Thread(std::io::Error),
}

/// What is wrong with the queue's file. Jobs wait; gates go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Another program has it.
    #[error("queue {path}: another program has it open")]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// It is no queue, or a damaged one.
    #[error(
        "queue {path}: damaged or no queue ({text}); move it away to begin with an empty one: jobs in it are lost"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        text: String,
    },
    /// A newer program wrote it.
    #[error("queue {path}: a newer program wrote it (format {found}, this one knows {known})")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No room.
    #[error("queue {path}: the disk is full")]
    DiskFull {
        /// Which file.
        path: PathBuf,
    },
    /// Everything else.
    #[error("queue {path}: {text}")]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        text: String,
    },
}
