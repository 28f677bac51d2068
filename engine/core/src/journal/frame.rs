//! Frame: one record as bytes, drawn in the module `journal`. Knows the layout, the checksum and the chain;
//! refuses to know disks, segments and what a payload means.

use super::Lsn;
use super::limits::{FRAME_ALIGN, FRAME_BYTES_MIN, FRAME_HEADER_BYTES, LSN_MAX, RECORD_BYTES_MAX};

/// A frame whose checksum is right. Whether it belongs where it was found, the reader's chain must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub lsn: Lsn,
    pub crc: u32,
    pub prev_crc: u32,
    /// `lsn` minus the last LSN that was synced when this frame was written; at least 1.
    pub unsynced: u32,
    pub payload: &'a [u8],
    /// Bytes of the frame with header and padding.
    pub frame_bytes: usize,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    Frame(Frame<'a>),
    /// Maybe a frame: `needed` bytes would tell.
    Short {
        needed: usize,
    },
    Invalid(&'static str),
}

/// Where the chain stands: the last record and its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub lsn: Lsn,
    pub crc: u32,
}

// === impl Frame ===

impl Frame<'_> {
    /// The last record that was surely durable when this one was written.
    pub fn synced_before(&self) -> Lsn {
        Lsn(self.lsn.0 - u64::from(self.unsynced))
    }
}

// === impl Chain ===

impl Chain {
    /// Takes `frame` as the next link, or says why it is none.
    pub fn follow(&mut self, frame: &Frame<'_>) -> Result<(), &'static str> {
        if frame.lsn.0 != self.lsn.0 + 1 {
            return Err("has the number of another record");
        }
        if frame.prev_crc != self.crc {
            return Err("does not continue the checksum of the record before it");
        }
        *self = Chain { lsn: frame.lsn, crc: frame.crc };
        Ok(())
    }
}

/// Bytes of the frame around `payload_bytes`.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(FRAME_ALIGN)
}

/// Reserves the header of a frame; the payload is appended next. Returns where the frame starts.
pub(super) fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    debug_assert!(start.is_multiple_of(FRAME_ALIGN));
    buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    start
}

/// Completes the frame that [`begin`] started, but for what only the writer knows: checksum, chain and
/// `unsynced`.
pub(super) fn finish(buffer: &mut Vec<u8>, start: usize, lsn: Lsn) {
    let len = buffer.len() - start - FRAME_HEADER_BYTES;
    let end = start + frame_bytes(len);
    buffer.resize(end, 0);
    buffer[start..start + 4].copy_from_slice(&(len as u32).to_le_bytes());
    buffer[start + 8..start + 16].copy_from_slice(&lsn.0.to_le_bytes());
}

/// Seals frames from the start of `batch` as long as they fit into `room` bytes: links each to `chain`, and
/// writes `unsynced` and the checksum. Returns the bytes sealed, 0 if not even the first frame fits.
pub(super) fn seal(batch: &mut [u8], room: usize, chain: &mut Chain, salt: u32, synced: Lsn) -> usize {
    let mut sealed = 0;
    while sealed < batch.len() {
        let frame = &mut batch[sealed..];
        let len = u32_at(frame, 0) as usize;
        assert!(len > 0);
        assert!(len <= RECORD_BYTES_MAX);
        let bytes = frame_bytes(len);
        if sealed + bytes > room {
            break;
        }
        let lsn = Lsn(u64_at(frame, 8));
        assert!(lsn.0 == chain.lsn.0 + 1);
        assert!(lsn > synced);
        let unsynced = u32::try_from(lsn.0 - synced.0).expect("a segment cannot hold so many records");
        frame[16..20].copy_from_slice(&chain.crc.to_le_bytes());
        frame[20..24].copy_from_slice(&unsynced.to_le_bytes());
        let crc = checksum(&frame[..FRAME_HEADER_BYTES + len], salt);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        *chain = Chain { lsn, crc };
        sealed += bytes;
    }
    sealed
}

/// Judges the bytes at a frame's place. Cost: the checksum of the payload, if the header is plausible.
pub(super) fn decode(bytes: &[u8], salt: u32) -> Decoded<'_> {
    decode_between(bytes, salt, 1, LSN_MAX)
}

