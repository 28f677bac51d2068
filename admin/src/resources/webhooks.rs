//! Webhooks: set up, tried, looked at, sent again. Knows nothing of how messages are sent.

use super::catalog::segment;
use crate::access::{Permission, Principal};
use crate::app::App;
use crate::etag::{self, IfMatch, Version};
use crate::extract::{Json, Params, Path, Who};
use crate::page::{Page, PageParams};
use crate::problem::{Kind, Problem};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::EngineError;
use engine::clock::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use webhooks::{Error, Settings, Webhook as Own, Webhooks};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace, remove))
        .routes(routes!(rotate))
        .routes(routes!(test))
        .routes(routes!(deliveries))
        .routes(routes!(dead_letters))
        .routes(routes!(revive))
        .routes(routes!(replay))
        .routes(routes!(types))
}

/// A receiver of what happens. Messages follow Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Webhook {
    /// Its id; given by the server, and ignored in what is sent.
    #[serde(default)]
    #[schema(read_only, example = "wh_k3v9q2m7c5x8d4n6")]
    id: Option<String>,
    /// Where messages go: `https://`, no user or password. Private networks only where the server's settings allow them.
    #[schema(example = "https://box-office.example.org/gatehouse", min_length = 8, max_length = 2048)]
    url: String,
    /// For people.
    #[serde(default)]
    #[schema(example = "Box office", max_length = 500)]
    description: String,
    /// Which types are sent: see `/api/v1/webhook-types`.
    #[schema(schema_with = types_schema)]
    types: Vec<webhooks::Kind>,
    /// Only what concerns these events; empty: all.
    #[serde(default)]
    #[schema(example = json!([]), max_items = 40)]
    events: Vec<String>,
    /// Only what concerns these gates; empty: all.
    #[serde(default)]
    #[schema(example = json!([]), max_items = 40)]
    gates: Vec<String>,
    /// Is anything sent? One that is enabled again is told what happens from then on.
    #[serde(default = "yes")]
    #[schema(example = true)]
    enabled: bool,
    /// Send holders, orders and seats along? Takes the permission `tickets.personal` of whoever sets it.
    #[serde(default)]
    #[schema(example = false)]
    personal: bool,
    /// When it was made; ignored in what is sent.
    #[serde(default)]
    #[schema(read_only, example = "2026-11-23T18:00:00.000Z")]
    made_at: Option<String>,
    /// Why the server itself disabled it; ignored in what is sent.
    #[serde(default)]
    #[schema(read_only, example = json!(null))]
    stopped: Option<Stopped>,
}

/// The server disabled a webhook: its receiver said that it is gone, or took nothing for three days.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookStopped)]
struct Stopped {
    /// When.
    #[schema(example = "2026-11-26T18:00:00.000Z")]
    at: String,
    /// Why.
    #[schema(example = "status 410: the receiver is gone for good")]
    why: String,
}

/// A webhook that was made, and its secret.
#[derive(Debug, Serialize, ToSchema)]
struct NewWebhook {
    /// The webhook.
    webhook: Webhook,
    /// Verifies signatures. Shown now and never again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfZ1mXUUrE=")]
    secret: String,
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
struct NewSecret {
    /// Verifies signatures. Shown now and never again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfZ1mXUUrE=")]
    secret: String,
    /// Until then messages are signed with the old one too.
    #[schema(format = DateTime, example = "2026-11-24T18:00:00.000Z")]
    old_until: String,
}

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
struct Tested {
    /// Did the receiver take it (status 200 to 299)?
    #[schema(example = true)]
    delivered: bool,
    /// The answer's status; `null`: there was none.
    #[schema(example = 204)]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    #[schema(example = 87)]
    ms: u64,
    /// Why it was not taken.
    #[schema(example = json!(null))]
    error: Option<String>,
}

/// An attempt to deliver a message; where `message` is `null`, a note about the webhook itself.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    /// Rises with time.
    #[schema(example = 1_204)]
    number: i64,
    /// The message's id, sent as `webhook-id`.
    #[schema(example = "msg_88123_0")]
    message: Option<String>,
    /// The message's type.
    #[serde(rename = "type")]
    #[schema(example = "scan.admitted")]
    kind: Option<String>,
    /// Which attempt of the message it was, from 1.
    #[schema(example = 1)]
    attempt: Option<u32>,
    /// When it began.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    at: String,
    /// How long it took, in milliseconds.
    #[schema(example = 87)]
    ms: Option<u64>,
    /// The answer's status; `null`: there was none.
    #[schema(example = 204)]
    status: Option<u16>,
    /// Why it was not taken, or what the note says.
    #[schema(example = json!(null))]
    error: Option<String>,
}

