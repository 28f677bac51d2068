//! The access log: what was decided at the gates, filtered and page by page, and the annulment of what was decided wrongly.
//! Names instead of numbers, reasons in words. Read from the store; it is behind the gates by moments.

mod shape;

pub(super) use shape::{Scan, Way, Why};

use super::names;
use super::texts::{self, Code, Medium};
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::catalog::{Catalog, EventId, TypeId};
use engine::decision::Reason;
use engine::journal::Lsn;
use engine::ticket::TicketId;
use serde::{Deserialize, Serialize};
use shape::{Became, How};
use std::sync::Arc;
use store::{Order, ScanFilter, ScanRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(annul))
}

/// Which scans, and which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ScanParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// Of this event.
    event: Option<String>,
    /// At this gate.
    gate: Option<String>,
    /// By this device.
    device: Option<String>,
    /// Of this ticket type; takes `event`, for a type is its event's.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// Refused for this reason, such as `already_used`.
    reason: Option<String>,
    /// Only admissions, or only refusals.
    admitted: Option<bool>,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<How>,
    /// Of the ticket of this number.
    #[param(maximum = 4294967295_u32)]
    ticket: Option<u32>,
    /// Of this code.
    #[param(min_length = 1, max_length = 255)]
    code: Option<String>,
    /// Of the card of this number, in hexadecimal.
    #[param(min_length = 2, max_length = 20, pattern = "^([0-9A-Fa-f]{2}){1,10}$")]
    card: Option<String>,
    /// Decided at this moment or later.
    since: Option<Moment>,
    /// Decided before this moment.
    until: Option<Moment>,
    /// The order by time.
    #[param(inline)]
    order: Option<Sort>,
}

/// The order of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// What happened last comes first.
    #[default]
    NewestFirst,
    /// What happened first comes first.
    OldestFirst,
}

/// Why a scan is annulled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Annul {
    /// Why, in words, for the audit.
    #[schema(example = "turned back at the barrier", min_length = 1, max_length = 300)]
    reason: String,
}

/// An admission that was taken back.
#[derive(Debug, Serialize, ToSchema)]
struct Annulled {
    /// The scan's number.
    #[schema(example = 120_345)]
    scan: u64,
    /// What became of it.
    passage: Became,
    /// People that are given their entry back.
    #[schema(example = 1)]
    people: u16,
    /// The ticket's number; `null` for a guest without one.
    ticket: Option<u32>,
    /// Where.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
}

// === impl ScanParams ===

impl ScanParams {
    fn filter(&self, catalog: &Catalog) -> Result<ScanFilter, Problem> {
        let unknown = |field: &str, what: &str| Problem::invalid(field, format!("there is no such {what}"));
        let event =
            named(&self.event, |name| catalog.event_named(name)).map_err(|()| unknown("event", "event"))?;
        Ok(ScanFilter {
            event,
            device: named(&self.device, |name| catalog.device_named(name))
                .map_err(|()| unknown("device", "device"))?,
            gate: named(&self.gate, |name| catalog.gate_named(name)).map_err(|()| unknown("gate", "gate"))?,
            reason: named(&self.reason, Reason::of_code).map_err(|()| unknown("reason", "reason"))?,
            ticket: self.ticket.map(TicketId),
            code: self.code()?,
            since: self.since.map(|at| at.0),
            until: self.until.map(|at| at.0),
            order: match self.order.unwrap_or_default() {
                Sort::NewestFirst => Order::NewestFirst,
                Sort::OldestFirst => Order::OldestFirst,
            },
            type_id: type_of(catalog, event, self.type_name.as_deref())?,
            kind: self.kind.map(How::own),
            admitted: self.admitted,
        })
    }

    fn code(&self) -> Result<Option<Vec<u8>>, Problem> {
        let (field, kind, code) = match (&self.code, &self.card) {
            (None, None) => return Ok(None),
            (Some(code), None) => ("code", Medium::Optical, code),
            (None, Some(card)) => ("card", Medium::Card, card),
            (Some(_), Some(_)) => return Err(Problem::invalid("card", "either a code or a card is meant")),
        };
        let code = Code { kind, code: code.clone() };
        code.bytes(field).map(|(_, bytes)| Some(bytes))
    }
}

