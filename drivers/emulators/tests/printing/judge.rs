//! What the paper says against what was reported. Knows neither hosts nor printers: marks and reports only.
//!
//! The rules:
//! - reported None: nothing of it is on the paper;
//! - a ticket's line is on the paper at most once, whatever was reported, and all of them on one piece;
//! - Confirmed: all of it is on the paper, once, in order;
//! - Sent: the same, except where bytes were lost after they had left: the printer closed, froze or refused this
//!   ticket's connection or its host was killed, or one of these left the printer in the middle of a command that
//!   swallows what follows;
//! - Unknown: anything but twice;
//! - without a device's proof (`Proof::None`) Confirmed is worth no more than Sent.

use driver_frames::Done;
use std::collections::{BTreeMap, BTreeSet};

/// Whether the device is able to prove that it printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is, and the driver asks it.
    OfDevice,
    /// The driver believes what left.
    None,
}

/// A line of a ticket as it was found on the paper; line 0 is its QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub ticket: u32,
    pub attempt: u32,
    pub line: u32,
    pub piece: usize,
}

/// One try to print a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub ticket: u32,
    pub attempt: u32,
    pub done: Done,
    /// May what was sent have been lost by the printer?
    pub lost: bool,
}

/// What is wrong, in words; nothing, where the reports are true.
pub fn judge(attempts: &[Attempt], marks: &[Mark], lines: u32, proof: Proof) -> Vec<String> {
    let mut findings = Vec::new();
    for attempt in attempts {
        let own = |mark: &&Mark| mark.ticket == attempt.ticket && mark.attempt == attempt.attempt;
        let marks: Vec<&Mark> = marks.iter().filter(own).collect();
        let whole = is_whole(&marks, lines);
        let must_be_whole = match (attempt.done, proof) {
            (Done::Confirmed, Proof::OfDevice) => true,
            (Done::Confirmed, Proof::None) | (Done::Sent, _) => !attempt.lost,
            (Done::None | Done::Unknown, _) => false,
        };
        let name = format!("ticket {}.{}, reported {:?}", attempt.ticket, attempt.attempt, attempt.done);
        if must_be_whole && !whole {
            let found: Vec<u32> = marks.iter().map(|mark| mark.line).collect();
            findings.push(format!("{name}: not whole on the paper, found lines {found:?} of {lines}"));
        }
        if attempt.done == Done::None && !marks.is_empty() {
            findings.push(format!("{name}: {} lines of it are on the paper", marks.len()));
        }
    }
    findings.extend(doubles(marks));
    findings
}

/// Every line once, in order, the code among them.
fn is_whole(marks: &[&Mark], lines: u32) -> bool {
    let texts: Vec<u32> = marks.iter().map(|mark| mark.line).filter(|line| *line > 0).collect();
    let codes = marks.iter().filter(|mark| mark.line == 0).count();
    texts == (1..=lines).collect::<Vec<_>>() && codes == 1
}

/// Tickets of which something is on the paper twice, or on two pieces of it.
fn doubles(marks: &[Mark]) -> Vec<String> {
    let mut seen: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let mut pieces: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    for mark in marks {
        *seen.entry((mark.ticket, mark.line)).or_default() += 1;
        pieces.entry(mark.ticket).or_default().insert(mark.piece);
    }
    let lines = seen.iter().filter(|(_, times)| **times > 1);
    let lines = lines
        .map(|((ticket, line), times)| format!("ticket {ticket}: line {line} was printed {times} times"));
    let pieces = pieces.iter().filter(|(_, pieces)| pieces.len() > 1);
    let pieces = pieces.map(|(ticket, pieces)| format!("ticket {ticket}: is on the pieces {pieces:?}"));
    lines.chain(pieces).collect()
}

