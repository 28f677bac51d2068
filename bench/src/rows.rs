//! A scan's record from the journal into rows of the embedded store, by the projector, batch by batch. Checks what the
//! store says afterwards. Knows no thread: each step is made by hand.

use crate::node::Node;
use anyhow::{Context, Result, ensure};
use engine::Lsn;
use engine::sim_disk::SimDisk;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Projector, ProjectorOptions, Queries, ScanFilter, SqliteStore, Store};

/// Tickets the scans are about.
const TICKETS: u32 = 10_000;
/// A store with so many scans is replaced by a new one: it would grow for as long as it is measured.
const SCANS_MAX: u64 = 200_000;
/// And one with so many batches: each leaves its pages in the store's log, which is bounded.
const BATCHES_MAX: u64 = 4_000;

/// A node, its projector and a store in a new directory for temporary files.
pub struct Rows {
    node: Node,
    projector: Projector,
    queries: Box<dyn Queries>,
    scans: u64,
    batches: u64,
    // Last: it is removed when nothing uses it any more.
    _dir: tempfile::TempDir,
}

// === impl Rows ===

impl Rows {
    /// The catalog and the tickets are in the store, no scan is.
    ///
    /// # Errors
    /// A failing disk.
    pub fn new() -> Result<Rows> {
        let dir = tempfile::tempdir().context("create a directory")?;
        // What is measured is the store: its node's journal costs no sync.
        let node = Node::on(Arc::new(SimDisk::new()), TICKETS)?;
        let store = SqliteStore::open(&dir.path().join("store.sqlite"))?;
        let queries = store.queries()?;
        let mut projector =
            Projector::new(Arc::clone(&node.engine), Box::new(store), ProjectorOptions::default());
        let seeded = projector.seed()?.context("an empty store was not filled")?;
        ensure!(queries.cursor()? == seeded, "the store has not what it was filled with");
        Ok(Rows { node, projector, queries, scans: 0, batches: 0, _dir: dir })
    }

    /// Carries over `count` batches of `records` scans each and gives the time that took: read from the journal,
    /// decoded, written, committed. Without the syncs, which the projector makes when enough waits for one.
    ///
    /// # Errors
    /// A failing disk; rows that are not what was scanned.
    pub fn carry(&mut self, count: u64, records: usize) -> Result<Duration> {
        let mut spent = Duration::ZERO;
        for _ in 0..count {
            if self.scans >= SCANS_MAX || self.batches >= BATCHES_MAX {
                *self = Rows::new()?;
            }
            self.node.scan(records as u64)?;
            let start = Instant::now();
            let carried = self.projector.step()?;
            spent += start.elapsed();
            ensure!(carried == records, "a batch of {records} became one of {carried}");
            self.scans += records as u64;
            self.batches += 1;
        }
        self.check(records)?;
        Ok(spent)
    }

    /// The newest `records` rows are those of the newest records, and the counts are the engine's.
    fn check(&self, records: usize) -> Result<()> {
        let durable = self.node.engine.journal().positions().durable;
        ensure!(self.queries.cursor()? == durable, "the store is not where the journal is");
        let rows = self.queries.scans(&ScanFilter::default(), None, records)?;
        let expected = (0..records as u64).map(|back| Lsn(durable.0 - back));
        ensure!(rows.iter().map(|row| row.lsn).eq(expected), "a scan has no row, or has two");
        ensure!(rows.iter().all(|row| row.verdict.admits()), "an admission became a refusal");
        let counts = self.node.engine.with_state(|state| state.counts.clone());
        ensure!(self.queries.counts()? == counts, "the store counts otherwise than the engine");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_every_size_become_rows() {
        let mut rows = Rows::new().unwrap();
        for (count, records) in [(3, 1), (2, 250), (1, 4_000)] {
            rows.carry(count, records).unwrap();
        }
        let all = rows.queries.scans(&ScanFilter::default(), None, 10_000).unwrap();
        assert_eq!(all.len(), 3 + 500 + 4_000);
    }

    #[test]
    fn a_store_that_has_grown_is_replaced() {
        let mut rows = Rows::new().unwrap();
        rows.carry(2, 10).unwrap();
        rows.scans = SCANS_MAX;
        rows.carry(1, 10).unwrap();
        assert_eq!((rows.scans, rows.batches), (10, 1));
    }
}
