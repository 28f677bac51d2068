//! What people and Prometheus see: health, readiness and numbers that move as scans are made.

use crate::postgres::Database;
use crate::support::{Client, Server, Site, until};
use std::collections::{BTreeMap, BTreeSet};

/// Every sample of the page by name and labels; a line that is not Prometheus text stops the test.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut typed) = (BTreeMap::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&words[0]), "{line}");
            if words[0] == "TYPE" {
                assert!(
                    typed.insert(words[1].to_owned(), words[2].to_owned()).is_none(),
                    "typed twice: {line}"
                );
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line:?}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("not a number: {line:?}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let plain = name.split('{').next().unwrap();
        assert!(
            plain.starts_with("gatehouse_")
                && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{line}"
        );
        let labels = name[plain.len()..].trim_start_matches('{').trim_end_matches('}');
        assert!(
            labels.is_empty() || labels.split("\",").all(|pair| pair.split_once("=\"").is_some()),
            "{line}"
        );
        let family = ["_total", "_bucket", "_sum", "_count", "_info"]
            .iter()
            .find_map(|end| plain.strip_suffix(end).filter(|family| typed.contains_key(*family)))
            .unwrap_or(plain);
        assert!(typed.contains_key(family), "no TYPE before {line}");
        assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {line}");
    }
    assert_eq!(page.lines().last(), Some("# EOF"));
    samples
}

fn read(server: &Server) -> BTreeMap<String, f64> {
    samples(&server.metrics())
}

