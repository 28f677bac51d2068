//! How a device stands now: heard of or not, what it was set to, what waits for it.

use super::commands::device;
use super::schemas::statuses;
use crate::app::App;
use crate::extract::Path;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::resources::catalog::{choice, or_null};
use axum::Json as Answer;
use axum::extract::State;
use engine::catalog::{DeviceStatus, GateMode};
use engine::state::DeviceMode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(state))
}

/// How a device stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceState {
    /// The device.
    #[schema(example = "KQT300_001")]
    device: String,
    /// Where it stands in its life.
    #[schema(schema_with = statuses)]
    status: DeviceStatus,
    /// Was it heard of within the last 90 seconds?
    online: bool,
    /// When it was last heard of; `null`: not since the start of this node.
    last_seen: Option<Moment>,
    /// What operators set it to.
    #[schema(schema_with = device_modes)]
    mode: DeviceMode,
    /// Commands it has not fetched yet.
    commands_waiting: usize,
    /// Rises with every change the device should fetch.
    config_version: u32,
    /// The gate it stands at.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// How that gate stands.
    #[schema(schema_with = gate_modes)]
    gate_mode: Option<GateMode>,
}

fn device_modes() -> Schema {
    let all = [DeviceMode::Normal, DeviceMode::Locked, DeviceMode::EmergencyOpen];
    choice(
        &all,
        "What operators set a device to: scans decide, it stays shut, or it turns free and counts.",
        None,
    )
}

fn gate_modes() -> Schema {
    or_null(choice(
        &[GateMode::Open, GateMode::Closed, GateMode::EmergencyOpen],
        "How the gate stands.",
        None,
    ))
}

/// Shows how a device stands now.
#[utoipa::path(
    get, path = "/api/v1/devices/{name}/state", tag = "devices", operation_id = "getDeviceState",
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "How it stands", body = DeviceState)),
    extensions(("x-permission" = json!("devices.read")))
)]
async fn state(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Answer<DeviceState>, Problem> {
    let catalog = app.engine.catalog();
    let (id, device) = device(&catalog, &name)?;
    let (mode, commands_waiting) = app.engine.device_state(id);
    let gate = device.gate.and_then(|id| catalog.gate(id));
    Ok(Answer(DeviceState {
        device: device.name.clone(),
        status: device.status,
        online: app.is_online(id),
        last_seen: (app.last_seen)(id).map(Moment),
        mode,
        commands_waiting,
        config_version: device.config_version,
        gate: gate.map(|gate| gate.name.clone()),
        gate_mode: gate.map(|gate| gate.mode),
    }))
}
