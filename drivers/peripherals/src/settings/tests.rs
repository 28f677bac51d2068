//! What a settings file says, and what is said about its mistakes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("receipt.toml"), "elements = [{ text = \"Gate {gate}\" }]\n").unwrap();
    dir
}

const WELL: &str = r#"
venue = "Arena"
[[template]]
name = "receipt"
file = "receipt.toml"

[[peripheral]]
name = "till"
driver = "escpos"
connection = "tcp://10.0.0.5:9100"
config = { profile = "tm-t88v", feed = 3, tones = [1, 2] }
gates = ["North"]

[[peripheral]]
name = "north-display"
driver = "pole-display"
connection = "serial:/dev/ttyUSB0?baud=9600"
station = "box-1"
idle = "idle"
queue_max = 5

[[rule]]
name = "wristband"
on = "admit"
types = ["VIP"]
print = "receipt"
printers = ["till"]
show = "welcome"
displays = ["north-display"]
expires_s = 60
"#;

#[test]
fn a_file_is_read() {
    let dir = folder();
    let settings = Settings::parse("peripherals.toml", WELL, dir.path()).unwrap();
    let till = settings.peripheral("till").unwrap();
    assert_eq!(till.way.to_string(), "tcp://10.0.0.5:9100");
    let config: serde_json::Value = serde_json::from_str(&till.config).unwrap();
    assert_eq!(config, serde_json::json!({ "profile": "tm-t88v", "feed": 3, "tones": [1, 2] }));
    assert_eq!((till.queue_max, till.timeout_ms), (100, 30_000));
    let display = settings.peripheral("north-display").unwrap();
    assert_eq!((display.station.as_deref(), display.queue_max), (Some("box-1"), 5));
    let rule = &settings.rules[0];
    assert_eq!((rule.on, rule.expires_after_ms), (On::Admit, 60_000));
    let target = rule.print.as_ref().unwrap();
    assert_eq!(target.peripherals, [("till".to_owned(), vec!["North".to_owned()])]);
    assert_eq!(settings.templates["receipt"].fields().into_iter().collect::<Vec<_>>(), ["gate"], "its own");
    assert_eq!(settings.templates.len(), documents::BUILT_IN.len(), "the others come with the program");
    assert_eq!(settings.filled(Values::new())["venue"], "Arena");
    assert!(Settings::parse("empty.toml", "", dir.path()).unwrap().peripherals.is_empty());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"colour = "red"
allow = ["abc"]
[[template]]
name = "receipt"
file = "missing.toml"
[[peripheral]]
name = "till/1"
driver = "ESC POS"
connection = "9100"
queue_max = 0
baud = 9600
[[peripheral]]
name = "bar"
connection = "file:/tmp/x"
config = "tm-t88v"
[[peripheral]]
name = "bar"
driver = "virtual"
connection = "file:/tmp/x"
idle = "welcmoe"
[[rule]]
name = "r"
on = "entry"
print = "recipt"
printers = ["tall"]
[[rule]]
name = "idle"
on = "admit"
[[rule]]
name = "wrong"
on = "admit"
print = "welcome"
printers = ["bar"]
"#;
    let mistakes = Settings::parse("p.toml", text, folder().path()).unwrap_err().0;
    let wanted = [
        ("p.toml:1: colour of the file: is not known here", ""),
        ("p.toml:2: allow of the file: SHA-256 in hex is meant", ""),
        ("p.toml:5: file of template \"receipt\": ", "missing.toml: No such file"),
        ("p.toml:7: name of peripheral", "letters, digits"),
        ("p.toml:8: driver of peripheral \"till/1\": \"ESC POS\": a driver's id is meant", ""),
        ("p.toml:9: connection of peripheral \"till/1\": \"9100\" is no way to a device", "tcp://HOST:PORT"),
        ("p.toml:10: queue_max of peripheral \"till/1\": a whole number from 1 to 10000 is meant", ""),
        ("p.toml:11: baud of peripheral \"till/1\": is not known here", "queue_max"),
        ("p.toml:12: driver of peripheral \"bar\": is missing", ""),
        ("p.toml:15: config of peripheral \"bar\": a table is meant", ""),
        ("p.toml:17: name of peripheral \"bar\": \"bar\" is the name of the peripheral in line 12", ""),
        ("p.toml:20: idle of peripheral \"bar\": no template \"welcmoe\" in this file", ""),
        ("p.toml:23: on of rule \"r\": \"entry\": one of admit, deny, attention, button is meant", ""),
        ("p.toml:24: print of rule \"r\": no template \"recipt\" in this file", ""),
        ("p.toml:25: printers of rule \"r\": no peripheral \"tall\" in this file", ""),
        ("p.toml:27: name of rule \"idle\": a rule has something to do", ""),
        ("p.toml:32: print of rule \"wrong\": template \"welcome\" is not for a printer", ""),
    ];
    for ((begins, has), mistake) in wanted.iter().zip(&mistakes) {
        assert!(mistake.starts_with(begins) && mistake.contains(has), "{mistake}\nwanted {begins} … {has}");
    }
    assert_eq!(mistakes.len(), wanted.len(), "{mistakes:#?}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line_too() {
    let mistakes = Settings::parse("p.toml", "[[peripheral]]\nname = till\n", folder().path()).unwrap_err();
    assert!(mistakes.to_string().contains("p.toml:2: "), "{mistakes}");
}
