//! What people do from outside of the gates: the registry, changes that expect what they saw, annulments of others'
//! scans.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::catalog::{
    CatalogError, DeviceId, DeviceStatus, Entity, EventId, Gate, GateId, GateMode, OperatorId, Reentry,
    TypeId, ZoneId,
};
use engine::clock::ManualClock;
use engine::decision::{Scan, ScanKind};
use engine::limits::{
    ACT_BYTES_MAX, REGISTRY_CHANGES_PER_ACT_MAX, REGISTRY_NAME_BYTES_MAX, REGISTRY_VALUE_BYTES_MAX,
};
use engine::record::{PassageOutcome, Record};
use engine::registry::{Act, Expected, RegistryChange, RegistryError};
use engine::sim_disk::SimDisk;
use engine::ticket::CodeKind;
use engine::{Engine, EngineError, Lsn, Time};
use std::sync::Arc;
use support::build;

const START: Time = Time(1_780_000_000_000);
const ADMIN: Option<OperatorId> = Some(OperatorId(0));

/// An engine, its disk and clock: an event, a gate into BOWL, an exit, tickets T0 to T2 of one entry each.
fn venue() -> (Engine, SimDisk, Arc<ManualClock>) {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START)));
    let engine = build::open(&disk, &clock, 8 << 20);
    let put = |entity| engine.put(None, entity).unwrap();
    put(Entity::Event(build::event("Match", START, START.plus_ms(build::DAY_MS))));
    put(Entity::Zone(build::zone("BOWL")));
    put(Entity::Gate(build::gate("North", Some(EventId(0)), ZoneId(0), ZoneId(1))));
    put(Entity::Device(build::device("D0")));
    put(Entity::Type(build::ticket_type("STD", EventId(0), Some(1), Reentry::None)));
    for name in ["T0", "T1", "T2"] {
        let ticket = build::ticket(TypeId(0), name, &[(CodeKind::Optical, name.as_bytes())]);
        engine.add_tickets(vec![ticket], false).unwrap();
    }
    (engine, disk, clock)
}

fn change(name: &str, value: Option<&str>) -> RegistryChange {
    RegistryChange { kind: "session".to_owned(), name: name.to_owned(), value: value.map(str::to_owned) }
}

fn act(entries: Vec<RegistryChange>) -> Act {
    let word = |word: &str| word.to_owned();
    Act { action: word("sign_in"), subject: word("ann@example.org"), details: word("{}"), entries }
}

fn value(engine: &Engine, name: &str) -> Option<String> {
    engine.registry_entry("session", name).map(|value| value.to_string())
}

fn scan<'a>(code: &'a str, scan_id: Option<&'a str>) -> Scan<'a> {
    Scan {
        device: DeviceId(0),
        gate: GateId(0),
        code_kind: CodeKind::Optical,
        code: code.as_bytes(),
        scan_id,
        scanned_at: None,
        direction: None,
        people: None,
        kind: ScanKind::Validate,
        overriding: None,
        shown: None,
    }
}

/// Records of the journal after an LSN, as text.
fn records_after(engine: &Engine, lsn: u64) -> Vec<String> {
    engine.journal().commit().unwrap();
    let mut records = Vec::new();
    engine.journal().reader(Lsn(lsn)).read(usize::MAX, &mut records).unwrap();
    records.iter().map(|(_, payload)| format!("{:?}", Record::decode(payload).unwrap())).collect()
}

