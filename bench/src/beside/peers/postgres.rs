//! The claim in PostgreSQL: a conditional UPDATE of a ticket and a line of a log, one prepared statement and so one journey and
//! one commit a scan. Knows SQL of its own and as much of the protocol as a claim needs; knows nothing of the projection.
//!
//! ```text
//! asked:    'B' len "" 0 "claim" 0 | 1 format: binary | 2 values: CODE, gate | 1 format: binary     Bind
//!           'E' len "" 0 | 0 rows at the most: all       'S' len                                    Execute, Sync
//! answered: '2' BindComplete   'D' len 1 column, 1 byte: admitted?   'C' CommandComplete   'Z' len state: all said
//!           'E' an error in place of 'D', and then 'Z' too; 'N', 'S': notices, at any time
//! ```

use super::{GATE, pool, tickets};
use crate::beside::{Bench, Side};
use crate::postgres::{asked, new_database};
use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use load_tests::client::{self, RunSettings};
use load_tests::codes::{ALREADY_USED, CodeChoice, CodePool};
use load_tests::connection::Connection;
use load_tests::listening;
use load_tests::reply::Verdict;
use load_tests::report::RunResult;
use load_tests::speech::{Answer, Speech};
use load_tests::target::Target;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::{backend::Message, frontend};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use store_testkit::{Postgres, PostgresOptions, all_programs};
use tokio_postgres::fallible_iterator::FallibleIterator;

/// Numbers of connections that are tried. Which is best depends on how long the disk takes for a sync: the more wait for one,
/// the fewer syncs, and the more the core has to go round between.
const CONNECTION_COUNTS: [usize; 4] = [8, 16, 32, 64];
/// So often each, by turns, for so long after half of that.
const TRIALS: usize = 2;
const TRIAL: Duration = Duration::from_secs(1);

