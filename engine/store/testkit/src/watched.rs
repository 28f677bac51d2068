//! A server's process that ends with the test's, however that ends: a shell that hangs on a pipe from the test starts it and
//! ends it. Owns its start, its core, its signals and its end; knows no server in particular.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to come up or go down before the test is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is started, and where.
pub(crate) struct Start<'a> {
    /// The server.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [&'a OsStr],
    /// The core it and its children stay on.
    pub core: Option<usize>,
    /// Its directory, which goes with it where the test cannot remove it any more.
    pub dir: &'a Path,
    /// Where its words go.
    pub log: &'a Path,
    /// The signal that ends it at once. What a shell starts in the background ignores QUIT unless it has a use for it.
    pub end: &'static str,
}

/// The shell that watches over the server. When its standard input ends, because this process has, it stops the server.
/// Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Watched {
    watcher: Child,
    pub server_pid: i32,
}

/// Starts the server as its child, and ends it, halted or not, when nobody holds the pipe to its standard input any more.
/// Where nobody said that he stays, the test process is gone and cannot remove the directory any more.
const WATCHER: &str = r#"
"$@" </dev/null >>"$LOG" 2>&1 &
server=$!
echo "$server"
read -r left
kill -"$END" "$server" 2>/dev/null
kill -CONT "$server" 2>/dev/null
wait
[ "$left" = stays ] || { cd / && rm -rf "$DIR"; }
"#;

// === impl Start ===

impl Start<'_> {
    /// Starts it through this shell, which runs as whom the server shall; `None`: the shell could not.
    pub fn through(&self, mut shell: Command) -> Option<Watched> {
        shell.args(["-c", WATCHER, "watcher"]);
        if let Some(core) = self.core {
            // It becomes the server: the process keeps its number.
            shell.args(["taskset", "-c"]).arg(core.to_string());
        }
        shell.arg(self.program).args(self.args);
        shell.env("LOG", self.log).env("DIR", self.dir).env("END", self.end);
        let mut watcher = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start a shell");
        let mut line = String::new();
        let mut told = watcher.stdout.take().expect("it was piped");
        let mut byte = [0];
        while told.read(&mut byte).is_ok_and(|read| read == 1) && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        let Ok(server_pid) = line.trim().parse() else {
            let _ = watcher.wait();
            return None;
        };
        Some(Watched { watcher, server_pid })
    }
}

// === impl Watched ===

impl Watched {
    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.server_pid.unsigned_abs()
    }

    /// Tells the server.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.server_pid).expect("a process has a number");
        rustix::process::kill_process(pid, signal).expect("the server is ours to stop");
    }

    /// Waits until it answers; false: it has ended, or takes too long.
    pub fn comes_up(&self, mut answers: impl FnMut() -> bool) -> bool {
        let answered = &mut false;
        until(PATIENCE, || {
            *answered = answers();
            *answered || has_ended(self.server_pid)
        });
        *answered
    }

    /// Waits until the server, which was told to, has ended; whether it has.
    pub fn wait(self) -> bool {
        until(PATIENCE, || has_ended(self.server_pid))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.watcher.stdin.take() {
            let _ = pipe.write_all(b"stays\n");
        }
        let _ = self.watcher.wait();
    }
}

/// A port of the loopback nobody listens on. Somebody else may take it before the server does; then that says so.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("find a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Gone, or only waiting for its parent to take notice.
pub(crate) fn has_ended(pid: i32) -> bool {
    matches!(state_of(pid), None | Some('Z' | 'X'))
}

/// The letter the system has for what a process does; `None`: it is gone.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Looks again and again, for so long at the most.
pub(crate) fn until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
