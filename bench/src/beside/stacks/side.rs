//! A stack's process as a side: started on its core, loaded with the client's mixture, and found alone on its port before
//! and after each round. Knows processes and the load program; knows nothing of the stacks' insides.

use super::Stack;
use crate::beside::gatehouse::Gatehouse;
use crate::beside::{Bench, Side};
use anyhow::{Context, Result};
use load_tests::client::{self, Judging, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::process::{Launch, Process, free_addrs};
use load_tests::report::RunResult;
use load_tests::server::HEALTH_PATH;
use load_tests::target::Target;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What the sides are made of.
#[derive(Debug, Clone)]
pub struct Sides {
    /// The program `gatehouse`.
    pub gatehouse: PathBuf,
    /// The program `bench-stack`.
    pub bench_stack: PathBuf,
    /// The core of every server.
    pub server_core: usize,
    /// Keep-alive connections.
    pub connections: usize,
    /// Data lives here: the disk that is measured.
    pub work_dir: PathBuf,
}

/// One side.
struct StackSide {
    name: &'static str,
    process: Process,
    // Dropped after its process.
    _dir: TempDir,
    addr: SocketAddr,
    pool: CodePool,
    judging: Judging,
    connections: usize,
}

// === impl Sides ===

impl Sides {
    /// Starts them all: the limit, `gatehouse serve`, and the port alone on each stack.
    ///
    /// # Errors
    /// One that does not start, or is not alone on its port.
    pub fn start(&self) -> Result<Vec<Box<dyn Side>>> {
        let bench = Bench { server_core: Some(self.server_core), connection_count: self.connections };
        Ok(vec![
            self.stack("epoll echo (the limit)", Stack::Echo)?,
            Box::new(Gatehouse::start(self.gatehouse.clone(), &self.work_dir, &bench)?),
            self.stack("our port alone", Stack::Own)?,
            self.stack("may_minihttp, one worker", Stack::May)?,
            self.stack("axum, current thread", Stack::Axum)?,
        ])
    }

    fn stack(&self, name: &'static str, stack: Stack) -> Result<Box<dyn Side>> {
        let dir = tempfile::Builder::new().prefix("bench-stack-").tempdir_in(&self.work_dir);
        let dir = dir.with_context(|| format!("create a directory in {}", self.work_dir.display()))?;
        let [addr] = free_addrs()?;
        let mut process = launch(&self.bench_stack, stack, addr, dir.path(), self.server_core).start()?;
        process.wait_healthy(addr, HEALTH_PATH)?;
        let judging = if stack == Stack::Echo { Judging::CountOnly } else { Judging::Strict };
        let (pool, connections) = (CodePool::open(&CodeChoice::Mix, 0)?, self.connections);
        let side = StackSide { name, process, _dir: dir, addr, pool, judging, connections };
        side.check_alone()?;
        side.process.wait_quiet()?;
        Ok(Box::new(side))
    }
}

fn launch(program: &Path, stack: Stack, addr: SocketAddr, dir: &Path, core: usize) -> Launch {
    let data_dir = dir.join("data");
    Launch {
        name: "bench-stack",
        program: program.to_owned(),
        args: vec![
            stack.word().into(),
            "--addr".into(),
            addr.to_string().into(),
            "--data-dir".into(),
            data_dir.into(),
        ],
        core: Some(core),
        log: dir.join("stack.log"),
    }
}

// === impl StackSide ===

impl StackSide {
    fn check_alone(&self) -> Result<()> {
        listening::ensure_alone(self.addr, self.process.pid()).with_context(|| self.name)
    }
}

impl Side for StackSide {
    fn name(&self) -> &str {
        self.name
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        self.check_alone()?;
        let settings = RunSettings {
            server_pid: Some(self.process.pid()),
            judging: self.judging,
            ..RunSettings::at(Target::at(self.addr), self.connections, warmup, length)
        };
        let result = client::run_closed(&settings, &mut self.pool)?;
        self.check_alone()?;
        // What it still does for its own must not be the next one's disturbance.
        self.process.wait_quiet()?;
        Ok(result)
    }
}
