//! Disk: the only door from the journal and the checkpoint to a file system, and its real implementation.
//! Knows names, bytes, syncs and the lock file; refuses to know what the bytes mean.
//!
//! A [`Disk`] is one flat directory. Nothing is durable until it is said to be: file contents after
//! [`DiskFile::sync`], names (created, renamed, removed) after [`Disk::sync_dir`].

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The lock file's name; [`Disk::list`] never shows it.
const LOCK_NAME: &str = "LOCK";
/// Bytes written at once where the file system cannot preallocate.
const ZERO_BYTES: usize = 64 * 1024;

/// A flat directory of files. Every call is blocking I/O.
pub trait Disk: Send + Sync {
    /// Names of the files, in no particular order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file of `len` zero bytes with its space reserved.
    ///
    /// Fails with `AlreadyExists` if the name is taken; after any other failure the name is free again (as
    /// far as the disk still obeys). The name is durable after [`Disk::sync_dir`], the length after
    /// [`DiskFile::sync`].
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file; fails with `NotFound` if there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives `from` the name `to`, replacing a file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the name; handles that are open keep working.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every name operation so far durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file of a [`Disk`]. Reads and writes name their offset, so a handle has no position to share.
pub trait DiskFile: Send + Sync {
    /// Reads until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf`; after an error any part of it may have been written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Makes contents and length durable. After an error nothing is known about the unsynced writes, and
    /// asking again proves nothing.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zero bytes, to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Why a directory could not become a [`StdDisk`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiskError {
    /// Another process holds the lock file.
    #[error("another gatehouse process uses {}", dir.display())]
    InUse {
        /// The directory both want.
        dir: PathBuf,
    },
    /// The file system said no.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, in the present tense.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct StdDisk {
    dir: PathBuf,
    /// Kept open so that `sync_dir` needs no look-up by path.
    handle: File,
    access: Access,
}

#[derive(Debug)]
enum Access {
    /// The lock is released by the operating system when this file is closed, also by a kill.
    Exclusive {
        _lock: File,
    },
    ReadOnly,
}

// === impl StdDisk ===

impl StdDisk {
    /// Opens `dir` for writing, creates it if it is missing, and takes its lock.
    pub fn open(dir: &Path) -> Result<StdDisk, DiskError> {
        create_dir_durably(dir)?;
        let path = dir.join(LOCK_NAME);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| DiskError::Io { action: "open lock file", path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => {
                return Err(DiskError::Io { action: "take lock file", path, source });
            }
        }
        StdDisk::with_access(dir, Access::Exclusive { _lock: lock })
    }

    /// Opens an existing `dir` without the lock; every change is refused with `PermissionDenied`.
    ///
    /// A running process may change the files meanwhile: what is read is a view, not a snapshot.
    pub fn read_only(dir: &Path) -> Result<StdDisk, DiskError> {
        StdDisk::with_access(dir, Access::ReadOnly)
    }

    fn with_access(dir: &Path, access: Access) -> Result<StdDisk, DiskError> {
        let handle = File::open(dir).map_err(|source| DiskError::Io {
            action: "open directory",
            path: dir.to_owned(),
            source,
        })?;
        Ok(StdDisk { dir: dir.to_owned(), handle, access })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = Path::new(name).file_name().is_some_and(|plain| plain == name);
        if !plain || name == LOCK_NAME {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("not a file name here: {name:?}"),
            ));
        }
        Ok(self.dir.join(name))
    }

    fn writable(&self) -> io::Result<()> {
        match self.access {
            Access::Exclusive { .. } => Ok(()),
            Access::ReadOnly => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "the directory was opened read only"))
            }
        }
    }
}

