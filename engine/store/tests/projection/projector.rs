//! The projector: catches up, waits for a store that is away, stops when told, refuses what does not belong together.

use crate::place::{Database, Place, on_every_database};
use crate::venue::*;
use engine::catalog::{DeviceId, GateId};
use engine::checkpoint::image;
use engine::record::Record;
use engine::sim_disk::SimDisk;
use engine::state::State;
use engine::{Engine, Lsn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::{
    Cause, ProjectError, Projector, ProjectorOptions, ProjectorStats, Queries, Store, StoreError, StoreWatch,
};

on_every_database! {
    a_store_that_was_lost_with_half_a_journal_is_filled_from_the_state_and_goes_on
    a_lost_store_that_alone_had_some_tickets_is_not_made_up
    a_store_the_journal_can_fill_is_left_to_it
    a_store_that_has_records_is_not_filled_from_a_state
    it_catches_up_and_then_follows
    a_store_that_is_away_is_waited_for_and_nothing_is_lost
    stopping_drains_what_is_durable
    stopping_does_not_wait_for_a_store_that_stays_away
    stopping_an_idle_projector_is_prompt
    a_journal_that_lost_its_end_is_told_and_not_skipped
    a_store_of_another_journal_is_told_even_when_the_numbers_fit
    an_older_store_than_the_journals_beginning_is_told
    nothing_is_settled_before_the_first_sync_of_a_start
    it_settles_what_it_carried_over_soon_and_at_the_end
    a_store_that_cannot_sync_keeps_the_journal_whole_while_readers_go_on
    batches_that_a_deadline_ends_become_smaller_until_they_go_in
    how_long_records_wait_is_told_while_the_store_is_away_or_hangs
}

/// A store that can be taken away.
struct Flaky {
    store: Box<dyn Store>,
    away: Arc<AtomicBool>,
    /// Its disk does not sync.
    unsyncable: Arc<AtomicBool>,
    /// Ends batches of more records by a deadline; 0: none.
    ended_above: usize,
    /// Holds a batch as long as it is set.
    hangs: Arc<AtomicBool>,
    /// Loses the answer of every so many batches after they were committed; 0: never.
    lost_every: usize,
    batches: AtomicUsize,
}

impl Flaky {
    fn here<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Database { action: "reach the database", source: "no route".into() });
        }
        answer
    }
}

