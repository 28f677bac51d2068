//! What resources work with: the engine for changes and points, the store for lists, search and history, and the wait
//! until a change is safe and can be read back. Knows no HTTP but the type of what answers the rest of the paths.

use crate::access::{Permissions, Principal, Proof, STATION_PREFIX};
use crate::auth::{self, Auth, AuthParts};
use crate::durable::Durable;
use crate::exports::Exports;
use crate::live::{LastSeen, Live, LiveParts};
use crate::operations::Operations;
use crate::peripheral_desk::{PeripheralDesk, PeripheralsAt};
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use engine::Engine;
use engine::catalog::DeviceId;
use engine::journal::Lsn;
use engine::limits::DEVICE_CONNECTED_MS;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use secrets::Vault;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{ProjectorStats, Queries, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use utoipa::ToSchema;
use webhooks::Webhooks;

/// A change that is not durable after so long is answered with "unavailable": whoever asked looks whether it was made.
const DURABLE_MAX: Duration = Duration::from_secs(5);
/// A change waits so long until the store shows it, so that its maker reads it back. Then it is answered all the same.
const PROJECTED_MAX: Duration = Duration::from_secs(2);
/// Between two looks at the projection: it says nothing when it advances.
const PROJECTED_LOOK: Duration = Duration::from_millis(2);
/// A question waits so long for a connection to the store.
const QUESTION_WAITS_MAX: Duration = Duration::from_secs(5);

/// Answers what no route of this crate has: paths that are older than it.
pub type Fallback = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response> + Send + Sync>;

/// Makes a [`Fallback`].
pub type MakeFallback = Box<dyn FnOnce(Durable, watch::Receiver<bool>) -> io::Result<Fallback> + Send>;

/// Forgets what printers have of an event, once their queue has taken every record up to this one; gives how many jobs it
/// were, `None`: not yet. What is wrong is said in words.
pub type ForgetPrints = Box<dyn Fn(&str, Lsn) -> Result<Option<u64>, String> + Send + Sync>;

/// What the API takes from whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// Origins whose web pages may use it, as browsers write them; none: no page of another origin may.
    pub origins: Vec<String>,
    /// Requests a minute of one person, program or unknown address; 0 is no limit.
    pub requests_per_minute: u32,
}

/// What the node gives.
pub struct Parts {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Connections to the store, each for one question at a time.
    pub questions: Vec<Box<dyn Queries>>,
    /// Where the node keeps its files.
    pub data_dir: PathBuf,
    /// Seals what must be read again.
    pub vault: Vault,
    /// SHA-256 of the token that the program's own commands use.
    pub local_token: [u8; 32],
    /// What is taken from whom.
    pub edge: Edge,
    /// What signing in needs.
    pub auth: AuthParts,
    /// Is there a device profile of this name?
    pub has_profile: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// When a device was last heard of; `None`: not since the start.
    pub last_seen: LastSeen,
    /// The program's settings as they were resolved.
    pub settings: Vec<NodeSetting>,
    /// What the live feed watches.
    pub live: LiveParts,
    /// Webhooks at work; whoever gives them ends them.
    pub webhooks: Arc<Webhooks>,
    /// Printers and displays; `None`: the node has none.
    pub peripherals: Option<PeripheralsAt>,
    /// Reaches what printers keep.
    pub forget_prints: ForgetPrints,
    /// Makes what answers the paths that are not ours; it ends its streams when it is told to stop.
    pub fallback: MakeFallback,
}

/// One of the program's settings, for people: a secret's value says only whether there is one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NodeSetting {
    /// Its key.
    #[schema(example = "durability")]
    pub key: &'static str,
    /// Its value.
    #[schema(example = "fsync")]
    pub value: String,
    /// Where it comes from.
    #[schema(example = "default")]
    pub source: String,
    /// What it is.
    #[schema(example = "fsync: survives a power cut; os: survives a crash of the program")]
    pub help: &'static str,
}

/// What every resource has.
pub struct App {
    /// Long operations.
    pub operations: Operations,
    /// Exports under way.
    pub exports: Exports,
    /// The engine.
    pub engine: Arc<Engine>,
    /// Seals what must be read again.
    pub vault: Vault,
    /// Signing in.
    pub auth: Auth,
    /// Is there a device profile of this name?
    pub has_profile: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// When a device was last heard of; `None`: not since the start.
    pub last_seen: LastSeen,
    /// The program's settings as they were resolved.
    pub settings: Vec<NodeSetting>,
    /// The live feed.
    pub live: Live,
    /// Webhooks at work.
    pub webhooks: Arc<Webhooks>,
    /// Printers and displays.
    pub peripherals: PeripheralDesk,
    /// Reaches what printers keep.
    pub forget_prints: ForgetPrints,
    /// How far the store is, and what it is asked besides.
    pub projector: Arc<ProjectorStats>,
    /// Makes the calling thread run when nobody else wants its core. Never where a lock is taken that a gate wants.
    pub give_way: fn(),
    /// Says when streams have to end.
    pub stopping: watch::Receiver<bool>,
    pub(crate) edge: Edge,
    pub(crate) fallback: Fallback,
    local_token: [u8; 32],
    questions: Mutex<Vec<Box<dyn Queries>>>,
    free: Semaphore,
    durable: Durable,
}

