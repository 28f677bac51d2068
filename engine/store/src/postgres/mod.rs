//! The store on a PostgreSQL server, version 15 or later. Owns the writer's session and what it knows; what the rows say is
//! told in the modules below. Knows nothing of other databases.
//!
//! - The functions of the traits wait: they are not to be called from an async task.
//! - A batch is one transaction, and its commit is durable as far as the server's disk keeps what it was told to sync
//!   (`synchronous_commit = on` is set for the session; with standbys that are synchronous it waits for them too). So
//!   [`Store::sync`] has nothing left to do.
//! - One process writes: its session holds an advisory lock of the database, and the cursor is moved from where it was
//!   left. A session that failed is thrown away, and what was known with it. The next one waits for the lock, which the
//!   server gives away only when it has ended the old session and so whatever that had under way; it is told to.

mod bootstrap;
mod catalog_rows;
mod connect;
mod copy;
mod count_rows;
mod error;
mod figure_rows;
mod inbox;
mod kept_rows;
mod lists;
mod migrate;
mod options;
mod partitions;
mod queries;
mod registry_rows;
mod scan_rows;
mod shred_rows;
mod tables;
mod ticket_rows;
mod tls;
mod values;

use crate::error::{Cause, StoreError, StoreResult, WhileDoing};
use crate::shadow::Shadow;
use crate::store::{Queries, Store, StoreWatch};
use crate::{apply, seed};
use connect::Link;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::record::Record;
use engine::state::State;
pub use inbox::Inbox;
pub use options::{PostgresOptions, TlsMode};
use partitions::Partitions;
use queries::PostgresQueries;
use std::sync::Arc;
use std::time::Duration;
use tables::PostgresTables;

/// Form of the columns that are not plain SQL.
const FORMAT: i64 = 1;
/// Rewriting the tables that name people may take so long.
const SCRUB_MAX: Duration = Duration::from_secs(30 * 60);
/// Names the right to write: "gatewrt1" in ASCII. Advisory locks belong to a database.
const WRITER_LOCK: i64 = 0x6761_7465_7772_7431;

/// The projection in one PostgreSQL database.
pub struct PostgresStore {
    link: Arc<Link>,
    /// Gone after a failure.
    writer: Option<Writer>,
    /// The newest session that got the right to write.
    newest: Option<Backend>,
}

/// A session as its server tells it from all others, before and after.
struct Backend {
    pid: i32,
    began: String,
}

/// A session that holds the right to write, and what its rows say.
struct Writer {
    session: ClientWrapper,
    shadow: Shadow,
    partitions: Partitions,
}

// === impl PostgresStore ===

impl PostgresStore {
    /// Connects, and brings the schema up to this program's version.
    ///
    /// # Errors
    /// The server cannot be reached or refuses; a newer program wrote the database.
    pub fn open(options: PostgresOptions) -> StoreResult<PostgresStore> {
        let store = PostgresStore::later(options)?;
        store.link.ready()?;
        Ok(store)
    }

    /// As [`PostgresStore::open`], but for a server that may be away: connects to nothing. The first call that finds the
    /// server there brings the schema up; until then every call fails as when the server had gone.
    ///
    /// # Errors
    /// Address or certificates cannot be used.
    pub fn later(options: PostgresOptions) -> StoreResult<PostgresStore> {
        Ok(PostgresStore { link: Arc::new(Link::new(options, prepare)?), writer: None, newest: None })
    }

    /// Brings the schema of a database to `version` (`None`: the newest this program knows), up or down; 0 takes all
    /// rows away. Gives the version before and after.
    ///
    /// # Errors
    /// As [`PostgresStore::open`]; no such version.
    pub fn migrate(options: PostgresOptions, version: Option<u32>) -> StoreResult<(u32, u32)> {
        let link = Link::new(options, prepare)?;
        let after = version.unwrap_or(migrate::LATEST);
        Ok((migrate::to(&link, after)?, after))
    }

    /// A session that alone may write.
    fn begin_writing(&mut self) -> StoreResult<Writer> {
        self.link.ready()?;
        let session = self.link.connect()?;
        if let Some(former) = &self.newest {
            // Where something between here and the server keeps that connection open, the server never learns that it was
            // given up, and the right to write would stay with it for ever. If it cannot be ended, the lock tells.
            let _ = self.link.wait("end the former session", former.end(&session));
        }
        let lock = self.link.wait("get the right to write", async {
            let lock = session.execute("SELECT pg_advisory_lock($1)", &[&WRITER_LOCK]).await;
            lock.map(drop).while_doing("get the right to write")
        });
        lock.map_err(|error| match error {
            StoreError::Server { cause: Cause::Locked, .. } => StoreError::Occupied,
            other => other,
        })?;
        self.newest = Some(self.link.wait("look who writes", Backend::of(&session))?);
        let shadow = self.link.wait("read the state", async {
            bootstrap::begin(&session).await?;
            let shadow = bootstrap::shadow(&session).await?;
            bootstrap::end(&session).await?;
            Ok(shadow)
        })?;
        Ok(Writer { session, shadow, partitions: Partitions::default() })
    }
}

// === impl Backend ===

impl Backend {
    async fn of(session: &ClientWrapper) -> StoreResult<Backend> {
        let sql = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = session.query_one(sql, &[]).await.while_doing("look who writes")?;
        Ok(Backend { pid: values::get(&row, 0)?, began: values::get(&row, 1)? })
    }

