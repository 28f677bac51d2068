//! What is so with PostgreSQL alone: who may write, partitions, a server that is away, refuses or falls silent, and texts it
//! does not take.

use crate::place::{PostgresPlace, run_at};
use crate::projector::{live, options, start, wait_until};
use crate::rows::{apply, day};
use crate::venue::*;
use engine::Lsn;
use engine::checkpoint::image;
use engine::clock::Time;
use engine::record::Record;
use engine::ticket::{CodeKind, Details, Ticket};
use std::time::Duration;
use store::{Cause, PostgresOptions, PostgresStore, ScanFilter, Store, StoreError, TlsMode};
use store_testkit::{Postgres, Proxy, Wire, all_programs};

const DAY_MS: i64 = 86_400_000;

fn cause(error: &StoreError) -> Option<Cause> {
    match error {
        StoreError::Server { cause, .. } => Some(*cause),
        _ => None,
    }
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives_and_takes_over_when_it_has_gone() {
    let (node, _, _) = day(71, 60);
    let records = node.records(0);
    let place = PostgresPlace::new();
    let impatient = PostgresOptions { lock_timeout: Duration::from_millis(100), ..place.options() };
    let mut one = PostgresStore::open(place.options()).unwrap();
    let mut two = PostgresStore::open(impatient).unwrap();
    apply(&mut one, &records[..10]).unwrap();
    let refused = apply(&mut two, &records[..20]).unwrap_err();
    assert!(matches!(refused, StoreError::Occupied), "{refused}");
    assert_eq!(two.cursor().unwrap(), Lsn(10), "who may not write may read");
    apply(&mut one, &records[..15]).unwrap();
    drop(one);
    // The server notices the end of a session when it gets to it.
    wait_until("the other takes over", || apply(&mut two, &records).is_ok());
    assert!(image(&two.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn a_cursor_that_somebody_else_moved_is_noticed_and_nothing_is_written() {
    let (node, _, _) = day(72, 60);
    let records = node.records(0);
    let place = PostgresPlace::new();
    let mut store = PostgresStore::open(place.options()).unwrap();
    apply(&mut store, &records[..10]).unwrap();
    place.run("UPDATE meta SET cursor = 12");
    let before = place.dump();
    let error = apply(&mut store, &records[10..20]).unwrap_err();
    assert!(matches!(error, StoreError::NotAlone { expected: Lsn(10) }), "{error}");
    assert!(place.dump() == before);
}

#[test]
fn migrators_that_start_together_do_it_once() {
    let place = PostgresPlace::new();
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let options = place.options();
            std::thread::spawn(move || PostgresStore::open(options).map(drop))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    assert_eq!(place.run("SELECT count(*) = max(version) FROM schema_version")[0][0], "t");
}

#[test]
fn up_and_down_leave_nothing_and_can_be_repeated() {
    let place = PostgresPlace::new();
    let tables = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind IN ('r', 'p', 'i', 'S') \
                  AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'schema_version%'";
    for _ in 0..2 {
        let (before, latest) = PostgresStore::migrate(place.options(), None).unwrap();
        assert_eq!(before, 0);
        assert_eq!(PostgresStore::migrate(place.options(), None).unwrap(), (latest, latest));
        assert_ne!(place.run(tables)[0][0], "NULL");
        assert_eq!(PostgresStore::migrate(place.options(), Some(0)).unwrap(), (latest, 0));
        assert_eq!(place.run(tables)[0][0], "NULL");
    }
    let unknown = PostgresStore::migrate(place.options(), Some(99)).unwrap_err();
    assert!(matches!(unknown, StoreError::NoSuchSchema { wanted: 99, .. }), "{unknown}");
}

#[test]
fn a_script_that_fails_leaves_nothing() {
    let place = PostgresPlace::new();
    place.run("CREATE TABLE tickets (mine text)");
    let error = PostgresStore::open(place.options()).map(drop).unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Altered), "{error}");
    let tables =
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace";
    assert_eq!(place.run(tables)[0][0], "1");
}

#[test]
fn texts_and_moments_postgresql_does_not_take_hold_nothing_up_and_come_back() {
    let (node, place) = (venue(), PostgresPlace::new());
    let odd = "a\0b \u{FFFE} \0";
    let mut own = ticket(1, 0);
    own.details = Details::new(odd, odd, odd, odd, &[(CodeKind::Optical, b"\0\xFF")]);
    own.status_at = Time(i64::MAX);
    own.valid_until = Time(i64::MAX - 1);
    node.engine.add_tickets(vec![Ticket { valid_until: Time::MAX, ..own }], false).unwrap();
    let mut presented = scan(0, b"\0\xFF");
    presented.scan_id = Some("\0 id");
    presented.scanned_at = Some(Time(i64::MIN));
    node.engine.scan(&presented).unwrap();
    node.commit();
    let mut store = PostgresStore::open(place.options()).unwrap();
    apply(&mut store, &node.records(0)).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
    let queries = store.queries().unwrap();
    let row = &queries.scans(&ScanFilter::default(), None, 1).unwrap()[0];
    assert_eq!((row.given_id.as_str(), row.scanned_at), ("\0 id", Some(Time::MIN)));
    assert_eq!(queries.search_tickets("A\0B", None, None, 10).unwrap().tickets.len(), 1);
}

/// A node at whose gates something happens on each of some days.
fn days_at_the_gates(days: i64) -> Node {
    let node = venue();
    node.engine.add_tickets((0..40).map(|n| ticket(n, 1)).collect(), false).unwrap();
    for day in 0..days {
        for n in 0..40 {
            node.clock.set(START.plus_ms(day * DAY_MS + n * 1_000));
            let code = format!("T{n}");
            let mut own = scan((n % 4) as u32, code.as_bytes());
            let id = format!("{day}-{n}");
            own.scan_id = Some(&id);
            node.engine.scan(&own).unwrap();
            let _ = node.engine.passed(own.device, &id);
        }
    }
    node.commit();
    node
}

fn partitions(place: &PostgresPlace) -> Vec<String> {
    let sql = "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid \
               WHERE inhparent = 'scans'::regclass ORDER BY 1";
    place.run(sql).into_iter().map(|mut row| row.remove(0)).collect()
}

fn count(place: &PostgresPlace, table: &str) -> usize {
    place.run(&format!("SELECT count(*) FROM {table}"))[0][0].parse().unwrap()
}

#[test]
fn every_day_has_its_partition_and_a_week_is_made_ahead() {
    let (node, place) = (days_at_the_gates(2), PostgresPlace::new());
    let mut store = PostgresStore::open(place.options()).unwrap();
    apply(&mut store, &node.records(0)).unwrap();
    // START is 2026-05-28; two days, seven ahead, and the one for all others.
    let made = partitions(&place);
    assert_eq!(made.len(), 10, "{made:?}");
    assert_eq!((made[0].as_str(), made[8].as_str()), ("scans_20260528", "scans_20260605"));
    assert_eq!(count(&place, "scans_20260528"), 40);
    assert_eq!((count(&place, "scans_default"), count(&place, "scans")), (0, 80));
}

#[test]
fn a_scan_of_any_time_finds_a_place_and_moves_when_its_day_gets_a_partition() {
    let (node, place) = (days_at_the_gates(1), PostgresPlace::new());
    let mut store = PostgresStore::open(place.options()).unwrap();
    let records = node.records(0);
    let mut batch = decode(&records);
    let tomorrow_week = START.plus_ms(9 * DAY_MS);
    let times = [Time(0), Time(-1), Time::MAX, Time::MIN, tomorrow_week];
    for (nth, time) in times.into_iter().enumerate() {
        if let (_, Record::Scan(scan)) =
            batch.iter_mut().filter(|(_, own)| matches!(own, Record::Scan(_))).nth(nth).unwrap()
        {
            scan.answer.at = time;
        }
    }
    store.apply(&batch).unwrap();
    assert_eq!((count(&place, "scans_default"), count(&place, "scans")), (5, 40));
    let queries = store.queries().unwrap();
    let far = ScanFilter { since: Some(Time::MAX), ..ScanFilter::default() };
    assert_eq!(queries.scans(&far, None, 10).unwrap()[0].decided_at, Time::MAX);

    let later = node.lsn();
    node.clock.set(tomorrow_week);
    node.engine.scan(&scan(0, b"T39")).unwrap();
    node.commit();
    store.apply(&decode(&node.records(later))).unwrap();
    assert_eq!((count(&place, "scans_20260606"), count(&place, "scans_default")), (2, 4));
}

#[test]
fn old_days_go_whole_but_never_one_with_kept_answers() {
    let (node, place) = (days_at_the_gates(6), PostgresPlace::new());
    let few_days = PostgresOptions { log_days: Some(1), ..place.options() };
    let mut store = PostgresStore::open(few_days.clone()).unwrap();
    for batch in node.records(0).chunks(20) {
        apply(&mut store, batch).unwrap();
    }
    let left = partitions(&place);
    assert!(!left.contains(&"scans_20260528".to_owned()), "{left:?}");
    assert!(left.contains(&"scans_20260602".to_owned()), "{left:?}");
    assert!(count(&place, "scans") < 240);
    let oldest: u64 = place.run("SELECT min(lsn) FROM scans")[0][0].parse().unwrap();
    let kept_from: u64 = place.run("SELECT kept_from FROM meta")[0][0].parse().unwrap();
    assert!(oldest <= kept_from, "{oldest} {kept_from}");
    assert_eq!(count(&place, &format!("passages WHERE scan < {oldest}")), 0);
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());

    // All answers of a day that just ended are kept: it stays although it is older than is wanted.
    let (node, place) = (days_at_the_gates(1), PostgresPlace::new());
    let none = PostgresOptions { log_days: Some(0), ..place.options() };
    let mut store = PostgresStore::open(none).unwrap();
    let before = node.lsn();
    apply(&mut store, &node.records(0)).unwrap();
    node.clock.set(START.plus_ms(DAY_MS - 3_600_000));
    node.engine.scan(&scan(0, b"T1")).unwrap();
    node.commit();
    apply(&mut store, &node.records(before)).unwrap();
    assert!(partitions(&place).contains(&"scans_20260528".to_owned()));
}

#[test]
fn a_reader_of_the_whole_log_holds_up_partitions_and_no_batch() {
    let (node, place) = (days_at_the_gates(1), PostgresPlace::new());
    let mut store = PostgresStore::open(place.options()).unwrap();
    let held = place.hold("BEGIN; SELECT count(*) FROM scans");
    apply(&mut store, &node.records(0)).unwrap();
    assert_eq!((count(&place, "scans"), partitions(&place)), (40, vec!["scans_default".to_owned()]));
    drop(held);
    let mut store = {
        drop(store);
        PostgresStore::open(place.options()).unwrap()
    };
    let before = node.lsn();
    node.engine.scan(&scan(0, b"T1")).unwrap();
    node.commit();
    apply(&mut store, &node.records(before)).unwrap();
    assert_eq!((count(&place, "scans_20260528"), count(&place, "scans_default")), (41, 0));
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_nothing_and_gets_nothing_twice() {
    let mut server = Postgres::start(&all_programs()[0], &Default::default());
    run_at(&server.url("postgres"), "CREATE DATABASE venue");
    let at_server = PostgresOptions { tls: TlsMode::Disable, ..PostgresOptions::at(&server.url("venue")) };
    let (node, mut day) = (venue(), Day::new(73));
    let running = start(&node.engine, Box::new(PostgresStore::open(at_server.clone()).unwrap()), options());
    for round in 0..4 {
        live(&node, &mut day, 200);
        if round % 2 == 0 {
            server.kill()
        } else {
            server.stop()
        }
        live(&node, &mut day, 100);
        wait_until("it is noticed", || running.stats.snapshot().failing);
        server.resume();
        wait_until("it comes back", || node.engine.projected().0 == node.lsn());
    }
    running.stop().unwrap();
    let place = PostgresPlace::new();
    apply(&mut PostgresStore::open(place.options()).unwrap(), &node.records(0)).unwrap();
    let store = PostgresStore::open(at_server).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
    let scans = "SELECT string_agg(own::text, ';' ORDER BY lsn) FROM scans AS own";
    assert_eq!(run_at(&server.url("venue"), scans), place.run(scans));
}

#[test]
fn a_node_may_start_while_the_server_is_away() {
    let mut server = Postgres::start(&all_programs()[0], &Default::default());
    server.stop();
    let at_server = PostgresOptions { tls: TlsMode::Disable, ..PostgresOptions::at(&server.url("postgres")) };
    let refused = PostgresStore::open(at_server.clone()).map(drop).unwrap_err();
    assert_eq!(cause(&refused), Some(Cause::Away), "{refused}");
    let store = PostgresStore::later(at_server.clone()).unwrap();
    assert_eq!(store.cursor().map_err(|error| cause(&error)), Err(Some(Cause::Away)));
    let (node, mut day) = (venue(), Day::new(76));
    let running = start(&node.engine, Box::new(store), options());
    live(&node, &mut day, 100);
    wait_until("it is noticed", || running.stats.snapshot().failing);
    server.resume();
    wait_until("it begins", || node.engine.projected().0 == node.lsn());
    running.stop().unwrap();
    let store = PostgresStore::open(at_server).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn rows_of_another_form_are_refused() {
    let place = PostgresPlace::new();
    drop(PostgresStore::open(place.options()).unwrap());
    place.run("UPDATE meta SET format = 9");
    let refused = PostgresStore::open(place.options()).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Format { found: 9, known: 1 }), "{refused}");
}

#[test]
fn questions_come_back_with_the_server() {
    let mut server = Postgres::start(&all_programs()[0], &Default::default());
    let at_server = PostgresOptions { tls: TlsMode::Disable, ..PostgresOptions::at(&server.url("postgres")) };
    let store = PostgresStore::open(at_server).unwrap();
    let queries = store.queries().unwrap();
    assert_eq!(queries.cursor().unwrap(), Lsn(0));
    server.kill();
    let error = queries.cursor().unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Away), "{error}");
    assert!(error.may_pass());
    server.resume();
    assert_eq!(queries.cursor().unwrap(), Lsn(0), "no connection of the dead server is trusted");
}

