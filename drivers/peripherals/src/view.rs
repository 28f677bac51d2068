//! What is told about peripherals, jobs and decisions: plain values for pages and metrics. Asks nobody.

use crate::job::{JobState, Origin, Outcome, Priority};
use driver_abi::Kind;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of a run's length, in ms; one more bucket is open.
pub const RUN_MS_BOUNDS: [u64; 10] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 30_000];

/// How a peripheral is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeripheralState {
    /// Its driver is being started.
    Starting,
    /// It works.
    Ready,
    /// Something keeps it from working; it is tried again by itself.
    Degraded,
    /// Its driver is not started any more until somebody says so: `release`, or other settings.
    Quarantined,
    /// The device cannot be reached, or its station was not heard of.
    Absent,
}

/// A peripheral, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeripheralView {
    /// Its name.
    pub name: String,
    /// What it is: known once its driver was started.
    pub kind: Option<Kind>,
    /// Its driver's id.
    pub driver: String,
    /// The loaded driver's version.
    pub driver_version: Option<String>,
    /// How the device is reached.
    pub way: String,
    /// The station it hangs at; `None`: here.
    pub station: Option<String>,
    /// Gates it belongs to; none: any.
    pub gates: Vec<String>,
    /// How it is.
    pub state: PeripheralState,
    /// The device's own words: "online, paper low".
    pub status: Option<String>,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that may have printed: a person has to look.
    pub unknown: u64,
    /// What became of the last job.
    pub last: Option<LastOutcome>,
    /// What staff has to do.
    pub alarm: Option<String>,
    /// Its driver host's process.
    pub host_pid: Option<u32>,
}

/// What became of a peripheral's last job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOutcome {
    /// Which.
    pub job: String,
    /// How far it came.
    pub state: JobState,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// For people.
    pub text: String,
}

/// A job, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Counts from 1 on, in the order the jobs came.
    pub number: i64,
    /// Its key.
    pub id: String,
    /// Where.
    pub peripheral: String,
    /// How far.
    pub state: JobState,
    /// Before which others.
    pub priority: Priority,
    /// Who wants it.
    pub origin: Origin,
    /// Its template; `None`: ops.
    pub template: Option<String>,
    /// Since when it is known, ms since 1970.
    pub submitted_ms: i64,
    /// Not any more after this, ms since 1970.
    pub expires_ms: i64,
    /// Not before this, ms since 1970: it is tried again then.
    pub not_before_ms: i64,
    /// It was started so often.
    pub attempts: u32,
    /// Its last change, ms since 1970.
    pub changed_ms: i64,
    /// What became of its last try.
    pub outcome: Option<Outcome>,
    /// The job it repeats.
    pub reprint_of: Option<String>,
    /// Which reprint it is; 0: none.
    pub reprint: u32,
}

/// Which jobs are asked for: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this peripheral only.
    pub peripheral: Option<String>,
    /// In these states only; none: in any.
    pub states: Vec<JobState>,
    /// With a number below this only.
    pub before: Option<i64>,
    /// At most so many; 0: as many as one page may have.
    pub max: usize,
}

/// A decision somebody made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Counts from 1 on.
    pub number: i64,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// What: "printed", "reprint", "cancel", "drawer", "drawer outcome", "release", "pruned".
    pub what: String,
    /// Where.
    pub peripheral: String,
    /// Which job.
    pub job: Option<String>,
    /// Why, in the person's words, or what came of it.
    pub why: String,
}

/// What is known of the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paper {
    /// Nothing.
    #[default]
    Unknown,
    /// There is some.
    Ok,
    /// Near its end.
    Low,
    /// None.
    Out,
}

impl Paper {
    /// As figures and messages write it.
    pub fn word(self) -> &'static str {
        match self {
            Paper::Unknown => "unknown",
            Paper::Ok => "ok",
            Paper::Low => "low",
            Paper::Out => "out",
        }
    }
}

/// A peripheral in numbers, since the program started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeripheralMetrics {
    /// Its name.
    pub name: String,
    /// How long runs took: a count for each of [`RUN_MS_BOUNDS`] and one above; not added up.
    pub run_ms_buckets: [u64; RUN_MS_BOUNDS.len() + 1],
    /// All of them together, in ms.
    pub run_ms_sum: u64,
    /// Jobs that were given up unprinted.
    pub outcome_none: u64,
    /// Jobs that were sent.
    pub outcome_sent: u64,
    /// Jobs that were confirmed.
    pub outcome_confirmed: u64,
    /// Jobs that may have printed.
    pub outcome_unknown: u64,
    /// Jobs whose time was over.
    pub expired: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Jobs refused because the queue was full.
    pub refused_full: u64,
    /// Driver hosts started.
    pub starts: u64,
    /// Driver hosts that ended without having been asked to.
    pub crashes: u64,
    /// Texts shown.
    pub shown: u64,
    /// Texts that a newer one replaced before they were shown.
    pub replaced: u64,
    /// The paper.
    pub paper: Paper,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that may have printed and wait for a person.
    pub unresolved: u64,
    /// Is it ready?
    pub up: bool,
}
