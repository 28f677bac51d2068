//! Settings: what was typed (flag > environment > file > default) becomes one checked `Config`, or one message
//! that names every mistake. Knows nothing of what the settings are for.

use crate::http::Limits;
use engine::journal::Durability;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use store::{PostgresOptions, TlsMode};

/// One setting: its key in the file, its names in the environment, its default.
struct Setting {
    key: &'static str,
    envs: &'static [&'static str],
    default: &'static str,
    secret: bool,
    help: &'static str,
}

/// Every setting there is. The first environment name is ours, the rest are the plan's.
const SETTINGS: &[Setting] = &[
    plain(
        "data_dir",
        &["GATEHOUSE_DATA_DIR"],
        "data",
        "directory of journal, checkpoints and embedded store",
    ),
    plain("device_addr", &["GATEHOUSE_DEVICE_ADDR"], "127.0.0.1:8080", "address of the device port"),
    plain("admin_addr", &["GATEHOUSE_ADMIN_ADDR"], "127.0.0.1:8000", "address of the API port"),
    plain(
        "admin_cors_origins",
        &["GATEHOUSE_ADMIN_CORS_ORIGINS"],
        "",
        "origins whose web pages may use the API, such as https://tickets.example; commas between them",
    ),
    plain(
        "admin_rate_per_minute",
        &["GATEHOUSE_ADMIN_RATE_PER_MINUTE"],
        "600",
        "requests a minute of one person, program or unknown address at the API; 0 is no limit",
    ),
    plain("workers", &["GATEHOUSE_WORKERS"], "0", "threads of the device port; 0 is one per core"),
    plain("connections_max", &["GATEHOUSE_CONNECTIONS_MAX"], "20000", "open connections of the device port"),
    plain(
        "connections_per_address_max",
        &["GATEHOUSE_CONNECTIONS_PER_ADDRESS_MAX"],
        "4096",
        "of these from one address; readers behind one proxy share one",
    ),
    plain(
        "durability",
        &["GATEHOUSE_DURABILITY"],
        "fsync",
        "fsync: survives a power cut; os: survives a crash of the program",
    ),
    plain(
        "store",
        &["GATEHOUSE_STORE"],
        "auto",
        "where history is projected to: sqlite (embedded), postgres, or auto: postgres where a database is named",
    ),
    secret(
        "database_url",
        &["GATEHOUSE_DATABASE_URL", "DATABASE_URL"],
        "",
        "PostgreSQL, as postgres://user:password@host:5432/database",
    ),
    plain("database_host", &["GATEHOUSE_DATABASE_HOST", "DB_HOST"], "", "its host, where there is no URL"),
    plain("database_port", &["GATEHOUSE_DATABASE_PORT", "DB_PORT"], "5432", "its port"),
    plain("database_name", &["GATEHOUSE_DATABASE_NAME", "DB_DATABASE"], "gatehouse", "the database on it"),
    plain("database_user", &["GATEHOUSE_DATABASE_USER", "DB_USERNAME"], "gatehouse", "the user there"),
    secret(
        "database_password",
        &["GATEHOUSE_DATABASE_PASSWORD", "DB_PASSWORD"],
        "",
        "the user's password, where it is not in the URL",
    ),
    plain(
        "database_tls",
        &["GATEHOUSE_DATABASE_TLS"],
        "prefer",
        "encryption to PostgreSQL: disable, prefer or require",
    ),
    plain(
        "database_tls_roots",
        &["GATEHOUSE_DATABASE_TLS_ROOTS"],
        "",
        "PEM file of the authorities to trust; empty: the system's",
    ),
    plain(
        "database_log_days",
        &["GATEHOUSE_DATABASE_LOG_DAYS"],
        "0",
        "days PostgreSQL keeps of the access log; 0 keeps all",
    ),
    plain(
        "checkpoint_every_s",
        &["GATEHOUSE_CHECKPOINT_EVERY_S"],
        "300",
        "seconds between checkpoints, when something changed",
    ),
    plain(
        "checkpoint_every_records",
        &["GATEHOUSE_CHECKPOINT_EVERY_RECORDS"],
        "1000000",
        "records after which one is taken earlier",
    ),
    plain(
        "hot_before_h",
        &["GATEHOUSE_HOT_BEFORE_H"],
        "48",
        "hours before the doors open that an event's tickets come into memory",
    ),
    plain("hot_after_h", &["GATEHOUSE_HOT_AFTER_H"], "48", "hours after its end that they leave it"),
    plain(
        "devices_enabled",
        &["GATEHOUSE_DEVICES_ENABLED", "KQT300_API_ENABLED"],
        "true",
        "serve the device port at all",
    ),
    secret(
        "registration_secret",
        &["GATEHOUSE_REGISTRATION_SECRET", "KQT300_API_SECRET"],
        "",
        "shared secret with which a device may register; empty: none may",
    ),
    plain(
        "registration_auto_approve",
        &["GATEHOUSE_REGISTRATION_AUTO_APPROVE"],
        "false",
        "make a registered device active at once",
    ),
    plain(
        "device_silent_s",
        &["GATEHOUSE_DEVICE_SILENT_S"],
        "60",
        "seconds without a word after which a device is told to be silent",
    ),
    plain("profiles_file", &["GATEHOUSE_PROFILES_FILE"], "", "TOML file with further device profiles"),
    plain(
        "peripherals_file",
        &["GATEHOUSE_PERIPHERALS_FILE"],
        "",
        "TOML file with the printers and displays, their templates and rules",
    ),
    plain(
        "drivers_dir",
        &["GATEHOUSE_DRIVERS_DIR"],
        "",
        "directory of the drivers and their host; empty: where the program is",
    ),
    plain(
        "webhook_private_networks",
        &["GATEHOUSE_WEBHOOK_PRIVATE_NETWORKS"],
        "refuse",
        "allow: webhooks may call hosts of private networks and this machine, also without https; or refuse",
    ),
    plain("log_format", &["GATEHOUSE_LOG_FORMAT"], "human", "human or json"),
    plain("log_level", &["GATEHOUSE_LOG_LEVEL"], "info", "error, warn, info, debug or trace"),
    plain(
        "trace",
        &["GATEHOUSE_TRACE"],
        "false",
        "time the steps of every answer, as histograms on /metrics; some 0.3 us a scan",
    ),
    plain("live", &["GATEHOUSE_LIVE"], "auto", "one-line live view: auto (on a terminal), on or off"),
    plain("environment", &["GATEHOUSE_ENVIRONMENT", "APP_ENV"], "local", "production refuses demo data"),
    secret(
        "demo_password",
        &["GATEHOUSE_DEMO_PASSWORD"],
        "",
        "password and token of admin@demo.local; empty: a random one is printed",
    ),
];

