//! What is done to gates while guests come: closed, opened, turned free in an emergency, and back. Sets how the gate
//! stands, and tells every device there.

use super::Gate;
use crate::app::App;
use crate::extract::{Json, Path, Who};
use crate::mistakes::Mistakes;
use crate::problem::{Kind, Problem};
use crate::resources::catalog::{self, Change, choice};
use axum::Json as Answer;
use axum::extract::State;
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, DeviceStatus, Gate as Own, GateId, GateMode, OperatorId};
use engine::command::Command;
use engine::registry::{Act, RegistryChange};
use engine::state::DeviceMode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the registry keeps of a gate in an emergency: how it stood before.
const BEFORE_EMERGENCY: &str = "gate_before_emergency";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(emergency_open_all))
        .routes(routes!(release_all))
        .routes(routes!(open))
        .routes(routes!(close))
        .routes(routes!(emergency_open))
        .routes(routes!(release))
}

/// GateReason something is done.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GateReason {
    /// For the audit, in words.
    #[schema(
        example = "smoke in block C",
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    reason: String,
}

/// GateReason something is done, and to which gates.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GatesReason {
    /// For the audit, in words.
    #[schema(
        example = "fire alarm",
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    reason: String,
    /// Name of the event whose gates are meant; `null`: every gate of the venue.
    #[serde(default)]
    #[schema(example = json!(null))]
    event: Option<String>,
}

/// What was done at a gate.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GateOutcome {
    /// The gate.
    #[schema(example = "ENTRANCE_01")]
    gate: String,
    /// How it stood.
    #[schema(schema_with = super::modes)]
    was: GateMode,
    /// How it stands now.
    #[schema(schema_with = super::modes)]
    mode: GateMode,
    /// What each of its devices was told.
    devices: Vec<DeviceTold>,
}

/// What was done at all gates.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GatesOutcome {
    /// Each gate.
    gates: Vec<GateOutcome>,
}

/// What a device was told.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceTold {
    /// The device.
    #[schema(example = "KQT300_001")]
    device: String,
    /// Where it stands in its life: only an active device fetches commands; another is told once it is active again.
    #[schema(schema_with = crate::resources::devices::statuses)]
    status: DeviceStatus,
    /// Was it heard of lately? A device that is silent is told once it is back.
    online: bool,
    /// What it was told.
    #[schema(schema_with = actions)]
    action: &'static str,
    /// The command's number.
    #[schema(example = 4711)]
    command: u64,
}

fn actions() -> Schema {
    choice(&["lock", "release", "emergency_open"], "What a device is told.", None)
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Open,
    Close,
    EmergencyOpen,
    Release,
}

impl Word {
    /// As the audit has it.
    fn action(self) -> &'static str {
        match self {
            Word::Open => "gate_open",
            Word::Close => "gate_close",
            Word::EmergencyOpen => "gate_emergency_open",
            Word::Release => "gate_release",
        }
    }

    /// How a gate stands afterwards. Only a release ends an emergency, and then it is as it was before.
    fn mode(self, app: &App, gate: &Own) -> Result<GateMode, Problem> {
        let emergency = gate.mode == GateMode::EmergencyOpen;
        match self {
            Word::Open | Word::Close if emergency => {
                let words = format!("the gate '{}' is open for an emergency; release it first", gate.name);
                Err(Problem::new(Kind::Conflict, words))
            }
            Word::Open => Ok(GateMode::Open),
            Word::Close => Ok(GateMode::Closed),
            Word::EmergencyOpen => Ok(GateMode::EmergencyOpen),
            Word::Release if emergency => {
                let kept = app.engine.registry_entry(BEFORE_EMERGENCY, &gate.name);
                Ok(kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(GateMode::Open))
            }
            Word::Release => Ok(gate.mode),
        }
    }
}

/// What a device at a gate that stands so is told.
fn command_of(mode: GateMode) -> Command {
    match mode {
        GateMode::Open => Command::Release,
        GateMode::Closed => Command::Lock,
        GateMode::EmergencyOpen => Command::EmergencyOpen,
    }
}

