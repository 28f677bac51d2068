//! The test's own books of a match day: what was sold, what each device was told, and what follows from it for counts, logs
//! and lists. It counts anew from the first line each time; of the server it knows how answers and exports are written.

use serde_json::Value;
use std::collections::BTreeMap;

/// The event.
pub const EVENT: &str = "cup-final";
/// Gates, and the zones they lead from and to.
pub const GATES: [(&str, &str, &str); 4] = [
    ("NORTH_1", "outside", "NORTH"),
    ("NORTH_2", "outside", "NORTH"),
    ("SOUTH_1", "outside", "SOUTH"),
    ("NORTH_OUT", "NORTH", "outside"),
];
/// What is tallied of an event, a gate and a type.
const TALLIES: [&str; 6] = ["entries", "exits", "attendance", "admits", "denials", "turns"];

/// A ticket as it was sold.
#[derive(Clone, Debug)]
pub struct Sold {
    pub code: String,
    pub kind: &'static str,
    pub holder: String,
    pub order: String,
    pub seat: String,
}

/// What a device was told about a code.
#[derive(Clone, Debug)]
pub struct Line {
    pub device: String,
    pub gate: String,
    /// Empty: the device sends none.
    pub scan_id: String,
    pub code: String,
    pub kind: &'static str,
    /// Why the guest was refused.
    pub refused: Option<String>,
    /// Somebody took the admission back.
    pub is_annulled: bool,
}

/// Everything that was sold and told, by its own account.
#[derive(Default)]
pub struct Book {
    pub sold: BTreeMap<String, Sold>,
    pub lines: Vec<Line>,
    /// People that passed a gate without a ticket.
    pub turns: BTreeMap<String, i64>,
    /// Tickets that are no longer active.
    pub status: BTreeMap<String, &'static str>,
}

/// What tickets have done, by their codes.
#[derive(Default)]
struct Done {
    used: BTreeMap<String, i64>,
    inside: BTreeMap<String, &'static str>,
}

/// Numbers by what they are of; what is nowhere is 0.
pub type Numbers = BTreeMap<String, Vec<i64>>;

// === impl Line ===

impl Line {
    fn gate(&self) -> (&'static str, &'static str) {
        let (_, from, to) = GATES.iter().find(|(name, ..)| *name == self.gate).unwrap();
        (from, to)
    }

    fn direction(&self) -> &'static str {
        if self.gate().1 == "outside" { "exit" } else { "entry" }
    }

    fn verdict(&self) -> &str {
        self.refused.as_deref().unwrap_or("admitted")
    }
}

// === impl Book ===

impl Book {
    /// Notes that somebody took an admission back.
    pub fn annul(&mut self, scan_id: &str) {
        self.lines.iter_mut().find(|line| line.scan_id == scan_id).unwrap().is_annulled = true;
    }

    fn kind(&self, code: &str) -> &'static str {
        self.sold.get(code).map_or("-", |sold| sold.kind)
    }

    /// Every count there is, anew from the first line.
    pub fn counts(&self) -> Numbers {
        let (mut numbers, mut done) = (Numbers::new(), Done::default());
        let mut add = |of: &str, name: &str, tally: &str, people: i64| {
            let at = TALLIES.iter().position(|own| *own == tally).unwrap();
            numbers.entry(format!("{of} {name}")).or_insert_with(|| vec![0; TALLIES.len()])[at] += people;
        };
        let mut reasons = Numbers::new();
        for line in &self.lines {
            let tally = if line.refused.is_some() { "denials" } else { "admits" };
            let attended = done.take(line, self.kind(&line.code));
            let passed = (line.refused.is_none() && !line.is_annulled).then_some(match line.direction() {
                "exit" => "exits",
                _ => "entries",
            });
            let kind = self.kind(&line.code);
            for (of, name) in [("event", EVENT), ("gate", &line.gate), ("type", kind)] {
                add(of, name, tally, 1);
                add(of, name, "attendance", i64::from(attended));
                passed.into_iter().for_each(|passed| add(of, name, passed, 1));
            }
            if let Some(reason) = &line.refused {
                reasons.entry(format!("reason {reason}")).or_insert_with(|| vec![0])[0] += 1;
            }
        }
        for (gate, people) in &self.turns {
            add("gate", gate, "turns", *people);
            add("event", EVENT, "turns", *people);
        }
        for zone in done.inside.values() {
            numbers.entry(format!("zone {zone}")).or_insert_with(|| vec![0])[0] += 1;
        }
        numbers.remove("type -");
        numbers.extend(reasons);
        numbers
    }

    /// One number of the event.
    pub fn of_event(&self, tally: &str) -> i64 {
        let at = TALLIES.iter().position(|own| *own == tally).unwrap();
        self.counts().get(&format!("event {EVENT}")).map_or(0, |numbers| numbers[at])
    }

    /// Each line as the live feed tells it.
    pub fn as_told(&self) -> Vec<String> {
        let shown = |line: &Line| {
            let Line { device, gate, scan_id, kind, .. } = line;
            format!("{device} {gate} {scan_id} {kind} {} {}", self.kind(&line.code), line.verdict())
        };
        self.lines.iter().map(shown).collect()
    }

    /// Each line as the access log has it.
    pub fn as_logged(&self) -> Vec<String> {
        let shown = |line: &Line| {
            let Line { device, gate, scan_id, code, kind, .. } = line;
            let passage = if line.is_annulled { "annulled" } else { "open" };
            format!(
                "{device} {gate} {scan_id} {code} {kind} {} {passage} {}",
                line.direction(),
                line.verdict()
            )
        };
        self.lines.iter().map(shown).collect()
    }

    /// Each ticket as the list of them has it.
    pub fn as_listed(&self) -> Vec<String> {
        let mut done = Done::default();
        for line in &self.lines {
            done.take(line, self.kind(&line.code));
        }
        let shown = |sold: &Sold| {
            let Sold { code, kind, holder, order, seat } = sold;
            let status = self.status.get(code).unwrap_or(&"active");
            let used = done.used.get(code).unwrap_or(&0);
            let zone = done.inside.get(code).unwrap_or(&"outside");
            format!("{code} {kind} {status} {holder} {order} {seat} {used} {zone}")
        };
        self.sold.values().map(shown).collect()
    }
}

