//! Long operations: imports and bulk changes that are answered at once with where to look, go on behind, and after a
//! restart go on where they were. Two run, sixteen wait, ended ones are forgotten after a week.
//!
//! ```text
//! DATA/operations/ID.json     what it is and how far it came; replaced whole, and only when its changes are durable
//! DATA/operations/ID.list     the list that was sent, until the operation ends
//! DATA/operations/ID.errors   a JSON object for each row that was not taken, the first 10,000
//! ```
//!
//! Knows when work is done, not what it is: `imports` and `bulk` do it.

mod beside_gates;
pub mod bulk;
mod files;
mod job;
mod model;

pub use files::{ERRORS_KEPT_MAX, Files, RowError};
pub use job::{Ended, Job};
pub use model::{Counts, Kind as OperationKind, Operation, Saved, Spec, State};

use crate::app::App;
use crate::problem::{Kind, Problem};
use engine::clock::Time;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Operations that run at once.
const RUNNING_MAX: usize = 2;
/// Operations that wait.
const WAITING_MAX: usize = 16;
/// Lists that arrive at once.
const UPLOADS_MAX: usize = 4;
/// Who finds no room asks again after so many seconds.
const RETRY_AFTER_S: u32 = 10;
/// An ended operation is kept so long.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Operations that are kept at the most.
const KEPT_MAX: usize = 1_000;
/// A stop waits so long for what runs: one batch takes some milliseconds.
const STOP_MAX: Duration = Duration::from_secs(2);

/// All operations of a node.
pub struct Operations {
    /// Where they are kept.
    pub files: Files,
    /// Lists that may still arrive at once.
    pub uploads: Semaphore,
    /// Records that operations wrote since the start: what the journal has besides is of gates and people.
    records: AtomicU64,
    inner: Arc<Mutex<Inner>>,
    wake: Condvar,
    stopping: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Inner {
    all: BTreeMap<String, Arc<Entry>>,
    waiting: VecDeque<Arc<Entry>>,
    /// Places that are kept for those who are about to wait.
    promised: usize,
}

/// A place among those who wait, kept until it is taken or given up.
pub struct Place(Arc<Mutex<Inner>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().promised -= 1;
    }
}

/// One operation.
pub struct Entry {
    saved: Mutex<Saved>,
    cancelled: AtomicBool,
    /// Bytes of its list that were read, for whoever watches.
    pub bytes_done: Arc<AtomicU64>,
}

impl Entry {
    fn of(saved: Saved) -> Arc<Entry> {
        Arc::new(Entry {
            saved: Mutex::new(saved),
            cancelled: AtomicBool::new(false),
            bytes_done: Arc::default(),
        })
    }

    /// As it is now.
    pub fn shown(&self) -> Operation {
        let mut shown = self.saved.lock().operation.clone();
        if shown.state == State::Running {
            shown.progress.bytes_done = self.bytes_done.load(Ordering::Relaxed);
        }
        shown
    }

    /// Everything about it.
    pub fn saved(&self) -> Saved {
        self.saved.lock().clone()
    }

    /// Changes it, in memory.
    pub fn change<T>(&self, change: impl FnOnce(&mut Saved) -> T) -> T {
        change(&mut self.saved.lock())
    }

    /// Did somebody cancel it?
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Operations {
    /// Finds the operations of a data directory: those that had not ended wait again.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(data_dir: PathBuf) -> io::Result<Operations> {
        let files = Files::open(data_dir.join("operations"))?;
        let mut inner = Inner::default();
        for mut saved in files.all()? {
            let was_running = saved.operation.state == State::Running;
            if was_running {
                saved.operation.resumed += 1;
                saved.operation.state = State::Queued;
            }
            let (id, waits) = (saved.operation.id.clone(), saved.operation.state == State::Queued);
            if was_running {
                tracing::info!(
                    id,
                    rows = saved.operation.progress.rows_done,
                    "an operation goes on where it was"
                );
            }
            let entry = Entry::of(saved);
            inner.waiting.extend(waits.then(|| Arc::clone(&entry)));
            inner.all.insert(id, entry);
        }
        Ok(Operations {
            files,
            uploads: Semaphore::new(UPLOADS_MAX),
            records: AtomicU64::new(0),
            inner: Arc::new(Mutex::new(inner)),
            wake: Condvar::new(),
            stopping: AtomicBool::new(false),
            threads: Mutex::default(),
        })
    }

