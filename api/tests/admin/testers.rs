//! Programs of others that judge the API from outside: a linter of its document, a tester that sends what the document
//! allows and forbids, a compiler of the client it makes. `./x servers` puts them in place; where they are not, the test
//! fails and says so. Knows no resource.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `./x servers` put them.
fn place() -> PathBuf {
    let place = store_testkit::programs_folder().join("testers");
    assert!(place.join("what").exists(), "no testers in {}: run `./x servers` once", place.display());
    place
}

/// A file of the crate `admin`.
pub fn admin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../admin").join(name)
}

/// A program of Node's, by its name.
pub fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(place().join("node/node_modules/.bin").join(name));
    command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true").env("CI", "true");
    command
}

/// Where Node's packages are.
pub fn node_modules() -> PathBuf {
    place().join("node/node_modules")
}

/// Schemathesis, judging as `admin/contract` says.
pub fn schemathesis() -> Command {
    let mut command = Command::new(place().join("python/bin/schemathesis"));
    command.arg("--config-file").arg(admin("contract/schemathesis.toml"));
    command.env("SCHEMATHESIS_HOOKS", admin("contract/hooks.py"));
    command
}

/// Runs it in a folder to its end; it must be content. Gives what it says.
#[track_caller]
pub fn content(mut command: Command, folder: &Path) -> String {
    let done = command.current_dir(folder).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{command:?}\n{}\n{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}
