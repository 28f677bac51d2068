//! Recovery: reads every segment, tells a torn tail from a hole, and makes the journal fit to be continued.
//! Knows what a crash can leave and what it cannot; refuses to know what records mean, and repairs nothing
//! but the end of the last segment.
//!
//! The rule. Where record E should be and is not:
//! - a later segment exists, or a later frame says that E was synced before it was written: E was
//!   acknowledged, and no crash can take it. That is a hole: refuse, name the byte, touch nothing.
//! - nothing says so: E was being written when the power went. That is a torn tail: cut it.
//!
//! What cannot be told apart: damage to the very last batch ever synced looks like a torn tail, unless the
//! caller knows a later LSN (see `JournalError::Behind`).

use std::sync::Arc;

use tracing::warn;

use super::frame::{Chain, Decoded, Frame, decode, decode_between};
use super::limits::{FRAME_ALIGN, FRAME_BYTES_MIN, LSN_MAX, SEGMENT_HEADER_BYTES};
use super::segment::{self, Header, HeaderError, SegmentName, VERSION, nonzero_from};
use super::spare;
use super::{Cut, Inspected, JournalError, JournalOptions, Lsn, Recovery, Verified, VisitRecord};
use crate::disk::{Disk, DiskFile};

/// The end of the last segment, as found.
struct Tail {
    segment: SegmentName,
    file: Box<dyn DiskFile>,
    bytes: Vec<u8>,
    /// `None`: torn while the segment was created.
    header: Option<Header>,
    /// Where the next record belongs.
    end: usize,
    /// The last record surely durable, as the last frame says; 0 if the segment has none.
    synced: Lsn,
    cut: Option<Cut>,
}

/// All segments, read and verified.
struct Scan {
    segments: Vec<(SegmentName, u64)>,
    records: u64,
    last: Lsn,
    chain_crc: u32,
    tail: Option<Tail>,
}

/// The segment that is written to, with everything in it durable.
pub(super) struct Active {
    pub file: Box<dyn DiskFile>,
    pub header: Header,
    pub chain: Chain,
    pub offset: usize,
    pub capacity: usize,
}

/// A journal that can be continued.
pub(super) struct Recovered {
    pub active: Active,
    /// First LSN and bytes of each segment, oldest first, the active one last.
    pub segments: Vec<(Lsn, u64)>,
    pub recovery: Recovery,
}

type Visit<'a> = dyn FnMut(&Inspected<'_>) -> Result<(), JournalError> + 'a;

/// Reads, verifies, repairs the tail, and visits every record after `after`.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    options: &JournalOptions,
    after: Lsn,
    visit: &mut VisitRecord<'_>,
) -> Result<Recovered, JournalError> {
    let names = segment::list(&**disk)?;
    if let Some(oldest) = names.first()
        && oldest.first.0 > after.0 + 1
    {
        return Err(JournalError::Missing { after, oldest: oldest.first });
    }
    let (mut records, mut bytes) = (0, 0);
    let scan = scan(&**disk, names, &mut |found| {
        if found.lsn > after {
            visit(found.lsn, found.payload)
                .map_err(|reason| JournalError::Refused { lsn: found.lsn, reason })?;
            records += 1;
            bytes += found.payload.len() as u64;
        }
        Ok(())
    })?;
    if scan.tail.is_some() && scan.last < after {
        return Err(JournalError::Behind { after, last: scan.last });
    }
    let verified = scan.records;
    let cut = scan.tail.as_ref().and_then(|tail| tail.cut.clone());
    let last = if scan.tail.is_some() { scan.last } else { after };
    // Only now: a journal that is refused is not touched. And before a segment is made: its bytes may be needed.
    if let Err(error) = spare::remove_left_over(&**disk) {
        warn!(%error, "a segment made ahead by another process stays");
    }
    let (active, segments) = make_active(&**disk, options, scan, last)?;
    assert!(active.chain.lsn == last);
    let recovery = Recovery { records, bytes, verified, last, cut, segments: segments.len() };
    Ok(Recovered { active, segments, recovery })
}

