//! The pole display driver as its host uses it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod behaviour;
mod bytes;
mod desk;
mod million;
mod plugin;
mod properties;
mod screen;
mod till;
