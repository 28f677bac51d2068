//! The command line: what can be typed, and which settings it stands for. Knows no work.

use crate::config::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Ticket validation for large venues: answers "may this guest pass?" at the turnstile, never admits a ticket
/// twice, never loses a decision.
#[derive(Parser, Debug)]
#[command(
    name = "gatehouse",
    version,
    max_term_width = 110,
    after_help = "First steps:\n  gatehouse serve --demo                 a node with demo data on http://127.0.0.1:8080\n  gatehouse import venue venue.toml      your events, gates, ticket types and devices\n  gatehouse import tickets --event ID list.csv\n\nSettings: flag > environment (GATEHOUSE_…) > file (TOML) > default; gatehouse print-config shows them all."
)]
pub struct Cli {
    /// Settings every command takes.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings as flags.
#[derive(Args, Debug, Default)]
pub struct SettingFlags {
    /// Settings file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "GATEHOUSE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of journal, checkpoints and embedded store [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Address of the device port [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub device_addr: Option<String>,
    /// Address of the API port [default: 127.0.0.1:8000].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub admin_addr: Option<String>,
    /// Where history is projected to: sqlite, postgres, or auto (postgres where a database is named).
    #[arg(long, global = true, value_name = "STORE")]
    pub store: Option<String>,
    /// PostgreSQL URL; a list of processes shows it: DATABASE_URL in the environment is more private
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Printers and displays, their templates and rules (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    pub peripherals_file: Option<String>,
    /// Directory of the drivers and their host [default: where the program is].
    #[arg(long, global = true, value_name = "DIR")]
    pub drivers_dir: Option<String>,
    /// Threads of the device port; 0 is one per core.
    #[arg(long, global = true, value_name = "N")]
    pub workers: Option<String>,
    /// fsync: a reply survives a power cut; os: a crash of the program.
    #[arg(long, global = true, value_name = "MODE")]
    pub durability: Option<String>,
    /// human or json.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// error, warn, info, debug or trace.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// One-line live view: auto, on or off.
    #[arg(long, global = true, value_name = "WHEN")]
    pub live: Option<String>,
}

impl SettingFlags {
    /// What was typed, by setting.
    pub fn flags(&self) -> Flags {
        [
            ("data_dir", &self.data_dir),
            ("device_addr", &self.device_addr),
            ("admin_addr", &self.admin_addr),
            ("store", &self.store),
            ("database_url", &self.database_url),
            ("peripherals_file", &self.peripherals_file),
            ("drivers_dir", &self.drivers_dir),
            ("workers", &self.workers),
            ("durability", &self.durability),
            ("log_format", &self.log_format),
            ("log_level", &self.log_level),
            ("live", &self.live),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.clone()?)))
        .collect()
    }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run everything on this node until SIGTERM.
    Serve {
        /// Load the demo data (once; what happened is kept).
        #[arg(long)]
        demo: bool,
    },
    /// Check the settings; every mistake at once, exit 64.
    CheckConfig,
    /// Show the resolved settings and where each comes from (secrets hidden).
    PrintConfig,
    /// Bring data in, into a running server or its data directory.
    #[command(subcommand)]
    Import(Import),
    /// Take data out of the store, as CSV or NDJSON.
    Export(Export),
    /// Look into a journal without a server.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Exit 0 when the server's /healthz is well (for containers).
    Healthcheck,
    /// Operators.
    #[command(subcommand)]
    User(UserCommand),
    /// Change a ticket's status by its code.
    Ticket {
        /// To what.
        #[arg(value_enum)]
        status: StatusWord,
        /// Its code.
        code: String,
    },
    /// Run the printers and displays of this PC: jobs of a server, and of this PC's web pages.
    Station(StationArgs),
    /// Drivers of printers and displays: what is there, what it says, what a print looks like.
    #[command(subcommand)]
    Drivers(DriversCommand),
    /// Print the version.
    Version,
}

/// A preview of a template.
#[derive(Args, Debug)]
pub struct Preview {
    /// A template that comes with the program (receipt, badge, wristband, ticket, denied, welcome, denied-display, counter,
    /// idle), or a TOML file.
    pub template: String,
    /// A field and its value; may be repeated. Fields that are not given get an example.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub values: Vec<String>,
    /// Width of the paper in dots: 576 is 80 mm, 384 is 58 mm.
    #[arg(long, value_name = "N", default_value_t = 576)]
    pub dots: u16,
    /// Where to.
    #[arg(long, short, value_name = "FILE", default_value = "preview.png")]
    pub output: PathBuf,
}

