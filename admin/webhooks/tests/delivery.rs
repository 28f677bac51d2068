//! Webhooks on a real journal with real receivers over sockets: what arrives, in which order, how often, and what becomes of
//! what does not. Patience is short here, so that the whole of it is seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

mod receiver;

use engine::catalog::{CapacityRule, Entity, Zone};
use engine::clock::{Clock, SystemClock, Time};
use engine::disk::StdDisk;
use engine::journal::{Durability, JournalOptions};
use engine::{Engine, Lsn};
use receiver::{Received, Receiver, Reply};
use secrets::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use webhooks::{Kind, Options, Pace, Reach, Settings, Webhooks};

const PATIENCE: Duration = Duration::from_secs(60);

/// A venue of zones with webhooks.
struct Venue {
    engine: Arc<Engine>,
    webhooks: Option<Webhooks>,
    dir: PathBuf,
    writer: Option<JoinHandle<()>>,
}

fn quick() -> Pace {
    let steps = [10, 20, 30, 40].map(Duration::from_millis).to_vec();
    Pace { steps, failing_max: Duration::from_secs(3_600), away_after: Duration::from_secs(3_600) }
}

impl Venue {
    fn open(dir: &Path, pace: Pace) -> Venue {
        Venue::open_with(
            dir,
            pace,
            JournalOptions { durability: Durability::Os, ..JournalOptions::default() },
        )
    }

    fn open_with(dir: &Path, pace: Pace, journal: JournalOptions) -> Venue {
        let disk = Arc::new(StdDisk::open(&dir.join("journal")).unwrap());
        let engine = Arc::new(Engine::open(disk, Arc::new(SystemClock), journal).unwrap().0);
        let writing = Arc::clone(&engine);
        let writer = Some(std::thread::spawn(move || writing.journal().run_writer()));
        let mut venue = Venue { engine, webhooks: None, dir: dir.to_owned(), writer };
        venue.reopen(pace);
        venue
    }

    /// Opens the webhooks alone.
    fn reopen(&mut self, pace: Pace) {
        let options = Options {
            file: self.dir.join("webhooks.db"),
            vault: Vault::open(&self.dir.join("admin.key")).unwrap(),
            reach: Reach::Private,
            pace,
        };
        self.webhooks = Some(Webhooks::open(Arc::clone(&self.engine), options).unwrap());
    }

    /// Closes the webhooks alone.
    fn close(&mut self) {
        if let Some(webhooks) = self.webhooks.take() {
            webhooks.close();
        }
    }

    fn webhooks(&self) -> &Webhooks {
        self.webhooks.as_ref().unwrap()
    }

    /// A webhook that is told of zones; its id and secret.
    fn tell(&self, url: &str) -> (String, String) {
        let (lsn, id, _, secret) = self.webhooks().create(None, settings(url)).unwrap();
        self.durable(lsn);
        (id, secret)
    }

    fn durable(&self, lsn: Lsn) {
        self.engine.journal().wait_durable(lsn, PATIENCE).unwrap();
    }

    /// Something happens; the id of the message about it.
    fn happens(&self, n: u32) -> String {
        let zone = Zone { name: format!("Z{n}"), capacity: Some(n), rule: CapacityRule::Hard };
        let lsn = self.engine.put(None, Entity::Zone(zone)).unwrap();
        format!("msg_{}_0", lsn.0)
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.close();
        self.engine.journal().stop_writer();
        self.writer.take().unwrap().join().unwrap();
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        description: String::new(),
        types: vec![Kind::ZoneChanged],
        events: Vec::new(),
        gates: Vec::new(),
        enabled: true,
        personal: false,
    }
}

fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::id).collect()
}

#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_message_is_signed_names_itself_and_says_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::well());
    let (id, secret) = venue.tell(&receiver.url());
    let message = venue.happens(7);
    let first = receiver.wait_for(1).remove(0);
    assert_eq!((first.id(), first.header("content-type")), (message, "application/json"));
    assert_eq!(first.signatures_by(&secret), 1);
    let body = first.json();
    assert_eq!((&body["type"], &body["data"]["zone"]), (&"zone.changed".into(), &"Z7".into()), "{body}");
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    let at: i64 = first.header("webhook-timestamp").parse().unwrap();
    assert!((at - SystemClock.now().0 / 1_000).abs() < 60);
    // After a rotation both secrets sign.
    let (_, new, _) = venue.webhooks().rotate(None, &id).unwrap();
    venue.happens(8);
    let second = receiver.wait_for(2).remove(1);
    assert_eq!((second.signatures_by(&secret), second.signatures_by(&new)), (1, 1));
    assert!(new.starts_with("whsec_") && new != secret);
}