#[test]
fn entries_are_kept_in_the_order_of_their_names_and_over_a_restart() {
    let (engine, disk, clock) = venue();
    let other = RegistryChange { kind: "settings".to_owned(), ..change("b", Some("other")) };
    engine.act(ADMIN, act(vec![change("b", Some("2")), change("a", Some("1")), other])).unwrap();
    engine.act(ADMIN, act(vec![change("c", Some("3")), change("b", None), change("a", Some("4"))])).unwrap();
    let names = |engine: &Engine| {
        let entries = engine.registry("session").into_iter();
        entries.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(names(&engine), ["a=4", "c=3"]);
    assert_eq!(engine.registry_entry("settings", "b").as_deref(), Some("other"));
    assert_eq!(engine.registry("nothing"), []);
    engine.journal().commit().unwrap();
    let image = engine.image();
    drop(engine);
    let again = build::open(&disk, &clock, 8 << 20);
    assert!(again.image() == image);
    assert_eq!(names(&again), ["a=4", "c=3"]);
}

#[test]
fn a_kind_of_many_entries_is_read_whole_and_without_its_neighbours() {
    let (engine, ..) = venue();
    let name = |n: usize| format!("{n:04}");
    for n in 0..1_100 {
        engine.act(None, act(vec![change(&name(n), Some("1"))])).unwrap();
    }
    let neighbour = RegistryChange { kind: "session2".to_owned(), ..change("x", Some("1")) };
    engine.act(None, act(vec![neighbour])).unwrap();
    let names: Vec<String> = engine.registry("session").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, (0..1_100).map(name).collect::<Vec<_>>());
}

#[test]
fn an_act_without_entries_is_a_record_and_changes_nothing_else() {
    let (engine, ..) = venue();
    let before = engine.with_state(|state| state.lsn);
    let lsn = engine.act(ADMIN, act(Vec::new())).unwrap();
    assert_eq!(lsn, Lsn(before + 1));
    assert!(engine.with_state(|state| state.registry.is_empty()));
    assert!(records_after(&engine, before)[0].contains("sign_in"));
}

#[test]
fn an_act_that_expects_what_is_no_longer_so_is_not_done() {
    let (engine, ..) = venue();
    let expected = |value| [Expected { kind: "session", name: "a", value }];
    engine.act_if(ADMIN, &expected(None), act(vec![change("a", Some("1"))])).unwrap();
    let before = engine.image();
    for wrong in [None, Some("2")] {
        let result = engine.act_if(ADMIN, &expected(wrong), act(vec![change("a", Some("9"))]));
        assert!(matches!(result, Err(EngineError::Changed)), "{wrong:?}");
    }
    assert!(engine.image() == before);
    engine.act_if(ADMIN, &expected(Some("1")), act(vec![change("a", None)])).unwrap();
    assert_eq!(value(&engine, "a"), None);
}

#[test]
fn of_many_that_use_up_one_entry_at_once_one_does() {
    let (engine, ..) = venue();
    engine.act(ADMIN, act(vec![change("refresh", Some("first"))])).unwrap();
    let done = std::thread::scope(|threads| {
        let expected = [Expected { kind: "session", name: "refresh", value: Some("first") }];
        let engine = &engine;
        let tries: Vec<_> = (0..8)
            .map(|n| {
                let next = act(vec![change("refresh", Some(&format!("of {n}")))]);
                threads.spawn(move || engine.act_if(ADMIN, &expected, next).is_ok())
            })
            .collect();
        tries.into_iter().filter_map(|own| own.join().expect("no panic").then_some(())).count()
    });
    assert_eq!(done, 1);
}

#[test]
fn what_is_too_large_or_not_to_be_kept_is_named_and_not_written() {
    let (engine, ..) = venue();
    let refused = |act: Act| match engine.act(ADMIN, act) {
        Err(EngineError::Registry(error)) => error,
        other => panic!("{other:?}"),
    };
    let before = engine.with_state(|state| state.lsn);
    let long = "v".repeat(REGISTRY_VALUE_BYTES_MAX + 1);
    let too_long = refused(act(vec![change("a", Some(&long))]));
    assert_eq!(too_long.to_string(), "the value of an entry has 32769 bytes, 32768 is the most");
    let name = "n".repeat(REGISTRY_NAME_BYTES_MAX + 1);
    assert!(matches!(refused(act(vec![change(&name, None)])), RegistryError::TooLong { bytes: 201, .. }));
    assert!(matches!(refused(act(vec![change("", None)])), RegistryError::Malformed { .. }));
    assert!(matches!(refused(act(vec![change("a\0", None)])), RegistryError::Malformed { .. }));
    assert!(matches!(refused(act(vec![change("a", Some("\0"))])), RegistryError::Malformed { .. }));
    assert!(matches!(refused(Act { details: long.clone(), ..act(vec![]) }), RegistryError::TooLong { .. }));
    let many = vec![change("a", None); REGISTRY_CHANGES_PER_ACT_MAX + 1];
    assert_eq!(refused(act(many)), RegistryError::TooManyChanges(65));
    let large = vec![change("a", Some(&long[1..])); ACT_BYTES_MAX / REGISTRY_VALUE_BYTES_MAX];
    assert!(matches!(refused(act(large)), RegistryError::TooLong { what: "an act", .. }));
    assert_eq!(engine.with_state(|state| state.lsn), before, "nothing was written");
}

