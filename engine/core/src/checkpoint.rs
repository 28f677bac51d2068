//! Checkpoints: the whole state at one LSN in one file, written chunk by chunk while gates go on, and read at
//! start. Knows the disk only through `Disk`; knows no journal.
//!
//! ```text
//! file      "GHCP" version:u32  section*  end
//! section   kind:u8 count:u32 len:u32 crc32(kind..len, body):u32 body[len]     little-endian, postcard bodies
//! kinds     1 head   2 tickets (id, ticket)*   3 scans   4 registry (kind, name, value)*
//!           255 end: tickets:u64 scans:u64 registry:u64
//! registry  both are left out where there is none, as in files of programs that knew none
//! name      checkpoint-{lsn:020}.img, written as *.tmp, synced, renamed, directory synced
//! ```

use crate::capture::Capture;
use crate::disk::{Disk, DiskFile};
use crate::registry::Entry;
use crate::scans::KeptScan;
use crate::state::{State, StateHead};
use crate::ticket::{Ticket, TicketId};
use std::io;

const MAGIC: &[u8; 4] = b"GHCP";
const VERSION: u32 = 1;
const FILE_HEAD_BYTES: usize = 8;
const SECTION_HEAD_BYTES: usize = 13;
/// Largest section that is believed, in bytes.
const SECTION_BYTES_MAX: usize = 256 << 20;
/// Items captured under one lock: some 50 µs.
const ITEMS_PER_STEP: usize = 512;
/// Bytes written and synced at once: a sync of a whole image holds the gates' syncs for as long as the disk needs
/// for all of it (64 MB took some 30 ms). While portions of 1 MiB were written without a pause, nine of ten of the
/// gates' commits took less than 0.65 ms; with 256 KiB less than 0.5 ms, and each alone takes 0.2 ms.
pub const WRITE_BYTES: usize = 256 << 10;
/// Checkpoints kept: the newest, and the one before in case a disk ate the newest.
pub const CHECKPOINTS_KEPT: usize = 2;

const HEAD: u8 = 1;
const TICKETS: u8 = 2;
const SCANS: u8 = 3;
const REGISTRY: u8 = 4;
const END: u8 = 255;

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The disk failed.
    #[error("checkpoint {name}: {error}")]
    Io {
        /// Which file.
        name: String,
        /// What the disk said.
        error: io::Error,
    },
    /// The bytes are not a checkpoint, or not whole.
    #[error("checkpoint {name} is damaged at byte {byte}: {problem}")]
    Damaged {
        /// Which file.
        name: String,
        /// Where.
        byte: u64,
        /// What is wrong.
        problem: String,
    },
}