    /// Begins to work.
    ///
    /// # Errors
    /// No threads can be had.
    pub fn start(app: &Arc<App>, runtime: &Handle) -> io::Result<()> {
        for _ in 0..RUNNING_MAX {
            let (own, runtime) = (Arc::clone(app), runtime.clone());
            let work = move || {
                while let Some(entry) = own.operations.next() {
                    job::run(&own, &runtime, &entry);
                }
            };
            let thread = std::thread::Builder::new().name("operations".to_owned()).spawn(work)?;
            app.operations.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Stops after the batch under way; what is not done goes on at the next start.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wake.notify_all();
        let (threads, began) = (std::mem::take(&mut *self.threads.lock()), Instant::now());
        while threads.iter().any(|thread| !thread.is_finished()) && began.elapsed() < STOP_MAX {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Has everything to end now?
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn next(&self) -> Option<Arc<Entry>> {
        let mut inner = self.inner.lock();
        loop {
            if self.is_stopping() {
                return None;
            }
            if let Some(entry) = inner.waiting.pop_front() {
                return Some(entry);
            }
            self.wake.wait(&mut inner);
        }
    }

    /// Keeps a place for one more. To be asked for before anything is noted of it.
    ///
    /// # Errors
    /// Too many wait.
    pub fn place(&self) -> Result<Place, Problem> {
        let mut inner = self.inner.lock();
        if inner.waiting.len() + inner.promised < WAITING_MAX {
            inner.promised += 1;
            return Ok(Place(Arc::clone(&self.inner)));
        }
        let words = format!("{WAITING_MAX} operations wait already; ask again when one of them has ended");
        let mut problem = Problem::new(Kind::Unavailable, words);
        problem.retry_after_s = Some(RETRY_AFTER_S);
        Err(problem)
    }

    /// Lets an operation wait for its turn in the place that was kept for it. Its file is written when this returns.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn submit(&self, place: Place, saved: Saved, now: Time) -> Result<Arc<Entry>, Problem> {
        self.forget(now);
        self.files.save(&saved).map_err(|error| no_file(&error))?;
        let (id, entry) = (saved.operation.id.clone(), Entry::of(saved));
        let mut inner = self.inner.lock();
        inner.all.insert(id, Arc::clone(&entry));
        inner.waiting.push_back(Arc::clone(&entry));
        drop(inner);
        drop(place);
        self.wake.notify_one();
        Ok(entry)
    }

    /// The operation of an id.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, id: &str) -> Result<Arc<Entry>, Problem> {
        let found = self.inner.lock().all.get(id).cloned();
        found.ok_or_else(|| Problem::not_found("operation", id))
    }

    /// Operations, newest first, those before `before`.
    pub fn list(&self, before: Option<&str>, limit: usize) -> Vec<Operation> {
        let inner = self.inner.lock();
        let older =
            inner.all.iter().rev().skip_while(|(id, _)| before.is_some_and(|before| id.as_str() >= before));
        older.take(limit).map(|(_, entry)| entry.shown()).collect()
    }

    /// Ends one that waits, or asks one that runs to end after its batch. One that has ended stays as it is.
    pub fn cancel(&self, entry: &Arc<Entry>, now: Time) {
        entry.cancelled.store(true, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        let waited = inner.waiting.len();
        inner.waiting.retain(|other| !Arc::ptr_eq(other, entry));
        if inner.waiting.len() < waited {
            drop(inner);
            self.end(entry, State::Cancelled, None, now);
        }
    }

    /// Notes that an operation has ended; its list goes.
    pub fn end(&self, entry: &Entry, state: State, problem: Option<String>, now: Time) {
        let saved = entry.change(|saved| {
            saved.operation.state = state;
            saved.operation.problem = problem;
            saved.operation.ended_at = Some(lists::moment(now));
            saved.ended_at_ms = Some(now.0);
            saved.clone()
        });
        if let Err(error) = self.files.save(&saved) {
            tracing::warn!(%error, id = saved.operation.id, "the end of an operation could not be written");
        }
        self.files.drop_list(&saved.operation.id);
    }

    /// Forgets what ended long ago, and the oldest where there are too many.
    fn forget(&self, now: Time) {
        let mut inner = self.inner.lock();
        let ended: Vec<(String, i64)> = inner
            .all
            .iter()
            .filter_map(|(id, entry)| Some((id.clone(), entry.saved.lock().ended_at_ms?)))
            .collect();
        let too_many = inner.all.len().saturating_sub(KEPT_MAX);
        for (n, (id, ended_at)) in ended.iter().enumerate() {
            if n < too_many || ended_at.saturating_add(KEPT_MS) < now.0 {
                inner.all.remove(id);
                self.files.remove(id);
            }
        }
    }
}

/// A new id: operations in the order of their ids are in the order they were made.
///
/// # Errors
/// There are no random numbers.
pub fn new_id(now: Time) -> Result<String, Problem> {
    let key = secrets::new_key().map_err(|problem| Problem::new(Kind::Unavailable, problem))?;
    Ok(format!("{:012x}{}", now.0.max(0), &key[..8]))
}

/// A file of an operation could not be written.
pub fn no_file(error: &io::Error) -> Problem {
    tracing::warn!(%error, "a file of an operation could not be written");
    Problem::new(Kind::Unavailable, "the data directory takes no file now; is its disk full?")
}
