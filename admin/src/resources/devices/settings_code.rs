//! The settings code of the Vguang reader family: a text that a reader takes for its settings when it is shown to it, and
//! the same text as a QR code. Knows no device of ours.
//!
//! ```text
//! ___VBAR_CONFIG_V1.1.0___{key=number,key="text"}--<base64 of HMAC-MD5 over all before, with the reader's password>
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// What a reader's settings code is signed with until somebody changes it.
pub(super) const FACTORY_PASSWORD: &str = "1234567887654321";
/// Empty modules around a QR code (ISO/IEC 18004).
const QUIET_MODULES: i32 = 4;
/// Pixels of a module: a screen shows it large enough for a reader's window.
const MODULE_PIXELS: u32 = 6;

/// Settings of a reader, in the order they are written.
#[derive(Debug, Default)]
pub(super) struct Settings(String);

impl Settings {
    /// Adds a number.
    pub(super) fn number(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Settings {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}{key}={value}");
        self
    }

    /// Adds a text; see [`fits`].
    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Settings {
        assert!(fits(value), "a text that would end the setting early was let through");
        self.number(key, format_args!("\"{value}\""))
    }

    /// The text a reader takes, signed with its password.
    pub(super) fn signed(&self, password: &str) -> String {
        let text = format!("___VBAR_CONFIG_V1.1.0___{{{}}}", self.0);
        let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("a key of any length will do");
        mac.update(text.as_bytes());
        format!("{text}--{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// May a text stand in a setting? Readers do not know how to escape: what ends a text, a setting or the settings may not be
/// in it, nor `=`, which some of them take for a colon.
pub(super) fn fits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'{},=\\".contains(&byte)) && !text.contains("--")
}

/// A QR code of a text; `None`: it is too long for one.
pub(super) fn qr(text: &str) -> Option<QrCode> {
    QrCode::encode_text(text, QrCodeEcc::Medium).ok()
}

/// As a picture of lines.
pub(super) fn svg(code: &QrCode) -> String {
    let side = code.size() + 2 * QUIET_MODULES;
    let mut path = String::new();
    for (x, y) in dark(code) {
        let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET_MODULES, y + QUIET_MODULES);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

/// As a picture of dots (PNG).
pub(super) fn png(code: &QrCode) -> Vec<u8> {
    let side = (code.size() + 2 * QUIET_MODULES) as u32 * MODULE_PIXELS;
    let module = |at: u32| (at / MODULE_PIXELS) as i32 - QUIET_MODULES;
    // Outside of the code a module is light.
    let dots = (0..side * side)
        .map(|n| if code.get_module(module(n % side), module(n / side)) { 0 } else { u8::MAX });
    let dots: Vec<u8> = dots.collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&dots));
    written.expect("writing to a vector does not fail, and the size is right");
    out
}

fn dark(code: &QrCode) -> impl Iterator<Item = (i32, i32)> + '_ {
    let all = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    all.filter(|(x, y)| code.get_module(*x, *y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_readers_check() {
        // Text and value stand in the readers' own firmware.
        let signed = Settings::default().text("ble_name", "11127S").signed(FACTORY_PASSWORD);
        assert_eq!(signed, "___VBAR_CONFIG_V1.1.0___{ble_name=\"11127S\"}--lLqHBRnE2bU8D2HJ5RTioQ==");
    }

    #[test]
    fn the_pictures_say_what_the_text_says() {
        let text = Settings::default()
            .text("haddr", "http://10.0.0.5:8080/d/key")
            .number("houttime", 2)
            .signed("secret");
        let code = qr(&text).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png(&code))).read_info().unwrap();
        let mut dots = vec![0; reader.output_buffer_size().unwrap()];
        let side = reader.next_frame(&mut dots).unwrap().width as usize;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| dots[y * side + x]);
        let (_, read) = image.detect_grids()[0].decode().unwrap();
        assert_eq!(read, text);
        // The other picture has the same modules.
        assert_eq!(svg(&code).matches("h1v1h-1z").count(), dark(&code).count());
    }

    #[test]
    fn what_would_end_a_setting_early_does_not_fit() {
        for text in ["a\"b", "a,b", "a}", "a--b", "a b", "a=b", "ä", "a\nb", "a'b"] {
            assert!(!fits(text), "{text}");
        }
        assert!(fits("http://10.0.0.5:8080/d/key/api/kqt300/scan"));
    }
}
