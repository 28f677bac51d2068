//! The file `peripherals.toml`, read and checked: which peripherals there are, with which drivers, templates and rules.
//! Every mistake is told at once, with its line. Opens no device and loads no driver.

use crate::rules::Rule;
use documents::Template;
use driver_frames::Way;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a venue's printers and displays are, checked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// In the file's order.
    pub peripherals: Vec<PeripheralSettings>,
    /// By name.
    pub templates: BTreeMap<String, Arc<Template>>,
    /// In the file's order.
    pub rules: Vec<Rule>,
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

impl Settings {
    /// Reads the file, and the templates it names (beside it, where their paths are not whole).
    ///
    /// # Errors
    /// Every mistake, as `FILE:LINE: what is meant`.
    pub fn load(path: &Path) -> Result<Settings, Mistakes> {
        let _ = path;
        todo!("read")
    }
}
