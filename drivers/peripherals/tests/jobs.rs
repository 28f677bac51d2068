//! Jobs on real driver hosts and a real plugin: printed once, whatever dies.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    Venue, example, exists, job, job_on, kill, real_host, times, until, until_job, until_state, view,
};
use peripherals::{
    Asking, Error, HandIn, JobFilter, JobState, Occasion, Op, PeripheralState, Peripherals, QueueError,
    Resolution, ScanFacts, Show, Step, Submitted, Values,
};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn facts(lsn: u64, at_ms: i64) -> ScanFacts {
    ScanFacts {
        lsn,
        at_ms,
        occasion: Occasion::Admit,
        event: "Gala".to_owned(),
        gate: "North".to_owned(),
        device: String::new(),
        reason: String::new(),
        attention: String::new(),
        direction: "entry".to_owned(),
        ticket_type: "VIP".to_owned(),
        holder: String::new(),
        ticket: String::new(),
        remaining: String::new(),
        message: String::new(),
        specimen: false,
        more: Values::default(),
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_job_is_printed_once_and_the_same_again_is_known() {
    let venue = Venue::real();
    let peripherals = venue.open(venue.settings(""));
    assert_eq!(peripherals.submit(job("one")).unwrap(), Submitted::New);
    until_job(&peripherals, "one", JobState::Confirmed);
    assert_eq!(peripherals.submit(job("one")).unwrap(), Submitted::Known(JobState::Confirmed));
    assert_eq!(venue.read("paper"), "[one]\n");
    let last = until("it is told", || view(&peripherals, "till").last);
    assert_eq!((last.job.as_str(), last.state), ("one", JobState::Confirmed));
    let view = until_state(&peripherals, "till", PeripheralState::Ready);
    assert_eq!((view.queued, view.unknown, view.alarm), (0, 0, None));
    let metrics = &peripherals.metrics()[0];
    assert_eq!((metrics.outcome_confirmed, metrics.run_ms_buckets.iter().sum::<u64>()), (1, 1));
    drop(peripherals);
    let peripherals = venue.open(venue.settings(""));
    assert_eq!(peripherals.submit(job("one")).unwrap(), Submitted::Known(JobState::Confirmed));
    assert_eq!(venue.read("paper"), "[one]\n");
}

#[test]
fn what_cannot_be_a_job_is_refused_with_the_reason() {
    let venue = Venue::real();
    let peripherals = venue.open(venue.settings(""));
    for id in ["", "rule:x:1", "reprint:1:x", "a\nb", &"x".repeat(65)] {
        assert!(matches!(peripherals.submit(job(id)), Err(Error::BadId(_))), "{id:?}");
    }
    assert!(matches!(peripherals.submit(job_on("bar", "one")), Err(Error::UnknownPeripheral(_))));
    let mut drawer = job("drawer");
    drawer.document = peripherals::Document::Ops(vec![Op::Drawer { pin: 0, pulse_ms: 100 }]);
    assert!(matches!(peripherals.submit(drawer), Err(Error::BadDocument(_))));
    let mut long = job("long");
    long.document = peripherals::Document::Ops(vec![Op::Text("x".repeat(4 << 20).into())]);
    assert!(matches!(peripherals.submit(long), Err(Error::BadDocument(_))));
    let mut named = job("named");
    named.document = peripherals::Document::Template { name: "bill".to_owned(), values: Values::default() };
    assert!(matches!(peripherals.submit(named), Err(Error::UnknownTemplate(_))));
    assert!(matches!(peripherals.cancel("one", "Ada", " "), Err(Error::WhoAndWhy)));
    assert!(peripherals.jobs(&JobFilter::default()).unwrap().is_empty());
}

#[test]
fn records_taken_twice_print_once_and_late_ones_not_at_all() {
    let venue = Venue::real();
    let rule = "[[rule]]\nname = \"band\"\non = \"admit\"\nprint = \"receipt\"\nprinters = [\"till\"]\n";
    let peripherals = venue.open(venue.settings(rule));
    assert_eq!(peripherals.cursor(), None);
    let (now_ms, hour_ms) = (now_ms(), 3_600_000);
    let batch = [facts(7, now_ms), facts(8, now_ms - hour_ms), facts(9, now_ms)];
    let taken = peripherals.take(&batch, 9).unwrap();
    assert_eq!((taken.jobs, taken.known, taken.late), (2, 0, 1));
    until_job(&peripherals, &format!("rule:band:9:{now_ms}"), JobState::Confirmed);
    drop(peripherals);
    let peripherals = venue.open(venue.settings(rule));
    assert_eq!(peripherals.cursor(), Some(9));
    let taken = peripherals.take(&batch, 9).unwrap();
    assert_eq!((taken.jobs, taken.known, taken.late), (0, 2, 1));
    // Another journal beside the same queue: it counts from one again.
    let taken = peripherals.take(&[facts(7, now_ms + 1)], 7).unwrap();
    assert_eq!((taken.jobs, taken.known), (1, 0));
    until_job(&peripherals, &format!("rule:band:7:{}", now_ms + 1), JobState::Confirmed);
    peripherals.submit(job("last")).unwrap();
    until_job(&peripherals, "last", JobState::Confirmed);
    assert_eq!(venue.read("paper"), "receipt 7 at North\nreceipt 9 at North\nreceipt 7 at North\n[last]\n");
}

#[test]
fn a_printer_that_is_not_there_is_waited_for_and_says_so() {
    let venue = Venue::real();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let till =
        format!("[[peripheral]]\nname = \"till\"\ndriver = \"virtual\"\nconnection = \"tcp://{address}\"\n");
    let peripherals = venue.open(venue.settings_of(&till, ""));
    peripherals.submit(job("one")).unwrap();
    let view = until_state(&peripherals, "till", PeripheralState::Absent);
    let alarm = view.alarm.unwrap();
    assert!(alarm.starts_with("not there: look at its power and its cable (tcp://"), "{alarm}");
    assert!(peripherals.job("one").unwrap().attempts <= 1, "waiting is no attempt");
    let listener = TcpListener::bind(address).unwrap();
    let mut paper = String::new();
    // Whoever asks how the printer is comes first, with nothing to print.
    while paper.is_empty() {
        listener.accept().unwrap().0.read_to_string(&mut paper).unwrap();
    }
    until_job(&peripherals, "one", JobState::Confirmed);
    assert_eq!(paper, "[one]\n");
    until_state(&peripherals, "till", PeripheralState::Ready);
}

#[test]
fn an_idle_host_that_is_killed_is_started_again_and_nothing_is_lost() {
    let venue = Venue::real();
    let peripherals = venue.open(venue.settings(""));
    for round in 0..3 {
        let pid = until_state(&peripherals, "till", PeripheralState::Ready).host_pid.unwrap();
        kill(pid);
        let id = format!("job-{round}");
        peripherals.submit(job(&id)).unwrap();
        // Killed while idle or just when it began: never twice, and a person is asked where it is not known.
        let state = until("an end", || {
            let state = peripherals.job(&id).unwrap().state;
            (state.is_final() || state == JobState::Unknown).then_some(state)
        });
        let printed = times(&venue.read("paper"), &id);
        assert!(
            matches!((state, printed), (JobState::Confirmed, 1) | (JobState::Unknown, 0 | 1)),
            "{state} {printed}"
        );
        until("another host", || view(&peripherals, "till").host_pid.filter(|new| *new != pid));
    }
    assert_eq!(peripherals.metrics()[0].crashes, 3);
}

/// A stopped process hears no cancel, as one in a system call that does not come back.
#[test]
fn a_host_that_hangs_and_hears_nothing_is_killed_and_its_job_is_for_a_person() {
    let venue = Venue::real();
    let till = format!("{}timeout_ms = 1000\n", venue.till());
    let peripherals = venue.open(venue.settings_of(&till, ""));
    let host = until_state(&peripherals, "till", PeripheralState::Ready).host_pid.unwrap();
    // Once this is printed nothing else is under way, and it is the job that the host does not hear of.
    peripherals.submit(job("before")).unwrap();
    until_job(&peripherals, "before", JobState::Confirmed);
    assert!(Command::new("kill").args(["-STOP", &host.to_string()]).status().unwrap().success());
    peripherals.submit(job("one")).unwrap();
    until_job(&peripherals, "one", JobState::Unknown);
    let view = until("its alarm", || Some(view(&peripherals, "till")).filter(|view| view.unknown == 1));
    assert!(view.alarm.is_some());
    let again = peripherals.resolve("one", Resolution::Reprint, "Ada", "nothing came out").unwrap().unwrap();
    assert!(matches!(
        peripherals.resolve("one", Resolution::Printed, "Ada", "it lies there"),
        Err(Error::WrongState { state: JobState::Reprinted, .. })
    ));
    until_job(&peripherals, &again, JobState::Confirmed);
    assert_eq!(venue.read("paper"), "[before]\nREPRINT 1\n[one]\n");
}

#[test]
fn other_settings_take_over_between_two_jobs_and_the_others_notice_nothing() {
    let venue = Venue::real();
    let bar = |paper: &str| {
        let path = venue.path(paper);
        format!(
            "[[peripheral]]\nname = \"bar\"\ndriver = \"virtual\"\nconnection = \"file:{}\"\n",
            path.display()
        )
    };
    let peripherals = venue.open(venue.settings(&bar("bar-1")));
    let till = until_state(&peripherals, "till", PeripheralState::Ready).host_pid;
    let old = until_state(&peripherals, "bar", PeripheralState::Ready).host_pid;
    for id in 0..20 {
        peripherals.submit(job_on("bar", &format!("job-{id}"))).unwrap();
    }
    peripherals.reload(venue.settings(&bar("bar-2"))).unwrap();
    for id in 20..40 {
        peripherals.submit(job_on("bar", &format!("job-{id}"))).unwrap();
    }
    until("the new host", || view(&peripherals, "bar").host_pid.filter(|new| Some(*new) != old));
    peripherals.submit(job_on("bar", "last")).unwrap();
    until_job(&peripherals, "last", JobState::Confirmed);
    let papers = venue.read("bar-1") + &venue.read("bar-2");
    for id in 0..40 {
        assert_eq!(times(&papers, &format!("job-{id}")), 1, "{id}");
    }
    assert_eq!(times(&venue.read("bar-2"), "last"), 1);
    assert_eq!(view(&peripherals, "till").host_pid, till);
    assert_eq!(peripherals.metrics().iter().map(|own| own.crashes).sum::<u64>(), 0);
    // A driver that is not there: the old one goes on and says so.
    let broken = bar("bar-2").replace("virtual", "missing");
    peripherals.reload(venue.settings(&broken)).unwrap();
    let view = until("the alarm", || Some(view(&peripherals, "bar")).filter(|view| view.alarm.is_some()));
    assert!(view.alarm.unwrap().contains("the old ones go on"));
    peripherals.submit(job_on("bar", "still")).unwrap();
    until_job(&peripherals, "still", JobState::Confirmed);
    // A peripheral that is gone takes no more.
    peripherals.reload(venue.settings("")).unwrap();
    assert!(matches!(peripherals.submit(job_on("bar", "gone")), Err(Error::UnknownPeripheral(_))));
}

#[test]
fn a_driver_that_is_not_allowed_is_not_loaded() {
    let venue = Venue::real();
    let allow = format!("allow = [\"{}\"]\n", "0".repeat(64));
    let settings = venue.settings_of(&(allow + &venue.till()), "");
    let peripherals = venue.open(settings);
    let view = until_state(&peripherals, "till", PeripheralState::Quarantined);
    let alarm = view.alarm.unwrap();
    assert!(alarm.contains("is not in `allow`; mend it, then release it"), "{alarm}");
    peripherals.reload(venue.settings("")).unwrap();
    until_state(&peripherals, "till", PeripheralState::Ready);
}

#[test]
fn a_station_prints_what_hangs_there_and_says_what_became_of_it() {
    let (server, mut station) = (Venue::real(), Venue::real());
    station.station = Some("box-1".to_owned());
    let settings = |venue: &Venue| venue.settings_of(&(venue.till() + "station = \"box-1\"\n"), "");
    let here = server.open(settings(&server));
    let there = station.open(settings(&station));
    assert_eq!(view(&here, "till").state, PeripheralState::Absent);
    here.submit(job("one")).unwrap();
    let asking = |known: &[&str]| Asking {
        station: "box-1".to_owned(),
        incarnation: there.incarnation().to_owned(),
        known_jobs: known.iter().map(|id| (*id).to_owned()).collect(),
        max: 10,
    };
    let lost_on_its_way = here.offer(&asking(&[])).unwrap().jobs;
    assert_eq!(here.job("one").unwrap().state, JobState::Handed);
    let offered = here.offer(&asking(&[])).unwrap().jobs;
    assert_eq!(offered, lost_on_its_way);
    assert_eq!(view(&here, "till").state, PeripheralState::Ready);
    assert_eq!(there.accept(offered[0].clone()).unwrap(), Submitted::New);
    assert!(matches!(there.accept(offered[0].clone()).unwrap(), Submitted::Known(_)));
    assert!(here.offer(&asking(&["one"])).unwrap().jobs.is_empty());
    until_job(&there, "one", JobState::Confirmed);
    let own = there.job("one").unwrap();
    let told = HandIn { state: own.state, outcome: own.outcome };
    here.hand_in("box-1", "one", &told).unwrap();
    here.hand_in("box-1", "one", &told).unwrap();
    assert_eq!(here.job("one").unwrap().state, JobState::Confirmed);
    assert!(matches!(here.hand_in("box-2", "one", &told), Err(Error::NotYours { .. })));
    // A text for a display there: the latest, told once.
    for text in ["old", "new"] {
        let ops = vec![Op::Text(text.into())];
        here.show("till", Show::Steps(vec![Step { ops, for_ms: 1_000 }])).unwrap();
    }
    let shows = here.offer(&asking(&[])).unwrap().shows;
    assert_eq!(shows.len(), 1);
    assert!(
        matches!(&shows[0], (name, Show::Steps(steps)) if name == "till" && steps[0].ops == [Op::Text("new".into())])
    );
    assert!(here.offer(&asking(&[])).unwrap().shows.is_empty());
    assert_eq!((station.read("paper"), server.read("paper")), ("[one]\n".to_owned(), String::new()));
}

#[test]
fn a_second_server_does_not_get_the_queue() {
    let venue = Venue::real();
    let first = venue.open(venue.settings(""));
    let second = Peripherals::open(venue.settings(""), venue.place()).err().unwrap();
    assert!(matches!(second, Error::Queue(QueueError::Locked { .. })), "{second}");
    first.submit(job("one")).unwrap();
    until_job(&first, "one", JobState::Confirmed);
}

/// The server is killed again and again in the middle of printing. What it had taken is printed once, or told as
/// unknown; nothing is printed twice and nothing is forgotten.
#[test]
fn no_kill_of_the_server_prints_twice_or_loses_a_job_without_a_word() {
    const KILLS: u64 = 12;
    let venue = Venue::real();
    drop(venue.settings(""));
    let (mut taken, mut first) = (Vec::new(), 0);
    for round in 0..KILLS {
        let place = venue.place();
        let mut server = Command::new(example("killed_server"))
            .args([venue.path("peripherals.toml"), place.queue, place.drivers, real_host()])
            .arg(first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let before = std::fs::metadata(venue.path("paper")).map_or(0, |paper| paper.len());
        for _ in 0..=(round * 7) % 23 {
            taken.push(lines.next().unwrap().unwrap());
        }
        // At every other kill it prints just now.
        if round % 2 == 0 {
            let paper = venue.path("paper");
            until("something is printed", || {
                (std::fs::metadata(&paper).map_or(0, |paper| paper.len()) > before).then_some(())
            });
        }
        server.kill().unwrap();
        server.wait().unwrap();
        taken.extend(lines.map_while(Result::ok).filter(|line| line.starts_with("job-")));
        // One more may have been taken without a word of it.
        first = taken.last().unwrap().trim_start_matches("job-").parse::<u64>().unwrap() + 2;
    }
    let peripherals = venue.open(venue.settings(""));
    until("everything is over", || (view(&peripherals, "till").queued == 0).then_some(()));
    until_job_over(&peripherals);
    let paper = venue.read("paper");
    let (mut confirmed, mut unknown) = (0, 0);
    for id in &taken {
        let printed = times(&paper, id);
        match peripherals.job(id).unwrap().state {
            JobState::Confirmed => {
                confirmed += 1;
                assert_eq!(printed, 1, "{id}");
            }
            JobState::Unknown => {
                unknown += 1;
                assert!(printed <= 1, "{id}");
            }
            other => panic!("{id} is {other}"),
        }
    }
    assert!(unknown <= KILLS, "at most the job under way is not known: {unknown}");
    assert!(confirmed > 0);
    println!("{} jobs, {confirmed} confirmed, {unknown} unknown over {KILLS} kills", taken.len());
    exists(&venue.path("paper")).unwrap();
}

fn until_job_over(peripherals: &Peripherals) {
    until("nothing is under way", || {
        let filter = JobFilter { states: vec![JobState::Started, JobState::Queued], ..JobFilter::default() };
        peripherals.jobs(&filter).unwrap().is_empty().then_some(())
    });
}