/// Names and LSNs of the checkpoints on a disk, newest first.
///
/// # Errors
/// When the directory cannot be listed.
pub fn list(disk: &dyn Disk) -> io::Result<Vec<(u64, String)>> {
    let mut found: Vec<(u64, String)> = disk
        .list()?
        .into_iter()
        .filter_map(|name| {
            let lsn = name.strip_prefix("checkpoint-")?.strip_suffix(".img")?.parse().ok()?;
            Some((lsn, name))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Removes half-written files and all but the newest checkpoints; gives the LSN of the oldest that is kept.
/// `None` while there are fewer than shall be kept: then the journal from the beginning stands in for the others.
///
/// # Errors
/// When the disk fails.
pub fn tidy(disk: &dyn Disk) -> io::Result<Option<u64>> {
    for name in
        disk.list()?.into_iter().filter(|name| name.starts_with("checkpoint-") && name.ends_with(".tmp"))
    {
        disk.remove(&name)?;
    }
    let found = list(disk)?;
    for (_, name) in found.iter().skip(CHECKPOINTS_KEPT) {
        disk.remove(name)?;
    }
    Ok(found.get(CHECKPOINTS_KEPT - 1).map(|(lsn, _)| *lsn))
}

// === writing ===

/// A checkpoint being written. `begin` and `step` want the state locked, the rest does not. Dropped before it is
/// finished, it removes what it wrote: on a full disk the journal needs those bytes.
pub struct Writer<'d> {
    disk: &'d dyn Disk,
    file: Box<dyn DiskFile>,
    /// The file has its temporary name, without which it is no checkpoint.
    temporary: bool,
    name: String,
    offset: u64,
    buffer: Vec<u8>,
    tickets: u64,
    scans: u64,
    entries: u64,
}

/// Starts a capture of the state as it is now; the state goes on changing.
pub(crate) fn begin(state: &mut State) -> StateHead {
    assert!(state.tickets.capture.is_none(), "one checkpoint at a time");
    state.tickets.capture = Some(Capture::new(0, u64::from(state.tickets.next_id().0)));
    let (first, next) = state.scans.range();
    state.scans.capture = Some(Capture::new(first, next));
    state.registry.begin_capture();
    state.head()
}

/// Ends a capture, finished or not.
pub(crate) fn end(state: &mut State) {
    state.tickets.capture = None;
    state.scans.capture = None;
    state.registry.end_capture();
}

/// Items taken out of a state under one lock.
pub(crate) enum Step {
    Tickets(Vec<(TicketId, Ticket)>),
    Scans(Vec<KeptScan>),
    Registry(Vec<Entry>),
    Done,
}

/// Takes the next items as they were at the capture's LSN. Some 50 µs.
pub(crate) fn step(state: &mut State) -> Step {
    if let Some(tickets) = step_tickets(state) {
        return Step::Tickets(tickets);
    }
    if let Some(scans) = step_scans(state) {
        return Step::Scans(scans);
    }
    state.registry.captured(ITEMS_PER_STEP).map_or(Step::Done, Step::Registry)
}

fn step_scans(state: &mut State) -> Option<Vec<KeptScan>> {
    let mut capture = state.scans.capture.take()?;
    let mut scans = Vec::new();
    let mut at_end = true;
    for _ in 0..ITEMS_PER_STEP {
        let Some((seq, saved)) = capture.step() else { break };
        at_end = false;
        scans.extend(saved.unwrap_or_else(|| state.scans.get(seq).cloned()));
    }
    state.scans.capture = Some(capture);
    (!at_end).then_some(scans)
}

fn step_tickets(state: &mut State) -> Option<Vec<(TicketId, Ticket)>> {
    let mut capture = state.tickets.capture.take()?;
    let mut tickets = Vec::with_capacity(ITEMS_PER_STEP);
    let mut at_end = true;
    for _ in 0..ITEMS_PER_STEP {
        let Some((id, saved)) = capture.step() else { break };
        at_end = false;
        let id = TicketId(id as u32);
        let ticket = saved.unwrap_or_else(|| state.tickets.get(id).cloned());
        tickets.extend(ticket.map(|ticket| (id, ticket)));
    }
    state.tickets.capture = Some(capture);
    (!at_end).then_some(tickets)
}

impl<'d> Writer<'d> {
    /// Creates the file and writes the head.
    pub(crate) fn create(disk: &'d dyn Disk, head: &StateHead) -> Result<Writer<'d>, CheckpointError> {
        let name = format!("checkpoint-{:020}", head.lsn);
        let io_error = |error| CheckpointError::Io { name: name.clone(), error };
        let tmp = format!("{name}.tmp");
        if disk.list().map_err(io_error)?.contains(&tmp) {
            disk.remove(&tmp).map_err(io_error)?;
        }
        let file = disk.create(&tmp, 0).map_err(io_error)?;
        let buffer = Vec::new();
        let (tickets, scans, entries) = (0, 0, 0);
        let mut writer =
            Writer { disk, file, temporary: true, name, offset: 0, buffer, tickets, scans, entries };
        writer.buffer.extend_from_slice(MAGIC);
        writer.buffer.extend_from_slice(&VERSION.to_le_bytes());
        writer.section(HEAD, 1, &encode(head))?;
        Ok(writer)
    }

    pub(crate) fn tickets(&mut self, tickets: &[(TicketId, Ticket)]) -> Result<(), CheckpointError> {
        self.tickets += tickets.len() as u64;
        self.items(TICKETS, tickets)
    }

    pub(crate) fn scans(&mut self, scans: &[KeptScan]) -> Result<(), CheckpointError> {
        self.scans += scans.len() as u64;
        self.items(SCANS, scans)
    }

    pub(crate) fn registry(&mut self, entries: &[Entry]) -> Result<(), CheckpointError> {
        self.entries += entries.len() as u64;
        let texts: Vec<(&str, &str, &str)> =
            entries.iter().map(|((kind, name), value)| (&**kind, &**name, &**value)).collect();
        self.items(REGISTRY, &texts)
    }

    fn items<T: serde::Serialize>(&mut self, kind: u8, items: &[T]) -> Result<(), CheckpointError> {
        if items.is_empty() {
            return Ok(());
        }
        self.section(kind, items.len() as u32, &encode(items))
    }

    fn section(&mut self, kind: u8, count: u32, body: &[u8]) -> Result<(), CheckpointError> {
        assert!(body.len() <= SECTION_BYTES_MAX);
        self.buffer.extend_from_slice(&section_head(kind, count, body));
        self.buffer.extend_from_slice(body);
        while self.buffer.len() >= WRITE_BYTES {
            self.write_portion(WRITE_BYTES)?;
        }
        Ok(())
    }

    /// Writes the first bytes of the buffer and makes them durable.
    fn write_portion(&mut self, bytes: usize) -> Result<(), CheckpointError> {
        assert!(bytes <= WRITE_BYTES);
        let portion = &self.buffer[..bytes];
        let written = self.file.write_at(portion, self.offset).and_then(|()| self.file.sync());
        written.map_err(|error| CheckpointError::Io { name: self.name.clone(), error })?;
        self.offset += bytes as u64;
        self.buffer.drain(..bytes);
        Ok(())
    }

    /// Ends the file and makes it the newest checkpoint. To be called once its LSN is durable in the journal.
    pub(crate) fn finish(mut self) -> Result<(), CheckpointError> {
        let mut counts = encode(&(self.tickets, self.scans));
        if self.entries > 0 {
            counts.extend_from_slice(&encode(&self.entries));
        }
        self.section(END, 0, &counts)?;
        // Every portion before was synced, so this makes the whole image durable.
        self.write_portion(self.buffer.len())?;
        let name = self.name.clone();
        let io_error = |error| CheckpointError::Io { name: name.clone(), error };
        self.disk.rename(&format!("{name}.tmp"), &format!("{name}.img")).map_err(io_error)?;
        self.temporary = false;
        self.disk.sync_dir().map_err(io_error)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.temporary {
            // Best effort: the next checkpoint that succeeds removes what stays.
            let _ = self.disk.remove(&format!("{}.tmp", self.name));
        }
    }
}

fn section_head(kind: u8, count: u32, body: &[u8]) -> [u8; SECTION_HEAD_BYTES] {
    let mut head = [0; SECTION_HEAD_BYTES];
    head[0] = kind;
    head[1..5].copy_from_slice(&count.to_le_bytes());
    head[5..9].copy_from_slice(&(body.len() as u32).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..9]);
    crc.update(body);
    head[9..].copy_from_slice(&crc.finalize().to_le_bytes());
    head
}

fn encode<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("the state has no type that cannot be written")
}

/// The state as one run of bytes: equal states give equal bytes. For tests and audits; costs the whole state.
pub fn image(state: &State) -> Vec<u8> {
    let mut bytes = encode(&state.head());
    state.tickets.iter().for_each(|item| bytes.extend_from_slice(&encode(&item)));
    let (first, next) = state.scans.range();
    (first..next)
        .filter_map(|seq| state.scans.get(seq))
        .for_each(|scan| bytes.extend_from_slice(&encode(scan)));
    state
        .registry
        .iter()
        .for_each(|(kind, name, value)| bytes.extend_from_slice(&encode(&(kind, name, &**value))));
    bytes
}

// === reading ===

/// Loads a checkpoint.
///
/// # Errors
/// When the disk fails or any byte is not as it was written.
pub fn load(disk: &dyn Disk, name: &str) -> Result<State, CheckpointError> {
    let file = disk.open(name).map_err(|error| CheckpointError::Io { name: name.to_owned(), error })?;
    let mut reader = SectionReader { file: file.as_ref(), name, offset: 0 };
    let mut magic = [0; FILE_HEAD_BYTES];
    reader.exact(&mut magic)?;
    if &magic[..4] != MAGIC || magic[4..] != VERSION.to_le_bytes() {
        return Err(reader.damaged("not a checkpoint of a version this program knows".to_owned()));
    }
    let (kind, _, body) = reader.section()?;
    if kind != HEAD {
        return Err(reader.damaged("the head is missing".to_owned()));
    }
    let head: StateHead = reader.decode(&body)?;
    let mut state = State::from_head(head);
    loop {
        let (kind, _, body) = reader.section()?;
        match kind {
            TICKETS => {
                for (id, ticket) in reader.decode::<Vec<(TicketId, Ticket)>>(&body)? {
                    state.tickets.put(id, ticket);
                }
            }
            SCANS => {
                reader.decode::<Vec<KeptScan>>(&body)?.into_iter().for_each(|scan| state.scans.append(scan))
            }
            REGISTRY => {
                for (kind, name, value) in reader.decode::<Vec<(&str, &str, &str)>>(&body)? {
                    state.registry.set(kind, name, Some(value));
                }
            }
            END => {
                reader.ends(&body, &state)?;
                return Ok(state);
            }
            other => return Err(reader.damaged(format!("unknown section {other}"))),
        }
    }
}

struct SectionReader<'a> {
    file: &'a dyn DiskFile,
    name: &'a str,
    offset: u64,
}