/// Reads and verifies everything, changes nothing.
pub(super) fn inspect(
    disk: &dyn Disk,
    visit: &mut dyn FnMut(Inspected<'_>),
) -> Result<Verified, JournalError> {
    let names = segment::list(disk)?;
    let mut first = None;
    let scan = scan(disk, names, &mut |found| {
        first.get_or_insert(found.lsn);
        visit(*found);
        Ok(())
    })?;
    Ok(Verified {
        segments: scan.segments.len(),
        records: scan.records,
        first,
        last: first.map(|_| scan.last),
        torn: scan.tail.and_then(|tail| tail.cut),
    })
}

// === impl Scan ===

fn scan(disk: &dyn Disk, names: Vec<SegmentName>, visit: &mut Visit<'_>) -> Result<Scan, JournalError> {
    let mut scan = Scan { segments: Vec::new(), records: 0, last: Lsn(0), chain_crc: 0, tail: None };
    if let Some(oldest) = names.first() {
        scan.last = Lsn(oldest.first.0 - 1);
    }
    let mut bytes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let file =
            disk.open(&name.name).map_err(|error| JournalError::io("open segment", &name.name, error))?;
        segment::load(&*file, &name.name, &mut bytes)?;
        scan.segments.push((name.clone(), bytes.len() as u64));
        let next = names.get(index + 1);
        let Some(header) = scan.read_header(name, next, &bytes, index == 0)? else {
            scan.tail = Some(Tail::torn_header(name, file, std::mem::take(&mut bytes)));
            break;
        };
        let walked = scan.walk(name, &header, &bytes, visit)?;
        match next {
            Some(next) => scan.end_of_closed(name, next, &walked)?,
            None => {
                let bytes = std::mem::take(&mut bytes);
                scan.tail = Some(scan.end_of_last(name, file, bytes, header, &walked)?);
            }
        }
    }
    Ok(scan)
}

/// How far the records of a segment go.
struct Walked {
    end: usize,
    synced: Lsn,
    /// What is wrong with what stands at `end`.
    reason: &'static str,
}

impl Scan {
    /// The header, checked against the name and the chain; `None` if the segment was torn while it was
    /// created.
    fn read_header(
        &mut self,
        name: &SegmentName,
        next: Option<&SegmentName>,
        bytes: &[u8],
        oldest: bool,
    ) -> Result<Option<Header>, JournalError> {
        let damaged = |reason: &str| JournalError::Corrupt {
            segment: name.name.clone(),
            byte: 0,
            reason: reason.to_owned(),
        };
        match Header::decode(bytes) {
            Ok(header) if header.first != name.first => Err(damaged("its header has another first record")),
            Ok(header) if !oldest && header.prev_crc != self.chain_crc => {
                Err(damaged("its header does not continue the segment before it"))
            }
            Ok(header) => {
                self.chain_crc = header.prev_crc;
                Ok(Some(header))
            }
            Err(HeaderError::Version(version)) => Err(JournalError::UnsupportedVersion {
                segment: name.name.clone(),
                version,
                supported: VERSION,
            }),
            // The header is synced before the first record is written and before any later segment exists.
            Err(HeaderError::Invalid) if next.is_some() => {
                Err(damaged("its header is not valid, and a later segment exists"))
            }
            Err(HeaderError::Invalid) if nonzero_from(bytes, SEGMENT_HEADER_BYTES).is_some() => {
                Err(damaged("its header is not valid, and records were written after it"))
            }
            Err(HeaderError::Invalid) => Ok(None),
        }
    }

