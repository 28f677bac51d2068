//! Boca ticket printers, which speak FGL ("Friendly Ghost Language", Boca's FGL46 programming guide). A ticket goes out
//! as dots in strips of eight rows, so that any script prints; the printer tells one byte for each ticket. Opens
//! nothing.

use driver_sdk::placed::{Placed, Sheet, place};
use driver_sdk::{
    Broken, Capabilities, Deadline, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Proof, Report,
    Status, export_driver,
};
use serde::Deserialize;
use std::time::Duration;

/// Rows of one strip: a byte of graphics is eight dots, the highest bit on top.
const STRIP_ROWS: usize = 8;
/// A run of white columns shorter than this costs less as white dots than as a new position.
const GAP_MAX: usize = 16;
/// Stale bytes are waited for so long before a ticket.
const STALE_MAX: Duration = Duration::from_millis(20);

/// The driver.
pub struct Fgl {
    config: Config,
    host: Host,
    /// As the printer told it last.
    status: Status,
}

/// Its settings.
#[derive(Deserialize, Debug)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Of the ticket, in dots.
    width: u16,
    /// Of the ticket, in dots.
    height: u16,
    dpi: u16,
    /// How many times 24 dots a text is high.
    scale: u8,
    /// Does the printer tell a byte for each ticket? It is a setting of the printer.
    acknowledges: bool,
    cuts: bool,
}

impl Config {
    fn sheet(&self) -> Sheet {
        Sheet { width: self.width, height: self.height, scale: self.scale, dpi: self.dpi }
    }
}

impl Default for Config {
    fn default() -> Config {
        // A ticket of 5.5 by 2 inches at 203 dpi.
        Config { width: 1_050, height: 384, dpi: 203, scale: 1, acknowledges: true, cuts: true }
    }
}

const CONFIG_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"width":{"type":"integer","minimum":64,"maximum":4096,"default":1050,"title":"width of the ticket in dots"},
"height":{"type":"integer","minimum":64,"maximum":8192,"default":384,"title":"height of the ticket in dots"},
"dpi":{"type":"integer","enum":[203,300,600],"default":203},
"scale":{"type":"integer","minimum":1,"maximum":4,"default":1,"title":"how many times 24 dots a text is high"},
"acknowledges":{"type":"boolean","default":true,"title":"the printer is set to tell a byte for each ticket"},
"cuts":{"type":"boolean","default":true}}}"#;

impl Driver for Fgl {
    const INFO: Info = Info {
        id: "fgl",
        name: "Boca ticket printer (FGL)",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Printer,
        match_json: r#"{"ieee1284":{"CMD":["FGL"]}}"#,
        config_schema: CONFIG_SCHEMA,
    };

    fn create(host: Host, config: &str) -> Result<Fgl, Fault> {
        let config: Config = driver_sdk::settings(config).map_err(|error| {
            host.log(Level::Error, &format!("fgl: {error}"));
            Fault::Config
        })?;
        config.sheet().check().map_err(|error| {
            host.log(Level::Error, &format!("fgl: {error}"));
            Fault::Config
        })?;
        Ok(Fgl { config, host, status: Status::UNKNOWN })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            cuts: self.config.cuts,
            proof: if self.config.acknowledges { Proof::Job } else { Proof::None },
            ..self.config.sheet().capabilities("fgl")
        }
    }

    fn status(&mut self, link: &mut dyn Link, _timeout: Duration) -> Result<Status, Fault> {
        self.listen(link)?;
        Ok(self.status)
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        let deadline = Deadline::after(timeout);
        let sheet = self.config.sheet();
        let tickets = match place(self.host.as_ref(), ops, sheet) {
            Ok(tickets) => tickets,
            Err(wrong) => {
                let text = format!("piece {} of the document: {}", wrong.index + 1, wrong.text);
                return Report::broken(Done::None, wrong.fault, text);
            }
        };
        // What the printer told before is not this ticket's.
        if let Err(fault) = self.listen(link) {
            return Report::broken(Done::None, fault, "");
        }
        if let Some(fault) = self.status.fault() {
            return Report { status: self.status, ..Report::broken(Done::None, fault, fault.words()) };
        }
        let mut report = Report::well(Done::None, ops.len());
        for (index, ticket) in tickets.iter().enumerate() {
            let bytes = encode(ticket, sheet, self.config.cuts);
            report = self.print(link, &bytes, deadline);
            report.ops_done = ops.len();
            if report.fault.is_some() {
                report.ops_done = 0;
                if index > 0 {
                    report.done = Done::Unknown;
                    report.text = format!("{} of {} tickets: {}", index, tickets.len(), report.text);
                }
                return report;
            }
        }
        report
    }

    fn tick(&mut self, link: &mut dyn Link) -> Result<Option<Duration>, Fault> {
        let before = self.status;
        self.listen(link)?;
        if self.status != before {
            self.host.status_changed(self.status);
        }
        Ok(Some(Duration::from_secs(1)))
    }

    fn reset(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<(), Fault> {
        self.status = Status::UNKNOWN;
        // Whatever a broken ticket left behind is forgotten.
        link.ask(b"<CB>", timeout)
    }
}

