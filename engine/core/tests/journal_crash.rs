//! Power cuts at every sync, killed processes, failing writes and failing syncs: what was acknowledged is
//! there, what is there is a prefix of what was appended, and nothing else is.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod journal_support;

use engine::journal::{AppendError, Journal, JournalError, JournalOptions, Lsn, Recovery, WaitError};
use engine::sim_disk::{FailKind, SimDisk, SplitMix64};
use journal_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs groups of random sizes until the disk fails or the groups end. Returns (acknowledged, appended).
fn run(disk: &SimDisk, options: JournalOptions, seed: u64) -> (Lsn, Lsn) {
    let mut random = SplitMix64(seed);
    let Ok((journal, _)) = open(disk, options) else { return (Lsn(0), Lsn(0)) };
    for _ in 0..12 {
        for _ in 0..1 + random.below(14) {
            append(&journal);
        }
        if journal.commit().is_err() {
            break;
        }
        if random.below(3) == 0 {
            // Gates go on between the slices; one in four preparations is stopped there.
            let slices = random.below(6);
            let mut done = 0;
            journal.prepare_spare(&mut || {
                done += 1;
                // A poisoned journal says so below.
                let _ = journal.append(|lsn, buffer| buffer.extend_from_slice(&payload(lsn)));
                let _ = journal.commit();
                done != slices
            });
        }
        if journal.poisoned() {
            break;
        }
        if random.below(6) == 0 {
            // Deleting goes through the same syncs; the oldest records are then not asked for.
            let through = Lsn(journal.positions().durable.0 / 4);
            if journal.delete_through(through).is_err() {
                break;
            }
        }
    }
    let positions = journal.positions();
    (positions.durable, positions.next)
}

/// Opens from the oldest record there is, as after a checkpoint.
fn open_from_oldest(disk: &SimDisk, options: JournalOptions) -> Result<(Journal, Recovery), JournalError> {
    match open(disk, options) {
        Err(JournalError::Missing { oldest, .. }) => open_after(disk, options, Lsn(oldest.0 - 1)),
        other => other,
    }
}

/// Opens whatever is left, checks it, and goes on writing.
fn reopen(disk: &SimDisk, options: JournalOptions, acknowledged: Lsn, what: &str) -> Lsn {
    let (journal, recovery) =
        open_from_oldest(disk, options).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(recovery.last >= acknowledged, "{what}: {} of {acknowledged} left", recovery.last);
    commit_groups(&journal, &[1, 9]);
    journal.positions().durable
}

fn crash_at_every_sync(options: JournalOptions, seeds: std::ops::Range<u64>, power_cuts: u64) {
    for seed in seeds {
        let whole = SimDisk::new();
        run(&whole, options, seed);
        for sync in 1..=whole.syncs() {
            let disk = SimDisk::new();
            disk.crash_before_sync(sync);
            let (acknowledged, appended) = run(&disk, options, seed);
            assert!(disk.power_is_off());
            for cut in 0..power_cuts {
                let what = format!("seed {seed} sync {sync} cut {cut}");
                let image = disk.crash(seed * 1000 + cut);
                let last = reopen(&image, options, acknowledged, &what);
                assert!(last.0 <= appended.0 + 10, "{what}: {last} invented, {appended} appended");
                // And once more: recovery itself is interrupted by a second power cut.
                let again = image.crash(cut);
                assert_eq!(reopen(&again, options, last, &what).0, last.0 + 10, "{what}, again");
            }
        }
    }
}

#[test]
fn a_power_cut_before_any_sync_loses_nothing_acknowledged() {
    crash_at_every_sync(options(1024), 0..50, 4);
}

#[test]
fn a_power_cut_in_large_segments_loses_nothing_acknowledged() {
    crash_at_every_sync(options(16 << 10), 50..70, 8);
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_acknowledged() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        disk.crash_before_sync(5 + seed % 9);
        let (acknowledged, _) = run(&disk, options(1024), seed);
        let torn = disk.crash(seed);
        for sync in 1..6 {
            let image = torn.process_crash();
            image.crash_before_sync(sync);
            // Interrupted at this sync, if recovery needs so many.
            let _ = open_from_oldest(&image, options(1024));
            for cut in 0..4 {
                let what = format!("seed {seed} sync {sync} cut {cut}");
                reopen(&image.crash(cut), options(1024), acknowledged, &what);
            }
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_written_even_under_os() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        let (acknowledged, appended) = run(&disk, options_os(1024), seed);
        assert_eq!(acknowledged, appended);
        let after = disk.process_crash();
        let last = reopen(&after, options_os(1024), acknowledged, &format!("seed {seed}"));
        assert_eq!(last, Lsn(appended.0 + 10));
    }
}

