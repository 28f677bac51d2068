//! Threads and listeners: one worker per core, each with its own listener on the same port, and their end.
//! Knows sockets and threads; what is said on a connection is `connection.rs`.

use super::connection::Connection;
use super::durability::{Durable, Gate};
use super::limits::Limits;
use super::message::Service;
use super::stats::{Stats, WorkerStats};
use super::worker::{Doors, Worker};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

/// How often a draining worker looks whether its last connection has gone.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// Where and how to serve.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Begins the names of its threads.
    pub name: &'static str,
    /// Address to listen on; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Worker threads, each with a runtime of its own; 0 = one per core.
    pub workers: usize,
    /// Every limit.
    pub limits: Limits,
}

/// What a drain came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections still open at the deadline and cut off.
    pub forced: usize,
}

/// A running server. Dropped without [`Server::drain`], it stops at once and joins its threads.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    stats: Arc<[WorkerStats]>,
    stop: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<usize>>,
}

/// What every worker thread is given.
#[derive(Clone)]
struct Common {
    limits: Limits,
    durable: Arc<dyn Durable>,
    doors: Arc<Doors>,
    stats: Arc<[WorkerStats]>,
    stop: watch::Receiver<Option<Instant>>,
}

/// Starts the workers and returns once all of them accept connections. `make_service` runs on each worker's thread.
///
/// # Errors
/// `InvalidInput` when the limits contradict each other; `AddrInUse` also when another process serves this port
/// with shared listeners; whatever the system says about sockets and threads.
pub fn start<S: Service>(
    options: ServerOptions,
    durable: Arc<dyn Durable>,
    make_service: impl Fn(usize) -> S + Send + Clone + 'static,
) -> io::Result<Server> {
    if let Some(broken) = options.limits.broken_relation() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, broken));
    }
    let workers = match options.workers {
        0 => thread::available_parallelism()?.get(),
        workers => workers,
    };
    let listeners = bind_all(options.addr, workers, options.limits.listen_backlog)?;
    let local_addr = listeners[0].local_addr()?;
    let stats: Arc<[WorkerStats]> = (0..workers).map(|_| WorkerStats::default()).collect();
    let (stop, stopped) = watch::channel(None);
    let common = Common {
        limits: options.limits,
        durable,
        doors: Arc::default(),
        stats: Arc::clone(&stats),
        stop: stopped,
    };
    // From here on an early return drops `server`, which joins what was started.
    let mut server = Server { local_addr, stats, stop, threads: Vec::with_capacity(workers) };
    let (ready, started) = mpsc::channel();
    for (index, listener) in listeners.into_iter().enumerate() {
        let (common, make_service, ready) = (common.clone(), make_service.clone(), ready.clone());
        let thread = thread::Builder::new()
            .name(format!("{}-{index}", options.name))
            .spawn(move || run_worker(common, index, listener, make_service, &ready))?;
        server.threads.push(thread);
    }
    drop(ready);
    for _ in 0..workers {
        started.recv().map_err(|_| io::Error::other("a worker thread panicked while it started"))??;
    }
    Ok(server)
}

impl Server {
    /// The address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Counters since the start. A few hundred loads per worker.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::sum(self.stats.iter())
    }

    /// Stops accepting, lets every request already received be answered (the journal included), ends streams and
    /// long polls, joins the threads. Blocks the calling thread for `within` at most, so never call it in a task.
    pub fn drain(mut self, within: Duration) -> Drained {
        Drained { forced: self.stop_within(within) }
    }

    fn stop_within(&mut self, within: Duration) -> usize {
        self.stop.send_replace(Some(Instant::now() + within));
        self.threads.drain(..).map(|thread| thread.join().unwrap_or(0)).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_within(Duration::ZERO);
    }
}

/// One listener per worker on one port. The kernel spreads new connections over them.
fn bind_all(addr: SocketAddr, workers: usize, backlog: i32) -> io::Result<Vec<StdListener>> {
    if addr.port() != 0 {
        // Shared listeners would let a forgotten second server take half of the gates in silence; an exclusive
        // bind first finds it.
        let probe = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        probe.set_reuse_address(true)?;
        probe.bind(&addr.into())?;
    }
    let mut listeners = Vec::with_capacity(workers);
    let mut bound = addr;
    for _ in 0..workers {
        let listener = bind(bound, backlog)?;
        bound = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn bind(addr: SocketAddr, backlog: i32) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit this: no call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The life of one worker thread; returns the connections it had to cut off.
fn run_worker<S: Service>(
    common: Common,
    index: usize,
    listener: StdListener,
    make_service: impl Fn(usize) -> S,
    ready: &mpsc::Sender<io::Result<()>>,
) -> usize {
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            ready.send(Err(error)).ok();
            return 0;
        }
    };
    let Common { limits, durable, doors, stats, mut stop } = common;
    let worker = Rc::new(Worker::new(make_service(index), limits, Gate::new(durable), doors, stats, index));
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                ready.send(Err(error)).ok();
                return 0;
            }
        };
        ready.send(Ok(())).ok();
        let sweeper = Rc::clone(&worker);
        tokio::task::spawn_local(async move { sweeper.sweep_forever().await });
        let nudger = Rc::clone(&worker);
        tokio::task::spawn_local(async move { nudger.gate.nudge_forever().await });
        let releaser = Rc::clone(&worker);
        tokio::task::spawn_local(async move { releaser.gate.release_forever().await });
        let deadline = tokio::select! {
            () = accept_forever(&worker, &listener) => Instant::now(),
            // The sender is gone only when the server was dropped: stop at once.
            deadline = stop.wait_for(Option::is_some) => deadline.ok().and_then(|at| *at).unwrap_or_else(Instant::now),
        };
        wind_up(&worker, listener, deadline).await
    })
}

async fn accept_forever<S: Service>(worker: &Rc<Worker<S>>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(worker, stream, peer),
            Err(error) => {
                worker.stats().accept_errors.add(1);
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
                {
                    // Out of descriptors or memory: trying again at once would only burn the core.
                    tracing::warn!(%error, "accept failed; new connections wait");
                    tokio::time::sleep(Duration::from_millis(worker.limits.accept_pause_ms)).await;
                }
            }
        }
    }
}

fn admit<S: Service>(worker: &Rc<Worker<S>>, stream: tokio::net::TcpStream, peer: SocketAddr) {
    let peer = peer.ip().to_canonical();
    if let Some(slot) = worker.enter(peer) {
        tokio::task::spawn_local(Connection::new(Rc::clone(worker), stream, slot, peer).serve());
    }
}

async fn wind_up<S: Service>(worker: &Rc<Worker<S>>, listener: TcpListener, deadline: Instant) -> usize {
    // Connections the kernel has already accepted for us would be reset with the listener: take them in.
    while let Some(Ok((stream, peer))) = take_waiting(&listener).await {
        admit(worker, stream, peer);
    }
    drop(listener);
    // What these have sent is read first; a connection that stays silent is idle, and idle ones close.
    tokio::time::sleep(DRAIN_LOOK).await;
    worker.begin_drain();
    while worker.open() > 0 && Instant::now() < deadline {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    worker.open()
}

async fn take_waiting(listener: &TcpListener) -> Option<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    std::future::poll_fn(|context| match listener.poll_accept(context) {
        std::task::Poll::Ready(accepted) => std::task::Poll::Ready(Some(accepted)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
