//! A `gatehouse` server in a directory of its own, with demo data or a venue that is imported. Knows the commands `serve`
//! and `import` as the contract tells them; knows nothing of what the server does inside.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::limits;
use crate::process::{Launch, Process, free_addrs};

/// The question that tells whether a server can decide.
pub const HEALTH_PATH: &str = "/api/access/health";

/// Where a server is found and how it is started.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The binary.
    pub program: PathBuf,
    /// Further arguments of `serve`.
    pub serve_args: Vec<String>,
    /// The core all of its threads stay on.
    pub core: Option<usize>,
    /// What it begins with.
    pub data: Data,
}

/// What a new server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The demo's event, devices and tickets.
    Demo,
    /// Nothing.
    Nothing,
}

/// A server that can be stopped and started again on its data.
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
    // Above `dir`: fields are dropped in this order, and a directory is removed only after its server has ended.
    process: Option<Process>,
    dir: TempDir,
    start_count: u32,
    /// The device port of the running process.
    pub device_addr: SocketAddr,
    /// And its API port.
    pub admin_addr: SocketAddr,
}

// === impl Server ===

impl Server {
    /// A server that is not running yet; its data will be in a new directory in `work_dir`.
    pub fn new(settings: ServerSettings, work_dir: &Path) -> Result<Server> {
        let dir = tempfile::Builder::new().prefix("gatehouse-load-").tempdir_in(work_dir);
        let dir = dir.with_context(|| format!("create a directory in {}", work_dir.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Server { settings, dir, process: None, start_count: 0, device_addr: nowhere, admin_addr: nowhere })
    }

    /// Where data, logs and files of this server live; removed with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server's own data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it and waits for its health; returns how long that took.
    pub fn start(&mut self) -> Result<Duration> {
        let [device_addr, admin_addr] = free_addrs()?;
        let mut args: Vec<OsString> = ["serve", "--data-dir"].map(OsString::from).into();
        args.push(self.data_dir().into());
        args.extend((self.settings.data == Data::Demo).then(|| "--demo".into()));
        args.extend(["--device-addr".into(), device_addr.to_string().into()]);
        args.extend(["--admin-addr".into(), admin_addr.to_string().into()]);
        args.extend(self.settings.serve_args.iter().map(OsString::from));
        self.start_count += 1;
        let log = self.dir.path().join(format!("serve-{}.log", self.start_count));
        let mut process = self.launch("gatehouse serve", args, log).start()?;
        let took = process.wait_healthy(device_addr, HEALTH_PATH)?;
        (self.device_addr, self.admin_addr) = (device_addr, admin_addr);
        self.process = Some(process);
        Ok(took)
    }

    /// Stops it with SIGTERM; returns how long that took.
    pub fn stop(&mut self) -> Result<Duration> {
        self.process.take().context("the server is not running")?.stop()
    }

    /// The running process.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the server is not running")
    }

    /// Runs `gatehouse import tickets` on this server's data; returns how long that took.
    pub fn import(&self, event: &str, file: &Path) -> Result<Duration> {
        self.run_import(&["tickets", "--event", event], file)
    }

    /// Runs `gatehouse import venue` on this server's data; returns how long that took.
    pub fn import_venue(&self, file: &Path) -> Result<Duration> {
        self.run_import(&["venue"], file)
    }

    fn run_import(&self, what: &[&str], file: &Path) -> Result<Duration> {
        let mut args: Vec<OsString> = vec!["import".into()];
        args.extend(what.iter().map(OsString::from));
        args.extend(["--data-dir".into(), self.data_dir().into(), file.into()]);
        let since = std::time::Instant::now();
        let mut import = self.launch("gatehouse import", args, self.dir.path().join("import.log")).start()?;
        let ended = import.wait_end(limits::IMPORT_WAIT)?;
        let took = since.elapsed();
        let status =
            ended.with_context(|| format!("the import takes longer than {:?}", limits::IMPORT_WAIT))?;
        ensure!(status.success(), "gatehouse import ended with {status}:\n{}", import.last_words());
        Ok(took)
    }

    fn launch(&self, name: &'static str, args: Vec<OsString>, log: PathBuf) -> Launch {
        let ServerSettings { program, core, .. } = &self.settings;
        Launch { name, program: program.clone(), args, core: *core, log }
    }
}