#[test]
fn a_power_cut_under_os_leaves_a_prefix() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        run(&disk, options_os(1024), seed);
        for cut in 0..8 {
            // Only a real sync counts: rolls sync what is closed, the rest may be gone, but is never a false
            // hole.
            reopen(&disk.crash(cut), options_os(1024), Lsn(0), &format!("seed {seed} cut {cut}"));
        }
    }
}

#[test]
fn what_recovery_found_after_a_kill_survives_the_next_power_cut() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options_os(4096)).unwrap();
    commit_groups(&journal, &[2, 3]);
    let killed = disk.process_crash();
    let (journal, recovery) = open(&killed, options_os(4096)).unwrap();
    assert_eq!((recovery.last, journal.positions().durable), (Lsn(5), Lsn(5)));
    for seed in 0..20 {
        assert_eq!(open(&killed.crash(seed), options(4096)).unwrap().1.last, Lsn(5));
    }
}

#[test]
fn sync_under_os_is_a_real_one() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options_os(4096)).unwrap();
    commit_groups(&journal, &[2]);
    append(&journal);
    let syncs = disk.syncs();
    assert_eq!(journal.sync().unwrap(), Lsn(3));
    assert_eq!(journal.sync().unwrap(), Lsn(3));
    assert_eq!(disk.syncs(), syncs + 1);
    for seed in 0..20 {
        assert_eq!(open(&disk.crash(seed), options(4096)).unwrap().1.last, Lsn(3));
    }
}

fn poisoned_by(kind: FailKind, countdown: u64) {
    let what = format!("{kind:?} {countdown}");
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1024)).unwrap();
    commit_groups(&journal, &[3]);
    let calls = Arc::new(AtomicUsize::new(0));
    let listener = calls.clone();
    journal.on_durable(Box::new(move || {
        listener.fetch_add(1, Ordering::Relaxed);
    }));
    let before = journal.positions().durable;
    for _ in 0..40 {
        append(&journal);
    }
    disk.fail_at(countdown, kind);
    assert!(matches!(journal.commit(), Err(JournalError::Poisoned { .. })), "{what}");
    assert!(journal.poisoned());
    assert!(journal.poison_reason().unwrap().contains("simulated failure"), "{:?}", journal.poison_reason());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let durable = journal.positions().durable;
    assert!(durable >= before);
    assert!(durable < Lsn(43));

    // The disk would work again: the journal does not believe it.
    assert_eq!(journal.append(|_, buffer| buffer.push(1)), Err(AppendError::Poisoned));
    assert!(matches!(journal.commit(), Err(JournalError::Poisoned { .. })));
    assert!(matches!(journal.sync(), Err(JournalError::Poisoned { .. })));
    assert_eq!(journal.positions().durable, durable);
    assert_eq!(journal.wait_durable(durable, Duration::ZERO), Ok(()));
    assert_eq!(journal.wait_durable(Lsn(43), Duration::from_secs(60)), Err(WaitError::Poisoned));
    journal.run_writer();

    let restarted = disk.process_crash();
    let last = reopen(&restarted, options(1024), durable, &what);
    for seed in 0..10 {
        // What the restart showed is really on the disk, although a sync of it had failed once.
        reopen(&restarted.crash(seed), options(1024), last, &what);
        reopen(&disk.crash(seed), options(1024), durable, &what);
    }
}

#[test]
fn a_failed_write_poisons_for_good() {
    for countdown in 1..=5 {
        poisoned_by(FailKind::Write, countdown);
    }
}

#[test]
fn a_failed_sync_poisons_for_good() {
    for countdown in 1..=6 {
        poisoned_by(FailKind::Sync, countdown);
    }
}

#[test]
fn a_segment_that_cannot_be_created_poisons() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1024)).unwrap();
    commit_groups(&journal, &[3]);
    for lsn in 4..40 {
        disk.put(&format!("journal-{lsn:020}.seg"), b"in the way");
    }
    for _ in 0..40 {
        append(&journal);
    }
    journal.commit().unwrap_err();
    assert!(journal.poison_reason().unwrap().starts_with("create segment journal-"));
    assert!(journal.positions().durable > Lsn(3), "the closed segment was synced before");
}

#[test]
fn opening_fails_cleanly_when_the_disk_does() {
    for kind in [FailKind::Write, FailKind::Sync] {
        let disk = disk_of(&image(options_os(1024), &[3, 3]));
        overwrite(&disk, FIRST, 1000, &[1]);
        disk.fail_at(1, kind);
        assert!(matches!(open(&disk, options(1024)), Err(JournalError::Io { .. })));
        assert_eq!(open(&disk.process_crash(), options(1024)).unwrap().1.last, Lsn(6));
    }
}
