//! What happens to every request before a resource sees it, from the outside in: a request id and a line in the log; what
//! every answer carries ([`edge`]); who asks, how often, and whether they may do what the route takes; once and not twice
//! where a key says so ([`idempotency`]). An operation whose permission nobody wrote down keeps the
//! program from starting.

pub mod edge;
pub mod idempotency;
mod rate;

use crate::access::{Permission, Principal, Proof};
use crate::app::App;
use crate::auth::visitor;
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rate::Rates;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};

/// Name of the header that names a request in answers and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// Where the API begins. Pages and older paths are not counted.
const API: &str = "/api/";
/// The word for routes that anybody may call.
const PUBLIC: &str = "public";

/// Where one-time tickets are taken in place of tokens.
const LIVE: &str = "/api/v1/live";

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nobody,
    /// A permission.
    Permission(Permission),
}

/// What each route takes, from the document: the words that clients read are the ones that are enforced.
#[derive(Clone, Debug, Default)]
pub struct Rules(HashMap<(Method, String), Takes>);

impl Rules {
    /// Reads the rules out of the document.
    ///
    /// # Panics
    /// When an operation says nothing or an unknown word: found by every test that builds the API.
    pub fn of(document: &OpenApi) -> Rules {
        let mut rules = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                rules.insert((method, path.clone()), takes(operation, path));
            }
        }
        Rules(rules)
    }

    fn find(&self, method: &Method, path: &str) -> Option<Takes> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned())).copied()
    }
}

/// Each operation of a path with its method.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// What an operation takes, from its `x-permission`.
pub fn takes(operation: &Operation, path: &str) -> Takes {
    let word = operation.extensions.as_ref().and_then(|all| all.get("x-permission")?.as_str());
    match word {
        Some(PUBLIC) => Takes::Nobody,
        Some(word) => Takes::Permission(
            Permission::of_word(word).unwrap_or_else(|| panic!("{path}: there is no permission '{word}'")),
        ),
        None => panic!("{path}: an operation has no x-permission"),
    }
}

/// What the layers need.
pub struct Guard {
    app: Arc<App>,
    rules: Rules,
    rates: Rates,
}

impl Guard {
    /// What each route takes, and how often anybody may ask.
    pub fn new(app: Arc<App>, rules: Rules) -> Guard {
        let rates = Rates::new(app.edge.requests_per_minute);
        Guard { app, rules, rates }
    }
}

/// The token a request came with, for what goes on longer than the request.
#[derive(Clone)]
pub struct Token(pub Arc<str>);

/// Ends the request's connection by force: what a listener that takes nothing does not let end otherwise.
#[derive(Clone, Default)]
pub struct Cut(pub Arc<Notify>);

