//! From rows back to state: the shadow a batch moves on, and the whole state of a node. Knows how rows are put
//! together; the modules of the rows know how each is read. To be called within one snapshot.

use super::connect::Link;
use super::values::{Moment, get, number};
use super::{catalog_rows, count_rows, kept_rows, registry_rows, ticket_rows};
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::retention::Retention;
use crate::shadow::Shadow;
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::limits::CONFLICTS_MAX;
use engine::state::{Conflict, State};
use engine::ticket::TicketId;
use std::collections::VecDeque;
use std::sync::Arc;

/// Tickets read at once: some 2 MiB.
const TICKETS_PER_PAGE: i64 = 10_000;

/// Everything read until [`end`] is of one cursor.
pub(super) async fn begin(session: &ClientWrapper) -> StoreResult<()> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session.batch_execute(begin).await.while_doing("begin to read")
}

/// Lets the snapshot go.
pub(super) async fn end(session: &ClientWrapper) -> StoreResult<()> {
    session.batch_execute("COMMIT").await.while_doing("end reading")
}

/// The shadow at the cursor. Cost: the catalog and the counts.
pub(super) async fn shadow(session: &ClientWrapper) -> StoreResult<Shadow> {
    let sql = "SELECT cursor, salt, catalog_version, next_ticket, kept_from, kept, forgotten_early FROM meta";
    let meta = session.query_one(sql, &[]).await.while_doing("read the state")?;
    let column = |column| get::<i64>(&meta, column).map(|number| number as u64);
    let salt = get::<&[u8]>(&meta, 1)?.try_into().map_err(|error| StoreError::damaged("the salt", error))?;
    let state = State {
        lsn: column(0)?,
        salt,
        catalog: Arc::new(catalog_rows::read(session, column(2)?).await?),
        counts: count_rows::read(session).await?,
        devices: count_rows::read_devices(session).await?,
        ..State::new()
    };
    Ok(Shadow {
        state,
        next_ticket: TicketId(number(get::<i64>(&meta, 3)?)?),
        retention: Retention::new(column(4)?, column(5)?, column(6)?),
        recent: VecDeque::new(),
    })
}

/// The state at the cursor. Cost: every hot ticket and kept scan, read in pages.
pub(super) async fn state(link: &Link, session: &ClientWrapper) -> StoreResult<State> {
    let head = async {
        begin(session).await?;
        let shadow = shadow(session).await?;
        Ok((shadow, conflicts(session).await?))
    };
    let (Shadow { mut state, next_ticket, retention, .. }, conflicts) =
        link.page("read the state", head).await?;
    state.conflicts = conflicts;
    state.tickets.reserve_ids(next_ticket);
    state.registry = registry_rows::read(link, session).await?;
    read_tickets(link, session, &mut state).await?;
    state.scans.forgotten_early = retention.forgotten_early;
    kept_rows::each_kept(link, session, retention.from, &mut |scan| state.scans.append(scan)).await?;
    link.page("end reading", end(session)).await?;
    Ok(state)
}

async fn read_tickets(link: &Link, session: &ClientWrapper, state: &mut State) -> StoreResult<()> {
    let sql = format!(
        "SELECT {} FROM {} WHERE NOT cold AND id > $1 AND ticket > $1 ORDER BY id LIMIT $2",
        ticket_rows::COLUMNS,
        ticket_rows::TABLES
    );
    let statement = session.prepare_cached(&sql).await.while_doing("prepare to read tickets")?;
    let mut after = -1_i64;
    loop {
        let page = link.page("read tickets", async {
            session.query(&statement, &[&after, &TICKETS_PER_PAGE]).await.while_doing("read tickets")
        });
        let rows = page.await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = get(last, 0)?;
        for row in &rows {
            let (id, ticket) = ticket_rows::read(row)?;
            state.tickets.put(id, ticket);
        }
    }
}

/// The newest conflicts, as many as the engine keeps, oldest first.
async fn conflicts(session: &ClientWrapper) -> StoreResult<VecDeque<Conflict>> {
    let sql = "SELECT lsn, reason, ticket, resolved_at FROM conflicts ORDER BY lsn DESC LIMIT $1";
    let rows = session.query(sql, &[&(CONFLICTS_MAX as i64)]).await.while_doing("read conflicts")?;
    let mut conflicts = VecDeque::with_capacity(rows.len());
    for row in &rows {
        conflicts.push_front(Conflict {
            lsn: get::<i64>(row, 0)? as u64,
            reason: Word::read(get(row, 1)?)?,
            ticket: get::<Option<i64>>(row, 2)?.map(number).transpose()?.map(TicketId),
            resolved: get::<Option<Moment>>(row, 3)?.is_some(),
        });
    }
    Ok(conflicts)
}
