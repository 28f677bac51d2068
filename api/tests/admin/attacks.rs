//! Those who may not: forged and stolen tokens, guessed passwords, names that are tried out, secrets that are looked for.

use crate::api::{Api, is_problem};
use crate::people::{Browser, PASSWORD, access, code, me, person, set_up_totp};
use crate::support::{Client, Server, Site, holds, venue_scan};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const ANNA: &str = "anna@venue.example";

/// Without the limit of requests a minute, which stands before all that is tried here.
fn unlimited(site: Site) -> Site {
    site.set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0")
}

/// Claims as they should be, for this session.
fn claims(session: &str, lives_s: i64) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": "gatehouse", "aud": "gatehouse-admin", "sub": ANNA, "sid": session, "iat": now - 60, "exp": now + lives_s,
    })
}

fn signed(algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
}

#[test]
fn no_token_opens_that_is_expired_tampered_of_another_key_of_another_kind_or_of_a_session_that_is_gone() {
    let (site, other) = (Site::bare(), Site::bare());
    person(&site, ANNA, "administrator");
    person(&other, ANNA, "administrator");
    let (server, elsewhere) = (site.start(), other.start());
    let mut browser = Browser::default();
    let answer = browser.login(&server, ANNA, PASSWORD);
    let (good, session) = (access(&answer), answer.json()["session"].as_str().unwrap().to_owned());
    let foreign = Browser::default().signs_in(&elsewhere, ANNA, PASSWORD);
    let key = secrets::Vault::open(&site.data().join("admin.key")).unwrap().derived("jwt");
    let hs256 = |claims: &Value| signed(Algorithm::HS256, claims, &key);
    assert_eq!(me(&server, &hs256(&claims(&session, 60))), 200, "made as they should be they open");
    let with = |name: &str, value: Value| {
        let mut claims = claims(&session, 60);
        claims[name] = value;
        hs256(&claims)
    };
    let parts: Vec<&str> = good.split('.').collect();
    let base64 = |text: &str| data_encoding(text.as_bytes());
    let unsigned = base64(&claims(&session, 60).to_string());
    let bad = [
        ("expired", hs256(&claims(&session, -1))),
        ("of another node", foreign),
        ("of another key", signed(Algorithm::HS256, &claims(&session, 60), &[7; 32])),
        ("HS384", signed(Algorithm::HS384, &claims(&session, 60), &key)),
        ("HS512", signed(Algorithm::HS512, &claims(&session, 60), &key)),
        ("unsigned", format!("{}.{unsigned}.", base64(r#"{"alg":"none","typ":"JWT"}"#))),
        ("unsigned, with a signature", format!("{}.{unsigned}.{}", base64(r#"{"alg":"none"}"#), parts[2])),
        ("other claims", format!("{}.{unsigned}.{}", parts[0], parts[2])),
        ("for another door", with("aud", json!("another"))),
        ("by somebody else", with("iss", json!("another"))),
        ("of another operator", with("sub", json!("bert@venue.example"))),
        ("of no session", with("sid", json!("nothing"))),
        ("without a session", with("sid", Value::Null)),
        ("a refresh token", browser.refresh.clone()),
        ("a browser's cookie", browser.known.clone()),
        ("the password", PASSWORD.to_owned()),
        ("nothing", " ".to_owned()),
        ("too long", format!("{good}{}", "A".repeat(4_000))),
    ];
    for (what, token) in &bad {
        assert_eq!(me(&server, token), 401, "{what}");
    }
    assert_eq!(me(&server, &good), 200);
    browser.post(&server, "/api/v1/auth/logout", &good, b"");
    assert_eq!((me(&server, &good), me(&server, &hs256(&claims(&session, 60)))), (401, 401), "signed out");
}

fn data_encoding(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn hashes(server: &Server) -> f64 {
    server.metric("gatehouse_password_hashes_total")
}

#[test]
fn an_unknown_name_and_a_wrong_password_get_the_same_answer_after_the_same_work() {
    let site = unlimited(Site::bare());
    person(&site, ANNA, "administrator");
    let token_only = site.command(&["user", "add", "--email", "bert@venue.example", "--role", "viewer"]);
    token_only.well();
    let server = site.start();
    let ask = |name: &str| {
        let before = hashes(&server);
        let answer = Browser::at("192.0.2.1").login(&server, name, "wrong horse battery");
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| !["x-request-id", "date"].contains(&name.to_lowercase().as_str()));
        (answer.status, headers, answer.text(), hashes(&server) - before)
    };
    let wrong = ask(ANNA);
    assert_eq!((wrong.0, wrong.3), (401, 1.0), "{wrong:?}");
    assert_eq!(ask("nobody@venue.example"), wrong);
    assert_eq!(ask("bert@venue.example"), wrong, "who has a token and no password is told no more");
    assert_eq!(ask("x"), wrong);
}

#[test]
fn who_fails_waits_and_neither_a_neighbour_nor_the_owners_browser_does() {
    let site = Site::bare();
    person(&site, ANNA, "administrator");
    person(&site, "bert@venue.example", "viewer");
    let server = site.start();
    let mut owner = Browser::at("192.0.2.1");
    let token = owner.signs_in(&server, ANNA, PASSWORD);
    let mut attacker = Browser::at("198.51.100.66");
    let answers: Vec<u16> =
        (0..12).map(|n| attacker.login(&server, ANNA, &format!("wrong horse {n}")).status).collect();
    assert_eq!(answers[..5], [401; 5]);
    assert!(answers[5..].contains(&429), "{answers:?}");
    let refused = until_refused(&server, &mut attacker);
    let problem = is_problem(&refused, 429, "rate_limited");
    let wait: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait) && problem["detail"].as_str().unwrap().contains("try again"));
    // The owner's browser goes on, whoever guesses; her sessions do too.
    assert_eq!(me(&server, &token), 200);
    owner.address = "198.51.100.66".to_owned();
    assert_eq!(owner.login(&server, ANNA, PASSWORD).status, 200, "even behind the attacker's address");
    assert_eq!(Browser::at("203.0.113.5").login(&server, "bert@venue.example", PASSWORD).status, 200);
}

/// The attacker's next attempt that is refused unread.
fn until_refused(server: &Server, attacker: &mut Browser) -> crate::support::Answer {
    crate::support::until("a refusal", || {
        let answer = attacker.login(server, ANNA, "wrong horse battery");
        (answer.status == 429).then_some(answer)
    })
}

/// Scans all these tickets, one after the other, and says how many were let in.
fn scan_all(server: &Server, tickets: usize, done: &AtomicU64) -> usize {
    let mut client = server.client();
    let granted = (0..tickets).filter(|n| {
        let answer = client.post("/api/access/validate", &venue_scan(&format!("T-{n:05}"), &format!("s{n}")));
        assert_eq!(answer.status, 200, "{answer:?}");
        done.fetch_add(1, Ordering::Relaxed);
        answer.json()["access_granted"] == json!(true)
    });
    granted.count()
}

#[test]
fn ten_thousand_wrong_passwords_refuse_no_guest_and_cost_a_bounded_number_of_hashes() {
    const TICKETS: usize = 2_000;
    const ATTEMPTS: u64 = 10_000;
    const CLIENTS: u64 = 8;
    let rows: String = (0..TICKETS).map(|n| format!("T-{n:05},SEAT,\n")).collect();
    let site = unlimited(Site::venue(&rows));
    person(&site, ANNA, "administrator");
    let server = site.start();
    let mut owner = Browser::at("192.0.2.1");
    let token = owner.signs_in(&server, ANNA, PASSWORD);
    let scanned = AtomicU64::new(0);
    let statuses: Vec<[AtomicU64; 3]> = (0..CLIENTS).map(|_| Default::default()).collect();
    let granted = std::thread::scope(|scope| {
        let gate = scope.spawn(|| scan_all(&server, TICKETS, &scanned));
        for own in 0..CLIENTS {
            let (server, counts) = (&server, &statuses[own as usize]);
            scope.spawn(move || guess(server, own, ATTEMPTS / CLIENTS, counts));
        }
        gate.join().unwrap()
    });
    assert_eq!(
        (granted, scanned.load(Ordering::Relaxed)),
        (TICKETS, TICKETS as u64),
        "every guest was let in"
    );
    let total = |at: usize| statuses.iter().map(|one| one[at].load(Ordering::Relaxed)).sum::<u64>();
    let (wrong, told_to_wait, unavailable) = (total(0), total(1), total(2));
    assert_eq!(wrong + told_to_wait + unavailable, ATTEMPTS);
    assert!(
        told_to_wait > ATTEMPTS / 2,
        "{wrong} were wrong, {told_to_wait} told to wait, {unavailable} unavailable"
    );
    let metric = |name: &str| server.metric(name);
    assert!(metric("gatehouse_password_hashes_at_once_max") <= 2.0);
    assert!(metric("gatehouse_passwords_waiting_max") <= 66.0);
    assert!(hashes(&server) <= (wrong + 1) as f64, "what is told to wait is not hashed");
    assert_eq!(me(&server, &token), 200);
    assert_eq!(owner.login(&server, ANNA, PASSWORD).status, 200, "the administrator is not locked out");
    server.projected();
    server.stop();
    let journal = std::fs::read_dir(site.journal()).unwrap();
    assert!(journal.count() < 10, "the attack did not fill the journal");
}

/// Wrong passwords for one account from a handful of addresses, and now and then for somebody else from somewhere new.
fn guess(server: &Server, own: u64, attempts: u64, counts: &[AtomicU64; 3]) {
    let mut client = Client::to(server.api);
    for n in 0..attempts {
        let (name, address) = match n % 250 {
            0 => (format!("somebody-{own}-{n}@venue.example"), format!("203.0.{own}.{}", n / 250)),
            _ => (ANNA.to_owned(), format!("198.51.100.{own}")),
        };
        let body = json!({"email": name, "password": format!("wrong horse {own} {n}")}).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", address.as_str())];
        let answer = client.request("POST", "/api/v1/auth/login", &headers, body.as_bytes()).unwrap();
        let at = match answer.status {
            401 => 0,
            429 => 1,
            503 => 2,
            other => panic!("{other}: {}", answer.text()),
        };
        counts[at].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_password_token_seed_or_cookie_is_in_any_file_or_in_the_log() {
    let site = Site::bare().set("GATEHOUSE_LOG_LEVEL", "trace");
    let server = site.start();
    let setup = server.screen.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let body = json!({"token": setup, "email": ANNA, "password": PASSWORD});
    Api::with(&server, "").create("/api/v1/setup", &body);
    let mut browser = Browser::default();
    let first = browser.signs_in(&server, ANNA, PASSWORD);
    let old_refresh = browser.refresh.clone();
    let api = Api::with(&server, &first);
    let made = api.create("/api/v1/operators", &json!({"email": "bert@venue.example", "role": "viewer"}));
    let reset = api.post("/api/v1/operators/bert@venue.example/reset", &json!(null));
    let ends = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24)).unwrap().to_string();
    let token =
        api.create("/api/v1/tokens", &json!({"name": "t", "scopes": ["venue.read"], "expires_at": ends}));
    let (secret, _, recovery) = set_up_totp(&server, &first);
    let second = access(&browser.login_with(&server, ANNA, PASSWORD, &code(&secret, 1)));
    let third = access(&browser.refresh(&server));
    browser.login(&server, ANNA, "a wrong password typed in haste");
    browser.login(&server, "a password in the wrong field", "x");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let api_token = text(&token["token"]);
    assert_eq!(me(&server, &api_token), 403);
    server.projected();
    let control = std::fs::read_to_string(site.data().join("control.json")).unwrap();
    let local = text(&serde_json::from_str::<Value>(&control).unwrap()["token"]);
    server.stop();
    let own_secrets = [
        ("setup token", setup),
        ("password", PASSWORD.to_owned()),
        ("one-time password", text(&made["one_time_password"])),
        ("reset password", text(&reset["one_time_password"])),
        ("wrong password", "a wrong password typed in haste".to_owned()),
        ("password in the wrong field", "a password in the wrong field".to_owned()),
        ("access token", first),
        ("second access token", second),
        ("third access token", third),
        ("refresh token", old_refresh.rsplit('.').next().unwrap().to_owned()),
        ("refresh token's family", old_refresh.split('.').nth(1).unwrap().to_owned()),
        ("next refresh token", browser.refresh.rsplit('.').next().unwrap().to_owned()),
        ("browser's cookie", browser.known.clone()),
        ("API token", api_token.rsplit('_').next().unwrap().to_owned()),
        ("second factor's secret", secret),
        ("recovery code", recovery[0].clone()),
        ("recovery code without dashes", recovery[1].replace('-', "")),
        ("this machine's token", local),
    ];
    for (what, secret) in &own_secrets {
        assert_eq!(holds(Path::new(&site.data()), secret.as_bytes()), None, "the {what} is kept in clear");
        assert!(!site.log().contains(secret), "the {what} is in the log");
    }
}
