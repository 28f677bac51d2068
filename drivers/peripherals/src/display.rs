//! What a display shows and when: pure, driven by the caller's clock. The latest wins, never faster than a person could
//! see; a sequence of timed steps, then the idle text. Knows no process.

use documents::Values;
use driver_abi::Op;
use serde::{Deserialize, Serialize};

/// What a display is to show now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// A template, filled in when the device is known.
    Template {
        /// Its name.
        name: String,
        /// What its fields are filled with.
        values: Values,
    },
    /// As it is, step after step; then the idle text.
    Steps(Vec<Step>),
}

/// One step of what is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub ops: Vec<Op<'static>>,
    /// For how long, in ms.
    pub for_ms: u32,
}
