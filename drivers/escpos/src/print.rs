//! A document's way to paper: asked before whether it can print, sent, watched, proved. Decides what a document came
//! to; knows no op's bytes.

use crate::page::{INITIALISE, Page, preamble};
use crate::profile::{ProofMethod, Settings, StatusMethod};
use crate::status;
use crate::talk::Talk;
use driver_sdk::{Broken, Done, Fault, Link, Report, Status};
use std::time::Duration;

/// While a document prints the printer is asked so often how it is.
const POLL: Duration = Duration::from_millis(500);
/// A write that got nowhere for so long has the printer looked at.
const STALL: Duration = Duration::from_secs(1);
/// Dots that a slow printer makes in a second (100 mm at 203 dpi): how long a document without proof is watched.
const ROWS_A_SECOND: u32 = 800;
/// At most so long.
const WATCH_MAX: Duration = Duration::from_secs(4);
/// NULs that end a command which broke in the middle, in one write.
const FILLER_BYTES_MAX: usize = 256 * 1_024;
/// A printer that has nothing to do answers in turn within so long. One that is busy is sent blanks that do nothing.
const TURN: Duration = Duration::from_millis(100);
/// Blanks before the second question in turn; before each one after it four times as many.
const BLANKS_FIRST: usize = 512;
const BLANKS_TIMES: usize = 4;
/// The questions before a document take at most this part of its time: one that begins late ends in the middle.
const TURN_SHARE: u32 = 2;

/// A printer and what is known of it.
pub struct Printer {
    /// What it is able to do.
    pub settings: Settings,
    /// Questions to it.
    pub talk: Talk,
    /// As last seen.
    pub last: Status,
    native_code: i32,
    /// It is as its initialisation leaves it.
    fresh: bool,
    /// Where it answers in turn: it may be in the middle of a command, of whoever printed last.
    in_doubt: bool,
    /// Where it does not: a document broke in the middle, and the printer may wait for so many bytes of a command. Such
    /// a printer confirms nothing, and a band of blanks on every new line would be ten seconds at 9600 bit/s: only after
    /// a break that was seen.
    filler: usize,
    next_tag: u32,
}

/// Why a document is not begun.
struct Unready {
    fault: Fault,
    text: String,
}

/// Why a document came no farther.
struct Stop {
    fault: Fault,
    /// Bytes of it that left.
    at: usize,
}

/// What came of watching a printer.
enum Watched {
    Proved,
    Trouble(Fault),
    /// Nothing in the time there was.
    Over,
}

// === impl Unready ===

impl From<Fault> for Unready {
    fn from(fault: Fault) -> Unready {
        Unready { fault, text: status::before(fault) }
    }
}

// === impl Printer ===

impl Printer {
    /// `tag` is where tags of documents begin: another number each time, so that an old answer proves nothing.
    pub fn new(settings: Settings, talk: Talk, tag: u32) -> Printer {
        Printer {
            settings,
            talk,
            last: Status::UNKNOWN,
            native_code: 0,
            fresh: false,
            in_doubt: true,
            filler: 0,
            next_tag: tag,
        }
    }

    /// Brings it into a known state.
    ///
    /// # Errors
    /// The link's.
    pub fn reset(&mut self, link: &mut dyn Link, until: Duration) -> Result<(), Fault> {
        self.talk.reset();
        self.fresh = false;
        self.last = Status::UNKNOWN;
        self.in_doubt = true;
        if self.filler > 0 || self.settings.answers_in_turn() {
            // A printer that is out of paper takes nothing more. Asked first, it tells so: before the next document.
            return Ok(());
        }
        self.initialise(link, until)
    }

    /// How it is. `None`: it does not tell.
    ///
    /// # Errors
    /// The link's.
    pub fn status(&mut self, link: &mut dyn Link, until: Duration) -> Result<Option<Status>, Fault> {
        self.native_code = 0;
        let told = if self.settings.status == StatusMethod::None {
            None
        } else {
            self.talk.real_time(link, until)?
        };
        let status = match told {
            Some(told) => {
                let status = told.status(self.settings.drawer_sense);
                self.native_code = if status.fault().is_some() { told.native_code() } else { 0 };
                Some(status)
            }
            None => self.talk.port_status(link, until).map(status::of_port),
        };
        self.last = status.unwrap_or(Status::UNKNOWN);
        Ok(status)
    }

    /// What it told by itself since the last call, where that is news.
    pub fn news(&mut self) -> Option<Status> {
        let status = status::of_asb(self.talk.new_asb()?, self.settings.drawer_sense);
        (self.last != status).then(|| {
            self.last = status;
            status
        })
    }

