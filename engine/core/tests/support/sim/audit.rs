//! The auditor: keeps its own list of what was told to the outside, that is of every reply that left because its LSN
//! was durable, and its own copy of every durable record. After each start it asks whether all of it still
//! holds. Knows what a ticket of each type may do at most; knows nothing of how the engine decides.

use super::{Sent, as_scan, types};
use engine::catalog::{DeviceId, Direction};
use engine::checkpoint;
use engine::decision::{Answer, Verdict};
use engine::journal::{Lsn, Reader};
use engine::record::{PassageOutcome, Record};
use engine::sim_disk::SplitMix64;
use engine::state::State;
use engine::ticket::TicketId;
use engine::{Answered, Engine, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// Something that was told.
#[derive(Clone, Debug)]
pub enum Told {
    Scan { sent: Sent, lsn: Lsn, answer: Box<Answer>, repeat: bool },
    Passage { device: DeviceId, id: String, outcome: PassageOutcome },
    Change { lsn: Lsn, change: Change },
}

/// A change of which it was told that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Put,
    Tickets,
    Status,
    Turns,
    Command,
    Act,
    Amended,
    /// Who held the tickets before this one was forgotten.
    Shredded {
        tickets: TicketId,
    },
}

#[derive(Clone, Debug)]
pub struct Heard {
    pub sent: Sent,
    pub answer: Box<Answer>,
}

pub struct Audit {
    /// Scans that were answered, by LSN.
    pub scans: BTreeMap<u64, Heard>,
    by_id: BTreeMap<(u32, String), u64>,
    passages: BTreeMap<(u32, String), PassageOutcome>,
    changes: Vec<(Lsn, Change)>,
    /// Ids of scans whose annulment was asked for, maybe in vain.
    annul_asked: BTreeSet<(u32, String)>,
    /// It was asked that names be forgotten, maybe in vain.
    shred_asked: bool,
    /// Scans from one LSN to another whose holder a durable record forgets.
    forgotten: Vec<(u64, u64)>,
    /// Every record that was ever seen durable.
    records: BTreeMap<u64, Vec<u8>>,
    reader: Option<Reader>,
    heard: u64,
    fingerprint: u64,
}

impl Told {
    pub fn scan(sent: &Sent, answered: &Answered) -> Told {
        let repeat = answered.seen == Seen::Repeat;
        Told::Scan {
            sent: sent.clone(),
            lsn: answered.lsn,
            answer: Box::new(answered.answer.clone()),
            repeat,
        }
    }
}

/// The answer as it is once nobody is to be named.
fn nameless(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    if let Some(facts) = &mut answer.ticket {
        facts.label = facts.label.without_person();
    }
    answer
}

/// What a reply is made of: the answer as it is kept.
fn bytes_of(answer: &Answer) -> Vec<u8> {
    postcard::to_allocvec(answer).unwrap()
}

// === impl Audit ===

impl Audit {
    pub fn new() -> Audit {
        Audit {
            scans: BTreeMap::new(),
            by_id: BTreeMap::new(),
            passages: BTreeMap::new(),
            changes: Vec::new(),
            annul_asked: BTreeSet::new(),
            shred_asked: false,
            forgotten: Vec::new(),
            records: BTreeMap::new(),
            reader: None,
            heard: 0,
            fingerprint: 0,
        }
    }

    pub fn told(&self) -> u64 {
        self.heard
    }

    pub fn fingerprint(&self) -> u64 {
        self.records
            .values()
            .fold(self.fingerprint, |sum, payload| sum.rotate_left(7) ^ u64::from(crc32fast::hash(payload)))
    }

    /// The last record that was seen durable.
    pub fn seen(&self) -> u64 {
        self.records.keys().next_back().copied().unwrap_or(0)
    }

