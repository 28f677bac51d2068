//! The OpenAPI document and the README beside it say what the code does. Starts no server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, in helpers too")]

use admin::Kind;
use admin::access::{Permission, role_word};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn kept(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn document() -> Value {
    serde_json::from_str(&admin::document().to_json().unwrap()).unwrap()
}

/// Method, path and operation.
fn operations(document: &Value) -> Vec<(&'static str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| METHODS.iter().map(move |method| (*method, path.as_str(), &item[*method])))
        .filter(|(_, _, operation)| !operation.is_null())
        .collect()
}

/// What a `$ref` stands for, or the thing itself.
fn found<'d>(document: &'d Value, thing: &'d Value) -> &'d Value {
    match thing["$ref"].as_str() {
        Some(at) => document.pointer(at.trim_start_matches('#')).unwrap_or_else(|| panic!("no {at}")),
        None => thing,
    }
}

#[test]
fn the_document_that_is_kept_is_the_one_that_the_code_makes() {
    let made = admin::document().to_pretty_json().unwrap() + "\n";
    let same = kept("openapi.json") == made;
    assert!(
        same,
        "admin/openapi.json is not what the code makes: run `./x openapi` and look at the difference"
    );
}

#[test]
fn every_operation_tells_what_it_is_for_and_how_it_can_end() {
    let document = document();
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let text = |field: &str| operation[field].as_str().unwrap_or_default().trim().to_owned();
        assert!(text("summary").len() > 5, "{place}: no summary");
        assert!(text("description").len() > 10, "{place}: no description");
        assert!(ids.insert(text("operationId")), "{place}: its operationId is another's");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(tag.as_str().unwrap()), "{place}: the tag {tag} is not explained");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2') || status == "101"),
            "{place}: no success"
        );
        for (status, response) in responses {
            let response = found(&document, response);
            let problem = &response["content"]["application/problem+json"];
            let is_problem = status.starts_with(['4', '5']);
            assert_eq!(!problem.is_null(), is_problem, "{place}: {status} is told otherwise");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = found(&document, parameter);
            assert!(parameter["description"].is_string(), "{place}: {} is not explained", parameter["name"]);
        }
        let keyed = operation["parameters"].to_string().contains("Idempotency-Key");
        assert_eq!(keyed, method == "post" && operation["x-permission"] != "public", "{place}");
    }
    assert!(document["info"]["version"].is_string() && !document["servers"].as_array().unwrap().is_empty());
}

/// Has a schema an example, of its own or of each of its fields?
fn has_example(document: &Value, schema: &Value) -> bool {
    let schema = found(document, schema);
    let given = ["example", "examples", "default", "enum", "const"].iter().any(|key| !schema[*key].is_null());
    let plain = schema["type"] == "boolean" || schema["type"] == "null" || schema["type"] == "array";
    let of_fields = schema["properties"].as_object().is_some_and(|fields| {
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|own| own == name));
        fields.iter().all(|(name, field)| !required(name) || has_example(document, field))
    });
    let of_one = ["oneOf", "anyOf", "allOf"].iter().any(|key| {
        schema[*key].as_array().is_some_and(|all| all.iter().any(|own| has_example(document, own)))
    });
    given || plain || of_fields || of_one
}

#[test]
fn every_body_that_is_taken_comes_with_an_example() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        for (kind, media) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let given = !media["example"].is_null() || !media["examples"].is_null();
            assert!(
                given || has_example(&document, &media["schema"]),
                "{method} {path}: no example of {kind}"
            );
        }
    }
}

#[test]
fn the_readme_has_every_problem_and_every_permission_as_they_are() {
    let readme = kept("README.md");
    let mut problems = String::from("| status | code | what it means | what to do |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        let (status, code, title, advice) = (kind.status(), kind.code(), kind.title(), kind.advice());
        writeln!(problems, "| {status} | `{code}` | {title} | {advice} |").unwrap();
    }
    let mut permissions =
        String::from("| permission | from this role on | what it allows |\n|---|---|---|\n");
    for permission in Permission::ALL {
        let (word, role) = (permission.word(), role_word(permission.least()));
        writeln!(permissions, "| `{word}` | {role} | {} |", permission.meaning()).unwrap();
    }
    for table in [problems, permissions] {
        assert!(readme.contains(&table), "admin/README.md does not have this table:\n{table}");
    }
}
