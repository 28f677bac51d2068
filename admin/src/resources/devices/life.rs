//! What happens to a device in its life: it is approved, switched off and on again, and taken out for good; its key is
//! changed. Who revokes a device knows that it never comes back.

use super::{Device, new_key, statuses};
use crate::app::App;
use crate::extract::{Json, Path, Who};
use crate::mistakes::Mistakes;
use crate::problem::{Kind, Problem};
use crate::resources::catalog::{self, Change};
use axum::Json as Answer;
use axum::extract::State;
use engine::catalog::{Device as Own, DeviceStatus, OperatorId};
use engine::registry::Act;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(approve))
        .routes(routes!(suspend))
        .routes(routes!(resume))
        .routes(routes!(revoke))
        .routes(routes!(rotate_key))
}

/// DeviceReason something is done to a device.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceReason {
    /// For the audit, in words.
    #[serde(default)]
    #[schema(
        example = "display is broken",
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    reason: Option<String>,
}

/// Where a device stands now.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceStands {
    /// The device.
    #[schema(example = "KQT300_001")]
    device: String,
    /// Where it stands in its life.
    #[schema(schema_with = statuses)]
    status: DeviceStatus,
}

/// A device's new key.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceKey {
    /// The device.
    #[schema(example = "KQT300_001")]
    device: String,
    /// Its key: shown now and never again. The one before is known no longer.
    #[schema(example = "q7m2k9x4w8h3n5v6b2c4d7f9g3j5p8r2")]
    key: String,
}

/// A step in a device's life.
#[derive(Clone, Copy)]
enum Step {
    Approve,
    Suspend,
    Resume,
    Revoke,
}

impl Step {
    fn action(self) -> &'static str {
        match self {
            Step::Approve => "device_approve",
            Step::Suspend => "device_suspend",
            Step::Resume => "device_resume",
            Step::Revoke => "device_revoke",
        }
    }

    /// Where it leads; `Err` says what to do instead.
    fn from(self, status: DeviceStatus) -> Result<DeviceStatus, &'static str> {
        use DeviceStatus::{Active, Pending, Revoked, Suspended};
        match (self, status) {
            (Step::Approve, Pending | Active) | (Step::Resume, Suspended | Active) => Ok(Active),
            (Step::Suspend, Active | Suspended) => Ok(Suspended),
            (Step::Revoke, _) => Ok(Revoked),
            (_, Revoked) => Err("it was revoked and never comes back; make a new device"),
            (Step::Approve, Suspended) => Err("it is suspended; resume it"),
            (Step::Suspend | Step::Resume, Pending) => Err("it waits for approval; approve or revoke it"),
        }
    }
}

/// Refuses what is to be done to a device that was revoked.
pub(super) fn not_revoked(device: &Own) -> Result<(), Problem> {
    if device.status == DeviceStatus::Revoked {
        return Err(contradiction(device, "it was revoked and never comes back; make a new device"));
    }
    Ok(())
}

fn contradiction(device: &Own, words: &str) -> Problem {
    Problem::new(Kind::Conflict, format!("device '{}': {words}", device.name))
}

/// A line of the audit about a device.
pub(super) fn act(action: &str, device: &Own, details: &serde_json::Value) -> Act {
    Act {
        action: action.to_owned(),
        subject: device.name.clone(),
        details: details.to_string(),
        entries: Vec::new(),
    }
}

fn check_reason(why: &DeviceReason) -> Result<(), Problem> {
    let mut mistakes = Mistakes::default();
    if let Some(reason) = &why.reason {
        mistakes.reason("reason", reason);
    }
    mistakes.told()
}

async fn step(
    app: &App,
    by: Option<OperatorId>,
    step: Step,
    name: &str,
    why: &DeviceReason,
) -> Result<Answer<DeviceStands>, Problem> {
    check_reason(why)?;
    let (device, lsn) = catalog::change::<Device>(app, by, (), name, |_, before| {
        let status = step.from(before.status).map_err(|words| contradiction(before, words))?;
        let after = Own { status, ..before.clone() };
        let details =
            json!({"reason": why.reason, "before": {"status": before.status}, "after": {"status": status}});
        // Doing it twice changes nothing, and leaves one line.
        let act = (status != before.status).then(|| act(step.action(), before, &details));
        Ok(Change { after, act })
    })?;
    app.settle(lsn).await?;
    Ok(Answer(DeviceStands { device: device.name, status: device.status }))
}

/// Lets a device that waits work.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/approve", tag = "devices", operation_id = "approveDevice", request_body = DeviceReason,
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "Where it stands", body = DeviceStands)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn approve(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<DeviceReason>,
) -> Result<Answer<DeviceStands>, Problem> {
    step(&app, by.operator, Step::Approve, &name, &why).await
}

/// Switches a device off for now.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/suspend", tag = "devices", operation_id = "suspendDevice", request_body = DeviceReason,
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "Where it stands", body = DeviceStands)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn suspend(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<DeviceReason>,
) -> Result<Answer<DeviceStands>, Problem> {
    step(&app, by.operator, Step::Suspend, &name, &why).await
}

/// Switches a suspended device on again.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/resume", tag = "devices", operation_id = "resumeDevice", request_body = DeviceReason,
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "Where it stands", body = DeviceStands)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn resume(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<DeviceReason>,
) -> Result<Answer<DeviceStands>, Problem> {
    step(&app, by.operator, Step::Resume, &name, &why).await
}

/// Takes a device out for good.
///
/// It never comes back: a reader that was found again gets a new name and a new key.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/revoke", tag = "devices", operation_id = "revokeDevice", request_body = DeviceReason,
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "Where it stands", body = DeviceStands)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn revoke(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<DeviceReason>,
) -> Result<Answer<DeviceStands>, Problem> {
    step(&app, by.operator, Step::Revoke, &name, &why).await
}

/// Gives a device a new key.
///
/// The key it had is known no longer, from this answer on. The new one is shown in this answer and never again.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/rotate-key", tag = "devices", operation_id = "rotateDeviceKey",
    request_body = DeviceReason, params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "The new key", body = DeviceKey)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn rotate_key(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<DeviceReason>,
) -> Result<Answer<DeviceKey>, Problem> {
    check_reason(&why)?;
    let (key, hash) = new_key()?;
    let (device, lsn) = catalog::change::<Device>(&app, by.operator, (), &name, |_, before| {
        not_revoked(before)?;
        let after = Own { key_hashes: vec![hash], ..before.clone() };
        let act = act("device_rotate_key", before, &json!({"reason": why.reason}));
        Ok(Change { after, act: Some(act) })
    })?;
    app.settle(lsn).await?;
    Ok(Answer(DeviceKey { device: device.name, key }))
}
