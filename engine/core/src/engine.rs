//! The engine: one lock around the state, one order for everything. Under the lock a scan is looked up,
//! decided, appended to the journal and applied; the caller then waits, without the lock, until its LSN is
//! durable. Knows no network, no SQL and no async runtime; clock and disk are given to it.

mod acts;
mod amendments;
mod changes;
mod far;
mod shred;

use crate::catalog::{Catalog, CatalogError, DeviceId, GateId};
use crate::checkpoint::{self, CheckpointError, Step};
use crate::clock::{Clock, Time};
use crate::cold::ColdFilter;
use crate::counts::Counts;
use crate::decide::decide;
use crate::decision::{Answer, Decision, Scan, ScanKind, Shown};
use crate::disk::Disk;
use crate::journal::{AppendError, Journal, JournalError, JournalOptions, Lsn, Recovery};
use crate::limits::{ANNUL_WINDOW_MS, NOTICES_PER_DEVICE_MAX, RECORD_BYTES_MAX, TICKETS_PER_RECORD_MAX};
use crate::record::{PassageOutcome, PassageRecord, Record, ScanKey, ScanRecord};
use crate::registry::RegistryError;
use crate::scans::KeptScan;
use crate::state::{Conflict, State};
use crate::ticket::{CodeKind, Ticket, TicketId, TicketUse};
pub use amendments::Amendment;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
pub use shred::Forgotten;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prefix of the ids the engine gives to scans that came without one; devices may not use it.
pub const OWN_SCAN_ID_PREFIX: &str = "gh-";

/// The engine. Shared by reference between all threads.
pub struct Engine {
    // A plain mutex: nothing waits while holding it, and one scan holds it for 1 to 2.5 µs at a million tickets. One order
    // for all scans makes counts and capacities exact without any further rule.
    state: Mutex<State>,
    /// The catalog of the state, readable without the lock.
    catalog: ArcSwap<Catalog>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    cold: ColdFilter,
    /// What readers of the store see.
    projected: AtomicU64,
    /// What of it survives a power cut. `projected >= settled`.
    settled: AtomicU64,
    checkpointed: AtomicU64,
    /// The last record that has to do with tickets in the store only, or may have. Written under the state's lock.
    cold_changed: AtomicU64,
    /// Of these, the last by which a person amended some.
    cold_amended: AtomicU64,
    /// Keeps two checkpoints apart; held over I/O, never by a gate.
    checkpointing: Mutex<()>,
}

/// What was found when the engine opened.
#[derive(Debug)]
pub struct Opened {
    /// LSN of the checkpoint it started from; 0: none.
    pub checkpoint: u64,
    /// Checkpoints that could not be read and why; an older one was used.
    pub damaged: Vec<String>,
    /// What the journal gave.
    pub recovery: Recovery,
}

/// Why the engine cannot open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal is damaged or the disk fails.
    #[error("failed to open journal: {0}")]
    Journal(#[from] JournalError),
    /// No checkpoint can be read and the journal does not begin at the beginning.
    #[error("failed to open checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The directory cannot be read.
    #[error("failed to read the data directory: {0}")]
    Io(#[from] std::io::Error),
    /// The first record could not be written.
    #[error("failed to begin the journal: {0}")]
    Begin(AppendError),
}

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It cannot decide: the journal failed or is behind. Never a denial.
    #[error("cannot decide now: {0}")]
    Unavailable(#[from] AppendError),
    /// The same id was used for another scan.
    #[error("this scan_id was used for another code")]
    ScanIdConflict,
    /// The id is of the form the engine gives out.
    #[error("a scan_id must not begin with {OWN_SCAN_ID_PREFIX}")]
    ScanIdReserved,
    /// No such scan by this device in the time it can be annulled or confirmed.
    #[error("no scan of this id by this device")]
    ScanNotFound,
    /// A refusal cannot be annulled.
    #[error("the scan was refused, so nobody passed")]
    NotAdmitted,
    /// It was confirmed or annulled before, the other way.
    #[error("the scan is {0:?} already")]
    PassageDecided(PassageOutcome),
    /// More than 15 minutes ago.
    #[error("the scan is too old to be annulled")]
    TooLateToAnnul,
    /// The entity is not good.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// No such ticket in memory.
    #[error("no such ticket")]
    TicketNotFound,
    /// The ticket's event came near while its tickets are still on their way into memory.
    #[error("the tickets of this event are being loaded")]
    Warming,
    /// A message or an unlock, where as many wait as may.
    #[error("{NOTICES_PER_DEVICE_MAX} messages and unlocks wait for this device; it has to fetch them first")]
    CommandsWait,
    /// The code may belong to a ticket that is in the store only; look it up, then ask `scan_cold`.
    #[error("the ticket may be in the store only")]
    MaybeCold,
    /// What the store gave is older than a change of a ticket that is in the store only.
    #[error("the store does not know the newest changes yet")]
    StoreBehind,
    /// What is to be changed is not as whoever wants to change it saw it.
    #[error("it was changed by somebody else meanwhile; look again")]
    Changed,
    /// The act is too large, or the registry is full.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A ticket cannot be so.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// No such event.
    #[error("no such event")]
    EventNotFound,
    /// Who holds tickets is needed until the event has ended.
    #[error("the event has not ended yet; who holds its tickets is needed until then")]
    EventGoesOn,
    /// An amendment of no ticket, or of too many.
    #[error("an amendment has 1 to {TICKETS_PER_RECORD_MAX} tickets, this one {0}")]
    AmendmentSize(usize),
}

/// An answered scan.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// LSN of the decision; 0 for a check.
    pub lsn: Lsn,
    /// No reply may leave before this LSN is durable.
    pub wait: Lsn,
    /// Is this the first time?
    pub seen: Seen,
}

