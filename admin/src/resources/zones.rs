//! Zones: areas with a head count and maybe a capacity. `outside` is where everybody starts, and stays as it is.

use super::catalog::{self, NamedParams, Seen, Thing, choice};
use crate::app::App;
use crate::etag::IfMatch;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::page::Page;
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{CapacityRule, Catalog, Entity, Zone as Own};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

/// An area with a head count and maybe a capacity.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Zone {
    /// Identity; never changes.
    #[schema(
        example = "BOWL",
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    name: String,
    /// Most people inside; `null` is no limit.
    #[serde(default)]
    #[schema(example = 60_000, minimum = 0, maximum = 4_294_967_295_u32)]
    capacity: Option<u32>,
    /// At the capacity.
    #[serde(default = "hard")]
    #[schema(schema_with = rules)]
    rule: CapacityRule,
}

fn hard() -> CapacityRule {
    CapacityRule::Hard
}

fn rules() -> Schema {
    let all = [CapacityRule::Hard, CapacityRule::Soft];
    choice(&all, "At the capacity: `hard` refuses, `soft` admits with attention.", Some(&all[0]))
}

impl Thing for Zone {
    type Own = Own;
    type Scope = ();
    const WHAT: &'static str = "zone";

    fn at(_: &Catalog, (): ()) -> String {
        "/api/v1/zones".to_owned()
    }

    fn name_of(own: &Own) -> &str {
        &own.name
    }

    fn all(catalog: &Catalog, (): ()) -> impl Iterator<Item = &Own> {
        catalog.zones().map(|(_, zone)| zone)
    }

    fn find<'c>(catalog: &'c Catalog, (): (), name: &str) -> Option<&'c Own> {
        catalog.zone(catalog.zone_named(name)?)
    }

    fn shown(_: &Catalog, own: &Own) -> Zone {
        Zone { name: own.name.clone(), capacity: own.capacity, rule: own.rule }
    }

    fn own(&self, seen: &Seen<'_, Zone>, mistakes: &mut Mistakes) -> Option<Own> {
        let own = Own { name: self.name.clone(), capacity: self.capacity, rule: self.rule };
        // That it has no capacity is a rule of the catalog.
        let stays = seen.before.is_none_or(|before| before.name != "outside" || before.rule == own.rule);
        mistakes.rule(stays, "rule", "the zone outside is where everybody starts; it stays as it is");
        Some(own)
    }

    fn entity(own: Own) -> Entity {
        Entity::Zone(own)
    }
}

/// Lists zones by name.
#[utoipa::path(
    get, path = "/api/v1/zones", tag = "venue", operation_id = "listZones", params(NamedParams),
    responses((status = 200, description = "A page of zones", body = Page<Zone>)),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<NamedParams>,
) -> Result<Response, Problem> {
    catalog::list::<Zone>(&app, &uri, (), params, |_| true)
}

/// Makes a zone.
#[utoipa::path(
    post, path = "/api/v1/zones", tag = "venue", operation_id = "createZone", request_body = Zone,
    responses((status = 201, description = "The zone", body = Zone,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<Zone>,
) -> Result<Response, Problem> {
    catalog::create(&app, by.operator, (), &new).await
}

/// Shows a zone.
#[utoipa::path(
    get, path = "/api/v1/zones/{name}", tag = "venue", operation_id = "getZone",
    params(("name" = String, Path, description = "The zone's name")),
    responses((status = 200, description = "The zone", body = Zone, headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    catalog::get::<Zone>(&app, &headers, (), &name)
}

/// Replaces what a zone is set to.
#[utoipa::path(
    put, path = "/api/v1/zones/{name}", tag = "venue", operation_id = "replaceZone", request_body = Zone,
    params(("name" = String, Path, description = "The zone's name"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The zone as it is now", body = Zone,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(new): Json<Zone>,
) -> Result<Response, Problem> {
    catalog::replace(&app, by.operator, &if_match, ((), &name), &new).await
}
