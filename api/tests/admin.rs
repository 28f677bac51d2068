//! The admin API of the real program, over sockets: what it answers, to whom, and what stays after a kill. Knows the
//! document and the contract; never links what it tests, but for the document.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

#[path = "program/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the program, which need more of it")]
mod support;

#[path = "admin/api.rs"]
mod api;

#[path = "admin/conventions.rs"]
mod conventions;
#[path = "admin/lists.rs"]
mod lists;
#[path = "admin/permissions.rs"]
mod permissions;
