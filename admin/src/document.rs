//! The OpenAPI document, the router that goes with it, and the pages that show both. The document is made from the code,
//! and what every operation has in common (who asks, what can go wrong) is added here, once.

use crate::app::App;
use crate::layers::idempotency::{self, Keys};
use crate::layers::{self, Guard, Rules, Takes, edge};
use crate::problem::{Kind, PROBLEM_JSON, Problem, ProblemBody};
use crate::resources;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder, Type,
};
use utoipa::{OpenApi, ToSchema};
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
    )
)]
struct Head;

/// The document, complete.
pub fn document() -> Document {
    let (_, mut document) = resources::routes().split_for_parts();
    complete(&mut document);
    document
}

/// Everything the port answers.
pub fn router(app: Arc<App>) -> Router {
    let (routes, mut document) = resources::routes().split_for_parts();
    complete(&mut document);
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
    if response.status() == StatusCode::NOT_FOUND && path.starts_with("/api/v1/") && method != Method::POST {
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

// === what operations have in common ===

fn complete(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An access token from signing in, an API token, or a token from `gatehouse user add`",
    ));
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    for kind in Kind::ALL {
        components.responses.insert(kind.code().to_owned(), RefOr::T(problem_response(*kind)));
    }
    let mut told = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        let has_name = path.contains('{');
        let all = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in all.into_iter().filter_map(|(method, one)| Some((method, one.as_mut()?))) {
            told.extend(complete_operation(path, &method, has_name, operation));
        }
    }
    // A kind that only some operations tell of, in their own words, is no part of the others.
    components.responses.retain(|code, _| told.contains(code.as_str()));
}

/// Gives the codes of the problems that it refers to.
fn complete_operation(
    path: &str,
    method: &Method,
    has_name: bool,
    operation: &mut Operation,
) -> Vec<&'static str> {
    let takes = layers::takes(operation, path);
    let mut kinds = vec![Kind::Malformed, Kind::RateLimited, Kind::Unavailable];
    match takes {
        Takes::Permission(permission) => {
            operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
            kinds.extend([Kind::Unauthenticated, Kind::NotAllowed]);
            let note = format!("Takes the permission `{}`.", permission.word());
            let text = operation.description.take().map_or(note.clone(), |text| format!("{text}\n\n{note}"));
            operation.description = Some(text);
        }
        Takes::Nobody => operation.security = Some(Vec::new()),
    }
    if has_name {
        kinds.push(Kind::NotFound);
    }
    if operation.request_body.is_some() {
        kinds.extend([Kind::TooLarge, Kind::UnsupportedMediaType, Kind::Invalid]);
    }
    if *method != Method::GET {
        kinds.push(Kind::Conflict);
    }
    if *method == Method::POST && takes != Takes::Nobody {
        kinds.extend([Kind::TooLarge, Kind::KeyReused]);
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
    let parameters = operation.parameters.iter().flatten();
    let named = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter.name.as_str()),
        RefOr::Ref(_) => None,
    });
    if named.into_iter().any(|name| name.eq_ignore_ascii_case("if-match")) {
        kinds.extend([Kind::Changed, Kind::PreconditionRequired]);
    }
    let mut told = Vec::new();
    for kind in kinds {
        let response = operation.responses.responses.entry(kind.status().to_string());
        response.or_insert_with(|| {
            told.push(kind.code());
            RefOr::Ref(Ref::from_response_name(kind.code()))
        });
    }
    told
}

fn idempotency_key() -> utoipa::openapi::path::Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let text = text.max_length(Some(idempotency::KEY_CHARS_MAX)).pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "With it, the request is done once however often it is sent, and answered alike for 24 hours",
        ))
        .schema(Some(text.build()))
        .example(Some("8e03978e-40d5-43e8-bc93-6894a57f9324".into()))
        .build()
}

fn problem_response(kind: Kind) -> utoipa::openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name(ProblemBody::name()));
    let example = serde_json::json!({
        "type": format!("/problems#{}", kind.code()), "title": kind.title(), "status": kind.status(),
        "code": kind.code(), "detail": kind.advice(),
    });
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    let response = ResponseBuilder::new().description(kind.title()).content(PROBLEM_JSON, content);
    headers_of(kind)
        .iter()
        .fold(response, |response, (name, what)| response.header(*name, header_of(what)))
        .build()
}

/// Headers of a problem, and what they say.
fn headers_of(kind: Kind) -> &'static [(&'static str, &'static str)] {
    const AFTER: (&str, &str) = ("Retry-After", "Seconds to wait");
    match kind {
        Kind::Unauthenticated => &[("WWW-Authenticate", "How to say who asks")],
        Kind::Unavailable => &[AFTER],
        Kind::RateLimited => &[
            AFTER,
            ("RateLimit-Limit", "Requests a minute"),
            ("RateLimit-Remaining", "Requests left"),
            ("RateLimit-Reset", "Seconds until all are there again"),
        ],
        _ => &[],
    }
}

fn header_of(what: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .description(Some(what))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

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
