//! How a device is reached, as it is typed in settings: `tcp://10.0.0.5:9100`, `serial:/dev/ttyUSB0?baud=9600`,
//! `usb:0519:0003`, `lp:/dev/usb/lp0`, `file:/var/tmp/receipts`. Opens nothing.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a device is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Raw TCP, as on port 9100: host and port.
    Tcp(String),
    /// A serial line.
    Serial(Serial),
    /// USB by vendor and product, and the serial number where two are alike.
    Usb {
        /// idVendor.
        vendor: u16,
        /// idProduct.
        product: u16,
        /// iSerialNumber.
        serial: Option<String>,
    },
    /// The kernel's printer node.
    Lp(String),
    /// Bytes are appended to a file; nothing is ever answered.
    File(String),
    /// A record of a device's traffic plays the device.
    Replay(String),
}

/// A serial line and its settings: 8 data bits, one stop bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serial {
    /// `/dev/serial/by-id/…` keeps its meaning when something else is plugged in.
    pub path: String,
    /// Bits a second.
    pub baud: u32,
    /// `n`, `e` or `o`.
    pub parity: char,
    /// Who says when to stop.
    pub flow: Flow,
}

/// Flow control of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flow {
    /// Nobody: what the device cannot take is lost.
    None,
    /// RTS and CTS.
    Hardware,
    /// XON and XOFF.
    Software,
}

/// A way that cannot be read, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WayError(pub String);

impl FromStr for Way {
    type Err = WayError;

    fn from_str(text: &str) -> Result<Way, WayError> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| unknown(text))?;
        match kind {
            "tcp" => tcp(rest.trim_start_matches("//")),
            "serial" => serial(rest),
            "usb" => usb(rest),
            "lp" => Ok(Way::Lp(path(rest)?)),
            "file" => Ok(Way::File(path(rest)?)),
            "replay" => Ok(Way::Replay(path(rest)?)),
            _ => Err(unknown(text)),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Tcp(address) => write!(f, "tcp://{address}"),
            Way::Serial(line) => {
                write!(f, "serial:{}?baud={}", line.path, line.baud)?;
                if line.parity != 'n' {
                    write!(f, "&parity={}", line.parity)?;
                }
                match line.flow {
                    Flow::None => Ok(()),
                    Flow::Hardware => f.write_str("&flow=hardware"),
                    Flow::Software => f.write_str("&flow=software"),
                }
            }
            Way::Usb { vendor, product, serial } => {
                write!(f, "usb:{vendor:04x}:{product:04x}")?;
                serial.as_ref().map_or(Ok(()), |serial| write!(f, ":{serial}"))
            }
            Way::Lp(path) => write!(f, "lp:{path}"),
            Way::File(path) => write!(f, "file:{path}"),
            Way::Replay(path) => write!(f, "replay:{path}"),
        }
    }
}

fn unknown(text: &str) -> WayError {
    WayError(format!(
        "{text:?} is no way to a device: tcp://HOST:PORT, serial:/dev/…?baud=9600, usb:VENDOR:PRODUCT, lp:/dev/usb/lp0 or file:/path"
    ))
}

fn tcp(address: &str) -> Result<Way, WayError> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(port)) if port != 0 => Ok(Way::Tcp(address.to_owned())),
        _ => Err(WayError(format!("tcp://{address}: host and port are needed, such as tcp://10.0.0.5:9100"))),
    }
}

fn path(text: &str) -> Result<String, WayError> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(WayError(format!("{text:?}: the whole path is needed, from / on")))
}

fn serial(text: &str) -> Result<Way, WayError> {
    let (device, options) = text.split_once('?').unwrap_or((text, ""));
    let mut line = Serial { path: path(device)?, baud: 9_600, parity: 'n', flow: Flow::None };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("baud", baud)) => {
                line.baud =
                    baud.parse().ok().filter(|baud| (300..=1_000_000).contains(baud)).ok_or_else(|| {
                        WayError(format!("baud={baud}: a number from 300 to 1000000 is needed"))
                    })?;
            }
            Some(("parity", "n" | "e" | "o")) => line.parity = option.chars().last().unwrap_or('n'),
            Some(("flow", "none")) => line.flow = Flow::None,
            Some(("flow", "hardware")) => line.flow = Flow::Hardware,
            Some(("flow", "software")) => line.flow = Flow::Software,
            _ => {
                return Err(WayError(format!(
                    "{option:?}: baud=N, parity=n|e|o or flow=none|hardware|software are meant"
                )));
            }
        }
    }
    Ok(Way::Serial(line))
}

fn usb(text: &str) -> Result<Way, WayError> {
    let mut parts = text.splitn(3, ':');
    let mut id = || parts.next().and_then(|part| u16::from_str_radix(part, 16).ok());
    let (Some(vendor), Some(product)) = (id(), id()) else {
        return Err(WayError(format!(
            "usb:{text}: vendor and product in hex are needed, such as usb:0519:0003 (lsusb tells)"
        )));
    };
    let serial = parts.next().map(str::to_owned);
    Ok(Way::Usb { vendor, product, serial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        assert_eq!(text.parse::<Way>().unwrap().to_string(), text);
    }

    #[test]
    fn ways_are_read_and_written() {
        check("tcp://10.0.0.5:9100");
        check("tcp://[::1]:9100");
        check("serial:/dev/ttyUSB0?baud=9600");
        check("serial:/dev/ttyS1?baud=19200&parity=e&flow=hardware");
        check("usb:0519:0003");
        check("usb:0519:0003:A:1");
        check("lp:/dev/usb/lp0");
        check("file:/var/tmp/receipts");
        check("replay:/var/tmp/till-1.traffic");
    }

    #[test]
    fn mistakes_are_told_with_what_is_meant() {
        for (text, words) in [
            ("9100", "is no way to a device"),
            ("tcp://printer", "host and port are needed"),
            ("tcp://printer:0", "host and port are needed"),
            ("serial:ttyUSB0", "the whole path"),
            ("serial:/dev/ttyUSB0?baud=fast", "a number from 300"),
            ("serial:/dev/ttyUSB0?speed=9600", "baud=N"),
            ("usb:printer", "in hex"),
        ] {
            let error = text.parse::<Way>().unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }
}