    /// Visits the records of one segment up to the first place where the expected one is not.
    fn walk(
        &mut self,
        name: &SegmentName,
        header: &Header,
        bytes: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<Walked, JournalError> {
        assert!(header.first.0 == self.last.0 + 1);
        let mut chain = Chain { lsn: self.last, crc: self.chain_crc };
        let (mut end, mut synced) = (SEGMENT_HEADER_BYTES, Lsn(0));
        let reason = loop {
            let frame = match decode(&bytes[end.min(bytes.len())..], header.salt) {
                Decoded::Frame(frame) => frame,
                Decoded::Short { .. } => break "is not whole",
                Decoded::Invalid(reason) => break reason,
            };
            if let Err(reason) = chain.follow(&frame) {
                break reason;
            }
            visit(&inspected(name, end, &frame))?;
            synced = frame.synced_before();
            end += frame.frame_bytes;
            self.records += 1;
        };
        (self.last, self.chain_crc) = (chain.lsn, chain.crc);
        Ok(Walked { end, synced, reason })
    }

    /// A segment with a successor was synced whole before that was created: it ends exactly there, or it has
    /// a hole.
    fn end_of_closed(
        &self,
        name: &SegmentName,
        next: &SegmentName,
        walked: &Walked,
    ) -> Result<(), JournalError> {
        let expected = self.last.0 + 1;
        if next.first.0 == expected {
            return Ok(());
        }
        if next.first.0 < expected {
            return Err(JournalError::Corrupt {
                segment: next.name.clone(),
                byte: 0,
                reason: format!("it starts before record {expected}, where the segment before it ends"),
            });
        }
        Err(JournalError::Hole {
            segment: name.name.clone(),
            byte: walked.end as u64,
            lsn: Lsn(expected),
            reason: walked.reason,
            proof: format!("the later segment {} proves that it was synced", next.name),
        })
    }

    fn end_of_last(
        &self,
        name: &SegmentName,
        file: Box<dyn DiskFile>,
        bytes: Vec<u8>,
        header: Header,
        walked: &Walked,
    ) -> Result<Tail, JournalError> {
        let expected = Lsn(self.last.0 + 1);
        if let Some(byte) = proof_of_sync(&bytes, walked.end, header.salt, expected) {
            return Err(JournalError::Hole {
                segment: name.name.clone(),
                byte: walked.end as u64,
                lsn: expected,
                reason: walked.reason,
                proof: format!("the later record at byte {byte} proves that it was synced"),
            });
        }
        let cut = nonzero_from(&bytes, walked.end).map(|_| Cut {
            segment: name.name.clone(),
            byte: walked.end as u64,
            reason: format!("record {expected} {}", walked.reason),
        });
        let (segment, end, synced) = (name.clone(), walked.end, walked.synced);
        Ok(Tail { segment, file, bytes, header: Some(header), end, synced, cut })
    }
}

fn inspected<'a>(name: &'a SegmentName, byte: usize, frame: &Frame<'a>) -> Inspected<'a> {
    Inspected {
        segment: &name.name,
        byte: byte as u64,
        lsn: frame.lsn,
        len: frame.payload.len() as u32,
        crc: frame.crc,
        unsynced: frame.unsynced,
        payload: frame.payload,
    }
}

/// Looks behind a missing record for a frame that was written after the missing one was synced. Returns its
/// byte.
fn proof_of_sync(bytes: &[u8], from: usize, salt: u32, expected: Lsn) -> Option<usize> {
    let start = nonzero_from(bytes, from)?;
    let from = start - start % FRAME_ALIGN;
    // No more records than this fit behind; the bound keeps chance hits, and with them checksums, rare.
    let lsn_max = (expected.0 + (bytes.len() / FRAME_BYTES_MIN) as u64).min(LSN_MAX);
    (from..bytes.len()).step_by(FRAME_ALIGN).find(|offset| {
        match decode_between(&bytes[*offset..], salt, expected.0, lsn_max) {
            Decoded::Frame(frame) => frame.synced_before() >= expected,
            _ => false,
        }
    })
}

// === impl Tail ===

impl Tail {
    fn torn_header(name: &SegmentName, file: Box<dyn DiskFile>, bytes: Vec<u8>) -> Tail {
        let reason = "the header is not valid: the segment was being created".to_owned();
        let cut = Some(Cut { segment: name.name.clone(), byte: 0, reason });
        let segment = name.clone();
        Tail { segment, file, bytes, header: None, end: SEGMENT_HEADER_BYTES, synced: Lsn(0), cut }
    }

