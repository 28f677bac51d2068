//! Printers, displays, jobs and stations by the API: real driver hosts, paper that can be read. What drivers do when things
//! break is not looked at here.

use crate::api::{Api, is_problem, operator};
use crate::paper::{Paper, drivers};
use crate::support::{Server, Site, until};
use serde_json::{Value, json};
use std::path::PathBuf;

const SLIP: &str = "elements = [{ text = '{verdict} {holder|nobody} at {gate}' }]\n";

/// A node with a printer at this way, one that is away, one at a station, and a display.
pub fn site(way: &str) -> Site {
    let site = Site::demo();
    site.file("slip.toml", SLIP.as_bytes());
    let file = site.file("peripherals.toml", settings(way).as_bytes());
    let drivers = drivers(&site, &["virtual", "virtual-display"]);
    site.set("GATEHOUSE_PERIPHERALS_FILE", &file).set("GATEHOUSE_DRIVERS_DIR", &drivers)
}

fn settings(way: &str) -> String {
    let one = |name: &str, driver: &str, way: &str| {
        format!("[[peripheral]]\nname = '{name}'\ndriver = '{driver}'\nconnection = '{way}'\n")
    };
    [
        one("help-desk", "virtual", way),
        one("away", "virtual", "tcp://127.0.0.1:9"),
        one("box", "virtual", "file:/dev/null") + "station = 'box-1'\n",
        one("board", "virtual-display", "file:/dev/null"),
        "[[template]]\nname = 'slip'\nfile = 'slip.toml'\n".to_owned(),
        "[[rule]]\nname = 'by-hand'\non = 'button'\nprint = 'slip'\nprinters = ['help-desk']\n".to_owned(),
    ]
    .concat()
}

fn ready(api: &Api<'_>, name: &str) {
    let at = format!("/api/v1/peripherals/{name}");
    until("a driver that works", || (api.get(&at)["state"] == "ready").then_some(()));
}

fn done(api: &Api<'_>, job: &str, state: &str) -> Value {
    let at = format!("/api/v1/jobs/{job}");
    until("the job to be done with", || Some(api.get(&at)).filter(|job| job["state"] == state))
}

fn ask(api: &Api<'_>, path: &str, body: &Value) -> crate::support::Answer {
    api.ask("POST", path, &[], body.to_string().as_bytes())
}

#[test]
fn people_print_show_look_and_decide_by_their_roles() {
    let paper = Paper::new();
    let site = site(&paper.way);
    let token = |role: &str| operator(&site, &format!("{role}@venue.example"), role);
    let (viewer, steward) = (token("viewer"), token("steward"));
    let server = site.start();
    let (viewer, steward, demo) =
        (Api::with(&server, &viewer), Api::with(&server, &steward), Api::demo(&server));
    ready(&steward, "help-desk");
    let print =
        json!({"peripheral": "help-desk", "lines": ["Lost child at gate 4", "\u{1b}@"], "id": "call-1"});
    is_problem(&ask(&viewer, "/api/v1/jobs", &print), 403, "not_allowed");
    let made = steward.create("/api/v1/jobs", &print);
    assert_eq!(made["origin"], json!({"kind": "operator", "name": "steward@venue.example", "lsn": null}));
    paper.wait_for("Lost child");
    let job = done(&steward, "call-1", "confirmed");
    assert_eq!((&job["outcome"]["done"], &job["attempts"]), (&json!("confirmed"), &json!(1)), "{job}");
    assert_eq!(steward.post("/api/v1/jobs", &print)["state"], "confirmed", "the same again is the same job");
    let other = json!({"peripheral": "help-desk", "lines": ["something else"], "id": "call-1"});
    is_problem(&ask(&steward, "/api/v1/jobs", &other), 409, "conflict");
    assert_eq!(paper.count("Lost child"), 1);
    assert!(!paper.text().contains('\u{1b}'), "a control character went through");
    let button = json!({"values": {"holder": "Press: Anna"}, "id": "b1"});
    for _ in 0..2 {
        assert_eq!(steward.post("/api/v1/gates/ENTRANCE_01/button", &button)["jobs"], json!(["b1:1"]));
    }
    paper.wait_for("button Press: Anna at ENTRANCE_01");
    done(&steward, "b1:1", "confirmed");
    assert_eq!(paper.count("Press: Anna"), 1);
    let text = json!({"lines": ["Gate 4 is closed"], "for_ms": 100});
    assert_eq!(ask(&steward, "/api/v1/peripherals/board/show", &text).status, 204);
    let decide = json!({"as": "reprint", "reason": "it fell into the mud"});
    is_problem(&ask(&steward, "/api/v1/jobs/call-1/resolve", &decide), 403, "not_allowed");
    let refused = is_problem(&ask(&demo, "/api/v1/jobs/call-1/resolve", &decide), 409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("confirmed"), "{refused}");
    server.stop();
}

