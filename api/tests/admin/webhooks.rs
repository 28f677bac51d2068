//! Webhooks by the API, with real receivers: set up, signed, kept over a kill, and no secret anywhere.

use crate::api::{Api, is_problem};
use crate::receiver::{Received, Receiver, Reply};
use crate::support::{Server, Site, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const AT: &str = "/api/v1/webhooks";

/// A venue whose webhooks may call this machine.
fn site() -> Site {
    Site::demo().set("GATEHOUSE_WEBHOOK_PRIVATE_NETWORKS", "allow")
}

/// A webhook for scans; where it is, and its secret.
fn tell(api: &Api<'_>, receiver: &Receiver, more: &Value) -> (String, String) {
    let mut body = json!({"url": receiver.url(), "types": ["scan.admitted", "scan.denied"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = api.create(AT, &body);
    let secret = made["secret"].as_str().unwrap().to_owned();
    (api.header("Location"), secret)
}

/// Everything in the files of a folder and those in it.
fn bytes_under(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes_under(&path) } else { std::fs::read(path).unwrap_or_default() });
    }
    all
}

fn has(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_receiver_is_told_of_scans_signed_and_without_names_unless_it_is_asked_for() {
    let site = site();
    let server = site.start();
    let (api, plain, personal) = (Api::demo(&server), Receiver::well(), Receiver::well());
    let (at, secret) = tell(&api, &plain, &json!({"description": "Box office", "gates": ["ENTRANCE_01"]}));
    tell(&api, &personal, &json!({"personal": true, "types": ["scan.admitted"]}));
    server.scan(1, "DEMO-VIP-0001", "s1");
    server.scan(2, "DEMO-STD-000001", "elsewhere");
    server.scan(1, "DEMO-BLOCKED", "s2");
    let came = plain.wait_for(2);
    let said: Vec<Value> = came.iter().map(Received::json).collect();
    assert_eq!((&said[0]["type"], &said[1]["type"]), (&json!("scan.admitted"), &json!("scan.denied")));
    assert_eq!((&said[0]["data"]["scan_id"], &said[1]["data"]["scan_id"]), (&json!("s1"), &json!("s2")));
    assert_eq!(
        (&said[0]["data"]["gate"], &said[1]["data"]["reason"]),
        (&json!("ENTRANCE_01"), &json!("blocked"))
    );
    for received in &came {
        assert_eq!(received.signatures_by(&secret), 1);
        assert!(
            !has(&received.body, b"John Doe") && !has(&received.body, b"DEMO-VIP-0001"),
            "{:?}",
            received.json()
        );
    }
    assert_eq!(personal.wait_for(2)[0].json()["data"]["holder"], "John Doe");
    // A new secret signs beside the old one.
    let new = api.post(&format!("{at}/rotate-secret"), &json!({}));
    let new = new["secret"].as_str().unwrap().to_owned();
    let tried = api.post(&format!("{at}/test"), &json!({}));
    assert_eq!((&tried["delivered"], &tried["status"]), (&json!(true), &json!(204)));
    let ping = plain.wait_for(3).remove(2);
    assert_eq!(ping.json()["type"], "test.ping");
    assert_eq!((ping.signatures_by(&secret), ping.signatures_by(&new)), (1, 1));
    until("all to be told", || (api.all(&format!("{at}/deliveries?limit=2")).len() == 3).then_some(()));
    assert_eq!(
        server.metric(&format!("gatehouse_webhook_delivered_total{{webhook=\"{}\"}}", &at[AT.len() + 1..])),
        2.0
    );
    let done = || api.all("/api/v1/audit").iter().map(|row| row["action"].clone()).collect::<Vec<_>>();
    until("the audit", || done().contains(&json!("webhook_secret_rotated")).then_some(()));
    assert!(done().contains(&json!("webhook_created")));
    let shown = format!("{}{}{}", api.get(AT), api.get(&at), api.get(&format!("{at}/deliveries")));
    server.stop();
    let kept = bytes_under(&site.data());
    for secret in [secret, new] {
        let key = STANDARD.decode(&secret[6..]).unwrap();
        assert!(
            !has(&kept, &secret.as_bytes()[6..]) && !has(&kept, &key),
            "a secret is in the data directory"
        );
        assert!(!site.log().contains(&secret[6..]) && !shown.contains(&secret[6..]));
    }
}

#[test]
fn a_webhook_is_replaced_by_who_has_seen_it_and_removed_for_good() {
    let site = site();
    let server = site.start();
    let (api, receiver) = (Api::demo(&server), Receiver::well());
    let (at, _) = tell(&api, &receiver, &json!({}));
    let changed = api.change(&at, |webhook| webhook["enabled"] = json!(false));
    assert_eq!((&changed["enabled"], &changed["stopped"]), (&json!(false), &Value::Null));
    let replay = json!({"since": "2020-01-01T00:00:00Z"}).to_string();
    is_problem(&api.ask("POST", &format!("{at}/replay"), &[], replay.as_bytes()), 409, "conflict");
    server.scan(1, "DEMO-STD-000001", "while it is disabled");
    api.change(&at, |webhook| webhook["enabled"] = json!(true));
    server.scan(1, "DEMO-STD-000002", "afterwards");
    assert_eq!(receiver.wait_for(1)[0].json()["data"]["scan_id"], "afterwards");
    api.post(&format!("{at}/replay"), &json!({"since": "2020-01-01T00:00:00Z"}));
    let again: Vec<Value> =
        receiver.wait_for(3)[1..].iter().map(|own| own.json()["data"]["scan_id"].clone()).collect();
    assert_eq!(again, ["while it is disabled", "afterwards"]);
    let stale = [("If-Match", "\"old\"")];
    is_problem(&api.ask("PUT", &at, &stale, api.get(&at).to_string().as_bytes()), 412, "precondition_failed");
    is_problem(&api.ask("POST", &format!("{at}/dead-letters/msg_1_0/replay"), &[], b""), 404, "not_found");
    assert_eq!(api.ask("DELETE", &at, &[], b"").status, 204);
    is_problem(&api.ask("GET", &at, &[], b""), 404, "not_found");
    assert!(api.all(AT).is_empty());
    server.kill();
    let server = site.start();
    assert!(Api::demo(&server).all(AT).is_empty(), "it stays away");
}

#[test]
fn addresses_of_private_networks_are_refused_in_every_form() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::demo(&server);
    for url in [
        "http://example.org/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.1.2.3/",
        "https://100.64.0.1/",
        "https://user:word@example.org/",
        "ftp://example.org/",
    ] {
        let body = json!({"url": url, "types": ["scan.denied"]}).to_string();
        let problem = is_problem(&api.ask("POST", AT, &[], body.as_bytes()), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "url", "{url}");
    }
    let wrong = [
        json!({"url": "https://example.org/", "types": []}),
        json!({"url": "https://example.org/", "types": ["scan.maybe"]}),
        json!({"url": "https://example.org/", "types": ["scan.denied"], "events": ["no such event"]}),
        json!({"url": "https://example.org/", "types": ["scan.denied"], "gates": ["nowhere"]}),
        json!({"url": "https://example.org/", "types": ["scan.denied"], "description": "x".repeat(501)}),
        json!({"url": "https://example.org/", "types": ["scan.denied"], "secret": "whsec_mine"}),
    ];
    for body in wrong {
        is_problem(&api.ask("POST", AT, &[], body.to_string().as_bytes()), 422, "invalid");
    }
    for n in 0..32 {
        api.create(
            AT,
            &json!({"url": format!("https://example.org/{n}"), "types": ["scan.denied"], "enabled": false}),
        );
    }
    let body = json!({"url": "https://example.org/", "types": ["scan.denied"]}).to_string();
    is_problem(&api.ask("POST", AT, &[], body.as_bytes()), 409, "conflict");
}

#[test]
fn every_scan_is_told_under_one_id_however_often_the_server_is_killed() {
    let site = site();
    let receiver = Receiver::start(|_, nth| Reply::Status(if nth % 23 == 3 { 500 } else { 200 }, ""));
    let mut answered = BTreeSet::new();
    let scan = |server: &Server, round: u32, answered: &mut BTreeSet<String>| {
        for n in 0..20 {
            let id = format!("r{round}-{n}");
            server.scan(900, &format!("DEMO-STD-{:06}", round * 20 + n + 1), &id);
            answered.insert(id);
        }
    };
    for round in 0..4 {
        let server = site.start();
        if round == 0 {
            tell(&Api::demo(&server), &receiver, &json!({}));
        }
        scan(&server, round, &mut answered);
        server.kill();
    }
    let _server = site.start();
    let told = || {
        let came = receiver.received();
        came.iter()
            .map(|own| (own.json()["data"]["scan_id"].as_str().unwrap().to_owned(), own.id()))
            .collect::<Vec<_>>()
    };
    until("every scan to be told", || {
        let told: BTreeSet<String> = told().into_iter().map(|(scan, _)| scan).collect();
        told.is_superset(&answered).then_some(())
    });
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (scan, id) in told() {
        ids.entry(scan).or_default().insert(id);
    }
    assert!(ids.values().all(|own| own.len() == 1), "a scan has one id: {ids:?}");
    let different: BTreeSet<&String> = ids.values().flatten().collect();
    assert_eq!(different.len(), answered.len());
}

#[test]
fn a_receiver_that_never_answers_is_not_noticed_at_a_gate_nor_at_a_stop() {
    let site = site();
    let server = site.start();
    let (api, silent, well) = (Api::demo(&server), Receiver::start(|_, _| Reply::Silence), Receiver::well());
    for _ in 0..4 {
        tell(&api, &silent, &json!({}));
    }
    tell(&api, &well, &json!({}));
    for n in 1..=100 {
        server.scan(900, &format!("DEMO-STD-{n:06}"), &format!("s{n}"));
    }
    let told: Vec<Value> =
        well.wait_for(100).iter().map(|own| own.json()["data"]["scan_id"].clone()).collect();
    assert_eq!(told, (1..=100).map(|n| format!("s{n}")).collect::<Vec<_>>());
    assert_eq!(silent.received().len(), 4);
    server.stop();
}
