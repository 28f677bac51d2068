//! The toy behind the HTTP layer: answers by path, writes down what ran; a journal whose position the test moves.

use crate::client::{connect, exchange};
use api::http::{
    Durable, Fault, Flow, Limits, Method, Next, Reply, Request, Server, ServerOptions, Service, Source, start,
};
use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Tests run one at a time: they measure latency and memory of this one process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

/// Deadlines short enough for a test; everything else as by default.
pub fn quick_limits() -> Limits {
    Limits {
        head_ms_max: 300,
        body_ms_max: 300,
        idle_ms_max: 2_000,
        write_ms_max: 400,
        later_ms_max: 600,
        durable_ms_max: 5_000,
        linger_ms_max: 200,
        sweep_ms: 20,
        connections_per_peer_max: 8_000,
        ..Limits::DEFAULT
    }
}

// === impl Journal ===

/// A journal that is as durable as the test says.
#[derive(Default)]
pub struct Journal {
    durable: AtomicU64,
    poisoned: AtomicBool,
    nudges: AtomicU64,
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Journal {
    pub fn advance(&self, lsn: u64) {
        self.durable.store(lsn, Ordering::Release);
        self.wakes.lock().iter().for_each(|wake| wake());
    }

    /// How often it was asked to begin.
    pub fn nudges(&self) -> u64 {
        self.nudges.load(Ordering::Acquire)
    }

    pub fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.wakes.lock().iter().for_each(|wake| wake());
    }
}

impl Durable for Journal {
    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    fn poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    fn on_advance(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.wakes.lock().push(wake);
    }

    fn gather(&self) {}

    fn nudge(&self) {
        self.nudges.fetch_add(1, Ordering::AcqRel);
    }
}

// === impl Recorder ===

/// Answers by path and writes down every request it ran.
#[derive(Clone, Default)]
pub struct Recorder {
    ran: Arc<Mutex<Vec<String>>>,
    dropped_streams: Arc<AtomicU64>,
}

impl Recorder {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.ran.lock())
    }

    pub fn dropped_streams(&self) -> u64 {
        self.dropped_streams.load(Ordering::Acquire)
    }

    fn route(&self, request: &Request<'_, Cell<u32>>, reply: &mut Reply) -> Next {
        let (route, argument) = request.path[1..].split_once('/').unwrap_or((&request.path[1..], ""));
        let number: u64 = argument.parse().unwrap_or(0);
        reply.content_type = "text/plain";
        reply.header("X-Caller", "known").unwrap();
        match route {
            "echo" => reply.body.extend_from_slice(request.body),
            "wait" => {
                reply.wait = number;
                reply.tag = u32::try_from(number).unwrap();
                reply.body.extend_from_slice(b"durable");
            }
            // Holds the worker itself: what comes meanwhile is ready at once afterwards.
            "hold" => std::thread::sleep(Duration::from_millis(number)),
            "memo" => {
                request.memo.set(request.memo.get() + 1);
                reply.body.extend_from_slice(request.memo.get().to_string().as_bytes());
            }
            "later" => return Next::Later(Box::pin(later(number))),
            "never" => return Next::Later(Box::pin(std::future::pending())),
            "poll" => {
                reply.body.extend_from_slice(b"nothing new");
                return Next::LongPoll(Box::pin(std::future::pending()));
            }
            "big" => reply.body.resize(usize::try_from(number).unwrap(), b'x'),
            "stream" => return Next::Stream(self.events(number, false)),
            "quiet" => return Next::Stream(self.events(1, true)),
            "panic" => panic!("asked to"),
            "missing" => reply.status = 404,
            _ => reply.body.extend_from_slice(b"ok"),
        }
        Next::Reply
    }

    fn events(&self, left: u64, endless: bool) -> Box<dyn Source> {
        Box::new(Events { left, endless, dropped: Arc::clone(&self.dropped_streams) })
    }
}

async fn later(ms: u64) -> Reply {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    let mut reply = Reply::new();
    reply.body.extend_from_slice(b"later");
    reply
}

/// `left` events as fast as they are taken, then the end, or silence.
struct Events {
    left: u64,
    endless: bool,
    dropped: Arc<AtomicU64>,
}

impl Source for Events {
    fn poll_next(&mut self, _: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Flow> {
        if self.left == 0 {
            return if self.endless { Poll::Pending } else { Poll::Ready(Flow::End) };
        }
        out.extend_from_slice(format!("data: {:0>1000}\n\n", self.left).as_bytes());
        self.left -= 1;
        Poll::Ready(Flow::More)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Release);
    }
}

impl Service for Recorder {
    type Memo = Cell<u32>;

    fn body_bytes_max(&self, _: Method, path: &str) -> usize {
        if path == "/large" { 4 * 1024 * 1024 } else { 16 * 1024 }
    }

    fn call(&self, request: &Request<'_, Cell<u32>>, reply: &mut Reply) -> Next {
        self.ran.lock().push(format!("{:?} {}", request.method, request.path));
        match request.method {
            Method::Options => {
                reply.status = 204;
                reply.header("Allow", "GET, HEAD, POST, OPTIONS").unwrap();
            }
            Method::Other => {
                reply.status = 405;
                reply.header("Allow", "GET, HEAD, POST, OPTIONS").unwrap();
            }
            Method::Get | Method::Head | Method::Post => return self.route(request, reply),
        }
        Next::Reply
    }

    fn undurable(&self, reply: &mut Reply) {
        reply.status = 503;
        reply.body.extend_from_slice(format!("undurable {}", reply.tag).as_bytes());
    }

    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply) {
        reply.content_type = "text/plain";
        reply.body.extend_from_slice(fault.code.as_bytes());
        if let Some(path) = &fault.path {
            reply.header("X-Path", path.as_bytes()).ok();
        }
    }
}

// === impl Bench ===

/// The toy alone, with its journal.
pub struct Bench {
    pub server: Server,
    pub service: Recorder,
    pub journal: Arc<Journal>,
}

/// Options of a server on a free port.
pub fn options(workers: usize, limits: Limits) -> ServerOptions {
    ServerOptions { name: "test", addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), workers, limits }
}

impl Bench {
    pub fn new(workers: usize, limits: Limits) -> Self {
        let (service, journal) = (Recorder::default(), Arc::new(Journal::default()));
        let shared = service.clone();
        let server = start(options(workers, limits), journal.clone(), move |_| shared.clone());
        Self { server: server.expect("server starts"), service, journal }
    }

    pub fn quick() -> Self {
        Self::new(1, quick_limits())
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.server.local_addr())
    }

    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        exchange(self.server.local_addr(), bytes)
    }
}
