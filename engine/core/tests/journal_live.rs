//! A journal at work: limits, positions, readers, deletion, and real threads on a real disk.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod journal_support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use engine::disk::{Disk, StdDisk};
use engine::journal::{
    AppendError, Journal, JournalError, JournalOptions, Lsn, Positions, Reader, WaitError, inspect,
};
use engine::sim_disk::SimDisk;
use journal_support::*;

fn read(reader: &mut Reader, bytes_max: usize) -> Vec<Lsn> {
    let mut out = Vec::new();
    reader.read(bytes_max, &mut out).unwrap();
    for (lsn, bytes) in &out {
        assert_eq!(*bytes, payload(*lsn));
    }
    out.into_iter().map(|(lsn, _)| lsn).collect()
}

fn lsns(range: std::ops::RangeInclusive<u64>) -> Vec<Lsn> {
    range.map(Lsn).collect()
}

#[test]
fn positions_keep_their_order_and_advance_by_steps() {
    let (journal, _) = open(&SimDisk::new(), options(1024)).unwrap();
    assert_eq!(journal.positions(), Positions::default());
    append(&journal);
    append(&journal);
    assert_eq!(journal.positions(), Positions { next: Lsn(2), written: Lsn(0), durable: Lsn(0) });
    assert_eq!(journal.wait_durable(Lsn(2), Duration::ZERO), Err(WaitError::Timeout));
    assert_eq!(journal.commit().unwrap(), 2);
    assert_eq!(journal.positions(), Positions { next: Lsn(2), written: Lsn(2), durable: Lsn(2) });
    assert_eq!(journal.wait_durable(Lsn(2), Duration::ZERO), Ok(()));
    assert_eq!(journal.commit().unwrap(), 0);
}

#[test]
fn a_commit_of_nothing_touches_no_disk() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1024)).unwrap();
    let (writes, syncs) = (disk.writes(), disk.syncs());
    journal.commit().unwrap();
    journal.sync().unwrap();
    assert_eq!((disk.writes(), disk.syncs()), (writes, syncs));
}

#[test]
fn a_group_costs_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1 << 20)).unwrap();
    let (writes, syncs) = (disk.writes(), disk.syncs());
    commit_groups(&journal, &[1000]);
    assert_eq!((disk.writes(), disk.syncs()), (writes + 1, syncs + 1));
    let stats = journal.sync_stats();
    assert_eq!((stats.commits, stats.records, stats.syncs, stats.rolls), (1, 1000, 1, 0));
    assert_eq!(stats.bytes_written, (1..=1000).map(|lsn| frame_len(Lsn(lsn)) as u64).sum::<u64>());
    assert_eq!(stats.sync_us_buckets.iter().sum::<u64>(), 1);
}

#[test]
fn a_full_buffer_refuses_and_takes_again_after_a_commit() {
    let options = JournalOptions { pending_bytes_max: 200, ..options(4096) };
    let (journal, _) = open(&SimDisk::new(), options).unwrap();
    let last = loop {
        match journal.append(|lsn, buffer| buffer.extend_from_slice(&payload(lsn))) {
            Ok(lsn) => assert!(lsn < Lsn(20)),
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                break journal.positions().next;
            }
        }
    };
    assert!(journal.pending_bytes() >= 200);
    assert_eq!(journal.commit().unwrap() as u64, last.0);
    assert_eq!(append(&journal), Lsn(last.0 + 1));
}

#[test]
fn a_record_is_bounded_by_its_limit_and_by_its_segment() {
    let (journal, _) = open(&SimDisk::new(), options(1024)).unwrap();
    let append = |bytes: usize| journal.append(|_, buffer| buffer.resize(buffer.len() + bytes, 7));
    assert_eq!(append(0), Err(AppendError::Empty));
    assert_eq!(append(969), Err(AppendError::TooLarge { bytes: 969, max: 968 }));
    assert_eq!(append(968), Ok(Lsn(1)));
    assert_eq!(append(968), Ok(Lsn(2)));
    assert_eq!(append(1), Ok(Lsn(3)));
    assert_eq!(journal.commit().unwrap(), 3);
    let (journal, _) = open(&SimDisk::new(), options(4 << 20)).unwrap();
    let append = |bytes: usize| journal.append(|_, buffer| buffer.resize(buffer.len() + bytes, 7));
    assert_eq!(append((1 << 20) + 1), Err(AppendError::TooLarge { bytes: (1 << 20) + 1, max: 1 << 20 }));
    for lsn in 1..=9 {
        assert_eq!(append(1 << 20), Ok(Lsn(lsn)));
    }
    assert_eq!(journal.commit().unwrap(), 9);
    let mut out = Vec::new();
    let mut reader = journal.reader(Lsn(0));
    reader.read(usize::MAX, &mut out).unwrap();
    assert_eq!(out.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [1 << 20; 9]);
}

