//! What can happen to a database, made to happen to a real one and undone. Knows servers, wires and SQL; knows no gate.

use super::full_disk::SmallDisk;
use crate::support::until;
use std::time::Duration;
use store_testkit::{Postgres, Proxy, Session, Wire};

/// How often the wire is cut before it stays so.
const CUTS: usize = 3;
const BETWEEN_CUTS: Duration = Duration::from_millis(200);
/// The node's own sessions.
const OF_NODE: &str = "FROM pg_stat_activity WHERE application_name = 'gatehouse'";

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Stopped by its operator.
    Stopped,
    /// SIGKILL to the server and all its processes.
    Killed,
    /// Stopped and started at once.
    Restarted,
    /// Its machine stands still: connections stay and nothing is answered.
    Halted,
    /// 200 ms later, both ways.
    Delayed,
    /// 64 kB/s, a quarter of what these scans need.
    Throttled,
    /// Connections are cut, again and again, and at last none is taken.
    Cut,
    /// Connections stay open and take bytes that go nowhere; those of before never come back.
    HalfOpen,
    /// Others have all its connections.
    Crowded,
    /// Set to take no changes.
    ReadOnly,
    /// Somebody has locked a table.
    Locked,
    /// Somebody has put in a row that will come.
    KeyTaken,
    /// The node's user may no longer log in.
    LoginRefused,
    /// No room for another page of a table.
    DiskFull,
}

