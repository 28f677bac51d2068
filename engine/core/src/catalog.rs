//! The catalog: events, zones, gates, ticket types, devices, operators. Small, read by everybody, replaced
//! as a whole when something in it changes. Knows no ticket and no count.
//!
//! A name is an identity: it is how devices, files and people speak of an entity, and it never changes.

use crate::calendar::Calendar;
use crate::clock::Time;
use crate::limits::{
    CATALOG_ENTRIES_MAX, DEVICE_SETTING_BYTES_MAX, DEVICE_SETTINGS_MAX, GROUP_PEOPLE_MAX, NAME_BYTES_MAX,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Names that are told where one was not known.
const NAMES_TOLD_MAX: usize = 10;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($number:ty))*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $number);

        impl $name {
            /// Position in the catalog's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id at a position of the catalog's list, which `CATALOG_ENTRIES_MAX` bounds.
            pub(crate) fn at(index: usize) -> $name {
                $name(<$number>::try_from(index).expect("the catalog's lists are bounded"))
            }
        }
    )*};
}

// What every ticket holds is narrow: two bytes more are 2 MB at a million tickets. In a record both are one number.
ids! {
    /// An event: the match or concert.
    EventId(u32)
    /// An area with a head count; `ZoneId::OUTSIDE` is where everybody starts.
    ZoneId(u16)
    /// A place where a scan happens.
    GateId(u16)
    /// A ticket type, such as VIP.
    TypeId(u16)
    /// A reader or turnstile.
    DeviceId(u32)
    /// A person with a login or token.
    OperatorId(u32)
}

impl ZoneId {
    /// Where everybody starts. Not counted, without limit.
    pub const OUTSIDE: ZoneId = ZoneId(0);
}

/// The match or concert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Identity, such as `demo-match`.
    pub name: String,
    /// For people, such as "Demo Match".
    pub title: String,
    /// IANA name of the venue's time zone.
    pub time_zone: String,
    /// No entry before it.
    pub doors_open_at: Time,
    /// Kick-off.
    pub starts_at: Time,
    /// No entry after it.
    pub ends_at: Time,
    /// Cold: the tickets live in the store only, their codes in the filter.
    pub cold: bool,
}

/// What happens when a zone is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityRule {
    /// Refuse.
    Hard,
    /// Admit with attention.
    Soft,
}

/// An area with a head count and maybe a capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Identity, such as `BOWL`.
    pub name: String,
    /// Most people inside; `None` is no limit.
    pub capacity: Option<u32>,
    /// At the capacity: refuse or admit with attention.
    pub rule: CapacityRule,
}

/// How a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// Scans decide.
    Open,
    /// Refuses everybody with `gate_closed`.
    Closed,
    /// Turned free by an operator: passages are counted, scans still get their real answer.
    EmergencyOpen,
}

/// What a device should do while the server cannot decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailPolicy {
    /// Stay shut.
    Closed,
    /// Let people pass and count them.
    Open,
}

/// A place where a scan happens; it leads from one zone to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Identity, such as `ENTRANCE_01`.
    pub name: String,
    /// The event it serves now; `None`: closed.
    pub event: Option<EventId>,
    /// Where people stand before they pass.
    pub from: ZoneId,
    /// Where they stand after.
    pub to: ZoneId,
    /// How it stands.
    pub mode: GateMode,
    /// What its devices do while the server cannot decide.
    pub fail_policy: FailPolicy,
}

/// When a ticket that was inside may enter again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentry {
    /// Never: in once, used.
    None,
    /// Once its guest has left through an exit.
    AfterExit,
    /// At any time.
    Free,
}

/// What happens when a ticket enters that is inside already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AntiPassback {
    /// Refuse.
    Hard,
    /// Admit with attention.
    Soft,
    /// Refuse for so many minutes after the last entry, then take the guest to have left unseen.
    Timed(u32),
}

