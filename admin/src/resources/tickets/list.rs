//! Tickets page by page: by event, type, status and the like, by a code, or found by words. Rows come from the store; what the
//! engine has in memory is newer and is shown instead.

use super::find::{Found, Which};
use super::note_look;
use super::shape::{Fields, Shown, Status};
use crate::access::{Permission, Principal};
use crate::app::App;
use crate::extract::{Params, Who};
use crate::page::{self, Page};
use crate::problem::{Kind, Problem};
use crate::resources::scans::type_of;
use crate::resources::texts::{self, Code, Medium};
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::catalog::Catalog;
use engine::limits::TEXT_BYTES_MAX;
use engine::ticket::{Ticket, TicketId};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use store::{TicketFilter, TicketPage};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Tickets that are looked at in memory under one lock: some 10 µs.
const TICKETS_PER_TURN: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which tickets, and which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TicketParams {
    /// How many items at most. A page may have fewer, even none, and be followed by others.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// Of this event.
    event: Option<String>,
    /// Of this ticket type; takes `event`, for a type is its event's.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// With this status.
    #[param(inline)]
    status: Option<Status>,
    /// Of exactly this order. Takes `tickets.personal`.
    order: Option<String>,
    /// Somebody entered with it, or nobody yet.
    used: Option<bool>,
    /// For tests and drills, or not.
    specimen: Option<bool>,
    /// The beginnings of words of holder, reference and order, or of a code. Takes `tickets.personal`, and is noted in the audit.
    #[param(example = "doe jo", min_length = 1, max_length = 255)]
    q: Option<String>,
    /// The ticket that has exactly this code.
    #[param(min_length = 1, max_length = 255)]
    code: Option<String>,
    /// The ticket that has the card of this number, in hexadecimal.
    #[param(min_length = 2, max_length = 20, pattern = "^([0-9A-Fa-f]{2}){1,10}$")]
    card: Option<String>,
    /// Only these fields, separated by commas.
    #[param(example = "id,status,uses")]
    fields: Option<String>,
}

/// Where the rows come from.
enum Source {
    Words(String),
    Code(Which),
    Filter,
}

impl TicketParams {
    fn filter(&self, catalog: &Catalog) -> Result<TicketFilter, Problem> {
        let unknown = || Problem::invalid("event", "there is no such event");
        let event =
            self.event.as_deref().map(|name| catalog.event_named(name).ok_or_else(unknown)).transpose()?;
        if let Some(order) = &self.order {
            texts::check("order", order, TEXT_BYTES_MAX)?;
        }
        Ok(TicketFilter {
            event,
            type_id: type_of(catalog, event, self.type_name.as_deref())?,
            status: self.status.map(Status::own),
            order: self.order.clone(),
            used: self.used,
            specimen: self.specimen,
        })
    }

    fn source(&self) -> Result<Source, Problem> {
        match (&self.q, &self.code, &self.card) {
            (None, None, None) => Ok(Source::Filter),
            (Some(q), None, None) => {
                texts::check("q", q, TEXT_BYTES_MAX)?;
                if q.trim().is_empty() {
                    return Err(Problem::invalid("q", "the beginning of a word or of a code is meant"));
                }
                Ok(Source::Words(q.clone()))
            }
            (None, Some(code), None) => Source::code("code", Medium::Optical, code),
            (None, None, Some(card)) => Source::code("card", Medium::Card, card),
            _ => Err(Problem::invalid("q", "one of q, code and card is meant")),
        }
    }
}

impl Source {
    fn code(field: &str, kind: Medium, code: &str) -> Result<Source, Problem> {
        let code = Code { kind, code: code.to_owned() };
        let (kind, bytes) = code.bytes(field)?;
        Ok(Source::Code(Which::Code(kind, bytes)))
    }
}

/// Lists or searches tickets, in the order of their numbers.
///
/// Holder, order and seat are `null` and `redacted` is true without `tickets.personal`.
#[utoipa::path(
    get, path = "/api/v1/tickets", tag = "tickets", operation_id = "listTickets", params(TicketParams),
    responses((status = 200, description = "A page of tickets", body = Page<Shown>),
        (status = 422, description = "A filter names nothing, or two contradict each other",
            body = crate::problem::ProblemBody, content_type = "application/problem+json")),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    Who(by): Who,
    uri: OriginalUri,
    Params(params): Params<TicketParams>,
) -> Result<Response, Problem> {
    let (limit, after) = (page::limit(params.limit)?, page::place::<u32>(params.after.as_deref())?);
    let fields = Fields::read(params.fields.as_deref())?;
    let catalog = app.engine.catalog();
    let (filter, source) = (params.filter(&catalog)?, params.source()?);
    let by_whom = params.order.is_some() || matches!(source, Source::Words(_));
    if by_whom && !by.may(Permission::TicketsPersonal) {
        let why = "looking for tickets by who has them takes the permission tickets.personal; a code finds its ticket too";
        return Err(Problem::new(Kind::NotAllowed, why));
    }
    let found = rows(&app, &by, source, filter.clone(), after.map(TicketId), limit).await?;
    let (personal, next) = (by.may(Permission::TicketsPersonal), found.next.map(|id| page::cursor(&id.0)));
    let newest = newest(&app, found.tickets);
    let fitting = newest.iter().filter(|(_, ticket)| fits(&catalog, &filter, ticket));
    let items: Vec<Value> =
        fitting.map(|(id, ticket)| Shown::of(&catalog, *id, ticket, personal).only(&fields)).collect();
    Ok(Page { items, next }.answer(&uri))
}

async fn rows(
    app: &Arc<App>,
    by: &Principal,
    source: Source,
    filter: TicketFilter,
    after: Option<TicketId>,
    limit: usize,
) -> Result<TicketPage, Problem> {
    match source {
        Source::Filter => app.ask(move |store| store.tickets(&filter, after, limit)).await,
        Source::Code(which) => {
            let found = which.look(app).await?.filter(|found| after.is_none_or(|after| found.id > after));
            let tickets = found.map(|Found { id, ticket, .. }| (id, ticket)).into_iter().collect();
            Ok(TicketPage { tickets, next: None })
        }
        Source::Words(q) => {
            let about = serde_json::json!({"q": q});
            let search =
                move |store: &dyn store::Queries| store.search_tickets(&q, filter.event, after, limit);
            let page = app.ask(search).await?;
            note_look(app, by, "search".to_owned(), about).await?;
            Ok(page)
        }
    }
}

/// The tickets as they are in memory, where they are.
fn newest(app: &App, mut tickets: Vec<(TicketId, Ticket)>) -> Vec<(TicketId, Ticket)> {
    for turn in tickets.chunks_mut(TICKETS_PER_TURN) {
        app.engine.with_state(|state| {
            for (id, ticket) in turn {
                if let Some(own) = state.tickets.get(*id) {
                    *ticket = own.clone();
                }
            }
        });
    }
    tickets
}

/// Does a ticket fit, as it is now?
fn fits(catalog: &Catalog, filter: &TicketFilter, ticket: &Ticket) -> bool {
    let event = catalog.ticket_type(ticket.type_id).map(|kind| kind.event);
    filter.event.is_none_or(|wanted| event == Some(wanted))
        && filter.type_id.is_none_or(|wanted| ticket.type_id == wanted)
        && filter.status.is_none_or(|wanted| ticket.status == wanted)
        && filter.order.as_ref().is_none_or(|wanted| ticket.details.order() == wanted)
        && filter.used.is_none_or(|wanted| (ticket.usage.used > 0) == wanted)
        && filter.specimen.is_none_or(|wanted| ticket.specimen == wanted)
}
