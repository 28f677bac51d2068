//! A printer made of text: a document comes out as lines. For demos and tests; opens nothing.

use driver_sdk::{
    Capabilities, Done, Driver, Fault, Host, Info, Kind, Link, Op, Report, Status, export_driver,
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

    fn create(_host: Host, _config: &str) -> Result<Virtual, Fault> {
        Ok(Virtual)
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
                Op::Text(text) => page.push_str(text),
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
