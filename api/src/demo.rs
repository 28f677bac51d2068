//! The demo data, fixed so that anybody's script can rely on it. Made of a venue file and a ticket list like
//! any other. Knows no server.

use crate::profile::Profiles;
use crate::venue::{self, Venue};
use engine::Engine;
use engine::catalog::{Catalog, Entity, EventId, Operator, Role};
use engine::clock::Time;
use engine::ticket::Ticket;
use lists::TicketRow;
use std::fmt::Write;

/// The event everything is at.
pub const EVENT: &str = "demo-match";
/// The event the wrong ticket is for.
pub const OTHER_EVENT: &str = "demo-other";
/// Who may operate the demo.
pub const OPERATOR: &str = "admin@demo.local";

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Is this catalog the demo's?
pub fn is_demo(catalog: &Catalog) -> bool {
    catalog.event_named(EVENT).is_some() && catalog.event_named(OTHER_EVENT).is_some()
}

/// The demo's entities.
///
/// # Errors
/// None but a broken demo; told in words.
fn entities(catalog: &Catalog, now: Time, profiles: &dyn Fn(&str) -> bool) -> Result<Vec<Entity>, String> {
    let text = venue_text(now);
    let venue: Venue = toml::from_str(&text).map_err(|error| format!("demo data: {error}"))?;
    venue::entities(&venue, catalog, profiles)
        .map(|(entities, _)| entities)
        .map_err(|mistakes| mistakes.join("; "))
}

/// Puts the demo's entities and tickets where they are missing; what happened since is kept.
///
/// # Errors
/// The engine refuses them.
pub fn put_up(engine: &Engine, profiles: &Profiles) -> anyhow::Result<()> {
    let catalog = engine.catalog();
    if !is_demo(&catalog) {
        let known = |name: &str| profiles.contains(name);
        for entity in entities(&catalog, engine.now(), &known).map_err(anyhow::Error::msg)? {
            engine.put(None, entity)?;
        }
    }
    if engine.sizes().0 == 0 {
        let tickets = tickets(&engine.catalog(), engine.now()).map_err(anyhow::Error::msg)?;
        let (_, outcomes) = engine.add_tickets(tickets, false)?;
        anyhow::ensure!(outcomes.iter().all(Result::is_ok), "a demo ticket was refused");
    }
    Ok(())
}

/// The demo's operator with this password, which is also its token.
///
/// # Errors
/// When the password cannot be hashed.
pub fn operator(password: &str) -> Result<Entity, String> {
    Ok(Entity::Operator(Operator {
        name: OPERATOR.to_owned(),
        role: Role::Administrator,
        password_hash: secrets::password_hash(password)?,
        token_hashes: vec![secrets::hash(password.as_bytes())],
    }))
}

