//! Documents on a device that is well: all ops, any ops, ops that cannot be, texts that want to command the device.

use super::{Outcome, Verdict, pass};
use crate::subject::{MARKS, PLENTY, Ran, Subject, fault_words};
use driver_abi::{Align, Barcode, Cut, Done, Fault, Kind, Op, Style, Symbology, raw};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Lists of ops by chance.
const LISTS: usize = 60;
/// Ops of one of them.
const OPS_MAX: usize = 25;

pub fn document(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let words = bench.words(MARKS.0);
    let ran = bench.run(&words, PLENTY)?;
    if ran.fault.is_some() || !matches!(ran.done, Done::Sent | Done::Confirmed) {
        return Err(format!("it came to {:?}, {}", ran.done, fault_words(ran.fault)));
    }
    if ran.ops_done != words.len() {
        return Err(format!("GHD_OK, and only {} of {} ops are done", ran.ops_done, words.len()));
    }
    if ran.printed == 0 {
        let written = bench.wire.lock().written.len();
        return Err(format!("{:?}, and no byte that prints had left ({written} with GHD_W_ASK)", ran.done));
    }
    pass()
}

/// One op of each kind, with numbers any device may get.
fn every_kind() -> Vec<Op<'static>> {
    let barcode = |symbology, data: &'static str| {
        Op::Barcode(Barcode { data: data.into(), symbology, height: 80, module: 2, text_below: true })
    };
    vec![
        Op::Text("Gate 7, row Ä, 12 €".into()),
        Op::Newline,
        Op::Feed(2),
        Op::Style(Style { bold: true, underline: true, invert: true, width: 2, height: 2, font: 1 }),
        Op::Style(Style::default()),
        Op::Align(Align::Middle),
        Op::Rule { double: false },
        Op::Rule { double: true },
        Op::Qr { data: b"TICKET-0001-ABCDEF".as_slice().into(), module: 0, correction: 1 },
        Op::Qr { data: b"TICKET-0001-ABCDEF".as_slice().into(), module: 4, correction: 3 },
        barcode(Symbology::Code128, "TICKET-0001"),
        barcode(Symbology::Ean13, "4006381333931"),
        barcode(Symbology::Ean8, "73513537"),
        barcode(Symbology::UpcA, "036000291452"),
        barcode(Symbology::Code39, "GATE 7"),
        barcode(Symbology::Itf, "123456"),
        Op::Image { width: 20, height: 3, dots: vec![0xaa; 9].into() },
        Op::Cut(Cut::Partial),
        Op::Cut(Cut::Full),
        Op::Drawer { pin: 0, pulse_ms: 100 },
        Op::Beep(1),
        Op::Place { x: 10, y: 10 },
        Op::Clear,
        Op::Line { line: 1, text: "Gate 7".into() },
        Op::Scroll { line: 1, text: "Welcome to gate 7, please have your ticket ready".into(), step_ms: 300 },
        Op::Bright(3),
        Op::Blink(500),
        Op::Cursor(false),
    ]
}

fn refused_or_done(op: &Op<'_>, ran: &Ran) -> Result<(), String> {
    match ran.fault {
        None if ran.ops_done != 1 => Err(format!("{op:?} was GHD_OK with {} ops done", ran.ops_done)),
        None | Some(Fault::Unsupported | Fault::Invalid) => Ok(()),
        Some(fault) => {
            Err(format!("{op:?} was a fault on a device that is well: {}", fault_words(Some(fault))))
        }
    }
}

pub fn every_op(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let mut refused = Vec::new();
    for op in every_kind() {
        let ran = bench.run(std::slice::from_ref(&op), PLENTY)?;
        refused_or_done(&op, &ran)?;
        if ran.fault.is_some() {
            let name: String = format!("{op:?}").chars().take_while(char::is_ascii_alphanumeric).collect();
            refused.push(name);
        }
    }
    refused.dedup();
    let notes =
        if refused.is_empty() { Vec::new() } else { vec![format!("refused: {}", refused.join(", "))] };
    Ok(Outcome::Pass(notes))
}