/// Had this scan been seen before?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No: a new decision.
    New,
    /// The same id: the same answer.
    SameId,
    /// The same code without an id within the repeat window: the same answer.
    Repeat,
}

/// Why a ticket was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Another ticket has this code.
    #[error("code '{0}' belongs to another ticket already")]
    CodeTaken(String),
    /// It has no code.
    #[error("a ticket needs a code")]
    NoCode,
    /// Its type is not known.
    #[error("its ticket type is not known")]
    UnknownType,
    /// Its new type is of another event.
    #[error("a ticket stays with its event; make a new one for another event")]
    OtherEvent,
}

impl Engine {
    /// Opens the engine on a disk: newest readable checkpoint, then the journal after it.
    ///
    /// # Errors
    /// A damaged journal, no readable checkpoint where one is needed, a failing disk.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: JournalOptions,
    ) -> Result<(Engine, Opened), OpenError> {
        let mut damaged = Vec::new();
        let mut start = None;
        for (lsn, name) in checkpoint::list(disk.as_ref())? {
            match checkpoint::load(disk.as_ref(), &name) {
                Ok(state) => {
                    start = Some((lsn, state));
                    break;
                }
                Err(error) => damaged.push(error),
            }
        }
        if start.is_none() && !damaged.is_empty() && !journal_exists(disk.as_ref())? {
            // A new node has no checkpoint: this one lost its journal, and beginning anew would forget everything.
            return Err(OpenError::Checkpoint(damaged.remove(0)));
        }
        let damaged = damaged.iter().map(ToString::to_string).collect();
        let (lsn, state) = start.unwrap_or_else(|| (0, State::new()));
        let (engine, recovery) = Engine::open_from(state, disk, clock, options)?;
        Ok((engine, Opened { checkpoint: lsn, damaged, recovery }))
    }

    /// Opens the engine from a state that was loaded elsewhere (the store), then the journal after it.
    ///
    /// # Errors
    /// A damaged journal or a failing disk.
    pub fn open_from(
        state: State,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: JournalOptions,
    ) -> Result<(Engine, Recovery), OpenError> {
        let checkpointed = state.lsn;
        let mut state = state;
        let (journal, recovery) =
            Journal::open(Arc::clone(&disk), options, Lsn(state.lsn), &mut |lsn, payload| {
                let record = Record::decode(payload).map_err(|error| error.to_string())?;
                state.apply(lsn.0, &record);
                Ok(())
            })?;
        let catalog = ArcSwap::new(Arc::clone(&state.catalog));
        let opened_at = state.lsn;
        let engine = Engine {
            state: Mutex::new(state),
            catalog,
            journal,
            clock,
            disk,
            cold: ColdFilter::default(),
            projected: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            checkpointed: AtomicU64::new(checkpointed),
            cold_changed: AtomicU64::new(opened_at),
            cold_amended: AtomicU64::new(opened_at),
            checkpointing: Mutex::new(()),
        };
        engine.be_born().map_err(OpenError::Begin)?;
        Ok((engine, recovery))
    }

    /// The first record ever gives the node its key for scan ids.
    fn be_born(&self) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        if state.lsn > 0 {
            return Ok(());
        }
        // Two seeded hashers of the standard library: random per process, and no further dependency.
        use std::hash::{BuildHasher, RandomState};
        let mut salt = [0; 16];
        let halves = [RandomState::new().hash_one(self.clock.now()), RandomState::new().hash_one("scan ids")];
        salt[..8].copy_from_slice(&halves[0].to_le_bytes());
        salt[8..].copy_from_slice(&halves[1].to_le_bytes());
        self.commit(&mut state, &Record::Born { at: self.clock.now(), salt }).map(|_| ())
    }

    /// Appends a record and applies it. The only way into the journal, and the only caller of `apply` besides replay.
    fn commit(&self, state: &mut State, record: &Record<'_>) -> Result<Lsn, AppendError> {
        let (expected, catalog_version) = (state.lsn + 1, state.catalog.version);
        let lsn = self.journal.append(|_, out| record.encode(out))?;
        assert_eq!(lsn.0, expected, "journal and state count alike");
        state.apply(lsn.0, record);
        if state.catalog.version != catalog_version {
            self.catalog.store(Arc::clone(&state.catalog));
        }
        Ok(lsn)
    }

    // --- scans ---

    /// Decides a scan, or gives the answer it got before. 1 to 2.5 µs at a million tickets, most of it cache
    /// misses; no I/O.
    ///
    /// # Errors
    /// `Unavailable` when it cannot decide, `ScanIdConflict`, `MaybeCold`.
    pub fn scan(&self, scan: &Scan<'_>) -> Result<Answered, EngineError> {
        let mut state = self.state.lock();
        let (key, now) = (key_of(&state, scan), self.clock.now());
        if let Some(answered) = self.seen(&mut state, scan, key, now)? {
            return Ok(answered);
        }
        let found = state.tickets.find(scan.code_kind, scan.code);
        if found.is_none() && self.cold.maybe(scan.code_kind, scan.code) {
            return Err(EngineError::MaybeCold);
        }
        let decision = decide(&state.view(scan, found, judged_at(scan, now)), scan);
        self.record(&mut state, scan, key, now, decision)
    }

    /// Decides a scan whose ticket was looked for in the store. Such a ticket can only be refused: its event is
    /// not near.
    ///
    /// # Errors
    /// As `scan`.
    pub fn scan_cold(
        &self,
        scan: &Scan<'_>,
        found: Option<&(TicketId, Ticket)>,
    ) -> Result<Answered, EngineError> {
        let mut state = self.state.lock();
        let (key, now) = (key_of(&state, scan), self.clock.now());
        if let Some(answered) = self.seen(&mut state, scan, key, now)? {
            return Ok(answered);
        }
        let decision = decide_cold(&state, scan, now, found)?;
        self.record(&mut state, scan, key, now, decision)
    }

    /// The decision that would be made; nothing changes and nothing is counted.
    ///
    /// # Errors
    /// `Unavailable` when the journal failed, `MaybeCold`.
    pub fn check(&self, scan: &Scan<'_>) -> Result<Answered, EngineError> {
        let state = self.state.lock();
        if self.journal.poisoned() {
            return Err(EngineError::Unavailable(AppendError::Poisoned));
        }
        let found = state.tickets.find(scan.code_kind, scan.code);
        if found.is_none() && self.cold.maybe(scan.code_kind, scan.code) {
            return Err(EngineError::MaybeCold);
        }
        let decision = decide(&state.view(scan, found, judged_at(scan, self.clock.now())), scan);
        // What it says may rest on a scan that is not durable yet.
        Ok(Answered { answer: decision.answer, lsn: Lsn(0), wait: Lsn(state.lsn), seen: Seen::New })
    }

    /// As `check`, for a ticket that was looked for in the store.
    ///
    /// # Errors
    /// As `scan_cold`.
    pub fn check_cold(
        &self,
        scan: &Scan<'_>,
        found: Option<&(TicketId, Ticket)>,
    ) -> Result<Answered, EngineError> {
        let state = self.state.lock();
        if self.journal.poisoned() {
            return Err(EngineError::Unavailable(AppendError::Poisoned));
        }
        let decision = decide_cold(&state, scan, self.clock.now(), found)?;
        Ok(Answered { answer: decision.answer, lsn: Lsn(0), wait: Lsn(state.lsn), seen: Seen::New })
    }

    /// Rule 1: the same scan gets the same answer, whatever changed since.
    fn seen(
        &self,
        state: &mut State,
        scan: &Scan<'_>,
        key: ScanKey,
        now: Time,
    ) -> Result<Option<Answered>, EngineError> {
        if self.journal.poisoned() {
            return Err(EngineError::Unavailable(AppendError::Poisoned));
        }
        let Some(scan_id) = scan_id_of(scan) else { return self.repeated(state, scan, key, now) };
        let Some(kept) = find_by_id(state, scan.device, scan_id, key) else {
            let reserved = scan_id.starts_with(OWN_SCAN_ID_PREFIX);
            return if reserved { Err(EngineError::ScanIdReserved) } else { Ok(None) };
        };
        if kept.code_hash != state.code_hash(scan.code_kind, scan.code)
            || kept.answer.gate != scan.gate
            || !same_presentation(&kept.answer, scan)
        {
            return Err(EngineError::ScanIdConflict);
        }
        Ok(Some(Answered {
            answer: kept.answer.clone(),
            lsn: Lsn(kept.lsn),
            wait: Lsn(kept.lsn),
            seen: Seen::SameId,
        }))
    }

    fn repeated(
        &self,
        state: &mut State,
        scan: &Scan<'_>,
        key: ScanKey,
        now: Time,
    ) -> Result<Option<Answered>, EngineError> {
        let Some(kept) = state.scans.find(key) else { return Ok(None) };
        let window_ms =
            state.catalog.device(scan.device).map_or(0, |device| i64::from(device.repeat_window_ms));
        let age_ms = now.since_ms(kept.answer.at);
        let same = kept.answer.gate == scan.gate
            && kept.answer.kind == scan.kind
            && kept.outcome == PassageOutcome::Open;
        let same_way = scan.direction.is_none_or(|direction| direction == kept.answer.direction);
        if !same || !same_way || age_ms < 0 || age_ms >= window_ms || scan.overriding.is_some() {
            return Ok(None);
        }
        let (answer, of) = (kept.answer.clone(), kept.lsn);
        let wait = self.commit(state, &Record::Repeat { at: now, device: scan.device, of })?;
        Ok(Some(Answered { answer, lsn: Lsn(of), wait, seen: Seen::Repeat }))
    }

    fn record(
        &self,
        state: &mut State,
        scan: &Scan<'_>,
        key: ScanKey,
        now: Time,
        decision: Decision,
    ) -> Result<Answered, EngineError> {
        let record = Record::Scan(ScanRecord {
            device: scan.device,
            scan_id: scan_id_of(scan).unwrap_or(""),
            key,
            code_kind: scan.code_kind,
            code: scan.code,
            scanned_at: scan.scanned_at,
            answer: decision.answer,
            after: decision.after,
            overriding: scan.overriding,
            conflict: decision.conflict,
            recorded_at: now,
        });
        let lsn = self.commit(state, &record)?;
        let Record::Scan(ScanRecord { answer, .. }) = record else {
            unreachable!("it was made a scan above")
        };
        Ok(Answered { answer, lsn, wait: lsn, seen: Seen::New })
    }

    // --- passages ---

    /// The guest did not pass: the entry and the presence are given back; the scan stays in the history. Doing it
    /// twice changes nothing.
    ///
    /// # Errors
    /// No such scan by this device, a refusal, too old, confirmed already, `Unavailable`.
    pub fn annul(&self, device: DeviceId, scan_id: &str) -> Result<(Lsn, Answer), EngineError> {
        self.passage(device, scan_id, PassageOutcome::Annulled)
    }

    /// The guest passed. Doing it twice changes nothing.
    ///
    /// # Errors
    /// As `annul`.
    pub fn passed(&self, device: DeviceId, scan_id: &str) -> Result<(Lsn, Answer), EngineError> {
        self.passage(device, scan_id, PassageOutcome::Passed)
    }

    fn passage(
        &self,
        device: DeviceId,
        scan_id: &str,
        outcome: PassageOutcome,
    ) -> Result<(Lsn, Answer), EngineError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let key = state.key_of_id(device, scan_id);
        let kept = find_by_id(&state, device, scan_id, key).ok_or(EngineError::ScanNotFound)?;
        let answer = kept.answer.clone();
        match passage_of(&state, kept, outcome, now)? {
            Some(passage) => Ok((self.commit(&mut state, &Record::Passage(passage))?, answer)),
            None => Ok((Lsn(state.lsn), answer)),
        }
    }

    /// People passed a gate without a ticket: counted, negative for outwards.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn turns(&self, device: DeviceId, gate: GateId, people: i32) -> Result<Lsn, EngineError> {
        let record = Record::Turns { at: self.clock.now(), gate, device, people };
        Ok(self.commit(&mut self.state.lock(), &record)?)
    }

    // --- reading ---

    /// The catalog, without any lock.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The catalog for the length of one request, without any lock or shared counter.
    pub fn catalog_guard(&self) -> arc_swap::Guard<Arc<Catalog>> {
        self.catalog.load()
    }

    /// The present moment.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The ticket that has this code, and its number.
    pub fn ticket(&self, kind: CodeKind, code: &[u8]) -> Option<(TicketId, Ticket)> {
        self.state.lock().tickets.find(kind, code).map(|(id, ticket)| (id, ticket.clone()))
    }

    /// A copy of all counts.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts.clone()
    }

    /// Conflicts nobody has looked into.
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.state.lock().conflicts.iter().filter(|conflict| !conflict.resolved).cloned().collect()
    }

    /// Tickets in memory, scans kept, scans forgotten early.
    pub fn sizes(&self) -> (usize, usize, u64) {
        let state = self.state.lock();
        (state.tickets.len(), state.scans.len(), state.scans.forgotten_early)
    }

    /// The journal: positions, waiting, reading.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The state as bytes: equal states, equal bytes. Locks the state for as long as it takes: tests and audits.
    pub fn image(&self) -> Vec<u8> {
        checkpoint::image(&self.state.lock())
    }

    /// Reads the state under the lock: tests and audits, and small questions.
    pub fn with_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock())
    }

    // --- housekeeping ---

    /// The store holds everything up to here, and its readers see it. A power cut may take the newest of it back.
    pub fn set_projected(&self, lsn: Lsn) {
        self.projected.fetch_max(lsn.0, Ordering::SeqCst);
    }

    /// Up to where the store holds everything.
    pub fn projected(&self) -> Lsn {
        Lsn(self.projected.load(Ordering::SeqCst))
    }

    /// The store has synced everything up to here: the journal need not keep it for the store's sake.
    ///
    /// # Panics
    /// When the store does not hold that much: a store cannot have synced what it does not hold.
    pub fn set_settled(&self, lsn: Lsn) {
        assert!(lsn <= self.projected(), "what is settled is projected");
        self.settled.fetch_max(lsn.0, Ordering::SeqCst);
    }

    /// Up to where the store keeps everything through a power cut; 0 until it has synced for the first time.
    pub fn settled(&self) -> Lsn {
        Lsn(self.settled.load(Ordering::SeqCst))
    }

    /// LSN of the newest checkpoint.
    pub fn checkpointed(&self) -> Lsn {
        Lsn(self.checkpointed.load(Ordering::SeqCst))
    }

    /// Writes a checkpoint while gates go on, then deletes journal segments that nobody needs any more: those
    /// that every kept checkpoint is past and that the store has synced.
    ///
    /// # Errors
    /// A failing disk; the state and the gates are not touched by it.
    pub fn checkpoint(&self) -> Result<Lsn, CheckpointError> {
        let _one_at_a_time = self.checkpointing.lock();
        let head = checkpoint::begin(&mut self.state.lock());
        let lsn = head.lsn;
        let written = self.write_checkpoint(&head);
        checkpoint::end(&mut self.state.lock());
        written?;
        self.checkpointed.store(lsn, Ordering::SeqCst);
        self.delete_segments()?;
        Ok(Lsn(lsn))
    }

    fn write_checkpoint(&self, head: &crate::state::StateHead) -> Result<(), CheckpointError> {
        let mut writer = checkpoint::Writer::create(self.disk.as_ref(), head)?;
        loop {
            // The lock is given up between steps.
            let step = checkpoint::step(&mut self.state.lock());
            match step {
                Step::Tickets(tickets) => writer.tickets(&tickets)?,
                Step::Scans(scans) => writer.scans(&scans)?,
                Step::Registry(entries) => writer.registry(&entries)?,
                Step::Done => break,
            }
        }
        // A checkpoint must never be ahead of the journal: what it holds is synced first, also in mode `os`.
        let synced = self.journal.sync().map_err(|error| CheckpointError::Io {
            name: format!("checkpoint-{:020}", head.lsn),
            error: std::io::Error::other(error.to_string()),
        })?;
        assert!(synced.0 >= head.lsn);
        writer.finish()
    }

    fn delete_segments(&self) -> Result<(), CheckpointError> {
        let io_error = |error| CheckpointError::Io { name: "of the data directory".to_owned(), error };
        let oldest = checkpoint::tidy(self.disk.as_ref()).map_err(io_error)?.unwrap_or(0);
        let through = Lsn(oldest.min(self.settled().0));
        self.journal
            .delete_through(through)
            .map_err(|error| io_error(std::io::Error::other(error.to_string())))?;
        Ok(())
    }
}

