//! The load program of Gatehouse: it speaks HTTP to a server as readers do, knows what every answer must be,
//! and measures what the answers cost. It refuses to link the engine: whatever it knows, it learned from outside.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the commands and their flags |
//! | [`client`] | the event loop that sends scans and judges the answers |
//! | [`pace`] | when a scan is due: closed loop, open loop |
//! | [`codes`] | which code is presented next, and what the answer must be |
//! | [`request`], [`reply`], [`connection`] | bytes of one request, of one reply, and the socket between them |
//! | [`speech`] | the protocol between them: HTTP, or another system's |
//! | [`echo`], [`disk`] | the two limits we compare with: a server that parses nothing, and the bare disk |
//! | [`process`], [`server`], [`procfs`], [`affinity`] | child processes and what the kernel knows about them |
//! | [`busy`], [`listening`] | what would spoil a measurement: others on the machine, others on the port |
//! | [`compare`], [`memory`] | whole measurements, each one command |
//! | [`scenario`] | whole venues: crowds, floods, storms and outages, from files |

pub mod affinity;
pub mod busy;
pub mod cli;
pub mod client;
pub mod codes;
pub mod compare;
pub mod connection;
pub mod disk;
pub mod echo;
pub mod latency;
pub mod limits;
pub mod listening;
pub mod memory;
pub mod pace;
pub mod poller;
pub mod process;
pub mod procfs;
pub mod reply;
pub mod report;
pub mod request;
pub mod scenario;
pub mod server;
pub mod speech;
pub mod tally;
pub mod target;
pub mod window;

/// How a command ended, when it could be carried out at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every answer was the one it had to be.
    Right,
    /// At least one answer was wrong, or missing.
    Wrong,
    /// Every answer was right, but something that was wanted was not reached.
    Missed,
}
