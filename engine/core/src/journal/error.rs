//! Errors of the journal: what went wrong, in which segment, at which byte. Refuses to decide what to do
//! about it.

use std::io;

use thiserror::Error;

use super::Lsn;

/// Why the journal could not be opened, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk said no.
    #[error("{action} {file}: {source}")]
    Io {
        /// What was tried, in the present tense.
        action: &'static str,
        /// On which file; empty for the directory.
        file: String,
        /// The disk's answer.
        source: io::Error,
    },
    /// A record that had been synced is damaged or gone, and later ones exist: nothing may be cut here.
    #[error("hole in the journal: segment {segment} byte {byte}: record {lsn} {reason}, and {proof}")]
    Hole {
        /// The segment's file name.
        segment: String,
        /// Where in that file the record should start.
        byte: u64,
        /// The record that should be there.
        lsn: Lsn,
        /// What is wrong with it.
        reason: &'static str,
        /// How we know that it had been synced.
        proof: String,
    },
    /// A segment contradicts itself or its neighbours.
    #[error("segment {segment} is damaged at byte {byte}: {reason}")]
    Corrupt {
        /// The segment's file name.
        segment: String,
        /// Where in that file.
        byte: u64,
        /// What is wrong.
        reason: String,
    },
    /// Written by another version of the program.
    #[error("segment {segment} has format version {version}, this program reads version {supported}")]
    UnsupportedVersion {
        /// The segment's file name.
        segment: String,
        /// What its header says.
        version: u32,
        /// What we read.
        supported: u32,
    },
    /// Records between the checkpoint and the oldest segment do not exist any more.
    #[error("the journal starts at record {oldest}, but the records after {after} are needed")]
    Missing {
        /// The last record that is not needed.
        after: Lsn,
        /// The first record that exists.
        oldest: Lsn,
    },
    /// The journal ends before the place it should be continued from: its end was lost.
    #[error("the journal ends at record {last}, but record {after} was already known")]
    Behind {
        /// The last record the caller knows.
        after: Lsn,
        /// The last record that exists.
        last: Lsn,
    },
    /// A reader wants records whose segment was deleted.
    #[error("the records wanted are deleted, the oldest one is {oldest}")]
    Gone {
        /// The first record that still exists.
        oldest: Lsn,
    },
    /// A write or sync failed in this process: what is on the disk is unknown until a restart reads it.
    #[error("the journal is poisoned, restart to recover: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The caller's visitor refused a record.
    #[error("record {lsn} is refused: {reason}")]
    Refused {
        /// Which record.
        lsn: Lsn,
        /// The visitor's words.
        reason: String,
    },
    /// An option is outside its limits.
    #[error("journal option {option} is {value}, allowed is {min} to {max}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
}

// === impl JournalError ===

impl JournalError {
    pub(super) fn io(action: &'static str, file: &str, source: io::Error) -> JournalError {
        JournalError::Io { action, file: file.to_owned(), source }
    }
}

/// Why a record was not appended; nothing of it was.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// More bytes wait for the writer than `JournalOptions::pending_bytes_max`: it is too far behind.
    #[error("too many bytes wait for the journal's writer")]
    Full,
    /// A write or sync failed earlier.
    #[error("the journal is poisoned")]
    Poisoned,
    /// The payload is larger than a record may be.
    #[error("a record of {bytes} bytes is too large, the limit is {max}")]
    TooLarge {
        /// The payload's bytes.
        bytes: usize,
        /// The limit for this journal.
        max: usize,
    },
    /// The payload has no bytes.
    #[error("a record needs at least one byte")]
    Empty,
}

/// Why a wait ended before the record was durable.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// It may still become durable.
    #[error("the record is not durable yet")]
    Timeout,
    /// It will not become durable in this process; whether it is on the disk, a restart will tell.
    #[error("the journal is poisoned")]
    Poisoned,
}
