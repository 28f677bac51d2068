//! What came of the cases, told: to people, as TAP 13, as JSON. Knows neither cases nor drivers.

use crate::cases::Outcome;
use crate::runner::Ran;
use serde_json::json;
use std::fmt::Write as _;

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Words,
    /// Test Anything Protocol, version 13.
    Tap,
    /// One JSON object.
    Json,
}

/// What stands before the cases.
pub fn head(form: Form, plugin: &str, cases: usize) -> String {
    match form {
        Form::Words => format!("{plugin}, {cases} cases\n"),
        Form::Tap => format!("TAP version 13\n1..{cases}\n"),
        Form::Json => String::new(),
    }
}

/// One case, as soon as it is over; `number` counts from 1.
pub fn line(form: Form, number: usize, ran: &Ran) -> String {
    match form {
        Form::Words => words(ran),
        Form::Tap => tap(number, ran),
        Form::Json => String::new(),
    }
}

/// What stands behind them.
pub fn foot(form: Form, plugin: &str, all: &[Ran]) -> String {
    let count = |wanted: fn(&Outcome) -> bool| all.iter().filter(|ran| wanted(&ran.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Fail(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skip(_)));
    match form {
        Form::Words if failed == 0 => {
            format!("\nThis driver keeps the rules: {} kept, {skipped} not visible.\n", all.len() - skipped)
        }
        Form::Words => format!("\n{failed} of {} rules are broken.\n", all.len()),
        Form::Tap => format!("# {} cases, {failed} failed, {skipped} skipped\n", all.len()),
        Form::Json => {
            let cases: Vec<_> = all.iter().map(case).collect();
            let all = json!({
                "plugin": plugin, "conforms": failed == 0, "failed": failed, "skipped": skipped, "cases": cases,
            });
            format!("{all:#}\n")
        }
    }
}

fn case(ran: &Ran) -> serde_json::Value {
    let (result, found, notes) = match &ran.outcome {
        Outcome::Pass(notes) => ("pass", None, notes.clone()),
        Outcome::Skip(why) => ("skip", Some(why), Vec::new()),
        Outcome::Fail(found) => ("fail", Some(found), Vec::new()),
    };
    json!({
        "name": ran.case.name, "result": result, "rule": ran.case.rule, "found": found, "notes": notes,
        "took_ms": u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn words(ran: &Ran) -> String {
    let mut text = String::new();
    let name = ran.case.name;
    // Writing to a string cannot fail.
    let _ = match &ran.outcome {
        Outcome::Pass(_) => writeln!(text, "  kept    {name}"),
        Outcome::Skip(why) => writeln!(text, "  unseen  {name}: {why}"),
        Outcome::Fail(found) => {
            writeln!(text, "  BROKEN  {name}\n          rule:  {}\n          found: {found}", ran.case.rule)
        }
    };
    if let Outcome::Pass(notes) = &ran.outcome {
        for note in notes {
            let _ = writeln!(text, "          note:  {note}");
        }
    }
    text
}

fn tap(number: usize, ran: &Ran) -> String {
    let name = ran.case.name;
    match &ran.outcome {
        Outcome::Pass(notes) => {
            let notes: String = notes.iter().map(|note| format!("# {}\n", one_line(note))).collect();
            format!("ok {number} - {name}\n{notes}")
        }
        Outcome::Skip(why) => format!("ok {number} - {name} # SKIP {}\n", one_line(why)),
        // YAML between the marks; a JSON string is a YAML string.
        Outcome::Fail(found) => format!(
            "not ok {number} - {name}\n  ---\n  expected: {}\n  found: {}\n  ...\n",
            json!(ran.case.rule),
            json!(found)
        ),
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
