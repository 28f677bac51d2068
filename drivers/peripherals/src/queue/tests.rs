//! The queue against a plain reference, over crashes at every step, and against files that are damaged, locked, full.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::tidy::{KEPT_MS, UNKNOWN_KEPT_MS};
use super::*;
use crate::job::{Asking, HandIn, Origin, Priority, Resolution};
use crate::view::JobFilter;
use documents::Values;
use driver_abi::Op;
use proptest::prelude::*;
use tempfile::TempDir;

const T0: i64 = 1_700_000_000_000;
const LIFE_MS: i64 = 10_000;

fn open(dir: &TempDir, now_ms: i64) -> Queue {
    Queue::open(&dir.path().join("peripherals.db"), now_ms).unwrap()
}

fn entry(id: &str, peripheral: &str, priority: Priority) -> Entry {
    let values = Values::from([("id".to_owned(), id.to_owned())]);
    let document = Document::Template { name: "receipt".to_owned(), values };
    let origin = Origin::Operator { who: "Ada".to_owned() };
    let (id, peripheral) = (id.to_owned(), peripheral.to_owned());
    let job = Job { id, peripheral, document, priority, expires_ms: Some(T0 + LIFE_MS), origin };
    Entry { job, station: None, queue_max: 3, reprint: 0, reprint_of: None }
}

fn at_station(id: &str) -> Entry {
    Entry { station: Some("box-1".to_owned()), ..entry(id, "till", Priority::Normal) }
}

fn outcome(done: Done) -> Outcome {
    Outcome { done, fault: None, text: String::new() }
}

fn state(queue: &Queue, id: &str) -> JobState {
    queue.job(id).unwrap().state
}

fn reprint(why: &str) -> Resolving<'_> {
    Resolving {
        resolution: Resolution::Reprint,
        who: "Ada",
        why,
        queue_max: 3,
        station: None,
        expires_ms: T0 + LIFE_MS,
    }
}

#[test]
fn a_crash_at_every_state_leaves_it_but_for_what_was_being_printed() {
    let dir = tempfile::tempdir().unwrap();
    let until = |steps: usize| -> JobState {
        let id = format!("job-{steps}");
        let queue = open(&dir, T0);
        queue.submit(&entry(&id, "till", Priority::Normal), T0).unwrap();
        for step in 1..=steps {
            match step {
                1 => assert_eq!(queue.start("till", T0).unwrap().unwrap().id, id),
                2 => {
                    let back = PutBack { not_before_ms: T0, counts: true, outcome: &outcome(Done::None) };
                    queue.put_back("till", &id, &back, T0).unwrap();
                }
                3 => assert_eq!(queue.start("till", T0).unwrap().unwrap().attempts, 2),
                _ => queue.finish("till", &id, JobState::Confirmed, &outcome(Done::Confirmed), T0).unwrap(),
            }
        }
        // Every call's work is on the disk when it returns: to drop it here is to be killed here.
        drop(queue);
        let queue = open(&dir, T0);
        let found = state(&queue, &id);
        assert_eq!(queue.was_interrupted("till"), found == JobState::Unknown);
        if found == JobState::Queued {
            queue.cancel(&id, "Ada", "test", T0).unwrap();
        }
        found
    };
    let found: Vec<JobState> = (0..=4).map(until).collect();
    use JobState::{Confirmed, Queued, Unknown};
    assert_eq!(found, [Queued, Unknown, Queued, Unknown, Confirmed]);
}

#[test]
fn the_same_id_is_the_same_job_and_another_document_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    let one = entry("one", "till", Priority::Normal);
    assert_eq!(queue.submit(&one, T0).unwrap(), Submitted::New);
    assert_eq!(queue.submit(&one, T0).unwrap(), Submitted::Known(JobState::Queued));
    queue.start("till", T0).unwrap().unwrap();
    queue.finish("till", "one", JobState::Sent, &outcome(Done::Sent), T0).unwrap();
    assert_eq!(queue.submit(&one, T0).unwrap(), Submitted::Known(JobState::Sent));
    let elsewhere = entry("one", "bar", Priority::Normal);
    assert!(matches!(queue.submit(&elsewhere, T0), Err(Error::IdConflict(_))));
}

