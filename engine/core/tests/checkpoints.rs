//! Checkpoints from the outside: what was captured is exactly one LSN, damage is seen, an older one serves, and
//! nothing is deleted that a start may need.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::catalog::*;
use engine::checkpoint;
use engine::clock::ManualClock;
use engine::decision::{Scan, ScanKind};
use engine::disk::Disk;
use engine::journal::{JournalOptions, Lsn};
use engine::registry::{Act, RegistryChange};
use engine::sim_disk::{FailKind, SimDisk};
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus};
use engine::{Engine, EngineError, Time};
use std::sync::Arc;
use support::build;
use support::pausing::{checkpoint_with, pausing};

const OPTIONS: fn() -> JournalOptions =
    || JournalOptions { segment_bytes: 1 << 20, salt: 7, ..JournalOptions::default() };

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Time(1_000_000)))
}

/// An event, a gate, a type and so many tickets named T0, T1, ….
fn venue(disk: Arc<dyn Disk>, tickets: usize) -> Engine {
    let engine = Engine::open(disk, clock(), OPTIONS()).unwrap().0;
    let put = |entity| engine.put(None, entity).unwrap();
    put(Entity::Event(build::event("Match", Time(0), Time(i64::MAX / 2))));
    put(Entity::Zone(build::zone("BOWL")));
    put(Entity::Gate(build::gate("North", Some(EventId(0)), ZoneId(0), ZoneId(1))));
    put(Entity::Device(build::device("D1")));
    put(Entity::Type(build::ticket_type("STD", EventId(0), Some(1), Reentry::None)));
    let new = (0..tickets).map(plain).collect();
    engine.add_tickets(new, false).unwrap();
    engine.journal().commit().unwrap();
    engine
}

fn plain(n: usize) -> Ticket {
    let name = format!("T{n}");
    build::ticket(TypeId(0), &name, &[(CodeKind::Optical, name.as_bytes())])
}

fn scan(code: &str) -> Scan<'_> {
    Scan {
        device: DeviceId(0),
        gate: GateId(0),
        code_kind: CodeKind::Optical,
        code: code.as_bytes(),
        scan_id: None,
        scanned_at: None,
        direction: None,
        people: None,
        kind: ScanKind::Validate,
        overriding: None,
        shown: None,
    }
}

fn entry(name: &str, value: Option<&str>) -> Act {
    let entries =
        vec![RegistryChange { kind: "k".to_owned(), name: name.to_owned(), value: value.map(str::to_owned) }];
    let word = || "word".to_owned();
    Act { action: word(), subject: word(), details: "{}".to_owned(), entries }
}

fn files(disk: &SimDisk, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> =
        disk.list().unwrap().into_iter().filter(|name| name.ends_with(suffix)).collect();
    names.sort();
    names
}

fn small_checkpoint() -> (SimDisk, String) {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 3);
    engine.scan(&scan("T1")).unwrap();
    engine.act(None, entry("one", Some("1"))).unwrap();
    engine.checkpoint().unwrap();
    let name = files(&disk, ".img").pop().unwrap();
    (disk, name)
}

#[test]
fn every_flipped_byte_of_a_checkpoint_is_seen() {
    let (disk, name) = small_checkpoint();
    let bytes = disk.contents(&name).unwrap();
    checkpoint::load(&disk, &name).unwrap();
    let damaged = SimDisk::new();
    for byte in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[byte] ^= mask;
            damaged.put(&name, &bytes);
            assert!(checkpoint::load(&damaged, &name).is_err(), "byte {byte} of {}", bytes.len());
        }
    }
}

#[test]
fn every_cut_of_a_checkpoint_is_seen() {
    let (disk, name) = small_checkpoint();
    let bytes = disk.contents(&name).unwrap();
    let damaged = SimDisk::new();
    for len in 0..bytes.len() {
        damaged.put(&name, &bytes[..len]);
        assert!(checkpoint::load(&damaged, &name).is_err(), "{len} of {} bytes", bytes.len());
    }
}

