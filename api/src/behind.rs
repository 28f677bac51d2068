//! The older paths of the API port, behind the admin API's listener: they are answered by [`Ops`], which speaks the words
//! of our own HTTP layer. Turns a request of the one into a request of the other, and the reply back; knows no path.
//!
//! One thread answers them all, as a worker of our own layer would: [`Ops`] is not made for more.

use crate::http::{Flow, HeaderList, Method, Next, Reply, Request, Service, Source};
use crate::ops::{CHANGE_BODY_BYTES_MAX, Ops};
use crate::port::Memo;
use admin::access::{Permission, Principal, Proof};
use admin::{Durable, Fallback};
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use engine::Lsn;
use engine::catalog::OperatorId;
use futures_util::FutureExt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// Requests that wait for the thread.
const WAITING_MAX: usize = 256;
/// Requests that are answered at once, streams and long polls among them.
const ANSWERING_MAX: usize = 512;
/// A body has so long to arrive.
const BODY_WAIT: Duration = Duration::from_secs(20);
/// A reply waits so long for the journal.
const DURABLE_WAIT: Duration = Duration::from_secs(5);
/// A look-up has so long.
const LATER_WAIT: Duration = Duration::from_secs(10);
/// News are waited for at most so long: a little longer than any poll asks for.
const POLL_WAIT: Duration = Duration::from_secs(35);
/// A listener that does not take a piece within this time is dropped.
const LISTENER_WAIT: Duration = Duration::from_secs(10);
/// Pieces of a stream on their way to its listener.
const PIECES_MAX: usize = 4;

type Answer = Response<Body>;

/// A request by value.
struct Asked {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderList,
    body: Vec<u8>,
    peer: IpAddr,
    /// Who has signed in.
    operator: Option<OperatorId>,
    answer: oneshot::Sender<Answer>,
}

/// Starts the thread; gives what hands requests to it.
///
/// # Errors
/// No thread can be had.
pub fn start(
    make: impl FnOnce() -> Ops + Send + 'static,
    durable: Durable,
    stopping: watch::Receiver<bool>,
) -> io::Result<Fallback> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("api".to_owned()).spawn(move || {
        let desk = Rc::new(Desk { ops: make(), durable, stopping });
        LocalSet::new().block_on(&runtime, work(desk, receiver));
    })?;
    Ok(Arc::new(move |request| ask(sender.clone(), request).boxed()))
}

/// What the thread works with.
struct Desk {
    ops: Ops,
    durable: Durable,
    stopping: watch::Receiver<bool>,
}

// === towards the thread ===

async fn ask(sender: mpsc::Sender<Asked>, request: axum::extract::Request) -> Answer {
    let (parts, body) = request.into_parts();
    let Some(method) = Method::parse(parts.method.as_str().as_bytes()) else {
        return refusal(405, "method_not_allowed", "this method is not known here");
    };
    let body = match timeout(BODY_WAIT, axum::body::to_bytes(body, CHANGE_BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refusal(413, "body_too_large", "the body is larger than this path takes"),
        Err(_) => return refusal(408, "request_timeout", "the body did not arrive in time"),
    };
    let mut headers = HeaderList::default();
    if !parts.headers.iter().all(|(name, value)| headers.push(name.as_str().as_bytes(), value.as_bytes())) {
        return refusal(431, "headers_too_large", "the headers are larger than may be");
    }
    let operator = match parts.extensions.get::<Principal>().map(|own| signed_in(own, parts.uri.path())) {
        None => None,
        Some(Ok(operator)) => operator,
        Some(Err(permission)) => {
            return refusal(403, "not_allowed", &format!("this takes the permission {}", permission.word()));
        }
    };
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let (answer, answered) = oneshot::channel();
    let asked = Asked {
        method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers,
        body: body.to_vec(),
        peer: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical()),
        operator,
        answer,
    };
    if sender.try_send(asked).is_err() {
        return refusal(503, "unavailable", "too many requests wait");
    }
    answered.await.unwrap_or_else(|_| refusal(503, "unavailable", "the request could not be answered"))
}

/// The operator of a session or an API token, where it may go to this path. Who sends a token of `gatehouse user add` is
/// known by it.
fn signed_in(principal: &Principal, path: &str) -> Result<Option<OperatorId>, Permission> {
    if !matches!(principal.proof, Proof::Session(_) | Proof::ApiToken { .. }) {
        return Ok(None);
    }
    for permission in taken_by(path) {
        if !principal.may(*permission) {
            return Err(*permission);
        }
    }
    Ok(principal.operator)
}

