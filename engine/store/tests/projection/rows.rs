//! Rows and cursor: applied once, together or not at all, and enough to be a node again.

use crate::place::{Database, on_every_database, on_older_postgres};
use crate::venue::*;
use engine::checkpoint::image;
use engine::record::Record;
use engine::sim_disk::{SimDisk, SplitMix64};
use engine::{Engine, Lsn};
use store::{Store, StoreError};

on_every_database! {
    bootstrap_equals_the_live_state_at_every_cut
    a_node_goes_on_from_its_store_as_if_nothing_had_happened
    an_empty_store_is_a_node_that_knows_nothing
    the_same_batch_twice_changes_nothing
    batches_of_any_size_give_the_same_rows
    a_batch_that_fails_in_the_middle_leaves_neither_rows_nor_cursor
    a_gap_is_refused
    tickets_of_another_journal_are_refused
    a_filled_database_goes_down_and_up_again_and_is_filled_anew
    a_database_of_a_newer_program_is_refused
    the_audit_and_the_access_log_hold_no_secret
    an_engine_survives_its_store_being_the_only_thing_left_twice
}

on_older_postgres! {
    a_node_goes_on_from_its_store_as_if_nothing_had_happened
    the_same_batch_twice_changes_nothing
    batches_of_any_size_give_the_same_rows
    a_batch_that_fails_in_the_middle_leaves_neither_rows_nor_cursor
    a_filled_database_goes_down_and_up_again_and_is_filled_anew
}

/// A node after `steps` things happened, and its image at some of the moments in between.
pub fn day(seed: u64, steps: usize) -> (Node, Day, Vec<(u64, Vec<u8>)>) {
    let (node, mut day) = (venue(), Day::new(seed));
    let mut random = SplitMix64(seed);
    let mut cuts = Vec::new();
    for _ in 0..steps {
        day.step(&node);
        if random.below(25) == 0 {
            cuts.push((node.lsn(), node.engine.image()));
        }
    }
    cuts.push((node.lsn(), node.engine.image()));
    node.commit();
    (node, day, cuts)
}

pub fn apply(store: &mut dyn Store, records: &[(Lsn, Vec<u8>)]) -> Result<(), StoreError> {
    store.apply(&decode(records))
}

fn bootstrap_equals_the_live_state_at_every_cut(on: Database) {
    for seed in 1..=5 {
        let (node, _, cuts) = day(seed, 900);
        let records = node.records(0);
        let place = on.place();
        let mut store = place.open();
        let mut random = SplitMix64(seed);
        for (lsn, live) in cuts {
            while store.cursor().unwrap().0 < lsn {
                let cursor = store.cursor().unwrap().0;
                // Batches of any size, beginning some records too early, as after a failure.
                let first = cursor.saturating_sub(random.below(4));
                let last = (cursor + 1 + random.below(60)).min(lsn);
                apply(&mut *store, &records[first as usize..last as usize]).unwrap();
                if random.below(8) == 0 {
                    store = place.open();
                }
            }
            let state = store.bootstrap().unwrap();
            assert_eq!(state.lsn, lsn);
            assert!(image(&state) == live, "seed {seed}, record {lsn}: {}", difference(&state, &node, lsn));
        }
    }
}

/// Names what is not the same, for the one who has to find out why.
fn difference(state: &engine::state::State, node: &Node, lsn: u64) -> String {
    let replayed = {
        let mut replayed = engine::state::State::new();
        for (lsn, record) in decode(&node.records(0)[..lsn as usize]) {
            replayed.apply(lsn.0, &record);
        }
        replayed
    };
    let parts = [
        ("counts", state.counts == replayed.counts),
        ("devices", state.devices == replayed.devices),
        ("conflicts", state.conflicts == replayed.conflicts),
        ("salt", state.salt == replayed.salt),
        ("catalog version", state.catalog.version == replayed.catalog.version),
        ("tickets", state.tickets.iter().eq(replayed.tickets.iter())),
        ("next ticket", state.tickets.next_id() == replayed.tickets.next_id()),
        ("registry", state.registry.iter().eq(replayed.registry.iter())),
        ("scans kept", state.scans.len() == replayed.scans.len()),
    ];
    format!(
        "{:?} differ",
        parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect::<Vec<_>>()
    )
}

