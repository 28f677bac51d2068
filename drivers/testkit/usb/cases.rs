//! What runs inside the machine that `run.sh` starts: real host processes on a real USB stack, against the kernel's own
//! printer and serial gadgets, which we did not write. Tells TAP on the console. Knows nothing of how the machine was made.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_frames::{Done, Fault, FromHost, Op, Report, Start, Status, ToHost, Way, read_frame, write_frame};
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The gadget, as `init` made it.
const GADGET: &str = "/sys/kernel/config/usb_gadget/desk";
const USB: &str = "usb:0525:a4a8:GH0001";
/// In this order: the printer is interface 0.
const FUNCTIONS: [&str; 2] = ["printer.0", "acm.0"];
/// The kernel's node for a printer, and the gadget's own sides.
const LP: &str = "/dev/usb/lp0";
const PAPER: &str = "/dev/g_printer0";
const GLASS: &str = "/dev/ttyGS0";
/// Port status: well, and out of paper and in error.
const WELL: &str = "0x18";
const PAPER_OUT: &str = "0x30";
/// A request of the printer gadget, read whole.
const REQUEST_BYTES: usize = 8_192;
/// Whatever is waited for comes in so long, also in a machine that is software.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

fn main() {
    let cases: [(&str, fn()); 12] = [
        ("a gadget that is plugged in is a printer and a serial line", plugged_in),
        ("an interface that usblp has is busy", busy_while_the_kernel_has_it),
        ("the host takes it from usblp, and gives it back", taken_and_given_back),
        ("a long document comes byte for byte", byte_for_byte),
        ("a second host is told that the first has it", second_host),
        ("the device tells what it is", device_id),
        ("out of paper is told, and nothing is printed", out_of_paper),
        ("a byte the device sends comes back", status_byte),
        ("a jam costs the deadline, and a person is asked", jam),
        ("pulled out in the middle of a document, and plugged in again", pulled_out),
        ("the kernel's printer node is a way too", printer_node),
        ("a display on a serial line shows the text", display),
    ];
    println!("TAP version 13\n1..{}", cases.len());
    std::panic::set_hook(Box::new(|info| println!("# {}", info.to_string().replace('\n', "\n# "))));
    let mut all_well = true;
    for (number, (name, case)) in cases.iter().enumerate() {
        let well = std::panic::catch_unwind(case).is_ok();
        all_well &= well;
        println!("{} {} - {name}", if well { "ok" } else { "not ok" }, number + 1);
    }
    std::process::exit(if all_well { 0 } else { 1 });
}

// === A host process ===

/// A host with the driver in C for a device on this way.
struct Host {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<FromHost>,
    documents: u64,
}

impl Host {
    fn start(plugin: &str, way: &str) -> Host {
        let mut child = Command::new("/host")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let (say, messages) = channel();
        std::thread::spawn(move || {
            while let Ok(message) = read_frame::<FromHost>(&mut output) {
                if say.send(message).is_err() {
                    return;
                }
            }
        });
        let mut host = Host { input: child.stdin.take(), child, messages, documents: 0 };
        host.tell(&ToHost::Start(Box::new(Start {
            peripheral: "desk".to_owned(),
            plugin: plugin.to_owned(),
            sha256: None,
            config: "{}".to_owned(),
            way: way.parse::<Way>().unwrap(),
            record: None,
        })));
        host.hear("the start", |message| match message {
            FromHost::Started { .. } => Some(()),
            FromHost::Refused { text, .. } => panic!("refused: {text}"),
            _ => None,
        });
        host
    }

    fn printer() -> Host {
        Host::start("/printer.so", USB)
    }

    fn tell(&mut self, message: &ToHost) {
        write_frame(self.input.as_mut().unwrap(), message).unwrap();
    }

    fn hear<T>(&self, what: &str, mut wanted: impl FnMut(FromHost) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self
                .messages
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("{what}: {error}; {}", self.place()));
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Where in the kernel its threads are: a host that waits there for ever is not to blame.
    fn place(&self) -> String {
        let threads =
            std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let stack =
            |path: std::path::PathBuf| std::fs::read_to_string(path.join("stack")).unwrap_or_default();
        threads.map(|thread| format!("a thread of the host is at\n{}", stack(thread.path()))).collect()
    }

