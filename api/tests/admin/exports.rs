//! Exports whose readers take nothing or leave: what others are told meanwhile, how they end, and what the audit says of it.
//! Knows the document and bytes.

use crate::api::{Api, is_problem, operator};
use crate::support::{Client, DEMO_TOKEN, Server, Site, request_bytes, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// As many are made at once.
const AT_ONCE: usize = 2;
/// A reader who takes nothing is cut off after a minute. Exports run when nobody else wants the core: some time more.
const ENDS_WITHIN: Duration = Duration::from_secs(150);
/// Between two looks at the audit.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Everything the demo has: some megabytes, more than the kernel keeps for a reader who takes nothing.
const SHEET: &str = "/api/v1/exports/tickets?format=ndjson&personal=true";

/// Asks for an export and takes no byte of it.
fn takes_nothing(server: &Server, token: &str) -> Client {
    let mut client = Client::to(server.api);
    let bearer = format!("Bearer {token}");
    client.send(&request_bytes("GET", SHEET, &[("Authorization", &bearer)], b"")).unwrap();
    client
}

/// What the audit says of this, oldest first.
fn told(api: &Api<'_>, action: &str) -> Vec<Value> {
    let mut lines = api.all(&format!("/api/v1/audit?action={action}"));
    lines.reverse();
    lines
}

/// Did exports that have ended leave whole?
fn whole(api: &Api<'_>) -> Vec<Value> {
    told(api, "export_ended").iter().map(|line| line["details"]["result"]["whole"].clone()).collect()
}

/// Waits until so many exports have ended.
fn have_ended(api: &Api<'_>, count: usize) {
    let began = Instant::now();
    while whole(api).len() < count {
        assert!(began.elapsed() < ENDS_WITHIN, "a reader keeps others out");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A site, its server, and as many exports as are made at once, by a manager; nobody takes a byte of them.
fn under_way() -> (Site, Server, Vec<Client>) {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0");
    let server = site.start();
    server.projected();
    let manager = operator(&site, "mona@venue.example", "manager");
    let readers = (0..AT_ONCE).map(|_| takes_nothing(&server, &manager)).collect();
    let api = Api::demo(&server);
    until("the exports to begin", || (told(&api, "export").len() == AT_ONCE).then_some(()));
    (site, server, readers)
}

/// One more export is refused, and nothing is noted of it.
#[track_caller]
fn no_room(api: &Api<'_>) {
    let answer = api.ask("GET", SHEET, &[], b"");
    let problem = is_problem(&answer, 503, "unavailable");
    assert_eq!(problem["detail"], "2 exports are under way; ask again when one of them has ended");
    assert_eq!(answer.header("Retry-After"), Some("10"));
    assert_eq!(told(api, "export").len(), AT_ONCE);
}

/// There is room for as many again.
fn room_again(server: &Server) {
    let sheets: Vec<Client> = (0..AT_ONCE)
        .map(|_| {
            until("room for an export", || {
                let mut reader = takes_nothing(server, DEMO_TOKEN);
                (reader.head().unwrap().0 == 200).then_some(reader)
            })
        })
        .collect();
    for mut sheet in sheets {
        let (mut text, mut chunk) = (Vec::new(), sheet.chunk().unwrap());
        while !chunk.is_empty() {
            text.extend(chunk);
            chunk = sheet.chunk().unwrap();
        }
        let last: Value =
            serde_json::from_slice(text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap())
                .unwrap();
        assert_eq!(last["end"], true);
    }
}

#[test]
fn a_third_export_at_once_is_refused_and_a_reader_who_takes_nothing_is_cut_off_without_a_last_line() {
    let (_site, server, readers) = under_way();
    let api = Api::demo(&server);
    no_room(&api);
    have_ended(&api, AT_ONCE);
    assert_eq!(whole(&api), [json!(false), json!(false)]);
    let ends = told(&api, "export_ended");
    assert!(ends.iter().all(|line| line["operator"] == "mona@venue.example"), "{ends:?}");
    room_again(&server);
    for mut reader in readers {
        assert_eq!(reader.head().unwrap().0, 200, "it had begun well");
        let mut sheet = Vec::new();
        let cut = loop {
            match reader.chunk() {
                Ok(chunk) => {
                    assert!(!chunk.is_empty(), "the last chunk says that all is there");
                    sheet.extend(chunk);
                }
                Err(cut) => break cut,
            }
        };
        assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(!sheet.is_empty() && !String::from_utf8_lossy(&sheet).contains("\"end\":true"));
    }
}

#[test]
fn a_reader_who_leaves_makes_room_at_once_and_the_audit_says_that_not_all_was_taken() {
    let (_site, server, readers) = under_way();
    let api = Api::demo(&server);
    no_room(&api);
    drop(readers);
    have_ended(&api, AT_ONCE);
    assert_eq!(whole(&api), [json!(false), json!(false)]);
    room_again(&server);
    have_ended(&api, 2 * AT_ONCE);
    assert_eq!(whole(&api)[AT_ONCE..], [json!(true), json!(true)]);
}

/// Rows of an export.
fn rows(api: &Api<'_>, what: &str) -> Vec<Value> {
    let sheet = api.file(&format!("/api/v1/exports/{what}format=ndjson"));
    let mut rows: Vec<Value> = sheet.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.pop().unwrap()["rows"], rows.len());
    rows
}

#[test]
fn attendance_by_interval_adds_up_to_the_counts_whatever_was_annulled_or_let_in_by_hand() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for (code, device, is_admitted) in [
        ("DEMO-VIP-0001", 900, true),
        ("DEMO-VIP-0001", 41, true),
        ("DEMO-VIP-0002", 900, true),
        ("DEMO-VIP-0003", 900, true),
        ("DEMO-VIP-0003", 41, true),
        ("DEMO-BLOCKED", 900, false),
        ("DEMO-SPECIMEN", 900, true),
        ("NOBODY-HAS-THIS", 900, false),
    ] {
        let told = server.scan(device, code, &format!("{code} at {device}"));
        assert_eq!(told["access_granted"], is_admitted, "{told}");
    }
    let by_hand = |code: &str| {
        let code = json!({"kind": "optical", "code": code});
        let guest = json!({"code": code, "gate": "ENTRANCE_01", "reason": "a friend", "scan_id": "by-hand"});
        api.create("/api/v1/admissions", &guest);
    };
    by_hand("A-STRANGER");
    server.projected();
    // One did not go in, and one did not go out.
    for (code, direction) in [("DEMO-VIP-0002", "entry"), ("DEMO-VIP-0003", "exit")] {
        let scans = api.all(&format!("/api/v1/scans?code={code}"));
        let scan = scans.iter().find(|scan| scan["direction"] == direction).unwrap();
        let annul = format!("/api/v1/scans/{}/annul", scan["lsn"]);
        assert_eq!(api.post(&annul, &json!({"reason": "turned round"}))["passage"], "annulled");
    }
    server.projected();
    let attendance = rows(&api, "attendance?event=demo-match&interval=10&");
    let sum = |name: &str| attendance.iter().map(|row| row[name].as_i64().unwrap()).sum::<i64>();
    let counts = rows(&api, "counts?event=demo-match&");
    let event = counts.iter().find(|row| row["what"] == "event").unwrap();
    let tallies = ["entries", "exits", "admits", "denials"];
    assert_eq!(tallies.map(sum), [2, 1, 5, 2]);
    assert_eq!(tallies.map(|name| event[name].as_i64().unwrap()), [2, 1, 5, 2], "{event}");
    assert_eq!(event["turns"], 1, "the stranger");
}
