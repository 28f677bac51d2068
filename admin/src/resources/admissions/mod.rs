//! What a supervisor decides at a gate: lets somebody in by hand whom the rules refuse, with who and why, and asks what the
//! rules would say. The engine decides; nothing here opens a gate that it did not admit to.

mod checks;
mod place;

use super::names;
use super::scans::{Way, Why};
use super::texts::{self, Code};
use crate::app::App;
use crate::extract::{Json, Who};
use crate::moment::Moment;
use crate::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::catalog::{Catalog, DeviceId, OperatorId};
use engine::decision::Override;
use engine::journal::Lsn;
use engine::record::Command;
use engine::registry::Act;
use engine::{Answered, EngineError, Seen};
use place::{Place, check_people, refused};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Ids of admissions by hand begin so: an id that a device gave to its own scan is never meant by accident.
const ID_PREFIX: &str = "hand-";
/// Longest id of an admission, in bytes; with its prefix it is a scan's id.
const ID_BYTES_MAX: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(admit)).merge(checks::routes())
}

/// Somebody to be let in by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAdmission {
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
    /// The device it is noted for; left out, the gate's first active one.
    #[serde(default)]
    #[schema(example = "KQT300_001")]
    device: Option<String>,
    /// The way; left out, the device's or the gate's own.
    #[serde(default)]
    direction: Option<Way>,
    /// People that pass; left out, one, or all that are inside with the ticket.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    people: Option<u16>,
    /// Why, in words: kept with the scan.
    #[schema(example = "gate was told the wrong event", min_length = 1, max_length = 300)]
    reason: String,
    /// Sent again with the same id at the same device, the answer is the same and nobody else is let in. The access log has it
    /// with `hand-` before it, so that it is never a device's own.
    #[serde(default)]
    #[schema(example = "3f0c-1", min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_.:-]{1,100}$")]
    scan_id: Option<String>,
    /// Is the device told to open once?
    #[serde(default)]
    unlock: bool,
}

/// A guest that was let in.
#[derive(Debug, Serialize, ToSchema)]
struct Admission {
    /// The scan's number in the access log.
    #[schema(example = 120_345)]
    scan: u64,
    /// When.
    at: Moment,
    /// The refusal that was overridden; `null`: the ticket was good.
    overrode: Option<Why>,
    /// The ticket's number; `null` for a code that nobody has: counted as a turn without a ticket.
    ticket: Option<u32>,
    /// The ticket as the seller names it.
    reference: Option<String>,
    /// Entries left; `null` is unlimited, or no ticket.
    left: Option<u16>,
    /// Where.
    #[schema(example = "ENTRANCE_01")]
    gate: String,
    /// The device it was noted for.
    #[schema(example = "KQT300_001")]
    device: String,
    /// The way.
    direction: Way,
    /// People that were let in.
    #[schema(example = 1)]
    people: u16,
    /// Was the device told to open? Once: an answer that is given again opens nothing.
    unlock: bool,
}

fn check_id(id: &str) -> Result<(), Problem> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    if (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_good) {
        return Ok(());
    }
    Err(Problem::invalid("scan_id", format!("1 to {ID_BYTES_MAX} letters, digits and _ . : - are meant")))
}

