//! The kit finds what it is for: drivers that keep the rules pass whole, and each planted fault is found by the case
//! that is meant for it, in words that name it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Kits that run at a time: most of their time is waiting for a driver that hangs.
const AT_ONCE: usize = 6;

/// A mode of `misbehaving.c`, the case that finds it, and words of what it finds.
const FAULTS: &[(&str, &str, &str)] = &[
    ("hang-create", "create", "`create` did not come back"),
    ("hang-status", "status", "`status` did not come back"),
    ("hang-run", "document", "`run` did not come back"),
    ("hang-tick", "tick", "`tick` did not come back"),
    ("hang-reset", "reset", "`reset` did not come back"),
    ("hang-destroy", "lives", "`destroy` did not come back"),
    ("busy-loop", "document", "`run` did not come back"),
    ("late", "mute-device", "`run` did not come back"),
    ("deaf-to-cancel", "cancel", "ms after its host gave up"),
    ("after-cancel", "cancel", "went on calling its host"),
    ("crash", "document", "in or after `run`: SIGSEGV (11)"),
    ("abort", "document", "in or after `run`: SIGABRT (6)"),
    ("exit", "document", "in or after `run`: it called exit, code 0"),
    ("panic-run", "document", "`run`: the driver panicked"),
    ("panic-status", "status", "`status`: the driver panicked"),
    ("panic-tick", "tick", "`tick`: the driver panicked"),
    ("panic-reset", "reset", "`reset`: the driver panicked"),
    ("stdout", "keeps-to-itself", "bytes to standard output: \"printing"),
    ("leak-create", "lives", "KiB behind"),
    ("leak-run", "memory", "200 documents left"),
    ("open-file", "keeps-to-itself", "files were there before"),
    ("close-files", "keeps-to-itself", "files were there before"),
    ("thread", "keeps-to-itself", "threads were there before"),
    ("log-flood", "log", "lines of the log"),
    ("status-flood", "log", "changes of status"),
    ("bad-capabilities", "capabilities", "the device answered something it must not"),
    ("changing-capabilities", "capabilities", "they changed"),
    ("capabilities-overrun", "capabilities", "beyond the room of 0 bytes"),
    ("prints-in-probe", "probe", "`probe` wrote 13 bytes without GHD_W_ASK"),
    ("prints-in-status", "status", "`status` wrote 13 bytes without GHD_W_ASK"),
    ("prints-in-reset", "reset", "`reset` wrote 1 bytes without GHD_W_ASK"),
    ("growing-reset", "reset", "repeated, it wrote 0d0d and then 0d0d0d"),
    ("status-bits", "status", "bits that no GHD_S_ is"),
    ("says-none", "broken-line", "answered GHD_DONE_NONE"),
    ("says-sent", "broken-line", "and `run` answered Sent"),
    ("says-confirmed", "document", "no byte that prints had left"),
    ("confirms-unheard", "mute-device", "the device said nothing"),
    ("asks-in-run", "document", "with GHD_W_ASK"),
    ("repeats", "slow-device", "something came twice"),
    ("ops-done", "document", "answered that 1002 of 2 ops are done"),
    ("done-number", "document", "done = 77"),
    ("code-number", "document", "the code -99"),
    ("text-too-long", "document", "a text of 100000 bytes"),
    ("text-not-utf8", "document", "not UTF-8"),
    ("raw-text", "control-characters", "as a byte 0x"),
    ("any-op", "bad-ops", "kind 0: GHD_OK"),
    ("paper-out-hidden", "paper-out", "`status` was told that there is no paper"),
];

/// The same of what is wrong when it is compiled: macros of `misbehaving.c`.
const TABLES: &[(&str, &str, &str)] = &[
    ("TABLE_MAGIC=7", "table", "magic: expected 0x31444847, found 0x00000007"),
    ("TABLE_MAJOR=2", "table", "abi_major: this host has 1, the driver 2"),
    ("TABLE_SIZE=64", "table", "struct_size: ABI 1.0 has 192 bytes, found 64"),
    ("ENTRY=another_name", "table", "ghd_driver_entry_v1"),
    ("RUN=NULL", "table", "run: this function is missing"),
    ("KIND=9", "table", "kind: 9 is neither printer nor display"),
    ("ID=\"Mis Behaving\"", "table", "id: \"Mis Behaving\""),
    ("ID=\"\\xff\"", "table", "id: invalid utf-8"),
    ("SCHEMA_ROOT=\"nonsense\"", "table", "config_schema: no JSON"),
    ("ACCEPTS(a,b)=0", "table", "refused this host"),
    ("ACCEPTS(a,b)=((b)==0)", "newer-minor", "refused a host of version 1.99"),
    ("ACCEPTS(a,b)=(DRIVER.abi_major=(a),1)", "other-major", "claims to be of version 0"),
    ("SCHEMA_ROOT=\"{\\\"type\\\":12,\"", "schema", "it is no JSON Schema"),
    ("SETTINGS=1", "settings", "took the settings"),
    ("SETTINGS=2", "settings", "without a word in the log"),
    ("SETTINGS=3", "settings", "with code -4"),
];

