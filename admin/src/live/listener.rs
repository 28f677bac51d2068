//! One listener: first what the journal has after its cursor, then what the hub tells, with nothing lost or doubled
//! between. Asks again and again whether it may still listen. Knows no wire format.

use super::filter::Filter;
use super::hub::{Chunk, Joined, Seat, messages};
use super::message::Message;
use crate::access::Permission;
use crate::app::App;
use crate::problem::{Kind, Problem};
use engine::journal::{JournalError, Reader};
use engine::{Engine, Lsn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// After so long without a message something is said all the same, so that proxies keep the connection.
const QUIET: Duration = Duration::from_secs(15);
/// Between two looks whether the token is still good. Some microseconds each.
const CHECKED_EVERY: Duration = Duration::from_secs(5);
/// Bytes of the journal read at once, on the way from a cursor to now.
const READ_BYTES: usize = 64 * 1024;

/// From where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From now on.
    Now,
    /// From behind this record.
    After(Lsn),
}

/// What a listener hears next.
pub enum Heard {
    /// Messages, at least one.
    Messages(Vec<Arc<Message>>),
    /// Nothing for a while.
    Quiet,
    /// No more.
    Ended(Ended),
}

/// Why a listener hears no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did not take what was sent; so many messages at least are missing.
    TooSlow(u64),
    /// This node stops.
    Stopping,
    /// Its token is no longer good for this.
    NotAllowed,
    /// The journal cannot be read.
    Failed,
}

/// Somebody who listens.
pub struct Listener {
    app: Arc<App>,
    stopping: watch::Receiver<bool>,
    filter: Filter,
    token: Arc<str>,
    personal: bool,
    seat: Arc<Seat>,
    stage: Stage,
    /// Messages of records up to this one were heard.
    cursor: Lsn,
    /// To be heard before everything else.
    first: Vec<Arc<Message>>,
    checked_at: Instant,
    heard_at: Instant,
}

/// Where a listener is.
enum Stage {
    /// Far behind: reads the journal.
    Behind(Reader),
    /// In the hub's queue already; reads the journal up to where that begins.
    Between(Reader, Lsn, Live),
    /// Hears what the hub tells.
    Live(Live),
    /// Nothing comes any more.
    Over,
}

struct Live {
    feed: mpsc::Receiver<Chunk>,
    lost: Arc<AtomicU64>,
}

// === impl Listener ===

impl Listener {
    /// Begins to listen. `token` is what is looked at again, `cut` ends the connection by force.
    ///
    /// # Errors
    /// No place is free, or the hub does not answer.
    pub async fn open(
        app: Arc<App>,
        token: Arc<str>,
        filter: Filter,
        start: Start,
        cut: Arc<Notify>,
    ) -> Result<Listener, Problem> {
        let seat = app.live.hub.seat(cut)?;
        let durable = app.engine.journal().positions().durable;
        let mut listener = Listener {
            stopping: app.stopping.clone(),
            filter,
            token,
            personal: false,
            seat,
            stage: Stage::Over,
            cursor: durable,
            first: Vec::new(),
            checked_at: Instant::now(),
            heard_at: Instant::now(),
            app,
        };
        if !listener.may_still() {
            return Err(Problem::new(Kind::Unauthenticated, "this token is good no more"));
        }
        match start {
            Start::After(after) if after <= durable => {
                listener.cursor = after;
                listener.stage = Stage::Behind(listener.app.engine.journal().reader(after));
            }
            Start::After(_) => listener.skip("unknown_cursor", None).await?,
            Start::Now => listener.join_now().await?,
        }
        Ok(listener)
    }

    /// May it see what is personal?
    pub fn personal(&self) -> bool {
        self.personal
    }

