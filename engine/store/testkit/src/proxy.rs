//! A wire between a client and a server that a test can make slow, narrow, cut and deaf while connections are open. Knows
//! bytes and no protocol.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Chunks on their way in one direction at the most: enough that a delay narrows nothing.
const CHUNKS_MAX: usize = 4_096;

/// What the wire does. It may be changed at any time and holds for open connections too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire {
    /// Passes everything on at once.
    Pass,
    /// Every chunk arrives so much later, in both directions; as many bytes a second as before.
    Delay(Duration),
    /// So many bytes a second pass in each direction of each connection.
    Throttle(u32),
    /// All connections are closed, and new ones at once.
    Cut,
    /// Half-open: bytes are taken and go nowhere, new connections are accepted, none is ever closed. A connection that has
    /// lost bytes stays so when the wire is mended, as behind a firewall that has forgotten it.
    Swallow,
}

/// A port on the loopback that leads to a server. Ends with its connections when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    /// Dropped last: it ends every task.
    _runtime: tokio::runtime::Runtime,
}

// === impl Proxy ===

impl Proxy {
    /// Leads to this port of the loopback, and passes everything on.
    ///
    /// # Panics
    /// Without a free port or thread.
    pub fn to(server: u16) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("start a thread");
        let listening = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listening.expect("find a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (wire, watched) = watch::channel(Wire::Pass);
        runtime.spawn(accept(listener, server, watched));
        Proxy { port, wire, _runtime: runtime }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the wire is so.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn accept(listener: TcpListener, server: u16, wire: watch::Receiver<Wire>) {
    while let Ok((here, _)) = listener.accept().await {
        let now = *wire.borrow();
        if now != Wire::Cut {
            tokio::spawn(carry(here, server, wire.clone()));
        }
    }
}

/// One connection, until either end closes it or the wire is cut.
async fn carry(here: TcpStream, server: u16, wire: watch::Receiver<Wire>) {
    let lost = Arc::new(AtomicBool::new(false));
    let swallowed = *wire.borrow() == Wire::Swallow;
    let both_ways = async {
        if swallowed {
            // The server never hears of it.
            std::future::pending::<()>().await;
        }
        let Ok(there) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
        let _ = (here.set_nodelay(true), there.set_nodelay(true));
        let ((from_here, to_here), (from_there, to_there)) = (here.into_split(), there.into_split());
        tokio::select! {
            () = pass(from_here, to_there, wire.clone(), &lost) => {}
            () = pass(from_there, to_here, wire.clone(), &lost) => {}
        }
    };
    let mut cut = wire.clone();
    tokio::select! {
        () = both_ways => {}
        _ = cut.wait_for(|wire| *wire == Wire::Cut) => {}
    }
}

/// One direction, until its end.
async fn pass(from: OwnedReadHalf, into: OwnedWriteHalf, wire: watch::Receiver<Wire>, lost: &AtomicBool) {
    let (put, take) = mpsc::channel(CHUNKS_MAX);
    tokio::join!(read(from, put, wire, lost), write(into, take));
}

async fn read(
    mut from: OwnedReadHalf,
    put: mpsc::Sender<(Instant, Vec<u8>)>,
    wire: watch::Receiver<Wire>,
    lost: &AtomicBool,
) {
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        let now = *wire.borrow();
        if now == Wire::Swallow {
            lost.store(true, Ordering::Relaxed);
        }
        match (lost.load(Ordering::Relaxed), count) {
            // The end is lost as well: the other side is not told.
            (true, 0) => std::future::pending().await,
            (true, _) => continue,
            (false, 0) => return,
            (false, _) => {}
        }
        let mut due = Instant::now();
        match now {
            Wire::Delay(by) => due += by,
            Wire::Throttle(bytes_per_s) => {
                sleep(Duration::from_secs_f64(count as f64 / f64::from(bytes_per_s))).await;
            }
            _ => {}
        }
        if put.send((due, bytes[..count].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn write(mut into: OwnedWriteHalf, mut take: mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Some((due, bytes)) = take.recv().await {
        sleep_until(due).await;
        if into.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Sends back whatever comes, on every connection.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Duration> {
        let began = std::time::Instant::now();
        stream.write_all(bytes)?;
        let mut back = vec![0; bytes.len()];
        stream.read_exact(&mut back)?;
        assert!(back == bytes);
        Ok(began.elapsed())
    }

    #[test]
    fn bytes_come_through_whole_and_as_late_as_was_said() {
        let proxy = Proxy::to(echo());
        let mut stream = client(&proxy);
        there_and_back(&mut stream, &[7; 100_000]).unwrap();
        proxy.set(Wire::Delay(Duration::from_millis(40)));
        assert!(there_and_back(&mut stream, b"late").unwrap() >= Duration::from_millis(80));
        proxy.set(Wire::Throttle(20_000));
        assert!(there_and_back(&mut stream, &[9; 4_000]).unwrap() >= Duration::from_millis(200));
        proxy.set(Wire::Pass);
        there_and_back(&mut stream, b"again").unwrap();
    }

    #[test]
    fn a_cut_wire_closes_what_is_open_and_what_comes() {
        let proxy = Proxy::to(echo());
        let mut before = client(&proxy);
        there_and_back(&mut before, b"open").unwrap();
        proxy.set(Wire::Cut);
        assert!(there_and_back(&mut before, b"x").is_err());
        assert!(there_and_back(&mut client(&proxy), b"x").is_err());
        proxy.set(Wire::Pass);
        there_and_back(&mut client(&proxy), b"mended").unwrap();
    }

    #[test]
    fn a_wire_that_swallows_closes_nothing_and_never_gives_back_what_it_took() {
        let proxy = Proxy::to(echo());
        let (mut before, mut calm) = (client(&proxy), client(&proxy));
        there_and_back(&mut before, b"open").unwrap();
        there_and_back(&mut calm, b"open").unwrap();
        proxy.set(Wire::Swallow);
        let mut during = client(&proxy);
        let silent = |stream: &mut TcpStream| {
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let error = there_and_back(stream, b"x").unwrap_err();
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        };
        assert!(silent(&mut before));
        assert!(silent(&mut during));
        proxy.set(Wire::Pass);
        assert!(silent(&mut before), "it has lost bytes");
        assert!(silent(&mut during), "the server never heard of it");
        there_and_back(&mut calm, b"has lost nothing").unwrap();
        there_and_back(&mut client(&proxy), b"new").unwrap();
    }
}
