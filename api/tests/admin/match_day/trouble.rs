//! What goes wrong at the gates of a match day, and what the supervisor does about it: lost and stolen tickets, guests at the
//! wrong gate or sent back, an alarm, a device that was cut off.

use super::Day;
use super::book::Line;
use serde_json::{Value, json};

/// Tickets of an order are four.
const ORDER: [&str; 4] = ["N-113", "N-114", "N-115", "N-116"];

fn because(why: &str) -> Value {
    json!({"reason": why})
}

fn act(day: &Day, code: &str, action: &str, why: &str) -> Value {
    day.supervisor().post(&format!("/api/v1/tickets/{}/{action}", day.number(code)), &because(why))
}

/// A guest is found by name, a family by its order; a ticket tells its story; a stolen one is blocked until it is found, a lost
/// one is reissued.
pub fn lost_and_found(day: &mut Day) {
    day.scan(|own| &own.north_1, "N-111", None);
    day.scan(|own| &own.north_2, "N-111", Some("already_used"));
    act(day, "N-112", "block", "it was stolen");
    day.scan(|own| &own.north_1, "N-112", Some("blocked"));
    act(day, "N-112", "unblock", "it was found");
    day.scan(|own| &own.north_1, "N-112", None);
    let done = act(day, "N-113", "reissue", "it was lost");
    let new = done["ticket"]["codes"][0]["code"].as_str().unwrap().to_owned();
    let mut sold = day.book.sold["N-113"].clone();
    sold.code.clone_from(&new);
    day.book.sold.insert(new.clone(), sold);
    day.book.status.insert("N-113".to_owned(), "superseded");
    day.scan(|own| &own.north_1, "N-113", Some("superseded"));
    day.scan(|own| &own.north_1, &new, None);
    day.scan(|own| &own.north_1, &new, Some("already_used"));
    day.agrees();
    day.server.projected();
    let supervisor = day.supervisor();
    let found = supervisor.all("/api/v1/tickets?q=GuestN-112%20Halden");
    assert_eq!(found.iter().map(|own| &own["codes"][0]["code"]).collect::<Vec<_>>(), ["N-112"]);
    let family = supervisor.all("/api/v1/tickets?order=ORDER-N29");
    let codes: Vec<&str> = family.iter().map(|own| own["codes"][0]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, [&ORDER[..], &[&*new]].concat());
    let story = supervisor.all(&format!("/api/v1/tickets/{}/story", found[0]["id"]));
    let happened = |it: &Value| match (&it["scan"], &it["change"]["action"]) {
        (Value::Null, action) => action.as_str().unwrap().to_owned(),
        (scan, _) => scan["reason"]["code"].as_str().unwrap_or("admitted").to_owned(),
    };
    let told: Vec<String> = story.iter().rev().map(happened).filter(|word| word != "personal_read").collect();
    assert_eq!(told[told.len() - 4..], ["block_ticket", "blocked", "unblock_ticket", "admitted"]);
}

/// A guest of the south is let in at the north, once; another is sent back and comes again.
pub fn by_hand(day: &mut Day) {
    day.scan(|own| &own.north_1, "S-070", Some("wrong_gate"));
    let supervisor = day.supervisor();
    let guest = json!({
        "code": {"kind": "optical", "code": "S-070"}, "gate": "NORTH_1", "device": day.devices.north_1.name,
        "reason": "GuestS-070 Haldenwang sits with the family", "scan_id": "1", "unlock": true,
    });
    let admitted = supervisor.create("/api/v1/admissions", &guest);
    assert_eq!(admitted["overrode"]["code"], "wrong_gate", "{admitted}");
    assert_eq!(supervisor.create("/api/v1/admissions", &guest), admitted, "the same again is the same");
    let told = day.devices.north_1.beats(day.server.device)["commands"].as_array().unwrap().clone();
    assert_eq!(told.iter().filter(|own| own["action"] == "unlock").count(), 1, "{told:?}");
    day.book.lines.push(Line {
        device: day.devices.north_1.name.clone(),
        gate: "NORTH_1".to_owned(),
        scan_id: "hand-1".to_owned(),
        code: "S-070".to_owned(),
        kind: "validate",
        refused: None,
        is_annulled: false,
    });
    day.agrees();
    let sent_back = day.scan(|own| &own.north_2, "N-114", None);
    day.server.projected();
    let scan = day.supervisor().get("/api/v1/scans?code=N-114")["items"][0].clone();
    assert_eq!(scan["scan_id"], sent_back);
    let annul = format!("/api/v1/scans/{}/annul", scan["lsn"]);
    assert_eq!(day.supervisor().post(&annul, &because("he forgot his child"))["passage"], "annulled");
    day.book.annul(&sent_back);
    day.agrees();
    day.scan(|own| &own.north_1, "N-114", None);
    day.scan(|own| &own.north_2, "N-114", Some("already_used"));
    day.agrees();
}

/// A gate turns free and counts, and is as before once the alarm is over; another one is closed for a while.
pub fn alarm(day: &mut Day) {
    let gate = |day: &Day, gate: &str, what: &str| {
        let told = day.supervisor().post(&format!("/api/v1/gates/{gate}/{what}"), &because("fire alarm"));
        told["mode"].as_str().unwrap().to_owned()
    };
    let stands = |day: &Day| day.devices.north_2.beats(day.server.device)["mode"].clone();
    assert_eq!(gate(day, "NORTH_2", "emergency-open"), "emergency_open");
    assert_eq!(stands(day), "emergency_open");
    day.devices.north_2.counts(day.server.device, 5);
    day.book.turns.insert("NORTH_2".to_owned(), 5);
    day.scan(|own| &own.north_2, "N-115", None);
    day.scan(|own| &own.north_2, "N-115", Some("already_used"));
    day.agrees();
    assert_eq!(gate(day, "NORTH_2", "release"), "open");
    assert_eq!(stands(day), "normal");
    assert_eq!(gate(day, "NORTH_1", "close"), "closed");
    day.scan(|own| &own.north_1, "N-116", Some("gate_closed"));
    assert_eq!(gate(day, "NORTH_1", "open"), "open");
    day.scan(|own| &own.north_1, "N-116", None);
    day.agrees();
}

/// A device was cut off and let two guests in by itself, one of them wrongly: that is a conflict, which somebody looks into.
pub fn cut_off(day: &mut Day) {
    let lines = ["N-117", "N-001"].map(|code| day.devices.north_2.showed_green(code));
    let came = day.devices.north_2.uploads(day.server.device, &lines, &day.now());
    let outcomes: Vec<&str> = came.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["admitted", "conflict"]);
    day.book.lines.extend(lines);
    day.agrees();
    day.server.projected();
    let supervisor = day.supervisor();
    let open = supervisor.all("/api/v1/conflicts");
    assert_eq!(open.iter().map(|own| &own["reason"]).collect::<Vec<_>>(), ["already_used"]);
    assert_eq!(open[0]["scan"]["device"], day.devices.north_2.name);
    let resolve = format!("/api/v1/conflicts/{}/resolve", open[0]["lsn"]);
    supervisor.post(&resolve, &json!({"note": "a copy; the guest was shown out"}));
    day.server.projected();
    assert_eq!(supervisor.all("/api/v1/conflicts"), [] as [Value; 0]);
    day.agrees();
}
