//! A printer that may be in the middle of a command, of whoever printed last: found out before a document begins.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Bench, LONG};
use driver_escpos::Escpos;
use driver_sdk::{Done, Driver, Fault, Op, Status};
use std::time::Duration;

const JOB: &str = r#"{"profile":"tm-m30"}"#;
const QUEUED: &str = r#"{"profile":"tm-t20","asb":false,"proof":"queued"}"#;
/// A band of a picture as wide as the paper of both: the longest command there is.
const BAND_BYTES: usize = 8 + 72 * 128;

fn receipt() -> Vec<Op<'static>> {
    vec![Op::Text("Receipt".into()), Op::Newline]
}

fn bench(config: &str) -> Bench {
    let mut bench = Bench::new(config);
    bench.printer.queued_takes = bench.printer.job_takes;
    bench
}

/// Questions that are answered in turn, of either kind.
fn questions(bench: &Bench) -> usize {
    let in_turn = |asked: &&Vec<u8>| asked.starts_with(b"\x1d(H") || asked.starts_with(b"\x1dr");
    bench.printer.asked.iter().filter(in_turn).count()
}

fn blanks(bench: &Bench) -> usize {
    bench.printer.asked.iter().map(|asked| asked.iter().take_while(|byte| **byte == 0).count()).sum()
}

#[test]
fn a_printer_in_a_picture_is_led_out_of_it_and_nothing_of_the_document_goes_into_it() {
    for config in [JOB, QUEUED] {
        // In what it is asked, in each piece of blanks, and as deep as a document of this driver can leave it.
        for inside in [1, 12, 13, 14, 20, 25, 40, 500, 540, 2_600, 2_620, BAND_BYTES - 1] {
            let mut bench = bench(config);
            bench.printer.inside = inside;
            let report = bench.run(&receipt());
            assert_eq!((report.done, report.fault), (Done::Confirmed, None), "{config} {inside}");
            assert_eq!((bench.printer.inside, bench.printer.swallowed), (0, 0), "{config} {inside}");
            assert_eq!(bench.printer.printed, b"Receipt\n");
            assert!(blanks(&bench) <= BAND_BYTES);
            // Whatever it was led out with, the document begins in a printer that is initialised.
            let last = bench.printer.asked.iter().rfind(|asked| asked.starts_with(b"\x1b@")).unwrap();
            assert!(last.starts_with(b"\x1b@\x1c."), "{last:02x?}");
        }
    }
}

#[test]
fn a_printer_that_answers_at_once_is_sent_no_blanks_and_asked_once_a_line() {
    for config in [JOB, QUEUED] {
        let mut bench = bench(config);
        for _ in 0..3 {
            assert_eq!(bench.run(&receipt()).done, Done::Confirmed);
        }
        assert_eq!((questions(&bench), blanks(&bench)), (1 + 3, 0), "{config}");
        bench.driver.reset(&mut bench.printer, LONG).unwrap();
        assert_eq!(bench.run(&receipt()).done, Done::Confirmed);
        assert_eq!(questions(&bench), 1 + 3 + 2, "{config}");
        // A document that was not confirmed leaves a doubt on the same line too.
        (bench.printer.job_takes, bench.printer.queued_takes) = (None, None);
        assert_eq!(bench.run(&receipt()).done, Done::Unknown);
        bench.printer.inside = 30;
        bench.printer.job_takes = Some(Duration::from_millis(5));
        bench.printer.queued_takes = bench.printer.job_takes;
        assert_eq!(bench.run(&receipt()).done, Done::Confirmed, "{config}");
        assert_eq!(bench.printer.swallowed, 0);
    }
}

#[test]
fn a_mute_printer_is_sent_nothing_of_the_document_and_no_more_blanks_than_a_command_is_long() {
    for config in [JOB, QUEUED, r#"{"profile":"tm-t88","qr":"raster","status":"none"}"#] {
        let mut bench = bench(config);
        bench.printer.turn_takes = None;
        let report = bench.run(&receipt());
        assert_eq!((report.done, report.fault, report.ops_done), (Done::None, Some(Fault::Offline), 0));
        assert_eq!(
            report.text,
            "the printer is busy or stuck in a picture: if it stays so, switch it off and on, and check its profile; \
             nothing was printed"
        );
        assert!(bench.printer.writes.is_empty());
        assert!(blanks(&bench) <= BAND_BYTES && blanks(&bench) >= 4_096, "{}", blanks(&bench));
        // Half of the document's time, and a last look.
        assert!(bench.host.clock.get() <= LONG / 2 + Duration::from_secs(1), "{:?}", bench.host.clock.get());
        // Switched off and on: the same document prints.
        bench.printer.turn_takes = Some(Duration::from_millis(5));
        assert_eq!(bench.run(&receipt()).done, Done::Confirmed, "{config}");
    }
}

