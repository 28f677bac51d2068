//! The way in: from a name and a password, and maybe a code, to a session; how the session goes on, and how it ends. Every
//! wrong answer is the same and takes as long, whatever was wrong.

use super::browsers;
use super::kept::{self, Found};
use super::people::Account;
use super::second_factor::SecondFactor;
use super::sessions::{self, RefreshToken, Renewal, Session};
use super::visitor::{BROWSER_COOKIE, REFRESH_COOKIE, Visitor};
use super::{act, no_random};
use crate::app::App;
use crate::problem::{Kind, Problem};
use axum::http::HeaderValue;
use engine::registry::RegistryChange;
use engine::{EngineError, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Sessions that end in one record.
const ENDED_MAX: usize = 60;

/// What somebody types.
pub struct Typed {
    /// The name.
    pub email: String,
    /// The password.
    pub password: String,
    /// The second factor's code.
    pub code: Option<String>,
}

/// A session that begins or goes on.
pub struct SignedIn {
    /// For the next requests.
    pub access_token: String,
    /// The session's name.
    pub session: String,
    /// Cookies to be set.
    pub cookies: Vec<HeaderValue>,
    /// Can nothing be done but to set another password?
    pub only_password: bool,
}

/// Begins a session.
///
/// # Errors
/// Wrong, too often wrong, or a code is still missing.
pub async fn sign_in(app: &Arc<App>, visitor: &Visitor, typed: Typed) -> Result<SignedIn, Problem> {
    let Typed { email, password, code } = typed;
    let account = right_password(app, visitor, &email, password).await?;
    let name = account.operator.name.clone();
    let counted = app.auth.counted(visitor, &name);
    let turn = app.auth.changes.lock().await;
    // It took a while to look at the password: the account may be another by now.
    let is_same = |now: &Account| now.operator == account.operator;
    let now = app.engine.now();
    let wrong = || wrong(app, &counted, now);
    if !Account::named(&app.engine, &name).is_some_and(|now| is_same(&now)) {
        return Err(wrong());
    }
    let factor = kept::find::<SecondFactor>(&app.engine, &name).filter(|own| own.value.confirmed);
    let after = match (&factor, code) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Problem::new(
                Kind::SecondFactorRequired,
                "send the code of your second factor as code",
            ));
        }
        (Some(own), Some(code)) => Some(own.value.after(&app.vault, &name, &code, now).ok_or_else(wrong)?),
    };
    let factor = factor.as_ref().zip(after);
    let (lsn, refresh) = match begin(app, visitor, &account, factor, now) {
        Ok(begun) => begun?,
        Err(EngineError::Changed) => return Err(wrong()),
        Err(error) => return Err(error.into()),
    };
    drop(turn);
    app.auth.lockout.succeeded(&counted);
    app.auth.figures.count_signed_in();
    app.safe(lsn).await?;
    let mut signed_in = proofs(app, visitor, &account, &refresh, sessions::LIFE_MS, now);
    let browser = app.auth.browsers.give(&name).map_err(no_random)?;
    signed_in.cookies.push(visitor.give(BROWSER_COOKIE, &browser, browsers::LIFE));
    Ok(signed_in)
}

/// The account of this name and password.
///
/// # Errors
/// There is none, or too many failed before.
pub(super) async fn right_password(
    app: &Arc<App>,
    visitor: &Visitor,
    email: &str,
    password: String,
) -> Result<Account, Problem> {
    let account = Account::typed(&app.engine, email);
    let name = account.as_ref().map_or(email, |own| own.operator.name.as_str());
    let counted = app.auth.counted(visitor, name);
    app.auth.may_try(&counted, app.engine.now())?;
    let hash = account.as_ref().and_then(|own| own.credential.hash.clone());
    let same = app.auth.passwords.are_same(password, hash).await?;
    let is_known = account.is_some();
    account.filter(|own| same && !own.credential.disabled).ok_or_else(|| {
        app.auth.count_failure(&counted, is_known, app.engine.now());
        nobody()
    })
}

fn wrong(app: &App, counted: &[super::Counted], now: Time) -> Problem {
    app.auth.count_failure(counted, true, now);
    nobody()
}

fn nobody() -> Problem {
    Problem::new(Kind::Unauthenticated, "name, password or code are wrong")
}

/// What beginning a session comes to: the record, and the first refresh token.
type Begun = Result<Result<(engine::Lsn, RefreshToken), Problem>, EngineError>;

