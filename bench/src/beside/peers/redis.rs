//! The claim in Redis: a function that takes a use from a ticket and writes a line of a log, one call a scan, its file synced
//! before every answer. Knows Redis's protocol as far as a claim needs it.
//!
//! ```text
//! asked:    *5\r\n  $5\r\nFCALL\r\n  $5\r\nclaim\r\n  $1\r\n2\r\n  $N\r\nticket:CODE\r\n  $3\r\nlog\r\n  $3\r\n900\r\n   (*6: six parts)
//! answered: :1\r\n admitted   :0\r\n used   :-1\r\n unknown   -WORDS\r\n an error
//! ```

use super::{GATE, pool, tickets};
use crate::beside::{Bench, Side};
use anyhow::{Context, Result, ensure};
use load_tests::client::{self, RunSettings};
use load_tests::codes::{ALREADY_USED, CodeChoice, CodePool};
use load_tests::limits;
use load_tests::listening;
use load_tests::reply::Verdict;
use load_tests::report::RunResult;
use load_tests::speech::{Answer, Speech};
use load_tests::target::Target;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};
use store_testkit::{Redis, RedisOptions, redis_programs};

/// A string per ticket holds how often it may still be used: the smallest thing that can be claimed. The log is a stream, as
/// consumers of such a log want it: in order, with ids to go on from; one field for all there is to say is cheaper than three.
/// Refusals are logged too.
const FUNCTION: &str = "#!lua name=gatehouse
redis.register_function('claim', function(keys, args)
  local left = redis.call('GET', keys[1])
  local admitted = -1
  if left then
    admitted = 0
    if tonumber(left) > 0 then
      redis.call('DECR', keys[1])
      admitted = 1
    end
  end
  redis.call('XADD', keys[2], '*', 'scan', keys[1] .. ' ' .. args[1] .. ' ' .. admitted)
  return admitted
end)
";

/// Tickets that are set in one command.
const SET_AT_ONCE: usize = 1_000;
/// How long the server may take for one of them.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A running server and the codes it was asked so far.
pub struct Claims {
    server: Redis,
    pool: CodePool,
    bench: Bench,
    name: String,
}

// === impl Claims ===

impl Claims {
    /// Starts a server and fills it.
    ///
    /// # Errors
    /// It refuses something. One that does not come up ends the program with what its log says.
    pub fn start(choice: CodeChoice, bench: &Bench) -> Result<Claims> {
        let server = Redis::start(&redis_programs(), &RedisOptions { core: bench.server_core });
        let pool = pool(choice);
        let mut own = Own::connect(server.port())?;
        own.ask(&["FUNCTION", "LOAD", FUNCTION])?;
        for some in tickets(&pool).collect::<Vec<_>>().chunks(SET_AT_ONCE) {
            let pairs = some.iter().flat_map(|(code, uses)| [format!("ticket:{code}"), uses.to_string()]);
            let command: Vec<String> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
            own.ask(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let name = format!("Redis {}, function and stream, synced always", server.version());
        Ok(Claims { server, pool, bench: bench.clone(), name })
    }
}

impl Side for Claims {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, warmup: Duration, length: Duration) -> Result<RunResult> {
        load(&self.bench, &mut self.pool, self.server.port(), self.server.pid(), warmup, length)
    }
}

/// Claims from the server that listens there.
fn load(
    bench: &Bench,
    pool: &mut CodePool,
    port: u16,
    pid: u32,
    warmup: Duration,
    length: Duration,
) -> Result<RunResult> {
    let target = Target::at((Ipv4Addr::LOCALHOST, port).into());
    listening::ensure_alone(target.addr, pid)?;
    let settings = bench.run_settings(target, pid, bench.connection_count);
    client::run_closed_in(Resp, &RunSettings { warmup, length, ..settings }, pool)
}

/// Redis's protocol, for one claim after the other.
#[derive(Debug, Clone, Copy)]
pub struct Resp;

// === impl Resp ===

impl Speech for Resp {
    fn ask(&mut self, request: &mut Vec<u8>, code: &str, _now: Instant) {
        request.clear();
        let length = "ticket:".len() + code.len();
        write!(
            request,
            "*6\r\n$5\r\nFCALL\r\n$5\r\nclaim\r\n$1\r\n2\r\n${length}\r\nticket:{code}\r\n$3\r\nlog\r\n$3\r\n{GATE}\r\n"
        )
        .expect("a Vec takes everything");
    }

