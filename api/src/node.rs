//! A node: puts engine, journal writer, projector, checkpointer and ports together, and takes them apart in
//! reverse order. The only place that knows all of them.

use crate::behind;
use crate::cold::{ColdLookups, Unfound};
use crate::config::{Config, Resolved};
use crate::demo;
use crate::housekeeping::{Housekeeper, fill_cold_filter, make_segments_ahead};
use crate::http::{self, Durable, Server, ServerOptions};
use crate::inbox::{InboxStats, TakingIn};
use crate::metrics::{Latency, Sources};
use crate::ops::Ops;
use crate::peripherals::{Backroom, QUEUE_FILE, requests::Desk};
use crate::port::{Port, Shared};
use crate::profile::Profiles;
use crate::storage;
use crate::system;
use ::peripherals::Peripherals;
use admin::{Admin, NodeSetting};
use engine::clock::SystemClock;
use engine::disk::{Disk, DiskError, StdDisk};
use engine::journal::{Journal, JournalOptions};
use engine::{Engine, Lsn, checkpoint};
use lists::cold::ColdCodes;
use parking_lot::Mutex;
use secrets::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::{ProjectError, Projector, ProjectorOptions, ProjectorStats, Store, StoreWatch};
use tracing::{error, info, warn};
use webhooks::{Pace, Reach, Webhooks};

/// A stop has so long to answer what is in flight.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// A stop waits so long for the thread that takes the inbox in: it may be asking a database that is away.
const TAKING_IN_ENDS_MAX: Duration = Duration::from_secs(2);
/// File in the data directory that tells the program's own commands how to reach the server.
pub const CONTROL_FILE: &str = "control.json";
/// File in the data directory that holds the key of what the admin API seals and signs.
const ADMIN_KEY_FILE: &str = "admin.key";
/// File in the data directory that holds what webhooks have yet to send.
const WEBHOOKS_FILE: &str = "webhooks.db";
/// File in the data directory with the token for the first administrator, while there is none.
const SETUP_FILE: &str = "setup-token";
/// Questions that the admin API asks the store at once; an export holds one for as long as it lasts.
const ADMIN_QUESTIONS: usize = 6;
/// An engine with its threads, without ports: what a command on its own needs.
pub struct Core {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Profiles devices may have.
    pub profiles: Profiles,
    /// The projector's counters.
    pub projector: Arc<ProjectorStats>,
    /// What is seen of the store.
    pub store: StoreWatch,
    /// Codes of tickets that are in the store only.
    pub cold_codes: Arc<ColdCodes>,
    /// Look-ups of tickets that are in the store only.
    pub cold: ColdLookups,
    /// Connections to the store for the admin API: until it takes them.
    admin_questions: Vec<Box<dyn store::Queries>>,
    /// The box office's inbox, where the store has one: until somebody takes its rows in.
    inbox: Option<store::Inbox>,
    stop_projector: Arc<AtomicBool>,
    stop_housekeeping: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    projecting: Option<JoinHandle<()>>,
    housekeeping: Option<JoinHandle<()>>,
    segments: Option<JoinHandle<()>>,
}

/// A node that serves.
pub struct Node {
    core: Core,
    device: Arc<Mutex<Option<Server>>>,
    api: Option<Admin>,
    stopping: Arc<AtomicBool>,
    taking_in: Option<JoinHandle<()>>,
    backroom: Option<Backroom>,
    webhooks: Arc<Webhooks>,
    control: PathBuf,
    /// Latency of each worker.
    pub latency: Vec<Arc<Latency>>,
    /// What the workers share.
    pub shared: Arc<Shared>,
    /// Where the device port listens.
    pub device_addr: Option<std::net::SocketAddr>,
    /// Where the API port listens.
    pub api_addr: std::net::SocketAddr,
    /// Makes the first administrator, where there is no operator; also in this file of the data directory.
    pub setup_token: Option<String>,
}

/// Why a node cannot start, in words for an operator.
pub type StartError = anyhow::Error;

