//! Medians, spreads and ratios over the rounds of a comparison. Pure arithmetic.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::disk::DiskResult;
use crate::report::RunResult;

/// The middle of several measurements, and how far apart they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// Of one server, over the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Medians {
    /// Answers per second.
    pub answers_per_second: Spread,
    /// CPU of the server per answer.
    pub server_cpu_us: Spread,
    /// CPU of the client per answer.
    pub client_cpu_us: Spread,
    /// Latency in the closed loop.
    pub p50_us: Spread,
    /// Latency in the closed loop.
    pub p99_us: Spread,
    /// Latency in the closed loop.
    pub p999_us: Spread,
    /// CPU of the server per answer by thread name.
    pub threads_us: BTreeMap<String, Spread>,
}

/// What may be claimed: each is a quotient of two things measured in the same run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratios {
    /// CPU per validated scan / CPU per echo.
    pub cpu_to_echo: f64,
    /// Scans per second / echoes per second.
    pub rate_to_echo: f64,
    /// p99 of the open loop / p99 of write + fdatasync.
    pub p99_to_fdatasync_p99: f64,
    /// p99.9 of the open loop / p99 of write + fdatasync.
    pub p999_to_fdatasync_p99: f64,
    /// p99.9 of the open loop / p99.9 of the bare disk with the same schedule.
    pub p999_to_paced_disk_p999: f64,
}

// === impl Spread ===

impl Spread {
    /// The spread of some values; zeros for none.
    pub fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first().copied(), values.last().copied()) else {
            return Spread::default();
        };
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Spread { median, min, max }
    }
}

// === impl Medians ===

impl Medians {
    /// Over the runs of one server.
    pub fn of<'runs>(runs: impl Iterator<Item = &'runs RunResult>) -> Medians {
        let runs: Vec<&RunResult> = runs.collect();
        let spread = |value: fn(&RunResult) -> f64| Spread::of(runs.iter().map(|run| value(run)));
        let names = runs.iter().flat_map(|run| run.server_threads_us.keys());
        let threads_us = names.map(|name| {
            let us = runs.iter().map(|run| run.server_threads_us.get(name).copied().unwrap_or_default());
            (name.clone(), Spread::of(us))
        });
        Medians {
            answers_per_second: spread(|run| run.answers_per_second),
            server_cpu_us: spread(|run| run.server_cpu_us.unwrap_or_default()),
            client_cpu_us: spread(|run| run.client_cpu_us),
            p50_us: spread(|run| run.latency.p50_us),
            p99_us: spread(|run| run.latency.p99_us),
            p999_us: spread(|run| run.latency.p999_us),
            threads_us: threads_us.collect(),
        }
    }
}

// === impl Ratios ===

impl Ratios {
    /// From the medians and the open loop.
    pub fn of(
        echo: &Medians,
        gatehouse: &Medians,
        open: &RunResult,
        disk: &DiskResult,
        disk_paced: &DiskResult,
    ) -> Ratios {
        let quotient = |dividend: f64, divisor: f64| if divisor > 0.0 { dividend / divisor } else { 0.0 };
        Ratios {
            cpu_to_echo: quotient(gatehouse.server_cpu_us.median, echo.server_cpu_us.median),
            rate_to_echo: quotient(gatehouse.answers_per_second.median, echo.answers_per_second.median),
            p99_to_fdatasync_p99: quotient(open.latency.p99_us, disk.latency.p99_us),
            p999_to_fdatasync_p99: quotient(open.latency.p999_us, disk.latency.p99_us),
            p999_to_paced_disk_p999: quotient(open.latency.p999_us, disk_paced.latency.p999_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let check = |values: &[f64], median, min, max| {
            assert_eq!(Spread::of(values.iter().copied()), Spread { median, min, max });
        };
        check(&[], 0.0, 0.0, 0.0);
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0, 1.0, 9.0);
    }
}
