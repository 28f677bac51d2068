//! Holds the lines the compiler does not: who may know what, how files begin, how long functions are, what the
//! documents name.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FUNCTION_LINES_MAX: usize = 70;

/// What a driver may not reach for: its host owns the device.
const CODEC: &[&str] = &["std::net", "std::fs", "std::process", "std::thread", "libc::", "rustix"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn files(under: &str, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                let short = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((short, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    ["engine", "admin", "api", "bench", "load-tests", "drivers"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

fn fail_on(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The code of a file without its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn every_file_says_what_it_owns() {
    fail_on(
        sources()
            .into_iter()
            .filter(|(_, text)| !text.starts_with("//!"))
            .map(|(name, _)| format!("{name}: line 1 is not //!"))
            .collect(),
    );
}

/// Files whose path begins so, words they may not have, and why.
const LINES: &[(&str, &[&str], &str)] = &[
    (
        "engine/core/src",
        &["tokio", "rusqlite", "std::net", "httparse", "simd_json"],
        "the engine knows no network, SQL, HTTP or async runtime",
    ),
    ("engine/core/src/decide.rs", &["Mutex", "std::fs", "SystemTime", "Instant"], "decide is pure"),
    (
        "engine/core/src/state.rs",
        &["Mutex", "std::fs", "SystemTime", "Instant"],
        "apply depends on the record alone",
    ),
    ("engine/store/src", &["std::net", "httparse"], "the store knows no network stack"),
    ("engine/store/src/sqlite", &["tokio"], "only the PostgreSQL store needs a runtime, and hides it"),
    ("engine/store/src/apply.rs", &["tokio", "rusqlite"], "which rows a record touches is any database's"),
    ("engine/store/src/projector.rs", &["tokio", "rusqlite"], "the projector knows no database"),
    ("api/src/http", &["engine::", "serde", "crate::port", "crate::profile"], "http knows no ticket"),
    ("api/src/body", &["tokio", "crate::http", "crate::port"], "bodies know no socket"),
    ("api/src/profile", &["tokio", "crate::http", "crate::port"], "profiles know no socket"),
    (
        "drivers/peripherals/src",
        &["engine::", "api::", "libloading", "rusb", "serialport", "driver_host"],
        "the supervisor loads no driver and opens no device: its hosts do",
    ),
    (
        "drivers/documents/src",
        &["std::net", "std::process", "std::fs", "driver_host"],
        "templates know no device and no file",
    ),
    ("drivers/escpos/src", CODEC, "a driver is a codec"),
    ("drivers/fgl/src", CODEC, "a driver is a codec"),
    ("drivers/pole-display/src", CODEC, "a driver is a codec"),
    ("drivers/virtual/src", CODEC, "a driver is a codec"),
    ("drivers/zpl/src", CODEC, "a driver is a codec"),
    (
        "drivers/emulators/src",
        &["driver_abi", "driver_sdk", "driver_escpos", "driver_pole_display", "driver_raster"],
        "who judges drivers shares no code with them",
    ),
    (
        "admin/src",
        &["api::", "std::net::TcpStream", "rusqlite"],
        "admin knows neither the device port nor a database",
    ),
    (
        "admin/webhooks/src",
        &["axum", "tokio", "store::", "admin::"],
        "webhooks know no HTTP server, right or store",
    ),
    ("api/src/port", &["admin::", "axum"], "the device port knows nothing of the admin API"),
    (
        "engine/lists/src",
        &["tokio", "axum", "rusqlite", "std::fs", "std::net"],
        "lists know no server, file or SQL",
    ),
    ("engine/secrets/src", &["engine::", "tokio"], "secrets know no ticket and no network"),
    ("load-tests/src", &["engine::", "api::", "store::"], "the load program speaks HTTP only"),
];

#[test]
fn nobody_imports_what_it_must_not_know() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for (prefix, words, why) in LINES.iter().filter(|(prefix, _, _)| name.starts_with(prefix)) {
            let code = product(&text)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            for word in words.iter().filter(|word| has_word(&code, word)) {
                problems.push(format!("{name} names {word}: {why} ({prefix})"));
            }
        }
    }
    fail_on(problems);
}

/// Is a word in the code? One that ends like a crate's name in a path only where the path begins with it.
fn has_word(code: &str, word: &str) -> bool {
    let within = |before: char| before.is_alphanumeric() || "_:".contains(before);
    code.match_indices(word).any(|(at, _)| !(word.ends_with("::") && code[..at].ends_with(within)))
}

/// The server's program has no part that loads a driver or opens a device, whoever depends on whom.
#[test]
fn the_server_is_built_without_what_loads_drivers() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--package", "api", "--edges", "normal", "--prefix", "none", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let has = |name: &str| text.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(has("peripherals"), "{text}");
    for name in ["libloading", "rusb", "libusb1-sys", "serialport", "unifont", "driver-host", "driver-sdk"] {
        assert!(!has(name), "the server depends on {name}");
    }
}

#[test]
fn unsafe_code_is_in_two_files_only() {
    let allowed = ["drivers/sdk/src/ffi.rs", "drivers/host/src/plugin.rs"];
    // Types of C functions are no unsafe code, nor is the export that the SDK's macro writes.
    let code =
        |line: &&str| !line.trim_start().starts_with("//") && !line.contains("unsafe extern \"C\" fn(");
    let problems = sources()
        .into_iter()
        .filter(|(name, _)| !allowed.contains(&name.as_str()) && name.contains("/src/"))
        .filter(|(_, text)| {
            text.lines().filter(code).any(|line| {
                line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
            })
        })
        .map(|(name, _)| format!("{name}: unsafe code"))
        .collect();
    fail_on(problems);
}

#[test]
fn only_the_disk_touches_the_file_system_in_the_engine() {
    let outside = |name: &str| name.starts_with("engine/core/src") && name != "engine/core/src/disk.rs";
    let problems = sources()
        .into_iter()
        .filter(|(name, text)| outside(name) && product(text).contains("std::fs"))
        .map(|(name, _)| format!("{name}: std::fs"))
        .collect();
    fail_on(problems);
}

#[test]
fn no_function_is_longer_than_seventy_lines() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            let is_fn = ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(crate) fn ", "pub(super) fn "]
                .iter()
                .any(|word| code.starts_with(word));
            if !is_fn || code.ends_with([';', '}']) {
                continue;
            }
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| **line == close).unwrap_or(0);
            if length > FUNCTION_LINES_MAX {
                problems.push(format!("{name}:{} has {length} lines", start + 1));
            }
        }
    }
    fail_on(problems);
}

