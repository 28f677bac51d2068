//! How long is waited for what. One set for all; tests have a quicker one. Knows nobody who waits.

use std::time::Duration;

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Before a job of which nothing was printed is tried again: at first, then twice as long each time.
    pub retry_first: Duration,
    /// At most.
    pub retry_most: Duration,
    /// A device that cannot work now (no paper, cover open, not there) is asked again after so long.
    pub wait: Duration,
    /// A device that works is asked how it is so often.
    pub status_every: Duration,
    /// A call may be over its time by so much before it is cancelled, and go on for so long after that.
    pub grace: Duration,
    /// A host that did not say for so long that it lives is hung.
    pub beat_max: Duration,
    /// A host has so long to load its driver.
    pub start_max: Duration,
    /// Before a host that ended is started again: at first, then twice as long each time.
    pub restart_first: Duration,
    /// At most.
    pub restart_most: Duration,
    /// So many crashes within `crashes_within` are a quarantine.
    pub crashes_max: usize,
    /// See `crashes_max`.
    pub crashes_within: Duration,
    /// A host whose program died may go on for so long with what was under way: nothing is printed into that.
    pub orphan: Duration,
    /// What is under way may take so long when the program is to end.
    pub stop: Duration,
    /// What a display could not be told for so long is not told any more.
    pub fresh: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(60),
            wait: Duration::from_secs(2),
            status_every: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            // A host gives way to everything else: on a busy machine its sign of life may be late.
            beat_max: Duration::from_secs(10),
            start_max: Duration::from_secs(10),
            restart_first: Duration::from_millis(100),
            restart_most: Duration::from_secs(30),
            crashes_max: 5,
            crashes_within: Duration::from_secs(600),
            orphan: Duration::from_secs(3),
            stop: Duration::from_secs(5),
            fresh: Duration::from_secs(5),
        }
    }
}

/// The n-th wait (from 1 on) of a row that begins with `first` and doubles up to `most`.
pub fn doubled(first: Duration, most: Duration, n: u32) -> Duration {
    first.saturating_mul(1 << n.saturating_sub(1).min(20)).min(most)
}
