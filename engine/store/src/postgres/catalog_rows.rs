//! Rows of the catalog: one per entity, whole as JSON and some columns for questions. Knows how an entity is written
//! and read; knows no rule.

use super::values::{Json, Moment, Text, get, number};
use crate::apply::json;
use crate::entities;
use crate::error::{StoreResult, WhileDoing};
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::catalog::{Catalog, Entity};
use std::collections::HashMap;
use tokio_postgres::types::ToSql;

const TABLES: [&str; 6] = ["events", "zones", "gates", "ticket_types", "devices", "operators"];

const PUT_EVENT: &str = "INSERT INTO events VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET \
     (lsn, title, doors_open_at, starts_at, ends_at, cold, entity) = (excluded.lsn, excluded.title, \
     excluded.doors_open_at, excluded.starts_at, excluded.ends_at, excluded.cold, excluded.entity)";
const PUT_ZONE: &str = "INSERT INTO zones VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
     (lsn, capacity, entity) = (excluded.lsn, excluded.capacity, excluded.entity)";
const PUT_GATE: &str = "INSERT INTO gates VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
     (lsn, event, entity) = (excluded.lsn, excluded.event, excluded.entity)";
const PUT_TYPE: &str = "INSERT INTO ticket_types VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
     (lsn, entity) = (excluded.lsn, excluded.entity)";
const PUT_DEVICE: &str = "INSERT INTO devices VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET \
     (lsn, gate, number, status, entity) = (excluded.lsn, excluded.gate, excluded.number, excluded.status, \
     excluded.entity)";
const PUT_OPERATOR: &str = "INSERT INTO operators VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
     (lsn, role, entity) = (excluded.lsn, excluded.role, excluded.entity)";

/// Writes an entity that the catalog has taken. Its name never changes: that is what it is known by.
pub(super) async fn put(
    session: &ClientWrapper,
    lsn: Lsn,
    catalog: &Catalog,
    entity: &Entity,
) -> StoreResult<()> {
    let id = i64::from(entities::number_of(lsn, catalog, entity)?);
    let (_, name) = entity.kind_and_name();
    let (lsn, name) = (lsn.0 as i64, Text::of(name));
    match entity {
        Entity::Event(event) => {
            let title = Text::of(&event.title);
            let (doors, starts) = (Moment(event.doors_open_at), Moment(event.starts_at));
            let (ends, entity) = (Moment(event.ends_at), Json(json(event).into()));
            let row: [&(dyn ToSql + Sync); 9] =
                [&id, &lsn, &name, &title, &doors, &starts, &ends, &event.cold, &entity];
            upsert(session, PUT_EVENT, &row).await
        }
        Entity::Zone(zone) => {
            let (capacity, entity) = (zone.capacity.map(i64::from), Json(json(zone).into()));
            upsert(session, PUT_ZONE, &[&id, &lsn, &name, &capacity, &entity]).await
        }
        Entity::Gate(gate) => {
            let (event, entity) = (gate.event.map(|event| i64::from(event.0)), Json(json(gate).into()));
            upsert(session, PUT_GATE, &[&id, &lsn, &name, &event, &entity]).await
        }
        Entity::Type(kind) => {
            let (event, entity) = (i64::from(kind.event.0), Json(json(kind).into()));
            upsert(session, PUT_TYPE, &[&id, &lsn, &event, &name, &entity]).await
        }
        Entity::Device(device) => {
            let gate = device.gate.map(|gate| i64::from(gate.0));
            let own = device.number.as_deref().map(Text::of);
            let (status, entity) = (device.status.word(), Json(json(device).into()));
            upsert(session, PUT_DEVICE, &[&id, &lsn, &name, &gate, &own, &status, &entity]).await
        }
        Entity::Operator(operator) => {
            let (role, entity) = (operator.role.word(), Json(json(operator).into()));
            upsert(session, PUT_OPERATOR, &[&id, &lsn, &name, &role, &entity]).await
        }
    }
}

async fn upsert(session: &ClientWrapper, sql: &'static str, row: &[&(dyn ToSql + Sync)]) -> StoreResult<()> {
    let statement = session.prepare_cached(sql).await.while_doing("prepare to write the catalog")?;
    session.execute(&statement, row).await.map(drop).while_doing("write a row of the catalog")
}

/// The catalog as it was when the rows were written: same numbers, same version.
pub(super) async fn read(session: &ClientWrapper, version: u64) -> StoreResult<Catalog> {
    let mut all = HashMap::new();
    for table in TABLES {
        let sql = format!("SELECT id, entity FROM {table} ORDER BY id");
        let statement = session.prepare_cached(&sql).await.while_doing("prepare to read the catalog")?;
        let rows = session.query(&statement, &[]).await.while_doing("read the catalog")?;
        let rows: StoreResult<Vec<(u32, String)>> = rows
            .iter()
            .map(|row| Ok((number(get::<i64>(row, 0)?)?, get::<Json<'_>>(row, 1)?.0.into_owned())))
            .collect();
        all.insert(table, rows?);
    }
    entities::catalog(version, &mut |table| Ok(all.remove(table).unwrap_or_default()))
}