impl Fgl {
    /// One ticket, and what the printer says to it.
    fn print(&mut self, link: &mut dyn Link, bytes: &[u8], deadline: Deadline) -> Report {
        if let Err(Broken { fault, written }) = link.write(bytes, deadline.left()) {
            let done = if written == 0 { Done::None } else { Done::Unknown };
            return Report { status: self.status, ..Report::broken(done, fault, fault.words()) };
        }
        if !self.config.acknowledges {
            return Report { status: self.status, ..Report::well(Done::Sent, 0) };
        }
        let mut byte = [0];
        loop {
            match link.read(&mut byte, deadline.left()) {
                Ok(_) => {}
                Err(fault) => {
                    let text = "the printer did not say whether it printed: look";
                    return Report { status: self.status, ..Report::broken(Done::Unknown, fault, text) };
                }
            }
            let meaning = meaning(byte[0]);
            self.status = meaning.status(self.status);
            match meaning {
                Meaning::Acknowledged => {
                    return Report { status: self.status, ..Report::well(Done::Confirmed, 0) };
                }
                Meaning::Fault(fault, _) => {
                    return Report {
                        status: self.status,
                        native_code: byte[0].into(),
                        ..Report::broken(
                            Done::Unknown,
                            fault,
                            format!("{fault}: look whether the ticket came out"),
                        )
                    };
                }
                Meaning::Nothing | Meaning::Ready | Meaning::PaperLow => {}
            }
        }
    }

    /// Takes what the printer said by itself.
    fn listen(&mut self, link: &mut dyn Link) -> Result<(), Fault> {
        let mut bytes = [0; 64];
        loop {
            match link.read(&mut bytes, STALE_MAX) {
                Ok(n) => bytes[..n].iter().for_each(|byte| self.status = meaning(*byte).status(self.status)),
                Err(Fault::Timeout) => return Ok(()),
                // A file or a one-way line tells nothing.
                Err(Fault::Unsupported) => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// What a byte of the printer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Acknowledged,
    Ready,
    PaperLow,
    Fault(Fault, Status),
    Nothing,
}

impl Meaning {
    fn status(self, before: Status) -> Status {
        match self {
            Meaning::Acknowledged | Meaning::Ready => Status::ONLINE,
            Meaning::PaperLow => Status::ONLINE.with(Status::PAPER_LOW),
            Meaning::Fault(_, status) => status,
            Meaning::Nothing => before,
        }
    }
}

/// The printer's status bytes: the programming guide's table of responses.
fn meaning(byte: u8) -> Meaning {
    match byte {
        5 | 6 => Meaning::Acknowledged,
        12 | 13 | 17 | 18 => Meaning::Ready,
        1 | 15 | 22 => Meaning::PaperLow,
        10 | 11 | 16 => Meaning::Fault(Fault::PaperOut, Status::PAPER_OUT),
        3 | 4 | 24 | 30 => Meaning::Fault(Fault::Jam, Status::JAM),
        29 | 31 => Meaning::Fault(Fault::Cutter, Status::CUTTER),
        2 => Meaning::Fault(Fault::Jam, Status::JAM),
        20 | 21 | 25 => Meaning::Fault(Fault::Protocol, Status::ONLINE),
        23 => Meaning::Fault(Fault::Offline, Status(0)),
        _ => Meaning::Nothing,
    }
}

/// A ticket's bytes: strips of eight rows, only where something is black.
fn encode(ticket: &[Placed], sheet: Sheet, cuts: bool) -> Vec<u8> {
    let (width, height) = (usize::from(sheet.width), usize::from(sheet.height));
    let strips = height.div_ceil(STRIP_ROWS);
    // A byte for each column of each strip.
    let mut columns = vec![0_u8; strips * width];
    for placed in ticket {
        let row_bytes = placed.raster.row_bytes;
        for (row, bytes) in placed.raster.dots.chunks(row_bytes.max(1)).enumerate() {
            let y = placed.y + row;
            for x in (0..row_bytes * 8).filter(|x| bytes[x / 8] & (0x80 >> (x % 8)) != 0) {
                if placed.x + x < width && y < height {
                    columns[y / STRIP_ROWS * width + placed.x + x] |= 0x80 >> (y % STRIP_ROWS);
                }
            }
        }
    }
    let mut out = Vec::new();
    for (strip, columns) in columns.chunks(width).enumerate() {
        for (x, run) in runs(columns) {
            out.extend_from_slice(format!("<RC{},{x}><G{}>", strip * STRIP_ROWS, run.len()).as_bytes());
            out.extend_from_slice(run);
        }
    }
    out.extend_from_slice(if cuts { b"<p>" } else { b"<q>" });
    out
}

/// The black runs of a strip, with short white gaps in them.
fn runs(columns: &[u8]) -> Vec<(usize, &[u8])> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (x, _) in columns.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        match runs.last_mut() {
            Some((_, end)) if x - *end < GAP_MAX => *end = x + 1,
            _ => runs.push((x, x + 1)),
        }
    }
    runs.into_iter().map(|(start, end)| (start, &columns[start..end])).collect()
}

export_driver!(Fgl);
