//! Takes the rows of the box office's inbox in: reads those that wait, makes wishes of them, has the engine judge each, and
//! goes on when the store tells that they are done. Knows columns and words; knows no SQL and no rule about tickets.
//!
//! A row is taken in once. What came of it is a record; the store writes it into the row together with everything else of
//! that record. Until the store has it the row is remembered here, and after a restart nothing is read before the store has
//! everything from before it.

mod in_flight;
mod wish;

use engine::inbox::{InboxOutcome, Stored, Wish};
use engine::ticket::{CodeKind, Ticket, TicketId};
use engine::{Engine, EngineError, Lsn};
use in_flight::InFlight;
use lists::cold::{ColdCodes, wait_for_cold};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Inbox, InboxEntry, ProjectorStats};
use tracing::{debug, info, warn};
use wish::wish;

/// Rows read at once.
const ROWS_PER_PAGE: usize = 2_000;
/// Rows taken in at the most of which the store does not know yet.
const IN_FLIGHT_MAX: usize = 20_000;
/// Rows that are early, looked at in one go.
const EARLY_PER_LOOK: usize = 1_000;
/// How often it looks for rows nobody told it of.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it looks whether rows that are early have their tickets: those come from elsewhere.
const EARLY_EVERY: Duration = Duration::from_secs(10);
/// The pause after a failure.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Failures in a row before they are told: by then the projection has told of a database that is away.
const FAILURES_TOLD: u32 = 5;
/// How often it looks whether the store has what was taken in.
const STORE_LOOK_EVERY: Duration = Duration::from_millis(5);
/// After so many rows gates go first for a moment.
const ROWS_PER_TURN: usize = 64;
const TURN_PAUSE: Duration = Duration::from_millis(1);

/// What came of rows since the start, by its word.
pub const OUTCOMES: [&str; 6] = ["added", "changed", "unchanged", "early", "outdated", "refused"];

/// What the inbox has done, for whoever watches it.
#[derive(Default)]
pub struct InboxStats {
    rows: [AtomicU64; OUTCOMES.len()],
    errors: AtomicU64,
    /// Since when the oldest row waits that was read and is not done.
    oldest: Mutex<Option<Instant>>,
}

/// The thread's work.
pub struct TakingIn {
    engine: Arc<Engine>,
    cold: Arc<ColdCodes>,
    inbox: Inbox,
    stats: Arc<InboxStats>,
    /// Tells whether the projection fails too.
    projector: Arc<ProjectorStats>,
    stop: Arc<AtomicBool>,
    /// Rows are read when the store has this record: what the journal knew at the start.
    began_at: Lsn,
    in_flight: InFlight,
    early_after: u64,
    early_at: Instant,
}

/// What is known while a page of rows is taken in.
struct Page {
    /// The last record about such tickets when it began.
    as_of: Lsn,
    /// Tickets that are in the store only, as the rows of this page have left them.
    cold: HashMap<(CodeKind, Vec<u8>), (TicketId, Ticket)>,
    /// Does the store know every such ticket from before this page?
    store_asked: bool,
    refused: u64,
}

// === impl InboxStats ===

impl InboxStats {
    /// Rows by what came of them.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.rows.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Looks into the inbox that failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How long the oldest row waits that was read and is not done.
    pub fn waiting(&self) -> Duration {
        self.oldest.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn count(&self, outcome: &InboxOutcome) {
        let at = match outcome {
            InboxOutcome::Added { .. } => 0,
            InboxOutcome::Changed { .. } => 1,
            InboxOutcome::Unchanged => 2,
            InboxOutcome::Early => 3,
            InboxOutcome::Outdated => 4,
            InboxOutcome::Refused(_) => 5,
        };
        self.rows[at].fetch_add(1, Ordering::Relaxed);
    }
}

// === impl TakingIn ===

impl TakingIn {
    /// Ready to run. The store has to know first what the journal knows now.
    pub fn new(
        engine: Arc<Engine>,
        cold: Arc<ColdCodes>,
        inbox: Inbox,
        stats: Arc<InboxStats>,
        projector: Arc<ProjectorStats>,
        stop: Arc<AtomicBool>,
    ) -> TakingIn {
        let began_at = engine.journal().positions().next;
        let in_flight = InFlight::default();
        TakingIn {
            engine,
            cold,
            inbox,
            stats,
            projector,
            stop,
            began_at,
            in_flight,
            early_after: 0,
            early_at: Instant::now(),
        }
    }

