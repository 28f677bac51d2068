//! What the connections of one worker thread share: the service, a coarse clock, deadlines, buffers, caps.
//! Knows no request. Everything here but [`Doors`] stays on its thread: `Cell`s, no locks, no atomics.

use super::buffer::Buffer;
use super::durability::Gate;
use super::framing::Framer;
use super::limits::Limits;
use super::message::{Reply, Service};
use super::response::{DateText, Shape, date_text};
use super::stats::WorkerStats;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// === impl Slot ===

/// One connection as the sweep and the journal gate see it: a deadline and a way to wake its task.
#[derive(Debug)]
pub(super) struct Slot {
    place: Cell<usize>,
    deadline_ms: Cell<u64>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn new() -> Self {
        Self {
            place: Cell::new(0),
            deadline_ms: Cell::new(u64::MAX),
            expired: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// From now on the task is woken, and [`Slot::expired`] true, after the worker's clock passed `deadline_ms`.
    pub(super) fn arm(&self, deadline_ms: u64) {
        self.deadline_ms.set(deadline_ms);
        self.expired.set(false);
    }

    pub(super) fn disarm(&self) {
        self.arm(u64::MAX);
    }

    pub(super) fn expired(&self) -> bool {
        self.expired.get()
    }

    /// Remembers the task; it is the same for the life of a connection, so this is a comparison.
    pub(super) fn register(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

// === impl Kit ===

/// A reply in the batch that waits for the journal.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Where its own headers are.
    pub(super) headers: Range<usize>,
    pub(super) wait: u64,
    pub(super) tag: u32,
    pub(super) shape: Shape,
}

/// The buffers of a connection that has something to say. An idle connection has none.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) buffer: Buffer,
    pub(super) framer: Framer,
    pub(super) reply: Reply,
    /// The batch: bytes of all answers not written yet.
    pub(super) out: Vec<u8>,
    pub(super) pending: Vec<Pending>,
    /// Highest LSN the batch waits for; 0 = none.
    pub(super) wait: u64,
}

// === impl Doors ===

/// Connection caps, shared by all workers. The lock is taken once when a connection opens and once when it closes.
#[derive(Debug, Default)]
pub(super) struct Doors {
    open: AtomicUsize,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

impl Doors {
    /// Counts a connection in, or refuses it.
    fn enter(&self, peer: IpAddr, limits: &Limits) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) >= limits.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let mut peers = self.peers.lock();
        let count = peers.entry(peer).or_insert(0);
        if *count >= limits.connections_per_peer_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, peer: IpAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let mut peers = self.peers.lock();
        if let Some(count) = peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&peer);
            }
        }
    }
}

// === impl Worker ===

/// One worker thread's belongings.
pub(super) struct Worker<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
    pub(super) gate: Gate,
    pub(super) draining: Cell<bool>,
    doors: Arc<Doors>,
    all_stats: Arc<[WorkerStats]>,
    index: usize,
    started: Instant,
    now_ms: Cell<u64>,
    date: Cell<DateText>,
    date_second: Cell<u64>,
    slots: RefCell<Vec<Rc<Slot>>>,
    #[expect(clippy::vec_box, reason = "kits move between the pool and connections, by pointer")]
    kits: RefCell<Vec<Box<Kit>>>,
    /// Bytes of read buffers beyond their initial size, all connections together.
    grown_bytes: Cell<usize>,
}

impl<S: Service> Worker<S> {
    pub(super) fn new(
        service: S,
        limits: Limits,
        gate: Gate,
        doors: Arc<Doors>,
        all_stats: Arc<[WorkerStats]>,
        index: usize,
    ) -> Self {
        let worker = Self {
            service,
            limits,
            gate,
            draining: Cell::new(false),
            doors,
            all_stats,
            index,
            started: Instant::now(),
            now_ms: Cell::new(0),
            date: Cell::new(date_text(0)),
            date_second: Cell::new(0),
            slots: RefCell::default(),
            kits: RefCell::default(),
            grown_bytes: Cell::new(0),
        };
        worker.tick();
        worker
    }

    pub(super) fn stats(&self) -> &WorkerStats {
        &self.all_stats[self.index]
    }

