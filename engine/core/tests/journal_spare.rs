//! The segment made ahead: a roll takes it, a crash or a failing disk at any point of its making or taking costs
//! nothing that was acknowledged, and without it the journal does what it does without it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod journal_support;

use engine::disk::Disk;
use engine::journal::{Journal, JournalError, JournalOptions, Lsn};
use engine::sim_disk::{FailKind, SimDisk};
use journal_support::*;

/// The spare's name; a segment's begins with "journal-".
const SPARE: &str = "next-segment.tmp";
const BYTES: u64 = 4096;

fn has_spare(disk: &SimDisk) -> bool {
    disk.list().unwrap().iter().any(|name| name == SPARE)
}

fn prepare(journal: &Journal) -> bool {
    journal.prepare_spare(&mut || true)
}

/// A journal with 10 records, and the next segment made ahead.
fn prepared(options: JournalOptions) -> (SimDisk, Journal) {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options).unwrap();
    commit_groups(&journal, &[10]);
    assert!(prepare(&journal));
    (disk, journal)
}

/// Commits single records until the journal has rolled once more.
fn roll(journal: &Journal) {
    let rolls = journal.sync_stats().rolls;
    while journal.sync_stats().rolls == rolls {
        commit_groups(journal, &[1]);
    }
}

/// What is on the disk opens with everything that was durable, without the spare, and can be continued.
fn opens_whole(disk: &SimDisk, durable: Lsn, what: &str) {
    let (journal, recovery) = open(disk, options(BYTES)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(recovery.last >= durable, "{what}: {} of {durable}", recovery.last);
    assert!(!has_spare(disk), "{what}");
    commit_groups(&journal, &[3]);
}

#[test]
fn a_roll_takes_the_spare_and_creates_nothing() {
    let (disk, journal) = prepared(options(BYTES));
    assert!(has_spare(&disk));
    // From the first, only reserved segment to the spare, and so on for ever after.
    for rolls in 1..=5 {
        let (creations, segments) = (disk.creations(), disk.list().unwrap().len());
        roll(&journal);
        assert_eq!(disk.creations(), creations, "a file was created in the writer's path");
        assert!(!has_spare(&disk));
        assert_eq!(disk.list().unwrap().len(), segments);
        let stats = journal.sync_stats();
        assert_eq!((stats.spares_made, stats.spares_taken, stats.spares_failed), (rolls, rolls, 0));
        commit_groups(&journal, &[10]);
        assert!(prepare(&journal));
    }
    let last = journal.positions().durable;
    for (name, bytes) in files(&disk) {
        assert_eq!(bytes.len() as u64, BYTES, "{name}");
    }
    assert_eq!(inspect_all(&disk).unwrap().last, Some(last));
    assert_eq!(open(&disk, options(BYTES)).unwrap().1.last, last);
}

#[test]
fn a_segment_that_is_only_reserved_is_left_as_soon_as_a_spare_is_ready() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1 << 16)).unwrap();
    commit_groups(&journal, &[200]);
    assert!(prepare(&journal));
    assert_eq!(journal.sync_stats().rolls, 0);
    commit_groups(&journal, &[1]);
    assert_eq!(journal.sync_stats().rolls, 1, "it is nearly empty, and dear");
    commit_groups(&journal, &[200]);
    assert!(prepare(&journal));
    commit_groups(&journal, &[800]);
    assert_eq!(journal.sync_stats().rolls, 1, "a filled segment is used to its end");
    commit_groups(&journal, &[800]);
    assert_eq!((journal.sync_stats().rolls, journal.sync_stats().spares_taken), (2, 2));
    assert_eq!(open(&disk, options(1 << 16)).unwrap().1.last, Lsn(2_001));
}

#[test]
fn an_idle_journal_makes_no_spare_and_nobody_makes_two() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1 << 16)).unwrap();
    assert!(!prepare(&journal));
    commit_groups(&journal, &[10]);
    assert!(!prepare(&journal), "ten records are no part of a segment worth it");
    commit_groups(&journal, &[200]);
    let writes = disk.writes();
    assert!(prepare(&journal));
    assert!(!prepare(&journal));
    assert_eq!(disk.writes() - writes, 4);
    drop(journal);
    let (journal, _) = open(&disk, options(1 << 16)).unwrap();
    assert!(!prepare(&journal), "what another process wrote does not count");
}

