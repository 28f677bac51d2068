//! What the tests of the program share: a server as a child process that always ends, a raw HTTP client, commands
//! with a deadline, and a venue small enough to read. Knows HTTP as bytes.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come. Generous: other builds may run on the same machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The demo operator's password and token.
pub const DEMO_TOKEN: &str = "demo-pass";

/// Looks until there is something, or stops the test.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The program, with nothing of this process's environment but what it needs.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

/// What a command came to.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    pub fn well(self) -> Done {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// Runs a command to its end, killed at the deadline.
pub fn finish(mut command: Command) -> Done {
    let dir = tempfile::tempdir().unwrap();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = Guard(command.spawn().unwrap());
    let status = child.ended_within(PATIENCE);
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let status = status.unwrap_or_else(|| panic!("does not end: {command:?}\n{}{}", text(&out), text(&err)));
    Done { code: status.code().unwrap_or(-1), out: text(&out), err: text(&err) }
}

/// Runs the program with these arguments and no environment.
pub fn run(arguments: &[&str]) -> Done {
    run_with(arguments, &[])
}

/// Runs the program with these arguments and this environment.
pub fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Done {
    let mut command = program();
    command.args(arguments).envs(environment.iter().copied());
    finish(command)
}

/// A child that is killed and waited for, whatever happens.
pub struct Guard(pub Child);

impl Guard {
    pub fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            if began.elapsed() > time {
                return None;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Site ===

/// A data directory and what the servers on it said.
pub struct Site {
    dir: tempfile::TempDir,
    flags: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Prefix of the command line, such as a shell with a limit.
    pub shell: Option<String>,
}

impl Site {
    /// With demo data.
    pub fn demo() -> Site {
        let mut site = Site::bare();
        site.flags.push("--demo".to_owned());
        site.set("GATEHOUSE_DEMO_PASSWORD", DEMO_TOKEN)
    }

    /// Without any data.
    pub fn bare() -> Site {
        let flags = ["--live", "off", "--device-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
        Site {
            dir: tempfile::tempdir().unwrap(),
            flags: flags.map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            shell: None,
        }
    }

    /// With the small venue of `venue()`, imported without a server, and these tickets as CSV.
    pub fn venue(rows: &str) -> Site {
        let site = Site::bare();
        site.import_venue(rows);
        site
    }

    /// Imports the small venue of `venue()` and these tickets as CSV, without a server.
    pub fn import_venue(&self, rows: &str) {
        self.command(&["import", "venue", &self.file("venue.toml", venue().as_bytes())]).well();
        let list = self.file("list.csv", format!("code,type,holder\n{rows}").as_bytes());
        self.command(&["import", "tickets", "--event", "cup", &list]).well();
    }

    pub fn set(mut self, name: &str, value: &str) -> Site {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Another data directory: what was in the old one is lost.
    pub fn lose_data(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn data_text(&self) -> String {
        self.data().display().to_string()
    }

    pub fn journal(&self) -> PathBuf {
        self.data().join("journal")
    }

    /// Writes a file beside the data; gives its path.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Runs a command on this data directory.
    pub fn command(&self, arguments: &[&str]) -> Done {
        let mut command = program();
        command.args(arguments).arg("--data-dir").arg(self.data()).envs(&self.environment);
        finish(command)
    }

    /// The access log, as it is exported.
    pub fn exported(&self) -> Vec<Value> {
        let done = self.command(&["export", "scans", "--format", "ndjson"]).well();
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything all servers here wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("err")).unwrap_or_default()
    }

    /// The command line of a server.
    fn serve(&self) -> Command {
        let mut command = match &self.shell {
            None => program(),
            Some(before) => {
                let mut command = Command::new("sh");
                let script = format!("{before} exec {} \"$@\"", env!("CARGO_BIN_EXE_gatehouse"));
                command.env_clear().stdin(Stdio::null()).arg("-c").arg(script).arg("sh");
                command
            }
        };
        command.arg("serve").args(&self.flags).arg("--data-dir").arg(self.data()).envs(&self.environment);
        command
    }

    /// Starts a server and does not wait until it is ready.
    pub fn spawn(&self) -> (Guard, PathBuf) {
        let out = self.dir.path().join("out");
        let err = File::options().create(true).append(true).open(self.dir.path().join("err")).unwrap();
        let child = self.serve().stdout(File::create(&out).unwrap()).stderr(err).spawn().unwrap();
        (Guard(child), out)
    }

    /// Starts a server and waits until it is ready.
    pub fn start(&self) -> Server {
        let (mut child, out) = self.spawn();
        let screen = until("the first screen", || {
            let screen = std::fs::read_to_string(&out).unwrap();
            if !screen.contains("Stop with Ctrl-C")
                && let Some(status) = child.0.try_wait().unwrap()
            {
                panic!("the server does not start, {status}: {screen}{}", self.log());
            }
            screen.contains("Stop with Ctrl-C").then_some(screen)
        });
        let device = address(&screen, "device port").unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1)));
        Server { child, device, api: address(&screen, "health").unwrap(), screen }
    }

    /// A server that must not start: how it ended.
    pub fn fails_to_start(&self) -> Done {
        finish(self.serve())
    }
}

fn address(screen: &str, label: &str) -> Option<SocketAddr> {
    let line = screen.lines().find(|line| line.trim_start().starts_with(label))?;
    line.split("http://").nth(1)?.split('/').next()?.parse().ok()
}

// === impl Server ===

/// A server that runs.
pub struct Server {
    child: Guard,
    pub device: SocketAddr,
    pub api: SocketAddr,
    pub screen: String,
}

impl Server {
    pub fn client(&self) -> Client {
        Client::to(self.device)
    }

