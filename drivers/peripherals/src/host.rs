//! One driver host's process: started, spoken to through threads of its own, ended. Its owner is never kept waiting:
//! not by a full pipe, not by a process that cannot be killed. Knows no job.

use crate::mailbox::{Heard, Mailbox};
use driver_frames::{FRAMES_VERSION, FrameError, FromHost, Start, ToHost, read_frame, write_frame};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Messages that wait for the pipe.
const OUTBOX_MAX: usize = 16;
/// Lines of a driver's log that are kept each second.
const LOG_LINES_MAX: u32 = 20;
/// Characters of such a line.
const LOG_CHARS_MAX: usize = 500;

/// A driver host's process. Dropped, it is killed.
pub struct Host {
    child: Option<Child>,
    outbox: SyncSender<ToHost>,
    pulse: Arc<Mutex<Pulse>>,
    /// Which of the peripheral's hosts it is.
    pub generation: u64,
    /// Of the process.
    pub pid: u32,
}

/// What the last sign of life said.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// When it came.
    pub at: Instant,
    /// The driver is in a call for so long.
    pub busy: Duration,
}

/// What a host's reader needs.
struct Reader {
    pipe: ChildStdout,
    mailbox: Arc<Mailbox>,
    pulse: Arc<Mutex<Pulse>>,
    generation: u64,
    peripheral: String,
    log: LogGate,
}

/// Lets so many lines of a log through each second.
struct LogGate {
    since: Instant,
    lines: u32,
}

// === impl Host ===

impl Host {
    /// Starts the process; what it says comes to the mailbox.
    ///
    /// # Errors
    /// The program cannot be run; threads.
    pub fn start(program: &Path, start: Start, generation: u64, mailbox: &Arc<Mailbox>) -> io::Result<Host> {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pulse = Arc::new(Mutex::new(Pulse { at: Instant::now(), busy: Duration::ZERO }));
        let (outbox, messages) = sync_channel(OUTBOX_MAX);
        let pid = child.id();
        let pipes = child.stdin.take().zip(child.stdout.take());
        let peripheral = start.peripheral.clone();
        // From here on the process is killed whatever fails.
        let host = Host { child: Some(child), outbox, pulse: Arc::clone(&pulse), generation, pid };
        let (input, pipe) = pipes.ok_or_else(|| io::Error::other("a process without pipes"))?;
        let log = LogGate { since: Instant::now(), lines: 0 };
        let reader = Reader { pipe, mailbox: Arc::clone(mailbox), pulse, generation, peripheral, log };
        std::thread::Builder::new().name("host-in".to_owned()).spawn(move || reader.read())?;
        std::thread::Builder::new().name("host-out".to_owned()).spawn(move || write(input, &messages))?;
        host.tell(ToHost::Start(Box::new(start)));
        Ok(host)
    }

    /// Says something. `false`: it does not listen any more. Never waits.
    pub fn tell(&self, message: ToHost) -> bool {
        self.outbox.try_send(message).is_ok()
    }

    /// Its last sign of life.
    pub fn pulse(&self) -> Pulse {
        *self.pulse.lock()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        // A process in the middle of a device's system call may outlive SIGKILL for as long as that lasts.
        let reap = std::thread::Builder::new().name("host-end".to_owned()).spawn(move || child.wait());
        if let Err(error) = reap {
            tracing::warn!(%error, "failed to start a thread that waits for a driver host's end");
        }
    }
}

fn write(mut pipe: ChildStdin, messages: &Receiver<ToHost>) {
    while let Ok(message) = messages.recv() {
        // A host that is gone is noticed by its reader.
        if write_frame(&mut pipe, &message).is_err() {
            return;
        }
    }
}

// === impl Reader ===

impl Reader {
    fn read(mut self) {
        let ended = loop {
            match read_frame(&mut self.pipe) {
                Ok(FromHost::Beat { busy_ms }) => {
                    let busy = Duration::from_millis(busy_ms.unwrap_or(0).into());
                    *self.pulse.lock() = Pulse { at: Instant::now(), busy };
                }
                Ok(FromHost::Log { level, text }) => self.log(level, &text),
                Ok(FromHost::Hello { version }) if version != FRAMES_VERSION => {
                    break format!(
                        "it speaks version {version} of the frames, this program {FRAMES_VERSION}"
                    );
                }
                Ok(FromHost::Hello { .. }) => {}
                Ok(frame) => {
                    if !self.mailbox.hear(self.generation, Heard::Frame(frame)) {
                        break "it says more than it was asked".to_owned();
                    }
                }
                Err(FrameError::Ended) => break "it ended".to_owned(),
                Err(error) => break format!("it does not speak frames: {error}"),
            }
        };
        self.mailbox.hear(self.generation, Heard::Ended(ended));
    }

    fn log(&mut self, level: u8, text: &str) {
        if !self.log.lets_through(Instant::now()) {
            return;
        }
        let text: String =
            text.chars().take(LOG_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let peripheral = &self.peripheral;
        match level {
            1 | 2 => tracing::warn!(%peripheral, "driver: {text}"),
            3 => tracing::info!(%peripheral, "driver: {text}"),
            _ => tracing::debug!(%peripheral, "driver: {text}"),
        }
    }
}

// === impl LogGate ===

impl LogGate {
    fn lets_through(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = LogGate { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LOG_LINES_MAX
    }
}
