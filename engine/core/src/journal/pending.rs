//! Pending: records that have an LSN and wait for the writer, as frames without checksums. Knows one buffer
//! and the last number; refuses to know disks, threads and time.

use super::frame::{begin, finish};
use super::limits::{FRAME_HEADER_BYTES, GATHER_RECORDS_MAX, LSN_MAX};
use super::{AppendError, Lsn};
use std::cell::Cell;

/// Capacity a buffer keeps after a surge, in bytes: enough for any usual batch.
pub(super) const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// The buffer that `append` fills and `commit` takes.
pub(super) struct Pending {
    bytes: Vec<u8>,
    /// Where the last whole frame ends. Bytes behind it are of an encoder that panicked: they never count.
    end: usize,
    last: Lsn,
    poisoned: bool,
    /// Records since the last `take`.
    records: u32,
    /// Somebody waits for what is here: the writer shall begin.
    due: bool,
    /// The writer sleeps: whoever makes something due wakes it, and clears this.
    pub writer_waits: bool,
    /// The writer shall drain and return.
    pub stopping: bool,
}

thread_local! {
    /// This thread says by a nudge when the writer shall begin.
    static GATHERS: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's records wait for a nudge.
pub fn gather_on_this_thread() {
    GATHERS.set(true);
}

// === impl Pending ===

impl Pending {
    pub fn after(last: Lsn) -> Pending {
        let bytes = Vec::with_capacity(BUFFER_BYTES_KEPT);
        Pending {
            bytes,
            end: 0,
            last,
            poisoned: false,
            records: 0,
            due: false,
            writer_waits: false,
            stopping: false,
        }
    }

    pub fn append(
        &mut self,
        encode: impl FnOnce(Lsn, &mut Vec<u8>),
        pending_bytes_max: usize,
        record_bytes_max: usize,
    ) -> Result<Lsn, AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        if self.end >= pending_bytes_max {
            return Err(AppendError::Full);
        }
        let lsn = Lsn(self.last.0 + 1);
        assert!(lsn.0 <= LSN_MAX);
        self.bytes.truncate(self.end);
        let start = begin(&mut self.bytes);
        encode(lsn, &mut self.bytes);
        assert!(self.bytes.len() >= start + FRAME_HEADER_BYTES, "an encoder may only append");
        let bytes = self.bytes.len() - start - FRAME_HEADER_BYTES;
        if bytes == 0 {
            return Err(AppendError::Empty);
        }
        if bytes > record_bytes_max {
            return Err(AppendError::TooLarge { bytes, max: record_bytes_max });
        }
        finish(&mut self.bytes, start, lsn);
        (self.end, self.last) = (self.bytes.len(), lsn);
        self.records += 1;
        self.due |= !GATHERS.get() || self.records >= GATHER_RECORDS_MAX;
        Ok(lsn)
    }

    /// Nothing more comes at once: what waits is due.
    pub fn nudge(&mut self) {
        self.due |= self.end > 0;
    }

    /// Whether the writer sleeps and has a reason not to. Asked by whoever then wakes it: once.
    pub fn wakes_writer(&mut self) -> bool {
        self.has_work() && std::mem::take(&mut self.writer_waits)
    }

    /// Swaps the waiting frames for `spare`, an empty buffer. Cost: no copy.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        assert!(spare.is_empty());
        self.bytes.truncate(self.end);
        (self.end, self.records, self.due) = (0, 0, false);
        std::mem::replace(&mut self.bytes, spare)
    }

    /// Drops what waits, and everything to come.
    pub fn poison(&mut self) {
        self.poisoned = true;
        self.bytes = Vec::new();
        self.end = 0;
    }

    pub fn len(&self) -> usize {
        self.end
    }

    /// Whether the writer has a reason not to sleep.
    pub fn has_work(&self) -> bool {
        self.due || self.stopping || self.poisoned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(pending: &mut Pending, payload: &[u8]) -> Result<Lsn, AppendError> {
        pending.append(|_, buffer| buffer.extend_from_slice(payload), 100, 50)
    }

    #[test]
    fn a_refused_record_leaves_nothing_behind() {
        let mut pending = Pending::after(Lsn(9));
        assert_eq!(append(&mut pending, b""), Err(AppendError::Empty));
        assert_eq!(append(&mut pending, &[1; 51]), Err(AppendError::TooLarge { bytes: 51, max: 50 }));
        assert_eq!(pending.len(), 0);
        assert_eq!(append(&mut pending, &[1; 50]), Ok(Lsn(10)));
        assert_eq!(append(&mut pending, &[1; 1]), Ok(Lsn(11)));
        assert_eq!(append(&mut pending, &[1; 1]), Err(AppendError::Full));
        assert_eq!(pending.take(Vec::new()).len(), 112);
        assert_eq!(append(&mut pending, &[1; 1]), Ok(Lsn(12)));
        pending.poison();
        assert_eq!(append(&mut pending, &[1; 1]), Err(AppendError::Poisoned));
        assert!(pending.take(Vec::new()).is_empty());
    }

    #[test]
    fn an_encoder_that_panics_uses_no_number_and_leaves_no_bytes() {
        let mut pending = Pending::after(Lsn(0));
        append(&mut pending, b"a").unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = pending.append(
                |_, buffer| {
                    buffer.push(1);
                    panic!("on purpose");
                },
                100,
                50,
            );
        }));
        assert!(panicked.is_err());
        assert_eq!(pending.len(), 32);
        assert_eq!(append(&mut pending, b"b"), Ok(Lsn(2)));
        assert_eq!(pending.take(Vec::new()).len(), 64);
    }

    #[test]
    fn what_a_gathering_thread_appends_is_due_with_its_nudge_or_when_it_is_enough() {
        let mut pending = Pending::after(Lsn(0));
        let one = |pending: &mut Pending| {
            pending.append(|_, buffer| buffer.push(1), usize::MAX, 50).unwrap();
            pending.has_work()
        };
        pending.nudge();
        assert!(!pending.has_work(), "nothing is there");
        assert!(one(&mut pending), "an ordinary thread's record is due at once");
        pending.take(Vec::new());
        // A thread of its own: it gathers for the rest of its life.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gather_on_this_thread();
                pending.writer_waits = true;
                assert!(!one(&mut pending) && !one(&mut pending) && !pending.wakes_writer());
                pending.nudge();
                assert!(pending.wakes_writer(), "nudged");
                assert!(!pending.wakes_writer(), "a writer is woken once");
                pending.take(Vec::new());
                assert!((1..GATHER_RECORDS_MAX).all(|_| !one(&mut pending)));
                assert!(one(&mut pending), "enough for a sync");
            });
        });
        assert!(pending.has_work());
    }
}
