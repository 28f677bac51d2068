//! The reference: what product.md says, told again as simply as possible. Lists and a history, no index, no clever
//! state; every count is added up from the history each time it is asked for. Shares plain data types with the
//! engine and not one rule.

use engine::Time;
use engine::catalog::*;
use engine::decision::{REASONS, Reason, ScanKind, Shown};
use engine::ticket::{CodeKind, TicketStatus};
use jiff::tz::TimeZone;

const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
const ANNUL_MS: i64 = 15 * 60 * 1_000;

/// What a guest's ticket has behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    pub used: i64,
    pub inside: i64,
    pub zone: ZoneId,
    pub first: Option<(GateId, Time)>,
    pub last: Option<(GateId, Time)>,
    pub day: Option<jiff::civil::Date>,
    pub day_used: i64,
}

#[derive(Clone, Debug)]
pub struct Guest {
    pub type_id: TypeId,
    pub status: TicketStatus,
    pub status_at: Time,
    pub specimen: bool,
    pub from: Time,
    pub until: Time,
    pub codes: Vec<(CodeKind, Vec<u8>)>,
    /// Holder, order and seat.
    pub person: [String; 3],
    pub usage: Use,
    /// Its event is cold: the ticket is in the store.
    pub stored: bool,
    /// Entries a person gave back, less those it was made with: its scans took so many more than it says.
    pub given: i64,
}

/// A question to the reference and the engine alike.
#[derive(Clone, Debug)]
pub struct Ask {
    pub device: DeviceId,
    pub gate: GateId,
    pub code: (CodeKind, Vec<u8>),
    pub id: Option<String>,
    pub made: Option<Time>,
    pub direction: Option<Direction>,
    pub people: Option<u16>,
    pub kind: ScanKind,
    pub overriding: bool,
    pub shown: Option<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    Passed,
    Annulled,
}

/// One line of the history.
#[derive(Clone, Debug)]
pub struct Entry {
    pub ask: Ask,
    pub said: Said,
    pub recorded_at: Time,
    pub event: Option<EventId>,
    pub guest: Option<usize>,
    pub before: Option<Use>,
    pub after: Option<Use>,
    pub passed: Outcome,
    pub lsn: u64,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub at: Time,
    pub admits: bool,
    /// Of a refusal, or what staff should look at.
    pub reason: Option<Reason>,
    pub overrode: Option<Reason>,
    pub conflict: Option<Reason>,
    pub direction: Direction,
    pub people: i64,
    /// Number and entries left.
    pub ticket: Option<(usize, Option<i64>)>,
    pub holder: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Result {
    Said { said: Said, lsn: Option<u64>, repeat: bool },
    Conflict,
    Reserved,
    Warming,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Passage {
    Done,
    NotFound,
    NotAdmitted,
    Decided,
    TooLate,
}

#[derive(Debug)]
pub struct Reference {
    pub now: Time,
    pub events: Vec<Event>,
    pub zones: Vec<Zone>,
    pub gates: Vec<Gate>,
    pub types: Vec<TicketType>,
    pub windows_ms: Vec<i64>,
    pub locked: Vec<bool>,
    pub guests: Vec<Guest>,
    pub history: Vec<Entry>,
    /// Before this line of the history all is forgotten as far as ids go.
    pub kept_from: usize,
    pub repeats: u64,
    pub turns: Vec<(GateId, i64)>,
    /// What a person's amendments took from the people that tickets say came, by type: tallies stay.
    pub unsaid: Vec<i64>,
}

/// The tallies that are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub entries: i64,
    pub exits: i64,
    pub admits: u64,
    pub denials: u64,
    pub turns: i64,
}

struct Way {
    direction: Direction,
    from: ZoneId,
    to: ZoneId,
}

type Ruled = std::result::Result<(Option<Reason>, i64), Reason>;

impl Use {
    pub fn fresh() -> Use {
        let (first, last, day) = (None, None, None);
        Use { used: 0, inside: 0, zone: ZoneId::OUTSIDE, first, last, day, day_used: 0 }
    }
}

impl Reference {
    pub fn guest_of(&self, code: &(CodeKind, Vec<u8>)) -> Option<usize> {
        self.guests.iter().position(|guest| guest.codes.contains(code))
    }

