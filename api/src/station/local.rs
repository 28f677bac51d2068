//! The port a station has for web pages of its own PC: `POST /print`, `POST /display`, `GET /status`, `GET /jobs`, and,
//! where that was allowed, `POST /drawer`. Only pages whose origin was allowed, and only under this PC's own name. Knows no
//! device.

use super::{ServerLink, StationOptions};
use crate::http::{Fault, Method, Next, Reply, Request, Service};
use crate::ops::{self, Refused};
use crate::peripherals::paths::{Counter, Wanted};
use crate::peripherals::requests::{Asker, Desk, parse};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A page's document or text, in bytes: a picture as lines is none.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A browser asks again after so long whether it may, in seconds.
const PREFLIGHT_S: &str = "600";

/// The port's service.
pub struct Pages {
    counter: Counter,
    options: StationOptions,
    link: Arc<ServerLink>,
}

// === impl Pages ===

impl Pages {
    /// Pages print and show through this desk.
    pub fn new(desk: Desk, options: StationOptions, link: Arc<ServerLink>) -> Pages {
        Pages { counter: Counter::new(Some(desk)), options, link }
    }

    fn answer(&self, request: &Request<'_, ()>, reply: &mut Reply) -> Result<Next, Refused> {
        self.check_host(request)?;
        self.check_origin(request, reply)?;
        if request.method == Method::Options {
            allow(request, reply);
            return Ok(Next::Reply);
        }
        let wanted = match (request.method, request.path) {
            (Method::Get | Method::Head, "/status") => self.status(),
            (Method::Get | Method::Head, "/jobs") => jobs(request.query),
            (Method::Post, "/print") => print(body(request)?),
            (Method::Post, "/display") => show(body(request)?),
            (Method::Get | Method::Head, "/audit") => Wanted::new(|desk, _| desk.audit()),
            (Method::Post, "/drawer") => self.drawer(body(request)?)?,
            (_, "/status" | "/jobs" | "/audit" | "/print" | "/display" | "/drawer") => {
                let words = "GET /status, GET /jobs, GET /audit, POST /print, POST /display, POST /drawer";
                return Err((405, "method_not_allowed", words.to_owned()));
            }
            _ => return Err((404, "not_found", "there is no such path".to_owned())),
        };
        self.counter.serve(wanted, Asker::Station(self.options.name.clone()), reply)
    }

    /// A page that reaches this port under a name of its own (DNS rebinding) is not of this PC.
    fn check_host(&self, request: &Request<'_, ()>) -> Result<(), Refused> {
        let host = request.headers.get("Host").unwrap_or_default();
        let host = std::str::from_utf8(host).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let own = self.options.listen.ip().to_string();
        if ["localhost", "127.0.0.1", "[::1]"].contains(&name) || name.trim_matches(['[', ']']) == own {
            return Ok(());
        }
        Err((403, "host_not_allowed", "this port is for pages and programs of this PC".to_owned()))
    }

    fn check_origin(&self, request: &Request<'_, ()>, reply: &mut Reply) -> Result<(), Refused> {
        let Some(origin) = request.headers.get("Origin") else { return Ok(()) };
        if !self.options.origins.iter().any(|allowed| allowed.as_bytes() == origin) {
            let words = "pages of this origin may not print here; allow it with --allow-origin".to_owned();
            return Err((403, "origin_not_allowed", words));
        }
        let _ = reply.header("Access-Control-Allow-Origin", origin);
        let _ = reply.header("Vary", "Origin");
        Ok(())
    }

    /// Money is behind it: whoever set up the station said that pages may, and each opening says who and why.
    fn drawer(&self, mut body: Value) -> Result<Wanted, Refused> {
        if !self.options.drawer {
            let words = "pages may not open the cash drawer here; the station allows it with --allow-drawer";
            return Err((403, "drawer_not_allowed", words.to_owned()));
        }
        let missing = || (400, "malformed_request", "who: whose hand is in the drawer?".to_owned());
        let who = body.as_object_mut().and_then(|fields| fields.remove("who")).ok_or_else(missing)?;
        let who = who.as_str().filter(|who| !who.trim().is_empty()).ok_or_else(missing)?.to_owned();
        Ok(Wanted::new(move |desk, asker| {
            the_only(desk, &mut body, "printer", "printer")?;
            let asker = Asker::Person(format!("{who}, {}", asker.name()));
            desk.kick(body.to_string().as_bytes(), &asker)
        }))
    }