#[test]
fn a_message_is_tried_again_in_its_place_and_later_ones_come_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let refuses = |_: &Received, nth| if nth < 2 { Reply::Status(500, "") } else { Reply::Status(200, "") };
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::start(refuses));
    let (id, _) = venue.tell(&receiver.url());
    let (one, two) = (venue.happens(1), venue.happens(2));
    assert_eq!(ids(&receiver.wait_for(4)), [one.clone(), one.clone(), one.clone(), two]);
    until("the attempts to be told", || venue.webhooks().deliveries(&id, None, 10).unwrap().len() == 4);
    let told = venue.webhooks().deliveries(&id, None, 10).unwrap();
    let statuses: Vec<_> =
        told.iter().rev().map(|attempt| (attempt.attempt.unwrap(), attempt.status.unwrap())).collect();
    assert_eq!(statuses, [(1, 500), (2, 500), (3, 200), (1, 200)]);
}

#[test]
fn a_message_that_is_never_taken_lets_others_pass_dies_and_comes_back_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let refuses_one = move |received: &Received, _| {
        let bad = received.json()["data"]["zone"] == "Z1" && !is_well.load(Ordering::SeqCst);
        Reply::Status(if bad { 422 } else { 204 }, "")
    };
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::start(refuses_one));
    let (id, _) = venue.tell(&receiver.url());
    let (bad, good) = (venue.happens(1), venue.happens(2));
    until("a dead letter", || !venue.webhooks().dead_letters(&id, None, 9).unwrap().is_empty());
    let came = ids(&receiver.received());
    assert_eq!(came.iter().filter(|own| **own == bad).count(), 5, "four retries");
    assert!(came.iter().position(|own| *own == good).unwrap() >= 3, "three tries come first: {came:?}");
    let dead = venue.webhooks().dead_letters(&id, None, 9).unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].error.as_deref()), (bad.as_str(), Some("status 422")));
    well.store(true, Ordering::SeqCst);
    assert!(venue.webhooks().revive(&id, "msg_0_0").is_err());
    venue.webhooks().revive(&id, &bad).unwrap();
    assert_eq!(ids(&receiver.wait_for(came.len() + 1)).last(), Some(&bad));
    until("no dead letter", || venue.webhooks().dead_letters(&id, None, 9).unwrap().is_empty());
}

#[test]
fn receivers_that_never_answer_hold_up_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::well());
    let silent = Receiver::start(|_, _| Reply::Silence);
    for _ in 0..5 {
        venue.tell(&silent.url());
    }
    venue.happens(0);
    silent.wait_for(5);
    venue.tell(&receiver.url());
    let all: Vec<String> = (1..=50).map(|n| venue.happens(n)).collect();
    assert_eq!(ids(&receiver.wait_for(50)), all);
    assert_eq!(silent.received().len(), 5, "each still waits for its first answer");
}

#[test]
fn an_answer_without_end_is_left_and_a_redirect_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let venue = Venue::open(dir.path(), quick());
    let endless = Receiver::start(|_, _| Reply::Endless(&[b'x'; 65_536]));
    let (id, _) = venue.tell(&endless.url());
    let all = [venue.happens(1), venue.happens(2)];
    assert_eq!(ids(&endless.wait_for(2)), all);
    until("both to be delivered", || venue.webhooks().figures().unwrap()[0].0.delivered == 2);
    venue.webhooks().remove(None, &id).unwrap();
    let elsewhere = Receiver::well();
    let location: &'static str = format!("Location: http://{}/", elsewhere.addr).leak();
    let redirecting = Receiver::start(move |_, _| Reply::Status(307, location));
    let (id, _) = venue.tell(&redirecting.url());
    venue.happens(3);
    until("a dead letter", || !venue.webhooks().dead_letters(&id, None, 1).unwrap().is_empty());
    let error = venue.webhooks().dead_letters(&id, None, 1).unwrap()[0].error.clone().unwrap();
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(elsewhere.received().is_empty());
}

#[test]
fn a_receiver_that_is_gone_or_takes_nothing_for_too_long_is_not_asked_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let gone = Receiver::start(|_, _| Reply::Status(410, ""));
    let broken = Receiver::start(|_, _| Reply::Status(500, ""));
    let venue = Venue::open(dir.path(), Pace { failing_max: Duration::from_millis(30), ..quick() });
    for (receiver, why) in [(&gone, "gone for good"), (&broken, "nothing was taken")] {
        let (id, _) = venue.tell(&receiver.url());
        venue.happens(1);
        until("it to be disabled", || !venue.webhooks().get(&id).unwrap().settings.enabled);
        let stopped = venue.webhooks().get(&id).unwrap().stopped.clone().unwrap();
        assert!(stopped.why.contains(why), "{stopped:?}");
        let entry = venue.engine.registry_entry("webhook", &id).unwrap();
        assert!(entry.contains("\"enabled\":false"), "it is so in the registry too: {entry}");
        let came = receiver.received().len();
        venue.happens(2);
        let watched = Receiver::well();
        venue.tell(&watched.url());
        venue.happens(3);
        watched.wait_for(1);
        assert_eq!(receiver.received().len(), came);
        // Enabled again, it is told what happens from then on.
        let seen = venue.webhooks().get(&id).unwrap();
        venue.webhooks().replace(None, &id, &seen, settings(&watched.url())).unwrap();
        assert_eq!(venue.webhooks().get(&id).unwrap().stopped, None);
        let next = venue.happens(4);
        until("the next one", || ids(&watched.received()).iter().filter(|own| **own == next).count() == 2);
    }
}

