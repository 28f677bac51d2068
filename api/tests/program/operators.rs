//! Devices that register, operators and what they tell devices to do.

use crate::support::{DEMO_TOKEN, Server, Site, holds};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SECRET: &str = "the-secret-of-the-venue";

fn add(site: &Site, email: &str, role: &str) -> String {
    let done = site.command(&["user", "add", "--email", email, "--role", role]).well();
    done.out.lines().last().unwrap().to_owned()
}

fn register(server: &Server, device: &str, secret: &str) -> crate::support::Answer {
    server.post(
        "/api/kqt300/register",
        &json!({"device_id": device, "secret": secret, "location": "ENTRANCE_03"}).to_string(),
    )
}

#[test]
fn a_device_that_registers_waits_for_approval_and_its_key_is_nowhere_in_clear() {
    let site = Site::demo().set("KQT300_API_SECRET", SECRET).set("GATEHOUSE_LOG_LEVEL", "trace");
    let server = site.start();
    register(&server, "NEW_1", "wrong-secret-of-the-venue").is_fault(401, "invalid_secret");
    register(&server, "", SECRET).is_fault(400, "malformed_request");
    register(&server, "KQT300_001", SECRET).is_fault(409, "already_registered");
    let value = register(&server, "NEW_1", SECRET).json();
    assert_eq!(value["device_status"], "pending", "{value}");
    let key = value["api_key"].as_str().unwrap().to_owned();
    let scan = |id: &str| {
        server.post(
            "/api/access/validate",
            &json!({"device_id": "NEW_1", "api_key": key, "qr_data": "DEMO-STD-000001", "scan_id": id})
                .to_string(),
        )
    };
    scan("r1").is_fault(403, "device_not_active");
    server
        .client()
        .request("GET", "/api/access/stream", &[("X-Api-Key", &key)], b"")
        .unwrap()
        .is_fault(403, "device_not_active");
    let approve = "[[device]]\nname = 'NEW_1'\ngate = 'ENTRANCE_03'\nstatus = 'active'\n";
    let done = site.command(&["import", "venue", &site.file("approve.toml", approve.as_bytes())]).well();
    assert!(!done.out.contains("key"), "it keeps its key: {done:?}");
    let granted = scan("r2").json();
    assert_eq!(
        (&granted["access_granted"], &granted["gate"]),
        (&json!(true), &json!("ENTRANCE_03")),
        "{granted}"
    );
    register(&server, "NEW_1", SECRET).is_fault(409, "already_registered");
    let revoke = "[[device]]\nname = 'NEW_1'\ngate = 'ENTRANCE_03'\nstatus = 'revoked'\n";
    site.command(&["import", "venue", &site.file("revoke.toml", revoke.as_bytes())]).well();
    scan("r3").is_fault(403, "device_not_active");
    register(&server, "NEW_1", SECRET).is_fault(409, "already_registered");
    let token = add(&site, "chief@venue.example", "manager");
    server.projected();
    server.stop();
    for (what, secret) in [
        ("device key", key.as_str()),
        ("registration secret", SECRET),
        ("demo key", "demo-key-001"),
        ("operator's token", &token),
        ("demo password", DEMO_TOKEN),
    ] {
        assert_eq!(holds(&site.data(), secret.as_bytes()), None, "the {what} is kept in clear");
        assert!(!site.log().contains(secret), "the {what} is in the log");
    }
}

#[test]
fn registration_is_off_without_a_secret_and_can_approve_by_itself() {
    let site = Site::demo();
    register(&site.start(), "N", "").is_fault(403, "registration_off");
    let site = site.set("KQT300_API_SECRET", SECRET).set("GATEHOUSE_REGISTRATION_AUTO_APPROVE", "true");
    let server = site.start();
    let value = register(&server, "N", SECRET).json();
    assert_eq!(value["device_status"], "active", "{value}");
    let body = json!({"api_key": value["api_key"], "qr_data": "DEMO-STD-000001"}).to_string();
    assert_eq!(server.post("/api/access/validate", &body).json()["access_granted"], true);
}