/// Gives the request an id, and the log a line about every change and every mistake of ours. The audit knows a program by its
/// token's maker only: the line names the token.
pub async fn tell(mut request: Request<Body>, next: Next) -> Response {
    let began = Instant::now();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id)).cloned().unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let trace = request.headers().get("traceparent").filter(|value| is_traceparent(value)).cloned();
    let method = request.method().clone();
    let route =
        request.extensions().get::<MatchedPath>().map_or("-".to_owned(), |path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis() as u64);
    let (api_token, api_token_id) = token_of(&response).unzip();
    let (id_text, trace) = (text(&id), trace.as_ref().map(text));
    if status >= 500 {
        tracing::warn!(%method, route, status, ms, id = id_text, trace, api_token, api_token_id, "a request failed");
    } else if !method.is_safe() && route != "-" {
        tracing::info!(%method, route, status, ms, id = id_text, trace, api_token, api_token_id, "a change was asked for");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Name and id of the API token that a request came with.
fn token_of(response: &Response) -> Option<(&str, &str)> {
    match response.extensions().get::<Proof>()? {
        Proof::ApiToken { id, name } => Some((name, id)),
        Proof::Local | Proof::OperatorToken | Proof::Session(_) => None,
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn is_request_id(value: &HeaderValue) -> bool {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=REQUEST_ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(good)
}

/// A trace of W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
fn is_traceparent(value: &HeaderValue) -> bool {
    let parts: Vec<&[u8]> = value.as_bytes().split(|byte| *byte == b'-').collect();
    parts.len() == 4
        && parts.iter().zip([2, 32, 16, 2]).all(|(part, len)| part.len() == len)
        && parts.iter().all(|part| part.iter().all(u8::is_ascii_hexdigit))
}

fn new_id() -> HeaderValue {
    let id = secrets::new_key().unwrap_or_else(|_| "unnumbered".to_owned());
    HeaderValue::from_str(id.get(..16).unwrap_or(&id)).expect("keys are letters and digits")
}

/// Finds out who asks, counts what they ask of the API, and refuses what they may not do.
pub async fn admit(State(guard): State<Arc<Guard>>, request: Request<Body>, next: Next) -> Response {
    let token = bearer(&request).or_else(|| guard.live_ticket(&request));
    let principal = token.as_deref().and_then(|token| guard.app.principal(token));
    let proof = principal.as_ref().map(|own| own.proof.clone());
    let mut response = counted(&guard, token, principal, request, next).await;
    if let Some(proof) = proof {
        response.extensions_mut().insert(proof);
    }
    response
}

/// Counts a request where it is to be counted, and has it answered unless there were too many.
async fn counted(
    guard: &Guard,
    token: Option<String>,
    principal: Option<Principal>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let address = visitor::address(request.extensions(), request.headers());
    let is_counted = request.extensions().get::<MatchedPath>().is_some_and(|at| at.as_str().starts_with(API));
    let standing = is_counted.then(|| guard.rates.count(principal.as_ref(), address)).flatten();
    let Some(standing) = standing else {
        return admitted(guard, token, principal, request, next).await;
    };
    let mut response = match standing.refusal() {
        Some(refusal) => refusal.into_response(),
        None => admitted(guard, token, principal, request, next).await,
    };
    standing.tell(response.headers_mut());
    response
}

async fn admitted(
    guard: &Guard,
    token: Option<String>,
    principal: Option<Principal>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    if let Some(route) = request.extensions().get::<MatchedPath>()
        && let Err(problem) =
            may(&guard.rules, request.method(), route.as_str(), token.is_some(), principal.as_ref())
    {
        return problem.into_response();
    }
    if let Some((principal, token)) = principal.zip(token) {
        request.extensions_mut().insert(principal);
        request.extensions_mut().insert(Token(token.into()));
    }
    next.run(request).await
}

impl Guard {
    /// The token that a one-time ticket in the query of the live feed stands for.
    fn live_ticket(&self, request: &Request<Body>) -> Option<String> {
        let query = request.uri().query().filter(|_| request.uri().path().starts_with(LIVE))?;
        let (_, ticket) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket")?;
        self.app.live.tickets.redeem(&ticket, Instant::now()).map(|token| token.to_string())
    }
}

fn bearer(request: &Request<Body>) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn may(
    rules: &Rules,
    method: &Method,
    route: &str,
    has_token: bool,
    principal: Option<&Principal>,
) -> Result<(), Problem> {
    // A method the path does not have: the router says which it has.
    let Some(takes) = rules.find(method, route) else { return Ok(()) };
    let Takes::Permission(permission) = takes else { return Ok(()) };
    match principal {
        None if has_token => Err(Problem::new(
            Kind::Unauthenticated,
            "this token is not known: it expired, was revoked, or is not from here",
        )),
        None => Err(Problem::new(
            Kind::Unauthenticated,
            "sign in, or send a token: Authorization: Bearer <token>",
        )),
        Some(principal) if principal.may(permission) => Ok(()),
        Some(_) => Err(Problem::new(
            Kind::NotAllowed,
            format!(
                "this takes the permission {}, which a {} has",
                permission.word(),
                crate::access::role_word(permission.least())
            ),
        )),
    }
}
