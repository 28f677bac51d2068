//! Figures of an event: how it stands, arrivals, refusals, repeated codes, a forecast, a comparison. Counts come from the
//! engine, figures of the past from the store; nothing here walks the access log.

mod arrivals;
mod compare;
mod denials;
mod forecast;
mod summary;

use crate::app::App;
use crate::problem::Problem;
use crate::statistics::Curve;
use engine::Time;
use engine::catalog::{Catalog, Event, EventId};
use std::sync::Arc;
use store::{ArrivalRow, FlowScope, Period};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(summary::summary))
        .routes(routes!(arrivals::arrivals))
        .routes(routes!(denials::denials))
        .routes(routes!(denials::repeats))
        .routes(routes!(forecast::forecast))
        .routes(routes!(compare::compare))
}

/// All that ever was.
const EVER: Period = Period { since: Time(0), until: Time::MAX };

/// The event that a parameter names.
fn event_of<'c>(catalog: &'c Catalog, field: &str, name: &str) -> Result<(EventId, &'c Event), Problem> {
    let found = catalog.event_named(name).and_then(|id| Some((id, catalog.event(id)?)));
    found.ok_or_else(|| {
        Problem::invalid(field, format!("there is no event '{}'", crate::problem::shown(name)))
    })
}

/// What went through an event in each minute.
async fn minutes(app: &Arc<App>, event: EventId) -> Result<Vec<ArrivalRow>, Problem> {
    app.ask(move |store| store.arrivals(event, FlowScope::Event, EVER)).await
}

fn curve(minutes: &[ArrivalRow]) -> Curve {
    Curve::of(minutes.iter().map(|row| (row.minute, row.flow.admitted)))
}
