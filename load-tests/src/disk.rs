//! The disk's own latency: write + fdatasync on a preallocated file, one at a time. What a journal that waits for its
//! disk can never beat. Knows one file; knows nothing of journals.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::latency::{LatencyRecorder, LatencySummary};
use crate::limits;
use crate::pace::{OpenLoop, Pace};
use crate::procfs;

/// What a probe found.
#[derive(Debug, Clone, Serialize)]
pub struct DiskResult {
    /// Bytes per write.
    pub bytes: usize,
    /// The type of the file system.
    pub file_system: String,
    /// From before the write until the sync has returned.
    pub latency: LatencySummary,
}

/// Overwrites a file in `dir` with synced writes of `bytes` for `length`, each when the one before has come back; the
/// file is removed afterwards.
pub fn probe(dir: &Path, length: Duration, bytes: usize) -> Result<DiskResult> {
    let bytes_max = limits::DISK_FILE_BYTES as usize;
    ensure!((1..=bytes_max).contains(&bytes), "--bytes {bytes}: one write has 1 to {bytes_max} bytes");
    let mut ring = Ring::create(dir, bytes)?;
    let mut recorder = LatencyRecorder::new();
    let end = Instant::now() + length;
    loop {
        let since = Instant::now();
        if since >= end {
            break;
        }
        ring.write_synced(bytes)?;
        recorder.record(since.elapsed());
    }
    Ok(DiskResult { bytes, file_system: procfs::file_system(dir), latency: recorder.summary() })
}

/// The same for records of `bytes` that are due `rate` times a second whatever the disk does: all that are due are
/// written and synced together, and each waits from its intended time. What a journal with group commit and no other
/// cost would show: a stall of the disk is seen by every record behind it, as it is by guests.
pub fn probe_paced(dir: &Path, length: Duration, bytes: usize, rate: u32) -> Result<DiskResult> {
    let mut ring = Ring::create(dir, limits::DISK_GROUP_BYTES_MAX)?;
    let mut recorder = LatencyRecorder::new();
    let mut pace = OpenLoop::new(Instant::now(), rate, length);
    let mut due = Vec::new();
    while !pace.over(Instant::now()) {
        due.extend(std::iter::from_fn(|| pace.due(Instant::now())));
        if due.is_empty() {
            std::hint::spin_loop();
            continue;
        }
        ring.write_synced((due.len() * bytes).min(limits::DISK_GROUP_BYTES_MAX))?;
        let now = Instant::now();
        due.drain(..).for_each(|intended| recorder.record(now - intended));
    }
    Ok(DiskResult { bytes, file_system: procfs::file_system(dir), latency: recorder.summary() })
}

/// A preallocated file that is overwritten from its beginning when its end is reached.
struct Ring {
    file: File,
    block: Vec<u8>,
    offset: u64,
}

impl Ring {
    fn create(dir: &Path, bytes_max: usize) -> Result<Ring> {
        let file =
            tempfile::tempfile_in(dir).with_context(|| format!("create a file in {}", dir.display()))?;
        preallocate(&file).with_context(|| format!("fill a file of {} bytes", limits::DISK_FILE_BYTES))?;
        Ok(Ring { file, block: vec![0x5a_u8; bytes_max], offset: 0 })
    }

    fn write_synced(&mut self, bytes: usize) -> Result<()> {
        if self.offset + bytes as u64 > limits::DISK_FILE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(&self.block[..bytes], self.offset).context("write")?;
        // fdatasync: the file is preallocated, so neither its size nor its blocks change.
        self.file.sync_data().context("fdatasync")?;
        self.offset += bytes as u64;
        Ok(())
    }
}

/// Written, not only reserved: the first write into a reserved block still changes the file system's tables.
fn preallocate(file: &File) -> std::io::Result<()> {
    let zeros = vec![0_u8; 1024 * 1024];
    let mut offset = 0;
    while offset < limits::DISK_FILE_BYTES {
        file.write_all_at(&zeros, offset)?;
        offset += zeros.len() as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synced_write_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let result = probe(dir.path(), Duration::from_millis(50), 4096).unwrap();
        assert!(result.latency.count > 0);
        assert!(result.latency.p50_us > 0.0);
        assert!(result.latency.max_us >= result.latency.p50_us);
    }

    #[test]
    fn every_record_of_a_schedule_is_recorded_whatever_the_disk_does() {
        let dir = tempfile::tempdir().unwrap();
        let result = probe_paced(dir.path(), Duration::from_millis(100), 256, 1_000).unwrap();
        assert_eq!(result.latency.count, 100);
    }

    #[test]
    fn a_write_larger_than_the_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(probe(dir.path(), Duration::ZERO, limits::DISK_FILE_BYTES as usize + 1).is_err());
    }
}