fn damage(disk: &SimDisk, name: &str) {
    let mut bytes = disk.contents(name).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    disk.put(name, &bytes);
}

#[test]
fn an_older_checkpoint_serves_when_the_newest_is_damaged() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 10);
    let older = engine.checkpoint().unwrap();
    engine.scan(&scan("T1")).unwrap();
    engine.set_projected(Lsn(u64::MAX));
    engine.set_settled(Lsn(u64::MAX));
    engine.checkpoint().unwrap();
    engine.scan(&scan("T2")).unwrap();
    engine.journal().commit().unwrap();
    let image = engine.image();
    drop(engine);
    damage(&disk, files(&disk, ".img").last().unwrap());
    let (engine, opened) = Engine::open(Arc::new(disk.clone()), clock(), OPTIONS()).unwrap();
    assert_eq!(opened.checkpoint, older.0);
    assert_eq!(opened.damaged.len(), 1);
    assert!(opened.damaged[0].contains("damaged at byte"), "{}", opened.damaged[0]);
    assert_eq!(engine.image(), image);
}

// The store does not sync every batch: a power cut takes its newest rows back, and the journal has to have them.
#[test]
fn a_segment_the_store_has_not_synced_is_kept_however_far_the_store_is() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 10);
    let early = engine.journal().positions().next;
    engine.add_tickets((10..1_010).map(fat).collect(), false).unwrap();
    engine.journal().commit().unwrap();
    engine.set_projected(engine.journal().positions().durable);
    for _ in 0..2 {
        engine.checkpoint().unwrap();
        engine.scan(&scan("T2")).unwrap();
        engine.journal().commit().unwrap();
    }
    assert_eq!((engine.settled(), engine.journal().oldest()), (Lsn(0), Lsn(1)));
    engine.set_settled(early);
    engine.checkpoint().unwrap();
    assert!(engine.journal().oldest().0 <= early.0 + 1, "nothing is deleted past what is settled");
    engine.set_settled(engine.projected());
    engine.checkpoint().unwrap();
    assert!(engine.journal().oldest().0 > 1);
    assert!(engine.journal().oldest().0 <= engine.settled().0 + 1);
}

// With one checkpoint there was nothing behind it: its journal was deleted at once, and one bad sector lost all.
#[test]
fn the_first_checkpoint_deletes_no_segment() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 10);
    engine.add_tickets((10..1_010).map(fat).collect(), false).unwrap();
    engine.journal().commit().unwrap();
    let segments = files(&disk, ".seg").len();
    assert!(segments > 1, "{segments} segments");
    engine.set_projected(Lsn(u64::MAX));
    engine.set_settled(Lsn(u64::MAX));
    engine.checkpoint().unwrap();
    let image = engine.image();
    drop(engine);
    damage(&disk, &files(&disk, ".img")[0]);
    let (engine, opened) = Engine::open(Arc::new(disk.clone()), clock(), OPTIONS()).unwrap();
    assert_eq!(opened.checkpoint, 0);
    assert_eq!(engine.image(), image);
    engine.checkpoint().unwrap();
    engine.scan(&scan("T2")).unwrap();
    engine.set_projected(Lsn(u64::MAX));
    engine.set_settled(Lsn(u64::MAX));
    engine.checkpoint().unwrap();
    assert!(files(&disk, ".seg").len() < segments, "two checkpoints hold all of it now");
}

// A damaged checkpoint and no journal looked like a new node: everything was forgotten without a word.
#[test]
fn a_damaged_checkpoint_without_a_journal_is_not_a_new_node() {
    let (disk, name) = small_checkpoint();
    let bytes = disk.contents(&name).unwrap();
    let alone = SimDisk::new();
    alone.put(&name, &bytes[..bytes.len() - 1]);
    let error = Engine::open(Arc::new(alone.clone()), clock(), OPTIONS()).err().expect("it must not open");
    assert!(error.to_string().contains("failed to open checkpoint"), "{error}");
    assert_eq!(files(&alone, ".seg"), Vec::<String>::new(), "nothing was begun");
    alone.put(&name, &bytes);
    assert_eq!(Engine::open(Arc::new(alone), clock(), OPTIONS()).unwrap().1.damaged.len(), 0);
}

