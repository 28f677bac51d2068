//! Gatehouse as one of the things compared: the whole of `gatehouse serve` with the demo's venue. Knows how it is started and
//! asked; knows nothing of the others.

use super::stacks::alone::RATE_PER_MINUTE;
use super::{Bench, Side};
use anyhow::{Context, Result};
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::report::RunResult;
use load_tests::request::Device;
use load_tests::server::{Data, Server, ServerSettings};
use load_tests::target::Target;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A running node and the codes it was asked so far.
pub struct Gatehouse {
    server: Server,
    pool: CodePool,
    bench: Bench,
}

// === impl Gatehouse ===

impl Gatehouse {
    /// Starts a node of this program with its data in `work_dir` and one worker, gives the device that scans a rate limit that is
    /// counted and never reached, and waits until it is quiet.
    ///
    /// # Errors
    /// It does not come up, or is not alone on its port.
    pub fn start(program: PathBuf, work_dir: &Path, bench: &Bench) -> Result<Gatehouse> {
        let serve_args = ["--workers", "1"].map(str::to_owned).into();
        let settings = ServerSettings { program, serve_args, core: bench.server_core, data: Data::Demo };
        let mut server = Server::new(settings, work_dir)?;
        server.start()?;
        let file = server.dir().join("limit.toml");
        std::fs::write(&file, limited_device()).with_context(|| format!("write {}", file.display()))?;
        server.import_venue(&file)?;
        let pool = CodePool::open(&CodeChoice::Mix, 0)?;
        let gatehouse = Gatehouse { server, pool, bench: bench.clone() };
        gatehouse.check_alone()?;
        gatehouse.server.process()?.wait_quiet()?;
        Ok(gatehouse)
    }

    fn check_alone(&self) -> Result<()> {
        listening::ensure_alone(self.server.device_addr, self.server.process()?.pid())
    }
}

/// The bench device with a limit, as a venue file.
fn limited_device() -> String {
    let Device { device_id, api_key, location } = Device::default();
    format!(
        "[[device]]\nname = '{device_id}'\ngate = '{location}'\nkey = '{api_key}'\nrate_per_minute = {RATE_PER_MINUTE}\n"
    )
}

impl Side for Gatehouse {
    fn name(&self) -> &str {
        "gatehouse serve, whole"
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        self.check_alone()?;
        let (target, pid) = (Target::at(self.server.device_addr), self.server.process()?.pid());
        let settings = self.bench.run_settings(target, pid, self.bench.connection_count);
        let settings = RunSettings { warmup, length, ..settings };
        let result = client::run_closed(&settings, &mut self.pool)?;
        self.check_alone()?;
        // What it writes into its store afterwards is not the next one's disturbance.
        self.server.process()?.wait_quiet()?;
        Ok(result)
    }
}