#[test]
fn listeners_hear_each_advance_and_their_panics_hurt_nobody() {
    let (journal, _) = open(&SimDisk::new(), options(1024)).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    journal.on_durable(Box::new(|| panic!("a listener's bug, on purpose")));
    let (heard, seen) = (calls.clone(), journal.clone());
    journal.on_durable(Box::new(move || {
        assert_eq!(seen.positions().durable, seen.positions().next);
        heard.fetch_add(1, Ordering::Relaxed);
    }));
    commit_groups(&journal, &[1, 2]);
    journal.commit().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert!(!journal.poisoned());
}

#[test]
fn a_reader_follows_appends_across_rolls() {
    let (journal, _) = open(&SimDisk::new(), options(1024)).unwrap();
    let mut reader = journal.reader(Lsn(0));
    assert_eq!(read(&mut reader, 1000), []);
    append(&journal);
    assert_eq!(read(&mut reader, 1000), [], "not durable yet");
    journal.commit().unwrap();
    assert_eq!(read(&mut reader, 1000), [Lsn(1)]);
    let mut followed = 1;
    for group in [1, 30, 2, 50, 9] {
        commit_groups(&journal, &[group]);
        let last = journal.positions().durable.0;
        assert_eq!(read(&mut reader, usize::MAX), lsns(followed + 1..=last));
        assert_eq!(read(&mut reader, usize::MAX), []);
        followed = last;
    }
    assert!(journal.sync_stats().rolls > 3);
    assert_eq!(reader.next_lsn(), Lsn(94));
}

#[test]
fn a_reader_starts_anywhere_and_keeps_to_its_bytes() {
    let (journal, _) = open(&SimDisk::new(), options(1024)).unwrap();
    commit_groups(&journal, &[10, 90]);
    for after in 0..=101 {
        assert_eq!(read(&mut journal.reader(Lsn(after)), usize::MAX), lsns(after + 1..=100));
    }
    for bytes_max in [0, 1, 60, 100, 1000] {
        let mut reader = journal.reader(Lsn(0));
        let mut all = Vec::new();
        while all.len() < 100 {
            let some = read(&mut reader, bytes_max);
            assert!(!some.is_empty());
            let bytes: usize = some.iter().map(|lsn| payload(*lsn).len()).sum();
            assert!(bytes <= bytes_max || some.len() == 1, "{bytes} of {bytes_max}");
            all.extend(some);
        }
        assert_eq!(all, lsns(1..=100));
    }
}

#[test]
fn deletion_takes_whole_segments_and_never_the_active_one() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1024)).unwrap();
    commit_groups(&journal, &[100]);
    let firsts: Vec<u64> = disk.list().unwrap().iter().map(|name| name[8..28].parse().unwrap()).collect();
    let second = firsts[1];
    assert_eq!(journal.delete_through(Lsn(second - 2)).unwrap(), 0);
    let bytes = journal.disk_bytes();
    let mut early = journal.reader(Lsn(0));
    assert_eq!(read(&mut early, 1), [Lsn(1)]);
    assert_eq!(journal.delete_through(Lsn(second - 1)).unwrap(), 1);
    assert_eq!((journal.oldest(), journal.disk_bytes()), (Lsn(second), bytes - 1024));
    for mut reader in [early, journal.reader(Lsn(0)), journal.reader(Lsn(second - 2))] {
        let gone = reader.read(1000, &mut Vec::new());
        assert!(matches!(gone, Err(JournalError::Gone { oldest }) if oldest == Lsn(second)));
    }
    assert_eq!(read(&mut journal.reader(Lsn(second - 1)), usize::MAX), lsns(second..=100));
    let (_, recovery) = open_after(&disk, options(1024), Lsn(second - 1)).unwrap();
    assert_eq!(recovery.last, Lsn(100));
    assert_eq!(journal.delete_through(Lsn(u64::MAX)).unwrap(), firsts.len() - 2);
    assert_eq!(journal.oldest(), Lsn(*firsts.last().unwrap()));
    assert_eq!(disk.list().unwrap().len(), 1);
    commit_groups(&journal, &[50]);
    let after = Lsn(journal.oldest().0 - 1);
    assert_eq!(open_after(&disk, options(1024), after).unwrap().1.last, Lsn(150));
}

