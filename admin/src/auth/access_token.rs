//! Access tokens: short-lived proofs of a session, signed with a key of this node (JWT, HS256 and nothing else). Knows the
//! session's name and nothing of whether it is still there.

use engine::Time;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrets::Vault;
use serde::{Deserialize, Serialize};

/// An access token is good for so long, in seconds. Then it is renewed.
pub const LIFE_S: i64 = 10 * 60;
/// Longest token that is read, in bytes.
const BYTES_MAX: usize = 1_024;
const ISSUER: &str = "gatehouse";
const AUDIENCE: &str = "gatehouse-admin";

/// Signs and reads access tokens.
pub struct AccessTokens {
    signs: EncodingKey,
    reads: DecodingKey,
    rules: Validation,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The operator's name.
    pub sub: String,
    /// The session.
    pub sid: String,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    /// With this vault's key.
    pub fn new(vault: &Vault) -> AccessTokens {
        let key = vault.derived("jwt");
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Compared with the engine's clock below, without leeway.
        rules.validate_exp = false;
        AccessTokens { signs: EncodingKey::from_secret(&key), reads: DecodingKey::from_secret(&key), rules }
    }

    /// A token of a session.
    pub fn issue(&self, session: &str, operator: &str, now: Time) -> String {
        let iat = now.0.div_euclid(1_000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: operator.to_owned(),
            sid: session.to_owned(),
            iat,
            exp: iat + LIFE_S,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signs)
            .expect("claims are JSON and the key is one for HS256")
    }

    /// What a token says, where it is one of ours and not over.
    pub fn read(&self, token: &str, now: Time) -> Option<Claims> {
        if token.len() > BYTES_MAX {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.reads, &self.rules).ok()?.claims;
        (now.0 < claims.exp.saturating_mul(1_000)).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use serde_json::json;

    const NOW: Time = Time(1_795_456_800_000);

    fn vault() -> (tempfile::TempDir, Vault) {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("admin.key")).unwrap();
        (dir, vault)
    }

    #[test]
    fn a_token_is_good_for_ten_minutes_and_not_a_moment_longer() {
        let (_dir, vault) = vault();
        let tokens = AccessTokens::new(&vault);
        let token = tokens.issue("s1", "anna@venue.example", NOW);
        let claims = tokens.read(&token, NOW).unwrap();
        assert_eq!((claims.sid.as_str(), claims.sub.as_str()), ("s1", "anna@venue.example"));
        assert!(tokens.read(&token, NOW.plus_ms(LIFE_S * 1_000 - 1)).is_some());
        assert!(tokens.read(&token, NOW.plus_ms(LIFE_S * 1_000)).is_none());
    }

    #[test]
    fn only_what_this_node_signed_this_way_and_for_this_is_read() {
        let (_dir, own) = vault();
        let (_other_dir, other) = vault();
        let tokens = AccessTokens::new(&own);
        let good = tokens.issue("s1", "anna@venue.example", NOW);
        let exp = NOW.0 / 1_000 + LIFE_S;
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "anna@venue.example", "sid": "s1", "iat": 0, "exp": exp});
        let signed = |algorithm, claims: &serde_json::Value, key: &[u8]| {
            jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
        };
        let key = own.derived("jwt");
        assert!(tokens.read(&signed(Algorithm::HS256, &claims, &key), NOW).is_some(), "so far it is right");
        let without = |name: &str| {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(name);
            signed(Algorithm::HS256, &claims, &key)
        };
        let with = |name: &str, value: &str| {
            let mut claims = claims.clone();
            claims[name] = value.into();
            signed(Algorithm::HS256, &claims, &key)
        };
        let none = |head: &str| {
            let (head, body) = (BASE64.encode(head), BASE64.encode(claims.to_string()));
            [format!("{head}.{body}."), format!("{head}.{body}")]
        };
        let (head, rest) = good.split_once('.').unwrap();
        let (body, signature) = rest.split_once('.').unwrap();
        let other_body = BASE64.encode(claims.to_string().replace("anna", "bert"));
        let mut bad = vec![
            String::new(),
            "..".to_owned(),
            AccessTokens::new(&other).issue("s1", "anna@venue.example", NOW),
            signed(Algorithm::HS512, &claims, &key),
            signed(Algorithm::HS384, &claims, &key),
            signed(Algorithm::HS256, &claims, &own.derived("other")),
            with("iss", "somebody"),
            with("aud", "another-door"),
            without("exp"),
            without("iss"),
            without("aud"),
            without("sub"),
            without("sid"),
            format!("{head}.{other_body}.{signature}"),
            format!("{head}.{body}."),
            format!("{head}.{body}.{}", BASE64.encode([0; 32])),
            format!("{good}{}", "A".repeat(BYTES_MAX)),
        ];
        bad.extend(none(r#"{"alg":"none","typ":"JWT"}"#));
        bad.extend(none(r#"{"alg":"None"}"#));
        for token in bad {
            assert!(tokens.read(&token, NOW).is_none(), "{token}");
        }
    }
}
