//! The OpenAPI document, the router that goes with it, and the pages that show both. The document is made from the code;
//! what all operations have in common is added in `common`.

mod common;

use crate::app::App;
use crate::layers::idempotency::{self, Keys};
use crate::layers::{self, Guard, Rules, edge};
use crate::problem::{Kind, Problem, ProblemBody};
use crate::resources;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use std::fmt::Write;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

/// What stands above all operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatehouse admin API",
        description = include_str!("description.md"),
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    servers((url = "/", description = "this node")),
    components(schemas(ProblemBody, crate::problem::FieldError)),
    tags(
        (name = "venue", description = "Events, zones, gates and ticket types"),
        (name = "operations", description = "Lists in and out, bulk changes, and how far they are"),
        (name = "devices", description = "Readers and turnstiles: their life, keys, settings and commands"),
        (name = "oversight", description = "Counts, conflicts, the audit, and settings"),
        (name = "tickets", description = "Tickets, what was done with them, and what people do with them"),
        (name = "scans", description = "The access log, and what supervisors decide at a gate"),
        (name = "live", description = "What happens, as it happens"),
        (name = "statistics", description = "Figures of an event, now and over time"),
        (name = "privacy", description = "Forgetting who held tickets, with proof"),
        (name = "account", description = "Signing in, and what belongs to the one who asks"),
        (name = "operators", description = "Who may sign in"),
        (name = "tokens", description = "How programs sign in"),
        (name = "peripherals", description = "Printers and displays, what they print and show, and the stations they hang at"),
        (name = "webhooks", description = "What happened, told to other people's servers"),
    )
)]
struct Head;

/// The document, complete.
pub fn document() -> Document {
    let (_, mut document) = resources::routes().split_for_parts();
    common::complete(&mut document);
    document
}

/// Everything the port answers.
pub fn router(app: Arc<App>) -> Router {
    let (routes, mut document) = resources::routes().split_for_parts();
    common::complete(&mut document);
    let guard = Arc::new(Guard::new(Arc::clone(&app), Rules::of(&document)));
    let keys = Arc::new(Keys::new(Arc::clone(&app)));
    let origins = tower::util::option_layer(edge::origins(&app.edge));
    let text: Arc<str> = document.to_pretty_json().expect("the document is JSON").into();
    // Without this a page that is not on localhost asks a server of the makers of the pages what it thinks of the document.
    let config = utoipa_swagger_ui::Config::from("/openapi.json").validator_url("none");
    let pages = utoipa_swagger_ui::SwaggerUi::new("/docs").config(config);
    Router::from(pages)
        .route(
            "/openapi.json",
            get(move || async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()) }),
        )
        .route("/problems", get(|| async { Html(problems_page()) }))
        .merge(routes.with_state(Arc::clone(&app)))
        // Older paths that a ticket's number would stand in.
        .route("/api/v1/tickets/import", axum::routing::post(rest))
        .route("/api/v1/tickets/status", axum::routing::post(rest))
        .method_not_allowed_fallback(wrong_method)
        .fallback(rest)
        .with_state(app)
        .layer(middleware::from_fn_with_state(keys, idempotency::once))
        .layer(middleware::from_fn_with_state(guard, layers::admit))
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(origins)
        .layer(middleware::from_fn(edge::harden))
        .layer(middleware::from_fn(layers::tell))
}

/// A router that knows the document's head.
pub fn headed() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Head::openapi())
}

async fn rest(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let response = (app.fallback)(request).await;
    // Older paths below it take POST alone, and say themselves what they have not found.
    let is_ours = path.starts_with("/api/v1/") && method != Method::POST;
    if response.status() == StatusCode::NOT_FOUND && is_ours {
        return Problem::not_found("path", &path).into_response();
    }
    response
}

/// The router adds what the path has as `Allow`.
async fn wrong_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(Kind::MethodNotAllowed, format!("this path has no {method}")).into_response()
}

// === pages ===

fn problems_page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Gatehouse: problems</title><h1>Problems</h1>\n",
    );
    for kind in Kind::ALL {
        let (code, title, status, advice) = (kind.code(), kind.title(), kind.status(), kind.advice());
        let _ = writeln!(
            page,
            "<h2 id=\"{code}\">{status} <code>{code}</code></h2><p><b>{title}.</b> {advice}</p>"
        );
    }
    page + "</html>\n"
}
