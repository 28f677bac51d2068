//! Who somebody is: signing in with a password and maybe a second factor, sessions, API tokens, and what keeps guessers
//! out. Everything that has to last is in the engine's registry or its catalog; knows no path.
//!
//! | module | owns |
//! |---|---|
//! | `sign_in` | the way in: from a password to a session, and how it goes on and ends |
//! | `people`, `own` | operators: who there are, what is done to them, and what they do to their own account |
//! | `sessions`, `access_token`, `api_tokens` | the three proofs, as they are kept and read |
//! | `passwords`, `turns`, `credential`, `second_factor` | what is known or had |
//! | `lockout`, `browsers`, `reports` | who fails: waiting, being known, being told of |
//! | `setup` | the first administrator of a node that has nobody |
//! | `visitor` | addresses and cookies |
//! | `keeping` | what is done now and then |

mod access_token;
pub mod api_tokens;
mod browsers;
mod credential;
mod figures;
pub mod keeping;
pub mod kept;
mod lockout;
pub mod own;
mod passwords;
pub mod people;
mod reports;
pub mod second_factor;
pub mod sessions;
mod setup;
pub mod sign_in;
mod turns;
pub mod visitor;

pub use access_token::LIFE_S as ACCESS_LIFE_S;
pub use figures::SignInFigures;
pub use passwords::check as check_new_password;
pub use people::has_operators;
pub use setup::Setup;

use crate::access::{Permission, Permissions, Principal, Proof};
use crate::app::App;
use crate::problem::{Kind, Problem};
use access_token::AccessTokens;
use api_tokens::{ApiToken, Uses};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use browsers::Browsers;
use engine::Time;
use engine::registry::{Act, RegistryChange};
use lockout::{Counted, Lockout};
use passwords::Passwords;
use people::Account;
use reports::Reports;
use secrets::Vault;
use serde_json::Value;
use sessions::Session;
use std::io;
use std::sync::Arc;
use visitor::Visitor;

/// What signing in works with.
pub struct Auth {
    access: AccessTokens,
    browsers: Browsers,
    passwords: Passwords,
    lockout: Lockout,
    reports: Reports,
    /// Changes of operators, their passwords and second factors are made one after the other: each looks, then changes.
    changes: tokio::sync::Mutex<()>,
    figures: Arc<SignInFigures>,
    pub(crate) uses: Uses,
    pub(crate) setup: Setup,
}

/// What the node gives for it.
pub struct AuthParts {
    /// The way to a first administrator.
    pub setup: Setup,
    /// What a thread does first that has to give way to gates.
    pub give_way: fn(),
    /// Counters that the node shows.
    pub figures: Arc<SignInFigures>,
}

impl Auth {
    /// Starts the threads for passwords.
    ///
    /// # Errors
    /// No threads can be had.
    pub fn new(vault: &Vault, parts: AuthParts) -> io::Result<Auth> {
        Ok(Auth {
            access: AccessTokens::new(vault),
            browsers: Browsers::new(vault),
            passwords: Passwords::start(parts.give_way, Arc::clone(&parts.figures))?,
            lockout: Lockout::default(),
            reports: Reports::default(),
            changes: tokio::sync::Mutex::new(()),
            figures: parts.figures,
            uses: Uses::default(),
            setup: parts.setup,
        })
    }

    /// Whose failures count against an attempt at an account.
    fn counted(&self, visitor: &Visitor, account: &str) -> Vec<Counted> {
        let browser = visitor.browser.as_deref().and_then(|cookie| self.browsers.known(account, cookie));
        match browser {
            Some(id) => vec![Counted::Browser(id)],
            None => vec![Counted::Address(visitor.address), Counted::Account(account.to_owned())],
        }
    }

    /// Whoever has signed in tries a code.
    ///
    /// # Errors
    /// Too many were wrong before.
    pub fn guess(&self, visitor: &Visitor, account: &str, now: Time) -> Result<Guess, Problem> {
        let counted = self.counted(visitor, account);
        self.may_try(&counted, now).map(|()| Guess(counted))
    }

    fn may_try(&self, counted: &[Counted], now: Time) -> Result<(), Problem> {
        let Some(wait_s) = self.lockout.wait_s(counted, now) else { return Ok(()) };
        self.figures.count_told_to_wait();
        let mut problem =
            Problem::new(Kind::RateLimited, format!("too many failures; try again in {wait_s} s"));
        problem.retry_after_s = Some(wait_s);
        Err(problem)
    }

    /// Counts a failure; `known` says whether there is such an account.
    fn count_failure(&self, counted: &[Counted], known: bool, now: Time) {
        self.figures.count_failed();
        let newly = self.lockout.failed(counted, now);
        self.reports.failed(&newly, known);
    }
}

/// An attempt at a code of an account, which counts when it fails.
pub struct Guess(Vec<Counted>);

impl Guess {
    /// It was wrong.
    pub fn failed(&self, auth: &Auth, now: Time) {
        auth.count_failure(&self.0, true, now);
    }
}

/// Who a token belongs to, where it is an access token or an API token. Some microseconds.
pub fn principal(app: &App, token: &str) -> Option<Principal> {
    match api_tokens::parts(token) {
        Some((id, secret)) => by_api_token(app, id, secret),
        None => by_session(app, token),
    }
}

fn by_api_token(app: &App, id: &str, secret: &str) -> Option<Principal> {
    let now = app.engine.now();
    let token = kept::find::<ApiToken>(&app.engine, id)?.value;
    let account = Account::named(&app.engine, &token.operator).filter(|own| !own.credential.disabled)?;
    if !token.opens(secret, now) {
        return None;
    }
    app.auth.uses.used(id, now);
    Some(Principal {
        operator: Some(account.id),
        name: account.operator.name.as_str().into(),
        permissions: Permissions::of_role(account.operator.role).and(token.permissions()),
        proof: Proof::ApiToken { id: id.into(), name: token.name.into() },
    })
}

fn by_session(app: &App, token: &str) -> Option<Principal> {
    let now = app.engine.now();
    let claims = app.auth.access.read(token, now)?;
    let session = kept::find::<Session>(&app.engine, &claims.sid)?.value;
    if session.operator != claims.sub || session.is_over(now) {
        return None;
    }
    let account = Account::named(&app.engine, &session.operator).filter(|own| !own.credential.disabled)?;
    let only_password = [Permission::OwnPassword].into_iter().collect();
    let role = Permissions::of_role(account.operator.role);
    Some(Principal {
        operator: Some(account.id),
        name: account.operator.name.as_str().into(),
        permissions: if account.credential.once { only_password } else { role },
        proof: Proof::Session(claims.sid.as_str().into()),
    })
}

/// SHA-256 of a random secret, as it is kept.
fn fingerprint(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(secrets::hash(secret.as_bytes()))
}

/// An act with a line for the audit.
pub fn act(action: &str, subject: &str, details: Value, entries: Vec<RegistryChange>) -> Act {
    Act { action: action.to_owned(), subject: subject.to_owned(), details: details.to_string(), entries }
}

/// The operating system has no random numbers.
pub fn no_random(problem: String) -> Problem {
    Problem::new(Kind::Unavailable, problem)
}
