//! The commands, their flags and their help. Knows defaults; does nothing itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::client::{Judging, RunSettings, Waiting};
use crate::codes::CodeChoice;
use crate::compare::CompareSettings;
use crate::memory::MemorySettings;
use crate::request::Device;
use crate::scenario::{ScenarioSettings, Tempo, Whom};
use crate::server::{Data, ServerSettings};
use crate::target::Target;

/// Load and measurements for Gatehouse, over HTTP only. It knows what every answer must be: a run with a wrong one fails.
#[derive(Debug, Parser)]
#[command(name = "gatehouse-load", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  gatehouse serve --demo --data-dir /var/tmp/demo &
  gatehouse-load closed --codes mix --seconds 5
  gatehouse-load open --rate 5000 --seconds 5 --codes mix --start 25000
  gatehouse-load compare --gatehouse target/release/gatehouse --out results
  gatehouse-load scenario stadium-60k --gatehouse target/release/gatehouse --out results

Exit codes: 0 every answer was right; 1 wrong or missing answers (it says which codes); 2 usage or environment;
3 (scenario) every answer was right, but something that was wanted was not reached.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Closed loop: each connection sends when its last answer has come
    Closed(ClosedArgs),
    /// Open loop: a fixed schedule; latency counts from the intended send time
    Open(OpenArgs),
    /// The echo baseline: a server that reads, writes and parses nothing
    Echo(EchoArgs),
    /// The disk's own latency: write + fdatasync on a preallocated file
    Disk(DiskArgs),
    /// Echo and Gatehouse by turns in one run, with CPU per scan, latency and ratios
    Compare(CompareArgs),
    /// Memory per ticket, import speed and restart time
    Memory(MemoryArgs),
    /// A whole venue: crowds, floods, storms and outages, from a file
    Scenario(ScenarioArgs),
    /// How children are started; not for people
    #[command(name = crate::process::LAUNCH_COMMAND, hide = true)]
    Launch(LaunchArgs),
}

/// Flags of both loops.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The device port
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: Target,
    /// Connections at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub connections: u16,
    /// A new connection for each scan, as many readers do
    #[arg(long)]
    pub per_scan: bool,
    /// How long to measure
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// How long to send before measuring; answers are judged here too
    #[arg(long, default_value = "2", value_parser = seconds_or_none)]
    pub warmup: Duration,
    /// fresh: standard codes once each, then again; used: the same thousand again and again; mix: 79 staff, 1 fresh
    /// and 20 used of every 100; file:PATH: one code per line, each admitted once (import the tickets first; mind the
    /// zone's capacity), the run ends with the file
    #[arg(long, value_name = "fresh|used|mix|file:PATH", default_value = "fresh")]
    pub codes: CodeChoice,
    /// Leave out the first N codes: an earlier run on this server has used them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub start: u32,
    /// The server's process: report its CPU per answer, by thread
    #[arg(long)]
    pub pid: Option<u32>,
    /// Keep this program on one core, away from the server; an open loop then never sleeps and is never late
    #[arg(long, value_name = "CORE")]
    pub pin_core: Option<usize>,
    /// Count answers without judging them (for the echo baseline)
    #[arg(long)]
    pub unjudged: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// As which device to scan.
    #[command(flatten)]
    pub device: Device,
}

/// Flags of `closed`.
#[derive(Debug, Args)]
pub struct ClosedArgs {
    /// Common ones.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags of `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Scans per second, evenly spread
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Common ones.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags of `echo`.
#[derive(Debug, Args)]
pub struct EchoArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub addr: SocketAddr,
    /// Keep the server on one core
    #[arg(long, value_name = "CORE")]
    pub pin_core: Option<usize>,
}

