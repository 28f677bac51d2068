//! A station's talk with its server: jobs and texts come, what became of jobs goes. Two threads, so that a report never
//! waits behind a question; each waits longer after each failure. Knows no device.

use super::ledger::{Entry, Ledger};
use crate::target;
use ::peripherals::{Done, Error, Fault, HandIn, JobState, Offered, Outcome, Peripherals};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// A question for work waits so long at the server, in seconds.
const WAIT_S: u64 = 20;
/// What is beyond that is a fault.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Between two looks for what is done.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After the first failure, and after many.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Jobs in one answer.
const JOBS_AT_ONCE: usize = 16;
/// A stop waits no longer than this for a question that is under way.
const STOP_MAX: Duration = Duration::from_secs(1);

/// How it stands with the server.
#[derive(Default)]
pub struct ServerLink(Mutex<Option<Result<Instant, String>>>);

/// Where the server is, and where this station keeps its things.
pub struct At {
    /// `http://host:8000`.
    pub server: String,
    /// The station's key.
    pub key: String,
    /// For the ledger.
    pub data_dir: PathBuf,
}

/// The two threads.
pub struct Pulling {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What both threads use.
struct Talk {
    peripherals: Arc<Peripherals>,
    at: At,
    agent: ureq::Agent,
    ledger: Mutex<Ledger>,
    link: Arc<ServerLink>,
    stop: Arc<AtomicBool>,
}

#[derive(Deserialize)]
struct OfferAnswer {
    offered: Offered,
}

/// When a step is done again.
enum Next {
    AtOnce,
    Soon,
    /// After a pause that grows each time.
    Later,
}

/// Why a job was not taken.
enum NotTaken {
    /// It may be another time: it is given again.
    NotNow(String),
    /// It never will be, with these settings: the server is told this.
    Never(HandIn),
}

/// Why the server did not do what it was asked.
enum Failed {
    /// It cannot be reached, or failed inside: another try may help.
    Away(String),
    /// It says no: another try will not help.
    No(u16, String),
}

// === impl ServerLink ===

impl ServerLink {
    /// For people and programs.
    pub fn value(&self) -> Value {
        match &*self.0.lock() {
            None => json!({"state": "not asked yet"}),
            Some(Ok(at)) => json!({"state": "connected", "seconds_ago": at.elapsed().as_secs()}),
            Some(Err(text)) => json!({"state": "away", "reason": text}),
        }
    }

    fn set(&self, outcome: Result<(), &str>) {
        let mut own = self.0.lock();
        let was_well = !matches!(&*own, Some(Err(_)));
        match outcome {
            Ok(()) if !was_well => info!("the server answers again"),
            Err(text) if was_well => warn!(text, "the server is away; printing goes on, reports wait"),
            _ => {}
        }
        *own = Some(outcome.map(|()| Instant::now()).map_err(str::to_owned));
    }
}

// === impl Pulling ===

impl Pulling {
    /// Starts asking.
    ///
    /// # Errors
    /// The ledger, a thread.
    pub fn start(peripherals: Arc<Peripherals>, at: At, link: Arc<ServerLink>) -> anyhow::Result<Pulling> {
        let stop = Arc::new(AtomicBool::new(false));
        let agent = target::agent_elsewhere(ANSWER_MAX);
        let ledger = Mutex::new(Ledger::open(&at.data_dir)?);
        let talk = Arc::new(Talk { peripherals, at, agent, ledger, link, stop: Arc::clone(&stop) });
        talk.forget_what_never_came()?;
        let (asking, reporting) = (Arc::clone(&talk), talk);
        let threads = vec![
            std::thread::Builder::new().name("ask".to_owned()).spawn(move || asking.repeat(Talk::ask))?,
            std::thread::Builder::new()
                .name("report".to_owned())
                .spawn(move || reporting.repeat(Talk::report))?,
        ];
        Ok(Pulling { stop, threads })
    }

    /// Stops asking. A question that is under way is not waited for: the server gives its jobs again.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        let until = Instant::now() + STOP_MAX;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a thread of the station had panicked");
            }
        }
    }
}

// === impl Talk ===