/// Lets somebody in by hand.
///
/// What the rules would refuse is overridden, and who did it and why is kept with the scan; a good ticket is simply admitted.
/// A code that nobody has is admitted too and counted as a turn without a ticket. Never more entries are used than a ticket has.
/// A ticket of an event that is not near cannot be admitted: its tickets are not in memory.
///
/// Send a `scan_id`: without one, sending it again lets somebody else in.
#[utoipa::path(
    post, path = "/api/v1/admissions", tag = "scans", operation_id = "admitByHand", request_body = NewAdmission,
    responses((status = 201, description = "The guest was let in", body = Admission,
        headers(("Location", description = "The scan in the access log")))),
    extensions(("x-permission" = json!("scans.override")))
)]
async fn admit(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<NewAdmission>,
) -> Result<Response, Problem> {
    texts::check_reason(&new.reason)?;
    check_people(new.people)?;
    new.scan_id.as_deref().map(check_id).transpose()?;
    let operator = by.operator.ok_or_else(|| {
        Problem::new(Kind::NotAllowed, "who lets a guest in is kept with the scan: sign in as a person")
    })?;
    let which = (new.id, new.code.as_ref());
    let place = Place::of(&app, which, (&new.gate, new.device.as_deref()), new.direction).await?;
    let scan_id = new.scan_id.as_ref().map(|id| format!("{ID_PREFIX}{id}"));
    let overriding = Some(Override { operator, note: &new.reason });
    let scan = place.scan(scan_id.as_deref(), new.people, overriding);
    let answered = match app.engine.scan(&scan) {
        Err(EngineError::MaybeCold) => app.engine.scan_cold(&scan, place.far.as_ref()),
        other => other,
    };
    let answered = answered.map_err(refused)?;
    if !answered.answer.verdict.admits() {
        return Err(Problem::new(
            Kind::Conflict,
            "a device used this scan_id for a scan that was refused; take another",
        ));
    }
    app.settle(note(&app, operator, &answered, &new.reason)?).await?;
    let unlock = new.unlock && unlock(&app, operator, place.device, answered.seen).await?;
    Ok(told(&app.engine.catalog(), &place, &answered, unlock))
}

/// An override stands in the access log with who and why; it gets its line in the audit too, once. Gives what to wait for.
fn note(app: &App, operator: OperatorId, answered: &Answered, reason: &str) -> Result<Lsn, Problem> {
    let Some(overrode) = answered.answer.overridden.filter(|_| answered.seen == Seen::New) else {
        return Ok(answered.wait);
    };
    let details = serde_json::json!({
        "reason": reason,
        "overrode": overrode.code(),
        "ticket": answered.answer.ticket.as_ref().map(|facts| facts.ticket.0),
        "gate": names::gate(&app.engine.catalog(), answered.answer.gate),
    });
    let (action, subject) = ("admit_by_hand".to_owned(), answered.lsn.to_string());
    let act = Act { action, subject, details: details.to_string(), entries: Vec::new() };
    Ok(app.engine.act(Some(operator), act)?)
}

/// The device is told once, after the admission is safe. An answer that is given again says what the first one did.
async fn unlock(app: &App, operator: OperatorId, device: DeviceId, seen: Seen) -> Result<bool, Problem> {
    if seen != Seen::New {
        return Ok(true);
    }
    match app.engine.command(Some(operator), device, Command::Unlock, Command::Unlock.lives_ms()) {
        Ok(lsn) => app.safe(lsn).await.map(|()| true),
        // The guest is in, whoever opens: the answer says that the device does not.
        Err(EngineError::CommandsWait) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn told(catalog: &Catalog, place: &Place, answered: &Answered, unlock: bool) -> Response {
    let answer = &answered.answer;
    let facts = answer.ticket.as_ref();
    let admission = Admission {
        scan: answered.lsn.0,
        at: Moment(answer.at),
        overrode: answer.overridden.map(Why::of),
        ticket: facts.map(|facts| facts.ticket.0),
        reference: facts.map(|facts| facts.label.reference().to_owned()),
        left: facts.and_then(|facts| facts.remaining),
        gate: names::gate(catalog, answer.gate).unwrap_or_default(),
        device: names::device(catalog, place.device).unwrap_or_default(),
        direction: Way::of(answer.direction),
        people: answer.people,
        unlock,
    };
    let mut response = (StatusCode::CREATED, axum::Json(admission)).into_response();
    if let Ok(at) = HeaderValue::from_str(&format!("/api/v1/scans/{}", answered.lsn)) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    response
}
