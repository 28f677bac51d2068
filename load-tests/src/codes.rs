//! Which code is presented next, and what the answer has to be. Knows the demo's codes and every admission of the run;
//! knows nothing of HTTP or time.
//!
//! The rule that everything here serves: a standard code is admitted exactly once, whoever asks how often.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use crate::limits;
use crate::reply::Verdict;

/// Which codes a run presents (`--codes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeChoice {
    /// Fresh standard codes while there are any, then the used ones again.
    Fresh,
    /// A thousand fresh codes, then those again and again.
    Used,
    /// Of every 100 scans 79 staff, 1 fresh and 20 used; see [`mix_of`].
    Mix,
    /// Every line of a file once; the run ends with the file.
    File(PathBuf),
}

/// One scan, by the answer it must get. The number is the code's place in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A code nobody has presented: must be admitted.
    Fresh(u32),
    /// A code that was admitted and answered: must be denied as already used.
    Used(u32),
    /// A staff code: must be admitted however often.
    Staff(u32),
}

/// A right answer, by what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The guest may pass.
    Admitted,
    /// The guest may not pass, and rightly so.
    Denied,
}

/// An answer that must never be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongAnswer {
    /// The code that got it.
    pub code: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The guest may pass.
    Admit,
    /// The guest may not, for this reason.
    Deny(&'static str),
}

/// The reason a code gets that was admitted before.
pub const ALREADY_USED: &str = "already_used";

/// What can be wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Admitted for the second time: the one thing a gate exists to prevent.
    SecondAdmission,
    /// Admitted although it never may be.
    WronglyAdmitted {
        /// The reason it had to be denied for.
        expected: &'static str,
    },
    /// Denied although it had to be admitted.
    Refused {
        /// The reason the server gave.
        reason: String,
    },
    /// Denied, rightly, but with the wrong reason.
    WrongReason {
        /// The reason the server gave.
        reason: String,
        /// The reason it had to give.
        expected: &'static str,
    },
    /// Not 200, or a body without a verdict.
    NoVerdict {
        /// HTTP status.
        status: u16,
    },
}

/// The codes of a run and what has become of each.
#[derive(Debug)]
pub struct CodePool {
    choice: CodeChoice,
    codes: Vec<Box<str>>,
    /// admissions[i] <= 1 for every i, or the run has failed
    admissions: Vec<u8>,
    staff: Vec<Box<str>>,
    /// Codes below this place have been presented.
    fresh_next: usize,
    /// Places of codes whose admission was answered: only those may be called used.
    used: Vec<u32>,
    scan_count: u64,
}

/// What a mixture asks for at one place of its pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// See [`Scan::Fresh`].
    Fresh,
    /// See [`Scan::Used`].
    Used,
    /// See [`Scan::Staff`].
    Staff,
}

/// The mixture: of every 100 scans, 1 fresh, 20 used, 79 staff, evenly spread.
///
/// Mostly admissions, as at a gate. Only 1 % are fresh codes because the demo has 50,000 of them: at 100,000 scans per
/// second they must last for a whole comparison. A staff admission costs the server the same: decided, journaled, applied.
pub const fn mix_of(scan_index: u64) -> Wish {
    match scan_index % 100 {
        0 => Wish::Fresh,
        place if place % 5 == 3 => Wish::Used,
        _ => Wish::Staff,
    }
}

// === impl CodeChoice ===

impl FromStr for CodeChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<CodeChoice, String> {
        match text {
            "fresh" => Ok(CodeChoice::Fresh),
            "used" => Ok(CodeChoice::Used),
            "mix" => Ok(CodeChoice::Mix),
            _ => match text.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Ok(CodeChoice::File(PathBuf::from(path))),
                _ => Err("expected fresh, used, mix or file:PATH".to_owned()),
            },
        }
    }
}

impl fmt::Display for CodeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeChoice::Fresh => f.write_str("fresh"),
            CodeChoice::Used => f.write_str("used"),
            CodeChoice::Mix => f.write_str("mix"),
            CodeChoice::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

// === impl CodePool ===

