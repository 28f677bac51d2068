//! Operators: people and their programs who may sign in. Stations are none. No answer has a hash in it.

mod shape;

pub(super) use shape::{EMAIL_BYTES_MAX, Email, Shown};

use super::catalog::segment;
use crate::app::App;
use crate::auth::people::{self, Account};
use crate::etag::{self, IfMatch, Version};
use crate::extract::{Json, Params, Path, Who};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shape::Role;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(reset))
        .routes(routes!(remove_second_factor))
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