impl Core {
    /// Does another process use the data directory?
    ///
    /// # Errors
    /// A directory that cannot be opened.
    pub fn in_use(config: &Config) -> Result<bool, StartError> {
        match StdDisk::open(&config.data_dir.join("journal")) {
            Ok(_) => Ok(false),
            Err(DiskError::InUse { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the data directory: checkpoint and journal, or the store alone when those are gone.
    ///
    /// # Errors
    /// A directory in use, a damaged journal, a store that does not belong to it.
    pub fn open(config: &Config) -> Result<Core, StartError> {
        use anyhow::Context;
        let began = Instant::now();
        let profiles = load_profiles(config)?;
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("create the data directory {}", config.data_dir.display()))?;
        let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(&config.data_dir.join("journal"))?);
        let mut store = storage::open(config)?;
        let options = JournalOptions { durability: config.durability, ..JournalOptions::default() };
        let engine = Arc::new(open_engine(disk, store.as_mut(), options)?);
        let (tickets, scans, _) = engine.sizes();
        info!(tickets, scans, ms = began.elapsed().as_millis() as u64, "state loaded");
        Core::start(config, engine, store, profiles)
    }

    fn start(
        config: &Config,
        engine: Arc<Engine>,
        store: Box<dyn Store>,
        profiles: Profiles,
    ) -> Result<Core, StartError> {
        let (stop_projector, stop_housekeeping) = (Arc::default(), Arc::default());
        let (questions, inbox) = (store.queries()?, store.inbox());
        let cold_codes = Arc::new(ColdCodes::new(store.queries()?));
        let cold = look_up_in(store.queries()?)?;
        let admin_questions = (0..ADMIN_QUESTIONS).map(|_| store.queries()).collect::<Result<Vec<_>, _>>()?;
        let watch = store.watch();
        let for_writer = Arc::clone(&engine);
        let writer = spawn("journal", move || for_writer.journal().run_writer())?;
        let mut projector = Projector::new(Arc::clone(&engine), store, ProjectorOptions::default());
        let began_at = engine.journal().positions().durable;
        ready_store(&engine, &mut projector, questions.as_ref())?;
        let stats = projector.stats();
        let stop = Arc::clone(&stop_projector);
        let projecting = spawn("projector", move || project(projector, &stop))?;
        let house = Housekeeper {
            config: config.clone(),
            engine: Arc::clone(&engine),
            store: questions,
            began_at,
            stop: Arc::clone(&stop_housekeeping),
        };
        let housekeeping = spawn("housekeeping", move || house.run())?;
        let (journal, stop) = (engine.journal().clone(), Arc::clone(&stop_housekeeping));
        let segments = spawn("segments", move || make_segments_ahead(&journal, &stop))?;
        Ok(Core {
            engine,
            profiles,
            projector: stats,
            store: watch,
            cold_codes,
            cold,
            admin_questions,
            inbox,
            stop_projector,
            stop_housekeeping,
            writer: Some(writer),
            projecting: Some(projecting),
            housekeeping: Some(housekeeping),
            segments: Some(segments),
        })
    }

    /// Stops in reverse order: projection, a last checkpoint, the journal.
    pub fn close(mut self) {
        self.stop_housekeeping.store(true, Ordering::SeqCst);
        join(self.housekeeping.take(), "housekeeping");
        join(self.segments.take(), "segments");
        self.stop_projector.store(true, Ordering::SeqCst);
        join(self.projecting.take(), "projector");
        if !self.engine.journal().poisoned()
            && let Err(error) = self.engine.checkpoint()
        {
            warn!(%error, "the last checkpoint failed; the next start reads more of the journal");
        }
        self.engine.journal().stop_writer();
        join(self.writer.take(), "journal");
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn project(mut projector: Projector, stop: &AtomicBool) {
    // The guest walks when the reply leaves; whatever is behind it gives way.
    system::give_way();
    if let Err(error) = projector.run(stop) {
        error!(%error, "projection stopped; gates go on, a restart is needed");
    }
}

fn look_up_in(questions: Box<dyn store::Queries>) -> std::io::Result<ColdLookups> {
    ColdLookups::start(Box::new(move |kind, code| {
        questions.find_code(kind, code).map_err(|error| {
            warn!(%error, "a look-up in the store failed");
            Unfound
        })
    }))
}

/// Before gates open: does the store belong to this journal, is an empty one to be filled, what is in it alone?
fn ready_store(
    engine: &Engine,
    projector: &mut Projector,
    questions: &dyn store::Queries,
) -> Result<(), StartError> {
    use anyhow::Context;
    if engine.catalog().events().any(|(_, event)| event.cold) {
        engine.cold_filter().await_codes();
    }
    let seeded = projector.seed();
    if let Ok(Some(lsn)) = &seeded {
        warn!(
            lsn = lsn.0,
            "the store was empty and the journal had lost its beginning: the store is filled from the engine's state; the access log and the audit up to this record are gone"
        );
    }
    let ready = seeded.and_then(|_| projector.check()).and_then(|_| catch_up(engine, projector));
    match ready {
        // Gates can go on without the store; a person has to bring its file back.
        Err(error @ (ProjectError::Missing { .. } | ProjectError::ColdLost { .. })) => {
            error!(%error, "the store cannot follow; gates go on without it");
        }
        Err(ProjectError::Store(error)) if storage::is_servers_doing(&error) => {
            warn!(%error, "gates open without the store; what happens is carried over when it is back");
        }
        ready => {
            ready.context("the store does not belong to this journal; is the data directory right?")?;
            fill_cold_filter(engine, questions).context("read the codes of cold events")?;
        }
    }
    Ok(())
}

/// Where tickets are in the store only, it has to be told first what the journal knows.
fn catch_up(engine: &Engine, projector: &mut Projector) -> Result<(), ProjectError> {
    if !engine.cold_filter().is_complete() {
        while projector.step()? > 0 {}
    }
    Ok(())
}

/// Does a thread end by itself in this time?
fn finishes(thread: &JoinHandle<()>, most: Duration) -> bool {
    let until = Instant::now() + most;
    while !thread.is_finished() && Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    thread.is_finished()
}

fn join(thread: Option<JoinHandle<()>>, name: &str) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        error!(name, "a thread had panicked");
    }
}

fn load_profiles(config: &Config) -> Result<Profiles, StartError> {
    use anyhow::Context;
    let text = match &config.profiles_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("read the profiles file {}", path.display()))?,
        ),
        None => None,
    };
    Profiles::load(text.as_deref())
        .map_err(|mistakes| anyhow::anyhow!("device profiles:\n  - {}", mistakes.join("\n  - ")))
}

