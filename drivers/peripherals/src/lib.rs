//! Printers and displays of a venue: durable jobs, supervised driver hosts, rules. For the server and for a station.
//!
//! Nothing here may ever delay or change a gate's decision. So: `take` is called from a thread behind the journal;
//! `views`, `metrics`, `show` and `cursor` touch memory only; everything else may wait for the queue's disk and belongs
//! on a thread of its own. No driver is ever loaded into this process.

mod display;
mod error;
mod job;
mod rules;
mod settings;
mod view;

pub use display::{Show, Step};
pub use documents::Values;
pub use driver_frames::{Done, Fault, Kind, Op, Way};
pub use error::{Error, QueueError};
pub use job::{
    Asking, DOCUMENT_BYTES_MAX, Document, EXPIRES_AFTER_MS, HandIn, JOB_ID_BYTES_MAX, Job, JobState,
    OfferedJob, Origin, Outcome, Priority, Resolution, Submitted,
};
pub use rules::{Action, Occasion, On, Rule, ScanFacts, Target, actions};
pub use settings::{Mistakes, PeripheralSettings, Settings};
pub use view::{
    AuditView, JobFilter, JobView, LastOutcome, Paper, PeripheralMetrics, PeripheralState, PeripheralView,
    RUN_MS_BOUNDS,
};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where everything lies on this machine.
#[derive(Clone, Debug)]
pub struct Place {
    /// The queue's file: `peripherals.db` in the data folder. One program at a time has it.
    pub queue: PathBuf,
    /// The folder of the drivers' files.
    pub drivers: PathBuf,
    /// The program `gatehouse-driver-host`.
    pub host: PathBuf,
    /// The station this is; `None`: the server. Only peripherals that hang here are driven here.
    pub station: Option<String>,
}

/// What came of `take`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Jobs that are new in the queue.
    pub jobs: usize,
    /// Jobs that were there already: a replay.
    pub known: usize,
    /// Texts given to displays.
    pub shows: usize,
    /// Prints that were too late to be of use.
    pub late: usize,
    /// Prints that no queue had room for: the peripherals' names.
    pub refused: Vec<String>,
}

/// What a station gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// To print: give each to the station's own [`Peripherals::accept`].
    pub jobs: Vec<OfferedJob>,
    /// To show: display and text. Only the latest for each, told once, never kept for long.
    pub shows: Vec<(String, Show)>,
}

/// The peripherals of one machine.
pub struct Peripherals {}

#[expect(unused_variables, reason = "signatures first")]
impl Peripherals {
    /// Opens the queue and starts a thread and a driver host for each peripheral that hangs here. Jobs that were started
    /// when the program last ended are `Unknown` from here on. A device that is not there is no error.
    ///
    /// # Errors
    /// The queue's file; threads.
    pub fn open(settings: Settings, place: Place) -> Result<Peripherals, Error> {
        todo!()
    }

    /// Takes a job; it is durable when this returns.
    ///
    /// # Errors
    /// A job that cannot be, a queue that is full, the queue's file.
    pub fn submit(&self, job: Job) -> Result<Submitted, Error> {
        todo!()
    }

    /// Takes back a job that waits.
    ///
    /// # Errors
    /// It does not wait any more; who or why is missing; the queue's file.
    pub fn cancel(&self, job: &str, who: &str, reason: &str) -> Result<(), Error> {
        todo!()
    }

    /// A person decides about a job that may have printed. Gives the new job's id where it is printed again.
    ///
    /// # Errors
    /// It is not unknown; who or why is missing; the queue is full; its file.
    pub fn resolve(
        &self,
        job: &str,
        resolution: Resolution,
        who: &str,
        reason: &str,
    ) -> Result<Option<String>, Error> {
        todo!()
    }

    /// Opens a cash drawer, now or not at all. Written down before and after. Waits up to 10 s for the printer.
    ///
    /// # Errors
    /// No printer that is ready here; who or why is missing; no time for it.
    pub fn kick(&self, printer: &str, who: &str, reason: &str) -> Result<Outcome, Error> {
        todo!()
    }

    /// Shows something. The latest wins; nothing is kept. Touches memory only.
    ///
    /// # Errors
    /// No such display or template.
    pub fn show(&self, display: &str, show: Show) -> Result<(), Error> {
        todo!()
    }

    /// What the rules want done about records of the journal: jobs and cursor in one transaction, durable when this
    /// returns if there are jobs. The cursor alone is written now and then: its records again change nothing. Displays
    /// show what is fresh. To be called from a thread behind the journal, never from a gate's.
    ///
    /// # Errors
    /// The queue's file: nothing was taken, the same records may be given again.
    pub fn take(&self, facts: &[ScanFacts], cursor_lsn: u64) -> Result<Taken, Error> {
        todo!()
    }

    /// The last record taken; `None`: none ever, in this file. Touches memory only.
    pub fn cursor(&self) -> Option<u64> {
        todo!()
    }

    /// Jobs and texts for a station; they are its own (`Handed`) from here on, durably.
    ///
    /// # Errors
    /// The queue's file.
    pub fn offer(&self, asking: &Asking) -> Result<Offered, Error> {
        todo!()
    }

    /// What a station did with a job. The same again changes nothing.
    ///
    /// # Errors
    /// Not its job; the queue's file.
    pub fn hand_in(&self, station: &str, job: &str, hand_in: &HandIn) -> Result<(), Error> {
        todo!()
    }

    /// A station's side of `offer`: takes the job into its own queue, durably.
    ///
    /// # Errors
    /// As `submit`.
    pub fn accept(&self, offered: OfferedJob) -> Result<Submitted, Error> {
        todo!()
    }

    /// Which queue file this is: random, made with the file.
    pub fn incarnation(&self) -> &str {
        todo!()
    }

    /// Ends a quarantine.
    ///
    /// # Errors
    /// No such peripheral here; who is missing; the queue's file.
    pub fn release(&self, peripheral: &str, who: &str) -> Result<(), Error> {
        todo!()
    }

    /// Other settings. Peripherals that changed, or whose driver's file did, get a new driver host, which takes over
    /// when it is up and the old one has nothing under way; all others notice nothing.
    ///
    /// # Errors
    /// Threads.
    pub fn reload(&self, settings: Settings) -> Result<(), Error> {
        todo!()
    }

    /// All peripherals, in the settings' order. Touches memory only.
    pub fn views(&self) -> Vec<PeripheralView> {
        todo!()
    }

    /// All peripherals in numbers. Touches memory only.
    pub fn metrics(&self) -> Vec<PeripheralMetrics> {
        todo!()
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// The queue's file.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, Error> {
        todo!()
    }

    /// One job.
    ///
    /// # Errors
    /// No such job; the queue's file.
    pub fn job(&self, id: &str) -> Result<JobView, Error> {
        todo!()
    }

    /// Decisions, newest first, at most `max`.
    ///
    /// # Errors
    /// The queue's file.
    pub fn audit(&self, max: usize) -> Result<Vec<AuditView>, Error> {
        todo!()
    }

    /// Ends it: what is under way is finished, within its time; driver hosts are stopped. Dropping does the same.
    pub fn close(self) {
        todo!()
    }
}
