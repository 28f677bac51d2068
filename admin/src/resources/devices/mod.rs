//! Devices: readers and turnstiles, what they are set to, and how they stand. Their keys are known as hashes and never
//! shown; what happens to one in its life is in `life`, what it is told in `commands`, its settings QR in `provisioning`.

mod commands;
mod life;
mod provisioning;
mod schemas;
mod settings_code;
mod state;

use super::catalog::{self, NamedParams, Seen, Sort, Thing};
use crate::app::App;
use crate::etag::{self, IfMatch};
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::page::Page;
use crate::problem::{Kind, Problem};
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{CardFormat, Catalog, Device as Own, DeviceStatus, Direction, Entity};
use engine::limits::{DEVICE_RATE_PER_MINUTE, REPEAT_WINDOW_MS};
pub(super) use schemas::statuses;
use schemas::{SOURCES_MAX, addresses, card_formats, directions, settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest number of the readers' own format and longest text of a heartbeat, in characters.
const WORD_CHARS_MAX: usize = 64;
/// Longest time in which the same code is one scan, in milliseconds.
const REPEAT_WINDOW_MS_MAX: u32 = 600_000;
/// Most requests a minute that may be set; more is unlimited.
const RATE_MAX: u32 = 1_000_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace))
        .merge(state::routes())
        .merge(life::routes())
        .merge(commands::routes())
        .merge(provisioning::routes())
}

/// A reader or turnstile.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Device {
    /// Identity; never changes.
    #[schema(
        example = "KQT300_001",
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    name: String,
    /// Name of the gate it stands at; `null`: each of its requests says.
    #[serde(default)]
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// Name of the profile that says how it speaks.
    #[serde(default = "json_profile")]
    #[schema(example = "json-v1", default = "json-v1")]
    profile: String,
    /// The number it sends in the readers' own format.
    #[serde(default)]
    #[schema(example = json!(null), min_length = 1, max_length = 64)]
    number: Option<String>,
    /// Where it stands in its life. A new one is `active` or `pending`; afterwards `approve`, `suspend`, `resume` and
    /// `revoke` change it.
    #[serde(default = "active")]
    #[schema(schema_with = statuses)]
    status: DeviceStatus,
    /// Requests a minute; `null` is unlimited.
    #[serde(default = "rate")]
    #[schema(example = 100, minimum = 1, maximum = 1_000_000, default = 100)]
    rate_per_minute: Option<u32>,
    /// How it writes card numbers; `null` leaves it to the profile.
    #[serde(default)]
    #[schema(schema_with = card_formats)]
    card_format: Option<CardFormat>,
    /// The text its heartbeat sends in place of a code.
    #[serde(default)]
    #[schema(example = json!(null), min_length = 1, max_length = 64)]
    heartbeat_code: Option<String>,
    /// The way it looks; `null` leaves it to the gate.
    #[serde(default)]
    #[schema(schema_with = directions)]
    direction: Option<Direction>,
    /// Addresses it may speak from; none: any.
    #[serde(default)]
    #[schema(schema_with = addresses)]
    sources: Vec<String>,
    /// Does its display show the holder's name?
    #[serde(default = "yes")]
    #[schema(example = true, default = true)]
    shows_name: bool,
    /// Milliseconds in which the same code without an id is one scan.
    #[serde(default = "repeat_window")]
    #[schema(example = 3_000, maximum = 600_000, default = 3_000)]
    repeat_window_ms: u32,
    /// Settings the device fetches, name to text. A change of them, or of the profile, makes it fetch them.
    #[serde(default)]
    #[schema(schema_with = settings)]
    settings: BTreeMap<String, String>,
}

/// A device with its key.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DeviceWithKey {
    /// The device.
    #[serde(flatten)]
    device: Device,
    /// Its key: shown now and never again.
    #[schema(example = "q7m2k9x4w8h3n5v6b2c4d7f9g3j5p8r2")]
    key: String,
}

/// Which devices.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeviceParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// The order: `name`, or `-name` from the end.
    #[param(inline)]
    sort: Option<Sort>,
    /// Only those at the gate of this name.
    gate: Option<String>,
    /// Only those of this profile.
    profile: Option<String>,
    /// Only those that stand so in their life.
    #[param(schema_with = statuses)]
    status: Option<DeviceStatus>,
}

fn json_profile() -> String {
    "json-v1".to_owned()
}

fn active() -> DeviceStatus {
    DeviceStatus::Active
}

fn rate() -> Option<u32> {
    Some(DEVICE_RATE_PER_MINUTE)
}

fn yes() -> bool {
    true
}

fn repeat_window() -> u32 {
    REPEAT_WINDOW_MS as u32
}

impl Thing for Device {
    type Own = Own;
    type Scope = ();
    const WHAT: &'static str = "device";

    fn at(_: &Catalog, (): ()) -> String {
        "/api/v1/devices".to_owned()
    }

    fn name_of(own: &Own) -> &str {
        &own.name
    }

    fn all(catalog: &Catalog, (): ()) -> impl Iterator<Item = &Own> {
        catalog.devices().map(|(_, device)| device)
    }

