//! Writer: turns pending records into durable ones, one group at a time, and rolls segments. Knows the active
//! segment and the order of steps; refuses to know who appends and who waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::frame::{Chain, seal};
use super::limits::{SEGMENT_HEADER_BYTES, SPARE_AFTER_PART, WRITER_WAIT_MS_MAX};
use super::pending::BUFFER_BYTES_KEPT;
use super::recovery::Active;
use super::segment::{self, Header, SegmentName};
use super::spare::{self, SPARE_NAME};
use super::{Durability, Inner, JournalError, Lsn};
use crate::disk::DiskFile;

/// The active segment and how far it is. `chain.lsn >= synced`.
pub(super) struct Writer {
    active: Active,
    room: Room,
    /// Where this process began to write in the active segment.
    begun_at: usize,
    /// A spare was asked for since then.
    asked: bool,
    /// The last record reached by a real sync, whatever `Durability` calls durable.
    synced: Lsn,
    /// The buffer that is not pending now.
    idle: Vec<u8>,
}

/// What is behind the active segment's free bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Zeros that were written and synced: a sync writes the data and nothing else.
    Filled,
    /// Space that was reserved, or nobody knows (a segment found at opening): a sync may cost half as much again.
    Reserved,
}

/// Poisons the journal if a commit panics: otherwise appends would be accepted that nobody will ever write.
struct PoisonOnPanic<'a>(&'a Inner);

// === impl Writer ===

impl Writer {
    pub fn new(active: Active) -> Writer {
        let synced = active.chain.lsn;
        let begun_at = active.offset;
        let idle = Vec::with_capacity(BUFFER_BYTES_KEPT);
        Writer { active, room: Room::Reserved, begun_at, asked: false, synced, idle }
    }

    fn name(&self) -> String {
        SegmentName::new(self.active.header.first).name
    }

    fn has_records(&self) -> bool {
        self.active.offset > SEGMENT_HEADER_BYTES
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

    pub(super) fn roll_now(&self) -> Result<(), JournalError> {
        let mut writer = self.writer.lock();
        let records = self.or_poison(|| {
            let records = self.commit_pending(&mut writer)?;
            if writer.has_records() {
                self.roll(&mut writer)?;
            }
            Ok(records)
        })?;
        drop(writer);
        if records > 0 {
            self.announce();
        }
        Ok(())
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
        let mut idle = std::mem::take(&mut writer.idle);
        idle.clear();
        idle.shrink_to(BUFFER_BYTES_KEPT);
        let mut batch = self.pending.lock().take(idle);
        let before = writer.active.chain.lsn;
        if !batch.is_empty() {
            self.write_batch(writer, &mut batch)?;
            self.stats.committed();
        }
        writer.idle = batch;
        Ok((writer.active.chain.lsn.0 - before.0) as usize)
    }

    fn write_batch(&self, writer: &mut Writer, batch: &mut [u8]) -> Result<(), JournalError> {
        if writer.room == Room::Reserved && writer.has_records() && self.spare.lock().is_ready() {
            // Its bytes are given up once: every sync into the spare is cheaper than one into what is left.
            self.roll(writer)?;
        }
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
            self.ask_for_spare(writer);
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

    /// Wakes nobody: whoever prepares comes by often enough, a part of a segment is many commits.
    fn ask_for_spare(&self, writer: &mut Writer) {
        let written = writer.active.offset - writer.begun_at;
        if !writer.asked && written >= writer.active.capacity / SPARE_AFTER_PART {
            writer.asked = true;
            let mut spare = self.spare.lock();
            if spare.ask() {
                // Under the lock the maker begins with: it never sees this without the bytes written by then. And never
                // for one that is being made: it would seem to be ahead again, though it is late.
                self.spare_asked_at.store(self.stats.bytes_written(), Ordering::Relaxed);
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
    /// is the proof that all before it was synced. Takes the spare if it is ready, and waits for none.
    fn roll(&self, writer: &mut Writer) -> Result<(), JournalError> {
        assert!(writer.has_records(), "a record fits into an empty segment");
        if writer.synced < writer.active.chain.lsn {
            self.sync_active(writer)?;
        }
        let chain = writer.active.chain;
        assert!(writer.synced == chain.lsn);
        let header = Header { first: Lsn(chain.lsn.0 + 1), prev_crc: chain.crc, salt: self.options.salt };
        let taken = self.take_spare(header)?;
        let room = if taken.is_some() { Room::Filled } else { Room::Reserved };
        let file = match taken {
            Some(file) => file,
            None => segment::create(&*self.disk, header, self.options.segment_bytes)?,
        };
        let capacity = self.options.segment_bytes as usize;
        writer.active = Active {
            file,
            header,
            chain: Chain { lsn: chain.lsn, crc: chain.crc },
            offset: SEGMENT_HEADER_BYTES,
            capacity,
        };
        (writer.room, writer.begun_at, writer.asked) = (room, SEGMENT_HEADER_BYTES, false);
        {
            let mut segments = self.segments.lock();
            segments.push_back((header.first, self.options.segment_bytes));
            if room == Room::Filled {
                // Under the segments' lock: its bytes are counted in one place or the other.
                self.spare.lock().gone();
            }
        }
        self.stats.rolled();
        debug!(first = %header.first, ?room, "new journal segment");
        Ok(())
    }

    /// The spare, if one is ready, as the segment of `header`.
    ///
    /// A failed write or sync is one like any other and poisons. That the name cannot be given does not: somebody
    /// may have tidied temporary files away, and a segment can still be created.
    fn take_spare(&self, header: Header) -> Result<Option<Box<dyn DiskFile>>, JournalError> {
        let spare = self.spare.lock().take();
        let Some(file) = spare else { return Ok(None) };
        if let Err(error) = segment::place(&*self.disk, &*file, SPARE_NAME, header)? {
            warn!(%error, "the segment made ahead cannot be used: another is created");
            self.stats.spare_failed();
            // Best effort: what stays is removed before the next is made.
            let _ = spare::remove_left_over(&*self.disk);
            self.spare.lock().gone();
            return Ok(None);
        }
        self.stats.spare_taken();
        Ok(Some(file))
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
