//! API tokens: how programs sign in. Made by an operator, shown once, never more than their maker may.

use crate::access::{Permission, Permissions, Principal};
use crate::app::App;
use crate::auth::api_tokens::{ApiToken, LIFE_MS_MAX, PER_OPERATOR_MAX};
use crate::auth::kept::{self, Found};
use crate::auth::{act, no_random, people};
use crate::extract::{Json, Params, Path, Who};
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::{Kind, Problem, shown};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Most scopes that are read.
const SCOPES_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(end))
}

/// A token as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiToken)]
struct Shown {
    /// Its identity, which is also in the token after `ght_`.
    #[schema(example = "h3x8kq2v9mfe7t4w")]
    id: String,
    /// What it is for.
    #[schema(example = "board in the foyer")]
    name: String,
    /// Who made it.
    #[schema(example = "anna@venue.example")]
    operator: String,
    /// What it may do, as long as its maker may.
    #[schema(example = json!(["scans.read", "venue.read"]))]
    scopes: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    made_at: String,
    /// When it ends.
    #[schema(format = DateTime, example = "2027-11-23T18:00:00.000Z")]
    expires_at: String,
    /// When it was last used; `null`: never. A crash may take back the last ten minutes.
    #[schema(format = DateTime, example = "2026-11-23T19:30:00.000Z")]
    used_at: Option<String>,
}

impl Shown {
    fn of(app: &App, id: &str, token: &ApiToken) -> Shown {
        let used_at = app.auth.uses.last(id).or(token.used_at.map(Time));
        Shown {
            id: id.to_owned(),
            name: token.name.clone(),
            operator: token.operator.clone(),
            scopes: token.scopes.clone(),
            made_at: Moment(Time(token.made_at)).to_string(),
            expires_at: Moment(Time(token.expires_at)).to_string(),
            used_at: used_at.map(|at| Moment(at).to_string()),
        }
    }
}

/// Tokens that whoever asks may see and end: their own, and everybody's for who may change operators.
fn reachable(app: &App, by: &Principal) -> Vec<Found<ApiToken>> {
    let everybodys = by.may(Permission::OperatorsWrite);
    let mut all = kept::all::<ApiToken>(&app.engine);
    all.retain(|one| everybodys || *one.value.operator == *by.name);
    all
}

/// Lists API tokens: one's own, or everybody's with the permission `operators.write`.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens", params(PageParams),
    responses((status = 200, description = "A page of tokens", body = Page<Shown>)),
    extensions(("x-permission" = json!("tokens.write")))
)]
async fn list(
    State(app): State<Arc<App>>,
    Who(by): Who,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let all = reachable(&app, &by);
    let behind = all.iter().filter(|one| after.as_ref().is_none_or(|after| one.name > *after));
    let items = behind.take(limit + 1).map(|one| Shown::of(&app, &one.name, &one.value)).collect();
    Ok(Page::of(items, limit, |item: &Shown| item.id.clone()).answer(&uri))
}

/// A permission's word.
#[derive(Deserialize)]
struct Scope(String);

impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        let words =
            Permission::ALL.iter().filter(|one| **one != Permission::OwnPassword).map(|one| one.word());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build().into()
    }
}

impl ToSchema for Scope {}

/// What a token is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is for.
    #[schema(
        example = "board in the foyer",
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"
    )]
    name: String,
    /// What it may do: permissions that you have.
    #[schema(example = json!(["scans.read", "venue.read"]), min_items = 1, max_items = 64)]
    scopes: Vec<Scope>,
    /// When it ends: in the future, at most two years from now.
    #[schema(format = DateTime, example = "2027-11-23T18:00:00.000Z")]
    expires_at: String,
}

/// A token and what it is, shown this once.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    /// The token; send it as `Authorization: Bearer …`.
    #[schema(example = "ght_h3x8kq2v9mfe7t4w_yzpna5cbr6sdgu2jh3x8kq2v9mfe7t4w")]
    token: String,
    /// As the list shows it.
    about: Shown,
}

impl NewToken {
    fn check(&self, by: &Principal, now: Time) -> Result<(Permissions, Time), Problem> {
        let chars = self.name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&chars) || self.name.chars().any(char::is_control) {
            let message = format!("1 to {NAME_CHARS_MAX} characters are meant, no control characters");
            return Err(Problem::invalid("name", message));
        }
        if !(1..=SCOPES_MAX).contains(&self.scopes.len()) {
            return Err(Problem::invalid("scopes", format!("1 to {SCOPES_MAX} permissions are meant")));
        }
        let scopes: Result<Permissions, Problem> = self.scopes.iter().map(|own| scope(&own.0, by)).collect();
        let Moment(ends) =
            self.expires_at.parse().map_err(|message: &str| Problem::invalid("expires_at", message))?;
        if ends <= now || ends.since_ms(now) > LIFE_MS_MAX {
            return Err(Problem::invalid("expires_at", "a moment in the next two years is meant"));
        }
        Ok((scopes?, ends))
    }
}

fn scope(word: &str, by: &Principal) -> Result<Permission, Problem> {
    let permission = Permission::of_word(word)
        .ok_or_else(|| Problem::invalid("scopes", format!("there is no permission '{}'", shown(word))))?;
    if permission == Permission::OwnPassword {
        return Err(Problem::invalid("scopes", "a program has no password"));
    }
    if !by.may(permission) {
        let detail = format!("you have not the permission {word} yourself");
        return Err(Problem::new(Kind::NotAllowed, detail).with_field("scopes", word.to_owned()));
    }
    Ok(permission)
}

/// Makes an API token. It is shown this once; what is kept is a hash.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken", request_body = NewToken,
    responses((status = 201, description = "The token, shown this once", body = MadeToken)),
    extensions(("x-permission" = json!("tokens.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    let now = app.engine.now();
    let (scopes, ends) = new.check(&by, now)?;
    let account = people::Account::named(&app.engine, &by.name);
    let account = account.ok_or_else(|| Problem::new(Kind::NotAllowed, "only an operator makes tokens"))?;
    let name = &account.operator.name;
    let own = kept::all::<ApiToken>(&app.engine).into_iter().filter(|one| one.value.operator == *name);
    if own.count() >= PER_OPERATOR_MAX {
        let detail = format!("you have {PER_OPERATOR_MAX} tokens, which is the most; end some");
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let (id, token, shown_once) = ApiToken::new(&new.name, name, scopes, now, ends).map_err(no_random)?;
    let details = json!({
        "id": id, "name": token.name, "scopes": token.scopes, "expires_at": Moment(ends).to_string(),
    });
    let act = act("token_made", name, details, vec![kept::put(&id, &token)]);
    app.settle(app.engine.act(by.operator, act)?).await?;
    let body = MadeToken { token: shown_once, about: Shown::of(&app, &id, &token) };
    let secret = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, secret, axum::Json(body)).into_response())
}

/// Ends an API token, at once.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "endToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It opens nothing any more")),
    extensions(("x-permission" = json!("tokens.write")))
)]
async fn end(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let found = reachable(&app, &by).into_iter().find(|one| one.name == id);
    let found = found.ok_or_else(|| Problem::not_found("API token", &id))?;
    let details = json!({"id": found.name, "name": found.value.name});
    let entries = vec![kept::gone::<ApiToken>(&found.name)];
    app.settle(app.engine.act(by.operator, act("token_ended", &found.value.operator, details, entries))?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
