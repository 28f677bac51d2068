//! Rows of the registry: one per entry, gathered and written many at once. Knows how an entry is written and read back;
//! never reads what it says.

use super::connect::Link;
use super::values::{Text, get};
use crate::error::{StoreResult, WhileDoing};
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::registry::Registry;
use std::collections::BTreeMap;

const PUT: &str = "INSERT INTO registry (kind, name, lsn, value) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) \
     ON CONFLICT (kind, name) DO UPDATE SET (lsn, value) = (excluded.lsn, excluded.value)";

const REMOVE: &str = "DELETE FROM registry AS own USING unnest($1::text[], $2::text[]) AS old (kind, name) \
     WHERE own.kind = old.kind AND own.name = old.name";

const PAGE: &str =
    "SELECT kind, name, value FROM registry WHERE (kind, name) > ($1, $2) ORDER BY kind, name LIMIT $3";

/// Entries read at once: some MiB where all are long.
const ENTRIES_PER_PAGE: i64 = 500;

/// Entries on their way, each as the last record left it; `None`: it is gone.
#[derive(Default)]
pub(super) struct Entries(BTreeMap<(String, String), (Lsn, Option<String>)>);

// === impl Entries ===

impl Entries {
    pub(super) fn set(&mut self, lsn: Lsn, kind: &str, name: &str, value: Option<&str>) {
        self.0.insert((kind.to_owned(), name.to_owned()), (lsn, value.map(str::to_owned)));
    }

    /// Writes them; none are left here, also when it fails.
    pub(super) async fn flush(&mut self, session: &ClientWrapper) -> StoreResult<()> {
        let entries = std::mem::take(&mut self.0);
        let (mut put, mut gone) =
            ((Vec::new(), Vec::new(), Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for ((kind, name), (lsn, value)) in &entries {
            match value {
                Some(value) => {
                    put.0.push(Text::of(kind));
                    put.1.push(Text::of(name));
                    put.2.push(lsn.0 as i64);
                    put.3.push(Text::of(value));
                }
                None => {
                    gone.0.push(Text::of(kind));
                    gone.1.push(Text::of(name));
                }
            }
        }
        if !put.0.is_empty() {
            let statement = session.prepare_cached(PUT).await.while_doing("prepare to write the registry")?;
            let written = session.execute(&statement, &[&put.0, &put.1, &put.2, &put.3]).await;
            written.while_doing("write the registry")?;
        }
        if !gone.0.is_empty() {
            let statement =
                session.prepare_cached(REMOVE).await.while_doing("prepare to write the registry")?;
            let removed = session.execute(&statement, &[&gone.0, &gone.1]).await;
            removed.while_doing("remove registry entries")?;
        }
        Ok(())
    }
}

/// Every entry, read in pages.
pub(super) async fn read(link: &Link, session: &ClientWrapper) -> StoreResult<Registry> {
    let mut registry = Registry::default();
    let statement = session.prepare_cached(PAGE).await.while_doing("prepare to read the registry")?;
    let mut after = (String::new(), String::new());
    loop {
        let page = link.page("read the registry", async {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&after.0, &after.1, &ENTRIES_PER_PAGE];
            session.query(&statement, &values).await.while_doing("read the registry")
        });
        let rows = page.await?;
        let Some(last) = rows.last() else { return Ok(registry) };
        for row in &rows {
            let text = |column: usize| get::<Text<'_>>(row, column).map(Text::plain);
            registry.set(&text(0)?, &text(1)?, Some(&text(2)?));
        }
        after = (get(last, 0)?, get(last, 1)?);
    }
}
