//! A venue as a file: events, zones, gates, ticket types and devices in TOML become entities of the catalog.
//! The demo data is such a file too. Knows no server.

use engine::catalog::{
    AntiPassback, CapacityRule, CardFormat, Catalog, Device, DeviceStatus, Direction, Entity, Event,
    FailPolicy, Gate, GateMode, Reentry, TicketType, Zone,
};
use engine::clock::Time;
use engine::limits::{DEVICE_RATE_PER_MINUTE, REPEAT_WINDOW_MS};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Venue {
    /// Events.
    pub event: Vec<EventEntry>,
    /// Zones; `outside` is there already.
    pub zone: Vec<ZoneEntry>,
    /// Gates.
    pub gate: Vec<GateEntry>,
    /// Ticket types.
    #[serde(rename = "type")]
    pub kind: Vec<TypeEntry>,
    /// Devices.
    pub device: Vec<DeviceEntry>,
}

/// An event of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventEntry {
    /// Identity, such as `cup-final`.
    pub name: String,
    /// For people.
    pub title: String,
    /// IANA time zone.
    pub time_zone: String,
    /// RFC 3339.
    pub doors_open: String,
    /// RFC 3339.
    pub starts: String,
    /// RFC 3339.
    pub ends: String,
}

/// A zone of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneEntry {
    /// Identity.
    pub name: String,
    /// Most people inside.
    pub capacity: Option<u32>,
    /// hard or soft.
    #[serde(default = "hard")]
    pub rule: CapacityRule,
}

/// A gate of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateEntry {
    /// Identity.
    pub name: String,
    /// Name of the event it serves; left out: closed.
    pub event: Option<String>,
    /// Zone before it.
    pub from: String,
    /// Zone behind it.
    pub to: String,
    /// open, closed or emergency_open.
    #[serde(default = "open")]
    pub mode: GateMode,
    /// closed or open: what devices do while the server cannot decide.
    #[serde(default = "fail_closed")]
    pub fail_policy: FailPolicy,
}

/// A ticket type of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeEntry {
    /// Identity within its event.
    pub name: String,
    /// Name of its event.
    pub event: String,
    /// Entries per person; left out: unlimited.
    pub entries: Option<u16>,
    /// Entries per person and day; left out: unlimited.
    pub entries_per_day: Option<u16>,
    /// none, after_exit or free.
    #[serde(default = "no_reentry")]
    pub reentry: Reentry,
    /// hard, soft or { timed = minutes }.
    #[serde(default = "hard_passback")]
    pub anti_passback: AntiPassback,
    /// People one ticket admits.
    #[serde(default = "one")]
    pub people: u16,
    /// Names of the gates it enters by; left out: all.
    #[serde(default)]
    pub gates: Vec<String>,
    /// RFC 3339.
    pub valid_from: Option<String>,
    /// RFC 3339.
    pub valid_until: Option<String>,
}

/// A device of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEntry {
    /// Identity.
    pub name: String,
    /// Name of its gate; left out: requests say.
    pub gate: Option<String>,
    /// Its key; left out: a known device keeps its own, a new one gets a random one, shown once.
    pub key: Option<String>,
    /// How it speaks.
    #[serde(default = "json_profile")]
    pub profile: String,
    /// Number it sends in the readers' own format.
    pub number: Option<String>,
    /// pending, active, suspended or revoked.
    #[serde(default = "active")]
    pub status: DeviceStatus,
    /// Requests a minute, 0 is unlimited.
    #[serde(default = "rate")]
    pub rate_per_minute: u32,
    /// hex_be, hex_le, dec_be or dec_le.
    pub card_format: Option<CardFormat>,
    /// The text its heartbeat sends in place of a code.
    pub heartbeat_code: Option<String>,
    /// entry or exit.
    pub direction: Option<Direction>,
    /// Addresses it may speak from.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Does its display show the holder's name?
    #[serde(default = "yes")]
    pub shows_name: bool,
    /// Milliseconds in which the same code without an id is one scan.
    #[serde(default = "repeat_window")]
    pub repeat_window_ms: u32,
    /// Settings the device fetches.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

