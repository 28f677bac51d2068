//! The crash simulator: one engine on a simulated disk lives, is stopped in every way a machine can stop, and is
//! opened again, several generations long. All chance comes from one seed, so a seed is a story that repeats
//! exactly. Who judges is `audit`, which keeps its own list of what guests were told.

#![allow(dead_code, reason = "the test and the example each use their part")]
#![allow(clippy::unwrap_used, reason = "the simulator stops where it cannot go on")]

pub mod audit;
#[path = "../build.rs"]
pub mod build;
pub mod lying;

use audit::{Audit, Change, Told};
use engine::catalog::*;
use engine::clock::ManualClock;
use engine::decision::{Override, Scan, ScanKind, Shown};
use engine::disk::Disk;
use engine::journal::{Journal, JournalOptions, Lsn, inspect};
use engine::record::{Command, PassageOutcome, Record};
use engine::registry::{Act, RegistryChange};
use engine::sim_disk::{FailKind, SimDisk, SplitMix64};
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus};
use engine::{Amendment, Engine, EngineError, Opened, Seen, Time};
use lying::LyingDisk;
use std::sync::Arc;

/// Lives of one engine in a story, the last one only looks.
const GENERATIONS: u64 = 4;
/// Acts in a life.
const ACTS: u64 = 32;
const SEGMENT_BYTES: u64 = 4 << 10;
const START: Time = Time(1_782_925_200_000);

/// What was done, and a number that is the same only if all of it was the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub stories: u64,
    pub openings: u64,
    pub acts: u64,
    pub told: u64,
    pub checkpoints: u64,
    pub spares: u64,
    pub shreddings: u64,
    pub fingerprint: u64,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The power goes when this sync is requested.
    PowerAtSync(u64),
    /// The power goes after so many acts.
    PowerAfter(u64),
    /// The process is killed after so many acts.
    KillAfter(u64),
    /// This write fails; then the process is restarted, with or without a loss of power.
    WriteFails(u64),
    /// This sync fails; then as above.
    SyncFails(u64),
    /// This creation, renaming or removal fails; the life goes on if it can.
    NameFails(u64),
    /// All acts are done.
    Clean,
}

/// What kind of disk a story is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// It does what it says.
    Honest,
    /// It says that files are synced and does nothing; to see that the simulator sees it.
    LiesAboutFiles,
    /// It says that names are synced and does nothing.
    LiesAboutNames,
}

/// A scan a device has sent and would send again.
#[derive(Clone, Debug)]
pub struct Sent {
    pub device: DeviceId,
    pub gate: GateId,
    pub code: String,
    pub id: Option<String>,
    pub people: Option<u16>,
    pub shown: Option<Shown>,
    pub made: Option<Time>,
    pub overriding: bool,
}

/// What a life asked of the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    syncs: u64,
    writes: u64,
    name_changes: u64,
}

/// Every story of a seed: the power goes at every sync of the first life, and some other ends.
pub fn run(seed: u64, honesty: Honesty) -> Result<Stats, String> {
    let mut stats = Stats::default();
    let whole = Story::new(seed, honesty).play(End::Clean, &mut stats)?;
    for sync in 1..=whole.syncs {
        Story::new(seed, honesty).play(End::PowerAtSync(sync), &mut stats)?;
    }
    let mut random = SplitMix64(seed ^ 0x5eed);
    for _ in 0..3 {
        for end in [
            End::WriteFails(1 + random.below(whole.writes)),
            End::SyncFails(1 + random.below(whole.syncs)),
            End::NameFails(1 + random.below(whole.name_changes)),
            End::KillAfter(random.below(ACTS)),
        ] {
            Story::new(seed, honesty).play(end, &mut stats)?;
        }
    }
    Ok(stats)
}

