//! What a display shows and when: pure, driven by the caller's clock. The latest wins, never faster than a person could
//! see; a sequence of timed steps, then the idle text. Knows no process.

use crate::error::Error;
use crate::job::plain;
use documents::{Template, Values};
use driver_abi::{Capabilities, Op};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// No two texts come closer than this, in ms: 20 a second.
pub const PACE_MS: u64 = 50;
/// Steps of one show.
pub const STEPS_MAX: usize = 32;
/// Lines of a text that is shown without template.
pub const SHOWN_LINES_MAX: usize = 4;
/// Such a text is shown for so long where nothing else is said, in ms.
const SHOWN_MS: u32 = 5_000;
/// A text the display did not take is told it again after so long, in ms.
const AGAIN_MS: u64 = 1_000;

/// What a display is to show now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// A template, filled in when the device is known.
    Template {
        /// Its name.
        name: String,
        /// What its fields are filled with.
        values: Values,
    },
    /// As it is, step after step; then the idle text. At most 32.
    Steps(Vec<Step>),
}

/// One step of what is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub ops: Vec<Op<'static>>,
    /// For how long, in ms.
    pub for_ms: u32,
}

impl Show {
    /// Lines of text, for so many ms; then the idle text. A control character in them is none.
    ///
    /// # Errors
    /// No line, or more than [`SHOWN_LINES_MAX`].
    pub fn lines(lines: &[String], for_ms: Option<u32>) -> Result<Show, Error> {
        if lines.is_empty() || lines.len() > SHOWN_LINES_MAX {
            return Err(Error::BadDocument(format!("1 to {SHOWN_LINES_MAX} lines are meant")));
        }
        let lines = (1..).zip(lines).map(|(line, text)| Op::Line { line, text: plain(text).into() });
        let ops = [Op::Clear].into_iter().chain(lines).collect();
        Ok(Show::Steps(vec![Step { ops, for_ms: for_ms.unwrap_or(SHOWN_MS) }]))
    }
}

/// The steps of a display's template.
pub fn steps(template: &Template, values: &Values, capabilities: &Capabilities) -> Vec<Step> {
    let steps = template.steps(values, capabilities).into_iter().take(STEPS_MAX);
    let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    steps.map(|(ops, time)| Step { ops, for_ms: ms(time) }).collect()
}

/// What a display shows: at most one text under way, one sequence, one idle text.
#[derive(Clone, Debug, Default)]
pub struct Face {
    idle: Vec<Op<'static>>,
    steps: Vec<Step>,
    /// Which step is shown; `steps.len()`: the idle text.
    at: usize,
    /// The text of `at` was told the display at this time.
    told_ms: Option<u64>,
    /// Nothing is told before this time.
    not_before_ms: u64,
    /// What is on its way was replaced meanwhile, or is not there any more.
    under_way: bool,
}

/// What is to be done about a display.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    /// Tell it this, then say what came of it: `told`.
    Tell(Vec<Op<'static>>),
    /// Ask again at this time.
    At(u64),
    /// Nothing until something new comes.
    Nothing,
}

// === impl Face ===

impl Face {
    /// What is shown when there is nothing else; empty: nothing is sent.
    pub fn set_idle(&mut self, idle: Vec<Op<'static>>) {
        if self.idle != idle {
            self.idle = idle;
            if self.at >= self.steps.len() {
                self.told_ms = None;
            }
        }
    }

    /// Shows this in place of everything before. `true`: what it replaces was not seen at all.
    pub fn show(&mut self, mut steps: Vec<Step>) -> bool {
        steps.truncate(STEPS_MAX);
        let unseen = self.at == 0 && !self.steps.is_empty() && self.told_ms.is_none();
        (self.steps, self.at, self.told_ms) = (steps, 0, None);
        unseen
    }

    /// The display may be empty: it is told again what it shows.
    pub fn heal(&mut self) {
        self.told_ms = None;
    }

