//! Long operations: how far they are, what of them failed, ending them; and bulk changes of tickets, which are such.

use crate::access::Permission;
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::operations::bulk::{BulkAction, BulkFilter, BulkSpec, CODES_MAX};
use crate::operations::{self, Operation, OperationKind, Place, RowError, Saved, Spec};
use crate::page::{Page, PageParams, cursor};
use crate::problem::{Kind, Problem};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::limits::{CODE_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use engine::registry::Act;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest reason of a change, in bytes.
const REASON_BYTES_MAX: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(errors))
        .routes(routes!(cancel))
        .routes(routes!(bulk))
}

/// Answers that an operation was taken on, and where it is.
pub(super) fn accepted(operation: &Operation) -> Response {
    let at = format!("/api/v1/operations/{}", operation.id);
    let at = HeaderValue::from_str(&at).expect("ids are letters and digits");
    (StatusCode::ACCEPTED, [(header::LOCATION, at)], axum::Json(operation)).into_response()
}

/// Lists operations, newest first. They are kept for seven days.
#[utoipa::path(
    get, path = "/api/v1/operations", tag = "operations", operation_id = "listOperations", params(PageParams),
    responses((status = 200, description = "A page of operations", body = Page<Operation>)),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, before) = (page.limit()?, page.after::<String>()?);
    let items = app.operations.list(before.as_deref(), limit + 1);
    Ok(Page::of(items, limit, |own: &Operation| own.id.clone()).answer(&uri))
}

/// Shows how far an operation is.
#[utoipa::path(
    get, path = "/api/v1/operations/{id}", tag = "operations", operation_id = "getOperation",
    params(("id" = String, Path, description = "The operation's id")),
    responses((status = 200, description = "The operation", body = Operation)),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<Operation>, Problem> {
    Ok(axum::Json(app.operations.get(&id)?.shown()))
}

/// Rows that were not taken.
#[derive(Debug, Serialize, ToSchema)]
struct RowErrors {
    /// They, in the order of the list.
    items: Vec<RowError>,
    /// Cursor to the next page: send it as `after`. `null`: this is the last one.
    next: Option<String>,
    /// How many rows failed in all.
    #[schema(example = 12_000)]
    total: u64,
    /// How many of these are only counted: the first 10,000 are kept.
    #[schema(example = 2_000)]
    more: u64,
}

/// Lists the rows that were not taken, and why.
#[utoipa::path(
    get, path = "/api/v1/operations/{id}/errors", tag = "operations", operation_id = "listOperationErrors",
    params(("id" = String, Path, description = "The operation's id"), PageParams),
    responses((status = 200, description = "A page of rows", body = RowErrors)),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn errors(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<axum::Json<RowErrors>, Problem> {
    let (limit, skip) = (page.limit()?, page.after::<u32>()?.unwrap_or(0) as usize);
    let total = app.operations.get(&id)?.shown().counts.failed;
    let own = Arc::clone(&app);
    let read = tokio::task::spawn_blocking(move || own.operations.files.errors(&id, skip, limit + 1)).await;
    let read = read.map_err(|_| Problem::new(Kind::Internal, "the errors could not be read"))?;
    let mut items = read.map_err(|error| operations::no_file(&error))?;
    let next = (items.len() > limit).then(|| cursor(&(skip + limit)));
    items.truncate(limit);
    let more = total.saturating_sub(operations::ERRORS_KEPT_MAX);
    Ok(axum::Json(RowErrors { items, next, total, more }))
}

/// Ends an operation after the rows under way; what was done stays. One that has ended stays as it is. Takes the permission
/// that beginning it took.
#[utoipa::path(
    post, path = "/api/v1/operations/{id}/cancel", tag = "operations", operation_id = "cancelOperation",
    params(("id" = String, Path, description = "The operation's id")),
    responses((status = 202, description = "It ends", body = Operation,
        headers(("Location", description = "Where it is")))),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let entry = app.operations.get(&id)?;
    let needed = match entry.shown().kind {
        OperationKind::Import => Permission::TicketsImport,
        OperationKind::Bulk => Permission::TicketsWrite,
        OperationKind::Shred => Permission::PrivacyWrite,
    };
    if !by.may(needed) {
        return Err(Problem::new(
            Kind::NotAllowed,
            format!("ending it takes the permission {}", needed.word()),
        ));
    }
    let (own, cancelled) = (Arc::clone(&app), Arc::clone(&entry));
    let done = tokio::task::spawn_blocking(move || own.operations.cancel(&cancelled, own.engine.now())).await;
    done.map_err(|_| Problem::new(Kind::Internal, "the operation could not be ended"))?;
    let act = Act {
        action: "operation_cancel".to_owned(),
        subject: id,
        details: "{}".to_owned(),
        entries: Vec::new(),
    };
    let lsn = app.engine.act(by.operator, act)?;
    app.settle(lsn).await?;
    Ok(accepted(&entry.shown()))
}

