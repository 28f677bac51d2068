//! Operators: people and their programs who may sign in. Stations are none. No answer has a hash in it.

use super::catalog::segment;
use crate::app::App;
use crate::auth::kept;
use crate::auth::people::{self, Account};
use crate::auth::second_factor::SecondFactor;
use crate::etag::{self, IfMatch, Version};
use crate::extract::{Json, Params, Path, Who};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::catalog::Role as Own;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest address of a new operator, in bytes.
pub(super) const EMAIL_BYTES_MAX: usize = 128;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(reset))
        .routes(routes!(remove_second_factor))
}

/// An e-mail address of somebody new: ASCII, kept in small letters.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(value_type = String, example = "bert@venue.example", min_length = 3, max_length = 128,
    pattern = "^[A-Za-z0-9._%+'-]+@[A-Za-z0-9.-]+$")]
pub(super) struct Email(String);

impl Email {
    /// In small letters.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn checked(&self, field: &str) -> Result<String, Problem> {
        let of = |text: &str, more: &[u8]| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            !text.is_empty() && text.bytes().all(good)
        };
        let good = self.0.len() <= EMAIL_BYTES_MAX
            && self.0.split_once('@').is_some_and(|(own, host)| of(own, b"._%+'-") && of(host, b".-"));
        if good {
            Ok(self.0.to_lowercase())
        } else {
            Err(Problem::invalid(field, "an e-mail address is meant"))
        }
    }
}

/// What an operator may do; each role may what those before it may, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    /// Reads.
    Viewer,
    /// Works a gate.
    Steward,
    /// Runs the gates.
    Supervisor,
    /// Sets the event up.
    Manager,
    /// Everything.
    Administrator,
}

impl Role {
    fn own(self) -> Own {
        match self {
            Role::Viewer => Own::Viewer,
            Role::Steward => Own::Steward,
            Role::Supervisor => Own::Supervisor,
            Role::Manager => Own::Manager,
            Role::Administrator => Own::Administrator,
        }
    }

    fn of(role: Own) -> Role {
        match role {
            Own::Viewer => Role::Viewer,
            Own::Steward => Role::Steward,
            Own::Supervisor => Role::Supervisor,
            Own::Manager => Role::Manager,
            Own::Administrator => Role::Administrator,
        }
    }
}

/// How an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// May sign in.
    Active,
    /// Has a password from an administrator, and has to set their own before anything else.
    PasswordToSet,
    /// Is let in nowhere.
    Disabled,
}

/// An operator as they are shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Operator)]
pub(super) struct Shown {
    /// Identity: an e-mail address; never changes.
    #[schema(example = "bert@venue.example")]
    email: String,
    /// What they may do.
    role: Role,
    /// How they stand.
    status: Status,
    /// Have they a password?
    #[schema(example = true)]
    has_password: bool,
    /// Have they a token that `gatehouse user add` gave?
    #[schema(example = false)]
    has_token: bool,
    /// Is a code asked for besides the password?
    #[schema(example = true)]
    second_factor: bool,
}

impl Shown {
    fn of(app: &App, account: &Account) -> Shown {
        let (operator, credential) = (&account.operator, &account.credential);
        let factor = kept::find::<SecondFactor>(&app.engine, &operator.name);
        Shown {
            email: operator.name.clone(),
            role: Role::of(operator.role),
            status: match (credential.disabled, credential.once) {
                (true, _) => Status::Disabled,
                (false, true) => Status::PasswordToSet,
                (false, false) => Status::Active,
            },
            has_password: credential.hash.is_some(),
            has_token: !operator.token_hashes.is_empty(),
            second_factor: factor.is_some_and(|factor| factor.value.confirmed),
        }
    }
}

/// The answer about one that was made.
pub(super) fn made(app: &App, account: &Account) -> Response {
    etag::made(&at(&account.operator.name), &Shown::of(app, account))
}

fn at(email: &str) -> String {
    format!("/api/v1/operators/{}", segment(email))
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOperator {
    /// E-mail address.
    email: Email,
    /// What they may do.
    role: Role,
}

/// What an operator can be changed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OperatorChange {
    /// What they may do from now on.
    role: Role,
}

