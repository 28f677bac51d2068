//! Operators who are people or their programs: who there are, and what is done to them: made, given another role, disabled,
//! given a new password. The last administrator stays one, and nobody gives or takes what they have not themselves.

use super::credential::Credential;
use super::second_factor::SecondFactor;
use super::sign_in::ending;
use super::{act, kept, no_random, passwords};
use crate::access::{Permissions, Principal, STATION_PREFIX, role_word};
use crate::app::App;
use crate::problem::{Kind, Problem, shown};
use engine::catalog::{Catalog, Entity, Operator, OperatorId, Role};
use engine::{Engine, Lsn};
use serde_json::json;
use std::sync::Arc;

/// Letters of a one-time password: 80 bits.
const ONCE_LETTERS: usize = 16;

/// An operator as they are now.
#[derive(Clone, Debug)]
pub struct Account {
    /// Their number.
    pub id: OperatorId,
    /// The operator.
    pub operator: Operator,
    /// What stands in the place of the password hash.
    pub credential: Credential,
}

impl Account {
    /// The operator of exactly this name. Stations are none.
    pub fn named(engine: &Engine, name: &str) -> Option<Account> {
        let catalog = engine.catalog();
        let id = catalog.operator_named(name).filter(|_| !name.starts_with(STATION_PREFIX))?;
        let operator = catalog.operator(id)?.clone();
        Some(Account { id, credential: Credential::of(&operator), operator })
    }

    /// The operator of a name as people type it.
    pub fn typed(engine: &Engine, name: &str) -> Option<Account> {
        let name = name.trim();
        Account::named(engine, name).or_else(|| Account::named(engine, &name.to_lowercase()))
    }

    /// Can they get in at all?
    fn can_sign_in(&self) -> bool {
        !self.credential.disabled
            && (self.credential.hash.is_some() || !self.operator.token_hashes.is_empty())
    }

    /// The same with another role or credential.
    pub(super) fn changed(&self, role: Role, credential: &Credential, keeps_tokens: bool) -> Entity {
        let token_hashes = if keeps_tokens { self.operator.token_hashes.clone() } else { Vec::new() };
        let password_hash = credential.text();
        Entity::Operator(Operator { name: self.operator.name.clone(), role, password_hash, token_hashes })
    }

    fn entity(&self) -> Entity {
        Entity::Operator(self.operator.clone())
    }
}

/// Every operator that is no station.
pub fn all(catalog: &Catalog) -> impl Iterator<Item = &Operator> {
    catalog.operators().map(|(_, operator)| operator).filter(|own| !own.name.starts_with(STATION_PREFIX))
}

/// Is there anybody who could sign in, now or once enabled?
pub fn has_operators(catalog: &Catalog) -> bool {
    all(catalog).next().is_some()
}

/// What is wrong with a password for this name, by its field.
///
/// # Errors
/// As said.
pub fn check_password(field: &str, password: &str, name: &str) -> Result<(), Problem> {
    passwords::check(password, name).map_err(|problem| Problem::invalid(field, problem))
}

fn find(app: &App, name: &str) -> Result<Account, Problem> {
    Account::named(&app.engine, name).ok_or_else(|| Problem::not_found("operator", name))
}

/// May they do something to one who has this role, or give it?
fn reaches(by: &Principal, role: Role) -> Result<(), Problem> {
    let of_role = Permissions::of_role(role);
    if of_role.and(by.permissions) == of_role {
        return Ok(());
    }
    let detail = format!("a {} may more than you; somebody who may as much has to do it", role_word(role));
    Err(Problem::new(Kind::NotAllowed, detail))
}

/// Is there an administrator besides this one who can get in?
fn other_administrator(app: &App, name: &str) -> Result<(), Problem> {
    let catalog = app.engine.catalog();
    let others = all(&catalog).filter(|own| own.role == Role::Administrator && own.name != name);
    if others.filter_map(|own| Account::named(&app.engine, &own.name)).any(|own| own.can_sign_in()) {
        return Ok(());
    }
    Err(Problem::new(Kind::Conflict, "this is the last administrator; make another one first"))
}

/// Makes an operator with a one-time password.
///
/// # Errors
/// There is one of this name, or the role is beyond whoever asks.
pub async fn add(
    app: &Arc<App>,
    by: &Principal,
    name: &str,
    role: Role,
) -> Result<(Account, String), Problem> {
    reaches(by, role)?;
    let (password, hash) = one_time_password(app).await?;
    let turn = app.auth.changes.lock().await;
    if Account::typed(&app.engine, name).is_some() {
        return Err(Problem::new(Kind::Conflict, format!("there is an operator '{}' already", shown(name))));
    }
    let credential = Credential { once: true, hash: Some(hash), disabled: false };
    let new = operator(name, role, &credential);
    let lsn = app.engine.put_if(by.operator, None, Entity::Operator(new))?;
    drop(turn);
    app.auth.setup.end();
    app.settle(lsn).await?;
    Ok((find(app, name)?, password))
}

fn operator(name: &str, role: Role, credential: &Credential) -> Operator {
    Operator { name: name.to_owned(), role, password_hash: credential.text(), token_hashes: Vec::new() }
}

async fn one_time_password(app: &App) -> Result<(String, String), Problem> {
    let letters = secrets::new_key().map_err(no_random)?[..ONCE_LETTERS].to_owned();
    let parts: Vec<&str> = (0..ONCE_LETTERS).step_by(4).map(|at| &letters[at..at + 4]).collect();
    let password = parts.join("-");
    let hash = app.auth.passwords.hash(password.clone()).await?;
    Ok((password, hash))
}

