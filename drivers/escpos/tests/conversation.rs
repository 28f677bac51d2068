//! What a printer says and what a document comes to: before, in the middle, afterwards.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Bench, LONG};
use driver_sdk::{Done, Driver, Fault, Level, Op, Proof, Status};
use std::collections::BTreeSet;
use std::time::Duration;

const JOB: &str = r#"{"profile":"tm-t20"}"#;
const PAPER_OUT: [u8; 4] = [0x1a, 0x32, 0x12, 0x7e];
const COVER_OPEN: [u8; 4] = [0x1a, 0x16, 0x12, 0x12];

fn receipt() -> Vec<Op<'static>> {
    vec![Op::Text("Receipt".into()), Op::Newline, Op::Text("Total 5".into()), Op::Newline, Op::Newline]
}

/// A document of some 30 KB.
fn picture() -> Op<'static> {
    Op::Image { width: 576, height: 400, dots: vec![0xaa; 72 * 400].into() }
}

// === Before ===

#[test]
fn a_printer_that_cannot_print_is_sent_nothing_and_the_document_may_be_tried_again() {
    for (answers, fault, words) in [
        (PAPER_OUT, Fault::PaperOut, "out of paper: put in a new roll; nothing was printed"),
        (COVER_OPEN, Fault::CoverOpen, "the cover is open: close it; nothing was printed"),
        ([0x1a, 0x52, 0x1a, 0x12], Fault::Cutter, "the cutter is stuck"),
        ([0x1a, 0x52, 0x52, 0x12], Fault::Overheat, "too hot"),
        ([0x1a, 0x12, 0x12, 0x12], Fault::Offline, "off-line"),
    ] {
        let mut bench = Bench::new(JOB);
        bench.printer.real_time = Some(answers);
        for ops in [receipt(), vec![Op::Drawer { pin: 0, pulse_ms: 100 }]] {
            let report = bench.run(&ops);
            assert_eq!((report.done, report.fault, report.ops_done), (Done::None, Some(fault), 0));
            assert!(report.text.contains(words), "{}", report.text);
            assert_eq!(report.native_code, i32::from_be_bytes(answers));
            assert!(bench.printer.printed.is_empty());
        }
        // The roll is put in: the same document prints.
        bench.printer.real_time = Some([0x12; 4]);
        assert_eq!(bench.run(&receipt()).done, Done::Confirmed);
    }
}

#[test]
fn a_printer_that_must_answer_and_is_silent_is_sent_nothing() {
    let mut bench = Bench::new(JOB);
    bench.printer.real_time = None;
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Timeout)));
    assert!(report.text.starts_with("the printer does not answer: is it switched on"), "{}", report.text);
    assert!(bench.printer.printed.is_empty());
    assert_eq!(bench.status(), Err(Fault::Timeout));
}

#[test]
fn an_unknown_printer_that_never_answers_is_printed_on_and_not_asked_for_ever() {
    let mut bench = Bench::new("{}");
    bench.printer.real_time = None;
    for _ in 0..5 {
        let report = bench.run(&receipt());
        assert_eq!((report.done, report.fault, report.status), (Done::Sent, None, Status::UNKNOWN));
    }
    let asked = bench.printer.asked.iter().filter(|asked| asked[0] == 0x10).count();
    assert_eq!(asked, 3);
    assert_eq!(bench.status(), Ok(Status::UNKNOWN));
}

#[test]
fn a_printer_that_once_answered_is_not_printed_on_when_it_is_silent() {
    let mut bench = Bench::new("{}");
    assert_eq!(bench.run(&receipt()).done, Done::Sent);
    bench.printer.real_time = None;
    let before = bench.printer.printed.len();
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault), (Done::None, Some(Fault::Timeout)));
    assert_eq!(bench.printer.printed.len(), before);
}

