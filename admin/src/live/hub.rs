//! The hub: one thread that reads the journal's tail once, renders each message once, and hands it to every listener's
//! queue. It gives way to every other thread: it takes no lock that a gate wants, and looks for records now and then
//! instead of being woken. A listener whose queue is full is let go. Knows no HTTP.

use super::filter::Filter;
use super::message::{Message, Topic};
use crate::problem::{Kind, Problem};
use engine::journal::{JournalError, Reader};
use engine::record::Record;
use engine::{Engine, Lsn};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

/// Listeners at once.
pub const LISTENERS_MAX: usize = 500;
/// Chunks that wait for one listener. What waits is shared by all: the hub holds at most so many chunks for everybody.
const QUEUE_CHUNKS: usize = 256;
/// Messages in a chunk.
const CHUNK_MESSAGES: usize = 64;
/// Between two looks at the journal, while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Bytes of the journal read at once.
const READ_BYTES: usize = 64 * 1024;
/// What waits to be told to the hub.
const TOLD_MAX: usize = 64;
/// The hub answers a listener that comes within this time, also when it hardly gets a core.
const JOIN_MAX: Duration = Duration::from_secs(5);
/// A listener that was let go has so long to take what is in its queue; then its connection is cut.
const LET_GO_MAX: Duration = Duration::from_secs(5);

/// Messages on their way to several listeners.
pub type Chunk = Arc<[Arc<Message>]>;

/// What a message says the state of: a newer one takes its place. Topic, kind of thing, number.
pub type Key = (Topic, &'static str, u32);

/// A message that follows from no single record.
pub struct Post {
    /// The state it tells.
    pub key: Key,
    /// The message.
    pub message: Message,
    /// Is it to be told to listeners that come later? `false`: the state is as it should be again.
    pub stands: bool,
}

/// Listeners since the program started.
#[derive(Debug, Default)]
pub struct LiveFigures {
    /// That began to listen.
    pub opened: AtomicU64,
    /// Of these, that ended.
    pub closed: AtomicU64,
    /// Of these, that were too slow.
    pub dropped: AtomicU64,
}

/// The way to the hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    told: mpsc::Sender<Told>,
    seats: Arc<AtomicUsize>,
    figures: Arc<LiveFigures>,
}

/// A listener's place: it is free again when this is dropped.
pub struct Seat {
    seats: Arc<AtomicUsize>,
    figures: Arc<LiveFigures>,
    cut: Arc<Notify>,
}

/// What the hub gives a listener.
pub struct Joined {
    /// Records up to this one do not come.
    pub position: Lsn,
    /// How things stand.
    pub standing: Vec<Arc<Message>>,
    /// What comes.
    pub feed: mpsc::Receiver<Chunk>,
    /// Messages that the queue had no room for; then no more come.
    pub lost: Arc<AtomicU64>,
}

enum Told {
    Join { filter: Filter, seat: Weak<Seat>, answer: oneshot::Sender<Joined> },
    Post(Vec<Post>),
    Stop,
}

// === impl Hub ===

impl Hub {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(engine: Arc<Engine>, give_way: fn(), figures: Arc<LiveFigures>) -> io::Result<Hub> {
        let (told, heard) = mpsc::channel(TOLD_MAX);
        let counted = Arc::clone(&figures);
        std::thread::Builder::new().name("live".to_owned()).spawn(move || {
            give_way();
            Work::new(engine, heard, counted).run();
        })?;
        Ok(Hub { told, seats: Arc::default(), figures })
    }

    /// A place for one more listener, whose connection is cut by `cut` when nothing else helps.
    ///
    /// # Errors
    /// All are taken.
    pub fn seat(&self, cut: Arc<Notify>) -> Result<Arc<Seat>, Problem> {
        if self.seats.fetch_add(1, Ordering::AcqRel) >= LISTENERS_MAX {
            self.seats.fetch_sub(1, Ordering::AcqRel);
            let detail = format!("{LISTENERS_MAX} listeners are connected; no more can be");
            return Err(Problem::new(Kind::Unavailable, detail));
        }
        self.figures.opened.fetch_add(1, Ordering::Relaxed);
        let (seats, figures) = (Arc::clone(&self.seats), Arc::clone(&self.figures));
        Ok(Arc::new(Seat { seats, figures, cut }))
    }

    /// Listens from now on.
    ///
    /// # Errors
    /// The hub does not answer in time: this node is stopping or has no time for listeners.
    pub async fn join(&self, filter: Filter, seat: &Arc<Seat>) -> Result<Joined, Problem> {
        let (answer, joined) = oneshot::channel();
        let told = Told::Join { filter, seat: Arc::downgrade(seat), answer };
        let joining = async {
            self.told.send(told).await.ok()?;
            joined.await.ok()
        };
        let joined = tokio::time::timeout(JOIN_MAX, joining).await.ok().flatten();
        joined.ok_or_else(|| Problem::new(Kind::Unavailable, "the live feed cannot be joined now"))
    }

    /// Tells how things stand.
    pub(super) async fn post(&self, posts: Vec<Post>) {
        // It fails when the thread has ended: then nobody listens.
        let _ = self.told.send(Told::Post(posts)).await;
    }

    /// Ends the thread.
    pub(super) async fn stop(&self) {
        let _ = self.told.send(Told::Stop).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.fetch_sub(1, Ordering::AcqRel);
        self.figures.closed.fetch_add(1, Ordering::Relaxed);
    }
}

// === the thread ===

struct Waiting {
    filter: Filter,
    feed: mpsc::Sender<Chunk>,
    lost: Arc<AtomicU64>,
    seat: Weak<Seat>,
}