fn hard() -> CapacityRule {
    CapacityRule::Hard
}
fn open() -> GateMode {
    GateMode::Open
}
fn fail_closed() -> FailPolicy {
    FailPolicy::Closed
}
fn no_reentry() -> Reentry {
    Reentry::None
}
fn hard_passback() -> AntiPassback {
    AntiPassback::Hard
}
fn one() -> u16 {
    1
}
fn json_profile() -> String {
    "json-v1".to_owned()
}
fn active() -> DeviceStatus {
    DeviceStatus::Active
}
fn rate() -> u32 {
    DEVICE_RATE_PER_MINUTE
}
fn yes() -> bool {
    true
}
fn repeat_window() -> u32 {
    REPEAT_WINDOW_MS as u32
}

/// A key that was made for a device, to be shown once.
pub type NewKey = (String, String);

/// Checks a whole venue against a copy of the catalog and gives the entities to put, in order, with the keys
/// that were made.
///
/// # Errors
/// Every mistake at once.
pub fn entities(
    venue: &Venue,
    catalog: &Catalog,
    profiles: &dyn Fn(&str) -> bool,
) -> Result<(Vec<Entity>, Vec<NewKey>), Vec<String>> {
    let mut build =
        Build { catalog: catalog.clone(), entities: Vec::new(), keys: Vec::new(), mistakes: Vec::new() };
    venue.event.iter().for_each(|entry| build.event(entry));
    venue.zone.iter().for_each(|entry| {
        build.put(Entity::Zone(Zone { name: entry.name.clone(), capacity: entry.capacity, rule: entry.rule }))
    });
    venue.gate.iter().for_each(|entry| build.gate(entry));
    venue.kind.iter().for_each(|entry| build.kind(entry));
    venue.device.iter().for_each(|entry| build.device(entry, profiles));
    if build.mistakes.is_empty() { Ok((build.entities, build.keys)) } else { Err(build.mistakes) }
}

struct Build {
    catalog: Catalog,
    entities: Vec<Entity>,
    keys: Vec<NewKey>,
    mistakes: Vec<String>,
}

impl Build {
    fn put(&mut self, entity: Entity) {
        match self.catalog.check(&entity) {
            Ok(()) => {
                self.catalog.put(&entity);
                self.entities.push(entity);
            }
            Err(error) => self.mistakes.push(error.to_string()),
        }
    }

    /// Looks a name up; a name that is not there is a mistake.
    fn named<T>(&mut self, owner: &str, what: &str, name: &str, id: Option<T>) -> Option<T> {
        if id.is_none() {
            self.mistakes.push(format!("{owner}: there is no {what} '{name}'"));
        }
        id
    }

    fn time(&mut self, owner: &str, field: &str, text: &str) -> Time {
        lists::parse_time(text).unwrap_or_else(|| {
            self.mistakes
                .push(format!("{owner}: {field} '{text}' is not a time such as 2026-11-23T18:00:00+01:00"));
            Time(0)
        })
    }

    fn event(&mut self, entry: &EventEntry) {
        let owner = format!("event '{}'", entry.name);
        let before = self.mistakes.len();
        let event = Event {
            name: entry.name.clone(),
            title: entry.title.clone(),
            time_zone: entry.time_zone.clone(),
            doors_open_at: self.time(&owner, "doors_open", &entry.doors_open),
            starts_at: self.time(&owner, "starts", &entry.starts),
            ends_at: self.time(&owner, "ends", &entry.ends),
            cold: false,
        };
        if self.mistakes.len() == before {
            self.put(Entity::Event(event));
        }
    }