#[test]
fn a_deletion_that_was_half_done_is_finished_by_the_next() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(1024)).unwrap();
    commit_groups(&journal, &[100]);
    let names = disk.list().unwrap();
    // The name went, but the sync of the directory failed, so the journal still counts the segment.
    disk.remove(&names[0]).unwrap();
    assert_eq!(journal.oldest(), Lsn(1));
    assert_eq!(journal.delete_through(Lsn(100)).unwrap(), names.len() - 1);
    assert_eq!(disk.list().unwrap().len(), 1);
}

#[test]
fn damage_under_a_running_reader_is_named() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(4096)).unwrap();
    commit_groups(&journal, &[5]);
    let byte = HEADER + frame_len(Lsn(1)) + frame_len(Lsn(2));
    overwrite(&disk, FIRST, byte + 24, &[0]);
    let mut out = Vec::new();
    let mut reader = journal.reader(Lsn(0));
    for _ in 0..2 {
        let error = reader.read(usize::MAX, &mut out).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { byte: at, .. } if at == byte as u64), "{error}");
        assert_eq!(out.len(), 2);
    }
}

fn std_journal(dir: &Path) -> Journal {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir).unwrap());
    let (journal, _) = Journal::open(disk, options(64 << 10), Lsn(0), &mut |_, _| Ok(())).unwrap();
    journal
}

#[test]
fn eight_threads_append_and_wait_on_a_real_disk() {
    const THREADS: u64 = 8;
    const EACH: u64 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let journal = std_journal(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| journal.run_writer());
        let follower = scope.spawn(|| {
            let mut reader = journal.reader(Lsn(0));
            let mut followed = Vec::new();
            while !done.load(Ordering::Acquire) || followed.len() < (THREADS * EACH) as usize {
                followed.extend(read(&mut reader, 10_000));
                std::thread::sleep(Duration::from_micros(200));
            }
            followed
        });
        let preparer = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                journal.prepare_spare(&mut || !done.load(Ordering::Acquire));
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let appenders: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| append_and_wait(&journal, EACH))).collect();
        for appender in appenders {
            appender.join().unwrap();
        }
        done.store(true, Ordering::Release);
        assert_eq!(follower.join().unwrap(), lsns(1..=THREADS * EACH));
        preparer.join().unwrap();
        journal.stop_writer();
        writer.join().unwrap();
    });
    let stats = journal.sync_stats();
    assert_eq!((stats.records, stats.spares_failed), (THREADS * EACH, 0));
    assert!(stats.spares_taken <= stats.rolls);
    assert!(stats.commits <= stats.records);
    drop(journal);
    let journal = std_journal(dir.path());
    assert_eq!(journal.positions().durable, Lsn(THREADS * EACH));
    let verified = inspect(&StdDisk::read_only(dir.path()).unwrap(), &mut |_| {}).unwrap();
    assert_eq!(verified.records, THREADS * EACH);
}

/// Waits for every tenth record only, so that groups form.
fn append_and_wait(journal: &Journal, count: u64) {
    for index in 0..count {
        let lsn = append(journal);
        if index % 10 == 9 {
            journal.wait_durable(lsn, Duration::from_secs(60)).unwrap();
        }
        let positions = journal.positions();
        assert!(positions.next >= lsn);
    }
}

#[test]
fn the_writer_drains_before_it_stops() {
    let (journal, _) = open(&SimDisk::new(), options(4096)).unwrap();
    for _ in 0..100 {
        append(&journal);
    }
    journal.stop_writer();
    journal.run_writer();
    assert_eq!(journal.positions().durable, Lsn(100));
}

#[test]
fn a_gathering_thread_gets_its_sync_even_if_it_forgets_to_ask() {
    let (journal, _) = open(&SimDisk::new(), options(4096)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| journal.run_writer());
        let gatherer = scope.spawn(|| {
            journal.gather_on_this_thread();
            let forgotten = append(&journal);
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            while journal.positions().durable < forgotten {
                assert!(std::time::Instant::now() < deadline, "the writer looks for work by itself");
                std::thread::sleep(Duration::from_millis(1));
            }
            // Whoever waits asks.
            assert_eq!(journal.wait_durable(append(&journal), Duration::from_secs(60)), Ok(()));
        });
        let outcome = gatherer.join();
        journal.stop_writer();
        writer.join().unwrap();
        outcome.unwrap();
    });
}

#[test]
fn a_waiter_is_woken_when_the_journal_is_poisoned() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(4096)).unwrap();
    disk.fail_at(1, engine::sim_disk::FailKind::Sync);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| journal.wait_durable(Lsn(1), Duration::from_secs(60)));
        let writer = scope.spawn(|| journal.run_writer());
        append(&journal);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::Poisoned));
        writer.join().unwrap();
    });
}
