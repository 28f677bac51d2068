//! The same scans through a whole `Engine` with its journal in a directory. Nothing is committed but by hand, so
//! that deciding and syncing are measured apart. Knows no network.

use crate::stream::Stream;
use crate::venue::{self, BEGIN, Rule};
use anyhow::{Context, Result, ensure};
use engine::Engine;
use engine::clock::{Clock, ManualClock};
use engine::disk::{Disk, StdDisk};
use engine::journal::{JournalOptions, Lsn};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Scans between two commits.
pub const COMMIT_EVERY: u64 = 64;
/// Journal bytes that make a run give deleted segments back, outside of what is measured.
const JOURNAL_BYTES_MAX: u64 = 512 << 20;
/// Tickets given to the engine at once by an import.
const IMPORT_CHUNK: usize = 10_000;

/// An engine, its clock and the scans for it.
pub struct Node {
    /// The engine.
    pub engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    disk: Arc<dyn Disk>,
    stream: Stream,
    step_ms: i64,
    admitted: u64,
    // Last: it is removed when nothing uses it any more.
    _dir: Option<tempfile::TempDir>,
}

/// Where a measurement's time went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// In `Engine::scan`.
    pub scans: Duration,
    /// In `Journal::commit`.
    pub commits: Duration,
}

// === impl Node ===

impl Node {
    /// A node with `tickets` tickets that never run out and its journal in a new directory for temporary files.
    ///
    /// # Errors
    /// A failing disk.
    pub fn in_temporary_directory(tickets: u32) -> Result<Node> {
        let dir = tempfile::tempdir().context("create a directory")?;
        let disk = StdDisk::open(dir.path()).context("open the directory")?;
        let mut node = Node::on(Arc::new(disk), tickets)?;
        node._dir = Some(dir);
        Ok(node)
    }

    /// The same on any disk.
    ///
    /// # Errors
    /// A failing disk.
    pub fn on(disk: Arc<dyn Disk>, tickets: u32) -> Result<Node> {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let state = venue::state(tickets, Rule::Staff);
        let options = JournalOptions::default();
        let (engine, _) =
            Engine::open_from(state, Arc::clone(&disk), clock.clone(), options).context("open the engine")?;
        let stream = Stream::new(tickets.max(1), 1);
        Ok(Node { engine: Arc::new(engine), clock, disk, stream, step_ms: 1, admitted: 0, _dir: None })
    }

    /// Does `count` scans, all of which must be admitted, with a commit every `COMMIT_EVERY`.
    ///
    /// # Errors
    /// A scan that is not answered, a failing disk.
    pub fn scan(&mut self, count: u64) -> Result<Spent> {
        let (mut spent, mut left) = (Spent::default(), count);
        let admitted = self.admitted;
        while left > 0 {
            let batch = left.min(COMMIT_EVERY);
            self.stream.prepare(batch);
            let start = Instant::now();
            self.scan_prepared()?;
            let scanned = Instant::now();
            ensure!(self.engine.journal().commit()? as u64 == batch);
            spent.scans += scanned - start;
            spent.commits += scanned.elapsed();
            self.give_segments_back()?;
            left -= batch;
        }
        ensure!(self.admitted - admitted == count, "a scan was refused");
        Ok(spent)
    }

    fn scan_prepared(&mut self) -> Result<()> {
        let mut now = self.clock.now();
        for scan in self.stream.scans() {
            now.0 += self.step_ms;
            self.clock.set(now);
            self.admitted += u64::from(self.engine.scan(&scan)?.answer.verdict.admits());
        }
        Ok(())
    }

    fn give_segments_back(&self) -> Result<()> {
        let journal = self.engine.journal();
        if journal.disk_bytes() > JOURNAL_BYTES_MAX {
            journal.delete_through(journal.positions().durable)?;
        }
        Ok(())
    }

    /// Adds tickets `0..count` that are not there yet, each chunk durable before the next.
    ///
    /// # Errors
    /// A ticket that is refused, a failing disk.
    pub fn import(&self, tickets: Vec<engine::ticket::Ticket>) -> Result<()> {
        let mut tickets = tickets.into_iter().peekable();
        while tickets.peek().is_some() {
            let (_, outcomes) =
                self.engine.add_tickets(tickets.by_ref().take(IMPORT_CHUNK).collect(), false)?;
            ensure!(outcomes.iter().all(Result::is_ok), "a ticket was refused");
            self.engine.journal().commit()?;
        }
        Ok(())
    }

    /// Writes a checkpoint and gives its file's name.
    ///
    /// # Errors
    /// A failing disk.
    pub fn checkpoint(&self) -> Result<String> {
        let lsn = self.engine.checkpoint()?;
        Ok(format!("checkpoint-{:020}.img", lsn.0))
    }

    /// Loads a checkpoint and gives its tickets and scans.
    ///
    /// # Errors
    /// A file that is not as it was written.
    pub fn load(&self, name: &str) -> Result<(usize, usize)> {
        let state = engine::checkpoint::load(self.disk.as_ref(), name)?;
        Ok((state.tickets.len(), state.scans.len()))
    }

    /// Ends the engine and reads its journal into a state with the same tickets, as a start does. Gives the records
    /// that were applied and the time that took, the reading of the disk included.
    ///
    /// # Errors
    /// A damaged journal.
    pub fn replay(disk: &Arc<dyn Disk>, tickets: u32) -> Result<(u64, Duration)> {
        let state = venue::state(tickets, Rule::Staff);
        let clock = Arc::new(ManualClock::at(BEGIN));
        let start = Instant::now();
        let (engine, recovery) =
            Engine::open_from(state, Arc::clone(disk), clock, JournalOptions::default())?;
        let spent = start.elapsed();
        ensure!(engine.journal().positions().durable == Lsn(engine.with_state(|state| state.lsn)));
        Ok((recovery.records, spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::sim_disk::SimDisk;

    #[test]
    fn scans_go_through_the_engine_and_come_back_by_replay() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let mut node = Node::on(Arc::clone(&disk), 500).unwrap();
        node.scan(1_000).unwrap();
        drop(node);
        assert_eq!(Node::replay(&disk, 500).unwrap().0, 1_000);
    }

    #[test]
    fn a_directory_serves_as_well() {
        let mut node = Node::in_temporary_directory(100).unwrap();
        node.scan(3 * COMMIT_EVERY + 1).unwrap();
    }

    #[test]
    fn an_import_is_all_there() {
        let node = Node::on(Arc::new(SimDisk::new()), 0).unwrap();
        node.import((0..1_500).map(venue::ticket).collect()).unwrap();
        assert_eq!(node.engine.sizes().0, 1_500);
    }

    #[test]
    fn a_checkpoint_holds_tickets_and_scans() {
        let mut node = Node::on(Arc::new(SimDisk::new()), 700).unwrap();
        node.scan(300).unwrap();
        let name = node.checkpoint().unwrap();
        assert_eq!(node.load(&name).unwrap(), (700, 300));
    }
}