#[test]
fn segments_stay_until_the_store_has_them() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 10);
    engine.add_tickets((10..1_010).map(fat).collect(), false).unwrap();
    engine.journal().commit().unwrap();
    let segments = files(&disk, ".seg");
    assert!(segments.len() > 1);
    for code in ["T1", "T2", "T3"] {
        engine.scan(&scan(code)).unwrap();
        engine.checkpoint().unwrap();
    }
    assert_eq!(files(&disk, ".seg"), segments);
    assert_eq!(files(&disk, ".img").len(), checkpoint::CHECKPOINTS_KEPT);
    engine.set_projected(Lsn(u64::MAX));
    engine.set_settled(Lsn(u64::MAX));
    engine.checkpoint().unwrap();
    assert_eq!(files(&disk, ".seg").len(), 1);
}

/// A ticket so large that a few hundred fill the checkpoint's buffer: it is written in the middle of the capture.
fn fat(n: usize) -> Ticket {
    let text = "x".repeat(255);
    let codes: Vec<Vec<u8>> = (0..8)
        .map(|nth| {
            let mut code = format!("F{n}-{nth}-").into_bytes();
            code.resize(255, b'c');
            code
        })
        .collect();
    let codes: Vec<(CodeKind, &[u8])> =
        codes.iter().map(|code| (CodeKind::Optical, code.as_slice())).collect();
    let mut ticket = plain(n);
    ticket.details = Details::new(&format!("F{n}"), &text, &text, &text, &codes);
    ticket
}

#[test]
fn a_checkpoint_taken_while_gates_go_on_is_the_state_at_its_lsn() {
    let disk = SimDisk::new();
    let (pausing, pause) = pausing(&disk);
    let engine = venue(pausing, 3);
    engine.add_tickets((10..3_010).map(fat).collect(), false).unwrap();
    let image = engine.image();
    let lsn = engine.with_state(|state| state.lsn);
    let pauses = checkpoint_with(&engine, &pause, |at| {
        // Before and behind the cursor, changed twice, and new ones.
        for ticket in (0..3_000).step_by(100) {
            engine.set_status(None, TicketId(ticket), TicketStatus::Blocked).unwrap();
            engine.set_status(None, TicketId(ticket + 1), TicketStatus::Cancelled).unwrap();
        }
        engine.scan(&scan(&format!("T{}", at % 3))).unwrap();
        engine.scan(&scan("nobody")).unwrap();
        engine.add_tickets(vec![plain(10_000 + at)], false).unwrap();
    });
    assert!(pauses >= 5, "{pauses} pauses only");
    let loaded = checkpoint::load(&disk, &format!("checkpoint-{lsn:020}.img")).unwrap();
    assert!(checkpoint::image(&loaded) == image, "the checkpoint is not the state at its LSN");
    engine.journal().commit().unwrap();
    let live = engine.image();
    drop(engine);
    let engine = Engine::open(Arc::new(disk.clone()), clock(), OPTIONS()).unwrap().0;
    assert!(engine.image() == live, "checkpoint and journal give another state than the live one");
}

#[test]
fn a_large_checkpoint_is_synced_in_portions() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 3);
    for first in (10..1_010).step_by(50) {
        engine.add_tickets((first..first + 50).map(fat).collect(), false).unwrap();
        engine.journal().commit().unwrap();
    }
    assert!(disk.synced_at_once_max() < checkpoint::WRITE_BYTES, "the journal's own syncs are smaller");
    let lsn = engine.checkpoint().unwrap();
    let image = disk.contents(&format!("checkpoint-{lsn:020}.img")).unwrap();
    assert!(image.len() > 4 * checkpoint::WRITE_BYTES, "{} bytes", image.len());
    assert_eq!(disk.synced_at_once_max(), checkpoint::WRITE_BYTES);
    for seed in 0..4 {
        let after = disk.crash(seed);
        checkpoint::load(&after, &format!("checkpoint-{lsn:020}.img")).unwrap();
    }
}

