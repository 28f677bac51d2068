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
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

/// A journal that makes no step for so long is given up: who waits is told that nobody can decide.
const STEP_WAIT: Duration = Duration::from_secs(5);
/// [`Desk::release`] is called at least this often, whatever the journal does.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Somebody who sleeps until a record is durable.
pub trait Sleeper {
    /// Called on the worker's own thread.
    fn wake(self);
}

/// A connection's own: its last request, what it remembers, and the answer. Used again, so that its buffers stay.
#[derive(Default)]
pub struct Talk {
    method: Option<Method>,
    target: String,
    headers: HeaderList,
    memo: Memo,
    /// The answer.
    pub reply: Reply,
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
    line: RefCell<Vec<(u64, S)>>,
    /// Somebody waits for what the journal was not asked for yet.
    gathered: Cell<bool>,
    /// Somebody waits: the next advance shall ring.
    armed: Arc<AtomicBool>,
    /// What was durable when somebody waited, and since when it is the same.
    step: Cell<(u64, Instant)>,
    /// The journal made no step for too long.
    given_up: Cell<bool>,
}

// === impl Talk ===

impl Talk {
    /// A request with this head begins; `target` is the path with the query.
    pub fn begin<'h>(
        &mut self,
        method: &str,
        target: &str,
        mut headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        self.target.clear();
        self.target.push_str(target);
        self.headers.clear();
        let fits = headers.all(|(name, value)| self.headers.push(name, value));
        self.method = Method::parse(method.as_bytes()).filter(|_| fits);
    }
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
            step: Cell::new((journal.positions().durable.0, Instant::now())),
            journal,
            line: RefCell::default(),
            gathered: Cell::new(false),
            armed,
            given_up: Cell::new(false),
        }
    }

    /// Has the port answer. What comes later (long polls, streams, look-ups in a store) is refused: none of it is measured.
    pub fn answer(&self, talk: &mut Talk, body: &[u8], peer: IpAddr) {
        let Talk { method, target, headers, memo, reply } = talk;
        reply.clear();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target.as_str(), None),
        };
        let Some(method) = *method else {
            return self.refuse(reply, 400, "malformed_request", "the head cannot be used");
        };
        if body.len() > self.port.body_bytes_max(method, path) {
            return self.refuse(reply, 413, "body_too_large", "the body is too large");
        }
        let request = Request { method, path, query, headers: headers.headers(), body, peer, memo };
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
        let failed = self.journal.poisoned() || self.given_up.get();
        match self.journal.positions().durable.0 >= lsn {
            true => Standing::Durable,
            false if failed => Standing::Lost,
            false => Standing::NotYet,
        }
    }

    /// Puts somebody into the line; he asks again when he is woken, and before he sleeps. `true`: he is the first since the
    /// last nudge, so the stack shall call [`Desk::nudge`] once everybody who is ready had his turn.
    pub fn enlist(&self, lsn: u64, sleeper: S) -> bool {
        self.line.borrow_mut().push((lsn, sleeper));
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

    /// Wakes everybody whose wait is over; gives a journal up that makes no step.
    pub fn release(&self) {
        let mut line = self.line.borrow_mut();
        let durable = self.journal.positions().durable.0;
        if line.is_empty() || self.step.get().0 != durable {
            self.step.set((durable, Instant::now()));
        }
        self.given_up.set(self.step.get().1.elapsed() >= STEP_WAIT);
        loop {
            let all = self.journal.poisoned() || self.given_up.get();
            let durable = self.journal.positions().durable.0;
            line.extract_if(.., |(lsn, _)| all || *lsn <= durable).for_each(|(_, sleeper)| sleeper.wake());
            if line.is_empty() {
                return;
            }
            self.arm();
            if self.journal.positions().durable.0 == durable {
                return;
            }
        }
    }

    /// In place of an answer that cannot become durable.
    pub fn undurable(&self, reply: &mut Reply) {
        let tag = reply.tag;
        reply.clear();
        reply.tag = tag;
        self.port.undurable(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Engine;
    use engine::clock::SystemClock;
    use engine::journal::JournalOptions;
    use engine::sim_disk::SimDisk;
    use std::net::Ipv4Addr;
    use std::rc::Rc;
    use std::sync::atomic::AtomicU32;

    impl Sleeper for Rc<Cell<u32>> {
        fn wake(self) {
            self.set(self.get() + 1);
        }
    }

    fn ask(desk: &Desk<Rc<Cell<u32>>>, talk: &mut Talk, code: &str) {
        let body = format!(r#"{{"api_key":"demo-key-900","qr_data":"{code}","scan_id":"of-{code}"}}"#);
        talk.begin("POST", "/api/access/validate", std::iter::empty());
        desk.answer(talk, body.as_bytes(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn nobody_is_woken_before_his_record_is_durable_and_one_sync_rings_once_for_all() {
        let disk = Arc::new(SimDisk::new());
        let (engine, _) = Engine::open(disk, Arc::new(SystemClock), JournalOptions::default()).unwrap();
        let alone = Alone::over(engine).unwrap();
        let rings = Arc::new(AtomicU32::new(0));
        let rung = Arc::clone(&rings);
        let desk = Desk::new(&alone, move || {
            rung.fetch_add(1, Ordering::Relaxed);
        });
        let (mut talk, woken) = (Talk::default(), Rc::new(Cell::new(0)));
        let mut waits = Vec::new();
        for (number, code) in ["DEMO-STD-000001", "DEMO-STD-000002", "NOBODY"].into_iter().enumerate() {
            ask(&desk, &mut talk, code);
            let wait = talk.reply.wait;
            assert!(wait > 0 && desk.standing(wait) == Standing::NotYet, "{code}");
            assert_eq!(desk.enlist(wait, Rc::clone(&woken)), number == 0, "one nudge for all");
            waits.push(wait);
        }
        desk.release();
        assert_eq!((woken.get(), desk.waiting(), rings.load(Ordering::Relaxed)), (0, 3, 0));
        desk.nudge();
        alone.journal().commit().unwrap();
        assert_eq!(rings.load(Ordering::Relaxed), 1);
        desk.release();
        assert_eq!((woken.get(), desk.waiting()), (3, 0));
        assert!(waits.into_iter().all(|wait| desk.standing(wait) == Standing::Durable));
        alone.journal().sync().unwrap();
        assert_eq!(rings.load(Ordering::Relaxed), 1, "nobody waits: nobody is rung for");
    }

    #[test]
    fn what_comes_later_is_refused_and_so_is_a_head_that_cannot_be_used() {
        let disk = Arc::new(SimDisk::new());
        let (engine, _) = Engine::open(disk, Arc::new(SystemClock), JournalOptions::default()).unwrap();
        let desk: Desk<Rc<Cell<u32>>> = Desk::new(&Alone::over(engine).unwrap(), || {});
        let mut talk = Talk::default();
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let key: (&[u8], &[u8]) = (b"X-Api-Key", b"demo-key-900");
        talk.begin("GET", "/api/access/stream", [key].into_iter());
        desk.answer(&mut talk, b"", localhost);
        assert_eq!(talk.reply.status, 501);
        talk.begin("GE T", "/api/access/health", std::iter::empty());
        desk.answer(&mut talk, b"", localhost);
        assert_eq!(talk.reply.status, 400);
        talk.begin("GET", "/api/access/health", std::iter::empty());
        desk.answer(&mut talk, &vec![b' '; 1 << 20], localhost);
        assert_eq!(talk.reply.status, 413);
        desk.answer(&mut talk, b"", localhost);
        assert_eq!(talk.reply.status, 200);
    }
}