    /// Prints a document.
    pub fn print(&mut self, link: &mut dyn Link, page: &Page, until: Duration) -> Report {
        if let Err(Unready { fault, text }) = self.before(link, until) {
            return self.report(Done::None, Some(fault), 0, text);
        }
        if let Err(stop) = self.send(link, page, until) {
            return self.broken(page, &stop);
        }
        let (done, fault) = self.prove(link, page, until);
        self.in_doubt = done != Done::Confirmed;
        let text = match (done, fault) {
            (_, Some(fault)) => status::during(fault),
            (Done::Sent, None) => "sent; this printer does not confirm that it has printed".to_owned(),
            _ => String::new(),
        };
        self.report(done, fault, page.ends.len(), text)
    }

    fn report(&self, done: Done, fault: Option<Fault>, ops_done: usize, text: String) -> Report {
        Report { done, fault, ops_done, status: self.last, native_code: self.native_code, text }
    }

    fn broken(&mut self, page: &Page, stop: &Stop) -> Report {
        if stop.at == 0 {
            return self.report(Done::None, Some(stop.fault), 0, status::before(stop.fault));
        }
        self.in_doubt = true;
        if !self.settings.answers_in_turn() {
            self.filler = page.command_bytes_max.min(FILLER_BYTES_MAX);
        }
        self.report(Done::Unknown, Some(stop.fault), page.ops_within(stop.at), status::during(stop.fault))
    }

    /// Asks whether it can print now, and brings it into the state a document begins in.
    fn before(&mut self, link: &mut dyn Link, until: Duration) -> Result<(), Unready> {
        self.talk.look(link)?;
        // The drawer too: a printer that is off-line keeps the pulse and opens it later, with nobody there.
        let method = self.settings.status;
        let ask = match method {
            StatusMethod::Required => true,
            StatusMethod::Try => !self.talk.is_mute(),
            StatusMethod::None => false,
        };
        if ask {
            match self.status(link, until)? {
                Some(status) => status.fault().map_or(Ok(()), Err)?,
                None if method == StatusMethod::Required || self.talk.has_answered() => {
                    return Err(Fault::Timeout.into());
                }
                None => {}
            }
        }
        if self.in_doubt && self.settings.answers_in_turn() {
            self.find_turn(link, until).map_err(|fault| match fault {
                Fault::Timeout => Unready { fault: Fault::Offline, text: status::stuck() },
                other => other.into(),
            })?;
            self.in_doubt = false;
            self.fresh = false;
        }
        if !self.fresh {
            self.initialise(link, until)?;
        }
        self.fresh = false;
        Ok(())
    }

    /// Has it come to the end of whatever it was sent before? Who broke off may have been another process, or another
    /// program: nothing is known of it. `DLE EOT` proves nothing here, it is answered in the middle of a picture too.
    ///
    /// Until it answers in turn it is sent blanks. In the middle of a picture they are white dots, in that of a barcode
    /// no characters, and between commands NUL does nothing. At worst they have the printer end what somebody else
    /// began, whose outcome was told as unknown; no dot of this document is among them. That is why all this is asked
    /// and not written: whatever comes of it, this document may be tried again.
    ///
    /// # Errors
    /// `Timeout`: it is mute. What it is in trouble with; the link's.
    fn find_turn(&mut self, link: &mut dyn Link, until: Duration) -> Result<(), Fault> {
        let now = self.talk.now();
        let until = now + until.saturating_sub(now) / TURN_SHARE;
        self.expect(link)?;
        let (mut blanks, mut left) = (0, self.settings.command_bytes_max());
        loop {
            // A line that was not ended is never printed, and an answer behind it never sent: it is forgotten first.
            let lead = [&vec![0; blanks][..], &INITIALISE].concat();
            link.ask(&lead, until.saturating_sub(self.talk.now()))?;
            self.talk.ask_in_turn(link, until)?;
            left -= blanks;
            if left == 0 {
                break;
            }
            if self.is_turn(link, until.min(self.talk.now() + TURN))? {
                return Ok(());
            }
            if self.talk.now() >= until {
                return Err(Fault::Timeout);
            }
            blanks = left.min(BLANKS_FIRST.max(blanks * BLANKS_TIMES));
        }
        match self.watch(link, until, Talk::is_answered)? {
            Watched::Proved => Ok(()),
            Watched::Trouble(fault) => Err(fault),
            Watched::Over => Err(Fault::Timeout),
        }
    }

    /// The next answer in turn is to be to what is asked from here on.
    fn expect(&mut self, link: &mut dyn Link) -> Result<(), Fault> {
        match self.settings.proof {
            ProofMethod::Queued => self.talk.expect_queued(link),
            _ => {
                let tag = self.tag();
                self.talk.expect_job(tag);
                Ok(())
            }
        }
    }

    /// Waits for an answer in turn. A line that cannot be read has none to wait for: its documents are unknown anyway.
    fn is_turn(&mut self, link: &mut dyn Link, until: Duration) -> Result<bool, Fault> {
        while !self.talk.is_answered() && !self.talk.is_deaf() && self.talk.now() < until {
            let left = until.saturating_sub(self.talk.now());
            self.talk.listen(link, left)?;
        }
        Ok(self.talk.is_answered() || self.talk.is_deaf())
    }

