//! Rows and cursor: applied once, together or not at all, and enough to be a node again.

use crate::venue::*;
use engine::checkpoint::image;
use engine::record::Record;
use engine::sim_disk::{SimDisk, SplitMix64};
use engine::{Engine, Lsn};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::path::PathBuf;
use store::{SqliteStore, Store, StoreError};

/// A store in a folder of its own.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("gatehouse.db")
    }

    pub fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).unwrap()
    }

    /// Another process at the same file.
    fn intruder(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// The files as they are now: what a power cut leaves when nothing that comes after is synced.
    pub fn copy(&self) -> Place {
        let copy = Place::new();
        for suffix in ["", "-wal"] {
            let name = |place: &Place| format!("{}{suffix}", place.path().display());
            std::fs::copy(name(self), name(&copy)).unwrap();
        }
        copy
    }

    /// Every row of every table, as text.
    pub fn dump(&self) -> Vec<String> {
        let connection = self.intruder();
        let mut tables = connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
            )
            .unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut rows = Vec::new();
        for table in tables {
            // Answers are many to a row, as they came: how many is not what they say.
            let all = match table.as_str() {
                "kept_answers" => {
                    "SELECT entry.value ->> 0, entry.value ->> 1, \
                     substr(answers, 1 + (entry.value ->> 2), entry.value ->> 3) \
                     FROM kept_answers, json_each(entries) AS entry"
                }
                other => &format!("SELECT * FROM {other}"),
            };
            let mut all = connection.prepare(all).unwrap();
            let columns = all.column_count();
            let texts = all.query_map([], |row| {
                Ok((0..columns).map(|column| text(row.get_ref(column).unwrap())).collect::<Vec<_>>())
            });
            rows.extend(texts.unwrap().map(|row| format!("{table}: {}", row.unwrap().join(" "))));
        }
        rows.sort();
        rows
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

/// A node after `steps` things happened, and its image at some of the moments in between.
fn day(seed: u64, steps: usize) -> (Node, Day, Vec<(u64, Vec<u8>)>) {
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

fn apply(store: &mut dyn Store, records: &[(Lsn, Vec<u8>)]) -> Result<(), StoreError> {
    store.apply(&decode(records))
}

#[test]
fn bootstrap_equals_the_live_state_at_every_cut() {
    for seed in 1..=5 {
        let (node, _, cuts) = day(seed, 900);
        let records = node.records(0);
        let place = Place::new();
        let mut store = place.open();
        let mut random = SplitMix64(seed);
        for (lsn, live) in cuts {
            while store.cursor().unwrap().0 < lsn {
                let cursor = store.cursor().unwrap().0;
                // Batches of any size, beginning some records too early, as after a failure.
                let first = cursor.saturating_sub(random.below(4));
                let last = (cursor + 1 + random.below(60)).min(lsn);
                apply(&mut store, &records[first as usize..last as usize]).unwrap();
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
            if let Record::Passage(passage) = &record {
                kinds.insert(format!("{:?} {}", passage.outcome, passage.after.is_some()));
            }
        }
        let kept = node.engine.with_state(|state| state.scans.newest().last().unwrap().lsn);
        assert!(kept > node.lsn() / 4, "seed {seed}: old answers are forgotten");
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let expected = [
        "Annulled false",
        "Annulled true",
        "Born",
        "Command",
        "ConflictResolved",
        "Cooled",
        "Delivered",
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
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_node_goes_on_from_its_store_as_if_nothing_had_happened() {
    for seed in 11..=13 {
        let (node, mut day, _) = day(seed, 400);
        let place = Place::new();
        let mut store = place.open();
        apply(&mut store, &node.records(0)).unwrap();

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
        apply(&mut store, &other.records(lsn)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
    }
}

#[test]
fn an_empty_store_is_a_node_that_knows_nothing() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.cursor().unwrap(), Lsn(0));
    assert_eq!(store.salt().unwrap(), None);
    assert_eq!(image(&store.bootstrap().unwrap()), image(&engine::state::State::new()));
}

#[test]
fn the_same_batch_twice_changes_nothing() {
    let (node, _, _) = day(21, 200);
    let records = node.records(0);
    let place = Place::new();
    let mut store = place.open();
    apply(&mut store, &records).unwrap();
    let once = place.dump();
    apply(&mut store, &records).unwrap();
    apply(&mut store, &records[50..100]).unwrap();
    apply(&mut place.open(), &records).unwrap();
    apply(&mut store, &[]).unwrap();
    assert!(place.dump() == once);
}

#[test]
fn batches_of_any_size_give_the_same_rows() {
    let (node, _, _) = day(22, 300);
    let records = node.records(0);
    let (one, many) = (Place::new(), Place::new());
    apply(&mut one.open(), &records).unwrap();
    let mut store = many.open();
    for batch in records.chunks(7) {
        apply(&mut store, batch).unwrap();
    }
    let ((left, right), count) = ((one.dump(), many.dump()), records.len());
    assert!(left.len() > count);
    assert_eq!(left, right);
}

#[test]
fn a_batch_that_fails_in_the_middle_leaves_neither_rows_nor_cursor() {
    let (node, _, _) = day(23, 300);
    let records = node.records(0);
    let (place, untouched) = (Place::new(), Place::new());
    let mut store = place.open();
    apply(&mut store, &records[..100]).unwrap();
    let before = place.dump();

    for table in ["passages", "turns", "audit", "kept_answers", "meta"] {
        let act = if table == "meta" { "UPDATE" } else { "INSERT" };
        let fail =
            format!("CREATE TRIGGER fail BEFORE {act} ON {table} BEGIN SELECT RAISE(FAIL, 'disk full'); END");
        place.intruder().execute_batch(&fail).unwrap();
        let error = apply(&mut store, &records[100..]).unwrap_err();
        assert!(error.to_string().contains("disk full"), "{table}: {error}");
        place.intruder().execute_batch("DROP TRIGGER fail").unwrap();
        assert!(place.dump() == before, "{table}");
        assert_eq!(store.cursor().unwrap(), Lsn(100));
    }

    apply(&mut store, &records[100..]).unwrap();
    apply(&mut untouched.open(), &records).unwrap();
    assert!(place.dump() == untouched.dump());
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn a_gap_is_refused() {
    let (node, _, _) = day(24, 30);
    let records = node.records(0);
    let place = Place::new();
    let mut store = place.open();
    assert!(matches!(
        apply(&mut store, &records[3..]),
        Err(StoreError::Gap { after: Lsn(0), found: Lsn(4) })
    ));
    apply(&mut store, &records[..5]).unwrap();
    let mut holed = records[..9].to_vec();
    holed.remove(7);
    assert!(matches!(apply(&mut store, &holed), Err(StoreError::Gap { after: Lsn(7), found: Lsn(9) })));
    assert_eq!(store.cursor().unwrap(), Lsn(5));
}

#[test]
fn tickets_of_another_journal_are_refused() {
    let place = Place::new();
    let mut store = place.open();
    let record =
        Record::Tickets { at: START, first: engine::ticket::TicketId(7), tickets: vec![ticket(1, 0)] };
    let error = store.apply(&[(Lsn(1), record)]).unwrap_err();
    assert!(matches!(error, StoreError::TicketNumbers { first: 7, expected: 0, .. }), "{error}");
    assert_eq!(store.cursor().unwrap(), Lsn(0));
}

#[test]
fn a_second_writer_is_noticed() {
    let (node, _, _) = day(25, 30);
    let records = node.records(0);
    let place = Place::new();
    let (mut one, mut two) = (place.open(), place.open());
    apply(&mut one, &records[..10]).unwrap();
    apply(&mut two, &records[..20]).unwrap();
    // It fails whole, reads where the rows are now, and goes on from there.
    assert!(apply(&mut one, &records[10..15]).is_err());
    apply(&mut one, &records).unwrap();
    assert!(image(&two.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn a_filled_database_goes_down_and_up_again_and_is_filled_anew() {
    let (node, _, _) = day(26, 100);
    let records = node.records(0);
    let place = Place::new();
    apply(&mut place.open(), &records).unwrap();
    assert_eq!(SqliteStore::migrate(&place.path(), Some(0)).unwrap(), (2, 0));
    let mut store = place.open();
    assert_eq!(store.cursor().unwrap(), Lsn(0));
    apply(&mut store, &records).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

/// In version 1 a ticket and what it has done share the newer of their LSNs.
fn one_lsn_per_ticket(rows: Vec<String>) -> Vec<String> {
    let without = |row: String| match row.split_once(": ") {
        Some((table @ ("tickets" | "ticket_uses"), columns)) => {
            let mut columns: Vec<&str> = columns.split(' ').collect();
            columns.remove(1);
            format!("{table}: {}", columns.join(" "))
        }
        _ => row,
    };
    rows.into_iter().map(without).collect()
}

#[test]
fn a_filled_database_goes_back_to_every_earlier_version_and_loses_nothing() {
    for (seed, steps) in [(26, 0), (27, 900)] {
        let (node, mut day, _) = day(seed, steps);
        let records = node.records(0);
        let place = Place::new();
        apply(&mut place.open(), &records).unwrap();
        let before = one_lsn_per_ticket(place.dump());
        assert_eq!(SqliteStore::migrate(&place.path(), Some(1)).unwrap(), (2, 1));
        let kept: usize = place
            .intruder()
            .query_row("SELECT count(*) FROM kept_scans JOIN scans USING (lsn)", [], |row| row.get(0))
            .unwrap();
        // The first row holds answers that are forgotten already: it goes with its last.
        assert!(kept >= node.engine.with_state(|state| state.scans.len()), "seed {seed}");
        let mut store = place.open();
        assert!(one_lsn_per_ticket(place.dump()) == before, "seed {seed}");
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
        let cursor = node.lsn();
        (0..200).for_each(|_| day.step(&node));
        node.commit();
        apply(&mut store, &node.records(cursor)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
    }
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let place = Place::new();
    place.open();
    place.intruder().execute_batch("INSERT INTO schema_version VALUES (99, 'later')").unwrap();
    let error = SqliteStore::open(&place.path()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), vec![b'x'; 8_192]).unwrap();
    assert!(SqliteStore::open(&place.path()).is_err());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _store = place.open();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", place.path().display());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{file}");
    }
}

#[test]
fn the_audit_and_the_access_log_hold_no_secret() {
    let (node, _, _) = day(27, 200);
    let place = Place::new();
    apply(&mut place.open(), &node.records(0)).unwrap();
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

#[test]
fn an_engine_survives_its_store_being_the_only_thing_left_twice() {
    let (node, day, _) = day(28, 150);
    let place = Place::new();
    let mut store = place.open();
    apply(&mut store, &node.records(0)).unwrap();
    let salt = node.engine.with_state(|state| state.salt);
    for _ in 0..2 {
        let lsn = store.cursor().unwrap().0;
        let other = node_from(store.bootstrap().unwrap(), SimDisk::new(), day.now());
        other.engine.turns(engine::catalog::DeviceId(0), engine::catalog::GateId(0), 1).unwrap();
        other.commit();
        assert_eq!(Engine::with_state(&other.engine, |state| state.salt), salt);
        apply(&mut store, &other.records(lsn)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == other.engine.image());
    }
}
