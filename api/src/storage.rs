//! Which store a node has, and how it is opened. The only place that knows that there are two.

use crate::config::{Config, Mistakes, StoreChoice};
use anyhow::Context;
use store::{PostgresStore, SqliteStore, Store, StoreError};

/// The embedded store's file in the data directory.
pub const STORE_FILE: &str = "store.sqlite";

/// Opens the store. A database server may be away: then every call to its store fails until it is back.
///
/// # Errors
/// The embedded store's file cannot be used; settings that no server can be reached with (a mistake like any other).
pub fn open(config: &Config) -> anyhow::Result<Box<dyn Store>> {
    match &config.store {
        StoreChoice::Sqlite => {
            let path = config.data_dir.join(STORE_FILE);
            Ok(Box::new(SqliteStore::open(&path).context("open the embedded store")?))
        }
        StoreChoice::Postgres(options) => match PostgresStore::later(options.as_ref().clone()) {
            Ok(store) => Ok(Box::new(store)),
            Err(error @ StoreError::Settings { .. }) => {
                Err(Mistakes(vec![format!("database_url: {error}")]).into())
            }
            Err(error) => Err(error).context("open the PostgreSQL store"),
        },
    }
}

/// Is it the database server's doing? Then gates can go on without it, until people or time have put it right.
pub fn is_servers_doing(error: &StoreError) -> bool {
    matches!(error, StoreError::Server { .. } | StoreError::Occupied)
}
