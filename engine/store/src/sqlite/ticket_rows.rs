//! Rows of tickets, their codes and their words. Knows how a ticket is written and read back exactly; knows no rule.

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::search::{Code, codes_moved, pack, unpack, words_moved, words_of};
use crate::tables::Place;
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{EventId, GateId, TypeId, ZoneId};
use engine::clock::Time;
use engine::ticket::{Details, Ticket, TicketId, TicketStatus, TicketUse};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use std::collections::HashMap;

/// Where the columns are.
pub(super) const TABLES: &str = "tickets JOIN ticket_uses ON ticket = id";

/// The columns [`read`] wants, in its order.
pub(super) const COLUMNS: &str = "id, type_id, status, status_at, specimen, valid_from, valid_until, \
     reference, holder, order_ref, seat, codes, \
     used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at";

const PUT: &str = "INSERT INTO tickets (id, type_id, status, status_at, specimen, valid_from, valid_until, \
     reference, holder, order_ref, seat, codes, lsn, event) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT (id) DO UPDATE SET (status, status_at, lsn) = (excluded.status, excluded.status_at, excluded.lsn) \
     WHERE lsn < excluded.lsn";

const PUT_USE: &str = "INSERT OR REPLACE INTO ticket_uses (ticket, lsn, used, inside, day_used, day, presence, \
     first_gate, last_gate, first_at, last_at, cold) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const SET_USE: &str = "UPDATE ticket_uses SET lsn = ?2, used = ?3, inside = ?4, day_used = ?5, day = ?6, \
     presence = ?7, first_gate = ?8, last_gate = ?9, first_at = ?10, last_at = ?11 WHERE ticket = ?1 AND lsn < ?2";

const HOT_USE: &str = "SELECT used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at \
     FROM ticket_uses WHERE ticket = ?1 AND cold = 0";

/// What the tickets of a batch have done: each is read once, and written once in the order of their numbers, however
/// often it was presented.
pub(super) struct Uses<'c> {
    read: CachedStatement<'c>,
    set: CachedStatement<'c>,
    /// `None`: the ticket is cold, or there is no such ticket.
    touched: HashMap<TicketId, Option<Touched>>,
}

struct Touched {
    usage: TicketUse,
    /// The record that made it so; `None`: it is as its row says.
    by: Option<Lsn>,
}

/// Writes a ticket, new or come back. What never changes in a ticket (type, texts, codes) is written once.
pub(super) fn put(
    connection: &Connection,
    lsn: Lsn,
    id: TicketId,
    ticket: &Ticket,
    place: Place,
) -> StoreResult<()> {
    let details = &ticket.details;
    connection
        .prepare_cached(PUT)
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                ticket.type_id.0,
                ticket.status.word(),
                ticket.status_at.0,
                ticket.specimen,
                bound(ticket.valid_from, Time::MIN),
                bound(ticket.valid_until, Time::MAX),
                details.reference(),
                details.holder(),
                details.order(),
                details.seat(),
                pack(details),
                lsn.0 as i64,
                place.event.map(|event| event.0),
            ])
        })
        .while_doing("write a ticket")?;
    put_use(connection, lsn, id, &ticket.usage, place.cold)?;
    details.codes().try_for_each(|code| put_code(connection, id, code))?;
    words_of(details).try_for_each(|word| put_word(connection, id, &word))
}

fn put_use(
    connection: &Connection,
    lsn: Lsn,
    id: TicketId,
    usage: &TicketUse,
    cold: bool,
) -> StoreResult<()> {
    let row = params![
        id.0,
        lsn.0 as i64,
        usage.used,
        usage.inside,
        usage.day_used,
        usage.day,
        usage.presence.0,
        usage.first_gate.0,
        usage.last_gate.0,
        usage.first_at.0,
        usage.last_at.0,
        cold,
    ];
    execute(connection, PUT_USE, row).while_doing("write what a ticket has done")
}

// === impl Uses ===

