//! Printers and displays: how they stand, what they are told now. What is to be printed is a job. A node that was given none
//! has an empty list and refuses the rest.

mod shape;

use super::catalog::segment;
use crate::app::App;
use crate::auth::{act, no_random};
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::Json as Answer;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::catalog::OperatorId;
use peripherals::{Error, JOB_ID_BYTES_MAX, ScanFacts, Show, Values};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use shape::{JobDecision, PeripheralReason, PrintJob, job_states, priorities};
use shape::{JobOutcome, Peripheral};

/// Longest key of a press: its jobs are numbered behind it.
const PRESS_ID_BYTES_MAX: usize = JOB_ID_BYTES_MAX - 8;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(show))
        .routes(routes!(open_drawer))
        .routes(routes!(release))
        .routes(routes!(reload))
        .routes(routes!(press))
}

/// What a display is to show: a template or lines.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShow {
    /// A template of the peripherals file.
    #[serde(default)]
    #[schema(example = json!(null))]
    template: Option<String>,
    /// What its fields are filled with.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>, example = json!({}))]
    values: Values,
    /// Lines of text, from the top.
    #[serde(default)]
    #[schema(example = json!(["Gate 4 is closed", "Please use gate 5"]), min_items = 1, max_items = 4)]
    lines: Option<Vec<String>>,
    /// How long lines are shown, in milliseconds; left out: 5 seconds. A template says it itself.
    #[serde(default)]
    #[schema(example = 8000)]
    for_ms: Option<u32>,
}

/// A button that was pressed at a gate.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Press {
    /// What the rules' templates are filled with besides.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>, example = json!({"holder": "Press"}))]
    values: Values,
    /// The press's own key: the same again prints nothing again.
    #[serde(default)]
    #[schema(example = "button-4711", min_length = 1, max_length = 56, pattern = "^[ -~]+$")]
    id: Option<String>,
}

/// What a button did.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Pressed {
    /// The jobs of the rules that print.
    #[schema(example = json!(["button-4711:1"]))]
    jobs: Vec<String>,
}

/// Writes into the audit what was done, and waits for it.
pub(super) async fn note(
    app: &App,
    by: Option<OperatorId>,
    action: &str,
    subject: &str,
    details: Value,
) -> Result<(), Problem> {
    app.settle(app.engine.act(by, act(action, subject, details, Vec::new()))?).await
}

/// Who does something, and why: what the queue writes down with it.
pub(super) fn reason(why: &PeripheralReason) -> Result<String, Problem> {
    let mut mistakes = Mistakes::default();
    mistakes.text("reason", &why.reason, 1, shape::REASON_CHARS_MAX);
    mistakes.told()?;
    Ok(why.reason.clone())
}

/// A key that a client may give: of a job, or of what makes jobs.
pub(super) fn check_id(mistakes: &mut Mistakes, id: &str, most: usize) {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let ours = id.starts_with("rule:") || id.starts_with("reprint:");
    let words =
        format!("1 to {most} printable ASCII characters are meant, not beginning with rule: or reprint:");
    mistakes.rule((1..=most).contains(&id.len()) && plain && !ours, "id", words);
}

/// A key for what came without one.
pub(super) fn new_id() -> Result<String, Problem> {
    let key = secrets::new_key().map_err(no_random)?;
    Ok(format!("api-{}", &key[..20]))
}

/// Lists printers and displays by name.
#[utoipa::path(
    get, path = "/api/v1/peripherals", tag = "peripherals", operation_id = "listPeripherals", params(PageParams),
    responses((status = 200, description = "A page of printers and displays", body = Page<Peripheral>)),
    extensions(("x-permission" = json!("peripherals.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let mut all = app.peripherals.now().map(|own| own.views()).unwrap_or_default();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let behind = all.into_iter().filter(|own| after.as_ref().is_none_or(|after| own.name > *after));
    let items = behind.take(limit + 1).map(Peripheral::of).collect();
    Ok(Page::of(items, limit, |item: &Peripheral| item.name.clone()).answer(&uri))
}

/// Shows a printer or display.
#[utoipa::path(
    get, path = "/api/v1/peripherals/{name}", tag = "peripherals", operation_id = "getPeripheral",
    params(("name" = String, Path, description = "The peripheral's name")),
    responses((status = 200, description = "How it stands", body = Peripheral)),
    extensions(("x-permission" = json!("peripherals.read")))
)]
async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Answer<Peripheral>, Problem> {
    let found = app.peripherals.now().and_then(|own| own.one(&name));
    found.map(|own| Answer(Peripheral::of(own))).ok_or_else(|| Problem::not_found("peripheral", &name))
}