#[test]
fn usb_s_port_tells_where_the_printer_does_not() {
    let mut bench = Bench::new("{}");
    bench.printer.real_time = None;
    bench.printer.port = Some(0x30);
    assert_eq!(bench.status(), Ok(Status::PAPER_OUT));
    assert_eq!(bench.run(&receipt()).fault, Some(Fault::PaperOut));
    bench.printer.port = Some(0x18);
    assert_eq!(bench.status(), Ok(Status::ONLINE));
    assert_eq!(bench.run(&receipt()).done, Done::Sent);
}

// === In the middle ===

#[test]
fn out_of_paper_in_the_middle_is_unknown_with_what_left_and_what_to_do() {
    let mut bench = Bench::new(JOB);
    // Its buffer fills up, and it tells why by itself.
    bench.printer.breaks = Some((9_000, Fault::Timeout));
    bench.printer.last_words = vec![0x18, 0, 0x0c, 0x0f];
    let ops = [Op::Text("Receipt".into()), Op::Newline, picture(), Op::Text("Thanks".into()), Op::Newline];
    let report = bench.run(&ops);
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::PaperOut)));
    assert_eq!(report.ops_done, 2);
    assert_eq!(report.text, "out of paper while printing: look whether the receipt came out");
    assert!(report.status.has(Status::PAPER_OUT));
    // It was known long before the document's time was over.
    assert!(bench.host.clock.get() < Duration::from_secs(3), "{:?}", bench.host.clock.get());
}

#[test]
fn a_line_that_breaks_is_unprinted_before_the_first_byte_and_unknown_after_it() {
    for (at, fault, done, ops_done, words) in [
        (0, Fault::Gone, Done::None, 0, "nothing was printed"),
        (1, Fault::Gone, Done::Unknown, 0, "the connection to the printer broke while printing"),
        (8, Fault::Io, Done::Unknown, 2, "look whether the receipt came out"),
        (16, Fault::Cancelled, Done::Unknown, 4, "cancelled while printing"),
    ] {
        let mut bench = Bench::new(JOB);
        bench.printer.breaks = Some((at, fault));
        let report = bench.run(&receipt());
        assert_eq!((report.done, report.fault, report.ops_done), (done, Some(fault), ops_done), "{at}");
        assert!(report.text.contains(words), "{}", report.text);
    }
}

#[test]
fn a_printer_that_takes_no_bytes_is_given_up_in_time() {
    let mut bench = Bench::new(JOB);
    bench.printer.breaks = Some((100, Fault::Timeout));
    let report = bench.run(&[picture()]);
    assert_eq!((report.done, report.fault, report.ops_done), (Done::Unknown, Some(Fault::Timeout), 0));
    assert!(bench.host.clock.get() <= LONG + Duration::from_secs(1));
}

#[test]
fn a_command_that_broke_in_the_middle_is_ended_before_the_next_document() {
    // A printer that does not answer in turn.
    let mut bench = Bench::new("{}");
    bench.printer.breaks = Some((500, Fault::Io));
    bench.run(&[picture()]);
    bench.printer.breaks = None;
    bench.printer.asked.clear();
    // The line is new, and the printer still out of paper: it is asked first, and told nothing.
    bench.driver.reset(&mut bench.printer, LONG).unwrap();
    bench.printer.real_time = Some(PAPER_OUT);
    assert_eq!(bench.run(&receipt()).fault, Some(Fault::PaperOut));
    assert!(bench.printer.asked.iter().all(|asked| asked[0] == 0x10));
    bench.printer.real_time = Some([0x12; 4]);
    bench.printer.asked.clear();
    assert_eq!(bench.run(&receipt()).done, Done::Sent);
    let at = bench.printer.asked.iter().position(|asked| asked[0] == 0).unwrap();
    let (filler, preamble) = (&bench.printer.asked[at], &bench.printer.asked[at + 1]);
    assert!(filler.len() >= 8 + 72 * 128 && filler.iter().all(|byte| *byte == 0), "{}", filler.len());
    assert!(preamble.starts_with(b"\x1b@"));
    // Once.
    bench.printer.asked.clear();
    assert_eq!(bench.run(&receipt()).done, Done::Sent);
    assert!(bench.printer.asked.iter().all(|asked| asked[0] != 0));
}

// === Afterwards ===

