//! Time as the engine sees it: milliseconds since 1970 in UTC, read from an injected clock.
//! Knows no time zone; days of an event are `calendar`'s.

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// Earlier than every real moment.
    pub const MIN: Time = Time(i64::MIN);
    /// Later than every real moment.
    pub const MAX: Time = Time(i64::MAX);

    /// This moment moved by `ms` milliseconds, without overflow.
    pub fn plus_ms(self, ms: i64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when the clock went back.
    pub fn since_ms(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the time comes from. The engine never asks the operating system itself.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Time;
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(std::time::Duration::ZERO);
        Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that is set by hand: tests, simulation, replayed traffic.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn at(at: Time) -> ManualClock {
        ManualClock(std::sync::atomic::AtomicI64::new(at.0))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, at: Time) {
        self.0.store(at.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
