//! Counts of one run: right answers by kind, wrong ones with examples, and answers that never came. Knows no time.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::codes::{Answered, Fault, WrongAnswer};
use crate::limits;

/// Everything counted over a run, warm-up included: a wrong answer is wrong in the warm-up too.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Right answers that let a guest pass.
    pub admitted: u64,
    /// Right answers that did not.
    pub denied: u64,
    /// Wrong answers, second admissions included.
    pub wrong: u64,
    /// Codes admitted a second time.
    pub second_admissions: u64,
    /// Codes admitted that never may be: unknown, blocked, cancelled ones (they are part of `wrong`).
    pub wrong_admissions: u64,
    /// The first few of these codes; told apart from the other examples, so that nothing can crowd them out.
    pub admitted_twice: Vec<String>,
    /// Answers without a verdict, by HTTP status (they are part of `wrong`).
    pub by_status: BTreeMap<u16, u64>,
    /// Requests whose answer never came.
    pub lost: u64,
    /// Connections that had to be opened again.
    pub reconnects: u64,
    /// The first few of everything that went wrong, in words.
    pub examples: Vec<String>,
}

// === impl Tally ===

impl Tally {
    /// Counts one judged answer.
    pub fn count(&mut self, answer: Result<Answered, WrongAnswer>) {
        match answer {
            Ok(Answered::Admitted) => self.admitted += 1,
            Ok(Answered::Denied) => self.denied += 1,
            Err(wrong) => self.count_wrong(&wrong),
        }
    }

    /// Counts a request that got no answer.
    pub fn count_lost(&mut self, code: &str, cause: &str) {
        self.lost += 1;
        self.example(|| format!("{code} was never answered: {cause}"));
    }

    /// Counts bytes that are no answer to anything.
    pub fn count_noise(&mut self, what: &str) {
        self.wrong += 1;
        self.example(|| what.to_owned());
    }

    /// Nothing wrong, nothing missing.
    pub fn is_right(&self) -> bool {
        self.wrong == 0 && self.lost == 0
    }

    fn count_wrong(&mut self, wrong: &WrongAnswer) {
        self.wrong += 1;
        match wrong.fault {
            Fault::SecondAdmission => {
                self.second_admissions += 1;
                if self.admitted_twice.len() < limits::WRONG_EXAMPLES_MAX {
                    self.admitted_twice.push(wrong.code.clone());
                }
            }
            Fault::NoVerdict { status } => *self.by_status.entry(status).or_default() += 1,
            Fault::WronglyAdmitted { .. } => self.wrong_admissions += 1,
            Fault::Refused { .. } | Fault::WrongReason { .. } => {}
        }
        self.example(|| wrong.to_string());
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < limits::WRONG_EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_are_all_counted_and_the_first_few_told() {
        let mut tally = Tally::default();
        for number in 0..limits::WRONG_EXAMPLES_MAX + 5 {
            let code = format!("C{number}");
            tally.count(Err(WrongAnswer { code, fault: Fault::SecondAdmission }));
        }
        assert_eq!(tally.second_admissions, limits::WRONG_EXAMPLES_MAX as u64 + 5);
        assert_eq!(tally.examples.len(), limits::WRONG_EXAMPLES_MAX);
        assert_eq!(tally.admitted_twice.len(), limits::WRONG_EXAMPLES_MAX);
        assert_eq!(tally.examples[0], "C0 was admitted a second time");
        assert!(!tally.is_right());
    }
}