#[test]
fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    for id in ["1", "2", "3"] {
        queue.submit(&entry(id, "till", Priority::Normal), T0).unwrap();
    }
    assert!(matches!(
        queue.submit(&entry("4", "till", Priority::Urgent), T0),
        Err(Error::Full { max: 3, .. })
    ));
    queue.submit(&entry("4", "bar", Priority::Normal), T0).unwrap();
    queue.start("till", T0).unwrap().unwrap();
    queue.submit(&entry("5", "till", Priority::Normal), T0).unwrap();
    assert_eq!(queue.depth("till"), Depth { queued: 3, unknown: 0 });
}

#[test]
fn urgent_goes_first_then_as_they_came() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    let jobs = [("low", Priority::Low), ("first", Priority::Normal), ("urgent", Priority::Urgent)];
    for (id, priority) in jobs {
        queue.submit(&entry(id, "till", priority), T0).unwrap();
    }
    let mut order = Vec::new();
    while let Some(begun) = queue.start("till", T0).unwrap() {
        queue.finish("till", &begun.id, JobState::Sent, &outcome(Done::Sent), T0).unwrap();
        order.push(begun.id);
    }
    assert_eq!(order, ["urgent", "first", "low"]);
}

#[test]
fn reprints_are_new_jobs_linked_to_the_first_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    queue.submit(&entry("one", "till", Priority::Normal), T0).unwrap();
    let mut id = "one".to_owned();
    for number in 1..=2 {
        queue.start("till", T0).unwrap().unwrap();
        queue.finish("till", &id, JobState::Unknown, &outcome(Done::Unknown), T0).unwrap();
        let new = queue.resolve(&id, &reprint("nothing came out"), T0).unwrap().unwrap();
        assert_eq!(new, format!("reprint:{number}:one"));
        assert_eq!(state(&queue, &id), JobState::Reprinted);
        assert!(matches!(queue.resolve(&id, &reprint("again"), T0), Err(Error::WrongState { .. })));
        let view = queue.job(&new).unwrap();
        assert_eq!((view.reprint, view.reprint_of.as_deref()), (number, Some("one")));
        id = new;
    }
    assert_eq!(queue.start("till", T0).unwrap().unwrap().reprint, 2);
    let audit = queue.audit(None, 10).unwrap();
    let told: Vec<_> = audit.iter().map(|line| (line.what.as_str(), line.who.as_str())).collect();
    assert_eq!(told, [("reprint", "Ada"), ("reprint", "Ada")]);
    assert_eq!(audit[0].why, "nothing came out");
}

#[test]
fn jobs_and_cursor_are_taken_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    assert_eq!(queue.cursor(), None);
    let jobs: Vec<Entry> = (0..5).map(|n| entry(&format!("rule:r:{n}"), "till", Priority::Normal)).collect();
    let taken = queue.take(&jobs, 5, T0).unwrap();
    let new = taken.iter().filter(|taken| matches!(taken, Ok(Submitted::New))).count();
    assert_eq!(new, 3, "the queue has room for three, the others are told: {taken:?}");
    // No room on the disk: neither job nor cursor.
    cap(&queue, 0);
    let big = Entry {
        job: Job { document: Document::Ops(vec![text(500_000)]), ..jobs[0].job.clone() },
        ..entry("rule:r:9", "bar", Priority::Normal)
    };
    let big = Entry { job: Job { id: "big".to_owned(), peripheral: "bar".to_owned(), ..big.job }, ..big };
    let error = queue.take(&[big], 9, T0).unwrap_err();
    assert!(matches!(error, Error::Queue(QueueError::DiskFull { .. })), "{error}");
    assert_eq!(queue.cursor(), Some(5));
    cap(&queue, 1_000_000);
    drop(queue);
    let queue = open(&dir, T0);
    assert_eq!(queue.cursor(), Some(5));
    assert!(matches!(queue.job("big"), Err(Error::UnknownJob(_))));
    assert_eq!(
        queue.take(&jobs[..1], 6, T0).unwrap()[0].as_ref().unwrap(),
        &Submitted::Known(JobState::Queued)
    );
}

