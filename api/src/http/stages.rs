//! How long the steps of an answer take, where somebody wants to know: a histogram for each step, and the stopwatch that
//! fills them. Knows steps and nanoseconds; knows no page they are shown on. Off, it costs a comparison a step; on, a
//! look at the clock and two additions (some 40 ns).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A step of an answer, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding a request's head and body in the bytes that came.
    Frame,
    /// Reading the scan in it, its key, its rate.
    Parse,
    /// Deciding: look-up, rules, record, state.
    Decide,
    /// Writing the answer's words.
    Render,
    /// Waiting for the journal's sync, from the first answer of a batch that has to.
    JournalWait,
    /// Handing the batch to the system, until it has taken the last byte.
    Write,
}

/// Every step with its name, in order.
pub const STAGES: [(Stage, &str); 6] = [
    (Stage::Frame, "frame"),
    (Stage::Parse, "parse"),
    (Stage::Decide, "decide"),
    (Stage::Render, "render"),
    (Stage::JournalWait, "journal_wait"),
    (Stage::Write, "write"),
];

/// Upper bound of the first bucket, in nanoseconds, as a power of two; each further bucket is twice as wide.
const FIRST_BUCKET_BITS: u32 = 7;
/// Buckets with a bound, up to 2^29 ns (0.54 s); one more takes the rest.
const BUCKETS: usize = 23;

/// Times of every step. Shared by all workers.
#[derive(Debug, Default)]
pub struct Stages([Times; STAGES.len()]);

#[derive(Debug, Default)]
struct Times {
    sum_ns: AtomicU64,
    buckets: [AtomicU64; BUCKETS + 1],
}

/// Measures one step after the other; does nothing where nobody wants to know.
pub struct Stopwatch<'s>(Option<(&'s Stages, Instant)>);

// === impl Stages ===

impl Stages {
    fn record(&self, stage: Stage, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let times = &self.0[stage as usize];
        times.sum_ns.fetch_add(ns, Relaxed);
        times.buckets[bucket(ns)].fetch_add(1, Relaxed);
    }

    /// Seconds in all, and for each bucket its upper bound in seconds and how many are in it.
    pub fn histogram(&self, stage: Stage) -> (f64, Vec<(f64, u64)>) {
        let times = &self.0[stage as usize];
        let bounds = (0..BUCKETS as u32).map(|n| f64::from(1_u32 << (FIRST_BUCKET_BITS + n)) / 1e9);
        let counts = times.buckets.iter().map(|count| count.load(Relaxed));
        let buckets = bounds.chain([f64::INFINITY]).zip(counts).collect();
        (times.sum_ns.load(Relaxed) as f64 / 1e9, buckets)
    }
}

/// The first bucket whose bound is not below `ns`.
fn bucket(ns: u64) -> usize {
    let bits = u64::BITS - ns.saturating_sub(1).leading_zeros();
    (bits.saturating_sub(FIRST_BUCKET_BITS) as usize).min(BUCKETS)
}

// === impl Stopwatch ===

impl<'s> Stopwatch<'s> {
    /// Starts it, if there is somebody to tell.
    pub fn start(stages: Option<&'s Stages>) -> Stopwatch<'s> {
        Stopwatch(stages.map(|stages| (stages, Instant::now())))
    }

    /// The step that began with the start, or with the last lap, is over.
    pub fn lap(&mut self, stage: Stage) {
        if let Some((stages, began)) = &mut self.0 {
            let now = Instant::now();
            stages.record(stage, now - *began);
            *began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let check = |ns, expected| assert_eq!(bucket(ns), expected, "{ns} ns");
        check(0, 0);
        check(128, 0);
        check(129, 1);
        check(256, 1);
        check(1 << 29, BUCKETS - 1);
        check((1 << 29) + 1, BUCKETS);
        check(u64::MAX, BUCKETS);
    }

    #[test]
    fn laps_go_to_their_steps_and_names_are_in_order() {
        let stages = Stages::default();
        let mut watch = Stopwatch::start(Some(&stages));
        watch.lap(Stage::Parse);
        watch.lap(Stage::Decide);
        watch.lap(Stage::Decide);
        Stopwatch::start(None).lap(Stage::Write);
        for (at, (stage, name)) in STAGES.into_iter().enumerate() {
            assert_eq!(stage as usize, at, "{name}");
            let (seconds, buckets) = stages.histogram(stage);
            let count: u64 = buckets.iter().map(|(_, count)| count).sum();
            assert_eq!(count, [0, 1, 2, 0, 0, 0][at], "{name}");
            assert!(seconds < 60.0 && buckets.len() == BUCKETS + 1);
            assert_eq!(buckets[0].0, 128e-9);
        }
    }
}
