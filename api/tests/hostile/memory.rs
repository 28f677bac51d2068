//! The resident memory of this process, server and attackers together.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Follows the resident memory of this process.
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
    before: usize,
}

impl MemoryWatch {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut status = File::open("/proc/self/status").expect("status of this process");
        let before = resident_bytes(&mut status);
        let watch = move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Acquire) {
                peak = peak.max(resident_bytes(&mut status));
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        };
        Self { before, thread: std::thread::spawn(watch), stop }
    }

    /// Bytes by which the peak exceeded the start.
    pub fn finish(self) -> usize {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("the watch reads a file").saturating_sub(self.before)
    }
}

/// Reads the file from its beginning: it stays open, for an attack may leave no descriptor to open it.
fn resident_bytes(status: &mut File) -> usize {
    let mut text = String::new();
    status.rewind().expect("a file of the kernel's");
    status.read_to_string(&mut text).expect("status of this process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024
}
