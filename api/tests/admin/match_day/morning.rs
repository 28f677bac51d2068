//! The morning of a match day: from a node that has nobody to staff, gates, tickets that are sold and devices that wait.

use super::book::{Book, EVENT, GATES, Sold};
use super::gate::Device;
use super::{ADMINISTRATOR, Devices, MANAGER, SECRET, SUPERVISOR, Staff, VIEWER};
use crate::api::{Api, is_problem};
use crate::operations::{came_to, ended, errors};
use crate::people::{Browser, PASSWORD, hired, setup_token};
use crate::support::Server;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tickets of the north, of the south, and for both.
const SALES: [(&str, &str, usize); 3] = [("N", "NORTH", 180), ("S", "SOUTH", 80), ("V", "VIP", 20)];
/// Tickets of an order.
const ORDER: usize = 4;
/// The line of the list that is wrong at first, counted with its head.
const WRONG_LINE: usize = 5;

/// The first administrator comes by the token that the node printed, and brings the others.
pub fn staff(server: &Server) -> Staff {
    let first = json!({"token": setup_token(server), "email": ADMINISTRATOR, "password": PASSWORD});
    Api::with(server, "").create("/api/v1/setup", &first);
    let administrator = Browser::default().signs_in(server, ADMINISTRATOR, PASSWORD);
    let manager = hired(server, &administrator, MANAGER, "manager");
    let supervisor = hired(server, &administrator, SUPERVISOR, "supervisor");
    let viewer = hired(server, &administrator, VIEWER, "viewer");
    let ends = Timestamp::now().checked_add(SignedDuration::from_hours(24)).unwrap().to_string();
    let scopes = ["tickets.import", "tickets.read"];
    let new = json!({"name": "ticket vendor", "scopes": scopes, "expires_at": ends});
    let made = Api::with(server, &manager).create("/api/v1/tokens", &new);
    let vendor = made["token"].as_str().unwrap().to_owned();
    Staff { administrator, manager, supervisor, viewer, vendor }
}

/// Zones, gates, an event with its types; the gates are closed, and the doors open in two hours.
pub fn venue(manager: &Api<'_>) {
    let soon = |hours| Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap().to_string();
    for zone in ["NORTH", "SOUTH"] {
        manager.create("/api/v1/zones", &json!({"name": zone, "capacity": 500}));
    }
    let event = json!({
        "name": EVENT, "title": "Cup Final", "time_zone": "Europe/Zurich",
        "doors_open_at": soon(2), "starts_at": soon(4), "ends_at": soon(6),
    });
    manager.create("/api/v1/events", &event);
    for (name, from, to) in GATES {
        let gate = json!({"name": name, "event": EVENT, "from": from, "to": to, "mode": "closed"});
        manager.create("/api/v1/gates", &gate);
    }
    for kind in [
        json!({"name": "NORTH", "gates": ["NORTH_1", "NORTH_2"]}),
        json!({"name": "SOUTH", "gates": ["SOUTH_1"]}),
        json!({"name": "VIP", "entries": 2, "reentry": "after_exit"}),
    ] {
        manager.create(&format!("/api/v1/events/{EVENT}/ticket-types"), &kind);
    }
}

/// What the vendor has sold.
fn sold() -> Vec<Sold> {
    let numbered = SALES
        .iter()
        .flat_map(|(letter, kind, count)| (1..=*count).map(move |n| (format!("{letter}-{n:03}"), *kind, n)));
    let ticket = |(code, kind, n): (String, &'static str, usize)| Sold {
        holder: format!("Guest{code} Haldenwang"),
        order: format!("ORDER-{}{}", &code[..1], n.div_ceil(ORDER)),
        seat: format!("Block-{code}"),
        code,
        kind,
    };
    numbered.map(ticket).collect()
}

/// The list as the vendor writes it, with a mistake in one row where that is wanted.
fn list(sold: &[Sold], has_mistake: bool) -> String {
    let mut list = "Barcode;Ticket type;Name;Order;Seat\n".to_owned();
    for (at, Sold { code, kind, holder, order, seat }) in sold.iter().enumerate() {
        let kind = if has_mistake && at + 2 == WRONG_LINE { "NROTH" } else { kind };
        list += &format!("{code};{kind};{holder};{order};{seat}\n");
    }
    list
}

