//! What signing in keeps in the engine's registry: one kind for each type, its entries as JSON. Knows no rule about them.

use engine::Engine;
use engine::registry::{Expected, RegistryChange};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Something that is kept by name.
pub trait Kept: Serialize + DeserializeOwned {
    /// Its kind in the registry.
    const KIND: &'static str;
}

/// An entry as it was found.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: T,
    text: Arc<str>,
}

impl<T: Kept> Found<T> {
    pub(super) fn read(name: String, text: Arc<str>) -> Option<Found<T>> {
        match serde_json::from_str(&text) {
            Ok(value) => Some(Found { name, value, text }),
            Err(error) => {
                // Its text stays out of the log: it may have hashes.
                tracing::warn!(kind = T::KIND, %error, "an entry of the registry cannot be read and is passed over");
                None
            }
        }
    }

    /// For a change that is only right while the entry is as it was found.
    pub fn as_found(&self) -> Expected<'_> {
        Expected { kind: T::KIND, name: &self.name, value: Some(&self.text) }
    }
}

/// The entry of a name. Some microseconds.
pub fn find<T: Kept>(engine: &Engine, name: &str) -> Option<Found<T>> {
    Found::read(name.to_owned(), engine.registry_entry(T::KIND, name)?)
}

/// All entries. Some 100 ns for each.
pub fn all<T: Kept>(engine: &Engine) -> Vec<Found<T>> {
    engine.registry(T::KIND).into_iter().filter_map(|(name, text)| Found::read(name, text)).collect()
}

/// Puts an entry, new or in another's place.
pub fn put<T: Kept>(name: &str, value: &T) -> RegistryChange {
    let value = serde_json::to_string(value).expect("what is kept has nothing that JSON cannot say");
    RegistryChange { kind: T::KIND.to_owned(), name: name.to_owned(), value: Some(value) }
}

/// Removes an entry.
pub fn gone<T: Kept>(name: &str) -> RegistryChange {
    RegistryChange { kind: T::KIND.to_owned(), name: name.to_owned(), value: None }
}
