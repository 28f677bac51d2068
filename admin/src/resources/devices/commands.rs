//! What an operator tells a device, one at a time. What is told to all devices of a gate is the gate's.

use super::life::not_revoked;
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use crate::resources::catalog::choice;
use crate::resources::names;
use axum::Json as Answer;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::Lsn;
use engine::catalog::{Catalog, Device, DeviceId};
use engine::command::{Command, CommandError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::CommandRow;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(history, command))
}

/// What a device is to do.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceOrder {
    /// What.
    #[schema(schema_with = actions)]
    action: String,
    /// What a message says, of 1 to 256 bytes; for a message only.
    #[serde(default)]
    #[schema(example = json!(null), max_length = 256)]
    message: Option<String>,
}

/// A command that waits for its device.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceCommand {
    /// Its number.
    #[schema(example = 4711)]
    command: u64,
    /// The device.
    #[schema(example = "KQT300_001")]
    device: String,
    /// What it is to do.
    #[schema(schema_with = actions)]
    action: &'static str,
    /// What a message says.
    message: Option<String>,
    /// Not handed over after this.
    expires_at: Moment,
}

/// A command of a device's history.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GivenCommand {
    /// Its number.
    #[schema(example = 4711)]
    command: u64,
    /// When it was given.
    at: Moment,
    /// By whom; `null`: the program itself.
    #[schema(example = "anna@example.org")]
    operator: Option<String>,
    /// What it is to do.
    #[schema(schema_with = actions)]
    action: &'static str,
    /// What a message says.
    message: Option<String>,
    /// Not handed over after this.
    expires_at: Moment,
    /// When the device fetched its commands, this one among them unless it had expired or another took its place.
    delivered_at: Option<Moment>,
}

impl GivenCommand {
    fn of(catalog: &Catalog, row: &CommandRow) -> GivenCommand {
        GivenCommand {
            command: row.lsn.0,
            at: Moment(row.at),
            operator: names::operator(catalog, row.operator),
            action: row.command.action(),
            message: row.command.text().map(str::to_owned),
            expires_at: Moment(row.expires_at),
            delivered_at: row.delivered_at.map(Moment),
        }
    }
}

fn actions() -> Schema {
    let words = "`unlock` opens once, `lock` keeps it shut, `release` is back to normal work, `emergency_open` turns it \
                 free, `reload` makes it fetch its settings, `message` shows a text.";
    choice(&["unlock", "lock", "release", "emergency_open", "reload", "message"], words, None)
}

fn read(order: &DeviceOrder) -> Result<Command, Problem> {
    let mut mistakes = Mistakes::default();
    let needless = order.message.is_some() && order.action != "message";
    mistakes.rule(!needless, "message", "only a message has a text");
    mistakes.told()?;
    Command::of_words(&order.action, order.message.as_deref()).map_err(|error| {
        let field = if error == CommandError::Message { "message" } else { "action" };
        Problem::invalid(field, error.to_string())
    })
}

/// The device of a name.
pub(super) fn device<'c>(catalog: &'c Catalog, name: &str) -> Result<(DeviceId, &'c Device), Problem> {
    let found = catalog.device_named(name).and_then(|id| Some((id, catalog.device(id)?)));
    found.ok_or_else(|| Problem::not_found("device", name))
}

/// Tells a device something.
///
/// A device that listens hears of it at once, another with its next heartbeat. An unlock waits 10 seconds, a message a
/// minute, everything else a day. Of messages and unlocks 30 may wait.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/commands", tag = "devices", operation_id = "commandDevice",
    request_body = DeviceOrder, params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "The command", body = DeviceCommand)),
    extensions(("x-permission" = json!("devices.command")))
)]
async fn command(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(order): Json<DeviceOrder>,
) -> Result<Answer<DeviceCommand>, Problem> {
    let command = read(&order)?;
    let catalog = app.engine.catalog();
    let (id, device) = device(&catalog, &name)?;
    not_revoked(device)?;
    let (action, lives_ms) = (command.action(), command.lives_ms());
    let expires_at = Moment(app.engine.now().plus_ms(lives_ms));
    let lsn = app.engine.command(by.operator, id, command, lives_ms)?;
    app.settle(lsn).await?;
    let device = device.name.clone();
    Ok(Answer(DeviceCommand { command: lsn.0, device, action, message: order.message, expires_at }))
}

/// Lists what a device was told, newest first.
#[utoipa::path(
    get, path = "/api/v1/devices/{name}/commands", tag = "devices", operation_id = "listDeviceCommands",
    params(("name" = String, Path, description = "The device's name"), PageParams),
    responses((status = 200, description = "A page of commands", body = Page<GivenCommand>)),
    extensions(("x-permission" = json!("devices.read")))
)]
async fn history(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Path(name): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, before) = (page.limit()?, page.after::<u64>()?.map(Lsn));
    let catalog = app.engine.catalog();
    let (id, _) = device(&catalog, &name)?;
    let rows = app.ask(move |store| store.device_commands(id, before, limit + 1)).await?;
    let items = rows.iter().map(|row| GivenCommand::of(&catalog, row)).collect();
    Ok(Page::of(items, limit, |item: &GivenCommand| item.command).answer(&uri))
}
