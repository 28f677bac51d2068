//! A node's gates beside printers and displays that are well, and beside a driver that does everything wrong: does a gate
//! notice? Knows how such a node is set up; knows nothing of what a mode does.

use super::{Bench, Side};
use anyhow::{Context, Result, bail, ensure};
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::report::RunResult;
use load_tests::server::{Data, Server, ServerSettings};
use load_tests::target::Target;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Scans a second: a large gate hall.
pub const RATE: u32 = 1_000;

/// What a driver may do wrong while gates work. What it may do wrong at its start is over before the first scan.
const MODES: [&str; 19] = [
    "hang-create",
    "hang-status",
    "hang-run",
    "hang-tick",
    "hang-reset",
    "busy-loop",
    "late",
    "deaf-to-cancel",
    "crash",
    "abort",
    "exit",
    "panic-run",
    "panic-tick",
    "stdout",
    "leak-run",
    "thread",
    "log-flood",
    "status-flood",
    "says-none",
];

/// A node with one printer and one display, or with none.
struct Hall {
    name: String,
    settings: ServerSettings,
    work_dir: PathBuf,
    bench: Bench,
}

/// The sides: no peripherals first, then healthy ones, then each way of going wrong, or those of `modes`.
///
/// # Errors
/// A mode there is not; a file that is not built or cannot be written.
pub fn sides(
    gatehouse: &Path,
    work_dir: &Path,
    bench: &Bench,
    modes: &[String],
) -> Result<Vec<Box<dyn Side>>> {
    if let Some(unknown) = modes.iter().find(|mode| !MODES.contains(&mode.as_str())) {
        bail!("no mode {unknown:?}; there are {}", MODES.join(", "));
    }
    let drivers = work_dir.join("drivers");
    std::fs::create_dir_all(&drivers).with_context(|| format!("create {}", drivers.display()))?;
    driver_misbehaving::build_variant(&drivers, "libdriver_misbehaving", &[]);
    for name in ["gatehouse-driver-host", "libdriver_virtual.so"] {
        let built = gatehouse.with_file_name(name);
        std::fs::copy(&built, drivers.join(name)).with_context(|| format!("copy {}", built.display()))?;
    }
    let hall = |name: &str, file: Option<String>| -> Result<Box<dyn Side>> {
        let mut serve_args = ["--workers", "1", "--live", "off"].map(str::to_owned).to_vec();
        if let Some(text) = file {
            let path = work_dir.join(format!("{name}.toml"));
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            serve_args.extend(["--peripherals-file".to_owned(), path.display().to_string()]);
            serve_args.extend(["--drivers-dir".to_owned(), drivers.display().to_string()]);
        }
        let program = gatehouse.to_owned();
        Ok(Box::new(Hall {
            name: name.to_owned(),
            settings: ServerSettings { program, serve_args, core: bench.server_core, data: Data::Demo },
            work_dir: work_dir.to_owned(),
            bench: bench.clone(),
        }))
    };
    std::fs::write(work_dir.join("slip.toml"), SLIP).context("write a template")?;
    let mut sides = vec![hall("no peripherals", None)?, hall("healthy", Some(venue("virtual", "{}")))?];
    for mode in MODES.into_iter().filter(|mode| modes.is_empty() || modes.iter().any(|one| one == mode)) {
        let config = format!("{{ mode = \"{mode}\" }}");
        sides.push(hall(mode, Some(venue("misbehaving", &config)))?);
    }
    Ok(sides)
}

const SLIP: &str = "elements = [{ text = '{holder|-} {ticket} {gate} {time}' }]\n";

/// Every first use of a ticket prints a slip: of the mix one scan in a hundred.
fn venue(driver: &str, config: &str) -> String {
    format!(
        "[[template]]\nname = 'slip'\nfile = 'slip.toml'\n\
         [[peripheral]]\nname = 'till'\ndriver = '{driver}'\nconnection = 'file:/dev/null'\nconfig = {config}\n\
         timeout_ms = 1000\n\
         [[rule]]\nname = 'first'\non = 'admit'\ntypes = ['STANDARD']\nprint = 'slip'\nprinters = ['till']\n"
    )
}

impl Side for Hall {
    fn name(&self) -> &str {
        &self.name
    }

    /// A node for each round: one that waits for its turn would still crash and hang beside the others.
    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        let mut server = Server::new(self.settings.clone(), &self.work_dir)?;
        server.start()?;
        let pid = server.process()?.pid();
        listening::ensure_alone(server.device_addr, pid)?;
        let settings =
            self.bench.run_settings(Target::at(server.device_addr), pid, self.bench.connection_count);
        let settings = RunSettings { warmup, length, ..settings };
        // Of this node: what another one has seen is unused here.
        let mut pool = CodePool::open(&CodeChoice::Mix, 0)?;
        let result = client::run_open(&settings, &mut pool, RATE)?;
        ensure!(result.answers > 0, "{}: no answers", self.name);
        server.stop()?;
        Ok(result)
    }
}