    fn begin(&mut self, ops: Vec<Op<'static>>, timeout: Duration) {
        self.documents += 1;
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap();
        self.tell(&ToHost::Run { id: self.documents, ops, timeout_ms });
    }

    fn ran(&self) -> Report {
        self.hear("the report", |message| match message {
            FromHost::Ran { report, .. } => Some(report),
            _ => None,
        })
    }

    fn run(&mut self, ops: Vec<Op<'static>>) -> Report {
        self.begin(ops, Duration::from_secs(10));
        self.ran()
    }

    fn status(&mut self) -> Result<Status, Fault> {
        self.tell(&ToHost::Status { id: 0, timeout_ms: 5_000 });
        self.hear("the status", |message| match message {
            FromHost::StatusIs { status, .. } => Some(status),
            _ => None,
        })
    }

    /// Stops it and waits for its end: its device is free then.
    fn stop(mut self) {
        self.tell(&ToHost::Stop);
        drop(self.input.take());
        wait_for("the host to end", || self.child.try_wait().unwrap());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(lines: &[&str]) -> Vec<Op<'static>> {
    lines.iter().flat_map(|line| [Op::Text((*line).to_owned().into()), Op::Newline]).collect()
}

/// A document of many lines, no two alike, and its bytes.
fn long(lines: usize) -> (Vec<Op<'static>>, Vec<u8>) {
    let lines: Vec<String> =
        (0..lines).map(|line| format!("line {line:06} of a long document, to be exact")).collect();
    let bytes = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
    (lines.iter().flat_map(|line| [Op::Text(line.clone().into()), Op::Newline]).collect(), bytes)
}

// === The device's side ===

/// Reads what comes to the gadget, over unplugging and plugging in again.
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn of(node: &'static str) -> Reader {
        let (bytes, stop): (Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>) = Default::default();
        let (kept, ended) = (Arc::clone(&bytes), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut file = None;
            let mut room = [0; REQUEST_BYTES];
            while !ended.load(Ordering::SeqCst) {
                let read = match &mut file {
                    None => {
                        file = open(node).ok();
                        Ok(0)
                    }
                    Some(file) => File::read(file, &mut room),
                };
                match read {
                    Ok(0) => std::thread::sleep(LOOK),
                    Ok(n) => kept.lock().extend_from_slice(&room[..n]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(LOOK),
                    Err(_) => file = None,
                }
            }
        });
        Reader { bytes, stop, thread: Some(thread) }
    }

