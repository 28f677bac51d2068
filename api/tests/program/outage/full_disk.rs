//! A disk that is really full: a small file system in memory that holds a database's tables, and ballast in the rest of it. Where none
//! can be mounted, the server is made to say the same (see `faults`). Knows mounts and no database.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

const BYTES: usize = 48 << 20;

/// Gone when it is dropped, whoever still has files on it.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// `None` where this process may not mount, as in most containers; that is told.
    pub fn mount() -> Option<SmallDisk> {
        let dir = tempfile::Builder::new().prefix("gatehouse-disk-").tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={BYTES},mode=0755"), "tmpfs"]).arg(dir.path());
        let done = mount.output().unwrap();
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            eprintln!("no small file system can be mounted here ({}): it takes CAP_SYS_ADMIN", said.trim());
            return None;
        }
        let disk = SmallDisk { dir };
        std::fs::create_dir(disk.folder()).unwrap();
        Some(disk)
    }

    /// A folder for a tablespace.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("tables")
    }

    /// Leaves not a byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let error = loop {
            if let Err(error) = ballast.write_all(&[0; 4_096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Gives the room back.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.dir.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}
