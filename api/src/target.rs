//! Where a command's changes go: into the running server, found by the control file it left in the data
//! directory, or, when none runs, into the data directory itself. The caller sees no difference.

use crate::config::Config;
use crate::node::{CONTROL_FILE, Core};
use crate::ops;
use anyhow::{Context, bail};
use engine::Lsn;
use serde_json::Value;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// A server that starts or stops has so long to have its control file, or to let the directory go.
const STARTING_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A change must be durable within this time.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A way to make changes.
pub enum Target {
    /// A server that runs.
    Server {
        /// Its API port.
        addr: String,
        /// The token of its control file.
        token: String,
        /// One connection for all changes.
        agent: ureq::Agent,
    },
    /// The data directory, opened by this process.
    Directory(Box<Core>),
}

impl Target {
    /// Finds the running server, or opens the directory.
    ///
    /// # Errors
    /// A directory in use by a server that cannot be reached, a damaged journal.
    pub fn find(config: &Config) -> anyhow::Result<Target> {
        let control = config.data_dir.join(CONTROL_FILE);
        let deadline = Instant::now() + STARTING_MAX;
        let text = loop {
            if !Core::in_use(config)? {
                // A control file that is there all the same is a killed server's: nobody may be trusted at its address.
                return Ok(Target::Directory(Box::new(Core::open(config)?)));
            }
            match std::fs::read_to_string(&control) {
                // Gates are answered before the API is: a server that starts has its file a moment later.
                Err(error) if error.kind() == ErrorKind::NotFound && Instant::now() < deadline => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                read => break read.with_context(|| {
                    format!("{} is in use, but there is no {CONTROL_FILE} in it after {STARTING_MAX:?}: the server is starting or stopping, or another command runs; try again", config.data_dir.display())
                })?,
            }
        };
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("read {}", control.display()))?;
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Target::Server { addr: field("addr"), token: field("token"), agent: agent() })
    }

    /// Makes a change: `path` is the API port's, `body` what it takes.
    ///
    /// # Errors
    /// The change was refused, in the server's words.
    pub fn change(&self, path: &str, query: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Value> {
        match self {
            Target::Server { addr, token, agent } => {
                let mut request = agent
                    .post(format!("http://{addr}{path}"))
                    .header("Authorization", format!("Bearer {token}"));
                for (key, value) in query {
                    request = request.query(key, value);
                }
                let mut response = request.send(body).context("speak to the running server")?;
                let well = response.status().is_success();
                let text = response.body_mut().read_to_string().context("read the server's answer")?;
                let value: Value = serde_json::from_str(&text).context("read the server's answer")?;
                if well { Ok(value) } else { bail!("{}", value["message"].as_str().unwrap_or("refused")) }
            }
            Target::Directory(core) => {
                let engine = &core.engine;
                let parameter =
                    |name: &str| query.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
                let changed = match path {
                    "/api/v1/venue" => ops::put_venue(engine, None, std::str::from_utf8(body)?, &|name| {
                        core.profiles.contains(name)
                    }),
                    "/api/v1/tickets/import" => ops::import_rows(
                        engine,
                        &core.cold_codes,
                        parameter("event"),
                        body,
                        parameter("dry_run") == "1",
                    ),
                    "/api/v1/tickets/status" => ops::set_status(engine, None, body),
                    _ => ops::add_operator(engine, body),
                };
                let (value, wait) = changed.map_err(|(_, _, message)| anyhow::anyhow!(message))?;
                engine
                    .journal()
                    .wait_durable(Lsn(wait), WAIT_MAX)
                    .map_err(|error| anyhow::anyhow!("the change is not durable: {error}"))?;
                Ok(value)
            }
        }
    }

    /// Ends the work; a directory gets a last checkpoint.
    pub fn close(self) {
        if let Target::Directory(core) = self {
            core.close();
        }
    }
}

/// A client for the program's own server: answers are read whatever their status, every wait has an end.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT_MAX)).build().into()
}

/// The same for a server elsewhere, also behind TLS: whom this machine trusts is trusted.
pub fn agent_elsewhere(most: Duration) -> ureq::Agent {
    let trusted = rustls_native_certs::load_native_certs().certs;
    let trusted: Vec<_> =
        trusted.iter().map(|one| ureq::tls::Certificate::from_der(one).to_owned()).collect();
    let tls =
        ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&trusted)).build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(most))
        .tls_config(tls)
        .build()
        .into()
}
