//! A receipt printer that speaks ESC/POS: its receive buffer, its status and what it says by itself; `obey` knows the
//! commands, `paper` what came out. From Epson's command reference. Knows no line and no driver.
//!
//! ```text
//! line -> take -> buffer (N bytes) -> command -> obey -> acts -> paper, cutter, drawer, answers
//!           \-> real-time commands, answered on arrival, also off-line and with a full buffer
//! ```
//! Acts wait while the printer is off-line; nothing behind them is done before them.

mod codes;
mod extent;
mod head;
mod obey;
mod paper;
mod picture;
mod status;

pub use paper::{Align, Barcode, Cut, Mark, Paper, Picture, Piece, Printed, Qr, Span, Style};
pub use picture::Grey;

use crate::Machine;
use head::Head;
use status::RealTime;
use std::collections::VecDeque;

/// What a printer is.
#[derive(Clone, Debug)]
pub struct Model {
    /// Dots of a line: 576 on 80 mm, 384 on 58 mm.
    pub width_dots: u32,
    /// Bytes of the receive buffer.
    pub buffer_bytes: usize,
    /// Paper of a new roll, in dots; `None`: it does not end by itself.
    pub roll_dots: Option<u32>,
    /// With less paper than this the near-end sensor tells.
    pub near_end_dots: u32,
    /// From the head to the cutter, in dots.
    pub cutter_dots: u32,
    /// Does it know `GS ( H`?
    pub process_ids: bool,
    /// Does it say XOFF when its buffer is nearly full, and XON again?
    pub xon_xoff: bool,
    /// Does it forget the command it is in when its line is cut?
    pub forgets_command: bool,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            width_dots: 576,
            buffer_bytes: 4_096,
            roll_dots: None,
            near_end_dots: 400,
            cutter_dots: 100,
            process_ids: true,
            xon_xoff: false,
            forgets_command: false,
        }
    }
}

/// A buffer that is full still takes so many bytes of a real-time command.
const RESERVE_BYTES: usize = 64;
/// A command other than a graphic is never so long; a graphic's length is in its head.
const COMMAND_BYTES_MAX: usize = 1 << 20;
/// XON and XOFF.
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// A pulse to the cash drawer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kick {
    /// 0 or 1.
    pub pin: u8,
    /// In ms.
    pub on_ms: u32,
}

/// What waits for the mechanics, in order.
#[derive(Clone, Debug)]
enum Act {
    Print(Printed),
    Cut(Cut),
    Kick(Kick),
    /// Bytes that go back when everything before is done.
    Answer(Vec<u8>),
    /// `GS r n`: the state as it is when its turn comes.
    Tell(u8),
}

/// A receipt printer.
pub struct ReceiptPrinter {
    model: Model,
    buffer: VecDeque<u8>,
    /// Bytes ever taken and ever worked off: `worked + buffer.len() == taken`.
    taken: u64,
    worked: u64,
    /// Where in what was taken a line was cut.
    cuts_of_line: VecDeque<u64>,
    /// A real-time command as far as it came in.
    real_time: RealTime,
    /// The command it is in.
    pending: Vec<u8>,
    head: Head,
    acts: VecDeque<Act>,
    paper: Paper,
    /// Dots left of the roll.
    left: Option<u32>,
    paper_out: bool,
    cover_open: bool,
    /// The cutter will be stuck when it is next used.
    cutter_blocked: bool,
    /// The cutter is stuck.
    cutter_error: bool,
    drawer_open: bool,
    kicks: Vec<Kick>,
    out: Vec<u8>,
    asb: u8,
    asb_told: [u8; 4],
    xoff: bool,
    errors: Vec<String>,
}

// === impl ReceiptPrinter ===

impl ReceiptPrinter {
    /// As switched on, with a new roll.
    pub fn new(model: Model) -> ReceiptPrinter {
        ReceiptPrinter {
            buffer: VecDeque::new(),
            taken: 0,
            worked: 0,
            cuts_of_line: VecDeque::new(),
            real_time: RealTime::default(),
            pending: Vec::new(),
            head: Head::new(model.width_dots),
            acts: VecDeque::new(),
            paper: Paper::new(model.width_dots),
            left: model.roll_dots,
            paper_out: false,
            cover_open: false,
            cutter_blocked: false,
            cutter_error: false,
            drawer_open: false,
            kicks: Vec::new(),
            out: Vec::new(),
            asb: 0,
            asb_told: [0; 4],
            xoff: false,
            errors: Vec::new(),
            model,
        }
    }

    /// What came out.
    pub fn paper(&self) -> &Paper {
        &self.paper
    }

    /// What it was sent that it does not understand or that does nothing, in order.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Pulses to the cash drawer, in order.
    pub fn kicks(&self) -> &[Kick] {
        &self.kicks
    }

    /// Bytes taken and not yet worked off.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Is it able to print now?
    pub fn is_online(&self) -> bool {
        !self.paper_out && !self.cover_open && !self.cutter_error
    }

