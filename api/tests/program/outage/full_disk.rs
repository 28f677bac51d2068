//! A disk that is really full: a small file system in memory that holds a database's tables, and ballast in the rest of it.
//! Knows mounts and no database.

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
    /// # Panics
    /// Where this process may not mount: then nothing can be said of full disks, and that must be seen.
    pub fn mount() -> SmallDisk {
        let dir = tempfile::Builder::new().prefix("gatehouse-disk-").tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={BYTES},mode=0755"), "tmpfs"]).arg(dir.path());
        let done = mount.output().unwrap();
        assert!(
            done.status.success(),
            "a full disk takes a small file system, and `{mount:?}` was refused: run this test as root, in a container \
             with CAP_SYS_ADMIN ({})",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        let disk = SmallDisk { dir };
        std::fs::create_dir(disk.folder()).unwrap();
        disk
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
