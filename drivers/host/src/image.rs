//! A driver's file before it is loaded: whose it is, which it is, and a copy of it that nobody can change any more.
//! Knows neither the ABI nor the system's loader.
//!
//! What is looked at has to be what is loaded. So the file is opened once, its owner is asked of the open file, its
//! bytes are copied into memory that is sealed, the digest is made of the copy, and the copy is loaded. Exchanging the
//! file in between changes nothing.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A driver's file is at most so long, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A file may be written by everybody.
const WORLD_WRITABLE: u32 = 0o002;
const ROOT: u32 = 0;

/// A driver's bytes, sealed, and what they are.
pub struct Image {
    /// The file it is a copy of, for people.
    pub path: String,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    memory: File,
}

/// Why a file is not fit to be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Somebody else is able to change it.
    #[error("{path}: {reason}")]
    Unsafe {
        /// The file or its folder.
        path: String,
        /// Who, and what to do.
        reason: String,
    },
    /// Another file than the one that was allowed.
    #[error("{path}: its SHA-256 is {found}, allowed is {wanted}; allow it if you know where it is from")]
    Digest {
        /// Which.
        path: String,
        /// What it is.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// No library at all.
    #[error("{path}: {reason}")]
    NoLibrary {
        /// Which.
        path: String,
        /// What it is instead.
        reason: String,
    },
}

impl Image {
    /// Takes a sealed copy of a driver's file, if nobody else may change it and, where a digest is given, if it is that
    /// very file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn take(path: &Path, sha256: Option<&str>) -> Result<Image, ImageError> {
        let shown = path.display().to_string();
        let failed = |error| ImageError::File { path: shown.clone(), error };
        // Links are followed first: whoever may change the folder of the file itself may exchange it.
        let real = path.canonicalize().map_err(failed)?;
        let file = File::open(&real).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let reason = "a driver is a file: a shared library".to_owned();
            return Err(ImageError::NoLibrary { path: shown, reason });
        }
        only_ours("the driver's file", &real, &metadata)?;
        let folder = real.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
        only_ours("the folder of the driver's file", &folder, &folder.metadata().map_err(failed)?)?;

        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let reason = format!("over the limit of {FILE_BYTES_MAX} bytes");
            return Err(ImageError::NoLibrary { path: shown, reason });
        }
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(wanted) = sha256
            && !wanted.eq_ignore_ascii_case(&found)
        {
            return Err(ImageError::Digest { path: shown, found, wanted: wanted.to_owned() });
        }
        if !bytes.starts_with(b"\x7fELF") {
            let reason = "no shared library: it does not begin as an ELF file does".to_owned();
            return Err(ImageError::NoLibrary { path: shown, reason });
        }
        if is_cut_off(&bytes) {
            let reason = format!("it is cut off after {} bytes", bytes.len());
            return Err(ImageError::NoLibrary { path: shown, reason });
        }
        let memory = seal(&real, &bytes).map_err(failed)?;
        Ok(Image { path: shown, sha256: found, memory })
    }

    /// Where the system's loader finds the copy, as long as this lives.
    pub fn loadable(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.memory.as_raw_fd()))
    }
}

fn only_ours(what: &str, path: &Path, metadata: &Metadata) -> Result<(), ImageError> {
    let ours = rustix::process::geteuid().as_raw();
    let reason = if metadata.mode() & WORLD_WRITABLE != 0 {
        format!("{what} may be changed by everybody: chmod o-w")
    } else if ![ROOT, ours].contains(&metadata.uid()) {
        let owner = metadata.uid();
        format!(
            "{what} belongs to user {owner}, who is neither root nor the one this runs as ({ours}): chown it"
        )
    } else {
        return Ok(());
    };
    Err(ImageError::Unsafe { path: path.display().to_string(), reason })
}

/// Does a 64-bit little-endian ELF file end before what it says it has? The system's loader maps such a file, and the
/// process is killed (SIGBUS) at the first look beyond its end. Other files the loader refuses itself.
///
/// `elf(5)`: e_ident[4] 2 and [5] 1 | e_phoff u64 at 32 | e_phentsize u16 at 54 | e_phnum u16 at 56; in a program header
/// p_type u32 at 0, PT_LOAD is 1 | p_offset u64 at 8 | p_filesz u64 at 32.
fn is_cut_off(bytes: &[u8]) -> bool {
    const PT_LOAD: u64 = 1;
    let number = |at: u64, length: usize| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let digits = bytes.get(at..at.checked_add(length)?)?;
        Some(digits.iter().rev().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    };
    let is_whole = || {
        if (number(4, 1)?, number(5, 1)?) != (2, 1) {
            return Some(());
        }
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for index in 0..count {
            let header = first.checked_add(index * size)?;
            let (kind, offset, length) =
                (number(header, 4)?, number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?);
            if kind == PT_LOAD && offset.checked_add(length)? > bytes.len() as u64 {
                return None;
            }
        }
        Some(())
    };
    is_whole().is_none()
}

fn seal(path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let name = path.file_name().unwrap_or_default();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A kernel from 6.3 on may be set to make memory that cannot be executed unless it is asked to; an older one does
    // not know the question.
    let memory = match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        made => made?,
    };
    let mut memory = File::from(memory);
    memory.write_all(bytes)?;
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(memory)
}