#[test]
fn a_spare_is_filled_in_small_slices() {
    let options = options(1 << 20);
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options).unwrap();
    while journal.sync_stats().bytes_written < options.segment_bytes / 8 {
        commit_groups(&journal, &[100]);
    }
    let mut slices = 0;
    let before = disk.syncs();
    assert!(journal.prepare_spare(&mut || {
        slices += 1;
        assert_eq!(disk.syncs() - before, slices, "each is durable before the pause");
        true
    }));
    assert_eq!(slices, 8);
    assert_eq!(disk.synced_at_once_max(), 128 << 10);
    assert_eq!(disk.crash(0).contents(SPARE), None, "a name nobody waits for is not synced");
    assert!(disk.contents(SPARE).unwrap() == vec![0; 1 << 20]);
}

#[test]
fn a_spare_is_ahead_until_the_active_segment_has_caught_up_and_ready_before_it_is_full() {
    let options = options(1 << 20);
    let (journal, _) = open(&SimDisk::new(), options).unwrap();
    while journal.sync_stats().bytes_written < options.segment_bytes / 8 {
        commit_groups(&journal, &[100]);
    }
    let mut slices = 0;
    assert!(journal.prepare_spare(&mut || {
        slices += 1;
        assert!(journal.spare_is_ahead(), "slice {slices} was not due before");
        let before = journal.sync_stats().bytes_written;
        while journal.spare_is_ahead() {
            commit_groups(&journal, &[10]);
        }
        let caught_up = journal.sync_stats().bytes_written - before;
        assert!(((80 << 10) - 2_000..(80 << 10) + 2_000).contains(&caught_up), "{caught_up}");
        true
    }));
    assert_eq!((slices, journal.sync_stats().rolls), (8, 0));
    let part = journal.sync_stats().bytes_written as f64 / options.segment_bytes as f64;
    assert!((0.74..0.78).contains(&part), "ready at {part}");
}

#[test]
fn a_spare_that_came_too_late_for_a_roll_is_not_ahead_of_the_next_segment() {
    let options = options(1 << 20);
    let (journal, _) = open(&SimDisk::new(), options).unwrap();
    while journal.sync_stats().bytes_written < options.segment_bytes / 8 {
        commit_groups(&journal, &[100]);
    }
    let mut slices = 0;
    assert!(journal.prepare_spare(&mut || {
        slices += 1;
        // Over the roll, and so far that the new segment asks as well.
        while slices == 1 && journal.sync_stats().bytes_written < options.segment_bytes * 5 / 4 {
            commit_groups(&journal, &[100]);
        }
        assert!(!journal.spare_is_ahead(), "after slice {slices}");
        true
    }));
    assert_eq!((slices, journal.sync_stats().rolls), (8, 1));
}

#[test]
fn the_bytes_of_a_spare_count_as_the_journals() {
    let (disk, journal) = prepared(options(BYTES));
    let on_disk = |disk: &SimDisk| files(disk).iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    assert_eq!(journal.disk_bytes(), 2 * BYTES);
    assert_eq!(journal.disk_bytes(), on_disk(&disk));
    roll(&journal);
    assert_eq!(journal.disk_bytes(), 2 * BYTES);
    assert_eq!(journal.disk_bytes(), on_disk(&disk));
}

#[test]
fn a_roll_never_waits_for_a_spare_that_is_being_made() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(BYTES)).unwrap();
    commit_groups(&journal, &[10]);
    assert!(journal.prepare_spare(&mut || {
        roll(&journal);
        true
    }));
    let stats = journal.sync_stats();
    assert_eq!((stats.rolls, stats.spares_taken), (4, 0));
    roll(&journal);
    assert_eq!(journal.sync_stats().spares_taken, 1);
    let last = journal.positions().durable;
    opens_whole(&disk.process_crash(), last, "after rolls between the slices");
}

