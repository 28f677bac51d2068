//! Other settings, or another file of the driver: a new host is started beside the old one, and takes over when it is up
//! and nothing is under way. What does not come up changes nothing.

use super::{Stage, Up, Worker};
use crate::mailbox::{Heard, Setup};
use driver_frames::FromHost;
use std::time::Instant;

impl Worker {
    pub(super) fn change(&mut self, setup: Setup, now: Instant) {
        self.words.change = None;
        self.replacement = None;
        if setup == self.setup {
            return;
        }
        if !matches!(self.stage, Stage::Up(_)) {
            self.setup = setup;
            return self.restart_afresh(now);
        }
        match self.spawn(&setup) {
            Ok(host) => self.replacement = Some((Stage::Starting(host, now), setup)),
            Err((_, text)) => self.refuse_change(&text),
        }
    }

    pub(super) fn hear_replacement(&mut self, heard: Heard) {
        match (heard, self.replacement.take()) {
            (
                Heard::Frame(FromHost::Started { info, capabilities }),
                Some((Stage::Starting(host, _), setup)),
            ) => {
                let up = Up { host, info: *info, capabilities: *capabilities, cancelled: None };
                self.replacement = Some((Stage::Up(Box::new(up)), setup));
            }
            (Heard::Frame(FromHost::Refused { text, .. }) | Heard::Ended(text), _) => {
                self.refuse_change(&text)
            }
            (Heard::Frame(_), replacement) => self.replacement = replacement,
        }
    }

    fn refuse_change(&mut self, why: &str) {
        tracing::error!(peripheral = %self.setup.settings.name, why, "new settings do not work; the old ones go on");
        self.replacement = None;
        self.words.change = Some(format!("its new settings do not work, the old ones go on: {why}"));
    }

    pub(super) fn look_at_change(&mut self, now: Instant) -> Option<Instant> {
        if self.retiring.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.retiring = None;
        }
        let start_max = self.shared.pace.start_max;
        let mut due = self.retiring.as_ref().map(|(_, until)| *until);
        match self.replacement.take() {
            Some((Stage::Up(up), setup)) if self.call.is_none() => {
                self.end_host(now);
                self.stage = Stage::Up(up);
                self.setup = setup;
                self.crashes.clear();
                self.settle(now);
                due = self.retiring.as_ref().map(|(_, until)| *until);
            }
            Some((Stage::Starting(_, since), _)) if now >= since + start_max => {
                self.refuse_change("it did not load its driver in time");
            }
            waits => {
                if let Some((Stage::Starting(_, since), _)) = &waits {
                    due = due.into_iter().chain([*since + start_max]).min();
                }
                self.replacement = waits;
            }
        }
        due
    }
}
