//! The real program, end to end: started as its own process, spoken to over sockets, killed, restarted and audited
//! from outside. Knows the contract only; never links what it tests, but for the auditor, who reads journals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

#[path = "program/support.rs"]
mod support;

#[path = "program/audit.rs"]
mod audit;
#[path = "program/cold.rs"]
mod cold;
#[path = "program/crash.rs"]
mod crash;
#[path = "program/database.rs"]
mod database;
#[path = "program/device_port.rs"]
mod device_port;
#[path = "program/feed.rs"]
mod feed;
#[path = "program/import.rs"]
mod import;
#[path = "program/inbox.rs"]
mod inbox;
#[path = "program/metrics.rs"]
mod metrics;
#[path = "program/offline.rs"]
mod offline;
#[path = "program/operators.rs"]
mod operators;
#[path = "program/outage/mod.rs"]
mod outage;
#[path = "program/paper.rs"]
mod paper;
#[path = "program/peripherals.rs"]
mod peripherals;
#[path = "program/poison.rs"]
mod poison;
#[path = "program/postgres.rs"]
mod postgres;
#[path = "program/recovery.rs"]
mod recovery;
#[path = "program/retry.rs"]
mod retry;
#[path = "program/settings.rs"]
mod settings;
#[path = "program/station.rs"]
mod station;
#[path = "program/stop.rs"]
mod stop;
