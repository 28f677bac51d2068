//! The thread that follows the journal for all webhooks and puts into the queue what they want. A webhook whose queue is
//! full stays behind in the journal and is read for again when it has room; the journal waits for nobody, and records
//! that were let go before are told and left out. Runs beside the gates and takes the engine's lock only for what a
//! record does not say (a ticket that was changed, a scan that was annulled), so it does not run as the scheduler's
//! last choice: a thread that is stopped with that lock would stop gates.

use crate::Shared;
use crate::error::Error;
use crate::facts::{Message, Teller};
use crate::kinds::Kind;
use crate::line::Line;
use crate::queue::{New, PENDING_MAX};
use crate::settings::Webhook;
use engine::Lsn;
use engine::clock::{Clock, SystemClock};
use engine::journal::{JournalError, Reader};
use engine::limits::TICKETS_PER_RECORD_MAX;
use engine::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Between two looks for new records.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// And where nobody wants any.
const LOOK_EVERY_IDLE: Duration = Duration::from_millis(500);
/// Between two times that the queue is synced and cursors are written down.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// Bytes of records taken at once.
const READ_BYTES: usize = 256 * 1024;
/// A webhook with less room is not read for: reading begins at the start of a segment, and is not done for one message.
const ROOM_MIN: usize = PENDING_MAX / 2;

const _: () = assert!(TICKETS_PER_RECORD_MAX + 1 < ROOM_MIN, "what one record says has room");

/// Follows the journal.
pub struct Follower {
    shared: Arc<Shared>,
    /// Readers by the record they stand behind: webhooks that stand there share one.
    readers: BTreeMap<u64, Reader>,
    records: Vec<(Lsn, Vec<u8>)>,
    failing: bool,
    settled: Instant,
}

/// What one webhook takes of the records that were read.
struct Taking {
    line: Arc<Line>,
    webhook: Arc<Webhook>,
    new: Vec<New>,
    room: usize,
    /// The last record looked at, where the room ended before the records.
    full_at: Option<u64>,
}

// === impl Follower ===

