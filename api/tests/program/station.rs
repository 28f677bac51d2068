//! A station beside a server: real processes of both, jobs that survive the loss of either.

use crate::paper::{Paper, drivers};
use crate::peripherals::api;
use crate::support::{Answer, Client, DEMO_TOKEN, Guard, Server, Site, program, until};
use serde_json::{Value, json};
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const ORIGIN: &str = "https://box.example";

/// A station's place: its data, its settings, what it says.
struct Box1 {
    dir: tempfile::TempDir,
    drivers: String,
    server: Option<String>,
    /// Further words of its command.
    more: Vec<String>,
}

struct Running {
    child: Guard,
    addr: SocketAddr,
}

impl Box1 {
    fn new(drivers: String, way: &str, server: Option<SocketAddr>) -> Box1 {
        let dir = tempfile::tempdir().unwrap();
        let settings = format!(
            "[[peripheral]]\nname = 'BOX-PRINTER'\nstation = 'box-1'\ndriver = 'virtual'\nconnection = '{way}'\n"
        );
        std::fs::write(dir.path().join("peripherals.toml"), settings).unwrap();
        Box1 { dir, drivers, server: server.map(|addr| format!("http://{addr}")), more: Vec::new() }
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut all = vec!["station".to_owned(), "--name".to_owned(), "box-1".to_owned()];
        all.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        all.extend(["--data-dir".to_owned(), path("data"), "--drivers-dir".to_owned(), self.drivers.clone()]);
        all.extend(["--peripherals-file".to_owned(), path("peripherals.toml")]);
        all.extend(["--allow-origin".to_owned(), ORIGIN.to_owned()]);
        if let Some(server) = &self.server {
            all.extend(["--server".to_owned(), server.clone()]);
        }
        all.extend(self.more.iter().cloned());
        all
    }

    fn register(&self, token: &str) -> crate::support::Done {
        let file = self.dir.path().join("token");
        std::fs::write(&file, token).unwrap();
        let mut command = program();
        command.args(self.arguments()).arg("--register").arg(&file);
        crate::support::finish(command)
    }

    fn start(&self) -> Running {
        let out = self.dir.path().join("out");
        let err = File::options().create(true).append(true).open(self.dir.path().join("err")).unwrap();
        let mut command = program();
        command.args(self.arguments()).stdout(File::create(&out).unwrap()).stderr(err);
        let mut child = Guard(command.spawn().unwrap());
        let addr = until("the station", || {
            if let Some(status) = child.0.try_wait().unwrap() {
                panic!("the station does not start, {status}: {}", self.log());
            }
            let text = std::fs::read_to_string(&out).unwrap();
            text.split("http://").nth(1)?.split('/').next()?.parse().ok()
        });
        Running { child, addr }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("err")).unwrap_or_default()
    }
}

impl Running {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = format!("127.0.0.1:{}", self.addr.port());
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut client = Client::to(self.addr);
        client.send(bytes.as_bytes()).unwrap();
        client.answer(false).unwrap()
    }

    fn print(&self, body: &Value) -> Answer {
        self.ask("POST", "/print", &[("Content-Type", "application/json")], &body.to_string())
    }

    fn job(&self, id: &str) -> Value {
        self.ask("GET", &format!("/jobs?job={id}"), &[], "").json()["job"].clone()
    }

    fn status(&self) -> Value {
        self.ask("GET", "/status", &[], "").json()
    }

    fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }
}

/// A node whose printer hangs at the station.
fn venue() -> Site {
    venue_with(&["BOX-PRINTER"])
}

fn venue_with(printers: &[&str]) -> Site {
    let site = Site::demo();
    let settings: String = printers
        .iter()
        .map(|name| {
            format!(
                "[[peripheral]]\nname = '{name}'\nstation = 'box-1'\ndriver = 'virtual'\nconnection = 'file:/dev/null'\n"
            )
        })
        .collect();
    let file = site.file("peripherals.toml", settings.as_bytes());
    let drivers = drivers(&site, &["virtual"]);
    site.set("GATEHOUSE_PERIPHERALS_FILE", &file).set("GATEHOUSE_DRIVERS_DIR", &drivers)
}

fn folder(site: &Site) -> String {
    PathBuf::from(site.data_text()).with_file_name("drivers").display().to_string()
}

fn order(server: &Server, id: &str, line: &str) {
    order_at(server, "BOX-PRINTER", id, line);
}