    /// One request on its own connection.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.client().post(path, body)
    }

    /// One question on its own connection with a key or token.
    pub fn get(&self, path: &str, key: &str) -> Answer {
        self.client().request("GET", path, &[("Authorization", &format!("Bearer {key}"))], b"").unwrap()
    }

    /// A scan by the demo device of this number.
    #[track_caller]
    pub fn scan(&self, device: u32, code: &str, scan_id: &str) -> Value {
        let answer = self.post("/api/access/validate", &scan_body(device, code, scan_id));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Signed-in operator's `access-control`.
    pub fn control(&self, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.client()
            .request("POST", "/api/kqt300/access-control", &[("Authorization", &bearer)], body.as_bytes())
            .unwrap()
    }

    pub fn heartbeat(&self, device: u32) -> Value {
        let body = format!(r#"{{"device_id":"KQT300_{device:03}","api_key":"demo-key-{device:03}"}}"#);
        let answer = self.post("/api/kqt300/heartbeat", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        let answer = Client::to(self.api).request("GET", "/metrics", &[], b"").unwrap();
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// One number of the metrics page, such as `gatehouse_conflicts` or `…_total{gate="G"}`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        metric_of(&self.metrics(), name)
    }

    /// Waits until the store has everything.
    pub fn projected(&self) {
        until("the projection", || {
            let next = self.metric("gatehouse_journal_next_lsn");
            (self.metric("gatehouse_projected_lsn") >= next).then_some(())
        });
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        self.child.ended_within(time)
    }

    /// SIGTERM, and a clean end.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.ended_within(PATIENCE).expect("SIGTERM does not end it");
        assert_eq!(status.code(), Some(0));
    }
}

/// One number of a metrics page.
#[track_caller]
pub fn metric_of(page: &str, name: &str) -> f64 {
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

/// The body of a scan by a demo device.
pub fn scan_body(device: u32, code: &str, scan_id: &str) -> String {
    format!(
        r#"{{"device_id":"KQT300_{device:03}","api_key":"demo-key-{device:03}","qr_data":"{code}","scan_id":"{scan_id}"}}"#
    )
}

// === impl Client ===

/// One connection, kept alive.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Is it a fault with this status and code that opens nothing?
    #[track_caller]
    pub fn is_fault(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let value = self.json();
        assert_eq!(
            (value["status"].as_str(), value["error"].as_str()),
            (Some("error"), Some(code)),
            "{value}"
        );
        assert_eq!(value["device_action"]["unlock_door"], false, "{value}");
        assert!(value["message"].as_str().is_some_and(|message| !message.is_empty()), "{value}");
    }
}

impl Client {
    pub fn to(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).unwrap();
        Client::over(stream)
    }

    /// On a connection that something was said on already.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, read: Vec::new() }
    }