    /// A scan that was answered, to be sent again or annulled.
    pub fn some_scan(&self, random: &mut SplitMix64) -> Option<Sent> {
        let lsns: Vec<u64> = self.scans.keys().rev().take(12).copied().collect();
        if lsns.is_empty() {
            return None;
        }
        let lsn = lsns[random.below(lsns.len() as u64) as usize];
        let mut sent = self.scans[&lsn].sent.clone();
        sent.id.get_or_insert_with(|| format!("gh-{lsn}"));
        Some(sent)
    }

    pub fn annul_asked(&mut self, device: DeviceId, id: &str) {
        self.annul_asked.insert((device.0, id.to_owned()));
    }

    pub fn shred_asked(&mut self) {
        self.shred_asked = true;
    }

    /// Is it the same answer? Where names are forgotten it may have been told with or without one.
    fn is_same(&self, told: &Answer, other: &Answer) -> bool {
        bytes_of(told) == bytes_of(other)
            || self.shred_asked && bytes_of(&nameless(told)) == bytes_of(&nameless(other))
    }

    /// A reply left.
    pub fn hears(&mut self, told: Told) -> Result<(), String> {
        self.heard += 1;
        match told {
            Told::Scan { sent, lsn, answer, repeat } => {
                self.fingerprint = self.fingerprint.rotate_left(3) ^ lsn.0;
                self.hears_answer(sent, lsn, answer, repeat)
            }
            Told::Passage { device, id, outcome } => {
                match self.passages.insert((device.0, id.clone()), outcome) {
                    Some(before) if before != outcome => {
                        Err(format!("{id} was said to be {before:?} and then {outcome:?}"))
                    }
                    _ => Ok(()),
                }
            }
            Told::Change { lsn, change } => {
                self.changes.push((lsn, change));
                Ok(())
            }
        }
    }

    fn hears_answer(
        &mut self,
        sent: Sent,
        lsn: Lsn,
        answer: Box<Answer>,
        repeat: bool,
    ) -> Result<(), String> {
        if let Some(before) = self.scans.get(&lsn.0) {
            if !self.is_same(&before.answer, &answer) {
                return Err(format!("A5: two answers at LSN {lsn}: {:?} and {answer:?}", before.answer));
            }
            return Ok(());
        }
        if let Some(id) = &sent.id
            && !id.starts_with("gh-")
            && let Some(before) = self.by_id.insert((sent.device.0, id.clone()), lsn.0)
            && before != lsn.0
        {
            return Err(format!("A5: {id} was answered at LSN {before} and again at {lsn}"));
        }
        if repeat {
            // The scan it repeats is durable before it, so somebody heard of that one first, or will not.
            return Ok(());
        }
        self.scans.insert(lsn.0, Heard { sent, answer });
        self.admits_no_more_than_allowed()
    }

    /// A1, over all replies that ever left.
    pub fn admits_no_more_than_allowed(&self) -> Result<(), String> {
        let mut entered: BTreeMap<TicketId, i64> = BTreeMap::new();
        for (lsn, heard) in &self.scans {
            let answer = &heard.answer;
            let (Some(facts), Verdict::Admit { .. }) = (&answer.ticket, answer.verdict) else { continue };
            // People decided these, with the rule they bent in the record.
            let forced = heard.sent.overriding || heard.sent.shown.is_some();
            // Between two inner zones an entry costs one only at times: gate 4.
            let entry = answer.direction == Direction::Entry && answer.gate.0 != 4;
            let id = heard.sent.id.clone().unwrap_or_else(|| format!("gh-{lsn}"));
            let annulled = self.annul_asked.contains(&(heard.sent.device.0, id))
                || self.annul_asked.contains(&(heard.sent.device.0, format!("gh-{lsn}")));
            if forced || !entry || annulled {
                continue;
            }
            let kind = &types()[facts.type_id.index()];
            let people = entered.entry(facts.ticket).or_default();
            *people += i64::from(answer.people);
            if kind.entries.is_some_and(|most| *people > i64::from(most) * i64::from(kind.people)) {
                return Err(format!(
                    "A1: ticket {:?} admitted {people} times, last at LSN {lsn}",
                    facts.ticket
                ));
            }
        }
        Ok(())
    }

