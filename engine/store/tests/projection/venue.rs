//! A small venue and a seeded day at its gates, in which everything happens that a journal can tell. Knows nothing of
//! the store.

use engine::catalog::*;
use engine::clock::{ManualClock, Time};
use engine::decision::{Override, REASONS, Scan, ScanKind, Shown};
use engine::inbox::{Change, InboxOutcome, InboxRow, Stored, Wish};
use engine::journal::JournalOptions;
use engine::record::{Command, Record};
use engine::registry::{Act, RegistryChange};
use engine::sim_disk::{SimDisk, SplitMix64};
use engine::state::State;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use engine::{Amendment, Engine, EngineError, Lsn};
use std::sync::Arc;

pub const START: Time = Time(1_780_000_000_000);
pub const MATCH: EventId = EventId(0);
pub const CONCERT: EventId = EventId(1);

/// An engine with its clock.
pub struct Node {
    pub engine: Arc<Engine>,
    pub clock: Arc<ManualClock>,
}

/// What the day goes on from; cloned, it goes on the same way on another node.
#[derive(Clone)]
pub struct Day {
    random: SplitMix64,
    now: Time,
    scans: Vec<(DeviceId, String)>,
    issued: u32,
    away: Vec<(TicketId, Ticket)>,
    /// No ticket leaves the memory.
    stays_hot: bool,
}

fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 64 << 10, salt: 1, ..JournalOptions::default() }
}

pub fn node_from(state: State, disk: SimDisk, now: Time) -> Node {
    let clock = Arc::new(ManualClock::at(now));
    let (engine, _) = Engine::open_from(state, Arc::new(disk), clock.clone(), small_segments()).unwrap();
    Node { engine: Arc::new(engine), clock }
}

/// A node again from its own files.
pub fn reopened(disk: SimDisk, now: Time) -> Node {
    let clock = Arc::new(ManualClock::at(now));
    let (engine, _) = Engine::open(Arc::new(disk), clock.clone(), small_segments()).unwrap();
    Node { engine: Arc::new(engine), clock }
}

/// A node with a venue, and records made durable.
pub fn venue() -> Node {
    venue_on(SimDisk::new())
}

/// As [`venue`], on a disk that outlives it.
pub fn venue_on(disk: SimDisk) -> Node {
    let node = node_from(State::new(), disk, START);
    for entity in entities() {
        node.engine.put(None, entity).unwrap();
    }
    node.engine.journal().commit().unwrap();
    node
}

pub fn event(name: &str) -> Event {
    Event {
        name: name.to_owned(),
        title: format!("The {name}"),
        time_zone: "Europe/Zurich".to_owned(),
        doors_open_at: START.plus_ms(-3_600_000),
        starts_at: START,
        ends_at: START.plus_ms(60 * 86_400_000),
        cold: false,
    }
}

pub fn gate(name: &str, from: u16, to: u16) -> Gate {
    Gate {
        name: name.to_owned(),
        event: Some(MATCH),
        from: ZoneId(from),
        to: ZoneId(to),
        mode: GateMode::Open,
        fail_policy: FailPolicy::Closed,
    }
}

pub fn device(name: &str, gate: u16, key: u8) -> Device {
    Device {
        name: name.to_owned(),
        gate: Some(GateId(gate)),
        profile: "kqt300".to_owned(),
        key_hashes: vec![[key; 32]],
        number: Some(format!("{key:03}")),
        status: DeviceStatus::Active,
        rate_per_minute: None,
        card_format: Some(CardFormat::HexLe),
        heartbeat_code: None,
        direction: None,
        sources: Vec::new(),
        shows_name: true,
        repeat_window_ms: 3_000,
        config_version: 1,
        settings: [("volume".to_owned(), "7".to_owned())].into(),
    }
}

