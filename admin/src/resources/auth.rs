//! Signing in, going on and signing out; and the first administrator of a new node.

use super::operators::{EMAIL_BYTES_MAX, Email};
use crate::access::{Principal, Proof};
use crate::app::App;
use crate::auth::sessions::Session;
use crate::auth::sign_in::{self, SignedIn, Typed};
use crate::auth::visitor::{BROWSER_COOKIE, REFRESH_COOKIE, Visitor};
use crate::auth::{ACCESS_LIFE_S, act, kept, own, people};
use crate::extract::{Json, Who};
use crate::problem::Problem;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(logout_everywhere))
        .routes(routes!(setup))
}

/// Longest code, in characters.
pub(super) const CODE_CHARS_MAX: usize = 32;

/// Who signs in, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// E-mail address.
    #[schema(example = "anna@venue.example", min_length = 1, max_length = 128)]
    email: String,
    /// Password.
    #[schema(example = "correct horse battery", min_length = 1, max_length = 1024)]
    password: String,
    /// A code of the second factor, or a recovery code; left out or `null`: none.
    #[serde(default)]
    #[schema(example = "287082", min_length = 1, max_length = 32)]
    code: Option<String>,
}

/// A session that began or goes on. The refresh token is in the cookie `gatehouse_refresh`, for no script to read.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// For `Authorization: Bearer …`.
    #[schema(example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln")]
    access_token: String,
    /// `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// The access token is good for so many seconds; then ask `/api/v1/auth/refresh`.
    #[schema(example = 600)]
    expires_in_s: i64,
    /// The session, as `/api/v1/account/sessions` names it.
    #[schema(example = "h3x8kq2v9mfe7t4wyzpna5cbr6sdgu2j")]
    session: String,
    /// Can nothing be done but to set a password at `PUT /api/v1/account/password`?
    #[schema(example = false)]
    password_change_required: bool,
}

fn signed_in(signed_in: SignedIn) -> Response {
    let tokens = Tokens {
        access_token: signed_in.access_token,
        token_type: "Bearer",
        expires_in_s: ACCESS_LIFE_S,
        session: signed_in.session,
        password_change_required: signed_in.only_password,
    };
    with_cookies(axum::Json(tokens).into_response(), signed_in.cookies)
}

fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn length(field: &str, text: &str, most: usize) -> Result<(), Problem> {
    match text.chars().count() {
        count if (1..=most).contains(&count) => Ok(()),
        _ => Err(Problem::invalid(field, format!("1 to {most} characters are meant"))),
    }
}

/// Signs in with e-mail address and password.
///
/// Where a second factor is set up and no `code` is sent, the answer is 401 `second_factor_required`. After five failures
/// every further one makes wait, twice as long each time up to 15 minutes: 429 with `Retry-After`.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "account", operation_id = "login", request_body = Login,
    responses((status = 200, description = "A session began", body = Tokens,
            headers(("Set-Cookie", description = "The refresh token and the browser's cookie"))),
        (status = 401, description = "Name, password or code are wrong, or a code is missing",
            body = inline(crate::problem::ProblemBody), content_type = "application/problem+json")),
    extensions(("x-permission" = json!("public")))
)]
async fn login(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Json(login): Json<Login>,
) -> Result<Response, Problem> {
    length("email", &login.email, EMAIL_BYTES_MAX)?;
    length("password", &login.password, 1_024)?;
    login.code.as_deref().map_or(Ok(()), |code| length("code", code, CODE_CHARS_MAX))?;
    let typed = Typed { email: login.email, password: login.password, code: login.code };
    sign_in::sign_in(&app, &visitor, typed).await.map(signed_in)
}

