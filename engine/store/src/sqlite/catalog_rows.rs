//! Rows of the catalog: one per entity, whole as JSON and some columns for questions. Knows how an entity is written
//! and read; knows no rule.

use crate::apply::json;
use crate::entities;
use crate::error::{StoreResult, WhileDoing};
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{Catalog, Entity};
use rusqlite::{Connection, params};

/// Writes an entity that the catalog has taken. Its number is its place in the catalog.
pub(super) fn put(connection: &Connection, lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<()> {
    let id = entities::number_of(lsn, catalog, entity)?;
    let (_, name) = entity.kind_and_name();
    let lsn = lsn.0 as i64;
    match entity {
        Entity::Event(event) => {
            let (doors, starts, ends) = (event.doors_open_at.0, event.starts_at.0, event.ends_at.0);
            let row = params![id, lsn, name, event.title, doors, starts, ends, event.cold, json(event)];
            upsert(
                connection,
                "INSERT OR REPLACE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                row,
            )
        }
        Entity::Zone(zone) => {
            let row = params![id, lsn, name, zone.capacity, json(zone)];
            upsert(connection, "INSERT OR REPLACE INTO zones VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Gate(gate) => {
            let row = params![id, lsn, name, gate.event.map(|event| event.0), json(gate)];
            upsert(connection, "INSERT OR REPLACE INTO gates VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Type(kind) => {
            let row = params![id, lsn, kind.event.0, name, json(kind)];
            upsert(connection, "INSERT OR REPLACE INTO ticket_types VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Device(device) => {
            let gate = device.gate.map(|gate| gate.0);
            let row = params![id, lsn, name, gate, device.number, device.status.word(), json(device)];
            upsert(connection, "INSERT OR REPLACE INTO devices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row)
        }
        Entity::Operator(operator) => {
            let row = params![id, lsn, name, operator.role.word(), json(operator)];
            upsert(connection, "INSERT OR REPLACE INTO operators VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
    }
}

fn upsert(connection: &Connection, sql: &str, row: impl rusqlite::Params) -> StoreResult<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(row))
        .map(drop)
        .while_doing("write a row of the catalog")
}

/// The catalog as it was when the rows were written: same numbers, same version.
pub(super) fn read(connection: &Connection, version: u64) -> StoreResult<Catalog> {
    entities::catalog(version, &mut |table| {
        connection
            .prepare(&format!("SELECT id, entity FROM {table} ORDER BY id"))
            .and_then(|mut statement| {
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .while_doing("read the catalog")
    })
}
