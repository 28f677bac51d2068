//! Journal: the durable truth of this node, an append-only run of numbered records in segment files. Owns the
//! format, the four steps from append to durable, recovery and deletion. Knows bytes and [`Lsn`]; refuses to
//! know tickets, checkpoints, projections, clocks and threads (whoever wants a writer thread calls
//! [`Journal::run_writer`] in one).
//!
//! # Format, version 1 (little-endian)
//!
//! A journal is a directory of segments `journal-{first LSN, 20 digits}.seg`, preallocated with zeros.
//!
//! ```text
//! segment header, 32 bytes
//! offset  0        8        12          20         24     28     32
//!         | magic  | version| first lsn | prev crc | salt | crc  |  frames ...
//!         | 8      | u32    | u64       | u32      | u32  | u32  |
//!   magic     "GATEJRNL"
//!   prev crc  checksum of the record before `first lsn`; 0 where a journal starts
//!   salt      starts every checksum of this segment's records, so that no bytes from outside can pass for one
//!   crc       CRC-32 of bytes 0..28
//!
//! record frame, starts at a multiple of 8
//! offset  0     4     8     16         20         24              24 + len
//!         | len | crc | lsn | prev crc | unsynced | payload ...   | zeros up to a multiple of 8
//!         | u32 | u32 | u64 | u32      | u32      | len bytes     |
//!   len       bytes of payload, 1 to 1 MiB; 0 means: no record here (yet)
//!   crc       CRC-32, started with the salt, over len and everything from lsn to the payload's end
//!   prev crc  checksum of record lsn - 1, also over a segment's border: the chain
//!   unsynced  lsn - (last LSN known to be synced when this was written), at least 1
//! ```
//!
//! A record never spans segments. A segment is synced whole before its successor gets its name, and a
//! segment's header and name are durable before its first record is written. From this and `unsynced`, recovery tells a
//! torn tail from a hole (see the module `recovery`).
//!
//! Beside the segments there may be one `next-segment.tmp`: the next segment made ahead (see the module `spare`). It
//! is no part of the journal and is never read.
//!
//! # One way for the bytes
//!
//! `append` (many threads, under a small mutex: number, encode into the pending buffer) → `commit` (one at a
//! time: take the whole buffer, link and checksum, one write, one sync) → positions, waiters, listeners.
//! While one commit syncs, the next batch gathers by itself: that is the group commit.
//!
//! After one failed write or sync the journal is *poisoned* until the process restarts and recovery looks at
//! what is really there. Trying again proves nothing: the system may have dropped what it could not write.

mod error;
mod frame;
pub mod limits;
mod pending;
mod reader;
mod recovery;
mod segment;
mod spare;
mod stats;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use serde::{Deserialize, Serialize};
use tracing::error;

pub use self::error::{AppendError, JournalError, WaitError};
pub use self::reader::Reader;
pub use self::stats::{SYNC_BUCKETS, SyncStats};

use self::limits::{
    FRAME_HEADER_BYTES, PENDING_BYTES_MAX_DEFAULT, RECORD_BYTES_MAX, SEGMENT_BYTES_DEFAULT,
    SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES,
};
use self::pending::Pending;
use self::segment::SegmentName;
use self::spare::Spare;
use self::stats::Stats;
use self::writer::Writer;
use crate::disk::Disk;

/// A record's number in the journal. 1 is the first; 0 says "nothing yet". Grows by one, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(
    /// The number.
    pub u64,
);

/// When a record counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After `fdatasync`: survives a loss of power.
    #[default]
    Fsync,
    /// After the write: survives the end of the process, not of the power.
    Os,
}

/// How a journal works. `Default` is right for a node at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes reserved for each new segment; 16 MiB. Segments that exist keep their size.
    pub segment_bytes: u64,
    /// When a record counts as durable; `Fsync`.
    pub durability: Durability,
    /// Bytes that may wait for the writer, as frames; 64 MiB. Memory is at most twice this and one record.
    pub pending_bytes_max: usize,
    /// Starts the checksums of new segments; nobody outside should be able to guess it. Drawn by `Default`; a
    /// simulation that wants the same bytes each time sets it.
    pub salt: u32,
}

/// How far the journal is. Always `next >= written >= durable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The last LSN given to a record.
    pub next: Lsn,
    /// The last record handed to the operating system.
    pub written: Lsn,
    /// The last record that is durable in the sense of [`Durability`].
    pub durable: Lsn,
}

