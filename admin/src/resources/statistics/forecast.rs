//! When the crowd of an event will be in.

use super::{curve, event_of, minutes};
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::statistics::{self, Earlier, Method, Reached};
use axum::Json;
use axum::extract::State;
use engine::catalog::{Catalog, EventId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// People that may be expected.
const EXPECTED_MAX: u32 = 10_000_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ForecastParams {
    /// The event's name.
    #[param(example = "demo-match")]
    event: String,
    /// An earlier event whose guests came as these are taken to come.
    like: Option<String>,
    /// How many people are expected. Left out: as many as the event's active tickets admit.
    #[param(minimum = 1, maximum = 10_000_000)]
    expected: Option<u32>,
}

/// When the crowd will be in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forecast {
    /// The event's name.
    #[schema(example = "demo-match")]
    event: String,
    /// As of when.
    #[schema(format = DateTime, example = "2026-11-23T18:00:00.000Z")]
    at: String,
    /// People that are expected.
    #[schema(example = 52_000)]
    expected: u64,
    /// People that entered until now.
    #[schema(example = 18_400)]
    admitted: i64,
    /// People a minute, in the last ten minutes.
    #[schema(example = 410.5)]
    per_minute: f64,
    /// `last_minutes` or `earlier_event`.
    #[schema(example = "last_minutes")]
    method: &'static str,
    /// What the method does and how sure it is, for people.
    explanation: &'static str,
    /// When half, nine tenths and ninety-nine of a hundred are in.
    shares: Vec<Share>,
}

/// When a share of the crowd is in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Share {
    /// The share.
    #[schema(example = 0.9)]
    share: f64,
    /// Is it in already? Then `at` is when it was.
    already: bool,
    /// When it will be; `null`: not within a day, or there is nothing to tell it by.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// At the earliest; `null`: nobody can say.
    #[schema(format = DateTime)]
    earliest: Option<String>,
    /// At the latest; `null`: nobody can say.
    #[schema(format = DateTime)]
    latest: Option<String>,
}

/// Forecasts when the crowd will be in.
#[utoipa::path(
    get, path = "/api/v1/statistics/forecast", tag = "statistics", operation_id = "getForecast", params(ForecastParams),
    responses((status = 200, description = "The forecast", body = Forecast)),
    extensions(("x-permission" = json!("scans.read")))
)]
pub async fn forecast(
    State(app): State<Arc<App>>,
    Params(params): Params<ForecastParams>,
) -> Result<Json<Forecast>, Problem> {
    let catalog = app.engine.catalog();
    let (id, event) = event_of(&catalog, "event", &params.event)?;
    let expected = match params.expected {
        Some(expected) if (1..=EXPECTED_MAX).contains(&expected) => u64::from(expected),
        Some(_) => {
            return Err(Problem::malformed(
                "expected",
                format!("a number from 1 to {EXPECTED_MAX} is meant"),
            ));
        }
        None => expected_of(&app, &catalog, id).await?,
    };
    let like = match &params.like {
        Some(name) => {
            let (id, event) = event_of(&catalog, "like", name)?;
            Some((curve(&minutes(&app, id).await?), event.starts_at))
        }
        None => None,
    };
    let (own, now) = (curve(&minutes(&app, id).await?), app.engine.now());
    let like = like.as_ref().map(|(curve, starts_at)| Earlier { curve, starts_at: *starts_at });
    let made = statistics::forecast(&own, event.starts_at, now, expected as f64, like);
    let (method, explanation) = words(made.method);
    Ok(Json(Forecast {
        event: event.name.clone(),
        at: Moment(now).to_string(),
        expected,
        admitted: own.total(),
        per_minute: made.per_minute,
        method,
        explanation,
        shares: made.reached.iter().map(Share::of).collect(),
    }))
}

/// People that the event's active tickets admit.
async fn expected_of(app: &Arc<App>, catalog: &Catalog, event: EventId) -> Result<u64, Problem> {
    let types = catalog.types().filter(|(_, kind)| kind.event == event);
    let types: Vec<_> = types.map(|(id, kind)| (id, u64::from(kind.people))).collect();
    app.ask(move |store| {
        let people = types.iter().map(|(id, people)| Ok(store.active_tickets(*id)? * people));
        people.sum()
    })
    .await
}

fn words(method: Method) -> (&'static str, &'static str) {
    match method {
        Method::LastMinutes => (
            "last_minutes",
            "The rate of the last ten minutes goes on. earliest and latest are two standard errors of that rate away; a rush or \
             a lull to come is not foreseen.",
        ),
        Method::EarlierEvent => (
            "earlier_event",
            "Those who are missing come as they did at the earlier event, from as long before kick-off on. The other end of \
             the range takes everybody to come as then, but as much earlier or later as they have until now.",
        ),
    }
}

// === impl Share ===

impl Share {
    fn of(reached: &Reached) -> Share {
        Share {
            share: reached.share,
            already: reached.already,
            at: reached.at.map(|at| Moment(at).to_string()),
            earliest: reached.earliest.map(|at| Moment(at).to_string()),
            latest: reached.latest.map(|at| Moment(at).to_string()),
        }
    }
}