const fn plain(
    key: &'static str,
    envs: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, envs, default, secret: false, help }
}

const fn secret(
    key: &'static str,
    envs: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, envs, default, secret: true, help }
}

/// The plan's names that are understood but mean nothing to this program.
const ACCEPTED_UNUSED: &[&str] = &["APP_URL", "KQT300_TIMEOUT", "KQT300_DEVICE_IP"];

/// What was typed on the command line, by key.
pub type Flags = BTreeMap<&'static str, String>;

/// The flag that asks for demo data: not a setting, but one that a production machine contradicts.
pub const DEMO_FLAG: &str = "demo";

/// The environment, as a map, so that tests pass their own.
pub type Environment = BTreeMap<String, String>;

/// Every mistake in the settings, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl std::error::Error for Mistakes {}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} in the settings:",
            if self.0.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", self.0.len()) }
        )?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  - {mistake}"))
    }
}

/// One setting as it was resolved.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its key.
    pub key: &'static str,
    /// Its value; a secret's is not shown by anything but the program's own use.
    value: String,
    /// Where it comes from.
    pub source: String,
    secret: bool,
    /// What it is.
    pub help: &'static str,
}

/// Where history is projected to.
#[derive(Clone, Debug, Default)]
pub enum StoreChoice {
    /// A file in the data directory.
    #[default]
    Sqlite,
    /// A database server.
    Postgres(Box<PostgresOptions>),
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of journal, checkpoints and embedded store.
    pub data_dir: PathBuf,
    /// Where history is projected to.
    pub store: StoreChoice,
    /// Address of the device port; `None`: switched off.
    pub device_addr: Option<SocketAddr>,
    /// Address of the API port.
    pub admin_addr: SocketAddr,
    /// What the API takes from whom.
    pub admin_edge: admin::Edge,
    /// Threads of the device port.
    pub workers: usize,
    /// Limits of the device port.
    pub limits: Limits,
    /// When a reply may leave.
    pub durability: Durability,
    /// Seconds between checkpoints.
    pub checkpoint_every_s: u64,
    /// Records after which a checkpoint is taken earlier.
    pub checkpoint_every_records: u64,
    /// Milliseconds before the doors open that an event's tickets come into memory.
    pub hot_before_ms: i64,
    /// Milliseconds after the end that they leave it.
    pub hot_after_ms: i64,
    /// With which a device may register.
    pub registration_secret: Option<String>,
    /// Make a registered device active at once.
    pub registration_auto_approve: bool,
    /// A device that says nothing for so many milliseconds is told to be silent.
    pub device_silent_ms: i64,
    /// Further device profiles.
    pub profiles_file: Option<PathBuf>,
    /// Printers and displays; `None`: there are none.
    pub peripherals_file: Option<PathBuf>,
    /// Where the drivers and their host are; `None`: where the program is.
    pub drivers_dir: Option<PathBuf>,
    /// May webhooks call hosts of private networks?
    pub webhook_private_networks: bool,
    /// Log lines as JSON?
    pub log_json: bool,
    /// Log filter.
    pub log_level: String,
    /// Time the steps of every answer?
    pub trace: bool,
    /// One-line live view: forced on or off, or where there is a terminal.
    pub live: Option<bool>,
    /// Is this a production machine?
    pub production: bool,
    /// Password and token of the demo operator.
    pub demo_password: Option<String>,
    /// How each setting was resolved.
    pub resolved: Vec<Resolved>,
}

