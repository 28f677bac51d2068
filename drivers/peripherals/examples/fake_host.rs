//! A driver host for tests that does wrong what a real one cannot be made to do: it dies, hangs, is silent or talks
//! nonsense, as files in the folder of its settings (`{"dir": "…"}`) tell it. Loads no driver.
//!
//! ```text
//! start    a line is taken at each start:    ok | crash | hang | refuse_plugin | refuse_settings | garbage
//! script   a line is taken for each document: ok | none FAULT | unknown | die_before | die_after | die_with_child | hang |
//!          until_cancel | until_go | silent | garbage
//! go       as long as it is there, documents that are until_go are printed
//! status   as long as it is there the device tells its status: its bits as a number
//! kind     "display": it is one
//! paper    what was printed
//! ```
#![allow(clippy::unwrap_used, reason = "a fake that panics is a fake that crashed, which is its purpose")]

use driver_frames::{
    BEAT_MS, Capabilities, Done, FRAMES_VERSION, Fault, FrameError, FromHost, Kind, Op, PluginInfo, Refusal,
    Report, Start, Status, ToHost, read_frame, write_frame,
};
use std::fs::OpenOptions;
use std::io::{Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static SILENT: AtomicBool = AtomicBool::new(false);

fn main() {
    say(&FromHost::Hello { version: FRAMES_VERSION });
    let ToHost::Start(start) = hear().unwrap() else { panic!("no start") };
    let config: serde_json::Value = serde_json::from_str(&start.config).unwrap();
    let dir = PathBuf::from(config["dir"].as_str().unwrap());
    std::thread::spawn(|| {
        while !SILENT.load(Ordering::Relaxed) {
            say(&FromHost::Beat { busy_ms: None });
            std::thread::sleep(Duration::from_millis(BEAT_MS / 10));
        }
    });
    begin(&dir, &start);
    while let Ok(message) = hear() {
        match message {
            ToHost::Run { id, ops, .. } => run(&dir, id, &ops),
            ToHost::Status { id, .. } => say(&FromHost::StatusIs { id, status: Ok(status(&dir)) }),
            ToHost::Stop => return,
            _ => {}
        }
    }
}

/// The lock is given back before the message is looked at: a document may wait for another one.
fn hear() -> Result<ToHost, FrameError> {
    read_frame(&mut stdin().lock())
}

fn say(message: &FromHost) {
    let _ = write_frame(&mut stdout().lock(), message);
}

fn begin(dir: &Path, start: &Start) {
    let refuse = |refusal| {
        say(&FromHost::Refused { refusal, text: "as the test wants it".to_owned() });
        std::process::exit(0);
    };
    match line(dir, "start").as_str() {
        "crash" => std::process::exit(9),
        "hang" => forever(),
        "refuse_plugin" => refuse(Refusal::Plugin),
        "refuse_settings" => refuse(Refusal::Settings),
        "garbage" => garbage(),
        _ => {}
    }
    let kind = std::fs::read_to_string(dir.join("kind")).unwrap_or_default();
    let info = PluginInfo {
        id: start.peripheral.clone(),
        name: "Fake".to_owned(),
        vendor: String::new(),
        version: "1".to_owned(),
        licence: String::new(),
        kind: if kind == "display" { Kind::Display } else { Kind::Printer },
        abi: (1, 0),
        match_json: "{}".to_owned(),
        config_schema: "{}".to_owned(),
        sha256: String::new(),
    };
    let capabilities = Capabilities {
        drawer: true,
        lines: 2,
        status: dir.join("status").exists(),
        ..Capabilities::default()
    };
    say(&FromHost::Started { info: Box::new(info), capabilities: Box::new(capabilities) });
}

fn run(dir: &Path, id: u64, ops: &[Op<'_>]) {
    let told = line(dir, "script");
    let report = match told.split_once(' ').unwrap_or((&told, "")) {
        ("none", fault) => report(Done::None, Some(named(fault))),
        ("unknown", _) => {
            print(dir, ops);
            report(Done::Unknown, Some(Fault::Io))
        }
        ("die_before", _) => std::process::exit(9),
        ("die_after", _) => {
            print(dir, ops);
            std::process::exit(9)
        }
        ("die_with_child", _) => {
            print(dir, ops);
            let child = std::process::Command::new("sleep").arg("3600").spawn().unwrap();
            std::fs::write(dir.join("child"), child.id().to_string()).unwrap();
            std::process::exit(9)
        }
        ("hang", _) => {
            print(dir, ops);
            forever()
        }
        ("silent", _) => {
            SILENT.store(true, Ordering::Relaxed);
            forever()
        }
        ("until_cancel", _) => loop {
            if matches!(hear(), Ok(ToHost::Cancel)) {
                break report(Done::None, Some(Fault::Cancelled));
            }
        },
        ("until_go", _) => {
            while !dir.join("go").exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
            print(dir, ops);
            report(Done::Confirmed, None)
        }
        ("garbage", _) => garbage(),
        _ => {
            print(dir, ops);
            report(Done::Confirmed, None)
        }
    };
    say(&FromHost::Ran { id, report });
}

fn report(done: Done, fault: Option<Fault>) -> Report {
    let (text, status) = (String::new(), Status::UNKNOWN);
    Report { done, fault, ops_done: 0, bytes_sent: 0, status, native_code: 0, text, took_ms: 1 }
}

fn status(dir: &Path) -> Status {
    let bits = std::fs::read_to_string(dir.join("status")).unwrap_or_default();
    Status(bits.trim().parse().unwrap_or(1))
}

fn named(fault: &str) -> Fault {
    serde_json::from_value(serde_json::Value::from(fault)).unwrap()
}

fn print(dir: &Path, ops: &[Op<'_>]) {
    let mut page = String::new();
    for op in ops {
        match op {
            Op::Text(text) => page.push_str(text),
            Op::Newline => page.push('\n'),
            Op::Line { text, .. } if !text.trim().is_empty() => {
                page.push_str(text.trim());
                page.push('\n');
            }
            Op::Drawer { .. } => page.push_str("[drawer]\n"),
            _ => {}
        }
    }
    let mut paper = OpenOptions::new().create(true).append(true).open(dir.join("paper")).unwrap();
    paper.write_all(page.as_bytes()).unwrap();
}

/// Takes the first line of a file.
fn line(dir: &Path, file: &str) -> String {
    let path = dir.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if !text.is_empty() {
        std::fs::write(&path, rest).unwrap();
    }
    first.trim().to_owned()
}

fn garbage() -> ! {
    stdout().lock().write_all(&[0xff; 64]).unwrap();
    let _ = stdout().lock().flush();
    forever()
}

fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}
