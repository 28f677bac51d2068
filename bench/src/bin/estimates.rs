//! `bench-estimates CRITERION_DIR [GROUP]...`: criterion's last estimates as one line of JSON, nanoseconds by name. Knows
//! where criterion keeps them; measures nothing.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Nanoseconds per scan (or whatever a bench does once), with the 95 % interval.
#[derive(Serialize)]
struct Estimate {
    ns: f64,
    ns_low: f64,
    ns_high: f64,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let root = args.next().context("usage: bench-estimates CRITERION_DIR [GROUP]...")?;
    let root = Path::new(&root);
    let groups: Vec<String> = args.collect();
    let mut found = BTreeMap::new();
    if groups.is_empty() {
        collect(root, root, &mut found)?;
    }
    for group in &groups {
        collect(root, &root.join(group), &mut found)?;
    }
    anyhow::ensure!(!found.is_empty(), "no estimates in {}: run the benches first", root.display());
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

/// Every directory `new` with estimates, under the name of the path to it.
fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<String, Estimate>) -> Result<()> {
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

fn estimate(file: &Path) -> Result<Estimate> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let all: Value = serde_json::from_str(&text).with_context(|| format!("parse {}", file.display()))?;
    // Criterion's best estimate is the slope; with flat samples there is only a mean.
    let best = if all["slope"].is_null() { &all["mean"] } else { &all["slope"] };
    let interval = &best["confidence_interval"];
    let ns = |value: &Value| {
        let ns = value.as_f64().with_context(|| format!("find the estimate in {}", file.display()))?;
        Ok::<f64, anyhow::Error>((ns * 10.0).round() / 10.0)
    };
    Ok(Estimate {
        ns: ns(&best["point_estimate"])?,
        ns_low: ns(&interval["lower_bound"])?,
        ns_high: ns(&interval["upper_bound"])?,
    })
}
