//! API tokens: how programs prove who they are. A token has a maker, scopes and an end; at each use it may do what both its
//! scopes and its maker's role allow. Only a hash is kept. Knows no request.
//!
//! ```text
//! token = "ght_" id[16] "_" secret[32]      the prefix lets scanners find one that leaked
//! ```

use super::fingerprint;
use super::kept::Kept;
use crate::access::{Permission, Permissions};
use engine::Time;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Every token begins so.
pub const PREFIX: &str = "ght_";
/// Tokens of one operator.
pub const PER_OPERATOR_MAX: usize = 50;
/// A token lives at most so long.
pub const LIFE_MS_MAX: i64 = 2 * 366 * 24 * 3_600_000;
const ID_LETTERS: usize = 16;

/// A token as it is kept, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// What it is for.
    pub name: String,
    /// Who made it, by name.
    pub operator: String,
    /// What it may do, as permissions' words.
    pub scopes: Vec<String>,
    secret: String,
    /// When it was made, in ms since 1970.
    pub made_at: i64,
    /// When it ends, in ms since 1970.
    pub expires_at: i64,
    /// When it was last used, in ms since 1970; some minutes behind.
    pub used_at: Option<i64>,
}

impl Kept for ApiToken {
    const KIND: &'static str = "api_token";
}

impl ApiToken {
    /// A new token: its id, as it is kept, and as it is shown once.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new(
        name: &str,
        operator: &str,
        scopes: Permissions,
        now: Time,
        expires_at: Time,
    ) -> Result<(String, ApiToken, String), String> {
        let (id, secret) = (secrets::new_key()?[..ID_LETTERS].to_owned(), secrets::new_key()?);
        let token = ApiToken {
            name: name.to_owned(),
            operator: operator.to_owned(),
            scopes: scopes.iter().map(|scope| scope.word().to_owned()).collect(),
            secret: fingerprint(&secret),
            made_at: now.0,
            expires_at: expires_at.0,
            used_at: None,
        };
        let shown = format!("{PREFIX}{id}_{secret}");
        Ok((id, token, shown))
    }

    /// The same, used.
    #[must_use]
    pub fn used(&self, at: Time) -> ApiToken {
        ApiToken { used_at: Some(at.0), ..self.clone() }
    }

    /// Is this its secret, and is it still good?
    pub fn opens(&self, secret: &str, now: Time) -> bool {
        fingerprint(secret) == self.secret && now.0 < self.expires_at
    }

    /// What its scopes allow. A word that is not known any more allows nothing.
    pub fn permissions(&self) -> Permissions {
        self.scopes.iter().filter_map(|word| Permission::of_word(word)).collect()
    }
}

/// Id and secret of a token; `None`: it is no API token.
pub fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID_LETTERS && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some((id, secret))
}

/// When tokens were last used, until it is written down. As many as there are tokens.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<String, Time>>);

impl Uses {
    /// A token was used.
    pub fn used(&self, id: &str, now: Time) {
        let mut uses = self.0.lock();
        match uses.get_mut(id) {
            Some(at) => *at = now,
            None => drop(uses.insert(id.to_owned(), now)),
        }
    }

    /// When it was last used, if that is not written down yet.
    pub fn last(&self, id: &str) -> Option<Time> {
        self.0.lock().get(id).copied()
    }

    /// Some that are to be written down; they are forgotten here.
    pub fn take(&self, most: usize) -> Vec<(String, Time)> {
        let mut uses = self.0.lock();
        let ids: Vec<String> = uses.keys().take(most).cloned().collect();
        ids.into_iter().filter_map(|id| uses.remove_entry(&id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_with_its_secret_until_it_ends() {
        let now = Time(1_795_456_800_000);
        let scopes: Permissions = [Permission::ScansRead, Permission::VenueRead].into_iter().collect();
        let (id, token, shown) =
            ApiToken::new("board", "anna@venue.example", scopes, now, now.plus_ms(1_000)).unwrap();
        let (own, secret) = parts(&shown).unwrap();
        assert_eq!(own, id);
        assert!(token.opens(secret, now.plus_ms(999)));
        assert!(!token.opens(secret, now.plus_ms(1_000)), "it is over");
        assert!(!token.opens("", now) && !token.opens(&id, now));
        assert_eq!(token.permissions(), scopes);
        assert!(!serde_json::to_string(&token).unwrap().contains(secret));
        for wrong in
            ["", "ght_", "ght_short_secret", "ght_0123456789abcdef", "eyJ.a.b", "ght_../../../../etc_x"]
        {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
