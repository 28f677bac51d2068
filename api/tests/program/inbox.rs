//! A box office that writes into the database of a running node: what it says is so at the gates at once, each row is told
//! what came of it, and is taken in once, whatever dies in between.

use crate::audit::audit;
use crate::postgres::Database;
use crate::support::{Server, Site, scan_body, until, venue, venue_scan};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use store_testkit::Session;

const VALIDATE: &str = "/api/access/validate";
/// From a refund's commit to the refusal at a gate.
const REFUND_MAX: Duration = Duration::from_secs(1);

/// The statements of the manual, in its order.
fn manual() -> Vec<String> {
    let text = include_str!("../../../migrations/postgres/INBOX.md");
    let blocks = text.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

impl Database {
    fn run(&self, sql: &str) -> Vec<Vec<String>> {
        Session::open(&self.server.url("postgres")).run(sql)
    }

    /// Waits until nothing waits.
    fn taken_in(&self) {
        until("the inbox to be empty", || {
            let waiting = self.run("SELECT count(*) FROM inbox WHERE state = 'waiting'");
            (waiting[0][0] == "0").then_some(())
        });
    }

    /// Waits until rows can be written.
    fn inbox_is_there(&self) {
        until("the inbox", || {
            (self.run("SELECT to_regclass('inbox') IS NOT NULL")[0][0] == "t").then_some(())
        });
    }
}

fn reason(server: &Server, code: &str, id: &str) -> Value {
    server.scan(900, code, id)["reason"].clone()
}

/// What a gate would say.
fn checked(server: &Server, code: &str) -> Value {
    server.post("/api/access/check", &scan_body(900, code, "check")).json()
}

#[test]
fn the_manuals_statements_do_what_it_says_with_no_right_but_the_manuals() {
    let database = Database::start();
    let site = database.site();
    let server = site.start();
    let manual = manual();
    let [rights, sold, changed, reissued, returned, wrong, removed, again] = &manual[..] else {
        panic!("the manual has other statements: {manual:#?}");
    };
    database.run(&rights.replace("LOGIN", "LOGIN PASSWORD 'only-for-tests'"));
    let own = database.server.url("postgres").replacen("gatehouse", "box_office", 1);
    let box_office = Session::open(&own);
    let says = |sql: &str| {
        box_office.run(sql);
        database.taken_in();
    };
    says(sold);
    assert_eq!(server.scan(900, "SHOP-000001", "a")["access_granted"], true);
    says(changed);
    says(reissued);
    assert_eq!(reason(&server, "SHOP-000001", "b"), "superseded");
    let admitted = server.scan(900, "SHOP-000002", "c");
    assert_eq!(
        (&admitted["access_granted"], &admitted["ticket_info"]["customer_name"]),
        (&Value::from(true), &Value::from("Grace Example"))
    );
    says(returned);
    assert_eq!(reason(&server, "SHOP-000002", "d"), "cancelled");
    says(
        "INSERT INTO inbox (operation, code, event) VALUES ('add', 'SHOP-3', 'opera'), ('sell', 'SHOP-4', NULL)",
    );
    let told: Vec<String> = box_office.run(wrong).into_iter().map(|row| row.join(" | ")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("add | SHOP-3 | there is no event 'opera'"), "{told:?}");
    assert!(told[1].contains("operation 'sell' is not one of add, change, cancel"), "{told:?}");
    let refused = box_office.try_run("UPDATE inbox SET state = 'done'").unwrap_err();
    assert!(refused.starts_with("permission denied"), "{refused}");
    assert!(box_office.try_run("SELECT * FROM tickets").is_err(), "nothing else is to be seen");
    database.run(again);
    database.taken_in();
    assert_eq!(server.metric("gatehouse_inbox_rows_total{outcome=\"refused\"}"), 3.0, "asked for once more");
    database.run("UPDATE inbox SET done_at = done_at - interval '31 days'");
    database.run(removed);
    assert_eq!(database.run("SELECT count(*) FROM inbox")[0][0], "0");
    server.stop();
}

#[test]
fn a_refund_closes_the_ticket_at_the_gates_within_a_second_also_when_nobody_is_told_of_it() {
    let database = Database::start();
    let site = database.site();
    let server = site.start();
    // Rows are read when the database knows what the node knew at its start.
    server.projected();
    let refund = |n: u32| {
        let code = format!("DEMO-STD-{n:06}");
        assert_eq!(checked(&server, &code)["access_granted"], true);
        database.run(&format!("INSERT INTO inbox (operation, code) VALUES ('cancel', '{code}')"));
        let began = Instant::now();
        until("the refusal", || (checked(&server, &code)["reason"] == "cancelled").then_some(()));
        began.elapsed()
    };
    let in_time = |n: u32| {
        let took = refund(n);
        assert!(took <= REFUND_MAX, "refund {n} took {took:?}");
    };
    (1..=5).for_each(in_time);
    database.run("DROP TRIGGER inbox_written ON inbox");
    // Rows are looked for too.
    (6..=8).for_each(in_time);
    server.stop();
}

/// A ticket of a burst: what is said about it, what comes of each row, and how it is at the gates afterwards.
struct Story {
    code: String,
    /// operation, type, status, holder, version
    rows: Vec<(&'static str, &'static str, &'static str, &'static str, Option<u32>)>,
    /// state and outcome of each row
    told: Vec<(&'static str, &'static str)>,
    /// `None`: there is no such ticket.
    reason: Option<&'static str>,
    holder: &'static str,
}

const ADDED: (&str, &str) = ("done", "added");
const CHANGED: (&str, &str) = ("done", "changed");
const UNCHANGED: (&str, &str) = ("done", "unchanged");
const REFUSED: (&str, &str) = ("refused", "");
const OUTDATED: (&str, &str) = ("outdated", "");

fn story(n: usize) -> Story {
    let add = ("add", "STANDARD", "", "Ada", None);
    let (rows, told, reason, holder) = match n % 5 {
        // Twice, changed, given back.
        0 => (
            vec![add, add, ("change", "", "", "Grace", None), ("cancel", "", "", "", None)],
            vec![ADDED, UNCHANGED, CHANGED, CHANGED],
            Some("cancelled"),
            "Grace",
        ),
        // Given back before it was sold; a late change opens nothing.
        1 => (
            vec![
                ("cancel", "", "", "", None),
                add,
                ("change", "", "active", "", None),
                ("cancel", "", "", "", None),
            ],
            vec![CHANGED, ADDED, REFUSED, UNCHANGED],
            Some("cancelled"),
            "Ada",
        ),
        // Out of order, with versions.
        2 => (
            vec![
                ("add", "STANDARD", "", "Ada", Some(1)),
                ("change", "VIP", "", "Grace", Some(3)),
                ("change", "", "blocked", "Old", Some(2)),
                ("change", "", "", "Older", Some(1)),
            ],
            vec![ADDED, CHANGED, OUTDATED, OUTDATED],
            None,
            "Grace",
        ),
        // Two sales of one code: the first has it.
        3 => (
            vec![
                add,
                ("add", "VIP", "", "Mallory", None),
                ("change", "", "blocked", "", None),
                ("change", "", "active", "", None),
            ],
            vec![ADDED, REFUSED, CHANGED, CHANGED],
            None,
            "Ada",
        ),
        // Nothing that can be done.
        _ => (
            vec![
                ("add", "BALCONY", "", "Ada", None),
                ("add", "STANDARD", "sold", "Ada", None),
                ("refund", "", "", "", None),
                ("change", "", "lost", "", None),
            ],
            vec![REFUSED, REFUSED, REFUSED, REFUSED],
            Some("unknown_ticket"),
            "",
        ),
    };
    Story { code: format!("BURST-{n}"), rows, told, reason, holder }
}

/// One statement with the rows of some stories, in the order in which they happened.
fn statement(stories: &[Story]) -> String {
    let quoted = |text: &str| if text.is_empty() { "NULL".to_owned() } else { format!("'{text}'") };
    let rows = stories.iter().flat_map(|story| {
        story.rows.iter().map(move |(operation, kind, status, holder, version)| {
            let version = version.map_or("NULL".to_owned(), |version| version.to_string());
            let texts = [operation, story.code.as_str(), "demo-match", kind, status, holder].map(quoted);
            format!("({}, {version})", texts.join(", "))
        })
    });
    format!(
        "INSERT INTO inbox (operation, code, event, type, status, holder, version) VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    )
}

/// Rows of the burst, and of one statement.
const BURST_ROWS: usize = 10_000;
const STATEMENT_ROWS: usize = 100;
const ROWS_PER_STORY: usize = 4;
const WRITERS: usize = 4;

/// Several programs write at once; `between` is called now and then by one of them.
fn write_burst(database: &Database, stories: &[Story], between: &mut (dyn FnMut() + Send)) {
    let url = database.server.url("postgres");
    let statements: Vec<String> = stories.chunks(STATEMENT_ROWS / ROWS_PER_STORY).map(statement).collect();
    std::thread::scope(|scope| {
        let (first, rest) = statements.split_at(statements.len() / WRITERS);
        for part in rest.chunks(first.len()) {
            let url = &url;
            scope.spawn(move || {
                let session = Session::open(url);
                part.iter().for_each(|sql| drop(session.run(sql)));
            });
        }
        let session = Session::open(&url);
        for sql in first {
            session.run(sql);
            between();
        }
    });
}

/// Every row was told what it had to be told, and every ticket is as its rows say, once.
fn check_stories(database: &Database, server: &Server, stories: &[Story]) {
    let sql = "SELECT code, state, coalesce(outcome, ''), coalesce(problem, '') FROM inbox ORDER BY id";
    let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in database.run(sql) {
        let [code, state, outcome, problem] = &row[..] else { panic!("{row:?}") };
        assert_eq!(problem.is_empty(), state == "done", "{row:?}");
        told.entry(code.clone()).or_default().push((state.clone(), outcome.clone()));
    }
    for story in stories {
        let got: Vec<(&str, &str)> =
            told[&story.code].iter().map(|(state, outcome)| (state.as_str(), outcome.as_str())).collect();
        assert_eq!(got, story.told, "{}", story.code);
        let answer = checked(server, &story.code);
        assert_eq!(answer["reason"].as_str(), story.reason, "{}: {answer}", story.code);
        assert_eq!(answer["access_granted"], story.reason.is_none(), "{answer}");
    }
    let sql = "SELECT reference, holder FROM tickets WHERE reference LIKE 'BURST-%' ORDER BY reference";
    let kept: Vec<(String, String)> =
        database.run(sql).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: BTreeSet<(String, String)> = stories
        .iter()
        .filter(|story| !story.holder.is_empty())
        .map(|story| (story.code.clone(), story.holder.to_owned()))
        .collect();
    assert_eq!(kept, expected.into_iter().collect::<Vec<_>>(), "each ticket once");
    let twice = "SELECT details::text FROM audit WHERE action LIKE 'inbox_%' GROUP BY 1 HAVING count(*) > 1";
    assert_eq!(database.run(twice).len(), 0, "no row was done twice");
}

#[test]
fn ten_thousand_rows_in_a_burst_are_each_told_the_truth_while_gates_go_on() {
    let database = Database::start();
    let site = database.site();
    let server = site.start();
    database.inbox_is_there();
    let stories: Vec<Story> = (0..BURST_ROWS / ROWS_PER_STORY).map(story).collect();
    let (stop, done) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..2)
            .map(|lane| {
                let (server, stop, done) = (&server, &stop, &done);
                scope.spawn(move || crate::database::scan_until(server, stop, done, lane))
            })
            .collect();
        write_burst(&database, &stories, &mut || {});
        database.taken_in();
        stop.store(true, Ordering::Relaxed);
        assert!(lanes.into_iter().all(|lane| !lane.join().unwrap().is_empty()));
    });
    server.projected();
    check_stories(&database, &server, &stories);
    audit(&site.journal(), &Session::open(&database.server.url("postgres")));
    let rows = |outcome: &str| {
        server.metric(&format!("gatehouse_inbox_rows_total{{outcome=\"{outcome}\"}}")) as usize
    };
    let of_each = stories.len() / 5;
    assert_eq!((rows("added"), rows("refused"), rows("outdated")), (of_each * 4, of_each * 6, of_each * 2));
    server.stop();
}

