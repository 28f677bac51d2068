//! Asks what the rules would say. Nothing changes and nothing is counted.

use super::place::{Place, check_people, refused};
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::resources::scans::{Way, Why};
use crate::resources::texts::Code;
use axum::extract::State;
use engine::EngineError;
use engine::decision::{Answer, Verdict};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(check))
}

/// A question: would the guest be let in?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCheck {
    /// The ticket's number; or else a code.
    #[serde(default)]
    #[schema(maximum = 4294967295_u32)]
    id: Option<u32>,
    /// What the guest shows; or else the ticket's number.
    #[serde(default)]
    code: Option<Code>,
    /// Where.
    #[schema(example = "ENTRANCE_01", min_length = 1, max_length = 128)]
    gate: String,
    /// By which device; left out, the gate's first active one.
    #[serde(default)]
    device: Option<String>,
    /// The way; left out, the device's or the gate's own.
    #[serde(default)]
    direction: Option<Way>,
    /// People that want to pass; left out, as many as the ticket has left.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    people: Option<u16>,
}

/// The decision that would be made.
#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// Would the guest be let in?
    admits: bool,
    /// Why not; `null` for an admission.
    reason: Option<Why>,
    /// What staff would be told to look at.
    attention: Option<Why>,
    /// The way.
    direction: Way,
    /// People that would be let in.
    people: u16,
    /// The ticket's number; `null`: nobody has the code.
    ticket: Option<u32>,
    /// Entries left afterwards; `null` is unlimited, or no ticket.
    left: Option<u16>,
}

/// Asks what would be decided. Nothing changes and nothing is counted.
#[utoipa::path(
    post, path = "/api/v1/checks", tag = "scans", operation_id = "checkTicket", request_body = NewCheck,
    responses((status = 200, description = "The decision that would be made", body = Check)),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn check(State(app): State<Arc<App>>, Json(new): Json<NewCheck>) -> Result<axum::Json<Check>, Problem> {
    check_people(new.people)?;
    let which = (new.id, new.code.as_ref());
    let place = Place::of(&app, which, (&new.gate, new.device.as_deref()), new.direction).await?;
    let scan = place.scan(None, new.people, None);
    let answered = match app.engine.check(&scan) {
        Err(EngineError::MaybeCold) => app.engine.check_cold(&scan, place.far.as_ref()),
        other => other,
    };
    let answered = answered.map_err(refused)?;
    app.safe(answered.wait).await?;
    Ok(axum::Json(Check::of(&answered.answer)))
}

impl Check {
    fn of(answer: &Answer) -> Check {
        let facts = answer.ticket.as_ref();
        let attention = match answer.verdict {
            Verdict::Admit { attention } => attention,
            Verdict::Deny(_) => None,
        };
        Check {
            admits: answer.verdict.admits(),
            reason: answer.verdict.denial().map(Why::of),
            attention: attention.map(Why::of),
            direction: Way::of(answer.direction),
            people: answer.people,
            ticket: facts.map(|facts| facts.ticket.0),
            left: facts.and_then(|facts| facts.remaining),
        }
    }
}
