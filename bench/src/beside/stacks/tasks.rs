//! The port on axum: a task for each connection on a current-thread runtime. Knows axum and tokio.

use super::alone::Alone;
use super::desk::{Desk, LOOK_EVERY, Sleeper, Standing, Talk};
use anyhow::{Context as _, Result, anyhow};
use api::http::Reply;
use api::port::OFFLINE_BODY_BYTES_MAX;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::any;
use axum::serve::IncomingStream;
use std::cell::OnceCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// Connections the kernel may hold for us, as in our own layer.
const BACKLOG: u32 = 1_024;

/// What the worker's tasks share: they are all on its thread.
struct Hall {
    desk: Desk<Waker>,
    /// Wakes the task that nudges the journal.
    gathering: Arc<Notify>,
}

thread_local! {
    static HALL: OnceCell<Hall> = const { OnceCell::new() };
}

fn hall<T>(work: impl FnOnce(&Hall) -> T) -> T {
    HALL.with(|hall| work(hall.get().expect("this thread opened it before it listened")))
}

/// A task that waits.
impl Sleeper for Waker {
    fn wake(self) {
        Waker::wake(self);
    }
}

/// Serves for ever.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(addr: SocketAddr, alone: Alone) -> Result<()> {
    let worker = thread::Builder::new().name("axum-0".to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(addr, &alone))
    })?;
    worker.join().map_err(|_| anyhow!("the worker panicked"))?
}

async fn run(addr: SocketAddr, alone: &Alone) -> Result<()> {
    let (bell, gathering) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let rung = Arc::clone(&bell);
    let desk = Desk::new(alone, move || rung.notify_one());
    HALL.with(|hall| hall.set(Hall { desk, gathering: Arc::clone(&gathering) }).ok());
    tokio::spawn(release_for_ever(Arc::clone(&bell)));
    tokio::spawn(nudge_for_ever(gathering));
    tokio::spawn(ring_for_ever(bell));
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_nodelay(true)?;
    socket.bind(addr).with_context(|| format!("listen on {addr}"))?;
    let listener = socket.listen(BACKLOG)?;
    let router = Router::new().route("/{*path}", any(handle));
    Ok(axum::serve(listener, router.into_make_service_with_connect_info::<Caller>()).await?)
}

async fn release_for_ever(bell: Arc<Notify>) {
    loop {
        bell.notified().await;
        hall(|hall| hall.desk.release());
    }
}

/// Asks the journal when a look at the sockets brought nobody else.
async fn nudge_for_ever(gathering: Arc<Notify>) {
    loop {
        gathering.notified().await;
        let mut seen = 0;
        loop {
            let waiting = hall(|hall| hall.desk.waiting());
            if waiting <= seen {
                break;
            }
            seen = waiting;
            // Everybody who is ready has his turn, and the runtime looks at the sockets, before this goes on.
            tokio::task::yield_now().await;
        }
        hall(|hall| hall.desk.nudge());
    }
}

async fn ring_for_ever(bell: Arc<Notify>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        bell.notify_one();
    }
}

/// A connection's own. The lock is never held over a wait, and nobody else takes it.
#[derive(Clone)]
struct Caller {
    peer: IpAddr,
    talk: Arc<Mutex<Talk>>,
}

impl Connected<IncomingStream<'_, TcpListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Caller {
        Caller { peer: stream.remote_addr().ip(), talk: Arc::default() }
    }
}

async fn handle(ConnectInfo(caller): ConnectInfo<Caller>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // The largest any path takes; the port says what this one does.
    let Ok(body) = to_bytes(body, OFFLINE_BODY_BYTES_MAX).await else {
        return status_only(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let mut reply = {
        let mut talk = caller.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        talk.begin(head.method.as_str(), target, headers);
        hall(|hall| hall.desk.answer(&mut talk, &body, caller.peer));
        std::mem::take(&mut talk.reply)
    };
    if reply.wait > 0 && settle(reply.wait).await == Standing::Lost {
        hall(|hall| hall.desk.undurable(&mut reply));
    }
    respond(reply)
}

/// Waits until the answer may leave, or must not.
async fn settle(wait: u64) -> Standing {
    let mut enlisted = false;
    poll_fn(|context: &mut Context<'_>| {
        hall(|hall| {
            if !std::mem::replace(&mut enlisted, true) && hall.desk.enlist(wait, context.waker().clone()) {
                hall.gathering.notify_one();
            }
            match hall.desk.standing(wait) {
                Standing::NotYet => Poll::Pending,
                standing => Poll::Ready(standing),
            }
        })
    })
    .await
}

fn respond(reply: Reply) -> Response {
    let mut response = status_only(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY));
    if !reply.content_type.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    for (name, value) in reply.headers() {
        // The port takes only names and values a head can have.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = Body::from(reply.body);
    response
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
