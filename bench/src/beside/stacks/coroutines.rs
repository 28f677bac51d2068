//! The port on may_minihttp: a coroutine for each connection, one worker thread. Knows may and may_minihttp.
//!
//! Nothing here may block the only worker: whoever waits for the journal parks his coroutine. What this stack cannot do is
//! left out: it does not tell the other end's address (everybody is taken for loopback), a reply has none but constant header
//! lines (rate limits are not told), and a request with more than 16 headers or a bad length ends its connection.

use super::alone::Alone;
use super::desk::{Desk, LOOK_EVERY, Sleeper, Standing, Talk};
use anyhow::{Context, Result, anyhow};
use may::coroutine;
use may::sync::Blocker;
use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};
use std::cell::OnceCell;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Words of a coroutine's stack: a decision needs more than may's 4,096, above all in a build for tests.
const STACK_WORDS: usize = 32 * 1024;
/// The scheduler starts in no time.
const START_WAIT: Duration = Duration::from_secs(10);
/// The name of the worker's thread in the table.
const WORKER: &std::ffi::CStr = c"may-0";

/// What the worker's coroutines share: there is one worker, so everything is on its thread.
struct Hall {
    desk: Desk<Arc<Blocker>>,
    /// Wakes the coroutine that nudges the journal.
    nudger: Arc<Blocker>,
}

thread_local! {
    static HALL: OnceCell<Hall> = const { OnceCell::new() };
}

fn hall<T>(work: impl FnOnce(&Hall) -> T) -> T {
    HALL.with(|hall| work(hall.get().expect("the only worker opened it before it listened")))
}

/// A coroutine that is parked.
impl Sleeper for Arc<Blocker> {
    fn wake(self) {
        self.unpark();
    }
}

/// Serves for ever.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(addr: SocketAddr, alone: Alone) -> Result<()> {
    // The process is pinned from outside.
    may::config().set_workers(1).set_stack_size(STACK_WORDS).set_worker_pin(false);
    let (opened, opens) = mpsc::channel();
    spawn(move || release_for_ever(&alone, &opened))?;
    let nudger = opens.recv_timeout(START_WAIT).context("the worker does not start")?;
    spawn(move || nudge_for_ever(&nudger))?;
    let serving = Connections.start(addr).with_context(|| format!("listen on {addr}"))?;
    serving.join().map_err(|_| anyhow!("the listener's coroutine panicked"))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<coroutine::JoinHandle<()>> {
    may::go!(coroutine::Builder::new(), work)
}

/// Opens the hall, then wakes sleepers whenever a sync is done.
fn release_for_ever(alone: &Alone, opened: &mpsc::Sender<Arc<Blocker>>) {
    // A name in a table: nothing hangs on it.
    let _ = rustix::thread::set_name(WORKER);
    let (bell, nudger) = (Blocker::current(), Blocker::current());
    let (rung, alarmed) = (Arc::clone(&bell), Arc::clone(&bell));
    // A thread, because may lets a coroutine that slept go on in the thread of its timer, where no hall is.
    let alarm = move || {
        loop {
            thread::park_timeout(LOOK_EVERY);
            alarmed.unpark();
        }
    };
    thread::Builder::new().name("alarm".to_owned()).spawn(alarm).ok();
    let desk = Desk::new(alone, move || rung.unpark());
    HALL.with(|hall| hall.set(Hall { desk, nudger: Arc::clone(&nudger) }).ok());
    opened.send(nudger).ok();
    while bell.park(None).is_ok() {
        hall(|hall| hall.desk.release());
    }
}

/// Whoever is ready stands in the scheduler's queue before this coroutine, so it comes when all had their turn.
fn nudge_for_ever(nudger: &Blocker) {
    while nudger.park(None).is_ok() {
        coroutine::yield_now();
        hall(|hall| hall.desk.nudge());
    }
}

/// Makes the handler of a connection.
struct Connections;

/// A connection's handler.
#[derive(Default)]
struct Handler {
    talk: Talk,
    body: Vec<u8>,
    sleeper: Option<Arc<Blocker>>,
}

impl HttpServiceFactory for Connections {
    type Service = Handler;

    fn new_service(&self, _id: usize) -> Handler {
        Handler::default()
    }
}

impl HttpService for Handler {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        let headers = request.headers().iter().map(|header| (header.name.as_bytes(), header.value));
        self.talk.begin(request.method(), request.path(), headers);
        self.body.clear();
        request.body().read_to_end(&mut self.body)?;
        hall(|hall| hall.desk.answer(&mut self.talk, &self.body, IpAddr::V4(Ipv4Addr::LOCALHOST)));
        self.settle();
        let reply = &self.talk.reply;
        if reply.status != 200 {
            response.status_code(usize::from(reply.status), "Refused");
        }
        if let Some(line) = content_type_line(reply.content_type) {
            response.header(line);
        }
        response.body_mut().extend_from_slice(&reply.body);
        Ok(())
    }
}

impl Handler {
    /// Parks until the answer may leave, or writes another one.
    fn settle(&mut self) {
        let wait = self.talk.reply.wait;
        if wait == 0 {
            return;
        }
        let sleeper = self.sleeper.get_or_insert_with(Blocker::current);
        let first =
            hall(|hall| hall.desk.enlist(wait, Arc::clone(sleeper)).then(|| Arc::clone(&hall.nudger)));
        if let Some(nudger) = first {
            nudger.unpark();
        }
        let mut standing = hall(|hall| hall.desk.standing(wait));
        while standing == Standing::NotYet {
            if sleeper.park(None).is_err() {
                break;
            }
            standing = hall(|hall| hall.desk.standing(wait));
        }
        if standing != Standing::Durable {
            hall(|hall| hall.desk.undurable(&mut self.talk.reply));
        }
    }
}

/// Header lines are constants in this stack.
fn content_type_line(content_type: &str) -> Option<&'static str> {
    match content_type {
        "application/json" => Some("Content-Type: application/json"),
        "text/plain;charset=utf-8" => Some("Content-Type: text/plain;charset=utf-8"),
        _ => None,
    }
}
