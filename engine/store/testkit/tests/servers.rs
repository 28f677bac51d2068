//! The servers themselves: every version that is in place comes up, is stopped, killed and started again.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use store_testkit::{Postgres, PostgresOptions, Programs, Redis, RedisOptions, all_programs, redis_programs};

#[test]
fn every_version_starts_stops_is_killed_and_comes_back() {
    for programs in all_programs() {
        let mut postgres = Postgres::start(&programs, &PostgresOptions::default());
        assert!(postgres.url("x").contains(&postgres.port().to_string()));
        postgres.stop();
        assert!(postgres.log().contains("database system is shut down"));
        postgres.resume();
        postgres.kill();
        postgres.resume();
        assert!(postgres.log().contains("database system was interrupted"), "{}", postgres.log());
    }
}

#[test]
fn redis_has_what_it_answered_after_it_was_killed() {
    let mut redis = Redis::start(&redis_programs(), &RedisOptions { core: Some(0) });
    let ask = |redis: &Redis, question: &str, answer: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert_eq!(line, answer, "{question}");
    };
    ask(&redis, "INCR x\r\n", ":1\r\n");
    let status = std::fs::read_to_string(format!("/proc/{}/status", redis.pid())).unwrap();
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    redis.kill();
    redis.resume();
    ask(&redis, "INCR x\r\n", ":2\r\n");
    assert!(redis.log().contains("DB loaded from append only file"), "{}", redis.log());
}

#[test]
#[should_panic(expected = "did not come up")]
fn a_program_that_is_not_there_is_no_server() {
    let bin = std::path::PathBuf::from("/nowhere");
    Redis::start(&Programs { version: "0".to_owned(), bin }, &RedisOptions::default());
}
