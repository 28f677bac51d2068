//! A real driver host with a real plugin, as a supervisor has it, with a deadline for every answer. Knows no printer.

use driver_frames::{FromHost, Op, Report, Start, ToHost, Way, read_frame, write_frame};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A host gets so long beyond the time it was given for a document.
const GRACE: Duration = Duration::from_secs(20);

/// A host process; killed when the test is done with it.
pub struct Host {
    child: Child,
    input: ChildStdin,
    heard: Receiver<FromHost>,
    next_id: u64,
}

impl Host {
    /// Starts a host for `libdriver_NAME.so` and a printer behind this address.
    pub fn start(driver: &str, config: &str, address: &str) -> Result<Host, String> {
        let mut child = Command::new(program()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the host does not start: {error}"))?;
        let input = child.stdin.take().ok_or("no pipe to the host")?;
        let mut output = child.stdout.take().ok_or("no pipe from the host")?;
        let (tell, heard) = channel();
        // Ends with the host's end of the pipe.
        std::thread::spawn(move || {
            while let Ok(message) = read_frame(&mut output) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let mut host = Host { child, input, heard, next_id: 1 };
        host.tell(&ToHost::Start(Box::new(Start {
            peripheral: "P1".to_owned(),
            plugin: plugin(driver)?.display().to_string(),
            sha256: None,
            config: config.to_owned(),
            way: Way::Tcp(address.to_owned()),
            record: std::env::var("GATEHOUSE_PRINTING_RECORD").ok(),
        })))?;
        match host.hear(GRACE)? {
            FromHost::Started { .. } => Ok(host),
            other => Err(format!("the host did not start its driver: {other:?}")),
        }
    }

    /// Prints a document: its final report.
    pub fn run(&mut self, ops: Vec<Op<'static>>, timeout_ms: u32) -> Result<Report, String> {
        let id = self.ask(ops, timeout_ms)?;
        self.report(id, Duration::from_millis(timeout_ms.into()) + GRACE)
    }

    /// Begins to print a document and is killed after a while: its report, if it came before.
    pub fn run_and_kill(mut self, ops: Vec<Op<'static>>, timeout_ms: u32, after: Duration) -> Option<Report> {
        let id = self.ask(ops, timeout_ms).ok()?;
        self.report(id, after).ok()
    }

    fn ask(&mut self, ops: Vec<Op<'static>>, timeout_ms: u32) -> Result<u64, String> {
        let id = self.next_id;
        self.next_id += 1;
        self.tell(&ToHost::Run { id, ops, timeout_ms })?;
        Ok(id)
    }

    fn report(&self, id: u64, wait: Duration) -> Result<Report, String> {
        let until = Instant::now() + wait;
        loop {
            match self.hear(until.saturating_duration_since(Instant::now()))? {
                FromHost::Ran { id: of, report } if of == id => return Ok(report),
                FromHost::Link { .. } | FromHost::Changed { .. } => {}
                other => return Err(format!("instead of a report: {other:?}")),
            }
        }
    }

    fn tell(&mut self, message: &ToHost) -> Result<(), String> {
        write_frame(&mut self.input, message).map_err(|error| format!("the host cannot be told: {error}"))
    }

    /// The next message that is no sign of life and no log line.
    fn hear(&self, wait: Duration) -> Result<FromHost, String> {
        let until = Instant::now() + wait;
        loop {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(FromHost::Beat { .. } | FromHost::Log { .. } | FromHost::Hello { .. }) => {}
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => return Err("the host does not answer in time".to_owned()),
                Err(RecvTimeoutError::Disconnected) => return Err("the host ended".to_owned()),
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where this test's own executable is.
fn beside() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    own.parent().map(Path::to_owned).ok_or("this test is nowhere".to_owned())
}

fn program() -> Result<PathBuf, String> {
    let deps = beside()?;
    let program = deps.parent().unwrap_or(&deps).join("gatehouse-driver-host");
    if program.exists() {
        return Ok(program);
    }
    Err(format!("{} is missing: build it with `cargo build -p driver-host`", program.display()))
}

fn plugin(driver: &str) -> Result<PathBuf, String> {
    let file = beside()?.join(format!("libdriver_{driver}.so"));
    if file.exists() {
        return Ok(file);
    }
    Err(format!("{} is missing: driver-{driver} has to be a dev-dependency of this test", file.display()))
}
