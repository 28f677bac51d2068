//! Secrets: made at random, kept as hashes and compared by hash; what is needed again in clear is sealed. Nothing
//! here is ever logged. Knows no ticket, no journal and no network.

mod vault;

pub use vault::{Vault, VaultError};

use sha2::{Digest, Sha256};

/// SHA-256 of a key or token. Keys are random, so that a fast hash is enough; passwords are not: `password_hash`.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// A new random key of 160 bits in letters and digits that nobody confuses.
///
/// # Errors
/// When the operating system has no random numbers to give.
pub fn new_key() -> Result<String, String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// Argon2id of a password, in PHC form. Takes tens of milliseconds on purpose.
///
/// # Errors
/// When the operating system has no random numbers to give.
pub fn password_hash(password: &str) -> Result<String, String> {
    use argon2::password_hash::{PasswordHasher, SaltString};
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| format!("no random numbers: {error}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash = argon2::Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Is this the password of that hash? Takes as long as making one; a hash that cannot be read matches nothing.
pub fn password_matches(password: &str, hash: &str) -> bool {
    use argon2::password_hash::{PasswordHash, PasswordVerifier};
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2::Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_hashes_do_not_show_them() {
        let (one, two) = (new_key().unwrap(), new_key().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 32);
        assert_ne!(hash(one.as_bytes()), hash(two.as_bytes()));
        let hash = password_hash(&one).unwrap();
        assert!(!hash.contains(&one));
        assert!(password_matches(&one, &hash) && !password_matches(&two, &hash));
        assert!(!password_matches(&one, "") && !password_matches("", ""));
    }
}
