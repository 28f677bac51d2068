//! A node without ports: an engine with its journal in a folder, the journal's writer and the projector, each on the thread
//! it has in the server. Knows how they are started and stopped; knows no scan.

use anyhow::{Context, Result, anyhow, ensure};
use engine::clock::Clock;
use engine::disk::StdDisk;
use engine::journal::JournalOptions;
use engine::{Engine, Lsn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::{ProjectError, Projector, ProjectorOptions, ProjectorStats, Store};

/// A store that does not catch up within this has failed the measurement.
const CATCH_UP_MAX: Duration = Duration::from_secs(600);
/// How often it is looked whether it has: the error of what is timed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A running node.
pub struct Node {
    /// The engine.
    pub engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    projecting: Option<Projecting>,
    // Last: it is removed when nothing uses it any more.
    _folder: tempfile::TempDir,
}

/// The projector on its thread.
struct Projecting {
    thread: JoinHandle<Result<(), ProjectError>>,
    stats: Arc<ProjectorStats>,
}

// === impl Node ===

impl Node {
    /// An engine with nothing in it, and its journal's writer.
    ///
    /// # Errors
    /// A failing disk.
    pub fn start(clock: Arc<dyn Clock>) -> Result<Node> {
        let folder = tempfile::tempdir().context("make a folder for the journal")?;
        let disk = StdDisk::open(folder.path()).context("open the journal's folder")?;
        let (engine, _) = Engine::open(Arc::new(disk), clock, JournalOptions::default())?;
        let engine = Arc::new(engine);
        let for_writer = Arc::clone(&engine);
        let writer = std::thread::spawn(move || for_writer.journal().run_writer());
        let stop = Arc::default();
        Ok(Node { engine, stop, writer: Some(writer), projecting: None, _folder: folder })
    }

    /// Starts the projector.
    pub fn project_to(&mut self, store: Box<dyn Store>) {
        let mut projector = Projector::new(Arc::clone(&self.engine), store, ProjectorOptions::default());
        let (stats, stop) = (projector.stats(), Arc::clone(&self.stop));
        let thread = std::thread::spawn(move || {
            api::system::give_way();
            projector.run(&stop)
        });
        self.projecting = Some(Projecting { thread, stats });
    }

    /// What the projector does.
    ///
    /// # Errors
    /// It was not started.
    pub fn stats(&self) -> Result<&ProjectorStats> {
        self.projecting.as_ref().map(|own| own.stats.as_ref()).context("nothing is projected")
    }

    /// Makes everything durable that was recorded; gives the last record.
    ///
    /// # Errors
    /// A failing disk.
    pub fn sync(&self) -> Result<Lsn> {
        Ok(self.engine.journal().sync()?)
    }

    /// Waits until the store has everything that is durable.
    ///
    /// # Errors
    /// It does not come so far.
    pub fn catch_up(&self) -> Result<()> {
        let (last, began) = (self.engine.journal().positions().durable, Instant::now());
        while self.engine.projected() < last {
            ensure!(began.elapsed() < CATCH_UP_MAX, "the store did not catch up");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Stops its threads; gives the engine as they left it.
    ///
    /// # Errors
    /// The projection had failed.
    pub fn stop(mut self) -> Result<Arc<Engine>> {
        self.end()?;
        Ok(Arc::clone(&self.engine))
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(own) = self.projecting.take() {
            own.thread.join().map_err(|_| anyhow!("the projector panicked"))??;
        }
        self.engine.journal().stop_writer();
        self.writer
            .take()
            .map_or(Ok(()), JoinHandle::join)
            .map_err(|_| anyhow!("the journal's writer panicked"))
    }
}

impl Drop for Node {
    /// After a failed step: no thread goes on in a folder that is gone.
    fn drop(&mut self) {
        let _ = self.end();
    }
}
