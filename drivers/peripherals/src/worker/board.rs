//! What a peripheral's thread tells people. Decides nothing.

use super::{Stage, Worker};
use crate::policy;
use crate::view::{LastOutcome, PeripheralState};
use driver_abi::{Fault, Kind, Status};

/// What is told about a peripheral.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// How it is; `None`: its thread did not say yet, or there is none.
    pub state: Option<PeripheralState>,
    /// What it is.
    pub kind: Option<Kind>,
    /// The driver's version.
    pub driver_version: Option<String>,
    /// The device's own words.
    pub status: Option<String>,
    /// What became of the last job.
    pub last: Option<LastOutcome>,
    /// What staff has to do.
    pub alarm: Option<String>,
    /// The host's process.
    pub host_pid: Option<u32>,
}

/// What was heard and is still so.
#[derive(Default)]
pub struct Words {
    /// Why there is no host.
    pub fault: Option<String>,
    /// Why the newest settings are not in use.
    pub change: Option<String>,
    /// What is wrong with the queue's file.
    pub queue: Option<String>,
    /// Why the device cannot be reached.
    pub link: Option<String>,
    /// Why a text was not shown.
    pub show: Option<String>,
    /// The device, by its own words.
    pub status: Option<Status>,
}

impl Worker {
    pub(super) fn tell_board(&self) {
        let state = self.state();
        let mut board = self.slot.board.lock();
        if board.state != Some(state) {
            tracing::info!(peripheral = %self.setup.settings.name, ?state, "peripheral");
        }
        board.state = Some(state);
        board.alarm = self.alarm();
        board.status = self.words.status.map(|status| status.to_string());
        board.host_pid = match &self.stage {
            Stage::Up(up) => Some(up.host.pid),
            Stage::Starting(host, _) => Some(host.pid),
            Stage::Down(_) | Stage::Quarantined => None,
        };
        if let Stage::Up(up) = &self.stage {
            board.kind = Some(up.info.kind);
            board.driver_version = Some(up.info.version.clone());
        }
        self.slot.metrics.lock().up = state == PeripheralState::Ready;
    }

    fn state(&self) -> PeripheralState {
        match &self.stage {
            Stage::Quarantined => PeripheralState::Quarantined,
            Stage::Starting(..) => PeripheralState::Starting,
            Stage::Down(_) if self.words.fault.is_none() => PeripheralState::Starting,
            Stage::Down(_) => PeripheralState::Degraded,
            Stage::Up(_) => match self.waiting {
                _ if self.words.link.is_some() => PeripheralState::Absent,
                Some((Fault::Gone, _)) => PeripheralState::Absent,
                None if self.words.queue.is_none() && self.words.show.is_none() => PeripheralState::Ready,
                _ => PeripheralState::Degraded,
            },
        }
    }

    /// The gravest first.
    fn alarm(&self) -> Option<String> {
        let words = &self.words;
        if matches!(self.stage, Stage::Quarantined) {
            let why = words.fault.as_deref().unwrap_or_default();
            return Some(format!("not started any more: {why}; mend it, then release it"));
        }
        let device = || {
            let fault = self.waiting.map(|(fault, _)| policy::alarm(fault).to_owned());
            match (&words.link, fault) {
                (Some(link), Some(fault)) => Some(format!("{fault} ({link})")),
                (Some(link), None) => Some(format!("{} ({link})", policy::alarm(Fault::Gone))),
                (None, fault) => fault,
            }
        };
        let low = || {
            let low = words.status.is_some_and(|status| status.has(Status::PAPER_LOW));
            low.then(|| "paper is near its end: have a roll ready".to_owned())
        };
        words
            .queue
            .clone()
            .or_else(|| words.fault.clone())
            .or_else(device)
            .or_else(|| words.show.clone())
            .or_else(|| words.change.clone())
            .or_else(low)
    }
}
