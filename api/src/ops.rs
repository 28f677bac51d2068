//! The API port as far as it goes today: health, readiness, metrics, the read-only device paths for signed-in
//! people, and the few changes a venue needs before the admin REST: venue files, ticket lists, a ticket's status,
//! operators. Knows no socket.

use crate::http::{Fault, Method, Next, Reply, Request, Service};
use crate::metrics::{self, Latency, Sources};
use crate::peripherals::paths::{self, Counter};
use crate::peripherals::requests::Asker;
use crate::port::{Memo, Port};
use crate::venue::{self, Venue};
use admin::access::STATION_PREFIX;
use engine::catalog::{Catalog, Entity, Operator, OperatorId, Role};
use engine::ticket::CodeKind;
use engine::{Engine, EngineError};
use lists::TicketRow;
use lists::cold::ColdCodes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Largest body of a change, in bytes.
pub const CHANGE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the API port's worker needs.
pub struct Ops {
    port: Port,
    engine: Arc<Engine>,
    sources: Arc<Sources>,
    /// Hash of the token that the program's own commands use, read from a file only its user can read.
    local_token: [u8; 32],
    stopping: Arc<AtomicBool>,
    cold_codes: Arc<ColdCodes>,
    counter: Counter,
}

/// A change that was not made: status and words.
pub type Refused = (u16, &'static str, String);

impl Ops {
    /// The API port's service.
    pub fn new(
        port: Arc<crate::port::Shared>,
        sources: Arc<Sources>,
        local_token: [u8; 32],
        stopping: Arc<AtomicBool>,
        cold_codes: Arc<ColdCodes>,
    ) -> Ops {
        let engine = Arc::clone(&port.engine);
        let counter = Counter::new(sources.desk.clone());
        Ops {
            port: Port::new(port, Arc::new(Latency::default())),
            engine,
            sources,
            local_token,
            stopping,
            cold_codes,
            counter,
        }
    }

    fn change(&self, request: &Request<'_, Memo>, reply: &mut Reply) -> Result<Value, Refused> {
        let operator = self.operator(request, Role::Manager)?;
        let (value, wait) = match request.path {
            "/api/v1/venue" => put_venue(&self.engine, operator, text(request.body)?, &|name| {
                self.sources.profiles.contains(name)
            })?,
            "/api/v1/tickets/import" => {
                let event = parameter(request.query, "event").ok_or((
                    400,
                    "malformed_request",
                    "event: which event? add ?event=NAME".to_owned(),
                ))?;
                import_rows(
                    &self.engine,
                    &self.cold_codes,
                    event,
                    request.body,
                    parameter(request.query, "dry_run") == Some("1"),
                )?
            }
            "/api/v1/tickets/status" => set_status(&self.engine, operator, request.body)?,
            // The command `gatehouse user add`; operators make each other at `/api/v1/operators`.
            "/api/v1/local/operators" if operator.is_none() => add_operator(&self.engine, request.body)?,
            _ => return Err((404, "not_found", "there is no such path".to_owned())),
        };
        reply.wait = wait;
        Ok(value)
    }

    /// Who asks, where that may be done by `least`; `None` is the program's own command.
    fn operator(&self, request: &Request<'_, Memo>, least: Role) -> Result<Option<OperatorId>, Refused> {
        if let Some(id) = request.memo.operator() {
            return self.with_role(id, least);
        }
        let header = request.headers.get("Authorization").unwrap_or_default();
        let token = header.strip_prefix(b"Bearer ").ok_or((
            401,
            "invalid_token",
            "a token is needed: Authorization: Bearer <token>".to_owned(),
        ))?;
        let hash = secrets::hash(token);
        if hash == self.local_token {
            return Ok(None);
        }
        let id = self.engine.catalog().operator_keyed(&hash).ok_or((
            401,
            "invalid_token",
            "this token belongs to no operator".to_owned(),
        ))?;
        self.with_role(id, least)
    }

    fn with_role(&self, id: OperatorId, least: Role) -> Result<Option<OperatorId>, Refused> {
        match self.engine.catalog().operator(id) {
            Some(operator) if operator.role >= least => Ok(Some(id)),
            _ => Err((403, "not_allowed", format!("this takes a {}", format!("{least:?}").to_lowercase()))),
        }
    }

    /// A station asks for work, or hands some in.
    fn at_the_counter(&self, request: &Request<'_, Memo>, reply: &Reply) -> Result<Next, Refused> {
        let wanted = paths::wanted(request.method, request.path, request.body).ok_or((
            404,
            "not_found",
            "there is no such path, or not with this method".to_owned(),
        ))?;
        let id = self.operator(request, Role::Steward)?;
        let catalog = self.engine.catalog();
        let name = id.and_then(|id| catalog.operator(id)).map(|own| own.name.as_str()).unwrap_or_default();
        let asker = match name.strip_prefix(STATION_PREFIX) {
            Some(station) => Asker::Station(station.to_owned()),
            None => Asker::Person(name.to_owned()),
        };
        self.counter.serve(wanted, asker, reply)
    }

    fn ready(&self) -> (u16, &'static str) {
        if self.engine.journal().poisoned() {
            return (503, "poisoned: a journal write failed, nothing is admitted; see the log, then restart");
        }
        if self.stopping.load(Ordering::Relaxed) {
            return (503, "stopping");
        }
        (200, "ready")
    }
}

impl Service for Ops {
    type Memo = Memo;

    fn body_bytes_max(&self, _method: Method, path: &str) -> usize {
        if path.starts_with("/api/v1/") { CHANGE_BODY_BYTES_MAX } else { crate::port::BODY_BYTES_MAX }
    }

    fn call(&self, request: &Request<'_, Memo>, reply: &mut Reply) -> Next {
        let asks = matches!(request.method, Method::Get | Method::Head);
        match request.path {
            "/healthz" if asks => plain(reply, (200, "ok")),
            "/readyz" if asks => plain(reply, self.ready()),
            "/metrics" if asks => {
                reply.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                match metrics::page(Arc::clone(&self.sources)) {
                    Ok(page) => reply.body.extend_from_slice(page.as_bytes()),
                    Err(_) => return plain(reply, (500, "the metrics cannot be written")),
                }
                Next::Reply
            }
            "/api/access/latest" | "/api/access/poll" | "/api/access/stream" | "/api/access/health" => {
                self.port.call(request, reply)
            }
            path if paths::is_ours(path) => self.at_the_counter(request, reply).unwrap_or_else(|refused| {
                refuse(reply, &refused);
                Next::Reply
            }),
            _ if request.path.starts_with("/api/v1/") && request.method == Method::Post => {
                match self.change(request, reply) {
                    Ok(value) => write(reply, &value),
                    Err(refused) => refuse(reply, &refused),
                }
                Next::Reply
            }
            _ => {
                refuse(reply, &(404, "not_found", "there is no such path".to_owned()));
                Next::Reply
            }
        }
    }

    fn undurable(&self, reply: &mut Reply) {
        refuse(
            reply,
            &(
                503,
                "unavailable",
                "the change could not be made durable; ask again whether it was made".to_owned(),
            ),
        );
    }

    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply) {
        refuse(reply, &(reply.status, fault.code, fault.message.to_owned()));
    }
}

