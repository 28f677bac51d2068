//! The engine against the reference: the same random acts at both, the same answers and counts from both. In every
//! run, at random points and at the end: replay gives the live state (A3), so does a checkpoint taken in the
//! middle of the work with the journal after it; no ticket admits more than its entries (A1); a zone's count is
//! the sum over its tickets.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::catalog::*;
use engine::clock::ManualClock;
use engine::decision::{Answer, Override, REASONS, Reason, Scan, ScanKind, Shown, Verdict};
use engine::disk::Disk;
use engine::inbox::{Change, InboxOutcome, InboxRow, Stored, Wish};
use engine::journal::JournalOptions;
use engine::record::Command;
use engine::registry::{Act, Expected, RegistryChange};
use engine::sim_disk::{SimDisk, SplitMix64};
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use engine::{Amendment, Answered, Engine, EngineError, Seen, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use support::build::{self, DAY_MS, HOUR_MS, MINUTE_MS};
use support::pausing::{Pause, PausingDisk, checkpoint_with, pausing};
use support::reference::{Ask, Guest, Outcome, Passage, Reference, Result, Said, Sums, Use};

const CASES: u64 = 320;
const ACTS: usize = 100;
/// 2026-10-24T18:00 in Zurich: the clocks change in the night after.
const START: Time = Time(1_792_857_600_000);

/// Both sides and what they need.
struct Case {
    disk: SimDisk,
    pausing: Arc<PausingDisk>,
    pause: Arc<Pause>,
    engine: Engine,
    acts: Acts,
}

/// Everything but the engine, so that acts can be done while a checkpoint has it.
struct Acts {
    random: SplitMix64,
    clock: Arc<ManualClock>,
    model: Reference,
    /// The store: tickets of cold events.
    store: Vec<(TicketId, Ticket)>,
    commands: Vec<VecDeque<(Command, Time)>>,
    next_id: usize,
    next_code: usize,
    registry: BTreeMap<String, String>,
    /// The most entries each type ever had.
    entries_most: Vec<Option<u16>>,
    /// Tickets and answers that were forgotten.
    forgotten: (u64, u64),
}

#[test]
fn the_engine_does_what_the_reference_does() {
    let seeds = match (number("MODEL_SEED"), number("MODEL_CASES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, cases) => 0..cases.unwrap_or(CASES),
    };
    let many = seeds.end - seeds.start >= CASES;
    let (mut refused_for, mut forgotten) = (BTreeSet::new(), (0, 0));
    for seed in seeds {
        println!("MODEL_SEED={seed}");
        let mut case = Case::new(seed);
        case.run();
        let history = case.acts.model.history.iter();
        refused_for.extend(history.filter(|entry| !entry.said.admits).filter_map(|entry| entry.said.reason));
        let (tickets, answers) = case.acts.forgotten;
        forgotten = (forgotten.0 + tickets, forgotten.1 + answers);
    }
    // A generator that never gets somewhere proves nothing about it.
    assert!(!many || refused_for.len() == REASONS.len(), "only {refused_for:?}");
    assert!(!many || forgotten.0 > CASES && forgotten.1 > CASES, "only {forgotten:?} were forgotten");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

// === impl Case ===

impl Case {
    fn new(seed: u64) -> Case {
        let disk = SimDisk::new();
        let (pausing, pause) = pausing(&disk);
        let clock = Arc::new(ManualClock::at(START));
        let engine = open(pausing.clone(), &clock);
        let acts = Acts::new(seed, clock, &engine);
        Case { disk, pausing, pause, engine, acts }
    }

    fn run(&mut self) {
        for _ in 0..ACTS {
            match self.acts.below(50) {
                0 => self.replay(),
                1 => self.checkpoint(),
                _ => self.acts.act(&self.engine),
            }
        }
        self.acts.compare(&self.engine);
        self.checkpoint();
        self.replay();
    }

    /// Opens what a killed process would leave, beside the live engine and in its place.
    fn replay(&mut self) {
        self.engine.journal().commit().unwrap();
        let image = self.engine.image();
        let beside = open(Arc::new(self.disk.process_crash()), &self.acts.clock);
        assert!(beside.image() == image, "replay gives another state");
        drop(beside);
        self.engine = open(self.pausing.clone(), &self.acts.clock);
        assert!(self.engine.image() == image, "replay gives another state");
        self.refill_filter();
        self.acts.compare(&self.engine);
    }

    /// Whoever opens the engine fills the filter from the store.
    fn refill_filter(&self) {
        for (_, ticket) in &self.acts.store {
            self.engine.cold_filter().insert(ticket);
        }
    }

    fn checkpoint(&mut self) {
        let (engine, acts) = (&self.engine, &mut self.acts);
        let before = engine.image();
        let lsn = engine.with_state(|state| state.lsn);
        checkpoint_with(engine, &self.pause, |_| {
            for _ in 0..acts.below(8) {
                acts.act(engine);
            }
        });
        let name = format!("checkpoint-{lsn:020}.img");
        let loaded = engine::checkpoint::load(&self.disk, &name).unwrap();
        assert!(engine::checkpoint::image(&loaded) == before, "the checkpoint is not the state at its LSN");
        engine.journal().commit().unwrap();
        let after = open(Arc::new(self.disk.process_crash()), &acts.clock);
        assert!(after.image() == engine.image(), "checkpoint and journal give another state");
    }
}

fn open(disk: Arc<dyn Disk>, clock: &Arc<ManualClock>) -> Engine {
    let options = JournalOptions { segment_bytes: 16 << 10, salt: 7, ..JournalOptions::default() };
    Engine::open(disk, clock.clone(), options).unwrap().0
}

// === impl Acts ===

impl Acts {
    fn new(seed: u64, clock: Arc<ManualClock>, engine: &Engine) -> Acts {
        let model = Reference {
            now: START,
            events: Vec::new(),
            zones: vec![build::zone("outside")],
            gates: Vec::new(),
            types: Vec::new(),
            windows_ms: vec![3_000, 0, 20_000],
            locked: vec![false; 3],
            guests: Vec::new(),
            history: Vec::new(),
            kept_from: 0,
            repeats: 0,
            turns: Vec::new(),
            unsaid: vec![0; 8],
        };
        let commands = vec![VecDeque::new(); 3];
        let random = SplitMix64(seed);
        let (store, registry, entries_most) = (Vec::new(), BTreeMap::new(), Vec::new());
        let (next_id, next_code, forgotten) = (0, 0, (0, 0));
        let mut acts = Acts {
            random,
            clock,
            model,
            store,
            commands,
            next_id,
            next_code,
            registry,
            entries_most,
            forgotten,
        };
        acts.build(engine);
        acts
    }

    fn build(&mut self, engine: &Engine) {
        for name in ["Match", "Other"] {
            let event = build::event(name, START.plus_ms(-HOUR_MS), START.plus_ms(5 * DAY_MS));
            self.put(engine, Entity::Event(event));
        }
        for (name, capacity) in [("PERIMETER", None), ("BOWL", Some(9))] {
            let mut zone = build::zone(name);
            zone.capacity = capacity;
            self.put(engine, Entity::Zone(zone));
        }
        let (outside, perimeter, bowl) = (ZoneId(0), ZoneId(1), ZoneId(2));
        for (name, event, from, to) in [
            ("North", Some(0), outside, bowl),
            ("Exit", Some(0), bowl, outside),
            ("Outer", Some(0), outside, perimeter),
            ("Inner", Some(0), perimeter, bowl),
            ("OuterExit", Some(0), perimeter, outside),
            ("Foreign", Some(1), outside, bowl),
            ("Idle", None, outside, bowl),
        ] {
            self.put(engine, Entity::Gate(build::gate(name, event.map(EventId), from, to)));
        }
        for (n, window_ms) in self.model.windows_ms.clone().into_iter().enumerate() {
            let mut device = build::device(&format!("D{n}"));
            device.repeat_window_ms = window_ms as u32;
            self.put(engine, Entity::Device(device));
        }
        for n in 0..8 {
            let kind = self.random_type(n);
            self.entries_most.push(kind.entries);
            self.put(engine, Entity::Type(kind));
        }
        for _ in 0..14 {
            self.add_ticket(engine);
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len() as u64) as usize].clone()
    }

    /// A type; people and re-entry stay what they are as long as it lives.
    fn random_type(&mut self, n: u32) -> TicketType {
        let reentry = [Reentry::None, Reentry::AfterExit, Reentry::Free][n as usize % 3];
        let entries =
            if reentry == Reentry::None { Some(1) } else { self.pick(&[None, Some(1), Some(2), Some(3)]) };
        let mut kind = build::ticket_type(&format!("TYPE{n}"), EventId(u32::from(n == 7)), entries, reentry);
        kind.people = [1, 1, 1, 4, 3, 2, 1, 1][n as usize];
        kind.anti_passback =
            self.pick(&[AntiPassback::Hard, AntiPassback::Hard, AntiPassback::Soft, AntiPassback::Timed(10)]);
        kind.entries_per_day = self.pick(&[None, None, Some(1), Some(2)]);
        if self.chance(6) {
            kind.gates = vec![GateId(0), GateId(3)];
        }
        if self.chance(8) {
            kind.valid_from = START.plus_ms(HOUR_MS);
        }
        if self.chance(8) {
            kind.valid_until = START.plus_ms(2 * DAY_MS);
        }
        kind
    }

    fn put(&mut self, engine: &Engine, entity: Entity) {
        engine.put(None, entity.clone()).unwrap();
        fn at<T>(list: &mut Vec<T>, value: T, same: impl Fn(&T) -> bool) {
            match list.iter().position(same) {
                Some(n) => list[n] = value,
                None => list.push(value),
            }
        }
        match entity {
            Entity::Event(event) => {
                let name = event.name.clone();
                at(&mut self.model.events, event, |own| own.name == name);
            }
            Entity::Zone(zone) => {
                let name = zone.name.clone();
                at(&mut self.model.zones, zone, |own| own.name == name);
            }
            Entity::Gate(gate) => {
                let name = gate.name.clone();
                at(&mut self.model.gates, gate, |own| own.name == name);
            }
            Entity::Type(kind) => {
                let name = kind.name.clone();
                at(&mut self.model.types, kind, |own| own.name == name);
            }
            _ => {}
        }
    }

    fn add_ticket(&mut self, engine: &Engine) {
        let n = self.model.guests.len();
        let type_id = TypeId(self.below(8) as u16);
        let mut codes = vec![(CodeKind::Optical, format!("T{n}").into_bytes())];
        if self.chance(3) {
            codes.push((CodeKind::Card, format!("T{}", n + 1).into_bytes()));
        }
        let borrowed: Vec<(CodeKind, &[u8])> =
            codes.iter().map(|(kind, code)| (*kind, code.as_slice())).collect();
        let mut ticket = build::ticket(type_id, &format!("T{n}"), &borrowed);
        let texts = [(8, "Guest"), (3, "Order"), (3, "Seat")];
        let person = texts
            .map(|(one_in, word)| if self.chance(one_in) { String::new() } else { format!("{word} {n}") });
        ticket.details = Details::new(&format!("T{n}"), &person[0], &person[1], &person[2], &borrowed);
        ticket.specimen = self.chance(10);
        if self.chance(10) {
            ticket.valid_from = START.plus_ms(2 * HOUR_MS);
        }
        if self.chance(10) {
            ticket.valid_until = START.plus_ms(DAY_MS);
        }
        let stored = self.model.events[self.model.types[type_id.index()].event.index()].cold;
        let id = engine.with_state(|state| state.tickets.next_id());
        assert_eq!(id.0 as usize, n, "numbers follow each other");
        let (_, outcomes) = engine.add_tickets(vec![ticket.clone(), ticket.clone()], false).unwrap();
        assert!(outcomes[0].is_ok());
        assert!(outcomes[1].is_err(), "a code is taken once");
        if stored {
            self.store.push((id, ticket.clone()));
        }
        self.model.guests.push(Guest {
            type_id,
            status: ticket.status,
            status_at: ticket.status_at,
            specimen: ticket.specimen,
            from: ticket.valid_from,
            until: ticket.valid_until,
            codes,
            person,
            usage: Use::fresh(),
            stored,
            given: 0,
        });
    }

    /// One random act on both sides.
    fn act(&mut self, engine: &Engine) {
        match self.below(100) {
            0..55 => self.scan(engine),
            55..58 => self.amend(engine),
            58..60 => self.registry(engine),
            60..64 => self.check(engine),
            64..73 => self.passage(engine),
            73..77 => self.status(engine),
            77..82 => self.change_catalog(engine),
            82..83 => self.add_ticket(engine),
            83..85 => self.inbox(engine),
            85..86 => self.turns(engine),
            86..89 => self.command(engine),
            89..91 => self.deliver(engine),
            91..92 => self.cool(engine),
            92..95 => self.warm(engine),
            95..98 => self.compare(engine),
            98 => self.shred(engine),
            _ => {
                engine.journal().commit().unwrap();
            }
        }
        self.tick();
    }

    fn tick(&mut self) {
        let ms = match self.below(40) {
            0..20 => self.below(2_000) as i64,
            20..34 => self.below(10 * MINUTE_MS as u64) as i64,
            34..36 => self.below(5 * HOUR_MS as u64) as i64,
            36 => self.below(DAY_MS as u64) as i64,
            37 => -(self.below(5_000) as i64),
            38 => -(self.below(2 * HOUR_MS as u64) as i64),
            _ => -(self.below(DAY_MS as u64 + DAY_MS as u64 / 4) as i64),
        };
        self.model.now = self.model.now.plus_ms(ms);
        self.clock.set(self.model.now);
    }

    // --- scans ---

    fn ask(&mut self) -> Ask {
        if !self.model.history.is_empty() && self.chance(5) {
            return self.ask_again();
        }
        let known = self.model.guests.len() as u64;
        let device = DeviceId(self.below(3) as u32);
        // The first gates and tickets more often: something has to happen to the same ones.
        let gate = GateId(self.below(7).min(self.below(7)) as u16);
        let code = self.below(known + 1).min(self.below(known + 1));
        let code_kind = if self.chance(8) { CodeKind::Card } else { CodeKind::Optical };
        let id = match self.below(5) {
            0..2 => None,
            2 if self.chance(4) => Some(String::new()),
            _ => {
                self.next_id += 1;
                Some(format!("id-{}", self.next_id))
            }
        };
        let (kind, shown) = match self.below(20) {
            0 => (ScanKind::Test, None),
            1..3 => (ScanKind::Offline, Some(Shown::Admitted)),
            3 => (ScanKind::Offline, Some(Shown::Denied(self.pick(&REASONS)))),
            _ => (ScanKind::Validate, None),
        };
        let made = (kind == ScanKind::Offline || self.chance(10)).then(|| {
            let back = self.below(2 * DAY_MS as u64) as i64 >> self.below(12);
            self.model.now.plus_ms(MINUTE_MS - back)
        });
        // At times a code that the ticket has now, whatever it had first.
        let own = self.model.guests.get(code as usize).map(|guest| guest.codes.clone());
        let code = match own {
            Some(own) if self.chance(3) => self.pick(&own),
            _ => (code_kind, format!("T{code}").into_bytes()),
        };
        Ask {
            device,
            gate,
            code,
            id,
            made,
            direction: if self.chance(8) {
                Some(self.pick(&[Direction::Entry, Direction::Exit]))
            } else {
                None
            },
            people: if self.chance(5) { Some(self.below(5) as u16) } else { None },
            kind,
            overriding: self.chance(25),
            shown,
        }
    }

    /// The same scan again: as it was, by the engine's own id, or with something changed.
    fn ask_again(&mut self) -> Ask {
        let back = self.below(self.model.history.len() as u64).min(self.below(12));
        let old = &self.model.history[self.model.history.len() - 1 - back as usize];
        let (mut ask, lsn) = (old.ask.clone(), old.lsn);
        match self.below(8) {
            0 => ask.id = Some(format!("gh-{lsn}")),
            1 => ask.code.1 = b"T0".to_vec(),
            2 => ask.gate = GateId(self.below(7) as u16),
            3 => ask.device = DeviceId(self.below(3) as u32),
            4 if ask.kind == ScanKind::Validate => {
                ask.kind = ScanKind::Offline;
                ask.shown = Some(self.pick(&[Shown::Admitted, Shown::Denied(Reason::Blocked)]));
            }
            _ => {}
        }
        ask
    }

    fn scan(&mut self, engine: &Engine) {
        let ask = self.ask();
        let result = as_scan(&ask, |scan| match engine.scan(scan) {
            Err(EngineError::MaybeCold) => engine.scan_cold(scan, self.stored(&ask).as_ref()),
            result => result,
        });
        let lsn = result.as_ref().map_or(0, |answered| answered.lsn.0);
        let expected = self.model.scan(&ask, lsn);
        same(&ask, &expected, &result);
        if let (Result::Said { said, .. }, Ok(answered)) = (&expected, &result)
            && answered.seen == Seen::New
        {
            let listed = engine.with_state(|state| {
                state.conflicts.back().filter(|own| own.lsn == lsn).map(|own| own.reason)
            });
            assert_eq!(listed, said.conflict, "conflict of {ask:?}");
        }
    }

    fn stored(&self, ask: &Ask) -> Option<(TicketId, Ticket)> {
        let has_code = |ticket: &Ticket| {
            ticket.details.codes().any(|(kind, code)| (kind, code) == (ask.code.0, &ask.code.1))
        };
        self.store.iter().find(|(_, ticket)| has_code(ticket)).cloned()
    }

    fn check(&mut self, engine: &Engine) {
        let ask = self.ask();
        let before = engine.image();
        let result = as_scan(&ask, |scan| match engine.check(scan) {
            Err(EngineError::MaybeCold) => engine.check_cold(scan, self.stored(&ask).as_ref()),
            result => result,
        });
        same(&ask, &self.model.check(&ask), &result);
        assert!(before == engine.image(), "a check changed the state");
    }

    fn passage(&mut self, engine: &Engine) {
        let len = self.model.history.len() as u64;
        if len == 0 {
            return;
        }
        let back = self.below(len).min(self.below(10));
        let old = &self.model.history[(len - 1 - back) as usize];
        // An annulled scan of a ticket that is in the store only gives nothing back: not asked for here.
        if old.guest.is_some_and(|n| self.model.guests[n].stored) {
            return;
        }
        let id = old.ask.id.clone().unwrap_or_else(|| format!("gh-{}", old.lsn));
        let mut device = old.ask.device;
        if self.chance(12) {
            device = DeviceId(self.below(3) as u32);
        }
        let annul = self.chance(2);
        let result = if annul { engine.annul(device, &id) } else { engine.passed(device, &id) };
        let got = match result {
            Ok(_) => Passage::Done,
            Err(EngineError::ScanNotFound) => Passage::NotFound,
            Err(EngineError::NotAdmitted) => Passage::NotAdmitted,
            Err(EngineError::PassageDecided(_)) => Passage::Decided,
            Err(EngineError::TooLateToAnnul) => Passage::TooLate,
            Err(error) => panic!("{error}"),
        };
        let outcome = if annul { Outcome::Annulled } else { Outcome::Passed };
        assert_eq!(got, self.model.passage(device, &id, outcome), "{outcome:?} of {id}");
    }

    // --- changes ---

    fn status(&mut self, engine: &Engine) {
        let n = self.below(self.model.guests.len() as u64) as usize;
        let status = self.pick(&[
            TicketStatus::Active,
            TicketStatus::Active,
            TicketStatus::Active,
            TicketStatus::Blocked,
            TicketStatus::Cancelled,
            TicketStatus::NotActivated,
            TicketStatus::Superseded,
        ]);
        let result = engine.set_status(None, TicketId(n as u32), status);
        if self.model.guests[n].stored {
            assert!(matches!(result, Err(EngineError::TicketNotFound)));
            return;
        }
        result.unwrap();
        let guest = &mut self.model.guests[n];
        (guest.status, guest.status_at) = (status, self.model.now);
    }

    fn change_catalog(&mut self, engine: &Engine) {
        match self.below(6) {
            0..2 => {
                let n = self.below(8) as u32;
                let kind = self.random_type(n);
                let most = &mut self.entries_most[n as usize];
                *most = most.zip(kind.entries).map(|(a, b)| a.max(b));
                self.put(engine, Entity::Type(kind));
            }
            2 => {
                let mut gate = self.pick(&self.model.gates.clone());
                gate.mode =
                    self.pick(&[GateMode::Open, GateMode::Open, GateMode::Closed, GateMode::EmergencyOpen]);
                self.put(engine, Entity::Gate(gate));
            }
            3..5 => {
                let nth = 1 + self.below(2) as usize;
                let mut zone = self.model.zones[nth].clone();
                zone.capacity = self.pick(&[None, Some(1), Some(4), Some(20)]);
                zone.rule = self.pick(&[CapacityRule::Hard, CapacityRule::Soft]);
                self.put(engine, Entity::Zone(zone));
            }
            _ => {
                let mut event = self.pick(&self.model.events.clone());
                event.ends_at = START.plus_ms(self.pick(&[1, 3, 8]) * DAY_MS);
                event.time_zone =
                    self.pick(&["Europe/Zurich", "Europe/Zurich", "America/New_York"]).to_owned();
                self.put(engine, Entity::Event(event));
            }
        }
    }

    fn turns(&mut self, engine: &Engine) {
        let (gate, people) = (GateId(self.below(7) as u16), self.below(9) as i32 - 3);
        engine.turns(DeviceId(0), gate, people).unwrap();
        self.model.turns.push((gate, i64::from(people)));
    }

    fn command(&mut self, engine: &Engine) {
        let device = self.below(3) as usize;
        let command = match self.below(8) {
            0 => Command::Lock,
            1..4 => Command::Unlock,
            4 => Command::Release,
            5 => Command::EmergencyOpen,
            6 => Command::Message("hello".to_owned()),
            _ => Command::Reload,
        };
        let lives_ms = self.below(10 * MINUTE_MS as u64) as i64;
        engine.command(None, DeviceId(device as u32), command.clone(), lives_ms).unwrap();
        match command {
            Command::Lock => self.model.locked[device] = true,
            Command::Reload | Command::Message(_) => {}
            _ => self.model.locked[device] = false,
        }
        let now = self.model.now;
        self.commands[device].retain(|(_, until)| *until >= now);
        self.commands[device].push_back((command, now.plus_ms(lives_ms)));
    }

    fn deliver(&mut self, engine: &Engine) {
        let device = self.below(3) as usize;
        let (_, _, got) = engine.take_commands(DeviceId(device as u32)).unwrap();
        let got: Vec<Command> = got.into_iter().map(|pending| pending.command).collect();
        let now = self.model.now;
        let waiting: Vec<(Command, Time)> = self.commands[device].drain(..).collect();
        let stands =
            |command: &Command| matches!(command, Command::Lock | Command::Release | Command::EmergencyOpen);
        let superseded = |n: usize| {
            let later =
                |kind: &dyn Fn(&Command) -> bool| waiting[n + 1..].iter().any(|(command, _)| kind(command));
            match &waiting[n].0 {
                Command::Unlock | Command::Message(_) => false,
                Command::Reload => later(&|command| *command == Command::Reload),
                _ => later(&stands),
            }
        };
        let expected: Vec<Command> = (0..waiting.len())
            .filter(|n| waiting[*n].1 >= now && !superseded(*n))
            .map(|n| waiting[n].0.clone())
            .collect();
        assert_eq!(got, expected);
    }

    // --- the inbox ---

    /// The box office changes a ticket, wherever it is: the outcome by the words of the manual, and the same afterwards.
    fn inbox(&mut self, engine: &Engine) {
        let n = self.below(self.model.guests.len() as u64 + 1) as usize;
        let stranger = (CodeKind::Optical, format!("T{n}").into_bytes());
        let code = self.model.guests.get(n).map_or(stranger, |guest| guest.codes[0].clone());
        let all = [TicketStatus::Active, TicketStatus::Blocked, TicketStatus::Cancelled];
        let status = if self.chance(3) { None } else { Some(self.pick(&all)) };
        let from = self.chance(4).then(|| START.plus_ms(self.below(48) as i64 * HOUR_MS));
        let until = self.chance(4).then(|| START.plus_ms(self.below(96) as i64 * HOUR_MS));
        let change = Change {
            kind: code.0,
            code: code.1.clone(),
            event: None,
            type_name: None,
            status,
            specimen: None,
            valid_from: from,
            valid_until: until,
            holder: None,
            order: None,
            seat: None,
        };
        let row = InboxRow { id: self.model.history.len() as u64, written_us: 1 };
        let wish = Wish::Change(change);
        let found = self
            .store
            .iter()
            .find(|(_, own)| own.details.codes().any(|(kind, own)| (kind, own) == (code.0, &code.1[..])))
            .cloned();
        let (_, outcome) = match engine.take_in(row, &wish, Stored::NotAsked) {
            Err(EngineError::MaybeCold) => {
                let as_of = engine.journal().positions().next;
                engine.take_in(row, &wish, Stored::Asked(found.as_ref(), as_of)).unwrap()
            }
            other => other.unwrap(),
        };
        let now = self.model.now;
        let Some(guest) = self.model.guests.get_mut(n) else {
            assert_eq!(outcome, InboxOutcome::Early);
            return;
        };
        let before = (guest.status, guest.from, guest.until);
        let wanted = (status.unwrap_or(before.0), from.unwrap_or(before.1), until.unwrap_or(before.2));
        let over = matches!(before.0, TicketStatus::Cancelled | TicketStatus::Superseded);
        match outcome {
            InboxOutcome::Refused(_) => {
                assert!(wanted.1 > wanted.2 || over && wanted != before, "{before:?} {wanted:?}")
            }
            InboxOutcome::Unchanged => assert_eq!(wanted, before),
            InboxOutcome::Changed { id, ticket } => {
                assert!(wanted != before && wanted.1 <= wanted.2 && !over, "{before:?} {wanted:?}");
                assert_eq!(
                    (id.0 as usize, ticket.status, ticket.valid_from, ticket.valid_until),
                    (n, wanted.0, wanted.1, wanted.2)
                );
                (guest.status, guest.from, guest.until) = wanted;
                if wanted.0 != before.0 {
                    guest.status_at = now;
                }
                if let Some((_, own)) = self.store.iter_mut().find(|(own, _)| *own == id) {
                    *own = ticket;
                }
            }
            other => panic!("{other:?}"),
        }
    }

    // --- amendments ---

    /// A person changes a ticket, wherever it is, and maybe reissues it.
    fn amend(&mut self, engine: &Engine) {
        let n = self.below(self.model.guests.len() as u64) as usize;
        let id = TicketId(n as u32);
        let hot = engine.with_state(|state| state.tickets.get(id).cloned());
        let stored = self.store.iter().find(|(own, _)| *own == id).map(|(_, ticket)| ticket.clone());
        let before = hot.or(stored).unwrap();
        let reissued = self.chance(3);
        let (mut after, mut usage) = (before.clone(), self.model.guests[n].usage.clone());
        (after.status, after.status_at) = match reissued {
            true => (TicketStatus::Superseded, self.model.now),
            false => (self.pick(&[TicketStatus::Active, TicketStatus::Blocked]), self.model.now),
        };
        after.valid_until = self.pick(&[before.valid_until, Time::MAX, START.plus_ms(DAY_MS)]);
        if reissued || self.chance(2) {
            (after.usage.inside, after.usage.presence) = (0, ZoneId::OUTSIDE);
            (usage.inside, usage.zone) = (0, ZoneId::OUTSIDE);
        }
        if !reissued && self.chance(3) {
            (after.usage, usage) = (TicketUse::default(), Use::fresh());
        }
        if !reissued && self.chance(3) {
            after.details = self.new_code(&before);
        }
        let added = reissued.then(|| Ticket { details: self.new_code(&before), ..before.clone() });
        let mut seen = before;
        let stale = self.chance(10);
        seen.specimen ^= stale;
        let is_stored = self.model.guests[n].stored;
        let as_of = self.chance(2).then(|| engine.journal().positions().next);
        let result = engine.amend(
            None,
            Amendment {
                action: "amend".to_owned(),
                details: "{}".to_owned(),
                changed: vec![(id, seen, after.clone())],
                added: added.clone().into_iter().collect(),
                as_of,
            },
        );
        match result {
            Err(EngineError::MaybeCold) => assert!(is_stored && as_of.is_none()),
            Err(EngineError::Changed) => assert!(stale && !is_stored),
            Err(error) => panic!("{error}"),
            Ok((_, ids)) => {
                assert!(is_stored && as_of.is_some() || !is_stored && !stale);
                self.amended(n, after, usage, ids.first().copied().zip(added));
            }
        }
    }

    /// The reissued ticket has behind it what the old one had.
    fn amended(&mut self, n: usize, after: Ticket, usage: Use, added: Option<(TicketId, Ticket)>) {
        let is_stored = self.model.guests[n].stored;
        let codes =
            |ticket: &Ticket| ticket.details.codes().map(|(kind, code)| (kind, code.to_vec())).collect();
        if let Some((id, ticket)) = added {
            assert_eq!(id.0 as usize, self.model.guests.len(), "numbers follow each other");
            let guest = self.model.guests[n].clone();
            let (codes, person) = (codes(&ticket), person(&ticket));
            let fresh = Guest { codes, person, usage: Use::fresh(), given: 0, ..guest.clone() };
            self.model.guests.push(fresh);
            self.model.amend_use(id.0 as usize, guest.usage);
            if is_stored {
                self.store.push((id, ticket));
            }
        }
        self.model.amend_use(n, usage);
        let guest = &mut self.model.guests[n];
        (guest.status, guest.status_at, guest.until) = (after.status, after.status_at, after.valid_until);
        (guest.codes, guest.person) = (codes(&after), person(&after));
        if let Some((_, own)) = self.store.iter_mut().find(|(own, _)| own.0 as usize == n) {
            *own = after;
        }
    }

    fn new_code(&mut self, ticket: &Ticket) -> Details {
        self.next_code += 1;
        let own = &ticket.details;
        let code = format!("R{}", self.next_code);
        Details::new(own.reference(), own.holder(), "", "", &[(CodeKind::Optical, code.as_bytes())])
    }

    fn registry(&mut self, engine: &Engine) {
        let name = format!("name-{}", self.below(6));
        let value = (!self.chance(3)).then(|| format!("{}", self.below(100)));
        let is = self.registry.get(&name).cloned();
        let guess = if self.chance(2) { is.clone() } else { Some(format!("{}", self.below(3))) };
        let expected = [Expected { kind: "kind", name: &name, value: guess.as_deref() }];
        let word = || "word".to_owned();
        let change = RegistryChange { kind: "kind".to_owned(), name: name.clone(), value: value.clone() };
        let act = Act { action: word(), subject: word(), details: "{}".to_owned(), entries: vec![change] };
        match engine.act_if(None, &expected, act) {
            Err(EngineError::Changed) => assert_ne!(is, guess),
            other => {
                other.unwrap();
                assert_eq!(is, guess);
                match value {
                    Some(value) => drop(self.registry.insert(name, value)),
                    None => drop(self.registry.remove(&name)),
                }
            }
        }
    }

    // --- cold events ---

    fn event_tickets(&self, event: usize) -> Vec<usize> {
        let of = |n: &usize| self.model.types[self.model.guests[*n].type_id.index()].event.index() == event;
        (0..self.model.guests.len()).filter(of).collect()
    }

    fn cool(&mut self, engine: &Engine) {
        let event = if self.chance(4) { 0 } else { 1 };
        let guests = self.event_tickets(event);
        if self.model.events[event].cold || guests.is_empty() {
            return;
        }
        for n in guests {
            let id = TicketId(n as u32);
            let ticket = engine.with_state(|state| state.tickets.get(id).cloned()).unwrap();
            self.store.push((id, ticket));
            self.model.guests[n].stored = true;
        }
        engine.cool(EventId(event as u32)).unwrap();
        self.model.events[event].cold = true;
    }

    fn warm(&mut self, engine: &Engine) {
        let Some(event) = self.model.events.iter().position(|event| event.cold) else { return };
        let guests = self.event_tickets(event);
        let wanted = |(id, _): &&(TicketId, Ticket)| guests.contains(&(id.0 as usize));
        let tickets: Vec<(TicketId, Ticket)> = self.store.iter().filter(wanted).cloned().collect();
        engine.warm(engine.journal().positions().next, tickets.clone()).unwrap();
        self.store.retain(|(id, _)| !guests.contains(&(id.0 as usize)));
        for n in guests {
            self.model.guests[n].stored = false;
        }
        self.model.events[event].cold = false;
        if self.chance(3) {
            self.scan(engine);
            engine.warm(engine.journal().positions().next, tickets).unwrap();
        }
    }

    // --- forgetting ---

    /// Somebody has it forgotten who held an event's tickets: refused before its end, which a venue may bring forward and
    /// put off again.
    fn shred(&mut self, engine: &Engine) {
        let n = self.below(2) as usize;
        let (before, now) = (self.model.events[n].clone(), self.model.now);
        let brought_forward = now > before.doors_open_at && self.below(4) > 0;
        if brought_forward {
            self.put(engine, Entity::Event(Event { ends_at: now.plus_ms(-1), ..before.clone() }));
        }
        let result = engine.shred(None, EventId(n as u32));
        if self.model.events[n].ends_at >= now {
            assert!(matches!(result, Err(EngineError::EventGoesOn)));
            return;
        }
        let (forgotten, expected) = (result.unwrap(), self.model.shred(EventId(n as u32)));
        assert_eq!(forgotten.tickets, expected.0);
        // A fresh answer has its ticket's texts, order and seat too, which are forgotten with it: one more that named nobody.
        assert!(forgotten.answers >= expected.1, "{forgotten:?} of {expected:?}");
        let is_named = engine.with_state(|state| {
            let of_event =
                |kind: TypeId| state.catalog.ticket_type(kind).is_some_and(|kind| kind.event.index() == n);
            state.scans.newest().any(|kept| kept.names_holder_of(of_event))
        });
        assert!(!is_named, "an answer still says whose ticket it was");
        self.forgotten = (self.forgotten.0 + expected.0, self.forgotten.1 + expected.1);
        let guests = self.event_tickets(n);
        for (_, ticket) in self.store.iter_mut().filter(|(id, _)| guests.contains(&(id.0 as usize))) {
            ticket.details = ticket.details.without_person();
        }
        if brought_forward {
            self.put(engine, Entity::Event(before));
        }
    }

    // --- comparing all of it ---

    fn compare(&self, engine: &Engine) {
        let counts = engine.counts();
        let model = &self.model;
        for n in 0..model.zones.len() {
            let got = counts.zones.get(n).copied().unwrap_or(0);
            let expected = if n == 0 { 0 } else { model.inside(ZoneId(n as u16)) };
            assert_eq!(got, expected, "zone {n}");
        }
        let sums = |tallies: &[engine::counts::Tally], n: usize| {
            let tally = tallies.get(n).copied().unwrap_or_default();
            let engine::counts::Tally { entries, exits, admits, denials, turns, .. } = tally;
            (Sums { entries, exits, admits, denials, turns }, tally.attendance)
        };
        for n in 0..model.gates.len() {
            assert_eq!(sums(&counts.gates, n).0, model.gate_sums(GateId(n as u16)), "gate {n}");
        }
        let mut by_event = vec![0; model.events.len()];
        for (n, kind) in model.types.iter().enumerate() {
            let (got, attendance) = sums(&counts.types, n);
            assert_eq!(got, model.type_sums(TypeId(n as u16)), "type {n}");
            let expected = model.attendance(TypeId(n as u16));
            assert_eq!(attendance, expected, "attendance of type {n}");
            by_event[kind.event.index()] += expected;
        }
        for (n, expected) in by_event.into_iter().enumerate() {
            let (got, attendance) = sums(&counts.events, n);
            assert_eq!(got, model.event_sums(EventId(n as u32)), "event {n}");
            assert_eq!(attendance, expected, "attendance of event {n}");
        }
        assert_eq!(counts.reasons.to_vec(), model.all_reasons());
        assert_eq!((counts.repeats, counts.tests), (model.repeats, model.tests()));
        let conflicts: Vec<(u64, Reason)> =
            engine.conflicts().into_iter().map(|conflict| (conflict.lsn, conflict.reason)).collect();
        assert_eq!(conflicts, model.conflicts());
        self.compare_tickets(engine);
        let registry = engine.registry("kind").into_iter();
        let registry: BTreeMap<String, String> =
            registry.map(|(name, value)| (name, value.to_string())).collect();
        assert_eq!(registry, self.registry);
    }

    fn compare_tickets(&self, engine: &Engine) {
        for (n, guest) in self.model.guests.iter().enumerate() {
            let ticket = engine.with_state(|state| state.tickets.get(TicketId(n as u32)).cloned());
            assert_eq!(ticket.is_none(), guest.stored, "ticket {n} is in memory or in the store");
            let most = self.entries_most[guest.type_id.index()];
            let people = i64::from(self.model.types[guest.type_id.index()].people);
            let by_history = self.model.admitted(n) - guest.given;
            assert_eq!(by_history, guest.usage.used, "entries of ticket {n} by its history");
            if let Some(most) = most {
                assert!(guest.usage.used <= i64::from(most) * people, "A1: ticket {n}");
            }
            let Some(ticket) = ticket else { continue };
            let usage = ticket.usage;
            let got = (i64::from(usage.used), i64::from(usage.inside), usage.presence);
            assert_eq!(got, (guest.usage.used, guest.usage.inside, guest.usage.zone), "ticket {n}");
            let first = (usage.used > 0).then_some((usage.first_gate, usage.first_at));
            assert_eq!(first, guest.usage.first.filter(|_| usage.used > 0), "first entry of ticket {n}");
            assert_eq!((ticket.status, ticket.status_at), (guest.status, guest.status_at));
            let codes = ticket.details.codes().map(|(kind, code)| (kind, code.to_vec()));
            assert_eq!(codes.collect::<Vec<_>>(), guest.codes, "codes of ticket {n}");
            assert_eq!(person(&ticket), guest.person, "who holds ticket {n}");
        }
    }
}

/// Holder, order and seat of a ticket.
fn person(ticket: &Ticket) -> [String; 3] {
    let details = &ticket.details;
    [details.holder(), details.order(), details.seat()].map(str::to_owned)
}

fn as_scan<T>(ask: &Ask, with: impl FnOnce(&Scan<'_>) -> T) -> T {
    with(&Scan {
        device: ask.device,
        gate: ask.gate,
        code_kind: ask.code.0,
        code: &ask.code.1,
        scan_id: ask.id.as_deref(),
        scanned_at: ask.made,
        direction: ask.direction,
        people: ask.people,
        kind: ask.kind,
        overriding: ask.overriding.then_some(Override { operator: OperatorId(0), note: "why not" }),
        shown: ask.shown,
    })
}

/// Did both say the same?
fn same(ask: &Ask, expected: &Result, got: &std::result::Result<Answered, EngineError>) {
    let (said, lsn, repeat) = match (expected, got) {
        (Result::Said { said, lsn, repeat }, Ok(_)) => (said, lsn, repeat),
        (Result::Conflict, Err(EngineError::ScanIdConflict))
        | (Result::Reserved, Err(EngineError::ScanIdReserved))
        | (Result::Warming, Err(EngineError::Warming)) => return,
        _ => panic!("{ask:?}\nexpected {expected:?}\ngot {got:?}"),
    };
    let answered = got.as_ref().unwrap();
    let heard = heard(&answered.answer, said);
    assert_eq!(&heard, said, "{ask:?}\ngot {answered:?}");
    if let Some(lsn) = lsn {
        assert_eq!(answered.lsn.0, *lsn, "{ask:?}");
        assert_eq!(answered.seen == Seen::Repeat, *repeat, "{ask:?}");
    }
}

/// The engine's answer in the reference's words; the conflict is compared where it is listed.
fn heard(answer: &Answer, said: &Said) -> Said {
    let (admits, reason) = match answer.verdict {
        Verdict::Admit { attention } => (true, attention),
        Verdict::Deny(reason) => (false, Some(reason)),
    };
    Said {
        at: answer.at,
        admits,
        reason,
        overrode: answer.overridden,
        conflict: said.conflict,
        direction: answer.direction,
        people: i64::from(answer.people),
        ticket: answer.ticket.as_ref().map(|facts| (facts.ticket.0 as usize, facts.remaining.map(i64::from))),
        holder: answer.ticket.as_ref().map(|facts| facts.label.holder().to_owned()).unwrap_or_default(),
    }
}
