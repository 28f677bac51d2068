//! `bench-estimates CRITERION_DIR [GROUP]`: criterion's last estimates as one line of JSON, nanoseconds by name. Knows
//! where criterion keeps them; measures nothing.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let root = args.next().context("usage: bench-estimates CRITERION_DIR [GROUP]")?;
    let start = args.next().map_or_else(|| root.clone(), |group| format!("{root}/{group}"));
    let mut found = Map::new();
    collect(Path::new(&root), Path::new(&start), &mut found)?;
    anyhow::ensure!(!found.is_empty(), "no estimates below {start}: run the benches first");
    println!("{}", Value::Object(found));
    Ok(())
}

/// Every directory `new` with estimates, under the name of the path to it.
fn collect(root: &Path, dir: &Path, found: &mut Map<String, Value>) -> Result<()> {
    let file = dir.join("new/estimates.json");
    if file.is_file() {
        let name = dir.strip_prefix(root).unwrap_or(dir).display().to_string();
        found.insert(name, estimate(&file)?);
    }
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("new") && !path.ends_with("base") && !path.ends_with("report") {
            collect(root, &path, found)?;
        }
    }
    Ok(())
}

fn estimate(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let all: Value = serde_json::from_str(&text).with_context(|| format!("parse {}", file.display()))?;
    // The slope is better where criterion has one; with custom timing and flat samples there is only a mean.
    let best = if all["slope"].is_null() { &all["mean"] } else { &all["slope"] };
    let ns = |value: &Value| value.as_f64().map(|ns| (ns * 10.0).round() / 10.0);
    let interval = &best["confidence_interval"];
    Ok(json!({
        "ns": ns(&best["point_estimate"]),
        "ns_low": ns(&interval["lower_bound"]),
        "ns_high": ns(&interval["upper_bound"]),
    }))
}
