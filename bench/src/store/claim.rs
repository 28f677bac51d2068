//! PostgreSQL's own claim over four connections: the yardstick of the store's figures. A system that asks its database at
//! the gate can be no faster than this. Knows how long; the claim is the comparison's.

use super::place::Server;
use crate::beside::Bench;
use crate::beside::peers::postgres::Claimed;
use anyhow::{Result, ensure};
use load_tests::codes::CodeChoice;
use std::time::Duration;

const CONNECTIONS: usize = 4;

/// Claims per second of a server; `None`: it is none.
///
/// # Errors
/// The server refuses, or says something wrong.
pub fn per_second(server: &Server, length: Duration) -> Result<Option<f64>> {
    let Server::Postgres(server) = server else { return Ok(None) };
    let bench = Bench { server_core: None, connection_count: CONNECTIONS };
    let mut claimed = Claimed::on(server, CodeChoice::Mix)?;
    let result = claimed.round(server, CONNECTIONS, &bench, Duration::ZERO, length)?;
    ensure!(result.is_right(), "wrong claims: {:?}", result.tally);
    Ok(Some(result.answers_per_second))
}
