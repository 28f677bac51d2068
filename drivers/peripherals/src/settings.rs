//! The file `peripherals.toml`, read and checked: which peripherals there are, with which drivers, templates and rules.
//! Every mistake is told at once, with its line. Opens no device and loads no driver.

mod fields;

use crate::job::{EXPIRES_AFTER_MS, Priority};
use crate::rules::{On, Rule, Target};
use documents::{Template, Values};
use driver_frames::{Kind, Way};
use fields::{Fields, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::DeTable;

/// A document has so long, in ms, unless settings say otherwise: a long receipt with a picture on a slow line.
const TIMEOUT_MS: i64 = 30_000;
/// Jobs that may wait at a peripheral, unless settings say otherwise.
const QUEUE_USUAL: i64 = 100;
/// And at most.
const QUEUE_MAX: i64 = 10_000;

/// What a venue's printers and displays are, checked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// In the file's order.
    pub peripherals: Vec<PeripheralSettings>,
    /// By name.
    pub templates: BTreeMap<String, Arc<Template>>,
    /// In the file's order.
    pub rules: Vec<Rule>,
    /// The venue's name, for every template's field `venue`.
    pub venue: String,
    /// SHA-256 of drivers' files in hex; where there are some, no other is loaded.
    pub allow: Vec<String>,
}

/// One peripheral.
#[derive(Clone, Debug, PartialEq)]
pub struct PeripheralSettings {
    /// Its name.
    pub name: String,
    /// Its driver's id: the file `libdriver_ID.so` in the drivers' folder, `-` written `_`.
    pub driver: String,
    /// How the device is reached.
    pub way: Way,
    /// The driver's own settings, JSON.
    pub config: String,
    /// SHA-256 of the driver's file in hex.
    pub sha256: Option<String>,
    /// The station it hangs at; `None`: at the server.
    pub station: Option<String>,
    /// Gates it belongs to; none: any.
    pub gates: Vec<String>,
    /// Jobs that may wait.
    pub queue_max: u64,
    /// A document has so long, in ms.
    pub timeout_ms: u32,
    /// What a display shows when there is nothing else: a template's name.
    pub idle: Option<String>,
    /// What goes to and comes from the device is written here.
    pub record: Option<PathBuf>,
}

/// All mistakes of a settings file: each with its place and what is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

// === impl Settings ===

impl Settings {
    /// Reads the file, and the templates it names (beside it, where their paths are not whole).
    ///
    /// # Errors
    /// Every mistake, as `FILE:LINE: what is meant`.
    pub fn load(path: &Path) -> Result<Settings, Mistakes> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Mistakes(vec![format!("{}: {error}", path.display())]))?;
        Settings::parse(&path.display().to_string(), &text, path.parent().unwrap_or(Path::new(".")))
    }

    /// The same from a text; `name` is for the mistakes, templates lie in `folder`.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Settings, Mistakes> {
        let source = Source::new(name, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            source.mistake(error.span().map_or(0, |span| span.start), error.message());
        }
        let settings = file(&source, table.into_inner(), folder);
        let mistakes = source.into_mistakes();
        if mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(mistakes)) }
    }

    /// These values, and those of the venue that they do not have.
    pub fn filled(&self, mut values: Values) -> Values {
        if !self.venue.is_empty() {
            values.entry("venue".to_owned()).or_insert_with(|| self.venue.clone());
        }
        values
    }

    /// A peripheral by its name.
    pub fn peripheral(&self, name: &str) -> Option<&PeripheralSettings> {
        self.peripherals.iter().find(|own| own.name == name)
    }
}

/// The whole file.
fn file(source: &Source<'_>, table: DeTable<'_>, folder: &Path) -> Settings {
    let mut top = Fields::new(source, "the file", 0, table);
    let mut settings = Settings { allow: top.texts("allow"), ..Settings::default() };
    let hex = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !settings.allow.iter().all(hex) {
        top.mistake("allow", "SHA-256 in hex is meant: 64 digits, as sha256sum prints them");
    }
    settings.venue = top.optional_text("venue").unwrap_or_default();
    let mut lines = BTreeMap::new();
    for mut fields in top.tables("template") {
        if let Some((name, template)) = template(&mut fields, folder)
            && settings.templates.insert(name.clone(), Arc::new(template)).is_some()
        {
            fields.mistake("name", &format!("a second template {name:?}"));
        }
        fields.end();
    }
    built_in(&mut settings, folder);
    for mut fields in top.tables("peripheral") {
        let peripheral = peripheral(&mut fields, &settings);
        if let Some(line) = lines.insert(peripheral.name.clone(), fields.line()) {
            fields.mistake(
                "name",
                &format!("{:?} is the name of the peripheral in line {line}", peripheral.name),
            );
        }
        settings.peripherals.push(peripheral);
        fields.end();
    }
    for mut fields in top.tables("rule") {
        let rule = rule(&mut fields, &settings);
        if settings.rules.iter().any(|own| own.name == rule.name) {
            fields.mistake("name", &format!("a second rule {:?}", rule.name));
        }
        settings.rules.push(rule);
        fields.end();
    }
    top.end();
    settings
}

fn template(fields: &mut Fields<'_, '_>, folder: &Path) -> Option<(String, Template)> {
    let name = fields.name("name");
    let file = fields.text("file")?;
    let path = folder.join(&file);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| fields.mistake("file", &format!("{}: {error}", path.display()))).ok()?;
    match Template::parse(&name, &text) {
        Ok(mut template) => {
            let beside = path.parent().unwrap_or(folder);
            for logo in logos(&mut template, beside) {
                fields.mistake("file", &format!("{file}: {logo}"));
            }
            Some((name, template))
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| fields.mistake("file", &format!("{file}: {mistake}")));
            None
        }
    }
}

