//! Which of the server's jobs this station has and has not handed in: a small file, written whole. It is written before a
//! job goes into the queue, so that a job is never printed that the server could give away again. Knows no queue.

use ::peripherals::JobState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Jobs a station may have at once.
pub const JOBS_MAX: usize = 1_000;

/// The jobs, and what the server was last told of each.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    jobs: BTreeMap<String, Entry>,
}

/// One job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What the server was told last.
    pub told: Option<JobState>,
}

// === impl Ledger ===

impl Ledger {
    /// Reads the file; none is an empty ledger.
    ///
    /// # Errors
    /// A file that cannot be read, or is no ledger.
    pub fn open(dir: &Path) -> io::Result<Ledger> {
        let path = dir.join("handed.json");
        let jobs = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Ledger { path, jobs })
    }

    /// The jobs, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.jobs.iter()
    }

    /// How many more it takes.
    pub fn room(&self) -> usize {
        JOBS_MAX.saturating_sub(self.jobs.len())
    }

    /// Sets what is known of a job; `None`: it is done with. On the disk when this returns.
    ///
    /// # Errors
    /// The disk: nothing was changed.
    pub fn set(&mut self, job: &str, entry: Option<Entry>) -> io::Result<()> {
        let mut jobs = self.jobs.clone();
        match entry {
            Some(entry) => drop(jobs.insert(job.to_owned(), entry)),
            None => drop(jobs.remove(job)),
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&jobs)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.jobs = jobs;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.set("a", Some(Entry::default())).unwrap();
        ledger.set("b", Some(Entry { told: Some(JobState::Unknown) })).unwrap();
        ledger.set("a", None).unwrap();
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        let jobs: Vec<_> = ledger.jobs().collect();
        assert_eq!(jobs, [(&"b".to_owned(), &Entry { told: Some(JobState::Unknown) })]);
        assert_eq!(ledger.room(), JOBS_MAX - 1);
    }

    #[test]
    fn a_damaged_ledger_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("handed.json"), "{\"a\"").unwrap();
        assert!(Ledger::open(dir.path()).is_err());
    }
}