fn plain(reply: &mut Reply, (status, text): (u16, &str)) -> Next {
    reply.status = status;
    reply.content_type = "text/plain; charset=utf-8";
    reply.body.extend_from_slice(text.as_bytes());
    reply.body.push(b'\n');
    Next::Reply
}

/// Writes a value as JSON.
pub fn write(reply: &mut Reply, value: &Value) {
    reply.content_type = "application/json";
    reply.body.clear();
    serde_json::to_writer(&mut reply.body, value).expect("writing to a vector does not fail");
}

/// Writes a refusal.
pub fn refuse(reply: &mut Reply, (status, code, message): &Refused) {
    reply.status = *status;
    reply.wait = 0;
    write(reply, &json!({"status": "error", "error": code, "message": message}));
}

fn text(body: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(body).map_err(|_| (400, "malformed_request", "the body is not UTF-8".to_owned()))
}

/// A parameter of a query, as it was sent.
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn engine_error(error: &EngineError) -> Refused {
    match error {
        EngineError::Catalog(_) => (400, "malformed_request", error.to_string()),
        EngineError::TicketNotFound => (404, "not_found", error.to_string()),
        _ => (503, "unavailable", error.to_string()),
    }
}

// === changes: the same for a running server and for a command on its own ===

/// A value to show, and the LSN it waits for.
pub type Changed = Result<(Value, u64), Refused>;

/// Puts a venue file into the catalog, all or nothing.
pub fn put_venue(
    engine: &Engine,
    operator: Option<OperatorId>,
    text: &str,
    profiles: &dyn Fn(&str) -> bool,
) -> Changed {
    let venue: Venue = toml::from_str(text).map_err(|error| (400, "malformed_request", error.to_string()))?;
    let (entities, keys) = venue::entities(&venue, &engine.catalog(), profiles)
        .map_err(|mistakes| (400, "malformed_request", mistakes.join("\n")))?;
    let (count, mut wait) = (entities.len(), 0);
    for entity in entities {
        wait = engine.put(operator, entity).map_err(|error| engine_error(&error))?.0;
    }
    let keys: Vec<Value> =
        keys.into_iter().map(|(device, key)| json!({"device_id": device, "api_key": key})).collect();
    Ok((json!({"status": "success", "entities": count, "new_keys": keys}), wait))
}

