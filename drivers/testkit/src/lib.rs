//! Conformance checks for drivers.

pub mod hosted;
