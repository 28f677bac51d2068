//! Connections: how one is made, what every session is set to, the pool for questions, and the small runtime that moves
//! their bytes. Every wait ends: at the server by its own limits, here by a deadline over them. Knows no table.

use super::error::{store_error, unheard};
use super::options::{PostgresOptions, TlsMode};
use super::tls;
use crate::error::{Cause, StoreError, StoreResult, WhileDoing};
use crate::store::PoolUse;
use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::time::Duration;
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a session may do nothing within a transaction: longer than this program ever computes between two
/// statements, also when the machine is busy with gates.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(60);
/// Unanswered probes after which a silent connection is dead.
const KEEPALIVE_PROBES: u32 = 3;
/// How long the server's own deadline may be overdue, before the connection is given up.
const OVERDUE_MAX: Duration = Duration::from_secs(5);
/// How often the server looks whether a client it works for is still there.
const CLIENT_CHECK: Duration = Duration::from_secs(5);

/// The way to one database.
pub(super) struct Link {
    runtime: Worker,
    config: Config,
    tls: MakeRustlsConnect,
    pool: Pool,
    pub options: PostgresOptions,
    /// Brings the database to what questions and batches expect; not by `ask`.
    prepare: fn(&Link) -> StoreResult<()>,
    /// Was it? Held while it is done: whoever comes meanwhile could only do the same.
    prepared: Mutex<bool>,
}

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Questions,
    Writing,
}

/// The thread that moves the bytes of all connections.
struct Worker(Option<tokio::runtime::Runtime>);

// === impl Link ===

impl Link {
    /// Prepares everything and connects to nothing.
    pub(super) fn new(options: PostgresOptions, prepare: fn(&Link) -> StoreResult<()>) -> StoreResult<Link> {
        let tls = tls::connector(&options)?;
        let config = self::config(&options, Use::Writing)?;
        let for_questions = self::config(&options, Use::Questions)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = Manager::from_config(for_questions, tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(options.pool_connections_max)
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Settings { problem: error.to_string() })?;
        Ok(Link {
            runtime: Worker::start()?,
            config,
            tls,
            pool,
            options,
            prepare,
            prepared: Mutex::new(false),
        })
    }

    /// How the connections for questions are used now.
    pub(super) fn pool_use(&self) -> PoolUse {
        let status = self.pool.status();
        PoolUse {
            open: status.size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            most: status.max_size,
        }
    }

    /// Prepares the database, once: by the first that finds the server there.
    pub(super) fn ready(&self) -> StoreResult<()> {
        let mut prepared = self.prepared.lock();
        if !*prepared {
            (self.prepare)(self)?;
            *prepared = true;
        }
        Ok(())
    }

    /// Waits for one statement of the writer's.
    pub(super) fn wait<T>(
        &self,
        action: &'static str,
        future: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        self.wait_for(self.options.write_timeout, action, future)
    }

    /// Waits for what the server has to end by itself within `server_max`.
    pub(super) fn wait_for<T>(
        &self,
        server_max: Duration,
        action: &'static str,
        future: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        self.runtime.get().block_on(within(server_max, action, future))
    }

    /// A session of its own that may write.
    pub(super) fn connect(&self) -> StoreResult<ClientWrapper> {
        self.wait_for(self.options.connect_timeout, "connect to the database", async {
            let connecting = self.config.connect(self.tls.clone());
            let (client, connection) = connecting.await.while_doing("connect to the database")?;
            // What ends a connection is told to whoever uses it next.
            let moving = self.runtime.get().spawn(async move { drop(connection.await) });
            Ok(ClientWrapper::new(client, moving))
        })
    }