impl SectionReader<'_> {
    fn damaged(&self, problem: String) -> CheckpointError {
        CheckpointError::Damaged { name: self.name.to_owned(), byte: self.offset, problem }
    }

    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), CheckpointError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self
                .file
                .read_at(&mut buffer[filled..], self.offset + filled as u64)
                .map_err(|error| CheckpointError::Io { name: self.name.to_owned(), error })?;
            if read == 0 {
                return Err(self.damaged("the file ends too early".to_owned()));
            }
            filled += read;
        }
        self.offset += filled as u64;
        Ok(())
    }

    fn section(&mut self) -> Result<(u8, u32, Vec<u8>), CheckpointError> {
        let mut head = [0; SECTION_HEAD_BYTES];
        self.exact(&mut head)?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (kind, count, len) = (head[0], word(1), word(5) as usize);
        if len > SECTION_BYTES_MAX {
            return Err(self.damaged(format!("a section of {len} bytes")));
        }
        let mut body = vec![0; len];
        self.exact(&mut body)?;
        if section_head(kind, count, &body) != head {
            return Err(self.damaged("a section's checksum does not match".to_owned()));
        }
        Ok((kind, count, body))
    }

    /// Is what was read what was written?
    fn ends(&self, body: &[u8], state: &State) -> Result<(), CheckpointError> {
        let written: (u64, u64) = self.decode(body)?;
        let both = encode(&written).len();
        let entries = if body.len() > both { self.decode(&body[both..])? } else { 0_u64 };
        let (tickets, scans) = (state.tickets.len() as u64, state.scans.len() as u64);
        if (written, entries) == ((tickets, scans), state.registry.len() as u64) {
            return Ok(());
        }
        let (tickets, scans) = written;
        Err(self.damaged(format!(
            "{tickets} tickets, {scans} scans and {entries} registry entries were written, others were read"
        )))
    }

    fn decode<'b, T: serde::Deserialize<'b>>(&self, body: &'b [u8]) -> Result<T, CheckpointError> {
        postcard::from_bytes(body).map_err(|error| self.damaged(format!("a section cannot be read: {error}")))
    }
}
