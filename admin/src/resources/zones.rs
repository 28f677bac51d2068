//! Zones: areas with a head count and maybe a capacity.

use super::catalog::{self, Thing};
use crate::app::App;
use crate::etag::IfMatch;
use crate::extract::{Json, Params, Path, Who};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{CapacityRule, Catalog, Entity, Zone as Own};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

/// What happens when a zone is full.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// Refuse.
    #[default]
    Hard,
    /// Admit with attention.
    Soft,
}

/// An area with a head count and maybe a capacity.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Zone {
    /// Identity; never changes.
    #[schema(example = "BOWL", min_length = 1, max_length = 128)]
    name: String,
    /// Most people inside; `null` is no limit.
    #[serde(default)]
    #[schema(example = 60_000)]
    capacity: Option<u32>,
    /// At the capacity: refuse or admit with attention.
    #[serde(default)]
    rule: Rule,
}

impl Thing for Zone {
    const WHAT: &'static str = "zone";
    const AT: &'static str = "/api/v1/zones";

    fn name(&self) -> &str {
        &self.name
    }

    fn all(catalog: &Catalog) -> Vec<(String, Entity)> {
        catalog.zones().map(|(_, zone)| (zone.name.clone(), Entity::Zone(zone.clone()))).collect()
    }

    fn of(_: &Catalog, entity: &Entity) -> Zone {
        let Entity::Zone(zone) = entity else { unreachable!("only zones are given") };
        let rule = match zone.rule {
            CapacityRule::Hard => Rule::Hard,
            CapacityRule::Soft => Rule::Soft,
        };
        Zone { name: zone.name.clone(), capacity: zone.capacity, rule }
    }

    fn entity(&self, _: &Catalog, _: Option<&Entity>) -> Result<Entity, Problem> {
        let rule = match self.rule {
            Rule::Hard => CapacityRule::Hard,
            Rule::Soft => CapacityRule::Soft,
        };
        Ok(Entity::Zone(Own { name: self.name.clone(), capacity: self.capacity, rule }))
    }

    fn find(catalog: &Catalog, name: &str) -> Option<Entity> {
        catalog.zone_named(name).and_then(|id| catalog.zone(id)).cloned().map(Entity::Zone)
    }
}

/// Lists zones by name.
#[utoipa::path(
    get, path = "/api/v1/zones", tag = "venue", operation_id = "listZones", params(PageParams),
    responses((status = 200, description = "A page of zones", body = Page<Zone>)),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    catalog::list::<Zone>(&app, &uri, &page, |_| true)
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
    catalog::create(&app, by.operator, new).await
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
    catalog::get::<Zone>(&app, &headers, &name)
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
    catalog::replace(&app, by.operator, &if_match, &name, new).await
}
