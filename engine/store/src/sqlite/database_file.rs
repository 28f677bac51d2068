//! The database file beside SQLite: what was moved into it goes to the disk in pieces with pauses, and then it is synced. A
//! sync of all at once kept the journal's next one waiting for 150 ms. Knows pages by their number, and no row.
//!
//! A process loses its locks on a file when it closes any handle of it. So this one is opened before the first connection to
//! the database and closed after the last: whoever owns a connection owns one of these, and drops it later.

use super::log::Pages;
use crate::error::{StoreResult, WhileDoing};
use engine::disk::begin_writing;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Pages the disk is given at once: what it does in a millisecond.
const PAGES_AT_ONCE: u64 = 64;
/// The disk is the journal's after them, for so long at the least.
const PIECE_WAIT: Duration = Duration::from_millis(2);

/// A handle of a database file.
#[derive(Clone)]
pub(super) struct DatabaseFile(Arc<File>);

impl DatabaseFile {
    /// Opens the file and syncs it: a process that was killed between moving and syncing left that to us.
    pub(super) fn open(path: &Path) -> StoreResult<DatabaseFile> {
        let opened = File::open(path).and_then(|file| file.sync_data().map(|()| file));
        opened.map(|file| DatabaseFile(Arc::new(file))).while_doing("open the database file")
    }

    #[cfg(test)]
    pub(super) fn that_cannot_be_synced() -> DatabaseFile {
        DatabaseFile(Arc::new(File::open("/dev/null").unwrap()))
    }

    /// Makes durable what was written, these pages with pauses before.
    pub(super) fn sync(&self, pages: &Pages) -> io::Result<()> {
        let mut begun = 0;
        for (first, count) in runs(&pages.numbers) {
            let from = u64::from(first.saturating_sub(1)) * pages.bytes;
            begin_writing(&self.0, from, u64::from(count) * pages.bytes)?;
            begun += u64::from(count);
            if begun >= PAGES_AT_ONCE {
                std::thread::sleep(PIECE_WAIT);
                begun = 0;
            }
        }
        self.0.sync_data()
    }
}

/// Pages that follow each other, [`PAGES_AT_ONCE`] at the most: the first, and how many.
fn runs(pages: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let mut left = pages;
    std::iter::from_fn(move || {
        let first = *left.first()?;
        let follows = |(page, n): (&u32, u32)| *page == first + n;
        let count = left.iter().zip(0..PAGES_AT_ONCE as u32).take_while(|own| follows(*own)).count();
        left = &left[count..];
        Some((first, count as u32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_follow_each_other_are_begun_together_and_never_many() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]).collect::<Vec<_>>(), [(1, 3), (7, 1), (9, 2)]);
        assert_eq!(runs(&[]).count(), 0);
        let many: Vec<u32> = (5..=204).collect();
        assert_eq!(runs(&many).collect::<Vec<_>>(), [(5, 64), (69, 64), (133, 64), (197, 8)]);
    }
}