/// Like [`decode`], and refuses other LSNs before any checksum is computed: a search stays cheap.
pub(super) fn decode_between(bytes: &[u8], salt: u32, lsn_min: u64, lsn_max: u64) -> Decoded<'_> {
    if bytes.len() < FRAME_BYTES_MIN {
        return Decoded::Short { needed: FRAME_BYTES_MIN };
    }
    let len = u32_at(bytes, 0) as usize;
    if len == 0 {
        return Decoded::Invalid("is missing");
    }
    if len > RECORD_BYTES_MAX {
        return Decoded::Invalid("has an impossible length");
    }
    let lsn = u64_at(bytes, 8);
    if lsn < lsn_min || lsn > lsn_max {
        return Decoded::Invalid("has the number of another record");
    }
    let unsynced = u32_at(bytes, 20);
    if unsynced == 0 || u64::from(unsynced) > lsn {
        return Decoded::Invalid("has an impossible distance to the last sync");
    }
    let frame_bytes = frame_bytes(len);
    if bytes.len() < frame_bytes {
        return Decoded::Short { needed: frame_bytes };
    }
    let crc = u32_at(bytes, 4);
    if crc != checksum(&bytes[..FRAME_HEADER_BYTES + len], salt) {
        return Decoded::Invalid("has a wrong checksum");
    }
    // The padding is not looked at: a record is not given up for a byte that says nothing.
    let payload = &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + len];
    Decoded::Frame(Frame { lsn: Lsn(lsn), crc, prev_crc: u32_at(bytes, 16), unsynced, payload, frame_bytes })
}

/// Over everything but the checksum itself. The salt keeps bytes that came from outside (a code at a gate can
/// hold anything) from looking like a frame.
fn checksum(frame: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(payloads: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let start = begin(&mut buffer);
            buffer.extend_from_slice(payload);
            finish(&mut buffer, start, Lsn(index as u64 + 6));
        }
        buffer
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let mut bytes = batch(&[b"hello", b"12345678"]);
        let mut chain = Chain { lsn: Lsn(5), crc: 77 };
        let sealed = seal(&mut bytes, usize::MAX, &mut chain, 9, Lsn(3));
        assert_eq!(sealed, 64);
        let mut check = Chain { lsn: Lsn(5), crc: 77 };
        let Decoded::Frame(first) = decode(&bytes, 9) else { panic!("first") };
        assert_eq!(
            (first.lsn, first.prev_crc, first.unsynced, first.payload),
            (Lsn(6), 77, 3, &b"hello"[..])
        );
        assert_eq!(first.synced_before(), Lsn(3));
        check.follow(&first).unwrap();
        let Decoded::Frame(second) = decode(&bytes[32..], 9) else { panic!("second") };
        check.follow(&second).unwrap();
        assert_eq!(check, chain);
        assert!(check.follow(&second).is_err());
    }

    #[test]
    fn sealing_stops_where_the_room_ends() {
        let mut bytes = batch(&[b"a", b"b", b"c"]);
        let mut chain = Chain { lsn: Lsn(5), crc: 0 };
        assert_eq!(seal(&mut bytes, 31, &mut chain, 0, Lsn(5)), 0);
        assert_eq!(seal(&mut bytes, 95, &mut chain, 0, Lsn(5)), 64);
        assert_eq!(chain.lsn, Lsn(7));
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut bytes = batch(&[b"hello"]);
        let mut chain = Chain { lsn: Lsn(5), crc: 0x0403_0201 };
        seal(&mut bytes, usize::MAX, &mut chain, 0, Lsn(5));
        assert_eq!(bytes[..4], [5, 0, 0, 0]);
        assert_eq!(bytes[4..8], chain.crc.to_le_bytes());
        assert_eq!(bytes[8..16], [6, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [1, 2, 3, 4, 1, 0, 0, 0]);
        assert_eq!(&bytes[24..], b"hello\0\0\0");
    }

    #[test]
    fn a_frame_of_another_salt_or_a_cut_frame_is_none() {
        let mut bytes = batch(&[b"hello"]);
        seal(&mut bytes, usize::MAX, &mut Chain { lsn: Lsn(5), crc: 0 }, 1, Lsn(5));
        assert_eq!(decode(&bytes, 2), Decoded::Invalid("has a wrong checksum"));
        assert_eq!(decode(&bytes[..31], 1), Decoded::Short { needed: 32 });
        assert_eq!(decode_between(&bytes, 1, 7, 9), Decoded::Invalid("has the number of another record"));
    }
}
