//! The catalog as rows: which number an entity has, and how a catalog is put together from its rows. Knows no database:
//! rows are given to it.

use crate::error::{StoreError, StoreResult};
use engine::Lsn;
use engine::catalog::{Catalog, Entity};
use serde::de::DeserializeOwned;

/// Gives the rows of a table in the order of their numbers: number and entity as JSON.
pub(crate) type Rows<'a> = &'a mut dyn FnMut(&'static str) -> StoreResult<Vec<(u32, String)>>;

/// The number of an entity that the catalog has taken: its place in the catalog.
pub(crate) fn number_of(lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<u32> {
    let (kind, name) = entity.kind_and_name();
    let number = match entity {
        Entity::Event(_) => catalog.event_named(name).map(|id| id.0),
        Entity::Zone(_) => catalog.zone_named(name).map(|id| id.0.into()),
        Entity::Gate(_) => catalog.gate_named(name).map(|id| id.0.into()),
        Entity::Type(own) => catalog.type_named(own.event, name).map(|id| id.0.into()),
        Entity::Device(_) => catalog.device_named(name).map(|id| id.0),
        Entity::Operator(_) => catalog.operator_named(name).map(|id| id.0),
    };
    number
        .ok_or_else(|| StoreError::damaged(format!("record {lsn}"), format!("{kind} '{name}' was not taken")))
}

/// The catalog as it was when the rows were written: same numbers, same version.
pub(crate) fn catalog(version: u64, rows: Rows<'_>) -> StoreResult<Catalog> {
    let mut catalog = Catalog::new();
    // In this order every entity finds what it refers to.
    each("zones", rows, &mut |zone| catalog.put(&Entity::Zone(zone)))?;
    each("events", rows, &mut |event| catalog.put(&Entity::Event(event)))?;
    each("gates", rows, &mut |gate| catalog.put(&Entity::Gate(gate)))?;
    each("ticket_types", rows, &mut |kind| catalog.put(&Entity::Type(kind)))?;
    each("devices", rows, &mut |device| catalog.put(&Entity::Device(device)))?;
    each("operators", rows, &mut |operator| catalog.put(&Entity::Operator(operator)))?;
    catalog.version = version;
    Ok(catalog)
}

fn each<T: DeserializeOwned>(table: &'static str, rows: Rows<'_>, put: &mut dyn FnMut(T)) -> StoreResult<()> {
    for (next, (id, entity)) in (0..).zip(rows(table)?) {
        let damaged = |problem: String| StoreError::damaged(format!("row {id} of {table}"), problem);
        if id != next {
            return Err(damaged(format!("row {next} is missing")));
        }
        put(serde_json::from_str(&entity).map_err(|error| damaged(error.to_string()))?);
    }
    Ok(())
}
