//! The device port: which path means what, who asks, and may they. Knows requests and replies as values; knows
//! no socket (`http`), no rule (`engine`) and no wording (`profile`).
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | routes, keys, rate limits, errors |
//! | `scan.rs` | validate, check, test-scan, card-read, annul, passed, turns |
//! | `offline.rs` | scans made while a device was cut off |
//! | `device.rs` | heartbeat, registration, settings, operators' commands |
//! | `feed.rs` | latest, poll and streams, from the journal's tail |

mod device;
mod feed;
mod offline;
mod scan;

use crate::body::{BodyError, Scratch};
use crate::cold::ColdLookups;
use crate::http::{Fault, Method, Next, Reply, Request, Service, Stages};
use crate::metrics::{Latency, PortMetrics};
use crate::profile::{Profile, ProfileId, Profiles, render};
use crate::rate::Limiter;
use engine::catalog::{Catalog, Device, DeviceId, DeviceStatus, FailPolicy, OperatorId, Role};
use engine::journal::AppendError;
use engine::limits::DEVICE_CONNECTED_MS;
use engine::{Engine, EngineError, Time};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Semaphore;

pub use feed::Bell;

/// Largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of an offline upload, in bytes.
pub const OFFLINE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The one path whose body is no single object.
const OFFLINE: &str = "/api/access/offline";
/// Seconds after which a refused or unavailable request should be tried again.
const RETRY_AFTER_S: &str = "1";
/// Code of a message or an unlock for a device that has not fetched the ones before.
const TOO_MANY_COMMANDS: &str = "too_many_commands";

/// What all workers share.
pub struct Shared {
    /// The engine.
    pub engine: Arc<Engine>,
    /// How devices speak.
    pub profiles: Profiles,
    /// Rate limits.
    pub limiter: Limiter,
    /// Look-ups of tickets that are in the store only.
    pub cold: ColdLookups,
    /// Rings when a record became durable.
    pub bell: Arc<Bell>,
    /// Counters of this port.
    pub metrics: PortMetrics,
    /// How long the steps of an answer take, where somebody wants to know.
    pub stages: Option<Stages>,
    /// When each device was last heard of, in ms since 1970, by device number.
    pub last_seen: parking_lot::RwLock<Vec<AtomicI64>>,
    /// With which a device may register, as a hash.
    pub registration_secret: Option<[u8; 32]>,
    /// Make a registered device active at once.
    pub registration_auto_approve: bool,
}

/// The device port's service: one per worker.
pub struct Port {
    shared: Arc<Shared>,
    scratch: RefCell<Scratch>,
    latency: Arc<Latency>,
    /// Whose offline upload is being taken in.
    upload_turn: Rc<Semaphore>,
}

/// What a connection remembers: the last key that was good, so that it is not hashed for every scan.
#[derive(Default)]
pub struct Memo {
    key: RefCell<Vec<u8>>,
    device: Cell<Option<(u64, DeviceId)>>,
    /// Who has signed in, where that was found out before the request came here.
    operator: Option<OperatorId>,
}

impl Memo {
    /// Of a request by somebody who has signed in elsewhere.
    pub fn signed_in(operator: Option<OperatorId>) -> Memo {
        Memo { operator, ..Memo::default() }
    }

    /// Who has signed in.
    pub fn operator(&self) -> Option<OperatorId> {
        self.operator
    }
}

/// A request that is not answered with a decision: status, stable code, words.
pub struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

/// Who asks, once the key is known.
struct Caller<'c> {
    id: DeviceId,
    device: &'c Device,
    profile: ProfileId,
}

type Called = Result<Next, Refusal>;

impl Shared {
    /// Over this engine: nobody registers, and steps are not timed.
    pub fn new(engine: Arc<Engine>, profiles: Profiles, cold: ColdLookups) -> Shared {
        Shared {
            engine,
            profiles,
            limiter: Limiter::default(),
            cold,
            bell: Arc::default(),
            metrics: PortMetrics::default(),
            stages: None,
            last_seen: parking_lot::RwLock::default(),
            registration_secret: None,
            registration_auto_approve: false,
        }
    }

    /// When a device was last heard of; `None`: not since the start.
    pub fn last_seen(&self, id: DeviceId) -> Option<Time> {
        let at = self.last_seen.read().get(id.index()).map(|at| at.load(Ordering::Relaxed));
        at.filter(|at| *at > 0).map(Time)
    }

