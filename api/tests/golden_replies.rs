//! Every wording, once: a kept answer must give the same bytes after an upgrade, so no wording changes by accident.
//! To change one on purpose, run with `GATEHOUSE_GOLDEN=write` and read the difference.

mod reply_support;

use api::profile::{Profile, Profiles, render};
use engine::catalog::{Direction, FailPolicy};
use engine::decision::{Answer, Fact, REASONS, ScanKind, TicketFacts, Verdict};
use reply_support::{answered, fact_of, reply, venue};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/replies.txt");

fn admissions() -> Vec<(&'static str, Answer)> {
    let admit = Verdict::Admit { attention: None };
    let plain = answered(admit, Fact::None, "John Doe");
    let mut unlimited = answered(admit, Fact::None, "");
    unlimited.ticket = unlimited.ticket.map(|facts| TicketFacts { remaining: None, ..facts });
    let attention = answered(Verdict::Admit { attention: Some(REASONS[15]) }, Fact::None, "John Doe");
    vec![
        ("admit", plain.clone()),
        ("admit without a name, unlimited", unlimited),
        ("admit a group of 3", Answer { people: 3, ..plain.clone() }),
        ("admit out", Answer { direction: Direction::Exit, ..plain.clone() }),
        ("admit with attention", attention.clone()),
        ("admit by override", Answer { overridden: Some(REASONS[15]), ..attention }),
        (
            "admit an unknown code by override",
            Answer { ticket: None, overridden: Some(REASONS[0]), ..plain.clone() },
        ),
        ("admit, test", Answer { kind: ScanKind::Test, ..plain }),
    ]
}

fn replies_of(profile: &Profile) -> String {
    let catalog = venue("ENTRANCE_01");
    let mut text = String::new();
    let mut line =
        |what: &str, reply: &str| text.push_str(&format!("== {} | {what}\n{reply}\n", profile.name()));
    for (what, answer) in admissions() {
        line(what, &reply(profile, &answer, &catalog, "scan-1", true));
    }
    line("admit, name hidden", &reply(profile, &admissions()[0].1, &catalog, "scan-1", false));
    line("admit, not kept", &reply(profile, &admissions()[0].1, &catalog, "", true));
    for reason in REASONS {
        let fact = fact_of(reason, "ENTRANCE_02");
        let answer = answered(Verdict::Deny(reason), fact, "John Doe");
        line(reason.code(), &reply(profile, &answer, &catalog, "scan-1", true));
        if answer.fact != Fact::None {
            let answer = Answer { fact: Fact::None, ..answer };
            line(&format!("{}, no fact", reason.code()), &reply(profile, &answer, &catalog, "scan-1", true));
        }
    }
    let mut other = |what: &str, render: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        render(&mut out);
        line(what, std::str::from_utf8(&out).expect("every reply is UTF-8"));
    };
    for (status, code) in
        [(400, "malformed_request"), (401, "invalid_api_key"), (429, "rate_limited"), (503, "unavailable")]
    {
        other(&format!("fault {status}"), &|out| {
            render::fault(profile, status, code, "qr_data: is missing", out)
        });
    }
    other("unavailable, gate fails closed", &|out| render::unavailable(profile, FailPolicy::Closed, out));
    other("unavailable, gate fails open", &|out| render::unavailable(profile, FailPolicy::Open, out));
    other("heartbeat", &|out| render::heartbeat(profile, out));
    text
}

#[test]
fn every_reply_is_worded_as_it_was() {
    let profiles = Profiles::load(None).unwrap();
    let text: String = profiles.iter().map(|(_, profile)| replies_of(profile)).collect();
    if std::env::var("GATEHOUSE_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (ours, committed) in text.lines().zip(golden.lines()) {
        assert_eq!(ours, committed, "a wording changed; kept answers would not give the same bytes");
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

#[test]
fn the_json_answer_is_the_contracts_own() {
    let profiles = Profiles::load(None).unwrap();
    let profile = profiles.get(profiles.id_of("json-v1"));
    let reply = reply(profile, &admissions()[0].1, &venue("ENTRANCE_01"), "s", true);
    let contract = r#"{"status":"success","access_granted":true,"message":"Access granted","reason":null,"scan_id":"s","direction":"entry","gate":"ENTRANCE_01","ticket_info":{"ticket_id":"TICKET_123","customer_name":"John Doe","valid_until":"2026-07-01T21:30:00Z","ticket_type":"VIP","remaining_uses":1},"device_action":{"unlock_door":true,"display_message":"Welcome, John Doe!","sound_alert":"success"}"#;
    assert!(reply.starts_with(contract), "{reply}");
    assert_eq!(&reply[contract.len()..], r#","attention":null,"people":1}"#);
}

#[test]
fn every_line_for_people_is_short() {
    let profiles = Profiles::load(None).unwrap();
    let profile = profiles.get(profiles.id_of("json-v1"));
    let short = |name: &str, bytes_max: usize| {
        let catalog = venue(name);
        for reason in REASONS {
            let answer = answered(Verdict::Deny(reason), fact_of(reason, name), name);
            let reply = reply(profile, &answer, &catalog, "s", true);
            let value: serde_json::Value = serde_json::from_str(&reply).unwrap();
            for text in [&value["message"], &value["device_action"]["display_message"]] {
                let text = text.as_str().unwrap();
                assert!(!text.is_empty() && text.len() <= bytes_max, "{text}");
            }
        }
    };
    short("ENTRANCE_01", 80);
    short(&"Z".repeat(128), 112);
    short(&"é".repeat(64), 112);
}
