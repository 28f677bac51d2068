//! A printer made of text: a document comes out as lines. For demos and tests; opens nothing.

use driver_sdk::{
    Capabilities, Done, Driver, Fault, Host, Info, Kind, Level, Link, Op, Report, Status, export_driver,
};
use std::time::Duration;

/// The driver.
pub struct Virtual;

impl Driver for Virtual {
    const INFO: Info = Info {
        id: "virtual",
        name: "Virtual printer",
        vendor: "Gatehouse",
        version: env!("CARGO_PKG_VERSION"),
        licence: "Apache-2.0 OR MIT",
        kind: Kind::Printer,
        match_json: "{}",
        config_schema: r#"{"type":"object","additionalProperties":false}"#,
    };

    fn create(host: Host, config: &str) -> Result<Virtual, Fault> {
        let settings = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(config);
        let complaint = match settings {
            Ok(settings) if settings.is_empty() => return Ok(Virtual),
            Ok(settings) => format!("it has no settings, found {:?}", settings.keys().collect::<Vec<_>>()),
            Err(error) => format!("its settings are no JSON object: {error}"),
        };
        host.log(Level::Error, &complaint);
        Err(Fault::Config)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { profile: "virtual".to_owned(), columns: 48, cuts: true, ..Capabilities::default() }
    }

    fn status(&mut self, _link: &mut dyn Link, _timeout: Duration) -> Result<Status, Fault> {
        Ok(Status::ONLINE)
    }

    fn run(&mut self, link: &mut dyn Link, ops: &[Op<'_>], timeout: Duration) -> Report {
        let mut page = String::new();
        for op in ops {
            match op {
                // Who looks at the file in a terminal is not to be commanded by a guest's name.
                Op::Text(text) => page.extend(text.chars().filter(|c| !c.is_control())),
                Op::Newline => page.push('\n'),
                Op::Feed(lines) => page.extend(std::iter::repeat_n('\n', usize::from(*lines))),
                Op::Qr { data, .. } => page.push_str(&format!("[QR {}]\n", String::from_utf8_lossy(data))),
                Op::Cut(_) => page.push_str("- - - - - - - -\n"),
                _ => {}
            }
        }
        match link.write(page.as_bytes(), timeout) {
            Ok(()) => Report::well(Done::Confirmed, ops.len()),
            Err(broken) if broken.written == 0 => Report::broken(Done::None, broken.fault, ""),
            Err(broken) => Report::broken(Done::Unknown, broken.fault, ""),
        }
    }
}

export_driver!(Virtual);
