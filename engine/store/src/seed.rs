//! From a state to rows: fills an empty database with what a node knows, within one transaction of the caller's. The way
//! back is `bootstrap`. What no state holds (the access log, the audit, passages, tickets that are in a store only) is not
//! made up. Knows which rows a state is in; the databases behind [`Tables`] know how each is written.

use crate::error::{StoreError, StoreResult};
use crate::retention::Retention;
use crate::tables::{Conflict, Place, Position, Tables};
use engine::Lsn;
use engine::catalog::Entity;
use engine::clock::Time;
use engine::counts::Counts;
use engine::scans::KeptScan;
use engine::state::State;

/// Tickets or scans after which what was gathered is written: whole rows of kept answers, and some MiB.
const PORTION: usize = 8_192;

/// Writes every row of a state, and the cursor. To be called on an empty database only. Cost: every ticket and kept scan.
pub(crate) fn write(tables: &mut impl Tables, state: &State) -> StoreResult<()> {
    let lsn = Lsn(state.lsn);
    write_catalog(tables, state)?;
    for (n, (id, ticket)) in state.tickets.iter().enumerate() {
        let event = state.catalog.ticket_type(ticket.type_id).map(|kind| kind.event);
        tables.put_ticket(lsn, id, ticket, Place { event, cold: false })?;
        flush_after(tables, n)?;
    }
    for own in &state.conflicts {
        // A state knows that a conflict was resolved, neither when nor by whom.
        let resolved_at = own.resolved.then_some(Time(0));
        let (lsn, reason, ticket) = (Lsn(own.lsn), own.reason, own.ticket);
        tables.conflict(&Conflict { lsn, reason, ticket, resolved_at })?;
    }
    for (n, (kind, name, value)) in state.registry.iter().enumerate() {
        tables.registry(lsn, kind, name, Some(value))?;
        flush_after(tables, n)?;
    }
    let from = write_kept(tables, state)?;
    tables.flush()?;
    tables.counts(&Counts::default(), &state.counts)?;
    for (device, own) in state.devices.iter().enumerate() {
        tables.device(device, own)?;
    }
    let retention = Retention::new(from, state.scans.len() as u64, state.scans.forgotten_early);
    let position = Position { state, next_ticket: state.tickets.next_id(), retention: &retention };
    if tables.move_cursor(Lsn(0), &position)? {
        Ok(())
    } else {
        Err(StoreError::NotAlone { expected: Lsn(0) })
    }
}

fn flush_after(tables: &mut impl Tables, n: usize) -> StoreResult<()> {
    if n % PORTION == PORTION - 1 { tables.flush() } else { Ok(()) }
}

/// In the order of their numbers: a type finds its event by number, and so does reading back.
fn write_catalog(tables: &mut impl Tables, state: &State) -> StoreResult<()> {
    let (lsn, catalog) = (Lsn(state.lsn), &*state.catalog);
    let mut put = |entity: Entity| tables.put_entity(lsn, catalog, &entity);
    catalog.zones().try_for_each(|(_, zone)| put(Entity::Zone(zone.clone())))?;
    catalog.events().try_for_each(|(_, event)| put(Entity::Event(event.clone())))?;
    catalog.gates().try_for_each(|(_, gate)| put(Entity::Gate(gate.clone())))?;
    catalog.types().try_for_each(|(_, kind)| put(Entity::Type(kind.clone())))?;
    catalog.devices().try_for_each(|(_, device)| put(Entity::Device(device.clone())))?;
    catalog.operators().try_for_each(|(_, operator)| put(Entity::Operator(operator.clone())))
}

/// Gives the LSN that kept scans begin at.
fn write_kept(tables: &mut impl Tables, state: &State) -> StoreResult<u64> {
    let newest_first: Vec<&KeptScan> = state.scans.newest().collect();
    let from = newest_first.last().map_or(state.lsn + 1, |oldest| oldest.lsn);
    for (n, kept) in newest_first.into_iter().rev().enumerate() {
        tables.keep(kept)?;
        flush_after(tables, n)?;
    }
    Ok(from)
}