/// The lines of tickets in a text, in order: `<TICKET.ATTEMPT:LINE/`. What is broken off within its number is line 99,
/// so that half a line counts as something printed and never as a line.
pub fn marks_of_text(text: &str, piece: usize) -> Vec<Mark> {
    let mut marks = Vec::new();
    for part in text.split('<').skip(1) {
        let Some((name, rest)) = part.split_once(':') else { continue };
        let Some((ticket, attempt)) = name.split_once('.') else { continue };
        let (Ok(ticket), Ok(attempt)) = (ticket.parse(), attempt.parse()) else { continue };
        let line = rest.split_once('/').and_then(|(line, _)| line.parse().ok()).unwrap_or(99);
        marks.push(Mark { ticket, attempt, line, piece });
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticket 1 of two lines, tried as told, and what was found of it: (attempt, line, piece).
    fn check(done: &[Done], lost: bool, proof: Proof, found: &[(u32, u32, usize)], words: &[&str]) {
        let attempts: Vec<Attempt> = (1..)
            .zip(done)
            .map(|(attempt, done)| Attempt { ticket: 1, attempt, done: *done, lost })
            .collect();
        let marks: Vec<Mark> = found
            .iter()
            .map(|(attempt, line, piece)| Mark { ticket: 1, attempt: *attempt, line: *line, piece: *piece })
            .collect();
        let findings = judge(&attempts, &marks, 2, proof);
        assert_eq!(findings.len(), words.len(), "{findings:?}");
        for (finding, words) in findings.iter().zip(words) {
            assert!(finding.contains(words), "{finding}");
        }
    }

    const WHOLE: [(u32, u32, usize); 3] = [(1, 1, 0), (1, 2, 0), (1, 0, 0)];

    #[test]
    fn true_reports_are_found_true() {
        use Proof::OfDevice;
        check(&[Done::Confirmed], false, OfDevice, &WHOLE, &[]);
        check(&[Done::Sent], false, OfDevice, &WHOLE, &[]);
        check(&[Done::Sent], true, OfDevice, &[], &[]);
        check(&[Done::Unknown], false, OfDevice, &WHOLE[..1], &[]);
        check(&[Done::None], false, OfDevice, &[], &[]);
        check(&[Done::None, Done::Confirmed], false, OfDevice, &[(2, 1, 0), (2, 2, 0), (2, 0, 0)], &[]);
        check(&[Done::Confirmed], true, Proof::None, &[], &[]);
    }

    #[test]
    fn lies_are_found() {
        use Proof::OfDevice;
        check(&[Done::Confirmed], true, OfDevice, &WHOLE[..2], &["not whole"]);
        check(&[Done::Confirmed], false, OfDevice, &[(1, 2, 0), (1, 1, 0), (1, 0, 0)], &["not whole"]);
        check(&[Done::Confirmed], false, Proof::None, &[], &["not whole"]);
        check(&[Done::Sent], false, OfDevice, &WHOLE[1..], &["not whole"]);
        check(&[Done::None], false, OfDevice, &WHOLE[..1], &["are on the paper"]);
        check(&[Done::None], true, OfDevice, &[(1, 99, 0)], &["are on the paper"]);
        let twice = [(1, 1, 0), (2, 1, 0), (2, 2, 0), (2, 0, 0)];
        check(&[Done::Unknown, Done::Confirmed], false, OfDevice, &twice, &["line 1 was printed 2 times"]);
        let apart = [(1, 1, 0), (1, 2, 1), (1, 0, 1)];
        check(&[Done::Confirmed], false, OfDevice, &apart, &["on the pieces {0, 1}"]);
    }

    #[test]
    fn lines_are_found_in_text_whole_and_broken_off() {
        let mark = |ticket, attempt, line| Mark { ticket, attempt, line, piece: 3 };
        let text = "<3.1:1/6> seat 4\n<3.1:2/6> s<4.2:1/6> seat 5\n<4.2:\n<4";
        assert_eq!(marks_of_text(text, 3), [mark(3, 1, 1), mark(3, 1, 2), mark(4, 2, 1), mark(4, 2, 99)]);
    }
}