struct Story {
    random: SplitMix64,
    honesty: Honesty,
    clock: Arc<ManualClock>,
    now: Time,
    disk: SimDisk,
    audit: Audit,
    /// Sent, and not answered when the lights went out.
    unanswered: Vec<Sent>,
    next_id: u64,
    what: String,
}

/// One life: an engine and what waits to become durable.
struct Life {
    engine: Engine,
    waiting: Vec<(Lsn, Told, Option<Sent>)>,
}

// === impl Story ===

impl Story {
    fn new(seed: u64, honesty: Honesty) -> Story {
        Story {
            random: SplitMix64(seed),
            honesty,
            clock: Arc::new(ManualClock::at(START)),
            now: START,
            disk: SimDisk::new(),
            audit: Audit::new(),
            unanswered: Vec::new(),
            next_id: 0,
            what: format!("seed {seed}"),
        }
    }

    /// Plays all lives; gives the effort of the first.
    fn play(mut self, first: End, stats: &mut Stats) -> Result<Effort, String> {
        stats.stories += 1;
        let mut effort = Effort::default();
        for generation in 0..GENERATIONS {
            let end = match generation {
                0 => first,
                last if last == GENERATIONS - 1 => End::Clean,
                _ => self.random_end(),
            };
            let seed = self.what.clone();
            let tell = |problem: String| format!("{seed}, life {generation} ending by {end:?}: {problem}");
            let life = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.live(end, stats)));
            match life {
                Ok(result) => result.map_err(tell)?,
                Err(panic) => return Err(tell(format!("panicked: {}", panic_text(&*panic)))),
            }
            if generation == 0 {
                let disk = &self.disk;
                let (syncs, writes, name_changes) = (disk.syncs(), disk.writes(), disk.name_changes());
                effort = Effort { syncs, writes, name_changes };
            }
            self.stop(end);
        }
        let life = self.open()?.ok_or("the last opening lost its power")?;
        self.audit
            .recovered(&life.engine)
            .map_err(|problem| format!("{}, at the end: {problem}", self.what))?;
        stats.told += self.audit.told();
        stats.fingerprint = stats.fingerprint.rotate_left(5) ^ self.audit.fingerprint();
        Ok(effort)
    }

    fn random_end(&mut self) -> End {
        match self.random.below(7) {
            0 | 1 => End::PowerAtSync(1 + self.random.below(24)),
            2 => End::WriteFails(1 + self.random.below(20)),
            3 => End::SyncFails(1 + self.random.below(20)),
            4 => End::PowerAfter(self.random.below(ACTS)),
            5 => End::NameFails(1 + self.random.below(12)),
            _ => End::KillAfter(self.random.below(ACTS)),
        }
    }

    /// What the machine leaves behind.
    fn stop(&mut self, end: End) {
        let seed = self.random.next();
        let power = match end {
            End::PowerAtSync(_) | End::PowerAfter(_) => true,
            End::KillAfter(_) | End::Clean => false,
            End::WriteFails(_) | End::SyncFails(_) | End::NameFails(_) => self.random.below(2) == 0,
        };
        self.disk = if power { self.disk.crash(seed) } else { self.disk.process_crash() };
    }

    /// One life, until its end.
    fn live(&mut self, end: End, stats: &mut Stats) -> Result<(), String> {
        match end {
            End::PowerAtSync(sync) => self.disk.crash_before_sync(sync),
            End::WriteFails(write) => self.disk.fail_at(write, FailKind::Write),
            End::SyncFails(sync) => self.disk.fail_at(sync, FailKind::Sync),
            End::NameFails(change) => self.disk.fail_at(change, FailKind::Name),
            _ => {}
        }
        stats.openings += 1;
        let Some(mut life) = self.open()? else { return Ok(()) };
        self.audit.recovered(&life.engine)?;
        self.set_up(&mut life)?;
        for sent in std::mem::take(&mut self.unanswered) {
            self.send(&mut life, sent)?;
        }
        let acts = match end {
            End::PowerAfter(acts) | End::KillAfter(acts) => acts,
            _ => ACTS,
        };
        for _ in 0..acts {
            if life.engine.journal().poisoned() {
                break;
            }
            stats.acts += 1;
            self.act(&mut life, stats)?;
        }
        if end == End::Clean {
            self.commit(&mut life)?;
        }
        stats.spares += life.engine.journal().sync_stats().spares_taken;
        if life.engine.journal().poisoned() {
            self.is_poisoned(&life)?;
        }
        self.unanswered = life.waiting.into_iter().filter_map(|(_, _, sent)| sent).collect();
        Ok(())
    }

    /// Opens the engine; `None` when the disk failed on the way, which only a disk that was told to may do.
    fn open(&mut self) -> Result<Option<Life>, String> {
        let disk: Arc<dyn Disk> = match self.honesty {
            Honesty::Honest => Arc::new(self.disk.clone()),
            lies => Arc::new(LyingDisk::new(self.disk.clone(), lies)),
        };
        let opened = match birth(&disk) {
            Ok(()) => Engine::open(disk, self.clock.clone(), options()).map_err(|error| deep(&error)),
            Err(error) => Err(error),
        };
        match opened {
            Ok((engine, Opened { damaged, .. })) if damaged.is_empty() => {
                Ok(Some(Life { engine, waiting: Vec::new() }))
            }
            Ok((_, Opened { damaged, .. })) => Err(format!("a crash left a damaged checkpoint: {damaged:?}")),
            Err(error) if error.contains("simulated") => Ok(None),
            Err(error) => Err(format!("does not open: {error}")),
        }
    }

    /// After a failed write or sync nobody is admitted, and nothing is called durable any more (J3).
    fn is_poisoned(&mut self, life: &Life) -> Result<(), String> {
        let durable = life.engine.journal().positions().durable;
        for n in 0..4 {
            let sent = self.random_scan(n);
            match as_scan(&sent, |scan| life.engine.scan(scan)) {
                Err(EngineError::Unavailable(_)) => {}
                other => return Err(format!("answered although poisoned: {other:?}")),
            }
            if !matches!(as_scan(&sent, |scan| life.engine.check(scan)), Err(EngineError::Unavailable(_))) {
                return Err("checked although poisoned".to_owned());
            }
            let cold = as_scan(&sent, |scan| life.engine.check_cold(scan, None));
            if !matches!(cold, Err(EngineError::Unavailable(_))) {
                return Err("checked a cold ticket although poisoned".to_owned());
            }
        }
        if life.engine.journal().commit().is_ok() || life.engine.checkpoint().is_ok() {
            return Err("commits or checkpoints although poisoned".to_owned());
        }
        let after = life.engine.journal().positions().durable;
        if durable == after { Ok(()) } else { Err(format!("durable went from {durable} to {after}")) }
    }

    // --- acts ---

    /// The venue, as far as it is not there yet: a life may have ended in the middle of it.
    fn set_up(&mut self, life: &mut Life) -> Result<(), String> {
        let catalog = life.engine.catalog();
        let mut wanted = vec![the_match(Time(i64::MAX / 2))];
        wanted.push(Entity::Zone(build::zone("PERIMETER")));
        wanted.push(Entity::Zone(build::zone("BOWL")));
        let (outside, perimeter, bowl) = (ZoneId(0), ZoneId(1), ZoneId(2));
        for (name, from, to) in [
            ("North", outside, bowl),
            ("South", outside, bowl),
            ("Exit", bowl, outside),
            ("Outer", outside, perimeter),
            ("Inner", perimeter, bowl),
        ] {
            wanted.push(Entity::Gate(build::gate(name, Some(EventId(0)), from, to)));
        }
        wanted.extend((0..3).map(|n| Entity::Device(build::device(&format!("D{n}")))));
        wanted.extend(types().into_iter().map(Entity::Type));
        for entity in wanted {
            let known = match &entity {
                // A life may have ended between its end and its being put off again.
                Entity::Event(event) => {
                    catalog.event_named(&event.name).and_then(|id| catalog.event(id)) == Some(event)
                }
                Entity::Zone(zone) => catalog.zone_named(&zone.name).is_some(),
                Entity::Gate(gate) => catalog.gate_named(&gate.name).is_some(),
                Entity::Device(device) => catalog.device_named(&device.name).is_some(),
                Entity::Type(kind) => catalog.type_named(kind.event, &kind.name).is_some(),
                Entity::Operator(_) => true,
            };
            if !known {
                let put = life.engine.put(None, entity);
                self.changed(life, put.map_err(|error| error.to_string()), Change::Put)?;
            }
        }
        for n in life.engine.sizes().0..10 {
            self.add_ticket(life, n)?;
        }
        Ok(())
    }

    fn add_ticket(&mut self, life: &mut Life, n: usize) -> Result<(), String> {
        let name = format!("T{n}");
        let kind = TypeId((n % types().len()) as u16);
        let ticket = build::ticket(kind, &name, &[(CodeKind::Optical, name.as_bytes())]);
        let added = life.engine.add_tickets(vec![ticket], false).map(|(lsn, _)| lsn);
        self.changed(life, added.map_err(|error| error.to_string()), Change::Tickets)
    }

    /// A person changes a ticket, or gives another in its place that has behind it what the old one had.
    fn amend(&mut self, life: &mut Life, tickets: usize) -> Result<(), String> {
        let id = TicketId(self.random.below(tickets as u64) as u32);
        let Some(before) = life.engine.with_state(|state| state.tickets.get(id).cloned()) else {
            return Ok(());
        };
        let mut after = Ticket { status_at: self.now, ..before.clone() };
        (after.usage.inside, after.usage.presence) = (0, ZoneId::OUTSIDE);
        let mut added = Vec::new();
        if self.random.below(2) == 0 {
            after.status = TicketStatus::Superseded;
            let name = format!("T{tickets}");
            let codes: [(CodeKind, &[u8]); 1] = [(CodeKind::Optical, name.as_bytes())];
            added.push(Ticket { details: Details::new(&name, "John Doe", "", "", &codes), ..before.clone() });
        }
        let (action, details) = ("amend".to_owned(), "{}".to_owned());
        let amendment = Amendment { action, details, changed: vec![(id, before, after)], added, as_of: None };
        let amended = life.engine.amend(None, amendment).map(|(lsn, _)| lsn);
        self.changed(life, amended.map_err(|error| error.to_string()), Change::Amended)
    }

    fn registry(&mut self, life: &mut Life) -> Result<(), String> {
        let name = format!("name-{}", self.random.below(5));
        let value = (self.random.below(3) > 0).then(|| self.random.below(1_000).to_string());
        let word = || "word".to_owned();
        let entries = vec![RegistryChange { kind: word(), name, value }];
        let act = Act { action: word(), subject: word(), details: "{}".to_owned(), entries };
        let done = life.engine.act(None, act);
        self.changed(life, done.map_err(|error| error.to_string()), Change::Act)
    }

    /// The match ends, who held its tickets is forgotten, and it goes on after all: the tickets have to be used again.
    fn shred(&mut self, life: &mut Life, stats: &mut Stats) -> Result<(), String> {
        if self.now <= START {
            return Ok(());
        }
        let put = |life: &Life, ends_at| {
            life.engine.put(None, the_match(ends_at)).map_err(|error| error.to_string())
        };
        let ended = put(life, self.now.plus_ms(-1));
        self.changed(life, ended, Change::Put)?;
        self.audit.shred_asked();
        let tickets = life.engine.with_state(|state| state.tickets.next_id());
        let shredded = life.engine.shred(None, EventId(0)).map(|forgotten| forgotten.last);
        stats.shreddings += u64::from(shredded.is_ok());
        self.changed(life, shredded.map_err(|error| error.to_string()), Change::Shredded { tickets })?;
        let goes_on = put(life, Time(i64::MAX / 2));
        self.changed(life, goes_on, Change::Put)
    }

    fn act(&mut self, life: &mut Life, stats: &mut Stats) -> Result<(), String> {
        let tickets = life.engine.sizes().0;
        match self.random.below(106) {
            0..52 => {
                let sent = self.random_scan(tickets as u64);
                self.send(life, sent)?;
            }
            52..62 => self.prepare_spare(life)?,
            62..68 => {
                if let Some(sent) = self.audit.some_scan(&mut self.random) {
                    self.send(life, sent)?;
                }
            }
            68..78 => self.passage(life)?,
            78..82 => {
                let status = [TicketStatus::Active, TicketStatus::Blocked][self.random.below(2) as usize];
                let ticket = TicketId(self.random.below(tickets.max(1) as u64) as u32);
                let set = life.engine.set_status(None, ticket, status);
                self.changed(life, set.map_err(|error| error.to_string()), Change::Status)?;
            }
            82..86 => {
                let turned = life.engine.turns(DeviceId(0), GateId(0), 2);
                self.changed(life, turned.map_err(|error| error.to_string()), Change::Turns)?;
            }
            86..89 => {
                let command = life.engine.command(None, DeviceId(1), Command::Reload, 60_000);
                self.changed(life, command.map_err(|error| error.to_string()), Change::Command)?;
            }
            89..91 => {
                let _ = life.engine.take_commands(DeviceId(1));
            }
            91..92 => self.add_ticket(life, tickets)?,
            92..95 => self.amend(life, tickets)?,
            95..97 => self.registry(life)?,
            97..104 => self.checkpoint(life, stats)?,
            _ => self.shred(life, stats)?,
        }
        self.now = self.now.plus_ms(match self.random.below(20) {
            0 => -(self.random.below(300_000) as i64),
            1..10 => self.random.below(1_500) as i64,
            _ => self.random.below(60_000) as i64,
        });
        self.clock.set(self.now);
        if self.random.below(4) == 0 { self.commit(life) } else { Ok(()) }
    }

    fn random_scan(&mut self, tickets: u64) -> Sent {
        // The first tickets more often: the same ones have to come twice.
        let code = self.random.below(tickets + 1).min(self.random.below(tickets + 1));
        let id = (self.random.below(10) < 7).then(|| {
            self.next_id += 1;
            format!("scan-{}", self.next_id)
        });
        let shown = (id.is_some() && self.random.below(12) == 0).then_some(Shown::Admitted);
        Sent {
            device: DeviceId(self.random.below(3) as u32),
            gate: GateId(self.random.below(5) as u16),
            code: format!("T{code}"),
            id,
            people: (self.random.below(6) == 0).then(|| self.random.below(4) as u16),
            shown,
            made: shown.map(|_| self.now.plus_ms(-(self.random.below(600_000) as i64))),
            overriding: self.random.below(30) == 0,
        }
    }

    fn send(&mut self, life: &mut Life, sent: Sent) -> Result<(), String> {
        match as_scan(&sent, |scan| life.engine.scan(scan)) {
            Ok(answered) => {
                let told = Told::scan(&sent, &answered);
                let sent = (answered.seen != Seen::Repeat && sent.id.is_some()).then_some(sent);
                life.waiting.push((answered.wait, told, sent));
                Ok(())
            }
            Err(EngineError::Unavailable(_)) => self.unavailable(life),
            // An upload that contradicts what was decided.
            Err(EngineError::ScanIdConflict) => Ok(()),
            Err(error) => Err(format!("{sent:?}: {error}")),
        }
    }

    fn passage(&mut self, life: &mut Life) -> Result<(), String> {
        let Some(scan) = self.audit.some_scan(&mut self.random) else { return Ok(()) };
        let Some(id) = &scan.id else { return Ok(()) };
        let annul = self.random.below(3) > 0;
        // From here on the entry may be given back, whoever hears of it.
        if annul {
            self.audit.annul_asked(scan.device, id);
        }
        let done =
            if annul { life.engine.annul(scan.device, id) } else { life.engine.passed(scan.device, id) };
        match done {
            Ok((wait, _)) => {
                let outcome = if annul { PassageOutcome::Annulled } else { PassageOutcome::Passed };
                let told = Told::Passage { device: scan.device, id: id.clone(), outcome };
                life.waiting.push((wait, told, None));
                Ok(())
            }
            Err(EngineError::Unavailable(_)) => self.unavailable(life),
            Err(EngineError::NotAdmitted | EngineError::PassageDecided(_) | EngineError::TooLateToAnnul) => {
                Ok(())
            }
            Err(error) => Err(format!("passage of {id}: {error}")),
        }
    }

    fn changed(&mut self, life: &mut Life, done: Result<Lsn, String>, change: Change) -> Result<(), String> {
        match done {
            Ok(lsn) => {
                life.waiting.push((lsn, Told::Change { lsn, change }, None));
                Ok(())
            }
            Err(_) => self.unavailable(life),
        }
    }

    fn unavailable(&mut self, life: &Life) -> Result<(), String> {
        if life.engine.journal().poisoned() { Ok(()) } else { Err("unavailable without a cause".to_owned()) }
    }

    fn checkpoint(&mut self, life: &mut Life, stats: &mut Stats) -> Result<(), String> {
        // The store follows as far as the audit has seen: segments may go.
        life.engine.set_projected(Lsn(self.audit.seen()));
        life.engine.set_settled(Lsn(self.audit.seen()));
        let result = life.engine.checkpoint();
        stats.checkpoints += u64::from(result.is_ok());
        self.acknowledge(life)?;
        match result {
            Ok(_) => Ok(()),
            Err(error) if deep(&error).contains("simulated") || life.engine.journal().poisoned() => Ok(()),
            Err(error) => Err(deep(&error)),
        }
    }

    /// Housekeeping makes the next segment ahead; gates go on between its slices, and sometimes it is stopped there.
    fn prepare_spare(&mut self, life: &mut Life) -> Result<(), String> {
        let stop_after = 1 + self.random.below(8);
        let journal = life.engine.journal().clone();
        let (mut slices, mut problem) = (0, None);
        journal.prepare_spare(&mut || {
            slices += 1;
            problem = self.gate_between_slices(life).err();
            slices < stop_after && problem.is_none()
        });
        problem.map_or(Ok(()), Err)
    }

    fn gate_between_slices(&mut self, life: &mut Life) -> Result<(), String> {
        if life.engine.journal().poisoned() {
            return Ok(());
        }
        let sent = self.random_scan(life.engine.sizes().0 as u64);
        self.send(life, sent)?;
        if self.random.below(2) == 0 { self.commit(life) } else { Ok(()) }
    }

    fn commit(&mut self, life: &mut Life) -> Result<(), String> {
        let result = life.engine.journal().commit();
        self.acknowledge(life)?;
        match result {
            Ok(_) => Ok(()),
            Err(_) => self.unavailable(life),
        }
    }

    /// Replies leave for everything that is durable now.
    fn acknowledge(&mut self, life: &mut Life) -> Result<(), String> {
        let durable = life.engine.journal().positions().durable;
        let (told, waiting) =
            std::mem::take(&mut life.waiting).into_iter().partition(|(wait, ..)| *wait <= durable);
        life.waiting = waiting;
        for (_, told, _) in told {
            self.audit.hears(told)?;
        }
        self.audit.follows(&life.engine)
    }
}

