//! The list of cases: a name, the rule, how long it may take, the check. Knows not how a case is run or told.

mod documents;
mod life;
mod line;
mod questions;
mod table;

use crate::subject::Subject;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The rule is kept; what an author may want to know.
    Pass(Vec<String>),
    /// It cannot be seen from outside with this driver, and why.
    Skip(String),
    /// What was found instead.
    Fail(String),
}

/// How a check ends: kept or skipped, or what was found.
type Verdict = Result<Outcome, String>;

/// One rule that is checked.
pub struct Case {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What is expected, told with every failure.
    pub rule: &'static str,
    /// It is ended after so long.
    pub limit: Duration,
    /// Where it fails, nothing that follows says anything.
    pub first: bool,
    check: fn(&Subject) -> Verdict,
}

impl Case {
    /// Checks it, in this process.
    pub fn check(&self, subject: &Subject) -> Outcome {
        (self.check)(subject).unwrap_or_else(Outcome::Fail)
    }

    /// The case of this name.
    pub fn named(name: &str) -> Option<&'static Case> {
        ALL.iter().find(|case| case.name == name)
    }
}

const fn case(name: &'static str, limit_s: u64, rule: &'static str, check: fn(&Subject) -> Verdict) -> Case {
    Case { name, rule, limit: Duration::from_secs(limit_s), first: false, check }
}

const fn first(case: Case) -> Case {
    Case { first: true, ..case }
}

/// All of them, in the order they are run and told.
pub static ALL: &[Case] = &[
    first(case(
        "table",
        20,
        "the file has the symbol ghd_driver_entry_v1, and its table magic, size, version, all eight functions, texts in UTF-8 and JSON",
        table::table,
    )),
    first(case(
        "create",
        20,
        "`create` takes the settings that were given: without a device nothing can be checked",
        table::create,
    )),
    case(
        "other-major",
        20,
        "a host of another major version gets NULL, or a table that does not claim that version",
        table::other_major,
    ),
    case(
        "newer-minor",
        20,
        "a host of a newer minor version is served: fields are only appended",
        table::newer_minor,
    ),
    case(
        "settings",
        60,
        "`create` refuses settings that are wrong with GHD_E_CONFIG and says which and why in a log line of level ERROR",
        table::settings,
    ),
    case(
        "schema",
        60,
        "`config_schema` is a JSON Schema; it takes the settings `create` takes, and no setting that it does not list",
        table::schema,
    ),
    case(
        "capabilities",
        60,
        "`capabilities` are JSON as in drivers/README.md, the same each time; `*n` is told also where the room is too small, and nothing is written then",
        table::capabilities,
    ),
    case(
        "lives",
        120,
        "made and unmade a thousand times, a driver leaves no memory, file or thread behind",
        life::lives,
    ),
    case("memory", 300, "documents leave no memory behind", life::memory),
    case(
        "keeps-to-itself",
        60,
        "a driver opens nothing, starts no thread, calls its host from the device's thread only, and leaves standard output alone",
        life::keeps_to_itself,
    ),
    case(
        "log",
        60,
        "a driver tells changes, not moments: a document costs a few log lines and calls of status_changed",
        life::log,
    ),
    case(
        "probe",
        60,
        "`probe` never prints, answers JSON or a fault, and comes back in its time",
        questions::probe,
    ),
    case(
        "status",
        60,
        "`status` never prints, answers bits the header has, and comes back in its time",
        questions::status,
    ),
    case(
        "reset",
        60,
        "`reset` may be repeated, brings the device into the same state each time, and never prints",
        questions::reset,
    ),
    case("tick", 60, "`tick` comes back at once, whatever the device does", questions::tick),
    case(
        "document",
        60,
        "a document on a device that is well is GHD_OK, SENT or CONFIRMED, all its ops are done, and its bytes were written without GHD_W_ASK",
        documents::document,
    ),
    case(
        "every-op",
        120,
        "every kind of op is done or refused with GHD_E_UNSUPPORTED or GHD_E_INVALID",
        documents::every_op,
    ),
    case("any-ops", 300, "any list of ops gets an answer that the header has", documents::any_ops),
    case(
        "bad-ops",
        120,
        "an op that cannot be (a kind nobody knows, text that is not UTF-8, a picture of another size) is refused",
        documents::bad_ops,
    ),
    case(
        "control-characters",
        300,
        "a control character in a text never reaches the wire inside it: a guest's name must not command the device",
        documents::control_characters,
    ),
    case("small-pieces", 120, "a device that takes one byte at a time gets the same", line::small_pieces),
    case(
        "broken-line",
        300,
        "where the line breaks, `run` answers a fault; NONE only if nothing that prints had left, SENT and CONFIRMED only if everything had",
        line::broken_line,
    ),
    case(
        "stuck-device",
        120,
        "a device that takes nothing costs no more than the deadline, and is a fault",
        line::stuck_device,
    ),
    case(
        "mute-device",
        120,
        "a device that never answers costs no more than the deadline; CONFIRMED is what a device said, not what a driver hopes",
        line::mute_device,
    ),
    case(
        "slow-device",
        60,
        "a device that stands still for a moment gets the document once: what was written is not begun anew",
        line::slow_device,
    ),
    case("garbage", 300, "whatever a device sends is survived, in time", line::garbage),
    case(
        "cancel",
        120,
        "once its host gives up, a driver comes back within two seconds and does not go on writing",
        line::cancel,
    ),
    case(
        "paper-out",
        60,
        "a driver that asks a device without paper tells it: GHD_S_PAPER_OUT or GHD_E_PAPER_OUT, and never CONFIRMED",
        line::paper_out,
    ),
];

/// A rule kept, with nothing to add.
fn pass() -> Verdict {
    Ok(Outcome::Pass(Vec::new()))
}