fn check_reason(reason: &str) -> Result<(), Problem> {
    let mut mistakes = Mistakes::default();
    mistakes.reason("reason", reason);
    mistakes.told()
}

async fn one(
    app: &App,
    by: Option<OperatorId>,
    word: Word,
    name: &str,
    why: &GateReason,
) -> Result<Answer<GateOutcome>, Problem> {
    check_reason(&why.reason)?;
    let catalog = app.engine.catalog();
    let gate = catalog.gate_named(name).ok_or_else(|| Problem::not_found("gate", name))?;
    let devices = standing(&catalog).remove(&gate).unwrap_or_default();
    let (done, lsn) = told(app, by, word, (name, &devices), &why.reason)?;
    app.settle(lsn).await?;
    Ok(Answer(done))
}

async fn all(
    app: &App,
    by: Option<OperatorId>,
    word: Word,
    why: &GatesReason,
) -> Result<Answer<GatesOutcome>, Problem> {
    check_reason(&why.reason)?;
    let catalog = app.engine.catalog();
    let mut mistakes = Mistakes::default();
    let event = why.event.as_deref();
    let event = event.map(|name| mistakes.known("event", "event", name, catalog.event_named(name)));
    mistakes.told()?;
    let (mut gates, mut last) = (Vec::new(), Lsn(0));
    let mut standing = standing(&catalog);
    let of_event = |gate: &Own| event.is_none_or(|event| gate.event == event);
    for (id, gate) in catalog.gates().filter(|(_, gate)| of_event(gate)) {
        let devices = standing.remove(&id).unwrap_or_default();
        if word == Word::Release && !in_emergency(app, gate, &devices) {
            continue;
        }
        // Every record is in memory at once and durable together with the others: no gate waits for the one before.
        let (done, lsn) = told(app, by, word, (&gate.name, &devices), &why.reason)?;
        gates.push(done);
        last = last.max(lsn);
    }
    app.settle(last).await?;
    Ok(Answer(GatesOutcome { gates }))
}

/// Sets how a gate stands, notes who and why, and tells its devices. Gives the last record there is to wait for.
fn told(
    app: &App,
    by: Option<OperatorId>,
    word: Word,
    (name, standing): (&str, &[DeviceId]),
    reason: &str,
) -> Result<(GateOutcome, Lsn), Problem> {
    let was = std::cell::Cell::new(GateMode::Open);
    let (gate, mut last) = catalog::change::<Gate>(app, by, (), name, |_, before| {
        was.set(before.mode);
        let after = Own { mode: word.mode(app, before)?, ..before.clone() };
        let act = act(word, before.mode, &after, reason);
        Ok(Change { after, act: Some(act) })
    })?;
    let catalog = app.engine.catalog();
    let mut devices = Vec::new();
    for (id, device) in standing.iter().filter_map(|id| Some((*id, catalog.device(*id)?))) {
        let command = command_of(gate.mode);
        let (action, lives_ms) = (command.action(), command.lives_ms());
        last = app.engine.command(by, id, command, lives_ms)?;
        let (online, status) = (app.is_online(id), device.status);
        devices.push(DeviceTold { device: device.name.clone(), status, online, action, command: last.0 });
    }
    Ok((GateOutcome { gate: gate.name, was: was.get(), mode: gate.mode, devices }, last))
}

/// Devices by the gate they stand at, those that are suspended too: or they would come back as they stood before.
fn standing(catalog: &Catalog) -> HashMap<GateId, Vec<DeviceId>> {
    let mut standing: HashMap<GateId, Vec<DeviceId>> = HashMap::new();
    for (id, device) in catalog.devices().filter(|(_, device)| device.status != DeviceStatus::Revoked) {
        device.gate.into_iter().for_each(|gate| standing.entry(gate).or_default().push(id));
    }
    standing
}

fn in_emergency(app: &App, gate: &Own, devices: &[DeviceId]) -> bool {
    let is_free = |id: &DeviceId| app.engine.device_state(*id).0 == DeviceMode::EmergencyOpen;
    gate.mode == GateMode::EmergencyOpen || devices.iter().any(is_free)
}

