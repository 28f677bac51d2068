//! The two paths a station asks its server at, and the counter behind which requests about printers and displays run beside a
//! port's worker. Knows HTTP's methods and no socket.

use super::requests::{Asker, Desk, parse};
use crate::http::{Method, Next, Reply};
use crate::ops::{self, Refused};
use ::peripherals::Asking;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Requests that wait for a disk or a device at the same time.
const AT_ONCE_MAX: usize = 16;
/// A station waits so long for work at the most, in seconds.
const OFFER_WAIT_S_MAX: u64 = 25;
/// Between two looks for a station's work.
const OFFER_LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a request does, off the worker's thread.
type Work = Box<dyn FnOnce(&Desk, &Asker) -> Result<Value, Refused> + Send>;

/// A request that was understood.
pub struct Wanted(Work);

/// The desk behind a port.
pub struct Counter {
    desk: Option<Desk>,
    turns: Arc<Semaphore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferRequest {
    incarnation: String,
    #[serde(default)]
    known_jobs: Vec<String>,
    max: usize,
    #[serde(default)]
    wait_s: u64,
}

/// Is this path a station's?
pub fn is_ours(path: &str) -> bool {
    path.starts_with("/api/v1/station/")
}

/// What a station wants; `None`: there is no such path, or not with this method.
pub fn wanted(method: Method, path: &str, body: &[u8]) -> Option<Wanted> {
    let body = body.to_vec();
    match (method, path) {
        (Method::Post, "/api/v1/station/offer") => {
            Some(Wanted::new(move |desk, asker| offer(desk, asker, &body)))
        }
        (Method::Post, "/api/v1/station/hand-in") => {
            Some(Wanted::new(move |desk, asker| desk.hand_in(station(asker)?, &body)))
        }
        _ => None,
    }
}

fn station(asker: &Asker) -> Result<&str, Refused> {
    match asker {
        Asker::Station(name) => Ok(name),
        Asker::Person(_) => Err((403, "not_allowed", "this is for stations".to_owned())),
    }
}

/// Work for a station, waited for where there is none.
fn offer(desk: &Desk, asker: &Asker, body: &[u8]) -> Result<Value, Refused> {
    let station = station(asker)?.to_owned();
    let OfferRequest { incarnation, known_jobs, max, wait_s } = parse(body)?;
    let until = Instant::now() + Duration::from_secs(wait_s.min(OFFER_WAIT_S_MAX));
    let asking = Asking { station, incarnation, known_jobs, max };
    loop {
        let offered = desk.offer(&asking)?;
        if !offered.jobs.is_empty() || !offered.shows.is_empty() || Instant::now() >= until {
            return Ok(json!({"status": "success", "offered": offered}));
        }
        std::thread::sleep(OFFER_LOOK_EVERY);
    }
}

// === impl Wanted ===

impl Wanted {
    /// A request that means this work.
    pub fn new(work: impl FnOnce(&Desk, &Asker) -> Result<Value, Refused> + Send + 'static) -> Wanted {
        Wanted(Box::new(work))
    }
}

// === impl Counter ===

impl Counter {
    /// Requests go to this desk; `None`: the node has no printers and displays.
    pub fn new(desk: Option<Desk>) -> Counter {
        Counter { desk, turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Does what is wanted beside the worker; the answer, with the headers `reply` has, comes when it is done.
    ///
    /// # Errors
    /// There is no desk, or too many wait already.
    pub fn serve(&self, wanted: Wanted, asker: Asker, reply: &Reply) -> Result<Next, Refused> {
        let desk = self.desk.clone().ok_or((
            404,
            "not_found",
            "this node has no printers and displays: name them with --peripherals-file".to_owned(),
        ))?;
        let turn = Arc::clone(&self.turns)
            .try_acquire_owned()
            .map_err(|_| (503, "unavailable", "too many requests wait for printers; try again".to_owned()))?;
        let mut reply = reply.clone();
        Ok(Next::Later(Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                (wanted.0)(&desk, &asker)
            });
            match done.await {
                Ok(Ok(value)) => ops::write(&mut reply, &value),
                Ok(Err(refused)) => ops::refuse(&mut reply, &refused),
                Err(_) => {
                    let words = "the request failed inside; see the log".to_owned();
                    ops::refuse(&mut reply, &(500, "internal", words));
                }
            }
            reply
        })))
    }
}
