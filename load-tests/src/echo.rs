//! The echo baseline: the limit of read + write + epoll_wait on one thread. It answers a fixed reply to every request
//! head and refuses to know anything else: no method, no length, no JSON.
//!
//! A request is counted by the blank line that ends its head. The body is read and not looked at, so the answer to a
//! request whose body is still on its way leaves too early; no client of ours sends one in parts. Bodies must not hold
//! a blank line of their own, and JSON on one line does not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use memchr::memmem::Finder;

use crate::limits;
use crate::poller::{Interest, Poller};

/// The server and its connections.
#[derive(Debug)]
pub struct EchoServer {
    listener: TcpListener,
    poller: Poller,
    /// A connection's place is its token; a freed place is taken by the next one.
    connections: Vec<Option<EchoConnection>>,
    reply: Vec<u8>,
    read_buffer: Box<[u8]>,
    head_end: Finder<'static>,
}

#[derive(Debug)]
struct EchoConnection {
    stream: TcpStream,
    counter: HeadCounter,
    /// Replies, or the rest of one, that the socket had no room for.
    unsent: Vec<u8>,
}

/// Counts ends of heads over any split of the bytes.
#[derive(Debug, Default)]
struct HeadCounter {
    /// The last bytes before these, as far as they can be the start of a blank line.
    tail: [u8; 3],
    tail_len: usize,
}

/// The listener's token.
const LISTENER: u64 = u64::MAX;

// === impl EchoServer ===

impl EchoServer {
    /// Listens on `addr`.
    pub fn bind(addr: SocketAddr) -> io::Result<EchoServer> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new(256)?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        Ok(EchoServer {
            listener,
            poller,
            connections: Vec::new(),
            reply: fixed_reply(),
            read_buffer: vec![0; 64 * 1024].into_boxed_slice(),
            head_end: Finder::new(b"\r\n\r\n"),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            self.turn(None)?;
        }
    }

    /// Waits once, for at most `wait_max`, and serves what is ready.
    pub fn turn(&mut self, wait_max: Option<Duration>) -> io::Result<()> {
        let ready_count = self.poller.wait(wait_max)?;
        for index in 0..ready_count {
            let ready = self.poller.ready(index);
            match ready.token {
                LISTENER => self.accept()?,
                token => self.answer(token as usize, ready.writable),
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client gave up before we came to it.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let place = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
            self.poller.add(&stream, place as u64, Interest::Read)?;
            let connection = EchoConnection { stream, counter: HeadCounter::default(), unsent: Vec::new() };
            if place == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[place] = Some(connection);
            }
        }
    }

    fn answer(&mut self, place: usize, writable: bool) {
        let Some(connection) = self.connections[place].as_mut() else { return };
        let was_waiting = !connection.unsent.is_empty();
        let served = if writable { connection.send_unsent() } else { Ok(()) }
            .and_then(|()| connection.serve(&mut self.read_buffer, &self.head_end, &self.reply));
        let is_waiting = !connection.unsent.is_empty();
        let watched = match (was_waiting, is_waiting) {
            (false, true) => self.poller.modify(&connection.stream, place as u64, Interest::ReadWrite),
            (true, false) => self.poller.modify(&connection.stream, place as u64, Interest::Read),
            _ => Ok(()),
        };
        if served.and(watched).is_err() {
            self.connections[place] = None;
        }
    }
}

// === impl EchoConnection ===

