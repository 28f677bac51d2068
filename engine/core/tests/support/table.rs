//! The language of the decision tables: one line is one act at the venue and what must come of it.
//! Knows how to read a line and do it; knows no rule of the engine.
//!
//! ```text
//! ticket T1 VIP codes=T1,WRIST card=04A1   # the code is the ticket's name unless codes= says otherwise
//! 19:05 T1 North -> admit left=1           # time, code, gate; words: entry exit test check people= id= dev= …
//! 19:06 T1 North -> deny already_inside at=North@19:05
//! 19:07 annul a -> ok
//! zone BOWL = 1
//! ```
//!
//! Times are of 2026-07-01 in Zurich; `d2/00:10` is a day later; `2026-10-25T02:30+02:00` is spelled out.
//! `#` starts a comment. Everything after `->` must hold: verdict, reason or attention, `left=`, `people=`,
//! `at=`, `says=`, `overrode=`, `conflict=`, `again` (same id), `repeat` (same code, no id), or `error name`.

use super::build::{self, DAY_MS, HOUR_MS, MINUTE_MS};
use engine::catalog::*;
use engine::clock::ManualClock;
use engine::decision::{Answer, Fact, Override, Reason, Scan, ScanKind, Shown, Verdict};
use engine::record::Command;
use engine::sim_disk::SimDisk;
use engine::ticket::{CodeKind, Details, TicketId, TicketStatus};
use engine::{Answered, Engine, EngineError, Seen, Time};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// 2026-07-01T00:00 in Zurich.
const DAY_ONE: Time = Time(1_782_856_800_000);
const SEGMENT_BYTES: u64 = 1 << 20;

pub struct Venue {
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub disk: SimDisk,
    tickets: HashMap<String, TicketId>,
    /// The engine's own ids of scans that came without one, by `as=`.
    names: HashMap<String, String>,
    pub denied_for: BTreeSet<Reason>,
}

/// Does what the table says, line by line; panics at the first line that comes out differently.
pub fn check(table: &str) -> Venue {
    let mut venue = Venue::new();
    venue.run(table);
    venue
}

struct Words<'t> {
    plain: Vec<&'t str>,
    pairs: HashMap<&'t str, &'t str>,
}

// === impl Words ===

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Words<'t> {
        let (mut plain, mut pairs) = (Vec::new(), HashMap::new());
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    pairs.insert(key, value);
                }
                _ => plain.push(word),
            }
        }
        Words { plain, pairs }
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn get(&self, key: &str) -> Option<&'t str> {
        self.pairs.get(key).copied()
    }

    fn list(&self, key: &str) -> Vec<&'t str> {
        self.get(key).map(|value| value.split(',').collect()).unwrap_or_default()
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> Option<T> {
        self.get(key).map(|value| value.parse().unwrap())
    }
}

// === impl Venue ===

impl Venue {
    /// Two events, two perimeters, some gates, types and devices: what most lines need.
    pub fn new() -> Venue {
        let disk = SimDisk::new();
        let clock = Arc::new(ManualClock::at(time("17:00")));
        let engine = build::open(&disk, &clock, SEGMENT_BYTES);
        let venue = Venue {
            engine,
            clock,
            disk,
            tickets: HashMap::new(),
            names: HashMap::new(),
            denied_for: BTreeSet::new(),
        };
        for name in ["Match", "Other"] {
            venue.put(Entity::Event(build::event(name, time("18:00"), time("23:00"))));
        }
        for name in ["PERIMETER", "BOWL"] {
            venue.put(Entity::Zone(build::zone(name)));
        }
        let (outside, perimeter, bowl) = (ZoneId(0), ZoneId(1), ZoneId(2));
        for (name, event, from, to) in [
            ("North", Some(0), outside, bowl),
            ("South", Some(0), outside, bowl),
            ("Exit", Some(0), bowl, outside),
            ("Outer", Some(0), outside, perimeter),
            ("Inner", Some(0), perimeter, bowl),
            ("OuterExit", Some(0), perimeter, outside),
            ("Foreign", Some(1), outside, bowl),
            ("Idle", None, outside, bowl),
        ] {
            venue.put(Entity::Gate(build::gate(name, event.map(EventId), from, to)));
        }
        for name in ["D1", "D2", "D3"] {
            venue.put(Entity::Device(build::device(name)));
        }
        for line in [
            "type STD entries=1 reentry=none",
            "type VIP entries=2 reentry=after_exit",
            "type STAFF entries=unlimited reentry=free",
            "type GROUP entries=1 people=4 reentry=none",
        ] {
            venue.put_type(&Words::of(line));
        }
        venue
    }

