//! A tiny service, a journal whose position the test moves, and raw-byte clients. Knows HTTP only as bytes.

use api::http::{
    Durable, Fault, Flow, Limits, Method, Next, Reply, Request, Server, ServerOptions, Service, Source, start,
};
use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

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
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Journal {
    pub fn advance(&self, lsn: u64) {
        self.durable.store(lsn, Ordering::Release);
        self.wakes.lock().iter().for_each(|wake| wake());
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
}

// === impl Recorder ===

/// Answers by path and writes down every request it ran, except `/good`.
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
        match route {
            "echo" => reply.body.extend_from_slice(request.body),
            "wait" => {
                reply.wait = number;
                reply.tag = u32::try_from(number).unwrap();
                reply.body.extend_from_slice(b"durable");
            }
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
        if request.path != "/good" {
            self.ran.lock().push(format!("{:?} {}", request.method, request.path));
        }
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

/// A server with its service and journal.
pub struct Bench {
    pub server: Server,
    pub service: Recorder,
    pub journal: Arc<Journal>,
}

impl Bench {
    pub fn new(workers: usize, limits: Limits) -> Self {
        let (service, journal) = (Recorder::default(), Arc::new(Journal::default()));
        let options =
            ServerOptions { name: "test", addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), workers, limits };
        let shared = service.clone();
        let server = start(options, journal.clone(), move |_| shared.clone()).expect("server starts");
        Self { server, service, journal }
    }

    pub fn quick() -> Self {
        Self::new(1, quick_limits())
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.server.local_addr())
    }

    /// Sends `bytes` on a connection of its own and returns all that comes back.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream)
    }
}

pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the server closes; a reset after some answer counts as a close.
pub fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "the server did not close; it said {bytes:?}"
        );
    }
    bytes
}

/// Reads until `count` whole responses are here.
pub fn read_responses(stream: &mut TcpStream, count: usize) -> Vec<Response> {
    let mut bytes = Vec::new();
    loop {
        let found = responses(&bytes);
        if found.len() >= count {
            return found;
        }
        let mut piece = [0; 4096];
        let len = stream.read(&mut piece).expect("a response");
        assert!(len > 0, "closed after {} of {count} responses", found.len());
        bytes.extend_from_slice(&piece[..len]);
    }
}

/// Nothing comes within `within`.
pub fn assert_silent(stream: &mut TcpStream, within: Duration) {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut byte = [0];
    let read = stream.read(&mut byte);
    assert!(read.is_err(), "expected silence, got {read:?}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

// === impl Response ===

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// The whole responses in `bytes`, by Content-Length; one without is taken to have no body.
pub fn responses(bytes: &[u8]) -> Vec<Response> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8(rest[..end].to_vec()).expect("ASCII head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        rest = &rest[end + 4..];
        if rest.len() < length {
            break;
        }
        found.push(Response { status, head, body: rest[..length].to_vec() });
        rest = &rest[length..];
    }
    found
}

pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    responses(bytes).iter().map(|response| response.status).collect()
}

// === impl GoodClients ===

/// Honest clients, one request at a time each, measuring how long every answer takes.
pub struct GoodClients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Duration>>>,
}

impl GoodClients {
    pub fn start(addr: SocketAddr, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || good_client(addr, &stop))
        };
        Self { threads: (0..count).map(client).collect(), stop }
    }

    /// Latencies of all requests, ascending.
    pub fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Release);
        let joined =
            self.threads.into_iter().flat_map(|thread| thread.join().expect("a good client is served"));
        let mut latencies: Vec<Duration> = joined.collect();
        latencies.sort_unstable();
        latencies
    }
}

fn good_client(addr: SocketAddr, stop: &AtomicBool) -> Vec<Duration> {
    let mut stream = connect(addr);
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let sent = Instant::now();
        stream.write_all(b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nscan").unwrap();
        let answer = read_responses(&mut stream, 1);
        latencies.push(sent.elapsed());
        assert_eq!((answer[0].status, answer[0].body.as_slice()), (200, b"ok".as_slice()));
        std::thread::sleep(Duration::from_millis(2));
    }
    latencies
}

// === impl MemoryWatch ===

/// Follows the resident memory of this process (server and attackers together).
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
    before: usize,
}

impl MemoryWatch {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Acquire) {
                peak = peak.max(resident_bytes());
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        };
        Self { before: resident_bytes(), thread: std::thread::spawn(watch), stop }
    }

    /// Bytes by which the peak exceeded the start.
    pub fn finish(self) -> usize {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("the watch reads a file").saturating_sub(self.before)
    }
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024
}
