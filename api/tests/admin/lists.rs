//! Lists in and out through the API: every layout and encoding, previews that tell the truth, operations that outlive a kill,
//! hostile files, and exports that come back as they were.

use crate::api::{Api, is_problem};
use crate::operations::{came_to, ended, errors};
use crate::support::{Answer, Client, DEMO_TOKEN, Server, Site, until};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

const IMPORTS: &str = "/api/v1/events/demo-match/imports";

/// With demo data; who looks how far an operation is asks often.
fn demo_site() -> Site {
    Site::demo().set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0")
}

fn send(api: &Api<'_>, query: &str, kind: &str, list: &[u8]) -> Answer {
    api.ask("POST", &format!("{IMPORTS}{query}"), &[("Content-Type", kind)], list)
}

/// Imports a list; the operation as it ended.
#[track_caller]
fn import(api: &Api<'_>, query: &str, kind: &str, list: &[u8]) -> Value {
    let answer = send(api, query, kind, list);
    assert_eq!(answer.status, 202, "{}", answer.text());
    ended(api, answer.header("Location").unwrap())
}

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn every_layout_and_encoding_becomes_tickets() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let csv = "text/csv";
    let one = "succeeded +1 ~0 =0 !0";
    let done = |query: &str, kind: &str, list: &[u8]| came_to(&import(&api, query, kind, list));
    assert_eq!(done("", csv, b"code,type,holder\nL-1,VIP,Zoe\n"), one);
    assert_eq!(done("", csv, "\u{feff}Barcode;Ticket type;Name\r\nL-2;STANDARD;Zoë\r\n".as_bytes()), one);
    assert_eq!(done("", csv, &utf16("code\ttype\tholder\nL-3\tVIP\tZoë\n")), one);
    assert_eq!(done("?encoding=windows-1252", csv, b"code,type,holder\nL-4,VIP,Zo\xeb\n"), one);
    assert_eq!(done("", "application/x-ndjson", br#"{"code":"L-5","type":"VIP","seat":"A1"}"#), one);
    assert_eq!(done("?type=VIP", "text/plain", b"Barcode\nL-6\nL-7\n"), "succeeded +2 ~0 =0 !0");
    let mapping = "?type=VIP&mapping=%7B%22EAN-13%22:%22code%22,%22Who%22:%22holder%22%7D";
    assert_eq!(done(mapping, csv, b"EAN-13,Who,Remark\nL-8,Ann,x\n"), one);
    let white = b"L-9;S26;P1;0;FALSE;FALSE;;;\nL-1;S26;P1\n";
    assert_eq!(done("?format=secutix-whitelist&type=VIP", csv, white), "succeeded +1 ~0 =1 !0");
    let black = b"L-9;STOLEN;S26;P1;2026-11-01 10:00:00\nL-404;STOLEN;S26;P1;\n";
    assert_eq!(done("?format=secutix-blacklist", csv, black), "succeeded +0 ~1 =0 !1");
    let checked = b"ORG;;5012;\nL-2;2026-11-01T08:00:00;\n";
    let gate = some_gate(&api);
    assert_eq!(done(&format!("?format=secutix-checked&gate={gate}"), csv, checked), "succeeded +0 ~1 =0 !0");
    assert_eq!(server.scan(1, "L-9", "s-1")["reason"], "blocked");
    assert_eq!(server.scan(1, "L-2", "s-2")["reason"], "already_used");
    let tickets = api.file("/api/v1/exports/tickets?personal=true&event=demo-match");
    assert_eq!(tickets.matches(",Zoë,").count(), 3, "{tickets}");
}

/// Some gate of the demo.
fn some_gate(api: &Api<'_>) -> String {
    let counts = api.file("/api/v1/exports/counts");
    let line = counts.lines().find(|line| line.starts_with("gate,")).unwrap();
    line.split(',').nth(1).unwrap().to_owned()
}

#[test]
fn a_preview_tells_what_the_import_then_does() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let list = b"EAN;Type;Name;Remark\nP-1;VIP;Zo\xeb;x\nP-2;VPI;Al;\n;VIP;Bo;\nP-1;VIP;Zo\xeb;x\n";
    let look = |query: &str| {
        let at = format!("{IMPORTS}/preview{query}");
        let answer = api.ask("POST", &at, &[("Content-Type", "text/csv")], list);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let seen = look("");
    assert_eq!((&seen["encoding"], &seen["delimiter"]), (&json!("windows-1252"), &json!(";")));
    assert_eq!(seen["mapping"], json!({"EAN": "code", "Type": "type", "Name": "holder", "Remark": null}));
    assert!(seen["problem"].as_str().unwrap().contains("'Remark'"), "{seen}");
    assert_eq!(
        seen["rows"][0],
        json!({"line": 2, "outcome": "add", "row": {"code": "P-1", "type": "VIP", "holder": "Zoë"}})
    );
    assert_eq!((&seen["rows_seen"], &seen["rows_good"]), (&json!(4), &json!(2)));
    assert!(seen["errors"][0]["reason"].as_str().unwrap().contains("unknown ticket type 'VPI'"), "{seen}");
    is_problem(&send(&api, "", "text/csv", list), 422, "invalid");
    let mapping = "mapping=%7B%22Remark%22:null%7D&encoding=windows-1252";
    let dry = import(&api, &format!("?{mapping}&dry_run=true"), "text/csv", list);
    assert_eq!(came_to(&dry), "succeeded +1 ~0 =1 !2");
    assert!(!api.file("/api/v1/exports/tickets").contains("\nP-1,"), "a dry run changes nothing");
    let whole = import(&api, &format!("?{mapping}&all_or_nothing=true"), "text/csv", list);
    assert_eq!(came_to(&whole), "failed +0 ~0 =0 !2");
    assert!(!api.file("/api/v1/exports/tickets").contains("\nP-1,"), "nothing is kept of a bad list");
    let real = import(&api, &format!("?{mapping}"), "text/csv", list);
    assert_eq!(came_to(&real), came_to(&dry));
    let told = errors(&api, &real);
    assert_eq!(told, errors(&api, &dry));
    assert!(
        told[0].starts_with("3 unknown ticket type") && told[1].starts_with("4 a ticket needs"),
        "{told:?}"
    );
}

#[test]
fn rows_whose_code_is_there_change_that_ticket_or_nothing() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let list = |query: &str, rows: &str| {
        let text = format!("code,type,holder,seat,status\n{rows}");
        import(&api, query, "text/csv", text.as_bytes())
    };
    assert_eq!(came_to(&list("", "U-1,VIP,Ann,A1,\nU-2,VIP,Bob,A2,\n")), "succeeded +2 ~0 =0 !0");
    assert_eq!(came_to(&list("", "U-1,VIP,Ann,A1,\nU-2,VIP,Bob,A2,\n")), "succeeded +0 ~0 =2 !0");
    let other = list("", "U-1,VIP,Eve,,\n");
    assert!(errors(&api, &other)[0].contains("belongs to another ticket already"), "{other}");
    assert_eq!(came_to(&list("?update=true", "U-1,VIP,Eve,,\nU-2,VIP,,,blocked\n")), "succeeded +0 ~2 =0 !0");
    let shown = api.file("/api/v1/exports/tickets?personal=true");
    let line = |code: &str| shown.lines().find(|line| line.starts_with(code)).unwrap().to_owned();
    assert!(line("U-1,").contains(",Eve,,A1,"), "what a row leaves empty stays: {}", line("U-1,"));
    assert!(line("U-2,").contains(",Bob,,A2,") && line("U-2,").contains("blocked"), "{}", line("U-2,"));
    assert!(!api.file("/api/v1/exports/tickets").contains("Eve"), "persons only where they are asked for");
}

