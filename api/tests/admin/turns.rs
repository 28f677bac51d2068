//! Operations that wait for their turn: how many may, what the next is told, and that there is room once one has ended. Knows
//! the document, not the code.

use crate::api::{Api, is_problem};
use crate::operations::{came_to, ended};
use crate::support::{Answer, Server, Site, until};
use serde_json::json;
use std::fmt::Write;

/// Operations at work, and operations that wait.
const AT_WORK: usize = 2;
const WAITING: usize = 16;
/// Some ten seconds of work for each: they are at it until one of them is cancelled.
const LONG_ROWS: usize = 1_000_000;

fn list(prefix: &str, count: usize) -> String {
    let mut list = "code,type\n".to_owned();
    (0..count).for_each(|n| writeln!(list, "{prefix}-{n},VIP").unwrap());
    list
}

fn send(api: &Api<'_>, list: &str) -> Answer {
    let csv = [("Content-Type", "text/csv")];
    api.ask("POST", "/api/v1/events/demo-match/imports", &csv, list.as_bytes())
}

/// Asks for a ticket of its own to be blocked, as many tickets are.
fn block(server: &Server, number: usize) -> Answer {
    let codes = [format!("DEMO-STD-{:06}", number + 1)];
    let bulk = json!({"action": "block", "filter": {"codes": codes}, "reason": "stolen"}).to_string();
    Api::demo(server).ask("POST", "/api/v1/events/demo-match/tickets/bulk", &[], bulk.as_bytes())
}

/// It was taken on; where to look for it.
#[track_caller]
fn taken_on(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("Location").unwrap().to_owned()
}

#[test]
fn where_sixteen_wait_the_next_is_told_to_come_again_and_has_room_once_one_has_ended() {
    let site = Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0");
    let server = &site.start();
    let api = Api::demo(server);
    let state = |at: &str| api.get(at)["state"].as_str().unwrap().to_owned();
    let at_work: Vec<String> =
        (0..AT_WORK).map(|n| taken_on(&send(&api, &list(&format!("LONG{n}"), LONG_ROWS)))).collect();
    until("both to be at work", || at_work.iter().all(|at| state(at) == "running").then_some(()));
    let asked = || api.all("/api/v1/operations").len();
    let come: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..3 * WAITING).map(|n| scope.spawn(move || block(server, n))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (taken, refused): (Vec<Answer>, Vec<Answer>) = come.into_iter().partition(|own| own.status == 202);
    let waiting: Vec<String> = taken.iter().map(taken_on).collect();
    assert_eq!(waiting.len(), WAITING, "however many come at once");
    for refused in refused.iter().chain([&send(&api, &list("LATE", 10))]) {
        let problem = is_problem(refused, 503, "unavailable");
        assert_eq!(problem["detail"], "16 operations wait already; ask again when one of them has ended");
        assert_eq!(refused.header("Retry-After"), Some("10"));
    }
    assert_eq!(asked(), AT_WORK + WAITING, "nothing is kept of what was refused");
    assert!(
        waiting.iter().all(|at| state(at) == "queued") && at_work.iter().all(|at| state(at) == "running")
    );
    let cancel = |at: &str| api.ask("POST", &format!("{at}/cancel"), &[], b"").status;
    assert_eq!(cancel(&at_work[0]), 202);
    let late = until("room", || Some(send(&api, &list("LATE", 10))).filter(|answer| answer.status == 202));
    for at in &waiting {
        assert_eq!(came_to(&ended(&api, at)), "succeeded +0 ~1 =0 !0");
    }
    assert_eq!(came_to(&ended(&api, &taken_on(&late))), "succeeded +10 ~0 =0 !0");
    assert_eq!(ended(&api, &at_work[0])["state"], "cancelled");
    assert!(["running", "succeeded"].contains(&&*state(&at_work[1])), "the other one goes on");
}
