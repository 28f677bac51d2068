//! One ticket: shown, with who has it for those who may see it and then noted in the audit, and made.

use super::find::Which;
use super::shape::{Fields, Shown};
use super::{actions, amend, note_look};
use crate::access::Permission;
use crate::app::App;
use crate::etag;
use crate::extract::{Json, Params, Path, Who};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::resources::texts::{self, Code};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::Time;
use engine::limits::TEXT_BYTES_MAX;
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(create))
}

/// Which fields.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct FieldParams {
    /// Only these fields, separated by commas.
    #[param(example = "id,status,uses")]
    fields: Option<String>,
}

/// A ticket to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTicket {
    /// Its ticket type, one of the event's.
    #[serde(rename = "type")]
    #[schema(example = "VIP", min_length = 1, max_length = 128)]
    kind: String,
    /// As the seller and people name it; left out, its first code's text.
    #[serde(default)]
    #[schema(example = "A-1001", max_length = 255)]
    reference: Option<String>,
    /// Its codes; left out, one is made.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 8)]
    codes: Option<Vec<Code>>,
    /// Who has it.
    #[serde(default)]
    #[schema(example = "John Doe", max_length = 255)]
    holder: String,
    /// The order it is sold with.
    #[serde(default)]
    #[schema(max_length = 255)]
    order: String,
    /// The seat.
    #[serde(default)]
    #[schema(max_length = 255)]
    seat: String,
    /// `active`, `not_activated` or `blocked`; left out: active.
    #[serde(default)]
    status: Option<Begins>,
    /// For tests and drills: real answers, never counted.
    #[serde(default)]
    specimen: bool,
    /// No entry before it; left out, the type and the event say.
    #[serde(default)]
    valid_from: Option<Moment>,
    /// No entry after it; left out, the type and the event say.
    #[serde(default)]
    valid_until: Option<Moment>,
}

/// How a ticket begins.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NewTicketStatus)]
enum Begins {
    /// Good.
    Active,
    /// Sold, but not paid or not yet activated.
    NotActivated,
    /// Stopped for now.
    Blocked,
}

/// Shows a ticket.
///
/// Holder, order and seat are `null` and `redacted` is true without `tickets.personal`; whoever sees them is noted in the audit.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}", tag = "tickets", operation_id = "getTicket",
    params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number"), FieldParams),
    responses((status = 200, description = "The ticket", body = Shown, headers(("ETag", description = "Its version"))),
        (status = 422, description = "There is no such field", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    Who(by): Who,
    headers: HeaderMap,
    Path(id): Path<u32>,
    Params(params): Params<FieldParams>,
) -> Result<Response, Problem> {
    let fields = Fields::read(params.fields.as_deref())?;
    let found = Which::Id(id).find(&app).await?;
    let personal = by.may(Permission::TicketsPersonal);
    let shown = Shown::of(&app.engine.catalog(), found.id, &found.ticket, personal);
    let response = etag::shown(&headers, &shown.only(&fields));
    let own = &found.ticket.details;
    let says_who = [own.holder(), own.order(), own.seat()].iter().any(|text| !text.is_empty());
    // A version that is known was looked at before.
    if personal && says_who && fields.are_personal() && response.status() == StatusCode::OK {
        let about = serde_json::json!({"reference": own.reference()});
        note_look(&app, &by, found.id.0.to_string(), about).await?;
    }
    Ok(response)
}

/// Makes a ticket for an event.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/tickets", tag = "tickets", operation_id = "createTicket",
    request_body = NewTicket, params(("event" = String, Path, description = "The event's name")),
    responses((status = 201, description = "The ticket", body = Shown,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(event): Path<String>,
    Json(new): Json<NewTicket>,
) -> Result<Response, Problem> {
    let ticket = ticket(&app, &event, &new)?;
    let id = amend::add(&app, &by, ticket.clone()).await?;
    let shown = Shown::of(&app.engine.catalog(), id, &ticket, by.may(Permission::TicketsPersonal));
    Ok(etag::made(&format!("/api/v1/tickets/{}", id.0), &shown))
}

fn ticket(app: &App, event: &str, new: &NewTicket) -> Result<Ticket, Problem> {
    let catalog = app.engine.catalog();
    let event = catalog.event_named(event).ok_or_else(|| Problem::not_found("event", event))?;
    let type_id = catalog
        .type_named(event, &new.kind)
        .ok_or_else(|| Problem::invalid("type", format!("this event has {}", catalog.type_names(event))))?;
    let texts = [("holder", &new.holder), ("order", &new.order), ("seat", &new.seat)];
    for (field, text) in texts {
        texts::check(field, text, TEXT_BYTES_MAX)?;
    }
    let codes = actions::codes_or_new(new.codes.as_deref())?;
    let codes: Vec<(CodeKind, &[u8])> = codes.iter().map(|(kind, code)| (*kind, code.as_slice())).collect();
    let first = codes.first().map(|(kind, code)| Code::shown(*kind, code).code).unwrap_or_default();
    let is_reference = first.len() <= TEXT_BYTES_MAX && !first.chars().any(char::is_control);
    let reference = new.reference.clone().unwrap_or(if is_reference { first } else { String::new() });
    texts::check("reference", &reference, TEXT_BYTES_MAX)?;
    let valid_from = new.valid_from.map_or(Time::MIN, |at| at.0);
    let valid_until = new.valid_until.map_or(Time::MAX, |at| at.0);
    if valid_from > valid_until {
        return Err(Problem::invalid("valid_until", "it ends before it begins"));
    }
    Ok(Ticket {
        type_id,
        status: match new.status {
            None | Some(Begins::Active) => TicketStatus::Active,
            Some(Begins::NotActivated) => TicketStatus::NotActivated,
            Some(Begins::Blocked) => TicketStatus::Blocked,
        },
        specimen: new.specimen,
        usage: TicketUse::default(),
        valid_from,
        valid_until,
        status_at: app.engine.now(),
        details: Details::new(&reference, &new.holder, &new.order, &new.seat, &codes),
    })
}
