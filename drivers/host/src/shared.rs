//! What a host's threads know of each other: whose turn it is, what was cancelled, since when the driver is in a call.
//! Knows neither frames nor drivers.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Requests that wait for the driver; a supervisor sends one document at a time.
pub const REQUESTS_MAX: u64 = 8;

/// What the threads know of each other.
pub struct Shared {
    /// Is the call under way to be given up?
    pub cancelled: Arc<AtomicBool>,
    turns: Mutex<Turns>,
    /// Since when the driver is in a call: ms since `began`, 0: it is in none.
    busy_since: AtomicU64,
    began: Instant,
}

/// Requests by their numbers, from 1 on. A cancel is meant for those that were asked before it, whether the driver has
/// begun with them or not, and for none that comes afterwards.
#[derive(Default)]
struct Turns {
    asked: u64,
    answered: u64,
    /// Up to and with this one they are cancelled.
    cancelled: u64,
}

// === impl Shared ===

impl Shared {
    /// Nothing was asked yet.
    pub fn new() -> Shared {
        Shared {
            cancelled: Arc::default(),
            turns: Mutex::default(),
            busy_since: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// The number of one more request; `None`: too many wait.
    pub fn ask(&self) -> Option<u64> {
        let mut turns = self.turns.lock();
        if turns.asked - turns.answered >= REQUESTS_MAX {
            return None;
        }
        turns.asked += 1;
        Some(turns.asked)
    }

    /// What was asked so far is given up.
    pub fn cancel(&self) {
        let mut turns = self.turns.lock();
        turns.cancelled = turns.cancelled.max(turns.asked);
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// So is whatever follows: nobody waits for it any more.
    pub fn cancel_for_good(&self) {
        self.turns.lock().cancelled = u64::MAX;
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// This request's turn, or with `u64::MAX` the driver's own time: from here on a cancel is meant for it.
    pub fn begin(&self, turn: u64) {
        let turns = self.turns.lock();
        self.cancelled.store(turn <= turns.cancelled, Ordering::SeqCst);
    }

    /// A request is done with.
    pub fn answered(&self) {
        self.turns.lock().answered += 1;
    }

    /// Runs a call into the driver, with its length told in the beats.
    pub fn busy<T>(&self, call: impl FnOnce() -> T) -> T {
        let now = self.began.elapsed().as_millis() as u64;
        self.busy_since.store(now.max(1), Ordering::Relaxed);
        let result = call();
        self.busy_since.store(0, Ordering::Relaxed);
        result
    }

    /// For how long the driver has been in a call; `None`: it is in none.
    pub fn busy_ms(&self) -> Option<u32> {
        let since = self.busy_since.load(Ordering::Relaxed);
        let now = self.began.elapsed().as_millis() as u64;
        (since > 0).then(|| u32::try_from(now.saturating_sub(since)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    fn cancelled(shared: &Shared, turn: u64) -> bool {
        shared.begin(turn);
        shared.cancelled.load(Ordering::SeqCst)
    }

    #[test]
    fn a_cancel_is_meant_for_what_was_asked_before_it() {
        let shared = Shared::new();
        shared.cancel();
        let (first, second) = (shared.ask().unwrap(), shared.ask().unwrap());
        assert!(!cancelled(&shared, first));
        shared.cancel();
        assert!(cancelled(&shared, first));
        assert!(cancelled(&shared, second));
        // The driver's own time afterwards, and the next request.
        assert!(!cancelled(&shared, u64::MAX));
        assert!(!cancelled(&shared, shared.ask().unwrap()));
        shared.cancel_for_good();
        assert!(cancelled(&shared, u64::MAX));
    }

    #[test]
    fn no_more_than_the_limit_wait() {
        let shared = Shared::new();
        assert!((0..REQUESTS_MAX).all(|_| shared.ask().is_some()));
        assert_eq!(shared.ask(), None);
        shared.answered();
        assert_eq!(shared.ask(), Some(REQUESTS_MAX + 1));
    }
}