impl CodePool {
    /// The codes of `choice`, without the first `start` ones (an earlier run has used them).
    pub fn open(choice: &CodeChoice, start: u32) -> Result<CodePool> {
        let codes = match choice {
            CodeChoice::File(path) => codes_read(path, start)?,
            _ => demo_standard(start)?,
        };
        ensure!(!codes.is_empty(), "no codes are left behind --start {start}");
        Ok(CodePool::with_codes(choice.clone(), codes))
    }

    /// A pool of given codes, all unused.
    pub fn with_codes(choice: CodeChoice, codes: Vec<Box<str>>) -> CodePool {
        let staff = (1..=limits::DEMO_STAFF_COUNT).map(|n| format!("DEMO-STAFF-{n:03}").into_boxed_str());
        CodePool {
            choice,
            admissions: vec![0; codes.len()],
            codes,
            staff: staff.collect(),
            fresh_next: 0,
            used: Vec::new(),
            scan_count: 0,
        }
    }

    /// Codes that are admitted once each.
    pub fn once(&self) -> &[Box<str>] {
        &self.codes
    }

    /// Codes that are admitted always.
    pub fn always(&self) -> &[Box<str>] {
        &self.staff
    }

    /// Codes of the first kind whose admission was answered.
    pub fn admitted(&self) -> impl Iterator<Item = &str> {
        self.used.iter().map(|place| &*self.codes[*place as usize])
    }

    /// The next scan; `None` when a file is used up.
    pub fn next_scan(&mut self) -> Option<Scan> {
        let index = self.scan_count;
        self.scan_count += 1;
        let wishes = match &self.choice {
            CodeChoice::File(_) => [Wish::Fresh; 3],
            CodeChoice::Fresh => [Wish::Fresh, Wish::Used, Wish::Staff],
            CodeChoice::Used if self.fresh_next < limits::USED_CODE_COUNT as usize => {
                [Wish::Fresh, Wish::Used, Wish::Staff]
            }
            CodeChoice::Used => [Wish::Used, Wish::Fresh, Wish::Staff],
            CodeChoice::Mix => match mix_of(index) {
                Wish::Fresh => [Wish::Fresh, Wish::Staff, Wish::Staff],
                Wish::Used => [Wish::Used, Wish::Fresh, Wish::Staff],
                Wish::Staff => [Wish::Staff; 3],
            },
        };
        wishes.into_iter().find_map(|wish| self.grant(wish, index))
    }

    fn grant(&mut self, wish: Wish, index: u64) -> Option<Scan> {
        match wish {
            Wish::Fresh if self.fresh_next < self.codes.len() => {
                self.fresh_next += 1;
                Some(Scan::Fresh(self.fresh_next as u32 - 1))
            }
            Wish::Used if !self.used.is_empty() => {
                // Spread like a hash: in order, the server would always find the next ticket in its cache.
                let spread = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                Some(Scan::Used(self.used[spread as usize % self.used.len()]))
            }
            Wish::Staff => Some(Scan::Staff((index % self.staff.len() as u64) as u32)),
            Wish::Fresh | Wish::Used => None,
        }
    }

    /// The code a scan presents.
    pub fn code(&self, scan: Scan) -> &str {
        match scan {
            Scan::Fresh(place) | Scan::Used(place) => &self.codes[place as usize],
            Scan::Staff(place) => &self.staff[place as usize],
        }
    }

    /// Judges the answer to a scan and remembers an admission.
    pub fn settle(&mut self, scan: Scan, status: u16, verdict: Verdict<'_>) -> Result<Answered, WrongAnswer> {
        let expected = match scan {
            Scan::Fresh(_) | Scan::Staff(_) => Expected::Admit,
            Scan::Used(_) => Expected::Deny(ALREADY_USED),
        };
        let mut judged = judge(expected, status, verdict);
        if let (Ok(Answered::Admitted), Scan::Fresh(place)) = (&judged, scan)
            && self.admit(place) > 1
        {
            judged = Err(Fault::SecondAdmission);
        }
        judged.map_err(|fault| WrongAnswer { code: self.code(scan).to_owned(), fault })
    }

    /// Takes any answer as the right one: the echo baseline says the same to everybody.
    pub fn settle_unjudged(&mut self, scan: Scan) -> Answered {
        match scan {
            Scan::Fresh(place) => {
                self.admit(place);
                Answered::Admitted
            }
            Scan::Staff(_) => Answered::Admitted,
            Scan::Used(_) => Answered::Denied,
        }
    }

