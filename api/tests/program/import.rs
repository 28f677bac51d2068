//! Lists and venues from outside: every encoding and separator, every mistake with its line, nothing half done.

use crate::support::{Done, Server, Site, venue, venue_scan};
use serde_json::json;

const VALIDATE: &str = "/api/access/validate";

fn import(site: &Site, content: &[u8], extra: &[&str]) -> Done {
    let list = site.file("list", content);
    let mut arguments = vec!["import", "tickets", "--event", "cup", &list];
    arguments.extend_from_slice(extra);
    site.command(&arguments)
}

fn utf16(text: &str, little: bool) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

#[track_caller]
fn admits(server: &Server, code: &str, holder: &str) {
    let value = server.post(VALIDATE, &venue_scan(code, &format!("id-{code}"))).json();
    assert_eq!(
        (&value["access_granted"], &value["ticket_info"]["customer_name"]),
        (&json!(true), &json!(holder)),
        "{code}: {value}"
    );
}

#[test]
fn every_way_to_write_a_list_is_read_and_its_tickets_admit() {
    let site = Site::venue("");
    let server = site.start();
    let lists: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("COMMA", b"code,type,holder\nCOMMA,SEAT,\"M\xc3\xbcller, J\"\n".to_vec(), &[]),
        ("SEMI", "code;type;holder\nSEMI;SEAT;Müller, J\n".into(), &[]),
        ("TAB", "code\ttype\tholder\nTAB\tSEAT\tMüller, J\n".into(), &[]),
        ("CRLF", "code;type;holder\r\nCRLF;SEAT;Müller, J\r\n".into(), &[]),
        ("BOM", "\u{feff}code;type;holder\nBOM;SEAT;Müller, J\n".into(), &[]),
        ("ORDER", " Holder ; TYPE;code\nMüller, J; SEAT ;ORDER".into(), &[]),
        ("U16LE", utf16("code;type;holder\r\nU16LE;SEAT;Müller, J\r\n", true), &[]),
        ("U16BE", utf16("code;type;holder\r\nU16BE;SEAT;Müller, J\r\n", false), &[]),
        ("WIN", b"code;type;holder\r\nWIN;SEAT;M\xfcller, J\r\n".to_vec(), &["--encoding", "windows-1252"]),
        ("JSON", b"{\"code\":\"JSON\",\"type\":\"SEAT\",\"holder\":\"M\\u00fcller, J\"}\n".to_vec(), &[]),
        (
            "JSON2",
            "\u{feff}\n {\"code\":\"JSON2\",\"type\":\"SEAT\",\"holder\":\"Müller, J\"}\r\n\r\n".into(),
            &[],
        ),
    ];
    for (code, list, extra) in lists {
        let done = import(&site, &list, extra);
        assert_eq!(
            (done.code, done.out.as_str()),
            (0, "1 tickets imported, 0 bad rows\n"),
            "{code}: {done:?}"
        );
        admits(&server, code, "Müller, J");
    }
    let unnamed = import(&site, b"code;type;holder\nWIN2;SEAT;M\xfcller\n", &[]);
    assert_eq!(unnamed.code, 1, "{unnamed:?}");
    assert!(unnamed.err.contains("line 2") && unnamed.err.contains("--encoding"), "{unnamed:?}");
    for (list, word) in [
        (&b""[..], "empty"),
        (b"code;kind\nA;SEAT\n", "kind"),
        (b"code\nA\n", "type"),
        (b"holder;type\nA;SEAT\n", "code"),
    ] {
        let done = import(&site, list, &[]);
        assert!(done.code != 0 && done.err.contains(word), "{word}: {done:?}");
    }
    let done = import(&site, b"code;type\nA;SEAT\n", &["--encoding", "klingon"]);
    assert!(done.code != 0 && done.err.contains("klingon"), "{done:?}");
}

/// The bad rows of a list by line, each with a word of its reason; the other rows are good.
const BAD_ROWS: [(u32, &str, &str); 13] = [
    (3, "B3,NOSUCH,,,,,", "SEAT"),
    (5, ",SEAT,,,,,", "code"),
    (6, "G1,SEAT,,,,,", "line 2"),
    (7, "B7,SEAT,,tomorrow,,,", "valid_from"),
    (8, "B8,SEAT,,2030-01-01T00:00:00Z,2029-01-01T00:00:00Z,,", "valid_until"),
    (9, "B9,SEAT,,,,sold,", "sold"),
    (10, "B10,SEAT,,,,,zz", "zz"),
    (11, "B11,SEAT", "columns"),
    (12, "B12,SEAT,,,,,,,,", "columns"),
    (14, "TAKEN,SEAT,,,,,", "another ticket"),
    (15, "B15,,,,,,", "type"),
    (16, "LONG,SEAT,,,,,", "255"),
    (18, "B18,SEAT,,,,,04A1", "another ticket"),
];

