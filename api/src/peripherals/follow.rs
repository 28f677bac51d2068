//! The thread that follows the journal for the rules of printers and displays. Like the projector it is behind the
//! journal's tail and gives way: it takes no lock a gate wants, and whatever holds it up is not noticed at a gate.

use super::facts;
use crate::system;
use ::peripherals::{Peripherals, ScanFacts};
use engine::journal::{JournalError, Reader};
use engine::record::Record;
use engine::{Engine, Lsn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{error, info, warn};

/// Between two looks for new records: a display greets within this.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Bytes of records taken at once.
const READ_BYTES: usize = 256 * 1024;
/// Between two tries where the queue's disk fails.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Follows the journal until it is told to stop.
pub struct Follower {
    engine: Arc<Engine>,
    peripherals: Arc<Peripherals>,
    stop: Arc<AtomicBool>,
    reader: Reader,
    cursor: Lsn,
    records: Vec<(Lsn, Vec<u8>)>,
    /// The queue's disk failed at the last try.
    failing: bool,
}

// === impl Follower ===

impl Follower {
    /// Begins where the queue's cursor is. A queue that never was at work begins now: nobody wants yesterday printed.
    pub fn new(engine: Arc<Engine>, peripherals: Arc<Peripherals>, stop: Arc<AtomicBool>) -> Follower {
        let durable = engine.journal().positions().durable;
        let cursor = match peripherals.cursor() {
            None => durable,
            Some(cursor) if cursor > durable.0 => {
                warn!(
                    cursor,
                    journal = durable.0,
                    "the queue of the printers is ahead of the journal: another data directory? rules go on from now"
                );
                durable
            }
            Some(cursor) => Lsn(cursor),
        };
        let reader = engine.journal().reader(cursor);
        Follower { engine, peripherals, stop, reader, cursor, records: Vec::new(), failing: false }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        system::give_way();
        while !self.stop.load(Ordering::Relaxed) {
            let wait = if self.step() { Duration::ZERO } else { LOOK_EVERY };
            std::thread::sleep(if self.failing { RETRY_AFTER } else { wait });
        }
    }

    /// Takes what is there; is there more?
    fn step(&mut self) -> bool {
        self.records.clear();
        match self.reader.read(READ_BYTES, &mut self.records) {
            Ok(()) => {}
            // What was read before it is taken first; the next look meets the error again.
            Err(_) if !self.records.is_empty() => {}
            Err(JournalError::Gone { oldest, .. }) => {
                let missed = oldest.0 - 1 - self.cursor.0;
                warn!(
                    missed,
                    "the journal has let go of records that no rule of a printer has seen: they print nothing"
                );
                self.cursor = Lsn(oldest.0 - 1);
                self.reader = self.engine.journal().reader(self.cursor);
                return true;
            }
            Err(error) => {
                self.tell_once(&error);
                return false;
            }
        }
        let Some((last, _)) = self.records.last() else { return false };
        let last = *last;
        match self.peripherals.take(&self.facts(), last.0) {
            Ok(taken) => {
                if std::mem::take(&mut self.failing) {
                    info!("the queue of the printers can be written again");
                }
                if !taken.refused.is_empty() || taken.late > 0 {
                    warn!(late = taken.late, full = ?taken.refused, "prints were left out: too late, or a queue was full");
                }
                self.cursor = last;
                self.engine.journal().positions().durable > last
            }
            Err(error) => {
                self.tell_once(&error);
                // The same records again.
                self.reader = self.engine.journal().reader(self.cursor);
                false
            }
        }
    }

    fn facts(&self) -> Vec<ScanFacts> {
        let catalog = self.engine.catalog_guard();
        let interest = self.peripherals.interest();
        let records = self.records.iter();
        let told = |(lsn, payload): &(Lsn, Vec<u8>)| {
            facts(&catalog, &interest, *lsn, &Record::decode(payload).ok()?)
        };
        records.filter_map(told).collect()
    }

    fn tell_once(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            error!(%error, "rules of printers and displays wait; gates go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;
    use crate::profile::Profiles;
    use ::peripherals::{Place, Settings};
    use engine::clock::SystemClock;
    use engine::disk::StdDisk;
    use engine::journal::{Durability, JournalOptions};
    use std::path::Path;

    fn engine(dir: &Path) -> Arc<Engine> {
        let journal = JournalOptions { durability: Durability::Os, ..JournalOptions::default() };
        let disk = Arc::new(StdDisk::open(dir).unwrap());
        Arc::new(Engine::open(disk, Arc::new(SystemClock), journal).unwrap().0)
    }

    fn peripherals(dir: &Path) -> Arc<Peripherals> {
        let (queue, drivers, host) = (dir.join("peripherals.db"), dir.to_owned(), dir.join("none"));
        let place = Place { queue, drivers, host, station: None };
        Arc::new(Peripherals::open(Settings::default(), place).unwrap())
    }

    /// Turns the last byte of the journal's last record over.
    fn damage(dir: &Path) {
        let segments = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let segment = segments.filter(|path| path.extension().is_some_and(|ext| ext == "seg")).min().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
    }

    #[test]
    fn records_before_one_that_cannot_be_read_are_taken_and_none_is_skipped() {
        let (journal, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let engine = engine(journal.path());
        let writing = Arc::clone(&engine);
        let writer = std::thread::spawn(move || writing.journal().run_writer());
        let peripherals = peripherals(place.path());
        let stop = Arc::new(AtomicBool::new(false));
        let mut follower = Follower::new(Arc::clone(&engine), Arc::clone(&peripherals), stop);
        demo::put_up(&engine, &Profiles::load(None).unwrap()).unwrap();
        engine.journal().stop_writer();
        writer.join().unwrap();
        let durable = engine.journal().positions().durable;
        damage(journal.path());
        while follower.cursor.0 < durable.0 - 1 {
            let before = follower.cursor;
            follower.step();
            assert!(follower.cursor > before && !follower.failing, "stopped at {before:?} of {durable:?}");
        }
        assert!(!follower.step() && follower.failing, "the damaged one is met, and told");
        assert_eq!((follower.cursor.0, peripherals.cursor()), (durable.0 - 1, Some(durable.0 - 1)));
    }
}
