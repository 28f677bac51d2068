//! A queue file that takes nothing any more in the middle of a print: what only the inside can bring about.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;
use crate::job::{JobState, Priority};
use std::path::Path;

/// What does not come in this time does not come at all.
const PATIENCE: Duration = Duration::from_secs(60);

fn job(id: &str) -> Job {
    Job {
        id: id.to_owned(),
        peripheral: "till".to_owned(),
        document: Document::Ops(vec![Op::Text(format!("[{id}]").into())]),
        priority: Priority::Normal,
        expires_ms: None,
        origin: Origin::Operator { who: "test".to_owned() },
    }
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn open(dir: &Path) -> Peripherals {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let host = deps.parent().unwrap().join("examples/fake_host");
    assert!(host.exists(), "{} is missing: cargo build -p peripherals --examples", host.display());
    let text = format!(
        "[[peripheral]]\nname = \"till\"\ndriver = \"virtual\"\nconnection = \"file:/dev/null\"\nconfig = {{ dir = \"{}\" }}\n",
        dir.display()
    );
    let settings = Settings::parse("peripherals.toml", &text, dir).unwrap();
    let place = Place { queue: dir.join("peripherals.db"), drivers: deps, host, station: None };
    Peripherals::open(settings, place).unwrap()
}

#[test]
fn an_outcome_that_cannot_be_written_holds_everything_and_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("script"), "until_go\n").unwrap();
    let peripherals = open(dir.path());
    let paper = || std::fs::read_to_string(dir.path().join("paper")).unwrap_or_default();
    let state = |id: &str| peripherals.job(id).unwrap().state;
    peripherals.take(&[], 4).unwrap();
    peripherals.submit(job("one")).unwrap();
    peripherals.submit(job("two")).unwrap();
    until("one is begun", || state("one") == JobState::Started);
    peripherals.shared.queue.only_read(true);
    std::fs::write(dir.path().join("go"), "").unwrap();
    let alarm = || peripherals.views()[0].alarm.clone().unwrap_or_default();
    until("an alarm", || alarm().contains("peripherals.db: attempt to write a readonly database"));
    assert!(matches!(peripherals.submit(job("three")), Err(Error::Queue(_))));
    assert!(
        matches!(peripherals.kick("till", "Ada", "change"), Err(Error::Queue(_))),
        "unwritten is unopened"
    );
    assert!(peripherals.take(&[], 5).is_ok(), "a cursor alone may wait");
    assert_eq!(
        (state("one"), state("two"), paper().as_str()),
        (JobState::Started, JobState::Queued, "[one]")
    );
    peripherals.shared.queue.only_read(false);
    until("both are printed", || state("two") == JobState::Confirmed);
    assert_eq!((state("one"), paper().as_str()), (JobState::Confirmed, "[one][two]"));
    until("no alarm", || alarm().is_empty());
}
