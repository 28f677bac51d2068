//! The plugin as the host loads it.

use crate::till::{Till, plugin};
use driver_frames::Op;
use driver_sdk::{Done, Fault, Kind, Status};

#[test]
fn a_document_goes_through_the_real_plugin_into_a_file() {
    let plugin = plugin();
    assert_eq!((plugin.info.id.as_str(), plugin.info.kind), ("pole-display", Kind::Display));
    let dir = tempfile::tempdir().unwrap();
    let mut till = Till::new(&plugin, dir.path(), r#"{"code_page":437}"#).unwrap();
    let capabilities = till.device.capabilities().unwrap();
    assert_eq!((capabilities.columns, capabilities.lines), (20, 2));
    let opened = till.open();
    assert!(opened.starts_with(b"\r\r\x14\x16\x1b@\x1f\x01\x1bt\x00"), "{}", opened.escape_ascii());
    let ops = [Op::Line { line: 1, text: "Zoë \u{1b}=\u{4}".into() }, Op::Line { line: 2, text: "".into() }];
    let (result, sent) = till.run(&ops);
    assert_eq!((result.done, result.fault, result.ops_done), (Done::Sent, None, 2));
    assert_eq!(result.status, Status::ONLINE);
    assert_eq!(sent, b"\x1f\x24\x01\x01Zo\x89  =");
}

#[test]
fn settings_are_refused_through_the_plugin_too() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Till::new(&plugin(), dir.path(), r#"{"model":"pd3000"}"#);
    assert_eq!(refused.err(), Some(Fault::Config));
}