/// A message that was not taken and is not tried again by itself.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetter {
    /// Its id, sent as `webhook-id`.
    #[schema(example = "msg_88123_0")]
    message: String,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "scan.admitted")]
    kind: String,
    /// How often it was tried.
    #[schema(example = 8)]
    attempts: u32,
    /// When it was given up.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    died_at: String,
    /// Why the last attempt failed.
    #[schema(example = "status 500")]
    error: Option<String>,
    #[serde(skip)]
    place: (u64, u32),
}

/// From when on messages are sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// The moment.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T18:00:00Z")]
    since: jiff::Timestamp,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    /// Records that are looked at again; what the webhook wants of them is sent, with the ids it had.
    #[schema(example = 5_120)]
    records: u64,
    /// When the first of them was made; `null`: there is none.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.014Z")]
    from: Option<String>,
    /// Does the journal still have everything since the moment?
    #[schema(example = true)]
    complete: bool,
}

/// A type of event.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookType {
    /// As messages write it.
    #[serde(rename = "type")]
    #[schema(example = "scan.denied")]
    kind: &'static str,
    /// When it is sent, and what its `data` has.
    #[schema(example = "A guest may not pass: as `scan.admitted`, with `reason`.")]
    meaning: &'static str,
}

const fn yes() -> bool {
    true
}

fn types_schema() -> utoipa::openapi::schema::Array {
    let words = webhooks::Kind::ALL.iter().map(|kind| kind.word());
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)))
        .min_items(Some(1))
        .max_items(Some(webhooks::Kind::ALL.len()))
        .description(Some("Which types are sent: see `/api/v1/webhook-types`."))
        .examples([serde_json::json!(["scan.admitted", "scan.denied"])])
        .build()
}

// === conversions ===

impl Webhook {
    fn of(id: &str, own: &Own) -> Webhook {
        let (set, stopped) = (own.settings.clone(), own.stopped.as_ref());
        Webhook {
            id: Some(id.to_owned()),
            url: set.url,
            description: set.description,
            types: set.types,
            events: set.events,
            gates: set.gates,
            enabled: set.enabled,
            personal: set.personal,
            made_at: Some(moment(own.made_ms)),
            stopped: stopped.map(|stopped| Stopped { at: moment(stopped.at_ms), why: stopped.why.clone() }),
        }
    }

    /// What is set, if whoever sets it may see what is sent.
    fn settings(self, by: &Principal) -> Result<Settings, Problem> {
        if self.personal && !by.may(Permission::TicketsPersonal) {
            let word = Permission::TicketsPersonal.word();
            return Err(Problem::new(
                Kind::NotAllowed,
                format!("personal: this takes the permission {word}"),
            ));
        }
        Ok(Settings {
            url: self.url,
            description: self.description,
            types: self.types,
            events: self.events,
            gates: self.gates,
            enabled: self.enabled,
            personal: self.personal,
        })
    }
}

fn moment(ms: i64) -> String {
    webhooks::moment(Time(ms))
}

fn problem(id: &str, error: Error) -> Problem {
    match error {
        Error::NotFound => Problem::not_found("webhook", id),
        Error::NoDeadLetter => Problem::new(Kind::NotFound, error.to_string()),
        Error::Invalid { field, problem } => Problem::invalid(field, problem),
        Error::TooMany | Error::BeingTested | Error::NotEnabled => {
            Problem::new(Kind::Conflict, error.to_string())
        }
        Error::Engine(EngineError::Changed) => Problem::new(Kind::Changed, error.to_string()),
        Error::Engine(error) => error.into(),
        error => {
            tracing::error!(webhook = id, %error, "webhooks cannot do what is asked");
            Problem::new(Kind::Unavailable, "the webhooks cannot do this now; the log says why")
        }
    }
}

