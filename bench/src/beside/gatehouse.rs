//! Gatehouse as one of the things compared: the whole of `gatehouse serve` with the demo's venue. Knows how it is started and
//! asked; knows nothing of the others.

use super::{Bench, Side};
use anyhow::Result;
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::report::RunResult;
use load_tests::server::{Data, Server, ServerSettings};
use load_tests::target::Target;
use std::path::PathBuf;
use std::time::Duration;

/// A running node and the codes it was asked so far.
pub struct Gatehouse {
    server: Server,
    pool: CodePool,
    bench: Bench,
}

// === impl Gatehouse ===

impl Gatehouse {
    /// Starts a node of this program on the disk of temporary files, and waits until it is quiet.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(program: PathBuf, bench: &Bench) -> Result<Gatehouse> {
        let core = bench.server_core;
        let settings = ServerSettings { program, serve_args: Vec::new(), core, data: Data::Demo };
        let mut server = Server::new(settings, &std::env::temp_dir())?;
        server.start()?;
        server.process()?.wait_quiet()?;
        Ok(Gatehouse { server, pool: CodePool::open(&CodeChoice::Mix, 0)?, bench: bench.clone() })
    }
}

impl Side for Gatehouse {
    fn name(&self) -> &str {
        "Gatehouse"
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        let (target, pid) = (Target::at(self.server.device_addr), self.server.process()?.pid());
        let connections = self.bench.connection_count;
        let settings = RunSettings { warmup, length, ..self.bench.run_settings(target, pid, connections) };
        let result = client::run_closed(&settings, &mut self.pool)?;
        // What it writes into its store afterwards is not the next one's.
        self.server.process()?.wait_quiet()?;
        Ok(result)
    }
}
