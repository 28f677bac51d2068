//! How requests are read: JSON bodies with a limit and a deadline, parameters, who asks. Every mistake is a problem
//! that names its place.

use crate::access::Principal;
use crate::problem::{Kind, Problem};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest JSON body, in bytes. Lists of any length go through an import.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// A body has so long to arrive.
const BODY_WAIT: Duration = Duration::from_secs(20);

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// Query parameters, each at most once, unknown ones refused (their type says so).
#[derive(Debug)]
pub struct Params<T>(pub T);

/// A part of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// Who asks.
#[derive(Debug)]
pub struct Who(pub Principal);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Problem> {
        is_json(request.headers())?;
        let bytes = body(request, BODY_BYTES_MAX).await?;
        json(&bytes).map(Json)
    }
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("a body is sent as it is, not as '{}'", crate::problem::shown(&coding)),
        ));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType, "send Content-Type: application/json"))
}

/// A whole body of at most so many bytes.
///
/// # Errors
/// Larger, slower than the deadline, or cut off.
pub async fn body(request: Request, bytes_max: usize) -> Result<bytes::Bytes, Problem> {
    let limited = Limited::new(request.into_body(), bytes_max);
    let late = |_| Problem::malformed("body", format!("it did not arrive within {} s", BODY_WAIT.as_secs()));
    let whole = tokio::time::timeout(BODY_WAIT, limited.collect()).await.map_err(late)?;
    whole.map(|whole| whole.to_bytes()).map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            Problem::new(Kind::TooLarge, format!("a body has at most {bytes_max} bytes here"))
        } else {
            Problem::malformed("body", "it was cut off")
        }
    })
}

/// Reads JSON; a mistake names its place. A body that is no JSON is malformed, one that is not what is meant is invalid.
///
/// # Errors
/// As said.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body" } else { path.as_str() };
        let inner = error.inner();
        if inner.is_data() {
            // Where it stands is told by the field, and not by counting signs.
            let words = inner.to_string();
            let place = format!(" at line {} column {}", inner.line(), inner.column());
            Problem::invalid(field, words.strip_suffix(&place).unwrap_or(&words))
        } else {
            Problem::malformed(field, format!("not JSON: {inner}"))
        }
    })?;
    deserializer.end().map_err(|error| Problem::malformed("body", format!("not JSON: {error}")))?;
    Ok(value)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer).map(Params).map_err(|error| {
            let path = error.path().to_string();
            Problem::malformed(if path == "." { "query" } else { &path }, error.inner().to_string())
        })
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Path(path.0)).map_err(|error| Problem::malformed("path", error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Who, Problem> {
        let found = parts.extensions.get::<Principal>().cloned();
        found.map(Who).ok_or_else(|| Problem::new(Kind::Unauthenticated, "sign in, or send a token"))
    }
}
