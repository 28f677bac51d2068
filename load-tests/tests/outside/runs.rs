//! Closed and open loop against servers that are right, wrong, slow and gone.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use load_tests::client::{self, Judging, RunSettings, Waiting};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::request::Device;
use load_tests::target::Target;

use crate::echo::start_echo;
use crate::fake_server::{Answer, Writing, demo_rule, serve, serve_counted, serve_on};

fn settings(addr: SocketAddr, length_ms: u64) -> RunSettings {
    RunSettings {
        target: Target::at(addr),
        device: Device::default(),
        connection_count: 4,
        per_scan: false,
        warmup: Duration::ZERO,
        length: Duration::from_millis(length_ms),
        server_pid: None,
        judging: Judging::Strict,
        waiting: Waiting::Sleep,
        progress: None,
    }
}

fn pool(choice: CodeChoice) -> CodePool {
    CodePool::open(&choice, 0).unwrap()
}

/// Runs the binary for a short moment.
fn run(addr: SocketAddr, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse-load"));
    command.args(args).args(["--url", &format!("http://{addr}"), "--connections", "4", "--warmup", "0"]);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_right_server_passes_and_its_admissions_are_counted_exactly() {
    let admitted = Arc::new(AtomicU64::new(0));
    let (rule, count) = (demo_rule(), Arc::clone(&admitted));
    let addr = serve(move |code| {
        let answer = rule(code);
        count.fetch_add(u64::from(answer == Answer::Admit), Ordering::Relaxed);
        answer
    });
    let result = client::run_closed(&settings(addr, 200), &mut pool(CodeChoice::Mix)).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert_eq!(result.tally.admitted, admitted.load(Ordering::Relaxed));
    assert!(result.tally.denied > 0);
    assert!(result.answers > 0);
    assert_eq!(result.ended_early, None);
}

#[test]
fn each_scan_has_a_connection_of_its_own_where_that_is_asked_for() {
    let (addr, connections) =
        serve_counted("127.0.0.1:0".parse().unwrap(), Arc::new(demo_rule()), Writing::Whole);
    let settings = RunSettings { per_scan: true, ..settings(addr, 200) };
    let result = client::run_closed(&settings, &mut pool(CodeChoice::Mix)).unwrap();
    assert!(result.is_right() && result.tally.reconnects == 0, "{}", result.text());
    let scans = result.tally.admitted + result.tally.denied;
    // The last one of each is opened and not used.
    let unused = settings.connection_count as u64;
    assert!(scans > unused);
    assert!((scans..=scans + unused).contains(&connections.load(Ordering::Relaxed)));
}

#[test]
fn used_codes_are_denied_after_their_one_admission() {
    let addr = serve(demo_rule());
    let result = client::run_closed(&settings(addr, 300), &mut pool(CodeChoice::Used)).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert!(result.tally.admitted > 0);
    assert!(result.tally.admitted <= 1_000);
}

#[test]
fn replies_in_pieces_are_put_together() {
    let addr = serve_on("127.0.0.1:0".parse().unwrap(), Arc::new(demo_rule()), Writing::InPieces);
    let result = client::run_closed(&settings(addr, 100), &mut pool(CodeChoice::Mix)).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert!(result.answers > 0);
}

#[test]
fn a_server_that_admits_twice_fails_the_run_and_the_code_is_told() {
    let addr = serve(|_| Answer::Admit);
    let output = run(addr, &["closed", "--codes", "used", "--seconds", "0.3"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ADMITTED TWICE   DEMO-STD-"), "{}", text(&output));
    assert!(text(&output).contains("was admitted a second time"), "{}", text(&output));
}

#[test]
fn wrong_answers_of_every_kind_fail_the_run() {
    let check = |answer: Answer, expected: &str| {
        let rule = demo_rule();
        let wrong = answer.clone();
        let addr = serve(move |code| if code == "DEMO-STD-000003" { wrong.clone() } else { rule(code) });
        let output = run(addr, &["closed", "--seconds", "0.05"]);
        assert_eq!(output.status.code(), Some(1), "{answer:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{answer:?}: {}", text(&output));
    };
    check(Answer::Deny("too_late"), "DEMO-STD-000003 had to be admitted, was denied: too_late");
    check(Answer::Deny("already_used"), "--start");
    check(Answer::Fail(503), "DEMO-STD-000003 got no verdict: status 503");
    check(Answer::HangUp, "DEMO-STD-000003 was never answered");
}

#[test]
fn a_wrong_reason_for_a_used_code_fails_the_run() {
    let rule = demo_rule();
    let addr = serve(move |code| match rule(code) {
        Answer::Deny(_) => Answer::Deny("blocked"),
        answer => answer,
    });
    let output = run(addr, &["closed", "--codes", "mix", "--seconds", "0.2"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("had to be denied as already_used, was: blocked"), "{}", text(&output));
}

#[test]
fn two_runs_share_a_server_by_their_start() {
    let addr = serve(demo_rule());
    let first = run(addr, &["closed", "--seconds", "0.1"]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    let again = run(addr, &["closed", "--seconds", "0.1"]);
    assert_eq!(again.status.code(), Some(1), "its codes are used: {}", text(&again));
    let behind = run(addr, &["closed", "--seconds", "0.1", "--codes", "mix", "--start", "49000"]);
    assert_eq!(behind.status.code(), Some(0), "{}", text(&behind));
}

#[test]
fn a_file_of_codes_is_presented_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("codes.txt");
    std::fs::write(&path, (1..=300).map(|n| format!("DEMO-STD-{n:06}\n")).collect::<String>()).unwrap();
    let codes = format!("file:{}", path.display());
    let addr = serve(demo_rule());
    let output = run(addr, &["closed", "--codes", &codes, "--seconds", "20", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["tally"]["admitted"], 300);
    assert_eq!(result["tally"]["denied"], 0);
}

#[test]
fn nobody_there_and_nonsense_are_not_wrong_answers() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(run(gone, &["closed", "--seconds", "0.1"]).status.code(), Some(2));
    assert_eq!(run(gone, &["closed", "--seconds", "-1"]).status.code(), Some(2));
    assert_eq!(run(gone, &["closed", "--codes", "file:/does/not/exist"]).status.code(), Some(2));
    assert_eq!(run(gone, &["open"]).status.code(), Some(2), "--rate is needed");
}

#[test]
fn an_open_loop_sends_its_whole_schedule() {
    let addr = serve(demo_rule());
    let result = client::run_open(&settings(addr, 300), &mut pool(CodeChoice::Mix), 1_000).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert_eq!(result.tally.admitted + result.tally.denied, 300);
    assert_eq!(result.latency.count, 300);
}

#[test]
fn a_spinning_open_loop_sends_the_same_schedule() {
    let settings = RunSettings { waiting: Waiting::Spin, ..settings(serve(demo_rule()), 100) };
    let result = client::run_open(&settings, &mut pool(CodeChoice::Mix), 1_000).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert!(result.client_spins);
    assert_eq!(result.latency.count, 100);
}

/// The reason for the open loop. While the server stalls, 150 scans become due that a closed loop would never have sent;
/// each of them waited, and each must show it.
#[test]
fn a_stall_shows_in_the_latency_of_every_scan_that_had_to_wait_for_it() {
    const STALL: Duration = Duration::from_millis(300);
    let scan_count = Mutex::new(0);
    let rule = demo_rule();
    let addr = serve(move |code| {
        // Locked during the stall: the whole server stands still, as one whose disk does.
        let mut scan_count = scan_count.lock().unwrap();
        *scan_count += 1;
        if *scan_count == 100 {
            std::thread::sleep(STALL);
        }
        rule(code)
    });
    let result = client::run_open(&settings(addr, 1_000), &mut pool(CodeChoice::Mix), 500).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert_eq!(result.latency.count, 500);
    assert!(result.latency.p999_us >= 290_000.0, "{}", result.text());
    // 30 % of the scans became due during the stall, so a tenth of all waited for two thirds of it.
    assert!(result.latency.p90_us >= 190_000.0, "{}", result.text());
    assert!(result.send_delay.p90_us >= 190_000.0, "{}", result.text());
}

#[test]
fn the_echo_baseline_is_counted_without_being_judged() {
    let settings = RunSettings { judging: Judging::CountOnly, ..settings(start_echo(), 100) };
    let result = client::run_closed(&settings, &mut pool(CodeChoice::Mix)).unwrap();
    assert!(result.is_right(), "{}", result.text());
    assert!(!result.judged);
    assert!(result.answers > 0);
    assert!(result.client_cpu_us > 0.0);
}
