//! The state of a node and the only function that changes it: `apply`. Live work and replay call the same one.
//! Knows no disk, no clock and no lock.

use crate::catalog::{Catalog, DeviceId, EventId, TypeId, ZoneId};
use crate::clock::Time;
use crate::counts::{Counts, Owner};
use crate::decide::View;
use crate::decision::{Answer, Reason, Scan};
use crate::inbox::InboxOutcome;
use crate::limits::{COMMANDS_PER_DEVICE_MAX, CONFLICTS_MAX};
use crate::record::{Command, PassageOutcome, PassageRecord, Record, ScanKey, ScanRecord};
use crate::registry::{Act, Registry};
use crate::scans::{KeptScan, ScanTable};
use crate::ticket::{CodeKind, Ticket, TicketId, TicketTable, TicketUse};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;

/// Everything a node knows at one LSN.
#[derive(Debug, Default)]
pub struct State {
    /// The last record that was applied.
    pub lsn: u64,
    /// Events, gates, types, devices.
    pub catalog: Arc<Catalog>,
    /// Tickets of hot events.
    pub tickets: TicketTable,
    /// Answers kept for retries.
    pub scans: ScanTable,
    /// Head counts and tallies.
    pub counts: Counts,
    /// Same ticket shown green where it would have been refused: for people to look at, oldest first.
    pub conflicts: VecDeque<Conflict>,
    /// What waits for each device and how it stands, by device number.
    pub devices: Vec<DeviceState>,
    /// The key scan ids are hashed with.
    pub salt: [u8; 16],
    /// What the administration keeps.
    pub registry: Registry,
}

/// A device's part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// How it stands.
    pub mode: DeviceMode,
    /// Commands not yet handed over, oldest first.
    pub commands: VecDeque<PendingCommand>,
}

impl DeviceState {
    /// What is to be handed over, oldest first: neither expired nor superseded. O(n²) for n commands, n is at most 32.
    ///
    /// A superseded command stays in `commands` until there is no room or the device asks, so that a journal that was
    /// written before commands superseded each other still gives the state it gave. The newer one must live as long as
    /// the older: every caller gives one life to each kind.
    pub fn waiting(&self, now: Time) -> impl Iterator<Item = &PendingCommand> {
        let fresh = move |(n, pending): &(usize, &PendingCommand)| {
            pending.expires_at >= now && !self.is_superseded(*n)
        };
        self.commands.iter().enumerate().filter(fresh).map(|(_, pending)| pending)
    }

    fn is_superseded(&self, n: usize) -> bool {
        let older = &self.commands[n].command;
        self.commands.iter().skip(n + 1).any(|newer| supersedes(&newer.command, older))
    }
}

/// Of the commands that say how a device stands only the last one matters, and settings are fetched once.
fn supersedes(newer: &Command, older: &Command) -> bool {
    let stands =
        |command: &Command| matches!(command, Command::Lock | Command::Release | Command::EmergencyOpen);
    stands(newer) && stands(older) || (newer, older) == (&Command::Reload, &Command::Reload)
}

/// How an operator set a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceMode {
    /// Scans decide.
    #[default]
    Normal,
    /// Stays shut.
    Locked,
    /// Turns free and counts.
    EmergencyOpen,
}

/// A command that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCommand {
    /// Its number: the LSN of its record.
    pub lsn: u64,
    /// What it says.
    pub command: Command,
    /// Not delivered after this.
    pub expires_at: Time,
}

/// A guest was shown green offline where the rules say red.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The scan, by its LSN.
    pub lsn: u64,
    /// What would have been refused.
    pub reason: Reason,
    /// The ticket, where the code is known.
    pub ticket: Option<TicketId>,
    /// Has somebody looked into it?
    pub resolved: bool,
}

/// The small part of the state, written first into a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StateHead {
    pub lsn: u64,
    pub catalog: Catalog,
    pub counts: Counts,
    pub conflicts: VecDeque<Conflict>,
    pub devices: Vec<DeviceState>,
    pub salt: [u8; 16],
    pub next_ticket: TicketId,
    pub forgotten_early: u64,
}