/// From checkpoint and journal; from the store where neither is there.
fn open_engine(
    disk: Arc<dyn Disk>,
    store: &mut dyn Store,
    options: JournalOptions,
) -> Result<Engine, StartError> {
    use anyhow::Context;
    let cursor = store.cursor();
    let names = disk.list().context("list the data directory")?;
    let fresh =
        !names.iter().any(|name| name.starts_with("journal-")) && checkpoint::list(disk.as_ref())?.is_empty();
    let cursor = match cursor {
        Ok(cursor) if fresh && cursor > Lsn(0) => return open_from_store(disk, store, cursor, options),
        Ok(cursor) => Some(cursor),
        Err(error) if fresh => {
            return Err(error).context(
                "there is neither journal nor checkpoint, and only the store can tell whether this node is new; start it when the store can be reached, or name the right data directory",
            );
        }
        // Told by whoever looks whether the store is ready.
        Err(error) if storage::is_servers_doing(&error) => None,
        Err(error) => return Err(error).context("read the store's cursor"),
    };
    let (engine, opened) = Engine::open(disk, Arc::new(SystemClock), options)?;
    opened
        .damaged
        .iter()
        .for_each(|problem| warn!(problem, "a checkpoint could not be used, an older one was"));
    if let Some(cut) = &opened.recovery.cut {
        warn!(segment = %cut.segment, byte = cut.byte, reason = %cut.reason, "a torn tail was cut: writes nobody was told of");
    }
    info!(checkpoint = opened.checkpoint, records = opened.recovery.records, "journal replayed");
    // A store that is away has at least what the journal has let go.
    engine.set_projected(cursor.unwrap_or(Lsn(engine.journal().oldest().0 - 1)));
    Ok(engine)
}