impl EchoConnection {
    /// Reads once and answers what was counted; an error means the connection is over.
    fn serve(&mut self, buffer: &mut [u8], head_end: &Finder<'_>, reply: &[u8]) -> io::Result<()> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for _ in 0..self.counter.count(&buffer[..count], head_end) {
            self.send(reply)?;
        }
        Ok(())
    }

    fn send(&mut self, reply: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            let sent = match self.stream.write(reply) {
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(error) => return Err(error),
            };
            self.unsent.extend_from_slice(&reply[sent..]);
            return Ok(());
        }
        if self.unsent.len() + reply.len() > limits::ECHO_UNSENT_MAX {
            return Err(io::Error::other("the client does not read its answers"));
        }
        self.unsent.extend_from_slice(reply);
        Ok(())
    }

    fn send_unsent(&mut self) -> io::Result<()> {
        match self.stream.write(&self.unsent) {
            Ok(count) => {
                self.unsent.drain(..count);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

// === impl HeadCounter ===

impl HeadCounter {
    /// How many heads end within `bytes`.
    fn count(&mut self, bytes: &[u8], head_end: &Finder<'_>) -> usize {
        let (mut count, mut from) = (0, 0);
        if self.tail_len > 0 {
            let mut seam = [0_u8; 6];
            let fresh_len = bytes.len().min(3);
            seam[..self.tail_len].copy_from_slice(&self.tail[..self.tail_len]);
            seam[self.tail_len..self.tail_len + fresh_len].copy_from_slice(&bytes[..fresh_len]);
            let seam_len = self.tail_len + fresh_len;
            if let Some(at) = head_end.find(&seam[..seam_len]) {
                count += 1;
                from = at + 4 - self.tail_len;
            } else if bytes.len() < 3 {
                self.remember(&seam[..seam_len]);
                return 0;
            }
        }
        while let Some(at) = head_end.find(&bytes[from..]) {
            count += 1;
            from += at + 4;
        }
        self.remember(&bytes[from..]);
        count
    }

    /// Keeps the last three bytes that belong to no blank line yet.
    fn remember(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(3)..];
        // Most reads end with a body's brace: then there is nothing to remember, and no seam to search next time.
        let last = if last.ends_with(b"\r") || last.ends_with(b"\n") { last } else { &[] };
        self.tail[..last.len()].copy_from_slice(last);
        self.tail_len = last.len();
    }
}

/// The plan's answer to a valid ticket, with the headers the device port sends.
fn fixed_reply() -> Vec<u8> {
    let body = concat!(
        r#"{"status":"success","access_granted":true,"message":"Access granted","reason":null,"#,
        r#""scan_id":"00000000-0000-7000-8000-000000000000","direction":"entry","gate":"ENTRANCE_01","#,
        r#""ticket_info":{"ticket_id":"TICKET_123","customer_name":"John Doe","valid_until":"2026-11-23T23:59:59Z","#,
        r#""ticket_type":"VIP","remaining_uses":1},"#,
        r#""device_action":{"unlock_door":true,"display_message":"Welcome","sound_alert":"success"}}"#,
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_however_the_bytes_are_split() {
        let finder = Finder::new(b"\r\n\r\n");
        let request = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n{\"a\":1}";
        let stream = request.repeat(3);
        for size in 1..=stream.len() {
            let mut counter = HeadCounter::default();
            let count: usize = stream.chunks(size).map(|chunk| counter.count(chunk, &finder)).sum();
            assert_eq!(count, 3, "in pieces of {size}");
        }
    }

    #[test]
    fn two_blank_lines_share_no_bytes() {
        let finder = Finder::new(b"\r\n\r\n");
        let mut counter = HeadCounter::default();
        assert_eq!(counter.count(b"a\r\n\r\n", &finder), 1);
        assert_eq!(counter.count(b"\r\n", &finder), 0);
        assert_eq!(counter.count(b"\r\n", &finder), 1);
    }

    #[test]
    fn the_reply_is_as_long_as_a_real_one_and_reads_as_an_admission() {
        let reply = fixed_reply();
        let parser = crate::reply::ReplyParser::new();
        let read = parser.parse(&reply).unwrap().unwrap();
        assert_eq!(parser.verdict(read.body), crate::reply::Verdict::Granted);
        assert_eq!(read.bytes_len, reply.len());
        assert!((400..500).contains(&reply.len()));
    }
}
