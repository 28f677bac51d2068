//! A result file as figures by name, and the settings they were measured with. Walks any JSON; knows the three ways a
//! spread is written, and of names what `meaning` says.

use super::meaning::{self, Kind, Meaning};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A list of numbers that is longer is a course over time, and no figures.
const LIST_MAX: usize = 8;
/// What an entry of a list is called by.
const NAMED_BY: &[&str] = &["name", "store", "kind", "stack", "peer", "side"];

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The median or the estimate.
    pub value: f64,
    /// The lowest and the highest it may as well have been, where the file tells.
    pub spread: Option<(f64, f64)>,
    /// What the name says.
    pub meaning: Meaning,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// By path, its names joined by dots.
    pub figures: BTreeMap<String, Figure>,
    /// By path, as text.
    pub settings: BTreeMap<String, String>,
    /// The file itself says that others used the machine.
    pub busy: bool,
}

// === impl Figures ===

impl Figures {
    /// Everything in a file. A course over time is left out, and so are single rounds: their medians are there.
    pub fn of(file: &Value) -> Figures {
        let mut figures = Figures::default();
        figures.walk(&mut Vec::new(), file);
        figures
    }

    fn walk(&mut self, path: &mut Vec<String>, value: &Value) {
        match value {
            Value::Object(fields) => self.object(path, fields),
            Value::Array(entries) => self.list(path, entries),
            Value::Number(number) => {
                self.put(path, number.as_f64(), None);
            }
            Value::Bool(true) if path.last().is_some_and(|name| name == "too_busy") => self.busy = true,
            Value::Bool(_) | Value::String(_) | Value::Null => {}
        }
    }

    fn object(&mut self, path: &mut Vec<String>, fields: &Map<String, Value>) {
        let number = |name: &str| fields.get(name).and_then(Value::as_f64);
        if let (Some(median), Some(min), Some(max)) = (number("median"), number("min"), number("max")) {
            self.put(path, Some(median), Some((min, max)));
            return;
        }
        for (name, value) in fields {
            path.push(name.clone());
            match meaning::kind(name) {
                Kind::Setting => self.setting(path, value),
                Kind::Aside => self.busy |= value["too_busy"] == true,
                Kind::Figure => match (number(&format!("{name}_low")), number(&format!("{name}_high"))) {
                    (Some(low), Some(high)) => self.put(path, value.as_f64(), Some((low, high))),
                    _ if is_bound(name, fields) => {}
                    _ => self.walk(path, value),
                },
            }
            path.pop();
        }
    }

    fn list(&mut self, path: &mut Vec<String>, entries: &[Value]) {
        for (place, entry) in entries.iter().enumerate() {
            let name = NAMED_BY.iter().find_map(|name| entry.get(name)?.as_str());
            let numbered = entry.is_number() && entries.len() <= LIST_MAX;
            let Some(name) = name.map(str::to_owned).or(numbered.then(|| place.to_string())) else {
                continue;
            };
            path.push(name);
            self.walk(path, entry);
            path.pop();
        }
    }

    fn setting(&mut self, path: &mut Vec<String>, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| meaning::is_told(name)) {
                    path.push(name.clone());
                    self.setting(path, value);
                    path.pop();
                }
            }
            Value::String(text) => drop(self.settings.insert(path.join("."), text.clone())),
            other => drop(self.settings.insert(path.join("."), other.to_string())),
        }
    }

    fn put(&mut self, path: &[String], value: Option<f64>, spread: Option<(f64, f64)>) {
        let Some(value) = value else { return };
        self.figures.insert(path.join("."), Figure { value, spread, meaning: meaning::meaning(path) });
    }
}

/// `ns_low` beside `ns` belongs to it.
fn is_bound(name: &str, fields: &Map<String, Value>) -> bool {
    ["_low", "_high"].iter().any(|end| name.strip_suffix(end).is_some_and(|of| fields.contains_key(of)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn figures(file: Value) -> Figures {
        Figures::of(&file)
    }

    #[test]
    fn a_spread_is_one_figure_in_either_form() {
        let found = figures(json!({
            "echo": {"p50_us": {"median": 2, "min": 1, "max": 4}},
            "scan": {"ns": 10.5, "ns_low": 10.0, "ns_high": 11.0},
        }));
        assert_eq!(found.figures.keys().collect::<Vec<_>>(), ["echo.p50_us", "scan.ns"]);
        assert_eq!(found.figures["echo.p50_us"].spread, Some((1.0, 4.0)));
        assert_eq!(found.figures["scan.ns"].spread, Some((10.0, 11.0)));
    }

    #[test]
    fn entries_of_a_list_go_by_their_names_and_courses_over_time_are_left_out() {
        let found = figures(json!({
            "streams": [{"name": "guests", "lost": 0, "over_time": [{"at_s": 0, "p50_us": 1}]}],
            "rounds": [{"p50_us": 7}],
            "reconnected_s": [0.5, 0.25],
        }));
        let names: Vec<_> = found.figures.keys().map(String::as_str).collect();
        assert_eq!(names, ["reconnected_s.0", "reconnected_s.1", "streams.guests.lost"]);
    }

    #[test]
    fn settings_are_no_figures() {
        let found = figures(json!({
            "commit": "abc", "machine": {"core_count": 2}, "run": {"seed": 1, "command": "x"},
            "before": {"load_average": 2.0, "too_busy": true}, "cores": [0, 1],
        }));
        assert!(found.figures.is_empty());
        let settings: Vec<_> = found.settings.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(settings, ["commit=abc", "cores=[0,1]", "machine.core_count=2", "run.seed=1"]);
        assert!(found.busy);
    }
}