#[test]
fn a_stopped_preparation_leaves_no_file_and_can_be_taken_up_again() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(BYTES)).unwrap();
    commit_groups(&journal, &[10]);
    let mut slices = 0;
    let stopped = journal.prepare_spare(&mut || {
        slices += 1;
        slices < 2
    });
    assert_eq!((stopped, slices, has_spare(&disk)), (false, 2, false));
    assert_eq!(journal.disk_bytes(), BYTES);
    assert!(prepare(&journal));
    assert_eq!(journal.sync_stats().spares_failed, 0);
}

#[test]
fn a_poisoned_journal_makes_no_spare() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(BYTES)).unwrap();
    commit_groups(&journal, &[10]);
    let mut slices = 0;
    let made = journal.prepare_spare(&mut || {
        slices += 1;
        append(&journal);
        disk.fail_at(1, FailKind::Sync);
        journal.commit().unwrap_err();
        true
    });
    // The slice under way when it happened is the last.
    assert_eq!((made, slices, has_spare(&disk)), (false, 1, false));
    assert!(!prepare(&journal));
}

#[test]
fn a_left_over_spare_is_removed_and_never_read() {
    // Whatever a crash can leave: nothing, a part, all zeros, and a whole segment that only lacks its name.
    let (name, segment) = image(options(BYTES), &[10]).remove(0);
    assert_eq!(name, FIRST);
    for left in [Vec::new(), vec![0; 1000], vec![0; BYTES as usize], segment.clone(), b"rubbish".to_vec()] {
        let disk = disk_of(&[(name.clone(), segment.clone())]);
        disk.put(SPARE, &left);
        let seen = inspect_all(&disk).unwrap();
        assert_eq!((seen.segments, seen.last), (1, Some(Lsn(10))));
        assert!(has_spare(&disk), "looking changes nothing");
        opens_whole(&disk, Lsn(10), "with a left-over");
    }
    let disk = SimDisk::new();
    disk.put(SPARE, &segment);
    assert_eq!(open(&disk, options(BYTES)).unwrap().1.last, Lsn(0), "a spare alone is no journal");
}

#[test]
fn a_refused_journal_keeps_its_left_over_spare() {
    let disk = disk_of(&image(options(BYTES), &[3, 3]));
    disk.put(SPARE, &[0; 10]);
    overwrite(&disk, FIRST, HEADER + frame_len(Lsn(1)) + 24, &[0]);
    assert!(matches!(open(&disk, options(BYTES)), Err(JournalError::Hole { .. })));
    assert!(has_spare(&disk));
}

#[test]
fn a_left_over_spare_that_cannot_be_removed_keeps_nobody_from_starting() {
    let disk = disk_of(&image(options(BYTES), &[3]));
    disk.put(SPARE, &[1; 10]);
    disk.fail_at(1, FailKind::Name);
    let (journal, recovery) = open(&disk, options(BYTES)).unwrap();
    assert_eq!((recovery.last, has_spare(&disk)), (Lsn(3), true));
    commit_groups(&journal, &[10]);
    assert!(prepare(&journal), "it is removed before the next is made");
    assert!(disk.contents(SPARE).unwrap() == vec![0; BYTES as usize]);
}

#[test]
fn a_failure_while_preparing_leaves_the_journal_well() {
    for (kind, countdowns) in [(FailKind::Write, 1..=4), (FailKind::Sync, 1..=4), (FailKind::Name, 1..=1)] {
        for countdown in countdowns {
            let what = format!("{kind:?} {countdown}");
            let disk = SimDisk::new();
            let (journal, _) = open(&disk, options(BYTES)).unwrap();
            commit_groups(&journal, &[10]);
            disk.fail_at(countdown, kind);
            assert!(!prepare(&journal), "{what}");
            assert!(!journal.poisoned(), "{what}");
            assert_eq!((journal.sync_stats().spares_failed, has_spare(&disk)), (1, false), "{what}");
            assert_eq!(journal.disk_bytes(), BYTES, "{what}");
            let writes = disk.writes();
            assert!(!prepare(&journal), "{what}: not again for this segment");
            assert_eq!(disk.writes(), writes, "{what}");
            roll(&journal);
            commit_groups(&journal, &[10]);
            assert_eq!(journal.sync_stats().spares_taken, 0, "{what}");
            assert!(prepare(&journal), "{what}: the next segment asks again");
            roll(&journal);
            assert_eq!(journal.sync_stats().spares_taken, 1, "{what}");
            opens_whole(&disk.process_crash(), journal.positions().durable, &what);
        }
    }
}