/// Does something with the webhooks, on a thread that may wait.
async fn at_desk<T: Send + 'static>(
    app: &App,
    id: &str,
    work: impl FnOnce(&Webhooks, &str) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let (webhooks, own) = (Arc::clone(&app.webhooks), id.to_owned());
    let done = tokio::task::spawn_blocking(move || work(&webhooks, &own)).await;
    let done = done.map_err(|error| {
        tracing::error!(%error, "work on a webhook panicked");
        Problem::new(Kind::Internal, "it could not be done")
    })?;
    done.map_err(|error| problem(id, error))
}

// === operations ===

/// Lists webhooks by id.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks", operation_id = "listWebhooks", params(PageParams),
    responses((status = 200, description = "A page of webhooks", body = Page<Webhook>)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let all = app.webhooks.all();
    let behind = all.iter().filter(|(id, _)| after.as_ref().is_none_or(|after| id > after));
    let items = behind.take(limit + 1).map(|(id, own)| Webhook::of(id, own)).collect();
    Ok(Page::of(items, limit, |item: &Webhook| item.id.clone()).answer(&uri))
}

/// Makes a webhook. It is told what happens from now on; at most 32 there are.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks", operation_id = "createWebhook", request_body = Webhook,
    responses((status = 201, description = "The webhook and its secret", body = NewWebhook,
        headers(("Location", description = "Where it is")))),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<Webhook>,
) -> Result<Response, Problem> {
    let (settings, operator) = (new.settings(&by)?, by.operator);
    let made = at_desk(&app, "", move |webhooks, _| webhooks.create(operator, settings)).await?;
    let (lsn, id, own, secret) = made;
    app.settle(lsn).await?;
    let at = format!("/api/v1/webhooks/{}", segment(&id));
    let body = NewWebhook { webhook: Webhook::of(&id, &own), secret };
    Ok((StatusCode::CREATED, [(header::LOCATION, at)], axum::Json(body)).into_response())
}

/// Shows a webhook, without its secret.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "webhooks", operation_id = "getWebhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook", body = Webhook,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let own = app.webhooks.get(&id).map_err(|error| problem(&id, error))?;
    Ok(etag::shown(&headers, &Webhook::of(&id, &own)))
}

/// Replaces what a webhook is set to. What waits goes to the new address.
#[utoipa::path(
    put, path = "/api/v1/webhooks/{id}", tag = "webhooks", operation_id = "replaceWebhook", request_body = Webhook,
    params(("id" = String, Path, description = "The webhook's id"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The webhook as it is now", body = Webhook,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(new): Json<Webhook>,
) -> Result<Response, Problem> {
    let seen = app.webhooks.get(&id).map_err(|error| problem(&id, error))?;
    if_match.check(&Version::of(&Webhook::of(&id, &seen)))?;
    let (settings, operator) = (new.settings(&by)?, by.operator);
    let replaced = move |webhooks: &Webhooks, id: &str| webhooks.replace(operator, id, &seen, settings);
    let (lsn, own) = at_desk(&app, &id, replaced).await?;
    app.settle(lsn).await?;
    Ok(etag::changed(StatusCode::OK, &Webhook::of(&id, &own)))
}

/// Removes a webhook with all that waits for it.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhooks", operation_id = "removeWebhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 204, description = "It is gone")),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn remove(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let lsn = at_desk(&app, &id, move |webhooks, id| webhooks.remove(by.operator, id)).await?;
    app.settle(lsn).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret. For a day messages are signed with the old one too.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate-secret", tag = "webhooks", operation_id = "rotateWebhookSecret",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The new secret", body = NewSecret)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn rotate(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
) -> Result<axum::Json<NewSecret>, Problem> {
    let rotated = at_desk(&app, &id, move |webhooks, id| webhooks.rotate(by.operator, id)).await?;
    let (lsn, secret, old_until) = rotated;
    app.settle(lsn).await?;
    Ok(axum::Json(NewSecret { secret, old_until: moment(old_until.0) }))
}

