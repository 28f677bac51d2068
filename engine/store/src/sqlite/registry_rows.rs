//! Rows of the registry: one per entry. Knows how an entry is written and read back; never reads what it says.

use crate::error::{StoreResult, WhileDoing};
use engine::Lsn;
use engine::registry::Registry;
use rusqlite::{Connection, params};

/// Writes an entry, or removes it.
pub(super) fn set(
    connection: &Connection,
    lsn: Lsn,
    kind: &str,
    name: &str,
    value: Option<&str>,
) -> StoreResult<()> {
    let (sql, action) = match value {
        Some(_) => ("INSERT OR REPLACE INTO registry VALUES (?1, ?2, ?3, ?4)", "write a registry entry"),
        None => ("DELETE FROM registry WHERE kind = ?1 AND name = ?2", "remove a registry entry"),
    };
    let mut statement = connection.prepare_cached(sql).while_doing(action)?;
    let written = match value {
        Some(value) => statement.execute(params![kind, name, lsn.0 as i64, value]),
        None => statement.execute([kind, name]),
    };
    written.map(drop).while_doing(action)
}

/// Every entry.
pub(super) fn read(connection: &Connection) -> StoreResult<Registry> {
    let mut registry = Registry::default();
    let mut statement =
        connection.prepare("SELECT kind, name, value FROM registry").while_doing("read the registry")?;
    let mut rows = statement.query([]).while_doing("read the registry")?;
    while let Some(row) = rows.next().while_doing("read the registry")? {
        let text = |column: usize| row.get_ref(column).and_then(|text| Ok(text.as_str()?));
        let entry = text(0).and_then(|kind| Ok((kind, text(1)?, text(2)?)));
        let (kind, name, value) = entry.while_doing("read the registry")?;
        registry.set(kind, name, Some(value));
    }
    Ok(registry)
}
