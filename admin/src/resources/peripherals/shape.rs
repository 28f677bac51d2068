//! Printers, displays and jobs as the API shows them: the queue's values with moments and words of the API. Knows no queue.

use crate::moment::Moment;
use crate::resources::catalog::{choice, or_null};
use engine::Time;
use peripherals::{
    AuditView, Done, Fault, JobState, JobView, Kind, Origin, Outcome, PeripheralState, PeripheralView,
    Priority,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;

/// Longest reason the queue writes down, in characters.
pub(super) const REASON_CHARS_MAX: usize = 200;

/// Why something is done to a printer or a job.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeripheralReason {
    /// For the audit, in words.
    #[schema(
        example = "change for the till",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    pub reason: String,
}

/// A printer or display.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Peripheral {
    /// Its name.
    #[schema(example = "help-desk")]
    pub name: String,
    /// What it is; `null`: its driver was not started yet.
    #[schema(schema_with = kinds)]
    kind: Option<Kind>,
    /// Its driver's id.
    #[schema(example = "escpos")]
    driver: String,
    /// The loaded driver's version.
    #[schema(example = "0.1.0")]
    driver_version: Option<String>,
    /// How the device is reached.
    #[schema(example = "tcp://10.0.0.31:9100")]
    connection: String,
    /// The station it hangs at; `null`: at this node.
    #[schema(example = json!(null))]
    station: Option<String>,
    /// Gates it belongs to; none: any.
    #[schema(example = json!(["NORTH_1"]))]
    gates: Vec<String>,
    /// How it is.
    #[schema(schema_with = states)]
    state: PeripheralState,
    /// The device's own words.
    #[schema(example = "online, paper low")]
    status: Option<String>,
    /// Jobs that wait.
    #[schema(example = 0)]
    queued: u64,
    /// Jobs that may have printed: a person has to look, then resolve them.
    #[schema(example = 0)]
    unknown: u64,
    /// What became of its last job.
    last: Option<LastJob>,
    /// What staff has to do.
    #[schema(example = json!(null))]
    alarm: Option<String>,
    /// The process of its driver host on this node.
    #[schema(example = 4711)]
    host_pid: Option<u32>,
}

/// What became of a peripheral's last job.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LastJob {
    /// Which.
    #[schema(example = "api-q7m2k9x4w8h3n5v6b2c4")]
    job: String,
    /// How far it came.
    #[schema(schema_with = job_states)]
    state: JobState,
    /// When.
    at: Moment,
    /// For people.
    #[schema(example = "printed")]
    text: String,
}

/// Something to be printed once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PrintJob {
    /// Its key.
    #[schema(example = "receipt-4711")]
    pub id: String,
    /// Counts from 1 on, in the order the jobs came.
    #[schema(example = 17)]
    pub number: i64,
    /// Where.
    #[schema(example = "help-desk")]
    peripheral: String,
    /// How far it is.
    #[schema(schema_with = job_states)]
    state: JobState,
    /// Before which others.
    #[schema(schema_with = priorities)]
    priority: Priority,
    /// Who wants it.
    origin: JobOrigin,
    /// Its template; `null`: lines, or it was forgotten with the event's guests.
    #[schema(example = "receipt")]
    template: Option<String>,
    /// When it came.
    submitted_at: Moment,
    /// Not any more after this.
    expires_at: Moment,
    /// Not before this: it is tried again then.
    not_before: Moment,
    /// It was started so often.
    #[schema(example = 1)]
    attempts: u32,
    /// Its last change.
    changed_at: Moment,
    /// What came of its last try.
    outcome: Option<JobOutcome>,
    /// The job it repeats.
    #[schema(example = json!(null))]
    reprint_of: Option<String>,
    /// Which reprint it is; 0: none.
    #[schema(example = 0)]
    reprint: u32,
}

/// Who wants a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct JobOrigin {
    /// What kind of asker.
    #[schema(schema_with = origins)]
    kind: &'static str,
    /// The rule, the operator, or the station.
    #[schema(example = "refused")]
    name: String,
    /// The journal's record that a rule answers.
    #[schema(example = 4711)]
    lsn: Option<u64>,
}

/// What came of a try.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobOutcome {
    /// How far it came.
    #[schema(schema_with = dones)]
    done: Done,
    /// Why not farther.
    #[schema(schema_with = faults)]
    fault: Option<Fault>,
    /// For people.
    #[schema(example = "the printer confirmed it")]
    text: String,
}

