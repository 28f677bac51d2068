//! What becomes of operations: waits for their end and tells it in a line. Knows no list.

use crate::api::Api;
use serde_json::Value;
use std::time::{Duration, Instant};

/// An operation of a million rows has so long, on a machine that others use too.
const LONG: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The operation at this path, once it has ended.
pub fn ended(api: &Api<'_>, at: &str) -> Value {
    let began = Instant::now();
    loop {
        let operation = api.get(at);
        if !["queued", "running"].contains(&operation["state"].as_str().unwrap()) {
            return operation;
        }
        assert!(began.elapsed() < LONG, "{operation}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// State and counts of an operation in one line.
pub fn came_to(operation: &Value) -> String {
    let counts = &operation["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    format!(
        "{} +{} ~{} ={} !{}",
        operation["state"].as_str().unwrap(),
        count("added"),
        count("changed"),
        count("unchanged"),
        count("failed")
    )
}

/// Rows that were not taken: line and reason.
pub fn errors(api: &Api<'_>, operation: &Value) -> Vec<String> {
    let at = format!("/api/v1/operations/{}/errors?limit=500", operation["id"].as_str().unwrap());
    let page = api.get(&at);
    let shown = |row: &Value| format!("{} {}", row["line"], row["reason"].as_str().unwrap());
    page["items"].as_array().unwrap().iter().map(shown).collect()
}