/// The id of a name, where there is a name.
fn named<T>(name: &Option<String>, find: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    name.as_deref().map(|name| find(name).ok_or(())).transpose()
}

/// The type of a name within an event.
///
/// # Errors
/// The event is not named, or has no such type.
pub(super) fn type_of(
    catalog: &Catalog,
    event: Option<EventId>,
    name: Option<&str>,
) -> Result<Option<TypeId>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let event = event.ok_or_else(|| Problem::invalid("type", "name its event too: types are an event's"))?;
    let wrong = || Problem::invalid("type", format!("this event has {}", catalog.type_names(event)));
    catalog.type_named(event, name).map(Some).ok_or_else(wrong)
}

/// Lists scans: the access log.
#[utoipa::path(
    get, path = "/api/v1/scans", tag = "scans", operation_id = "listScans", params(ScanParams),
    responses((status = 200, description = "A page of the access log", body = Page<Scan>),
        (status = 422, description = "A filter names nothing, or two contradict each other",
            body = crate::problem::ProblemBody, content_type = "application/problem+json")),
    extensions(("x-permission" = json!("scans.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    Who(by): Who,
    uri: OriginalUri,
    Params(params): Params<ScanParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page::limit(params.limit)?, page::place::<u64>(params.after.as_deref())?);
    let catalog = app.engine.catalog();
    let filter = params.filter(&catalog)?;
    let rows = app.ask(move |store| store.scans(&filter, after.map(Lsn), limit + 1)).await?;
    let scans = rows.iter().map(|row| Scan::of(&catalog, row, &by)).collect();
    Ok(Page::of(scans, limit, |scan: &Scan| scan.lsn).answer(&uri))
}

/// Shows a scan.
#[utoipa::path(
    get, path = "/api/v1/scans/{lsn}", tag = "scans", operation_id = "getScan",
    params(("lsn" = u64, Path, description = "The scan's number")),
    responses((status = 200, description = "The scan", body = Scan)),
    extensions(("x-permission" = json!("scans.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(lsn): Path<u64>,
) -> Result<axum::Json<Scan>, Problem> {
    let row = at(&app, Lsn(lsn)).await?.ok_or_else(|| Problem::not_found("scan", &lsn.to_string()))?;
    Ok(axum::Json(Scan::of(&app.engine.catalog(), &row, &by)))
}

/// The scan at this place of the journal.
async fn at(app: &Arc<App>, lsn: Lsn) -> Result<Option<ScanRow>, Problem> {
    // Databases count to the half of 64 bits.
    let Some(after) = i64::try_from(lsn.0).ok().and_then(|lsn| lsn.checked_add(1)) else { return Ok(None) };
    let rows = app.ask(move |store| store.scans(&ScanFilter::default(), Some(Lsn(after as u64)), 1)).await?;
    Ok(rows.into_iter().next().filter(|row| row.lsn == lsn))
}

/// Annuls an admission: the guest did not pass, the entry and the presence are given back.
///
/// Within 15 minutes, and not where the device said that the guest passed. The scan stays in the history. Doing it twice changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/scans/{lsn}/annul", tag = "scans", operation_id = "annulScan", request_body = Annul,
    params(("lsn" = u64, Path, description = "The scan's number")),
    responses((status = 200, description = "The admission, taken back", body = Annulled)),
    extensions(("x-permission" = json!("scans.override")))
)]
async fn annul(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(lsn): Path<u64>,
    Json(annul): Json<Annul>,
) -> Result<axum::Json<Annulled>, Problem> {
    texts::check_reason(&annul.reason)?;
    let (done, answer) = app.engine.annul_by(by.operator, Lsn(lsn), &annul.reason)?;
    app.settle(done).await?;
    Ok(axum::Json(Annulled {
        scan: lsn,
        passage: Became::Annulled,
        people: answer.people,
        ticket: answer.ticket.map(|facts| facts.ticket.0),
        gate: names::gate(&app.engine.catalog(), answer.gate),
    }))
}
