//! What a figure's name says: its unit and which way is better, or that it is no figure but how it was measured. Knows
//! names alone; never sees a value.

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Times, bytes, faults.
    Lower,
    /// Rates.
    Higher,
}

/// A figure's unit, and which way is better where its name says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// As written behind the value; empty where the name says none.
    pub unit: &'static str,
    /// `None`: it is shown and not judged.
    pub better: Option<Better>,
}

/// How the result came to be, alone or with everything under it: what has to be equal for the rest to be comparable.
const SETTINGS: &[&str] = &[
    "machine",
    "run",
    "amounts",
    "settings",
    "commit",
    "cores",
    "connections",
    "pace",
    "scenario",
    "file_system",
    "tickets",
    "client_spins",
    "judged",
];

/// Of settings, those that differ between any two runs and explain nothing.
const UNTOLD: &[&str] = &["command", "started_at", "server"];

/// Neither figures nor settings: what the machine did before, and when something was meant to happen.
const ASIDE: &[&str] = &["before", "cuts_s", "from_s", "to_s", "at", "at_s"];

/// What no change of ours makes faster or slower: the bare echo and the bare disk.
const YARDSTICKS: &[&str] = &["echo", "disk", "disk_paced"];

/// Whole names, before any ending counts.
const NAMES: &[(&str, &str, Better)] = &[
    ("wrong", "", Better::Lower),
    ("lost", "", Better::Lower),
    ("unsent", "", Better::Lower),
    ("second_admissions", "", Better::Lower),
    ("wrong_admissions", "", Better::Lower),
    ("resident_before", "bytes", Better::Lower),
    ("resident_imported", "bytes", Better::Lower),
    ("resident_restarted", "bytes", Better::Lower),
    ("lag_records", "records", Better::Lower),
    ("lag_max", "records", Better::Lower),
    ("lag_before_max", "records", Better::Lower),
    ("cpu_to_echo", "×", Better::Lower),
    ("rate_to_echo", "×", Better::Higher),
    ("p999_to_fdatasync_p99", "×", Better::Lower),
    ("p999_to_paced_disk_p999", "×", Better::Lower),
];

/// Endings, the first that fits. `_s` alone stands last: `per_s` ends so too.
const ENDINGS: &[(&str, &str, Better)] = &[
    ("per_second", "/s", Better::Higher),
    ("per_s", "/s", Better::Higher),
    ("bytes_per_ticket", "bytes", Better::Lower),
    ("bytes_per_ticket_imported", "bytes", Better::Lower),
    ("bytes_per_ticket_restarted", "bytes", Better::Lower),
    ("bytes", "bytes", Better::Lower),
    ("ns", "ns", Better::Lower),
    ("us", "µs", Better::Lower),
    ("us_until_quiet", "µs", Better::Lower),
    ("ms", "ms", Better::Lower),
    ("seconds", "s", Better::Lower),
    ("s", "s", Better::Lower),
];

/// What kind of thing a name on the way down a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A setting, with everything under it.
    Setting,
    /// Not looked at.
    Aside,
    /// A figure, or what holds figures.
    Figure,
}

/// The kind of a name.
pub fn kind(name: &str) -> Kind {
    if SETTINGS.contains(&name) {
        Kind::Setting
    } else if ASIDE.contains(&name) {
        Kind::Aside
    } else {
        Kind::Figure
    }
}

/// Whether a setting is worth telling.
pub fn is_told(setting: &str) -> bool {
    !UNTOLD.contains(&setting)
}

/// Whether the figure of this path, joined by dots, is of the machine and not of ours.
pub fn is_yardstick(path: &str) -> bool {
    path.split('.').next().is_some_and(|first| YARDSTICKS.contains(&first))
}

/// The meaning of the nearest name that has one, from the leaf upwards: `threads_us.journal` is in microseconds. A
/// length of measuring, which is called `seconds` and nothing else, is none.
pub fn meaning(path: &[String]) -> Meaning {
    let words =
        |known: &(&'static str, &'static str, Better)| Meaning { unit: known.1, better: Some(known.2) };
    let named = path.iter().rev().find_map(|name| {
        let whole = NAMES.iter().find(|(own, ..)| own == name);
        whole.or_else(|| ENDINGS.iter().find(|(ending, ..)| ends_with_words(name, ending))).map(words)
    });
    named.unwrap_or_default()
}

/// `p99_us` ends with `us`, `status` does not.
fn ends_with_words(name: &str, ending: &str) -> bool {
    match name.strip_suffix(ending) {
        Some("") => ending != "seconds",
        Some(before) => before.ends_with('_'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, unit: &str, better: Option<Better>) {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let found = meaning(&path);
        assert_eq!((found.unit, found.better), (unit, better), "{path:?}");
    }

    #[test]
    fn a_name_tells_unit_and_direction() {
        use Better::{Higher, Lower};
        check("decide_apply/reentry_1000.ns", "ns", Some(Lower));
        check("latency.p99_us", "µs", Some(Lower));
        check("echo.answers_per_second", "/s", Some(Higher));
        check("import.tickets_per_s", "/s", Some(Higher));
        check("drain.all_s", "s", Some(Lower));
        check("restart_seconds", "s", Some(Lower));
        check("bytes_per_ticket_restarted", "bytes", Some(Lower));
        check("ratios.rate_to_echo", "×", Some(Higher));
        check("tally.second_admissions", "", Some(Lower));
    }

    #[test]
    fn a_leaf_without_a_meaning_has_its_parents() {
        check("server_threads_us.device-0", "µs", Some(Better::Lower));
        check("questions.ms.p99", "ms", Some(Better::Lower));
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        check("latency.count", "", None);
        check("open.seconds", "", None);
        check("by_status", "", None);
        check("tally.admitted", "", None);
    }
}
