//! Label and ticket printers that speak ZPL II (Zebra and many others). Texts, codes and pictures go out as graphic
//! fields, so that any script prints and a preview is what comes out; `~HS` tells how the printer is. Opens nothing.

use driver_sdk::placed::{Placed, Sheet, place};
use driver_sdk::{
    Broken, Capabilities, Deadline, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Proof, Report,
    Status, export_driver,
};
use serde::Deserialize;
use std::fmt::Write as _;
use std::time::Duration;

/// `~HS` is answered within so long.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Between two questions while a ticket prints.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Three strings of at most 40 bytes, and what is between them.
const STATUS_BYTES_MAX: usize = 256;

/// The driver.
pub struct Zpl {
    config: Config,
    host: Host,
}

/// Its settings.
#[derive(Deserialize, Debug)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Of the label, in dots.
    width: u16,
    /// Of the label, in dots.
    height: u16,
    dpi: u16,
    /// How many times 24 dots a text is high.
    scale: u8,
    /// Does it answer `~HS`?
    status: bool,
    cuts: bool,
}

impl Config {
    fn sheet(&self) -> Sheet {
        Sheet { width: self.width, height: self.height, scale: self.scale, dpi: self.dpi }
    }
}

impl Default for Config {
    fn default() -> Config {
        // 4 by 2 inches at 203 dpi.
        Config { width: 812, height: 406, dpi: 203, scale: 1, status: true, cuts: false }
    }
}

const CONFIG_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"width":{"type":"integer","minimum":64,"maximum":4096,"default":812,"title":"width of the label in dots"},
"height":{"type":"integer","minimum":64,"maximum":8192,"default":406,"title":"height of the label in dots"},
"dpi":{"type":"integer","enum":[203,300,600],"default":203},
"scale":{"type":"integer","minimum":1,"maximum":4,"default":1,"title":"how many times 24 dots a text is high"},
"status":{"type":"boolean","default":true,"title":"the printer answers ~HS"},
"cuts":{"type":"boolean","default":false,"title":"it has a cutter (^MMC)"}}}"#;

impl Driver for Zpl {
    const INFO: Info = Info {
        id: "zpl",
        name: "Label printer (ZPL)",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Printer,
        match_json: r#"{"usb":[{"vendor":"0a5f"}],"ieee1284":{"CMD":["ZPL"]}}"#,
        config_schema: CONFIG_SCHEMA,
    };

    fn create(host: Host, config: &str) -> Result<Zpl, Fault> {
        let config: Config = driver_sdk::settings(config).map_err(|error| {
            host.log(Level::Error, &format!("zpl: {error}"));
            Fault::Config
        })?;
        config.sheet().check().map_err(|error| {
            host.log(Level::Error, &format!("zpl: {error}"));
            Fault::Config
        })?;
        Ok(Zpl { config, host })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            cuts: self.config.cuts,
            proof: if self.config.status { Proof::Polled } else { Proof::None },
            status: self.config.status,
            ..self.config.sheet().capabilities("zpl")
        }
    }

    fn probe(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<serde_json::Value, Fault> {
        let state = HostStatus::ask(link, timeout)?;
        Ok(serde_json::json!({"language": "zpl", "status": state.status().to_string()}))
    }

    fn status(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<Status, Fault> {
        if !self.config.status {
            return Ok(Status::UNKNOWN);
        }
        HostStatus::ask(link, timeout).map(|state| state.status())
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        let deadline = Deadline::after(timeout);
        let sheet = self.config.sheet();
        let labels = match place(self.host.as_ref(), ops, sheet) {
            Ok(labels) => labels,
            Err(wrong) => {
                let text = format!("piece {} of the document: {}", wrong.index + 1, wrong.text);
                return Report::broken(Done::None, wrong.fault, text);
            }
        };
        if self.config.status {
            match HostStatus::ask(link, deadline.at_most(ANSWER_MAX)) {
                Ok(state) => {
                    let status = state.status();
                    if let Some(fault) = status.fault() {
                        return Report { status, ..Report::broken(Done::None, fault, fault.words()) };
                    }
                }
                Err(fault) => return Report::broken(Done::None, fault, "~HS was not answered"),
            }
        }
        let bytes: String = labels.iter().map(|label| encode(label, sheet, self.config.cuts)).collect();
        if let Err(Broken { fault, written }) = link.write(bytes.as_bytes(), deadline.left()) {
            let done = if written == 0 { Done::None } else { Done::Unknown };
            return Report::broken(done, fault, fault.words());
        }
        if !self.config.status {
            return Report::well(Done::Sent, ops.len());
        }
        self.follow(link, ops.len(), deadline)
    }
}

impl Zpl {
    /// Asks until nothing is left to print or something is wrong. The printer's own count proves nothing: it does not
    /// know what is still on the wire.
    fn follow(&self, link: &mut dyn Link, ops: usize, deadline: Deadline) -> Report {
        loop {
            // The host ends this wait where it has to; the printer says nothing unasked.
            let _ = link.read(&mut [0; STATUS_BYTES_MAX], deadline.at_most(POLL_EVERY));
            match HostStatus::ask(link, deadline.at_most(ANSWER_MAX)) {
                Ok(state) => {
                    let status = state.status();
                    if let Some(fault) = status.fault() {
                        let text = format!("{fault} while printing: look whether the ticket came out");
                        return Report { status, ..Report::broken(Done::Unknown, fault, text) };
                    }
                    if state.waiting == 0 {
                        return Report { status, ..Report::well(Done::Sent, ops) };
                    }
                }
                Err(fault) => {
                    let text = "the printer stopped answering while printing: look";
                    return Report::broken(Done::Unknown, fault, text);
                }
            }
        }
    }
}

/// What `~HS` tells, of its three strings (ZPL II programming guide, "Host Status Return").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HostStatus {
    paper_out: bool,
    paused: bool,
    head_up: bool,
    ribbon_out: bool,
    hot: bool,
    /// Formats in the receive buffer and labels that remain of a batch.
    waiting: u32,
}

