//! A display's settings: JSON in, checked and resolved against the tables of models and command sets. Every mistake is
//! told, with what is meant. Sends nothing.

use crate::models::{self, Model};
use crate::sets::{self, CommandSet};
use serde::Deserialize;
use std::time::Duration;

/// The JSON Schema of the settings.
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Pole display",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "model": {
      "description": "The display. generic: any that speaks one of the command sets.",
      "enum": ["pd300", "pd26xx", "generic"], "default": "pd300"
    },
    "command_set": {
      "description": "What its switches are set to. Default: as the model leaves the factory.",
      "enum": ["epson", "cd5220", "cd5220-string", "aedex", "adm", "utc", "utc-enhanced", "dsp800"]
    },
    "columns": {
      "description": "Characters in a line.",
      "type": "integer", "minimum": 8, "maximum": 40, "default": 20
    },
    "lines": {
      "description": "Lines.",
      "type": "integer", "minimum": 1, "maximum": 4, "default": 2
    },
    "code_page": {
      "description": "The code page texts are sent in: 437, 850, 858, 866, 1252 ... Default: 858 where the display is told its page, else 437, which its switches then have to say too.",
      "type": "integer", "minimum": 1, "maximum": 65535
    },
    "code_page_number": {
      "description": "The number of that page on the display (ESC t n), where the driver does not know it.",
      "type": "integer", "minimum": 0, "maximum": 255
    },
    "force_epson": {
      "description": "Bring a Posiflex display back from its own mode (14 16) when it is opened. Default: true for Posiflex models in the command set epson.",
      "type": "boolean"
    },
    "brightness": {
      "description": "The display obeys the brightness command of its command set. Default: what is known of the model.",
      "type": "boolean"
    },
    "heal_s": {
      "description": "Draw everything again each so many seconds, for what the line garbled or a display that was off.",
      "type": "integer", "minimum": 5, "maximum": 3600, "default": 60
    },
    "scroll_ms": {
      "description": "A step of a running text where the document does not say, in ms.",
      "type": "integer", "minimum": 100, "maximum": 5000, "default": 300
    }
  }
}"#;

/// A running text steps at most so often: a slow line carries a whole line in the time.
pub const SCROLL_MS_MIN: u64 = 100;
const SCROLL_MS_MAX: u64 = 5_000;

/// What was typed.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Typed {
    model: String,
    command_set: Option<String>,
    columns: u64,
    lines: u64,
    code_page: Option<u32>,
    code_page_number: Option<u8>,
    force_epson: Option<bool>,
    brightness: Option<bool>,
    heal_s: u64,
    scroll_ms: u64,
}

impl Default for Typed {
    fn default() -> Typed {
        Typed {
            model: "pd300".to_owned(),
            command_set: None,
            columns: 20,
            lines: 2,
            code_page: None,
            code_page_number: None,
            force_epson: None,
            brightness: None,
            heal_s: 60,
            scroll_ms: 300,
        }
    }
}

/// What is meant.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The display.
    pub model: &'static Model,
    /// Its language.
    pub set: &'static CommandSet,
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// The code page of texts.
    pub page: u32,
    /// Tells the display its page; empty where nothing can.
    pub page_command: Vec<u8>,
    /// Is it brought back from Posiflex's own mode?
    pub force_epson: bool,
    /// Brightness 1 to 4, where the display obeys it.
    pub bright: Option<[&'static [u8]; 4]>,
    /// Everything is drawn again so often.
    pub heal: Duration,
    /// A step of a running text.
    pub step: Duration,
}

// === impl Settings ===

impl Settings {
    /// From JSON.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(json: &str) -> Result<Settings, String> {
        // A map first: a struct would be read from a list too.
        let typed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json)
            .and_then(|map| serde_json::from_value::<Typed>(map.into()))
            .map_err(|error| format!("settings: {error}"))?;
        let Some(model) = Model::find(&typed.model) else {
            let names: Vec<&str> = models::ALL.iter().map(|model| model.name).collect();
            return Err(format!("settings: model {:?} is not known: {}", typed.model, names.join(", ")));
        };
        let wanted = typed.command_set.as_deref().unwrap_or(model.sets[0]);
        let Some(set) = CommandSet::find(wanted).filter(|set| model.sets.contains(&set.name)) else {
            let found = model.sets.join(", ");
            return Err(format!("settings: command_set {wanted:?}: {} speaks {found}", model.name));
        };
        let mut mistakes = limits(&typed, set);
        let page = typed.code_page.unwrap_or(if set.page.is_some() { model.page } else { 437 });
        let page_command = page_command(&typed, model, set, page).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Vec::new()
        });
        if typed.force_epson == Some(true) && set.name != "epson" {
            mistakes.push(format!("force_epson: the command set is {}", set.name));
        }
        let brightness = typed.brightness.unwrap_or(model.brightness);
        if typed.brightness == Some(true) && set.bright.is_none() {
            mistakes.push(format!("brightness: the command set {} has no such command", set.name));
        }
        if !mistakes.is_empty() {
            return Err(format!("settings: {}", mistakes.join("; ")));
        }
        Ok(Settings {
            model,
            set,
            columns: typed.columns as usize,
            lines: typed.lines as usize,
            page,
            page_command,
            force_epson: typed.force_epson.unwrap_or(model.pst && set.name == "epson"),
            bright: set.bright.filter(|_| brightness),
            heal: Duration::from_secs(typed.heal_s),
            step: Duration::from_millis(typed.scroll_ms),
        })
    }
}