/// An op by chance, with numbers from the edges of their ranges too.
fn any_op(chance: &mut StdRng) -> Op<'static> {
    const TEXTS: [&str; 8] =
        ["", " ", "Gate 7", "Žofie Ñandú – 12 €", "محمد", "東京ドーム", "e\u{301}\u{200d}👩‍👩‍👧", "^XA<p>\\;|"];
    let text = |chance: &mut StdRng| {
        let part = TEXTS.choose(chance).copied().unwrap_or_default();
        part.repeat(chance.random_range(0..=4))
    };
    match chance.random_range(0..16) {
        0..4 => Op::Text(text(chance).into()),
        4 => Op::Newline,
        5 => Op::Feed(chance.random()),
        6 => Op::Style(Style {
            bold: chance.random(),
            underline: chance.random(),
            invert: chance.random(),
            width: chance.random_range(1..=8),
            height: chance.random_range(1..=8),
            font: chance.random_range(0..=1),
        }),
        7 => {
            let n = chance.random_range(0..=400);
            let data: Vec<u8> = (0..n).map(|_| chance.random()).collect();
            Op::Qr {
                data: data.into(),
                module: chance.random_range(0..=20),
                correction: chance.random_range(0..=3),
            }
        }
        8 => {
            let (width, height) = (chance.random_range(0..=600), chance.random_range(0..=300));
            let bytes = usize::from(width).div_ceil(8) * usize::from(height);
            Op::Image { width, height, dots: vec![chance.random(); bytes].into() }
        }
        9 => Op::Barcode(Barcode {
            data: text(chance).chars().filter(char::is_ascii).collect::<String>().into(),
            symbology: *[Symbology::Code128, Symbology::Ean13, Symbology::Code39, Symbology::Itf]
                .choose(chance)
                .unwrap_or(&Symbology::Code128),
            height: chance.random(),
            module: chance.random(),
            text_below: chance.random(),
        }),
        10 => Op::Place { x: chance.random(), y: chance.random() },
        11 => Op::Line { line: chance.random_range(0..=9), text: text(chance).into() },
        12 => Op::Scroll { line: chance.random(), text: text(chance).into(), step_ms: chance.random() },
        13 => Op::Bright(chance.random()),
        _ => every_kind().choose(chance).cloned().unwrap_or(Op::Newline),
    }
}

pub fn any_ops(subject: &Subject) -> Verdict {
    let mut chance = StdRng::seed_from_u64(subject.seed);
    let mut bench = subject.well()?;
    for list in 0..LISTS {
        // The first list is empty: that is a document too.
        let n = if list == 0 { 0 } else { chance.random_range(1..=OPS_MAX) };
        let ops: Vec<Op<'_>> = (0..n).map(|_| any_op(&mut chance)).collect();
        let told = |error| format!("seed {}, list {list}: {error}; the list: {ops:?}", subject.seed);
        let ran = bench.run(&ops, PLENTY).map_err(told)?;
        if ran.fault.is_none() && ran.ops_done != n {
            return Err(told(format!("GHD_OK, and only {} of {n} ops are done", ran.ops_done)));
        }
        bench.wire.lock().written.clear();
    }
    Ok(Outcome::Pass(vec![format!("seed {}", subject.seed)]))
}

