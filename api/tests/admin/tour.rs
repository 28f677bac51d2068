//! The tour of `admin/README.md`, command by command against a server of the demo: what it shows is what is answered.
//! Knows Markdown's fences and no resource.

use crate::support::DEMO_TOKEN;
use crate::{peripherals, testers};
use serde_json::Value;
use std::process::Command;

/// Between what two blocks of commands print.
const MARK: &str = "== the next block of the tour ==";

/// Each block of commands, with the JSON that the README says it prints, if it does.
fn blocks(readme: &str) -> Vec<(String, Option<Value>)> {
    let mut found: Vec<(String, Option<Value>)> = Vec::new();
    let mut rest = readme;
    while let Some((_, fence)) = rest.split_once("\n```") {
        let (kind, after) = fence.split_once('\n').unwrap();
        let (text, after) = after.split_once("\n```").unwrap();
        match kind {
            "sh" => found.push((text.to_owned(), None)),
            "json" => {
                let last = found.last_mut().expect("an answer belongs to a command");
                last.1 = Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}")));
            }
            _ => {}
        }
        rest = after;
    }
    found
}

#[test]
fn the_tour_of_the_readme_runs_command_by_command_and_answers_what_it_shows() {
    let readme = std::fs::read_to_string(testers::admin("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 8, "the tour has {} blocks", blocks.len());
    let site = peripherals::site("file:/dev/null");
    let server = site.start();
    let commands: Vec<&str> = blocks.iter().map(|(commands, _)| commands.as_str()).collect();
    let script = format!("set -euo pipefail\n{}\n", commands.join(&format!("\necho; echo '{MARK}'\n")));
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(folder.path());
    shell.env("GATEHOUSE", format!("http://{}", server.api)).env("TOKEN", DEMO_TOKEN);
    let done = shell.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    let printed: Vec<&str> = out.split(MARK).collect();
    for ((commands, shown), printed) in blocks.iter().zip(printed) {
        let Some(shown) = shown else { continue };
        let answer: Value = serde_json::from_str(printed.trim())
            .unwrap_or_else(|error| panic!("{commands}\nanswers no JSON ({error}): {printed}"));
        assert_eq!(&answer, shown, "{commands}");
    }
}
