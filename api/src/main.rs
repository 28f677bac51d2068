//! The program `gatehouse`: reads the command line and hands over. Exit codes: 0 well, 1 something was found
//! wrong (bad rows, a damaged journal, an unhealthy server), 64 bad settings or arguments, 70 internal.

use api::cli::{Cli, Command, Import, JournalCommand, StationArgs, StatusWord, UserCommand};
use api::config::{self, Config, Environment};
use api::live::{self, Live};
use api::node::Node;
use api::station::{self, Station, StationOptions};
use api::target::{self, Target};
use api::{drivers, export, import, inspect};
use clap::Parser;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

#[cfg(not(feature = "heap-profile"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bad settings or arguments.
const EXIT_USAGE: u8 = 64;
/// Something went wrong inside.
const EXIT_INTERNAL: u8 = 70;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let config = match settings(&cli) {
        Ok(config) => config,
        Err(mistakes) => {
            eprint!("{mistakes}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(&cli, &config) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("gatehouse: {error:#}");
            let theirs = error.is::<config::Mistakes>();
            ExitCode::from(if theirs { EXIT_USAGE } else { EXIT_INTERNAL })
        }
    }
}

fn settings(cli: &Cli) -> Result<Config, config::Mistakes> {
    let environment: Environment = std::env::vars().filter(|(name, _)| name != "GATEHOUSE_CONFIG").collect();
    let file = match &cli.settings.config {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => Some((path.display().to_string(), text)),
            Err(error) => {
                return Err(config::Mistakes(vec![format!("--config {}: {error}", path.display())]));
            }
        },
        None => None,
    };
    let mut flags = cli.settings.flags();
    if matches!(cli.command, Command::Serve { demo: true }) {
        flags.insert(config::DEMO_FLAG, "true".to_owned());
    }
    config::load(&flags, &environment, file.as_ref().map(|(name, text)| (name.as_str(), text.as_str())))
}

fn run(cli: &Cli, config: &Config) -> anyhow::Result<u8> {
    match &cli.command {
        Command::Serve { demo } => serve(config, *demo),
        Command::CheckConfig => {
            println!("the settings are good");
            Ok(0)
        }
        Command::PrintConfig => {
            println!("{}", settings_table(config));
            Ok(0)
        }
        Command::Import(Import::Tickets(options)) => {
            let target = Target::find(config)?;
            let outcome = import::run(&target, options);
            target.close();
            Ok(import::report(&outcome?, options))
        }
        Command::Import(Import::Venue { file }) => import_venue(config, file),
        Command::Export(options) => export::run(config, options).map(|()| 0),
        Command::Journal(JournalCommand::Inspect { dir }) => inspect::print(dir),
        Command::Journal(JournalCommand::Verify { dir }) => inspect::verify(dir),
        Command::Healthcheck => Ok(healthcheck(config)),
        Command::User(UserCommand::Add { email, role, password_file }) => {
            add_user(config, email, role, password_file.as_deref())
        }
        Command::Ticket { status, code } => set_status(config, *status, code),
        Command::Station(options) => run_station(config, options),
        Command::Drivers(command) => drivers::run(config, command),
        Command::Version => {
            println!("gatehouse {}", env!("CARGO_PKG_VERSION"));
            Ok(0)
        }
    }
}

fn serve(config: &Config, demo: bool) -> anyhow::Result<u8> {
    start_logging(config);
    // Before anything large is there.
    api::system::small_pages();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Signals are caught before anything is open, so that a stop during the start is a clean stop too.
    let mut signals = runtime.block_on(async { signals() })?;
    let (node, password) = Node::start(config, demo)?;
    print!("{}", live::welcome(&node, password.as_deref()));
    let mut line = live::wanted(config.live).then(Live::default);
    runtime.block_on(async {
        loop {
            tokio::select! {
                () = stop_asked(&mut signals) => break,
                () = tokio::time::sleep(live::EVERY) => {
                    if let Some(line) = &mut line {
                        line.show(&node);
                    }
                }
            }
        }
    });
    if line.is_some() {
        eprintln!();
    }
    tracing::info!("stopping: answering what is in flight");
    node.stop();
    Ok(0)
}

