//! Reader: durable records in order, for whoever follows the journal (projector, feed, export). Knows where
//! it stands; refuses to know the writer's buffers: it sees only what the disk has.

use std::io;
use std::sync::Arc;

use super::frame::{Chain, Decoded, Frame, decode};
use super::limits::{FRAME_BYTES_MIN, READ_BYTES, SEGMENT_HEADER_BYTES};
use super::segment::{Header, SegmentName};
use super::{Inner, JournalError, Lsn};
use crate::disk::DiskFile;

/// A place in the journal that moves forward. Not shared: each follower has its own.
pub struct Reader {
    inner: Arc<Inner>,
    /// The first record not yet returned.
    next: Lsn,
    place: Option<Place>,
    buffer: Vec<u8>,
}

/// Where in which segment the next frame starts.
struct Place {
    file: Box<dyn DiskFile>,
    header: Header,
    name: String,
    /// The last record before `offset`.
    chain: Chain,
    offset: u64,
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(inner: Arc<Inner>, after: Lsn) -> Reader {
        Reader { inner, next: Lsn(after.0.saturating_add(1)), place: None, buffer: Vec::new() }
    }

    /// The first record not yet returned.
    pub fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// Appends the next durable records to `out`: at most `bytes_max` bytes of payload, but at least one
    /// record if there is one. Nothing appended means: nothing new. Checksums and chain are verified again.
    ///
    /// Cost: one read of the disk for about 256 KiB; the first call also reads its segment up to the place.
    ///
    /// # Errors
    /// `Gone` if the segment was deleted. After an error `out` has what was read before it, and reading may
    /// be tried again.
    pub fn read(&mut self, bytes_max: usize, out: &mut Vec<(Lsn, Vec<u8>)>) -> Result<(), JournalError> {
        let durable = self.inner.positions().durable;
        let mut budget = Budget { left: bytes_max, any: false };
        while self.next <= durable && !budget.spent() {
            let last = self.settle(durable)?;
            if let Err(error) = self.read_run(last, &mut budget, out) {
                self.place = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes `place` the segment of `next`; returns the last record to read from it.
    fn settle(&mut self, durable: Lsn) -> Result<Lsn, JournalError> {
        let (first, last) = {
            let segments = self.inner.segments.lock();
            let behind = segments.partition_point(|(first, _)| *first <= self.next);
            let Some(index) = behind.checked_sub(1) else {
                let oldest = segments.front().expect("the active segment is never deleted").0;
                return Err(JournalError::Gone { oldest });
            };
            let last = segments.get(behind).map_or(durable, |(next, _)| Lsn(next.0 - 1).min(durable));
            (segments[index].0, last)
        };
        if self.place.as_ref().is_none_or(|place| place.header.first != first) {
            self.place = Some(self.open(first)?);
        }
        Ok(last)
    }

    fn open(&self, first: Lsn) -> Result<Place, JournalError> {
        let name = SegmentName::new(first).name;
        let file = match self.inner.disk.open(&name) {
            Ok(file) => file,
            // Deleted between the look-up and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.inner.oldest() > first => {
                return Err(JournalError::Gone { oldest: self.inner.oldest() });
            }
            Err(error) => return Err(JournalError::io("open segment", &name, error)),
        };
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        file.read_at(&mut bytes, 0).map_err(|error| JournalError::io("read segment", &name, error))?;
        match Header::decode(&bytes) {
            Ok(header) if header.first == first => {
                let chain = Chain { lsn: Lsn(first.0 - 1), crc: header.prev_crc };
                Ok(Place { file, header, name, chain, offset: SEGMENT_HEADER_BYTES as u64 })
            }
            _ => Err(JournalError::Corrupt {
                segment: name,
                byte: 0,
                reason: "its header changed after it was verified".to_owned(),
            }),
        }
    }

    /// Reads one buffer from `place` and takes the records in it, up to `last` or the budget's end.
    fn read_run(
        &mut self,
        last: Lsn,
        budget: &mut Budget,
        out: &mut Vec<(Lsn, Vec<u8>)>,
    ) -> Result<(), JournalError> {
        let place = self.place.as_mut().expect("settled before");
        place.fill(&mut self.buffer, budget.read_bytes())?;
        let mut start = 0;
        while place.chain.lsn < last {
            let frame = match decode(&self.buffer[start..], place.header.salt) {
                Decoded::Frame(frame) => frame,
                // The buffer ends inside a frame: the next run starts with it.
                Decoded::Short { .. } if start > 0 => return Ok(()),
                Decoded::Short { needed } if needed > self.buffer.len() => {
                    place.fill(&mut self.buffer, needed)?;
                    if self.buffer.len() < needed {
                        return Err(place.corrupt("is not whole"));
                    }
                    continue;
                }
                Decoded::Short { .. } => return Err(place.corrupt("is not whole")),
                Decoded::Invalid(reason) => return Err(place.corrupt(reason)),
            };
            let wanted = frame.lsn >= self.next;
            if wanted && !budget.affords(&frame) {
                return Ok(());
            }
            if let Err(reason) = place.chain.follow(&frame) {
                return Err(place.corrupt(reason));
            }
            if wanted {
                budget.pay(&frame);
                out.push((frame.lsn, frame.payload.to_vec()));
                self.next = Lsn(frame.lsn.0 + 1);
            }
            start += frame.frame_bytes;
            place.offset += frame.frame_bytes as u64;
        }
        Ok(())
    }
}

// === impl Place ===

impl Place {
    fn fill(&self, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), JournalError> {
        buffer.resize(bytes, 0);
        let read = self
            .file
            .read_at(buffer, self.offset)
            .map_err(|error| JournalError::io("read segment", &self.name, error))?;
        buffer.truncate(read);
        Ok(())
    }

    fn corrupt(&self, reason: &str) -> JournalError {
        JournalError::Corrupt {
            segment: self.name.clone(),
            byte: self.offset,
            reason: format!("record {} {reason}, although it is durable", self.chain.lsn.0 + 1),
        }
    }
}

/// What may still be returned.
struct Budget {
    left: usize,
    any: bool,
}

// === impl Budget ===

impl Budget {
    fn affords(&mut self, frame: &Frame<'_>) -> bool {
        let affords = !self.any || frame.payload.len() <= self.left;
        if !affords {
            self.left = 0;
        }
        affords
    }

    fn pay(&mut self, frame: &Frame<'_>) {
        self.left = self.left.saturating_sub(frame.payload.len());
        self.any = true;
    }

    fn spent(&self) -> bool {
        self.any && self.left == 0
    }

    /// How much to read at once: no more than can be used, so that many small reads stay cheap.
    fn read_bytes(&self) -> usize {
        self.left.saturating_mul(2).clamp(FRAME_BYTES_MIN.max(4096), READ_BYTES)
    }
}
