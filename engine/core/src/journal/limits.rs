//! Limits of the journal and the relations between them. Knows numbers; refuses to know how they are used.

/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 32;
/// Bytes of a record's frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Every frame starts at a multiple of this, in bytes.
pub const FRAME_ALIGN: usize = 8;
/// The largest payload of a record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The smallest segment, in bytes: for tests; its records are bounded by it too.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 10;
/// The usual segment, in bytes. Opening holds one in memory; 60,000 guests make about one.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;
/// The largest segment, in bytes: recovery holds one in memory.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The usual limit of bytes that wait for the writer.
pub const PENDING_BYTES_MAX_DEFAULT: usize = 64 << 20;
/// The largest LSN: far away, and far enough from the end of `u64` that no sum of two overflows.
pub const LSN_MAX: u64 = 1 << 62;
/// Bytes a reader asks the disk for at once, unless one record is larger.
pub const READ_BYTES: usize = 256 << 10;
/// A spare segment is wanted once one part in so many of the active segment was written by this process: an
/// idle node, or a demo that is only looked at, makes none.
pub const SPARE_AFTER_PART: usize = 8;
/// Bytes of a spare that are written and synced at once, at most: what a commit may have to wait for.
pub const SPARE_SLICE_BYTES_MAX: usize = 128 << 10;
/// A spare has so many bytes for each [`SPARE_PACE_WRITTEN`] that the active segment takes from the asking on: it is
/// ready when that is three quarters full.
pub const SPARE_PACE_FILLED: u64 = 8;
/// See [`SPARE_PACE_FILLED`].
pub const SPARE_PACE_WRITTEN: u64 = 5;
/// Slices of a spare, at least: a small segment is made in steps too.
pub const SPARE_SLICES_MIN: u64 = 4;
/// Records that a gathering thread may append before the writer is woken without its nudge.
pub const GATHER_RECORDS_MAX: u32 = 128;
/// How long the writer sleeps at most without looking for work, in milliseconds.
pub const WRITER_WAIT_MS_MAX: u64 = 50;

/// The largest frame, padding included, in bytes.
pub const FRAME_BYTES_MAX: usize = (FRAME_HEADER_BYTES + RECORD_BYTES_MAX).next_multiple_of(FRAME_ALIGN);
/// The smallest frame, in bytes: one byte of payload.
pub const FRAME_BYTES_MIN: usize = FRAME_HEADER_BYTES + FRAME_ALIGN;

const _: () = assert!(SEGMENT_HEADER_BYTES.is_multiple_of(FRAME_ALIGN));
const _: () = assert!(FRAME_HEADER_BYTES.is_multiple_of(FRAME_ALIGN));
const _: () = assert!(SEGMENT_BYTES_MIN as usize >= SEGMENT_HEADER_BYTES + 4 * FRAME_BYTES_MIN);
const _: () = assert!(SEGMENT_BYTES_DEFAULT as usize >= RECORD_BYTES_MAX * 16);
const _: () = assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_DEFAULT);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
// A frame says in a u32 how many records before it were not yet synced; all of them are in its segment.
const _: () = assert!(SEGMENT_BYTES_MAX / (FRAME_BYTES_MIN as u64) < u32::MAX as u64);
const _: () = assert!(RECORD_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(SEGMENT_BYTES_MIN >= SPARE_SLICES_MIN);
const _: () = assert!(SEGMENT_BYTES_DEFAULT >= SPARE_SLICE_BYTES_MAX as u64 * SPARE_SLICES_MIN);
const _: () = assert!(SEGMENT_BYTES_MIN as usize / SPARE_AFTER_PART > SEGMENT_HEADER_BYTES);
// Asked for at one eighth, whole five eighths later: before the active segment is full.
const _: () =
    assert!(1.0 / SPARE_AFTER_PART as f64 + SPARE_PACE_WRITTEN as f64 / SPARE_PACE_FILLED as f64 <= 0.75);
const _: () = assert!(PENDING_BYTES_MAX_DEFAULT >= FRAME_BYTES_MAX);
