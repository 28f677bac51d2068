//! What is so with SQLite alone: its file, its earlier versions, commits that are not synced.

use crate::place::SqlitePlace;
use crate::projector::{checkpoint_twice, live, options, start, wait_until};
use crate::rows::{apply, day};
use crate::venue::*;
use engine::checkpoint::image;
use engine::sim_disk::SimDisk;
use std::sync::Arc;
use std::time::Duration;
use store::{Projector, ProjectorOptions, SqliteStore, Store};

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
    rows.into_iter().map(without).filter_map(|row| as_the_log_has_it(&row)).collect()
}

/// Figures are filled anew from the log, which has minutes without anybody not at all, and of codes that came again how often
/// they were refused.
fn as_the_log_has_it(row: &str) -> Option<String> {
    const NONE: &str = "Integer(0)";
    if row.starts_with("arrivals: ") {
        return (!row.ends_with(&format!(" {NONE} {NONE} {NONE}"))).then(|| row.to_owned());
    }
    if row.starts_with("presented_again: ") {
        let (rest, _admitted) = row.rsplit_once(' ')?;
        let (rest, denied) = rest.rsplit_once(' ')?;
        // Whose the code is, the log may know from an admission alone.
        let (code, _ticket) = rest.rsplit_once(' ')?;
        return (denied != NONE).then(|| format!("{code} {denied}"));
    }
    Some(row.to_owned())
}

#[test]
fn a_filled_database_goes_back_to_every_earlier_version_and_loses_nothing() {
    for (seed, steps) in [(26, 0), (27, 900)] {
        let (node, mut day, _) = day(seed, steps);
        let records = node.records(0);
        let place = SqlitePlace::new();
        apply(&mut place.open(), &records).unwrap();
        let before = one_lsn_per_ticket(place.dump());
        // No version before knows what the administration keeps: its tables go, and are put back here by hand.
        let connection = place.connection();
        let set_aside = "CREATE TABLE own_registry AS SELECT * FROM registry; \
             CREATE TABLE own_codes AS SELECT * FROM former_codes";
        connection.execute_batch(set_aside).unwrap();
        assert_eq!(SqliteStore::migrate(&place.path(), Some(1)).unwrap(), (6, 1));
        let kept: usize = place
            .connection()
            .query_row("SELECT count(*) FROM kept_scans JOIN scans USING (lsn)", [], |row| row.get(0))
            .unwrap();
        // The first row holds answers that are forgotten already: it goes with its last.
        assert!(kept >= node.engine.with_state(|state| state.scans.len()), "seed {seed}");
        let mut store = place.open();
        let put_back = "INSERT INTO registry SELECT * FROM own_registry; DROP TABLE own_registry; \
             INSERT INTO former_codes SELECT * FROM own_codes; DROP TABLE own_codes";
        connection.execute_batch(put_back).unwrap();
        let after = one_lsn_per_ticket(place.dump());
        let gone: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(8).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(8).collect();
        assert!(after == before, "seed {seed}: gone {gone:#?}, new {new:#?}");
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
        let cursor = node.lsn();
        (0..200).for_each(|_| day.step(&node));
        node.commit();
        apply(&mut store, &node.records(cursor)).unwrap();
        assert!(image(&store.bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = SqlitePlace::new();
    std::fs::write(place.path(), vec![b'x'; 8_192]).unwrap();
    assert!(SqliteStore::open(&place.path()).is_err());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = SqlitePlace::new();
    let _store = place.open();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", place.path().display());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{file}");
    }
}

#[test]
fn a_second_writer_is_noticed() {
    let (node, _, _) = day(25, 30);
    let records = node.records(0);
    let place = SqlitePlace::new();
    let (mut one, mut two) = (place.open(), place.open());
    apply(&mut one, &records[..10]).unwrap();
    apply(&mut two, &records[..20]).unwrap();
    // It fails whole, reads where the rows are now, and goes on from there.
    assert!(apply(&mut one, &records[10..15]).is_err());
    apply(&mut one, &records).unwrap();
    assert!(image(&two.bootstrap().unwrap()) == node.engine.image());
}

// Commits are not synced: a power cut takes the newest batches out of the store, the cursor with them.
#[test]
fn a_store_that_lost_its_newest_batches_catches_up_with_nothing_lost_and_nothing_twice() {
    for seed in 45..=48 {
        let (disk, place) = (SimDisk::new(), SqlitePlace::new());
        let (node, mut day) = (venue_on(disk.clone()), Day::new(seed));
        let mut projector = Projector::new(Arc::clone(&node.engine), Box::new(place.open()), options());
        live(&node, &mut day, 1_200);
        while projector.step().unwrap() > 0 {}
        let settled = projector.settle().unwrap();
        let left_by_the_cut = place.copy();
        live(&node, &mut day, 1_200);
        while projector.step().unwrap() > 0 {}
        checkpoint_twice(&node, &mut day);
        assert_eq!(node.engine.settled(), settled);
        assert!(node.engine.projected() > settled);
        let oldest = node.engine.journal().oldest();
        assert!(oldest.0 > 1 && oldest.0 <= settled.0 + 1, "seed {seed}: the journal begins at {oldest}");
        let (image_before, now) = (node.engine.image(), day.now());
        drop(projector);
        drop(node);

        let node = reopened(disk, now);
        let store = left_by_the_cut.open();
        assert_eq!(store.cursor().unwrap(), settled);
        let mut projector = Projector::new(Arc::clone(&node.engine), Box::new(store), options());
        while projector.step().unwrap() > 0 {}
        assert!(node.engine.image() == image_before);
        assert!(image(&left_by_the_cut.open().bootstrap().unwrap()) == image_before, "seed {seed}");
        let mut never_cut = Projector::new(Arc::clone(&node.engine), Box::new(place.open()), options());
        while never_cut.step().unwrap() > 0 {}
        assert!(left_by_the_cut.dump() == place.dump(), "seed {seed}");
    }
}

#[test]
fn much_that_is_unsynced_is_synced_without_waiting() {
    let (node, mut day, place) = (venue(), Day::new(51), SqlitePlace::new());
    let small = ProjectorOptions { sync_wait: Duration::from_secs(3_600), sync_bytes: 100_000, ..options() };
    live(&node, &mut day, 1_000);
    let running = start(&node.engine, Box::new(place.open()), small);
    wait_until("it syncs by size", || running.stats.snapshot().syncs > 1);
    running.stop().unwrap();
}