fn begin(
    app: &App,
    visitor: &Visitor,
    account: &Account,
    factor: Option<(&Found<SecondFactor>, SecondFactor)>,
    now: Time,
) -> Begun {
    let name = account.operator.name.as_str();
    let address = visitor.address.to_string();
    let begun = Session::begin(name, address.clone(), visitor.agent.clone(), now);
    let (session, refresh) = match begun {
        Ok(begun) => begun,
        Err(problem) => return Ok(Err(no_random(problem))),
    };
    let mut entries = sessions::to_make_room(&kept::all::<Session>(&app.engine), name, now);
    entries.push(kept::put(&refresh.session, &session));
    let expected: Vec<_> = factor.iter().map(|(found, _)| found.as_found()).collect();
    entries.extend(factor.iter().map(|(_, after)| kept::put(name, after)));
    let details = json!({
        "session": refresh.session, "address": address, "agent": visitor.agent,
        "second_factor": !expected.is_empty(),
    });
    let lsn = app.engine.act_if(Some(account.id), &expected, act("sign_in", name, details, entries))?;
    Ok(Ok((lsn, refresh)))
}

fn proofs(
    app: &App,
    visitor: &Visitor,
    account: &Account,
    refresh: &RefreshToken,
    lives_ms: i64,
    now: Time,
) -> SignedIn {
    let lives = Duration::from_millis(u64::try_from(lives_ms).unwrap_or_default());
    SignedIn {
        access_token: app.auth.access.issue(&refresh.session, &account.operator.name, now),
        session: refresh.session.clone(),
        cookies: vec![visitor.give(REFRESH_COOKIE, &refresh.text(), lives)],
        only_password: account.credential.once,
    }
}

/// Goes on with a session: a new access token and a new refresh token for the one in the cookie.
///
/// # Errors
/// No such session, over, or a token that was used before: then the session ends.
pub async fn renew(app: &Arc<App>, visitor: &Visitor) -> Result<SignedIn, Problem> {
    let over = || Problem::new(Kind::Unauthenticated, "the session is over; sign in again");
    let token = visitor.refresh.as_deref().and_then(RefreshToken::read).ok_or_else(over)?;
    let found = kept::find::<Session>(&app.engine, &token.session).ok_or_else(over)?;
    let account = Account::named(&app.engine, &found.value.operator);
    let account = account.filter(|own| !own.credential.disabled).ok_or_else(over)?;
    let now = app.engine.now();
    let address = visitor.address.to_string();
    let (session, next) = match found.value.renew(&token, &address, now).map_err(no_random)? {
        Renewal::Renewed(session, next) => (session, next),
        Renewal::JustRenewed => return Err(just_renewed()),
        Renewal::Unknown => return Err(over()),
        Renewal::Reused => {
            let details = json!({"session": found.name, "address": address, "agent": visitor.agent});
            let entries = vec![kept::gone::<Session>(&found.name)];
            let act = act("refresh_token_reused", &account.operator.name, details, entries);
            app.safe(app.engine.act(Some(account.id), act)?).await?;
            tracing::warn!(
                operator = account.operator.name,
                "a used refresh token came again; its session was ended"
            );
            return Err(over());
        }
    };
    let lives_ms = session.ends_at().since_ms(now);
    let entries = vec![kept::put(&found.name, &*session)];
    let act = act("session_renewed", &account.operator.name, json!({"session": found.name}), entries);
    match app.engine.act_if(Some(account.id), &[found.as_found()], act) {
        Ok(lsn) => app.safe(lsn).await?,
        Err(EngineError::Changed) => return Err(just_renewed()),
        Err(error) => return Err(error.into()),
    }
    Ok(proofs(app, visitor, &account, &next, lives_ms, now))
}

fn just_renewed() -> Problem {
    Problem::new(Kind::Conflict, "the session was renewed a moment ago by another window; use its cookie")
}

/// The session of a refresh token, where it is truly one of its tokens.
pub fn of_cookie(app: &App, visitor: &Visitor) -> Option<String> {
    let token = RefreshToken::read(visitor.refresh.as_deref()?)?;
    let found = kept::find::<Session>(&app.engine, &token.session)?;
    found.value.owns(&token).then_some(found.name)
}

/// Sessions of an operator that are not over, newest first.
pub fn of_operator(app: &App, name: &str) -> Vec<Found<Session>> {
    let now = app.engine.now();
    let mut own = kept::all::<Session>(&app.engine);
    own.retain(|one| one.value.operator == name && !one.value.is_over(now));
    own.sort_by_key(|one| std::cmp::Reverse((one.value.renewed_at, one.name.clone())));
    own
}

/// Entries that end an operator's sessions, all but one.
pub fn ending(app: &App, name: &str, but: Option<&str>) -> Vec<RegistryChange> {
    let own = of_operator(app, name).into_iter().filter(|one| Some(one.name.as_str()) != but);
    own.take(ENDED_MAX).map(|one| kept::gone::<Session>(&one.name)).collect()
}