    /// What is to be done now.
    pub fn next(&mut self, now_ms: u64) -> Todo {
        if self.under_way {
            return Todo::Nothing;
        }
        if let (Some(step), Some(told_ms)) = (self.steps.get(self.at), self.told_ms) {
            let over_ms = told_ms + u64::from(step.for_ms);
            if now_ms < over_ms {
                return Todo::At(over_ms);
            }
            (self.at, self.told_ms) = (self.at + 1, None);
        }
        let ops = self.steps.get(self.at).map_or(&self.idle, |step| &step.ops);
        if self.told_ms.is_some() || ops.is_empty() {
            return Todo::Nothing;
        }
        if now_ms < self.not_before_ms {
            return Todo::At(self.not_before_ms);
        }
        let ops = ops.clone();
        (self.told_ms, self.under_way, self.not_before_ms) = (Some(now_ms), true, now_ms + PACE_MS);
        Todo::Tell(ops)
    }

    /// The display took the last text, or did not: then it is told again what is to be shown by then.
    pub fn told(&mut self, well: bool, now_ms: u64) {
        self.under_way = false;
        if !well {
            self.told_ms = None;
            self.not_before_ms = now_ms + AGAIN_MS;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    fn ops(text: &str) -> Vec<Op<'static>> {
        vec![Op::Text(text.to_owned().into())]
    }

    fn step(text: &str, for_ms: u32) -> Step {
        Step { ops: ops(text), for_ms }
    }

    fn face() -> Face {
        let mut face = Face::default();
        face.set_idle(ops("idle"));
        face
    }

    /// Runs a face with a display that takes each text in `takes_ms`; gives what was told when.
    fn run(face: &mut Face, from_ms: u64, until_ms: u64, takes_ms: u64) -> Vec<(u64, String)> {
        let (mut told, mut free_ms) = (Vec::new(), None);
        for now_ms in from_ms..until_ms {
            if free_ms == Some(now_ms) {
                face.told(true, now_ms);
                free_ms = None;
            }
            if let Todo::Tell(ops) = face.next(now_ms) {
                let Op::Text(text) = &ops[0] else { panic!("{ops:?}") };
                told.push((now_ms, text.to_string()));
                free_ms = Some(now_ms + takes_ms);
            }
        }
        if free_ms.is_some() {
            face.told(true, until_ms);
        }
        told
    }

    #[test]
    fn steps_follow_each_other_and_the_idle_text_ends_them() {
        let mut face = face();
        assert_eq!(run(&mut face, 0, 100, 5), [(0, "idle".to_owned())]);
        face.show(vec![step("Welcome", 200), step("Mila", 300)]);
        let told = run(&mut face, 100, 2_000, 5);
        let wanted = [(100, "Welcome"), (300, "Mila"), (600, "idle")];
        assert_eq!(told, wanted.map(|(at, text)| (at, text.to_owned())));
    }

    #[test]
    fn the_latest_wins_and_twenty_a_second_are_the_most() {
        let mut face = face();
        let mut told = Vec::new();
        for at in 0..1_000 {
            face.show(vec![step(&at.to_string(), 10_000)]);
            told.extend(run(&mut face, at, at + 1, 1));
        }
        assert_eq!(told.len(), 20);
        assert!(told.iter().all(|(at, text)| *text == at.to_string()), "{told:?}");
        assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PACE_MS));
    }

    #[test]
    fn what_came_while_a_slow_display_was_told_is_skipped_but_for_the_last() {
        let mut face = face();
        face.show(vec![step("first", 5_000)]);
        assert!(matches!(face.next(0), Todo::Tell(_)));
        assert!(!face.show(vec![step("second", 5_000)]), "the first was seen");
        assert!(face.show(vec![step("third", 5_000)]), "the second was not");
        assert_eq!(face.next(400), Todo::Nothing);
        face.told(true, 400);
        assert_eq!(face.next(400), Todo::Tell(ops("third")));
    }

    #[test]
    fn a_display_that_did_not_take_it_or_was_emptied_is_told_again() {
        let mut face = face();
        assert!(matches!(face.next(0), Todo::Tell(_)));
        face.told(false, 10);
        assert_eq!(face.next(10), Todo::At(1_010));
        assert_eq!(face.next(1_010), Todo::Tell(ops("idle")));
        face.told(true, 1_020);
        assert_eq!(face.next(9_000), Todo::Nothing);
        face.heal();
        assert_eq!(face.next(9_000), Todo::Tell(ops("idle")));
    }

    #[test]
    fn a_display_without_an_idle_text_is_left_as_it_is() {
        let mut face = Face::default();
        assert_eq!(face.next(0), Todo::Nothing);
        face.show(vec![step("once", 10)]);
        assert_eq!(run(&mut face, 0, 500, 1).len(), 1);
    }
}