/// A ticket type: how often, where and when its tickets open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketType {
    /// Identity within its event, such as `VIP`.
    pub name: String,
    /// Its event.
    pub event: EventId,
    /// Entries per person; `None` is unlimited.
    pub entries: Option<u16>,
    /// Entries per person and day at the venue; `None` is unlimited.
    pub entries_per_day: Option<u16>,
    /// When a ticket may enter again.
    pub reentry: Reentry,
    /// What happens when it is inside already.
    pub anti_passback: AntiPassback,
    /// People one ticket admits, in one scan or in parts.
    pub people: u16,
    /// Gates it may enter by; empty is every gate of the event.
    pub gates: Vec<GateId>,
    /// No entry before it; `Time::MIN` leaves it to the event.
    pub valid_from: Time,
    /// No entry after it; `Time::MAX` leaves it to the event.
    pub valid_until: Time,
}

/// Where a device stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    /// Registered, waits for approval.
    Pending,
    /// Works.
    Active,
    /// Switched off for now.
    Suspended,
    /// Never again.
    Revoked,
}

/// The way a passage goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the gate's inner zone.
    Entry,
    /// Out of it.
    Exit,
}

/// How a reader writes the number of an RFID card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardFormat {
    /// Hexadecimal, first byte first.
    HexBe,
    /// Hexadecimal, last byte first (the reader family's factory setting).
    HexLe,
    /// Decimal number of the bytes, first byte first.
    DecBe,
    /// Decimal number of the bytes, last byte first.
    DecLe,
}

/// A reader or turnstile at a gate. Its keys are known as hashes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Identity, such as `KQT300_001`.
    pub name: String,
    /// Where it stands; `None`: the request must say.
    pub gate: Option<GateId>,
    /// Name of the profile that says how it speaks.
    pub profile: String,
    /// SHA-256 of each key or token that proves to be this device.
    pub key_hashes: Vec<[u8; 32]>,
    /// The number it sends in the readers' own format.
    pub number: Option<String>,
    /// Where it stands in its life.
    pub status: DeviceStatus,
    /// Requests a minute; `None` is unlimited.
    pub rate_per_minute: Option<u32>,
    /// How it writes card numbers; `None` leaves it to the profile.
    pub card_format: Option<CardFormat>,
    /// The text its heartbeat sends in place of a code.
    pub heartbeat_code: Option<String>,
    /// The way it looks; `None` leaves it to the gate.
    pub direction: Option<Direction>,
    /// Addresses it may speak from; empty is any.
    pub sources: Vec<String>,
    /// Does its display show the holder's name?
    pub shows_name: bool,
    /// Same code without an id within so many milliseconds is one scan.
    pub repeat_window_ms: u32,
    /// Rises with every change the device should fetch.
    pub config_version: u32,
    /// Settings the device fetches, name to value.
    pub settings: BTreeMap<String, String>,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works a gate.
    Steward,
    /// Runs the gates: commands, overrides.
    Supervisor,
    /// Sets the event up.
    Manager,
    /// Everything.
    Administrator,
}

/// A person with a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Identity: an e-mail address.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Argon2id of the password, in PHC form; empty: cannot log in with one. The administration may have put words before it.
    pub password_hash: String,
    /// SHA-256 of each token.
    pub token_hashes: Vec<[u8; 32]>,
}

/// One entity that is put in the catalog: new by its name, or replacing the one of that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entity {
    /// An event.
    Event(Event),
    /// A zone.
    Zone(Zone),
    /// A gate.
    Gate(Gate),
    /// A ticket type.
    Type(TicketType),
    /// A device.
    Device(Device),
    /// An operator.
    Operator(Operator),
}

/// Why an entity cannot be put.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogError {
    /// The entity contradicts itself or a rule.
    #[error("{kind} '{name}': {problem}")]
    Invalid {
        /// Kind of entity.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Which field of it.
        field: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// Everything but tickets, counts and history.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// Rises with every change.
    pub version: u64,
    events: Vec<Event>,
    zones: Vec<Zone>,
    gates: Vec<Gate>,
    types: Vec<TicketType>,
    devices: Vec<Device>,
    operators: Vec<Operator>,
    /// Derived from the lists; rebuilt after loading.
    #[serde(skip)]
    index: Index,
}

