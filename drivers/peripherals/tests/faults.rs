//! Driver hosts that die, hang, are silent or talk nonsense, at every point: never a second print, never a word less
//! than a person needs. The fake host does what a real one cannot be made to do.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Venue, job, kill, times, until, until_job, until_state, view};
use peripherals::{
    Done, Error, Job, JobState, Op, PeripheralState, Peripherals, Priority, Resolution, Show, Step,
};
use std::time::Duration;

/// A venue with a fake till whose documents go as the script says.
fn venue(script: &str) -> Venue {
    let mut venue = Venue::fake();
    venue.pace.beat_max = Duration::from_secs(3);
    venue.write("script", script);
    venue
}

/// The same, open, with a time of one second for a document.
fn open(venue: &Venue) -> Peripherals {
    venue.open(venue.settings_of(&(venue.till() + "timeout_ms = 1000\n"), ""))
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A host that goes wrong in the middle of a document costs that document's certainty, and nothing else.
fn check_lost(script: &str, printed: usize, why: &str) -> Venue {
    let venue = venue(script);
    let peripherals = open(&venue);
    peripherals.submit(job("one")).unwrap();
    peripherals.submit(job("two")).unwrap();
    until_job(&peripherals, "one", JobState::Unknown);
    until_job(&peripherals, "two", JobState::Confirmed);
    let paper = venue.read("paper");
    assert_eq!((times(&paper, "one"), times(&paper, "two")), (printed, 1), "{script}: {paper}");
    let text = peripherals.job("one").unwrap().outcome.unwrap().text;
    assert!(text.contains(why), "{script}: {text}");
    let view = until_state(&peripherals, "till", PeripheralState::Ready);
    assert_eq!(view.alarm.as_deref(), Some("1 job may have printed: look, then say printed or print again"));
    assert_eq!(peripherals.metrics()[0].crashes, 1);
    peripherals.resolve("one", Resolution::Printed, "Ada", "it lies there").unwrap();
    assert_eq!(peripherals.job("one").unwrap().state, JobState::Printed);
    until("no alarm", || view_alarm(&peripherals).is_none().then_some(()));
    assert_eq!(venue.read("paper"), paper);
    venue
}

fn view_alarm(peripherals: &Peripherals) -> Option<String> {
    view(peripherals, "till").alarm
}

#[test]
fn a_host_that_dies_before_it_prints() {
    check_lost("die_before\n", 0, "it ended");
}

#[test]
fn a_host_that_dies_after_it_printed() {
    check_lost("die_after\n", 1, "it ended");
}

#[test]
fn a_host_that_dies_and_leaves_a_process_that_holds_its_pipe() {
    let venue = check_lost("die_with_child\n", 1, "it ended");
    let stat = format!("/proc/{}/stat", venue.read("child"));
    // Ended with its host: gone, or a zombie nobody waits for.
    until("the child's end", || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn a_host_that_never_comes_back() {
    check_lost("hang\n", 1, "its driver did not come back in time");
}

#[test]
fn a_host_that_is_killed_in_the_middle_of_a_document() {
    let venue = venue("hang\n");
    let peripherals = venue.open(venue.settings(""));
    peripherals.submit(job("one")).unwrap();
    until("it is printed", || (venue.read("paper") == "[one]\n").then_some(()));
    kill(view(&peripherals, "till").host_pid.unwrap());
    until_job(&peripherals, "one", JobState::Unknown);
    peripherals.submit(job("two")).unwrap();
    until_job(&peripherals, "two", JobState::Confirmed);
    assert_eq!(venue.read("paper"), "[one]\n[two]\n");
}

#[test]
fn a_host_that_does_not_say_that_it_lives_is_killed_long_before_its_time() {
    let venue = venue("silent\n");
    let peripherals = venue.open(venue.settings_of(&(venue.till() + "timeout_ms = 600000\n"), ""));
    peripherals.submit(job("one")).unwrap();
    until_job(&peripherals, "one", JobState::Unknown);
    let text = peripherals.job("one").unwrap().outcome.unwrap().text;
    assert!(text.ends_with("it did not say that it lives"), "{text}");
}

#[test]
fn a_host_that_talks_nonsense() {
    check_lost("garbage\n", 0, "it does not speak frames");
}

#[test]
fn a_host_that_gives_up_when_it_is_told_to_has_printed_nothing_and_tries_again() {
    let venue = venue("until_cancel\n");
    let peripherals = open(&venue);
    peripherals.submit(job("one")).unwrap();
    until_job(&peripherals, "one", JobState::Confirmed);
    assert_eq!(peripherals.job("one").unwrap().attempts, 2);
    assert_eq!(times(&venue.read("paper"), "one"), 1);
    assert_eq!(peripherals.metrics()[0].crashes, 0);
}

#[test]
fn five_crashes_at_the_start_are_a_quarantine_and_a_release_ends_it() {
    for (start, why) in
        [("crash", "it ended"), ("garbage", "it does not speak frames"), ("hang", "did not load")]
    {
        let mut venue = venue("");
        venue.pace.start_max = Duration::from_secs(1);
        venue.write("start", &format!("{start}\n").repeat(5));
        let peripherals = open(&venue);
        peripherals.submit(job("one")).unwrap();
        let view = until_state(&peripherals, "till", PeripheralState::Quarantined);
        let alarm = view.alarm.unwrap();
        assert!(alarm.starts_with("not started any more: its driver host was lost 5 times"), "{alarm}");
        assert!(alarm.contains(why) && alarm.ends_with("mend it, then release it"), "{alarm}");
        assert_eq!((view.queued, peripherals.metrics()[0].crashes), (1, 5));
        assert!(matches!(peripherals.kick("till", "Ada", "change"), Err(Error::NotReady { .. })));
        peripherals.release("till", "Ada").unwrap();
        until_job(&peripherals, "one", JobState::Confirmed);
        assert_eq!(peripherals.audit(None, 1).unwrap()[0].what, "release");
    }
}

#[test]
fn a_plugin_or_settings_that_are_refused_are_a_quarantine_at_once() {
    for start in ["refuse_plugin\n", "refuse_settings\n"] {
        let venue = venue("");
        venue.write("start", start);
        let peripherals = open(&venue);
        let view = until_state(&peripherals, "till", PeripheralState::Quarantined);
        let alarm = view.alarm.unwrap();
        assert_eq!(alarm, "not started any more: as the test wants it; mend it, then release it");
        let metrics = &peripherals.metrics()[0];
        assert_eq!((metrics.starts, metrics.crashes), (1, 0));
    }
}

#[test]
fn a_host_that_is_not_there_is_told_and_tried_again() {
    let mut venue = venue("");
    let missing = venue.path("host");
    let host = std::mem::replace(&mut venue.host, missing);
    let settings = || {
        let dir = venue.dir.path().display();
        let till = format!("config = {{ dir = \"{dir}\" }}\n");
        venue.settings_of(&(venue.till() + &till), "")
    };
    let peripherals = venue.open(settings());
    let view = until_state(&peripherals, "till", PeripheralState::Degraded);
    assert!(view.alarm.unwrap().contains("No such file"));
    std::os::unix::fs::symlink(host, venue.path("host")).unwrap();
    until_state(&peripherals, "till", PeripheralState::Ready);
}

#[test]
fn what_left_nothing_on_paper_is_tried_again_and_what_cannot_be_is_not() {
    let venue = venue("none io\nnone timeout\nnone protocol\n");
    let peripherals = open(&venue);
    peripherals.submit(job("one")).unwrap();
    until_job(&peripherals, "one", JobState::Confirmed);
    assert_eq!(peripherals.job("one").unwrap().attempts, 4);
    assert_eq!(peripherals.metrics()[0].retries, 3);
    venue.write("script", "none invalid\nunknown\n");
    peripherals.submit(job("two")).unwrap();
    until_job(&peripherals, "two", JobState::None);
    peripherals.submit(job("three")).unwrap();
    until_job(&peripherals, "three", JobState::Unknown);
    peripherals.submit(job("four")).unwrap();
    until_job(&peripherals, "four", JobState::Confirmed);
    let paper = venue.read("paper");
    let found = ["one", "two", "three", "four"].map(|id| times(&paper, id));
    assert_eq!(found, [1, 0, 1, 1]);
    until("they are counted", || {
        let metrics = &peripherals.metrics()[0];
        let counts = (metrics.outcome_none, metrics.outcome_confirmed, metrics.outcome_unknown);
        (counts == (1, 2, 1)).then_some(())
    });
}

#[test]
fn without_paper_everything_waits_tells_staff_and_goes_on_in_order() {
    let venue = venue("");
    venue.write("status", "5");
    let peripherals = open(&venue);
    until_state(&peripherals, "till", PeripheralState::Degraded);
    for (id, priority) in [("low", Priority::Low), ("normal", Priority::Normal), ("urgent", Priority::Urgent)]
    {
        peripherals.submit(Job { priority, ..job(id) }).unwrap();
    }
    peripherals.submit(Job { expires_ms: Some(now_ms() + 300), ..job("short") }).unwrap();
    let alarm = until("the alarm", || view_alarm(&peripherals));
    assert_eq!(alarm, "out of paper: put in a new roll");
    until_job(&peripherals, "short", JobState::Expired);
    assert_eq!(peripherals.job("urgent").unwrap().attempts, 0);
    assert_eq!(venue.read("paper"), "");
    venue.write("status", "1");
    until_job(&peripherals, "low", JobState::Confirmed);
    assert_eq!(venue.read("paper"), "[urgent]\n[normal]\n[low]\n");
    assert_eq!(view(&peripherals, "till").state, PeripheralState::Ready);
}

#[test]
fn a_printer_without_status_that_says_no_paper_burns_no_attempts() {
    let venue = venue(&"none paper_out\n".repeat(30));
    let peripherals = open(&venue);
    peripherals.submit(job("one")).unwrap();
    until("the alarm", || view_alarm(&peripherals).filter(|alarm| alarm.starts_with("out of paper")));
    until_job(&peripherals, "one", JobState::Confirmed);
    assert_eq!(peripherals.job("one").unwrap().attempts, 1);
    assert_eq!(peripherals.metrics()[0].retries, 0);
}

#[test]
fn a_queue_that_is_full_refuses_and_counts() {
    let venue = venue("");
    venue.write("start", "refuse_plugin\n");
    let peripherals = venue.open(venue.settings_of(&(venue.till() + "queue_max = 2\n"), ""));
    until_state(&peripherals, "till", PeripheralState::Quarantined);
    peripherals.submit(job("one")).unwrap();
    peripherals.submit(job("two")).unwrap();
    let full = peripherals.submit(job("three")).unwrap_err();
    assert_eq!(full.to_string(), "the queue of \"till\" is full: 2 jobs wait");
    peripherals.cancel("one", "Ada", "not wanted").unwrap();
    assert!(matches!(peripherals.cancel("one", "Ada", "again"), Err(Error::WrongState { .. })));
    peripherals.submit(job("three")).unwrap();
    assert_eq!(peripherals.metrics()[0].refused_full, 1);
    peripherals.release("till", "Ada").unwrap();
    until_job(&peripherals, "three", JobState::Confirmed);
    assert_eq!(venue.read("paper"), "[two]\n[three]\n");
}

#[test]
fn a_drawer_is_opened_by_its_own_command_and_audited() {
    let venue = venue("");
    let peripherals = open(&venue);
    until_state(&peripherals, "till", PeripheralState::Ready);
    assert!(matches!(peripherals.kick("till", "", "change"), Err(Error::WhoAndWhy)));
    assert_eq!(peripherals.kick("till", "Ada", "change for a guest").unwrap().done, Done::Confirmed);
    assert_eq!(venue.read("paper"), "[drawer]\n");
    venue.write("script", "die_after\n");
    assert_eq!(peripherals.kick("till", "Ada", "again").unwrap().done, Done::Unknown);
    until_state(&peripherals, "till", PeripheralState::Ready);
    assert_eq!(venue.read("paper"), "[drawer]\n[drawer]\n", "a drawer is never opened by itself");
    let audit = peripherals.audit(None, 10).unwrap();
    let told: Vec<_> = audit.iter().rev().map(|line| (line.what.as_str(), line.why.as_str())).collect();
    assert_eq!(told[..2], [("drawer", "change for a guest"), ("drawer outcome", "confirmed")]);
    assert_eq!((told[2], told[3].0, told.len()), (("drawer", "again"), "drawer outcome", 4));
    assert!(told[3].1.starts_with("unknown: its driver host was lost"), "{}", told[3].1);
}

#[test]
fn a_stop_in_the_middle_gives_the_job_back_or_leaves_it_to_a_person() {
    for (script, after) in [("until_cancel\n", JobState::Confirmed), ("hang\n", JobState::Unknown)] {
        let mut venue = venue(script);
        venue.pace.stop = Duration::from_millis(50);
        let settings = || venue.settings_of(&(venue.till() + "timeout_ms = 600000\n"), "");
        let peripherals = venue.open(settings());
        peripherals.submit(job("one")).unwrap();
        until("it is begun", || (peripherals.job("one").unwrap().state == JobState::Started).then_some(()));
        until("its script was read", || venue.read("script").is_empty().then_some(()));
        drop(peripherals);
        let peripherals = venue.open(settings());
        until_job(&peripherals, "one", after);
        assert_eq!(times(&venue.read("paper"), "one"), 1);
    }
}

#[test]
fn a_display_shows_the_latest_and_its_idle_text_also_after_its_host_was_killed() {
    let venue = venue("");
    venue.write("kind", "display");
    let peripherals = venue.open(venue.settings_of(&(venue.till() + "idle = \"idle\"\n"), ""));
    until_state(&peripherals, "till", PeripheralState::Ready);
    until("the idle text", || (venue.read("paper") == "Welcome to till\n").then_some(()));
    let text = |text: &str, for_ms| Step { ops: vec![Op::Text(format!("{text}\n").into())], for_ms };
    for number in 0..200 {
        peripherals.show("till", Show::Steps(vec![text(&number.to_string(), 600_000)])).unwrap();
    }
    until("the latest", || venue.read("paper").ends_with("\n199\n").then_some(()));
    let numbers = || peripherals.metrics().remove(0);
    until("each is counted, shown or replaced", || {
        (numbers().shown + numbers().replaced == 201).then_some(())
    });
    assert!(numbers().shown < 100, "{}", numbers().shown);
    venue.write("paper", "");
    kill(view(&peripherals, "till").host_pid.unwrap());
    until("it is shown again", || (venue.read("paper") == "199\n").then_some(()));
    peripherals.show("till", Show::Steps(vec![text("a", 1), text("b", 1)])).unwrap();
    until("steps, then idle", || venue.read("paper").ends_with("a\nb\nWelcome to till\n").then_some(()));
    assert!(matches!(peripherals.submit(job("one")), Err(Error::WrongKind { wanted: "printer", .. })));
    assert!(matches!(peripherals.kick("till", "Ada", "why"), Err(Error::WrongKind { .. })));
    assert_eq!(peripherals.metrics()[0].outcome_unknown, 0);
}