#[test]
fn a_cursor_alone_is_written_the_first_time_and_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    queue.take(&[], 7, T0).unwrap();
    queue.take(&[], 8, T0).unwrap();
    assert_eq!(queue.cursor(), Some(8));
    drop(queue);
    let queue = open(&dir, T0);
    assert_eq!(queue.cursor(), Some(7), "not yet written: its records come again, and change nothing");
    queue.take(&[], 9, T0).unwrap();
    queue.settle_disk().unwrap();
    drop(queue);
    assert_eq!(open(&dir, T0).cursor(), Some(9));
}

#[test]
fn what_may_have_printed_is_synced_at_once_and_what_comes_again_soon() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    let owes = || {
        let inner = queue.inner.lock();
        // As the last change was made: 2 is FULL, which syncs the log, 1 is NORMAL, which does not.
        let synchronous: i64 =
            inner.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        (inner.owes, synchronous)
    };
    let (synced, owed) = ((false, 2), (true, 1));
    queue.submit(&entry("a", "till", Priority::Normal), T0).unwrap();
    assert_eq!(owes(), synced, "a person was told that it is taken");
    queue.take(&[entry("rule:r:1", "till", Priority::Normal)], 1, T0).unwrap();
    assert_eq!(owes(), owed, "the journal has it");
    assert!(
        queue.cancel("no such job", "Ada", "", T0).is_err() && owes().0,
        "nothing was changed, nothing is synced"
    );
    assert_eq!(queue.start("till", T0).unwrap().unwrap().id, "a");
    assert_eq!(owes(), synced, "a byte may leave, and the log was synced up to here");
    let sent = Outcome { done: Done::Sent, fault: None, text: String::new() };
    queue.finish("till", "a", JobState::Sent, &sent, T0).unwrap();
    assert_eq!(owes(), owed, "taken back it is unknown");
    queue.settle_disk().unwrap();
    assert_eq!(owes(), synced);
}

#[test]
fn what_is_over_expires_and_what_a_station_kept_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    queue.submit(&entry("here", "bar", Priority::Normal), T0).unwrap();
    queue.submit(&at_station("there"), T0).unwrap();
    assert_eq!(queue.offer(&asking("a", &[]), T0).unwrap().len(), 1);
    assert_eq!(queue.expire(T0 + LIFE_MS - 1).unwrap(), []);
    let over = queue.expire(T0 + LIFE_MS).unwrap();
    assert_eq!(over, [("bar".to_owned(), 1), ("till".to_owned(), 0)]);
    assert_eq!(state(&queue, "here"), JobState::Expired);
    assert_eq!(state(&queue, "there"), JobState::Unknown);
    assert_eq!(queue.depth("till"), Depth { queued: 0, unknown: 1 });
    assert_eq!(queue.start("bar", T0 + LIFE_MS).unwrap(), None);
}

fn asking(incarnation: &str, known: &[&str]) -> Asking {
    Asking {
        station: "box-1".to_owned(),
        incarnation: incarnation.to_owned(),
        known_jobs: known.iter().map(|id| (*id).to_owned()).collect(),
        max: 10,
    }
}