    /// What comes next; waits for it. Not to be given up half-way.
    pub async fn next(&mut self) -> Heard {
        // Hundreds of listeners that are told the same keep a thread busy for milliseconds, and the kernel would let a gate's
        // thread wait for its next tick: whoever wants the core has it between one listener and the next.
        std::thread::yield_now();
        loop {
            if *self.stopping.borrow() {
                return Heard::Ended(Ended::Stopping);
            }
            if self.checked_at.elapsed() >= CHECKED_EVERY && !self.may_still() {
                return Heard::Ended(Ended::NotAllowed);
            }
            if !self.first.is_empty() {
                let first = std::mem::take(&mut self.first);
                return self.told(first);
            }
            let heard = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Live(live) => self.listen(live).await,
                Stage::Behind(reader) => self.catch_up(reader, None).await,
                Stage::Between(reader, through, live) => self.catch_up(reader, Some((through, live))).await,
                Stage::Over => Err(Ended::Failed),
            };
            match heard {
                Ok(messages) if !messages.is_empty() => return self.told(messages),
                Ok(_) if self.heard_at.elapsed() >= QUIET => {
                    self.heard_at = Instant::now();
                    return Heard::Quiet;
                }
                Ok(_) => {}
                Err(ended) => return Heard::Ended(ended),
            }
        }
    }

    fn told(&mut self, messages: Vec<Arc<Message>>) -> Heard {
        self.heard_at = Instant::now();
        Heard::Messages(messages)
    }

    /// Is the token good for what is heard? What is personal is shown as long as it may be.
    fn may_still(&mut self) -> bool {
        self.checked_at = Instant::now();
        let Some(who) = self.app.principal(&self.token) else { return false };
        self.personal = who.may(Permission::TicketsPersonal);
        who.may(Permission::ScansRead) && self.filter.is_open_to(&who)
    }

    /// Waits for the hub, but not longer than until something else is due.
    async fn listen(&mut self, mut live: Live) -> Result<Vec<Arc<Message>>, Ended> {
        let due = (self.heard_at + QUIET).min(self.checked_at + CHECKED_EVERY);
        let chunk = tokio::select! {
            chunk = live.feed.recv() => chunk,
            () = tokio::time::sleep_until(due) => {
                self.stage = Stage::Live(live);
                return Ok(Vec::new());
            }
            _ = self.stopping.wait_for(|stop| *stop) => return Err(Ended::Stopping),
        };
        let Some(chunk) = chunk else {
            return Err(match live.lost.load(Ordering::Acquire) {
                0 => Ended::Failed,
                lost => Ended::TooSlow(lost),
            });
        };
        self.stage = Stage::Live(live);
        Ok(self.fitting(chunk.iter(), Lsn(u64::MAX)))
    }

    /// Of these messages those for this listener that it has not heard, up to a record; moves the cursor.
    fn fitting<'m>(
        &mut self,
        messages: impl Iterator<Item = &'m Arc<Message>>,
        through: Lsn,
    ) -> Vec<Arc<Message>> {
        let cursor = self.cursor;
        let is_new = |message: &&Arc<Message>| {
            message.lsn.is_none_or(|lsn| lsn > cursor && lsn <= through) && self.filter.fits(message)
        };
        let fitting: Vec<Arc<Message>> = messages.filter(is_new).cloned().collect();
        let newest = fitting.iter().filter_map(|message| message.lsn).max();
        self.cursor = newest.map_or(cursor, |newest| newest.max(cursor));
        fitting
    }

    /// Reads one piece of the journal; joins the hub once there is no more, so that the rest is short.
    async fn catch_up(
        &mut self,
        reader: Reader,
        joined: Option<(Lsn, Live)>,
    ) -> Result<Vec<Arc<Message>>, Ended> {
        let engine = Arc::clone(&self.app.engine);
        let read = tokio::task::spawn_blocking(move || read_piece(&engine, reader)).await;
        let Ok((reader, piece)) = read else { return Err(Ended::Failed) };
        let piece = match piece {
            Ok(piece) => piece,
            Err(JournalError::Gone { oldest, .. }) => {
                let missing = oldest.0.saturating_sub(self.cursor.0 + 1);
                return self
                    .skip("forgotten", Some(missing))
                    .await
                    .map(|()| Vec::new())
                    .map_err(|_| Ended::Failed);
            }
            Err(error) => {
                tracing::warn!(%error, cursor = %self.cursor, "a listener was dropped: the journal cannot be read");
                return Err(Ended::Failed);
            }
        };
        let through = joined.as_ref().map_or(Lsn(u64::MAX), |(through, _)| *through);
        let fitting = self.fitting(piece.iter(), through);
        let read_through = Lsn(reader.next_lsn().0 - 1);
        self.cursor = self.cursor.max(read_through.min(through));
        self.stage = match joined {
            Some((through, live)) if self.cursor >= through => Stage::Live(live),
            Some((through, live)) => Stage::Between(reader, through, live),
            None if read_through < self.app.engine.journal().positions().durable => Stage::Behind(reader),
            None => {
                let (position, live) = self.join().await.map_err(|_| Ended::Failed)?;
                Stage::Between(reader, position, live)
            }
        };
        Ok(fitting)
    }

    /// Tells that something is missing, and goes on from now.
    async fn skip(&mut self, reason: &'static str, missing: Option<u64>) -> Result<(), Problem> {
        self.first.push(Arc::new(Message::gap(reason, missing)));
        self.join_now().await
    }

    async fn join_now(&mut self) -> Result<(), Problem> {
        let (position, live) = self.join().await?;
        self.cursor = position;
        self.stage = Stage::Live(live);
        Ok(())
    }

    async fn join(&mut self) -> Result<(Lsn, Live), Problem> {
        let joined = self.app.live.hub.join(self.filter.clone(), &self.seat).await?;
        let Joined { position, standing, feed, lost } = joined;
        self.first.extend(standing);
        Ok((position, Live { feed, lost }))
    }
}

type Piece = Result<Vec<Arc<Message>>, JournalError>;

fn read_piece(engine: &Engine, mut reader: Reader) -> (Reader, Piece) {
    let mut records = Vec::new();
    let read = reader.read(READ_BYTES, &mut records);
    let piece = match read {
        Err(error) if records.is_empty() => Err(error),
        _ => Ok(messages(engine, &records)),
    };
    (reader, piece)
}