fn kind(name: &str, event: EventId) -> TicketType {
    TicketType {
        name: name.to_owned(),
        event,
        entries: Some(1),
        entries_per_day: None,
        reentry: Reentry::None,
        anti_passback: AntiPassback::Hard,
        people: 1,
        gates: Vec::new(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
    }
}

pub fn operator() -> Operator {
    Operator {
        name: "chief@venue.example".to_owned(),
        role: Role::Supervisor,
        password_hash: "$argon2id$secret".to_owned(),
        token_hashes: vec![[9; 32]],
    }
}

fn entities() -> Vec<Entity> {
    let zone = |name: &str, capacity, rule| {
        Entity::Zone(Zone { name: name.to_owned(), capacity: Some(capacity), rule })
    };
    let season = TicketType {
        entries: Some(20),
        entries_per_day: Some(3),
        reentry: Reentry::AfterExit,
        anti_passback: AntiPassback::Timed(30),
        ..kind("SEASON", MATCH)
    };
    let group = TicketType {
        entries: None,
        people: 5,
        reentry: Reentry::Free,
        anti_passback: AntiPassback::Soft,
        gates: vec![GateId(0), GateId(2)],
        valid_until: START.plus_ms(40 * 86_400_000),
        ..kind("GROUP", MATCH)
    };
    vec![
        zone("BOWL", 60, CapacityRule::Hard),
        zone("LOUNGE", 10, CapacityRule::Soft),
        Entity::Event(event("match")),
        Entity::Event(event("concert")),
        Entity::Gate(gate("NORTH", 0, 1)),
        Entity::Gate(gate("SOUTH", 0, 1)),
        Entity::Gate(gate("OUT", 1, 0)),
        Entity::Gate(gate("LOUNGE", 1, 2)),
        Entity::Type(kind("SINGLE", MATCH)),
        Entity::Type(season),
        Entity::Type(group),
        Entity::Type(TicketType { entries: Some(4), reentry: Reentry::Free, ..kind("PASS", CONCERT) }),
        Entity::Device(device("NORTH_1", 0, 1)),
        Entity::Device(device("SOUTH_1", 1, 2)),
        Entity::Device(device("OUT_1", 2, 3)),
        Entity::Device(device("LOUNGE_1", 3, 4)),
        Entity::Operator(operator()),
    ]
}

/// Ticket `n` has an optical code `T{n}`; every third one a card with the bytes of `n` too.
pub fn ticket(n: u32, type_id: u32) -> Ticket {
    let optical = format!("T{n}");
    let card = n.to_be_bytes();
    let mut codes: Vec<(CodeKind, &[u8])> = vec![(CodeKind::Optical, optical.as_bytes())];
    if n.is_multiple_of(3) {
        codes.push((CodeKind::Card, &card));
    }
    let holder = if n.is_multiple_of(4) { String::new() } else { format!("Änni Muster{n}") };
    Ticket {
        type_id: TypeId(type_id as u16),
        status: TicketStatus::Active,
        specimen: n % 17 == 5,
        usage: TicketUse::default(),
        valid_from: if n.is_multiple_of(5) { START } else { Time::MIN },
        valid_until: if n.is_multiple_of(7) { START.plus_ms(30 * 86_400_000) } else { Time::MAX },
        status_at: Time(0),
        details: Details::new(&format!("R-{n}"), &holder, &format!("ORDER-{}", n / 2), "A 1", &codes),
    }
}

pub fn scan(device: u32, code: &[u8]) -> Scan<'_> {
    Scan {
        device: DeviceId(device),
        gate: GateId(device as u16),
        code_kind: CodeKind::Optical,
        code,
        scan_id: None,
        scanned_at: None,
        direction: None,
        people: None,
        kind: ScanKind::Validate,
        overriding: None,
        shown: None,
    }
}

// === impl Node ===

impl Node {
    pub fn lsn(&self) -> u64 {
        self.engine.with_state(|state| state.lsn)
    }

    pub fn commit(&self) {
        self.engine.journal().commit().unwrap();
    }

    /// Every durable record after `after`.
    pub fn records(&self, after: u64) -> Vec<(Lsn, Vec<u8>)> {
        let mut records = Vec::new();
        self.engine.journal().reader(Lsn(after)).read(usize::MAX, &mut records).unwrap();
        records
    }
}

/// Payloads as records.
pub fn decode(records: &[(Lsn, Vec<u8>)]) -> Vec<(Lsn, Record<'_>)> {
    records.iter().map(|(lsn, payload)| (*lsn, Record::decode(payload).unwrap())).collect()
}

// === impl Day ===

