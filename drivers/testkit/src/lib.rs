//! Conformance checks for drivers: every rule of `gatehouse_driver.h` that can be seen from outside, each checked in a
//! process of its own. Knows no device: what only one model's manual says is its driver's own tests' to show.

pub mod cases;
pub mod fake;
pub mod hosted;
pub mod report;
pub mod runner;
pub mod subject;
pub mod watch;