impl Follower {
    /// Begins where each webhook stands.
    pub fn new(shared: Arc<Shared>) -> Follower {
        Follower {
            shared,
            readers: BTreeMap::new(),
            records: Vec::new(),
            failing: false,
            settled: Instant::now(),
        }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let rings = self.shared.bell.rings();
            let done = self.step();
            let settled = if self.settled.elapsed() >= SETTLE_EVERY { self.settle() } else { Ok(()) };
            let wait = match (done, settled) {
                (Ok(wait), Ok(())) => {
                    if std::mem::take(&mut self.failing) {
                        info!("webhooks follow the journal again");
                    }
                    wait
                }
                (Err(error), _) | (_, Err(error)) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        error!(%error, "webhooks do not follow the journal; gates go on");
                    }
                    SETTLE_EVERY
                }
            };
            self.shared.bell.wait(rings, wait);
        }
        let _ = self.settle();
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.settled = Instant::now();
        self.shared.settle()
    }

    /// Reads on for everybody who has room; gives how long there is nothing to do.
    fn step(&mut self) -> Result<Duration, Error> {
        let shared = Arc::clone(&self.shared);
        let _turn = shared.turn.lock();
        let lines = shared.lines();
        let enabled: Vec<Arc<Line>> = lines.into_iter().filter(|line| line.is_enabled()).collect();
        if enabled.is_empty() {
            return Ok(LOOK_EVERY_IDLE);
        }
        let mut by_place: BTreeMap<u64, Vec<Arc<Line>>> = BTreeMap::new();
        for line in enabled.into_iter().filter(|line| line.room() >= ROOM_MIN) {
            by_place.entry(line.cursor()).or_default().push(line);
        }
        let (mut readers, mut more) = (std::mem::take(&mut self.readers), false);
        for (place, lines) in by_place {
            let reader = readers.remove(&place).unwrap_or_else(|| shared.engine.journal().reader(Lsn(place)));
            more |= self.read(reader, place, lines)?;
        }
        Ok(if more { Duration::ZERO } else { LOOK_EVERY })
    }

    /// Reads on from one place; is there more?
    fn read(&mut self, mut reader: Reader, place: u64, lines: Vec<Arc<Line>>) -> Result<bool, Error> {
        self.records.clear();
        match reader.read(READ_BYTES, &mut self.records) {
            Ok(()) => {}
            // What was read before it is taken first; the next look meets the error again.
            Err(_) if !self.records.is_empty() => {}
            Err(JournalError::Gone { oldest }) => {
                lines.iter().try_for_each(|line| self.shared.missed(line, oldest))?;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        let Some((last, _)) = self.records.last() else {
            self.readers.insert(place, reader);
            return Ok(false);
        };
        let last = *last;
        let (mut came, mut all_at_last) = (false, true);
        for taking in self.takings(lines) {
            came |= !taking.new.is_empty();
            all_at_last &= taking.full_at.is_none();
            self.take(taking, last)?;
        }
        if all_at_last {
            self.readers.insert(last.0, reader);
        }
        if came {
            self.shared.bell.ring();
        }
        Ok(all_at_last && self.shared.engine.journal().positions().durable > last)
    }

    fn takings(&self, lines: Vec<Arc<Line>>) -> Vec<Taking> {
        let taking = |line: Arc<Line>| {
            let (webhook, room) = (line.known().webhook, line.room());
            Taking { line, webhook, new: Vec::new(), room, full_at: None }
        };
        let mut takings: Vec<Taking> = lines.into_iter().map(taking).collect();
        let wanted: BTreeSet<Kind> =
            takings.iter().flat_map(|own| own.webhook.settings.types.iter().copied()).collect();
        let wanted: Vec<Kind> = wanted.into_iter().collect();
        let catalog = self.shared.engine.catalog();
        let teller = Teller { engine: &self.shared.engine, catalog: &catalog };
        for (lsn, payload) in &self.records {
            let Ok(record) = Record::decode(payload) else { continue };
            let messages = teller.messages(*lsn, &record, &wanted);
            takings.iter_mut().for_each(|taking| taking.add(*lsn, &messages));
        }
        takings
    }

    fn take(&self, taking: Taking, last: Lsn) -> Result<(), Error> {
        let cursor = taking.full_at.unwrap_or(last.0);
        if !taking.new.is_empty() {
            // Counted before they can be sent; some may be there already.
            taking.line.came(taking.new.len());
            let came = self.shared.queue.take(&taking.line.id, &taking.new, cursor);
            (*came.as_ref().unwrap_or(&0)..taking.new.len()).for_each(|_| taking.line.went());
            came?;
        }
        taking.line.set_cursor(cursor);
        Ok(())
    }
}

// === impl Taking ===

impl Taking {
    fn add(&mut self, lsn: Lsn, messages: &[Message]) {
        let settings = &self.webhook.settings;
        let wants = |message: &&Message| {
            settings.wants(message.kind, message.event.as_deref(), message.gate.as_deref())
        };
        let own: Vec<&Message> = messages.iter().filter(wants).collect();
        if own.is_empty() || self.full_at.is_some() {
            return;
        }
        if self.new.len() + own.len() > self.room {
            self.full_at = Some(lsn.0 - 1);
            return;
        }
        self.new.extend(own.into_iter().map(|message| New {
            lsn: lsn.0,
            n: message.n,
            id: message.id(lsn),
            kind: message.kind.word(),
            body: message.body(settings.personal),
        }));
    }
}

// === what happened again ===

impl Shared {
    /// The journal let go of records that a webhook had not seen.
    fn missed(&self, line: &Line, oldest: Lsn) -> Result<(), Error> {
        let records = oldest.0 - 1 - line.cursor();
        tracing::warn!(
            webhook = line.id,
            records,
            "the journal has let go of records that a webhook has not seen"
        );
        let why = format!(
            "{records} records were let go before they could be looked at: what they said is not sent"
        );
        self.jump(line, oldest.0 - 1, &why)
    }

    /// A webhook goes on behind another record.
    pub(crate) fn jump(&self, line: &Line, cursor: u64, why: &str) -> Result<(), Error> {
        self.queue.jump(&line.id, cursor, why, SystemClock.now().0)?;
        line.set_cursor(cursor);
        Ok(())
    }

    /// Writes down where everybody stands, and syncs.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        let _turn = self.turn.lock();
        let moved = |line: &Arc<Line>| Some((line.id.clone(), line.to_note()?));
        let moved: Vec<(String, u64)> = self.lines().iter().filter_map(moved).collect();
        if !moved.is_empty() {
            self.queue.pass(&moved)?;
        }
        self.queue.settle()
    }

    /// The first record that reached the engine at this moment or later; the journal's end where there is none.
    ///
    /// The clock may have been set back meanwhile; then some records more or fewer are found.
    pub(crate) fn first_since(&self, since_ms: i64) -> Result<Lsn, Error> {
        let journal = self.engine.journal();
        let (mut low, mut high) = (journal.oldest().0, journal.positions().durable.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.recorded_ms(Lsn(middle))? < since_ms { low = middle + 1 } else { high = middle }
        }
        Ok(Lsn(low))
    }

    /// When a record reached the engine. Reads its segment up to it.
    pub(crate) fn recorded_ms(&self, lsn: Lsn) -> Result<i64, Error> {
        let mut records = Vec::new();
        self.engine.journal().reader(Lsn(lsn.0 - 1)).read(1, &mut records)?;
        let record = records.first().and_then(|(_, payload)| Record::decode(payload).ok());
        Ok(record.map_or(i64::MIN, |record| record.recorded_at().0))
    }
}