struct Work {
    engine: Arc<Engine>,
    told: mpsc::Receiver<Told>,
    reader: Reader,
    position: Lsn,
    records: Vec<(Lsn, Vec<u8>)>,
    listeners: Vec<Waiting>,
    standing: BTreeMap<Key, Arc<Message>>,
    /// Listeners that were let go, and when their connections are cut.
    let_go: Vec<(Instant, Weak<Seat>)>,
    figures: Arc<LiveFigures>,
}

impl Work {
    fn new(engine: Arc<Engine>, told: mpsc::Receiver<Told>, figures: Arc<LiveFigures>) -> Work {
        let position = engine.journal().positions().durable;
        Work {
            reader: engine.journal().reader(position),
            engine,
            told,
            position,
            records: Vec::new(),
            listeners: Vec::new(),
            standing: BTreeMap::new(),
            let_go: Vec::new(),
            figures,
        }
    }

    fn run(mut self) {
        while self.hear() {
            self.cut_connections();
            if !self.look() {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Takes what was told; waits for it while nobody listens. `false`: it is time to end.
    fn hear(&mut self) -> bool {
        if self.listeners.is_empty() && self.let_go.is_empty() {
            let Some(told) = self.told.blocking_recv() else { return false };
            if !self.take(told) {
                return false;
            }
        }
        while let Ok(told) = self.told.try_recv() {
            if !self.take(told) {
                return false;
            }
        }
        true
    }

    fn take(&mut self, told: Told) -> bool {
        match told {
            Told::Join { filter, seat, answer } => self.join(filter, seat, answer),
            Told::Post(posts) => self.post(posts),
            Told::Stop => return false,
        }
        true
    }

    fn join(&mut self, filter: Filter, seat: Weak<Seat>, answer: oneshot::Sender<Joined>) {
        if self.listeners.is_empty() {
            self.go_on_from_now();
        }
        let (sender, feed) = mpsc::channel(QUEUE_CHUNKS);
        let lost = Arc::<AtomicU64>::default();
        let standing = self.standing.values().filter(|own| filter.fits(own)).cloned().collect();
        let joined = Joined { position: self.position, standing, feed, lost: Arc::clone(&lost) };
        if answer.send(joined).is_ok() {
            self.listeners.push(Waiting { filter, feed: sender, lost, seat });
        }
    }

    fn go_on_from_now(&mut self) {
        self.position = self.engine.journal().positions().durable;
        self.reader = self.engine.journal().reader(self.position);
    }

    fn post(&mut self, posts: Vec<Post>) {
        let mut messages = Vec::with_capacity(posts.len());
        for Post { key, message, stands } in posts {
            let message = Arc::new(message);
            if stands {
                self.standing.insert(key, Arc::clone(&message));
            } else {
                self.standing.remove(&key);
            }
            messages.push(message);
        }
        self.fan_out(messages);
    }

    /// Reads on and tells what is new; `true`: there may be more at once.
    fn look(&mut self) -> bool {
        if self.listeners.is_empty() {
            return false;
        }
        self.records.clear();
        let read = self.reader.read(READ_BYTES, &mut self.records);
        let messages = messages(&self.engine, &self.records);
        if let Some((lsn, _)) = self.records.last() {
            self.position = *lsn;
        }
        self.fan_out(messages);
        match read {
            Ok(()) => !self.records.is_empty(),
            Err(JournalError::Gone { oldest, .. }) => {
                let missing = oldest.0.saturating_sub(self.position.0 + 1);
                self.fan_out(vec![Arc::new(Message::gap("forgotten", Some(missing)))]);
                self.go_on_from_now();
                false
            }
            Err(error) => {
                tracing::warn!(%error, position = %self.position, "listeners were dropped: the live feed cannot read the journal");
                self.listeners.clear();
                false
            }
        }
    }

    fn fan_out(&mut self, messages: Vec<Arc<Message>>) {
        for chunk in messages.chunks(CHUNK_MESSAGES) {
            let chunk: Chunk = chunk.into();
            let (let_go, figures) = (&mut self.let_go, &self.figures);
            self.listeners.retain(|listener| {
                if !chunk.iter().any(|message| listener.filter.fits(message)) {
                    return !listener.feed.is_closed();
                }
                match listener.feed.try_send(Arc::clone(&chunk)) {
                    Ok(()) => true,
                    Err(mpsc::error::TrySendError::Closed(_)) => false,
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        figures.dropped.fetch_add(1, Ordering::Relaxed);
                        listener.lost.store(chunk.len() as u64, Ordering::Release);
                        let_go.push((Instant::now() + LET_GO_MAX, listener.seat.clone()));
                        false
                    }
                }
            });
        }
    }

    /// Cuts the connections of those who did not even take what was in their queue.
    fn cut_connections(&mut self) {
        let now = Instant::now();
        self.let_go.retain(|(at, seat)| {
            let Some(seat) = seat.upgrade() else { return false };
            if *at <= now {
                seat.cut.notify_one();
            }
            *at > now
        });
    }
}

/// What records say to listeners.
pub(super) fn messages(engine: &Engine, records: &[(Lsn, Vec<u8>)]) -> Vec<Arc<Message>> {
    let catalog = engine.catalog_guard();
    let told = |(lsn, payload): &(Lsn, Vec<u8>)| {
        let record = Record::decode(payload).ok()?;
        Message::of_record(&catalog, *lsn, &record).map(Arc::new)
    };
    records.iter().filter_map(told).collect()
}