#[test]
fn a_station_gets_again_what_it_never_got_and_nothing_it_may_have_printed() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    queue.submit(&at_station("one"), T0).unwrap();
    assert_eq!(queue.start("till", T0).unwrap(), None, "it is not printed here");
    let ids = |asking: &Asking| -> Vec<String> {
        queue.offer(asking, T0).unwrap().into_iter().map(|offered| offered.job.id).collect()
    };
    assert_eq!(ids(&asking("a", &[])), ["one"]);
    assert_eq!(ids(&asking("a", &[])), ["one"], "the answer was lost on its way");
    assert!(ids(&asking("a", &["one"])).is_empty());
    assert_eq!(state(&queue, "one"), JobState::Handed);
    // The station lost its queue: it does not know what it printed.
    assert!(ids(&asking("b", &[])).is_empty());
    assert_eq!(state(&queue, "one"), JobState::Unknown);
    // What the old one tells late is still better than not knowing.
    let told = HandIn { state: JobState::Confirmed, outcome: Some(outcome(Done::Confirmed)) };
    queue.hand_in("box-1", "one", &told, T0).unwrap();
    queue.hand_in("box-1", "one", &told, T0).unwrap();
    assert_eq!(state(&queue, "one"), JobState::Confirmed);
    let late = HandIn { state: JobState::None, outcome: None };
    queue.hand_in("box-1", "one", &late, T0).unwrap();
    assert_eq!(state(&queue, "one"), JobState::Confirmed, "what is proved stays");
    assert!(matches!(queue.hand_in("box-2", "one", &told, T0), Err(Error::NotYours { .. })));
}

#[test]
fn old_jobs_are_forgotten_and_unresolved_ones_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    for (id, end) in [("done", JobState::Sent), ("lost", JobState::Unknown)] {
        queue.submit(&entry(id, "till", Priority::Normal), T0).unwrap();
        queue.start("till", T0).unwrap().unwrap();
        queue.finish("till", id, end, &outcome(Done::Sent), T0).unwrap();
    }
    queue.prune(T0 + KEPT_MS).unwrap();
    assert_eq!(state(&queue, "done"), JobState::Sent);
    queue.prune(T0 + KEPT_MS + 1).unwrap();
    assert!(matches!(queue.job("done"), Err(Error::UnknownJob(_))));
    assert_eq!(state(&queue, "lost"), JobState::Unknown);
    queue.prune(T0 + UNKNOWN_KEPT_MS + 1).unwrap();
    assert_eq!(queue.jobs(&JobFilter::default()).unwrap(), []);
    assert_eq!(queue.audit(None, 1).unwrap()[0].job.as_deref(), Some("lost"));
    assert_eq!(queue.depth("till"), Depth::default());
}

#[test]
fn damaged_locked_and_foreign_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peripherals.db");
    let queue = open(&dir, T0);
    let second = Queue::open(&path, T0).err().unwrap();
    assert!(matches!(second, QueueError::Locked { .. }), "{second}");
    for id in 0..200 {
        let _ =
            queue.submit(&Entry { queue_max: 1_000, ..entry(&id.to_string(), "till", Priority::Low) }, T0);
    }
    drop(queue);
    let sound = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"this is a shopping list and certainly no database at all").unwrap();
    let error = Queue::open(&path, T0).err().unwrap();
    assert!(matches!(error, QueueError::Damaged { .. }), "{error}");
    let mut torn = sound.clone();
    let (from, to) = (torn.len() / 2, torn.len() - 100);
    torn[from..to].fill(0x5a);
    std::fs::write(&path, torn).unwrap();
    let error = Queue::open(&path, T0).err().unwrap();
    assert!(matches!(error, QueueError::Damaged { .. }), "{error}");
    std::fs::write(&path, sound).unwrap();
    Connection::open(&path).unwrap().execute("UPDATE meta SET format = 9", []).unwrap();
    let error = Queue::open(&path, T0).err().unwrap();
    assert!(matches!(error, QueueError::Newer { found: 9, .. }), "{error}");
    let missing = Queue::open(Path::new("/nowhere/peripherals.db"), T0).err().unwrap();
    assert!(missing.to_string().contains("/nowhere/peripherals.db"), "{missing}");
}

#[test]
fn a_disk_that_is_full_refuses_a_job_and_keeps_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    queue.submit(&entry("one", "till", Priority::Normal), T0).unwrap();
    cap(&queue, 0);
    let mut big = entry("two", "till", Priority::Normal);
    big.job.document = Document::Ops(vec![text(500_000)]);
    let error = queue.submit(&big, T0).unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(queue.start("till", T0).unwrap().unwrap().id, "one");
    cap(&queue, 1_000_000);
    assert_eq!(queue.submit(&big, T0).unwrap(), Submitted::New);
}

