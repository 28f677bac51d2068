//! Writing a driver in Rust: implement [`Driver`], say `export_driver!(MyDriver)`, build a `cdylib`. Owns the C ABI
//! around it: panics are caught, a driver that panicked is not called again. Knows no device, opens nothing.

mod ffi;
pub mod placed;

pub use driver_abi::{
    Align, Barcode, Capabilities, ControlIn, Cut, Done, Fault, Kind, Op, Proof, QrPrinting, Status, Style,
    Symbology,
};
#[doc(hidden)]
pub use ffi::{entry, raw};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What is told about a driver before it is used.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// "escpos": a-z, 0-9, '-'.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// Who makes it.
    pub vendor: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SPDX.
    pub licence: &'static str,
    /// What it drives.
    pub kind: Kind,
    /// JSON: what it fits.
    pub match_json: &'static str,
    /// JSON Schema of its settings.
    pub config_schema: &'static str,
}

/// A driver for one device. All calls come from one thread, one at a time.
pub trait Driver: Sized {
    /// What is told about it.
    const INFO: Info;

    /// A driver with these settings (JSON). There may be no device yet: no I/O here.
    ///
    /// # Errors
    /// `Config`, with the reason logged.
    fn create(host: Host, config: &str) -> Result<Self, Fault>;

    /// What the device is able to do, by its settings.
    fn capabilities(&self) -> Capabilities;

    /// Asks the device what it is. Never prints.
    ///
    /// # Errors
    /// `Unsupported` by a device that cannot tell.
    fn probe(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<serde_json::Value, Fault> {
        let _ = (link, timeout);
        Err(Fault::Unsupported)
    }

    /// How the device is.
    ///
    /// # Errors
    /// What keeps it from being asked.
    fn status(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<Status, Fault> {
        let _ = (link, timeout);
        Ok(Status::UNKNOWN)
    }

    /// Prints or shows a document, within the time given.
    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report;

    /// Called when the time it gave is over and after every `run`. `None`: not until the next `run`.
    ///
    /// # Errors
    /// The link's.
    fn tick(&mut self, link: &mut dyn Link) -> Result<Option<Duration>, Fault> {
        let _ = link;
        Ok(None)
    }

    /// The way to the device is new: forget what was believed of it, bring it into a known state.
    ///
    /// # Errors
    /// The link's.
    fn reset(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<(), Fault> {
        let _ = (link, timeout);
        Ok(())
    }
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How far it came.
    pub done: Done,
    /// Why not farther.
    pub fault: Option<Fault>,
    /// Ops whose bytes all left.
    pub ops_done: usize,
    /// The device as last seen.
    pub status: Status,
    /// The device's own number of a fault.
    pub native_code: i32,
    /// For people, at most 160 bytes are kept.
    pub text: String,
}

impl Report {
    /// A document of which everything left.
    pub fn well(done: Done, ops_done: usize) -> Report {
        Report { done, fault: None, ops_done, status: Status::UNKNOWN, native_code: 0, text: String::new() }
    }

    /// A document that came no farther.
    pub fn broken(done: Done, fault: Fault, text: impl Into<String>) -> Report {
        Report { fault: Some(fault), text: text.into(), ..Report::well(done, 0) }
    }
}

/// A write that failed: how much the device's side took of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub fault: Fault,
    /// Bytes that left.
    pub written: usize,
}

/// The way to the device. The host owns it: it is timed, recorded and cancelled there.
pub trait Link {
    /// Writes bytes that may print: all of them or a fault.
    ///
    /// # Errors
    /// With what was written before.
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), Broken>;

    /// Writes bytes that cannot print: questions, initialisation.
    ///
    /// # Errors
    /// The link's.
    fn ask(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), Fault>;

    /// Waits for the first byte, then takes what is there. Never gives 0.
    ///
    /// # Errors
    /// `Timeout` where nothing came.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, Fault>;

    /// A class or vendor IN request of USB.
    ///
    /// # Errors
    /// `Unsupported` on other ways.
    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, Fault>;
}

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A person must come.
    Error,
    /// Odd but served.
    Warn,
    /// A change of state.
    Info,
    /// For who looks for a mistake.
    Debug,
}

/// Dots: rows of `row_bytes`, 1 is black, most significant bit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Bytes of a row.
    pub row_bytes: usize,
    /// All rows.
    pub dots: Vec<u8>,
}

impl Raster {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.dots.len().checked_div(self.row_bytes).unwrap_or(0)
    }
}

/// What the host does for a driver.
pub trait Services {
    /// A line for the log.
    fn log(&self, level: Level, text: &str);
    /// Time since some moment, never back.
    fn now(&self) -> Duration;
    /// Is the driver to give up?
    fn cancelled(&self) -> bool;
    /// The device told by itself how it is now.
    fn status_changed(&self, status: Status);
    /// Text in a code page, by its number, and how many characters became '?'. `None`: no such page here.
    fn encode(&self, code_page: u32, text: &str) -> Option<(Vec<u8>, usize)>;
    /// A text (in this style), QR code, barcode or picture as dots.
    ///
    /// # Errors
    /// `Invalid` where it does not fit into `dots_max` or cannot be.
    fn rasterise(&self, op: &Op<'_>, style: Style, dots_max: u16) -> Result<Raster, Fault>;
}

/// The host, shared by a driver's parts.
pub type Host = Rc<dyn Services>;

/// A moment by which something has to be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now() + timeout)
    }

    /// What is left; zero when it is over.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Is it over?
    pub fn over(self) -> bool {
        self.left().is_zero()
    }

    /// What is left, but no more than `most`.
    pub fn at_most(self, most: Duration) -> Duration {
        self.left().min(most)
    }
}

/// A driver's settings from the JSON that `create` is given; no text at all is no setting at all.
///
/// # Errors
/// What is wrong with them, for people.
pub fn settings<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, String> {
    let fields: serde_json::Map<String, serde_json::Value> = match json.trim() {
        "" => serde_json::Map::new(),
        // By way of an object: a list would be taken for the fields in their order.
        json => serde_json::from_str(json).map_err(|error| format!("no JSON object: {error}"))?,
    };
    serde_json::from_value(fields.into()).map_err(|error| error.to_string())
}

/// Exports a driver under the one symbol a host looks for. A crate says it once.
#[macro_export]
macro_rules! export_driver {
    ($driver:ty) => {
        #[cfg(panic = "abort")]
        compile_error!("a driver needs panic = \"unwind\": a panic that aborts takes the host with it");

        /// The driver's entry: `include/gatehouse_driver.h`.
        #[unsafe(no_mangle)]
        pub extern "C" fn ghd_driver_entry_v1(major: u16, minor: u16) -> *const $crate::raw::Driver {
            $crate::entry::<$driver>(major, minor)
        }
    };
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[derive(serde::Deserialize, Default, Debug, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Own {
        columns: u16,
    }

    #[test]
    fn settings_are_an_object_or_none_at_all() {
        for (json, wanted) in [("", 0), (" \n", 0), ("{}", 0), (r#"{"columns": 20}"#, 20)] {
            assert_eq!(settings(json), Ok(Own { columns: wanted }), "{json:?}");
        }
        for json in ["[]", "[20]", "null", "7", "{", r#"{"rows": 2}"#, r#"{"columns": -1}"#] {
            assert!(settings::<Own>(json).is_err(), "{json:?}");
        }
    }
}