impl App {
    /// Puts the parts together; listens to the journal. To be called within a runtime.
    ///
    /// # Errors
    /// What answers the other paths, the live feed, or the threads for passwords cannot be started.
    pub fn new(parts: Parts, stopping: watch::Receiver<bool>) -> io::Result<App> {
        let durable = Durable::new(parts.engine.journal());
        let free = Semaphore::new(parts.questions.len());
        let fallback = (parts.fallback)(durable.clone(), stopping.clone())?;
        let projector = Arc::clone(&parts.live.projector);
        let give_way = parts.auth.give_way;
        let live = Live::start(&parts.engine, parts.live, Arc::clone(&parts.last_seen), stopping.clone())?;
        Ok(App {
            operations: Operations::open(parts.data_dir)?,
            exports: Exports::default(),
            engine: parts.engine,
            auth: Auth::new(&parts.vault, parts.auth)?,
            vault: parts.vault,
            has_profile: parts.has_profile,
            last_seen: parts.last_seen,
            settings: parts.settings,
            live,
            webhooks: parts.webhooks,
            peripherals: PeripheralDesk::new(parts.peripherals),
            forget_prints: parts.forget_prints,
            projector,
            give_way,
            stopping,
            edge: parts.edge,
            fallback,
            local_token: parts.local_token,
            questions: Mutex::new(parts.questions),
            free,
            durable,
        })
    }

    /// Who a bearer token belongs to, as they are now. Some microseconds.
    pub fn principal(&self, token: &str) -> Option<Principal> {
        let hash = secrets::hash(token.as_bytes());
        if hash == self.local_token {
            return Some(Principal::local());
        }
        let catalog = self.engine.catalog();
        let Some(id) = catalog.operator_keyed(&hash) else { return auth::principal(self, token) };
        let operator = catalog.operator(id)?;
        // A station's key lies on a client PC: it opens the station's own two paths, which no permission opens.
        let is_station = operator.name.starts_with(STATION_PREFIX);
        let permissions =
            if is_station { Permissions::default() } else { Permissions::of_role(operator.role) };
        Some(Principal {
            operator: Some(id),
            name: operator.name.as_str().into(),
            permissions,
            proof: Proof::OperatorToken,
        })
    }

    /// Was a device heard of lately?
    pub fn is_online(&self, device: DeviceId) -> bool {
        let now = self.engine.now();
        (self.last_seen)(device).is_some_and(|at| now.since_ms(at) < DEVICE_CONNECTED_MS)
    }

    /// Waits until a record is durable; `false`: the journal failed.
    pub async fn durable(&self, lsn: Lsn) -> bool {
        self.durable.wait(lsn).await
    }

    /// Waits until a change is durable, then (shortly) until the store shows it. No answer to a change leaves before.
    ///
    /// # Errors
    /// The journal failed or takes too long: whether the change was made has to be looked up.
    pub async fn settle(&self, lsn: Lsn) -> Result<(), Problem> {
        self.safe(lsn).await?;
        let began = Instant::now();
        while self.engine.projected() < lsn && began.elapsed() < PROJECTED_MAX {
            tokio::time::sleep(PROJECTED_LOOK).await;
        }
        Ok(())
    }

    /// Waits until a record is durable, and not for the store: for what nobody reads back at once.
    ///
    /// # Errors
    /// As [`App::settle`].
    pub async fn safe(&self, lsn: Lsn) -> Result<(), Problem> {
        let durable = tokio::time::timeout(DURABLE_MAX, self.durable.wait(lsn)).await;
        if durable.unwrap_or(false) {
            return Ok(());
        }
        let detail = "the change could not be made durable; look whether it was made, then ask again";
        Err(Problem::new(Kind::Unavailable, detail))
    }

    /// Asks the store, on a thread that may wait.
    ///
    /// # Errors
    /// The store is away, or too many ask at once.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&dyn Queries) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.free().await?;
        let app = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || app.ask_freed(question)).await;
        drop(permit);
        match answer {
            Ok(answer) => Ok(answer?),
            Err(error) => {
                tracing::error!(%error, "a question to the store panicked");
                Err(Problem::new(Kind::Internal, "the question could not be asked"))
            }
        }
    }

    /// Asks the store on this thread, which must be none that answers others.
    ///
    /// # Errors
    /// As [`App::ask`].
    pub async fn ask_here<T>(
        &self,
        question: impl FnOnce(&dyn Queries) -> Result<T, StoreError>,
    ) -> Result<T, Problem> {
        let _permit = self.free().await?;
        // A store that speaks to a server waits for it within a runtime of its own, which ours would not let it enter.
        Ok(tokio::task::block_in_place(|| self.ask_freed(question))?)
    }

    /// A permit stands for a connection to the store.
    async fn free(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = || Problem::new(Kind::Unavailable, "too many questions to the store at once");
        let permit = tokio::time::timeout(QUESTION_WAITS_MAX, self.free.acquire()).await;
        permit.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// Asks on the connection that a permit stands for.
    fn ask_freed<T>(
        &self,
        question: impl FnOnce(&dyn Queries) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let questions = self.questions.lock().pop().expect("a permit stands for a connection");
        let questions = Returned { app: self, questions: Some(questions) };
        question(questions.questions.as_deref().expect("it is given back when this is dropped"))
    }
}

/// Gives a connection back, also when the question panicked.
struct Returned<'a> {
    app: &'a App,
    questions: Option<Box<dyn Queries>>,
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        self.app.questions.lock().extend(self.questions.take());
    }
}
