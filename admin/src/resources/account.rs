//! One's own account: password and sessions.

use crate::access::{Principal, Proof};
use crate::app::App;
use crate::auth::kept::{self, Found};
use crate::auth::sessions::Session;
use crate::auth::visitor::Visitor;
use crate::auth::{act, own, sign_in};
use crate::extract::{Json, Params, Path, Who};
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(set_password)).routes(routes!(sessions)).routes(routes!(end_session))
}

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The password so far. Left out or `null` only where there is none yet.
    #[serde(default)]
    #[schema(example = "h3x8-kq2v-9mfe-7t4w", max_length = 1024)]
    old: Option<String>,
    /// The password from now on; neither the old one nor one's own name.
    #[schema(example = "correct horse battery", min_length = 12, max_length = 1024)]
    new: String,
}

/// Sets the own password. Other sessions end; this one goes on.
#[utoipa::path(
    put, path = "/api/v1/account/password", tag = "account", operation_id = "setPassword",
    request_body = PasswordChange,
    responses((status = 204, description = "The new password is good from now on")),
    extensions(("x-permission" = json!("account.password")))
)]
async fn set_password(
    State(app): State<Arc<App>>,
    Who(by): Who,
    visitor: Visitor,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    own::set_password(&app, &by, &visitor, change.old, change.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session of one's own.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct Shown {
    /// Its name.
    #[schema(example = "h3x8kq2v9mfe7t4wyzpna5cbr6sdgu2j")]
    id: String,
    /// Is it the one that asks?
    #[schema(example = true)]
    current: bool,
    /// When it began.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    began_at: String,
    /// When it was last renewed.
    #[schema(format = DateTime, example = "2026-11-23T18:40:00.000Z")]
    renewed_at: String,
    /// When it ends if nobody renews it.
    #[schema(format = DateTime, example = "2026-11-24T06:40:00.000Z")]
    ends_at: String,
    /// Where from it was last renewed.
    #[schema(example = "192.0.2.7")]
    address: String,
    /// What the program calls itself.
    #[schema(example = "Mozilla/5.0")]
    agent: String,
}

impl Shown {
    fn of(found: Found<Session>, by: &Principal) -> Shown {
        let session = found.value;
        Shown {
            current: matches!(&by.proof, Proof::Session(id) if **id == *found.name),
            id: found.name,
            began_at: Moment(Time(session.began_at)).to_string(),
            renewed_at: Moment(Time(session.renewed_at)).to_string(),
            ends_at: Moment(session.ends_at()).to_string(),
            address: session.address,
            agent: session.agent,
        }
    }
}

/// Lists one's own sessions, the newest first.
#[utoipa::path(
    get, path = "/api/v1/account/sessions", tag = "account", operation_id = "listSessions", params(PageParams),
    responses((status = 200, description = "A page of sessions", body = Page<Shown>)),
    extensions(("x-permission" = json!("account")))
)]
async fn sessions(
    State(app): State<Arc<App>>,
    Who(by): Who,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<(i64, String)>()?);
    let account = own::account(&app, &by)?;
    let place = |one: &Found<Session>| (one.value.renewed_at, one.name.clone());
    let own = sign_in::of_operator(&app, &account.operator.name);
    let behind = own.into_iter().filter(|one| after.as_ref().is_none_or(|after| place(one) < *after));
    let places: Vec<Found<Session>> = behind.take(limit + 1).collect();
    let cursors: Vec<_> = places.iter().map(place).collect();
    let items = places.into_iter().map(|one| Shown::of(one, &by)).collect();
    let page = Page::of(items, limit, |item: &Shown| {
        cursors.iter().find(|(_, name)| *name == item.id).cloned().expect("each item has its place")
    });
    Ok(page.answer(&uri))
}

/// Ends one of one's own sessions. Its access token is refused from now on.
#[utoipa::path(
    delete, path = "/api/v1/account/sessions/{id}", tag = "account", operation_id = "endSession",
    params(("id" = String, Path, description = "The session")),
    responses((status = 204, description = "It is over")),
    extensions(("x-permission" = json!("account")))
)]
async fn end_session(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let account = own::account(&app, &by)?;
    let name = &account.operator.name;
    let found = kept::find::<Session>(&app.engine, &id).filter(|one| one.value.operator == *name);
    let found = found.ok_or_else(|| Problem::not_found("session of yours", &id))?;
    let entries = vec![kept::gone::<Session>(&found.name)];
    let act = act("session_ended", name, json!({"session": id}), entries);
    app.settle(app.engine.act(by.operator, act)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
