//! A driver host: one process for one peripheral. It loads the driver, owns the way to the device, times, records and
//! cancels. Knows no job, no queue and no venue: see the supervisor for those. Nothing loaded is ever unloaded: a new
//! driver means a new process.

pub mod code_page;
pub mod confine;
pub mod image;
pub mod line;
pub mod patience;
pub mod plugin;
pub mod probe;
pub mod record;
pub mod serve;
mod shared;
pub mod ways;
