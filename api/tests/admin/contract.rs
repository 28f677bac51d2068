//! The OpenAPI document is a promise that others test: it is lint clean, a client made from it compiles, its pages need
//! nothing from outside, and the server does what it says whatever is sent. Knows no resource.

use crate::api::{Api, operator};
use crate::support::{Server, Site};
use crate::{peripherals, testers};
use std::process::Command;

/// Cases of each operation; more with `./x schemathesis`.
const EXAMPLES: &str = "20";
/// A stranger gets no further than the door: a few are enough.
const EXAMPLES_OF_A_STRANGER: &str = "5";
/// Who tests: an administrator whom no other case names.
const TESTER: &str = "tester@contract.example";
/// Names the variable that asks for more.
const EXAMPLES_VARIABLE: &str = "GATEHOUSE_SCHEMATHESIS_EXAMPLES";
/// The same cases each time.
const SEED: &str = "20261123";

#[test]
fn the_document_is_lint_clean() {
    let mut lint = testers::node("redocly");
    lint.arg("lint").arg("--config").arg(testers::admin("contract/redocly.yaml"));
    lint.arg(testers::admin("openapi.json"));
    testers::content(lint, &std::env::temp_dir());
}

#[test]
fn the_client_that_the_document_makes_compiles_with_a_tour_of_the_api() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tour.ts", "tsconfig.json"] {
        std::fs::copy(testers::admin("client").join(name), dir.path().join(name)).unwrap();
    }
    std::os::unix::fs::symlink(testers::node_modules(), dir.path().join("node_modules")).unwrap();
    let mut generate = testers::node("openapi-typescript");
    generate.arg(testers::admin("openapi.json")).args(["--output", "schema.d.ts"]);
    testers::content(generate, dir.path());
    let mut compile = testers::node("tsc");
    compile.args(["--project", "tsconfig.json"]);
    testers::content(compile, dir.path());
}

/// Every phase and every check.
fn tester(server: &Server, examples: &str) -> Command {
    let mut command = testers::schemathesis();
    let examples = std::env::var(EXAMPLES_VARIABLE).unwrap_or_else(|_| examples.to_owned());
    command.arg("run");
    command.args(["--phases", "examples,coverage,fuzzing,stateful", "--checks", "all"]);
    command.args(["--max-examples", &examples, "--seed", SEED, "--no-color"]);
    command.arg(format!("http://{}/openapi.json", server.api));
    command
}

fn site() -> Site {
    peripherals::site("file:/dev/null").set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0")
}

#[test]
fn whatever_an_administrator_sends_is_answered_as_the_document_says() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let server = site.start();
    let token = operator(&site, TESTER, "administrator");
    let mut test = tester(&server, EXAMPLES);
    test.args(["--header", &format!("Authorization: Bearer {token}")]).env("GATEHOUSE_TESTER", TESTER);
    let said = testers::content(test, folder.path());
    let after = Api::with(&server, &token).ask("GET", "/api/v1/me", &[], b"");
    assert_eq!(after.status, 200, "the token was lost on the way\n{said}");
}

#[test]
fn whatever_a_stranger_sends_is_answered_as_the_document_says() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let server = site.start();
    let said = testers::content(tester(&server, EXAMPLES_OF_A_STRANGER), folder.path());
    assert!(said.contains("passed"), "{said}");
}

#[test]
fn the_pages_of_the_document_need_nothing_from_outside() {
    let site = Site::demo();
    let server = site.start();
    let api = Api::with(&server, "");
    let page = api.ask("GET", "/docs/", &[], b"");
    let policy = page.header("Content-Security-Policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
    assert!(!policy.contains("script-src"), "scripts are files of this server, and nothing in place");
    let html = page.text();
    assert!(!html.contains("<script>"), "{html}");
    let quoted = |mark: &str| -> Vec<String> {
        html.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let loaded: Vec<String> = [quoted("src=\""), quoted("href=\"")].concat();
    assert!(loaded.len() >= 5, "{loaded:?}");
    for name in loaded {
        assert!(!name.contains("//"), "{name} is loaded from elsewhere");
        let file = api.ask("GET", &format!("/docs/{}", name.trim_start_matches("./")), &[], b"");
        assert_eq!(file.status, 200, "{name}");
        assert_eq!(file.header("X-Content-Type-Options"), Some("nosniff"));
        if name.ends_with(".css") {
            assert!(!file.text().contains("url(http"), "{name}");
        }
    }
    let start = api.ask("GET", "/docs/swagger-initializer.js", &[], b"").text();
    assert!(
        start.contains("\"url\": \"/openapi.json\"") && start.contains("\"validatorUrl\": \"none\""),
        "{start}"
    );
    assert!(!start.contains("://"), "{start}");
}