/// Flags of `disk`.
#[derive(Debug, Args)]
pub struct DiskArgs {
    /// A directory on the disk to measure
    #[arg(long)]
    pub dir: PathBuf,
    /// How long to measure
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub seconds: Duration,
    /// Bytes per write
    #[arg(long, default_value_t = 4096)]
    pub bytes: usize,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags about the server that is started.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The server's binary
    #[arg(long, value_name = "PATH")]
    pub gatehouse: PathBuf,
    /// A further argument of `gatehouse serve`, e.g. --serve-arg=--store --serve-arg=sqlite
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub serve_arg: Vec<String>,
    /// Where data lives during the run (on the disk to measure); default: the directory for temporary files
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// The commit of the server's source, for the report
    #[arg(long, default_value = "not told")]
    pub commit: String,
    /// Write JSON (and markdown) into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Flags of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// About the server.
    #[command(flatten)]
    pub demo: DemoArgs,
    /// The binary of an earlier build, measured by turns with the other: what a change made of it
    #[arg(long)]
    pub before: Option<PathBuf>,
    /// How long each measurement is
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// How long to send before each measurement
    #[arg(long, default_value = "2", value_parser = seconds_or_none)]
    pub warmup: Duration,
    /// Turns of echo and Gatehouse
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub rounds: u8,
    /// Keep-alive connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub connections: u16,
    /// Of the open loop, scans per second
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Bytes per write of the disk probe
    #[arg(long, default_value_t = 4096)]
    pub disk_bytes: usize,
    /// The core of echo server and Gatehouse
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The core of this program
    #[arg(long, default_value_t = 1)]
    pub client_core: usize,
    /// Measure although others use the machine; the result says so
    #[arg(long)]
    pub busy_ok: bool,
}

/// Flags of `memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// About the server.
    #[command(flatten)]
    pub demo: DemoArgs,
    /// How many tickets to import
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub tickets: u32,
    /// Into which event
    #[arg(long, default_value = "demo-match")]
    pub event: String,
    /// As which ticket type: one that admits a fresh ticket at the bench device's gate
    #[arg(long = "type", default_value = "STANDARD")]
    pub ticket_type: String,
}

/// Flags of `scenario`.
#[derive(Debug, Args)]
#[command(after_help = SCENARIO_HELP)]
pub struct ScenarioArgs {
    /// A scenario's name, or a file; left out: the scenarios there are
    #[arg(value_name = "NAME|FILE")]
    pub name: Option<String>,
    /// The server's binary: it is started for the run, with the scenario's venue imported into it
    #[arg(help_heading = "Who is asked", long, value_name = "PATH", conflicts_with = "url")]
    pub gatehouse: Option<PathBuf>,
    /// A server that runs and has the scenario's venue (see --write-venue)
    #[arg(help_heading = "Who is asked", long)]
    pub url: Option<Target>,
    /// Its API port, for its counters (with --url)
    #[arg(help_heading = "Who is asked", long, value_name = "URL", requires = "url")]
    pub api_url: Option<Target>,
    /// Its process, for its CPU, memory and disk reads (with --url)
    #[arg(help_heading = "Who is asked", long, requires = "url")]
    pub pid: Option<u32>,
    /// Write venue.toml and the ticket lists for this --scale, --time and --seed, say how to import them; no run
    #[arg(help_heading = "Who is asked", long, value_name = "DIR", conflicts_with_all = ["gatehouse", "url"])]
    pub write_venue: Option<PathBuf>,
    /// Multiply people, rates, readers, rows and clients
    #[arg(help_heading = "How it runs", long, value_name = "F", default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// real: as long as at the venue; compressed: as the file says; a number: so many seconds
    #[arg(help_heading = "How it runs", long, value_name = "real|compressed|SECONDS", default_value = "compressed", value_parser = tempo)]
    pub time: Tempo,
    /// Other tickets than those of another seed: for a second run against the same server
    #[arg(help_heading = "How it runs", long, value_name = "N", default_value_t = 1)]
    pub seed: u16,
    /// Write report.json and report.html into this directory
    #[arg(help_heading = "What is told", long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A further argument of `gatehouse serve`, e.g. --serve-arg=--workers --serve-arg=1
    #[arg(help_heading = "How it runs", long, value_name = "ARG", allow_hyphen_values = true)]
    pub serve_arg: Vec<String>,
    /// Keep the server on one core
    #[arg(help_heading = "How it runs", long, value_name = "CORE")]
    pub server_core: Option<usize>,
    /// Keep the thread that makes the load on one core, away from the server (see --server-core)
    #[arg(help_heading = "How it runs", long, value_name = "CORE")]
    pub pin_core: Option<usize>,
    /// Where the server's data lives during the run (on the disk to measure); default: the directory for temporary files
    #[arg(help_heading = "How it runs", long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// The commit of the server's source, for the report
    #[arg(help_heading = "What is told", long, default_value = "not told")]
    pub commit: String,
}

const SCENARIO_HELP: &str = "\
Examples:
  gatehouse-load scenario                                        the scenarios there are
  gatehouse-load scenario stadium-60k --gatehouse target/release/gatehouse --out results
  gatehouse-load scenario junk-flood --gatehouse PATH --scale 0.2 --time 10
  gatehouse-load scenario my-venue.toml --write-venue venue      then import it and use --url

