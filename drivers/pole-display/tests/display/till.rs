//! The plugin's file, loaded by the host's own code, on a line that is a file. The one place here that knows the host's
//! inner face.

use driver_frames::{Op, Way};
use driver_host::line::Line;
use driver_host::plugin::{Device, Plugin, RunResult, Services};
use driver_sdk::Fault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The plugin as it was built for this test.
pub fn plugin() -> Plugin {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    Plugin::load(&dir.join("libdriver_pole_display.so"), None).unwrap()
}

/// A driver and its line.
pub struct Till {
    pub device: Device,
    line: Line,
    wire: PathBuf,
    read: usize,
}

impl Till {
    /// A driver with these settings, on a line that is a file of this folder.
    pub fn new(plugin: &Plugin, dir: &Path, config: &str) -> Result<Till, Fault> {
        let services =
            Services { log: Box::new(|_, _| {}), changed: Box::new(|_| {}), cancelled: Arc::default() };
        let device = Device::create(plugin, services, config)?;
        let wire = dir.join("wire");
        let line = Line::new(Way::File(wire.display().to_string()), Arc::default(), None).unwrap();
        Ok(Till { device, line, wire, read: 0 })
    }

    /// The line is new. What was sent for it.
    pub fn open(&mut self) -> Vec<u8> {
        self.line.close();
        assert!(self.line.open().unwrap());
        self.device.reset(&mut self.line, TIMEOUT).unwrap();
        self.sent()
    }

    /// A document: what became of it, and what was sent.
    pub fn run(&mut self, ops: &[Op<'_>]) -> (RunResult, Vec<u8>) {
        self.line.begin();
        let result = self.device.run(&mut self.line, ops, TIMEOUT);
        let sent = self.sent();
        assert_eq!(self.line.printing(), sent.len() as u64, "what shows is counted");
        (result, sent)
    }

    fn sent(&mut self) -> Vec<u8> {
        let bytes = std::fs::read(&self.wire).unwrap();
        let sent = bytes[self.read..].to_vec();
        self.read = bytes.len();
        sent
    }
}