/// What is found by name or hash: derived, never stored.
#[derive(Clone, Debug, Default)]
struct Index {
    events: HashMap<String, EventId>,
    zones: HashMap<String, ZoneId>,
    gates: HashMap<String, GateId>,
    types: HashMap<(EventId, String), TypeId>,
    devices: HashMap<String, DeviceId>,
    device_numbers: HashMap<String, DeviceId>,
    device_keys: HashMap<[u8; 32], DeviceId>,
    operators: HashMap<String, OperatorId>,
    operator_tokens: HashMap<[u8; 32], OperatorId>,
    calendars: Vec<Option<Calendar>>,
}

// === impl Catalog ===

impl Catalog {
    /// A catalog with the zone `outside` and nothing else.
    pub fn new() -> Catalog {
        let outside = Zone { name: "outside".to_owned(), capacity: None, rule: CapacityRule::Hard };
        let mut catalog = Catalog { zones: vec![outside], ..Catalog::default() };
        catalog.rebuild_index();
        catalog
    }

    /// Must be called after deserializing: what is found by name is derived, not stored.
    pub fn rebuild_index(&mut self) {
        let mut index = Index::default();
        for (n, event) in self.events.iter().enumerate() {
            index.events.insert(event.name.clone(), EventId::at(n));
            index.calendars.push(Calendar::of(&event.time_zone).ok());
        }
        for (n, zone) in self.zones.iter().enumerate() {
            index.zones.insert(zone.name.clone(), ZoneId::at(n));
        }
        for (n, gate) in self.gates.iter().enumerate() {
            index.gates.insert(gate.name.clone(), GateId::at(n));
        }
        for (n, kind) in self.types.iter().enumerate() {
            index.types.insert((kind.event, kind.name.clone()), TypeId::at(n));
        }
        for (n, device) in self.devices.iter().enumerate() {
            let id = DeviceId::at(n);
            index.devices.insert(device.name.clone(), id);
            for number in device.number.iter() {
                index.device_numbers.insert(number.clone(), id);
            }
            for hash in &device.key_hashes {
                index.device_keys.insert(*hash, id);
            }
        }
        for (n, operator) in self.operators.iter().enumerate() {
            let id = OperatorId::at(n);
            index.operators.insert(operator.name.clone(), id);
            for hash in &operator.token_hashes {
                index.operator_tokens.insert(*hash, id);
            }
        }
        self.index = index;
    }

    /// Would `put` take this entity? Pure; `put` may only be called after it said yes.
    ///
    /// # Errors
    /// What is wrong with the entity, in words for the person who wrote it.
    pub fn check(&self, entity: &Entity) -> Result<(), CatalogError> {
        let (kind, name) = entity.kind_and_name();
        let invalid =
            |(field, problem)| CatalogError::Invalid { kind, name: name.to_owned(), field, problem };
        if !is_name(name) {
            let words = format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
            return Err(invalid(("name", words)));
        }
        let full = match entity {
            Entity::Event(_) => self.events.len() >= CATALOG_ENTRIES_MAX && self.event_named(name).is_none(),
            Entity::Zone(_) => self.zones.len() >= CATALOG_ENTRIES_MAX && self.zone_named(name).is_none(),
            Entity::Gate(_) => self.gates.len() >= CATALOG_ENTRIES_MAX && self.gate_named(name).is_none(),
            Entity::Type(new) => {
                self.types.len() >= CATALOG_ENTRIES_MAX && self.type_named(new.event, name).is_none()
            }
            Entity::Device(_) => {
                self.devices.len() >= CATALOG_ENTRIES_MAX && self.device_named(name).is_none()
            }
            Entity::Operator(_) => {
                self.operators.len() >= CATALOG_ENTRIES_MAX && self.operator_named(name).is_none()
            }
        };
        if full {
            return Err(invalid(("name", format!("there are {CATALOG_ENTRIES_MAX} of this kind already"))));
        }
        self.check_rules(entity).map_err(invalid)
    }

