//! `bench-beside admin` from end to end, on the program itself, with few of everything: its figures mean nothing here; that the
//! office really does its work beside the gates is the test.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn gates_are_measured_beside_an_office_that_works_and_questions_are_asked() {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench-beside"));
    let gatehouse = bench.with_file_name("gatehouse");
    assert!(gatehouse.exists(), "tests of the workspace build it; alone: cargo build -p api");
    let out = tempfile::tempdir().unwrap();
    let args = ["admin", "--quick", "--busy-ok", "--questions", "3", "--connections", "4", "--out"];
    let ended =
        Command::new(bench).args(args).arg(out.path()).arg("--gatehouse").arg(gatehouse).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(out.path().join(name)).unwrap()).unwrap()
    };
    let report = read("admin.json");
    let sides = report["sides"].as_array().unwrap();
    assert_eq!(sides.len(), 5);
    for side in &sides[1..] {
        let told = side["beside"][0].as_str().unwrap();
        assert!(told.bytes().any(|byte| (b'1'..=b'9').contains(&byte)), "{told}");
    }
    assert_eq!(sides[0]["beside"], Value::Array(Vec::new()));
    let questions = read("questions.json");
    assert!(questions["questions"].as_array().unwrap().iter().all(|own| own["found"] == 3));
    assert!(questions["reached"].as_array().unwrap().iter().all(|own| own["times"].as_u64() > Some(0)));
    let table = std::fs::read_to_string(out.path().join("questions.md")).unwrap();
    assert!(table.contains("| counts of an event | 3 | 3 |"), "{table}");
}
