//! Secrets and signatures as Standard Webhooks 1.0 asks: `whsec_` and base64 of the key;
//! `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`, one for each secret. Knows no webhook.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret's key.
const KEY_BYTES: usize = 32;

/// A new secret; `None` where the system has no random numbers.
pub fn new_secret() -> Option<String> {
    let mut key = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).ok()?;
    Some(format!("{PREFIX}{}", STANDARD.encode(key)))
}

/// The header `webhook-signature`: a signature with each secret, separated by spaces. Secrets that are none sign nothing.
pub fn signatures(secrets: &[String], id: &str, at_s: i64, body: &[u8]) -> String {
    let mut signed = format!("{id}.{at_s}.").into_bytes();
    signed.extend_from_slice(body);
    let keys = secrets.iter().filter_map(|secret| STANDARD.decode(secret.strip_prefix(PREFIX)?).ok());
    let signature = |key: Vec<u8>| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed);
        format!("v1,{}", STANDARD.encode(tag))
    };
    keys.map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_conventions_own_example() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let signed =
            signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_secrets_differ() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one, two);
        assert_eq!(STANDARD.decode(one.strip_prefix("whsec_").unwrap()).unwrap().len(), KEY_BYTES);
        let both = signatures(&[one.clone(), two.clone()], "m", 1, b"{}");
        assert_eq!(
            both,
            format!("{} {}", signatures(&[one], "m", 1, b"{}"), signatures(&[two], "m", 1, b"{}"))
        );
        assert_eq!(signatures(&["broken".to_owned()], "m", 1, b"{}"), "");
    }
}