/// A node that has lost its own files begins a new journal behind what the store has.
fn open_from_store(
    disk: Arc<dyn Disk>,
    store: &mut dyn Store,
    cursor: Lsn,
    options: JournalOptions,
) -> Result<Engine, StartError> {
    use anyhow::Context;
    warn!(cursor = cursor.0, "no journal and no checkpoint: starting from the store alone");
    // The new journal begins after this cursor: a power cut must not take it back.
    store.sync().context("sync the store")?;
    let state = store.bootstrap().context("load the state from the store")?;
    let (engine, _) = Engine::open_from(state, disk, Arc::new(SystemClock), options)?;
    engine.set_projected(cursor);
    // The new journal begins after what the store has: without this image it could not be read again.
    engine.checkpoint().context("write the first checkpoint")?;
    Ok(engine)
}

/// The journal as the HTTP layer sees it.
impl Durable for Journal {
    fn durable(&self) -> u64 {
        self.positions().durable.0
    }

    fn poisoned(&self) -> bool {
        self.poisoned()
    }

    fn on_advance(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.on_durable(wake);
    }

    fn gather(&self) {
        self.gather_on_this_thread();
    }

    fn nudge(&self) {
        self.nudge();
    }
}

impl Node {
    /// Starts a node: core, demo data if asked for, ports.
    ///
    /// # Errors
    /// Whatever keeps it from serving, in words.
    pub fn start(config: &Config, demo_data: bool) -> Result<(Node, Option<String>), StartError> {
        let mut core = Core::open(config)?;
        let control = config.data_dir.join(CONTROL_FILE);
        // A killed server's: commands that come while this one starts would trust its address.
        let _ = std::fs::remove_file(&control);
        let demo_password = if demo_data { Some(load_demo(&core, config)?) } else { None };
        let latency: Vec<Arc<Latency>> = (0..config.workers).map(|_| Arc::new(Latency::default())).collect();
        let shared = Arc::new(shared(&core, config));
        shared.listen_to_journal(&latency);
        let gate: Arc<dyn Durable> = Arc::new(core.engine.journal().clone());
        let device = match config.device_addr {
            Some(addr) => Some(serve_devices(config, addr, &shared, &latency, &gate)?),
            None => None,
        };
        let device_addr = device.as_ref().map(Server::local_addr);
        let device = Arc::new(Mutex::new(device));
        let stopping = Arc::new(AtomicBool::new(false));
        let token = secrets::new_key().map_err(anyhow::Error::msg)?;
        let inbox = core.inbox.take().map(|inbox| (inbox, Arc::<InboxStats>::default()));
        let stats = inbox.as_ref().map(|(_, stats)| Arc::clone(stats));
        let taking_in = inbox.map(|(inbox, stats)| take_in(&core, inbox, stats, &stopping)).transpose()?;
        let backroom = Backroom::open(config, &core.engine)?;
        let desk = backroom.as_ref().map(Backroom::desk);
        let webhooks = Arc::new(open_webhooks(config, &core)?);
        let webhooks_too = Some(Arc::clone(&webhooks));
        let sources = Arc::new(Sources {
            desk,
            webhooks: webhooks_too,
            ..sources(&core, &shared, &latency, &device, stats)
        });
        let questions = std::mem::take(&mut core.admin_questions);
        let needed = !admin::has_operators(&core.engine.catalog());
        let (setup, setup_token) = admin::Setup::begin(&config.data_dir.join(SETUP_FILE), needed)?;
        let local_token = secrets::hash(token.as_bytes());
        let peripherals = backroom.as_ref().map(Backroom::at);
        let given = Given { questions, setup, local_token, webhooks: Arc::clone(&webhooks), peripherals };
        let api = serve_api(config, &core, given, &shared, &sources, &stopping)?;
        let api_addr = api.local_addr();
        write_control(&control, api_addr, &token)?;
        let node = Node {
            core,
            device,
            api: Some(api),
            stopping,
            taking_in,
            backroom,
            webhooks,
            control,
            latency,
            shared,
            device_addr,
            api_addr,
            setup_token,
        };
        Ok((node, demo_password))
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.core.engine
    }

