//! One keep-alive connection with at most one scan in flight, on a socket that never blocks. Knows bytes in and bytes
//! out; knows nothing of codes or verdicts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::codes::Scan;
use crate::limits;

/// A connection and its two buffers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The request being sent; `sent` of its bytes are gone.
    pub request: Vec<u8>,
    sent: usize,
    received: Box<[u8]>,
    received_len: usize,
    /// The scan that waits for its answer.
    pub in_flight: Option<InFlight>,
}

/// A scan on its way.
#[derive(Debug, Clone, Copy)]
pub struct InFlight {
    /// What was presented.
    pub scan: Scan,
    /// When it was due: the moment its latency counts from.
    pub intended: Instant,
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
        let stream = TcpStream::connect_timeout(&addr, limits::CONNECT_WAIT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            request: Vec::new(),
            sent: 0,
            received: vec![0; limits::REPLY_BYTES_MAX].into_boxed_slice(),
            received_len: 0,
            in_flight: None,
        })
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
