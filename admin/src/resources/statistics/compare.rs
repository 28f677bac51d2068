//! Two events side by side, from kick-off to kick-off.

use super::{event_of, minutes};
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::statistics::Interval;
use axum::Json;
use axum::extract::State;
use engine::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{ArrivalRow, Flow};
use utoipa::{IntoParams, ToSchema};

/// Items of an answer.
const ITEMS_MAX: usize = 20_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CompareParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
    /// The other event's name.
    #[param(example = "demo-other")]
    with: String,
    /// Length of an interval in seconds: 60, 120, 180, 300, 600, 900, 1200, 1800 or 3600.
    #[param(minimum = 60, maximum = 3600, multiple_of = 60, default = 300)]
    interval: Option<u32>,
}

/// Two events side by side.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comparison {
    /// Length of an interval in seconds.
    #[schema(example = 300)]
    interval_s: u32,
    /// The event.
    event: Compared,
    /// The other.
    with: Compared,
    /// Intervals in which something went through at either, in order.
    items: Vec<SideBySide>,
}

/// One of two events.
#[derive(Debug, Serialize, ToSchema)]
pub struct Compared {
    /// Its name.
    #[schema(example = "demo-match")]
    name: String,
    /// Its kick-off.
    #[schema(format = DateTime)]
    starts_at: String,
    /// People that entered.
    admitted: i64,
    /// Scans that were refused.
    denied: i64,
}

/// One interval of both.
#[derive(Debug, Serialize, ToSchema)]
pub struct SideBySide {
    /// When it begins, in seconds after kick-off; negative: before.
    #[schema(example = -1_800)]
    from_s: i64,
    /// The event.
    event: Side,
    /// The other.
    with: Side,
}

/// What went through at one of both.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Side {
    /// People that entered in the interval.
    admitted: i64,
    /// People that entered until its end.
    admitted_until: i64,
    /// Scans that were refused in it.
    denied: i64,
}

/// Compares two events, aligned to kick-off.
#[utoipa::path(
    get, path = "/api/v1/statistics/compare", tag = "statistics", operation_id = "compareEvents", params(CompareParams),
    responses((status = 200, description = "Both events", body = Comparison)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn compare(
    State(app): State<Arc<App>>,
    Params(params): Params<CompareParams>,
) -> Result<Json<Comparison>, Problem> {
    let catalog = app.engine.catalog();
    let interval = Interval::of(params.interval)?;
    let (id, event) = event_of(&catalog, "event", &params.event)?;
    let (other, with) = event_of(&catalog, "with", &params.with)?;
    let own = aligned(&minutes(&app, id).await?, event.starts_at, interval);
    let others = aligned(&minutes(&app, other).await?, with.starts_at, interval);
    let offsets: BTreeSet<i64> = own.keys().chain(others.keys()).copied().collect();
    if offsets.len() > ITEMS_MAX {
        return Err(Problem::invalid(
            "interval",
            format!("ask for longer ones: these are more than {ITEMS_MAX}"),
        ));
    }
    let (mut until, mut others_until) = (0, 0);
    let items = offsets.into_iter().map(|from_s| SideBySide {
        from_s,
        event: Side::of(own.get(&from_s), &mut until),
        with: Side::of(others.get(&from_s), &mut others_until),
    });
    Ok(Json(Comparison {
        interval_s: interval.seconds(),
        items: items.collect(),
        event: Compared::of(event, &own),
        with: Compared::of(with, &others),
    }))
}

/// Flows by the beginning of their interval, in seconds after kick-off.
fn aligned(minutes: &[ArrivalRow], starts_at: Time, interval: Interval) -> BTreeMap<i64, Flow> {
    let mut flows = BTreeMap::<i64, Flow>::new();
    for row in minutes {
        let interval = row.minute.since_ms(starts_at).div_euclid(interval.ms()) * interval.ms();
        *flows.entry(interval / 1_000).or_default() += row.flow;
    }
    flows
}

// === impl Side ===

impl Side {
    fn of(flow: Option<&Flow>, until: &mut i64) -> Side {
        let flow = flow.copied().unwrap_or_default();
        *until += flow.admitted;
        Side { admitted: flow.admitted, admitted_until: *until, denied: flow.denied }
    }
}

impl Compared {
    fn of(event: &engine::catalog::Event, flows: &BTreeMap<i64, Flow>) -> Compared {
        Compared {
            name: event.name.clone(),
            starts_at: Moment(event.starts_at).to_string(),
            admitted: flows.values().map(|flow| flow.admitted).sum(),
            denied: flows.values().map(|flow| flow.denied).sum(),
        }
    }
}
