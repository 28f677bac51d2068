//! Engine, journal and device port in one directory, with the demo's venue and without a store: what every stack serves.
//! Knows how the parts are put together; knows no socket.

use anyhow::{Context, Result};
use api::cold::ColdLookups;
use api::demo;
use api::housekeeping::make_segments_ahead;
use api::metrics::Latency;
use api::port::{Port, Shared};
use api::profile::Profiles;
use engine::Engine;
use engine::catalog::{Device, Entity};
use engine::clock::SystemClock;
use engine::disk::StdDisk;
use engine::journal::{Journal, JournalOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// The device the load speaks as.
const BENCH_DEVICE: &str = "KQT300_900";
/// Its limit: it is counted and told, and nobody reaches it.
pub const RATE_PER_MINUTE: u32 = 1_000_000_000;

/// The parts, with their threads running; they end with the process. Cheap to clone.
#[derive(Clone)]
pub struct Alone {
    shared: Arc<Shared>,
    latency: Arc<Latency>,
}

// === impl Alone ===

impl Alone {
    /// Opens or makes it, with a journal that syncs before a record counts.
    ///
    /// # Errors
    /// A directory that cannot be used, a damaged journal.
    pub fn open(data_dir: &Path) -> Result<Alone> {
        let folder = data_dir.join("journal");
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let disk = Arc::new(StdDisk::open(&folder)?);
        let (engine, _) = Engine::open(disk, Arc::new(SystemClock), JournalOptions::default())?;
        let alone = Alone::over(engine)?;
        let journal = alone.journal().clone();
        thread::Builder::new().name("journal".to_owned()).spawn(move || journal.run_writer())?;
        let journal = alone.journal().clone();
        let never = AtomicBool::new(false);
        let segments = move || make_segments_ahead(&journal, &never);
        thread::Builder::new().name("segments".to_owned()).spawn(segments)?;
        Ok(alone)
    }

    /// Without the threads: whoever calls commits the journal.
    pub(super) fn over(engine: Engine) -> Result<Alone> {
        let profiles = Profiles::load(None).map_err(|mistakes| anyhow::anyhow!(mistakes.join("; ")))?;
        demo::put_up(&engine, &profiles)?;
        limit_bench_device(&engine)?;
        engine.journal().sync()?;
        let cold = ColdLookups::start(Box::new(|_, _| Ok(None)))?;
        let latency = Arc::default();
        let shared = Shared::new(Arc::new(engine), profiles, cold);
        shared.listen_to_journal(std::slice::from_ref(&latency));
        Ok(Alone { shared: Arc::new(shared), latency })
    }

    /// The port of a worker.
    pub fn port(&self) -> Port {
        Port::new(Arc::clone(&self.shared), Arc::clone(&self.latency))
    }

    /// The journal its decisions are in.
    pub fn journal(&self) -> &Journal {
        self.shared.engine.journal()
    }
}

/// The demo's bench device has no rate limit; here its requests are counted like everybody's.
fn limit_bench_device(engine: &Engine) -> Result<()> {
    let catalog = engine.catalog();
    let device = catalog.device_named(BENCH_DEVICE).and_then(|id| catalog.device(id));
    let device = device.context("the demo has no bench device")?.clone();
    engine.put(None, Entity::Device(Device { rate_per_minute: Some(RATE_PER_MINUTE), ..device }))?;
    Ok(())
}
