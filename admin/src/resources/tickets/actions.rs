//! What is done with one ticket: blocked, unblocked, activated, cancelled, reissued, given to somebody else, uses given back.
//! Each takes a reason, leaves before and after in the audit, and changes nothing where it is so already.

use super::amend::{self, Done};
use super::find::Which;
use super::shape::Shown;
use super::wish::Wish;
use crate::access::{Permission, Principal};
use crate::app::App;
use crate::extract::{Json, Path, Who};
use crate::problem::{Kind, Problem};
use crate::resources::texts::{self, Code};
use axum::extract::State;
use engine::limits::{TEXT_BYTES_MAX, TICKET_CODES_MAX};
use engine::ticket::CodeKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Letters and digits of a code that is made here: 32 of them have 160 bits.
const NEW_CODE_CHARS: usize = 32;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(block))
        .routes(routes!(unblock))
        .routes(routes!(activate))
        .routes(routes!(cancel))
        .routes(routes!(reissue))
        .routes(routes!(change_holder))
        .routes(routes!(give_back))
        .routes(routes!(act))
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TicketReason)]
struct Because {
    /// Why, in words, for the audit.
    #[schema(example = "reported stolen", min_length = 1, max_length = 300)]
    reason: String,
}

/// A ticket that another takes the place of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reissue {
    /// Why, in words, for the audit.
    #[schema(example = "paper got wet", min_length = 1, max_length = 300)]
    reason: String,
    /// Codes of the new ticket; left out, one is made.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 8)]
    codes: Option<Vec<Code>>,
}

/// Who has the ticket from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeHolder {
    /// Why, in words, for the audit.
    #[schema(example = "given to a friend", min_length = 1, max_length = 300)]
    reason: String,
    /// The new holder; empty: nobody is named.
    #[schema(example = "Jane Doe", max_length = 255)]
    holder: String,
    /// The new order; left out, it stays.
    #[serde(default)]
    #[schema(max_length = 255)]
    order: Option<String>,
    /// The new seat; left out, it stays.
    #[serde(default)]
    #[schema(max_length = 255)]
    seat: Option<String>,
}

/// Uses that are given back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiveBack {
    /// Why, in words, for the audit.
    #[schema(example = "sent home by mistake", min_length = 1, max_length = 300)]
    reason: String,
    /// How many; never more than were used.
    #[schema(minimum = 0, maximum = 65535, example = 1)]
    uses: u16,
    /// Are so many people outside again? With 0 uses: all of them.
    #[serde(default)]
    presence: bool,
}

/// What to do with a ticket.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TicketActionWord)]
enum Word {
    /// Stop it for now.
    Block,
    /// Let it go on.
    Unblock,
    /// It is good from now on.
    Activate,
    /// It is never good again.
    Cancel,
    /// Another ticket takes its place; one code is made for it.
    Reissue,
}

/// An action on the ticket of a number or code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TicketAction)]
struct Action {
    /// The ticket's number; or else its code.
    #[serde(default)]
    #[schema(maximum = 4294967295_u32)]
    id: Option<u32>,
    /// One of its codes; or else its number.
    #[serde(default)]
    code: Option<Code>,
    /// What to do.
    action: Word,
    /// Why, in words, for the audit.
    #[schema(example = "reported stolen", min_length = 1, max_length = 300)]
    reason: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketActionDone)]
pub(super) struct Outcome {
    /// Was anything changed? `false`: it was so already, and the audit has nothing new.
    changed: bool,
    /// The ticket as it is now; of a reissue the new one.
    #[schema(inline = false)]
    ticket: Shown,
    /// Of a reissue, the ticket whose place was taken.
    replaced: Option<Shown>,
}

impl Outcome {
    fn of(app: &App, by: &Principal, done: Done) -> Outcome {
        let catalog = app.engine.catalog();
        let personal = by.may(Permission::TicketsPersonal);
        let shown = |(id, ticket): &(_, _)| Shown::of(&catalog, *id, ticket, personal);
        Outcome {
            changed: done.changed,
            ticket: shown(&done.ticket),
            replaced: done.replaced.as_ref().map(shown),
        }
    }
}

async fn done(
    app: &Arc<App>,
    by: &Principal,
    which: &Which,
    wish: &Wish,
    reason: &str,
) -> Result<axum::Json<Outcome>, Problem> {
    texts::check_reason(reason)?;
    let done = amend::carry_out(app, by, which, wish, reason).await?;
    Ok(axum::Json(Outcome::of(app, by, done)))
}

/// Codes that people gave, or one that is made.
///
/// # Errors
/// None, too many, or one that is no code.
pub(super) fn codes_or_new(codes: Option<&[Code]>) -> Result<Vec<(CodeKind, Vec<u8>)>, Problem> {
    let Some(codes) = codes else {
        let key = secrets::new_key().map_err(|error| Problem::new(Kind::Unavailable, error))?;
        let code = key.get(..NEW_CODE_CHARS).unwrap_or(&key).to_ascii_uppercase();
        return Ok(vec![(CodeKind::Optical, code.into_bytes())]);
    };
    if codes.is_empty() || codes.len() > TICKET_CODES_MAX {
        return Err(Problem::invalid("codes", format!("1 to {TICKET_CODES_MAX} codes are meant")));
    }
    codes.iter().enumerate().map(|(n, code)| code.bytes(&format!("codes[{n}].code"))).collect()
}

