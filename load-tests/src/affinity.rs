//! Pins threads to cores. Knows the scheduler's call; knows nothing of who is pinned or why.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Pins the calling thread; what it starts later (threads, processes) inherits the core.
pub fn pin_current_thread(core: usize) -> Result<()> {
    ensure!(core < CpuSet::MAX_CPU, "core {core} is beyond the {} a CPU set can name", CpuSet::MAX_CPU);
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .with_context(|| format!("pin to core {core} (does this machine have it?)"))
}