    fn status(&self) -> Wanted {
        let (link, name) = (Arc::clone(&self.link), self.options.name.clone());
        let alone = self.options.server.is_none();
        Wanted::new(move |desk, _| {
            let mut value = desk.list();
            value["station"] = json!(name);
            value["server"] = if alone { json!({"state": "none"}) } else { link.value() };
            Ok(value)
        })
    }
}

/// What a browser wants to know before it sends JSON across origins.
fn allow(request: &Request<'_, ()>, reply: &mut Reply) {
    reply.status = 204;
    let _ = reply.header("Access-Control-Allow-Methods", "GET, POST");
    let _ = reply.header("Access-Control-Allow-Headers", "Content-Type");
    let _ = reply.header("Access-Control-Max-Age", PREFLIGHT_S);
    // A page of the network that asks this PC: Private Network Access.
    if request.headers.get("Access-Control-Request-Private-Network").is_some() {
        let _ = reply.header("Access-Control-Allow-Private-Network", "true");
    }
}

/// A body that is JSON and says so: a form of any page could be sent here without asking, JSON cannot.
fn body(request: &Request<'_, ()>) -> Result<Value, Refused> {
    let kind = request.headers.get("Content-Type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with(b"application/json") {
        return Err((415, "unsupported_media_type", "Content-Type: application/json is needed".to_owned()));
    }
    parse(request.body)
}

fn jobs(query: Option<&str>) -> Wanted {
    let query = query.map(str::to_owned);
    Wanted::new(move |desk, _| {
        let of = |name| ops::parameter(query.as_deref(), name);
        match of("job") {
            Some(id) => desk.job(id),
            None => desk.jobs(of("peripheral"), of("state")),
        }
    })
}

fn print(mut body: Value) -> Wanted {
    Wanted::new(move |desk, asker| {
        the_only(desk, &mut body, "peripheral", "printer")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        desk.print(body.to_string().as_bytes(), asker, now.as_millis() as i64)
    })
}

fn show(mut body: Value) -> Wanted {
    Wanted::new(move |desk, _| {
        the_only(desk, &mut body, "display", "display")?;
        desk.show(body.to_string().as_bytes())
    })
}

/// Where there is one printer (or display), a page need not name it. What a peripheral is, its driver tells: one that
/// was not started yet may be either.
fn the_only(desk: &Desk, body: &mut Value, field: &str, kind: &str) -> Result<(), Refused> {
    if !body.is_object() {
        return Err((400, "malformed_request", "the body has to be a JSON object".to_owned()));
    }
    if body.get(field).is_some() {
        return Ok(());
    }
    let list = desk.list();
    let all = list["peripherals"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut of_kind = all.iter().filter(|own| own["kind"] == kind || own["kind"].is_null());
    match (of_kind.next(), of_kind.next()) {
        (Some(only), None) => {
            body[field] = only["name"].clone();
            Ok(())
        }
        _ => Err((400, "malformed_request", format!("{field}: name one; GET /status lists them"))),
    }
}

impl Service for Pages {
    type Memo = ();

    fn body_bytes_max(&self, _method: Method, _path: &str) -> usize {
        BODY_BYTES_MAX
    }

    fn call(&self, request: &Request<'_, ()>, reply: &mut Reply) -> Next {
        self.answer(request, reply).unwrap_or_else(|refused| {
            ops::refuse(reply, &refused);
            Next::Reply
        })
    }

    fn undurable(&self, reply: &mut Reply) {
        ops::refuse(reply, &(503, "unavailable", "nothing here waits for a journal".to_owned()));
    }

    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply) {
        ops::refuse(reply, &(reply.status, fault.code, fault.message.to_owned()));
    }
}