    pub fn run(&mut self, table: &str) {
        for (number, line) in table.lines().enumerate() {
            let text = line.split('#').next().unwrap_or("").trim();
            if !text.is_empty()
                && let Err(problem) = self.line(text)
            {
                panic!("line {}: {text}\n  {problem}", number + 1);
            }
        }
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        let (act, expected) = text.split_once("->").map_or((text, ""), |(act, expected)| (act, expected));
        let (mut act, expected) = (Words::of(act), Words::of(expected));
        if act.plain[0].contains(':') {
            self.clock.set(time(act.plain.remove(0)));
        }
        let Some(verb) = act.plain.first().copied() else { return Ok(()) };
        match verb {
            "ticket" => self.add_ticket(&act, &expected),
            "type" => {
                self.put_type(&act);
                Ok(())
            }
            "zone" if act.plain.len() == 2 => {
                self.put_zone(&act);
                Ok(())
            }
            "zone" => self.count_zone(&act),
            "gate" => {
                self.put_gate(&act);
                Ok(())
            }
            "event" => {
                self.put_event(&act);
                Ok(())
            }
            "status" => {
                self.put_status(&act);
                Ok(())
            }
            "annul" | "passed" => self.passage(&act, &expected),
            "command" => {
                self.command(&act);
                Ok(())
            }
            "deliver" => self.deliver(&act, &expected),
            "turns" => {
                let people = act.plain[2].parse().unwrap();
                self.engine.turns(DeviceId(0), self.gate(act.plain[1]), people).unwrap();
                Ok(())
            }
            "count" => self.count(&act),
            "conflicts" => same("conflicts", &act.plain[1], &self.engine.conflicts().len().to_string()),
            "inside" => self.inside(&act),
            "reopen" => self.reopen(),
            _ => self.scan(&act, &expected),
        }
    }

    // --- the venue ---

    fn put(&self, entity: Entity) {
        self.engine.put(None, entity).unwrap();
    }

    fn gate(&self, name: &str) -> GateId {
        self.engine.catalog().gate_named(name).unwrap_or_else(|| panic!("no gate {name}"))
    }

    fn device(&self, words: &Words<'_>) -> DeviceId {
        self.engine.catalog().device_named(words.get("dev").unwrap_or("D1")).unwrap()
    }

    fn event_of(&self, words: &Words<'_>) -> EventId {
        self.engine.catalog().event_named(words.get("event").unwrap_or("Match")).unwrap()
    }

    fn put_type(&self, words: &Words<'_>) {
        let event = self.event_of(words);
        let entries = words.get("entries").filter(|entries| *entries != "unlimited");
        let reentry = match words.get("reentry").unwrap_or("none") {
            "none" => Reentry::None,
            "after_exit" => Reentry::AfterExit,
            "free" => Reentry::Free,
            other => panic!("no re-entry {other}"),
        };
        let entries = entries.map(|entries| entries.parse().unwrap());
        let mut kind = build::ticket_type(words.plain[1], event, entries, reentry);
        kind.entries_per_day = words.number("per_day");
        kind.people = words.number("people").unwrap_or(1);
        kind.anti_passback = match words.get("passback").unwrap_or("hard") {
            "hard" => AntiPassback::Hard,
            "soft" => AntiPassback::Soft,
            minutes => AntiPassback::Timed(minutes.parse().unwrap()),
        };
        kind.gates = words.list("gates").into_iter().map(|name| self.gate(name)).collect();
        kind.valid_from = words.get("from").map_or(Time::MIN, time);
        kind.valid_until = words.get("until").map_or(Time::MAX, time);
        self.put(Entity::Type(kind));
    }

    fn put_zone(&self, words: &Words<'_>) {
        let mut zone = build::zone(words.plain[1]);
        zone.capacity = words.number("capacity");
        zone.rule = if words.get("rule") == Some("soft") { CapacityRule::Soft } else { CapacityRule::Hard };
        self.put(Entity::Zone(zone));
    }

    fn put_gate(&self, words: &Words<'_>) {
        let id = self.gate(words.plain[1]);
        let mut gate = self.engine.catalog().gate(id).unwrap().clone();
        gate.mode = match words.get("mode") {
            Some("closed") => GateMode::Closed,
            Some("emergency_open") => GateMode::EmergencyOpen,
            _ => GateMode::Open,
        };
        self.put(Entity::Gate(gate));
    }