#[test]
fn many_tickets_are_blocked_and_unblocked_at_once() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let rows: String = (0..700).map(|n| format!("B-{n},VIP,O-{}\n", n % 2)).collect();
    import(&api, "", "text/csv", format!("code,type,order\n{rows}").as_bytes());
    let bulk = |body: Value| {
        let at = "/api/v1/events/demo-match/tickets/bulk";
        let answer = api.ask("POST", at, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
        ended(&api, answer.header("Location").unwrap())
    };
    let block = json!({"action": "block", "filter": {"order": "O-1"}, "reason": "stolen"});
    let mut dry = block.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(came_to(&bulk(dry)), "succeeded +0 ~350 =0 !0");
    assert_eq!(server.scan(1, "B-3", "b-0")["access_granted"], true);
    assert_eq!(came_to(&bulk(block.clone())), "succeeded +0 ~350 =0 !0");
    assert_eq!(came_to(&bulk(block)), "succeeded +0 ~0 =350 !0");
    assert_eq!(server.scan(1, "B-1", "b-1")["reason"], "blocked");
    let back = json!({"action": "unblock", "filter": {"codes": ["B-1", "B-9999", "B-1"]}, "reason": "found"});
    let back = bulk(back);
    assert_eq!(came_to(&back), "succeeded +0 ~1 =1 !1");
    assert_eq!(errors(&api, &back), ["2 no ticket has this code"]);
    assert_eq!(server.scan(1, "B-1", "b-2")["access_granted"], true);
    // One line of the audit is about many tickets, and each of them finds it.
    server.projected();
    for (code, done) in [("B-1", vec!["unblock", "block"]), ("B-399", vec!["block"]), ("B-398", vec![])] {
        let done: Vec<String> = done.into_iter().map(str::to_owned).collect();
        let id = api.get(&format!("/api/v1/tickets?code={code}"))["items"][0]["id"].clone();
        let said = |lines: Vec<Value>, action: fn(&Value) -> &Value| -> Vec<String> {
            let words = lines.iter().filter_map(|line| action(line).as_str().map(str::to_owned));
            words.filter(|word| word.ends_with("block")).collect()
        };
        let story = said(api.all(&format!("/api/v1/tickets/{id}/story")), |line| &line["change"]["action"]);
        let audit = said(api.all(&format!("/api/v1/audit?subject={id}")), |line| &line["action"]);
        assert_eq!((story, audit), (done.clone(), done), "{code}");
    }
}

