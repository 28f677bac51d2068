//! A driver that breaks every rule, for tests: `misbehaving.c`, and how it is compiled. Its own code knows no rule; what a
//! mode does is told there, beside the code that does it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The driver compiled into `dir`, which has to be there. Its modes are settings: `{"mode":"hang-run"}`.
///
/// # Panics
/// Without a C compiler: who runs a test has to read that.
pub fn build(dir: &Path) -> PathBuf {
    build_variant(dir, "misbehaving", &[])
}

/// The same with some of its macros set (`TABLE_MAJOR=2`): what is wrong with the table before any device is made.
///
/// # Panics
/// As `build`.
pub fn build_variant(dir: &Path, name: &str, macros: &[&str]) -> PathBuf {
    compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("misbehaving.c"), dir, name, macros)
}

/// The example that comes with the header, compiled into `dir`: it breaks no rule.
///
/// # Panics
/// As `build`.
pub fn build_example(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/example/example_driver.c");
    compile(&source, dir, "example", &[])
}

fn compile(source: &Path, dir: &Path, name: &str, macros: &[&str]) -> PathBuf {
    let library = dir.join(format!("{name}.so"));
    let built = Command::new("cc")
        .args([
            "-std=gnu11",
            "-O1",
            "-g",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-function",
            "-shared",
            "-fPIC",
            "-pthread",
        ])
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/include"))
        .args(macros.iter().map(|set| format!("-D{set}")))
        .arg("-o")
        .arg(&library)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("cc: {error}; install a C compiler"));
    assert!(built.status.success(), "cc: {}", String::from_utf8_lossy(&built.stderr));
    library
}
