//! The real device port for the attacks: engine, journal with its writer, catalog, keys, bodies, profiles. Beside it,
//! on the same listener, the toy on every path that is not the device API's, so that it is seen what ran.

use crate::client::{connect, exchange};
use crate::service::{Recorder, options};
use api::cold::ColdLookups;
use api::http::{Fault, Limits, Method, Next, Reply, Request, Server, Service, start};
use api::metrics::Latency;
use api::port::{Memo, Port, Shared};
use api::profile::Profiles;
use engine::Engine;
use engine::clock::SystemClock;
use engine::disk::StdDisk;
use engine::journal::{Durability, JournalOptions};
use lists::TicketRow;
use std::cell::Cell;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Where the good device scans, and where the attackers' device stands.
pub const GOOD_GATE: &str = "GOOD";
pub const SIDE_GATE: &str = "SIDE";
/// A path of the device API, and two keys for it.
pub const VALIDATE: &str = "/api/access/validate";
pub const GOOD_KEY: &str = "key-of-good";
pub const SIDE_KEY: &str = "key-of-side";
/// The key of a reader at the side gate that speaks text.
pub const READER_KEY: &str = "key-of-reader";
/// A ticket that admits every time.
pub const STAFF: &str = "STAFF";

const VENUE: &str = "
[[event]]
name = 'cup'
title = 'Cup Final'
time_zone = 'UTC'
doors_open = '2020-01-01T00:00:00Z'
starts = '2020-01-01T01:00:00Z'
ends = '2090-01-01T00:00:00Z'
[[zone]]
name = 'STAND'
[[gate]]
name = 'GOOD'
event = 'cup'
from = 'outside'
to = 'STAND'
[[gate]]
name = 'SIDE'
event = 'cup'
from = 'outside'
to = 'STAND'
[[type]]
name = 'STAFF'
event = 'cup'
reentry = 'free'
[[device]]
name = 'GOOD_1'
gate = 'GOOD'
key = 'key-of-good'
rate_per_minute = 0
[[device]]
name = 'SIDE_1'
gate = 'SIDE'
key = 'key-of-side'
rate_per_minute = 0
[[device]]
name = 'READER_1'
gate = 'SIDE'
key = 'key-of-reader'
profile = 'vguang'
rate_per_minute = 0
";

/// A server with a real venue behind it.
pub struct Venue {
    pub server: Server,
    /// What ran on the toy's paths.
    pub service: Recorder,
    engine: Arc<Engine>,
    writer: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

// === impl Venue ===

impl Venue {
    pub fn open(workers: usize, limits: Limits) -> Venue {
        let dir = tempfile::tempdir().unwrap();
        // Not the disk is under attack: a record counts once the operating system has it.
        let journal = JournalOptions { durability: Durability::Os, ..JournalOptions::default() };
        let disk = Arc::new(StdDisk::open(dir.path()).unwrap());
        let (engine, _) = Engine::open(disk, Arc::new(SystemClock), journal).unwrap();
        let engine = Arc::new(engine);
        let writing = Arc::clone(&engine);
        let writer = std::thread::spawn(move || writing.journal().run_writer());
        let shared = Arc::new(shared(&engine));
        fill(&engine, &shared.profiles);
        let service = Recorder::default();
        let recorder = service.clone();
        let gate = Arc::new(engine.journal().clone());
        let server = start(options(workers, limits), gate, move |_| Both {
            port: Port::new(Arc::clone(&shared), Arc::new(Latency::default())),
            recorder: recorder.clone(),
        });
        Venue { server: server.expect("server starts"), service, engine, writer, _dir: dir }
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.addr())
    }

    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        exchange(self.addr(), bytes)
    }

    /// Scans decided at a gate so far: admitted, refused.
    pub fn decided(&self, gate: &str) -> (u64, u64) {
        let gate = self.engine.catalog().gate_named(gate).expect("a gate of the venue");
        let counts = self.engine.counts();
        counts.gates.get(gate.index()).map_or((0, 0), |tally| (tally.admits, tally.denials))
    }

    pub fn close(self) {
        self.server.drain(Duration::ZERO);
        self.engine.journal().stop_writer();
        self.writer.join().expect("the writer ends");
    }
}

fn shared(engine: &Arc<Engine>) -> Shared {
    let profiles = Profiles::load(None).expect("the built-in profiles are sound");
    let cold = ColdLookups::start(Box::new(|_, _| Ok(None))).unwrap();
    Shared::new(Arc::clone(engine), profiles, cold)
}

fn fill(engine: &Engine, profiles: &Profiles) {
    let venue = toml::from_str(VENUE).expect("the venue is a venue file");
    let known = |name: &str| profiles.contains(name);
    let (entities, _) = api::venue::entities(&venue, &engine.catalog(), &known).expect("a sound venue");
    for entity in entities {
        engine.put(None, entity).unwrap();
    }
    let catalog = engine.catalog();
    let event = catalog.event_named("cup").unwrap();
    let row = TicketRow { code: STAFF.to_owned(), kind: "STAFF".to_owned(), ..TicketRow::default() };
    let ticket = row.ticket(&catalog, event, engine.now()).expect("a sound ticket");
    assert!(engine.add_tickets(vec![ticket], false).unwrap().1.iter().all(Result::is_ok));
}

// === impl Both ===

/// The device port on its own paths, the toy on all others.
struct Both {
    port: Port,
    recorder: Recorder,
}

fn is_port(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/d/")
}

fn with_memo<'a, M>(request: &Request<'a, (Memo, Cell<u32>)>, memo: &'a M) -> Request<'a, M> {
    let Request { method, path, query, headers, body, peer, .. } = *request;
    Request { method, path, query, headers, body, peer, memo }
}

impl Service for Both {
    type Memo = (Memo, Cell<u32>);

    fn body_bytes_max(&self, method: Method, path: &str) -> usize {
        if is_port(path) {
            self.port.body_bytes_max(method, path)
        } else {
            self.recorder.body_bytes_max(method, path)
        }
    }

    fn call(&self, request: &Request<'_, Self::Memo>, reply: &mut Reply) -> Next {
        if is_port(request.path) {
            self.port.call(&with_memo(request, &request.memo.0), reply)
        } else {
            self.recorder.call(&with_memo(request, &request.memo.1), reply)
        }
    }

    fn undurable(&self, reply: &mut Reply) {
        self.port.undurable(reply);
    }

    fn fault(&self, fault: &Fault<'_>, reply: &mut Reply) {
        self.port.fault(fault, reply);
    }
}

/// A request with a body, and with these further header lines, each with its CRLF.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A whole scan at the side gate, admitted each time.
pub fn side_scan(scan_id: &str) -> Vec<u8> {
    let body = format!(r#"{{"api_key":"{SIDE_KEY}","qr_data":"{STAFF}","scan_id":"{scan_id}"}}"#);
    post(VALIDATE, "", body.as_bytes())
}