/// A list of so many rows.
fn rows(prefix: &str, count: usize) -> Vec<u8> {
    let mut list = b"code,type,holder,seat\n".to_vec();
    for n in 0..count {
        writeln!(list, "{prefix}-{n:07},VIP,Holder {n},Row {} Seat {}", n / 50, n % 50).unwrap();
    }
    list
}

#[test]
fn an_import_that_was_killed_goes_on_and_every_row_is_there_once() {
    const ROWS: usize = 200_000;
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let mut list = rows("K", ROWS);
    list.extend_from_slice(b"K-bad,NOPE,x,y\n");
    let answer = send(&api, "", "text/csv", &list);
    let at = answer.header("Location").unwrap().to_owned();
    until("rows to be taken in", || {
        let rows = api.get(&at)["progress"]["rows_done"].as_u64().unwrap();
        (rows > 20_000).then_some(())
    });
    server.kill();
    let server = site.start();
    let api = Api::demo(&server);
    let done = ended(&api, &at);
    assert_eq!((&done["state"], &done["resumed"]), (&json!("succeeded"), &json!(1)), "{done}");
    let counts = &done["counts"];
    let good = counts["added"].as_u64().unwrap() + counts["unchanged"].as_u64().unwrap();
    assert_eq!((good, &counts["failed"]), (ROWS as u64, &json!(1)), "{done}");
    let codes = api.file("/api/v1/exports/tickets?event=demo-match");
    let mut own: Vec<&str> =
        codes.lines().filter(|line| line.starts_with("K-")).map(|line| &line[..9]).collect();
    assert_eq!(own.len(), ROWS);
    own.sort_unstable();
    own.dedup();
    assert_eq!(own.len(), ROWS, "every row once");
    assert!(!site.data().join("operations").join(format!("{}.list", done["id"].as_str().unwrap())).exists());
}

