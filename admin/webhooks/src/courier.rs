//! The thread of one webhook: takes what is due out of the queue, sends it, and tells what came of it. One message at a
//! time; a receiver that is slow or silent holds nobody up but itself.

use crate::Shared;
use crate::error::Error;
use crate::line::Line;
use crate::queue::{Due, Next, Then};
use crate::sending::{Answered, Letter};
use engine::clock::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{error, info, warn};

/// Longest wait between two looks; whatever comes in between rings.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Between two tries where the queue's disk fails.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What sends for one webhook.
pub struct Courier {
    shared: Arc<Shared>,
    line: Arc<Line>,
    /// The receiver asked for quiet until then, in ms since 1970.
    quiet_until_ms: i64,
    /// The queue's file failed at the last try.
    failing: bool,
}

// === impl Courier ===

impl Courier {
    /// For one webhook.
    pub fn new(shared: Arc<Shared>, line: Arc<Line>) -> Courier {
        Courier { shared, line, quiet_until_ms: 0, failing: false }
    }

    /// Works until it is told to stop, or its webhook is removed.
    pub fn run(mut self) {
        loop {
            let rings = self.shared.bell.rings();
            if self.shared.stop.load(Ordering::Acquire) || self.line.removed.load(Ordering::Acquire) {
                return;
            }
            match self.step() {
                Ok(wait) => {
                    self.failing = false;
                    self.shared.bell.wait(rings, wait);
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        error!(webhook = self.line.id, %error, "messages of a webhook wait; gates go on");
                    }
                    self.shared.bell.wait(rings, RETRY_AFTER);
                }
            }
        }
    }

    /// Sends what is due; gives how long there is nothing to do.
    fn step(&mut self) -> Result<Duration, Error> {
        if !self.line.is_enabled() {
            return Ok(LOOK_MAX);
        }
        let now_ms = SystemClock.now().0;
        if self.quiet_until_ms > now_ms {
            return Ok(until(self.quiet_until_ms, now_ms));
        }
        match self.shared.queue.next(&self.line.id, now_ms)? {
            Next::Due(due) => self.deliver(&due).map(|()| Duration::ZERO),
            Next::At(at_ms) => Ok(until(at_ms, now_ms)),
            Next::Nothing => Ok(LOOK_MAX),
        }
    }

    fn deliver(&mut self, due: &Due) -> Result<(), Error> {
        let webhook = self.line.known().webhook;
        let secrets = webhook.secrets(&self.shared.vault, &self.line.id, SystemClock.now().0)?;
        let letter = Letter { url: &webhook.settings.url, id: &due.id, body: &due.body, secrets: &secrets };
        let answered = self.shared.sender.send(&letter);
        if self.line.removed.load(Ordering::Acquire) {
            return Ok(());
        }
        match &answered.went.error {
            None => self.delivered(due, &answered),
            Some(_) => self.failed(due, &answered),
        }
    }

    fn delivered(&self, due: &Due, answered: &Answered) -> Result<(), Error> {
        let (queue, id) = (&self.shared.queue, &self.line.id);
        let failing_since = queue.delivered(id, due, &answered.went)?;
        self.line.went();
        if let Some(since_ms) = failing_since {
            let away_ms = answered.went.at_ms - since_ms;
            info!(webhook = id, away_ms, "a receiver takes messages again");
            if away_ms >= millis(self.shared.pace.away_after) {
                queue.hurry(id, answered.went.at_ms)?;
            }
        }
        Ok(())
    }

    fn failed(&mut self, due: &Due, answered: &Answered) -> Result<(), Error> {
        let (queue, id, pace) = (&self.shared.queue, &self.line.id, &self.shared.pace);
        let now_ms = SystemClock.now().0;
        let wait = pace.wait(due.attempts + 1, &due.id, answered.retry_after);
        // The clock tells whole milliseconds, and this one is partly over: with one more nobody is asked too early.
        let again_ms = |wait| now_ms.saturating_add(millis(wait)).saturating_add(1);
        let then = wait.map_or(Then::Dead, |wait| Then::Again(again_ms(wait)));
        let since_ms = queue.failed(id, due, &answered.went, then)?;
        if let (Some(_), Then::Again(at_ms)) = (answered.retry_after, then) {
            self.quiet_until_ms = at_ms;
        }
        let why = answered.went.error.as_deref().unwrap_or_default();
        if due.attempts == 0 && since_ms == answered.went.at_ms {
            warn!(webhook = id, why, "a receiver does not take a message; it is tried again");
        }
        if then == Then::Dead {
            self.line.went();
            warn!(webhook = id, message = due.id, why, "a message became a dead letter");
        }
        if answered.gone {
            return self.shared.stop_sending(&self.line, why);
        }
        if now_ms - since_ms >= millis(pace.failing_max) {
            let hours = pace.failing_max.as_secs() / 3_600;
            return self
                .shared
                .stop_sending(&self.line, &format!("nothing was taken for {hours} hours; last: {why}"));
        }
        Ok(())
    }
}

fn until(at_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0)).min(LOOK_MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
