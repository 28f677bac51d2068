//! People and programs sign in: the whole story by HTTP, from a node that has nobody to sessions, second factors and tokens.

use crate::api::{Api, is_problem, operator};
use crate::people::{Browser, PASSWORD, access, code, me, person, set_up_totp, setup_token};
use crate::support::{Client, Site};
use serde_json::json;

const ANNA: &str = "anna@venue.example";
const BERT: &str = "bert@venue.example";

#[test]
fn the_first_administrator_is_made_once_with_the_token_that_a_new_node_prints() {
    let site = Site::bare();
    let server = site.start();
    let token = setup_token(&server);
    let file = site.data().join("setup-token");
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), token);
    let nobody = Api::with(&server, "");
    let ask = |token: &str, password: &str| {
        let body = json!({"token": token, "email": "Anna@venue.example", "password": password}).to_string();
        nobody.ask("POST", "/api/v1/setup", &[], body.as_bytes())
    };
    is_problem(&ask("no-such-token", PASSWORD), 401, "unauthenticated");
    is_problem(&ask(&token, "too short"), 422, "invalid");
    let made = ask(&token, PASSWORD);
    assert_eq!((made.status, &made.json()["role"]), (201, &json!("administrator")), "{}", made.text());
    is_problem(&ask(&token, PASSWORD), 401, "unauthenticated");
    assert!(!file.exists(), "a used token is no file any more");
    let access = Browser::default().signs_in(&server, ANNA, PASSWORD);
    let own = Api::with(&server, &access).get("/api/v1/me");
    assert_eq!((&own["name"], &own["proof"]), (&json!(ANNA), &json!("session")));
    server.stop();
    let server = site.start();
    assert!(!server.screen.contains("\"token\"") && !file.exists(), "{}", server.screen);
}

#[test]
fn a_new_operator_sets_a_password_before_anything_else_and_what_an_administrator_does_counts_at_once() {
    let site = Site::bare();
    person(&site, ANNA, "administrator");
    let server = site.start();
    let anna = Browser::default().signs_in(&server, ANNA, PASSWORD);
    let api = Api::with(&server, &anna);
    let made = api.create("/api/v1/operators", &json!({"email": BERT, "role": "manager"}));
    let once = made["one_time_password"].as_str().unwrap().to_owned();
    assert_eq!(made["operator"]["status"], "password_to_set");
    let mut browser = Browser::default();
    let first = browser.login(&server, BERT, &once);
    assert_eq!(first.json()["password_change_required"], true);
    let bert = access(&first);
    assert_eq!(me(&server, &bert), 403, "with a one-time password only the password is changed");
    for path in ["/api/v1/operators", "/api/v1/zones", "/api/v1/account/sessions", "/api/access/latest"] {
        assert_eq!(Api::with(&server, &bert).ask("GET", path, &[], b"").status, 403, "{path}");
    }
    let set = |old: &str, new: &str| {
        let body = json!({"old": old, "new": new}).to_string();
        Api::with(&server, &bert).ask("PUT", "/api/v1/account/password", &[], body.as_bytes())
    };
    is_problem(&set(&once, "too short"), 422, "invalid");
    is_problem(&set(&once, BERT), 422, "invalid");
    is_problem(&set(&once, &once), 422, "invalid");
    is_problem(&set("not the password", "another horse battery"), 403, "not_allowed");
    assert_eq!(set(&once, "another horse battery").status, 204);
    assert_eq!(me(&server, &bert), 200, "the same session may everything now");
    is_problem(&browser.login(&server, BERT, &once), 401, "unauthenticated");
    let zone = |token: &str, name: &str| {
        let body = json!({"name": name}).to_string();
        Api::with(&server, token).ask("POST", "/api/v1/zones", &[], body.as_bytes()).status
    };
    assert_eq!(zone(&bert, "A"), 201);
    let changed = api.change(&format!("/api/v1/operators/{BERT}"), |own| *own = json!({"role": "viewer"}));
    assert_eq!(changed["role"], "viewer");
    assert_eq!(zone(&bert, "B"), 403, "another role counts from the next request on");
    let act = |what: &str| api.ask("POST", &format!("/api/v1/operators/{BERT}/{what}"), &[], b"");
    assert_eq!(act("disable").json()["status"], "disabled");
    assert_eq!(me(&server, &bert), 401);
    is_problem(&browser.login(&server, BERT, "another horse battery"), 401, "unauthenticated");
    is_problem(&browser.refresh(&server), 401, "unauthenticated");
    assert_eq!(act("enable").json()["status"], "active");
    assert_eq!(me(&server, &bert), 401, "sessions ended for good");
    let bert = browser.signs_in(&server, BERT, "another horse battery");
    let reset = act("reset").json();
    assert_eq!(me(&server, &bert), 401);
    is_problem(&browser.login(&server, BERT, "another horse battery"), 401, "unauthenticated");
    let again = browser.login(&server, BERT, reset["one_time_password"].as_str().unwrap());
    assert_eq!(again.json()["password_change_required"], true);
    server.kill();
    let server = site.start();
    assert_eq!(me(&server, &anna), 200, "a session outlives a kill");
    let list = Api::with(&server, &anna).all("/api/v1/operators?limit=1");
    assert_eq!(list.iter().map(|own| own["email"].as_str().unwrap()).collect::<Vec<_>>(), [ANNA, BERT]);
    assert!(!json!(list).to_string().contains("argon2"), "{list:?}");
}