    fn answer<'bytes>(&self, bytes: &'bytes [u8]) -> Result<Option<Answer<'bytes>>, String> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let (status, verdict) = match bytes[..end].trim_ascii_end() {
            b":1" => (200, Verdict::Granted),
            b":0" => (200, Verdict::Denied(ALREADY_USED.as_bytes())),
            b":-1" => (200, Verdict::Denied(b"unknown_ticket")),
            error if error.starts_with(b"-") => (500, Verdict::Unreadable),
            _ => return Err("not an answer of the function".to_owned()),
        };
        Ok(Some(Answer { status, verdict, bytes_len: end + 1 }))
    }
}

/// A connection for what is asked once.
struct Own(BufReader<TcpStream>);

// === impl Own ===

impl Own {
    fn connect(port: u16) -> Result<Own> {
        let addr = (Ipv4Addr::LOCALHOST, port).into();
        let stream = TcpStream::connect_timeout(&addr, limits::CONNECT_WAIT).context("connect to Redis")?;
        stream.set_read_timeout(Some(ANSWER_WAIT)).context("bound an answer's wait")?;
        Ok(Own(BufReader::new(stream)))
    }

    /// The answer's first line; it may not be an error.
    fn ask(&mut self, command: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", command.len());
        for part in command {
            request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        self.0.get_mut().write_all(request.as_bytes()).context("ask Redis")?;
        let mut line = String::new();
        self.0.read_line(&mut line).context("read Redis's answer")?;
        ensure!(!line.starts_with('-'), "Redis refuses {}: {}", command[0], line.trim_end());
        if line.starts_with('$') {
            line.clear();
            self.0.read_line(&mut line).context("read Redis's answer")?;
        }
        Ok(line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BENCH, admitted_at_once, assert_right, until};
    use super::*;

    #[test]
    fn redis_answers_the_mixture_and_admits_once_of_64_at_once() {
        let mut claims = Claims::start(CodeChoice::Mix, &BENCH).unwrap();
        let result = claims.round(Duration::from_millis(50), Duration::from_millis(400)).unwrap();
        assert_right(&result);
        assert_eq!(admitted_at_once(Resp, claims.server.port(), &claims.pool.once()[90_000]), 1);
        assert_eq!(admitted_at_once(Resp, claims.server.port(), "NOBODY'S"), 0);
        let asked = result.tally.admitted + result.tally.denied + 2 * 64;
        let mut own = Own::connect(claims.server.port()).unwrap();
        assert_eq!(own.ask(&["XLEN", "log"]).unwrap(), format!(":{asked}"), "refusals are logged too");
    }

    #[test]
    fn every_claim_redis_answered_is_there_after_it_was_killed() {
        let mut claims = Claims::start(CodeChoice::Fresh, &BENCH).unwrap();
        let (port, pid, pool) = (claims.server.port(), claims.server.pid(), &mut claims.pool);
        let result = std::thread::scope(|scope| {
            let loading =
                scope.spawn(move || load(&BENCH, pool, port, pid, Duration::ZERO, Duration::from_secs(60)));
            let mut own = Own::connect(port).unwrap();
            until(|| own.ask(&["XLEN", "log"]).unwrap()[1..].parse::<u32>().unwrap() > 500);
            claims.server.kill();
            loading.join().unwrap().unwrap()
        });
        assert_eq!(result.tally.wrong, 0, "{}", result.text());
        claims.server.resume();
        let mut own = Own::connect(port).unwrap();
        let logged: u64 = own.ask(&["XLEN", "log"]).unwrap()[1..].parse().unwrap();
        assert!(logged >= result.tally.admitted && result.tally.admitted > 300);
        for code in claims.pool.admitted() {
            assert_eq!(own.ask(&["GET", &format!("ticket:{code}")]).unwrap(), "0", "{code}");
        }
    }

    #[test]
    fn an_answer_is_read_only_whole_and_an_error_is_no_verdict() {
        assert_eq!(Resp.answer(b":1\r"), Ok(None));
        let check = |bytes: &[u8], status, verdict| {
            assert_eq!(Resp.answer(bytes), Ok(Some(Answer { status, verdict, bytes_len: bytes.len() })));
        };
        check(b":1\r\n", 200, Verdict::Granted);
        check(b":0\r\n", 200, Verdict::Denied(b"already_used"));
        check(b"-OOM command not allowed\r\n", 500, Verdict::Unreadable);
        assert!(Resp.answer(b"+OK\r\n").is_err());
    }
}
