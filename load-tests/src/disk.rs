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

/// Overwrites a file in `dir` with synced writes of `bytes` for `length`; the file is removed afterwards.
pub fn probe(dir: &Path, length: Duration, bytes: usize) -> Result<DiskResult> {
    let bytes_max = limits::DISK_FILE_BYTES as usize;
    ensure!((1..=bytes_max).contains(&bytes), "--bytes {bytes}: one write has 1 to {bytes_max} bytes");
    let file = tempfile::tempfile_in(dir).with_context(|| format!("create a file in {}", dir.display()))?;
    preallocate(&file).with_context(|| format!("fill a file of {} bytes", limits::DISK_FILE_BYTES))?;
    let block = vec![0x5a_u8; bytes];
    let (mut recorder, mut offset) = (LatencyRecorder::new(), 0_u64);
    let end = Instant::now() + length;
    loop {
        let since = Instant::now();
        if since >= end {
            break;
        }
        file.write_all_at(&block, offset).context("write")?;
        // fdatasync: the file is preallocated, so neither its size nor its blocks change.
        file.sync_data().context("fdatasync")?;
        recorder.record(since.elapsed());
        offset += bytes as u64;
        if offset + bytes as u64 > limits::DISK_FILE_BYTES {
            offset = 0;
        }
    }
    Ok(DiskResult { bytes, file_system: procfs::file_system(dir), latency: recorder.summary() })
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
    fn a_write_larger_than_the_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(probe(dir.path(), Duration::ZERO, limits::DISK_FILE_BYTES as usize + 1).is_err());
    }
}
