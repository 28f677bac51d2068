//! A table of a template's file, read key by key: every mistake is kept with its line and with what is meant. Knows no
//! element.

use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The mistakes of one file.
pub struct Mistakes<'t> {
    text: &'t str,
    found: Vec<(usize, String)>,
}

/// One table of it.
pub struct Form<'f, 't> {
    /// "element 3", or nothing for the whole file.
    name: String,
    /// Where it is in the file.
    span: Range<usize>,
    table: &'f DeTable<'t>,
}

// === impl Mistakes ===

impl<'t> Mistakes<'t> {
    /// None yet.
    pub fn new(text: &'t str) -> Mistakes<'t> {
        Mistakes { text, found: Vec::new() }
    }

    /// One more, at a place in the file.
    pub fn add(&mut self, at: &Range<usize>, what: impl Into<String>) {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        self.found.push((1 + before.iter().filter(|byte| **byte == b'\n').count(), what.into()));
    }

    /// All of them, from the file's top down; nothing if there was none.
    pub fn into_lines(mut self) -> Vec<String> {
        self.found.sort_by_key(|(line, _)| *line);
        self.found.into_iter().map(|(line, what)| format!("line {line}: {what}")).collect()
    }
}

// === impl Form ===

impl<'f, 't> Form<'f, 't> {
    /// The whole file's table.
    pub fn whole(table: &'f Spanned<DeTable<'t>>) -> Form<'f, 't> {
        Form { name: String::new(), span: 0..0, table: table.get_ref() }
    }

    /// Is there such a key?
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Says something about the whole table.
    pub fn complain(&self, mistakes: &mut Mistakes<'_>, what: &str) {
        mistakes.add(&self.span, self.named(what));
    }

    /// Says something about one key.
    pub fn complain_of(&self, mistakes: &mut Mistakes<'_>, key: &str, what: &str) {
        let span = self.table.get(key).map_or(self.span.clone(), Spanned::span);
        mistakes.add(&span, self.named(&format!("{key}: {what}")));
    }

    /// Says which keys are not known, and what may be meant.
    pub fn only(&self, mistakes: &mut Mistakes<'_>, known: &[&str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let nearest = known.iter().map(|other| (distance(name, other), *other)).min();
            let meant = match nearest {
                Some((1..=2, other)) => format!("is {other:?} meant?"),
                _ => format!("known here: {}", known.join(", ")),
            };
            mistakes.add(&key.span(), self.named(&format!("there is no {name:?}: {meant}")));
        }
    }

    /// A text.
    pub fn text(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<&'f str> {
        let value = self.table.get(key)?.get_ref();
        value.as_str().or_else(|| self.wrong(mistakes, key, "a text in quotes is needed", value))
    }

    /// Yes or no; no where it is not said.
    pub fn flag(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<bool> {
        let value = self.table.get(key)?.get_ref();
        value.as_bool().or_else(|| self.wrong(mistakes, key, "true or false is needed", value))
    }

    /// A number in a range.
    pub fn number(&self, mistakes: &mut Mistakes<'_>, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.table.get(key)?.get_ref();
        let number = number(value).filter(|number| range.contains(number));
        let meant = format!("a number from {} to {} is needed", range.start(), range.end());
        number.or_else(|| self.wrong(mistakes, key, &meant, value))
    }

    /// A whole number in a range that a byte has room for.
    pub fn count(&self, mistakes: &mut Mistakes<'_>, key: &str, range: RangeInclusive<u8>) -> Option<u8> {
        let value = self.table.get(key)?.get_ref();
        let whole = number(value).filter(|number| number.fract() == 0.0 && (0.0..=255.0).contains(number));
        let meant = format!("a whole number from {} to {} is needed", range.start(), range.end());
        whole
            .map(|number| number as u8)
            .filter(|n| range.contains(n))
            .or_else(|| self.wrong(mistakes, key, &meant, value))
    }

    /// One of some words.
    pub fn choice<T: Copy>(
        &self,
        mistakes: &mut Mistakes<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let value = self.table.get(key)?.get_ref();
        chosen(value, choices).or_else(|| self.wrong(mistakes, key, &among(choices), value))
    }

    /// A list of words, each one of some.
    pub fn choices<T: Copy>(
        &self,
        mistakes: &mut Mistakes<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<Vec<T>> {
        let list = self.list(mistakes, key)?;
        let each = list.iter().filter_map(|value| {
            let choice = chosen(value.get_ref(), choices);
            choice.or_else(|| self.wrong(mistakes, key, &among(choices), value.get_ref()))
        });
        Some(each.collect())
    }

    /// A list of texts, each with its place.
    pub fn texts(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<Vec<&'f str>> {
        let list = self.list(mistakes, key)?;
        let each = list.iter().filter_map(|value| {
            value
                .get_ref()
                .as_str()
                .or_else(|| self.wrong(mistakes, key, "texts in quotes are needed", value.get_ref()))
        });
        Some(each.collect())
    }

    /// A list of whole numbers from 1 to 100.
    pub fn counts(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<Vec<u32>> {
        let list = self.list(mistakes, key)?;
        let each = list.iter().filter_map(|value| {
            let count = number(value.get_ref()).filter(|n| (1.0..=100.0).contains(n) && n.fract() == 0.0);
            count.map(|n| n as u32).or_else(|| {
                self.wrong(mistakes, key, "whole numbers from 1 to 100 are needed", value.get_ref())
            })
        });
        Some(each.collect())
    }

    /// A list of tables, named and numbered from 1 on, at most so many of them.
    pub fn tables(
        &self,
        mistakes: &mut Mistakes<'_>,
        key: &str,
        name: &str,
        most: usize,
    ) -> Vec<Form<'f, 't>> {
        let list = self.list(mistakes, key).unwrap_or_default();
        if list.is_empty() && self.has(key) {
            self.complain_of(mistakes, key, "at least one is needed");
        }
        if list.len() > most {
            self.complain_of(mistakes, key, &format!("at most {most} of them, found {}", list.len()));
        }
        let each = list.iter().take(most).enumerate().filter_map(|(index, value)| match value.get_ref() {
            DeValue::Table(table) => {
                Some(Form { name: format!("{name} {}", index + 1), span: value.span(), table })
            }
            other => self.wrong(mistakes, key, "each has to be a table: { … }", other),
        });
        each.collect()
    }

    /// A table in this one.
    pub fn table(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<Form<'f, 't>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Form { name: key.to_owned(), span: value.span(), table }),
            other => self.wrong(mistakes, key, "a table is needed: { … }", other),
        }
    }

    fn list(&self, mistakes: &mut Mistakes<'_>, key: &str) -> Option<&'f [Spanned<DeValue<'t>>]> {
        match self.table.get(key)?.get_ref() {
            DeValue::Array(list) => Some(list),
            other => self.wrong(mistakes, key, "a list is needed: [ … ]", other),
        }
    }

    fn wrong<T>(
        &self,
        mistakes: &mut Mistakes<'_>,
        key: &str,
        meant: &str,
        found: &DeValue<'_>,
    ) -> Option<T> {
        let shown = match found {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            other => other.type_str().to_owned(),
        };
        self.complain_of(mistakes, key, &format!("{meant}, found {shown}"));
        None
    }

    fn named(&self, what: &str) -> String {
        if self.name.is_empty() { what.to_owned() } else { format!("{}: {what}", self.name) }
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64)
        }
        DeValue::Float(number) => number.as_str().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn chosen<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Option<T> {
    let word = value.as_str()?;
    choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice)
}

fn among<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    format!("one of {} is needed", names.join(", "))
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