    /// Codes that were never presented.
    pub fn fresh_left(&self) -> usize {
        self.codes.len() - self.fresh_next
    }

    fn admit(&mut self, place: u32) -> u8 {
        let admissions = &mut self.admissions[place as usize];
        *admissions = admissions.saturating_add(1);
        if *admissions == 1 {
            self.used.push(place);
        }
        *admissions
    }
}

/// Holds an answer against what it has to be. An admission of a code that was admitted before is told as what it is.
pub fn judge(expected: Expected, status: u16, verdict: Verdict<'_>) -> Result<Answered, Fault> {
    match (status, verdict, expected) {
        (200, Verdict::Granted, Expected::Admit) => Ok(Answered::Admitted),
        (200, Verdict::Granted, Expected::Deny(ALREADY_USED)) => Err(Fault::SecondAdmission),
        (200, Verdict::Granted, Expected::Deny(expected)) => Err(Fault::WronglyAdmitted { expected }),
        (200, Verdict::Denied(reason), Expected::Deny(expected)) if reason == expected.as_bytes() => {
            Ok(Answered::Denied)
        }
        (200, Verdict::Denied(reason), Expected::Deny(expected)) => {
            Err(Fault::WrongReason { reason: lossy(reason), expected })
        }
        (200, Verdict::DeniedUntold, Expected::Deny(_)) => Ok(Answered::Denied),
        (200, Verdict::Denied(reason), Expected::Admit) => Err(Fault::Refused { reason: lossy(reason) }),
        (200, Verdict::DeniedUntold, Expected::Admit) => Err(Fault::Refused { reason: lossy(b"") }),
        (status, _, _) => Err(Fault::NoVerdict { status }),
    }
}

impl fmt::Display for WrongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongAnswer { code, fault } = self;
        match fault {
            Fault::SecondAdmission => write!(f, "{code} was admitted a second time"),
            Fault::WronglyAdmitted { expected } => {
                write!(f, "{code} had to be denied as {expected}, was admitted")
            }
            Fault::Refused { reason } => write!(f, "{code} had to be admitted, was denied: {reason}"),
            Fault::WrongReason { reason, expected } => {
                write!(f, "{code} had to be denied as {expected}, was: {reason}")
            }
            Fault::NoVerdict { status } => write!(f, "{code} got no verdict: status {status}"),
        }
    }
}

fn demo_standard(start: u32) -> Result<Vec<Box<str>>> {
    let count = limits::DEMO_STANDARD_COUNT;
    ensure!(start < count, "--start {start}: the demo has {count} standard codes");
    Ok((start + 1..=count).map(|n| format!("DEMO-STD-{n:06}").into_boxed_str()).collect())
}

fn codes_read(path: &Path, start: u32) -> Result<Vec<Box<str>>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read codes from {}", path.display()))?;
    let lines = text.lines().enumerate().skip(start as usize);
    lines
        .map(|(index, line)| {
            let code = line.trim();
            // Codes are patched into JSON text as they are; one that needs escaping would change its length.
            let plain = code.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
            let sized = (1..=limits::CODE_BYTES_MAX).contains(&code.len());
            ensure!(plain, "{}:{}: only plain ASCII codes are understood", path.display(), index + 1);
            ensure!(
                sized,
                "{}:{}: a code has 1 to {} bytes",
                path.display(),
                index + 1,
                limits::CODE_BYTES_MAX
            );
            Ok(code.into())
        })
        .collect()
}