    fn initialise(&mut self, link: &mut dyn Link, until: Duration) -> Result<(), Fault> {
        if self.filler > 0 {
            // Else the printer takes what follows for the rest of a picture. NUL between commands does nothing.
            link.ask(&vec![0; self.filler], until.saturating_sub(self.talk.now()))?;
            self.filler = 0;
        }
        link.ask(&preamble(&self.settings), until.saturating_sub(self.talk.now()))?;
        self.fresh = true;
        Ok(())
    }

    fn send(&mut self, link: &mut dyn Link, page: &Page, until: Duration) -> Result<(), Stop> {
        let mut at = 0;
        while at < page.bytes.len() {
            let left = until.saturating_sub(self.talk.now());
            if left.is_zero() {
                return Err(Stop { fault: Fault::Timeout, at });
            }
            let chunk = page.chunk(at, self.settings.chunk_bytes);
            match link.write(&page.bytes[chunk.clone()], STALL.min(left)) {
                Ok(()) => at = chunk.end,
                Err(Broken { fault: Fault::Timeout, written }) => {
                    at += written;
                    // Its buffer is full: it may have told why. Real-time questions would wait in the same line.
                    self.talk.look(link).map_err(|fault| Stop { fault, at })?;
                    if let Some(fault) = self.trouble_told(link, until) {
                        return Err(Stop { fault, at });
                    }
                }
                Err(Broken { fault, written }) => return Err(Stop { fault, at: at + written }),
            }
        }
        Ok(())
    }

    /// What it told without being asked on its line: by itself, or at USB's control end-point.
    fn trouble_told(&mut self, link: &mut dyn Link, until: Duration) -> Option<Fault> {
        let status = match self.talk.asb() {
            Some(block) => status::of_asb(block, self.settings.drawer_sense),
            None => status::of_port(self.talk.port_status(link, until)?),
        };
        let fault = status.fault()?;
        self.last = status;
        Some(fault)
    }

    /// Everything left. Was it printed?
    fn prove(&mut self, link: &mut dyn Link, page: &Page, until: Duration) -> (Done, Option<Fault>) {
        let watched = match self.settings.proof {
            ProofMethod::Job | ProofMethod::Queued => {
                let asked = self.expect(link).and_then(|()| self.talk.ask_in_turn(link, until));
                asked.and_then(|()| self.watch(link, until, Talk::is_answered))
            }
            ProofMethod::Polled => {
                let long = Duration::from_secs(1) * page.rows / ROWS_A_SECOND;
                let watch_until = until.min(self.talk.now() + long.min(WATCH_MAX));
                match self.watch(link, watch_until, |_| false) {
                    Ok(Watched::Over) => return (Done::Sent, None),
                    other => other,
                }
            }
            ProofMethod::None => return (Done::Sent, None),
        };
        match watched {
            Ok(Watched::Proved) => (Done::Confirmed, None),
            Ok(Watched::Trouble(fault)) | Err(fault) => (Done::Unknown, Some(fault)),
            // It is known to confirm, and did not.
            Ok(Watched::Over) => (Done::Unknown, Some(Fault::Timeout)),
        }
    }

    /// Listens until something is proved, is wrong, or the time is over.
    fn watch(
        &mut self,
        link: &mut dyn Link,
        until: Duration,
        proved: impl Fn(&Talk) -> bool,
    ) -> Result<Watched, Fault> {
        loop {
            let poll_at = until.min(self.talk.now() + POLL);
            while !proved(&self.talk) && self.talk.now() < poll_at && !self.talk.is_deaf() {
                let left = poll_at.saturating_sub(self.talk.now());
                self.talk.listen(link, left)?;
            }
            if proved(&self.talk) {
                return Ok(Watched::Proved);
            }
            // What it told by itself may be older than the roll that was put in: asked is better where it answers.
            let seen = if self.talk.has_answered() {
                // A printer that is busy with a cut answers late: silence alone is no trouble here.
                self.talk.real_time(link, self.talk.now() + POLL)?.map(|told| {
                    self.native_code = told.native_code();
                    told.status(self.settings.drawer_sense)
                })
            } else {
                self.talk.asb().map(|block| status::of_asb(block, self.settings.drawer_sense))
            };
            if proved(&self.talk) {
                self.native_code = 0;
                return Ok(Watched::Proved);
            }
            if let Some(status) = seen {
                self.last = status;
                if let Some(fault) = status.fault() {
                    return Ok(Watched::Trouble(fault));
                }
                self.native_code = 0;
            }
            if self.talk.now() >= until || self.talk.is_deaf() {
                return Ok(Watched::Over);
            }
        }
    }

    /// A tag that was not used before.
    fn tag(&mut self) -> [u8; 4] {
        // 94 characters from '!' to '~': Epson allows 20h to 7Eh.
        let mut number = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1);
        std::array::from_fn(|_| {
            let character = b'!' + (number % 94) as u8;
            number /= 94;
            character
        })
    }
}