/// Is there any segment of a journal?
fn journal_exists(disk: &dyn Disk) -> std::io::Result<bool> {
    Ok(disk.list()?.iter().any(|name| name.starts_with("journal-")))
}

/// The id the device gave; an empty one is none.
fn scan_id_of<'s>(scan: &Scan<'s>) -> Option<&'s str> {
    scan.scan_id.filter(|scan_id| !scan_id.is_empty())
}

/// Is the kept answer one to this scan? A device that lost the reply may upload the scan later as made offline,
/// or ask again what it had uploaded. Only a green light where we had said red is something else.
fn same_presentation(kept: &Answer, scan: &Scan<'_>) -> bool {
    match (kept.kind, scan.kind) {
        (ScanKind::Validate, ScanKind::Offline) => {
            kept.verdict.admits() || scan.shown != Some(Shown::Admitted)
        }
        (ScanKind::Offline, ScanKind::Validate) => true,
        (kept, asked) => kept == asked,
    }
}

/// Offline scans are history: they are judged at the time they were made.
fn judged_at(scan: &Scan<'_>, now: Time) -> Time {
    match (scan.shown, scan.scanned_at) {
        (Some(_), Some(at)) => at.min(now),
        _ => now,
    }
}

/// The decision about a scan whose ticket was looked for in the store.
fn decide_cold(
    state: &State,
    scan: &Scan<'_>,
    now: Time,
    found: Option<&(TicketId, Ticket)>,
) -> Result<Decision, EngineError> {
    let warm = state.tickets.find(scan.code_kind, scan.code);
    let ticket = warm.or(found.map(|(id, ticket)| (*id, ticket)));
    let decision = decide(&state.view(scan, ticket, judged_at(scan, now)), scan);
    if warm.is_none() && found.is_some() && decision.answer.verdict.admits() {
        return Err(EngineError::Warming);
    }
    Ok(decision)
}

