//! `bench-beside stacks|peers|peripherals|admin`: measures things beside each other in one run, prints the table and writes it to a directory. Knows
//! flags and what the tables' readers have to know; the measuring is the library's.

use anyhow::{Context, Result};
use bench::beside::stacks::side::Sides;
use bench::beside::turns::{Report, Turns};
use bench::beside::{Bench, office, peers, peripherals};
use bench::office::{House, questions, reach, write_list};
use clap::{Args, Parser, Subcommand};
use load_tests::cli::LaunchArgs;
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::target::Target;
use load_tests::{Outcome, compare, process, procfs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Gatehouse beside others, by turns in one run.
#[derive(Parser)]
#[command(name = "bench-beside")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The validation handler on several HTTP stacks
    Stacks(StacksArgs),
    /// A durable validated scan beside the claim in PostgreSQL and in Redis; data lives in TMPDIR
    Peers(PeersArgs),
    /// A node's gates beside printers and displays that are well, and beside a driver that does everything wrong
    Peripherals(PeripheralsArgs),
    /// A node's gates beside its API at work, and how long the API's answers take in a full house
    Admin(AdminArgs),
    /// How children are started; not for people
    #[command(name = process::LAUNCH_COMMAND, hide = true)]
    Launch(LaunchArgs),
}

/// Flags of every comparison.
#[derive(Args)]
struct TurnsArgs {
    /// Write the table and every single run here
    #[arg(long)]
    out: Option<PathBuf>,
    /// Turns of each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// How long each measurement is
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// How long to send before each measurement
    #[arg(long, default_value_t = 2.0)]
    warmup: f64,
    /// One short round: shows that everything runs; its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Measure although others use the machine; the result says so
    #[arg(long)]
    busy_ok: bool,
    /// The commit of the source, for the report
    #[arg(long, default_value = "not told")]
    commit: String,
    /// The core of the servers
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of this program
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// The program `gatehouse`; by default the one beside this program
    #[arg(long)]
    gatehouse: Option<PathBuf>,
    /// Connections, for a side that does not look for its best number itself
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
}

/// Flags of `stacks`.
#[derive(Args)]
struct StacksArgs {
    #[command(flatten)]
    turns: TurnsArgs,
    /// Where data lives during the run: a directory on the disk to measure
    #[arg(long)]
    work_dir: Option<PathBuf>,
}

/// Flags of `peers`.
#[derive(Args)]
struct PeersArgs {
    #[command(flatten)]
    turns: TurnsArgs,
}

/// Flags of `peripherals`.
#[derive(Args)]
struct PeripheralsArgs {
    #[command(flatten)]
    turns: TurnsArgs,
    /// These ways of going wrong only, separated by commas
    #[arg(long, value_delimiter = ',')]
    modes: Vec<String>,
}

/// Flags of `admin`.
#[derive(Args)]
struct AdminArgs {
    #[command(flatten)]
    turns: TurnsArgs,
    /// Tickets of the house, and of each list that is taken in
    #[arg(long, default_value_t = bench::TICKETS, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    tickets: u32,
    /// These sides only, separated by commas
    #[arg(long, value_delimiter = ',')]
    sides: Vec<String>,
    /// Questions of each kind; 0: none are asked
    #[arg(long, default_value_t = 300)]
    questions: usize,
}

/// What a reader of the table of the API has to know.
const ADMIN_NOTES: [&str; 4] = [
    "each round is a node of its own with its tickets; import: one list of as many tickets after the other; listeners: each hears \
     every topic, every scan among them; exports: all tickets with their holders and all scans, again and again",
    "the server has all cores; the gates' client and those who use the API are on one of them, and they give way to the gates' \
     client",
    "a listener that is too slow is dropped, as it is meant to be, and comes back",
    "of every 100 scans 79 are staff codes (admitted), 1 is a fresh code (admitted once), 20 are used codes (denied)",
];

/// What a reader of the table of peripherals has to know.
const PERIPHERALS_NOTES: [&str; 3] = [
    "each row is a node of its own with one printer, whose driver goes wrong in the way that is named; every first use of a \
     ticket (one scan in a hundred) prints a slip there",
    "the driver's host stays on the server's core: the hardest place for the gates",
    "of every 100 scans 79 are staff codes (admitted), 1 is a fresh code (admitted once), 20 are used codes (denied)",
];

