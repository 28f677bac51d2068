//! The first administrator of a node that has no operator: a token in a file of the data directory, good once. Who can read
//! that file could have run `gatehouse user add` as well.

use parking_lot::Mutex;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The way to a first administrator, while there is nobody.
#[derive(Debug)]
pub struct Setup {
    file: PathBuf,
    hash: Mutex<Option<[u8; 32]>>,
}

impl Setup {
    /// Writes a new token into the file where one is `needed`, and gives it; otherwise removes the file.
    ///
    /// # Errors
    /// The file cannot be written, or there are no random numbers.
    pub fn begin(file: &Path, needed: bool) -> io::Result<(Setup, Option<String>)> {
        remove(file)?;
        let token = needed.then(secrets::new_key).transpose().map_err(io::Error::other)?;
        if let Some(token) = &token {
            let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            writeln!(new, "{token}")?;
        }
        let hash = Mutex::new(token.as_ref().map(|token| secrets::hash(token.as_bytes())));
        Ok((Setup { file: file.to_path_buf(), hash }, token))
    }

    /// Is this the token?
    pub fn is_token(&self, token: &str) -> bool {
        *self.hash.lock() == Some(secrets::hash(token.trim().as_bytes()))
    }

    /// There is an operator now: the token is good for nothing any more.
    pub fn end(&self) {
        *self.hash.lock() = None;
        if let Err(error) = remove(&self.file) {
            tracing::warn!(%error, file = %self.file.display(), "the used setup token could not be removed; it opens nothing");
        }
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_there_while_it_is_needed_and_its_file_is_its_users_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("setup-token");
        let (setup, token) = Setup::begin(&file, true).unwrap();
        let token = token.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), token);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(setup.is_token(&token) && !setup.is_token("") && !setup.is_token(&token[1..]));
        setup.end();
        assert!(!setup.is_token(&token) && !file.exists());
        fs::write(&file, "old").unwrap();
        let (setup, token) = Setup::begin(&file, false).unwrap();
        assert!(token.is_none() && !file.exists() && !setup.is_token("old") && !setup.is_token(""));
    }
}