    fn gate(&mut self, entry: &GateEntry) {
        let owner = format!("gate '{}'", entry.name);
        let from = self.named(&owner, "zone", &entry.from, self.catalog.zone_named(&entry.from));
        let to = self.named(&owner, "zone", &entry.to, self.catalog.zone_named(&entry.to));
        let event = entry
            .event
            .as_ref()
            .and_then(|name| self.named(&owner, "event", name, self.catalog.event_named(name)));
        if let (Some(from), Some(to), true) = (from, to, event.is_some() == entry.event.is_some()) {
            let (name, mode, fail_policy) = (entry.name.clone(), entry.mode, entry.fail_policy);
            self.put(Entity::Gate(Gate { name, event, from, to, mode, fail_policy }));
        }
    }

    fn kind(&mut self, entry: &TypeEntry) {
        let owner = format!("ticket type '{}'", entry.name);
        let before = self.mistakes.len();
        let event = self.named(&owner, "event", &entry.event, self.catalog.event_named(&entry.event));
        let gates: Vec<_> = entry
            .gates
            .iter()
            .filter_map(|name| self.named(&owner, "gate", name, self.catalog.gate_named(name)))
            .collect();
        let valid_from =
            entry.valid_from.as_ref().map_or(Time::MIN, |text| self.time(&owner, "valid_from", text));
        let valid_until =
            entry.valid_until.as_ref().map_or(Time::MAX, |text| self.time(&owner, "valid_until", text));
        let Some(event) = event.filter(|_| self.mistakes.len() == before) else { return };
        self.put(Entity::Type(TicketType {
            name: entry.name.clone(),
            event,
            entries: entry.entries,
            entries_per_day: entry.entries_per_day,
            reentry: entry.reentry,
            anti_passback: entry.anti_passback,
            people: entry.people,
            gates,
            valid_from,
            valid_until,
        }));
    }

    fn device(&mut self, entry: &DeviceEntry, profiles: &dyn Fn(&str) -> bool) {
        let owner = format!("device '{}'", entry.name);
        let before = self.mistakes.len();
        let gate = entry
            .gate
            .as_ref()
            .and_then(|name| self.named(&owner, "gate", name, self.catalog.gate_named(name)));
        if !profiles(&entry.profile) {
            self.mistakes.push(format!("{owner}: there is no profile '{}'", entry.profile));
        }
        for source in &entry.sources {
            if source.parse::<std::net::IpAddr>().is_err() {
                self.mistakes.push(format!("{owner}: source '{source}' is not an IP address"));
            }
        }
        let known = self.catalog.device_named(&entry.name).and_then(|id| self.catalog.device(id)).cloned();
        let key_hashes = self.key_hashes(entry, known.as_ref());
        if self.mistakes.len() > before {
            return;
        }
        self.put(Entity::Device(Device {
            name: entry.name.clone(),
            gate,
            profile: entry.profile.clone(),
            key_hashes,
            number: entry.number.clone(),
            status: entry.status,
            rate_per_minute: (entry.rate_per_minute > 0).then_some(entry.rate_per_minute),
            card_format: entry.card_format,
            heartbeat_code: entry.heartbeat_code.clone(),
            direction: entry.direction,
            sources: entry.sources.clone(),
            shows_name: entry.shows_name,
            repeat_window_ms: entry.repeat_window_ms,
            config_version: known
                .map_or(1, |known| known.config_version + u32::from(known.settings != entry.settings)),
            settings: entry.settings.clone(),
        }));
    }

    fn key_hashes(&mut self, entry: &DeviceEntry, known: Option<&Device>) -> Vec<[u8; 32]> {
        match (&entry.key, known) {
            (Some(key), _) => vec![secrets::hash(key.as_bytes())],
            (None, Some(known)) => known.key_hashes.clone(),
            (None, None) => match secrets::new_key() {
                Ok(key) => {
                    let hash = secrets::hash(key.as_bytes());
                    self.keys.push((entry.name.clone(), key));
                    vec![hash]
                }
                Err(error) => {
                    self.mistakes.push(format!("device '{}': {error}", entry.name));
                    Vec::new()
                }
            },
        }
    }
}