#[test]
fn a_document_is_confirmed_by_its_own_tag_only() {
    let mut bench = Bench::new(JOB);
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault, report.ops_done), (Done::Confirmed, None, 5));
    assert!(report.status.has(Status::ONLINE));
    let tags = |bench: &Bench| -> Vec<Vec<u8>> {
        let asked = bench.printer.asked.iter().filter(|asked| asked.starts_with(b"\x1d(H"));
        asked.map(|asked| asked[7..].to_vec()).collect()
    };
    bench.run(&receipt());
    let found = tags(&bench);
    // One before the first document, one behind each.
    let different: BTreeSet<&Vec<u8>> = found.iter().collect();
    assert!(found.len() == 3 && different.len() == 3, "{found:?}");
    assert!(found.iter().flatten().all(|byte| (0x20..=0x7e).contains(byte)));
    // Another document's proof proves nothing.
    bench.printer.job_tag = Some([found[1][0], found[1][1], found[1][2], found[1][3]]);
    let report = bench.run(&receipt());
    assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::Timeout)));
    assert_eq!(report.text, "the printer took too long while printing: look whether the receipt came out");
}

#[test]
fn out_of_paper_after_everything_left_is_unknown() {
    for config in [JOB, r#"{"profile":"tm-t20","asb":false,"proof":"queued"}"#, "{}"] {
        let mut bench = Bench::new(config);
        bench.printer.job_takes = None;
        bench.printer.real_time_after = Some(PAPER_OUT);
        let report = bench.run(&[picture()]);
        assert_eq!((report.done, report.fault), (Done::Unknown, Some(Fault::PaperOut)), "{config}");
        assert_eq!(report.ops_done, 1);
        assert_eq!(report.text, "out of paper while printing: look whether the receipt came out");
        assert!(bench.host.clock.get() < Duration::from_secs(5));
    }
}

