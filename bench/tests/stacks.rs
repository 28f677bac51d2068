//! The stacks as processes: they answer alike, nothing leaves before it is in the journal, and a shared port is found.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use bench::beside::stacks::Stack;
use engine::Engine;
use engine::clock::SystemClock;
use engine::disk::StdDisk;
use engine::journal::JournalOptions;
use engine::ticket::CodeKind;
use load_tests::client::{self, RunSettings};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::listening;
use load_tests::process::free_addrs;
use load_tests::reply::{ReplyParser, Verdict};
use load_tests::server::HEALTH_PATH;
use load_tests::target::{Target, get_status};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start takes moments, even of a build for tests on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// One answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const BENCH: (&str, &str) = ("KQT300_900", "demo-key-900");

/// A stack's process, ended with the test.
struct Served {
    child: Child,
    addr: SocketAddr,
    dir: TempDir,
}

impl Served {
    fn start(stack: Stack) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let [addr] = free_addrs().unwrap();
        let mut served = Served { child: spawn(stack, addr, dir.path()), addr, dir };
        let until = Instant::now() + START_MAX;
        while !matches!(get_status(addr, HEALTH_PATH, ANSWER_MAX), Ok(200)) {
            assert!(served.child.try_wait().unwrap().is_none(), "{stack:?} ended while it started");
            assert!(Instant::now() < until, "{stack:?} does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        served
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(stack: Stack, addr: SocketAddr, dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_bench-stack"))
        .args([stack.word(), "--addr", &addr.to_string(), "--data-dir"])
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// A scan's request.
fn scan(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn by_bench_device(code: &str, scan_id: &str) -> String {
    let (device, key) = BENCH;
    let body =
        format!(r#"{{"device_id":"{device}","qr_data":"{code}","api_key":"{key}","scan_id":"{scan_id}"}}"#);
    scan("/api/access/validate", "", &body)
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, ANSWER_MAX).unwrap();
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Status, content type and body of the next answer; `None`: the server is gone.
fn ask(stream: &mut TcpStream, request: &str) -> Option<(u16, String, String)> {
    stream.write_all(request.as_bytes()).ok()?;
    let (parser, mut bytes) = (ReplyParser::new(), Vec::new());
    loop {
        if let Some(reply) = parser.parse(&bytes).unwrap() {
            let head = String::from_utf8_lossy(&bytes[..bytes.len() - reply.body.len()]).to_lowercase();
            let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
            let body = String::from_utf8_lossy(reply.body).into_owned();
            return Some((reply.status, kind.unwrap_or_default().to_owned(), body));
        }
        let mut piece = [0; 4_096];
        let len = stream.read(&mut piece).ok().filter(|len| *len > 0)?;
        bytes.extend_from_slice(&piece[..len]);
    }
}

/// An answer without what is another one's at each start: times of the demo's event.
fn lasting(mut answer: (u16, String, String)) -> (u16, String, String) {
    if let Some(at) = answer.2.find("\"valid_until\":\"") {
        let at = at + "\"valid_until\":\"".len();
        let end = at + answer.2[at..].find('"').unwrap();
        answer.2.replace_range(at..end, "T");
    }
    answer
}

#[test]
fn every_stack_answers_the_mixture_with_no_answer_wrong() {
    for stack in Stack::DECIDING {
        let served = Served::start(stack);
        listening::ensure_alone(served.addr, served.child.id()).unwrap();
        let mut pool = CodePool::open(&CodeChoice::Mix, 0).unwrap();
        let lengths = (Duration::from_millis(100), Duration::from_millis(400));
        let settings = RunSettings {
            server_pid: Some(served.child.id()),
            ..RunSettings::at(Target::at(served.addr), 64, lengths.0, lengths.1)
        };
        let result = client::run_closed(&settings, &mut pool).unwrap();
        assert!(result.is_right() && result.ended_early.is_none(), "{stack:?}: {}", result.text());
        let (admitted, denied) = (result.tally.admitted, result.tally.denied);
        assert!(admitted > 100 && denied > 0, "{stack:?}: {}", result.text());
        assert!(
            result.server_threads_us.contains_key("journal"),
            "{stack:?}: {:?}",
            result.server_threads_us
        );
    }
}

#[test]
fn every_stack_answers_with_the_bytes_of_our_own_port() {
    let requests = [
        by_bench_device("DEMO-STD-000001", "s-1"),
        by_bench_device("DEMO-STD-000001", "s-1"),
        by_bench_device("DEMO-STD-000002", "s-2"),
        by_bench_device("DEMO-STAFF-001", "s-3"),
        by_bench_device("DEMO-BLOCKED", "s-4"),
        by_bench_device("NOBODY-HAS-THIS", "s-5"),
        // Refused before a decision: no key, a wrong one, a bad body, no such path.
        scan("/api/access/validate", "", r#"{"qr_data":"DEMO-STD-000003"}"#),
        scan("/api/access/validate", "X-Api-Key: wrong\r\n", r#"{"qr_data":"DEMO-STD-000003"}"#),
        scan("/api/access/validate", "X-Api-Key: demo-key-900\r\n", "{"),
        scan("/api/access/nothing", "", ""),
        // The key and the scan's id in headers; the readers' own format.
        scan(
            "/api/access/validate",
            "X-Api-Key: demo-key-900\r\nIdempotency-Key: s-6\r\n",
            r#"{"qr_data":"DEMO-STD-000004"}"#,
        ),
        scan(
            "/d/demo-key-800/api/access/validate?a=b",
            "",
            "vgdecoderesult=DEMO-STD-000005&&devicenumber=800&&otherparams=",
        ),
    ];
    let answers = Stack::DECIDING.map(|stack| {
        let served = Served::start(stack);
        let mut stream = connect(served.addr);
        requests.each_ref().map(|request| lasting(ask(&mut stream, request).unwrap()))
    });
    let [own, others @ ..] = &answers;
    assert!(own[0].2.contains("\"access_granted\":true") && own[4].2.contains("\"access_granted\":false"));
    assert_eq!(own[0], own[1], "a retry");
    assert_eq!(own[6].0, 401);
    for (stack, answers) in Stack::DECIDING[1..].iter().zip(others) {
        for (number, (theirs, ours)) in answers.iter().zip(own).enumerate() {
            assert_eq!(theirs, ours, "{stack:?} answers otherwise: {}", requests[number]);
        }
    }
}

/// Fresh codes over several connections; the process is killed in the middle. Whoever was told to walk in is in the journal.
#[test]
fn every_answered_admission_is_in_the_journal_of_a_killed_stack() {
    const CONNECTIONS: usize = 32;
    const ANSWERS: usize = 1_500;
    for stack in Stack::DECIDING {
        let mut served = Served::start(stack);
        let (addr, count) = (served.addr, Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|own| {
                let count = Arc::clone(&count);
                std::thread::spawn(move || admitted(addr, own, CONNECTIONS, &count))
            })
            .collect();
        let until = Instant::now() + START_MAX;
        while count.load(Ordering::Relaxed) < ANSWERS && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        served.kill();
        let codes: Vec<String> = threads.into_iter().flat_map(|own| own.join().unwrap()).collect();
        assert!(codes.len() >= ANSWERS, "{stack:?} admitted {} in a minute", codes.len());
        let disk = Arc::new(StdDisk::open(&served.dir.path().join("data/journal")).unwrap());
        let (engine, _) = Engine::open(disk, Arc::new(SystemClock), JournalOptions::default()).unwrap();
        for code in codes {
            let (_, ticket) = engine.ticket(CodeKind::Optical, code.as_bytes()).unwrap();
            assert_eq!(ticket.usage.used, 1, "{stack:?}: {code} was admitted and is not in the journal");
        }
    }
}

/// Every `step`th code from `first` on until the server is gone; gives those that were admitted.
fn admitted(addr: SocketAddr, first: usize, step: usize, count: &AtomicUsize) -> Vec<String> {
    let (mut stream, parser, mut codes) = (connect(addr), ReplyParser::new(), Vec::new());
    for number in (first + 1..50_000).step_by(step) {
        let code = format!("DEMO-STD-{number:06}");
        let Some((_, _, body)) = ask(&mut stream, &by_bench_device(&code, &code)) else { break };
        assert_eq!(parser.verdict(body.as_bytes()), Verdict::Granted, "{body}");
        codes.push(code);
        count.fetch_add(1, Ordering::Relaxed);
    }
    codes
}

#[test]
fn a_second_process_on_the_port_is_refused_and_one_that_shares_it_is_found() {
    let served = Served::start(Stack::May);
    let dir = tempfile::tempdir().unwrap();
    let second = Command::new(env!("CARGO_BIN_EXE_bench-stack"))
        .args(["may", "--addr", &served.addr.to_string(), "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("is taken"), "{words}");
    listening::ensure_alone(served.addr, served.child.id()).unwrap();
    // What a forgotten instance would do: may's listener shares its port with whoever asks for it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _in_runtime = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(served.addr).unwrap();
    let _sharing = socket.listen(1).unwrap();
    let found = listening::ensure_alone(served.addr, served.child.id()).unwrap_err().to_string();
    assert!(found.contains("1 sockets of other processes"), "{found}");
}
