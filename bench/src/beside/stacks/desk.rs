//! What one worker of another HTTP stack has in common: the port, and a line of those whose answer waits for the journal.
//! The stack says how somebody is woken. Knows requests as values and LSNs; knows no stack.
//!
//! The terms are those of our own HTTP layer: records of one look at the sockets are gathered and the journal is nudged once
//! for them; a sync wakes the worker once, and the worker wakes everybody whose record is durable.

use super::alone::Alone;
use api::http::{Fault, HeaderList, Method, Next, Reply, Request, Service};
use api::port::{Memo, Port};
use engine::journal::Journal;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

/// A journal that makes no step for so long is given up: who waits is told that nobody can decide.
pub const STEP_WAIT: Duration = Duration::from_secs(5);
/// Between two looks whether the journal has to be given up.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Somebody who sleeps until a record is durable.
pub trait Sleeper {
    /// Called on the worker's own thread.
    fn wake(self);
}

/// What a request asks, whatever read it.
pub struct Asked<'a> {
    /// As it was sent.
    pub method: &'a str,
    /// With the query.
    pub target: &'a str,
    /// Whole.
    pub body: &'a [u8],
    /// Of the other end; `None` where the stack does not tell.
    pub peer: Option<IpAddr>,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may leave.
    Durable,
    /// It has to wait.
    NotYet,
    /// The journal failed: it must not leave.
    Lost,
}

/// A worker's port and line.
pub struct Desk<S> {
    port: Port,
    journal: Journal,
    headers: RefCell<HeaderList>,
    line: RefCell<Vec<(u64, S)>>,
    /// Somebody waits for what the journal was not asked for yet.
    gathered: Cell<bool>,
    /// Somebody waits: the next advance shall ring.
    armed: Arc<AtomicBool>,
    /// The last LSN that was seen to be durable, and when.
    step: Cell<(u64, Instant)>,
}

// === impl Desk ===

impl<S: Sleeper> Desk<S> {
    /// For the thread that calls this. `ring` has the worker call [`Desk::release`]; it comes from another thread, once for
    /// an advance that somebody waits for.
    pub fn new(alone: &Alone, ring: impl Fn() + Send + Sync + 'static) -> Desk<S> {
        let (armed, journal) = (Arc::new(AtomicBool::new(false)), alone.journal().clone());
        let rung = Arc::clone(&armed);
        journal.on_durable(Box::new(move || {
            // Pairs with the fence in `arm`: either the advance sees `armed`, or `arm`'s caller sees the advance.
            fence(Ordering::SeqCst);
            if rung.swap(false, Ordering::AcqRel) {
                ring();
            }
        }));
        journal.gather_on_this_thread();
        Desk {
            port: alone.port(),
            journal,
            headers: RefCell::default(),
            line: RefCell::default(),
            gathered: Cell::new(false),
            armed,
            step: Cell::new((0, Instant::now())),
        }
    }

    /// Has the port answer. What comes later (long polls, streams, look-ups in a store) is refused: none of it is measured.
    pub fn answer<'h>(
        &self,
        asked: &Asked<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        memo: &Memo,
        reply: &mut Reply,
    ) {
        reply.clear();
        let mut list = self.headers.borrow_mut();
        list.clear();
        let fits = headers.fold(true, |fits, (name, value)| list.push(name, value) && fits);
        let Some(method) = Method::parse(asked.method.as_bytes()).filter(|_| fits) else {
            return self.refuse(reply, 400, "malformed_request", "the head cannot be used");
        };
        let (path, query) = match asked.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (asked.target, None),
        };
        if asked.body.len() > self.port.body_bytes_max(method, path) {
            return self.refuse(reply, 413, "body_too_large", "the body is too large");
        }
        let peer = asked.peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let request =
            Request { method, path, query, headers: list.headers(), body: asked.body, peer, memo };
        if !matches!(self.port.call(&request, reply), Next::Reply) {
            self.refuse(reply, 501, "not_served", "this stack serves only what is answered at once");
        }
    }

    fn refuse(&self, reply: &mut Reply, status: u16, code: &'static str, message: &'static str) {
        reply.clear();
        reply.status = status;
        self.port.fault(&Fault { status, code, message, method: None, path: None }, reply);
    }

    /// Where an LSN stands. Poisoning is read first: once it is seen, what is durable is final.
    pub fn standing(&self, lsn: u64) -> Standing {
        let failed = self.journal.poisoned() || self.is_given_up();
        match self.journal.positions().durable.0 >= lsn {
            true => Standing::Durable,
            false if failed => Standing::Lost,
            false => Standing::NotYet,
        }
    }

    /// Puts somebody into the line; he asks again when he is woken. `true`: the first since the last nudge, so the stack
    /// shall call [`Desk::nudge`] once everybody who is ready had his turn.
    pub fn enlist(&self, lsn: u64, sleeper: S) -> bool {
        let mut line = self.line.borrow_mut();
        if line.is_empty() {
            self.step.set((self.journal.positions().durable.0, Instant::now()));
        }
        line.push((lsn, sleeper));
        self.arm();
        !self.gathered.replace(true)
    }

    fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.line.borrow().len()
    }

    /// Begins a sync for all who wait.
    pub fn nudge(&self) {
        self.gathered.set(false);
        self.journal.nudge();
    }

    /// Wakes everybody whose wait is over.
    pub fn release(&self) {
        loop {
            let durable = self.journal.positions().durable.0;
            if self.step.get().0 != durable {
                self.step.set((durable, Instant::now()));
            }
            let all = self.journal.poisoned() || self.is_given_up();
            let mut line = self.line.borrow_mut();
            line.extract_if(.., |(lsn, _)| all || *lsn <= durable).for_each(|(_, sleeper)| sleeper.wake());
            if line.is_empty() {
                return;
            }
            drop(line);
            self.arm();
            if self.journal.positions().durable.0 == durable {
                return;
            }
        }
    }

    fn is_given_up(&self) -> bool {
        let (_, since) = self.step.get();
        self.waiting() > 0 && since.elapsed() >= STEP_WAIT
    }

    /// In place of an answer that cannot become durable.
    pub fn undurable(&self, reply: &mut Reply) {
        let tag = reply.tag;
        reply.clear();
        reply.tag = tag;
        self.port.undurable(reply);
    }
}
