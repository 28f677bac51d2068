//! The whole measurement in one run: echo baseline and Gatehouse by turns, a connection for each scan, an open loop beside the bare disk,
//! then their ratios. Knows the order of the steps; leaves each step to its module, the arithmetic to [`summary`], the words
//! to [`markdown`].
//!
//! Absolute figures move from machine to machine and from hour to hour. Ratios of things measured by turns in one run
//! hold, so ratios are what is reported.

pub mod markdown;
pub mod summary;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::busy::{self, Busy};
use crate::client::{self, Judging, RunSettings, Waiting};
use crate::codes::{CodeChoice, CodePool};
use crate::disk::{self, DiskResult};
use crate::process::{Launch, Process, free_addrs};
use crate::procfs::{self, Machine};
use crate::report::RunResult;
use crate::server::{HEALTH_PATH, Server, ServerSettings};
use crate::target::Target;
use crate::{Outcome, affinity, limits};

use summary::{Medians, Ratios};

/// What to measure and where.
#[derive(Debug, Clone)]
pub struct CompareSettings {
    /// The server's binary and its further arguments.
    pub demo: ServerSettings,
    /// The binary of an earlier build, measured by turns with the other.
    pub earlier_program: Option<PathBuf>,
    /// The core of this program's loop.
    pub client_core: usize,
    /// Keep-alive connections.
    pub connection_count: usize,
    /// Echo and Gatehouse, this many times.
    pub round_count: usize,
    /// Before each measurement.
    pub warmup: Duration,
    /// Each measurement.
    pub length: Duration,
    /// Of the open loop, scans per second.
    pub rate: u32,
    /// Bytes per write of the disk probe.
    pub disk_bytes: usize,
    /// Data and probe live here: the disk that is measured.
    pub work_dir: PathBuf,
    /// Measure although others use the machine, and say so.
    pub busy_ok: bool,
    /// The commit of the server's source, for the report.
    pub commit: String,
}

/// Everything found out, as written to `compare.json`.
#[derive(Debug, Clone, Serialize)]
pub struct CompareResult {
    /// UTC.
    pub date: String,
    /// As typed.
    pub command: String,
    /// As told by `--commit`.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// What others did there, before the start.
    pub before: Busy,
    /// The cores of server and client.
    pub cores: [Option<usize>; 2],
    /// Medians over the rounds.
    pub echo: Medians,
    /// Medians over the rounds.
    pub gatehouse: Medians,
    /// Of the earlier build, where one was given.
    pub earlier: Option<Medians>,
    /// A closed loop in which each scan has a connection of its own.
    pub per_scan: RunResult,
    /// The open loop.
    pub open: RunResult,
    /// The earlier build's.
    pub earlier_open: Option<RunResult>,
    /// The disk in the same run.
    pub disk: DiskResult,
    /// The disk with the open loop's schedule: every record waits from its intended time.
    pub disk_paced: DiskResult,
    /// What a claim may be made of.
    pub ratios: Ratios,
    /// Every single run.
    pub rounds: Vec<Round>,
}

/// One turn of each.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// The limit.
    pub echo: RunResult,
    /// The server.
    pub gatehouse: Turn,
    /// The earlier build.
    pub earlier: Option<Turn>,
}

/// One turn of a server.
#[derive(Debug, Clone, Serialize)]
pub struct Turn {
    /// What it answered.
    pub run: RunResult,
    /// Its work after the last answer.
    pub catch_up: CatchUp,
}

/// A server with the codes it was asked so far.
struct Side {
    server: Server,
    pool: CodePool,
    label: &'static str,
}

/// What a server still does when nobody asks any more: rows to write, segments to seal.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CatchUp {
    /// Until it was quiet, within half a second.
    pub seconds: f64,
    /// CPU per answer from the first request (warm-up included) until quiet: nothing is left out.
    pub cpu_us_until_quiet: f64,
    /// False when it never came to rest.
    pub is_quiet: bool,
}

