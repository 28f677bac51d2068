//! A stack's process as a side: started on its core, loaded with the client's mixture, and found alone on its port before
//! and after each round. Knows processes and the load program; knows nothing of the stacks' insides.

use super::Stack;
use super::alone::RATE_PER_MINUTE;
use crate::beside::Side;
use anyhow::{Context, Result};
use load_tests::client::{self, Judging, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::process::{Launch, Process, free_addrs};
use load_tests::report::RunResult;
use load_tests::request::Device;
use load_tests::server::{Data, HEALTH_PATH, Server, ServerSettings};
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

/// What answers.
enum Running {
    /// A `bench-stack`, and its data: dropped in this order.
    Stack { process: Process, _dir: TempDir },
    /// `gatehouse serve`.
    Whole(Server),
}

/// One side.
struct StackSide {
    name: &'static str,
    running: Running,
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
        let sides = [
            self.stack("epoll echo (the limit)", Stack::Echo)?,
            self.whole("gatehouse serve, whole")?,
            self.stack("our port alone", Stack::Own)?,
            self.stack("may_minihttp, one worker", Stack::May)?,
            self.stack("axum, current thread", Stack::Axum)?,
        ];
        Ok(sides.into_iter().map(|side| Box::new(side) as Box<dyn Side>).collect())
    }

    fn stack(&self, name: &'static str, stack: Stack) -> Result<StackSide> {
        let dir = tempfile::Builder::new().prefix("bench-stack-").tempdir_in(&self.work_dir);
        let dir = dir.with_context(|| format!("create a directory in {}", self.work_dir.display()))?;
        let [addr] = free_addrs()?;
        let mut process = launch(&self.bench_stack, stack, addr, dir.path(), self.server_core).start()?;
        process.wait_healthy(addr, HEALTH_PATH)?;
        let judging = if stack == Stack::Echo { Judging::CountOnly } else { Judging::Strict };
        self.side(name, Running::Stack { process, _dir: dir }, addr, judging)
    }

    fn whole(&self, name: &'static str) -> Result<StackSide> {
        let settings = ServerSettings {
            program: self.gatehouse.clone(),
            serve_args: ["--workers", "1"].map(str::to_owned).into(),
            core: Some(self.server_core),
            data: Data::Demo,
        };
        let mut server = Server::new(settings, &self.work_dir)?;
        server.start()?;
        let file = server.dir().join("limit.toml");
        std::fs::write(&file, limited_device()).with_context(|| format!("write {}", file.display()))?;
        server.import_venue(&file)?;
        let addr = server.device_addr;
        self.side(name, Running::Whole(server), addr, Judging::Strict)
    }

    fn side(
        &self,
        name: &'static str,
        running: Running,
        addr: SocketAddr,
        judging: Judging,
    ) -> Result<StackSide> {
        let pool = CodePool::open(&CodeChoice::Mix, 0)?;
        let side = StackSide { name, running, addr, pool, judging, connections: self.connections };
        side.check_alone()?;
        side.process()?.wait_quiet()?;
        Ok(side)
    }
}

/// The bench device with the limit it has in the other stacks too, as a venue file.
fn limited_device() -> String {
    let Device { device_id, api_key, location } = Device::default();
    format!(
        "[[device]]\nname = '{device_id}'\ngate = '{location}'\nkey = '{api_key}'\nrate_per_minute = {RATE_PER_MINUTE}\n"
    )
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
    fn process(&self) -> Result<&Process> {
        match &self.running {
            Running::Stack { process, .. } => Ok(process),
            Running::Whole(server) => server.process(),
        }
    }

    fn check_alone(&self) -> Result<()> {
        listening::ensure_alone(self.addr, self.process()?.pid()).with_context(|| self.name)
    }
}

impl Side for StackSide {
    fn name(&self) -> &str {
        self.name
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        self.check_alone()?;
        let settings = RunSettings {
            server_pid: Some(self.process()?.pid()),
            judging: self.judging,
            ..RunSettings::at(Target::at(self.addr), self.connections, warmup, length)
        };
        let result = client::run_closed(&settings, &mut self.pool)?;
        self.check_alone()?;
        // What it still does for its own must not be the next one's disturbance.
        self.process()?.wait_quiet()?;
        Ok(result)
    }
}