fn venue_text(now: Time) -> String {
    let stamp = |at: Time| jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_string();
    let mut text = String::new();
    for (name, title) in [(EVENT, "Demo Match"), (OTHER_EVENT, "Demo Other")] {
        let (doors, starts, ends) =
            (stamp(now.plus_ms(-2 * HOUR_MS)), stamp(now), stamp(now.plus_ms(DAY_MS)));
        let _ = writeln!(
            text,
            "[[event]]\nname = '{name}'\ntitle = '{title}'\ntime_zone = 'UTC'\ndoors_open = '{doors}'\nstarts = '{starts}'\nends = '{ends}'"
        );
    }
    text.push_str("[[zone]]\nname = 'BOWL'\ncapacity = 60000\n");
    for n in 1..=40 {
        let _ = writeln!(
            text,
            "[[gate]]\nname = 'ENTRANCE_{n:02}'\nevent = '{EVENT}'\nfrom = 'outside'\nto = 'BOWL'"
        );
    }
    for n in 1..=4 {
        let _ = writeln!(
            text,
            "[[gate]]\nname = 'EXIT_{n:02}'\nevent = '{EVENT}'\nfrom = 'BOWL'\nto = 'outside'"
        );
    }
    for (name, event, policy) in [
        ("STANDARD", EVENT, "entries = 1\nreentry = 'none'"),
        ("VIP", EVENT, "entries = 2\nreentry = 'after_exit'"),
        ("STAFF", EVENT, "reentry = 'free'"),
        ("GATE02", EVENT, "entries = 1\nreentry = 'none'\ngates = ['ENTRANCE_02']"),
        ("STANDARD", OTHER_EVENT, "entries = 1\nreentry = 'none'"),
    ] {
        let _ = writeln!(text, "[[type]]\nname = '{name}'\nevent = '{event}'\n{policy}");
    }
    for n in 1..=44 {
        let gate = if n <= 40 { format!("ENTRANCE_{n:02}") } else { format!("EXIT_{:02}", n - 40) };
        let _ =
            writeln!(text, "[[device]]\nname = 'KQT300_{n:03}'\ngate = '{gate}'\nkey = 'demo-key-{n:03}'");
    }
    text.push_str(
        "[[device]]\nname = 'KQT300_900'\ngate = 'ENTRANCE_01'\nkey = 'demo-key-900'\nrate_per_minute = 0\n",
    );
    text.push_str("[[device]]\nname = 'KQT300_800'\ngate = 'ENTRANCE_02'\nkey = 'demo-key-800'\nnumber = '800'\nprofile = 'vguang'\nheartbeat_code = 'HB'\n");
    text
}

/// The demo's tickets, in a fixed order.
///
/// # Errors
/// None but a broken demo; told in words.
fn tickets(catalog: &Catalog, now: Time) -> Result<Vec<Ticket>, String> {
    let (event, other) = (named(catalog, EVENT)?, named(catalog, OTHER_EVENT)?);
    let stamp = |at: Time| jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_string();
    let row = |code: String, kind: &str| TicketRow { code, kind: kind.to_owned(), ..TicketRow::default() };
    let standard = (1..=50_000).map(|n| row(format!("DEMO-STD-{n:06}"), "STANDARD"));
    let vip = (1..=2_000).map(|n| {
        let holder = if n == 1 { "John Doe" } else { "" }.to_owned();
        let card = if n == 2 { "04A1B2C3D4E5F6" } else { "" }.to_owned();
        TicketRow { holder, card, ..row(format!("DEMO-VIP-{n:04}"), "VIP") }
    });
    let staff = (1..=100).map(|n| row(format!("DEMO-STAFF-{n:03}"), "STAFF"));
    let with_status = |code: &str, status: &str| TicketRow {
        status: status.to_owned(),
        ..row(code.to_owned(), "STANDARD")
    };
    let refusals = [
        with_status("DEMO-BLOCKED", "blocked"),
        with_status("DEMO-CANCELLED", "cancelled"),
        with_status("DEMO-SUPERSEDED", "superseded"),
        with_status("DEMO-UNPAID", "not_activated"),
        TicketRow { valid_from: stamp(now.plus_ms(DAY_MS)), ..row("DEMO-EARLY".to_owned(), "STANDARD") },
        TicketRow { valid_until: stamp(now.plus_ms(-DAY_MS)), ..row("DEMO-LATE".to_owned(), "STANDARD") },
        row("DEMO-GATE02".to_owned(), "GATE02"),
        TicketRow { specimen: "yes".to_owned(), ..row("DEMO-SPECIMEN".to_owned(), "STANDARD") },
    ];
    let mut tickets = standard
        .chain(vip)
        .chain(staff)
        .chain(refusals)
        .map(|row| row.ticket(catalog, event, now))
        .collect::<Result<Vec<Ticket>, String>>()?;
    tickets.push(row("DEMO-OTHER".to_owned(), "STANDARD").ticket(catalog, other, now)?);
    Ok(tickets)
}

fn named(catalog: &Catalog, name: &str) -> Result<EventId, String> {
    catalog.event_named(name).ok_or_else(|| format!("the demo event '{name}' is missing"))
}
