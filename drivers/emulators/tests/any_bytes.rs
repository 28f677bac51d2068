//! Whatever a line brings, a device does not fall over, and understands what comes after it again where its manual says
//! that it does.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use device_emulators::Machine;
use device_emulators::fgl::FglPrinter;
use device_emulators::pole::{COLUMNS, Dialect, Pole};
use device_emulators::receipt::{Model, ReceiptPrinter};
use device_emulators::zpl::ZplPrinter;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 300;
const BYTES: usize = 1_500;
/// Bytes that commands begin with or are made of, so that they come up more often than by chance.
const LIKELY: &[u8] =
    b"\x04\x0a\x0c\x0d\x10\x14\x16\x17\x18\x1b\x1c\x1d\x1f\x00\x01\x02\x31\x50\x51!#(*<>@AHJQRVX^adekptvw~";

fn any_bytes(seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut byte = |_| match rng.random_bool(0.6) {
        true => LIKELY[rng.random_range(0..LIKELY.len())],
        false => rng.random(),
    };
    (0..BYTES).map(&mut byte).collect()
}

/// Gives all of it, with trouble in between.
fn feed(machine: &mut impl Machine, bytes: &[u8]) {
    for (number, chunk) in bytes.chunks(50).enumerate() {
        machine.take(chunk);
        machine.work();
        machine.answers();
        match number % 7 {
            3 => machine.paper_out(),
            5 => machine.refill(),
            6 => machine.line_lost(),
            _ => {}
        }
    }
    machine.refill();
    machine.work();
}

#[test]
fn displays_stand_any_bytes_and_show_two_whole_lines() {
    use Dialect::*;
    for dialect in [Epson, Pd300, Cd5220, Aedex, Adm, UtcStandard, UtcEnhanced, Dsp800] {
        for seed in 0..SEEDS {
            let mut pole = Pole::new(dialect);
            pole.feed(&any_bytes(seed));
            for line in 0..2 {
                assert_eq!(pole.screen().line(line).chars().count(), COLUMNS, "{dialect:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn printers_stand_any_bytes() {
    for seed in 0..SEEDS {
        let bytes = any_bytes(seed);
        feed(&mut FglPrinter::new(), &bytes);
        feed(&mut ZplPrinter::new(), &bytes);
        let small = Model { buffer_bytes: 32, roll_dots: Some(200), xon_xoff: true, ..Model::default() };
        for model in [Model::default(), small] {
            let mut printer = ReceiptPrinter::new(model);
            feed(&mut printer, &bytes);
            for piece in printer.paper().pieces() {
                // Somebody may feed metres of paper: only what is a receipt's length is drawn.
                if piece.height_dots() < 4_000 {
                    printer.paper().png(piece).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_receipt_printer_understands_again_after_blanks_and_an_initialisation() {
    for seed in 0..SEEDS {
        let mut printer = ReceiptPrinter::new(Model { forgets_command: true, ..Model::default() });
        printer.feed(&any_bytes(seed));
        printer.line_lost();
        printer.feed(b"\x1b@Gate 7\n");
        assert!(printer.paper().text().ends_with("Gate 7\n"), "seed {seed}");
    }
}