/// Collects mistakes while values are parsed.
struct Parser {
    resolved: Vec<Resolved>,
    mistakes: Vec<String>,
}

/// Resolves and checks all settings.
///
/// # Errors
/// Every mistake at once.
pub fn load(
    flags: &Flags,
    environment: &Environment,
    file: Option<(&str, &str)>,
) -> Result<Config, Mistakes> {
    let mut parser = Parser { resolved: Vec::new(), mistakes: Vec::new() };
    let in_file = file.map(|(name, text)| (name, parser.read_file(name, text)));
    parser.reject_unknown(environment);
    for setting in SETTINGS {
        parser.resolve(setting, flags, environment, in_file.as_ref().map(|(name, values)| (*name, values)));
    }
    parser.apply_plan_port(environment, flags);
    parser.reject_demo_in_production(flags);
    let config = parser.config();
    if parser.mistakes.is_empty() { Ok(config) } else { Err(Mistakes(parser.mistakes)) }
}

impl Parser {
    fn read_file(&mut self, name: &str, text: &str) -> BTreeMap<String, String> {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                self.mistakes.push(format!("{name}: not TOML: {}", error.to_string().replace('\n', " ")));
                return BTreeMap::new();
            }
        };
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let known =
                SETTINGS.iter().any(|setting| setting.key == key || key == format!("{}_file", setting.key));
            match value {
                _ if !known => self.mistakes.push(format!("{name}: unknown key '{key}'{}", nearest(&key))),
                toml::Value::String(text) => drop(values.insert(key, text)),
                toml::Value::Integer(number) => drop(values.insert(key, number.to_string())),
                toml::Value::Boolean(yes) => drop(values.insert(key, yes.to_string())),
                other => self.mistakes.push(format!(
                    "{name}: '{key}' is a {}, not a text, number or true/false",
                    other.type_str()
                )),
            }
        }
        values
    }

    fn reject_unknown(&mut self, environment: &Environment) {
        for name in environment.keys().filter(|name| name.starts_with("GATEHOUSE_")) {
            let plain = name.strip_suffix("_FILE").unwrap_or(name);
            let known = SETTINGS
                .iter()
                .any(|setting| setting.envs.contains(&name.as_str()) || setting.envs.contains(&plain));
            if !known {
                let key = plain.trim_start_matches("GATEHOUSE_").to_lowercase();
                self.mistakes.push(format!("environment: unknown variable {name}{}", nearest(&key)));
            }
        }
    }

    fn resolve(
        &mut self,
        setting: &'static Setting,
        flags: &Flags,
        environment: &Environment,
        file: Option<(&str, &BTreeMap<String, String>)>,
    ) {
        let found = flags
            .get(setting.key)
            .map(|value| (value.clone(), format!("flag --{}", setting.key.replace('_', "-"))))
            .or_else(|| self.read_environment(setting, environment))
            .or_else(|| self.read_setting_of_file(setting, file));
        let (value, source) = found.unwrap_or_else(|| (setting.default.to_owned(), "default".to_owned()));
        self.resolved.push(Resolved {
            key: setting.key,
            value,
            source,
            secret: setting.secret,
            help: setting.help,
        });
    }

    fn read_environment(&mut self, setting: &Setting, environment: &Environment) -> Option<(String, String)> {
        for name in setting.envs {
            if let Some(value) = environment.get(*name) {
                return Some((value.clone(), format!("environment {name}")));
            }
            let named_file = format!("{name}_FILE");
            if setting.secret
                && let Some(path) = environment.get(&named_file)
            {
                return self.secret_from(path, &format!("environment {named_file}"));
            }
        }
        None
    }

    fn read_setting_of_file(
        &mut self,
        setting: &Setting,
        file: Option<(&str, &BTreeMap<String, String>)>,
    ) -> Option<(String, String)> {
        let (name, values) = file?;
        if let Some(value) = values.get(setting.key) {
            return Some((value.clone(), format!("file {name}")));
        }
        let path = values.get(&format!("{}_file", setting.key)).filter(|_| setting.secret)?;
        self.secret_from(path, &format!("file {name}"))
    }

    fn secret_from(&mut self, path: &str, source: &str) -> Option<(String, String)> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some((text.trim_end_matches(['\r', '\n']).to_owned(), format!("{source} = {path}"))),
            Err(error) => {
                self.mistakes.push(format!("{source}: cannot read {path}: {error}"));
                None
            }
        }
    }

    /// The plan names a port only; our own address, where given, says more.
    fn apply_plan_port(&mut self, environment: &Environment, flags: &Flags) {
        let Some(port) = environment.get("KQT300_API_PORT") else { return };
        let ours = flags.contains_key("device_addr") || environment.contains_key("GATEHOUSE_DEVICE_ADDR");
        match port.parse::<u16>() {
            Ok(port) if !ours => {
                if let Some(found) =
                    self.resolved.iter_mut().find(|own| own.key == "device_addr" && own.source == "default")
                {
                    found.value = format!("127.0.0.1:{port}");
                    found.source = "environment KQT300_API_PORT".to_owned();
                }
            }
            Ok(_) => {}
            Err(_) => self
                .mistakes
                .push(format!("environment KQT300_API_PORT: '{port}' is not a port, use 1 to 65535")),
        }
    }

    fn reject_demo_in_production(&mut self, flags: &Flags) {
        let (environment, source) = self.text("environment");
        if environment == "production" && flags.contains_key(DEMO_FLAG) {
            let mistake = format!("--demo is refused when environment is production ({source})");
            self.mistakes.push(mistake);
        }
    }

    fn text(&self, key: &str) -> (&str, &str) {
        self.resolved
            .iter()
            .find(|own| own.key == key)
            .map_or(("", ""), |own| (own.value.as_str(), own.source.as_str()))
    }

    fn parsed<T: Default>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let (value, source) = self.text(key);
        if let Some(parsed) = parse(value) {
            return parsed;
        }
        let mistake = format!("{key} = '{value}' ({source}): expected {expected}");
        self.mistakes.push(mistake);
        T::default()
    }

    fn number(&mut self, key: &str, least: u64, most: u64) -> u64 {
        self.parsed(key, &format!("a whole number from {least} to {most}"), |text| {
            text.parse().ok().filter(|number| (least..=most).contains(number))
        })
    }

    fn yes(&mut self, key: &str) -> bool {
        self.parsed(key, "true or false", parse_bool)
    }

    fn address(&mut self, key: &str) -> Option<SocketAddr> {
        self.parsed(key, "an address such as 127.0.0.1:8080", |text| text.parse().ok().map(Some))
    }

    fn optional(&self, key: &str) -> Option<String> {
        Some(self.text(key).0.to_owned()).filter(|text| !text.is_empty())
    }

    fn store(&mut self) -> StoreChoice {
        let named = self.optional("database_url").is_some() || self.optional("database_host").is_some();
        let postgres = self.parsed("store", "sqlite, postgres or auto", |text| match text {
            "auto" => Some(named),
            "postgres" => Some(true),
            "sqlite" => Some(false),
            _ => None,
        });
        // Checked also where they are not used: a mistake is told before the day it matters.
        let options = self.postgres_options();
        if !postgres {
            return StoreChoice::Sqlite;
        }
        if !named {
            let source = self.text("store").1.to_owned();
            self.mistakes.push(format!(
                "store = 'postgres' ({source}): which one? set database_url, or database_host and database_name"
            ));
        }
        StoreChoice::Postgres(Box::new(options))
    }

    fn postgres_options(&mut self) -> PostgresOptions {
        let tls = self.parsed("database_tls", "disable, prefer or require", |text| match text {
            "disable" => Some(TlsMode::Disable),
            "prefer" => Some(TlsMode::Prefer),
            "require" => Some(TlsMode::Require),
            _ => None,
        });
        let port = self.number("database_port", 1, 65_535);
        let log_days = self.number("database_log_days", 0, 36_500) as u32;
        let url = self.optional("database_url").unwrap_or_else(|| {
            let part = |key: &str| percent_encoded(self.text(key).0);
            let (user, host, name) =
                (part("database_user"), self.text("database_host").0, part("database_name"));
            format!("postgres://{user}@{host}:{port}/{name}")
        });
        PostgresOptions {
            password: self.optional("database_password"),
            tls,
            tls_roots: self.optional("database_tls_roots").map(PathBuf::from),
            log_days: (log_days > 0).then_some(log_days),
            ..PostgresOptions::at(&url)
        }
    }

    fn admin_edge(&mut self) -> admin::Edge {
        let form = "origins such as https://tickets.example, with commas between them";
        admin::Edge {
            origins: self.parsed("admin_cors_origins", form, parse_origins),
            requests_per_minute: self.number("admin_rate_per_minute", 0, 1_000_000) as u32,
        }
    }

    fn config(&mut self) -> Config {
        let store = self.store();
        let devices = self.yes("devices_enabled");
        let device_addr = self.address("device_addr").filter(|_| devices);
        let workers = self.number("workers", 0, 256) as usize;
        let connections_max = self.number("connections_max", 1, 1_000_000) as usize;
        let connections_per_peer_max = self.number("connections_per_address_max", 1, 1_000_000) as usize;
        let limits = Limits { connections_max, connections_per_peer_max, ..Limits::default() };
        let secret = self.optional("registration_secret");
        if secret.as_ref().is_some_and(|secret| secret.len() < SECRET_BYTES_MIN) {
            let source = self.text("registration_secret").1.to_owned();
            self.mistakes.push(format!(
                "registration_secret ({source}): needs at least {SECRET_BYTES_MIN} characters"
            ));
        }
        let log_level = self.parsed("log_level", "error, warn, info, debug or trace", |text| {
            ["error", "warn", "info", "debug", "trace"].contains(&text).then(|| text.to_owned())
        });
        Config {
            data_dir: PathBuf::from(self.text("data_dir").0),
            store,
            device_addr,
            admin_addr: self.address("admin_addr").unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            admin_edge: self.admin_edge(),
            workers: if workers == 0 {
                std::thread::available_parallelism().map_or(1, usize::from)
            } else {
                workers
            },
            limits,
            durability: self
                .parsed("durability", "fsync or os", parse_durability)
                .unwrap_or(Durability::Fsync),
            checkpoint_every_s: self.number("checkpoint_every_s", 1, 86_400),
            checkpoint_every_records: self.number("checkpoint_every_records", 1_000, 1_000_000_000),
            hot_before_ms: self.number("hot_before_h", 1, 8_760) as i64 * 3_600_000,
            hot_after_ms: self.number("hot_after_h", 1, 8_760) as i64 * 3_600_000,
            registration_secret: secret,
            registration_auto_approve: self.yes("registration_auto_approve"),
            device_silent_ms: self.number("device_silent_s", 1, 86_400) as i64 * 1_000,
            profiles_file: self.optional("profiles_file").map(PathBuf::from),
            peripherals_file: self.optional("peripherals_file").map(PathBuf::from),
            drivers_dir: self.optional("drivers_dir").map(PathBuf::from),
            webhook_private_networks: self.parsed("webhook_private_networks", "allow or refuse", |text| {
                match text {
                    "allow" => Some(true),
                    "refuse" => Some(false),
                    _ => None,
                }
            }),
            log_json: self.parsed("log_format", "human or json", |text| match text {
                "human" => Some(false),
                "json" => Some(true),
                _ => None,
            }),
            log_level,
            trace: self.yes("trace"),
            live: self.parsed("live", "auto, on or off", |text| match text {
                "auto" => Some(None),
                "on" => Some(Some(true)),
                "off" => Some(Some(false)),
                _ => None,
            }),
            production: self.text("environment").0 == "production",
            demo_password: self.optional("demo_password"),
            resolved: self.resolved.clone(),
        }
    }
}

