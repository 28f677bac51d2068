//! Printers and displays of a real node: real driver hosts, a real plugin, paper that can be read.

use crate::paper::{Paper, drivers};
use crate::support::{Answer, Client, DEMO_TOKEN, Server, Site, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A site whose node has these peripherals.
fn site(peripherals: &str) -> Site {
    let site = Site::demo();
    let file = site.file("peripherals.toml", peripherals.as_bytes());
    let drivers = drivers(&site, &["virtual"]);
    site.set("GATEHOUSE_PERIPHERALS_FILE", &file).set("GATEHOUSE_DRIVERS_DIR", &drivers)
}

/// One request to the API port.
pub fn api(server: &Server, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    Client::to(server.api).request(method, path, &headers, body.as_bytes()).unwrap()
}

fn jobs(server: &Server, query: &str) -> Vec<Value> {
    let answer = api(server, "GET", &format!("/api/v1/jobs{query}"), DEMO_TOKEN, &Value::Null);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

fn peripheral(server: &Server, name: &str) -> Value {
    let answer = api(server, "GET", &format!("/api/v1/peripherals/{name}"), DEMO_TOKEN, &Value::Null);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Process of a peripheral's driver host, once it works.
fn host_of(server: &Server, name: &str) -> u64 {
    until("a driver host that works", || {
        let view = peripheral(server, name);
        view["host_pid"].as_u64().filter(|_| view["state"] == "ready")
    })
}

const SLIP: &str = "elements = [{ text = '{verdict} {holder|nobody} {ticket|none}' }, { text = '{reason|well} at {gate}' }]\n";

/// One printer at this way that prints a slip of every admission and refusal.
fn one_printer(site_files: &Path, way: &str) -> String {
    std::fs::write(site_files.join("slip.toml"), SLIP).unwrap();
    format!(
        "[[peripheral]]\nname = 'till'\ndriver = 'virtual'\nconnection = '{way}'\n\
         [[template]]\nname = 'slip'\nfile = 'slip.toml'\n\
         [[rule]]\nname = 'in'\non = 'admit'\nprint = 'slip'\nprinters = ['till']\n\
         [[rule]]\nname = 'out'\non = 'deny'\nprint = 'slip'\nprinters = ['till']\n\
         [[rule]]\nname = 'by-hand'\non = 'button'\nprint = 'slip'\nprinters = ['till']\n"
    )
}

fn printing_site(paper: &Paper) -> Site {
    let site = site("");
    let folder = PathBuf::from(site.data_text()).parent().unwrap().to_owned();
    let file = one_printer(&folder, &paper.way);
    site.file("peripherals.toml", file.as_bytes());
    site
}

#[test]
fn every_decision_is_printed_once_over_retries_restarts_and_kills() {
    let paper = Paper::new();
    let site = printing_site(&paper);
    let server = site.start();
    for _ in 0..3 {
        server.scan(1, "DEMO-VIP-0001", "first");
    }
    server.scan(1, "DEMO-BLOCKED", "second");
    paper.wait_for("admit John Doe");
    paper.wait_for("deny");
    until("both jobs done", || (jobs(&server, "?state=confirmed").len() == 2).then_some(()));
    server.kill();
    let server = site.start();
    server.scan(1, "DEMO-VIP-0001", "first");
    server.scan(1, "DEMO-VIP-0002", "third");
    until("the third job done", || (jobs(&server, "?state=confirmed").len() == 3).then_some(()));
    assert_eq!((paper.count("admit"), paper.count("deny")), (2, 1), "{}", paper.text());
    server.stop();
    let text = paper.text();
    assert!(text.contains("blocked at ENTRANCE_01"), "{text}");
}

#[test]
fn drivers_are_loaded_by_their_hosts_and_never_by_the_server() {
    let paper = Paper::new();
    let site = printing_site(&paper);
    let server = site.start();
    let host = host_of(&server, "till");
    server.scan(1, "DEMO-VIP-0001", "a");
    paper.wait_for("John Doe");
    let maps = |pid: u64| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let own = maps(u64::from(server.pid()));
    assert!(!own.contains("libdriver_") && !own.contains("memfd:"), "the server has a driver in it");
    // It gives way to the gates, and so does what reads their journal for the rules: policy 5 is SCHED_IDLE, field 41 of
    // proc(5), counted from behind the name.
    let policy = |path: String| {
        let stat = std::fs::read_to_string(path).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(41 - 3).unwrap().to_owned()
    };
    assert_eq!(policy(format!("/proc/{host}/stat")), "5");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let rules = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == "rules");
    assert_eq!(policy(rules.expect("the thread of the rules").join("stat").display().to_string()), "5");
    let hosts = maps(host);
    assert!(hosts.contains("libdriver_") || hosts.contains("memfd:"), "the host has none: {hosts}");
    server.stop();
}

#[test]
fn a_driver_host_that_is_killed_comes_back_and_gates_and_paper_do_not_notice() {
    let paper = Paper::new();
    let site = printing_site(&paper);
    let server = site.start();
    let first = host_of(&server, "till");
    server.scan(1, "DEMO-VIP-0001", "a");
    paper.wait_for("John Doe");
    let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(server.scan(1, "DEMO-VIP-0003", "b")["access_granted"], true);
    let second = until("another host", || Some(host_of(&server, "till")).filter(|own| *own != first));
    assert_ne!(first, second);
    // A job that was given to the dead host before its death was noticed may have printed: then a person says so.
    let unknown = until("both jobs to come to an end", || {
        let unknown = jobs(&server, "?state=unknown");
        (jobs(&server, "?state=confirmed").len() + unknown.len() == 2).then_some(unknown)
    });
    for job in unknown {
        let decide = json!({"as": "reprint", "reason": "nothing came out"});
        let path = format!("/api/v1/jobs/{}/resolve", job["id"].as_str().unwrap());
        let answer = api(&server, "POST", &path, DEMO_TOKEN, &decide);
        assert_eq!(answer.status, 200, "{answer:?}");
        paper.wait_for("REPRINT 1");
    }
    until("both slips", || (paper.count("admit") == 2).then_some(()));
    let page = server.metrics();
    assert!(page.contains("gatehouse_peripheral_host_crashes_total{peripheral=\"till\"} 1"), "{page}");
    assert!(page.contains("gatehouse_peripheral_up{peripheral=\"till\"} 1"), "{page}");
    server.stop();
}

#[test]
fn mistakes_in_the_peripherals_file_are_told_all_at_once_before_anything_starts() {
    let site = site(
        "[[peripheral]]\nname = 'a'\ndriver = 'virtual'\nconnection = 'foo'\n[[peripheral]]\nname = 'b'\n\
         driver = 'virtual'\nconnection = 'file:/dev/null'\nspeed = 3\n",
    );
    let done = site.fails_to_start();
    assert_eq!(done.code, 64, "{done:?}");
    for words in ["no way to a device", "speed"] {
        assert!(done.said().contains(words), "{words}: {done:?}");
    }
}

#[test]
fn a_queue_that_cannot_be_opened_is_told_and_the_node_does_not_start_half() {
    let paper = Paper::new();
    let site = printing_site(&paper);
    std::fs::create_dir_all(site.data()).unwrap();
    std::fs::write(site.data().join("peripherals.db"), b"this is no database, it is a poem").unwrap();
    let done = site.fails_to_start();
    assert_ne!(done.code, 0);
    assert!(done.said().contains("peripherals.db"), "{done:?}");
}
