//! The C ABI between a driver host and a driver (`include/gatehouse_driver.h`, hand-written and frozen), and the
//! words both sides use: ops of a document, what became of it, what is known of a device, what it is able to do.
//! Owns no behaviour: knows neither how a plugin is loaded nor how one is written, and has no unsafe code.

mod capabilities;
mod op;
pub mod raw;
mod words;

pub use capabilities::{Capabilities, Proof, QrPrinting};
pub use op::{Align, Barcode, Cut, NotAnOp, Op, Style, Symbology};
pub use words::{ControlIn, Done, Fault, Kind, Status};

/// The header as it was when this crate was built, for whoever writes a driver in C.
pub const HEADER: &str = include_str!("../include/gatehouse_driver.h");
