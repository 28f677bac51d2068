//! Idempotency keys: a `POST` with an `Idempotency-Key` is done once, however often it is sent. Knows no resource.
//!
//! ```text
//! note "begun" → the resource's own changes → note "done" with the sealed answer → answer      all in one journal, in order
//! ```
//!
//! What is guaranteed: within 24 hours the same person or program, path and key change something at the most once, over
//! retries, lost connections, restarts and SIGKILL. The journal keeps its order, so a change that survived a crash has its
//! "begun" before it. Where a repeat finds "begun" and no answer, nobody can tell whether the change was made: it is
//! answered with `outcome_unknown` and not tried. A refusal (4xx) has changed nothing and is not kept.

use crate::access::{Principal, Proof};
use crate::app::App;
use crate::extract::{self, BODY_BYTES_MAX};
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use engine::catalog::OperatorId;
use engine::registry::{Act, RegistryChange};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
pub const KEY_CHARS_MAX: usize = 200;
/// Kind of the notes in the registry.
const KIND: &str = "idempotency";
/// Notes are kept so long.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// Notes that are kept: half of what the registry takes.
const NOTES_MAX: usize = 50_000;
/// Largest answer that is kept, in bytes: sealed and in base64 it still fits an entry.
const REPLY_BYTES_MAX: usize = 16 * 1_024;
/// Old notes that a new one takes along.
const FORGOTTEN_AT_ONCE: usize = 16;
/// Headers that belong to an answer.
const HEADERS_KEPT: [HeaderName; 4] = [header::CONTENT_TYPE, header::ETAG, header::LINK, header::LOCATION];

/// All keys that were used.
pub struct Keys {
    app: Arc<App>,
    /// What names and requests are hashed with: a request may hold a password that could be guessed from a bare hash.
    pepper: [u8; 32],
    running: Mutex<HashSet<String>>,
    /// When each note was made, and its name.
    ages: Mutex<BTreeSet<(i64, String)>>,
}

/// What is known of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    at_ms: i64,
    /// Hash of the request.
    request: String,
    outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    /// Whether it was done is not known.
    Begun,
    /// It was done, and this was the answer, sealed: it may show a secret. `None`: it was too large to keep.
    Done(Option<String>),
}

/// An answer as it is sealed.
#[derive(Serialize, Deserialize)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A key while its request runs.
struct Running {
    keys: Arc<Keys>,
    name: String,
    operator: Option<OperatorId>,
}

