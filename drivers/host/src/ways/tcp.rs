//! Raw TCP, as printers speak it on port 9100. Knows sockets, no device.

use super::{Transport, fault, ready, unsent};
use crate::line::Lost;
use crate::patience::Patience;
use driver_abi::Fault;
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// A printer that confirms nothing of what was sent for so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(15);
/// An idle connection is asked after so long, and so often, whether somebody is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// A printer gets so long to close its side after we closed ours.
const PART_MAX: Duration = Duration::from_millis(300);
/// How often the kernel is asked whether everything is confirmed.
const SETTLE_STEP: Duration = Duration::from_millis(2);

/// An open connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// What of it was broken off.
    abandoned: bool,
}

/// Connects; a cancel is noticed meanwhile.
pub(super) fn open(address: &str, patience: Patience<'_>) -> Result<Connection, Lost> {
    let told = |(fault, words): (Fault, String)| Lost { fault, text: format!("tcp://{address}: {words}") };
    let addresses = resolve(address, patience).map_err(told)?;
    let mut last = (Fault::Gone, "no such host".to_owned());
    for address in addresses {
        match connect(address, patience) {
            Ok(stream) => return Ok(Connection { stream, abandoned: false }),
            Err((Fault::Cancelled, words)) => return Err(told((Fault::Cancelled, words))),
            Err(refused) => last = refused,
        }
    }
    Err(told(last))
}

/// A name is asked for on another thread: the system's resolver cannot be cancelled. It comes back by itself.
fn resolve(address: &str, patience: Patience<'_>) -> Result<Vec<SocketAddr>, (Fault, String)> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let (answer, answered) = sync_channel(1);
    let name = address.to_owned();
    let asked = std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = name.to_socket_addrs().map(Iterator::collect);
        let _ = answer.send(found);
    });
    asked.map_err(|error| (Fault::Io, error.to_string()))?;
    loop {
        let step = patience.step().map_err(|over| (over, "its name was not found in time".to_owned()))?;
        match answered.recv_timeout(step) {
            Ok(Ok(addresses)) => return Ok(addresses),
            Ok(Err(error)) => return Err((Fault::Gone, error.to_string())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err((Fault::Internal, "no answer".to_owned())),
        }
    }
}

fn connect(address: SocketAddr, patience: Patience<'_>) -> Result<TcpStream, (Fault, String)> {
    let told = |error: io::Error| (fault(&error), error.to_string());
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(told)?;
    socket.set_nonblocking(true).map_err(told)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => loop {
            let step = patience.step().map_err(|over| (over, "it did not answer in time".to_owned()))?;
            match ready(socket.as_fd(), PollFlags::OUT, step) {
                Ok(()) => break,
                Err(Fault::Timeout) => {}
                Err(fault) => return Err((fault, fault.to_string())),
            }
        },
        Err(error) => return Err(told(error)),
    }
    if let Some(error) = socket.take_error().map_err(told)? {
        return Err(told(error));
    }
    // The last bytes of a document are not to wait for more.
    let _ = socket.set_tcp_nodelay(true);
    // A printer that was switched off closes nothing: without these a connection to it lives for hours.
    let _ = socket.set_tcp_user_timeout(Some(SILENT_MAX));
    let _ = socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(2),
    );
    Ok(socket.into())
}

impl Transport for Connection {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        ready(self.stream.as_fd(), PollFlags::OUT, step)?;
        match self.stream.write(bytes) {
            Ok(0) => Err(Fault::Gone),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        ready(self.stream.as_fd(), PollFlags::IN, step)?;
        match self.stream.read(buffer) {
            Ok(0) => Err(Fault::Gone),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    /// A write ends in the kernel's buffer, also where the printer's plug was pulled a minute ago. What the other side's
    /// kernel has confirmed did leave.
    fn settle(&mut self, step: Duration) -> Result<(), Fault> {
        if let Ok(Some(error)) = self.stream.take_error() {
            return Err(fault(&error));
        }
        match unsent::bytes(&self.stream) {
            Some(n) if n > 0 => {
                std::thread::sleep(step.min(SETTLE_STEP));
                Err(Fault::Timeout)
            }
            _ => Ok(()),
        }
    }

    fn abandon(&mut self) {
        // Closing it now resets it, and throws away what waits to be sent.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        self.abandoned = true;
    }

    /// Closing a socket with unread bytes (a status the printer sent by itself) resets the connection, and the printer
    /// may lose the end of its document. So our side ends first, and what comes is read away.
    fn part(&mut self) {
        if self.abandoned || self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let until = Instant::now() + PART_MAX;
        let mut room = [0; 1_024];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero()
                || matches!(self.read_some(&mut room, left), Err(fault) if fault != Fault::Timeout)
            {
                return;
            }
        }
    }

    fn is_alive(&mut self) -> bool {
        // A printer that dropped an idle connection says so here, and not with half a document lost.
        match self.stream.peek(&mut [0]) {
            Ok(n) => n > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
