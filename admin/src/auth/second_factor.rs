//! The second factor: codes that change every 30 seconds (RFC 6238), and recovery codes for a lost telephone. The seed is
//! sealed, recovery codes are hashes, and no code is good twice. Pure but for random numbers; knows no engine.

use super::fingerprint;
use super::kept::Kept;
use engine::Time;
use secrets::Vault;
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret, Totp};

/// Recovery codes, each good once.
pub const RECOVERY_CODES: usize = 10;
/// Letters of a recovery code: 80 bits.
const RECOVERY_LETTERS: usize = 16;
const STEP_S: u64 = 30;
const ISSUER: &str = "Gatehouse";

/// An operator's second factor as it is kept, by the operator's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// Sealed.
    seed: String,
    /// Has its owner shown that it works? Until then it is not asked for.
    pub confirmed: bool,
    /// The newest step whose code was used.
    last_step: u64,
    /// Hashes of the recovery codes that are left.
    recovery: Vec<String>,
}

/// What its owner is shown, once.
pub struct Seed {
    /// For typing in.
    pub secret: String,
    /// For a picture.
    pub uri: String,
}

impl Kept for SecondFactor {
    const KIND: &'static str = "second_factor";
}

impl SecondFactor {
    /// A new one that has still to be confirmed.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new(vault: &Vault, owner: &str) -> Result<(SecondFactor, Seed), String> {
        // 160 bits, as RFC 4226 recommends: a key's letters hold them, its hash spreads them over 20 bytes.
        let seed = secrets::hash(secrets::new_key()?.as_bytes());
        let secret = Secret::from(seed[..20].to_vec()).to_base32();
        let totp = totp(&secret, owner).ok_or("this name fits into no second factor")?;
        let uri = totp.to_url().map_err(|error| error.to_string())?;
        let sealed = vault.seal(&purpose(owner), &secret).map_err(|error| error.to_string())?;
        let factor = SecondFactor { seed: sealed, confirmed: false, last_step: 0, recovery: Vec::new() };
        Ok((factor, Seed { secret, uri }))
    }

    /// How it is after this code; `None`: the code is wrong, or was used.
    pub fn after(&self, vault: &Vault, owner: &str, code: &str, now: Time) -> Option<SecondFactor> {
        self.after_step(vault, owner, code, now).or_else(|| self.after_recovery(code))
    }

    fn after_step(&self, vault: &Vault, owner: &str, code: &str, now: Time) -> Option<SecondFactor> {
        let secret = match vault.open_sealed(&purpose(owner), &self.seed) {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(%error, "a second factor cannot be checked; recovery codes still work");
                return None;
            }
        };
        let now_s = u64::try_from(now.0 / 1_000).ok()?;
        let step = totp(&secret, owner)?.check(code, now_s)?;
        (step > self.last_step).then(|| SecondFactor { last_step: step, ..self.clone() })
    }

    fn after_recovery(&self, code: &str) -> Option<SecondFactor> {
        let letters: String = code.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let hash = fingerprint(&letters.to_lowercase());
        let at = self.recovery.iter().position(|own| *own == hash)?;
        let mut after = self.clone();
        after.recovery.remove(at);
        Some(after)
    }

    /// Confirmed by a code, with new recovery codes; `None`: the code is wrong.
    ///
    /// # Errors
    /// No random numbers.
    pub fn confirmed(
        &self,
        vault: &Vault,
        owner: &str,
        code: &str,
        now: Time,
    ) -> Result<Option<(SecondFactor, Vec<String>)>, String> {
        let Some(after) = self.after_step(vault, owner, code, now) else { return Ok(None) };
        let letters = (0..RECOVERY_CODES)
            .map(|_| secrets::new_key().map(|key| key[..RECOVERY_LETTERS].to_owned()))
            .collect::<Result<Vec<String>, String>>()?;
        let recovery = letters.iter().map(|code| fingerprint(code)).collect();
        let codes = letters.iter().map(|code| {
            let parts: Vec<&str> = (0..code.len()).step_by(4).map(|at| &code[at..at + 4]).collect();
            parts.join("-")
        });
        Ok(Some((SecondFactor { confirmed: true, recovery, ..after }, codes.collect())))
    }

    /// Recovery codes that are left.
    pub fn recovery_codes_left(&self) -> usize {
        self.recovery.len()
    }
}