/// The file may have so many pages, or not one more than now.
fn cap(queue: &Queue, pages: i64) {
    let inner = queue.inner.lock();
    let _: i64 = inner
        .connection
        .pragma_update_and_check(None, "max_page_count", pages.max(1), |row| row.get(0))
        .unwrap();
}

fn text(bytes: usize) -> driver_abi::Op<'static> {
    driver_abi::Op::Text("x".repeat(bytes).into())
}

// === the queue against a plain reference ===

#[derive(Clone, Debug)]
enum Act {
    Submit { id: usize, peripheral: usize, priority: i64 },
    Start(usize),
    Finish { peripheral: usize, end: usize },
    PutBack { peripheral: usize, wait_ms: i64 },
    Cancel(usize),
    Resolve(usize),
    Pass(i64),
    Crash,
}

const NAMES: [&str; 2] = ["till", "bar"];
const ENDS: [JobState; 4] = [JobState::None, JobState::Sent, JobState::Confirmed, JobState::Unknown];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..12_usize, 0..2_usize, 0..3_i64)
            .prop_map(|(id, peripheral, priority)| Act::Submit { id, peripheral, priority }),
        4 => (0..2_usize).prop_map(Act::Start),
        3 => (0..2_usize, 0..4_usize).prop_map(|(peripheral, end)| Act::Finish { peripheral, end }),
        2 => (0..2_usize, 0..3_000_i64).prop_map(|(peripheral, wait_ms)| Act::PutBack { peripheral, wait_ms }),
        1 => (0..12_usize).prop_map(Act::Cancel),
        1 => (0..12_usize).prop_map(Act::Resolve),
        2 => (1..4_000_i64).prop_map(Act::Pass),
        1 => Just(Act::Crash),
    ];
    proptest::collection::vec(act, 1..40)
}

#[derive(Debug)]
struct Own {
    id: String,
    peripheral: usize,
    priority: i64,
    state: JobState,
    not_before_ms: i64,
    begun: u32,
}

/// The reference: a list.
#[derive(Default)]
struct Reference(Vec<Own>);

impl Reference {
    fn find(&mut self, id: &str) -> Option<&mut Own> {
        self.0.iter_mut().find(|own| own.id == id)
    }

    fn started(&mut self, peripheral: usize) -> Option<&mut Own> {
        self.0.iter_mut().find(|own| own.peripheral == peripheral && own.state == JobState::Started)
    }

    fn next(&mut self, peripheral: usize, now_ms: i64) -> Option<&mut Own> {
        let fits = |own: &Own| own.peripheral == peripheral && own.state == JobState::Queued;
        let may = |own: &Own| own.not_before_ms <= now_ms && now_ms < T0 + LIFE_MS;
        self.0.iter_mut().filter(|own| fits(own) && may(own)).min_by_key(|own| own.priority)
    }

    fn waiting(&self, peripheral: usize) -> usize {
        self.0.iter().filter(|own| own.peripheral == peripheral && own.state == JobState::Queued).count()
    }
}

fn play(dir: &TempDir, acts: Vec<Act>) {
    let mut queue = Some(open(dir, T0));
    let (mut reference, mut now_ms) = (Reference::default(), T0);
    for act in acts {
        match act {
            Act::Crash => {
                drop(queue.take());
                queue = Some(open(dir, now_ms));
                for own in reference.0.iter_mut().filter(|own| own.state == JobState::Started) {
                    own.state = JobState::Unknown;
                }
            }
            Act::Pass(ms) => {
                now_ms += ms;
                queue.as_ref().unwrap().expire(now_ms).unwrap();
                let over = now_ms >= T0 + LIFE_MS;
                for own in reference.0.iter_mut().filter(|own| over && own.state == JobState::Queued) {
                    own.state = JobState::Expired;
                }
            }
            act => one(queue.as_ref().unwrap(), &mut reference, &act, now_ms),
        }
        let queue = queue.as_ref().unwrap();
        for own in &reference.0 {
            assert_eq!(state(queue, &own.id), own.state, "{}", own.id);
            assert!(own.begun <= 1, "{} was begun after it may have printed", own.id);
        }
        for (number, name) in NAMES.iter().enumerate() {
            assert_eq!(queue.depth(name).queued, reference.waiting(number) as u64);
        }
    }
}

