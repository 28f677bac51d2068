//! Print jobs: what is to be printed once, how far it is, and what people decide where nobody else can know. A job is durable
//! before it is answered; what it prints is never shown again.

use super::peripherals::{
    JobDecision, PeripheralReason, PrintJob, check_id, in_body, job_states, neither, new_id, note, place,
    priorities, reason,
};
use crate::app::App;
use crate::etag;
use crate::extract::{Json, Params, Path, Who};
use crate::mistakes::Mistakes;
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use axum::Json as Answer;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use peripherals::{
    Document, JOB_ID_BYTES_MAX, Job, JobFilter, JobState, JobView, Origin, Peripherals, Priority, Resolution,
    Submitted, Values,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(resolve))
        .routes(routes!(decisions))
}

/// A job waits for a day at the most.
const EXPIRES_S_MAX: u32 = 86_400;

/// Which jobs.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct JobParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// Only those of this printer.
    peripheral: Option<String>,
    /// Only those that are so far. `unknown` are those that somebody has to look at.
    #[param(schema_with = job_states)]
    state: Option<JobState>,
}

/// What is to be printed: a template or lines.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewJob {
    /// Its key, such as a receipt's number: the same again is the same job. Left out: one is made. `rule:` and `reprint:` are
    /// ours.
    #[serde(default)]
    #[schema(example = "receipt-4711", min_length = 1, max_length = 64, pattern = "^[ -~]+$")]
    id: Option<String>,
    /// The printer.
    #[schema(example = "help-desk")]
    peripheral: String,
    /// A template of the peripherals file.
    #[serde(default)]
    #[schema(example = json!(null))]
    template: Option<String>,
    /// What its fields are filled with.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>, example = json!({}))]
    values: Values,
    /// Lines of text.
    #[serde(default)]
    #[schema(example = json!(["Lost child at gate 4"]), min_items = 1, max_items = 200)]
    lines: Option<Vec<String>>,
    /// Before which others.
    #[serde(default)]
    #[schema(schema_with = priorities)]
    priority: Priority,
    /// Not any more after so many seconds; left out: after a quarter of an hour.
    #[serde(default)]
    #[schema(example = 600, minimum = 1, maximum = 86400)]
    expires_s: Option<u32>,
}

/// What was found out about a job that may have printed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Found {
    /// `printed`: it lies there. `reprint`: print it again, as a new job with a visible mark.
    #[serde(rename = "as")]
    #[schema(schema_with = resolutions)]
    resolution: Resolution,
    /// For the audit, in words.
    #[schema(
        example = "nothing came out",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    reason: String,
}

/// A job that somebody decided about.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ResolvedJob {
    /// The job.
    job: PrintJob,
    /// The new job where it is printed again.
    #[schema(example = "reprint:1:receipt-4711")]
    reprint: Option<String>,
}

fn resolutions() -> utoipa::openapi::schema::Schema {
    let words = "`printed`: it lies there. `reprint`: print it again, as a new job with a visible mark.";
    super::catalog::choice(&[Resolution::Printed, Resolution::Reprint], words, None)
}

/// Lists print jobs, newest first.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "peripherals", operation_id = "listJobs", params(JobParams),
    responses((status = 200, description = "A page of jobs", body = Page<PrintJob>)),
    extensions(("x-permission" = json!("peripherals.read")))
)]
async fn list(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(params): Params<JobParams>,
) -> Result<Response, Problem> {
    let page = PageParams { limit: params.limit, after: params.after };
    let (limit, before) = (page.limit()?, page.after::<i64>()?);
    let states = params.state.into_iter().collect();
    let filter = JobFilter { peripheral: params.peripheral, states, before, max: limit + 1 };
    let has_any = app.peripherals.now().is_some();
    let jobs = if has_any { app.peripherals.ask(move |own| own.jobs(&filter)).await? } else { Vec::new() };
    let items = jobs.into_iter().map(PrintJob::of).collect();
    Ok(Page::of(items, limit, |item: &PrintJob| item.number).answer(&uri))
}

/// Prints something, once.
///
/// The job is durable when this is answered; the answer does not wait for the paper. The same `id` with the same content is the
/// same job, with another content it is refused.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "peripherals", operation_id = "createJob", request_body = NewJob,
    responses((status = 201, description = "It waits", body = PrintJob,
               headers(("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its version"))),
              (status = 200, description = "It was known already", body = PrintJob)),
    extensions(("x-permission" = json!("peripherals.use")))
)]
async fn create(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Json(new): Json<NewJob>,
) -> Result<Response, Problem> {
    let job = new.job(&by.name, app.engine.now().0)?;
    let details = json!({"peripheral": job.peripheral, "template": template(&job.document)});
    let submit = move |own: &Peripherals| {
        let id = job.id.clone();
        let submitted = own.submit(job)?;
        Ok((submitted, own.job(&id)?))
    };
    let (submitted, view) = app.peripherals.ask_telling(in_body, submit).await?;
    let job = PrintJob::of(view);
    if submitted != Submitted::New {
        return Ok(Answer(job).into_response());
    }
    note(&app, by.operator, "job_print", &job.id, details).await?;
    Ok(etag::made(&place(&job.id), &job))
}