    /// Reads what is durable now, as a projector would.
    pub fn follows(&mut self, engine: &Engine) -> Result<(), String> {
        if engine.journal().positions().durable.0 <= self.seen() {
            return Ok(());
        }
        let seen = Lsn(self.seen());
        let mut records = Vec::new();
        let reader = self.reader.get_or_insert_with(|| engine.journal().reader(seen));
        match reader.read(usize::MAX, &mut records) {
            Ok(()) => {}
            // The power may go while it reads.
            Err(error) if super::deep(&error).contains("simulated") => {}
            Err(error) => return Err(format!("the journal cannot be followed: {}", super::deep(&error))),
        }
        self.keeps(records)
    }

    fn keeps(&mut self, records: Vec<(Lsn, Vec<u8>)>) -> Result<(), String> {
        for (lsn, payload) in records {
            match self.records.get(&lsn.0) {
                Some(before) if *before != payload => {
                    return Err(format!("record {lsn} was durable and changed"));
                }
                Some(_) => {}
                None if lsn.0 == self.seen() + 1 => {
                    if let Ok(Record::Shredded { answers_from, answers_until, .. }) = Record::decode(&payload)
                    {
                        self.forgotten.push((answers_from, answers_until));
                    }
                    self.records.insert(lsn.0, payload);
                }
                None => return Err(format!("J1: record {lsn} follows {}", self.seen())),
            }
        }
        Ok(())
    }

    /// The engine was opened: does all that was told still hold?
    pub fn recovered(&mut self, engine: &Engine) -> Result<(), String> {
        self.reader = None;
        let (journal, before) = (engine.journal(), self.seen());
        let last = engine.with_state(|state| state.lsn);
        if last < before {
            return Err(format!("lost: record {before} was durable, the journal ends at {last}"));
        }
        let mut records = Vec::new();
        let mut reader = journal.reader(Lsn(journal.oldest().0 - 1));
        match reader.read(usize::MAX, &mut records) {
            Ok(()) => {}
            Err(error) if super::deep(&error).contains("simulated") => return Ok(()),
            Err(error) => return Err(format!("the journal cannot be read: {}", super::deep(&error))),
        }
        self.keeps(records)?;
        self.replays(engine)?;
        self.records_say_what_was_told()?;
        self.same_answers(engine)?;
        self.nobody_is_named(engine)?;
        self.passages_hold(engine)?;
        self.admits_no_more_than_allowed()
    }

    /// A3: replaying every record there ever was gives the state; and the state adds up.
    fn replays(&self, engine: &Engine) -> Result<(), String> {
        let mut state = State::new();
        for (lsn, payload) in &self.records {
            let record = Record::decode(payload).map_err(|error| format!("record {lsn}: {error}"))?;
            state.apply(*lsn, &record);
        }
        if checkpoint::image(&state) != engine.image() {
            return Err("A3: replay from the first record gives another state".to_owned());
        }
        engine.with_state(|state| {
            let mut zones: BTreeMap<usize, i64> = BTreeMap::new();
            for (id, ticket) in state.tickets.iter() {
                let (usage, kind) = (ticket.usage, &types()[ticket.type_id.index()]);
                *zones.entry(usage.presence.index()).or_default() += i64::from(usage.inside);
                if kind.entries.is_some_and(|most| usage.used > most * kind.people) {
                    return Err(format!("A1: ticket {id:?} used {}", usage.used));
                }
            }
            for (zone, counted) in state.counts.zones.iter().enumerate() {
                let inside = zones.get(&zone).copied().unwrap_or(0);
                if *counted != if zone == 0 { 0 } else { inside } {
                    return Err(format!("zone {zone} counts {counted}, its tickets say {inside}"));
                }
            }
            Ok(())
        })
    }