/// A bulk change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBulk {
    /// What is done.
    action: BulkAction,
    /// Which tickets of the event. An empty filter is all of them.
    filter: BulkFilter,
    /// Why, for the audit.
    #[schema(example = "the seller was hacked", min_length = 1, max_length = 500)]
    reason: String,
    /// Only tell what would be changed.
    #[serde(default)]
    dry_run: bool,
}

/// Changes many tickets of an event: as an operation, which goes on behind.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/tickets/bulk", tag = "operations", operation_id = "changeTickets",
    request_body = NewBulk, params(("event" = String, Path, description = "The event's name")),
    responses((status = 202, description = "It was taken on", body = Operation,
        headers(("Location", description = "Where to see how far it is")))),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn bulk(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(event): Path<String>,
    Json(new): Json<NewBulk>,
) -> Result<Response, Problem> {
    new.check(&app, &event)?;
    let now = app.engine.now();
    let details = json!({"action": new.action, "reason": new.reason, "dry_run": new.dry_run}).to_string();
    let NewBulk { action, filter, reason, dry_run } = new;
    let spec = Spec::Bulk(BulkSpec { action, filter, reason, dry_run });
    let saved = Saved::new(operations::new_id(now)?, &event, &by, spec, now);
    let place = app.operations.place()?;
    let act = Act { action: "bulk".to_owned(), subject: event, details, entries: Vec::new() };
    let lsn = app.engine.act(by.operator, act)?;
    app.settle(lsn).await?;
    submit(&app, place, saved).await
}

/// Hands an operation over, and answers.
pub(super) async fn submit(app: &Arc<App>, place: Place, saved: Saved) -> Result<Response, Problem> {
    let own = Arc::clone(app);
    let submitted =
        tokio::task::spawn_blocking(move || own.operations.submit(place, saved, own.engine.now())).await;
    let entry = submitted.map_err(|_| Problem::new(Kind::Internal, "the operation could not be begun"))??;
    Ok(accepted(&entry.shown()))
}

impl NewBulk {
    fn check(&self, app: &App, event: &str) -> Result<(), Problem> {
        let catalog = app.engine.catalog();
        let id = catalog.event_named(event).ok_or_else(|| Problem::not_found("event", event))?;
        let sized = |field: &str, text: &str, most: usize| match text.len() {
            len if (1..=most).contains(&len) => Ok(()),
            _ => Err(Problem::invalid(field, format!("a text of 1 to {most} bytes is meant"))),
        };
        sized("reason", &self.reason, REASON_BYTES_MAX)?;
        if let Some(order) = &self.filter.order {
            sized("filter.order", order, TEXT_BYTES_MAX)?;
        }
        if let Some(kind) = &self.filter.kind {
            sized("filter.type", kind, NAME_BYTES_MAX)?;
            if catalog.type_named(id, kind).is_none() {
                let words =
                    format!("there is no such ticket type; this event has {}", catalog.type_names(id));
                return Err(Problem::invalid("filter.type", words));
            }
        }
        let codes = self.filter.codes.as_deref().unwrap_or_default();
        if codes.len() > CODES_MAX {
            return Err(Problem::invalid(
                "filter.codes",
                format!("{CODES_MAX} codes are the most; import a list instead"),
            ));
        }
        codes
            .iter()
            .enumerate()
            .try_for_each(|(n, code)| sized(&format!("filter.codes[{n}]"), code, CODE_BYTES_MAX))
    }
}
