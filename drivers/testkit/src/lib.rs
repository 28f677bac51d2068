//! Conformance checks for drivers.
