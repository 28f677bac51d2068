//! Sessions: what signing in begins, what a refresh token renews, and when they end. A refresh token is good once; one that
//! comes again ends the session, for then somebody else has it too. Pure; knows no engine and no clock.
//!
//! ```text
//! refresh token = session . family . newest        the session keeps hashes of the last two
//! ```
//!
//! The family is the same for all tokens of a session: who has it has had a true one. Who guesses names ends nothing.

use super::fingerprint;
use super::kept::{Found, Kept};
use engine::Time;
use engine::registry::RegistryChange;
use serde::{Deserialize, Serialize};

/// A session that nobody renews ends after so long.
pub const IDLE_MS: i64 = 12 * HOUR_MS;
/// Every session ends after so long.
pub const LIFE_MS: i64 = 7 * 24 * HOUR_MS;
/// Sessions of one operator; the oldest ends for another.
pub const PER_OPERATOR_MAX: usize = 20;
/// Two that renew at the same moment are two windows of one person: the slower one is told to look again.
const TOGETHER_MS: i64 = 10_000;
/// Ended sessions that are removed at once.
const REMOVED_MAX: usize = 40;
const HOUR_MS: i64 = 3_600_000;

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is, by name.
    pub operator: String,
    family: String,
    newest: String,
    before: Option<String>,
    /// When it began, in ms since 1970.
    pub began_at: i64,
    /// When it was last renewed, in ms since 1970.
    pub renewed_at: i64,
    /// Where from, as it was last renewed.
    pub address: String,
    /// With which program, as it said itself.
    pub agent: String,
}

/// A refresh token in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session's name.
    pub session: String,
    family: String,
    newest: String,
}

/// What a refresh token comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The session goes on with another token.
    Renewed(Box<Session>, RefreshToken),
    /// Somebody renewed it with the same token a moment ago.
    JustRenewed,
    /// A token of this session that was used before.
    Reused,
    /// No token of this session, or the session is over.
    Unknown,
}

impl Kept for Session {
    const KIND: &'static str = "session";
}

// === impl RefreshToken ===

impl RefreshToken {
    /// Takes a token apart.
    pub fn read(text: &str) -> Option<RefreshToken> {
        let mut parts = text.split('.').map(str::to_owned);
        let token = RefreshToken { session: parts.next()?, family: parts.next()?, newest: parts.next()? };
        let good = |part: &String| part.len() <= 64 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let all = [&token.session, &token.family, &token.newest].into_iter().all(good);
        (all && parts.next().is_none()).then_some(token)
    }

    /// As it is sent.
    pub fn text(&self) -> String {
        format!("{}.{}.{}", self.session, self.family, self.newest)
    }

    fn is_of(&self, session: &Session) -> bool {
        fingerprint(&self.family) == session.family
    }
}

// === impl Session ===

impl Session {
    /// A new one. Its name is the token's.
    ///
    /// # Errors
    /// No random numbers.
    pub fn begin(
        operator: &str,
        address: String,
        agent: String,
        now: Time,
    ) -> Result<(Session, RefreshToken), String> {
        let token = RefreshToken {
            session: secrets::new_key()?,
            family: secrets::new_key()?,
            newest: secrets::new_key()?,
        };
        let session = Session {
            operator: operator.to_owned(),
            family: fingerprint(&token.family),
            newest: fingerprint(&token.newest),
            before: None,
            began_at: now.0,
            renewed_at: now.0,
            address,
            agent,
        };
        Ok((session, token))
    }

    /// When it ends if nobody renews it.
    pub fn ends_at(&self) -> Time {
        Time(self.renewed_at.saturating_add(IDLE_MS).min(self.began_at.saturating_add(LIFE_MS)))
    }

