//! Segment: a file with a header and room for records. Knows its name, header, creation and how to load it;
//! refuses to know what is in the records, and when to roll.

use std::io;

use super::frame::{u32_at, u64_at};
use super::limits::{LSN_MAX, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES};
use super::{JournalError, Lsn};
use crate::disk::{Disk, DiskFile};

const MAGIC: [u8; 8] = *b"GATEJRNL";
pub(super) const VERSION: u32 = 1;
const NAME_PREFIX: &str = "journal-";
const NAME_SUFFIX: &str = ".seg";
const NAME_DIGITS: usize = 20;

/// A segment as the directory shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentName {
    pub first: Lsn,
    pub name: String,
}

/// What a header says, magic and checksum being right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub first: Lsn,
    /// The checksum of the record before `first`; 0 if the journal starts here.
    pub prev_crc: u32,
    pub salt: u32,
}

/// Why a header could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Torn, damaged, or never written.
    Invalid,
    /// Whole, and of another format.
    Version(u32),
}

// === impl SegmentName ===

impl SegmentName {
    pub fn new(first: Lsn) -> SegmentName {
        SegmentName { first, name: format!("{NAME_PREFIX}{:0NAME_DIGITS$}{NAME_SUFFIX}", first.0) }
    }

    /// `None`: not a segment's name. An error: it looks like one, and is none that we gave.
    fn parse(name: &str) -> Option<Result<SegmentName, JournalError>> {
        let digits = name.strip_prefix(NAME_PREFIX)?.strip_suffix(NAME_SUFFIX)?;
        let first = digits.parse().ok().filter(|first| (1..=LSN_MAX).contains(first));
        Some(match first.map(|first| SegmentName::new(Lsn(first))) {
            Some(segment) if segment.name == name => Ok(segment),
            _ => Err(JournalError::Corrupt {
                segment: name.to_owned(),
                byte: 0,
                reason: "its name is not a segment's name".to_owned(),
            }),
        })
    }
}

// === impl Header ===

impl Header {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.prev_crc.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else { return Err(HeaderError::Invalid) };
        if bytes[..8] != MAGIC || u32_at(bytes, 28) != crc32fast::hash(&bytes[..28]) {
            return Err(HeaderError::Invalid);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let first = Lsn(u64_at(bytes, 12));
        Ok(Header { first, prev_crc: u32_at(bytes, 20), salt: u32_at(bytes, 24) })
    }
}

/// The segments in the directory, oldest first.
pub(super) fn list(disk: &dyn Disk) -> Result<Vec<SegmentName>, JournalError> {
    let names = disk.list().map_err(|error| JournalError::io("list files", "", error))?;
    let parsed = names.iter().filter_map(|name| SegmentName::parse(name));
    let mut segments = parsed.collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Creates a segment, header and name durable before this returns: only then may a record follow. Cost: two
/// syncs and reserving the space.
pub(super) fn create(disk: &dyn Disk, header: Header, bytes: u64) -> Result<Box<dyn DiskFile>, JournalError> {
    let name = SegmentName::new(header.first).name;
    let file = disk.create(&name, bytes).map_err(|error| JournalError::io("create segment", &name, error))?;
    write_header(&*file, header, &name)?;
    sync_name(disk, &name)?;
    Ok(file)
}

/// Makes a segment of `file`, which is called `from` and has only zeros. Header and name are durable before this
/// returns, and the name is not there before the header is. Cost: two syncs.
///
/// `Ok` and an error inside: the name could not be given, nothing has happened, and the segment may be created.
pub(super) fn place(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    from: &str,
    header: Header,
) -> Result<io::Result<()>, JournalError> {
    let name = SegmentName::new(header.first).name;
    // A renaming would replace what has the name; a segment is never replaced.
    match disk.open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => {
            let error = found.err().unwrap_or_else(|| io::ErrorKind::AlreadyExists.into());
            return Err(JournalError::io("create segment", &name, error));
        }
    }
    write_header(file, header, &name)?;
    if let Err(error) = disk.rename(from, &name) {
        return Ok(Err(error));
    }
    sync_name(disk, &name).map(Ok)
}

fn write_header(file: &dyn DiskFile, header: Header, name: &str) -> Result<(), JournalError> {
    file.write_at(&header.encode(), 0)
        .map_err(|error| JournalError::io("write header of segment", name, error))?;
    file.sync().map_err(|error| JournalError::io("sync header of segment", name, error))
}

fn sync_name(disk: &dyn Disk, name: &str) -> Result<(), JournalError> {
    disk.sync_dir().map_err(|error| JournalError::io("sync directory for segment", name, error))
}

/// Reads a whole segment into `bytes`, replacing what was there.
pub(super) fn load(file: &dyn DiskFile, name: &str, bytes: &mut Vec<u8>) -> Result<(), JournalError> {
    let failed = |error| JournalError::io("read segment", name, error);
    let len = file.len().map_err(failed)?;
    if len > SEGMENT_BYTES_MAX {
        return Err(JournalError::Corrupt {
            segment: name.to_owned(),
            byte: SEGMENT_BYTES_MAX,
            reason: format!("it has {len} bytes, more than any segment"),
        });
    }
    bytes.clear();
    bytes.resize(len as usize, 0);
    let read = file.read_at(bytes, 0).map_err(failed)?;
    if read < bytes.len() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

/// Where the first byte that is not zero stands, at or after `from`. Cost: a memory compare.
pub(super) fn nonzero_from(bytes: &[u8], from: usize) -> Option<usize> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let rest = bytes.get(from..)?;
    for (index, block) in rest.chunks(ZEROS.len()).enumerate() {
        if *block != ZEROS[..block.len()] {
            let inside = block.iter().position(|byte| *byte != 0).expect("the block differs from zeros");
            return Some(from + index * ZEROS.len() + inside);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_only_in_the_form_it_is_written() {
        let good = SegmentName::new(Lsn(42));
        assert_eq!(good.name, "journal-00000000000000000042.seg");
        assert_eq!(SegmentName::parse(&good.name).unwrap().unwrap(), good);
        for foreign in ["checkpoint-1", "journal-1", "journal-00000000000000000042.seg.bak", ""] {
            assert!(SegmentName::parse(foreign).is_none(), "{foreign}");
        }
        for wrong in [
            "journal-42.seg",
            "journal-00000000000000000000.seg",
            "journal-18446744073709551615.seg",
            "journal-+0000000000000000042.seg",
            "journal-x.seg",
            "journal-.seg",
        ] {
            assert!(SegmentName::parse(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_seen() {
        let header = Header { first: Lsn(3), prev_crc: 0x0102_0304, salt: 5 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        assert_eq!(&bytes[..12], b"GATEJRNL\x01\0\0\0");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), Err(HeaderError::Invalid));
        }
        assert_eq!(Header::decode(&bytes[..31]), Err(HeaderError::Invalid));
    }

    #[test]
    fn a_later_version_is_named_and_not_called_damage() {
        let mut bytes = Header { first: Lsn(3), prev_crc: 0, salt: 0 }.encode();
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Version(2)));
    }

    #[test]
    fn the_first_byte_that_is_not_zero_is_found() {
        let mut bytes = vec![0; 10_000];
        assert_eq!(nonzero_from(&bytes, 0), None);
        assert_eq!(nonzero_from(&bytes, 20_000), None);
        bytes[8193] = 1;
        assert_eq!(nonzero_from(&bytes, 3), Some(8193));
        assert_eq!(nonzero_from(&bytes, 8194), None);
    }
}
