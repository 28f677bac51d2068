//! The registry: what the administration keeps by kind and name (sessions, tokens, webhooks, settings) as texts, and
//! the acts that change it. Bounds them; never reads what the texts say.

use crate::limits::{
    ACT_BYTES_MAX, REGISTRY_CHANGES_PER_ACT_MAX, REGISTRY_ENTRIES_MAX, REGISTRY_NAME_BYTES_MAX,
    REGISTRY_VALUE_BYTES_MAX,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Something a person did: a line of the audit, and what it changed in the registry. Without entries it is that line
/// alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What was done, such as `sign_in`.
    pub action: String,
    /// To what, by name or number.
    pub subject: String,
    /// The rest, as JSON without secrets.
    pub details: String,
    /// What is otherwise in the registry afterwards, one after the other.
    pub entries: Vec<RegistryChange>,
}

/// One entry that is new, otherwise or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryChange {
    /// Its kind, such as `session`.
    pub kind: String,
    /// Its name among its kind.
    pub name: String,
    /// What it says, as JSON; `None` removes it.
    pub value: Option<String>,
}

/// How an entry has to be for an act to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its name among its kind.
    pub name: &'a str,
    /// What it says; `None`: there is no such entry.
    pub value: Option<&'a str>,
}

/// Why an act is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No room for another entry.
    #[error(
        "the registry has {REGISTRY_ENTRIES_MAX} entries and takes no more; remove some, such as old sessions"
    )]
    Full,
    /// Too many entries at once.
    #[error("an act changes {REGISTRY_CHANGES_PER_ACT_MAX} entries at the most, this one {0}")]
    TooManyChanges(usize),
    /// A part of an act is too long.
    #[error("{what} has {bytes} bytes, {most} is the most")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        most: usize,
    },
    /// A part of an act cannot be kept by every store.
    #[error("{what} must not be empty or have control characters")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
}

/// Kind and name.
pub(crate) type Key = (String, String);
/// An entry as it is written.
pub(crate) type Entry = (Key, Arc<str>);

/// Entries by kind and name.
#[derive(Debug, Default)]
pub struct Registry {
    entries: BTreeMap<Key, Arc<str>>,
    /// While a checkpoint is taken: what changed before it was captured.
    capture: Option<Capture>,
}

/// A capture in progress: entries up to `cursor` are captured.
#[derive(Debug, Default)]
struct Capture {
    cursor: Option<Key>,
    /// Entries behind the cursor that changed, as they were; `None`: there was none.
    saved: BTreeMap<Key, Option<Arc<str>>>,
}

// === impl Act ===

impl Act {
    /// Is it within the limits, whatever the registry holds?
    ///
    /// # Errors
    /// Which part is not.
    pub fn check(&self) -> Result<(), RegistryError> {
        if self.entries.len() > REGISTRY_CHANGES_PER_ACT_MAX {
            return Err(RegistryError::TooManyChanges(self.entries.len()));
        }
        check_name("an action", &self.action)?;
        check_name("a subject", &self.subject)?;
        check_text("the details of an act", &self.details)?;
        for entry in &self.entries {
            check_name("the kind of an entry", &entry.kind)?;
            check_name("the name of an entry", &entry.name)?;
            check_text("the value of an entry", entry.value.as_deref().unwrap_or_default())?;
        }
        fits("an act", self.bytes(), ACT_BYTES_MAX)
    }

    fn bytes(&self) -> usize {
        let entry = |own: &RegistryChange| {
            own.kind.len() + own.name.len() + own.value.as_ref().map_or(0, String::len)
        };
        let texts = self.action.len() + self.subject.len() + self.details.len();
        texts + self.entries.iter().map(entry).sum::<usize>()
    }
}

/// Is a word for people and indexes fit to be kept?
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), RegistryError> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(RegistryError::Malformed { what });
    }
    fits(what, name.len(), REGISTRY_NAME_BYTES_MAX)
}

/// JSON has no control characters but the white space between its words.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), RegistryError> {
    if text.bytes().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return Err(RegistryError::Malformed { what });
    }
    fits(what, text.len(), REGISTRY_VALUE_BYTES_MAX)
}

fn fits(what: &'static str, bytes: usize, most: usize) -> Result<(), RegistryError> {
    if bytes > most { Err(RegistryError::TooLong { what, bytes, most }) } else { Ok(()) }
}

// === impl Registry ===

