//! Records in batches: encoded, appended, committed. Knows one typical record; knows no state.

use crate::direct;
use crate::stream::Stream;
use crate::venue::{self, Rule};
use anyhow::{Result, ensure};
use engine::decide::decide;
use engine::disk::Disk;
use engine::journal::{Journal, JournalOptions, Lsn};
use engine::record::Record;
use std::sync::Arc;

/// Journal bytes that make a run give deleted segments back, outside of what is measured.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// A journal and the payload to be written.
pub struct Writing {
    journal: Journal,
    payload: Vec<u8>,
}

// === impl Writing ===

impl Writing {
    /// An empty journal.
    ///
    /// # Errors
    /// A failing disk.
    pub fn on(disk: Arc<dyn Disk>) -> Result<Writing> {
        let (journal, _) = Journal::open(disk, JournalOptions::default(), Lsn(0), &mut |_, _| Ok(()))?;
        Ok(Writing { journal, payload: scan_payload() })
    }

    /// One group commit of `batch` records; all of them are durable afterwards.
    ///
    /// # Errors
    /// A failing disk.
    pub fn group(&self, batch: usize) -> Result<()> {
        for _ in 0..batch {
            self.journal.append(|_, out| out.extend_from_slice(&self.payload))?;
        }
        ensure!(self.journal.commit()? == batch);
        Ok(())
    }

    /// Deletes what nobody needs. Outside of the measured part.
    ///
    /// # Errors
    /// A failing disk.
    pub fn tidy(&self) -> Result<()> {
        if self.journal.disk_bytes() > JOURNAL_BYTES_MAX {
            self.journal.delete_through(self.journal.positions().durable)?;
        }
        Ok(())
    }

    /// Durable records.
    pub fn durable(&self) -> u64 {
        self.journal.positions().durable.0
    }
}

/// Calls `with` with the record of an admission.
pub fn with_scan_record<T>(with: impl FnOnce(&Record<'_>) -> T) -> T {
    let state = venue::state(100, Rule::Standard);
    let mut stream = Stream::new(100, 1);
    stream.prepare(1);
    let scan = stream.scans().next().expect("one was prepared");
    let found = state.tickets.find(scan.code_kind, scan.code);
    let decision = decide(&state.view(&scan, found, venue::BEGIN), &scan);
    assert!(decision.answer.verdict.admits());
    let key = state.key_of_id(scan.device, scan.scan_id.unwrap_or(""));
    with(&direct::record(&scan, decision, key, venue::BEGIN))
}

/// The bytes of that record.
pub fn scan_payload() -> Vec<u8> {
    with_scan_record(|record| {
        let mut payload = Vec::new();
        record.encode(&mut payload);
        payload
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::sim_disk::SimDisk;

    #[test]
    fn groups_are_durable() {
        let writing = Writing::on(Arc::new(SimDisk::new())).unwrap();
        for batch in [1, 64, 1024] {
            writing.group(batch).unwrap();
            writing.tidy().unwrap();
        }
        assert_eq!(writing.durable(), 1 + 64 + 1024);
    }

    #[test]
    fn the_record_comes_back_from_its_bytes() {
        let payload = scan_payload();
        assert!(payload.len() < 200, "{} bytes", payload.len());
        let mut again = Vec::new();
        Record::decode(&payload).unwrap().encode(&mut again);
        assert_eq!(again, payload);
    }
}
