//! Customer displays ("pole displays") of one to four lines, after their command sets: the driver keeps what the display
//! shows, sends differences, draws everything again each minute, and moves texts that are too long. Owns no device and
//! no clock: both are the host's.
//!
//! A display confirms nothing, so a document is `Sent` at most. It is never asked what it is either: the only question
//! there is (`1F 40`) writes its answer on the screen or starts a self test, in front of the guests.
//!
//! `sets` and `models` are the tables, `settings` what is configured of them, `wanted` what documents asked for, `paint`
//! how it gets there.

mod marquee;
mod models;
mod paint;
mod sets;
mod settings;
mod text;
mod wanted;

use driver_sdk::{
    Broken, Capabilities, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Report, Status,
    export_driver,
};
use paint::Picture;
use settings::Settings;
use std::time::Duration;
use text::Encoder;
use wanted::Wanted;

/// A step of a running text or a healing gets so long to leave: some 100 bytes, at 2,400 bits a second.
const TICK_MAX: Duration = Duration::from_secs(1);
/// After a step that did not leave, the next try.
const RETRY: Duration = Duration::from_secs(1);

/// The driver of one display.
pub struct PoleDisplay {
    host: Host,
    settings: Settings,
    encoder: Encoder,
    wanted: Wanted,
    /// What the display shows, as far as is known. `None`: a write broke, and everything has to be drawn.
    shown: Option<Picture>,
    /// When everything was drawn last.
    drawn_at: Duration,
}

impl Driver for PoleDisplay {
    const INFO: Info = Info {
        id: "pole-display",
        name: "Pole display",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Display,
        match_json: r#"{"serial":{"baud":[9600,4800,19200,38400,2400],"parity":["n","e"]}}"#,
        config_schema: settings::SCHEMA,
    };

    fn create(host: Host, config: &str) -> Result<PoleDisplay, Fault> {
        let refuse = |text: &str| {
            host.log(Level::Error, text);
            Fault::Config
        };
        let settings = Settings::parse(config).map_err(|text| refuse(&text))?;
        let encoder = Encoder::new(host.clone(), settings.page, settings.set.attention)
            .ok_or_else(|| refuse(&format!("settings: code_page {} is not built in", settings.page)))?;
        let wanted = Wanted::blank(&settings);
        Ok(PoleDisplay { host, settings, encoder, wanted, shown: None, drawn_at: Duration::ZERO })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            profile: self.settings.model.name.to_owned(),
            columns: self.settings.columns as u16,
            lines: self.settings.lines as u8,
            ..Capabilities::default()
        }
    }

    /// What is known without a question: whether the last bytes left.
    fn status(&mut self, _link: &mut dyn Link, _timeout: Duration) -> Result<Status, Fault> {
        Ok(self.health())
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        let now = self.host.now();
        let (wanted, notes) = match self.wanted.with(ops, &self.settings, &self.encoder, now) {
            Ok(well) => well,
            Err(refused) => return self.told(Report::broken(Done::None, refused.fault, refused.text)),
        };
        let before = std::mem::replace(&mut self.wanted, wanted);
        match self.draw(link, now, timeout) {
            Ok(()) => {
                let report =
                    Report { text: notes.words(&self.settings), ..Report::well(Done::Sent, ops.len()) };
                self.told(report)
            }
            Err(broken) if broken.written == 0 => {
                // It may be tried again, so it was never asked for. Why it was not reached, the host knows better.
                self.wanted = before;
                self.told(Report::broken(Done::None, broken.fault, ""))
            }
            Err(broken) => {
                let text = "only a part reached the display: everything is drawn again";
                self.told(Report::broken(Done::Unknown, broken.fault, text))
            }
        }
    }

    fn tick(&mut self, link: &mut dyn Link) -> Result<Option<Duration>, Fault> {
        let now = self.host.now();
        if now.saturating_sub(self.drawn_at) >= self.settings.heal {
            self.shown = None;
        }
        match self.draw(link, now, TICK_MAX) {
            Ok(()) => {
                let heal = (self.drawn_at + self.settings.heal).saturating_sub(now);
                Ok(Some(self.wanted.next_step(now).map_or(heal, |step| step.min(heal))))
            }
            // The line is still there: a display that holds it up, or a cancel that was meant for something else.
            Err(Broken { fault: Fault::Timeout | Fault::Cancelled | Fault::Busy, .. }) => Ok(Some(RETRY)),
            Err(broken) => Err(broken.fault),
        }
    }

    /// What the display is told here it was told before, so none of it counts as a document's: it is all `ask`.
    fn reset(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<(), Fault> {
        let now = self.host.now();
        let picture = self.wanted.picture(now, self.settings.columns);
        self.shown = None;
        link.ask(&paint::opening(&self.settings, &picture), timeout)?;
        self.shown = Some(picture);
        self.drawn_at = now;
        Ok(())
    }
}

impl PoleDisplay {
    /// Brings the display to what is wanted now.
    fn draw(&mut self, link: &mut dyn Link, now: Duration, timeout: Duration) -> Result<(), Broken> {
        let picture = self.wanted.picture(now, self.settings.columns);
        let bytes = match &self.shown {
            Some(shown) => paint::changes(&self.settings, shown, &picture),
            None => {
                self.drawn_at = now;
                paint::whole(&self.settings, &picture)
            }
        };
        self.shown = None;
        if !bytes.is_empty() {
            link.write(&bytes, timeout)?;
        }
        self.shown = Some(picture);
        Ok(())
    }

    fn health(&self) -> Status {
        if self.shown.is_some() { Status::ONLINE } else { Status::UNKNOWN }
    }

    fn told(&self, report: Report) -> Report {
        Report { status: self.health(), ..report }
    }
}

export_driver!(PoleDisplay);
