//! A node that lost its store starts from journal and checkpoint; one that lost its journal from the store.

use crate::support::{Server, Site, scan_body, until, venue_scan};
use std::collections::BTreeMap;

const VALIDATE: &str = "/api/access/validate";

/// Scans of several outcomes; gives the bodies with their answers.
fn work(server: &Server) -> Vec<(String, String)> {
    let codes = (1..=60)
        .map(|n| format!("DEMO-STD-{n:06}"))
        .chain(["DEMO-BLOCKED", "NOTHING", "DEMO-VIP-0001"].map(str::to_owned));
    let bodies: Vec<String> =
        codes.enumerate().map(|(n, code)| scan_body(900, &code, &format!("w{n}"))).collect();
    let mut client = server.client();
    bodies
        .into_iter()
        .map(|body| (client.post(VALIDATE, &body).text(), body))
        .map(|(answer, body)| (body, answer))
        .collect()
}

fn assert_same(server: &Server, done: &[(String, String)]) {
    let mut client = server.client();
    for (body, answer) in done {
        assert_eq!(client.post(VALIDATE, body).text(), *answer, "{body}");
    }
    for n in 1..=60 {
        assert_eq!(
            server.scan(900, &format!("DEMO-STD-{n:06}"), &format!("again-{}-{n}", server.device.port()))["reason"],
            "already_used"
        );
    }
}

fn lose_store(site: &Site) {
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = std::fs::remove_file(site.data().join(name));
    }
}

fn scan_ids(site: &Site) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for row in site.exported() {
        *ids.entry(row["scan_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    ids
}

#[test]
fn a_lost_store_is_written_again_from_the_journal() {
    let site = Site::demo();
    let server = site.start();
    let done = work(&server);
    server.stop();
    let before = scan_ids(&site);
    let tickets = site.command(&["export", "tickets"]).well().out;
    lose_store(&site);
    let server = site.start();
    server.projected();
    assert_eq!(scan_ids(&site), before, "the access log is whole again");
    assert_eq!(site.command(&["export", "tickets"]).well().out, tickets);
    assert_same(&server, &done);
    server.kill();
    lose_store(&site);
    let server = site.start();
    assert_same(&server, &done);
}

#[test]
fn a_lost_journal_is_replaced_by_the_store() {
    let site = Site::demo();
    let server = site.start();
    let done = work(&server);
    let people = server.metric(r#"gatehouse_zone_people{zone="BOWL"}"#);
    server.stop();
    std::fs::remove_dir_all(site.journal()).unwrap();
    let server = site.start();
    assert_same(&server, &done);
    assert_eq!(server.metric(r#"gatehouse_zone_people{zone="BOWL"}"#), people, "people are where they were");
    assert_eq!(server.scan(900, "DEMO-STD-000100", "new")["access_granted"], true);
    assert_eq!(server.metric("gatehouse_tickets"), 52_109.0);
    server.projected();
    assert_eq!(scan_ids(&site)["new"], 1);
    server.kill();
    let server = site.start();
    assert_same(&server, &done);
    assert_eq!(server.scan(900, "DEMO-STD-000100", "newer")["reason"], "already_used");
    server.projected();
    assert!(scan_ids(&site).values().all(|count| *count == 1), "nothing is in the access log twice");
    server.stop();
    site.command(&["journal", "verify", &site.journal().display().to_string()]).well();
}

#[test]
fn a_hole_in_the_journal_is_named_and_nothing_is_changed() {
    let site = Site::demo();
    let server = site.start();
    work(&server);
    server.kill();
    let segment = std::fs::read_dir(site.journal())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|own| own == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100_000] ^= 0x40;
    std::fs::write(&segment, &bytes).unwrap();
    let done = site.fails_to_start();
    assert_eq!(done.code, 70, "{done:?}");
    assert!(done.err.contains("journal") && done.err.contains("byte"), "{done:?}");
    assert!(!done.err.contains("panicked"), "{done:?}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "a damaged journal is evidence");
    let verify = site.command(&["journal", "verify", &site.journal().display().to_string()]);
    assert_eq!(verify.code, 1, "{verify:?}");
    assert!(verify.out.contains("damaged"), "{verify:?}");
}

#[test]
fn a_torn_tail_is_cut_and_told() {
    let site = Site::demo();
    let server = site.start();
    let done = work(&server);
    server.kill();
    let inspected = site.command(&["journal", "inspect", &site.journal().display().to_string()]).well();
    let last: serde_json::Value = serde_json::from_str(inspected.out.lines().last().unwrap()).unwrap();
    let path = std::fs::read_dir(site.journal())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|own| own == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let end = (last["byte"].as_u64().unwrap() + last["bytes"].as_u64().unwrap() - 3) as usize;
    bytes[end..end + 2].fill(0xEE);
    std::fs::write(&path, &bytes).unwrap();
    // The store may be ahead of what the cut left; the node must say so or start well, never guess.
    let verify = site.command(&["journal", "verify", &site.journal().display().to_string()]);
    assert!(verify.said().contains("torn tail") || verify.code == 1, "{verify:?}");
    lose_store(&site);
    let server = site.start();
    assert_same(&server, &done[..60]);
    assert!(site.log().contains("torn tail"), "{}", site.log());
}

fn segments(site: &Site) -> usize {
    let names = std::fs::read_dir(site.journal()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

#[test]
fn the_next_segment_is_made_ahead_and_taken_and_one_that_is_left_over_is_removed() {
    let site = Site::venue("");
    let server = site.start();
    let spare = site.journal().join("next-segment.tmp");
    // More than three quarters of a segment: the next one is made in step with it, and is ready then.
    let rows: String = (0..80_000).map(|n| format!("T{n:05},SEAT,{:-<120}\n", "Guest ")).collect();
    let list = site.file("long.csv", format!("code,type,holder\n{rows}").as_bytes());
    assert!(!spare.exists(), "a server with nothing to do makes none");
    site.command(&["import", "tickets", "--event", "cup", &list]).well();
    let mut scans = 0;
    let mut scan = || {
        let (code, id) = (format!("T{scans:05}"), format!("s{scans}"));
        scans += 1;
        assert_eq!(server.post(VALIDATE, &venue_scan(&code, &id)).json()["access_granted"], true, "{code}");
    };
    // The first segment is only reserved: it is left with the first commit after the next is ready.
    until("the second segment", || {
        scan();
        (segments(&site) == 2).then_some(())
    });
    assert!(!spare.exists(), "it is a segment now");
    scan();
    let answer = server.post(VALIDATE, &venue_scan("T00000", "s0")).text();
    server.kill();
    std::fs::write(&spare, b"half of a spare").unwrap();
    site.command(&["journal", "verify", &site.journal().display().to_string()]).well();
    assert!(spare.exists(), "looking changes nothing");
    let server = site.start();
    assert!(!spare.exists());
    assert_eq!(server.post(VALIDATE, &venue_scan("T00000", "s0")).text(), answer);
    assert!(!site.log().contains("WARN"), "{}", site.log());
}