fn kit(plugin: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatehouse-driver-testkit")).arg(plugin).args(args).output().unwrap()
}

/// Runs one case and gives what it found, or what is wrong with the kit.
fn found(plugin: &Path, config: &str, case: &str) -> Result<String, String> {
    let out = kit(plugin, &["--json", "--config", config, "--only", case]);
    let told: Value = serde_json::from_slice(&out.stdout).map_err(|error| format!("{error}: {out:?}"))?;
    match (&told["cases"][0]["found"], out.status.code()) {
        (Value::String(found), Some(1)) if told["conforms"] == false => Ok(found.clone()),
        _ => Err(format!("nothing was found: {told}")),
    }
}

/// What does not come out as the table says.
fn misses(table: &[(&str, &str, &str)], subject: impl Fn(&str) -> (PathBuf, String) + Sync) -> Vec<String> {
    let (waiting, missed) = (Mutex::new(table.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((fault, case, words)) = waiting.lock().next() else { return };
                    let (plugin, config) = subject(fault);
                    match found(&plugin, &config, case) {
                        Ok(found) if found.contains(words) => {}
                        other => missed.lock().push(format!("{fault}, case {case}: {other:?}")),
                    }
                }
            });
        }
    });
    missed.into_inner()
}

#[test]
fn every_fault_of_the_misbehaving_driver_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = driver_misbehaving::build(dir.path());
    let missed = misses(FAULTS, |mode| (plugin.clone(), json!({ "mode": mode }).to_string()));
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_table_that_is_wrong_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let missed = misses(TABLES, |set| {
        let name: String = set.chars().filter(char::is_ascii_alphanumeric).collect();
        (driver_misbehaving::build_variant(dir.path(), &name, &[set]), "{}".to_owned())
    });
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn the_table_of_faults_has_every_mode() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = driver_misbehaving::build(dir.path());
    let info = driver_host::plugin::Plugin::load(&plugin, None).unwrap().info;
    let schema: Value = serde_json::from_str(&info.config_schema).unwrap();
    let modes: Vec<&str> = schema["properties"]["mode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap())
        .collect();
    let found: Vec<&str> = std::iter::once("good").chain(FAULTS.iter().map(|(mode, ..)| *mode)).collect();
    assert_eq!(modes, found);
}

#[test]
fn settings_that_are_refused_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = kit(&driver_misbehaving::build(dir.path()), &["--json", "--config", r#"{"mode":"no such"}"#]);
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), &told["failed"]), (Some(1), &json!(1)), "{told}");
    let found = told["cases"][1]["found"].as_str().unwrap();
    assert!(found.ends_with("mode: there is no such mode"), "{found}");
}

#[test]
fn a_printer_in_c_that_keeps_the_rules_passes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = kit(&driver_misbehaving::build(dir.path()), &["--tap", "--config", r#"{"mode":"good"}"#]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    let cases = driver_testkit::cases::ALL.len();
    assert!(text.starts_with(&format!("TAP version 13\n1..{cases}\nok 1 - table\n")), "{text}");
    let end = format!("ok {cases} - paper-out\n# {cases} cases, 0 failed, 0 skipped\n");
    assert!(text.ends_with(&end), "{text}");
}

#[test]
fn a_display_in_c_that_keeps_the_rules_passes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = driver_misbehaving::build_variant(dir.path(), "display", &["KIND=GHD_KIND_DISPLAY"]);
    let out = kit(&plugin, &[]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// Who writes a driver in C begins with a copy of it.
#[test]
fn the_example_in_c_keeps_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = driver_misbehaving::build_example(dir.path());
    for config in ["{}", r#"{"form_feed":true}"#] {
        let out = kit(&plugin, &["--config", config]);
        assert!(out.status.success(), "{config}: {}", String::from_utf8_lossy(&out.stdout));
    }
}

/// Our own drivers, each with settings it takes. A dev-dependency puts its file beside this test's own.
const OURS: &[(&str, &str)] = &[
    ("virtual", "{}"),
    ("virtual_display", "{}"),
    ("escpos", "{}"),
    ("fgl", "{}"),
    ("zpl", "{}"),
    ("zpl", r#"{"status":false}"#),
    ("pole_display", "{}"),
];

#[test]
fn our_own_drivers_keep_the_rules() {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    std::thread::scope(|scope| {
        for (driver, config) in OURS {
            let plugin = dir.join(format!("libdriver_{driver}.so"));
            scope.spawn(move || {
                let out = kit(&plugin, &["--config", config]);
                assert!(out.status.success(), "{config}: {}", String::from_utf8_lossy(&out.stdout));
            });
        }
    });
}