impl Store for Flaky {
    fn cursor(&self) -> Result<Lsn, StoreError> {
        self.here(self.store.cursor())
    }
    fn salt(&self) -> Result<Option<[u8; 16]>, StoreError> {
        self.here(self.store.salt())
    }
    fn apply(&mut self, batch: &[(Lsn, Record<'_>)]) -> Result<(), StoreError> {
        self.here(Ok(()))?;
        while self.hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.ended_above > 0 && batch.len() > self.ended_above {
            let said = "canceling statement due to statement timeout".to_owned();
            return Err(StoreError::Server { action: "write scans", cause: Cause::Slow, said });
        }
        self.store.apply(batch)?;
        let nth = self.batches.fetch_add(1, Ordering::SeqCst) + 1;
        if self.lost_every > 0 && nth.is_multiple_of(self.lost_every) {
            return Err(StoreError::Database { action: "commit a batch", source: "connection reset".into() });
        }
        Ok(())
    }
    fn sync(&mut self) -> Result<Lsn, StoreError> {
        self.here(Ok(()))?;
        if self.unsyncable.load(Ordering::SeqCst) {
            return Err(StoreError::Unsynced { problem: "input/output error".to_owned() });
        }
        self.store.sync()
    }
    fn scrub(&mut self) -> Result<(), StoreError> {
        self.here(Ok(()))?;
        self.store.scrub()
    }
    fn unsynced_bytes(&self) -> Result<u64, StoreError> {
        self.here(self.store.unsynced_bytes())
    }
    fn bootstrap(&self) -> Result<State, StoreError> {
        self.here(self.store.bootstrap())
    }
    fn seed(&mut self, state: &State) -> Result<(), StoreError> {
        self.here(Ok(()))?;
        self.store.seed(state)
    }
    fn queries(&self) -> Result<Box<dyn Queries>, StoreError> {
        self.store.queries()
    }
    fn watch(&self) -> StoreWatch {
        self.store.watch()
    }
}

fn flaky(place: &Place, away: &Arc<AtomicBool>, unsyncable: &Arc<AtomicBool>) -> Flaky {
    Flaky {
        store: place.open(),
        away: Arc::clone(away),
        unsyncable: Arc::clone(unsyncable),
        ended_above: 0,
        hangs: Arc::default(),
        lost_every: 0,
        batches: AtomicUsize::new(0),
    }
}

/// A projector on its thread.
pub struct Running {
    stop: Arc<AtomicBool>,
    pub stats: Arc<ProjectorStats>,
    thread: JoinHandle<Result<(), ProjectError>>,
}

pub fn options() -> ProjectorOptions {
    ProjectorOptions {
        batch_records_max: 50,
        retry_wait_min: Duration::from_millis(2),
        retry_wait_max: Duration::from_millis(20),
        drain_max: Duration::from_secs(5),
        ..ProjectorOptions::default()
    }
}

pub fn start(engine: &Arc<Engine>, store: Box<dyn Store>, options: ProjectorOptions) -> Running {
    let mut projector = Projector::new(Arc::clone(engine), store, options);
    let (stop, stats) = (Arc::new(AtomicBool::new(false)), projector.stats());
    let told = Arc::clone(&stop);
    Running { stop, stats, thread: std::thread::spawn(move || projector.run(&told)) }
}

impl Running {
    pub fn stop(self) -> Result<(), ProjectError> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn live(node: &Node, day: &mut Day, steps: usize) {
    for step in 0..steps {
        day.step(node);
        if step % 10 == 0 {
            node.commit();
        }
    }
    node.commit();
}

fn it_catches_up_and_then_follows(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(41), on.place());
    live(&node, &mut day, 200);
    let running = start(&node.engine, place.open(), options());
    wait_until("it catches up", || node.engine.projected().0 == node.lsn());
    live(&node, &mut day, 200);
    wait_until("it follows", || node.engine.projected().0 == node.lsn());
    let snapshot = running.stats.snapshot();
    assert_eq!((snapshot.projected.0, snapshot.records), (node.lsn(), node.lsn()));
    assert_eq!((snapshot.errors, snapshot.failing, snapshot.last_error), (0, false, None));
    assert!(snapshot.batches >= snapshot.records / 50);
    running.stop().unwrap();
    assert!(image(&place.open().bootstrap().unwrap()) == node.engine.image());
}

fn a_store_that_is_away_is_waited_for_and_nothing_is_lost(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(42), on.place());
    let away = Arc::new(AtomicBool::new(true));
    let store = Flaky { lost_every: 3, ..flaky(&place, &away, &Arc::default()) };
    let running = start(&node.engine, Box::new(store), options());
    live(&node, &mut day, 100);
    wait_until("it tries again", || running.stats.snapshot().errors > 3);
    let snapshot = running.stats.snapshot();
    assert!(snapshot.failing);
    assert!(snapshot.last_error.unwrap().contains("no route"));
    assert_eq!(node.engine.projected(), Lsn(0));

    away.store(false, Ordering::SeqCst);
    live(&node, &mut day, 200);
    wait_until("it comes back", || node.engine.projected().0 == node.lsn());
    wait_until("it says so", || !running.stats.snapshot().failing);
    away.store(true, Ordering::SeqCst);
    live(&node, &mut day, 50);
    wait_until("it is away again", || running.stats.snapshot().failing);
    away.store(false, Ordering::SeqCst);
    running.stop().unwrap();
    assert_eq!(node.engine.projected().0, node.lsn());
    assert!(image(&place.open().bootstrap().unwrap()) == node.engine.image());
}

fn batches_that_a_deadline_ends_become_smaller_until_they_go_in(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(45), on.place());
    live(&node, &mut day, 300);
    let store = Flaky { ended_above: 12, ..flaky(&place, &Arc::default(), &Arc::default()) };
    let small = ProjectorOptions { batch_records_min: 5, ..options() };
    let running = start(&node.engine, Box::new(store), small);
    wait_until("it catches up", || node.engine.projected().0 == node.lsn());
    let snapshot = running.stats.snapshot();
    running.stop().unwrap();
    assert!(snapshot.last_error.is_some_and(|error| error.contains("the server is slow")));
    // 50 and 25 are too many, 12 go in; 25 are tried again now and then, ever more seldom.
    assert!((2..=8).contains(&snapshot.errors), "{} tries were for nothing", snapshot.errors);
    assert!(snapshot.batches >= snapshot.records / 12);
    assert_eq!(snapshot.batches_by_time.iter().sum::<u64>(), snapshot.batches);
    assert!(image(&place.open().bootstrap().unwrap()) == node.engine.image());
}

