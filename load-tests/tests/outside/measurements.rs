//! `compare` and `memory` from start to end, with a stand-in for the server: a script that runs this test program again
//! as [`stand_in_for_gatehouse`]. The figures are worth nothing; that every step is taken and written down is the test.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use crate::fake_server::{Answer, Writing, demo_rule, serve_on};

/// Holds the arguments when this test program is run as the server.
const STAND_IN_ARGS: &str = "STAND_IN_FOR_GATEHOUSE";

/// Not a test: the server's side of the two below. Does nothing unless their script asks for it.
#[test]
fn stand_in_for_gatehouse() {
    let Ok(args) = std::env::var(STAND_IN_ARGS) else { return };
    let args: Vec<&str> = args.split(' ').collect();
    let value = |name: &str| args.iter().position(|arg| *arg == name).map(|at| args[at + 1]).unwrap();
    let imported = PathBuf::from(format!("{}-imported.csv", value("--data-dir")));
    match args[0] {
        "import" => drop(fs::copy(args[args.len() - 1], imported).unwrap()),
        _ => serve_until_sigterm(value("--device-addr").parse().unwrap(), imported),
    }
    std::process::exit(0);
}

fn serve_until_sigterm(addr: SocketAddr, imported: PathBuf) {
    let (demo, used) = (demo_rule(), Mutex::new(std::collections::HashSet::new()));
    let rule = move |code: &str| match code.strip_prefix("LOAD") {
        None => demo(code),
        Some(_) if !fs::read_to_string(&imported).unwrap_or_default().contains(code) => {
            Answer::Deny("unknown_ticket")
        }
        Some(_) if used.lock().unwrap().insert(code.to_owned()) => Answer::Admit,
        Some(_) => Answer::Deny("already_used"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        serve_on(addr, Arc::new(rule), Writing::Whole);
        stop.recv().await;
    });
}

/// A program that can be started as `gatehouse serve …` and `gatehouse import …`.
fn stand_in(dir: &Path) -> PathBuf {
    let path = dir.join("gatehouse");
    let test_program = std::env::current_exe().unwrap();
    let test = "measurements::stand_in_for_gatehouse";
    let script = format!(
        "#!/bin/sh\n{STAND_IN_ARGS}=\"$*\" exec '{}' --exact {test} --nocapture\n",
        test_program.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn run(args: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatehouse-load")).args(args).output().unwrap()
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_comparison_runs_both_servers_and_writes_its_results_down() {
    let dir = tempfile::tempdir().unwrap();
    let (work, out, program) = (dir.path().join("work"), dir.path().join("out"), stand_in(dir.path()));
    fs::create_dir(&work).unwrap();
    let flags =
        ["--rounds", "1", "--seconds", "0.2", "--warmup", "0.05", "--connections", "4", "--rate", "200"];
    let cores = ["--server-core", "0", "--client-core", "0", "--busy-ok", "--commit", "abc123"];
    let mut args: Vec<&OsStr> = vec!["compare".as_ref(), "--gatehouse".as_ref(), program.as_ref()];
    args.extend(["--before".as_ref(), program.as_os_str()]);
    args.extend(["--out".as_ref(), out.as_os_str(), "--work-dir".as_ref(), work.as_os_str()]);
    args.extend(flags.iter().chain(&cores).map(OsStr::new));
    let output = run(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");

    let result = read_json(&out.join("compare.json"));
    assert_eq!(result["commit"], "abc123");
    assert_eq!(result["rounds"].as_array().unwrap().len(), 1);
    assert!(result["echo"]["server_cpu_us"]["median"].as_f64().unwrap() > 0.0);
    assert!(result["gatehouse"]["server_cpu_us"]["median"].as_f64().unwrap() > 0.0);
    for side in ["gatehouse", "earlier"] {
        assert!(result["rounds"][0][side]["run"]["tally"]["admitted"].as_u64().unwrap() > 0, "{side}");
    }
    assert!(result["earlier"]["server_cpu_us"]["median"].as_f64().unwrap() > 0.0);
    assert_eq!(result["earlier_open"]["latency"]["count"], 40);
    assert_eq!(result["disk_paced"]["latency"]["count"], 40);
    assert!(result["disk"]["latency"]["count"].as_u64().unwrap() > 0);
    assert_eq!(result["open"]["latency"]["count"], 40);
    let markdown = fs::read_to_string(out.join("compare.md")).unwrap();
    assert!(markdown.contains("CPU per validated scan / CPU per echo"), "{markdown}");
    assert!(markdown.contains("gatehouse-load compare --gatehouse"), "{markdown}");
    assert!(markdown.contains("÷ before"), "{markdown}");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0, "the run leaves nothing behind");
}

#[test]
fn memory_is_measured_over_import_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (work, out, program) = (dir.path().join("work"), dir.path().join("out"), stand_in(dir.path()));
    fs::create_dir(&work).unwrap();
    let mut args: Vec<&OsStr> = vec!["memory".as_ref(), "--gatehouse".as_ref(), program.as_ref()];
    args.extend(["--out".as_ref(), out.as_os_str(), "--work-dir".as_ref(), work.as_os_str()]);
    args.extend(["--tickets", "200"].map(OsStr::new));
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let result = read_json(&out.join("memory.json"));
    assert_eq!(result["tickets"], 200);
    assert!(result["resident_imported"].as_u64().unwrap() > 0);
    assert!(result["restart_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(result["proof"]["tally"]["admitted"], 200);
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0, "the run leaves nothing behind");
}

#[test]
fn a_server_that_does_not_start_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("gatehouse");
    fs::write(&program, "#!/bin/sh\necho 'bad settings: no such thing' >&2\nexit 64\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = run(&["memory".as_ref(), "--gatehouse".as_ref(), program.as_ref()]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("ended while starting"), "{errors}");
    assert!(errors.contains("bad settings: no such thing"), "{errors}");
}
