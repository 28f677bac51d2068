//! The whole story of a ticket: every scan with what became of it, and every change with who and why, newest first. Read from
//! the store, from the access log and the audit side by side.

use super::find::Which;
use super::shape::PERSONAL;
use crate::access::{Permission, Principal};
use crate::app::App;
use crate::extract::{Params, Path, Who};
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use crate::resources::names;
use crate::resources::scans::Scan;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::catalog::Catalog;
use engine::journal::Lsn;
use engine::ticket::TicketId;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use store::{AuditFilter, AuditRow, ScanFilter};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(story))
}

/// Something that happened to a ticket.
#[derive(Debug, Serialize, ToSchema)]
struct Happening {
    /// Its number: where it stands in the journal.
    #[schema(example = 120_345)]
    lsn: u64,
    /// When. Of a scan that was made offline, when it was made.
    at: Moment,
    /// A scan, with its passage and repeats; `null` for a change.
    scan: Option<Scan>,
    /// A change; `null` for a scan.
    change: Option<Change>,
}

/// What somebody did with a ticket, or with one of its scans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketChange)]
struct Change {
    /// What was done, such as `block_ticket`, or `annul` for a scan.
    #[schema(example = "block_ticket")]
    action: String,
    /// Who did it; `null`: the program itself.
    operator: Option<String>,
    /// Why, and how it was before and after. Holder, order and seat are left out without `tickets.personal`.
    details: Value,
}

impl Happening {
    fn scan(scan: Scan) -> Happening {
        Happening { lsn: scan.lsn, at: scan.at, scan: Some(scan), change: None }
    }

    fn change(catalog: &Catalog, row: &AuditRow, personal: bool) -> Happening {
        let mut details = serde_json::from_str(&row.details).unwrap_or(Value::Null);
        if !personal {
            redact(&mut details);
        }
        let operator = names::operator(catalog, row.operator);
        let change = Change { action: row.action.clone(), operator, details };
        Happening { lsn: row.lsn.0, at: Moment(row.at), scan: None, change: Some(change) }
    }
}

/// Takes out who has a ticket, wherever it stands.
fn redact(details: &mut Value) {
    let Value::Object(fields) = details else { return };
    fields.retain(|name, _| !PERSONAL.contains(&name.as_str()));
    fields.values_mut().for_each(redact);
}

/// Tells the whole story of a ticket, newest first.
///
/// Scans come with what became of them and with how often they were repeated; annulments by people stand beside them, and so do
/// the changes of the ticket with who, why, before and after, and who looked at whose it is.
#[utoipa::path(
    get, path = "/api/v1/tickets/{id}/story", tag = "tickets", operation_id = "getTicketStory",
    params(("id" = u32, Path, maximum = 4294967295_u32, description = "The ticket's number"), PageParams),
    responses((status = 200, description = "A page of what happened", body = Page<Happening>)),
    extensions(("x-permission" = json!("tickets.read")))
)]
async fn story(
    State(app): State<Arc<App>>,
    Who(by): Who,
    uri: OriginalUri,
    Path(id): Path<u32>,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, before) = (page.limit()?, page.after::<u64>()?);
    let found = Which::Id(id).find(&app).await?;
    let told = tell(&app, &by, found.id, before.map(Lsn), limit).await?;
    Ok(Page::of(told, limit, |happening: &Happening| happening.lsn).answer(&uri))
}

/// Up to one more than `limit`, so that it is seen whether there are more.
async fn tell(
    app: &Arc<App>,
    by: &Principal,
    ticket: TicketId,
    before: Option<Lsn>,
    limit: usize,
) -> Result<Vec<Happening>, Problem> {
    let (scans, changes) = app
        .ask(move |store| {
            let of_ticket = ScanFilter { ticket: Some(ticket), ..ScanFilter::default() };
            let scans = store.scans(&of_ticket, before, limit + 1)?;
            let subject = Some(ticket.0.to_string());
            let of_ticket = AuditFilter { subject, ..AuditFilter::default() };
            Ok((scans, store.audit(&of_ticket, before, limit + 1)?))
        })
        .await?;
    let (catalog, personal) = (app.engine.catalog(), by.may(Permission::TicketsPersonal));
    let scans = scans.iter().map(|row| Happening::scan(Scan::of(&catalog, row, by)));
    let changes = changes.iter().map(|row| Happening::change(&catalog, row, personal));
    let mut told: Vec<Happening> = scans.chain(changes).collect();
    told.sort_by_key(|happening| std::cmp::Reverse(happening.lsn));
    told.truncate(limit + 1);
    Ok(told)
}