// A checkpoint that ran into a full disk left what it had written, and with it the disk full: the journal's next
// segment found no room, and a node that had only failed to take a checkpoint stopped admitting.
#[test]
fn a_checkpoint_that_fails_gives_its_bytes_back() {
    for (kind, countdowns) in [(FailKind::Write, 1..=9), (FailKind::Sync, 1..=9), (FailKind::Name, 1..=2)] {
        for countdown in countdowns {
            let disk = SimDisk::new();
            let engine = venue(Arc::new(disk.clone()), 3);
            engine.add_tickets((10..1_010).map(fat).collect(), false).unwrap();
            engine.journal().commit().unwrap();
            disk.fail_at(countdown, kind);
            engine.checkpoint().unwrap_err();
            assert_eq!(files(&disk, ".tmp"), [""; 0], "{kind:?} {countdown}");
            assert!(!engine.journal().poisoned());
            engine.checkpoint().unwrap();
            assert_eq!(files(&disk, ".img").len(), 1, "{kind:?} {countdown}");
        }
    }
}

// A ticket that came back from the store while a checkpoint was taken got into it: with its record lost in a
// power cut, the node started with a ticket from the future.
#[test]
fn a_ticket_warmed_during_a_checkpoint_is_not_in_it() {
    let disk = SimDisk::new();
    let (pausing, pause) = pausing(&disk);
    let engine = venue(pausing, 5);
    let tickets: Vec<(TicketId, Ticket)> =
        engine.with_state(|state| state.tickets.iter().map(|(id, ticket)| (id, ticket.clone())).collect());
    engine.cool(EventId(0)).unwrap();
    let image = engine.image();
    let lsn = engine.with_state(|state| state.lsn);
    checkpoint_with(&engine, &pause, |at| {
        if at == 0 {
            engine.warm(engine.journal().positions().next, tickets.clone()).unwrap();
        }
    });
    let loaded = checkpoint::load(&disk, &format!("checkpoint-{lsn:020}.img")).unwrap();
    assert!(checkpoint::image(&loaded) == image, "the checkpoint holds what came after it");
}

