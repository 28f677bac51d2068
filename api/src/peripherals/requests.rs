//! What people and programs ask of printers and displays, in JSON: the same at the server and at a station. Every call may
//! wait for a disk or a device and belongs on a thread of its own. Knows no HTTP and no keys.

use super::settings;
use crate::ops::Refused;
use ::peripherals::{
    Asking, Document, Error, HandIn, Job, JobFilter, JobState, Offered, Op, Origin, PeripheralMetrics,
    Peripherals, Priority, Resolution, ScanFacts, Show, Step, Submitted, Values,
};
use driver_frames::Cut;
use engine::Lsn;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Jobs or decisions on one page.
const PAGE_MAX: usize = 200;
/// A text without template is shown for so long.
const SHOWN_MS: u32 = 5_000;
/// Lines of a text that is printed without template.
const LINES_MAX: usize = 200;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Asker {
    /// A person or program of this name.
    Person(String),
    /// A web page at this station.
    Station(String),
}

/// Answers requests.
#[derive(Clone)]
pub struct Desk {
    peripherals: Arc<Peripherals>,
    /// Read again by a reload.
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Print {
    peripheral: String,
    template: Option<String>,
    #[serde(default)]
    values: Values,
    lines: Option<Vec<String>>,
    id: Option<String>,
    #[serde(default)]
    priority: Priority,
    expires_s: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowRequest {
    display: String,
    template: Option<String>,
    #[serde(default)]
    values: Values,
    lines: Option<Vec<String>>,
    for_ms: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Button {
    gate: String,
    #[serde(default)]
    values: Values,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    job: String,
    #[serde(rename = "as")]
    resolution: Resolution,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfJob {
    job: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kick {
    printer: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPeripheral {
    peripheral: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HandedIn {
    job: String,
    #[serde(flatten)]
    hand_in: HandIn,
}

// === impl Asker ===

impl Asker {
    /// As it is written down.
    pub fn name(&self) -> &str {
        match self {
            Asker::Person(name) | Asker::Station(name) => name,
        }
    }

    fn origin(&self) -> Origin {
        match self {
            Asker::Person(who) => Origin::Operator { who: who.clone() },
            Asker::Station(name) => Origin::Station { name: name.clone() },
        }
    }
}

// === impl Desk ===

impl Desk {
    /// Answers with these; a reload reads the file again.
    pub fn new(peripherals: Arc<Peripherals>, file: Option<PathBuf>) -> Desk {
        Desk { peripherals, file }
    }

    /// Their figures.
    pub fn metrics(&self) -> Vec<PeripheralMetrics> {
        self.peripherals.metrics()
    }

    /// All printers and displays.
    pub fn list(&self) -> Value {
        json!({"status": "success", "peripherals": self.peripherals.views()})
    }

    /// Jobs, newest first, of one peripheral or in one state where that is asked for.
    ///
    /// # Errors
    /// A state that is none, the queue's file.
    pub fn jobs(&self, peripheral: Option<&str>, state: Option<&str>) -> Result<Value, Refused> {
        let states = match state {
            None => Vec::new(),
            Some(word) => vec![job_state(word)?],
        };
        let filter = JobFilter { peripheral: peripheral.map(str::to_owned), states, max: PAGE_MAX };
        let jobs = self.peripherals.jobs(&filter).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success", "jobs": jobs}))
    }

    /// One job.
    ///
    /// # Errors
    /// No such job, the queue's file.
    pub fn job(&self, id: &str) -> Result<Value, Refused> {
        let job = self.peripherals.job(id).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success", "job": job}))
    }

    /// What people decided, newest first.
    ///
    /// # Errors
    /// The queue's file.
    pub fn audit(&self) -> Result<Value, Refused> {
        let decisions = self.peripherals.audit(PAGE_MAX).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success", "decisions": decisions}))
    }

    /// Prints a template or lines; the same id again prints nothing again.
    ///
    /// # Errors
    /// A request that cannot be, a queue that is full.
    pub fn print(&self, body: &[u8], asker: &Asker, now_ms: i64) -> Result<Value, Refused> {
        let wanted: Print = parse(body)?;
        let document = document(wanted.template, wanted.values, wanted.lines)?;
        let id = match wanted.id {
            Some(id) => id,
            None => new_id()?,
        };
        let job = Job {
            id: id.clone(),
            peripheral: wanted.peripheral,
            document,
            priority: wanted.priority,
            expires_ms: wanted.expires_s.map(|seconds| now_ms.saturating_add(i64::from(seconds) * 1_000)),
            origin: asker.origin(),
        };
        let state = match self.peripherals.submit(job).map_err(|error| refused(&error))? {
            Submitted::New => JobState::Queued,
            Submitted::Known(state) => state,
        };
        Ok(json!({"status": "success", "job": id, "state": state}))
    }

    /// Shows a template or lines; the latest wins.
    ///
    /// # Errors
    /// A request that cannot be.
    pub fn show(&self, body: &[u8]) -> Result<Value, Refused> {
        let wanted: ShowRequest = parse(body)?;
        let show = match document(wanted.template, wanted.values, None) {
            Ok(Document::Template { name, values }) => Show::Template { name, values },
            _ => Show::Steps(vec![Step {
                ops: shown(&wanted.lines.ok_or_else(neither)?)?,
                for_ms: wanted.for_ms.unwrap_or(SHOWN_MS),
            }]),
        };
        self.peripherals.show(&wanted.display, show).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success"}))
    }

    /// Somebody pressed a button at a gate: the rules say what that prints and shows.
    ///
    /// # Errors
    /// A request that cannot be, a queue that is full.
    pub fn press(&self, body: &[u8], asker: &Asker, now_ms: i64) -> Result<Value, Refused> {
        let Button { gate, values, id } = parse(body)?;
        let id = match id {
            Some(id) => id,
            None => new_id()?,
        };
        let facts = ScanFacts::button(gate, values, now_ms);
        let jobs = self.peripherals.press(&id, &facts, asker.name()).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success", "jobs": jobs}))
    }

    /// A person decides about a job that may have printed.
    ///
    /// # Errors
    /// A job that is not unknown.
    pub fn resolve(&self, body: &[u8], asker: &Asker) -> Result<Value, Refused> {
        let Resolve { job, resolution, reason } = parse(body)?;
        let reprint = self.peripherals.resolve(&job, resolution, asker.name(), &reason);
        Ok(json!({"status": "success", "reprint": reprint.map_err(|error| refused(&error))?}))
    }

    /// Takes back a job that waits.
    ///
    /// # Errors
    /// A job that does not wait.
    pub fn cancel(&self, body: &[u8], asker: &Asker) -> Result<Value, Refused> {
        let OfJob { job, reason } = parse(body)?;
        self.peripherals.cancel(&job, asker.name(), &reason).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success"}))
    }

    /// Opens a cash drawer.
    ///
    /// # Errors
    /// A printer that cannot, or not now.
    pub fn kick(&self, body: &[u8], asker: &Asker) -> Result<Value, Refused> {
        let Kick { printer, reason } = parse(body)?;
        let outcome = self.peripherals.kick(&printer, asker.name(), &reason);
        Ok(json!({"status": "success", "outcome": outcome.map_err(|error| refused(&error))?}))
    }

    /// Ends a quarantine.
    ///
    /// # Errors
    /// No such peripheral.
    pub fn release(&self, body: &[u8], asker: &Asker) -> Result<Value, Refused> {
        let OfPeripheral { peripheral } = parse(body)?;
        self.peripherals.release(&peripheral, asker.name()).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success"}))
    }

    /// Reads the settings' file again: what changed gets a new driver host, all others notice nothing.
    ///
    /// # Errors
    /// Every mistake in the file; then everything stays as it is.
    pub fn reload(&self) -> Result<Value, Refused> {
        let file = self.file.as_ref().ok_or((409, "no_file", "there is no settings file".to_owned()))?;
        let settings = settings(file).map_err(|mistakes| (400, "bad_settings", mistakes.0.join("\n")))?;
        self.peripherals.reload(settings).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success"}))
    }

    /// Forgets what was printed about an event, once the rules have taken every record up to this one; gives how many jobs
    /// it were, `None`: not yet.
    ///
    /// # Errors
    /// The queue's file.
    pub fn forget(&self, event: &str, until: Lsn) -> Result<Option<u64>, Error> {
        if self.peripherals.cursor().is_none_or(|cursor| cursor < until.0) {
            return Ok(None);
        }
        self.peripherals.forget(event).map(Some)
    }

    /// Work for a station.
    ///
    /// # Errors
    /// A request that cannot be, the queue's file.
    pub fn offer(&self, asking: &Asking) -> Result<Offered, Refused> {
        self.peripherals.offer(asking).map_err(|error| refused(&error))
    }

    /// What a station did with a job.
    ///
    /// # Errors
    /// Not its job.
    pub fn hand_in(&self, station: &str, body: &[u8]) -> Result<Value, Refused> {
        let HandedIn { job, hand_in } = parse(body)?;
        self.peripherals.hand_in(station, &job, &hand_in).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success"}))
    }
}

/// A body as what it should be.
///
/// # Errors
/// Which field, and what is meant.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| (400, "malformed_request", error.to_string()))
}

fn neither() -> Refused {
    (400, "malformed_request", "template or lines: one of them is needed".to_owned())
}

fn document(
    template: Option<String>,
    values: Values,
    lines: Option<Vec<String>>,
) -> Result<Document, Refused> {
    match (template, lines) {
        (Some(name), None) => Ok(Document::Template { name, values }),
        (None, Some(lines)) => {
            let lines = lines.iter().take(LINES_MAX).map(|line| clean(line));
            let ops = lines.flat_map(|line| [Op::Text(line.into()), Op::Newline]);
            let end = [Op::Feed(3), Op::Cut(Cut::Partial)];
            Ok(Document::Ops(ops.chain(end).collect()))
        }
        _ => Err(neither()),
    }
}

fn shown(lines: &[String]) -> Result<Vec<Op<'static>>, Refused> {
    if lines.is_empty() || lines.len() > 4 {
        return Err((400, "malformed_request", "lines: one to four".to_owned()));
    }
    let lines = (1..).zip(lines).map(|(line, text)| Op::Line { line, text: clean(text).into() });
    Ok([Op::Clear].into_iter().chain(lines).collect())
}

/// A line's text: a control character in it would be none.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn new_id() -> Result<String, Refused> {
    let key = secrets::new_key().map_err(|problem| (503, "unavailable", problem))?;
    Ok(format!("api-{}", &key[..20]))
}

fn job_state(word: &str) -> Result<JobState, Refused> {
    let state = JobState::ALL.into_iter().find(|state| state.word() == word);
    state.ok_or_else(|| {
        let words: Vec<&str> = JobState::ALL.iter().map(|state| state.word()).collect();
        (400, "malformed_request", format!("state: one of {}", words.join(", ")))
    })
}

fn refused(error: &Error) -> Refused {
    let (status, code) = match error {
        Error::UnknownPeripheral(_) | Error::UnknownTemplate(_) | Error::UnknownJob(_) => (404, "not_found"),
        Error::BadId(_) | Error::BadDocument(_) | Error::WrongKind { .. } | Error::WhoAndWhy => {
            (400, "malformed_request")
        }
        Error::IdConflict(_) => (409, "job_id_conflict"),
        Error::WrongState { .. } => (409, "wrong_state"),
        Error::Forgotten(_) => (409, "forgotten"),
        Error::Elsewhere { .. } => (409, "elsewhere"),
        Error::NotYours { .. } => (403, "not_yours"),
        Error::NotReady { .. } => (409, "not_ready"),
        Error::Full { .. } => (429, "queue_full"),
        _ => (503, "unavailable"),
    };
    (status, code, error.to_string())
}
