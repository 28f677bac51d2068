//! A printer made of text or of pictures: a document comes out as lines or as one PNG. For previews, demos and tests, and
//! in the place of any paper: its settings say which. Opens nothing.

mod config;
mod text;

use config::{Config, Form};
use driver_raster::{Page, Paper};
use driver_sdk::{
    Capabilities, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Proof, Report, Status,
    export_driver,
};
use std::time::Duration;

/// The driver.
pub struct Virtual {
    config: Config,
}

impl Driver for Virtual {
    const INFO: Info = Info {
        id: "virtual",
        name: "Virtual printer",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Printer,
        match_json: "{}",
        config_schema: config::SCHEMA,
    };

    fn create(host: Host, config: &str) -> Result<Virtual, Fault> {
        let config = Config::parse(config).map_err(|why| {
            host.log(Level::Error, &format!("the virtual printer's settings: {why}"));
            Fault::Config
        })?;
        Ok(Virtual { config })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            profile: "virtual".to_owned(),
            columns: self.config.columns,
            columns_small: self.config.columns_small,
            dots: self.config.dots,
            dpi: self.config.dpi,
            places: self.config.ticket_rows.is_some(),
            cuts: self.config.cuts,
            drawer: true,
            // The file is the paper: what was written is printed, and nobody says so.
            proof: Proof::None,
            status: true,
            ..Capabilities::default()
        }
    }

    fn status(&mut self, _link: &mut dyn Link, _timeout: Duration) -> Result<Status, Fault> {
        Ok(Status::ONLINE)
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        if let Some(index) = ops.iter().position(is_display) {
            let why = format!("op {}: a printer shows no display's lines", index + 1);
            return Report::broken(Done::None, Fault::Unsupported, why);
        }
        let (bytes, notes) = match self.printed(ops) {
            Ok(printed) => printed,
            Err(why) => return Report::broken(Done::None, Fault::Internal, why),
        };
        match link.write(&bytes, timeout) {
            // What is in the file is as real as this printer's paper.
            Ok(()) => {
                Report { status: Status::ONLINE, text: notes, ..Report::well(Done::Confirmed, ops.len()) }
            }
            Err(broken) if broken.written == 0 => Report::broken(Done::None, broken.fault, ""),
            Err(broken) => Report::broken(Done::Unknown, broken.fault, ""),
        }
    }
}

impl Virtual {
    /// A document's bytes, and what on them is not as it was asked for.
    fn printed(&self, ops: &[Op<'_>]) -> Result<(Vec<u8>, String), String> {
        let Config { dots, dpi, ticket_rows: rows, columns, form, .. } = self.config;
        match form {
            Form::Text => Ok((text::page(ops, columns).into_bytes(), String::new())),
            Form::Png => {
                let page = Page::draw(ops, Paper { dots, rows, dpi });
                Ok((page.png()?, page.notes.join("; ")))
            }
        }
    }
}

fn is_display(op: &Op<'_>) -> bool {
    matches!(
        op,
        Op::Clear | Op::Line { .. } | Op::Scroll { .. } | Op::Bright(_) | Op::Blink(_) | Op::Cursor(_)
    )
}

export_driver!(Virtual);
