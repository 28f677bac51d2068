//! Exports: tickets, scans, counts and attendance as files.

use crate::access::Permission;
use crate::app::App;
use crate::exports::{self, Wanted, What};
use crate::extract::{Params, Path, Who};
use crate::layers::Cut;
use crate::problem::{Kind, Problem};
use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use engine::clock::Time;
use lists::sheet::Form;
use serde::Deserialize;

use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Minutes of an interval where nothing else is asked for.
const INTERVAL_DEFAULT_MIN: u32 = 15;
/// Minutes of an interval at the most: a day.
const INTERVAL_MAX_MIN: u32 = 1_440;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(export))
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    /// Comma separated, with column names.
    #[default]
    Csv,
    /// A JSON object each line.
    Ndjson,
}

/// What of it is taken out.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportParams {
    /// Of this event; left out: of all.
    #[param(max_length = 128)]
    event: Option<String>,
    /// How it is written.
    #[param(inline)]
    format: Option<ExportFormat>,
    /// Scans and attendance: from this moment on.
    #[param(format = "date-time", example = "2026-11-23T18:00:00.000Z")]
    since: Option<String>,
    /// Scans and attendance: before this moment.
    #[param(format = "date-time", example = "2026-11-23T22:00:00.000Z")]
    until: Option<String>,
    /// Attendance: minutes of an interval.
    #[param(minimum = 1, maximum = 1440, default = 15)]
    interval: Option<u32>,
    /// Tickets: with holders, orders and seats. Takes the permission `tickets.personal` too.
    personal: Option<bool>,
}

/// Takes tickets, scans, counts or attendance out as a file, which is made while it is read. Its last line tells that it is
/// whole: `#end,ROWS` in CSV, `{"end":true,"rows":ROWS}` in NDJSON; a file without it was cut off. In CSV a text that a
/// spreadsheet would run as a formula begins with an apostrophe; an import takes it away again.
#[utoipa::path(
    get, path = "/api/v1/exports/{what}", tag = "operations", operation_id = "export",
    params(("what" = String, Path, description = "`tickets`, `scans`, `counts` or `attendance`"), ExportParams),
    responses((status = 200, description = "The file", content(
            (String = "text/csv", example = "code,type,status\nA-1,VIP,active\n#end,1\n"),
            (String = "application/x-ndjson", example = "{\"code\":\"A-1\"}\n{\"end\":true,\"rows\":1}\n")
        ), headers(("Content-Disposition", description = "A name for the file")))),
    extensions(("x-permission" = json!("export")))
)]
async fn export(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Extension(cut): Extension<Cut>,
    Path(what): Path<String>,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    let what = What::of_word(&what).ok_or_else(|| Problem::not_found("export", &what))?;
    let personal = params.personal.unwrap_or(false);
    if personal && !by.may(Permission::TicketsPersonal) {
        return Err(Problem::new(
            Kind::NotAllowed,
            "holders, orders and seats take the permission tickets.personal",
        ));
    }
    let (event, id) = match &params.event {
        Some(name) => {
            let id = app.engine.catalog().event_named(name);
            (name.as_str(), Some(id.ok_or_else(|| Problem::invalid("event", "there is no such event"))?))
        }
        None => ("all", None),
    };
    let minutes = params.interval.unwrap_or(INTERVAL_DEFAULT_MIN);
    if !(1..=INTERVAL_MAX_MIN).contains(&minutes) {
        return Err(Problem::malformed(
            "interval",
            format!("a number from 1 to {INTERVAL_MAX_MIN} is meant"),
        ));
    }
    let (form, kind, ending) = match params.format.unwrap_or_default() {
        ExportFormat::Csv => (Form::Csv, "text/csv; charset=utf-8; header=present", "csv"),
        ExportFormat::Ndjson => (Form::Ndjson, "application/x-ndjson", "ndjson"),
    };
    let wanted = Wanted {
        what,
        form,
        event: id,
        since: moment("since", params.since.as_deref())?,
        until: moment("until", params.until.as_deref())?,
        interval_ms: i64::from(minutes) * 60_000,
        personal,
        operator: by.operator,
    };
    let body = exports::begin(&app, wanted, cut).await?;
    let event: String = event.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = format!("attachment; filename=\"{}-{event}.{ending}\"", what.word());
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

fn moment(field: &str, text: Option<&str>) -> Result<Option<Time>, Problem> {
    let read = |text| {
        lists::parse_time(text)
            .ok_or_else(|| Problem::malformed(field, "a moment such as 2026-11-23T18:00:00Z is meant"))
    };
    text.map(read).transpose()
}