    /// Takes all of these bytes and works off what it can; what its buffer has no room for is given back.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        loop {
            let taken = self.take(rest);
            rest = &rest[taken..];
            self.work();
            if taken == 0 || rest.is_empty() {
                return rest;
            }
        }
    }

    /// Somebody opens or closes the cover.
    pub fn set_cover(&mut self, open: bool) {
        self.cover_open = open;
        self.state_changed();
    }

    /// Somebody opens or closes the cash drawer.
    pub fn set_drawer(&mut self, open: bool) {
        self.drawer_open = open;
        self.state_changed();
    }

    /// Something gets into the cutter: it is stuck from its next cut on.
    pub fn block_cutter(&mut self) {
        self.cutter_blocked = true;
    }

    /// It is taken out; what a host sends (`DLE ENQ`) or a person presses makes the printer go on.
    pub fn free_cutter(&mut self) {
        self.cutter_blocked = false;
    }

    /// Switched off and on: buffer, command and settings are gone; the paper is not.
    pub fn power_cycle(&mut self) {
        self.clear_buffers();
        self.head = Head::new(self.model.width_dots);
        self.real_time = RealTime::default();
        self.out.clear();
        self.asb = 0;
        self.xoff = false;
        self.cutter_error = false;
    }

    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    // --- The line's side ---

    fn take_one(&mut self, byte: u8) -> bool {
        // With a full buffer only what may be a real-time command is let in, and stays there: it is skipped when its
        // turn comes.
        let reserve = if self.real_time.may_go_on(byte) { RESERVE_BYTES } else { 0 };
        if self.buffer.len() >= self.model.buffer_bytes + reserve {
            return false;
        }
        self.buffer.push_back(byte);
        self.taken += 1;
        if let Some(command) = self.real_time.take(byte) {
            self.obey_real_time(&command);
        }
        self.flow();
        true
    }

    fn flow(&mut self) {
        if !self.model.xon_xoff {
            return;
        }
        let (used, room) = (self.buffer.len(), self.model.buffer_bytes);
        if !self.xoff && used * 8 > room * 7 {
            self.xoff = true;
            self.out.push(XOFF);
        } else if self.xoff && used * 2 < room {
            self.xoff = false;
            self.out.push(XON);
        }
    }

    // --- The mechanics' side ---

    /// Does what waits, until nothing does or the printer is off-line.
    fn act(&mut self) {
        while self.is_online() {
            let Some(act) = self.acts.pop_front() else { return };
            match act {
                Act::Print(printed) => self.print(printed),
                Act::Cut(cut) => self.cut(cut),
                Act::Kick(kick) => self.kicks.push(kick),
                Act::Answer(bytes) => self.out.extend(bytes),
                Act::Tell(n) => self.tell(n),
            }
        }
    }

    fn print(&mut self, printed: Printed) {
        let Some(left) = self.left else {
            self.paper.push(printed);
            return;
        };
        if printed.height_dots <= left {
            self.left = Some(left - printed.height_dots);
            self.paper.push(printed);
            if self.left <= Some(self.model.near_end_dots) {
                self.state_changed();
            }
            return;
        }
        // A picture is printed row by row as far as the roll reaches; anything else waits whole for the next roll.
        let (now, later) = printed.split(left);
        if let Some(now) = now {
            self.left = Some(left - now.height_dots);
            self.paper.push(now);
        }
        self.acts.push_front(Act::Print(later));
        self.end_of_paper();
    }

    fn end_of_paper(&mut self) {
        self.paper_out = true;
        self.state_changed();
    }

    fn cut(&mut self, cut: Cut) {
        if self.cutter_blocked {
            self.cutter_error = true;
            self.acts.push_front(Act::Cut(cut));
            self.state_changed();
            return;
        }
        let blank = self.paper.blank_dots();
        if blank < self.model.cutter_dots && !self.paper.current().is_blank() {
            let missing = self.model.cutter_dots - blank;
            self.error(format!(
                "cut {missing} dots before the end of what was printed: it is still below the cutter"
            ));
        }
        self.paper.cut(cut);
    }
}

impl Machine for ReceiptPrinter {
    fn take(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|byte| self.take_one(**byte)).count()
    }

    fn work(&mut self) {
        loop {
            self.act();
            if !self.acts.is_empty() || !self.is_online() {
                break;
            }
            while self.cuts_of_line.front() == Some(&self.worked) {
                self.cuts_of_line.pop_front();
                self.pending.clear();
            }
            let Some(byte) = self.buffer.pop_front() else { break };
            self.worked += 1;
            self.pending.push(byte);
            self.interpret();
        }
        self.act();
        self.flow();
    }

    fn is_busy(&self) -> bool {
        self.is_online() && !(self.buffer.is_empty() && self.acts.is_empty())
    }

    fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn paper_out(&mut self) {
        self.left = Some(0);
        self.end_of_paper();
    }

    fn is_out_of_paper(&self) -> bool {
        self.paper_out
    }

    fn refill(&mut self) {
        if self.paper_out {
            self.paper.end_of_roll();
        }
        self.left = self.model.roll_dots;
        self.paper_out = false;
        self.cover_open = false;
        self.cutter_blocked = false;
        self.cutter_error = false;
        self.state_changed();
    }

    fn line_lost(&mut self) {
        self.real_time = RealTime::default();
        // What is in the buffer is still printed; the command its end is in is not waited for.
        if self.model.forgets_command && self.cuts_of_line.back() != Some(&self.taken) {
            self.cuts_of_line.push_back(self.taken);
        }
    }
}

#[cfg(test)]
mod tests;