/// Shortest secret a device may register with.
const SECRET_BYTES_MIN: usize = 8;

/// A part of a URL in which nothing means anything.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Scheme, host and maybe port: what a browser sends as `Origin`. `*` would be everybody, and is not taken.
fn parse_origins(text: &str) -> Option<Vec<String>> {
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        host.is_some_and(|host| !host.is_empty() && host.bytes().all(good))
    };
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins.map(|origin| is_origin(origin).then(|| origin.to_ascii_lowercase())).collect()
}

fn parse_durability(text: &str) -> Option<Option<Durability>> {
    match text {
        "fsync" => Some(Some(Durability::Fsync)),
        "os" => Some(Some(Durability::Os)),
        _ => None,
    }
}

/// A hint for a mistyped key.
fn nearest(key: &str) -> String {
    let close = |setting: &&Setting| {
        let same = setting.key.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
        same >= 4 || setting.key.contains(key)
    };
    SETTINGS.iter().find(close).map_or(String::new(), |setting| format!("; did you mean '{}'?", setting.key))
}

impl Resolved {
    /// The value for people; a secret is never shown.
    pub fn shown(&self) -> &str {
        match (self.secret, self.value.is_empty()) {
            (true, false) => "(set, hidden)",
            (_, true) => "(none)",
            (false, false) => &self.value,
        }
    }
}

