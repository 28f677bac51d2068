//! Rows of counts and of device states: written where they changed, read back exactly. Knows no rule.

use super::catalog_rows::json;
use crate::error::{StoreError, StoreResult, WhileDoing};
use engine::counts::{Counts, Tally};
use engine::state::DeviceState;
use rusqlite::{Connection, params};

/// What a row of counts says: people inside a zone, or the tally of an event, gate, type or reason.
#[derive(Clone, Copy, Default, PartialEq)]
struct CountRow {
    inside: i64,
    tally: Tally,
}

/// Writes the counts that are not as they were.
pub(super) fn write(connection: &Connection, before: &Counts, after: &Counts) -> StoreResult<()> {
    let zone = |inside: &i64| CountRow { inside: *inside, ..CountRow::default() };
    let tally = |tally: &Tally| CountRow { tally: *tally, ..CountRow::default() };
    let reason = |denials: &u64| CountRow {
        tally: Tally { denials: *denials, ..Tally::default() },
        ..CountRow::default()
    };
    write_scope(connection, "zone", &before.zones, &after.zones, zone)?;
    write_scope(connection, "event", &before.events, &after.events, tally)?;
    write_scope(connection, "gate", &before.gates, &after.gates, tally)?;
    write_scope(connection, "type", &before.types, &after.types, tally)?;
    write_scope(connection, "reason", &before.reasons, &after.reasons, reason)
}

fn write_scope<T: PartialEq>(
    connection: &Connection,
    scope: &str,
    before: &[T],
    after: &[T],
    row_of: impl Fn(&T) -> CountRow,
) -> StoreResult<()> {
    // A new place is written also when it counts nothing: how many there are is part of the counts.
    for (id, value) in after.iter().enumerate().filter(|(id, value)| before.get(*id) != Some(value)) {
        let CountRow { inside, tally } = row_of(value);
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO counts (scope, id, inside, entries, exits, attendance, admits, denials, turns) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    scope,
                    id as i64,
                    inside,
                    tally.entries,
                    tally.exits,
                    tally.attendance,
                    tally.admits as i64,
                    tally.denials as i64,
                    tally.turns,
                ])
            })
            .while_doing("write counts")?;
    }
    Ok(())
}

/// All counts.
pub(super) fn read(connection: &Connection) -> StoreResult<Counts> {
    let mut counts = Counts::default();
    let (repeats, tests) = connection
        .query_row("SELECT repeats, tests FROM meta", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .while_doing("read counts")?;
    (counts.repeats, counts.tests) = (repeats as u64, tests as u64);
    counts.zones = scope(connection, "zone")?.into_iter().map(|row| row.inside).collect();
    counts.events = scope(connection, "event")?.into_iter().map(|row| row.tally).collect();
    counts.gates = scope(connection, "gate")?.into_iter().map(|row| row.tally).collect();
    counts.types = scope(connection, "type")?.into_iter().map(|row| row.tally).collect();
    let reasons = scope(connection, "reason")?;
    if reasons.len() > counts.reasons.len() {
        return Err(StoreError::damaged("counts", "there are more reasons than this program knows"));
    }
    for (count, row) in counts.reasons.iter_mut().zip(reasons) {
        *count = row.tally.denials;
    }
    Ok(counts)
}

/// The rows of a scope by their places; a place without a row counts nothing.
fn scope(connection: &Connection, scope: &str) -> StoreResult<Vec<CountRow>> {
    let mut found = Vec::new();
    let mut statement = connection
        .prepare_cached(
            "SELECT id, inside, entries, exits, attendance, admits, denials, turns FROM counts \
             WHERE scope = ?1 ORDER BY id",
        )
        .while_doing("read counts")?;
    let mut rows = statement.query([scope]).while_doing("read counts")?;
    while let Some(row) = rows.next().while_doing("read counts")? {
        let read = || -> rusqlite::Result<(usize, CountRow)> {
            let tally = Tally {
                entries: row.get(2)?,
                exits: row.get(3)?,
                attendance: row.get(4)?,
                admits: row.get::<_, i64>(5)? as u64,
                denials: row.get::<_, i64>(6)? as u64,
                turns: row.get(7)?,
            };
            Ok((row.get::<_, u32>(0)? as usize, CountRow { inside: row.get(1)?, tally }))
        };
        let (id, value) = read().while_doing("read counts")?;
        found.resize(id, CountRow::default());
        found.push(value);
    }
    Ok(found)
}

/// Writes the state of one device.
pub(super) fn write_device(connection: &Connection, device: usize, state: &DeviceState) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO device_states (device, state) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![device as i64, json(state)]))
        .map(drop)
        .while_doing("write the state of a device")
}

/// The states of all devices that ever had one to tell.
pub(super) fn read_devices(connection: &Connection) -> StoreResult<Vec<DeviceState>> {
    let mut devices = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT device, state FROM device_states ORDER BY device")
        .while_doing("read device states")?;
    let mut rows = statement.query([]).while_doing("read device states")?;
    while let Some(row) = rows.next().while_doing("read device states")? {
        let device: u32 = row.get(0).while_doing("read device states")?;
        let state: String = row.get(1).while_doing("read device states")?;
        devices.resize_with(device as usize, DeviceState::default);
        devices.push(
            serde_json::from_str(&state)
                .map_err(|error| StoreError::damaged(format!("the state of device {device}"), error))?,
        );
    }
    Ok(devices)
}
