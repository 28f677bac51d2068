//! The program `gatehouse-load`: reads the command, runs it, says how it ended. Owns output and exit codes only.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use load_tests::cli::{
    Cli, Command, CompareArgs, DiskArgs, EchoArgs, LaunchArgs, MemoryArgs, RunArgs, ScenarioArgs,
};
use load_tests::codes::CodePool;
use load_tests::compare::markdown;
use load_tests::report::{self, RunResult};
use load_tests::scenario::file::{BUILT_IN, Scenario};
use load_tests::{Outcome, affinity, client, compare, disk, echo::EchoServer, memory, process, scenario};

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Closed(args) => run(&args.run, "closed", None),
        Command::Open(args) => run(&args.run, "open", Some(args.rate)),
        Command::Echo(args) => serve_echo(&args),
        Command::Disk(args) => probe_disk(&args),
        Command::Compare(args) => run_compare(&args),
        Command::Memory(args) => run_memory(&args),
        Command::Scenario(args) => run_scenario(&args),
        Command::Launch(args) => launch(&args),
    };
    match ended {
        Ok(Outcome::Right) => ExitCode::SUCCESS,
        Ok(Outcome::Wrong) => ExitCode::from(1),
        Ok(Outcome::Missed) => ExitCode::from(3),
        Err(error) => {
            eprintln!("gatehouse-load: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &RunArgs, label: &'static str, rate: Option<u32>) -> Result<Outcome> {
    if let Some(core) = args.pin_core {
        affinity::pin_current_thread(core)?;
    }
    let mut pool = CodePool::open(&args.codes, args.start)?;
    let settings = args.settings(label);
    let result = match rate {
        Some(rate) => client::run_open(&settings, &mut pool, rate)?,
        None => client::run_closed(&settings, &mut pool)?,
    };
    if args.json {
        print(&(serde_json::to_string_pretty(&result).context("write the result as JSON")? + "\n"))?;
    } else {
        print(&result.text())?;
        print(&format!(
            "{:<16} {} of --codes {}, {} never presented\n",
            "codes",
            args.start,
            args.codes,
            pool.fresh_left()
        ))?;
    }
    outcome_of(&result)
}

fn outcome_of(result: &RunResult) -> Result<Outcome> {
    if !result.is_right() {
        eprintln!(
            "FAILED: {} wrong, {} lost, {} unsent",
            result.tally.wrong, result.tally.lost, result.unsent
        );
        if result.tally.examples.iter().any(|example| example.contains("already_used")) {
            eprintln!("(codes used by an earlier run on this server? --start N leaves out the first N)");
        }
        return Ok(Outcome::Wrong);
    }
    match &result.ended_early {
        None => Ok(Outcome::Right),
        Some(cause) => Err(anyhow::anyhow!("the run ended early: {cause}")),
    }
}

fn serve_echo(args: &EchoArgs) -> Result<Outcome> {
    if let Some(core) = args.pin_core {
        affinity::pin_current_thread(core)?;
    }
    let mut server = EchoServer::bind(args.addr).with_context(|| format!("listen on {}", args.addr))?;
    print(&format!("echo on http://{}\n", server.addr().context("read the address")?))?;
    server.serve().context("serve")?;
    Ok(Outcome::Right)
}

fn probe_disk(args: &DiskArgs) -> Result<Outcome> {
    let result = disk::probe(&args.dir, args.seconds, args.bytes)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&result).context("write the result as JSON")? + "\n"))?;
    } else {
        let latency = report::latency_text(&result.latency);
        let count = result.latency.count;
        print(&format!(
            "{} bytes + fdatasync on {}: {latency} ({count} writes)\n",
            args.bytes, result.file_system
        ))?;
    }
    Ok(Outcome::Right)
}

fn run_compare(args: &CompareArgs) -> Result<Outcome> {
    let (result, outcome) = compare::run(&args.settings())?;
    print(&markdown::text(&result))?;
    if let Some(out) = &args.demo.out {
        compare::write(&result, out)?;
        eprintln!("written: {0}/compare.json, {0}/compare.md", out.display());
    }
    if outcome == Outcome::Wrong {
        eprintln!("FAILED: wrong or missing answers; the figures are worth nothing");
    }
    Ok(outcome)
}

fn run_memory(args: &MemoryArgs) -> Result<Outcome> {
    let (result, outcome) = memory::run(&args.settings())?;
    print(&memory::text(&result))?;
    let json = serde_json::to_string_pretty(&result).context("write the result as JSON")? + "\n";
    match &args.demo.out {
        Some(out) => write_into(out, "memory.json", &json)?,
        None => print(&json)?,
    }
    if outcome == Outcome::Wrong {
        eprintln!("FAILED: imported tickets were not admitted");
    }
    Ok(outcome)
}

fn run_scenario(args: &ScenarioArgs) -> Result<Outcome> {
    let Some(name) = &args.name else { return list_scenarios() };
    let settings = args.settings(name).map_err(anyhow::Error::msg)?;
    if let Some(dir) = &args.write_venue {
        let files = scenario::write_venue(&settings, dir)?;
        print(&format!("gatehouse import venue {}\n", files.venue.display()))?;
        for (event, list) in files.tickets {
            print(&format!("gatehouse import tickets --event {event} {}\n", list.display()))?;
        }
        print(&format!(
            "gatehouse-load scenario {name} --scale {} --time {} --seed {} --url http://HOST:PORT\n",
            args.scale, args.time, args.seed
        ))?;
        return Ok(Outcome::Right);
    }
    let report = scenario::run(&settings)?;
    print(&report.text())?;
    if let Some(out) = &args.out {
        let page = scenario::write_report(&report, out)?;
        eprintln!("written: {}, report.json beside it", page.display());
    }
    if report.outcome() == Outcome::Wrong && args.url.is_some() {
        eprintln!(
            "(does the server hold the venue of this scenario, --scale, --time and --seed, and has no run used it?)"
        );
    }
    Ok(report.outcome())
}

fn list_scenarios() -> Result<Outcome> {
    for (name, text) in BUILT_IN {
        print(&format!("{name:<20} {}\n", Scenario::parse(name, text)?.title))?;
    }
    Ok(Outcome::Right)
}

fn write_into(dir: &Path, name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let path = dir.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn launch(args: &LaunchArgs) -> Result<Outcome> {
    let (program, rest) = args.command.split_first().context("no program to become")?;
    process::become_program(args.core, Path::new(program), rest)?;
    Ok(Outcome::Right)
}

/// `print!` would panic when a reader like `head` has gone.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("print the result")
}
