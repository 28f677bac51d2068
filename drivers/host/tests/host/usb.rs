//! USB.