#[test]
fn the_days_of_these_tests_have_every_kind_of_record() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 1..=5 {
        let (node, _, _) = day(seed, 900);
        for (_, record) in decode(&node.records(0)) {
            let debug = format!("{record:?}");
            kinds.insert(debug.split(['(', ' ', '{']).next().unwrap().to_owned());
            if let Record::Scan(scan) = &record {
                kinds.extend(scan.conflict.map(|_| "a conflict".to_owned()));
                kinds.extend(scan.overriding.map(|_| "an override".to_owned()));
                kinds.insert(format!("{:?}", scan.answer.kind));
            }
            if let Record::Inbox { outcome, .. } = &record {
                kinds.insert(
                    format!("inbox: {outcome:?}").split(['(', '{']).next().unwrap().trim().to_owned(),
                );
            }
            if let Record::Passage(passage) = &record {
                kinds.insert(format!("{:?} {}", passage.outcome, passage.after.is_some()));
            }
        }
        let kept = node.engine.with_state(|state| state.scans.newest().last().unwrap().lsn);
        assert!(kept > node.lsn() / 4, "seed {seed}: old answers are forgotten");
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let expected = [
        "Act",
        "Amended",
        "Annulled false",
        "Annulled true",
        "Born",
        "Command",
        "ConflictResolved",
        "Cooled",
        "Delivered",
        "Inbox",
        "Offline",
        "Passage",
        "Passed false",
        "Put",
        "Repeat",
        "Scan",
        "Status",
        "Test",
        "Tickets",
        "Turns",
        "Validate",
        "Warmed",
        "a conflict",
        "an override",
        "inbox: Added",
        "inbox: Changed",
        "inbox: Early",
        "inbox: Refused",
        "inbox: Unchanged",
    ];
    assert_eq!(kinds, expected);
}

