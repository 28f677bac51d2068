//! Paths of the API port that are about printers, displays and stations: which request each means, who may make it, and
//! that it runs beside the port's worker. Knows HTTP's methods and no socket.

use super::requests::{Asker, Desk, parse};
use crate::http::{Method, Next, Reply};
use crate::ops::{self, Refused};
use ::peripherals::Asking;
use engine::catalog::Role;
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
pub struct Wanted {
    /// Who may make it.
    pub least: Role,
    work: Work,
}

/// The desk behind the API port.
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

/// Is this path one of these?
pub fn is_ours(path: &str) -> bool {
    path.starts_with("/api/v1/peripherals") || path.starts_with("/api/v1/station/")
}

/// What a request wants; `None`: there is no such path, or not with this method.
pub fn wanted(method: Method, path: &str, query: Option<&str>, body: &[u8], now_ms: i64) -> Option<Wanted> {
    let (body, query) = (body.to_vec(), query.map(str::to_owned));
    let asks = matches!(method, Method::Get | Method::Head);
    let path = path.strip_prefix("/api/v1/")?;
    let (least, work): (Role, Work) = match (asks, path) {
        (true, "peripherals") => (Role::Viewer, Box::new(|desk, _| Ok(desk.list()))),
        (true, "peripherals/audit") => (Role::Supervisor, Box::new(|desk, _| desk.audit())),
        (true, "peripherals/jobs") => (
            Role::Viewer,
            Box::new(move |desk, _| {
                let of = |name| ops::parameter(query.as_deref(), name);
                match of("job") {
                    Some(id) => desk.job(id),
                    None => desk.jobs(of("peripheral"), of("state")),
                }
            }),
        ),
        (false, "peripherals/print") => {
            (Role::Steward, Box::new(move |desk, asker| desk.print(&body, asker, now_ms)))
        }
        (false, "peripherals/button") => {
            (Role::Steward, Box::new(move |desk, asker| desk.press(&body, asker, now_ms)))
        }
        (false, "peripherals/show") => (Role::Steward, Box::new(move |desk, _| desk.show(&body))),
        (false, "peripherals/resolve") => {
            (Role::Supervisor, Box::new(move |desk, asker| desk.resolve(&body, asker)))
        }
        (false, "peripherals/cancel") => {
            (Role::Supervisor, Box::new(move |desk, asker| desk.cancel(&body, asker)))
        }
        (false, "peripherals/kick") => {
            (Role::Supervisor, Box::new(move |desk, asker| desk.kick(&body, asker)))
        }
        (false, "peripherals/release") => {
            (Role::Supervisor, Box::new(move |desk, asker| desk.release(&body, asker)))
        }
        (false, "peripherals/reload") => (Role::Manager, Box::new(|desk, _| desk.reload())),
        (false, "station/offer") => (Role::Steward, Box::new(move |desk, asker| offer(desk, asker, &body))),
        (false, "station/hand-in") => {
            (Role::Steward, Box::new(move |desk, asker| desk.hand_in(station(asker)?, &body)))
        }
        _ => return None,
    };
    Some(Wanted { least, work })
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
    /// Work that may be asked for by `least`.
    pub fn new(
        least: Role,
        work: impl FnOnce(&Desk, &Asker) -> Result<Value, Refused> + Send + 'static,
    ) -> Wanted {
        Wanted { least, work: Box::new(work) }
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
                (wanted.work)(&desk, &asker)
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
