//! Gates: the places where scans happen, each from one zone to another. What is done to them while guests come is in
//! `commands`.

mod commands;

use super::catalog::{self, NamedParams, Seen, Sort, Thing, choice};
use crate::app::App;
use crate::etag::IfMatch;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::page::Page;
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{Catalog, Entity, FailPolicy, Gate as Own, GateMode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Paths of this API that a gate's name would be behind.
const NAMES_TAKEN: [&str; 2] = ["emergency-open", "release"];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace)).merge(commands::routes())
}

/// A place where scans happen; it leads from one zone to another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Gate {
    /// Identity; never changes.
    #[schema(
        example = "ENTRANCE_01",
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    name: String,
    /// Name of the event it serves now; `null`: it is closed.
    #[serde(default)]
    #[schema(example = "cup-final")]
    event: Option<String>,
    /// Name of the zone where people stand before they pass.
    #[schema(example = "outside")]
    from: String,
    /// Name of the zone where they stand after.
    #[schema(example = "BOWL")]
    to: String,
    /// How it stands. Setting it here tells its devices nothing: `open`, `close`, `emergency-open` and `release` do.
    #[serde(default = "open")]
    #[schema(schema_with = modes)]
    mode: GateMode,
    /// What its devices do while the server cannot decide.
    #[serde(default = "shut")]
    #[schema(schema_with = policies)]
    fail_policy: FailPolicy,
}

/// Which gates.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GateParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// The order: `name`, or `-name` from the end.
    #[param(inline)]
    sort: Option<Sort>,
    /// Only those that serve the event of this name.
    event: Option<String>,
    /// Only those that stand so.
    #[param(schema_with = modes)]
    mode: Option<GateMode>,
}

fn open() -> GateMode {
    GateMode::Open
}

fn shut() -> FailPolicy {
    FailPolicy::Closed
}

/// How a gate stands.
fn modes() -> Schema {
    let words = "How a gate stands: `open`: scans decide; `closed`: everybody is refused; `emergency_open`: it turns free \
                 and passages are counted.";
    choice(&[GateMode::Open, GateMode::Closed, GateMode::EmergencyOpen], words, None)
}

fn policies() -> Schema {
    let words = "What devices do while the server cannot decide: stay `closed`, or `open` and count.";
    choice(&[FailPolicy::Closed, FailPolicy::Open], words, None)
}

impl Thing for Gate {
    type Own = Own;
    type Scope = ();
    const WHAT: &'static str = "gate";

    fn at(_: &Catalog, (): ()) -> String {
        "/api/v1/gates".to_owned()
    }

    fn name_of(own: &Own) -> &str {
        &own.name
    }

    fn all(catalog: &Catalog, (): ()) -> impl Iterator<Item = &Own> {
        catalog.gates().map(|(_, gate)| gate)
    }

    fn find<'c>(catalog: &'c Catalog, (): (), name: &str) -> Option<&'c Own> {
        catalog.gate(catalog.gate_named(name)?)
    }

    fn shown(catalog: &Catalog, own: &Own) -> Gate {
        let zone = |id| catalog.zone(id).map(|zone| zone.name.clone()).unwrap_or_default();
        let event = own.event.and_then(|id| catalog.event(id));
        Gate {
            name: own.name.clone(),
            event: event.map(|event| event.name.clone()),
            from: zone(own.from),
            to: zone(own.to),
            mode: own.mode,
            fail_policy: own.fail_policy,
        }
    }

    fn own(&self, seen: &Seen<'_, Gate>, mistakes: &mut Mistakes) -> Option<Own> {
        let free = !NAMES_TAKEN.contains(&self.name.as_str());
        mistakes.rule(free, "name", "this word is a path of the API; choose another name");
        let event = self.event.as_ref();
        let event = event.map(|name| mistakes.known("event", "event", name, seen.catalog.event_named(name)));
        let from = mistakes.known("from", "zone", &self.from, seen.catalog.zone_named(&self.from));
        let to = mistakes.known("to", "zone", &self.to, seen.catalog.zone_named(&self.to));
        Some(Own {
            name: self.name.clone(),
            event: event.flatten(),
            from: from?,
            to: to?,
            mode: self.mode,
            fail_policy: self.fail_policy,
        })
    }

    fn entity(own: Own) -> Entity {
        Entity::Gate(own)
    }
}

/// Lists gates by name.
#[utoipa::path(
    get, path = "/api/v1/gates", tag = "venue", operation_id = "listGates", params(GateParams),
    responses((status = 200, description = "A page of gates", body = Page<Gate>)),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<GateParams>,
) -> Result<Response, Problem> {
    let named = NamedParams::of(params.limit, params.after, params.sort);
    let catalog = app.engine.catalog();
    let event = params.event.as_deref().map(|name| catalog.event_named(name));
    catalog::list::<Gate>(&app, &uri, (), named, |gate| {
        event.is_none_or(|event| event.is_some() && gate.event == event)
            && params.mode.is_none_or(|mode| gate.mode == mode)
    })
}

/// Makes a gate.
#[utoipa::path(
    post, path = "/api/v1/gates", tag = "venue", operation_id = "createGate", request_body = Gate,
    responses((status = 201, description = "The gate", body = Gate,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<Gate>,
) -> Result<Response, Problem> {
    catalog::create(&app, by.operator, (), &new).await
}

/// Shows a gate.
#[utoipa::path(
    get, path = "/api/v1/gates/{name}", tag = "venue", operation_id = "getGate",
    params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "The gate", body = Gate, headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    catalog::get::<Gate>(&app, &headers, (), &name)
}

/// Replaces what a gate is set to.
///
/// Its devices are told nothing of another `mode`; scans are decided by it at once.
#[utoipa::path(
    put, path = "/api/v1/gates/{name}", tag = "venue", operation_id = "replaceGate", request_body = Gate,
    params(("name" = String, Path, description = "The gate's name"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The gate as it is now", body = Gate,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(new): Json<Gate>,
) -> Result<Response, Problem> {
    catalog::replace(&app, by.operator, &if_match, ((), &name), &new).await
}
