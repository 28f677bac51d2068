//! How the PostgreSQL store is reached and how long it waits: plain data. Knows no connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How a PostgreSQL store is reached. [`PostgresOptions::at`] is right for a server in the same house.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where, as `postgres://user@host:port/database`. It is never written into an error or a log, as it may hold a
    /// password.
    pub url: String,
    /// The password, when it is not to stand in the address.
    pub password: Option<String>,
    /// Is the connection encrypted? [`TlsMode::Prefer`].
    pub tls: TlsMode,
    /// Certificates of authorities to trust, PEM; `None`: those of the system.
    pub tls_roots: Option<PathBuf>,
    /// Connections for questions at the most; 8. The writer has one of its own besides.
    pub pool_connections_max: usize,
    /// How long making a connection may take, and how long a question waits for a free one; 5 s.
    pub connect_timeout: Duration,
    /// How long one statement of a question may take; 10 s.
    pub question_timeout: Duration,
    /// How long one statement of a batch may take; 60 s.
    pub write_timeout: Duration,
    /// How long a statement waits for a lock that another session holds, the right to write included; 5 s.
    pub lock_timeout: Duration,
    /// How long a packet may stay without an answer before the connection counts as dead; 15 s.
    pub silence_max: Duration,
    /// How many days of the access log are kept; `None`: all. Older partitions go whole, but never one that has a scan
    /// whose answer is still kept.
    pub log_days: Option<u32>,
}

/// Is the connection encrypted?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server can. Its certificate is checked then; one that cannot be trusted ends the connection.
    #[default]
    Prefer,
    /// Always, with a certificate of an authority that is trusted and that names the host.
    Require,
}

// === impl PostgresOptions ===

impl PostgresOptions {
    /// The server at this address, and what is right for most.
    pub fn at(url: &str) -> PostgresOptions {
        PostgresOptions {
            url: url.to_owned(),
            password: None,
            tls: TlsMode::default(),
            tls_roots: None,
            pool_connections_max: 8,
            connect_timeout: Duration::from_secs(5),
            question_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(5),
            silence_max: Duration::from_secs(15),
            log_days: None,
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Everything but address and password.
        f.debug_struct("PostgresOptions")
            .field("tls", &self.tls)
            .field("tls_roots", &self.tls_roots)
            .field("pool_connections_max", &self.pool_connections_max)
            .field("connect_timeout", &self.connect_timeout)
            .field("question_timeout", &self.question_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("silence_max", &self.silence_max)
            .field("log_days", &self.log_days)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_address_nor_password_is_in_what_is_printed() {
        let options = PostgresOptions {
            password: Some("tomato".to_owned()),
            ..PostgresOptions::at("postgres://me:potato@db.example/gatehouse")
        };
        let printed = format!("{options:?}");
        assert!(!printed.contains("tomato"), "{printed}");
        assert!(!printed.contains("potato"), "{printed}");
        assert!(printed.contains("question_timeout: 10s"), "{printed}");
    }
}