impl NewJob {
    fn job(self, who: &str, now_ms: i64) -> Result<Job, Problem> {
        let mut mistakes = Mistakes::default();
        self.id.iter().for_each(|id| check_id(&mut mistakes, id, JOB_ID_BYTES_MAX));
        let fits = self.expires_s.is_none_or(|seconds| (1..=EXPIRES_S_MAX).contains(&seconds));
        mistakes.rule(fits, "expires_s", format!("1 to {EXPIRES_S_MAX} seconds are meant"));
        mistakes.told()?;
        let document = match (self.template, self.lines) {
            (Some(name), None) => Document::Template { name, values: self.values },
            (None, Some(lines)) => Document::lines(&lines)?,
            _ => return Err(neither()),
        };
        Ok(Job {
            id: self.id.map_or_else(new_id, Ok)?,
            peripheral: self.peripheral,
            document,
            priority: self.priority,
            expires_ms: self.expires_s.map(|seconds| now_ms.saturating_add(i64::from(seconds) * 1_000)),
            origin: Origin::Operator { who: who.to_owned() },
        })
    }
}

fn template(document: &Document) -> Option<&str> {
    match document {
        Document::Template { name, .. } => Some(name),
        Document::Ops(_) => None,
    }
}

/// Shows a print job.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "peripherals", operation_id = "getJob",
    params(("id" = String, Path, description = "The job's key")),
    responses((status = 200, description = "The job", body = PrintJob)),
    extensions(("x-permission" = json!("peripherals.read")))
)]
async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Answer<PrintJob>, Problem> {
    if app.peripherals.now().is_none() {
        return Err(Problem::not_found("job", &id));
    }
    Ok(Answer(PrintJob::of(app.peripherals.ask(move |own| own.job(&id)).await?)))
}

/// Takes back a job that waits.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", tag = "peripherals", operation_id = "cancelJob",
    request_body = PeripheralReason, params(("id" = String, Path, description = "The job's key")),
    responses((status = 200, description = "It is not printed", body = PrintJob)),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
    Json(why): Json<PeripheralReason>,
) -> Result<Answer<PrintJob>, Problem> {
    let reason = reason(&why)?;
    let (who, words) = (by.name.clone(), reason.clone());
    let job = app.peripherals.ask(move |own| {
        own.cancel(&id, &who, &words)?;
        own.job(&id)
    });
    let job = PrintJob::of(job.await?);
    note(&app, by.operator, "job_cancel", &job.id, json!({"reason": reason})).await?;
    Ok(Answer(job))
}

/// Says what became of a job that may have printed, after somebody has looked.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/resolve", tag = "peripherals", operation_id = "resolveJob",
    request_body = Found, params(("id" = String, Path, description = "The job's key")),
    responses((status = 200, description = "It is decided", body = ResolvedJob)),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn resolve(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(id): Path<String>,
    Json(found): Json<Found>,
) -> Result<Answer<ResolvedJob>, Problem> {
    let reason = reason(&PeripheralReason { reason: found.reason })?;
    let (who, words, resolution) = (by.name.clone(), reason.clone(), found.resolution);
    let resolve = move |own: &Peripherals| -> Result<(JobView, Option<String>), peripherals::Error> {
        let reprint = own.resolve(&id, resolution, &who, &words)?;
        Ok((own.job(&id)?, reprint))
    };
    let (job, reprint) = app.peripherals.ask(resolve).await?;
    let job = PrintJob::of(job);
    let details = json!({"reason": reason, "as": resolution, "reprint": reprint});
    note(&app, by.operator, "job_resolve", &job.id, details).await?;
    Ok(Answer(ResolvedJob { job, reprint }))
}

/// Lists what people decided about printers and jobs, newest first: what the queue itself wrote down, stations' pages included.
#[utoipa::path(
    get, path = "/api/v1/job-decisions", tag = "peripherals", operation_id = "listJobDecisions", params(PageParams),
    responses((status = 200, description = "A page of decisions", body = Page<JobDecision>)),
    extensions(("x-permission" = json!("peripherals.write")))
)]
async fn decisions(
    State(app): State<Arc<App>>,
    uri: OriginalUri,
    Params(page): Params<PageParams>,
) -> Result<Response, Problem> {
    let (limit, before) = (page.limit()?, page.after::<i64>()?);
    let has_any = app.peripherals.now().is_some();
    let rows = if has_any {
        app.peripherals.ask(move |own| own.audit(before, limit + 1)).await?
    } else {
        Vec::new()
    };
    let items = rows.into_iter().map(JobDecision::of).collect();
    Ok(Page::of(items, limit, |item: &JobDecision| item.number).answer(&uri))
}
