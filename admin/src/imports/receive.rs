//! Takes the body of an import into a file: bounded, with deadlines, never more of the disk than the journal can spare.
//! Refuses what is packed. Knows no row.

use crate::app::App;
use crate::operations::no_file;
use crate::problem::{Kind, Problem};
use axum::body::Body;
use engine::disk::begin_writing;
use futures_util::StreamExt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

/// Largest list, in bytes.
const LIST_BYTES_MAX: u64 = 4 << 30;
/// Bytes that are written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// After each piece the disk is the journal's for so long: a list arrives with 200 MiB/s at the most.
const JOURNAL_FIRST: Duration = Duration::from_millis(5);
/// What stays free on the disk for the journal, in bytes.
const DISK_SPARED_BYTES: u64 = 1 << 30;
/// The next bytes of a list have so long to arrive.
const NEXT_BYTES_WAIT: Duration = Duration::from_secs(30);
/// A list has so long to arrive whole.
const WHOLE_WAIT: Duration = Duration::from_secs(60 * 60);

/// Writes a body into the list of an operation; how many bytes it has.
///
/// # Errors
/// Packed, too large, too slow, empty, cut off; no room on the disk.
pub async fn receive(app: &Arc<App>, id: &str, body: Body) -> Result<u64, Problem> {
    let (own, name) = (Arc::clone(app), id.to_owned());
    let file = blocking(move || own.operations.files.create_list(&name)).await?;
    let whole = tokio::time::timeout(WHOLE_WAIT, written(app, file, body)).await;
    whole.unwrap_or_else(|_| Err(Problem::malformed("body", "it did not arrive within an hour")))
}

async fn written(app: &Arc<App>, mut file: File, body: Body) -> Result<u64, Problem> {
    let (mut stream, mut bytes, mut waiting) = (body.into_data_stream(), 0, Vec::new());
    loop {
        let next = tokio::time::timeout(NEXT_BYTES_WAIT, stream.next()).await;
        let next = next.map_err(|_| {
            Problem::malformed("body", format!("nothing more of it came for {} s", NEXT_BYTES_WAIT.as_secs()))
        })?;
        let ended = next.is_none();
        if let Some(chunk) = next {
            let chunk = chunk.map_err(|_| Problem::malformed("body", "it was cut off"))?;
            waiting.extend_from_slice(&chunk);
        }
        if ended || waiting.len() >= WRITTEN_AT_ONCE {
            if bytes == 0 {
                unpacked(&waiting)?;
            }
            bytes += waiting.len() as u64;
            if bytes > LIST_BYTES_MAX {
                return Err(Problem::new(
                    Kind::TooLarge,
                    format!("a list has at most {LIST_BYTES_MAX} bytes; send it in parts"),
                ));
            }
            let part = std::mem::take(&mut waiting);
            let own = Arc::clone(app);
            file = blocking(move || write(&own, file, &part, ended)).await?;
        }
        if ended {
            return if bytes > 0 { Ok(bytes) } else { Err(Problem::invalid("body", "the list is empty")) };
        }
    }
}

/// A packed body is refused: what it unpacks to nobody knows before.
///
/// # Errors
/// It is packed.
pub fn unpacked(head: &[u8]) -> Result<(), Problem> {
    match lists::compressed(head) {
        Some(kind) => Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("this is a compressed file, {kind}; unpack it, or save it as CSV, and send that"),
        )),
        None => Ok(()),
    }
}

fn write(app: &App, mut file: File, part: &[u8], ended: bool) -> io::Result<File> {
    let disk = rustix::fs::statvfs(app.operations.files.dir())?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < DISK_SPARED_BYTES {
        return Err(io::Error::other("what is left of the disk is the journal's"));
    }
    let from = file.stream_position()?;
    file.write_all(part)?;
    // Not all of it with the last sync: of 80 MiB that kept the journal's syncs waiting for 40 ms.
    begin_writing(&file, from, part.len() as u64)?;
    std::thread::sleep(JOURNAL_FIRST);
    if ended {
        file.sync_all()?;
    }
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Problem::new(Kind::Internal, "the list could not be written"))?;
    done.map_err(|error| no_file(&error))
}
