//! A venue for tests: settings, a queue and paper in a folder of its own; real driver hosts, or the fake one.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(dead_code, reason = "each test program uses its part")]

use peripherals::{
    Document, Job, JobState, Op, Origin, Pace, PeripheralState, PeripheralView, Peripherals, Place, Priority,
    Settings,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A receipt of one line, and what a display shows between guests.
const RECEIPT: &str = "elements = [{ text = \"receipt {lsn} at {gate}\" }]\n";
const IDLE: &str = "steps = [{ lines = [\"-\"] }]\nidle = { lines = [\"Welcome to {peripheral}\"] }\n";
/// What does not come in this time does not come at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Cargo put this test.
pub fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The real driver host.
pub fn real_host() -> PathBuf {
    let path = deps().parent().unwrap().join("gatehouse-driver-host");
    assert!(path.exists(), "{} is missing: cargo build -p driver-host", path.display());
    path
}

/// A program of this crate's `examples`.
pub fn example(name: &str) -> PathBuf {
    let path = deps().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build -p peripherals --examples", path.display());
    path
}

/// Waits as quickly as a test wants it.
pub fn pace() -> Pace {
    Pace {
        retry_first: Duration::from_millis(10),
        retry_most: Duration::from_millis(40),
        wait: Duration::from_millis(20),
        grace: Duration::from_millis(300),
        beat_max: Duration::from_secs(8),
        restart_first: Duration::from_millis(5),
        orphan: Duration::from_millis(50),
        ..Pace::default()
    }
}

/// A folder with everything in it.
pub struct Venue {
    pub dir: TempDir,
    pub host: PathBuf,
    pub pace: Pace,
    pub station: Option<String>,
}

impl Venue {
    pub fn real() -> Venue {
        Venue { dir: tempfile::tempdir().unwrap(), host: real_host(), pace: pace(), station: None }
    }

    pub fn fake() -> Venue {
        Venue { host: example("fake_host"), ..Venue::real() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn place(&self) -> Place {
        Place {
            queue: self.path("peripherals.db"),
            drivers: deps(),
            host: self.host.clone(),
            station: self.station.clone(),
        }
    }

    /// A printer "till" onto the file "paper", and what else is told.
    pub fn settings(&self, more: &str) -> Settings {
        self.settings_of(&self.till(), more)
    }

    pub fn till(&self) -> String {
        let dir = self.dir.path().display();
        let config = if self.host.ends_with("fake_host") {
            format!("config = {{ dir = \"{dir}\" }}\n")
        } else {
            String::new()
        };
        format!(
            "[[peripheral]]\nname = \"till\"\ndriver = \"virtual\"\nconnection = \"file:{dir}/paper\"\n{config}"
        )
    }

    pub fn settings_of(&self, peripherals: &str, more: &str) -> Settings {
        self.write("receipt.toml", RECEIPT);
        self.write("idle.toml", IDLE);
        let templates = ["receipt", "idle"]
            .map(|name| format!("[[template]]\nname = \"{name}\"\nfile = \"{name}.toml\"\n"));
        self.write("peripherals.toml", &format!("{peripherals}\n{more}\n{}", templates.concat()));
        Settings::load(&self.path("peripherals.toml")).unwrap()
    }

    pub fn open(&self, settings: Settings) -> Peripherals {
        Peripherals::open_with(settings, self.place(), self.pace).unwrap()
    }
}

pub fn job(id: &str) -> Job {
    job_on("till", id)
}

pub fn job_on(peripheral: &str, id: &str) -> Job {
    let ops = vec![Op::Text(format!("[{id}]").into()), Op::Newline];
    Job {
        id: id.to_owned(),
        peripheral: peripheral.to_owned(),
        document: Document::Ops(ops),
        priority: Priority::Normal,
        expires_ms: None,
        origin: Origin::Operator { who: "test".to_owned() },
    }
}

/// Waits until something is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn view(peripherals: &Peripherals, name: &str) -> PeripheralView {
    peripherals.views().into_iter().find(|view| view.name == name).unwrap()
}

pub fn until_state(peripherals: &Peripherals, name: &str, state: PeripheralState) -> PeripheralView {
    until(&format!("{name} is {state:?}"), || {
        Some(view(peripherals, name)).filter(|view| view.state == state)
    })
}

pub fn until_job(peripherals: &Peripherals, id: &str, state: JobState) {
    let mut last = None;
    until(&format!("{id} is {state}"), || {
        let found = peripherals.job(id).unwrap();
        if last.as_ref() != Some(&found.state) {
            last = Some(found.state);
            eprintln!("{id}: {} {:?}", found.state, found.outcome);
        }
        (found.state == state).then_some(())
    });
}

/// How often a job lies on the paper.
pub fn times(paper: &str, id: &str) -> usize {
    paper.matches(&format!("[{id}]")).count()
}

/// `kill -9`, and nothing gentler.
pub fn kill(pid: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

pub fn exists(path: &Path) -> Option<()> {
    path.exists().then_some(())
}
