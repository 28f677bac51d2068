//! Workloads of the micro benches: a venue, its tickets, its scans, and the steps to be measured. Knows what every
//! run must have done and checks it; refuses to know clocks' readings: measuring is the benches' work.
//!
//! | module | owns |
//! |---|---|
//! | `venue` | one event, one gate, one device, tickets by number |
//! | `stream` | scans in random order, prepared before the time is taken |
//! | `direct` | look-up, decision and application on a bare `State` |
//! | `node` | the same through `Engine`, with a journal |
//! | `journal` | records in batches on a disk |
//! | `heads` | request heads, whole and in pieces |
//! | `bodies` | scan bodies in, replies out |
//! | `rows` | records into the embedded store, batch by batch |
//! | `results` | results of two runs, figure by figure |
//! | `beside` | whole servers by turns in one run |
//! | `office` | a full house's API: its load, and what people ask of it |
//! | `postgres` | what is asked of a PostgreSQL server once |
//! | `store` | the projection on real databases: how it keeps up, what it answers |
//!
//! Every workload also runs here with a small input, as an ordinary test, so that no bench can rot.

pub mod beside;
pub mod bodies;
pub mod direct;
pub mod heads;
pub mod journal;
pub mod node;
pub mod office;
pub mod postgres;
pub mod results;
pub mod rows;
pub mod store;
pub mod stream;
pub mod venue;

use criterion::Criterion;
use std::time::{Duration, Instant};

/// Tickets of the full workload.
pub const TICKETS: u32 = 1_000_000;
/// Scans prepared at once: their codes and ids fit into a core's own cache, as a request's bytes do.
pub const BATCH: u64 = 1_024;

/// How every bench is measured unless the command line says otherwise: briefly.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

/// Runs `count` steps in batches: `prepare` a batch outside of the measured time, then `run` it inside. The sum of
/// the measured parts is for all `count` steps.
pub fn timed<W>(
    workload: &mut W,
    count: u64,
    mut prepare: impl FnMut(&mut W, u64),
    mut run: impl FnMut(&mut W, u64),
) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        prepare(workload, batch);
        let start = Instant::now();
        run(workload, batch);
        spent += start.elapsed();
        left -= batch;
    }
    spent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_prepared_and_run_once() {
        let mut seen = (0, 0);
        timed(&mut seen, 2 * BATCH + 7, |seen, batch| seen.0 += batch, |seen, batch| seen.1 += batch);
        assert_eq!(seen, (2 * BATCH + 7, 2 * BATCH + 7));
    }
}
