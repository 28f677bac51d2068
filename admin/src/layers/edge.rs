//! What every answer carries and what no request can do, whatever its path: headers that keep browsers careful, pages of
//! other origins, and a panic that stays one request's own. Knows nobody who asks.

use crate::app::Edge;
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use std::any::Any;
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// A browser asks again after so long whether a page may.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);
/// What the pages of `/docs` load: their own files, styles in place, and images in place.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Data is no page: nothing is loaded by it.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Sets the headers that browsers heed, where an answer does not say otherwise.
pub async fn harden(request: Request<Body>, next: Next) -> Response<Body> {
    let (is_docs, is_data) = {
        let path = request.uri().path();
        (
            path.starts_with("/docs"),
            path.starts_with("/api/") || path == "/openapi.json" || path == "/problems",
        )
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    if is_docs {
        set(header::CONTENT_SECURITY_POLICY, DOCS_POLICY);
    }
    if is_data {
        set(header::CONTENT_SECURITY_POLICY, DATA_POLICY);
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

/// Lets pages of these origins in; without any there is nothing to let in.
pub fn origins(edge: &Edge) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = edge.origins.iter().filter_map(|own| own.parse().ok()).collect();
    let name = HeaderName::from_static;
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                name("idempotency-key"),
                name("last-event-id"),
                name("traceparent"),
                super::REQUEST_ID,
            ])
            .expose_headers([
                header::CONTENT_DISPOSITION,
                header::ETAG,
                header::LINK,
                header::LOCATION,
                header::RETRY_AFTER,
                name("idempotency-replayed"),
                name("ratelimit-limit"),
                name("ratelimit-remaining"),
                name("ratelimit-reset"),
                super::REQUEST_ID,
            ])
            .max_age(PREFLIGHT_KEPT)
    })
}

/// A panic of a resource, told as what it is: our mistake.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
    tracing::error!(panic = text, "a request to the API panicked");
    Problem::new(Kind::Internal, "the request could not be answered").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    async fn broken() -> &'static str {
        let (none, some): (Option<u8>, Option<u8>) = (None, Some(1));
        if none < some {
            panic!("a table with a hole, and a name: Anna");
        }
        "never"
    }

    #[test]
    fn a_panic_is_an_internal_problem_without_its_words() {
        let router = Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(panicked));
        let asked = router.oneshot(Request::new(Body::empty()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(asked).unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], crate::problem::PROBLEM_JSON);
        let body = runtime.block_on(axum::body::to_bytes(Body::new(response.into_body()), 10_000)).unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"internal\"") && !body.contains("Anna"), "{body}");
    }
}
