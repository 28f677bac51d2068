//! Each case in a process of its own: this program started again, its end watched, its verdict read. Knows no rule.

use crate::cases::{ALL, Case, Outcome};
use crate::watch;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often is looked whether a case is over.
const LOOK: Duration = Duration::from_millis(10);
/// So much of what a driver wrote to standard error is told, in bytes.
const WORDS_MAX: usize = 600;
/// The case that looks at standard output.
const QUIET_CASE: &str = "keeps-to-itself";

/// A case and what came of it.
pub struct Ran {
    /// Which.
    pub case: &'static Case,
    /// What.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What is run.
pub struct Plan {
    /// This program: it is started again for each case.
    pub program: PathBuf,
    /// The driver's file.
    pub plugin: PathBuf,
    /// Its settings.
    pub config: String,
    /// Where chance begins.
    pub seed: u64,
    /// Only these; none: all.
    pub only: Vec<String>,
}

/// Runs the cases, one after another. `each` is told of every one.
///
/// # Errors
/// The system's, where no process can be started or no file written.
pub fn run(plan: &Plan, mut each: impl FnMut(&Ran)) -> anyhow::Result<Vec<Ran>> {
    let (mut all, mut broken) = (Vec::new(), None);
    for case in
        ALL.iter().filter(|case| plan.only.is_empty() || plan.only.iter().any(|name| name == case.name))
    {
        let began = Instant::now();
        let outcome = match broken {
            Some(first) => Outcome::Skip(format!("{first} has to be well first")),
            None => run_one(plan, case)?,
        };
        if case.first && matches!(outcome, Outcome::Fail(_)) {
            broken = Some(case.name);
        }
        let ran = Ran { case, outcome, took: began.elapsed() };
        each(&ran);
        all.push(ran);
    }
    Ok(all)
}

fn run_one(plan: &Plan, case: &Case) -> anyhow::Result<Outcome> {
    let dir = tempfile::tempdir()?;
    let verdict = dir.path().join("verdict.json");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let mut child = Command::new(&plan.program)
        .args(["--case", case.name, "--verdict"])
        .arg(&verdict)
        .args(["--seed", &plan.seed.to_string(), "--config", &plan.config])
        .arg(&plan.plugin)
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .spawn()?;
    let ended = wait(&mut child, case.limit)?;
    let outcome = read(case, ended, &verdict, &err);
    let printed = std::fs::metadata(&out)?.len();
    if case.name == QUIET_CASE && printed > 0 && !matches!(outcome, Outcome::Fail(_)) {
        return Ok(Outcome::Fail(format!("it wrote {printed} bytes to standard output: {:?}", words(&out))));
    }
    Ok(outcome)
}

/// Waits for its end, and ends it where it takes too long (`None`).
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn read(case: &Case, ended: Option<ExitStatus>, verdict: &Path, err: &Path) -> Outcome {
    let told = std::fs::read(verdict).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let call = std::fs::read_to_string(watch::called(verdict)).unwrap_or_default();
    let place = if call.is_empty() { "before any call".to_owned() } else { format!("in or after `{call}`") };
    match (ended, told) {
        (None, _) => Outcome::Fail(format!("it was not over after {} s, {place}", case.limit.as_secs())),
        (Some(status), Some(outcome)) if status.success() => outcome,
        (Some(status), _) => {
            let words = words(err);
            let words = if words.is_empty() { String::new() } else { format!("; it wrote {words:?}") };
            Outcome::Fail(format!("the process ended {place}: {}{words}", how(status)))
        }
    }
}

/// How a process ended, for people.
fn how(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("it called exit, code {}", status.code().unwrap_or_default());
    };
    let names =
        [(4, "SIGILL"), (6, "SIGABRT"), (7, "SIGBUS"), (8, "SIGFPE"), (9, "SIGKILL"), (11, "SIGSEGV")];
    let name = names.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| *name);
    format!("{name} ({signal})")
}

/// The beginning of what was written.
fn words(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(WORDS_MAX)]).trim().to_owned()
}
