//! Writer: turns pending records into durable ones, one group at a time, and rolls segments. Knows the active
//! segment and the order of steps; refuses to know who appends and who waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::debug;

use super::frame::{Chain, seal};
use super::limits::{SEGMENT_HEADER_BYTES, WRITER_WAIT_MS_MAX};
use super::pending::BUFFER_BYTES_KEPT;
use super::recovery::Active;
use super::segment::{self, Header, SegmentName};
use super::{Durability, Inner, JournalError, Lsn};

/// The active segment and how far it is. `chain.lsn >= synced`.
pub(super) struct Writer {
    active: Active,
    /// The last record reached by a real sync, whatever `Durability` calls durable.
    synced: Lsn,
    /// The buffer that is not pending now.
    spare: Vec<u8>,
}

/// Poisons the journal if a commit panics: otherwise appends would be accepted that nobody will ever write.
struct PoisonOnPanic<'a>(&'a Inner);

// === impl Writer ===

impl Writer {
    pub fn new(active: Active) -> Writer {
        let synced = active.chain.lsn;
        Writer { active, synced, spare: Vec::with_capacity(BUFFER_BYTES_KEPT) }
    }

    fn name(&self) -> String {
        SegmentName::new(self.active.header.first).name
    }
}

// === impl Inner: the commit ===

impl Inner {
    pub(super) fn commit(&self) -> Result<usize, JournalError> {
        let mut writer = self.writer.lock();
        let records = self.or_poison(|| self.commit_pending(&mut writer))?;
        // Outside the writer's lock: whoever is woken may want to commit.
        drop(writer);
        if records > 0 {
            self.announce();
        }
        Ok(records)
    }

    pub(super) fn sync(&self) -> Result<Lsn, JournalError> {
        let mut writer = self.writer.lock();
        let records = self.or_poison(|| {
            let records = self.commit_pending(&mut writer)?;
            if writer.synced < writer.active.chain.lsn {
                self.sync_active(&mut writer)?;
            }
            Ok(records)
        })?;
        let last = writer.synced;
        drop(writer);
        if records > 0 {
            self.announce();
        }
        Ok(last)
    }

    /// Runs a step of the writer; an error or panic poisons before the writer's lock is released, so that
    /// nobody ever goes on with a writer that failed.
    fn or_poison<T>(&self, step: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
        let _guard = PoisonOnPanic(self);
        if self.poison.get().is_some() {
            return Err(self.poisoned_error());
        }
        step().map_err(|error| {
            self.poison(reason_of(&error));
            self.poisoned_error()
        })
    }

    fn commit_pending(&self, writer: &mut Writer) -> Result<usize, JournalError> {
        let mut spare = std::mem::take(&mut writer.spare);
        spare.clear();
        spare.shrink_to(BUFFER_BYTES_KEPT);
        let mut batch = self.pending.lock().take(spare);
        let before = writer.active.chain.lsn;
        if !batch.is_empty() {
            self.write_batch(writer, &mut batch)?;
            self.stats.committed();
        }
        writer.spare = batch;
        Ok((writer.active.chain.lsn.0 - before.0) as usize)
    }

    fn write_batch(&self, writer: &mut Writer, batch: &mut [u8]) -> Result<(), JournalError> {
        let mut rest = batch;
        while !rest.is_empty() {
            let active = &mut writer.active;
            let room = active.capacity - active.offset;
            let before = active.chain.lsn;
            let sealed = seal(rest, room, &mut active.chain, active.header.salt, writer.synced);
            if sealed == 0 {
                self.roll(writer)?;
                continue;
            }
            let (now, later) = rest.split_at_mut(sealed);
            active.file.write_at(now, active.offset as u64).map_err(|error| {
                JournalError::io("write segment", &SegmentName::new(active.header.first).name, error)
            })?;
            active.offset += sealed;
            assert!(active.offset <= active.capacity);
            self.stats.wrote(active.chain.lsn.0 - before.0, sealed as u64);
            self.publish_written(active.chain.lsn);
            rest = later;
        }
        match self.options.durability {
            Durability::Fsync => self.sync_active(writer),
            Durability::Os => {
                self.publish_durable(writer.active.chain.lsn);
                Ok(())
            }
        }
    }

    fn sync_active(&self, writer: &mut Writer) -> Result<(), JournalError> {
        let started = Instant::now();
        writer.active.file.sync().map_err(|error| JournalError::io("sync segment", &writer.name(), error))?;
        self.stats.synced(started.elapsed());
        writer.synced = writer.active.chain.lsn;
        self.publish_durable(writer.synced);
        Ok(())
    }

    /// Finishes the active segment and starts the next. The sync comes first, always: a segment's existence
    /// is the proof that all before it was synced.
    fn roll(&self, writer: &mut Writer) -> Result<(), JournalError> {
        assert!(writer.active.offset > SEGMENT_HEADER_BYTES, "a record fits into an empty segment");
        if writer.synced < writer.active.chain.lsn {
            self.sync_active(writer)?;
        }
        let chain = writer.active.chain;
        assert!(writer.synced == chain.lsn);
        let header = Header { first: Lsn(chain.lsn.0 + 1), prev_crc: chain.crc, salt: self.options.salt };
        let file = segment::create(&*self.disk, header, self.options.segment_bytes)?;
        let capacity = self.options.segment_bytes as usize;
        writer.active = Active {
            file,
            header,
            chain: Chain { lsn: chain.lsn, crc: chain.crc },
            offset: SEGMENT_HEADER_BYTES,
            capacity,
        };
        self.segments.lock().push_back((header.first, self.options.segment_bytes));
        self.stats.rolled();
        debug!(first = %header.first, "new journal segment");
        Ok(())
    }

    fn publish_written(&self, lsn: Lsn) {
        assert!(lsn.0 <= self.next.load(Ordering::Acquire));
        let before = self.written.swap(lsn.0, Ordering::Release);
        assert!(before < lsn.0);
    }

    fn publish_durable(&self, lsn: Lsn) {
        assert!(lsn.0 <= self.written.load(Ordering::Acquire));
        // Equal after `sync` under `Durability::Os`, and after a roll between two batches.
        let before = self.durable.swap(lsn.0, Ordering::Release);
        assert!(before <= lsn.0);
    }
}

// === impl Inner: the writer thread ===

impl Inner {
    pub(super) fn run_writer(&self) {
        loop {
            let stopping = self.wait_for_work();
            // An error was logged where it poisoned the journal, and every waiter was told.
            match self.commit() {
                Ok(0) if stopping => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        // Under `Durability::Os` the end of the process is the last chance; an error is handled as any other.
        let _ = self.sync();
    }

    /// Sleeps until there is something to do, bounded. Returns whether the writer shall stop once all is
    /// drained.
    fn wait_for_work(&self) -> bool {
        let mut pending = self.pending.lock();
        if !pending.has_work() {
            pending.writer_waits = true;
            self.work.wait_for(&mut pending, Duration::from_millis(WRITER_WAIT_MS_MAX));
            pending.writer_waits = false;
        }
        pending.stopping
    }
}

// === impl PoisonOnPanic ===

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("the journal's commit panicked".to_owned());
        }
    }
}

/// The error and its causes in one line.
fn reason_of(error: &JournalError) -> String {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason
}
