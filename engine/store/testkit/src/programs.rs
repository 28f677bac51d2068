//! Where the servers' programs are. Knows the folder `./x servers` fills and its layout.

use std::path::{Path, PathBuf};

/// Names the folder of the servers' programs; without it, the place `./x servers` uses.
const FOLDER_VARIABLE: &str = "GATEHOUSE_TEST_SERVERS";

/// The programs of one version of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Such as `17.5`.
    pub version: String,
    /// Where `initdb` and `postgres` are, or `redis-server`.
    pub bin: PathBuf,
}

/// Every version of PostgreSQL that is in place, the one the plan names first.
///
/// # Panics
/// When none is: the test cannot say anything then.
pub fn all_programs() -> Vec<Programs> {
    in_place(&programs_folder(), "PostgreSQL", "postgres", "postgres")
}

/// The newest Redis that is in place.
///
/// # Panics
/// When none is.
pub fn redis_programs() -> Programs {
    in_place(&programs_folder(), "Redis", "redis", "redis-server").swap_remove(0)
}

/// At least one.
fn in_place(folder: &Path, name: &str, prefix: &str, program: &str) -> Vec<Programs> {
    let found = programs_in(folder, prefix, program);
    assert!(
        !found.is_empty(),
        "no {name} in {}: run `./x servers` once (it installs what the tests need), or name another folder in \
         {FOLDER_VARIABLE}",
        folder.display()
    );
    found
}

/// Where `./x servers` puts what tests need.
pub fn programs_folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(
        || {
            std::env::temp_dir()
                .join(format!("gatehouse-test-servers-{}", rustix::process::getuid().as_raw()))
        },
        PathBuf::from,
    )
}

/// `{prefix}-{version}/bin` with the program in it, newest first.
fn programs_in(folder: &Path, prefix: &str, program: &str) -> Vec<Programs> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Programs> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.strip_prefix('-')?.to_owned();
            let bin = entry.path().join("bin");
            bin.join(program).exists().then_some(Programs { version, bin })
        })
        .collect();
    found.sort_by_key(|programs| std::cmp::Reverse(major(&programs.version)));
    found
}

fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_newest_first_and_half_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9.6", "17.5", "15.18"] {
            std::fs::create_dir_all(dir.path().join(format!("postgres-{version}/bin"))).unwrap();
            if version != "9.6" {
                std::fs::write(dir.path().join(format!("postgres-{version}/bin/postgres")), "").unwrap();
            }
        }
        let found = |folder: &Path| programs_in(folder, "postgres", "postgres");
        let versions: Vec<String> = found(dir.path()).into_iter().map(|found| found.version).collect();
        assert_eq!(versions, ["17.5", "15.18"]);
        assert_eq!(found(&dir.path().join("nothing")), []);
    }

    #[test]
    #[should_panic(expected = "no Redis in /nowhere: run `./x servers` once")]
    fn a_missing_server_is_told_with_what_to_do() {
        in_place(Path::new("/nowhere"), "Redis", "redis", "redis-server");
    }
}
