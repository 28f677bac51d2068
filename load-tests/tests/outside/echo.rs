//! The echo baseline answers once per request, however requests arrive.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use load_tests::echo::EchoServer;

const REQUEST: &[u8] =
    b"POST /api/access/validate HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{\"qr_data\":\"A-1\"}";

/// Starts the baseline in a thread that lives as long as the test process.
pub fn start_echo() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    // Bound in its own thread: the poller's events hold raw pointers and stay where they are made.
    std::thread::spawn(move || {
        let mut server = EchoServer::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        tell.send(server.addr().unwrap()).unwrap();
        server.serve().unwrap();
    });
    told.recv().unwrap()
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(start_echo()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Reads `count` replies and makes sure that no further byte follows.
fn read_replies(stream: &mut TcpStream, count: usize) {
    let mut replies = Vec::new();
    let mut buffer = [0; 4096];
    let ends = |replies: &[u8]| replies.windows(2).filter(|pair| pair == b"}}").count();
    while ends(&replies) < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {} bytes", replies.len());
        replies.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(ends(&replies), count);
    assert!(replies.ends_with(b"}}"));
    stream.set_nonblocking(true).unwrap();
    assert!(stream.read(&mut buffer).is_err(), "more than {count} replies");
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn pipelined_requests_get_a_reply_each() {
    let mut stream = connect();
    stream.write_all(&REQUEST.repeat(7)).unwrap();
    read_replies(&mut stream, 7);
}

#[test]
fn a_request_in_pieces_gets_one_reply() {
    let mut stream = connect();
    for cut in [1, REQUEST.len() - 20, REQUEST.len() - 18, REQUEST.len() - 5] {
        for piece in [&REQUEST[..cut], &REQUEST[cut..]] {
            stream.write_all(piece).unwrap();
            std::thread::yield_now();
        }
        read_replies(&mut stream, 1);
    }
}

#[test]
fn a_client_that_reads_late_gets_every_reply() {
    let mut stream = connect();
    // More replies than any socket buffer holds at once, fewer bytes than the server holds back.
    stream.write_all(&REQUEST.repeat(2_000)).unwrap();
    read_replies(&mut stream, 2_000);
}