/// Blocks a ticket: it admits nobody until it is unblocked.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/block", tag = "tickets", operation_id = "blockTicket",
    request_body = Because, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket, blocked", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn block(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(because): Json<Because>,
) -> Result<axum::Json<Outcome>, Problem> {
    done(&app, &by, &Which::Id(id), &Wish::Block, &because.reason).await
}

/// Unblocks a ticket.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/unblock", tag = "tickets", operation_id = "unblockTicket",
    request_body = Because, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket, good again", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn unblock(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(because): Json<Because>,
) -> Result<axum::Json<Outcome>, Problem> {
    done(&app, &by, &Which::Id(id), &Wish::Unblock, &because.reason).await
}

/// Activates a ticket that was sold and not yet good.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/activate", tag = "tickets", operation_id = "activateTicket",
    request_body = Because, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket, good from now on", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn activate(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(because): Json<Because>,
) -> Result<axum::Json<Outcome>, Problem> {
    done(&app, &by, &Which::Id(id), &Wish::Activate, &because.reason).await
}

/// Cancels a ticket for good.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/cancel", tag = "tickets", operation_id = "cancelTicket",
    request_body = Because, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket, cancelled", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(because): Json<Because>,
) -> Result<axum::Json<Outcome>, Problem> {
    done(&app, &by, &Which::Id(id), &Wish::Cancel, &because.reason).await
}

/// Reissues a ticket: a new one with new codes takes its place, with holder, order, seat and validity, and with what was used.
///
/// Both together admit no more than the old one would have: who is inside with the old one is inside with the new one. A blocked
/// ticket gets a good one, for that is what it was blocked for; one that is not activated gets one that is not activated. To let a
/// guest enter once more, give uses back.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/reissue", tag = "tickets", operation_id = "reissueTicket",
    request_body = Reissue, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The new ticket and the one it replaces", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn reissue(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(reissue): Json<Reissue>,
) -> Result<axum::Json<Outcome>, Problem> {
    let codes = codes_or_new(reissue.codes.as_deref())?;
    done(&app, &by, &Which::Id(id), &Wish::Reissue(codes), &reissue.reason).await
}

/// Gives a ticket to somebody else. Its codes stay; reissue it where the old holder could still have them.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/change-holder", tag = "tickets", operation_id = "changeTicketHolder",
    request_body = ChangeHolder, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket with its new holder", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn change_holder(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(change): Json<ChangeHolder>,
) -> Result<axum::Json<Outcome>, Problem> {
    let ChangeHolder { reason, holder, order, seat } = change;
    texts::check("holder", &holder, TEXT_BYTES_MAX)?;
    texts::check("order", order.as_deref().unwrap_or_default(), TEXT_BYTES_MAX)?;
    texts::check("seat", seat.as_deref().unwrap_or_default(), TEXT_BYTES_MAX)?;
    done(&app, &by, &Which::Id(id), &Wish::ChangeHolder { holder, order, seat }, &reason).await
}

/// Gives uses of a ticket back, never more than were used. Entries that were counted stay counted: they happened.
#[utoipa::path(
    post, path = "/api/v1/tickets/{id}/give-back", tag = "tickets", operation_id = "giveBackTicketUses",
    request_body = GiveBack, params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number")),
    responses((status = 200, description = "The ticket with its uses", body = Outcome)),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn give_back(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<u32>,
    Json(back): Json<GiveBack>,
) -> Result<axum::Json<Outcome>, Problem> {
    if back.uses == 0 && !back.presence {
        return Err(Problem::invalid("uses", "nothing would be given back: 1 or more uses, or the presence"));
    }
    let wish = Wish::GiveBack { uses: back.uses, leaves: back.presence };
    done(&app, &by, &Which::Id(id), &wish, &back.reason).await
}

/// Does something with the ticket of a number or of a code.
#[utoipa::path(
    post, path = "/api/v1/tickets/actions", tag = "tickets", operation_id = "actOnTicket", request_body = Action,
    responses((status = 200, description = "The ticket as it is now", body = Outcome),
        (status = 404, description = "There is no such ticket", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")),
    extensions(("x-permission" = json!("tickets.write")))
)]
async fn act(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(action): Json<Action>,
) -> Result<axum::Json<Outcome>, Problem> {
    let which = Which::of(action.id, action.code.as_ref())?;
    let wish = match action.action {
        Word::Block => Wish::Block,
        Word::Unblock => Wish::Unblock,
        Word::Activate => Wish::Activate,
        Word::Cancel => Wish::Cancel,
        Word::Reissue => Wish::Reissue(codes_or_new(None)?),
    };
    done(&app, &by, &which, &wish, &action.reason).await
}
