//! Where a measured store is: a file in a folder, or a database on a server that was started for it and syncs its disk.
//! Knows how each is opened; knows no scan.

use crate::postgres::new_database;
use anyhow::{Context, Result};
use std::path::PathBuf;
use store::{PostgresOptions, PostgresStore, SqliteStore, Store, TlsMode};
use store_testkit::{Postgres, all_programs};

/// What stores are made on.
pub enum Server {
    /// A folder for files.
    Sqlite(tempfile::TempDir),
    /// A server.
    Postgres(Postgres),
}

/// One store's place.
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A database.
    Postgres(PostgresOptions),
}

// === impl Server ===

impl Server {
    /// A folder on the disk of temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn sqlite() -> Result<Server> {
        Ok(Server::Sqlite(tempfile::tempdir().context("make a folder")?))
    }

    /// The newest PostgreSQL that is in place, on the disk of temporary files.
    ///
    /// # Errors
    /// None: one that does not come up ends the program with what its log says.
    pub fn postgres() -> Result<Server> {
        let synced = store_testkit::PostgresOptions { synced: true, ..Default::default() };
        Ok(Server::Postgres(Postgres::start(&all_programs()[0], &synced)))
    }

    /// Which it is, with its version.
    pub fn name(&self) -> String {
        match self {
            Server::Sqlite(_) => "SQLite".to_owned(),
            Server::Postgres(server) => format!("PostgreSQL {}", server.version()),
        }
    }

    /// A new place for a store.
    ///
    /// # Errors
    /// The server refuses.
    pub fn place(&self) -> Result<Place> {
        match self {
            Server::Sqlite(folder) => {
                let folder = tempfile::tempdir_in(folder.path()).context("make a folder")?;
                Ok(Place::Sqlite(folder.keep().join("store.sqlite")))
            }
            Server::Postgres(server) => Ok(Place::Postgres(options(&new_database(server)?))),
        }
    }

    /// Takes the server away; a file is simply not opened.
    pub fn stop(&mut self) {
        if let Server::Postgres(server) = self {
            server.stop();
        }
    }

    /// Brings it back; returns when it answers.
    pub fn resume(&mut self) {
        if let Server::Postgres(server) = self {
            server.resume();
        }
    }
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions { tls: TlsMode::Disable, ..PostgresOptions::at(url) }
}

// === impl Place ===

impl Place {
    /// Opens the store; a server may be away.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn open(&self) -> Result<Box<dyn Store>> {
        Ok(match self {
            Place::Sqlite(path) => Box::new(SqliteStore::open(path)?),
            Place::Postgres(options) => Box::new(PostgresStore::later(options.clone())?),
        })
    }
}
