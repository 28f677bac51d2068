//! Jobs as callers see them: what is to be printed where, how far it came, who decided what about it. Knows no table
//! and no process.

use crate::error::Error;
use documents::Values;
use driver_abi::{Cut, Done, Fault, Op};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A caller's key of a job is at most so long, in bytes.
pub const JOB_ID_BYTES_MAX: usize = 64;
/// A document is at most so long, in bytes: it has to fit into a frame to the driver host, with a reprint's mark.
pub const DOCUMENT_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Lines of a text that is printed without template.
pub const LINES_MAX: usize = 200;
/// A job that names no end is given up after so long, in ms.
pub const EXPIRES_AFTER_MS: i64 = 15 * 60 * 1_000;

/// What a peripheral is to print, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The caller's own key: the same id again is the same job. At most [`JOB_ID_BYTES_MAX`] printable bytes;
    /// `rule:` and `reprint:` are ours.
    pub id: String,
    /// On which peripheral.
    pub peripheral: String,
    /// What.
    pub document: Document,
    /// Before which others.
    #[serde(default)]
    pub priority: Priority,
    /// Not any more after this, ms since 1970. `None`: [`EXPIRES_AFTER_MS`] from now on.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// Who wants it.
    pub origin: Origin,
}

/// What is to be printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// A template of the settings, filled in and laid out when the device is known.
    Template {
        /// Its name.
        name: String,
        /// What its fields are filled with.
        values: Values,
    },
    /// As it is. A cash drawer is opened by `kick` alone: such an op is refused here.
    Ops(Vec<Op<'static>>),
}

/// Before which others a job is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    Urgent,
    /// As they come.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// Who wants a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A rule, because of a record of the journal.
    Rule {
        /// Its name.
        name: String,
        /// Of the record.
        lsn: u64,
    },
    /// A person.
    Operator {
        /// Who.
        who: String,
    },
    /// A station, of its own accord.
    Station {
        /// Its name.
        name: String,
    },
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits.
    Queued,
    /// A station has it.
    Handed,
    /// Bytes of it may be leaving: durable before the first of them does.
    Started,
    /// Given up; nothing of it was printed.
    None,
    /// All of it left; the device does not confirm.
    Sent,
    /// The device proved it.
    Confirmed,
    /// May have printed: a person has to look, see `resolve`.
    Unknown,
    /// Taken back while it waited.
    Cancelled,
    /// Nothing of it was printed in its time.
    Expired,
    /// Was unknown; a person saw it printed.
    Printed,
    /// Was unknown; a person had it printed again, as a new job.
    Reprinted,
}

/// What came of `submit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submitted {
    /// It is in the queue, durably.
    New,
    /// It was already: this is how far it is.
    Known(JobState),
}

/// What a person decides about a job that may have printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It lies there.
    Printed,
    /// Print it again, as a new job with a visible mark.
    Reprint,
}

/// What became of a job, kept with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How far it came.
    pub done: Done,
    /// Why not farther.
    pub fault: Option<Fault>,
    /// For people.
    pub text: String,
}

/// A job as a station gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferedJob {
    /// The job. Its `expires_ms` is set.
    pub job: Job,
    /// Which reprint it is; 0: none.
    pub reprint: u32,
}

/// A station's question for work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// Its name.
    pub station: String,
    /// Of its own queue file: see `Peripherals::incarnation`. One that lost its file does not know what it printed.
    pub incarnation: String,
    /// Jobs it has and did not hand in yet; more of them do no harm. Its newest thousand are enough: what is handed is
    /// told to be unknown when its time is over.
    pub known_jobs: Vec<String>,
    /// At most so many new ones.
    pub max: usize,
}

/// What a station tells about a job it was handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandIn {
    /// As it stands in the station's own queue. `Queued`, `Handed` and `Started` are not yet worth telling.
    pub state: JobState,
    /// What became of it.
    pub outcome: Option<Outcome>,
}

// === impl Document ===

impl Document {
    /// Lines of text, then some paper and a cut. A control character in them is none.
    ///
    /// # Errors
    /// No line, or more than [`LINES_MAX`].
    pub fn lines(lines: &[String]) -> Result<Document, Error> {
        if lines.is_empty() || lines.len() > LINES_MAX {
            return Err(Error::BadDocument(format!("1 to {LINES_MAX} lines are meant")));
        }
        let ops = lines.iter().flat_map(|line| [Op::Text(plain(line).into()), Op::Newline]);
        Ok(Document::Ops(ops.chain([Op::Feed(3), Op::Cut(Cut::Partial)]).collect()))
    }
}

/// A line's text: what a device would take for an order is a space.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

// === impl JobState ===

impl JobState {
    /// All of them.
    pub const ALL: [JobState; 11] = [
        JobState::Queued,
        JobState::Handed,
        JobState::Started,
        JobState::None,
        JobState::Sent,
        JobState::Confirmed,
        JobState::Unknown,
        JobState::Cancelled,
        JobState::Expired,
        JobState::Printed,
        JobState::Reprinted,
    ];

    /// As it stands in the queue's file and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Handed => "handed",
            JobState::Started => "started",
            JobState::None => "none",
            JobState::Sent => "sent",
            JobState::Confirmed => "confirmed",
            JobState::Unknown => "unknown",
            JobState::Cancelled => "cancelled",
            JobState::Expired => "expired",
            JobState::Printed => "printed",
            JobState::Reprinted => "reprinted",
        }
    }

    /// Nothing will change it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, JobState::Queued | JobState::Handed | JobState::Started | JobState::Unknown)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

// === impl Priority ===

impl Priority {
    /// The smaller goes first.
    pub fn rank(self) -> i64 {
        match self {
            Priority::Urgent => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        }
    }

    /// The inverse of `rank`; a number nobody knows goes as they come.
    pub fn from_rank(rank: i64) -> Priority {
        match rank {
            0 => Priority::Urgent,
            2 => Priority::Low,
            _ => Priority::Normal,
        }
    }
}