/// Sends a `test.ping` now, also to a webhook that is not enabled, and waits up to 15 seconds for the answer.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks", operation_id = "testWebhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "How it went", body = Tested)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn test(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<Tested>, Problem> {
    let went = at_desk(&app, &id, Webhooks::try_out).await?;
    let delivered = went.error.is_none();
    Ok(axum::Json(Tested { delivered, status: went.status, ms: went.ms, error: went.error }))
}

/// Lists attempts to deliver, the newest first. The last thousand of a webhook are kept.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "listWebhookDeliveries",
    params(("id" = String, Path, description = "The webhook's id"), PageParams),
    responses((status = 200, description = "A page of attempts", body = Page<Delivery>)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn deliveries(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Path(id): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, before) = (page.limit()?, page.after::<i64>()?);
    let found = at_desk(&app, &id, move |webhooks, id| webhooks.deliveries(id, before, limit + 1)).await?;
    let items = found.into_iter().map(|attempt| Delivery {
        number: attempt.number,
        message: attempt.message,
        kind: attempt.kind,
        attempt: attempt.attempt,
        at: moment(attempt.at_ms),
        ms: attempt.ms,
        status: attempt.status,
        error: attempt.error,
    });
    Ok(Page::of(items.collect(), limit, |item: &Delivery| item.number).answer(&uri))
}

/// Lists messages that were not taken, in the order of what they tell. The last ten thousand of a webhook are kept.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/dead-letters", tag = "webhooks", operation_id = "listWebhookDeadLetters",
    params(("id" = String, Path, description = "The webhook's id"), PageParams),
    responses((status = 200, description = "A page of dead letters", body = Page<DeadLetter>)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn dead_letters(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Path(id): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<(i64, u32)>()?);
    // A place that was not given by this list is before or behind everything.
    let after = after.map(|(lsn, n)| (u64::try_from(lsn).unwrap_or_default(), n));
    let found = at_desk(&app, &id, move |webhooks, id| webhooks.dead_letters(id, after, limit + 1)).await?;
    let items = found.into_iter().map(|letter| DeadLetter {
        message: letter.id,
        kind: letter.kind,
        attempts: letter.attempts,
        died_at: moment(letter.dead_ms),
        error: letter.error,
        place: letter.place,
    });
    Ok(Page::of(items.collect(), limit, |item: &DeadLetter| item.place).answer(&uri))
}

/// Sends a dead letter again, under its id, with all retries.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/dead-letters/{message}/replay", tag = "webhooks",
    operation_id = "replayWebhookDeadLetter",
    params(("id" = String, Path, description = "The webhook's id"),
        ("message" = String, Path, description = "The message's id")),
    responses((status = 204, description = "It is sent again")),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn revive(
    State(app): State<Arc<App>>,
    Path((id, message)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    at_desk(&app, &id, move |webhooks, id| webhooks.revive(id, &message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends again what happened since a moment, under the ids it had. What is new comes behind it.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/replay", tag = "webhooks", operation_id = "replayWebhook",
    params(("id" = String, Path, description = "The webhook's id")), request_body = Replay,
    responses((status = 200, description = "What is sent again", body = Replayed)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn replay(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(asked): Json<Replay>,
) -> Result<axum::Json<Replayed>, Problem> {
    let since = Time(asked.since.as_millisecond());
    let replayed = at_desk(&app, &id, move |webhooks, id| webhooks.replay(id, since)).await?;
    let from = replayed.from.map(|from| moment(from.0));
    Ok(axum::Json(Replayed { records: replayed.records, from, complete: replayed.complete }))
}

/// Lists the types of events that webhooks may be sent.
#[utoipa::path(
    get, path = "/api/v1/webhook-types", tag = "webhooks", operation_id = "listWebhookTypes",
    responses((status = 200, description = "All types", body = Vec<WebhookType>)),
    extensions(("x-permission" = json!("webhooks.write")))
)]
async fn types() -> axum::Json<Vec<WebhookType>> {
    let all = webhooks::Kind::ALL.iter();
    axum::Json(all.map(|kind| WebhookType { kind: kind.word(), meaning: kind.meaning() }).collect())
}
