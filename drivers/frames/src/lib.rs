//! What a supervisor and a driver host say to each other, and its bytes on the pipe. Knows neither processes nor
//! drivers.
//!
//! A frame is its length (4 bytes, little-endian, at most `FRAME_BYTES_MAX`) and a message in postcard. Both sides are
//! of one release; the host's first frame says which version of the frames it speaks.

mod way;

pub use driver_abi::{
    Align, Barcode, Capabilities, Cut, Done, Fault, Kind, Op, Proof, QrPrinting, Status, Style, Symbology,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};
pub use way::{Flow, Serial, Way, WayError};

/// Version of the frames.
pub const FRAMES_VERSION: u16 = 1;
/// A frame's message is at most so long, in bytes: a document with a picture of a whole roll's width.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A host says that it lives every so many ms.
pub const BEAT_MS: u64 = 1_000;

/// To the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToHost {
    /// The first frame: what to load and which device to speak to.
    Start(Box<Start>),
    /// Print or show this.
    Run {
        /// Its answer has the same.
        id: u64,
        /// The document.
        ops: Vec<Op<'static>>,
        /// It has so long.
        timeout_ms: u32,
    },
    /// How is the device?
    Status {
        /// Its answer has the same.
        id: u64,
        /// It has so long.
        timeout_ms: u32,
    },
    /// What is the device? Never prints.
    Probe {
        /// Its answer has the same.
        id: u64,
        /// It has so long.
        timeout_ms: u32,
    },
    /// Give up what is under way.
    Cancel,
    /// End, after what is under way.
    Stop,
}

/// What a host is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The peripheral's name, for the log.
    pub peripheral: String,
    /// The driver's file.
    pub plugin: String,
    /// Its SHA-256 in hex; another file is not loaded.
    pub sha256: Option<String>,
    /// The driver's settings, JSON.
    pub config: String,
    /// How the device is reached.
    pub way: Way,
    /// What goes to and comes from the device is written here.
    pub record: Option<String>,
}

/// What is told about a loaded driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// "escpos".
    pub id: String,
    /// For people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// SPDX.
    pub licence: String,
    /// What it drives.
    pub kind: Kind,
    /// The ABI it was built for: major, minor.
    pub abi: (u16, u16),
    /// JSON: what it fits.
    pub match_json: String,
    /// JSON Schema of its settings.
    pub config_schema: String,
    /// Of its file, in hex.
    pub sha256: String,
}

/// Whose doing it is that a host did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The plugin cannot be used: another try will not help.
    Plugin,
    /// The settings are wrong: another try will not help.
    Settings,
    /// The machine: another try may help.
    System,
}

/// What became of a document, as the host knows it: it counts what left, whatever the driver says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far it came.
    pub done: Done,
    /// Why not farther.
    pub fault: Option<Fault>,
    /// Ops whose bytes all left.
    pub ops_done: u32,
    /// Bytes that left and may have printed.
    pub bytes_sent: u64,
    /// The device as last seen.
    pub status: Status,
    /// The device's own number of a fault.
    pub native_code: i32,
    /// For people.
    pub text: String,
    /// How long it took, in ms.
    pub took_ms: u32,
}

/// From the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromHost {
    /// The first frame, before anything else.
    Hello {
        /// Of the frames.
        version: u16,
    },
    /// The driver is loaded.
    Started {
        /// Which it is.
        info: Box<PluginInfo>,
        /// What its device is able to do.
        capabilities: Box<Capabilities>,
    },
    /// It is not, and the host ends.
    Refused {
        /// Whose doing.
        refusal: Refusal,
        /// For people.
        text: String,
    },
    /// A document is done with.
    Ran {
        /// Of its `Run`.
        id: u64,
        /// What became of it.
        report: Report,
    },
    /// The device as asked.
    StatusIs {
        /// Of its `Status`.
        id: u64,
        /// How it is, or why it cannot be asked.
        status: Result<Status, Fault>,
    },
    /// What the device is.
    Probed {
        /// Of its `Probe`.
        id: u64,
        /// JSON, or why it cannot be asked.
        found: Result<String, Fault>,
    },
    /// The device told by itself how it is now.
    Changed {
        /// How.
        status: Status,
    },
    /// The way to the device opened or was lost.
    Link {
        /// Is it there?
        up: bool,
        /// For people.
        text: String,
    },
    /// It lives; every `BEAT_MS`, from another thread than the driver's.
    Beat {
        /// The driver has been in a call for so long.
        busy_ms: Option<u32>,
    },
    /// A line for the log.
    Log {
        /// 1 error, 2 warn, 3 info, 4 debug.
        level: u8,
        /// What it says.
        text: String,
    },
}

/// Why a frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other side ended between two frames.
    #[error("the other side ended")]
    Ended,
    /// The pipe.
    #[error("the pipe: {0}")]
    Io(#[from] io::Error),
    /// A frame that is none.
    #[error("a frame of {0} bytes is over the limit")]
    TooLong(usize),
    /// A message that is none.
    #[error("a frame that is no message: {0}")]
    Malformed(postcard::Error),
}

/// Writes a message as one write.
///
/// # Errors
/// The pipe's; a message over the limit.
pub fn write_frame(pipe: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    let mut bytes = vec![0; 4];
    bytes = postcard::to_extend(message, bytes).map_err(FrameError::Malformed)?;
    let length = bytes.len() - 4;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    pipe.write_all(&bytes)?;
    Ok(pipe.flush()?)
}

/// Waits for the next message.
///
/// # Errors
/// `Ended` where the other side ended between two frames; the pipe's, and frames that are none.
pub fn read_frame<T: DeserializeOwned>(pipe: &mut impl Read) -> Result<T, FrameError> {
    let mut length = [0; 4];
    match pipe.read(&mut length) {
        Ok(0) => return Err(FrameError::Ended),
        Ok(n) => pipe.read_exact(&mut length[n..])?,
        Err(error) => return Err(error.into()),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut bytes = vec![0; length];
    pipe.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(FrameError::Malformed)
}