    // --- rule 1 ---

    /// The line of the history that this scan repeats, or why its id cannot be used.
    fn seen(&self, ask: &Ask) -> std::result::Result<Option<(usize, bool)>, Result> {
        let kept = || (self.kept_from..self.history.len()).rev().map(|n| (n, &self.history[n]));
        let Some(id) = &ask.id else {
            let last = kept().find(|(_, old)| {
                old.ask.id.is_none() && old.ask.device == ask.device && old.ask.code == ask.code
            });
            return Ok(last.filter(|(_, old)| self.repeats(old, ask)).map(|(n, _)| (n, true)));
        };
        let own = id.strip_prefix("gh-");
        let found = kept().find(|(_, old)| {
            old.ask.device == ask.device
                && match own {
                    Some(lsn) => old.ask.id.is_none() && old.lsn.to_string() == lsn,
                    None => old.ask.id.as_ref() == Some(id),
                }
        });
        let Some((n, old)) = found else {
            return if own.is_some() { Err(Result::Reserved) } else { Ok(None) };
        };
        let (was, is) = (old.ask.kind, ask.kind);
        let contradicts = !old.said.admits && ask.shown == Some(Shown::Admitted);
        let same_kind = was == is
            || (was == ScanKind::Offline && is == ScanKind::Validate)
            || (was == ScanKind::Validate && is == ScanKind::Offline && !contradicts);
        if old.ask.code != ask.code || old.ask.gate != ask.gate || !same_kind {
            return Err(Result::Conflict);
        }
        Ok(Some((n, false)))
    }

    fn repeats(&self, old: &Entry, ask: &Ask) -> bool {
        let age = self.now.0 - old.said.at.0;
        old.ask.gate == ask.gate
            && old.ask.kind == ask.kind
            && old.passed == Outcome::Open
            && ask.direction.is_none_or(|way| way == old.said.direction)
            && !ask.overriding
            && age >= 0
            && age < self.windows_ms[ask.device.index()]
    }

    // --- rules 2 to 12 ---

    fn way(&self, ask: &Ask) -> Way {
        let gate = &self.gates[ask.gate.index()];
        let own = if gate.to == ZoneId::OUTSIDE { Direction::Exit } else { Direction::Entry };
        let direction = ask.direction.unwrap_or(own);
        let (from, to) = if direction == own { (gate.from, gate.to) } else { (gate.to, gate.from) };
        Way { direction, from, to }
    }

    fn kind(&self, guest: &Guest) -> &TicketType {
        &self.types[guest.type_id.index()]
    }

    fn left(&self, guest: &Guest, used: i64) -> Option<i64> {
        let kind = self.kind(guest);
        kind.entries.map(|entries| (i64::from(entries) * i64::from(kind.people) - used).max(0))
    }

    fn good(&self, ask: &Ask, way: &Way, guest: &Guest, now: Time) -> std::result::Result<(), Reason> {
        match guest.status {
            TicketStatus::Cancelled => return Err(Reason::Cancelled),
            TicketStatus::Blocked => return Err(Reason::Blocked),
            TicketStatus::Superseded => return Err(Reason::Superseded),
            TicketStatus::NotActivated => return Err(Reason::NotActivated),
            TicketStatus::Active => {}
        }
        let (gate, kind) = (&self.gates[ask.gate.index()], self.kind(guest));
        if gate.event.is_some() && gate.event != Some(kind.event) {
            return Err(Reason::WrongEvent);
        }
        let event = &self.events[kind.event.index()];
        if way.direction == Direction::Entry {
            if [event.doors_open_at, kind.valid_from, guest.from].iter().any(|from| now < *from) {
                return Err(Reason::TooEarly);
            }
            if [event.ends_at, kind.valid_until, guest.until].iter().any(|until| now > *until) {
                return Err(Reason::TooLate);
            }
            if !kind.gates.is_empty() && !kind.gates.contains(&ask.gate) {
                return Err(Reason::WrongGate);
            }
        }
        if gate.event.is_none() || gate.mode == GateMode::Closed || self.locked[ask.device.index()] {
            return Err(Reason::GateClosed);
        }
        Ok(())
    }

