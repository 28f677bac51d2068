//! Refusals of an event, and codes that came again and again.

use super::event_of;
use crate::access::Permission;
use crate::app::App;
use crate::extract::{Params, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use engine::catalog::Catalog;
use engine::ticket::CodeKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{DenialRow, PresentedOrder, PresentedRow};
use utoipa::{IntoParams, ToSchema};

/// Codes in a list of repeats, where nothing else is asked for, and at most.
const CODES: u32 = 20;
const CODES_MAX: u32 = 100;

/// What to tell apart.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// Why.
    #[default]
    Reason,
    /// Where.
    Gate,
    /// By which device.
    Device,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DenialsParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
    /// What to tell apart; left out: reasons.
    #[param(inline)]
    by: Option<By>,
}

/// Refusals of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Denials {
    /// The event's name.
    #[schema(example = "demo-match")]
    event: String,
    /// All of them.
    #[schema(example = 12)]
    denied: i64,
    /// One for each reason, gate or device that refused, most first.
    items: Vec<DeniedBy>,
}

/// Refusals for a reason, at a gate or by a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeniedBy {
    /// The reason's code, or the name of gate or device.
    #[schema(example = "already_used")]
    name: String,
    /// How many.
    #[schema(example = 12)]
    denied: i64,
}

/// Counts the refusals of an event.
#[utoipa::path(
    get, path = "/api/v1/statistics/denials", tag = "statistics", operation_id = "getDenials", params(DenialsParams),
    responses((status = 200, description = "The refusals", body = Denials)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn denials(
    State(app): State<Arc<App>>,
    Params(params): Params<DenialsParams>,
) -> Result<Json<Denials>, Problem> {
    let catalog = app.engine.catalog();
    let (id, event) = event_of(&catalog, "event", &params.event)?;
    let rows = app.ask(move |store| store.denials(id)).await?;
    let mut by_name = BTreeMap::<String, i64>::new();
    for row in &rows {
        *by_name.entry(name(&catalog, params.by.unwrap_or_default(), row)).or_default() += row.denied;
    }
    let mut items: Vec<DeniedBy> =
        by_name.into_iter().map(|(name, denied)| DeniedBy { name, denied }).collect();
    items.sort_by_key(|own| std::cmp::Reverse(own.denied));
    Ok(Json(Denials { event: event.name.clone(), denied: rows.iter().map(|row| row.denied).sum(), items }))
}

fn name(catalog: &Catalog, by: By, row: &DenialRow) -> String {
    match by {
        By::Reason => row.reason.code().to_owned(),
        By::Gate => catalog.gate(row.gate).map(|gate| gate.name.clone()).unwrap_or_default(),
        By::Device => catalog.device(row.device).map(|device| device.name.clone()).unwrap_or_default(),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RepeatsParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
    /// Codes in each list.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// Codes that came again and again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Repeats {
    /// The event's name.
    #[schema(example = "demo-match")]
    event: String,
    /// Those that came most often after they had been admitted, or were refused.
    most_presented: Vec<Repeated>,
    /// Those that were refused most often.
    most_refused: Vec<Repeated>,
}

/// A code that came again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Repeated {
    /// The code; a card's number in hexadecimal. Only with `tickets.personal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    code: Option<String>,
    /// `optical` or `card`.
    #[schema(example = "optical")]
    code_kind: &'static str,
    /// Number of its ticket; `null`: the code is nobody's.
    ticket: Option<u32>,
    /// How often it was refused.
    #[schema(example = 9)]
    refused: i64,
    /// How often it was admitted after the first time.
    #[schema(example = 0)]
    admitted_again: i64,
}

/// Lists codes that came again and again.
///
/// A reader that reads a code twice within its repeat window presents it once. Exits are no repeats.
#[utoipa::path(
    get, path = "/api/v1/statistics/repeats", tag = "statistics", operation_id = "getRepeats", params(RepeatsParams),
    responses((status = 200, description = "The codes", body = Repeats)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn repeats(
    State(app): State<Arc<App>>,
    Who(who): Who,
    Params(params): Params<RepeatsParams>,
) -> Result<Json<Repeats>, Problem> {
    let catalog = app.engine.catalog();
    let (id, event) = event_of(&catalog, "event", &params.event)?;
    let limit = params.limit.unwrap_or(CODES);
    if !(1..=CODES_MAX).contains(&limit) {
        return Err(Problem::malformed("limit", format!("a number from 1 to {CODES_MAX} is meant")));
    }
    let rows = app.ask(move |store| {
        let of = |order| store.presented_again(id, order, limit as usize);
        Ok([of(PresentedOrder::Times)?, of(PresentedOrder::Denied)?])
    });
    let personal = who.may(Permission::TicketsPersonal);
    let [most_presented, most_refused] =
        rows.await?.map(|rows| rows.iter().map(|row| Repeated::of(row, personal)).collect());
    Ok(Json(Repeats { event: event.name.clone(), most_presented, most_refused }))
}

// === impl Repeated ===

impl Repeated {
    fn of(row: &PresentedRow, personal: bool) -> Repeated {
        let code = || match row.kind {
            CodeKind::Optical => String::from_utf8_lossy(&row.code).into_owned(),
            CodeKind::Card => row.code.iter().map(|byte| format!("{byte:02X}")).collect(),
        };
        Repeated {
            code: personal.then(code),
            code_kind: match row.kind {
                CodeKind::Optical => "optical",
                CodeKind::Card => "card",
            },
            ticket: row.ticket.map(|ticket| ticket.0),
            refused: row.denied,
            admitted_again: row.admitted,
        }
    }
}