#[test]
fn what_cannot_be_done_is_said_with_its_field() {
    let site = site(&Paper::new().way);
    let server = site.start();
    let api = Api::demo(&server);
    ready(&api, "board");
    ready(&api, "help-desk");
    let lines = |count: usize| vec!["a"; count];
    for (path, body, status, words) in [
        ("/jobs", json!({"peripheral": "tlil", "lines": ["a"]}), 422, "peripheral"),
        ("/jobs", json!({"peripheral": "help-desk", "template": "nothing"}), 422, "template"),
        ("/jobs", json!({"peripheral": "help-desk"}), 422, "template"),
        ("/jobs", json!({"peripheral": "help-desk", "linse": []}), 422, "linse"),
        ("/jobs", json!({"peripheral": "help-desk", "lines": []}), 422, "lines"),
        ("/jobs", json!({"peripheral": "help-desk", "lines": lines(201)}), 422, "lines"),
        ("/jobs", json!({"peripheral": "help-desk", "lines": ["a"], "id": "rule:x"}), 422, "id"),
        ("/jobs", json!({"peripheral": "help-desk", "lines": ["a"], "expires_s": 0}), 422, "expires_s"),
        ("/jobs", json!({"peripheral": "board", "lines": ["a"]}), 409, "board"),
        ("/jobs/nothing/cancel", json!({"reason": "why not"}), 404, "nothing"),
        ("/jobs/nothing/cancel", json!({"reason": ""}), 422, "reason"),
        ("/peripherals/help-desk/show", json!({"lines": ["a"]}), 409, "help-desk"),
        ("/peripherals/nothing/show", json!({"lines": ["a"]}), 404, "nothing"),
        ("/peripherals/board/show", json!({"lines": lines(5)}), 422, "lines"),
        ("/peripherals/board/open-drawer", json!({"reason": "change"}), 409, "board"),
        ("/peripherals/box/open-drawer", json!({"reason": "change"}), 409, "box-1"),
        ("/peripherals/nothing/release", json!({}), 404, "nothing"),
        ("/gates/NOWHERE/button", json!({}), 404, "NOWHERE"),
        ("/gates/ENTRANCE_01/button", json!({"id": ""}), 422, "id"),
        ("/gates/ENTRANCE_01/button", json!({"id": "x".repeat(57)}), 422, "id"),
        ("/stations", json!({"name": "box 1"}), 422, "name"),
    ] {
        let answer = ask(&api, &format!("/api/v1{path}"), &body);
        let said = answer.json();
        assert_eq!(answer.status, status, "{path} {body}: {said}");
        assert!(said["detail"].as_str().unwrap().contains(words), "{path} {body}: {said}");
    }
    server.stop();
}

