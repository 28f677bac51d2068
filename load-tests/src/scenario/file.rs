//! A scenario as a file: what it stands for, the venue it needs, who comes when, what happens in the middle and what is
//! wanted. Checked strictly: a mistake is told with its file and key. Knows no server and no clock.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::check;
use super::shape::Shape;

/// The scenarios that come with the program, by name.
pub const BUILT_IN: [(&str, &str); 10] = [
    ("stadium-60k", include_str!("../../scenarios/stadium-60k.toml")),
    ("late-surge", include_str!("../../scenarios/late-surge.toml")),
    ("two-perimeters", include_str!("../../scenarios/two-perimeters.toml")),
    ("backlog", include_str!("../../scenarios/backlog.toml")),
    ("junk-flood", include_str!("../../scenarios/junk-flood.toml")),
    ("reconnect-storm", include_str!("../../scenarios/reconnect-storm.toml")),
    ("connection-per-scan", include_str!("../../scenarios/connection-per-scan.toml")),
    ("database-away", include_str!("../../scenarios/database-away.toml")),
    ("league", include_str!("../../scenarios/league.toml")),
    ("slow-clients", include_str!("../../scenarios/slow-clients.toml")),
];

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    pub title: String,
    /// What it stands for and why it matters.
    pub about: String,
    /// How long it is.
    pub time: Time,
    /// The venue it needs.
    pub venue: Venue,
    /// Scans.
    #[serde(default)]
    pub stream: Vec<Stream>,
    /// Uploads of offline scans.
    #[serde(default)]
    pub upload: Vec<Upload>,
    /// Clients that send a byte now and then.
    #[serde(default)]
    pub slow: Vec<Slow>,
    /// Parts of its time whose latencies are told apart.
    #[serde(default)]
    pub part: Vec<Part>,
    /// What happens in the middle.
    #[serde(default)]
    pub happens: Vec<Happening>,
    /// What is wanted.
    #[serde(default)]
    pub want: Vec<Want>,
}

/// How long a scenario is. Every other time in the file is within it, in the venue's seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Seconds at the venue.
    pub length_s: f64,
    /// How many of the venue's seconds pass in one of the run's.
    #[serde(default = "one")]
    pub compress: f64,
}

/// Everything below is there once for each event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Venue {
    /// Events that go on at the same time, each with its own zones, gates and types.
    #[serde(default = "one_event")]
    pub events: u32,
    /// What is behind the gates.
    #[serde(default)]
    pub store: StoreKind,
    /// Tickets per event that are sold and never presented.
    #[serde(default)]
    pub tickets_beside: u32,
    /// Tickets of one more event two months from now: they are in the store only, so that a code that is not in memory may
    /// be one of them.
    #[serde(default)]
    pub far_tickets: u32,
    /// Zones; `outside` is there already.
    pub zone: Vec<Zone>,
    /// Groups of gates.
    pub gate: Vec<GateGroup>,
    /// Ticket types.
    #[serde(rename = "type")]
    pub kind: Vec<TicketType>,
}

/// What the node projects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// SQLite in the node's own directory.
    #[default]
    Embedded,
    /// A PostgreSQL server of the run's own.
    Postgres,
}

/// A zone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Most people inside; left out: no limit.
    pub capacity: Option<u32>,
}

/// Gates that lead the same way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateGroup {
    /// Its name; gates are numbered after it.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Zone before them.
    pub from: String,
    /// Zone behind them.
    pub to: String,
}

/// A ticket type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketType {
    /// Its name.
    pub name: String,
    /// Entries; left out: unlimited.
    pub entries: Option<u16>,
    /// Whether a guest may come back.
    #[serde(default)]
    pub reentry: Reentry,
}

/// Whether a guest may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentry {
    /// Never.
    #[default]
    None,
    /// After an exit was seen.
    AfterExit,
}

/// Scans of one kind of reader.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// First scans over its whole time, however long the run takes.
    pub guests: Option<u32>,
    /// Or first scans in each second of the run, however much time is compressed.
    pub per_second: Option<f64>,
    /// When it begins.
    #[serde(default)]
    pub from_s: f64,
    /// When it ends; left out: with the scenario.
    pub to_s: Option<f64>,
    /// How it spreads over this time.
    #[serde(default)]
    pub shape: Shape,
    /// The gates each guest passes, one after the other.
    pub path: Vec<Step>,
    /// How its readers keep connections.
    #[serde(default)]
    pub connection: Keeping,
    /// What its readers speak.
    #[serde(default)]
    pub format: Format,
    /// Ticket type of what it presents.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is presented, in relative amounts.
    pub mix: Mix,
    /// How often a scan without an answer is sent again.
    #[serde(default = "three")]
    pub retries: u8,
}

/// One gate on a guest's way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The group of gates.
    pub gates: String,
    /// Readers of this stream there, spread over events and gates.
    pub readers: u32,
    /// How long after the gate before.
    #[serde(default)]
    pub after_s: f64,
}

/// How a reader keeps its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// One connection for all scans.
    #[default]
    KeepAlive,
    /// A new one for each scan.
    PerScan,
}