    /// People that would pass, and of them those that cost an entry.
    fn group(&self, ask: &Ask, way: &Way, guest: &Guest) -> (i64, i64) {
        let (usage, size) = (&guest.usage, i64::from(self.kind(guest).people));
        let asked = ask.people.map(i64::from);
        if way.from != ZoneId::OUTSIDE && usage.zone != ZoneId::OUTSIDE {
            let people = asked.unwrap_or(usage.inside).max(1);
            return (people, (people - usage.inside).max(0));
        }
        let outside = (size - usage.inside).max(0);
        let free = self.left(guest, usage.used).map_or(outside, |left| outside.min(left));
        let people = asked.unwrap_or(free).max(1);
        (people, people)
    }

    fn may_exit(&self, ask: &Ask, guest: &Guest) -> Ruled {
        let usage = &guest.usage;
        let people = ask.people.map_or(usage.inside, i64::from).max(1);
        if guest.specimen || (usage.zone != ZoneId::OUTSIDE && usage.inside >= people) {
            return Ok((None, people));
        }
        match self.kind(guest).anti_passback {
            AntiPassback::Soft => Ok((Some(Reason::NotInside), people)),
            _ => Err(Reason::NotInside),
        }
    }

    fn may_enter(&self, ask: &Ask, way: &Way, guest: &Guest, now: Time) -> Ruled {
        let (usage, kind) = (&guest.usage, self.kind(guest));
        let (people, paying) = self.group(ask, way, guest);
        let size = i64::from(kind.people);
        let in_parts = size > 1 && usage.inside + people <= size;
        let there =
            if way.from == ZoneId::OUTSIDE { usage.zone != ZoneId::OUTSIDE } else { usage.zone == way.to };
        let mut attention = None;
        let once = kind.reentry == Reentry::None && usage.used > 0 && !in_parts;
        if once && (there || way.from == ZoneId::OUTSIDE) {
            return Err(Reason::AlreadyUsed);
        }
        if there && !in_parts && kind.reentry != Reentry::Free {
            let since = usage.last.map_or(i64::MAX, |(_, at)| now.0 - at.0);
            match kind.anti_passback {
                AntiPassback::Soft => attention = Some(Reason::AlreadyInside),
                AntiPassback::Timed(minutes) if since >= i64::from(minutes) * 60_000 => {}
                _ => return Err(Reason::AlreadyInside),
            }
        }
        if paying > 0 {
            self.may_pay(ask, guest, people, paying, now)?;
        }
        let after = self.after_entry(ask, way, guest, paying, now);
        let adds = if after.zone == way.to { after.inside } else { 0 }
            - if usage.zone == way.to { usage.inside } else { 0 };
        let zone = &self.zones[way.to.index()];
        if adds > 0 && zone.capacity.is_some_and(|most| self.inside(way.to) + adds > i64::from(most)) {
            if zone.rule == CapacityRule::Hard {
                return Err(Reason::ZoneFull);
            }
            attention = attention.or(Some(Reason::ZoneFull));
        }
        Ok((attention, people))
    }