/// Runs everything.
pub fn run(settings: &CompareSettings) -> Result<(CompareResult, Outcome)> {
    let before = busy::look_around(settings.busy_ok)?;
    affinity::pin_current_thread(settings.client_core)?;
    let (echo, echo_addr, _echo_dir) = start_echo(settings)?;
    let mut side = Side::start(settings, settings.demo.program.clone(), "gatehouse")?;
    let mut earlier = match &settings.earlier_program {
        Some(program) => Some(Side::start(settings, program.clone(), "before   ")?),
        None => None,
    };
    let mut rounds = Vec::new();
    for number in 1..=settings.round_count {
        eprintln!("round {number} of {}", settings.round_count);
        let echo = echo_turn(settings, &echo, echo_addr)?;
        let earlier = earlier.as_mut().map(|earlier| earlier.turn(settings)).transpose()?;
        rounds.push(Round { echo, gatehouse: side.turn(settings)?, earlier });
    }
    let per_scan = side.per_scan(settings)?;
    eprintln!("disk probe");
    let dir = side.server.dir().to_owned();
    let disk = disk::probe(&dir, settings.length.min(Duration::from_secs(3)), settings.disk_bytes)?;
    let earlier_open = earlier.as_mut().map(|earlier| earlier.open(settings)).transpose()?;
    let open = side.open(settings)?;
    let disk_paced = disk::probe_paced(&dir, settings.length, limits::DISK_RECORD_BYTES, settings.rate)?;
    side.server.stop()?;
    earlier.map(|mut earlier| earlier.server.stop()).transpose()?;

    let outcome = outcome_of(&rounds, [&per_scan, &open].into_iter().chain(&earlier_open).collect());
    let echo = Medians::of(rounds.iter().map(|round| &round.echo));
    let gatehouse = Medians::of(rounds.iter().map(|round| &round.gatehouse.run));
    let earlier_runs: Vec<&RunResult> =
        rounds.iter().filter_map(|round| round.earlier.as_ref()).map(|turn| &turn.run).collect();
    let earlier = (!earlier_runs.is_empty()).then(|| Medians::of(earlier_runs.into_iter()));
    let ratios = Ratios::of(&echo, &gatehouse, &open, &disk, &disk_paced);
    let result = CompareResult {
        date: date(),
        command: command_line("gatehouse-load"),
        commit: settings.commit.clone(),
        machine: procfs::machine(),
        before,
        cores: [settings.demo.core, Some(settings.client_core)],
        echo,
        gatehouse,
        earlier,
        per_scan,
        open,
        earlier_open,
        disk,
        disk_paced,
        ratios,
        rounds,
    };
    Ok((result, outcome))
}

