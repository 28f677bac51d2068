//! From a state to rows: fills an empty database with what a node knows, in one transaction. The way back is
//! `bootstrap`. What no state holds (the access log, the audit, passages, tickets that are in a store only) is not made
//! up. Knows which rows a state is in; the modules of the rows know how each is written.

use super::kept_rows::KeptWriter;
use super::{apply, catalog_rows, count_rows, cursor, ticket_rows};
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::retention::Retention;
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{Catalog, Entity};
use engine::counts::Counts;
use engine::scans::KeptScan;
use engine::state::{Conflict, State};
use rusqlite::{Connection, TransactionBehavior, params};
use ticket_rows::Place;

/// Fills the database; nothing of it remains when this fails. Cost: every ticket and kept scan.
pub(super) fn seed(connection: &mut Connection, state: &State) -> StoreResult<()> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).while_doing("begin to seed")?;
    let found = cursor(&transaction)?;
    if found > Lsn(0) {
        return Err(StoreError::NotEmpty { cursor: found });
    }
    let lsn = Lsn(state.lsn);
    write_catalog(&transaction, lsn, &state.catalog)?;
    for (id, ticket) in state.tickets.iter() {
        let event = state.catalog.ticket_type(ticket.type_id).map(|kind| kind.event);
        ticket_rows::put(&transaction, lsn, id, ticket, Place { event, cold: false })?;
    }
    count_rows::write(&transaction, &Counts::default(), &state.counts)?;
    for (device, own) in state.devices.iter().enumerate() {
        count_rows::write_device(&transaction, device, own)?;
    }
    for conflict in &state.conflicts {
        write_conflict(&transaction, conflict)?;
    }
    let from = write_kept(&transaction, state)?;
    let retention = Retention::new(from, state.scans.len() as u64, state.scans.forgotten_early);
    apply::move_cursor(&transaction, state, state.tickets.next_id(), &retention, Lsn(0))?;
    transaction.commit().while_doing("commit what was seeded")
}

/// In the order of their numbers: a type finds its event by number, and so does reading back.
fn write_catalog(connection: &Connection, lsn: Lsn, catalog: &Catalog) -> StoreResult<()> {
    let put = |entity: Entity| catalog_rows::put(connection, lsn, catalog, &entity);
    catalog.zones().try_for_each(|(_, zone)| put(Entity::Zone(zone.clone())))?;
    catalog.events().try_for_each(|(_, event)| put(Entity::Event(event.clone())))?;
    catalog.gates().try_for_each(|(_, gate)| put(Entity::Gate(gate.clone())))?;
    catalog.types().try_for_each(|(_, kind)| put(Entity::Type(kind.clone())))?;
    catalog.devices().try_for_each(|(_, device)| put(Entity::Device(device.clone())))?;
    catalog.operators().try_for_each(|(_, operator)| put(Entity::Operator(operator.clone())))
}

fn write_conflict(connection: &Connection, conflict: &Conflict) -> StoreResult<()> {
    // A state knows that a conflict was resolved, neither when nor by whom.
    let resolved_at = conflict.resolved.then_some(0);
    let ticket = conflict.ticket.map(|ticket| ticket.0);
    connection
        .prepare_cached("INSERT INTO conflicts (lsn, reason, ticket, resolved_at) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![conflict.lsn as i64, conflict.reason.word(), ticket, resolved_at])
        })
        .map(drop)
        .while_doing("write a conflict")
}

/// Gives the LSN that kept scans begin at.
fn write_kept(connection: &Connection, state: &State) -> StoreResult<u64> {
    let mut writer = KeptWriter::new(connection)?;
    let newest_first: Vec<&KeptScan> = state.scans.newest().collect();
    let from = newest_first.last().map_or(state.lsn + 1, |oldest| oldest.lsn);
    for kept in newest_first.into_iter().rev() {
        writer.keep(kept)?;
    }
    writer.flush()?;
    Ok(from)
}