#[test]
fn a_receiver_gets_the_time_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let busy = |_: &Received, nth| {
        if nth == 0 { Reply::Status(429, "Retry-After: 1") } else { Reply::Status(200, "") }
    };
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::start(busy));
    venue.tell(&receiver.url());
    venue.happens(1);
    let came = receiver.wait_for(2);
    assert!(came[1].at - came[0].at >= Duration::from_secs(1));
}

#[test]
fn more_than_the_queue_holds_waits_in_the_journal_and_comes_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let waits = move |_: &Received, _| {
        until("the doors to open", || is_open.load(Ordering::SeqCst));
        Reply::Status(204, "")
    };
    let (venue, receiver) = (Venue::open(dir.path(), quick()), Receiver::start(waits));
    let (id, _) = venue.tell(&receiver.url());
    let all: Vec<String> = (0..2_500).map(|n| venue.happens(n)).collect();
    venue.durable(venue.engine.journal().positions().next);
    until("a queue without room", || venue.webhooks().figures().unwrap()[0].0.pending > 500);
    let (figures, behind) = venue.webhooks().figures().unwrap().remove(0);
    assert!(figures.pending <= 1_000 && behind >= 1_500, "the rest is in the journal: {figures:?}, {behind}");
    open.store(true, Ordering::SeqCst);
    assert_eq!(ids(&receiver.wait_for(all.len())), all);
    until("nothing waits", || venue.webhooks().figures().unwrap()[0].0.pending == 0);
    assert!(venue.webhooks().dead_letters(&id, None, 1).unwrap().is_empty());
}

#[test]
fn a_restart_goes_on_where_it_stood_and_a_replay_sends_the_same_ids() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::well();
    let (id, since, mut all) = {
        let venue = Venue::open(dir.path(), quick());
        let (id, _) = venue.tell(&receiver.url());
        let since = SystemClock.now();
        let all: Vec<String> = (0..5).map(|n| venue.happens(n)).collect();
        receiver.wait_for(5);
        until("it to be noted", || venue.webhooks().figures().unwrap()[0].0.delivered == 5);
        (id, since, all)
    };
    let venue = Venue::open(dir.path(), quick());
    all.push(venue.happens(5));
    assert_eq!(ids(&receiver.wait_for(6)), all);
    until("it to be noted", || venue.webhooks().figures().unwrap()[0].0.delivered == 6);
    let replayed = venue.webhooks().replay(&id, since).unwrap();
    // The webhook itself may have been made in the same millisecond.
    assert!((6..=7).contains(&replayed.records) && replayed.complete, "{replayed:?}");
    assert_eq!(ids(&receiver.wait_for(12)[6..]), all);
    let nothing = venue.webhooks().replay(&id, Time(i64::MAX)).unwrap();
    assert_eq!((nothing.records, nothing.from), (0, None));
}

#[test]
fn records_that_the_journal_let_go_are_told_and_the_rest_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let journal =
        JournalOptions { durability: Durability::Os, segment_bytes: 64 * 1024, ..JournalOptions::default() };
    let (mut venue, receiver) = (Venue::open_with(dir.path(), quick(), journal), Receiver::well());
    let (id, _) = venue.tell(&receiver.url());
    venue.close();
    until("a segment that can go", || {
        (0..500).for_each(|n| drop(venue.happens(n)));
        venue.durable(venue.engine.journal().positions().next);
        venue.engine.journal().delete_through(venue.engine.journal().positions().durable).unwrap() > 0
    });
    let oldest = venue.engine.journal().oldest();
    venue.reopen(quick());
    let newest = venue.happens(9_999);
    until("the newest message", || ids(&receiver.received()).contains(&newest));
    assert_eq!(
        receiver.received()[0].id(),
        format!("msg_{}_0", oldest.0),
        "it goes on with the oldest there is"
    );
    let told = venue.webhooks().deliveries(&id, None, 1_000).unwrap();
    let note = told.iter().find(|attempt| attempt.message.is_none()).unwrap();
    assert!(note.error.as_ref().unwrap().contains("let go"), "{note:?}");
    assert!(!venue.webhooks().replay(&id, Time(0)).unwrap().complete);
}