/// An operator and a password that is shown this once.
#[derive(Serialize, ToSchema)]
struct WithPassword {
    /// The operator.
    operator: Shown,
    /// Good for setting another one at `PUT /api/v1/account/password`, and for nothing else.
    #[schema(example = "h3x8-kq2v-9mfe-7t4w")]
    one_time_password: String,
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lists operators by e-mail address.
#[utoipa::path(
    get, path = "/api/v1/operators", tag = "operators", operation_id = "listOperators", params(PageParams),
    responses((status = 200, description = "A page of operators", body = Page<Shown>)),
    extensions(("x-permission" = json!("operators.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let catalog = app.engine.catalog();
    let mut names: Vec<&str> = people::all(&catalog).map(|operator| operator.name.as_str()).collect();
    names.sort_unstable();
    let behind = names.into_iter().filter(|name| after.as_deref().is_none_or(|after| *name > after));
    let accounts = behind.filter_map(|name| Account::named(&app.engine, name));
    let items = accounts.take(limit + 1).map(|account| Shown::of(&app, &account)).collect();
    Ok(Page::of(items, limit, |item: &Shown| item.email.clone()).answer(&uri))
}

/// Makes an operator, with a password to be changed at the first sign-in.
#[utoipa::path(
    post, path = "/api/v1/operators", tag = "operators", operation_id = "createOperator", request_body = NewOperator,
    responses((status = 201, description = "The operator and the password, shown this once", body = WithPassword,
        headers(("Location", description = "Where it is")))),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<NewOperator>,
) -> Result<Response, Problem> {
    let email = new.email.checked("email")?;
    let (account, one_time_password) = people::add(&app, &by, &email, new.role.own()).await?;
    let body = WithPassword { operator: Shown::of(&app, &account), one_time_password };
    Ok(no_store((StatusCode::CREATED, [(header::LOCATION, at(&email))], axum::Json(body)).into_response()))
}

/// Shows an operator.
#[utoipa::path(
    get, path = "/api/v1/operators/{email}", tag = "operators", operation_id = "getOperator",
    params(("email" = String, Path, description = "The operator's e-mail address")),
    responses((status = 200, description = "The operator", body = Shown,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("operators.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(email): Path<String>,
) -> Result<Response, Problem> {
    let account =
        Account::named(&app.engine, &email).ok_or_else(|| Problem::not_found("operator", &email))?;
    Ok(etag::shown(&headers, &Shown::of(&app, &account)))
}

/// Gives an operator another role. It counts from their next request on.
#[utoipa::path(
    put, path = "/api/v1/operators/{email}", tag = "operators", operation_id = "replaceOperator",
    request_body = OperatorChange,
    params(("email" = String, Path, description = "The operator's e-mail address"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The operator as they are now", body = Shown,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(email): Path<String>,
    if_match: IfMatch,
    Json(change): Json<OperatorChange>,
) -> Result<Response, Problem> {
    let seen = |account: &Account| if_match.check(&Version::of(&Shown::of(&app, account)));
    let account = people::set_role(&app, &by, &email, change.role.own(), seen).await?;
    Ok(etag::changed(StatusCode::OK, &Shown::of(&app, &account)))
}

/// Lets an operator in no more.
///
/// Sessions and the token of `gatehouse user add` end for good. API tokens the operator made do nothing until enabled again.
#[utoipa::path(
    post, path = "/api/v1/operators/{email}/disable", tag = "operators", operation_id = "disableOperator",
    params(("email" = String, Path, description = "The operator's e-mail address")),
    responses((status = 200, description = "The operator as they are now", body = Shown)),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn disable(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(email): Path<String>,
) -> Result<Response, Problem> {
    let account = people::disable(&app, &by, &email).await?;
    Ok(etag::changed(StatusCode::OK, &Shown::of(&app, &account)))
}

/// Lets an operator in again, with the password they had.
#[utoipa::path(
    post, path = "/api/v1/operators/{email}/enable", tag = "operators", operation_id = "enableOperator",
    params(("email" = String, Path, description = "The operator's e-mail address")),
    responses((status = 200, description = "The operator as they are now", body = Shown)),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn enable(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(email): Path<String>,
) -> Result<Response, Problem> {
    let account = people::enable(&app, &by, &email).await?;
    Ok(etag::changed(StatusCode::OK, &Shown::of(&app, &account)))
}

/// Gives an operator a one-time password.
///
/// The password they had, their sessions and the token of `gatehouse user add` end. Their second factor stays, and so do API
/// tokens they made.
#[utoipa::path(
    post, path = "/api/v1/operators/{email}/reset", tag = "operators", operation_id = "resetOperator",
    params(("email" = String, Path, description = "The operator's e-mail address")),
    responses((status = 200, description = "The operator and the password, shown this once", body = WithPassword)),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn reset(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(email): Path<String>,
) -> Result<Response, Problem> {
    let (account, one_time_password) = people::reset(&app, &by, &email).await?;
    let body = WithPassword { operator: Shown::of(&app, &account), one_time_password };
    Ok(no_store(axum::Json(body).into_response()))
}

/// Takes an operator's second factor away, for a telephone that is lost together with its recovery codes.
#[utoipa::path(
    delete, path = "/api/v1/operators/{email}/totp", tag = "operators", operation_id = "removeOperatorsTotp",
    params(("email" = String, Path, description = "The operator's e-mail address")),
    responses((status = 204, description = "It is gone")),
    extensions(("x-permission" = json!("operators.write")))
)]
async fn remove_second_factor(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(email): Path<String>,
) -> Result<StatusCode, Problem> {
    people::remove_second_factor(&app, &by, &email).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_no_station_has_and_is_kept_in_small_letters() {
        let checked = |text: &str| Email(text.to_owned()).checked("email").ok();
        assert_eq!(checked("Anna.O'Neil+1@Venue.example").as_deref(), Some("anna.o'neil+1@venue.example"));
        for wrong in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            "station:x@y",
            "a\n@b",
            "ä@b",
            &format!("{}@b", "a".repeat(127)),
        ] {
            assert_eq!(checked(wrong), None, "{wrong}");
        }
    }
}