    fn put_event(&self, words: &Words<'_>) {
        let id = self.engine.catalog().event_named(words.plain[1]).unwrap();
        let mut event = self.engine.catalog().event(id).unwrap().clone();
        event.doors_open_at = words.get("doors").map_or(event.doors_open_at, time);
        event.starts_at = event.doors_open_at;
        event.ends_at = words.get("ends").map_or(event.ends_at, time);
        self.put(Entity::Event(event));
    }

    fn put_status(&self, words: &Words<'_>) {
        self.engine.set_status(None, self.tickets[words.plain[1]], status(words.plain[2])).unwrap();
    }

    fn add_ticket(&mut self, words: &Words<'_>, expected: &Words<'_>) -> Result<(), String> {
        let (name, kind) = (words.plain[1], words.plain[2]);
        let type_id = self.engine.catalog().type_named(self.event_of(words), kind).unwrap();
        let optical = if words.get("codes").is_some() { words.list("codes") } else { vec![name] };
        let mut codes: Vec<(CodeKind, &[u8])> =
            optical.iter().map(|code| (CodeKind::Optical, code.as_bytes())).collect();
        codes.extend(words.list("card").into_iter().map(|code| (CodeKind::Card, code.as_bytes())));
        let mut ticket = build::ticket(type_id, name, &codes);
        ticket.details = Details::new(name, "John Doe", "", "", &codes);
        ticket.specimen = words.has("specimen");
        ticket.status = words.get("status").map_or(TicketStatus::Active, status);
        ticket.status_at = self.engine.now();
        ticket.valid_from = words.get("from").map_or(Time::MIN, time);
        ticket.valid_until = words.get("until").map_or(Time::MAX, time);
        let id = self.engine.with_state(|state| state.tickets.next_id());
        let outcome = self.engine.add_tickets(vec![ticket], false).unwrap().1.remove(0);
        if expected.has("error") {
            return same("error", &"code_taken", &outcome.map_or_else(|_| "code_taken", |()| "none"));
        }
        outcome.map_err(|error| error.to_string())?;
        self.tickets.insert(name.to_owned(), id);
        Ok(())
    }

    fn command(&self, words: &Words<'_>) {
        let device = self.engine.catalog().device_named(words.plain[1]).unwrap();
        let command = match words.plain[2] {
            "lock" => Command::Lock,
            "unlock" => Command::Unlock,
            "release" => Command::Release,
            "open" => Command::EmergencyOpen,
            "reload" => Command::Reload,
            text => Command::Message(text.to_owned()),
        };
        let lives_ms = words.number("lives_s").map_or(MINUTE_MS, |seconds: i64| seconds * 1_000);
        self.engine.command(None, device, command, lives_ms).unwrap();
    }

    fn deliver(&self, words: &Words<'_>, expected: &Words<'_>) -> Result<(), String> {
        let device = self.engine.catalog().device_named(words.plain[1]).unwrap();
        let (_, mode, commands) = self.engine.take_commands(device).unwrap();
        let got: Vec<String> =
            commands.iter().map(|pending| format!("{:?}", pending.command).to_lowercase()).collect();
        same("commands", &expected.plain, &got)?;
        expected.get("mode").map_or(Ok(()), |wanted| same("mode", &wanted, &snake(&mode)))
    }

    // --- scans ---

