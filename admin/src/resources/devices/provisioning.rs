//! A reader of the Vguang family is set up by one look at a code: where the server is, its new key in the path, and the
//! rest it needs. The limits are those of the family's own tool.

use super::life::{act, not_revoked};
use super::settings_code::{self, FACTORY_PASSWORD, Settings};
use super::{Device, new_key};
use crate::app::App;
use crate::extract::{Json, Path, Who};
use crate::mistakes::Mistakes;
use crate::problem::{Kind, Problem};
use crate::resources::catalog::{self, Change};
use axum::Json as Answer;
use axum::extract::State;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::catalog::Device as Own;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Seconds a reader waits for an answer: its tool takes no more than 5.
const TIMEOUT_S: RangeInclusive<u16> = 1..=5;
/// Seconds between heartbeats: readers take no less than 30.
const HEARTBEAT_S: RangeInclusive<u16> = 30..=3_600;
/// Milliseconds between two scans of the same code.
const INTERVAL_MS: RangeInclusive<u16> = 100..=60_000;
/// Longest address of a server, in characters.
const SERVER_CHARS_MAX: usize = 120;
/// Longest password of a reader's settings, in characters.
const PASSWORD_CHARS_MAX: usize = 32;
/// What a heartbeat sends in place of a code where the device has no text of its own.
const HEARTBEAT_CODE: &str = "HB";
/// Where readers send their scans, behind their key.
const SCAN_PATH: &str = "/api/kqt300/scan";
/// The profile of devices that are no such reader.
const JSON_PROFILE: &str = "json-v1";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(provision))
}

/// What a reader is to be set to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReaderSetup {
    /// The device port as readers reach it.
    #[schema(example = "http://10.0.0.5:8080", min_length = 8, max_length = 120)]
    server: String,
    /// A fixed address; `null`: the network gives it one (DHCP).
    #[serde(default)]
    #[schema(example = json!(null))]
    network: Option<ReaderNetwork>,
    /// Seconds it waits for an answer.
    #[serde(default = "timeout_s")]
    #[schema(example = 2, minimum = 1, maximum = 5, default = 2)]
    timeout_s: u16,
    /// Seconds between its heartbeats.
    #[serde(default = "heartbeat_s")]
    #[schema(example = 30, minimum = 30, maximum = 3_600, default = 30)]
    heartbeat_s: u16,
    /// Milliseconds between two scans of the same code.
    #[serde(default = "interval_ms")]
    #[schema(example = 1_000, minimum = 100, maximum = 60_000, default = 1_000)]
    interval_ms: u16,
    /// The password its settings are signed with; `null`: the one it has from the factory.
    #[serde(default)]
    #[schema(example = json!(null), min_length = 1, max_length = 32)]
    password: Option<String>,
}

/// A reader's fixed address.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReaderNetwork {
    /// Its address.
    #[schema(value_type = String, format = Ipv4, example = "10.0.0.21")]
    address: Ipv4Addr,
    /// Mask of its network.
    #[schema(value_type = String, format = Ipv4, example = "255.255.255.0")]
    mask: Ipv4Addr,
    /// Address of its router.
    #[schema(value_type = String, format = Ipv4, example = "10.0.0.1")]
    gateway: Ipv4Addr,
    /// Address of its name server.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Ipv4, example = json!(null))]
    dns: Option<Ipv4Addr>,
}

/// What is shown to a reader, once.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ReaderCode {
    /// The device.
    #[schema(example = "KQT300_800")]
    device: String,
    /// Its new key, which is in the code too: shown now and never again. The one before is known no longer.
    #[schema(example = "q7m2k9x4w8h3n5v6b2c4d7f9g3j5p8r2")]
    key: String,
    /// The text of the code.
    #[schema(example = "___VBAR_CONFIG_V1.1.0___{w_mode=1}--lLqHBRnE2bU8D2HJ5RTioQ==")]
    text: String,
    /// The code as SVG.
    #[schema(example = "<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>")]
    svg: String,
    /// The code as PNG, in base64.
    #[schema(example = "iVBORw0KGgo=")]
    png: String,
}

fn timeout_s() -> u16 {
    2
}

fn heartbeat_s() -> u16 {
    30
}

fn interval_ms() -> u16 {
    1_000
}

impl ReaderSetup {
    fn check(&self) -> Result<(), Problem> {
        let mut mistakes = Mistakes::default();
        let words = "an address of the device port is meant, such as http://10.0.0.5:8080: http or https, without a query, \
                     and without = , ' \" { } or --, which readers cannot read";
        mistakes.rule(is_server(&self.server), "server", words);
        for (field, value, range) in [
            ("timeout_s", self.timeout_s, TIMEOUT_S),
            ("heartbeat_s", self.heartbeat_s, HEARTBEAT_S),
            ("interval_ms", self.interval_ms, INTERVAL_MS),
        ] {
            let words = format!("{} to {} are meant", range.start(), range.end());
            mistakes.rule(range.contains(&value), field, words);
        }
        if let Some(password) = &self.password {
            mistakes.text("password", password, 1, PASSWORD_CHARS_MAX);
        }
        mistakes.told()
    }

