//! What all resources have in common: problems, versions, pages, request ids, keys, limits, and what browsers are told.

use crate::api::{Api, is_problem, operator};
use crate::support::{Answer, Client, DEMO_TOKEN, Server, Site, request_bytes, until};
use serde_json::json;
use std::time::Duration;

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

#[test]
fn a_post_with_a_key_is_done_once_and_answered_alike_also_after_a_kill() {
    let site = Site::demo();
    let server = site.start();
    let send = |server: &Server, key: &str, body: &str| {
        Api::demo(server).ask("POST", "/api/v1/zones", &[("Idempotency-Key", key)], body.as_bytes())
    };
    let first = send(&server, "one", r#"{"name": "WEST"}"#);
    assert_eq!((first.status, first.header("Idempotency-Replayed")), (201, None));
    let same = |again: &Answer| {
        assert_eq!((again.status, &again.body), (201, &first.body));
        for name in ["ETag", "Location", "Content-Type"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    };
    same(&send(&server, "one", r#"{"name": "WEST"}"#));
    is_problem(&send(&server, "one", r#"{"name": "EAST"}"#), 422, "idempotency_key_reused");
    is_problem(&send(&server, "two", r#"{"name": "WEST"}"#), 409, "conflict");
    let mended = send(&server, "two", r#"{"name": "EAST"}"#);
    assert_eq!(mended.status, 201, "a refusal has changed nothing, and its key is free: {}", mended.text());
    for wrong in ["", "a b", "\u{e4}", &"k".repeat(201)] {
        is_problem(&send(&server, wrong, r#"{"name": "NORTH"}"#), 400, "malformed_request");
    }
    server.kill();
    let server = site.start();
    same(&send(&server, "one", r#"{"name": "WEST"}"#));
}

#[test]
fn a_key_belongs_to_the_one_who_sent_it() {
    let site = Site::demo();
    let server = site.start();
    let other = operator(&site, "other@venue.example", "manager");
    let key = [("Idempotency-Key", "mine")];
    let ask = |token: &str, name: &str| {
        let body = json!({"name": name}).to_string();
        Api::with(&server, token).ask("POST", "/api/v1/zones", &key, body.as_bytes())
    };
    assert_eq!(ask(DEMO_TOKEN, "WEST").status, 201);
    let others = ask(&other, "EAST");
    assert_eq!((others.status, others.header("Idempotency-Replayed")), (201, None));
    is_problem(&ask("", "WEST"), 401, "unauthenticated");
}

#[test]
fn a_kill_between_a_change_and_its_answer_lets_no_repeat_do_it_twice() {
    let site = Site::demo();
    let mut answered = std::collections::BTreeSet::new();
    for round in 0..6 {
        let server = site.start();
        let (name, key) = (format!("Z{round}"), format!("key-{round}"));
        let body = json!({ "name": name }).to_string();
        let bearer = format!("Bearer {DEMO_TOKEN}");
        let headers =
            [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Idempotency-Key", &*key)];
        let mut client = Client::to(server.api);
        client.send(&request_bytes("POST", "/api/v1/zones", &headers, body.as_bytes())).unwrap();
        // A different moment each time, from "before it was read" to "after it was answered".
        std::thread::sleep(Duration::from_micros(200 * round * round));
        server.kill();
        let server = site.start();
        let again = Api::demo(&server).ask("POST", "/api/v1/zones", &headers[2..], body.as_bytes());
        match again.status {
            201 => drop(answered.insert(again.header("Idempotency-Replayed").is_some())),
            // Doing it a second time would say that there is a zone of this name already: `conflict`.
            _ => drop(is_problem(&again, 409, "outcome_unknown")),
        }
        server.kill();
    }
    assert!(!answered.is_empty(), "nothing could be told in any round");
}

#[test]
fn who_hangs_up_finds_the_answer_with_the_same_key() {
    let site = Site::demo();
    let server = site.start();
    let bearer = format!("Bearer {DEMO_TOKEN}");
    let headers =
        [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    let body = br#"{"name": "WEST"}"#;
    let mut client = Client::to(server.api);
    client.send(&request_bytes("POST", "/api/v1/zones", &headers, body)).unwrap();
    drop(client);
    let answer = until("the answer", || {
        let answer = Api::demo(&server).ask("POST", "/api/v1/zones", &headers[2..], body);
        if answer.status == 201 {
            return Some(answer);
        }
        is_problem(&answer, 409, "in_progress");
        assert_eq!(answer.header("Retry-After"), Some("1"));
        None
    });
    assert_eq!(answer.json()["name"], "WEST");
}

#[test]
fn requests_are_counted_for_each_who_asks_and_the_limit_says_when_to_go_on() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "5");
    let server = site.start();
    let other = operator(&site, "other@venue.example", "viewer");
    let ask = |token: &str| Api::with(&server, token).ask("GET", "/api/v1/me", &[], b"");
    for left in (0..5).rev() {
        let answer = ask(DEMO_TOKEN);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("RateLimit-Remaining"), Some(&*left.to_string()));
    }
    let refused = ask(DEMO_TOKEN);
    is_problem(&refused, 429, "rate_limited");
    let wait: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(refused.header("RateLimit-Limit"), Some("5"));
    assert_eq!(ask(&other).status, 200, "another person is not meant");
    for _ in 0..5 {
        is_problem(&ask("no-such-token"), 401, "unauthenticated");
    }
    is_problem(&ask("another-guess"), 429, "rate_limited");
    assert_eq!(Api::with(&server, "").ask("GET", "/healthz", &[], b"").status, 200, "health is not counted");
}

#[test]
fn pages_of_other_origins_are_let_in_by_name_only() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_CORS_ORIGINS", "https://tickets.example");
    let server = site.start();
    let ask = |method: &str, origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "PUT"),
            ("Access-Control-Request-Headers", "authorization,if-match"),
        ];
        Api::with(&server, "").ask(method, "/api/v1/zones/BOWL", &headers, b"")
    };
    let allowed = |answer: &Answer| answer.header("Access-Control-Allow-Origin").map(str::to_owned);
    let preflight = ask("OPTIONS", "https://tickets.example");
    assert_eq!((preflight.status, allowed(&preflight).as_deref()), (200, Some("https://tickets.example")));
    assert!(preflight.header("Access-Control-Allow-Methods").unwrap().contains("PUT"));
    assert!(preflight.header("Access-Control-Allow-Headers").unwrap().contains("if-match"));
    for other in ["https://tickets.example.evil.example", "http://tickets.example", "null"] {
        assert_eq!(allowed(&ask("OPTIONS", other)), None, "{other}");
    }
    let read = ask("GET", "https://tickets.example");
    assert_eq!((read.status, allowed(&read).as_deref()), (401, Some("https://tickets.example")));
    assert!(read.header("Access-Control-Expose-Headers").unwrap().contains("etag"));
    drop(server);
    let site = Site::demo();
    let server = site.start();
    let origin = [("Origin", "https://tickets.example")];
    assert_eq!(allowed(&Api::demo(&server).ask("GET", "/api/v1/me", &origin, b"")), None);
}

#[test]
fn every_answer_keeps_browsers_careful() {
    let site = Site::demo();
    let server = site.start();
    for (path, policy) in [
        ("/api/v1/zones", "default-src 'none'"),
        ("/api/v1/no", "default-src 'none'"),
        ("/docs/", "default-src 'self'"),
    ] {
        let answer = Api::demo(&server).ask("GET", path, &[], b"");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("X-Frame-Options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("Content-Security-Policy").unwrap().starts_with(policy), "{path}");
        let private = path.starts_with("/api").then_some("no-store");
        assert_eq!(answer.header("Cache-Control"), private, "{path}");
    }
    is_problem(&Api::demo(&server).ask("GET", "/api/v1/no", &[], b""), 404, "not_found");
}

#[test]
fn head_is_a_get_without_its_body_and_options_tells_what_a_path_has() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for path in ["/api/v1/zones", "/api/v1/zones/BOWL", "/api/v1/me", "/openapi.json", "/healthz", "/docs/"] {
        let (get, head) = (api.ask("GET", path, &[], b""), api.ask("HEAD", path, &[], b""));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{path}");
    }
    let options = Api::with(&server, "").ask("OPTIONS", "/api/v1/zones", &[], b"");
    assert_eq!(options.status, 204);
    assert!(options.header("Allow").is_some_and(|allow| allow.contains("POST")), "{options:?}");
}

#[test]
fn a_head_that_is_too_large_or_none_is_refused_and_nobody_else_notices() {
    let site = Site::demo();
    let server = site.start();
    let status = |request: &str| {
        let mut client = Client::to(server.api);
        // The server may close before everything is sent.
        let _ = client.send(request.as_bytes());
        client.head().map(|(status, _)| status).unwrap()
    };
    let long = "a".repeat(70_000);
    assert_eq!(status(&format!("GET /api/v1/zones?after={long} HTTP/1.1\r\nHost: x\r\n\r\n")), 414);
    let many = "X-A: a\r\n".repeat(200);
    assert_eq!(status(&format!("GET /api/v1/me HTTP/1.1\r\nHost: x\r\n{many}\r\n")), 431);
    assert_eq!(status("NONSENSE\r\n\r\n"), 400);
    assert_eq!(status("GET /api/v1/me HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), 400);
    assert_eq!(Api::demo(&server).ask("GET", "/api/v1/me", &[], b"").status, 200);
}

#[test]
fn two_hundred_that_send_half_a_request_keep_nobody_out() {
    let site = Site::demo();
    let server = site.start();
    let mut half_open: Vec<Client> = (0..200).map(|_| Client::to(server.api)).collect();
    for client in &mut half_open {
        client.send(b"POST /api/v1/zones HTTP/1.1\r\nHost: x\r\nContent-").unwrap();
    }
    for _ in 0..20 {
        assert_eq!(Api::demo(&server).ask("GET", "/api/v1/me", &[], b"").status, 200);
    }
    let mut first = half_open.swap_remove(0);
    // Whose head does not come in time is hung up on.
    let said = String::from_utf8(first.rest()).unwrap();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
}
