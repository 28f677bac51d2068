//! Every scenario at a tiny scale against the real server, and scenarios against servers that lie. Right and wrong are
//! looked at here; how fast anything was never is.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use load_tests::limits;
use serde_json::Value;

use crate::fake_server::{Answer, serve};

/// The server beside this program: `cargo test --workspace` has built it, and whoever tests this crate alone gets it built.
fn gatehouse() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let dir = Path::new(env!("CARGO_BIN_EXE_gatehouse-load")).parent().unwrap();
        let path = dir.join("gatehouse");
        if !path.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--locked", "--package", "api", "--target-dir"]).arg(dir.parent().unwrap());
            build.args(dir.ends_with("release").then_some("--release"));
            assert!(build.status().unwrap().success(), "the server could not be built");
        }
        path
    })
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatehouse-load")).arg("scenario").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs a scenario for a moment; gives its report.
fn report(name: &str, scale: &str) -> Value {
    let out = tempfile::tempdir().unwrap();
    let (program, dir) = (gatehouse().to_str().unwrap(), out.path().to_str().unwrap());
    let output = run(&[name, "--gatehouse", program, "--scale", scale, "--time", "1.5", "--out", dir]);
    // 3: something that was wanted was missed. That is about speed.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{name}: {}", text(&output));
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    stands_alone(&page);
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("report.json")).unwrap()).unwrap();
    for stream in report["streams"].as_array().unwrap() {
        let count = |key: &str| stream["tally"][key].as_u64().unwrap();
        assert_eq!((count("wrong"), count("lost")), (0, 0), "{name}: {stream}");
        assert_eq!(count("admitted") + count("denied"), stream["due"].as_u64().unwrap(), "{name}");
        assert!(stream["due"].as_u64().unwrap() > 0, "{name}");
        assert_eq!(stream["latency"]["count"], stream["due"], "{name}");
    }
    report
}

fn admitted(report: &Value, stream: usize) -> u64 {
    report["streams"][stream]["tally"]["admitted"].as_u64().unwrap()
}