    fn check_rules(&self, entity: &Entity) -> Result<(), Broken> {
        match entity {
            Entity::Event(event) => {
                Calendar::of(&event.time_zone).map_err(|problem| ("time_zone", problem))?;
                let words = "doors open before the start, the start is before the end";
                rule(event.doors_open_at <= event.starts_at, "doors_open_at", words)?;
                rule(event.starts_at <= event.ends_at, "ends_at", words)
            }
            Entity::Zone(zone) => rule(
                zone.name != "outside" || zone.capacity.is_none(),
                "capacity",
                "the zone outside has no capacity",
            ),
            Entity::Gate(gate) => {
                let known = |zone: ZoneId| zone.index() < self.zones.len();
                let words = "a gate leads from one known zone to another";
                rule(known(gate.from), "from", words)?;
                rule(known(gate.to) && gate.from != gate.to, "to", words)?;
                let event_known = gate.event.is_none_or(|event| event.index() < self.events.len());
                rule(event_known, "event", "its event is not known")
            }
            Entity::Type(kind) => self.check_type(kind),
            Entity::Device(device) => self.check_device(device),
            Entity::Operator(_) => Ok(()),
        }
    }

    fn check_type(&self, kind: &TicketType) -> Result<(), Broken> {
        rule(kind.event.index() < self.events.len(), "event", "its event is not known")?;
        let gates_known = kind.gates.iter().all(|gate| gate.index() < self.gates.len());
        rule(gates_known, "gates", "one of its gates is not known")?;
        rule(
            kind.reentry != Reentry::None || kind.entries == Some(1),
            "entries",
            "without re-entry a ticket has exactly 1 entry; choose re-entry after_exit or free for more",
        )?;
        let nobody = "0 entries admit nobody; leave it out for unlimited";
        rule(kind.entries != Some(0), "entries", nobody)?;
        rule(kind.entries_per_day != Some(0), "entries_per_day", nobody)?;
        if kind.people == 0 || kind.people > GROUP_PEOPLE_MAX {
            return Err(("people", format!("a ticket admits 1 to {GROUP_PEOPLE_MAX} people")));
        }
        let counted = kind.entries.is_none_or(|entries| entries.checked_mul(kind.people).is_some());
        rule(counted, "people", "entries times people is more than 65,535")?;
        rule(kind.valid_from <= kind.valid_until, "valid_until", "it ends before it begins")
    }

    fn check_device(&self, device: &Device) -> Result<(), Broken> {
        let gate_known = device.gate.is_none_or(|gate| gate.index() < self.gates.len());
        rule(gate_known, "gate", "its gate is not known")?;
        let own = self.device_named(&device.name);
        if let Some(number) = &device.number {
            let taken = self.index.device_numbers.get(number).copied();
            if taken.is_some() && taken != own {
                return Err(("number", format!("the device number {number} belongs to another device")));
            }
        }
        let taken = |hash| self.index.device_keys.get(hash).is_some_and(|taken| Some(*taken) != own);
        let keys_free = !device.key_hashes.iter().any(taken);
        rule(keys_free, "key", "its key belongs to another device; make a new key")?;
        let was_revoked =
            own.and_then(|id| self.device(id)).is_some_and(|own| own.status == DeviceStatus::Revoked);
        rule(
            !was_revoked || device.status == DeviceStatus::Revoked,
            "status",
            "a revoked device never comes back; give the reader a new name and a new key",
        )?;
        check_settings(&device.settings)
    }

    /// Puts an entity that `check` found good. The only mutation of a catalog.
    pub fn put(&mut self, entity: &Entity) {
        self.version += 1;
        match entity {
            Entity::Event(event) => {
                let at = self.event_named(&event.name).map(EventId::index);
                let at = put_at(&mut self.events, event, at);
                self.index.events.insert(event.name.clone(), EventId::at(at));
                let calendar = Calendar::of(&event.time_zone).ok();
                put_at(&mut self.index.calendars, &calendar, Some(at));
            }
            Entity::Zone(zone) => {
                let at = self.zone_named(&zone.name).map(ZoneId::index);
                let at = put_at(&mut self.zones, zone, at);
                self.index.zones.insert(zone.name.clone(), ZoneId::at(at));
            }
            Entity::Gate(gate) => {
                let at = self.gate_named(&gate.name).map(GateId::index);
                let at = put_at(&mut self.gates, gate, at);
                self.index.gates.insert(gate.name.clone(), GateId::at(at));
            }
            Entity::Type(kind) => {
                let at = self.type_named(kind.event, &kind.name).map(TypeId::index);
                let at = put_at(&mut self.types, kind, at);
                self.index.types.insert((kind.event, kind.name.clone()), TypeId::at(at));
            }
            Entity::Device(device) => self.put_device(device),
            Entity::Operator(operator) => self.put_operator(operator),
        }
    }

