//! How long a wait goes on: until a moment, and no longer than nobody cancels. Knows nothing of what is waited for.

use driver_abi::Fault;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A cancel is noticed after so long.
const STEP: Duration = Duration::from_millis(50);

/// A wait's end and the flag that ends it sooner.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    until: Instant,
    cancelled: &'a AtomicBool,
}

impl<'a> Patience<'a> {
    /// Until this moment or a cancel.
    pub fn new(until: Instant, cancelled: &'a AtomicBool) -> Patience<'a> {
        Patience { until, cancelled }
    }

    /// What is left of it, cancelled or not.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The next piece of the wait: short, so that a cancel is noticed.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`: it is over.
    pub fn step(&self) -> Result<Duration, Fault> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        let left = self.left();
        if left.is_zero() { Err(Fault::Timeout) } else { Ok(left.min(STEP)) }
    }
}