/// What must become of the projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// It stands, and says so once, with these words.
    Stands(&'static str),
    /// It stands and comes back more than once, with these words.
    Flaps(&'static str),
    /// It goes on, slower.
    GoesOn,
    /// It may stumble for a moment.
    Stumbles,
}

/// A database and everything a fault of it needs.
pub struct Stage {
    pub server: Postgres,
    pub database: &'static str,
    pub proxy: Option<Proxy>,
    pub disk: Option<SmallDisk>,
    /// Sessions that are part of a fault.
    pub held: Vec<Session>,
}

// === impl Stage ===

impl Stage {
    pub fn new(server: Postgres) -> Stage {
        Stage { server, database: "postgres", proxy: None, disk: None, held: Vec::new() }
    }

    /// How the node reaches it.
    pub fn url(&self) -> String {
        match &self.proxy {
            Some(proxy) => self.server.url_through(proxy, self.database),
            None => self.server.url(self.database),
        }
    }

    /// A session that no fault of the wire touches.
    pub fn session(&self) -> Session {
        Session::open(&self.server.url(self.database))
    }

    fn wire(&self, wire: Wire) {
        self.proxy.as_ref().expect("this fault needs a wire").set(wire);
    }

    /// Ends the node's sessions, so that the next batch begins with a new one. Gives how many there were.
    fn end_sessions(by: &Session) -> usize {
        by.run(&format!("SELECT count(pg_terminate_backend(pid)) {OF_NODE}"))[0][0].parse().unwrap()
    }

    /// Waits until a batch has just been committed: for some 200 ms none is under way.
    fn between_batches(&self) {
        let session = self.session();
        let just = format!(
            "SELECT count(*) {OF_NODE} AND state = 'idle' AND query = 'COMMIT' \
             AND clock_timestamp() - state_change < interval '50 ms'"
        );
        until("the end of a batch", || (session.run(&just)[0][0] != "0").then_some(()));
    }

    /// Takes every connection there is, also the node's.
    fn crowd(&mut self) {
        self.held.push(self.session());
        until("all connections", || {
            while let Ok(session) = Session::try_open(&self.server.url(self.database)) {
                self.held.push(session);
            }
            (Stage::end_sessions(&self.held[0]) == 0).then_some(())
        });
    }

    /// Puts in by hand what will come: three records that are near, at each millisecond at which they may be decided.
    fn take_key(&self) {
        self.session().run(
            "INSERT INTO scans (lsn, decided_at, recorded_at, device, gate, specimen, scan_id, code_kind, code, kind, \
             verdict, direction, people) \
             SELECT lsn, decided_at, now(), 0, 0, false, 'by hand', 'o', '', 'validate', 'deny', 'entry', 0 \
             FROM meta, generate_series(cursor + 200, cursor + 202) AS lsn, \
             generate_series(date_trunc('milliseconds', now()), now() + interval '3 s', '1 ms') AS decided_at",
        );
    }

    /// Where no disk can be had that is small enough to be filled: what the server says of a full one, at each batch.
    fn say_full(&self) {
        self.session().run(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$; \
             CREATE TRIGGER full_disk BEFORE UPDATE ON meta FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
        );
    }

    fn set_read_only(&self, value: &str) {
        let session = self.session();
        match value {
            "on" => session.run("ALTER SYSTEM SET default_transaction_read_only = on"),
            _ => session.run("ALTER SYSTEM RESET default_transaction_read_only"),
        };
        session.run("SELECT pg_reload_conf()");
        until("the new setting", || {
            (session.run("SHOW default_transaction_read_only")[0][0] == value).then_some(())
        });
        Stage::end_sessions(&session);
    }
}

// === impl Fault ===

impl Fault {
    pub fn projection(self) -> Projection {
        match self {
            Fault::Stopped | Fault::Killed => Projection::Stands("the server is away; it is tried again"),
            Fault::Restarted => Projection::Stumbles,
            Fault::Halted | Fault::HalfOpen => Projection::Stands("no answer in time; the server is away"),
            Fault::Delayed | Fault::Throttled => Projection::GoesOn,
            Fault::Cut => Projection::Flaps("the server is away; it is tried again"),
            Fault::Crowded => {
                Projection::Stands("the server has no connection left: end other clients or raise")
            }
            Fault::ReadOnly => {
                Projection::Stands("the server takes no changes: name the primary, or end its")
            }
            Fault::Locked => Projection::Stands("another session holds a lock on it"),
            Fault::KeyTaken => Projection::Stands("tables or rows were changed by hand: undo that"),
            Fault::LoginRefused => Projection::Stands("the server refuses this user: check user, password"),
            Fault::DiskFull => Projection::Stands("the server's disk is full: make room on it"),
        }
    }

    /// Makes it happen.
    pub fn begin(self, stage: &mut Stage) {
        match self {
            Fault::Stopped => stage.server.stop(),
            Fault::Killed => stage.server.kill(),
            Fault::Restarted => {
                stage.server.stop();
                stage.server.resume();
            }
            Fault::Halted => {
                stage.between_batches();
                stage.server.halt();
            }
            Fault::Delayed => stage.wire(Wire::Delay(Duration::from_millis(200))),
            Fault::Throttled => stage.wire(Wire::Throttle(64_000)),
            Fault::Cut => {
                for _ in 0..CUTS {
                    stage.wire(Wire::Cut);
                    std::thread::sleep(BETWEEN_CUTS);
                    stage.wire(Wire::Pass);
                    std::thread::sleep(BETWEEN_CUTS);
                }
                stage.wire(Wire::Cut);
            }
            Fault::HalfOpen => {
                stage.between_batches();
                stage.wire(Wire::Swallow);
            }
            Fault::Crowded => stage.crowd(),
            Fault::ReadOnly => stage.set_read_only("on"),
            Fault::Locked => {
                let session = stage.session();
                session.run("BEGIN; LOCK TABLE scans IN ACCESS EXCLUSIVE MODE");
                stage.held.push(session);
            }
            Fault::KeyTaken => stage.take_key(),
            Fault::LoginRefused => {
                let session = stage.session();
                session.run("ALTER ROLE gatehouse NOLOGIN");
                Stage::end_sessions(&session);
                stage.held.push(session);
            }
            Fault::DiskFull => match &stage.disk {
                Some(disk) => disk.fill(),
                None => stage.say_full(),
            },
        }
    }

    /// Undoes it, as the person would who has found it.
    pub fn end(self, stage: &mut Stage) {
        match self {
            Fault::Stopped | Fault::Killed => stage.server.resume(),
            Fault::Restarted => {}
            Fault::Halted => stage.server.go_on(),
            Fault::Delayed | Fault::Throttled | Fault::Cut | Fault::HalfOpen => stage.wire(Wire::Pass),
            Fault::Crowded | Fault::Locked => {}
            Fault::ReadOnly => stage.set_read_only("off"),
            Fault::KeyTaken => drop(stage.session().run("DELETE FROM scans WHERE scan_id = 'by hand'")),
            Fault::LoginRefused => drop(stage.held[0].run("ALTER ROLE gatehouse LOGIN")),
            Fault::DiskFull => match &stage.disk {
                Some(disk) => disk.empty(),
                None => {
                    drop(stage.session().run("DROP TRIGGER full_disk ON meta; DROP FUNCTION full_disk()"))
                }
            },
        }
        stage.held.clear();
    }
}
