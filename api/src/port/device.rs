//! A device's own affairs: heartbeat, registration, settings, and what operators tell it to do.

use super::{Call, Called, Port, Refusal, TOO_MANY_COMMANDS, json};
use crate::body::{self, Object, Value};
use crate::http::{Method, Next, Reply};
use crate::profile::rfc3339;
use engine::EngineError;
use engine::catalog::{Catalog, Device, DeviceId, DeviceStatus, Entity, Role};
use engine::command::{Command, CommandError};
use engine::limits::{DEVICE_RATE_PER_MINUTE, NAME_BYTES_MAX, REPEAT_WINDOW_MS};
use engine::state::{DeviceMode, PendingCommand};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

impl Port {
    /// `POST /api/kqt300/heartbeat`: server time, config version, how the device should stand, what waits for it.
    pub(super) fn heartbeat(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let mut scratch = self.scratch.borrow_mut();
        let parsed = body::parse_object(call.request.body, &mut scratch);
        let body = self.readable(call, &catalog, parsed, reply)?;
        let caller = self.caller(call, &catalog, body.text("api_key")?, reply)?;
        if body.text("device_id")?.is_some_and(|named| named != caller.device.name) {
            return Err(Refusal::new(401, "invalid_api_key", "this key belongs to another device"));
        }
        let (lsn, mode, commands) = self.engine().take_commands(caller.id)?;
        reply.wait = lsn.0;
        json(
            reply,
            &json!({
                "status": "success",
                "server_time": rfc3339(self.engine().now()),
                "config_version": caller.device.config_version,
                "mode": mode_word(mode),
                "commands": commands.iter().map(command_value).collect::<Vec<_>>(),
            }),
        );
        Ok(Next::Reply)
    }

    /// `GET /api/kqt300/status`: this device as the server sees it.
    pub(super) fn status(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let before = call
            .key(None)
            .and_then(|key| self.device_of_key(call.request.memo, &catalog, key))
            .and_then(|id| self.shared.last_seen(id));
        let caller = self.caller(call, &catalog, None, reply)?;
        let (mode, waiting) = self.engine().device_state(caller.id);
        let gate = caller.device.gate.and_then(|gate| catalog.gate(gate));
        json(
            reply,
            &json!({
                "status": "success",
                "device_id": caller.device.name,
                "device_status": caller.device.status,
                "profile": caller.device.profile,
                "gate": gate.map(|gate| gate.name.as_str()),
                "gate_mode": gate.map(|gate| gate.mode),
                "fail_policy": gate.map(|gate| gate.fail_policy),
                "last_seen": before.map(rfc3339),
                "config_version": caller.device.config_version,
                "mode": mode_word(mode),
                "commands_waiting": waiting,
            }),
        );
        Ok(Next::Reply)
    }

    /// `POST /api/kqt300/register`: the shared secret gets a device its own key, shown once.
    pub(super) fn register(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let mut scratch = self.scratch.borrow_mut();
        let body = body::parse_object(call.request.body, &mut scratch)?;
        let Some(expected) = self.shared.registration_secret else {
            return Err(Refusal::new(
                403,
                "registration_off",
                "no device may register here: the server has no registration secret",
            ));
        };
        // Hashes are compared, so that the time it takes tells nothing about the secret.
        if body.text("secret")?.map(|secret| secrets::hash(secret.as_bytes())) != Some(expected) {
            return Err(Refusal::new(401, "invalid_secret", "the registration secret is wrong"));
        }
        let name = body.text("device_id")?.filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
        let name = name.ok_or_else(|| {
            Refusal::malformed("device_id", format!("a name of 1 to {NAME_BYTES_MAX} bytes"))
        })?;
        let catalog = self.engine().catalog();
        let known = catalog.device_named(name).and_then(|id| catalog.device(id));
        if known.is_some_and(|known| known.status != DeviceStatus::Pending) {
            return Err(Refusal::new(
                409,
                "already_registered",
                "this device has a key; an operator can give it a new one",
            ));
        }
        let key = secrets::new_key().map_err(|_| Refusal::unavailable())?;
        let device = self.registered(&catalog, name.to_owned(), &key, body.text("location")?)?;
        let status = device.status;
        let name = device.name.clone();
        reply.wait = self.engine().put(None, Entity::Device(device))?.0;
        json(
            reply,
            &json!({"status": "success", "device_id": name, "device_status": status, "api_key": key}),
        );
        Ok(Next::Reply)
    }

    fn registered(
        &self,
        catalog: &Catalog,
        name: String,
        key: &str,
        location: Option<&str>,
    ) -> Result<Device, Refusal> {
        let gate = match location {
            Some(gate) => Some(
                catalog
                    .gate_named(gate)
                    .ok_or_else(|| Refusal::malformed("location", "there is no such gate"))?,
            ),
            None => None,
        };
        Ok(Device {
            name,
            gate,
            profile: "json-v1".to_owned(),
            key_hashes: vec![secrets::hash(key.as_bytes())],
            number: None,
            status: if self.shared.registration_auto_approve {
                DeviceStatus::Active
            } else {
                DeviceStatus::Pending
            },
            rate_per_minute: Some(DEVICE_RATE_PER_MINUTE),
            card_format: None,
            heartbeat_code: None,
            direction: None,
            sources: Vec::new(),
            shows_name: true,
            repeat_window_ms: REPEAT_WINDOW_MS as u32,
            config_version: 1,
            settings: BTreeMap::new(),
        })
    }