impl State {
    /// A node that knows nothing yet.
    pub fn new() -> State {
        State { catalog: Arc::new(Catalog::new()), ..State::default() }
    }

    /// The key under which a scan with an id is found.
    pub fn key_of_id(&self, device: DeviceId, scan_id: &str) -> ScanKey {
        self.hash128(b'i', device, scan_id.as_bytes())
    }

    /// The key under which a scan without an id is found.
    pub fn key_of_code(&self, device: DeviceId, kind: CodeKind, code: &[u8]) -> ScanKey {
        self.hash128(if kind == CodeKind::Card { b'c' } else { b'o' }, device, code)
    }

    fn hash128(&self, domain: u8, device: DeviceId, bytes: &[u8]) -> ScanKey {
        // Piece by piece: joining the pieces on the stack first took twice as long (its eight-byte loads wait for the
        // single stores to reach the cache).
        let mut hasher = SipHasher13::new_with_key(&self.salt);
        hasher.write(&[domain]);
        hasher.write(&device.0.to_le_bytes());
        hasher.write(bytes);
        ScanKey(hasher.finish128().as_u128())
    }

    /// Tells two scans under one key apart.
    pub fn code_hash(&self, kind: CodeKind, code: &[u8]) -> u64 {
        let mut hasher = siphasher::sip::SipHasher13::new_with_key(&self.salt);
        hasher.write_u8(if kind == CodeKind::Card { b'c' } else { b'o' });
        hasher.write(code);
        hasher.finish()
    }

