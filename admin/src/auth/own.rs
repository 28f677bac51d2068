//! What somebody does to the own account: who it is, proving to be who one is, setting another password.

use super::act;
use super::credential::Credential;
use super::people::{Account, check_password, put};
use super::sign_in::{self, ending};
use super::visitor::Visitor;
use crate::access::{Principal, Proof};
use crate::app::App;
use crate::problem::{Kind, Problem};
use serde_json::json;
use std::sync::Arc;

/// The account of whoever asks. A program's token and this machine's own command have none.
///
/// # Errors
/// As said.
pub fn account(app: &App, by: &Principal) -> Result<Account, Problem> {
    let is_person = matches!(by.proof, Proof::Session(_) | Proof::OperatorToken);
    Account::named(&app.engine, &by.name).filter(|_| is_person).ok_or_else(|| {
        Problem::new(
            Kind::NotAllowed,
            "this is for people who have signed in: a program's token has no account",
        )
    })
}

/// Sets one's own password. Other sessions end.
///
/// # Errors
/// The old one is wrong, or the new one cannot be one.
pub async fn set_password(
    app: &Arc<App>,
    by: &Principal,
    visitor: &Visitor,
    old: Option<String>,
    new: String,
) -> Result<(), Problem> {
    let account = account(app, by)?;
    let name = account.operator.name.clone();
    check_password("new", &new, &name)?;
    if old.as_ref() == Some(&new) {
        return Err(Problem::invalid("new", "this is the old password"));
    }
    let account = prove(app, visitor, account, old, "old").await?;
    let hash = app.auth.passwords.hash(new).await?;
    let turn = app.auth.changes.lock().await;
    let session = match &by.proof {
        Proof::Session(id) => Some(&**id),
        _ => None,
    };
    // Ending sessions first: whatever happens in between, nobody stays in with the old password.
    let ended = act("password_changed", &name, json!({}), ending(app, &name, session));
    app.engine.act(by.operator, ended)?;
    let credential = Credential { hash: Some(hash), ..Credential::default() };
    let lsn = put(app, by, &account, account.changed(account.operator.role, &credential, true))?;
    drop(turn);
    app.settle(lsn).await
}

/// Shows that whoever asks knows the account's password, where it has one.
///
/// # Errors
/// Missing, wrong, or too often wrong.
pub async fn prove(
    app: &Arc<App>,
    visitor: &Visitor,
    account: Account,
    password: Option<String>,
    field: &str,
) -> Result<Account, Problem> {
    match password {
        None if account.credential.hash.is_none() => Ok(account),
        None => Err(Problem::invalid(field, "the password is needed")),
        Some(password) => {
            let proved = sign_in::right_password(app, visitor, &account.operator.name, password).await;
            proved.map_err(|problem| match problem.kind {
                // A 401 would say that the session is over.
                Kind::Unauthenticated => {
                    Problem::new(Kind::NotAllowed, format!("{field}: this is not your password"))
                        .with_field(field, "this is not your password")
                }
                _ => problem,
            })
        }
    }
}