/// What [`Journal::open`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Records given to the visitor.
    pub records: u64,
    /// Their payloads, in bytes.
    pub bytes: u64,
    /// Records read and verified, those before `after` included.
    pub verified: u64,
    /// The last record there is (or `after`, in a new journal).
    pub last: Lsn,
    /// What was cut from the end, if anything.
    pub cut: Option<Cut>,
    /// Segments after recovery.
    pub segments: usize,
}

/// A torn tail: from here on nothing had been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment's file name.
    pub segment: String,
    /// The first byte that is cut.
    pub byte: u64,
    /// Why it ends there.
    pub reason: String,
}

/// A record as [`inspect`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected<'a> {
    /// The segment's file name.
    pub segment: &'a str,
    /// Where the frame starts in that file.
    pub byte: u64,
    /// The record's number.
    pub lsn: Lsn,
    /// Bytes of payload.
    pub len: u32,
    /// The frame's checksum.
    pub crc: u32,
    /// `lsn` minus the last LSN that was synced when this record was written.
    pub unsynced: u32,
    /// The payload.
    pub payload: &'a [u8],
}

/// What [`inspect`] found to be whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segment files.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// The first record.
    pub first: Option<Lsn>,
    /// The last record.
    pub last: Option<Lsn>,
    /// What the next start will cut. While a server writes to this journal, this is just its newest batch.
    pub torn: Option<Cut>,
}

/// The journal: a shared handle, cheap to clone.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

/// What [`Journal::open`] calls for a record's number and payload; an error in words ends the opening.
pub type VisitRecord<'a> = dyn FnMut(Lsn, &[u8]) -> Result<(), String> + 'a;

/// The longest that [`Journal::wait_durable`] waits.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

type Listener = Box<dyn Fn() + Send + Sync>;

struct Inner {
    disk: Arc<dyn Disk>,
    options: JournalOptions,
    /// The largest payload: a frame must fit into an empty segment.
    record_bytes_max: usize,

    /// A plain mutex: it is held for one encoding, or for swapping two buffers, never over I/O.
    pending: Mutex<Pending>,
    /// Wakes the writer thread.
    work: Condvar,
    /// Held over a whole commit, I/O included: this is what makes the writer one.
    writer: Mutex<Writer>,

    /// `next >= written >= durable`, always: stored in this order, loaded in the reverse one.
    next: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,

    /// First LSN and bytes of each segment, oldest first; the last one is active. Held for look-ups only.
    segments: Mutex<VecDeque<(Lsn, u64)>>,
    /// Keeps two deletions apart; held over I/O.
    deleting: Mutex<()>,
    /// The next segment, made ahead; held for a look or a change of turn only. Locked after `segments`.
    spare: Mutex<Spare>,
    /// Bytes written in all when a spare was last asked for, and bytes of it that are filled.
    spare_asked_at: AtomicU64,
    spare_filled: AtomicU64,

    /// Set once, before `Pending::poisoned`.
    poison: OnceLock<String>,
    /// Passed between a change of `durable` (or poison) and its signal, so that no waiter sleeps through it.
    advanced: Mutex<()>,
    advanced_signal: Condvar,
    listeners: RwLock<Vec<Listener>>,
    stats: Stats,
}

// === impl Lsn ===

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl JournalOptions ===

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            durability: Durability::Fsync,
            pending_bytes_max: PENDING_BYTES_MAX_DEFAULT,
            // The standard library seeds its hasher from the system's entropy: the only source we need.
            salt: RandomState::new().hash_one(0_u8) as u32,
        }
    }
}