/// Adds the rows of one batch (NDJSON); tells which were not and why, by their place in the batch.
pub fn import_rows(engine: &Engine, cold: &ColdCodes, event: &str, body: &[u8], dry_run: bool) -> Changed {
    let catalog = engine.catalog();
    let event =
        catalog.event_named(event).ok_or_else(|| (404, "not_found", unknown_event(&catalog, event)))?;
    let (mut places, mut good, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (place, line) in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let row = serde_json::from_slice::<TicketRow>(line).map_err(|error| error.to_string());
        let ticket = row.and_then(|row| row.ticket(&catalog, event, engine.now()));
        match ticket.and_then(|ticket| cold.free(engine, ticket)) {
            Ok(ticket) => {
                places.push(place);
                good.push(ticket);
            }
            Err(problem) => errors.push((place, problem)),
        }
    }
    let (lsn, outcomes) = engine.add_tickets(good, dry_run).map_err(|error| engine_error(&error))?;
    let added = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    errors.extend(
        places
            .into_iter()
            .zip(outcomes)
            .filter_map(|(place, outcome)| outcome.err().map(|error| (place, error.to_string()))),
    );
    errors.sort_by_key(|(place, _)| *place);
    let errors: Vec<Value> =
        errors.into_iter().map(|(place, problem)| json!({"row": place, "problem": problem})).collect();
    Ok((json!({"status": "success", "added": added, "errors": errors}), lsn.0))
}

/// What is told where an event of this name is not known.
pub fn unknown_event(catalog: &Catalog, name: &str) -> String {
    let known: Vec<&str> = catalog.events().map(|(_, event)| event.name.as_str()).take(10).collect();
    format!(
        "there is no event '{name}'; there is {}",
        if known.is_empty() { "none yet, import a venue first".to_owned() } else { known.join(", ") }
    )
}

/// Changes the status of the ticket that has a code: `{"code": …, "status": …}`.
pub fn set_status(engine: &Engine, operator: Option<OperatorId>, body: &[u8]) -> Changed {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| (400, "malformed_request", error.to_string()))?;
    let code = value["code"].as_str().unwrap_or_default();
    let status = lists::status(value["status"].as_str().unwrap_or("?"))
        .map_err(|problem| (400, "malformed_request", problem))?;
    let (id, ticket) = engine
        .ticket(CodeKind::Optical, code.as_bytes())
        .ok_or_else(|| (404, "not_found", format!("no ticket near in time has the code '{code}'")))?;
    let lsn = engine.set_status(operator, id, status).map_err(|error| engine_error(&error))?;
    Ok((
        json!({"status": "success", "ticket_id": ticket.details.reference(), "ticket_status": status}),
        lsn.0,
    ))
}

/// Adds an operator, or puts one in another's place, and gives a token, shown once: `{"email": …, "role": …}`.
pub fn add_operator(engine: &Engine, body: &[u8]) -> Changed {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| (400, "malformed_request", error.to_string()))?;
    let email = value["email"].as_str().unwrap_or_default().trim();
    if !email.contains('@') || email.starts_with(STATION_PREFIX) {
        return Err((400, "malformed_request", format!("email: '{email}' is not an e-mail address")));
    }
    let role: Role = serde_json::from_value(value["role"].clone()).map_err(|_| {
        (
            400,
            "malformed_request",
            "role: one of viewer, steward, supervisor, manager, administrator".to_owned(),
        )
    })?;
    let token = secrets::new_key().map_err(|problem| (503, "unavailable", problem))?;
    let password_hash = match value["password"].as_str() {
        Some(password) => {
            admin::check_new_password(password, email)
                .map_err(|problem| (400, "malformed_request", format!("password: {problem}")))?;
            secrets::password_hash(password).map_err(|problem| (503, "unavailable", problem))?
        }
        None => String::new(),
    };
    let operator = Operator {
        name: email.to_owned(),
        role,
        password_hash,
        token_hashes: vec![secrets::hash(token.as_bytes())],
    };
    let lsn = engine.put(None, Entity::Operator(operator)).map_err(|error| engine_error(&error))?;
    Ok((json!({"status": "success", "email": email, "role": role, "token": token}), lsn.0))
}