    /// Ends it if it still lives; a later one with its number is left alone.
    async fn end(&self, session: &ClientWrapper) -> StoreResult<()> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";
        session.query(sql, &[&self.pid, &self.began]).await.map(drop).while_doing("end the former session")
    }
}

/// Brings the schema up, and looks whether this program can read the rows.
fn prepare(link: &Link) -> StoreResult<()> {
    migrate::to(link, migrate::LATEST)?;
    let session = link.connect()?;
    let found = link.wait("read the format", async {
        let row = session.query_one("SELECT format FROM meta", &[]).await.while_doing("read the format")?;
        values::get::<i64>(&row, 0)
    })?;
    if found == FORMAT { Ok(()) } else { Err(StoreError::Format { found, known: FORMAT }) }
}

// === impl Writer ===

impl Writer {
    /// Applies the records after the cursor. When it fails, the session has to go: with it goes the transaction.
    fn apply(&mut self, link: &Link, batch: &[(Lsn, Record<'_>)]) -> StoreResult<()> {
        let records = apply::fresh(&self.shadow, batch);
        if records.is_empty() {
            return Ok(());
        }
        let Writer { session, shadow, partitions } = self;
        partitions.tend(link, session, records, shadow.retention.from)?;
        begin(link, session, "begin a batch")?;
        let mut tables = PostgresTables::new(link, session, shadow, records)?;
        apply::write(&mut tables, shadow, records)?;
        run(link, session, "commit a batch", "COMMIT")
    }

    /// Writes a state into an empty database, in one transaction. When it fails, the session has to go.
    fn seed(&self, link: &Link, state: &State) -> StoreResult<()> {
        let Writer { session, shadow, .. } = self;
        let cursor = Lsn(shadow.state.lsn);
        if cursor > Lsn(0) {
            return Err(StoreError::NotEmpty { cursor });
        }
        begin(link, session, "begin to seed")?;
        seed::write(&mut PostgresTables::new(link, session, shadow, &[])?, state)?;
        run(link, session, "commit what was seeded", "COMMIT")
    }
}

/// Begins a transaction. That costs a server nothing, so that one that is silent is given up early.
fn begin(link: &Link, session: &ClientWrapper, action: &'static str) -> StoreResult<()> {
    let begin = async { session.batch_execute("BEGIN").await.while_doing(action) };
    link.wait_for(link.options.connect_timeout, action, begin)
}

fn run(link: &Link, session: &ClientWrapper, action: &'static str, sql: &'static str) -> StoreResult<()> {
    link.wait(action, async { session.batch_execute(sql).await.while_doing(action) })
}

impl Store for PostgresStore {
    fn cursor(&self) -> StoreResult<Lsn> {
        queries::cursor(&self.link)
    }

    fn salt(&self) -> StoreResult<Option<[u8; 16]>> {
        self.link.ask("read whose records these are", async |session| {
            let row = session.query_one("SELECT cursor, salt FROM meta", &[]).await;
            let row = row.while_doing("read whose records these are")?;
            let salt = values::get::<&[u8]>(&row, 1)?.try_into();
            let salt = salt.map_err(|error| StoreError::damaged("the salt", error))?;
            Ok((values::get::<i64>(&row, 0)? > 0).then_some(salt))
        })
    }

    fn apply(&mut self, batch: &[(Lsn, Record<'_>)]) -> StoreResult<()> {
        // Taken, and put back after the commit only: any way out of here in between ends the session.
        let mut writer = match self.writer.take().filter(|writer| !writer.session.is_closed()) {
            Some(writer) => writer,
            None => self.begin_writing()?,
        };
        writer.apply(&self.link, batch)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn sync(&mut self) -> StoreResult<Lsn> {
        self.cursor()
    }

    fn scrub(&mut self) -> StoreResult<()> {
        let session = self.link.connect()?;
        // Of the log of scans only notes go; rewriting all of it would hold questions up for as long as it is large.
        let statements = [
            "SET lock_timeout = '10s'",
            "SET statement_timeout = 0",
            "VACUUM (FULL) tickets",
            "VACUUM (FULL) ticket_words",
            "VACUUM (FULL) kept_answers",
            "VACUUM (FULL) audit",
            "VACUUM scans",
        ];
        self.link.wait_for(SCRUB_MAX, "rewrite tables", async {
            for statement in statements {
                session.batch_execute(statement).await.while_doing("rewrite tables")?;
            }
            Ok(())
        })
    }

    fn unsynced_bytes(&self) -> StoreResult<u64> {
        Ok(0)
    }

    fn bootstrap(&self) -> StoreResult<State> {
        self.link.ask_in_pages("read the state", async |session| bootstrap::state(&self.link, session).await)
    }

    fn seed(&mut self, state: &State) -> StoreResult<()> {
        // What the session knows is no longer so afterwards: the next batch begins with another one.
        self.writer = None;
        self.begin_writing()?.seed(&self.link, state)
    }

    fn watch(&self) -> StoreWatch {
        let link = Arc::clone(&self.link);
        StoreWatch { name: "postgres", pool: Some(Arc::new(move || link.pool_use())) }
    }

    fn queries(&self) -> StoreResult<Box<dyn Queries>> {
        Ok(Box::new(PostgresQueries::new(Arc::clone(&self.link))))
    }

    fn inbox(&self) -> Option<Inbox> {
        Some(Inbox::new(Arc::clone(&self.link)))
    }
}