impl Talk {
    /// A job that was written down and never reached the queue may be given again.
    fn forget_what_never_came(&self) -> anyhow::Result<()> {
        let mut ledger = self.ledger.lock();
        let listed: Vec<String> = ledger.jobs().map(|(id, _)| id.clone()).collect();
        for id in listed {
            match self.peripherals.job(&id) {
                Ok(_) => {}
                Err(Error::UnknownJob(_)) => ledger.set(&id, None)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn repeat(&self, step: fn(&Talk) -> Result<Next, String>) {
        let mut wait = RETRY.0;
        while !self.stop.load(Ordering::Relaxed) {
            let pause = match step(self) {
                Ok(Next::AtOnce) => {
                    wait = RETRY.0;
                    Duration::ZERO
                }
                Ok(Next::Soon) => {
                    wait = RETRY.0;
                    LOOK_EVERY
                }
                failed => {
                    if let Err(text) = failed {
                        self.link.set(Err(&text));
                    }
                    let now = wait;
                    wait = (wait * 2).min(RETRY.1);
                    now
                }
            };
            let until = Instant::now() + pause;
            while !self.stop.load(Ordering::Relaxed) && Instant::now() < until {
                std::thread::sleep(LOOK_EVERY.min(until.saturating_duration_since(Instant::now())));
            }
        }
    }

    /// One question for work.
    fn ask(&self) -> Result<Next, String> {
        let (known, room) = {
            let ledger = self.ledger.lock();
            (ledger.jobs().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ledger.room())
        };
        let asking = json!({
            "incarnation": self.peripherals.incarnation(),
            "known_jobs": known,
            "max": room.min(JOBS_AT_ONCE),
            "wait_s": WAIT_S,
        });
        let answer = match self.post("/api/v1/station/offer", &asking) {
            Ok(answer) => answer,
            Err(Failed::Away(text) | Failed::No(_, text)) => return Err(text),
        };
        self.link.set(Ok(()));
        let answer: OfferAnswer =
            serde_json::from_value(answer).map_err(|error| format!("the server's answer: {error}"))?;
        for (display, show) in answer.offered.shows {
            if let Err(error) = self.peripherals.show(&display, show) {
                warn!(%error, "a text for a display was left out");
            }
        }
        // All of them are tried: the others are not to wait behind one that cannot be taken.
        let mut next = Next::AtOnce;
        for offered in answer.offered.jobs {
            let id = offered.job.id.clone();
            match self.take(offered) {
                Ok(()) => {}
                Err(NotTaken::NotNow(why)) => {
                    warn!(why, job = id, "a job of the server cannot be taken now; it waits there");
                    next = Next::Later;
                }
                Err(NotTaken::Never(hand_in)) => {
                    let why = hand_in.outcome.as_ref().map(|outcome| outcome.text.as_str());
                    warn!(why, job = id, "a job of the server cannot be taken; the server is told");
                    self.hand_in(&id, &hand_in)?;
                }
            }
        }
        Ok(next)
    }

    /// Written down first, then into the queue: see the module's head.
    fn take(&self, offered: ::peripherals::OfferedJob) -> Result<(), NotTaken> {
        let id = offered.job.id.clone();
        let mut ledger = self.ledger.lock();
        let told = |error: std::io::Error| NotTaken::NotNow(format!("the station's ledger: {error}"));
        ledger.set(&id, Some(Entry::default())).map_err(told)?;
        if let Err(error) = self.peripherals.accept(offered) {
            ledger.set(&id, None).map_err(told)?;
            return Err(not_taken(&error));
        }
        Ok(())
    }

    /// Tells the server what became of jobs since it was last told.
    fn report(&self) -> Result<Next, String> {
        let listed: Vec<(String, Entry)> =
            self.ledger.lock().jobs().map(|(id, entry)| (id.clone(), *entry)).collect();
        for (id, entry) in listed {
            let job = match self.peripherals.job(&id) {
                Ok(job) => job,
                // It is on its way into the queue.
                Err(Error::UnknownJob(_)) => continue,
                Err(error) => return Err(error.to_string()),
            };
            let worth = job.state.is_final() || job.state == JobState::Unknown;
            if !worth || entry.told == Some(job.state) {
                continue;
            }
            let hand_in = HandIn { state: job.state, outcome: job.outcome };
            self.hand_in(&id, &hand_in)?;
        }
        Ok(Next::Soon)
    }

    fn hand_in(&self, id: &str, hand_in: &HandIn) -> Result<(), String> {
        let mut body = serde_json::to_value(hand_in).map_err(|error| error.to_string())?;
        body["job"] = json!(id);
        let entry = match self.post("/api/v1/station/hand-in", &body) {
            Ok(_) if hand_in.state.is_final() => None,
            Ok(_) => Some(Entry { told: Some(hand_in.state) }),
            Err(Failed::No(404 | 403, text)) => {
                warn!(job = id, text, "the server does not know a job it gave; it is not reported any more");
                None
            }
            Err(Failed::Away(text) | Failed::No(_, text)) => return Err(text),
        };
        self.ledger.lock().set(id, entry).map_err(|error| format!("the station's ledger: {error}"))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        let away = |error: &dyn std::fmt::Display| Failed::Away(error.to_string());
        let mut response = self
            .agent
            .post(format!("{}{path}", self.at.server))
            .header("Authorization", format!("Bearer {}", self.at.key))
            .header("Content-Type", "application/json")
            .send(body.to_string().as_bytes())
            .map_err(|error| away(&error))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|error| away(&error))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| away(&error))?;
        match status {
            200..=299 => Ok(value),
            status => {
                let words = value["message"].as_str().unwrap_or("refused").to_owned();
                Err(if status >= 500 { Failed::Away(words) } else { Failed::No(status, words) })
            }
        }
    }
}

fn not_taken(error: &Error) -> NotTaken {
    let never = |state, done, fault| {
        let text = format!("at its station: {error}");
        NotTaken::Never(HandIn { state, outcome: Some(Outcome { done, fault, text }) })
    };
    match error {
        Error::UnknownPeripheral(_)
        | Error::UnknownTemplate(_)
        | Error::WrongKind { .. }
        | Error::BadDocument(_) => never(JobState::None, Done::None, Some(Fault::Invalid)),
        // Something of that name may have been printed here.
        Error::IdConflict(_) => never(JobState::Unknown, Done::Unknown, None),
        _ => NotTaken::NotNow(error.to_string()),
    }
}