    /// Waits until it has so many bytes, and looks a while longer: there must not be more.
    fn exactly(&self, wanted: &[u8]) {
        wait_for(&format!("{} bytes", wanted.len()), || {
            (self.bytes.lock().len() >= wanted.len()).then_some(())
        });
        std::thread::sleep(Duration::from_millis(200));
        let bytes = self.bytes.lock();
        let same = bytes.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        assert!(
            *bytes == wanted,
            "{} bytes came for {}; the first {same} are the same",
            bytes.len(),
            wanted.len()
        );
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(node: &str) -> std::io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(node)
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// Makes the gadget's functions new and binds it to the port. New each time: the kernel's printer function (6.1) keeps
/// what it believed of its requests over unplugging, which frees them, and dies of it sooner or later.
fn plug_in() {
    std::fs::create_dir(format!("{GADGET}/functions/printer.0")).unwrap();
    let id = "MFG:Gatehouse;MDL:Gadget;CMD:ESCPOS;CLS:PRINTER;";
    std::fs::write(format!("{GADGET}/functions/printer.0/pnp_string"), id).unwrap();
    std::fs::create_dir(format!("{GADGET}/functions/acm.0")).unwrap();
    for function in FUNCTIONS {
        let (from, to) =
            (format!("{GADGET}/functions/{function}"), format!("{GADGET}/configs/c.1/{function}"));
        std::os::unix::fs::symlink(from, to).unwrap();
    }
    let port = std::fs::read_dir("/sys/class/udc").unwrap().next().unwrap().unwrap().file_name();
    wait_for("the port to be free", || std::fs::write(format!("{GADGET}/UDC"), port.as_encoded_bytes()).ok());
    wait_for(LP, || Path::new(LP).exists().then_some(()));
    set_port(WELL);
}

fn pull_out() {
    std::fs::write(format!("{GADGET}/UDC"), "\n").unwrap();
    for function in FUNCTIONS {
        std::fs::remove_file(format!("{GADGET}/configs/c.1/{function}")).unwrap();
        wait_for("the function to be let go", || {
            std::fs::remove_dir(format!("{GADGET}/functions/{function}")).ok()
        });
    }
}

/// The port status the gadget answers with from now on. One program at a time may have its node.
fn set_port(bits: &str) {
    let node = wait_for(PAPER, || open(PAPER).ok());
    let set = Command::new("/gadget").args(["port", bits]).stdin(node).status().unwrap();
    assert!(set.success(), "the port status: {set}");
}

/// The device's node below /dev/bus/usb.
fn bus_node() -> String {
    let number = |file: &str| -> u32 {
        std::fs::read_to_string(format!("/sys/bus/usb/devices/1-1/{file}")).unwrap().trim().parse().unwrap()
    };
    format!("/dev/bus/usb/{:03}/{:03}", number("busnum"), number("devnum"))
}

/// Claims the printer's interface as a program does that asks nobody: the system's error number.
fn claim() -> Option<i32> {
    Command::new("/gadget").args(["claim", &bus_node(), "0"]).status().unwrap().code()
}

// === The cases ===

fn plugged_in() {
    plug_in();
    assert!(Path::new(PAPER).exists());
    wait_for("/dev/ttyACM0", || Path::new("/dev/ttyACM0").exists().then_some(()));
    let reader = Reader::of(PAPER);
    File::options().write(true).open(LP).unwrap().write_all(b"by the kernel's own driver\n").unwrap();
    reader.exactly(b"by the kernel's own driver\n");
}

fn busy_while_the_kernel_has_it() {
    assert_eq!(claim(), Some(16), "usblp has it: EBUSY is expected");
}

fn taken_and_given_back() {
    let reader = Reader::of(PAPER);
    let mut host = Host::printer();
    let report = host.run(text(&["Gate 7"]));
    assert_eq!((report.done, report.fault, report.bytes_sent), (Done::Sent, None, 7), "{report:?}");
    // A carriage return is how this driver brings its device into a known state.
    reader.exactly(b"\rGate 7\n");
    assert!(!Path::new(LP).exists(), "usblp has it still");
    host.stop();
    wait_for("usblp to have it again", || Path::new(LP).exists().then_some(()));
}

fn byte_for_byte() {
    let reader = Reader::of(PAPER);
    let (ops, bytes) = long(4_000);
    let mut host = Host::printer();
    let report = host.run(ops);
    assert_eq!((report.done, report.bytes_sent), (Done::Sent, bytes.len() as u64), "{report:?}");
    reader.exactly(&[b"\r".as_slice(), &bytes].concat());
    host.stop();
}

fn second_host() {
    let _reader = Reader::of(PAPER);
    let mut first = Host::printer();
    assert_eq!(first.run(text(&["first"])).done, Done::Sent);
    let mut second = Host::printer();
    let report = second.run(text(&["second"]));
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Busy)), "{report:?}");
    first.stop();
    let report = second.run(text(&["second"]));
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{report:?}");
    second.stop();
}

fn device_id() {
    let _reader = Reader::of(PAPER);
    let mut host = Host::printer();
    host.tell(&ToHost::Probe { id: 1, timeout_ms: 5_000 });
    let found = host.hear("the probe", |message| match message {
        FromHost::Probed { found, .. } => Some(found),
        _ => None,
    });
    let found = found.unwrap();
    // The gadget's answer is as long as the text, and its first two bytes are the length: two are cut off at its end.
    assert!(found.contains("MFG:Gatehouse;MDL:Gadget;CMD:ESCPOS;CLS:PRINT"), "{found}");
    host.stop();
}

fn out_of_paper() {
    set_port(PAPER_OUT);
    let mut host = Host::printer();
    {
        let reader = Reader::of(PAPER);
        let report = host.run(text(&["Gate 7"]));
        assert_eq!((report.done, report.fault), (Done::None, Some(Fault::PaperOut)), "{report:?}");
        assert!(host.status().unwrap().has(Status::PAPER_OUT));
        // Only what the driver asks and how it begins: no byte that prints.
        let came: Vec<u8> = reader.bytes.lock().clone();
        assert!(came.iter().all(|byte| matches!(byte, b'\r' | 0x05)), "{came:?}");
    }
    set_port(WELL);
    let reader = Reader::of(PAPER);
    let report = host.run(text(&["Gate 7"]));
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{report:?}");
    reader.exactly(b"Gate 7\n");
    host.stop();
}

