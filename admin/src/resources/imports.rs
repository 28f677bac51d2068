//! Imports: a list of tickets is looked at, or taken in as an operation.

use super::operations::submit;
use crate::app::App;
use crate::extract::{Params, Path, Who, body};
use crate::imports::{self, ImportAction, ImportFormat, ImportSpec, PREVIEW_BYTES_MAX, Preview, preview};
use crate::operations::{self, Operation, Saved, Spec};
use crate::problem::{Kind, Problem, shown};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use engine::registry::Act;
use lists::columns::Mapping;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Handle;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest name of an encoding, in bytes.
const ENCODING_BYTES_MAX: usize = 40;
/// Longest mapping, in bytes.
const MAPPING_BYTES_MAX: usize = 16 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(import)).routes(routes!(look))
}

/// How a list is read and what its rows mean.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ImportParams {
    /// Its layout; left out: by the Content-Type, `text/plain` being codes alone.
    #[param(inline)]
    format: Option<ImportFormat>,
    /// What its rows mean; left out: `add`, of SecuTix's files `activate`, `block`, `checked`.
    #[param(inline)]
    action: Option<ImportAction>,
    /// Its encoding, such as `windows-1252`, where no byte order mark tells it; left out: UTF-8.
    #[param(max_length = 40)]
    encoding: Option<String>,
    /// What its columns are, as JSON: `{"Barcode":"code","Remark":null}`. Without it columns are known by our names and by
    /// common ones, and one that nobody knows is refused; with it such columns are passed over.
    #[param(max_length = 16384)]
    mapping: Option<String>,
    /// The ticket type of rows that name none.
    #[param(max_length = 128)]
    r#type: Option<String>,
    /// At which gate tickets count as `checked`.
    #[param(max_length = 128)]
    gate: Option<String>,
    /// Rows whose code exists change that ticket's holder, order, seat and status; what they leave empty stays.
    update: Option<bool>,
    /// Take nothing if one row is bad: the list is read twice.
    all_or_nothing: Option<bool>,
    /// Only tell what would come of it.
    dry_run: Option<bool>,
}

/// Takes a list of tickets in: as an operation, which goes on behind and over a restart. A row that says what a ticket is
/// already changes nothing, so that a list may be sent again.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/imports", tag = "operations", operation_id = "importTickets",
    params(("event" = String, Path, description = "The event's name"), ImportParams),
    request_body(description = "The list, as it is: not packed. At most 4 GiB.", content(
        (String = "text/csv", example = "code,type,holder\nA-1,VIP,Anna\n"),
        (String = "application/x-ndjson", example = "{\"code\":\"A-1\",\"type\":\"VIP\"}\n"),
        (String = "text/plain", example = "A-1\nA-2\n")
    )),
    responses((status = 202, description = "It was taken on", body = Operation,
        headers(("Location", description = "Where to see how far it is")))),
    extensions(("x-permission" = json!("tickets.import")))
)]
async fn import(
    State(app): State<Arc<App>>,
    Who(by): Who,
    Path(event): Path<String>,
    Params(params): Params<ImportParams>,
    request: Request,
) -> Result<Response, Problem> {
    let spec = params.spec(&app, &event, request.headers())?;
    let place = app.operations.place()?;
    let Ok(_upload) = app.operations.uploads.try_acquire() else {
        return Err(Problem::new(Kind::Unavailable, "too many lists arrive at once; send it again later"));
    };
    let now = app.engine.now();
    let id = operations::new_id(now)?;
    // Whatever goes wrong from here on, the file goes; also when whoever sends it hangs up.
    let list = List { app: &app, id: &id, kept: false };
    let bytes = imports::receive(&app, &id, request.into_body()).await?;
    readable(&app, &id, &spec).await?;
    let details = json!({
        "operation": id, "format": spec.format, "action": spec.action, "bytes": bytes, "update": spec.update,
        "all_or_nothing": spec.all_or_nothing, "dry_run": spec.dry_run,
    });
    let act = Act {
        action: "import".to_owned(),
        subject: event.clone(),
        details: details.to_string(),
        entries: Vec::new(),
    };
    let lsn = app.engine.act(by.operator, act)?;
    app.settle(lsn).await?;
    let mut saved = Saved::new(id.clone(), &event, &by, Spec::Import(spec), now);
    saved.operation.progress.bytes_total = bytes;
    let answer = submit(&app, place, saved).await?;
    list.keep();
    Ok(answer)
}

/// The file of a list that arrives.
struct List<'a> {
    app: &'a App,
    id: &'a str,
    kept: bool,
}

impl List<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        // An operation that has it removes it itself.
        if !self.kept && self.app.operations.get(self.id).is_err() {
            self.app.operations.files.drop_list(self.id);
        }
    }
}

