//! Ticket types of an event: how often, where and when their tickets open.

use super::catalog::{self, NamedParams, Seen, Thing, choice, segment};
use crate::app::App;
use crate::etag::IfMatch;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::moment::Moment;
use crate::page::Page;
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::Time;
use engine::catalog::{AntiPassback, Catalog, Entity, EventId, GateId, Reentry, TicketType as Own};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

/// A ticket type: how often, where and when its tickets open.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TicketType {
    /// Identity within its event; never changes.
    #[schema(
        example = "VIP",
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    name: String,
    /// Entries for each person; `null` is unlimited. Without re-entry it is 1.
    #[serde(default = "once")]
    #[schema(example = 1, minimum = 1, maximum = 65_535, default = 1)]
    entries: Option<u16>,
    /// Entries for each person and day at the venue; `null` is unlimited.
    #[serde(default)]
    #[schema(example = json!(null), minimum = 1, maximum = 65_535)]
    entries_per_day: Option<u16>,
    /// When a ticket that was inside may enter again.
    #[serde(default = "never")]
    #[schema(schema_with = reentries)]
    reentry: Reentry,
    /// What happens when a ticket enters that is inside already.
    #[serde(default = "refuse")]
    #[schema(schema_with = passbacks)]
    anti_passback: AntiPassback,
    /// People one ticket admits, at once or in parts.
    #[serde(default = "alone")]
    #[schema(example = 1, minimum = 1, maximum = 1_000, default = 1)]
    people: u16,
    /// Names of the gates it enters by; none: every gate of the event.
    #[serde(default)]
    #[schema(example = json!(["ENTRANCE_01"]), max_items = 20_000)]
    gates: Vec<String>,
    /// No entry before it; `null` leaves it to the event.
    #[serde(default)]
    #[schema(example = json!(null))]
    valid_from: Option<Moment>,
    /// No entry after it; `null` leaves it to the event.
    #[serde(default)]
    #[schema(example = json!(null))]
    valid_until: Option<Moment>,
}

fn once() -> Option<u16> {
    Some(1)
}

fn never() -> Reentry {
    Reentry::None
}

fn refuse() -> AntiPassback {
    AntiPassback::Hard
}

fn alone() -> u16 {
    1
}

fn reentries() -> Schema {
    let all = [Reentry::None, Reentry::AfterExit, Reentry::Free];
    choice(
        &all,
        "When a ticket may enter again: `none`: never; `after_exit`: once its guest has left through an exit; `free`: at any time.",
        Some(&all[0]),
    )
}

fn passbacks() -> Schema {
    let words = "`hard` refuses, `soft` admits with attention.";
    let minutes = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .maximum(Some(u32::MAX));
    let timed = ObjectBuilder::new()
        .property("timed", minutes)
        .required("timed")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some(
            "Refuses for so many minutes after the last entry, then takes the guest to have left unseen.",
        ));
    OneOfBuilder::new()
        .item(choice(&[AntiPassback::Hard, AntiPassback::Soft], words, None))
        .item(timed)
        .description(Some("What happens when a ticket enters that is inside already."))
        .default(Some(serde_json::json!("hard")))
        .into()
}

impl Thing for TicketType {
    type Own = Own;
    type Scope = EventId;
    const WHAT: &'static str = "ticket type";

    fn at(catalog: &Catalog, event: EventId) -> String {
        let event = catalog.event(event).map(|event| segment(&event.name)).unwrap_or_default();
        format!("/api/v1/events/{event}/ticket-types")
    }

    fn name_of(own: &Own) -> &str {
        &own.name
    }

    fn all(catalog: &Catalog, event: EventId) -> impl Iterator<Item = &Own> {
        catalog.types().map(|(_, kind)| kind).filter(move |kind| kind.event == event)
    }