impl Disk for StdDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            // A name that is not UTF-8 cannot be one of ours.
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_NAME
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.writable()?;
        let path = self.path(name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = preallocate(&file, len) {
            // Best effort: a half-reserved file would only be found, and judged, at the next start.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Box::new(StdFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let write = matches!(self.access, Access::Exclusive { .. });
        let file = OpenOptions::new().read(true).write(write).open(self.path(name)?)?;
        Ok(Box::new(StdFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        std::fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        std::fs::remove_file(self.path(name)?)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.writable()?;
        self.handle.sync_all()
    }
}

#[derive(Debug)]
struct StdFile(File);

// === impl StdFile ===

impl DiskFile for StdFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.0.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync, not fsync: segments are preallocated, so only times would be written in addition; where the
        // length did change, or reserved blocks were written for the first time, fdatasync writes that too.
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// Creates `dir` and makes the names on the way to it durable, or a power cut could take the whole journal.
fn create_dir_durably(dir: &Path) -> Result<(), DiskError> {
    if dir.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    std::fs::create_dir_all(dir).map_err(|source| DiskError::Io {
        action: "create directory",
        path: dir.to_owned(),
        source,
    })?;
    for part in missing {
        let parent = match part.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(|source| DiskError::Io {
            action: "sync directory",
            path: parent.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Has the disk begin with a part of a file that was written and is not synced yet; waits for nothing and promises nothing.
/// For files beside the journal: a sync of many megabytes at once keeps the journal's next sync waiting until it is done.
///
/// # Errors
/// The file's.
pub fn begin_writing(file: &File, from: u64, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // Not for its name: Linux begins to write what is dirty (mm/fadvise.c), and keeps what is being written in memory.
    rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(len), rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn preallocate(file: &File, len: u64) -> io::Result<()> {
    use rustix::io::Errno;
    if len == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        // Some file systems (network, FUSE) have no fallocate: there, zeros are written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, len),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn preallocate(file: &File, len: u64) -> io::Result<()> {
    write_zeros(file, len)
}

fn write_zeros(file: &File, len: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES];
    let mut offset = 0;
    while offset < len {
        let count = (len - offset).min(ZERO_BYTES as u64);
        file.write_all_at(&zeros[..count as usize], offset)?;
        offset += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_file_is_zero_filled_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let disk = StdDisk::open(&dir.path().join("a/b")).unwrap();
        let file = disk.create("x", 5000).unwrap();
        let mut bytes = vec![1; 6000];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 5000);
        assert!(bytes[..5000].iter().all(|byte| *byte == 0));
        assert_eq!(disk.create("x", 1).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        file.write_at(b"abc", 4999).unwrap();
        assert_eq!(file.len().unwrap(), 5002);
        file.set_len(7).unwrap();
        file.sync().unwrap();
        disk.rename("x", "y").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.list().unwrap(), ["y"]);
        disk.remove("y").unwrap();
        assert_eq!(disk.open("y").err().unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_second_process_is_told_who_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = StdDisk::open(dir.path()).unwrap();
        let error = StdDisk::open(dir.path()).unwrap_err();
        assert!(error.to_string().starts_with("another gatehouse process uses "), "{error}");
        drop(first);
        StdDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn read_only_needs_no_lock_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let writer = StdDisk::open(dir.path()).unwrap();
        writer.create("x", 10).unwrap();
        let reader = StdDisk::read_only(dir.path()).unwrap();
        assert_eq!(reader.list().unwrap(), ["x"]);
        assert_eq!(reader.open("x").unwrap().len().unwrap(), 10);
        assert!(reader.open("x").unwrap().write_at(b"a", 0).is_err());
        assert!(reader.create("y", 1).is_err());
        assert!(reader.remove("x").is_err());
        assert!(reader.rename("x", "y").is_err());
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let disk = StdDisk::open(dir.path()).unwrap();
        for name in ["../x", "a/b", "", ".", "..", "/x", "LOCK", "x/"] {
            assert_eq!(disk.create(name, 1).err().unwrap().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn zeros_are_written_where_space_cannot_be_reserved() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(&file, ZERO_BYTES as u64 + 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), ZERO_BYTES as u64 + 5);
    }
}