/// Can the list be read at all? Told now rather than by an operation that fails.
async fn readable(app: &Arc<App>, id: &str, spec: &ImportSpec) -> Result<(), Problem> {
    let (app, id, spec) = (Arc::clone(app), id.to_owned(), spec.clone());
    let read = tokio::task::spawn_blocking(move || {
        let list = app.operations.files.open_list(&id).map_err(|error| error.to_string())?;
        lists::read(list, &spec.options()?).map(drop)
    });
    let read = read.await.map_err(|_| Problem::new(Kind::Internal, "the list could not be read"))?;
    read.map_err(|problem| Problem::invalid("body", problem))
}

/// Looks at the beginning of a list: what it is, what its columns are, what its first rows would become. Changes nothing.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/imports/preview", tag = "operations", operation_id = "previewImport",
    params(("event" = String, Path, description = "The event's name"), ImportParams),
    request_body(description = "The beginning of the list: at most 1 MiB.", content(
        (String = "text/csv", example = "code,type,holder\nA-1,VIP,Anna\n"),
        (String = "application/x-ndjson", example = "{\"code\":\"A-1\",\"type\":\"VIP\"}\n"),
        (String = "text/plain", example = "A-1\nA-2\n")
    )),
    responses((status = 200, description = "What would come of it", body = Preview)),
    extensions(("x-permission" = json!("tickets.import")))
)]
async fn look(
    State(app): State<Arc<App>>,
    Path(event): Path<String>,
    Params(params): Params<ImportParams>,
    request: Request,
) -> Result<axum::Json<Preview>, Problem> {
    let spec = params.spec(&app, &event, request.headers())?;
    let head = body(request, PREVIEW_BYTES_MAX).await?;
    imports::unpacked(&head)?;
    let runtime = Handle::current();
    let looked = tokio::task::spawn_blocking(move || preview(&app, &runtime, &event, &spec, &head)).await;
    looked.map_err(|_| Problem::new(Kind::Internal, "the list could not be looked at"))?.map(axum::Json)
}

impl ImportParams {
    fn spec(self, app: &App, event: &str, headers: &HeaderMap) -> Result<ImportSpec, Problem> {
        let catalog = app.engine.catalog();
        let id = catalog.event_named(event).ok_or_else(|| Problem::not_found("event", event))?;
        let by_type = format_of(headers)?;
        let format = self.format.unwrap_or(by_type);
        let action = self.action.unwrap_or(format.action());
        if let Some(encoding) = &self.encoding
            && (encoding.len() > ENCODING_BYTES_MAX || !lists::text::is_known(encoding))
        {
            let words = format!(
                "'{}' is not known; use for example utf-8, utf-16le or windows-1252",
                shown(encoding)
            );
            return Err(Problem::invalid("encoding", words));
        }
        if let Some(mapping) = &self.mapping {
            let short = mapping.len() <= MAPPING_BYTES_MAX;
            let parsed =
                if short { Mapping::parse(mapping).map(drop) } else { Err("it is too long".to_owned()) };
            parsed.map_err(|problem| Problem::invalid("mapping", problem))?;
        }
        if let Some(kind) = self.r#type.as_deref().filter(|kind| catalog.type_named(id, kind).is_none()) {
            let words = format!(
                "there is no ticket type '{}'; this event has {}",
                shown(kind),
                catalog.type_names(id)
            );
            return Err(Problem::invalid("type", words));
        }
        match self.gate.as_deref() {
            Some(gate) if catalog.gate_named(gate).is_none() => {
                return Err(Problem::invalid("gate", format!("there is no gate '{}'", shown(gate))));
            }
            None if action == ImportAction::Checked => {
                return Err(Problem::invalid("gate", "name the gate at which they count as checked"));
            }
            _ => {}
        }
        Ok(ImportSpec {
            format,
            action,
            encoding: self.encoding,
            mapping: self.mapping,
            kind: self.r#type,
            gate: self.gate,
            update: self.update.unwrap_or(false),
            all_or_nothing: self.all_or_nothing.unwrap_or(false),
            dry_run: self.dry_run.unwrap_or(false),
        })
    }
}

fn format_of(headers: &HeaderMap) -> Result<ImportFormat, Problem> {
    let refused = |words: String| Err(Problem::new(Kind::UnsupportedMediaType, words));
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
        return refused(format!("a list is sent as it is, not as '{}'", shown(&coding)));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => Ok(ImportFormat::Csv),
        "application/x-ndjson" => Ok(ImportFormat::Ndjson),
        "text/plain" => Ok(ImportFormat::Codes),
        _ => refused("send Content-Type: text/csv, application/x-ndjson or text/plain".to_owned()),
    }
}
