//! The program `gatehouse-driver-testkit`: runs the cases against a driver's file and tells what came of them. Started
//! with `--case` it is one of its own processes. Knows no rule.

use clap::Parser;
use driver_testkit::cases::{ALL, Case, Outcome};
use driver_testkit::report::{self, Form};
use driver_testkit::runner::{self, Plan};
use driver_testkit::subject::Subject;
use driver_testkit::watch;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A case may map so much memory, in bytes: a driver that eats memory is not to take the machine along.
const MEMORY_MAX: u64 = 4 << 30;
/// No file of it is larger, in bytes: a driver that floods standard output.
const FILE_MAX: u64 = 16 << 20;

/// Checks that a driver for a printer or display keeps the rules of gatehouse_driver.h. No device is needed: the other
/// end of its line is a script that is slow, stuck, mute, broken or out of paper.
#[derive(Parser)]
#[command(name = "gatehouse-driver-testkit", version)]
struct Cli {
    /// The driver's file.
    #[arg(value_name = "FILE.so", required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// Settings it takes, JSON.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    config: String,
    /// Only this case; may be repeated.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Where chance begins: a failure tells it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tell it in TAP 13.
    #[arg(long, conflicts_with = "json")]
    tap: bool,
    /// Tell it in JSON.
    #[arg(long)]
    json: bool,
    /// List the cases and their rules.
    #[arg(long)]
    list: bool,
    /// Check this case in this process.
    #[arg(long, hide = true, requires = "verdict")]
    case: Option<String>,
    /// Where its verdict goes.
    #[arg(long, hide = true)]
    verdict: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let (Some(plugin), false) = (cli.plugin.clone(), cli.list) else {
        for case in ALL {
            println!("{}: {}", case.name, case.rule);
        }
        return Ok(ExitCode::SUCCESS);
    };
    if let (Some(name), Some(verdict)) = (&cli.case, &cli.verdict) {
        watch::begin(verdict)?;
        watch::finish(&one(name, Subject::new(plugin, cli.config, cli.seed)));
    }
    if let Some(unknown) = cli.only.iter().find(|name| Case::named(name).is_none()) {
        anyhow::bail!("there is no case {unknown}; --list tells them");
    }
    all(cli, plugin)
}

fn one(name: &str, subject: Subject) -> Outcome {
    for (what, most) in [(Resource::As, MEMORY_MAX), (Resource::Fsize, FILE_MAX), (Resource::Core, 0)] {
        // A limit that cannot be set protects nobody, and is no fault of the driver's.
        let _ = setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) });
    }
    match Case::named(name) {
        Some(case) => case.check(&subject),
        None => Outcome::Fail(format!("there is no case {name}")),
    }
}

fn all(cli: Cli, plugin: PathBuf) -> anyhow::Result<ExitCode> {
    let form = match (cli.tap, cli.json) {
        (true, _) => Form::Tap,
        (_, true) => Form::Json,
        _ => Form::Words,
    };
    let name = plugin.display().to_string();
    let program = std::env::current_exe()?;
    // A library is looked up by its name alone where there is no slash in it.
    let plugin = std::path::absolute(plugin)?;
    let plan = Plan { program, plugin, config: cli.config, seed: cli.seed, only: cli.only };
    let cases = if plan.only.is_empty() { ALL.len() } else { plan.only.len() };
    say(&report::head(form, &name, cases));
    let mut number = 0;
    let told = runner::run(&plan, |ran| {
        number += 1;
        say(&report::line(form, number, ran));
    })?;
    say(&report::foot(form, &name, &told));
    let failed = told.iter().any(|ran| matches!(ran.outcome, Outcome::Fail(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whoever reads it may have gone; the exit code tells all the same.
fn say(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
