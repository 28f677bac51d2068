//! Takes the rows of the box office's inbox in: reads those that wait, makes wishes of them, has the engine judge each, and
//! goes on when the store tells that they are done. Knows columns and words; knows no SQL and no rule about tickets.
//!
//! A row is taken in once. What came of it is a record; the store writes it into the row together with everything else of
//! that record. Rows are read again only when the store has the last of those taken in before, also after a restart.

use crate::ops::{self, ColdCodes};
use crate::tickets::{self, TicketRow};
use engine::catalog::{Catalog, EventId};
use engine::clock::Time;
use engine::inbox::{Change, InboxOutcome, Stored, Wish};
use engine::limits::CODE_BYTES_MAX;
use engine::ticket::{CodeKind, Ticket, TicketId, TicketStatus};
use engine::{Engine, EngineError, Lsn};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Inbox, InboxEntry};
use tracing::{debug, info, warn};

/// Rows read at once.
const ROWS_PER_PAGE: usize = 2_000;
/// How often it looks for rows nobody told it of.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it looks whether rows that are early have their tickets: those come from elsewhere.
const EARLY_EVERY: Duration = Duration::from_secs(10);
/// The pause after a failure.
const RETRY_WAIT: Duration = Duration::from_secs(1);
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
    stop: Arc<AtomicBool>,
    /// Rows are read when the store has this record.
    taken: Lsn,
    early_after: u64,
    early_at: Instant,
}

