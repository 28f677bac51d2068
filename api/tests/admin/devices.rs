//! Devices and gates while guests come: a device's life from its first word to its last, its keys, what it is told, and the
//! emergency that reaches every one of them.

use crate::api::{Api, is_problem, operator};
use crate::support::{Answer, Client, PATIENCE, Server, Site, holds};
use serde_json::{Value, json};
use std::time::Instant;

const SECRET: &str = "the-secret-of-the-venue";

fn scan(server: &Server, key: &str, code: &str, scan_id: &str) -> Answer {
    let body = json!({"qr_data": code, "scan_id": scan_id}).to_string();
    let headers = [("X-Api-Key", key)];
    server.client().request("POST", "/api/access/validate", &headers, body.as_bytes()).unwrap()
}

#[test]
fn a_device_lives_from_its_registration_to_its_end_and_never_comes_back() {
    let site = Site::demo().set("KQT300_API_SECRET", SECRET).set("GATEHOUSE_LOG_LEVEL", "trace");
    let server = site.start();
    let api = Api::demo(&server);
    let body = json!({"device_id": "NEW 1", "secret": SECRET, "location": "ENTRANCE_03"}).to_string();
    let registered = server.post("/api/kqt300/register", &body).json();
    let key = registered["api_key"].as_str().unwrap().to_owned();
    let at = "/api/v1/devices/NEW%201";
    assert_eq!(api.get(at)["status"], "pending");
    scan(&server, &key, "DEMO-STD-000001", "a").is_fault(403, "device_not_active");
    let act = |what: &str| api.ask("POST", &format!("{at}/{what}"), &[], br#"{"reason": "as planned"}"#);
    is_problem(&act("resume"), 409, "conflict");
    assert_eq!(act("approve").json(), json!({"device": "NEW 1", "status": "active"}));
    assert_eq!(act("approve").status, 200, "again changes nothing");
    assert_eq!(scan(&server, &key, "DEMO-STD-000001", "a").json()["access_granted"], true);
    assert_eq!(act("suspend").json()["status"], "suspended");
    scan(&server, &key, "DEMO-STD-000002", "b").is_fault(403, "device_not_active");
    is_problem(&act("approve"), 409, "conflict");
    assert_eq!(act("resume").json()["status"], "active");
    let rotated = act("rotate-key").json()["key"].as_str().unwrap().to_owned();
    scan(&server, &key, "DEMO-STD-000002", "b").is_fault(401, "invalid_api_key");
    assert_eq!(scan(&server, &rotated, "DEMO-STD-000002", "b").json()["access_granted"], true);
    assert_eq!(act("revoke").json()["status"], "revoked");
    scan(&server, &rotated, "DEMO-STD-000003", "c").is_fault(403, "device_not_active");
    for what in ["approve", "suspend", "resume", "rotate-key", "provisioning"] {
        let body = if what == "provisioning" { r#"{"server": "http://10.0.0.5:8080"}"# } else { "{}" };
        is_problem(&api.ask("POST", &format!("{at}/{what}"), &[], body.as_bytes()), 409, "conflict");
    }
    let order = br#"{"action": "unlock"}"#;
    is_problem(&api.ask("POST", &format!("{at}/commands"), &[], order), 409, "conflict");
    // A venue file cannot bring it back either.
    let file = site.file("back.toml", b"[[device]]\nname = 'NEW 1'\nstatus = 'active'\n");
    assert_ne!(site.command(&["import", "venue", &file]).code, 0);
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    assert_eq!(api.get(at)["status"], "revoked");
    let lines = api.all("/api/v1/audit?subject=NEW%201");
    let actions: Vec<&str> = lines.iter().rev().map(|line| line["action"].as_str().unwrap()).collect();
    let own: Vec<&&str> = actions.iter().filter(|action| action.starts_with("device_")).collect();
    let expected =
        ["device_approve", "device_suspend", "device_resume", "device_rotate_key", "device_revoke"];
    assert_eq!(own, expected.iter().collect::<Vec<_>>());
    assert_eq!(actions.iter().filter(|action| **action == "put_device").count(), 6, "{actions:?}");
    let revoked = &lines.iter().find(|line| line["action"] == "device_revoke").unwrap();
    assert_eq!(
        (&revoked["operator"], &revoked["details"]["reason"], &revoked["before"]["status"]),
        (&json!("admin@demo.local"), &json!("as planned"), &json!("active"))
    );
    server.projected();
    server.stop();
    for secret in [key, rotated] {
        assert_eq!(holds(&site.data(), secret.as_bytes()), None, "a key is kept in clear");
        assert!(!site.log().contains(&secret), "a key is in the log");
    }
}

#[test]
fn a_device_that_is_made_shows_its_key_once_and_what_is_hidden_stays() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let new =
        json!({"name": "D/1", "gate": "ENTRANCE_01", "rate_per_minute": null, "settings": {"volume": "3"}});
    let made = api.create("/api/v1/devices", &new);
    let (key, at, version) =
        (made["key"].as_str().unwrap().to_owned(), api.header("Location"), api.header("ETag"));
    let shown = api.get(&at);
    assert_eq!(api.header("ETag"), version);
    assert!(shown.get("key").is_none() && !shown.to_string().contains(&key), "{shown}");
    let config = |key: &str| server.get("/api/kqt300/config", key).json();
    assert_eq!(
        (&config(&key)["config_version"], &config(&key)["settings"]["volume"]),
        (&json!(1), &json!("3"))
    );
    api.change(&at, |device| device["shows_name"] = json!(false));
    assert_eq!(config(&key)["config_version"], 1, "the key stays, and there is nothing to fetch");
    api.change(&at, |device| device["settings"] = json!({"volume": "4", "lamp": "on"}));
    assert_eq!(
        (&config(&key)["config_version"], &config(&key)["settings"]["volume"]),
        (&json!(2), &json!("4"))
    );
    api.change(&at, |device| device["profile"] = json!("vguang"));
    let state = api.get(&format!("{at}/state"));
    assert_eq!((&state["config_version"], &state["online"]), (&json!(3), &json!(true)), "{state}");
    assert_eq!(
        (&state["gate"], &state["gate_mode"], &state["mode"]),
        (&json!("ENTRANCE_01"), &json!("open"), &json!("normal"))
    );
    assert!(state["last_seen"].as_str().unwrap().ends_with('Z'));
    let silent = api.get("/api/v1/devices/KQT300_009/state");
    assert_eq!((&silent["online"], &silent["last_seen"]), (&json!(false), &Value::Null));
    let mut suspended = shown.clone();
    suspended["status"] = json!("suspended");
    let answer = api.ask("PUT", &at, &[("If-Match", "*")], suspended.to_string().as_bytes());
    assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], "status");
    let again = api.ask("POST", "/api/v1/devices", &[], new.to_string().as_bytes());
    is_problem(&again, 409, "conflict");
}

