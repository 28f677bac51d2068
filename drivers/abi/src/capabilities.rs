//! What a device is able to do, as a driver tells it in JSON. Layout and templates follow it; they ask no device.

use serde::{Deserialize, Serialize};

/// What a device is able to do. Fields of the other kind of device keep their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// The device's profile: "tm-t88v", "pd300".
    pub profile: String,
    /// Characters in a line: of a display, of a printer's usual font.
    pub columns: u16,
    /// Of a printer's small font; 0: it has none.
    pub columns_small: u16,
    /// Lines of a display.
    pub lines: u8,
    /// Width that is printed, in dots.
    pub dots: u16,
    /// Dots an inch.
    pub dpi: u16,
    /// Can what is printed be placed (ticket printers)?
    pub places: bool,
    /// Who makes the QR code.
    pub qr: QrPrinting,
    /// Cuts paper.
    pub cuts: bool,
    /// Opens a cash drawer.
    pub drawer: bool,
    /// How it is known that a document was printed.
    pub proof: Proof,
    /// Tells its status.
    pub status: bool,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            profile: String::new(),
            columns: 42,
            columns_small: 0,
            lines: 0,
            dots: 0,
            dpi: 0,
            places: false,
            qr: QrPrinting::Raster,
            cuts: false,
            drawer: false,
            proof: Proof::None,
            status: false,
        }
    }
}

/// Who makes a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QrPrinting {
    /// The device, from its data.
    Native,
    /// The driver, as dots.
    Raster,
}

/// How it is known that a document was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The device names the job that is finished.
    Job,
    /// It answers a question that waits behind the job.
    Queued,
    /// It is asked afterwards whether something is wrong: a hint, no proof.
    Polled,
    /// It is not.
    None,
}