impl Done {
    /// What a line does to its ticket. Is it somebody's first entry?
    fn take(&mut self, line: &Line, kind: &str) -> bool {
        if line.refused.is_some() || line.is_annulled {
            return false;
        }
        if line.direction() == "exit" {
            self.inside.remove(&line.code);
            return false;
        }
        // By hand somebody may enter once more, but never does a ticket use more entries than it has.
        let entries = if kind == "VIP" { 2 } else { 1 };
        let used = self.used.entry(line.code.clone()).or_default();
        let is_first = *used == 0;
        *used = (*used + 1).min(entries);
        self.inside.insert(line.code.clone(), line.gate().1);
        is_first
    }
}

// === what the server says ===

/// The server's counts.
pub fn counts(answer: &Value) -> Numbers {
    let lists = [
        ("zones", "zone", &["inside"][..]),
        ("events", "event", &TALLIES),
        ("gates", "gate", &TALLIES),
        ("types", "ticket_type", &TALLIES),
        ("reasons", "reason", &["denials"]),
    ];
    let mut numbers = Numbers::new();
    for (list, name, fields) in lists {
        for item in answer[list].as_array().unwrap() {
            let own = fields.iter().map(|field| item[field].as_i64().unwrap()).collect();
            let of = name.trim_start_matches("ticket_");
            numbers.insert(format!("{of} {}", item[name].as_str().unwrap()), own);
        }
    }
    numbers.retain(|_, own| own.iter().any(|number| *number != 0));
    numbers
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// A scan's id where its device sends one: the server makes one for others.
fn id<'v>(value: &'v Value, device: &Value, silent: &str) -> &'v str {
    if device == silent { "" } else { text(value) }
}

/// A scan of the live feed; `silent` is the device that sends no ids.
pub fn told(data: &Value, silent: &str) -> String {
    let verdict = if data["admitted"] == true { "admitted" } else { text(&data["reason"]) };
    let words = [&data["device"], &data["gate"]].map(text).join(" ");
    let id = id(&data["scan_id"], &data["device"], silent);
    format!("{words} {id} {} {} {verdict}", text(&data["kind"]), text(&data["ticket_type"]))
}

/// A row of the exported access log.
pub fn logged(row: &Value, silent: &str) -> String {
    let verdict = if row["access_granted"] == true { "admitted" } else { text(&row["reason"]) };
    let words = [&row["device_id"], &row["location"]].map(text).join(" ");
    let id = id(&row["scan_id"], &row["device_id"], silent);
    let rest = ["code", "kind", "direction", "passage"].map(|name| text(&row[name])).join(" ");
    format!("{words} {id} {rest} {verdict}")
}

/// A row of the exported tickets.
pub fn listed(row: &Value) -> String {
    let words = ["code", "type", "status", "holder", "order", "seat"].map(|name| text(&row[name])).join(" ");
    format!("{words} {} {}", row["used"], text(&row["zone"]))
}

/// Are these the same, in any order? Tells what only one of both has.
#[track_caller]
pub fn assert_same(what: &str, mut ours: Vec<String>, mut theirs: Vec<String>) {
    ours.sort_unstable();
    theirs.sort_unstable();
    let without = |all: &[String], other: &[String]| -> Vec<String> {
        let mut left = other.to_vec();
        let missing = all.iter().filter(|own| match left.binary_search(own) {
            Ok(at) => {
                left.remove(at);
                false
            }
            Err(_) => true,
        });
        missing.cloned().collect()
    };
    let (lost, made_up) = (without(&ours, &theirs), without(&theirs, &ours));
    assert!(lost.is_empty() && made_up.is_empty(), "{what}: lost {lost:#?}, nobody's {made_up:#?}");
}