    /// What a decision about this scan sees.
    pub fn view<'a>(
        &'a self,
        scan: &Scan<'_>,
        ticket: Option<(TicketId, &'a Ticket)>,
        now: Time,
    ) -> View<'a> {
        View {
            catalog: &self.catalog,
            ticket,
            zone_inside: &self.counts.zones,
            locked: self
                .devices
                .get(scan.device.index())
                .is_some_and(|device| device.mode == DeviceMode::Locked),
            now,
        }
    }

    /// Applies one record. The only mutation; O(1) for scans, O(n) for n tickets.
    ///
    /// # Panics
    /// When the LSN does not follow the last one: the journal and the state do not belong together.
    pub fn apply(&mut self, lsn: u64, record: &Record<'_>) {
        assert_eq!(lsn, self.lsn + 1, "records are applied one after the other");
        match record {
            Record::Scan(scan) => self.apply_scan(lsn, scan),
            Record::Repeat { .. } => self.counts.repeats += 1,
            Record::Passage(passage) => self.apply_passage(passage),
            Record::Turns { gate, people, .. } => {
                let event = self.catalog.gate(*gate).and_then(|gate| gate.event);
                self.counts.turns(*gate, event, i64::from(*people));
            }
            Record::Put { entity, .. } => Arc::make_mut(&mut self.catalog).put(entity),
            Record::Tickets { first, tickets, .. } => self.apply_tickets(*first, tickets),
            Record::Status { at, ticket, status, .. } => self.tickets.set_status(*ticket, *status, *at),
            Record::Command { device, command, expires_at, at, .. } => {
                self.apply_command(lsn, *at, *device, command, *expires_at);
            }
            Record::Delivered { device, through, .. } => {
                self.device_mut(*device).commands.retain(|pending| pending.lsn > *through);
            }
            Record::Cooled { event, first, count, .. } => self.apply_cooled(*event, *first, *count),
            Record::Warmed { tickets, .. } => self.apply_warmed(tickets),
            Record::ConflictResolved { conflict, .. } => {
                self.conflicts
                    .iter_mut()
                    .filter(|own| own.lsn == *conflict)
                    .for_each(|own| own.resolved = true);
            }
            Record::Shredded { event, first, count, answers_from, answers_until, .. } => {
                self.apply_shredded(*event, *first, *count, (*answers_from, *answers_until));
            }
            Record::Born { salt, .. } => self.salt = *salt,
            Record::Inbox { outcome, .. } => self.apply_inbox(outcome),
            Record::Act { act, .. } => self.apply_act(act),
            Record::Amended { tickets, .. } => self.apply_amended(tickets),
        }
        self.lsn = lsn;
    }

    fn apply_scan(&mut self, lsn: u64, scan: &ScanRecord<'_>) {
        let ticket = scan.answer.ticket.as_ref().map(|facts| facts.ticket);
        let moved = ticket.zip(scan.after).and_then(|(id, after)| {
            let before = self.tickets.get(id)?.usage;
            self.tickets.set_usage(id, after);
            Some((before, after))
        });
        let kept = self.scanned(lsn, scan, moved);
        self.scans.push(kept);
    }

    /// The part of a scan that needs neither table: counts it, lists its conflict, and gives what is kept of it.
    /// `apply` calls it, and so does a projection, whose tickets and kept scans are rows.
    pub fn scanned(
        &mut self,
        lsn: u64,
        scan: &ScanRecord<'_>,
        moved: Option<(TicketUse, TicketUse)>,
    ) -> KeptScan {
        self.counts.scan(&scan.answer, self.owner(&scan.answer), moved);
        if let Some(reason) = scan.conflict {
            if self.conflicts.len() == CONFLICTS_MAX {
                self.conflicts.pop_front();
            }
            let ticket = scan.answer.ticket.as_ref().map(|facts| facts.ticket);
            self.conflicts.push_back(Conflict { lsn, reason, ticket, resolved: false });
        }
        KeptScan {
            lsn,
            key: scan.key,
            code_hash: self.code_hash(scan.code_kind, scan.code),
            device: scan.device,
            named: !scan.scan_id.is_empty(),
            outcome: PassageOutcome::Open,
            moved,
            answer: scan.answer.clone(),
            recorded_at: scan.recorded_at,
        }
    }

    fn apply_passage(&mut self, passage: &PassageRecord) {
        self.scans.set_outcome(passage.scan, passage.outcome);
        let Some(kept) = self.scans.at_lsn(passage.scan) else { return };
        let answer = kept.answer.clone();
        let given_back = answer.ticket.as_ref().zip(passage.after).and_then(|(facts, after)| {
            let before = self.tickets.get(facts.ticket)?.usage;
            self.tickets.set_usage(facts.ticket, after);
            Some((before, after))
        });
        self.passage_reported(&answer, passage.outcome, given_back);
    }

    /// The part of a passage that needs neither table: counts it. `given_back` is what the ticket had done before and
    /// has done after. `apply` calls it, and so does a projection, whose tickets and kept scans are rows.
    pub fn passage_reported(
        &mut self,
        answer: &Answer,
        outcome: PassageOutcome,
        given_back: Option<(TicketUse, TicketUse)>,
    ) {
        let owner = self.owner(answer);
        if outcome == PassageOutcome::Annulled && answer.ticket.is_none() {
            self.counts.annul_stranger(answer, owner);
        }
        if let Some((before, after)) = given_back {
            self.counts.annul(answer, owner, before, after);
        }
    }

    fn apply_tickets(&mut self, first: TicketId, tickets: &[Ticket]) {
        assert_eq!(first, self.tickets.next_id(), "ticket numbers follow each other");
        for (n, ticket) in tickets.iter().enumerate() {
            let id = TicketId(first.0 + n as u32);
            if self.is_cold(ticket.type_id) {
                self.tickets.reserve_ids(TicketId(id.0 + 1));
            } else {
                self.tickets.put(id, ticket.clone());
            }
        }
    }

    fn apply_inbox(&mut self, outcome: &InboxOutcome) {
        match outcome {
            InboxOutcome::Added { id, ticket } => self.apply_tickets(*id, std::slice::from_ref(ticket)),
            // Where the ticket is not in memory, the store alone changes.
            InboxOutcome::Changed { id, ticket } => self.tickets.change(*id, ticket),
            InboxOutcome::Unchanged
            | InboxOutcome::Early
            | InboxOutcome::Outdated
            | InboxOutcome::Refused(_) => {}
        }
    }

    fn apply_act(&mut self, act: &Act) {
        for entry in &act.entries {
            self.registry.set(&entry.kind, &entry.name, entry.value.as_deref());
        }
    }

    /// People inside follow the tickets; what was tallied stays: it happened.
    fn apply_amended(&mut self, tickets: &[(TicketId, Ticket)]) {
        for (id, ticket) in tickets {
            if *id >= self.tickets.next_id() {
                self.apply_tickets(*id, std::slice::from_ref(ticket));
            } else if let Some(before) = self.tickets.get(*id).map(|own| own.usage) {
                self.counts.presence(before, -1);
                self.tickets.put(*id, ticket.clone());
            }
            // Where the ticket is not in memory, the store alone changes.
            if self.tickets.get(*id).is_some() {
                self.counts.presence(ticket.usage, 1);
            }
        }
    }

    /// Do tickets of this type live in the store only?
    pub fn is_cold(&self, kind: TypeId) -> bool {
        let event = self.catalog.ticket_type(kind).and_then(|kind| self.catalog.event(kind.event));
        event.is_some_and(|event| event.cold)
    }

    fn apply_command(&mut self, lsn: u64, at: Time, device: DeviceId, command: &Command, expires_at: Time) {
        let state = self.device_mut(device);
        match command {
            Command::Lock => state.mode = DeviceMode::Locked,
            Command::EmergencyOpen => state.mode = DeviceMode::EmergencyOpen,
            Command::Release => state.mode = DeviceMode::Normal,
            // "Open once" ends a lock, and never an emergency.
            Command::Unlock if state.mode == DeviceMode::Locked => state.mode = DeviceMode::Normal,
            Command::Unlock => {}
            Command::Reload | Command::Message(_) => {}
        }
        state.commands.retain(|pending| pending.expires_at >= at);
        state.commands.push_back(PendingCommand { lsn, command: command.clone(), expires_at });
        if state.commands.len() > COMMANDS_PER_DEVICE_MAX {
            // The oldest goes only where an older program let more messages wait than `Engine::command` does.
            let dropped = (0..state.commands.len()).find(|n| state.is_superseded(*n)).unwrap_or(0);
            state.commands.remove(dropped);
        }
    }

    fn device_mut(&mut self, device: DeviceId) -> &mut DeviceState {
        if self.devices.len() <= device.index() {
            self.devices.resize_with(device.index() + 1, DeviceState::default);
        }
        &mut self.devices[device.index()]
    }

    fn apply_cooled(&mut self, event: EventId, first: TicketId, count: u32) {
        for id in (first.0..first.0.saturating_add(count)).map(TicketId) {
            let of_event = self.tickets.get(id).is_some_and(|ticket| {
                self.catalog.ticket_type(ticket.type_id).is_some_and(|kind| kind.event == event)
            });
            if of_event && let Some(ticket) = self.tickets.remove(id) {
                self.counts.presence(ticket.usage, -1);
            }
        }
        self.tickets.free_chunk(first);
        self.set_cold(event, true);
    }

    fn apply_warmed(&mut self, tickets: &[(TicketId, Ticket)]) {
        for (id, ticket) in tickets {
            if let Some(kind) = self.catalog.ticket_type(ticket.type_id) {
                self.set_cold(kind.event, false);
            }
            // What is in memory already is newer than what the store gave: the same batch may come twice.
            if self.tickets.get(*id).is_none() {
                self.counts.presence(ticket.usage, 1);
                self.tickets.put(*id, ticket.clone());
            }
        }
    }

    fn apply_shredded(&mut self, event: EventId, first: TicketId, count: u32, answers: (u64, u64)) {
        let catalog = Arc::clone(&self.catalog);
        let of_event = |kind: TypeId| catalog.ticket_type(kind).is_some_and(|kind| kind.event == event);
        let end = first.0.saturating_add(count).min(self.tickets.next_id().0);
        for id in (first.0..end).map(TicketId) {
            let names = |ticket: &Ticket| of_event(ticket.type_id) && ticket.details.has_person();
            if self.tickets.get(id).is_some_and(names) {
                self.tickets.shred(id);
            }
        }
        self.scans.shred(answers.0, answers.1, of_event);
    }

    /// Notes whether an event's tickets live in the store only.
    pub fn set_cold(&mut self, event: EventId, cold: bool) {
        let changed = self.catalog.event(event).filter(|event| event.cold != cold).cloned();
        if let Some(mut event) = changed {
            event.cold = cold;
            Arc::make_mut(&mut self.catalog).put(&crate::catalog::Entity::Event(event));
        }
    }

    /// Whom a scan is counted for: the ticket's type and event, or the gate's event where the code is unknown.
    pub fn owner(&self, answer: &Answer) -> Owner {
        let type_id = answer.ticket.as_ref().map(|facts| facts.type_id);
        let kind = type_id.and_then(|id| self.catalog.ticket_type(id));
        let event = kind.map(|kind| kind.event).or_else(|| self.catalog.gate(answer.gate)?.event);
        Owner { event, type_id, people: kind.map_or(1, |kind| kind.people) }
    }

    /// What a ticket has done once this scan is annulled; `None` when the scan changed nothing.
    pub fn annulled(&self, kept: &KeptScan) -> Option<TicketUse> {
        let (before, after) = kept.moved?;
        let usage = self.tickets.get(kept.answer.ticket.as_ref()?.ticket)?.usage;
        if usage == after {
            return Some(before);
        }
        // Something newer happened to the ticket: give back what this scan took, leave the rest.
        let mut given_back = usage;
        given_back.used = usage.used.saturating_sub(after.used.saturating_sub(before.used));
        given_back.inside = self.inside_without(kept, usage.inside, before.inside, after.inside);
        if usage.day == after.day {
            let before_used = if before.day == after.day { before.day_used } else { 0 };
            given_back.day_used = usage.day_used.saturating_sub(after.day_used.saturating_sub(before_used));
        }
        if given_back.inside == 0 {
            given_back.presence = ZoneId::OUTSIDE;
        } else if given_back.presence == ZoneId::OUTSIDE {
            given_back.presence = before.presence;
        }
        Some(given_back)
    }

    /// People inside without this scan: those it let in go, those it let out are back.
    fn inside_without(&self, kept: &KeptScan, now: u16, before: u16, after: u16) -> u16 {
        let type_id = kept.answer.ticket.as_ref().map(|facts| facts.type_id);
        let kind = type_id.and_then(|id| self.catalog.ticket_type(id));
        let most = kind.map_or(now, |kind| kind.people.max(now));
        (now + before).saturating_sub(after).min(most)
    }

    /// The small part of the state, copied.
    pub(crate) fn head(&self) -> StateHead {
        StateHead {
            lsn: self.lsn,
            catalog: Catalog::clone(&self.catalog),
            counts: self.counts.clone(),
            conflicts: self.conflicts.clone(),
            devices: self.devices.clone(),
            salt: self.salt,
            next_ticket: self.tickets.next_id(),
            forgotten_early: self.scans.forgotten_early,
        }
    }

    /// A state with this small part, ready to take tickets and scans.
    pub(crate) fn from_head(mut head: StateHead) -> State {
        head.catalog.rebuild_index();
        let mut state = State {
            lsn: head.lsn,
            catalog: Arc::new(head.catalog),
            counts: head.counts,
            conflicts: head.conflicts,
            devices: head.devices,
            salt: head.salt,
            ..State::default()
        };
        state.tickets.reserve_ids(head.next_ticket);
        state.scans.forgotten_early = head.forgotten_early;
        state
    }
}
