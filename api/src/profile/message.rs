//! What people read: one line per reason, the same for ever for the same answer. Knows no format of a reply.
//!
//! Times are the venue's and told relative to when the answer was given, never to the present: a retry gets the same
//! bytes. The golden file of the tests holds every line.

use engine::Time;
use engine::catalog::{Catalog, Direction, GateId};
use engine::decision::{Answer, Fact, Reason, Verdict};

/// Longest line, in bytes.
const LINE_BYTES_MAX: usize = 112;
/// Longest name within a line, in bytes: what follows it must still be read.
const NAME_BYTES_MAX: usize = 48;

/// A short text on the stack.
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
}

// === impl Line ===

impl Line {
    fn new(text: &str) -> Line {
        let mut line = Line { bytes: [0; LINE_BYTES_MAX], len: 0 };
        line.push(text);
        line
    }

    /// Appends what fits, whole characters only.
    fn push(&mut self, text: &str) -> &mut Line {
        let len = text.floor_char_boundary(LINE_BYTES_MAX - self.len);
        self.bytes[self.len..self.len + len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        self
    }

    /// Appends a name, cut with an ellipsis when it is long.
    fn push_name(&mut self, name: &str) -> &mut Line {
        if name.len() <= NAME_BYTES_MAX {
            return self.push(name);
        }
        self.push(&name[..name.floor_char_boundary(NAME_BYTES_MAX - '…'.len_utf8())]).push("…")
    }

    fn push_number(&mut self, number: u16) -> &mut Line {
        let mut digits = *b"00000";
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit += (u32::from(number) / 10_u32.pow(place as u32) % 10) as u8;
        }
        let from = digits.iter().position(|digit| *digit != b'0').unwrap_or(4);
        self.push(std::str::from_utf8(&digits[from..]).unwrap_or(""))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// What the answer says, for staff and logs. Allocates only where a time is told.
pub(super) fn message(answer: &Answer, catalog: &Catalog) -> Line {
    let reason = match answer.verdict {
        Verdict::Deny(reason) => return denial(answer, reason, catalog),
        Verdict::Admit { attention } => attention,
    };
    let mut line = Line::new(match answer.direction {
        Direction::Entry => "Access granted",
        Direction::Exit => "Exit granted",
    });
    if answer.people > 1 {
        line.push(" for ").push_number(answer.people).push(" people");
    }
    match (answer.overridden, reason) {
        (Some(overridden), _) => line.push(" by a supervisor; the rule says: ").push(short(overridden)),
        (None, Some(attention)) => line.push("; please look: ").push(short(attention)),
        (None, None) => &mut line,
    };
    line
}

/// What the guest reads: a greeting, or why not.
pub(super) fn display(answer: &Answer, message: &Line, shows_name: bool) -> Line {
    if let Verdict::Deny(_) = answer.verdict {
        return Line::new(message.as_str());
    }
    let holder = answer.ticket.as_ref().map_or("", |facts| facts.label.holder());
    let mut line = Line::new(match answer.direction {
        Direction::Entry => "Welcome",
        Direction::Exit => "Goodbye",
    });
    if shows_name && !holder.is_empty() {
        line.push(", ").push_name(holder);
    }
    line.push("!");
    line
}

fn denial(answer: &Answer, reason: Reason, catalog: &Catalog) -> Line {
    let words = match &answer.fact {
        Fact::Words(words) => words.as_str(),
        _ => "",
    };
    let when = match answer.fact {
        Fact::At(at) => hour(answer, at),
        _ => None,
    };
    match reason {
        Reason::UnknownTicket => Line::new("Unknown ticket"),
        Reason::Cancelled => Line::new("This ticket was cancelled"),
        Reason::Blocked => Line::new("Blocked: see the supervisor"),
        Reason::Superseded => with_time("Replaced by a newer ticket", " at ", when),
        Reason::NotActivated => Line::new("Not activated: payment is open"),
        Reason::WrongEvent => with_words("This ticket is for ", words, "another event"),
        Reason::TooEarly if when.is_none() => Line::new("Not open yet"),
        Reason::TooEarly => with_time("Opens", " at ", when),
        Reason::TooLate => with_time("Ended", " at ", when),
        Reason::WrongGate => with_words("Wrong gate, go to ", words, "the gate on the ticket"),
        Reason::GateClosed => Line::new("This gate is closed, please use another one"),
        Reason::AlreadyInside => entered("Already inside, entered", answer, catalog),
        Reason::AlreadyUsed => entered("Already used", answer, catalog),
        Reason::NoEntriesLeft => entered("No entries left, first used", answer, catalog),
        Reason::NoEntriesLeftToday => Line::new("No entries left today"),
        Reason::NotInside => Line::new("Not inside: no entry is known for this ticket"),
        Reason::ZoneFull => Line::new("The area is full, please wait"),
    }
}

/// A reason in two or three words, within a longer line.
fn short(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownTicket => "unknown ticket",
        Reason::Cancelled => "cancelled",
        Reason::Blocked => "blocked",
        Reason::Superseded => "replaced by a newer ticket",
        Reason::NotActivated => "not activated",
        Reason::WrongEvent => "another event",
        Reason::TooEarly => "not open yet",
        Reason::TooLate => "ended",
        Reason::WrongGate => "wrong gate",
        Reason::GateClosed => "gate closed",
        Reason::AlreadyInside => "already inside",
        Reason::AlreadyUsed => "already used",
        Reason::NoEntriesLeft => "no entries left",
        Reason::NoEntriesLeftToday => "no entries left today",
        Reason::NotInside => "not inside",
        Reason::ZoneFull => "area full",
    }
}

fn with_words(start: &str, words: &str, otherwise: &str) -> Line {
    let mut line = Line::new(start);
    if words.is_empty() {
        line.push(otherwise)
    } else {
        line.push_name(words)
    };
    line
}

fn with_time(start: &str, between: &str, when: Option<String>) -> Line {
    let mut line = Line::new(start);
    if let Some(when) = when {
        line.push(between).push(&when);
    }
    line
}

/// Where and when the ticket entered, as far as it is known; the last comma's part goes when nothing is.
fn entered(start: &str, answer: &Answer, catalog: &Catalog) -> Line {
    let Fact::Entered { gate, at } = answer.fact else {
        return Line::new(start.split(',').next().unwrap_or(start));
    };
    let mut line = Line::new(start);
    if let Some(name) = gate_name(gate, catalog) {
        line.push(" at ").push_name(name);
    }
    if let Some(when) = hour(answer, at) {
        line.push(" at ").push(&when);
    }
    line
}

pub(super) fn gate_name(gate: GateId, catalog: &Catalog) -> Option<&str> {
    catalog.gate(gate).map(|gate| gate.name.as_str())
}

/// A moment on the venue's clock, seen from when the answer was given; `None` for one that never was.
fn hour(answer: &Answer, at: Time) -> Option<String> {
    let known = at > Time(0) && at < Time::MAX;
    known.then(|| engine::calendar::hour(at, answer.at, answer.fact_offset_s))
}
