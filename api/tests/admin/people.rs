//! Somebody who signs in: cookies, tokens, codes of a telephone. Knows the paths of signing in and no rule about them.

use crate::api::Api;
use crate::support::{Answer, Server, Site};
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse battery";

/// A browser: it keeps cookies.
#[derive(Clone, Default)]
pub struct Browser {
    pub refresh: String,
    pub known: String,
    /// Where it is, as a proxy on this machine says.
    pub address: String,
}

impl Browser {
    /// At this address.
    pub fn at(address: &str) -> Browser {
        Browser { address: address.to_owned(), ..Browser::default() }
    }

    /// Asks a path of signing in; cookies that come back are kept.
    pub fn post(&mut self, server: &Server, path: &str, token: &str, body: &[u8]) -> Answer {
        let cookie = format!("gatehouse_refresh={}; gatehouse_browser={}", self.refresh, self.known);
        let mut headers = vec![("Cookie", cookie.as_str()), ("User-Agent", "a test")];
        if !self.address.is_empty() {
            headers.push(("X-Forwarded-For", &self.address));
        }
        let answer = Api::with(server, token).ask("POST", path, &headers, body);
        for (name, value) in &answer.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                match name {
                    "gatehouse_refresh" => self.refresh = value.to_owned(),
                    "gatehouse_browser" => self.known = value.to_owned(),
                    other => panic!("a cookie nobody knows: {other}"),
                }
            }
        }
        answer
    }

    pub fn login(&mut self, server: &Server, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post(server, "/api/v1/auth/login", "", body.to_string().as_bytes())
    }

    pub fn login_with(&mut self, server: &Server, email: &str, password: &str, code: &str) -> Answer {
        let body = json!({"email": email, "password": password, "code": code});
        self.post(server, "/api/v1/auth/login", "", body.to_string().as_bytes())
    }

    pub fn refresh(&mut self, server: &Server) -> Answer {
        self.post(server, "/api/v1/auth/refresh", "", b"")
    }

    /// Signs in well; gives the access token.
    #[track_caller]
    pub fn signs_in(&mut self, server: &Server, email: &str, password: &str) -> String {
        access(&self.login(server, email, password))
    }
}

/// The access token of a good answer.
#[track_caller]
pub fn access(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// The status of `GET /api/v1/me`.
pub fn me(server: &Server, token: &str) -> u16 {
    Api::with(server, token).ask("GET", "/api/v1/me", &[], b"").status
}

/// The token for the first administrator, which a server without operators prints.
pub fn setup_token(server: &Server) -> String {
    server.screen.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Somebody new of this role, made by an administrator, who has set a password of their own; gives the access token.
#[track_caller]
pub fn hired(server: &Server, administrator: &str, email: &str, role: &str) -> String {
    let new = json!({"email": email, "role": role});
    let made = Api::with(server, administrator).create("/api/v1/operators", &new);
    let once = made["one_time_password"].as_str().unwrap();
    let token = Browser::default().signs_in(server, email, once);
    let body = json!({"old": once, "new": PASSWORD}).to_string();
    let set = Api::with(server, &token).ask("PUT", "/api/v1/account/password", &[], body.as_bytes());
    assert_eq!(set.status, 204, "{}", set.text());
    token
}

/// Somebody with this password, made by the command.
pub fn person(site: &Site, email: &str, role: &str) {
    let file = site.file("password", PASSWORD.as_bytes());
    site.command(&["user", "add", "--email", email, "--role", role, "--password-file", &file]).well();
}

/// The code that a telephone with this secret shows, some steps from now.
pub fn code(secret: &str, steps: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate((now + 30 * steps) as u64).to_string()
}

/// Sets a second factor up; gives its secret, the code that was used for it, and the recovery codes. The next good code is
/// that of the next step.
#[track_caller]
pub fn set_up_totp(server: &Server, token: &str) -> (String, String, Vec<String>) {
    let api = Api::with(server, token);
    let seed = api.post("/api/v1/account/totp", &json!({"password": PASSWORD}));
    let secret = seed["secret"].as_str().unwrap().to_owned();
    assert!(seed["uri"].as_str().unwrap().starts_with("otpauth://totp/Gatehouse"), "{seed}");
    let used = code(&secret, 0);
    let done = api.post("/api/v1/account/totp/confirm", &json!({"code": used}));
    let codes: Vec<Value> = done["recovery_codes"].as_array().unwrap().clone();
    (secret, used, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}