/// The vendor looks, tries, sends the list, hears which line is wrong, and sends it again.
pub fn tickets(vendor: &Api<'_>) -> Book {
    let sold = sold();
    let at = format!("/api/v1/events/{EVENT}/imports");
    let csv = [("Content-Type", "text/csv")];
    let takes = |query: &str, list: &str| {
        let answer = vendor.ask("POST", &format!("{at}{query}"), &csv, list.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
        ended(vendor, answer.header("Location").unwrap())
    };
    let wrong = list(&sold, true);
    let seen = vendor.ask("POST", &format!("{at}/preview"), &csv, wrong.as_bytes()).json();
    assert_eq!((&seen["problem"], &seen["rows_good"]), (&Value::Null, &json!(sold.len() - 1)), "{seen}");
    assert_eq!(seen["rows"][0]["row"]["holder"], sold[0].holder);
    let expected = format!("succeeded +{} ~0 =0 !1", sold.len() - 1);
    let dry = takes("?dry_run=true", &wrong);
    assert_eq!(came_to(&dry), expected);
    assert_eq!(vendor.all("/api/v1/tickets").len(), 0, "a dry run changes nothing");
    let real = takes("", &wrong);
    assert_eq!(came_to(&real), expected);
    let told = errors(vendor, &real);
    assert!(told.len() == 1 && told[0].starts_with("5 unknown ticket type 'NROTH'"), "{told:?}");
    let mended = takes("", &list(&sold, false));
    assert_eq!(came_to(&mended), format!("succeeded +1 ~0 ={} !0", sold.len() - 1));
    let sold: BTreeMap<String, Sold> = sold.into_iter().map(|own| (own.code.clone(), own)).collect();
    Book { sold, ..Book::default() }
}

/// One device registers itself and is approved, one is a reader that is set up by a code, two are made by hand.
pub fn devices(server: &Server, manager: &Api<'_>) -> Devices {
    let registered = register(server, manager, "TURNSTILE 1");
    let made = |name: &str, gate: &'static str, more: Value| {
        let mut new = json!({"name": name, "gate": gate, "rate_per_minute": null});
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        manager.create("/api/v1/devices", &new)["key"].as_str().unwrap().to_owned()
    };
    let north_2 = made("TURNSTILE-2", "NORTH_2", json!({}));
    let out = made("TURNSTILE-3", "NORTH_OUT", json!({}));
    made("READER-7", "SOUTH_1", json!({"profile": "vguang", "number": "7"}));
    let setup = json!({"server": format!("http://{}", server.device)});
    let code = manager.post("/api/v1/devices/READER-7/provisioning", &setup);
    let key = code["key"].as_str().unwrap();
    assert!(code["text"].as_str().unwrap().contains(&format!("/d/{key}/api/kqt300/scan")), "{code}");
    Devices {
        north_1: Device::new("TURNSTILE 1", &registered, "NORTH_1", false),
        north_2: Device::new("TURNSTILE-2", &north_2, "NORTH_2", false),
        south: Device::new("READER-7", key, "SOUTH_1", true),
        out: Device::new("TURNSTILE-3", &out, "NORTH_OUT", false),
    }
}

/// A device that turns up, is found waiting, approved, and sent to its gate.
fn register(server: &Server, manager: &Api<'_>, name: &str) -> String {
    let body = json!({"device_id": name, "secret": SECRET}).to_string();
    let told = server.post("/api/kqt300/register", &body).json();
    let key = told["api_key"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    let too_soon = json!({"api_key": key, "qr_data": "N-001", "scan_id": "too-soon"}).to_string();
    server.post("/api/access/validate", &too_soon).is_fault(403, "device_not_active");
    let waiting = manager.all("/api/v1/devices?status=pending");
    assert_eq!(waiting.iter().map(|own| &own["name"]).collect::<Vec<_>>(), [name]);
    let at = format!("/api/v1/devices/{}", name.replace(' ', "%20"));
    manager.post(&format!("{at}/approve"), &json!({"reason": "it stands at the north"}));
    manager.change(&at, |device| {
        device["gate"] = json!("NORTH_1");
        device["rate_per_minute"] = Value::Null;
    });
    key
}

/// Whoever only looks has changed nothing of this.
pub fn a_viewer_only_looks(viewer: &Api<'_>) {
    let body = json!({"reason": "I want to"}).to_string();
    for path in [
        "zones",
        "events/cup-final/imports",
        "devices/READER-7/suspend",
        "gates/NORTH_1/open",
        "tickets/0/block",
        "admissions",
        "events/cup-final/shred",
        "operators",
    ] {
        is_problem(&viewer.ask("POST", &format!("/api/v1/{path}"), &[], body.as_bytes()), 403, "not_allowed");
    }
}
