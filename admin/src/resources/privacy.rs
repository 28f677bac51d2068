//! Forgetting who held an event's tickets, and the proofs of it.

use super::operations::submit;
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::operations::{self, Operation, Saved, Spec};
use crate::page::{Page, PageParams};
use crate::privacy::{self, PROOFS, Proof, ShredSpec};
use crate::problem::{Kind, Problem};
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::EngineError;
use engine::registry::Act;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(shred)).routes(routes!(list)).routes(routes!(get))
}

/// What is meant to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShred {
    /// The event's name again: this cannot be undone.
    #[schema(example = "demo-match", min_length = 1, max_length = 128)]
    confirm: String,
    /// Why, for the audit.
    #[schema(example = "90 days are over", min_length = 1, max_length = 500)]
    reason: String,
}

/// Forgets for good who held an event's tickets: holder, order and seat of each, in memory, journal, checkpoints, store,
/// audit, printers' jobs and webhooks' messages. Codes, references and everything that was decided stay. Only once the
/// event has ended. What went is told by the proof, which has the operation's id.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/shred", tag = "privacy", operation_id = "shredEvent",
    request_body = NewShred, params(("event" = String, Path, description = "The event's name")),
    responses((status = 202, description = "It is being done", body = Operation,
        headers(("Location", description = "Where to see how far it is")))),
    extensions(("x-permission" = json!("privacy.write")))
)]
async fn shred(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(event): Path<String>,
    Json(new): Json<NewShred>,
) -> Result<Response, Problem> {
    let (now, catalog) = (app.engine.now(), app.engine.catalog());
    let id = catalog.event_named(&event).ok_or_else(|| Problem::not_found("event", &event))?;
    if new.confirm != event {
        return Err(Problem::invalid("confirm", "the name of the event is meant, once more"));
    }
    if !(1..=REASON_BYTES_MAX).contains(&new.reason.len()) {
        return Err(Problem::invalid("reason", format!("a text of 1 to {REASON_BYTES_MAX} bytes is meant")));
    }
    if catalog.event(id).is_none_or(|event| event.ends_at >= now) {
        return Err(Problem::new(Kind::Conflict, EngineError::EventGoesOn.to_string()));
    }
    let place = app.operations.place()?;
    let act = Act {
        action: "shred_asked".to_owned(),
        subject: event.clone(),
        details: json!({"why": new.reason}).to_string(),
        entries: Vec::new(),
    };
    let lsn = app.engine.act(by.operator, act)?;
    app.settle(lsn).await?;
    let spec = Spec::Shred(ShredSpec { reason: new.reason });
    submit(&app, place, Saved::new(operations::new_id(now)?, &event, &by, spec, now)).await
}

/// Lists the proofs of what was forgotten, oldest first.
#[utoipa::path(
    get, path = "/api/v1/privacy/proofs", tag = "privacy", operation_id = "listShredProofs", params(PageParams),
    responses((status = 200, description = "A page of proofs", body = Page<Proof>)),
    extensions(("x-permission" = json!("privacy.write")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let later =
        privacy::proofs(&app).into_iter().filter(|own| after.as_ref().is_none_or(|after| own.id > *after));
    let items = later.take(limit + 1).collect();
    Ok(Page::of(items, limit, |own: &Proof| own.id.clone()).answer(&uri))
}

/// Shows what an operation forgot, and how it was looked for afterwards.
#[utoipa::path(
    get, path = "/api/v1/privacy/proofs/{id}", tag = "privacy", operation_id = "getShredProof",
    params(("id" = String, Path, description = "The operation's id")),
    responses((status = 200, description = "The proof", body = Proof)),
    extensions(("x-permission" = json!("privacy.write")))
)]
async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<Proof>, Problem> {
    let found = app.engine.registry_entry(PROOFS, &id);
    let proof = found.and_then(|text| serde_json::from_str(&text).ok());
    proof.map(axum::Json).ok_or_else(|| Problem::not_found("proof", &id))
}