    /// `GET` and `POST /api/kqt300/config`: a device reads its settings, an operator changes them.
    pub(super) fn device_config(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        if call.request.method != Method::Post {
            let caller = self.caller(call, &catalog, None, reply)?;
            json(reply, &config_value(caller.device));
            return Ok(Next::Reply);
        }
        let operator = self.operator(call, &catalog, Role::Manager)?;
        let mut scratch = self.scratch.borrow_mut();
        let body = body::parse_object(call.request.body, &mut scratch)?;
        let settings = settings_of(&body)?;
        let name =
            body.text("device_id")?.ok_or_else(|| Refusal::malformed("device_id", "say which device"))?;
        let id = catalog.device_named(name);
        let mut device = id
            .and_then(|id| catalog.device(id))
            .cloned()
            .ok_or_else(|| Refusal::malformed("device_id", "there is no such device"))?;
        device.settings = settings;
        device.config_version += 1;
        let value = config_value(&device);
        reply.wait = self.engine().put(Some(operator), Entity::Device(device))?.0;
        json(reply, &value);
        Ok(Next::Reply)
    }

    /// `POST /api/kqt300/access-control`: an operator's word to one device, or to every device of a gate.
    pub(super) fn access_control(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let operator = self.operator(call, &catalog, Role::Supervisor)?;
        let mut scratch = self.scratch.borrow_mut();
        let body = body::parse_object(call.request.body, &mut scratch)?;
        let devices = addressed(&catalog, body.text("device_id")?, body.text("location")?)?;
        let action = body.text("action")?;
        let command = command_of(action.unwrap_or_default(), body.text("message")?)?;
        let (mut commands, mut refused) = (Vec::new(), Vec::new());
        for device in &devices {
            let name = catalog.device(*device).map(|device| device.name.as_str());
            match self.engine().command(Some(operator), *device, command.clone(), command.lives_ms()) {
                Ok(lsn) => {
                    reply.wait = lsn.0;
                    commands.push(json!({"device_id": name, "command_id": lsn.0}));
                }
                Err(error @ EngineError::CommandsWait) => {
                    self.shared.metrics.commands_refused.fetch_add(1, Ordering::Relaxed);
                    if devices.len() == 1 {
                        return Err(error.into());
                    }
                    refused.push(
                        json!({"device_id": name, "error": TOO_MANY_COMMANDS, "message": error.to_string()}),
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Of a gate's devices some may have taken it: the answer says which have not.
        let status = if refused.is_empty() { "success" } else { "partial" };
        json(reply, &json!({"status": status, "action": action, "commands": commands, "refused": refused}));
        Ok(Next::Reply)
    }
}

fn settings_of(body: &Object<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let wanted = body.object("settings")?.ok_or_else(|| {
        Refusal::malformed("settings", "send an object of texts, such as {\"volume\":\"3\"}")
    })?;
    let mut settings = BTreeMap::new();
    for (key, value) in &wanted.0 {
        let Value::Text(text) = value else {
            return Err(Refusal::malformed("settings", "every value is a text"));
        };
        settings.insert((*key).to_owned(), (*text).to_owned());
    }
    Ok(settings)
}

fn addressed(
    catalog: &Catalog,
    device: Option<&str>,
    location: Option<&str>,
) -> Result<Vec<DeviceId>, Refusal> {
    let gate = match location {
        Some(name) => Some(
            catalog
                .gate_named(name)
                .ok_or_else(|| Refusal::malformed("location", "there is no such gate"))?,
        ),
        None => None,
    };
    if let Some(name) = device {
        let id = catalog
            .device_named(name)
            .ok_or_else(|| Refusal::malformed("device_id", "there is no such device"))?;
        let own = catalog.device(id).and_then(|device| device.gate);
        if gate.is_some() && gate != own {
            return Err(Refusal::malformed(
                "location",
                "this device does not stand there; leave one of them out",
            ));
        }
        return Ok(vec![id]);
    }
    let gate =
        gate.ok_or_else(|| Refusal::malformed("device_id", "say which device, or with location which gate"))?;
    let at_gate: Vec<DeviceId> =
        catalog.devices().filter(|(_, device)| device.gate == Some(gate)).map(|(id, _)| id).collect();
    if at_gate.is_empty() {
        Err(Refusal::malformed("location", "no device stands at this gate"))
    } else {
        Ok(at_gate)
    }
}

fn command_of(action: &str, message: Option<&str>) -> Result<Command, Refusal> {
    Command::of_words(action, message).map_err(|error| {
        let field = if error == CommandError::Message { "message" } else { "action" };
        Refusal::malformed(field, error.to_string())
    })
}

fn config_value(device: &Device) -> Json {
    json!({"status": "success", "device_id": device.name, "config_version": device.config_version, "settings": device.settings})
}

/// How a device stands, as a word.
pub(super) fn mode_word(mode: DeviceMode) -> &'static str {
    match mode {
        DeviceMode::Normal => "normal",
        DeviceMode::Locked => "locked",
        DeviceMode::EmergencyOpen => "emergency_open",
    }
}

fn command_value(pending: &PendingCommand) -> Json {
    let mut value = command_words(&pending.command);
    value["command_id"] = json!(pending.lsn);
    value["expires_at"] = json!(rfc3339(pending.expires_at));
    value
}

/// A command as devices and streams see it.
pub(super) fn command_words(command: &Command) -> Json {
    match command.text() {
        Some(text) => json!({"action": command.action(), "message": text}),
        None => json!({"action": command.action()}),
    }
}
