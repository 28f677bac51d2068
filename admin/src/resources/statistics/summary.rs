//! How an event stands now.

use super::event_of;
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use engine::catalog::{Catalog, EventId, ZoneId};
use engine::counts::{Counts, Tally};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SummaryParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
}

/// How an event stands now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// The event's name.
    #[schema(example = "demo-match")]
    event: String,
    /// For people.
    title: String,
    /// As of when.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    at: String,
    /// People in the zones that the event's gates lead to, each once.
    #[schema(example = 41_250)]
    inside: i64,
    /// Tallies of the whole event.
    #[serde(flatten)]
    flow: Tallied,
    /// Refusals by reason, most first. `null`: the store cannot be asked now.
    denied_by_reason: Option<Vec<Denied>>,
    /// By gate.
    gates: Vec<Part>,
    /// By ticket type.
    types: Vec<Part>,
    /// The zones that the event's gates lead to.
    zones: Vec<Inside>,
}

/// Refusals for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Denied {
    /// Why.
    #[schema(example = "already_used")]
    reason: String,
    /// How many.
    #[schema(example = 12)]
    denied: i64,
}

/// A gate or ticket type.
#[derive(Debug, Serialize, ToSchema)]
pub struct Part {
    /// Its name.
    #[schema(example = "ENTRANCE_01")]
    name: String,
    /// Its tallies.
    #[serde(flatten)]
    flow: Tallied,
}

/// People in a zone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Inside {
    /// The zone.
    #[schema(example = "BOWL")]
    zone: String,
    /// How many are in it.
    inside: i64,
    /// How many may be; `null`: no limit.
    capacity: Option<u32>,
}

/// What went through since the first scan.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Tallied {
    /// People that entered, annulled ones taken back.
    admitted: i64,
    /// People that left.
    exits: i64,
    /// People that came at least once.
    attendance: i64,
    /// Scans that were refused.
    denied: u64,
    /// People that passed without a ticket, inwards less outwards.
    turns: i64,
}

/// How an event stands now.
///
/// Counts are the engine's and exact at `at`; refusals by reason come from the store and may be some moments older. A gate's
/// tallies are of everything it ever did, also for another event that it served before.
#[utoipa::path(
    get, path = "/api/v1/statistics/summary", tag = "statistics", operation_id = "getSummary", params(SummaryParams),
    responses((status = 200, description = "The summary", body = Summary)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn summary(
    State(app): State<Arc<App>>,
    Params(params): Params<SummaryParams>,
) -> Result<Json<Summary>, Problem> {
    let catalog = app.engine.catalog();
    let (id, _) = event_of(&catalog, "event", &params.event)?;
    let denied = app.ask(move |store| store.denials(id)).await.ok();
    let denied_by_reason = denied.map(|rows| {
        let mut by_reason = BTreeMap::<&str, i64>::new();
        rows.iter().for_each(|row| *by_reason.entry(row.reason.code()).or_default() += row.denied);
        let mut all: Vec<Denied> = by_reason
            .into_iter()
            .map(|(reason, denied)| Denied { reason: reason.to_owned(), denied })
            .collect();
        all.sort_by_key(|own| std::cmp::Reverse(own.denied));
        all
    });
    let counts = app.engine.counts();
    Ok(Json(Summary {
        denied_by_reason,
        ..Summary::of(&catalog, &counts, id, Moment(app.engine.now()).to_string())
    }))
}

// === impl Summary ===

impl Summary {
    fn of(catalog: &Catalog, counts: &Counts, id: EventId, at: String) -> Summary {
        let of = |list: &[Tally], n: usize| list.get(n).copied().map(Tallied::from).unwrap_or_default();
        let gates = || catalog.gates().filter(|(_, gate)| gate.event == Some(id));
        let zones: BTreeSet<ZoneId> = gates()
            .flat_map(|(_, gate)| [gate.from, gate.to])
            .filter(|zone| *zone != ZoneId::OUTSIDE)
            .collect();
        let inside = |zone: ZoneId| {
            let own = catalog.zone(zone)?;
            let inside = counts.zones.get(zone.index()).copied().unwrap_or(0);
            Some(Inside { zone: own.name.clone(), inside, capacity: own.capacity })
        };
        let zones: Vec<Inside> = zones.into_iter().filter_map(inside).collect();
        let types = catalog.types().filter(|(_, kind)| kind.event == id);
        let event = catalog.event(id);
        Summary {
            event: event.map(|event| event.name.clone()).unwrap_or_default(),
            title: event.map(|event| event.title.clone()).unwrap_or_default(),
            at,
            inside: zones.iter().map(|zone| zone.inside).sum(),
            flow: of(&counts.events, id.index()),
            denied_by_reason: None,
            gates: gates()
                .map(|(gate, own)| Part { name: own.name.clone(), flow: of(&counts.gates, gate.index()) })
                .collect(),
            types: types
                .map(|(kind, own)| Part { name: own.name.clone(), flow: of(&counts.types, kind.index()) })
                .collect(),
            zones,
        }
    }
}

impl From<Tally> for Tallied {
    fn from(tally: Tally) -> Tallied {
        Tallied {
            admitted: tally.entries,
            exits: tally.exits,
            attendance: tally.attendance,
            denied: tally.denials,
            turns: tally.turns,
        }
    }
}
