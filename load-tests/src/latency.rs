//! A latency histogram and its summary. Knows durations; knows nothing of what took so long.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::limits;

/// Collects latencies in nanoseconds with three significant digits.
#[derive(Debug, Clone)]
pub struct LatencyRecorder {
    histogram: Histogram<u64>,
}

/// What is reported of a histogram, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Recorded values.
    pub count: u64,
    /// Half were at most this.
    pub p50_us: f64,
    /// 90 % were at most this.
    pub p90_us: f64,
    /// 99 % were at most this.
    pub p99_us: f64,
    /// 99.9 % were at most this.
    pub p999_us: f64,
    /// The worst.
    pub max_us: f64,
}

// === impl LatencyRecorder ===

impl LatencyRecorder {
    /// An empty histogram up to [`limits::LATENCY_MAX`].
    pub fn new() -> LatencyRecorder {
        LatencyRecorder::with_digits(3)
    }

    /// The same with two significant digits, an eighth of the size: for pictures, of which there are many.
    pub fn coarse() -> LatencyRecorder {
        LatencyRecorder::with_digits(2)
    }

    fn with_digits(digits: u8) -> LatencyRecorder {
        let max_ns = nanoseconds(limits::LATENCY_MAX);
        let histogram =
            Histogram::new_with_bounds(1, max_ns, digits).expect("constant bounds that fit a histogram");
        LatencyRecorder { histogram }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// Adds one latency; one above the maximum counts as the maximum.
    pub fn record(&mut self, latency: Duration) {
        self.histogram.saturating_record(nanoseconds(latency));
    }

    /// The percentiles so far.
    pub fn summary(&self) -> LatencySummary {
        let at = |quantile: f64| self.histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        LatencySummary {
            count: self.histogram.len(),
            p50_us: at(0.50),
            p90_us: at(0.90),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.histogram.max() as f64 / 1_000.0,
        }
    }
}

impl Default for LatencyRecorder {
    fn default() -> LatencyRecorder {
        LatencyRecorder::new()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_distribution_are_right_within_three_digits() {
        let mut recorder = LatencyRecorder::new();
        (1..=10_000).for_each(|us| recorder.record(Duration::from_micros(us)));
        let summary = recorder.summary();
        assert_eq!(summary.count, 10_000);
        for (found, expected) in [
            (summary.p50_us, 5_000.0),
            (summary.p90_us, 9_000.0),
            (summary.p99_us, 9_900.0),
            (summary.p999_us, 9_990.0),
            (summary.max_us, 10_000.0),
        ] {
            assert!((found - expected).abs() / expected < 0.002, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_latency_beyond_the_maximum_is_kept_at_the_maximum() {
        let mut recorder = LatencyRecorder::new();
        recorder.record(limits::LATENCY_MAX * 10);
        assert_eq!(recorder.summary().count, 1);
        assert!(recorder.summary().max_us >= limits::LATENCY_MAX.as_micros() as f64 * 0.99);
    }

    #[test]
    fn an_empty_histogram_has_zeros() {
        assert_eq!(LatencyRecorder::new().summary(), LatencySummary::default());
    }
}
