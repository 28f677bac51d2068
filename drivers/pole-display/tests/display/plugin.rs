//! The plugin's file, loaded by the host's own code, on a line that is a file.

use driver_frames::{Op, Way};
use driver_host::line::Line;
use driver_host::plugin::{Device, Plugin, Services};
use driver_sdk::{Done, Fault, Kind, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The plugin as it was built for this test.
fn file() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("libdriver_pole_display.so")
}

fn services() -> Services {
    Services { log: Box::new(|_, _| {}), changed: Box::new(|_| {}), cancelled: Arc::default() }
}

#[test]
fn a_document_goes_through_the_real_plugin_into_a_file() {
    let plugin = Plugin::load(&file(), None).unwrap();
    assert_eq!((plugin.info.id.as_str(), plugin.info.kind), ("pole-display", Kind::Display));
    let mut device = Device::create(&plugin, services(), r#"{"code_page":437}"#).unwrap();
    let capabilities = device.capabilities().unwrap();
    assert_eq!((capabilities.columns, capabilities.lines), (20, 2));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("display");
    let mut line = Line::new(Way::File(path.display().to_string()), Arc::default(), None).unwrap();
    assert!(line.open().unwrap());
    device.reset(&mut line, TIMEOUT).unwrap();
    let opened = std::fs::read(&path).unwrap();
    assert!(opened.starts_with(b"\r\r\x14\x16\x1b@\x1f\x01\x1bt\x00"), "{}", opened.escape_ascii());
    line.begin();
    let ops = [Op::Line { line: 1, text: "Zoë \u{1b}=\u{4}".into() }, Op::Line { line: 2, text: "".into() }];
    let result = device.run(&mut line, &ops, TIMEOUT);
    assert_eq!((result.done, result.fault, result.ops_done), (Done::Sent, None, 2));
    assert_eq!(result.status, Status::ONLINE);
    let all = std::fs::read(&path).unwrap();
    assert_eq!(&all[opened.len()..], b"\x1f\x24\x01\x01Zo\x89  =");
    assert_eq!(line.printing(), 10);
    assert_eq!(device.tick(&mut line).map(|next| next.is_some()), Ok(true));
    assert_eq!(device.probe(&mut line, TIMEOUT).unwrap_err(), Fault::Unsupported);
}

#[test]
fn settings_are_refused_through_the_plugin_too() {
    let plugin = Plugin::load(&file(), None).unwrap();
    let refused = Device::create(&plugin, services(), r#"{"model":"pd3000"}"#);
    assert_eq!(refused.err(), Some(Fault::Config));
}
