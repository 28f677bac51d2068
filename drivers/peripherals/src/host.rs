//! One driver host's process: started, spoken to through threads of its own, ended. Its owner is never kept waiting:
//! not by a full pipe, not by a process that cannot be killed. Knows no job.

use crate::mailbox::{Heard, Mailbox};
use driver_frames::{FRAMES_VERSION, FrameError, FromHost, Start, ToHost, read_frame, write_frame};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Messages that wait for the pipe.
const OUTBOX_MAX: usize = 16;
/// Frames that are read each second without a pause.
const FRAMES_AT_ONCE: u32 = 100;
/// Then a pause follows each: a driver that says too much waits for its pipe, and the server's cores are the gates'.
const PAUSE: Duration = Duration::from_millis(1);
/// The threads of a process that ended have so long for the last of their work in the kernel.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// Lines of a driver's log that are kept each second.
const LOG_LINES_MAX: u32 = 20;
/// Characters of such a line.
const LOG_CHARS_MAX: usize = 500;

/// A driver host's process. Dropped, it is killed; its reader waits for its end.
pub struct Host {
    /// The process and no other, also when its number is used again.
    process: OwnedFd,
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
    child: Child,
    process: OwnedFd,
    pipe: ChildStdout,
    mailbox: Arc<Mailbox>,
    pulse: Arc<Mutex<Pulse>>,
    generation: u64,
    peripheral: String,
    /// What it says is read quickly while it is this little.
    frames: Ration,
    /// Lines of its log.
    lines: Ration,
}

/// So many of something in each second.
struct Ration {
    max: u32,
    since: Instant,
    used: u32,
}

// === impl Host ===

impl Host {
    /// Starts the process; what it says comes to the mailbox.
    ///
    /// # Errors
    /// The program cannot be run; threads.
    pub fn start(program: &Path, start: Start, generation: u64, mailbox: &Arc<Mailbox>) -> io::Result<Host> {
        // A group of its own: what a driver starts besides ends with it.
        let mut command = Command::new(program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn()?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).inspect_err(|_| {
            let _ = child.kill();
        })?;
        let pulse = Arc::new(Mutex::new(Pulse { at: Instant::now(), busy: Duration::ZERO }));
        let (outbox, messages) = sync_channel(OUTBOX_MAX);
        let pid = child.id();
        let pipes = child.stdin.take().zip(child.stdout.take());
        let peripheral = start.peripheral.clone();
        // From here on the process is killed whatever fails.
        let host = Host { process: process.try_clone()?, outbox, pulse: Arc::clone(&pulse), generation, pid };
        let (input, pipe) = pipes.ok_or_else(|| io::Error::other("a process without pipes"))?;
        let (frames, lines) = (Ration::new(FRAMES_AT_ONCE), Ration::new(LOG_LINES_MAX));
        let mailbox = Arc::clone(mailbox);
        let reader = Reader { child, process, pipe, mailbox, pulse, generation, peripheral, frames, lines };
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
        // One that is gone cannot be killed again.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
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

/// Waits for a process that ended or was killed: one in the middle of a device's system call may outlive that for as long
/// as the call lasts.
///
/// Not by `wait` alone. Its threads give way to everything, also in the kernel while they end; and where somebody
/// looks at the process in `/proc`, a `wait` that is too early spins there for what such a thread holds, on the core that
/// the thread would need to let go of it. Seen on Linux 6.18, in `d_walk` below `release_task`, for seconds.
fn reap(child: &mut Child, process: &OwnedFd) -> io::Result<()> {
    look(&mut [PollFd::new(process, PollFlags::IN)])?;
    std::thread::sleep(LAST_MOMENT);
    child.wait().map(|_| ())
}

/// Waits for one of these.
fn look(at: &mut [PollFd<'_>]) -> io::Result<()> {
    loop {
        match poll(at, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

// === impl Reader ===

impl Reader {
    fn read(mut self) {
        let ended = loop {
            if !self.frames.has(Instant::now()) {
                std::thread::sleep(PAUSE);
            }
            match self.next() {
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
        if let Err(error) = reap(&mut self.child, &self.process) {
            tracing::warn!(%error, "failed to wait for a driver host's end");
        }
    }

    /// The next frame. A process that has ended has said what it had to say, also where something it started still holds
    /// its pipe.
    fn next(&mut self) -> Result<FromHost, FrameError> {
        let mut at = [PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.process, PollFlags::IN)];
        look(&mut at).map_err(FrameError::Io)?;
        let (said, ended) = (!at[0].revents().is_empty(), !at[1].revents().is_empty());
        if ended {
            // Until it is waited for its number, and so its group's, is nobody else's. The group may be gone.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        if said { read_frame(&mut self.pipe) } else { Err(FrameError::Ended) }
    }

    fn log(&mut self, level: u8, text: &str) {
        if !self.lines.has(Instant::now()) {
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

// === impl Ration ===

impl Ration {
    fn new(max: u32) -> Ration {
        Ration { max, since: Instant::now(), used: 0 }
    }

    /// Uses one, if there is one left in this second.
    fn has(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.used) = (now, 0);
        }
        self.used = self.used.saturating_add(1);
        self.used <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ration_is_used_up_and_there_again_a_second_later() {
        let mut ration = Ration::new(3);
        let now = ration.since;
        let used: Vec<bool> = (0..5).map(|_| ration.has(now + Duration::from_millis(999))).collect();
        assert_eq!(used, [true, true, true, false, false]);
        assert!(ration.has(now + Duration::from_secs(1)));
    }
}