    fn records_say_what_was_told(&self) -> Result<(), String> {
        for (lsn, heard) in &self.scans {
            let payload = self.records.get(lsn).ok_or_else(|| format!("lost: the scan told at LSN {lsn}"))?;
            match Record::decode(payload) {
                Ok(Record::Scan(scan))
                    if scan.device == heard.sent.device
                        && scan.code == heard.sent.code.as_bytes()
                        && self.is_same(&heard.answer, &scan.answer) => {}
                other => return Err(format!("LSN {lsn} was told as {heard:?}, the record is {other:?}")),
            }
        }
        for (lsn, change) in &self.changes {
            let payload = self.records.get(&lsn.0).ok_or_else(|| format!("lost: {change:?} at LSN {lsn}"))?;
            let record = Record::decode(payload).map_err(|error| error.to_string())?;
            let same = match change {
                Change::Put => matches!(record, Record::Put { .. }),
                Change::Tickets => matches!(record, Record::Tickets { .. }),
                Change::Status => matches!(record, Record::Status { .. }),
                Change::Turns => matches!(record, Record::Turns { .. }),
                Change::Command => matches!(record, Record::Command { .. }),
                Change::Act => matches!(record, Record::Act { .. }),
                Change::Amended => matches!(record, Record::Amended { .. }),
                Change::Shredded { .. } => matches!(record, Record::Shredded { .. }),
            };
            if !same {
                return Err(format!("{change:?} was told at LSN {lsn}, the record is {record:?}"));
            }
        }
        Ok(())
    }

    /// The answer that is kept of a scan: its record's, without a name where a later record forgets it.
    fn kept(&self, lsn: u64) -> Option<Answer> {
        let Ok(Record::Scan(scan)) = Record::decode(self.records.get(&lsn)?) else { return None };
        let is_forgotten = self.forgotten.iter().any(|(from, until)| (*from..*until).contains(&lsn));
        Some(if is_forgotten { nameless(&scan.answer) } else { scan.answer })
    }

    /// Of whom it was told that they are forgotten, nobody is named in the state.
    fn nobody_is_named(&self, engine: &Engine) -> Result<(), String> {
        for (lsn, change) in &self.changes {
            let Change::Shredded { tickets } = change else { continue };
            let named = engine.with_state(|state| {
                let mut before = state.tickets.iter().filter(|(id, _)| id < tickets);
                before.any(|(_, ticket)| ticket.details.has_person())
                    || state.scans.between(0, lsn.0).any(|kept| kept.names_holder_of(|_| true))
            });
            if named {
                return Err(format!("a name that was forgotten at LSN {lsn} is back"));
            }
        }
        Ok(())
    }

    /// A5: asked again, every scan gets the answer that was told, at the same LSN.
    fn same_answers(&self, engine: &Engine) -> Result<(), String> {
        for (lsn, heard) in &self.scans {
            let mut sent = heard.sent.clone();
            sent.id.get_or_insert_with(|| format!("gh-{lsn}"));
            match as_scan(&sent, |scan| engine.scan(scan)) {
                Ok(again)
                    if again.seen == Seen::SameId
                        && again.lsn.0 == *lsn
                        && self.kept(*lsn).is_some_and(|kept| bytes_of(&kept) == bytes_of(&again.answer)) => {
                }
                other => return Err(format!("A5: {heard:?} told at LSN {lsn}, now {other:?}")),
            }
        }
        Ok(())
    }

    fn passages_hold(&self, engine: &Engine) -> Result<(), String> {
        for ((device, id), outcome) in &self.passages {
            let lsn = match id.strip_prefix("gh-") {
                Some(lsn) => lsn.parse().ok(),
                None => self.by_id.get(&(*device, id.clone())).copied(),
            };
            let lsn = lsn.ok_or_else(|| format!("{id} was {outcome:?} and never answered"))?;
            let kept = engine.with_state(|state| state.scans.at_lsn(lsn).map(|kept| kept.outcome));
            if kept != Some(*outcome) {
                return Err(format!("{id} was told to be {outcome:?}, now it is {kept:?}"));
            }
        }
        Ok(())
    }
}
