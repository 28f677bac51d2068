//! What is asked of a PostgreSQL server once, outside of everything that is measured. Knows the driver; knows no schema.

use anyhow::Result;
use store_testkit::Postgres;
use tokio_postgres::{Client, Error, NoTls};

/// Asks on a connection of its own.
///
/// # Errors
/// The server is away or refuses.
pub fn asked<T>(url: &str, ask: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let moving = tokio::spawn(connection);
        let answer = ask(&client).await?;
        drop(client);
        moving.await??;
        Ok(answer)
    })
}

/// Makes a database and gives its address.
///
/// # Errors
/// The server is away or refuses.
pub fn new_database(server: &Postgres) -> Result<String> {
    let name = server.fresh_name();
    let create = format!("CREATE DATABASE {name}");
    asked(&server.url("postgres"), async |client| client.batch_execute(&create).await)?;
    Ok(server.url(&name))
}
