//! Child processes: started on a core of their own, with their output in a log file, waited for with a deadline, and
//! ended in every case. Knows processes; knows of their contents only how a health question is asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process, pidfd_open,
    set_parent_process_death_signal, setrlimit,
};

use crate::{affinity, limits, procfs, target};

/// How a child is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// In messages.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The core all of its threads stay on.
    pub core: Option<usize>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A running child; dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// The hidden command by which a child is started, see [`become_program`].
pub const LAUNCH_COMMAND: &str = "launch";

// === impl Launch ===

impl Launch {
    /// Starts the child through this very program, which pins itself and then becomes it.
    ///
    /// Must be called from a thread that lives as long as the child may: the kernel's "parent died" is about threads.
    pub fn start(&self) -> Result<Process> {
        let launcher = std::env::current_exe().context("find this program")?;
        let log = File::create(&self.log).with_context(|| format!("create {}", self.log.display()))?;
        let mut command = Command::new(launcher);
        command.arg(LAUNCH_COMMAND);
        if let Some(core) = self.core {
            command.arg("--core").arg(core.to_string());
        }
        command.arg("--").arg(&self.program).args(&self.args);
        let error_log = log.try_clone().context("share the log file")?;
        command.stdin(Stdio::null()).stdout(log).stderr(error_log);
        let child = command.spawn().with_context(|| format!("start {}", self.name))?;
        Ok(Process { name: self.name, child, log: self.log.clone() })
    }
}

/// Turns this process into `program`: pinned, and ended by the kernel when its parent is gone, however it went.
///
/// A command of its own, because doing this between fork and exec would need `unsafe`.
pub fn become_program(core: Option<usize>, program: &Path, args: &[OsString]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("bind to the parent's life")?;
    if let Some(core) = core {
        affinity::pin_current_thread(core)?;
    }
    let error = Command::new(program).args(args).exec();
    Err(anyhow!(error).context(format!("run {}", program.display())))
}

// === impl Process ===

impl Process {
    /// Its process id, the same before and after it became its program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks `GET path` until it is answered 200; returns how long that took.
    pub fn wait_healthy(&mut self, addr: SocketAddr, path: &str) -> Result<Duration> {
        let since = Instant::now();
        loop {
            if matches!(target::get_status(addr, path, limits::CONNECT_WAIT), Ok(200)) {
                return Ok(since.elapsed());
            }
            if let Some(status) = self.child.try_wait().context("look at a child")? {
                bail!(
                    "{} ended while starting ({status}); its last words:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            if since.elapsed() > limits::START_WAIT {
                bail!(
                    "{} is not healthy after {:?}; its last words:\n{}",
                    self.name,
                    limits::START_WAIT,
                    self.last_words()
                );
            }
            std::thread::sleep(limits::START_POLL);
        }
    }

    /// Waits until it uses no CPU to speak of; says so when it never rests, because then what follows is disturbed.
    pub fn wait_quiet(&self) -> Result<bool> {
        let deadline = Instant::now() + limits::QUIET_WAIT;
        while Instant::now() < deadline {
            let (since, before) = (Instant::now(), procfs::process_cpu_ns(self.pid())?);
            std::thread::sleep(limits::QUIET_LOOK);
            let spent_ns = procfs::process_cpu_ns(self.pid())?.saturating_sub(before);
            if spent_ns as f64 / since.elapsed().as_nanos() as f64 <= limits::QUIET_SHARE {
                return Ok(true);
            }
        }
        eprintln!("{} is still working after {:?} without requests", self.name, limits::QUIET_WAIT);
        Ok(false)
    }

    /// Waits for its end; `None` when it goes on after `wait_max`.
    pub fn wait_end(&mut self, wait_max: Duration) -> Result<Option<ExitStatus>> {
        // A handle that becomes readable with the end of the process: no polling, and no other process can take its place.
        let handle =
            pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).context("open a process handle")?;
        let deadline = Instant::now() + wait_max;
        loop {
            if let Some(status) = self.child.try_wait().context("look at a child")? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for a child"),
            }
        }
    }

    /// Asks it to stop and returns how long it took; not stopping in time, or with an error, is one.
    pub fn stop(mut self) -> Result<Duration> {
        let since = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("stop {}", self.name))?;
        match self.wait_end(limits::STOP_WAIT)? {
            Some(status) => {
                ensure!(
                    status.success(),
                    "{} stopped with {status}; its last words:\n{}",
                    self.name,
                    self.last_words()
                );
                Ok(since.elapsed())
            }
            None => bail!("{} did not stop within {:?}", self.name, limits::STOP_WAIT),
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is fine: then both calls have nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Raises the number of files this process and its children may open to `count`, or as far as it may.
pub fn allow_descriptors(count: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    let current = Some(limit.maximum.map_or(count, |maximum| maximum.min(count)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum })
        .context("raise the limit of open files")
}

/// `N` addresses on loopback that nobody listens on. Somebody else may take one before it is used; then the server says so.
pub fn free_addrs<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..N {
        listeners.push(TcpListener::bind("127.0.0.1:0").context("find a free port")?);
    }
    let mut addrs = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (addr, listener) in addrs.iter_mut().zip(&listeners) {
        *addr = listener.local_addr().context("find a free port")?;
    }
    Ok(addrs)
}