    /// Answers what is in flight, makes the journal durable, and stops. Bounded by `DRAIN_MAX`, and what a last
    /// checkpoint takes.
    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = std::fs::remove_file(&self.control);
        let device = self.device.lock().take();
        if let Some(drained) = device.map(|server| server.drain(DRAIN_MAX))
            && drained.forced > 0
        {
            warn!(connections = drained.forced, "connections were cut at the end of the drain");
        }
        if let Some(api) = self.api.take() {
            api.stop();
        }
        // It takes no further row in; a database that says nothing is not waited for.
        if let Some(taking_in) = self.taking_in.take_if(|thread| finishes(thread, TAKING_IN_ENDS_MAX)) {
            join(Some(taking_in), "inbox");
        }
        if let Some(backroom) = self.backroom.take() {
            backroom.close();
        }
        self.webhooks.close();
        self.core.close();
        info!("stopped");
    }
}

fn shared(core: &Core, config: &Config) -> Shared {
    Shared {
        stages: config.trace.then(http::Stages::default),
        registration_secret: config
            .registration_secret
            .as_ref()
            .map(|secret| secrets::hash(secret.as_bytes())),
        registration_auto_approve: config.registration_auto_approve,
        ..Shared::new(Arc::clone(&core.engine), core.profiles.clone(), core.cold.clone())
    }
}

fn serve_devices(
    config: &Config,
    addr: std::net::SocketAddr,
    shared: &Arc<Shared>,
    latency: &[Arc<Latency>],
    gate: &Arc<dyn Durable>,
) -> Result<Server, StartError> {
    use anyhow::Context;
    let (shared, latency) = (Arc::clone(shared), latency.to_vec());
    let options = ServerOptions { name: "device", addr, workers: config.workers, limits: config.limits };
    http::start(options, Arc::clone(gate), move |worker| {
        Port::new(Arc::clone(&shared), Arc::clone(&latency[worker]))
    })
    .with_context(|| format!("listen on the device port {addr}"))
}

/// What the admin API is given for itself.
struct Given {
    questions: Vec<Box<dyn store::Queries>>,
    setup: admin::Setup,
    local_token: [u8; 32],
    webhooks: Arc<Webhooks>,
    peripherals: Option<admin::PeripheralsAt>,
}

fn serve_api(
    config: &Config,
    core: &Core,
    given: Given,
    shared: &Arc<Shared>,
    sources: &Arc<Sources>,
    stopping: &Arc<AtomicBool>,
) -> Result<Admin, StartError> {
    use anyhow::Context;
    let Given { questions, setup, local_token, webhooks, peripherals } = given;
    let figures = Arc::clone(&sources.sign_in);
    let (cold_codes, shared, stopping) =
        (Arc::clone(&core.cold_codes), Arc::clone(shared), Arc::clone(stopping));
    let port = Arc::clone(&shared);
    let profiles = core.profiles.clone();
    let live = live_parts(config, core, sources);
    let forget_prints = forget_prints(sources.desk.clone(), config.data_dir.join(QUEUE_FILE));
    let sources = Arc::clone(sources);
    let make_ops = move || Ops::new(shared, sources, local_token, stopping, cold_codes);
    let parts = admin::Parts {
        engine: Arc::clone(&core.engine),
        questions,
        data_dir: config.data_dir.clone(),
        vault: Vault::open(&config.data_dir.join(ADMIN_KEY_FILE))?,
        local_token,
        webhooks,
        edge: config.admin_edge.clone(),
        auth: admin::AuthParts { setup, give_way: system::give_way, figures },
        has_profile: Box::new(move |name| profiles.contains(name)),
        last_seen: Arc::new(move |device| port.last_seen(device)),
        settings: config.resolved.iter().map(node_setting).collect(),
        live,
        peripherals,
        forget_prints,
        fallback: Box::new(move |durable, stopping| behind::start(make_ops, durable, stopping)),
    };
    admin::start(config.admin_addr, parts)
        .with_context(|| format!("listen on the API port {}", config.admin_addr))
}

/// Webhooks go on where they stood.
fn open_webhooks(config: &Config, core: &Core) -> Result<Webhooks, StartError> {
    let options = webhooks::Options {
        file: config.data_dir.join(WEBHOOKS_FILE),
        vault: Vault::open(&config.data_dir.join(ADMIN_KEY_FILE))?,
        reach: if config.webhook_private_networks { Reach::Private } else { Reach::Public },
        pace: Pace::default(),
    };
    Ok(Webhooks::open(Arc::clone(&core.engine), options)?)
}