fn act(word: Word, was: GateMode, after: &Own, reason: &str) -> Act {
    let value = match word {
        Word::EmergencyOpen if was != GateMode::EmergencyOpen => Some(Some(json!(was).to_string())),
        Word::Release if was == GateMode::EmergencyOpen => Some(None),
        _ => None,
    };
    let kept = |value| RegistryChange { kind: BEFORE_EMERGENCY.to_owned(), name: after.name.clone(), value };
    let details = json!({"reason": reason, "before": {"mode": was}, "after": {"mode": after.mode}});
    Act {
        action: word.action().to_owned(),
        subject: after.name.clone(),
        details: details.to_string(),
        entries: value.map(kept).into_iter().collect(),
    }
}

/// Opens a gate for scans.
///
/// Its devices go back to normal work. A gate that is open for an emergency has to be released.
#[utoipa::path(
    post, path = "/api/v1/gates/{name}/open", tag = "venue", operation_id = "openGate", request_body = GateReason,
    params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "What was done", body = GateOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn open(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<GateReason>,
) -> Result<Answer<GateOutcome>, Problem> {
    one(&app, by.operator, Word::Open, &name, &why).await
}

/// Closes a gate.
///
/// Every scan is refused with `gate_closed`, and its devices stay shut. A gate that is open for an emergency has to be
/// released first.
#[utoipa::path(
    post, path = "/api/v1/gates/{name}/close", tag = "venue", operation_id = "closeGate", request_body = GateReason,
    params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "What was done", body = GateOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn close(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<GateReason>,
) -> Result<Answer<GateOutcome>, Problem> {
    one(&app, by.operator, Word::Close, &name, &why).await
}

/// Turns a gate free for an emergency.
///
/// Its devices let everybody pass and count them; scans still get their real answer. Doing it again tells the devices
/// again.
#[utoipa::path(
    post, path = "/api/v1/gates/{name}/emergency-open", tag = "venue", operation_id = "emergencyOpenGate",
    request_body = GateReason, params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "What was done", body = GateOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn emergency_open(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<GateReason>,
) -> Result<Answer<GateOutcome>, Problem> {
    one(&app, by.operator, Word::EmergencyOpen, &name, &why).await
}

/// Ends an emergency at a gate.
///
/// It stands as it stood before the emergency, and its devices are told so.
#[utoipa::path(
    post, path = "/api/v1/gates/{name}/release", tag = "venue", operation_id = "releaseGate", request_body = GateReason,
    params(("name" = String, Path, description = "The gate's name")),
    responses((status = 200, description = "What was done", body = GateOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn release(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(why): Json<GateReason>,
) -> Result<Answer<GateOutcome>, Problem> {
    one(&app, by.operator, Word::Release, &name, &why).await
}

/// Turns all gates free for an emergency.
///
/// Those of an event, or every gate of the venue.
#[utoipa::path(
    post, path = "/api/v1/gates/emergency-open", tag = "venue", operation_id = "emergencyOpenGates",
    request_body = GatesReason, responses((status = 200, description = "What was done at each gate", body = GatesOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn emergency_open_all(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(why): Json<GatesReason>,
) -> Result<Answer<GatesOutcome>, Problem> {
    all(&app, by.operator, Word::EmergencyOpen, &why).await
}

/// Ends an emergency at all gates.
///
/// Each stands as it stood before. Gates without an emergency are left alone, but for those with a device that is in one.
#[utoipa::path(
    post, path = "/api/v1/gates/release", tag = "venue", operation_id = "releaseGates",
    request_body = GatesReason, responses((status = 200, description = "What was done at each gate", body = GatesOutcome)),
    extensions(("x-permission" = json!("gates.command")))
)]
async fn release_all(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(why): Json<GatesReason>,
) -> Result<Answer<GatesOutcome>, Problem> {
    all(&app, by.operator, Word::Release, &why).await
}
