//! What the journal's tests share: small journals, recognizable payloads, images. Knows the journal's public
//! side only.
#![allow(dead_code, reason = "every test file compiles this module and uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use engine::disk::{Disk, DiskFile};
use engine::journal::{Durability, Journal, JournalError, JournalOptions, Lsn, Recovery, Verified, inspect};
use engine::sim_disk::SimDisk;

/// The first segment's name.
pub const FIRST: &str = "journal-00000000000000000001.seg";
/// Bytes of a segment's header.
pub const HEADER: usize = 32;

pub fn options(segment_bytes: u64) -> JournalOptions {
    JournalOptions { segment_bytes, salt: 0x5eed, ..JournalOptions::default() }
}

pub fn options_os(segment_bytes: u64) -> JournalOptions {
    JournalOptions { durability: Durability::Os, ..options(segment_bytes) }
}

/// The payload every test writes for a record: its length differs, its bytes can be checked from the number
/// alone.
pub fn payload(lsn: Lsn) -> Vec<u8> {
    let len = 1 + (lsn.0 * 7 % 60) as usize;
    (0..len).map(|index| (lsn.0 as usize * 31 + index) as u8 | 1).collect()
}

/// Bytes of that record's frame.
pub fn frame_len(lsn: Lsn) -> usize {
    (24 + payload(lsn).len()).next_multiple_of(8)
}

pub fn append(journal: &Journal) -> Lsn {
    journal.append(|lsn, buffer| buffer.extend_from_slice(&payload(lsn))).unwrap()
}

/// Appends and commits groups of these sizes.
pub fn commit_groups(journal: &Journal, groups: &[usize]) {
    for group in groups {
        for _ in 0..*group {
            append(journal);
        }
        assert_eq!(journal.commit().unwrap(), *group);
    }
}

/// A disk handle for [`Journal::open`].
pub fn dyn_disk(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Opens after `after`, checks number and payload of every record, returns how many there are.
pub fn open_after(
    disk: &SimDisk,
    options: JournalOptions,
    after: Lsn,
) -> Result<(Journal, Recovery), JournalError> {
    let mut last = after;
    let opened = Journal::open(dyn_disk(disk), options, after, &mut |lsn, bytes| {
        assert_eq!(lsn, Lsn(last.0 + 1), "records are visited in order");
        assert_eq!(bytes, payload(lsn), "record {lsn} was never written like this");
        last = lsn;
        Ok(())
    });
    if let Ok((journal, recovery)) = &opened {
        assert_eq!(recovery.records, last.0 - after.0);
        assert_eq!(journal.positions().durable, recovery.last);
    }
    opened
}

pub fn open(disk: &SimDisk, options: JournalOptions) -> Result<(Journal, Recovery), JournalError> {
    open_after(disk, options, Lsn(0))
}

pub fn inspect_all(disk: &SimDisk) -> Result<Verified, JournalError> {
    inspect(disk, &mut |found| assert_eq!(found.payload, payload(found.lsn)))
}

/// The durable content of a fresh journal with these groups, as (name, bytes), oldest first.
pub fn image(options: JournalOptions, groups: &[usize]) -> Vec<(String, Vec<u8>)> {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options).unwrap();
    commit_groups(&journal, groups);
    files(&disk)
}

pub fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().unwrap();
    names.into_iter().map(|name| (name.clone(), disk.contents(&name).unwrap())).collect()
}

pub fn disk_of(files: &[(String, Vec<u8>)]) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in files {
        disk.put(name, bytes);
    }
    disk
}

/// Changes bytes of a file in place.
pub fn overwrite(disk: &SimDisk, name: &str, offset: usize, bytes: &[u8]) {
    let file: Box<dyn DiskFile> = disk.open(name).unwrap();
    file.write_at(bytes, offset as u64).unwrap();
    file.sync().unwrap();
}
