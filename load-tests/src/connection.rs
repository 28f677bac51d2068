//! One connection on a socket that never blocks. Knows bytes in and bytes out; knows nothing of what is asked, and
//! leaves to its owner that one request is in flight at the most.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::limits;

/// A connection and its two buffers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The request being sent; `sent` of its bytes are gone.
    pub request: Vec<u8>,
    sent: usize,
    /// Room for bytes; the first `received_len` of them have arrived.
    received: Vec<u8>,
    received_len: usize,
}

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Every byte is with the kernel.
    Whole,
    /// The rest must wait until there is room.
    Partly,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// More bytes.
    Bytes,
    /// Nothing for now.
    Nothing,
    /// The other side has closed, or the connection has failed.
    End,
}

// === impl Connection ===

impl Connection {
    /// Connects; only this call may block, for at most [`limits::CONNECT_WAIT`].
    pub fn open(addr: SocketAddr) -> io::Result<Connection> {
        Connection::open_after(addr, |_| Ok(()))
    }

    /// Connects and lets both sides say what they say before the first question. This may block, and so may each read and
    /// write of `greet`, for at most [`limits::CONNECT_WAIT`].
    pub fn open_after(
        addr: SocketAddr,
        greet: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Connection> {
        let mut stream = TcpStream::connect_timeout(&addr, limits::CONNECT_WAIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limits::CONNECT_WAIT))?;
        stream.set_write_timeout(Some(limits::CONNECT_WAIT))?;
        greet(&mut stream)?;
        stream.set_nonblocking(true)?;
        Ok(Connection::over(stream))
    }

    /// Begins to connect and does not wait: what is sent meanwhile waits for room, as on any other socket.
    pub fn begin(addr: SocketAddr) -> io::Result<Connection> {
        let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &addr) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Connection::over(stream))
    }

    fn over(stream: TcpStream) -> Connection {
        Connection {
            stream,
            request: Vec::new(),
            sent: 0,
            received: vec![0; limits::RECEIVE_BYTES_INITIAL],
            received_len: 0,
        }
    }

    /// Starts sending `request` from its first byte.
    pub fn send(&mut self) -> io::Result<Sent> {
        self.sent = 0;
        self.send_rest()
    }

    /// Sends what is left of `request`.
    pub fn send_rest(&mut self) -> io::Result<Sent> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sent::Partly),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Sent::Whole)
    }

    /// Reads once: the poller is level-triggered and comes back while there is more.
    pub fn receive(&mut self) -> Received {
        if self.received_len == self.received.len() {
            let room = (self.received.len() * 2).min(limits::RECEIVE_BYTES_MAX);
            self.received.resize(room, 0);
        }
        match self.stream.read(&mut self.received[self.received_len..]) {
            Ok(0) => Received::End,
            Ok(count) => {
                self.received_len += count;
                Received::Bytes
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Received::Nothing
            }
            Err(_) => Received::End,
        }
    }

    /// The bytes that have arrived and were not consumed.
    pub fn received(&self) -> &[u8] {
        &self.received[..self.received_len]
    }

    /// Forgets the first `count` received bytes.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.received_len);
        self.received.copy_within(count..self.received_len, 0);
        self.received_len -= count;
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