    pub(super) fn date(&self) -> DateText {
        self.date.get()
    }

    /// A deadline `after_ms` from now on the coarse clock; the clock may be one sweep behind, hence the extra.
    pub(super) fn deadline(&self, after_ms: u64) -> u64 {
        self.now_ms.get().saturating_add(after_ms).saturating_add(self.limits.sweep_ms)
    }

    // --- connections ---

    /// Counts a connection in; `None` when a cap is reached.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Rc<Slot>> {
        if !self.doors.enter(peer, &self.limits) {
            self.stats().refused.add(1);
            return None;
        }
        self.stats().opened.add(1);
        let slot = Rc::new(Slot::new());
        let mut slots = self.slots.borrow_mut();
        slot.place.set(slots.len());
        slots.push(Rc::clone(&slot));
        Some(slot)
    }

    pub(super) fn leave(&self, slot: &Slot, peer: IpAddr) {
        let mut slots = self.slots.borrow_mut();
        let place = slot.place.get();
        slots.swap_remove(place);
        if let Some(moved) = slots.get(place) {
            moved.place.set(place);
        }
        self.doors.leave(peer);
        self.stats().closed.add(1);
    }

    pub(super) fn open(&self) -> usize {
        self.slots.borrow().len()
    }

    /// From now on idle connections close, and each connection closes with the last request it has received.
    pub(super) fn begin_drain(&self) {
        self.draining.set(true);
        for slot in self.slots.borrow().iter() {
            slot.wake();
        }
    }

    // --- time ---

    fn tick(&self) {
        self.now_ms.set(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        // A clock before 1970 is shown as 1970: the date is a courtesy, no decision hangs on it.
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        if self.date_second.replace(second) != second {
            self.date.set(date_text(second));
        }
    }

    /// Moves the clock and wakes every connection whose deadline passed. About 5 ns per open connection.
    fn sweep(&self) {
        self.tick();
        let now_ms = self.now_ms.get();
        for slot in self.slots.borrow().iter().filter(|slot| slot.deadline_ms.get() <= now_ms) {
            slot.expired.set(true);
            slot.wake();
        }
        // A journal that died without a last callback must not leave anybody waiting.
        self.gate.release();
    }

    /// Runs for the life of the worker.
    pub(super) async fn sweep_forever(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.limits.sweep_ms));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep();
        }
    }

    // --- buffers ---

    pub(super) fn take_kit(&self) -> Box<Kit> {
        self.kits.borrow_mut().pop().unwrap_or_else(|| {
            Box::new(Kit {
                buffer: Buffer::new(self.limits.buffer_bytes_initial),
                framer: Framer::new(),
                reply: Reply::new(),
                out: Vec::new(),
                pending: Vec::new(),
                wait: 0,
            })
        })
    }

    /// Takes a kit back; what grew beyond the ordinary is freed.
    pub(super) fn give_back(&self, mut kit: Box<Kit>) {
        let grown = kit.buffer.capacity() - self.limits.buffer_bytes_initial;
        self.grown_bytes.set(self.grown_bytes.get() - grown);
        let mut kits = self.kits.borrow_mut();
        if grown > 0 || kits.len() >= self.limits.kits_kept_max {
            return;
        }
        let left = kit.buffer.filled().len();
        kit.buffer.consume(left);
        kit.framer.reset();
        kit.out.clear();
        kit.pending.clear();
        kit.wait = 0;
        if kit.out.capacity() > 2 * self.limits.batch_bytes_max {
            kit.out = Vec::new();
        }
        if kit.reply.body.capacity() > self.limits.batch_bytes_max {
            kit.reply = Reply::new();
        }
        kits.push(kit);
    }

    /// Makes room to read into; `false` when this worker's buffers have grown as much as they may.
    pub(super) fn make_room(&self, buffer: &mut Buffer) -> bool {
        let before = buffer.capacity();
        if self.grown_bytes.get() + before > self.limits.buffer_bytes_grown_max && buffer.spare().is_empty() {
            return false;
        }
        buffer.make_room();
        self.grown_bytes.set(self.grown_bytes.get() + buffer.capacity() - before);
        true
    }
}