Open loop: what is due is due, and latency counts from the moment a guest came to a reader, however long others took before. 'own delay' is how late this program was to send for a free reader: while it is small, the latencies are the server's. What can stand in a file: load-tests/scenarios/README.md.

Exit codes: 0 all right; 1 a wrong or missing answer; 2 usage or environment; 3 all answers right, a want not reached.";

/// Flags of `launch`.
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The core to stay on
    #[arg(long)]
    pub core: Option<usize>,
    /// The program to become, and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

// === impl RunArgs ===

impl RunArgs {
    /// As the client wants them.
    pub fn settings(&self, progress: &'static str) -> RunSettings {
        RunSettings {
            target: self.url.clone(),
            device: self.device.clone(),
            connection_count: usize::from(self.connections),
            per_scan: self.per_scan,
            warmup: self.warmup,
            length: self.seconds,
            server_pid: self.pid,
            judging: if self.unjudged { Judging::CountOnly } else { Judging::Strict },
            // A core of its own is there to be used up; a shared one is not.
            waiting: if self.pin_core.is_some() { Waiting::Spin } else { Waiting::Sleep },
            progress: Some(progress),
        }
    }
}

// === impl DemoArgs ===

impl DemoArgs {
    fn settings(&self, core: Option<usize>) -> ServerSettings {
        ServerSettings {
            program: self.gatehouse.clone(),
            serve_args: self.serve_arg.clone(),
            core,
            data: Data::Demo,
        }
    }

    fn work_dir(&self) -> PathBuf {
        self.work_dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

// === impl ScenarioArgs ===

impl ScenarioArgs {
    /// As the run wants them; `Err` is what is missing.
    pub fn settings(&self, name: &str) -> Result<ScenarioSettings, String> {
        let work_dir = self.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let own = |program: &PathBuf| {
            let (program, serve_args) = (program.clone(), self.serve_arg.clone());
            let settings =
                ServerSettings { program, serve_args, core: self.server_core, data: Data::Nothing };
            Whom::Own(settings, work_dir)
        };
        let whom = match (&self.gatehouse, &self.url, &self.write_venue) {
            (Some(program), _, _) => own(program),
            (None, Some(target), _) => Whom::Running {
                target: target.clone(),
                admin_addr: self.api_url.as_ref().map(|target| target.addr),
                pid: self.pid,
            },
            (None, None, Some(_)) => own(&PathBuf::from("gatehouse")),
            (None, None, None) => {
                return Err(
                    "say who is asked: --gatehouse PATH starts a server, --url asks a running one".into()
                );
            }
        };
        Ok(ScenarioSettings {
            name: name.to_owned(),
            whom,
            scale: self.scale,
            tempo: self.time,
            seed: self.seed,
            load_core: self.pin_core,
            commit: self.commit.clone(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
        })
    }
}

// === impl CompareArgs ===

impl CompareArgs {
    /// As the comparison wants them.
    pub fn settings(&self) -> CompareSettings {
        CompareSettings {
            demo: self.demo.settings(Some(self.server_core)),
            earlier_program: self.before.clone(),
            client_core: self.client_core,
            connection_count: usize::from(self.connections),
            round_count: usize::from(self.rounds),
            warmup: self.warmup,
            length: self.seconds,
            rate: self.rate,
            disk_bytes: self.disk_bytes,
            work_dir: self.demo.work_dir(),
            busy_ok: self.busy_ok,
            commit: self.demo.commit.clone(),
        }
    }
}

// === impl MemoryArgs ===

impl MemoryArgs {
    /// As the measurement wants them.
    pub fn settings(&self) -> MemorySettings {
        MemorySettings {
            demo: self.demo.settings(None),
            ticket_count: self.tickets,
            event: self.event.clone(),
            ticket_type: self.ticket_type.clone(),
            work_dir: self.demo.work_dir(),
            commit: self.demo.commit.clone(),
        }
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.000_1..=100.0).contains(scale));
    scale.ok_or_else(|| "expected a number from 0.0001 to 100".to_owned())
}

fn tempo(text: &str) -> Result<Tempo, String> {
    match text {
        "real" => Ok(Tempo::Real),
        "compressed" => Ok(Tempo::Compressed),
        _ => seconds(text).map(Tempo::Within).map_err(|_| "expected real, compressed or seconds".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match seconds_or_none(text)? {
        Duration::ZERO => Err("expected more than 0 seconds".to_owned()),
        length => Ok(length),
    }
}

fn seconds_or_none(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if !(0.0..=86_400.0).contains(&number) {
        return Err("expected 0 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(number))
}
