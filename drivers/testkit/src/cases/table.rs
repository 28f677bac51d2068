//! What is seen of a driver before a document: its table, its settings, its capabilities.

use super::{Outcome, Verdict, pass};
use crate::subject::{Heard, PLENTY, Subject, make, unmake};
use driver_abi::{Fault, Kind, raw};
use driver_host::plugin::{JSON_BYTES_MAX, Plugin};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// A setting no driver has.
const NO_SETTING: &str = "no-such-setting-of-anybody";
/// What is behind a room that is too small.
const CANARY: u8 = 0xa5;

pub fn table(subject: &Subject) -> Verdict {
    let first = subject.load()?.info;
    let second = subject.load_anew()?.info;
    if first != second {
        return Err("the entry told something else when it was called again".to_owned());
    }
    pass()
}

pub fn create(subject: &Subject) -> Verdict {
    match refusal(&subject.load()?, &subject.config) {
        None => pass(),
        Some((fault, complaints)) => {
            let (code, words) = (fault.number(), complaints.join("; "));
            Err(format!("it refused {} with code {code}, {fault}: {words}", subject.config))
        }
    }
}

pub fn other_major(subject: &Subject) -> Verdict {
    for major in [0, 2, u16::MAX] {
        let offer = Plugin::offer(&subject.plugin, major, 0).map_err(|error| error.to_string())?;
        if offer == Some(major) {
            return Err(format!("it claims to be of version {major} when a host of version {major} asks"));
        }
    }
    pass()
}

pub fn newer_minor(subject: &Subject) -> Verdict {
    match Plugin::offer(&subject.plugin, raw::ABI_MAJOR, 99).map_err(|error| error.to_string())? {
        Some(_) => pass(),
        None => Err(format!("it refused a host of version {}.99", raw::ABI_MAJOR)),
    }
}

/// What `create` says to these settings: `None`, it takes them; its fault and its complaints.
fn refusal(plugin: &Plugin, config: &str) -> Option<(Fault, Vec<String>)> {
    let heard: Arc<Mutex<Heard>> = Arc::default();
    match make(plugin, &heard, &Arc::default(), config) {
        Ok(device) => {
            unmake(device);
            None
        }
        Err(fault) => {
            let log = heard.lock().log.clone();
            let errors = log.into_iter().filter(|(level, text)| *level == raw::LOG_ERROR && !text.is_empty());
            Some((fault, errors.map(|(_, text)| text).collect()))
        }
    }
}

/// The schema, compiled by somebody who knows JSON Schema.
fn validator(plugin: &Plugin) -> Result<(Value, jsonschema::Validator), String> {
    let schema: Value =
        serde_json::from_str(&plugin.info.config_schema).map_err(|error| error.to_string())?;
    if !schema.is_object() {
        return Err(format!("it is no object: {schema}"));
    }
    let validator =
        jsonschema::validator_for(&schema).map_err(|error| format!("it is no JSON Schema: {error}"))?;
    Ok((schema, validator))
}

/// The given settings with one changed.
fn with(config: &str, name: &str, value: Value) -> Value {
    let mut settings: Value = serde_json::from_str(config).unwrap_or_else(|_| json!({}));
    settings[name] = value;
    settings
}

/// The given settings, each time with one of them of a type that its schema does not take.
fn mistyped(subject: &Subject, plugin: &Plugin) -> Result<Vec<Value>, String> {
    let (schema, validator) = validator(plugin)?;
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let odd = [json!(true), json!(-7.5), json!("\u{1}not a value"), json!([[]]), json!({ "x": {} })];
    let names = properties.keys().flat_map(|name| odd.iter().map(move |value| (name, value)));
    let all = names.map(|(name, value)| with(&subject.config, name, value.clone()));
    Ok(all.filter(|settings| !validator.is_valid(settings)).collect())
}

pub fn settings(subject: &Subject) -> Verdict {
    let plugin = subject.load()?;
    // An empty text is not among them: nothing in it can be misspelt, and some drivers take it for none at all.
    let mut wrong: Vec<String> = ["nonsense", "{", "[]", "null", "\"text\"", "7"].map(str::to_owned).to_vec();
    wrong.push(format!("{} x", subject.config));
    wrong.push(with(&subject.config, NO_SETTING, json!(1)).to_string());
    // A schema that is none is the next case's to tell.
    wrong.extend(mistyped(subject, &plugin).unwrap_or_default().iter().map(Value::to_string));
    for config in &wrong {
        match refusal(&plugin, config) {
            None => return Err(format!("`create` took the settings {config:?}")),
            Some((Fault::Config, complaints)) if complaints.is_empty() => {
                return Err(format!("`create` refused the settings {config:?} without a word in the log"));
            }
            Some((Fault::Config, _)) => {}
            Some((fault, _)) => {
                return Err(format!("`create` refused {config:?} with code {}, {fault}", fault.number()));
            }
        }
    }
    Ok(Outcome::Pass(vec![format!("{} wrong settings were refused", wrong.len())]))
}

pub fn schema(subject: &Subject) -> Verdict {
    let plugin = subject.load()?;
    let (_, validator) = validator(&plugin)?;
    let given: Value = serde_json::from_str(&subject.config)
        .map_err(|error| format!("the settings that were given are no JSON: {error}"))?;
    if let Err(error) = validator.validate(&given) {
        return Err(format!("it refuses the settings that were given, {given}: {error}"));
    }
    let unknown = with(&subject.config, NO_SETTING, json!(1));
    if validator.is_valid(&unknown) {
        return Err("it takes a setting it does not list: set \"additionalProperties\": false".to_owned());
    }
    pass()
}

pub fn capabilities(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let first = bench.capabilities()?;
    let mut room = vec![CANARY; JSON_BYTES_MAX];
    let told = |error: Fault| format!("`capabilities`: {error}");
    let whole = bench.device.capabilities_into(&mut room).map_err(told)?;
    for cap in [0, 1, whole.saturating_sub(1)] {
        let mut room = vec![CANARY; JSON_BYTES_MAX];
        let (front, behind) = room.split_at_mut(cap);
        let n = bench.device.capabilities_into(front).map_err(told)?;
        if n != whole {
            return Err(format!("with room for {cap} bytes it told a length of {n}, with enough {whole}"));
        }
        if behind.iter().any(|byte| *byte != CANARY) {
            return Err(format!("it wrote beyond the room of {cap} bytes it was given"));
        }
    }
    let words = bench.words("Gate 7");
    bench.run(&words, PLENTY)?;
    let again = bench.capabilities()?;
    if first != again {
        return Err(format!("they changed: {first:?}, then {again:?}"));
    }
    let sized = match bench.kind {
        Kind::Printer => first.columns > 0,
        Kind::Display => first.columns > 0 && first.lines > 0,
    };
    if !sized {
        return Err(format!("nothing can be laid out for {} columns, {} lines", first.columns, first.lines));
    }
    pass()
}
