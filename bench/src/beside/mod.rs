//! Things measured by turns in one run, so that their ratios hold although the machine does not stand still. Knows rounds
//! and their order; refuses to know what is measured.
//!
//! | module | owns |
//! |---|---|
//! | `turns` | the order of rounds, medians, ratios, the table |
//! | `stacks` | the validation handler on several HTTP stacks |

pub mod stacks;
pub mod turns;

use anyhow::Result;
use load_tests::report::RunResult;
use std::time::Duration;

/// One of the things that are compared: a server that runs, and the load for it.
pub trait Side {
    /// What the table calls it.
    fn name(&self) -> &str;

    /// Loads it for `warmup`, then measures it for `length`. Every answer is judged; CPU is the server's by thread.
    ///
    /// # Errors
    /// A server that went away. Wrong answers are no error: they are counted in the result.
    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult>;
}
