//! Statistics against an independent count over the access log, by people who read it line by line.

use crate::api::{Api, is_problem, operator};
use crate::support::{Server, Site};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A venue in Zurich with two events of long duration, two gates for the first, and group tickets.
fn venue() -> String {
    let mut text = String::new();
    for (name, starts) in [("cup", "2026-10-25T02:00:00Z"), ("last-year", "2025-10-25T02:00:00Z")] {
        text += &format!(
            "[[event]]\nname = '{name}'\ntitle = '{name}'\ntime_zone = 'Europe/Zurich'\ndoors_open = '2020-01-01T00:00:00Z'\nstarts = '{starts}'\nends = '2090-01-01T00:00:00Z'\n"
        );
    }
    text += "[[event]]\nname = 'empty'\ntitle = 'Nobody'\ntime_zone = 'UTC'\ndoors_open = '2020-01-01T00:00:00Z'\nstarts = '2020-01-01T01:00:00Z'\nends = '2090-01-01T00:00:00Z'\n\
             [[zone]]\nname = 'STAND'\ncapacity = 500\n\
             [[gate]]\nname = 'IN'\nevent = 'cup'\nfrom = 'outside'\nto = 'STAND'\n\
             [[gate]]\nname = 'OUT'\nevent = 'cup'\nfrom = 'STAND'\nto = 'outside'\n\
             [[gate]]\nname = 'OLD'\nevent = 'last-year'\nfrom = 'outside'\nto = 'STAND'\n\
             [[type]]\nname = 'SEAT'\nevent = 'cup'\nentries = 3\nreentry = 'after_exit'\n\
             [[type]]\nname = 'SEAT'\nevent = 'last-year'\nentries = 1\n";
    for (n, gate) in [(1, "IN"), (2, "OUT"), (3, "OLD")] {
        text += &format!(
            "[[device]]\nname = 'D{n}'\ngate = '{gate}'\nkey = 'key-of-d{n}'\nrate_per_minute = 0\n"
        );
    }
    text
}

fn site() -> Site {
    let site = Site::bare();
    site.command(&["import", "venue", &site.file("venue.toml", venue().as_bytes())]).well();
    for event in ["cup", "last-year"] {
        let rows: String = (1..=200).map(|n| format!("{event}-{n:03},SEAT\n")).collect();
        let list = site.file("list.csv", format!("code,type\n{rows}").as_bytes());
        site.command(&["import", "tickets", "--event", event, &list]).well();
    }
    site
}

/// What a device that was cut off showed at a moment.
fn row(code: &str, at: &str, granted: bool, id: &str) -> String {
    json!({"qr_data": code, "timestamp": at, "access_granted": granted, "scan_id": id}).to_string()
}