fn how_long_records_wait_is_told_while_the_store_is_away_or_hangs(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(46), on.place());
    live(&node, &mut day, 100);
    let (away, hangs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let store = Flaky { hangs: Arc::clone(&hangs), ..flaky(&place, &away, &Arc::default()) };
    let running = start(&node.engine, Box::new(store), options());
    let since = |projected: u64| running.stats.behind_since(Lsn(projected), Lsn(node.lsn()));
    let made = |lsn: u64| decode(&node.records(lsn - 1)[..1])[0].1.recorded_at();
    wait_until("it fails", || running.stats.snapshot().failing);
    assert_eq!(since(0), Some(made(1)), "the store was away from the start");

    away.store(false, Ordering::SeqCst);
    wait_until("it catches up", || node.engine.projected().0 == node.lsn());
    assert_eq!(since(node.lsn()), None);
    hangs.store(true, Ordering::SeqCst);
    let carried = node.lsn();
    live(&node, &mut day, 50);
    wait_until("it hangs with the next record", || since(carried) == Some(made(carried + 1)));
    live(&node, &mut day, 50);
    assert_eq!(since(carried), Some(made(carried + 1)), "newer ones change nothing");
    hangs.store(false, Ordering::SeqCst);
    wait_until("it goes on", || node.engine.projected().0 == node.lsn());
    running.stop().unwrap();
}

fn stopping_drains_what_is_durable(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(43), on.place());
    live(&node, &mut day, 400);
    start(&node.engine, place.open(), options()).stop().unwrap();
    assert_eq!(place.open().cursor().unwrap().0, node.lsn());
}

fn stopping_does_not_wait_for_a_store_that_stays_away(on: Database) {
    let (node, place) = (venue(), on.place());
    let away = Arc::new(AtomicBool::new(true));
    let store = flaky(&place, &away, &Arc::default());
    let long_waits = ProjectorOptions {
        retry_wait_min: Duration::from_secs(30),
        retry_wait_max: Duration::from_secs(30),
        drain_max: Duration::from_secs(60),
        ..options()
    };
    let running = start(&node.engine, Box::new(store), long_waits);
    wait_until("it fails", || running.stats.snapshot().failing);
    let began = Instant::now();
    running.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
}

fn stopping_an_idle_projector_is_prompt(on: Database) {
    let (node, place) = (venue(), on.place());
    let running = start(&node.engine, place.open(), ProjectorOptions::default());
    wait_until("it catches up", || node.engine.projected().0 == node.lsn());
    let began = Instant::now();
    running.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
}

fn a_journal_that_lost_its_end_is_told_and_not_skipped(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(44), on.place());
    let mut store = place.open();
    store.apply(&decode(&node.records(0))).unwrap();
    let early = store.bootstrap().unwrap();
    let cursor = early.lsn;
    live(&node, &mut day, 30);
    store.apply(&decode(&node.records(cursor))).unwrap();

    let other = node_from(early, SimDisk::new(), START);
    other.engine.turns(DeviceId(0), GateId(0), 1).unwrap();
    other.commit();
    let error = start(&other.engine, store, options()).thread.join().unwrap().unwrap_err();
    assert!(matches!(error, ProjectError::Ahead { .. }), "{error}");
    assert!(!error.may_pass());
    assert_eq!(place.open().cursor().unwrap().0, node.lsn());
}

