//! What an office does while gates work: lists taken in, the live feed listened to, files taken out, each on threads that
//! give way to the gates' own client. Knows the API; measures nothing.

use super::{Desk, EVENT, House, write_list};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Listeners of the live feed.
pub const LISTENERS: usize = 200;
/// Between two looks at how far a list is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A listener hears something within this time, if only that nothing happens; then it looks whether it is over.
const HEAR_MAX: Duration = Duration::from_millis(500);
/// The stack of a listener's thread.
const STACK_BYTES: usize = 256 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What an office does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Takes in one list after the other.
    pub import: bool,
    /// Listens to everything there is, [`LISTENERS`] times.
    pub listen: bool,
    /// Takes out all tickets and all scans, again and again.
    pub export: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    rows_in: AtomicU64,
    lists_in: AtomicU64,
    heard_bytes: AtomicU64,
    dropped: AtomicU64,
    out_bytes: AtomicU64,
    files_out: AtomicU64,
}

/// An office at work.
pub struct Office {
    over: Arc<AtomicBool>,
    done: Arc<Done>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What every thread has.
#[derive(Clone)]
struct Hand {
    over: Arc<AtomicBool>,
    done: Arc<Done>,
}

// === impl Office ===

impl Office {
    /// Begins. `lists` are what is taken in, one after the other.
    ///
    /// # Errors
    /// No threads, no connections.
    pub fn begin(house: &House, work: Work, lists: &[PathBuf]) -> Result<Office> {
        let hand = Hand { over: Arc::default(), done: Arc::default() };
        let mut office =
            Office { over: Arc::clone(&hand.over), done: Arc::clone(&hand.done), threads: Vec::new() };
        if work.import {
            let (hand, desk, lists) = (hand.clone(), house.desk(), lists.to_vec());
            office.start(move || hand.import(&desk, &lists))?;
        }
        if work.export {
            for path in ["tickets?personal=true&", "scans?"] {
                let (hand, desk) = (hand.clone(), house.desk());
                let path = format!("/api/v1/exports/{path}event={EVENT}&format=csv");
                office.start(move || hand.export(&desk, &path))?;
            }
        }
        if work.listen {
            for _ in 0..LISTENERS {
                let (hand, addr) = (hand.clone(), house.server.admin_addr);
                let bearer = house.desk().bearer;
                office.start(move || hand.listen(addr, &bearer))?;
            }
        }
        Ok(office)
    }

    fn start(&mut self, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name("office".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || {
            api::system::give_way();
            work()
        });
        self.threads.push(thread.context("start a thread")?);
        Ok(())
    }

    /// What was done until now, in words.
    pub fn told(&self) -> String {
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let done = &self.done;
        format!(
            "{} rows in ({} whole lists), {} MiB heard ({} listeners dropped), {} MiB out ({} whole files)",
            of(&done.rows_in),
            of(&done.lists_in),
            of(&done.heard_bytes) >> 20,
            of(&done.dropped),
            of(&done.out_bytes) >> 20,
            of(&done.files_out)
        )
    }

    /// Ends.
    ///
    /// # Errors
    /// Somebody could not do their work.
    pub fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the office panicked"))??;
        }
        Ok(())
    }
}

// === impl Hand ===

impl Hand {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn import(&self, desk: &Desk, lists: &[PathBuf]) -> Result<()> {
        for list in lists {
            let file = File::open(list).with_context(|| format!("open {}", list.display()))?;
            let operation = desk.send_csv(&format!("/api/v1/events/{EVENT}/imports"), file)?;
            let at = format!("/api/v1/operations/{}", operation["id"].as_str().context("no operation")?);
            let (before, mut is_done) = (self.done.rows_in.load(Ordering::Relaxed), false);
            while !is_done {
                if self.is_over() {
                    return Ok(());
                }
                std::thread::sleep(LOOK_EVERY);
                let operation = desk.read(&at)?;
                let rows = operation["counts"]["added"].as_u64().unwrap_or_default();
                self.done.rows_in.store(before + rows, Ordering::Relaxed);
                is_done = operation["state"] == "succeeded";
                let goes_on = operation["state"] == "queued" || operation["state"] == "running";
                ensure!(is_done || goes_on, "an import ended otherwise: {operation}");
            }
            self.done.lists_in.fetch_add(1, Ordering::Relaxed);
        }
        ensure!(self.is_over(), "the lists were all taken in before the measurement was over");
        Ok(())
    }

    fn export(&self, desk: &Desk, path: &str) -> Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while !self.is_over() {
            let mut body = match desk.get(path) {
                Ok(body) => body,
                // The one before is still under way for a moment.
                Err(error) if is_busy(&error) => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut reader = body.as_reader();
            loop {
                let len = reader.read(&mut buffer).with_context(|| path.to_owned())?;
                self.done.out_bytes.fetch_add(len as u64, Ordering::Relaxed);
                if len == 0 {
                    self.done.files_out.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                if self.is_over() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Comes back when it was dropped, as every client does.
    fn listen(&self, addr: SocketAddr, bearer: &str) -> Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while !self.is_over() {
            let mut stream = TcpStream::connect(addr).context("connect to the API")?;
            stream.set_read_timeout(Some(HEAR_MAX))?;
            write!(stream, "GET /api/v1/live HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {bearer}\r\n\r\n")?;
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(len) => {
                        self.done.heard_bytes.fetch_add(len as u64, Ordering::Relaxed);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
                if self.is_over() {
                    return Ok(());
                }
            }
            self.done.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn is_busy(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ureq::Error::StatusCode(503)))
}

/// Lists for [`Office::begin`], as long as the house's own, with other codes.
///
/// # Errors
/// A file cannot be written.
pub fn lists(dir: &Path, count: usize, tickets: u32) -> Result<Vec<PathBuf>> {
    (0..count).map(|nth| write_list(dir, &format!("N{nth}-"), 0..tickets)).collect()
}
