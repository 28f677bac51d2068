//! Events: the matches and concerts, with their times in the venue's time zone.

use super::catalog::{self, NamedParams, Seen, Sort, Thing};
use crate::app::App;
use crate::etag::IfMatch;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::moment::Moment;
use crate::page::Page;
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{Catalog, Entity, Event as Own};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

/// A match or concert.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Event {
    /// Identity; never changes.
    #[schema(
        example = "cup-final",
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    name: String,
    /// For people.
    #[schema(
        example = "Cup Final",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    title: String,
    /// IANA name of the venue's time zone: its midnight is when a day's entries begin anew.
    #[schema(example = "Europe/Zurich", min_length = 1, max_length = 64)]
    time_zone: String,
    /// No entry before it.
    #[schema(example = "2026-11-23T17:00:00.000Z")]
    doors_open_at: Moment,
    /// Kick-off.
    #[schema(example = "2026-11-23T19:00:00.000Z")]
    starts_at: Moment,
    /// No entry after it.
    #[schema(example = "2026-11-23T22:00:00.000Z")]
    ends_at: Moment,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// The order: `name`, or `-name` from the end.
    #[param(inline)]
    sort: Option<Sort>,
    /// Only those that end at this moment or later.
    #[param(inline)]
    ends_after: Option<Moment>,
    /// Only those whose doors open at this moment or earlier.
    #[param(inline)]
    opens_before: Option<Moment>,
}

impl Thing for Event {
    type Own = Own;
    type Scope = ();
    const WHAT: &'static str = "event";

    fn at(_: &Catalog, (): ()) -> String {
        "/api/v1/events".to_owned()
    }

    fn name_of(own: &Own) -> &str {
        &own.name
    }

    fn all(catalog: &Catalog, (): ()) -> impl Iterator<Item = &Own> {
        catalog.events().map(|(_, event)| event)
    }

    fn find<'c>(catalog: &'c Catalog, (): (), name: &str) -> Option<&'c Own> {
        catalog.event(catalog.event_named(name)?)
    }

    fn shown(_: &Catalog, own: &Own) -> Event {
        Event {
            name: own.name.clone(),
            title: own.title.clone(),
            time_zone: own.time_zone.clone(),
            doors_open_at: Moment(own.doors_open_at),
            starts_at: Moment(own.starts_at),
            ends_at: Moment(own.ends_at),
        }
    }

    fn own(&self, seen: &Seen<'_, Event>, mistakes: &mut Mistakes) -> Option<Own> {
        mistakes.text("title", &self.title, 1, TITLE_CHARS_MAX);
        Some(Own {
            name: self.name.clone(),
            title: self.title.clone(),
            time_zone: self.time_zone.clone(),
            doors_open_at: self.doors_open_at.0,
            starts_at: self.starts_at.0,
            ends_at: self.ends_at.0,
            cold: seen.before.is_some_and(|before| before.cold),
        })
    }

    fn entity(own: Own) -> Entity {
        Entity::Event(own)
    }
}

/// Lists events by name.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "venue", operation_id = "listEvents", params(EventParams),
    responses((status = 200, description = "A page of events", body = Page<Event>)),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<EventParams>,
) -> Result<Response, Problem> {
    let named = NamedParams::of(params.limit, params.after, params.sort);
    catalog::list::<Event>(&app, &uri, (), named, |event| {
        params.ends_after.is_none_or(|at| event.ends_at >= at.0)
            && params.opens_before.is_none_or(|at| event.doors_open_at <= at.0)
    })
}

/// Makes an event.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "venue", operation_id = "createEvent", request_body = Event,
    responses((status = 201, description = "The event", body = Event,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<Event>,
) -> Result<Response, Problem> {
    catalog::create(&app, by.operator, (), &new).await
}

/// Shows an event.
#[utoipa::path(
    get, path = "/api/v1/events/{event}", tag = "venue", operation_id = "getEvent",
    params(("event" = String, Path, description = "The event's name")),
    responses((status = 200, description = "The event", body = Event, headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    catalog::get::<Event>(&app, &headers, (), &name)
}

/// Replaces what an event is set to.
#[utoipa::path(
    put, path = "/api/v1/events/{event}", tag = "venue", operation_id = "replaceEvent", request_body = Event,
    params(("event" = String, Path, description = "The event's name"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The event as it is now", body = Event,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(new): Json<Event>,
) -> Result<Response, Problem> {
    catalog::replace(&app, by.operator, &if_match, ((), &name), &new).await
}