/// Every element is closed in its turn, and nothing is fetched from anywhere.
fn stands_alone(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').unwrap_or_else(|| panic!("a tag does not end: {piece}"));
        assert!(!after.contains('>'), "a bare > in {piece}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (false, false) => open.push(name),
            (false, true) => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for word in ["src=", "href", "url(", "@import", "<script", "<link", "://"] {
        let texts = page.replace("http://127.0.0.1", "");
        assert!(!texts.contains(word), "{word}");
    }
    assert!(page.contains("<svg ") && !page.contains("NaN"));
}

#[test]
fn a_stadium_comes_in() {
    let report = report("stadium-60k", "0.01");
    assert!(admitted(&report, 0) >= 500, "{}", report["streams"][0]["tally"]);
    assert_eq!(report["parts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_late_surge_comes_in() {
    let report = report("late-surge", "0.2");
    assert!(admitted(&report, 1) > 50);
}

#[test]
fn guests_pass_two_perimeters_and_some_come_back() {
    let report = report("two-perimeters", "0.02");
    // 400 guests of whom some are copies and unknown codes, at two gates; 40 that are in, out and in again.
    assert!(admitted(&report, 0) > 700, "{}", report["streams"][0]["tally"]);
    assert_eq!(admitted(&report, 1), 120);
}

#[test]
fn a_backlog_is_taken_in_row_by_row() {
    let report = report("backlog", "0.05");
    let upload = &report["uploads"][0];
    assert_eq!(upload["rows"], 1_650);
    assert_eq!(upload["tally"]["admitted"], 1_650);
    assert_eq!(upload["tally"]["wrong"], 0);
    assert!(upload["conflicts"].as_u64().unwrap() > 0);
}

#[test]
fn junk_is_refused_beside_honest_guests() {
    let report = report("junk-flood", "0.1");
    assert!(admitted(&report, 0) > 50);
    assert_eq!(admitted(&report, 1), 0);
    assert!(report["streams"][1]["tally"]["denied"].as_u64().unwrap() > 100);
    // Every unknown code was asked of the filter, and the filter kept nearly all from the store.
    let counted = |name: &str| report["counters"][name].as_f64().unwrap();
    assert!(counted("gatehouse_cold_filter_asked_total") > 100.0, "{}", report["counters"]);
    assert!(counted("gatehouse_cold_lookups_total") < 50.0, "{}", report["counters"]);
}

#[test]
fn every_reader_comes_back_from_a_storm() {
    let report = report("reconnect-storm", "0.1");
    let reconnected = report["reconnected_s"].as_array().unwrap();
    assert_eq!(reconnected.len(), 2);
    assert!(reconnected.iter().all(Value::is_number), "{reconnected:?}");
    let retries = (0..3).map(|stream| report["streams"][stream]["retries"].as_u64().unwrap());
    assert!(retries.sum::<u64>() > 10, "answers were lost on the way");
}

#[test]
fn readers_open_a_connection_for_each_scan() {
    let report = report("connection-per-scan", "0.1");
    let due: u64 = (0..2).map(|stream| report["streams"][stream]["due"].as_u64().unwrap()).sum();
    let opened = report["counters"]["gatehouse_connections_opened_total"].as_f64().unwrap();
    assert!(opened >= due as f64, "{opened} for {due} scans");
}

#[test]
fn a_database_goes_away_and_is_caught_up_with() {
    let report = report("database-away", "0.1");
    let acts: Vec<&str> =
        report["server"]["acts"].as_array().unwrap().iter().map(|act| act[1].as_str().unwrap()).collect();
    assert_eq!(acts, ["stop_database", "start_database"]);
    assert!(report["server"]["caught_up_s"].is_number());
}

#[test]
fn a_league_plays_and_a_ticket_of_another_ground_is_refused() {
    let report = report("league", "0.02");
    assert!(admitted(&report, 0) > 1_000);
    assert!(report["streams"][0]["tally"]["denied"].as_u64().unwrap() > 0);
}

#[test]
fn slow_clients_hold_nobody_up_for_good() {
    let report = report("slow-clients", "0.2");
    assert_eq!(report["slow"][0]["clients"], 80);
    assert!(report["slow"][0]["opened"].as_u64().unwrap() > 0);
}

/// A scenario whose tickets a server of a few lines can tell apart: those with T are good once, others never.
const SMALL: &str = r#"
    title = "Small"
    about = "For servers that lie."
    [time]
    length_s = 1
    [venue]
    [[venue.zone]]
    name = "BOWL"
    [[venue.gate]]
    name = "IN"
    count = 4
    from = "outside"
    to = "BOWL"
    [[venue.type]]
    name = "SEAT"
    entries = 1
    [[stream]]
    name = "guests"
    guests = 400
    path = [{ gates = "IN", readers = 4 }]
    type = "SEAT"
    mix = { fresh = 70, copied = 10, used = 10, unknown = 10 }
"#;

fn small(addr: SocketAddr) -> Output {
    small_as(SMALL, addr).0
}

/// Runs a scenario against a server of a few lines; gives how it ended, and its report.
fn small_as(scenario: &str, addr: SocketAddr) -> (Output, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.toml");
    std::fs::write(&file, scenario).unwrap();
    let out = dir.path().join("out");
    let url = format!("http://{addr}");
    let output = run(&[file.to_str().unwrap(), "--url", &url, "--out", out.to_str().unwrap()]);
    stands_alone(&std::fs::read_to_string(out.join("report.html")).unwrap());
    let report = std::fs::read_to_string(out.join("report.json")).unwrap();
    (output, serde_json::from_str(&report).unwrap())
}

/// How often a code was presented before.
fn counting() -> impl Fn(&str) -> u32 + Send + Sync {
    let presented = Mutex::new(HashMap::new());
    move |code| {
        let mut presented = presented.lock().unwrap();
        let count = presented.entry(code.to_owned()).or_insert(0);
        *count += 1;
        *count - 1
    }
}

fn honest(code: &str, before: u32) -> Answer {
    match before {
        _ if !code.contains("-T") => Answer::Deny("unknown_ticket"),
        0 => Answer::Admit,
        _ => Answer::Deny("already_used"),
    }
}

#[test]
fn an_honest_server_passes() {
    let before = counting();
    let output = small(serve(move |code| honest(code, before(code))));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_server_that_admits_twice_fails_the_run_and_the_code_is_told() {
    let output = small(serve(|code| honest(code, 0)));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ADMITTED TWICE"), "{}", text(&output));
    assert!(text(&output).contains("was admitted a second time"), "{}", text(&output));
}

/// The lie that only a race shows: tickets that were used are refused, but not those presented at two gates at once.
#[test]
fn a_server_that_admits_a_ticket_at_two_gates_at_once_fails_the_run() {
    let before = counting();
    let output = small(serve(move |code| match before(code) {
        1 => honest(code, 0),
        before => honest(code, before),
    }));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ADMITTED TWICE"), "{}", text(&output));
}

#[test]
fn a_server_that_admits_what_nobody_sold_fails_the_run() {
    let before = counting();
    let output = small(serve(move |code| match before(code) {
        _ if code.contains("-X") => Answer::Admit,
        before => honest(code, before),
    }));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("had to be denied as unknown_ticket, was admitted"), "{}", text(&output));
}

/// The reply is lost after the decision, and the retry is taken for a second guest: the oldest fault of all.
#[test]
fn a_server_that_refuses_a_guest_whose_reply_was_lost_fails_the_run() {
    let (before, lost) = (counting(), Mutex::new(HashSet::new()));
    let output = small(serve(move |code| {
        let before = before(code);
        let is_lost = code.ends_with('7') && lost.lock().unwrap().insert(code.to_owned());
        if is_lost { Answer::HangUp } else { honest(code, before) }
    }));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("had to be admitted, was denied: already_used"), "{}", text(&output));
}

/// Its retry, after a connection that was closed and after two seconds of silence, has to get what was decided.
#[test]
fn a_scan_without_an_answer_is_sent_again_and_its_wait_counts() {
    let before = counting();
    let addr = serve(move |code| match before(code) {
        0 if code.ends_with('7') => Answer::HangUp,
        0 if code.ends_with("0021") => {
            std::thread::sleep(limits::ANSWER_WAIT + Duration::from_millis(200));
            Answer::Admit
        }
        _ => Answer::Admit,
    });
    let (output, report) =
        small_as(&SMALL.replace("fresh = 70, copied = 10, used = 10, unknown = 10", "fresh = 1"), addr);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let stream = &report["streams"][0];
    assert_eq!(stream["tally"]["admitted"], 400);
    // 40 codes end with 7, one with 0021.
    assert!(stream["retries"].as_u64().unwrap() >= 41, "{stream}");
    assert!(stream["latency"]["max_us"].as_f64().unwrap() >= 2e6, "{}", stream["latency"]);
}

#[test]
fn a_guest_who_is_never_answered_fails_the_run() {
    let addr = serve(|code| if code.ends_with("33") { Answer::HangUp } else { Answer::Admit });
    let fresh = SMALL.replace("fresh = 70, copied = 10, used = 10, unknown = 10", "fresh = 1");
    let fresh = fresh.replace("guests = 400", "guests = 400\nretries = 1");
    let (output, report) = small_as(&fresh, addr);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(report["streams"][0]["tally"]["lost"], 4);
    assert!(text(&output).contains("was never answered"), "{}", text(&output));
}

#[test]
fn what_is_missing_or_impossible_is_told_and_nothing_runs() {
    let check = |args: &[&str], told: &str| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{args:?}: {}", text(&output));
    };
    check(&["stadium-60k"], "say who is asked");
    check(&["stadium-61k", "--url", "http://127.0.0.1:1"], "is no scenario (stadium-60k, late-surge");
    check(&["database-away", "--url", "http://127.0.0.1:1"], "needs a server of its own");
    check(&["stadium-60k", "--url", "http://127.0.0.1:1", "--scale", "0"], "0.0001 to 100");
    check(&["stadium-60k", "--url", "http://127.0.0.1:1", "--time", "soon"], "real, compressed or seconds");
}

#[test]
fn the_scenarios_are_listed_and_their_venue_is_written_for_a_server_of_ones_own() {
    let listed = text(&run(&[]));
    assert!(listed.contains("stadium-60k") && listed.contains("slow-clients"), "{listed}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let output = run(&["league", "--scale", "0.01", "--write-venue", path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(text(&output).matches("gatehouse import tickets --event").count(), 20);
    assert!(dir.path().join("tickets-load-event-20.csv").exists());
}
