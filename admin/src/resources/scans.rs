//! The access log: what was decided at the gates, filtered and page by page, and the annulment of what was decided wrongly.
//! Names instead of numbers, reasons in words. Read from the store; it is behind the gates by moments.

use super::texts::{self, Code, Medium};
use crate::access::{Permission, Principal};
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::catalog::{Catalog, Direction, EventId, GateId, OperatorId, TypeId};
use engine::decision::{Reason, ScanKind, Verdict};
use engine::journal::Lsn;
use engine::record::PassageOutcome;
use engine::ticket::TicketId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Order, ScanFilter, ScanRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(annul))
}

/// The way of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Direction)]
pub(super) enum Way {
    /// Into the gate's inner zone.
    Entry,
    /// Out of it.
    Exit,
}

/// How a scan came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScanKind)]
enum How {
    /// A guest at a gate.
    Validate,
    /// An installer's scan, which never counts.
    Test,
    /// Made while the device was cut off.
    Offline,
}

/// What became of an admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScanPassage)]
enum Became {
    /// Nothing more is known.
    Open,
    /// The guest passed.
    Passed,
    /// The guest did not pass; the entry was given back.
    Annulled,
}

/// A rule that refused, as a word for programs and in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(super) struct Why {
    /// For programs.
    #[schema(example = "already_used")]
    pub code: &'static str,
    /// For people.
    #[schema(example = "its one entry is used")]
    pub words: &'static str,
}

/// One decision at a gate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scan {
    /// Its number: where it stands in the journal.
    #[schema(example = 120_345)]
    pub lsn: u64,
    /// The id under which its device finds it again.
    #[schema(example = "gh-120345")]
    scan_id: String,
    /// When it was decided; for an offline scan, when it was made.
    pub at: Moment,
    /// When it reached the server.
    recorded_at: Moment,
    /// How it came to be.
    kind: How,
    /// May the guest pass?
    admitted: bool,
    /// Why not; `null` for an admission.
    reason: Option<Why>,
    /// What staff was to look at: a rule that was bent.
    attention: Option<Why>,
    /// The refusal that somebody overrode.
    overrode: Option<Why>,
    /// Who did.
    operator: Option<String>,
    /// Why they did.
    note: Option<String>,
    /// Shown green while cut off, where the rules say red.
    conflict: Option<Why>,
    /// The way of the passage.
    direction: Way,
    /// People admitted.
    people: u16,
    /// Where.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// Who asked.
    #[schema(example = "KQT300_001")]
    device: Option<String>,
    /// The ticket's event, or the gate's.
    #[schema(example = "demo-match")]
    event: Option<String>,
    /// The ticket's number; `null`: nobody has the code.
    ticket: Option<u32>,
    /// The ticket's type.
    #[serde(rename = "type")]
    #[schema(example = "VIP")]
    type_name: Option<String>,
    /// A ticket of tests and drills, which never counts.
    specimen: bool,
    /// What was presented. Takes `tickets.read`: with a code one can enter.
    code: Option<Code>,
    /// Entries left afterwards; `null` is unlimited, or no ticket.
    left: Option<u16>,
    /// What became of the admission.
    passage: Became,
    /// When that was told.
    passage_at: Option<Moment>,
    /// How often it was presented again at once.
    repeats: u32,
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
    ticket: Option<u32>,
    /// Of this code.
    #[param(min_length = 1, max_length = 255)]
    code: Option<String>,
    /// Of the card of this number, in hexadecimal.
    #[param(min_length = 2, max_length = 510, pattern = "^([0-9A-Fa-f]{2})+$")]
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
    #[schema(example = "turned back at the barrier", min_length = 1, max_length = 500)]
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

// === names ===

impl Why {
    /// A reason.
    pub fn of(reason: Reason) -> Why {
        Why { code: reason.code(), words: words(reason) }
    }
}

/// A reason in words, as a part of a sentence.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownTicket => "no ticket has this code",
        Reason::Cancelled => "the ticket was cancelled",
        Reason::Blocked => "the ticket is blocked",
        Reason::Superseded => "another ticket took its place",
        Reason::NotActivated => "the ticket is not paid or not activated yet",
        Reason::WrongEvent => "the ticket is for another event",
        Reason::TooEarly => "the doors are not open for it yet",
        Reason::TooLate => "its time is over",
        Reason::WrongGate => "it enters at another gate",
        Reason::GateClosed => "the gate is closed",
        Reason::AlreadyInside => "the guest is inside already",
        Reason::AlreadyUsed => "its one entry is used",
        Reason::NoEntriesLeft => "all its entries are used",
        Reason::NoEntriesLeftToday => "all its entries of this day are used",
        Reason::NotInside => "the guest is not inside",
        Reason::ZoneFull => "the zone is full",
    }
}

