//! Questions to a printer and their answers: who asked for what, and what came too late. Nothing that is read is ever
//! taken for another question's answer. Knows no document.

use crate::demux::{Demux, Heard};
use crate::status::RealTime;
use driver_sdk::{ControlIn, Fault, Host, Link};
use std::time::Duration;

/// A printer answers `DLE EOT` within so long: it does not wait for what is printed.
const ANSWER_MAX: Duration = Duration::from_millis(400);
/// An answer that did not come may come so much later. Until then the next one could be it.
const LATE_MAX: Duration = Duration::from_secs(2);
/// `GS r` waits behind whatever is printed.
const QUEUED_LATE_MAX: Duration = Duration::from_secs(60);
/// While so many answers to `GS r` may still come, nothing more is asked: each question would need one more than these.
const QUEUED_OWED_MAX: u32 = 32;
/// Looks whether something came, without waiting for it.
const LOOK: Duration = Duration::from_millis(1);
/// One look takes at most so many reads: a line that babbles is left alone.
const LOOKS_MAX: usize = 32;
/// `Try`: a printer that was silent so often is not asked before documents any more.
const TRIES_MAX: u8 = 3;

const DLE: u8 = 0x10;
const EOT: u8 = 0x04;
const GS: u8 = 0x1d;

/// A question that has one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `DLE EOT`.
    RealTime,
    /// `GS I`.
    Told,
}

/// Where a kind's question stands.
#[derive(Debug, Default)]
enum Slot {
    #[default]
    Idle,
    Wanted,
    Got(Heard),
    /// Asked then, not answered.
    Late(Duration),
}

/// The answer in turn that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InTurn {
    /// `GS ( H` with this tag.
    Job([u8; 4]),
    /// `GS r`: so many more. Its answers have no tag; what may come from before is let by first.
    Queued(u32),
}

/// The conversation with one printer.
pub struct Talk {
    host: Host,
    demux: Demux,
    slots: [Slot; 2],
    /// `GS r` questions without an answer, and when the last was asked.
    queued_owed: u32,
    queued_at: Duration,
    in_turn: Option<InTurn>,
    /// The last status sent by itself, and whether it was looked at.
    asb: Option<[u8; 4]>,
    asb_is_new: bool,
    /// This line cannot be read at all.
    deaf: bool,
    /// Which of `DLE EOT` 1 to 4 were ever answered, and which are not asked any more.
    answered: [bool; 4],
    given_up: [bool; 4],
    tries: u8,
    strays: u64,
}

// === impl Slot ===

impl Slot {
    /// The answer, once.
    fn take_answer(&mut self) -> Option<Heard> {
        match std::mem::take(self) {
            Slot::Got(heard) => Some(heard),
            other => {
                *self = other;
                None
            }
        }
    }
}

// === impl Talk ===

impl Talk {
    /// Nothing was said.
    pub fn new(host: Host) -> Talk {
        Talk {
            host,
            demux: Demux::default(),
            slots: Default::default(),
            queued_owed: 0,
            queued_at: Duration::ZERO,
            in_turn: None,
            asb: None,
            asb_is_new: false,
            deaf: false,
            answered: [false; 4],
            given_up: [false; 4],
            tries: 0,
            strays: 0,
        }
    }

    /// The line is new. What kind of printer it is stays known; what it owes is owed for as long as it may come.
    pub fn reset(&mut self) {
        self.demux.reset();
        for slot in &mut self.slots {
            if !matches!(slot, Slot::Late(_)) {
                *slot = Slot::Idle;
            }
        }
        self.in_turn = None;
        self.asb = None;
        self.asb_is_new = false;
        self.deaf = false;
    }

    /// Did it ever answer?
    pub fn has_answered(&self) -> bool {
        self.answered[0]
    }

    /// Was it silent so often that asking is no use?
    pub fn is_mute(&self) -> bool {
        !self.answered[0] && self.tries >= TRIES_MAX
    }

    /// Can nothing be read on this line?
    pub fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Bytes that fit nowhere, and messages that nobody had asked for.
    pub fn oddities(&self) -> (u64, u64) {
        (self.demux.garbage(), self.strays)
    }

    /// What it last sent by itself.
    pub fn asb(&self) -> Option<[u8; 4]> {
        self.asb
    }

