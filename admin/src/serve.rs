//! The listener of the API: its threads, its connections with their limits, and its end. Pools are its own: a slow report
//! cannot slow a gate. Knows no path.

use crate::app::{App, Parts};
use crate::auth;
use crate::document;
use crate::layers::Cut;
use crate::operations::Operations;
use crate::privacy;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Threads that answer.
const THREADS: usize = 2;
/// Threads that may wait for the store, for passwords to be hashed and for files.
const BLOCKING_THREADS_MAX: usize = 16;
/// Connections at once. Each costs some 20 KiB; listeners of the live feed keep theirs.
const CONNECTIONS_MAX: usize = 1_024;
/// A request's head has so long to arrive.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// After a stop, what is being answered has so long.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// After a failure to accept (no file handles left), so long nobody is accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The API being served.
pub struct Admin {
    addr: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the API on an address.
///
/// # Errors
/// The address is taken, or no threads can be had.
pub fn start(addr: SocketAddr, parts: Parts) -> io::Result<Admin> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("admin")
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind(addr))?;
    let addr = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let app = runtime.block_on(async { App::new(parts, stopping.clone()) })?;
    let app = Arc::new(app);
    runtime.spawn(auth::keeping::keep(Arc::clone(&app)));
    runtime.spawn(privacy::keep(Arc::clone(&app)));
    Operations::start(&app, runtime.handle())?;
    let router = document::router(Arc::clone(&app));
    let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(serve(listener, router, stopping));
        runtime.shutdown_timeout(DRAIN_MAX);
    })?;
    Ok(Admin { app, addr, stop, thread: Some(thread) })
}

impl Admin {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts nobody new, answers what is in flight within `DRAIN_MAX`, and ends.
    pub fn stop(mut self) {
        // First: they ask the store on the threads that end next.
        self.app.operations.stop();
        self.stop.send_replace(true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the API had panicked");
        }
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&free).acquire_owned() => permit.expect("the semaphore is never closed"),
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the API port could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        connections.spawn(async move {
            connection(stream, peer, router, stopping).await;
            drop(permit);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_MAX, all).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let cut = Cut::default();
    let cuts = cut.clone();
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        request.extensions_mut().insert(cut.clone());
        request.map(axum::body::Body::new)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let stopped = tokio::select! {
        _ = serving.as_mut() => false,
        () = cuts.0.notified() => return,
        _ = stopping.wait_for(|stop| *stop) => true,
    };
    if stopped {
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }
}
