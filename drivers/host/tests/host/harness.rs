//! A host process under test, and drivers in C for it. Knows no way to a device.

use driver_frames::{Fault, FromHost, Op, Report, Start, Status, ToHost, Way, read_frame, write_frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A host process; killed when the test is done with it.
pub struct Host {
    pub child: Child,
    /// `None`: it was closed, the supervisor is gone.
    pub input: Option<ChildStdin>,
    pub output: ChildStdout,
    runs: u64,
}

/// A host that says nothing for so long has failed its test.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A line of a long document.
pub const LINE_BYTES: usize = 1_000;

/// The start of a host for this driver and way, to be changed by a test.
pub fn start(plugin: &Path, config: &str, way: Way) -> Start {
    Start {
        peripheral: "till-1".to_owned(),
        plugin: plugin.display().to_string(),
        sha256: None,
        config: config.to_owned(),
        way,
        record: None,
    }
}

impl Host {
    /// A process that has not been told anything yet.
    pub fn spawn(mut command: Command) -> Host {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Host { child, input, output, runs: 0 }
    }

    /// The program.
    pub fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_gatehouse-driver-host"))
    }

    /// A process that was told to start.
    pub fn with(start: Start) -> Host {
        let mut host = Host::spawn(Host::command());
        host.tell(&ToHost::Start(Box::new(start)));
        host
    }

    /// The example driver on this way, started.
    pub fn example(way: Way) -> Host {
        let mut host = Host::with(start(&example(), "{}", way));
        assert!(matches!(host.hear(), FromHost::Started { .. }));
        host
    }

    pub fn tell(&mut self, message: &ToHost) {
        write_frame(self.input.as_mut().unwrap(), message).unwrap();
    }

    /// The next message of any kind.
    pub fn hear_any(&mut self) -> FromHost {
        let mut look = [PollFd::new(&self.output, PollFlags::IN)];
        let most = Timespec::try_from(WAIT_MAX).unwrap();
        assert_eq!(poll(&mut look, Some(&most)), Ok(1), "the host says nothing");
        read_frame(&mut self.output).unwrap()
    }

    /// The next message that is no sign of life and no log line.
    pub fn hear(&mut self) -> FromHost {
        let until = Instant::now() + WAIT_MAX;
        loop {
            assert!(Instant::now() < until, "the host lives and says nothing else");
            match self.hear_any() {
                FromHost::Beat { .. } | FromHost::Log { .. } | FromHost::Hello { .. } => {}
                message => return message,
            }
        }
    }

    /// Asks for a document; its number.
    pub fn ask(&mut self, text: &str, timeout_ms: u32) -> u64 {
        self.runs += 1;
        let ops = vec![Op::Text(text.to_owned().into()), Op::Newline];
        self.tell(&ToHost::Run { id: self.runs, ops, timeout_ms });
        self.runs
    }

    /// Asks for a document of so many lines, each of `LINE_BYTES`; its number.
    pub fn ask_lines(&mut self, lines: usize, timeout_ms: u32) -> u64 {
        self.runs += 1;
        let line = [Op::Text("x".repeat(LINE_BYTES - 1).into()), Op::Newline];
        let ops = std::iter::repeat_n(line, lines).flatten().collect();
        self.tell(&ToHost::Run { id: self.runs, ops, timeout_ms });
        self.runs
    }

    /// What became of a document, and what was told of the line before.
    pub fn ran(&mut self, id: u64) -> (Report, Vec<(bool, String)>) {
        let mut links = Vec::new();
        loop {
            match self.hear() {
                FromHost::Link { up, text } => links.push((up, text)),
                FromHost::Ran { id: its, report } if its == id => return (report, links),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Prints a document within ten seconds.
    pub fn print(&mut self, text: &str) -> Report {
        let id = self.ask(text, 10_000);
        self.ran(id).0
    }

    pub fn status(&mut self) -> Result<Status, Fault> {
        self.tell(&ToHost::Status { id: 7, timeout_ms: 10_000 });
        loop {
            match self.hear() {
                FromHost::Link { .. } => {}
                FromHost::StatusIs { id: 7, status } => return status,
                other => panic!("{other:?}"),
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

/// A Rust plugin as it was built for these tests.
pub fn rust_plugin(name: &str) -> PathBuf {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    dir.join(format!("libdriver_{name}.so"))
}

/// A folder that lives as long as the tests.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// The example driver, compiled once.
pub fn example() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/example/example_driver.c");
        compile(&source, "example", &[])
    })
    .clone()
}

/// A driver that does one odd thing: `odd.c` says which there are.
pub fn odd(oddity: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host/odd.c");
    // Tests run side by side: each has a file of its own.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    compile(
        &source,
        &format!("odd-{count}"),
        &[&format!("-D{oddity}"), "-Wno-unused-function", "-Wno-unused-variable"],
    )
}

fn compile(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/include");
    let file = folder().join(format!("lib{name}.so"));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-shared", "-fPIC"])
        .args(flags)
        .arg("-I")
        .arg(header)
        .arg(source)
        .arg("-o")
        .arg(&file)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    file
}
