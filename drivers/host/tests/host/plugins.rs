//! Driver files that cannot be used, and what is said of each.

use crate::harness::{Host, example, folder, odd, start};
use driver_frames::{FromHost, Refusal, Start, Way};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn hear_refusal(start: Start) -> String {
    let mut host = Host::with(start);
    let FromHost::Refused { refusal, text } = host.hear() else { panic!("started") };
    assert_eq!(refusal, Refusal::Plugin);
    assert!(host.child.wait().unwrap().success());
    text
}

fn refusal(plugin: &Path, sha256: Option<String>) -> String {
    hear_refusal(Start { sha256, ..start(plugin, "{}", Way::File("/dev/null".to_owned())) })
}

/// What is said of this file, without its path.
fn check(plugin: &Path, words: &str) {
    let text = refusal(plugin, None);
    let path = plugin.display().to_string();
    assert_eq!(text, format!("{path}: {words}"));
}

/// A copy of the example in a folder of its own.
fn copy(dir: &Path) -> PathBuf {
    let file = dir.join("libcopy.so");
    std::fs::copy(example(), &file).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    file
}

#[test]
fn every_table_that_cannot_be_is_refused_by_its_field() {
    check(&odd("WRONG_MAGIC"), "magic: expected 0x31444847, found 0x31434847");
    check(&odd("NEXT_MAJOR"), "abi_major: this host has 1, the driver 2");
    check(&odd("SHORT"), "struct_size: ABI 1.0 has 192 bytes, found 64");
    check(&odd("WITHOUT_PROBE"), "probe: this function is missing (NULL)");
    check(&odd("SCANNER"), "kind: 9 is neither printer nor display");
    check(&odd("LOUD"), "id: \"ODD\": a-z, 0-9 and '-' are meant");
    check(&odd("NO_NAME"), "name: 3 bytes at NULL");
    check(&odd("NO_JSON"), "match_json: no JSON: expected value at line 1 column 1");
    check(&odd("REFUSES"), "the driver refused this host, whose ABI is 1.0");
}

#[test]
fn what_is_no_driver_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("libtext.so");
    check(&file, "No such file or directory (os error 2)");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    check(&file, "no shared library: it does not begin as an ELF file does");
    // Half a download: the system's loader would be killed by it.
    let whole = std::fs::read(example()).unwrap();
    for length in [5, 63, 100, 1_000, whole.len() / 2] {
        std::fs::write(&file, &whole[..length]).unwrap();
        check(&file, &format!("it is cut off after {length} bytes"));
    }
    // Built for a machine of another kind: e_machine.
    let mut other = whole.clone();
    other[18..20].copy_from_slice(&0x5441_u16.to_le_bytes());
    std::fs::write(&file, &other).unwrap();
    let text = refusal(&file, None);
    assert!(text.contains("cannot open shared object file") || text.contains("ELF"), "{text}");
    check(dir.path(), "a driver is a file: a shared library");
    let source = dir.path().join("other.c");
    std::fs::write(&source, "int other(void) { return 1; }\n").unwrap();
    let built = std::process::Command::new("cc").args(["-shared", "-o"]).arg(&file).arg(&source).status();
    assert!(built.unwrap().success());
    check(&file, "it does not export ghd_driver_entry_v1: it is no driver");
}

#[test]
fn a_file_that_everybody_may_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = copy(dir.path());
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o646)).unwrap();
    check(&file, "the driver's file may be changed by everybody: chmod o-w");

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let words = "the folder of the driver's file may be changed by everybody: chmod o-w";
    assert_eq!(refusal(&file, None), format!("{}: {words}", dir.path().display()));
    // A link elsewhere does not hide that.
    let link = folder().join("link.so");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(refusal(&link, None), format!("{}: {words}", dir.path().display()));
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = copy(dir.path());
    let stranger = rustix::fs::Uid::from_raw(54_321);
    if rustix::fs::chown(&file, Some(stranger), None).is_err() {
        // Only root may give a file away; then a file of another user's is looked for, and every system has one.
        assert!(!rustix::process::geteuid().is_root());
        return;
    }
    let ours = rustix::process::geteuid().as_raw();
    let words = format!(
        "the driver's file belongs to user 54321, who is neither root nor the one this runs as ({ours}): chown it"
    );
    check(&file, &words);
}

#[test]
fn only_the_very_file_that_was_allowed_is_loaded() {
    let digest: String =
        Sha256::digest(std::fs::read(example()).unwrap()).iter().map(|byte| format!("{byte:02X}")).collect();
    let start = start(&example(), "{}", Way::File("/dev/null".to_owned()));
    let mut host = Host::with(Start { sha256: Some(digest.clone()), ..start });
    let FromHost::Started { info, .. } = host.hear() else { panic!("refused") };
    assert_eq!(info.sha256, digest.to_lowercase());

    let (wanted, found) = ("0".repeat(64), digest.to_lowercase());
    let path = example().display().to_string();
    assert_eq!(
        refusal(&example(), Some(wanted.clone())),
        format!("{path}: its SHA-256 is {found}, allowed is {wanted}; allow it if you know where it is from")
    );
}

#[test]
fn what_runs_is_a_sealed_copy_and_not_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = copy(dir.path());
    let mut host = Host::with(start(&file, "{}", Way::File("/dev/null".to_owned())));
    assert!(matches!(host.hear(), FromHost::Started { .. }));
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", host.child.id())).unwrap();
    assert!(maps.contains("/memfd:libcopy.so"));
    assert!(!maps.contains(&*file.to_string_lossy()));
    // Cut off under a running driver, a mapped file would end its process.
    std::fs::write(&file, "").unwrap();
    assert_eq!(host.print("x").fault, None);
}