fn order_at(server: &Server, printer: &str, id: &str, line: &str) {
    let body = json!({"peripheral": printer, "lines": [line], "id": id});
    let answer = api(server, "POST", "/api/v1/jobs", DEMO_TOKEN, &body);
    assert_eq!(answer.status, 201, "{answer:?}");
}

fn server_job(server: &Server, id: &str) -> Value {
    api(server, "GET", &format!("/api/v1/jobs/{id}"), DEMO_TOKEN, &Value::Null).json()
}

#[test]
fn a_station_registers_prints_the_servers_jobs_and_survives_the_loss_of_it_and_its_own_death() {
    let site = venue();
    let server = site.start();
    let paper = Paper::new();
    let own = Box1::new(folder(&site), &paper.way, Some(server.api));
    assert_eq!(own.register("wrong").code, 70);
    own.register(DEMO_TOKEN).well();
    let station = own.start();
    order(&server, "one", "first of the server");
    paper.wait_for("first of the server");
    until("the report", || (server_job(&server, "one")["state"] == "confirmed").then_some(()));
    // The station dies; what is ordered meanwhile is printed when it is back, and only once.
    station.kill();
    order(&server, "two", "second of the server");
    let station = own.start();
    paper.wait_for("second of the server");
    until("the report", || (server_job(&server, "two")["state"] == "confirmed").then_some(()));
    // The server dies; the box office goes on.
    server.kill();
    assert_eq!(station.print(&json!({"lines": ["a receipt of the box office"], "id": "own"})).status, 200);
    paper.wait_for("a receipt of the box office");
    until("its job", || (station.job("own")["state"] == "confirmed").then_some(()));
    until("the loss is told", || (station.status()["server"]["state"] == "away").then_some(()));
    for line in ["first of", "second of", "a receipt"] {
        assert_eq!(paper.count(line), 1, "{line}: {}", paper.text());
    }
    assert!(!own.log().contains("ERROR"), "{}", own.log());
    station.kill();
}

#[test]
fn a_job_the_station_cannot_take_is_told_or_waits_and_holds_up_no_other() {
    let site = venue_with(&["BOX-PRINTER", "BAR-PRINTER"]);
    let server = site.start();
    let paper = Paper::new();
    let own = Box1::new(folder(&site), &paper.way, Some(server.api));
    own.register(DEMO_TOKEN).well();
    order_at(&server, "BAR-PRINTER", "lost", "nobody prints this");
    order(&server, "one", "behind it");
    let station = own.start();
    paper.wait_for("behind it");
    until("the report", || (server_job(&server, "one")["state"] == "confirmed").then_some(()));
    let lost = server_job(&server, "lost");
    assert_eq!((&lost["state"], &lost["outcome"]["fault"]), (&json!("none"), &json!("invalid")), "{lost}");
    assert_eq!(lost["outcome"]["text"], "at its station: no peripheral \"BAR-PRINTER\"");
    assert_eq!(station.status()["server"]["state"], "connected");
    // The same name for something else: who looks at the paper knows, no program does.
    assert_eq!(station.print(&json!({"lines": ["a page's own"], "id": "same"})).status, 200);
    order(&server, "same", "the server's");
    until("the report", || (server_job(&server, "same")["state"] == "unknown").then_some(()));
    assert_eq!(paper.count("the server's"), 0);
    station.kill();
}