#[test]
fn jobs_come_in_pages_newest_first_and_by_what_they_are() {
    let site = site(&Paper::new().way);
    let server = site.start();
    let api = Api::demo(&server);
    for number in 1..=5 {
        let printer = if number % 2 == 0 { "away" } else { "box" };
        api.create(
            "/api/v1/jobs",
            &json!({"peripheral": printer, "lines": ["a"], "id": format!("job {number}")}),
        );
    }
    let ids = |path: &str| -> Vec<String> {
        api.all(path).iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/api/v1/jobs?limit=2"), ["job 5", "job 4", "job 3", "job 2", "job 1"]);
    assert_eq!(ids("/api/v1/jobs?limit=1&peripheral=box"), ["job 5", "job 3", "job 1"]);
    let cancelled = api.post("/api/v1/jobs/job%203/cancel", &json!({"reason": "not wanted any more"}));
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(ids("/api/v1/jobs?state=cancelled"), ["job 3"]);
    is_problem(&api.ask("GET", "/api/v1/jobs?state=lost", &[], b""), 400, "malformed_request");
    let names: Vec<Value> =
        api.all("/api/v1/peripherals?limit=1").iter().map(|own| own["name"].clone()).collect();
    assert_eq!(names, ["away", "board", "box", "help-desk"]);
    server.stop();
}

/// Lines of the audit with this action, as (who, what, details).
fn audit(api: &Api<'_>, action: &str) -> Vec<(Value, Value, Value)> {
    let lines = api.all(&format!("/api/v1/audit?action={action}"));
    lines
        .iter()
        .map(|line| (line["operator"].clone(), line["subject"].clone(), line["details"].clone()))
        .collect()
}

#[test]
fn what_people_decide_is_in_the_audit_and_holds_after_a_kill() {
    let paper = Paper::new();
    let site = site(&paper.way);
    let (who, token) = ("sue@venue.example", operator(&site, "sue@venue.example", "manager"));
    let server = site.start();
    let api = Api::with(&server, &token);
    ready(&api, "help-desk");
    let reason = |words: &str| json!({"reason": words});
    api.create("/api/v1/jobs", &json!({"peripheral": "box", "lines": ["to be taken back"], "id": "b"}));
    api.post("/api/v1/jobs/b/cancel", &reason("the guest left"));
    let outcome = api.post("/api/v1/peripherals/help-desk/open-drawer", &reason("change for the till"));
    let file = PathBuf::from(site.data_text()).with_file_name("peripherals.toml");
    std::fs::write(&file, settings(&paper.way).replace("'away'", "'far-away'")).unwrap();
    assert_eq!(ask(&api, "/api/v1/settings/peripherals/reload", &json!({})).status, 204);
    assert_eq!(ask(&api, "/api/v1/peripherals/far-away/release", &json!({})).status, 204);
    std::fs::write(&file, "[[peripheral]]\nname = 'far-away'\nspeed = 3\n").unwrap();
    let wrong = is_problem(&ask(&api, "/api/v1/settings/peripherals/reload", &json!({})), 409, "conflict");
    assert!(wrong["detail"].as_str().unwrap().contains("speed"), "{wrong}");
    std::fs::write(&file, settings(&paper.way).replace("'away'", "'far-away'")).unwrap();
    server.kill();
    let server = site.start();
    let api = Api::with(&server, &token);
    assert_eq!(api.get("/api/v1/jobs/b")["state"], "cancelled");
    let line = |subject: &str, details: Value| vec![(json!(who), json!(subject), details)];
    assert_eq!(audit(&api, "job_cancel"), line("b", reason("the guest left")));
    assert_eq!(audit(&api, "job_print"), line("b", json!({"peripheral": "box", "template": null})));
    let drawer = json!({"reason": "change for the till", "outcome": outcome});
    assert_eq!(audit(&api, "drawer_open"), line("help-desk", drawer));
    assert_eq!(audit(&api, "peripheral_release"), line("far-away", json!({})));
    assert_eq!(
        audit(&api, "peripherals_reload"),
        line("peripherals file", json!({})),
        "the second changed nothing"
    );
    let own: Vec<Value> =
        api.all("/api/v1/job-decisions?limit=1").iter().map(|one| one["what"].clone()).collect();
    assert_eq!(own, ["release", "drawer outcome", "drawer", "cancel"]);
    server.stop();
}

fn offer(server: &Server, key: &str) -> crate::support::Answer {
    let asking = json!({"incarnation": "a", "max": 5}).to_string();
    Api::with(server, key).ask("POST", "/api/v1/station/offer", &[], asking.as_bytes())
}

#[test]
fn a_stations_key_opens_its_own_work_and_nothing_else_until_it_is_ended() {
    let site = site(&Paper::new().way);
    let server = site.start();
    let api = Api::demo(&server);
    let made = api.create("/api/v1/stations", &json!({"name": "box-1"}));
    assert_eq!(api.header("Cache-Control"), "no-store");
    let first = made["key"].as_str().unwrap();
    assert_eq!(api.get("/api/v1/stations")["items"], json!([{"name": "box-1", "online": false}]));
    api.create("/api/v1/jobs", &json!({"peripheral": "box", "lines": ["for the box"], "id": "x"}));
    let offered = offer(&server, first);
    assert_eq!((offered.status, &offered.json()["offered"]["jobs"][0]["job"]["id"]), (200, &json!("x")));
    assert_eq!(api.get("/api/v1/stations")["items"][0]["online"], true);
    assert_eq!(api.get("/api/v1/peripherals/box")["state"], "ready");
    for path in ["/api/v1/tickets", "/api/v1/jobs", "/api/v1/me", "/api/v1/events"] {
        is_problem(&Api::with(&server, first).ask("GET", path, &[], b""), 403, "not_allowed");
    }
    let second =
        api.create("/api/v1/stations", &json!({"name": "box-1"}))["key"].as_str().unwrap().to_owned();
    assert_eq!((offer(&server, first).status, offer(&server, &second).status), (401, 200), "the key before");
    assert_eq!(api.ask("DELETE", "/api/v1/stations/box-1", &[], b"").status, 204);
    assert_eq!(offer(&server, &second).status, 401);
    is_problem(&api.ask("DELETE", "/api/v1/stations/box-1", &[], b""), 404, "not_found");
    assert_eq!(api.get("/api/v1/stations")["items"], json!([]));
    assert_eq!(
        offer(&server, crate::support::DEMO_TOKEN).json()["error"],
        "not_allowed",
        "a person is no station"
    );
    server.kill();
    let server = site.start();
    assert_eq!(offer(&server, &second).status, 401, "it stays so");
    assert_eq!(audit(&Api::demo(&server), "station_ended").len(), 1);
    server.stop();
}

#[test]
fn a_node_without_printers_has_none_and_says_how_to_name_them() {
    let server = Site::demo().start();
    let api = Api::demo(&server);
    for list in ["/api/v1/peripherals", "/api/v1/jobs", "/api/v1/job-decisions", "/api/v1/stations"] {
        assert_eq!(api.get(list)["items"], json!([]), "{list}");
    }
    let print = json!({"peripheral": "help-desk", "lines": ["a"]});
    let refused = is_problem(&ask(&api, "/api/v1/jobs", &print), 409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("--peripherals-file"), "{refused}");
    server.stop();
}
