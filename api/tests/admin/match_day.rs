//! A whole match day by the API alone, against the real program: set up in the morning, doors, trouble at the gates, a power
//! cut among guests, devices that were cut off, the night with its lists, and the names forgotten. The test keeps books of
//! its own, and whatever the server says has to agree with them. Knows people's work and no code of the server.

#[path = "match_day/board.rs"]
mod board;
#[path = "match_day/book.rs"]
mod book;
#[path = "match_day/gate.rs"]
mod gate;
#[path = "match_day/morning.rs"]
mod morning;
#[path = "match_day/night.rs"]
mod night;
#[path = "match_day/trouble.rs"]
mod trouble;

use crate::api::Api;
use crate::postgres::Database;
use crate::support::{Server, Site, until};
use board::Board;
use book::{Book, EVENT, GATES, Line};
use gate::Device;
use serde_json::json;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const ADMINISTRATOR: &str = "anna@venue.example";
const MANAGER: &str = "mona@venue.example";
const SUPERVISOR: &str = "sue@venue.example";
const VIEWER: &str = "vera@venue.example";
/// With it devices register.
const SECRET: &str = "the-secret-of-the-venue";
/// Guests that were let in before the power goes.
const BEFORE_THE_CUT: usize = 20;

/// The tokens of those who work.
struct Staff {
    administrator: String,
    manager: String,
    supervisor: String,
    viewer: String,
    vendor: String,
}

/// What stands at the gates.
struct Devices {
    north_1: Device,
    north_2: Device,
    south: Device,
    out: Device,
}

/// A day at the venue.
struct Day {
    site: Site,
    server: Server,
    staff: Staff,
    devices: Devices,
    book: Book,
}

#[test]
fn a_match_day_by_the_api_alone_agrees_with_books_of_its_own_from_setup_to_shredding() {
    from_setup_to_shredding(Site::bare());
}

#[test]
fn a_match_day_on_postgresql_agrees_with_the_same_books_from_setup_to_shredding() {
    let database = Database::start();
    from_setup_to_shredding(database.on(Site::bare()));
}

fn from_setup_to_shredding(site: Site) {
    let mut day = morning(site);
    let board = doors(&mut day);
    surge(&mut day);
    trouble::lost_and_found(&mut day);
    trouble::by_hand(&mut day);
    trouble::alarm(&mut day);
    let (mut day, board) = power_cut(day, board);
    trouble::cut_off(&mut day);
    night::the_end(&mut day);
    let day = night::closing_time(day, board);
    night::the_lists(&day);
    night::the_audit(&day);
    night::forgotten(&day);
    day.server.stop();
}

impl Day {
    fn supervisor(&self) -> Api<'_> {
        Api::with(&self.server, &self.staff.supervisor)
    }

    fn manager(&self) -> Api<'_> {
        Api::with(&self.server, &self.staff.manager)
    }

    fn administrator(&self) -> Api<'_> {
        Api::with(&self.server, &self.staff.administrator)
    }

    /// The number of the ticket with this code.
    fn number(&self, code: &str) -> u64 {
        let found = self.supervisor().get(&format!("/api/v1/tickets?code={code}&fields=id"));
        found["items"][0]["id"].as_u64().unwrap()
    }

    /// A device shows a code, and the book has it.
    #[track_caller]
    fn scan(&mut self, device: impl Fn(&Devices) -> &Device, code: &str, refused: Option<&str>) -> String {
        let line = device(&self.devices).shows(self.server.device, code, refused);
        self.book.lines.push(line);
        self.book.lines.last().unwrap().scan_id.clone()
    }

    /// The server's moment.
    fn now(&self) -> String {
        self.manager().get("/api/v1/counts")["at"].as_str().unwrap().to_owned()
    }

    /// Every count is what the book says.
    #[track_caller]
    fn agrees(&self) {
        let counts = Api::with(&self.server, &self.staff.viewer).get("/api/v1/counts");
        assert_eq!(book::counts(&counts), self.book.counts());
    }
}

/// From nothing to a venue that waits for its guests.
fn morning(site: Site) -> Day {
    let site = site.set("KQT300_API_SECRET", SECRET).set("GATEHOUSE_ADMIN_RATE_PER_MINUTE", "0");
    let server = site.start();
    let staff = morning::staff(&server);
    let manager = Api::with(&server, &staff.manager);
    morning::venue(&manager);
    let book = morning::tickets(&Api::with(&server, &staff.vendor));
    let devices = morning::devices(&server, &manager);
    morning::a_viewer_only_looks(&Api::with(&server, &staff.viewer));
    Day { site, server, staff, devices, book }
}