/// Goes on with a session.
///
/// Takes the cookie `gatehouse_refresh` and gives another one: each is good once. One that was used before shows that somebody
/// else has it, and ends the session. Two windows that ask within ten seconds are forgiven: the slower one is told 409 and has
/// the newer cookie already.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "account", operation_id = "refreshSession",
    params(("gatehouse_refresh" = Option<String>, Cookie, description = "The refresh token")),
    responses((status = 200, description = "The session goes on", body = Tokens,
            headers(("Set-Cookie", description = "The next refresh token"))),
        (status = 401, description = "The session is over",
            body = inline(crate::problem::ProblemBody), content_type = "application/problem+json")),
    extensions(("x-permission" = json!("public")))
)]
async fn refresh(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    sign_in::renew(&app, &visitor).await.map(signed_in)
}

/// Signs out: ends the session of the access token, or of the cookie. Signing out twice is as good as once.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "account", operation_id = "logout",
    params(("gatehouse_refresh" = Option<String>, Cookie, description = "The refresh token")),
    responses((status = 204, description = "Signed out")),
    extensions(("x-permission" = json!("public")))
)]
async fn logout(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    by: Option<Extension<Principal>>,
) -> Result<Response, Problem> {
    let of_token = by.and_then(|by| match &by.proof {
        Proof::Session(id) => Some(id.to_string()),
        _ => None,
    });
    let of_cookie = sign_in::of_cookie(&app, &visitor);
    for id in of_token.into_iter().chain(of_cookie) {
        let Some(found) = kept::find::<Session>(&app.engine, &id) else { continue };
        let name = &found.value.operator;
        let operator = app.engine.catalog().operator_named(name);
        let details = json!({"session": id});
        let act = act("sign_out", name, details, vec![kept::gone::<Session>(&id)]);
        app.settle(app.engine.act(operator, act)?).await?;
    }
    Ok(with_cookies(StatusCode::NO_CONTENT.into_response(), vec![visitor.take_back(REFRESH_COOKIE)]))
}

/// Signs out everywhere: ends every session of whoever asks. API tokens go on; they are ended one by one.
#[utoipa::path(
    post, path = "/api/v1/auth/logout-everywhere", tag = "account", operation_id = "logoutEverywhere",
    responses((status = 204, description = "Signed out everywhere")),
    extensions(("x-permission" = json!("account")))
)]
async fn logout_everywhere(
    State(app): State<Arc<App>>,
    Who(by): Who,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let account = own::account(&app, &by)?;
    let name = &account.operator.name;
    let entries = sign_in::ending(&app, name, None);
    let details = json!({"sessions": entries.len()});
    app.settle(app.engine.act(by.operator, act("sign_out_everywhere", name, details, entries))?).await?;
    let cookies = vec![visitor.take_back(REFRESH_COOKIE), visitor.take_back(BROWSER_COOKIE)];
    Ok(with_cookies(StatusCode::NO_CONTENT.into_response(), cookies))
}

/// Who is to be the first administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct First {
    /// The token that the node printed when it started, which is also in the file `setup-token` of its data directory.
    #[schema(example = "h3x8kq2v9mfe7t4wyzpna5cbr6sdgu2j", min_length = 1, max_length = 128)]
    token: String,
    /// E-mail address.
    email: Email,
    /// Password; not the name.
    #[schema(example = "correct horse battery", min_length = 12, max_length = 1024)]
    password: String,
}

/// Makes the first administrator of a node that has no operator.
///
/// The node prints the token when it starts; it is good once, and `gatehouse user add` makes it good for nothing.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "account", operation_id = "setUp", request_body = First,
    responses((status = 201, description = "The administrator", body = super::operators::Shown),
        (status = 401, description = "Not the token, or there is an operator already",
            body = inline(crate::problem::ProblemBody), content_type = "application/problem+json")),
    extensions(("x-permission" = json!("public")))
)]
async fn setup(State(app): State<Arc<App>>, Json(first): Json<First>) -> Result<Response, Problem> {
    let email = first.email.checked("email")?;
    people::check_password("password", &first.password, &email)?;
    let account = people::first(&app, &first.token, &email, first.password).await?;
    Ok(super::operators::made(&app, &account))
}