    fn may_pay(
        &self,
        ask: &Ask,
        guest: &Guest,
        people: i64,
        paying: i64,
        now: Time,
    ) -> std::result::Result<(), Reason> {
        let (usage, kind) = (&guest.usage, self.kind(guest));
        let used_up = self.left(guest, usage.used).is_some_and(|left| left < paying);
        if used_up || people > i64::from(kind.people) {
            let once = kind.entries == Some(1) && usage.used > 0;
            return Err(if once { Reason::AlreadyUsed } else { Reason::NoEntriesLeft });
        }
        let today = self.date(kind.event, now);
        let of_the_past = ask.kind == ScanKind::Offline && usage.day.is_some_and(|day| today < day);
        if let Some(most) = kind.entries_per_day
            && !of_the_past
        {
            let used = if usage.day.is_some_and(|day| today <= day) { usage.day_used } else { 0 };
            if used + paying > i64::from(most) * i64::from(kind.people) {
                return Err(Reason::NoEntriesLeftToday);
            }
        }
        Ok(())
    }

    fn date(&self, event: EventId, at: Time) -> jiff::civil::Date {
        let zone = TimeZone::get(&self.events[event.index()].time_zone).unwrap();
        jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(zone).date()
    }

    // --- what a passage does ---

    fn is_late(&self, ask: &Ask, usage: &Use, now: Time) -> bool {
        let newer = usage.last.is_some_and(|(_, at)| now < at);
        ask.kind == ScanKind::Offline && usage.used > 0 && newer
    }

    fn after_entry(&self, ask: &Ask, way: &Way, guest: &Guest, paying: i64, now: Time) -> Use {
        let (before, kind) = (&guest.usage, self.kind(guest));
        let late = self.is_late(ask, before, now);
        let mut after = before.clone();
        if paying > 0 {
            if before.used == 0 || (late && before.first.is_some_and(|(_, at)| now < at)) {
                after.first = Some((ask.gate, now));
            }
            after.used += paying;
            let today = self.date(kind.event, now);
            if kind.entries_per_day.is_some() {
                match before.day {
                    Some(day) if today < day && ask.kind == ScanKind::Offline => {}
                    Some(day) if today <= day => after.day_used += paying,
                    _ => (after.day, after.day_used) = (Some(today), paying),
                }
            }
        }
        if late && before.zone == ZoneId::OUTSIDE {
            return after;
        }
        after.inside = (before.inside + paying).min(i64::from(kind.people));
        if !late {
            after.zone = way.to;
            after.last = Some((ask.gate, now));
        }
        after
    }

    fn after_exit(&self, ask: &Ask, way: &Way, guest: &Guest, people: i64, now: Time) -> Use {
        let mut after = guest.usage.clone();
        if self.is_late(ask, &guest.usage, now) {
            return after;
        }
        if way.to == ZoneId::OUTSIDE {
            after.inside = (after.inside - people).max(0);
            if after.inside == 0 {
                after.zone = ZoneId::OUTSIDE;
            }
        } else {
            after.inside = after.inside.max(1);
            after.zone = way.to;
        }
        after.last = Some((ask.gate, now));
        after
    }

    /// Somebody passed although the rules say no: nobody gets more entries by it than the ticket has.
    fn forced(&self, ask: &Ask, way: &Way, guest: &Guest, now: Time) -> (i64, Use) {
        let (usage, kind) = (&guest.usage, self.kind(guest));
        let known = way.from != ZoneId::OUTSIDE && usage.zone != ZoneId::OUTSIDE;
        let asked = ask.people.map_or(if known { usage.inside } else { 1 }, i64::from);
        let people = asked.clamp(1, i64::from(kind.people));
        if way.direction == Direction::Exit {
            return (people, self.after_exit(ask, way, guest, people, now));
        }
        let paying = if known { (people - usage.inside).max(0) } else { people };
        let mut after = self.after_entry(ask, way, guest, paying, now);
        if let Some(entries) = kind.entries {
            let most = i64::from(entries) * i64::from(kind.people);
            after.used = after.used.min(most).max(usage.used);
        }
        (people, after)
    }

    // --- asking ---

    fn judged_at(&self, ask: &Ask) -> Time {
        match (ask.shown, ask.made) {
            (Some(_), Some(made)) => made.min(self.now),
            _ => self.now,
        }
    }

