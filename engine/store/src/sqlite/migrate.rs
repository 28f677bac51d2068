//! The migrator: numbered scripts, one up and one down each, applied in order and each in a transaction of its own
//! together with its number. Knows no table but `schema_version`.

use crate::error::{StoreResult, WhileDoing};
use crate::migrations::{self, Migration, Step, migration};
use rusqlite::{Connection, TransactionBehavior};

/// Every migration, from version 1 on without a gap. One that was released is never edited.
static MIGRATIONS: [Migration; 6] = [
    migration!("sqlite", 1, "0001_create_projection"),
    migration!("sqlite", 2, "0002_compact_scans"),
    migration!("sqlite", 3, "0003_questions"),
    migration!("sqlite", 4, "0004_administration"),
    migration!("sqlite", 5, "0005_figures"),
    migration!("sqlite", 6, "0006_audit_subjects"),
];

/// The version this program writes.
pub(super) const LATEST: u32 = MIGRATIONS.len() as u32;

/// The schema version of a database; 0: empty.
pub(super) fn version(connection: &Connection) -> StoreResult<u32> {
    let known: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version')",
            [],
            |row| row.get(0),
        )
        .while_doing("look for the schema version")?;
    if !known {
        return Ok(0);
    }
    connection
        .query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
        .while_doing("read the schema version")
}

/// Goes up or down to `wanted`, one version at a time.
pub(super) fn to(connection: &mut Connection, wanted: u32) -> StoreResult<()> {
    while step(connection, wanted)? {}
    Ok(())
}

/// One version nearer to `wanted`; `false` when there. The version is read under the write lock, so that two
/// programs that start together do not both apply the same script.
fn step(connection: &mut Connection, wanted: u32) -> StoreResult<bool> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .while_doing("begin a migration")?;
    let found = version(&transaction)?;
    let Some(step) = migrations::next(&MIGRATIONS, found, wanted)? else { return Ok(false) };
    match step {
        Step::Up(migration) => {
            transaction.execute_batch(migration.up).while_doing("apply an up migration")?;
            transaction
            .execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT")
            .and_then(|()| {
                let row = (migration.version, migration.name);
                transaction.execute("INSERT INTO schema_version (version, name) VALUES (?1, ?2)", row)
            })
            .while_doing("note the schema version")?;
        }
        Step::Down(migration) => {
            transaction.execute_batch(migration.down).while_doing("apply a down migration")?;
            transaction
                .execute("DELETE FROM schema_version WHERE version = ?1", [migration.version])
                .while_doing("note the schema version")?;
        }
    }
    transaction.commit().while_doing("commit a migration")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreError;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name <> 'schema_version'",
            )
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn up_and_down_leave_nothing_and_can_be_repeated() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(version(&connection).unwrap(), 0);
        for _ in 0..2 {
            to(&mut connection, LATEST).unwrap();
            assert_eq!(version(&connection).unwrap(), LATEST);
            assert!(schema(&connection).contains(&"scans".to_owned()));
            to(&mut connection, LATEST).unwrap();
            to(&mut connection, 0).unwrap();
            assert_eq!(version(&connection).unwrap(), 0);
            assert_eq!(schema(&connection), Vec::<String>::new());
        }
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        to(&mut connection, LATEST).unwrap();
        let newer = LATEST + 1;
        connection.execute("INSERT INTO schema_version VALUES (?1, 'from the future')", [newer]).unwrap();
        let error = to(&mut connection, LATEST).unwrap_err().to_string();
        assert!(error.contains(&format!("version {newer}")), "{error}");
        assert!(error.contains("use the newer program"), "{error}");
        assert!(to(&mut connection, 0).is_err());
        assert!(schema(&connection).contains(&"scans".to_owned()));
    }

    #[test]
    fn a_version_nobody_wrote_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(matches!(to(&mut connection, LATEST + 1), Err(StoreError::NoSuchSchema { .. })));
    }

    #[test]
    fn a_script_that_fails_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE tickets (mine TEXT)").unwrap();
        assert!(to(&mut connection, LATEST).is_err());
        assert_eq!(version(&connection).unwrap(), 0);
        assert_eq!(schema(&connection), ["tickets"]);
    }

    #[test]
    fn scripts_are_numbered_and_paired() {
        migrations::check_folder("sqlite", &MIGRATIONS);
    }
}
