//! Events that are not near: their tickets are in the store only, and nothing about them is lost or doubled.

use crate::support::{Server, Site, until, venue, venue_scan};
use serde_json::json;

/// The venue with a second event far away, or going on now.
fn with_spring(doors: &str) -> String {
    format!(
        "{}[[event]]\nname = 'spring'\ntitle = 'Spring Gala'\ntime_zone = 'UTC'\ndoors_open = '{doors}'\nstarts = '2089-01-01T01:00:00Z'\nends = '2090-01-01T00:00:00Z'\n\
         [[type]]\nname = 'SEAT'\nevent = 'spring'\nentries = 1\n",
        venue()
    )
}

const LIST: &str = "code,type,card\nSPRING-1,SEAT,\nSPRING-2,SEAT,04A1B2\nSPRING-3,SEAT,\n";

/// A site whose spring event has left the memory, with its server.
fn cooled() -> (Site, Server) {
    let site = Site::venue("CUP-1,SEAT,\n");
    site.command(&[
        "import",
        "venue",
        &site.file("spring.toml", with_spring("2089-01-01T00:00:00Z").as_bytes()),
    ])
    .well();
    site.command(&["import", "tickets", "--event", "spring", &site.file("spring.csv", LIST.as_bytes())])
        .well();
    let server = site.start();
    until("the spring tickets to leave the memory", || {
        (server.metric("gatehouse_cold_codes") >= 4.0).then_some(())
    });
    (site, server)
}

fn scan(server: &Server, code: &str, id: &str) -> serde_json::Value {
    server.post("/api/access/validate", &venue_scan(code, id)).json()
}

#[test]
fn a_ticket_of_an_event_far_away_is_for_that_event_and_admits_when_it_comes_near() {
    let (site, server) = cooled();
    let value = scan(&server, "SPRING-1", "c1");
    assert_eq!(
        (&value["reason"], value["message"].as_str().unwrap().contains("Spring Gala")),
        (&json!("wrong_event"), true),
        "{value}"
    );
    assert_eq!(scan(&server, "SPRING-1", "c1"), value, "its retry is the same");
    assert_eq!(scan(&server, "SPRING-9", "c2")["reason"], "unknown_ticket");
    server.kill();
    let near = with_spring("2020-01-01T00:00:00Z")
        .replace("starts = '2089-01-01T01:00:00Z'", "starts = '2020-01-01T01:00:00Z'")
        .replace("name = 'IN'\nevent = 'cup'", "name = 'IN'\nevent = 'spring'");
    site.command(&["import", "venue", &site.file("near.toml", near.as_bytes())]).well();
    let server = site.start();
    until("the spring tickets to come back", || (server.metric("gatehouse_tickets") >= 4.0).then_some(()));
    assert_eq!(scan(&server, "SPRING-1", "n1")["access_granted"], true);
    assert_eq!(scan(&server, "SPRING-1", "n2")["reason"], "already_used");
    assert_eq!(scan(&server, "SPRING-1", "c1"), value, "what was said before stays said");
}

/// Found by reading: only tickets in memory were looked at, so that a list that came again made two of each.
#[test]
fn a_list_of_an_event_far_away_that_comes_again_adds_nothing() {
    let (site, server) = cooled();
    let again =
        site.command(&["import", "tickets", "--event", "spring", &site.file("again.csv", LIST.as_bytes())]);
    assert!(again.code == 1 && again.out.contains("0 tickets imported, 3 bad rows"), "{again:?}");
    let elsewhere = site.command(&[
        "import",
        "tickets",
        "--event",
        "cup",
        &site.file("else.csv", b"code,type\nSPRING-3,SEAT\n"),
    ]);
    assert!(
        elsewhere.code == 1 && elsewhere.err.contains("another ticket"),
        "a code belongs to one ticket: {elsewhere:?}"
    );
    server.projected();
    let tickets = site.command(&["export", "tickets", "--event", "spring", "--format", "ndjson"]).well().out;
    assert_eq!(tickets.lines().count(), 3, "{tickets}");
}

#[test]
fn a_list_that_came_twice_admits_each_code_once_over_every_restart() {
    let (site, server) = cooled();
    site.command(&["import", "tickets", "--event", "spring", &site.file("again.csv", LIST.as_bytes())]);
    server.projected();
    server.stop();
    let near = with_spring("2020-01-01T00:00:00Z")
        .replace("starts = '2089-01-01T01:00:00Z'", "starts = '2020-01-01T01:00:00Z'")
        .replace("name = 'IN'\nevent = 'cup'", "name = 'IN'\nevent = 'spring'");
    site.command(&["import", "venue", &site.file("near.toml", near.as_bytes())]).well();
    let server = site.start();
    until("the spring tickets to come back", || (server.metric("gatehouse_tickets") >= 4.0).then_some(()));
    assert_eq!(scan(&server, "SPRING-1", "n1")["access_granted"], true);
    assert_eq!(scan(&server, "SPRING-1", "n2")["reason"], "already_used");
    server.projected();
    server.kill();
    let server = site.start();
    assert_eq!(scan(&server, "SPRING-1", "n3")["reason"], "already_used", "after a kill");
    server.stop();
    let server = site.start();
    assert_eq!(scan(&server, "SPRING-1", "n4")["reason"], "already_used", "from the checkpoint");
    server.stop();
    std::fs::remove_dir_all(site.journal()).unwrap();
    let server = site.start();
    assert_eq!(scan(&server, "SPRING-1", "n5")["reason"], "already_used", "from the store");
}