fn limits(typed: &Typed, set: &CommandSet) -> Vec<String> {
    let mut mistakes: Vec<String> = [
        ("columns", typed.columns, 8, 40),
        ("lines", typed.lines, 1, 4),
        ("heal_s", typed.heal_s, 5, 3_600),
        ("scroll_ms", typed.scroll_ms, SCROLL_MS_MIN, SCROLL_MS_MAX),
    ]
    .into_iter()
    .filter(|(_, value, least, most)| !(least..=most).contains(&value))
    .map(|(name, value, least, most)| format!("{name}: {value} is not {least} to {most}"))
    .collect();
    let (lines_max, cells_max) = set.reach();
    if lines_max.is_some_and(|most| typed.lines > most as u64) {
        mistakes.push(format!("lines: the command set {} has 2", set.name));
    }
    if cells_max.is_some_and(|most| typed.lines.saturating_mul(typed.columns) > most as u64) {
        mistakes.push(format!("columns, lines: the command set {} reaches 40 characters", set.name));
    }
    mistakes
}

fn page_command(typed: &Typed, model: &Model, set: &sets::CommandSet, page: u32) -> Result<Vec<u8>, String> {
    let Some(select) = set.page else {
        return match typed.code_page_number {
            None => Ok(Vec::new()),
            Some(_) => Err(format!(
                "code_page_number: the command set {} selects no page, a switch on the display does",
                set.name
            )),
        };
    };
    let known = model.pages.iter().find(|(known, _)| *known == page).map(|(_, number)| *number);
    let Some(number) = typed.code_page_number.or(known) else {
        let pages: Vec<String> = model.pages.iter().map(|(known, _)| known.to_string()).collect();
        return Err(format!(
            "code_page: {} is known to have {}; for {page} name its number on the display as code_page_number",
            model.name,
            pages.join(", ")
        ));
    };
    Ok([select, &[number]].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    #[test]
    fn mistakes_say_what_is_meant() {
        for (json, words) in [
            ("", "settings: EOF while parsing a value"),
            ("[]", "settings: invalid type: sequence, expected a map"),
            (r#"["pd300"]"#, "settings: invalid type: sequence, expected a map"),
            (r#"{"columns":"20"}"#, "settings: invalid type: string \"20\", expected u64"),
            (r#"{"colums":20}"#, "unknown field `colums`, expected one of `model`"),
            (r#"{"model":"pd3000"}"#, "model \"pd3000\" is not known: pd300, pd26xx, generic"),
            (r#"{"command_set":"cd5220"}"#, "command_set \"cd5220\": pd300 speaks epson"),
            (r#"{"columns":4,"lines":9}"#, "columns: 4 is not 8 to 40; lines: 9 is not 1 to 4"),
            (r#"{"heal_s":1,"scroll_ms":1}"#, "heal_s: 1 is not 5 to 3600; scroll_ms: 1 is not 100 to 5000"),
            (r#"{"code_page":866}"#, "pd300 is known to have 437, 858; for 866 name its number"),
            (r#"{"model":"generic","command_set":"aedex","lines":3}"#, "the command set aedex has 2"),
            (r#"{"model":"generic","command_set":"utc","columns":40}"#, "utc reaches 40 characters"),
            (r#"{"model":"generic","command_set":"adm","code_page_number":3}"#, "adm selects no page"),
            (
                r#"{"model":"generic","command_set":"adm","force_epson":true}"#,
                "force_epson: the command set is adm",
            ),
            (r#"{"model":"generic","command_set":"adm","brightness":true}"#, "adm has no such command"),
        ] {
            let error = Settings::parse(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn a_pd300_is_what_is_meant_where_nothing_is_said() {
        let settings = Settings::parse("{}").unwrap();
        assert_eq!((settings.model.name, settings.set.name), ("pd300", "epson"));
        assert_eq!((settings.columns, settings.lines, settings.page), (20, 2, 858));
        assert_eq!(settings.page_command, b"\x1bt\x13");
        assert!(settings.force_epson);
        assert!(settings.bright.is_none(), "the brightness of a PD300 is not known");
    }

    #[test]
    fn a_page_that_only_the_display_knows_is_named_by_its_number() {
        let settings = Settings::parse(r#"{"code_page":866,"code_page_number":7}"#).unwrap();
        assert_eq!((settings.page, settings.page_command), (866, b"\x1bt\x07".to_vec()));
    }

    #[test]
    fn the_tables_agree_with_each_other_and_with_the_schema() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let choices = |property: &str| -> Vec<String> {
            serde_json::from_value(schema["properties"][property]["enum"].clone()).unwrap()
        };
        let names: Vec<&str> = models::ALL.iter().map(|model| model.name).collect();
        assert_eq!(choices("model"), names);
        let names: Vec<&str> = sets::ALL.iter().map(|set| set.name).collect();
        assert_eq!(choices("command_set"), names);
        for model in models::ALL {
            assert!(model.sets.iter().all(|set| CommandSet::find(set).is_some()), "{model:?}");
            assert!(model.pages.iter().any(|(page, _)| *page == model.page), "{model:?}");
        }
        // Every property of the schema is a setting, and every setting is in the schema.
        let error = Settings::parse(r#"{"?":0}"#).unwrap_err();
        let properties = schema["properties"].as_object().unwrap();
        for property in properties.keys() {
            assert!(error.contains(&format!("`{property}`")), "{property}: {error}");
        }
        let settings = error.matches('`').count() / 2 - 1;
        assert_eq!(settings, properties.len(), "{error}");
    }

    #[test]
    fn the_schema_tells_the_defaults_that_are_used() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let default = Typed::default();
        for (property, value) in [
            ("columns", default.columns),
            ("lines", default.lines),
            ("heal_s", default.heal_s),
            ("scroll_ms", default.scroll_ms),
        ] {
            assert_eq!(schema["properties"][property]["default"], value, "{property}");
        }
        assert_eq!(schema["properties"]["model"]["default"], default.model);
    }
}