impl Registry {
    /// Entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entry of this kind and name says.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Arc<str>> {
        self.entries.get(&(kind.to_owned(), name.to_owned()))
    }

    /// Entries of a kind after a name, or all, in the order of their names.
    pub fn of_kind<'r>(
        &'r self,
        kind: &'r str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'r str, &'r Arc<str>)> + 'r {
        // No entry has an empty name.
        let from = Bound::Excluded((kind.to_owned(), after.unwrap_or_default().to_owned()));
        let behind = self.entries.range((from, Bound::Unbounded));
        let of_kind = behind.take_while(move |((own, _), _)| own == kind);
        of_kind.map(|((_, name), value)| (name.as_str(), value))
    }

    /// Every entry as kind, name and value, in the order of kinds and names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<str>)> {
        self.entries.iter().map(|((kind, name), value)| (kind.as_str(), name.as_str(), value))
    }

    /// Is every entry as expected?
    pub fn is_as(&self, expected: &[Expected<'_>]) -> bool {
        expected.iter().all(|own| self.get(own.kind, own.name).map(|value| &**value) == own.value)
    }

    /// Is there room for what these changes leave?
    ///
    /// # Errors
    /// `Full`.
    pub fn check_room(&self, changes: &[RegistryChange]) -> Result<(), RegistryError> {
        let last: BTreeMap<(&str, &str), bool> =
            changes.iter().map(|own| ((&*own.kind, &*own.name), own.value.is_some())).collect();
        let grows = |was: bool| {
            let of = |((kind, name), is): &(&(&str, &str), &bool)| {
                **is != was && self.get(kind, name).is_some() == was
            };
            last.iter().filter(of).count()
        };
        let (new, gone) = (grows(false), grows(true));
        let len = self.len() + new - gone;
        if new > gone && len > REGISTRY_ENTRIES_MAX { Err(RegistryError::Full) } else { Ok(()) }
    }

    /// Puts, replaces or removes an entry.
    pub fn set(&mut self, kind: &str, name: &str, value: Option<&str>) {
        let key = (kind.to_owned(), name.to_owned());
        if let Some(capture) = &mut self.capture
            && capture.cursor.as_ref().is_none_or(|cursor| key > *cursor)
        {
            capture.saved.entry(key.clone()).or_insert_with(|| self.entries.get(&key).cloned());
        }
        match value {
            Some(value) => drop(self.entries.insert(key, value.into())),
            None => drop(self.entries.remove(&key)),
        }
    }

    /// From now on [`Registry::captured`] gives the entries as they are now.
    pub(crate) fn begin_capture(&mut self) {
        self.capture = Some(Capture::default());
    }

    /// Ends a capture, finished or not.
    pub(crate) fn end_capture(&mut self) {
        self.capture = None;
    }

    /// The next entries as they were when the capture began, at most `limit` are looked at; `None` at the end.
    pub(crate) fn captured(&mut self, limit: usize) -> Option<Vec<Entry>> {
        let capture = self.capture.as_mut()?;
        let from = capture.cursor.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (from, Bound::Unbounded);
        let live = self.entries.range(range.clone()).map(|(key, _)| key).take(limit);
        let saved = capture.saved.range(range).map(|(key, _)| key).take(limit);
        let mut keys: Vec<Key> = live.chain(saved).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(limit);
        capture.cursor = Some(keys.last()?.clone());
        let as_it_was = |key: Key| {
            let value = match capture.saved.remove(&key) {
                Some(saved) => saved,
                None => self.entries.get(&key).cloned(),
            };
            value.map(|value| (key, value))
        };
        Some(keys.into_iter().filter_map(as_it_was).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str) -> RegistryChange {
        RegistryChange { kind: "k".to_owned(), name: name.to_owned(), value: Some("1".to_owned()) }
    }

    fn remove(name: &str) -> RegistryChange {
        RegistryChange { value: None, ..set(name) }
    }

    #[test]
    fn a_full_registry_takes_what_replaces_or_makes_room_and_nothing_else() {
        let mut registry = Registry::default();
        (0..REGISTRY_ENTRIES_MAX).for_each(|n| registry.set("k", &n.to_string(), Some("0")));
        assert_eq!(registry.check_room(&[set("new")]), Err(RegistryError::Full));
        assert_eq!(registry.check_room(&[set("5"), remove("6")]), Ok(()));
        assert_eq!(registry.check_room(&[set("new"), remove("6")]), Ok(()));
        assert_eq!(registry.check_room(&[set("new"), remove("new")]), Ok(()), "what counts is what is left");
        assert_eq!(registry.check_room(&[remove("6"), set("6"), set("new")]), Err(RegistryError::Full));
        assert_eq!(registry.check_room(&[remove("nobody"), set("new")]), Err(RegistryError::Full));
    }

    #[test]
    fn a_capture_gives_every_entry_as_it_was_however_it_changes_meanwhile() {
        for limit in [1, 2, 3, 100] {
            let mut registry = Registry::default();
            ["b", "d", "f", "h"].iter().for_each(|name| registry.set("k", name, Some(name)));
            let before: Vec<String> = registry.of_kind("k", None).map(|(name, _)| name.to_owned()).collect();
            registry.begin_capture();
            let (mut got, mut changes) = (Vec::new(), ["b", "h", "d", "a", "e", "z", "f", "b"].iter());
            while let Some(entries) = registry.captured(limit) {
                got.extend(entries);
                for name in changes.by_ref().take(2) {
                    let there = registry.get("k", name).is_some();
                    registry.set("k", name, (!there).then_some("otherwise"));
                    registry.set("k", "c", Some(name));
                }
            }
            let names: Vec<String> = got.iter().map(|((_, name), _)| name.clone()).collect();
            assert_eq!(names, before, "{limit} at once");
            assert!(got.iter().all(|((_, name), value)| **name == **value), "{limit} at once: {got:?}");
            registry.end_capture();
            assert_eq!(registry.captured(limit), None);
        }
    }
}