    /// A session of its own that is told of what others notify on a channel; `told` is called for each, on the store's
    /// thread, and must not wait.
    pub(super) fn listen(
        &self,
        channel: &'static str,
        told: impl Fn() + Send + 'static,
    ) -> StoreResult<ClientWrapper> {
        self.wait_for(self.options.connect_timeout, "listen to the database", async {
            let connecting = self.config.connect(self.tls.clone());
            let (client, mut connection) = connecting.await.while_doing("connect to the database")?;
            let moving = self.runtime.get().spawn(async move {
                while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                    if matches!(message, AsyncMessage::Notification(_)) {
                        told();
                    }
                }
            });
            let session = ClientWrapper::new(client, moving);
            session
                .batch_execute(&format!("LISTEN {channel}"))
                .await
                .while_doing("listen to the database")?;
            Ok(session)
        })
    }

    /// Asks one question on a connection of the pool, and waits for a free one for [`PostgresOptions::connect_timeout`].
    pub(super) fn ask<T>(
        &self,
        action: &'static str,
        question: impl AsyncFnOnce(&mut ClientWrapper) -> StoreResult<T>,
    ) -> StoreResult<T> {
        self.ready()?;
        // The deadline is within the connection's keeping: one that was given up in the middle does not go back.
        let most = self.options.question_timeout;
        let bounded = async |session: &mut ClientWrapper| within(most, action, question(session)).await;
        self.runtime.get().block_on(self.on_a_connection(action, bounded))
    }

    /// As [`Link::ask`], for a question of many pages: each is to be given to [`Link::page`], and all of them have no end.
    pub(super) fn ask_in_pages<T>(
        &self,
        action: &'static str,
        question: impl AsyncFnOnce(&mut ClientWrapper) -> StoreResult<T>,
    ) -> StoreResult<T> {
        self.ready()?;
        self.runtime.get().block_on(self.on_a_connection(action, question))
    }

    /// Waits for a page of a question.
    pub(super) async fn page<T>(
        &self,
        action: &'static str,
        page: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        within(self.options.question_timeout, action, page).await
    }

    async fn on_a_connection<T>(
        &self,
        action: &'static str,
        question: impl AsyncFnOnce(&mut ClientWrapper) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.pool.get().await.map_err(|error| refused(action, &error))?;
        let answer = question(&mut connection).await;
        if answer.is_err() {
            // It may be in the middle of something.
            drop(Object::take(connection));
        }
        answer
    }
}

/// Waits for what the server has to end by itself within `server_max`, and a little longer.
async fn within<T>(
    server_max: Duration,
    action: &'static str,
    future: impl Future<Output = StoreResult<T>>,
) -> StoreResult<T> {
    let ended = tokio::time::timeout(server_max + OVERDUE_MAX, future).await;
    ended.unwrap_or_else(|_| Err(unheard(action)))
}

fn refused(action: &'static str, error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => store_error(action, error),
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Server {
            action,
            cause: Cause::Busy,
            said: "all connections for questions are in use".to_owned(),
        },
        _ => unheard(action),
    }
}

/// Address, deadlines and what the session is set to.
fn config(options: &PostgresOptions, use_of: Use) -> StoreResult<Config> {
    let statement = match use_of {
        Use::Questions => options.question_timeout,
        Use::Writing => options.write_timeout,
    };
    // The parser's own words would repeat parts of the address.
    let mut config: Config = options.url.parse().map_err(|_| StoreError::Settings {
        problem: "its address is not like postgres://user@host:port/database".to_owned(),
    })?;
    if let Some(password) = &options.password {
        config.password(password);
    }
    let probe = (options.silence_max / (KEEPALIVE_PROBES + 1)).max(Duration::from_secs(1));
    let settings = [
        ("timezone", "UTC".to_owned()),
        ("statement_timeout", millis(statement)),
        ("lock_timeout", millis(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(IDLE_IN_TRANSACTION_MAX)),
        // A commit that returns is durable: what the server's default may leave open is not left open here.
        ("synchronous_commit", "on".to_owned()),
        // The server's end of a half-open connection: it holds the right to write until it is noticed.
        ("tcp_keepalives_idle", probe.as_secs().to_string()),
        ("tcp_keepalives_interval", probe.as_secs().to_string()),
        ("tcp_keepalives_count", KEEPALIVE_PROBES.to_string()),
        ("tcp_user_timeout", millis(options.silence_max)),
        ("client_connection_check_interval", millis(CLIENT_CHECK)),
    ];
    let mut all = config.get_options().unwrap_or_default().to_owned();
    settings.iter().for_each(|(name, value)| all.push_str(&format!(" -c {name}={value}")));
    if use_of == Use::Questions {
        all.push_str(" -c default_transaction_read_only=on");
    }
    config
        .options(all.trim())
        .application_name("gatehouse")
        .connect_timeout(options.connect_timeout)
        .keepalives(true)
        .keepalives_idle(probe)
        .keepalives_interval(probe)
        .keepalives_retries(KEEPALIVE_PROBES)
        .tcp_user_timeout(options.silence_max)
        .ssl_mode(match options.tls {
            TlsMode::Disable => tokio_postgres::config::SslMode::Disable,
            TlsMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            TlsMode::Require => tokio_postgres::config::SslMode::Require,
        });
    Ok(config)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

// === impl Worker ===

impl Worker {
    fn start() -> StoreResult<Worker> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Database {
                action: "start the store's thread",
                source: Box::new(error),
            })?;
        Ok(Worker(Some(runtime)))
    }

    fn get(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().expect("it is taken only when it is dropped")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Waiting for it here would panic inside somebody else's runtime; nothing of it is worth waiting for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
