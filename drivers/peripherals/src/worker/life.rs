//! A driver host's life: started, watched, given up, started again or not. Knows no job.

use super::{Call, Stage, Up, Worker, board};
use crate::host::Host;
use crate::mailbox::{Heard, Setup};
use crate::pace::{Pace, doubled};
use crate::settings::PeripheralSettings;
use driver_abi::Capabilities;
use driver_frames::{FromHost, PluginInfo, Refusal, Start, ToHost};
use std::time::{Duration, Instant};

/// A driver's work of its own accord may take so long.
const TICK_MAX: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) fn look_at_host(&mut self, now: Instant) -> Option<Instant> {
        let pace = self.shared.pace;
        match &mut self.stage {
            Stage::Quarantined => None,
            Stage::Down(_) if self.stop_at.is_some() => None,
            Stage::Down(at) if now < *at => Some(*at),
            Stage::Down(_) => {
                self.start_host(now);
                Some(now + pace.start_max)
            }
            Stage::Starting(_, since) => {
                let until = *since + pace.start_max;
                if now >= until {
                    self.lost("it did not load its driver in time", now);
                    return Some(now);
                }
                Some(until)
            }
            Stage::Up(up) => {
                let hung = hung(up, self.call.as_ref(), self.stop_at, &pace, now);
                match (hung, up.cancelled) {
                    (Hung::Until(at), _) => {
                        up.cancelled = None;
                        Some(at)
                    }
                    (Hung::Is(_), None) => {
                        up.host.tell(ToHost::Cancel);
                        up.cancelled = Some(now);
                        Some(now + pace.grace)
                    }
                    (Hung::Is(_), Some(at)) if now < at + pace.grace => Some(at + pace.grace),
                    (Hung::Is(why), Some(_)) => {
                        self.lost(why, now);
                        Some(now)
                    }
                }
            }
        }
    }

    fn start_host(&mut self, now: Instant) {
        match self.spawn(&self.setup.clone()) {
            Ok(host) => self.stage = Stage::Starting(host, now),
            Err((Refusal::System, text)) => self.failed_start(text, now),
            Err((_, text)) => self.quarantine(text),
        }
    }

    pub(super) fn spawn(&mut self, setup: &Setup) -> Result<Host, (Refusal, String)> {
        let sha256 = setup.driver.clone().map_err(|text| (Refusal::Plugin, text))?;
        let PeripheralSettings { name, driver, config, way, record, .. } = &setup.settings;
        self.generation += 1;
        let start = Start {
            peripheral: name.clone(),
            plugin: self.shared.place.driver_file(driver).display().to_string(),
            // What was looked at is what is loaded.
            sha256: Some(sha256),
            config: config.clone(),
            way: way.clone(),
            record: record.as_ref().map(|path| path.display().to_string()),
        };
        self.slot.metrics.lock().starts += 1;
        let program = &self.shared.place.host;
        Host::start(program, start, self.generation, &self.slot.mailbox)
            .map_err(|error| (Refusal::System, format!("{}: {error}", program.display())))
    }

    pub(super) fn hear(&mut self, generation: u64, heard: Heard, now: Instant) {
        let of = |host: &Host| host.generation == generation;
        let is = |stage: &Stage| match stage {
            Stage::Starting(host, _) => of(host),
            Stage::Up(up) => of(&up.host),
            Stage::Down(_) | Stage::Quarantined => false,
        };
        if self.retiring.as_ref().is_some_and(|(host, _)| of(host)) {
            if matches!(heard, Heard::Ended(_)) {
                self.retiring = None;
            }
            return;
        }
        if self.replacement.as_ref().is_some_and(|(stage, _)| is(stage)) {
            return self.hear_replacement(heard);
        }
        if !is(&self.stage) {
            return;
        }
        match heard {
            Heard::Ended(why) => self.lost(&why, now),
            Heard::Frame(FromHost::Started { info, capabilities }) => self.up(*info, *capabilities, now),
            Heard::Frame(FromHost::Refused { refusal: Refusal::System, text }) => {
                self.failed_start(text, now)
            }
            Heard::Frame(FromHost::Refused { text, .. }) => self.quarantine(text),
            Heard::Frame(frame) => self.answer(frame, now),
        }
    }

    /// The driver is loaded.
    fn up(&mut self, info: PluginInfo, capabilities: Capabilities, now: Instant) {
        let stage = std::mem::replace(&mut self.stage, Stage::Quarantined);
        let Stage::Starting(host, _) = stage else {
            // Said twice: it is not what we think it is.
            self.stage = stage;
            return self.lost("it says more than it was asked", now);
        };
        self.stage = Stage::Up(Box::new(Up { host, info, capabilities, cancelled: None }));
        self.settle(now);
    }

    /// A host that is new: nothing is believed of the device.
    pub(super) fn settle(&mut self, now: Instant) {
        self.failed_starts = 0;
        self.waiting = None;
        self.words.fault = None;
        self.words.status = None;
        (self.status_at, self.jobs_at) = (now, Some(now));
        self.set_idle();
        self.face.heal();
    }

    /// The host is of no use any more: killed, and started again after a while.
    fn lost(&mut self, why: &str, now: Instant) {
        let name = &self.setup.settings.name;
        if self.stop_at.is_some() && self.call.is_none() {
            self.stage = Stage::Down(now);
            return;
        }
        tracing::warn!(peripheral = %name, why, "driver host lost");
        self.slot.metrics.lock().crashes += 1;
        self.stage = Stage::Down(now);
        self.give_up_call(why, now);
        let pace = self.shared.pace;
        self.crashes.push_back(now);
        while self.crashes.front().is_some_and(|at| now.duration_since(*at) > pace.crashes_within) {
            self.crashes.pop_front();
        }
        let crashes = self.crashes.len();
        if crashes >= pace.crashes_max {
            return self.quarantine(format!("its driver host was lost {crashes} times, lastly: {why}"));
        }
        self.words.fault = Some(format!("its driver host was lost: {why}"));
        let wait = doubled(pace.restart_first, pace.restart_most, crashes as u32);
        self.stage = Stage::Down(now + wait);
    }

    /// It could not be started, and another try may help.
    fn failed_start(&mut self, text: String, now: Instant) {
        tracing::warn!(peripheral = %self.setup.settings.name, %text, "driver host not started");
        let pace = self.shared.pace;
        self.failed_starts = self.failed_starts.saturating_add(1);
        self.words.fault = Some(text);
        let wait = doubled(pace.restart_first, pace.restart_most, self.failed_starts);
        self.stage = Stage::Down(now + wait);
    }

    /// Another try does not help.
    fn quarantine(&mut self, text: String) {
        tracing::error!(peripheral = %self.setup.settings.name, %text, "quarantined");
        self.words.fault = Some(text);
        self.stage = Stage::Quarantined;
    }

    pub(super) fn restart_afresh(&mut self, now: Instant) {
        self.crashes.clear();
        self.failed_starts = 0;
        self.words = board::Words::default();
        self.stage = Stage::Down(now);
    }

    pub(super) fn end_host(&mut self, now: Instant) {
        self.replacement = None;
        let stage = std::mem::replace(&mut self.stage, Stage::Down(now));
        if let Stage::Up(up) = stage {
            up.host.tell(ToHost::Stop);
            self.retiring = Some((up.host, now + self.shared.pace.grace));
        }
    }
}

/// Is a host hung?
enum Hung {
    /// Not before this, as far as is known now.
    Until(Instant),
    /// It is: how, for people.
    Is(&'static str),
}

fn hung(up: &Up, call: Option<&Call>, stop_at: Option<Instant>, pace: &Pace, now: Instant) -> Hung {
    let pulse = up.host.pulse();
    let mut until = pulse.at + pace.beat_max;
    if now >= until {
        return Hung::Is("it did not say that it lives");
    }
    if let Some(call) = call {
        let end = call.since + call.timeout + pace.grace;
        let end = stop_at.map_or(end, |stop| end.min(stop));
        if now >= end {
            return Hung::Is("its driver did not come back in time");
        }
        until = until.min(end);
    } else if pulse.busy > TICK_MAX + pace.grace {
        return Hung::Is("its driver did not come back in time");
    }
    Hung::Until(until)
}
