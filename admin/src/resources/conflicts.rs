//! Conflicts: guests that a device without a connection let in against the rules. People look into them; nothing is undone.

use super::names;
use crate::app::App;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::moment::Moment;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::Json as Answer;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use engine::Lsn;
use engine::catalog::Catalog;
use engine::registry::Act;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use store::{ConflictRow, Queries, ScanFilter, ScanRow, StoreError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(resolve))
}

/// Which conflicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConflictState {
    /// Nobody has looked into them.
    #[default]
    Open,
    /// Somebody has.
    Resolved,
    /// All.
    All,
}

/// Which conflicts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ConflictParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// Which; left out: the open ones.
    #[param(inline)]
    state: Option<ConflictState>,
}

/// A guest that was shown green without a connection where the rules say red.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Conflict {
    /// Its number: the scan's.
    #[schema(example = 4711)]
    lsn: u64,
    /// What would have been refused.
    #[schema(example = "already_used")]
    reason: &'static str,
    /// The ticket's number, where its code is known.
    #[schema(example = 17)]
    ticket: Option<u32>,
    /// The scan; `null`: the access log no longer has it.
    scan: Option<ConflictScan>,
    /// When somebody looked into it.
    resolved_at: Option<Moment>,
    /// Who did.
    #[schema(example = "anna@example.org")]
    resolved_by: Option<String>,
}

/// The scan of a conflict.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ConflictScan {
    /// When it was made.
    at: Moment,
    /// When it was uploaded.
    recorded_at: Moment,
    /// The device's id of it.
    #[schema(example = "gh-4711")]
    scan_id: String,
    /// Who asked.
    #[schema(example = "KQT300_001")]
    device: Option<String>,
    /// Where.
    #[schema(example = "ENTRANCE_01")]
    gate: Option<String>,
    /// The ticket's event, or the gate's.
    #[schema(example = "cup-final")]
    event: Option<String>,
    /// The ticket's type.
    #[schema(example = "VIP")]
    ticket_type: Option<String>,
    /// People that were let in.
    #[schema(example = 1)]
    people: u16,
}

/// What was found out about a conflict.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Finding {
    /// For the audit, in words.
    #[schema(
        example = "the guest had changed gates",
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    note: String,
}

/// A conflict that somebody has looked into.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ResolvedConflict {
    /// Its number.
    #[schema(example = 4711)]
    lsn: u64,
    /// It is, now.
    #[schema(example = true)]
    resolved: bool,
}

impl Conflict {
    fn of(catalog: &Catalog, row: &ConflictRow, scan: Option<ScanRow>) -> Conflict {
        Conflict {
            lsn: row.lsn.0,
            reason: row.reason.code(),
            ticket: row.ticket.map(|id| id.0),
            scan: scan.map(|scan| ConflictScan::of(catalog, &scan)),
            resolved_at: row.resolved_at.map(Moment),
            resolved_by: names::operator(catalog, row.resolved_by),
        }
    }
}

impl ConflictScan {
    fn of(catalog: &Catalog, row: &ScanRow) -> ConflictScan {
        ConflictScan {
            at: Moment(row.decided_at),
            recorded_at: Moment(row.recorded_at),
            scan_id: row.scan_id(),
            device: names::device(catalog, row.device),
            gate: names::gate(catalog, row.gate),
            event: names::event(catalog, row.event),
            ticket_type: names::ticket_type(catalog, row.type_id),
            people: row.people,
        }
    }
}

fn with_scans(
    store: &dyn Queries,
    rows: Vec<ConflictRow>,
) -> Result<Vec<(ConflictRow, Option<ScanRow>)>, StoreError> {
    let with_scan = |row: ConflictRow| {
        // The newest up to there: one look into the index.
        let newest = store.scans(&ScanFilter::default(), Some(Lsn(row.lsn.0 + 1)), 1)?.pop();
        let scan = newest.filter(|scan| scan.lsn == row.lsn);
        Ok((row, scan))
    };
    rows.into_iter().map(with_scan).collect()
}

/// Lists conflicts, oldest first.
#[utoipa::path(
    get, path = "/api/v1/conflicts", tag = "oversight", operation_id = "listConflicts", params(ConflictParams),
    responses((status = 200, description = "A page of conflicts", body = Page<Conflict>)),
    extensions(("x-permission" = json!("conflicts.write")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<ConflictParams>,
) -> Result<Response, Problem> {
    let page = PageParams { limit: params.limit, after: params.after };
    let (limit, after) = (page.limit()?, page.after::<u64>()?.map(Lsn));
    let resolved = match params.state.unwrap_or_default() {
        ConflictState::Open => Some(false),
        ConflictState::Resolved => Some(true),
        ConflictState::All => None,
    };
    let ask = move |store: &dyn Queries| with_scans(store, store.conflicts(after, resolved, limit + 1)?);
    let rows = app.ask(ask).await?;
    let catalog = app.engine.catalog();
    let items = rows.into_iter().map(|(row, scan)| Conflict::of(&catalog, &row, scan)).collect();
    Ok(Page::of(items, limit, |item: &Conflict| item.lsn).answer(&uri))
}

/// Is there such a conflict, and has somebody looked into it? The engine knows the newest, the store all.
async fn is_resolved(app: &Arc<App>, lsn: u64) -> Result<bool, Problem> {
    let known = app.engine.with_state(|state| {
        let at = state.conflicts.binary_search_by_key(&lsn, |own| own.lsn).ok()?;
        state.conflicts.get(at).map(|own| own.resolved)
    });
    if let Some(resolved) = known {
        return Ok(resolved);
    }
    let before = lsn.checked_sub(1).map(Lsn);
    let row = app.ask(move |store| Ok(store.conflicts(before, None, 1)?.pop())).await?;
    let row = row.filter(|row| row.lsn.0 == lsn);
    row.map(|row| row.resolved_at.is_some()).ok_or_else(|| Problem::not_found("conflict", &lsn.to_string()))
}

/// Notes that somebody has looked into a conflict.
///
/// Doing it again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/conflicts/{lsn}/resolve", tag = "oversight", operation_id = "resolveConflict",
    request_body = Finding, params(("lsn" = u64, Path, description = "The conflict's number")),
    responses((status = 200, description = "It is resolved", body = ResolvedConflict)),
    extensions(("x-permission" = json!("conflicts.write")))
)]
async fn resolve(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(lsn): Path<u64>,
    Json(finding): Json<Finding>,
) -> Result<Answer<ResolvedConflict>, Problem> {
    let mut mistakes = Mistakes::default();
    mistakes.reason("note", &finding.note);
    mistakes.told()?;
    if !is_resolved(&app, lsn).await? {
        let act = Act {
            action: "conflict_finding".to_owned(),
            subject: lsn.to_string(),
            details: json!({"note": finding.note}).to_string(),
            entries: Vec::new(),
        };
        // First what was found: nothing is resolved without a word.
        app.engine.act(by.operator, act)?;
        let resolved = app.engine.resolve_conflict(by.operator, lsn)?;
        app.settle(resolved).await?;
    }
    Ok(Answer(ResolvedConflict { lsn, resolved: true }))
}