#[test]
fn an_import_is_cancelled_and_what_was_taken_stays() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let answer = send(&api, "", "text/csv", &rows("C", 300_000));
    let at = answer.header("Location").unwrap().to_owned();
    let cancelled = api.ask("POST", &format!("{at}/cancel"), &[], b"");
    assert_eq!(cancelled.status, 202, "{}", cancelled.text());
    let done = ended(&api, &at);
    assert_eq!(done["state"], "cancelled", "{done}");
    let added = done["counts"]["added"].as_u64().unwrap();
    let there = api.file("/api/v1/exports/tickets").lines().filter(|line| line.starts_with("C-")).count();
    assert_eq!(there as u64, added);
}

/// Resident memory of a process, in bytes.
fn resident(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Sends a body made of one part again and again.
fn flood(server: &Server, query: &str, head: &[u8], part: &[u8], times: usize) -> Answer {
    let mut stream = TcpStream::connect(server.api).unwrap();
    let length = head.len() + part.len() * times;
    let request = format!(
        "POST {IMPORTS}{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {DEMO_TOKEN}\r\n\
         Content-Type: text/csv\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(head).unwrap();
    for _ in 0..times {
        stream.write_all(part).unwrap();
    }
    Client::over(stream).answer(false).unwrap()
}

#[test]
fn hostile_files_are_told_and_cost_no_memory() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    for packed in [b"PK\x03\x04....".as_slice(), b"\x1f\x8b\x08....", b"\x28\xb5\x2f\xfd...."] {
        is_problem(&send(&api, "", "text/csv", packed), 415, "unsupported_media_type");
    }
    let gzip = [("Content-Type", "text/csv"), ("Content-Encoding", "gzip")];
    is_problem(&api.ask("POST", IMPORTS, &gzip, b"code,type\nA,VIP\n"), 415, "unsupported_media_type");
    is_problem(&send(&api, "", "application/json", b"{}"), 415, "unsupported_media_type");
    is_problem(&send(&api, "", "text/csv", b""), 422, "invalid");
    is_problem(&send(&api, "?encoding=klingon", "text/csv", b"code,type\n"), 422, "invalid");
    is_problem(&send(&api, "?mapping=%5B%5D", "text/csv", b"code,type\n"), 422, "invalid");
    is_problem(&send(&api, "", "text/csv", "code,".repeat(10_000).as_bytes()), 422, "invalid");
    let odd = "code,type,holder\nH-1,VIP,a\0b\nH-2,VIP,\u{feff}x\n\"H-3,VIP,y\nH-4,VIP,ok\n";
    let told = errors(&api, &import(&api, "", "text/csv", odd.as_bytes()));
    let words = ["2 has a NUL", "3 has a byte order mark", "4 a quote"];
    assert!(told.iter().zip(words).all(|(told, word)| told.starts_with(word)), "{told:?}");
    assert_eq!(told.len(), 3, "the row after an open quote is read: {told:?}");
    let before = resident(&server, "VmRSS:");
    // One line of 1 GiB; then quotes that are never closed.
    let head = b"code,type\n".as_slice();
    let line = flood(&server, "", head, &vec![b'x'; 1 << 20], 1024);
    let done = ended(&api, line.header("Location").unwrap());
    assert_eq!(came_to(&done), "succeeded +0 ~0 =0 !1");
    let quotes = flood(&server, "", head, "\"\n".repeat(1 << 16).as_bytes(), 256);
    let done = ended(&api, quotes.header("Location").unwrap());
    assert_eq!(done["state"], "succeeded", "{done}");
    let grown = resident(&server, "VmHWM:").saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more memory", grown >> 20);
}

#[test]
fn what_is_exported_is_imported_elsewhere_as_it_was() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let list = "code,more_codes,card,type,ticket_id,holder,order,seat,valid_from,status,specimen\n\
                '=R-1,R-1b|R-1c,04A1B2C3|04A1B2C4,VIP,T-1,\"=Zoë, \"\"x\"\"\",O;1,'+5,2026-01-01T00:00:00.250Z,blocked,no\n\
                R-2,,,VIP,,,,,,,yes\n";
    assert_eq!(came_to(&import(&api, "", "text/csv", list.as_bytes())), "succeeded +2 ~0 =0 !0");
    let other_site = demo_site();
    let other = other_site.start();
    for (form, kind) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
        let path = format!("/api/v1/exports/tickets?personal=true&event=demo-match&format={form}");
        let sheet = api.file(&path);
        if form == "csv" {
            let mark = format!("#end,{}\n", sheet.lines().count() - 2);
            assert!(sheet.ends_with(&mark), "{sheet}");
            assert!(sheet.contains("'=R-1") && sheet.contains("'+5"), "{sheet}");
        }
        let query = if form == "csv" { "" } else { "?mapping=%7B%7D" };
        let taken = import(&Api::demo(&other), query, kind, sheet.as_bytes());
        assert_eq!(taken["state"], "succeeded", "{taken}");
        // Two tickets of the demo have times that each demo makes anew.
        let only_theirs = |told: &String| told.contains("'DEMO-EARLY'") || told.contains("'DEMO-LATE'");
        let told = errors(&Api::demo(&other), &taken);
        assert!(told.len() == 2 && told.iter().all(only_theirs), "{told:?}");
    }
    let told = |server: &Server| {
        let path = "/api/v1/exports/tickets?personal=true&event=demo-match&format=ndjson";
        let sheet = Api::demo(server).file(path);
        let rows = sheet.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = rows.filter(|row| row["code"].as_str().is_some_and(|code| code.contains("R-")));
        let mut own: Vec<Value> = own.collect();
        own.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("ticket")));
        own
    };
    assert_eq!(told(&server).len(), 2);
    assert_eq!(told(&server), told(&other));
}