impl JournalOptions {
    fn check(&self) -> Result<(), JournalError> {
        let bounds = [
            ("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            ("pending_bytes_max", self.pending_bytes_max as u64, 1, u64::MAX),
        ];
        for (option, value, min, max) in bounds {
            if value < min || value > max {
                return Err(JournalError::Option { option, value, min, max });
            }
        }
        Ok(())
    }

    fn record_bytes_max(&self) -> usize {
        // Rounded down to the alignment: the padding must fit too.
        let room = self.segment_bytes as usize / 8 * 8 - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES;
        room.min(RECORD_BYTES_MAX)
    }
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `disk`, or starts one at LSN `after + 1` if there is none.
    ///
    /// Reads and verifies every segment, cuts a torn tail, and calls `visit` for every record after `after`,
    /// in order. When this returns, all records found are durable. Cost: reading all segments once, memory
    /// for one of them.
    ///
    /// # Errors
    /// `Hole` and `Corrupt` name the segment and byte and change nothing on the disk; `Missing` and `Behind`
    /// say that the journal and `after` do not belong together.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        after: Lsn,
        visit: &mut VisitRecord<'_>,
    ) -> Result<(Journal, Recovery), JournalError> {
        options.check()?;
        if after.0 >= limits::LSN_MAX {
            return Err(JournalError::Option {
                option: "after",
                value: after.0,
                min: 0,
                max: limits::LSN_MAX - 1,
            });
        }
        let recovered = recovery::recover(&disk, &options, after, visit)?;
        let last = recovered.recovery.last;
        let inner = Inner {
            disk,
            options,
            record_bytes_max: options.record_bytes_max(),
            pending: Mutex::new(Pending::after(last)),
            work: Condvar::new(),
            writer: Mutex::new(Writer::new(recovered.active)),
            next: AtomicU64::new(last.0),
            written: AtomicU64::new(last.0),
            durable: AtomicU64::new(last.0),
            segments: Mutex::new(recovered.segments.into()),
            deleting: Mutex::new(()),
            spare: Mutex::default(),
            spare_asked_at: AtomicU64::new(0),
            spare_filled: AtomicU64::new(0),
            poison: OnceLock::new(),
            advanced: Mutex::new(()),
            advanced_signal: Condvar::new(),
            listeners: RwLock::new(Vec::new()),
            stats: Stats::default(),
        };
        Ok((Journal { inner: Arc::new(inner) }, recovered.recovery))
    }

    /// Gives a record its LSN and lets `encode` append the payload to the buffer it gets (which holds other
    /// records already: append only). On an error nothing is appended and no LSN is used.
    ///
    /// Cost: one mutex and a few copies of bytes; no I/O, no checksum, no allocation but the buffer's growth.
    /// Only the first record after a pause wakes the writer thread. `encode` runs under the mutex: it must
    /// not call the journal.
    pub fn append(&self, encode: impl FnOnce(Lsn, &mut Vec<u8>)) -> Result<Lsn, AppendError> {
        let inner = &*self.inner;
        let mut pending = inner.pending.lock();
        let lsn = pending.append(encode, inner.options.pending_bytes_max, inner.record_bytes_max)?;
        inner.next.store(lsn.0, Ordering::Release);
        inner.wake_writer(pending);
        Ok(lsn)
    }

    /// From now on the records this thread appends do not wake the writer: the thread promises a [`Journal::nudge`]
    /// when it has appended what it has at hand. One sync then serves all of it, and nobody is woken for the first
    /// record while others follow at once. [`GATHER_RECORDS_MAX`](limits::GATHER_RECORDS_MAX) records wake the writer all
    /// the same; a nudge that is forgotten costs up to [`WRITER_WAIT_MS_MAX`](limits::WRITER_WAIT_MS_MAX).
    pub fn gather_on_this_thread(&self) {
        pending::gather_on_this_thread();
    }

    /// Has the writer begin with what was appended. Cost: one mutex, and a wake if the writer sleeps.
    pub fn nudge(&self) {
        let mut pending = self.inner.pending.lock();
        pending.nudge();
        self.inner.wake_writer(pending);
    }

    /// Makes everything pending durable in one group: link, checksum, write, sync, publish. Returns how many
    /// records.
    ///
    /// The writer thread loops over this; tests and the simulator call it by hand. Blocking I/O. The failure
    /// that poisons the journal, and every call after it, return `Poisoned`.
    pub fn commit(&self) -> Result<usize, JournalError> {
        self.inner.commit()
    }

    /// Commits, and then really syncs whatever [`Durability`] says. Returns the last record this covers.
    ///
    /// For whoever is about to make something durable that builds on the journal (a checkpoint), and for the
    /// end.
    pub fn sync(&self) -> Result<Lsn, JournalError> {
        self.inner.sync()
    }

    /// Closes the active segment, so that it can be deleted once nobody needs it; nothing where it has no record. Costs a
    /// sync, and a segment that is mostly empty: for what has to go soon, not for every day.
    ///
    /// # Errors
    /// As `commit`.
    pub fn roll(&self) -> Result<(), JournalError> {
        self.inner.roll_now()
    }