/// A station.
#[derive(Args, Debug)]
pub struct StationArgs {
    /// The station's name, as the server's peripherals file has it.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// The server's API port, such as `http://10.0.0.2:8000`; without one the station prints for its own pages only.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Get the station's key with the manager's token in this file, keep it in the data directory, and end.
    #[arg(long, value_name = "FILE")]
    pub register: Option<PathBuf>,
    /// Where web pages of this PC find the station.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: std::net::SocketAddr,
    /// Origin of web pages that may print here, such as `https://box.example`; may be repeated.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// Those pages may open the cash drawer too (`POST /drawer`); each opening is written down with who and why.
    #[arg(long = "allow-drawer")]
    pub drawer: bool,
}

/// Drivers of printers and displays.
#[derive(Subcommand, Debug)]
pub enum DriversCommand {
    /// The drivers that are installed.
    List,
    /// What a driver's file says about itself, as JSON.
    Inspect {
        /// The file, or the driver's name.
        driver: String,
    },
    /// Ask a device what it is. Never prints.
    Probe(DeviceAt),
    /// Print a test page, or show a test text.
    TestPrint(DeviceAt),
    /// What a template looks like on paper or on a display: a picture (PNG), no device needed.
    Preview(Preview),
}

/// A device and how it is reached.
#[derive(Args, Debug)]
pub struct DeviceAt {
    /// The driver's name, such as escpos.
    #[arg(long, value_name = "NAME")]
    pub driver: String,
    /// How the device is reached: tcp://HOST:PORT, serial:/dev/…?baud=9600, usb:VENDOR:PRODUCT, lp:/dev/usb/lp0, file:/path.
    #[arg(long, value_name = "WAY")]
    pub connection: String,
    /// The driver's settings, JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub driver_config: String,
}

/// Bring data in.
#[derive(Subcommand, Debug)]
pub enum Import {
    /// A list of tickets: CSV or NDJSON, `-` is standard input.
    #[command(
        after_help = "Columns (CSV, first line) or fields (NDJSON):\n  code, more_codes (by |), card (RFID, hex), ticket_id, type, holder, order, seat,\n  valid_from, valid_until (RFC 3339), status, specimen\nA row needs a code or card, and a type of the event."
    )]
    Tickets(ImportTickets),
    /// Events, zones, gates, ticket types and devices from a TOML file; all or nothing.
    Venue {
        /// The file, `-` is standard input.
        file: PathBuf,
    },
}

/// A ticket import.
#[derive(Args, Debug)]
pub struct ImportTickets {
    /// Name of the event.
    #[arg(long, value_name = "ID")]
    pub event: String,
    /// Check everything, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Import only if every row is good.
    #[arg(long)]
    pub all_or_nothing: bool,
    /// Encoding of a list without byte order mark [default: utf-8].
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// The list.
    pub file: PathBuf,
}

/// Take data out.
#[derive(Args, Debug)]
pub struct Export {
    /// What.
    #[arg(value_enum)]
    pub what: ExportWhat,
    /// Of which event.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ExportForm::Csv)]
    pub format: ExportForm,
    /// Where to [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What can be taken out.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportWhat {
    /// The access log.
    Scans,
    /// Tickets with what they have done.
    Tickets,
}

/// How an export is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// Comma separated, with column names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Look into a journal.
#[derive(Subcommand, Debug)]
pub enum JournalCommand {
    /// Print every record, one JSON object a line.
    Inspect {
        /// Directory of the segments, such as data/journal.
        dir: PathBuf,
    },
    /// Check every byte; exit 1 when something is wrong.
    Verify {
        /// Directory of the segments, such as data/journal.
        dir: PathBuf,
    },
}

/// Operators.
#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add an operator; prints a token, once.
    Add {
        /// E-mail address.
        #[arg(long)]
        email: String,
        /// viewer, steward, supervisor, manager or administrator.
        #[arg(long, default_value = "supervisor")]
        role: String,
        /// Read a password for later logins from this file.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// A ticket's status as a word.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusWord {
    /// Stop it for now.
    Block,
    /// Make it good (also after not_activated).
    Activate,
    /// Take it back for good.
    Cancel,
    /// Another ticket takes its place.
    Supersede,
}

impl StatusWord {
    /// The status's name.
    pub fn status(self) -> &'static str {
        match self {
            StatusWord::Block => "blocked",
            StatusWord::Activate => "active",
            StatusWord::Cancel => "cancelled",
            StatusWord::Supersede => "superseded",
        }
    }
}
