//! What printers are able to do, as data: `profiles.json`, and the settings of one printer over it. Knows no command's
//! bytes and asks no device.
//!
//! Parts of `profiles.json` are taken from escpos-printer-db (github.com/receipt-print-hq/escpos-printer-db, licence
//! CC-BY-4.0), as python-escpos 3.1 carries it; each profile's `source` says which.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All profiles.
const PROFILES: &str = include_str!("profiles.json");
/// The profile of a printer of which nothing is said; the others say what differs from it.
const DEFAULT: &str = "default";
/// `GS v 0 m xL xH yL yH`.
const PICTURE_HEAD_BYTES: usize = 8;
/// `GS ( k pL pH cn fn m`.
const QR_HEAD_BYTES: usize = 8;
/// `GS k m n` and its data.
const BARCODE_BYTES_MAX: usize = 4 + 255;
/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("config.schema.json");

/// Who makes a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// The printer, from its data.
    Native,
    /// The driver, as dots.
    Raster,
}

/// What the cutter is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cutter {
    /// Both.
    FullOrPartial,
    /// One point is left, always.
    Partial,
    /// Through, always.
    Full,
    /// Paper is torn off.
    None,
}

/// Which level of the drawer's pin means open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawerSense {
    /// Not known: a socket with nothing in it is high too.
    None,
    /// High.
    High,
    /// Low.
    Low,
}

/// The command that beeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beep {
    /// It has no beeper.
    None,
    /// `ESC B n t`.
    EscB,
}

/// Does the printer answer `DLE EOT`?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusMethod {
    /// It does: one that is silent is switched off.
    Required,
    /// It may: one that never answered is printed on all the same.
    Try,
    /// It is not asked.
    None,
}

/// How it is known that a document was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofMethod {
    /// `GS ( H` function 48 names the document that is finished.
    Job,
    /// `GS r` is answered when its turn comes, behind the document; for printers known to answer it after printing.
    Queued,
    /// `DLE EOT` afterwards: a hint, no proof.
    Polled,
    /// It is not.
    None,
}

/// What a printer is able to do. The fields are the settings: `config.schema.json` says what each means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is described in config.schema.json, and a test holds the two together")]
pub struct Settings {
    pub dots: u16,
    pub dpi: u16,
    pub columns: u16,
    pub columns_small: u16,
    /// The page's number and the printer's number of it, the preferred first. Pages of scripts that run from the right
    /// or stack their letters are left out: these printers set one letter after the other. Such lines become dots.
    pub code_pages: Vec<(u32, u8)>,
    pub qr: Maker,
    pub qr_bytes_max: u16,
    pub qr_module_max: u8,
    pub barcodes: Maker,
    pub cut: Cutter,
    pub cut_feed: u8,
    pub tear_lines: u8,
    pub drawer_pins: u8,
    pub drawer_sense: DrawerSense,
    pub beep: Beep,
    pub status: StatusMethod,
    pub asb: bool,
    pub proof: ProofMethod,
    pub band_rows: u16,
    pub chunk_bytes: u16,
}

/// A real printer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
    /// What `GS I 67` answers.
    models: Vec<String>,
    /// USB vendors in hex.
    usb: Vec<String>,
    settings: Map<String, Value>,
}

/// A printer's profile with its own settings over it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// "tm-t88".
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is able to do.
    pub settings: Settings,
}

// === impl Profile ===

impl Profile {
    /// From a driver's settings: JSON with `profile` and whatever differs from it.
    ///
    /// # Errors
    /// Every mistake that can be seen, for the person who wrote them.
    pub fn from_config(config: &str) -> Result<Profile, Vec<String>> {
        let mut own: Map<String, Value> = match config.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|error| vec![format!("no JSON object: {error}")])?,
        };
        let id = match own.remove("profile") {
            None => DEFAULT.to_owned(),
            Some(Value::String(id)) => id,
            Some(other) => return Err(vec![format!("profile: a name is meant, found {other}")]),
        };
        let all = entries();
        let (Some(base), Some(entry)) = (all.get(DEFAULT), all.get(&id)) else {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(vec![format!("profile: there is no {id:?}; there are {}", known.join(", "))]);
        };
        let mut merged = base.settings.clone();
        merged.extend(entry.settings.clone());
        merged.extend(own);
        let settings: Settings = serde_json::from_value(Value::Object(merged.clone()))
            .map_err(|error| vec![in_words(&merged, &error.to_string())])?;
        let mistakes = settings.mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Profile { id, name: entry.name.clone(), settings })
    }

    /// The profile of a printer that calls itself so.
    pub fn for_model(model: &str) -> Option<String> {
        let named = |entry: &Entry| entry.models.iter().any(|known| known.eq_ignore_ascii_case(model.trim()));
        entries().into_iter().find(|(_, entry)| named(entry)).map(|(id, _)| id)
    }

    /// Names of all profiles, with what people call them and their makers' USB ids.
    pub fn all() -> Vec<(String, String, Vec<String>)> {
        entries().into_iter().map(|(id, entry)| (id, entry.name, entry.usb)).collect()
    }
}

fn entries() -> BTreeMap<String, Entry> {
    serde_json::from_str(PROFILES).expect("a test reads the file that is built in")
}

/// serde tells what is wrong but not where: the first field that does not fit is looked for.
fn in_words(merged: &Map<String, Value>, error: &str) -> String {
    let alone = |key: &str| {
        let mut without = merged.clone();
        without.remove(key);
        serde_json::from_value::<Settings>(Value::Object(without))
            .err()
            .is_some_and(|error| error.to_string().contains("missing field"))
    };
    match merged.keys().find(|key| alone(key)) {
        Some(key) if !error.contains("unknown field") => format!("{key}: {error}"),
        _ => error.to_owned(),
    }
}

