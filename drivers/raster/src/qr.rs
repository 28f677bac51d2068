//! QR codes as dots: the largest modules that fit well, and less error correction rather than dots no reader sees.
//! Knows no printer's own QR codes.

use crate::Raster;
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Empty modules around a QR code (ISO/IEC 18004).
const QUIET_MODULES: u16 = 4;
/// Six dots are 0.75 mm at 203 dpi: larger ones are no easier to read, only longer.
const MODULE_LARGEST: u16 = 6;
/// Three dots are 0.375 mm at 203 dpi: a smaller module is hard to read for a phone or a gate.
const MODULE_WELL: u16 = 3;

/// A QR code as dots, and what was given up for it to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrDots {
    /// The dots, with the white around the code.
    pub raster: Raster,
    /// Why the error correction is lower than asked for.
    pub lowered: Option<String>,
}

/// A QR code: `module` dots a module (0: the largest that fits well), `correction` 0 L, 1 M, 2 Q, 3 H.
///
/// # Errors
/// A code that does not fit, in words.
pub fn draw(data: &[u8], module: u8, correction: u8, dots_max: u16) -> Result<QrDots, String> {
    const LEVELS: [(QrCodeEcc, char); 4] =
        [(QrCodeEcc::Low, 'L'), (QrCodeEcc::Medium, 'M'), (QrCodeEcc::Quartile, 'Q'), (QrCodeEcc::High, 'H')];
    let wanted = usize::from(correction);
    let &(_, asked) = LEVELS.get(wanted).ok_or("there is no such error correction")?;
    let enough = if module == 0 { MODULE_WELL } else { u16::from(module) };
    let mut reason = format!("a QR code of {} bytes is larger than any", data.len());
    let mut best: Option<(QrCode, char, u16)> = None;
    for (ecc, letter) in LEVELS[..=wanted].iter().rev() {
        let Some(code) = encode(data, *ecc) else { continue };
        let modules = code.size() as u16 + 2 * QUIET_MODULES;
        let largest = dots_max / modules;
        if largest < enough.max(1) {
            reason = format!("a QR code of {modules} modules does not fit into {dots_max} dots");
        }
        if largest > 0 && best.as_ref().is_none_or(|(_, _, best)| largest > *best) {
            best = Some((code, *letter, largest));
        }
        if largest >= enough {
            break;
        }
    }
    let fits = |largest: u16| module == 0 || largest >= u16::from(module);
    let (code, letter, largest) = best.filter(|(_, _, largest)| fits(*largest)).ok_or(reason)?;
    let module = if module == 0 { largest.min(MODULE_LARGEST) } else { u16::from(module) };
    let lowered = (letter != asked).then(|| {
        format!(
            "QR code of {} bytes: error correction {letter} instead of {asked}, to fit into {dots_max} dots",
            data.len()
        )
    });
    Ok(QrDots { raster: modules_to_dots(&code, module.into()), lowered })
}

fn encode(data: &[u8], ecc: QrCodeEcc) -> Option<QrCode> {
    let segments = match std::str::from_utf8(data) {
        Ok(text) => QrSegment::make_segments(text),
        Err(_) => vec![QrSegment::make_bytes(data)],
    };
    QrCode::encode_segments_advanced(&segments, ecc, Version::MIN, Version::MAX, None, false).ok()
}

fn modules_to_dots(code: &QrCode, module: usize) -> Raster {
    let quiet = usize::from(QUIET_MODULES);
    let side = (code.size() as usize + 2 * quiet) * module;
    let mut raster = Raster::new(side, side);
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let at = |n: i32| (n as usize + quiet) * module;
            raster.fill(at(x), at(y), module, module);
        }
    }
    raster
}