impl Day {
    pub fn new(seed: u64) -> Day {
        Day {
            random: SplitMix64(seed),
            now: START,
            scans: Vec::new(),
            issued: 0,
            away: Vec::new(),
            stays_hot: false,
        }
    }

    /// A day on which no ticket leaves the memory.
    pub fn hot(seed: u64) -> Day {
        Day { stays_hot: true, ..Day::new(seed) }
    }

    pub fn now(&self) -> Time {
        self.now
    }

    fn below(&mut self, end: u64) -> u32 {
        self.random.below(end) as u32
    }

    /// One thing happens.
    pub fn step(&mut self, node: &Node) {
        let ms = match self.below(100) {
            0 => 5 * 3_600_000,
            1..=9 => 20 * 60_000,
            _ => i64::from(self.below(4_000)),
        };
        self.now = self.now.plus_ms(ms);
        node.clock.set(self.now);
        let engine = &node.engine;
        let by = Some(OperatorId(0));
        let device = DeviceId(self.below(4));
        match self.below(100) {
            0..=54 => self.scan(node),
            55..=57 => self.amend(node),
            58..=59 => self.act(node),
            60..=67 => self.passage(node),
            68..=72 => {
                let people = self.below(9) as i32 - 4;
                engine.turns(device, GateId(device.0 as u16), people).map(drop).unwrap();
            }
            73..=77 => self.issue(node),
            78..=82 => {
                let status = [TicketStatus::Blocked, TicketStatus::Superseded, TicketStatus::Active];
                let status = status[self.below(3) as usize];
                let ticket = TicketId(self.below(u64::from(self.issued) + 1));
                let _ = engine.set_status(by, ticket, status);
            }
            83..=87 => {
                let command = match self.below(5) {
                    0 => Command::Lock,
                    1 => Command::EmergencyOpen,
                    2 => Command::Message("Grüezi \"all\"".to_owned()),
                    _ => Command::Release,
                };
                let lives_ms = i64::from(self.below(600_000));
                engine.command(by, device, command, lives_ms).map(drop).unwrap();
            }
            88..=89 => engine.take_commands(device).map(drop).unwrap(),
            90..=92 => {
                if let Some(conflict) = engine.conflicts().first() {
                    engine.resolve_conflict(by, conflict.lsn).unwrap();
                }
            }
            93..=94 => self.change(node),
            95..=96 => self.inbox(node),
            _ if self.stays_hot => self.scan(node),
            _ => self.cool_or_warm(node),
        }
    }

    fn scan(&mut self, node: &Node) {
        let n = self.below(u64::from(self.issued) + 3);
        let optical = format!("T{n}");
        let card = n.to_be_bytes();
        let as_card = self.below(5) == 0;
        let id = format!("s{}", self.random.next());
        let device = self.below(4);
        let mut scan = scan(device, if as_card { &card } else { optical.as_bytes() });
        scan.code_kind = if as_card { CodeKind::Card } else { CodeKind::Optical };
        scan.scan_id = (self.below(3) > 0).then_some(id.as_str());
        scan.direction = [None, None, Some(Direction::Entry), Some(Direction::Exit)][self.below(4) as usize];
        scan.people = (self.below(6) == 0).then(|| self.below(3) as u16 + 1);
        match self.below(20) {
            0 => scan.kind = ScanKind::Test,
            1 => scan.overriding = Some(Override { operator: OperatorId(0), note: "knows the band" }),
            2..=5 => {
                scan.kind = ScanKind::Offline;
                scan.scanned_at = Some(self.now.plus_ms(-i64::from(self.below(7_200_000))));
                let denied = Shown::Denied(REASONS[self.below(16) as usize]);
                scan.shown = Some(if self.below(4) > 0 { Shown::Admitted } else { denied });
            }
            _ => scan.scanned_at = Some(self.now),
        }
        // Some are presented twice: the same answer by id, or a repeat without one.
        for _ in 0..=u32::from(self.below(6) == 0) {
            self.present(node, &scan);
        }
    }

