//! A bell that threads wait for: a ring between a look and the wait is not missed. Knows nothing of what rings.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Counts its rings.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// Wakes everybody.
    pub fn ring(&self) {
        *self.rings.lock() += 1;
        self.rung.notify_all();
    }

    /// To be asked before the look that the wait is for.
    pub fn rings(&self) -> u64 {
        *self.rings.lock()
    }

    /// Waits until it has rung since, or so long.
    pub fn wait(&self, since: u64, most: Duration) {
        let until = Instant::now() + most;
        let mut rings = self.rings.lock();
        while *rings == since {
            if self.rung.wait_until(&mut rings, until).timed_out() {
                return;
            }
        }
    }
}
