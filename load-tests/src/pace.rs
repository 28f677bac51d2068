//! When a scan is due. Knows clocks and schedules; knows nothing of sockets or codes.
//!
//! A closed loop sends when an answer has come, so a stalled server is asked less and its stall is seen once. An open
//! loop has a schedule that does not care how the server feels: latency counts from the moment a scan was *intended*, so
//! every scan that had to wait behind a stall shows the wait.

use std::time::{Duration, Instant};

/// Decides when the next scan is due.
pub trait Pace {
    /// The intended time of a scan that is due at `now`, taking it from the schedule; `None` when none is due.
    fn due(&mut self, now: Instant) -> Option<Instant>;
    /// Nothing will be due any more.
    fn over(&self, now: Instant) -> bool;
    /// How often a schedule must be looked at between answers; `None` when only answers matter.
    fn tick(&self) -> Option<Duration>;
    /// Whether this pace keeps its own schedule, whatever the answers do.
    fn is_open(&self) -> bool {
        self.tick().is_some()
    }
}

/// The next scan is due when the last one is answered, until the end.
#[derive(Debug, Clone, Copy)]
pub struct ClosedLoop {
    end: Instant,
}

/// `rate` scans per second, evenly spread, whatever the answers do.
#[derive(Debug, Clone, Copy)]
pub struct OpenLoop {
    start: Instant,
    rate: u64,
    scan_count: u64,
    taken_count: u64,
}

// === impl ClosedLoop ===

impl ClosedLoop {
    /// A closed loop until `end`.
    pub fn until(end: Instant) -> ClosedLoop {
        ClosedLoop { end }
    }
}

impl Pace for ClosedLoop {
    fn due(&mut self, now: Instant) -> Option<Instant> {
        (now < self.end).then_some(now)
    }

    fn over(&self, now: Instant) -> bool {
        now >= self.end
    }

    fn tick(&self) -> Option<Duration> {
        None
    }
}

// === impl OpenLoop ===

impl OpenLoop {
    /// `rate` scans per second from `start` for `length`.
    pub fn new(start: Instant, rate: u32, length: Duration) -> OpenLoop {
        assert!(rate > 0);
        let scan_count = (length.as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        OpenLoop { start, rate: u64::from(rate), scan_count, taken_count: 0 }
    }

    fn intended(&self, index: u64) -> Instant {
        // From the start, not from the one before: rounding must not add up to a slower rate.
        let offset_ns = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(offset_ns as u64)
    }
}

impl Pace for OpenLoop {
    fn due(&mut self, now: Instant) -> Option<Instant> {
        let intended = self.intended(self.taken_count);
        if self.taken_count == self.scan_count || intended > now {
            return None;
        }
        self.taken_count += 1;
        Some(intended)
    }

    fn over(&self, _now: Instant) -> bool {
        self.taken_count == self.scan_count
    }

    fn tick(&self) -> Option<Duration> {
        Some(Duration::from_nanos(1_000_000_000 / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_schedule_and_counts_its_scans() {
        let start = Instant::now();
        let mut pace = OpenLoop::new(start, 300, Duration::from_secs(1));
        assert_eq!(pace.due(start), Some(start));
        assert_eq!(pace.due(start), None, "the second is due 3.3 ms later");
        let late = start + Duration::from_secs(5);
        let intended: Vec<_> = std::iter::from_fn(|| pace.due(late)).collect();
        assert_eq!(intended.len(), 299);
        assert_eq!(intended[298], start + Duration::from_nanos(299 * 1_000_000_000 / 300));
        assert!(pace.over(late));
    }

    #[test]
    fn a_closed_loop_is_due_until_its_end() {
        let start = Instant::now();
        let end = start + Duration::from_secs(1);
        let mut pace = ClosedLoop::until(end);
        assert_eq!(pace.due(start), Some(start));
        assert_eq!(pace.due(end), None);
        assert!(pace.over(end));
        assert!(!pace.is_open());
    }
}
