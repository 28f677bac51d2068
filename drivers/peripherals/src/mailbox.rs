//! What a peripheral's thread is told: by callers, who never wait, and by its host's reader. Each thing has room for
//! one, and the latest wins, but for frames, which have a bound. Knows nobody's meaning.

use crate::display::Show;
use crate::job::Outcome;
use crate::settings::PeripheralSettings;
use driver_frames::FromHost;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// Frames that wait. A host answers one call at a time: more is a host that is out of its mind.
const FRAMES_MAX: usize = 64;

/// What is heard of a host.
#[derive(Debug)]
pub enum Heard {
    /// It says this.
    Frame(FromHost),
    /// It ended, or what it says is no frame: why, for people.
    Ended(String),
}

/// A peripheral as it is to be from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Its settings.
    pub settings: PeripheralSettings,
    /// SHA-256 of the driver's file as it was looked at, in hex, or why it cannot be used.
    pub driver: Result<String, String>,
}

/// A drawer to be opened.
#[derive(Debug)]
pub struct Kick {
    /// Not after this.
    pub until: Instant,
    /// Told what came of it.
    pub reply: SyncSender<Outcome>,
}

/// All that may wait.
#[derive(Default)]
pub struct Mail {
    /// From hosts, each with its generation.
    pub frames: VecDeque<(u64, Heard)>,
    /// There may be jobs.
    pub jobs: bool,
    /// To be shown, since when.
    pub show: Option<(Show, Instant)>,
    /// A drawer.
    pub kick: Option<Kick>,
    /// Other settings.
    pub setup: Option<Setup>,
    /// The templates may be others.
    pub templates: bool,
    /// No quarantine any more.
    pub release: bool,
    /// End.
    pub stop: bool,
}

/// The mailbox of one peripheral's thread.
#[derive(Default)]
pub struct Mailbox {
    // A plain lock, held for a few moves: callers may be anybody's threads.
    mail: Mutex<Mail>,
    rung: Condvar,
}

// === impl Mailbox ===

impl Mailbox {
    /// Puts something in. Never waits.
    pub fn put<T>(&self, put: impl FnOnce(&mut Mail) -> T) -> T {
        let result = put(&mut self.mail.lock());
        self.rung.notify_one();
        result
    }

    /// Puts in what a host says. `false`: there is too much of it.
    pub fn hear(&self, generation: u64, heard: Heard) -> bool {
        self.put(|mail| {
            let room = mail.frames.len() < FRAMES_MAX || matches!(heard, Heard::Ended(_));
            if room {
                mail.frames.push_back((generation, heard));
            }
            room
        })
    }

    /// Takes everything, after waiting for something until `until` at most.
    pub fn take(&self, until: Instant) -> Mail {
        let mut mail = self.mail.lock();
        while mail.is_empty() {
            if self.rung.wait_until(&mut mail, until).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *mail)
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        let Mail { frames, jobs, show, kick, setup, templates, release, stop } = self;
        frames.is_empty()
            && show.is_none()
            && kick.is_none()
            && setup.is_none()
            && !(*jobs || *templates || *release || *stop)
    }
}