/// Writes `compare.json` and `compare.md` into `out`.
pub fn write(result: &CompareResult, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let json = serde_json::to_string_pretty(result).context("write the result as JSON")?;
    for (name, text) in [("compare.json", json + "\n"), ("compare.md", markdown::text(result))] {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The date of a result.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What was typed, without the directory the program happens to be in.
pub fn command_line(program: &str) -> String {
    std::iter::once(program.to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

/// The echo server, its address, and the directory of its log.
fn start_echo(settings: &CompareSettings) -> Result<(Process, SocketAddr, tempfile::TempDir)> {
    let dir =
        tempfile::tempdir_in(&settings.work_dir).context("make a directory for the echo server's log")?;
    let [addr] = free_addrs()?;
    let program = std::env::current_exe().context("find this program")?;
    let args = vec!["echo".into(), "--addr".into(), addr.to_string().into()];
    let (core, log) = (settings.demo.core, dir.path().join("echo.log"));
    let mut echo = Launch { name: "the echo server", program, args, core, log }.start()?;
    echo.wait_healthy(addr, HEALTH_PATH)?;
    Ok((echo, addr, dir))
}

fn echo_turn(settings: &CompareSettings, echo: &Process, addr: SocketAddr) -> Result<RunResult> {
    let mut pool = CodePool::open(&CodeChoice::Mix, 0)?;
    let judging = Judging::CountOnly;
    let run = RunSettings { judging, ..run_settings(settings, Target::at(addr), echo.pid(), "echo     ") };
    client::run_closed(&run, &mut pool)
}

// === impl Side ===

impl Side {
    fn start(settings: &CompareSettings, program: PathBuf, label: &'static str) -> Result<Side> {
        let demo = ServerSettings { program, ..settings.demo.clone() };
        let mut server = Server::new(demo, &settings.work_dir)?;
        let took = server.start()?;
        eprintln!("{} is healthy after {:.2} s", label.trim_end(), took.as_secs_f64());
        server.process()?.wait_quiet()?;
        Ok(Side { server, pool: CodePool::open(&CodeChoice::Mix, 0)?, label })
    }

    fn turn(&mut self, settings: &CompareSettings) -> Result<Turn> {
        let process = self.server.process()?;
        let cpu_before_ns = procfs::process_cpu_ns(process.pid())?;
        let run = client::run_closed(&self.run_settings(settings)?, &mut self.pool)?;
        let catch_up = catch_up(self.server.process()?, cpu_before_ns, &run)?;
        Ok(Turn { run, catch_up })
    }

    fn per_scan(&mut self, settings: &CompareSettings) -> Result<RunResult> {
        let run = RunSettings { per_scan: true, ..self.run_settings(settings)? };
        client::run_closed(&run, &mut self.pool)
    }

    fn open(&mut self, settings: &CompareSettings) -> Result<RunResult> {
        client::run_open(&self.run_settings(settings)?, &mut self.pool, settings.rate)
    }

    fn run_settings(&self, settings: &CompareSettings) -> Result<RunSettings> {
        let (target, pid) = (Target::at(self.server.device_addr), self.server.process()?.pid());
        Ok(run_settings(settings, target, pid, self.label))
    }
}

fn catch_up(process: &Process, cpu_before_ns: u64, run: &RunResult) -> Result<CatchUp> {
    let since = Instant::now();
    let is_quiet = process.wait_quiet()?;
    let cpu_ns = procfs::process_cpu_ns(process.pid())?.saturating_sub(cpu_before_ns);
    let answers = run.tally.admitted + run.tally.denied + run.tally.wrong;
    Ok(CatchUp {
        // The last look was the quiet one.
        seconds: since.elapsed().saturating_sub(limits::QUIET_LOOK).as_secs_f64(),
        cpu_us_until_quiet: cpu_ns as f64 / 1_000.0 / answers.max(1) as f64,
        is_quiet,
    })
}

fn run_settings(settings: &CompareSettings, target: Target, pid: u32, label: &'static str) -> RunSettings {
    RunSettings {
        server_pid: Some(pid),
        // Sharing a core with the server, it would take the server's time.
        waiting: if settings.demo.core == Some(settings.client_core) {
            Waiting::Sleep
        } else {
            Waiting::Spin
        },
        progress: Some(label),
        ..RunSettings::at(target, settings.connection_count, settings.warmup, settings.length)
    }
}

fn outcome_of(rounds: &[Round], others: Vec<&RunResult>) -> Outcome {
    let closed = rounds.iter().flat_map(|round| round.runs());
    let all_right = closed.chain(others).all(|run| run.is_right() && run.ended_early.is_none());
    if all_right { Outcome::Right } else { Outcome::Wrong }
}

// === impl Round ===

impl Round {
    /// Every run of it.
    pub fn runs(&self) -> Vec<&RunResult> {
        let turns = [&self.gatehouse].into_iter().chain(&self.earlier);
        [&self.echo].into_iter().chain(turns.map(|turn| &turn.run)).collect()
    }
}
