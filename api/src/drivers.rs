//! The commands about drivers: which there are, what a device says, what a print looks like. Each asks a driver host of
//! its own, so that a bad driver ends that and not this. Knows no running server.

use crate::cli::{DeviceAt, DriversCommand, Preview};
use crate::config::{Config, Mistakes};
use crate::peripherals::{HOST_PROGRAM, drivers_dir};
use anyhow::{Context, bail, ensure};
use comfy_table::Table;
use documents::{Template, Values};
use driver_frames::{
    Align, Capabilities, Cut, Done, FromHost, Kind, Op, PluginInfo, Report, Start, Style, ToHost, Way,
    read_frame, write_frame,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A driver's file says what it is within this.
const INSPECT_MAX: Duration = Duration::from_secs(10);
/// A device answers, or prints a page, within this.
const DEVICE_MAX: Duration = Duration::from_secs(30);
/// Files of drivers begin and end so.
const FILE_PREFIX: &str = "libdriver_";
const FILE_SUFFIX: &str = ".so";

/// Runs a command; exit code 1 says that something was found wrong.
///
/// # Errors
/// What keeps it from being run.
pub fn run(config: &Config, command: &DriversCommand) -> anyhow::Result<u8> {
    let dir = drivers_dir(config)?;
    match command {
        DriversCommand::List => list(&dir),
        DriversCommand::Inspect { driver } => inspect(&dir, driver),
        DriversCommand::Probe(at) => probe(&dir, at),
        DriversCommand::TestPrint(at) => test_print(&dir, at),
        DriversCommand::Preview(options) => preview(&dir, options),
    }
}

/// The file of a driver, by its name or as it is.
fn driver_file(dir: &Path, driver: &str) -> PathBuf {
    if driver.contains('/') {
        return PathBuf::from(driver);
    }
    dir.join(format!("{FILE_PREFIX}{}{FILE_SUFFIX}", driver.replace('-', "_")))
}

fn list(dir: &Path) -> anyhow::Result<u8> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("look into {}", dir.display()))?;
    let is_driver = |name: &str| name.starts_with(FILE_PREFIX) && name.ends_with(FILE_SUFFIX);
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_driver))
        .collect();
    files.sort();
    ensure!(
        !files.is_empty(),
        "there is no driver in {}; name another directory with --drivers-dir",
        dir.display()
    );
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["driver", "drives", "what it is", "version", "ABI"]);
    let mut code = 0;
    for file in files {
        match inspected(dir, &file) {
            Ok(info) => {
                let field = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
                table.add_row(["id", "kind", "name", "version", "abi"].map(field));
            }
            Err(error) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                table.add_row([name, String::new(), format!("cannot be used: {error:#}")]);
                code = 1;
            }
        }
    }
    println!("{table}");
    Ok(code)
}

fn inspect(dir: &Path, driver: &str) -> anyhow::Result<u8> {
    let info = inspected(dir, &driver_file(dir, driver))?;
    println!("{}", serde_json::to_string_pretty(&info)?);
    Ok(0)
}