/// What a seed is sealed for: another's does not open in its place.
fn purpose(owner: &str) -> String {
    format!("totp {owner}")
}

fn totp(secret: &str, owner: &str) -> Option<Totp> {
    // The standard's URI has no place for a colon in a name.
    Builder::new()
        .with_secret(Secret::try_from_base32(secret).ok()?)
        .with_skew(1)
        .with_step_duration(STEP_S)
        .with_account_name(owner.replace(':', "-"))
        .with_issuer(Some(ISSUER))
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_456_800_000);
    const ANNA: &str = "anna@venue.example";

    fn vault() -> (tempfile::TempDir, Vault) {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("admin.key")).unwrap();
        (dir, vault)
    }

    fn code(seed: &Seed, at: Time) -> String {
        totp(&seed.secret, ANNA).unwrap().generate(at.0 as u64 / 1_000).to_string()
    }

    #[test]
    fn a_code_is_good_a_step_early_or_late_and_never_twice() {
        let (_dir, vault) = vault();
        let (factor, seed) = SecondFactor::new(&vault, ANNA).unwrap();
        let good =
            |factor: &SecondFactor, at: i64| factor.after(&vault, ANNA, &code(&seed, NOW.plus_ms(at)), NOW);
        for (at, is_good) in [(-60_000, false), (-30_000, true), (0, true), (30_000, true), (60_000, false)] {
            assert_eq!(good(&factor, at).is_some(), is_good, "{at} ms");
        }
        let after = good(&factor, 0).unwrap();
        assert_eq!((good(&after, 0), good(&after, -30_000)), (None, None), "used, and older than one used");
        assert!(good(&after, 30_000).is_some());
        for wrong in ["", "12345", "1234567", "abcdef", "000 000"] {
            assert_eq!(factor.after(&vault, ANNA, wrong, NOW), None, "{wrong}");
        }
        assert_eq!(
            factor.after(&vault, "bert@venue.example", &code(&seed, NOW), NOW),
            None,
            "sealed for its owner"
        );
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the secret "12345678901234567890", the last six digits of each code.
        let secret = Secret::from(b"12345678901234567890".to_vec()).to_base32();
        let totp = totp(&secret, ANNA).unwrap();
        for (at, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(totp.generate(at).to_string(), code);
        }
    }

    #[test]
    fn each_recovery_code_is_good_once_however_it_is_typed() {
        let (_dir, vault) = vault();
        let (factor, seed) = SecondFactor::new(&vault, ANNA).unwrap();
        assert_eq!(factor.confirmed(&vault, ANNA, "000000000", NOW).unwrap(), None);
        let (factor, codes) = factor.confirmed(&vault, ANNA, &code(&seed, NOW), NOW).unwrap().unwrap();
        assert!(factor.confirmed && codes.len() == RECOVERY_CODES);
        let after = factor.after(&vault, ANNA, &codes[3].to_uppercase().replace('-', " "), NOW).unwrap();
        assert_eq!(after.recovery_codes_left(), RECOVERY_CODES - 1);
        assert_eq!(after.after(&vault, ANNA, &codes[3], NOW), None);
        let text = serde_json::to_string(&after).unwrap();
        assert!(!text.contains(&seed.secret) && codes.iter().all(|code| !text.contains(code)), "{text}");
    }

    #[test]
    fn the_uri_is_what_telephones_read() {
        let (_dir, vault) = vault();
        let (_, seed) = SecondFactor::new(&vault, ANNA).unwrap();
        assert!(
            seed.uri.starts_with("otpauth://totp/Gatehouse:anna%40venue.example?secret="),
            "{}",
            seed.uri
        );
        assert!(seed.uri.contains(&seed.secret) && seed.uri.contains("issuer=Gatehouse"), "{}", seed.uri);
    }
}