#[test]
fn a_queued_answer_confirms_and_one_that_is_owed_from_before_does_not() {
    let mut bench = Bench::new(r#"{"profile":"tm-t20","asb":false,"proof":"queued"}"#);
    bench.printer.queued_takes = Some(Duration::from_millis(900));
    assert_eq!(bench.run(&receipt()).done, Done::Confirmed);
    // It answers after the document was given up: that is no answer to the next one.
    bench.printer.queued_takes = Some(LONG + Duration::from_secs(1));
    assert_eq!(bench.run(&receipt()).done, Done::Unknown);
    bench.printer.queued_takes = None;
    assert_eq!(bench.run(&receipt()).done, Done::Unknown);
}

#[test]
fn without_proof_a_document_is_sent() {
    for config in ["{}", r#"{"profile":"bsc10"}"#, r#"{"profile":"tm-t20","proof":"none"}"#] {
        let mut bench = Bench::new(config);
        let report = bench.run(&receipt());
        assert_eq!((report.done, report.fault), (Done::Sent, None), "{config}");
        assert_eq!(report.text, "sent; this printer does not confirm that it has printed");
        assert!(!bench.printer.asked.iter().any(|asked| asked.starts_with(b"\x1d(H")));
    }
}

// === Answers and questions ===

#[test]
fn a_late_answer_is_not_taken_for_the_next_question_s() {
    let mut bench = Bench::new(JOB);
    assert_eq!(bench.status(), Ok(Status::ONLINE));
    // The answer to the first question comes while the second of the next round waits: as that one's it would say that
    // the cover is open.
    bench.printer.real_time = Some([0x36; 4]);
    bench.printer.real_time_takes = Duration::from_millis(900);
    assert_eq!(bench.status(), Err(Fault::Timeout));
    bench.printer.real_time = Some([0x12; 4]);
    bench.printer.real_time_takes = Duration::from_millis(300);
    assert_eq!(bench.status(), Ok(Status::ONLINE));
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for_for_ever() {
    let mut bench = Bench::new(JOB);
    assert_eq!(bench.status(), Ok(Status::ONLINE));
    bench.printer.real_time = None;
    assert_eq!(bench.status(), Err(Fault::Timeout));
    bench.printer.real_time = Some([0x12, 0x12, 0x12, 0x1e]);
    assert_eq!(bench.status(), Ok(Status::ONLINE.with(Status::PAPER_LOW)));
}

#[test]
fn a_status_sent_by_itself_is_no_answer_and_is_told_once() {
    let mut bench = Bench::new(JOB);
    bench.printer.sends.push_back((Duration::ZERO, vec![0x10, 0, 0x03, 0x0f]));
    assert_eq!(bench.status(), Ok(Status::ONLINE));
    let next = bench.driver.tick(&mut bench.printer).unwrap();
    assert_eq!(next, Some(Duration::from_secs(1)));
    assert_eq!(*bench.host.changes.borrow(), [Status::ONLINE.with(Status::PAPER_LOW)]);
    bench.driver.tick(&mut bench.printer).unwrap();
    assert_eq!(bench.host.changes.borrow().len(), 1);
    // Halves of a status in two reads.
    for part in [vec![0x38, 0], vec![0, 0x0f]] {
        bench.printer.sends.push_back((Duration::ZERO, part));
    }
    bench.driver.tick(&mut bench.printer).unwrap();
    assert_eq!(bench.host.changes.borrow()[1..], [Status::COVER_OPEN]);
    assert!(bench.host.log.borrow().is_empty());
}

#[test]
fn what_makes_no_sense_is_counted_and_logged() {
    let mut bench = Bench::new(JOB);
    bench.printer.sends.push_back((Duration::ZERO, b"\xff\xfe\x37\x22OLD!\0\x12".to_vec()));
    bench.driver.tick(&mut bench.printer).unwrap();
    let meant = "so far 2 bytes from the printer made no sense, 2 answers had no question";
    assert_eq!(*bench.host.log.borrow(), [(Level::Warn, meant.to_owned())]);
    assert_eq!(bench.run(&receipt()).done, Done::Confirmed);
}

#[test]
fn a_printer_without_status_of_its_own_needs_no_tick() {
    let mut bench = Bench::new("{}");
    assert_eq!(bench.driver.tick(&mut bench.printer), Ok(None));
}

// === What it is ===

#[test]
fn a_probe_tells_what_the_printer_says_it_is_and_prints_nothing() {
    let mut bench = Bench::new("{}");
    bench.printer.model = Some("TM-T88V");
    bench.printer.device_id = Some("MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;");
    let found = bench.driver.probe(&mut bench.printer, LONG).unwrap();
    assert_eq!(found["model"], "TM-T88V");
    assert_eq!(found["profile_that_fits"], "tm-t88");
    assert_eq!(found["ieee1284"], "MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;");
    assert_eq!((&found["answers"], &found["status"]), (&true.into(), &"online".into()));
    assert!(bench.printer.printed.is_empty());
}

#[test]
fn a_silent_printer_is_not_asked_what_it_might_print() {
    let mut bench = Bench::new("{}");
    bench.printer.real_time = None;
    let found = bench.driver.probe(&mut bench.printer, LONG).unwrap();
    assert_eq!((&found["answers"], &found["model"]), (&false.into(), &serde_json::Value::Null));
    assert!(!bench.printer.asked.iter().any(|asked| asked.starts_with(b"\x1dI")));
}

#[test]
fn capabilities_are_the_profile_s() {
    for (config, columns, dots, cuts, proof) in [
        ("{}", 48, 576, true, Proof::Polled),
        (r#"{"profile":"generic-58"}"#, 32, 384, false, Proof::Polled),
        (r#"{"profile":"tm-t88"}"#, 42, 512, true, Proof::Job),
        (r#"{"profile":"bsc10"}"#, 48, 576, true, Proof::None),
        (r#"{"profile":"tm-t88","columns":40}"#, 40, 512, true, Proof::Job),
    ] {
        let told = Bench::new(config).driver.capabilities();
        assert_eq!(
            (told.columns, told.dots, told.cuts, told.proof),
            (columns, dots, cuts, proof),
            "{config}"
        );
    }
}
