//! A session of a test's own at a server: plain SQL behind the store's back, and whatever it holds until it is dropped.
//! Knows the driver and no schema.

use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How long the end of a session waits for its server.
const FREE_MAX: Duration = Duration::from_secs(1);

/// One connection. Dropping it ends the session, and with it an open transaction and its locks.
#[derive(Debug)]
pub struct Session {
    client: Client,
    /// Moves the connection's bytes, also while nobody asks anything.
    runtime: tokio::runtime::Runtime,
}

// === impl Session ===

impl Session {
    /// Connects.
    ///
    /// # Panics
    /// When the server does not take it.
    pub fn open(url: &str) -> Session {
        Session::try_open(url).unwrap_or_else(|error| panic!("no session: {error}"))
    }

    /// Connects, to a server that may refuse; its words then.
    ///
    /// # Errors
    /// The server is away or refuses.
    pub fn try_open(url: &str) -> Result<Session, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("start a thread");
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(in_words)?;
            tokio::spawn(connection);
            Ok::<Client, String>(client)
        })?;
        Ok(Session { client, runtime })
    }

    /// Runs statements; gives the rows as text, NULL as `NULL`.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn run(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Session::run`], for what the server may refuse; its words then.
    ///
    /// # Errors
    /// The server is away or refuses.
    pub fn try_run(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).map_err(in_words)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|n| row.get(n).unwrap_or("NULL").to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // So that what it had locked is free when this returns. A server that is away or halted has its own time.
        let client = &self.client;
        let free = async { tokio::time::timeout(FREE_MAX, client.simple_query("ROLLBACK")).await };
        let _ = self.runtime.block_on(free);
    }
}

/// The driver alone says "db error".
fn in_words(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |own| own.message().to_owned())
}