/// The names of environment variables that are read, for help texts.
pub fn environment_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(|setting| setting.envs.iter().copied()).chain(ACCEPTED_UNUSED.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn defaults_are_good() {
        let config = load(&Flags::new(), &env(&[]), None).unwrap();
        assert_eq!(config.device_addr.unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin_addr.to_string(), "127.0.0.1:8000");
        assert_eq!(config.admin_edge, admin::Edge { origins: Vec::new(), requests_per_minute: 600 });
        assert!(config.workers >= 1);
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let file = Some(("g.toml", "data_dir = 'f'\nlog_level = 'warn'\nworkers = 3"));
        let environment = env(&[("GATEHOUSE_DATA_DIR", "e"), ("GATEHOUSE_LOG_LEVEL", "debug")]);
        let config = load(&Flags::from([("data_dir", "x".to_owned())]), &environment, file).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("x"));
        assert_eq!(config.log_level, "debug");
        assert_eq!(config.workers, 3);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let file = Some(("g.toml", "data_dri = 'f'\nlive = 7\nprofiles_file = [1]"));
        let environment = env(&[
            ("GATEHOUSE_WORKERS", "many"),
            ("GATEHOUSE_DEVICE_ADDR", "8080"),
            ("GATEHOUSE_TYPO", "1"),
            ("KQT300_API_PORT", "99999"),
            ("KQT300_API_SECRET", "short"),
        ]);
        let Mistakes(found) =
            load(&Flags::from([("store", "oracle".to_owned())]), &environment, file).unwrap_err();
        for part in [
            "data_dri",
            "did you mean 'data_dir'",
            "live",
            "profiles_file",
            "workers = 'many'",
            "device_addr = '8080'",
            "GATEHOUSE_TYPO",
            "KQT300_API_PORT",
            "registration_secret",
            "store = 'oracle'",
        ] {
            assert!(found.iter().any(|mistake| mistake.contains(part)), "{part} is missing in {found:#?}");
        }
    }

    #[test]
    fn secrets_are_read_from_files_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "a-long-secret\n").unwrap();
        let environment = env(&[("KQT300_API_SECRET_FILE", path.to_str().unwrap())]);
        let config = load(&Flags::new(), &environment, None).unwrap();
        assert_eq!(config.registration_secret.as_deref(), Some("a-long-secret"));
        let shown = config.resolved.iter().find(|own| own.key == "registration_secret").unwrap().shown();
        assert_eq!(shown, "(set, hidden)");
    }

    #[test]
    fn origins_are_what_browsers_send_and_never_everybody() {
        assert_eq!(parse_origins(""), Some(Vec::new()));
        let two = parse_origins("https://Tickets.example, http://localhost:5173");
        assert_eq!(two.unwrap(), ["https://tickets.example", "http://localhost:5173"]);
        for wrong in ["*", "tickets.example", "https://", "https://a/b", "https://a b", "ftp://a", "null"] {
            assert_eq!(parse_origins(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_plans_names_are_understood() {
        let config =
            load(&Flags::new(), &env(&[("KQT300_API_PORT", "9090"), ("APP_ENV", "production")]), None)
                .unwrap();
        assert_eq!(config.device_addr.unwrap().port(), 9090);
        assert!(config.production);
    }
}