    /// What would be answered, and what the ticket would have behind it.
    fn judge(&self, ask: &Ask) -> (Said, Option<Use>) {
        let (at, way) = (self.judged_at(ask), self.way(ask));
        let guest = self.guest_of(&ask.code);
        let mut said = Said {
            at,
            admits: false,
            reason: None,
            overrode: None,
            conflict: None,
            direction: way.direction,
            people: 0,
            ticket: guest.map(|n| (n, self.left(&self.guests[n], self.guests[n].usage.used))),
            holder: guest.map_or_else(String::new, |n| self.guests[n].person[0].clone()),
        };
        let shown_green = ask.shown == Some(Shown::Admitted);
        let ruled = match (guest.map(|n| &self.guests[n]), ask.shown) {
            (None, _) => Err(Reason::UnknownTicket),
            (Some(_), Some(Shown::Denied(reason))) => {
                said.reason = Some(reason);
                return (said, None);
            }
            (Some(guest), _) => self.good(ask, &way, guest, at).and_then(|()| match way.direction {
                Direction::Exit => self.may_exit(ask, guest),
                Direction::Entry => self.may_enter(ask, &way, guest, at),
            }),
        };
        let bent = ruled.err();
        if bent.is_some() && !ask.overriding && !shown_green {
            said.reason = bent;
            return (said, None);
        }
        said.admits = true;
        said.overrode = bent.filter(|_| ask.overriding);
        said.conflict = bent.filter(|_| !ask.overriding);
        let Some(guest) = guest.map(|n| &self.guests[n]) else {
            (said.reason, said.people) = (bent, ask.people.map_or(1, i64::from).max(1));
            return (said, None);
        };
        let after = match ruled {
            Err(reason) => {
                let (people, after) = self.forced(ask, &way, guest, at);
                (said.reason, said.people) = (Some(reason), people);
                after
            }
            Ok((attention, people)) => {
                (said.reason, said.people) = (attention, people);
                match way.direction {
                    Direction::Exit => self.after_exit(ask, &way, guest, people, at),
                    Direction::Entry => {
                        self.after_entry(ask, &way, guest, self.group(ask, &way, guest).1, at)
                    }
                }
            }
        };
        let shows = if guest.specimen && ask.kind != ScanKind::Test { &guest.usage } else { &after };
        said.ticket = said.ticket.map(|(n, _)| (n, self.left(guest, shows.used)));
        let counts = !guest.specimen && ask.kind != ScanKind::Test;
        (said, counts.then_some(after))
    }

    /// What a check says.
    pub fn check(&self, ask: &Ask) -> Result {
        let (said, _) = self.judge(ask);
        if said.admits && self.guest_of(&ask.code).is_some_and(|n| self.guests[n].stored) {
            return Result::Warming;
        }
        Result::Said { said, lsn: None, repeat: false }
    }

    /// A scan: answered and remembered. `lsn` is what the engine gave it.
    pub fn scan(&mut self, ask: &Ask, lsn: u64) -> Result {
        // An empty id is none.
        let ask = &Ask { id: ask.id.clone().filter(|id| !id.is_empty()), ..ask.clone() };
        match self.seen(ask) {
            Err(problem) => return problem,
            Ok(Some((n, repeat))) => {
                self.repeats += u64::from(repeat);
                let old = &self.history[n];
                return Result::Said { said: old.said.clone(), lsn: Some(old.lsn), repeat };
            }
            Ok(None) => {}
        }
        let (said, after) = self.judge(ask);
        let guest = said.ticket.map(|(n, _)| n);
        if said.admits && guest.is_some_and(|n| self.guests[n].stored) {
            return Result::Warming;
        }
        let event = match guest {
            Some(n) => Some(self.kind(&self.guests[n]).event),
            None => self.gates[ask.gate.index()].event,
        };
        let before = guest.filter(|_| after.is_some()).map(|n| self.guests[n].usage.clone());
        if let (Some(n), Some(after)) = (guest, &after) {
            self.guests[n].usage = after.clone();
        }
        let (ask, recorded_at, passed) = (ask.clone(), self.now, Outcome::Open);
        let said_now = said.clone();
        self.history.push(Entry { ask, said, recorded_at, event, guest, before, after, passed, lsn });
        for _ in 0..2 {
            let oldest = self.history[self.kept_from].recorded_at;
            self.kept_from += usize::from(self.now.0 - oldest.0 > KEPT_MS);
        }
        Result::Said { said: said_now, lsn: Some(lsn), repeat: false }
    }