    /// Until it is to stop. A failure is told once, and not where the projection tells of the same.
    pub fn run(mut self) {
        let (mut failures, mut told) = (0, false);
        while !self.stopping() {
            match self.round() {
                Ok(rows) => {
                    failures = 0;
                    if std::mem::take(&mut told) {
                        info!("the box office's inbox is read again");
                    }
                    if rows == 0 {
                        self.inbox.wait(LOOK_EVERY);
                    }
                }
                Err(problem) => {
                    self.stats.errors.fetch_add(1, Ordering::Relaxed);
                    failures += 1;
                    if failures >= FAILURES_TOLD && !told && !self.projector.snapshot().failing {
                        warn!(problem, "the box office's inbox cannot be read; its rows wait");
                        told = true;
                    }
                    self.pause(RETRY_WAIT);
                }
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn pause(&self, most: Duration) {
        let until = Instant::now() + most;
        while !self.stopping() && Instant::now() < until {
            std::thread::park_timeout(LOOK_EVERY.min(most));
        }
    }

    /// Takes in a page of rows; how many it had.
    fn round(&mut self) -> Result<usize, String> {
        while !self.may_read() {
            if self.stopping() {
                return Ok(0);
            }
            std::thread::park_timeout(STORE_LOOK_EVERY);
        }
        // Before rows are read: what the store has by now they tell themselves.
        self.in_flight.forget_through(self.engine.projected());
        let room = IN_FLIGHT_MAX - self.in_flight.len();
        let entries = self.inbox.entries(ROWS_PER_PAGE.min(room), self.in_flight.ids());
        let entries = entries.map_err(|error| error.to_string())?;
        let longest = entries.iter().map(|entry| entry.waited).max();
        *self.stats.oldest.lock() = longest.and_then(|waited| Instant::now().checked_sub(waited));
        let mut page = self.page();
        let taken = self.take_all(&mut page, &entries);
        if page.refused > 0 {
            warn!(rows = page.refused, "rows of the box office's inbox were refused; each says why");
        }
        taken?;
        *self.stats.oldest.lock() = None;
        if self.early_at.elapsed() >= EARLY_EVERY {
            self.early_at = Instant::now();
            self.look_at_early()?;
        }
        Ok(entries.len())
    }

    /// Does the store know what came of enough of the rows that were taken in, and can every code be looked for?
    fn may_read(&mut self) -> bool {
        let projected = self.engine.projected();
        if self.in_flight.len() > IN_FLIGHT_MAX / 2 {
            self.in_flight.forget_through(projected);
        }
        projected >= self.began_at
            && self.in_flight.len() <= IN_FLIGHT_MAX / 2
            && self.engine.cold_filter().is_complete()
    }

    fn take_all(&mut self, page: &mut Page, entries: &[InboxEntry]) -> Result<(), String> {
        for turn in entries.chunks(ROWS_PER_TURN) {
            for entry in turn {
                if self.stopping() {
                    return Ok(());
                }
                self.take(page, entry)?;
            }
            std::thread::sleep(TURN_PAUSE);
        }
        Ok(())
    }

    fn take(&mut self, page: &mut Page, entry: &InboxEntry) -> Result<(), String> {
        let newest = entry.newest.max(self.in_flight.newest(entry));
        let outdated = entry.version.is_some_and(|version| newest.is_some_and(|newest| version <= newest));
        let (lsn, outcome) = if outdated {
            self.note(entry, InboxOutcome::Outdated)?
        } else {
            match wish(&self.engine.catalog(), entry, self.engine.now()) {
                Ok(wish) => self.judge(page, entry, &wish)?,
                Err(why) => self.note(entry, InboxOutcome::refused(&why))?,
            }
        };
        self.in_flight.note(lsn, entry, &outcome);
        self.stats.count(&outcome);
        debug!(row = entry.row.id, ?outcome, "a row of the inbox");
        match &outcome {
            InboxOutcome::Added { id, ticket } => {
                self.remember_cold(page, *id, ticket);
                // Those that came before it, of which the store does not know yet that they were early.
                for early in self.in_flight.take_early(entry) {
                    self.take(page, &early)?;
                }
            }
            InboxOutcome::Changed { id, ticket } => self.remember_cold(page, *id, ticket),
            InboxOutcome::Refused(_) => page.refused += 1,
            InboxOutcome::Unchanged | InboxOutcome::Early | InboxOutcome::Outdated => {}
        }
        Ok(())
    }

    fn note(&self, entry: &InboxEntry, outcome: InboxOutcome) -> Result<(Lsn, InboxOutcome), String> {
        let lsn = self.engine.note_row(entry.row, outcome.clone()).map_err(|error| error.to_string())?;
        Ok((lsn, outcome))
    }

    /// Asks the engine, and the store before that where the ticket may be there only.
    fn judge(&self, page: &mut Page, entry: &InboxEntry, wish: &Wish) -> Result<(Lsn, InboxOutcome), String> {
        let judged = match self.engine.take_in(entry.row, wish, Stored::NotAsked) {
            Err(EngineError::MaybeCold) => {
                match self.take_in_as_stored(page, entry, wish)? {
                    // A person amended one of these tickets since: what the page knows of them may be old.
                    Err(EngineError::StoreBehind) => {
                        *page = Page { refused: page.refused, ..self.page() };
                        self.take_in_as_stored(page, entry, wish)?
                    }
                    other => other,
                }
            }
            other => other,
        };
        judged.map_err(|error| error.to_string())
    }

    fn take_in_as_stored(
        &self,
        page: &mut Page,
        entry: &InboxEntry,
        wish: &Wish,
    ) -> Result<Result<(Lsn, InboxOutcome), EngineError>, String> {
        let found = self.look_up(page, wish)?;
        Ok(self.engine.take_in(entry.row, wish, Stored::Asked(found.as_ref(), page.as_of)))
    }

    /// A page that nothing is known of yet.
    fn page(&self) -> Page {
        Page { as_of: self.engine.cold_changed(), cold: HashMap::new(), store_asked: false, refused: 0 }
    }

    /// The ticket of a wish that is in the store only, as this page has left it.
    fn look_up(&self, page: &mut Page, wish: &Wish) -> Result<Option<(TicketId, Ticket)>, String> {
        for (kind, code) in wish.codes() {
            if let Some(known) = page.cold.get(&(kind, code.to_vec())) {
                return Ok(Some(known.clone()));
            }
            if !self.engine.cold_filter().maybe(kind, code) {
                continue;
            }
            if !std::mem::replace(&mut page.store_asked, true) {
                wait_for_cold(&self.engine)?;
            }
            if let Some(found) = self.cold.find(kind, code)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn remember_cold(&self, page: &mut Page, id: TicketId, ticket: &Ticket) {
        let catalog = self.engine.catalog();
        let event = catalog.ticket_type(ticket.type_id).and_then(|kind| catalog.event(kind.event));
        if event.is_some_and(|event| event.cold) {
            for (kind, code) in ticket.details.codes() {
                page.cold.insert((kind, code.to_vec()), (id, ticket.clone()));
            }
        }
    }

    /// Rows that waited for a ticket which came from elsewhere: a list, a person.
    fn look_at_early(&mut self) -> Result<(), String> {
        self.in_flight.forget_through(self.engine.projected());
        let entries = self.inbox.early(self.early_after, EARLY_PER_LOOK, self.in_flight.ids());
        let entries = entries.map_err(|error| error.to_string())?;
        let is_last = entries.len() < EARLY_PER_LOOK;
        self.early_after = entries.last().filter(|_| !is_last).map_or(0, |entry| entry.row.id);
        let (catalog, mut page, mut found) = (self.engine.catalog(), self.page(), Vec::new());
        for entry in entries {
            let Ok(wish) = wish(&catalog, &entry, self.engine.now()) else { continue };
            let is_hot = wish.codes().iter().any(|(kind, code)| self.engine.ticket(*kind, code).is_some());
            if is_hot || self.look_up(&mut page, &wish)?.is_some() {
                found.push(entry);
            }
        }
        self.take_all(&mut page, &found)
    }
}
