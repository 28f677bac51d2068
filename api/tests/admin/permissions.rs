//! Every operation of the document with every role, with no token and with a wrong one: nobody does what he may not, and
//! everybody gets as far as a role goes.

use crate::api::{Api, is_problem, operator};
use crate::support::Site;
use serde_json::Value;

const ROLES: [&str; 5] = ["viewer", "steward", "supervisor", "manager", "administrator"];
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Method, path and permission of each operation.
fn operations(document: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
            let permission = item[method]["x-permission"].as_str().unwrap();
            found.push((method.to_uppercase(), path.clone(), permission.to_owned()));
        }
    }
    found
}

/// A path with something in place of its names that is there nowhere.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        filled += "/";
        filled += if part.starts_with('{') { "nothing-of-this-name" } else { part };
    }
    filled
}

/// The least role of each permission, written here again on purpose: the table is the venue's promise.
const LEAST: &[(&str, &str)] = &[
    ("venue.read", "viewer"),
    ("scans.read", "viewer"),
    ("account", "viewer"),
    ("account.password", "viewer"),
    ("tickets.read", "steward"),
    ("devices.read", "steward"),
    ("peripherals.read", "steward"),
    ("peripherals.use", "steward"),
    ("gates.command", "supervisor"),
    ("tickets.personal", "supervisor"),
    ("tickets.write", "supervisor"),
    ("scans.override", "supervisor"),
    ("conflicts.write", "supervisor"),
    ("devices.command", "supervisor"),
    ("peripherals.write", "supervisor"),
    ("venue.write", "manager"),
    ("tickets.import", "manager"),
    ("export", "manager"),
    ("devices.write", "manager"),
    ("operators.read", "manager"),
    ("tokens.write", "manager"),
    ("audit.read", "manager"),
    ("settings.read", "manager"),
    ("webhooks.write", "manager"),
    ("operators.write", "administrator"),
    ("settings.write", "administrator"),
    ("privacy.write", "administrator"),
];

#[test]
fn every_operation_is_open_to_the_roles_that_have_its_permission_and_to_nobody_else() {
    let site = Site::demo();
    let server = site.start();
    let document = Api::with(&server, "").get("/openapi.json");
    let tokens: Vec<String> =
        ROLES.iter().map(|role| operator(&site, &format!("{role}@venue.example"), role)).collect();
    let mut tried = 0;
    for (method, path, permission) in operations(&document) {
        let path = filled(&path) + if path == "/api/v1/live" { "?topics=none" } else { "" };
        let ask = |token: &str| Api::with(&server, token).ask(&method, &path, &[], b"");
        if permission == "public" {
            let answer = ask("");
            assert!(![403, 500].contains(&answer.status), "{method} {path}: {}", answer.text());
            continue;
        }
        is_problem(&ask(""), 401, "unauthenticated");
        is_problem(&ask("no-such-token"), 401, "unauthenticated");
        let (_, least) = LEAST.iter().find(|(word, _)| *word == permission).unwrap();
        let least = ROLES.iter().position(|role| role == least).unwrap();
        for (rank, token) in tokens.iter().enumerate() {
            let answer = ask(token);
            if rank < least {
                is_problem(&answer, 403, "not_allowed");
            } else {
                // What it asks for is not there or says nothing: whatever comes, it is not "you may not".
                let refused = [401, 403, 500].contains(&answer.status);
                assert!(!refused, "{method} {path} as {}: {}", ROLES[rank], answer.text());
            }
            tried += 1;
        }
    }
    assert!(tried >= 5 * 5, "the document has operations");
}