    /// What it sent by itself since the last call.
    pub fn new_asb(&mut self) -> Option<[u8; 4]> {
        std::mem::take(&mut self.asb_is_new).then_some(self.asb).flatten()
    }

    /// Time since some moment.
    pub fn now(&self) -> Duration {
        self.host.now()
    }

    /// Takes what came, without waiting.
    ///
    /// # Errors
    /// The link's.
    pub fn look(&mut self, link: &mut dyn Link) -> Result<(), Fault> {
        for _ in 0..LOOKS_MAX {
            if !self.listen(link, LOOK)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for bytes; did some come?
    ///
    /// # Errors
    /// The link's.
    pub fn listen(&mut self, link: &mut dyn Link, wait: Duration) -> Result<bool, Fault> {
        let mut buffer = [0; 256];
        match link.read(&mut buffer, wait.max(LOOK)) {
            Ok(n) => {
                for byte in &buffer[..n] {
                    if let Some(heard) = self.demux.take(*byte) {
                        self.hear(heard);
                    }
                }
                Ok(true)
            }
            Err(Fault::Timeout) => Ok(false),
            Err(Fault::Unsupported) => {
                self.deaf = true;
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Asks all of `DLE EOT`. `None`: it is silent.
    ///
    /// # Errors
    /// The link's.
    pub fn real_time(&mut self, link: &mut dyn Link, until: Duration) -> Result<Option<RealTime>, Fault> {
        let mut bytes = [RealTime::NOTHING; 4];
        for (n, byte) in bytes.iter_mut().enumerate() {
            if self.given_up[n] {
                continue;
            }
            match self.ask(link, Kind::RealTime, &[DLE, EOT, n as u8 + 1], until)? {
                Some(Heard::RealTime(answer)) => {
                    self.answered[n] = true;
                    *byte = answer;
                }
                _ if n > 0 && !self.answered[n] && until > self.now() => self.given_up[n] = true,
                _ => {
                    self.tries = self.tries.saturating_add(1);
                    return Ok(None);
                }
            }
        }
        Ok(Some(RealTime(bytes)))
    }

    /// Asks one thing of `GS I`. `None`: it is silent.
    ///
    /// # Errors
    /// The link's.
    pub fn identity(&mut self, link: &mut dyn Link, n: u8, until: Duration) -> Result<Option<String>, Fault> {
        match self.ask(link, Kind::Told, &[GS, b'I', n], until)? {
            Some(Heard::Told(text)) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            _ => Ok(None),
        }
    }

    /// USB: `GET_PORT_STATUS`. `None`: this is no USB, or it does not answer.
    pub fn port_status(&mut self, link: &mut dyn Link, until: Duration) -> Option<u8> {
        let request = ControlIn { request_type: 0xa1, request: 1, value: 0, index: 0 };
        let mut byte = [0];
        let wait = ANSWER_MAX.min(until.saturating_sub(self.now()));
        matches!(link.control_in(request, &mut byte, wait), Ok(1)).then_some(byte[0])
    }

    /// USB: `GET_DEVICE_ID`, IEEE 1284: two bytes of length, big-endian, themselves counted, and the text.
    pub fn device_id(&mut self, link: &mut dyn Link, until: Duration) -> Option<String> {
        let request = ControlIn { request_type: 0xa1, request: 0, value: 0, index: 0 };
        let mut bytes = [0; 1_024];
        let wait = ANSWER_MAX.min(until.saturating_sub(self.now()));
        let n = link.control_in(request, &mut bytes, wait).ok()?;
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])).min(n);
        (length > 2).then(|| String::from_utf8_lossy(&bytes[2..length]).into_owned())
    }

    /// From now on the answer in turn is the one to `GS ( H` with this tag.
    pub fn expect_job(&mut self, tag: [u8; 4]) {
        self.in_turn = Some(InTurn::Job(tag));
    }

    /// From now on the answer in turn is one to a `GS r` that is still to be asked.
    ///
    /// # Errors
    /// `Timeout`: too many answers may still come from before, nothing can be told now.
    pub fn expect_queued(&mut self, link: &mut dyn Link) -> Result<(), Fault> {
        // What has come already is an answer to an older one.
        self.look(link)?;
        if self.now().saturating_sub(self.queued_at) > QUEUED_LATE_MAX {
            self.queued_owed = 0;
        }
        if self.queued_owed > QUEUED_OWED_MAX {
            return Err(Fault::Timeout);
        }
        self.in_turn = Some(InTurn::Queued(self.queued_owed + 1));
        Ok(())
    }

    /// Has it answer behind all that was sent before: `GS ( H` function 48 or `GS r` 1. May be asked again: any of
    /// these answers will do.
    ///
    /// # Errors
    /// The link's.
    pub fn ask_in_turn(&mut self, link: &mut dyn Link, until: Duration) -> Result<(), Fault> {
        let now = self.now();
        let left = until.saturating_sub(now);
        match self.in_turn {
            Some(InTurn::Job([a, b, c, d])) => {
                link.ask(&[GS, b'(', b'H', 6, 0, b'0', b'0', a, b, c, d], left)
            }
            Some(InTurn::Queued(missing)) => {
                self.queued_owed += missing;
                self.queued_at = now;
                link.ask(&[GS, b'r', 1].repeat(missing as usize), left)
            }
            None => Ok(()),
        }
    }

    /// Did it answer in turn?
    pub fn is_answered(&self) -> bool {
        self.in_turn.is_none()
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::RealTime(_) => self.answer(Kind::RealTime, heard),
            Heard::Told(_) => self.answer(Kind::Told, heard),
            Heard::Asb(block) => {
                self.asb_is_new |= self.asb != Some(block);
                self.asb = Some(block);
            }
            Heard::Job(tag) if self.in_turn == Some(InTurn::Job(tag)) => self.in_turn = None,
            Heard::Queued(_) if self.queued_owed > 0 => {
                self.queued_owed -= 1;
                if let Some(InTurn::Queued(missing)) = self.in_turn {
                    self.in_turn = (missing > 1).then(|| InTurn::Queued(missing - 1));
                }
            }
            Heard::Job(_) | Heard::Queued(_) => self.strays += 1,
        }
    }

    fn answer(&mut self, kind: Kind, heard: Heard) {
        let slot = &mut self.slots[kind as usize];
        match slot {
            Slot::Wanted => *slot = Slot::Got(heard),
            Slot::Late(_) => {
                *slot = Slot::Idle;
                self.strays += 1;
            }
            Slot::Idle | Slot::Got(_) => self.strays += 1,
        }
    }

    /// Asks, and waits for the answer for as long as one takes.
    fn ask(
        &mut self,
        link: &mut dyn Link,
        kind: Kind,
        question: &[u8],
        until: Duration,
    ) -> Result<Option<Heard>, Fault> {
        self.look(link)?;
        if self.deaf || !self.late_is_over(link, kind, until)? {
            return Ok(None);
        }
        let asked = self.now();
        self.slots[kind as usize] = Slot::Wanted;
        let answer = self.wait(link, kind, question, until.min(asked + ANSWER_MAX));
        if !matches!(answer, Ok(Some(_))) {
            self.slots[kind as usize] = Slot::Late(asked);
        }
        answer
    }

    fn wait(
        &mut self,
        link: &mut dyn Link,
        kind: Kind,
        question: &[u8],
        until: Duration,
    ) -> Result<Option<Heard>, Fault> {
        link.ask(question, until.saturating_sub(self.now()))?;
        loop {
            if let Some(heard) = self.slots[kind as usize].take_answer() {
                return Ok(Some(heard));
            }
            let left = until.saturating_sub(self.now());
            if left.is_zero() || self.deaf {
                return Ok(None);
            }
            self.listen(link, left)?;
        }
    }

    /// An earlier question was not answered: waits until its answer came or cannot come any more.
    fn late_is_over(&mut self, link: &mut dyn Link, kind: Kind, until: Duration) -> Result<bool, Fault> {
        while let Slot::Late(asked) = self.slots[kind as usize] {
            let now = self.now();
            let over = asked + LATE_MAX;
            if now >= over {
                self.slots[kind as usize] = Slot::Idle;
            } else if now >= until {
                return Ok(false);
            } else {
                self.listen(link, over.min(until) - now)?;
            }
        }
        Ok(true)
    }
}