#[test]
fn nothing_is_left_over() {
    let words = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["db", "g!("].concat(),
        ["#[ig", "nore"].concat(),
        ["FIX", "ME"].concat(),
    ];
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for word in words.iter().filter(|word| text.contains(word.as_str())) {
            problems.push(format!("{name}: {word}"));
        }
    }
    fail_on(problems);
}

#[test]
fn migrations_are_numbered_and_paired() {
    let names: Vec<String> = files("migrations", "sql").into_iter().map(|(name, _)| name).collect();
    assert!(!names.is_empty());
    for name in &names {
        let other = if name.ends_with(".up.sql") {
            name.replace(".up.sql", ".down.sql")
        } else {
            name.replace(".down.sql", ".up.sql")
        };
        assert!(names.contains(&other), "{name} has no {other}");
    }
    // Each database counts for itself.
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ups: Vec<&String> = names.iter().filter(|name| name.ends_with(".up.sql")).collect();
    ups.sort();
    for name in ups {
        let (folder, file) = name.rsplit_once('/').unwrap();
        let number = numbers.entry(folder).or_default();
        *number += 1;
        assert!(file.starts_with(&format!("{number:04}_")), "{name} should have the number {number:04}");
    }
}

#[test]
fn the_documents_name_what_is_there() {
    let mut problems = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "STYLE.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/')
                && !word.contains(' ')
                && ["engine/", "api/", "bench/", "load-tests/", "migrations/", "drivers/"]
                    .iter()
                    .any(|own| word.starts_with(own));
            if is_path && !word.contains(['{', '*', '<', '…']) && !root().join(word).exists() {
                problems.push(format!("{document} names {word}, which is not there"));
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http")
                && !link.starts_with('#')
                && !root().join(link.split('#').next().unwrap()).exists()
            {
                problems.push(format!("{document} links to {link}, which is not there"));
            }
        }
    }
    fail_on(problems);
}

#[test]
fn the_peripherals_file_of_the_readme_is_good() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let begin = readme.find("# peripherals.toml:").expect("the README shows one");
    let text = &readme[begin..begin + readme[begin..].find("```").unwrap()];
    let settings = peripherals::Settings::parse("README.md", text, &root()).unwrap();
    assert!(settings.peripherals.len() >= 2 && settings.rules.len() >= 2);
}

#[test]
fn every_invariant_has_its_test() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let all: String = sources().into_iter().map(|(_, text)| text).collect();
    let rows: Vec<&str> = map
        .lines()
        .filter(|line| {
            line.starts_with("| A")
                || line.starts_with("| J")
                || line.starts_with("| P")
                || line.starts_with("| D")
                || line.starts_with("| H")
                || line.starts_with("| S")
        })
        .collect();
    assert!(rows.len() >= 12, "the table of invariants is missing");
    let mut problems = Vec::new();
    for row in rows {
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            problems.push(format!("no test is named in: {row}"));
        }
        for test in tests.into_iter().filter(|test| !all.contains(&format!("fn {test}("))) {
            problems.push(format!("the test {test} is not there: {row}"));
        }
    }
    fail_on(problems);
}

/// A committed result's file, as JSON.
fn result(folder: &str, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(root().join(folder).join(name)).unwrap()).unwrap()
}

#[test]
fn the_readme_says_what_was_measured() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let measured = readme.split("\n## Measured\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let folder = measured.split("](").nth(1).unwrap().split("/README.md)").next().unwrap();
    let rows = [rows_of_compare(folder), rows_of_sides(folder), rows_of_memory_and_micro(folder)].concat();
    let mut problems = Vec::new();
    for (label, figures) in rows {
        let row = measured.lines().find(|line| line.starts_with(&format!("| {label}")));
        let row = row.unwrap_or_else(|| panic!("the README has no row '{label}'"));
        let missing = figures.into_iter().filter(|figure| !row.contains(figure.as_str()));
        problems.extend(missing.map(|figure| format!("measured was {figure}, the README says {row}")));
    }
    fail_on(problems);
}