    fn present(&mut self, node: &Node, scan: &Scan<'_>) {
        let answered = match node.engine.scan(scan) {
            Err(EngineError::MaybeCold) => {
                let found = self
                    .away
                    .iter()
                    .find(|(_, ticket)| ticket.details.codes().any(|own| own == (scan.code_kind, scan.code)));
                node.engine.scan_cold(scan, found)
            }
            other => other,
        };
        match answered {
            Ok(answered) => {
                let own = format!("gh-{}", answered.lsn);
                self.scans.push((scan.device, scan.scan_id.map_or(own, str::to_owned)));
            }
            Err(EngineError::Warming | EngineError::ScanIdConflict) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn passage(&mut self, node: &Node) {
        let Some(back) = self.scans.len().checked_sub(1 + self.random.below(20) as usize) else { return };
        let (device, scan_id) = self.scans[back].clone();
        let _ = match self.below(3) {
            0 => node.engine.passed(device, &scan_id),
            _ => node.engine.annul(device, &scan_id),
        };
    }

    fn issue(&mut self, node: &Node) {
        let count = self.below(12) + 1;
        let tickets: Vec<Ticket> =
            (0..count).map(|n| ticket(self.issued + n, (self.issued + n) % 4)).collect();
        let (_, outcomes) = node.engine.add_tickets(tickets, false).unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
        self.issued += count;
    }

    /// The box office says something: a new ticket, the same once more, a change, or what cannot be.
    fn inbox(&mut self, node: &Node) {
        let row = InboxRow { id: self.random.next() >> 1, written_us: self.now.0 * 1_000 };
        let n = self.below(u64::from(self.issued) + 3);
        let wish = match self.below(6) {
            0 => {
                self.issued += 1;
                Wish::Add(ticket(self.issued - 1, (self.issued - 1) % 4))
            }
            // Those of the concert may be in the store only, where this test does not look.
            1 if n % 4 != 3 => Wish::Add(ticket(n.min(self.issued), n.min(self.issued) % 4)),
            2 => {
                let refused = InboxOutcome::refused("operation 'sell' is not one of add, change, cancel");
                node.engine.note_row(row, refused).unwrap();
                return;
            }
            _ => Wish::Change(self.wished(n)),
        };
        if matches!(&wish, Wish::Add(new) if new.details.reference() == format!("R-{}", self.issued)) {
            self.issued += 1;
        }
        let found = self
            .away
            .iter()
            .find(|(_, own)| wish.codes().iter().any(|code| own.details.codes().any(|own| own == *code)));
        let (_, outcome) = match node.engine.take_in(row, &wish, Stored::NotAsked) {
            Err(EngineError::MaybeCold) => {
                let as_of = node.engine.journal().positions().next;
                node.engine.take_in(row, &wish, Stored::Asked(found, as_of)).unwrap()
            }
            other => other.unwrap(),
        };
        if let InboxOutcome::Changed { id, ticket } = outcome
            && let Some((_, own)) = self.away.iter_mut().find(|(own, _)| *own == id)
        {
            *own = ticket;
        }
    }

    fn wished(&mut self, n: u32) -> Change {
        let one_in = |own: &mut Day, many: u64| own.below(many) == 0;
        Change {
            kind: CodeKind::Optical,
            code: format!("T{n}").into_bytes(),
            event: one_in(self, 4).then_some(MATCH),
            type_name: one_in(self, 5).then(|| "SEASON".to_owned()),
            status: one_in(self, 3).then_some(TicketStatus::Cancelled),
            specimen: one_in(self, 9).then_some(true),
            valid_from: one_in(self, 9).then_some(START),
            valid_until: one_in(self, 9).then(|| START.plus_ms(86_400_000)),
            holder: one_in(self, 2).then(|| format!("Zoé Neu{n} Muster{n}")),
            order: one_in(self, 6).then(String::new),
            seat: one_in(self, 6).then(|| "B 2".to_owned()),
        }
    }

    /// A person does something in the administration.
    fn act(&mut self, node: &Node) {
        let by = Some(OperatorId(0));
        if self.below(4) == 0 {
            let scan = node.engine.with_state(|state| state.scans.newest().nth(3).map(|kept| kept.lsn));
            let _ = node.engine.annul_by(by, Lsn(scan.unwrap_or(1)), "Grüezi \"all\"");
            return;
        }
        let entries = (0..self.below(4))
            .map(|_| RegistryChange {
                kind: ["session", "webhook"][self.below(2) as usize].to_owned(),
                name: format!("of {}", self.below(6)),
                value: (self.below(3) > 0).then(|| format!("{{\"n\":{}}}", self.below(1_000))),
            })
            .collect();
        let details = ["{}", "", "{\"a\":1}", "no JSON"][self.below(4) as usize].to_owned();
        let (action, subject) = ("sign_in".to_owned(), "chief@venue.example".to_owned());
        node.engine.act(by, Act { action, subject, details, entries }).unwrap();
    }

    /// A person changes a ticket, here or far away, or gives another in its place.
    fn amend(&mut self, node: &Node) {
        let id = TicketId(self.below(u64::from(self.issued) + 1));
        let hot = node.engine.with_state(|state| state.tickets.get(id).cloned());
        let away = self.away.iter().find(|(own, _)| *own == id).map(|(_, ticket)| ticket.clone());
        let Some(before) = hot.or(away) else { return };
        let mut after = Ticket { status_at: self.now, ..before.clone() };
        after.status = [TicketStatus::Active, TicketStatus::Blocked][self.below(2) as usize];
        match self.below(3) {
            0 => after.usage = TicketUse::default(),
            1 => (after.usage.inside, after.usage.presence) = (0, ZoneId::OUTSIDE),
            _ => after.usage.used += 1,
        }
        if self.below(2) == 0 {
            after.details = self.other_details(&before);
        }
        let added = if self.below(3) == 0 {
            vec![Ticket { details: self.other_details(&before), ..before.clone() }]
        } else {
            Vec::new()
        };
        let amendment = Amendment {
            action: "ticket_amend".to_owned(),
            details: "{\"why\":\"lost\"}".to_owned(),
            changed: vec![(id, before, after.clone())],
            added: added.clone(),
            as_of: Some(node.engine.journal().positions().next),
        };
        let (_, ids) = node.engine.amend(Some(OperatorId(0)), amendment).unwrap();
        for (id, ticket) in ids.into_iter().zip(added) {
            if node.engine.with_state(|state| state.tickets.get(id).is_none()) {
                self.away.push((id, ticket));
            }
        }
        if let Some((_, own)) = self.away.iter_mut().find(|(own, _)| *own == id) {
            *own = after;
        }
    }

    fn other_details(&mut self, ticket: &Ticket) -> Details {
        let own = &ticket.details;
        let code = format!("X{}", self.random.next());
        let mut codes: Vec<(CodeKind, &[u8])> = vec![(CodeKind::Optical, code.as_bytes())];
        codes.extend([(CodeKind::Card, &code.as_bytes()[..9])].into_iter().take(self.below(2) as usize));
        let reference = format!("{}b", &own.reference()[..own.reference().len().min(20)]);
        Details::new(&reference, "Zoé Neu", own.order(), "C 3", &codes)
    }

    fn change(&mut self, node: &Node) {
        let entity = match self.below(4) {
            0 => Entity::Gate(Gate {
                mode: if self.below(3) == 0 { GateMode::Closed } else { GateMode::Open },
                ..gate("SOUTH", 0, 1)
            }),
            1 => Entity::Device(Device { config_version: self.below(1_000), ..device("OUT_1", 2, 3) }),
            2 => Entity::Device(device(&format!("NEW_{}", self.below(5)), 0, 100 + self.below(5) as u8)),
            _ => Entity::Event(Event { title: format!("Title {}", self.below(9)), ..event("concert") }),
        };
        let _ = node.engine.put(Some(OperatorId(0)), entity);
    }

    /// The concert's tickets leave the memory, or some of them come back.
    fn cool_or_warm(&mut self, node: &Node) {
        if self.away.is_empty() {
            let engine = &node.engine;
            self.away = engine.with_state(|state| {
                let of_concert = |(_, ticket): &(TicketId, &Ticket)| ticket.type_id == TypeId(3);
                state.tickets.iter().filter(of_concert).map(|(id, ticket)| (id, ticket.clone())).collect()
            });
            engine.cool(CONCERT).unwrap();
        } else {
            let some = self.away.len().div_ceil(2);
            let back: Vec<_> = self.away.drain(..some).collect();
            node.engine.warm(node.engine.journal().positions().next, back).unwrap();
        }
    }
}