fn one(queue: &Queue, reference: &mut Reference, act: &Act, now_ms: i64) {
    match *act {
        Act::Submit { id, peripheral, priority } => {
            submit_one(queue, reference, (id, peripheral, priority), now_ms);
        }
        Act::Start(peripheral) => {
            if reference.started(peripheral).is_none() {
                let found = queue.start(NAMES[peripheral], now_ms).unwrap();
                let wanted = reference.next(peripheral, now_ms);
                assert_eq!(found.map(|begun| begun.id), wanted.as_ref().map(|own| own.id.clone()));
                if let Some(own) = wanted {
                    own.state = JobState::Started;
                    own.begun += 1;
                }
            }
        }
        Act::Finish { peripheral, end } => {
            if let Some(own) = reference.started(peripheral) {
                queue.finish(NAMES[peripheral], &own.id, ENDS[end], &outcome(Done::Sent), now_ms).unwrap();
                own.state = ENDS[end];
            }
        }
        Act::PutBack { peripheral, wait_ms } => {
            if let Some(own) = reference.started(peripheral) {
                let back =
                    PutBack { not_before_ms: now_ms + wait_ms, counts: true, outcome: &outcome(Done::None) };
                queue.put_back(NAMES[peripheral], &own.id, &back, now_ms).unwrap();
                (own.state, own.not_before_ms, own.begun) = (JobState::Queued, now_ms + wait_ms, 0);
            }
        }
        Act::Cancel(id) => {
            let id = format!("job-{id}");
            let cancelled = queue.cancel(&id, "Ada", "test", now_ms).is_ok();
            match reference.find(&id) {
                Some(own) if own.state == JobState::Queued => {
                    assert!(cancelled);
                    own.state = JobState::Cancelled;
                }
                _ => assert!(!cancelled),
            }
        }
        Act::Resolve(id) => {
            let id = format!("job-{id}");
            let resolving = Resolving { resolution: Resolution::Printed, ..reprint("seen") };
            let resolved = queue.resolve(&id, &resolving, now_ms).is_ok();
            match reference.find(&id) {
                Some(own) if own.state == JobState::Unknown => {
                    assert!(resolved);
                    own.state = JobState::Printed;
                }
                _ => assert!(!resolved),
            }
        }
        Act::Pass(_) | Act::Crash => unreachable!("done by the caller"),
    }
}

