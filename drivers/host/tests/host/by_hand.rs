//! What people type: `--inspect` and `--probe`.

use crate::harness::{Host, example, odd, rust_plugin};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

fn run(args: &[&str]) -> Result<Value, String> {
    let done = Host::command().args(args).output().unwrap();
    match done.status.success() {
        true => Ok(serde_json::from_slice(&done.stdout).unwrap()),
        false => Err(String::from_utf8(done.stderr).unwrap()),
    }
}

fn probe(way: &str, driver: &Path, config: &str) -> Result<Value, String> {
    run(&["--probe", way, "--driver", &driver.display().to_string(), "--config", config])
}

#[test]
fn a_drivers_file_is_looked_at() {
    for (file, id) in [(example(), "example"), (rust_plugin("virtual"), "virtual")] {
        let told = run(&["--inspect", &file.display().to_string()]).unwrap();
        assert_eq!(
            (&told["id"], &told["abi"], &told["kind"]),
            (&id.into(), &"1.0".into(), &"printer".into())
        );
        assert_eq!(told["sha256"].as_str().unwrap().len(), 64);
        assert!(told["config_schema"].is_object());
    }
    let file = odd("NEXT_MAJOR").display().to_string();
    let words = format!("gatehouse-driver-host: {file}: abi_major: this host has 1, the driver 2\n");
    assert_eq!(run(&["--inspect", &file]), Err(words));
}

#[test]
fn whoever_reads_no_further_is_no_mistake() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = Host::command()
        .args(["--inspect", &example().display().to_string()])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_device_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("traffic");
    std::fs::write(&record, "= 0\n? 1 a1 00 0000 0000 0006\n> 2 100401\n< 3 02\n").unwrap();
    let way = format!("replay:{}", record.display());
    let told = probe(&way, &odd("READS"), "{}").unwrap();
    assert_eq!(told["device"]["id_bytes"], 2);
    assert_eq!(
        (&told["status"], &told["driver"], &told["way"]),
        (&"paper low".into(), &"odd".into(), &way.into())
    );

    // Only what cannot print was written.
    let paper = dir.path().join("paper");
    let told = probe(&format!("file:{}", paper.display()), &example(), "{}").unwrap();
    assert_eq!(
        (&told["device"], &told["status"]),
        (&"the device cannot do this".into(), &"tells nothing".into())
    );
    assert_eq!(std::fs::read(&paper).unwrap(), b"\x1b@");
}

#[test]
fn why_a_device_cannot_be_asked_is_one_line() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        probe(&format!("tcp://{nobody}"), &example(), "{}").unwrap_err(),
        format!("gatehouse-driver-host: tcp://{nobody}: Connection refused (os error 111)\n")
    );
    assert_eq!(
        probe("file:/dev/null", &example(), "[]").unwrap_err(),
        "error: the settings are {} or {\"form_feed\": true}\ngatehouse-driver-host: the driver does not take these \
         settings: the driver's settings are wrong; its log above says why\n"
    );
    let told = probe("usb:printer", &example(), "{}").unwrap_err();
    assert!(told.contains("vendor and product in hex are needed"), "{told}");
}