    // --- forgetting ---

    /// Forgets who held an event's tickets; gives how many tickets in memory and kept answers named somebody.
    pub fn shred(&mut self, event: EventId) -> (u64, u64) {
        let (mut tickets, mut answers) = (0, 0);
        let of_event: Vec<bool> = self.guests.iter().map(|guest| self.kind(guest).event == event).collect();
        for (guest, _) in self.guests.iter_mut().zip(&of_event).filter(|(_, of_event)| **of_event) {
            tickets += u64::from(!guest.stored && guest.person.iter().any(|text| !text.is_empty()));
            guest.person = Default::default();
        }
        for entry in &mut self.history[self.kept_from..] {
            if entry.guest.is_some_and(|n| of_event[n]) && !entry.said.holder.is_empty() {
                answers += 1;
                entry.said.holder.clear();
            }
        }
        (tickets, answers)
    }

    // --- passages ---

    pub fn passage(&mut self, device: DeviceId, id: &str, outcome: Outcome) -> Passage {
        let own = id.strip_prefix("gh-");
        let found = (self.kept_from..self.history.len()).rev().find(|n| {
            let old = &self.history[*n];
            let same = match own {
                Some(lsn) => old.ask.id.is_none() && old.lsn.to_string() == lsn,
                None => old.ask.id.as_deref() == Some(id),
            };
            same && old.ask.device == device
        });
        let Some(n) = found else { return Passage::NotFound };
        let old = &self.history[n];
        if !old.said.admits {
            return Passage::NotAdmitted;
        }
        if old.passed == outcome {
            return Passage::Done;
        }
        if old.passed != Outcome::Open {
            return Passage::Decided;
        }
        if outcome == Outcome::Annulled && self.now.0 - old.said.at.0 > ANNUL_MS {
            return Passage::TooLate;
        }
        self.history[n].passed = outcome;
        if outcome == Outcome::Annulled {
            self.give_back(n);
        }
        Passage::Done
    }

    /// The entry and the presence, as far as nothing newer says otherwise.
    fn give_back(&mut self, n: usize) {
        let old = &self.history[n];
        let (Some(guest), Some(before), Some(after)) = (old.guest, &old.before, &old.after) else { return };
        let size = i64::from(self.kind(&self.guests[guest]).people);
        let now = &self.guests[guest].usage;
        let (mut usage, mut given_before) = (now.clone(), 0);
        if now == after {
            usage = before.clone();
        } else {
            // What a person gave back before is not there to be given back.
            let took = after.used - before.used;
            usage.used -= took.min(now.used);
            given_before = took - took.min(now.used);
            usage.inside = (now.inside + before.inside - after.inside).clamp(0, size.max(now.inside));
            if now.day == after.day {
                let used_before = if before.day == after.day { before.day_used } else { 0 };
                usage.day_used = (now.day_used - (after.day_used - used_before)).max(0);
            }
            if usage.inside == 0 {
                usage.zone = ZoneId::OUTSIDE;
            } else if usage.zone == ZoneId::OUTSIDE {
                usage.zone = before.zone;
            }
        }
        self.guests[guest].usage = usage;
        self.guests[guest].given -= given_before;
    }

    // --- amendments ---

    /// A person says what a ticket has behind it.
    pub fn amend_use(&mut self, n: usize, to: Use) {
        let guest = &mut self.guests[n];
        let people = i64::from(self.types[guest.type_id.index()].people);
        let came = guest.usage.used.min(people) - to.used.min(people);
        self.unsaid[guest.type_id.index()] += came;
        guest.given += guest.usage.used - to.used;
        guest.usage = to;
    }

