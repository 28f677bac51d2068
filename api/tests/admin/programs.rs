//! Programs with API tokens: how what they did is told apart from what their makers did. Knows the document and the log's lines.

use crate::api::{Api, is_problem, operator};
use crate::support::Site;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const MONA: &str = "mona@venue.example";

#[test]
fn the_audit_says_whose_token_changed_something_and_the_log_says_which() {
    let site = Site::demo().set("GATEHOUSE_LOG_FORMAT", "json");
    let server = site.start();
    let mona = operator(&site, MONA, "manager");
    let ends = Timestamp::now().checked_add(SignedDuration::from_hours(24)).unwrap().to_string();
    let made = ["the till", "the \"board\""].map(|name| {
        let new = json!({"name": name, "scopes": ["venue.write", "venue.read"], "expires_at": ends});
        let made = Api::with(&server, &mona).create("/api/v1/tokens", &new);
        made["token"].as_str().unwrap().to_owned()
    });
    let id = |token: &str| token.split('_').nth(1).unwrap().to_owned();
    let makes = |token: &str, zone: &str| {
        let named = [("X-Request-Id", zone)];
        let body = json!({"name": zone, "capacity": 10}).to_string();
        Api::with(&server, token).ask("POST", "/api/v1/zones", &named, body.as_bytes())
    };
    for (token, zone) in made.iter().chain([&mona]).zip(["TILL-1", "BOARD-1", "MONA-1"]) {
        assert_eq!(makes(token, zone).status, 201);
    }
    let event = Api::with(&server, &made[0]).ask(
        "POST",
        "/api/v1/events/demo-match/shred",
        &[("X-Request-Id", "REFUSED-1")],
        b"{}",
    );
    is_problem(&event, 403, "not_allowed");
    server.projected();
    for zone in ["TILL-1", "BOARD-1", "MONA-1"] {
        let lines = Api::demo(&server).all(&format!("/api/v1/audit?action=put_zone&subject={zone}"));
        assert_eq!(lines.iter().map(|line| &line["operator"]).collect::<Vec<_>>(), [MONA], "{zone}");
    }
    server.stop();
    let log: Vec<Value> = site.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = |request: &str| {
        let line = log.iter().find(|line| line["fields"]["id"] == request).unwrap();
        ["api_token", "api_token_id"].map(|field| line["fields"][field].clone())
    };
    assert_eq!(told("TILL-1"), [json!("the till"), json!(id(&made[0]))]);
    assert_eq!(told("BOARD-1"), [json!("the \"board\""), json!(id(&made[1]))]);
    assert_eq!(told("REFUSED-1"), told("TILL-1"), "also what it may not do");
    assert_eq!(told("MONA-1"), [Value::Null, Value::Null]);
    for token in &made {
        assert!(!site.log().contains(token.rsplit('_').next().unwrap()), "a secret is in the log");
    }
}