#[test]
fn the_last_administrator_stays_one_and_stations_are_no_people() {
    let site = Site::bare();
    person(&site, ANNA, "administrator");
    let server = site.start();
    let anna = Browser::default().signs_in(&server, ANNA, PASSWORD);
    let api = Api::with(&server, &anna);
    let at = format!("/api/v1/operators/{ANNA}");
    is_problem(&api.ask("POST", &format!("{at}/disable"), &[], b""), 409, "conflict");
    let lower = api.ask("PUT", &at, &[("If-Match", "*")], br#"{"role":"manager"}"#);
    is_problem(&lower, 409, "conflict");
    is_problem(&api.ask("PUT", &at, &[], br#"{"role":"manager"}"#), 428, "precondition_required");
    let body = json!({"name": "till-1"}).to_string();
    assert_eq!(api.ask("POST", "/api/v1/stations", &[], body.as_bytes()).status, 201);
    assert_eq!(api.all("/api/v1/operators").len(), 1);
    is_problem(&api.ask("GET", "/api/v1/operators/station:till-1", &[], b""), 404, "not_found");
    let new = |email: &str| {
        let body = json!({"email": email, "role": "viewer"}).to_string();
        api.ask("POST", "/api/v1/operators", &[], body.as_bytes())
    };
    is_problem(&new("station:till-2@venue.example"), 422, "invalid");
    is_problem(&new(ANNA), 409, "conflict");
    is_problem(&new("ANNA@venue.example"), 409, "conflict");
    assert_eq!(new(BERT).status, 201);
    let role = api.ask(
        "PUT",
        &format!("/api/v1/operators/{BERT}"),
        &[("If-Match", "*")],
        br#"{"role":"administrator"}"#,
    );
    assert_eq!(role.status, 200);
    assert_eq!(api.ask("POST", &format!("{at}/disable"), &[], b"").status, 200, "there is another one now");
    assert_eq!(me(&server, &anna), 401);
    let manager = operator(&site, "m@venue.example", "manager");
    let body = json!({"email": "x@venue.example", "role": "administrator", "password": null}).to_string();
    let older = Api::with(&server, &manager).ask("POST", "/api/v1/local/operators", &[], body.as_bytes());
    assert_eq!(older.status, 404, "the command's path is this machine's alone: {}", older.text());
}

#[test]
fn a_refresh_token_is_good_once_and_a_used_one_ends_the_session() {
    let site = Site::bare();
    person(&site, ANNA, "administrator");
    let server = site.start();
    let mut browser = Browser::default();
    let answer = browser.login(&server, ANNA, PASSWORD);
    let cookie = answer.header("Set-Cookie").unwrap();
    for part in ["gatehouse_refresh=", "HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    let first = browser.clone();
    let second_access = access(&browser.refresh(&server));
    is_problem(&first.clone().refresh(&server), 409, "conflict");
    assert_eq!(me(&server, &second_access), 200, "two windows of one person do no harm");
    // Of many that come with the same cookie at once one gets the next.
    let together: Vec<(u16, Browser)> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| {
                let (mut own, server) = (browser.clone(), &server);
                scope.spawn(move || (own.refresh(server).status, own))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let winners: Vec<&(u16, Browser)> = together.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(winners.len(), 1);
    assert!(together.iter().all(|(status, _)| [200, 409].contains(status)));
    let mut browser = winners[0].1.clone();
    let access = access(&browser.refresh(&server));
    let guessed = browser.refresh.split('.').next().unwrap().to_owned();
    let mut guesser = Browser { refresh: format!("{guessed}.abc.def"), ..Browser::default() };
    is_problem(&guesser.refresh(&server), 401, "unauthenticated");
    assert_eq!(me(&server, &access), 200, "who knows a session's name alone ends nothing");
    is_problem(&first.clone().refresh(&server), 401, "unauthenticated");
    assert_eq!(me(&server, &access), 401, "a stolen token that was used ends everything that came of it");
    is_problem(&browser.refresh(&server), 401, "unauthenticated");
    is_problem(&Browser::default().refresh(&server), 401, "unauthenticated");
}

#[test]
fn sessions_are_seen_and_ended_one_by_one_and_all_together() {
    let site = Site::bare();
    person(&site, ANNA, "viewer");
    person(&site, BERT, "viewer");
    let server = site.start();
    let mut browsers = [Browser::at("192.0.2.7"), Browser::at("192.0.2.8"), Browser::at("192.0.2.9")];
    let tokens: Vec<String> = browsers.iter_mut().map(|own| own.signs_in(&server, ANNA, PASSWORD)).collect();
    let bert = Browser::default().signs_in(&server, BERT, PASSWORD);
    let api = Api::with(&server, &tokens[0]);
    let list = api.all("/api/v1/account/sessions?limit=2");
    assert_eq!(list.len(), 3);
    let one = |address: &str| list.iter().find(|one| one["address"] == address).unwrap();
    assert_eq!((&one("192.0.2.7")["current"], &one("192.0.2.8")["current"]), (&json!(true), &json!(false)));
    assert_eq!(one("192.0.2.8")["agent"], "a test");
    let at = format!("/api/v1/account/sessions/{}", one("192.0.2.8")["id"].as_str().unwrap());
    is_problem(&Api::with(&server, &bert).ask("DELETE", &at, &[], b""), 404, "not_found");
    assert_eq!(api.ask("DELETE", &at, &[], b"").status, 204);
    assert_eq!((me(&server, &tokens[1]), me(&server, &tokens[2])), (401, 200));
    assert_eq!(browsers[2].post(&server, "/api/v1/auth/logout", "", b"").status, 204);
    assert_eq!((me(&server, &tokens[2]), browsers[2].refresh.as_str()), (401, ""));
    let more: Vec<String> = (0..20).map(|_| Browser::default().signs_in(&server, ANNA, PASSWORD)).collect();
    assert_eq!(me(&server, &tokens[0]), 401, "the oldest ends for the twenty-first");
    assert_eq!(Api::with(&server, &more[19]).all("/api/v1/account/sessions").len(), 20);
    let everywhere = Api::with(&server, &more[19]).ask("POST", "/api/v1/auth/logout-everywhere", &[], b"");
    assert_eq!(everywhere.status, 204);
    assert!(more.iter().all(|token| me(&server, token) == 401));
    assert_eq!(me(&server, &bert), 200, "others go on");
}

#[test]
fn a_second_factor_is_asked_for_once_confirmed_and_no_code_is_good_twice() {
    let site = Site::bare();
    person(&site, ANNA, "administrator");
    person(&site, BERT, "administrator");
    let server = site.start();
    let mut browser = Browser::default();
    let token = browser.signs_in(&server, ANNA, PASSWORD);
    let api = Api::with(&server, &token);
    let wrong = api.ask("POST", "/api/v1/account/totp", &[], br#"{"password":"wrong horse battery"}"#);
    is_problem(&wrong, 403, "not_allowed");
    is_problem(&api.ask("POST", "/api/v1/account/totp", &[], b"{}"), 422, "invalid");
    api.post("/api/v1/account/totp", &json!({"password": PASSWORD}));
    assert_eq!(
        browser.login(&server, ANNA, PASSWORD).status,
        200,
        "nothing is asked for before it is confirmed"
    );
    let (secret, used, recovery) = set_up_totp(&server, &token);
    assert_eq!(recovery.len(), 10);
    is_problem(&browser.login(&server, ANNA, PASSWORD), 401, "second_factor_required");
    is_problem(&browser.login(&server, ANNA, "wrong horse battery"), 401, "unauthenticated");
    is_problem(&browser.login_with(&server, ANNA, PASSWORD, &used), 401, "unauthenticated");
    let now = code(&secret, 1);
    assert_eq!(browser.login_with(&server, ANNA, PASSWORD, &now).status, 200);
    is_problem(&browser.login_with(&server, ANNA, PASSWORD, &now), 401, "unauthenticated");
    assert_eq!(browser.login_with(&server, ANNA, PASSWORD, &recovery[4]).status, 200);
    is_problem(&browser.login_with(&server, ANNA, PASSWORD, &recovery[4]), 401, "unauthenticated");
    let stands = api.get("/api/v1/account/totp");
    assert_eq!(stands, json!({"enabled": true, "recovery_codes_left": 9}));
    is_problem(
        &api.ask("POST", "/api/v1/account/totp", &[], json!({"password": PASSWORD}).to_string().as_bytes()),
        409,
        "conflict",
    );
    server.kill();
    let server = site.start();
    is_problem(&browser.login_with(&server, ANNA, PASSWORD, &now), 401, "unauthenticated");
    let remove = |code: &str| {
        let body = json!({"password": PASSWORD, "code": code}).to_string();
        Api::with(&server, &token).ask("DELETE", "/api/v1/account/totp", &[], body.as_bytes())
    };
    is_problem(&remove("000000000"), 403, "not_allowed");
    assert_eq!(remove(&recovery[0]).status, 204);
    assert_eq!(browser.login(&server, ANNA, PASSWORD).status, 200);
    set_up_totp(&server, &token);
    let bert = Browser::default().signs_in(&server, BERT, PASSWORD);
    let at = format!("/api/v1/operators/{ANNA}");
    assert_eq!(Api::with(&server, &bert).get(&at)["second_factor"], true);
    assert_eq!(Api::with(&server, &bert).ask("DELETE", &format!("{at}/totp"), &[], b"").status, 204);
    assert_eq!(browser.login(&server, ANNA, PASSWORD).status, 200);
}

#[test]
fn an_api_token_may_what_its_scopes_and_its_maker_may_and_nothing_once_it_is_ended() {
    let site = Site::demo();
    let server = site.start();
    let admin = Api::demo(&server);
    person(&site, ANNA, "manager");
    let anna = Browser::default().signs_in(&server, ANNA, PASSWORD);
    let api = Api::with(&server, &anna);
    let in_days = |days: i64| {
        jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap().to_string()
    };
    let new = |scopes: serde_json::Value, ends: String| json!({"name": "board", "scopes": scopes, "expires_at": ends});
    let refused =
        |body: serde_json::Value| api.ask("POST", "/api/v1/tokens", &[], body.to_string().as_bytes());
    is_problem(&refused(new(json!(["operators.write"]), in_days(9))), 403, "not_allowed");
    is_problem(&refused(new(json!(["everything"]), in_days(9))), 422, "invalid");
    is_problem(&refused(new(json!(["account.password"]), in_days(9))), 422, "invalid");
    is_problem(&refused(new(json!([]), in_days(9))), 422, "invalid");
    is_problem(&refused(new(json!(["venue.read"]), in_days(-1))), 422, "invalid");
    is_problem(&refused(new(json!(["venue.read"]), in_days(800))), 422, "invalid");
    is_problem(&refused(new(json!(["venue.read"]), "tomorrow".to_owned())), 422, "invalid");
    let make = |scopes| {
        let made = api.create("/api/v1/tokens", &new(scopes, in_days(30)));
        (made["token"].as_str().unwrap().to_owned(), made["about"]["id"].as_str().unwrap().to_owned())
    };
    let (board, board_id) = make(json!(["venue.read", "account", "tokens.write"]));
    let (feed, _) = make(json!(["scans.read", "tickets.personal"]));
    assert!(board.starts_with("ght_") && board.contains(&board_id));
    let status = |token: &str, path: &str| Api::with(&server, token).ask("GET", path, &[], b"").status;
    assert_eq!((status(&board, "/api/v1/zones"), status(&feed, "/api/v1/zones")), (200, 403));
    assert_eq!((status(&board, "/api/access/latest"), status(&feed, "/api/access/latest")), (403, 200));
    assert_eq!(status(&feed, "/api/access/health"), 200);
    assert_eq!(status(&board, "/api/v1/account/sessions"), 403, "a program has no account");
    let more = new(json!(["venue.write"]), in_days(9)).to_string();
    let more = Api::with(&server, &board).ask("POST", "/api/v1/tokens", &[], more.as_bytes());
    is_problem(&more, 403, "not_allowed");
    let list = api.all("/api/v1/tokens?limit=1");
    assert_eq!(list.len(), 2);
    let shown = list.iter().find(|one| one["id"] == *board_id).unwrap();
    assert!(shown["used_at"].as_str().is_some() && shown.get("token").is_none(), "{shown}");
    assert_eq!(admin.all("/api/v1/tokens").len(), 2, "an administrator sees everybody's");
    admin.change(&format!("/api/v1/operators/{ANNA}"), |own| *own = json!({"role": "viewer"}));
    let own = Api::with(&server, &board).get("/api/v1/me");
    assert_eq!(own["permissions"], json!(["venue.read", "account"]), "never more than its maker");
    assert_eq!(status(&feed, "/api/access/latest"), 403);
    let disable = |what: &str| admin.post(&format!("/api/v1/operators/{ANNA}/{what}"), &json!(null));
    disable("disable");
    assert_eq!(status(&board, "/api/v1/zones"), 401);
    disable("enable");
    assert_eq!(status(&board, "/api/v1/zones"), 200);
    let id = board.split('_').nth(1).unwrap();
    for wrong in [format!("ght_{id}_wrong"), format!("ght_{id}_"), board[..board.len() - 1].to_owned()] {
        assert_eq!(status(&wrong, "/api/v1/zones"), 401, "{wrong}");
    }
    let ended = admin.ask("DELETE", &format!("/api/v1/tokens/{board_id}"), &[], b"");
    assert_eq!((ended.status, status(&board, "/api/v1/zones")), (204, 401));
    server.kill();
    let server = site.start();
    assert_eq!(
        Client::to(server.api)
            .request("GET", "/api/v1/zones", &[("Authorization", &format!("Bearer {board}"))], b"")
            .unwrap()
            .status,
        401
    );
}
