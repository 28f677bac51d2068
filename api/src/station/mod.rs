//! A station: the same drivers and the same queue on a client PC beside its printers and displays. It takes jobs from a
//! server, goes on without one, and prints for the web pages of this PC. Knows no engine and no ticket.

mod ledger;
mod local;
mod pull;

use crate::config::{Config, Mistakes};
use crate::http::{self, Durable, Server, ServerOptions};
use crate::peripherals::requests::Desk;
use crate::peripherals::{place, settings};
use crate::target;
use ::peripherals::Peripherals;
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use pull::ServerLink;

/// The station's key in its data directory.
const KEY_FILE: &str = "station.key";
/// The server gives a key within this.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// A stop has so long to answer what is in flight.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What a station is started with, besides the settings every command has.
#[derive(Clone, Debug)]
pub struct StationOptions {
    /// Its name, as the server knows it.
    pub name: String,
    /// The server's API port, `http://host:8000`; `None`: it works alone.
    pub server: Option<String>,
    /// Where web pages of this PC find it.
    pub listen: SocketAddr,
    /// Origins of pages that may.
    pub origins: Vec<String>,
    /// May they open a cash drawer?
    pub drawer: bool,
}

/// A station at work.
pub struct Station {
    peripherals: Arc<Peripherals>,
    local: Server,
    pulling: Option<pull::Pulling>,
    /// Where web pages find it.
    pub addr: SocketAddr,
}

/// Nothing here waits for a journal.
struct NoJournal;

impl Durable for NoJournal {
    fn durable(&self) -> u64 {
        u64::MAX
    }

    fn poisoned(&self) -> bool {
        false
    }

    fn on_advance(&self, _wake: Box<dyn Fn() + Send + Sync>) {}

    fn gather(&self) {}

    fn nudge(&self) {}
}

// === impl Station ===

impl Station {
    /// Starts it: queue, driver hosts, the port for web pages, the thread that asks the server.
    ///
    /// # Errors
    /// Mistakes in the settings, a missing key, a port in use.
    pub fn start(config: &Config, options: &StationOptions) -> anyhow::Result<Station> {
        let Some(file) = config.peripherals_file.clone() else {
            let mistake = "a station needs --peripherals-file: its printers and displays".to_owned();
            return Err(Mistakes(vec![mistake]).into());
        };
        let settings = settings(&file)?;
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("create the data directory {}", config.data_dir.display()))?;
        let key = options.server.as_ref().map(|_| read_key(&config.data_dir)).transpose()?;
        let place = place(config, Some(options.name.clone()))?;
        let peripherals = Arc::new(Peripherals::open(settings, place)?);
        let link = Arc::new(ServerLink::default());
        let pulling = match (&options.server, key) {
            (Some(server), Some(key)) => {
                let server = server.trim_end_matches('/').to_owned();
                let at = pull::At { server, key, data_dir: config.data_dir.clone() };
                Some(pull::Pulling::start(Arc::clone(&peripherals), at, Arc::clone(&link))?)
            }
            _ => None,
        };
        let desk = Desk::new(Arc::clone(&peripherals));
        let local = serve_pages(options, desk, link)?;
        let addr = local.local_addr();
        Ok(Station { peripherals, local, pulling, addr })
    }

    /// Ends it: what is being printed is finished, within its time.
    pub fn stop(self) {
        self.local.drain(DRAIN_MAX);
        if let Some(pulling) = self.pulling {
            pulling.stop();
        }
        if let Some(peripherals) = Arc::into_inner(self.peripherals) {
            peripherals.close();
        }
        tracing::info!("stopped");
    }
}

fn serve_pages(options: &StationOptions, desk: Desk, link: Arc<ServerLink>) -> anyhow::Result<Server> {
    let server =
        ServerOptions { name: "station", addr: options.listen, workers: 1, limits: http::Limits::default() };
    let options = options.clone();
    let listen = options.listen;
    http::start(server, Arc::new(NoJournal), move |_| {
        local::Pages::new(desk.clone(), options.clone(), Arc::clone(&link))
    })
    .with_context(|| format!("listen for web pages on {listen}"))
}

fn read_key(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join(KEY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => {
            let mistake = format!(
                "{}: {error}; register the station once: gatehouse station … --register TOKEN_FILE",
                path.display()
            );
            Err(Mistakes(vec![mistake]).into())
        }
    }
}

/// Asks the server for a key and keeps it, readable by this user only.
///
/// # Errors
/// The server cannot be reached, or the token is no manager's.
pub fn register(config: &Config, options: &StationOptions, token_file: &Path) -> anyhow::Result<PathBuf> {
    let Some(server) = &options.server else {
        return Err(Mistakes(vec!["--register needs --server".to_owned()]).into());
    };
    let token = std::fs::read_to_string(token_file)
        .with_context(|| format!("read the token in {}", token_file.display()))?;
    let mut response = target::agent_elsewhere(ANSWER_MAX)
        .post(format!("{}/api/v1/stations", server.trim_end_matches('/')))
        .header("Authorization", format!("Bearer {}", token.trim()))
        .header("Content-Type", "application/json")
        .send(json!({"name": options.name}).to_string().as_bytes())
        .with_context(|| format!("speak to {server}"))?;
    let well = response.status().is_success();
    let text = response.body_mut().read_to_string().context("read the server's answer")?;
    let answer: Value = serde_json::from_str(&text).context("read the server's answer")?;
    ensure!(well, "the server refused: {}", answer["detail"].as_str().unwrap_or("without a word"));
    let Some(key) = answer["key"].as_str() else { bail!("the server gave no key") };
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("create {}", config.data_dir.display()))?;
    let path = config.data_dir.join(KEY_FILE);
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("write {}", path.display()))?;
    writeln!(file, "{key}")?;
    file.sync_all()?;
    Ok(path)
}
