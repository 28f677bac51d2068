//! From rows back to state: the shadow a batch moves on, and the whole state of a node. Knows how rows are put
//! together; the modules of the rows know how each is read.

use super::{catalog_rows, count_rows, kept_rows, registry_rows, ticket_rows};
use crate::error::{StoreResult, WhileDoing};
use crate::retention::Retention;
use crate::shadow::Shadow;
use crate::words::Word;
use engine::limits::CONFLICTS_MAX;
use engine::state::{Conflict, State};
use engine::ticket::TicketId;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::Arc;

/// The shadow at the cursor. Cost: the catalog and the counts.
pub(super) fn shadow(connection: &Connection) -> StoreResult<Shadow> {
    // One transaction, so that all of it is of one cursor.
    let reading = connection.unchecked_transaction().while_doing("begin to read the state")?;
    read_shadow(&reading)
}

/// The state at the cursor. Cost: every hot ticket and kept scan.
pub(super) fn state(connection: &Connection) -> StoreResult<State> {
    let reading = connection.unchecked_transaction().while_doing("begin to read the state")?;
    let Shadow { mut state, next_ticket, retention, .. } = read_shadow(&reading)?;
    state.conflicts = read_conflicts(&reading)?;
    state.registry = registry_rows::read(&reading)?;
    state.tickets.reserve_ids(next_ticket);
    read_tickets(&reading, &mut state)?;
    state.scans.forgotten_early = retention.forgotten_early;
    kept_rows::each_kept(&reading, retention.from, &mut |scan| state.scans.append(scan))?;
    Ok(state)
}

fn read_shadow(connection: &Connection) -> StoreResult<Shadow> {
    let sql = "SELECT cursor, salt, catalog_version, next_ticket, kept_from, kept, forgotten_early FROM meta";
    let (lsn, salt, version, next_ticket, retention) = connection
        .query_row(sql, [], |row| {
            let number = |column| row.get::<_, i64>(column).map(|number| number as u64);
            let retention = Retention::new(number(4)?, number(5)?, number(6)?);
            Ok((number(0)?, row.get(1)?, number(2)?, TicketId(row.get(3)?), retention))
        })
        .while_doing("read the state")?;
    let state = State {
        lsn,
        salt,
        catalog: Arc::new(catalog_rows::read(connection, version)?),
        counts: count_rows::read(connection)?,
        devices: count_rows::read_devices(connection)?,
        ..State::new()
    };
    Ok(Shadow { state, next_ticket, retention, recent: VecDeque::new() })
}

fn read_tickets(connection: &Connection, state: &mut State) -> StoreResult<()> {
    let sql =
        format!("SELECT {} FROM {} WHERE cold = 0 ORDER BY id", ticket_rows::COLUMNS, ticket_rows::TABLES);
    let mut statement = connection.prepare(&sql).while_doing("read tickets")?;
    let mut rows = statement.query([]).while_doing("read tickets")?;
    while let Some(row) = rows.next().while_doing("read tickets")? {
        let (id, ticket) = ticket_rows::read(row)?;
        state.tickets.put(id, ticket);
    }
    Ok(())
}

/// The newest conflicts, as many as the engine keeps, oldest first.
fn read_conflicts(connection: &Connection) -> StoreResult<VecDeque<Conflict>> {
    let mut conflicts = VecDeque::new();
    let mut statement = connection
        .prepare("SELECT lsn, reason, ticket, resolved_at FROM conflicts ORDER BY lsn DESC LIMIT ?1")
        .while_doing("read conflicts")?;
    let mut rows = statement.query([CONFLICTS_MAX as i64]).while_doing("read conflicts")?;
    while let Some(row) = rows.next().while_doing("read conflicts")? {
        let read = || -> rusqlite::Result<(i64, String, Option<u32>, Option<i64>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (lsn, reason, ticket, resolved_at) = read().while_doing("read a conflict")?;
        conflicts.push_front(Conflict {
            lsn: lsn as u64,
            reason: Word::read(&reason)?,
            ticket: ticket.map(TicketId),
            resolved: resolved_at.is_some(),
        });
    }
    Ok(conflicts)
}