/// As one would set it up for this and nothing else: everything in memory, checkpoints far apart, as little in the log as a
/// crash needs. Only what a commit means is left as it is: its log is on the disk before the answer.
const SETTINGS: [(&str, &str); 12] = [
    ("max_connections", "100"),
    ("shared_buffers", "1GB"),
    ("synchronous_commit", "on"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("wal_buffers", "64MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "30min"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("update_process_title", "off"),
    ("track_activities", "off"),
];

/// Half of each page is left free: a new version of a row then stays in its page and needs no new entry in the index.
/// The log has no index: nothing asks it here, and each would cost a scan more.
const SCHEMA: &str = "CREATE TABLE tickets (code text PRIMARY KEY, allowed integer NOT NULL, \
     used integer NOT NULL DEFAULT 0, last_use timestamptz) WITH (fillfactor = 50); \
     CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT now(), \
     code text NOT NULL, gate integer NOT NULL, admitted boolean NOT NULL)";
const FILL: &str = "INSERT INTO tickets (code, allowed) SELECT * FROM unnest($1::text[], $2::integer[])";
/// Of two scans at once the second waits for the first one's row and then looks at the condition again. A refusal is
/// logged too.
const CLAIM: &str = "WITH claimed AS (UPDATE tickets SET used = used + 1, last_use = now() \
     WHERE code = $1 AND used < allowed RETURNING true) \
     INSERT INTO log (code, gate, admitted) VALUES ($1, $2, EXISTS (SELECT FROM claimed)) RETURNING admitted";

/// A running server and the codes it was asked so far.
pub struct Claims {
    server: Postgres,
    claimed: Claimed,
    bench: Bench,
    connection_count: usize,
    name: String,
}

/// A database for claims, on whatever server.
pub struct Claimed {
    url: String,
    pool: CodePool,
    /// Over all rounds.
    answers: u64,
}

// === impl Claims ===

impl Claims {
    /// Starts a server, fills it, and goes on with the number of connections that brings most.
    ///
    /// # Errors
    /// It refuses something, or says something wrong.
    pub fn start_best(bench: &Bench) -> Result<Claims> {
        let mut sums = CONNECTION_COUNTS.map(|count| (0.0, count));
        let mut claims = Claims::start(CONNECTION_COUNTS[0], bench)?;
        for _ in 0..TRIALS {
            for (sum, count) in &mut sums {
                claims.connection_count = *count;
                let result = claims.round(TRIAL / 2, TRIAL)?;
                ensure!(result.is_right(), "wrong claims: {:?}", result.tally);
                *sum += result.answers_per_second;
            }
        }
        for (sum, count) in sums {
            eprintln!("PostgreSQL with {count} connections: {:.0}/s", sum / TRIALS as f64);
        }
        let best = sums.into_iter().max_by(|one, other| one.0.total_cmp(&other.0));
        claims.connection_count = best.expect("there is more than none").1;
        claims.name = named(&claims.server, claims.connection_count);
        Ok(claims)
    }

    /// Starts a server and fills it.
    ///
    /// # Errors
    /// It refuses something. One that does not come up ends the program with what its log says.
    pub fn start(connection_count: usize, bench: &Bench) -> Result<Claims> {
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let core = bench.server_core;
        let options = PostgresOptions { settings, synced: true, core, ..PostgresOptions::default() };
        let server = Postgres::start(&all_programs()[0], &options);
        let claimed = Claimed::on(&server, CodeChoice::Mix)?;
        let name = named(&server, connection_count);
        Ok(Claims { server, claimed, bench: bench.clone(), connection_count, name })
    }
}

fn named(server: &Postgres, connection_count: usize) -> String {
    format!("PostgreSQL {}, UPDATE and log row, {connection_count} connections", server.version())
}

impl Side for Claims {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        self.claimed.round(&self.server, self.connection_count, &self.bench, warmup, length)
    }
}

// === impl Claimed ===

impl Claimed {
    /// Makes and fills a database, and brings the server to rest.
    ///
    /// # Errors
    /// The server refuses.
    pub fn on(server: &Postgres, choice: CodeChoice) -> Result<Claimed> {
        let (url, pool) = (new_database(server)?, pool(choice));
        let (codes, allowed): (Vec<&str>, Vec<i32>) = tickets(&pool).unzip();
        asked(&url, async |client| {
            client.batch_execute(SCHEMA).await?;
            client.execute(FILL, &[&codes, &allowed]).await?;
            client.batch_execute("VACUUM ANALYZE tickets").await?;
            client.batch_execute("CHECKPOINT").await
        })?;
        Ok(Claimed { url, pool, answers: 0 })
    }

    /// Claims over so many connections, and holds the log against the answers.
    ///
    /// # Errors
    /// The server went away, or lost a line of its log.
    pub fn round(
        &mut self,
        server: &Postgres,
        connection_count: usize,
        bench: &Bench,
        warmup: Duration,
        length: Duration,
    ) -> Result<RunResult> {
        let target = Target::at((Ipv4Addr::LOCALHOST, server.port()).into());
        listening::ensure_alone(target.addr, server.pid())?;
        let settings = bench.run_settings(target, server.pid(), connection_count);
        let result = self.load(&RunSettings { warmup, length, ..settings })?;
        self.answers += result.tally.admitted + result.tally.denied;
        let logged = logged(&self.url)?;
        ensure!(logged >= self.answers, "{} scans were answered, {logged} are logged", self.answers);
        Ok(result)
    }

    fn load(&mut self, settings: &RunSettings) -> Result<RunResult> {
        client::run_closed_in(Extended::to(&self.url)?, settings, &mut self.pool)
    }
}

/// Lines of the log.
fn logged(url: &str) -> Result<u64> {
    let row = asked(url, async |client| client.query_one("SELECT count(*) FROM log", &[]).await)?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// PostgreSQL's extended protocol, for one claim after the other.
#[derive(Debug, Clone)]
pub struct Extended {
    login: tokio_postgres::Config,
}

// === impl Extended ===

impl Extended {
    fn to(url: &str) -> Result<Extended> {
        Ok(Extended { login: url.parse().context("read the database's address")? })
    }
}

impl Speech for Extended {
    fn connect(&self, addr: SocketAddr) -> io::Result<Connection> {
        Connection::open_after(addr, |stream| Greeting { stream, unread: BytesMut::new() }.greet(&self.login))
    }

    fn ask(&mut self, request: &mut Vec<u8>, code: &str, _now: Instant) {
        request.clear();
        request.push(b'B');
        let fixed = 4 + 1 + 6 + 2 + 2 + 2 + 4 + 8 + 2 + 2;
        request.extend_from_slice(&(fixed + code.len() as u32).to_be_bytes());
        request.extend_from_slice(b"\0claim\0\0\x01\0\x01\0\x02");
        request.extend_from_slice(&(code.len() as u32).to_be_bytes());
        request.extend_from_slice(code.as_bytes());
        request.extend_from_slice(&4_u32.to_be_bytes());
        request.extend_from_slice(&GATE.to_be_bytes());
        request.extend_from_slice(b"\0\x01\0\x01");
        request.extend_from_slice(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
    }

    fn answer<'bytes>(&self, bytes: &'bytes [u8]) -> Result<Option<Answer<'bytes>>, String> {
        let (mut status, mut verdict, mut at) = (500, Verdict::Unreadable, 0);
        while let Some((head, rest)) = bytes[at..].split_first_chunk::<5>() {
            let [tag, length @ ..] = *head;
            let length = u32::from_be_bytes(length) as usize;
            let Some(body) = length.checked_sub(4).and_then(|length| rest.get(..length)) else { break };
            at += 1 + length;
            match (tag, body) {
                (b'D', [0, 1, 0, 0, 0, 1, admitted]) => {
                    status = 200;
                    let denied = Verdict::Denied(ALREADY_USED.as_bytes());
                    verdict = if *admitted == 1 { Verdict::Granted } else { denied };
                }
                (b'E', _) => (status, verdict) = (500, Verdict::Unreadable),
                (b'Z', _) => return Ok(Some(Answer { status, verdict, bytes_len: at })),
                (b'2' | b'C' | b'N' | b'S', _) => {}
                _ => return Err(format!("not an answer to a claim: {}", tag.escape_ascii())),
            }
        }
        Ok(None)
    }
}

/// A connection before its first claim.
struct Greeting<'stream> {
    stream: &'stream mut TcpStream,
    unread: BytesMut,
}

