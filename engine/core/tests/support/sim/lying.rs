//! A disk that says "synced" and did nothing: what the simulator must notice. Knows which kind of sync it lies about.

use super::Honesty;
use engine::disk::{Disk, DiskFile};
use engine::sim_disk::SimDisk;
use std::io;

pub struct LyingDisk {
    inner: SimDisk,
    lies: Honesty,
}

struct LyingFile {
    inner: Box<dyn DiskFile>,
    lies: Honesty,
}

// === impl LyingDisk ===

impl LyingDisk {
    pub fn new(inner: SimDisk, lies: Honesty) -> LyingDisk {
        LyingDisk { inner, lies }
    }
}

impl Disk for LyingDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LyingFile { inner: self.inner.create(name, len)?, lies: self.lies }))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LyingFile { inner: self.inner.open(name)?, lies: self.lies }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        if self.lies == Honesty::LiesAboutNames { Ok(()) } else { self.inner.sync_dir() }
    }
}

// === impl LyingFile ===

impl DiskFile for LyingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(buf, offset)
    }
    fn sync(&self) -> io::Result<()> {
        if self.lies == Honesty::LiesAboutFiles { Ok(()) } else { self.inner.sync() }
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}