/// The first administrator, by whoever has the setup token.
///
/// # Errors
/// The token is wrong, or there is an operator already.
pub async fn first(app: &Arc<App>, token: &str, name: &str, password: String) -> Result<Account, Problem> {
    let none = || Problem::new(Kind::Unauthenticated, "this is not the setup token, or it was used");
    if !app.auth.setup.is_token(token) {
        return Err(none());
    }
    check_password("password", &password, name)?;
    let hash = app.auth.passwords.hash(password).await?;
    let turn = app.auth.changes.lock().await;
    if has_operators(&app.engine.catalog()) {
        app.auth.setup.end();
    }
    if !app.auth.setup.is_token(token) {
        return Err(none());
    }
    let credential = Credential { hash: Some(hash), ..Credential::default() };
    let new = operator(name, Role::Administrator, &credential);
    let lsn = app.engine.put_if(None, None, Entity::Operator(new))?;
    drop(turn);
    app.settle(lsn).await?;
    app.auth.setup.end();
    find(app, name)
}

/// Gives another role; `seen` says whether the operator is still as whoever asks has seen them.
///
/// # Errors
/// Not seen so, beyond whoever asks, or the last administrator.
pub async fn set_role(
    app: &Arc<App>,
    by: &Principal,
    name: &str,
    role: Role,
    seen: impl FnOnce(&Account) -> Result<(), Problem>,
) -> Result<Account, Problem> {
    let turn = app.auth.changes.lock().await;
    let account = find(app, name)?;
    seen(&account)?;
    reaches(by, account.operator.role)?;
    reaches(by, role)?;
    if account.operator.role == Role::Administrator && role != Role::Administrator {
        other_administrator(app, name)?;
    }
    let new = account.changed(role, &account.credential, true);
    let lsn = put(app, by, &account, new)?;
    drop(turn);
    app.settle(lsn).await?;
    find(app, name)
}

/// Lets somebody in no more: sessions and tokens of their own end for good, API tokens they made rest.
///
/// # Errors
/// Beyond whoever asks, or the last administrator.
pub async fn disable(app: &Arc<App>, by: &Principal, name: &str) -> Result<Account, Problem> {
    let turn = app.auth.changes.lock().await;
    let account = find(app, name)?;
    reaches(by, account.operator.role)?;
    if account.operator.role == Role::Administrator {
        other_administrator(app, name)?;
    }
    let credential = Credential { disabled: true, ..account.credential.clone() };
    // First the door, then what is behind it: sessions of somebody disabled open nothing.
    put(app, by, &account, account.changed(account.operator.role, &credential, false))?;
    let act = act("operator_disabled", name, json!({}), ending(app, name, None));
    let lsn = app.engine.act(by.operator, act)?;
    drop(turn);
    app.settle(lsn).await?;
    find(app, name)
}

/// Lets somebody in again, with the password they had.
///
/// # Errors
/// Beyond whoever asks.
pub async fn enable(app: &Arc<App>, by: &Principal, name: &str) -> Result<Account, Problem> {
    let turn = app.auth.changes.lock().await;
    let account = find(app, name)?;
    reaches(by, account.operator.role)?;
    let credential = Credential { disabled: false, ..account.credential.clone() };
    put(app, by, &account, account.changed(account.operator.role, &credential, true))?;
    let lsn = app.engine.act(by.operator, act("operator_enabled", name, json!({}), Vec::new()))?;
    drop(turn);
    app.settle(lsn).await?;
    find(app, name)
}

/// Gives a one-time password in place of everything that let them in before.
///
/// # Errors
/// Beyond whoever asks.
pub async fn reset(app: &Arc<App>, by: &Principal, name: &str) -> Result<(Account, String), Problem> {
    reaches(by, find(app, name)?.operator.role)?;
    let (password, hash) = one_time_password(app).await?;
    let turn = app.auth.changes.lock().await;
    let account = find(app, name)?;
    reaches(by, account.operator.role)?;
    let ended = act("password_reset", name, json!({}), ending(app, name, None));
    app.engine.act(by.operator, ended)?;
    let credential = Credential { once: true, hash: Some(hash), disabled: account.credential.disabled };
    let lsn = put(app, by, &account, account.changed(account.operator.role, &credential, false))?;
    drop(turn);
    app.settle(lsn).await?;
    Ok((find(app, name)?, password))
}

/// Takes somebody's second factor away, for a telephone that is lost with its recovery codes.
///
/// # Errors
/// Beyond whoever asks, or there is none.
pub async fn remove_second_factor(app: &Arc<App>, by: &Principal, name: &str) -> Result<(), Problem> {
    let turn = app.auth.changes.lock().await;
    let account = find(app, name)?;
    reaches(by, account.operator.role)?;
    let found = kept::find::<SecondFactor>(&app.engine, name);
    let found =
        found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no second factor to be removed"))?;
    let entries = vec![kept::gone::<SecondFactor>(&found.name)];
    let act = act("second_factor_removed", name, json!({}), entries);
    let lsn = app.engine.act_if(by.operator, &[found.as_found()], act)?;
    drop(turn);
    app.settle(lsn).await
}

/// Replaces an operator; gives the record to wait for, once nobody else is kept from changing operators.
///
/// # Errors
/// Somebody else changed them meanwhile.
pub(super) fn put(app: &App, by: &Principal, before: &Account, after: Entity) -> Result<Lsn, Problem> {
    let before = before.entity();
    if before == after {
        return Ok(Lsn(0));
    }
    Ok(app.engine.put_if(by.operator, Some(&before), after)?)
}
