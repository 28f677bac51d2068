//! What a supervisor decides at a gate: lets somebody in by hand whom the rules refuse, with who and why, and asks what the
//! rules would say. The engine decides; nothing here opens a gate that it did not admit to.

use super::scans::{self, Way, Why};
use super::texts::{self, Code};
use super::tickets::Which;
use crate::app::App;
use crate::extract::{Json, Who};
use crate::moment::Moment;
use crate::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::catalog::{Catalog, Device, DeviceId, DeviceStatus, Direction, GateId, OperatorId};
use engine::decision::{Answer, Override, Scan, ScanKind, Verdict};
use engine::journal::Lsn;
use engine::record::Command;
use engine::registry::Act;
use engine::ticket::{CodeKind, Ticket, TicketId};
use engine::{Answered, EngineError, Seen};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Ids of admissions by hand begin so: an id that a device gave to its own scan is never meant by accident.
const ID_PREFIX: &str = "hand-";
/// An unlock that the device does not fetch within this time is dropped, as one by its own port.
const UNLOCK_LIVES_MS: i64 = 10_000;
/// Longest id of an admission, in bytes; with its prefix it is a scan's id.
const ID_BYTES_MAX: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(admit)).routes(routes!(check))
}

/// Somebody to be let in by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAdmission {
    /// The ticket's number; or else a code.
    #[serde(default)]
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
    #[schema(example = "gate was told the wrong event", min_length = 1, max_length = 500)]
    reason: String,
    /// Sent again with the same id at the same device, the answer is the same and nobody else is let in.
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

/// A question: would the guest be let in?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCheck {
    /// The ticket's number; or else a code.
    #[serde(default)]
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

/// Where something is decided, and about which code.
struct Place {
    gate: GateId,
    device: DeviceId,
    direction: Option<Direction>,
    code_kind: CodeKind,
    code: Vec<u8>,
    /// The ticket, where it is in the store only.
    far: Option<(TicketId, Ticket)>,
}

impl Place {
    async fn of(
        app: &Arc<App>,
        (id, code): (Option<u32>, Option<&Code>),
        (gate, device): (&str, Option<&str>),
        direction: Option<Way>,
    ) -> Result<Place, Problem> {
        let which = Which::of(id, code)?;
        let catalog = app.engine.catalog();
        let gate =
            catalog.gate_named(gate).ok_or_else(|| Problem::invalid("gate", "there is no such gate"))?;
        let (device, own) = device_at(&catalog, gate, device)?;
        let direction = direction.map(Way::own).or(own.direction);
        let found = which.look(app).await?;
        let (code_kind, code) = match (&which, &found) {
            (Which::Code(kind, code), _) => (*kind, code.clone()),
            (Which::Id(id), None) => return Err(Problem::invalid("id", format!("there is no ticket {id}"))),
            (Which::Id(_), Some(found)) => {
                let (kind, code) = found.ticket.details.codes().next().ok_or_else(|| {
                    Problem::new(Kind::Conflict, "the ticket has no code, so nothing can be decided about it")
                })?;
                (kind, code.to_vec())
            }
        };
        let far = found.filter(|found| found.as_of.is_some()).map(|found| (found.id, found.ticket));
        Ok(Place { gate, device, direction, code_kind, code, far })
    }

    fn scan<'s>(
        &'s self,
        scan_id: Option<&'s str>,
        people: Option<u16>,
        by: Option<Override<'s>>,
    ) -> Scan<'s> {
        Scan {
            device: self.device,
            gate: self.gate,
            code_kind: self.code_kind,
            code: &self.code,
            scan_id,
            scanned_at: None,
            direction: self.direction,
            people,
            kind: ScanKind::Validate,
            overriding: by,
            shown: None,
        }
    }
}

/// The named device, or the first active one of a gate.
fn device_at<'c>(
    catalog: &'c Catalog,
    gate: GateId,
    name: Option<&str>,
) -> Result<(DeviceId, &'c Device), Problem> {
    let Some(name) = name else {
        let mut devices = catalog.devices();
        return devices
            .find(|(_, own)| own.gate == Some(gate) && own.status == DeviceStatus::Active)
            .ok_or_else(|| {
                Problem::new(
                    Kind::Conflict,
                    "no active device stands at this gate; name one that may serve it",
                )
            });
    };
    let unknown = || Problem::invalid("device", "there is no such device");
    let id = catalog.device_named(name).ok_or_else(unknown)?;
    let own = catalog.device(id).ok_or_else(unknown)?;
    if own.gate.is_some_and(|own| own != gate) {
        return Err(Problem::invalid("device", "it stands at another gate"));
    }
    if own.status != DeviceStatus::Active {
        return Err(Problem::new(Kind::Conflict, "the device is not active"));
    }
    Ok((id, own))
}

fn check_people(people: Option<u16>) -> Result<(), Problem> {
    match people {
        Some(0) => Err(Problem::invalid("people", "1 or more are meant")),
        Some(people) if people > engine::limits::GROUP_PEOPLE_MAX => {
            let most = engine::limits::GROUP_PEOPLE_MAX;
            Err(Problem::invalid("people", format!("{most} is the most")))
        }
        _ => Ok(()),
    }
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
        "gate": scans::gate_name(&app.engine.catalog(), answered.answer.gate),
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
    match app.engine.command(Some(operator), device, Command::Unlock, UNLOCK_LIVES_MS) {
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
        gate: scans::gate_name(catalog, answer.gate).unwrap_or_default(),
        device: catalog.device(place.device).map(|device| device.name.clone()).unwrap_or_default(),
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

fn refused(error: EngineError) -> Problem {
    match error {
        EngineError::Warming => Problem::new(
            Kind::Conflict,
            "the ticket's event is not near, so its tickets are not in memory and none of them can be admitted",
        ),
        error => error.into(),
    }
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
