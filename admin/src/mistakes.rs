//! Mistakes in the fields of what was sent, collected so that all of them are told at once. Knows no field.

use crate::problem::{FieldError, Kind, Problem, shown};

/// Longest reason that is given for the audit, in characters.
const REASON_CHARS_MAX: usize = 300;

/// Mistakes found so far.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// A rule that has to hold; otherwise `message` says what is meant.
    pub fn rule(&mut self, holds: bool, field: &str, message: impl Into<String>) {
        if !holds {
            self.0.push(FieldError { field: field.to_owned(), message: message.into() });
        }
    }

    /// A text of `least` to `most` characters, without control characters.
    pub fn text(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let fits = (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        self.rule(fits, field, format!("{least} to {most} characters are meant, no control characters"));
    }

    /// Why something is done, for the audit.
    pub fn reason(&mut self, field: &str, reason: &str) {
        self.text(field, reason, 1, REASON_CHARS_MAX);
    }

    /// A name that has to be known.
    pub fn known<T>(&mut self, field: &str, what: &str, name: &str, found: Option<T>) -> Option<T> {
        self.rule(found.is_some(), field, format!("there is no {what} '{}'", shown(name)));
        found
    }

    /// Tells them, if there are any.
    ///
    /// # Errors
    /// All of them.
    pub fn told(self) -> Result<(), Problem> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let mut problem = Problem::new(Kind::Invalid, format!("{}: {}", first.field, first.message));
        problem.errors = self.0;
        Err(problem)
    }
}