    /// For a server that may be gone.
    pub fn try_to(addr: SocketAddr) -> io::Result<Client> {
        TcpStream::connect(addr).map(Client::over)
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &[], body.as_bytes()).unwrap()
    }

    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.send(&request_bytes(method, path, headers, body))?;
        self.answer(method == "HEAD")
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer on this connection, read in full.
    pub fn answer(&mut self, bodiless: bool) -> io::Result<Answer> {
        let (status, headers) = loop {
            let head = self.until(b"\r\n\r\n")?;
            let (status, headers) = head_of(&head);
            if status != 100 {
                break (status, headers);
            }
        };
        let of = |name: &str| {
            headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let body = match of("Content-Length") {
            _ if bodiless || matches!(status, 204 | 304) => Vec::new(),
            Some(length) => self.take(length.parse().unwrap())?,
            None if of("Transfer-Encoding").is_some() => self.chunks()?,
            None => return Err(io::Error::other(format!("an answer without length: {status} {headers:?}"))),
        };
        Ok(Answer { status, headers, body })
    }

    /// The next chunk of a body that comes in chunks; an empty one is its end.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.until(b"\r\n")?;
        let length = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
        let mut chunk = self.take(length + 2)?;
        chunk.truncate(length);
        Ok(chunk)
    }

    /// Every chunk until the end; a body that is cut off is an error.
    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(whole);
            }
            whole.extend(chunk);
        }
    }

    /// The head of an answer whose body streams.
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        self.until(b"\r\n\r\n").map(|head| head_of(&head))
    }

    /// Bytes up to and with this mark.
    pub fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.read.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            self.fill()?;
        }
        Ok(self.read.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.read.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        std::mem::take(&mut self.read)
    }

    pub fn patience(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }
}

pub fn request_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: gate\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if method == "POST" || !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn head_of(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    (status, headers.collect())
}

// === a venue ===

/// A venue file: one event that goes on now, two gates, two devices without rate limit.
pub fn venue() -> String {
    "[[event]]\nname = 'cup'\ntitle = 'Cup Final'\ntime_zone = 'UTC'\ndoors_open = '2020-01-01T00:00:00Z'\nstarts = '2020-01-01T01:00:00Z'\nends = '2090-01-01T00:00:00Z'\n\
     [[zone]]\nname = 'STAND'\n\
     [[gate]]\nname = 'IN'\nevent = 'cup'\nfrom = 'outside'\nto = 'STAND'\n\
     [[gate]]\nname = 'OUT'\nevent = 'cup'\nfrom = 'STAND'\nto = 'outside'\n\
     [[type]]\nname = 'SEAT'\nevent = 'cup'\nentries = 1\n\
     [[device]]\nname = 'D1'\ngate = 'IN'\nkey = 'key-of-d1'\nrate_per_minute = 0\n\
     [[device]]\nname = 'D2'\ngate = 'OUT'\nkey = 'key-of-d2'\nrate_per_minute = 0\n"
        .to_owned()
}

/// A scan by device D1 of the venue.
pub fn venue_scan(code: &str, scan_id: &str) -> String {
    format!(r#"{{"device_id":"D1","api_key":"key-of-d1","qr_data":"{code}","scan_id":"{scan_id}"}}"#)
}

/// Does any file under this directory hold these bytes? Gives its path.
pub fn holds(dir: &Path, needle: &[u8]) -> Option<PathBuf> {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let found =
            if path.is_dir() { holds(&path, needle) } else { file_holds(&path, needle).then_some(path) };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn file_holds(path: &Path, needle: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut rest = bytes.as_slice();
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
