//! SimDisk: test support, a disk in memory that can lose power, fail a write or fail a sync, on demand and
//! from a seed. Knows what a real disk may forget; refuses to know the journal, the clock and any source of
//! chance but its seed.
//!
//! What a power cut may do here, and nothing more:
//! - bytes written and not synced: each 512-byte sector is kept or lost, in any order;
//! - names created, renamed or removed and not synced: a prefix of these operations is kept;
//! - a length set and not synced: kept or lost;
//! - writes whose sync failed: every sector kept or lost, and a later sync does *not* bring them back, unless
//!   they are written again (this is what Linux does: a failed fsync leaves its pages marked clean);
//! - durable bytes and names never change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};

/// The unit a disk writes whole, in bytes.
const SECTOR_BYTES: usize = 512;

/// What [`SimDisk::fail_at`] makes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailKind {
    /// A write (or a change of length); part of it may have been applied.
    Write,
    /// A sync of a file or of the directory.
    Sync,
    /// A creation, renaming or removal; nothing of it takes effect.
    Name,
}

/// A handle to one simulated disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// `splitmix64`: small, seeded, the same on every machine. For tests and simulations only.
#[derive(Clone, Debug)]
pub struct SplitMix64(
    /// The state; any number is a good seed.
    pub u64,
);

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    names_durable: BTreeMap<String, u64>,
    name_ops: Vec<NameOp>,
    next_id: u64,
    writes: u64,
    syncs: u64,
    name_changes: u64,
    creations: u64,
    synced_at_once_max: usize,
    fail: Option<(u64, FailKind)>,
    crash_before_sync: Option<u64>,
    power_off: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// What survives any power cut.
    durable: Vec<u8>,
    /// What a reader sees now.
    current: Vec<u8>,
    /// What a sync would make durable, oldest first.
    unsynced: Vec<Change>,
    /// Sectors whose sync failed: in `current`, maybe on the disk, and no later sync speaks for them.
    undefined: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    /// Whole sectors, as they were after the write (a page cache writes pages, not calls).
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen(usize),
}

