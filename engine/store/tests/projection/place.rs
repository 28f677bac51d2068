//! Where a store of a test lives: a file of its own, or a database of its own on a real server. Knows how a test gets at the
//! rows behind the store's back; knows no test.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::path::PathBuf;
use std::sync::OnceLock;
use store::{PostgresOptions, PostgresStore, SqliteStore, Store, StoreResult, TlsMode};
use store_testkit::{Postgres, Proxy, Session, all_programs};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    /// The newest version that is in place.
    Postgres,
    /// The oldest version that is in place.
    OlderPostgres,
}

/// A store's place.
pub enum Place {
    Sqlite(SqlitePlace),
    Postgres(PostgresPlace),
}

/// A folder of its own.
pub struct SqlitePlace {
    folder: tempfile::TempDir,
}

/// A database of its own on a server that all tests of this process share.
pub struct PostgresPlace {
    pub server: &'static Postgres,
    name: String,
}

/// Runs each test on SQLite and on the newest PostgreSQL.
macro_rules! on_every_database {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test($crate::place::Database::Sqlite); })*
        }
        mod postgres {
            $(#[test] fn $test() { super::$test($crate::place::Database::Postgres); })*
        }
    };
}
pub(crate) use on_every_database;

/// Runs each test on the oldest PostgreSQL.
macro_rules! on_older_postgres {
    ($($test:ident)*) => {
        mod older_postgres {
            $(#[test] fn $test() { super::$test($crate::place::Database::OlderPostgres); })*
        }
    };
}
pub(crate) use on_older_postgres;

// === impl Database ===

impl Database {
    pub fn place(self) -> Place {
        match self {
            Database::Sqlite => Place::Sqlite(SqlitePlace::new()),
            Database::Postgres => Place::Postgres(PostgresPlace::on(newest())),
            Database::OlderPostgres => Place::Postgres(PostgresPlace::on(oldest())),
        }
    }
}

fn newest() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&all_programs()[0], &Default::default()))
}

fn oldest() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let all = all_programs();
        assert!(
            all.len() > 1,
            "only PostgreSQL {} is in place: `./x servers` brings another",
            all[0].version
        );
        Postgres::start(&all[all.len() - 1], &Default::default())
    })
}

// === impl Place ===

impl Place {
    pub fn open(&self) -> Box<dyn Store> {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> StoreResult<Box<dyn Store>> {
        Ok(match self {
            Place::Sqlite(place) => Box::new(SqliteStore::open(&place.path())?),
            Place::Postgres(place) => Box::new(PostgresStore::open(place.options())?),
        })
    }

    pub fn migrate(&self, version: Option<u32>) -> StoreResult<(u32, u32)> {
        match self {
            Place::Sqlite(place) => SqliteStore::migrate(&place.path(), version),
            Place::Postgres(place) => PostgresStore::migrate(place.options(), version),
        }
    }

    /// Does something behind the store's back.
    pub fn execute(&self, sql: &str) {
        match self {
            Place::Sqlite(place) => place.connection().execute_batch(sql).unwrap(),
            Place::Postgres(place) => drop(place.run(sql)),
        }
    }

    /// From now on no row can be written into a table.
    pub fn fail_on(&self, table: &str) {
        let act = if table == "meta" { "UPDATE" } else { "INSERT" };
        match self {
            Place::Sqlite(_) => self.execute(&format!(
                "CREATE TRIGGER fail BEFORE {act} ON {table} BEGIN SELECT RAISE(FAIL, 'disk full'); END"
            )),
            Place::Postgres(_) => self.execute(&format!(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$; \
                 CREATE TRIGGER fail BEFORE {act} ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"
            )),
        }
    }

    /// Rows can be written again.
    pub fn heal(&self, table: &str) {
        match self {
            Place::Sqlite(_) => self.execute("DROP TRIGGER fail"),
            Place::Postgres(_) => {
                self.execute(&format!("DROP TRIGGER fail ON {table}; DROP FUNCTION fail()"))
            }
        }
    }

    /// Every row of every table, as text.
    pub fn dump(&self) -> Vec<String> {
        match self {
            Place::Sqlite(place) => place.dump(),
            Place::Postgres(place) => place.dump(),
        }
    }
}

// === impl SqlitePlace ===

impl SqlitePlace {
    pub fn new() -> SqlitePlace {
        SqlitePlace { folder: tempfile::tempdir().unwrap() }
    }

