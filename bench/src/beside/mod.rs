//! Things measured by turns in one run, so that their ratios hold although the machine does not stand still. Knows rounds
//! and their order; refuses to know what is measured.
//!
//! | module | owns |
//! |---|---|
//! | `turns` | the order of rounds, medians, ratios, the table |
//! | `gatehouse` | the whole of `gatehouse serve` |
//! | `stacks` | the validation handler on several HTTP stacks |
//! | `peers` | the claim in PostgreSQL and in Redis |
//! | `peripherals` | a node's gates beside printers and displays, also misbehaving ones |
//! | `office` | a node's gates beside its API at work |

pub mod gatehouse;
pub mod office;
pub mod peers;
pub mod peripherals;
pub mod stacks;
pub mod turns;

use anyhow::Result;
use load_tests::client::RunSettings;
use load_tests::report::RunResult;
use load_tests::target::Target;
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

    /// What else was done during the rounds until now, in words.
    fn beside(&self) -> &[String] {
        &[]
    }
}

/// What all things compared in one run have in common.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The core every server's processes stay on.
    pub server_core: Option<usize>,
    /// Connections, for a side that has no better number of its own.
    pub connection_count: usize,
}

// === impl Bench ===

impl Bench {
    /// A closed loop with every answer judged; its times are the round's.
    fn run_settings(&self, target: Target, server_pid: u32, connection_count: usize) -> RunSettings {
        RunSettings {
            server_pid: Some(server_pid),
            ..RunSettings::at(target, connection_count, Duration::ZERO, Duration::ZERO)
        }
    }
}
