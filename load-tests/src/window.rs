//! The measured part of a run: opens after the warm-up, closes at the end, and looks at CPU time at both. Knows clocks
//! and /proc; knows nothing of scans.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::procfs::{self, MachineTime, ThreadCpu};

/// The measured time and what was seen at its two ends.
#[derive(Debug)]
pub struct Window {
    /// begin <= end
    begin: Instant,
    end: Instant,
    server_pid: Option<u32>,
    opened: Option<Look>,
    closed: Option<Look>,
    /// Answers that came while it was open.
    pub answers: u64,
}

/// What a window cost.
#[derive(Debug, Clone, Default)]
pub struct WindowCost {
    /// How long it was open.
    pub seconds: f64,
    /// CPU of the calling thread.
    pub client_cpu_ns: u64,
    /// CPU of the server and of the processes it has started, by thread name.
    pub server_cpu_ns: BTreeMap<String, u64>,
    /// The share of the machine used by neither of them (0 when the server is not known).
    pub foreign_share: f64,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    client_cpu_ns: u64,
    server: Vec<ThreadCpu>,
    machine: MachineTime,
}

// === impl Window ===

impl Window {
    /// A window of `length` that begins `warmup` after `start`.
    pub fn new(start: Instant, warmup: Duration, length: Duration, server_pid: Option<u32>) -> Window {
        let begin = start + warmup;
        Window { begin, end: begin + length, server_pid, opened: None, closed: None, answers: 0 }
    }

    /// Opens and closes when it is time. Cheap while neither is due.
    pub fn step(&mut self, now: Instant) -> Result<()> {
        if self.opened.is_none() && now >= self.begin {
            self.opened = Some(self.look()?);
        } else if self.is_open() && now >= self.end {
            self.close();
        }
        Ok(())
    }

    /// Whether answers are being counted.
    pub fn is_open(&self) -> bool {
        self.opened.is_some() && self.closed.is_none()
    }

    /// Whether a scan intended at this time belongs to the measurement, however late its answer comes.
    pub fn covers(&self, intended: Instant) -> bool {
        self.begin <= intended && intended < self.end
    }

    /// Whether it has been open at all.
    pub fn was_opened(&self) -> bool {
        self.opened.is_some()
    }

    /// Closes now if it is still open, and says what it cost; zero when it never opened.
    pub fn finish(&mut self) -> WindowCost {
        if self.is_open() {
            self.close();
        }
        let (Some(opened), Some(closed)) = (&self.opened, &self.closed) else {
            return WindowCost::default();
        };
        let server_cpu_ns = procfs::cpu_between(&opened.server, &closed.server);
        let client_cpu_ns = closed.client_cpu_ns - opened.client_cpu_ns;
        let own_ns = client_cpu_ns + server_cpu_ns.values().sum::<u64>();
        WindowCost {
            seconds: (closed.at - opened.at).as_secs_f64(),
            client_cpu_ns,
            foreign_share: self.server_pid.map_or(0.0, |_| foreign_share(opened, closed, own_ns)),
            server_cpu_ns,
        }
    }

    fn close(&mut self) {
        // A server that has died cannot be looked at any more. That it died is told by its connections, and what was
        // wrong before must still be reported: so this is not an error of the run.
        self.closed = self.look().ok();
    }

    fn look(&self) -> Result<Look> {
        Ok(Look {
            at: Instant::now(),
            client_cpu_ns: procfs::own_thread_cpu_ns(),
            server: self.server_pid.map(procfs::tree_cpu).transpose()?.unwrap_or_default(),
            machine: procfs::machine_time()?,
        })
    }
}

fn foreign_share(opened: &Look, closed: &Look, own_ns: u64) -> f64 {
    let total = (closed.machine.total - opened.machine.total).max(1) as f64;
    let busy = (closed.machine.busy - opened.machine.busy) as f64 / total;
    let cores = closed.machine.core_count.max(1) as f64;
    let own = own_ns as f64 / 1e9 / ((closed.at - opened.at).as_secs_f64().max(1e-9) * cores);
    (busy - own).max(0.0)
}