    pub fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).unwrap()
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("gatehouse.db")
    }

    /// Another process at the same file.
    pub fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// The files as they are now: what a power cut leaves when nothing that comes after is synced.
    pub fn copy(&self) -> SqlitePlace {
        let copy = SqlitePlace::new();
        for suffix in ["", "-wal"] {
            let name = |place: &SqlitePlace| format!("{}{suffix}", place.path().display());
            std::fs::copy(name(self), name(&copy)).unwrap();
        }
        copy
    }

    /// Every row of every table, as text.
    pub fn dump(&self) -> Vec<String> {
        let connection = self.connection();
        let mut tables = connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
            )
            .unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut rows = Vec::new();
        for table in tables {
            // Answers are many to a row, as they came: how many is not what they say.
            let all = match table.as_str() {
                "kept_answers" => {
                    "SELECT entry.value ->> 0, entry.value ->> 1, \
                     substr(answers, 1 + (entry.value ->> 2), entry.value ->> 3) \
                     FROM kept_answers, json_each(entries) AS entry"
                }
                other => &format!("SELECT * FROM {other}"),
            };
            let mut all = connection.prepare(all).unwrap();
            let columns = all.column_count();
            let texts = all.query_map([], |row| {
                Ok((0..columns).map(|column| text(row.get_ref(column).unwrap())).collect::<Vec<_>>())
            });
            rows.extend(texts.unwrap().map(|row| format!("{table}: {}", row.unwrap().join(" "))));
        }
        rows.sort();
        rows
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

// === impl PostgresPlace ===

impl PostgresPlace {
    /// On the newest version.
    pub fn new() -> PostgresPlace {
        PostgresPlace::on(newest())
    }

    fn on(server: &'static Postgres) -> PostgresPlace {
        let name = server.fresh_name();
        run_at(&server.url("postgres"), &format!("CREATE DATABASE {name}"));
        PostgresPlace { server, name }
    }

    pub fn options(&self) -> PostgresOptions {
        PostgresOptions { tls: TlsMode::Disable, ..PostgresOptions::at(&self.server.url(&self.name)) }
    }

    /// How to reach it through a wire to its server.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.server.url_through(proxy, &self.name)
    }

    /// Runs statements on a connection of its own; gives the rows as text.
    pub fn run(&self, sql: &str) -> Vec<Vec<String>> {
        run_at(&self.server.url(&self.name), sql)
    }

    /// Runs statements and keeps their connection, with what it has locked, until it is dropped.
    pub fn hold(&self, sql: &str) -> Session {
        let session = Session::open(&self.server.url(&self.name));
        session.run(sql);
        session
    }

    /// Every row of every table, as text.
    pub fn dump(&self) -> Vec<String> {
        let tables = self.run(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
             AND relnamespace = 'public'::regnamespace",
        );
        let mut rows = Vec::new();
        for table in tables.iter().map(|row| &row[0]) {
            let all = match table.as_str() {
                "kept_answers" => {
                    "SELECT concat_ws(' ', own ->> 0, own ->> 1, \
                     substring(answers FROM 1 + (own ->> 2)::int FOR (own ->> 3)::int)) \
                     FROM kept_answers, json_array_elements(entries) AS own"
                }
                other => &format!("SELECT own::text FROM {other} AS own"),
            };
            rows.extend(self.run(all).iter().map(|row| format!("{table}: {}", row[0])));
        }
        rows.sort();
        rows
    }
}

/// Runs statements on a connection of its own; gives the rows as text.
pub fn run_at(url: &str, sql: &str) -> Vec<Vec<String>> {
    Session::open(url).run(sql)
}