fn status_byte() {
    let mut node = wait_for(PAPER, || open(PAPER).ok());
    let mut host = Host::printer();
    // Nobody has asked yet: the byte waits in the gadget until the driver reads.
    wait_for("room for a byte to send", || node.write(&[1]).ok());
    let status = host.status().unwrap();
    assert!(status.has(Status::PAPER_LOW) && status.has(Status::ONLINE), "{status}");
    host.stop();
    drop(node);
    // What the driver asked is still in the gadget: nobody is to find it on the next paper.
    drain();
}

/// Empties the gadget: takes what it holds until nothing came for a while.
fn drain() {
    const SILENCE: Duration = Duration::from_millis(300);
    let reader = Reader::of(PAPER);
    let mut last = (0, Instant::now());
    wait_for("the gadget to be empty", || {
        let now = reader.bytes.lock().len();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > SILENCE).then_some(())
    });
}

fn jam() {
    let mut host = Host::printer();
    // More than the gadget keeps (ten requests of 8 KiB) and nobody takes it.
    let (ops, bytes) = long(4_000);
    host.begin(ops, Duration::from_secs(3));
    let report = host.ran();
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)), "{report:?}");
    assert!(report.bytes_sent > 0 && report.bytes_sent < bytes.len() as u64, "{report:?}");
    drain();
    let reader = Reader::of(PAPER);
    let report = host.run(text(&["after the jam"]));
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{report:?}");
    wait_for("the next document", || reader.bytes.lock().ends_with(b"after the jam\n").then_some(()));
    host.stop();
}

fn pulled_out() {
    let mut host = Host::printer();
    let (ops, bytes) = long(4_000);
    host.begin(ops, Duration::from_secs(15));
    // The first lines have to be out; as nobody reads on, the last ones cannot be.
    let mut node = wait_for(PAPER, || open(PAPER).ok());
    let (mut room, mut came) = ([0; REQUEST_BYTES], Vec::new());
    wait_for("the beginning", || {
        let n = node.read(&mut room).unwrap_or(0);
        came.extend_from_slice(&room[..n]);
        came.windows(4).any(|part| part == b"line").then_some(())
    });
    drop(node);
    pull_out();
    let report = host.ran();
    assert_eq!(report.done, Done::Unknown, "{report:?}");
    assert!(matches!(report.fault, Some(Fault::Gone | Fault::Io)), "{report:?}");
    assert!(report.bytes_sent > 0 && report.bytes_sent < bytes.len() as u64, "{report:?}");
    let report = host.run(text(&["nobody there"]));
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Gone)), "{report:?}");
    plug_in();
    let reader = Reader::of(PAPER);
    let report = host.run(text(&["back again"]));
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{report:?}");
    wait_for("the document after it", || reader.bytes.lock().ends_with(b"back again\n").then_some(()));
    host.stop();
}

fn printer_node() {
    let reader = Reader::of(PAPER);
    let mut host = Host::start("/printer.so", &format!("lp:{LP}"));
    let (ops, bytes) = long(500);
    let report = host.run(ops);
    assert_eq!((report.done, report.bytes_sent), (Done::Sent, bytes.len() as u64), "{report:?}");
    reader.exactly(&[b"\r".as_slice(), &bytes].concat());
    host.stop();
}

fn display() {
    wait_for("/dev/ttyACM0", || Path::new("/dev/ttyACM0").exists().then_some(()));
    // The gadget's side is a terminal: raw, or it would echo what it reads and change line ends.
    let raw = Command::new("/bin/stty").args(["-F", GLASS, "raw", "-echo"]).status().unwrap();
    assert!(raw.success(), "stty: {raw}");
    let reader = Reader::of(GLASS);
    let mut host = Host::start("/display.so", "serial:/dev/ttyACM0?baud=9600");
    let ops = vec![
        Op::Line { line: 1, text: "Gate 7".into() },
        Op::Line { line: 2, text: "Welcome, \u{1b}=\u{4} guest".into() },
    ];
    let report = host.run(ops);
    assert_eq!((report.done, report.fault), (Done::Sent, None), "{report:?}");
    reader.exactly(b"\x0cGate 7\nWelcome, ?=? guest\n");
    host.stop();
}