#[test]
fn a_command_longer_than_any_of_this_driver_is_ended_by_trying_again() {
    for config in [JOB, QUEUED] {
        let mut bench = bench(config);
        bench.printer.inside = 2 * BAND_BYTES;
        assert_eq!(bench.run(&receipt()).done, Done::None);
        let tries = (0..5).find(|_| bench.run(&receipt()).done == Done::Confirmed);
        assert!(tries.is_some(), "{config}");
        assert_eq!((bench.printer.swallowed, &bench.printer.printed[..]), (0, &b"Receipt\n"[..]));
    }
}

#[test]
fn a_late_answer_in_turn_is_no_document_s_proof() {
    for config in [JOB, QUEUED] {
        // Later than the second question, and after the last one.
        for takes in [150, 3_000] {
            let mut bench = bench(config);
            bench.printer.turn_takes = Some(Duration::from_millis(takes));
            let report = bench.run(&receipt());
            assert_eq!((report.done, report.fault), (Done::Confirmed, None), "{config} {takes}");
            bench.driver.reset(&mut bench.printer, LONG).unwrap();
            (bench.printer.job_takes, bench.printer.queued_takes) = (None, None);
            let report = bench.run(&receipt());
            assert_eq!(
                (report.done, report.fault),
                (Done::Unknown, Some(Fault::Timeout)),
                "{config} {takes}"
            );
        }
        // After the document was given up: the next one is proved by its own answer all the same.
        let mut bench = bench(config);
        bench.printer.turn_takes = Some(LONG);
        assert_eq!(bench.run(&receipt()).done, Done::None);
        (bench.printer.job_takes, bench.printer.queued_takes) = (None, None);
        bench.printer.turn_takes = Some(Duration::from_millis(5));
        bench.driver.reset(&mut bench.printer, LONG).unwrap();
        assert_eq!(bench.run(&receipt()).done, Done::Unknown, "{config}");
    }
}

#[test]
fn a_fresh_process_finds_a_printer_in_the_picture_of_the_one_before() {
    for config in [JOB, QUEUED] {
        let mut bench = bench(config);
        bench.printer.breaks = Some((500, Fault::Gone));
        let picture = Op::Image { width: 576, height: 128, dots: vec![0xaa; 72 * 128].into() };
        assert_eq!(bench.run(&[picture]).done, Done::Unknown);
        bench.printer.breaks = None;
        bench.printer.inside = BAND_BYTES - 500;
        // Its answer comes to the next process: of another tag, and before anything was asked.
        bench.printer.sends.push_back((bench.host.clock.get(), b"\x37\x22abcd\0".to_vec()));
        bench.driver = Escpos::create(bench.host.clone(), config).unwrap();
        bench.driver.reset(&mut bench.printer, LONG).unwrap();
        assert_eq!(bench.run(&receipt()).done, Done::Confirmed, "{config}");
        assert_eq!((bench.printer.inside, bench.printer.swallowed), (0, 0), "{config}");
    }
}

#[test]
fn trouble_that_comes_while_its_turn_is_awaited_is_told_and_the_document_may_be_tried_again() {
    let mut bench = Bench::new(r#"{"profile":"tm-t20","status":"none"}"#);
    bench.printer.turn_takes = None;
    // What it printed before took the last of the paper.
    bench.printer.sends.push_back((Duration::from_secs(3), vec![0x18, 0, 0x0c, 0x0f]));
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::PaperOut)));
    assert_eq!(report.text, "out of paper: put in a new roll; nothing was printed");
    assert!(report.status.has(Status::PAPER_OUT));
    assert!(bench.host.clock.get() < Duration::from_secs(5));
}

#[test]
fn a_line_that_cannot_be_read_is_printed_on_and_its_documents_are_unknown() {
    let mut bench = Bench::new(r#"{"profile":"tm-t20","status":"none"}"#);
    bench.printer.deaf = true;
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    assert_eq!((&bench.printer.printed[..], blanks(&bench)), (&b"Receipt\n"[..], 0));
}

#[test]
fn a_printer_that_does_not_answer_in_turn_is_not_asked_to() {
    for config in ["{}", r#"{"profile":"bsc10"}"#, r#"{"profile":"tm-t20","proof":"none"}"#] {
        let mut bench = bench(config);
        bench.driver.reset(&mut bench.printer, LONG).unwrap();
        assert_eq!(bench.run(&receipt()).done, Done::Sent);
        assert_eq!((questions(&bench), blanks(&bench)), (0, 0), "{config}");
    }
}
