//! A comparison in words for people. Knows its figures; judges nothing.

use super::verdict::{Pair, Verdict};
use super::{Comparison, Run};
use comfy_table::{CellAlignment, Table, presets};
use std::collections::{BTreeMap, BTreeSet};

/// The page in Markdown.
pub fn markdown(a: &Run, b: &Run, found: &Comparison) -> String {
    let mut text = format!("# {} (A) and {} (B)\n\n{}", a.place, b.place, preface(found));
    let counted = |verdict| found.count(verdict);
    text += &format!(
        "{} worse, {} better, {} within the spread; of those with one value each {} worse, {} better.\n",
        counted(Verdict::Worse),
        counted(Verdict::Better),
        counted(Verdict::WithinSpread),
        counted(Verdict::WorseOnce),
        counted(Verdict::BetterOnce)
    );
    text += "better, worse: the spreads do not overlap. With a question mark: one value each, how far it varies is not\n";
    text += "known. Nothing: its name does not say which way is better.\n";
    for (file, pairs) in found.files.iter().filter(|(_, pairs)| !pairs.is_empty()) {
        text += &format!("\n## {file}\n\n{}\n", table(pairs));
    }
    for (name, alone) in ["A", "B"].iter().zip(&found.alone).filter(|(_, alone)| !alone.is_empty()) {
        text += &format!("\nOnly in {name}: {}.\n", listed(alone));
    }
    text
}

/// What makes the two less comparable than they look.
fn preface(found: &Comparison) -> String {
    let mut text = String::new();
    if found.machines_differ {
        text += "**Different machines: ratios across machines say nothing.**\n\n";
    }
    for (name, busy) in ["A", "B"].iter().zip(&found.busy).filter(|(_, busy)| !busy.is_empty()) {
        text += &format!("**Others used the machine of {name} ({}).**\n\n", joined(busy));
    }
    let moved: Vec<_> =
        found.yardsticks_moved().map(|pair| format!("{} × {}", pair.name, ratio(pair))).collect();
    if !moved.is_empty() {
        text += &format!(
            "**The machine itself ran otherwise: {}. So a part of every difference is the machine's.**\n\n",
            moved.join(", ")
        );
    }
    let [a, b] = &found.commits;
    if a != b {
        text += &format!("- commit: {} / {}\n", joined(a), joined(b));
    }
    for (name, a, b) in &found.settings {
        text += &format!("- {name}: {a} / {b}\n");
    }
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
    text
}

fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["figure", "A", "B", "", "B ÷ A", ""]);
    for pair in pairs {
        table.add_row([
            pair.name.clone(),
            number(pair.a),
            number(pair.b),
            pair.meaning.unit.to_owned(),
            ratio(pair),
            pair.verdict.word().to_owned(),
        ]);
    }
    for column in [1, 2, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Two digits behind the point, or more where there would be nothing else.
fn ratio(pair: &Pair) -> String {
    match pair.ratio() {
        None => String::new(),
        Some(ratio) if ratio.abs() < 0.01 && ratio != 0.0 => number(ratio),
        Some(ratio) => format!("{ratio:.2}"),
    }
}

/// Four digits or the whole part, whichever is more.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1_000.0 => format!("{value:.0}"),
        _ if size == size.trunc() => format!("{value}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "not told".to_owned();
    }
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

fn listed(alone: &BTreeMap<String, usize>) -> String {
    alone.iter().map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::figures::Figures;
    use serde_json::{Value, json};

    fn page(a: Value, b: Value) -> String {
        let run = |place: &str, file: &Value| Run {
            place: place.to_owned(),
            files: [("micro".to_owned(), Figures::of(file))].into(),
        };
        let (a, b) = (run("before", &a), run("after", &b));
        markdown(&a, &b, &Comparison::of(&a, &b))
    }

    #[test]
    fn a_page_names_what_differs_and_shows_the_worst_first() {
        let page = page(
            json!({"commit": "one", "machine": {"core_count": 2}, "x_us": 1, "old": 1,
                "a": {"ns": 10, "ns_low": 9, "ns_high": 11}}),
            json!({"commit": "two", "machine": {"core_count": 4}, "x_us": 2,
                "a": {"ns": 20, "ns_low": 19, "ns_high": 21}}),
        );
        for expected in [
            "# before (A) and after (B)",
            "**Different machines: ratios across machines say nothing.**",
            "- commit: one / two\n- core_count: 2 / 4\n",
            "1 worse, 0 better, 0 within the spread; of those with one value each 1 worse, 0 better.",
            "Only in A: micro: old (1).",
        ] {
            assert!(page.contains(expected), "{expected}\nis not in\n{page}");
        }
        let rows: Vec<_> =
            page.lines().filter(|line| line.contains("| ns ") || line.contains("µs")).collect();
        assert!(rows[0].contains("a.ns") && rows[0].contains("2.00") && rows[0].contains("**worse**"));
        assert!(rows[1].contains("x_us") && rows[1].contains("worse?"));
    }

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let texts = [84195.91, 240.24, 12.345, 7.2617, 0.00054, 0.0, 1000.0].map(number);
        assert_eq!(texts, ["84196", "240.2", "12.35", "7.262", "5.4e-4", "0", "1000"]);
    }
}