/// Does a request once, if it asks for that.
pub async fn once(State(keys): State<Arc<Keys>>, request: Request<Body>, next: Next) -> Response<Body> {
    let known = request.extensions().get::<MatchedPath>().is_some() && request.method() == Method::POST;
    let principal = request.extensions().get::<Principal>().filter(|_| known).cloned();
    let key = request.headers().get(IDEMPOTENCY_KEY).cloned();
    let (Some(principal), Some(key)) = (principal, key) else { return next.run(request).await };
    keys.answer(&principal, &key, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

// === impl Keys ===

impl Keys {
    /// With the notes of the time before.
    pub fn new(app: Arc<App>) -> Keys {
        let notes = app.engine.registry(KIND);
        let age = |(name, value): (String, Arc<str>)| Some((Note::read(&value)?.at_ms, name));
        let ages = notes.into_iter().filter_map(age).collect();
        let pepper = app.vault.derived(KIND);
        Keys { app, pepper, running: Mutex::default(), ages: Mutex::new(ages) }
    }

    async fn answer(
        self: Arc<Keys>,
        principal: &Principal,
        key: &HeaderValue,
        request: Request<Body>,
        next: Next,
    ) -> Result<Response<Body>, Problem> {
        let key = key_of(key)?;
        let (parts, body) = request.into_parts();
        let bytes = extract::body(Request::new(body), BODY_BYTES_MAX).await?;
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let name = self.hash(&[scope(principal).as_bytes(), parts.uri.path().as_bytes(), key.as_bytes()]);
        let fingerprint = self.hash(&[query, kind, &bytes]);
        let running = self.run(name, principal.operator)?;
        let before = self.app.engine.registry_entry(KIND, &running.name);
        let before = before.and_then(|text| Note::read(&text));
        if let Some(note) = before.as_ref().filter(|note| now_ms() - note.at_ms < KEPT_MS) {
            return self.repeat(&running.name, note, &fingerprint);
        }
        let note = running.begin(before.as_ref(), fingerprint)?;
        let request = Request::from_parts(parts, Body::from(bytes));
        // A task of its own: who hangs up and asks again finds the answer, not half of a change.
        let done = tokio::spawn(async move {
            let response = next.run(request).await;
            running.end(note, response).await
        });
        Ok(done.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }

    /// Each part with its length before it, so that no two requests are written alike.
    fn hash(&self, parts: &[&[u8]]) -> String {
        let mut text = self.pepper.to_vec();
        for part in parts {
            text.extend((part.len() as u64).to_le_bytes());
            text.extend(*part);
        }
        secrets::hash(&text)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn run(self: &Arc<Keys>, name: String, operator: Option<OperatorId>) -> Result<Running, Problem> {
        if self.running.lock().insert(name.clone()) {
            return Ok(Running { keys: Arc::clone(self), name, operator });
        }
        let detail = "a request with this Idempotency-Key is being answered; send it again in a moment";
        Err(Problem::new(Kind::InProgress, detail).after(1))
    }

    fn repeat(&self, name: &str, note: &Note, fingerprint: &str) -> Result<Response<Body>, Problem> {
        if note.request != fingerprint {
            let detail =
                "this Idempotency-Key was used for another request; every request has a key of its own";
            return Err(Problem::new(Kind::KeyReused, detail));
        }
        let unknown = |detail: &str| Problem::new(Kind::OutcomeUnknown, detail);
        match &note.outcome {
            Outcome::Begun => Err(unknown(
                "the first try ended without an answer, and may have been done; look, then send it with a new key",
            )),
            Outcome::Done(sealed) => {
                let text =
                    sealed.as_ref().and_then(|text| self.app.vault.open_sealed(&purpose(name), text).ok());
                let reply = text.and_then(|text| serde_json::from_str::<Reply>(&text).ok());
                let reply = reply.and_then(Reply::response);
                reply.ok_or_else(|| {
                    unknown("it was done; its answer was too large to be kept for a second time")
                })
            }
        }
    }
}

fn key_of(value: &HeaderValue) -> Result<&str, Problem> {
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len())).filter(visible);
    key.ok_or_else(|| {
        let message = format!("1 to {KEY_CHARS_MAX} visible ASCII characters are meant, such as a UUID");
        Problem::malformed("Idempotency-Key", message)
    })
}

fn scope(principal: &Principal) -> String {
    match (&principal.proof, principal.operator) {
        (Proof::ApiToken { id, .. }, _) => format!("token {id}"),
        (_, Some(operator)) => format!("operator {}", operator.0),
        (_, None) => "local".to_owned(),
    }
}

fn purpose(name: &str) -> String {
    format!("{KIND} {name}")
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

// === impl Running ===

impl Running {
    /// Notes that the request begins; `before` is a note of the same key that is too old. Old notes go.
    fn begin(&self, before: Option<&Note>, request: String) -> Result<Note, Problem> {
        let at_ms = now_ms();
        let mut ages = self.keys.ages.lock();
        if let Some(before) = before {
            ages.remove(&(before.at_ms, self.name.clone()));
        }
        let old = ages.iter().take_while(|(at, _)| at_ms - at >= KEPT_MS);
        let old: Vec<(i64, String)> = old.take(FORGOTTEN_AT_ONCE).cloned().collect();
        if ages.len() - old.len() >= NOTES_MAX {
            let detail = format!("{NOTES_MAX} keys of the last 24 hours are kept; send it without a key");
            return Err(Problem::new(Kind::Unavailable, detail));
        }
        let note = Note { at_ms, request, outcome: Outcome::Begun };
        let gone = old.iter().map(|(_, name)| change(name, None));
        let entries = gone.chain([change(&self.name, Some(&note))]).collect();
        self.keys.app.engine.act(self.operator, self.act("idempotency_begin", entries))?;
        for gone in &old {
            ages.remove(gone);
        }
        ages.insert((at_ms, self.name.clone()));
        Ok(note)
    }

    /// Notes how it ended. An answer that changed something leaves when its note is safe.
    async fn end(self, note: Note, response: Response<Body>) -> Response<Body> {
        let (status, app) = (response.status(), &self.keys.app);
        if status.is_server_error() {
            // Whether something was done is not known: the note stays as it is.
            return response;
        }
        if status.is_client_error() {
            let act = self.act("idempotency_refused", vec![change(&self.name, None)]);
            if app.engine.act(self.operator, act).is_ok() {
                self.keys.ages.lock().remove(&(note.at_ms, self.name.clone()));
            }
            return response;
        }
        let (response, reply) = Reply::of(response).await;
        let text = reply.map(|reply| serde_json::to_string(&reply).expect("an answer's texts are JSON"));
        let sealed = text.and_then(|text| app.vault.seal(&purpose(&self.name), &text).ok());
        let note = Note { outcome: Outcome::Done(sealed), ..note };
        let act = self.act("idempotency_done", vec![change(&self.name, Some(&note))]);
        // The change itself is safe. Should its note fail, a repeat is told that nobody knows.
        if let Ok(lsn) = app.engine.act(self.operator, act) {
            let _ = app.safe(lsn).await;
        }
        response
    }

    fn act(&self, action: &str, entries: Vec<RegistryChange>) -> Act {
        let (subject, details) = (self.name.clone(), "{}".to_owned());
        Act { action: action.to_owned(), subject, details, entries }
    }
}

fn change(name: &str, note: Option<&Note>) -> RegistryChange {
    let value = note.map(|note| serde_json::to_string(note).expect("a note is JSON"));
    RegistryChange { kind: KIND.to_owned(), name: name.to_owned(), value }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.keys.running.lock().remove(&self.name);
    }
}

// === impl Note, Reply ===

impl Note {
    fn read(text: &str) -> Option<Note> {
        serde_json::from_str(text).ok()
    }
}

impl Reply {
    /// The answer again, and what is kept of it, if that can be: a text of a known and small length.
    async fn of(response: Response<Body>) -> (Response<Body>, Option<Reply>) {
        let (parts, body) = response.into_parts();
        if body.size_hint().upper().is_none_or(|most| most > REPLY_BYTES_MAX as u64) {
            return (Response::from_parts(parts, body), None);
        }
        let Ok(whole) = body.collect().await else {
            return (Problem::new(Kind::Internal, "the answer could not be formed").into_response(), None);
        };
        let bytes = whole.to_bytes();
        let text = |name: &HeaderName| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        let reply = String::from_utf8(bytes.to_vec()).ok().map(|body| Reply {
            status: parts.status.as_u16(),
            headers: HEADERS_KEPT.iter().filter_map(text).collect(),
            body,
        });
        (Response::from_parts(parts, Body::from(bytes)), reply)
    }

    fn response(self) -> Option<Response<Body>> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        for (name, value) in self.headers {
            let name = HEADERS_KEPT.into_iter().find(|kept| kept.as_str() == name)?;
            response.headers_mut().insert(name, HeaderValue::from_str(&value).ok()?);
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    }
}
