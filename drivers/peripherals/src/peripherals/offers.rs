//! What hangs at stations: offered, told back; and a station's own side. Knows no network.

use super::Peripherals;
use crate::display::Show;
use crate::error::Error;
use crate::job::{Asking, HandIn, OfferedJob, Submitted};
use crate::{Offered, now_ms};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A station that was not heard of for so long is away.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// What is known of stations.
#[derive(Default)]
pub struct Stations {
    /// When each was heard of. As many as the settings name at most.
    heard: Mutex<BTreeMap<String, Instant>>,
    /// The latest text for each display that hangs at one.
    shows: Mutex<BTreeMap<String, (Show, Instant)>>,
}

impl Stations {
    /// Is it there?
    pub fn is_heard(&self, station: &str) -> bool {
        self.heard.lock().get(station).is_some_and(|at| at.elapsed() < SILENT_MAX)
    }

    /// To be shown there, if it asks in time.
    pub fn show(&self, display: &str, show: Show) {
        self.shows.lock().insert(display.to_owned(), (show, Instant::now()));
    }
}

impl Peripherals {
    /// Jobs and texts for a station; they are its own (`Handed`) from here on, durably.
    ///
    /// # Errors
    /// The queue's file.
    pub fn offer(&self, asking: &Asking) -> Result<Offered, Error> {
        let settings = self.settings();
        let theirs = |display: &str| {
            settings.peripheral(display).is_some_and(|own| own.station.as_ref() == Some(&asking.station))
        };
        if settings.peripherals.iter().any(|own| own.station.as_ref() == Some(&asking.station)) {
            self.stations.heard.lock().insert(asking.station.clone(), Instant::now());
        }
        let jobs = self.shared.queue.offer(asking, now_ms())?;
        let mut waiting = self.stations.shows.lock();
        let (mine, others) =
            std::mem::take(&mut *waiting).into_iter().partition(|(display, _)| theirs(display));
        *waiting = others;
        let fresh = |at: &Instant| at.elapsed() <= self.shared.pace.fresh;
        let mine: BTreeMap<String, (Show, Instant)> = mine;
        let shows = mine.into_iter().filter(|(_, (_, at))| fresh(at)).map(|(name, (show, _))| (name, show));
        Ok(Offered { jobs, shows: shows.collect() })
    }

    /// What a station did with a job. The same again changes nothing.
    ///
    /// # Errors
    /// Not its job; the queue's file.
    pub fn hand_in(&self, station: &str, job: &str, hand_in: &HandIn) -> Result<(), Error> {
        self.shared.queue.hand_in(station, job, hand_in, now_ms())
    }

    /// A station's side of `offer`: takes the job into its own queue, durably.
    ///
    /// # Errors
    /// As `submit`.
    pub fn accept(&self, offered: OfferedJob) -> Result<Submitted, Error> {
        self.put_in(offered.job, offered.reprint)
    }

    /// Which queue file this is: random, made with the file.
    pub fn incarnation(&self) -> &str {
        self.shared.queue.incarnation()
    }
}
