//! Receipt printers that speak ESC/POS: documents to bytes, bytes to a status, and proof that something was printed.
//! A codec with a conversation: it opens nothing, keeps no job and retries nothing.

mod codes;
pub mod demux;
pub mod encode;
mod line;
pub mod page;
mod print;
pub mod profile;
pub mod status;
mod talk;

use driver_sdk::{
    Capabilities, Driver, Fault, Host, Info, Kind, Level, Link, Op, Proof, QrPrinting, Report, Status,
    export_driver,
};
use print::Printer;
use profile::{Cutter, Maker, Profile, ProofMethod, StatusMethod};
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;
use talk::Talk;

/// What a printer sent by itself is looked at so often.
const TICK: Duration = Duration::from_secs(1);

/// The driver of one printer.
pub struct Escpos {
    host: Host,
    profile: Profile,
    printer: Printer,
    /// Oddities that were logged.
    odd: (u64, u64),
}

impl Driver for Escpos {
    const INFO: Info = Info {
        id: "escpos",
        name: "ESC/POS receipt printer",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Printer,
        match_json: r#"{"usb_classes":["07/01"],"usb_vendors":["04b8","0519"],"ieee1284":{"CMD":["ESC/POS"]},"tcp_ports":[9100]}"#,
        config_schema: profile::SCHEMA,
    };

    fn create(host: Host, config: &str) -> Result<Escpos, Fault> {
        let refuse = |mistakes: Vec<String>| {
            host.log(Level::Error, &format!("the printer's settings: {}", mistakes.join("; ")));
            Fault::Config
        };
        let profile = Profile::from_config(config).map_err(refuse)?;
        let pages = &profile.settings.code_pages;
        let unknown: Vec<String> = pages
            .iter()
            .filter(|(page, _)| host.encode(*page, "A").is_none())
            .map(|(page, _)| format!("code_pages: there is no code page {page} here"))
            .collect();
        if !unknown.is_empty() {
            return Err(refuse(unknown));
        }
        // Another number in each process: a printer's answer to one that ended must not prove anything.
        let tag = std::hash::RandomState::new().build_hasher().finish() as u32;
        let printer = Printer::new(profile.settings.clone(), Talk::new(host.clone()), tag);
        Ok(Escpos { host, profile, printer, odd: (0, 0) })
    }

    fn capabilities(&self) -> Capabilities {
        let settings = &self.profile.settings;
        Capabilities {
            profile: self.profile.id.clone(),
            columns: settings.columns,
            columns_small: settings.columns_small,
            dots: settings.dots,
            dpi: settings.dpi,
            qr: match settings.qr {
                Maker::Native => QrPrinting::Native,
                Maker::Raster => QrPrinting::Raster,
            },
            cuts: settings.cut != Cutter::None,
            drawer: settings.drawer_pins > 0,
            proof: match settings.proof {
                ProofMethod::Job => Proof::Job,
                ProofMethod::Queued => Proof::Queued,
                ProofMethod::Polled => Proof::Polled,
                ProofMethod::None => Proof::None,
            },
            status: settings.status != StatusMethod::None,
            ..Capabilities::default()
        }
    }

    fn probe(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<serde_json::Value, Fault> {
        let until = self.host.now() + timeout;
        let status = self.printer.status(link, until)?;
        let talk = &mut self.printer.talk;
        let device_id = talk.device_id(link, until);
        let (mut maker, mut model, mut firmware) = (None, None, None);
        // A printer that knows no real-time question may print this one.
        if talk.has_answered() {
            maker = talk.identity(link, 66, until)?;
            model = talk.identity(link, 67, until)?;
            firmware = talk.identity(link, 65, until)?;
        }
        let fits = model.as_deref().and_then(Profile::for_model);
        Ok(serde_json::json!({
            "answers": talk.has_answered(), "status": status.map(|status| status.to_string()), "maker": maker,
            "model": model, "firmware": firmware, "ieee1284": device_id,
            "profile": self.profile.id, "profile_that_fits": fits,
        }))
    }

    fn status(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<Status, Fault> {
        let until = self.host.now() + timeout;
        match self.printer.status(link, until)? {
            Some(status) => Ok(status),
            None if self.profile.settings.status == StatusMethod::Required => Err(Fault::Timeout),
            None if self.printer.talk.has_answered() => Err(Fault::Timeout),
            None => Ok(Status::UNKNOWN),
        }
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        let until = self.host.now() + timeout;
        match encode::encode(ops, &self.profile.settings, &*self.host) {
            Ok(page) => self.printer.print(link, &page, until),
            Err(refused) => Report::broken(driver_sdk::Done::None, refused.fault, refused.text),
        }
    }

    fn tick(&mut self, link: &mut dyn Link) -> Result<Option<Duration>, Fault> {
        self.printer.talk.look(link)?;
        if let Some(status) = self.printer.news() {
            self.host.status_changed(status);
        }
        let odd = self.printer.talk.oddities();
        if odd != self.odd {
            self.odd = odd;
            let (bytes, messages) = odd;
            let text = format!(
                "so far {bytes} bytes from the printer made no sense, {messages} answers had no question"
            );
            self.host.log(Level::Warn, &text);
        }
        Ok(self.profile.settings.asb.then_some(TICK))
    }

    fn reset(&mut self, link: &mut dyn Link, timeout: Duration) -> Result<(), Fault> {
        let until = self.host.now() + timeout;
        self.printer.reset(link, until)
    }
}

export_driver!(Escpos);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_it_fits_names_the_makers_of_all_profiles() {
        let fits: serde_json::Value = serde_json::from_str(Escpos::INFO.match_json).unwrap();
        let told: BTreeSet<String> = fits["usb_vendors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        let known: BTreeSet<String> = Profile::all().into_iter().flat_map(|(_, _, usb)| usb).collect();
        assert_eq!(told, known);
    }
}