#[test]
fn the_metrics_are_prometheus_text_and_move_as_scans_are_made() {
    let site = Site::demo();
    let server = site.start();
    let before = read(&server);
    assert!(before.values().all(|value| value.is_finite()));
    server.scan(1, "DEMO-STD-000001", "m1");
    server.scan(1, "DEMO-STD-000001", "m2");
    server.scan(1, "DEMO-STD-000001", "m2");
    server.scan(2, "NEVER-SOLD", "m3");
    server.scan(41, "DEMO-STD-000001", "m4");
    server.scan(1, "DEMO-STD-000002", "m5");
    server.post("/d/demo-key-800/api/access/validate", "vgdecoderesult=DEMO-STD-000003&&devicenumber=800");
    server.post("/api/access/validate", "{");
    server.post("/api/access/validate", "{}");
    let after = read(&server);
    let changed = |name: &str| after[name] - before[name];
    for (name, difference) in [
        (r#"gatehouse_denials_total{reason="already_used"}"#, 1.0),
        (r#"gatehouse_denials_total{reason="unknown_ticket"}"#, 1.0),
        (r#"gatehouse_denials_total{reason="blocked"}"#, 0.0),
        (r#"gatehouse_gate_admits_total{gate="ENTRANCE_01"}"#, 2.0),
        (r#"gatehouse_gate_denials_total{gate="ENTRANCE_01"}"#, 1.0),
        (r#"gatehouse_gate_admits_total{gate="ENTRANCE_02"}"#, 1.0),
        (r#"gatehouse_gate_denials_total{gate="ENTRANCE_02"}"#, 1.0),
        (r#"gatehouse_gate_admits_total{gate="EXIT_01"}"#, 1.0),
        (r#"gatehouse_zone_people{zone="BOWL"}"#, 2.0),
        (r#"gatehouse_profile_scans_total{profile="json-v1",decision="admit"}"#, 3.0),
        (r#"gatehouse_profile_scans_total{profile="json-v1",decision="deny"}"#, 2.0),
        (r#"gatehouse_profile_scans_total{profile="vguang",decision="admit"}"#, 1.0),
        ("gatehouse_same_id_scans_total", 1.0),
        (r#"gatehouse_faults_total{status="400"}"#, 1.0),
        (r#"gatehouse_faults_total{status="401"}"#, 1.0),
        ("gatehouse_scan_seconds_count", 7.0),
    ] {
        assert_eq!(changed(name), difference, "{name}");
    }
    let requests = changed("gatehouse_requests_total");
    assert_eq!(requests, 9.0);
    buckets_add_up(&after, "scan_seconds");
    server.kill();
    let restarted = read(&site.start());
    assert_eq!(
        restarted[r#"gatehouse_gate_admits_total{gate="ENTRANCE_01"}"#], 2.0,
        "counts survive a crash"
    );
    assert_eq!(restarted[r#"gatehouse_denials_total{reason="already_used"}"#], 1.0);
}

fn buckets_add_up(samples: &BTreeMap<String, f64>, histogram: &str) {
    let begin = format!("gatehouse_{histogram}_bucket{{le=\"");
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(name, value)| {
            Some((name.strip_prefix(&begin)?.trim_end_matches("\"}").parse().unwrap(), *value))
        })
        .collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
    let last = buckets.last().unwrap();
    assert!(last.0.is_infinite(), "the last bucket is +Inf: {buckets:?}");
    assert_eq!(last.1, samples[&format!("gatehouse_{histogram}_count")]);
}

#[test]
fn the_projection_is_told_with_the_embedded_store() {
    let site = Site::demo();
    let server = site.start();
    server.scan(1, "DEMO-STD-000001", "p1");
    server.projected();
    let page = read(&server);
    buckets_add_up(&page, "projection_batch_seconds");
    assert_eq!(page[r#"gatehouse_store_info{name="sqlite"}"#], 1.0);
    assert!(!page.keys().any(|name| name.starts_with("gatehouse_store_pool")), "it has no pool");
    assert!(!page.keys().any(|name| name.starts_with("gatehouse_projection_last_error")), "nothing failed");
    for (name, value) in [
        ("gatehouse_projection_lag_records", 0.0),
        ("gatehouse_projection_lag_seconds", 0.0),
        ("gatehouse_projection_failing", 0.0),
        ("gatehouse_projection_errors_total", 0.0),
        ("gatehouse_projection_batch_records_max", 8_000.0),
    ] {
        assert_eq!(page[name], value, "{name}");
    }
    let batches = page["gatehouse_projection_batches_total"];
    assert!(batches >= 1.0 && page["gatehouse_projection_records_total"] >= batches, "{page:?}");
    assert_eq!(page["gatehouse_projection_batch_seconds_count"], batches);
}

#[test]
fn how_far_a_database_that_is_away_is_behind_is_told_also_by_a_node_that_began_without_it() {
    let mut database = Database::start();
    let site = database.site();
    let server = site.start();
    server.scan(900, "DEMO-STD-000001", "w1");
    server.projected();
    let page = read(&server);
    assert_eq!(page[r#"gatehouse_store_info{name="postgres"}"#], 1.0);
    assert_eq!(page["gatehouse_store_pool_most"], 8.0);
    assert!(page["gatehouse_store_pool_open"] >= page["gatehouse_store_pool_in_use"]);
    // The node may be asking at this very moment.
    until("nobody to wait for a connection", || {
        (server.metric("gatehouse_store_pool_waiting") == 0.0).then_some(())
    });

    database.server.stop();
    server.scan(900, "DEMO-STD-000002", "w2");
    let noticed = until("the failure to be told", || {
        let page = read(&server);
        (page["gatehouse_projection_failing"] == 1.0).then_some(page)
    });
    assert_eq!(noticed["gatehouse_projection_lag_records"], 1.0);
    assert!(noticed["gatehouse_projection_errors_total"] >= 1.0);
    let error = noticed.keys().find(|name| name.starts_with("gatehouse_projection_last_error_info")).unwrap();
    assert!(!error.contains("only-for-tests") && !error.contains("postgres://"), "{error}");
    let grown = |server: &Server, from: f64| {
        until("the lag to grow", || {
            let lag = server.metric("gatehouse_projection_lag_seconds");
            (lag > from).then_some(lag)
        })
    };
    let lag = grown(&server, noticed["gatehouse_projection_lag_seconds"]);
    server.kill();

    // It is as old as the record, not as the process; which records the store has, only the store could tell.
    let server = site.start();
    let began = read(&server);
    assert!(began["gatehouse_projection_lag_seconds"] >= lag, "{began:?}");
    assert!(began["gatehouse_projection_lag_records"] >= 1.0);
    grown(&server, began["gatehouse_projection_lag_seconds"]);
    database.server.resume();
    server.projected();
    let page = read(&server);
    assert_eq!(page["gatehouse_projection_lag_seconds"], 0.0);
    until("it to say so", || (server.metric("gatehouse_projection_failing") == 0.0).then_some(()));
    let stays = |name: &String| name.starts_with("gatehouse_projection_last_error_info");
    assert!(read(&server).keys().any(stays), "what failed last can still be read");
    server.stop();
}

#[test]
fn health_and_readiness_are_told_apart_and_every_gate_has_a_number() {
    let site = Site::demo();
    let server = site.start();
    let mut client = Client::to(server.api);
    for path in ["/healthz", "/readyz"] {
        let answer = client.request("GET", path, &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let head = client.request("HEAD", path, &[], b"").unwrap();
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(client.request("POST", path, &[], b"").unwrap().status / 100, 4);
    }
    assert!(
        client
            .request("GET", "/metrics", &[], b"")
            .unwrap()
            .header("Content-Type")
            .unwrap()
            .contains("openmetrics")
    );
    let page = read(&server);
    let gates: BTreeSet<&str> =
        page.keys().filter_map(|name| name.strip_prefix("gatehouse_gate_admits_total{gate=\"")).collect();
    assert_eq!(gates.len(), 44);
    let mut devices = server.client();
    assert_eq!(
        devices.request("GET", "/metrics", &[], b"").unwrap().status,
        404,
        "the device port shows no numbers"
    );
}

#[test]
fn a_node_that_traces_tells_how_long_each_step_took() {
    let site = Site::demo();
    let quiet = site.start();
    quiet.scan(1, "DEMO-STD-000001", "t1");
    assert!(!quiet.metrics().contains("stage_seconds"), "off unless asked for");
    let site = Site::demo().set("GATEHOUSE_TRACE", "true");
    let server = site.start();
    for id in ["t1", "t2", "t3"] {
        server.scan(1, "DEMO-STD-000001", id);
    }
    // A write is counted after it was made: whoever got the answer may be faster than the counter.
    let page = until("the last write to be counted", || {
        let page = read(&server);
        (page["gatehouse_stage_seconds_count{stage=\"write\"}"] >= 3.0).then_some(page)
    });
    let of = |name: &str, stage: &str| page[&format!("gatehouse_stage_seconds_{name}{{stage=\"{stage}\"}}")];
    assert_eq!(page["gatehouse_journal_sync_seconds_count"], page["gatehouse_journal_syncs_total"]);
    for stage in ["parse", "decide", "render"] {
        assert_eq!(of("count", stage), 3.0, "{stage}");
    }
    for stage in ["frame", "parse", "decide", "render", "journal_wait", "write"] {
        // Requests that are no scans have no decision, but they come and go as well.
        assert!(of("count", stage) >= 3.0 && of("sum", stage) > 0.0, "{stage}: {page:?}");
        let last = format!("gatehouse_stage_seconds_bucket{{le=\"+Inf\",stage=\"{stage}\"}}");
        assert_eq!(page[&last], of("count", stage), "{stage}");
    }
}
