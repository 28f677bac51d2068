//! The OpenAPI document, the router that goes with it, and the pages that show both. The document is made from the code,
//! and what every operation has in common (who asks, what can go wrong) is added here, once.

use crate::app::App;
use crate::layers::{self, Guard, Rules, Takes};
use crate::problem::{Kind, PROBLEM_JSON, Problem, ProblemBody};
use crate::resources;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use std::fmt::Write;
use std::sync::Arc;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
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
        (name = "account", description = "Signing in, and what belongs to the one who asks"),
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
    let guard = Arc::new(Guard { app: Arc::clone(&app), rules: Rules::of(&document) });
    let text: Arc<str> = document.to_pretty_json().expect("the document is JSON").into();
    let pages =
        utoipa_swagger_ui::SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"));
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
        .layer(middleware::from_fn_with_state(guard, layers::admit))
        .layer(middleware::from_fn(layers::tell))
}

/// A router that knows the document's head.
pub fn headed() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Head::openapi())
}

async fn rest(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    (app.fallback)(request).await
}

async fn wrong_method(method: Method) -> Response {
    Problem::new(Kind::MethodNotAllowed, format!("this path has no {method}")).into_response()
}

// === what operations have in common ===

fn complete(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An access token from signing in, an API token, or a token from `gatehouse user add`",
    ));
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
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
            complete_operation(path, &method, has_name, operation);
        }
    }
}

fn complete_operation(path: &str, method: &Method, has_name: bool, operation: &mut Operation) {
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
    let parameters = operation.parameters.iter().flatten();
    let named = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter.name.as_str()),
        RefOr::Ref(_) => None,
    });
    if named.into_iter().any(|name| name.eq_ignore_ascii_case("if-match")) {
        kinds.extend([Kind::Changed, Kind::PreconditionRequired]);
    }
    for kind in kinds {
        let status = kind.status().to_string();
        operation.responses.responses.entry(status).or_insert_with(|| RefOr::T(problem_response(kind)));
    }
}

fn problem_response(kind: Kind) -> utoipa::openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name(ProblemBody::name()));
    let example = serde_json::json!({
        "type": format!("/problems#{}", kind.code()), "title": kind.title(), "status": kind.status(),
        "code": kind.code(), "detail": kind.advice(),
    });
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    ResponseBuilder::new().description(kind.title()).content(PROBLEM_JSON, content).build()
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