#[test]
fn the_largest_act_there_may_be_fits_into_a_record() {
    let (engine, ..) = venue();
    let names: Vec<String> = (0..REGISTRY_CHANGES_PER_ACT_MAX).map(|n| format!("{n:0200}")).collect();
    let value = "v".repeat((ACT_BYTES_MAX - 300) / REGISTRY_CHANGES_PER_ACT_MAX - 7 - 200);
    let entries = names.iter().map(|name| change(name, Some(&value))).collect();
    engine.act(ADMIN, act(entries)).unwrap();
    assert_eq!(engine.registry("session").len(), REGISTRY_CHANGES_PER_ACT_MAX);
}

#[test]
fn an_entity_is_put_only_where_it_is_as_whoever_changes_it_saw_it() {
    let (engine, ..) = venue();
    let seen = build::zone("BOWL");
    let mut first = seen.clone();
    first.capacity = Some(10);
    engine.put_if(ADMIN, Some(&Entity::Zone(seen.clone())), Entity::Zone(first.clone())).unwrap();
    let mut second = seen.clone();
    second.capacity = Some(20);
    let lost = engine.put_if(ADMIN, Some(&Entity::Zone(seen)), Entity::Zone(second.clone()));
    assert!(matches!(lost, Err(EngineError::Changed)), "{lost:?}");
    assert!(matches!(engine.put_if(ADMIN, None, Entity::Zone(second)), Err(EngineError::Changed)));
    assert_eq!(engine.catalog().like(&Entity::Zone(first.clone())), Some(Entity::Zone(first)));
    engine.put_if(ADMIN, None, Entity::Zone(build::zone("NEW"))).unwrap();
    let gone = engine.put_if(ADMIN, Some(&Entity::Zone(build::zone("X"))), Entity::Zone(build::zone("X")));
    assert!(matches!(gone, Err(EngineError::Changed)), "it was seen, and is not there");
}

#[test]
fn a_change_with_a_reason_is_both_or_neither() {
    let (engine, ..) = venue();
    let seen = engine.catalog().gate(GateId(0)).unwrap().clone();
    let mut next = seen.clone();
    next.mode = GateMode::Closed;
    let before = engine.with_state(|state| state.lsn);
    let put = |expected: &Gate, next: &Gate, value: &str| {
        let (expected, next) = (Entity::Gate(expected.clone()), Entity::Gate(next.clone()));
        engine.put_with(ADMIN, Some(&expected), next, act(vec![change("kept", Some(value))]))
    };
    assert_eq!(put(&seen, &next, "open").unwrap(), Lsn(before + 2));
    assert_eq!(value(&engine, "kept").as_deref(), Some("open"));
    assert_eq!(engine.catalog().gate(GateId(0)), Some(&next));
    let records = records_after(&engine, before);
    assert!(records[0].starts_with("Act") && records[1].starts_with("Put"), "{records:?}");
    assert!(matches!(put(&seen, &next, "closed"), Err(EngineError::Changed)));
    let nowhere = Gate { to: ZoneId(9), ..next.clone() };
    assert!(matches!(put(&next, &nowhere, "closed"), Err(EngineError::Catalog(_))));
    let long = "v".repeat(REGISTRY_VALUE_BYTES_MAX + 1);
    assert!(matches!(put(&next, &seen, &long), Err(EngineError::Registry(_))));
    assert_eq!(engine.with_state(|state| state.lsn), before + 2, "nothing more was written");
}