#[test]
fn exports_are_for_those_who_may_and_are_in_the_audit() {
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    server.scan(1, "DEMO-VIP-0001", "x-1");
    server.projected();
    for what in ["scans", "counts", "attendance?interval=60"] {
        let sheet = api.file(&format!("/api/v1/exports/{what}"));
        assert!(sheet.lines().last().unwrap().starts_with("#end,"), "{sheet}");
    }
    let audit = api.get("/api/v1/audit?limit=50");
    assert!(audit.to_string().contains("\"export\""), "{audit}");
    is_problem(&api.ask("GET", "/api/v1/exports/secrets", &[], b""), 404, "not_found");
    is_problem(&api.ask("GET", "/api/v1/exports/scans?since=x", &[], b""), 400, "malformed_request");
    is_problem(&api.ask("GET", "/api/v1/exports/scans?interval=0", &[], b""), 400, "malformed_request");
}

#[test]
fn a_million_rows_go_in_and_out_in_bounded_memory() {
    const ROWS: usize = 1_000_000;
    // A ticket in memory is some 185 bytes here with its texts; the store's cache and the journal's segment come to it.
    const PER_TICKET: u64 = 400;
    let site = demo_site();
    let server = site.start();
    let api = Api::demo(&server);
    let before = resident(&server, "VmRSS:");
    let began = std::time::Instant::now();
    let list = rows("M", ROWS);
    let answer = send(&api, "", "text/csv", &list);
    drop(list);
    let done = ended(&api, answer.header("Location").unwrap());
    eprintln!("a million rows in after {:?}", began.elapsed());
    assert_eq!(came_to(&done), format!("succeeded +{ROWS} ~0 =0 !0"));
    let taken_in = resident(&server, "VmHWM:");
    assert!(taken_in - before < ROWS as u64 * PER_TICKET, "{} MiB", (taken_in - before) >> 20);
    let sheet = api.file("/api/v1/exports/tickets?personal=true&format=ndjson");
    assert_eq!(sheet.lines().filter(|line| line.contains("\"code\":\"M-")).count(), ROWS);
    let taken_out = resident(&server, "VmHWM:");
    assert!(taken_out - taken_in < 64 << 20, "{} MiB", (taken_out - taken_in) >> 20);
}
