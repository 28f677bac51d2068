//! Printers and displays of a node: opens them, follows the journal for their rules, and answers what people ask of them.
//! A gate never waits for anything in here: a thread behind the journal reads it, and requests run beside the API port's
//! worker. Knows no driver and no device.

mod facts;
pub(crate) mod figures;
mod follow;
pub mod paths;
pub mod requests;

use crate::config::{Config, Mistakes};
use ::peripherals::{Peripherals, Place, Settings};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub use facts::facts;

/// The queue's file in the data directory.
pub const QUEUE_FILE: &str = "peripherals.db";
/// The program that loads drivers.
pub const HOST_PROGRAM: &str = "gatehouse-driver-host";

/// A node's printers and displays, and the thread that follows the journal for them.
pub struct Backroom {
    /// Them.
    pub peripherals: Arc<Peripherals>,
    file: PathBuf,
    stop: Arc<AtomicBool>,
    following: Option<JoinHandle<()>>,
}

/// Where drivers and their host are on this machine.
///
/// # Errors
/// This program's own place cannot be told.
pub fn drivers_dir(config: &Config) -> anyhow::Result<PathBuf> {
    match &config.drivers_dir {
        Some(dir) => Ok(dir.clone()),
        None => {
            let own = std::env::current_exe().context("find this program's directory")?;
            Ok(own.parent().map(Path::to_owned).unwrap_or_default())
        }
    }
}

/// Where everything of a node or station lies.
///
/// # Errors
/// As [`drivers_dir`].
pub fn place(config: &Config, station: Option<String>) -> anyhow::Result<Place> {
    let drivers = drivers_dir(config)?;
    Ok(Place { queue: config.data_dir.join(QUEUE_FILE), host: drivers.join(HOST_PROGRAM), drivers, station })
}

/// Reads a peripherals file.
///
/// # Errors
/// Every mistake in it, at once.
pub fn settings(file: &Path) -> Result<Settings, Mistakes> {
    Settings::load(file).map_err(|mistakes| Mistakes(mistakes.0))
}

// === impl Backroom ===

impl Backroom {
    /// Opens the printers and displays of the settings' file; `None`: there is none.
    ///
    /// # Errors
    /// Mistakes in the file, the queue's file.
    pub fn open(config: &Config, engine: &Arc<engine::Engine>) -> anyhow::Result<Option<Backroom>> {
        let Some(file) = config.peripherals_file.clone() else { return Ok(None) };
        let peripherals = Arc::new(Peripherals::open(settings(&file)?, place(config, None)?)?);
        let stop = Arc::new(AtomicBool::new(false));
        let follower = follow::Follower::new(Arc::clone(engine), Arc::clone(&peripherals), Arc::clone(&stop));
        let following = std::thread::Builder::new()
            .name("rules".to_owned())
            .spawn(move || follower.run())
            .context("start the thread of the peripherals")?;
        Ok(Some(Backroom { peripherals, file, stop, following: Some(following) }))
    }

    /// What the admin API needs.
    pub fn at(&self) -> admin::PeripheralsAt {
        admin::PeripheralsAt { peripherals: Arc::clone(&self.peripherals), file: self.file.clone() }
    }

    /// What stations' requests and figures need.
    pub fn desk(&self) -> requests::Desk {
        requests::Desk::new(Arc::clone(&self.peripherals))
    }

    /// Ends it: what is being printed is finished, within its time.
    pub fn close(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.following.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the peripherals had panicked");
        }
        // Requests are over by now; where one still holds them, they end with it.
        if let Some(peripherals) = Arc::into_inner(self.peripherals) {
            peripherals.close();
        }
    }
}