    fn put_device(&mut self, device: &Device) {
        let at = self.device_named(&device.name).map(DeviceId::index);
        if let Some(old) = at.and_then(|at| self.devices.get(at)) {
            for hash in &old.key_hashes {
                self.index.device_keys.remove(hash);
            }
            for number in old.number.iter() {
                self.index.device_numbers.remove(number);
            }
        }
        let id = DeviceId::at(put_at(&mut self.devices, device, at));
        self.index.devices.insert(device.name.clone(), id);
        for number in device.number.iter() {
            self.index.device_numbers.insert(number.clone(), id);
        }
        for hash in &device.key_hashes {
            self.index.device_keys.insert(*hash, id);
        }
    }

    fn put_operator(&mut self, operator: &Operator) {
        let at = self.operator_named(&operator.name).map(OperatorId::index);
        if let Some(old) = at.and_then(|at| self.operators.get(at)) {
            for hash in &old.token_hashes {
                self.index.operator_tokens.remove(hash);
            }
        }
        let id = OperatorId::at(put_at(&mut self.operators, operator, at));
        self.index.operators.insert(operator.name.clone(), id);
        for hash in &operator.token_hashes {
            self.index.operator_tokens.insert(*hash, id);
        }
    }

    /// Every event with its id.
    pub fn events(&self) -> impl Iterator<Item = (EventId, &Event)> {
        self.events.iter().enumerate().map(|(n, event)| (EventId::at(n), event))
    }
    /// Every zone with its id, `outside` first.
    pub fn zones(&self) -> impl Iterator<Item = (ZoneId, &Zone)> {
        self.zones.iter().enumerate().map(|(n, zone)| (ZoneId::at(n), zone))
    }
    /// Every gate with its id.
    pub fn gates(&self) -> impl Iterator<Item = (GateId, &Gate)> {
        self.gates.iter().enumerate().map(|(n, gate)| (GateId::at(n), gate))
    }
    /// Every ticket type with its id.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &TicketType)> {
        self.types.iter().enumerate().map(|(n, kind)| (TypeId::at(n), kind))
    }
    /// Every device with its id.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.devices.iter().enumerate().map(|(n, device)| (DeviceId::at(n), device))
    }
    /// Every operator with its id.
    pub fn operators(&self) -> impl Iterator<Item = (OperatorId, &Operator)> {
        self.operators.iter().enumerate().map(|(n, operator)| (OperatorId::at(n), operator))
    }

    /// The event of an id.
    pub fn event(&self, id: EventId) -> Option<&Event> {
        self.events.get(id.index())
    }
    /// The zone of an id.
    pub fn zone(&self, id: ZoneId) -> Option<&Zone> {
        self.zones.get(id.index())
    }
    /// The gate of an id.
    pub fn gate(&self, id: GateId) -> Option<&Gate> {
        self.gates.get(id.index())
    }
    /// The ticket type of an id.
    pub fn ticket_type(&self, id: TypeId) -> Option<&TicketType> {
        self.types.get(id.index())
    }
    /// The device of an id.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(id.index())
    }
    /// The operator of an id.
    pub fn operator(&self, id: OperatorId) -> Option<&Operator> {
        self.operators.get(id.index())
    }
    /// The venue's calendar of an event.
    pub fn calendar(&self, id: EventId) -> Option<&Calendar> {
        self.index.calendars.get(id.index())?.as_ref()
    }

    /// The event of a name.
    pub fn event_named(&self, name: &str) -> Option<EventId> {
        self.index.events.get(name).copied()
    }
    /// The zone of a name.
    pub fn zone_named(&self, name: &str) -> Option<ZoneId> {
        self.index.zones.get(name).copied()
    }
    /// The gate of a name.
    pub fn gate_named(&self, name: &str) -> Option<GateId> {
        self.index.gates.get(name).copied()
    }
    /// The ticket type of a name within an event.
    pub fn type_named(&self, event: EventId, name: &str) -> Option<TypeId> {
        self.index.types.get(&(event, name.to_owned())).copied()
    }
    /// Names of an event's types, for people: the first few.
    pub fn type_names(&self, event: EventId) -> String {
        let of_event = self.types().filter(|(_, kind)| kind.event == event);
        let names: Vec<&str> = of_event.map(|(_, kind)| kind.name.as_str()).take(NAMES_TOLD_MAX).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
    /// The device of a name.
    pub fn device_named(&self, name: &str) -> Option<DeviceId> {
        self.index.devices.get(name).copied()
    }
    /// The device that sends this number in the readers' own format.
    pub fn device_numbered(&self, number: &str) -> Option<DeviceId> {
        self.index.device_numbers.get(number).copied()
    }
    /// The device whose key has this SHA-256.
    pub fn device_keyed(&self, hash: &[u8; 32]) -> Option<DeviceId> {
        self.index.device_keys.get(hash).copied()
    }
    /// The operator of an e-mail address.
    pub fn operator_named(&self, name: &str) -> Option<OperatorId> {
        self.index.operators.get(name).copied()
    }
    /// The operator whose token has this SHA-256.
    pub fn operator_keyed(&self, hash: &[u8; 32]) -> Option<OperatorId> {
        self.index.operator_tokens.get(hash).copied()
    }
}

