//! One Redis server of a test or a comparison: started, killed, started again. It syncs its file before every answer. Knows
//! its settings and PING; knows no keys.

use crate::programs::Programs;
use crate::watched::{Start, Watched, free_port};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Every answered write is in the file and synced; no image beside it, and no rewriting of the file, which would be other
/// work at a time nobody chose. What it does not log or count for us, it shall not pay for.
const SETTINGS: [(&str, &str); 8] = [
    ("--bind", "127.0.0.1"),
    ("--appendonly", "yes"),
    ("--appendfsync", "always"),
    ("--save", ""),
    ("--auto-aof-rewrite-percentage", "0"),
    ("--slowlog-log-slower-than", "-1"),
    ("--daemonize", "no"),
    ("--protected-mode", "yes"),
];

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// The core all of its threads stay on.
    pub core: Option<usize>,
}

/// A server with a directory of its own.
#[derive(Debug)]
pub struct Redis {
    programs: Programs,
    // Above `dir`: fields are dropped in this order, and a directory is removed only after its server has ended.
    running: Option<Watched>,
    dir: tempfile::TempDir,
    port: u16,
    core: Option<usize>,
}

// === impl Redis ===

impl Redis {
    /// Starts a server on a free port, with nothing in it; returns when it answers.
    ///
    /// # Panics
    /// When it does not come up, with what its log says.
    pub fn start(programs: &Programs, options: &RedisOptions) -> Redis {
        let dir = tempfile::Builder::new().prefix("gatehouse-redis-").tempdir().expect("make a directory");
        let mut redis =
            Redis { programs: programs.clone(), running: None, dir, port: free_port(), core: options.core };
        redis.resume();
        redis
    }

    /// Of this version.
    pub fn version(&self) -> &str {
        &self.programs.version
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("it runs").pid()
    }

    /// Starts it again, on the same port and directory; returns when it has read its file and answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn resume(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let port = self.port.to_string();
        let own = [("--port", port.as_str()), ("--dir", self.dir.path().to_str().expect("a plain path"))];
        let settings = SETTINGS.into_iter().chain(own);
        let args: Vec<&OsStr> = settings.flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect();
        let start = Start {
            program: &self.programs.bin.join("redis-server"),
            args: &args,
            core: self.core,
            dir: self.dir.path(),
            log: &self.dir.path().join("log"),
            end: "KILL",
        };
        let running = start.through(Command::new("sh"));
        let running = running.unwrap_or_else(|| panic!("no server: {}", self.log()));
        let answers = running.comes_up(|| answers(self.port));
        assert!(answers, "Redis {} did not come up:\n{}", self.version(), self.log());
        self.running = Some(running);
    }

    /// Takes it away in the middle of whatever it does.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        let running = self.running.take().expect("it runs");
        running.signal(rustix::process::Signal::KILL);
        assert!(running.wait(), "Redis did not end:\n{}", self.log());
    }

    /// What the server has written into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// While it reads its file it says that it is loading.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut answer = [0; 7];
    let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer));
    asked.is_ok() && answer == *b"+PONG\r\n"
}