    /// After each sync of the journal from now on: latencies are noted, streams are told; after a failure, people are.
    pub fn listen_to_journal(&self, latency: &[Arc<Latency>]) {
        let (bell, latency) = (Arc::clone(&self.bell), latency.to_vec());
        let journal = self.engine.journal().clone();
        self.engine.journal().on_durable(Box::new(move || {
            let durable = journal.positions().durable;
            latency.iter().for_each(|worker| worker.durable(durable));
            bell.ring();
        }));
    }
}

impl Port {
    /// A port for one worker.
    pub fn new(shared: Arc<Shared>, latency: Arc<Latency>) -> Port {
        let upload_turn = Rc::new(Semaphore::new(1));
        Port { shared, scratch: RefCell::new(Scratch::default()), latency, upload_turn }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    fn profile(&self, id: ProfileId) -> &Profile {
        self.shared.profiles.get(id)
    }

    fn route(&self, request: &Request<'_, Memo>, reply: &mut Reply) -> Called {
        let (token, path) = split_token(request.path);
        let allowed = match methods_of(path) {
            None => {
                return Err(Refusal::new(
                    404,
                    "not_found",
                    "there is no such path; paths begin with /api/access/ or /api/kqt300/, in lower case, without a slash at the end",
                ));
            }
            Some(methods) => methods,
        };
        if request.method == Method::Options {
            reply.status = 204;
            let _ = reply.header("Allow", allowed);
            return Ok(Next::Reply);
        }
        let asks = matches!(request.method, Method::Get | Method::Head);
        if !(asks && allowed.starts_with("GET") || request.method == Method::Post && allowed.contains("POST"))
        {
            let _ = reply.header("Allow", allowed);
            return Err(Refusal::new(405, "method_not_allowed", format!("this path takes {allowed}")));
        }
        let call = Call { request, token, path };
        if request.method == Method::Post && call.is_coded() {
            return Err(self.refuse_coding(&call, reply));
        }
        match path {
            "/api/access/validate"
            | "/api/kqt300/scan"
            | "/api/kqt300/card-read"
            | "/api/access/check"
            | "/api/access/test-scan" => self.scan(&call, reply),
            "/api/access/annul" | "/api/access/passed" => self.passage(&call, reply),
            "/api/access/turns" => self.turns(&call, reply),
            OFFLINE => self.offline(&call, reply),
            "/api/access/latest" => self.latest(&call, reply),
            "/api/access/poll" => self.poll(&call, reply),
            "/api/access/stream" => self.stream(&call, reply),
            "/api/access/stream-test" => Ok(feed::stream_test(reply)),
            "/api/access/health" => Ok(self.health(reply)),
            "/api/kqt300/status" => self.status(&call, reply),
            "/api/kqt300/heartbeat" => self.heartbeat(&call, reply),
            "/api/kqt300/register" => self.register(&call, reply),
            "/api/kqt300/access-control" => self.access_control(&call, reply),
            _ => self.device_config(&call, reply),
        }
    }

    // --- who asks ---

    /// A body in a coding we do not read. Whose it is comes first, where that is seen without the body: a reader that
    /// speaks text must be refused in text.
    fn refuse_coding(&self, call: &Call<'_>, reply: &mut Reply) -> Refusal {
        let catalog = self.engine().catalog_guard();
        let known = call.key(None).and_then(|key| self.device_of_key(call.request.memo, &catalog, key));
        if known.is_some()
            && let Err(refusal) = self.caller(call, &catalog, None, reply)
        {
            return refusal;
        }
        let _ = reply.header("Accept-Encoding", "identity");
        Refusal::new(
            415,
            "unsupported_media_type",
            "bodies are read as they are: send it without compression and leave Content-Encoding out",
        )
    }

    /// A body that could be read. For one that could not: whose it is comes first, as for a coding.
    fn readable<T>(
        &self,
        call: &Call<'_>,
        catalog: &Catalog,
        body: Result<T, BodyError>,
        reply: &mut Reply,
    ) -> Result<T, Refusal> {
        body.or_else(|error| {
            // A key that stands in the body alone cannot be told; the body is what has to be mended.
            if call.key(None).is_some() {
                self.caller(call, catalog, None, reply)?;
            }
            Err(error.into())
        })
    }

    /// The device behind the request's key; counts the request against its rate limit.
    fn caller<'c>(
        &self,
        call: &Call<'_>,
        catalog: &'c Catalog,
        body_key: Option<&str>,
        reply: &mut Reply,
    ) -> Result<Caller<'c>, Refusal> {
        let key = call.key(body_key).ok_or_else(|| call.no_key())?;
        let id = self.device_of_key(call.request.memo, catalog, key);
        let found = id.and_then(|id| Some((id, catalog.device(id)?)));
        let (id, device) =
            found.ok_or_else(|| Refusal::new(401, "invalid_api_key", "this key belongs to no device"))?;
        let profile = self.shared.profiles.id_of(&device.profile);
        reply.tag =
            tag_of(profile, device.gate.and_then(|gate| catalog.gate(gate)).map(|gate| gate.fail_policy));
        self.admit_caller(call.request.peer, id, device, reply)?;
        Ok(Caller { id, device, profile })
    }

    fn device_of_key(&self, memo: &Memo, catalog: &Catalog, key: &[u8]) -> Option<DeviceId> {
        if let Some((version, device)) = memo.device.get()
            && version == catalog.version
            && *memo.key.borrow() == key
        {
            return Some(device);
        }
        let device = catalog.device_keyed(&secrets::hash(key))?;
        let mut kept = memo.key.borrow_mut();
        kept.clear();
        kept.extend_from_slice(key);
        memo.device.set(Some((catalog.version, device)));
        Some(device)
    }

    fn admit_caller(
        &self,
        peer: IpAddr,
        id: DeviceId,
        device: &Device,
        reply: &mut Reply,
    ) -> Result<(), Refusal> {
        let now = self.engine().now();
        self.seen(id, now.0);
        if let Some(limit) = device.rate_per_minute {
            let standing = self.shared.limiter.take(id, limit, u32::try_from(now.0 / 1_000).unwrap_or(0));
            for (name, value) in [
                ("X-RateLimit-Limit", standing.limit),
                ("X-RateLimit-Remaining", standing.remaining),
                ("X-RateLimit-Reset", standing.reset_s),
            ] {
                number_header(reply, name, value);
            }
            if !standing.allowed {
                let wait_s = i64::from(standing.reset_s) - now.0 / 1_000;
                number_header(reply, "Retry-After", u32::try_from(wait_s.max(1)).unwrap_or(1));
                return Err(Refusal::new(
                    429,
                    "rate_limited",
                    format!("{limit} requests a minute are allowed for this device"),
                ));
            }
        }
        if device.status != DeviceStatus::Active {
            return Err(Refusal::new(
                403,
                "device_not_active",
                format!("this device is {:?}; an operator must activate it", device.status).to_lowercase(),
            ));
        }
        if !device.sources.is_empty() && !device.sources.iter().any(|source| source.parse() == Ok(peer)) {
            return Err(Refusal::new(
                403,
                "source_not_allowed",
                "this device may not speak from this address",
            ));
        }
        Ok(())
    }

    fn seen(&self, id: DeviceId, now_ms: i64) {
        {
            let seen = self.shared.last_seen.read();
            if let Some(at) = seen.get(id.index()) {
                at.store(now_ms, Ordering::Relaxed);
                return;
            }
        }
        let mut seen = self.shared.last_seen.write();
        while seen.len() <= id.index() {
            seen.push(AtomicI64::new(0));
        }
        seen[id.index()].store(now_ms, Ordering::Relaxed);
    }

    /// The operator behind the request's token, with at least this role.
    fn operator(&self, call: &Call<'_>, catalog: &Catalog, least: Role) -> Result<OperatorId, Refusal> {
        self.operator_of(call, None, catalog, least)
    }

    /// The same, for a request whose body may carry the token because its headers carry the device's key.
    fn operator_of(
        &self,
        call: &Call<'_>,
        body_token: Option<&[u8]>,
        catalog: &Catalog,
        least: Role,
    ) -> Result<OperatorId, Refusal> {
        if let Some(id) = call.request.memo.operator() {
            return has_role(id, catalog, least);
        }
        let token = body_token.or_else(|| call.header("X-Operator-Token")).or_else(|| call.bearer()).ok_or_else(|| {
            Refusal::new(401, "invalid_token", "an operator's token is needed: Authorization: Bearer <token>, made by gatehouse user add")
        })?;
        let id = catalog
            .operator_keyed(&secrets::hash(token))
            .ok_or_else(|| Refusal::new(401, "invalid_token", "this token belongs to no operator"))?;
        has_role(id, catalog, least)
    }

    // --- answers ---

    fn refuse(&self, refusal: &Refusal, reply: &mut Reply) {
        reply.status = refusal.status;
        if refusal.status == 503 {
            let _ = reply.header("Retry-After", RETRY_AFTER_S);
        }
        self.shared.metrics.faults.count(refusal.status);
        reply.body.clear();
        let (profile, fail_policy) = of_tag(reply.tag);
        let profile = self.profile(profile);
        reply.content_type = profile.content_type();
        if refusal.status == 503 {
            render::unavailable(profile, fail_policy, &mut reply.body);
        } else {
            render::fault(profile, refusal.status, refusal.code, &refusal.message, &mut reply.body);
        }
    }

    fn health(&self, reply: &mut Reply) -> Next {
        let engine = self.engine();
        let (now, well) = (engine.now(), !engine.journal().poisoned());
        let connected = self
            .shared
            .last_seen
            .read()
            .iter()
            .filter(|at| now.0 - at.load(Ordering::Relaxed) < DEVICE_CONNECTED_MS)
            .count();
        let last = engine.with_state(|state| state.scans.newest().next().map(|scan| scan.answer.at));
        reply.status = if well { 200 } else { 503 };
        json(
            reply,
            &serde_json::json!({
                "status": if well { "healthy" } else { "unavailable" },
                "timestamp": crate::profile::rfc3339(now),
                "device_connections": connected,
                "last_scan": last.map(crate::profile::rfc3339),
            }),
        );
        Next::Reply
    }
}