fn upload(server: &Server, device: u32, rows: &[String]) {
    let key = format!("key-of-d{device}");
    let headers = [("X-Api-Key", key.as_str())];
    let body = rows.join("\n");
    let answer = server.client().request("POST", "/api/access/offline", &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn scan(server: &Server, device: u32, code: &str, id: &str) -> Value {
    let body = json!({"device_id": format!("D{device}"), "api_key": format!("key-of-d{device}"), "qr_data": code, "scan_id": id});
    server.client().post("/api/access/validate", &body.to_string()).json()
}

/// Two evenings: one last year, one in the night the clocks go back, an entry each minute for three hours and more.
fn evenings(server: &Server) {
    let (mut now, mut then) = (Vec::new(), Vec::new());
    for n in 1..=190u32 {
        // 23:30 to 02:40 UTC: from 01:30 in summer to 03:40 in winter.
        let minute = 23 * 60 + 30 + n;
        let time = |day: u32| {
            format!("2026-10-{:02}T{:02}:{:02}:10Z", day + minute / 1440, minute / 60 % 24, minute % 60)
        };
        now.push(row(&format!("cup-{n:03}"), &time(24), true, &format!("now-{n}")));
        let time = time(24).replace("2026", "2025");
        then.push(row(&format!("last-year-{n:03}"), &time, n % 10 != 0, &format!("then-{n}")));
    }
    upload(server, 1, &now);
    upload(server, 3, &then);
    scan(server, 2, "cup-001", "out");
    scan(server, 1, "cup-001", "in-again");
    for n in 0..7 {
        scan(server, 1, "cup-002", &format!("inside-{n}"));
        scan(server, 1, "stranger", &format!("stranger-{n}"));
    }
    scan(server, 1, "cup-200", "annulled");
    let annul = json!({"device_id": "D1", "api_key": "key-of-d1", "scan_id": "annulled"}).to_string();
    assert_eq!(server.client().post("/api/access/annul", &annul).status, 200);
    server.projected();
}

/// Of the exported access log: admitted, denied, exits by hour (UTC), gate and type, for one event's scans.
fn reference(site: &Site, event: &str, key: impl Fn(&Value) -> String) -> BTreeMap<String, [i64; 3]> {
    let mut found = BTreeMap::<String, [i64; 3]>::new();
    for line in site.exported().iter().filter(|line| line["event"] == event) {
        let own = found.entry(key(line)).or_default();
        let people = line["people"].as_i64().unwrap();
        match (line["access_granted"].as_bool().unwrap(), line["direction"].as_str().unwrap()) {
            (false, _) => own[1] += 1,
            _ if line["passage"] == "annulled" => {}
            (_, "entry") => own[0] += people,
            _ => own[2] += people,
        }
    }
    found.retain(|_, flow| *flow != [0; 3]);
    found
}

fn told(answer: &Value, key: impl Fn(&Value) -> String) -> BTreeMap<String, [i64; 3]> {
    let items = answer["items"].as_array().unwrap().iter();
    let flow = |item: &Value| ["admitted", "denied", "exits"].map(|name| item[name].as_i64().unwrap());
    items.map(|item| (key(item), flow(item))).filter(|(_, flow)| *flow != [0; 3]).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

#[test]
fn figures_are_those_of_an_independent_count_over_the_access_log() {
    let site = site();
    let server = site.start();
    evenings(&server);
    let api = Api::with(&server, &operator(&site, "viewer@venue.example", "viewer"));
    let hour = |line: &Value, field: &str| line[field].as_str().unwrap()[..13].to_owned();
    for event in ["cup", "last-year"] {
        let path = format!("/api/v1/statistics/arrivals?event={event}&interval=3600");
        let by_hour = reference(&site, event, |line| hour(line, "decided_at"));
        assert_eq!(told(&api.get(&path), |item| hour(item, "from")), by_hour);
        let by_gate = reference(&site, event, |line| hour(line, "decided_at") + &text(&line["location"]));
        let answer = api.get(&format!("{path}&by=gate"));
        assert_eq!(told(&answer, |item| hour(item, "from") + &text(&item["gate"])), by_gate);
        let mut by_type = reference(&site, event, |line| {
            // The log names no type; there is one, and strangers have none.
            hour(line, "decided_at") + if line["ticket"].is_null() { "-" } else { "SEAT" }
        });
        by_type.retain(|key, _| !key.ends_with('-'));
        let answer = api.get(&format!("{path}&by=type"));
        assert_eq!(told(&answer, |item| hour(item, "from") + &text(&item["type"])), by_type);
        let by_minute = reference(&site, event, |line| text(&line["decided_at"])[..16].to_owned());
        let answer = api.get(&path.replace("3600", "60"));
        assert_eq!(told(&answer, |item| text(&item["from"])[..16].to_owned()), by_minute);
        for (by, field) in [("reason", "reason"), ("gate", "location"), ("device", "device_id")] {
            let mut expected = reference(&site, event, |line| text(&line[field]));
            expected.retain(|_, flow| flow[1] > 0);
            let answer = api.get(&format!("/api/v1/statistics/denials?event={event}&by={by}"));
            let items = answer["items"].as_array().unwrap();
            let found: BTreeMap<String, i64> =
                items.iter().map(|item| (text(&item["name"]), item["denied"].as_i64().unwrap())).collect();
            assert_eq!(found, expected.into_iter().map(|(name, flow)| (name, flow[1])).collect(), "{by}");
        }
    }
}

#[test]
fn the_hour_that_comes_twice_is_told_twice() {
    let site = site();
    let server = site.start();
    evenings(&server);
    let token = operator(&site, "viewer@venue.example", "viewer");
    let path = "/api/v1/statistics/arrivals?event=cup&interval=3600&since=2026-10-24T00:00:00Z&until=2026-10-26T00:00:00Z";
    let answer = Api::with(&server, &token).get(path);
    let hours: Vec<(String, i64)> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(&item["local"]), item["admitted"].as_i64().unwrap()))
        .collect();
    let expected = [("01", 29), ("02", 60), ("02", 60), ("03", 41)];
    let expected = expected.map(|(hour, people)| (format!("2026-10-25T{hour}:00:00"), people));
    assert_eq!(hours, expected);
}

#[test]
fn a_summary_says_how_an_event_stands_and_an_empty_one_is_no_mistake() {
    let site = site();
    let server = site.start();
    evenings(&server);
    let api = Api::with(&server, &operator(&site, "viewer@venue.example", "viewer"));
    let summary = api.get("/api/v1/statistics/summary?event=cup");
    let numbers =
        ["admitted", "exits", "attendance", "denied", "turns"].map(|name| summary[name].as_i64().unwrap());
    assert_eq!(numbers, [191, 1, 190, 14, 0], "{summary}");
    let reasons: Vec<String> =
        summary["denied_by_reason"].as_array().unwrap().iter().map(|own| text(&own["reason"])).collect();
    assert_eq!(reasons, ["already_inside", "unknown_ticket"]);
    assert_eq!(summary["zones"], json!([{"zone": "STAND", "inside": summary["inside"], "capacity": 500}]));
    assert_eq!(summary["gates"].as_array().unwrap().len(), 2);
    assert_eq!(summary["types"][0]["admitted"], 191);
    let empty = api.get("/api/v1/statistics/summary?event=empty");
    assert_eq!((&empty["admitted"], &empty["inside"], &empty["gates"]), (&json!(0), &json!(0), &json!([])));
    for path in ["arrivals?event=empty", "denials?event=empty", "compare?event=empty&with=empty"] {
        assert_eq!(api.get(&format!("/api/v1/statistics/{path}"))["items"], json!([]));
    }
    let forecast = api.get("/api/v1/statistics/forecast?event=empty");
    assert_eq!((&forecast["expected"], &forecast["shares"][0]["at"]), (&json!(0), &Value::Null));
    let ask = |path: &str| api.ask("GET", &format!("/api/v1/statistics/{path}"), &[], b"");
    for path in ["summary", "arrivals?event=cup&since=x", "repeats?event=cup&limit=0"] {
        is_problem(&ask(path), 400, "malformed_request");
    }
    for path in ["summary?event=none", "arrivals?event=cup&interval=61"] {
        is_problem(&ask(path), 422, "invalid");
    }
}

#[test]
fn repeated_codes_are_told_and_shown_to_those_who_may_see_them() {
    let site = site();
    let server = site.start();
    evenings(&server);
    let viewer = operator(&site, "viewer@venue.example", "viewer");
    let supervisor = operator(&site, "boss@venue.example", "supervisor");
    let path = "/api/v1/statistics/repeats?event=cup";
    let repeats = Api::with(&server, &supervisor).get(path);
    let codes = |list: &str| -> Vec<(String, i64, i64)> {
        let number = |item: &Value, name: &str| item[name].as_i64().unwrap();
        let items = repeats[list].as_array().unwrap().iter();
        let mut codes: Vec<_> = items
            .map(|item| (text(&item["code"]), number(item, "refused"), number(item, "admitted_again")))
            .collect();
        codes.sort();
        codes
    };
    let refused = [("cup-002".to_owned(), 7, 0), ("stranger".to_owned(), 7, 0)];
    assert_eq!(codes("most_refused"), refused);
    assert_eq!(codes("most_presented")[0], ("cup-001".to_owned(), 0, 1), "an entry after an exit");
    assert_eq!(codes("most_presented")[1..], refused);
    assert_eq!(Api::with(&server, &viewer).get(path)["most_refused"][0].get("code"), None);
}

#[test]
fn events_are_compared_from_kick_off_and_forecasts_say_their_method() {
    let site = site();
    let server = site.start();
    evenings(&server);
    let api = Api::with(&server, &operator(&site, "viewer@venue.example", "viewer"));
    let compared = api.get("/api/v1/statistics/compare?event=cup&with=last-year&interval=1800");
    assert_eq!((&compared["event"]["admitted"], &compared["with"]["admitted"]), (&json!(191), &json!(171)));
    let before = compared["items"].as_array().unwrap().iter().find(|item| item["from_s"] == -1_800).unwrap();
    assert_eq!(before["event"], json!({"admitted": 30, "admitted_until": 149, "denied": 0}));
    assert_eq!(before["with"], json!({"admitted": 27, "admitted_until": 135, "denied": 3}));
    let forecast = api.get("/api/v1/statistics/forecast?event=cup&like=last-year");
    assert_eq!((&forecast["method"], &forecast["expected"]), (&json!("earlier_event"), &json!(200)));
    let shares = forecast["shares"].as_array().unwrap();
    let already: Vec<bool> = shares.iter().map(|own| own["already"].as_bool().unwrap()).collect();
    assert_eq!(already, [true, true, false], "191 of 200 are in");
    assert!(text(&shares[0]["at"]).starts_with("2026-10-25T01:1"), "{forecast}");
    let plain = api.get("/api/v1/statistics/forecast?event=cup&expected=1000");
    assert_eq!((&plain["method"], &plain["expected"]), (&json!("last_minutes"), &json!(1000)));
    assert!(!text(&plain["explanation"]).is_empty());
}