fn submit_one(
    queue: &Queue,
    reference: &mut Reference,
    (id, peripheral, priority): (usize, usize, i64),
    now_ms: i64,
) {
    let id = format!("job-{id}");
    let new = entry(&id, NAMES[peripheral], Priority::from_rank(priority));
    let found = queue.submit(&new, now_ms);
    let full = reference.waiting(peripheral) >= 3;
    match (reference.find(&id), found) {
        (Some(own), Ok(Submitted::Known(state))) => {
            assert_eq!((own.state, own.peripheral), (state, peripheral));
        }
        (Some(own), Err(Error::IdConflict(_))) => assert_ne!(own.peripheral, peripheral),
        (None, Err(Error::Full { .. })) => assert!(full),
        (None, Ok(Submitted::New)) => {
            assert!(!full);
            let (state, not_before_ms) = (JobState::Queued, 0);
            reference.0.push(Own { id, peripheral, priority, state, not_before_ms, begun: 0 });
        }
        (own, found) => panic!("{own:?}: {found:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_a_plain_list_does(acts in acts()) {
        play(&tempfile::tempdir().unwrap(), acts);
    }
}

/// An entry about an event, with a name on it.
fn naming(id: &str, event: &str, holder: &str) -> Entry {
    let mut entry = entry(id, "till", Priority::Normal);
    let values =
        [("event", event), ("holder", holder)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    entry.job.document = Document::Template { name: "receipt".to_owned(), values: Values::from(values) };
    entry.queue_max = 100;
    entry
}

#[test]
fn what_an_events_prints_named_is_forgotten_in_every_state_and_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&dir, T0);
    let begin = |id: &str| {
        queue.submit(&naming(id, "old", "Adelheid Altmann"), T0).unwrap();
        assert_eq!(queue.start("till", T0).unwrap().unwrap().id, id);
    };
    let over = |id: &str, state, done| {
        let text = "Adelheid Altmann is too long".to_owned();
        queue.finish("till", id, state, &Outcome { done, fault: None, text }, T0).unwrap();
    };
    begin("done");
    over("done", JobState::Confirmed, Done::Confirmed);
    begin("unknown");
    over("unknown", JobState::Unknown, Done::Unknown);
    begin("again");
    over("again", JobState::Unknown, Done::Unknown);
    let again = queue.resolve("again", &reprint("Adelheid Altmann came back"), T0).unwrap().unwrap();
    assert_eq!(queue.start("till", T0).unwrap().unwrap().id, again);
    begin("started");
    queue.submit(&naming("waits", "old", "Adelheid Altmann"), T0).unwrap();
    queue.submit(&naming("other", "new", "Dorothea Dauer"), T0).unwrap();
    let mut free = naming("free", "", "");
    free.job.document = Document::Ops(vec![Op::Text("For Adelheid Altmann".into())]);
    queue.submit(&free, T0).unwrap();
    let handed = Entry { station: Some("box-1".to_owned()), ..naming("handed", "old", "Adelheid Altmann") };
    queue.submit(&handed, T0).unwrap();
    let asking = |known: &[&str]| Asking {
        station: "box-1".to_owned(),
        incarnation: "a".to_owned(),
        known_jobs: known.iter().map(|id| (*id).to_owned()).collect(),
        max: 9,
    };
    assert_eq!(queue.offer(&asking(&[]), T0).unwrap().len(), 1);
    assert!(is_in_a_file(&dir, b"Adelheid Altmann"));

    assert_eq!(queue.forget("old", T0).unwrap(), 8);
    assert!(!is_in_a_file(&dir, b"Adelheid Altmann") && is_in_a_file(&dir, b"Dorothea Dauer"));
    assert_eq!(queue.forget("old", T0).unwrap(), 0, "a second time there is nothing");

    let states = ["done", "unknown", "again", "started", "waits", "free", "other", "handed"]
        .map(|id| state(&queue, id));
    use JobState::{Cancelled, Confirmed, Handed, Queued, Reprinted, Started, Unknown};
    assert_eq!(states, [Confirmed, Unknown, Reprinted, Started, Cancelled, Cancelled, Queued, Handed]);
    let view = queue.job("waits").unwrap();
    assert!(view.template.is_none() && view.outcome.unwrap().text.contains("forgotten"), "it says why");
    let known = queue.submit(&naming("done", "old", "Adelheid Altmann"), T0).unwrap();
    assert_eq!(known, Submitted::Known(Confirmed), "the same again prints nothing again");
    assert!(matches!(queue.resolve("unknown", &reprint("lost"), T0), Err(Error::Forgotten(_))));
    let printed = Resolving { resolution: Resolution::Printed, ..reprint("it lies there") };
    queue.resolve("unknown", &printed, T0).unwrap();
    assert!(queue.offer(&asking(&[]), T0).unwrap().is_empty(), "an empty job is not offered again");
    over(&again, Confirmed, Done::Confirmed);
    let back = PutBack { not_before_ms: T0, counts: true, outcome: &outcome(Done::None) };
    queue.put_back("till", "started", &back, T0).unwrap();
    let view = queue.job("started").unwrap();
    assert_eq!(view.state, Cancelled, "there is nothing to print any more");
    assert!(view.outcome.unwrap().text.contains("forgotten"), "it says why");
    assert_eq!(queue.start("till", T0).unwrap().unwrap().id, "other");
    assert_eq!(queue.depth("till"), Depth { queued: 1, unknown: 0 });
}

/// Is it in the queue's file, or in its log?
fn is_in_a_file(dir: &TempDir, needle: &[u8]) -> bool {
    std::fs::read_dir(dir.path()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}
