//! The venue a plan needs, as the files an operator would import: one venue.toml, and a list of tickets for each event.
//! Knows these formats; knows no server.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{Span, Timestamp};

use super::file::{Format, Reentry, Scenario};
use super::plan::{Plan, event_name, event_prefix, gate_name, reader_key, reader_name};
use crate::limits;

/// The files, in the order in which they are imported.
#[derive(Debug)]
pub struct VenueFiles {
    /// Events, zones, gates, types and devices.
    pub venue: PathBuf,
    /// By event: its name and its tickets.
    pub tickets: Vec<(String, PathBuf)>,
}

/// Writes the files into `dir`.
pub fn write(scenario: &Scenario, plan: &Plan, dir: &Path) -> Result<VenueFiles> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let write = |name: String, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display())).map(|()| path)
    };
    let venue = write("venue.toml".to_owned(), venue_toml(scenario, plan)?)?;
    let mut tickets = Vec::new();
    for event in 0..event_count(scenario) {
        let name = event_name(event);
        let path = write(format!("tickets-{name}.csv"), tickets_csv(scenario, plan, event))?;
        tickets.push((name, path));
    }
    Ok(VenueFiles { venue, tickets })
}

/// Hours to an event that is far: two months.
const FAR_H: i64 = 60 * 24;

/// Those that go on, and the one that is far where there is one.
fn event_count(scenario: &Scenario) -> usize {
    scenario.far_event() + usize::from(scenario.venue.far_tickets > 0)
}

fn venue_toml(scenario: &Scenario, plan: &Plan) -> Result<String> {
    let now = Timestamp::now();
    let at = |hours: i64| now.checked_add(Span::new().hours(hours)).context("a time beside now");
    let mut text = String::new();
    for event in 0..event_count(scenario) {
        let starts_in_h = if event == scenario.far_event() { FAR_H } else { 0 };
        let (opens, starts, ends) = (at(starts_in_h - 2)?, at(starts_in_h)?, at(starts_in_h + 24)?);
        let _ = write!(
            text,
            "[[event]]\nname = '{}'\ntitle = 'Load {}'\ntime_zone = 'UTC'\ndoors_open = '{opens}'\nstarts = '{starts}'\n\
             ends = '{ends}'\n",
            event_name(event),
            event + 1
        );
    }
    (0..event_count(scenario)).for_each(|event| event_toml(&mut text, scenario, event));
    for (place, reader) in plan.readers.iter().enumerate() {
        let (profile, number) = match reader.format {
            Format::Json => ("json-v1", String::new()),
            Format::Reader => ("vguang", format!("number = '{place}'\n")),
        };
        let _ = write!(
            text,
            "[[device]]\nname = '{}'\ngate = '{}'\nkey = '{}'\nprofile = '{profile}'\n{number}rate_per_minute = 0\n\
             repeat_window_ms = {}\n",
            reader_name(place),
            reader.gate,
            reader_key(place),
            limits::REPEAT_WINDOW.as_millis(),
        );
    }
    Ok(text)
}

/// Zones, gates and types of one event.
fn event_toml(text: &mut String, scenario: &Scenario, event: usize) {
    let (name, prefix) = (event_name(event), event_prefix(event));
    let zone = |name: &str| if name == "outside" { name.to_owned() } else { format!("{prefix}{name}") };
    // One that is far has no gate yet: an event with gates stays in memory.
    let goes_on = event != scenario.far_event();
    for own in scenario.venue.zone.iter().filter(|_| goes_on) {
        let _ = writeln!(text, "[[zone]]\nname = '{}'", zone(&own.name));
        if let Some(capacity) = own.capacity {
            let _ = writeln!(text, "capacity = {capacity}");
        }
    }
    for group in scenario.venue.gate.iter().filter(|_| goes_on) {
        for number in 0..group.count as usize {
            let _ = writeln!(
                text,
                "[[gate]]\nname = '{}'\nevent = '{name}'\nfrom = '{}'\nto = '{}'",
                gate_name(&group.name, event, number),
                zone(&group.from),
                zone(&group.to)
            );
        }
    }
    for kind in &scenario.venue.kind {
        let reentry = match kind.reentry {
            Reentry::None => "none",
            Reentry::AfterExit => "after_exit",
        };
        let _ = writeln!(text, "[[type]]\nname = '{}'\nevent = '{name}'\nreentry = '{reentry}'", kind.name);
        if let Some(entries) = kind.entries {
            let _ = writeln!(text, "entries = {entries}");
        }
    }
}

fn tickets_csv(scenario: &Scenario, plan: &Plan, event: usize) -> String {
    let mut text = "code,type,status\n".to_owned();
    for (place, ticket) in plan.tickets.iter().enumerate().filter(|(_, ticket)| ticket.event == event) {
        let kind = &scenario.venue.kind[ticket.kind].name;
        let _ = writeln!(text, "{},{kind},{}", plan.code(place as u32), ticket.status);
    }
    text
}
