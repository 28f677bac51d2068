//! The vault: one random key in a file that only the program's user can read. Seals what must be read again in clear
//! (a second factor's seed, a webhook's signing secret), and gives keys derived from its own for other purposes.
//!
//! ```text
//! sealed = base64url( nonce[12] · AES-256-GCM(key "seal", nonce, text, associated data = what for) )
//! ```
//!
//! Whoever has the journal, the store or a backup of them, and not this file, has no secret.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Seals and derives. Cheap to use: microseconds for small texts.
pub struct Vault {
    root: hmac::Key,
    seal: LessSafeKey,
}

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The key's file cannot be read or made.
    #[error("key file {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// It is not a key.
    #[error("key file {path} has {bytes} bytes, a key has {KEY_BYTES}; bring back the file from a backup")]
    NotAKey {
        /// Which.
        path: String,
        /// How many there are.
        bytes: usize,
    },
    /// No random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// Sealed with another key, for something else, or changed since.
    #[error("a sealed secret cannot be opened: it was sealed with another key file, or changed")]
    Sealed,
}

impl Vault {
    /// Opens the key in a file, or makes it at the first start.
    ///
    /// # Errors
    /// A file that cannot be read or made, or that is no key.
    pub fn open(path: &Path) -> Result<Vault, VaultError> {
        let shown = || path.display().to_string();
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = vec![0; KEY_BYTES];
                getrandom::fill(&mut key).map_err(|error| VaultError::Random(error.to_string()))?;
                write_new(path, &key).map_err(|error| VaultError::File { path: shown(), error })?;
                key
            }
            Err(error) => return Err(VaultError::File { path: shown(), error }),
        };
        if key.len() != KEY_BYTES {
            return Err(VaultError::NotAKey { path: shown(), bytes: key.len() });
        }
        Ok(Vault::of_key(&key))
    }

    fn of_key(key: &[u8]) -> Vault {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let seal = hmac::sign(&root, b"seal");
        let seal =
            UnboundKey::new(&AES_256_GCM, seal.as_ref()).expect("the derived key has the cipher's length");
        Vault { root, seal: LessSafeKey::new(seal) }
    }

    /// A key of its own for each purpose, always the same for the same vault.
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.root, format!("derived {purpose}").as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Seals a text for one purpose, such as `totp anna@example.org`: it opens for that alone.
    ///
    /// # Errors
    /// No random numbers.
    pub fn seal(&self, purpose: &str, text: &str) -> Result<String, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| VaultError::Random(error.to_string()))?;
        let mut bytes = text.as_bytes().to_vec();
        let sealed = Nonce::assume_unique_for_key(nonce);
        self.seal
            .seal_in_place_append_tag(sealed, Aad::from(purpose.as_bytes()), &mut bytes)
            .map_err(|_| VaultError::Sealed)?;
        let mut out = nonce.to_vec();
        out.extend_from_slice(&bytes);
        Ok(encode(&out))
    }

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// Sealed with another key, for something else, or changed since.
    pub fn open_sealed(&self, purpose: &str, sealed: &str) -> Result<String, VaultError> {
        let bytes = decode(sealed).ok_or(VaultError::Sealed)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(VaultError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Sealed)?;
        let mut text = text.to_vec();
        let clear = self
            .seal
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text)
            .map_err(|_| VaultError::Sealed)?;
        String::from_utf8(clear.to_vec()).map_err(|_| VaultError::Sealed)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

/// A new file that only its user can read, synced with its name before anybody relies on it.
fn write_new(path: &Path, key: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(dir)?.sync_all()
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_with_its_key_and_for_its_purpose_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.key");
        let vault = Vault::open(&path).unwrap();
        let sealed = vault.seal("totp anna", "JBSWY3DP").unwrap();
        assert!(!sealed.contains("JBSWY3DP"));
        assert_ne!(sealed, vault.seal("totp anna", "JBSWY3DP").unwrap());
        let again = Vault::open(&path).unwrap();
        assert_eq!(again.open_sealed("totp anna", &sealed).unwrap(), "JBSWY3DP");
        assert!(again.open_sealed("totp bert", &sealed).is_err());
        assert!(Vault::of_key(&[7; 32]).open_sealed("totp anna", &sealed).is_err());
        for wrong in ["", "!", "AAAA", &sealed[1..], &format!("{sealed}A")] {
            assert!(again.open_sealed("totp anna", wrong).is_err(), "{wrong}");
        }
        assert_eq!(vault.derived("jwt"), again.derived("jwt"));
        assert_ne!(vault.derived("jwt"), vault.derived("other"));
    }

    #[test]
    fn the_key_file_is_its_users_alone_and_a_broken_one_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.key");
        Vault::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"short").unwrap();
        assert!(Vault::open(&path).unwrap_err().to_string().contains("5 bytes"));
    }
}
