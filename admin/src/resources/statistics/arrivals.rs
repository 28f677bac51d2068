//! What went through in each interval.

use super::event_of;
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::statistics::Interval;
use axum::Json;
use axum::extract::State;
use engine::Time;
use engine::calendar::{self, Calendar};
use engine::catalog::{Catalog, GateId, TypeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{ArrivalRow, Flow, FlowScope, Period};
use utoipa::{IntoParams, ToSchema};

/// Items of an answer.
const ITEMS_MAX: usize = 20_000;

/// What to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// Each gate.
    Gate,
    /// Each ticket type.
    Type,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ArrivalsParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
    /// Length of an interval in seconds: 60, 120, 180, 300, 600, 900, 1200, 1800 or 3600.
    #[param(minimum = 60, maximum = 3600, multiple_of = 60, default = 300)]
    interval: Option<u32>,
    /// Left out: the event as a whole.
    #[param(inline)]
    by: Option<By>,
    /// From this moment on, taken to the minute.
    since: Option<Moment>,
    /// Up to, and without, this moment.
    until: Option<Moment>,
}

/// What went through, interval by interval.
#[derive(Debug, Serialize, ToSchema)]
pub struct Arrivals {
    /// The event's name.
    #[schema(example = "demo-match")]
    event: String,
    /// Length of an interval in seconds.
    #[schema(example = 300)]
    interval_s: u32,
    /// On whose clock intervals begin.
    #[schema(example = "Europe/Zurich")]
    time_zone: String,
    /// Intervals in which something went through, in order; others are left out.
    items: Vec<Arrival>,
}

/// One interval, of the event, a gate or a type.
#[derive(Debug, Serialize, ToSchema)]
pub struct Arrival {
    /// When it began.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    from: String,
    /// The same on the venue's clock.
    #[schema(example = "2026-11-23T19:00:00")]
    local: String,
    /// The gate, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    gate: Option<String>,
    /// The ticket type, where that was asked for.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    kind: Option<String>,
    /// People that entered, annulled ones taken back.
    #[schema(example = 431)]
    admitted: i64,
    /// Scans that were refused.
    #[schema(example = 7)]
    denied: i64,
    /// People that left.
    #[schema(example = 2)]
    exits: i64,
}

/// What went through in each interval.
///
/// Intervals begin as the clock at the venue says; in the night the clocks change, the hour that comes twice is two intervals.
/// An offline scan counts when it was made. By type, only what has a ticket is told.
#[utoipa::path(
    get, path = "/api/v1/statistics/arrivals", tag = "statistics", operation_id = "getArrivals", params(ArrivalsParams),
    responses((status = 200, description = "The intervals", body = Arrivals)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn arrivals(
    State(app): State<Arc<App>>,
    Params(params): Params<ArrivalsParams>,
) -> Result<Json<Arrivals>, Problem> {
    let catalog = app.engine.catalog();
    let (id, event) = event_of(&catalog, "event", &params.event)?;
    let interval = Interval::of(params.interval)?;
    let period = params.period();
    let scope = match params.by {
        None => FlowScope::Event,
        Some(By::Gate) => FlowScope::Gate,
        Some(By::Type) => FlowScope::Type,
    };
    let rows = app.ask(move |store| store.arrivals(id, scope, period)).await?;
    let calendar = catalog.calendar(id).cloned().map_or_else(|| Calendar::of("UTC"), Ok);
    let calendar = calendar.expect("there is always UTC");
    let flows = in_intervals(&calendar, interval, &rows);
    if flows.len() > ITEMS_MAX {
        let detail = format!(
            "{} items are more than {ITEMS_MAX}; ask for longer ones, or a shorter period",
            flows.len()
        );
        return Err(Problem::invalid("interval", detail));
    }
    let items = flows.iter().map(|((from, number), flow)| Arrival {
        from: Moment(*from).to_string(),
        local: calendar::local(*from, calendar.offset_s(*from)),
        gate: params.name(By::Gate, &catalog, *number),
        kind: params.name(By::Type, &catalog, *number),
        admitted: flow.admitted,
        denied: flow.denied,
        exits: flow.exits,
    });
    Ok(Json(Arrivals {
        event: event.name.clone(),
        interval_s: interval.seconds(),
        time_zone: event.time_zone.clone(),
        items: items.collect(),
    }))
}

fn in_intervals(calendar: &Calendar, interval: Interval, rows: &[ArrivalRow]) -> BTreeMap<(Time, u32), Flow> {
    let mut flows = BTreeMap::<(Time, u32), Flow>::new();
    for row in rows {
        *flows.entry((interval.begin(calendar, row.minute), row.id)).or_default() += row.flow;
    }
    flows
}

// === impl ArrivalsParams ===

impl ArrivalsParams {
    fn period(&self) -> Period {
        Period {
            since: self.since.map_or(super::EVER.since, |at| at.0),
            until: self.until.map_or(super::EVER.until, |at| at.0),
        }
    }

    fn name(&self, by: By, catalog: &Catalog, number: u32) -> Option<String> {
        let number = u16::try_from(number).ok().filter(|_| self.by == Some(by))?;
        match by {
            By::Gate => catalog.gate(GateId(number)).map(|gate| gate.name.clone()),
            By::Type => catalog.ticket_type(TypeId(number)).map(|kind| kind.name.clone()),
        }
    }
}
