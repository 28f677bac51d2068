//! The API of a node with a house full of tickets: what an office does with it while gates work, and how long it waits for
//! answers. Owns the node and its list of tickets; refuses to know what is measured at the gates.
//!
//! | module | owns |
//! |---|---|
//! | `load` | lists in, listeners, files out, all at once |
//! | `questions` | what people ask, one after the other |
//! | `reach` | how soon a device hears of what is changed |

pub mod load;
pub mod questions;
pub mod reach;

use crate::store::crowd;
use crate::venue;
use anyhow::{Context, Result, ensure};
use load_tests::server::{Data, Server, ServerSettings};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The demo's event, which all tickets are of.
pub const EVENT: &str = "demo-match";
/// Their type.
const TICKET_TYPE: &str = "STANDARD";
/// The store has a house's tickets within this time.
const PROJECTED_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// No answer takes so long.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// A node with its tickets.
pub struct House {
    /// Its process.
    pub server: Server,
    /// The token of its control file: the API's, with every permission.
    token: String,
}

// === impl House ===

impl House {
    /// Starts a node with demo data and takes the list of tickets in.
    ///
    /// # Errors
    /// It does not start, a ticket is refused.
    pub fn open(gatehouse: &Path, work_dir: &Path, core: Option<usize>, list: &Path) -> Result<House> {
        // How much anybody may ask is not what is measured.
        let config = work_dir.join("gatehouse.toml");
        std::fs::write(&config, "admin_rate_per_minute = 0\n")
            .with_context(|| format!("write {}", config.display()))?;
        let mut serve_args = ["--workers", "1", "--live", "off", "--config"].map(str::to_owned).to_vec();
        serve_args.push(config.display().to_string());
        let settings = ServerSettings { program: gatehouse.to_owned(), serve_args, core, data: Data::Demo };
        let mut server = Server::new(settings, work_dir)?;
        server.start()?;
        server.import(EVENT, list)?;
        let path = server.data_dir().join(api::node::CONTROL_FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let control: Value = serde_json::from_str(&text).context("read the control file")?;
        let token = control["token"].as_str().context("the control file has no token")?.to_owned();
        let house = House { server, token };
        house.wait_projected()?;
        // What taking the list in has left to the disk is no part of what follows.
        rustix::fs::sync();
        Ok(house)
    }

    /// Waits until the store has everything the journal has.
    ///
    /// # Errors
    /// It does not come to it in time.
    pub fn wait_projected(&self) -> Result<()> {
        let (desk, began) = (self.desk(), Instant::now());
        loop {
            let figures = desk.get("/metrics")?.read_to_string().context("read the metrics")?;
            let lag = figures.lines().find_map(|line| line.strip_prefix("gatehouse_projection_lag_records "));
            if lag == Some("0") {
                return Ok(());
            }
            ensure!(began.elapsed() < PROJECTED_MAX, "the store is {lag:?} records behind");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The way to its API.
    pub fn desk(&self) -> Desk {
        let agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).build().into();
        Desk {
            agent,
            base: format!("http://{}", self.server.admin_addr),
            bearer: format!("Bearer {}", self.token),
        }
    }
}

/// One connection to the API, kept.
pub struct Desk {
    agent: ureq::Agent,
    base: String,
    bearer: String,
}

// === impl Desk ===

impl Desk {
    /// Asks; the answer's body is still to be read.
    ///
    /// # Errors
    /// Any status but those below 400.
    pub fn get(&self, path: &str) -> Result<ureq::Body> {
        let asked = self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.bearer);
        Ok(asked.call().with_context(|| path.to_owned())?.into_body())
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// As [`Desk::get`]; the answer is no JSON.
    pub fn read(&self, path: &str) -> Result<Value> {
        let text = self.get(path)?.read_to_string().with_context(|| path.to_owned())?;
        serde_json::from_str(&text).with_context(|| path.to_owned())
    }

    /// Sends a file as CSV.
    ///
    /// # Errors
    /// As [`Desk::read`].
    pub fn send_csv(&self, path: &str, file: File) -> Result<Value> {
        self.post(path, "text/csv", file)
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// As [`Desk::read`].
    pub fn send_json(&self, path: &str, body: &Value) -> Result<Value> {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    fn post(&self, path: &str, kind: &str, body: impl ureq::AsSendBody) -> Result<Value> {
        let asked = self.agent.post(format!("{}{path}", self.base)).header("Authorization", &self.bearer);
        let mut answer = asked.header("Content-Type", kind).send(body).with_context(|| path.to_owned())?;
        let text = answer.body_mut().read_to_string().with_context(|| path.to_owned())?;
        serde_json::from_str(&text).with_context(|| path.to_owned())
    }
}

/// Writes a list of tickets as a vendor sends it. Their codes begin with `prefix`.
///
/// # Errors
/// The file cannot be written.
pub fn write_list(dir: &Path, prefix: &str, numbers: Range<u32>) -> Result<PathBuf> {
    let path = dir.join(format!("tickets-{prefix}{}.csv", numbers.start));
    let written = (|| {
        let mut out = BufWriter::new(File::create(&path)?);
        writeln!(out, "code,ticket_id,type,holder,order,seat")?;
        for number in numbers {
            let (code, holder, order) = (venue::code(number), crowd::holder(number), crowd::order(number));
            let code = String::from_utf8_lossy(&code);
            writeln!(
                out,
                "{prefix}{code},T{number:011},{TICKET_TYPE},{holder},{order},\"Block C, row 12, seat 7\""
            )?;
        }
        out.flush()
    })();
    written.with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
