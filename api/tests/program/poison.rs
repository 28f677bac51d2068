//! A disk that takes no more: nothing is admitted, nobody is denied, and the server says so.

use crate::support::{Client, PATIENCE, Site, until, venue_scan};
use std::time::Instant;

const VALIDATE: &str = "/api/access/validate";

/// A site whose journal may grow by so many bytes only. The segment is preallocated before.
fn limited_site(bytes: u64) -> Site {
    let rows: String = (0..3_000).map(|n| format!("T{n:05},SEAT,\n")).collect();
    let mut site = Site::venue(&rows);
    let inspected = site.command(&["journal", "inspect", &site.journal().display().to_string()]).well();
    let last: serde_json::Value = serde_json::from_str(inspected.out.lines().last().unwrap()).unwrap();
    let end = last["byte"].as_u64().unwrap() + last["bytes"].as_u64().unwrap();
    // `ulimit -f` counts blocks of 512 bytes in a POSIX shell. Without the signal a write fails with EFBIG, as one
    // fails with ENOSPC on a full disk.
    site.shell = Some(format!("trap '' XFSZ; ulimit -f {};", (end + bytes).div_ceil(512)));
    site
}

/// Found by this test: the signal of a file size limit killed the program without a word.
#[test]
fn a_file_size_limit_does_not_kill_the_program() {
    let mut site = limited_site(4 * 1024);
    site.shell = site.shell.map(|shell| shell.replace("trap '' XFSZ; ", ""));
    let mut server = site.start();
    let mut client = server.client();
    let answers = (0..2_000).map(|n| {
        client.request("POST", VALIDATE, &[], venue_scan(&format!("T{n:05}"), &format!("s{n}")).as_bytes())
    });
    let last =
        answers.map(|answer| answer.map(|answer| answer.status)).find(|status| !matches!(status, Ok(200)));
    assert_eq!(
        last.map(Result::ok),
        Some(Some(503)),
        "it ended: {:?}",
        server.ended_within(std::time::Duration::from_secs(1))
    );
}

#[test]
fn when_the_disk_takes_no_more_nobody_is_denied_and_nothing_is_admitted() {
    let site = limited_site(96 * 1024);
    let mut server = site.start();
    let mut client = server.client();
    let mut received = Vec::new();
    let mut failed = None;
    for n in 0..3_000 {
        let body = venue_scan(&format!("T{n:05}"), &format!("s{n}"));
        let answer = match client.request("POST", VALIDATE, &[], body.as_bytes()) {
            Ok(answer) => answer,
            Err(error) => panic!(
                "the server went away at scan {n}: {error}; ended {:?}; log: {}",
                server.ended_within(PATIENCE),
                site.log()
            ),
        };
        if answer.status == 200 {
            assert!(failed.is_none(), "scan {n} is answered after the journal failed: {answer:?}");
            assert_eq!(answer.json()["access_granted"], true, "{answer:?}");
            received.push((body, answer.text()));
        } else {
            answer.is_fault(503, "unavailable");
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
            assert_eq!(answer.json()["fail_policy"], "closed", "{answer:?}");
            failed.get_or_insert(n);
            if n > failed.unwrap() + 50 {
                break;
            }
        }
    }
    let failed = failed.expect("the limit was never reached");
    assert!(failed > 10, "the journal failed at once");
    // Refusals and retries cannot be told either; a check would be a promise.
    client.post(VALIDATE, &venue_scan("UNKNOWN", "u")).is_fault(503, "unavailable");
    client.post("/api/access/check", &venue_scan("T02999", "c")).is_fault(503, "unavailable");
    let health = client.request("GET", "/api/access/health", &[], b"").unwrap();
    assert_eq!((health.status, &health.json()["status"]), (503, &serde_json::json!("unavailable")));
    let ready = Client::to(server.api).request("GET", "/readyz", &[], b"").unwrap();
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.text().contains("poisoned"), "{ready:?}");
    assert_eq!(server.metric("gatehouse_journal_poisoned"), 1.0);
    assert!(site.log().contains("ERROR"), "people are told: {}", site.log());
    let began = Instant::now();
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended_within(PATIENCE).is_some(), "a poisoned server stops, {:?}", began.elapsed());
    drop(server);
    after_the_restart(site, &received, failed);
}

/// With room again, everything that was answered is there and nothing else was admitted.
fn after_the_restart(mut site: Site, received: &[(String, String)], failed: usize) {
    site.shell = None;
    let server = site.start();
    let mut client = server.client();
    for (body, answer) in received {
        assert_eq!(client.post(VALIDATE, body).text(), *answer);
    }
    let next = client.post(VALIDATE, &venue_scan(&format!("T{:05}", failed + 20), "after")).json();
    assert_eq!(next["access_granted"], true, "a scan that was unavailable took nothing: {next}");
    until("readiness", || {
        (Client::to(server.api).request("GET", "/readyz", &[], b"").unwrap().status == 200).then_some(())
    });
    server.projected();
    server.stop();
}

#[test]
fn a_reader_that_speaks_text_stays_shut_when_the_disk_takes_no_more() {
    let site = limited_site(24 * 1024);
    let more = "[[device]]\nname = 'R'\ngate = 'IN'\nkey = 'key-of-r'\nprofile = 'vguang'\nnumber = '7'\nrate_per_minute = 0\n";
    let mut site = {
        let mut plain = site;
        let shell = plain.shell.take();
        plain.command(&["import", "venue", &plain.file("more.toml", more.as_bytes())]).well();
        plain.shell = shell;
        plain
    };
    let server = site.start();
    let mut client = server.client();
    let unavailable = (0..3_000).find_map(|n| {
        let answer = client
            .request(
                "POST",
                "/d/key-of-r/api/access/validate",
                &[],
                format!("vgdecoderesult=T{n:05}&&devicenumber=7").as_bytes(),
            )
            .unwrap_or_else(|error| panic!("{error}: {}", site.log()));
        assert!(
            answer.text().starts_with(if answer.status == 200 { "code=0000" } else { "code=02ff" }),
            "{answer:?}"
        );
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(unavailable.expect("the limit was never reached").status, 503);
    server.kill();
    site.shell = None;
    site.start().stop();
}

/// The answer was written with its rate limit, then the journal failed: what takes its place says the same.
#[test]
fn an_answer_that_becomes_unavailable_still_says_where_a_limited_device_stands() {
    let mut site = limited_site(24 * 1024);
    let shell = site.shell.take();
    let more = "[[device]]\nname = 'L'\ngate = 'IN'\nkey = 'key-of-l'\nrate_per_minute = 5000\n";
    site.command(&["import", "venue", &site.file("limited.toml", more.as_bytes())]).well();
    site.shell = shell;
    let server = site.start();
    let mut client = server.client();
    let unavailable = (0..3_000).find_map(|n| {
        let body = format!(r#"{{"api_key":"key-of-l","qr_data":"T{n:05}","scan_id":"s{n}"}}"#);
        let answer = client.post(VALIDATE, &body);
        for name in ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"] {
            assert_eq!(
                answer.headers.iter().filter(|(own, _)| own == name).count(),
                1,
                "{n} {name}: {answer:?}"
            );
        }
        assert_eq!(answer.header("X-RateLimit-Remaining"), Some((4_999 - n).to_string().as_str()));
        (answer.status != 200).then_some(answer)
    });
    unavailable.expect("the limit was never reached").is_fault(503, "unavailable");
    server.kill();
}
