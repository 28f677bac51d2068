//! What web pages of a client PC ask of the printers and displays there, and what a station asks of its server, in JSON. Every
//! call may wait for a disk or a device and belongs on a thread of its own. Knows no HTTP and no keys.

use crate::ops::Refused;
use ::peripherals::{
    Asking, Document, Error, HandIn, Job, JobFilter, JobState, Offered, Origin, PeripheralMetrics,
    Peripherals, Priority, Show, Submitted, Values,
};
use engine::Lsn;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// Jobs or decisions on one page.
const PAGE_MAX: usize = 200;

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
struct Kick {
    printer: String,
    reason: String,
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
    /// Answers with these.
    pub fn new(peripherals: Arc<Peripherals>) -> Desk {
        Desk { peripherals }
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
        let filter =
            JobFilter { peripheral: peripheral.map(str::to_owned), states, before: None, max: PAGE_MAX };
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
        let decisions = self.peripherals.audit(None, PAGE_MAX).map_err(|error| refused(&error))?;
        Ok(json!({"status": "success", "decisions": decisions}))
    }

    /// Prints a template or lines; the same id again prints nothing again.
    ///
    /// # Errors
    /// A request that cannot be, a queue that is full.
    pub fn print(&self, body: &[u8], asker: &Asker, now_ms: i64) -> Result<Value, Refused> {
        let wanted: Print = parse(body)?;
        let document = match (wanted.template, wanted.lines) {
            (Some(name), None) => Document::Template { name, values: wanted.values },
            (None, Some(lines)) => Document::lines(&lines).map_err(|error| refused(&error))?,
            _ => return Err(neither()),
        };
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
        let show = match (wanted.template, wanted.lines) {
            (Some(name), None) => Show::Template { name, values: wanted.values },
            (None, Some(lines)) => Show::lines(&lines, wanted.for_ms).map_err(|error| refused(&error))?,
            _ => return Err(neither()),
        };
        self.peripherals.show(&wanted.display, show).map_err(|error| refused(&error))?;
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
