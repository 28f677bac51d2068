//! What the journal does with images it may find: whole, torn, cut, flipped, mixed up, hostile.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod journal_support;

use std::sync::Arc;

use engine::disk::Disk;
use engine::journal::{Cut, Journal, JournalError, Lsn, fuzz_open, inspect};
use engine::sim_disk::{SimDisk, SplitMix64};
use journal_support::*;

#[test]
fn what_was_committed_is_there_after_reopening() {
    let disk = SimDisk::new();
    let (journal, recovery) = open(&disk, options(4096)).unwrap();
    assert_eq!((recovery.records, recovery.last, recovery.segments), (0, Lsn(0), 1));
    commit_groups(&journal, &[1, 2, 3, 100]);
    drop(journal);
    let (journal, recovery) = open(&disk, options(4096)).unwrap();
    assert_eq!(
        (recovery.records, recovery.verified, recovery.last, recovery.cut),
        (106, 106, Lsn(106), None)
    );
    assert_eq!(recovery.bytes, (1..=106).map(|lsn| payload(Lsn(lsn)).len() as u64).sum::<u64>());
    assert_eq!(recovery.segments, disk.list().unwrap().len());
    assert!(recovery.segments > 1);
    assert_eq!(append(&journal), Lsn(107));
    journal.commit().unwrap();
    let (_, recovery) = open_after(&disk, options(4096), Lsn(100)).unwrap();
    assert_eq!((recovery.records, recovery.verified), (7, 107));
}

#[test]
fn records_not_committed_are_not_there() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(4096)).unwrap();
    commit_groups(&journal, &[2]);
    append(&journal);
    let (_, recovery) = open(&disk.process_crash(), options(4096)).unwrap();
    assert_eq!(recovery.last, Lsn(2));
}

#[test]
fn a_new_journal_continues_after_the_checkpoint() {
    let disk = SimDisk::new();
    let (journal, recovery) = open_after(&disk, options(4096), Lsn(41)).unwrap();
    assert_eq!((recovery.last, journal.oldest()), (Lsn(41), Lsn(42)));
    assert_eq!(append(&journal), Lsn(42));
    journal.commit().unwrap();
    assert_eq!(open_after(&disk, options(4096), Lsn(41)).unwrap().1.records, 1);
    assert!(matches!(
        open(&disk, options(4096)),
        Err(JournalError::Missing { after: Lsn(0), oldest: Lsn(42) })
    ));
    assert!(matches!(
        open_after(&disk, options(4096), Lsn(43)),
        Err(JournalError::Behind { after: Lsn(43), last: Lsn(42) })
    ));
}

#[test]
fn torn_tail_is_cut_at_the_last_whole_record() {
    let disk = disk_of(&image(options(4096), &[3, 3]));
    let byte = HEADER + (1..=5).map(|lsn| frame_len(Lsn(lsn))).sum::<usize>();
    overwrite(&disk, FIRST, byte + 24, &[0]);
    let verified = inspect_all(&disk).unwrap();
    let reason = "record 6 has a wrong checksum".to_owned();
    let cut = Some(Cut { segment: FIRST.to_owned(), byte: byte as u64, reason });
    assert_eq!((verified.records, verified.last, &verified.torn), (5, Some(Lsn(5)), &cut));
    let (journal, recovery) = open(&disk, options(4096)).unwrap();
    assert_eq!((recovery.last, recovery.cut), (Lsn(5), cut));
    assert!(disk.contents(FIRST).unwrap()[byte..].iter().all(|byte| *byte == 0));
    commit_groups(&journal, &[2]);
    assert_eq!(open(&disk, options(4096)).unwrap().1.last, Lsn(7));
}

#[test]
fn a_whole_record_behind_a_torn_one_never_comes_back() {
    // Group 4..=6 is torn in record 4; 5 and 6 are whole and must not follow a new 4.
    let disk = disk_of(&image(options(4096), &[3, 3]));
    let byte = HEADER + (1..=3).map(|lsn| frame_len(Lsn(lsn))).sum::<usize>();
    overwrite(&disk, FIRST, byte + 24, &[0]);
    let (journal, recovery) = open(&disk, options(4096)).unwrap();
    assert_eq!(recovery.last, Lsn(3));
    commit_groups(&journal, &[1]);
    assert_eq!(open(&disk, options(4096)).unwrap().1.last, Lsn(4));
}

