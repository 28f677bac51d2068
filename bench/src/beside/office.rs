//! A node's gates beside its API at work: lists taken in, listeners, files taken out. Does a gate notice? Knows how such a node
//! is set up; what the office does is `office`'s.

use super::{Bench, Side};
use crate::office::load::{self, Office, Work};
use crate::office::{House, write_list};
use anyhow::{Result, bail, ensure};
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::report::RunResult;
use load_tests::target::Target;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Scans a second: all gates of a stadium in its best minute.
pub const RATE: u32 = 5_000;
/// Lists of the import: more than a measurement has time for.
const LISTS: usize = 8;

const ALL: [(&str, Work); 5] = [
    ("quiet", Work { import: false, listen: false, export: false }),
    ("import", Work { import: true, listen: false, export: false }),
    ("200 listeners", Work { import: false, listen: true, export: false }),
    ("exports", Work { import: false, listen: false, export: true }),
    ("all of it", Work { import: true, listen: true, export: true }),
];

/// What all sides have in common.
struct Hall {
    gatehouse: PathBuf,
    work_dir: PathBuf,
    /// The tickets that are there before.
    list: PathBuf,
    /// Those that are taken in meanwhile.
    lists: Vec<PathBuf>,
    bench: Bench,
}

struct Desked {
    name: &'static str,
    work: Work,
    hall: Rc<Hall>,
    done: Vec<String>,
}

/// The sides: nobody at the API first, then each kind of work, then all at once; or those of `names`.
///
/// # Errors
/// A side there is not; a file cannot be written.
pub fn sides(
    gatehouse: &Path,
    work_dir: &Path,
    bench: &Bench,
    tickets: u32,
    names: &[String],
) -> Result<Vec<Box<dyn Side>>> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|(own, _)| own == name)) {
        bail!("no side {unknown:?}; there are {}", ALL.map(|(name, _)| name).join(", "));
    }
    let hall = Rc::new(Hall {
        gatehouse: gatehouse.to_owned(),
        work_dir: work_dir.to_owned(),
        list: write_list(work_dir, "", 0..tickets)?,
        lists: load::lists(work_dir, LISTS, tickets)?,
        bench: bench.clone(),
    });
    let side = |(name, work)| -> Box<dyn Side> {
        Box::new(Desked { name, work, hall: Rc::clone(&hall), done: Vec::new() })
    };
    let chosen = ALL.into_iter().filter(|(own, _)| names.is_empty() || names.iter().any(|name| name == own));
    Ok(chosen.map(side).collect())
}

impl Side for Desked {
    fn name(&self) -> &str {
        self.name
    }

    fn beside(&self) -> &[String] {
        &self.done
    }

    /// A node for each round: what one has taken in would be there already the next time.
    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        let Hall { gatehouse, work_dir, list, lists, bench } = &*self.hall;
        let house = House::open(gatehouse, work_dir, bench.server_core, list)?;
        let (addr, pid) = (house.server.device_addr, house.server.process()?.pid());
        listening::ensure_alone(addr, pid)?;
        let settings = bench.run_settings(Target::at(addr), pid, bench.connection_count);
        let settings = RunSettings { warmup, length, ..settings };
        let mut pool = CodePool::open(&CodeChoice::Mix, 0)?;
        let office = Office::begin(&house, self.work, lists)?;
        let result = client::run_open(&settings, &mut pool, RATE)?;
        let told = office.told();
        office.end()?;
        ensure!(result.answers > 0, "{}: no answers", self.name);
        if self.work != Work::default() {
            self.done.push(told);
        }
        // What the store has not taken in yet by then would keep a stop waiting: the process is ended with the house.
        Ok(result)
    }
}