#[test]
fn a_row_is_taken_in_once_however_often_the_node_and_the_database_are_killed_meanwhile() {
    let mut database = Database::start();
    let site = database.site();
    let mut server = Some(site.start());
    database.inbox_is_there();
    let stories: Vec<Story> = (0..BURST_ROWS / ROWS_PER_STORY).map(story).collect();
    let (first, second) = stories.split_at(stories.len() / 2);
    let mut statements = 0;
    write_burst(&database, first, &mut || {
        statements += 1;
        if statements % 3 == 0 {
            server.take().unwrap().kill();
            server = Some(site.start());
        }
    });
    write_burst(&database, second, &mut || {});
    database.server.kill();
    database.server.resume();
    let server = server.unwrap();
    database.taken_in();
    server.projected();
    check_stories(&database, &server, &stories);
    audit(&site.journal(), &Session::open(&database.server.url("postgres")));
    server.stop();
}

#[test]
fn a_refund_of_a_ticket_that_is_in_the_database_alone_is_known_when_its_event_comes_near() {
    let database = Database::start();
    let site = database.on(Site::bare());
    site.command(&["import", "venue", &site.file("venue.toml", venue().as_bytes())]).well();
    let far = |year: u32| {
        format!(
            "[[event]]\nname = 'spring'\ntitle = 'Spring Gala'\ntime_zone = 'UTC'\n\
             doors_open = '{year}-01-01T00:00:00Z'\nstarts = '{year}-01-01T01:00:00Z'\nends = '2090-01-01T00:00:00Z'\n\
             [[type]]\nname = 'SEAT'\nevent = 'spring'\nentries = 1\n"
        )
    };
    site.command(&["import", "venue", &site.file("far.toml", far(2089).as_bytes())]).well();
    let list = site.file("spring.csv", b"code,type\nSPRING-1,SEAT\nSPRING-2,SEAT\n");
    site.command(&["import", "tickets", "--event", "spring", &list]).well();
    let server = site.start();
    until("the tickets to leave the memory", || (server.metric("gatehouse_cold_codes") >= 2.0).then_some(()));
    // Twice in one turn, and one that was sold after the others had left.
    database.run(
        "INSERT INTO inbox (operation, code, holder, event, type) VALUES ('change', 'SPRING-1', 'Ada', NULL, NULL), \
         ('cancel', 'SPRING-1', NULL, NULL, NULL), ('add', 'SPRING-3', 'Eve', 'spring', 'SEAT'), \
         ('cancel', 'SPRING-3', NULL, NULL, NULL), ('add', 'SPRING-2', NULL, 'spring', 'SEAT')",
    );
    database.taken_in();
    let told = database.run("SELECT state, outcome FROM inbox ORDER BY id");
    let told: Vec<String> = told.iter().map(|row| row.join(" ")).collect();
    assert_eq!(told, ["done changed", "done changed", "done added", "done changed", "done unchanged"]);
    server.stop();
    site.command(&["import", "venue", &site.file("near.toml", far(2020).as_bytes())]).well();
    let server = site.start();
    until("the tickets to come back", || (server.metric("gatehouse_tickets") >= 3.0).then_some(()));
    let reason = |code: &str| server.post(VALIDATE, &venue_scan(code, code)).json()["reason"].clone();
    assert_eq!([reason("SPRING-1"), reason("SPRING-3")], ["cancelled", "cancelled"]);
    assert_eq!(reason("SPRING-2"), "wrong_event", "it is good, at another gate");
    server.stop();
}
