//! A display made of text or of pictures: each time something new is shown, a frame comes out. For previews, demos and
//! tests; opens nothing.

use driver_raster::{COLUMNS_MAX, LINES_MAX, Screen};
use driver_sdk::{
    Capabilities, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Proof, Report, Status,
    export_driver,
};
use serde::Deserialize;
use std::time::Duration;

/// A frame between two documents has so long.
const FRAME_MAX: Duration = Duration::from_secs(1);
/// A text goes one column on no faster than this.
const STEP_MIN: Duration = Duration::from_millis(50);

/// What comes out of the display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// Its lines in a frame.
    #[default]
    Text,
    /// A PNG for each document.
    Png,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    form: Form,
    columns: u16,
    lines: u8,
}

impl Default for Config {
    fn default() -> Config {
        Config { form: Form::Text, columns: 20, lines: 2 }
    }
}

/// The driver.
pub struct VirtualDisplay {
    host: Host,
    config: Config,
    screen: Screen,
    /// When the next step is due, by the host's clock.
    due: Duration,
    /// How long a step of a text that runs through lasts.
    step: Duration,
    /// Steps until it ran through: it does so once, for a file that grows all night is no use to anybody.
    steps_left: usize,
}

impl Driver for VirtualDisplay {
    const INFO: Info = Info {
        id: "virtual-display",
        name: "Virtual display",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Display,
        match_json: "{}",
        config_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"form":{"enum":["text","png"],"default":"text","description":"its lines in a frame, or a PNG for each document"},
"columns":{"type":"integer","minimum":1,"maximum":80,"default":20},
"lines":{"type":"integer","minimum":1,"maximum":8,"default":2}}}"#,
    };

    fn create(host: Host, config: &str) -> Result<VirtualDisplay, Fault> {
        let config = parse(config).map_err(|why| {
            host.log(Level::Error, &format!("the virtual display's settings: {why}"));
            Fault::Config
        })?;
        let screen = Screen::new(config.columns, config.lines);
        Ok(VirtualDisplay { host, config, screen, due: Duration::ZERO, step: STEP_MIN, steps_left: 0 })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            profile: "virtual-display".to_owned(),
            columns: self.config.columns,
            lines: self.config.lines,
            proof: Proof::None,
            status: true,
            ..Capabilities::default()
        }
    }

    fn status(&mut self, _link: &mut dyn Link, _timeout: Duration) -> Result<Status, Fault> {
        Ok(Status::ONLINE)
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        // All of a document is shown or nothing of it.
        let mut screen = self.screen.clone();
        for (index, op) in ops.iter().enumerate() {
            if let Err(why) = screen.show(op) {
                let why = format!("op {}: {why}", index + 1);
                return Report::broken(Done::None, Fault::Unsupported, why);
            }
        }
        let frame = match frame(&screen, self.config.form) {
            Ok(frame) => frame,
            Err(why) => return Report::broken(Done::None, Fault::Internal, why),
        };
        let step_ms = ops.iter().filter_map(|op| match op {
            Op::Scroll { step_ms, .. } => Some(*step_ms),
            _ => None,
        });
        let step = step_ms.min().map_or(STEP_MIN, |ms| Duration::from_millis(ms.into()).max(STEP_MIN));
        match link.write(&frame, timeout) {
            // What is in the file is as real as this display's glass.
            Ok(()) => {
                (self.step, self.due) = (step, self.host.now() + step);
                self.steps_left = if self.config.form == Form::Text { screen.run() } else { 0 };
                self.screen = screen;
                Report { status: Status::ONLINE, ..Report::well(Done::Confirmed, ops.len()) }
            }
            Err(broken) if broken.written == 0 => Report::broken(Done::None, broken.fault, ""),
            Err(broken) => Report::broken(Done::Unknown, broken.fault, ""),
        }
    }

    fn tick(&mut self, link: &mut dyn Link) -> Result<Option<Duration>, Fault> {
        if self.steps_left == 0 {
            return Ok(None);
        }
        let now = self.host.now();
        // Also called right after a document: its first step is not due yet.
        if now < self.due {
            return Ok(Some(self.due - now));
        }
        self.screen.step();
        self.steps_left -= 1;
        self.due = now + self.step;
        let frame = frame(&self.screen, self.config.form).map_err(|_| Fault::Internal)?;
        link.write(&frame, FRAME_MAX).map_err(|broken| broken.fault)?;
        Ok((self.steps_left > 0).then_some(self.step))
    }
}

fn parse(json: &str) -> Result<Config, String> {
    let config: Config = driver_sdk::settings(json)?;
    if !(1..=COLUMNS_MAX).contains(&config.columns.into()) || !(1..=LINES_MAX).contains(&config.lines.into())
    {
        return Err(format!("1 to {COLUMNS_MAX} columns and 1 to {LINES_MAX} lines are needed"));
    }
    Ok(config)
}

fn frame(screen: &Screen, form: Form) -> Result<Vec<u8>, String> {
    if form == Form::Png {
        return screen.png();
    }
    let lines = screen.text();
    let edge = format!("+{}+\n", "-".repeat(lines.first().map_or(0, |line| line.chars().count())));
    let inside: String = lines.iter().map(|line| format!("|{line}|\n")).collect();
    Ok(format!("{edge}{inside}{edge}").into_bytes())
}

export_driver!(VirtualDisplay);