impl HostStatus {
    fn ask(link: &mut dyn Link, timeout: Duration) -> Result<HostStatus, Fault> {
        let deadline = Deadline::after(timeout);
        link.ask(b"~HS", deadline.left())?;
        let mut bytes = Vec::new();
        let mut piece = [0; STATUS_BYTES_MAX];
        while bytes.iter().filter(|byte| **byte == 0x03).count() < 3 {
            let n = link.read(&mut piece, deadline.left())?;
            bytes.extend_from_slice(&piece[..n]);
            if bytes.len() > STATUS_BYTES_MAX {
                return Err(Fault::Protocol);
            }
        }
        HostStatus::parse(&bytes).ok_or(Fault::Protocol)
    }

    fn parse(bytes: &[u8]) -> Option<HostStatus> {
        let strings: Vec<Vec<&str>> = bytes
            .split(|byte| *byte == 0x02)
            .skip(1)
            .map(|string| {
                let end = string.iter().position(|byte| *byte == 0x03)?;
                Some(std::str::from_utf8(&string[..end]).ok()?.split(',').map(str::trim).collect())
            })
            .collect::<Option<_>>()?;
        let (first, second) = (strings.first()?, strings.get(1)?);
        let flag = |fields: &[&str], index: usize| Some(*fields.get(index)? != "0");
        Some(HostStatus {
            paper_out: flag(first, 1)?,
            paused: flag(first, 2)?,
            head_up: flag(second, 2)?,
            ribbon_out: flag(second, 3)?,
            hot: flag(first, 11)?,
            waiting: first.get(4)?.parse::<u32>().ok()? + second.get(8)?.parse::<u32>().ok()?,
        })
    }

    fn status(self) -> Status {
        let faults = [
            (self.paper_out || self.ribbon_out, Status::PAPER_OUT),
            (self.head_up, Status::COVER_OPEN),
            (self.hot, Status::HOT),
        ];
        let bad = faults.iter().filter(|(on, _)| *on).fold(Status(0), |bits, (_, bit)| bits.with(*bit));
        let busy = if self.waiting > 0 { Status::BUSY } else { Status(0) };
        if bad == Status(0) && !self.paused { Status::ONLINE.with(busy) } else { bad }
    }
}

/// A label's text: each piece a graphic field at its place.
fn encode(label: &[Placed], sheet: Sheet, cuts: bool) -> String {
    let mut out = format!("^XA^PW{}^LL{}^LH0,0", sheet.width, sheet.height);
    if cuts {
        out.push_str("^MMC");
    }
    for placed in label {
        let (bytes, row) = (placed.raster.dots.len(), placed.raster.row_bytes);
        // The hex digits are written where they are, not one string for each byte.
        let _ = write!(out, "^FO{},{}^GFA,{bytes},{bytes},{row},", placed.x, placed.y);
        for byte in &placed.raster.dots {
            let _ = write!(out, "{byte:02X}");
        }
        out.push_str("^FS");
    }
    out.push_str("^XZ\n");
    out
}

export_driver!(Zpl);