    fn find<'c>(catalog: &'c Catalog, event: EventId, name: &str) -> Option<&'c Own> {
        catalog.ticket_type(catalog.type_named(event, name)?)
    }

    fn shown(catalog: &Catalog, own: &Own) -> TicketType {
        let gates = own.gates.iter().filter_map(|id| catalog.gate(*id)).map(|gate| gate.name.clone());
        TicketType {
            name: own.name.clone(),
            entries: own.entries,
            entries_per_day: own.entries_per_day,
            reentry: own.reentry,
            anti_passback: own.anti_passback,
            people: own.people,
            gates: gates.collect(),
            valid_from: Some(own.valid_from).filter(|at| *at != Time::MIN).map(Moment),
            valid_until: Some(own.valid_until).filter(|at| *at != Time::MAX).map(Moment),
        }
    }

    fn own(&self, seen: &Seen<'_, TicketType>, mistakes: &mut Mistakes) -> Option<Own> {
        let named = |(n, name): (usize, &String)| {
            mistakes.known(&format!("gates[{n}]"), "gate", name, seen.catalog.gate_named(name))
        };
        let gates: Option<Vec<GateId>> = self.gates.iter().enumerate().map(named).collect();
        Some(Own {
            name: self.name.clone(),
            event: seen.scope,
            entries: self.entries,
            entries_per_day: self.entries_per_day,
            reentry: self.reentry,
            anti_passback: self.anti_passback,
            people: self.people,
            gates: gates?,
            valid_from: self.valid_from.map_or(Time::MIN, |at| at.0),
            valid_until: self.valid_until.map_or(Time::MAX, |at| at.0),
        })
    }

    fn entity(own: Own) -> Entity {
        Entity::Type(own)
    }
}

fn event(app: &App, name: &str) -> Result<EventId, Problem> {
    app.engine.catalog().event_named(name).ok_or_else(|| Problem::not_found("event", name))
}

/// Lists the ticket types of an event by name.
#[utoipa::path(
    get, path = "/api/v1/events/{event}/ticket-types", tag = "venue", operation_id = "listTicketTypes",
    params(("event" = String, Path, description = "The event's name"), NamedParams),
    responses((status = 200, description = "A page of ticket types", body = Page<TicketType>)),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Path(of): Path<String>,
    Params(params): Params<NamedParams>,
) -> Result<Response, Problem> {
    catalog::list::<TicketType>(&app, &uri, event(&app, &of)?, params, |_| true)
}

/// Makes a ticket type.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/ticket-types", tag = "venue", operation_id = "createTicketType",
    params(("event" = String, Path, description = "The event's name")), request_body = TicketType,
    responses((status = 201, description = "The ticket type", body = TicketType,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(of): Path<String>,
    Json(new): Json<TicketType>,
) -> Result<Response, Problem> {
    catalog::create(&app, by.operator, event(&app, &of)?, &new).await
}

/// Shows a ticket type.
#[utoipa::path(
    get, path = "/api/v1/events/{event}/ticket-types/{type}", tag = "venue", operation_id = "getTicketType",
    params(("event" = String, Path, description = "The event's name"),
        ("type" = String, Path, description = "The ticket type's name")),
    responses((status = 200, description = "The ticket type", body = TicketType,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.read")))
)]
async fn get(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((of, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    catalog::get::<TicketType>(&app, &headers, event(&app, &of)?, &name)
}

/// Replaces what a ticket type is set to.
///
/// Tickets that were sold follow at once: their next scan is decided by it.
#[utoipa::path(
    put, path = "/api/v1/events/{event}/ticket-types/{type}", tag = "venue", operation_id = "replaceTicketType",
    request_body = TicketType,
    params(("event" = String, Path, description = "The event's name"),
        ("type" = String, Path, description = "The ticket type's name"),
        ("If-Match" = String, Header, description = "The ETag of what you have read, or *")),
    responses((status = 200, description = "The ticket type as it is now", body = TicketType,
        headers(("ETag", description = "Its version")))),
    extensions(("x-permission" = json!("venue.write")))
)]
async fn replace(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path((of, name)): Path<(String, String)>,
    if_match: IfMatch,
    Json(new): Json<TicketType>,
) -> Result<Response, Problem> {
    catalog::replace(&app, by.operator, &if_match, (event(&app, &of)?, &name), &new).await
}
