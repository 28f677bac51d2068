//! Finds a ticket by its number or one of its codes: in the engine where it is in memory, for that is the newest, else in
//! the store. Changes nothing.

use crate::app::App;
use crate::problem::Problem;
use crate::resources::texts::Code;
use engine::journal::Lsn;
use engine::ticket::{CodeKind, Ticket, TicketId};
use std::sync::Arc;

/// Which ticket is meant.
#[derive(Clone, Debug)]
pub(in crate::resources) enum Which {
    /// That of a number.
    Id(u32),
    /// That of a code.
    Code(CodeKind, Vec<u8>),
}

/// A ticket that was found.
#[derive(Clone, Debug)]
pub(in crate::resources) struct Found {
    /// Its number.
    pub id: TicketId,
    /// As it is.
    pub ticket: Ticket,
    /// The store's cursor, where it is in the store only.
    pub as_of: Option<Lsn>,
}

impl Which {
    /// Exactly one of the three that a body has.
    ///
    /// # Errors
    /// None of them or several, a code that is none.
    pub fn of(id: Option<u32>, code: Option<&Code>) -> Result<Which, Problem> {
        match (id, code) {
            (Some(id), None) => Ok(Which::Id(id)),
            (None, Some(code)) => code.bytes("code.code").map(|(kind, bytes)| Which::Code(kind, bytes)),
            _ => Err(Problem::invalid("id", "say which ticket: id or code, and not both")),
        }
    }

    /// The ticket. No I/O for one in memory.
    ///
    /// # Errors
    /// There is none, the store is away.
    pub async fn find(&self, app: &Arc<App>) -> Result<Found, Problem> {
        let name = match self {
            Which::Id(id) => id.to_string(),
            Which::Code(kind, code) => Code::shown(*kind, code).code,
        };
        self.look(app).await?.ok_or_else(|| Problem::not_found("ticket", &name))
    }

    /// The ticket, if there is one.
    ///
    /// # Errors
    /// The store is away.
    pub async fn look(&self, app: &Arc<App>) -> Result<Option<Found>, Problem> {
        match self {
            Which::Id(id) => by_id(app, TicketId(*id)).await,
            Which::Code(kind, code) => by_code(app, *kind, code.clone()).await,
        }
    }
}

async fn by_id(app: &Arc<App>, id: TicketId) -> Result<Option<Found>, Problem> {
    let (hot, next) =
        app.engine.with_state(|state| (state.tickets.get(id).cloned(), state.tickets.next_id()));
    if let Some(ticket) = hot {
        return Ok(Some(Found { id, ticket, as_of: None }));
    }
    if id >= next {
        return Ok(None);
    }
    app.ask(move |store| {
        // The cursor first: what is read after it is as new or newer.
        let as_of = Some(store.cursor()?);
        Ok(store.ticket(id)?.map(|(id, ticket)| Found { id, ticket, as_of }))
    })
    .await
}

async fn by_code(app: &Arc<App>, kind: CodeKind, code: Vec<u8>) -> Result<Option<Found>, Problem> {
    if let Some((id, ticket)) = app.engine.ticket(kind, &code) {
        return Ok(Some(Found { id, ticket, as_of: None }));
    }
    if !app.engine.cold_filter().maybe(kind, &code) {
        return Ok(None);
    }
    app.ask(move |store| {
        let as_of = Some(store.cursor()?);
        Ok(store.find_code(kind, &code)?.map(|(id, ticket)| Found { id, ticket, as_of }))
    })
    .await
}