#[test]
fn a_station_whose_ledger_cannot_be_written_takes_nothing_and_asks_again_after_a_pause_that_grows() {
    let site = venue();
    let server = site.start();
    let paper = Paper::new();
    let own = Box1::new(folder(&site), &paper.way, Some(server.api));
    own.register(DEMO_TOKEN).well();
    let station = own.start();
    // A folder in its place: no file of that name can be written, by root either.
    let ledger = own.dir.path().join("data/handed.new");
    std::fs::create_dir(&ledger).unwrap();
    order(&server, "one", "not yet");
    let told = || own.log().matches("cannot be taken now").count();
    until("its people are told", || (told() > 0).then_some(()));
    let (before, since) = (told(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    // One question and then a pause that doubles: far from the thousands of a loop.
    let most = 2 + since.elapsed().as_millis() / 500;
    assert!((told() - before) as u128 <= most, "{}", own.log());
    assert_eq!((paper.count("not yet"), &server_job(&server, "one")["state"]), (0, &json!("handed")));
    std::fs::remove_dir(&ledger).unwrap();
    paper.wait_for("not yet");
    until("the report", || (server_job(&server, "one")["state"] == "confirmed").then_some(()));
    assert_eq!(paper.count("not yet"), 1);
    station.kill();
}

#[test]
fn only_pages_that_were_allowed_print_and_only_under_this_pcs_name() {
    let site = venue();
    let paper = Paper::new();
    let station = Box1::new(folder(&site), &paper.way, None);
    let station = station.start();
    let json = ("Content-Type", "application/json");
    let body = r#"{"lines":["from a page"],"id":"page"}"#;
    let preflight = station.ask("OPTIONS", "/print", &[("Origin", ORIGIN)], "");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("Access-Control-Allow-Origin"), Some(ORIGIN));
    assert_eq!(preflight.header("Access-Control-Allow-Headers"), Some("Content-Type"));
    let strange = station.ask("POST", "/print", &[json, ("Origin", "https://evil.example")], body);
    assert_eq!((strange.status, strange.header("Access-Control-Allow-Origin")), (403, None));
    let form = station.ask("POST", "/print", &[("Content-Type", "text/plain"), ("Origin", ORIGIN)], body);
    assert_eq!(form.status, 415);
    let mut rebound = Client::to(station.addr);
    rebound
        .send(b"POST /print HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();
    assert_eq!(rebound.answer(false).unwrap().status, 403);
    let well = station.ask("POST", "/print", &[json, ("Origin", ORIGIN)], body);
    assert_eq!((well.status, well.header("Access-Control-Allow-Origin")), (200, Some(ORIGIN)), "{well:?}");
    paper.wait_for("from a page");
    assert_eq!(paper.count("from a page"), 1);
    let status = station.status();
    assert_eq!((&status["station"], &status["server"]["state"]), (&json!("box-1"), &json!("none")));
    let display = station.ask("POST", "/display", &[json], r#"{"lines":["hello"]}"#);
    assert_eq!(display.status, 400, "there is no display: {display:?}");
}

#[test]
fn a_page_opens_the_drawer_where_the_station_allows_it_and_says_whose_hand_it_was() {
    let site = venue();
    let paper = Paper::new();
    let mut own = Box1::new(folder(&site), &paper.way, None);
    let json = ("Content-Type", "application/json");
    let body = r#"{"who":"Ada","reason":"change for a sale"}"#;
    let station = own.start();
    let refused = station.ask("POST", "/drawer", &[json, ("Origin", ORIGIN)], body);
    assert_eq!((refused.status, refused.json()["error"].as_str()), (403, Some("drawer_not_allowed")));
    station.kill();
    own.more.push("--allow-drawer".to_owned());
    let station = own.start();
    until("the printer", || (station.status()["peripherals"][0]["state"] == "ready").then_some(()));
    let strange = station.ask("POST", "/drawer", &[json, ("Origin", "https://evil.example")], body);
    assert_eq!(strange.status, 403);
    for nobody in
        [r#"{"reason":"change"}"#, r#"{"who":" ","reason":"change"}"#, r#"{"who":"Ada","reason":""}"#, "[]"]
    {
        assert_eq!(station.ask("POST", "/drawer", &[json], nobody).status, 400, "{nobody}");
    }
    assert_eq!(paper.count("opens drawer"), 0, "{}", paper.text());
    let well = station.ask("POST", "/drawer", &[json, ("Origin", ORIGIN)], body);
    assert_eq!((well.status, well.json()["outcome"]["done"].as_str()), (200, Some("confirmed")), "{well:?}");
    paper.wait_for("opens drawer");
    let audit = station.ask("GET", "/audit", &[], "").json();
    let lines = audit["decisions"].as_array().unwrap_or_else(|| panic!("{audit}"));
    let opened = lines.iter().find(|line| line["what"] == "drawer").unwrap_or_else(|| panic!("{audit}"));
    assert_eq!((&opened["who"], &opened["why"]), (&json!("Ada, box-1"), &json!("change for a sale")));
    station.kill();
}

#[test]
fn a_station_without_a_key_says_how_to_get_one() {
    let site = venue();
    let own = Box1::new(folder(&site), "file:/dev/null", Some(SocketAddr::from(([127, 0, 0, 1], 9))));
    let mut command = program();
    command.args(own.arguments());
    let done = crate::support::finish(command);
    assert_eq!(done.code, 64, "{done:?}");
    assert!(done.said().contains("--register"), "{done:?}");
}