#[test]
fn hole_in_the_middle_is_refused_with_its_byte() {
    let disk = disk_of(&image(options(4096), &[3, 3]));
    let byte = HEADER + frame_len(Lsn(1));
    overwrite(&disk, FIRST, byte + 24, &[0]);
    let before = files(&disk);
    for outcome in [open(&disk, options(4096)).map(|_| ()), inspect_all(&disk).map(|_| ())] {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, JournalError::Hole { segment, byte: at, lsn: Lsn(2), .. }
            if segment == FIRST && *at == byte as u64));
        assert!(error.to_string().starts_with(&format!(
            "hole in the journal: segment {FIRST} byte {byte}: record 2 has a wrong checksum, and the later record at"
        )));
    }
    assert_eq!(files(&disk), before, "a refused journal is not touched");
}

#[test]
fn zeros_in_the_middle_are_a_hole_too() {
    let disk = disk_of(&image(options(4096), &[3, 3]));
    let byte = HEADER + frame_len(Lsn(1));
    overwrite(&disk, FIRST, byte, &vec![0; frame_len(Lsn(2))]);
    assert!(matches!(open(&disk, options(4096)), Err(JournalError::Hole { lsn: Lsn(2), .. })));
}

#[test]
fn a_missing_record_before_a_later_segment_is_a_hole() {
    let image = image(options(1024), &[60]);
    assert!(image.len() > 3);
    let disk = disk_of(&image);
    let (name, bytes) = &image[1];
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    overwrite(&disk, name, end, &[0]);
    assert!(
        matches!(open(&disk, options(1024)), Err(JournalError::Hole { segment, .. }) if segment == *name)
    );
    disk.remove(name).unwrap();
    assert!(
        matches!(open(&disk, options(1024)), Err(JournalError::Hole { segment, .. }) if segment == image[0].0)
    );
}

#[test]
fn a_segment_of_another_journal_does_not_chain() {
    let ours = image(options(1024), &[60]);
    let theirs = image(options(1024), &[1, 59]);
    assert_eq!(ours[1].0, theirs[1].0);
    for taken in 1..ours.len() {
        let mut mixed = ours.clone();
        mixed[taken] = theirs[taken].clone();
        assert!(
            matches!(open(&disk_of(&mixed), options(1024)), Err(JournalError::Corrupt { .. })),
            "{taken}"
        );
    }
}

#[test]
fn a_record_that_breaks_the_chain_is_not_accepted() {
    // Same numbers, other checksums before: record 3 of the one journal after record 2 of the other.
    let ours = image(options(4096), &[2]);
    let theirs = image(options(4096), &[1, 1, 1]);
    let at = HEADER + frame_len(Lsn(1)) + frame_len(Lsn(2));
    let mut mixed = ours.clone();
    mixed[0].1[at..].copy_from_slice(&theirs[0].1[at..]);
    // Record 3 says that 2 was synced before it, and nothing says it of 3: cut.
    let (_, recovery) = open(&disk_of(&mixed), options(4096)).unwrap();
    assert_eq!(recovery.last, Lsn(2));
    assert!(recovery.cut.unwrap().reason.contains("does not continue the checksum"));
}

#[test]
fn a_segment_whose_name_lies_is_refused() {
    let image = image(options(1024), &[60]);
    let disk = disk_of(&image);
    disk.rename(FIRST, "journal-00000000000000000002.seg").unwrap();
    assert!(matches!(
        open_after(&disk, options(1024), Lsn(1)),
        Err(JournalError::Corrupt { .. } | JournalError::Hole { .. })
    ));
    let disk = disk_of(&image);
    disk.put("journal-7.seg", b"");
    assert!(matches!(open(&disk, options(1024)), Err(JournalError::Corrupt { .. })));
    let disk = disk_of(&image);
    disk.put("journal-00000000000000000003.seg", &image[0].1);
    assert!(matches!(open(&disk, options(1024)), Err(JournalError::Corrupt { .. })));
    let disk = disk_of(&image);
    disk.put("checkpoint-00000000000000000003", b"not ours");
    assert_eq!(open(&disk, options(1024)).unwrap().1.last, Lsn(60));
}

#[test]
fn a_later_format_is_not_called_damage() {
    let mut image = image(options(4096), &[3]);
    image[0].1[8] = 9;
    let crc = crc32fast::hash(&image[0].1[..28]).to_le_bytes();
    image[0].1[28..32].copy_from_slice(&crc);
    assert!(matches!(
        open(&disk_of(&image), options(4096)),
        Err(JournalError::UnsupportedVersion { version: 9, supported: 1, .. })
    ));
}