impl Service for Port {
    type Memo = Memo;

    fn body_bytes_max(&self, _method: Method, path: &str) -> usize {
        if split_token(path).1 == OFFLINE { OFFLINE_BODY_BYTES_MAX } else { BODY_BYTES_MAX }
    }

    fn stages(&self) -> Option<&Stages> {
        self.shared.stages.as_ref()
    }

    fn call(&self, request: &Request<'_, Memo>, reply: &mut Reply) -> Next {
        self.route(request, reply).unwrap_or_else(|refusal| {
            self.refuse(&refusal, reply);
            Next::Reply
        })
    }

    fn undurable(&self, reply: &mut Reply) {
        self.refuse(&Refusal::unavailable(), reply);
    }

    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply) {
        let status = reply.status;
        self.refuse(&Refusal::new(status, fault.code, fault.message), reply);
    }
}

/// A request on its way through a handler.
struct Call<'r> {
    request: &'r Request<'r, Memo>,
    /// The key in front of the path.
    token: Option<&'r str>,
    /// The path without it.
    path: &'r str,
}

impl<'r> Call<'r> {
    fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.request.headers.get(name).filter(|value| !value.is_empty())
    }

    /// Is the body in another coding than its own bytes?
    fn is_coded(&self) -> bool {
        let headers = self.request.headers.iter();
        let mut codings = headers.filter(|(name, _)| name.eq_ignore_ascii_case(b"Content-Encoding"));
        codings.any(|(_, value)| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity"))
    }

    fn bearer(&self) -> Option<&'r [u8]> {
        let value = self.header("Authorization")?;
        let (scheme, token) = value.split_at_checked(7)?;
        (scheme.eq_ignore_ascii_case(b"bearer ")).then_some(token)
    }

    fn key<'k>(&self, body_key: Option<&'k str>) -> Option<&'k [u8]>
    where
        'r: 'k,
    {
        body_key
            .map(str::as_bytes)
            .or_else(|| self.header("X-Api-Key"))
            .or_else(|| self.bearer())
            .or_else(|| self.token.map(str::as_bytes))
    }

    /// Nobody asks. Says where a key can stand, and the body only where it is looked for there.
    fn no_key(&self) -> Refusal {
        let in_body = self.request.method == Method::Post && self.path != OFFLINE;
        let body = if in_body { "api_key in the body, " } else { "" };
        let message = format!(
            "no key: send {body}X-Api-Key, Authorization: Bearer, or /d/<token>/ in front of the path"
        );
        Refusal::new(401, "invalid_api_key", message)
    }

    /// A parameter of the query, not decoded: ids and numbers need no escapes.
    fn query(&self, name: &str) -> Option<&'r str> {
        self.request
            .query?
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    fn malformed(field: &str, problem: impl std::fmt::Display) -> Refusal {
        Refusal::new(400, "malformed_request", format!("{field}: {problem}"))
    }

    fn unavailable() -> Refusal {
        Refusal::new(503, "unavailable", "the server cannot decide now; this is not a refusal of the guest")
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Refusal {
        Refusal::new(400, "malformed_request", error.to_string())
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Refusal {
        let message = error.to_string();
        match error {
            EngineError::ScanIdConflict => Refusal::new(409, "scan_id_conflict", message),
            EngineError::ScanIdReserved => Refusal::malformed("scan_id", message),
            EngineError::ScanNotFound | EngineError::TicketNotFound => {
                Refusal::new(404, "not_found", message)
            }
            EngineError::NotAdmitted => Refusal::new(409, "not_admitted", message),
            EngineError::PassageDecided(_) => Refusal::new(409, "passage_decided", message),
            EngineError::TooLateToAnnul => Refusal::new(409, "too_late_to_annul", message),
            EngineError::CommandsWait => Refusal::new(409, TOO_MANY_COMMANDS, message),
            EngineError::Catalog(_) => Refusal::new(400, "malformed_request", message),
            EngineError::Unavailable(AppendError::TooLarge { .. }) => {
                Refusal::new(413, "body_too_large", message)
            }
            // Whatever else it is, the guest was not refused: say that we cannot decide.
            _ => Refusal::unavailable(),
        }
    }
}

/// What a reply must know when the journal fails under it: how its device speaks, and its gate's fail policy.
fn tag_of(profile: ProfileId, policy: Option<FailPolicy>) -> u32 {
    profile.0 | if policy == Some(FailPolicy::Open) { TAG_FAILS_OPEN } else { 0 }
}

fn of_tag(tag: u32) -> (ProfileId, FailPolicy) {
    let policy = if tag & TAG_FAILS_OPEN == 0 { FailPolicy::Closed } else { FailPolicy::Open };
    (ProfileId(tag & !TAG_FAILS_OPEN), policy)
}

const TAG_FAILS_OPEN: u32 = 1 << 31;

/// `/d/<token>/api/…` for readers that can send nothing else.
fn split_token(path: &str) -> (Option<&str>, &str) {
    let split = path.strip_prefix("/d/").and_then(|rest| rest.find('/').map(|end| rest.split_at(end)));
    split.map_or((None, path), |(token, path)| (Some(token), path))
}

/// The methods of a path; `None`: there is no such path.
fn methods_of(path: &str) -> Option<&'static str> {
    Some(match path {
        "/api/access/validate"
        | "/api/access/check"
        | "/api/access/test-scan"
        | "/api/access/annul"
        | "/api/access/passed"
        | "/api/access/turns"
        | OFFLINE
        | "/api/kqt300/heartbeat"
        | "/api/kqt300/register"
        | "/api/kqt300/scan"
        | "/api/kqt300/card-read"
        | "/api/kqt300/access-control" => "POST, OPTIONS",
        "/api/access/latest"
        | "/api/access/poll"
        | "/api/access/stream"
        | "/api/access/stream-test"
        | "/api/access/health"
        | "/api/kqt300/status" => "GET, HEAD, OPTIONS",
        "/api/kqt300/config" => "GET, HEAD, POST, OPTIONS",
        "*" => "GET, HEAD, POST, OPTIONS",
        _ => return None,
    })
}

fn number_header(reply: &mut Reply, name: &str, value: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let _ = reply.header(name, &digits[at..]);
}

/// Writes a JSON body.
fn json(reply: &mut Reply, value: &serde_json::Value) {
    reply.content_type = "application/json";
    reply.body.clear();
    serde_json::to_writer(&mut reply.body, value).expect("writing to a vector does not fail");
}

fn has_role(id: OperatorId, catalog: &Catalog, least: Role) -> Result<OperatorId, Refusal> {
    let role = catalog.operator(id).map_or(Role::Viewer, |operator| operator.role);
    if role < least {
        return Err(Refusal::new(
            403,
            "not_allowed",
            format!("this takes a {least:?}, this operator is a {role:?}").to_lowercase(),
        ));
    }
    Ok(id)
}