/// What a driver's file says, asked in a process that may die of it.
fn inspected(dir: &Path, file: &Path) -> anyhow::Result<Value> {
    let host = dir.join(HOST_PROGRAM);
    let mut child = Command::new(&host)
        .arg("--inspect")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", host.display()))?;
    let until = Instant::now() + INSPECT_MAX;
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            bail!("it did not say what it is within {} s", INSPECT_MAX.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().next().unwrap_or("it ended without a word");
    ensure!(output.status.success(), "{}", reason.trim_start_matches("Error: "));
    serde_json::from_slice(&output.stdout).context("read what it says")
}

fn probe(dir: &Path, at: &DeviceAt) -> anyhow::Result<u8> {
    let mut host = OneHost::start(dir, at)?;
    host.tell(&ToHost::Probe { id: 1, timeout_ms: DEVICE_MAX.as_millis() as u32 })?;
    loop {
        match host.hear()? {
            FromHost::Probed { found: Ok(json), .. } => {
                let value: Value = serde_json::from_str(&json).context("read what the device says")?;
                println!("{}", serde_json::to_string_pretty(&value)?);
                return Ok(0);
            }
            FromHost::Probed { found: Err(fault), .. } => {
                eprintln!("the device does not say what it is: {fault}{}", host.why());
                return Ok(1);
            }
            _ => {}
        }
    }
}

fn test_print(dir: &Path, at: &DeviceAt) -> anyhow::Result<u8> {
    let mut host = OneHost::start(dir, at)?;
    let ops = match host.info.kind {
        Kind::Printer => test_page(&host.info, &host.capabilities, &at.connection),
        Kind::Display => test_text(&host.info),
    };
    let report = host.run(ops)?;
    let words = match report.done {
        Done::Confirmed => "printed: the device confirmed it",
        Done::Sent => "sent; the device does not say whether it came out: look",
        Done::None => "nothing was printed",
        Done::Unknown => "it broke in the middle and may have printed: look",
    };
    let fault = report.fault.map_or_else(String::new, |fault| format!(": {fault}"));
    let text = if report.text.is_empty() { String::new() } else { format!(" ({})", report.text) };
    println!("{words}{fault}{text}; {} bytes in {} ms", report.bytes_sent, report.took_ms);
    Ok(if matches!(report.done, Done::Confirmed | Done::Sent) { 0 } else { 1 })
}

/// Everything a receipt may have, with what it should look like beside it.
fn test_page(info: &PluginInfo, capabilities: &Capabilities, connection: &str) -> Vec<Op<'static>> {
    let text = |text: String| [Op::Text(text.into()), Op::Newline];
    let big = Style { bold: true, width: 2, height: 2, ..Style::default() };
    let columns = usize::from(capabilities.columns.max(1));
    let ruler: String = (1..=columns).map(|column| char::from(b'0' + (column % 10) as u8)).collect();
    let mut ops = vec![Op::Align(Align::Middle), Op::Style(big)];
    ops.extend(text("Gatehouse".to_owned()));
    ops.push(Op::Style(Style::default()));
    ops.extend(text(format!("{} {}", info.name, info.version)));
    ops.extend(text(connection.to_owned()));
    ops.extend([Op::Align(Align::Left), Op::Rule { double: false }]);
    ops.extend(text(format!("{columns} columns fill the line:")));
    ops.extend(text(ruler));
    ops.extend(text("Latin: Zürich, Ærø, Łódź, 5 €".to_owned()));
    ops.extend(text("Ελληνικά, Кириллица, 日本語".to_owned()));
    ops.extend([Op::Rule { double: true }, Op::Align(Align::Middle)]);
    ops.push(Op::Qr { data: b"GATEHOUSE-TEST".to_vec().into(), module: 0, correction: 1 });
    ops.extend(text("The code says GATEHOUSE-TEST".to_owned()));
    ops.extend([Op::Align(Align::Left), Op::Feed(3)]);
    if capabilities.cuts {
        ops.push(Op::Cut(Cut::Partial));
    }
    ops
}

fn test_text(info: &PluginInfo) -> Vec<Op<'static>> {
    let second = format!("{} {}", info.name, info.version);
    vec![Op::Clear, Op::Line { line: 1, text: "Gatehouse".into() }, Op::Line { line: 2, text: second.into() }]
}

/// Draws a template with the virtual device of its kind.
fn preview(dir: &Path, options: &Preview) -> anyhow::Result<u8> {
    let template = template(&options.template)?;
    let values = values(&template, &options.values)?;
    let picture = std::path::absolute(&options.output)?;
    // The virtual device appends, as a printer does.
    if let Err(error) = std::fs::remove_file(&picture)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("replace {}", picture.display()));
    }
    let (driver, driver_config) = match template.kind() {
        Kind::Printer => ("virtual", serde_json::json!({"form": "png", "dots": options.dots})),
        Kind::Display => ("virtual-display", serde_json::json!({"form": "png"})),
    };
    let at = DeviceAt {
        driver: driver.to_owned(),
        connection: format!("file:{}", picture.display()),
        driver_config: driver_config.to_string(),
    };
    let mut host = OneHost::start(dir, &at)?;
    let ops = template.render(&values, &host.capabilities);
    let report = host.run(ops)?;
    ensure!(
        report.done == Done::Confirmed || report.done == Done::Sent,
        "nothing was drawn: {}",
        report.text
    );
    println!("{}: {}, drawn in {}", template.name(), template.about(), picture.display());
    let steps = template.steps(&values, &host.capabilities).len();
    if steps > 1 {
        println!("the first of {steps} steps is drawn");
    }
    Ok(0)
}

/// A template by its file or its name.
fn template(name: &str) -> anyhow::Result<Template> {
    if let Some(template) = documents::built_in(name) {
        return Ok(template);
    }
    let path = Path::new(name);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let known: Vec<&str> = documents::BUILT_IN.iter().map(|(name, _)| *name).collect();
        Mistakes(vec![format!("{name}: {error}; the program's own templates are {}", known.join(", "))])
    })?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut template = Template::parse(&stem, &text).map_err(Mistakes)?;
    let logos: Vec<String> = template.logos().into_iter().map(str::to_owned).collect();
    for logo in logos {
        let beside = path.with_file_name(&logo);
        let png = std::fs::read(&beside).with_context(|| format!("read {}", beside.display()))?;
        template.set_logo(&logo, png).map_err(|why| Mistakes(vec![why]))?;
    }
    Ok(template)
}