/// How a row of the README begins, and what has to stand in it.
type Row = (&'static str, Vec<String>);

fn number(found: Option<&serde_json::Value>) -> f64 {
    found.unwrap().as_f64().unwrap()
}

fn rows_of_compare(folder: &str) -> Vec<Row> {
    let compare = result(folder, "compare.json");
    let of = |pointer: &str| number(compare.pointer(pointer));
    let ms = |pointer: &str| format!("{:.1} ms", of(pointer) / 1e3);
    let scans = |pointer: &str| {
        let hundreds = (of(pointer) / 500.0).round() as u32 * 5;
        format!("{},{}00", hundreds / 10, hundreds % 10)
    };
    let earlier_cpu = of("/earlier/server_cpu_us/median") / of("/echo/server_cpu_us/median");
    let earlier_open = |p: &str| of(&format!("/earlier_open/latency/{p}")) / of("/disk/latency/p99_us");
    let (p99, p999) = (of("/ratios/p99_to_fdatasync_p99"), of("/ratios/p999_to_fdatasync_p99"));
    let closed = ["gatehouse/p99_us", "gatehouse/p999_us", "earlier/p99_us", "earlier/p999_us"];
    vec![
        (
            "durable scans per second",
            vec![scans("/gatehouse/answers_per_second/median"), scans("/earlier/answers_per_second/median")],
        ),
        (
            "CPU per durable validated scan",
            vec![format!("| {:.1} |", of("/ratios/cpu_to_echo")), format!("| {earlier_cpu:.1} |")],
        ),
        ("closed loop", closed.map(|name| ms(&format!("/{name}/median"))).to_vec()),
        ("a connection for each scan", vec![scans("/per_scan/answers_per_second")]),
        (
            "open loop",
            vec![
                format!("| {p99:.1}; {p999:.0} |"),
                format!("| {:.1}; {:.0} |", earlier_open("p99_us"), earlier_open("p999_us")),
                format!("p50 {:.2} ms", of("/open/latency/p50_us") / 1e3),
                format!("p99.9 {}", ms("/open/latency/p999_us")),
            ],
        ),
        ("the same p99.9", vec![format!("| {:.1} |", of("/ratios/p999_to_paced_disk_p999"))]),
    ]
}

fn rows_of_sides(folder: &str) -> Vec<Row> {
    let (stacks, peers) = (result(folder, "stacks.json"), result(folder, "peers.json"));
    let side = |report: &serde_json::Value, name: &str, pointer: &str| {
        let sides = report["sides"].as_array().unwrap();
        let side = sides.iter().find(|side| side["name"].as_str().unwrap().contains(name));
        number(side.unwrap_or_else(|| panic!("no side '{name}'")).pointer(pointer))
    };
    let rate = |name: &str| side(&peers, name, "/medians/answers_per_second/median");
    let cpu = |name: &str| side(&stacks, name, "/medians/server_cpu_us/median");
    let (own_rate, own_cpu) = (rate("gatehouse"), cpu("our port"));
    vec![
        (
            "the same rate ÷ PostgreSQL",
            vec![format!("| {:.1}; {:.1} |", own_rate / rate("PostgreSQL"), own_rate / rate("Redis"))],
        ),
        (
            "CPU of our port alone",
            vec![format!("| {:.2}; {:.2} |", own_cpu / cpu("may_minihttp"), own_cpu / cpu("axum"))],
        ),
    ]
}

fn rows_of_memory_and_micro(folder: &str) -> Vec<Row> {
    let [memory, many, micro] =
        ["memory", "memory-10m", "micro"].map(|name| result(folder, &format!("{name}.json")));
    let of = |result: &serde_json::Value, name: &str| number(result.get(name));
    let ns = |name: &str| number(micro[name].get("ns"));
    let decide = |name: &str| ns(&format!("decide_apply/{name}")) / 1e3;
    vec![
        (
            "decide + apply",
            vec![
                format!("{:.2} µs", decide("reentry_1000")),
                format!("{:.1} µs", decide("reentry_1000000")),
                format!("| {:.1} µs |", decide("reentry_10000000")),
            ],
        ),
        ("replay", vec![format!("| {:.1} million |", 200_000.0 / ns("state/replay_scans") * 1e3)]),
        (
            "ten million tickets",
            vec![format!(
                "| {:.1} GB; {:.0} s; {:.1} s |",
                of(&many, "resident_restarted") / 1e9,
                of(&many, "import_seconds"),
                of(&many, "restart_seconds")
            )],
        ),
        (
            "import of a million",
            vec![format!("{:.1} s; {:.1} s", of(&memory, "import_seconds"), of(&memory, "restart_seconds"))],
        ),
        ("resident bytes per ticket", vec![format!("| {:.0} |", of(&memory, "bytes_per_ticket_restarted"))]),
    ]
}