/// Shows a text on a display, now: the latest wins, and nothing is kept of it.
#[utoipa::path(
    post, path = "/api/v1/peripherals/{name}/show", tag = "peripherals", operation_id = "showText",
    request_body = NewShow, params(("name" = String, Path, description = "The display's name")),
    responses((status = 204, description = "The display, or its station, is told")),
    extensions(("x-permission" = json!("peripherals.use")))
)]
async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(new): Json<NewShow>,
) -> Result<StatusCode, Problem> {
    let show = match (new.template, new.lines) {
        (Some(name), None) => Show::Template { name, values: new.values },
        (None, Some(lines)) => Show::lines(&lines, new.for_ms)?,
        _ => return Err(neither()),
    };
    app.peripherals.ask(move |own| own.show(&name, show)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Neither template nor lines, or both.
pub(super) fn neither() -> Problem {
    Problem::invalid("template", "either a template or lines are meant")
}

/// Opens a printer's cash drawer, now or not at all. Written down before and after; waits up to 10 s for the printer.
#[utoipa::path(
    post, path = "/api/v1/peripherals/{name}/open-drawer", tag = "peripherals", operation_id = "openDrawer",
    request_body = PeripheralReason, params(("name" = String, Path, description = "The printer's name")),
    responses((status = 200, description = "What came of it", body = JobOutcome)),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn open_drawer(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<PeripheralReason>,
) -> Result<Answer<JobOutcome>, Problem> {
    let reason = reason(&why)?;
    let (own, who, words) = (name.clone(), by.name.clone(), reason.clone());
    let outcome = app.peripherals.ask(move |all| all.kick(&own, &who, &words)).await?;
    let outcome = JobOutcome::of(outcome);
    let details = json!({"reason": reason, "outcome": outcome});
    note(&app, by.operator, "drawer_open", &name, details).await?;
    Ok(Answer(outcome))
}

/// Ends a printer's or display's quarantine: its driver is started again.
///
/// To one that is in none it does nothing.
#[utoipa::path(
    post, path = "/api/v1/peripherals/{name}/release", tag = "peripherals", operation_id = "releasePeripheral",
    params(("name" = String, Path, description = "The peripheral's name")),
    responses((status = 204, description = "Its driver is being started")),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn release(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let (own, who) = (name.clone(), by.name.clone());
    app.peripherals.ask(move |all| all.release(&own, &who)).await?;
    note(&app, by.operator, "peripheral_release", &name, json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the peripherals file again, after it was mended on the node.
///
/// What changed gets a new driver host; all others notice nothing. With one mistake in the file nothing changes.
#[utoipa::path(
    post, path = "/api/v1/settings/peripherals/reload", tag = "peripherals", operation_id = "reloadPeripherals",
    responses((status = 204, description = "The file counts as it is now")),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn reload(State(app): State<Arc<App>>, Who(by): Who) -> Result<StatusCode, Problem> {
    app.peripherals.reload().await?;
    note(&app, by.operator, "peripherals_reload", "peripherals file", json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Presses a button at a gate: does what the rules with `on = "button"` say about it.
#[utoipa::path(
    post, path = "/api/v1/gates/{name}/button", tag = "peripherals", operation_id = "pressButton",
    request_body = Press, params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "What it prints", body = Pressed)),
    extensions(("x-permission" = json!("peripherals.use")))
)]
async fn press(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(Press { values, id }): Json<Press>,
) -> Result<Answer<Pressed>, Problem> {
    if app.engine.catalog().gate_named(&name).is_none() {
        return Err(Problem::not_found("gate", &name));
    }
    let mut mistakes = Mistakes::default();
    id.iter().for_each(|id| check_id(&mut mistakes, id, PRESS_ID_BYTES_MAX));
    mistakes.told()?;
    let id = id.map_or_else(new_id, Ok)?;
    let facts = ScanFacts::button(name.clone(), values, app.engine.now().0);
    let who = by.name.clone();
    let jobs = app.peripherals.ask(move |own| own.press(&id, &facts, &who)).await?;
    note(&app, by.operator, "gate_button", &name, json!({"jobs": jobs})).await?;
    Ok(Answer(Pressed { jobs }))
}

/// A part of the path that is no peripheral and no job is not found; in a body it is a mistake in its field.
pub(super) fn in_body(error: Error) -> Problem {
    match &error {
        Error::UnknownPeripheral(_) => Problem::invalid("peripheral", error.to_string()),
        Error::UnknownTemplate(_) => Problem::invalid("template", error.to_string()),
        _ => error.into(),
    }
}

/// Where a job is found.
pub(super) fn place(job: &str) -> String {
    format!("/api/v1/jobs/{}", segment(job))
}
