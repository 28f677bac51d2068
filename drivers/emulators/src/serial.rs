//! A device at the end of a serial line: a pair of pseudo-terminals, the far end under a name of its own that stays the
//! same over unplugging. One thread a plug. Knows no device's language.

use crate::Machine;
use parking_lot::Mutex;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A plug that nobody pulls is pulled after so long.
const LIFE_MAX: Duration = Duration::from_secs(120);
/// It looks around so often.
const TICK: Duration = Duration::from_millis(1);
/// What is read at once.
const CHUNK_BYTES: usize = 256;

/// A device that is plugged in. Dropped, it is unplugged: the far end sees an I/O error and its name is gone.
pub struct Plug {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

// === impl Plug ===

impl Plug {
    /// Plugs a device in under a name, which a host opens as its serial line. The same device may be plugged in again
    /// under the same name.
    ///
    /// # Errors
    /// The system's; a name that is taken.
    pub fn plug_in<M: Machine + 'static>(path: &Path, machine: Arc<Mutex<M>>) -> io::Result<Plug> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        // Bytes as they are: no echo, no line ends changed.
        let mut settings = tcgetattr(&near)?;
        settings.make_raw();
        tcsetattr(&near, OptionalActions::Now, &settings)?;
        fcntl_setfl(&near, OFlags::NONBLOCK)?;
        let far = PathBuf::from(std::ffi::OsString::from_vec(ptsname(&near, Vec::new())?.into_bytes()));
        std::os::unix::fs::symlink(far, path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let for_thread = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("serial".to_owned())
            .spawn(move || serve(File::from(near), &machine, &for_thread))?;
        Ok(Plug { path: path.to_owned(), stop, thread: Some(thread) })
    }

    /// The name a host opens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = std::fs::remove_file(&self.path);
        let Some(thread) = self.thread.take() else { return };
        if let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn serve<M: Machine>(mut near: File, machine: &Mutex<M>, stop: &AtomicBool) {
    let began = Instant::now();
    let mut held = Vec::new();
    while !stop.load(Ordering::SeqCst) && began.elapsed() < LIFE_MAX {
        let mut chunk = [0; CHUNK_BYTES];
        if held.is_empty() {
            // While nobody has the far end open a read is an error, which is no news.
            let read = near.read(&mut chunk).unwrap_or(0);
            held.extend(&chunk[..read]);
        }
        let answers = {
            let mut machine = machine.lock();
            let taken = machine.take(&held);
            held.drain(..taken);
            machine.work();
            machine.answers()
        };
        // A line nobody listens to loses what is said.
        let _ = near.write(&answers);
        if held.is_empty() {
            std::thread::sleep(TICK);
        }
    }
    machine.lock().line_lost();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pole::{Dialect, Pole};
    use crate::receipt::{Model, ReceiptPrinter};

    /// Waits, with a deadline, until the device has come so far.
    fn until<M>(machine: &Mutex<M>, so_far: impl Fn(&M) -> bool) {
        let by = Instant::now() + Duration::from_secs(20);
        while !so_far(&machine.lock()) {
            assert!(Instant::now() < by, "it does not come so far");
            std::thread::sleep(TICK);
        }
    }

    fn host(path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).open(path)
    }

    #[test]
    fn a_display_shows_what_its_line_brings_and_keeps_it_while_unplugged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("display");
        let pole = Arc::new(Mutex::new(Pole::new(Dialect::Pd300)));
        let plug = Plug::plug_in(&path, Arc::clone(&pole)).unwrap();
        let mut line = host(plug.path()).unwrap();
        line.write_all(b"\x0cGate 7\x1f\x24\x01\x02\x0d").unwrap();
        until(&pole, |pole| pole.screen().cursor_at() == (1, 0));
        assert_eq!(pole.lock().screen().line(0).trim_end(), "Gate 7");
        drop(plug);
        assert!(line.write_all(b"x").is_err());
        assert_eq!(host(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let plug = Plug::plug_in(&path, Arc::clone(&pole)).unwrap();
        host(plug.path()).unwrap().write_all(b"Row 3").unwrap();
        until(&pole, |pole| pole.screen().line(1).starts_with("Row 3"));
    }

    #[test]
    fn a_printer_answers_over_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let printer = Arc::new(Mutex::new(ReceiptPrinter::new(Model::default())));
        let plug = Plug::plug_in(&dir.path().join("printer"), printer).unwrap();
        let mut line = host(plug.path()).unwrap();
        line.write_all(b"\x10\x04\x01\x1dr\x01").unwrap();
        let mut answers = [0xff; 2];
        line.read_exact(&mut answers).unwrap();
        assert_eq!(answers, [0x12, 0x00]);
    }
}
