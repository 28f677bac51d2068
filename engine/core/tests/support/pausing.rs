//! A disk that stops a checkpoint at each write, so that a test can let the gates go on in the middle of it, the
//! same way every time. Knows files by their names only.

use engine::Engine;
use engine::disk::{Disk, DiskFile};
use engine::sim_disk::SimDisk;
use parking_lot::Mutex;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A disk that stops at each write to a checkpoint and waits until it may go on.
pub struct PausingDisk {
    inner: SimDisk,
    pause: Arc<Pause>,
}

struct PausingFile {
    inner: Box<dyn DiskFile>,
    pause: Arc<Pause>,
}

/// Where a checkpoint waits.
pub struct Pause {
    reached: Mutex<Option<SyncSender<()>>>,
    go_on: Mutex<Receiver<()>>,
    let_go: SyncSender<()>,
}

// === impl Pause ===

impl Pause {
    fn here(&self) {
        // Without a listener nobody waits.
        let sender = self.reached.lock().clone();
        if sender.is_some_and(|sender| sender.send(()).is_ok()) {
            let _ = self.go_on.lock().recv();
        }
    }
}

// === impl PausingDisk ===

impl Disk for PausingDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.inner.create(name, len)?;
        if !name.starts_with("checkpoint-") {
            return Ok(inner);
        }
        self.pause.here();
        Ok(Box::new(PausingFile { inner, pause: Arc::clone(&self.pause) }))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }
}

// === impl PausingFile ===

impl DiskFile for PausingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.pause.here();
        self.inner.write_at(buf, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}

/// Takes a checkpoint and runs `between` at each pause in it, with the pause's number.
pub fn checkpoint_with(engine: &Engine, pause: &Pause, mut between: impl FnMut(usize)) -> usize {
    let (reached, pauses) = sync_channel(0);
    *pause.reached.lock() = Some(reached);
    std::thread::scope(|threads| {
        let taken = threads.spawn(|| {
            let taken = engine.checkpoint();
            // The last sender goes with it, and the loop below ends.
            *pause.reached.lock() = None;
            taken
        });
        let (mut count, mut panicked) = (0, None);
        while pauses.recv().is_ok() {
            // A test that fails in here must still let the checkpoint go, or nobody would ever hear of it.
            if panicked.is_none() {
                panicked = catch_unwind(AssertUnwindSafe(|| between(count))).err();
            }
            count += 1;
            pause.let_go.send(()).unwrap();
        }
        if let Some(panicked) = panicked {
            resume_unwind(panicked);
        }
        taken.join().unwrap().unwrap();
        count
    })
}

pub fn pausing(inner: &SimDisk) -> (Arc<PausingDisk>, Arc<Pause>) {
    let (let_go, wait) = sync_channel(0);
    let pause = Arc::new(Pause { reached: Mutex::new(None), go_on: Mutex::new(wait), let_go });
    (Arc::new(PausingDisk { inner: inner.clone(), pause: Arc::clone(&pause) }), pause)
}
