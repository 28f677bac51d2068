//! A client of the admin API: JSON in, JSON out, one token. Knows HTTP conventions and no resource.

use crate::support::{Answer, Client, DEMO_TOKEN, Server, Site};
use serde_json::Value;
use std::cell::RefCell;

/// The API with a token.
pub struct Api<'s> {
    server: &'s Server,
    token: String,
    /// The last answer's headers are asked for more often than kept.
    last: RefCell<Option<Answer>>,
}

impl<'s> Api<'s> {
    /// As the demo's administrator.
    pub fn demo(server: &'s Server) -> Api<'s> {
        Api::with(server, DEMO_TOKEN)
    }

    /// With a token; an empty one is none.
    pub fn with(server: &'s Server, token: &str) -> Api<'s> {
        Api { server, token: token.to_owned(), last: RefCell::new(None) }
    }

    /// Asks; `headers` beside the token and, where there is a body, the content type.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = headers.to_vec();
        if !self.token.is_empty() && !headers.iter().any(|(name, _)| *name == "Authorization") {
            all.push(("Authorization", &bearer));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            all.push(("Content-Type", "application/json"));
        }
        Client::to(self.server.api).request(method, path, &all, body).unwrap()
    }

    fn well(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8], status: u16) -> Value {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let value = if answer.body.is_empty() { Value::Null } else { answer.json() };
        *self.last.borrow_mut() = Some(answer);
        value
    }

    /// Reads.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.well("GET", path, &[], b"", 200)
    }

    /// Makes.
    #[track_caller]
    pub fn create(&self, path: &str, body: &Value) -> Value {
        self.well("POST", path, &[], body.to_string().as_bytes(), 201)
    }

    /// Does something.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.well("POST", path, &[], body.to_string().as_bytes(), 200)
    }

    /// Reads, lets it be changed, and puts it back with the version that was read.
    #[track_caller]
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut thing = self.get(path);
        let version = self.header("ETag");
        change(&mut thing);
        self.well("PUT", path, &[("If-Match", &version)], thing.to_string().as_bytes(), 200)
    }

    /// Takes a file out, whole.
    #[track_caller]
    pub fn file(&self, path: &str) -> String {
        let answer = self.ask("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// A header of the last good answer.
    pub fn header(&self, name: &str) -> String {
        self.last.borrow().as_ref().and_then(|answer| answer.header(name)).unwrap_or_default().to_owned()
    }

    /// Every item of a list, page by page.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), Value::Null);
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = match next.as_str() {
                Some(after) => self.get(&format!("{path}{join}after={after}")),
                None => self.get(path),
            };
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            next = page["next"].clone();
            if next.is_null() {
                return items;
            }
        }
    }
}

/// Is it a problem of this status and code, told as RFC 9457 asks?
#[track_caller]
pub fn is_problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
    let value = answer.json();
    assert_eq!((&value["status"], &value["code"]), (&status.into(), &code.into()), "{value}");
    assert_eq!(value["type"], format!("/problems#{code}"));
    assert!(value["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{value}");
    value
}

/// A token of a new operator of this role.
pub fn operator(site: &Site, email: &str, role: &str) -> String {
    let done = site.command(&["user", "add", "--email", email, "--role", role]).well();
    done.out.lines().last().unwrap().to_owned()
}