fn words(value: &Value) -> Vec<String> {
    value["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command["action"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_command_is_delivered_once_and_an_unlock_that_is_late_never() {
    let site = Site::demo();
    let server = site.start();
    let token = add(&site, "s@venue.example", "supervisor");
    let unlocked_at = Instant::now();
    assert_eq!(server.control(&token, r#"{"device_id":"KQT300_009","action":"unlock"}"#).status, 200);
    assert_eq!(server.control(&token, r#"{"device_id":"KQT300_001","action":"lock"}"#).status, 200);
    let beat = server.heartbeat(1);
    assert_eq!((&beat["mode"], words(&beat)), (&json!("locked"), vec!["lock".to_owned()]), "{beat}");
    let beat = server.heartbeat(1);
    assert_eq!((&beat["mode"], words(&beat)), (&json!("locked"), vec![]), "once only: {beat}");
    assert_eq!(server.scan(1, "DEMO-STD-000001", "locked")["reason"], "gate_closed");
    assert_eq!(server.scan(2, "DEMO-STD-000001", "other")["access_granted"], true, "other devices go on");
    server.control(&token, r#"{"device_id":"KQT300_001","action":"release"}"#);
    assert_eq!(server.heartbeat(1)["mode"], "normal");
    assert_eq!(server.scan(1, "DEMO-STD-000002", "released")["access_granted"], true);
    server
        .control(&token, r#"{"location":"ENTRANCE_01","action":"message","message":"Doors close at nine"}"#);
    for device in [1, 900] {
        let beat = server.heartbeat(device);
        assert_eq!(beat["commands"][0]["message"], "Doors close at nine", "{device}: {beat}");
    }
    assert_eq!(words(&server.heartbeat(2)), Vec::<String>::new());
    server.control(&token, r#"{"device_id":"KQT300_003","action":"unlock"}"#);
    assert_eq!(server.get("/api/kqt300/status", "demo-key-003").json()["commands_waiting"], 1);
    let both: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| server.heartbeat(3))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        both.iter().map(|beat| words(beat).len()).sum::<usize>(),
        1,
        "an unlock is delivered once: {both:?}"
    );
    server.control(&token, r#"{"device_id":"KQT300_004","action":"emergency_open"}"#);
    assert_eq!(server.heartbeat(4)["mode"], "emergency_open");
    server.control(&token, r#"{"device_id":"KQT300_005","action":"lock"}"#);
    server.kill();
    let server = site.start();
    assert_eq!(server.heartbeat(5)["mode"], "locked", "a lock survives a crash");
    assert_eq!(server.scan(5, "DEMO-STD-000005", "still")["reason"], "gate_closed");
    // Nobody expects a gate to open minutes after the button was pressed: an unlock lives ten seconds.
    std::thread::sleep(Duration::from_millis(10_500).saturating_sub(unlocked_at.elapsed()));
    assert_eq!(words(&server.heartbeat(9)), Vec::<String>::new(), "the unlock is too old");
    assert_eq!(server.get("/api/kqt300/status", "demo-key-009").json()["commands_waiting"], 0);
}

#[test]
fn only_those_who_may_tell_devices_what_to_do() {
    let site = Site::demo();
    let server = site.start();
    let lock = r#"{"device_id":"KQT300_001","action":"lock"}"#;
    for role in ["viewer", "steward"] {
        let token = add(&site, &format!("{role}@venue.example"), role);
        server.control(&token, lock).is_fault(403, "not_allowed");
        assert_eq!(server.get("/api/access/latest", &token).status, 200, "a {role} may look");
    }
    server.control("nonsense", lock).is_fault(401, "invalid_token");
    server.control("demo-key-001", lock).is_fault(401, "invalid_token");
    server.post("/api/kqt300/access-control", lock).is_fault(401, "invalid_token");
    assert_eq!(server.heartbeat(1)["mode"], "normal");
    for body in [
        r#"{"action":"lock"}"#,
        r#"{"device_id":"NOBODY","action":"lock"}"#,
        r#"{"location":"NOWHERE","action":"lock"}"#,
        r#"{"device_id":"KQT300_001","action":"explode"}"#,
        r#"{"device_id":"KQT300_001","action":"message"}"#,
        r#"{"device_id":"KQT300_001"}"#,
    ] {
        server.control(DEMO_TOKEN, body).is_fault(400, "malformed_request");
    }
    for (arguments, word) in [
        (["user", "add", "--email", "nobody", "--role", "viewer"], "nobody"),
        (["user", "add", "--email", "a@b", "--role", "king"], "role"),
    ] {
        let done = site.command(&arguments);
        assert!(done.code != 0 && done.err.contains(word), "{done:?}");
    }
}

#[test]
fn settings_of_a_device_raise_its_config_version() {
    let site = Site::demo();
    let server = site.start();
    let read = || server.get("/api/kqt300/config", "demo-key-001").json();
    assert_eq!((&read()["config_version"], &read()["settings"]), (&json!(1), &json!({})));
    let body = br#"{"device_id":"KQT300_001","settings":{"volume":"7"}}"#;
    let write = |token: &str| {
        server
            .client()
            .request("POST", "/api/kqt300/config", &[("Authorization", &format!("Bearer {token}"))], body)
            .unwrap()
    };
    let supervisor = add(&site, "s@venue.example", "supervisor");
    write(&supervisor).is_fault(403, "not_allowed");
    assert_eq!(write(DEMO_TOKEN).json()["config_version"], 2);
    assert_eq!((&read()["config_version"], &read()["settings"]["volume"]), (&json!(2), &json!("7")));
    assert_eq!(server.heartbeat(1)["config_version"], 2);
    server.kill();
    let server = site.start();
    assert_eq!(server.heartbeat(1)["config_version"], 2);
    assert_eq!(server.scan(1, "DEMO-STD-000001", "key")["access_granted"], true, "it keeps its key");
}

#[test]
fn where_too_many_messages_wait_the_operator_is_told_and_an_emergency_open_still_gets_through() {
    let site = Site::demo();
    let server = site.start();
    let control = |target: &str, rest: &str| server.control(DEMO_TOKEN, &format!("{{{target},{rest}}}"));
    let (device, gate) = (r#""device_id":"KQT300_001""#, r#""location":"ENTRANCE_01""#);
    let (message, open) = (r#""action":"message","message":"hello""#, r#""action":"emergency_open""#);
    for n in 0..30 {
        assert_eq!(control(device, message).status, 200, "{n}");
    }
    for refused in [message, r#""action":"unlock""#] {
        let answer = control(device, refused);
        answer.is_fault(409, "too_many_commands");
        assert!(answer.json()["message"].as_str().unwrap().contains("fetch"), "{answer:?}");
    }
    // The other device of the gate takes it, and the answer says which one did not.
    let some = control(gate, message).json();
    assert_eq!(
        (&some["status"], &some["commands"][0]["device_id"], &some["refused"][0]["device_id"]),
        (&json!("partial"), &json!("KQT300_900"), &json!("KQT300_001")),
        "{some}"
    );
    assert_eq!(some["refused"][0]["error"], "too_many_commands");
    for n in 0..40 {
        let answer = control(device, if n % 2 == 0 { r#""action":"lock""# } else { open }).json();
        assert_eq!((&answer["status"], &answer["refused"]), (&json!("success"), &json!([])), "{answer}");
    }
    assert_eq!(server.metric("gatehouse_commands_refused_total"), 3.0);
    assert_eq!(server.get("/api/kqt300/status", "demo-key-001").json()["commands_waiting"], 31);
    let beat = server.heartbeat(1);
    assert_eq!(beat["mode"], "emergency_open");
    let mut expected = vec!["message".to_owned(); 30];
    expected.push("emergency_open".to_owned());
    assert_eq!(words(&beat), expected, "no message was lost, of the modes the last one is told");
    assert_eq!(control(device, message).status, 200, "there is room again");
}