#[derive(Clone, Debug)]
enum NameOp {
    Create { name: String, id: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
}

// === impl SimDisk ===

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// The disk after a power cut: one of the images that may be left, chosen by `seed`. This disk stays as
    /// it is.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let state = self.state.lock();
        let mut random = SplitMix64(seed);
        // Pure cases are likely mistakes, so they come often: all lost, all kept, anything in between.
        let luck = match random.below(4) {
            0 => Luck::Lose,
            1 => Luck::Keep,
            _ => Luck::Mixed,
        };
        let mut names = state.names_durable.clone();
        let kept = luck.prefix(state.name_ops.len(), &mut random);
        for op in &state.name_ops[..kept] {
            op.apply(&mut names);
        }
        let image = SimDisk::new();
        for (name, id) in names {
            image.put(&name, &state.files[&id].after_power_cut(luck, &mut random));
        }
        image
    }

    /// The disk after the process was killed: everything written is there, and is as unsynced as before.
    /// Failures asked for earlier are forgotten.
    pub fn process_crash(&self) -> SimDisk {
        let mut state = self.state.lock().clone();
        (state.writes, state.syncs, state.name_changes, state.creations) = (0, 0, 0, 0);
        state.synced_at_once_max = 0;
        (state.fail, state.crash_before_sync, state.power_off) = (None, None, false);
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Makes the `countdown`-th operation of `kind` from now fail, once; 1 is the next.
    pub fn fail_at(&self, countdown: u64, kind: FailKind) {
        assert!(countdown > 0);
        self.state.lock().fail = Some((countdown, kind));
    }

    /// Takes the power away when sync number `n` (counted from this disk's creation, 1 is the first) is
    /// requested: it and every later operation fails, and nothing of it takes effect. Go on with
    /// [`SimDisk::crash`].
    pub fn crash_before_sync(&self, n: u64) {
        assert!(n > 0);
        self.state.lock().crash_before_sync = Some(n);
    }

    /// Whether the power is gone.
    pub fn power_is_off(&self) -> bool {
        self.state.lock().power_off
    }

    /// Writes (and changes of length) requested so far.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// Syncs requested so far, of files and of the directory.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Creations, renamings and removals requested so far.
    pub fn name_changes(&self) -> u64 {
        self.state.lock().name_changes
    }

    /// Files created so far.
    pub fn creations(&self) -> u64 {
        self.state.lock().creations
    }

    /// The most bytes that one sync of a file had to write so far: how long it would hold a real disk.
    pub fn synced_at_once_max(&self) -> usize {
        self.state.lock().synced_at_once_max
    }

    /// Places a durable file with these contents, replacing one of that name.
    pub fn put(&self, name: &str, contents: &[u8]) {
        let mut state = self.state.lock();
        let id = state.new_file(Inode {
            durable: contents.to_vec(),
            current: contents.to_vec(),
            unsynced: Vec::new(),
            undefined: BTreeSet::new(),
        });
        state.names.insert(name.to_owned(), id);
        state.names_durable.insert(name.to_owned(), id);
    }

    /// What a reader sees in the file now; `None` if there is no such name.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.names.get(name).map(|id| state.files[id].current.clone())
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.powered()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut inode = Inode::default();
        inode.set_len(to_index(len));
        let id = state.new_file(inode);
        state.change_names(NameOp::Create { name: name.to_owned(), id })?;
        state.creations += 1;
        Ok(Box::new(SimFile { state: self.state.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state.lock();
        state.powered()?;
        let id = state.id_of(name)?;
        Ok(Box::new(SimFile { state: self.state.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.powered()?;
        state.id_of(from)?;
        state.change_names(NameOp::Rename { from: from.to_owned(), to: to.to_owned() })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.powered()?;
        state.id_of(name)?;
        state.change_names(NameOp::Remove { name: name.to_owned() })
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.before_sync()?;
        if state.fails(FailKind::Sync) {
            return Err(io::Error::other("simulated failure of a directory sync"));
        }
        state.names_durable = state.names.clone();
        state.name_ops.clear();
        Ok(())
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    id: u64,
}

// === impl SimFile ===

impl SimFile {
    fn change(&self, change: impl FnOnce(&mut Inode, Option<u64>)) -> io::Result<()> {
        let mut state = self.state.lock();
        state.powered()?;
        state.writes += 1;
        let chance = state.fails(FailKind::Write).then(|| SplitMix64(state.writes).next());
        change(state.inode(self.id), chance);
        match chance {
            None => Ok(()),
            Some(_) => Err(io::Error::other("simulated failure of a write")),
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.powered()?;
        let current = &state.inode(self.id).current;
        let start = to_index(offset).min(current.len());
        let count = buf.len().min(current.len() - start);
        buf[..count].copy_from_slice(&current[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.change(|inode, failure| {
            let count = match failure {
                None => buf.len(),
                Some(chance) => to_index(chance % (buf.len() as u64 + 1)),
            };
            inode.write(to_index(offset), &buf[..count]);
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.before_sync()?;
        let failed = state.fails(FailKind::Sync);
        let unsynced = &state.inode(self.id).unsynced;
        let bytes = unsynced.iter().filter_map(Change::written).map(|(_, bytes)| bytes.len()).sum();
        state.synced_at_once_max = state.synced_at_once_max.max(bytes);
        let inode = state.inode(self.id);
        if failed {
            inode.sync_failed();
            return Err(io::Error::other("simulated failure of a sync"));
        }
        inode.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.powered()?;
        Ok(state.inode(self.id).current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|inode, failure| {
            if failure.is_none() {
                inode.set_len(to_index(len));
            }
        })
    }
}

// === impl State ===

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.power_off { Err(io::Error::other("the simulated power is off")) } else { Ok(()) }
    }

    fn before_sync(&mut self) -> io::Result<()> {
        self.powered()?;
        self.syncs += 1;
        if self.crash_before_sync == Some(self.syncs) {
            self.power_off = true;
        }
        self.powered()
    }

    fn fails(&mut self, kind: FailKind) -> bool {
        let Some((countdown, wanted)) = &mut self.fail else { return false };
        if *wanted != kind {
            return false;
        }
        *countdown -= 1;
        if *countdown > 0 {
            return false;
        }
        self.fail = None;
        true
    }

    fn new_file(&mut self, inode: Inode) -> u64 {
        self.next_id += 1;
        self.files.insert(self.next_id, inode);
        self.next_id
    }

    fn id_of(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, id: u64) -> &mut Inode {
        self.files.get_mut(&id).expect("an inode lives as long as its disk")
    }

    fn change_names(&mut self, op: NameOp) -> io::Result<()> {
        self.name_changes += 1;
        if self.fails(FailKind::Name) {
            return Err(io::Error::other("simulated failure of a change of names"));
        }
        op.apply(&mut self.names);
        self.name_ops.push(op);
        Ok(())
    }
}

// === impl NameOp ===

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameOp::Create { name, id } => {
                names.insert(name.clone(), *id);
            }
            NameOp::Rename { from, to } => {
                let id = names.remove(from).expect("operations are kept as a prefix, so the name is there");
                names.insert(to.clone(), id);
            }
            NameOp::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

// === impl Inode ===

impl Inode {
    fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.unsynced.push(Change::SetLen(len));
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        overwrite(&mut self.current, offset, bytes);
        let start = offset / SECTOR_BYTES * SECTOR_BYTES;
        let end = (offset + bytes.len()).next_multiple_of(SECTOR_BYTES).min(self.current.len());
        for sector in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.undefined.remove(&sector);
        }
        self.unsynced.push(Change::Write { offset: start, bytes: self.current[start..end].to_vec() });
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => overwrite(&mut self.durable, offset, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    fn sync_failed(&mut self) {
        let undefined = &mut self.undefined;
        self.unsynced.retain(|change| match change {
            Change::Write { offset, bytes } => {
                undefined.extend(offset / SECTOR_BYTES..(offset + bytes.len()).div_ceil(SECTOR_BYTES));
                false
            }
            Change::SetLen(_) => true,
        });
    }

    fn after_power_cut(&self, luck: Luck, random: &mut SplitMix64) -> Vec<u8> {
        let mut image = self.durable.clone();
        let lengths: Vec<usize> = self.unsynced.iter().filter_map(Change::new_len).collect();
        let kept = luck.prefix(lengths.len(), random);
        for len in &lengths[..kept] {
            image.resize(*len, 0);
        }
        let mut writes: Vec<(usize, &[u8])> = self.unsynced.iter().filter_map(Change::written).collect();
        if luck == Luck::Mixed {
            random.shuffle(&mut writes);
        }
        for (offset, bytes) in writes {
            // Half of the unlucky writes are lost or kept whole, the others are torn between sectors.
            let torn = random.below(2) == 0;
            let whole = luck.keeps(random);
            for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let kept = if torn { luck.keeps(random) } else { whole };
                if kept {
                    overwrite(&mut image, offset + index * SECTOR_BYTES, sector);
                }
            }
        }
        for sector in &self.undefined {
            let start = sector * SECTOR_BYTES;
            if start < self.current.len() && luck.keeps(random) {
                let end = (start + SECTOR_BYTES).min(self.current.len());
                overwrite(&mut image, start, &self.current[start..end]);
            }
        }
        image
    }
}

// === impl Change ===

impl Change {
    fn new_len(&self) -> Option<usize> {
        match self {
            Change::SetLen(len) => Some(*len),
            Change::Write { .. } => None,
        }
    }

    fn written(&self) -> Option<(usize, &[u8])> {
        match self {
            Change::Write { offset, bytes } => Some((*offset, bytes)),
            Change::SetLen(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Lose,
    Keep,
    Mixed,
}

// === impl Luck ===

impl Luck {
    fn keeps(self, random: &mut SplitMix64) -> bool {
        match self {
            Luck::Lose => false,
            Luck::Keep => true,
            Luck::Mixed => random.below(2) == 0,
        }
    }

    fn prefix(self, len: usize, random: &mut SplitMix64) -> usize {
        match self {
            Luck::Lose => 0,
            Luck::Keep => len,
            Luck::Mixed => to_index(random.below(len as u64 + 1)),
        }
    }
}

// === impl SplitMix64 ===

impl SplitMix64 {
    /// The next number of the sequence.
    #[expect(
        clippy::should_implement_trait,
        reason = "the sequence never ends, an iterator would have to say so"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound` (which is not zero); the tiny bias does not matter to a test.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        self.next() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, to_index(self.below(index as u64 + 1)));
        }
    }
}

fn overwrite(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[offset..end].copy_from_slice(bytes);
}

fn to_index(number: u64) -> usize {
    usize::try_from(number).expect("a simulated file fits into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with_durable_file() -> (SimDisk, Box<dyn DiskFile>) {
        let disk = SimDisk::new();
        let file = disk.create("a", 4096).unwrap();
        file.write_at(&[1; 4096], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir().unwrap();
        (disk, file)
    }

    #[test]
    fn synced_bytes_survive_every_power_cut() {
        let (disk, _file) = disk_with_durable_file();
        for seed in 0..50 {
            assert_eq!(disk.crash(seed).contents("a").unwrap(), [1; 4096]);
        }
    }

    #[test]
    fn unsynced_sectors_are_old_or_new_and_never_mixed() {
        let (disk, file) = disk_with_durable_file();
        file.write_at(&[2; 1500], 100).unwrap();
        let mut images = BTreeSet::new();
        for seed in 0..100 {
            let image = disk.crash(seed).contents("a").unwrap();
            assert!(image[..100].iter().all(|byte| *byte == 1));
            assert!(image[1600..].iter().all(|byte| *byte == 1));
            for sector in [100..512, 512..1024, 1024..1536, 1536..1600] {
                let first = image[sector.start];
                assert!(image[sector].iter().all(|byte| *byte == first));
            }
            images.insert(image);
        }
        assert!(images.len() > 4, "only {} different images", images.len());
        assert_eq!(disk.crash(7).contents("a"), disk.crash(7).contents("a"));
    }

    #[test]
    fn unsynced_names_are_kept_as_a_prefix() {
        let (disk, _file) = disk_with_durable_file();
        disk.create("b", 10).unwrap();
        disk.rename("b", "c").unwrap();
        disk.remove("a").unwrap();
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            seen.insert(disk.crash(seed).list().unwrap());
        }
        let expected: [&[&str]; 4] = [&["a"], &["a", "b"], &["a", "c"], &["c"]];
        assert_eq!(
            seen,
            expected.iter().map(|names| names.iter().map(|n| n.to_string()).collect()).collect()
        );
        assert_eq!(disk.process_crash().list().unwrap(), ["c"]);
    }

    #[test]
    fn a_failed_sync_is_not_healed_by_the_next_one() {
        let (disk, file) = disk_with_durable_file();
        file.write_at(&[2; 512], 0).unwrap();
        disk.fail_at(1, FailKind::Sync);
        file.sync().unwrap_err();
        file.sync().unwrap();
        let lost = (0..50).any(|seed| disk.crash(seed).contents("a").unwrap()[0] == 1);
        assert!(lost);
        file.write_at(&[2; 512], 0).unwrap();
        file.sync().unwrap();
        let lost = (0..50).any(|seed| disk.crash(seed).contents("a").unwrap()[0] == 1);
        assert!(!lost);
    }

    #[test]
    fn a_killed_process_leaves_its_writes_unsynced() {
        let (disk, file) = disk_with_durable_file();
        file.write_at(&[2; 512], 0).unwrap();
        let after = disk.process_crash();
        assert_eq!(after.contents("a").unwrap()[0], 2);
        assert!((0..50).any(|seed| after.crash(seed).contents("a").unwrap()[0] == 1));
    }

    #[test]
    fn power_goes_when_the_sync_is_requested() {
        let (disk, file) = disk_with_durable_file();
        disk.crash_before_sync(disk.syncs() + 1);
        file.write_at(&[2; 512], 0).unwrap();
        file.sync().unwrap_err();
        assert!(disk.power_is_off());
        file.write_at(&[3; 512], 0).unwrap_err();
        assert!(disk.list().is_err());
        assert!((0..50).any(|seed| disk.crash(seed).contents("a").unwrap()[0] == 1));
        assert!((0..50).any(|seed| disk.crash(seed).contents("a").unwrap()[0] == 2));
    }

    #[test]
    fn a_failed_change_of_names_changes_nothing() {
        let (disk, _file) = disk_with_durable_file();
        for _ in 0..3 {
            disk.fail_at(1, FailKind::Name);
            assert!(disk.rename("a", "b").is_err());
            disk.fail_at(1, FailKind::Name);
            assert!(disk.remove("a").is_err());
            disk.fail_at(1, FailKind::Name);
            assert!(disk.create("c", 10).is_err());
        }
        assert_eq!(disk.list().unwrap(), ["a"]);
        assert_eq!((disk.name_changes(), disk.creations()), (10, 1));
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.crash(1).list().unwrap().len(), 1);
    }

    #[test]
    fn a_failed_write_is_applied_in_part_at_most() {
        let (disk, file) = disk_with_durable_file();
        disk.fail_at(2, FailKind::Write);
        file.write_at(&[2; 512], 0).unwrap();
        file.write_at(&[3; 512], 0).unwrap_err();
        let image = disk.contents("a").unwrap();
        let torn = image.iter().take_while(|byte| **byte == 3).count();
        assert!(image[torn..512].iter().all(|byte| *byte == 2));
        file.write_at(&[4; 512], 0).unwrap();
        assert_eq!(disk.writes(), 4);
    }
}