fn run_station(config: &Config, args: &StationArgs) -> anyhow::Result<u8> {
    let options = StationOptions {
        name: args.name.clone(),
        server: args.server.clone(),
        listen: args.listen,
        origins: args.origins.clone(),
        drawer: args.drawer,
    };
    if let Some(token_file) = &args.register {
        let path = station::register(config, &options, token_file)?;
        println!("station {} is registered; its key is in {}", options.name, path.display());
        return Ok(0);
    }
    start_logging(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { signals() })?;
    let station = Station::start(config, &options)?;
    println!("station {} is ready: http://{}/status", options.name, station.addr);
    runtime.block_on(stop_asked(&mut signals));
    station.stop();
    Ok(0)
}

/// Asked to stop, twice over; and the one that is only kept from killing us.
type Signals = (tokio::signal::unix::Signal, tokio::signal::unix::Signal, tokio::signal::unix::Signal);

/// A write beyond a file size limit. Uncaught it ends the program without a word; caught, the write fails, the
/// journal says so and devices are told.
const FILE_SIZE_EXCEEDED: std::ffi::c_int = 25;

fn signals() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    let file_size = signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?;
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, file_size))
}

async fn stop_asked((terminate, interrupt, _): &mut Signals) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The pool of connections warns of each one it throws away ("db error"). The projection tells of an outage, once.
const POOL_LOG_LEVEL: &str = "deadpool=error";

fn start_logging(config: &Config) {
    // What is set comes last and goes before.
    let filter = tracing_subscriber::EnvFilter::new(format!("{POOL_LOG_LEVEL},{}", config.log_level));
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors).with_writer(std::io::stderr);
    if config.log_json { builder.json().init() } else { builder.with_target(false).init() }
}

fn settings_table(config: &Config) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["setting", "value", "from", "what it is"]);
    for setting in &config.resolved {
        table.add_row([setting.key, setting.shown(), &setting.source, setting.help]);
    }
    table
}

fn read(file: &Path) -> anyhow::Result<String> {
    use anyhow::Context;
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}

/// Makes one change and gives what came of it; the target is closed whatever happened.
fn change(
    config: &Config,
    path: &str,
    body: &[u8],
) -> anyhow::Result<Result<serde_json::Value, anyhow::Error>> {
    let target = Target::find(config)?;
    let changed = target.change(path, &[], body);
    target.close();
    Ok(changed)
}

/// Prints what came of a change; a refusal is told, exit 1.
fn told(changed: Result<serde_json::Value, anyhow::Error>, tell: impl FnOnce(&serde_json::Value)) -> u8 {
    match changed {
        Ok(value) => {
            tell(&value);
            0
        }
        Err(refusal) => {
            eprintln!("nothing was changed:\n{refusal}");
            1
        }
    }
}

fn import_venue(config: &Config, file: &Path) -> anyhow::Result<u8> {
    let changed = change(config, "/api/v1/venue", read(file)?.as_bytes())?;
    Ok(told(changed, |value| {
        println!("{} entities imported", value["entities"]);
        let keys = value["new_keys"].as_array().cloned().unwrap_or_default();
        if !keys.is_empty() {
            println!("new device keys, shown this once:");
        }
        for key in keys {
            println!(
                "  {}  {}",
                key["device_id"].as_str().unwrap_or_default(),
                key["api_key"].as_str().unwrap_or_default()
            );
        }
    }))
}

fn add_user(config: &Config, email: &str, role: &str, password_file: Option<&Path>) -> anyhow::Result<u8> {
    let password = match password_file {
        Some(path) => Some(read(path)?.trim_end_matches(['\r', '\n']).to_owned()),
        None => None,
    };
    let body = serde_json::json!({"email": email, "role": role, "password": password});
    let changed = change(config, "/api/v1/local/operators", body.to_string().as_bytes())?;
    Ok(told(changed, |value| {
        println!(
            "{email} is a {role}; the token, shown this once:\n{}",
            value["token"].as_str().unwrap_or_default()
        );
    }))
}

fn set_status(config: &Config, status: StatusWord, code: &str) -> anyhow::Result<u8> {
    let body = serde_json::json!({"code": code, "status": status.status()});
    let changed = change(config, "/api/v1/tickets/status", body.to_string().as_bytes())?;
    Ok(told(changed, |value| {
        println!("ticket {} is {}", value["ticket_id"].as_str().unwrap_or_default(), status.status())
    }))
}

fn healthcheck(config: &Config) -> u8 {
    match target::agent().get(format!("http://{}/healthz", config.admin_addr)).call() {
        Ok(response) if response.status().is_success() => 0,
        Ok(response) => {
            eprintln!("unhealthy: {}", response.status());
            1
        }
        Err(error) => {
            eprintln!("unhealthy: {error}");
            1
        }
    }
}
