//! One PostgreSQL server of a test: made, started, stopped gently, killed, started again.

use crate::programs::Programs;
use crate::proxy::Proxy;
use crate::watched::{PATIENCE, Start, Watched, free_port, has_ended, state_of, until};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `nobody` and `nogroup` of Debian and most others.
const NOBODY: u32 = 65_534;
/// The password of the one user, `gatehouse`.
const PASSWORD: &str = "only-for-tests";
/// Bytes of an SSLRequest and of its answer, the cheapest question every PostgreSQL answers.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Further settings, such as `("max_connections", "5")`.
    pub settings: Vec<(String, String)>,
    /// Its certificate and key, PEM; without them it speaks no TLS.
    pub certificate: Option<(String, String)>,
    /// Does it sync its disk? A test that only kills processes needs no sync and is faster without.
    pub synced: bool,
    /// The core all of its processes stay on.
    pub core: Option<usize>,
}

/// A server with a directory of its own.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    // Above `dir`: fields are dropped in this order, and a directory is removed only after its server has ended.
    running: Option<Watched>,
    dir: tempfile::TempDir,
    port: u16,
    core: Option<usize>,
    databases: AtomicU32,
}

// === impl Postgres ===

impl Postgres {
    /// Makes and starts a server on a free port; returns when it answers.
    ///
    /// # Panics
    /// When it does not come up, with what its log says.
    pub fn start(programs: &Programs, options: &PostgresOptions) -> Postgres {
        let dir = tempfile::Builder::new().prefix("gatehouse-postgres-").tempdir().expect("make a directory");
        give_away(dir.path());
        let mut postgres = Postgres {
            programs: programs.clone(),
            dir,
            port: free_port(),
            core: options.core,
            running: None,
            databases: AtomicU32::new(0),
        };
        postgres.init(options);
        postgres.resume();
        postgres
    }

    /// Of this version.
    pub fn version(&self) -> &str {
        &self.programs.version
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its first process, whose children all others are.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// How to reach one of its databases.
    pub fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }

    /// How to reach one of its databases through a wire to it.
    pub fn url_through(&self, proxy: &Proxy, database: &str) -> String {
        url_at(proxy.port(), database)
    }

    /// A name no test of this server has got yet, for a database of its own.
    pub fn fresh_name(&self) -> String {
        format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts it again, on the same port and directory; returns when it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn resume(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let data = self.data();
        let start = Start {
            program: &self.programs.bin.join("postgres"),
            args: &["-D".as_ref(), data.as_os_str()],
            core: self.core,
            dir: self.dir.path(),
            log: &self.log_path(),
            // Its own children end with it.
            end: "QUIT",
        };
        let running = start.through(self.command("sh"));
        self.running = Some(running.unwrap_or_else(|| panic!("no server: {}", self.log())));
        let answers = self.running().comes_up(|| answers(self.port) && self.accepts());
        assert!(answers, "PostgreSQL {} did not come up:\n{}", self.version(), self.log());
    }

    /// Stops it as its operator would (`fast`: running transactions are rolled back).
    pub fn stop(&mut self) {
        self.signal(rustix::process::Signal::INT);
        self.wait();
    }

    /// Halts it and everything it has under way, as a machine that stands still: its connections stay, new ones are taken by
    /// the system, and nothing is answered until [`Postgres::go_on`].
    pub fn halt(&mut self) {
        signal_all(&self.halted_children(), rustix::process::Signal::STOP);
    }

    /// Ends a [`Postgres::halt`].
    pub fn go_on(&mut self) {
        signal_all(&children_of(self.running().server_pid), rustix::process::Signal::CONT);
        self.signal(rustix::process::Signal::CONT);
    }

    /// Halts the server itself; gives its children, of which there are no more from then on.
    fn halted_children(&self) -> Vec<i32> {
        let server_pid = self.running().server_pid;
        self.signal(rustix::process::Signal::STOP);
        assert!(until(PATIENCE, || state_of(server_pid) == Some('T')), "PostgreSQL was not halted");
        children_of(server_pid)
    }

    /// Takes it away in the middle of whatever it does.
    pub fn kill(&mut self) {
        // It is halted first: one of its own processes that it makes now would outlive it, and hold its memory.
        let children = self.halted_children();
        self.signal(rustix::process::Signal::KILL);
        signal_all(&children, rustix::process::Signal::KILL);
        let ended = until(PATIENCE, || children.iter().all(|pid| has_ended(*pid)));
        assert!(ended, "processes of PostgreSQL did not end");
        self.wait();
        let _ = std::fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Gives a folder of the test's to whom the server runs as, for a tablespace.
    pub fn give(&self, folder: &Path) {
        give_away(folder);
    }

    /// What the server has written into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn init(&self, options: &PostgresOptions) {
        let password = self.dir.path().join("password");
        File::create(&password)
            .and_then(|mut file| file.write_all(PASSWORD.as_bytes()))
            .expect("write the password");
        let made = self
            .command(self.programs.bin.join("initdb"))
            .args([
                "--username=gatehouse",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(self.data())
            .output()
            .expect("start initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nmax_connections = 60\n\
             shared_buffers = '64MB'\nfsync = {}\n",
            self.port,
            if options.synced { "on" } else { "off" },
        );
        if let Some((certificate, key)) = &options.certificate {
            self.write_secret("server.crt", certificate);
            self.write_secret("server.key", key);
            settings.push_str("ssl = on\n");
        }
        for (name, value) in &options.settings {
            settings.push_str(&format!("{name} = '{value}'\n"));
        }
        let mut file = File::options()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .expect("open its settings");
        file.write_all(settings.as_bytes()).expect("write its settings");
    }

    /// A file only the server may read.
    fn write_secret(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, text).expect("write a secret of the server's");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("hide it");
        if rustix::process::getuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("give it away");
        }
    }

    /// A command that runs as somebody PostgreSQL accepts.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("LC_ALL", "C");
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Has it come so far that it takes connections? Until then it says that it is starting up.
    fn accepts(&self) -> bool {
        std::fs::read_to_string(self.data().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
    }

    fn running(&self) -> &Watched {
        self.running.as_ref().expect("it runs")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        self.running().signal(signal);
    }

    /// Waits until the server, which was told to, has ended.
    fn wait(&mut self) {
        let ended = self.running.take().expect("it runs").wait();
        assert!(ended, "PostgreSQL did not stop:\n{}", self.log());
    }
}

fn url_at(port: u16, database: &str) -> String {
    format!("postgres://gatehouse:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// To whom the server runs as: its directory is his.
fn give_away(dir: &Path) {
    if rustix::process::getuid().is_root() {
        chown(dir, Some(NOBODY), Some(NOBODY)).expect("give the directory away");
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("open the directory");
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    stream.write_all(&SSL_REQUEST).is_ok() && stream.read_exact(&mut [0]).is_ok()
}

fn signal_all(pids: &[i32], signal: rustix::process::Signal) {
    for pid in pids.iter().filter_map(|pid| rustix::process::Pid::from_raw(*pid)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn children_of(parent: i32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