/// Something a person decided about a printer or a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobDecision {
    /// Counts from 1 on.
    #[schema(example = 3)]
    pub number: i64,
    /// When.
    at: Moment,
    /// Who.
    #[schema(example = "anna@example.org")]
    who: String,
    /// What: `printed`, `reprint`, `cancel`, `drawer`, `drawer outcome`, `release`, `pruned`.
    #[schema(example = "reprint")]
    what: String,
    /// Where.
    #[schema(example = "help-desk")]
    peripheral: String,
    /// Which job.
    #[schema(example = "receipt-4711")]
    job: Option<String>,
    /// Why, in the person's words, or what came of it.
    #[schema(example = "nothing came out")]
    why: String,
}

impl Peripheral {
    pub fn of(own: PeripheralView) -> Peripheral {
        let last = own.last.map(|last| LastJob {
            job: last.job,
            state: last.state,
            at: Moment(Time(last.at_ms)),
            text: last.text,
        });
        Peripheral {
            name: own.name,
            kind: own.kind,
            driver: own.driver,
            driver_version: own.driver_version,
            connection: own.way,
            station: own.station,
            gates: own.gates,
            state: own.state,
            status: own.status,
            queued: own.queued,
            unknown: own.unknown,
            last,
            alarm: own.alarm,
            host_pid: own.host_pid,
        }
    }
}

impl PrintJob {
    pub fn of(own: JobView) -> PrintJob {
        PrintJob {
            id: own.id,
            number: own.number,
            peripheral: own.peripheral,
            state: own.state,
            priority: own.priority,
            origin: JobOrigin::of(own.origin),
            template: own.template,
            submitted_at: Moment(Time(own.submitted_ms)),
            expires_at: Moment(Time(own.expires_ms)),
            not_before: Moment(Time(own.not_before_ms)),
            attempts: own.attempts,
            changed_at: Moment(Time(own.changed_ms)),
            outcome: own.outcome.map(JobOutcome::of),
            reprint_of: own.reprint_of,
            reprint: own.reprint,
        }
    }
}

impl JobOrigin {
    fn of(own: Origin) -> JobOrigin {
        match own {
            Origin::Rule { name, lsn } => JobOrigin { kind: "rule", name, lsn: Some(lsn) },
            Origin::Operator { who } => JobOrigin { kind: "operator", name: who, lsn: None },
            Origin::Station { name } => JobOrigin { kind: "station", name, lsn: None },
        }
    }
}

impl JobOutcome {
    pub fn of(own: Outcome) -> JobOutcome {
        JobOutcome { done: own.done, fault: own.fault, text: own.text }
    }
}

impl JobDecision {
    pub fn of(own: AuditView) -> JobDecision {
        JobDecision {
            number: own.number,
            at: Moment(Time(own.at_ms)),
            who: own.who,
            what: own.what,
            peripheral: own.peripheral,
            job: own.job,
            why: own.why,
        }
    }
}

fn kinds() -> Schema {
    or_null(choice(&[Kind::Printer, Kind::Display], "What it is: a printer or a display.", None))
}

fn states() -> Schema {
    use PeripheralState::{Absent, Degraded, Quarantined, Ready, Starting};
    let words = "`starting`: its driver is being started. `ready`: it works. `degraded`: something keeps it from working, and it \
                 is tried again. `quarantined`: its driver crashed too often; release it. `absent`: the device cannot be \
                 reached, or its station was not heard of.";
    choice(&[Starting, Ready, Degraded, Quarantined, Absent], words, None)
}

pub fn job_states() -> Schema {
    let words = "`queued` waits. `handed`: its station has it. `started`: bytes of it may be leaving. `none`: given up, \
                 nothing was printed. `sent`: all of it left, and the device does not confirm. `confirmed`: the device \
                 proved it. `unknown`: it may have printed; somebody has to look and resolve it. `cancelled`: taken back. \
                 `expired`: not printed in its time. `printed`, `reprinted`: was unknown, and somebody decided.";
    choice(&JobState::ALL, words, None)
}

pub fn priorities() -> Schema {
    let words =
        "Before which others: `urgent` before all, `normal` as they come, `low` when nothing else waits.";
    choice(&[Priority::Urgent, Priority::Normal, Priority::Low], words, Some(&Priority::Normal))
}

fn origins() -> Schema {
    choice(&["rule", "operator", "station"], "Who wants it: a rule, a person or program, a station.", None)
}

fn dones() -> Schema {
    use Done::{Confirmed, None as Nothing, Sent, Unknown};
    let words = "`none`: nothing left the driver. `sent`: all of it left. `confirmed`: the device said that it is finished. \
                 `unknown`: it broke in the middle.";
    choice(&[Nothing, Sent, Confirmed, Unknown], words, None)
}

fn faults() -> Schema {
    or_null(choice(Fault::ALL, "What went wrong; `null`: nothing did.", None))
}