/// A few scans, told and heard: for the tests of the audit itself.
pub fn short_history(engine: &Engine, audit: &mut Audit) {
    let mut story = Story::new(1, Honesty::Honest);
    // The story's own audit is not used: `Life` wants an engine of its own.
    let put = |entity| engine.put(None, entity).map(|_| ());
    put(the_match(Time(i64::MAX / 2))).unwrap();
    put(Entity::Zone(build::zone("BOWL"))).unwrap();
    put(Entity::Gate(build::gate("North", Some(EventId(0)), ZoneId(0), ZoneId(1)))).unwrap();
    types().into_iter().for_each(|kind| put(Entity::Type(kind)).unwrap());
    for n in 0..4 {
        let name = format!("T{n}");
        let ticket = build::ticket(TypeId(0), &name, &[(CodeKind::Optical, name.as_bytes())]);
        engine.add_tickets(vec![ticket], false).unwrap();
        let mut sent = story.random_scan(4);
        (sent.gate, sent.code, sent.id) = (GateId(0), name, Some(format!("id-{n}")));
        (sent.people, sent.shown, sent.overriding) = (None, None, false);
        let answered = as_scan(&sent, |scan| engine.scan(scan)).unwrap();
        engine.journal().commit().unwrap();
        audit.hears(Told::scan(&sent, &answered)).unwrap();
    }
}