#[test]
fn a_revoked_device_never_comes_back() {
    let (engine, ..) = venue();
    let mut device = engine.catalog().device(DeviceId(0)).unwrap().clone();
    device.status = DeviceStatus::Revoked;
    engine.put(ADMIN, Entity::Device(device.clone())).unwrap();
    device.shows_name = !device.shows_name;
    engine.put(ADMIN, Entity::Device(device.clone())).unwrap();
    for status in [DeviceStatus::Active, DeviceStatus::Pending, DeviceStatus::Suspended] {
        device.status = status;
        let put = engine.put(ADMIN, Entity::Device(device.clone()));
        let Err(EngineError::Catalog(CatalogError::Invalid { field, .. })) = put else { panic!("{put:?}") };
        assert_eq!(field, "status");
    }
}

// Whether an event is near changes by itself: whoever edits its title meanwhile has seen nothing wrong.
#[test]
fn an_event_that_went_far_meanwhile_can_still_be_put() {
    let (engine, ..) = venue();
    let seen = engine.catalog().event(EventId(0)).unwrap().clone();
    engine.cool(EventId(0)).unwrap();
    let mut next = seen.clone();
    next.title = "Another".to_owned();
    engine.put_if(ADMIN, Some(&Entity::Event(seen)), Entity::Event(next)).unwrap();
    let now = engine.catalog().event(EventId(0)).unwrap().clone();
    assert_eq!((now.title.as_str(), now.cold), ("Another", true));
}

#[test]
fn a_person_annuls_a_scan_of_any_device_once_and_says_why() {
    let (engine, ..) = venue();
    let answered = engine.scan(&scan("T0", Some("id-1"))).unwrap();
    assert_eq!(engine.counts().zones[1], 1);
    let before = engine.with_state(|state| state.lsn);
    let (wait, answer) = engine.annul_by(ADMIN, answered.lsn, "went \"home\"").unwrap();
    assert_eq!((wait, &answer), (Lsn(before + 2), &answered.answer));
    assert_eq!((engine.counts().zones[1], engine.counts().gates[0].entries), (0, 0));
    let records = records_after(&engine, before);
    assert!(records[0].contains(r#"\"note\":\"went \\\"home\\\"\""#), "{}", records[0]);
    assert!(records[0].contains(r#"\"gate\":\"North\""#) && records[0].contains(r#"\"reference\":\"T0\""#));
    assert!(records[0].contains(&format!("subject: \"{}\"", answered.lsn)), "{}", records[0]);
    assert!(records[1].contains("Annulled"), "{}", records[1]);
    // Again, by the device or the person: it is so already.
    engine.annul(DeviceId(0), "id-1").unwrap();
    engine.annul_by(ADMIN, answered.lsn, "again").unwrap();
    assert_eq!(engine.with_state(|state| state.lsn), before + 2, "nothing more was written");
    assert!(engine.scan(&scan("T0", None)).unwrap().answer.verdict.admits(), "the entry was given back");
}

#[test]
fn a_person_annuls_by_the_rules_of_annulling() {
    let (engine, _, clock) = venue();
    assert!(
        matches!(engine.annul_by(ADMIN, Lsn(3), ""), Err(EngineError::ScanNotFound)),
        "a record, no scan"
    );
    let denied = engine.scan(&scan("nobody", None)).unwrap();
    assert!(matches!(engine.annul_by(ADMIN, denied.lsn, ""), Err(EngineError::NotAdmitted)));
    let passed = engine.scan(&scan("T0", Some("id"))).unwrap();
    engine.passed(DeviceId(0), "id").unwrap();
    let decided = engine.annul_by(ADMIN, passed.lsn, "");
    assert!(matches!(decided, Err(EngineError::PassageDecided(PassageOutcome::Passed))));
    let old = engine.scan(&scan("T1", None)).unwrap();
    let long = "n".repeat(REGISTRY_VALUE_BYTES_MAX);
    assert!(matches!(engine.annul_by(ADMIN, old.lsn, &long), Err(EngineError::Registry(_))));
    clock.set(START.plus_ms(16 * build::MINUTE_MS));
    assert!(matches!(engine.annul_by(ADMIN, old.lsn, ""), Err(EngineError::TooLateToAnnul)));
}
