//! Counts: who is inside, who came, who was refused. From the engine, without a look at history.

use super::names;
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::problem::{Problem, ProblemBody};
use axum::Json as Answer;
use axum::extract::State;
use engine::catalog::{Catalog, EventId, ZoneId};
use engine::counts::{Counts as Own, Tally as OwnTally};
use engine::decision::REASONS;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(counts))
}

/// Which counts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CountParams {
    /// Only what belongs to the event of this name: its gates, its types, and the zones its gates lead to.
    event: Option<String>,
}

/// Who is inside, who came, who was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Counts {
    /// When.
    at: Moment,
    /// By zone; `outside` is not counted.
    zones: Vec<ZoneCount>,
    /// By event.
    events: Vec<EventCount>,
    /// By gate.
    gates: Vec<GateCount>,
    /// By ticket type.
    types: Vec<TypeCount>,
    /// Refusals by reason, those that happened; `null` where one event was asked for.
    reasons: Option<Vec<ReasonCount>>,
}

/// A zone's head count.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ZoneCount {
    /// The zone.
    #[schema(example = "BOWL")]
    zone: String,
    /// People inside.
    #[schema(example = 41_337)]
    inside: i64,
    /// Most people inside; `null` is no limit.
    #[schema(example = 60_000)]
    capacity: Option<u32>,
}

/// Tallies.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Tally {
    /// People that entered, annulled ones taken back.
    #[schema(example = 41_502)]
    entries: i64,
    /// People that left.
    #[schema(example = 165)]
    exits: i64,
    /// People that came at least once.
    #[schema(example = 41_400)]
    attendance: i64,
    /// Scans that admitted.
    #[schema(example = 41_667)]
    admits: u64,
    /// Scans that were refused.
    #[schema(example = 812)]
    denials: u64,
    /// People that passed without a ticket, inwards less outwards.
    #[schema(example = 3)]
    turns: i64,
}

/// Tallies of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct EventCount {
    /// The event.
    #[schema(example = "cup-final")]
    event: String,
    #[serde(flatten)]
    tally: Tally,
}

/// Tallies of a gate, whatever event it served.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GateCount {
    /// The gate.
    #[schema(example = "ENTRANCE_01")]
    gate: String,
    #[serde(flatten)]
    tally: Tally,
}

/// Tallies of a ticket type.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct TypeCount {
    /// Its event.
    #[schema(example = "cup-final")]
    event: Option<String>,
    /// The ticket type.
    #[schema(example = "VIP")]
    ticket_type: String,
    #[serde(flatten)]
    tally: Tally,
}

/// Refusals for a reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ReasonCount {
    /// The reason.
    #[schema(example = "already_used")]
    reason: &'static str,
    /// Scans refused for it.
    #[schema(example = 512)]
    denials: u64,
}

impl Tally {
    fn at(list: &[OwnTally], index: usize) -> Tally {
        let own = list.get(index).copied().unwrap_or_default();
        Tally {
            entries: own.entries,
            exits: own.exits,
            attendance: own.attendance,
            admits: own.admits,
            denials: own.denials,
            turns: own.turns,
        }
    }
}

fn shown(catalog: &Catalog, own: &Own, event: Option<EventId>, at: Moment) -> Counts {
    let wanted = |of: Option<EventId>| event.is_none() || of == event;
    let gates = || catalog.gates().filter(|(_, gate)| wanted(gate.event));
    let leads_to = |zone: ZoneId| gates().any(|(_, gate)| gate.from == zone || gate.to == zone);
    let zones =
        catalog.zones().filter(|(id, _)| *id != ZoneId::OUTSIDE && (event.is_none() || leads_to(*id)));
    let reasons = REASONS.iter().map(|reason| (reason.code(), own.denied(*reason)));
    Counts {
        at,
        zones: zones
            .map(|(id, zone)| ZoneCount {
                zone: zone.name.clone(),
                inside: own.zones.get(id.index()).copied().unwrap_or_default(),
                capacity: zone.capacity,
            })
            .collect(),
        events: catalog
            .events()
            .filter(|(id, _)| wanted(Some(*id)))
            .map(|(id, of)| EventCount { event: of.name.clone(), tally: Tally::at(&own.events, id.index()) })
            .collect(),
        gates: gates()
            .map(|(id, gate)| GateCount { gate: gate.name.clone(), tally: Tally::at(&own.gates, id.index()) })
            .collect(),
        types: catalog
            .types()
            .filter(|(_, kind)| wanted(Some(kind.event)))
            .map(|(id, kind)| TypeCount {
                event: names::event(catalog, Some(kind.event)),
                ticket_type: kind.name.clone(),
                tally: Tally::at(&own.types, id.index()),
            })
            .collect(),
        reasons: event.is_none().then(|| {
            let happened = reasons.filter(|(_, denials)| *denials > 0);
            happened.map(|(reason, denials)| ReasonCount { reason, denials }).collect()
        }),
    }
}

/// Shows who is inside, who came and who was refused.
///
/// Exact at this moment and cheap to ask: nothing is counted again. Refusals of one event by reason, and how it was over
/// time, are the statistics' part.
#[utoipa::path(
    get, path = "/api/v1/counts", tag = "oversight", operation_id = "getCounts", params(CountParams),
    responses((status = 200, description = "The counts", body = Counts),
        (status = 404, description = "There is no such event", body = ProblemBody, content_type = "application/problem+json")),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn counts(
    State(app): State<Arc<App>>,
    Params(params): Params<CountParams>,
) -> Result<Answer<Counts>, Problem> {
    let catalog = app.engine.catalog();
    let named = |name: &String| catalog.event_named(name).ok_or_else(|| Problem::not_found("event", name));
    let event = params.event.as_ref().map(named).transpose()?;
    Ok(Answer(shown(&catalog, &app.engine.counts(), event, Moment(app.engine.now()))))
}