/// The event of every story.
pub fn the_match(ends_at: Time) -> Entity {
    Entity::Event(build::event("Match", START, ends_at))
}

/// Ticket types never change in a story, so the audit knows how often each admits.
pub fn types() -> Vec<TicketType> {
    let event = EventId(0);
    let mut group = build::ticket_type("GROUP", event, Some(1), Reentry::None);
    group.people = 3;
    let mut soft = build::ticket_type("SOFT", event, Some(3), Reentry::AfterExit);
    soft.anti_passback = AntiPassback::Soft;
    vec![
        build::ticket_type("STD", event, Some(1), Reentry::None),
        build::ticket_type("VIP", event, Some(2), Reentry::AfterExit),
        group,
        soft,
        build::ticket_type("STAFF", event, None, Reentry::Free),
    ]
}

pub fn options() -> JournalOptions {
    JournalOptions { segment_bytes: SEGMENT_BYTES, salt: 7, ..JournalOptions::default() }
}

/// Writes the first record by hand: the engine draws its key by chance, and a story has one source of chance.
fn birth(disk: &Arc<dyn Disk>) -> Result<(), String> {
    let new = inspect(&**disk, &mut |_| {}).map_err(|error| deep(&error))?.segments == 0;
    let begun = !new && inspect(&**disk, &mut |_| {}).map_err(|error| deep(&error))?.records > 0;
    let continued = disk.list().map_err(|error| deep(&error))?.iter().any(|name| name.ends_with(".img"));
    if begun || continued {
        return Ok(());
    }
    let journal = Journal::open(disk.clone(), options(), Lsn(0), &mut |_, _| Ok(()));
    let (journal, _) = journal.map_err(|error| deep(&error))?;
    let _ = journal.append(|_, out| Record::Born { at: START, salt: [7; 16] }.encode(out));
    journal.commit().map(|_| ()).map_err(|error| deep(&error))
}

pub fn as_scan<T>(sent: &Sent, with: impl FnOnce(&Scan<'_>) -> T) -> T {
    with(&Scan {
        device: sent.device,
        gate: sent.gate,
        code_kind: CodeKind::Optical,
        code: sent.code.as_bytes(),
        scan_id: sent.id.as_deref(),
        scanned_at: sent.made,
        direction: None,
        people: sent.people,
        kind: if sent.shown.is_some() { ScanKind::Offline } else { ScanKind::Validate },
        overriding: sent.overriding.then_some(Override { operator: OperatorId(0), note: "let in" }),
        shown: sent.shown,
    })
}

/// An error and its causes in one line.
fn deep(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}
