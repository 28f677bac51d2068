//! How long the embedded store takes for a scan: applies the records of a day at the gates in batches of two sizes and
//! prints what a record costs, each size on a file of its own. Knows no clock but the machine's (Linux: it reads
//! `/proc`); checks its result.
//!
//! `cargo run --release -p store --example apply -- [scans] [folder] [MiB between syncs]`

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use engine::catalog::*;
use engine::checkpoint::image;
use engine::clock::{ManualClock, Time};
use engine::decision::{Scan, ScanKind};
use engine::journal::JournalOptions;
use engine::record::Record;
use engine::sim_disk::{SimDisk, SplitMix64};
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use engine::{Engine, Lsn};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use store::{ProjectorOptions, SqliteStore, Store};

const START: Time = Time(1_780_000_000_000);
const DEVICES: u32 = 91;
/// Scans of each ticket, by and by: in, and out and in again.
const SCANS_PER_TICKET: usize = 3;
/// Records read back from the journal at once.
const READ_BYTES: usize = 64 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let scans: usize = arguments.next().map_or(400_000, |text| text.parse().unwrap());
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let sync_bytes = arguments
        .next()
        .map_or(ProjectorOptions::default().sync_bytes, |text| text.parse::<u64>().unwrap() << 20);
    let engine = venue();
    let tickets = (scans / SCANS_PER_TICKET).max(1);
    add_tickets(&engine, tickets);
    let first_scan = engine.with_state(|state| state.lsn) as usize;
    present(&engine, scans, tickets);
    let payloads = records(&engine);
    let batch: Vec<(Lsn, Record<'_>)> =
        payloads.iter().map(|(lsn, payload)| (*lsn, Record::decode(payload).unwrap())).collect();
    let (before, day) = batch.split_at(first_scan);
    for size in [8_000, 2_000, 500] {
        let folder = tempfile::tempdir_in(Path::new(&parent)).unwrap();
        let path = folder.path().join("store.sqlite");
        let mut store = SqliteStore::open(&path).unwrap();
        store.apply(before).unwrap();
        let (began, cpu_before, written_before) = (Instant::now(), cpu_ns(), written_bytes());
        for batch in day.chunks(size) {
            store.apply(batch).unwrap();
            if store.unsynced_bytes().unwrap() >= sync_bytes {
                store.sync().unwrap();
            }
        }
        store.sync().unwrap();
        let each = |total: u64| total as f64 / day.len() as f64;
        println!(
            "{} records in batches of {size}: {:.2} µs of CPU, {:.2} µs in all, {:.0} bytes written for each; file of {} MiB",
            day.len(),
            each(cpu_ns() - cpu_before) / 1e3,
            each(began.elapsed().as_nanos() as u64) / 1e3,
            each(written_bytes() - written_before),
            std::fs::metadata(&path).unwrap().len() >> 20
        );
        assert!(image(&store.bootstrap().unwrap()) == engine.image(), "the store is not what the engine is");
    }
}

/// Nanoseconds this thread was on a core: what others do on the machine is not in them.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Bytes given to write calls.
fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

fn venue() -> Engine {
    let options = JournalOptions { segment_bytes: 64 << 20, salt: 1, ..JournalOptions::default() };
    let clock = Arc::new(ManualClock::at(START));
    let (engine, _) = Engine::open(Arc::new(SimDisk::new()), clock, options).unwrap();
    let event = Event {
        name: "match".to_owned(),
        title: "The match".to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        doors_open_at: START,
        starts_at: START,
        ends_at: START.plus_ms(86_400_000),
        cold: false,
    };
    let kind = TicketType {
        name: "PASS".to_owned(),
        event: EventId(0),
        entries: None,
        entries_per_day: None,
        reentry: Reentry::Free,
        anti_passback: AntiPassback::Soft,
        people: 1,
        gates: Vec::new(),
        valid_from: Time::MIN,
        valid_until: Time::MAX,
    };
    let bowl = Zone { name: "BOWL".to_owned(), capacity: None, rule: CapacityRule::Soft };
    let all = [Entity::Zone(bowl), Entity::Event(event), Entity::Type(kind)];
    all.into_iter().for_each(|entity| engine.put(None, entity).map(drop).unwrap());
    for n in 0..DEVICES {
        engine.put(None, Entity::Gate(gate(n))).unwrap();
        engine.put(None, Entity::Device(device(n))).unwrap();
    }
    engine
}

fn gate(n: u32) -> Gate {
    Gate {
        name: format!("GATE_{n}"),
        event: Some(EventId(0)),
        from: ZoneId(0),
        to: ZoneId(1),
        mode: GateMode::Open,
        fail_policy: FailPolicy::Closed,
    }
}

fn device(n: u32) -> Device {
    Device {
        name: format!("READER_{n}"),
        gate: Some(GateId(n as u16)),
        profile: "kqt300".to_owned(),
        key_hashes: vec![[n as u8; 32]],
        number: None,
        status: DeviceStatus::Active,
        rate_per_minute: None,
        card_format: None,
        heartbeat_code: None,
        direction: None,
        sources: Vec::new(),
        shows_name: true,
        repeat_window_ms: 3_000,
        config_version: 1,
        settings: [].into(),
    }
}

fn code(n: usize) -> String {
    format!("9{:015}", n * 7_919)
}

fn add_tickets(engine: &Engine, count: usize) {
    let all: Vec<Ticket> = (0..count)
        .map(|n| Ticket {
            type_id: TypeId(0),
            status: TicketStatus::Active,
            specimen: false,
            usage: TicketUse::default(),
            valid_from: Time::MIN,
            valid_until: Time::MAX,
            status_at: START,
            details: Details::new(
                &format!("REF-{n:07}"),
                &format!("First Last{}", n % 5_000),
                &format!("ORDER-{}", n / 2),
                "Block C, row 12, seat 7",
                &[(CodeKind::Optical, code(n).as_bytes())],
            ),
        })
        .collect();
    let (_, outcomes) = engine.add_tickets(all, false).unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
    engine.journal().commit().unwrap();
}

/// Every ticket about three times, in random order, in and out by turns; one in fifty is a stranger.
fn present(engine: &Engine, scans: usize, tickets: usize) {
    let mut random = SplitMix64(7);
    for n in 0..scans {
        let ticket = random.below(tickets as u64) as usize;
        let code = if n % 50 == 49 { format!("STRANGER-{n}") } else { code(ticket) };
        let id = format!("{:08x}-{:04x}-4000-8000-{n:012x}", random.next() as u32, n as u16);
        let device = random.below(u64::from(DEVICES)) as u32;
        let scan = Scan {
            device: DeviceId(device),
            gate: GateId(device as u16),
            code_kind: CodeKind::Optical,
            code: code.as_bytes(),
            scan_id: Some(&id),
            scanned_at: Some(START),
            direction: Some(if n * 2 / scans == 0 { Direction::Entry } else { Direction::Exit }),
            people: None,
            kind: ScanKind::Validate,
            overriding: None,
            shown: None,
        };
        engine.scan(&scan).unwrap();
        if n % 1_000 == 999 {
            engine.journal().commit().unwrap();
        }
    }
    engine.journal().commit().unwrap();
}

fn records(engine: &Engine) -> Vec<(Lsn, Vec<u8>)> {
    let mut all = Vec::new();
    let mut reader = engine.journal().reader(Lsn(0));
    while reader.next_lsn().0 <= engine.with_state(|state| state.lsn) {
        reader.read(READ_BYTES, &mut all).unwrap();
    }
    all
}