// === impl Settings ===

impl Settings {
    fn mistakes(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut range = |key: &str, value: u16, least: u16, most: u16| {
            if !(least..=most).contains(&value) {
                found.push(format!("{key}: {value} is not {least} to {most}"));
            }
        };
        range("dots", self.dots, 128, 1_024);
        range("dpi", self.dpi, 90, 600);
        range("columns", self.columns, 16, 128);
        range("columns_small", self.columns_small, 0, 128);
        range("qr_bytes_max", self.qr_bytes_max, 1, 2_953);
        range("qr_module_max", self.qr_module_max.into(), 1, 16);
        range("tear_lines", self.tear_lines.into(), 0, 20);
        range("drawer_pins", self.drawer_pins.into(), 0, 2);
        range("band_rows", self.band_rows, 8, 1_024);
        range("chunk_bytes", self.chunk_bytes, 16, 16_384);
        if !self.dots.is_multiple_of(8) {
            found.push(format!("dots: {} is no multiple of 8", self.dots));
        }
        if self.code_pages.is_empty() || self.code_pages.len() > 64 {
            found.push("code_pages: 1 to 64 are meant".to_owned());
        }
        if self.asb && self.proof == ProofMethod::Queued {
            // The last bytes of a block look like the answer to GS r: one that lost its head would be a proof.
            found.push("asb: false is meant where proof is queued, their bytes look alike".to_owned());
        }
        found
    }

    /// Does it answer a question when its turn comes, behind what it was sent before?
    pub fn answers_in_turn(&self) -> bool {
        matches!(self.proof, ProofMethod::Job | ProofMethod::Queued)
    }

    /// Bytes of the longest command that a document of this printer is able to have: a band of a picture as wide as the
    /// paper, a QR code's data, a barcode. Who lost the line in a command waits for fewer.
    pub fn command_bytes_max(&self) -> usize {
        let band = PICTURE_HEAD_BYTES + usize::from(self.dots / 8) * usize::from(self.band_rows);
        let qr = QR_HEAD_BYTES + usize::from(self.qr_bytes_max);
        band.max(qr).max(BARCODE_BYTES_MAX)
    }

    /// Dots of a character of a font in its usual size.
    pub fn cell_dots(&self, font: u8) -> u16 {
        match font {
            1 if self.columns_small > 0 => self.dots / self.columns_small,
            _ => self.dots / self.columns,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_profile_can_be_used() {
        for (id, name, _) in Profile::all() {
            let profile = Profile::from_config(&format!(r#"{{"profile":"{id}"}}"#)).unwrap();
            assert_eq!((profile.id, profile.name), (id, name));
        }
    }

    #[test]
    fn the_schema_describes_exactly_the_settings() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let all = entries();
        let mut settings: BTreeSet<&String> = all[DEFAULT].settings.keys().collect();
        let profile = "profile".to_owned();
        settings.insert(&profile);
        let described = schema["properties"].as_object().unwrap();
        assert_eq!(described.keys().collect::<BTreeSet<_>>(), settings);
        let listed: BTreeSet<&str> =
            described["profile"]["enum"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(listed, all.keys().map(String::as_str).collect());
        // Every choice the schema offers is one, and one it does not offer is none.
        for (key, about) in described.iter().filter(|(key, _)| *key != "profile") {
            let Some(choices) = about["enum"].as_array() else { continue };
            for choice in choices {
                let config = serde_json::json!({ key: choice, "asb": false }).to_string();
                assert!(Profile::from_config(&config).is_ok(), "{config}");
            }
            assert!(Profile::from_config(&serde_json::json!({ key: "other" }).to_string()).is_err(), "{key}");
        }
        // So are the limits.
        for (key, about) in described {
            for (bound, beyond) in [("minimum", -8), ("maximum", 8)] {
                let Some(at) = about[bound].as_i64() else { continue };
                let config = |number: i64| serde_json::json!({ key: number }).to_string();
                assert!(Profile::from_config(&config(at)).is_ok(), "{key} {at}");
                assert!(Profile::from_config(&config(at + beyond)).is_err(), "{key} {}", at + beyond);
            }
        }
    }

    #[test]
    fn mistakes_are_told_with_their_key() {
        for (config, words) in [
            (r#"{"colums": 42}"#, "unknown field `colums`"),
            (r#"{"profile": "tm-t99"}"#, "there is no \"tm-t99\"; there are bsc10, ct-s310, default"),
            (r#"{"profile": 7}"#, "profile: a name is meant"),
            (r#"{"dots": 577}"#, "dots: 577 is no multiple of 8"),
            (r#"{"dots": "wide"}"#, "dots: invalid type: string"),
            (r#"{"proof": "sure"}"#, "proof: unknown variant `sure`, expected one of `job`"),
            (r#"{"asb": true, "proof": "queued"}"#, "asb: false is meant"),
            (r#"{"name": "mine"}"#, "unknown field `name`"),
            ("[]", "no JSON object"),
        ] {
            let told = Profile::from_config(config).unwrap_err().join("; ");
            assert!(told.contains(words), "{config}: {told}");
        }
    }

    #[test]
    fn a_printer_is_known_by_what_it_calls_itself() {
        assert_eq!(Profile::for_model("TM-T88V"), Some("tm-t88".to_owned()));
        assert_eq!(Profile::for_model("XYZ"), None);
    }
}
