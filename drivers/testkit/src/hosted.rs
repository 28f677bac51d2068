//! A real driver host with a real plugin, as a supervisor starts it: for tests that want to see bytes. Knows no queue.

use driver_frames::{
    Capabilities, FromHost, Op, Refusal, Report, Start, Status, ToHost, Way, read_frame, write_frame,
};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A host process; killed when it is dropped.
pub struct Hosted {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What its device is able to do.
    pub capabilities: Capabilities,
    last: u64,
}

impl Hosted {
    /// Starts a host with the plugin of this name (`escpos`), built beside the test that asks.
    ///
    /// # Panics
    /// Where the host or the plugin is not built, or the host refuses to start.
    pub fn start(plugin: &str, config: &str, way: Way) -> Hosted {
        let started = Hosted::try_start(start(plugin, config, way));
        started.unwrap_or_else(|(refusal, text)| panic!("{plugin} was refused, {refusal:?}: {text}"))
    }

    /// Starts a host as told.
    ///
    /// # Errors
    /// Its refusal, and in words.
    ///
    /// # Panics
    /// Where the host is not built, or breaks off.
    pub fn try_start(start: Start) -> Result<Hosted, (Refusal, String)> {
        let program = host_program();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; cargo build -p driver-host", program.display()));
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = pipes else { unreachable!("both were asked for") };
        let mut hosted = Hosted { child, input, output, capabilities: Capabilities::default(), last: 0 };
        hosted.tell(&ToHost::Start(Box::new(start)));
        match hosted.hear() {
            FromHost::Started { capabilities, .. } => {
                hosted.capabilities = *capabilities;
                Ok(hosted)
            }
            FromHost::Refused { refusal, text } => Err((refusal, text)),
            other => panic!("the host neither started nor refused: {other:?}"),
        }
    }

    /// Prints or shows a document and waits for what came of it.
    ///
    /// # Panics
    /// Where the host breaks off.
    pub fn run(&mut self, ops: Vec<Op<'static>>, timeout_ms: u32) -> Report {
        self.last += 1;
        self.tell(&ToHost::Run { id: self.last, ops, timeout_ms });
        loop {
            match self.hear() {
                FromHost::Ran { id, report } if id == self.last => return report,
                FromHost::Link { .. } | FromHost::Changed { .. } => {}
                other => panic!("the host said {other:?} in place of a report"),
            }
        }
    }

    /// Asks how the device is.
    ///
    /// # Errors
    /// Why it cannot be asked.
    ///
    /// # Panics
    /// Where the host breaks off.
    pub fn status(&mut self, timeout_ms: u32) -> Result<Status, driver_frames::Fault> {
        self.last += 1;
        self.tell(&ToHost::Status { id: self.last, timeout_ms });
        loop {
            match self.hear() {
                FromHost::StatusIs { id, status } if id == self.last => return status,
                FromHost::Link { .. } | FromHost::Changed { .. } => {}
                other => panic!("the host said {other:?} in place of a status"),
            }
        }
    }

    /// Says something to it.
    ///
    /// # Panics
    /// Where the host is gone.
    pub fn tell(&mut self, message: &ToHost) {
        write_frame(&mut self.input, message).expect("the host listens");
    }

    /// The next message that is no sign of life and no line of the log.
    ///
    /// # Panics
    /// Where the host is gone.
    pub fn hear(&mut self) -> FromHost {
        loop {
            match read_frame(&mut self.output).expect("the host speaks") {
                FromHost::Beat { .. } | FromHost::Log { .. } | FromHost::Hello { .. } => {}
                message => return message,
            }
        }
    }

    /// Its process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The start of a host with the plugin of this name, to be changed by a test.
pub fn start(plugin: &str, config: &str, way: Way) -> Start {
    Start {
        peripheral: plugin.to_owned(),
        plugin: plugin_file(plugin).display().to_string(),
        sha256: None,
        config: config.to_owned(),
        way,
        record: None,
    }
}

/// Where the test's own executable is: plugins it depends on are built beside it.
fn beside() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows where it is");
    own.parent().map(Path::to_owned).unwrap_or_default()
}

/// The plugin of this name as it was built for the test that asks.
pub fn plugin_file(name: &str) -> PathBuf {
    beside().join(format!("libdriver_{}.so", name.replace('-', "_")))
}

/// The host's program: beside the test's folder.
pub fn host_program() -> PathBuf {
    let dir = beside();
    dir.parent().map(Path::to_owned).unwrap_or(dir).join("gatehouse-driver-host")
}