#[test]
fn a_spare_that_is_gone_or_cannot_be_renamed_is_replaced_by_a_created_segment() {
    for removed in [true, false] {
        let (disk, journal) = prepared(options(BYTES));
        if removed {
            disk.remove(SPARE).unwrap();
        } else {
            disk.fail_at(1, FailKind::Name);
        }
        roll(&journal);
        assert!(!journal.poisoned());
        let stats = journal.sync_stats();
        assert_eq!((stats.spares_taken, stats.spares_failed, has_spare(&disk)), (0, 1, false));
        commit_groups(&journal, &[10]);
        assert!(prepare(&journal));
        opens_whole(&disk.crash(removed.into()), journal.positions().durable, "after the way out");
    }
}

#[test]
fn a_file_that_has_the_next_segments_name_is_never_replaced() {
    let (disk, journal) = prepared(options(BYTES));
    let name = format!("journal-{:020}.seg", 11);
    disk.put(&name, b"in the way");
    append(&journal);
    journal.commit().unwrap_err();
    assert!(journal.poison_reason().unwrap().starts_with("create segment journal-"));
    assert_eq!(disk.contents(&name).unwrap(), b"in the way");
}

#[test]
fn a_failed_sync_of_a_spares_header_or_name_poisons() {
    for countdown in 1..=2 {
        let (disk, journal) = prepared(options(BYTES));
        append(&journal);
        disk.fail_at(countdown, FailKind::Sync);
        journal.commit().unwrap_err();
        assert!(journal.poison_reason().unwrap().contains("segment"), "{:?}", journal.poison_reason());
        assert_eq!(journal.positions().durable, Lsn(10));
        for seed in 0..20 {
            opens_whole(&disk.crash(seed), Lsn(10), &format!("sync {countdown} seed {seed}"));
        }
        opens_whole(&disk.process_crash(), Lsn(10), &format!("sync {countdown}, restarted"));
    }
}

#[test]
fn a_power_cut_between_renaming_and_directory_sync_loses_nothing() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..40 {
        let (disk, journal) = prepared(options(BYTES));
        append(&journal);
        // The header's sync, then the directory's.
        disk.crash_before_sync(disk.syncs() + 2);
        journal.commit().unwrap_err();
        let image = disk.crash(seed);
        let named = image.list().unwrap().len() - usize::from(has_spare(&image));
        if named == 2 {
            after += 1
        } else {
            before += 1
        }
        opens_whole(&image, Lsn(10), &format!("seed {seed}"));
    }
    assert!(before > 5, "{before}");
    assert!(after > 5, "{after}");
}

#[test]
fn a_power_cut_at_every_sync_of_making_and_taking_loses_nothing() {
    let story = |disk: &SimDisk| -> (Lsn, u64) {
        let Ok((journal, _)) = open(disk, options(BYTES)) else { return (Lsn(0), 0) };
        for _ in 0..12 {
            for _ in 0..25 {
                append_and_commit_if_alive(&journal);
            }
            journal.prepare_spare(&mut || {
                append_and_commit_if_alive(&journal);
                true
            });
        }
        (journal.positions().durable, journal.sync_stats().spares_taken)
    };
    let whole = SimDisk::new();
    assert!(story(&whole).1 > 3);
    for sync in 1..=whole.syncs() {
        let disk = SimDisk::new();
        disk.crash_before_sync(sync);
        let (durable, _) = story(&disk);
        for seed in 0..6 {
            opens_whole(&disk.crash(seed), durable, &format!("sync {sync} seed {seed}"));
        }
    }
}

fn append_and_commit_if_alive(journal: &Journal) {
    if journal.append(|lsn, buffer| buffer.extend_from_slice(&payload(lsn))).is_ok() {
        // The power may be gone: the journal says so to whoever asks next.
        let _ = journal.commit();
    }
}