// === impl Greeting ===

impl Greeting<'_> {
    /// Logs in and prepares the claim.
    fn greet(mut self, login: &tokio_postgres::Config) -> io::Result<()> {
        let missing = || io::Error::other("the login is not complete");
        let (user, password) = (login.get_user().ok_or_else(missing)?, login.get_password());
        let parameters = [("user", user), ("database", login.get_dbname().ok_or_else(missing)?)];
        self.say(|out| frontend::startup_message(parameters, out))?;
        let mut scram = ScramSha256::new(password.ok_or_else(missing)?, ChannelBinding::unsupported());
        loop {
            match self.hear()? {
                Message::AuthenticationSasl(_) => self
                    .say(|out| frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), out))?,
                Message::AuthenticationSaslContinue(said) => {
                    scram.update(said.data())?;
                    self.say(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(said) => scram.finish(said.data())?,
                Message::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        self.say(|out| {
            frontend::parse("claim", CLAIM, [], out)?;
            frontend::sync(out);
            Ok(())
        })?;
        while !matches!(self.hear()?, Message::ReadyForQuery(_)) {}
        Ok(())
    }

    fn say(&mut self, message: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut out = BytesMut::new();
        message(&mut out)?;
        self.stream.write_all(&out)
    }

    /// The next message; an error in words.
    fn hear(&mut self) -> io::Result<Message> {
        loop {
            match Message::parse(&mut self.unread)? {
                Some(Message::ErrorResponse(said)) => {
                    let words = said.fields().find(|field| Ok(field.type_() == b'M'))?;
                    let words = words.map(|field| String::from_utf8_lossy(field.value_bytes()).into_owned());
                    return Err(io::Error::other(words.unwrap_or_default()));
                }
                Some(message) => return Ok(message),
                None => {
                    let mut some = [0; 4_096];
                    let count = self.stream.read(&mut some)?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.unread.extend_from_slice(&some[..count]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BENCH, admitted_at_once, assert_right, until};
    use super::*;

    const CONNECTIONS: usize = 32;

    #[test]
    fn postgres_answers_the_mixture_and_admits_once_of_64_at_once() {
        let mut claims = Claims::start(CONNECTIONS, &BENCH).unwrap();
        let result = claims.round(Duration::from_millis(50), Duration::from_millis(400)).unwrap();
        assert_right(&result);
        assert!(result.server_threads_us["backend"] > 0.0, "{}", result.text());
        let speech = || Extended::to(&claims.claimed.url).unwrap();
        let code = &claims.claimed.pool.once()[90_000];
        assert_eq!(admitted_at_once(speech(), claims.server.port(), code), 1);
        assert_eq!(admitted_at_once(speech(), claims.server.port(), "NOBODY'S"), 0);
        let asked = result.tally.admitted + result.tally.denied + 2 * 64;
        assert_eq!(logged(&claims.claimed.url).unwrap(), asked, "refusals are logged too");
    }

    #[test]
    fn every_claim_postgres_answered_is_there_after_it_was_killed() {
        let Claims { mut server, .. } = Claims::start(CONNECTIONS, &BENCH).unwrap();
        let mut claimed = Claimed::on(&server, CodeChoice::Fresh).unwrap();
        let url = claimed.url.clone();
        let target = Target::at((Ipv4Addr::LOCALHOST, server.port()).into());
        let settings = BENCH.run_settings(target, server.pid(), CONNECTIONS);
        let settings = RunSettings { length: Duration::from_secs(60), ..settings };
        let result = std::thread::scope(|scope| {
            let loading = scope.spawn(|| claimed.load(&settings));
            until(|| logged(&url).unwrap() > 500);
            server.kill();
            loading.join().unwrap().unwrap()
        });
        assert_eq!(result.tally.wrong, 0, "{}", result.text());
        server.resume();
        let codes: Vec<&str> = claimed.pool.admitted().collect();
        const USED: &str = "SELECT count(*) FROM tickets WHERE code = ANY($1) AND used = 1";
        let used = asked(&url, async |client| client.query_one(USED, &[&codes]).await).unwrap();
        assert_eq!(used.get::<_, i64>(0), codes.len() as i64);
        assert!(logged(&url).unwrap() >= result.tally.admitted && codes.len() > 300);
    }

    #[test]
    fn an_answer_is_read_only_whole_and_an_error_is_no_verdict() {
        let speech = Extended { login: tokio_postgres::Config::new() };
        let row = b"2\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x01\x01C\0\0\0\x05\0Z\0\0\0\x05I";
        for cut in 0..row.len() {
            assert_eq!(speech.answer(&row[..cut]), Ok(None), "cut at {cut}");
        }
        let admitted = Answer { status: 200, verdict: Verdict::Granted, bytes_len: row.len() };
        assert_eq!(speech.answer(row), Ok(Some(admitted)));
        let error = b"E\0\0\0\x05\0Z\0\0\0\x05I";
        let no_verdict = Answer { status: 500, verdict: Verdict::Unreadable, bytes_len: error.len() };
        assert_eq!(speech.answer(error), Ok(Some(no_verdict)));
    }
}
