//! The migrator: scripts in order, each in a transaction with its number, under a lock that every migrator of a database
//! waits for. Knows no table but `schema_version`.

use super::connect::Link;
use crate::error::{StoreResult, WhileDoing};
use crate::migrations::{self, Migration, Step, migration};
use deadpool_postgres::ClientWrapper;

/// Every migration, from version 1 on without a gap. One that was released is never edited.
static MIGRATIONS: [Migration; 6] = [
    migration!("postgres", 1, "0001_create_projection"),
    migration!("postgres", 2, "0002_create_inbox"),
    migration!("postgres", 3, "0003_questions"),
    migration!("postgres", 4, "0004_administration"),
    migration!("postgres", 5, "0005_figures"),
    migration!("postgres", 6, "0006_audit_subjects"),
];

/// The version this program writes.
pub(super) const LATEST: u32 = MIGRATIONS.len() as u32;

/// Names the lock of migrators: "gatemig1" in ASCII. Advisory locks belong to a database.
const LOCK: i64 = 0x6761_7465_6d69_6731;

/// Goes up or down to `wanted`, one version at a time; gives the version before. Waits for another migrator for as long
/// as a statement may take.
pub(super) fn to(link: &Link, wanted: u32) -> StoreResult<u32> {
    // The lock goes with the session.
    let session = link.connect()?;
    link.wait("wait for another migrator", lock(&session))?;
    let before = link.wait("read the schema version", version(&session))?;
    while link.wait("migrate the schema", step(&session, wanted))? {}
    Ok(before)
}

async fn lock(session: &ClientWrapper) -> StoreResult<()> {
    // Scripts take locks too, of tables that others read: those are waited for as patiently.
    let patience = "SET lock_timeout = 0";
    session.batch_execute(patience).await.while_doing("wait for another migrator")?;
    session
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await
        .map(drop)
        .while_doing("wait for another migrator")
}

/// The schema version of a database; 0: empty.
async fn version(session: &ClientWrapper) -> StoreResult<u32> {
    let known = session
        .query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get::<_, bool>(0))
        .while_doing("look for the schema version")?;
    if !known {
        return Ok(0);
    }
    session
        .query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[])
        .await
        .and_then(|row| row.try_get::<_, i32>(0))
        .map(|version| version as u32)
        .while_doing("read the schema version")
}

/// One version nearer to `wanted`; `false` when there.
async fn step(session: &ClientWrapper, wanted: u32) -> StoreResult<bool> {
    let found = version(session).await?;
    let Some(step) = migrations::next(&MIGRATIONS, found, wanted)? else { return Ok(false) };
    let (action, script, note) = match step {
        Step::Up(Migration { version, name, up, .. }) => (
            "apply an up migration",
            up,
            format!(
                "CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL CONSTRAINT schema_version_pkey \
                 PRIMARY KEY, name text NOT NULL); INSERT INTO schema_version VALUES ({version}, '{name}')"
            ),
        ),
        Step::Down(Migration { version, down, .. }) => {
            ("apply a down migration", down, format!("DELETE FROM schema_version WHERE version = {version}"))
        }
    };
    // One message: the server runs it as one transaction.
    session.batch_execute(&format!("BEGIN; {script}\n; {note}; COMMIT")).await.while_doing(action)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_numbered_and_paired() {
        migrations::check_folder("postgres", &MIGRATIONS);
    }
}
