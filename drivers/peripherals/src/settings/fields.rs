//! Fields of a table in a settings file: taken out one by one, mistakes gathered with their lines, what nobody took is
//! a mistake too. Knows no peripheral.

use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A name is at most so long, in bytes.
const NAME_BYTES_MAX: usize = 40;

/// A file's text, and what is wrong with it.
pub struct Source<'a> {
    name: &'a str,
    text: &'a str,
    mistakes: RefCell<Vec<(usize, String)>>,
}

/// A table's fields.
pub struct Fields<'a, 'i> {
    source: &'a Source<'a>,
    what: String,
    /// Where the table begins.
    at: usize,
    table: DeTable<'i>,
    /// What was there, with its place.
    taken: Vec<(String, usize)>,
    /// What was asked for.
    asked: Vec<String>,
}

// === impl Source ===

impl<'a> Source<'a> {
    /// A text with no mistake yet.
    pub fn new(name: &'a str, text: &'a str) -> Source<'a> {
        Source { name, text, mistakes: RefCell::default() }
    }

    /// Something is wrong at this byte.
    pub fn mistake(&self, at: usize, words: &str) {
        self.mistakes.borrow_mut().push((self.line(at), words.to_owned()));
    }

    /// All of them, in the file's order.
    pub fn into_mistakes(self) -> Vec<String> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort();
        mistakes.dedup();
        mistakes.into_iter().map(|(line, words)| format!("{}:{line}: {words}", self.name)).collect()
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

// === impl Fields ===

impl<'a, 'i> Fields<'a, 'i> {
    /// The fields of a table that begins at this byte.
    pub fn new(source: &'a Source<'a>, what: &str, at: usize, table: DeTable<'i>) -> Fields<'a, 'i> {
        Fields { source, what: what.to_owned(), at, table, taken: Vec::new(), asked: Vec::new() }
    }

    /// The line it begins in.
    pub fn line(&self) -> usize {
        self.source.line(self.at)
    }

    /// Was the field there?
    pub fn has(&self, key: &str) -> bool {
        self.taken.iter().any(|(taken, _)| taken == key)
    }

    /// Something is wrong with a field, or with its absence.
    pub fn mistake(&self, key: &str, words: &str) {
        let at = self.taken.iter().find(|(taken, _)| taken == key).map_or(self.at, |(_, at)| *at);
        self.source.mistake(at, &format!("{} of {}: {words}", key, self.what));
    }

    /// A text that has to be there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = self.optional_text(key);
        if text.is_none() && !self.has(key) {
            self.mistake(key, "is missing");
        }
        text
    }

    /// A text that may be there.
    pub fn optional_text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            DeValue::String(text) if !text.is_empty() => Some(text.into_owned()),
            _ => {
                self.mistake(key, "a text in quotes is meant");
                None
            }
        }
    }

    /// A name that has to be there: it stands in job ids, on pages and in logs. The table is called by it from here on.
    pub fn name(&mut self, key: &str) -> String {
        let name = self.text(key).unwrap_or_default();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
        if self.has(key) && (name.len() > NAME_BYTES_MAX || !name.chars().all(plain)) {
            self.mistake(
                key,
                &format!("{name:?}: letters, digits, - _ . and blanks are meant, at most 40 bytes"),
            );
        }
        if !name.is_empty() {
            self.what = format!("{} {name:?}", self.what);
        }
        name
    }

    /// Texts; none where the field is missing.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let texts = match self.take(key) {
            None => return Vec::new(),
            Some(DeValue::Array(items)) => items
                .into_iter()
                .map(|item| match item.into_inner() {
                    DeValue::String(text) => Some(text.into_owned()),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            Some(_) => None,
        };
        texts.unwrap_or_else(|| {
            self.mistake(key, "a list of texts is meant, such as [\"North\"]");
            Vec::new()
        })
    }

    /// A whole number within limits.
    pub fn number(&mut self, key: &str, least: i64, most: i64, usual: i64) -> i64 {
        let number = match self.take(key) {
            None => return usual,
            Some(DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            Some(_) => None,
        };
        number.filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            self.mistake(key, &format!("a whole number from {least} to {most} is meant"));
            usual
        })
    }

    /// One of some words; without `usual` it has to be there.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], usual: Option<T>) -> T {
        let word = if usual.is_none() { self.text(key) } else { self.optional_text(key) };
        let found = word.as_ref().and_then(|word| choices.iter().find(|(own, _)| own == word));
        if let (Some(word), None) = (&word, found) {
            let words: Vec<&str> = choices.iter().map(|(own, _)| *own).collect();
            self.mistake(key, &format!("{word:?}: one of {} is meant", words.join(", ")));
        }
        found.map(|(_, choice)| *choice).or(usual).unwrap_or(choices[0].1)
    }

    /// A table as JSON; an empty one where the field is missing.
    pub fn json(&mut self, key: &str) -> String {
        match self.take(key) {
            None => "{}".to_owned(),
            Some(value @ DeValue::Table(_)) => json(value).to_string(),
            Some(_) => {
                self.mistake(key, "a table is meant, such as { profile = \"tm-t88v\" }");
                "{}".to_owned()
            }
        }
    }

    /// A list of tables: `[[peripheral]]`.
    pub fn tables(&mut self, key: &str) -> Vec<Fields<'a, 'i>> {
        let items = match self.take(key) {
            None => return Vec::new(),
            Some(DeValue::Array(items)) => items,
            Some(_) => {
                self.mistake(key, &format!("[[{key}]] is meant, with two brackets"));
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for item in items {
            let at = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Fields::new(self.source, key, at, table)),
                _ => self.mistake(key, &format!("[[{key}]] is meant, with two brackets")),
            }
        }
        tables
    }

    /// Nothing more is expected: what is left is a mistake.
    pub fn end(self) {
        let asked = self.asked.join(", ");
        for (key, _) in self.table {
            let words = format!("{} of {}: is not known here; there are {asked}", key.as_ref(), self.what);
            self.source.mistake(key.span().start, &words);
        }
    }

    fn take(&mut self, key: &str) -> Option<DeValue<'i>> {
        self.asked.push(key.to_owned());
        let (found, value) = self.table.remove_entry(key)?;
        self.taken.push((key.to_owned(), found.span().start));
        Some(Spanned::into_inner(value))
    }
}

fn json(value: DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.into_owned().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(serde_json::Value::Null, Into::into)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        DeValue::Boolean(truth) => truth.into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.into_iter().map(|item| json(item.into_inner())).collect(),
        DeValue::Table(table) => table
            .into_iter()
            .map(|(key, item)| (key.into_inner().into_owned(), json(item.into_inner())))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