    fn scan(&mut self, words: &Words<'_>, expected: &Words<'_>) -> Result<(), String> {
        let (kind, code) = match words.plain[0].strip_prefix("card/") {
            Some(card) => (CodeKind::Card, card),
            None => (CodeKind::Optical, words.plain[0]),
        };
        let note = words.get("override");
        let own_id = words.get("id").map(|id| self.names.get(id).cloned().unwrap_or_else(|| id.to_owned()));
        let shown = words.get("shown").map(|shown| match shown {
            "green" => Shown::Admitted,
            reason => Shown::Denied(Reason::of_code(reason).unwrap()),
        });
        let scan = Scan {
            device: self.device(words),
            gate: self.gate(words.plain[1]),
            code_kind: kind,
            code: code.as_bytes(),
            scan_id: own_id.as_deref(),
            scanned_at: words.get("made").map(time),
            direction: direction(words),
            people: words.number("people"),
            kind: match () {
                () if words.has("test") => ScanKind::Test,
                () if shown.is_some() => ScanKind::Offline,
                () => ScanKind::Validate,
            },
            overriding: note.map(|note| Override { operator: OperatorId(0), note }),
            shown,
        };
        let before = self.engine.image();
        let result = if words.has("check") { self.engine.check(&scan) } else { self.engine.scan(&scan) };
        if words.has("check") && before != self.engine.image() {
            return Err("a check changed the state".to_owned());
        }
        let answered = match result {
            Ok(answered) if !expected.has("error") => answered,
            Ok(answered) => return Err(format!("got an answer: {:?}", answered.answer)),
            Err(error) => return same("result", &expected.plain, &vec!["error", error_name(&error)]),
        };
        if let Some(name) = words.get("as") {
            self.names.insert(name.to_owned(), format!("gh-{}", answered.lsn));
        }
        self.denied_for.extend(answered.answer.verdict.denial());
        self.compare(&answered, expected).map_err(|problem| format!("{problem}\n  {:?}", answered.answer))
    }

    fn compare(&self, answered: &Answered, expected: &Words<'_>) -> Result<(), String> {
        let answer = &answered.answer;
        let (verdict, reason) = match answer.verdict {
            Verdict::Admit { attention } => ("admit", attention),
            Verdict::Deny(reason) => ("deny", Some(reason)),
        };
        let seen = match answered.seen {
            Seen::New => None,
            Seen::SameId => Some("again"),
            Seen::Repeat => Some("repeat"),
        };
        let got: Vec<&str> = [Some(verdict), reason.map(Reason::code), seen].into_iter().flatten().collect();
        same("answer", &expected.plain, &got)?;
        let left = answer.ticket.as_ref().map_or("none".to_owned(), |facts| {
            facts.remaining.map_or("unlimited".to_owned(), |left| left.to_string())
        });
        let conflict = self.engine.with_state(|state| {
            state.conflicts.back().filter(|own| own.lsn == answered.lsn.0).map(|own| own.reason.code())
        });
        for (key, got) in [
            ("left", left),
            ("people", answer.people.to_string()),
            ("overrode", answer.overridden.map_or("none", Reason::code).to_owned()),
            ("conflict", conflict.unwrap_or("none").to_owned()),
            ("says", said(answer)),
            ("at", self.fact_at(answer)),
            ("way", snake(&answer.direction)),
        ] {
            expected.get(key).map_or(Ok(()), |wanted| same(key, &wanted, &got))?;
        }
        Ok(())
    }

    fn fact_at(&self, answer: &Answer) -> String {
        let catalog = self.engine.catalog();
        match &answer.fact {
            Fact::At(at) => clock_text(*at),
            Fact::Entered { gate, at } => {
                format!("{}@{}", catalog.gate(*gate).unwrap().name, clock_text(*at))
            }
            _ => "none".to_owned(),
        }
    }

    fn passage(&self, words: &Words<'_>, expected: &Words<'_>) -> Result<(), String> {
        let id = words.plain[1];
        let id = self.names.get(id).map_or(id, String::as_str);
        let device = self.device(words);
        let result = match words.plain[0] {
            "annul" => self.engine.annul(device, id),
            _ => self.engine.passed(device, id),
        };
        match result {
            Ok(_) => same("result", &expected.plain, &vec!["ok"]),
            Err(error) => same("result", &expected.plain, &vec!["error", error_name(&error)]),
        }
    }

    // --- what became of it ---

    fn count_zone(&self, words: &Words<'_>) -> Result<(), String> {
        let zone = self.engine.catalog().zone_named(words.plain[1]).unwrap();
        let inside = self.engine.counts().zones.get(zone.index()).copied().unwrap_or(0);
        same("zone", &words.plain[3], &inside.to_string())
    }

    fn count(&self, words: &Words<'_>) -> Result<(), String> {
        let counts = self.engine.counts();
        let catalog = self.engine.catalog();
        let name = words.plain[2];
        let tally = match words.plain[1] {
            "reason" => {
                let reason = Reason::of_code(name).unwrap();
                return same("count", &words.plain[4], &counts.denied(reason).to_string());
            }
            "repeats" => return same("count", &name, &counts.repeats.to_string()),
            "tests" => return same("count", &name, &counts.tests.to_string()),
            "gate" => counts.gates.get(self.gate(name).index()),
            "event" => counts.events.get(catalog.event_named(name).unwrap().index()),
            _ => counts.types.get(catalog.type_named(EventId(0), name).unwrap().index()),
        };
        let tally = tally.copied().unwrap_or_default();
        for (key, got) in [
            ("entries", tally.entries),
            ("exits", tally.exits),
            ("attendance", tally.attendance),
            ("admits", tally.admits as i64),
            ("denials", tally.denials as i64),
            ("turns", tally.turns),
        ] {
            words.get(key).map_or(Ok(()), |wanted| same(key, &wanted, &got.to_string()))?;
        }
        Ok(())
    }

