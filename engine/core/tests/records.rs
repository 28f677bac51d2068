//! Records as bytes: what is written reads back, and bytes that are none never end the program.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::Time;
use engine::catalog::*;
use engine::decision::{Answer, Fact, Override, REASONS, ScanKind, TicketFacts, Verdict};
use engine::inbox::{InboxOutcome, InboxRow};
use engine::record::{
    Command, PassageOutcome, PassageRecord, RECORD_VERSION, Record, RecordError, ScanKey, ScanRecord,
};
use engine::registry::{Act, RegistryChange};
use engine::sim_disk::SplitMix64;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use support::build;

const ROUND_TRIPS: usize = 5_000;
const MUTATIONS: usize = 20_000;

/// Random values; texts and codes live in it while a record borrows them.
struct Random(SplitMix64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// All sizes of numbers: their encoded lengths differ.
    fn number(&mut self) -> u64 {
        self.0.next() >> self.below(64)
    }

    fn time(&mut self) -> Time {
        let real = Time(self.number() as i64);
        self.pick(&[real, Time(-real.0.saturating_abs()), Time::MIN, Time::MAX])
    }

    fn text(&mut self, most: u64) -> String {
        let len = self.below(most + 1);
        (0..len).map(|_| self.pick(&['a', ' ', '-', '7', '\0'])).collect()
    }

    fn code(&mut self) -> Vec<u8> {
        (0..self.below(256)).map(|_| self.below(256) as u8).collect()
    }

    fn usage(&mut self) -> TicketUse {
        TicketUse {
            used: self.number() as u16,
            inside: self.number() as u16,
            day_used: self.number() as u16,
            day: self.number() as u16,
            presence: ZoneId(self.number() as u16),
            first_gate: GateId(self.number() as u16),
            last_gate: GateId(self.number() as u16),
            first_at: self.time(),
            last_at: self.time(),
        }
    }

    fn details(&mut self) -> Details {
        let codes: Vec<Vec<u8>> =
            (0..self.below(9)).map(|_| self.code()).filter(|code| !code.is_empty()).collect();
        let kind = self.pick(&[CodeKind::Optical, CodeKind::Card]);
        let codes: Vec<(CodeKind, &[u8])> = codes.iter().map(|code| (kind, code.as_slice())).collect();
        Details::new(&self.text(255), &self.text(255), &self.text(9), &self.text(9), &codes)
    }

    fn ticket(&mut self) -> Ticket {
        Ticket {
            type_id: TypeId(self.number() as u16),
            status: self.pick(&[TicketStatus::Active, TicketStatus::Blocked, TicketStatus::Superseded]),
            specimen: self.flag(),
            usage: self.usage(),
            valid_from: self.time(),
            valid_until: self.time(),
            status_at: self.time(),
            details: self.details(),
        }
    }

    fn answer(&mut self) -> Answer {
        let reason = self.pick(&REASONS);
        let verdict = if self.flag() {
            Verdict::Deny(reason)
        } else {
            Verdict::Admit { attention: self.maybe(|_| reason) }
        };
        let fact = match self.below(4) {
            0 => Fact::None,
            1 => Fact::At(self.time()),
            2 => Fact::Words(self.text(80)),
            _ => Fact::Entered { gate: GateId(self.number() as u16), at: self.time() },
        };
        Answer {
            at: self.time(),
            kind: self.pick(&[ScanKind::Validate, ScanKind::Test, ScanKind::Offline]),
            verdict,
            overridden: self.maybe(|_| reason),
            direction: self.pick(&[Direction::Entry, Direction::Exit]),
            gate: GateId(self.number() as u16),
            people: self.number() as u16,
            ticket: self.maybe(|random| TicketFacts {
                ticket: TicketId(random.number() as u32),
                type_id: TypeId(random.number() as u16),
                valid_until: random.time(),
                remaining: random.maybe(|random| random.number() as u16),
                specimen: random.flag(),
                label: Details::label(&random.text(255), &random.text(255)),
            }),
            fact,
            fact_offset_s: self.number() as i32,
            shows_name: self.flag(),
        }
    }

    fn entity(&mut self) -> Entity {
        let name = self.text(128);
        match self.below(6) {
            0 => Entity::Event(build::event(&name, self.time(), self.time())),
            1 => Entity::Zone(build::zone(&name)),
            2 => Entity::Gate(build::gate(&name, self.maybe(|_| EventId(3)), ZoneId(0), ZoneId(1))),
            3 => {
                let mut kind = build::ticket_type(&name, EventId(1), Some(2), Reentry::Free);
                kind.gates = (0..self.below(9)).map(|n| GateId(n as u16)).collect();
                kind.anti_passback = AntiPassback::Timed(self.number() as u32);
                Entity::Type(kind)
            }
            4 => {
                let mut device = build::device(&name);
                device.key_hashes = vec![[self.number() as u8; 32]];
                device.settings = [(self.text(9), self.text(9))].into();
                Entity::Device(device)
            }
            _ => Entity::Operator(Operator {
                name,
                role: Role::Supervisor,
                password_hash: self.text(90),
                token_hashes: vec![[1; 32], [2; 32]],
            }),
        }
    }

    /// Gives a random record to `with`.
    fn record<T>(&mut self, with: impl FnOnce(Record<'_>) -> T) -> T {
        let (at, device, ticket) =
            (self.time(), DeviceId(self.number() as u32), TicketId(self.number() as u32));
        let operator = self.maybe(|random| OperatorId(random.number() as u32));
        let gate = GateId(self.number() as u16);
        let (scan_id, note, code) = (self.text(128), self.text(200), self.code());
        with(match self.below(18) {
            0..2 => Record::Scan(ScanRecord {
                device,
                scan_id: &scan_id,
                key: ScanKey((u128::from(self.number()) << 64) | u128::from(self.number())),
                code_kind: self.pick(&[CodeKind::Optical, CodeKind::Card]),
                code: &code,
                scanned_at: self.maybe(Random::time),
                answer: self.answer(),
                after: self.maybe(Random::usage),
                overriding: operator.map(|operator| Override { operator, note: &note }),
                conflict: self.maybe(|random| random.pick(&REASONS)),
                recorded_at: at,
            }),
            2 => Record::Repeat { at, device, of: self.number() },
            3 => Record::Passage(PassageRecord {
                at,
                device,
                scan: self.number(),
                outcome: self.pick(&[PassageOutcome::Passed, PassageOutcome::Annulled]),
                after: self.maybe(Random::usage),
            }),
            4 => Record::Turns { at, gate, device, people: self.number() as i32 },
            5 => Record::Put { at, operator, entity: Box::new(self.entity()) },
            6 => {
                let tickets = (0..self.below(5)).map(|_| self.ticket()).collect();
                Record::Tickets { at, first: ticket, tickets }
            }
            7 => Record::Status { at, operator, ticket, status: TicketStatus::Cancelled },
            8 => {
                let command = if self.flag() { Command::Lock } else { Command::Message(note.clone()) };
                Record::Command { at, operator, device, command, expires_at: self.time() }
            }
            9 => Record::Delivered { at, device, through: self.number() },
            10 => Record::Cooled { at, event: EventId(1), first: ticket, count: self.number() as u32 },
            11 => Record::Warmed { at, tickets: vec![(ticket, self.ticket())] },
            12 => Record::ConflictResolved { at, operator, conflict: self.number() },
            13 => Record::Inbox {
                at,
                row: self.inbox_row(),
                outcome: Box::new(self.inbox_outcome(ticket, &note)),
            },
            14 => Record::Act { at, operator, act: self.act() },
            15 => {
                let tickets = (0..self.below(5)).map(|n| (TicketId(n as u32), self.ticket())).collect();
                Record::Amended { at, operator, action: self.text(20), details: note.clone(), tickets }
            }
            16 => Record::Shredded {
                at,
                operator,
                event: EventId(self.number() as u32),
                first: ticket,
                count: self.number() as u32,
                answers_from: self.number(),
                answers_until: self.number(),
            },
            _ => Record::Born { at, salt: [self.number() as u8; 16] },
        })
    }

    fn act(&mut self) -> Act {
        let change = |random: &mut Random| RegistryChange {
            kind: random.text(20),
            name: random.text(200),
            value: random.maybe(|random| random.text(500)),
        };
        let entries = (0..self.below(5)).map(|_| change(self)).collect();
        Act { action: self.text(20), subject: self.text(200), details: self.text(500), entries }
    }

    fn inbox_row(&mut self) -> InboxRow {
        InboxRow { id: self.number(), written_us: self.number() as i64 }
    }

    fn inbox_outcome(&mut self, id: TicketId, why: &str) -> InboxOutcome {
        match self.below(6) {
            0 => InboxOutcome::Added { id, ticket: self.ticket() },
            1 => InboxOutcome::Changed { id, ticket: self.ticket() },
            2 => InboxOutcome::Unchanged,
            3 => InboxOutcome::Early,
            4 => InboxOutcome::Outdated,
            _ => InboxOutcome::refused(why),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        self.record(|record| {
            let mut payload = Vec::new();
            record.encode(&mut payload);
            payload
        })
    }
}

#[test]
fn every_record_reads_back_as_it_was_written() {
    let mut random = Random(SplitMix64(1));
    for n in 0..ROUND_TRIPS {
        random.record(|record| {
            let mut payload = b"before".to_vec();
            record.encode(&mut payload);
            let read =
                Record::decode(&payload[6..]).unwrap_or_else(|error| panic!("{n}: {error}: {record:?}"));
            assert_eq!(read, record, "record {n}");
            assert_eq!(read.at(), record.at());
            let mut again = Vec::new();
            read.encode(&mut again);
            assert_eq!(again, payload[6..], "record {n}");
        });
    }
}

#[test]
fn bytes_that_are_no_record_are_refused_and_end_nothing() {
    let mut random = Random(SplitMix64(2));
    let (mut refused, mut read) = (0, 0);
    for _ in 0..MUTATIONS {
        let mut payload = random.payload();
        for _ in 0..=random.below(3) {
            mutate(&mut payload, &mut random);
        }
        match Record::decode(&payload) {
            Ok(record) => {
                // What is believed can be shown and written.
                read += usize::from(!format!("{record:?}").is_empty());
                record.encode(&mut Vec::new());
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > MUTATIONS / 10, "{refused} refused");
    assert!(read > MUTATIONS / 100, "{read} read");
}

fn mutate(payload: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(payload.len() as u64 + 1) as usize;
    match random.below(5) {
        0 => payload.truncate(at),
        1 => payload.insert(at, random.below(256) as u8),
        2 => payload.extend_from_slice(&[0xff; 12]),
        // Lengths and numbers of many bytes.
        3 => payload.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
        _ if at < payload.len() => payload[at] ^= 1 << random.below(8),
        _ => {}
    }
    if random.below(4) > 0
        && let Some(version) = payload.first_mut()
    {
        *version = RECORD_VERSION;
    }
}

#[test]
fn a_record_of_another_version_is_named_and_not_guessed() {
    let mut payload = Random(SplitMix64(3)).payload();
    payload[0] = RECORD_VERSION + 1;
    assert!(
        matches!(Record::decode(&payload), Err(RecordError::Version(version)) if version == RECORD_VERSION + 1)
    );
    assert!(matches!(Record::decode(&[]), Err(RecordError::Empty)));
    assert!(matches!(Record::decode(&[RECORD_VERSION]), Err(RecordError::Malformed(_))));
}
