//! Statements on a connection of a test's own, behind the back of whatever is tested. Knows no table.

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A connection in the middle of a transaction, which it gives up in the end.
pub struct Held {
    client: Option<Client>,
    runtime: tokio::runtime::Runtime,
}

// === impl Held ===

impl Held {
    /// Runs statements, and keeps their connection with what it has locked.
    ///
    /// # Panics
    /// When the server cannot be reached or refuses.
    pub fn at(url: &str, sql: &str) -> Held {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be started");
        let client = runtime.block_on(async {
            let client = connected(url).await.unwrap_or_else(|error| panic!("{error}"));
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            client
        });
        Held { client: Some(client), runtime }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // A server that was stopped meanwhile has given it up already.
            let _ = self.runtime.block_on(async { client.batch_execute("ROLLBACK").await });
        }
    }
}

/// Runs statements; gives the rows as text, NULL as `NULL`.
///
/// # Panics
/// When the server cannot be reached or refuses.
pub fn run_at(url: &str, sql: &str) -> Vec<Vec<String>> {
    try_run_at(url, sql).unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// As [`run_at`], for what may be refused.
///
/// # Errors
/// What the server or the connection said, with its SQLSTATE.
pub fn try_run_at(url: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be started").block_on(async {
        let told = |error: tokio_postgres::Error| match error.as_db_error() {
            Some(said) => format!("{} {}", said.code().code(), said.message()),
            None => error.to_string(),
        };
        let client = connected(url).await.map_err(told)?;
        let mut rows = Vec::new();
        for message in client.simple_query(sql).await.map_err(told)? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|n| row.get(n).unwrap_or("NULL").to_owned()).collect());
            }
        }
        Ok(rows)
    })
}

async fn connected(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // What ends it is told to whoever uses it next.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
