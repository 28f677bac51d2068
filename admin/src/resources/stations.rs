//! Stations: client PCs with printers and displays. Each has a key that opens its own two paths and nothing else; it is shown
//! once. What a station has to do goes there from the queue. A station is an operator nobody signs in as.

use crate::access::STATION_PREFIX;
use crate::app::App;
use crate::auth::{act, no_random};
use crate::extract::{Json, Params, Path, Who};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::catalog::{Catalog, Entity, Operator, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 40;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(end))
}

/// A station.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Station {
    /// Its name.
    #[schema(example = "box-1")]
    name: String,
    /// Was it heard of lately?
    #[schema(example = true)]
    online: bool,
}

/// A station that is to get a key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewStation {
    /// Its name, as the peripherals file has it.
    #[schema(example = "box-1", min_length = 1, max_length = 40, pattern = r"^[A-Za-z0-9_.\-]+$")]
    name: String,
}

/// A station's key.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct StationKey {
    /// The station.
    #[schema(example = "box-1")]
    station: String,
    /// Its key: shown now and never again. The one before is known no longer.
    #[schema(example = "q7m2k9x4w8h3n5v6b2c4d7f9g3j5p8r2")]
    key: String,
}

/// Stations that have a key, by name.
fn with_key(catalog: &Catalog) -> impl Iterator<Item = &str> {
    let keyed = catalog.operators().filter(|(_, own)| !own.token_hashes.is_empty());
    keyed.filter_map(|(_, own)| own.name.strip_prefix(STATION_PREFIX))
}

fn entity(name: &str, token_hashes: Vec<[u8; 32]>) -> Entity {
    let name = format!("{STATION_PREFIX}{name}");
    Entity::Operator(Operator { name, role: Role::Steward, password_hash: String::new(), token_hashes })
}

fn check_name(name: &str) -> Result<(), Problem> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(good) {
        return Ok(());
    }
    let words = format!("1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, '-', '_' and '.' are meant");
    Err(Problem::invalid("name", words))
}

/// Lists stations by name.
#[utoipa::path(
    get, path = "/api/v1/stations", tag = "peripherals", operation_id = "listStations", params(PageParams),
    responses((status = 200, description = "A page of stations", body = Page<Station>)),
    extensions(("x-permission" = json!("peripherals.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let catalog = app.engine.catalog();
    let mut names: Vec<&str> = with_key(&catalog).collect();
    names.sort_unstable();
    let is_online = |name: &str| app.peripherals.now().is_some_and(|own| own.hears(name));
    let behind = names.into_iter().filter(|name| after.as_deref().is_none_or(|after| *name > after));
    let station = |name: &str| Station { name: name.to_owned(), online: is_online(name) };
    let items = behind.take(limit + 1).map(station).collect();
    Ok(Page::of(items, limit, |item: &Station| item.name.clone()).answer(&uri))
}

/// Gives a station its key, or the one of this name another.
#[utoipa::path(
    post, path = "/api/v1/stations", tag = "peripherals", operation_id = "createStation", request_body = NewStation,
    responses((status = 201, description = "The key, shown this once", body = StationKey)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<NewStation>,
) -> Result<Response, Problem> {
    check_name(&new.name)?;
    let key = secrets::new_key().map_err(no_random)?;
    let station = entity(&new.name, vec![secrets::hash(key.as_bytes())]);
    app.settle(app.engine.put(by.operator, station)?).await?;
    let secret = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let body = StationKey { station: new.name, key };
    Ok((StatusCode::CREATED, secret, axum::Json(body)).into_response())
}

/// Ends a station's key: it gets no work any more.
#[utoipa::path(
    delete, path = "/api/v1/stations/{name}", tag = "peripherals", operation_id = "endStation",
    params(("name" = String, Path, description = "The station's name")),
    responses((status = 204, description = "Its key opens nothing any more")),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn end(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let catalog = app.engine.catalog();
    let id = catalog.operator_named(&format!("{STATION_PREFIX}{name}"));
    let own = id.and_then(|id| catalog.operator(id)).filter(|own| !own.token_hashes.is_empty());
    let own = own.ok_or_else(|| Problem::not_found("station", &name))?;
    let (before, after) = (Entity::Operator(own.clone()), entity(&name, Vec::new()));
    let act = act("station_ended", &name, json!({}), Vec::new());
    app.settle(app.engine.put_with(by.operator, Some(&before), after, act)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