/// The connection stays open at the server's side for ever, as behind a proxy that has forgotten the other side: the right
/// to write stayed with it, and the projection waited for it until somebody came.
#[test]
fn a_server_that_falls_silent_is_given_up() {
    let (node, _, _) = day(74, 60);
    let records = node.records(0);
    let place = PostgresPlace::new();
    let proxy = Proxy::to(place.server.port());
    let through = PostgresOptions {
        url: place.url_through(&proxy),
        write_timeout: Duration::from_millis(500),
        question_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(500),
        ..place.options()
    };
    let mut store = PostgresStore::open(through).unwrap();
    apply(&mut store, &records[..10]).unwrap();
    proxy.set(Wire::Swallow);
    let error = apply(&mut store, &records[..20]).unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Away), "{error}");
    let error = store.cursor().unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Away), "{error}");
    proxy.set(Wire::Pass);
    wait_until("it goes on", || apply(&mut store, &records).is_ok());
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn what_a_server_refuses_is_told_with_what_helps_and_without_the_password() {
    let place = PostgresPlace::new();
    let (node, _, _) = day(75, 60);
    let records = node.records(0);
    let told = |options: PostgresOptions, expected: Cause| {
        let error = PostgresStore::open(options).map(drop).unwrap_err();
        assert_eq!(cause(&error), Some(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("potato"), "{error}");
    };
    let wrong = |password: &str| PostgresOptions { password: Some(password.to_owned()), ..place.options() };
    told(wrong("potato"), Cause::NotAllowed);
    let nowhere = PostgresOptions { url: "postgres://me:potato@127.0.0.1:1/x".to_owned(), ..place.options() };
    told(nowhere, Cause::Away);
    let garbled =
        PostgresOptions { url: "postgres://me:potato@h/x?potato=potato".to_owned(), ..place.options() };
    let error = PostgresStore::open(garbled).map(drop).unwrap_err();
    assert!(
        matches!(error, StoreError::Settings { .. }) && !format!("{error:?}").contains("potato"),
        "{error}"
    );

    let mut store = PostgresStore::open(place.options()).unwrap();
    apply(&mut store, &records[..10]).unwrap();
    let mut refused = |after: &str, expected: Cause, passes: bool| {
        let error = apply(&mut store, &records).unwrap_err();
        assert_eq!((cause(&error), error.may_pass()), (Some(expected), passes), "{error}");
        place.run(after);
    };
    let fail_with = |code: &str| {
        place.run(&format!(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; \
             END $$; CREATE TRIGGER fail BEFORE INSERT ON scans_default FOR EACH ROW EXECUTE FUNCTION fail(); \
             CREATE TRIGGER fail BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
    };
    let healed = "DROP FUNCTION fail() CASCADE";
    for (code, expected, passes) in [
        ("53100", Cause::Full, false),
        ("53300", Cause::Crowded, true),
        ("40P01", Cause::Busy, true),
        ("55P03", Cause::Locked, true),
        ("57014", Cause::Slow, true),
        ("57P01", Cause::Away, true),
        ("25006", Cause::ReadOnly, false),
        ("58030", Cause::Disk, false),
        ("XX001", Cause::Damaged, false),
        ("42501", Cause::NotAllowed, false),
    ] {
        fail_with(code);
        refused(healed, expected, passes);
    }
    place.run("INSERT INTO audit VALUES (12, now(), NULL, 'by hand', 'x', '{}')");
    refused("DELETE FROM audit WHERE lsn = 12", Cause::Altered, false);
    apply(&mut store, &records).unwrap();
    assert!(image(&store.bootstrap().unwrap()) == node.engine.image());
}

#[test]
fn a_question_that_takes_too_long_is_ended_and_the_next_one_is_answered() {
    let place = PostgresPlace::new();
    let one = PostgresOptions {
        pool_connections_max: 1,
        connect_timeout: Duration::from_secs(1),
        question_timeout: Duration::from_millis(100),
        ..place.options()
    };
    let store = PostgresStore::open(one).unwrap();
    let queries = store.queries().unwrap();
    let held = place.hold("BEGIN; LOCK TABLE meta");
    let error = queries.cursor().unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Slow), "{error}");
    drop(held);
    assert_eq!(queries.cursor().unwrap(), Lsn(0));
}
