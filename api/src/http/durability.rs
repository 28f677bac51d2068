//! Waiting for the journal: connections of one worker wait for an LSN and are woken when it is durable.
//! Knows LSNs and wakers; knows neither the journal nor HTTP.
//!
//! One cross-thread wake per journal sync at most: `armed` is set while somebody waits and taken by the first
//! advance after that. In the other direction as well: the journal is asked once for all who wait, when no more
//! requests are ready, so that one sync serves them together. Everything else happens on the worker's own thread.

use super::worker::Slot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use tokio::sync::Notify;

/// Those who wait for one sync, at most, while others are ready: the journal begins with them.
const GATHERED_MAX: usize = 128;

/// How this layer learns that an LSN is durable.
pub trait Durable: Send + Sync + 'static {
    /// Highest durable LSN. Called once per batch that waits: an atomic load.
    fn durable(&self) -> u64;

    /// Whether the journal failed and `durable` will never advance again. Must become true after the last advance.
    fn poisoned(&self) -> bool;

    /// Registers a callback to be called from any thread, after every advance of `durable` and after poisoning.
    /// It costs a fence and at most one wake of a sleeping thread, and may still be called when the server is gone.
    fn on_advance(&self, wake: Box<dyn Fn() + Send + Sync>);

    /// Called once on each worker's thread: what this thread appends may wait for a [`Durable::nudge`].
    fn gather(&self);

    /// Begin with what was appended: nothing more comes from this thread at once.
    fn nudge(&self);
}

/// What the journal says about one LSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    Durable,
    NotYet,
    Poisoned,
}

/// The worker's half that other threads touch.
#[derive(Debug, Default)]
struct Bell {
    armed: AtomicBool,
    notify: Notify,
}

/// Everybody on this worker who waits for the journal.
pub(super) struct Gate {
    durable: Arc<dyn Durable>,
    bell: Arc<Bell>,
    /// Rung by the first who waits for what the journal was not asked for yet.
    gathering: Notify,
    /// Those who wait for what the journal was not asked for yet.
    gathered: Cell<usize>,
    /// Ascending by LSN; new ones nearly always belong at the back.
    waiting: RefCell<VecDeque<(u64, Rc<Slot>)>>,
}

impl Gate {
    pub(super) fn new(durable: Arc<dyn Durable>) -> Self {
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        durable.on_advance(Box::new(move || {
            // Pairs with the fence in `arm`: either the advance sees `armed`, or `arm` sees the advance.
            fence(Ordering::SeqCst);
            if rung.armed.load(Ordering::Relaxed) && rung.armed.swap(false, Ordering::AcqRel) {
                rung.notify.notify_one();
            }
        }));
        durable.gather();
        Self { durable, bell, gathering: Notify::new(), gathered: Cell::new(0), waiting: RefCell::default() }
    }

    /// Where `lsn` stands. Poisoning is read first: once it is seen, `durable` is final.
    pub(super) fn state(&self, lsn: u64) -> Durability {
        let poisoned = self.durable.poisoned();
        match self.durable.durable() >= lsn {
            true => Durability::Durable,
            false if poisoned => Durability::Poisoned,
            false => Durability::NotYet,
        }
    }

    /// Highest durable LSN.
    pub(super) fn durable_lsn(&self) -> u64 {
        self.durable.durable()
    }

    /// Promises to wake `slot` once `lsn` is durable or the journal is poisoned. The caller asks [`Gate::state`]
    /// again afterwards, for the advance may have come in between.
    pub(super) fn enlist(&self, lsn: u64, slot: &Rc<Slot>) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().rposition(|(other, _)| *other <= lsn).map_or(0, |before| before + 1);
        waiting.insert(place, (lsn, Rc::clone(slot)));
        if self.gathered.replace(self.gathered.get() + 1) == 0 {
            self.gathering.notify_one();
        }
        self.arm();
    }

    /// Takes back what [`Gate::enlist`] promised to a connection that gave up. Linear in those who wait; rare.
    pub(super) fn delist(&self, slot: &Rc<Slot>) {
        self.waiting.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, slot));
    }

    fn arm(&self) {
        self.bell.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Wakes everybody whose wait is over.
    pub(super) fn release(&self) {
        let poisoned = self.durable.poisoned();
        let mut waiting = self.waiting.borrow_mut();
        loop {
            let durable = self.durable.durable();
            while waiting.front().is_some_and(|(lsn, _)| poisoned || *lsn <= durable) {
                if let Some((_, slot)) = waiting.pop_front() {
                    slot.wake();
                }
            }
            if waiting.is_empty() {
                return;
            }
            self.arm();
            if self.durable.durable() == durable {
                return;
            }
        }
    }

    /// Runs for the life of the worker: asks the journal when a look at the sockets brought nobody else, or enough.
    pub(super) async fn nudge_forever(&self) {
        loop {
            self.gathering.notified().await;
            let mut seen = 0;
            while seen < self.gathered.get() && self.gathered.get() < GATHERED_MAX {
                seen = self.gathered.get();
                // Everybody who is ready has his turn, and the runtime looks at the sockets, before this goes on.
                tokio::task::yield_now().await;
            }
            self.gathered.set(0);
            self.durable.nudge();
        }
    }

    /// Runs for the life of the worker.
    pub(super) async fn release_forever(&self) {
        loop {
            self.bell.notify.notified().await;
            self.release();
        }
    }
}
