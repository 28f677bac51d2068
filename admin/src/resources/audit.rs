//! The audit: who changed what and when, before and after. It grows with the journal and nobody changes it.

use super::names;
use crate::app::App;
use crate::extract::Params;
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::Lsn;
use engine::catalog::Catalog;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::{AuditFilter, AuditRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which lines of the audit.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// Only what this operator did, by e-mail address.
    operator: Option<String>,
    /// Only this, such as `put_gate` or `gate_emergency_open`.
    action: Option<String>,
    /// Only what was done to this, by name or number.
    subject: Option<String>,
    /// Only at this moment or later.
    #[param(inline)]
    since: Option<Moment>,
    /// Only before this moment.
    #[param(inline)]
    until: Option<Moment>,
}

/// Something that was done.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct AuditLine {
    /// Where it stands in the journal.
    #[schema(example = 4711)]
    lsn: u64,
    /// When.
    at: Moment,
    /// Who; `null`: the program itself, or its own command on this machine.
    #[schema(example = "anna@example.org")]
    operator: Option<String>,
    /// What was done.
    #[schema(example = "put_gate")]
    action: String,
    /// To what, by name or number.
    #[schema(example = "ENTRANCE_01")]
    subject: String,
    /// As it was, without secrets; `null`: it was not there, or it is not that kind of change.
    #[schema(value_type = Value, example = json!({"mode": "open"}))]
    before: Value,
    /// As it was afterwards, without secrets.
    #[schema(value_type = Value, example = json!({"mode": "emergency_open"}))]
    after: Value,
    /// The rest: a reason, a note, a number.
    #[schema(value_type = Value, example = json!({"reason": "fire alarm"}))]
    details: Value,
}

impl AuditLine {
    fn of(catalog: &Catalog, row: AuditRow) -> AuditLine {
        let (before, after, details) = parts(&row.details);
        AuditLine {
            lsn: row.lsn.0,
            at: Moment(row.at),
            operator: names::operator(catalog, row.operator),
            action: row.action,
            subject: row.subject,
            before,
            after,
            details,
        }
    }
}

/// What was, what is, and the rest.
fn parts(details: &str) -> (Value, Value, Value) {
    match serde_json::from_str(details) {
        Ok(Value::Object(mut all)) => {
            let mut taken = |name: &str| all.remove(name).unwrap_or_default();
            let (before, after) = (taken("before"), taken("after"));
            (before, after, Value::Object(all))
        }
        Ok(other) => (Value::Null, Value::Null, other),
        Err(_) => (Value::Null, Value::Null, Value::Object(Map::new())),
    }
}

/// Lists who did what, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "oversight", operation_id = "listAudit", params(AuditParams),
    responses((status = 200, description = "A page of the audit", body = Page<AuditLine>)),
    extensions(("x-permission" = json!("audit.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<AuditParams>,
) -> Result<Response, Problem> {
    let page = PageParams { limit: params.limit, after: params.after };
    let (limit, before) = (page.limit()?, page.after::<u64>()?.map(Lsn));
    let catalog = app.engine.catalog();
    let operator = params.operator.map(|name| catalog.operator_named(&name));
    // Not every store can be asked for control characters, and no action and no subject has any.
    let words = [&params.action, &params.subject];
    let unheard_of = words.into_iter().flatten().any(|word| word.chars().any(char::is_control));
    if operator == Some(None) || unheard_of {
        return Ok(Page::of(Vec::<AuditLine>::new(), limit, |line| line.lsn).answer(&uri));
    }
    let filter = AuditFilter {
        operator: operator.flatten(),
        action: params.action,
        subject: params.subject,
        since: params.since.map(|at| at.0),
        until: params.until.map(|at| at.0),
    };
    let rows = app.ask(move |store| store.audit(&filter, before, limit + 1)).await?;
    let items = rows.into_iter().map(|row| AuditLine::of(&catalog, row)).collect();
    Ok(Page::of(items, limit, |line: &AuditLine| line.lsn).answer(&uri))
}