fn lossy(reason: &[u8]) -> String {
    if reason.is_empty() {
        "no reason given".to_owned()
    } else {
        String::from_utf8_lossy(reason).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIT: Verdict<'_> = Verdict::Granted;
    const USED: Verdict<'_> = Verdict::Denied(b"already_used");

    fn pool(choice: CodeChoice, count: u32) -> CodePool {
        CodePool::with_codes(choice, (0..count).map(|n| format!("C{n}").into_boxed_str()).collect())
    }

    #[test]
    fn every_answer_is_judged_by_what_it_had_to_be() {
        let check = |scan, status, verdict, expected: Option<Fault>| {
            let mut pool = pool(CodeChoice::Fresh, 2);
            pool.settle(Scan::Fresh(1), 200, ADMIT).unwrap();
            let found = pool.settle(scan, status, verdict).err().map(|wrong| wrong.fault);
            assert_eq!(found, expected, "{scan:?} {status} {verdict:?}");
        };
        let late = || "too_late".to_owned();
        check(Scan::Fresh(0), 200, ADMIT, None);
        check(Scan::Fresh(0), 200, USED, Some(Fault::Refused { reason: "already_used".into() }));
        check(Scan::Fresh(0), 503, Verdict::Unreadable, Some(Fault::NoVerdict { status: 503 }));
        check(Scan::Fresh(0), 429, ADMIT, Some(Fault::NoVerdict { status: 429 }));
        check(Scan::Fresh(1), 200, ADMIT, Some(Fault::SecondAdmission));
        check(Scan::Used(1), 200, USED, None);
        check(Scan::Used(1), 200, ADMIT, Some(Fault::SecondAdmission));
        check(
            Scan::Used(1),
            200,
            Verdict::Denied(b"too_late"),
            Some(Fault::WrongReason { reason: late(), expected: ALREADY_USED }),
        );
        check(Scan::Staff(0), 200, ADMIT, None);
        check(Scan::Staff(0), 200, Verdict::Denied(b"too_late"), Some(Fault::Refused { reason: late() }));
        check(Scan::Staff(0), 200, Verdict::Unreadable, Some(Fault::NoVerdict { status: 200 }));
    }

    #[test]
    fn fresh_codes_come_once_each_and_are_repeated_only_after_their_admission() {
        let mut pool = pool(CodeChoice::Fresh, 3);
        assert_eq!(
            [pool.next_scan(), pool.next_scan(), pool.next_scan()],
            [0, 1, 2].map(|place| Some(Scan::Fresh(place)))
        );
        assert!(matches!(pool.next_scan(), Some(Scan::Staff(_))), "nothing is known to be used yet");
        pool.settle(Scan::Fresh(2), 200, ADMIT).unwrap();
        assert_eq!(pool.next_scan(), Some(Scan::Used(2)));
    }

    #[test]
    fn a_file_ends_with_its_last_code() {
        let mut pool = pool(CodeChoice::File(PathBuf::new()), 2);
        assert!(pool.next_scan().is_some());
        assert!(pool.next_scan().is_some());
        pool.settle(Scan::Fresh(0), 200, ADMIT).unwrap();
        assert_eq!(pool.next_scan(), None);
    }

    #[test]
    fn the_mixture_keeps_its_proportions_and_staff_stands_in_when_fresh_codes_run_out() {
        let mut pool = pool(CodeChoice::Mix, 60);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            let scan = pool.next_scan().unwrap();
            counts[match scan {
                Scan::Fresh(_) => 0,
                Scan::Used(_) => 1,
                Scan::Staff(_) => 2,
            }] += 1;
            pool.settle_unjudged(scan);
        }
        assert_eq!(counts, [60, 2_000, 7_940]);
        assert_eq!(pool.fresh_left(), 0);
    }

    #[test]
    fn used_presents_its_first_codes_once_and_then_only_repeats() {
        let mut pool = pool(CodeChoice::Used, limits::USED_CODE_COUNT * 2);
        let mut fresh_count = 0;
        for index in 0..limits::USED_CODE_COUNT * 3 {
            let scan = pool.next_scan().unwrap();
            fresh_count += u32::from(matches!(scan, Scan::Fresh(_)));
            assert!(index < limits::USED_CODE_COUNT || matches!(scan, Scan::Used(_)));
            pool.settle_unjudged(scan);
        }
        assert_eq!(fresh_count, limits::USED_CODE_COUNT);
    }

    #[test]
    fn choices_are_written_as_they_are_read() {
        for text in ["fresh", "used", "mix", "file:/tmp/codes.txt"] {
            assert_eq!(text.parse::<CodeChoice>().unwrap().to_string(), text);
        }
        assert!("file:".parse::<CodeChoice>().is_err());
    }
}