#[test]
fn two_checkpoints_at_once_wait_for_each_other() {
    let disk = SimDisk::new();
    let (pausing, pause) = pausing(&disk);
    let engine = venue(pausing, 5);
    std::thread::scope(|threads| {
        let mut second = None;
        checkpoint_with(&engine, &pause, |at| {
            if at == 0 {
                second = Some(threads.spawn(|| engine.checkpoint().map(|_| ())));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        second.unwrap().join().expect("no panic").unwrap();
    });
}

// Tickets of an event came back from the store twice (a retried batch): people were counted twice, and what had
// been used in between was given back.
#[test]
fn tickets_that_come_back_twice_change_nothing_the_second_time() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 3);
    engine.scan(&scan("T0")).unwrap();
    let stored: Vec<(TicketId, Ticket)> =
        engine.with_state(|state| state.tickets.iter().map(|(id, ticket)| (id, ticket.clone())).collect());
    engine.cool(EventId(0)).unwrap();
    assert_eq!(engine.counts().zones[1], 0);
    assert!(matches!(engine.scan(&scan("T1")), Err(EngineError::MaybeCold)));
    engine.warm(engine.journal().positions().next, stored.clone()).unwrap();
    assert_eq!(engine.counts().zones[1], 1);
    assert!(engine.scan(&scan("T1")).unwrap().answer.verdict.admits());
    engine.warm(engine.journal().positions().next, stored).unwrap();
    assert_eq!(engine.counts().zones[1], 2);
    let mut again = scan("T1");
    again.scan_id = Some("again");
    assert!(!engine.scan(&again).unwrap().answer.verdict.admits());
    engine.journal().commit().unwrap();
    let image = engine.image();
    drop(engine);
    assert!(Engine::open(Arc::new(disk), clock(), OPTIONS()).unwrap().0.image() == image);
}

// A registry of thousands is copied in turns, and what changes between two turns must not get into the file.
#[test]
fn a_registry_that_changes_while_a_checkpoint_is_taken_is_in_it_as_it_was() {
    let disk = SimDisk::new();
    let (pausing, pause) = pausing(&disk);
    let engine = venue(pausing, 3);
    let long = "v".repeat(500);
    for n in 0..3_000 {
        engine.act(None, entry(&format!("{n:05}"), Some(&long))).unwrap();
        if n % 500 == 0 {
            engine.journal().commit().unwrap();
        }
    }
    let image = engine.image();
    let lsn = engine.with_state(|state| state.lsn);
    let pauses = checkpoint_with(&engine, &pause, |at| {
        for n in (0..3_000).step_by(70) {
            engine.act(None, entry(&format!("{n:05}"), (at % 2 == 0).then_some("otherwise"))).unwrap();
            engine.act(None, entry(&format!("{n:05}-{at}"), Some("new"))).unwrap();
        }
        engine.journal().commit().unwrap();
    });
    assert!(pauses >= 5, "{pauses} pauses only");
    let loaded = checkpoint::load(&disk, &format!("checkpoint-{lsn:020}.img")).unwrap();
    assert!(checkpoint::image(&loaded) == image, "the checkpoint is not the state at its LSN");
    assert_eq!(loaded.registry.len(), 3_000);
    engine.journal().commit().unwrap();
    let live = engine.image();
    drop(engine);
    assert!(Engine::open(Arc::new(disk.clone()), clock(), OPTIONS()).unwrap().0.image() == live);
}

/// Written by a program that knew no registry: three tickets, one of them scanned.
const BEFORE_REGISTRY: &[u8] = include_bytes!("data/checkpoint-before-registry.img");

#[test]
fn a_checkpoint_of_a_program_that_knew_no_registry_is_read_and_goes_on() {
    let disk = SimDisk::new();
    let name = format!("checkpoint-{:020}.img", 8);
    disk.put(&name, BEFORE_REGISTRY);
    let state = checkpoint::load(&disk, &name).unwrap();
    assert_eq!((state.lsn, state.tickets.len(), state.scans.len()), (8, 3, 1));
    assert!(state.registry.is_empty());
    let engine = Engine::open_from(state, Arc::new(disk.clone()), clock(), OPTIONS()).unwrap().0;
    engine.act(None, entry("one", Some("1"))).unwrap();
    engine.checkpoint().unwrap();
    let image = engine.image();
    drop(engine);
    let engine = Engine::open(Arc::new(disk), clock(), OPTIONS()).unwrap().0;
    assert!(engine.image() == image);
    assert_eq!(engine.registry_entry("k", "one").as_deref(), Some("1"));
}

#[test]
fn without_a_registry_a_checkpoint_has_the_sections_it_always_had() {
    let disk = SimDisk::new();
    let engine = venue(Arc::new(disk.clone()), 3);
    engine.scan(&scan("T1")).unwrap();
    engine.act(None, entry("one", Some("1"))).unwrap();
    engine.act(None, entry("one", None)).unwrap();
    engine.checkpoint().unwrap();
    let written = disk.contents(&files(&disk, ".img")[0]).unwrap();
    let kinds = |bytes: &[u8]| {
        let (mut at, mut kinds) = (8, Vec::new());
        while at < bytes.len() {
            kinds.push((bytes[at], bytes[at + 5]));
            at += 13 + u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap()) as usize;
        }
        kinds
    };
    let (new, old) = (kinds(&written), kinds(BEFORE_REGISTRY));
    assert_eq!(new.last(), old.last(), "the end counts tickets and scans only");
    assert_eq!(
        new.iter().map(|own| own.0).collect::<Vec<_>>(),
        old.iter().map(|own| own.0).collect::<Vec<_>>()
    );
}