impl Way {
    /// As the engine has it.
    pub fn own(self) -> Direction {
        match self {
            Way::Entry => Direction::Entry,
            Way::Exit => Direction::Exit,
        }
    }

    /// As it is shown.
    pub fn of(direction: Direction) -> Way {
        match direction {
            Direction::Entry => Way::Entry,
            Direction::Exit => Way::Exit,
        }
    }
}

impl How {
    fn own(self) -> ScanKind {
        match self {
            How::Validate => ScanKind::Validate,
            How::Test => ScanKind::Test,
            How::Offline => ScanKind::Offline,
        }
    }

    fn of(kind: ScanKind) -> How {
        match kind {
            ScanKind::Validate => How::Validate,
            ScanKind::Test => How::Test,
            ScanKind::Offline => How::Offline,
        }
    }
}

impl Became {
    fn of(outcome: PassageOutcome) -> Became {
        match outcome {
            PassageOutcome::Open => Became::Open,
            PassageOutcome::Passed => Became::Passed,
            PassageOutcome::Annulled => Became::Annulled,
        }
    }
}

/// A gate's name.
pub(super) fn gate_name(catalog: &Catalog, id: GateId) -> Option<String> {
    catalog.gate(id).map(|gate| gate.name.clone())
}

/// An operator's name.
pub(super) fn operator_name(catalog: &Catalog, id: OperatorId) -> Option<String> {
    catalog.operator(id).map(|operator| operator.name.clone())
}

impl Scan {
    /// A line of the access log, with its code for who may see it.
    pub fn of(catalog: &Catalog, row: &ScanRow, by: &Principal) -> Scan {
        let why = |reason: Option<Reason>| reason.map(Why::of);
        let attention = match row.verdict {
            Verdict::Admit { attention } => attention,
            Verdict::Deny(_) => None,
        };
        let shows_code = by.may(Permission::TicketsRead);
        Scan {
            lsn: row.lsn.0,
            scan_id: row.scan_id(),
            at: Moment(row.decided_at),
            recorded_at: Moment(row.recorded_at),
            kind: How::of(row.kind),
            admitted: row.verdict.admits(),
            reason: why(row.verdict.denial()),
            attention: why(attention),
            overrode: why(row.overridden),
            operator: row.operator.and_then(|id| operator_name(catalog, id)),
            note: row.note.clone(),
            conflict: why(row.conflict),
            direction: Way::of(row.direction),
            people: row.people,
            gate: gate_name(catalog, row.gate),
            device: catalog.device(row.device).map(|device| device.name.clone()),
            event: row.event.and_then(|id| catalog.event(id)).map(|event| event.name.clone()),
            ticket: row.ticket.map(|id| id.0),
            type_name: row.type_id.and_then(|id| catalog.ticket_type(id)).map(|kind| kind.name.clone()),
            specimen: row.specimen,
            code: shows_code.then(|| Code::shown(row.code_kind, &row.code)),
            left: row.remaining,
            passage: Became::of(row.outcome),
            passage_at: row.outcome_at.map(Moment),
            repeats: row.repeats,
        }
    }
}

// === reading ===

impl ScanParams {
    fn filter(&self, catalog: &Catalog) -> Result<ScanFilter, Problem> {
        let unknown = |field: &str, what: &str| Problem::malformed(field, format!("there is no such {what}"));
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
            (Some(_), Some(_)) => return Err(Problem::malformed("card", "either a code or a card is meant")),
        };
        let code = Code { kind, code: code.clone() };
        code.bytes(field).map(|(_, bytes)| Some(bytes)).map_err(Problem::in_the_query)
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
    let event =
        event.ok_or_else(|| Problem::malformed("type", "name its event too: types are an event's"))?;
    let wrong = || Problem::malformed("type", format!("this event has {}", catalog.type_names(event)));
    catalog.type_named(event, name).map(Some).ok_or_else(wrong)
}

/// Lists scans: the access log.
#[utoipa::path(
    get, path = "/api/v1/scans", tag = "scans", operation_id = "listScans", params(ScanParams),
    responses((status = 200, description = "A page of the access log", body = Page<Scan>)),
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
        gate: gate_name(&app.engine.catalog(), answer.gate),
    }))
}
