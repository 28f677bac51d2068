//! Asking a device by hand what it is and how it is. Knows no supervisor; prints nothing on the device.

use crate::image::Image;
use crate::line::Line;
use crate::plugin::{Device, Plugin, Services};
use driver_abi::{Fault, Status, raw};
use driver_frames::Way;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Opening, initialisation and both questions have so long each.
const EACH_MAX: Duration = Duration::from_secs(5);

/// Why a device cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The driver's file.
    #[error(transparent)]
    Load(#[from] crate::plugin::LoadError),
    /// Its settings.
    #[error("the driver does not take these settings: {0}; its log above says why")]
    Settings(Fault),
    /// The way to the device.
    #[error("{0}")]
    Line(String),
    /// The device does not come into a known state.
    #[error("{way}: the device could not be brought into a known state: {fault}")]
    Reset {
        /// The way to it.
        way: Way,
        /// Why.
        fault: Fault,
    },
}

/// What the device on this way says about itself, as JSON.
///
/// # Errors
/// Why it cannot be asked. A device that tells nothing is no error: the answer says so.
pub fn probe(image: Image, way: Way, config: &str) -> Result<Value, ProbeError> {
    let plugin = Plugin::from_image(image)?;
    let services = Services {
        log: Box::new(|level, text| {
            let words = ["", "error: ", "warning: ", "", ""];
            let word = usize::try_from(level).ok().and_then(|level| words.get(level)).unwrap_or(&"");
            if level <= raw::LOG_INFO {
                eprintln!("{word}{text}");
            }
        }),
        changed: Box::new(|status| eprintln!("the device tells by itself: {status}")),
        cancelled: Arc::default(),
    };
    let mut device = Device::create(&plugin, services, config).map_err(ProbeError::Settings)?;
    let mut line =
        Line::new(way.clone(), Arc::default(), None).map_err(|error| ProbeError::Line(error.to_string()))?;
    line.within(EACH_MAX);
    line.open().map_err(|lost| ProbeError::Line(lost.text))?;
    line.within(EACH_MAX);
    device.reset(&mut line, EACH_MAX).map_err(|fault| ProbeError::Reset { way: way.clone(), fault })?;
    line.within(EACH_MAX);
    let found = device.probe(&mut line, EACH_MAX);
    line.within(EACH_MAX);
    let status = match line.is_open() {
        true => device.status(&mut line, EACH_MAX),
        false => Err(Fault::Gone),
    };
    line.rest();
    Ok(json!({
        "way": way.to_string(),
        "driver": plugin.info.id,
        "device": match found {
            Ok(json) => serde_json::from_str(&json).unwrap_or(Value::String(json)),
            Err(fault) => Value::String(fault.to_string()),
        },
        "status": status.map_or_else(|fault| fault.to_string(), |status: Status| status.to_string()),
    }))
}