impl<'c> Uses<'c> {
    pub(super) fn new(connection: &'c Connection) -> StoreResult<Uses<'c>> {
        let prepare = |sql| connection.prepare_cached(sql).while_doing("prepare to move tickets");
        Ok(Uses { read: prepare(HOT_USE)?, set: prepare(SET_USE)?, touched: HashMap::new() })
    }

    /// What a ticket in the engine's memory has done; `None`: it is cold, or there is no such ticket.
    pub(super) fn hot(&mut self, id: TicketId) -> StoreResult<Option<TicketUse>> {
        if let Some(known) = self.touched.get(&id) {
            return Ok(known.as_ref().map(|touched| touched.usage));
        }
        let usage = self
            .read
            .query_row([id.0], |row| read_usage(row, 0))
            .optional()
            .while_doing("read what a ticket has done")?;
        self.touched.insert(id, usage.map(|usage| Touched { usage, by: None }));
        Ok(usage)
    }

    /// Notes what a ticket has done. To be asked for it by [`Uses::hot`] before.
    pub(super) fn set(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) {
        self.touched.insert(id, Some(Touched { usage, by: Some(lsn) }));
    }

    /// What was read of a ticket is no longer so.
    pub(super) fn forget(&mut self, id: TicketId) {
        let forgotten = self.touched.remove(&id);
        assert!(forgotten.flatten().is_none_or(|own| own.by.is_none()), "a hot ticket is not put again");
    }

    /// Writes what was noted; what others do to the rows afterwards is seen.
    pub(super) fn flush(&mut self) -> StoreResult<()> {
        let mut moved: Vec<(TicketId, Lsn, TicketUse)> = self
            .touched
            .drain()
            .filter_map(|(id, touched)| touched.and_then(|own| Some((id, own.by?, own.usage))))
            .collect();
        moved.sort_unstable_by_key(|(id, ..)| *id);
        moved.into_iter().try_for_each(|(id, lsn, usage)| self.write(lsn, id, usage))
    }

    /// Writes what a ticket has done at once.
    pub(super) fn write(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) -> StoreResult<()> {
        let row = params![
            id.0,
            lsn.0 as i64,
            usage.used,
            usage.inside,
            usage.day_used,
            usage.day,
            usage.presence.0,
            usage.first_gate.0,
            usage.last_gate.0,
            usage.first_at.0,
            usage.last_at.0,
        ];
        self.set.execute(row).map(drop).while_doing("write what a ticket has done")
    }
}

/// Writes where a ticket stands in its life; gives where it stood.
pub(super) fn set_status(
    connection: &Connection,
    lsn: Lsn,
    id: TicketId,
    status: TicketStatus,
    at: Time,
) -> StoreResult<Option<TicketStatus>> {
    let before: Option<String> = connection
        .prepare_cached("SELECT status FROM tickets WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id.0], |row| row.get(0)).optional())
        .while_doing("read a ticket's status")?;
    execute(
        connection,
        "UPDATE tickets SET lsn = ?2, status = ?3, status_at = ?4 WHERE id = ?1 AND lsn < ?2",
        params![id.0, lsn.0 as i64, status.word(), at.0],
    )
    .while_doing("write a ticket's status")?;
    before.map(|before| TicketStatus::read(&before)).transpose()
}

/// Writes a ticket that is otherwise, and the codes and words it is found by.
pub(super) fn change(connection: &Connection, lsn: Lsn, id: TicketId, ticket: &Ticket) -> StoreResult<()> {
    let details = &ticket.details;
    let old: Option<([String; 3], Vec<u8>)> = connection
        .prepare_cached("SELECT holder, reference, order_ref, codes FROM tickets WHERE id = ?1")
        .and_then(|mut statement| {
            let texts = |row: &Row<'_>| Ok(([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?));
            statement.query_row([id.0], texts).optional()
        })
        .while_doing("read a ticket")?;
    let (old_texts, old_codes) = old.unwrap_or_default();
    execute(
        connection,
        "UPDATE tickets SET lsn = ?2, type_id = ?3, status = ?4, status_at = ?5, specimen = ?6, valid_from = ?7, \
         valid_until = ?8, holder = ?9, order_ref = ?10, seat = ?11, reference = ?12, codes = ?13 \
         WHERE id = ?1 AND lsn < ?2",
        params![
            id.0,
            lsn.0 as i64,
            ticket.type_id.0,
            ticket.status.word(),
            ticket.status_at.0,
            ticket.specimen,
            bound(ticket.valid_from, Time::MIN),
            bound(ticket.valid_until, Time::MAX),
            details.holder(),
            details.order(),
            details.seat(),
            details.reference(),
            pack(details),
        ],
    )
    .while_doing("change a ticket")?;
    move_codes(connection, id, &old_codes, details)?;
    let (gone, new) = words_moved(&old_texts, details);
    for word in gone {
        let sql = "DELETE FROM ticket_words WHERE word = ?1 AND ticket = ?2";
        execute(connection, sql, params![word, id.0]).while_doing("remove a word of a ticket")?;
    }
    new.iter().try_for_each(|word| put_word(connection, id, word))
}

fn move_codes(connection: &Connection, id: TicketId, before: &[u8], details: &Details) -> StoreResult<()> {
    let (gone, new) = codes_moved(before, details)
        .ok_or_else(|| StoreError::damaged(format!("ticket {}", id.0), "its codes do not add up"))?;
    for (kind, code) in gone {
        let sql = "DELETE FROM codes WHERE code = ?1 AND kind = ?2 AND ticket = ?3";
        execute(connection, sql, params![code, kind.word(), id.0]).while_doing("remove a code")?;
        let sql = "INSERT OR IGNORE INTO former_codes VALUES (?1, ?2, ?3)";
        execute(connection, sql, params![code, kind.word(), id.0]).while_doing("keep a former code")?;
    }
    new.into_iter().try_for_each(|code| put_code(connection, id, code))
}

fn put_code(connection: &Connection, id: TicketId, (kind, code): Code<'_>) -> StoreResult<()> {
    let sql = "INSERT OR IGNORE INTO codes (code, kind, ticket) VALUES (?1, ?2, ?3)";
    execute(connection, sql, params![code, kind.word(), id.0]).while_doing("write a code")
}

fn put_word(connection: &Connection, id: TicketId, word: &str) -> StoreResult<()> {
    let sql = "INSERT OR IGNORE INTO ticket_words (word, ticket) VALUES (?1, ?2)";
    execute(connection, sql, params![word, id.0]).while_doing("write a word of a ticket")
}

/// Marks the hot tickets of an event in a run of numbers as cold; gives what each has done.
pub(super) fn cool(
    connection: &Connection,
    lsn: Lsn,
    event: EventId,
    first: TicketId,
    count: u32,
) -> StoreResult<Vec<TicketUse>> {
    // RETURNING gives the row after the change, and the change is not in what a ticket has done.
    connection
        .prepare_cached(
            "UPDATE ticket_uses SET cold = 1, lsn = ?1 WHERE ticket >= ?3 AND ticket < ?4 AND cold = 0 \
             AND (SELECT event FROM tickets WHERE id = ticket) = ?2 \
             RETURNING used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at",
        )
        .and_then(|mut statement| {
            let end = i64::from(first.0) + i64::from(count);
            let rows = statement
                .query_map(params![lsn.0 as i64, event.0, first.0, end], |row| read_usage(row, 0))?;
            rows.collect()
        })
        .while_doing("mark tickets as cold")
}

/// The tickets of an event in a run of numbers.
pub(super) fn of_event(
    connection: &Connection,
    event: EventId,
    first: TicketId,
    count: u32,
) -> StoreResult<Vec<(TicketId, Ticket)>> {
    let doing = "read the tickets of an event";
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE event = ?1 AND id >= ?2 AND id < ?3 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql).while_doing(doing)?;
    let end = i64::from(first.0) + i64::from(count);
    let mut rows = statement.query(params![event.0, first.0, end]).while_doing(doing)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().while_doing(doing)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Reads a ticket from a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> StoreResult<(TicketId, Ticket)> {
    let id = TicketId(row.get(0).while_doing("read a ticket")?);
    let ticket = read_ticket(row).map_err(|error| match error {
        StoreError::Damaged { problem, .. } => StoreError::damaged(format!("ticket {}", id.0), problem),
        other => other,
    })?;
    Ok((id, ticket))
}

fn read_ticket(row: &Row<'_>) -> StoreResult<Ticket> {
    let text = |column: usize| -> StoreResult<&str> {
        let value = row.get_ref(column).while_doing("read a ticket")?;
        value.as_str().map_err(|error| StoreError::damaged("", error))
    };
    let packed = row.get_ref(11).while_doing("read a ticket")?;
    let packed = packed.as_blob().map_err(|error| StoreError::damaged("", error))?;
    let codes = unpack(packed).ok_or_else(|| StoreError::damaged("", "its codes do not add up"))?;
    let texts = [text(7)?, text(8)?, text(9)?, text(10)?];
    Details::check(&texts, &codes).map_err(|problem| StoreError::damaged("", problem))?;
    let rest = || -> rusqlite::Result<Ticket> {
        Ok(Ticket {
            type_id: TypeId(row.get(1)?),
            status: TicketStatus::Active,
            status_at: Time(row.get(3)?),
            specimen: row.get(4)?,
            valid_from: row.get::<_, Option<i64>>(5)?.map_or(Time::MIN, Time),
            valid_until: row.get::<_, Option<i64>>(6)?.map_or(Time::MAX, Time),
            usage: read_usage(row, 12)?,
            details: Details::new(texts[0], texts[1], texts[2], texts[3], &codes),
        })
    };
    let ticket = rest().map_err(|error| StoreError::damaged("", error))?;
    Ok(Ticket { status: TicketStatus::read(text(2)?)?, ..ticket })
}

/// Reads what a ticket has done, from nine columns starting at `at`.
fn read_usage(row: &Row<'_>, at: usize) -> rusqlite::Result<TicketUse> {
    Ok(TicketUse {
        used: row.get(at)?,
        inside: row.get(at + 1)?,
        day_used: row.get(at + 2)?,
        day: row.get(at + 3)?,
        presence: ZoneId(row.get(at + 4)?),
        first_gate: GateId(row.get(at + 5)?),
        last_gate: GateId(row.get(at + 6)?),
        first_at: Time(row.get(at + 7)?),
        last_at: Time(row.get(at + 8)?),
    })
}

/// "Left to the type" is NULL, so that nobody has to know the engine's first and last moment.
fn bound(time: Time, open: Time) -> Option<i64> {
    (time != open).then_some(time.0)
}

fn execute(connection: &Connection, sql: &str, row: impl rusqlite::Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(row).map(drop)
}