/// What the rows of one page have done, which the store cannot tell yet.
#[derive(Default)]
struct Page {
    /// Greatest version that was done, by key.
    versions: HashMap<String, i64>,
    /// Tickets that are in the store only.
    cold: HashMap<(CodeKind, Vec<u8>), (TicketId, Ticket)>,
    /// Does the store know everything from before this page?
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
        stop: Arc<AtomicBool>,
    ) -> TakingIn {
        let taken = engine.journal().positions().next;
        TakingIn { engine, cold, inbox, stats, stop, taken, early_after: 0, early_at: Instant::now() }
    }

    /// Until it is to stop. A failure is told once.
    pub fn run(mut self) {
        let mut failing = false;
        while !self.stopping() {
            match self.round() {
                Ok(rows) => {
                    if std::mem::take(&mut failing) {
                        info!("the box office's inbox is read again");
                    }
                    if rows == 0 {
                        self.inbox.wait(LOOK_EVERY);
                    }
                }
                Err(problem) => {
                    self.stats.errors.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut failing, true) {
                        warn!(problem, "the box office's inbox cannot be read; its rows wait");
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
        *self.stats.oldest.lock() = None;
        let entries = self.inbox.entries(ROWS_PER_PAGE).map_err(|error| error.to_string())?;
        let longest = entries.iter().map(|entry| entry.waited).max();
        *self.stats.oldest.lock() = longest.and_then(|waited| Instant::now().checked_sub(waited));
        let mut page = Page::default();
        let taken = self.take_all(&mut page, &entries);
        if page.refused > 0 {
            warn!(rows = page.refused, "rows of the box office's inbox were refused; each says why");
        }
        taken?;
        if self.early_at.elapsed() >= EARLY_EVERY {
            self.early_at = Instant::now();
            self.look_at_early()?;
        }
        Ok(entries.len())
    }

    /// Does the store know what came of every row that was taken in, and can every code be looked for?
    fn may_read(&self) -> bool {
        self.engine.projected() >= self.taken && self.engine.cold_filter().is_complete()
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
        let key = entry.key.clone().unwrap_or_default();
        let newest = entry.newest.max(page.versions.get(&key).copied());
        let outdated = entry.version.is_some_and(|version| newest.is_some_and(|newest| version <= newest));
        let (lsn, outcome) = if outdated {
            self.note(entry, InboxOutcome::Outdated)?
        } else {
            match wish(&self.engine.catalog(), entry, self.engine.now()) {
                Ok(wish) => self.judge(page, entry, &wish)?,
                Err(why) => self.note(entry, InboxOutcome::refused(&why))?,
            }
        };
        self.taken = self.taken.max(lsn);
        self.stats.count(&outcome);
        debug!(row = entry.row.id, ?outcome, "a row of the inbox");
        match &outcome {
            InboxOutcome::Added { id, ticket } | InboxOutcome::Changed { id, ticket } => {
                self.remember_cold(page, *id, ticket);
            }
            InboxOutcome::Refused(_) => page.refused += 1,
            InboxOutcome::Unchanged | InboxOutcome::Early | InboxOutcome::Outdated => {}
        }
        let is_done = matches!(
            outcome,
            InboxOutcome::Added { .. } | InboxOutcome::Changed { .. } | InboxOutcome::Unchanged
        );
        if let Some(version) = entry.version.filter(|_| is_done) {
            page.versions.insert(key, version);
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
                let found = self.look_up(page, wish)?;
                self.engine.take_in(entry.row, wish, Stored::Asked(found.as_ref()))
            }
            other => other,
        };
        judged.map_err(|error| error.to_string())
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
                ops::wait_for_store(&self.engine)?;
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
        let entries = self.inbox.early(self.early_after, ROWS_PER_PAGE).map_err(|error| error.to_string())?;
        let is_last = entries.len() < ROWS_PER_PAGE;
        self.early_after = entries.last().filter(|_| !is_last).map_or(0, |entry| entry.row.id);
        let (catalog, mut page, mut found) = (self.engine.catalog(), Page::default(), Vec::new());
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

/// What a row wishes, or what is wrong with it in words for the box office.
fn wish(catalog: &Catalog, entry: &InboxEntry, now: Time) -> Result<Wish, String> {
    let event = match said(entry.event.as_ref()) {
        Some(name) => Some(catalog.event_named(&name).ok_or_else(|| ops::unknown_event(catalog, &name))?),
        None => None,
    };
    match entry.operation.trim() {
        "add" => {
            let event = event.ok_or("event: a new ticket needs the name of its event")?;
            new_ticket(catalog, entry, event, now).map(Wish::Add)
        }
        "change" => change(entry, event).map(Wish::Change),
        "cancel" => cancellation(entry, event).map(Wish::Change),
        other => Err(format!("operation '{other}' is not one of add, change, cancel")),
    }
}

/// A column that says something.
fn said(column: Option<&String>) -> Option<String> {
    column.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn new_ticket(catalog: &Catalog, entry: &InboxEntry, event: EventId, now: Time) -> Result<Ticket, String> {
    let text = |column: &Option<String>| column.clone().unwrap_or_default();
    let row = TicketRow {
        code: text(&entry.code),
        more_codes: text(&entry.more_codes),
        card: text(&entry.card),
        ticket_id: text(&entry.ticket_id),
        kind: text(&entry.kind),
        holder: text(&entry.holder),
        order: text(&entry.order),
        seat: text(&entry.seat),
        status: text(&entry.status),
        ..TicketRow::default()
    };
    let ticket = Ticket {
        specimen: entry.specimen.unwrap_or(false),
        valid_from: entry.valid_from.unwrap_or(Time::MIN),
        valid_until: entry.valid_until.unwrap_or(Time::MAX),
        ..row.ticket(catalog, event, now)?
    };
    if ticket.valid_from > ticket.valid_until {
        return Err("valid_until is before valid_from".to_owned());
    }
    Ok(ticket)
}

fn cancellation(entry: &InboxEntry, event: Option<EventId>) -> Result<Change, String> {
    let (kind, code) = named_ticket(entry)?;
    Ok(Change {
        kind,
        code,
        event,
        type_name: None,
        status: Some(TicketStatus::Cancelled),
        specimen: None,
        valid_from: None,
        valid_until: None,
        holder: None,
        order: None,
        seat: None,
    })
}

fn change(entry: &InboxEntry, event: Option<EventId>) -> Result<Change, String> {
    let status = said(entry.status.as_ref()).map(|word| tickets::status(&word)).transpose()?;
    // An empty text takes away what stood there; none leaves it.
    let text = |column: &Option<String>| column.as_ref().map(|text| text.trim().to_owned());
    Ok(Change {
        type_name: said(entry.kind.as_ref()),
        status,
        specimen: entry.specimen,
        valid_from: entry.valid_from,
        valid_until: entry.valid_until,
        holder: text(&entry.holder),
        order: text(&entry.order),
        seat: text(&entry.seat),
        ..cancellation(entry, event)?
    })
}

/// The code a row names its ticket by.
fn named_ticket(entry: &InboxEntry) -> Result<(CodeKind, Vec<u8>), String> {
    if let Some(code) = said(entry.code.as_ref()) {
        if code.len() > CODE_BYTES_MAX {
            return Err(format!("code: it has more than {CODE_BYTES_MAX} bytes"));
        }
        return Ok((CodeKind::Optical, code.into_bytes()));
    }
    let card = said(entry.card.as_ref()).ok_or("code: which ticket? a code or a card is needed")?;
    Ok((CodeKind::Card, tickets::card_bytes(&card)?))
}
