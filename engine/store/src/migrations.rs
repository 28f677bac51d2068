//! Numbered scripts, one up and one down each: which comes next on the way to a version. Knows no database.

use crate::error::{StoreError, StoreResult};

/// One version of a schema and the way to it and back.
pub(crate) struct Migration {
    pub version: u32,
    pub name: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// A [`Migration`] from its two files.
macro_rules! migration {
    ($database:literal, $version:literal, $name:literal) => {
        $crate::migrations::Migration {
            version: $version,
            name: $name,
            up: include_str!(concat!("../../../../migrations/", $database, "/", $name, ".up.sql")),
            down: include_str!(concat!("../../../../migrations/", $database, "/", $name, ".down.sql")),
        }
    };
}
pub(crate) use migration;

/// What brings a schema one version nearer.
pub(crate) enum Step {
    Up(&'static Migration),
    Down(&'static Migration),
}

/// The next step from the version that was found to the one that is wanted; `None`: it is there. A schema that is newer
/// than the last of `all` is left alone.
pub(crate) fn next(all: &'static [Migration], found: u32, wanted: u32) -> StoreResult<Option<Step>> {
    let known = all.len() as u32;
    if wanted > known {
        return Err(StoreError::NoSuchSchema { wanted, known });
    }
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found == wanted {
        return Ok(None);
    }
    let up = found < wanted;
    let version = if up { found + 1 } else { found };
    let migration = &all[version as usize - 1];
    assert_eq!(migration.version, version, "migrations are numbered without a gap");
    Ok(Some(if up { Step::Up(migration) } else { Step::Down(migration) }))
}

/// The scripts in a folder are those of `all`, numbered and paired; what else is there is for people.
#[cfg(test)]
pub(crate) fn check_folder(database: &str, all: &[Migration]) {
    let folder = format!("{}/../../migrations/{database}", env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are text"))
        .filter(|name| name.ends_with(".sql"))
        .collect();
    found.sort();
    let mut expected = Vec::new();
    for (n, migration) in (1..).zip(all) {
        assert_eq!(migration.version, n);
        assert!(migration.name.starts_with(&format!("{n:04}_")));
        expected.push(format!("{}.down.sql", migration.name));
        expected.push(format!("{}.up.sql", migration.name));
    }
    assert_eq!(found, expected);
}