/// What a reader of the table of stacks has to know.
const STACKS_NOTES: [&str; 6] = [
    "every side but the limit does the real thing: key, rate limit (one that is counted and never reached), decision, \
     journal; no answer leaves before its record is synced",
    "of every 100 scans 79 are staff codes (admitted), 1 is a fresh code (admitted once), 20 are used codes (denied)",
    "`gatehouse serve` carries everything over to its SQLite store besides and takes checkpoints; what of it is done after the \
     last answer is not in its CPU. The three others have no store: compare may_minihttp and axum with our port alone",
    "all gather the records of one look at their sockets for one sync, and one wake-up of the worker serves all whom a sync \
     has made durable",
    "may_minihttp does not tell the peer's address and sends no header line of a reply but its content type; every side but \
     `gatehouse serve` and our port alone lacks the limits and deadlines that a gate's network needs",
    "server CPU is what the kernel counted for the server's threads during the measurement",
];

/// What a reader of the table of peers has to know.
const PEERS_NOTES: [&str; 5] = [
    "of every 100 scans 79 are staff codes (admitted), 1 is a fresh code (admitted once), 20 are used codes (denied); every \
     answer is judged, and every decision is in a log that is synced before its answer leaves",
    "Gatehouse's scans come over HTTP as JSON with a key and a rate limit, are decided by all of its rules, kept for retries, and \
     carried over into its SQLite store in the same time. The peers are asked in their own protocol by a client they trust, and know \
     of a ticket only how often it may still be used",
    "PostgreSQL: one conditional UPDATE and one log line in one prepared statement, everything in memory, with the number of \
     connections that was best when tried in this run",
    "Redis: a Function that claims and adds to a stream, append-only file with `appendfsync always`; claims that come together share a sync",
    "all of a side's processes stay on one core; server CPU is what the kernel counted for all of their threads",
];

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Stacks(args) => stacks(&args),
        Command::Peers(args) => peers(&args),
        Command::Peripherals(args) => peripherals(&args),
        Command::Admin(args) => admin(&args),
        Command::Launch(args) => launch(&args),
    };
    match ended {
        Ok(Outcome::Right) => ExitCode::SUCCESS,
        Ok(_) => {
            eprintln!("FAILED: wrong or missing answers; the figures are worth nothing");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("bench-beside: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn stacks(args: &StacksArgs) -> Result<Outcome> {
    let work_dir = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let sides = Sides {
        gatehouse: args.turns.gatehouse()?,
        bench_stack: beside_this("bench-stack")?,
        server_core: args.turns.server_core,
        connections: usize::from(args.turns.connections),
        work_dir: work_dir.clone(),
    };
    let turns = Turns {
        work_dir,
        title: "One validation handler on several HTTP stacks",
        first_is: "limit",
        notes: STACKS_NOTES.map(str::to_owned).into(),
        ..args.turns.turns()?
    };
    tell(&turns.measure(|| sides.start())?, &args.turns, "stacks")
}

fn peers(args: &PeersArgs) -> Result<Outcome> {
    let bench = Bench {
        server_core: Some(args.turns.server_core),
        connection_count: usize::from(args.turns.connections),
    };
    let gatehouse = args.turns.gatehouse()?;
    let turns = Turns {
        title: "A durable validated scan beside the claim in PostgreSQL and in Redis",
        first_is: "Gatehouse",
        notes: PEERS_NOTES.map(str::to_owned).into(),
        ..args.turns.turns()?
    };
    tell(&turns.measure(|| peers::sides(gatehouse, &bench))?, &args.turns, "peers")
}

fn peripherals(args: &PeripheralsArgs) -> Result<Outcome> {
    let work_dir = tempfile::tempdir().context("create a directory")?;
    let bench = Bench {
        server_core: Some(args.turns.server_core),
        connection_count: usize::from(args.turns.connections),
    };
    let gatehouse = args.turns.gatehouse()?;
    let turns = Turns {
        title: "A node's gates beside a printer whose driver goes wrong",
        first_is: "no peripherals",
        notes: PERIPHERALS_NOTES.map(str::to_owned).into(),
        ..args.turns.turns()?
    };
    let report = turns.measure(|| peripherals::sides(&gatehouse, work_dir.path(), &bench, &args.modes))?;
    tell(&report, &args.turns, "peripherals")
}

fn admin(args: &AdminArgs) -> Result<Outcome> {
    let work_dir = tempfile::tempdir().context("create a directory")?;
    let bench = Bench { server_core: None, connection_count: usize::from(args.turns.connections) };
    let gatehouse = args.turns.gatehouse()?;
    let tickets = if args.turns.quick { 1_000 } else { args.tickets };
    let turns = Turns {
        title: "A node's gates beside its API at work",
        first_is: "quiet",
        notes: ADMIN_NOTES.map(str::to_owned).into(),
        server_core: None,
        ..args.turns.turns()?
    };
    let report =
        turns.measure(|| office::sides(&gatehouse, work_dir.path(), &bench, tickets, &args.sides))?;
    let outcome = tell(&report, &args.turns, "admin")?;
    if args.questions > 0 {
        ask(args, tickets, work_dir.path())?;
    }
    Ok(outcome)
}

/// What people ask of the API in a house that was scanned in for a while.
fn ask(args: &AdminArgs, tickets: u32, work_dir: &Path) -> Result<()> {
    let turns = args.turns.turns()?;
    let list = write_list(work_dir, "", 0..tickets)?;
    let house = House::open(&args.turns.gatehouse()?, work_dir, None, &list)?;
    let target = Target::at(house.server.device_addr);
    let settings = RunSettings::at(target, usize::from(args.turns.connections), turns.warmup, turns.length);
    let scans = client::run_open(&settings, &mut CodePool::open(&CodeChoice::Mix, 0)?, office::RATE)?.answers;
    house.wait_projected()?;
    eprintln!("questions");
    let questions = questions::ask(&house.desk(), tickets, args.questions)?;
    eprintln!("changes");
    let is_over = AtomicBool::new(false);
    let reached = std::thread::scope(|scope| {
        let scans = scope.spawn(|| {
            let scans = client::run_open(&settings, &mut CodePool::open(&CodeChoice::Mix, 0)?, office::RATE);
            is_over.store(true, Ordering::Relaxed);
            scans
        });
        let reached = reach::measure(&house, &is_over);
        scans.join().expect("a client that panics ends the program")?;
        reached
    })?;
    let report = questions::Report {
        date: compare::date(),
        commit: args.turns.commit.clone(),
        machine: procfs::machine(),
        tickets,
        scans,
        questions,
        rate: office::RATE,
        reached,
    };
    println!("{}", report.markdown());
    if let Some(out) = &args.turns.out {
        let json = serde_json::to_string_pretty(&report).context("write the questions as JSON")? + "\n";
        for (name, text) in [("questions.json", json), ("questions.md", report.markdown())] {
            let path = out.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Prints the report, and writes it where that is asked for.
fn tell(report: &Report, args: &TurnsArgs, name: &str) -> Result<Outcome> {
    println!("{}", report.markdown());
    if let Some(out) = &args.out {
        report.write(out, name)?;
        eprintln!("written: {0}/{name}.json, {0}/{name}.md", out.display());
    }
    Ok(report.outcome())
}

// === impl TurnsArgs ===

impl TurnsArgs {
    fn gatehouse(&self) -> Result<PathBuf> {
        self.gatehouse.clone().map_or_else(|| beside_this("gatehouse"), Ok)
    }

    fn turns(&self) -> Result<Turns> {
        let seconds = |text| Duration::try_from_secs_f64(text).context("no length of time");
        let (rounds, warmup, length) = if self.quick {
            (1, Duration::from_millis(200), Duration::from_millis(500))
        } else {
            (usize::from(self.rounds), seconds(self.warmup)?, seconds(self.seconds)?)
        };
        Ok(Turns {
            rounds,
            warmup,
            length,
            client_core: self.client_core,
            server_core: Some(self.server_core),
            work_dir: std::env::temp_dir(),
            busy_ok: self.busy_ok,
            commit: self.commit.clone(),
            program: "bench-beside",
            title: "",
            first_is: "first",
            notes: Vec::new(),
        })
    }
}

/// A program of the same build.
fn beside_this(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(own.with_file_name(name))
}

fn launch(args: &LaunchArgs) -> Result<Outcome> {
    let (program, rest) = args.command.split_first().context("no program to become")?;
    process::become_program(args.core, Path::new(program), rest)?;
    Ok(Outcome::Right)
}
