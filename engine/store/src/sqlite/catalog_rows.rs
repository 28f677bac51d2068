//! Rows of the catalog: one per entity, whole as JSON and some columns for questions. Knows how an entity is written
//! and read back; knows no rule.

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{Catalog, Entity, EventId};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes an entity that the catalog has taken. Its number is its place in the catalog.
pub(super) fn put(connection: &Connection, lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<()> {
    let (kind, name) = entity.kind_and_name();
    let missing = || StoreError::damaged(format!("record {lsn}"), format!("{kind} '{name}' was not taken"));
    let lsn = lsn.0 as i64;
    match entity {
        Entity::Event(event) => {
            let id = catalog.event_named(name).ok_or_else(missing)?;
            let (doors, starts, ends) = (event.doors_open_at.0, event.starts_at.0, event.ends_at.0);
            let row = params![id.0, lsn, name, event.title, doors, starts, ends, event.cold, json(event)];
            upsert(
                connection,
                "INSERT OR REPLACE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                row,
            )
        }
        Entity::Zone(zone) => {
            let id = catalog.zone_named(name).ok_or_else(missing)?;
            let row = params![id.0, lsn, name, zone.capacity, json(zone)];
            upsert(connection, "INSERT OR REPLACE INTO zones VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Gate(gate) => {
            let id = catalog.gate_named(name).ok_or_else(missing)?;
            let row = params![id.0, lsn, name, gate.event.map(|event| event.0), json(gate)];
            upsert(connection, "INSERT OR REPLACE INTO gates VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Type(kind) => {
            let id = catalog.type_named(kind.event, name).ok_or_else(missing)?;
            let row = params![id.0, lsn, kind.event.0, name, json(kind)];
            upsert(connection, "INSERT OR REPLACE INTO ticket_types VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
        Entity::Device(device) => {
            let id = catalog.device_named(name).ok_or_else(missing)?;
            let gate = device.gate.map(|gate| gate.0);
            let row = params![id.0, lsn, name, gate, device.number, device.status.word(), json(device)];
            upsert(connection, "INSERT OR REPLACE INTO devices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row)
        }
        Entity::Operator(operator) => {
            let id = catalog.operator_named(name).ok_or_else(missing)?;
            let row = params![id.0, lsn, name, operator.role.word(), json(operator)];
            upsert(connection, "INSERT OR REPLACE INTO operators VALUES (?1, ?2, ?3, ?4, ?5)", row)
        }
    }
}

/// Writes an event that the engine itself has changed.
pub(super) fn put_event(
    connection: &Connection,
    lsn: Lsn,
    catalog: &Catalog,
    event: EventId,
) -> StoreResult<()> {
    match catalog.event(event) {
        Some(event) => put(connection, lsn, catalog, &Entity::Event(event.clone())),
        None => Ok(()),
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
    let mut catalog = Catalog::new();
    // In this order every entity finds what it refers to.
    each(connection, "zones", &mut |zone| catalog.put(&Entity::Zone(zone)))?;
    each(connection, "events", &mut |event| catalog.put(&Entity::Event(event)))?;
    each(connection, "gates", &mut |gate| catalog.put(&Entity::Gate(gate)))?;
    each(connection, "ticket_types", &mut |kind| catalog.put(&Entity::Type(kind)))?;
    each(connection, "devices", &mut |device| catalog.put(&Entity::Device(device)))?;
    each(connection, "operators", &mut |operator| catalog.put(&Entity::Operator(operator)))?;
    catalog.version = version;
    Ok(catalog)
}

fn each<T: DeserializeOwned>(
    connection: &Connection,
    table: &'static str,
    put: &mut dyn FnMut(T),
) -> StoreResult<()> {
    let mut statement = connection
        .prepare(&format!("SELECT id, entity FROM {table} ORDER BY id"))
        .while_doing("read the catalog")?;
    let mut rows = statement.query([]).while_doing("read the catalog")?;
    let mut next = 0_u32;
    while let Some(row) = rows.next().while_doing("read the catalog")? {
        let id: u32 = row.get(0).while_doing("read the catalog")?;
        let damaged = |problem: String| StoreError::damaged(format!("row {id} of {table}"), problem);
        if id != next {
            return Err(damaged(format!("row {next} is missing")));
        }
        let entity: String = row.get(1).map_err(|error| damaged(error.to_string()))?;
        put(serde_json::from_str(&entity).map_err(|error| damaged(error.to_string()))?);
        next += 1;
    }
    Ok(())
}

/// What the audit says of an entity: everything but secrets, also no hash of one.
pub(super) fn without_secrets(entity: &Entity) -> String {
    match entity {
        Entity::Event(event) => json(event),
        Entity::Zone(zone) => json(zone),
        Entity::Gate(gate) => json(gate),
        Entity::Type(kind) => json(kind),
        Entity::Device(device) => {
            let mut device = device.clone();
            device.key_hashes.clear();
            json(&device)
        }
        Entity::Operator(operator) => {
            let mut operator = operator.clone();
            operator.password_hash.clear();
            operator.token_hashes.clear();
            json(&operator)
        }
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("catalog and commands have no type that JSON cannot say")
}
