//! Printers and displays of a venue: durable jobs, supervised driver hosts, rules. For the server and for a station.
//!
//! Nothing here may ever delay or change a gate's decision. So: `take` is called from a thread behind the journal;
//! `views`, `metrics`, `show` and `cursor` touch memory only; everything else may wait for the queue's disk and belongs
//! on a thread of its own. No driver is ever loaded into this process.

mod display;
mod error;
mod host;
mod job;
mod mailbox;
mod pace;
mod peripherals;
mod policy;
mod queue;
mod rules;
mod settings;
mod view;
mod worker;

pub use display::{SHOWN_LINES_MAX, Show, Step};
pub use documents::Values;
pub use driver_frames::{Done, Fault, Kind, Op, Way};
pub use error::{Error, QueueError};
pub use job::{
    Asking, DOCUMENT_BYTES_MAX, Document, EXPIRES_AFTER_MS, HandIn, JOB_ID_BYTES_MAX, Job, JobState,
    LINES_MAX, OfferedJob, Origin, Outcome, Priority, Resolution, Submitted,
};
#[doc(hidden)]
pub use pace::Pace;
pub use peripherals::Peripherals;
pub use rules::{Action, Interest, Occasion, On, Rule, ScanFacts, Target, actions};
pub use settings::{Mistakes, PeripheralSettings, Settings};
pub use view::{
    AuditView, JobFilter, JobView, LastOutcome, Paper, PeripheralMetrics, PeripheralState, PeripheralView,
    RUN_MS_BOUNDS,
};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

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

impl Place {
    /// Where a driver's file is: `libdriver_pole_display.so` is the driver `pole-display`.
    pub fn driver_file(&self, driver: &str) -> PathBuf {
        self.drivers.join(format!("libdriver_{}.so", driver.replace('-', "_")))
    }
}

/// The time of day, ms since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
