//! Browsers that have signed in before: a cookie that says so, signed for one account. It opens nothing; it only keeps
//! others' failures from making this browser's owner wait.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use secrets::Vault;
use std::time::Duration;

/// A browser is remembered so long.
pub const LIFE: Duration = Duration::from_secs(180 * 24 * 3_600);

/// Signs and reads browsers' cookies.
pub struct Browsers(hmac::Key);

impl Browsers {
    /// With this vault's key.
    pub fn new(vault: &Vault) -> Browsers {
        Browsers(hmac::Key::new(hmac::HMAC_SHA256, &vault.derived("browser")))
    }

    /// A cookie for a browser in which this account has signed in.
    ///
    /// # Errors
    /// No random numbers.
    pub fn give(&self, account: &str) -> Result<String, String> {
        let id = secrets::new_key()?;
        let tag = hmac::sign(&self.0, says(account, &id).as_bytes());
        Ok(format!("{id}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref())))
    }

    /// The browser's id, where this account has signed in with it.
    pub fn known(&self, account: &str, cookie: &str) -> Option<String> {
        let (id, tag) = cookie.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, says(account, id).as_bytes(), &tag).ok().map(|()| id.to_owned())
    }
}

fn says(account: &str, id: &str) -> String {
    format!("{id} {}", account.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_for_the_account_that_signed_in_with_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let browsers = Browsers::new(&Vault::open(&dir.path().join("admin.key")).unwrap());
        let cookie = browsers.give("anna@venue.example").unwrap();
        assert!(browsers.known("Anna@venue.example", &cookie).is_some());
        assert_eq!(browsers.known("bert@venue.example", &cookie), None);
        let (_, tag) = cookie.split_once('.').unwrap();
        for wrong in ["", ".", "x", &format!("other.{tag}"), &cookie[..cookie.len() - 1]] {
            assert_eq!(browsers.known("anna@venue.example", wrong), None, "{wrong}");
        }
    }
}