#[test]
fn a_segment_torn_at_its_creation_is_made_again() {
    let image = image(options(1024), &[60]);
    let (last, bytes) = image.last().unwrap();
    let first_lost = Lsn(u64::from_le_bytes(bytes[12..20].try_into().unwrap()));
    for torn in [vec![], vec![0; 7], vec![0; 1024], [vec![b'G'; 5], vec![0; 1019]].concat()] {
        let disk = disk_of(&image);
        disk.put(last, &torn);
        let (journal, recovery) = open(&disk, options(1024)).unwrap();
        assert_eq!(recovery.cut.map(|cut| (cut.segment, cut.byte)), Some((last.clone(), 0)));
        assert_eq!(recovery.last, Lsn(first_lost.0 - 1));
        commit_groups(&journal, &[50]);
        assert_eq!(open(&disk, options(1024)).unwrap().1.last, Lsn(first_lost.0 + 49));
    }
}

#[test]
fn every_flipped_byte_is_cut_or_refused_and_never_read() {
    // Two groups: 1..=3 is proven synced by 4..=5; the last group is what a power cut could have torn.
    let image = image(options(1024), &[3, 2]);
    let bytes = &image[0].1;
    let proven = HEADER + (1..=3).map(|lsn| frame_len(Lsn(lsn))).sum::<usize>();
    for byte in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut flipped = image.clone();
            flipped[0].1[byte] ^= mask;
            // `open` compares every payload with what was written.
            match open(&disk_of(&flipped), options(1024)) {
                Ok((_, recovery)) if byte < HEADER => panic!("byte {byte}: {recovery:?}"),
                Ok((_, recovery)) if byte < proven => {
                    assert_eq!(recovery.last, Lsn(5), "padding only, {byte}")
                }
                Ok((_, recovery)) => assert!(recovery.last >= Lsn(3)),
                Err(JournalError::Hole { .. } | JournalError::Corrupt { .. }) => {
                    assert!(byte < proven, "{byte}")
                }
                Err(error) => panic!("byte {byte}: {error}"),
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_a_closed_segment_is_refused() {
    let image = image(options(1024), &[40]);
    for byte in 0..image[0].1.len() {
        let mut flipped = image.clone();
        flipped[0].1[byte] ^= 0xff;
        match open(&disk_of(&flipped), options(1024)) {
            // Padding, and the room behind the last record.
            Ok((_, recovery)) => assert_eq!(recovery.last, Lsn(40)),
            Err(JournalError::Hole { segment, .. } | JournalError::Corrupt { segment, .. }) => {
                assert_eq!(segment, FIRST);
            }
            Err(error) => panic!("byte {byte}: {error}"),
        }
    }
}

#[test]
fn a_file_truncated_at_any_byte_keeps_its_whole_records() {
    let image = image(options(1024), &[2, 3]);
    for len in 0..image[0].1.len() {
        let mut cut = image.clone();
        cut[0].1.truncate(len);
        let mut end = HEADER;
        let whole = (1..=5).take_while(|lsn| {
            end += frame_len(Lsn(*lsn));
            end <= len
        });
        let whole = whole.count() as u64;
        let disk = disk_of(&cut);
        let (journal, recovery) = open(&disk, options(1024)).unwrap();
        assert_eq!(recovery.last, Lsn(whole), "{len} bytes");
        commit_groups(&journal, &[1, 20]);
        let (_, recovery) = open(&disk, options(1024)).unwrap();
        assert_eq!((recovery.last, recovery.cut), (Lsn(whole + 21), None), "{len} bytes");
    }
}

#[test]
fn a_payload_that_imitates_a_frame_does_not_prove_a_hole() {
    // A guest chooses what is in a code. Behind a torn record such bytes must not look like a later record.
    let disk = SimDisk::new();
    let (journal, _) = open(&disk, options(4096)).unwrap();
    commit_groups(&journal, &[2]);
    let mut forged = vec![0; 32];
    forged[..4].copy_from_slice(&1_u32.to_le_bytes());
    forged[8..16].copy_from_slice(&9_u64.to_le_bytes());
    forged[20..24].copy_from_slice(&1_u32.to_le_bytes());
    forged[24] = b'x';
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&forged[..4]);
    hasher.update(&forged[8..25]);
    forged[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    journal.append(|_, buffer| buffer.extend_from_slice(&forged)).unwrap();
    journal.commit().unwrap();
    let byte = HEADER + frame_len(Lsn(1)) + frame_len(Lsn(2));
    overwrite(&disk, FIRST, byte + 4, &[0; 4]);
    let (_, recovery) = open(&disk, options(4096)).unwrap();
    assert_eq!(recovery.last, Lsn(2));
}

#[test]
fn segments_keep_their_size_when_the_option_changes() {
    let disk = disk_of(&image(options(1024), &[3]));
    let (journal, _) = open(&disk, options(8192)).unwrap();
    commit_groups(&journal, &[50]);
    assert_eq!(disk.contents(FIRST).unwrap().len(), 1024);
    assert_eq!(journal.disk_bytes(), 1024 + 8192);
    let (journal, _) = open(&disk, options(2048)).unwrap();
    assert_eq!(journal.disk_bytes(), 1024 + 8192);
    commit_groups(&journal, &[200]);
    assert_eq!(open(&disk, options(1024)).unwrap().1.last, Lsn(253));
}

#[test]
fn options_outside_their_limits_are_refused_by_name() {
    for (segment_bytes, pending_bytes_max) in [(1023, 1), (1 << 31, 1), (4096, 0)] {
        let options = engine::journal::JournalOptions { segment_bytes, pending_bytes_max, ..options(4096) };
        assert!(matches!(open(&SimDisk::new(), options), Err(JournalError::Option { .. })));
    }
}

#[test]
fn a_visitor_that_refuses_a_record_stops_the_opening() {
    let disk: Arc<dyn Disk> = Arc::new(disk_of(&image(options(4096), &[3])));
    let opened = Journal::open(disk, options(4096), Lsn(0), &mut |lsn, _| {
        if lsn == Lsn(2) { Err("no".to_owned()) } else { Ok(()) }
    });
    assert_eq!(opened.unwrap_err().to_string(), "record 2 is refused: no");
}

#[test]
fn inspecting_shows_every_record_and_changes_nothing() {
    let disk = disk_of(&image(options(1024), &[10, 30]));
    let before = files(&disk);
    let mut seen = Vec::new();
    let verified = inspect(&disk, &mut |found| {
        let bytes = disk.contents(found.segment).unwrap();
        let at = found.byte as usize;
        assert_eq!(bytes[at..at + 4], found.len.to_le_bytes());
        assert_eq!(bytes[at + 4..at + 8], found.crc.to_le_bytes());
        assert_eq!(found.payload, payload(found.lsn));
        seen.push(found.lsn);
    })
    .unwrap();
    assert_eq!(seen, (1..=40).map(Lsn).collect::<Vec<_>>());
    assert_eq!((verified.records, verified.first, verified.last), (40, Some(Lsn(1)), Some(Lsn(40))));
    assert_eq!((verified.torn, verified.segments), (None, before.len()));
    assert_eq!(files(&disk), before);
    assert_eq!(disk.writes() + disk.syncs(), 0);
    assert_eq!(inspect_all(&SimDisk::new()).unwrap(), Default::default());
}

#[test]
fn mutated_images_are_never_a_panic() {
    let rolled = image(options(1024), &[2, 10, 1, 5, 9]);
    let single = image(options(4096), &[2, 10, 1]);
    let mut random = SplitMix64(2026);
    for round in 0..20_000 {
        let mut image = if round % 4 == 0 { rolled.clone() } else { single.clone() };
        for _ in 0..=random.below(4) {
            mutate(&mut image, &mut random);
        }
        let disk = disk_of(&image);
        // Any payload is accepted here: a mutation may be a whole, valid record of another place.
        let inspected = inspect(&disk, &mut |_| {});
        let opened = Journal::open(dyn_disk(&disk), options(1024), Lsn(0), &mut |_, _| Ok(()));
        if let (Ok(verified), Ok((_, recovery))) = (&inspected, &opened) {
            assert_eq!(verified.records, recovery.verified, "round {round}");
        }
        if round % 4 != 0 {
            fuzz_open(&image[0].1);
        }
    }
}

fn mutate(image: &mut Vec<(String, Vec<u8>)>, random: &mut SplitMix64) {
    let file = random.below(image.len() as u64) as usize;
    if image.len() > 1 && random.below(20) == 0 {
        image.remove(file);
        return;
    }
    let bytes = &mut image[file].1;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) as u64;
    if used < 2 {
        return;
    }
    let at = random.below(used) as usize;
    let to = random.below(used) as usize;
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes[at..(at + 64).min(used as usize)].fill(0),
        3 => bytes.truncate(at),
        4 => {
            let (from, to) = (at / 8 * 8, to / 8 * 8);
            let len = (bytes.len() - from.max(to)).min(64);
            bytes.copy_within(from..from + len, to);
        }
        5 if at + 4 <= bytes.len() => {
            bytes[at..at + 4].copy_from_slice(&(random.next() as u32).to_le_bytes())
        }
        _ => bytes.extend(std::iter::repeat_n(0xa5, random.below(100) as usize)),
    }
}

#[test]
fn arbitrary_bytes_are_never_a_panic() {
    let mut random = SplitMix64(7);
    for len in 0..300 {
        fuzz_open(&(0..len).map(|_| random.next() as u8).collect::<Vec<_>>());
    }
}
