//! Versions of things: an `ETag` for each answer about one thing, and the `If-Match` without which nothing is changed.

use crate::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The version of a thing as it is shown: a strong validator, equal only for equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

/// The versions a client has seen, from `If-Match`.
#[derive(Clone, Debug)]
pub struct IfMatch(String);

impl Version {
    /// Of a thing.
    pub fn of(thing: &impl Serialize) -> Version {
        let text = serde_json::to_vec(thing).expect("what is answered is JSON");
        let hash = secrets::hash(&text);
        Version(format!("\"{}\"", hash[..12].iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    fn is_among(&self, list: &str) -> bool {
        list.trim() == "*" || list.split(',').any(|one| one.trim() == self.0)
    }
}

impl IfMatch {
    /// Is the thing as the client has seen it?
    ///
    /// # Errors
    /// It was changed since.
    pub fn check(&self, now: &Version) -> Result<(), Problem> {
        if now.is_among(&self.0) {
            return Ok(());
        }
        Err(Problem::new(Kind::Changed, "it was changed since you read it; read it again"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IfMatch, Problem> {
        let value = parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        value.map(|value| IfMatch(value.to_owned())).ok_or_else(|| {
            let detail =
                "send the ETag of what you have read as If-Match, or If-Match: * to change it whatever it is";
            Problem::new(Kind::PreconditionRequired, detail)
        })
    }
}

/// Answers with one thing and its version; 304 when the client has it already.
pub fn shown(headers: &HeaderMap, thing: &impl Serialize) -> Response {
    let version = Version::of(thing);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| version.is_among(&known.replace("W/", ""))) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, version.0)]).into_response();
    }
    with_version(StatusCode::OK, &version, thing)
}

/// Answers with a thing that was made or changed.
pub fn changed(status: StatusCode, thing: &impl Serialize) -> Response {
    with_version(status, &Version::of(thing), thing)
}

/// Answers with a thing that was made, and where it is now.
pub fn made(at: &str, thing: &impl Serialize) -> Response {
    made_with(at, &Version::of(thing), thing)
}

/// Answers with a thing that was made and what is shown of it only now; the version is the thing's own.
pub fn made_with(at: &str, version: &Version, thing: &impl Serialize) -> Response {
    let mut response = with_version(StatusCode::CREATED, version, thing);
    if let Ok(at) = HeaderValue::from_str(at) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    response
}

fn with_version(status: StatusCode, version: &Version, thing: &impl Serialize) -> Response {
    (status, [(header::ETAG, version.0.as_str())], axum::Json(thing)).into_response()
}