/// Gives a template its pictures, which lie beside its file. What is wrong with them.
fn logos(template: &mut Template, folder: &Path) -> Vec<String> {
    let names: Vec<String> = template.logos().into_iter().map(str::to_owned).collect();
    let set = |name: String| {
        let path = folder.join(&name);
        let png = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
        png.and_then(|png| template.set_logo(&name, png)).err()
    };
    names.into_iter().filter_map(set).collect()
}

/// The templates that come with the program, for names that the file has none of its own for. A picture for them may
/// lie beside the file.
fn built_in(settings: &mut Settings, folder: &Path) {
    for (name, _) in documents::BUILT_IN {
        if let Some(mut template) = documents::built_in(name)
            && !settings.templates.contains_key(name)
        {
            let _ = logos(&mut template, folder);
            settings.templates.insert(name.to_owned(), Arc::new(template));
        }
    }
}

fn peripheral(fields: &mut Fields<'_, '_>, settings: &Settings) -> PeripheralSettings {
    let name = fields.name("name");
    let driver = fields.text("driver").unwrap_or_default();
    let id = !driver.is_empty()
        && driver.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !id && fields.has("driver") {
        fields.mistake(
            "driver",
            &format!("{driver:?}: a driver's id is meant, such as escpos: a-z, 0-9 and -"),
        );
    }
    let way = fields.text("connection").unwrap_or_default();
    let way = way.parse().unwrap_or_else(|error| {
        if fields.has("connection") {
            fields.mistake("connection", &format!("{error}"));
        }
        Way::File("/dev/null".to_owned())
    });
    let sha256 = fields.optional_text("sha256").map(|text| text.to_ascii_lowercase());
    if sha256
        .as_ref()
        .is_some_and(|text| text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        fields.mistake("sha256", "SHA-256 in hex is meant: 64 digits, as sha256sum prints them");
    }
    let idle = fields.optional_text("idle");
    if let Some(idle) = &idle {
        known(fields, "idle", "template", idle, settings.templates.contains_key(idle));
    }
    let timeout_ms = fields.number("timeout_ms", 1_000, 600_000, TIMEOUT_MS);
    PeripheralSettings {
        name,
        driver,
        way,
        config: fields.json("config"),
        sha256,
        station: fields.optional_text("station"),
        gates: fields.texts("gates"),
        queue_max: fields.number("queue_max", 1, QUEUE_MAX, QUEUE_USUAL).unsigned_abs(),
        timeout_ms: u32::try_from(timeout_ms).unwrap_or(u32::MAX),
        idle,
        record: fields.optional_text("record").map(PathBuf::from),
    }
}

fn rule(fields: &mut Fields<'_, '_>, settings: &Settings) -> Rule {
    let name = fields.name("name");
    const ON: [(&str, On); 4] =
        [("admit", On::Admit), ("deny", On::Deny), ("attention", On::Attention), ("button", On::Button)];
    const PRIORITIES: [(&str, Priority); 3] =
        [("urgent", Priority::Urgent), ("normal", Priority::Normal), ("low", Priority::Low)];
    let rule = Rule {
        name,
        on: fields.choice("on", &ON, None),
        gates: fields.texts("gates"),
        types: fields.texts("types"),
        reasons: fields.texts("reasons"),
        print: target(fields, "print", Kind::Printer, settings),
        show: target(fields, "show", Kind::Display, settings),
        priority: fields.choice("priority", &PRIORITIES, Some(Priority::Normal)),
        expires_after_ms: 1_000 * fields.number("expires_s", 1, 86_400, EXPIRES_AFTER_MS / 1_000),
    };
    if rule.print.is_none() && rule.show.is_none() && !fields.has("print") && !fields.has("show") {
        fields.mistake("name", "a rule has something to do: print = TEMPLATE or show = TEMPLATE");
    }
    rule
}

/// `print = "receipt"`, `printers = ["till"]`.
fn target(fields: &mut Fields<'_, '_>, what: &str, kind: Kind, settings: &Settings) -> Option<Target> {
    let to = &format!("{kind}s");
    let template = fields.optional_text(what);
    let names = fields.texts(to);
    let Some(template) = template else {
        if !names.is_empty() {
            fields.mistake(to, &format!("{what} = TEMPLATE is missing"));
        }
        return None;
    };
    known(fields, what, "template", &template, settings.templates.contains_key(&template));
    if settings.templates.get(&template).is_some_and(|own| own.kind() != kind) {
        fields.mistake(what, &format!("template {template:?} is not for a {kind}"));
    }
    if names.is_empty() {
        fields.mistake(what, &format!("{to} = [\"NAME\"] is missing: where to"));
    }
    let mut peripherals: Vec<(String, Vec<String>)> = Vec::new();
    for name in names {
        let found = settings.peripheral(&name);
        known(fields, to, "peripheral", &name, found.is_some());
        if peripherals.iter().any(|(own, _)| *own == name) {
            fields.mistake(to, &format!("{name:?} is there twice"));
        }
        peripherals.push((name, found.map(|own| own.gates.clone()).unwrap_or_default()));
    }
    Some(Target { template, peripherals })
}

fn known(fields: &Fields<'_, '_>, key: &str, what: &str, name: &str, is_known: bool) {
    if !is_known {
        fields.mistake(key, &format!("no {what} {name:?} in this file"));
    }
}

#[cfg(test)]
mod tests;