fn node_setting(own: &Resolved) -> NodeSetting {
    NodeSetting { key: own.key, value: own.shown().to_owned(), source: own.source.clone(), help: own.help }
}

/// What the live feed watches besides the engine.
fn live_parts(config: &Config, core: &Core, sources: &Sources) -> admin::LiveParts {
    let desk = sources.desk.clone();
    admin::LiveParts {
        give_way: system::give_way,
        device_silent_ms: config.device_silent_ms,
        projector: Arc::clone(&core.projector),
        figures: Arc::clone(&sources.live),
        peripherals: Box::new(move || desk.as_ref().map(now_of).unwrap_or_default()),
    }
}

/// Without printers there may be the queue of those there were.
fn forget_prints(desk: Option<Desk>, queue: PathBuf) -> admin::ForgetPrints {
    Box::new(move |event, until| {
        let forgotten = match &desk {
            Some(desk) => desk.forget(event, until),
            None if queue.exists() => Peripherals::forget_in(&queue, event).map(Some),
            None => Ok(Some(0)),
        };
        forgotten.map_err(|error| error.to_string())
    })
}

fn now_of(desk: &Desk) -> Vec<admin::PeripheralNow> {
    let now = |own: ::peripherals::PeripheralMetrics| admin::PeripheralNow {
        name: own.name,
        up: own.up,
        paper: own.paper.word(),
        queued: own.queued,
        unresolved: own.unresolved,
    };
    desk.metrics().into_iter().map(now).collect()
}

/// Rows of the box office's inbox are taken in from now on.
fn take_in(
    core: &Core,
    inbox: store::Inbox,
    stats: Arc<InboxStats>,
    stopping: &Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let (engine, cold) = (Arc::clone(&core.engine), Arc::clone(&core.cold_codes));
    let projector = Arc::clone(&core.projector);
    let work = TakingIn::new(engine, cold, inbox, stats, projector, Arc::clone(stopping));
    spawn("inbox", move || work.run())
}

fn sources(
    core: &Core,
    shared: &Arc<Shared>,
    latency: &[Arc<Latency>],
    device: &Arc<Mutex<Option<Server>>>,
    inbox: Option<Arc<InboxStats>>,
) -> Sources {
    let device = Arc::clone(device);
    Sources {
        engine: Arc::clone(&core.engine),
        profiles: core.profiles.clone(),
        port: Arc::clone(shared),
        http: Box::new(move || device.lock().as_ref().map(Server::stats)),
        latency: latency.to_vec(),
        projector: Arc::clone(&core.projector),
        inbox,
        sign_in: Arc::default(),
        store: core.store.clone(),
        desk: None,
        webhooks: None,
        live: Arc::default(),
    }
}

/// Address and token for the program's own commands; only its user can read it.
fn write_control(path: &Path, addr: std::net::SocketAddr, token: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let unfinished = path.with_extension("new");
    let _ = std::fs::remove_file(&unfinished);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", serde_json::json!({"addr": addr.to_string(), "token": token}))?;
    // Whoever waits for the file finds all of it.
    std::fs::rename(unfinished, path)
}

/// Demo data at the first start; what happened since is kept. Gives the operator's password.
fn load_demo(core: &Core, config: &Config) -> Result<String, StartError> {
    let engine = &core.engine;
    let catalog = engine.catalog();
    if catalog.events().next().is_some() && !demo::is_demo(&catalog) {
        let mistake = format!(
            "--demo: the data directory {} holds other events; choose another with --data-dir",
            config.data_dir.display()
        );
        return Err(crate::config::Mistakes(vec![mistake]).into());
    }
    demo::put_up(engine, &core.profiles)?;
    let password = match &config.demo_password {
        Some(password) => password.clone(),
        None => secrets::new_key().map_err(anyhow::Error::msg)?[..12].to_owned(),
    };
    let lsn = engine.put(None, demo::operator(&password).map_err(anyhow::Error::msg)?)?;
    engine.journal().wait_durable(lsn, DRAIN_MAX).map_err(|error| anyhow::anyhow!("demo data: {error}"))?;
    Ok(password)
}