    fn find<'c>(catalog: &'c Catalog, (): (), name: &str) -> Option<&'c Own> {
        catalog.device(catalog.device_named(name)?)
    }

    fn shown(catalog: &Catalog, own: &Own) -> Device {
        let gate = own.gate.and_then(|id| catalog.gate(id));
        Device {
            name: own.name.clone(),
            gate: gate.map(|gate| gate.name.clone()),
            profile: own.profile.clone(),
            number: own.number.clone(),
            status: own.status,
            rate_per_minute: own.rate_per_minute,
            card_format: own.card_format,
            heartbeat_code: own.heartbeat_code.clone(),
            direction: own.direction,
            sources: own.sources.clone(),
            shows_name: own.shows_name,
            repeat_window_ms: own.repeat_window_ms,
            settings: own.settings.clone(),
        }
    }

    fn own(&self, seen: &Seen<'_, Device>, mistakes: &mut Mistakes) -> Option<Own> {
        let gate = match &self.gate {
            Some(name) => mistakes.known("gate", "gate", name, seen.catalog.gate_named(name)),
            None => None,
        };
        self.check(seen, mistakes);
        let fetches = seen
            .before
            .is_some_and(|before| before.settings != self.settings || before.profile != self.profile);
        let version = seen.before.map_or(1, |before| before.config_version);
        Some(Own {
            name: self.name.clone(),
            gate,
            profile: self.profile.clone(),
            key_hashes: seen.before.map(|before| before.key_hashes.clone()).unwrap_or_default(),
            number: self.number.clone(),
            status: self.status,
            rate_per_minute: self.rate_per_minute,
            card_format: self.card_format,
            heartbeat_code: self.heartbeat_code.clone(),
            direction: self.direction,
            sources: self.sources.clone(),
            shows_name: self.shows_name,
            repeat_window_ms: self.repeat_window_ms,
            config_version: version.saturating_add(u32::from(fetches)),
            settings: self.settings.clone(),
        })
    }

    fn entity(own: Own) -> Entity {
        Entity::Device(own)
    }
}

impl Device {
    /// What is no rule of the catalog: words that its life, its profile and its network have to do with.
    fn check(&self, seen: &Seen<'_, Device>, mistakes: &mut Mistakes) {
        mistakes.known(
            "profile",
            "profile",
            &self.profile,
            (seen.app.has_profile)(&self.profile).then_some(()),
        );
        let begins = [DeviceStatus::Active, DeviceStatus::Pending].contains(&self.status);
        match seen.before {
            None => mistakes.rule(begins, "status", "a new device is active or pending"),
            Some(before) => mistakes.rule(
                self.status == before.status,
                "status",
                "approve, suspend, resume and revoke change it; send it as you have read it",
            ),
        }
        let per_minute = self.rate_per_minute.is_none_or(|rate| (1..=RATE_MAX).contains(&rate));
        mistakes.rule(
            per_minute,
            "rate_per_minute",
            format!("1 to {RATE_MAX} are meant, or null for unlimited"),
        );
        for (field, word) in [("number", &self.number), ("heartbeat_code", &self.heartbeat_code)] {
            if let Some(word) = word {
                mistakes.text(field, word, 1, WORD_CHARS_MAX);
            }
        }
        let window = self.repeat_window_ms <= REPEAT_WINDOW_MS_MAX;
        mistakes.rule(window, "repeat_window_ms", format!("at most {REPEAT_WINDOW_MS_MAX} are meant"));
        mistakes.rule(
            self.sources.len() <= SOURCES_MAX,
            "sources",
            format!("at most {SOURCES_MAX} addresses"),
        );
        for (n, source) in self.sources.iter().enumerate().take(SOURCES_MAX) {
            let words = "an IP address is meant, such as 10.0.0.21";
            mistakes.rule(source.parse::<IpAddr>().is_ok(), &format!("sources[{n}]"), words);
        }
    }
}

/// A new key and its hash.
fn new_key() -> Result<(String, [u8; 32]), Problem> {
    let key = secrets::new_key().map_err(|words| Problem::new(Kind::Unavailable, words))?;
    let hash = secrets::hash(key.as_bytes());
    Ok((key, hash))
}

/// Lists devices by name.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", operation_id = "listDevices", params(DeviceParams),
    responses((status = 200, description = "A page of devices", body = Page<Device>)),
    extensions(("x-permission" = json!("devices.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<DeviceParams>,
) -> Result<Response, Problem> {
    let named = NamedParams::of(params.limit, params.after, params.sort);
    let catalog = app.engine.catalog();
    let gate = params.gate.as_deref().map(|name| catalog.gate_named(name));
    catalog::list::<Device>(&app, &uri, (), named, |device| {
        gate.is_none_or(|gate| gate.is_some() && device.gate == gate)
            && params.status.is_none_or(|status| device.status == status)
            && params.profile.as_ref().is_none_or(|profile| device.profile == *profile)
    })
}

/// Makes a device and gives it a key.
///
/// The key is shown in this answer and never again.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", operation_id = "createDevice", request_body = Device,
    responses((status = 201, description = "The device with its key", body = DeviceWithKey,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<Device>,
) -> Result<Response, Problem> {
    let (key, hash) = new_key()?;
    let own = catalog::make(&app, by.operator, (), &new, |own| own.key_hashes = vec![hash]).await?;
    let catalog = app.engine.catalog();
    let device = Device::shown(&catalog, &own);
    let version = etag::Version::of(&device);
    Ok(etag::made_with(
        &catalog::place::<Device>(&catalog, (), &own),
        &version,
        &DeviceWithKey { device, key },
    ))
}

/// Shows what a device is set to.
#[utoipa::path(
    get, path = "/api/v1/devices/{name}", tag = "devices", operation_id = "getDevice",
    params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "The device", body = Device, headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("devices.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    catalog::get::<Device>(&app, &headers, (), &name)
}

/// Replaces what a device is set to.
///
/// Its keys stay. Another profile or other settings raise the version of its configuration, so that it fetches them.
#[utoipa::path(
    put, path = "/api/v1/devices/{name}", tag = "devices", operation_id = "replaceDevice", request_body = Device,
    params(("name" = String, Path, description = "The device's name"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The device as it is now", body = Device,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    if_match: IfMatch,
    Json(new): Json<Device>,
) -> Result<Response, Problem> {
    catalog::replace(&app, by.operator, &if_match, ((), &name), &new).await
}