/// What is to be recorded of an admission's outcome; `None`: it was recorded before.
fn passage_of(
    state: &State,
    kept: &KeptScan,
    outcome: PassageOutcome,
    at: Time,
) -> Result<Option<PassageRecord>, EngineError> {
    if !kept.answer.verdict.admits() {
        return Err(EngineError::NotAdmitted);
    }
    if kept.outcome == outcome {
        return Ok(None);
    }
    if kept.outcome != PassageOutcome::Open {
        return Err(EngineError::PassageDecided(kept.outcome));
    }
    if outcome == PassageOutcome::Annulled && at.since_ms(kept.answer.at) > ANNUL_WINDOW_MS {
        return Err(EngineError::TooLateToAnnul);
    }
    let after: Option<TicketUse> =
        if outcome == PassageOutcome::Annulled { state.annulled(kept) } else { None };
    Ok(Some(PassageRecord { at, device: kept.device, scan: kept.lsn, outcome, after }))
}

/// Under which a scan is kept and found again. Made once: it is a keyed hash.
fn key_of(state: &State, scan: &Scan<'_>) -> ScanKey {
    match scan_id_of(scan) {
        Some(scan_id) => state.key_of_id(scan.device, scan_id),
        None => state.key_of_code(scan.device, scan.code_kind, scan.code),
    }
}

/// A scan by the id the device gave, whose key this is, or by the id the engine gave.
fn find_by_id<'s>(state: &'s State, device: DeviceId, scan_id: &str, key: ScanKey) -> Option<&'s KeptScan> {
    let kept = match scan_id.strip_prefix(OWN_SCAN_ID_PREFIX) {
        Some(lsn) => state.scans.at_lsn(lsn.parse().ok()?).filter(|kept| !kept.named),
        None => state.scans.find(key).filter(|kept| kept.named),
    };
    kept.filter(|kept| kept.device == device)
}

const _: () = assert!(RECORD_BYTES_MAX >= 64 * 1024);