fn a_node_goes_on_from_its_store_as_if_nothing_had_happened(on: Database) {
    for seed in 11..=13 {
        let (node, mut day, _) = day(seed, 400);
        let place = on.place();
        let mut store = place.open();
        apply(&mut *store, &node.records(0)).unwrap();

        let lsn = node.lsn();
        let other = node_from(store.bootstrap().unwrap(), SimDisk::new(), day.now());
        assert_eq!(other.engine.journal().oldest(), Lsn(lsn + 1));
        // The filter in front of the store is not part of the state: it is filled from the rows.
        let filter = other.engine.cold_filter();
        store.queries().unwrap().cold_codes(&mut |kind, code| filter.insert_code(kind, code)).unwrap();

        let mut same_day = day.clone();
        for _ in 0..400 {
            day.step(&node);
            same_day.step(&other);
        }
        assert!(other.engine.image() == node.engine.image(), "seed {seed}");
        other.commit();
        apply(&mut *store, &other.records(lsn)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
    }
}

fn an_empty_store_is_a_node_that_knows_nothing(on: Database) {
    let place = on.place();
    let store = place.open();
    assert_eq!(store.cursor().unwrap(), Lsn(0));
    assert_eq!(store.salt().unwrap(), None);
    assert_eq!(image(&store.bootstrap().unwrap()), image(&engine::state::State::new()));
}

fn the_same_batch_twice_changes_nothing(on: Database) {
    let (node, _, _) = day(21, 200);
    let records = node.records(0);
    let place = on.place();
    let mut store = place.open();
    apply(&mut *store, &records).unwrap();
    let once = place.dump();
    apply(&mut *store, &records).unwrap();
    apply(&mut *store, &records[50..100]).unwrap();
    apply(&mut *store, &[]).unwrap();
    drop(store);
    apply(&mut *place.open(), &records).unwrap();
    assert!(place.dump() == once);
}

fn batches_of_any_size_give_the_same_rows(on: Database) {
    let (node, _, _) = day(22, 300);
    let records = node.records(0);
    let (one, many) = (on.place(), on.place());
    apply(&mut *one.open(), &records).unwrap();
    let mut store = many.open();
    for batch in records.chunks(7) {
        apply(&mut *store, batch).unwrap();
    }
    let ((left, right), count) = ((one.dump(), many.dump()), records.len());
    assert!(left.len() > count);
    assert_eq!(left, right);
}

fn a_batch_that_fails_in_the_middle_leaves_neither_rows_nor_cursor(on: Database) {
    let (node, _, _) = day(23, 300);
    let records = node.records(0);
    let (place, untouched) = (on.place(), on.place());
    let mut store = place.open();
    apply(&mut *store, &records[..100]).unwrap();
    let before = place.dump();

    for table in ["passages", "turns", "audit", "registry", "kept_answers", "meta"] {
        place.fail_on(table);
        let error = apply(&mut *store, &records[100..]).unwrap_err();
        assert!(error.to_string().contains("disk full"), "{table}: {error}");
        place.heal(table);
        assert!(place.dump() == before, "{table}");
        assert_eq!(store.cursor().unwrap(), Lsn(100));
    }

    apply(&mut *store, &records[100..]).unwrap();
    apply(&mut *untouched.open(), &records).unwrap();
    assert!(place.dump() == untouched.dump());
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

fn a_gap_is_refused(on: Database) {
    let (node, _, _) = day(24, 30);
    let records = node.records(0);
    let place = on.place();
    let mut store = place.open();
    assert!(matches!(
        apply(&mut *store, &records[3..]),
        Err(StoreError::Gap { after: Lsn(0), found: Lsn(4) })
    ));
    apply(&mut *store, &records[..5]).unwrap();
    let mut holed = records[..9].to_vec();
    holed.remove(7);
    assert!(matches!(apply(&mut *store, &holed), Err(StoreError::Gap { after: Lsn(7), found: Lsn(9) })));
    assert_eq!(store.cursor().unwrap(), Lsn(5));
}

fn tickets_of_another_journal_are_refused(on: Database) {
    let place = on.place();
    let mut store = place.open();
    let record =
        Record::Tickets { at: START, first: engine::ticket::TicketId(7), tickets: vec![ticket(1, 0)] };
    let error = store.apply(&[(Lsn(1), record)]).unwrap_err();
    assert!(matches!(error, StoreError::TicketNumbers { first: 7, expected: 0, .. }), "{error}");
    assert_eq!(store.cursor().unwrap(), Lsn(0));
}

fn a_filled_database_goes_down_and_up_again_and_is_filled_anew(on: Database) {
    let (node, _, _) = day(26, 100);
    let records = node.records(0);
    let place = on.place();
    apply(&mut *place.open(), &records).unwrap();
    let (latest, _) = place.migrate(None).unwrap();
    assert_eq!(place.migrate(Some(0)).unwrap(), (latest, 0));
    let mut store = place.open();
    assert_eq!(store.cursor().unwrap(), Lsn(0));
    apply(&mut *store, &records).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

fn a_database_of_a_newer_program_is_refused(on: Database) {
    let place = on.place();
    place.open();
    place.execute("INSERT INTO schema_version VALUES (99, 'later')");
    let error = place.try_open().map(drop).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

fn the_audit_and_the_access_log_hold_no_secret(on: Database) {
    let (node, _, _) = day(27, 200);
    let place = on.place();
    apply(&mut *place.open(), &node.records(0)).unwrap();
    let rows = place.dump();
    let audit = rows.iter().filter(|row| row.starts_with("audit: ")).collect::<Vec<_>>();
    assert!(audit.iter().any(|row| row.contains("put_operator")));
    assert!(rows.iter().any(|row| row.starts_with("operators: ") && row.contains("argon2id")));
    for row in rows.iter().filter(|row| row.starts_with("audit: ") || row.starts_with("scans: ")) {
        for secret in ["argon2id", "[9,9,", "[1,1,", "Muster"] {
            assert!(!row.contains(secret), "{row}");
        }
    }
}

fn an_engine_survives_its_store_being_the_only_thing_left_twice(on: Database) {
    let (node, day, _) = day(28, 150);
    let place = on.place();
    let mut store = place.open();
    apply(&mut *store, &node.records(0)).unwrap();
    let salt = node.engine.with_state(|state| state.salt);
    for _ in 0..2 {
        let lsn = store.cursor().unwrap().0;
        let other = node_from(store.bootstrap().unwrap(), SimDisk::new(), day.now());
        other.engine.turns(engine::catalog::DeviceId(0), engine::catalog::GateId(0), 1).unwrap();
        other.commit();
        assert_eq!(Engine::with_state(&other.engine, |state| state.salt), salt);
        apply(&mut *store, &other.records(lsn)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == other.engine.image());
    }
}