impl Catalog {
    /// The entity of the same kind and name, as it is now.
    pub fn like(&self, entity: &Entity) -> Option<Entity> {
        let (_, name) = entity.kind_and_name();
        Some(match entity {
            Entity::Event(_) => Entity::Event(self.event(self.event_named(name)?)?.clone()),
            Entity::Zone(_) => Entity::Zone(self.zone(self.zone_named(name)?)?.clone()),
            Entity::Gate(_) => Entity::Gate(self.gate(self.gate_named(name)?)?.clone()),
            Entity::Type(kind) => Entity::Type(self.ticket_type(self.type_named(kind.event, name)?)?.clone()),
            Entity::Device(_) => Entity::Device(self.device(self.device_named(name)?)?.clone()),
            Entity::Operator(_) => Entity::Operator(self.operator(self.operator_named(name)?)?.clone()),
        })
    }
}

/// A field, and what is wrong with it.
type Broken = (&'static str, String);

fn rule(holds: bool, field: &'static str, words: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err((field, words.to_owned())) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), Broken> {
    let fits = |(name, value): (&String, &String)| is_name(name) && value.len() <= DEVICE_SETTING_BYTES_MAX;
    if settings.len() <= DEVICE_SETTINGS_MAX && settings.iter().all(fits) {
        return Ok(());
    }
    let words = format!(
        "at most {DEVICE_SETTINGS_MAX} settings, each with a name of 1 to {NAME_BYTES_MAX} bytes and a text of at most {DEVICE_SETTING_BYTES_MAX}"
    );
    Err(("settings", words))
}

/// Replaces the entry at `at`, or appends; gives its position.
fn put_at<T: Clone>(list: &mut Vec<T>, value: &T, at: Option<usize>) -> usize {
    match at.filter(|at| *at < list.len()) {
        Some(at) => {
            list[at] = value.clone();
            at
        }
        None => {
            list.push(value.clone());
            list.len() - 1
        }
    }
}

impl Entity {
    /// The kind as a word for messages, and the name.
    pub fn kind_and_name(&self) -> (&'static str, &str) {
        match self {
            Entity::Event(event) => ("event", &event.name),
            Entity::Zone(zone) => ("zone", &zone.name),
            Entity::Gate(gate) => ("gate", &gate.name),
            Entity::Type(kind) => ("ticket type", &kind.name),
            Entity::Device(device) => ("device", &device.name),
            Entity::Operator(operator) => ("operator", &operator.name),
        }
    }
}