    fn has_records(&self) -> bool {
        self.end > SEGMENT_HEADER_BYTES
    }

    /// Zeroes everything after the last record, so that no stale frame can ever follow a new one.
    fn zero_the_rest(&self) -> Result<(), JournalError> {
        const BLOCK: usize = 64 << 10;
        let zeros = [0; BLOCK];
        let mut offset = self.end;
        while let Some(start) = nonzero_from(&self.bytes, offset) {
            offset = (start + BLOCK).min(self.bytes.len());
            self.file
                .write_at(&zeros[..offset - start], start as u64)
                .map_err(|error| JournalError::io("cut segment", &self.segment.name, error))?;
        }
        Ok(())
    }

    /// Writes again what no sync is known to have reached, and syncs it. After a failed sync the system may
    /// show bytes that are not on the disk and that no later sync would write: only writing them again does.
    fn make_durable(&self, header: &Header) -> Result<(), JournalError> {
        let mut start = 0;
        if self.synced >= header.first {
            start = SEGMENT_HEADER_BYTES;
            while start < self.end {
                let Decoded::Frame(frame) = decode(&self.bytes[start..], header.salt) else {
                    unreachable!("the frames before the end were decoded a moment ago")
                };
                if frame.lsn > self.synced {
                    break;
                }
                start += frame.frame_bytes;
            }
        }
        if start < self.end {
            self.file
                .write_at(&self.bytes[start..self.end], start as u64)
                .map_err(|error| JournalError::io("rewrite the end of segment", &self.segment.name, error))?;
        }
        self.file.sync().map_err(|error| JournalError::io("sync segment", &self.segment.name, error))
    }
}

/// Repairs the tail, or makes the first segment. Afterwards everything up to `last` is durable.
fn make_active(
    disk: &dyn Disk,
    options: &JournalOptions,
    scan: Scan,
    last: Lsn,
) -> Result<(Active, Vec<(Lsn, u64)>), JournalError> {
    let chain = Chain { lsn: last, crc: scan.chain_crc };
    let mut segments: Vec<(Lsn, u64)> = scan.segments.iter().map(|(name, len)| (name.first, *len)).collect();
    if let Some(tail) = scan.tail {
        // A segment without records is made new if it is torn or too short to be worth keeping.
        let short = (tail.bytes.len() as u64) < options.segment_bytes;
        match tail.header {
            Some(header) if tail.has_records() || !short => {
                tail.zero_the_rest()?;
                tail.make_durable(&header)?;
                disk.sync_dir().map_err(|error| JournalError::io("sync directory", "", error))?;
                let capacity = tail.bytes.len();
                return Ok((Active { file: tail.file, header, chain, offset: tail.end, capacity }, segments));
            }
            _ => {
                remove(disk, &tail.segment.name)?;
                segments.pop();
            }
        }
    }
    let header = Header { first: Lsn(last.0 + 1), prev_crc: chain.crc, salt: options.salt };
    let file = segment::create(disk, header, options.segment_bytes)?;
    segments.push((header.first, options.segment_bytes));
    let capacity = options.segment_bytes as usize;
    Ok((Active { file, header, chain, offset: SEGMENT_HEADER_BYTES, capacity }, segments))
}

/// Removes a segment, durably. One that is gone already was removed by an attempt whose directory sync failed: only
/// that is left to do.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> Result<(), JournalError> {
    match disk.remove(name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        removed => removed.map_err(|error| JournalError::io("remove segment", name, error))?,
    }
    disk.sync_dir().map_err(|error| JournalError::io("sync directory after removing segment", name, error))
}