/// What was set, and an example for every other field.
fn values(template: &Template, set: &[String]) -> anyhow::Result<Values> {
    let examples = template.fields().into_iter().map(|field| (field.to_owned(), example(field).to_owned()));
    let mut values: Values = examples.collect();
    for pair in set {
        let (field, value) = pair
            .split_once('=')
            .ok_or_else(|| Mistakes(vec![format!("--set {pair}: FIELD=VALUE is meant")]))?;
        if values.insert(field.to_owned(), value.to_owned()).is_none() {
            let fields: Vec<&str> = template.fields().into_iter().collect();
            let mistake = format!("--set {field}: the template has the fields {}", fields.join(", "));
            return Err(Mistakes(vec![mistake]).into());
        }
    }
    Ok(values)
}

fn example(field: &str) -> &'static str {
    match field {
        "holder" => "John Doe",
        "event" => "Demo Match",
        "venue" => "Demo Arena",
        "gate" => "ENTRANCE_01",
        "ticket_type" => "VIP",
        "ticket" | "code" => "DEMO-VIP-0001",
        "seat" => "Block A, row 12, seat 7",
        "price" => "45.00",
        "time" => "2026-12-01T19:05:00",
        "remaining" => "1",
        "inside" => "41,250",
        "message" => "Already used at ENTRANCE_04 at 18:52",
        // The template has words of its own.
        "footer" => "",
        "what_to_do" => "Please come to the help desk with an identity card.",
        _ => "Example",
    }
}

/// A driver host for one command.
struct OneHost {
    child: Child,
    input: ChildStdin,
    frames: Receiver<FromHost>,
    until: Instant,
    info: PluginInfo,
    capabilities: Capabilities,
    /// What was last said about the way to the device, or by the driver.
    said: String,
}

// === impl OneHost ===

impl OneHost {
    fn start(dir: &Path, at: &DeviceAt) -> anyhow::Result<OneHost> {
        let wrong = |mistake: String| anyhow::Error::from(Mistakes(vec![mistake]));
        let way: Way = at.connection.parse().map_err(|error| wrong(format!("--connection {error}")))?;
        let plugin = driver_file(dir, &at.driver);
        if !plugin.exists() {
            return Err(wrong(format!("--driver {}: there is no {}", at.driver, plugin.display())));
        }
        let program = dir.join(HOST_PROGRAM);
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the driver host has no pipes");
        };
        let (tell, frames) = channel();
        std::thread::spawn(move || {
            while let Ok(frame) = read_frame::<FromHost>(&mut output) {
                if tell.send(frame).is_err() {
                    break;
                }
            }
        });
        let start = Start {
            peripheral: at.driver.clone(),
            plugin: plugin.display().to_string(),
            sha256: None,
            config: at.driver_config.clone(),
            way,
            record: None,
        };
        write_frame(&mut input, &ToHost::Start(Box::new(start)))?;
        let until = Instant::now() + DEVICE_MAX + DEVICE_MAX;
        let (info, capabilities) = OneHost::started(&frames, until)?;
        Ok(OneHost { child, input, frames, until, info, capabilities, said: String::new() })
    }

    fn started(frames: &Receiver<FromHost>, until: Instant) -> anyhow::Result<(PluginInfo, Capabilities)> {
        loop {
            match next(frames, until)? {
                FromHost::Started { info, capabilities } => return Ok((*info, *capabilities)),
                FromHost::Refused { text, .. } => bail!("the driver cannot be used: {text}"),
                _ => {}
            }
        }
    }

    /// Prints or shows a document.
    fn run(&mut self, ops: Vec<Op<'static>>) -> anyhow::Result<Report> {
        self.tell(&ToHost::Run { id: 1, ops, timeout_ms: DEVICE_MAX.as_millis() as u32 })?;
        loop {
            if let FromHost::Ran { report, .. } = self.hear()? {
                return Ok(report);
            }
        }
    }

    fn tell(&mut self, message: &ToHost) -> anyhow::Result<()> {
        write_frame(&mut self.input, message).context("speak to the driver host")
    }

    fn hear(&mut self) -> anyhow::Result<FromHost> {
        let frame = next(&self.frames, self.until)?;
        match &frame {
            FromHost::Link { up: false, text } => text.clone_into(&mut self.said),
            FromHost::Log { level: 1 | 2, text } => eprintln!("{text}"),
            _ => {}
        }
        Ok(frame)
    }

    fn why(&self) -> String {
        if self.said.is_empty() { String::new() } else { format!(" ({})", self.said) }
    }
}

impl Drop for OneHost {
    fn drop(&mut self) {
        let _ = self.tell(&ToHost::Stop);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(frames: &Receiver<FromHost>, until: Instant) -> anyhow::Result<FromHost> {
    match frames.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(frame) => Ok(frame),
        Err(RecvTimeoutError::Timeout) => bail!("the driver host did not answer in time"),
        Err(RecvTimeoutError::Disconnected) => bail!("the driver host ended: the driver crashed it"),
    }
}