#[test]
fn a_command_waits_for_its_device_is_handed_over_once_and_stays_in_the_history() {
    let site = Site::demo();
    let server = site.start();
    let token = operator(&site, "sue@venue.example", "supervisor");
    let api = Api::with(&server, &token);
    let at = "/api/v1/devices/KQT300_005/commands";
    let lock = api.post(at, &json!({"action": "lock"}));
    let words = api.post(at, &json!({"action": "message", "message": "Bitte warten"}));
    assert!(words["command"].as_u64() > lock["command"].as_u64());
    let state = || api.get("/api/v1/devices/KQT300_005/state");
    assert_eq!((&state()["mode"], &state()["commands_waiting"]), (&json!("locked"), &json!(2)));
    let handed = server.heartbeat(5);
    let of = |value: &Value, key: &str| -> Vec<Value> {
        value.as_array().unwrap().iter().map(|command| command[key].clone()).collect()
    };
    assert_eq!(of(&handed["commands"], "command_id"), [lock["command"].clone(), words["command"].clone()]);
    assert_eq!(state()["commands_waiting"], 0);
    server.projected();
    let history = Value::Array(api.all(at));
    assert_eq!(of(&history, "action"), ["message", "lock"]);
    assert_eq!(of(&history, "operator"), ["sue@venue.example", "sue@venue.example"]);
    assert!(of(&history, "delivered_at").iter().all(Value::is_string), "{history}");
    for (order, field) in [
        (json!({"action": "explode"}), "action"),
        (json!({"action": "message"}), "message"),
        (json!({"action": "message", "message": "x".repeat(257)}), "message"),
        (json!({"action": "unlock", "message": "x"}), "message"),
    ] {
        let answer = api.ask("POST", at, &[], order.to_string().as_bytes());
        assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], field, "{order}");
    }
    (0..30).for_each(|_| drop(api.post(at, &json!({"action": "unlock"}))));
    is_problem(&api.ask("POST", at, &[], br#"{"action": "unlock"}"#), 409, "conflict");
    assert_eq!(api.ask("POST", at, &[], br#"{"action": "release"}"#).status, 200, "this is never refused");
}

/// What a device hears that waits for news.
fn waits(server: &Server, device: u32, after: &str) -> (Value, Instant) {
    let key = format!("demo-key-{device:03}");
    let path = format!("/api/access/poll?wait=30&after={after}");
    let answer = Client::to(server.device).request("GET", &path, &[("X-Api-Key", &key)], b"").unwrap();
    (answer.json(), Instant::now())
}

#[test]
fn an_emergency_reaches_every_device_that_waits_and_every_one_that_asks() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let poll = server.get("/api/access/poll", "demo-key-001").json();
    let cursor = poll["cursor"].as_str().unwrap();
    let all = std::thread::scope(|scope| {
        let listeners = [1, 2, 40].map(|device| {
            let server = &server;
            (device, scope.spawn(move || waits(server, device, cursor)))
        });
        let began = Instant::now();
        let all = api.post("/api/v1/gates/emergency-open", &json!({"reason": "fire alarm"}));
        let answered = began.elapsed();
        for (device, listener) in listeners {
            let (heard, at) = listener.join().unwrap();
            let took = at.duration_since(began);
            println!("device {device} heard of it after {took:?}, the operator after {answered:?}");
            assert!(took < PATIENCE);
            assert_eq!(heard["scans"][0]["action"], "emergency_open", "{heard}");
        }
        all
    });
    let gates = all["gates"].as_array().unwrap();
    assert!(gates.len() == 44 && gates.iter().all(|gate| gate["mode"] == "emergency_open"), "{all}");
    let heard = server.heartbeat(7);
    let told = &heard["commands"][0]["action"];
    assert_eq!((&heard["mode"], told), (&json!("emergency_open"), &json!("emergency_open")));
}

#[test]
fn in_an_emergency_people_are_counted_and_it_ends_as_it_was_before() {
    let site = Site::demo();
    let server = site.start();
    let token = operator(&site, "sue@venue.example", "supervisor");
    let api = Api::with(&server, &token);
    let why = json!({"reason": "fire alarm"});
    let closed = api.post("/api/v1/gates/ENTRANCE_02/close", &json!({"reason": "queue is full"}));
    assert_eq!((&closed["was"], &closed["mode"]), (&json!("open"), &json!("closed")));
    assert_eq!(closed["devices"].as_array().unwrap().len(), 2, "{closed}");
    assert_eq!(server.scan(2, "DEMO-STD-000002", "c1")["reason"], "gate_closed");
    api.post("/api/v1/gates/emergency-open", &why);
    for ends_it in ["close", "open"] {
        let path = format!("/api/v1/gates/ENTRANCE_01/{ends_it}");
        is_problem(&api.ask("POST", &path, &[], why.to_string().as_bytes()), 409, "conflict");
    }
    // Open and count: people go on being counted, and a scan still gets its real answer.
    let turns = r#"{"device_id":"KQT300_001","api_key":"demo-key-001","people":5}"#;
    assert_eq!(server.post("/api/access/turns", turns).status, 200);
    assert_eq!(server.scan(1, "DEMO-BLOCKED", "e1")["reason"], "blocked");
    let counted = api.get("/api/v1/counts");
    let mut gates = counted["gates"].as_array().unwrap().iter();
    assert_eq!(gates.find(|gate| gate["gate"] == "ENTRANCE_01").unwrap()["turns"], 5);
    server.kill();
    let server = site.start();
    let api = Api::with(&server, &token);
    let mode = |gate: &str| api.get(&format!("/api/v1/gates/{gate}"))["mode"].clone();
    assert_eq!(mode("ENTRANCE_02"), "emergency_open");
    let ended = api.post("/api/v1/gates/release", &json!({"reason": "false alarm", "event": "demo-match"}));
    assert_eq!(ended["gates"].as_array().unwrap().len(), 44);
    assert_eq!((mode("ENTRANCE_01"), mode("ENTRANCE_02")), (json!("open"), json!("closed")), "as before");
    let stands = |device| server.heartbeat(device)["mode"].clone();
    assert_eq!((stands(2), stands(7)), (json!("locked"), json!("normal")));
    assert_eq!(api.post("/api/v1/gates/release", &why)["gates"], json!([]), "there is none any more");
    assert_eq!(api.post("/api/v1/gates/ENTRANCE_02/open", &why)["mode"], "open");
    server.projected();
    let expected = [
        ("gate_close", "queue is full", "closed"),
        ("gate_emergency_open", "fire alarm", "emergency_open"),
        ("gate_release", "false alarm", "closed"),
        ("gate_open", "fire alarm", "open"),
    ];
    assert_eq!(
        acts_of(&site, &server, "ENTRANCE_02"),
        expected.map(|(did, why, mode)| json!([did, why, mode]))
    );
}

/// What a supervisor did to a gate, why, and how it stood afterwards, as the audit tells it.
fn acts_of(site: &Site, server: &Server, gate: &str) -> Vec<Value> {
    let manager = operator(site, "mona@venue.example", "manager");
    let lines = Api::with(server, &manager)
        .all(&format!("/api/v1/audit?subject={gate}&operator=sue%40venue.example"));
    let acts = lines.iter().rev().filter(|line| line["action"] != "put_gate");
    acts.map(|line| json!([line["action"], line["details"]["reason"], line["after"]["mode"]])).collect()
}

#[test]
fn a_gate_is_commanded_with_a_reason_and_tells_what_its_devices_were_told() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    server.heartbeat(3);
    let at = "/api/v1/gates/ENTRANCE_03/emergency-open";
    for wrong in ["{}", r#"{"reason": ""}"#, r#"{"reason": 7}"#] {
        is_problem(&api.ask("POST", at, &[], wrong.as_bytes()), 422, "invalid");
    }
    api.post("/api/v1/devices/KQT300_003/suspend", &json!({}));
    let told = api.post(at, &json!({"reason": "drill"}));
    let device = &told["devices"][0];
    assert_eq!(
        (&device["device"], &device["status"], &device["online"], &device["action"]),
        (&json!("KQT300_003"), &json!("suspended"), &json!(true), &json!("emergency_open"))
    );
    api.post("/api/v1/gates/ENTRANCE_03/release", &json!({"reason": "drill"}));
    // A device that was off meanwhile comes back as the gate stands now.
    api.post("/api/v1/devices/KQT300_003/resume", &json!({}));
    assert_eq!(server.heartbeat(3)["mode"], "normal");
    is_problem(&api.ask("POST", "/api/v1/gates/NOWHERE/open", &[], br#"{"reason": "x"}"#), 404, "not_found");
    let unknown = br#"{"reason": "x", "event": "nothing"}"#;
    let answer = api.ask("POST", "/api/v1/gates/emergency-open", &[], unknown);
    assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], "event");
}

#[test]
fn a_reader_is_set_up_by_a_code_that_holds_its_new_key() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    let at = "/api/v1/devices/KQT300_800/provisioning";
    let network = json!({"address": "10.0.0.21", "mask": "255.255.255.0", "gateway": "10.0.0.1"});
    let setup = json!({"server": format!("http://{}", server.device), "network": network, "timeout_s": 3});
    let code = api.post(at, &setup);
    let (key, text) = (code["key"].as_str().unwrap(), code["text"].as_str().unwrap());
    let url = text.split("haddr=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(url, format!("http://{}/d/{key}/api/kqt300/scan", server.device));
    for setting in [
        "w_mode=1",
        "owifi=2",
        "houttime=3",
        "devnum=800",
        "heart_data=\"HB\"",
        "ip_mode=1",
        "ip=\"10.0.0.21\"",
    ] {
        assert!(text.contains(setting), "{setting}: {text}");
    }
    assert!(code["svg"].as_str().unwrap().starts_with("<svg "));
    assert!(code["png"].as_str().unwrap().starts_with("iVBORw0KGgo"), "a PNG in base64");
    // The reader speaks as the code told it to.
    let path = url.strip_prefix(&format!("http://{}", server.device)).unwrap();
    let says = |body: &str| server.client().request("POST", path, &[], body.as_bytes()).unwrap().text();
    assert!(says("vgdecoderesult=DEMO-STD-000044&&devicenumber=800&&otherparams=").starts_with("code=0000"));
    let before = server.post("/d/demo-key-800/api/kqt300/scan", "vgdecoderesult=X&&devicenumber=800");
    assert_eq!(before.status, 401, "the key it had is known no longer");
    for (wrong, field) in [
        (json!({"server": "10.0.0.5:8080"}), "server"),
        (json!({"server": "http://10.0.0.5/?a"}), "server"),
        (json!({"server": "http://a\",haddr"}), "server"),
        (json!({"server": "http://10.0.0.5", "timeout_s": 6}), "timeout_s"),
        (json!({"server": "http://10.0.0.5", "heartbeat_s": 29}), "heartbeat_s"),
        (json!({"server": "http://10.0.0.5", "network": {"address": "x"}}), "network.address"),
    ] {
        let answer = api.ask("POST", at, &[], wrong.to_string().as_bytes());
        assert_eq!(is_problem(&answer, 422, "invalid")["errors"][0]["field"], field, "{wrong}");
    }
    let json_device =
        api.ask("POST", "/api/v1/devices/KQT300_001/provisioning", &[], setup.to_string().as_bytes());
    is_problem(&json_device, 409, "conflict");
    server.projected();
    let line = &api.all("/api/v1/audit?action=device_provision")[0];
    assert_eq!((&line["subject"], &line["details"]["timeout_s"]), (&json!("KQT300_800"), &json!(3)));
    assert!(!line.to_string().contains(key));
}