/// The permissions an older path takes, besides the role it asks for itself.
fn taken_by(path: &str) -> &'static [Permission] {
    match path {
        "/api/v1/venue" => &[Permission::VenueWrite],
        "/api/v1/tickets/import" => &[Permission::TicketsImport],
        "/api/v1/tickets/status" => &[Permission::TicketsWrite],
        // A scan there names its holder.
        "/api/access/latest" | "/api/access/poll" | "/api/access/stream" => {
            &[Permission::ScansRead, Permission::TicketsPersonal]
        }
        _ if path.starts_with("/api/v1/station/") => &[Permission::PeripheralsWrite],
        _ => &[],
    }
}

/// A refusal as [`Ops`] says it.
fn refusal(status: u16, code: &'static str, message: &str) -> Answer {
    let mut reply = Reply::new();
    crate::ops::refuse(&mut reply, &(status, code, message.to_owned()));
    answer_of(reply, None)
}

// === on the thread ===

async fn work(desk: Rc<Desk>, mut receiver: mpsc::Receiver<Asked>) {
    let free = Arc::new(tokio::sync::Semaphore::new(ANSWERING_MAX));
    while let Some(asked) = receiver.recv().await {
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
            let _ = asked.answer.send(refusal(503, "unavailable", "too many requests are being answered"));
            continue;
        };
        let desk = Rc::clone(&desk);
        tokio::task::spawn_local(async move {
            desk.answer(asked).await;
            drop(permit);
        });
    }
}

impl Desk {
    async fn answer(&self, asked: Asked) {
        let memo = Memo::signed_in(asked.operator);
        let request = Request {
            method: asked.method,
            path: &asked.path,
            query: asked.query.as_deref(),
            headers: asked.headers.headers(),
            body: &asked.body,
            peer: asked.peer,
            memo: &memo,
        };
        let mut reply = Reply::new();
        let next = self.ops.call(&request, &mut reply);
        let (reply, source) = match next {
            Next::Reply => (reply, None),
            Next::Later(later) => (timeout(LATER_WAIT, later).await.unwrap_or_else(|_| self.late()), None),
            Next::LongPoll(news) => (self.poll(news, reply).await, None),
            Next::Stream(source) => (reply, Some(source)),
        };
        let reply = self.safe(reply).await;
        let (sender, pieces) = match source {
            Some(source) if reply.status == 200 => {
                let (sender, receiver) = mpsc::channel(PIECES_MAX);
                (Some((source, sender)), Some(receiver))
            }
            _ => (None, None),
        };
        let _ = asked.answer.send(answer_of(reply, pieces));
        if let Some((source, sender)) = sender {
            self.stream(source, sender).await;
        }
    }

    /// Waits for the journal, or says that it failed.
    async fn safe(&self, mut reply: Reply) -> Reply {
        let wait = Lsn(reply.wait);
        if wait == Lsn(0) || timeout(DURABLE_WAIT, self.durable.wait(wait)).await.unwrap_or(false) {
            return reply;
        }
        reply.clear();
        self.ops.undurable(&mut reply);
        reply
    }

    async fn poll(&self, news: std::pin::Pin<Box<dyn Future<Output = Reply>>>, nothing_new: Reply) -> Reply {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            reply = timeout(POLL_WAIT, news) => reply.unwrap_or(nothing_new),
            _ = stopping.wait_for(|stop| *stop) => nothing_new,
        }
    }

    fn late(&self) -> Reply {
        let mut reply = Reply::new();
        let words = "the answer did not come in time".to_owned();
        crate::ops::refuse(&mut reply, &(503, "unavailable", words));
        reply
    }

    /// Hands a stream over piece by piece, until it ends, its listener is gone or too slow, or the program stops.
    async fn stream(&self, mut source: Box<dyn Source>, sender: mpsc::Sender<Result<Bytes, io::Error>>) {
        let mut stopping = self.stopping.clone();
        loop {
            let mut out = Vec::new();
            let flow = tokio::select! {
                flow = poll_fn(|context| source.poll_next(context, &mut out)) => flow,
                () = sender.closed() => return,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            let sent = timeout(LISTENER_WAIT, sender.send(Ok(out.into()))).await;
            if flow == Flow::End || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

fn answer_of(reply: Reply, pieces: Option<mpsc::Receiver<Result<Bytes, io::Error>>>) -> Answer {
    let close = pieces.is_some() || reply.close;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in reply.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    if !reply.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    *response.body_mut() = match pieces {
        Some(mut pieces) => {
            Body::from_stream(futures_util::stream::poll_fn(move |context| pieces.poll_recv(context)))
        }
        None => Body::from(reply.body),
    };
    response
}
