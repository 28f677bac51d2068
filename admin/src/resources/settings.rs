//! Settings: the program's own, which are read here and set where it is started, and the venue's, which are set here.

use crate::app::{App, NodeSetting};
use crate::etag::{self, IfMatch, Version};
use crate::extract::{Json, Who};
use crate::mistakes::Mistakes;
use crate::page::Page;
use crate::problem::{Kind, Problem};
use crate::venue_settings::{KIND, NAME, VenueSettings};
use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::EngineError;
use engine::registry::{Act, Expected, RegistryChange};
use serde_json::json;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(node)).routes(routes!(get, replace))
}

/// Lists the program's settings as they were resolved when it started.
///
/// They are set by flags, environment or file. Of a secret is told whether there is one.
#[utoipa::path(
    get, path = "/api/v1/settings/node", tag = "oversight", operation_id = "listNodeSettings",
    responses((status = 200, description = "All settings", body = Page<NodeSetting>)),
    extensions(("x-permission" = json!("settings.read")))
)]
async fn node(State(app): State<Arc<App>>) -> Answer<Page<NodeSetting>> {
    Answer(Page { items: app.settings.clone(), next: None })
}

/// Shows the venue's settings.
#[utoipa::path(
    get, path = "/api/v1/settings/venue", tag = "oversight", operation_id = "getVenueSettings",
    responses((status = 200, description = "The settings", body = VenueSettings,
        headers(("ETag", description = "Their version")))),
    extensions(("x-permission" = json!("settings.read")))
)]
async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    etag::shown(&headers, &VenueSettings::of(&app.engine))
}

/// Replaces the venue's settings.
#[utoipa::path(
    put, path = "/api/v1/settings/venue", tag = "oversight", operation_id = "replaceVenueSettings",
    request_body = VenueSettings,
    params(("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The settings as they are now", body = VenueSettings,
        headers(("ETag", description = "Their version")))),
    extensions(("x-permission" = json!("settings.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    if_match: IfMatch,
    Json(new): Json<VenueSettings>,
) -> Result<Response, Problem> {
    let kept = app.engine.registry_entry(KIND, NAME);
    let before = kept.as_deref().map(VenueSettings::read).unwrap_or_default();
    if_match.check(&Version::of(&before))?;
    let mut mistakes = Mistakes::default();
    new.check(&mut mistakes);
    mistakes.told()?;
    if new != before {
        let value = Some(json!(new).to_string());
        let entry = RegistryChange { kind: KIND.to_owned(), name: NAME.to_owned(), value };
        let act = Act {
            action: "settings_change".to_owned(),
            subject: NAME.to_owned(),
            details: json!({"before": before, "after": new}).to_string(),
            entries: vec![entry],
        };
        let expected = Expected { kind: KIND, name: NAME, value: kept.as_deref() };
        let changed = app.engine.act_if(by.operator, &[expected], act);
        let by_others =
            || Problem::new(Kind::Changed, "they were changed since you read them; read them again");
        let lsn = match changed {
            Err(EngineError::Changed) => return Err(by_others()),
            changed => changed?,
        };
        app.settle(lsn).await?;
    }
    Ok(etag::changed(StatusCode::OK, &new))
}