    // --- counting, from the history, each time ---

    /// People in a zone: the sum over the tickets in memory.
    pub fn inside(&self, zone: ZoneId) -> i64 {
        self.guests
            .iter()
            .filter(|guest| !guest.stored && guest.usage.zone == zone)
            .map(|guest| guest.usage.inside)
            .sum()
    }

    fn is_specimen(&self, entry: &Entry) -> bool {
        entry.guest.is_some_and(|n| self.guests[n].specimen)
    }

    /// Sums over the lines that `of` picks; `turns` over the reported turns that `turned` picks.
    fn sums(&self, of: impl Fn(&Entry) -> bool, turned: impl Fn(GateId) -> bool) -> Sums {
        let mut sums = Sums::default();
        for entry in self.history.iter().filter(|entry| of(entry)) {
            if entry.ask.kind == ScanKind::Test || self.is_specimen(entry) {
                continue;
            }
            let people = if entry.passed == Outcome::Annulled { 0 } else { entry.said.people };
            match (entry.said.admits, entry.guest.is_some(), entry.said.direction) {
                (false, ..) => sums.denials += 1,
                (true, false, Direction::Entry) => sums.turns += people,
                (true, false, Direction::Exit) => sums.turns -= people,
                (true, true, Direction::Entry) => {
                    (sums.admits, sums.entries) = (sums.admits + 1, sums.entries + people)
                }
                (true, true, Direction::Exit) => {
                    (sums.admits, sums.exits) = (sums.admits + 1, sums.exits + people)
                }
            }
        }
        sums.turns +=
            self.turns.iter().filter(|(gate, _)| turned(*gate)).map(|(_, people)| people).sum::<i64>();
        sums
    }

    pub fn gate_sums(&self, gate: GateId) -> Sums {
        self.sums(|entry| entry.ask.gate == gate, |turned| turned == gate)
    }

    /// Gates never change their event in the tests, so the turns' event is the gate's.
    pub fn event_sums(&self, event: EventId) -> Sums {
        self.sums(
            |entry| entry.event == Some(event),
            |turned| self.gates[turned.index()].event == Some(event),
        )
    }

    pub fn type_sums(&self, kind: TypeId) -> Sums {
        let of = |entry: &Entry| entry.guest.is_some_and(|n| self.guests[n].type_id == kind);
        self.sums(of, |_| false)
    }

    /// People that came at least once.
    pub fn attendance(&self, kind: TypeId) -> i64 {
        let people = i64::from(self.types[kind.index()].people);
        let of = |guest: &&Guest| guest.type_id == kind;
        let came: i64 = self.guests.iter().filter(of).map(|guest| guest.usage.used.min(people)).sum();
        came + self.unsaid[kind.index()]
    }

    pub fn denied(&self, reason: Reason) -> u64 {
        let of = |entry: &&Entry| {
            entry.ask.kind != ScanKind::Test
                && !self.is_specimen(entry)
                && !entry.said.admits
                && entry.said.reason == Some(reason)
        };
        self.history.iter().filter(of).count() as u64
    }

    pub fn tests(&self) -> u64 {
        self.history.iter().filter(|entry| entry.ask.kind == ScanKind::Test).count() as u64
    }

    pub fn conflicts(&self) -> Vec<(u64, Reason)> {
        self.history.iter().filter_map(|entry| Some((entry.lsn, entry.said.conflict?))).collect()
    }

    /// A1: people that a ticket's entries let in, annulled ones left out. Of an override or a conflict only what
    /// it took counts: people decided these.
    pub fn admitted(&self, guest: usize) -> i64 {
        self.history
            .iter()
            .filter(|entry| entry.guest == Some(guest) && entry.passed != Outcome::Annulled)
            .filter_map(|entry| Some(entry.after.as_ref()?.used - entry.before.as_ref()?.used))
            .sum()
    }

    pub fn all_reasons(&self) -> Vec<u64> {
        REASONS.iter().map(|reason| self.denied(*reason)).collect()
    }
}
