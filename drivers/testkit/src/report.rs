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
        Form::Words => format!("\n{failed} of {} rules are broken, {skipped} not visible.\n", all.len()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::ALL;
    use std::time::Duration;

    fn three() -> Vec<Ran> {
        let outcomes = [
            Outcome::Pass(vec!["seed 1".to_owned()]),
            Outcome::Skip("nothing is asked".to_owned()),
            Outcome::Fail("it said \"none\"\nand printed".to_owned()),
        ];
        let ran = |(case, outcome)| Ran { case, outcome, took: Duration::from_millis(7) };
        ALL.iter().zip(outcomes).map(ran).collect()
    }

    fn told(form: Form) -> String {
        let all = three();
        let lines: String = all.iter().enumerate().map(|(index, ran)| line(form, index + 1, ran)).collect();
        head(form, "x.so", 3) + &lines + &foot(form, "x.so", &all)
    }

    #[test]
    fn tap_is_tap() {
        let rule = json!(ALL[2].rule);
        let wanted = format!(
            "TAP version 13\n1..3\nok 1 - table\n# seed 1\nok 2 - create # SKIP nothing is asked\n\
             not ok 3 - other-major\n  ---\n  expected: {rule}\n  found: \"it said \\\"none\\\"\\nand printed\"\n  ...\n\
             # 3 cases, 1 failed, 1 skipped\n"
        );
        assert_eq!(told(Form::Tap), wanted);
    }

    #[test]
    fn json_is_one_object_and_says_whether_the_driver_conforms() {
        let value: serde_json::Value = serde_json::from_str(&told(Form::Json)).expect("it is JSON");
        assert_eq!(value["conforms"], false);
        assert_eq!(value["cases"][2]["result"], "fail");
        assert_eq!(value["cases"][0]["notes"][0], "seed 1");
    }

    #[test]
    fn people_read_what_was_expected_beside_what_was_found() {
        let text = told(Form::Words);
        assert!(text.contains(&format!("BROKEN  other-major\n          rule:  {}\n", ALL[2].rule)), "{text}");
        assert!(text.ends_with("1 of 3 rules are broken, 1 not visible.\n"), "{text}");
    }
}