    /// The writer thread's body: commits whenever there is something, returns after [`Journal::stop_writer`]
    /// when all is drained and synced, or when the journal is poisoned.
    pub fn run_writer(&self) {
        self.inner.run_writer();
    }

    /// Asks the writer thread to drain and return; final for this journal. Records appended later wait for a
    /// `commit`.
    pub fn stop_writer(&self) {
        self.inner.pending.lock().stopping = true;
        self.inner.work.notify_all();
    }

    /// How far the journal is. Cost: three atomic loads.
    pub fn positions(&self) -> Positions {
        self.inner.positions()
    }

    /// Whether a write or sync failed in this process.
    pub fn poisoned(&self) -> bool {
        self.inner.poison.get().is_some()
    }

    /// The first failure, for the operator.
    pub fn poison_reason(&self) -> Option<String> {
        self.inner.poison.get().cloned()
    }

    /// Blocks until `lsn` is durable. Not for async tasks: they use [`Journal::on_durable`].
    pub fn wait_durable(&self, lsn: Lsn, timeout: Duration) -> Result<(), WaitError> {
        self.nudge();
        // Bounded, so that "for ever" does not overflow the clock.
        let deadline = Instant::now() + timeout.min(WAIT_MAX);
        let mut guard = self.inner.advanced.lock();
        loop {
            if self.positions().durable >= lsn {
                return Ok(());
            }
            if self.poisoned() {
                return Err(WaitError::Poisoned);
            }
            if self.inner.advanced_signal.wait_until(&mut guard, deadline).timed_out() {
                // The last look decides: the signal may have come together with the deadline.
                let durable = self.positions().durable >= lsn;
                return if durable { Ok(()) } else { Err(WaitError::Timeout) };
            }
        }
    }

    /// Adds a listener, called by the committing thread after each advance of `durable` and once on poison.
    /// It must be cheap, must not add listeners and must not commit; what it panics with is logged and
    /// forgotten.
    pub fn on_durable(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.inner.listeners.write().push(listener);
    }

    /// A reader of the durable records after `after`.
    pub fn reader(&self, after: Lsn) -> Reader {
        Reader::new(self.inner.clone(), after)
    }

    /// Deletes the segments whose every record is at or before `lsn`, oldest first, never the active one.
    /// Returns how many. Cost: one removal and one directory sync for each.
    pub fn delete_through(&self, lsn: Lsn) -> Result<usize, JournalError> {
        self.inner.delete_through(lsn)
    }

    /// The first LSN of the oldest segment: what a reader can still ask for.
    pub fn oldest(&self) -> Lsn {
        self.inner.oldest()
    }