/// A board listens; who comes too early is told; then the manager opens the doors and the supervisor the gates.
fn doors(day: &mut Day) -> Board {
    let board = Board::listens(&day.server, &day.staff.viewer, Vec::new());
    day.scan(|own| &own.north_1, "N-001", Some("too_early"));
    let now = day.now();
    day.manager().change(&format!("/api/v1/events/{EVENT}"), |event| event["doors_open_at"] = json!(now));
    day.scan(|own| &own.north_1, "N-001", Some("gate_closed"));
    for (gate, ..) in GATES {
        let why = json!({"reason": "the doors are open"});
        let opened = day.supervisor().post(&format!("/api/v1/gates/{gate}/open"), &why);
        assert_eq!((&opened["was"], &opened["mode"]), (&json!("closed"), &json!("open")));
    }
    day.agrees();
    board
}

/// Many guests at three gates at once, copies among them; then strangers, wrong gates, and guests who leave and come back.
fn surge(day: &mut Day) {
    let (at, devices) = (day.server.device, &day.devices);
    let at_gate = |device: &Device, letter: &str, guests: RangeInclusive<usize>| -> Vec<Line> {
        let guest = |n: usize| {
            let code = format!("{letter}-{n:03}");
            let mut lines = vec![device.shows(at, &code, None)];
            // Every tenth has given a copy away. A reader sends no ids: at once, it would be the same scan.
            if n.is_multiple_of(10) && !device.is_reader {
                lines.push(device.shows(at, &code, Some("already_used")));
            }
            lines
        };
        guests.flat_map(guest).collect()
    };
    let all = std::thread::scope(|scope| {
        let at_gate = &at_gate;
        let gates = [
            scope.spawn(move || at_gate(&devices.north_1, "N", 1..=50)),
            scope.spawn(move || at_gate(&devices.north_2, "N", 51..=100)),
            scope.spawn(move || at_gate(&devices.south, "S", 1..=60)),
            scope.spawn(move || copies(at, devices)),
        ];
        gates.map(|gate| gate.join().unwrap()).concat()
    });
    day.book.lines.extend(all);
    day.scan(|own| &own.north_2, "N-001", Some("already_used"));
    day.scan(|own| &own.north_2, "nobody-has-this", Some("unknown_ticket"));
    day.scan(|own| &own.south, "N-150", Some("wrong_gate"));
    for n in 1..=10 {
        day.scan(|own| &own.north_1, &format!("V-{n:03}"), None);
    }
    day.scan(|own| &own.north_2, "V-001", Some("already_inside"));
    for code in ["V-001", "V-002", "N-002"] {
        day.scan(|own| &own.out, code, None);
    }
    day.scan(|own| &own.north_1, "V-001", None);
    day.scan(|own| &own.north_1, "N-002", Some("already_used"));
    day.agrees();
}

/// The same code at two gates at the same moment, again and again: one of both opens.
fn copies(at: SocketAddr, devices: &Devices) -> Vec<Line> {
    let mut lines = Vec::new();
    for n in 101..=110 {
        let code = format!("N-{n:03}");
        let both = std::thread::scope(|scope| {
            let gates = [&devices.north_1, &devices.north_2];
            gates.map(|gate| scope.spawn(|| gate.tells(at, &code))).map(|told| told.join().unwrap())
        });
        let mut verdicts = both.each_ref().map(|line| line.refused.as_deref());
        verdicts.sort_unstable();
        assert_eq!(verdicts, [None, Some("already_used")], "{code}");
        lines.extend(both);
    }
    lines
}

/// The server is killed while guests pass, and started again. Devices ask again; nobody is lost, and nobody gets in twice.
fn power_cut(mut day: Day, board: Board) -> (Day, Board) {
    let (at, through) = (Mutex::new(day.server.device), AtomicUsize::new(0));
    let (devices, site) = (&day.devices, &day.site);
    let (all, server) = std::thread::scope(|scope| {
        let gates = [
            scope.spawn(|| all_pass(&devices.north_1, &at, &through, 121..=150)),
            scope.spawn(|| all_pass(&devices.north_2, &at, &through, 151..=180)),
        ];
        until("guests to pass", || (through.load(Ordering::Relaxed) >= BEFORE_THE_CUT).then_some(()));
        day.server.kill();
        let server = site.start();
        *at.lock().unwrap() = server.device;
        (gates.map(|gate| gate.join().unwrap()).concat(), server)
    });
    day.server = server;
    day.book.lines.extend(all);
    day.agrees();
    let board = Board::listens(&day.server, &day.staff.viewer, board.ended());
    (day, board)
}

/// Guests of the north, one after the other, each let in however often the device has to ask.
fn all_pass(
    device: &Device,
    at: &Mutex<SocketAddr>,
    through: &AtomicUsize,
    guests: RangeInclusive<usize>,
) -> Vec<Line> {
    let guest = |n| {
        let line = device.insists(at, &format!("N-{n:03}"));
        assert_eq!(line.refused, None, "{line:?}");
        through.fetch_add(1, Ordering::Relaxed);
        line
    };
    guests.map(guest).collect()
}
