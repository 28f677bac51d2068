//! A receiver of webhooks for tests: a real HTTP server on a port of its own that remembers what came and answers as it is
//! told, and the convention's signature by hand. Shares no code with what it judges.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come. Generous: other builds may run on the same machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was read.
    pub at: Instant,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is answered.
pub enum Reply {
    /// A status, and a header line or none.
    Status(u16, &'static str),
    /// Nothing, and the connection stays open.
    Silence,
    /// These bytes, over and over, until the other side has enough.
    Endless(&'static [u8]),
}

/// The server. Ends with the test's process.
#[derive(Clone)]
pub struct Receiver {
    /// Where it listens.
    pub addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Received {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Its `webhook-id`.
    pub fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }

    /// Its body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// How many of its signatures are by this secret.
    pub fn signatures_by(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut signed =
            format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &signed)));
        self.header("webhook-signature").split(' ').filter(|one| *one == expected).count()
    }
}

/// RFC 2104, with SHA-256 and a key of at most a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let hash = |pad: u8, text: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(text);
        hash.finalize()
    };
    hash(0x5c, &hash(0x36, text)).to_vec()
}

impl Receiver {
    /// One that answers each request by what it is and how many came before it.
    pub fn start(answer: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver { addr: listener.local_addr().unwrap(), received: Arc::default() };
        let (own, answer) = (receiver.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, answer) = (own.clone(), Arc::clone(&answer));
                std::thread::spawn(move || own.serve(stream, answer.as_ref()));
            }
        });
        receiver
    }

    /// One that takes everything.
    pub fn well() -> Receiver {
        Receiver::start(|_, _| Reply::Status(204, ""))
    }

    /// Where it takes messages.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until so many came.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let began = Instant::now();
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            let ids: Vec<String> = received.iter().map(Received::id).collect();
            assert!(
                began.elapsed() < PATIENCE,
                "waited too long for {count} messages, {} came: {ids:?}",
                ids.len()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn serve(&self, stream: TcpStream, answer: &(dyn Fn(&Received, usize) -> Reply + Send + Sync)) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some(received) = read(&mut reader) {
            let nth = {
                let mut all = self.received.lock().unwrap();
                all.push(received.clone());
                all.len() - 1
            };
            let sent = match answer(&received, nth) {
                Reply::Status(status, header) => {
                    let line = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
                    let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
                    stream.write_all(format!("HTTP/1.1 {status} X\r\n{line}{length}\r\n").as_bytes())
                }
                Reply::Silence => {
                    let _ = reader.read(&mut [0]);
                    return;
                }
                Reply::Endless(bytes) => {
                    let head = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
                    head.and_then(|()| {
                        loop {
                            stream.write_all(bytes)?;
                        }
                    })
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let _method_and_path = line()?;
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut received = Received { at: Instant::now(), headers, body: Vec::new() };
    received.body = vec![0; received.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut received.body).ok()?;
    Some(received)
}
