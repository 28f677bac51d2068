//! Searching every file of the data directory for texts that should be gone. Reads bytes; knows no format.

use crate::operations::Ended;
use aho_corasick::AhoCorasick;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that were read, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Those that hold one of the texts.
    pub with_names: Vec<String>,
}

/// Searches every file of the data directory, which the folder of operations is in. Reads all of them once.
pub(super) fn all(
    operations: &Path,
    texts: &[String],
    go_on: &dyn Fn() -> Result<(), Ended>,
) -> Result<Found, Ended> {
    let data_dir = operations.parent().unwrap_or(operations);
    let failed =
        |error: &dyn std::fmt::Display| Ended::Failed(format!("the files cannot be searched: {error}"));
    let finder = AhoCorasick::new(texts).map_err(|error| failed(&error))?;
    let mut found = Found::default();
    let mut folders = vec![data_dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let kind = entry.file_type().map_err(|error| failed(&error))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                go_on()?;
                look(&finder, texts, entry.path(), data_dir, &mut found).map_err(|error| failed(&error))?;
            }
        }
    }
    found.with_names.sort_unstable();
    Ok(found)
}

fn look(
    finder: &AhoCorasick,
    texts: &[String],
    path: PathBuf,
    data_dir: &Path,
    found: &mut Found,
) -> io::Result<()> {
    // A file may go while it is looked at: a temporary one, or a segment.
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    found.files += 1;
    let overlap = texts.iter().map(String::len).max().unwrap_or(1) - 1;
    let mut buffer = vec![0; PIECE_BYTES + overlap];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(());
        }
        found.bytes += read as u64;
        let filled = kept + read;
        if finder.is_match(&buffer[..filled]) {
            let name = path.strip_prefix(data_dir).unwrap_or(&path);
            found.with_names.push(name.display().to_string());
            return Ok(());
        }
        // The end of a piece may be the beginning of a text.
        kept = overlap.min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_any_file_also_over_the_border_of_two_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let operations = dir.path().join("operations");
        fs::create_dir(&operations).unwrap();
        let mut large = vec![b'.'; PIECE_BYTES + 20];
        let at = PIECE_BYTES - 4;
        large[at..at + 8].copy_from_slice(b"John Doe");
        fs::write(dir.path().join("large"), &large).unwrap();
        fs::write(operations.join("small"), "nobody").unwrap();
        let texts = ["John Doe".to_owned(), "Seat 7, row B".to_owned()];
        let found = all(&operations, &texts, &|| Ok(())).unwrap();
        assert_eq!(found.files, 2);
        assert_eq!(found.with_names, ["large"]);
        let nothing = all(&operations, &["Nobody's name".to_owned()], &|| Ok(())).unwrap();
        assert_eq!((nothing.bytes, nothing.with_names.len()), (large.len() as u64 + 6, 0));
        assert!(all(&operations, &[], &|| Ok(())).unwrap().with_names.is_empty());
    }
}
