//! One's own second factor: codes of a telephone (RFC 6238), and recovery codes.

use super::auth::{CODE_CHARS_MAX, length};
use crate::app::App;
use crate::auth::kept::{self, Found, Kept};
use crate::auth::people::Account;
use crate::auth::second_factor::SecondFactor;
use crate::auth::visitor::Visitor;
use crate::auth::{act, no_random, own};
use crate::extract::{Json, Who};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::registry::Expected;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(totp, begin_totp, remove_totp)).routes(routes!(confirm_totp))
}

/// The password, to show who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proved {
    /// The own password. Left out or `null` only where there is none.
    #[serde(default)]
    #[schema(example = "correct horse battery", max_length = 1024)]
    password: Option<String>,
}

/// How the second factor stands.
#[derive(Serialize, ToSchema)]
struct Totp {
    /// Is a code asked for at signing in?
    #[schema(example = true)]
    enabled: bool,
    /// Recovery codes that were not used yet.
    #[schema(example = 10)]
    recovery_codes_left: usize,
}

/// Tells how one's own second factor stands.
#[utoipa::path(
    get, path = "/api/v1/account/totp", tag = "account", operation_id = "getTotp",
    responses((status = 200, description = "How it stands", body = Totp)),
    extensions(("x-permission" = json!("account")))
)]
async fn totp(State(app): State<Arc<App>>, Who(by): Who) -> Result<axum::Json<Totp>, Problem> {
    let account = own::account(&app, &by)?;
    let found = kept::find::<SecondFactor>(&app.engine, &account.operator.name);
    Ok(axum::Json(Totp {
        enabled: found.as_ref().is_some_and(|own| own.value.confirmed),
        recovery_codes_left: found.map_or(0, |own| own.value.recovery_codes_left()),
    }))
}

/// A second factor that has still to be confirmed.
#[derive(Serialize, ToSchema)]
struct TotpSeed {
    /// For typing into a telephone.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// For a picture that a telephone reads.
    #[schema(
        example = "otpauth://totp/Gatehouse:anna%40venue.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Gatehouse"
    )]
    uri: String,
}

fn no_store(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(body)).into_response()
}

fn exists() -> Problem {
    Problem::new(Kind::Conflict, "there is a second factor already; remove it first")
}

/// Begins to set up a second factor: codes of a telephone (RFC 6238).
///
/// The secret is shown this once. Nothing changes until it is confirmed with a code.
#[utoipa::path(
    post, path = "/api/v1/account/totp", tag = "account", operation_id = "beginTotp", request_body = Proved,
    responses((status = 200, description = "What a telephone needs, shown this once", body = TotpSeed)),
    extensions(("x-permission" = json!("account")))
)]
async fn begin_totp(
    State(app): State<Arc<App>>,
    Who(by): Who,
    visitor: Visitor,
    Json(proved): Json<Proved>,
) -> Result<Response, Problem> {
    let account = own::account(&app, &by)?;
    let account = own::prove(&app, &visitor, account, proved.password, "password").await?;
    let name = &account.operator.name;
    let before = kept::find::<SecondFactor>(&app.engine, name);
    if before.as_ref().is_some_and(|before| before.value.confirmed) {
        return Err(exists());
    }
    let (factor, seed) = SecondFactor::new(&app.vault, name).map_err(no_random)?;
    let absent = Expected { kind: SecondFactor::KIND, name, value: None };
    let expected = before.as_ref().map_or(absent, Found::as_found);
    let act = act("second_factor_begun", name, json!({}), vec![kept::put(name, &factor)]);
    app.settle(app.engine.act_if(by.operator, &[expected], act)?).await?;
    Ok(no_store(TotpSeed { secret: seed.secret, uri: seed.uri }))
}

/// A code of the telephone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// Six digits.
    #[schema(example = "287082", pattern = "^[0-9]{6}$")]
    code: String,
}

/// Codes for a telephone that is lost.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each is good once, in place of a code.
    #[schema(example = json!(["h3x8-kq2v-9mfe-7t4w"]))]
    recovery_codes: Vec<String>,
}

fn wrong_code() -> Problem {
    Problem::new(Kind::NotAllowed, "code: this is not the code now, or it was used")
        .with_field("code", "wrong or used")
}

fn begun(app: &App, account: &Account) -> Result<Found<SecondFactor>, Problem> {
    kept::find::<SecondFactor>(&app.engine, &account.operator.name).ok_or_else(|| {
        Problem::new(Kind::Conflict, "there is no second factor; begin with POST /api/v1/account/totp")
    })
}

/// Confirms the second factor with a code: it is asked for from now on.
#[utoipa::path(
    post, path = "/api/v1/account/totp/confirm", tag = "account", operation_id = "confirmTotp", request_body = Code,
    responses((status = 200, description = "Recovery codes, shown this once", body = RecoveryCodes)),
    extensions(("x-permission" = json!("account")))
)]
async fn confirm_totp(
    State(app): State<Arc<App>>,
    Who(by): Who,
    visitor: Visitor,
    Json(Code { code }): Json<Code>,
) -> Result<Response, Problem> {
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::invalid("code", "six digits are meant"));
    }
    let account = own::account(&app, &by)?;
    let name = &account.operator.name;
    let found = begun(&app, &account)?;
    if found.value.confirmed {
        return Err(exists());
    }
    let guess = app.auth.guess(&visitor, name, app.engine.now())?;
    let confirmed = found.value.confirmed(&app.vault, name, &code, app.engine.now()).map_err(no_random)?;
    let Some((factor, recovery_codes)) = confirmed else {
        guess.failed(&app.auth, app.engine.now());
        return Err(wrong_code());
    };
    let act = act("second_factor_confirmed", name, json!({}), vec![kept::put(name, &factor)]);
    app.settle(app.engine.act_if(by.operator, &[found.as_found()], act)?).await?;
    Ok(no_store(RecoveryCodes { recovery_codes }))
}

/// Password and code, to show who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProvedTwice {
    /// The own password. Left out or `null` only where there is none.
    #[serde(default)]
    #[schema(example = "correct horse battery", max_length = 1024)]
    password: Option<String>,
    /// A code of the telephone, or a recovery code.
    #[schema(example = "287082", min_length = 1, max_length = 32)]
    code: String,
}

/// Removes the second factor.
#[utoipa::path(
    delete, path = "/api/v1/account/totp", tag = "account", operation_id = "removeTotp", request_body = ProvedTwice,
    responses((status = 204, description = "It is gone")),
    extensions(("x-permission" = json!("account")))
)]
async fn remove_totp(
    State(app): State<Arc<App>>,
    Who(by): Who,
    visitor: Visitor,
    Json(ProvedTwice { password, code }): Json<ProvedTwice>,
) -> Result<StatusCode, Problem> {
    length("code", &code, CODE_CHARS_MAX)?;
    let account = own::account(&app, &by)?;
    let account = own::prove(&app, &visitor, account, password, "password").await?;
    let name = &account.operator.name;
    let found = begun(&app, &account)?;
    let now = app.engine.now();
    let guess = app.auth.guess(&visitor, name, now)?;
    if found.value.confirmed && found.value.after(&app.vault, name, &code, now).is_none() {
        guess.failed(&app.auth, app.engine.now());
        return Err(wrong_code());
    }
    let entries = vec![kept::gone::<SecondFactor>(name)];
    let act = act("second_factor_removed", name, json!({}), entries);
    app.settle(app.engine.act_if(by.operator, &[found.as_found()], act)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