fn a_store_of_another_journal_is_told_even_when_the_numbers_fit(on: Database) {
    let (node, other, place) = (venue(), venue(), on.place());
    place.open().apply(&decode(&node.records(0)[..5])).unwrap();
    let projector = Projector::new(Arc::clone(&other.engine), place.open(), options());
    assert!(matches!(projector.check(), Err(ProjectError::Foreign { cursor: Lsn(5) })));
    let projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
    assert_eq!(projector.check().unwrap(), Lsn(5));
}

fn an_older_store_than_the_journals_beginning_is_told(on: Database) {
    let (node, old, new) = (venue(), on.place(), on.place());
    old.open().apply(&decode(&node.records(0)[..5])).unwrap();
    let mut store = new.open();
    store.apply(&decode(&node.records(0))).unwrap();
    let other = node_from(store.bootstrap().unwrap(), SimDisk::new(), START);
    let projector = Projector::new(Arc::clone(&other.engine), old.open(), options());
    let error = projector.check().unwrap_err();
    assert!(matches!(error, ProjectError::Missing { cursor: Lsn(5), .. }), "{error}");
}

/// Two checkpoints, so that segments before the older one may go.
pub fn checkpoint_twice(node: &Node, day: &mut Day) {
    for _ in 0..2 {
        node.engine.checkpoint().unwrap();
        live(node, day, 5);
    }
    node.engine.checkpoint().unwrap();
}

fn nothing_is_settled_before_the_first_sync_of_a_start(on: Database) {
    let (disk, place) = (SimDisk::new(), on.place());
    let (node, mut day) = (venue_on(disk.clone()), Day::new(49));
    let mut projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
    live(&node, &mut day, 100);
    while projector.step().unwrap() > 0 {}
    projector.settle().unwrap();
    let (last, now) = (node.lsn(), day.now());
    drop(projector);
    drop(node);

    let node = reopened(disk, now);
    let mut projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
    while projector.step().unwrap() > 0 {}
    assert_eq!((node.engine.projected(), node.engine.settled()), (Lsn(last), Lsn(0)));
    projector.settle().unwrap();
    assert_eq!(node.engine.settled(), Lsn(last));
}

fn it_settles_what_it_carried_over_soon_and_at_the_end(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(50), on.place());
    let soon = ProjectorOptions { sync_wait: Duration::from_millis(1), ..options() };
    let running = start(&node.engine, place.open(), soon);
    live(&node, &mut day, 100);
    wait_until("it settles when nothing follows", || node.engine.settled().0 == node.lsn());
    running.stop().unwrap();

    let rarely =
        ProjectorOptions { sync_wait: Duration::from_secs(3_600), sync_bytes: u64::MAX, ..options() };
    let running = start(&node.engine, place.open(), rarely);
    live(&node, &mut day, 100);
    wait_until("it catches up", || node.engine.projected().0 == node.lsn());
    assert!(node.engine.settled() < node.engine.projected());
    assert_eq!(running.stats.snapshot().syncs, 0);
    running.stop().unwrap();
    assert_eq!(node.engine.settled().0, node.lsn());
}

