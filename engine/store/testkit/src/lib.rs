//! Real PostgreSQL servers for tests, and for load scenarios in which one goes away; a Redis server for the comparison with
//! it. Owns where their programs are, their directories, ports, starts and ends, the wire to them, and plain SQL behind the
//! store's back; knows no schema.
//!
//! The programs are put in place by `./x servers`, never by a test. Where they are missing a test fails and says so:
//! a check that is skipped in silence is worse than none.
//!
//! PostgreSQL refuses to run as root, so a test that runs as root gives server and directory to `nobody`. A server ends
//! with its test process, however that ends: it hangs on a pipe from it.

mod postgres;
mod programs;
mod proxy;
mod redis;
mod session;
mod watched;

pub use postgres::{Postgres, PostgresOptions};
pub use programs::{Programs, all_programs, programs_folder, redis_programs};
pub use proxy::{Proxy, Wire};
pub use redis::{Redis, RedisOptions};
pub use session::Session;
