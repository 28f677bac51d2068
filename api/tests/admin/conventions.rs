//! What all resources have in common: problems, versions, pages, request ids.

use crate::api::{Api, is_problem};
use crate::support::Site;
use serde_json::json;

#[test]
fn a_thing_is_made_once_and_replaced_by_who_has_seen_its_newest_version() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let made = api.create("/api/v1/zones", &json!({"name": "NORTH/1", "capacity": 10}));
    assert_eq!(made, json!({"name": "NORTH/1", "capacity": 10, "rule": "hard"}));
    let at = api.header("Location");
    assert_eq!(at, "/api/v1/zones/NORTH%2F1");
    let again = api.ask("POST", "/api/v1/zones", &[], made.to_string().as_bytes());
    is_problem(&again, 409, "conflict");
    api.get(&at);
    let version = api.header("ETag");
    let unchanged = api.ask("GET", &at, &[("If-None-Match", &version)], b"");
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let wider = json!({"name": "NORTH/1", "capacity": 20, "rule": "soft"}).to_string();
    is_problem(&api.ask("PUT", &at, &[], wider.as_bytes()), 428, "precondition_required");
    let put = |version: &str| api.ask("PUT", &at, &[("If-Match", version)], wider.as_bytes());
    is_problem(&put("\"another\""), 412, "precondition_failed");
    assert_eq!(put(&version).status, 200);
    is_problem(&put(&version), 412, "precondition_failed");
    server.kill();
    let server = site.start();
    assert_eq!(Api::demo(&server).get(&at)["capacity"], 20, "a change that was answered stays");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let post = |body: &str| api.ask("POST", "/api/v1/zones", &[], body.as_bytes());
    let problem = is_problem(&post(r#"{"name": "X", "capacity": "ten"}"#), 422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "capacity");
    is_problem(&post(r#"{"name": "X", "colour": 1}"#), 422, "invalid");
    is_problem(&post(r#"{"name": "#), 400, "malformed_request");
    is_problem(&post(r#"{"name": "X"} more"#), 400, "malformed_request");
    is_problem(&post(&format!(r#"{{"name": "{}"}}"#, "x".repeat(129))), 422, "invalid");
    is_problem(&post(&format!(r#"{{"name": "{}"}}"#, "x".repeat(300_000))), 413, "too_large");
    let xml = [("Content-Type", "text/xml")];
    is_problem(&api.ask("POST", "/api/v1/zones", &xml, b"<a/>"), 415, "unsupported_media_type");
    let packed = [("Content-Encoding", "gzip")];
    is_problem(&api.ask("POST", "/api/v1/zones", &packed, b"{}"), 415, "unsupported_media_type");
    is_problem(&api.ask("GET", "/api/v1/zones/nowhere", &[], b""), 404, "not_found");
    is_problem(&api.ask("GET", "/api/v1/zones?limit=0", &[], b""), 400, "malformed_request");
    is_problem(&api.ask("GET", "/api/v1/zones?after=zzz", &[], b""), 400, "malformed_request");
    is_problem(&api.ask("GET", "/api/v1/zones?colour=red", &[], b""), 400, "malformed_request");
    let answer = api.ask("DELETE", "/api/v1/zones", &[], b"");
    is_problem(&answer, 405, "method_not_allowed");
    assert!(answer.header("Allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
}

#[test]
fn a_list_comes_in_pages_and_every_answer_names_its_request() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for n in 0..5 {
        api.create("/api/v1/zones", &json!({"name": format!("Z{n}")}));
    }
    let names: Vec<String> = api
        .all("/api/v1/zones?limit=2")
        .iter()
        .map(|zone| zone["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["BOWL", "Z0", "Z1", "Z2", "Z3", "Z4", "outside"]);
    let answer = api.ask("GET", "/api/v1/zones?limit=2", &[("X-Request-Id", "abc-1")], b"");
    assert_eq!(answer.header("X-Request-Id"), Some("abc-1"));
    let link = answer.header("Link").unwrap();
    assert!(link.starts_with("</api/v1/zones?limit=2&after=") && link.ends_with("; rel=\"next\""), "{link}");
    let bad = api.ask("GET", "/api/v1/zones", &[("X-Request-Id", "a b\"c")], b"");
    assert_eq!(bad.header("X-Request-Id").unwrap().len(), 16, "an id that could mislead is not taken over");
}