fn a_store_that_cannot_sync_keeps_the_journal_whole_while_readers_go_on(on: Database) {
    let (node, mut day, place) = (venue(), Day::new(52), on.place());
    let unsyncable = Arc::new(AtomicBool::new(true));
    let store = flaky(&place, &Arc::default(), &unsyncable);
    let soon = ProjectorOptions { sync_wait: Duration::ZERO, ..options() };
    let running = start(&node.engine, Box::new(store), soon);
    live(&node, &mut day, 1_500);
    wait_until("it goes on all the same", || node.engine.projected().0 == node.lsn());
    let snapshot = running.stats.snapshot();
    assert!(snapshot.last_error.is_some_and(|error| error.contains("check the disk")));
    checkpoint_twice(&node, &mut day);
    assert_eq!((node.engine.settled(), node.engine.journal().oldest()), (Lsn(0), Lsn(1)));
    unsyncable.store(false, Ordering::SeqCst);
    wait_until("it settles", || node.engine.settled().0 == node.lsn());
    running.stop().unwrap();
    checkpoint_twice(&node, &mut day);
    assert!(node.engine.journal().oldest().0 > 1);
}

/// A node whose journal has lost its beginning to two checkpoints.
fn with_half_a_journal(seed: u64) -> (SimDisk, Node, Day) {
    let disk = SimDisk::new();
    let (node, mut day) = (venue_on(disk.clone()), Day::hot(seed));
    live(&node, &mut day, 1_500);
    node.engine.set_projected(Lsn(node.lsn()));
    node.engine.set_settled(Lsn(node.lsn()));
    checkpoint_twice(&node, &mut day);
    assert!(node.engine.journal().oldest().0 > 1);
    (disk, node, day)
}

// Before, the projector stopped for ever: nobody could put back a store that was gone.
fn a_store_that_was_lost_with_half_a_journal_is_filled_from_the_state_and_goes_on(on: Database) {
    for seed in 61..=64 {
        let (disk, node, mut day) = with_half_a_journal(seed);
        let (before, now) = (node.engine.image(), day.now());
        drop(node);
        let (node, place) = (reopened(disk, now), on.place());
        let mut projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
        assert!(matches!(projector.check(), Err(ProjectError::Missing { cursor: Lsn(0), .. })));
        assert_eq!(projector.seed().unwrap(), Some(Lsn(node.lsn())));
        assert_eq!(node.engine.settled().0, node.lsn());
        assert!(image(&place.open().bootstrap().unwrap()) == before, "seed {seed}");
        assert_eq!(projector.check().unwrap().0, node.lsn());
        assert_eq!(projector.seed().unwrap(), None, "once");

        live(&node, &mut day, 700);
        while projector.step().unwrap() > 0 {}
        assert!(image(&place.open().bootstrap().unwrap()) == node.engine.image(), "seed {seed}");
        let queries = place.open().queries().unwrap();
        assert_eq!(queries.counts().unwrap(), node.engine.counts());
    }
}

fn a_lost_store_that_alone_had_some_tickets_is_not_made_up(on: Database) {
    let (_disk, node, _day) = with_half_a_journal(65);
    let place = on.place();
    node.engine.cool(CONCERT).unwrap();
    node.commit();
    let mut projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
    let error = projector.seed().unwrap_err();
    assert!(matches!(&error, ProjectError::ColdLost { events, .. } if events == &["concert"]), "{error}");
    assert!(!error.may_pass());
    let needed = node.engine.journal().oldest().0 - 1;
    assert!(error.to_string().contains(&format!("up to {needed} or later")), "{error}");
    assert_eq!(place.open().cursor().unwrap(), Lsn(0));
}

fn a_store_the_journal_can_fill_is_left_to_it(on: Database) {
    let (node, place) = (venue(), on.place());
    let mut projector = Projector::new(Arc::clone(&node.engine), place.open(), options());
    assert_eq!(projector.seed().unwrap(), None);
    assert_eq!(place.open().cursor().unwrap(), Lsn(0));
}

fn a_store_that_has_records_is_not_filled_from_a_state(on: Database) {
    let (node, place) = (venue(), on.place());
    let mut store = place.open();
    store.apply(&decode(&node.records(0)[..5])).unwrap();
    let before = place.dump();
    let refused = node.engine.with_state(|state| store.seed(state)).unwrap_err();
    assert!(matches!(refused, StoreError::NotEmpty { cursor: Lsn(5) }), "{refused}");
    assert!(place.dump() == before);
}
