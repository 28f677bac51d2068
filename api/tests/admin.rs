//! The admin API of the real program, over sockets: what it answers, to whom, and what stays after a kill. Knows the
//! document and the contract; never links what it tests, but for the document.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

#[path = "program/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the program, which need more of it")]
mod support;

#[path = "admin/api.rs"]
mod api;
#[path = "admin/operations.rs"]
mod operations;
#[path = "program/paper.rs"]
#[allow(dead_code, reason = "shared with the tests of the program, which need more of it")]
mod paper;
#[path = "admin/people.rs"]
mod people;
#[path = "program/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests of the program, which need more of it")]
mod postgres;
#[path = "admin/stream.rs"]
mod stream;

#[path = "admin/accounts.rs"]
mod accounts;
#[path = "admin/attacks.rs"]
mod attacks;
#[path = "admin/contract.rs"]
mod contract;
#[path = "admin/conventions.rs"]
mod conventions;
#[path = "admin/devices.rs"]
mod devices;
#[path = "admin/exports.rs"]
mod exports;
#[path = "admin/far.rs"]
mod far;
#[path = "admin/lists.rs"]
mod lists;
#[path = "admin/live.rs"]
mod live;
#[path = "admin/match_day.rs"]
mod match_day;
#[path = "admin/peripherals.rs"]
mod peripherals;
#[path = "admin/permissions.rs"]
mod permissions;
#[path = "admin/privacy.rs"]
mod privacy;
#[path = "admin/programs.rs"]
mod programs;
#[path = "../../admin/webhooks/tests/receiver/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the crate, which need more of it")]
mod receiver;
#[path = "admin/statistics.rs"]
mod statistics;
#[path = "admin/supervisor.rs"]
mod supervisor;
#[path = "admin/testers.rs"]
mod testers;
#[path = "admin/tickets.rs"]
mod tickets;
#[path = "admin/tour.rs"]
mod tour;
#[path = "admin/turns.rs"]
mod turns;
#[path = "admin/venue.rs"]
mod venue;
#[path = "admin/webhooks.rs"]
mod webhooks;
