//! The live feed's routes: server-sent events, WebSocket, and the one-time tickets that browsers need for both.

use crate::app::App;
use crate::extract::{Params, Who};
use crate::layers::{Cut, Token};
use crate::live::{self, Filter, Listener, LiveMessage, Start};
use crate::problem::Problem;
use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::Lsn;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A client of the WebSocket says nothing but its farewell.
const CLIENT_SAYS_BYTES_MAX: usize = 4 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(stream)).routes(routes!(websocket)).routes(routes!(give_ticket))
}

/// What to hear, and from where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LiveParams {
    /// Topics with commas between: `scans`, `counts`, `rates`, `alarms`, `devices`, `peripherals`, `health`. Left out: all that
    /// you may hear.
    #[param(example = "scans,alarms")]
    topics: Option<String>,
    /// Names of events with commas between. Left out: all.
    events: Option<String>,
    /// Names of gates with commas between. Left out: all.
    gates: Option<String>,
    /// The cursor of the last message you have; what came since is told first. Left out: from now on. The header
    /// `Last-Event-ID` says the same.
    #[param(example = "4711")]
    after: Option<String>,
    /// A one-time ticket in place of a token, for clients that can send no header.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// A one-time ticket.
#[derive(Debug, Serialize, ToSchema)]
struct LiveTicket {
    /// Send it as `ticket` in the query of `/api/v1/live` or `/api/v1/live/ws`.
    #[schema(example = "q7Zr0cJ2c5S9b1oT")]
    ticket: String,
    /// It is good for so many seconds, and once.
    #[schema(example = 30)]
    expires_in_s: u64,
}

/// One event of the stream, by its fields.
#[derive(ToSchema)]
#[allow(dead_code, reason = "shown in the document; the stream is written as text")]
struct LiveEvent {
    /// Its cursor, where it is a record of the journal.
    #[schema(example = "4711")]
    id: Option<String>,
    /// The message's type.
    #[schema(example = "scan")]
    event: String,
    /// The message as JSON: a `LiveMessage`.
    data: String,
}

/// Listens to what happens (server-sent events).
///
/// First comes how things stand (counts, alarms, silent devices, health), then what happens. The `id` of an event is its
/// cursor: with `Last-Event-ID`, or `after`, a client that lost its connection gets what it missed, as long as the journal
/// has it; else the message `gap` says what is missing. A client that is too slow is told so and let go. Every 15 s there is
/// something to read. The stream ends when the token is no longer good. Each `data` is one message as shown here.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "live", operation_id = "listen",
    params(LiveParams, ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last message you have")),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = LiveEvent)),
    extensions(("x-permission" = json!("scans.read")))
)]
async fn stream(
    State(app): State<Arc<App>>,
    Who(who): Who,
    Extension(token): Extension<Token>,
    Extension(cut): Extension<Cut>,
    Params(params): Params<LiveParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = params.filter(&app, &who)?;
    let start = params.start(&headers)?;
    Ok(live::answer_sse(Listener::open(app, token.0, filter, start, cut.0).await?))
}

/// Listens to what happens (WebSocket).
///
/// The same messages as `/api/v1/live`, each as one text. Close codes: 1001 this node stops, 1008 the token is no longer good,
/// 1011 the journal cannot be read, 1013 you were too slow: come back with your cursor.
#[utoipa::path(
    get, path = "/api/v1/live/ws", tag = "live", operation_id = "listenByWebSocket", params(LiveParams),
    responses((status = 101, description = "The connection is a WebSocket from now on; each text is a message", body = LiveMessage)),
    extensions(("x-permission" = json!("scans.read")))
)]
async fn websocket(
    State(app): State<Arc<App>>,
    Who(who): Who,
    Extension(token): Extension<Token>,
    Extension(cut): Extension<Cut>,
    Params(params): Params<LiveParams>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::malformed("Upgrade", error.body_text()))?;
    let filter = params.filter(&app, &who)?;
    let start = params.start(&headers)?;
    let listener = Listener::open(app, token.0, filter, start, cut.0).await?;
    let upgrade = upgrade.max_message_size(CLIENT_SAYS_BYTES_MAX).max_frame_size(CLIENT_SAYS_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| live::converse(socket, listener)))
}

/// Gives a one-time ticket for the live feed.
///
/// For browsers, whose `EventSource` and `WebSocket` send no headers. It stands for the token it was asked with.
#[utoipa::path(
    post, path = "/api/v1/live/tickets", tag = "live", operation_id = "createLiveTicket",
    responses((status = 201, description = "The ticket", body = LiveTicket)),
    extensions(("x-permission" = json!("scans.read")))
)]
async fn give_ticket(
    State(app): State<Arc<App>>,
    Extension(token): Extension<Token>,
) -> Result<Response, Problem> {
    let ticket = app.live.tickets.give(token.0, Instant::now())?;
    let given = LiveTicket { ticket, expires_in_s: live::TICKET_LIVES.as_secs() };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(given)).into_response())
}

// === impl LiveParams ===

impl LiveParams {
    fn filter(&self, app: &App, who: &crate::access::Principal) -> Result<Filter, Problem> {
        let catalog = app.engine.catalog();
        Filter::of(&catalog, who, self.topics.as_deref(), self.events.as_deref(), self.gates.as_deref())
    }

    fn start(&self, headers: &HeaderMap) -> Result<Start, Problem> {
        let header = headers.get("Last-Event-ID").map(|value| value.to_str().unwrap_or("?"));
        let field = if header.is_some() { "Last-Event-ID" } else { "after" };
        let Some(cursor) = header.or(self.after.as_deref()) else { return Ok(Start::Now) };
        let lsn = cursor
            .parse()
            .map_err(|_| Problem::malformed(field, "send a cursor as it was received, or none"))?;
        Ok(Start::After(Lsn(lsn)))
    }
}