fn list_with_bad_rows(line_end: &str) -> String {
    let mut lines = vec!["code,type,holder,valid_from,valid_until,status,card".to_owned()];
    for line in 2..=18 {
        let bad =
            BAD_ROWS.iter().find(|row| row.0 == line).map(|row| row.1.replace("LONG", &"L".repeat(256)));
        lines.push(bad.unwrap_or_else(|| format!("G{},SEAT,,,,,", line - 1)));
    }
    lines.join(line_end) + line_end
}

#[test]
fn every_bad_row_is_told_with_its_line_and_reason_and_the_good_ones_are_kept() {
    for line_end in ["\n", "\r\n"] {
        let site = Site::venue("TAKEN,SEAT,\n");
        import(&site, b"code,type,card\nCARD,SEAT,04A1\n", &[]).well();
        let server = site.start();
        let done = import(&site, list_with_bad_rows(line_end).as_bytes(), &[]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.out.contains("4 tickets imported, 13 bad rows"), "{done:?}");
        for (line, row, word) in BAD_ROWS {
            let told = done.err.lines().find(|told| told.starts_with(&format!("line {line}:")));
            assert!(
                told.is_some_and(|told| told.contains(word)),
                "{line_end:?} line {line} ({row}) is not told with {word}: {}",
                done.err
            );
        }
        for code in ["G1", "G3", "G12", "G16"] {
            assert_eq!(
                server.post(VALIDATE, &venue_scan(code, code)).json()["access_granted"],
                true,
                "{code}"
            );
        }
        assert_eq!(server.post(VALIDATE, &venue_scan("B8", "B8")).json()["reason"], "unknown_ticket");
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let site = Site::venue("");
    let done = import(&site, b"code,type,holder\nA,SEAT,\"two\nlines\"\n\n\nB,NOSUCH,\n", &["--dry-run"]);
    assert!(done.err.contains("line 6:"), "a holder of two lines, then two empty lines: {done:?}");
    let done = import(&site, b"{\"code\":\"A\",\"type\":\"SEAT\"}\n\n{\"code\":\"B\",\"type\":\"SEAT\",\"colour\":\"red\"}\nnonsense\n{\"code\":\"A\",\"type\":\"SEAT\"}\n", &["--dry-run"]);
    for (line, word) in [("line 3:", "colour"), ("line 4:", "JSON"), ("line 5:", "line 1")] {
        let told = done.err.lines().find(|told| told.starts_with(line));
        assert!(told.is_some_and(|told| told.contains(word)), "{line} {word}: {done:?}");
    }
    assert!(done.out.contains("1 tickets could be imported, 3 bad rows"), "{done:?}");
}

#[test]
fn a_dry_run_changes_nothing_and_all_or_nothing_keeps_nothing_of_a_bad_list() {
    let site = Site::venue("");
    let good = b"code,type\nA,SEAT\nB,SEAT\n";
    let bad = b"code,type\nA,SEAT\nB,NOSUCH\n";
    let tickets = || site.command(&["export", "tickets", "--format", "ndjson"]).well().out.lines().count();
    let done = import(&site, good, &["--dry-run"]).well();
    assert!(done.out.contains("2 tickets could be imported"), "{done:?}");
    assert_eq!(tickets(), 0);
    let done = import(&site, bad, &["--all-or-nothing"]);
    assert!(
        done.code == 1 && done.out.starts_with("0 tickets imported") && done.err.contains("line 3"),
        "{done:?}"
    );
    assert_eq!(tickets(), 0);
    let done = import(&site, good, &["--all-or-nothing"]).well();
    assert!(done.out.contains("2 tickets imported, 0 bad rows"), "{done:?}");
    assert_eq!(tickets(), 2);
    let done = import(&site, b"code,type\nC,SEAT\nA,SEAT\n", &["--all-or-nothing"]);
    assert!(done.code == 1 && done.err.contains("line 3"), "{done:?}");
    assert_eq!(tickets(), 2);
}

/// Found by reading: both checks together told that nothing could be imported.
#[test]
fn a_dry_run_of_all_or_nothing_tells_how_many_could_be_imported() {
    let site = Site::venue("");
    let done = import(&site, b"code,type\nA,SEAT\nB,SEAT\n", &["--dry-run", "--all-or-nothing"]).well();
    assert!(done.out.contains("2 tickets could be imported, 0 bad rows"), "{done:?}");
}

/// Found by reading: cards were compared within a batch only, so that a dry run saw no duplicate far apart and
/// all-or-nothing kept half a list.
#[test]
fn a_card_that_stands_twice_far_apart_keeps_nothing_of_the_list() {
    let site = Site::venue("");
    let mut list = "code,type,card\n".to_owned();
    for n in 0..600 {
        let card = if n == 0 || n == 599 { "04AABBCC" } else { "" };
        list.push_str(&format!("C{n},SEAT,{card}\n"));
    }
    let dry = import(&site, list.as_bytes(), &["--dry-run"]);
    assert!(dry.code == 1 && dry.err.contains("line 601"), "{dry:?}");
    let done = import(&site, list.as_bytes(), &["--all-or-nothing"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(
        site.command(&["export", "tickets", "--format", "ndjson"]).well().out.lines().count(),
        0,
        "{done:?}"
    );
}

#[test]
fn a_hundred_thousand_rows_are_imported_with_and_without_a_server() {
    let list = |prefix: &str| -> Vec<u8> {
        let mut list = b"code;type;holder\n".to_vec();
        (0..100_000)
            .for_each(|n| list.extend_from_slice(format!("{prefix}{n:06};SEAT;Guest {n}\n").as_bytes()));
        list
    };
    let site = Site::venue("");
    let done = import(&site, &list("OFF"), &[]).well();
    assert!(done.out.contains("100000 tickets imported, 0 bad rows"), "{done:?}");
    let server = site.start();
    assert_eq!(server.metric("gatehouse_tickets"), 100_000.0);
    let done = import(&site, &list("ON"), &["--all-or-nothing"]).well();
    assert!(done.out.contains("100000 tickets imported, 0 bad rows"), "{done:?}");
    assert_eq!(server.metric("gatehouse_tickets"), 200_000.0);
    let again = import(&site, &list("ON"), &[]);
    assert!(
        again.code == 1 && again.out.contains("0 tickets imported, 100000 bad rows"),
        "{} {}",
        again.code,
        again.out
    );
    assert!(again.err.lines().count() < 2_000, "the mistakes do not flood the terminal");
    for code in ["OFF000000", "OFF099999", "ON000000", "ON099999"] {
        assert_eq!(server.post(VALIDATE, &venue_scan(code, code)).json()["access_granted"], true, "{code}");
    }
    server.kill();
    let server = site.start();
    assert_eq!(server.metric("gatehouse_tickets"), 200_000.0);
}

#[test]
fn a_list_may_come_from_standard_input() {
    let site = Site::venue("");
    let mut command = crate::support::program();
    let list = std::fs::File::open(site.file("list", b"code,type\nPIPE,SEAT\n")).unwrap();
    command.args(["import", "tickets", "--event", "cup", "-", "--data-dir", &site.data_text()]).stdin(list);
    assert!(crate::support::finish(command).well().out.contains("1 tickets imported"));
    let server = site.start();
    assert_eq!(server.post(VALIDATE, &venue_scan("PIPE", "p")).json()["access_granted"], true);
}

#[test]
fn a_venue_comes_into_a_running_server_with_keys_that_are_shown_once() {
    let site = Site::demo();
    let server = site.start();
    let more = venue().replace("key = 'key-of-d1'\n", "").replace("key = 'key-of-d2'\n", "");
    let file = site.file("venue.toml", more.as_bytes());
    let done = site.command(&["import", "venue", &file]).well();
    let key_of = |device: &str| {
        done.out.lines().find_map(|line| line.trim().strip_prefix(&format!("{device}  "))).map(str::to_owned)
    };
    let key = key_of("D1").unwrap_or_else(|| panic!("{done:?}"));
    assert!(key.len() >= 20 && key_of("D2").is_some_and(|other| other != key), "{done:?}");
    site.command(&["import", "tickets", "--event", "cup", &site.file("l.csv", b"code,type\nNEW-1,SEAT\n")])
        .well();
    let body = format!(r#"{{"device_id":"D1","api_key":"{key}","qr_data":"NEW-1"}}"#);
    let value = server.post(VALIDATE, &body).json();
    assert_eq!((&value["access_granted"], &value["gate"]), (&json!(true), &json!("IN")), "{value}");
    let again = site.command(&["import", "venue", &file]).well();
    assert!(!again.out.contains("key"), "a known device keeps its key: {again:?}");
    assert_eq!(server.post(VALIDATE, &body.replace("NEW-1", "NEW-2")).json()["reason"], "unknown_ticket");
    server.projected();
    server.stop();
    assert_eq!(crate::support::holds(&site.data(), key.as_bytes()), None, "the key is kept in clear");
    assert!(!site.log().contains(&key), "the key is in the log");
}

#[test]
fn a_venue_with_mistakes_names_them_all_and_changes_nothing() {
    let site = Site::demo();
    let server = site.start();
    let lsn = server.metric("gatehouse_journal_next_lsn");
    let bad = format!(
        "{}[[gate]]\nname = 'X'\nevent = 'nope'\nfrom = 'outside'\nto = 'NOWHERE'\n[[device]]\nname = 'Y'\ngate = 'MISSING'\nprofile = 'fax'\nsources = ['here']\n[[type]]\nname = 'T'\nevent = 'cup'\nvalid_from = 'soon'\n",
        venue()
    );
    let done = site.command(&["import", "venue", &site.file("bad.toml", bad.as_bytes())]);
    assert_eq!(done.code, 1, "{done:?}");
    for word in ["nope", "NOWHERE", "MISSING", "fax", "here", "soon"] {
        assert!(done.err.contains(word), "{word} is missing: {done:?}");
    }
    let done =
        site.command(&["import", "venue", &site.file("odd.toml", b"[[gate]]\nname = 'X'\ncolour = 'red'\n")]);
    assert!(done.code == 1 && done.err.contains("colour"), "{done:?}");
    assert_eq!(server.metric("gatehouse_journal_next_lsn"), lsn, "nothing was written");
}

#[test]
fn exports_give_back_what_was_imported_and_scanned() {
    let site = Site::venue("=A1,SEAT,\"Doe, \"\"J\"\"\"\nB,SEAT,Bo\n");
    let server = site.start();
    server.post(VALIDATE, &venue_scan("=A1", "e1"));
    server.post(VALIDATE, &venue_scan("=A1", "e2"));
    server.projected();
    let csv = site.command(&["export", "scans"]).well().out;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.lines().nth(1).unwrap().contains("'=A1"), "a spreadsheet must not run it: {csv}");
    let rows = site.exported();
    assert_eq!(
        (&rows[0]["code"], &rows[0]["access_granted"], &rows[1]["reason"]),
        (&json!("=A1"), &json!(true), &json!("already_used"))
    );
    let tickets = site.command(&["export", "tickets", "--event", "cup", "--format", "ndjson"]).well().out;
    let first: serde_json::Value = serde_json::from_str(tickets.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["holder"], &first["used"], &first["first_gate"]),
        (&json!("Doe, \"J\""), &json!(1), &json!("IN")),
        "{first}"
    );
    let file = site.file("out.csv", b"");
    site.command(&["export", "tickets", "--output", &file]).well();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
}

/// Found by reading: the separator was chosen from the first bytes that came, however few.
#[test]
fn a_list_that_comes_in_small_pieces_is_read_like_any_other() {
    use std::io::Write;
    let site = Site::venue("");
    let mut command = crate::support::program();
    command.args(["import", "tickets", "--event", "cup", "-", "--data-dir", &site.data_text()]);
    let (out, err) = (site.file("pieces.out", b""), site.file("pieces.err", b""));
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap());
    let mut child = crate::support::Guard(command.spawn().unwrap());
    let mut pipe = child.0.stdin.take().unwrap();
    for piece in ["co", "de;type;hol", "der\r\nPIECE;SEAT;Ann\r\n"] {
        // Between two pieces the reader has the time to take the one before.
        if pipe.write_all(piece.as_bytes()).is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    drop(pipe);
    let status = child.ended_within(crate::support::PATIENCE).unwrap();
    let said = std::fs::read_to_string(&out).unwrap() + &std::fs::read_to_string(&err).unwrap();
    assert!(status.success() && said.contains("1 tickets imported"), "{status}: {said}");
}

#[test]
fn a_command_that_comes_while_the_directory_is_taken_waits_for_whoever_has_it() {
    let site = Site::venue("");
    let directory = site.data().join("journal");
    let taken = engine::disk::StdDisk::open(&directory).unwrap();
    std::thread::scope(|scope| {
        let command = scope.spawn(|| import(&site, b"code,type,holder\nLATE,SEAT,Eve\n", &[]));
        // Far longer than the command takes to be refused.
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert!(!command.is_finished(), "it waits");
        drop(taken);
        command.join().unwrap().well();
    });
    admits(&site.start(), "LATE", "Eve");
}