pub fn bad_ops(subject: &Subject) -> Verdict {
    let op = |kind, a, b| {
        let data = raw::Bytes { ptr: std::ptr::null(), len: 0 };
        raw::Op { kind, flags: 0, a, b, c: 0, d: 0, data }
    };
    let not_utf8: &[u8] = b"Gate \xff\xc3 7";
    let mut bench = subject.well()?;
    let never: [(&str, raw::Op, &[u8]); 7] = [
        ("kind 0", op(0, 0, 0), b""),
        ("kind 50, between printers' and displays'", op(50, 0, 0), b""),
        ("kind 9999", op(9_999, 0, 0), b""),
        ("TEXT that is not UTF-8", op(raw::OP_TEXT, 0, 0), not_utf8),
        ("D_LINE that is not UTF-8", op(raw::OP_D_LINE, 1, 0), not_utf8),
        ("IMAGE of 100 x 100 dots in 3 bytes", op(raw::OP_IMAGE, 100, 100), b"abc"),
        ("IMAGE of -1 x 8 dots", op(raw::OP_IMAGE, -1, 8), b"abc"),
    ];
    for (name, op, data) in never {
        let ran = bench.run_raw(&[(op, data)], PLENTY).map_err(|error| format!("{name}: {error}"))?;
        if ran.fault.is_none() {
            return Err(format!("{name}: GHD_OK, {:?}", ran.done));
        }
    }
    // Numbers out of their ranges: whatever a driver makes of them, it has to survive and to answer truly.
    let numbers = [-1, 0, 9, 255, 256, i32::MAX, i32::MIN];
    for kind in (raw::OP_TEXT..=raw::OP_PLACE).chain(raw::OP_D_CLEAR..=raw::OP_D_CURSOR) {
        for number in numbers {
            let op = raw::Op { c: number, d: number, flags: u32::MAX, ..op(kind, number, number) };
            bench
                .run_raw(&[(op, b"")], PLENTY)
                .map_err(|error| format!("kind {kind} with all numbers {number}: {error}"))?;
        }
    }
    pass()
}

pub fn control_characters(subject: &Subject) -> Verdict {
    let mut evil: Vec<String> =
        (0..0x20_u8).chain([0x7f]).map(|control| char::from(control).to_string()).collect();
    // Poles of Posiflex change their command set at the first, printers open the drawer at the second.
    evil.extend(["\x1b=\x04".to_owned(), "\x1bp\0\x19\x19".to_owned(), "\r\n".to_owned()]);
    let mut bench = subject.well()?;
    let (mut seen, mut refused, mut given) = (0, 0, 0);
    for control in &evil {
        let text = format!("{}{control}{}", MARKS.0, MARKS.1);
        for op in texts(bench.kind, &text) {
            bench.wire.lock().written.clear();
            let ran = bench.run(&[op], PLENTY)?;
            given += 1;
            refused += usize::from(ran.fault == Some(Fault::Invalid));
            let wire = bench.wire.lock();
            let Some(between) = between(&wire.written) else { continue };
            seen += 1;
            if let Some(byte) = between.iter().find(|byte| **byte < 0x20 || **byte == 0x7f) {
                return Err(format!("{control:?} in a text came to the device as a byte {byte:#04x}"));
            }
        }
    }
    match (seen, refused) {
        (0, refused) if refused == given => Ok(Outcome::Pass(vec!["such texts are refused".to_owned()])),
        (0, _) => Ok(Outcome::Skip("texts do not leave it as characters".to_owned())),
        _ => pass(),
    }
}

fn texts(kind: Kind, text: &str) -> Vec<Op<'static>> {
    let text = text.to_owned();
    match kind {
        Kind::Printer => vec![Op::Text(text.into())],
        Kind::Display => vec![
            Op::Line { line: 1, text: text.clone().into() },
            Op::Scroll { line: 1, text: text.into(), step_ms: 300 },
        ],
    }
}

/// What stands between the marks, where both left as characters.
fn between(written: &[u8]) -> Option<&[u8]> {
    let find = |bytes: &[u8], mark: &str| bytes.windows(mark.len()).position(|part| part == mark.as_bytes());
    let begin = find(written, MARKS.0)? + MARKS.0.len();
    let len = find(&written[begin..], MARKS.1)?;
    Some(&written[begin..begin + len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_found() {
        assert_eq!(between(b"\x1b@QXJ7\x1bZK3W\n"), Some(b"\x1b".as_slice()));
        assert_eq!(between(b"QXJ7ZK3W"), Some(b"".as_slice()));
        assert_eq!(between(b"ZK3WQXJ7"), None);
    }
}
