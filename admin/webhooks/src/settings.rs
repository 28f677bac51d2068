//! What a webhook is set to, and what the registry keeps of it: its secrets sealed. Checks values; knows no queue.

use crate::addresses::Reach;
use crate::error::Error;
use crate::kinds::Kind;
use engine::catalog::Catalog;
use secrets::Vault;
use serde::{Deserialize, Serialize};

/// Longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// Events, and gates, a webhook names at most. An entry of the registry has room for them, and its audit for two.
const NAMES_MAX: usize = 40;
/// After a new secret was made, the old one signs too for so long, in ms.
pub const OLD_SECRET_MS: i64 = 24 * 3_600 * 1_000;

/// What somebody sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where messages go.
    pub url: String,
    /// For people.
    pub description: String,
    /// Which types are sent.
    pub types: Vec<Kind>,
    /// Only what concerns these events, by name; empty: all.
    pub events: Vec<String>,
    /// Only what concerns these gates, by name; empty: all.
    pub gates: Vec<String>,
    /// Is anything sent?
    pub enabled: bool,
    /// Are holders, orders and seats sent along?
    pub personal: bool,
}

/// Why the server itself stopped sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// Why, in words.
    pub why: String,
}

/// A webhook as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// What it is set to.
    pub settings: Settings,
    /// When it was made, in ms since 1970.
    pub made_ms: i64,
    /// Set when the server stopped sending, until somebody enables it again.
    pub stopped: Option<Stopped>,
    secret: String,
    old: Option<OldSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OldSecret {
    secret: String,
    until_ms: i64,
}

impl Settings {
    /// Can they be?
    ///
    /// # Errors
    /// `Invalid`, by field.
    pub fn check(&self, reach: Reach, catalog: &Catalog) -> Result<(), Error> {
        reach.check(&self.url).map_err(|problem| Error::Invalid { field: "url", problem })?;
        let invalid = |field, problem: String| Err(Error::Invalid { field, problem });
        if self.description.chars().count() > DESCRIPTION_CHARS_MAX
            || self.description.chars().any(char::is_control)
        {
            let most =
                format!("at most {DESCRIPTION_CHARS_MAX} characters without control characters are meant");
            return invalid("description", most);
        }
        if self.types.is_empty() || self.types.len() > Kind::ALL.len() {
            return invalid("types", format!("1 to {} types are meant", Kind::ALL.len()));
        }
        for (field, names) in [("events", &self.events), ("gates", &self.gates)] {
            if names.len() > NAMES_MAX {
                return invalid(field, format!("at most {NAMES_MAX} names are meant"));
            }
        }
        if let Some(unknown) = self.events.iter().position(|name| catalog.event_named(name).is_none()) {
            return invalid("events", format!("there is no event of name number {}", unknown + 1));
        }
        if let Some(unknown) = self.gates.iter().position(|name| catalog.gate_named(name).is_none()) {
            return invalid("gates", format!("there is no gate of name number {}", unknown + 1));
        }
        Ok(())
    }

    /// Is something of this type, about this event and gate, to be sent?
    pub fn wants(&self, kind: Kind, event: Option<&str>, gate: Option<&str>) -> bool {
        let among = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|own| own == name))
        };
        self.enabled && self.types.contains(&kind) && among(&self.events, event) && among(&self.gates, gate)
    }
}

impl Webhook {
    /// A new one.
    ///
    /// # Errors
    /// The vault.
    pub fn new(
        vault: &Vault,
        id: &str,
        settings: Settings,
        secret: &str,
        now_ms: i64,
    ) -> Result<Webhook, Error> {
        let secret = vault.seal(&purpose(id), secret)?;
        Ok(Webhook { settings, made_ms: now_ms, stopped: None, secret, old: None })
    }

    /// With another secret; the one before signs too for a day.
    ///
    /// # Errors
    /// The vault.
    pub fn rotated(&self, vault: &Vault, id: &str, secret: &str, now_ms: i64) -> Result<Webhook, Error> {
        let old = Some(OldSecret { secret: self.secret.clone(), until_ms: now_ms + OLD_SECRET_MS });
        Ok(Webhook { secret: vault.seal(&purpose(id), secret)?, old, ..self.clone() })
    }

    /// Set otherwise. One that is enabled was not stopped, or is not any more.
    pub fn with(&self, settings: Settings) -> Webhook {
        let stopped = self.stopped.clone().filter(|_| !settings.enabled);
        Webhook { settings, stopped, ..self.clone() }
    }

    /// Disabled by the server itself.
    pub fn stopped(&self, stopped: Stopped) -> Webhook {
        let settings = Settings { enabled: false, ..self.settings.clone() };
        Webhook { settings, stopped: Some(stopped), ..self.clone() }
    }

    /// The secrets that sign now, the newest first.
    ///
    /// # Errors
    /// Sealed with another key.
    pub fn secrets(&self, vault: &Vault, id: &str, now_ms: i64) -> Result<Vec<String>, Error> {
        let old = self.old.iter().filter(|old| old.until_ms > now_ms).map(|old| &old.secret);
        let sealed = std::iter::once(&self.secret).chain(old);
        sealed.map(|secret| Ok(vault.open_sealed(&purpose(id), secret)?)).collect()
    }
}

/// A sealed secret opens for its own webhook alone.
fn purpose(id: &str) -> String {
    format!("webhook {id}")
}