    /// The settings of a reader that is this device and has this key.
    fn settings(&self, device: &Own, key: &str) -> Settings {
        let mut settings = Settings::default();
        let url = format!("{}/d/{key}{SCAN_PATH}", self.server.trim_end_matches('/'));
        // Works by HTTP in the form that names the device; both scans and cards are sent there.
        settings.number("w_mode", 1).number("ochannel", 64).number("nochannel", 64).number("owifi", 2);
        settings.text("haddr", &url).number("houttime", self.timeout_s);
        if let Some(number) = &device.number {
            settings.number("devnum", number);
        }
        let heartbeat = device.heartbeat_code.as_deref().unwrap_or(HEARTBEAT_CODE);
        settings.number("heart_en", 1).text("heart_data", heartbeat).number("heart_time", self.heartbeat_s);
        settings.number("interval", self.interval_ms).number("ip_mode", u8::from(self.network.is_some()));
        if let Some(network) = &self.network {
            settings.text("ip", &network.address.to_string()).text("mask", &network.mask.to_string());
            settings.text("gateway", &network.gateway.to_string());
            if let Some(dns) = network.dns {
                settings.text("dns", &dns.to_string());
            }
        }
        settings
    }

    /// For the audit: without key and password.
    fn details(&self) -> serde_json::Value {
        json!({
            "server": self.server, "network": self.network, "timeout_s": self.timeout_s,
            "heartbeat_s": self.heartbeat_s, "interval_ms": self.interval_ms,
        })
    }
}

fn is_server(text: &str) -> bool {
    let uri = (text.len() <= SERVER_CHARS_MAX && settings_code::fits(text)).then(|| text.parse::<Uri>().ok());
    uri.flatten().is_some_and(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.host().is_some_and(|host| !host.is_empty());
        scheme && host && uri.query().is_none() && !text.contains(['@', '#'])
    })
}

/// Refuses a device that a reader cannot be made of.
fn check_device(device: &Own) -> Result<(), Problem> {
    not_revoked(device)?;
    let conflict =
        |words: String| Err(Problem::new(Kind::Conflict, format!("device '{}': {words}", device.name)));
    if device.profile == JSON_PROFILE {
        return conflict(format!(
            "its profile is {JSON_PROFILE}, which these readers do not understand; set it to vguang, vguang-silent or vguang-plain"
        ));
    }
    let digits = |number: &String| number.bytes().all(|byte| byte.is_ascii_digit());
    if !device.number.as_ref().is_none_or(digits) {
        return conflict("its number is not made of digits, and readers take no other".to_owned());
    }
    if !device.heartbeat_code.as_deref().is_none_or(settings_code::fits) {
        return conflict(
            "its heartbeat's text cannot be put into a code; choose letters and digits".to_owned(),
        );
    }
    Ok(())
}

/// Gives a reader of the Vguang family a new key, and the settings code that sets it up.
///
/// Show the code to the reader. The key is in it and shown in this answer alone; the one before is known no longer. The
/// device's heartbeat gets the text `HB` where it has none.
#[utoipa::path(
    post, path = "/api/v1/devices/{name}/provisioning", tag = "devices", operation_id = "provisionDevice",
    request_body = ReaderSetup, params(("name" = String, Path, description = "The device's name")),
    responses((status = 200, description = "The settings code", body = ReaderCode)),
    extensions(("x-permission" = json!("devices.write")))
)]
async fn provision(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(name): Path<String>,
    Json(setup): Json<ReaderSetup>,
) -> Result<Answer<ReaderCode>, Problem> {
    setup.check()?;
    let (key, hash) = new_key()?;
    let (device, lsn) = catalog::change::<Device>(&app, by.operator, (), &name, |_, before| {
        check_device(before)?;
        let heartbeat_code = before.heartbeat_code.clone().or_else(|| Some(HEARTBEAT_CODE.to_owned()));
        let after = Own { key_hashes: vec![hash], heartbeat_code, ..before.clone() };
        Ok(Change { after, act: Some(act("device_provision", before, &setup.details())) })
    })?;
    app.settle(lsn).await?;
    let text = setup.settings(&device, &key).signed(setup.password.as_deref().unwrap_or(FACTORY_PASSWORD));
    let code =
        settings_code::qr(&text).expect("its parts are bounded, and a QR code takes ten times as much");
    let (svg, png) = (settings_code::svg(&code), STANDARD.encode(settings_code::png(&code)));
    Ok(Answer(ReaderCode { device: device.name, key, text, svg, png }))
}