    /// `inside T1 = 1 used=1 zone=BOWL first=North@19:05`
    fn inside(&self, words: &Words<'_>) -> Result<(), String> {
        let id = self.tickets[words.plain[1]];
        let usage = self.engine.with_state(|state| state.tickets.get(id).unwrap().usage);
        let catalog = self.engine.catalog();
        same("inside", &words.plain[3], &usage.inside.to_string())?;
        let first = &catalog.gate(usage.first_gate).unwrap().name;
        for (key, got) in [
            ("used", usage.used.to_string()),
            ("zone", catalog.zone(usage.presence).unwrap().name.clone()),
            ("first", format!("{first}@{}", clock_text(usage.first_at))),
        ] {
            words.get(key).map_or(Ok(()), |wanted| same(key, &wanted, &got))?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.engine.journal().commit().unwrap();
        let before = self.engine.image();
        self.engine = build::open(&self.disk, &self.clock, SEGMENT_BYTES);
        if before == self.engine.image() { Ok(()) } else { Err("replay gave another state".to_owned()) }
    }
}

/// A moment: see the language above.
pub fn time(text: &str) -> Time {
    if let Some((_, _)) = text.split_once('T') {
        return Time(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    }
    let (days, clock) = text.split_once('/').map_or((0, text), |(day, clock)| {
        (day.strip_prefix('d').unwrap().parse::<i64>().unwrap() - 1, clock)
    });
    let mut parts = clock.split(':');
    let hours: i64 = parts.next().unwrap().parse().unwrap();
    let minutes: i64 = parts.next().unwrap().parse().unwrap();
    let seconds: f64 = parts.next().map_or(0.0, |seconds| seconds.parse().unwrap());
    let ms = (seconds * 1_000.0).round() as i64;
    DAY_ONE.plus_ms(days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + ms)
}

fn clock_text(at: Time) -> String {
    let ms = at.since_ms(DAY_ONE);
    let clock = format!("{:02}:{:02}", ms / HOUR_MS % 24, ms / MINUTE_MS % 60);
    if (0..DAY_MS).contains(&ms) { clock } else { format!("d{}/{clock}", ms / DAY_MS + 1) }
}

fn direction(words: &Words<'_>) -> Option<Direction> {
    if words.has("entry") {
        return Some(Direction::Entry);
    }
    words.has("exit").then_some(Direction::Exit)
}

fn status(text: &str) -> TicketStatus {
    match text {
        "active" => TicketStatus::Active,
        "not_activated" => TicketStatus::NotActivated,
        "blocked" => TicketStatus::Blocked,
        "cancelled" => TicketStatus::Cancelled,
        "superseded" => TicketStatus::Superseded,
        other => panic!("no status {other}"),
    }
}

fn said(answer: &Answer) -> String {
    match &answer.fact {
        Fact::Words(words) => words.replace(' ', "_"),
        _ => "none".to_owned(),
    }
}

fn error_name(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unavailable(_) => "unavailable",
        EngineError::ScanIdConflict => "scan_id_conflict",
        EngineError::ScanIdReserved => "scan_id_reserved",
        EngineError::ScanNotFound => "not_found",
        EngineError::NotAdmitted => "not_admitted",
        EngineError::PassageDecided(_) => "decided",
        EngineError::TooLateToAnnul => "too_late",
        EngineError::Warming => "warming",
        EngineError::MaybeCold => "maybe_cold",
        _ => "other",
    }
}

/// `EmergencyOpen` as `emergencyopen`: enough to compare.
fn snake(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn same<W: std::fmt::Debug, G: std::fmt::Debug>(what: &str, wanted: &W, got: &G) -> Result<(), String> {
    let (wanted, got) = (format!("{wanted:?}"), format!("{got:?}"));
    if wanted == got { Ok(()) } else { Err(format!("{what}: wanted {wanted}, got {got}")) }
}
