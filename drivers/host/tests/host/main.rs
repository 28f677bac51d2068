//! The host from outside: real processes, real plugins, real bytes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod by_hand;
mod confined;
mod files;
mod frames;
mod harness;
mod plugins;
mod replay;
mod serial;
mod tcp;
mod usb;