    /// Is it over?
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.ends_at()
    }

    /// Is this one of its tokens, of whatever age?
    pub fn owns(&self, token: &RefreshToken) -> bool {
        token.is_of(self)
    }

    /// What this token comes to.
    ///
    /// # Errors
    /// No random numbers.
    pub fn renew(&self, token: &RefreshToken, address: &str, now: Time) -> Result<Renewal, String> {
        if self.is_over(now) || !self.owns(token) {
            return Ok(Renewal::Unknown);
        }
        let presented = fingerprint(&token.newest);
        if presented != self.newest {
            let together = now.0.saturating_sub(self.renewed_at) <= TOGETHER_MS;
            let just = together && self.before.as_ref() == Some(&presented);
            return Ok(if just { Renewal::JustRenewed } else { Renewal::Reused });
        }
        let token = RefreshToken { newest: secrets::new_key()?, ..token.clone() };
        let session = Session {
            newest: fingerprint(&token.newest),
            before: Some(presented),
            renewed_at: now.0,
            address: address.to_owned(),
            ..self.clone()
        };
        Ok(Renewal::Renewed(Box::new(session), token))
    }
}

/// Sessions that go when this operator begins another: ended ones of anybody, and the oldest beyond what one may have.
pub fn to_make_room(all: &[Found<Session>], operator: &str, now: Time) -> Vec<RegistryChange> {
    let mut own: Vec<&Found<Session>> =
        all.iter().filter(|one| one.value.operator == operator && !one.value.is_over(now)).collect();
    own.sort_by_key(|one| one.value.renewed_at);
    let beyond = (own.len() + 1).saturating_sub(PER_OPERATOR_MAX);
    let oldest = own.into_iter().take(beyond).map(|one| one.name.as_str());
    let names = oldest.chain(over(all, now)).take(REMOVED_MAX);
    names.map(super::kept::gone::<Session>).collect()
}

/// Names of the sessions that are over.
pub fn over(all: &[Found<Session>], now: Time) -> impl Iterator<Item = &str> {
    all.iter().filter(move |one| one.value.is_over(now)).map(|one| one.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_456_800_000);

    fn begun() -> (Session, RefreshToken) {
        Session::begin("anna@venue.example", "192.0.2.7".to_owned(), String::new(), NOW).unwrap()
    }

    fn renewed(session: &Session, token: &RefreshToken, now: Time) -> (Session, RefreshToken) {
        match session.renew(token, "192.0.2.8", now).unwrap() {
            Renewal::Renewed(session, token) => (*session, token),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_good_once_and_an_old_one_shows_that_somebody_else_has_it() {
        let (session, first) = begun();
        let (session, second) = renewed(&session, &first, NOW.plus_ms(1));
        assert_ne!(first, second);
        let ask = |session: &Session, token: &RefreshToken, at: i64| {
            session.renew(token, "", NOW.plus_ms(at)).unwrap()
        };
        assert_eq!(ask(&session, &first, 2), Renewal::JustRenewed, "two windows of one person");
        assert_eq!(ask(&session, &first, TOGETHER_MS + 2), Renewal::Reused);
        let (session, _) = renewed(&session, &second, NOW.plus_ms(3));
        assert_eq!(ask(&session, &first, 4), Renewal::Reused, "older than the last is never innocent");
    }

    #[test]
    fn who_knows_a_sessions_name_alone_can_neither_renew_nor_end_it() {
        let (session, token) = begun();
        let guessed = RefreshToken { family: "guessed".to_owned(), ..token.clone() };
        assert_eq!(session.renew(&guessed, "", NOW).unwrap(), Renewal::Unknown);
        assert_eq!(RefreshToken::read(&token.text()), Some(token));
        for wrong in ["", "a", "a.b", "a.b.c.d", "a.b.c;", "a.b. c", &"a".repeat(500)] {
            assert_eq!(RefreshToken::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_session_ends_when_nobody_renews_it_and_at_last_in_any_case() {
        let (mut session, mut token) = begun();
        assert!(!session.is_over(NOW.plus_ms(IDLE_MS - 1)) && session.is_over(NOW.plus_ms(IDLE_MS)));
        assert_eq!(session.renew(&token, "", NOW.plus_ms(IDLE_MS)).unwrap(), Renewal::Unknown);
        let mut at = NOW;
        while at.0 + IDLE_MS - 1 < NOW.0 + LIFE_MS {
            at = at.plus_ms(IDLE_MS - 1);
            (session, token) = renewed(&session, &token, at);
        }
        assert_eq!(session.ends_at(), NOW.plus_ms(LIFE_MS));
        assert_eq!(session.renew(&token, "", NOW.plus_ms(LIFE_MS)).unwrap(), Renewal::Unknown);
    }
}