/// What a reader speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON with a `scan_id`.
    #[default]
    Json,
    /// `vgdecoderesult=…`, which has no id: a retry is known by code, device and time.
    Reader,
}

/// What is presented, in relative amounts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// A ticket nobody has presented: admitted.
    pub fresh: f64,
    /// One ticket at two readers at the same moment: exactly one of them admits.
    pub copied: f64,
    /// A ticket that was admitted: `already_used`.
    pub used: f64,
    /// A code nobody sold: `unknown_ticket`.
    pub unknown: f64,
    /// `blocked`.
    pub blocked: f64,
    /// `cancelled`.
    pub cancelled: f64,
    /// Sold and not paid: `not_activated`.
    pub not_activated: f64,
    /// Of another event: `wrong_event`.
    pub wrong_event: f64,
}

/// Readers that were cut off and upload what they did.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// Where its readers stand.
    pub gates: String,
    /// How many upload, all at once.
    pub readers: u32,
    /// Scans of all of them together.
    pub rows: u32,
    /// Share of rows whose ticket was shown green at two of them: one of these is a conflict.
    #[serde(default)]
    pub conflicts: f64,
    /// Ticket type of the rows.
    #[serde(rename = "type")]
    pub kind: String,
    /// When they upload.
    pub at_s: f64,
}

/// Clients that begin a request and send a byte of it now and then.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Its name.
    pub name: String,
    /// How many at the same time.
    pub clients: u32,
    /// Seconds of the run between two bytes.
    pub byte_every_s: f64,
    /// When they begin.
    pub from_s: f64,
    /// When they stop.
    pub to_s: f64,
}

/// A part of the time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its beginning.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
}

/// Something that happens in the middle.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    /// When.
    pub at_s: f64,
    /// What.
    pub what: Act,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Every reader's connection is cut, by the reader's side; all connect again at once.
    CutConnections,
    /// PostgreSQL is stopped.
    StopDatabase,
    /// And started again.
    StartDatabase,
}

/// A limit, with all keys its measure may need.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// What is measured.
    pub what: Measure,
    /// Of which stream or upload.
    pub of: Option<String>,
    /// In which part; left out: over the whole run.
    #[serde(rename = "in")]
    pub part: Option<String>,
    /// At most so many seconds of the run.
    pub at_most_s: Option<f64>,
    /// At most so many times what it is in another part.
    pub at_most_times: Option<f64>,
    /// That other part.
    pub than_in: Option<String>,
    /// At most so many.
    pub at_most: Option<f64>,
}

/// What can be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Latency of a stream: the median.
    P50,
    /// 99 of 100.
    P99,
    /// 999 of 1000.
    P999,
    /// The worst.
    Max,
    /// From the beginning of an upload to the last answer.
    Done,
    /// From the cut to the last reader's next answer.
    Reconnected,
    /// From the database's return until it lags no more than before.
    CaughtUp,
    /// Bytes the server's process had the disk read.
    DiskBytesRead,
    /// Codes the server looked up in its store, over the whole run.
    StoreLookups,
}

fn one() -> f64 {
    1.0
}
fn one_event() -> u32 {
    1
}
fn three() -> u8 {
    3
}

// === impl Scenario ===

impl Scenario {
    /// The scenario of this name, or of this file.
    pub fn find(name: &str) -> Result<Scenario> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(own, _)| *own == name) {
            return Scenario::parse(name, text);
        }
        let path = Path::new(name);
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("'{name}' is no scenario ({}) and no file that can be read", names.join(", "))
        })?;
        Scenario::parse(name, &text)
    }

    /// The place of the event two months from now: behind those that go on.
    pub fn far_event(&self) -> usize {
        self.venue.events as usize
    }

    /// Reads a scenario; every mistake is told with the file's name and the key.
    pub fn parse(file: &str, text: &str) -> Result<Scenario> {
        let scenario: Scenario = toml::from_str(text).with_context(|| format!("scenario {file}"))?;
        let mistakes = check::mistakes(&scenario);
        ensure!(mistakes.is_empty(), "scenario {file}:\n  {}", mistakes.join("\n  "));
        Ok(scenario)
    }
}

// === impl Stream ===

impl Stream {
    /// When it ends.
    pub fn end_s(&self, time: &Time) -> f64 {
        self.to_s.unwrap_or(time.length_s)
    }
}

// === impl Mix ===

impl Mix {
    /// The relative amounts with their names, in the order of the fields.
    pub fn weights(&self) -> [(&'static str, f64); 8] {
        [
            ("fresh", self.fresh),
            ("copied", self.copied),
            ("used", self.used),
            ("unknown", self.unknown),
            ("blocked", self.blocked),
            ("cancelled", self.cancelled),
            ("not_activated", self.not_activated),
            ("wrong_event", self.wrong_event),
        ]
    }

    /// Presents tickets that were admitted before, or at the same moment elsewhere.
    pub fn repeats(&self) -> bool {
        self.used > 0.0 || self.copied > 0.0
    }
}