    /// Bytes of all segments on the disk, their free room and the one made ahead included.
    pub fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }

    /// Makes the next segment ahead if the active one is far enough, so that a roll takes it instead of creating
    /// one, and syncs cost less afterwards (see the module `spare`). Calls `go_on` after each slice of at most
    /// 128 KiB: it should pause, so that gates' syncs pass in between, longer while [`Journal::spare_is_ahead`], and says
    /// whether to go on. Returns whether a segment was made.
    ///
    /// For a thread of its own, every so often; not for the writer. Cost: one mutex if there is nothing to do; otherwise
    /// writes and syncs a segment's bytes. A failure is logged and counted, and only means that the next roll
    /// creates its segment itself.
    pub fn prepare_spare(&self, go_on: &mut dyn FnMut() -> bool) -> bool {
        self.inner.prepare_spare(go_on)
    }

    /// Whether the spare being made has more bytes than it needs by now: the rest may wait, and each slice that waits is a
    /// sync the gates' syncs do not meet. Cost: a few atomic loads.
    pub fn spare_is_ahead(&self) -> bool {
        self.inner.spare_is_ahead()
    }

    /// Bytes that wait for the writer, as frames.
    pub fn pending_bytes(&self) -> usize {
        self.inner.pending.lock().len()
    }

    /// Counters since the journal was opened, and how long its syncs took.
    pub fn sync_stats(&self) -> SyncStats {
        self.inner.stats.snapshot()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("positions", &self.positions()).finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    fn positions(&self) -> Positions {
        // The smallest first: the others can only have grown meanwhile.
        let durable = Lsn(self.durable.load(Ordering::Acquire));
        let written = Lsn(self.written.load(Ordering::Acquire));
        let next = Lsn(self.next.load(Ordering::Acquire));
        assert!(next >= written);
        assert!(written >= durable);
        Positions { next, written, durable }
    }

    fn oldest(&self) -> Lsn {
        self.segments.lock().front().expect("the active segment is never deleted").0
    }

    fn disk_bytes(&self) -> u64 {
        let segments = self.segments.lock();
        let spare = if self.spare.lock().has_file() { self.options.segment_bytes } else { 0 };
        segments.iter().map(|(_, bytes)| bytes).sum::<u64>() + spare
    }

    fn poisoned_error(&self) -> JournalError {
        let reason = self.poison.get().cloned().unwrap_or_default();
        JournalError::Poisoned { reason }
    }

    /// Ends admission for this process. The first reason stays.
    fn poison(&self, reason: String) {
        if self.poison.set(reason).is_err() {
            return;
        }
        error!(reason = self.poison.get(), "journal poisoned: nothing is admitted until a restart");
        self.pending.lock().poison();
        self.work.notify_all();
        self.announce();
    }

    fn wake_writer(&self, mut pending: MutexGuard<'_, Pending>) {
        let wakes = pending.wakes_writer();
        drop(pending);
        if wakes {
            self.work.notify_one();
        }
    }

    /// Wakes whoever waits for `durable` or poison.
    fn announce(&self) {
        drop(self.advanced.lock());
        self.advanced_signal.notify_all();
        for listener in self.listeners.read().iter() {
            // A listener's bug must not end the writer: the records are durable, whatever it does.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(listener));
            if outcome.is_err() {
                error!("a listener of the journal panicked");
            }
        }
    }

    fn delete_through(&self, lsn: Lsn) -> Result<usize, JournalError> {
        let _one_at_a_time = self.deleting.lock();
        let mut deleted = 0;
        loop {
            let oldest = {
                let mut segments = self.segments.lock();
                match segments.get(1) {
                    // Readers are told `Gone` before the file goes.
                    Some((next, _)) if next.0 <= lsn.0.saturating_add(1) => segments.pop_front(),
                    _ => None,
                }
            };
            let Some(oldest) = oldest else { return Ok(deleted) };
            // One by one, each durable: a later segment must never go before an earlier one, or a crash
            // leaves a hole.
            if let Err(error) = recovery::remove(&*self.disk, &SegmentName::new(oldest.0).name) {
                self.segments.lock().push_front(oldest);
                return Err(error);
            }
            deleted += 1;
        }
    }
}

/// Reads and verifies the journal in `disk` without a server; changes nothing, also where a start would
/// repair.
///
/// Calls `visit` for every record up to the first problem. A torn tail is no error; a hole is.
pub fn inspect(disk: &dyn Disk, visit: &mut dyn FnMut(Inspected<'_>)) -> Result<Verified, JournalError> {
    recovery::inspect(disk, visit)
}

/// For fuzzing: takes `data` as the content of the only segment, and does with it all that a journal can do.
/// It must not panic, whatever `data` is.
#[doc(hidden)]
pub fn fuzz_open(data: &[u8]) {
    let sim = crate::sim_disk::SimDisk::new();
    sim.put(&SegmentName::new(Lsn(1)).name, data);
    let disk: Arc<dyn Disk> = Arc::new(sim);
    let _ = inspect(&*disk, &mut |_| {});
    let options = JournalOptions { segment_bytes: 4096, salt: 1, ..JournalOptions::default() };
    let Ok((journal, recovery)) = Journal::open(disk.clone(), options, Lsn(0), &mut |_, _| Ok(())) else {
        return;
    };
    let lsn = journal.append(|_, buffer| buffer.extend_from_slice(b"one more"));
    assert_eq!(lsn, Ok(Lsn(recovery.last.0 + 1)));
    journal.commit().expect("this disk does not fail");
    let mut records = Vec::new();
    journal.reader(Lsn(0)).read(usize::MAX, &mut records).expect("what was recovered can be read");
    assert_eq!(records.len() as u64, recovery.verified + 1);
    let (_, again) =
        Journal::open(disk, options, Lsn(0), &mut |_, _| Ok(())).expect("what was repaired opens");
    assert_eq!(again.cut, None);
    assert_eq!(again.records, recovery.records + 1);
}
