//! What happens beside the load: the server's process and metrics are looked at, and a database is stopped and started when
//! the scenario says so. A thread of its own that sleeps nearly always; it sends no scan and judges none.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Serialize;
use store_testkit::Postgres;

use super::file::Act;
use crate::{limits, procfs, target};

/// What it is to look at and to do.
#[derive(Debug)]
pub struct Stagehand {
    /// The server's process, where it is known.
    pub pid: Option<u32>,
    /// Its API port, where it is known.
    pub admin_addr: Option<SocketAddr>,
    /// The database, where the scenario has one.
    pub database: Option<Postgres>,
    /// What is done to it, by time.
    pub acts: Vec<(Duration, Act)>,
    /// How long the schedule is.
    pub length: Duration,
    /// And its beginning.
    pub begin: Instant,
}

/// What it saw.
#[derive(Debug, Default, Serialize)]
pub struct Seen {
    /// The server over time.
    pub samples: Vec<Sample>,
    /// What was done to the database: when it was done, and what.
    pub acts: Vec<(f64, Act)>,
    /// The most records the store lagged behind before anything was done to it.
    pub lag_before_max: u64,
    /// The most it lagged behind at all.
    pub lag_max: u64,
    /// From the database's return until the lag was no more than before.
    pub caught_up_s: Option<f64>,
}

/// One look at the server.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// When, in seconds of the run.
    pub at_s: f64,
    /// Cores it used since the look before.
    pub cores: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Bytes it had the disk read since it was started.
    pub disk_bytes_read: Option<u64>,
    /// Records the store lags behind.
    pub lag_records: Option<u64>,
}

/// A lag below this is the usual fifth of a second of some thousand scans.
const LAG_USUAL: u64 = 1_000;

// === impl Stagehand ===

impl Stagehand {
    /// Looks and acts until told to end, and then on until the database is caught up with.
    pub fn work(mut self, end: &Receiver<()>) -> Seen {
        let mut seen = Seen::default();
        let mut cpu_before = None;
        let mut acts = std::mem::take(&mut self.acts).into_iter().peekable();
        let mut over_at = None;
        let usual_pause = limits::SAMPLE_PAUSE.max(self.length / limits::PIECES_MAX);
        loop {
            let sample = self.look(&mut cpu_before);
            self.notice(&mut seen, sample);
            let next_act = acts.peek().map(|(at, _)| self.begin + *at);
            if next_act.is_some_and(|at| at <= Instant::now()) {
                acts.next().into_iter().for_each(|(_, act)| self.act(act, &mut seen));
                continue;
            }
            let now = Instant::now();
            let pause = next_act.map_or(usual_pause, |at| (at - now).min(usual_pause));
            if over_at.is_none() && end.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                continue;
            }
            let over_at = *over_at.get_or_insert(now);
            let is_behind = seen.has_returned() && seen.caught_up_s.is_none();
            if !is_behind || over_at.elapsed() > limits::CATCH_UP_WAIT {
                return seen;
            }
            std::thread::sleep(pause);
        }
    }

    fn look(&self, cpu_before: &mut Option<(Instant, u64)>) -> Sample {
        let now = Instant::now();
        // A server that has died is told by its connections; here it is only not seen any more.
        let threads = self.pid.and_then(|pid| procfs::threads_cpu(pid).ok());
        let cpu_ns = threads.map(|threads| threads.iter().map(|thread| thread.cpu_ns).sum::<u64>());
        let before = std::mem::replace(cpu_before, cpu_ns.map(|ns| (now, ns)));
        let cores = before
            .zip(cpu_ns)
            .map(|((at, ns), now_ns)| now_ns.saturating_sub(ns) as f64 / (now - at).as_nanos().max(1) as f64);
        Sample {
            at_s: self.begin.elapsed().as_secs_f64(),
            cores,
            resident_bytes: self.pid.and_then(|pid| procfs::resident_bytes(pid).ok()),
            disk_bytes_read: self.pid.and_then(|pid| procfs::disk_bytes_read(pid).ok()),
            lag_records: self.database.as_ref().and(self.lag()),
        }
    }

    fn lag(&self) -> Option<u64> {
        let page = target::get_page(self.admin_addr?, "/metrics", limits::CONNECT_WAIT).ok()?;
        metric(&page, "gatehouse_projection_lag_records").map(|lag| lag as u64)
    }

    fn notice(&self, seen: &mut Seen, sample: Sample) {
        if let Some(lag) = sample.lag_records {
            seen.lag_max = seen.lag_max.max(lag);
            if seen.acts.is_empty() {
                seen.lag_before_max = seen.lag_before_max.max(lag);
            }
            if let Some((back_s, Act::StartDatabase)) = seen.acts.last()
                && seen.caught_up_s.is_none()
                && lag <= seen.lag_before_max.max(LAG_USUAL)
            {
                seen.caught_up_s = Some(sample.at_s - back_s);
            }
        }
        seen.samples.push(sample);
    }

    fn act(&mut self, act: Act, seen: &mut Seen) {
        let Some(database) = &mut self.database else { return };
        match act {
            Act::StopDatabase => database.stop(),
            Act::StartDatabase => database.resume(),
            Act::CutConnections => return,
        }
        seen.acts.push((self.begin.elapsed().as_secs_f64(), act));
    }
}

// === impl Seen ===

impl Seen {
    fn has_returned(&self) -> bool {
        matches!(self.acts.last(), Some((_, Act::StartDatabase)))
    }

    /// Bytes the server had the disk read between two times of the run.
    pub fn disk_bytes_read(&self, from_s: f64, to_s: f64) -> Option<u64> {
        let known = || self.samples.iter().filter_map(|sample| Some((sample.at_s, sample.disk_bytes_read?)));
        let last_before = |at_s: f64| known().take_while(|(own_s, _)| *own_s <= at_s).last();
        let (_, before) = last_before(from_s).or_else(|| known().next())?;
        let (_, after) = last_before(to_s)?;
        Some(after.saturating_sub(before))
    }
}

/// The sum of a metric over all its labels.
pub fn metric(page: &str, name: &str) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_taken_for_a_longer_one() {
        let page = "# HELP a b\na{x=\"1\"} 2\na{x=\"2\"} 3\na_longer 7\nb 0.5\n";
        assert_eq!(metric(page, "a"), Some(5.0));
        assert_eq!(metric(page, "b"), Some(0.5));
        assert_eq!(metric(page, "c"), None);
    }

    #[test]
    fn disk_reads_are_those_between_two_looks() {
        let sample = |at_s, bytes| Sample { at_s, disk_bytes_read: Some(bytes), ..Sample::default() };
        let seen =
            Seen { samples: vec![sample(0.0, 100), sample(1.0, 150), sample(2.0, 400)], ..Seen::default() };
        assert_eq!(seen.disk_bytes_read(1.0, 2.0), Some(250));
        assert_eq!(seen.disk_bytes_read(0.5, 1.5), Some(50));
    }
}
