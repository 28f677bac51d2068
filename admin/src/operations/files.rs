//! The files of operations, readable by the program's user alone: what each is, its list, its errors. Knows no row.

use super::Saved;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use utoipa::ToSchema;

/// Errors of rows that are kept; more are only counted.
pub const ERRORS_KEPT_MAX: u64 = 10_000;
/// Longest reason that is kept, in bytes: a row may have named anything.
const REASON_BYTES_MAX: usize = 500;

/// A row that was not taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// Its line in the list, as an editor counts; of a bulk change the ticket's place among those asked for.
    #[schema(example = 17)]
    pub line: u64,
    /// The ticket's code, where it has one.
    #[schema(example = "24282035061813972260")]
    pub code: Option<String>,
    /// Why, and what to do.
    #[schema(example = "unknown ticket type 'VPI'; this event has VIP, STANDARD")]
    pub reason: String,
}

/// The folder of operations.
pub struct Files {
    dir: PathBuf,
}

/// The errors of an operation that runs.
pub struct Errors {
    file: io::BufWriter<File>,
    bytes: u64,
    kept: u64,
}

impl Files {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: PathBuf) -> io::Result<Files> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Files { dir })
    }

    fn path(&self, id: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{id}.{kind}"))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every operation that is kept, oldest first. Lists that never arrived whole are removed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(&self) -> io::Result<Vec<Saved>> {
        let (mut all, mut names) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        for name in &names {
            let Some((id, kind)) = name.rsplit_once('.') else { continue };
            if kind != "json" {
                if !names.contains(&format!("{id}.json")) {
                    fs::remove_file(self.dir.join(name))?;
                }
                continue;
            }
            match serde_json::from_slice(&fs::read(self.dir.join(name))?) {
                Ok(saved) => all.push(saved),
                Err(error) => {
                    tracing::warn!(%error, name, "an operation's file cannot be read and is left alone")
                }
            }
        }
        Ok(all)
    }

    /// Writes what an operation is, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, saved: &Saved) -> io::Result<()> {
        let (path, new) = (self.path(&saved.operation.id, "json"), self.path(&saved.operation.id, "new"));
        let mut file = created(&new)?;
        file.write_all(&serde_json::to_vec(saved)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Makes the file of a list that is about to arrive.
    ///
    /// # Errors
    /// The disk's.
    pub fn create_list(&self, id: &str) -> io::Result<File> {
        created(&self.path(id, "list"))
    }

    /// Opens a list that arrived.
    ///
    /// # Errors
    /// The disk's.
    pub fn open_list(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id, "list"))
    }

    /// Removes a list: it has people's names in it.
    pub fn drop_list(&self, id: &str) {
        remove(&self.path(id, "list"));
    }

    /// Removes the errors of an operation that has ended: they may quote a row.
    pub fn drop_errors(&self, id: &str) {
        remove(&self.path(id, "errors"));
    }

    /// Removes everything of an operation.
    pub fn remove(&self, id: &str) {
        ["list", "errors", "json"].iter().for_each(|kind| remove(&self.path(id, kind)));
    }

    /// Opens the errors of an operation to add to them, those behind `bytes` taken away.
    ///
    /// # Errors
    /// The disk's.
    pub fn errors_after(&self, id: &str, bytes: u64) -> io::Result<Errors> {
        let path = self.path(id, "errors");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.set_len(bytes)?;
        let kept = BufReader::new(File::open(&path)?).lines().count() as u64;
        Ok(Errors { file: io::BufWriter::new(file), bytes, kept })
    }

    /// Errors of an operation, those after the first `skip`, at most `limit`.
    ///
    /// # Errors
    /// The disk's.
    pub fn errors(&self, id: &str, skip: usize, limit: usize) -> io::Result<Vec<RowError>> {
        let file = match File::open(self.path(id, "errors")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let lines = BufReader::new(file).lines().skip(skip).take(limit);
        // The last line may be under way.
        let read = lines.map_while(|line| serde_json::from_str(&line.ok()?).ok());
        Ok(read.collect())
    }
}

fn created(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a file of an operation stays");
        }
        _ => {}
    }
}

impl Errors {
    /// Adds one, if there is room.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, mut error: RowError) -> io::Result<()> {
        if self.kept >= ERRORS_KEPT_MAX {
            return Ok(());
        }
        let end = error.reason.floor_char_boundary(REASON_BYTES_MAX);
        error.reason.truncate(end);
        let mut line = serde_json::to_vec(&error)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        self.kept += 1;
        Ok(())
    }

    /// Writes what was added; how many bytes there are.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        Ok(self.bytes)
    }
}
